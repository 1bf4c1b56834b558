package crash

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/testdb"
)

// Snapshots of the lake in which returns are killed.
const (
	stateA = 1 // all rows
	stateB = 4 // some replaced, some deleted, a column more
)

// returns goes back to one state, to the other, drops the table and brings it
// back, again and again. Step i is the same in every run.
func returns(ctx context.Context) error {
	out := bufio.NewWriter(os.Stdout)
	say := func(word string, i int) {
		fmt.Fprintln(out, word, i)
		_ = out.Flush()
	}
	_, s, err := opened(ctx, supertable.Options{})
	if err != nil {
		return err
	}
	from, _ := strconv.Atoi(os.Getenv("ST_CRASH_FROM"))
	for i := from; ; i++ {
		say("start", i)
		switch i % 4 {
		case 0:
			_, err = s.Rollback(ctx, "t", stateA, nil)
		case 1:
			_, err = s.Rollback(ctx, "t", stateB, nil)
		case 2:
			_, err = s.DropTable(ctx, "t")
		case 3:
			_, err = s.Undrop(ctx, "t")
		}
		if err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
		say("done", i)
	}
}

// TestKillReturns kills a process that rolls a table back, drops it and brings
// it back: it is as before the step that was killed or as after it, both
// states stay readable, and nothing of the dead is left.
func TestKillReturns(t *testing.T) {
	home, sd := filepath.Join(t.TempDir(), "home"), seed(t)
	r := rand.New(rand.NewPCG(sd, 81))
	prepareReturns(t, home)
	want := map[int]string{}
	for i, at := range []int64{stateA, stateB} {
		want[i] = stateAt(t, home, at)
	}
	want[2], want[3] = "no table", want[1]
	next := 0
	for kill := range max(8, kills(t)) {
		w := run(t, home, "ST_CRASH_MODE=return", fmt.Sprintf("ST_CRASH_FROM=%d", next))
		before := next
		done, doubt := w.killAfter(t, r, next)
		got := state(t, home, "t", nil)
		last := want[(done+3)%4] // after the step before
		switch {
		case got == last && done > 0 || done == 0 && got == want[1]: // begins in state B
			next = done
		case doubt && got == want[done%4]:
			next = done + 1
		default:
			t.Fatalf("kill %d at step %d (from %d, in doubt %t): got %s", kill, done, before, doubt, short(got))
		}
		for i, at := range []int64{stateA, stateB} {
			if got := stateAt(t, home, at); got != want[i] {
				t.Fatalf("kill %d: snapshot %d is now %s", kill, at, short(got))
			}
		}
		if kill%4 == 3 {
			swept(t, home)
		}
	}
	t.Logf("%d steps", next)
}

// prepareReturns makes a table with both states, in several files with dead
// rows in the catalog and in delete files.
func prepareReturns(t *testing.T, home string) {
	t.Helper()
	ctx := t.Context()
	lake, err := supertable.Open(ctx, home, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lake.Close() }() // before the others: its engine leaves a trace while it lives
	st, _, err := lake.Create(ctx, "default", "main", nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := st.Session(ctx, supertable.Superuser)
	if err != nil {
		t.Fatal(err)
	}
	rows := func(from, n, v int) []row {
		out := make([]row, n)
		for i := range out {
			out[i] = row{int64(from + i), int64(v)}
		}
		return out
	}
	for _, err := range []error{
		send(ctx, s, "t", rows(0, 3000, 1), nil),
		send(ctx, s, "t", rows(100, 2500, 2), &supertable.WriteOptions{Key: []string{"k"}}),
		send(ctx, s, "t", rows(50, 100, 3), &supertable.WriteOptions{Key: []string{"k"}, DeleteOnly: true}),
		do(ctx, s, "t", operation{kind: "add", column: "extra"}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// stateAt is state at a snapshot, rows only.
func stateAt(t *testing.T, home string, at int64) string {
	t.Helper()
	lake, err := supertable.Open(t.Context(), home, &supertable.Options{MemoryBytes: 256 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := lake.Close(); err != nil {
			t.Error(err)
		}
	}()
	st, err := lake.SuperTable(t.Context(), "default", "main")
	if err != nil {
		t.Fatal(err)
	}
	s, err := st.Session(t.Context(), supertable.Superuser)
	if err != nil {
		t.Fatal(err)
	}
	columns := testdb.Query(t, s, "SELECT count(*) FROM information_schema.columns", &supertable.QueryOptions{AtVersion: &at})
	return picture(columns, testdb.Query(t, s, "SELECT k, CAST(v AS BIGINT) FROM t ORDER BY 1, 2", &supertable.QueryOptions{AtVersion: &at}))
}
