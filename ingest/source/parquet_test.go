package source

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/supertable-go/supertable/engine"
	"github.com/supertable-go/supertable/internal/errs"
)

// copied writes the result of a query into a Parquet file.
func copied(t testing.TB, c engine.Conn, name, query string) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), name)
	if err := c.Exec(context.Background(), "COPY ("+query+") TO "+literal(p)+" (FORMAT parquet)"); err != nil {
		t.Fatal(err)
	}
	return p
}

// batchOf makes a batch of one column from JSON.
func batchOf(t testing.TB, name string, typ arrow.DataType, values string) arrow.RecordBatch {
	t.Helper()
	a, _, err := array.FromJSON(memory.DefaultAllocator, typ, strings.NewReader(values))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Release()
	schema := arrow.NewSchema([]arrow.Field{{Name: name, Type: typ, Nullable: true}}, nil)
	return array.NewRecordBatch(schema, []arrow.Array{a}, int64(a.Len()))
}

// parquetOf writes a batch into a Parquet file.
func parquetOf(t testing.TB, name string, rec arrow.RecordBatch, int96 bool) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), name)
	f, err := os.Create(p)
	if err != nil {
		t.Fatal(err)
	}
	w, err := pqarrow.NewFileWriter(rec.Schema(), f, parquet.NewWriterProperties(parquet.WithVersion(parquet.V2_LATEST)),
		pqarrow.NewArrowWriterProperties(pqarrow.WithDeprecatedInt96Timestamps(int96)))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(rec); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestParquetTypes(t *testing.T) {
	c := connect(t)
	p := copied(t, c, "x.parquet", `SELECT true b, 1::TINYINT i8, 2::SMALLINT i16, 3 i32, 4::BIGINT i64, 5::UTINYINT u8, 6::USMALLINT u16, 7::UINTEGER u32,
		18446744073709551615::UBIGINT u64, 0.5::FLOAT f, 0.1::DOUBLE d, 1.50::DECIMAL(4,2) n, 12345678901234567890123456789012345678::DECIMAL(38,0) w,
		'é' t, '\xAA'::BLOB bin, DATE '2024-01-31' AS day, TIME '10:00:00.000001' tim, TIMESTAMP '2024-01-31 10:00:00.123456' ts,
		TIMESTAMP_NS '2024-01-31 10:00:00.123456789' ns, TIMESTAMPTZ '2024-01-31 10:00:00+02' tz, '12345678-9abc-4def-8123-456789abcdef'::UUID u,
		'{"a":1}'::JSON j, {'a': 1, 'b': ['x', NULL]} st, [1, NULL] l, MAP {'k': 1} m, 'e'::ENUM('e', 'f') en`)
	r := open(t, c, nil, p)
	diff(t, types(r), strings.Split("b BOOLEAN;i8 TINYINT;i16 SMALLINT;i32 INTEGER;i64 BIGINT;u8 UTINYINT;u16 USMALLINT;u32 UINTEGER;u64 UBIGINT;f FLOAT;d DOUBLE;n DECIMAL(4,2);"+
		"w DECIMAL(38,0);t VARCHAR;bin BLOB;day DATE;tim TIME;ts TIMESTAMP;ns TIMESTAMP_NS;tz TIMESTAMP WITH TIME ZONE;u UUID;j JSON;st STRUCT(a INTEGER, b VARCHAR[]);l INTEGER[];"+
		"m MAP(VARCHAR, INTEGER);en VARCHAR", ";"))
	diff(t, rows(t, c, r), []string{`true|1|2|3|4|5|6|7|18446744073709551615|0.5|0.1|1.50|12345678901234567890123456789012345678|é|\xAA|2024-01-31|10:00:00.000001|2024-01-31 10:00:00.123456|` +
		`2024-01-31 10:00:00.123456789|2024-01-31 08:00:00+00|12345678-9abc-4def-8123-456789abcdef|{"a":1}|{'a': 1, 'b': [x, NULL]}|[1, NULL]|{k=1}|e`})
	checkTypes(t, c, r)
	if strings.Contains(r.SQL, "CAST") {
		t.Errorf("the file does not go straight through: %s", r.SQL)
	}
	if r.OneShot || r.Bytes < 100 {
		t.Errorf("OneShot %v, %d bytes", r.OneShot, r.Bytes)
	}
}

func TestParquetRefusedTypes(t *testing.T) {
	c := connect(t)
	for expr, words := range map[string]string{
		"INTERVAL 5 MINUTES":      "INTERVAL cannot be stored",
		"TIMETZ '10:00:00+02'":    "TIME WITH TIME ZONE cannot be stored: cast it to TIME",
		"{'a': 1}::VARIANT":       "VARIANT cannot be stored",
		"'POINT(1 2)'::GEOMETRY":  "GEOMETRY",
		"[{'i': INTERVAL 1 DAY}]": "INTERVAL inside STRUCT(i INTERVAL)[] cannot be stored",
		"union_value(a := 1)":     "unnamed fields",
	} {
		p := copied(t, c, "x.parquet", "SELECT 1 AS id, "+expr+" AS x_col")
		wantErr(t, failure(t, c, nil, p), errs.TypeConflict, "x.parquet: column \"x_col\"", words)
	}
}

func TestParquetNanoseconds(t *testing.T) {
	c := connect(t)
	zoned := &arrow.TimestampType{Unit: arrow.Nanosecond, TimeZone: "UTC"}
	inside := arrow.StructOf(arrow.Field{Name: "t", Type: arrow.ListOf(zoned), Nullable: true})
	for _, tt := range []struct {
		typ        arrow.DataType
		exact, cut string
		want, says string
		int96      bool
	}{
		{arrow.FixedWidthTypes.Time64ns, `["10:00:00.000001000", null]`, `[null, "10:00:00.000001001"]`, "10:00:00.000001", "TIME", false},
		{zoned, `["2024-01-31 10:00:00.000001000Z", null]`, `["2024-01-31 10:00:00.000001001Z"]`, "2024-01-31 10:00:00.000001+00", "TIMESTAMP WITH TIME ZONE", false},
		{arrow.FixedWidthTypes.Timestamp_ns, `["2024-01-31 10:00:00.000001000Z", null]`, `["2024-01-31 10:00:00.000001001Z"]`, "2024-01-31 10:00:00.000001", "TIMESTAMP", true},
		{inside, `[{"t":["2024-01-31 10:00:00.000001000Z"]}]`, `[{"t":[null, "2024-01-31 10:00:00.000001001Z"]}]`, "{'t': ['2024-01-31 10:00:00.000001+00']}", "TIMESTAMP WITH TIME ZONE", false},
	} {
		r := open(t, c, nil, parquetOf(t, "x.parquet", batchOf(t, "x_col", tt.typ, tt.exact), tt.int96))
		diff(t, rows(t, c, r)[0], tt.want)
		checkTypes(t, c, r)
		err := failure(t, c, nil, parquetOf(t, "x.parquet", batchOf(t, "x_col", tt.typ, tt.cut), tt.int96))
		wantErr(t, err, errs.TypeConflict, `x.parquet: column "x_col": nanoseconds do not fit `+tt.says)
	}
	r := open(t, c, nil, parquetOf(t, "x.parquet", batchOf(t, "x", &arrow.TimestampType{Unit: arrow.Nanosecond}, `["2024-01-31 10:00:00.000001001"]`), false))
	diff(t, rows(t, c, r), []string{"2024-01-31 10:00:00.000001001"})
}

func TestParquetWideDecimal(t *testing.T) {
	c := connect(t)
	p := parquetOf(t, "x.parquet", batchOf(t, "x_col", &arrow.Decimal256Type{Precision: 50, Scale: 2}, `["1.50"]`), false)
	wantErr(t, failure(t, c, nil, p), errs.TypeConflict, `x.parquet: column "x_col": DECIMAL with 50 digits`)
}

func TestParquetSeveralFiles(t *testing.T) {
	c := connect(t)
	a := copied(t, c, "a.parquet", "SELECT 1 AS Id, 2::TINYINT AS n, {'x': 1} AS s, DATE '2024-01-31' AS d")
	b := copied(t, c, "b.parquet", "SELECT 5.5::DOUBLE AS z, 300::SMALLINT AS N, 2 AS ID, {'y': 'q', 'x': 9::BIGINT} AS s")
	n := parquetOf(t, "n.parquet", batchOf(t, "z", arrow.Null, "[null]"), false)
	r := open(t, c, nil, a, b, a, n)
	diff(t, types(r), []string{"Id INTEGER", "n SMALLINT", "s STRUCT(x BIGINT, y VARCHAR)", "d DATE", "z DOUBLE"})
	diff(t, rows(t, c, r), []string{
		"1|2|{'x': 1, 'y': NULL}|2024-01-31|<nil>", "1|2|{'x': 1, 'y': NULL}|2024-01-31|<nil>",
		"2|300|{'x': 9, 'y': q}|<nil>|5.5", "<nil>|<nil>|<nil>|<nil>|<nil>",
	})
	checkTypes(t, c, r)
	diff(t, types(open(t, c, nil, n)), []string{"z NULL"})
	bad := copied(t, c, "bad.parquet", "SELECT 'x' AS id")
	wantErr(t, failure(t, c, nil, a, bad), errs.TypeConflict, `column "Id" is INTEGER in a.parquet and VARCHAR in bad.parquet`)
	big, dbl := copied(t, c, "big.parquet", "SELECT 1::BIGINT AS v"), copied(t, c, "dbl.parquet", "SELECT 1.5::DOUBLE AS v")
	wantErr(t, failure(t, c, nil, big, dbl), errs.TypeConflict, "BIGINT in big.parquet and DOUBLE in dbl.parquet")
	mixed := open(t, c, nil, big, put(t, "x.csv", "v\n7\n"))
	diff(t, rows(t, c, mixed), []string{"1", "7"})
}

func TestParquetDamaged(t *testing.T) {
	c := connect(t)
	good, err := os.ReadFile(copied(t, c, "x.parquet", "SELECT range AS i, 'abc' || range AS t FROM range(1000)"))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"empty": "", "short": "PAR1", "text": "hello world, this is text", "words": "PAR1 this is no parquet PAR1",
		"cut": string(good[:len(good)-20]), "footer": string(good[:len(good)-100]) + strings.Repeat("x", 92) + string(good[len(good)-8:]),
		"body": "PAR1" + strings.Repeat("\xff", len(good)/2) + string(good[len(good)/2+4:]),
	} {
		err := failure(t, c, nil, put(t, name+".parquet", content))
		wantErr(t, err, errs.InvalidArgument, name+".parquet")
	}
	wantErr(t, failure(t, c, nil, put(t, "enc.parquet", "PARE"+string(good[4:len(good)-4])+"PARE")), errs.Unsupported, "enc.parquet: encrypted")
	wantErr(t, failure(t, c, nil, put(t, "broken.parquet", "no")), errs.InvalidArgument, "broken.parquet: not a Parquet file")
}

func TestParquetNames(t *testing.T) {
	c := connect(t)
	two := func(a, b string) string {
		x := batchOf(t, a, arrow.PrimitiveTypes.Int64, "[1]")
		schema := arrow.NewSchema([]arrow.Field{{Name: a, Type: arrow.PrimitiveTypes.Int64}, {Name: b, Type: arrow.PrimitiveTypes.Int64}}, nil)
		return parquetOf(t, "x.parquet", array.NewRecordBatch(schema, []arrow.Array{x.Column(0), x.Column(0)}, 1), false)
	}
	wantErr(t, failure(t, c, nil, two("a", "A")), errs.InvalidArgument, `columns "a" and "A" differ only in case`)
	wantErr(t, failure(t, c, nil, two("a", "a")), errs.InvalidArgument, `two columns are named "a"`)
	wantErr(t, failure(t, c, nil, two("a", "")), errs.InvalidArgument, "column 2 has no name")
	r := open(t, c, nil, two("file_row_number", "filename"))
	diff(t, types(r), []string{"file_row_number BIGINT", "filename BIGINT"})
	diff(t, rows(t, c, r), []string{"1|1"})
	empty := parquetOf(t, "x.parquet", array.NewRecordBatch(arrow.NewSchema(nil, nil), nil, 0), false)
	wantErr(t, failure(t, c, nil, empty), errs.InvalidArgument, "x.parquet: ", "column")
	dir := filepath.Join(t.TempDir(), "year=2024")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	p := filepath.Join(dir, "x.parquet")
	if err := c.Exec(context.Background(), "COPY (SELECT 1 AS a) TO "+literal(p)); err != nil {
		t.Fatal(err)
	}
	diff(t, types(open(t, c, nil, p)), []string{"a INTEGER"})
}

func TestStorable(t *testing.T) {
	for typ, to := range map[string]string{
		"HUGEINT": "DECIMAL(38,0)", "UHUGEINT": "VARCHAR", "INTERVAL": "BIGINT", "TIMETZ": "TIME", "ENUM('a','b')": "VARCHAR", "BIT": "BLOB",
		"UNION(a INTEGER)": "STRUCT", "FLOAT[3]": "FLOAT[]", "VARIANT": "JSON", "GEOMETRY('OGC:CRS84')": "BLOB", "STRUCT(a HUGEINT)": "VARCHAR",
		"MAP(VARCHAR, BIT)": "BLOB", "BIT[]": "BLOB", "no_such_type": "VARCHAR", "TIME_NS": "TIME",
	} {
		wantErr(t, CheckStorable([]Column{{"ok", "BIGINT"}, {"x_col", typ}}), errs.TypeConflict, `column "x_col"`, "cast it to", to)
	}
	for _, typ := range []string{"BIGINT", "\"NULL\"", "NULL", "STRUCT(a BIGINT, \"b c\" MAP(VARCHAR, DECIMAL(38,10)[]))", "TIMESTAMP WITH TIME ZONE", "TIMESTAMP_NS", "JSON", "UUID"} {
		if err := CheckStorable([]Column{{"a", typ}}); err != nil {
			t.Error(err)
		}
	}
}

// TestUnitedTimes: a time that the united type does not reach is refused with
// its column and value, in other words than the engine's.
func TestUnitedTimes(t *testing.T) {
	c := connect(t)
	for _, tt := range []struct{ a, b, want string }{
		{"TIMESTAMP_NS '2020-01-01'", "TIMESTAMP '2300-01-01'", `column "ts": "2300-01-01 00:00:00" does not fit TIMESTAMP_NS, which the inputs have together: cast one of the inputs`},
		{"TIMESTAMP '2020-01-01'", "DATE '5881580-07-10'", `column "ts": "5881580-07-10" does not fit TIMESTAMP, which`},
		{"TIMESTAMP_NS '2020-01-01'", "TIMESTAMP '2020-01-01'", ""},
	} {
		r := open(t, c, nil, copied(t, c, "a.parquet", "SELECT "+tt.a+" AS ts"), copied(t, c, "b.parquet", "SELECT "+tt.b+" AS ts"))
		got, err := rowsErr(c, r)
		if tt.want == "" {
			diff(t, len(got), 2)
			continue
		}
		wantErr(t, err, errs.TypeConflict, tt.want)
	}
}
