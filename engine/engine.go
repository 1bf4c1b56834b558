// Package engine is what runs SQL over data files, seen from its consumers.
//
// The embedded implementation is engine/duckdb, the only package that knows
// DuckDB. Consumers hold these interfaces, so that another engine can stand
// behind them.
package engine

import (
	"context"

	"github.com/apache/arrow-go/v18/arrow/array"
)

// Options of an engine instance. They are fixed when it opens.
type Options struct {
	// MemoryBytes bounds the engine's memory; above it, it spills to SpillDir.
	// Defaults to 80 % of the machine (the engine's own default).
	MemoryBytes int64
	// Threads used for one statement. Defaults to the number of CPUs.
	Threads int
	// SpillDir is where sorts and joins larger than memory go. Defaults to none:
	// no spilling.
	SpillDir string
	// ReadDirs locks the instance: it can open files below these directories
	// and nothing else, loads no extension and its settings can no longer
	// change. Nil leaves the instance open; only our own SQL may reach such
	// an instance.
	ReadDirs []string
}

// Engine is one instance. It is safe for concurrent use.
type Engine interface {
	// Conn returns a connection from the pool, or a new one.
	Conn(ctx context.Context) (Conn, error)
	// Name says what it is, for reports: "duckdb v1.5.5".
	Name() string
	// Close ends the instance. All connections must have been closed.
	Close() error
}

// Conn is one connection: temporary views, tables and variables live on it
// until Close. It is not safe for concurrent use.
type Conn interface {
	// Exec runs the statements in sql and drops their results.
	Exec(ctx context.Context, sql string) error
	// Query runs one statement and streams its result in bounded memory. The
	// caller releases the reader; the connection is busy until then. Params
	// are bound by name ($name); values are nil, bool, int64, float64, string,
	// or a Decimal. Cancelling ctx interrupts the statement at any time while
	// the reader is in use; the reader's Err is then ctx's error.
	Query(ctx context.Context, sql string, params map[string]any) (array.RecordReader, error)
	// Parameters lists the names of the parameters that sql has, without
	// running it.
	Parameters(ctx context.Context, sql string) ([]string, error)
	// Stream makes r readable once as the relation name. The caller keeps r
	// alive and calls release after the statements that read it.
	Stream(name string, r array.RecordReader) (release func(), err error)
	// Live registers, per index in a file list, the dead rows of that file as
	// a bitmap (bit i of word i/64 is row i; nil is "none dead"; rows beyond
	// the end are live). SQL asks st_live(token, file_index, file_row_number).
	// The bitmaps must not change until release is called.
	Live(dead [][]uint64) (token uint64, release func(), err error)
	// Progress tells how much of the running statement is done, 0 to 100, or
	// -1 when that is unknown. It may be called while Query or Exec runs.
	Progress() float64
	// Close drops every temporary object and returns the connection to the pool.
	Close() error
}

// Decimal is a decimal parameter value in text form, such as "12.340".
type Decimal string

// Error is an error of the engine: its class and its raw message. Raw messages
// may carry paths and values, so only what a consumer maps is shown.
type Error struct {
	// Class is the engine's own word, lower case: "parser", "binder",
	// "catalog", "conversion", "invalid input", "out of range", "constraint",
	// "io", "out of memory", "interrupt", "permission", "internal", "other".
	Class   string
	Message string
}

// Error returns the raw message.
func (e *Error) Error() string { return e.Class + ": " + e.Message }
