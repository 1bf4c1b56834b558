package ingest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/engine"
	"github.com/supertable-go/supertable/ingest/source"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/rbac"
)

// job is one write from its input to its commit.
type job struct {
	w    *Writer
	g    rbac.Grant
	name string
	in   Input
	o    Options

	reading *catalog.Reading // keeps the files that are matched

	conn   engine.Conn
	rel    *source.Relation
	readAs []source.Column // what its texts were read as
	cols   []inColumn      // of the input
	width  int
	few    *fewRows // what was read ahead of a stream; nil for files
	lease  string

	base    *state // the head as it was last looked at outside the lock
	ready   *state // the head that stale rows and deletes are right for
	plan    *plan
	raw     *stage // the input in the plan's types; what a repeat reads
	out     *stage // what is committed: raw, or raw without stale rows
	stale   int64
	match   *matcher
	keys    *matcher // of all rows of the input, to list files by
	deletes *deleteFiles
	stages  []*stage

	rights  *rights // what the principal's rules leave of the write
	checked *stage  // whose rows were held against them

	limits    map[string]int64 // options that hold for the table
	attempt   int
	outside   bool // the rows do not go into the catalog
	inCommit  bool
	wantLease bool // files will be written
	committed bool
	named     map[string]bool // files that the last change names
	res       Result
}

// run takes the write through its steps.
func (j *job) run(ctx context.Context) (Result, error) {
	if res, done, err := j.runDirect(ctx); done {
		return res, err
	}
	if err := j.readBase(ctx); err != nil {
		return Result{}, err
	}
	if err := j.open(ctx); err != nil {
		return Result{}, err
	}
	if j.o.WriteID != "" {
		if done, err := j.repeated(ctx); done || err != nil {
			return j.res, err
		}
	}
	if err := j.stageInput(ctx); err != nil {
		return Result{}, err
	}
	for {
		done, err := j.tryCommit(ctx)
		if !errors.Is(err, errAgain) {
			return done, err
		}
		j.attempt++
		if err := j.readBase(ctx); err != nil {
			return Result{}, err
		}
		if err := j.readAgain(ctx); err != nil {
			return Result{}, err
		}
	}
}

// tryCommit does the work that the base asks for outside the lock, then
// commits; errAgain asks for another round.
func (j *job) tryCommit(ctx context.Context) (Result, error) {
	if len(j.o.Key) > 0 {
		j.progress("matching keys", 1)
	}
	if j.wantLease {
		if err := j.needLease(ctx); err != nil {
			return Result{}, err
		}
	}
	if err := j.prepare(ctx, j.base, j.base.head+1); err != nil {
		return Result{}, err
	}
	j.progress("committing", 1)
	res, err := j.commit(ctx, j.decide)
	if err == nil {
		j.keepFilters(ctx)
	}
	return res, err
}

func (j *job) commit(ctx context.Context, decide catalog.Decide) (Result, error) {
	defer func() { j.inCommit = false }()
	done, err := j.w.Catalog.Commit(ctx, func(ctx context.Context, v *catalog.View) (*catalog.Change, error) {
		j.inCommit = true
		return decide(ctx, v)
	})
	if err != nil {
		return Result{}, err
	}
	j.committed = true
	if !j.res.Duplicate {
		j.res.Snapshot, j.res.Version = done.Snapshot, done.Version
	}
	return j.res, nil
}

// readBase looks at the table as it is now.
func (j *job) readBase(ctx context.Context) error {
	if j.reading != nil {
		j.reading.End()
	}
	j.reading = j.w.Catalog.Reading()
	return j.w.Catalog.Read(ctx, func(v *catalog.View) error {
		j.reading.At(v.Head.ID)
		return j.readBaseIn(ctx, v)
	})
}

func (j *job) readBaseIn(ctx context.Context, v *catalog.View) error {
	if err := j.w.writable(ctx, v); err != nil {
		return err
	}
	_, err := j.renew(ctx, v)
	if err != nil {
		return err
	}
	if j.base, err = j.load(ctx, v); err != nil {
		return err
	}
	err = j.loadOptions(ctx, v)
	if err == nil && j.o.DeleteOnly && !j.base.exists {
		err = errs.New(errs.NotFound, "Table not found: %s", j.name)
	}
	return err
}

func (j *job) loadOptions(ctx context.Context, v *catalog.View) error {
	super, err := v.Options(ctx, catalog.SuperOptions)
	if err != nil {
		return err
	}
	var own map[string]string
	if j.base.exists {
		own, err = v.Options(ctx, j.base.table.ID)
	}
	j.limits = mergeOptions(super, own)
	return err
}

// load reads the table's state at the view's head.
func (j *job) load(ctx context.Context, v *catalog.View) (*state, error) {
	st := &state{head: v.Head.ID, nextID: 1}
	t, err := v.Table(ctx, j.name, v.Head.ID)
	if errs.KindOf(err) == errs.NotFound {
		return st, nil
	}
	if err != nil {
		return nil, err
	}
	st.exists, st.table = true, t
	if st.columns, err = v.Columns(ctx, t.ID, v.Head.ID); err != nil {
		return nil, err
	}
	if st.nextID, err = v.NextColumnID(ctx, t.ID); err != nil {
		return nil, err
	}
	if err := j.loadInside(ctx, v, st); err != nil {
		return nil, err
	}
	return st, j.findHollow(ctx, v, st)
}

func (j *job) keyLeaves(st *state) []int64 {
	var out []int64
	for _, k := range j.o.Key {
		if i := datafile.FindColumn(st.columns, k); i >= 0 && !st.columns[i].Type.Nested() {
			out = append(out, st.columns[i].ID)
		}
	}
	return out
}

// findHollow looks for columns without any value, but only among those whose
// type the input does not meet.
func (j *job) findHollow(ctx context.Context, v *catalog.View, st *state) error {
	st.hollow, st.narrow = map[int64]bool{}, map[int64]bool{}
	for _, c := range j.cols {
		i := datafile.FindColumn(st.columns, c.Name)
		if i < 0 {
			continue
		}
		t, ok := datafile.Unify(st.columns[i].Type, c.Type)
		if !sees(j.g, j.name, c.Name) { // what the table does with the type would tell of values that he does not see
			st.narrow[st.columns[i].ID] = true
			continue
		}
		var err error
		if st.narrow[st.columns[i].ID], err = tooNarrow(ctx, v, st.table, st.columns[i], t); err != nil {
			return err
		}
		if ok {
			continue
		}
		hollow, err := hollowColumn(ctx, v, j.g, st.table, st.columns[i])
		if err != nil {
			return err
		}
		st.hollow[st.columns[i].ID] = hollow
	}
	return nil
}

// tooNarrow reports whether a column of dates or times may hold what does not
// fit the type that it would widen to: finer units reach fewer years.
func tooNarrow(ctx context.Context, v *catalog.View, t catalog.Table, c datafile.Column, to datafile.Type) (bool, error) {
	if c.Type.Same(to) || !strings.HasPrefix(to.Name, "timestamp") || to.Name == "timestamptz" {
		return false, nil
	}
	bounds, known, err := v.FileBounds(ctx, t.ID, c.ID)
	return !known || slices.ContainsFunc(bounds, func(b string) bool { return !datafile.FitsTime(b, to) }), err
}

// open looks at the input: a few rows of Arrow in plain types by themselves,
// anything else on a connection of the engine.
func (j *job) open(ctx context.Context) error {
	direct := false
	if j.few != nil {
		j.cols, direct = j.few.describe()
	}
	if !direct {
		if err := j.openSource(ctx); err != nil {
			return err
		}
	}
	j.width = len(j.cols)
	if err := j.govern(); err != nil {
		return err
	}
	if !j.base.exists {
		return nil
	}
	return j.w.Catalog.Read(ctx, func(v *catalog.View) error { return j.findHollow(ctx, v, j.base) })
}

// openSource makes the input one relation on the connection.
func (j *job) openSource(ctx context.Context) (err error) {
	if err := j.needLease(ctx); err != nil {
		return err
	}
	if j.in.Rows != nil {
		if j.few == nil {
			j.few = readFew(j.in.Rows)
		}
		j.rel, err = source.FromReader(ctx, j.conn, j.few.again())
	} else {
		o := &source.Options{Format: j.in.Format, Declared: j.in.Columns, SpillDir: j.w.Catalog.Folder().LeaseDir(j.lease), Stdin: j.in.Stdin}
		o.Table, o.Hollow = j.tableColumns(j.base)
		j.readAs = o.Table
		j.rel, err = source.Open(ctx, j.conn, j.in.Paths, o)
	}
	if err != nil {
		return err
	}
	if err := j.rel.Rename(j.in.Rename); err != nil {
		return err
	}
	j.cols, err = inputColumns(j.rel)
	return err
}

func inputColumns(rel *source.Relation) (out []inColumn, err error) {
	for _, c := range rel.Columns {
		t, err := datafile.ParseSQL(c.Type)
		if err != nil {
			return nil, errs.New(errs.TypeConflict, "column %q: type %s cannot be stored: cast it to JSON or VARCHAR", c.Name, cut(c.Type))
		}
		out = append(out, inColumn{c.Name, t})
	}
	return out, nil
}

// tableColumns are what the input's texts are read as.
func (j *job) tableColumns(st *state) ([]source.Column, func(context.Context, string) (bool, error)) {
	if !st.exists {
		return nil, nil
	}
	return TableColumns(j.w.Catalog, j.g, st.table, st.columns, j.in.Rename)
}

// outdated reports whether texts would be read as other types now than they
// were, and can be read again.
func (j *job) outdated(st *state) bool {
	if j.rel == nil || !j.rel.Text() || j.in.Stdin != nil {
		return false
	}
	now, _ := j.tableColumns(st)
	return !slices.Equal(now, j.readAs)
}

// readAgain reads texts again as the types that the table has by now.
func (j *job) readAgain(ctx context.Context) error {
	if !j.outdated(j.base) {
		return nil
	}
	if err := j.rel.Close(); err != nil {
		return err
	}
	j.raw, j.out, j.match, j.ready = nil, nil, nil, nil
	if err := j.open(ctx); err != nil {
		return err
	}
	return j.stageInput(ctx)
}

// repeated answers a write whose id was seen before; done tells. That somebody
// else has used the id is told to who does not see the whole table at the commit
// only, when his rows were held against his rules: the id may be that of bytes.
func (j *job) repeated(ctx context.Context) (done bool, err error) {
	if !j.base.exists {
		return false, nil
	}
	seen := false
	err = j.w.Catalog.Read(ctx, func(v *catalog.View) error {
		first, ok, err := v.WriteID(ctx, j.base.table.ID, j.o.WriteID)
		seen = ok && (j.g.Whole(rbac.Write, j.name) || signedBy(j.g.Principal(), first.Signature))
		return err
	})
	if err != nil || !seen {
		return false, err
	}
	n, err := j.countInput(ctx)
	if err != nil {
		return false, err
	}
	j.res = Result{Table: j.base.table.Name, signature: signature(j.g, j.name, j.o, n)}
	err = j.w.Catalog.Read(ctx, func(v *catalog.View) error {
		done, err = duplicate(ctx, v, j.base.table.ID, j.o, &j.res)
		return err
	})
	return done, err
}

// countInput counts the input's rows; a stream is used up by that.
func (j *job) countInput(ctx context.Context) (int64, error) {
	if j.few != nil && j.few.all && j.few.err == nil {
		return j.few.rows, nil
	}
	rows, err := engine.Collect(ctx, j.conn, "SELECT count(*) FROM ("+j.rel.SQL+")", nil)
	if err != nil {
		return 0, j.readError(ctx, err)
	}
	return rows[0][0].(int64), nil
}

// stageInput plans the schema and puts the input's rows on disk in its types.
func (j *job) stageInput(ctx context.Context) error {
	var err error
	if j.plan, err = planSchema(j.base, j.cols, j.o); err != nil {
		return err
	}
	if j.rel == nil {
		if j.raw = j.holdDirect(j.plan); j.raw != nil {
			j.out = j.raw
			return nil
		}
		if err := j.openSource(ctx); err != nil {
			return err
		}
		if j.plan, err = planSchema(j.base, j.cols, j.o); err != nil {
			return err
		}
	}
	stop := j.watch()
	defer stop()
	if j.raw, err = j.stage(ctx, j.plan, j.rel.SQL); errors.Is(err, errNotInside) {
		if err := j.reopen(ctx); err != nil {
			return err
		}
		j.raw, err = j.stage(ctx, j.plan, j.rel.SQL)
	}
	if err != nil {
		return j.readError(ctx, err)
	}
	if j.rel.Rows >= 0 && j.raw.rows != j.rel.Rows {
		return errs.New(errs.Internal, "the engine read %d of %d rows of the input", j.raw.rows, j.rel.Rows)
	}
	j.out = j.raw
	return nil
}

// readError words an error of the engine that came from reading the input.
func (j *job) readError(ctx context.Context, err error) error {
	if cerr := errs.FromContext(ctx, "write "+strconv.Quote(j.name)); cerr != nil {
		return cerr
	}
	if terr := j.tmpError(err); terr != nil {
		return terr
	}
	if ee, ok := errors.AsType[*engine.Error](err); ok {
		if _, rest, ok := strings.Cut(ee.Message, datafile.ConvertMark); ok {
			tag, value, _ := strings.Cut(rest, ":")
			i, aerr := strconv.Atoi(tag)
			if aerr != nil {
				i = -1
			}
			value, _, _ = strings.Cut(value, "\n")
			return j.plan.conflict(i, value)
		}
	}
	if j.rel == nil {
		return j.matchError(ctx, err)
	}
	return j.rel.Explain(err)
}

// decide is the part of the write inside the commit: everything that the work
// outside the lock assumed is looked at again.
func (j *job) decide(ctx context.Context, v *catalog.View) (*catalog.Change, error) {
	if err := j.w.writable(ctx, v); err != nil {
		return nil, err
	}
	if j.o.Allow != nil {
		if err := j.o.Allow(ctx, v); err != nil {
			return nil, err
		}
	}
	changed, err := j.renew(ctx, v)
	if err != nil {
		return nil, err
	}
	if changed {
		return nil, errAgain // the work was held against other rights
	}
	st, err := j.load(ctx, v)
	if err != nil {
		return nil, err
	}
	return j.decideOn(ctx, v, st)
}

// decideOn decides on the state of the head.
func (j *job) decideOn(ctx context.Context, v *catalog.View, st *state) (*catalog.Change, error) {
	if st.exists != j.base.exists && j.o.DeleteOnly {
		return nil, errs.New(errs.NotFound, "Table not found: %s", j.name)
	}
	j.res = Result{Table: j.name, Columns: j.width, signature: signature(j.g, j.name, j.o, j.raw.rows)}
	if st.exists {
		j.res.Table = st.table.Name
		if dup, err := duplicate(ctx, v, st.table.ID, j.o, &j.res); dup || err != nil {
			return nil, err
		}
	}
	if err := j.catchUp(ctx, v, st); err != nil {
		return nil, err
	}
	ch := j.change(st)
	if n := j.o.Exactly; n != nil && j.res.Deleted != *n {
		return nil, errs.New(errs.Unavailable, "%d rows were to be deleted from table %q and %d are still there: nothing was deleted, try again", *n, j.res.Table, j.res.Deleted)
	}
	return ch, nil
}

// catchUp brings the prepared work from the base to the head inside the
// commit. Work that would keep other writers waiting is done outside first,
// unless that was tried often enough.
func (j *job) catchUp(ctx context.Context, v *catalog.View, st *state) error {
	p, err := planSchema(st, j.cols, j.o)
	if err != nil {
		return err
	}
	if !st.listed {
		if err := j.listFiles(ctx, v, st); err != nil {
			return err
		}
	}
	if p.refused() && j.outdated(st) && j.attempt < maxAgain {
		return errAgain // as the types of now its texts may fit
	}
	heavy := !p.sameFile(j.plan) && j.raw.rows > smallRows || j.match.pendingBytes(st) > smallBytes || j.o.NewerThan != "" && j.moved(st) && j.raw.rows > smallRows
	if heavy && j.attempt < maxAgain {
		return errAgain
	}
	return j.prepareIn(ctx, v, st, v.Head.ID+1)
}

// Work up to these sizes is done inside the commit without asking.
const (
	smallRows  = 10_000
	smallBytes = 64 << 20
)

// moved reports whether rows of the table came or went since the work was
// made ready.
func (j *job) moved(st *state) bool {
	if j.ready == nil || len(st.files) != len(j.ready.files) || len(st.inside) > 0 && st.version != j.ready.version {
		return true
	}
	for i := range st.files {
		a, b := &st.files[i], &j.ready.files[i]
		if a.ID != b.ID || deadState(a) != deadState(b) {
			return true
		}
	}
	return false
}

func deadState(f *catalog.File) [3]int64 {
	s := [3]int64{-1, f.Inlined, f.InlinedLast}
	if f.Delete != nil {
		s[0] = f.Delete.ID
	}
	return s
}

func (j *job) prepare(ctx context.Context, st *state, snapshot int64) error {
	return j.w.Catalog.Read(ctx, func(v *catalog.View) error { return j.prepareIn(ctx, v, st, snapshot) })
}

// prepareIn makes plan, files, stale rows and matched rows right for st. What
// is right already is kept.
func (j *job) prepareIn(ctx context.Context, v *catalog.View, st *state, snapshot int64) error {
	p, err := planSchema(st, j.cols, j.o)
	if err != nil {
		return err
	}
	if !p.sameFile(j.plan) || !j.raw.inside.hasDefaults(p) {
		if err := j.restage(ctx, p); err != nil {
			return err
		}
		st.listed = false
	} else {
		j.plan = p
	}
	if !st.listed {
		if err := j.listFiles(ctx, v, st); err != nil {
			return err
		}
	}
	if j.rights == nil { // they changed
		if err := j.govern(); err != nil {
			return err
		}
		j.checked, j.ready = nil, nil
	}
	if err := j.checkInputRows(ctx); err != nil {
		return err
	}
	if j.o.NewerThan != "" && (j.moved(st) || j.ready.exists != st.exists) {
		if err := j.checkStale(ctx, v, st); err != nil {
			return err
		}
		if err := j.dropStale(ctx, v, st); err != nil {
			return err
		}
	}
	if len(j.o.Key) > 0 && st.exists {
		if j.match == nil || j.match.stage != j.out {
			j.match = newMatcher(j, j.out)
			if j.deletes != nil {
				j.deletes.dying = nil // of other keys
			}
		}
		if err := j.match.run(ctx, st); err != nil {
			return err
		}
		if err := j.match.runInside(ctx, v, st); err != nil {
			return err
		}
	}
	if j.match != nil {
		if j.deletes == nil {
			j.deletes = newDeleteFiles(j)
		}
		if err := j.deletes.prepare(ctx, v, st, snapshot); err != nil {
			return err
		}
		if err := j.checkReplaced(ctx, v, st); err != nil {
			return err
		}
	}
	if err := j.publish(j.tableDir(st)); err != nil {
		return err
	}
	j.base, j.ready = st, st
	return nil
}

// restage writes the file again for another plan, from the rows on disk.
func (j *job) restage(ctx context.Context, p *plan) error {
	cols := j.plan.inputColumns()
	from := j.raw.relation(j.plan)
	for i := range p.file { // the rows are in the old plan's types now
		if p.file[i].fill {
			continue
		}
		p.file[i].in = inColumn{Name: cols[i].Name, Type: cols[i].Type}
		t, ok := datafile.Unify(p.file[i].column.Type, cols[i].Type)
		p.file[i].hollow = !ok || !t.Same(p.file[i].column.Type)
	}
	j.plan = p
	raw, err := j.stage(ctx, p, from)
	if err != nil {
		return j.readError(ctx, err)
	}
	j.raw, j.out, j.match, j.ready = raw, raw, nil, nil
	return nil
}

// change puts the prepared work into a change of the catalog.
func (j *job) change(st *state) *catalog.Change {
	ch := &catalog.Change{Table: st.table, Lease: j.lease, Move: j.o.Move}
	if !j.o.DeleteOnly {
		j.res.Inserted = j.out.rows
		ch.Add = j.out.newFiles()
		ch.Rows = j.out.inside.newRows(j.o.Key)
	}
	j.res.Rows, j.res.Skipped = j.res.Inserted, j.stale
	if j.match != nil {
		j.res.Deleted = j.deletes.apply(ch) + j.match.endInside(ch)
	}
	j.named = map[string]bool{}
	for _, f := range ch.Add {
		j.named[f.Rel] = true
	}
	for _, d := range ch.Deletes {
		j.named[d.Rel] = true
	}
	allStale := j.stale > 0 && j.out.rows == 0
	switch {
	case !st.exists:
		ch.Create = &catalog.NewTable{Name: j.name, Columns: j.plan.columns}
	case j.plan.changed && !allStale:
		ch.Columns = j.plan.columns
	}
	j.res.Created, j.res.Altered = ch.Create != nil, ch.Columns != nil
	ch.Record = record(j.g, j.o, j.operation(ch), &j.res)
	ch.Record.Inserted, ch.Record.Deleted, ch.Record.Skipped, ch.Record.Rows = j.res.Inserted, j.res.Deleted, j.res.Skipped, j.res.Inserted
	j.o.note(ch, &j.res)
	if ch.Create == nil && ch.Columns == nil && len(ch.Add) == 0 && ch.Rows == nil && j.res.Deleted == 0 {
		ch.OnlyWriteID = true // nothing changes: no snapshot (decision 24)
	}
	return ch
}

func (j *job) operation(ch *catalog.Change) string {
	switch {
	case j.o.DeleteOnly:
		return "delete"
	case len(j.o.Key) > 0:
		return "upsert"
	case ch.Create != nil && len(ch.Add) == 0 && ch.Rows == nil:
		return "create"
	}
	return "append"
}

func (j *job) progress(phase string, fraction float64) {
	if j.o.Progress != nil && j.rel != nil {
		j.o.Progress(Progress{Phase: phase, Fraction: fraction, TotalBytes: j.rel.Bytes, Rows: j.stagedRows()})
	}
}

func (j *job) stagedRows() int64 {
	if j.raw == nil {
		return 0
	}
	return j.raw.rows
}

func (j *job) close() {
	if j.reading != nil {
		j.reading.End()
	}
	if j.rel != nil {
		_ = j.rel.Close()
	}
	if j.conn != nil {
		_ = j.conn.Close()
	}
	j.few.release()
	j.cleanUp()
}

func (j *job) String() string { return fmt.Sprintf("write %q", j.name) }
