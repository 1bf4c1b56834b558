package catalog

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/mattn/go-sqlite3"

	"github.com/supertable-go/supertable/internal/errs"
)

// querier is what a transaction, a connection and a pool have in common.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// connector opens SQLite connections without a registry of drivers.
type connector struct{ dsn string }

var sqliteDriver = &sqlite3.SQLiteDriver{}

func (c connector) Connect(context.Context) (driver.Conn, error) { return sqliteDriver.Open(c.dsn) }
func (c connector) Driver() driver.Driver                        { return sqliteDriver }

type statement struct {
	sql  string
	args []any
}

func execAll(ctx context.Context, q querier, stmts []statement) error {
	for _, s := range stmts {
		if _, err := q.ExecContext(ctx, s.sql, s.args...); err != nil {
			return sqlError(ctx, err, "write the catalog")
		}
	}
	return nil
}

func setWAL(ctx context.Context, conn *sql.Conn) error {
	return untilFree(ctx, func() error {
		var mode string
		return conn.QueryRowContext(ctx, `PRAGMA journal_mode = WAL`).Scan(&mode)
	})
}

// untilFree repeats call while the database is locked, as long as ctx allows.
// Writers of ours queue at the commit lock; this waits for foreign ones.
func untilFree(ctx context.Context, call func() error) error {
	for {
		err := call()
		var se sqlite3.Error
		if err == nil || !errors.As(err, &se) || se.Code != sqlite3.ErrBusy && se.Code != sqlite3.ErrLocked {
			return sqlError(ctx, err, "open the catalog")
		}
		select {
		case <-ctx.Done():
			return errs.FromContext(ctx, "waiting for another writer of the catalog")
		case <-time.After(2 * time.Millisecond): // the driver has waited its busy timeout already
		}
	}
}

// immediate runs change in one write transaction on conn.
func immediate(ctx context.Context, conn *sql.Conn, change func(querier) error) error {
	err := beginImmediate(ctx, conn)
	if err != nil {
		return err
	}
	w := watch(conn)
	err = change(w)
	if err == nil {
		err = w.flush(ctx)
	}
	if err != nil {
		rollback(conn)
		return err
	}
	if _, err := conn.ExecContext(context.WithoutCancel(ctx), `COMMIT`); err != nil {
		rollback(conn)
		return sqlError(ctx, err, "commit")
	}
	return nil
}

// SyncOption is the SuperTable's option that says whether each commit is synced.
// With "0" it is not: what was committed survives the process, but the newest
// commits, back to the last checkpoint or synced change, may be missing after a
// power failure. They are then missing whole, and none that is older than one
// that is there.
const SyncOption = "commit_sync"

// relaxed reports whether the connection commits without a sync.
func relaxed(conn *sql.Conn) bool {
	l := loggedOf(conn)
	return l != nil && l.relaxed
}

// setRelaxed changes that, outside of a transaction.
func setRelaxed(ctx context.Context, conn *sql.Conn, to bool) error {
	l := loggedOf(conn)
	if l == nil || l.relaxed == to {
		return nil
	}
	level := "FULL"
	if to {
		level = "NORMAL"
	}
	if _, err := conn.ExecContext(ctx, `PRAGMA synchronous = `+level); err != nil {
		return sqlError(ctx, err, "open the catalog")
	}
	l.relaxed = to
	return nil
}

func rollback(conn *sql.Conn) { _, _ = conn.ExecContext(context.Background(), `ROLLBACK`) }

// write runs change in one write transaction under the commit lock. It is for
// our own bookkeeping, and always synced; snapshots are made by Commit.
func (c *Catalog) write(ctx context.Context, change func(querier) error) error {
	return c.writeOn(ctx, c.writer, change)
}

func (c *Catalog) writeOn(ctx context.Context, db *sql.DB, change func(querier) error) error {
	if err := c.usable(); err != nil {
		return err
	}
	if db == nil {
		return errs.New(errs.Unavailable, "the lake is closed")
	}
	release, err := c.folder.Lock(ctx, commitLock)
	if err != nil {
		return err
	}
	defer release()
	conn, err := db.Conn(ctx)
	if err != nil {
		return sqlError(ctx, err, "open the catalog")
	}
	defer func() { _ = conn.Close() }()
	if err := setRelaxed(ctx, conn, false); err != nil {
		return err
	}
	return immediate(ctx, conn, change)
}

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migrations of the side tables: numbered, forward only, each applied once.
func migrations() []string {
	names, err := fs.Glob(migrationFiles, "migrations/*.sql")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	return names
}

func migrate(ctx context.Context, q querier, o Options) error {
	if _, err := q.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS supertable_migration (number BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL, applied TEXT NOT NULL)`); err != nil {
		return sqlError(ctx, err, "write the catalog")
	}
	done, err := applied(ctx, q)
	if err != nil {
		return err
	}
	changed := false
	for i, name := range migrations() {
		if i < done {
			continue
		}
		text, err := migrationFiles.ReadFile(name)
		if err != nil {
			return errs.Wrap(errs.Internal, err, "read migration %s", name)
		}
		err = execAll(ctx, q, []statement{
			{sql: string(text)},
			{`INSERT INTO supertable_migration (number, name, applied) VALUES (?, ?, ?)`, []any{i + 1, strings.TrimPrefix(name, "migrations/"), FormatTime(o.Now())}},
		})
		if err != nil {
			return fmt.Errorf("migration %s: %w", name, err)
		}
		changed = true
	}
	if !changed {
		return nil
	}
	_, err = q.ExecContext(ctx, `UPDATE supertable_log SET touched = 1`) // the log has no migrations
	return sqlError(ctx, err, "write the catalog")
}

func applied(ctx context.Context, q querier) (int, error) {
	var n int
	err := q.QueryRowContext(ctx, `SELECT coalesce(max(number), 0) FROM supertable_migration`).Scan(&n)
	if err != nil {
		return 0, sqlError(ctx, err, "read the catalog")
	}
	if n > len(migrations()) {
		return 0, errs.New(errs.Unsupported, "the catalog has side tables of version %d, this program knows %d; use a newer program", n, len(migrations()))
	}
	return n, nil
}

// checkMigrations refuses a catalog of a newer program; an older one is
// brought up to date by Create.
func checkMigrations(ctx context.Context, q querier) error {
	n, err := applied(ctx, q)
	if err == nil && n < len(migrations()) {
		err = errs.New(errs.Unsupported, "the catalog has side tables of version %d, this program needs %d; run: supertable create", n, len(migrations()))
	}
	return err
}
