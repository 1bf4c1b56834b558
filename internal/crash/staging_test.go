package crash

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/testdb"
)

// stagedRows is how many rows file i has.
func stagedRows(i int) int { return 1 + i%7*400 }

// stagedFile is file i: a pure function of i, so that a put that is repeated
// puts the same bytes.
func stagedFile(i int) string {
	var b strings.Builder
	b.WriteString("i,n\n")
	for n := range stagedRows(i) {
		fmt.Fprintf(&b, "%d,%d\n", i, n)
	}
	return b.String()
}

// stage puts file after file, loads what waits and removes some of it: a
// writer of TestKillStaging.
func stage(ctx context.Context) error {
	from, _ := strconv.Atoi(os.Getenv("ST_CRASH_FROM"))
	_, s, err := opened(ctx, supertable.Options{Threads: 2})
	if err != nil {
		return err
	}
	out := bufio.NewWriter(os.Stdout)
	for i := from; ; i++ {
		fmt.Fprintln(out, "start", i)
		_ = out.Flush()
		f, err := s.StageFrom(ctx, "in", "f.csv", strings.NewReader(stagedFile(i)), nil)
		if err != nil {
			return err
		}
		fmt.Fprintln(out, "done", i)
		_ = out.Flush()
		if i%3 == 2 {
			continue // it waits for the next load
		}
		if _, err := s.RunPipe(ctx, "p", ""); err != nil {
			return err
		}
		if i%2 == 0 {
			if _, err := s.RemoveStaged(ctx, "in", f.File); err != nil {
				return err
			}
		}
	}
}

// loadStaged loads the area once and says what it loaded: a process of
// TestProcessesLoadOnce.
func loadStaged(ctx context.Context) error {
	_, s, err := opened(ctx, supertable.Options{Threads: 2})
	if err != nil {
		return err
	}
	rows, err := s.LoadStaged(ctx, "in", "", "t", nil)
	if err != nil {
		return err
	}
	sum := int64(0)
	for _, r := range rows {
		sum += r.Inserted
	}
	fmt.Println("loaded", sum)
	return nil
}

// stagingHome makes a home with a pipe for the writers to work in.
func stagingHome(t *testing.T) string {
	t.Helper()
	home := filepath.Join(t.TempDir(), "home")
	withStaging(t, home, nil, func(s *supertable.Session) {
		p := supertable.Pipe{Name: "p", Area: "in", Table: "t", Enabled: true, Checks: []supertable.PipeCheck{{Expr: "n >= 0"}}}
		if err := s.CreatePipe(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	})
	return home
}

// withStaging opens the home, as a fresh process would, and checks the lake
// before and after do.
func withStaging(t *testing.T, home string, now func() time.Time, do func(*supertable.Session)) {
	t.Helper()
	ctx := t.Context()
	lake, err := supertable.Open(ctx, home, &supertable.Options{MemoryBytes: 256 << 20, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := lake.Close(); err != nil {
			t.Error(err)
		}
	}()
	st, _, err := lake.Create(ctx, "default", "main", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := testdb.CheckSuper(ctx, st); err != nil {
		t.Error(err)
	}
	s, err := st.Session(ctx, supertable.Superuser)
	if err != nil {
		t.Fatal(err)
	}
	do(s)
	if err := testdb.CheckSuper(ctx, st); err != nil {
		t.Error(err)
	}
}

// loadedFiles counts the rows of each file in the table.
func loadedFiles(t *testing.T, s *supertable.Session) map[int]int {
	t.Helper()
	out := map[int]int{}
	text, err := testdb.TryQuery(t.Context(), s, "SELECT i, count(*) FROM t GROUP BY i", nil)
	if supertable.KindOf(err) == supertable.NotFound {
		return out
	}
	if err != nil {
		t.Fatal(err)
	}
	for l := range strings.SplitSeq(text, "\n") {
		var i, n int
		if _, err := fmt.Sscanf(l, "%d|%d", &i, &n); err == nil {
			out[i] = n
		}
	}
	return out
}

// TestKillStaging kills a process that puts, loads and removes staged files:
// what it was told to be put is never lost, and no file is ever loaded in
// part or twice.
func TestKillStaging(t *testing.T) {
	home, sd := stagingHome(t), seed(t)
	r := rand.New(rand.NewPCG(sd, 81))
	next := 0
	for kill := range kills(t) {
		w := run(t, home, "ST_CRASH_MODE=stage", fmt.Sprintf("ST_CRASH_FROM=%d", next))
		next, _ = w.killAfter(t, r, next)
		withStaging(t, home, nil, func(s *supertable.Session) {
			for i, n := range loadedFiles(t, s) {
				if n != stagedRows(i) {
					t.Fatalf("kill %d: %d rows of file %d, it has %d", kill, n, i, stagedRows(i))
				}
			}
			if kill%2 == 0 {
				return // the next writer goes on from here
			}
			if _, err := s.RunPipe(t.Context(), "p", ""); err != nil {
				t.Fatal(err)
			}
			got := loadedFiles(t, s)
			for i := range next {
				if got[i] != stagedRows(i) {
					t.Fatalf("kill %d: %d rows of file %d, which was put and has %d", kill, got[i], i, stagedRows(i))
				}
			}
			if len(got) > next+1 {
				t.Fatalf("kill %d: %d files are loaded, %d were put", kill, len(got), next)
			}
		})
	}
	t.Logf("%d files", next)
	// When the leases have run out, nothing lies there that the index does not name.
	withStaging(t, home, func() time.Time { return time.Now().Add(time.Hour) }, func(s *supertable.Session) {
		list, err := s.Staged(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		files, err := os.ReadDir(filepath.Join(home, "default", "main", "staging", "in"))
		if err != nil || len(files) != len(list) {
			t.Errorf("%d files lie there, the index has %d (%v)", len(files), len(list), err)
		}
	})
}

// TestProcessesLoadOnce: several processes load one area at the same time.
func TestProcessesLoadOnce(t *testing.T) {
	home := stagingHome(t)
	const files = 25
	want := int64(0)
	withStaging(t, home, nil, func(s *supertable.Session) {
		for i := range files {
			if _, err := s.StageFrom(t.Context(), "in", "f.csv", strings.NewReader(stagedFile(i)), nil); err != nil {
				t.Fatal(err)
			}
			want += int64(stagedRows(i))
		}
	})
	var all []*writer
	for range 3 {
		all = append(all, run(t, home, "ST_CRASH_MODE=load"))
	}
	told := int64(0)
	for _, w := range all {
		for l := range w.lines {
			var n int64
			if _, err := fmt.Sscanf(l, "loaded %d", &n); err != nil {
				t.Fatal(l)
			}
			told += n
		}
		if err := w.cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	withStaging(t, home, nil, func(s *supertable.Session) {
		for i, n := range loadedFiles(t, s) {
			if n != stagedRows(i) {
				t.Errorf("%d rows of file %d, it has %d", n, i, stagedRows(i))
			}
		}
		if got := testdb.Query(t, s, "SELECT count(*) FROM t", nil); got != fmt.Sprint(want) || told != want {
			t.Errorf("%s rows, %d told, want %d", got, told, want)
		}
		list, err := s.Staged(t.Context(), "in")
		for _, f := range list {
			if err != nil || f.Status != "loaded" {
				t.Errorf("%s is %s (%v)", f.File, f.Status, err)
			}
		}
	})
}
