package maintain

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/engine"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/rbac"
	"github.com/supertable-go/supertable/scan"
)

// Flushed says how many rows left the catalog for files: dead rows that it
// listed, and rows that stood in it.
type Flushed struct {
	Table    string
	Rows     int64
	Snapshot int64
}

// flushFiles bounds the delete files of one commit.
const flushFiles = 500

// Flush moves what the catalog itself holds of one table's rows, or of all
// tables', into files. A table that is named is always in the result.
func (r *Runner) Flush(ctx context.Context, g rbac.Grant, table string, how How) ([]Flushed, error) {
	if err := r.allowed(ctx, g, table); err != nil {
		return nil, err
	}
	tables, head, err := r.tables(ctx, table)
	if err != nil {
		return nil, err
	}
	out := []Flushed{}
	for _, t := range tables {
		f, err := r.flushTable(ctx, g, t, table, how, head)
		if errs.KindOf(err) == errs.NotFound && table == "" {
			continue // dropped meanwhile
		}
		if err != nil {
			return out, fmt.Errorf("flush %q: %w", t.Name, err)
		}
		if f.Rows > 0 || table != "" {
			out = append(out, f)
		}
		if how.DryRun {
			head = f.Snapshot // where the next table would begin
		}
	}
	return out, nil
}

func (r *Runner) flushTable(ctx context.Context, g rbac.Grant, t catalog.Table, asked string, how How, head int64) (Flushed, error) {
	unlock, err := r.lock(ctx, how)
	if err != nil {
		return Flushed{}, err
	}
	defer unlock()
	reading := r.Catalog.Reading()
	defer reading.End()
	f := &flush{r: r, g: g, asked: asked, res: Flushed{Table: t.Name, Snapshot: head}, dryRun: how.DryRun}
	if err := f.rows(ctx, t.ID, reading, how); err != nil {
		return f.res, err
	}
	return f.res, f.dead(ctx, t.ID, how)
}

// flush is the flush of one table.
type flush struct {
	r      *Runner
	g      rbac.Grant
	asked  string // the table that was named; "" is all
	res    Flushed
	dryRun bool
}

func (f *flush) record() catalog.Record {
	return catalog.Record{Operation: "flush", Principal: f.g.Principal().Name()}
}

// dead moves the dead rows that the catalog lists into delete files, each with
// the snapshot at which it died.
func (f *flush) dead(ctx context.Context, table int64, how How) error {
	t, err := f.r.weigh(ctx, table)
	if err != nil || t.Inlined == 0 || how.Due && t.Inlined < t.limits.FlushRows {
		return err
	}
	for range rounds {
		left := 0
		err := f.r.windows(ctx, table, catalog.Window{Inlined: true}, func(l *look) (bool, error) {
			files := slices.DeleteFunc(l.files, func(x catalog.File) bool { return x.Inlined == 0 })
			for part := range slices.Chunk(files, flushFiles) {
				if f.dryRun {
					f.foretell(inlined(part))
					continue
				}
				void, err := f.deadOf(ctx, l, part)
				if err != nil {
					return false, err
				}
				left += void
			}
			return true, nil
		})
		if err != nil || left == 0 {
			return err
		}
	}
	return nil
}

// deadOf flushes the dead rows of some files in one commit; void is how many
// of the files a concurrent write changed.
func (f *flush) deadOf(ctx context.Context, l *look, files []catalog.File) (void int, err error) {
	o, err := f.r.output(ctx, l.table, nil)
	if err != nil {
		return 0, err
	}
	defer o.close()
	made := make([]*catalog.NewDelete, len(files))
	err = f.r.Catalog.Read(ctx, func(v *catalog.View) error {
		for i := range files {
			if err := errs.FromContext(ctx, "flush"); err != nil {
				return err
			}
			rows, err := deadRows(ctx, v, l.table, &files[i], l.head)
			if err != nil {
				return err
			}
			if made[i], err = o.deletes(files[i].Path, rows); err != nil {
				return err
			}
			made[i].File, made[i].Replaces = files[i].ID, files[i].Delete
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	if err := o.publish(); err != nil {
		return 0, err
	}
	var rows int64
	var named []string
	done, err := f.r.Catalog.Commit(ctx, func(ctx context.Context, v *catalog.View) (*catalog.Change, error) {
		rows, void, named = 0, 0, nil
		if err := f.r.still(ctx, v, f.g, f.asked); err != nil {
			return nil, err
		}
		t, err := v.TableByID(ctx, l.table.ID, v.Head.ID)
		if err != nil {
			return nil, err
		}
		m := &catalog.Maintenance{Word: catalog.Settled}
		for i := range files {
			same, err := v.Unchanged(ctx, t, files[i:i+1])
			if err != nil {
				return nil, err
			}
			if !same {
				void++
				continue
			}
			m.Settle = append(m.Settle, *made[i])
			rows, named = rows+files[i].Inlined, append(named, made[i].Rel)
		}
		if len(m.Settle) == 0 {
			return nil, nil
		}
		return &catalog.Change{Table: t, Maintain: m, Lease: o.lease, Record: f.record()}, nil
	})
	if err != nil {
		return 0, err
	}
	o.committed = true
	for _, rel := range named {
		o.named[rel] = true
	}
	f.done(rows, done)
	return void, nil
}

func (f *flush) done(rows int64, done catalog.Committed) {
	f.res.Rows += rows
	if done.Snapshot > 0 {
		f.res.Snapshot = done.Snapshot
	}
}

// foretell is done of a dry run.
func (f *flush) foretell(rows int64) {
	f.done(rows, catalog.Committed{Snapshot: f.res.Snapshot + 1})
}

// inlined is how many rows of some files the catalog lists as dead.
func inlined(files []catalog.File) (rows int64) {
	for i := range files {
		rows += files[i].Inlined
	}
	return rows
}

// deadRows lists the dead rows of a file up to a snapshot, ascending, each with
// the snapshot at which it died first.
func deadRows(ctx context.Context, v *catalog.View, t catalog.Table, f *catalog.File, at int64) ([]datafile.Delete, error) {
	var out []datafile.Delete
	if f.Delete != nil {
		old, err := catalog.ReadDeleteFile(ctx, f.Delete)
		if err != nil {
			return nil, err
		}
		for _, d := range old {
			if d.Snapshot == 0 {
				d.Snapshot = f.Delete.Begin
			}
			out = append(out, d)
		}
	}
	inlined, err := v.InlinedDeletes(ctx, t, f.ID, at)
	if err != nil {
		return nil, err
	}
	for _, d := range inlined {
		out = append(out, datafile.Delete{Position: d.Position, Snapshot: d.Snapshot})
	}
	slices.SortFunc(out, func(a, b datafile.Delete) int {
		return cmp.Or(cmp.Compare(a.Position, b.Position), cmp.Compare(a.Snapshot, b.Snapshot))
	})
	return slices.CompactFunc(out, func(a, b datafile.Delete) bool { return a.Position == b.Position }), nil
}

// rows moves rows that stand in the catalog into files.
func (f *flush) rows(ctx context.Context, table int64, reading *catalog.Reading, how How) error {
	var inlined []catalog.InlinedTable
	var held, limit int64
	err := f.r.Catalog.Read(ctx, func(v *catalog.View) error {
		reading.At(v.Head.ID)
		t, err := v.TableByID(ctx, table, v.Head.ID)
		if err != nil {
			return err
		}
		if inlined, err = v.InlinedTables(ctx, t); err != nil {
			return err
		}
		for _, it := range inlined {
			n, err := v.InlinedSize(ctx, it)
			if err != nil {
				return err
			}
			held += n
		}
		o, err := f.r.settings(ctx, v, table)
		limit = LimitsOf(o).InsideRows
		return err
	})
	if err != nil || how.Due && held < limit {
		return err
	}
	for _, it := range inlined {
		for range rounds {
			void, err := f.rowsOf(ctx, table, it)
			if err != nil {
				return err
			}
			if !void {
				break
			}
		}
	}
	return nil
}

// inside is what one inlined table holds.
type inside struct {
	table    catalog.Table
	state    catalog.InlinedState
	columns  []datafile.Column
	rows     []catalog.InlinedRow
	settings map[string]int64
}

// rowsOf flushes one inlined table in one commit; void tells that a concurrent
// write changed it.
func (f *flush) rowsOf(ctx context.Context, table int64, it catalog.InlinedTable) (void bool, err error) {
	var in inside
	err = f.r.Catalog.Read(ctx, func(v *catalog.View) (err error) {
		if in.table, err = v.TableByID(ctx, table, v.Head.ID); err != nil {
			return err
		}
		if in.state, err = v.InlinedState(ctx, it); err != nil || in.state.Rows == 0 || f.dryRun {
			return err
		}
		if in.columns, err = v.Columns(ctx, table, it.SchemaAt); err != nil {
			return err
		}
		if in.settings, err = f.r.settings(ctx, v, table); err != nil {
			return err
		}
		in.rows, err = v.InlinedHistory(ctx, it, in.columns)
		return err
	})
	if err != nil || in.state.Rows == 0 {
		return false, err
	}
	if f.dryRun {
		f.foretell(in.state.Rows)
		return false, nil
	}
	o, err := f.r.output(ctx, in.table, in.settings)
	if err != nil {
		return false, err
	}
	defer o.close()
	kept, err := f.r.writeInside(ctx, o, &in)
	if err != nil {
		return false, err
	}
	if err := o.publish(); err != nil {
		return false, err
	}
	done, err := f.r.Catalog.Commit(ctx, func(ctx context.Context, v *catalog.View) (*catalog.Change, error) {
		void = false
		if err := f.r.still(ctx, v, f.g, f.asked); err != nil {
			return nil, err
		}
		t, err := v.TableByID(ctx, table, v.Head.ID)
		if err != nil {
			return nil, err
		}
		now, err := v.InlinedState(ctx, it)
		if void = err == nil && now != in.state; err != nil || void {
			return nil, err
		}
		m := &catalog.Maintenance{Word: catalog.Flushed, Files: []catalog.KeptFile{*kept}, Emptied: []catalog.InlinedTable{it}}
		return &catalog.Change{Table: t, Maintain: m, Lease: o.lease, Record: f.record()}, nil
	})
	if err != nil {
		return false, err
	}
	o.committed = true
	if void {
		return true, nil
	}
	for _, rel := range o.made {
		o.named[rel] = true
	}
	f.done(in.state.Rows, done)
	return false, nil
}

// insideChunk bounds how many rows one statement carries.
const insideChunk = 2000

// writeInside puts every version of every row into one file, with a delete
// file for those that died.
func (r *Runner) writeInside(ctx context.Context, o *output, in *inside) (*catalog.KeptFile, error) {
	eng, err := r.Engine(ctx)
	if err != nil {
		return nil, err
	}
	conn, err := eng.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	verb := "CREATE TEMP TABLE st_inside AS "
	for part := range slices.Chunk(in.rows, insideChunk) {
		if err := conn.Exec(ctx, verb+scan.InlinedValues(in.columns, part)); err != nil {
			return nil, insideError(ctx, err)
		}
		verb = "INSERT INTO st_inside "
	}
	sel := make([]string, len(in.columns))
	for i, c := range in.columns {
		sel[i] = fmt.Sprintf("c%d AS %s", c.ID, datafile.Quote(c.Name))
	}
	f, err := o.copy(ctx, conn, fmt.Sprintf("SELECT %s, %s, %s FROM st_inside ORDER BY %s, %s", strings.Join(sel, ", "), scan.RowIDColumn, scan.SnapshotColumn, scan.RowIDColumn, scan.SnapshotColumn),
		in.columns, scan.RowIDColumn, scan.SnapshotColumn)
	if err != nil {
		return nil, insideError(ctx, err)
	}
	if f.Records != int64(len(in.rows)) {
		return nil, errs.New(errs.Internal, "the engine wrote %d of %d rows", f.Records, len(in.rows))
	}
	last := in.state.LastBegin
	kept := &catalog.KeptFile{NewFile: f, Begin: in.rows[0].Begin, PartialMax: &last}
	var dead []datafile.Delete
	for i, row := range in.rows {
		kept.Begin = min(kept.Begin, row.Begin)
		if row.End != 0 {
			dead = append(dead, datafile.Delete{Position: int64(i), Snapshot: row.End})
		}
	}
	if len(dead) == len(in.rows) {
		// The file itself ends with its last rows: a delete that says so too
		// would be told twice by the feed of changes.
		kept.End = in.state.LastEnd
		dead = slices.DeleteFunc(dead, func(d datafile.Delete) bool { return d.Snapshot == kept.End })
	}
	if len(dead) > 0 {
		if kept.Dead, err = o.deletes(r.Catalog.Folder().Data()+f.Rel, dead); err != nil {
			return nil, err
		}
	}
	return kept, nil
}

func insideError(ctx context.Context, err error) error {
	if cerr := errs.FromContext(ctx, "flush"); cerr != nil {
		return cerr
	}
	if errs.KindOf(err) != errs.Internal {
		return err
	}
	if ee, ok := err.(*engine.Error); ok && ee.Class == "io" { //nolint:errorlint // the engine's own
		return errs.Wrap(errs.Unavailable, err, "write unfinished files under tmp; make room there and try again")
	}
	return errs.Wrap(errs.Corrupt, err, "rows inside the catalog cannot be read as their columns")
}
