package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/supertable-go/supertable"
)

// maintainer is what the commands of maintenance need of a session.
type maintainer interface {
	Compact(ctx context.Context, table string, o *supertable.MaintainOptions) ([]supertable.CompactResult, error)
	Flush(ctx context.Context, table string, o *supertable.MaintainOptions) ([]supertable.FlushResult, error)
	Expire(ctx context.Context, o *supertable.ExpireOptions) ([]int64, error)
	Clean(ctx context.Context, o *supertable.CleanOptions) ([]string, error)
	Maintain(ctx context.Context, o *supertable.MaintainOptions) (supertable.MaintainResult, error)
}

const dryRunHelp = "say what would happen and change nothing"

// The JSON forms; dry_run stands there only when it is one.
type (
	compactJSON struct {
		Table       string `json:"table"`
		FilesBefore int64  `json:"files_before"`
		FilesAfter  int64  `json:"files_after"`
		BytesBefore int64  `json:"bytes_before"`
		BytesAfter  int64  `json:"bytes_after"`
		Snapshot    int64  `json:"snapshot"`
		DryRun      bool   `json:"dry_run,omitempty"`
	}
	flushJSON struct {
		Table    string `json:"table"`
		Rows     int64  `json:"rows"`
		Snapshot int64  `json:"snapshot"`
		DryRun   bool   `json:"dry_run,omitempty"`
	}
	expireJSON struct {
		Expired []int64 `json:"expired"`
		DryRun  bool    `json:"dry_run,omitempty"`
	}
	cleanJSON struct {
		Removed []string `json:"removed"`
		DryRun  bool     `json:"dry_run,omitempty"`
	}
	maintainJSON struct {
		Flush   []flushJSON   `json:"flush"`
		Compact []compactJSON `json:"compact"`
		Expire  expireJSON    `json:"expire"`
		Clean   cleanJSON     `json:"clean"`
		DryRun  bool          `json:"dry_run,omitempty"`
	}
)

func compactRows(list []supertable.CompactResult, dry bool) []compactJSON {
	out := make([]compactJSON, len(list))
	for i, c := range list {
		out[i] = compactJSON{c.Table, c.FilesBefore, c.FilesAfter, c.BytesBefore, c.BytesAfter, c.Snapshot, dry}
	}
	return out
}

func flushRows(list []supertable.FlushResult, dry bool) []flushJSON {
	out := make([]flushJSON, len(list))
	for i, f := range list {
		out[i] = flushJSON{f.Table, f.Rows, f.Snapshot, dry}
	}
	return out
}

// piecemeal notes that a command commits piece after piece: when it is
// interrupted, some of it may be done.
func (a *app) piecemeal(dry bool) {
	if !dry {
		a.done = stays
	}
}

func (a *app) compactCommand() *cobra.Command {
	var dry bool
	cmd := &cobra.Command{
		Use:   "compact [TABLE]",
		Short: "Merge small files, write files without their dead rows",
		Long: `Compact writes data files that have dead rows again without them and merges
small files, of one table or of all. Every retained snapshot answers as before;
the old files stay until expire and clean let them go.`,
		Example:           "  supertable compact orders",
		Args:              takes(0, 1, "TABLE"),
		ValidArgsFunction: a.completeTable,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.read(cmd.Context(), func(s session) error {
				a.piecemeal(dry)
				list, err := s.Compact(cmd.Context(), first(args), &supertable.MaintainOptions{DryRun: dry})
				if err != nil {
					return err
				}
				a.did(!dry && slices.ContainsFunc(list, compacted))
				return a.printList(compactListing(list, dry))
			})
		},
	}
	cmd.Flags().BoolVar(&dry, "dry-run", false, dryRunHelp)
	return cmd
}

// compacted tells a table of which files were written again.
func compacted(c supertable.CompactResult) bool {
	return c.FilesBefore != c.FilesAfter || c.BytesBefore != c.BytesAfter
}

func compactListing(list []supertable.CompactResult, dry bool) listing {
	l := listing{columns: []string{"table", "files_before", "files_after", "bytes_before", "bytes_after", "snapshot"}}
	for _, c := range list {
		l.rows = append(l.rows, []any{c.Table, c.FilesBefore, c.FilesAfter, c.BytesBefore, c.BytesAfter, c.Snapshot})
	}
	return l.dry(dry)
}

// dry adds the column dry_run to a listing of what would happen.
func (l listing) dry(dry bool) listing {
	if !dry {
		return l
	}
	l.columns = append(l.columns, "dry_run")
	for i := range l.rows {
		l.rows[i] = append(l.rows[i], true)
	}
	return l
}

func (a *app) flushCommand() *cobra.Command {
	var dry bool
	cmd := &cobra.Command{
		Use:   "flush [TABLE]",
		Short: "Move rows out of the catalog into files",
		Long: `Flush moves what the catalog itself holds of a table's rows into files: rows
that it lists as dead, and rows that other DuckLake clients put into it. Every
retained snapshot answers as before.`,
		Example:           "  supertable flush orders",
		Args:              takes(0, 1, "TABLE"),
		ValidArgsFunction: a.completeTable,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.read(cmd.Context(), func(s session) error {
				a.piecemeal(dry)
				list, err := s.Flush(cmd.Context(), first(args), &supertable.MaintainOptions{DryRun: dry})
				if err != nil {
					return err
				}
				a.did(!dry && slices.ContainsFunc(list, func(f supertable.FlushResult) bool { return f.Rows > 0 }))
				l := listing{columns: []string{"table", "rows", "snapshot"}}
				for _, f := range list {
					l.rows = append(l.rows, []any{f.Table, f.Rows, f.Snapshot})
				}
				return a.printList(l.dry(dry))
			})
		},
	}
	cmd.Flags().BoolVar(&dry, "dry-run", false, dryRunHelp)
	return cmd
}

func (a *app) expireCommand() *cobra.Command {
	var dry bool
	var keep numberFlag
	var older graceFlag
	cmd := &cobra.Command{
		Use:   "expire [--keep-last N] [--older-than D]",
		Short: "Remove old snapshots",
		Long: `Expire removes the snapshots that no rule keeps: --keep-last N keeps the last N
that changed an ordinary table, --older-than D those that are younger; with both,
a snapshot goes only when neither keeps it. Without them the options
expire_keep_last and expire_older_than of the SuperTable hold. The newest
snapshot, tagged ones and those that a running query reads always stay. Files
that only the removed ones named go at the next clean.`,
		Example: "  supertable expire --keep-last 20 --older-than 7d",
		Args:    takes(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			o := &supertable.ExpireOptions{DryRun: dry}
			if keep.set {
				if o.KeepLast = keep.n; keep.n < 1 {
					return usagef(cmd, "--keep-last needs a number from 1 on")
				}
			}
			if older.set {
				o.OlderThan = &older.d
			}
			return a.read(cmd.Context(), func(s session) error {
				a.piecemeal(dry)
				gone, err := s.Expire(cmd.Context(), o)
				if !keep.set && !older.set && supertable.KindOf(err) == supertable.InvalidArgument {
					return usagef(cmd, "expire needs --keep-last or --older-than, or one of the options expire_keep_last and expire_older_than")
				}
				if err != nil {
					return err
				}
				a.did(!dry && len(gone) > 0)
				return a.printExpired(expireJSON{gone, dry})
			})
		},
	}
	cmd.Flags().Var(&keep, "keep-last", "keep the last `N` snapshots that changed an ordinary table")
	cmd.Flags().Var(&older, "older-than", "keep the snapshots younger than this `duration`")
	cmd.Flags().BoolVar(&dry, "dry-run", false, dryRunHelp)
	return cmd
}

func (a *app) printExpired(r expireJSON) error {
	if r.Expired == nil {
		r.Expired = []int64{}
	}
	l := listing{columns: []string{"expired"}}
	for _, id := range r.Expired {
		l.rows = append(l.rows, []any{id})
	}
	return a.printNested(r, l.dry(r.DryRun), would(r.DryRun, plural(int64(len(r.Expired)), "snapshot"), "expired", "expire"))
}

func (a *app) cleanCommand() *cobra.Command {
	var dry bool
	var grace graceFlag
	cmd := &cobra.Command{
		Use:   "clean [--grace D]",
		Short: "Remove files that nothing needs any more",
		Long: `Clean removes the files that no retained snapshot names: those that compaction,
expiry and dropped tables left, and those that were never committed; what dead
writers left goes too. Each stays for the grace after it became obsolete (the
option clean_grace, a day); with --grace 0s it goes at once. Files of running
writes and queries always stay.`,
		Example: "  supertable clean --grace 0s --dry-run",
		Args:    takes(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			o := &supertable.CleanOptions{DryRun: dry}
			if grace.set {
				o.Grace = &grace.d
			}
			return a.read(cmd.Context(), func(s session) error {
				a.piecemeal(dry)
				removed, err := s.Clean(cmd.Context(), o)
				if err != nil {
					return err
				}
				a.did(!dry && len(removed) > 0)
				return a.printRemoved(cleanJSON{removed, dry})
			})
		},
	}
	cmd.Flags().Var(&grace, "grace", "how long an obsolete file stays: a `duration`, 0s is no time")
	cmd.Flags().BoolVar(&dry, "dry-run", false, dryRunHelp)
	return cmd
}

func (a *app) printRemoved(r cleanJSON) error {
	if r.Removed == nil {
		r.Removed = []string{}
	}
	l := listing{columns: []string{"removed"}}
	for _, path := range r.Removed {
		l.rows = append(l.rows, []any{path})
	}
	return a.printNested(r, l.dry(r.DryRun), would(r.DryRun, plural(int64(len(r.Removed)), "file"), "removed", "remove"))
}

// would is the sentence that says what was done or, after a dry run, would be.
func would(dry bool, what, done, do string) string {
	if dry {
		return "Would " + do + " " + what
	}
	return strings.ToUpper(done[:1]) + done[1:] + " " + what
}

// printNested prints a result that is an object with lists: as itself in JSON,
// as the sentence with a listing below it for people.
func (a *app) printNested(v any, l listing, sentence string) error {
	return a.result(func(w io.Writer) error {
		switch a.flags.format {
		case formatJSON, formatNDJSON:
			e := json.NewEncoder(w)
			e.SetEscapeHTML(false)
			return e.Encode(v)
		case formatTable:
			if _, err := io.WriteString(w, sentence+"\n"); err != nil || len(l.rows) == 0 {
				return err
			}
		}
		return writeListing(w, a.flags.format, l)
	})
}

func (a *app) maintainCommand() *cobra.Command {
	var dry bool
	var every durationFlag
	cmd := &cobra.Command{
		Use:   "maintain [--every D]",
		Short: "Flush, compact, expire and clean what the options ask for",
		Long: `Maintain does in one run what the options ask for: flush, compact, expire (when
expire_keep_last or expire_older_than is set) and clean. With --every it goes on
until it is interrupted. See option list for the limits.`,
		Example: "  supertable maintain --every 5m",
		Args:    takes(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.read(cmd.Context(), func(s session) error {
				if every.d == 0 {
					return a.maintainOnce(cmd.Context(), s, dry)
				}
				return a.maintainEvery(cmd.Context(), s, dry, every.d)
			})
		},
	}
	cmd.Flags().Var(&every, "every", "do it again and again, with this pause")
	cmd.Flags().BoolVar(&dry, "dry-run", false, dryRunHelp)
	return cmd
}

func (a *app) maintainOnce(ctx context.Context, s session, dry bool) error {
	a.piecemeal(dry)
	r, err := s.Maintain(ctx, &supertable.MaintainOptions{DryRun: dry})
	if err != nil {
		return err
	}
	out := maintainJSON{flushRows(r.Flush, dry), compactRows(r.Compact, dry), expireJSON{r.Expired, dry}, cleanJSON{r.Removed, dry}, dry}
	l := listing{columns: []string{"step", "object", "detail"}}
	for _, f := range r.Flush {
		l.rows = append(l.rows, []any{"flush", f.Table, plural(f.Rows, "row")})
	}
	for _, c := range r.Compact {
		l.rows = append(l.rows, []any{"compact", c.Table, fmt.Sprintf("%d → %s", c.FilesBefore, plural(c.FilesAfter, "file"))})
	}
	for _, id := range r.Expired {
		l.rows = append(l.rows, []any{"expire", fmt.Sprint(id), "snapshot"})
	}
	for _, path := range r.Removed {
		l.rows = append(l.rows, []any{"clean", path, "file"})
	}
	a.did(!dry && len(l.rows) > 0)
	sentence := "Maintained"
	switch {
	case len(l.rows) == 0:
		sentence = "Nothing to do"
	case dry:
		sentence = "Would do"
	}
	return a.printNested(out, l, sentence)
}

// maintainEvery goes on until it is interrupted. The first run must succeed;
// what fails later is noted, and tried again.
func (a *app) maintainEvery(ctx context.Context, s session, dry bool, every time.Duration) error {
	if err := a.maintainOnce(ctx, s, dry); err != nil {
		return err
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
		err := a.maintainOnce(ctx, s, dry)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case supertable.KindOf(err) == supertable.NotFound: // the SuperTable was dropped
			return err
		case err != nil:
			a.note("maintenance failed and is tried again: %v", err)
		}
	}
}

// graceFlag is an optional duration that may be none at all.
type graceFlag struct {
	d   time.Duration
	set bool
}

// Set reads a duration of the command line.
func (f *graceFlag) Set(s string) (err error) {
	f.d, err = parseDuration(s)
	f.set = err == nil
	return err
}

// String and Type are what the flag parser asks for.
func (f *graceFlag) String() string {
	if !f.set {
		return ""
	}
	return f.d.String()
}

// Type names the value in help texts.
func (f *graceFlag) Type() string { return "duration" }
