package duckdb

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/supertable-go/supertable/engine"
)

var numbers = arrow.NewSchema([]arrow.Field{
	{Name: "i", Type: arrow.PrimitiveTypes.Int64},
	{Name: "Odd name", Type: arrow.BinaryTypes.String, Nullable: true},
}, nil)

// source makes batches of size rows, counting up, and then ends with err.
type source struct {
	array.RecordReader // nil: only to satisfy the interface's unused parts
	mem                memory.Allocator
	batches, size      int
	err                error
	made               int
	current            arrow.RecordBatch
	refs               int
	onNext             func()
}

func newSource(mem memory.Allocator, batches, size int, err error) *source {
	return &source{mem: mem, batches: batches, size: size, err: err, refs: 1}
}

func (s *source) Retain() { s.refs++ }
func (s *source) Release() {
	s.refs--
	if s.refs == 0 {
		s.drop()
	}
}

func (s *source) drop() {
	if s.current != nil {
		s.current.Release()
		s.current = nil
	}
}
func (s *source) Schema() *arrow.Schema          { return numbers }
func (s *source) RecordBatch() arrow.RecordBatch { return s.current }
func (s *source) Err() error {
	if s.made == s.batches {
		return s.err
	}
	return nil
}

func (s *source) Next() bool {
	s.drop()
	if s.onNext != nil {
		s.onNext()
	}
	if s.made == s.batches {
		return false
	}
	b := array.NewRecordBuilder(s.mem, numbers)
	defer b.Release()
	for i := range s.size {
		n := s.made*s.size + i
		b.Field(0).(*array.Int64Builder).Append(int64(n))
		if n%10 == 0 {
			b.Field(1).AppendNull()
		} else {
			b.Field(1).(*array.StringBuilder).Append(fmt.Sprint(n))
		}
	}
	s.current = b.NewRecordBatch()
	s.made++
	return true
}

// checked gives an allocator and fails the test on a leak.
func checked(t *testing.T) *memory.CheckedAllocator {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	t.Cleanup(func() { mem.AssertSize(t, 0) })
	return mem
}

// finished drops the test's reference and says whether it was the last.
func (s *source) finished(t *testing.T) {
	t.Helper()
	if s.Release(); s.refs != 0 {
		t.Errorf("%d references to the reader are left", s.refs)
	}
}

func TestStream(t *testing.T) {
	ctx := context.Background()
	_, c := open(t, engine.Options{})
	r := newSource(checked(t), 20, 3000, nil)
	defer r.finished(t)
	release, err := c.Stream("input", r)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	file := filepath.Join(t.TempDir(), "x.parquet")
	if err := c.Exec(ctx, "COPY (FROM input) TO '"+file+"' (FORMAT parquet)"); err != nil {
		t.Fatal(err)
	}
	rows, err := engine.Collect(ctx, c, `SELECT count(*), sum(i), count("Odd name") FROM '`+file+"'", nil)
	if err != nil || fmt.Sprint(rows) != "[[60000 1799970000 54000]]" {
		t.Errorf("got %v, %v", rows, err)
	}
}

func TestStreamIsReadOnce(t *testing.T) {
	ctx := context.Background()
	for _, second := range []struct{ name, first, then string }{
		{"again", "SELECT count(*) FROM input", "SELECT count(*) FROM input"},
		{"after a part", "SELECT i FROM input LIMIT 1", "SELECT count(*) FROM input"},
		{"self join", "SELECT 1", "SELECT count(*) FROM input a JOIN input b USING (i)"},
	} {
		t.Run(second.name, func(t *testing.T) {
			_, c := open(t, engine.Options{})
			r := newSource(checked(t), 20, 3000, nil)
			defer r.finished(t)
			release, err := c.Stream("input", r)
			if err != nil {
				t.Fatal(err)
			}
			defer release()
			if _, err := engine.Collect(ctx, c, second.first, nil); err != nil {
				t.Fatal(err)
			}
			rows, err := engine.Collect(ctx, c, second.then, nil)
			if !errors.Is(err, errReadTwice) {
				t.Errorf("got %v, %v", rows, err)
			}
			if _, err := engine.Collect(ctx, c, "SELECT nothing", nil); errors.Is(err, errReadTwice) {
				t.Error("a later statement got the stream's error")
			}
		})
	}
}

func TestStreamError(t *testing.T) {
	ctx := context.Background()
	broken := errors.New("line 7 is broken")
	_, c := open(t, engine.Options{})
	for _, run := range []func(sql string) error{
		func(sql string) error { return c.Exec(ctx, sql) },
		func(sql string) error { _, err := engine.Collect(ctx, c, sql, nil); return err },
	} {
		r := newSource(checked(t), 3, 100, broken)
		release, err := c.Stream("input", r)
		if err != nil {
			t.Fatal(err)
		}
		if err := run("SELECT count(*) FROM input"); !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
		release()
		r.finished(t)
	}
}

func TestStreamRelease(t *testing.T) {
	ctx := context.Background()
	db, c := open(t, engine.Options{})
	t.Run("never read", func(t *testing.T) {
		r := newSource(checked(t), 3, 100, nil)
		release, err := c.Stream("input", r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Stream("input", r); err == nil {
			t.Error("two streams have one name")
		}
		release()
		release()
		r.finished(t)
		if _, err := engine.Collect(ctx, c, "FROM input", nil); err == nil {
			t.Error("a released stream can be read")
		}
	})
	t.Run("while it is read", func(t *testing.T) {
		r := newSource(checked(t), 100, 30000, nil)
		release, err := c.Stream("input", r)
		if err != nil {
			t.Fatal(err)
		}
		res, err := c.Query(ctx, "FROM input", nil)
		if err != nil || !res.Next() {
			t.Fatal(err)
		}
		release()
		if !res.Next() {
			t.Error(res.Err())
		}
		res.Release()
		r.finished(t)
	})
	t.Run("after the connection", func(t *testing.T) {
		other, err := db.Conn(ctx)
		if err != nil {
			t.Fatal(err)
		}
		r := newSource(checked(t), 3, 100, nil)
		release, err := other.Stream("input", r)
		if err != nil {
			t.Fatal(err)
		}
		other.Close()
		release()
		r.finished(t)
	})
	t.Run("in an aborted transaction", func(t *testing.T) {
		r := newSource(checked(t), 3, 100, nil)
		release, err := c.Stream("input", r)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Exec(ctx, "BEGIN; SELECT error('x')"); err == nil {
			t.Error("no error")
		}
		release()
		r.finished(t)
		if err := c.Exec(ctx, "ROLLBACK"); err != nil {
			t.Fatal(err)
		}
		if _, err := engine.Collect(ctx, c, "FROM input", nil); err == nil {
			t.Error("a released stream can be read")
		}
	})
	rows, err := engine.Collect(ctx, c, "SELECT count(*) FROM duckdb_views() WHERE view_name LIKE 'st_stream%'", nil)
	if err != nil || rows[0][0] != int64(0) {
		t.Errorf("views are left: %v, %v", rows, err)
	}
}

func TestStreamNames(t *testing.T) {
	_, c := open(t, engine.Options{})
	for _, name := range []string{"", "1a", "a b", "A", `a"`, "a;b", "ä"} {
		if _, err := c.Stream(name, newSource(memory.NewGoAllocator(), 1, 1, nil)); err == nil {
			t.Errorf("%q was taken", name)
		}
	}
}
