package cli

import (
	"encoding/json"
	"io"

	"github.com/spf13/cobra"

	"github.com/supertable-go/supertable"
)

func (a *app) checkCommand() *cobra.Command {
	var deep bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Compare the catalog with storage",
		Long: `Check compares the catalog with storage and verifies every invariant; with
--deep it also reads every file and verifies its checksum. What it finds it
prints, and ends with exit code 1.`,
		Example: "  supertable check --deep",
		Args:    takes(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.read(cmd.Context(), func(s session) error {
				r, err := s.Check(cmd.Context(), deep)
				if err != nil {
					return err
				}
				return a.printCheck(r)
			})
		},
	}
	cmd.Flags().BoolVar(&deep, "deep", false, "read every file and verify its checksum")
	return cmd
}

// printCheck prints the report; findings are also an error.
func (a *app) printCheck(r supertable.CheckReport) error {
	if r.Findings == nil {
		r.Findings = []supertable.Finding{}
	}
	if err := a.result(func(w io.Writer) error { return writeCheck(w, a.flags.format, r) }); err != nil {
		return err
	}
	if r.OK {
		return nil
	}
	return failf(supertable.Corrupt, "check: %s", plural(int64(len(r.Findings)), "finding"))
}

func writeCheck(w io.Writer, format string, r supertable.CheckReport) error {
	switch {
	case format == formatJSON || format == formatNDJSON:
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		return e.Encode(r)
	case format == formatTable && r.OK:
		_, err := io.WriteString(w, "ok\n")
		return err
	}
	l := listing{columns: []string{"kind", "object", "detail"}}
	for _, f := range r.Findings {
		l.rows = append(l.rows, []any{f.Kind, f.Object, f.Detail})
	}
	return writeListing(w, format, l)
}
