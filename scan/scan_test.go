package scan_test

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/internal/testdb"
	"github.com/supertable-go/supertable/scan"
	"github.com/supertable-go/supertable/storage"
)

var dataFile = regexp.MustCompile(`'[^']*/(ducklake-[^'/]*\.parquet)'`)

// planned plans table t as of snapshot at (-1 is the head) and gives its
// statement, with the files named f1, f2, … in the order of their writing.
func planned(t *testing.T, db *testdb.DB, at int64, keep func(*catalog.File) bool) (string, scan.Counts) {
	t.Helper()
	ctx := t.Context()
	c, err := catalog.Open(ctx, storage.At(filepath.Join(db.Home, "default", "main")), catalog.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	var sql string
	var counts scan.Counts
	err = c.Read(ctx, func(v *catalog.View) error {
		if at < 0 {
			at = v.Head.ID
		}
		tab, err := v.Table(ctx, "t", at)
		if err != nil {
			return err
		}
		cols, err := v.Columns(ctx, tab.ID, at)
		if err != nil {
			return err
		}
		s, err := scan.Plan(ctx, v, tab, at, cols, nil, v.Files, keep)
		if err != nil {
			return err
		}
		if err := s.Check(); err != nil {
			return err
		}
		counts = s.Counts
		sql, err = s.SQL(func(dead [][]uint64) (uint64, error) { return uint64(len(dead)), nil })
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range dataFile.FindAllStringSubmatch(sql, -1) {
		names = append(names, m[1])
	}
	slices.Sort(names) // their names are in the order of their making
	return dataFile.ReplaceAllStringFunc(sql, func(s string) string {
		return fmt.Sprintf("f%d", 1+slices.Index(names, dataFile.FindStringSubmatch(s)[1]))
	}), counts
}

func all(*catalog.File) bool { return true }

// TestPlan follows a table through its life: what is read how is one
// statement, with a branch for files that are read alike.
func TestPlan(t *testing.T) {
	db := testdb.Open(t)
	s := db.Session("main")
	const (
		id  = "1: {name: 'c1', type: 'INTEGER', default_value: NULL::VARCHAR}"
		big = "1: {name: 'c1', type: 'BIGINT', default_value: NULL::VARCHAR}"
		v   = "2: {name: 'c2', type: 'VARCHAR', default_value: NULL::VARCHAR}"
		n   = "3: {name: 'c3', type: 'BIGINT', default_value: '7'}"
	)
	step := func(what, want string) {
		t.Helper()
		got, _ := planned(t, db, -1, all)
		if got != want {
			t.Errorf("%s:\n%s\nwant\n%s", what, got, want)
		}
	}
	testdb.Write(t, s, "t", "id:int32,v:text", `[]`, nil)
	step("no file", `SELECT CAST(NULL AS INTEGER) AS "id", CAST(NULL AS VARCHAR) AS "v" WHERE false`)

	testdb.Write(t, s, "t", "id:int32,v:text", `[{"id":1,"v":"a"},{"id":2,"v":"b"}]`, nil)
	testdb.Write(t, s, "t", "id:int32,v:text", `[{"id":3,"v":"c"}]`, nil)
	step("two files", `SELECT c1 AS "id", c2 AS "v" FROM read_parquet([f1, f2], schema=MAP {`+id+", "+v+`})`)

	testdb.Write(t, s, "t", "id:int32", `[{"id":1}]`, &supertable.WriteOptions{Key: []string{"id"}, DeleteOnly: true})
	step("a dead row", `SELECT c1 AS "id", c2 AS "v" FROM read_parquet([f1], schema=MAP {`+id+", "+v+`}) WHERE st_live(1, file_index, file_row_number)
UNION ALL
SELECT c1 AS "id", c2 AS "v" FROM read_parquet([f2], schema=MAP {`+id+", "+v+`})`)

	seven := "7"
	for _, a := range []supertable.Alteration{{Add: &supertable.AddColumn{Name: "n", Type: "BIGINT", Default: &seven}}, {RenameColumn: &supertable.RenameColumn{From: "v", To: "text"}}} {
		if _, err := s.Alter(t.Context(), "t", a); err != nil {
			t.Fatal(err)
		}
	}
	step("a new and a renamed column", `SELECT c1 AS "id", c2 AS "text", c3 AS "n" FROM read_parquet([f1], schema=MAP {`+id+", "+v+", "+n+`}) WHERE st_live(1, file_index, file_row_number)
UNION ALL
SELECT c1 AS "id", c2 AS "text", c3 AS "n" FROM read_parquet([f2], schema=MAP {`+id+", "+v+", "+n+`})`)

	testdb.Write(t, s, "t", "id:int64", `[{"id":4}]`, nil)
	step("a widened column", `SELECT coalesce(c1, c1) AS "id", c2 AS "text", c3 AS "n" FROM read_parquet([f1], schema=MAP {`+big+", "+v+", "+n+`}) WHERE st_live(1, file_index, file_row_number)
UNION ALL
SELECT coalesce(c1, c1) AS "id", c2 AS "text", c3 AS "n" FROM read_parquet([f2], schema=MAP {`+big+", "+v+", "+n+`})
UNION ALL
SELECT c1 AS "id", c2 AS "text", c3 AS "n" FROM read_parquet([f3], schema=MAP {`+big+", "+v+", "+n+`})`)

	got, counts := planned(t, db, 3, all)
	if want := `SELECT c1 AS "id", c2 AS "v" FROM read_parquet([f1, f2], schema=MAP {` + id + ", " + v + `})`; got != want || counts.Rows != 3 {
		t.Errorf("before the delete: %d rows,\n%s\nwant\n%s", counts.Rows, got, want)
	}
	got, counts = planned(t, db, -1, func(f *catalog.File) bool { return f.Records == 2 })
	if counts.FilesTotal != 3 || counts.FilesRead != 1 || counts.Rows != 3 || counts.BytesRead >= counts.BytesTotal || strings.Contains(got, "UNION") {
		t.Errorf("one file kept: %+v\n%s", counts, got)
	}
}
