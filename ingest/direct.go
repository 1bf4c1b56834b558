package ingest

import (
	"context"
	"errors"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/engine"
	"github.com/supertable-go/supertable/scan"
)

// A few rows that come as Arrow in the table's own types need no engine: their
// values are put down as they are. Whatever asks for more (a conversion, a
// check of rows, a look into files) opens the engine then.

// runDirect does the whole of a small write inside its commit, in one look at
// the table. done is false when it needs more than that: then nothing has
// happened yet.
func (j *job) runDirect(ctx context.Context) (res Result, done bool, err error) {
	j.conn = &lazyConn{engine: j.w.Engine}
	if j.in.Rows == nil || len(j.in.Rename) > 0 {
		return Result{}, false, nil
	}
	j.few = readFew(j.in.Rows)
	cols, ok := j.few.describe()
	if !ok || j.few.rows > catalog.InlineRows || j.o.NewerThan != "" || j.o.Move != nil {
		return Result{}, false, nil
	}
	j.cols, j.width = cols, len(cols)
	res, err = j.commit(ctx, j.decideDirect)
	if !errors.Is(err, errAgain) {
		return res, true, err
	}
	j.cols, j.raw, j.out, j.match, j.deletes, j.base, j.ready = nil, nil, nil, nil, nil, nil, nil
	return Result{}, false, nil
}

func (j *job) decideDirect(ctx context.Context, v *catalog.View) (*catalog.Change, error) {
	if len(j.o.Key) > 0 { // a look at many files would keep others waiting
		n, err := v.FileCount(ctx, j.name)
		if err != nil {
			return nil, err
		}
		if n > directFiles {
			return nil, errAgain
		}
	}
	j.raw, j.match, j.deletes, j.ready = nil, nil, nil, nil // of an attempt before
	if err := j.readBaseIn(ctx, v); err != nil {
		return nil, err
	}
	if err := j.govern(); err != nil {
		return nil, err
	}
	var err error
	if j.plan, err = planSchema(j.base, j.cols, j.o); err != nil {
		return nil, err
	}
	if !j.rights.rows.All {
		return nil, errAgain
	}
	if j.raw = j.holdDirect(j.plan); j.raw == nil {
		return nil, errAgain
	}
	j.out = j.raw
	if len(j.o.Key) > 0 && j.base.exists {
		m := newMatcher(j, j.raw)
		if _, ok := m.fewInside(); !ok {
			return nil, errAgain
		}
		if err := j.listFiles(ctx, v, j.base); err != nil {
			return nil, err
		}
		if !m.direct(j.base) {
			return nil, errAgain
		}
	}
	return j.decideOn(ctx, v, j.base)
}

// directFiles is how many files a table may have whose keys are matched inside
// the commit at once.
const directFiles = 64

// direct reports whether no file can hold one of the keys, and those inside the
// catalog are found by it.
func (m *matcher) direct(st *state) bool {
	keys, ok := m.fewInside()
	if !ok {
		return false
	}
	m.setFew(keys)
	for i := range st.files {
		if m.mayHold(st, &st.files[i]) {
			return false
		}
	}
	for _, t := range st.inside {
		if names, _ := m.exactKeys(st, t); names == nil {
			return false
		}
	}
	return true
}

// lazyConn is a connection that is opened when it is first used.
type lazyConn struct {
	engine func(context.Context) (engine.Engine, error)
	conn   engine.Conn
}

var _ engine.Conn = (*lazyConn)(nil)

func (l *lazyConn) open(ctx context.Context) error {
	if l.conn != nil {
		return nil
	}
	eng, err := l.engine(ctx)
	if err == nil {
		l.conn, err = eng.Conn(ctx)
	}
	return err
}

func (l *lazyConn) Exec(ctx context.Context, sql string) error {
	if err := l.open(ctx); err != nil {
		return err
	}
	return l.conn.Exec(ctx, sql)
}

func (l *lazyConn) Query(ctx context.Context, sql string, params map[string]any) (array.RecordReader, error) {
	if err := l.open(ctx); err != nil {
		return nil, err
	}
	return l.conn.Query(ctx, sql, params)
}

func (l *lazyConn) Parameters(ctx context.Context, sql string) ([]string, error) {
	if err := l.open(ctx); err != nil {
		return nil, err
	}
	return l.conn.Parameters(ctx, sql)
}

func (l *lazyConn) Stream(name string, r array.RecordReader) (func(), error) {
	if err := l.open(context.Background()); err != nil {
		return nil, err
	}
	return l.conn.Stream(name, r)
}

func (l *lazyConn) Live(dead [][]uint64) (uint64, func(), error) {
	if err := l.open(context.Background()); err != nil {
		return 0, nil, err
	}
	return l.conn.Live(dead)
}

func (l *lazyConn) Progress() float64 {
	if l.conn == nil {
		return -1
	}
	return l.conn.Progress()
}

func (l *lazyConn) Close() error {
	if l.conn == nil {
		return nil
	}
	return l.conn.Close()
}

// describe gives the columns of a stream whose rows were all read ahead, when
// each has a type that needs no conversion.
func (f *fewRows) describe() ([]inColumn, bool) {
	if !f.all || f.err != nil {
		return nil, false
	}
	fields := f.reader.Schema().Fields()
	out := make([]inColumn, len(fields))
	for i, field := range fields {
		t, ok := plainType(field)
		if !ok {
			return nil, false
		}
		out[i] = inColumn{field.Name, t}
	}
	return out, checkInput(out, Options{}) == nil // else the input itself is named
}

var plainTypes = map[arrow.Type]string{
	arrow.BOOL: "boolean", arrow.INT8: "int8", arrow.INT16: "int16", arrow.INT32: "int32", arrow.INT64: "int64",
	arrow.UINT8: "uint8", arrow.UINT16: "uint16", arrow.UINT32: "uint32", arrow.UINT64: "uint64",
	arrow.FLOAT32: "float32", arrow.FLOAT64: "float64", arrow.STRING: "varchar", arrow.LARGE_STRING: "varchar", arrow.BINARY: "blob", arrow.DATE32: "date",
}

func plainType(f arrow.Field) (datafile.Type, bool) {
	if f.Metadata.FindKey("ARROW:extension:name") >= 0 {
		return datafile.Type{}, false
	}
	switch t := f.Type.(type) {
	case *arrow.TimestampType:
		switch {
		case t.TimeZone != "":
			return datafile.Type{Name: "timestamptz"}, t.Unit == arrow.Microsecond
		case t.Unit == arrow.Microsecond:
			return datafile.Type{Name: "timestamp"}, true
		}
		return datafile.Type{}, false
	case *arrow.Decimal128Type:
		return datafile.Type{Name: "decimal", Precision: int(t.Precision), Scale: int(t.Scale)}, t.Scale >= 0 && t.Scale <= t.Precision
	}
	name, ok := plainTypes[f.Type.ID()]
	return datafile.Type{Name: name}, ok
}

// plain reports whether every value goes into its column as it is.
func (p *plan) plain() bool {
	for _, f := range p.file {
		if f.hollow || f.fill || !f.column.Nullable || !f.in.Type.Same(f.column.Type) {
			return false
		}
	}
	return true
}

// holdDirect keeps the rows that were read ahead without asking the engine;
// nil when that is not possible.
func (j *job) holdDirect(p *plan) *stage {
	if !p.plain() || !j.mayStayInside(p) || !j.o.DeleteOnly && len(p.defaulted()) > 0 {
		return nil
	}
	in := &inside{columns: p.fileColumns()}
	at := make([]int, len(p.file))
	for i, f := range p.file {
		at[i] = -1
		for k, c := range j.cols {
			if c.Name == f.in.Name {
				at[i] = k
			}
		}
	}
	var bytes int64
	for _, rec := range j.few.head {
		rows, n, ok := encodeSafely(rec, at, in.columns)
		in.rows = append(in.rows, rows...)
		if bytes += n; !ok || int64(len(in.rows)) > j.limits["data_inlining_row_limit"] || bytes > j.limits["data_inlining_byte_limit"] {
			return nil
		}
	}
	in.stats = scan.EncodedStats(in.columns, in.rows)
	return &stage{dir: j.tableDir(j.base), rows: int64(len(in.rows)), inside: in}
}

// encodeSafely encodes some columns of a batch of the caller's, whose buffers
// may be anything.
func encodeSafely(rec arrow.RecordBatch, at []int, cols []datafile.Column) (rows [][]any, n int64, ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	if array.ValidateRecordFull(rec) != nil {
		return nil, 0, false
	}
	arrays := make([]arrow.Array, len(at))
	for i, k := range at {
		arrays[i] = rec.Column(k)
	}
	return scan.Encode(arrays, int(rec.NumRows()), cols)
}

// needLease takes the lease of the files to come. Inside a commit there is no
// taking one: the work goes back outside.
func (j *job) needLease(ctx context.Context) (err error) {
	if j.lease != "" {
		return nil
	}
	if j.inCommit {
		j.wantLease = true
		return errAgain
	}
	if j.lease, err = j.w.Catalog.Lease(ctx); err != nil {
		return err
	}
	return nil
}
