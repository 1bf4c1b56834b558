package supertable_test

import (
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/testdb"
)

// typeCases are the Arrow types that a table takes: what goes in as JSON, the
// column's type, and what comes out as text.
var typeCases = []struct {
	name      string
	arrow     arrow.DataType
	in        string // one value
	sql, want string
}{
	{"bool", arrow.FixedWidthTypes.Boolean, `true`, "BOOLEAN", "true"},
	{"int8", arrow.PrimitiveTypes.Int8, `-128`, "TINYINT", "-128"},
	{"int16", arrow.PrimitiveTypes.Int16, `-32768`, "SMALLINT", "-32768"},
	{"int32", arrow.PrimitiveTypes.Int32, `-2147483648`, "INTEGER", "-2147483648"},
	{"int64", arrow.PrimitiveTypes.Int64, `9007199254740993`, "BIGINT", "9007199254740993"},
	{"uint8", arrow.PrimitiveTypes.Uint8, `255`, "UTINYINT", "255"},
	{"uint16", arrow.PrimitiveTypes.Uint16, `65535`, "USMALLINT", "65535"},
	{"uint32", arrow.PrimitiveTypes.Uint32, `4294967295`, "UINTEGER", "4294967295"},
	{"uint64", arrow.PrimitiveTypes.Uint64, `18446744073709551615`, "UBIGINT", "18446744073709551615"},
	{"float32", arrow.PrimitiveTypes.Float32, `1.5`, "FLOAT", "1.5"},
	{"float64", arrow.PrimitiveTypes.Float64, `5e-324`, "DOUBLE", "5e-324"},
	{"nan", arrow.PrimitiveTypes.Float64, `"NaN"`, "DOUBLE", "nan"},
	{"infinity", arrow.PrimitiveTypes.Float64, `"-Inf"`, "DOUBLE", "-inf"},
	{"decimal", &arrow.Decimal128Type{Precision: 18, Scale: 9}, `"0.000000001"`, "DECIMAL(18,9)", "0.000000001"},
	{"wide_decimal", &arrow.Decimal128Type{Precision: 38, Scale: 2}, `"999999999999999999999999999999999999.99"`, "DECIMAL(38,2)", "999999999999999999999999999999999999.99"},
	{"text", arrow.BinaryTypes.String, `"Győr 🚀"`, "VARCHAR", "Győr 🚀"},
	{"large_text", arrow.BinaryTypes.LargeString, `"` + strings.Repeat("ő", 400) + `"`, "VARCHAR", strings.Repeat("ő", 400)},
	{"empty", arrow.BinaryTypes.String, `""`, "VARCHAR", ""},
	{"blob", arrow.BinaryTypes.Binary, `"AAEC/w=="`, "BLOB", `\x00\x01\x02\xFF`},
	{"date", arrow.FixedWidthTypes.Date32, `"0001-01-01"`, "DATE", "0001-01-01"},
	{"time", arrow.FixedWidthTypes.Time64us, `"23:59:59.999999"`, "TIME", "23:59:59.999999"},
	{"timestamp_s", &arrow.TimestampType{Unit: arrow.Second}, `"1969-12-31 23:59:59"`, "TIMESTAMP_S", "1969-12-31 23:59:59"},
	{"timestamp_ms", &arrow.TimestampType{Unit: arrow.Millisecond}, `"1969-12-31 23:59:59.999"`, "TIMESTAMP_MS", "1969-12-31 23:59:59.999"},
	{"timestamp", &arrow.TimestampType{Unit: arrow.Microsecond}, `"9999-12-31 23:59:59.999999"`, "TIMESTAMP", "9999-12-31 23:59:59.999999"},
	{"timestamp_ns", &arrow.TimestampType{Unit: arrow.Nanosecond}, `"2026-01-01 00:00:00.000000001"`, "TIMESTAMP_NS", "2026-01-01 00:00:00.000000001"},
	{"timestamptz", arrow.FixedWidthTypes.Timestamp_us, `"2026-03-29 02:30:00.5Z"`, "TIMESTAMP WITH TIME ZONE", "2026-03-29 02:30:00.5+00"},
	{"list", arrow.ListOf(arrow.PrimitiveTypes.Int64), `[1,null,3]`, "BIGINT[]", "[1, NULL, 3]"},
	{"empty_list", arrow.ListOf(arrow.BinaryTypes.String), `[]`, "VARCHAR[]", "[]"},
	{"struct", arrow.StructOf(arrow.Field{Name: "a", Type: arrow.PrimitiveTypes.Int32, Nullable: true}, arrow.Field{Name: "b c", Type: arrow.BinaryTypes.String, Nullable: true}), `{"a":1,"b c":null}`, `STRUCT("a" INTEGER, "b c" VARCHAR)`, `{'a': 1, 'b c': NULL}`},
	{"nested", arrow.ListOf(arrow.StructOf(arrow.Field{Name: "x", Type: arrow.ListOf(arrow.PrimitiveTypes.Float64), Nullable: true})), `[{"x":[0.5]},{"x":null}]`, `STRUCT("x" DOUBLE[])[]`, `[{'x': [0.5]}, {'x': NULL}]`},
	{"map", arrow.MapOf(arrow.BinaryTypes.String, arrow.PrimitiveTypes.Int64), `[{"key":"a","value":1},{"key":"b","value":null}]`, "MAP(VARCHAR, BIGINT)", "{a=1, b=NULL}"},
	{"dictionary", &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}, `"word"`, "VARCHAR", "word"},
}

// TestEveryTypeRoundTrips writes a value and a NULL of each type, from memory
// that is counted: the values come back as they were, and no batch is kept.
func TestEveryTypeRoundTrips(t *testing.T) {
	s := testdb.Open(t).Session("main")
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	fields := make([]arrow.Field, len(typeCases))
	var values, nulls []string
	for i, c := range typeCases {
		fields[i] = arrow.Field{Name: c.name, Type: c.arrow, Nullable: true}
		values = append(values, `"`+c.name+`":`+c.in)
		nulls = append(nulls, `"`+c.name+`":null`)
	}
	schema := arrow.NewSchema(fields, nil)
	rows := "[{" + strings.Join(values, ",") + "},{" + strings.Join(nulls, ",") + "}]"
	rec, _, err := array.RecordFromJSON(mem, schema, strings.NewReader(rows))
	if err != nil {
		t.Fatal(err)
	}
	rr, err := array.NewRecordReader(schema, []arrow.RecordBatch{rec, rec}) // two batches
	rec.Release()
	if err != nil {
		t.Fatal(err)
	}
	if r := write(t, s, "t", rr, nil); r.Inserted != 4 || r.Columns != len(typeCases) {
		t.Errorf("result %+v", r)
	}
	cols, err := s.Schema(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range typeCases {
		if cols[i].Name != c.name || cols[i].Type != c.sql {
			t.Errorf("column %s %s, want %s %s", cols[i].Name, cols[i].Type, c.name, c.sql)
		}
		got := testdb.Query(t, s, `select "`+c.name+`"::varchar from t`, nil)
		if want := c.want + "\n" + c.want + "\n∅\n∅"; got != want {
			t.Errorf("%s: %q, want %q", c.name, got, want)
		}
	}
	t.Run("by key", func(t *testing.T) {
		for _, c := range typeCases {
			replaceByKey(t, s, c.name, fields, schema, rows)
		}
	})
}

// replaceByKey writes the rows again by one of their columns: both are found
// by it, the value and the NULL, and take the place of the two batches.
func replaceByKey(t *testing.T, s *supertable.Session, key string, fields []arrow.Field, schema *arrow.Schema, rows string) {
	t.Helper()
	for range 2 {
		rec, _, err := array.RecordFromJSON(memory.DefaultAllocator, schema, strings.NewReader(rows))
		if err != nil {
			t.Fatal(err)
		}
		rr, err := array.NewRecordReader(arrow.NewSchema(fields, nil), []arrow.RecordBatch{rec})
		rec.Release()
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.Write(t.Context(), "by_"+key, rr, &supertable.WriteOptions{Key: []string{key}})
		rr.Release()
		if err != nil {
			t.Errorf("key %s: %v", key, err)
			return
		}
		if want := 2 * (r.Version - 1); r.Deleted != want {
			t.Errorf("key %s: %d deleted at version %d, want %d", key, r.Deleted, r.Version, want)
		}
	}
}

// TestNanosecondsAreNeverCut: what the engine would cut is refused with the
// value, before anything is written (decision 22, T07).
func TestNanosecondsAreNeverCut(t *testing.T) {
	s := testdb.Open(t).Session("main")
	zoned := &arrow.TimestampType{Unit: arrow.Nanosecond, TimeZone: "UTC"}
	for _, c := range []struct {
		name string
		typ  arrow.DataType
		in   string
		want supertable.ErrorKind
	}{
		{"zoned", zoned, `"2026-01-01T00:00:00.000000001Z"`, supertable.TypeConflict},
		{"zoned", zoned, `"2026-01-01T00:00:00.000001Z"`, ""},
		{"time", arrow.FixedWidthTypes.Time64ns, `"10:00:00.000000001"`, supertable.TypeConflict},
		{"time", arrow.FixedWidthTypes.Time64ns, `"10:00:00.000001"`, ""},
	} {
		schema := arrow.NewSchema([]arrow.Field{{Name: "at", Type: c.typ, Nullable: true}}, nil)
		rec, _, err := array.RecordFromJSON(memory.DefaultAllocator, schema, strings.NewReader(`[{"at":`+c.in+`}]`))
		if err != nil {
			t.Fatal(err)
		}
		rr, err := array.NewRecordReader(schema, []arrow.RecordBatch{rec})
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Write(t.Context(), c.name, rr, nil)
		rr.Release()
		if supertable.KindOf(err) != c.want {
			t.Errorf("%s %s: %v, want %q", c.name, c.in, err, c.want)
		}
	}
	tables, err := s.Tables(t.Context())
	if err != nil || len(tables) != 2 || tables[0].Version != 1 || tables[1].Version != 1 {
		t.Errorf("tables %+v, %v; want two at version 1", tables, err)
	}
}

// TestReportSaysWhatWasRead: the timings and counts of a read stand under
// their documented names (R29), and those of a refused one are not needed.
func TestReportSaysWhatWasRead(t *testing.T) {
	s := testdb.Open(t).Session("main")
	for _, ds := range []int{1, 2, 6} {
		write(t, s, "facts", demo(t, ds), &supertable.WriteOptions{Key: []string{"day", "client"}})
	}
	_, r, err := answer(t.Context(), s, "select * from facts where value >= 60", nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, step := range r.Timings {
		for name := range step {
			names = append(names, name)
		}
	}
	for _, want := range []string{"META", "FILTERING", "CONNECTING", "CREATING_REFLECTION", "EXECUTING_QUERY", "EXTENDING_PLAN", "TOTAL_EXECUTE"} {
		if !strings.Contains(" "+strings.Join(names, " ")+" ", " "+want+" ") {
			t.Errorf("timings %v lack %s", names, want)
		}
	}
	stats := map[string]any{}
	for i, want := range []string{"TABLE_FILES", "TABLE_SIZE", "TABLE_ROWS", "REFLECTIONS", "REFLECTION_SIZE", "REFLECTION_ROWS"} {
		v, ok := r.PlanStats[i][want]
		if !ok {
			t.Errorf("plan statistic %d is %v, want %s", i, r.PlanStats[i], want)
		}
		stats[want] = v
	}
	if stats["TABLE_FILES"] != int64(3) || stats["TABLE_ROWS"] != int64(15) || stats["REFLECTION_ROWS"] != int64(5) {
		t.Errorf("plan statistics %v", stats)
	}
	if r.FilesTotal != 3 || r.FilesRead != 1 || r.Rows != 5 || r.Snapshot != 3 || r.BytesRead >= r.BytesTotal || r.Engine == "" {
		t.Errorf("report %+v", r)
	}
}
