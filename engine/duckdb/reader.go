package duckdb

import (
	"context"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	bindings "github.com/duckdb/duckdb-go-bindings"
)

// reader streams a result: one batch per chunk of the engine, fetched when it
// is asked for. It owns the statement and the current batch.
type reader struct {
	refs    atomic.Int64
	ctx     context.Context // the statement's: its end is the end of the result
	stmt    *statement
	watch   *watch
	options bindings.ArrowOptions
	columns columns
	current arrow.RecordBatch
	err     error
	done    bool // nothing more to fetch
	freed   bool // statement and options are gone
}

var _ array.RecordReader = (*reader)(nil)

func (c *conn) startReader(ctx context.Context, s *statement, params map[string]any) (*reader, error) {
	if err := s.bind(params); err != nil {
		return nil, err
	}
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	r := &reader{ctx: ctx, stmt: s, options: bindings.ResultGetArrowOptions(&s.result)}
	r.refs.Store(1)
	var err error
	if r.columns, err = resultColumns(&s.result); err != nil {
		bindings.DestroyArrowOptions(&r.options)
		return nil, err
	}
	return r, nil
}

// Retain adds a reference.
func (r *reader) Retain() { r.refs.Add(1) }

// Release drops a reference. The last one ends the statement, and the
// connection is free again.
func (r *reader) Release() {
	if r.refs.Add(-1) == 0 {
		r.finish()
	}
}

// Schema is the result's.
func (r *reader) Schema() *arrow.Schema { return r.columns.out }

// RecordBatch is the current batch; it is the reader's until the next call of
// Next or Release.
func (r *reader) RecordBatch() arrow.RecordBatch { return r.current }

// Record is RecordBatch under its old name.
func (r *reader) Record() arrow.RecordBatch { return r.current }

// Err is what ended the result early: the context's error if it was that.
func (r *reader) Err() error { return r.err }

// Next fetches a batch. It is false at the end and after an error.
func (r *reader) Next() bool {
	r.drop()
	if r.done || r.freed {
		return false
	}
	if err := r.ctx.Err(); err != nil {
		return r.fail(err)
	}
	chunk, ok, err := r.stmt.next()
	if err != nil {
		return r.fail(ended(r.ctx, r.stmt.conn.streamError(err)))
	}
	if !ok {
		r.done = true
		return false
	}
	defer bindings.DestroyDataChunk(&chunk)
	if r.current, err = r.columns.importChunk(r.options, chunk); err != nil {
		return r.fail(err)
	}
	return true
}

func (r *reader) fail(err error) bool {
	r.err, r.done = err, true
	return false
}

func (r *reader) drop() {
	if r.current != nil {
		r.current.Release()
		r.current = nil
	}
}

// finish frees the result and makes the connection usable again.
func (r *reader) finish() {
	if r.freed {
		return
	}
	r.freed = true
	r.drop()
	r.watch.stop()
	bindings.DestroyArrowOptions(&r.options)
	c := r.stmt.conn
	r.stmt.destroy()
	c.reader = nil
	c.freeReleased()
}
