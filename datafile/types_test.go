package datafile_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/internal/script"
)

func parse(t testing.TB, s string) datafile.Type {
	t.Helper()
	typ, err := datafile.ParseSQL(s)
	if err != nil {
		t.Fatalf("type %s: %v", s, err)
	}
	return typ
}

// scalars are the types of the matrix with their short names.
var scalars = [][2]string{
	{"bool", "BOOLEAN"},
	{"i8", "TINYINT"},
	{"i16", "SMALLINT"},
	{"i32", "INTEGER"},
	{"i64", "BIGINT"},
	{"u8", "UTINYINT"},
	{"u16", "USMALLINT"},
	{"u32", "UINTEGER"},
	{"u64", "UBIGINT"},
	{"f32", "FLOAT"},
	{"f64", "DOUBLE"},
	{"dec", "DECIMAL(18,4)"},
	{"date", "DATE"},
	{"s", "TIMESTAMP_S"},
	{"ms", "TIMESTAMP_MS"},
	{"us", "TIMESTAMP"},
	{"ns", "TIMESTAMP_NS"},
	{"tz", "TIMESTAMP WITH TIME ZONE"},
	{"time", "TIME"},
	{"text", "VARCHAR"},
	{"blob", "BLOB"},
	{"uuid", "UUID"},
	{"json", "JSON"},
	{"null", `"NULL"`},
}

// TestUnify runs testdata/unify.txt: the matrix of decision 22, and pairs of
// types that have parts.
func TestUnify(t *testing.T) {
	script.Run(t, "testdata/unify.txt", func(t *testing.T, c *script.Case) string {
		t.Helper()
		var b strings.Builder
		if c.Cmd == "matrix" {
			matrix(t, &b)
			return b.String()
		}
		for line := range strings.Lines(c.Input) {
			have, in, _ := strings.Cut(strings.TrimSpace(line), " <- ")
			typ, ok := datafile.Unify(parse(t, have), parse(t, in))
			switch {
			case !ok:
				b.WriteString("-\n")
			case c.Cmd == "widens":
				fmt.Fprintln(&b, datafile.Widens(parse(t, in), parse(t, have)))
			default:
				fmt.Fprintln(&b, typ.SQL())
			}
		}
		return b.String()
	})
}

func matrix(t *testing.T, b *strings.Builder) {
	t.Helper()
	short := map[string]string{}
	fmt.Fprintf(b, "%-5s", "")
	for _, s := range scalars {
		short[s[1]] = s[0]
		fmt.Fprintf(b, "%-5s", s[0])
	}
	for _, have := range scalars {
		fmt.Fprintf(b, "\n%-5s", have[0])
		for _, in := range scalars {
			h, i := parse(t, have[1]), parse(t, in[1])
			typ, ok := datafile.Unify(h, i)
			cell := "."
			switch {
			case ok && h.Same(i):
				cell = "="
			case ok && typ.Same(h):
				cell = "c"
			case ok:
				if cell = short[typ.SQL()]; cell == "" {
					cell = typ.SQL()
				}
			}
			fmt.Fprintf(b, "%-5s", cell)
		}
	}
	text := b.String()
	b.Reset()
	for line := range strings.Lines(text) {
		b.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
}

func TestParseSQL(t *testing.T) {
	for in, want := range map[string]string{
		"bigint":                             "BIGINT",
		" int8 ":                             "BIGINT",
		"text":                               "VARCHAR",
		"varchar(10)":                        "VARCHAR",
		"numeric":                            "DECIMAL(18,3)",
		"decimal(5)":                         "DECIMAL(5,0)",
		"Decimal( 10 , 2 )":                  "DECIMAL(10,2)",
		"timestamptz":                        "TIMESTAMP WITH TIME ZONE",
		"timestamp with time zone":           "TIMESTAMP WITH TIME ZONE",
		"timestamp without time zone":        "TIMESTAMP",
		"double precision":                   "DOUBLE",
		"int[]":                              "INTEGER[]",
		"int[][]":                            "INTEGER[][]",
		`struct(a int, "b ""c" text[])`:      `STRUCT("a" INTEGER, "b ""c" VARCHAR[])`,
		"map(varchar, struct(x decimal(3)))": `MAP(VARCHAR, STRUCT("x" DECIMAL(3,0)))`,
	} {
		typ := parse(t, in)
		if typ.SQL() != want {
			t.Errorf("%s: %s, want %s", in, typ.SQL(), want)
		}
		if again := parse(t, want); !again.Same(typ) {
			t.Errorf("%s: read back as %s", want, again.SQL())
		}
	}
	for in, want := range map[string]errs.Kind{
		"": errs.InvalidArgument, "nonsense": errs.InvalidArgument, "decimal(39,2)": errs.InvalidArgument, "decimal(2,3)": errs.InvalidArgument, "decimal(0,0)": errs.InvalidArgument,
		"int)": errs.InvalidArgument, "struct()": errs.InvalidArgument, "struct(a)": errs.InvalidArgument, "map(int)": errs.InvalidArgument, "int[": errs.TypeConflict, "int[3]": errs.TypeConflict,
		strings.Repeat("map(int, ", 100) + "int" + strings.Repeat(")", 100): errs.InvalidArgument,
	} {
		if _, err := datafile.ParseSQL(in); errs.KindOf(err) != want {
			t.Errorf("%q: %v, want %s", in, err, want)
		}
	}
}

// FuzzParseSQL holds that what is a type is written back as the same type.
func FuzzParseSQL(f *testing.F) {
	for _, s := range scalars {
		f.Add(s[1])
	}
	f.Add(`STRUCT(a BIGINT, "b c" DECIMAL(10,2)[])`)
	f.Add(`MAP(VARCHAR, TIMESTAMP WITH TIME ZONE)[]`)
	f.Add("varchar(\x00)")
	f.Fuzz(func(t *testing.T, s string) {
		typ, err := datafile.ParseSQL(s)
		if err != nil {
			if k := errs.KindOf(err); k != errs.InvalidArgument && k != errs.TypeConflict && k != errs.Unsupported {
				t.Errorf("%q: kind %s: %v", s, k, err)
			}
			return
		}
		again, err := datafile.ParseSQL(typ.SQL())
		if err != nil || !again.Same(typ) {
			t.Errorf("%q is %s, read back as %s, %v", s, typ.SQL(), again.SQL(), err)
		}
		if !datafile.Widens(typ, typ) {
			t.Errorf("%s does not hold its own values", typ.SQL())
		}
	})
}

// TestLakeTypes: a scalar comes back from the catalog as it went in.
func TestLakeTypes(t *testing.T) {
	for _, s := range scalars[:len(scalars)-1] {
		typ := parse(t, s[1])
		got, err := datafile.ParseLake(typ.Lake())
		if err != nil || !got.Same(typ) {
			t.Errorf("%s: stored as %s, read as %s, %v", s[1], typ.Lake(), got.SQL(), err)
		}
	}
	for in, want := range map[string]errs.Kind{"variant": errs.Unsupported, "geometry": errs.Unsupported, "decimal(x)": errs.Corrupt, "decimal(40,1)": errs.Corrupt, "frob": errs.Unsupported} {
		if _, err := datafile.ParseLake(in); errs.KindOf(err) != want {
			t.Errorf("%s: %v, want %s", in, err, want)
		}
	}
}

func TestIDsAndLeaves(t *testing.T) {
	cols := []datafile.Column{{Name: "a", Type: parse(t, "BIGINT")}, {Name: `b"`, Type: parse(t, `STRUCT(x INTEGER, y VARCHAR[])`)}, {ID: 9, Name: "m", Type: parse(t, "MAP(VARCHAR, DOUBLE)")}}
	if next := datafile.AssignIDs(cols, 10); next != 17 {
		t.Errorf("next id %d, want 17", next)
	}
	if got, want := datafile.FieldIDs(cols), `{"a": 10, "b""": {__duckdb_field_id: 11, "x": 12, "y": {__duckdb_field_id: 13, "element": 14}}, "m": {__duckdb_field_id: 9, "key": 15, "value": 16}}`; got != want {
		t.Errorf("field ids\n%s, want\n%s", got, want)
	}
	if m := datafile.MaxID(cols); m != 16 {
		t.Errorf("highest id %d, want 16", m)
	}
	var got []string
	for _, l := range datafile.Leaves(cols) {
		got = append(got, fmt.Sprintf("%d %s %s %t", l.ID, strings.Join(l.Path, "."), l.Type.SQL(), l.InList))
	}
	want := "10 a BIGINT false\n12 b\".x INTEGER false\n14 b\".y.element VARCHAR true\n15 m.key VARCHAR true\n16 m.value DOUBLE true"
	if strings.Join(got, "\n") != want {
		t.Errorf("leaves\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
	if i := datafile.FindColumn(cols, "A"); i != 0 {
		t.Errorf("column A at %d", i)
	}
	if i := datafile.FindColumn(cols, "z"); i != -1 {
		t.Errorf("column z at %d", i)
	}
	clone := cols[1].Type.Clone()
	clone.Fields[0].ID = 99
	if cols[1].Type.Fields[0].ID != 12 {
		t.Error("a clone shares its fields")
	}
}
