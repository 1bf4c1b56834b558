package duckdb

import (
	"context"
	"fmt"
	"strings"
	"time"

	bindings "github.com/duckdb/duckdb-go-bindings"

	"github.com/supertable-go/supertable/engine"
)

// statements is parsed SQL text.
type statements struct {
	list bindings.ExtractedStatements
	n    int
	text string
}

func (s *statements) destroy() { bindings.DestroyExtracted(&s.list) }

func (c *conn) extract(sql string) (statements, error) {
	if strings.IndexByte(sql, 0) >= 0 {
		return statements{}, &engine.Error{Class: "parser", Message: "the text has a NUL byte"}
	}
	s := statements{text: sql}
	s.n = int(bindings.ExtractStatements(c.c, sql, &s.list))
	if s.n == 0 {
		defer s.destroy()
		if msg := bindings.ExtractStatementsError(s.list); msg != "" {
			return statements{}, parseError(msg)
		}
		return statements{}, nil // only comments
	}
	return s, nil
}

// statement is a prepared statement and, once started, its result.
type statement struct {
	conn   *conn
	prep   bindings.PreparedStatement
	result bindings.Result
	active bool // tasks of it may be running
}

// prepareSingle prepares sql, which must be one statement.
func (c *conn) prepareSingle(sql string) (*statement, error) {
	list, err := c.extract(sql)
	if err != nil {
		return nil, err
	}
	defer list.destroy()
	if list.n != 1 {
		return nil, &engine.Error{Class: "parser", Message: fmt.Sprintf("one statement expected, got %d", list.n)}
	}
	return c.prepare(list, 0)
}

func (c *conn) prepare(list statements, i int) (*statement, error) {
	c.sequence.Add(1)
	c.running.Store(1)
	s := &statement{conn: c}
	if bindings.PrepareExtractedStatement(c.c, list.list, bindings.IdxT(i), &s.prep) != bindings.StateSuccess {
		err := parseError(bindings.PrepareError(s.prep))
		s.destroy()
		return nil, err
	}
	text := ""
	if list.n == 1 {
		text = list.text
	}
	if err := c.permit(s, text); err != nil {
		s.destroy()
		return nil, err
	}
	return s, nil
}

// start runs the statement until its first rows are there. Waiting for other
// threads sleeps a little instead of spinning.
func (s *statement) start(ctx context.Context) error {
	var pending bindings.PendingResult
	defer bindings.DestroyPending(&pending)
	if bindings.PendingPreparedStreaming(s.prep, &pending) != bindings.StateSuccess {
		return parseError(bindings.PendingError(pending))
	}
	s.active = true
	if err := ctx.Err(); err != nil {
		return err
	}
	idle := time.Time{}
	for {
		switch bindings.PendingExecuteTask(pending) {
		case bindings.PendingStateResultNotReady:
			idle = time.Time{}
		case bindings.PendingStateNoTasksAvailable:
			idle = rest(idle)
		case bindings.PendingStateError:
			return parseError(bindings.PendingError(pending))
		default:
			if bindings.ExecutePending(pending, &s.result) != bindings.StateSuccess {
				return parseError(bindings.ResultError(&s.result))
			}
			return nil
		}
	}
}

// rest waits a little for the other threads, which have all the tasks since
// idle (zero: since now). A short statement is over before a sleep is, so it
// begins by asking again at once.
func rest(idle time.Time) time.Time {
	if idle.IsZero() {
		return time.Now()
	}
	if waited := time.Since(idle); waited > 50*time.Microsecond {
		time.Sleep(min(waited/4, time.Millisecond))
	}
	return idle
}

// next fetches the next chunk; ok is false at the end. The caller destroys it.
func (s *statement) next() (chunk bindings.DataChunk, ok bool, err error) {
	chunk = bindings.FetchChunk(s.result)
	if chunk.Ptr == nil {
		s.active = false
		if msg := bindings.ResultError(&s.result); msg != "" {
			return chunk, false, parseError(msg)
		}
		return chunk, false, nil
	}
	return chunk, true, nil
}

// drain reads the result to its end: statements only finish then.
func (s *statement) drain() error {
	for {
		chunk, ok, err := s.next()
		if !ok {
			return err
		}
		bindings.DestroyDataChunk(&chunk)
	}
}

// parameters lists the names of the parameters by index.
func (s *statement) parameters() []string {
	names := make([]string, bindings.NParams(s.prep))
	for i := range names {
		names[i] = bindings.ParameterName(s.prep, bindings.IdxT(i+1))
	}
	return names
}

// destroy frees everything. What still ran for the result has stopped on
// return, so that files and streams it read can go.
func (s *statement) destroy() {
	bindings.DestroyResult(&s.result)
	if s.active {
		s.conn.cancelActive()
	}
	bindings.DestroyPrepare(&s.prep)
	s.conn.running.Store(0)
}

// cancelActive ends a result that was given up half way. DuckDB keeps its
// tasks until the next statement is prepared.
func (c *conn) cancelActive() {
	bindings.Interrupt(c.c)
	var prep bindings.PreparedStatement
	bindings.Prepare(c.c, "SELECT 1", &prep)
	bindings.DestroyPrepare(&prep)
}
