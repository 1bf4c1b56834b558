package supertable_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/testdb"
)

// child is what a helper process does, by the value of ST_CHILD: it works on
// the home that its arguments name and prints a JSON text per line.
var children = map[string]func(t *testing.T, args []string){
	"append":         childAppend,
	"overwrite":      childOverwrite,
	"create":         childCreate,
	"hold-flock":     childHoldFlock,
	"hold-immediate": childHoldImmediate,
	"endless":        childEndless,
	"rollback":       childRollback,
}

// TestChild is the helper process: the test binary runs itself with ST_CHILD set.
func TestChild(t *testing.T) {
	f := children[os.Getenv("ST_CHILD")]
	if f == nil {
		t.Skip("runs as a child of other tests only")
	}
	f(t, strings.Split(os.Getenv("ST_CHILD_ARGS"), "\n"))
}

// process starts a helper process.
func process(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), "ST_CHILD="+name, "ST_CHILD_ARGS="+strings.Join(args, "\n"))
	cmd.Stderr = os.Stderr
	return cmd
}

// runAll runs n helper processes at once and gives the lines that they print
// between the marks of the test framework.
func runAll(t *testing.T, n int, name string, args ...string) [][]string {
	t.Helper()
	out := make([][]string, n)
	var wg sync.WaitGroup
	for i := range n {
		cmd := process(t, name, append([]string{strconv.Itoa(i)}, args...)...)
		wg.Go(func() {
			text, err := cmd.Output()
			if err != nil {
				t.Errorf("process %d (%s): %v\n%s", i, name, err, text)
			}
			for line := range strings.Lines(string(text)) {
				if strings.HasPrefix(line, "{") {
					out[i] = append(out[i], line)
				}
			}
		})
	}
	wg.Wait()
	return out
}

func say(v any) {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	w := bufio.NewWriter(os.Stdout)
	fmt.Fprintf(w, "%s\n", text)
	_ = w.Flush()
}

// open opens a home as a process of its own does.
func openSuper(t testing.TB, home, super string) *supertable.Session {
	t.Helper()
	lake, err := supertable.Open(t.Context(), home, &supertable.Options{MemoryBytes: 256 << 20, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lake.Close() })
	st, _, err := lake.Create(t.Context(), "default", super, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := st.Session(t.Context(), supertable.Superuser)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// writers and rounds of W38 and W39.
const writers = 8

func rounds(full int) int {
	if testing.Short() {
		return full / 4
	}
	return full
}

// one is a stream of one row.
func one(t testing.TB, id, v int) string {
	t.Helper()
	return fmt.Sprintf(`[{"id":%d,"v":%d}]`, id, v)
}

// appendRows writes n rows, one a write, to the common table and to its own.
func appendRows(t testing.TB, s *supertable.Session, writer, n int, got func(supertable.WriteResult)) {
	for i := range n {
		got(testdb.Write(t, s, "common", "id:int64,v:int64", one(t, writer*1000+i, writer), nil))
		got(testdb.Write(t, s, fmt.Sprintf("own%d", writer), "id:int64,v:int64", one(t, i, writer), nil))
	}
}

func childAppend(t *testing.T, args []string) {
	p, _ := strconv.Atoi(args[0])
	n, _ := strconv.Atoi(args[2])
	s := openSuper(t, args[1], "w38")
	var wg sync.WaitGroup
	var mu sync.Mutex
	for w := range writers / 4 {
		wg.Go(func() {
			appendRows(t, s, p*writers/4+w, n, func(r supertable.WriteResult) {
				mu.Lock()
				defer mu.Unlock()
				say(r)
			})
		})
	}
	wg.Wait()
}

// TestW38 appends from 8 writers to one table, and to a table of each.
func TestW38(t *testing.T) {
	n := rounds(25)
	t.Run("goroutines", func(t *testing.T) {
		s := testdb.Open(t).Session("w38")
		var mu sync.Mutex
		var all []supertable.WriteResult
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				appendRows(t, s, w, n, func(r supertable.WriteResult) {
					mu.Lock()
					defer mu.Unlock()
					all = append(all, r)
				})
			})
		}
		wg.Wait()
		checkW38(t, s, n, all)
	})
	t.Run("processes", func(t *testing.T) {
		db := testdb.Open(t)
		s := db.Session("w38")
		var all []supertable.WriteResult
		for _, lines := range runAll(t, 4, "append", db.Home, strconv.Itoa(n)) {
			all = append(all, results(t, lines)...)
		}
		checkW38(t, s, n, all)
	})
}

func results(t testing.TB, lines []string) []supertable.WriteResult {
	t.Helper()
	var out []supertable.WriteResult
	for _, line := range lines {
		var r supertable.WriteResult
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

func checkW38(t *testing.T, s *supertable.Session, n int, all []supertable.WriteResult) {
	t.Helper()
	if len(all) != 2*writers*n {
		t.Fatalf("%d writes came back, want %d", len(all), 2*writers*n)
	}
	versions, snapshots := map[string][]int64{}, []int64{}
	for _, r := range all {
		versions[r.Table] = append(versions[r.Table], r.Version)
		snapshots = append(snapshots, r.Snapshot)
		if r.Inserted != 1 || r.Deleted != 0 {
			t.Errorf("a write: %+v", r)
		}
	}
	contiguous(t, "snapshots", snapshots)
	for name, list := range versions {
		contiguous(t, "versions of "+name, list)
	}
	got := testdb.Query(t, s, "select count(*), count(distinct id), count(distinct v) from common", nil)
	if want := fmt.Sprintf("%d|%d|%d", writers*n, writers*n, writers); got != want {
		t.Errorf("common: %s, want %s", got, want)
	}
	tables, err := s.Tables(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(tables) != writers+1 {
		t.Errorf("%d tables, want %d", len(tables), writers+1)
	}
	for _, l := range tables {
		want := int64(n)
		if l.Name == "common" {
			want *= writers
		}
		if l.Rows != want || l.Version != want {
			t.Errorf("table %s has %d rows at version %d, want %d of both", l.Name, l.Rows, l.Version, want)
		}
	}
}

// contiguous fails the test unless the numbers are 1, 2, 3, … in some order.
func contiguous(t *testing.T, what string, list []int64) {
	t.Helper()
	slices.Sort(list)
	for i, n := range list {
		if n != int64(i+1) {
			t.Errorf("%s: %d stands at place %d of %v", what, n, i+1, list)
			return
		}
	}
}

// overwrite writes key 1 n times and gives the sums of rows inserted and deleted.
func overwrite(t testing.TB, s *supertable.Session, writer, n int) (inserted, deleted int64) {
	for i := range n {
		r := testdb.Write(t, s, "t", "id:int64,v:int64", one(t, 1, writer*1000+i), &supertable.WriteOptions{Key: []string{"id"}})
		inserted, deleted = inserted+r.Inserted, deleted+r.Deleted
	}
	return inserted, deleted
}

type sums struct{ Inserted, Deleted int64 }

func childOverwrite(t *testing.T, args []string) {
	p, _ := strconv.Atoi(args[0])
	n, _ := strconv.Atoi(args[2])
	s := openSuper(t, args[1], "w39")
	say(overwriteAll(t, s, p*writers/4, writers/4, n))
}

func overwriteAll(t testing.TB, s *supertable.Session, first, count, n int) sums {
	var mu sync.Mutex
	var total sums
	var wg sync.WaitGroup
	for w := range count {
		wg.Go(func() {
			in, del := overwrite(t, s, first+w, n)
			mu.Lock()
			defer mu.Unlock()
			total.Inserted, total.Deleted = total.Inserted+in, total.Deleted+del
		})
	}
	wg.Wait()
	return total
}

// TestW39 overwrites one key from 8 writers: one row is left.
func TestW39(t *testing.T) {
	n := rounds(20)
	check := func(t *testing.T, s *supertable.Session, total sums) {
		t.Helper()
		if total.Inserted != int64(writers*n) || total.Inserted-total.Deleted != 1 {
			t.Errorf("inserted %d, deleted %d; want %d, and one less", total.Inserted, total.Deleted, writers*n)
		}
		if got := testdb.Query(t, s, "select count(*), min(id), max(id) from t", nil); got != "1|1|1" {
			t.Errorf("left: %s, want 1|1|1", got)
		}
		l, err := s.Tables(t.Context())
		if err != nil || len(l) != 1 || l[0].Version != int64(writers*n) || l[0].Files != 1 {
			t.Errorf("tables: %+v, %v", l, err)
		}
	}
	t.Run("goroutines", func(t *testing.T) {
		s := testdb.Open(t).Session("w39")
		check(t, s, overwriteAll(t, s, 0, writers, n))
	})
	t.Run("processes", func(t *testing.T) {
		db := testdb.Open(t)
		s := db.Session("w39")
		var total sums
		for _, lines := range runAll(t, 4, "overwrite", db.Home, strconv.Itoa(n)) {
			for _, line := range lines {
				var one sums
				if err := json.Unmarshal([]byte(line), &one); err != nil {
					t.Fatal(err)
				}
				total.Inserted, total.Deleted = total.Inserted+one.Inserted, total.Deleted+one.Deleted
			}
		}
		check(t, s, total)
	})
}

// TestCreateTableAtOnce makes one table from 8 writers that each bring a
// column of their own.
func TestCreateTableAtOnce(t *testing.T) {
	s := testdb.Open(t).Session("main")
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			testdb.Write(t, s, "t", fmt.Sprintf("id:int64,c%d:int64", w), fmt.Sprintf(`[{"id":%d,"c%d":%d}]`, w, w, w), nil)
		})
	}
	wg.Wait()
	cols, err := s.Schema(t.Context(), "t")
	if err != nil || len(cols) != writers+1 || cols[0].Name != "id" {
		t.Errorf("schema: %+v, %v", cols, err)
	}
	for w := range writers {
		got := testdb.Query(t, s, fmt.Sprintf("select count(*), count(c%d), max(c%d), max(case when c%d is not null then id end) from t", w, w, w), nil)
		if want := fmt.Sprintf("%d|1|%d|%d", writers, w, w); got != want {
			t.Errorf("column c%d: %s, want %s", w, got, want)
		}
	}
}

func childCreate(t *testing.T, args []string) {
	lake, err := supertable.Open(t.Context(), args[1], nil)
	if err != nil {
		t.Fatal(err)
	}
	_, created, err := lake.Create(t.Context(), "default", "born", nil)
	if err != nil {
		t.Fatal(err)
	}
	say(map[string]bool{"created": created})
	_ = lake.Close()
}

// TestCreateSuperTableAtOnce makes one SuperTable from lakes of their own, in
// this process and in others: one of them made it.
func TestCreateSuperTableAtOnce(t *testing.T) {
	t.Run("goroutines", func(t *testing.T) {
		home := t.TempDir()
		var mu sync.Mutex
		made := 0
		var wg sync.WaitGroup
		for range writers {
			db := testdb.At(t, home, nil)
			wg.Go(func() {
				_, created, err := db.Create(t.Context(), "default", "born", nil)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				if created {
					made++
				}
			})
		}
		wg.Wait()
		if made != 1 {
			t.Errorf("%d of %d made it, want 1", made, writers)
		}
		testdb.At(t, home, nil).Session("born")
	})
	t.Run("processes", func(t *testing.T) {
		db := testdb.Open(t)
		made := 0
		for _, lines := range runAll(t, 4, "create", db.Home) {
			made += strings.Count(strings.Join(lines, ""), `"created":true`)
		}
		if made != 1 {
			t.Errorf("%d of 4 made it, want 1", made)
		}
		db.Session("born")
	})
}

// TestWriteIDAtOnce repeats one write from 8 writers: it happens once.
func TestWriteIDAtOnce(t *testing.T) {
	s := testdb.Open(t).Session("main")
	testdb.Write(t, s, "t", "id:int64,v:int64", one(t, 0, 0), nil)
	var mu sync.Mutex
	first := 0
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			r := testdb.Write(t, s, "t", "id:int64,v:int64", one(t, 1, 1), &supertable.WriteOptions{WriteID: "once"})
			mu.Lock()
			defer mu.Unlock()
			if !r.Duplicate {
				first++
			}
			if r.Inserted != 1 || r.Version != 2 || r.Snapshot != 2 {
				t.Errorf("a result: %+v", r)
			}
		})
	}
	wg.Wait()
	if first != 1 {
		t.Errorf("%d writes were the first, want 1", first)
	}
	if got := testdb.Query(t, s, "select count(*) from t", nil); got != "2" {
		t.Errorf("%s rows, want 2", got)
	}
}

// TestGroupCommitFailsAlone commits 48 writes at once, of which some must
// fail inside the commit: two types fight for one new table, and some callers
// have given up. None takes another with it.
func TestGroupCommitFailsAlone(t *testing.T) {
	s := testdb.Open(t).Session("main")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	var mu sync.Mutex
	var snapshots []int64
	kinds := map[string]map[supertable.ErrorKind]int{}
	start := make(chan struct{})
	var wg sync.WaitGroup
	launch := func(ctx context.Context, what, table, columns, rows string) {
		rr := testdb.Batch(t, columns, rows)
		wg.Go(func() {
			defer rr.Release()
			<-start
			r, err := s.Write(ctx, table, rr, nil)
			mu.Lock()
			defer mu.Unlock()
			if kinds[what] == nil {
				kinds[what] = map[supertable.ErrorKind]int{}
			}
			kinds[what][supertable.KindOf(err)]++
			if err == nil {
				snapshots = append(snapshots, r.Snapshot)
			}
		})
	}
	for i := range 12 {
		launch(t.Context(), "int", "fight", "x:int64", `[{"x":1}]`)
		launch(t.Context(), "text", "fight", "x:text", `[{"x":"a"}]`)
		launch(t.Context(), "own", fmt.Sprintf("own%d", i), "x:int64", `[{"x":1}]`)
		launch(gone, "gone", "never", "x:int64", `[{"x":1}]`)
	}
	close(start)
	wg.Wait()
	contiguous(t, "snapshots", snapshots)
	if kinds["own"][""] != 12 {
		t.Errorf("writes to own tables: %v", kinds["own"])
	}
	if kinds["gone"][supertable.Cancelled] != 12 {
		t.Errorf("writes given up: %v", kinds["gone"])
	}
	won, lost := kinds["int"], kinds["text"]
	if won[""] == 0 {
		won, lost = lost, won
	}
	if won[""] != 12 || lost[supertable.TypeConflict] != 12 {
		t.Errorf("the fight: int %v, text %v; want 12 writes of one type and 12 conflicts", kinds["int"], kinds["text"])
	}
}
