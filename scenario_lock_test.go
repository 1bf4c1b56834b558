package supertable_test

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3" // the driver of a foreign client

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/testdb"
)

// childHoldFlock holds the commit lock until its standard input ends.
func childHoldFlock(t *testing.T, args []string) {
	f, err := os.OpenFile(filepath.Join(args[0], "tmp", "commit.lock"), os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	say(map[string]bool{"held": true})
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// childHoldImmediate holds a write transaction of the catalog, as a foreign
// client does, until its standard input ends.
func childHoldImmediate(t *testing.T, args []string) {
	db, err := sql.Open("sqlite3", filepath.Join(args[0], "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	say(map[string]bool{"held": true})
	_, _ = io.Copy(io.Discard, os.Stdin)
	if _, err := conn.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
}

// hold starts a helper that holds a lock of the SuperTable and gives what
// lets it go.
func hold(t *testing.T, how, folder string) (release func()) {
	t.Helper()
	cmd := process(t, how, folder)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(out)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("the holder said nothing: %v", err)
		}
		if strings.HasPrefix(line, "{") {
			break
		}
	}
	return func() {
		_ = in.Close()
		_, _ = io.Copy(io.Discard, r)
		if err := cmd.Wait(); err != nil {
			t.Error("the holder:", err)
		}
	}
}

// TestW37 writes while another process keeps the catalog for itself: with a
// deadline it is a timeout and nothing is written, without one the write waits.
func TestW37(t *testing.T) {
	for _, how := range []string{"hold-flock", "hold-immediate"} {
		t.Run(how, func(t *testing.T) {
			db := testdb.Open(t)
			s := db.Session("w37")
			folder := filepath.Join(db.Home, "default", "w37")
			testdb.Write(t, s, "t", "id:int64,v:int64", one(t, 1, 1), nil)
			before := files(t, folder)
			release := hold(t, how, folder)

			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			rr := testdb.Batch(t, "id:int64,v:int64", one(t, 1, 2))
			defer rr.Release()
			_, err := s.Write(ctx, "t", rr, &supertable.WriteOptions{Key: []string{"id"}})
			if supertable.KindOf(err) != supertable.Timeout {
				t.Errorf("with a deadline: %v, want a timeout", err)
			}
			if got := testdb.Query(t, s, "select v from t", nil); got != "1" { // a reader waits for nobody
				t.Errorf("rows %s, want the old one", got)
			}
			if after := files(t, folder); strings.Join(after, " ") != strings.Join(before, " ") {
				t.Errorf("files: %v, before %v", after, before)
			}

			done := make(chan supertable.WriteResult, 1)
			go func() {
				done <- testdb.Write(t, s, "t", "id:int64,v:int64", one(t, 1, 3), &supertable.WriteOptions{Key: []string{"id"}})
			}()
			select {
			case r := <-done:
				t.Errorf("the write did not wait: %+v", r)
			case <-time.After(400 * time.Millisecond):
			}
			release()
			if r := <-done; r.Inserted != 1 || r.Deleted != 1 || r.Version != 2 {
				t.Errorf("the write that waited: %+v", r)
			}
			if got := testdb.Query(t, s, "select v from t", nil); got != "3" {
				t.Errorf("rows %s, want the new one", got)
			}
		})
	}
}

// files lists the data files of a SuperTable.
func files(t *testing.T, folder string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(folder, "data", "main", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// childEndless overwrites a few keys and appends, until it is killed.
func childEndless(t *testing.T, args []string) {
	s := openSuper(t, args[0], "x14")
	for i := range 1_000_000 {
		rows := fmt.Sprintf(`[{"id":%d,"v":%d},{"id":%d,"v":%d}]`, i%3, i, 1000+i, i)
		say(testdb.Write(t, s, "t", "id:int64,v:int64", rows, &supertable.WriteOptions{Key: []string{"id"}}))
	}
}

// TestX14 kills a writer: what it was told is written is there, at most one
// write more, and nothing in halves.
func TestX14(t *testing.T) {
	db := testdb.At(t, t.TempDir(), &supertable.Options{MemoryBytes: 256 << 20, LeaseTTL: time.Millisecond})
	for _, kill := range []int{1, 4, 9} {
		cmd := process(t, "endless", db.Home)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var last supertable.WriteResult
		for r, killed := bufio.NewReader(out), false; ; {
			line, err := r.ReadString('\n')
			if err != nil { // what it said before it died was read to the end
				if !killed {
					t.Fatal("the writer stopped by itself:", err)
				}
				break
			}
			if strings.HasPrefix(line, "{") {
				last = results(t, []string{line})[0]
				if kill--; kill == 0 {
					_ = cmd.Process.Kill()
					killed = true
				}
			}
		}
		_ = cmd.Wait()

		s := db.Session("x14")
		tables, err := s.Tables(t.Context())
		if err != nil || len(tables) != 1 {
			t.Fatalf("tables %+v, %v", tables, err)
		}
		version := tables[0].Version
		if version != last.Version && version != last.Version+1 {
			t.Errorf("version %d, want %d or one more", version, last.Version)
		}
		got := testdb.Query(t, s, "select count(*) = count(distinct id) and count(case when id between 0 and 999 then 1 end) <= 3, count(*) from t", nil)
		if !strings.HasPrefix(got, "true|") || got == "true|0" {
			t.Errorf("rows after the kill: %s", got)
		}
		if r := testdb.Write(t, s, "t", "id:int64,v:int64", one(t, -1, 0), &supertable.WriteOptions{Key: []string{"id"}}); r.Version != version+1 {
			t.Errorf("the next write: %+v", r)
		}
	}
}
