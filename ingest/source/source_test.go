package source

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/supertable-go/supertable/engine"
	"github.com/supertable-go/supertable/engine/duckdb"
	"github.com/supertable-go/supertable/internal/errs"
)

// connect opens an engine of its own for a test.
func connect(t testing.TB) engine.Conn {
	t.Helper()
	db, err := duckdb.Open(engine.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	c, err := db.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// put writes a file into a folder of the test and returns its path.
func put(t testing.TB, name, content string) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

// open opens the files and fails the test on an error.
func open(t testing.TB, c engine.Conn, o *Options, paths ...string) *Relation {
	t.Helper()
	if o == nil {
		o = &Options{}
	}
	o.SpillDir = t.TempDir()
	r, err := Open(context.Background(), c, paths, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		left, _ := os.ReadDir(o.SpillDir)
		if len(left) > 0 {
			t.Errorf("%d temporary files are left", len(left))
		}
	})
	return r
}

// types are the columns as "name TYPE".
func types(r *Relation) []string {
	var out []string
	for _, c := range r.Columns {
		out = append(out, c.Name+" "+c.Type)
	}
	return out
}

// rows are the rows of the relation as texts, NULL written as <nil>.
func rows(t testing.TB, c engine.Conn, r *Relation) []string {
	t.Helper()
	got, err := rowsErr(c, r)
	if err != nil {
		t.Fatalf("%v\n%s", err, r.SQL)
	}
	if r.Rows >= 0 && int64(len(got)) != r.Rows {
		t.Errorf("%d rows, the relation says %d", len(got), r.Rows)
	}
	return got
}

func rowsErr(c engine.Conn, r *Relation) ([]string, error) {
	all, err := engine.Collect(context.Background(), c, "SELECT COLUMNS(*)::VARCHAR FROM ("+r.SQL+")", nil)
	if err != nil {
		return nil, r.Explain(err)
	}
	var out []string
	for _, row := range all {
		var cells []string
		for _, v := range row {
			cells = append(cells, fmt.Sprint(v))
		}
		out = append(out, strings.Join(cells, "|"))
	}
	return out, nil
}

// checkTypes compares what the engine says the relation yields with Columns.
func checkTypes(t testing.TB, c engine.Conn, r *Relation) {
	t.Helper()
	got, err := engine.Collect(context.Background(), c, "DESCRIBE FROM ("+r.SQL+")", nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, r.SQL)
	}
	for i, row := range got {
		typ, err := parseType(row[1].(string))
		if err != nil {
			t.Fatal(err)
		}
		if r.Columns[i].Type != "NULL" && typ.String() != r.Columns[i].Type || row[0] != r.Columns[i].Name {
			t.Errorf("column %d is %v %v, the relation says %v", i, row[0], row[1], r.Columns[i])
		}
	}
}

// failure opens the files and runs the relation; one of both must fail.
func failure(t testing.TB, c engine.Conn, o *Options, paths ...string) error {
	t.Helper()
	if o == nil {
		o = &Options{}
	}
	o.SpillDir = t.TempDir()
	r, err := Open(context.Background(), c, paths, o)
	if err == nil {
		defer r.Close()
		var got []string
		if got, err = rowsErr(c, r); err == nil {
			t.Fatalf("no error, but %q of type %q", got, types(r))
		}
	}
	if left, _ := os.ReadDir(o.SpillDir); r == nil && len(left) > 0 {
		t.Errorf("%d temporary files are left", len(left))
	}
	wellFormed(t, err)
	return err
}

// wellFormed checks what every error of this package promises.
func wellFormed(t testing.TB, err error) {
	t.Helper()
	if errs.KindOf(err) == errs.Internal {
		t.Errorf("the error has no kind: %v", err)
	}
	if strings.ContainsAny(err.Error(), "\n\r") {
		t.Errorf("more than one line: %q", err)
	}
	if strings.Contains(err.Error(), "/tmp/") {
		t.Errorf("a path leaks: %q", err)
	}
}

// wantErr checks kind and words of an error.
func wantErr(t testing.TB, err error, kind errs.Kind, words ...string) {
	t.Helper()
	if errs.KindOf(err) != kind {
		t.Errorf("kind %s, want %s: %v", errs.KindOf(err), kind, err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q is not in %q", w, err)
		}
	}
}

func diff(t testing.TB, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

func TestTextInference(t *testing.T) {
	c := connect(t)
	for _, tt := range []struct {
		values string // one column, one value per word; ~ is an empty field
		typ    string
	}{
		{"1 2 ~", "BIGINT"},
		{"1 2.5", "DOUBLE"},
		{"0.1 1e22 -5e-324", "DOUBLE"},
		{"1.10 2.20", "DOUBLE"},
		{"9223372036854775807 -9223372036854775808", "BIGINT"},
		{"9223372036854775808 1", "DECIMAL(38,0)"},
		{"0.1234567890123456789 1", "DECIMAL(38,19)"},
		{"9007199254740993.5 1", "DECIMAL(38,1)"},
		{"9007199254740993 0.5", "DECIMAL(38,1)"},
		{"0.30000000000000004 1", "DOUBLE"},
		{"0.10000000000000001 1", "DOUBLE"},
		{"123456789012345678901234567890123456789 1", "VARCHAR"},
		{"1e400 1", "VARCHAR"},
		{"1e-400 1", "VARCHAR"},
		{"nan 1.5 inf -Infinity", "DOUBLE"},
		{"nan inf", "VARCHAR"},
		{"007 5", "VARCHAR"},
		{"+420 5", "VARCHAR"},
		{"0x1F 1", "VARCHAR"},
		{"1_000 1", "VARCHAR"},
		{"true FALSE", "BOOLEAN"},
		{"t f", "VARCHAR"},
		{"2024-01-31 2024-02-29", "DATE"},
		{"2023-02-29", "VARCHAR"},
		{"31/01/2024", "VARCHAR"},
		{"03/04/2024", "VARCHAR"},
		{"2024-01-31T10:00:00 2024-01-31", "TIMESTAMP"},
		{"2024-01-31T10:00:00.123456", "TIMESTAMP"},
		{"2024-01-31T10:00:00.123456789", "TIMESTAMP_NS"},
		{"2024-01-31T10:00:00.1234567891", "VARCHAR"},
		{"2024-01-31T10:00:00Z 2024-01-31T10:00:00.5+02:00", "TIMESTAMP WITH TIME ZONE"},
		{"2024-01-31T10:00:00Z 2024-01-31T10:00:00", "VARCHAR"},
		{"10:00:00 23:59:59.999999", "TIME"},
		{"10:00:00.1234567", "VARCHAR"},
		{"x 1", "VARCHAR"},
		{"12345678-9abc-4def-8123-456789abcdef", "VARCHAR"},
		{"~ ~", "NULL"},
		{"1 true", "VARCHAR"},
	} {
		values := strings.Fields(tt.values)
		content := "id,v\n"
		for i, v := range values {
			content += fmt.Sprintf("%d,%s\n", i, strings.ReplaceAll(v, "~", ""))
		}
		r := open(t, c, nil, put(t, "x.csv", content))
		if got := r.Columns[1].Type; got != tt.typ {
			t.Errorf("%s: %s, want %s", tt.values, got, tt.typ)
		}
		checkTypes(t, c, r)
		got := rows(t, c, r)
		if tt.typ == "VARCHAR" {
			for i, v := range values {
				if want := fmt.Sprintf("%d|%s", i, strings.ReplaceAll(v, "~", "<nil>")); got[i] != want {
					t.Errorf("%s: row %q, want %q", tt.values, got[i], want)
				}
			}
		}
	}
}

func TestFilesOfTwoFormats(t *testing.T) {
	c := connect(t)
	r := open(t, c, nil, put(t, "x.json", `[{"a":1,"b":"x","d":"2024-01-31"},{"a":2.5,"c":{"x":[1,2]}}]`), put(t, "y.csv", "a,z\n7.5,8\n"))
	diff(t, types(r), []string{"a DOUBLE", "b VARCHAR", "d DATE", "c STRUCT(x BIGINT[])", "z BIGINT"})
	diff(t, rows(t, c, r), []string{"1.0|x|2024-01-31|<nil>|<nil>", "2.5|<nil>|<nil>|{'x': [1, 2]}|<nil>", "7.5|<nil>|<nil>|<nil>|8"})
	checkTypes(t, c, r)
}
