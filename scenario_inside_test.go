package supertable_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/testdb"
)

// insideLake is a SuperTable whose small writes stay inside the catalog.
func insideLake(t *testing.T) *supertable.Session {
	t.Helper()
	return testdb.At(t, t.TempDir(), testdb.Inside()).Session("main")
}

func fileCount(t *testing.T, s *supertable.Session, table string) int64 {
	t.Helper()
	list, err := s.Tables(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range list {
		if x.Name == table {
			return x.Files
		}
	}
	t.Fatalf("no table %s", table)
	return 0
}

// TestEveryTypeInside writes a value and a NULL of each type, each into a table
// of its own: what has a form in the catalog stays there, the rest takes a file,
// and all come back as they were, by key too, before and after a flush.
func TestEveryTypeInside(t *testing.T) {
	s := insideLake(t)
	files := map[string]bool{"list": true, "empty_list": true, "struct": true, "nested": true, "map": true}
	put := func(c int, key ...string) supertable.WriteResult {
		f := arrow.Field{Name: "v", Type: typeCases[c].arrow, Nullable: true}
		schema := arrow.NewSchema([]arrow.Field{f}, nil)
		rec, _, err := array.RecordFromJSON(memory.DefaultAllocator, schema, strings.NewReader(`[{"v":`+typeCases[c].in+`},{"v":null}]`))
		if err != nil {
			t.Fatal(err)
		}
		rr, err := array.NewRecordReader(schema, []arrow.RecordBatch{rec})
		if err != nil {
			t.Fatal(err)
		}
		return write(t, s, "t_"+typeCases[c].name, rr, &supertable.WriteOptions{Key: key})
	}
	for i, c := range typeCases {
		t.Run(c.name, func(t *testing.T) {
			table := "t_" + c.name
			put(i)
			if got := fileCount(t, s, table) > 0; got != files[c.name] {
				t.Errorf("in a file: %t", got)
			}
			want := c.want + "\n∅"
			same := func(when string) {
				t.Helper()
				if got := testdb.Query(t, s, "select v::varchar from "+table+" order by v is null", nil); got != want {
					t.Errorf("%s: %q, want %q", when, got, want)
				}
			}
			same("written")
			if files[c.name] { // a list is no key of a table test
				return
			}
			for range 2 {
				if r := put(i, "v"); r.Deleted != 2 {
					t.Errorf("by key: %+v", r)
				}
			}
			same("replaced")
			if _, err := s.Flush(t.Context(), table, nil); err != nil {
				t.Fatal(err)
			}
			same("flushed")
			if r := put(i, "v"); r.Deleted != 2 {
				t.Errorf("by key, from the file: %+v", r)
			}
			same("replaced in the file")
		})
	}
}

// TestInsideLimits: what is too much, or has values without a form in the
// catalog, takes a file, and reads the same.
func TestInsideLimits(t *testing.T) {
	s := insideLake(t)
	rows := func(n int, v string) string {
		out := make([]string, n)
		for i := range out {
			out[i] = fmt.Sprintf(`{"k":%d,"v":%q}`, i, v)
		}
		return "[" + strings.Join(out, ",") + "]"
	}
	cases := []struct {
		name, columns, rows string
		file                bool
	}{
		{"at the limit", "k:int64,v:text", rows(256, "x"), false},
		{"one more", "k:int64,v:text", rows(257, "x"), true},
		{"many bytes", "k:int64,v:text", rows(100, strings.Repeat("y", 2000)), true},
		{"a NUL", "k:int64,v:text", `[{"k":1,"v":"a\u0000b"}]`, true},
		{"a name of the format", "row_id:int64,v:text", `[{"row_id":1,"v":"a"}]`, true},
		{"a long name", strings.Repeat("n", 64) + ":int64", `[{"` + strings.Repeat("n", 64) + `":1}]`, true},
		{"a name in letters that fold", "é:int64", `[{"é":1}]`, true},
		{"no rows", "k:int64", `[]`, false},
	}
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			table := fmt.Sprintf("t%d", i)
			r := write(t, s, table, testdb.Batch(t, c.columns, c.rows), nil)
			if got := fileCount(t, s, table) > 0; got != c.file {
				t.Errorf("in a file: %t", got)
			}
			if got := testdb.Query(t, s, "select count(*) from "+table, nil); got != fmt.Sprint(r.Inserted) {
				t.Errorf("%s rows of %d", got, r.Inserted)
			}
		})
	}
	t.Run("option", func(t *testing.T) {
		for limit, files := range map[string]int64{"0": 1, "2": 0, "1": 1, "": 0} {
			table := "o" + limit
			write(t, s, table, testdb.Batch(t, "k:int64", `[]`), nil)
			if err := s.SetOption(t.Context(), table, "data_inlining_row_limit", limit); err != nil {
				t.Fatal(err)
			}
			write(t, s, table, testdb.Batch(t, "k:int64", `[{"k":1},{"k":2}]`), nil)
			if got := fileCount(t, s, table); got != files {
				t.Errorf("limit %q: %d files", limit, got)
			}
		}
	})
}

// TestManyRowsInside reads more rows of the catalog than a statement's text
// carries: twice in one statement, joined, and of another schema.
func TestManyRowsInside(t *testing.T) {
	s := insideLake(t)
	for k := range 5 {
		rows := make([]string, 200)
		for i := range rows {
			rows[i] = fmt.Sprintf(`{"id":%d,"name":"n%d","x":%d.5,"ok":%t}`, k*200+i, i, i, i%2 == 0)
		}
		write(t, s, "t", testdb.Batch(t, "id:int64,name:text,x:float64,ok:bool", "["+strings.Join(rows, ",")+"]"), &supertable.WriteOptions{Key: []string{"id"}})
	}
	write(t, s, "t", testdb.Batch(t, "id:int64,more:date", `[{"id":7,"more":"2026-01-01"}]`), &supertable.WriteOptions{Key: []string{"id"}})
	if n := fileCount(t, s, "t"); n != 0 {
		t.Fatalf("%d files", n)
	}
	for sql, want := range map[string]string{
		"select count(*), sum(id), sum(x), count(more), count(*) filter (where ok) from t":     "1000|499500|99992.5|1|500",
		"select count(*) from t a join t b using (id)":                                         "1000",
		"with c as (select * from t) select (select count(*) from c), (select max(id) from c)": "1000|999",
		"select more, name, x from t where id = 7":                                             "2026-01-01|∅|∅",
	} {
		if got := testdb.Query(t, s, sql, nil); got != want {
			t.Errorf("%s: %s, want %s", sql, got, want)
		}
	}
}

// TestWritersInside: eight writers upsert the same keys at once; nothing is
// lost and no key is there twice.
func TestWritersInside(t *testing.T) {
	s := insideLake(t)
	const writers, times, keys = 8, 25, 10
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range times {
				id := (w + i) % keys
				r := testdb.Batch(t, "id:int64,by:text", fmt.Sprintf(`[{"id":%d,"by":"%d-%d"},{"id":%d,"by":"own"}]`, id, w, i, 1000+w*times+i))
				if _, err := s.Write(t.Context(), "t", r, &supertable.WriteOptions{Key: []string{"id"}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	want := fmt.Sprintf("%d|%d", keys+writers*times, keys+writers*times)
	if got := testdb.Query(t, s, "select count(*), count(distinct id) from t", nil); got != want {
		t.Errorf("rows and keys %s, want %s", got, want)
	}
	if n := fileCount(t, s, "t"); n != 0 {
		t.Errorf("%d files", n)
	}
}

// TestFlushedByLimits: maintenance flushes a table when it holds enough.
func TestFlushedByLimits(t *testing.T) {
	s := insideLake(t)
	if err := s.SetOption(t.Context(), "", "flush_rows", "3"); err != nil {
		t.Fatal(err)
	}
	put := func(i int) {
		write(t, s, "t", testdb.Batch(t, "id:int64", fmt.Sprintf(`[{"id":%d}]`, i)), nil)
		if _, err := s.Maintain(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	}
	put(1)
	put(2)
	if n := fileCount(t, s, "t"); n != 0 {
		t.Errorf("%d files after two rows", n)
	}
	put(3)
	if n := fileCount(t, s, "t"); n != 1 {
		t.Errorf("%d files after three rows", n)
	}
	if got := testdb.Query(t, s, "select count(*), sum(id) from t", nil); got != "3|6" {
		t.Error(got)
	}
}
