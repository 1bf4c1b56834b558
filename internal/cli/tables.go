package cli

import (
	"github.com/spf13/cobra"

	"github.com/supertable-go/supertable"
)

func (a *app) tablesCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "tables",
		Short:   "List the tables",
		Long:    "Tables lists the tables that one may see: version, live rows, files, bytes, last change.",
		Example: "  supertable tables --format json",
		Args:    takes(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.read(cmd.Context(), func(s session) error {
				list, err := s.Tables(cmd.Context())
				if err != nil {
					return err
				}
				return a.printList(tableListing(list))
			})
		},
	}
}

func tableListing(list []supertable.TableInfo) listing {
	l := listing{columns: []string{"name", "version", "rows", "files", "bytes", "updated"}}
	for _, t := range list {
		l.rows = append(l.rows, []any{t.Name, t.Version, t.Rows, t.Files, t.Bytes, t.Updated})
	}
	return l
}

func (a *app) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "schema TABLE",
		Short:             "List the columns of a table",
		Long:              "Schema lists the columns of a table in their order: name, SQL type, and whether it may be NULL.",
		Example:           "  supertable schema orders",
		Args:              takes(1, 1, "TABLE"),
		ValidArgsFunction: a.completeTable,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.read(cmd.Context(), func(s session) error {
				list, err := s.Schema(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				return a.printList(schemaListing(list))
			})
		},
	}
}

func schemaListing(list []supertable.Column) listing {
	l := listing{columns: []string{"name", "type", "nullable"}}
	for _, c := range list {
		l.rows = append(l.rows, []any{c.Name, c.Type, c.Nullable})
	}
	return l
}

func (a *app) historyCommand() *cobra.Command {
	var limit numberFlag
	cmd := &cobra.Command{
		Use:               "history [TABLE]",
		Short:             "List the changes, newest first",
		Long:              "History lists what was changed when and by whom, newest first: of one table, or of all.",
		Example:           "  supertable history orders --limit 20",
		Args:              takes(0, 1, "TABLE"),
		ValidArgsFunction: a.completeTable,
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit.set && limit.n < 1 {
				return usagef(cmd, "--limit must be at least 1")
			}
			return a.read(cmd.Context(), func(s session) error {
				list, err := s.HistoryOf(cmd.Context(), first(args), &supertable.HistoryOptions{Limit: limit.n})
				if err != nil {
					return err
				}
				return a.printList(historyListing(list))
			})
		},
	}
	cmd.Flags().Var(&limit, "limit", "at most this `number` of the newest changes (default all)")
	return cmd
}

func historyListing(list []supertable.HistoryEntry) listing {
	l := listing{columns: []string{
		"snapshot", "version", "time", "table", "operation", "inserted", "deleted", "principal", "message",
	}}
	for _, h := range list {
		row := []any{h.Snapshot, h.Version, h.Time, h.Table, h.Operation, h.Inserted, h.Deleted, h.Principal, h.Message}
		if h.Withheld {
			row[5], row[6] = nil, nil
		}
		l.rows = append(l.rows, row)
	}
	return l
}

// first is the first argument, "" when there is none.
func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}
