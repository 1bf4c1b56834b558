package interop

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/supertable-go/supertable"
)

// adds are histories with files that DuckDB takes into its lake as they are:
// FILES is a folder below the data folder.
var adds = []struct{ name, sql string }{
	{"as they are", `CREATE TABLE lake.t (id BIGINT, s VARCHAR, d DATE);
COPY (SELECT i::INTEGER AS id, 's' || i AS s, DATE '2026-01-01' AS d FROM range(20) r(i)) TO 'FILES/a.parquet';
COPY (SELECT 's' || i AS s, i AS "ID" FROM range(20, 30) r(i)) TO 'FILES/b.parquet';
COPY (SELECT i AS id, 1 AS extra FROM range(30, 40) r(i)) TO 'FILES/c.parquet';
CALL ducklake_add_data_files('lake', 't', 'FILES/a.parquet');
CALL ducklake_add_data_files('lake', 't', 'FILES/b.parquet', allow_missing => true);
CALL ducklake_add_data_files('lake', 't', 'FILES/c.parquet', allow_missing => true, ignore_extra_columns => true);
DELETE FROM lake.t WHERE id IN (3, 25);
DELETE FROM lake.t WHERE id BETWEEN 5 AND 17;
UPDATE lake.t SET s = 'updated' WHERE id = 31;
INSERT INTO lake.t SELECT i, 'own', NULL FROM range(100, 120) r(i)`},
	{"and the columns change", `CREATE TABLE lake.t (id INTEGER, s VARCHAR, n INTEGER);
COPY (SELECT i::INTEGER AS id, 's' || i AS s, i::INTEGER AS n FROM range(5) r(i)) TO 'FILES/a.parquet';
CALL ducklake_add_data_files('lake', 't', 'FILES/a.parquet');
ALTER TABLE lake.t RENAME s TO text;
ALTER TABLE lake.t ALTER n SET DATA TYPE BIGINT;
ALTER TABLE lake.t ADD COLUMN more INTEGER DEFAULT 7;
COPY (SELECT i::INTEGER AS id, 's' || i AS text, i AS n FROM range(10, 15) r(i)) TO 'FILES/b.parquet';
CALL ducklake_add_data_files('lake', 't', 'FILES/b.parquet', allow_missing => true);
ALTER TABLE lake.t DROP COLUMN n;
ALTER TABLE lake.t ADD COLUMN s VARCHAR;
ALTER TABLE lake.t ADD COLUMN n VARCHAR`},
	{"with values in their path", `CREATE TABLE lake.t (id INTEGER, year INTEGER, who VARCHAR);
COPY (SELECT i::INTEGER AS id, 2020 + i % 3 AS year, CASE i % 4 WHEN 0 THEN NULL WHEN 1 THEN 'a b' WHEN 2 THEN 'p/q=r' ELSE 'ü' END AS who FROM range(24) r(i)) TO 'FILES/h' (FORMAT parquet, PARTITION_BY (year, who));
CALL ducklake_add_data_files('lake', 't', 'FILES/h/*/*/*.parquet', hive_partitioning => true);
DELETE FROM lake.t WHERE id = 7`},
	{"with nested columns", `CREATE TABLE lake.t (id INTEGER, st STRUCT(a BIGINT, b VARCHAR), li STRUCT(x INTEGER, y VARCHAR)[], m MAP(VARCHAR, STRUCT(v INTEGER)));
COPY (SELECT i::INTEGER AS id, {'a': i, 'b': 's' || i} AS st, [{'x': i::INTEGER, 'y': 'y'}, NULL] AS li, MAP {'k': {'v': i::INTEGER}} AS m FROM range(5) r(i)) TO 'FILES/a.parquet';
COPY (SELECT i::INTEGER AS id, {'b': 's' || i, 'a': i} AS st, []::STRUCT(y VARCHAR, x INTEGER)[] AS li, MAP {}::MAP(VARCHAR, STRUCT(v INTEGER)) AS m FROM range(10, 15) r(i)) TO 'FILES/b.parquet';
COPY (SELECT 20::INTEGER AS id, NULL::STRUCT(a BIGINT, b VARCHAR) AS st, NULL::STRUCT(x INTEGER, y VARCHAR)[] AS li, MAP {'n': NULL::STRUCT(v INTEGER)} AS m) TO 'FILES/c.parquet';
CALL ducklake_add_data_files('lake', 't', 'FILES/a.parquet');
CALL ducklake_add_data_files('lake', 't', 'FILES/b.parquet');
CALL ducklake_add_data_files('lake', 't', 'FILES/c.parquet');
ALTER TABLE lake.t RENAME st.b TO bb;
ALTER TABLE lake.t ADD COLUMN st.c DATE;
ALTER TABLE lake.t DROP COLUMN st.a;
ALTER TABLE lake.t RENAME st TO nested;
INSERT INTO lake.t SELECT 99, {'bb': 'own', 'c': NULL}, NULL, NULL`},
}

// TestFilesAddedByDuckDB reads files that have no field ids.
func TestFilesAddedByDuckDB(t *testing.T) {
	t.Parallel()
	for _, c := range adds {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := newTheirs(t, noInlining)
			l.doubted = true // nor does it know every statistic of such files
			dir := filepath.Join(folder(l.home.Home), "data", "added")
			if err := os.MkdirAll(dir, 0o777); err != nil {
				t.Fatal(err)
			}
			for _, sql := range statements(c.sql) {
				l.duck.run(strings.ReplaceAll(sql, "FILES", dir))
			}
			l.open()
			l.compareAll()
			l.adopt()
			at := l.lastSnapshot()
			l.write("t", "SELECT 500::INTEGER AS id", nil)
			l.goOn("t", "SELECT 1::INTEGER AS id")
			l.compareSince(at)
			l.check()
		})
	}
}

// refusals are lakes that we could read wrong, and what names the reason.
var refusals = []struct{ name, options, sql, names string }{
	{"version", "", "CREATE TABLE lake.t (id INTEGER); UPDATE __lake.ducklake_metadata SET value = '1.1' WHERE key = 'version'", `"1.1"`},
	{"version names ours", "", "UPDATE __lake.ducklake_metadata SET value = '1.1-dev1' WHERE key = 'version'", "1.0"},
	{"encrypted", "ENCRYPTED", "CREATE TABLE lake.t (id INTEGER)", "encrypted"},
	{"deletion vectors", noInlining, "CALL lake.set_option('write_deletion_vectors', true); CREATE TABLE lake.t AS SELECT i AS id FROM range(100) r(i); DELETE FROM lake.t WHERE id < 5", "puffin"},
	{"variant", "", "CREATE TABLE lake.t (id INTEGER, v VARIANT)", "variant"},
	{"geometry", "", "CREATE TABLE lake.t (id INTEGER, g GEOMETRY)", "geometry"},
	{"variant inside", "", "CREATE TABLE lake.t (id INTEGER, v STRUCT(a VARIANT))", "variant"},
}

// TestRefusals holds that what we do not read is refused by name, never read wrong.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, c := range refusals {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			recordRefusal(t, "read or adopted: "+c.name)
			l := newTheirs(t, c.options)
			l.duck.run(c.sql)
			err := l.readAll()
			if supertable.KindOf(err) != supertable.Unsupported || !strings.Contains(err.Error(), c.names) {
				t.Errorf("read: %v, want unsupported, naming %s", err, c.names)
			}
			_, _, err = l.home.Create(t.Context(), "default", super, nil)
			if c.names != "puffin" && (supertable.KindOf(err) != supertable.Unsupported || !strings.Contains(err.Error(), c.names)) {
				t.Errorf("adopt: %v, want unsupported, naming %s", err, c.names)
			}
		})
	}
}

// readAll opens the lake and reads t, until something is refused.
func (l *lake) readAll() error {
	st, err := l.home.SuperTable(l.t.Context(), "default", super)
	if err != nil {
		return err
	}
	s, err := st.Session(l.t.Context(), supertable.Superuser)
	if err != nil {
		return err
	}
	_, err = queryRows(s, "SELECT * FROM t", nil)
	return err
}

// TestNotAdopted holds what adoption refuses and reading does not.
func TestNotAdopted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, sql, names string }{
		{"another schema", "CREATE SCHEMA lake.other; CREATE TABLE lake.other.x (id INTEGER)", `"other"`},
		{"table names", `CREATE TABLE lake."a b" (id INTEGER)`, `"a b"`},
		{"a table named as the SuperTable", "CREATE TABLE lake.shop (id INTEGER)", `"shop"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			recordRefusal(t, "adopted: "+c.name)
			l := newTheirs(t, "")
			l.duck.run("CREATE TABLE lake.t AS SELECT 1 AS id; " + c.sql)
			if err := l.readAll(); err != nil {
				t.Errorf("read: %v", err)
			}
			_, _, err := l.home.Create(t.Context(), "default", super, nil)
			if supertable.KindOf(err) != supertable.Unsupported || !strings.Contains(err.Error(), c.names) {
				t.Errorf("adopt: %v, want unsupported, naming %s", err, c.names)
			}
		})
	}
}

// TestFilesOutside holds that a file outside the lake's folder is refused.
func TestFilesOutside(t *testing.T) {
	t.Parallel()
	recordRefusal(t, "read: a file outside the lake")
	l := newTheirs(t, noInlining)
	outside := filepath.Join(t.TempDir(), "x.parquet")
	l.duck.run("CREATE TABLE lake.t (id INTEGER); COPY (SELECT 1 AS id) TO '" + outside + "'; CALL ducklake_add_data_files('lake', 't', '" + outside + "')")
	if err := l.readAll(); supertable.KindOf(err) != supertable.Unsupported || !strings.Contains(err.Error(), "x.parquet") {
		t.Errorf("read: %v", err)
	}
}
