package duckdb

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/supertable-go/supertable/engine"
)

func open(t testing.TB, opts engine.Options) (*DB, engine.Conn) {
	t.Helper()
	db, err := Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	c, err := db.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		db.Close()
	})
	return db, c
}

// class gives the class of an engine's error, or what else err is.
func class(err error) string {
	if e, ok := errors.AsType[*engine.Error](err); ok {
		return e.Class
	}
	return fmt.Sprint(err)
}

func TestVersion(t *testing.T) {
	db, _ := open(t, engine.Options{})
	if got := db.Name(); got != "duckdb v1.5.5" {
		t.Errorf("name is %q", got)
	}
	var e *VersionError
	if err := checkVersion("v1.6.0"); !errors.As(err, &e) || e.Got != "v1.6.0" {
		t.Errorf("another version: %v", err)
	}
}

func TestExec(t *testing.T) {
	ctx := context.Background()
	_, c := open(t, engine.Options{})
	if err := c.Exec(ctx, "CREATE TABLE t AS FROM range(3) r(i); SELECT 1; INSERT INTO t VALUES (9); -- end"); err != nil {
		t.Fatal(err)
	}
	rows, err := engine.Collect(ctx, c, "SELECT sum(i), count(*) FROM t", nil)
	if err != nil || fmt.Sprint(rows) != "[[12 4]]" {
		t.Errorf("got %v, %v", rows, err)
	}
	if err := c.Exec(ctx, "INSERT INTO t VALUES (1); SELECT nothing; INSERT INTO t VALUES (2)"); class(err) != "binder" {
		t.Errorf("got %v", err)
	}
	rows, _ = engine.Collect(ctx, c, "SELECT count(*) FROM t", nil)
	if rows[0][0] != int64(5) {
		t.Errorf("%v rows after a failure in the middle", rows[0][0])
	}
}

func TestErrors(t *testing.T) {
	ctx := context.Background()
	_, c := open(t, engine.Options{})
	for _, test := range []struct{ sql, class, message string }{
		{"SELEC 1", "parser", "syntax error"},
		{"", "parser", "one statement expected, got 0"},
		{"SELECT 1; SELECT 2", "parser", "one statement expected, got 2"},
		{"SELECT 1\x00", "parser", "NUL"},
		{"SELECT x", "binder", `Referenced column "x" was not found`},
		{"FROM nothing", "catalog", "Table with name nothing does not exist"},
		{"SELECT 'a'::INT", "conversion", "Could not convert string 'a' to INT32"},
		{"SELECT i::VARCHAR::TINYINT FROM range(5000) r(i)", "conversion", "Could not convert"},
		{"SELECT 9223372036854775807 + i FROM range(2) r(i)", "out of range", "Overflow"},
		{"SELECT error('oh')", "invalid input", "oh"},
		{"FROM '/nowhere/x.parquet'", "io", "No files found"},
		{"SELECT $a + 1", "invalid input", "parameters: a"},
		{"SELECT '1'::VARIANT", "other", "has no Arrow form"},
	} {
		_, err := engine.Collect(ctx, c, test.sql, nil)
		var e *engine.Error
		if !errors.As(err, &e) || e.Class != test.class || !strings.Contains(e.Message, test.message) {
			t.Errorf("%q: got %v", test.sql, err)
			continue
		}
		if strings.Contains(e.Message, " Error: ") {
			t.Errorf("%q: the prefix is left: %v", test.sql, e.Message)
		}
	}
	if rows, err := engine.Collect(ctx, c, "SELECT 1", nil); err != nil || len(rows) != 1 {
		t.Errorf("after errors: %v, %v", rows, err)
	}
}

func TestErrorWhileStreaming(t *testing.T) {
	ctx := context.Background()
	_, c := open(t, engine.Options{Threads: 1})
	r, err := c.Query(ctx, "SELECT CASE WHEN i = 4000000 THEN error('late') ELSE i::VARCHAR END FROM range(5000000) r(i)", nil)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for r.Next() {
		n += int(r.RecordBatch().NumRows())
	}
	if class(r.Err()) != "invalid input" || n == 0 || n > 4000000 {
		t.Errorf("after %d rows: %v", n, r.Err())
	}
	if r.Next() {
		t.Error("rows after an error")
	}
	r.Release()
	if err := c.Exec(ctx, "SELECT 1"); err != nil {
		t.Error(err)
	}
}

func TestParameters(t *testing.T) {
	ctx := context.Background()
	_, c := open(t, engine.Options{})
	names, err := c.Parameters(ctx, "SELECT $b::INT, $a::INT, $b")
	if err != nil || fmt.Sprint(names) != "[b a]" {
		t.Errorf("got %v, %v", names, err)
	}
	for _, test := range []struct {
		value any
		want  any
		typ   string
	}{
		{nil, nil, `"NULL"`},
		{true, true, "BOOLEAN"},
		{7, int64(7), "BIGINT"},
		{int64(math.MinInt64), int64(math.MinInt64), "BIGINT"},
		{uint64(math.MaxUint64), uint64(math.MaxUint64), "UBIGINT"},
		{1e300, 1e300, "DOUBLE"},
		{"ä'\x00b", "ä'\x00b", "VARCHAR"},
		{"", "", "VARCHAR"},
		{engine.Decimal("12.340"), engine.Decimal("12.340"), "DECIMAL(5,3)"},
		{engine.Decimal("-0.05"), engine.Decimal("-0.05"), "DECIMAL(2,2)"},
		{engine.Decimal("0"), engine.Decimal("0"), "DECIMAL(1,0)"},
		{engine.Decimal("-18446744073709551616"), engine.Decimal("-18446744073709551616"), "DECIMAL(20,0)"},
		{engine.Decimal("99999999999999999999999999999999999999"), engine.Decimal("99999999999999999999999999999999999999"), "DECIMAL(38,0)"},
		{engine.Decimal("-99999999999999999999.999999999999999999"), engine.Decimal("-99999999999999999999.999999999999999999"), "DECIMAL(38,18)"},
	} {
		rows, err := engine.Collect(ctx, c, "SELECT $p, typeof($p)", map[string]any{"p": test.value})
		if err != nil || rows[0][0] != test.want || rows[0][1] != test.typ {
			t.Errorf("%T %[1]v: got %v, %v", test.value, rows, err)
		}
	}
	for _, params := range []map[string]any{
		nil,
		{"other": 1},
		{"p": 1, "other": 1},
		{"p": struct{}{}},
		{"p": "\xff"},
		{"p": engine.Decimal("1e3")},
		{"p": engine.Decimal("")},
		{"p": engine.Decimal("--1")},
		{"p": engine.Decimal("1.")},
		{"p": engine.Decimal("100000000000000000000000000000000000000")},
	} {
		if rows, err := engine.Collect(ctx, c, "SELECT $p", params); class(err) != "invalid input" && class(err) != "binder" {
			t.Errorf("%v: got %v, %v", params, rows, err)
		}
	}
}

func TestConnIsBusyUntilRelease(t *testing.T) {
	ctx := context.Background()
	_, c := open(t, engine.Options{})
	r, err := c.Query(ctx, "FROM range(10000)", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Retain()
	r.Release()
	if err := c.Exec(ctx, "SELECT 1"); class(err) != "invalid input" {
		t.Errorf("a busy connection: %v", err)
	}
	if !r.Next() {
		t.Error(r.Err())
	}
	batch := r.RecordBatch()
	batch.Retain()
	r.Release()
	if err := c.Exec(ctx, "SELECT 1"); err != nil {
		t.Error(err)
	}
	c.Close()
	if batch.NumRows() != 2048 || batch.Column(0).ValueStr(7) != "7" {
		t.Errorf("a retained batch is %v", batch)
	}
	batch.Release()
	if err := c.Exec(ctx, "SELECT 1"); class(err) != "invalid input" {
		t.Errorf("a closed connection: %v", err)
	}
}

func TestCloseDropsTemporaryObjects(t *testing.T) {
	ctx := context.Background()
	db, c := open(t, engine.Options{})
	if err := c.Exec(ctx, "CREATE TEMP TABLE t AS SELECT 1; CREATE TEMP VIEW w AS SELECT 1; SET VARIABLE v = 1"); err != nil {
		t.Fatal(err)
	}
	r, err := c.Query(ctx, "FROM range(100000000)", nil)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if r.Next() || r.Err() == nil {
		t.Errorf("after Close: %v", r.Err())
	}
	r.Release()
	other, err := db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	rows, err := engine.Collect(ctx, other, `SELECT getvariable('v'), (SELECT count(*) FROM duckdb_tables() WHERE temporary),
		(SELECT count(*) FROM duckdb_views() WHERE temporary AND NOT internal)`, nil)
	if err != nil || fmt.Sprint(rows) != "[[<nil> 0 0]]" {
		t.Errorf("got %v, %v", rows, err)
	}
}

func TestCloseWithOpenConnections(t *testing.T) {
	ctx := context.Background()
	db, c := open(t, engine.Options{})
	if err := db.Close(); err == nil {
		t.Error("no word of the open connection")
	}
	if _, err := db.Conn(ctx); err == nil {
		t.Error("a new connection after Close")
	}
	if err := c.Exec(ctx, "SELECT 1"); err != nil {
		t.Errorf("the open connection: %v", err)
	}
	c.Close()
	c.Close()
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

func TestProgress(t *testing.T) {
	ctx := context.Background()
	_, c := open(t, engine.Options{})
	if got := c.Progress(); got != -1 {
		t.Errorf("progress of nothing is %v", got)
	}
	if err := c.Exec(ctx, "CREATE TABLE t AS FROM range(5000000) r(i)"); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	done, most := make(chan struct{}), -1.0
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(time.Millisecond):
				most = max(most, c.Progress())
			}
		}
	})
	if err := c.Exec(ctx, "SELECT max(hash(i::VARCHAR)) FROM t"); err != nil {
		t.Error(err)
	}
	close(done)
	wg.Wait()
	if most <= 0 || most > 100 {
		t.Errorf("progress went up to %v", most)
	}
}

// BenchmarkConn shows why connections are not pooled.
func BenchmarkConn(b *testing.B) {
	ctx := context.Background()
	db, held := open(b, engine.Options{})
	b.Run("connect", func(b *testing.B) {
		for b.Loop() {
			c, err := db.Conn(ctx)
			if err != nil {
				b.Fatal(err)
			}
			c.Close()
		}
	})
	b.Run("select 1", func(b *testing.B) {
		for b.Loop() {
			if _, err := engine.Collect(ctx, held, "SELECT 1", nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			db, err := Open(engine.Options{ReadDirs: []string{"/tmp"}})
			if err != nil {
				b.Fatal(err)
			}
			db.Close()
		}
	})
	b.Run("stream 10M rows", func(b *testing.B) {
		for b.Loop() {
			r, err := held.Query(ctx, "SELECT i, i % 2 = 0 AS even, i::DOUBLE AS d FROM range(10000000) r(i)", nil)
			if err != nil {
				b.Fatal(err)
			}
			for r.Next() {
			}
			r.Release()
		}
	})
}
