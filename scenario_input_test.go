package supertable_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/testdb"
)

// writeText writes a text file into a table and tells the error in words.
func writeText(t *testing.T, s *supertable.Session, table, name, text string, o *supertable.WriteOptions) string {
	t.Helper()
	if _, err := s.WriteFiles(t.Context(), table, []string{stageInput(t, name, text)}, o); err != nil {
		return string(supertable.KindOf(err)) + ": " + err.Error()
	}
	return ""
}

// columnType is the type of a table's column.
func columnType(t *testing.T, s *supertable.Session, table, column string) string {
	t.Helper()
	cols, err := s.Schema(t.Context(), table)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cols {
		if c.Name == column {
			return c.Type
		}
	}
	return ""
}

// TestTextFillsAColumnOfNulls: a column that never had a value becomes what a
// text input has for it, by every way in, with its rows in files and inside
// the catalog (decision 22).
func TestTextFillsAColumnOfNulls(t *testing.T) {
	ways := map[string]func(*testing.T, *supertable.Session, string, string, string){
		"write": func(t *testing.T, s *supertable.Session, table, name, text string) {
			if err := writeText(t, s, table, name, text, nil); err != "" {
				t.Fatal(err)
			}
		},
		"load": func(t *testing.T, s *supertable.Session, table, name, text string) {
			stagePut(t, s, "a_"+table, name, text)
			load(t, s, "a_"+table, "", table, nil)
		},
		"pipe": func(t *testing.T, s *supertable.Session, table, name, text string) {
			stagePut(t, s, "p_"+table, name, text)
			pipe(t, s, `{"name":"`+table+`","area":"p_`+table+`","table":"`+table+`","columns":{"n":"N"},"checks":[{"not_null":["n"]}]}`)
			if rows := runPipe(t, s, table, ""); len(rows) != 1 || rows[0].Status != "loaded" {
				t.Fatalf("%+v", rows)
			}
		},
	}
	values := []struct{ json, csv, typ, want string }{
		{`"bob"`, "bob", "VARCHAR", "bob"},
		{"1.5", "1.5", "DOUBLE", "1.5"},
		{"3000000000", "3000000000", "BIGINT", "3000000000"},
		{"true", "true", "BOOLEAN", "true"},
		{"[1]", "", "BIGINT[]", "[1]"},
		{`"2024-01-01"`, "2024-01-01", "DATE", "2024-01-01"},
	}
	for _, o := range []*supertable.Options{nil, testdb.Inside()} {
		s := testdb.At(t, t.TempDir(), o).Session("main")
		n := 0
		for way, in := range ways {
			for _, v := range values {
				for _, f := range [][2]string{{"x.ndjson", `{"id":2,"n":` + v.json + `}`}, {"x.csv", "id,n\n2," + v.csv + "\n"}} {
					if strings.HasSuffix(f[1], ",\n") {
						continue
					}
					n++
					table := "t" + strconv.Itoa(n)
					if err := writeText(t, s, table, "n.ndjson", `{"id":1,"n":null}`, nil); err != "" {
						t.Fatal(err)
					}
					in(t, s, table, f[0], f[1])
					if got := testdb.Query(t, s, "SELECT n FROM "+table+" ORDER BY id", nil); got != "∅\n"+v.want || columnType(t, s, table, "n") != v.typ {
						t.Errorf("%s %s: %q as %s, want %s as %s", way, f[1], got, columnType(t, s, table, "n"), v.want, v.typ)
					}
				}
			}
		}
	}
}

// TestTextKeepsADeclaredType: a column that never had a value and was given a
// type keeps it for the values that the type holds, and takes another for
// those that it does not; one that had a value keeps its type.
func TestTextKeepsADeclaredType(t *testing.T) {
	s := testdb.Open(t).Session("main")
	for _, tt := range []struct{ name, declared, value, want string }{
		{"held", "VARCHAR", "12345", "VARCHAR"},
		{"small", "SMALLINT", "5", "SMALLINT"},
		{"not", "DATE", "soon", "VARCHAR"},
	} {
		if err := writeText(t, s, tt.name, "x.csv", "id,n\n1,\n", &supertable.WriteOptions{Columns: []supertable.Column{{Name: "n", Type: tt.declared}}}); err != "" {
			t.Fatal(err)
		}
		if err := writeText(t, s, tt.name, "y.csv", "id,n\n2,"+tt.value+"\n", nil); err != "" {
			t.Error(err)
		}
		if got := columnType(t, s, tt.name, "n"); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	want := `type_conflict: z.csv: line 2: column "n": "late" is not a SMALLINT`
	if err := writeText(t, s, "small", "z.csv", "id,n\n3,late\n", nil); err != want {
		t.Errorf("%q, want %q", err, want)
	}
}

// TestTextMeetsAnotherFirstValue: between the look at the input and the commit
// another write gives the column its first value. The text is read again as
// that type.
func TestTextMeetsAnotherFirstValue(t *testing.T) {
	s := testdb.Open(t).Session("main")
	for table, tt := range map[string]struct{ first, text, want, err string }{
		"fits":    {`{"id":2,"n":"bob"}`, `{"id":3,"n":1.5}`, "∅\nbob\n1.5", ""},
		"as_is":   {`{"id":2,"n":"bob"}`, `{"id":3,"n":7}`, "∅\nbob\n7", ""},
		"refused": {`{"id":2,"n":true}`, `{"id":3,"n":"maybe"}`, "∅\ntrue", `type_conflict: x.ndjson: line 1: column "n": "maybe" is not a BOOLEAN`},
	} {
		if err := writeText(t, s, table, "n.ndjson", `{"id":1,"n":null}`, nil); err != "" {
			t.Fatal(err)
		}
		came := false
		err := writeText(t, s, table, "x.ndjson", tt.text, &supertable.WriteOptions{Key: []string{"id"}, Progress: func(p supertable.WriteProgress) {
			if p.Phase == "committing" && !came {
				came = true
				if err := writeText(t, s, table, "y.ndjson", tt.first, nil); err != "" {
					t.Error(err)
				}
			}
		}})
		if err != tt.err {
			t.Errorf("%s: %q, want %q", table, err, tt.err)
		}
		if got := testdb.Query(t, s, "SELECT n FROM "+table+" ORDER BY id", nil); got != tt.want {
			t.Errorf("%s: %q, want %q", table, got, tt.want)
		}
	}
}

// TestTimesOutOfRange: a time that the column's type does not reach is refused
// with column and value, and no column gets a type that its values do not fit.
func TestTimesOutOfRange(t *testing.T) {
	s := testdb.Open(t).Session("main")
	ns := &supertable.WriteOptions{Columns: []supertable.Column{{Name: "ts", Type: "TIMESTAMP_NS"}}}
	if err := writeText(t, s, "t", "x.csv", "ts\n2020-01-01 00:00:00.000000001\n", ns); err != "" {
		t.Fatal(err)
	}
	rr := testdb.Batch(t, "ts:timestamp", `[{"ts":"2300-01-01 00:00:00"}]`)
	defer rr.Release()
	_, err := s.Write(t.Context(), "t", rr, nil)
	want := `column "ts": the value 2300-01-01 00:00:00 of type TIMESTAMP does not fit TIMESTAMP_NS exactly: cast the input, or alter the column`
	if err == nil || err.Error() != want || supertable.KindOf(err) != supertable.TypeConflict {
		t.Errorf("%v, want %s", err, want)
	}
	day := array.NewDate32Builder(memory.DefaultAllocator)
	day.Append(2147483646)
	rec := array.NewRecordBatch(arrow.NewSchema([]arrow.Field{{Name: "d", Type: arrow.FixedWidthTypes.Date32}}, nil), []arrow.Array{day.NewArray()}, 1)
	days, err := array.NewRecordReader(rec.Schema(), []arrow.RecordBatch{rec})
	if err != nil {
		t.Fatal(err)
	}
	write(t, s, "days", days, nil)
	for cast, want := range map[bool]string{
		false: `column "d" cannot go from DATE to TIMESTAMP without a look at its values: use --cast, which checks every one`,
		true:  `column "d": the value 5881580-07-10 of type DATE does not convert to TIMESTAMP exactly`,
	} {
		_, err := s.Alter(t.Context(), "days", supertable.Alteration{Type: &supertable.ChangeColumnType{Name: "d", Type: "timestamp", Cast: cast}})
		if err == nil || err.Error() != want {
			t.Errorf("cast %t: %v, want %s", cast, err, want)
		}
	}
	if got := testdb.Query(t, s, "SELECT d FROM days", nil); got != "5881580-07-10" {
		t.Error(got)
	}
}

// TestAnEmptyFileAmongOthers: the width of the input is that of the files that
// have columns, whatever the table has.
func TestAnEmptyFileAmongOthers(t *testing.T) {
	s := testdb.Open(t).Session("main")
	if err := writeText(t, s, "t", "x.csv", "a,b,c\n1,2,3\n", nil); err != "" {
		t.Fatal(err)
	}
	res, err := s.WriteFiles(t.Context(), "t", []string{stageInput(t, "w.csv", "a,b\n4,5\n"), stageInput(t, "e.ndjson", "")}, nil)
	if err != nil || res.Columns != 2 || res.Inserted != 1 {
		t.Errorf("%+v, %v", res, err)
	}
}
