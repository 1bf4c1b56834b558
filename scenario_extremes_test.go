package supertable_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/testdb"
)

// TestExtremesFromStatistics asks for the least and greatest values of columns
// whose values statistics get wrong easily, and asks again where every row is
// read: through deletes, compaction, renames, time travel and rows inside the
// catalog the answers are the same.
func TestExtremesFromStatistics(t *testing.T) {
	rnd := random(t)
	rounds := uint64(4)
	if testing.Short() {
		rounds = 2
	}
	var read, total int64
	for round := range rounds {
		s := testdb.At(t, t.TempDir(), testdb.Either(round)).Session("main")
		cols := pools()
		compare := func(n int, o *supertable.QueryOptions) {
			t.Helper()
			for range n {
				a, b := cols[rnd.IntN(len(cols))].name, cols[rnd.IntN(len(cols))].name
				list := []string{
					"min(x.%[1]s), max(%[1]s), count(*)", "max(%[1]s), max(%[2]s), min(id)", "min(%[1]s), max(%[2]s), count(*) FILTER (true), min(%[2]s) IS NULL", "max(%[1]s)", "count(*), min(DISTINCT %[1]s)",
				}[rnd.IntN(5)]
				list = fmt.Sprintf(list+"%.0[2]s", a, b)
				got, report, err := answer(t.Context(), s, "SELECT "+list+" FROM t x", o)
				want, _, err2 := answer(t.Context(), s, "SELECT "+list+" FROM (SELECT * FROM t OFFSET 0) x", o)
				if err != nil || err2 != nil || got != want {
					t.Fatalf("SELECT %s FROM t\ngot:\n%s (%v)\nby its rows:\n%s (%v)\n%s", list, got, err, want, err2, testdb.Query(t, s, "SELECT * FROM t ORDER BY id", o))
				}
				read, total = read+report.FilesRead, total+report.FilesTotal
			}
		}
		fillPruned(t, s, rnd, cols)
		compare(40, nil)
		history, err := s.History(t.Context(), "t")
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			compare(2, &supertable.QueryOptions{AtVersion: &history[rnd.IntN(len(history))].Snapshot})
		}
		if _, err := s.Compact(t.Context(), "t", nil); err != nil {
			t.Fatal(err)
		}
		compare(20, nil)
		cols[1].name = "renamed"
		if _, err := s.Alter(t.Context(), "t", supertable.Alteration{RenameColumn: &supertable.RenameColumn{From: "n", To: "renamed"}}); err != nil {
			t.Fatal(err)
		}
		compare(10, nil)
		testdb.Write(t, s, "t", "renamed:int16,id:int64", `[{"renamed":-300,"id":-1},{"renamed":null,"id":-2}]`, nil)
		compare(20, nil)
		if _, err := s.Rollback(t.Context(), "t", history[len(history)/2].Snapshot, nil); err != nil {
			t.Fatal(err)
		}
		cols[1].name = "n"
		compare(20, nil)
	}
	if read == 0 || read == total {
		t.Errorf("%d of %d files were read: the test proves nothing", read, total)
	}
	t.Logf("%d of %d files read", read, total)
}

// TestExtremesReadNoFile: of which files the rows are read, and who sees what.
func TestExtremesReadNoFile(t *testing.T) {
	db := testdb.Open(t)
	s := db.Session("main")
	for i := range 4 {
		testdb.Write(t, s, "t", "id:int64,d:date,f:float64,s:text", fmt.Sprintf(`[{"id":%d,"d":"2024-01-0%d","f":%d.5,"s":"s%d"},{"id":%d,"d":null,"f":-%d.5,"s":"x"}]`, i*10, i+1, i, i, i*10+1, i), nil)
	}
	ask := func(sql, want string, files int64) {
		t.Helper()
		got, report, err := answer(t.Context(), s, sql, nil)
		if err != nil || got != want || report.FilesRead != files || report.FilesTotal != 4 {
			t.Errorf("%s: %q (%v), %d of %d files read; want %q and %d", sql, got, err, report.FilesRead, report.FilesTotal, want, files)
		}
	}
	const all = "SELECT min(id) AS a, max(id) AS b, min(d) AS c, max(d) AS d, min(f) AS e, max(f) AS f, count(*) AS n FROM t"
	ask(all, "a|b|c|d|e|f|n\n0|31|2024-01-01|2024-01-04|-3.5|3.5|8", 0)
	ask("SELECT max(s) AS s FROM t", "s\nx", 4)
	ask("SELECT max(id) AS id FROM t WHERE id < 15", "id\n11", 2)
	testdb.Write(t, s, "t", "id:int64", `[{"id":31}]`, &supertable.WriteOptions{Key: []string{"id"}, DeleteOnly: true})
	ask(all, "a|b|c|d|e|f|n\n0|30|2024-01-01|2024-01-04|-2.5|3.5|7", 1)

	columns := []supertable.Column{
		{Name: "i", Type: "TINYINT"},
		{Name: "u", Type: "UBIGINT"},
		{Name: "dec", Type: "DECIMAL(20,3)"},
		{Name: "g", Type: "FLOAT"},
		{Name: "micro", Type: "TIMESTAMP"},
		{Name: "sec", Type: "TIMESTAMP_S"},
		{Name: "milli", Type: "TIMESTAMP_MS"},
		{Name: "nano", Type: "TIMESTAMP_NS"},
		{Name: "tz", Type: "TIMESTAMP WITH TIME ZONE"},
	}
	_, err := s.WriteFrom(t.Context(), "types", strings.NewReader(`i,u,dec,g,micro,sec,milli,nano,tz
-128,18446744073709551615,-0.001,0.1,1969-12-31 23:59:59.999999,2024-01-01 10:00:00,2024-01-01 10:00:00.001,2024-01-01 10:00:00.123456789,2024-01-01 10:00:00.5Z
127,0,99999999999999999.999,16777216,9999-12-31 00:00:00,1900-01-01 00:00:00,1969-12-31 23:59:59.999,2024-01-01 10:00:00.123456788,1950-06-01 00:00:00Z
`), &supertable.WriteOptions{Format: "csv", Columns: columns})
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, c := range columns {
		list = append(list, fmt.Sprintf("min(%[1]s), max(%[1]s)", c.Name))
	}
	both := "SELECT " + strings.Join(list, ", ") + " FROM "
	got, report, err := answer(t.Context(), s, both+"types", nil)
	want, _, err2 := answer(t.Context(), s, both+"(SELECT * FROM types OFFSET 0)", nil)
	if err != nil || err2 != nil || got != want || report.FilesRead != 0 {
		t.Errorf("%s (%v), %d files read; by its rows %s (%v)", got, err, report.FilesRead, want, err2)
	}
	st, err := db.Lake.SuperTable(t.Context(), "default", "main")
	if err != nil {
		t.Fatal(err)
	}
	for role, want := range map[string]string{
		`"columns":["id","d"]`:                                   "30|2024-01-04|7",
		`"masks":{"d":{"type":"null"}}`:                          "30|∅|7",
		`"masks":{"d":{"type":"constant","value":"1999-01-01"}}`: "30|1999-01-01|7",
		`"filters":{"id":{"operation":"<","value":11}}`:          "10|2024-01-02|3",
		`"filters":{"id":{"operation":"<","value":0}}`:           "∅|∅|0",
	} {
		hash, err := s.CreateRole(t.Context(), []byte(`{"role":"reader","tables":["t"],`+role+`}`))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.CreateUser(t.Context(), "u"+hash[:8], []string{hash}, nil); err != nil {
			t.Fatal(err)
		}
		reader, err := st.Session(t.Context(), "u"+hash[:8])
		if err != nil {
			t.Fatal(err)
		}
		if got := testdb.Query(t, reader, "SELECT max(id), max(d), count(*) FROM t", nil); got != want {
			t.Errorf("%s: %q, want %q", role, got, want)
		}
	}
}
