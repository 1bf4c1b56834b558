package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// Collect runs one statement and gives its rows as Go values, for results that
// are small. Integers come as int64 or uint64, decimals (and sums of bigints)
// as Decimal, dates and timestamps as time.Time in UTC, times, intervals, UUIDs
// and JSON as string, lists as []any, structs as map[string]any, maps as
// [][2]any, binary as []byte.
func Collect(ctx context.Context, c Conn, sql string, params map[string]any) ([][]any, error) {
	r, err := c.Query(ctx, sql, params)
	if err != nil {
		return nil, err
	}
	defer r.Release()
	var rows [][]any
	for r.Next() {
		batch := r.RecordBatch()
		fields := batch.Schema().Fields()
		for i := range int(batch.NumRows()) {
			row := make([]any, len(fields))
			for j, f := range fields {
				if row[j], err = value(f, batch.Column(j), i); err != nil {
					return nil, fmt.Errorf("column %q: %w", f.Name, err)
				}
			}
			rows = append(rows, row)
		}
	}
	return rows, r.Err()
}

// value gives the value of field f in row i of a. Nothing in it shares memory
// with the array.
func value(f arrow.Field, a arrow.Array, i int) (any, error) {
	if a.IsNull(i) {
		return nil, nil
	}
	if v, ok := number(a, i); ok {
		return v, nil
	}
	switch a := a.(type) {
	case *array.String:
		return strings.Clone(a.Value(i)), nil
	case *array.Binary:
		return append([]byte{}, a.Value(i)...), nil
	case *array.FixedSizeBinary:
		if name, _ := f.Metadata.GetValue("ARROW:extension:name"); name == "arrow.uuid" {
			b := a.Value(i)
			return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]), nil
		}
		return append([]byte{}, a.Value(i)...), nil
	case *array.Date32:
		return a.Value(i).ToTime(), nil
	case *array.Timestamp:
		return a.Value(i).ToTime(a.DataType().(*arrow.TimestampType).Unit).UTC(), nil
	case *array.Dictionary:
		return value(f, a.Dictionary(), a.GetValueIndex(i))
	case *array.Null:
		return nil, nil
	case *array.Time32, *array.Time64, *array.MonthDayNanoInterval, *array.Duration:
		return text(a, i), nil
	}
	return nested(a, i)
}

// number gives booleans and numbers; ok is false for anything else.
func number(a arrow.Array, i int) (v any, ok bool) {
	switch a := a.(type) {
	case *array.Boolean:
		return a.Value(i), true
	case *array.Int8:
		return int64(a.Value(i)), true
	case *array.Int16:
		return int64(a.Value(i)), true
	case *array.Int32:
		return int64(a.Value(i)), true
	case *array.Int64:
		return a.Value(i), true
	case *array.Uint8:
		return uint64(a.Value(i)), true
	case *array.Uint16:
		return uint64(a.Value(i)), true
	case *array.Uint32:
		return uint64(a.Value(i)), true
	case *array.Uint64:
		return a.Value(i), true
	case *array.Float32:
		return float64(a.Value(i)), true
	case *array.Float64:
		return a.Value(i), true
	case *array.Decimal128:
		return Decimal(a.Value(i).ToString(a.DataType().(*arrow.Decimal128Type).Scale)), true
	}
	return nil, false
}

// nested gives lists, structs, maps and unions.
func nested(a arrow.Array, i int) (any, error) {
	switch a := a.(type) {
	case *array.Map: // a ListLike too, so it goes first
		t := a.DataType().(*arrow.MapType)
		start, end := a.ValueOffsets(i)
		out := make([][2]any, 0, end-start)
		for k := int(start); k < int(end); k++ {
			key, err := value(t.KeyField(), a.Keys(), k)
			if err != nil {
				return nil, err
			}
			item, err := value(t.ItemField(), a.Items(), k)
			if err != nil {
				return nil, err
			}
			out = append(out, [2]any{key, item})
		}
		return out, nil
	case array.ListLike:
		elem := a.DataType().(arrow.ListLikeType).ElemField()
		start, end := a.ValueOffsets(i)
		out := make([]any, 0, end-start)
		for k := int(start); k < int(end); k++ {
			v, err := value(elem, a.ListValues(), k)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		return out, nil
	case *array.Struct:
		return structValue(a, i)
	case *array.SparseUnion:
		child := a.ChildID(i)
		return value(a.DataType().(*arrow.SparseUnionType).Fields()[child], a.Field(child), i)
	}
	return nil, &Error{Class: "other", Message: "no Go value for " + a.DataType().String()}
}

func structValue(a *array.Struct, i int) (any, error) {
	fields := a.DataType().(*arrow.StructType).Fields()
	out := make(map[string]any, len(fields))
	for k, f := range fields {
		v, err := value(f, a.Field(k), i)
		if err != nil {
			return nil, err
		}
		out[f.Name] = v
	}
	return out, nil
}

// text gives times as "15:04:05.999999" and intervals as Arrow prints them.
func text(a arrow.Array, i int) string {
	switch a := a.(type) {
	case *array.Time32:
		return a.Value(i).FormattedString(a.DataType().(*arrow.Time32Type).Unit)
	case *array.Time64:
		return a.Value(i).FormattedString(a.DataType().(*arrow.Time64Type).Unit)
	case *array.MonthDayNanoInterval:
		b, _ := json.Marshal(a.Value(i))
		return string(b)
	}
	return a.ValueStr(i)
}
