package supertable_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/testdb"
	"github.com/supertable-go/supertable/storage"
)

// childRollback goes back to snapshot 1, 2 and 3 in turn and prints each result.
func childRollback(t *testing.T, args []string) {
	t.Helper()
	first, _ := strconv.Atoi(args[0])
	lake, err := supertable.Open(t.Context(), args[1], nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lake.Close() }()
	st, err := lake.SuperTable(t.Context(), "default", "m")
	if err != nil {
		t.Fatal(err)
	}
	s, err := st.Session(t.Context(), supertable.Superuser)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 12 {
		res, err := s.Rollback(t.Context(), "t", int64((first+i)%3+1), nil)
		if err != nil {
			t.Fatal(err)
		}
		say(res)
	}
}

// TestProcessesRollBackAtOnce: every snapshot is what its rollback meant, and
// what a rollback reports is true of the head that it met.
func TestProcessesRollBackAtOnce(t *testing.T) {
	db := testdb.Open(t)
	s := db.Session("m")
	testdb.Write(t, s, "t", "k:int64,v:text", `[{"k":1,"v":"a"},{"k":2,"v":"b"},{"k":3,"v":"c"}]`, nil)
	testdb.Write(t, s, "t", "k:int64,v:text", `[{"k":2,"v":"B"}]`, &supertable.WriteOptions{Key: []string{"k"}})
	testdb.Write(t, s, "t", "k:int64,v:text", `[{"k":4,"v":"d"},{"k":1,"v":"A"}]`, &supertable.WriteOptions{Key: []string{"k"}})
	at := func(n int64) string {
		return testdb.Query(t, s, "SELECT * FROM t", &supertable.QueryOptions{AtVersion: &n})
	}
	want := map[int64]string{1: at(1), 2: at(2), 3: at(3)}
	state := map[int64]int64{3: 3} // which state a snapshot has
	var results []supertable.RollbackResult
	for _, lines := range runAll(t, 3, "rollback", db.Home) {
		for _, l := range lines {
			var r supertable.RollbackResult
			if err := json.Unmarshal([]byte(l), &r); err != nil {
				t.Fatal(err)
			}
			results = append(results, r)
		}
	}
	for _, r := range results {
		if r.Snapshot > r.From {
			state[r.Snapshot] = r.To
		}
	}
	made := 0
	for _, r := range results {
		if r.Snapshot == r.From {
			if state[r.From] != r.To || r.Inserted+r.Deleted != 0 {
				t.Errorf("nothing to do, though the state was that of %d: %+v", state[r.From], r)
			}
			continue
		}
		made++
		a, b := len(strings.Fields(want[state[r.From]])), len(strings.Fields(want[r.To]))
		if r.Inserted-r.Deleted != int64(b-a) || state[r.From] == r.To {
			t.Errorf("from the state of %d: %+v", state[r.From], r)
		}
		if got := at(r.Snapshot); got != want[r.To] {
			t.Errorf("%+v: the state is\n%s\nwant\n%s", r, got, want[r.To])
		}
	}
	list, err := s.History(t.Context(), "t")
	if err != nil || len(list) != 3+made || made == 0 {
		t.Errorf("%d rollbacks made a snapshot, the history has %d entries: %v", made, len(list), err)
	}
}

// TestRollbackWhileWritersWrite replays the history in the order of its
// snapshots: no write is lost before a rollback, and none survives it.
func TestRollbackWhileWritersWrite(t *testing.T) {
	db := testdb.Open(t)
	s := db.Session("m")
	testdb.Write(t, s, "t", "k:int64", `[{"k":-1},{"k":-2}]`, nil)
	var mu sync.Mutex
	wrote := map[int64]string{} // by snapshot
	var wg sync.WaitGroup
	for w := range 3 {
		wg.Go(func() {
			for i := range 15 {
				k := strconv.Itoa(100*w + i)
				rr := testdb.Batch(t, "k:int64", `[{"k":`+k+`}]`)
				var o supertable.WriteOptions
				if i%2 == 1 {
					o.Key = []string{"k"}
				}
				res, err := s.Write(t.Context(), "t", rr, &o)
				rr.Release()
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				wrote[res.Snapshot] = k
				mu.Unlock()
			}
		})
	}
	writing, back := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(back)
		for {
			select {
			case <-writing:
				return
			default:
			}
			if _, err := s.Rollback(t.Context(), "t", 1, nil); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	wg.Wait()
	close(writing)
	<-back
	list, err := s.History(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(list)
	var want []string
	rollbacks := 0
	for _, e := range list {
		switch {
		case e.Operation == "rollback":
			if e.Deleted != int64(len(want)-2) {
				t.Errorf("snapshot %d: the rollback says %d deleted of %d", e.Snapshot, e.Deleted, len(want))
			}
			rollbacks++
			fallthrough
		case e.Snapshot == 1:
			want = []string{"-1", "-2"}
		default:
			want = append(want, wrote[e.Snapshot])
		}
		rows := slices.Clone(want)
		slices.Sort(rows)
		if got := testdb.Query(t, s, "SELECT * FROM t", &supertable.QueryOptions{AtVersion: &e.Snapshot}); got != strings.Join(rows, "\n") {
			t.Fatalf("snapshot %d (%s): %q, want %q", e.Snapshot, e.Operation, got, rows)
		}
	}
	if rollbacks == 0 {
		t.Error("no rollback met a write")
	}
}

// TestUndropRaces: one of several wins, the others see its table.
func TestUndropRaces(t *testing.T) {
	db := testdb.Open(t)
	s := db.Session("m")
	testdb.Write(t, s, "t", "k:int64", `[{"k":1}]`, nil)
	if _, err := s.DropTable(t.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	answers := make([]error, 4)
	for i := range answers {
		wg.Go(func() { _, answers[i] = s.Undrop(t.Context(), "t") })
	}
	wg.Wait()
	kinds := map[supertable.ErrorKind]int{}
	for _, err := range answers {
		kinds[supertable.KindOf(err)]++
	}
	if kinds[""] != 1 || kinds[supertable.AlreadyExists] != 3 {
		t.Errorf("four undrops at once: %v", answers)
	}
	if got := testdb.Query(t, s, "SELECT * FROM t", nil); got != "1" {
		t.Errorf("the table has %q", got)
	}
}

// TestLineageInTheHistory: what a write kept is given back, with all digits.
func TestLineageInTheHistory(t *testing.T) {
	s := testdb.Open(t).Session("m")
	testdb.Write(t, s, "t", "k:int64", `[{"k":1}]`, &supertable.WriteOptions{Message: "first", Lineage: map[string]any{"job": "nightly", "run": int64(9007199254740993)}})
	testdb.Write(t, s, "t", "k:int64", `[{"k":2}]`, nil)
	if _, err := s.Rollback(t.Context(), "t", 1, &supertable.RollbackOptions{Message: "too much"}); err != nil {
		t.Fatal(err)
	}
	list, err := s.History(t.Context(), "t")
	if err != nil || len(list) != 3 {
		t.Fatalf("%d entries, %v", len(list), err)
	}
	if got := fmt.Sprint(list[2].Lineage); got != "map[job:nightly run:9007199254740993]" {
		t.Errorf("lineage %s", got)
	}
	if e := list[0]; e.Operation != "rollback" || e.Message != "too much" || e.Principal != "superuser" || e.Lineage != nil {
		t.Errorf("the rollback's entry: %+v", e)
	}
}

// TestDiffReadsWhatChanged: a difference of states that share files reads only
// the others, and the feed reads each change once.
func TestDiffReadsWhatChanged(t *testing.T) {
	s := testdb.Open(t).Session("m")
	for i := range 10 {
		testdb.Write(t, s, "t", "k:int64", fmt.Sprintf(`[{"k":%d},{"k":%d}]`, i, i+100), nil)
	}
	testdb.Write(t, s, "t", "k:int64", `[{"k":3}]`, &supertable.WriteOptions{Key: []string{"k"}, DeleteOnly: true})
	rows, err := s.Diff(t.Context(), "t", 9, 11, nil)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := resultLines(rows)
	if err != nil || strings.Join(lines, " ") != "change|k delete|3 insert|9 insert|109" {
		t.Errorf("diff: %q %v", lines, err)
	}
	rows, err = s.Changes(t.Context(), "t", 10, nil)
	if err != nil {
		t.Fatal(err)
	}
	lines, err = resultLines(rows)
	if err != nil || strings.Join(lines, " ") != "change|snapshot|k delete|11|3" {
		t.Errorf("changes: %q %v", lines, err)
	}
	if r := rows.Report(); r.Rows != 1 {
		t.Errorf("the report counts %d rows", r.Rows)
	}
}

// TestReturnIsAReader: as long as a rollback works on its files, no expiry
// takes the snapshot that comes back.
func TestReturnIsAReader(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	s := testdb.At(t, home, nil).Session("reads")
	first := write(t, s, "t", testdb.Batch(t, "id:int64", `[{"id":1},{"id":2}]`), nil)
	write(t, s, "t", testdb.Batch(t, "id:int64", `[{"id":2}]`), &supertable.WriteOptions{Key: []string{"id"}, DeleteOnly: true})
	folder := storage.At(filepath.Join(home, "default", "reads"))
	release, err := folder.Lock(t.Context(), "commit.lock") // it gets as far as its commit
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := s.Rollback(t.Context(), "t", first.Snapshot, nil)
		done <- err
	}()
	floor := int64(-2)
	for range 200 {
		marks, err := folder.Marks()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range marks {
			floor = f
		}
		if floor == first.Snapshot {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if floor != first.Snapshot {
		t.Errorf("the oldest snapshot that is read is %d, want %d", floor, first.Snapshot)
	}
	release()
	if err := <-done; err != nil {
		t.Error(err)
	}
	for range 200 { // the mark goes with the rollback
		if marks, err := folder.Marks(); err == nil && !slices.ContainsFunc(slices.Collect(maps.Values(marks)), func(f int64) bool { return f != storage.FloorIdle }) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("the rollback is still marked as a reader")
}

// TestReturnReadsOutsideTheLock: what a merged file has of each snapshot is
// read before the commit lock is taken, and not again inside it.
func TestReturnReadsOutsideTheLock(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	s := testdb.At(t, home, nil).Session("reads")
	first := write(t, s, "t", testdb.Batch(t, "id:int64", `[{"id":1},{"id":2}]`), nil)
	write(t, s, "t", testdb.Batch(t, "id:int64", `[{"id":3}]`), nil)
	if _, err := s.Compact(t.Context(), "t", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Clean(t.Context(), &supertable.CleanOptions{Grace: new(time.Duration)}); err != nil {
		t.Fatal(err)
	}
	folder := storage.At(filepath.Join(home, "default", "reads"))
	merged, err := folder.DataFiles()
	if err != nil || len(merged) != 1 {
		t.Fatal(merged, err)
	}
	release, err := folder.Lock(t.Context(), "commit.lock")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := s.Rollback(t.Context(), "t", first.Snapshot, nil)
		done <- err
	}()
	for files := merged; len(files) < 2; time.Sleep(5 * time.Millisecond) { // until the copy is made
		if files, err = folder.DataFiles(); err != nil {
			t.Fatal(err)
		}
	}
	at := filepath.Join(folder.Data(), merged[0])
	if err := os.Rename(at, at+".away"); err != nil {
		t.Fatal(err)
	}
	release()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := os.Rename(at+".away", at); err != nil {
		t.Fatal(err)
	}
	if got := testdb.Query(t, s, "SELECT id FROM t ORDER BY id", nil); got != "1\n2" {
		t.Errorf("after the return: %s", got)
	}
}
