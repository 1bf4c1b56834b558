package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/supertable-go/supertable"
)

// dropFlags are the flags of drop and drop-super.
type dropFlags struct{ ifExists, yes bool }

func (f *dropFlags) add(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().BoolVar(&f.ifExists, "if-exists", false, "no error when it is not there")
	cmd.Flags().BoolVar(&f.yes, "yes", false, "do not ask")
	return cmd
}

func (a *app) dropCommand() *cobra.Command {
	var f dropFlags
	return f.add(&cobra.Command{
		Use:   "drop TABLE",
		Short: "Drop a table",
		Long: `Drop ends a table in a new snapshot; earlier snapshots still read it. On a
terminal it asks first, unless --yes is given; without a terminal --yes must be.
With --if-exists a table that is not there is nobody's question.`,
		Example:           "  supertable drop orders --yes",
		Args:              takes(1, 1, "TABLE"),
		ValidArgsFunction: a.completeTable,
		RunE: func(cmd *cobra.Command, args []string) error {
			what := fmt.Sprintf("table %q", args[0])
			there := func(ctx context.Context, s session) error {
				_, err := s.Schema(ctx, args[0])
				return err
			}
			return a.drop(cmd, f, what, there, func(ctx context.Context, s session) (bool, error) {
				return s.DropTable(ctx, args[0])
			})
		},
	})
}

func (a *app) dropSuperCommand() *cobra.Command {
	var f dropFlags
	return f.add(&cobra.Command{
		Use:   "drop-super",
		Short: "Remove the whole SuperTable",
		Long: `Drop-super removes the SuperTable for good: catalog, data, history. On a
terminal it asks first, unless --yes is given; without a terminal --yes must be.`,
		Example: "  supertable drop-super --super sales --yes",
		Args:    takes(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			what := fmt.Sprintf("SuperTable %q with all its tables", a.flags.super)
			there := func(context.Context, session) error { return nil } // the session says it
			return a.drop(cmd, f, what, there, func(ctx context.Context, s session) (bool, error) {
				return true, s.DropSuperTable(ctx)
			})
		},
	})
}

// drop asks and runs do. What is not there is an error unless --if-exists, and
// then nobody is asked about it.
func (a *app) drop(cmd *cobra.Command, f dropFlags, what string, there func(context.Context, session) error, do func(context.Context, session) (bool, error)) error {
	if !f.yes && f.ifExists {
		err := a.read(cmd.Context(), func(s session) error { return there(cmd.Context(), s) })
		if errors.Is(err, supertable.NotFound) {
			return a.printDropped(what, false)
		}
	}
	if !f.yes {
		sure, err := a.confirm(cmd, "Drop "+what+"?")
		if err != nil || !sure {
			return a.endUnsure(err)
		}
	}
	dropped := false
	err := a.read(cmd.Context(), func(s session) (err error) {
		dropped, err = do(cmd.Context(), s)
		return err
	})
	if errors.Is(err, supertable.NotFound) {
		dropped = false
		if f.ifExists {
			err = nil
		}
	}
	if err != nil {
		return err
	}
	if !dropped && !f.ifExists {
		return failf(supertable.NotFound, "Table not found: %s/%s/%s", a.flags.org, a.flags.super, cmd.Flags().Arg(0))
	}
	return a.printDropped(what, dropped)
}

func (a *app) printDropped(what string, dropped bool) error {
	a.did(dropped)
	sentence := "Dropped " + what
	if !dropped {
		sentence = "Nothing to drop"
	}
	return a.printOne(object{{"dropped", dropped}}, sentence)
}

func (a *app) endUnsure(err error) error {
	if err != nil {
		return err
	}
	return a.printOne(object{{"dropped", false}}, "Nothing dropped")
}

// confirm asks on the terminal.
func (a *app) confirm(cmd *cobra.Command, question string) (bool, error) {
	if !isTerminal(a.stdin) {
		return false, usagef(cmd, "%s cannot ask without a terminal: give --yes", cmd.Name())
	}
	writeString(a.stderr, question+" [y/N] ")
	line, err := bufio.NewReader(interruptible(cmd.Context(), a.stdin)).ReadString('\n')
	if cmd.Context().Err() != nil {
		return false, err
	}
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "y" || answer == "yes", nil
}
