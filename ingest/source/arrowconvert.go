package source

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/supertable-go/supertable/internal/errs"
)

// converter makes an array that the engine reads exactly of one that it would
// cut or refuse. The result is the caller's to release.
type converter func(arrow.Array) (arrow.Array, error)

// lost is the error of a converter for a value that does not survive.
type lost string

func (l lost) Error() string { return string(l) }

const (
	lostNanos lost = "nanoseconds"
	lostTime  lost = "time of day"
)

// prepare checks the schema and finds the columns to convert.
func (s *stream) prepare(schema *arrow.Schema) error {
	fields := make([]arrow.Field, schema.NumFields())
	convs := make([]converter, schema.NumFields())
	any := false
	for i, f := range schema.Fields() {
		t, conv, err := s.convertible(f.Name, f.Type)
		if err != nil {
			return err
		}
		if hasStruct(t) {
			conv = rebasing(conv)
		}
		f.Type = t
		fields[i], convs[i] = f, conv
		any = any || conv != nil
	}
	s.schema = schema
	if any {
		md := schema.Metadata()
		s.schema, s.conv = arrow.NewSchema(fields, &md), convs
	}
	return nil
}

// rebasing is conv, which may be nil, and rebased behind it.
func rebasing(conv converter) converter {
	return func(a arrow.Array) (arrow.Array, error) {
		if conv == nil {
			return rebased(a), nil
		}
		out, err := conv(a)
		if err != nil {
			return nil, err
		}
		defer out.Release()
		return rebased(out), nil
	}
}

func (s *stream) refuse(column string, t arrow.DataType, to string) error {
	return errs.New(errs.TypeConflict, "%s: column %s: Arrow %s cannot be stored: cast it to %s", s.name, quoteShort(column), oneLine(t.String(), 80), to)
}

// convertible finds the type that the engine is to see and the converter, nil
// where the array is right as it is.
func (s *stream) convertible(column string, t arrow.DataType) (arrow.DataType, converter, error) {
	switch t := t.(type) {
	case arrow.ExtensionType:
		to, conv, err := s.convertible(column, t.StorageType())
		if err != nil || conv == nil {
			return t, nil, err
		}
		return to, func(a arrow.Array) (arrow.Array, error) { return conv(a.(array.ExtensionArray).Storage()) }, nil
	case *arrow.Time64Type:
		if t.Unit == arrow.Nanosecond {
			return arrow.FixedWidthTypes.Time64us, divided(arrow.FixedWidthTypes.Time64us, 1000, lostNanos), nil
		}
	case *arrow.TimestampType:
		if t.Unit == arrow.Nanosecond && t.TimeZone != "" {
			to := &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: t.TimeZone}
			return to, divided(to, 1000, lostNanos), nil
		}
	case *arrow.Date64Type:
		return arrow.FixedWidthTypes.Date32, datesOf, nil
	case *arrow.Float16Type:
		return arrow.PrimitiveTypes.Float32, floatsOf, nil
	case *arrow.DurationType:
		return nil, nil, s.refuse(column, t, "int64")
	case *arrow.MonthIntervalType, *arrow.DayTimeIntervalType, *arrow.MonthDayNanoIntervalType:
		return nil, nil, s.refuse(column, t, "int64 or text")
	case *arrow.Decimal256Type:
		return nil, nil, s.refuse(column, t, "decimal128 or text")
	case arrow.UnionType:
		return nil, nil, s.refuse(column, t, "a struct or text")
	case *arrow.RunEndEncodedType:
		return nil, nil, s.refuse(column, t, t.Encoded().String())
	case *arrow.DictionaryType:
		return s.dictionary(column, t)
	case arrow.NestedType:
		return s.nested(column, t)
	}
	return t, nil, nil
}

// dictionary converts the values of a dictionary.
func (s *stream) dictionary(column string, t *arrow.DictionaryType) (arrow.DataType, converter, error) {
	value, conv, err := s.convertible(column, t.ValueType)
	if err != nil || conv == nil {
		return t, nil, err
	}
	to := &arrow.DictionaryType{IndexType: t.IndexType, ValueType: value, Ordered: t.Ordered}
	return to, func(a arrow.Array) (arrow.Array, error) {
		d := a.(*array.Dictionary)
		values, err := conv(d.Dictionary())
		if err != nil {
			return nil, err
		}
		defer values.Release()
		return array.NewDictionaryArray(to, d.Indices(), values), nil
	}, nil
}

// nested converts the children of a nested type.
func (s *stream) nested(column string, t arrow.NestedType) (arrow.DataType, converter, error) {
	fields := append([]arrow.Field(nil), t.Fields()...)
	convs := make([]converter, len(fields))
	any := false
	for i, f := range fields {
		typ, conv, err := s.convertible(column, f.Type)
		if err != nil {
			return nil, nil, err
		}
		fields[i].Type, convs[i] = typ, conv
		any = any || conv != nil
	}
	if !any {
		return t, nil, nil
	}
	to := withFields(t, fields)
	if to == nil {
		return nil, nil, s.refuse(column, t, "a list or struct of microseconds")
	}
	return to, func(a arrow.Array) (arrow.Array, error) { return convertChildren(a, to, convs) }, nil
}

// withFields is the nested type with other children, nil when the kind is not
// known.
func withFields(t arrow.NestedType, fields []arrow.Field) arrow.DataType {
	switch t := t.(type) {
	case *arrow.StructType:
		return arrow.StructOf(fields...)
	case *arrow.ListType:
		return arrow.ListOfField(fields[0])
	case *arrow.LargeListType:
		return arrow.LargeListOfField(fields[0])
	case *arrow.FixedSizeListType:
		return arrow.FixedSizeListOfField(t.Len(), fields[0])
	case *arrow.MapType:
		entry := fields[0].Type.(*arrow.StructType).Fields()
		return arrow.MapOfFields(entry[0], entry[1])
	}
	return nil
}

func convertChildren(a arrow.Array, to arrow.DataType, convs []converter) (arrow.Array, error) {
	data := a.Data()
	children := make([]arrow.ArrayData, len(convs))
	for i, child := range data.Children() {
		in := array.MakeFromData(child)
		defer in.Release()
		if children[i] = child; convs[i] == nil {
			continue
		}
		out, err := convs[i](in)
		if err != nil {
			return nil, err
		}
		defer out.Release()
		children[i] = out.Data()
	}
	d := array.NewData(to, data.Len(), data.Buffers(), children, data.NullN(), data.Offset())
	defer d.Release()
	return array.MakeFromData(d), nil
}

// divided converts 64-bit values to a coarser unit of the same width.
func divided(to arrow.DataType, by int64, err lost) converter {
	return func(a arrow.Array) (arrow.Array, error) {
		in := arrow.Int64Traits.CastFromBytes(valueBytes(a, 8))
		out := make([]int64, a.Len())
		for i := range out {
			v := in[a.Data().Offset()+i]
			if v%by != 0 && a.IsValid(i) {
				return nil, err
			}
			out[i] = v / by
		}
		return sameNulls(a, to, arrow.Int64Traits.CastToBytes(out)), nil
	}
}

// datesOf makes days of milliseconds.
func datesOf(a arrow.Array) (arrow.Array, error) {
	const day = 86_400_000
	in := arrow.Int64Traits.CastFromBytes(valueBytes(a, 8))
	out := make([]int32, a.Len())
	for i := range out {
		v := in[a.Data().Offset()+i]
		if !a.IsValid(i) {
			continue
		}
		if v%day != 0 || v/day != int64(int32(v/day)) {
			return nil, lostTime
		}
		out[i] = int32(v / day)
	}
	return sameNulls(a, arrow.FixedWidthTypes.Date32, arrow.Int32Traits.CastToBytes(out)), nil
}

// floatsOf makes 32-bit floats of 16-bit ones.
func floatsOf(a arrow.Array) (arrow.Array, error) {
	in := a.(*array.Float16)
	out := make([]float32, a.Len())
	for i := range out {
		if in.IsValid(i) {
			out[i] = in.Value(i).Float32()
		}
	}
	return sameNulls(a, arrow.PrimitiveTypes.Float32, arrow.Float32Traits.CastToBytes(out)), nil
}

// valueBytes are the values of a fixed-width array from its very beginning.
func valueBytes(a arrow.Array, width int) []byte {
	if buf := a.Data().Buffers()[1]; buf != nil && buf.Len() > 0 {
		return buf.Bytes()
	}
	return make([]byte, (a.Len()+a.Data().Offset())*width)
}

// sameNulls is an array of other values with the nulls of a.
func sameNulls(a arrow.Array, to arrow.DataType, values []byte) arrow.Array {
	var valid *memory.Buffer
	if a.NullN() > 0 {
		bits := make([]byte, (a.Len()+7)/8)
		for i := range a.Len() {
			if a.IsValid(i) {
				bits[i/8] |= 1 << (i % 8)
			}
		}
		valid = memory.NewBufferBytes(bits)
	}
	d := array.NewData(to, a.Len(), []*memory.Buffer{valid, memory.NewBufferBytes(values)}, nil, a.NullN(), 0)
	defer d.Release()
	return array.MakeFromData(d)
}

// convert makes a batch for the engine.
func (s *stream) convert(rec arrow.RecordBatch) (arrow.RecordBatch, error) {
	cols := make([]arrow.Array, rec.NumCols())
	for i, col := range rec.Columns() {
		if cols[i] = col; s.conv[i] == nil {
			continue
		}
		out, err := s.conv[i](col)
		if l, ok := err.(lost); ok { //nolint:errorlint // made by the converters here, never wrapped
			return nil, s.lossError(rec.ColumnName(i), col.DataType(), l)
		}
		if err != nil {
			return nil, err
		}
		defer out.Release()
		cols[i] = out
	}
	return array.NewRecordBatch(s.schema, cols, rec.NumRows()), nil
}

func (s *stream) lossError(column string, t arrow.DataType, l lost) error {
	if l == lostNanos {
		return nanosError(s.name, column, map[bool]string{true: "TIME", false: tZoned}[t.ID() == arrow.TIME64])
	}
	return errs.New(errs.TypeConflict, "%s: column %s: Arrow %s has a %s, which DATE cannot hold: cast it to a timestamp", s.name, quoteShort(column), t, string(l))
}
