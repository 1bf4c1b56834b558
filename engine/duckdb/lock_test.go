package duckdb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/supertable-go/supertable/engine"
)

// locked gives a connection of an instance locked to one folder, a file in it
// and a file outside.
func locked(t *testing.T, opts engine.Options) (c engine.Conn, inside, outside string) {
	t.Helper()
	in, out := filepath.Join(t.TempDir(), "it's in"), t.TempDir()
	if err := os.Mkdir(in, 0o755); err != nil {
		t.Fatal(err)
	}
	_, free := open(t, engine.Options{})
	inside, outside = filepath.Join(in, "a.parquet"), filepath.Join(out, "b.parquet")
	for _, file := range []string{inside, outside} {
		if err := free.Exec(context.Background(), "COPY (SELECT 42 AS i) TO "+quote(file)); err != nil {
			t.Fatal(err)
		}
	}
	opts.ReadDirs = []string{in}
	_, c = open(t, opts)
	return c, inside, outside
}

func TestLockAllows(t *testing.T) {
	ctx := context.Background()
	c, inside, _ := locked(t, engine.Options{})
	for _, sql := range []string{
		"FROM read_parquet(" + quote(inside) + ")",
		"SET VARIABLE f = [" + quote(inside) + "]",
		"FROM read_parquet(getvariable('f'), file_row_number=true)",
		"CREATE TEMP VIEW v AS FROM read_parquet(" + quote(inside) + ")",
		"CREATE TEMP TABLE t AS FROM v",
		"INSERT INTO t VALUES (1)",
		"EXPLAIN ANALYZE FROM v",
		"explain\tanalyze\nFROM v",
		"EXPLAIN SELECT 1",
		"EXPLAIN(ANALYZE)SELECT 1",
		"BEGIN; DROP TABLE IF EXISTS temp.t2; COMMIT",
		"EXPLAIN (ANALYZE, FORMAT json) FROM v JOIN t USING (i)",
		"SELECT json_serialize_sql('SELECT 1')",
		"SELECT TIMESTAMPTZ '2020-01-01 00:00:00+00' AT TIME ZONE 'Europe/Berlin'",
	} {
		if err := c.Exec(ctx, sql); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
	rows, err := engine.Collect(ctx, c, "SELECT current_setting('TimeZone'), '2020-01-01'::TIMESTAMPTZ::VARCHAR", nil)
	if err != nil || fmt.Sprint(rows) != "[[UTC 2020-01-01 00:00:00+00]]" {
		t.Errorf("time zone: %v, %v", rows, err)
	}
}

func TestLockRefuses(t *testing.T) {
	ctx := context.Background()
	c, inside, outside := locked(t, engine.Options{SpillDir: t.TempDir()})
	dir := filepath.Dir(outside)
	link := filepath.Join(filepath.Dir(inside), "link.parquet")
	if err := os.Symlink(outside, link); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		"FROM read_parquet(" + quote(outside) + ")",
		"FROM read_parquet(" + quote(filepath.Dir(inside)+"/../../"+filepath.Base(dir)+"/b.parquet") + ")",
		"FROM " + quote(outside),
		"FROM " + quote(link),
		"FROM read_parquet(" + quote(filepath.Dir(inside)+"x/a.parquet") + ")",
		"FROM read_text('/etc/passwd')",
		"FROM read_blob('/etc/passwd')",
		"FROM read_csv('/etc/passwd')",
		"FROM glob('/etc/*')",
		"FROM read_parquet('https://example.com/x.parquet')",
		"FROM parquet_metadata(" + quote(outside) + ")",
		"ATTACH " + quote(dir+"/x.db"),
		"ATTACH ':memory:' AS m2",
		"COPY (SELECT 1) TO " + quote(dir+"/new.parquet"),
		"COPY (SELECT 1) TO " + quote(dir+"/new.csv"),
		"EXPORT DATABASE " + quote(dir),
		"IMPORT DATABASE " + quote(dir),
		"INSTALL httpfs",
		"LOAD httpfs",
		"LOAD '/tmp/x.duckdb_extension'",
		"SET memory_limit='1GB'",
		"SET threads=1",
		"SET temp_directory='/tmp'",
		"SET TimeZone='Europe/Berlin'",
		"SET enable_external_access=true",
		"SET allowed_directories=['/']",
		"SET allowed_paths=['/etc/passwd']",
		"SET lock_configuration=false",
		"RESET lock_configuration",
		"RESET allowed_directories",
		"SET search_path='x'",
		"SET arrow_lossless_conversion=false",
		"PRAGMA enable_profiling",
		"PRAGMA profiling_output='/tmp/x'",
		"CREATE SECRET (TYPE s3)",
		"SET secret_directory='/tmp'",
		"CALL enable_logging()",
		"CALL enable_profiling()",
		"COPY (SELECT 1) TO " + quote(filepath.Dir(inside)+"/new.parquet"),
		"EXPLAIN ANALYZE COPY (SELECT 1) TO " + quote(filepath.Dir(inside)+"/new.parquet"),
		"EXPLAIN (ANALYZE) COPY (SELECT 1) TO " + quote(filepath.Dir(inside)+"/new.parquet"),
		"EXPLAIN (ANALYZE /*) SELECT 1 --*/) COPY (SELECT 1) TO " + quote(filepath.Dir(inside)+"/new.parquet"),
		"EXPLAIN /* */ ANALYZE COPY (SELECT 1) TO " + quote(filepath.Dir(inside)+"/new.parquet"),
		"SELECT 1; EXPLAIN ANALYZE COPY (SELECT 1) TO " + quote(filepath.Dir(inside)+"/new.parquet"),
		"PREPARE p AS COPY (SELECT 1) TO " + quote(filepath.Dir(inside)+"/new.parquet"),
		"EXPORT DATABASE " + quote(filepath.Dir(inside)),
		"ATTACH " + quote(filepath.Dir(inside)+"/x.db"),
		"VACUUM",
		"CHECKPOINT",
	} {
		err := c.Exec(ctx, sql)
		if _, ok := errors.AsType[*engine.Error](err); !ok {
			t.Errorf("%s: %v", sql, err)
		}
	}
	left, err := os.ReadDir(filepath.Dir(inside))
	if err != nil || len(left) != 2 {
		t.Errorf("files in the folder: %v, %v", left, err)
	}
}

func TestLockedSpill(t *testing.T) {
	ctx := context.Background()
	sort := "SELECT max(s) FROM (SELECT hash(i)::VARCHAR || repeat('x', 50) AS s FROM range(3_000_000) r(i) ORDER BY s LIMIT 2_900_000)"
	c, _, _ := locked(t, engine.Options{MemoryBytes: 100 << 20, Threads: 2, SpillDir: t.TempDir()})
	if _, err := engine.Collect(ctx, c, sort, nil); err != nil {
		t.Errorf("with a spill folder: %v", err)
	}
	c, _, _ = locked(t, engine.Options{MemoryBytes: 100 << 20, Threads: 2})
	_, err := engine.Collect(ctx, c, sort, nil)
	var e *engine.Error
	if !errors.As(err, &e) || e.Class != "out of memory" {
		t.Errorf("without one: %v", err)
	}
}
