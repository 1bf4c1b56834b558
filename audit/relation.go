package audit

import (
	"context"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
)

var (
	text  = arrow.BinaryTypes.String
	texts = arrow.ListOf(arrow.BinaryTypes.String)
	whole = arrow.PrimitiveTypes.Int64
)

// columns of the audit as a relation: those of audit show in their order, then
// the rest of the record.
var columns = []struct {
	name, sql string
	typ       arrow.DataType
}{
	{"seq", "BIGINT", whole},
	{"time", "TIMESTAMP WITH TIME ZONE", arrow.FixedWidthTypes.Timestamp_us},
	{"principal", "VARCHAR", text},
	{"roles", "VARCHAR[]", texts},
	{"action", "VARCHAR", text},
	{"tables", "VARCHAR[]", texts},
	{"snapshot", "BIGINT", whole},
	{"statement", "VARCHAR", text},
	{"rows", "BIGINT", whole},
	{"outcome", "VARCHAR", text},
	{"duration_ms", "DOUBLE", arrow.PrimitiveTypes.Float64},
	{"hash", "VARCHAR", text},
	{"policy", "BIGINT", whole},
	{"statement_hash", "VARCHAR", text},
	{"reason", "VARCHAR", text},
}

// Relation is the audit of a SuperTable as SQL reads it.
type Relation struct{ Catalog *catalog.Catalog }

// Columns of the relation.
func (Relation) Columns() []datafile.Column {
	out := make([]datafile.Column, len(columns))
	for i, c := range columns {
		t, err := datafile.ParseSQL(c.sql)
		if err != nil {
			panic(err) // the types are constants
		}
		out[i] = datafile.Column{Name: c.name, Type: t, Nullable: true}
	}
	return out
}

// Head is the number of the newest record of v.
func (Relation) Head(ctx context.Context, v *catalog.View) (int64, error) {
	h, err := v.AuditHead(ctx)
	return h.Seq, err
}

// Rows streams the records up to a number, oldest first, a page at a time: no
// state of the catalog is held while the reader waits.
func (r Relation) Rows(ctx context.Context, upTo int64) array.RecordReader {
	fields := make([]arrow.Field, len(columns))
	for i, c := range columns {
		fields[i] = arrow.Field{Name: c.name, Type: c.typ, Nullable: true}
	}
	p := &pages{ctx: ctx, catalog: r.Catalog, schema: arrow.NewSchema(fields, nil), upTo: upTo}
	p.refs.Store(1)
	return p
}

// pageRows is how many records are in memory at a time.
const pageRows = 2000

// pages is a RecordReader over the stored records.
type pages struct {
	refs    atomic.Int64
	ctx     context.Context //nolint:containedctx // lives as long as the statement that reads it
	catalog *catalog.Catalog
	schema  *arrow.Schema
	upTo    int64
	last    int64
	page    arrow.RecordBatch
	err     error
}

func (p *pages) Schema() *arrow.Schema          { return p.schema }
func (p *pages) RecordBatch() arrow.RecordBatch { return p.page }
func (p *pages) Record() arrow.RecordBatch      { return p.page }
func (p *pages) Err() error                     { return p.err }
func (p *pages) Retain()                        { p.refs.Add(1) }

func (p *pages) Release() {
	if p.refs.Add(-1) == 0 {
		p.drop()
	}
}

func (p *pages) drop() {
	if p.page != nil {
		p.page.Release()
		p.page = nil
	}
}

func (p *pages) Next() bool {
	p.drop()
	if p.err != nil || p.last >= p.upTo {
		return false
	}
	b := array.NewRecordBuilder(memory.DefaultAllocator, p.schema)
	defer b.Release()
	n := 0
	p.err = p.catalog.Read(p.ctx, func(v *catalog.View) error {
		return Records(p.ctx, v, catalog.AuditQuery{After: p.last, UpTo: p.upTo, Limit: pageRows}, func(r Record) error {
			appendRecord(b, r)
			p.last, n = r.Seq, n+1
			return nil
		})
	})
	if p.err != nil || n == 0 {
		return false
	}
	p.page = b.NewRecordBatch()
	return true
}

func appendRecord(b *array.RecordBuilder, r Record) {
	ms := float64(r.Took.Microseconds()) / 1000
	at := arrow.Timestamp(r.Time.UnixMicro())
	for i, v := range []any{r.Seq, at, r.Principal, r.Roles, r.Action, r.Tables, r.Snapshot, r.Statement, r.Rows, r.Outcome, ms, r.Hash, r.Policy, r.StatementHash, r.Reason} {
		switch f := b.Field(i).(type) {
		case *array.Int64Builder:
			switch n := v.(type) {
			case int64:
				f.Append(n)
			case *int64:
				if n == nil {
					f.AppendNull()
					continue
				}
				f.Append(*n)
			}
		case *array.TimestampBuilder:
			f.Append(v.(arrow.Timestamp))
		case *array.Float64Builder:
			f.Append(v.(float64))
		case *array.StringBuilder:
			f.Append(v.(string))
		case *array.ListBuilder:
			f.Append(true)
			for _, s := range v.([]string) {
				f.ValueBuilder().(*array.StringBuilder).Append(s)
			}
		}
	}
}
