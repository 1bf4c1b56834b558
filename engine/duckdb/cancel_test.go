package duckdb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/supertable-go/supertable/engine"
)

const forever = "SELECT count(*) FROM range(1000000) a(i), range(1000000) b(i) WHERE hash(a.i + b.i) = 7"

func TestCancelWhileExecuting(t *testing.T) {
	_, c := open(t, engine.Options{})
	for name, run := range map[string]func(ctx context.Context) error{
		"query": func(ctx context.Context) error { _, err := engine.Collect(ctx, c, forever, nil); return err },
		"exec":  func(ctx context.Context) error { return c.Exec(ctx, "SELECT 1; "+forever+"; SELECT 1") },
		"copy":  func(ctx context.Context) error { return c.Exec(ctx, "CREATE TEMP TABLE t AS "+forever) },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
			defer cancel()
			start := time.Now()
			if err := run(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("it took %v", took)
			}
			if rows, err := engine.Collect(context.Background(), c, "SELECT 1", nil); err != nil || len(rows) != 1 {
				t.Errorf("afterwards: %v, %v", rows, err)
			}
		})
	}
}

func TestCancelWhileFetching(t *testing.T) {
	_, c := open(t, engine.Options{})
	ctx, cancel := context.WithCancel(context.Background())
	r, err := c.Query(ctx, "SELECT hash(i) FROM range(1000000000) r(i)", nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if !r.Next() {
			t.Fatal(r.Err())
		}
	}
	time.AfterFunc(50*time.Millisecond, cancel)
	start := time.Now()
	for r.Next() {
	}
	if !errors.Is(r.Err(), context.Canceled) || time.Since(start) > 2*time.Second {
		t.Errorf("after %v: %v", time.Since(start), r.Err())
	}
	r.Release()
	if err := c.Exec(context.Background(), "SELECT 1"); err != nil {
		t.Error(err)
	}
}

func TestCancelBetweenFetches(t *testing.T) {
	_, c := open(t, engine.Options{})
	ctx, cancel := context.WithCancel(context.Background())
	r, err := c.Query(ctx, "SELECT hash(i) FROM range(1000000000) r(i)", nil)
	if err != nil || !r.Next() {
		t.Fatal(err)
	}
	cancel()
	if r.Next() || !errors.Is(r.Err(), context.Canceled) {
		t.Errorf("got %v", r.Err())
	}
	r.Release()
}

func TestCancelledBefore(t *testing.T) {
	db, c := open(t, engine.Options{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := c.Exec(ctx, "CREATE TABLE t (i INT)"); !errors.Is(err, context.Canceled) {
		t.Errorf("exec: %v", err)
	}
	if _, err := c.Query(ctx, "SELECT 1", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("query: %v", err)
	}
	if _, err := db.Conn(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("conn: %v", err)
	}
	if _, err := engine.Collect(context.Background(), c, "FROM t", nil); class(err) != "catalog" {
		t.Errorf("the statement ran: %v", err)
	}
}

// TestCancelAnyTime cancels after every delay of a short statement's life. It
// ends well or with the context's error, and the connection stays usable.
func TestCancelAnyTime(t *testing.T) {
	_, c := open(t, engine.Options{})
	for i := range 300 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(i)*5*time.Microsecond)
		rows, err := engine.Collect(ctx, c, "SELECT sum(i) FROM range(100000) r(i)", nil)
		if err != nil && !errors.Is(err, context.DeadlineExceeded) || err == nil && len(rows) != 1 {
			t.Fatalf("after %d: %v, %v", i, rows, err)
		}
		cancel()
		if rows, err := engine.Collect(context.Background(), c, "SELECT 1", nil); err != nil || len(rows) != 1 {
			t.Fatalf("the statement after %d: %v, %v", i, rows, err)
		}
	}
}

// TestWaitingIsIdle runs a statement that waits for a slow stream: the waiting
// thread must not burn a processor.
func TestWaitingIsIdle(t *testing.T) {
	_, c := open(t, engine.Options{Threads: 2})
	r := newSource(memory.NewGoAllocator(), 5, 10, nil)
	r.onNext = func() { time.Sleep(100 * time.Millisecond) }
	release, err := c.Stream("input", r)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	before := cpu()
	if _, err := engine.Collect(context.Background(), c, "SELECT count(*) FROM input", nil); err != nil {
		t.Fatal(err)
	}
	if used := cpu() - before; used > 200*time.Millisecond {
		t.Errorf("0.6 s of waiting used %v of processor time", used)
	}
}

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestStreamingMemory reads a large result slowly: what is not asked for is
// not made.
func TestStreamingMemory(t *testing.T) {
	_, c := open(t, engine.Options{})
	before := resident(t)
	r, err := c.Query(context.Background(), "SELECT i, hash(i)::VARCHAR AS h FROM range(50000000) r(i)", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	for range 2000 { // 4M rows, 100 MB
		if !r.Next() {
			t.Fatal(r.Err())
		}
	}
	if grown := resident(t) - before; grown > 60<<20 {
		t.Errorf("memory grew by %d MB", grown>>20)
	}
}

func resident(t *testing.T) int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip(err)
	}
	var size, pages int64
	if _, err := fmt.Sscan(string(text), &size, &pages); err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

func TestConcurrently(t *testing.T) {
	ctx := context.Background()
	db, c := open(t, engine.Options{Threads: 2})
	const rows = 20000
	files := writeFiles(t, c, t.TempDir(), 2, rows)
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for range 5 {
				if err := roundTrip(ctx, db, files, rows, n+1); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// roundTrip uses everything on one connection: dead rows 0..dead-1 of the
// first file, joined with a stream.
func roundTrip(ctx context.Context, db *DB, files []string, rows, dead int) error {
	c, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	token, releaseLive, err := c.Live([][]uint64{{1<<dead - 1}, nil})
	if err != nil {
		return err
	}
	defer releaseLive()
	releaseStream, err := c.Stream("input", newSource(memory.NewGoAllocator(), 10, 100, nil))
	if err != nil {
		return err
	}
	defer releaseStream()
	got, err := engine.Collect(ctx, c, strings.ReplaceAll(fmt.Sprintf(
		"SELECT count(*) FROM SCAN WHERE st_live(%d, file_index, file_row_number) AND id IN (SELECT i FROM input)", token),
		"SCAN", scan(files)), nil)
	if err != nil {
		return err
	}
	if want := int64(1000 - dead); got[0][0] != want {
		return fmt.Errorf("got %v rows, want %d", got[0][0], want)
	}
	short, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	if _, err := engine.Collect(short, c, forever, nil); !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("cancelled: %w", err)
	}
	return nil
}
