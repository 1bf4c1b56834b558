package ingest

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/scan"
)

// A write of few rows needs no file: the catalog itself keeps them, and one
// synced transaction is all that the write costs (docs/format.md §5). Flushing
// moves them into a file later. Rows stay inside when the options allow that
// many rows and bytes, every column of the table has a form there, and the
// table does not hold too many already; everything else goes to files.

// holdFactor is how many times the rows that maintenance flushes at a table
// may hold inside the catalog before writes take files again.
const holdFactor = 10

// errNotInside says that the rows read so far have to go to a file.
var errNotInside = errors.New("the rows do not go into the catalog")

// inside are rows of a stage that go into the catalog itself.
type inside struct {
	columns []datafile.Column
	rows    [][]any // as the catalog keeps them
	stats   []datafile.Stats
}

// hold keeps the rows of a query over the input: in memory, when they may go
// into the catalog, else in new files.
func (j *job) hold(ctx context.Context, p *plan, query string) (*stage, error) {
	if !j.mayStayInside(p) {
		return j.writeFiles(ctx, p, query)
	}
	st, err := j.holdInside(ctx, p, query)
	if errors.Is(err, errNotInside) {
		j.outside = true
		if j.raw == nil && j.rel != nil && j.rel.OneShot {
			return nil, err // it was read: open it again
		}
		return j.writeFiles(ctx, p, query)
	}
	return st, err
}

// mayStayInside decides from what is known before the rows are read.
func (j *job) mayStayInside(p *plan) bool {
	if j.raw != nil {
		return j.raw.inside != nil && !j.outside && scan.Inlinable(insideColumns(p, j.o))
	}
	most := j.limits["data_inlining_row_limit"]
	switch {
	case j.outside, most == 0, j.o.Move != nil, strings.HasPrefix(j.name, "__"), j.base.held > holdFactor*j.limits["flush_rows"]:
		return false
	case j.few != nil && !j.few.all, j.rel != nil && j.rel.Rows > most, j.few == nil && j.rel.Rows < 0 && j.rel.Bytes > 4*j.limits["data_inlining_byte_limit"]:
		return false
	case j.few == nil && j.rel.OneShot && j.in.Stdin != nil && slices.Contains(j.in.Paths, "-"): // it could not be read again
		return false
	}
	return scan.Inlinable(insideColumns(p, j.o))
}

// insideColumns are the columns that must have a form in the catalog: all of
// the table's, or the keys of a delete.
func insideColumns(p *plan, o Options) []datafile.Column {
	if o.DeleteOnly {
		return p.fileColumns()
	}
	return p.columns
}

// holdInside reads the rows into memory; errNotInside when they are too many,
// too large or have values without a form.
func (j *job) holdInside(ctx context.Context, p *plan, query string) (*stage, error) {
	in := &inside{columns: p.fileColumns()}
	if !j.o.DeleteOnly {
		for _, c := range p.defaulted() {
			in.columns = append(in.columns, c)
			query = "SELECT *, " + defaultValue(c.InitialDefault, c.Type) + " AS " + datafile.Quote(c.Name) + " FROM (" + query + ")"
		}
	}
	rr, err := j.conn.Query(ctx, query, nil)
	if err != nil {
		return nil, err
	}
	defer rr.Release()
	var bytes int64
	for rr.Next() {
		rows, n, ok := scan.Encode(rr.RecordBatch().Columns(), int(rr.RecordBatch().NumRows()), in.columns)
		in.rows = append(in.rows, rows...)
		if bytes += n; !ok || int64(len(in.rows)) > j.limits["data_inlining_row_limit"] || bytes > j.limits["data_inlining_byte_limit"] {
			return nil, errNotInside
		}
	}
	if err := rr.Err(); err != nil {
		return nil, err
	}
	in.stats = scan.EncodedStats(in.columns, in.rows)
	return &stage{dir: j.tableDir(j.base), rows: int64(len(in.rows)), inside: in}, nil
}

// defaulted are the columns that the plan's rows lack and that rows of a file
// without them have a value for.
func (p *plan) defaulted() []datafile.Column {
	var out []datafile.Column
	for _, c := range p.columns {
		if c.InitialDefault != nil && !slices.ContainsFunc(p.file, func(f planned) bool { return f.column.ID == c.ID }) {
			out = append(out, c)
		}
	}
	return out
}

// hasDefaults reports whether the rows have a value of each column for which a
// file that lacks it would show one.
func (in *inside) hasDefaults(p *plan) bool {
	if in == nil {
		return true
	}
	for _, c := range p.defaulted() {
		if !slices.ContainsFunc(in.columns, func(have datafile.Column) bool {
			return have.ID == c.ID && sameText(have.InitialDefault, c.InitialDefault)
		}) {
			return false
		}
	}
	return true
}

// newRows is the part of the change.
func (in *inside) newRows(key []string) *catalog.NewRows {
	if in == nil || len(in.rows) == 0 {
		return nil
	}
	r := &catalog.NewRows{Values: in.rows, Stats: in.stats}
	for _, c := range in.columns {
		r.Columns = append(r.Columns, c.Name)
		if contains(key, c.Name) && scan.ExactText(c.Type) {
			r.Key = append(r.Key, c.Name)
		}
	}
	if len(r.Key) < len(key) {
		r.Key = nil
	}
	return r
}

// reopen opens an input again that can be read only once.
func (j *job) reopen(ctx context.Context) error {
	if err := j.rel.Close(); err != nil {
		return err
	}
	return j.openSource(ctx)
}

// fewRows is a stream whose first batches were read ahead, to see whether the
// rows are few.
type fewRows struct {
	reader array.RecordReader
	head   []arrow.RecordBatch
	rows   int64 // of head
	all    bool  // head is everything
	err    error
}

// mostAhead is how many rows are read ahead: more are never few.
const mostAhead = 2048

func readFew(r array.RecordReader) *fewRows {
	f := &fewRows{reader: r}
	for f.rows <= mostAhead && r.Next() {
		b := r.RecordBatch()
		b.Retain()
		f.head = append(f.head, b)
		f.rows += b.NumRows()
	}
	f.all = f.rows <= mostAhead
	if f.all {
		f.err = r.Err()
	}
	return f
}

// again is the whole stream; once more only while all of it was read ahead.
func (f *fewRows) again() array.RecordReader { return &replay{few: f, at: -1} }

func (f *fewRows) release() {
	if f == nil {
		return
	}
	for _, b := range f.head {
		b.Release()
	}
	f.head = nil
}

// replay gives the batches that were read ahead, then the others.
type replay struct {
	few *fewRows
	at  int
}

func (r *replay) Retain()               {}
func (r *replay) Release()              {}
func (r *replay) Schema() *arrow.Schema { return r.few.reader.Schema() }

func (r *replay) Next() bool {
	if r.at++; r.at < len(r.few.head) {
		return true
	}
	return !r.few.all && r.few.reader.Next()
}

func (r *replay) RecordBatch() arrow.RecordBatch {
	if r.at < len(r.few.head) {
		return r.few.head[r.at]
	}
	return r.few.reader.RecordBatch()
}

func (r *replay) Record() arrow.RecordBatch { return r.RecordBatch() }

func (r *replay) Err() error {
	if r.few.all {
		return r.few.err
	}
	return r.few.reader.Err()
}
