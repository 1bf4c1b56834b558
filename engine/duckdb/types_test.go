package duckdb

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/supertable-go/supertable/engine"
)

// exportTests say what every DuckDB type becomes in Arrow and in Collect, and
// what DuckDB makes of it again when the result is streamed back.
var exportTests = []struct {
	sql, arrow, extension, value, again string
}{
	{"true", "bool", "", "true", "BOOLEAN"},
	{"1::TINYINT", "int8", "", "1", "TINYINT"},
	{"1::SMALLINT", "int16", "", "1", "SMALLINT"},
	{"1::INT", "int32", "", "1", "INTEGER"},
	{"'-9223372036854775808'::BIGINT", "int64", "", "-9223372036854775808", "BIGINT"},
	{"1::UTINYINT", "uint8", "", "1", "UTINYINT"},
	{"1::USMALLINT", "uint16", "", "1", "USMALLINT"},
	{"1::UINTEGER", "uint32", "", "1", "UINTEGER"},
	{"18446744073709551615::UBIGINT", "uint64", "", "18446744073709551615", "UBIGINT"},
	{"sum(9223372036854775807)", "decimal(38, 0)", "", "9223372036854775807", "DECIMAL(38,0)"},
	{
		"170141183460469231731687303715884105727::HUGEINT", "decimal(38, 0)", "",
		"170141183460469231731687303715884105727", "DECIMAL(38,0)",
	},
	{"-1::HUGEINT", "decimal(38, 0)", "", "-1", "DECIMAL(38,0)"},
	{"256::UHUGEINT", "fixed_size_binary[16]", "arrow.opaque", "[0 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0]", "UHUGEINT"},
	{"'nan'::DOUBLE", "float64", "", "NaN", "DOUBLE"},
	{"'-inf'::FLOAT", "float32", "", "-Inf", "FLOAT"},
	{"1.50::DECIMAL(4,2)", "decimal(4, 2)", "", "1.50", "DECIMAL(4,2)"},
	{"-1.5::DECIMAL(9,1)", "decimal(9, 1)", "", "-1.5", "DECIMAL(9,1)"},
	{"0.05::DECIMAL(18,2)", "decimal(18, 2)", "", "0.05", "DECIMAL(18,2)"},
	{
		"99999999999999999999.999999999999999999::DECIMAL(38,18)", "decimal(38, 18)", "",
		"99999999999999999999.999999999999999999", "DECIMAL(38,18)",
	},
	{"'ä'", "utf8", "", "ä", "VARCHAR"},
	{"'\\x00\\xFF'::BLOB", "binary", "", "[0 255]", "BLOB"},
	{"DATE '1969-12-31'", "date32", "", "1969-12-31 00:00:00 +0000 UTC", "DATE"},
	{"TIME '10:00:00.123'", "time64[us]", "", "10:00:00.123000", "TIME"},
	{"'10:00:00.123456789'::TIME_NS", "time64[ns]", "", "10:00:00.123456789", "TIME_NS"},
	{"'10:00:00+02'::TIMETZ", "fixed_size_binary[8]", "arrow.opaque", "[223 196 0 0 104 196 97 8]", "TIME WITH TIME ZONE"},
	{"TIMESTAMP '1969-12-31 23:59:59.999999'", "timestamp[us]", "", "1969-12-31 23:59:59.999999 +0000 UTC", "TIMESTAMP"},
	{"TIMESTAMPTZ '2020-01-01 00:00:00+02'", "timestamp[us, tz=UTC]", "", "2019-12-31 22:00:00 +0000 UTC", "TIMESTAMP WITH TIME ZONE"},
	{"'2020-01-01'::TIMESTAMP_S", "timestamp[s]", "", "2020-01-01 00:00:00 +0000 UTC", "TIMESTAMP_S"},
	{"'2020-01-01'::TIMESTAMP_MS", "timestamp[ms]", "", "2020-01-01 00:00:00 +0000 UTC", "TIMESTAMP_MS"},
	{"'2020-01-01 00:00:00.000000001'::TIMESTAMP_NS", "timestamp[ns]", "", "2020-01-01 00:00:00.000000001 +0000 UTC", "TIMESTAMP_NS"},
	{"INTERVAL '1 month 2 days 3 microseconds'", "month_day_nano_interval", "", `{"months":1,"days":2,"nanoseconds":3000}`, "INTERVAL"},
	{"'4ac7a9e9-607c-4c8a-84f3-843f0191e3fd'::UUID", "fixed_size_binary[16]", "arrow.uuid", "4ac7a9e9-607c-4c8a-84f3-843f0191e3fd", "UUID"},
	{`'{"a": 1}'::JSON`, "utf8", "arrow.json", `{"a": 1}`, "JSON"},
	{"'101'::BIT", "binary", "arrow.opaque", "[5 253]", "BIT"},
	{"1::BIGNUM", "binary", "arrow.opaque", "[128 0 1 1]", "BIGNUM"},
	{"'POINT(1 2)'::GEOMETRY", "binary", "", "[1 1 0 0 0 0 0 0 0 0 0 240 63 0 0 0 0 0 0 0 64]", "BLOB"},
	{"'b'::ENUM('a', 'b')", "dictionary<values=utf8, indices=uint8, ordered=false>", "", "b", "VARCHAR"},
	{"[1, NULL, 2]", "list<item: int32, nullable>", "", "[1 <nil> 2]", "INTEGER[]"},
	{"[true, NULL, false]", "list<item: bool, nullable>", "", "[true <nil> false]", "BOOLEAN[]"},
	{"[[true], NULL, [], [false, true]]", "list<item: list<item: bool, nullable>, nullable>", "", "[[true] <nil> [] [false true]]", "BOOLEAN[][]"},
	{
		"{'a': true, 'B c': ['4ac7a9e9-607c-4c8a-84f3-843f0191e3fd'::UUID], 'n': NULL::HUGEINT}",
		"struct<a: bool nullable, B c: list<item: fixed_size_binary[16], nullable> nullable, n: decimal(38, 0) nullable>", "",
		"map[B c:[4ac7a9e9-607c-4c8a-84f3-843f0191e3fd] a:true n:<nil>]", `STRUCT(a BOOLEAN, "B c" UUID[], n DECIMAL(38,0))`,
	},
	{"MAP {'k': true, 'l': NULL}", "map<utf8, bool, items_nullable>", "", "[[k true] [l <nil>]]", "MAP(VARCHAR, BOOLEAN)"},
	{
		"MAP {1::HUGEINT: [sum(1)]}", "map<decimal(38, 0), list<item: decimal(38, 0), nullable>, items_nullable>", "",
		"[[1 [1]]]", "MAP(DECIMAL(38,0), DECIMAL(38,0)[])",
	},
	{
		"union_value(a := true)::UNION(a BOOLEAN, b VARCHAR)", "sparse_union<a: type=bool, nullable=0, b: type=utf8, nullable=1>", "",
		"true", "UNION(a BOOLEAN, b VARCHAR)",
	},
}

func TestExport(t *testing.T) {
	ctx := context.Background()
	_, c := open(t, engine.Options{})
	for _, test := range exportTests {
		t.Run(test.sql, func(t *testing.T) {
			// The value stands between NULLs, in more than one chunk.
			sql := "SELECT CASE WHEN i % 3 = 1 THEN v END AS v FROM (SELECT " + test.sql + " AS v), range(5000) r(i) ORDER BY i"
			r, err := c.Query(ctx, sql, nil)
			if err != nil {
				t.Fatal(err)
			}
			f := r.Schema().Field(0)
			extension, _ := f.Metadata.GetValue("ARROW:extension:name")
			if f.Type.String() != test.arrow || extension != test.extension {
				t.Errorf("type %v %q, want %s %q", f.Type, extension, test.arrow, test.extension)
			}
			r.Release()
			rows, err := engine.Collect(ctx, c, sql, nil)
			if err != nil || len(rows) != 5000 {
				t.Fatal(len(rows), err)
			}
			for i, row := range rows {
				want := "<nil>"
				if i%3 == 1 {
					want = test.value
				}
				if got := fmt.Sprint(row[0]); got != want {
					t.Fatalf("row %d is %s, want %s", i, got, want)
				}
			}
			again(t, sql, test.again)
		})
	}
}

// again streams the result of sql into another instance.
func again(t *testing.T, sql, want string) {
	ctx := context.Background()
	_, from := open(t, engine.Options{})
	_, to := open(t, engine.Options{})
	r, err := from.Query(ctx, sql, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	release, err := to.Stream("input", r)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	rows, err := engine.Collect(ctx, to, "SELECT any_value(typeof(v)), count(v), count(DISTINCT v) FROM input", nil)
	if err != nil || fmt.Sprint(rows) != "[["+want+" 1667 1]]" {
		t.Errorf("streamed back: %v, %v; want %s", rows, err, want)
	}
}

func TestManyColumns(t *testing.T) {
	ctx := context.Background()
	_, c := open(t, engine.Options{})
	r, err := c.Query(ctx, `SELECT i > 2 AS b, i, NULL AS n, i::VARCHAR AS "Quoted "" name", i AS i FROM range(4) r(i)`, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	if !r.Next() {
		t.Fatal(r.Err())
	}
	if got := fmt.Sprint(r.RecordBatch().Column(0).(*array.Boolean)); got != "[false false false true]" {
		t.Errorf("booleans %v", got)
	}
	if name := r.Schema().Field(3).Name; name != `Quoted " name` {
		t.Errorf("name %q", name)
	}
}

// TestArrays stands apart: CASE does not take arrays.
func TestArrays(t *testing.T) {
	_, c := open(t, engine.Options{})
	rows, err := engine.Collect(context.Background(), c,
		"SELECT unnest([[true, NULL], NULL, [false, true]]::BOOLEAN[2][])", nil)
	if got := fmt.Sprint(rows); err != nil || got != "[[[true <nil>]] [<nil>] [[false true]]]" {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestNoRows(t *testing.T) {
	ctx := context.Background()
	_, c := open(t, engine.Options{})
	for _, sql := range []string{"SELECT 1 WHERE false", "CREATE TABLE t (i INT)", "SELECT * FROM t"} {
		rows, err := engine.Collect(ctx, c, sql, nil)
		if err != nil || len(rows) != 0 {
			t.Errorf("%s: %v, %v", sql, rows, err)
		}
	}
	rows, err := engine.Collect(ctx, c, "COPY (FROM range(3)) TO '"+t.TempDir()+"/x.parquet' (RETURN_STATS)", nil)
	if err != nil || rows[0][1] != uint64(3) {
		t.Errorf("COPY: %v, %v", rows, err)
	}
}

func TestCollectTimes(t *testing.T) {
	_, c := open(t, engine.Options{})
	rows, err := engine.Collect(context.Background(), c, "SELECT TIMESTAMPTZ '2020-01-01 00:00:00+00'", nil)
	if err != nil || rows[0][0] != time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC) {
		t.Errorf("got %v, %v", rows, err)
	}
}
