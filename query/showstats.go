package query

import (
	"context"
	"math"
	"path"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/rbac"
	"github.com/supertable-go/supertable/scan"
)

// statsSchema is what SHOW STATS answers with: a row per data file and column.
// Rows counts what the file holds, dead rows included; bounds are texts, as the
// catalog has them, and NULL where it has none.
var statsSchema = arrow.NewSchema([]arrow.Field{
	{Name: "file", Type: arrow.BinaryTypes.String},
	{Name: "column_name", Type: arrow.BinaryTypes.String},
	{Name: "column_type", Type: arrow.BinaryTypes.String},
	{Name: "rows", Type: arrow.PrimitiveTypes.Int64},
	{Name: "min", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: "max", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: "null_count", Type: arrow.PrimitiveTypes.Int64},
	{Name: "bytes", Type: arrow.PrimitiveTypes.Int64},
}, nil)

// statsBatch is about how many rows go into one batch.
const statsBatch = 8192

// showStats answers SHOW STATS from the catalog. Bounds are values: who reads
// a table through a filter may not have them.
func (q *run) showStats(ctx context.Context) (*Rows, error) {
	t := q.stmt.Tables[0]
	super, err := q.super(ctx, t)
	if err != nil {
		return nil, err
	}
	r := &reference{t: t, super: super}
	q.refs = append(q.refs, r)
	reading := super.Catalog.Reading() // the snapshot stays while the rows are read
	q.frees = append(q.frees, reading.End)
	b := &statsReader{ctx: ctx, catalog: super.Catalog, b: array.NewRecordBuilder(memory.DefaultAllocator, statsSchema), after: -1, more: true}
	err = super.Catalog.Read(ctx, func(v *catalog.View) (err error) {
		if super.grant, err = super.Authorize(ctx, v); err != nil {
			return err
		}
		if r.at, err = q.snapshot(ctx, v, nil); err != nil {
			return err
		}
		reading.At(r.at.ID)
		q.report.snapshot(super, r.at.ID, super == q.own)
		return b.begin(ctx, v, r)
	})
	if err != nil {
		b.Release()
		return nil, err
	}
	q.report.done("META")
	return &Rows{ctx: ctx, q: q, rr: b, schema: statsSchema}, nil
}

// statsReader reads the statistics as the rows are asked for: of some files at
// a time, so that a table of very many takes no more memory.
type statsReader struct {
	ctx     context.Context //nolint:containedctx // lives as long as the result
	catalog *catalog.Catalog
	b       *array.RecordBuilder
	table   catalog.Table
	at      int64
	leaves  []datafile.Leaf
	after   int64 // the next files are behind this one
	more    bool
	rec     arrow.RecordBatch
	err     error
}

// begin finds the columns whose statistics the principal may see.
func (b *statsReader) begin(ctx context.Context, v *catalog.View, r *reference) error {
	missing := errs.New(errs.NotFound, "Table not found: %s/%s/%s", r.super.Organization, r.super.Name, r.t.Name)
	t, err := v.Table(ctx, r.t.Name, r.at.ID)
	if errs.KindOf(err) == errs.NotFound {
		return missing
	}
	if err != nil {
		return err
	}
	name, current, err := today(ctx, v, t, r.at.ID)
	if err != nil {
		return err
	}
	g := r.super.grant
	if !known(g, t.Name) || !known(g, name) {
		return missing
	}
	if !g.AllRows(rbac.Meta, t.Name) || !g.AllRows(rbac.Meta, name) {
		return errs.New(errs.Denied, "SHOW STATS tells of all rows: you see a part of table %s only", t.Name)
	}
	cols, err := v.Columns(ctx, t.ID, r.at.ID)
	if err != nil {
		return err
	}
	cols = clearColumns(g.RulesUnder(meta, t.Name, name), name, cols, current)
	b.table, b.at, b.leaves = t, r.at.ID, datafile.Leaves(cols)
	return nil
}

// Next reads the statistics of some files more.
func (b *statsReader) Next() bool {
	if b.rec != nil {
		b.rec.Release()
		b.rec = nil
	}
	ids := make([]int64, len(b.leaves))
	for i, l := range b.leaves {
		ids[i] = l.ID
	}
	rows := 0
	for b.more && b.err == nil && len(ids) > 0 && rows == 0 {
		b.err = b.catalog.Read(b.ctx, func(v *catalog.View) error {
			w := catalog.Window{Below: math.MaxInt64, After: b.after, Most: max(1, statsBatch/len(ids))}
			files, last, more, err := v.FilesIn(b.ctx, b.table, b.at, w, ids)
			b.after, b.more = last, more
			for _, f := range files {
				for _, l := range b.leaves {
					if st, ok := f.Stats[l.ID]; ok {
						b.add(f, l, st)
						rows++
					}
				}
			}
			return err
		})
	}
	if b.err != nil || rows == 0 {
		return false
	}
	b.rec = b.b.NewRecordBatch()
	return true
}

// clearColumns are the columns that a role shows in every row as they are;
// current names them, by id, as the table has them now, or is nil.
func clearColumns(rules []rbac.Rule, table string, cols []datafile.Column, current map[int64]string) []datafile.Column {
	names := make([]rbac.Column, len(cols))
	for i, c := range cols {
		names[i] = rbac.Column{Name: c.Name, Now: current[c.ID]}
	}
	var out []datafile.Column
	for _, c := range scan.VisibleColumns(rules, cols, current) {
		access, err := rbac.Decide(rules, table, names, rbac.Use{Columns: []string{c.Name}})
		if err == nil && access.Rows.All && access.Clear(c.Name) {
			out = append(out, c)
		}
	}
	return out
}

func (b *statsReader) add(f catalog.File, l datafile.Leaf, st datafile.Stats) {
	texts := func(i int, s string) { b.b.Field(i).(*array.StringBuilder).Append(s) }
	numbers := func(i int, n int64) { b.b.Field(i).(*array.Int64Builder).Append(n) }
	texts(0, path.Base(f.Path))
	texts(1, strings.Join(l.Path, "."))
	texts(2, l.Type.SQL())
	numbers(3, f.Records)
	for i, bound := range []*string{st.Min, st.Max} {
		if bound == nil {
			b.b.Field(4 + i).AppendNull()
		} else {
			texts(4+i, *bound)
		}
	}
	numbers(6, st.NullCount)
	numbers(7, st.SizeBytes)
}

// Schema is that of SHOW STATS.
func (b *statsReader) Schema() *arrow.Schema { return statsSchema }

// RecordBatch is the current batch.
func (b *statsReader) RecordBatch() arrow.RecordBatch { return b.rec }

// Record is RecordBatch.
func (b *statsReader) Record() arrow.RecordBatch { return b.rec }

// Err is what ended the rows early.
func (b *statsReader) Err() error { return b.err }

// Retain does nothing: there is one owner.
func (b *statsReader) Retain() {}

// Release gives the memory back.
func (b *statsReader) Release() {
	if b.rec != nil {
		b.rec.Release()
		b.rec = nil
	}
	b.b.Release()
	b.more = false
}

// meta is the permission that facts about any table ask for.
func meta(string) rbac.Permission { return rbac.Meta }
