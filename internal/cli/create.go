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
			o := &supertable.CreateOptions{}
			if readOnly || readWrite {
				o.ReadOnly = &readOnly
			}
			return a.create(cmd, o)
		},
	}
	cmd.Flags().BoolVar(&readOnly, "read-only", false, "refuse every write from now on")
	cmd.Flags().BoolVar(&readWrite, "read-write", false, "accept writes again")
	return cmd
}

func (a *app) create(cmd *cobra.Command, o *supertable.CreateOptions) error {
	return a.withLake(cmd.Context(), func(lake *supertable.Lake) error {
		_, created, err := lake.Create(cmd.Context(), a.flags.org, a.flags.super, o)
		if err != nil {
			return err
		}
		return a.printOne(object{
			{"organization", a.flags.org}, {"super", a.flags.super}, {"created", created},
		}, "Created SuperTable: "+a.flags.super)
	})
}
