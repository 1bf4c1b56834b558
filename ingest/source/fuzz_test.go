package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/supertable-go/supertable/engine"
	"github.com/supertable-go/supertable/internal/errs"
)

// fuzzed opens content as a file of the format and reads all of it. Whatever
// the bytes are, an error must be typed, on one line and without a path.
func fuzzed(t *testing.T, c engine.Conn, dir, name string, content []byte, o *Options) (*Relation, []string) {
	t.Helper()
	p := filepath.Join(dir, name)
	if err := os.WriteFile(p, content, 0o600); err != nil {
		t.Fatal(err)
	}
	o.SpillDir = dir
	r, err := Open(context.Background(), c, []string{p}, o)
	if err != nil {
		wellFormed(t, err)
		return nil, nil
	}
	got, err := rowsErr(c, r)
	if err != nil { // what the scan let pass the engine must read
		t.Errorf("the engine refuses what was checked: %v\n%q\n%s", err, content, r.SQL)
	} else if int64(len(got)) != r.Rows {
		t.Errorf("%d rows read, %d scanned\n%q\n%s", len(got), r.Rows, content, r.SQL)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	return r, got
}

// fuzzDir is a folder in memory, as far as the system has one.
func fuzzDir(f *testing.F) string {
	base := ""
	if st, err := os.Stat("/dev/shm"); err == nil && st.IsDir() {
		base = "/dev/shm"
	}
	dir, err := os.MkdirTemp(base, "source-fuzz-")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func FuzzCSV(f *testing.F) {
	for _, s := range []string{"a,b\n1,2\n", "a,b\r\n1,\"x\r\ny\"\r\n", "a;b\n\"q\"\"q\";\n", "\ufeffa\n\n1", "a,b\n 1 , \"x\" \n", "a\r1\r\r2", "a,b\n1,x\"y\n", "a\n\"\"\n\n", "a,b\n1e400,2024-01-31T10:00:00Z\n", "a\tb\n0.1234567890123456789\t007\n", "a|b\n\"x\",\n"} {
		f.Add([]byte(s))
	}
	c, dir := connect(f), fuzzDir(f)
	f.Fuzz(func(t *testing.T, content []byte) {
		r, _ := fuzzed(t, c, dir, "x.csv", content, &Options{})
		if r == nil {
			return
		}
		var given []Column // the values themselves, as both parsers see them
		for _, col := range r.Columns {
			given = append(given, Column{col.Name, "VARCHAR"})
		}
		_, got := fuzzed(t, c, dir, "x.csv", content, &Options{Table: given})
		want := csvValues(t, content, r)
		if !bytes.Equal([]byte(strings.Join(got, "\n")), []byte(strings.Join(want, "\n"))) {
			t.Errorf("%q is read as %q, the scan saw %q\n%s", content, got, want, r.SQL)
		}
	})
}

// csvValues are the rows as our own scan sees them.
func csvValues(t *testing.T, content []byte, r *Relation) []string {
	t.Helper()
	s := newCSVReader(bytes.NewReader(content))
	head, err := s.peek()
	if err != nil {
		t.Fatal(err)
	}
	if bytes.HasPrefix(head, []byte("\ufeff")) {
		s.pos += 3
		head = head[3:]
	}
	s.delim = findDelimiter(head, s.eof)
	var out []string
	for i := 0; ; i++ {
		err := s.record()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 || len(s.field) != len(r.Columns) {
			continue
		}
		var cells []string
		for _, f := range s.field {
			if f.null() {
				cells = append(cells, "<nil>")
			} else {
				cells = append(cells, string(f.text()))
			}
		}
		out = append(out, strings.Join(cells, "|"))
	}
}

func FuzzJSON(f *testing.F) {
	for _, s := range []string{
		`[{"a":1},{"a":2.5,"b":null}]`, "{\"a\":1}\n{\"a\":\"x\"}\n", `{"s":{"x":[1,{"y":0.1234567890123456789}]}} {"s":null}`, `{"a":"\ud83d\ude00\u0041"}`,
		"\ufeff[{\"a\":1e22}]", `{"Id":1}{"ID":2}`, `{"a":NaN}`, `{"a":[]}`, `{"a":{}}`, `[{"a":[1,"x",{}]}]`, `{"a":"2024-01-31T10:00:00Z","b":9223372036854775808}`, `{"a":1.5,"b":[1.5,[]]}`,
	} {
		f.Add([]byte(s))
	}
	c, dir := connect(f), fuzzDir(f)
	f.Fuzz(func(t *testing.T, content []byte) {
		r, _ := fuzzed(t, c, dir, "x.json", content, &Options{})
		if r == nil {
			return
		}
		var given []Column
		for i, col := range r.Columns {
			given = append(given, Column{col.Name, []string{"VARCHAR", "JSON", "DOUBLE", "DECIMAL(20,3)", "BLOB", "JSON[]"}[(i+len(content))%6]})
		}
		fuzzed(t, c, dir, "x.json", content, &Options{Table: given})
	})
}

func FuzzParseColumns(f *testing.F) {
	for _, s := range []string{"a:bigint", `"x""y":struct(a int, "b c" varchar[]), d:decimal(10,2)`, "m:map(varchar,enum('a','b'))", "t:timestamp with time zone", "a:union(x int)[3]", "u:struct(int, text)"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		cols, err := ParseColumns(spec)
		if err != nil {
			wellFormed(t, err)
			if k := errs.KindOf(err); k != errs.InvalidArgument && k != errs.TypeConflict {
				t.Errorf("kind %s", k)
			}
			return
		}
		var again []string
		for _, c := range cols {
			again = append(again, ident(c.Name)+":"+c.Type)
		}
		back, err := ParseColumns(strings.Join(again, ","))
		if err != nil || fmt.Sprint(back) != fmt.Sprint(cols) {
			t.Errorf("%q became %v, and that %v, %v", spec, cols, back, err)
		}
	})
}

func FuzzArrow(f *testing.F) {
	rec := batchOf(f, "a", int64Type, "[1, null]")
	f.Add([]byte(ipcOf(f, rec, true, 1)))
	f.Add([]byte(ipcOf(f, rec, false, 2)))
	c, dir := connect(f), fuzzDir(f)
	f.Fuzz(func(t *testing.T, content []byte) {
		p := filepath.Join(dir, "x.arrow")
		if err := os.WriteFile(p, content, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := Open(context.Background(), c, []string{p}, nil)
		if err == nil {
			defer r.Close()
			_, err = rowsErr(c, r)
		}
		if err != nil {
			wellFormed(t, err)
		}
	})
}
