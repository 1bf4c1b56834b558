package crash

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/testdb"
)

// kills is how often the main test kills: ST_KILLS, 10 by default.
func kills(t *testing.T) int {
	n, err := strconv.Atoi(os.Getenv("ST_KILLS"))
	if err != nil {
		n = 10
	}
	t.Logf("%d kills", n)
	return n
}

// seed is ST_SEED, or a new one; it is printed, so that a run can be repeated.
func seed(t *testing.T) uint64 {
	n, err := strconv.ParseUint(os.Getenv("ST_SEED"), 10, 64)
	if err != nil {
		n = uint64(time.Now().UnixNano())
	}
	t.Logf("ST_SEED=%d", n)
	return n
}

// writer is a writing process.
type writer struct {
	cmd   *exec.Cmd
	lines chan string
}

func start(t *testing.T, home, table string, seed uint64, from, to int) *writer {
	t.Helper()
	cmd := exec.CommandContext(context.Background(), os.Args[0])
	cmd.Env = append(os.Environ(), "ST_CRASH_HOME="+home, "ST_CRASH_TABLE="+table, fmt.Sprintf("ST_CRASH_SEED=%d", seed), fmt.Sprintf("ST_CRASH_FROM=%d", from), fmt.Sprintf("ST_CRASH_TO=%d", to))
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w := &writer{cmd, make(chan string, 1000)}
	go func() {
		defer close(w.lines)
		for sc := bufio.NewScanner(pipe); sc.Scan(); {
			w.lines <- sc.Text()
		}
	}()
	return w
}

// end reads what the writer said to its end: which operation it finished
// last, and whether it had begun another one.
func (w *writer) end(t *testing.T, from int) (next int, doubt bool) {
	t.Helper()
	next = from
	for l := range w.lines {
		word, rest, _ := strings.Cut(l, " ")
		switch word {
		case "start":
			doubt = true
		case "done":
			next, doubt = next+1, false
		default:
			t.Fatalf("the writer failed: %s %s", word, rest)
		}
	}
	_ = w.cmd.Wait()
	return next, doubt
}

// state reads the table as a fresh opener sees it, after a deep check.
func state(t *testing.T, home, table string, now func() time.Time) string {
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
	st, err := lake.SuperTable(ctx, "default", "main")
	if supertable.KindOf(err) == supertable.NotFound {
		return "no table" // killed before the catalog was made
	}
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
	cols, err := s.Schema(ctx, table)
	if supertable.KindOf(err) == supertable.NotFound {
		return "no table"
	}
	if err != nil {
		t.Fatal(err)
	}
	rows := testdb.Query(t, s, fmt.Sprintf("SELECT k, CAST(v AS BIGINT) FROM %s ORDER BY 1, 2", table), nil)
	var b strings.Builder
	fmt.Fprintf(&b, "%d columns:", len(cols))
	for l := range strings.SplitSeq(rows, "\n") {
		if l != "" {
			b.WriteString(" " + strings.Replace(l, "|", "=", 1))
		}
	}
	return b.String()
}

// TestKill kills one writer again and again over one history.
func TestKill(t *testing.T) {
	home, sd := t.TempDir(), seed(t)
	r := rand.New(rand.NewPCG(sd, 77))
	m, next := model{gone: true}, 0
	for kill := range kills(t) {
		w := start(t, home, "t", sd, next, next+1000)
		time.Sleep(time.Duration(r.Int64N(int64(400 * time.Millisecond))))
		if err := w.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		done, doubt := w.end(t, next)
		for ; next < done; next++ {
			m = m.after(step(sd, next))
		}
		got := state(t, home, "t", nil)
		if before := m.String(); got != before {
			if after := m.after(step(sd, next)); !doubt || got != after.String() {
				t.Fatalf("kill %d, after step %d (%s, in doubt %v): got %s\nwant %s", kill, next, step(sd, next).kind, doubt, short(got), short(before))
			}
			m = m.after(step(sd, next))
			next++
		}
		if kill%5 == 4 {
			swept(t, home)
		}
	}
	t.Logf("%d steps, %d rows at the end", next, len(m.rows))
}

func short(s string) string {
	if len(s) > 300 {
		return fmt.Sprintf("%s… (%d bytes)", s[:300], len(s))
	}
	return s
}

// swept opens the home when every lease has run out: nothing of the dead
// writers may be left.
func swept(t *testing.T, home string) {
	t.Helper()
	state(t, home, "t", func() time.Time { return time.Now().Add(time.Hour) })
	left, err := filepath.Glob(filepath.Join(home, "default", "main", "tmp", "lease-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left after the leases ran out: %v %v", left, err)
	}
}

// TestKillBesideAnotherWriter kills one writer while another one works on the
// same SuperTable, which must lose nothing by it.
func TestKillBesideAnotherWriter(t *testing.T) {
	home, sd := t.TempDir(), seed(t)
	r := rand.New(rand.NewPCG(sd, 78))
	const steps = 25
	steady := start(t, home, "u", sd+1, 0, steps)
	next := 0
	for range 4 {
		w := start(t, home, "t", sd, next, next+1000)
		time.Sleep(time.Duration(r.Int64N(int64(500 * time.Millisecond))))
		if err := w.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		next, _ = w.end(t, next)
		next++ // the one in doubt is skipped: only u is compared
	}
	if done, doubt := steady.end(t, 0); done != steps || doubt {
		t.Fatalf("the other writer did %d of %d steps", done, steps)
	}
	m := model{gone: true}
	for i := range steps {
		m = m.after(step(sd+1, i))
	}
	if got := state(t, home, "u", nil); got != m.String() {
		t.Errorf("got %s\nwant %s", short(got), short(m.String()))
	}
	swept(t, home)
}
