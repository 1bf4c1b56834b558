package crash

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/testdb"
)

// groupWriters write at the same time, so that their commits share
// transactions; groupKeys is how many rows of its own each replaces in turn.
const (
	groupWriters = 6
	groupKeys    = 3
)

// writeInGroups writes single rows from several goroutines, which stay inside
// the catalog, and says which are durable; beside them the rows are flushed
// into files again and again. In turn a row is added to log and replaced in state.
func writeInGroups(ctx context.Context) error {
	_, s, err := opened(ctx, supertable.Options{Threads: 1})
	if err != nil {
		return err
	}
	round, _ := strconv.Atoi(os.Getenv("ST_CRASH_FROM"))
	failed, said := make(chan error, groupWriters+1), sync.Mutex{}
	for w := range groupWriters {
		go func() {
			for i := 0; ; i++ {
				if err := writeOne(ctx, s, round, w, i); err != nil {
					failed <- fmt.Errorf("write: %w", err)
					return
				}
				said.Lock()
				fmt.Println("done", w, i)
				said.Unlock()
			}
		}()
	}
	go func() {
		for i := 0; ; i++ {
			table := []string{"log", "state", ""}[i%3]
			if _, err := s.Flush(ctx, table, nil); err != nil && supertable.KindOf(err) != supertable.NotFound {
				failed <- fmt.Errorf("flush: %w", err)
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	return <-failed
}

func writeOne(ctx context.Context, s *supertable.Session, round, w, i int) error {
	table, key, v := "log", int64(w), value(round, i)
	var o *supertable.WriteOptions
	if i%2 == 1 {
		table, key, o = "state", groupKey(w, i), &supertable.WriteOptions{Key: []string{"k"}}
	}
	schema := arrow.NewSchema([]arrow.Field{{Name: "k", Type: arrow.PrimitiveTypes.Int64}, {Name: "v", Type: arrow.PrimitiveTypes.Int64}}, nil)
	rec, _, err := array.RecordFromJSON(memory.DefaultAllocator, schema, strings.NewReader(fmt.Sprintf(`[{"k":%d,"v":%d}]`, key, v)))
	if err != nil {
		return err
	}
	defer rec.Release()
	r, err := array.NewRecordReader(schema, []arrow.RecordBatch{rec})
	if err != nil {
		return err
	}
	defer r.Release()
	_, err = s.Write(ctx, table, r, o)
	return err
}

func value(round, i int) int64 { return int64(round)*1_000_000 + int64(i) }

// groupKey is the key that step i of a writer replaces.
func groupKey(w, i int) int64 { return int64(w*10 + i/2%groupKeys) }

// TestKillGroups kills a process whose writers share transactions while their
// rows are flushed: what each was told is there, at most one step more, in its
// order and once.
func TestKillGroups(t *testing.T) {
	home := filepath.Join(t.TempDir(), "home")
	r := rand.New(rand.NewPCG(seed(t), 11))
	state := map[int64]int64{} // by key
	steps := 0
	for round := range kills(t) {
		p := run(t, home, "ST_CRASH_MODE=group", fmt.Sprintf("ST_CRASH_FROM=%d", round))
		for n := r.IntN(60); n > 0; n-- {
			l, ok := <-p.lines
			if !ok {
				break
			}
			p.said = append(p.said, l)
		}
		time.Sleep(time.Duration(r.Float64() * r.Float64() * float64(100*time.Millisecond)))
		_ = p.cmd.Process.Kill()
		steps += lookAtGroups(t, home, round, promised(t, p), state)
		if t.Failed() {
			t.Fatalf("after kill %d", round)
		}
	}
	if steps == 0 {
		t.Error("nothing was written: the test proves nothing")
	}
	t.Logf("%d steps", steps)
}

// promised counts the steps of each writer that it was told are durable.
func promised(t *testing.T, p *writer) [groupWriters]int {
	t.Helper()
	var done [groupWriters]int
	for l := range p.lines {
		p.said = append(p.said, l)
	}
	_ = p.cmd.Wait()
	for _, l := range p.said {
		var w, i int
		if _, err := fmt.Sscanf(l, "done %d %d", &w, &i); err != nil {
			if strings.HasPrefix(l, "done") { // killed while it spoke
				continue
			}
			t.Fatalf("the writers failed: %s", l)
		}
		done[w] = i + 1
	}
	return done
}

// lookAtGroups holds what is there against what was promised, and brings state
// up to it. It gives the number of steps that are there.
func lookAtGroups(t *testing.T, home string, round int, done [groupWriters]int, state map[int64]int64) (steps int) {
	t.Helper()
	ctx := t.Context()
	lake, err := supertable.Open(ctx, home, &supertable.Options{MemoryBytes: 256 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lake.Close() }()
	st, err := lake.SuperTable(ctx, "default", "main")
	if supertable.KindOf(err) == supertable.NotFound && done == [groupWriters]int{} {
		return 0 // killed before the catalog was made
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
	log, now := map[int64][]int64{}, map[int64]int64{}
	for _, row := range pairs(t, s, fmt.Sprintf("SELECT k, v FROM log WHERE v BETWEEN %d AND %d ORDER BY k, v", value(round, 0), value(round, 999_999))) {
		log[row[0]] = append(log[row[0]], row[1])
	}
	for _, row := range pairs(t, s, "SELECT k, v FROM state") {
		if _, twice := now[row[0]]; twice {
			t.Errorf("key %d is there twice", row[0])
		}
		now[row[0]] = row[1]
	}
	for w, n := range done {
		with, ok := n, false
		for ; with <= n+1 && !ok; with++ { // the step in doubt happened, or not
			ok = sameSteps(round, w, with, log[int64(w)], now, state)
		}
		if !ok {
			t.Errorf("writer %d was promised %d steps: log %v, keys %v, before %v", w, n, log[int64(w)], now, state)
			continue
		}
		steps += with - 1
	}
	clear(state)
	maps.Copy(state, now)
	return steps
}

// sameSteps reports whether exactly the first n steps of a writer are there.
func sameSteps(round, w, n int, log []int64, now, before map[int64]int64) bool {
	want := map[int64]int64{}
	for x := range groupKeys {
		k := int64(w*10 + x)
		if v, ok := before[k]; ok {
			want[k] = v
		}
	}
	var added []int64
	for i := range n {
		if i%2 == 0 {
			added = append(added, value(round, i))
		} else {
			want[groupKey(w, i)] = value(round, i)
		}
	}
	for x := range groupKeys {
		k := int64(w*10 + x)
		v, ok := now[k]
		if old, had := want[k]; ok != had || v != old {
			return false
		}
	}
	return fmt.Sprint(log) == fmt.Sprint(added)
}

func pairs(t *testing.T, s *supertable.Session, sql string) (out [][2]int64) {
	t.Helper()
	text, err := testdb.TryQuery(t.Context(), s, sql, nil)
	if supertable.KindOf(err) == supertable.NotFound {
		return nil // the table did not come to be
	}
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(text, "\n") {
		var a, b int64
		if _, err := fmt.Sscanf(line, "%d|%d", &a, &b); err == nil {
			out = append(out, [2]int64{a, b})
		}
	}
	return out
}
