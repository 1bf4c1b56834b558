package duckdb

import (
	"context"
	"testing"

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

func TestExecAndQuery(t *testing.T) {
	ctx := context.Background()
	_, c := open(t, engine.Options{})
	if err := c.Exec(ctx, "CREATE TABLE t AS FROM range(3) r(i); INSERT INTO t VALUES (9)"); err != nil {
		t.Fatal(err)
	}
	rows, err := engine.Collect(ctx, c, "SELECT sum(i), count(*) FROM t WHERE i >= $low", map[string]any{"low": int64(1)})
	if err != nil {
		t.Fatal(err)
	}
	if rows[0][0] != engine.Decimal("12") || rows[0][1] != int64(3) {
		t.Errorf("got %v", rows)
	}
}
