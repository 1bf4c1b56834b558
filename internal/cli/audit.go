package cli

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/supertable-go/supertable"
)

// auditLimit is how many records audit show prints when it is not told.
const auditLimit = 10_000

func (a *app) auditCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "audit",
		Short: "Show, verify and export who did and read what",
		Long: `Audit is the log of every read, write, change of governance and denial. Its
records form a chain of hashes, so that none can be edited, left out, put in or
moved unseen. In SQL it is the relation __audit__. It needs CONTROL.`,
		Example: "  supertable audit verify",
	}, a.auditShowCommand(), a.auditVerifyCommand(), a.auditExportCommand())
}

// auditShowFlags are the flags of audit show.
type auditShowFlags struct {
	since     timeFlag
	limit     numberFlag
	of, asker string
}

func (a *app) auditShowCommand() *cobra.Command {
	var f auditShowFlags
	cmd := &cobra.Command{
		Use:   "show",
		Short: "List the records, newest first",
		Long: `Show lists the records of the audit, newest first: who did what, when, and how
it ended (ok, denied, error). After "audit show" the flag --user chooses whose
records are shown; before it, or as SUPERTABLE_USER, it says who asks.`,
		Example: "  supertable audit show --since 2026-01-31 --user alice --limit 20",
		Args:    takes(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.limit.set && f.limit.n < 1 {
				return usagef(cmd, "--limit must be at least 1")
			}
			a.flags.user = f.asks()
			return a.showAudit(cmd.Context(), &f)
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.Var(&f.since, "since", "leave out what ended before this `time`")
	fs.StringVar(&f.of, "user", "", "only the records of this `user`, by name or hash")
	fs.Var(&f.limit, "limit", "at most this `number` of the newest records (10000)")
	fs.StringVar(&f.asker, askerFlag, "", "who asks")
	_ = fs.MarkHidden(askerFlag)
	return cmd
}

// askerFlag stands for a --user before the words "audit show", where the flag
// still says who asks.
const askerFlag = "asked-by"

// nameAsker renames such a --user.
func nameAsker(args []string) []string {
	at := -1
	for i, s := range args {
		if s == "audit" && (i == 0 || !slices.Contains([]string{"--home", "--org", "--super", "--user", "--format", "--output", "-o", "--memory"}, args[i-1])) {
			at = i
			break
		}
	}
	if at < 0 || !slices.Contains(args[at:], "show") {
		return args
	}
	out := slices.Clone(args)
	for i, s := range out[:at] {
		if s == "--user" || strings.HasPrefix(s, "--user=") {
			out[i] = "--" + askerFlag + strings.TrimPrefix(s, "--user")
		}
	}
	return out
}

// asks is the user who asks: the local --user hides the one of all commands.
func (f *auditShowFlags) asks() string {
	for _, s := range []string{f.asker, os.Getenv("SUPERTABLE_USER")} {
		if s != "" {
			return s
		}
	}
	return supertable.Superuser
}

func (a *app) showAudit(ctx context.Context, f *auditShowFlags) error {
	o := &supertable.AuditOptions{User: f.of, Limit: auditLimit}
	if f.limit.set {
		o.Limit = f.limit.n
	}
	if t := f.since.pointer(); t != nil {
		o.Since = *t
	}
	l := listing{columns: []string{"seq", "time", "principal", "roles", "action", "tables", "snapshot", "statement", "rows", "outcome", "duration_ms", "hash"}}
	err := a.read(ctx, func(s session) error {
		return s.Audit(ctx, o, func(r supertable.AuditRecord) error {
			l.rows = append(l.rows, auditRow(r))
			return nil
		})
	})
	if err != nil {
		return err
	}
	if !f.limit.set && len(l.rows) == auditLimit {
		a.note("the newest %d records; --limit shows more, audit export all", auditLimit)
	}
	return a.printList(l)
}

func auditRow(r supertable.AuditRecord) []any {
	var snapshot any
	if r.Snapshot != nil {
		snapshot = *r.Snapshot
	}
	return []any{
		r.Seq, r.Time, r.Principal, r.Roles, r.Action, r.Tables, snapshot, r.Statement, r.Rows, r.Outcome,
		float64(r.Duration.Microseconds()) / 1000, r.Hash,
	}
}

func (a *app) auditVerifyCommand() *cobra.Command {
	var head string
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Verify the chain of the audit",
		Long: `Verify walks the whole chain and names the first record that is wrong or
missing; it then ends with exit code 1. The head that it prints is worth noting
elsewhere: with --head it must still be in the chain.`,
		Example: "  supertable audit verify --format json",
		Args:    takes(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.read(cmd.Context(), func(s session) error {
				v, err := s.VerifyAudit(cmd.Context(), strings.ToLower(head))
				if err != nil {
					return err
				}
				return a.printVerification(v)
			})
		},
	}
	cmd.Flags().StringVar(&head, "head", "", "a `hash` that an earlier verification printed")
	return cmd
}

// printVerification prints what was found; a broken chain is also an error.
func (a *app) printVerification(v supertable.AuditVerification) error {
	err := a.result(func(w io.Writer) error {
		switch a.flags.format {
		case formatJSON, formatNDJSON:
			return json.NewEncoder(w).Encode(v)
		}
		var broken any
		if v.FirstBroken != nil {
			broken = *v.FirstBroken
		}
		o := object{{"valid", v.Valid}, {"records", v.Records}, {"head", v.Head}, {"first_broken", broken}}
		return writeListing(w, a.flags.format, o.listing())
	})
	switch {
	case err != nil || v.Valid:
		return err
	case v.FirstBroken == nil:
		return failf(supertable.Corrupt, "the audit does not contain the head that was given")
	}
	return failf(supertable.Corrupt, "the audit is broken at record %d", *v.FirstBroken)
}

func (a *app) auditExportCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "export -o FILE",
		Short: "Write the whole audit to a file",
		Long: `Export writes every record, oldest first, in the form that the suffix of FILE
names: .csv, .parquet, .arrow, .json, or else one JSON object a line. --format wins
over the suffix.`,
		Example:     "  supertable audit export -o audit.jsonl",
		Args:        takes(0, 0, ""),
		Annotations: map[string]string{"prints": "rows"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if a.flags.output == "" {
				return usagef(cmd, "audit export needs -o FILE")
			}
			if !cmd.Flags().Changed("format") && suffixFormat(a.flags.output) == "" {
				a.flags.format = formatNDJSON
			}
			return a.read(cmd.Context(), func(s session) error {
				// Who may not read it is told so: that there is an audit is no secret.
				if err := s.Audit(cmd.Context(), &supertable.AuditOptions{Limit: 1}, func(supertable.AuditRecord) error { return nil }); err != nil {
					return err
				}
				_, err := a.printQuery(cmd.Context(), s, "SELECT * FROM __audit__ ORDER BY seq", nil)
				return err
			})
		},
	}
}
