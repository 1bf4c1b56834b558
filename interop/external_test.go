package interop

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/supertable-go/supertable"
)

// TestExpiredBetween counts tables that a snapshot changed which another client
// expired before we saw it: before the adoption, and between two of our looks.
func TestExpiredBetween(t *testing.T) {
	t.Parallel()
	const expire = "CALL ducklake_expire_snapshots('lake', versions => [4])"
	for _, tt := range []struct {
		name, sql string
		history   string // of the snapshot with the row of u
		want      []string
	}{
		{"rows", "INSERT INTO lake.t SELECT i FROM range(5) r(i)", "5 ?", []string{"t 45", "u 1"}},
		{"rows inside", "INSERT INTO lake.t VALUES (100), (101)", "5 ?", []string{"t 42", "u 1"}},
		{"a drop", "DROP TABLE lake.t", "5 ?", []string{"u 1"}},
		{"a table that comes and goes", "CREATE TABLE lake.v AS SELECT 1 AS a;\nDROP TABLE lake.v", "6 +1 -0", []string{"t 40", "u 1"}},
		{"a table", "CREATE TABLE lake.v AS SELECT 1 AS a", "5 ?", []string{"t 40", "u 1", "v 1"}},
	} {
		for _, before := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, adopted before: %t", tt.name, before), func(t *testing.T) {
				t.Parallel()
				l := newTheirs(t, "")
				l.duck.run("CREATE TABLE lake.u (a INTEGER)")
				l.duck.run("CREATE TABLE lake.t (id BIGINT)")
				l.duck.run("INSERT INTO lake.t SELECT i FROM range(40) r(i)")
				if before {
					l.adopt()
				}
				for _, sql := range statements(tt.sql) {
					l.duck.run(sql)
				}
				l.duck.run("INSERT INTO lake.u VALUES (1)")
				l.duck.run(expire)
				if !before {
					l.adopt()
				}
				equal(t, "history of u", l.counts("u"), []string{"1 +0 -0", tt.history})
				equal(t, "counts", l.listed(), tt.want)
				equal(t, "tables that are counted", meta(t, l.catalog(), "SELECT count(*) FROM supertable_table"), []string{fmt.Sprint(len(tt.want))})
				l.check()
				l.write("u", "SELECT 2::INTEGER AS a", nil)
				l.check()
			})
		}
	}
}

// listed gives the tables with their rows as the listing has them.
func (l *lake) listed() []string {
	l.t.Helper()
	list, err := l.s.Tables(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	var out []string
	for _, x := range list {
		out = append(out, fmt.Sprintf("%s %d", x.Name, x.Rows))
	}
	return out
}

// counts gives what the history says of a table, or of all, oldest first; ? is what it
// does not know.
func (l *lake) counts(table string) []string {
	l.t.Helper()
	list, err := l.s.History(l.t.Context(), table)
	if err != nil {
		l.t.Fatal(err)
	}
	var out []string
	for _, e := range slices.Backward(list) {
		if e.Withheld {
			out = append(out, fmt.Sprintf("%d ?", e.Snapshot))
		} else {
			out = append(out, fmt.Sprintf("%d +%d -%d", e.Snapshot, e.Inserted, e.Deleted))
		}
	}
	return out
}

// TestExternalCounts counts what each snapshot of another client inserted and
// deleted, also when it has flushed and merged the rows of several since.
func TestExternalCounts(t *testing.T) {
	t.Parallel()
	const flush, merge = "CALL ducklake_flush_inlined_data('lake')", "CALL ducklake_merge_adjacent_files('lake')"
	for _, tt := range []struct {
		name string
		sql  []string
		want []string
	}{
		{"flushed and merged", []string{
			"CREATE TABLE lake.t (id BIGINT)", "INSERT INTO lake.t VALUES (1), (2), (3), (4)", "DELETE FROM lake.t WHERE id = 1", "DELETE FROM lake.t WHERE id = 2", flush,
			"INSERT INTO lake.t SELECT i FROM range(100, 140) r(i)", "INSERT INTO lake.t SELECT i FROM range(200, 230) r(i)", merge,
			"DELETE FROM lake.t WHERE id BETWEEN 100 AND 120", "DELETE FROM lake.t WHERE id BETWEEN 121 AND 135",
		}, []string{"1 +0 -0", "2 +4 -0", "3 +0 -1", "4 +0 -1", "5 +0 -0", "6 +40 -0", "7 +30 -0", "8 +0 -0", "9 +0 -21", "10 +0 -15"}},
		{"two delete files", []string{
			"CREATE TABLE lake.t AS SELECT i AS id FROM range(60) r(i)", "DELETE FROM lake.t WHERE id < 20", "DELETE FROM lake.t WHERE id = 30",
			"BEGIN; CALL ducklake_rewrite_data_files('lake', delete_threshold => 0.2); COMMIT", flush, "DELETE FROM lake.t WHERE id < 25",
		}, []string{"1 +60 -0", "2 +0 -20", "3 +0 -1", "4 +0 -0", "5 +0 -0", "6 +0 -5"}},
		{
			"dropped",
			[]string{"CREATE TABLE lake.t AS SELECT i AS id FROM range(60) r(i)", "DELETE FROM lake.t WHERE id = 30", "INSERT INTO lake.t VALUES (1)", flush, "DROP TABLE lake.t", "CREATE TABLE lake.t (id BIGINT)"},
			[]string{"1 +60 -0", "2 +0 -1", "3 +1 -0", "4 +0 -0", "5 +0 -0", "6 +0 -60", "7 +0 -0"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newTheirs(t, "")
			for _, sql := range tt.sql {
				l.duck.run(sql)
			}
			l.adopt()
			equal(t, "history", l.counts(""), tt.want)
			l.check()
			l.duck.run("INSERT INTO lake.t VALUES (1000)")
			equal(t, "history", l.counts(""), append(tt.want, fmt.Sprintf("%d +1 -0", l.lastSnapshot())))
			l.check()
		})
	}
}

// TestDeletesOfExpiredFiles expires a file on which DuckDB's flush left a delete
// file without an end: both go, and nothing that is live.
func TestDeletesOfExpiredFiles(t *testing.T) {
	t.Parallel()
	l := newTheirs(t, "")
	for _, sql := range []string{
		"CREATE TABLE lake.k (a INTEGER)",
		"CREATE TABLE lake.t AS SELECT i AS id FROM range(40) r(i)",
		"DELETE FROM lake.t WHERE id < 6",
		"BEGIN; CALL ducklake_rewrite_data_files('lake', delete_threshold => 0.1); COMMIT",
		"CALL ducklake_flush_inlined_data('lake')",
		"INSERT INTO lake.k VALUES (1)",
	} {
		l.duck.run(sql)
	}
	l.adopt()
	l.expire(1)
	l.check()
	if removed := l.clean(); len(removed) != 2 {
		t.Errorf("removed %v", removed)
	}
	equal(t, "delete files", meta(t, l.catalog(), "SELECT delete_file_id FROM ducklake_delete_file"), nil)
	l.check()
	l.compareAll()
}

// TestDeletesWithoutFile cleans up where an earlier expiry left a delete file
// without its data file.
func TestDeletesWithoutFile(t *testing.T) {
	t.Parallel()
	l := newTheirs(t, noInlining)
	l.duck.run("CREATE TABLE lake.t AS SELECT i AS id FROM range(40) r(i)")
	l.duck.run("DELETE FROM lake.t WHERE id < 6")
	meta(t, l.catalog(), "INSERT INTO ducklake_delete_file SELECT next_file_id, 1, 1, NULL, 999, 'gone.parquet', 1, 'parquet', 1, 1, 1, NULL, NULL FROM ducklake_snapshot ORDER BY snapshot_id DESC LIMIT 1 RETURNING 1")
	meta(t, l.catalog(), "UPDATE ducklake_snapshot SET next_file_id = next_file_id + 1 RETURNING 1")
	l.adopt()
	l.expire(1)
	l.clean()
	l.check()
	l.compareHead()
}

// TestTwoNames reads a table that DuckDB renamed after another change of it in
// one transaction: it leaves the old name live beside the new one, and then
// cannot open its own lake. The new name holds, and our next commit ends the old.
func TestTwoNames(t *testing.T) {
	t.Parallel()
	l := newTheirs(t, noInlining)
	l.duck.run("CREATE TABLE lake.t (id BIGINT, n INTEGER)")
	l.duck.run("INSERT INTO lake.t SELECT i, i FROM range(10) r(i)")
	l.duck.run("BEGIN; ALTER TABLE lake.t ADD COLUMN q INTEGER; ALTER TABLE lake.t RENAME TO b; INSERT INTO lake.b (id) VALUES (77); COMMIT")
	if live := meta(t, l.catalog(), "SELECT table_name FROM ducklake_table WHERE end_snapshot IS NULL"); len(live) != 2 {
		t.Fatalf("live names %v: the case is another", live)
	}
	l.duck.detach()
	l.open()
	names := func() {
		t.Helper()
		equal(t, "rows", l.rows("SELECT count(*), max(id) FROM b", head), []string{"11|77"})
		if _, err := l.tryRows("SELECT 1 FROM t", head); supertable.KindOf(err) != supertable.NotFound {
			t.Errorf("the old name: %v", err)
		}
		equal(t, "rows before", l.rows("SELECT count(*) FROM t", 2), []string{"10"})
	}
	names()
	equal(t, "findings", l.findings(), []string{"two_names t"})
	l.adopt()
	names()
	l.check()
	rows, err := l.s.Changes(t.Context(), "b", 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := collect(rows)
	if err != nil || len(got) != 1 {
		t.Errorf("changes: %v, %v", got, err)
	}
	l.duck.attach(l.catalog(), "")
	equal(t, "DuckDB's rows", l.duck.rows("SELECT count(*) FROM lake.b"), []string{"11"})
}

// TestNamesOfViews makes no table under the name of another client's view, in
// any of the ways in which a table gets a name.
func TestNamesOfViews(t *testing.T) {
	t.Parallel()
	l := newTheirs(t, "")
	l.adopt()
	l.write("t", "SELECT 1 AS id", nil)
	l.write("gone", "SELECT 1 AS id", nil)
	l.drop("gone")
	l.duck.run("CREATE VIEW lake.v AS SELECT * FROM lake.t")
	l.duck.run("CREATE VIEW lake.gone AS SELECT * FROM lake.t")
	at := l.lastSnapshot()
	for what, do := range map[string]func() error{
		"write":  func() error { _, err := l.tryWrite("V", "SELECT 1 AS id", nil); return err },
		"rename": func() error { _, err := l.s.Alter(t.Context(), "t", supertable.Alteration{Rename: "v"}); return err },
		"undrop": func() error { _, err := l.s.Undrop(t.Context(), "gone"); return err },
	} {
		if err := do(); supertable.KindOf(err) != supertable.AlreadyExists {
			t.Errorf("%s over a view: %v", what, err)
		}
	}
	if now := l.lastSnapshot(); now != at {
		t.Errorf("snapshot %d after %d", now, at)
	}
	l.check()
	l.duck.run("DROP VIEW lake.v")
	l.write("v", "SELECT 1 AS id", nil)
	l.compareHead()
}

// findings are those of a check that is not deep.
func (l *lake) findings() (out []string) {
	l.t.Helper()
	report, err := l.s.Check(l.t.Context(), false)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, f := range report.Findings {
		out = append(out, f.Kind+" "+f.Object)
	}
	return out
}

// TestTableUnderView finds a table that has the name of a view.
func TestTableUnderView(t *testing.T) {
	t.Parallel()
	l := newTheirs(t, noInlining)
	l.duck.run("CREATE TABLE lake.t (id INTEGER)")
	l.duck.run("CREATE VIEW lake.v AS SELECT * FROM lake.t")
	meta(t, l.catalog(), "UPDATE ducklake_view SET view_name = 'T' RETURNING 1")
	l.open()
	if found := l.findings(); len(found) != 1 || !strings.HasPrefix(found[0], "duplicate_table ") {
		t.Errorf("findings %v", found)
	}
}
