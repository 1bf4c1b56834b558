package faulty

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/mattn/go-sqlite3"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/testdb"
)

// connector opens SQLite by its data source name.
type connector string

func (c connector) Connect(context.Context) (driver.Conn, error) { return c.Driver().Open(string(c)) }
func (c connector) Driver() driver.Driver                        { return &sqlite3.SQLiteDriver{} }

// catalogDB opens the catalog as another program would.
func catalogDB(t *testing.T, home string) *sql.DB {
	t.Helper()
	db := sql.OpenDB(connector("file:" + (&url.URL{Path: filepath.Join(root(home), "catalog.db")}).EscapedPath() + "?_busy_timeout=10000"))
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// slow is a reader whose batches come when the test lets them, but for the first
// ones: those are read ahead, before the writer has anything to lose.
type slow struct {
	array.RecordReader
	free    int
	reached chan struct{} // closed when the next batch is asked for
	gate    chan struct{}
	once    sync.Once
}

func (s *slow) Next() bool {
	if s.free--; s.free < 0 {
		s.once.Do(func() { close(s.reached) })
		<-s.gate
	}
	return s.RecordReader.Next()
}

func slowRows(t *testing.T, from, n int) *slow {
	t.Helper()
	recs := []arrow.RecordBatch{rowsOf(from, 2*n, "slow"), rowsOf(from+2*n, 2*n, "slow"), rowsOf(from+4*n, n, "slow")}
	rr, err := array.NewRecordReader(schema, recs)
	if err != nil {
		t.Fatal(err)
	}
	return &slow{RecordReader: rr, free: 2, reached: make(chan struct{}), gate: make(chan struct{})}
}

// sweepNow opens the home as if the given time had gone by.
func sweepNow(t *testing.T, home string, later time.Duration) {
	t.Helper()
	lake, err := supertable.Open(t.Context(), home, &supertable.Options{InlineRows: -1, Now: func() time.Time { return time.Now().Add(later) }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lake.SuperTable(t.Context(), "default", "main"); err != nil {
		t.Fatal(err)
	}
	if err := lake.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestSleptPastItsLease sweeps a writer's lease while it waits for its input:
// it must not commit, and the next write goes.
func TestSleptPastItsLease(t *testing.T) {
	for _, key := range []*supertable.WriteOptions{nil, byKey} {
		home := t.TempDir()
		s := session(t, open(t, home, supertable.Options{}))
		mustPut(t, s, "t", 0, 1000, "base", nil)
		before := state(t, s, "t")
		in := slowRows(t, 500, 1000)
		done := make(chan error, 1)
		go func() { _, err := s.Write(t.Context(), "t", in, key); done <- err }()
		<-in.reached
		sweepNow(t, home, time.Hour)
		close(in.gate)
		wantKind(t, <-done, supertable.Unavailable)
		wantState(t, s, "t", before)
		nextWrites(t, s, "t")
		if _, err := s.WriteFrom(t.Context(), "t", strings.NewReader("k,v\n5,five\n"), &supertable.WriteOptions{Format: "csv"}); err != nil {
			t.Errorf("the next stream: %v", err)
		}
		wantClean(t, s)
	}
}

// TestIdlePastItsLease sweeps the lease of a process that writes nothing just
// then: its next writes take a new one without a word.
func TestIdlePastItsLease(t *testing.T) {
	home := t.TempDir()
	s := session(t, open(t, home, supertable.Options{}))
	mustPut(t, s, "t", 0, 10, "base", nil)
	sweepNow(t, home, time.Hour)
	if _, err := s.WriteFrom(t.Context(), "t", strings.NewReader("k,v\n5,five\n"), &supertable.WriteOptions{Format: "csv"}); err != nil {
		t.Errorf("a stream: %v", err)
	}
	sweepNow(t, home, time.Hour)
	nextWrites(t, s, "t")
	wantClean(t, s)
}

// TestSlowWriterIsAlive writes for longer than its lease, with others sweeping
// all the time: the heartbeat keeps it.
func TestSlowWriterIsAlive(t *testing.T) {
	home := t.TempDir()
	short := supertable.Options{LeaseTTL: 600 * time.Millisecond}
	s := session(t, open(t, home, short))
	mustPut(t, s, "t", 0, 1000, "base", nil)
	in := slowRows(t, 500, 1000)
	done := make(chan error, 1)
	go func() { _, err := s.Write(t.Context(), "t", in, byKey); done <- err }()
	<-in.reached
	for range 12 {
		time.Sleep(120 * time.Millisecond)
		sweepNow(t, home, 0)
	}
	close(in.gate)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := testdb.Query(t, s, "SELECT count(*), count(DISTINCT k) FROM t", nil); got != "5500|5500" {
		t.Errorf("got %s", got)
	}
	wantClean(t, s)
}

// TestSweepersAndWriters lets processes sweep with a clock ahead while others
// write: no file of a committed snapshot is ever removed.
func TestSweepersAndWriters(t *testing.T) {
	home := t.TempDir()
	s := session(t, open(t, home, supertable.Options{}))
	mustPut(t, s, "t", 0, 1000, "base", nil)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				sweepNow(t, home, time.Hour)
			}
		}
	})
	rows, lost := 1000, 0
	for i := range 40 {
		_, err := put(t.Context(), s, "t", 10_000+i*50, 50, "more", nil)
		switch supertable.KindOf(err) {
		case "":
			rows += 50
		case supertable.Unavailable:
			lost++
		default:
			t.Errorf("write %d: %v", i, err)
		}
	}
	close(stop)
	wg.Wait()
	t.Logf("%d of 40 writes lost their lease", lost)
	if got := testdb.Query(t, s, "SELECT count(*) FROM t", nil); got != fmt.Sprint(rows) {
		t.Errorf("got %s rows, want %d", got, rows)
	}
	nextWrites(t, s, "t")
	sweepNow(t, home, 2*time.Hour)
	wantClean(t, s)
}

// TestMovedHome moves a home, and copies one: reads work at once, the first
// write sets the path right, and copies go their own ways.
func TestMovedHome(t *testing.T) {
	base := t.TempDir()
	home := filepath.Join(base, "a")
	first, err := supertable.Open(t.Context(), home, &supertable.Options{InlineRows: -1})
	if err != nil {
		t.Fatal(err)
	}
	s := session(t, first)
	if err := s.SetOption(t.Context(), "", "inline_delete_limit", "0"); err != nil {
		t.Fatal(err)
	}
	mustPut(t, s, "t", 0, 1000, "base", nil)
	mustPut(t, s, "t", 100, 50, "new", byKey)
	before := state(t, s, "t")
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	moved, copied := filepath.Join(base, "b c", "d"), filepath.Join(base, "copy")
	if err := os.MkdirAll(filepath.Dir(moved), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(home, moved); err != nil {
		t.Fatal(err)
	}
	copyTree(t, moved, copied)
	for i, at := range []string{moved, copied} {
		lake := open(t, at, supertable.Options{})
		st, err := lake.SuperTable(t.Context(), "default", "main")
		if err != nil {
			t.Fatal(err)
		}
		s, err := st.Session(t.Context(), supertable.Superuser)
		if err != nil {
			t.Fatal(err)
		}
		wantState(t, s, "t", before)
		if got := dataPath(t, at); strings.HasPrefix(got, at) {
			t.Errorf("reading changed the path to %s", got)
		}
		mustPut(t, s, "t", 5000*i, 10, "moved", byKey)
		if got, want := dataPath(t, at), filepath.Join(root(at), "data")+"/"; got != want {
			t.Errorf("got data path %s, want %s", got, want)
		}
		wantClean(t, s)
	}
	s = session(t, open(t, moved, supertable.Options{}))
	if got := testdb.Query(t, s, "SELECT count(*) FILTER (WHERE v LIKE 'moved%'), count(*) FROM t", nil); got != "10|1000" {
		t.Errorf("the moved home has %s", got)
	}
	s = session(t, open(t, copied, supertable.Options{}))
	if got := testdb.Query(t, s, "SELECT count(*) FILTER (WHERE v LIKE 'moved%'), count(*) FROM t", nil); got != "10|1010" {
		t.Errorf("the copy has %s", got)
	}
	if _, err := os.Stat(home); err == nil {
		t.Error("the old home came back")
	}
}

func dataPath(t *testing.T, home string) string {
	t.Helper()
	var s string
	if err := catalogDB(t, home).QueryRowContext(context.Background(), `SELECT "value" FROM ducklake_metadata WHERE "key" = 'data_path'`).Scan(&s); err != nil {
		t.Fatal(err)
	}
	return s
}
