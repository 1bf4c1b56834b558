package cli

import (
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// A result is laid out for Parquet in two ways: extensions that stand in a
// field's metadata become types, so that a UUID is a UUID in the file, and
// fixed-size lists become lists, since Parquet has no others.

// parquetSchema is the schema of the file; changed names the columns whose
// type is another one.
func parquetSchema(schema *arrow.Schema) (out *arrow.Schema, changed []int) {
	fields := schema.Fields()
	for i, f := range schema.Fields() {
		if fields[i] = parquetField(f); !arrow.TypeEqual(f.Type, fields[i].Type) {
			changed = append(changed, i)
		}
	}
	meta := schema.Metadata()
	return arrow.NewSchema(fields, &meta), changed
}

func parquetField(f arrow.Field) arrow.Field {
	if name, ok := f.Metadata.GetValue("ARROW:extension:name"); ok {
		data, _ := f.Metadata.GetValue("ARROW:extension:metadata")
		if known := arrow.GetExtensionType(name); known != nil {
			if t, err := known.Deserialize(f.Type, data); err == nil {
				return arrow.Field{Name: f.Name, Type: t, Nullable: f.Nullable}
			}
		}
	}
	switch t := f.Type.(type) {
	case *arrow.StructType:
		fields := t.Fields()
		for i := range fields {
			fields[i] = parquetField(fields[i])
		}
		f.Type = arrow.StructOf(fields...)
	case *arrow.MapType:
		m := arrow.MapOfFields(parquetField(t.KeyField()), parquetField(t.ItemField()))
		m.KeysSorted = t.KeysSorted
		f.Type = m
	case *arrow.ListType:
		f.Type = arrow.ListOfField(parquetField(t.ElemField()))
	case *arrow.LargeListType:
		f.Type = arrow.LargeListOfField(parquetField(t.ElemField()))
	case *arrow.FixedSizeListType:
		f.Type = arrow.ListOfField(parquetField(t.ElemField()))
	}
	return f
}

// convert lays b out for the file; the caller releases what it returns.
func (p *parquetRows) convert(b arrow.RecordBatch) (arrow.RecordBatch, error) {
	columns := slices.Clone(b.Columns())
	for _, i := range p.changed {
		data, err := relay(columns[i].Data(), p.schema.Field(i).Type)
		if err != nil {
			return nil, err
		}
		columns[i] = array.MakeFromData(data)
		data.Release()
		defer columns[i].Release()
	}
	return array.NewRecordBatch(p.schema, columns, b.NumRows()), nil
}

// relay lays d out as type to; the caller releases what it returns.
func relay(d arrow.ArrayData, to arrow.DataType) (arrow.ArrayData, error) {
	if arrow.TypeEqual(d.DataType(), to) {
		d.Retain()
		return d, nil
	}
	if _, ok := to.(arrow.ExtensionType); ok {
		return array.NewData(to, d.Len(), d.Buffers(), d.Children(), d.NullN(), d.Offset()), nil
	}
	inner := childTypes(to)
	children := make([]arrow.ArrayData, 0, len(inner))
	defer func() {
		for _, c := range children {
			c.Release()
		}
	}()
	for i, c := range d.Children() {
		laid, err := relay(c, inner[i])
		if err != nil {
			return nil, err
		}
		children = append(children, laid)
	}
	if from, ok := d.DataType().(*arrow.FixedSizeListType); ok {
		return flattenList(d, int64(from.Len()), children[0], to)
	}
	return array.NewData(to, d.Len(), d.Buffers(), children, d.NullN(), d.Offset()), nil
}

// childTypes are the types of the child arrays; the child of a map is its
// array of entries.
func childTypes(t arrow.DataType) []arrow.DataType {
	if m, ok := t.(*arrow.MapType); ok {
		return []arrow.DataType{m.Elem()}
	}
	var out []arrow.DataType
	for _, f := range t.(arrow.NestedType).Fields() {
		out = append(out, f.Type)
	}
	return out
}

// flattenList makes a list, in which a NULL has no elements, of a fixed-size
// list with these elements.
func flattenList(d arrow.ArrayData, width int64, elements arrow.ArrayData, to arrow.DataType) (arrow.ArrayData, error) {
	list := array.MakeFromData(d)
	defer list.Release()
	all := array.MakeFromData(elements)
	defer all.Release()

	mem := memory.DefaultAllocator
	ends, valid := array.NewInt32Builder(mem), array.NewBooleanBuilder(mem)
	defer ends.Release()
	defer valid.Release()
	parts := []arrow.Array{array.NewSlice(all, 0, 0)}
	end := int32(0)
	ends.Append(end)
	for i := range list.Len() {
		if list.IsValid(i) {
			from := int64(d.Offset()+i) * width
			parts = append(parts, array.NewSlice(all, from, from+width))
			end += int32(width)
		}
		valid.Append(list.IsValid(i))
		ends.Append(end)
	}
	values, err := array.Concatenate(parts, mem)
	for _, p := range parts {
		p.Release()
	}
	if err != nil {
		return nil, err
	}
	defer values.Release()
	offsets, bits := ends.NewArray(), valid.NewArray()
	defer offsets.Release()
	defer bits.Release()
	buffers := []*memory.Buffer{bits.Data().Buffers()[1], offsets.Data().Buffers()[1]}
	return array.NewData(to, list.Len(), buffers, []arrow.ArrayData{values.Data()}, list.NullN(), 0), nil
}
