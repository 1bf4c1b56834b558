// Package duckdb is the embedded engine: DuckDB, linked statically, behind the
// interfaces of package engine. It is the only package that knows DuckDB.
//
// Two kinds of instance exist. An open one (no ReadDirs) runs our own SQL
// only: it writes and compacts data files. A locked one (ReadDirs set) may be
// given users' SQL: it opens files below ReadDirs and nothing else, loads no
// extension, and its settings cannot change any more (lock.go).
//
// Results leave as Arrow batches of the engine's own vector size, one at a
// time, so a result of any size needs little memory (reader.go). Types leave
// exactly: see exported in types.go for what DuckDB types become.
package duckdb

import (
	"context"
	"fmt"
	"strings"
	"sync"

	bindings "github.com/duckdb/duckdb-go-bindings"

	"github.com/supertable-go/supertable/engine"
)

// version is the release line whose behaviour this package relies on: the
// order of the lock, st_live's calling convention, the Arrow types.
const version = "v1.5."

// VersionError says that the linked engine is not the one this package was
// written for. Nothing was opened.
type VersionError struct {
	Got  string // what is linked, such as "v1.6.0"
	Want string // the release line, such as "v1.5."
}

// Error names both versions.
func (e *VersionError) Error() string {
	return fmt.Sprintf("engine: DuckDB %s is linked, but only %sx is supported", e.Got, e.Want)
}

func checkVersion(got string) error {
	if !strings.HasPrefix(got, version) {
		return &VersionError{Got: got, Want: version}
	}
	return nil
}

// DB is one in-memory DuckDB instance. It is safe for concurrent use.
type DB struct {
	db   bindings.Database
	name string
	live *liveSets
	// locked: users' SQL may come.
	locked bool

	mu     sync.Mutex
	admin  bindings.Connection // our own housekeeping; guarded by mu
	conns  int                 // open connections; guarded by mu
	closed bool                // Close was called; guarded by mu
	ended  bool                // the instance is gone; guarded by mu
}

var _ engine.Engine = (*DB)(nil)

// Open starts an instance. Its files and settings are fixed from here on.
func Open(opts engine.Options) (*DB, error) {
	lib := bindings.LibraryVersion()
	if err := checkVersion(lib); err != nil {
		return nil, err
	}
	db := &DB{name: "duckdb " + lib, live: newLiveSets(), locked: opts.ReadDirs != nil}
	if err := db.open(opts); err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

func (db *DB) open(opts engine.Options) error {
	var err error
	if db.db, err = openDatabase(opts); err != nil {
		return err
	}
	if bindings.Connect(db.db, &db.admin) != bindings.StateSuccess {
		return &engine.Error{Class: "internal", Message: "no connection to a new instance"}
	}
	if err := db.live.register(db.admin); err != nil {
		return err
	}
	if err := registerEvery(db.admin); err != nil {
		return err
	}
	for _, sql := range setup(opts) {
		if err := db.adminExec(sql); err != nil {
			return fmt.Errorf("engine: %s: %w", sql, err)
		}
	}
	return nil
}

// Name says what it is, for reports: "duckdb v1.5.5".
func (db *DB) Name() string { return db.name }

// Conn returns a fresh connection. Connecting costs about as much as a trivial
// statement (BenchmarkConn), so connections are not kept: what was made on one
// cannot reach the next.
func (db *DB) Conn(ctx context.Context) (engine.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closed {
		return nil, &engine.Error{Class: "internal", Message: "the engine is closed"}
	}
	c := &conn{db: db}
	if bindings.Connect(db.db, &c.c) != bindings.StateSuccess {
		return nil, &engine.Error{Class: "internal", Message: "the engine refused a connection"}
	}
	db.conns++
	return c, nil
}

// Close ends the instance. All connections must have been closed: if not, it
// says so, takes no new ones and ends with the last of them. Closing twice is
// fine.
func (db *DB) Close() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.closed = true
	if db.conns > 0 {
		return &engine.Error{Class: "invalid input", Message: fmt.Sprintf("%d connections are still open", db.conns)}
	}
	db.end()
	return nil
}

// disconnected counts a connection out.
func (db *DB) disconnected() {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.conns--
	if db.closed && db.conns == 0 {
		db.end()
	}
}

// end frees the instance; mu is held. The registry of st_live goes last: the
// instance calls into it.
func (db *DB) end() {
	if db.ended {
		return
	}
	db.ended = true
	bindings.Disconnect(&db.admin)
	bindings.Close(&db.db)
	db.live.close()
}

// adminExec runs one of our own statements outside any user connection.
func (db *DB) adminExec(sql string) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.ended {
		return nil
	}
	return exec(db.admin, sql)
}

// exec runs statements of our own and drops their result.
func exec(c bindings.Connection, sql string) error {
	var res bindings.Result
	defer bindings.DestroyResult(&res)
	if bindings.Query(c, sql, &res) != bindings.StateSuccess {
		return parseError(bindings.ResultError(&res))
	}
	return nil
}
