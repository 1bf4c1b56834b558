package maintain

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/engine"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/rbac"
	"github.com/supertable-go/supertable/scan"
)

// Compacted says what was done to the files of one table.
type Compacted struct {
	Table                   string
	FilesBefore, FilesAfter int64
	BytesBefore, BytesAfter int64
	Snapshot                int64
}

// Compact writes files with dead rows again and merges small ones, of one
// table or of all. A table that is named is always in the result, the others
// only when something was done.
func (r *Runner) Compact(ctx context.Context, g rbac.Grant, table string, how How) ([]Compacted, error) {
	if err := r.allowed(ctx, g, table); err != nil {
		return nil, err
	}
	tables, head, err := r.tables(ctx, table)
	if err != nil {
		return nil, err
	}
	out := []Compacted{}
	ahead := int64(0) // snapshots that the tables before would have made
	for _, t := range tables {
		c, did, err := r.compactTable(ctx, g, t, table, how)
		if errs.KindOf(err) == errs.NotFound && table == "" {
			continue // dropped meanwhile
		}
		if err != nil {
			return out, fmt.Errorf("compact %q: %w", t.Name, err)
		}
		if how.DryRun {
			c.Snapshot += ahead
			ahead = c.Snapshot - head
		}
		if did || table != "" {
			out = append(out, c)
		}
	}
	return out, nil
}

// look is a table at one moment, with some of its files.
type look struct {
	table      catalog.Table
	head       int64
	files      []catalog.File
	last       int64         // where the next window begins
	more       bool          // there may be one
	byID       map[int64]int // in files
	columns    []datafile.Column
	candidates []Candidate
	settings   map[string]int64
	limits     Limits
}

// look looks at the files of a window.
func (r *Runner) look(ctx context.Context, id int64, w catalog.Window) (*look, error) {
	l := &look{}
	err := r.Catalog.Read(ctx, func(v *catalog.View) (err error) {
		l.head = v.Head.ID
		if l.table, err = v.TableByID(ctx, id, v.Head.ID); err != nil {
			return err
		}
		if l.columns, err = v.Columns(ctx, id, v.Head.ID); err != nil {
			return err
		}
		aging := agingLeaf(l.columns, r.Aging(l.table.Name))
		if l.files, l.last, l.more, err = v.FilesIn(ctx, l.table, v.Head.ID, w, aging); err != nil {
			return err
		}
		if l.settings, err = r.settings(ctx, v, id); err != nil {
			return err
		}
		l.limits = LimitsOf(l.settings)
		return l.candidate(ctx, v, aging)
	})
	return l, err
}

// windows looks at the files that a window is about, some at a time, until do
// wants no more.
func (r *Runner) windows(ctx context.Context, table int64, w catalog.Window, do func(*look) (more bool, err error)) error {
	w.After, w.Most = -1, windowFiles
	for {
		l, err := r.look(ctx, table, w)
		if err != nil {
			return err
		}
		more, err := do(l)
		if err != nil || !more || !l.more {
			return err
		}
		w.After = l.last
	}
}

// total is what the files of a table come to at one moment.
type total struct {
	catalog.Weight
	table  catalog.Table
	head   int64
	limits Limits
}

func (r *Runner) weigh(ctx context.Context, id int64) (t total, err error) {
	err = r.Catalog.Read(ctx, func(v *catalog.View) (err error) {
		t.head = v.Head.ID
		if t.table, err = v.TableByID(ctx, id, v.Head.ID); err != nil {
			return err
		}
		settings, err := r.settings(ctx, v, id)
		if err != nil {
			return err
		}
		t.limits = LimitsOf(settings)
		t.Weight, err = v.Weigh(ctx, t.table, v.Head.ID, t.limits.SmallBytes)
		return err
	})
	return t, err
}

// agingLeaf is the column by which files age, as a list for Files.
func agingLeaf(cols []datafile.Column, name string) []int64 {
	i := datafile.FindColumn(cols, name)
	if name == "" || i < 0 || !strings.HasPrefix(cols[i].Type.Name, "int") {
		return nil
	}
	return []int64{cols[i].ID}
}

// day tells files that age apart: the day of the newest row, which says when
// the file goes. It is "" when files do not age.
func day(f *catalog.File, aging []int64) string {
	if len(aging) == 0 {
		return ""
	}
	newest := f.Stats[aging[0]].Max
	if newest == nil {
		return " day unknown"
	}
	ms, err := strconv.ParseInt(*newest, 10, 64)
	if err != nil {
		return " day unknown"
	}
	return " day " + time.UnixMilli(ms).UTC().Format(time.DateOnly)
}

func (l *look) candidate(ctx context.Context, v *catalog.View, aging []int64) error {
	dirty, err := v.EverDirty(ctx, l.table, l.files)
	if err != nil {
		return err
	}
	partitions, err := v.Partitions(ctx, l.files)
	if err != nil {
		return err
	}
	versions, err := v.SchemaVersions(ctx, l.table)
	if err != nil {
		return err
	}
	reshaped, err := v.Reshaped(ctx, l.table)
	if err != nil {
		return err
	}
	newest := versionAt(versions, l.head)
	l.byID = make(map[int64]int, len(l.files))
	for i := range l.files {
		f := &l.files[i]
		l.byID[f.ID] = i
		c := Candidate{ID: f.ID, Bytes: f.Size, Rows: f.Records, Dead: f.Inlined}
		if f.Delete != nil {
			c.Dead += f.Delete.Count
		}
		version := versionAt(versions, f.Begin)
		c.Group = fmt.Sprintf("%d %s%s", version, partitions[f.ID], day(f, aging))
		c.After = fmt.Sprintf("%d %s%s", newest, partitions[f.ID], day(f, aging))
		// A file that came back has columns older than its begin says, and one
		// from the snapshot of a change may have the older ones.
		c.Mixed = dirty[f.ID] || f.MappingID != nil || version < 0 || f.Written() != f.Begin || reshaped[f.Begin]
		if f.Outside { // another client's file elsewhere: leave it
			c.Mixed, c.Dead = true, 0
		}
		l.candidates = append(l.candidates, c)
	}
	return nil
}

// versionAt is the schema version, by its first snapshot, that holds at a
// snapshot; -1 is none.
func versionAt(versions []int64, at int64) int64 {
	out := int64(-1)
	for _, b := range versions {
		if b <= at {
			out = b
		}
	}
	return out
}

// file finds a file by its id; ok is false when it is not there any more.
func (l *look) file(id int64) (f catalog.File, ok bool) {
	i, ok := l.byID[id]
	if !ok {
		return f, false
	}
	return l.files[i], true
}

func (t *total) result() Compacted {
	return Compacted{Table: t.table.Name, Snapshot: t.head, FilesBefore: t.Files, FilesAfter: t.Files, BytesBefore: t.Bytes, BytesAfter: t.Bytes}
}

func (r *Runner) compactTable(ctx context.Context, g rbac.Grant, t catalog.Table, asked string, how How) (Compacted, bool, error) {
	unlock, err := r.lock(ctx, how)
	if err != nil {
		return Compacted{}, false, err
	}
	defer unlock()
	reading := r.Catalog.Reading()
	defer reading.End()
	first, err := r.weigh(ctx, t.ID)
	if err != nil {
		return Compacted{}, false, err
	}
	reading.At(first.head)
	res := first.result()
	w := &compaction{r: r, g: g, asked: asked, how: how, snapshot: first.head}
	if how.DryRun {
		return w.foretell(ctx, first)
	}
	if err := w.rewrite(ctx, first); err != nil {
		return res, false, err
	}
	if err := w.merge(ctx, t.ID); err != nil {
		return res, false, err
	}
	if w.snapshot == first.head {
		return res, false, nil
	}
	last, err := r.weigh(ctx, t.ID)
	if err != nil {
		return res, false, err
	}
	res.FilesAfter, res.BytesAfter, res.Snapshot = last.Files, last.Bytes, w.snapshot
	return res, true, nil
}

// compaction is the compaction of one table.
type compaction struct {
	r        *Runner
	g        rbac.Grant
	asked    string // the table that was named; "" is all
	how      How
	snapshot int64 // of the last commit
}

// job puts one new file, or none, in the place of some.
type job struct {
	sources []catalog.File
	columns []datafile.Column // of the new file
	file    *catalog.KeptFile
	settle  *catalog.NewDelete
}

// run does the jobs batch by batch and gives those that came to nothing.
func (w *compaction) run(ctx context.Context, l *look, jobs []*job, word string) (left []*job, err error) {
	for len(jobs) > 0 {
		n, sources, bytes := 0, 0, int64(0) // each source is looked at under the commit lock
		for n < len(jobs) && n < batchJobs && (n == 0 || bytes < batchBytes && sources < maxMerged) {
			sources += len(jobs[n].sources)
			for _, f := range jobs[n].sources {
				bytes += f.Size
			}
			n++
		}
		void, err := w.batch(ctx, l, jobs[:n], word)
		if err != nil {
			return nil, err
		}
		left, jobs = append(left, void...), jobs[n:]
	}
	return left, nil
}

// batch writes the files of some jobs and commits those that still hold.
func (w *compaction) batch(ctx context.Context, l *look, jobs []*job, word string) (void []*job, err error) {
	o, err := w.r.output(ctx, l.table, l.settings)
	if err != nil {
		return nil, err
	}
	defer o.close()
	eng, err := w.r.Engine(ctx)
	if err != nil {
		return nil, err
	}
	conn, err := eng.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	for _, j := range jobs {
		if err := w.r.write(ctx, o, conn, l, j, word); err != nil {
			return nil, w.r.blame(ctx, j, err)
		}
	}
	if err := o.publish(); err != nil {
		return nil, err
	}
	done, err := w.r.Catalog.Commit(ctx, func(ctx context.Context, v *catalog.View) (*catalog.Change, error) {
		var ch *catalog.Change
		var err error
		ch, void, err = w.decide(ctx, v, l, jobs, word)
		if ch != nil {
			ch.Lease = o.lease
		}
		return ch, err
	})
	if err != nil {
		return nil, err
	}
	o.committed = true
	for _, j := range jobs {
		if !slices.Contains(void, j) {
			o.names(j)
		}
	}
	if done.Snapshot > 0 {
		w.snapshot = done.Snapshot
	}
	return void, nil
}

func (o *output) names(j *job) {
	if j.file != nil {
		o.named[j.file.Rel] = true
	}
	if j.settle != nil {
		o.named[j.settle.Rel] = true
	}
}

// decide is the part inside the commit: only files that are live with the same
// dead rows as they were read with are replaced, so that no row comes back.
func (w *compaction) decide(ctx context.Context, v *catalog.View, l *look, jobs []*job, word string) (*catalog.Change, []*job, error) {
	if err := w.r.still(ctx, v, w.g, w.asked); err != nil {
		return nil, nil, err
	}
	t, err := v.TableByID(ctx, l.table.ID, v.Head.ID)
	if err != nil {
		return nil, nil, err
	}
	if word == catalog.Rewritten {
		cols, err := v.Columns(ctx, t.ID, v.Head.ID)
		if err != nil || !reflect.DeepEqual(cols, l.columns) { // the files have the shape of before
			return nil, jobs, err
		}
	}
	m := &catalog.Maintenance{Word: word}
	var void []*job
	for _, j := range jobs {
		same, err := v.Unchanged(ctx, t, j.sources)
		if err != nil {
			return nil, nil, err
		}
		if !same {
			void = append(void, j)
			continue
		}
		if j.file != nil {
			m.Files = append(m.Files, *j.file)
		}
		if j.settle != nil {
			m.Settle = append(m.Settle, *j.settle)
		}
		for _, f := range j.sources {
			if word == catalog.Merged {
				m.Absorb = append(m.Absorb, f.ID)
			} else {
				m.End = append(m.End, f.ID)
			}
		}
	}
	if len(void) == len(jobs) {
		return nil, void, nil
	}
	return &catalog.Change{Table: t, Maintain: m, Record: catalog.Record{Operation: "compact", Principal: w.g.Principal().Name()}}, void, nil
}

// errNoRows says that a file had no live row: there is no new one.
var errNoRows = errors.New("no rows")

// write writes the new file of a job.
func (r *Runner) write(ctx context.Context, o *output, conn engine.Conn, l *look, j *job, word string) error {
	if err := r.Catalog.Damaged(ctx, j.sources); err != nil { // damage must not be written on under a new checksum
		return err
	}
	if err := numbered(ctx, conn, j.sources); err != nil {
		return err
	}
	var s *scan.Scan
	err := r.Catalog.Read(ctx, func(v *catalog.View) (err error) {
		if word == catalog.Merged {
			if j.columns, err = shape(ctx, v, l.table, j.sources); err != nil {
				return err
			}
		} else if err := r.settle(ctx, v, o, l, j); err != nil {
			return err
		}
		s, err = scan.Plan(ctx, v, l.table, l.head, j.columns, nil,
			func(context.Context, catalog.Table, int64, []int64) ([]catalog.File, error) { return j.sources, nil },
			func(*catalog.File) bool { return true })
		return err
	})
	if errors.Is(err, errNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	var releases []func()
	defer func() {
		for _, release := range releases {
			release()
		}
	}()
	sql, err := s.LineageSQL(func(dead [][]uint64) (uint64, error) {
		token, release, err := conn.Live(dead)
		if err == nil {
			releases = append(releases, release)
		}
		return token, err
	})
	if err != nil {
		return err
	}
	if word == catalog.Merged {
		return r.writeMerged(ctx, o, conn, j, sql)
	}
	return r.writeLive(ctx, o, conn, j, sql)
}

// writeMerged puts the files into one that tells of each row when it came.
func (r *Runner) writeMerged(ctx context.Context, o *output, conn engine.Conn, j *job, sql string) error {
	f, err := o.copy(ctx, conn, sql, j.columns, scan.RowIDColumn, scan.SnapshotColumn)
	if err != nil {
		return err
	}
	kept := &catalog.KeptFile{NewFile: f, Begin: j.sources[0].Begin, Like: j.sources[0].ID}
	var rows, last int64
	for _, s := range j.sources {
		rows += s.Records
		kept.Begin, last = min(kept.Begin, s.Begin), max(last, s.Begin)
		if s.PartialMax != nil {
			last = max(last, *s.PartialMax)
		}
	}
	if f.Records != rows {
		return errs.New(errs.Corrupt, "the files have %d rows, the catalog says %d", f.Records, rows)
	}
	kept.PartialMax = &last
	j.file = kept
	return nil
}

// writeLive puts the live rows of one file into another.
func (r *Runner) writeLive(ctx context.Context, o *output, conn engine.Conn, j *job, sql string) error {
	sql = "SELECT * EXCLUDE (" + scan.SnapshotColumn + ") FROM (" + sql + ")"
	f, err := o.copy(ctx, conn, sql, j.columns, scan.RowIDColumn)
	if err != nil {
		return err
	}
	j.file = &catalog.KeptFile{NewFile: f, Like: j.sources[0].ID}
	return nil
}

// settle prepares what stays of a file that is written again: earlier
// snapshots read it on, and DuckDB's change feed would list its dead rows twice
// if they stayed inside the catalog. errNoRows says that it has no live row.
func (r *Runner) settle(ctx context.Context, v *catalog.View, o *output, l *look, j *job) error {
	f := &j.sources[0]
	dead, err := v.Dead(ctx, l.table, f, l.head)
	if err != nil {
		return err
	}
	if f.Inlined > 0 {
		rows, err := deadRows(ctx, v, l.table, f, l.head)
		if err != nil {
			return err
		}
		if j.settle, err = o.deletes(f.Path, rows); err != nil {
			return err
		}
		j.settle.File, j.settle.Replaces = f.ID, f.Delete
	}
	if dead.Count() >= f.Records {
		return errNoRows
	}
	return nil
}

// shape gives the columns of files that are to be one: those of their schema
// version, with the columns that were dropped since.
func shape(ctx context.Context, v *catalog.View, t catalog.Table, files []catalog.File) ([]datafile.Column, error) {
	first, last := files[0].Begin, files[0].Begin
	for _, f := range files {
		first, last = min(first, f.Begin), max(last, f.Begin)
	}
	cols, err := v.Columns(ctx, t.ID, first)
	if err != nil {
		return nil, err
	}
	then, err := v.Columns(ctx, t.ID, last)
	if err == nil && !sameShape(cols, then) {
		err = errs.New(errs.Corrupt, "the catalog has two shapes of table %q under one schema version", t.Name)
	}
	return cols, err
}

func sameShape(a, b []datafile.Column) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].ID != b[i].ID || !reflect.DeepEqual(a[i].Type, b[i].Type) {
			return false
		}
	}
	return true
}

// numbered refuses files that do not number their columns: read by field id
// they would be nothing but NULL.
func numbered(ctx context.Context, conn engine.Conn, files []catalog.File) error {
	var paths []string
	for _, f := range files {
		if f.MappingID == nil {
			paths = append(paths, datafile.QuoteText(f.Path))
		}
	}
	if len(paths) == 0 {
		return nil
	}
	rows, err := engine.Collect(ctx, conn, "SELECT file_name FROM parquet_schema(["+strings.Join(paths, ", ")+"]) GROUP BY file_name HAVING count(field_id) = 0", nil)
	if err == nil && len(rows) > 0 {
		name, _ := rows[0][0].(string)
		err = errs.New(errs.Unsupported, "the file %s has no field ids", filepath.Base(name))
	}
	return err
}

// blame types an error of a job's files.
func (r *Runner) blame(ctx context.Context, j *job, err error) error {
	if cerr := errs.FromContext(ctx, "compact"); cerr != nil {
		return cerr
	}
	var ee *engine.Error
	if !errors.As(err, &ee) {
		return err
	}
	if derr := r.Catalog.Damaged(ctx, j.sources); derr != nil {
		return derr
	}
	if ee.Class == "io" {
		return errs.Wrap(errs.Unavailable, err, "write unfinished files under tmp%s; make room there and try again", ee.Message[strings.LastIndex(ee.Message, `"`)+1:])
	}
	return errs.Wrap(errs.Internal, err, "the engine could not write the rows again (%s)", ee.Class)
}
