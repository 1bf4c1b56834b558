package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/internal/testdb"
)

// newTheirs makes a lake with DuckDB alone, where ours would lie; options go
// to ATTACH. Ours is opened by open.
func newTheirs(t testing.TB, options string) *lake {
	t.Helper()
	home := t.TempDir()
	data := filepath.Join(folder(home), "data")
	if err := os.MkdirAll(data, 0o777); err != nil {
		t.Fatal(err)
	}
	l := &lake{t: t, home: testdb.At(t, home, oneThread()), duck: newDuck(t), brief: testing.Short()}
	l.recorded(t)
	if options != "" {
		options = ", " + options
	}
	l.duck.attach(l.catalog(), "DATA_PATH "+datafile.QuoteText(filepath.ToSlash(data)+"/")+", META_JOURNAL_MODE 'WAL'"+options)
	return l
}

// open opens the lake as a foreign one.
func (l *lake) open() {
	l.t.Helper()
	st, err := l.home.SuperTable(l.t.Context(), "default", super)
	if err != nil {
		l.t.Fatalf("open a foreign lake: %v", err)
	}
	if l.s, err = st.Session(l.t.Context(), supertable.Superuser); err != nil {
		l.t.Fatal(err)
	}
}

// adopt makes the lake ours.
func (l *lake) adopt() {
	l.t.Helper()
	st, created, err := l.home.Create(l.t.Context(), "default", super, nil)
	if err != nil || !created {
		l.t.Fatalf("adopt: created %t, %v", created, err)
	}
	if l.s, err = st.Session(l.t.Context(), supertable.Superuser); err != nil {
		l.t.Fatal(err)
	}
}

// noInlining makes DuckDB write files only.
const noInlining = "DATA_INLINING_ROW_LIMIT 0"

// foreign are histories that DuckDB writes. Each ends with a table t with an
// integer column id.
var foreign = []struct{ name, options, sql string }{
	{"inlined rows", "", `CREATE TABLE lake.t (id INTEGER, s VARCHAR, d DECIMAL(9,2), moment TIMESTAMP);
INSERT INTO lake.t VALUES (1, 'a', 1.5, '2026-01-01'), (2, NULL, NULL, NULL);
INSERT INTO lake.t VALUES (3, 'it''s', -1, '2026-01-01 00:00:00.123456');
UPDATE lake.t SET s = 'updated' WHERE id = 2;
DELETE FROM lake.t WHERE id = 1;
UPDATE lake.t SET id = id + 10;
INSERT INTO lake.t SELECT i, 'large', i, NULL FROM range(100, 150) r(i);
DELETE FROM lake.t WHERE id IN (12, 105, 106);
UPDATE lake.t SET s = 'two' WHERE id IN (13, 107)`},
	{"inlined and flushed", "", `CREATE TABLE lake.t (id INTEGER, s VARCHAR);
INSERT INTO lake.t VALUES (1, 'a'), (2, 'b'), (3, 'c');
UPDATE lake.t SET s = 'bb' WHERE id = 2;
DELETE FROM lake.t WHERE id = 3;
INSERT INTO lake.t VALUES (4, 'd');
CALL ducklake_flush_inlined_data('lake');
INSERT INTO lake.t VALUES (5, 'e');
DELETE FROM lake.t WHERE id = 1;
CALL ducklake_flush_inlined_data('lake');
UPDATE lake.t SET s = s || '!'`},
	{"inlined under changing columns", "", `CREATE TABLE lake.t (id INTEGER, s VARCHAR, x INTEGER);
INSERT INTO lake.t VALUES (1, 'a', 1);
ALTER TABLE lake.t ADD COLUMN d DATE DEFAULT '2026-01-01';
INSERT INTO lake.t VALUES (2, 'b', 2, NULL), (3, 'c', 3, '2020-02-02');
ALTER TABLE lake.t RENAME s TO text;
ALTER TABLE lake.t ALTER x SET DATA TYPE BIGINT;
INSERT INTO lake.t VALUES (4, 'd', 4000000000, NULL);
ALTER TABLE lake.t DROP COLUMN d;
ALTER TABLE lake.t ADD COLUMN d VARCHAR;
INSERT INTO lake.t VALUES (5, 'e', 5, 'five');
DELETE FROM lake.t WHERE id IN (1, 4);
UPDATE lake.t SET d = 'three' WHERE id = 3;
CALL ducklake_flush_inlined_data('lake');
INSERT INTO lake.t VALUES (6, 'f', 6, 'six')`},
	{"delete files", noInlining, `CREATE TABLE lake.t AS SELECT i::INTEGER AS id, 'v' || i AS s FROM range(100) r(i);
DELETE FROM lake.t WHERE id % 10 = 0;
DELETE FROM lake.t WHERE id % 10 = 1;
UPDATE lake.t SET s = 'u' || id WHERE id % 10 = 2;
DELETE FROM lake.t WHERE id < 15;
INSERT INTO lake.t SELECT i, 'late' FROM range(200, 220) r(i);
DELETE FROM lake.t WHERE id >= 95 AND id < 210;
UPDATE lake.t SET id = id + 1000 WHERE id > 210`},
	{"inlined deletes", "", `CREATE TABLE lake.t AS SELECT i::INTEGER AS id, 'v' || i AS s FROM range(100) r(i);
DELETE FROM lake.t WHERE id = 5;
DELETE FROM lake.t WHERE id IN (6, 7);
DELETE FROM lake.t WHERE id BETWEEN 20 AND 60;
DELETE FROM lake.t WHERE id = 8;
CALL ducklake_flush_inlined_data('lake');
DELETE FROM lake.t WHERE id = 9`},
	{"merged files", noInlining, `CREATE TABLE lake.t (id INTEGER, s VARCHAR);
INSERT INTO lake.t SELECT i, 'one' FROM range(10) r(i);
INSERT INTO lake.t SELECT i, 'two' FROM range(10, 20) r(i);
INSERT INTO lake.t SELECT i, 'three' FROM range(20, 30) r(i);
CALL ducklake_merge_adjacent_files('lake');
INSERT INTO lake.t SELECT i, 'four' FROM range(30, 40) r(i);
DELETE FROM lake.t WHERE id = 12;
INSERT INTO lake.t SELECT i, 'five' FROM range(40, 50) r(i);
CALL ducklake_merge_adjacent_files('lake');
DELETE FROM lake.t WHERE id = 45`},
	{"rewritten files", noInlining, `CREATE TABLE lake.t AS SELECT i::INTEGER AS id FROM range(100) r(i);
DELETE FROM lake.t WHERE id < 90;
BEGIN; CALL ducklake_rewrite_data_files('lake', delete_threshold => 0.5); COMMIT;
INSERT INTO lake.t SELECT i FROM range(3) r(i)`},
	{"columns change", noInlining, `CREATE TABLE lake.t (id TINYINT, f FLOAT, d DATE, n DECIMAL(4,1), gone INTEGER);
INSERT INTO lake.t VALUES (1, 1.5, '2026-01-01', 99.9, 1);
ALTER TABLE lake.t ALTER id SET DATA TYPE INTEGER;
ALTER TABLE lake.t ALTER f SET DATA TYPE DOUBLE;
ALTER TABLE lake.t ALTER d SET DATA TYPE TIMESTAMP;
ALTER TABLE lake.t ALTER n SET DATA TYPE DECIMAL(10,3);
INSERT INTO lake.t VALUES (70000, 1e300, '2026-01-01 12:00:00', 1234567.125, 2);
ALTER TABLE lake.t DROP COLUMN gone;
ALTER TABLE lake.t ADD COLUMN gone VARCHAR DEFAULT 'again';
ALTER TABLE lake.t RENAME n TO num;
INSERT INTO lake.t (id, num) VALUES (3, 0.001);
ALTER TABLE lake.t ALTER gone SET DEFAULT 'later';
INSERT INTO lake.t (id) VALUES (4);
ALTER TABLE lake.t ALTER gone DROP DEFAULT;
INSERT INTO lake.t (id) VALUES (5)`},
	{"defaults", noInlining, `CREATE TABLE lake.t AS SELECT i::INTEGER AS id FROM range(3) r(i);
ALTER TABLE lake.t ADD COLUMN b BOOLEAN DEFAULT 'true';
ALTER TABLE lake.t ADD COLUMN i BIGINT DEFAULT '-5';
ALTER TABLE lake.t ADD COLUMN u UBIGINT DEFAULT '18446744073709551615';
ALTER TABLE lake.t ADD COLUMN f DOUBLE DEFAULT 'nan';
ALTER TABLE lake.t ADD COLUMN d DECIMAL(38,5) DEFAULT 1.5;
ALTER TABLE lake.t ADD COLUMN s VARCHAR DEFAULT 'it''s "x"';
ALTER TABLE lake.t ADD COLUMN bl BLOB DEFAULT '\xAA\x00';
ALTER TABLE lake.t ADD COLUMN dt DATE DEFAULT '2026-01-01';
ALTER TABLE lake.t ADD COLUMN tm TIME DEFAULT '01:02:03.5';
ALTER TABLE lake.t ADD COLUMN ts TIMESTAMP DEFAULT '2026-01-01 01:02:03.5';
ALTER TABLE lake.t ADD COLUMN tn TIMESTAMP_NS DEFAULT '2026-01-01 01:02:03.123456789';
ALTER TABLE lake.t ADD COLUMN tz TIMESTAMPTZ DEFAULT '2026-01-01 01:02:03+02';
ALTER TABLE lake.t ADD COLUMN uu UUID DEFAULT '00000000-0000-0000-0000-00000000000a';
ALTER TABLE lake.t ADD COLUMN e VARCHAR DEFAULT '';
ALTER TABLE lake.t ADD COLUMN nu VARCHAR DEFAULT 'NULL';
INSERT INTO lake.t (id) VALUES (10), (11)`},
	{"nested columns change", noInlining, `CREATE TABLE lake.t (id INTEGER, st STRUCT(a INTEGER, b VARCHAR), li STRUCT(x INTEGER)[], m MAP(VARCHAR, STRUCT(v INTEGER)), deep STRUCT(in_ STRUCT(z INTEGER)));
INSERT INTO lake.t VALUES (1, {'a': 1, 'b': 'x'}, [{'x': 1}, NULL], MAP {'k': {'v': 1}}, {'in_': {'z': 1}}), (2, NULL, NULL, NULL, {'in_': NULL});
ALTER TABLE lake.t ADD COLUMN st.c DATE;
INSERT INTO lake.t VALUES (3, {'a': 3, 'b': 'y', 'c': '2026-01-01'}, [], MAP {}, NULL);
ALTER TABLE lake.t RENAME st.b TO bb;
ALTER TABLE lake.t DROP COLUMN st.a;
INSERT INTO lake.t VALUES (4, {'bb': 'z', 'c': NULL}, [{'x': 4}], MAP {'k': NULL}, {'in_': {'z': 4}});
ALTER TABLE lake.t ADD COLUMN st.a VARCHAR;
ALTER TABLE lake.t ADD COLUMN deep.in_.y INTEGER;
ALTER TABLE lake.t RENAME deep.in_ TO inner_;
INSERT INTO lake.t VALUES (5, {'bb': 'q', 'c': NULL, 'a': 'new a'}, [{'x': 5}], MAP {'l': {'v': 5}}, {'inner_': {'z': 5, 'y': 55}});
DELETE FROM lake.t WHERE id = 3;
UPDATE lake.t SET st = {'bb': 'updated', 'c': NULL, 'a': NULL} WHERE id = 1`},
	{"nested columns inlined", "", `CREATE TABLE lake.t (id INTEGER, st STRUCT(a INTEGER, "b c" VARCHAR), li VARCHAR[], m MAP(INTEGER, VARCHAR), n STRUCT(l STRUCT(x DOUBLE)[]));
INSERT INTO lake.t VALUES (1, {'a': 1, 'b c': 'it''s, "q" {x}'}, ['a, b', NULL, '[c]', ''], MAP {1: 'k=v', 2: NULL}, {'l': [{'x': '1.5'}, {'x': 'nan'}, NULL]});
INSERT INTO lake.t VALUES (2, NULL, NULL, NULL, NULL), (3, {'a': NULL, 'b c': NULL}, [], MAP {}, {'l': []});
ALTER TABLE lake.t ADD COLUMN st.d INTEGER;
INSERT INTO lake.t VALUES (4, {'a': 4, 'b c': 'NULL', 'd': 4}, ['NULL', 'back\slash', 'quote''', 'nl
'], MAP {4: ''}, NULL)`},
	{"partitions", noInlining, `CREATE TABLE lake.t (id INTEGER, s VARCHAR, moment TIMESTAMP);
INSERT INTO lake.t VALUES (0, 'before', '2025-01-01');
ALTER TABLE lake.t SET PARTITIONED BY (s);
INSERT INTO lake.t SELECT i, CASE WHEN i % 4 = 0 THEN NULL ELSE 'p/' || (i % 4) || '=ü' END, TIMESTAMP '2026-01-01' + INTERVAL (i) DAY FROM range(20) r(i);
ALTER TABLE lake.t SET PARTITIONED BY (year(moment), month(moment), day(moment), hour(moment));
INSERT INTO lake.t SELECT i, 'x', TIMESTAMP '2026-01-01' + INTERVAL (i) HOUR FROM range(100, 105) r(i);
ALTER TABLE lake.t SET PARTITIONED BY (bucket(3, id));
INSERT INTO lake.t SELECT i, 'b', NULL FROM range(200, 210) r(i);
ALTER TABLE lake.t RESET PARTITIONED BY;
DELETE FROM lake.t WHERE id % 5 = 0`},
	{"sorted", noInlining, `CREATE TABLE lake.t (id INTEGER, s VARCHAR, n INTEGER);
INSERT INTO lake.t SELECT i, 's' || (i * 7 % 50), i FROM range(50) r(i);
ALTER TABLE lake.t SET SORTED BY (s DESC NULLS LAST, id);
INSERT INTO lake.t SELECT i, 's' || (i * 7 % 50), i FROM range(50, 100) r(i);
INSERT INTO lake.t SELECT i, CASE WHEN i % 3 = 0 THEN NULL ELSE 's' || i END, i FROM range(100, 120) r(i);
CALL ducklake_merge_adjacent_files('lake');
DELETE FROM lake.t WHERE n % 4 = 0;
ALTER TABLE lake.t RENAME s TO text;
ALTER TABLE lake.t SET SORTED BY (n);
UPDATE lake.t SET n = -n WHERE id % 10 = 1;
BEGIN; CALL ducklake_rewrite_data_files('lake', delete_threshold => 0.1); COMMIT;
ALTER TABLE lake.t RESET SORTED BY;
INSERT INTO lake.t VALUES (200, 'z', 0)`},
	{"checkpoint", "", `CREATE TABLE lake.t (id INTEGER, s VARCHAR);
INSERT INTO lake.t SELECT i, 'a' FROM range(50) r(i);
INSERT INTO lake.t VALUES (100, 'inlined');
DELETE FROM lake.t WHERE id < 45;
CHECKPOINT lake;
INSERT INTO lake.t VALUES (101, 'inlined'), (102, NULL);
UPDATE lake.t SET s = 'b' WHERE id IN (46, 101);
CHECKPOINT lake`},
	{"tables come and go", "", `CREATE TABLE lake.a (id INTEGER);
INSERT INTO lake.a VALUES (1);
ALTER TABLE lake.a RENAME TO b;
CREATE TABLE lake.a AS SELECT i AS id FROM range(30) r(i);
INSERT INTO lake.b VALUES (2);
DROP TABLE lake.a;
CREATE VIEW lake.v AS SELECT * FROM lake.b;
COMMENT ON TABLE lake.b IS 'a comment, "quoted"';
CREATE MACRO lake.twice(x) AS x * 2;
CREATE TABLE lake.t (id INTEGER NOT NULL DEFAULT 42, s VARCHAR);
ALTER TABLE lake.t SET SORTED BY (s DESC);
BEGIN; INSERT INTO lake.t VALUES (1, 'x'); INSERT INTO lake.b VALUES (3); UPDATE lake.t SET s = 'y'; COMMIT;
INSERT INTO lake.t (s) SELECT 'd' FROM range(20)`},
	{"columns change at birth", noInlining, `BEGIN; CREATE TABLE lake.t (n INTEGER, f FLOAT); INSERT INTO lake.t SELECT i, i FROM range(20) r(i); ALTER TABLE lake.t RENAME n TO id; ALTER TABLE lake.t ALTER f SET DATA TYPE DOUBLE; COMMIT;
INSERT INTO lake.t VALUES (99, 1e300)`},
	{"expired and cleaned", noInlining, `CREATE TABLE lake.t (id INTEGER, s VARCHAR);
INSERT INTO lake.t SELECT i, 'a' FROM range(50) r(i);
DELETE FROM lake.t WHERE id < 10;
UPDATE lake.t SET s = 'b' WHERE id < 20;
DELETE FROM lake.t WHERE id > 40;
CALL ducklake_expire_snapshots('lake', versions => [1, 2, 3]);
CALL ducklake_cleanup_old_files('lake', cleanup_all => true);
INSERT INTO lake.t VALUES (99, 'last')`},
}

// TestTheirsReadByUs reads each history at every snapshot as a foreign lake,
// then adopts it and writes on.
func TestTheirsReadByUs(t *testing.T) {
	t.Parallel()
	for _, f := range foreign {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			l := newTheirs(t, f.options)
			l.widened, l.doubted = true, strings.Contains(f.sql, "SET DATA TYPE")
			for _, sql := range statements(f.sql) {
				l.duck.run(sql)
			}
			l.open()
			l.compareAll()
			if _, err := l.tryWrite("t", "SELECT 1::INTEGER AS id", nil); supertable.KindOf(err) != supertable.Denied {
				t.Errorf("a write into a foreign lake: %v", err)
			}
			l.adopt()
			at := l.lastSnapshot()
			l.compareHead()
			l.write("t", "SELECT 500::INTEGER AS id", nil)
			l.compareSince(at)
			l.onInlined()
			at = l.lastSnapshot()
			l.goOn("t", "SELECT i::INTEGER AS id FROM range(0, 600, 2) r(i)")
			l.duck.run("DELETE FROM lake.t WHERE id IN (0, 2, 31)")
			l.compareSince(at)
			l.check()
		})
	}
}

// onInlined upserts where rows live inside the catalog, and flushes what is there.
func (l *lake) onInlined() {
	l.t.Helper()
	inlined := false
	for _, name := range meta(l.t, l.catalog(), `SELECT i.table_name FROM ducklake_inlined_data_tables i JOIN ducklake_table t ON t.table_id = i.table_id WHERE t.table_name = 't' AND t.end_snapshot IS NULL`) {
		inlined = inlined || meta(l.t, l.catalog(), "SELECT count(*) FROM "+name+" WHERE end_snapshot IS NULL")[0] != "0"
	}
	if !inlined {
		return
	}
	at := l.lastSnapshot()
	l.goOn("t", "SELECT 1::INTEGER AS id")
	l.compareSince(at)
	l.flush("t")
}

// statements splits at line ends after a semicolon.
func statements(sql string) []string { return strings.Split(sql, ";\n") }

// TestTheirTypesReadByUs reads every type that DuckDB stores, in files, inlined
// and flushed.
func TestTheirTypesReadByUs(t *testing.T) {
	t.Parallel()
	list := append(slices.Clip(values), []typed{
		{"HUGEINT", "1, NULL, -5"},
		{"UHUGEINT", "1, NULL"},
		{"TIMETZ", "'12:34:56+02', NULL"},
		{"INTERVAL", "'1 year 2 days 03:04:05.5', NULL"},
	}...)
	for _, how := range []struct{ name, options, direction string }{{"files", noInlining, duckDBToOurs}, {"inlined", "", typeInlined}} {
		n := 0
		for some := range slices.Chunk(list, 11) {
			t.Run(name(how.name, n), func(t *testing.T) {
				t.Parallel()
				l := newTheirs(t, how.options)
				l.thorough = true
				l.typesOfTheirs(some, how.direction)
				if how.options == "" {
					l.flushEach(len(some))
					l.compareHead()
				}
			})
			n++
		}
	}
}

// typesOfTheirs has a table for each type, whose values DuckDB wrote.
func (l *lake) typesOfTheirs(list []typed, direction string) {
	l.t.Helper()
	for i, v := range list {
		table := name("t", i)
		l.duck.run(fmt.Sprintf("CREATE TABLE lake.%s (id INTEGER, v %s)", table, v.typ))
		l.duck.run(fmt.Sprintf("INSERT INTO lake.%s SELECT (row_number() OVER ())::INTEGER AS id, v FROM (SELECT unnest([%s]::%s[]) AS v)", table, v.list, v.typ))
		l.duck.run(fmt.Sprintf("INSERT INTO lake.%s VALUES (100, NULL)", table))
		l.duck.run(fmt.Sprintf("DELETE FROM lake.%s WHERE id = 1", table))
	}
	l.open()
	l.compareHead()
	for _, v := range list {
		l.types[v.typ] = direction
	}
}

// flushEach flushes the tables one by one: DuckDB cannot flush every text that
// it inlined.
func (l *lake) flushEach(n int) {
	for i := range n {
		if err := l.duck.try(fmt.Sprintf("CALL ducklake_flush_inlined_data('lake', table_name => '%s')", name("t", i))); err != nil {
			l.t.Logf("not flushed: %v", err)
		}
	}
}

// TestInliningGoesOn changes the columns of a table whose small inserts DuckDB
// keeps in the catalog: it must find a place for the next ones.
func TestInliningGoesOn(t *testing.T) {
	t.Parallel()
	l := newTheirs(t, "")
	l.duck.run("CREATE TABLE lake.t (id INTEGER, s VARCHAR, n INTEGER, gone DATE)")
	l.duck.run("INSERT INTO lake.t VALUES (0, 'a', 1, NULL)")
	l.adopt()
	for i, a := range []supertable.Alteration{
		add("d", "DECIMAL(10,2)", new("1.5")), renameColumn("s", "text"),
		{Drop: "gone"},
		retype("n", "BIGINT", false),
		{Rename: "u"},
		{Rename: "t"},
		add("s", "BOOLEAN", nil), add("row_id2", "UBIGINT", nil), add("l", "INTEGER[]", nil),
	} {
		table := "t"
		if a.Rename == "t" {
			table = "u"
		}
		l.alter(table, a)
		if a.Rename != "" {
			table = a.Rename
		}
		l.duck.run(fmt.Sprintf("INSERT INTO lake.%s (id, n) VALUES (%d, 7)", table, i+1))
		l.duck.run(fmt.Sprintf("UPDATE lake.%s SET n = n + 1 WHERE id %% 3 = 0", table))
		l.compareHead()
	}
	l.write("t", "SELECT 100 AS id, 'new column' AS x", nil)
	l.duck.run("INSERT INTO lake.t VALUES (101, 'b', 1, 2.5, true, 3, [1, NULL], 'x')")
	l.compareAll()
	l.duck.run("CALL ducklake_flush_inlined_data('lake')")
	l.compareAll()
	l.goOn("t", "SELECT 3 AS id, 'upserted' AS text")
	l.compareHead()
	l.check()
}

// TestTwoDeleteFiles reads a past that DuckDB reads wrong: it flushes inlined
// deletes of a file that it has rewritten into a second delete file, and then
// shows most of the rows twice.
func TestTwoDeleteFiles(t *testing.T) {
	t.Parallel()
	l := newTheirs(t, "")
	l.duck.run("CREATE TABLE lake.t AS SELECT i AS id FROM range(60) r(i)")
	l.duck.run("DELETE FROM lake.t WHERE id < 20")
	l.duck.run("DELETE FROM lake.t WHERE id = 30")
	l.duck.run("BEGIN; CALL ducklake_rewrite_data_files('lake', delete_threshold => 0.2); COMMIT")
	var want [][]string
	for _, at := range l.snapshots()[1:] {
		want = append(want, l.duck.rows(fmt.Sprintf("SELECT id FROM lake.t AT (VERSION => %d)", at)))
	}
	l.duck.run("CALL ducklake_flush_inlined_data('lake')")
	l.open()
	for i, rows := range want {
		equal(t, fmt.Sprintf("rows at %d", i+1), l.rows("SELECT id FROM t", int64(i+1)), rows)
	}
	if got := l.duck.rows("SELECT count(*) FROM lake.t AT (VERSION => 3)"); got[0] == "39" {
		t.Log("DuckDB reads this right now: catalog.File.More may go")
	}
}

// TestFlushedVersions checks a lake in which DuckDB flushed several versions of
// a row: their file has more rows than the table ever had row ids.
func TestFlushedVersions(t *testing.T) {
	t.Parallel()
	l := newTheirs(t, "")
	l.duck.run("CREATE TABLE lake.t (id INTEGER, s VARCHAR)")
	l.duck.run("INSERT INTO lake.t VALUES (1, 'a'), (2, 'b')")
	for _, s := range []string{"c", "d", "e"} {
		l.duck.run("UPDATE lake.t SET s = '" + s + "' WHERE id = 2")
	}
	l.duck.run("CALL ducklake_flush_inlined_data('lake')")
	l.adopt()
	if rows, ids := meta(t, l.catalog(), "SELECT sum(record_count) FROM ducklake_data_file"), meta(t, l.catalog(), "SELECT next_row_id FROM ducklake_table_stats"); rows[0] != "5" || ids[0] != "2" {
		t.Errorf("%v rows under %v row ids: the case is another", rows, ids)
	}
	l.compareAll()
	l.check()
}

// TestUndropInlined brings a table back that DuckDB dropped with its rows
// inside the catalog: the feed tells that they came back.
func TestUndropInlined(t *testing.T) {
	t.Parallel()
	l := newTheirs(t, "")
	l.adopt()
	l.duck.run("CREATE TABLE lake.t AS SELECT i AS id FROM range(3) r(i)")
	l.duck.run("DELETE FROM lake.t WHERE id = 1")
	l.duck.run("DROP TABLE lake.t")
	l.undrop("t")
	equal(t, "changes", l.duck.rows("SELECT change_type, id FROM ducklake_table_changes('lake', 'main', 't', 4, 4)"), []string{`"insert"|0`, `"insert"|2`})
	l.compareAll()
	l.duck.run("UPDATE lake.t SET id = 7 WHERE id = 2")
	l.rollback("t", 1)
	l.compareAll()
	l.check()
}

// TestBuckets reads right what DuckDB reads wrong: once a table is partitioned
// by buckets, DuckDB finds no row in files from before by the column.
func TestBuckets(t *testing.T) {
	t.Parallel()
	l := newTheirs(t, "")
	l.duck.run("CREATE TABLE lake.t AS SELECT i AS id FROM range(30) r(i)")
	l.duck.run("ALTER TABLE lake.t SET PARTITIONED BY (bucket(3, id))")
	l.open()
	equal(t, "ours", l.rows("SELECT count(*) FROM t WHERE id = 0", head), []string{"1"})
	if got := l.duck.rows("SELECT count(*) FROM lake.t WHERE id = 0"); got[0] == "1" {
		t.Log("DuckDB reads this right now: the generator may use buckets")
	}
}

// TestFirstInside lets the first rows inside the catalog come after files, in a
// lake of ours and in one of DuckDB's that had none: a client that has been
// attached all the while sees them.
func TestFirstInside(t *testing.T) {
	t.Parallel()
	theirs := newTheirs(t, noInlining)
	theirs.duck.run("CREATE TABLE lake.t AS SELECT i AS id, 's' || i AS s FROM range(400) r(i)")
	theirs.adopt()
	ours := newInside(t)
	ours.write("t", "SELECT i AS id, 's' || i AS s FROM range(400) r(i)", nil)
	for _, l := range []*lake{theirs, ours} {
		l.compareHead()
		l.write("t", "SELECT 500::BIGINT AS id", nil)
		l.compareHead()
		l.goOn("t", "SELECT 3::BIGINT AS id, 'x' AS s")
		l.duck.run("INSERT INTO lake.t VALUES (600, 'theirs')")
		l.compareAll()
		l.check()
	}
}

// TestExpiredNames expires the snapshots under an earlier name of a table that
// has rows inside the catalog from then: DuckDB needs the name to read it.
func TestExpiredNames(t *testing.T) {
	t.Parallel()
	l := newInside(t)
	l.write("t", "SELECT i AS id, i::INTEGER AS n FROM range(3) r(i)", nil)
	l.write("t", "SELECT 10 AS id, 5000000000 AS n", nil)
	l.alter("t", supertable.Alteration{Rename: "u"})
	l.write("u", "SELECT 11 AS id", nil)
	l.expire(1)
	l.compareAll()
	l.duck.attach(l.catalog(), "")
	l.compareAll()
	l.flush("u")
	l.expire(1)
	l.compareAll()
	l.check()
}

// TestFlushOfTheDead flushes rows inside the catalog that have all died, some
// in one snapshot and some in another: the feed tells each death once.
func TestFlushOfTheDead(t *testing.T) {
	t.Parallel()
	l := newTheirs(t, "")
	l.adopt()
	l.duck.run("CREATE TABLE lake.t AS SELECT i AS id FROM range(4) r(i)")
	l.duck.run("DELETE FROM lake.t WHERE id = 1")
	l.duck.run("UPDATE lake.t SET id = 9 WHERE id = 2")
	l.duck.run("DELETE FROM lake.t")
	feed := func() []string {
		return l.duck.rows("SELECT snapshot_id, rowid, change_type, id FROM ducklake_table_changes('lake', 'main', 't', 1, 4)")
	}
	want := feed()
	l.flush("t")
	equal(t, "feed", feed(), want)
	l.compareAll()
	l.check()
}

// TestRowsBeforeTheChange reads, by each column, files that a transaction wrote
// before it changed the columns: they begin when the new types do.
func TestRowsBeforeTheChange(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string]string{
		"of a table that was there": `CREATE TABLE lake.t (id INTEGER, k DATE, f FLOAT, st STRUCT(a INTEGER, x INTEGER));
BEGIN; INSERT INTO lake.t SELECT i, DATE '2026-01-01' + i::INT, i / 10, {'a': i, 'x': 1} FROM range(40) r(i);
ALTER TABLE lake.t ALTER k SET DATA TYPE TIMESTAMP; ALTER TABLE lake.t ALTER f SET DATA TYPE DOUBLE; ALTER TABLE lake.t RENAME COLUMN st.a TO c; COMMIT`,
		"of a new table": `BEGIN; CREATE TABLE lake.t (id INTEGER, k DATE, f FLOAT);
INSERT INTO lake.t SELECT i, DATE '2026-01-01' + i::INT, i / 10 FROM range(40) r(i);
ALTER TABLE lake.t ALTER k SET DATA TYPE TIMESTAMP; ALTER TABLE lake.t ALTER f SET DATA TYPE DOUBLE; COMMIT`,
		"and after it": `CREATE TABLE lake.t (id INTEGER, k DATE, f FLOAT, st STRUCT(a INTEGER));
INSERT INTO lake.t SELECT i, DATE '2026-01-01' + i::INT, i / 10, {'a': i} FROM range(40, 60) r(i);
BEGIN; ALTER TABLE lake.t ADD COLUMN st.b INTEGER; ALTER TABLE lake.t ALTER k SET DATA TYPE TIMESTAMP; ALTER TABLE lake.t ALTER f SET DATA TYPE DOUBLE;
INSERT INTO lake.t SELECT i, DATE '2026-01-01' + i::INT, i / 10, {'a': i, 'b': 2} FROM range(40) r(i); COMMIT`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newTheirs(t, noInlining)
			l.widened, l.doubted = true, true // DuckDB itself is wrong about conditions on such files
			l.duck.run(sql)
			l.open()
			l.compareAll()
			l.adopt()
			ours := func(query, want string) {
				t.Helper()
				equal(t, query, l.rows(query, head), []string{want})
			}
			ours("SELECT count(*) FROM t WHERE k = TIMESTAMP '2026-01-05 10:00:00'", "0")
			ours("SELECT count(*) FROM t WHERE k = TIMESTAMP '2026-01-05 00:00:00'", "1")
			if name != "and after it" {
				ours("SELECT count(*) FROM t WHERE f = 3.6::FLOAT::DOUBLE AND f > 3.5999", "1")
				ours("SELECT count(*) FROM t WHERE f = 3.6", "0")
				ours("SELECT count(*) FROM t WHERE f > 3.7", "3")
			}
			l.compact("t")
			l.compareAll()
			all := len(l.rows("SELECT id FROM t", head))
			if res := l.write("t", "SELECT 1000::INTEGER AS id, TIMESTAMP '2026-01-05 10:00:00' AS k", &supertable.WriteOptions{Key: []string{"k"}}); res.Deleted != 0 {
				t.Errorf("a key of another moment replaced %d rows", res.Deleted)
			}
			if res := l.write("t", "SELECT 1001::INTEGER AS id, 3.5::DOUBLE AS f, NULL::TIMESTAMP AS k", &supertable.WriteOptions{Key: []string{"f"}}); res.Deleted != 1 {
				t.Errorf("a key that is there replaced %d rows", res.Deleted)
			}
			if name != "and after it" {
				if res := l.write("t", "SELECT 1002::INTEGER AS id, 3.7::FLOAT::DOUBLE AS f", &supertable.WriteOptions{Key: []string{"f"}}); res.Deleted != 1 {
					t.Errorf("a key that is there replaced %d rows", res.Deleted)
				}
			}
			if n := len(l.rows("SELECT id FROM t", head)); n > all+1 || n < all+1 {
				t.Errorf("%d rows after the upserts, %d before", n, all)
			}
			l.compareHead()
			l.check()
		})
	}
}

// TestBetweenTwoChanges: a file from between two changes of nested columns in
// one transaction has names that stand nowhere; it is refused, never misread.
func TestBetweenTwoChanges(t *testing.T) {
	t.Parallel()
	l := newTheirs(t, noInlining)
	l.duck.run("CREATE TABLE lake.t (id INTEGER, st STRUCT(a INTEGER, x INTEGER))")
	l.duck.run("BEGIN; ALTER TABLE lake.t RENAME COLUMN st.a TO c; INSERT INTO lake.t SELECT i, {'c': i, 'x': 1} FROM range(40) r(i); ALTER TABLE lake.t RENAME COLUMN st.c TO e; COMMIT")
	l.adopt()
	_, err := testdb.TryQuery(t.Context(), l.s, "SELECT st FROM t", nil)
	if supertable.KindOf(err) != supertable.Unsupported || !strings.Contains(err.Error(), "between two changes") {
		t.Errorf("read: %v", err)
	}
}

// TestTheirDefaults writes rows without columns that DuckDB gave other
// defaults than their old rows have.
func TestTheirDefaults(t *testing.T) {
	t.Parallel()
	l := newTheirs(t, "")
	l.duck.run("CREATE TABLE lake.t (id BIGINT, a VARCHAR, b INTEGER)")
	l.duck.run("INSERT INTO lake.t SELECT i, 'x', 1 FROM range(20) r(i)")
	l.duck.run("ALTER TABLE lake.t ADD COLUMN c INTEGER DEFAULT 7")
	l.duck.run("ALTER TABLE lake.t ALTER a SET DEFAULT 'later'")
	l.duck.run("ALTER TABLE lake.t ALTER c DROP DEFAULT")
	l.adopt()
	l.write("t", "SELECT 100::BIGINT AS id, 5 AS b", nil)
	equal(t, "rows with the defaults of today", l.duck.rows("SELECT count(*) FROM lake.t WHERE id = 100 AND a = 'later' AND b = 5 AND c IS NULL"), []string{"1"})
	l.compareHead()
	l.duck.run("ALTER TABLE lake.t ALTER b SET DEFAULT (1 + 1)")
	l.duck.run("INSERT INTO lake.t (id) SELECT 200 + i FROM range(20) r(i)")
	_, err := l.tryWrite("t", "SELECT 300::BIGINT AS id", nil)
	if supertable.KindOf(err) != supertable.Unsupported {
		t.Errorf("a default that is an expression: %v", err)
	}
	l.compareHead()
	l.check()
}
