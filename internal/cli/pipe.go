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

const pipeLong = `A pipe loads the files of a staging area into a table. Its definition is JSON:

  {"name": "orders", "area": "inbox", "table": "orders", "key": ["id"],
   "newer_than": "updated", "columns": {"ID": "id"},
   "checks": [{"not_null": ["id"]}, {"unique": ["id"]}, {"expr": "amount >= 0"}],
   "enabled": true}

Name, area and table are required. A file that breaks a check is quarantined.`

func (a *app) pipeCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:     "pipe",
		Short:   "Load staged files as they arrive",
		Long:    pipeLong,
		Example: "  supertable pipe create orders.json && supertable pipe watch orders",
	}, a.pipeCreateCommand(), a.pipeListCommand(), a.pipeRunCommand(), a.pipeWatchCommand(), a.pipeDeleteCommand(),
		a.pipeEnableCommand("enable", true), a.pipeEnableCommand("disable", false))
}

func (a *app) pipeCreateCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "create FILE|-",
		Short:   "Create a pipe from its definition",
		Long:    pipeLong,
		Example: "  supertable pipe create orders.json",
		Args:    takes(1, 1, "FILE or -"),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := a.document(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			p, err := supertable.ParsePipe(text)
			if err != nil {
				return err
			}
			return a.read(cmd.Context(), func(s session) error {
				if err := s.CreatePipe(cmd.Context(), p); err != nil {
					return err
				}
				a.did(true)
				return a.printOne(object{{"name", p.Name}}, "Created pipe "+p.Name)
			})
		},
	}
}

func openInput(name string) (*os.File, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fileError(name, err)
	}
	return f, nil
}

func (a *app) pipeListCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the pipes",
		Long:    "List lists the definitions of the pipes by name.",
		Example: "  supertable pipe list --format json",
		Args:    takes(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.read(cmd.Context(), func(s session) error {
				list, err := s.Pipes(cmd.Context())
				if err != nil {
					return err
				}
				l, err := pipeListing(list)
				if err != nil {
					return err
				}
				return a.printList(l)
			})
		},
	}
}

func pipeListing(list []supertable.Pipe) (listing, error) {
	l := listing{columns: []string{"name", "area", "table", "key", "newer_than", "columns", "checks", "enabled"}}
	for _, p := range list {
		text, err := p.MarshalJSON()
		if err != nil {
			return l, err
		}
		var d struct{ Key, Columns, Checks json.RawMessage }
		if err := json.Unmarshal(text, &d); err != nil {
			return l, err
		}
		var newer any
		if p.NewerThan != "" {
			newer = p.NewerThan
		}
		l.rows = append(l.rows, []any{p.Name, p.Area, p.Table, d.Key, newer, d.Columns, d.Checks, p.Enabled})
	}
	return l, nil
}

func (a *app) pipeRunCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "run NAME [FILE]",
		Short: "Load what is new in the area of a pipe",
		Long: `Run loads the files that the pipe has not loaded, the oldest first, and
quarantines those that break its checks. With FILE it loads that file alone,
even when it was quarantined.`,
		Example: "  supertable pipe run orders --format json",
		Args:    takes(1, 2, "NAME [FILE]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.read(cmd.Context(), func(s session) error {
				rows, err := s.RunPipe(cmd.Context(), args[0], first(args[1:]))
				return a.printLoads(rows, err)
			})
		},
	}
}

func (a *app) pipeWatchCommand() *cobra.Command {
	var every durationFlag
	cmd := &cobra.Command{
		Use:   "watch [NAME]",
		Short: "Run a pipe, or all enabled ones, as files arrive",
		Long: `Watch runs until it is interrupted. What became of each file is printed as it is
known, one line each (with --format json or ndjson one object). Trouble of the
moment is noted on standard error and tried again.`,
		Example: "  supertable pipe watch orders --every 10s",
		Args:    takes(0, 1, "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if a.flags.output != "" {
				return usagef(cmd, "pipe watch has no last line: it prints on stdout and takes no -o")
			}
			ctx := cmd.Context()
			return a.read(ctx, func(s session) error {
				var broken error
				ctx, stop := context.WithCancel(ctx)
				defer stop()
				err := s.WatchPipes(ctx, first(args), &supertable.WatchOptions{
					Every: every.d,
					Loaded: func(pipe string, rows []supertable.LoadResult) {
						if broken = a.printWatched(pipe, rows); broken != nil {
							stop() // nobody reads any more
						}
					},
					Failed: func(pipe string, err error) { a.note("pipe %s: %v", pipe, err) },
				})
				if err == nil {
					err = broken
				}
				if err == nil {
					err = cmd.Context().Err()
				}
				return err
			})
		},
	}
	cmd.Flags().Var(&every, "every", "the `time` between two looks (default 2s)")
	return cmd
}

// printWatched prints rows that have no last one.
func (a *app) printWatched(pipe string, rows []supertable.LoadResult) error {
	a.did(slices.ContainsFunc(rows, settled))
	return a.result(func(w io.Writer) error {
		if slices.Contains([]string{formatJSON, formatNDJSON}, a.flags.format) {
			return loadListing(rows).writeNDJSON(w)
		}
		var b strings.Builder
		for _, r := range rows {
			b.WriteString(printable(loadSentence(pipe, r)) + "\n")
		}
		_, err := io.WriteString(w, b.String())
		return err
	})
}

func loadSentence(pipe string, r supertable.LoadResult) string {
	s := pipe + ": " + r.File + " " + r.Status
	switch {
	case r.Reason != "":
		s += ": " + r.Reason
	case r.Status == "loaded":
		s += " into " + r.Table + ", " + plural(r.Inserted, "row") + " inserted"
	}
	return s
}

func (a *app) pipeDeleteCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "delete NAME",
		Short:   "Delete a pipe",
		Long:    "Delete deletes a pipe. What it loaded stays, and so do the staged files.",
		Example: "  supertable pipe delete orders",
		Args:    takes(1, 1, "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.read(cmd.Context(), func(s session) error {
				deleted, err := s.DeletePipe(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				return a.printDeleted(deleted, "Deleted pipe "+args[0])
			})
		},
	}
}

func (a *app) pipeEnableCommand(verb string, on bool) *cobra.Command {
	title := strings.ToUpper(verb[:1]) + verb[1:]
	return &cobra.Command{
		Use:     verb + " NAME",
		Short:   title + " a pipe",
		Long:    title + "s a pipe: a disabled one does not run.",
		Example: "  supertable pipe " + verb + " orders",
		Args:    takes(1, 1, "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.read(cmd.Context(), func(s session) error {
				p, err := s.EnablePipe(cmd.Context(), args[0], on)
				if err != nil {
					return err
				}
				a.did(true)
				return a.printOne(object{{"name", p.Name}, {"enabled", p.Enabled}}, title+"d pipe "+p.Name)
			})
		},
	}
}
