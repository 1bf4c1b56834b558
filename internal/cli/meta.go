package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/supertable-go/supertable"
)

func (a *app) metaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "meta [TABLE]",
		Short: "Describe the SuperTable or a table",
		Long: `Meta describes the SuperTable and the tables that one may see: files, live rows,
bytes, last change in milliseconds since 1970. Tables of streams (__x__) are left
out. With TABLE it describes that one, with its version and its columns:
{"table":{"name","version","files","rows","size","updated_utc","schema":{…}}}.`,
		Example:           "  supertable meta --format json\n  supertable meta orders --format json",
		Args:              takes(0, 1, "TABLE"),
		ValidArgsFunction: a.completeTable,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.read(cmd.Context(), func(s session) error {
				if len(args) == 0 || strings.EqualFold(args[0], a.flags.super) {
					m, err := s.SuperMeta(cmd.Context())
					if err != nil {
						return err
					}
					return a.printSuperMeta(m)
				}
				return a.printTableMeta(cmd, s, args[0])
			})
		},
	}
}

func (a *app) printSuperMeta(m supertable.SuperMeta) error {
	if a.flags.format == formatJSON || a.flags.format == formatNDJSON {
		return a.printJSON(map[string]any{"super": m})
	}
	l := listing{columns: []string{"name", "files", "rows", "size", "updated_utc"}}
	for _, t := range append(m.Tables, supertable.TableMeta{Name: m.Name, Files: m.Files, Rows: m.Rows, Size: m.Size, UpdatedUTC: m.UpdatedUTC}) {
		l.rows = append(l.rows, []any{t.Name, t.Files, t.Rows, t.Size, t.UpdatedUTC})
	}
	return a.printList(l)
}

// tableMeta is what meta says of one table.
type tableMeta struct {
	Name       string            `json:"name"`
	Version    int64             `json:"version"`
	Files      int64             `json:"files"`
	Rows       int64             `json:"rows"`
	Size       int64             `json:"size"`
	UpdatedUTC int64             `json:"updated_utc"`
	Schema     map[string]string `json:"schema"`
}

func (a *app) printTableMeta(cmd *cobra.Command, s session, table string) error {
	stats, err := s.TableStats(cmd.Context(), table)
	if err != nil {
		return err
	}
	schema, err := s.TableSchema(cmd.Context(), table)
	if err != nil {
		return err
	}
	if len(stats) != 1 || len(schema) != 1 {
		return failf(supertable.NotFound, "Table not found: %s/%s/%s", a.flags.org, a.flags.super, table)
	}
	t := stats[0]
	m := tableMeta{t.SimpleName, t.SnapshotVersion, t.Files, t.Rows, t.Size, t.LastUpdatedMs, schema[0]}
	if a.flags.format == formatJSON || a.flags.format == formatNDJSON {
		return a.printJSON(map[string]any{"table": m})
	}
	return a.printOne(object{
		{"name", m.Name}, {"version", m.Version}, {"files", m.Files}, {"rows", m.Rows}, {"size", m.Size}, {"updated_utc", m.UpdatedUTC},
	}, fmt.Sprintf("%s: %s in %s, %d bytes, %s · version %d", m.Name, plural(m.Rows, "row"), plural(m.Files, "file"), m.Size, plural(int64(len(m.Schema)), "column"), m.Version))
}

// printJSON prints one nested object on a line.
func (a *app) printJSON(v any) error {
	return a.result(func(w io.Writer) error {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		return enc.Encode(v)
	})
}
