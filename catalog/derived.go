package catalog

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
)

// derived is a database beside the catalog that holds nothing of its own: it may
// be removed at any time and is made again.
type derived struct {
	version int      // another one is made anew
	tables  []string // of every version
	schema  string
}

// openDerived opens the database at path, and its folder.
func openDerived(path string) (*sql.DB, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, err
	}
	// Not synced at each commit: what is lost is made again.
	db := sql.OpenDB(connector{fileDSN(path, map[string]string{"mode": "rwc", "_busy_timeout": "250", "_synchronous": "NORMAL"})})
	db.SetMaxIdleConns(2)
	return db, nil
}

// removeDerived takes it away, for the next to make it again.
func removeDerived(path string) {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		_ = os.Remove(path + suffix)
	}
}

// ready reports whether the database is of this version.
func (d derived) ready(ctx context.Context, q querier) (bool, error) {
	var n int
	err := q.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&n)
	return n == d.version, err
}

// make makes the tables, inside a write transaction, unless another process
// was faster.
func (d derived) make(ctx context.Context, q querier) error {
	if ready, err := d.ready(ctx, q); err != nil || ready {
		return err
	}
	for _, t := range d.tables {
		if _, err := q.ExecContext(ctx, `DROP TABLE IF EXISTS `+t); err != nil {
			return err
		}
	}
	_, err := q.ExecContext(ctx, d.schema)
	return err
}
