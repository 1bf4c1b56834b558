package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/supertable-go/supertable"
)

func (a *app) backupCommand() *cobra.Command {
	var verify bool
	cmd := &cobra.Command{
		Use:   "backup DIR",
		Short: "Copy the SuperTable into a folder, while writers go on",
		Long: `Backup copies the catalog with all its snapshots, every file that one of them
names, the staging areas and a log into DIR, which must not exist or be empty
and must lie outside of the home. Every file is verified on the way. DIR appears
when everything in it is on disk; an interrupted backup leaves none.

With --verify nothing is copied: the backup that lies in DIR is read from end to
end, and what a restore of it would refuse is an error.`,
		Example: "  supertable backup /mnt/backup/sales-2026-11-26\n  supertable backup --verify /mnt/backup/sales-2026-11-26",
		Args:    takes(1, 1, "DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if verify {
				return a.verifyBackup(cmd.Context(), args[0])
			}
			return a.read(cmd.Context(), func(s session) error {
				r, err := s.Backup(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				a.did(true)
				return a.printBackup("Backed up", r)
			})
		},
	}
	cmd.Flags().BoolVar(&verify, "verify", false, "read the backup that lies in DIR and copy nothing")
	return cmd
}

func (a *app) verifyBackup(ctx context.Context, dir string) error {
	return a.withLake(ctx, func(lake *supertable.Lake) error {
		r, err := lake.VerifyBackup(ctx, a.flags.user, dir)
		if err != nil {
			return err
		}
		return a.printBackup("Verified", r)
	})
}

func (a *app) restoreCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "restore DIR",
		Short: "Make a SuperTable from a backup",
		Long: `Restore makes the SuperTable of --org and --super, which must not exist, from
the backup in DIR. Everything is verified before any of it can be seen. The name
and the home may be others than those of the backup.`,
		Example: "  supertable restore /mnt/backup/sales-2026-11-26 --super sales",
		Args:    takes(1, 1, "DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withLake(cmd.Context(), func(lake *supertable.Lake) error {
				r, err := lake.Restore(cmd.Context(), a.flags.user, a.flags.org, a.flags.super, args[0])
				if err != nil {
					return err
				}
				a.did(true)
				return a.printBackup("Restored", r)
			})
		},
	}
}

func (a *app) printBackup(done string, r supertable.BackupResult) error {
	o := object{{"snapshot", r.Snapshot}, {"files", r.Files}, {"bytes", r.Bytes}}
	return a.printOne(o, fmt.Sprintf("%s snapshot %d: %s, %s", done, r.Snapshot, plural(r.Files, "file"), plural(r.Bytes, "byte")))
}

func (a *app) rebuildCommand() *cobra.Command {
	var o supertable.RebuildOptions
	cmd := &cobra.Command{
		Use:   "rebuild",
		Short: "Make a lost or damaged catalog again from its log",
		Long: `Rebuild makes the catalog again from the log that the commits keep beside the
data: tables, snapshots, history, options, roles and users. It says what it could
not bring back. Data files are never touched, and the catalog that was there
stays, as catalog-kept-TIME.db. A catalog that is sound is left alone, unless
--force is given.`,
		Example: "  supertable rebuild --super sales",
		Args:    takes(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withLake(cmd.Context(), func(lake *supertable.Lake) error {
				r, err := lake.Rebuild(cmd.Context(), a.flags.user, a.flags.org, a.flags.super, &o)
				if err != nil {
					return err
				}
				a.did(true)
				if r.Kept != "" {
					a.note("the catalog that was there is now %s", r.Kept)
				}
				for _, m := range r.Missing {
					a.note("missing: %s", m)
				}
				sentence := fmt.Sprintf("Rebuilt %s, %s; %d missing", plural(int64(r.Tables), "table"), plural(int64(r.Snapshots), "snapshot"), len(r.Missing))
				if a.flags.format == formatJSON || a.flags.format == formatNDJSON {
					return a.result(func(w io.Writer) error {
						e := json.NewEncoder(w)
						e.SetEscapeHTML(false)
						return e.Encode(r)
					})
				}
				return a.printOne(object{{"tables", int64(r.Tables)}, {"snapshots", int64(r.Snapshots)}, {"missing", strings.Join(r.Missing, "; ")}}, sentence)
			})
		},
	}
	cmd.Flags().BoolVar(&o.Force, "force", false, "also when the catalog is sound")
	return cmd
}
