package crash

import (
	"bufio"
	"context"
	"errors"
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
	said  []string // lines that were read already
}

func start(t *testing.T, home, table string, seed uint64, from, to int) *writer {
	t.Helper()
	return run(t, home, "ST_CRASH_TABLE="+table, fmt.Sprintf("ST_CRASH_SEED=%d", seed), fmt.Sprintf("ST_CRASH_FROM=%d", from), fmt.Sprintf("ST_CRASH_TO=%d", to))
}

// run starts this program as a writer.
func run(t *testing.T, home string, env ...string) *writer {
	t.Helper()
	cmd := exec.CommandContext(context.Background(), os.Args[0])
	cmd.Env = append(os.Environ(), append(env, "ST_CRASH_HOME="+home, "ST_CRASH_INPUT="+filepath.Dir(home))...)
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w := &writer{cmd: cmd, lines: make(chan string, 1000)}
	go func() {
		defer close(w.lines)
		for sc := bufio.NewScanner(pipe); sc.Scan(); {
			w.lines <- sc.Text()
		}
	}()
	return w
}

// killAfter kills the writer at a random moment: after some operations and a
// little more, the short times more often. It returns what the writer had said.
func (w *writer) killAfter(t *testing.T, r *rand.Rand, from int) (next int, doubt bool) {
	t.Helper()
	for n := r.IntN(9); n > 0 && len(w.said) < n; {
		l, ok := <-w.lines
		if !ok {
			break
		}
		w.said = append(w.said, l)
	}
	f := r.Float64()
	time.Sleep(time.Duration(f * f * f * float64(150*time.Millisecond)))
	if err := w.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	return w.end(t, from)
}

// killSoon kills a process that says nothing.
func (w *writer) killSoon(t *testing.T, r *rand.Rand) {
	t.Helper()
	time.Sleep(30*time.Millisecond + time.Duration(r.Float64()*float64(120*time.Millisecond)))
	if err := w.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	w.end(t, 0)
}

// end reads what the writer said to its end: which operation it finished
// last, and whether it had begun another one.
func (w *writer) end(t *testing.T, from int) (next int, doubt bool) {
	t.Helper()
	next = from
	for l := range w.lines {
		w.said = append(w.said, l)
	}
	for _, l := range w.said {
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
	return stateOf(t, home, "main", table, now)
}

func stateOf(t *testing.T, home, super, table string, now func() time.Time) string {
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
	st, err := lake.SuperTable(ctx, "default", super)
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
	return picture(fmt.Sprint(len(cols)), rows)
}

// picture is columns and rows in one line.
func picture(columns, rows string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s columns:", columns)
	for l := range strings.SplitSeq(rows, "\n") {
		if l != "" {
			b.WriteString(" " + strings.Replace(l, "|", "=", 1))
		}
	}
	return b.String()
}

// TestKill kills one writer again and again over one history.
func TestKill(t *testing.T) {
	home, sd := filepath.Join(t.TempDir(), "home"), seed(t)
	r := rand.New(rand.NewPCG(sd, 77))
	m, next := model{gone: true}, 0
	for kill := range kills(t) {
		w := start(t, home, "t", sd, next, next+1000)
		done, doubt := w.killAfter(t, r, next)
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
	tmp, err := os.ReadDir(filepath.Join(home, "default", "main", "tmp"))
	if os.IsNotExist(err) {
		return // killed before there was anything
	}
	if err != nil {
		t.Fatal(err)
	}
	if spill, _ := os.ReadDir(filepath.Join(home, "default", "main", "tmp", "spill")); len(spill) > 0 {
		t.Errorf("left of dead engines: %v", spill)
	}
	for _, e := range tmp {
		if strings.HasPrefix(e.Name(), "lease-") || strings.HasPrefix(e.Name(), "stdin") {
			t.Errorf("left after the leases ran out: %s", e.Name())
		}
	}
}

// TestKillBesideAnotherWriter kills one writer while another one works on the
// same SuperTable, which must lose nothing by it.
func TestKillBesideAnotherWriter(t *testing.T) {
	home, sd := filepath.Join(t.TempDir(), "home"), seed(t)
	r := rand.New(rand.NewPCG(sd, 78))
	const steps = 25
	steady := start(t, home, "u", sd+1, 0, steps)
	next := 0
	for range 4 {
		next, _ = start(t, home, "t", sd, next, next+1000).killAfter(t, r, next)
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

// TestKillSweeper kills processes that remove what dead writers left.
func TestKillSweeper(t *testing.T) {
	home, sd := filepath.Join(t.TempDir(), "home"), seed(t)
	r := rand.New(rand.NewPCG(sd, 79))
	next, m := 0, model{gone: true}
	created(t, home) // or the first one may be killed before there is anything to sweep
	for range max(3, kills(t)/5) {
		done, doubt := start(t, home, "t", sd, next, next+1000).killAfter(t, r, next)
		for ; next < done; next++ {
			m = m.after(step(sd, next))
		}
		run(t, home, "ST_CRASH_MODE=sweep").killSoon(t, r)
		got := state(t, home, "t", nil)
		if doubt && got != m.String() {
			m = m.after(step(sd, next))
			next++
		}
		if got != m.String() {
			t.Fatalf("after step %d: got %s\nwant %s", next, short(got), short(m.String()))
		}
	}
	swept(t, home)
}

// created makes the SuperTable that the processes write to.
func created(t *testing.T, home string) {
	t.Helper()
	lake, err := supertable.Open(t.Context(), home, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = lake.Create(t.Context(), "default", "main", nil)
	if err := errors.Join(err, lake.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestKillCreateAndDrop kills a process that makes a SuperTable and drops it:
// what is left opens or is not there, and a new one can be made in its place.
func TestKillCreateAndDrop(t *testing.T) {
	home, sd := filepath.Join(t.TempDir(), "home"), seed(t)
	r := rand.New(rand.NewPCG(sd, 80))
	for range max(5, kills(t)/2) {
		run(t, home, "ST_CRASH_MODE=drop").killSoon(t, r)
		state(t, home, "t", nil)
		lake, err := supertable.Open(t.Context(), home, nil)
		if err != nil {
			t.Fatal(err)
		}
		st, _, err := lake.Create(t.Context(), "default", "main", nil)
		if err != nil {
			t.Fatalf("create again: %v", err)
		}
		s, err := st.Session(t.Context(), supertable.Superuser)
		if err != nil {
			t.Fatal(err)
		}
		if err := send(t.Context(), s, "mine", []row{{1, 1}}, nil); err != nil {
			t.Fatalf("write again: %v", err)
		}
		if err := testdb.CheckSuper(t.Context(), st); err != nil {
			t.Error(err)
		}
		if r.IntN(2) == 0 {
			if err := s.DropSuperTable(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := lake.Close(); err != nil {
			t.Error(err)
		}
	}
}
