package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/supertable-go/supertable"
)

const diffLong = `Diff compares a table at two snapshots and prints the rows by which they differ,
with a column change: insert or delete; with --key also update_before and
update_after, one behind the other. Rows count as often as they occur.

Both states are read by the columns of the later snapshot: a rename or a new
column alone is no difference. Where the table was not there it has no rows.`

func (a *app) diffCommand() *cobra.Command {
	var from, to numberFlag
	var key []string
	cmd := &cobra.Command{
		Use:               "diff TABLE --from N --to M",
		Short:             "Show how a table differs between two snapshots",
		Long:              diffLong,
		Example:           "  supertable diff orders --from 12 --to 15 --key order_id --format csv",
		Args:              takes(1, 1, "TABLE"),
		ValidArgsFunction: a.completeTable,
		Annotations:       map[string]string{"prints": "rows"},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needSnapshots(cmd, map[string]*numberFlag{"from": &from, "to": &to}); err != nil {
				return err
			}
			columns, err := parseNames(key)
			if err != nil {
				return failf(supertable.InvalidArgument, "--key %v", err)
			}
			return a.printRows(cmd, func(s session) (*supertable.Rows, error) {
				return s.Diff(cmd.Context(), args[0], from.n, to.n, &supertable.DiffOptions{Key: columns})
			})
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().Var(&from, "from", "the first snapshot `number`")
	cmd.Flags().Var(&to, "to", "the second snapshot `number`")
	cmd.Flags().StringArrayVar(&key, "key", nil, "the `columns` that tell rows apart: a,b (a name with a comma in double quotes)")
	return cmd
}

const changesLong = `Changes prints the rows that came and went in the snapshots after --from, up to
and with --to (the newest when it is not given), with columns change (insert or
delete) and snapshot: an upsert shows what it deleted and what it inserted.

Without TABLE it tells of all tables that one may read; the column table says
which. Columns unite by name; types that do not meet are printed as text.`

func (a *app) changesCommand() *cobra.Command {
	var from, to numberFlag
	cmd := &cobra.Command{
		Use:               "changes [TABLE] --from N",
		Short:             "Show what each snapshot changed, row by row",
		Long:              changesLong,
		Example:           "  supertable changes orders --from 12 --format ndjson",
		Args:              takes(0, 1, "TABLE"),
		ValidArgsFunction: a.completeTable,
		Annotations:       map[string]string{"prints": "rows"},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needSnapshots(cmd, map[string]*numberFlag{"from": &from}); err != nil {
				return err
			}
			return a.printRows(cmd, func(s session) (*supertable.Rows, error) {
				return s.Changes(cmd.Context(), first(args), from.n, &supertable.ChangesOptions{To: to.pointer()})
			})
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().Var(&from, "from", "the snapshot `number` after which to begin")
	cmd.Flags().Var(&to, "to", "the last snapshot `number`")
	return cmd
}

// needSnapshots refuses a call in which a flag of these is missing.
func needSnapshots(cmd *cobra.Command, flags map[string]*numberFlag) error {
	for _, name := range []string{"from", "to"} {
		if f := flags[name]; f != nil && !f.set {
			return usagef(cmd, "%s needs --%s N, the number of a snapshot (see: supertable history)", cmd.Name(), name)
		}
	}
	return nil
}

// printRows prints all rows of a result in the form that --format names.
func (a *app) printRows(cmd *cobra.Command, open func(session) (*supertable.Rows, error)) error {
	return a.read(cmd.Context(), func(s session) error {
		rows, err := open(s)
		if err != nil {
			return err
		}
		err = a.result(func(w io.Writer) error { return copyRows(a.flags.format, w, rows) })
		if e := rows.Close(); err == nil {
			err = e
		}
		return err
	})
}

const rollbackLong = `Rollback makes the state that a table had at an earlier snapshot its newest one,
rows and columns, as one snapshot more: nothing is taken back, so a rollback can
be rolled back. When the table is as it was then, no snapshot is made.

--expect-head N does nothing unless N is the lake's newest snapshot.`

func (a *app) rollbackCommand() *cobra.Command {
	var to, head numberFlag
	var o supertable.RollbackOptions
	cmd := &cobra.Command{
		Use:               "rollback TABLE --to N",
		Short:             "Bring a table's earlier state back, as a new snapshot",
		Long:              rollbackLong,
		Example:           "  supertable rollback orders --to 12 --dry-run",
		Args:              takes(1, 1, "TABLE"),
		ValidArgsFunction: a.completeTable,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needSnapshots(cmd, map[string]*numberFlag{"to": &to}); err != nil {
				return err
			}
			o.ExpectHead = head.pointer()
			return a.read(cmd.Context(), func(s session) error {
				r, err := s.Rollback(cmd.Context(), args[0], to.n, &o)
				if err != nil {
					return err
				}
				return a.printRollback(r)
			})
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().Var(&to, "to", "the snapshot `number` whose state comes back")
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "only say what would happen")
	cmd.Flags().Var(&head, "expect-head", "do nothing unless this `number` is the newest snapshot")
	cmd.Flags().StringVar(&o.Message, "message", "", "`text` for the history")
	return cmd
}

func (a *app) printRollback(r supertable.RollbackResult) error {
	out := object{{"table", r.Table}, {"from", r.From}, {"to", r.To}, {"snapshot", r.Snapshot}, {"inserted", r.Inserted}, {"deleted", r.Deleted}}
	a.did(r.Snapshot != r.From && !r.DryRun)
	sentence := fmt.Sprintf("%s: as at snapshot %d · %d rows back, %d gone · snapshot %d", r.Table, r.To, r.Inserted, r.Deleted, r.Snapshot)
	switch {
	case r.Snapshot == r.From:
		sentence = fmt.Sprintf("%s: is as at snapshot %d already", r.Table, r.To)
	case r.DryRun:
		sentence = fmt.Sprintf("%s: would be as at snapshot %d · %d rows back, %d gone", r.Table, r.To, r.Inserted, r.Deleted)
	}
	if r.DryRun {
		out = append(out, property{"dry_run", true})
	}
	return a.printOne(out, sentence)
}

func (a *app) undropCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "undrop TABLE",
		Short: "Bring a dropped table back",
		Long: `Undrop brings a dropped table back as it was last, with its history, as long as
the snapshot before the drop has not expired.`,
		Example: "  supertable undrop orders",
		Args:    takes(1, 1, "TABLE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.read(cmd.Context(), func(s session) error {
				r, err := s.Undrop(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				a.did(true)
				return a.printOne(object{{"table", r.Table}, {"snapshot", r.Snapshot}}, fmt.Sprintf("%s: back · snapshot %d", r.Table, r.Snapshot))
			})
		},
	}
}

func (a *app) tagCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:     "tag",
		Short:   "Name snapshots, so that they do not expire",
		Long:    "Tag names snapshots. A snapshot with a tag does not expire.",
		Example: "  supertable tag create before-migration",
	}, a.tagCreateCommand(), a.tagListCommand(), a.tagDeleteCommand())
}

func (a *app) tagCreateCommand() *cobra.Command {
	var at numberFlag
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Name a snapshot",
		Long: `Create names a snapshot: the newest, or that of --at. A name has letters,
digits, _ - and ., at most 128, and is unique without regard to case.`,
		Example: "  supertable tag create v2026-01 --at 12",
		Args:    takes(1, 1, "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.read(cmd.Context(), func(s session) error {
				t, err := s.CreateTag(cmd.Context(), args[0], at.pointer())
				if err != nil {
					return err
				}
				a.did(true)
				return a.printOne(object{{"name", t.Name}, {"snapshot", t.Snapshot}}, fmt.Sprintf("Tagged snapshot %d: %s", t.Snapshot, t.Name))
			})
		},
	}
	cmd.Flags().Var(&at, "at", "the snapshot `number`")
	return cmd
}

func (a *app) tagListCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the tags",
		Long:    "List prints the tags by name, each with its snapshot.",
		Example: "  supertable tag list --format json",
		Args:    takes(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.read(cmd.Context(), func(s session) error {
				list, err := s.Tags(cmd.Context())
				if err != nil {
					return err
				}
				l := listing{columns: []string{"name", "snapshot", "created"}}
				for _, t := range list {
					l.rows = append(l.rows, []any{t.Name, t.Snapshot, t.Created})
				}
				return a.printList(l)
			})
		},
	}
}

func (a *app) tagDeleteCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "delete NAME",
		Short:   "Remove a tag",
		Long:    "Delete removes a tag; its snapshot stays until it expires. It prints whether there was one.",
		Example: "  supertable tag delete before-migration",
		Args:    takes(1, 1, "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.read(cmd.Context(), func(s session) error {
				deleted, err := s.DeleteTag(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				a.did(deleted)
				sentence := "Removed tag " + args[0]
				if !deleted {
					sentence = "There is no tag " + args[0]
				}
				return a.printOne(object{{"deleted", deleted}}, sentence)
			})
		},
	}
}
