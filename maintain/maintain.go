// Package maintain keeps a lake small and quick without changing an answer:
// compaction, flush, expiry, cleaning.
//
// Every decision is a pure function (plan.go); the rest does as it is told.
// Files are written under a lease like those of a write, and one commit puts
// them in the place of the old ones, if those are still what was read: a
// concurrent write wins, and the work is done again or left for the next time.
// After each step every retained snapshot answers exactly as before (ADR 0010).
package maintain

import (
	"context"
	"log/slog"
	"time"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/engine"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/rbac"
)

// Runner maintains one SuperTable. It is safe for concurrent use; several
// processes may maintain one SuperTable.
type Runner struct {
	Catalog *catalog.Catalog
	// Engine gives the engine that reads and writes files.
	Engine func(context.Context) (engine.Engine, error)
	// Settings gives every option that holds, from what is set for the
	// SuperTable and for the table.
	Settings func(super, table map[string]string) map[string]int64
	// Authorize gives the rights that the principal has under the rules that
	// hold in the view: what was granted may be revoked before the commit.
	Authorize func(context.Context, *catalog.View, rbac.Principal) (rbac.Grant, error)
	// Aging names the column of a table, in milliseconds since 1970, by which its
	// old files go; "" is none. Files of different days (UTC) are not merged, or
	// the newest row of a file would keep the old ones.
	Aging  func(table string) string
	Now    func() time.Time
	Logger *slog.Logger
}

// How says how far to go.
type How struct {
	// DryRun plans and changes nothing.
	DryRun bool
	// Due does only what the limits of the options ask for; else everything
	// that helps.
	Due bool
}

// maintainLock is the lock file at which maintenance queues: two of one kind
// at once would do the same work twice. Writers never take it.
const maintainLock = "maintain.lock"

// rounds is how often work that a concurrent write made void is done again.
const rounds = 3

// allowed refuses who may not maintain, and lakes that may not change (I6).
func (r *Runner) allowed(ctx context.Context, g rbac.Grant, table string) error {
	if !g.Permits(rbac.Control, table) {
		return errs.New(errs.Denied, "You don't have permission for this (%s).", rbac.Control)
	}
	if r.Catalog.Foreign() {
		return errs.New(errs.Denied, "this lake was made by another DuckLake client and is read-only; run create to adopt it")
	}
	return r.Catalog.Read(ctx, func(v *catalog.View) error { return r.still(ctx, v, g, table) })
}

// still is allowed inside a commit: under the rules that hold there.
func (r *Runner) still(ctx context.Context, v *catalog.View, g rbac.Grant, table string) error {
	ro, err := v.ReadOnly(ctx)
	if err == nil && ro {
		err = errs.New(errs.Denied, "the SuperTable is read-only; make it writable with: create --read-write")
	}
	if err != nil {
		return err
	}
	now, err := r.Authorize(ctx, v, g.Principal())
	if err == nil && !now.Permits(rbac.Control, table) {
		err = errs.New(errs.Denied, "You don't have permission for this (%s).", rbac.Control)
	}
	return err
}

// lock keeps other maintenance out until the returned function is called.
func (r *Runner) lock(ctx context.Context, how How) (func(), error) {
	if how.DryRun {
		return func() {}, nil
	}
	return r.Catalog.Folder().Lock(ctx, maintainLock)
}

// Hold keeps compaction, flush, expiry and cleaning of all processes waiting
// until release is called.
func (r *Runner) Hold(ctx context.Context) (release func(), err error) {
	return r.Catalog.Folder().Lock(ctx, maintainLock)
}

// tables lists the tables to work on: the one named, or all.
func (r *Runner) tables(ctx context.Context, name string) (out []catalog.Table, head int64, err error) {
	err = r.Catalog.Read(ctx, func(v *catalog.View) error {
		head = v.Head.ID
		if name == "" {
			out, err = v.Tables(ctx, v.Head.ID)
			return err
		}
		t, err := v.Table(ctx, name, v.Head.ID)
		out = []catalog.Table{t}
		return err
	})
	return out, head, err
}

// settings reads the options that hold for a table.
func (r *Runner) settings(ctx context.Context, v *catalog.View, table int64) (map[string]int64, error) {
	super, err := v.Options(ctx, catalog.SuperOptions)
	if err != nil || table == catalog.SuperOptions {
		return r.Settings(super, nil), err
	}
	own, err := v.Options(ctx, table)
	return r.Settings(super, own), err
}

// LimitsOf reads the limits from the options that hold.
func LimitsOf(o map[string]int64) Limits {
	return Limits{
		SmallFiles: o["max_overlapping_files"], SmallBytes: o["max_memory_chunk_size"], DeadRows: o["max_tombstone_rows"],
		DeadPercent: o["rewrite_dead_percent"], TargetBytes: o["target_file_size"], FlushRows: o["flush_dead_rows"], InsideRows: o["flush_rows"],
	}
}

// Retention reads the rules of expiry from the options of the SuperTable.
func (r *Runner) Retention(ctx context.Context) (out Retention, err error) {
	err = r.Catalog.Read(ctx, func(v *catalog.View) error {
		o, err := r.settings(ctx, v, catalog.SuperOptions)
		out = Retention{KeepLast: o["expire_keep_last"], OlderThan: -1}
		if s := o["expire_older_than"]; s > 0 {
			out.OlderThan = time.Duration(s) * time.Second
		}
		return err
	})
	return out, err
}

// Grace reads the grace of cleaning from the options of the SuperTable.
func (r *Runner) Grace(ctx context.Context) (grace time.Duration, err error) {
	err = r.Catalog.Read(ctx, func(v *catalog.View) error {
		o, err := r.settings(ctx, v, catalog.SuperOptions)
		grace = time.Duration(o["clean_grace"]) * time.Second
		return err
	})
	return grace, err
}

// Report is what one run of Maintain did.
type Report struct {
	Flush   []Flushed
	Compact []Compacted
	Expired []int64
	Removed []string
}

// Maintain does all that the options ask for: flush, compact, expire, clean.
func (r *Runner) Maintain(ctx context.Context, g rbac.Grant, dryRun bool) (Report, error) {
	how := How{DryRun: dryRun, Due: true}
	rep := Report{Expired: []int64{}, Removed: []string{}}
	var err error
	if rep.Flush, err = r.Flush(ctx, g, "", how); err != nil {
		return rep, err
	}
	if rep.Compact, err = r.Compact(ctx, g, "", how); err != nil {
		return rep, err
	}
	keep, err := r.Retention(ctx)
	if err != nil {
		return rep, err
	}
	if !keep.None() {
		if rep.Expired, err = r.Expire(ctx, g, keep, how); err != nil {
			return rep, err
		}
	}
	grace, err := r.Grace(ctx)
	if err != nil {
		return rep, err
	}
	rep.Removed, err = r.Clean(ctx, g, grace, how)
	return rep, err
}

// Wanted reports whether the SuperTable wants maintenance in the background.
func (r *Runner) Wanted(ctx context.Context, v *catalog.View) (bool, error) {
	o, err := r.settings(ctx, v, catalog.SuperOptions)
	return o["background_maintenance"] != 0, err
}
