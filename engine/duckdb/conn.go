package duckdb

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow/array"
	bindings "github.com/duckdb/duckdb-go-bindings"

	"github.com/supertable-go/supertable/engine"
)

// conn is one connection. Only Progress may be called while another call runs.
type conn struct {
	db       *DB
	c        bindings.Connection
	running  atomic.Int64 // statements in progress: 0 or 1
	progress atomic.Int64 // progressOff, progressWanted or progressOn
	life     sync.Mutex   // held while Progress looks and while Close disconnects
	closed   bool
	reader   *reader      // the open result, nil when the connection is free
	streams  []*stream    // registered and not yet freed
	sequence atomic.Int64 // counts statements, so that a stream is read by one only
}

var _ engine.Conn = (*conn)(nil)

var errClosed = &engine.Error{Class: "invalid input", Message: "the connection is closed"}

// free says whether another statement may start.
func (c *conn) free() error {
	switch {
	case c.closed:
		return errClosed
	case c.reader != nil:
		return &engine.Error{Class: "invalid input", Message: "the connection is busy: release its reader first"}
	}
	return nil
}

// Exec runs the statements in sql, one after the other, and drops their
// results. It stops at the first error.
func (c *conn) Exec(ctx context.Context, sql string) error {
	if err := c.free(); err != nil {
		return err
	}
	c.countProgress()
	w := c.watch(ctx)
	defer w.stop()
	list, err := c.extract(sql)
	if err != nil {
		return ended(ctx, err)
	}
	defer list.destroy()
	for i := range list.n {
		if err := c.execOne(ctx, list, i); err != nil {
			return ended(ctx, c.streamError(err))
		}
	}
	return nil
}

func (c *conn) execOne(ctx context.Context, list statements, i int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s, err := c.prepare(list, i)
	if err != nil {
		return err
	}
	defer s.destroy()
	if err := s.start(ctx); err != nil {
		return err
	}
	return s.drain()
}

// Query runs the one statement in sql and streams its result.
func (c *conn) Query(ctx context.Context, sql string, params map[string]any) (array.RecordReader, error) {
	if err := c.free(); err != nil {
		return nil, err
	}
	c.countProgress()
	w := c.watch(ctx)
	r, err := c.query(ctx, sql, params)
	if err != nil {
		w.stop()
		return nil, ended(ctx, c.streamError(err))
	}
	r.watch = w
	c.reader = r
	return r, nil
}

func (c *conn) query(ctx context.Context, sql string, params map[string]any) (*reader, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s, err := c.prepareSingle(sql)
	if err != nil {
		return nil, err
	}
	r, err := c.startReader(ctx, s, params)
	if err != nil {
		s.destroy()
		return nil, err
	}
	return r, nil
}

// Parameters lists the names of the parameters that sql has, in the order of
// their first use. The statement is bound, not run.
func (c *conn) Parameters(ctx context.Context, sql string) ([]string, error) {
	if err := c.free(); err != nil {
		return nil, err
	}
	w := c.watch(ctx)
	defer w.stop()
	s, err := c.prepareSingle(sql)
	if err != nil {
		return nil, ended(ctx, err)
	}
	defer s.destroy()
	return s.parameters(), nil
}

// Progress tells how much of the running statement is done, 0 to 100, or -1
// when that is unknown. Counting costs a little, so it begins with the first
// statement after the first call: who wants to see progress calls once before.
// It is safe at any time, from any goroutine.
func (c *conn) Progress() float64 {
	c.progress.CompareAndSwap(progressOff, progressWanted)
	if c.running.Load() == 0 || c.progress.Load() != progressOn {
		return -1
	}
	c.life.Lock()
	defer c.life.Unlock()
	if c.c.Ptr == nil {
		return -1
	}
	p := bindings.QueryProgress(c.c)
	return progressPercent(&p)
}

// The states of a connection's counting of progress.
const (
	progressOff = iota
	progressWanted
	progressOn
)

// countProgress switches counting on if it is wanted. The engine must not
// print its own bar.
func (c *conn) countProgress() {
	if c.progress.Load() == progressWanted &&
		exec(c.c, "SET enable_progress_bar_print=false") == nil &&
		exec(c.c, "SET enable_progress_bar=true") == nil {
		c.progress.Store(progressOn)
	}
}

// Close drops every temporary object and ends the connection. An open reader
// is ended too; streams that were not released can no longer be read.
func (c *conn) Close() error {
	if c.closed {
		return nil
	}
	if r := c.reader; r != nil {
		r.finish()
		r.err = errClosed
	}
	for _, s := range slices.Clone(c.streams) {
		s.clear()
	}
	c.closed = true
	c.life.Lock()
	bindings.Disconnect(&c.c)
	c.life.Unlock()
	c.db.disconnected()
	return nil
}
