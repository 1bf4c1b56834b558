package crash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/testdb"
)

const (
	scatteredFiles = 12
	scatteredRows  = 10_000 // of a file
)

// scattered is upsert i of a history: a few keys out of one half of them, as a
// pure function of seed and i.
func scattered(seed uint64, half, i int) []row {
	r := rand.New(rand.NewPCG(seed, uint64(i)))
	first, step := r.IntN(scatteredFiles*scatteredRows/2), 1+r.IntN(10_000)
	out := make([]row, 1+r.IntN(3))
	for k := range out {
		out[k] = row{int64(2*((first+k*step)%(scatteredFiles*scatteredRows/2)) + half), int64(i + 1)}
	}
	return out
}

// upsertKeys is a process that upserts scattered keys and deletes none.
func upsertKeys(ctx context.Context) error {
	seed, _ := strconv.ParseUint(os.Getenv("ST_CRASH_SEED"), 10, 64)
	from, _ := strconv.Atoi(os.Getenv("ST_CRASH_FROM"))
	half, _ := strconv.Atoi(os.Getenv("ST_CRASH_TO"))
	_, s, err := opened(ctx, supertable.Options{Threads: 2})
	if err != nil {
		return err
	}
	for i := from; ; i++ {
		fmt.Println("start", i)
		if err := send(ctx, s, "t", scattered(seed, half, i), &supertable.WriteOptions{Key: []string{"k"}}); err != nil {
			return err
		}
		fmt.Println("done", i)
	}
}

// TestKillFilters kills two processes that upsert scattered keys, while they
// make and keep filters of the files: every key is there once, with the value
// of the last upsert that was answered.
func TestKillFilters(t *testing.T) {
	home, sd := filepath.Join(t.TempDir(), "home"), seed(t)
	r := rand.New(rand.NewPCG(sd, 83))
	lake, err := supertable.Open(t.Context(), home, &supertable.Options{MemoryBytes: 256 << 20, InlineRows: int(sd%2)*512 - 256})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := lake.Close(); err != nil {
			t.Error(err)
		}
	}()
	st, _, err := lake.Create(t.Context(), "default", "main", nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := st.Session(t.Context(), supertable.Superuser)
	if err != nil {
		t.Fatal(err)
	}
	order, want := r.Perm(scatteredFiles*scatteredRows), map[int64]int64{}
	for f := range scatteredFiles {
		var rows []row
		for _, k := range order[f*scatteredRows : (f+1)*scatteredRows] {
			rows = append(rows, row{int64(k), 0})
		}
		if err := send(t.Context(), s, "t", rows, nil); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(home, "default", "main", "index", "keys.db")
	next := [2]int{}
	for kill := range kills(t) {
		if kill%2 == 0 { // they begin from nothing
			_ = os.RemoveAll(filepath.Dir(path))
		}
		var w [2]*writer
		for half := range w {
			w[half] = run(t, home, "ST_CRASH_MODE=keys", fmt.Sprintf("ST_CRASH_SEED=%d", sd), fmt.Sprintf("ST_CRASH_FROM=%d", next[half]), fmt.Sprintf("ST_CRASH_TO=%d", half))
		}
		for half := range w { // the first upsert begins, or ends
			for range 1 + r.IntN(2) {
				if l, ok := <-w[half].lines; ok {
					w[half].said = append(w[half].said, l)
				}
			}
		}
		f := r.Float64()
		time.Sleep(time.Duration(f * f * float64(400*time.Millisecond)))
		for half := range w {
			if err := w[half].cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		var doubt []row
		for half := range w {
			done, unsure := w[half].end(t, next[half])
			for ; next[half] < done; next[half]++ {
				for _, x := range scattered(sd, half, next[half]) {
					want[x.k] = x.v
				}
			}
			if unsure {
				doubt = append(doubt, scattered(sd, half, next[half])...)
			}
		}
		holdsScattered(t, s, want, doubt)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("no filter was ever made: %v", err)
	}
	if err := testdb.CheckSuper(t.Context(), st); err != nil {
		t.Error(err)
	}
}

// holdsScattered compares the table with what was answered; what is in doubt
// may have happened, and then counts as answered.
func holdsScattered(t *testing.T, s *supertable.Session, want map[int64]int64, doubt []row) {
	t.Helper()
	unsure := map[int64]map[int64]bool{}
	for _, x := range doubt {
		if unsure[x.k] == nil {
			unsure[x.k] = map[int64]bool{}
		}
		unsure[x.k][x.v] = true
	}
	twice := testdb.Query(t, s, "SELECT k, count(*) FROM t GROUP BY k HAVING count(*) > 1", nil)
	if twice != "" {
		t.Fatalf("keys that are there more than once:\n%s", twice)
	}
	if n := testdb.Query(t, s, "SELECT count(DISTINCT k) FROM t", nil); n != fmt.Sprint(scatteredFiles*scatteredRows) {
		t.Fatalf("%s keys", n)
	}
	got, err := s.Query(t.Context(), "SELECT CAST(k AS VARCHAR), CAST(v AS VARCHAR) FROM t WHERE v > 0", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = got.Close() }()
	have := map[int64]int64{}
	for got.Next() {
		b := got.Batch()
		for i := range int(b.NumRows()) {
			k, _ := strconv.ParseInt(b.Column(0).ValueStr(i), 10, 64)
			v, _ := strconv.ParseInt(b.Column(1).ValueStr(i), 10, 64)
			have[k] = v
		}
	}
	if err := got.Err(); err != nil {
		t.Fatal(err)
	}
	for k, v := range have {
		if want[k] != v && !unsure[k][v] {
			t.Errorf("key %d has %d, want %d", k, v, want[k])
		}
		want[k] = v
	}
	for k, v := range want {
		if have[k] != v {
			t.Errorf("key %d has %d, want %d", k, have[k], v)
		}
	}
}
