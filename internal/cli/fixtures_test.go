package cli

import (
	"math"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/extensions"
)

var wideUint = []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// everyType has a column of every type that a result can have.
func everyType(t testing.TB) []fixture {
	out := numberFixtures(t)
	out = append(out, textFixtures(t)...)
	out = append(out, timeFixtures(t)...)
	return append(out, nestedFixtures(t)...)
}

func numberFixtures(t testing.TB) []fixture {
	p := arrow.PrimitiveTypes
	huge := decimal128.New(math.MaxInt64, math.MaxUint64) // a HUGEINT above 10^38
	return []fixture{
		fromJSON(t, "bool", arrow.FixedWidthTypes.Boolean, `[true,false,null]`),
		fromJSON(t, "int8", p.Int8, `[-128,127,null]`),
		fromJSON(t, "int16", p.Int16, `[-32768,32767,null]`),
		fromJSON(t, "int32", p.Int32, `[-2147483648,2147483647,null]`),
		fromJSON(t, "int64", p.Int64, `["-9223372036854775808","9223372036854775807","9007199254740993",null]`),
		fromJSON(t, "uint8", p.Uint8, `[0,255,null]`),
		fromJSON(t, "uint16", p.Uint16, `[0,65535,null]`),
		fromJSON(t, "uint32", p.Uint32, `[0,4294967295,null]`),
		fromJSON(t, "uint64", p.Uint64, `["0","18446744073709551615",null]`),
		fromJSON(t, "float16", arrow.FixedWidthTypes.Float16, `[0.1,1.5,null]`),
		build("float32", p.Float32, func(b *array.Float32Builder) {
			b.AppendValues([]float32{0.1, 0.25, 16777216, float32(math.Inf(1)), float32(math.NaN())}, nil)
			b.AppendNull()
		}),
		build("float64", p.Float64, func(b *array.Float64Builder) {
			b.AppendValues([]float64{
				0.1, 2, 2.25, -0.5, 1e20, 1e21, 1e22, 1e-6, 1e-7, 5e-324, math.MaxFloat64,
				math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1),
			}, nil)
			b.AppendNull()
		}),
		fromJSON(t, "decimal32", &arrow.Decimal32Type{Precision: 9, Scale: 2}, `["-0.05","1234567.89",null]`),
		fromJSON(t, "decimal64", &arrow.Decimal64Type{Precision: 18, Scale: 9}, `["12.345000000","-999999999.999999999",null]`),
		fromJSON(t, "decimal128", &arrow.Decimal128Type{Precision: 38, Scale: 10},
			`["1234567890123456789012345678.0123456789","-0.0000000001","0","1",null]`),
		fromJSON(t, "decimal256", &arrow.Decimal256Type{Precision: 76, Scale: 4},
			`["123456789012345678901234567890123456789012345678901234567890.1234","-1.5",null]`),
		build("decimal_negative_scale", &arrow.Decimal128Type{Precision: 10, Scale: -3}, func(b *array.Decimal128Builder) {
			b.AppendValues([]decimal128.Num{decimal128.FromI64(12), decimal128.FromI64(-7), decimal128.FromI64(0)}, nil)
		}),
		build("hugeint", &arrow.Decimal128Type{Precision: 38}, func(b *array.Decimal128Builder) {
			b.AppendValues([]decimal128.Num{huge, huge.Negate(), decimal128.FromI64(7)}, nil)
			b.AppendNull()
		}),
		build("uhugeint", &arrow.FixedSizeBinaryType{ByteWidth: 16}, func(b *array.FixedSizeBinaryBuilder) {
			b.Append(wideUint)
			b.AppendNull()
		}).as("arrow.opaque", `{"type_name":"uhugeint","vendor_name":"DuckDB"}`),
		build("opaque_hugeint", extensions.NewOpaqueType(&arrow.FixedSizeBinaryType{ByteWidth: 16}, "hugeint", "DuckDB"),
			func(b *array.ExtensionBuilder) { b.StorageBuilder().(*array.FixedSizeBinaryBuilder).Append(wideUint) }),
		fromJSON(t, "bool8", p.Int8, `[0,1,null]`).as("arrow.bool8", ""),
	}
}

func textFixtures(t testing.TB) []fixture {
	texts := `["žluťoučký 🐎","","a,b","say \"hi\"","two\nlines","\ttab ","#no comment","NULL","null","007","<&>","\u0000\u0007\u007f","\u2028\u202e",null]`
	uuid := []byte{0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0x4d, 0xef, 0x81, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef}
	b := arrow.BinaryTypes
	return []fixture{
		fromJSON(t, "text", b.String, texts),
		fromJSON(t, "large_text", b.LargeString, `["a","",null]`),
		fromJSON(t, "text_view", b.StringView, `["a","longer than twelve bytes",null]`),
		build("not_utf8", b.String, func(b *array.StringBuilder) { b.Append("a\xffb"); b.Append("\xc3"); b.Append("\ufffd") }),
		fromJSON(t, "json", b.String, `["{\"a\": [1, null]}","{x","",null]`).as("arrow.json", ""),
		fromJSON(t, "unknown_extension", b.String, `["x",null]`).as("acme.colour", ""),
		fromJSON(t, "blob", b.Binary, `["AP8Q","",null]`),
		fromJSON(t, "large_blob", b.LargeBinary, `["AP8Q",null]`),
		fromJSON(t, "blob_view", b.BinaryView, `["AP8Q",null]`),
		fromJSON(t, "fixed_blob", &arrow.FixedSizeBinaryType{ByteWidth: 3}, `["AP8Q",null]`),
		build("uuid", &arrow.FixedSizeBinaryType{ByteWidth: 16}, func(b *array.FixedSizeBinaryBuilder) {
			b.Append(uuid)
			b.AppendNull()
		}).as("arrow.uuid", ""),
		build("uuid_type", extensions.NewUUIDType(), func(b *extensions.UUIDBuilder) {
			b.Append([16]byte(uuid))
			b.AppendNull()
		}),
		build("bit", b.Binary, func(b *array.BinaryBuilder) {
			b.Append([]byte{3, 0xf5}) // three bits of padding
			b.Append([]byte{0, 0x0f, 0xf0})
			b.AppendNull()
		}).as("arrow.opaque", `{"type_name":"bit","vendor_name":"DuckDB"}`),
		fromJSON(t, "null", arrow.Null, `[null,null]`),
	}
}

func timeFixtures(t testing.TB) []fixture {
	f := arrow.FixedWidthTypes
	stamp := func(name string, u arrow.TimeUnit, zone string, values ...arrow.Timestamp) fixture {
		return build(name, &arrow.TimestampType{Unit: u, TimeZone: zone}, func(b *array.TimestampBuilder) {
			b.AppendValues(values, nil)
			b.AppendNull()
		})
	}
	return []fixture{
		build("date32", f.Date32, func(b *array.Date32Builder) {
			b.AppendValues([]arrow.Date32{0, 20484, -719162, 2932896, 2932897, -735000, math.MaxInt32, -math.MaxInt32}, nil)
			b.AppendNull()
		}),
		build("date64", f.Date64, func(b *array.Date64Builder) {
			b.AppendValues([]arrow.Date64{0, -86_400_000, 1_769_817_600_000}, nil)
			b.AppendNull()
		}),
		build("time_s", f.Time32s, func(b *array.Time32Builder) { b.AppendValues([]arrow.Time32{0, 36_001, 86_400}, nil) }),
		build("time_ms", f.Time32ms, func(b *array.Time32Builder) { b.AppendValues([]arrow.Time32{36_000_000, 36_000_250}, nil) }),
		build("time_us", f.Time64us, func(b *array.Time64Builder) {
			b.AppendValues([]arrow.Time64{36_000_000_001, 86_399_000_000, 36_000_500_000}, nil)
			b.AppendNull()
		}),
		build("time_ns", f.Time64ns, func(b *array.Time64Builder) { b.AppendValues([]arrow.Time64{1, 3_600_000_000_000}, nil) }),
		build("time_tz", &arrow.FixedSizeBinaryType{ByteWidth: 8}, func(b *array.FixedSizeBinaryBuilder) {
			for _, v := range []uint64{36_000_000_000<<24 | (57599 - 7200), 1_500_000<<24 | (57599 + 19800), 57599} {
				b.Append([]byte{byte(v), byte(v >> 8), byte(v >> 16), byte(v >> 24), byte(v >> 32), byte(v >> 40), byte(v >> 48), byte(v >> 56)})
			}
		}).as("arrow.opaque", `{"type_name":"time_tz","vendor_name":"DuckDB"}`),
		stamp("timestamp_s", arrow.Second, "", 1_769_853_600, -1, 253_402_300_800, -62_167_219_201, math.MaxInt64, -math.MaxInt64),
		stamp("timestamp_ms", arrow.Millisecond, "", 1_769_853_600_000, 1_769_853_600_500, -1),
		stamp("timestamp_us", arrow.Microsecond, "", 1_769_853_600_123_456, 1_769_853_600_000_000, 1_769_853_600_500_000, -1),
		stamp("timestamp_ns", arrow.Nanosecond, "", 1_769_853_600_123_456_789, 1_769_853_600_000_000_000, -1, math.MinInt64),
		stamp("timestamp_utc", arrow.Microsecond, "UTC", 1_769_853_600_000_000, -2_208_988_800_000_000),
		stamp("timestamp_zoned", arrow.Microsecond, "Europe/Prague", 1_769_853_600_000_001),
		build("duration", f.Duration_us, func(b *array.DurationBuilder) {
			b.AppendValues([]arrow.Duration{0, 90_500_000, -1, 400_000_000_000_000}, nil)
		}),
		build("interval_months", f.MonthInterval, func(b *array.MonthIntervalBuilder) { b.AppendValues([]arrow.MonthInterval{0, 1, 25, -13}, nil) }),
		build("interval_day_time", f.DayTimeInterval, func(b *array.DayTimeIntervalBuilder) {
			b.Append(arrow.DayTimeInterval{Days: 1, Milliseconds: 1500})
		}),
		build("interval", f.MonthDayNanoInterval, func(b *array.MonthDayNanoIntervalBuilder) {
			b.Append(arrow.MonthDayNanoInterval{})
			b.Append(arrow.MonthDayNanoInterval{Months: 14, Days: 3, Nanoseconds: 14_706_500_000_000})
			b.Append(arrow.MonthDayNanoInterval{Months: -1, Days: -1, Nanoseconds: -1})
			b.AppendNull()
		}),
	}
}

func nestedFixtures(t testing.TB) []fixture {
	p, text := arrow.PrimitiveTypes, arrow.BinaryTypes.String
	inner := arrow.StructOf(
		arrow.Field{Name: "a", Type: p.Int64, Nullable: true},
		arrow.Field{Name: `b "q"`, Type: arrow.ListOf(text), Nullable: true})
	return []fixture{
		fromJSON(t, "list", arrow.ListOf(p.Int64), `[[1,null,3],[],null]`),
		fromJSON(t, "large_list", arrow.LargeListOf(text), `[["a,b",null],[],null]`),
		fromJSON(t, "fixed_list", arrow.FixedSizeListOf(2, p.Float64), `[[0.5,2],null,[null,1]]`),
		fromJSON(t, "list_view", arrow.ListViewOf(p.Int64), `[[1,2],[],null]`),
		fromJSON(t, "struct", inner, `[{"a":1,"b \"q\"":["x",null]},{"a":null,"b \"q\"":null},null]`),
		fromJSON(t, "empty_struct", arrow.StructOf(), `[{},null]`),
		fromJSON(t, "map_text", arrow.MapOf(text, p.Int64), `[[{"key":"k","value":1},{"key":"l","value":null}],[],null]`),
		fromJSON(t, "map_int", arrow.MapOf(p.Int32, text), `[[{"key":7,"value":"x"},{"key":8,"value":null}],[],null]`),
		fromJSON(t, "map_of_structs", arrow.MapOf(text, inner), `[[{"key":"k","value":{"a":2,"b \"q\"":[]}}],null]`),
		nestedUUID("nested_uuid"),
		fromJSON(t, "struct_of_fixed_lists", arrow.StructOf(arrow.Field{
			Name: "l", Type: arrow.FixedSizeListOf(2, text), Nullable: true,
		}), `[{"l":["a",null]},{"l":null},null,{"l":["b","c"]}]`),
		fromJSON(t, "dictionary", &arrow.DictionaryType{IndexType: p.Uint8, ValueType: text}, `["lo","hi","lo","",null]`),
		fromJSON(t, "dictionary_int", &arrow.DictionaryType{IndexType: p.Int32, ValueType: p.Int64}, `[7,8,7,null]`),
		fromJSON(t, "list_of_times", arrow.ListOf(&arrow.TimestampType{Unit: arrow.Microsecond}), `[["2026-01-31 10:00:00.5"],null]`),
		fromJSON(t, "sparse_union", arrow.SparseUnionOf([]arrow.Field{
			{Name: "n", Type: p.Int64, Nullable: true}, {Name: "s", Type: text, Nullable: true},
		}, []arrow.UnionTypeCode{0, 1}), `[[0,5],[1,"x"],[0,null]]`),
		fromJSON(t, "dense_union", arrow.DenseUnionOf([]arrow.Field{
			{Name: "n", Type: p.Int64, Nullable: true}, {Name: "s", Type: text, Nullable: true},
		}, []arrow.UnionTypeCode{0, 1}), `[[0,5],[1,"x"],[0,6]]`),
	}
}

// nestedUUID is a list of structs with a field that is a UUID by its metadata.
func nestedUUID(name string) fixture {
	id := arrow.Field{
		Name: "id", Type: &arrow.FixedSizeBinaryType{ByteWidth: 16}, Nullable: true,
		Metadata: arrow.NewMetadata([]string{"ARROW:extension:name", "ARROW:extension:metadata"}, []string{"arrow.uuid", ""}),
	}
	return build(name, arrow.ListOf(arrow.StructOf(id)), func(b *array.ListBuilder) {
		s := b.ValueBuilder().(*array.StructBuilder)
		ids := s.FieldBuilder(0).(*array.FixedSizeBinaryBuilder)
		b.Append(true)
		s.Append(true)
		ids.Append(wideUint)
		s.Append(true)
		ids.AppendNull()
		b.AppendNull()
		b.Append(true)
		s.AppendNull()
	})
}
