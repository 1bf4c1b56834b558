package duckdb

import (
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// typedNulls shows the columns of type null as INTEGER columns without a
// value: DuckDB 1.5.5 takes a null array's buffers for granted and crashes on
// it.
type typedNulls struct {
	array.RecordReader
	schema  *arrow.Schema
	columns []int
	current arrow.RecordBatch
}

// withoutNullType wraps r when it has such columns.
func withoutNullType(r array.RecordReader) array.RecordReader {
	fields := slices.Clone(r.Schema().Fields())
	var columns []int
	for i, f := range fields {
		if f.Type.ID() == arrow.NULL {
			fields[i].Type, fields[i].Nullable = arrow.PrimitiveTypes.Int32, true
			columns = append(columns, i)
		}
	}
	if columns == nil {
		return r
	}
	return &typedNulls{RecordReader: r, schema: arrow.NewSchema(fields, nil), columns: columns}
}

func (t *typedNulls) Schema() *arrow.Schema { return t.schema }

func (t *typedNulls) Next() bool {
	t.drop()
	if !t.RecordReader.Next() {
		return false
	}
	rec := t.RecordReader.RecordBatch()
	cols := slices.Clone(rec.Columns())
	for _, i := range t.columns {
		cols[i] = array.MakeArrayOfNull(memory.DefaultAllocator, arrow.PrimitiveTypes.Int32, int(rec.NumRows()))
		defer cols[i].Release()
	}
	t.current = array.NewRecordBatch(t.schema, cols, rec.NumRows())
	return true
}

func (t *typedNulls) drop() {
	if t.current != nil {
		t.current.Release()
		t.current = nil
	}
}

func (t *typedNulls) RecordBatch() arrow.RecordBatch { return t.current }

func (t *typedNulls) Release() {
	t.drop()
	t.RecordReader.Release()
}
