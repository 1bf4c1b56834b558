package ingest

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/rbac"
)

// RollbackOptions of Rollback.
type RollbackOptions struct {
	To         int64
	ExpectHead *int64
	DryRun     bool
	Message    string
}

// RollbackResult says what a rollback did, or would do.
type RollbackResult struct {
	Table              string
	From, To, Snapshot int64
	Inserted, Deleted  int64
}

// Rollback makes the state of an earlier snapshot the newest one: a snapshot
// more, nothing is taken back. What is decided outside the commit lock is
// decided again inside, on the head that is there then.
func (w *Writer) Rollback(ctx context.Context, g rbac.Grant, table string, o RollbackOptions) (RollbackResult, error) {
	if !g.Permits(rbac.Control, table) { // I6
		return RollbackResult{}, errs.New(errs.Denied, "You don't have permission to roll this table back.")
	}
	if len(o.Message) > 64<<10 {
		return RollbackResult{}, errs.New(errs.InvalidArgument, "a message has at most 64 KiB")
	}
	var res RollbackResult
	err := w.restoring(ctx, g, table, o.DryRun, func(ctx context.Context, r *restoring, v *catalog.View) error {
		if o.ExpectHead != nil && *o.ExpectHead != v.Head.ID {
			return errs.New(errs.Unavailable, "the head is snapshot %d, not %d as expected: look at what came since, then try again", v.Head.ID, *o.ExpectHead)
		}
		var err error
		if r.table, err = v.Table(ctx, table, v.Head.ID); err != nil {
			return err
		}
		if _, err := v.Snapshot(ctx, o.To); err != nil {
			return err
		}
		then, err := v.TableByID(ctx, r.table.ID, o.To)
		if err == nil { // what comes back must be his under the name it had, too
			err = w.permit(ctx, v, g, rbac.Control, then.Name)
		}
		if err != nil {
			return errs.New(errs.NotFound, "table %s was not there at snapshot %d", r.table.Name, o.To)
		}
		if err := r.covered(ctx, v, o.To); err != nil {
			return err
		}
		r.record = catalog.Record{Operation: "rollback", Principal: g.Principal().Name(), Message: o.Message}
		if r.at, err = v.LastAlike(ctx, r.table, o.To); err != nil {
			return err
		}
		if err := r.decide(ctx, v); err != nil {
			return err
		}
		res = RollbackResult{Table: r.table.Name, From: v.Head.ID, To: o.To, Snapshot: v.Head.ID, Inserted: r.plan.inserted, Deleted: r.plan.deleted}
		if !r.nothing {
			res.Snapshot++
		}
		return nil
	})
	return res, err
}

// UndropResult says where a table came back.
type UndropResult struct {
	Table    string
	Snapshot int64
}

// Undrop brings a dropped table back as it was last, as a new snapshot and
// under its own ids (decision 26).
func (w *Writer) Undrop(ctx context.Context, g rbac.Grant, table string) (UndropResult, error) {
	if !g.Permits(rbac.Control, table) { // I6
		return UndropResult{}, errs.New(errs.Denied, "You don't have permission to bring this table back.")
	}
	var res UndropResult
	err := w.restoring(ctx, g, table, false, func(ctx context.Context, r *restoring, v *catalog.View) error {
		other, err := v.Table(ctx, table, v.Head.ID)
		if err == nil {
			return errs.New(errs.AlreadyExists, "a table named %s exists already; rename it first", other.Name)
		}
		if errs.KindOf(err) != errs.NotFound {
			return err
		}
		if r.table, r.at, err = v.LastDrop(ctx, table); err != nil {
			return err
		}
		r.undrop = true
		r.record = catalog.Record{Operation: "undrop", Principal: g.Principal().Name()}
		if err := r.decide(ctx, v); err != nil {
			return err
		}
		res = UndropResult{Table: r.table.Name, Snapshot: v.Head.ID + 1}
		return nil
	})
	return res, err
}

// covered refuses earlier names of columns that would show what some role hides.
func (r *restoring) covered(ctx context.Context, v *catalog.View, at int64) error {
	now, err := v.Columns(ctx, r.table.ID, v.Head.ID)
	if err != nil {
		return err
	}
	then, err := v.Columns(ctx, r.table.ID, at)
	if err != nil {
		return err
	}
	names := map[string]string{}
	for _, c := range now {
		i := slices.IndexFunc(then, func(o datafile.Column) bool { return o.ID == c.ID })
		if i >= 0 && !strings.EqualFold(then[i].Name, c.Name) {
			names[c.Name] = then[i].Name
		}
	}
	if len(names) == 0 {
		return nil
	}
	p, err := r.w.Policy(ctx, v)
	if err != nil {
		return err
	}
	return p.CheckRename(r.table.Name, r.table.Name, names)
}

// restoring is one return to an earlier state, from its plan to its commit.
type restoring struct {
	*job
	undrop  bool
	table   catalog.Table
	at      int64 // the snapshot that comes back
	plan    restorePlan
	nothing bool // to do
	record  catalog.Record
	copies  map[int64]*fileCopy        // by the file that they are copies of
	inlined int64                      // dead rows of copies that go into the catalog
	since   map[fileAt]datafile.Bitmap // rows of merged files that came later
	hasty   bool                       // others wait: do not read files
}

// restoring runs plan outside the commit lock and makes the copies that it
// asks for, then once more inside, for the change itself.
func (w *Writer) restoring(ctx context.Context, g rbac.Grant, table string, dryRun bool, plan func(context.Context, *restoring, *catalog.View) error) error {
	for again := true; ; again = false {
		err := w.restoreOnce(ctx, g, table, dryRun, plan)
		if !again || !errors.Is(err, catalog.ErrLeaseLost) {
			return err
		}
	}
}

func (w *Writer) restoreOnce(ctx context.Context, g rbac.Grant, table string, dryRun bool, plan func(context.Context, *restoring, *catalog.View) error) error {
	r := &restoring{job: &job{w: w, g: g, name: table}, copies: map[int64]*fileCopy{}, since: map[fileAt]datafile.Bitmap{}}
	defer r.close()
	for ; ; r.attempt++ {
		// The files of the state that comes back are read and linked: until the
		// commit no expiry may take its snapshot, and no cleaning them.
		if r.reading != nil {
			r.reading.End()
		}
		r.reading = w.Catalog.Reading()
		err := w.Catalog.Read(ctx, func(v *catalog.View) error {
			if w.Catalog.Foreign() {
				return errs.New(errs.Denied, "this lake was made by another DuckLake client and is read-only; run create to adopt it")
			}
			if err := w.permit(ctx, v, g, rbac.Control, table); err != nil {
				return err
			}
			err := plan(ctx, r, v)
			r.reading.At(min(r.at, v.Head.ID))
			return err
		})
		if err != nil || dryRun || r.nothing {
			return err
		}
		if r.lease == "" { // one lease for all copies: when it is lost, so are they, and it begins again
			if r.lease, err = w.Catalog.Lease(ctx); err != nil { // not inside the commit: it takes the same lock
				return err
			}
		}
		if err := w.Catalog.Read(ctx, func(v *catalog.View) error { return r.copyFiles(ctx, v) }); err != nil {
			// Its snapshot may have expired meanwhile: then that is the answer.
			if gone := w.Catalog.Read(ctx, func(v *catalog.View) error { return plan(ctx, r, v) }); gone != nil {
				return gone
			}
			return err
		}
		_, err = w.Catalog.Commit(ctx, func(ctx context.Context, v *catalog.View) (*catalog.Change, error) {
			if err := w.permit(ctx, v, g, rbac.Control, table); err != nil {
				return nil, err
			}
			r.hasty = r.attempt < maxAgain
			err := plan(ctx, r, v)
			r.hasty = false
			if err != nil || r.nothing {
				return nil, err
			}
			if r.missing() > 0 && r.attempt < maxAgain {
				return nil, errAgain
			}
			if err := r.copyFiles(ctx, v); err != nil {
				return nil, err
			}
			return r.change(), nil
		})
		if errors.Is(err, errAgain) {
			continue
		}
		r.committed = err == nil
		return err
	}
}

// decide plans the return on the view's head.
func (r *restoring) decide(ctx context.Context, v *catalog.View) error {
	then, err := r.states(ctx, v, r.at)
	if err != nil {
		return err
	}
	var now []fileState
	sameColumns := false
	if !r.undrop {
		if now, err = r.states(ctx, v, v.Head.ID); err != nil {
			return err
		}
		if sameColumns, err = v.SameColumns(ctx, r.table, r.at, v.Head.ID); err != nil {
			return err
		}
	}
	r.plan = planRestore(then, now)
	come, gone, err := v.InlinedSince(ctx, r.table, r.at)
	if err != nil {
		return err
	}
	if r.undrop { // what ended never came back by itself
		rows, err := v.CountInlinedRows(ctx, r.table, r.at)
		if err != nil {
			return err
		}
		come, gone = rows, 0
	}
	r.plan.inserted += come
	r.plan.deleted += gone
	r.nothing = !r.undrop && sameColumns && come+gone == 0 && len(r.plan.remove)+len(r.plan.restore) == 0
	r.limits, err = r.options(ctx, v)
	return err
}

func (r *restoring) options(ctx context.Context, v *catalog.View) (map[string]int64, error) {
	super, err := v.Options(ctx, catalog.SuperOptions)
	if err != nil {
		return nil, err
	}
	own, err := v.Options(ctx, r.table.ID)
	return mergeOptions(super, own), err
}

// change puts the plan and its copies into a change of the catalog.
func (r *restoring) change() *catalog.Change {
	ch := &catalog.Change{Table: r.table, Remove: r.plan.remove, Record: r.record, Restore: &catalog.Restore{At: r.at, Undrop: r.undrop}}
	ch.Record.Inserted, ch.Record.Deleted = r.plan.inserted, r.plan.deleted
	r.named = map[string]bool{}
	for _, s := range r.plan.restore {
		c := r.copies[s.file.ID]
		if c.written != nil {
			for i := range c.written.files {
				f := &c.written.files[i]
				r.named[f.rel] = true
				ch.Restore.Files = append(ch.Restore.Files, catalog.RestoredFile{File: s.file.ID, Rel: f.rel, Written: &f.info})
			}
			continue
		}
		f := catalog.RestoredFile{File: s.file.ID, Rel: c.rel, Delete: c.delete}
		r.named[c.rel] = true
		if c.delete != nil {
			r.named[c.delete.Rel] = true
		} else {
			f.Dead = s.dead.Positions()
		}
		ch.Restore.Files = append(ch.Restore.Files, f)
	}
	if len(ch.Restore.Files) > 0 {
		ch.Lease = r.lease
	}
	return ch
}
