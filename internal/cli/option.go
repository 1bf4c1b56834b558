package cli

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/supertable-go/supertable"
)

func (a *app) optionCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:     "option",
		Short:   "List and set limits and thresholds",
		Long:    "Option lists and sets the limits and thresholds of the SuperTable or of one table.",
		Example: "  supertable option list orders",
	}, a.optionListCommand(), a.optionSetCommand())
}

func (a *app) optionListCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "list [TABLE]",
		Short:             "List the options that hold",
		Long:              "List prints the options that hold for the SuperTable or one table, and where each comes from.",
		Example:           "  supertable option list orders --format json",
		Args:              takes(0, 1, "TABLE"),
		ValidArgsFunction: a.completeTable,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.read(cmd.Context(), func(s session) error {
				list, err := s.Options(cmd.Context(), first(args))
				if err != nil {
					return err
				}
				return a.printList(optionListing(list, ""))
			})
		},
	}
}

func (a *app) optionSetCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "set [TABLE] NAME=VALUE",
		Short: "Set an option",
		Long: `Set sets an option of the SuperTable or of one table. NAME= without a value
removes the setting. A time is a duration (90s, 7d, 2w) or a number of seconds.`,
		Example: "  supertable option set orders target_file_size=268435456",
		Args:    takes(1, 2, "[TABLE] NAME=VALUE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			table, setting := "", args[len(args)-1]
			if len(args) == 2 {
				table = args[0]
			}
			name, value, ok := strings.Cut(setting, "=")
			if !ok || name == "" {
				return usagef(cmd, "option set: want NAME=VALUE, got %q", setting)
			}
			return a.read(cmd.Context(), func(s session) error {
				value, err := optionValue(cmd.Context(), s, table, name, value)
				if err != nil {
					return err
				}
				if err := s.SetOption(cmd.Context(), table, name, value); err != nil {
					return err
				}
				a.did(true)
				list, err := s.Options(cmd.Context(), table)
				if err != nil {
					return err
				}
				return a.printList(optionListing(list, name))
			})
		},
	}
}

// optionValue gives the seconds of an option that is a time and was given as a
// duration, any other value as it is.
func optionValue(ctx context.Context, s session, table, name, value string) (string, error) {
	if _, err := strconv.ParseInt(value, 10, 64); err == nil || value == "" {
		return value, nil
	}
	list, err := s.Options(ctx, table)
	if err != nil {
		return "", err
	}
	is := slices.IndexFunc(list, func(o supertable.Option) bool { return o.Seconds && strings.EqualFold(o.Name, name) })
	if is < 0 {
		return value, nil
	}
	d, err := parseDuration(value)
	switch {
	case errors.Is(err, errDuration):
		err = errors.New(err.Error() + ", or a number of seconds")
	case d%time.Second != 0:
		err = errors.New("want whole seconds")
	}
	if err != nil {
		return "", failf(supertable.InvalidArgument, "option %s: %v", list[is].Name, err)
	}
	return strconv.FormatInt(int64(d/time.Second), 10), nil
}

// optionListing lists the option name, or all when it is "".
func optionListing(list []supertable.Option, name string) listing {
	l := listing{columns: []string{"name", "value", "scope"}}
	for _, o := range list {
		if name == "" || strings.EqualFold(o.Name, name) {
			l.rows = append(l.rows, []any{o.Name, o.Value, o.Scope})
		}
	}
	return l
}
