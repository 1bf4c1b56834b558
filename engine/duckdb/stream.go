package duckdb

/*
#include <stdint.h>
#include <stdlib.h>

extern int duckdb_arrow_scan(void *connection, const char *view, void *stream);
*/
import "C"

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/cdata"

	"github.com/supertable-go/supertable/engine"
)

// stream is a RecordReader that SQL reads as a relation, once.
//
// DuckDB only makes views for everybody from an Arrow stream, so there are two:
// st_stream_<n> in the instance, with a number never used again, and the
// temporary view with the asked-for name above it.
type stream struct {
	conn    *conn
	name    string // the temporary view
	view    string // the instance-wide view
	source  *onePass
	c       *cdata.CArrowArrayStream
	gone    bool // the caller has released it
	cleared bool // the views and the C stream are gone
}

// streamNumber makes instance-wide view names.
var streamNumber atomic.Int64

// Stream makes r readable once as the relation name, which takes the place of
// a temporary view of that name. A second statement that reads it, or a
// statement that reads it twice, fails. An error of r is the error of the
// statement that reads it, and errors.Is finds it there. Cancelling a statement
// does not interrupt a read of r: r has to watch the context itself.
//
// R is read on threads of the engine, by one at a time.
func (c *conn) Stream(name string, r array.RecordReader) (release func(), err error) {
	if err := c.free(); err != nil {
		return nil, err
	}
	if !plainName(name) {
		return nil, &engine.Error{Class: "invalid input", Message: fmt.Sprintf("%q is no name for a stream", name)}
	}
	for _, other := range c.streams {
		if other.name == name {
			return nil, &engine.Error{Class: "invalid input", Message: fmt.Sprintf("stream %q is there already", name)}
		}
	}
	s := &stream{
		conn:   c,
		name:   name,
		view:   fmt.Sprintf("st_stream_%d", streamNumber.Add(1)),
		source: &onePass{RecordReader: withoutNullType(r), conn: c},
		c:      (*cdata.CArrowArrayStream)(C.calloc(1, C.size_t(unsafe.Sizeof(cdata.CArrowArrayStream{})))),
	}
	cdata.ExportRecordReader(s.source, s.c) // retains r
	c.streams = append(c.streams, s)
	if err := s.create(); err != nil {
		s.clear()
		return nil, err
	}
	return s.release, nil
}

func (s *stream) create() error {
	view := C.CString(s.view)
	defer C.free(unsafe.Pointer(view))
	if C.duckdb_arrow_scan(s.conn.c.Ptr, view, unsafe.Pointer(s.c)) != 0 {
		return &engine.Error{Class: "invalid input", Message: fmt.Sprintf("stream %q has a schema that cannot be read", s.name)}
	}
	return exec(s.conn.c, "CREATE OR REPLACE TEMP VIEW "+s.name+" AS "+wholeSQL("memory.main."+s.view))
}

// release ends the stream as soon as nothing reads it.
func (s *stream) release() {
	s.gone = true
	if s.conn.reader == nil {
		s.clear()
	}
}

// clear drops the views and gives the reader back. It happens once.
func (s *stream) clear() {
	if s.cleared {
		return
	}
	s.cleared = true
	c := s.conn
	c.streams = slices.DeleteFunc(c.streams, func(other *stream) bool { return other == s })
	_ = exec(c.c, "DROP VIEW IF EXISTS temp.main."+s.name)
	if exec(c.c, "DROP VIEW IF EXISTS memory.main."+s.view) != nil { // in an aborted transaction
		_ = c.db.adminExec("DROP VIEW IF EXISTS memory.main." + s.view)
	}
	cdata.ReleaseCArrowArrayStream(s.c)
	C.free(unsafe.Pointer(s.c))
}

// freeReleased ends the streams whose release came while they were read.
func (c *conn) freeReleased() {
	for _, s := range slices.Clone(c.streams) {
		if s.gone {
			s.clear()
		}
	}
}

// streamError puts the error of a stream that the last statement read in the
// place of what DuckDB made of it.
func (c *conn) streamError(err error) error {
	for _, s := range c.streams {
		if cause := s.source.failure(c.sequence.Load()); err != nil && cause != nil {
			return fmt.Errorf("stream %q: %w", s.name, cause)
		}
	}
	return err
}

// onePass lets one statement read a RecordReader, once. DuckDB would let a
// second scan take what the first one left and call that the whole.
type onePass struct {
	array.RecordReader
	conn *conn

	mu      sync.Mutex // reads come from any thread of the engine
	reader  int64      // sequence of the statement that reads; 0 before
	drained bool
	err     error
	failed  int64 // sequence of the statement that got err
}

var errReadTwice = &engine.Error{Class: "invalid input", Message: "it can be read once only"}

// Next reads on for the statement that began, and fails for any other.
func (p *onePass) Next() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.conn.sequence.Load()
	if p.reader == 0 {
		p.reader = now
	}
	if p.reader == now && p.drained && p.err != nil {
		return false // another thread asks after the end
	}
	if p.reader != now || p.drained {
		p.err, p.failed = errReadTwice, now
		return false
	}
	if p.RecordReader.Next() {
		return true
	}
	p.drained = true
	if p.err = p.RecordReader.Err(); p.err != nil {
		p.failed = now
	}
	return false
}

// Err is the error of the last Next.
func (p *onePass) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// failure gives the error that the statement with this sequence got.
func (p *onePass) failure(sequence int64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failed != sequence {
		return nil
	}
	return p.err
}

// plainName reports whether name needs no quotes.
func plainName(name string) bool {
	for i, r := range name {
		letter := r >= 'a' && r <= 'z' || r == '_'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return name != ""
}
