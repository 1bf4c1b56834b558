package interop

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/supertable-go/supertable"
)

// sample is a lake with every kind of file and delete of ours.
func sample(l *lake) {
	l.write("orders", orders(0, 100), key("id"))
	l.write("orders", orders(100, 100), nil)
	l.write("orders", orders(10, 5), key("id"))
	l.option("orders", "inline_delete_limit", "0")
	l.write("orders", orders(120, 60), key("id"))
	l.write("orders", orders(125, 5), key("id"))
	l.write("nested", "SELECT i AS id, {'a': i, 'b': [i, NULL]} AS st, MAP {'k': i} AS m FROM range(20) r(i)", nil)
	l.write("nested", "SELECT i AS id, {'a': i, 'b': [i], 'c': 'new'} AS st, MAP {'k': i} AS m FROM range(15, 25) r(i)", key("id"))
	l.write("nothing", orders(0, 0), nil)
	l.write("plain", "SELECT 1 AS id, 'a' AS s", nil)
	l.write("plain", "SELECT 2 AS id, 'b' AS s", nil)
	l.alter("plain", add("d", "INTEGER", new("5")))
	l.write("plain", "SELECT 3 AS id, 'c' AS s, 6 AS d", nil)
	l.write("plain", "SELECT 4 AS id, 'd' AS s, 7 AS d", nil)
}

// contents are the rows of every table as both readers see them now.
func (l *lake) contents() map[string][]string {
	l.t.Helper()
	out := map[string][]string{}
	for _, n := range l.rows("SELECT table_name FROM information_schema.tables", head) {
		name, _ := strconv.Unquote(n)
		out[name] = l.rows("SELECT "+texts(l.describe(name, head))+" FROM \""+name+"\"", head)
	}
	return out
}

// same wants the tables to be as they were.
func (l *lake) same(what string, want map[string][]string) {
	l.t.Helper()
	got := l.contents()
	if len(got) != len(want) {
		l.t.Fatalf("%s: %d tables, want %d", what, len(got), len(want))
	}
	for name := range want {
		equal(l.t, what+": "+name, got[name], want[name])
	}
}

// care is what DuckDB's maintenance can do to a lake of ours.
var care = []struct{ name, sql string }{
	{"flush", "CALL ducklake_flush_inlined_data('lake')"},
	{"merge", "CALL ducklake_merge_adjacent_files('lake')"},
	{"rewrite", "BEGIN; CALL ducklake_rewrite_data_files('lake', delete_threshold => 0.01); COMMIT"}, // outside a transaction it refuses to stream
	{"expire", "CALL ducklake_expire_snapshots('lake', versions => [1, 2, 3, 4, 5])"},
	{"clean", "CALL ducklake_cleanup_old_files('lake', cleanup_all => true)"},
	{"checkpoint", "CHECKPOINT lake"},
}

// TestDuckDBMaintainsOurs lets DuckDB do each of its chores on a lake of ours,
// alone and all one after the other: no row changes, at any snapshot, and we
// go on writing.
func TestDuckDBMaintainsOurs(t *testing.T) {
	t.Parallel()
	for _, first := range []*lake{newLake(t), newInside(t)} {
		way := ""
		if first.inside {
			way = ", inside"
		}
		sample(first)
		first.compareAll()
		all := ""
		for _, c := range care {
			if !first.inside || !testing.Short() || c.name == "flush" {
				maintain(t, first, c.name+way, c.sql)
			}
			all += c.sql + ";"
		}
		maintain(t, first, "all"+way, all)
	}
}

// maintain runs the statements on a copy of a lake, in a test of its own.
func maintain(t *testing.T, first *lake, name, sql string) {
	t.Helper()
	home, want := copyLake(t, first.home.Home), first.contents()
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		maintained(t, openLake(t, home), sql, want)
	})
}

func maintained(t *testing.T, l *lake, sql string, want map[string][]string) {
	l.duck.attach(l.catalog(), "")
	l.duck.run(sql)
	l.same("after maintenance", want)
	l.compareAll()
	l.check()
	at := l.lastSnapshot()
	l.goOn("orders", orders(50, 30))
	l.goOn("orders", orders(500, 3))
	l.goOn("nested", "SELECT i AS id, {'a': i, 'b': [i], 'c': 'newer'} AS st, MAP {'k': i} AS m FROM range(3) r(i)")
	l.goOn("plain", "SELECT 2 AS id, 'upserted' AS s, 9 AS d")
	l.write("plain", "SELECT 5 AS id, 'appended' AS s", nil)
	l.compareSince(at)
	l.check()
}

func (l *lake) lastSnapshot() int64 {
	l.t.Helper()
	all := l.snapshots()
	return all[len(all)-1]
}

// goOn upserts rows that have every column without a default, by id. A table
// that has rows in the catalog, or files that were added as they were, may
// refuse it, saying so; else the rows are
// those of the model.
func (l *lake) goOn(table, query string) {
	l.t.Helper()
	cols := texts(l.describe(table, head))
	from := "SELECT " + cols + " FROM "
	model := fmt.Sprintf("%slake.%s WHERE id NOT IN (SELECT id FROM (%s)) UNION ALL BY NAME SELECT * FROM (%s)", from, table, query, strings.Replace("SELECT COLUMNS(*)::VARCHAR FROM (Q)", "Q", query, 1))
	want := l.duck.rows(model)
	if _, err := l.tryWrite(table, query, key("id")); err != nil {
		if supertable.KindOf(err) != supertable.Unsupported || !strings.Contains(err.Error(), "supertable flush "+table) && !strings.Contains(err.Error(), "added as they were") {
			l.t.Errorf("upsert on %s after maintenance: %v", table, err)
		}
		return
	}
	if meta(l.t, l.catalog(), `SELECT count(*) FROM ducklake_column c JOIN ducklake_table t ON t.table_id = c.table_id WHERE t.table_name = ? AND c.initial_default IS NOT NULL AND c.end_snapshot IS NULL`, table)[0] != "0" {
		return // what the upsert leaves out is not NULL then: the comparison of both readers holds it
	}
	equal(l.t, "rows of "+table+" after an upsert", l.rows(from+table, head), want)
}

// TestDuckDBWritesIntoOurs lets DuckDB write into a lake of ours: we see the
// rows, a new version, an entry in the history, and go on.
func TestDuckDBWritesIntoOurs(t *testing.T) {
	t.Parallel()
	first := newLake(t)
	sample(first)
	for _, c := range []struct{ name, sql string }{
		{"insert", "INSERT INTO lake.orders SELECT i, 'theirs', 1.5, NULL FROM range(1000, 1100) r(i)"},
		{"insert one", "INSERT INTO lake.orders VALUES (1000, NULL, 2.5, TIMESTAMP '2030-01-01')"},
		{"update", "UPDATE lake.orders SET item = 'updated ' || id WHERE id BETWEEN 5 AND 14"},
		{"update most", "UPDATE lake.orders SET price = 0 WHERE id % 3 <> 0"},
		{"delete", "DELETE FROM lake.orders WHERE id BETWEEN 95 AND 130"},
		{"delete few", "DELETE FROM lake.orders WHERE id IN (11, 12, 121, 126)"},
		{"delete all", "DELETE FROM lake.orders"},
		{"truncate", "TRUNCATE lake.orders"},
		{"add column", "ALTER TABLE lake.orders ADD COLUMN more INTEGER"},
		{"drop column", "ALTER TABLE lake.orders DROP COLUMN price"},
		{"rename column", "ALTER TABLE lake.orders RENAME item TO thing"},
		{"widen column", "ALTER TABLE lake.orders ALTER price SET DATA TYPE DECIMAL(20,4)"},
		{"in one transaction", "BEGIN; INSERT INTO lake.orders (id) VALUES (2000); DELETE FROM lake.orders WHERE id < 50; UPDATE lake.orders SET item = 'x' WHERE id = 60; COMMIT"},
		{"merge into", "MERGE INTO lake.orders t USING (SELECT i AS id, 'merged' AS item FROM range(90, 110) r(i)) s ON t.id = s.id WHEN MATCHED THEN UPDATE SET item = s.item WHEN NOT MATCHED THEN INSERT (id, item) VALUES (s.id, s.item)"},
	} {
		home := copyLake(t, first.home.Home)
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := openLake(t, home)
			l.duck.attach(l.catalog(), "")
			l.rows("SELECT count(*) FROM orders", head) // both have caches now
			l.duck.rows("SELECT count(*), max(id) FROM lake.orders WHERE id > 5")
			at, before := l.lastSnapshot(), l.info("orders")
			l.duck.run(c.sql)
			if c.name == "widen column" { // DuckDB meets its own old bounds and dies of it
				l.duck.attach(l.catalog(), "")
			}
			l.compareSince(at)
			if after := l.info("orders"); after.Version != before.Version+1 {
				t.Errorf("version %d after %d", after.Version, before.Version)
			}
			l.wantExternal("orders")
			l.goOn("orders", "SELECT i::BIGINT AS id FROM range(0, 300, 10) r(i)")
			l.write("orders", "SELECT 7777::BIGINT AS id", nil)
			l.compareSince(l.lastSnapshot() - 1)
			l.check()
		})
	}
}

// TestDuckDBChangesTablesOfOurs creates, renames and drops tables by DuckDB.
func TestDuckDBChangesTablesOfOurs(t *testing.T) {
	t.Parallel()
	l := newLake(t)
	sample(l)
	for _, sql := range []string{
		"CREATE TABLE lake.theirs (id BIGINT NOT NULL, s VARCHAR DEFAULT 'd', st STRUCT(a INTEGER, b DATE[]))",
		"INSERT INTO lake.theirs (id) SELECT i FROM range(30) r(i)",
		"ALTER TABLE lake.plain RENAME TO plain2",
		"DROP TABLE lake.nothing",
		"CREATE TABLE lake.nothing AS SELECT 1 AS other",
		"CREATE VIEW lake.v AS SELECT * FROM lake.theirs",
		"COMMENT ON TABLE lake.theirs IS 'ours?'",
		"ALTER TABLE lake.theirs SET PARTITIONED BY (id)",
		"INSERT INTO lake.theirs (id) VALUES (100), (101), (102)",
	} {
		at := l.lastSnapshot()
		l.duck.run(sql)
		l.compareSince(at)
	}
	at := l.lastSnapshot()
	l.goOn("theirs", "SELECT 3::BIGINT AS id, 'upserted' AS s, NULL::STRUCT(a INTEGER, b DATE[]) AS st")
	l.write("plain2", "SELECT 9 AS id", key("id"))
	for _, query := range []string{"SELECT NULL::BIGINT AS id", "SELECT 'no id' AS s"} {
		_, err := l.tryWrite("theirs", query, nil)
		if supertable.KindOf(err) != supertable.TypeConflict || !strings.Contains(err.Error(), `"id"`) {
			t.Errorf("a NULL into a NOT NULL column: %v", err)
		}
	}
	l.compareSince(at)
}

func (l *lake) info(table string) supertable.TableInfo {
	l.t.Helper()
	list, err := l.s.Tables(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	i := slices.IndexFunc(list, func(i supertable.TableInfo) bool { return i.Name == table })
	if i < 0 {
		l.t.Fatalf("no table %s in %+v", table, list)
	}
	return list[i]
}

// wantExternal wants the newest entry of the table's history to be a foreign one.
func (l *lake) wantExternal(table string) {
	l.t.Helper()
	list, err := l.s.History(l.t.Context(), table)
	if err != nil {
		l.t.Fatal(err)
	}
	if len(list) == 0 || list[0].Principal != "external" || list[0].Operation != "external" {
		l.t.Errorf("history of %s: %+v", table, list[:min(len(list), 1)])
	}
}
