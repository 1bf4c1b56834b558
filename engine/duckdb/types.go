package duckdb

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	bindings "github.com/duckdb/duckdb-go-bindings"

	"github.com/supertable-go/supertable/engine"
)

// exported is a type of a result: how DuckDB lays it out in memory, and how it
// leaves this package. They differ in booleans only, which arrive as bytes.
//
// The instance exports without loss (arrow_lossless_conversion), because the
// other way silently wraps large UHUGEINTs, drops the offset of TIMETZ and
// forgets what is a UUID. What leaves is:
//
//	BOOLEAN                      bool
//	HUGEINT, so sum(BIGINT) too  decimal128(38, 0), in 128 bits even above 10^38
//	UUID                         fixed_size_binary(16), extension arrow.uuid
//	JSON                         utf8, extension arrow.json
//	UHUGEINT, TIMETZ             fixed_size_binary, extension arrow.opaque
//	BIT, BIGNUM                  binary, extension arrow.opaque
//	GEOMETRY                     binary (WKB)
//	TIME, TIME_NS                time64[us], time64[ns]
//	TIMESTAMPTZ                  timestamp[us, UTC]
//	ENUM                         dictionary of utf8
//	UNION                        sparse union
//	VARIANT                      refused: it has no Arrow form
//
// Everything else is Arrow's type of the same name, never large, never a view.
// Extensions stand in the metadata of the field, also of nested fields; what is
// opaque are DuckDB's own bytes: cast it to be read.
type exported struct {
	wire, out arrow.DataType
	extension arrow.Metadata
}

// field makes a column or child of type t, which is e.wire or e.out.
func (e exported) field(name string, t arrow.DataType) arrow.Field {
	return arrow.Field{Name: name, Type: t, Nullable: true, Metadata: e.extension}
}

// plain says that a value needs nothing done on its way out.
func (e exported) plain() bool { return e.wire == e.out }

func same(t arrow.DataType) exported { return exported{wire: t, out: t} }

var wide = &arrow.FixedSizeBinaryType{ByteWidth: 16}

// leafTypes are the types that have neither parameters nor children.
var leafTypes = map[bindings.Type]exported{
	bindings.TypeBoolean:     {wire: arrow.PrimitiveTypes.Int8, out: arrow.FixedWidthTypes.Boolean},
	bindings.TypeTinyInt:     same(arrow.PrimitiveTypes.Int8),
	bindings.TypeSmallInt:    same(arrow.PrimitiveTypes.Int16),
	bindings.TypeInteger:     same(arrow.PrimitiveTypes.Int32),
	bindings.TypeBigInt:      same(arrow.PrimitiveTypes.Int64),
	bindings.TypeUTinyInt:    same(arrow.PrimitiveTypes.Uint8),
	bindings.TypeUSmallInt:   same(arrow.PrimitiveTypes.Uint16),
	bindings.TypeUInteger:    same(arrow.PrimitiveTypes.Uint32),
	bindings.TypeUBigInt:     same(arrow.PrimitiveTypes.Uint64),
	bindings.TypeHugeInt:     same(&arrow.Decimal128Type{Precision: 38}),
	bindings.TypeUHugeInt:    opaque(wide, "uhugeint"),
	bindings.TypeFloat:       same(arrow.PrimitiveTypes.Float32),
	bindings.TypeDouble:      same(arrow.PrimitiveTypes.Float64),
	bindings.TypeDate:        same(arrow.FixedWidthTypes.Date32),
	bindings.TypeTime:        same(arrow.FixedWidthTypes.Time64us),
	bindings.TypeTimeNS:      same(arrow.FixedWidthTypes.Time64ns),
	bindings.TypeTimeTZ:      opaque(&arrow.FixedSizeBinaryType{ByteWidth: 8}, "time_tz"),
	bindings.TypeTimestampS:  same(&arrow.TimestampType{Unit: arrow.Second}),
	bindings.TypeTimestampMS: same(&arrow.TimestampType{Unit: arrow.Millisecond}),
	bindings.TypeTimestamp:   same(&arrow.TimestampType{Unit: arrow.Microsecond}),
	bindings.TypeTimestampNS: same(&arrow.TimestampType{Unit: arrow.Nanosecond}),
	bindings.TypeTimestampTZ: same(&arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}),
	bindings.TypeInterval:    same(arrow.FixedWidthTypes.MonthDayNanoInterval),
	bindings.TypeVarchar:     same(arrow.BinaryTypes.String),
	bindings.TypeBlob:        same(arrow.BinaryTypes.Binary),
	bindings.TypeGeometry:    same(arrow.BinaryTypes.Binary), // WKB
	bindings.TypeBit:         opaque(arrow.BinaryTypes.Binary, "bit"),
	bindings.TypeBigNum:      opaque(arrow.BinaryTypes.Binary, "bignum"),
	bindings.TypeUUID:        extension(wide, "arrow.uuid", ""),
	bindings.TypeSQLNull:     same(arrow.Null),
}

func opaque(storage arrow.DataType, name string) exported {
	return extension(storage, "arrow.opaque", `{"type_name":"`+name+`","vendor_name":"DuckDB"}`)
}

func extension(storage arrow.DataType, name, meta string) exported {
	e := same(storage)
	e.extension = arrow.NewMetadata(
		[]string{"ARROW:extension:name", "ARROW:extension:metadata"}, []string{name, meta})
	return e
}

// exportedType gives the Arrow types of a DuckDB type and frees the latter.
func exportedType(t bindings.LogicalType) (exported, error) {
	defer bindings.DestroyLogicalType(&t)
	id := bindings.GetTypeId(t)
	if id == bindings.TypeVarchar && bindings.LogicalTypeGetAlias(t) == "JSON" {
		return extension(arrow.BinaryTypes.String, "arrow.json", ""), nil
	}
	if e, ok := leafTypes[id]; ok {
		return e, nil
	}
	switch id {
	case bindings.TypeDecimal:
		return same(&arrow.Decimal128Type{
			Precision: int32(bindings.DecimalWidth(t)), Scale: int32(bindings.DecimalScale(t)),
		}), nil
	case bindings.TypeEnum:
		return same(&arrow.DictionaryType{IndexType: enumIndex(t), ValueType: arrow.BinaryTypes.String}), nil
	case bindings.TypeList:
		return listType(bindings.ListTypeChildType(t), arrow.ListOfField)
	case bindings.TypeArray:
		n := int32(bindings.ArrayTypeArraySize(t))
		return listType(bindings.ArrayTypeChildType(t), func(f arrow.Field) *arrow.FixedSizeListType {
			return arrow.FixedSizeListOfField(n, f)
		})
	case bindings.TypeMap:
		return mapType(t)
	case bindings.TypeStruct:
		return structType(t)
	case bindings.TypeUnion:
		return unionType(t)
	}
	return exported{}, &engine.Error{Class: "other", Message: fmt.Sprintf(
		"a result column of DuckDB type %d has no Arrow form: cast it to VARCHAR", id)}
}

func enumIndex(t bindings.LogicalType) arrow.DataType {
	switch bindings.EnumInternalType(t) {
	case bindings.TypeUTinyInt:
		return arrow.PrimitiveTypes.Uint8
	case bindings.TypeUSmallInt:
		return arrow.PrimitiveTypes.Uint16
	}
	return arrow.PrimitiveTypes.Uint32
}

// nestedType makes the two types of a nested one, which are one if no child
// changes on its way out.
func nestedType(children []exported, build func(child func(exported) arrow.DataType) arrow.DataType) exported {
	e := exported{wire: build(func(c exported) arrow.DataType { return c.wire })}
	e.out = e.wire
	for _, c := range children {
		if !c.plain() {
			e.out = build(func(c exported) arrow.DataType { return c.out })
			break
		}
	}
	return e
}

func listType[T arrow.DataType](elem bindings.LogicalType, of func(arrow.Field) T) (exported, error) {
	e, err := exportedType(elem)
	return nestedType([]exported{e}, func(child func(exported) arrow.DataType) arrow.DataType {
		return of(e.field("item", child(e)))
	}), err
}

func mapType(t bindings.LogicalType) (exported, error) {
	key, err := exportedType(bindings.MapTypeKeyType(t))
	if err != nil {
		return exported{}, err
	}
	item, err := exportedType(bindings.MapTypeValueType(t))
	if err != nil {
		return exported{}, err
	}
	return nestedType([]exported{key, item}, func(child func(exported) arrow.DataType) arrow.DataType {
		k := key.field("key", child(key))
		k.Nullable = false
		return arrow.MapOfFields(k, item.field("value", child(item)))
	}), nil
}

func structType(t bindings.LogicalType) (exported, error) {
	names := make([]string, bindings.StructTypeChildCount(t))
	children := make([]exported, len(names))
	var err error
	for i := range names {
		names[i] = bindings.StructTypeChildName(t, bindings.IdxT(i))
		if children[i], err = exportedType(bindings.StructTypeChildType(t, bindings.IdxT(i))); err != nil {
			return exported{}, err
		}
	}
	return nestedType(children, func(child func(exported) arrow.DataType) arrow.DataType {
		return arrow.StructOf(fieldsOf(names, children, child)...)
	}), nil
}

func unionType(t bindings.LogicalType) (exported, error) {
	names := make([]string, bindings.UnionTypeMemberCount(t))
	children := make([]exported, len(names))
	codes := make([]arrow.UnionTypeCode, len(names))
	var err error
	for i := range names {
		codes[i] = arrow.UnionTypeCode(i)
		names[i] = bindings.UnionTypeMemberName(t, bindings.IdxT(i))
		if children[i], err = exportedType(bindings.UnionTypeMemberType(t, bindings.IdxT(i))); err != nil {
			return exported{}, err
		}
	}
	return nestedType(children, func(child func(exported) arrow.DataType) arrow.DataType {
		return arrow.SparseUnionOf(fieldsOf(names, children, child), codes)
	}), nil
}

func fieldsOf(names []string, children []exported, child func(exported) arrow.DataType) []arrow.Field {
	fields := make([]arrow.Field, len(names))
	for i, name := range names {
		fields[i] = children[i].field(name, child(children[i]))
	}
	return fields
}

// retype gives data, laid out as DuckDB does, the type out. The result shares
// data's buffers, except those of booleans; the caller releases both.
func retype(data arrow.ArrayData, out arrow.DataType) arrow.ArrayData {
	if out.ID() == arrow.BOOL && data.DataType().ID() == arrow.INT8 {
		return packBools(data)
	}
	fields := []arrow.Field(nil)
	if nested, ok := out.(arrow.NestedType); ok {
		fields = nested.Fields()
	}
	children := make([]arrow.ArrayData, len(data.Children()))
	for i, c := range data.Children() {
		childType := c.DataType()
		switch {
		case out.ID() == arrow.MAP:
			childType = out.(*arrow.MapType).Elem()
		case i < len(fields):
			childType = fields[i].Type
		}
		children[i] = retype(c, childType)
		defer children[i].Release()
	}
	if d, ok := data.Dictionary().(*array.Data); ok && d != nil {
		return array.NewDataWithDictionary(out, data.Len(), data.Buffers(), data.NullN(), data.Offset(), d)
	}
	return array.NewData(out, data.Len(), data.Buffers(), children, data.NullN(), data.Offset())
}
