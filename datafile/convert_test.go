package datafile_test

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/engine"
	"github.com/supertable-go/supertable/engine/duckdb"
)

func connect(t *testing.T) engine.Conn {
	t.Helper()
	db, err := duckdb.Open(engine.Options{Threads: 1, MemoryBytes: 256 << 20})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		_ = db.Close()
	})
	return conn
}

// evaluate runs an expression and gives its value as text, or the text after
// the mark of a failed conversion.
func evaluate(t *testing.T, conn engine.Conn, expr string) string {
	t.Helper()
	rows, err := engine.Collect(context.Background(), conn, "SELECT CAST("+expr+" AS VARCHAR)", nil)
	if err != nil {
		_, rest, ok := strings.Cut(err.Error(), datafile.ConvertMark)
		if !ok {
			t.Fatalf("%s: %v", expr, err)
		}
		return "refused " + strings.TrimSpace(rest)
	}
	if rows[0][0] == nil {
		return "NULL"
	}
	return rows[0][0].(string)
}

// TestConvert converts values between types: what is kept comes out, what
// would be changed is refused with the tag and the value.
func TestConvert(t *testing.T) {
	conn := connect(t)
	for _, c := range []struct{ from, value, to, want string }{
		{"INTEGER", "5", "BIGINT", "5"},
		{"BIGINT", "127", "TINYINT", "127"},
		{"BIGINT", "128", "TINYINT", "refused tag:128"},
		{"BIGINT", "NULL", "TINYINT", "NULL"},
		{"BIGINT", "-1", "UBIGINT", "refused tag:-1"},
		{"UBIGINT", "18446744073709551615", "BIGINT", "refused tag:18446744073709551615"},
		{"BIGINT", "9007199254740992", "DOUBLE", "9007199254740992.0"},
		{"BIGINT", "9007199254740993", "DOUBLE", "refused tag:9007199254740993"},
		{"BIGINT", "9223372036854775807", "DOUBLE", "refused tag:9223372036854775807"},
		{"INTEGER", "16777217", "FLOAT", "refused tag:16777217"},
		{"DOUBLE", "2.0", "BIGINT", "2"},
		{"DOUBLE", "2.5", "BIGINT", "refused tag:2.5"},
		{"DOUBLE", "'nan'::DOUBLE", "BIGINT", "refused tag:nan"},
		{"DOUBLE", "'inf'::DOUBLE", "BIGINT", "refused tag:inf"},
		{"DOUBLE", "9223372036854775808.0", "BIGINT", "refused tag:9.223372036854776e+18"},
		{"DOUBLE", "0.5", "FLOAT", "0.5"},
		{"DOUBLE", "0.1::DOUBLE", "FLOAT", "refused tag:0.1"},
		{"DECIMAL(10,2)", "1.50", "BIGINT", "refused tag:1.50"},
		{"DECIMAL(10,2)", "3.00", "BIGINT", "3"},
		{"DECIMAL(12,4)", "1.2500", "DECIMAL(10,2)", "1.25"},
		{"DECIMAL(12,4)", "1.2501", "DECIMAL(10,2)", "refused tag:1.2501"},
		{"BIGINT", "12345", "DECIMAL(4,1)", "refused tag:12345"},
		{"DATE", "DATE '2026-01-31'", "TIMESTAMP", "2026-01-31 00:00:00"},
		{"TIMESTAMP", "TIMESTAMP '2026-01-31 00:00:00'", "TIMESTAMP_S", "2026-01-31 00:00:00"},
		{"TIMESTAMP", "TIMESTAMP '2026-01-31 00:00:00.5'", "TIMESTAMP_S", "refused tag:2026-01-31 00:00:00.5"},
		{"TIMESTAMP_NS", "TIMESTAMP_NS '2026-01-31 00:00:00.000000001'", "TIMESTAMP", "refused tag:2026-01-31 00:00:00.000000001"},
		{"TIMESTAMP_NS", "TIMESTAMP_NS '1677-09-22 00:00:00.001'", "TIMESTAMP_MS", "1677-09-22 00:00:00.001"},
		{"TIMESTAMP_NS", "TIMESTAMP_NS '1965-01-31 00:00:01'", "TIMESTAMP_S", "1965-01-31 00:00:01"},
		{"TIMESTAMP_NS", "TIMESTAMP_NS '1965-01-31 00:00:01.5'", "TIMESTAMP_S", "refused tag:1965-01-31 00:00:01.5"},
		{"TIMESTAMP_MS", "TIMESTAMP_MS '1965-01-31 00:00:01'", "TIMESTAMP_S", "1965-01-31 00:00:01"},
		{"TIMESTAMP_MS", "TIMESTAMP_MS '1965-01-31 00:00:01.001'", "TIMESTAMP_S", "refused tag:1965-01-31 00:00:01.001"},
		{"TIMESTAMP_S", "TIMESTAMP_S '2026-01-31 00:00:01'", "TIMESTAMP_NS", "2026-01-31 00:00:01"},
		{"TIMESTAMP_S", "TIMESTAMP_S '2300-01-31 00:00:01'", "TIMESTAMP_NS", "refused tag:2300-01-31 00:00:01"},
		{"TIMESTAMP", "TIMESTAMP '1677-09-22 00:00:00'", "TIMESTAMP_NS", "1677-09-22 00:00:00"},
		{"TIMESTAMP", "TIMESTAMP '2262-04-11 23:47:16.854775'", "TIMESTAMP_NS", "2262-04-11 23:47:16.854775"},
		{"TIMESTAMP", "TIMESTAMP '2262-04-11 23:47:16.854776'", "TIMESTAMP_NS", "refused tag:2262-04-11 23:47:16.854776"},
		{"TIMESTAMP", "TIMESTAMP 'infinity'", "TIMESTAMP_NS", "infinity"},
		{"DATE", "DATE '294248-01-01'", "TIMESTAMP", "refused tag:294248-01-01"},
		{"DATE", "DATE '-infinity'", "TIMESTAMP_MS", "-infinity"},
		{`"NULL"`, "NULL", "VARCHAR", "NULL"},
		{"INTEGER[]", "[1, NULL]", "BIGINT[]", "[1, NULL]"},
		{"BIGINT[]", "[1, 300]", "TINYINT[]", "refused tag:300"},
		{"STRUCT(a INTEGER)", "{'a': 1}", "STRUCT(a BIGINT, b VARCHAR)", "{'a': 1, 'b': NULL}"},
		{"STRUCT(b VARCHAR, A INTEGER)", "{'b': 'x', 'A': 1}", "STRUCT(a INTEGER, b VARCHAR)", "{'a': 1, 'b': x}"},
		{"STRUCT(a INTEGER)", "NULL", "STRUCT(a BIGINT)", "NULL"},
		{"MAP(VARCHAR, INTEGER)", "MAP {'k': 1}", "MAP(VARCHAR, BIGINT)", "{k=1}"},
		{"MAP(VARCHAR, INTEGER)", "NULL", "MAP(VARCHAR, BIGINT)", "NULL"},
	} {
		value := "CAST(" + c.value + " AS " + c.from + ")"
		if c.from == `"NULL"` {
			value = "NULL"
		}
		expr := datafile.Convert("v", parse(t, c.from), parse(t, c.to), true, "tag")
		if got := evaluate(t, conn, "(SELECT "+expr+" FROM (SELECT "+value+" AS v))"); got != c.want {
			t.Errorf("%s %s into %s: %s, want %s", c.from, c.value, c.to, got, c.want)
		}
	}
	if got := evaluate(t, conn, datafile.Reject("NULL", parse(t, "BIGINT"), "tag")); got != "NULL" {
		t.Errorf("NULL was rejected: %s", got)
	}
	if got := evaluate(t, conn, datafile.Reject("'x'", parse(t, "BIGINT"), "tag")); got != "refused tag:x" {
		t.Errorf("a text was not rejected: %s", got)
	}
}

// TestConvertByID puts a value into the shape of later columns by field ids,
// whatever the fields are called now.
func TestConvertByID(t *testing.T) {
	conn := connect(t)
	old := datafile.Type{Name: "struct", Fields: []datafile.Field{{ID: 2, Name: "a", Type: parse(t, "INTEGER")}, {ID: 3, Name: "b", Type: parse(t, "VARCHAR")}}}
	now := datafile.Type{Name: "struct", Fields: []datafile.Field{{ID: 3, Name: "a", Type: parse(t, "VARCHAR")}, {ID: 2, Name: "n", Type: parse(t, "BIGINT")}, {ID: 4, Name: "b", Type: parse(t, "DATE")}}}
	expr := datafile.Convert("v", old, now, false, "read")
	if got, want := evaluate(t, conn, "(SELECT "+expr+" FROM (SELECT {'a': 1, 'b': 'x'} AS v))"), "{'a': x, 'n': 1, 'b': NULL}"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := datafile.Convert("v", now, now, false, "read"); got != "v" {
		t.Errorf("the same shape needs work: %s", got)
	}
}

func TestDeleteFiles(t *testing.T) {
	for name, withSnapshots := range map[string]bool{"plain": false, "with snapshots": true} {
		var want []datafile.Delete
		for i := range int64(200_000) {
			d := datafile.Delete{Position: i * 3}
			if withSnapshots {
				d.Snapshot = 1 + i%7
			}
			want = append(want, d)
		}
		path := filepath.Join(t.TempDir(), datafile.NewDeleteName())
		size, footer, err := datafile.WriteDeletes(path, "/data/a.parquet", want, withSnapshots)
		if err != nil || size <= footer+12 || footer <= 0 {
			t.Fatalf("%s: %d bytes, footer %d, %v", name, size, footer, err)
		}
		got, err := datafile.ReadDeletes(t.Context(), path)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %d deletes came back, want %d, %v", name, len(got), len(want), err)
		}
		if _, _, err := datafile.WriteDeletes(path, "/data/a.parquet", want, withSnapshots); err == nil {
			t.Errorf("%s: a file was written over (I1)", name)
		}
	}
}

func TestNamesSortByTime(t *testing.T) {
	var names []string
	for range 100 {
		names = append(names, datafile.NewName())
	}
	if !slices.IsSorted(names) || len(slices.Compact(names)) != 100 {
		t.Error("names are not unique and in the order of their making")
	}
}

// extremes are values at the ends of what each type reaches, and odd ones.
var extremes = map[string][]string{
	"int8": {"-128", "127"}, "int16": {"-32768", "32767"}, "int32": {"-2147483648", "2147483647"},
	"int64": {"-9223372036854775808", "9223372036854775807"}, "uint8": {"0", "255"}, "uint16": {"65535"}, "uint32": {"4294967295"},
	"uint64": {"18446744073709551615"}, "float32": {"nan", "inf", "-inf", "-0.0", "3.4028234663852886e38", "1e-45", "9223372036854775807", "18446744073709551615"},
	"float64":      {"nan", "inf", "-inf", "-0.0", "1.7976931348623157e308", "5e-324", "9223372036854775807", "18446744073709551615", "1e38"},
	"decimal(4,1)": {"-999.9", "999.0"}, "decimal(18,9)": {"999999999.999999999"}, "decimal(38,0)": {"-99999999999999999999999999999999999999"},
	"decimal(38,37)": {"9.9999999999999999999999999999999999999", "1"}, "date": {"5877642-06-25 (BC)", "5881580-07-10", "0001-01-01", "infinity", "-infinity"},
	"timestamp_s":  {"290309-12-22 (BC) 00:00:00", "294247-01-10 04:00:54", "1969-12-31 23:59:59", "infinity", "-infinity"},
	"timestamp_ms": {"290309-12-22 (BC) 00:00:00", "294247-01-10 04:00:54.775", "1969-12-31 23:59:59.999", "infinity"},
	"timestamp":    {"290309-12-22 (BC) 00:00:00", "294247-01-10 04:00:54.775806", "2300-01-01 00:00:00", "1500-01-01 00:00:00", "infinity", "-infinity"},
	"timestamp_ns": {"1677-09-22 00:00:00", "2262-04-11 23:47:16.854775806", "infinity", "-infinity"},
}

// TestConvertExtremes: whatever type meets whatever other, a value at the end
// of its range is kept as it is or refused with the mark, and the engine never
// fails with words of its own.
func TestConvertExtremes(t *testing.T) {
	conn := connect(t)
	sqlType := func(name string) datafile.Type {
		typ, err := datafile.ParseLake(name)
		if err != nil {
			t.Fatal(err)
		}
		return typ
	}
	for have := range extremes {
		for in, values := range extremes {
			from := sqlType(in)
			to, ok := datafile.Unify(sqlType(have), from)
			if !ok {
				continue
			}
			for _, v := range values {
				value := "CAST(" + datafile.QuoteText(v) + " AS " + from.SQL() + ")"
				same := "CAST(v AS DOUBLE) IS NOT DISTINCT FROM CAST(w AS DOUBLE)"
				if from.Name == "date" || strings.HasPrefix(from.Name, "timestamp") {
					same = "starts_with(CAST(w AS VARCHAR), CAST(v AS VARCHAR)) OR starts_with(CAST(v AS VARCHAR), CAST(w AS VARCHAR))"
				}
				list := datafile.Convert("[v]", listOf(from), listOf(to), true, "tag")
				for _, w := range []string{datafile.Convert("v", from, to, true, "tag"), "(" + list + ")[1]"} {
					rows, err := engine.Collect(t.Context(), conn, "SELECT w IS NOT NULL AND ("+same+") FROM (SELECT "+w+" AS w, v FROM (SELECT "+value+" AS v))", nil)
					if err != nil && !strings.Contains(err.Error(), datafile.ConvertMark) || err == nil && rows[0][0] != true {
						t.Errorf("%s %s to %s: %v %v", in, v, to.SQL(), rows, err)
					}
				}
			}
		}
	}
}

func listOf(t datafile.Type) datafile.Type {
	return datafile.Type{Name: "list", Fields: []datafile.Field{{Name: "element", Type: t}}}
}
