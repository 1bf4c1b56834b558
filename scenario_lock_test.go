package supertable_test

import (
	"bufio"
	"context"
	"database/sql"
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
