package cli

import (
	"github.com/spf13/cobra"

	"github.com/supertable-go/supertable"
)

func (a *app) createCommand() *cobra.Command {
	var readOnly, readWrite bool
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make the SuperTable",
		Long: `Create makes the SuperTable that --org and --super name; when it is there
already, nothing changes. A foreign DuckLake catalog that lies in its place is
adopted. With --read-only every write is refused until --read-write.`,
		Example: "  supertable create --org acme --super sales",
		Args:    takes(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if readOnly && readWrite {
				return usagef(cmd, "--read-only and --read-write exclude each other")
			}
			if readOnly || readWrite {
				return a.create(cmd, &readOnly)
			}
			return a.create(cmd, nil)
		},
	}
	cmd.Flags().BoolVar(&readOnly, "read-only", false, "refuse every write from now on")
	cmd.Flags().BoolVar(&readWrite, "read-write", false, "accept writes again")
	return cmd
}

// create makes the SuperTable, which the superuser alone may; others may find
// that it is there, and with the right to, make it read-only or writable.
func (a *app) create(cmd *cobra.Command, readOnly *bool) error {
	ctx := cmd.Context()
	return a.withLake(ctx, func(lake *supertable.Lake) error {
		var st *supertable.SuperTable
		var created bool
		err := a.mayCreate()
		if err == nil {
			st, created, err = lake.Create(ctx, a.flags.org, a.flags.super, nil)
		} else if there, oerr := lake.SuperTable(ctx, a.flags.org, a.flags.super); oerr == nil {
			st, err = there, nil
		}
		if err != nil {
			return err
		}
		a.did(created)
		s, err := st.Session(ctx, a.flags.user)
		if err != nil {
			return err
		}
		if readOnly != nil {
			if err := s.SetReadOnly(ctx, *readOnly); err != nil {
				return err
			}
			a.did(true)
		}
		return a.printOne(object{
			{"organization", a.flags.org}, {"super", a.flags.super}, {"created", created},
		}, "Created SuperTable: "+a.flags.super)
	})
}
