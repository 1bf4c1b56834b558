package interop

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/supertable-go/supertable/internal/testdb"
)

// TestRandom lets both clients change one lake, one after the other, and
// compares what both read after each step, and everything at the end. A
// sequence that fails is made shorter, and printed with its seed.
//
//	ST_SEEDS=1000 make interop    # more runs
//	make interop SEED=42          # one again
func TestRandom(t *testing.T) {
	t.Parallel()
	runs, steps := number(t, "ST_SEEDS", 25), number(t, "ST_STEPS", 40)
	if testing.Short() {
		runs, steps = number(t, "ST_SEEDS", 4), number(t, "ST_STEPS", 15)
	}
	first := time.Now().UnixNano() % 1_000_000
	if os.Getenv("ST_SEED") != "" {
		first = int64(number(t, "ST_SEED", 0))
		runs = number(t, "ST_SEEDS", 1)
	}
	for i := range runs {
		seed := uint64(first) + uint64(i)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			random(t, seed, steps)
		})
	}
}

// number reads a whole number from the environment.
func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s=%s: %v", name, text, err)
	}
	return n
}

// random makes one history up; when it fails, the shortest part of it that
// fails in the same way is the report.
func random(t *testing.T, seed uint64, steps int) {
	t.Logf("seed %d", seed)
	var ops []op
	message := attempt(t, func(tb testing.TB) {
		w := newWalk(tb, seed)
		for range steps {
			ops = append(ops, w.next())
			w.take(ops[len(ops)-1])
		}
		w.finish()
	})
	if message == "" {
		recordRandom(seed, len(ops), false)
		return
	}
	recordRandom(seed, len(ops), true)
	short := shrink(ops, shrinkTime(), func(list []op) bool {
		got := attempt(t, func(tb testing.TB) { redo(tb, seed, list) })
		return alike(got, message)
	})
	t.Errorf("%s\nST_SEED=%d ST_STEPS=%d repeats all %d steps; %d of them suffice:\n%s", message, seed, steps, len(ops), len(short), texted(short))
}

// redo does the steps of another run again; what cannot be done any more,
// for a table or column is not there, is left out.
func redo(t testing.TB, seed uint64, list []op) {
	w := newWalk(t, seed)
	w.again, w.silent = true, true
	for _, o := range list {
		w.take(o)
	}
	w.finish()
}

func texted(list []op) string {
	lines := make([]string, len(list))
	for i, o := range list {
		lines[i] = "  " + o.who + ": " + o.what
	}
	return strings.Join(lines, "\n")
}

// walk is one random history.
type walk struct {
	*lake
	*rand.Rand
	seed  uint64
	again bool // replayed
	names int  // numbers what must be new
	seen  *picture
	chore bool // DuckDB's maintenance ran
}

// newWalk makes the lake: ours for even seeds, else one of DuckDB's. Small writes
// stay inside the catalog but for every eighth seed.
func newWalk(t testing.TB, seed uint64) *walk {
	w := &walk{Rand: rand.New(rand.NewPCG(seed, 0)), seed: seed}
	if seed%2 == 0 {
		o := oneThread()
		if seed%8 != 0 {
			o.InlineRows = 40
		}
		w.lake = &lake{t: t, home: testdb.At(t, t.TempDir(), o), duck: newDuck(t), ours: true, inside: o.InlineRows > 0} // checked here, not at its end: expiry by DuckDB leaves holes
		w.recorded(t)
		w.adopt()
		w.duck.attach(w.catalog(), "")
	} else {
		w.lake = newTheirs(t, "")
		w.adopt()
	}
	w.widened, w.random = true, true
	return w
}

// take does a step and compares what both read then.
func (w *walk) take(o op) {
	w.t.Helper()
	if err := o.do(w); err != nil {
		if w.again && gone(err) {
			return
		}
		w.t.Fatalf("%s: %s: %v", o.who, o.what, err)
	}
	w.chore = w.chore || strings.Contains(o.what, "CALL ducklake_") || strings.Contains(o.what, "CHECKPOINT")
	w.brief = true
	w.compareRows()
	w.compareFeed()
	w.brief = testing.Short()
}

// finish compares everything.
func (w *walk) finish() {
	w.t.Helper()
	w.noFeed = w.chore // DuckDB's maintenance changes what its own feed says of the past
	w.compareAll()
	w.check("snapshots_not_contiguous")
}

// compareRows compares tables, columns and rows at the head.
func (w *walk) compareRows() {
	w.t.Helper()
	names := w.tables()
	theirs := w.duck.rows("SELECT table_name FROM duckdb_tables() WHERE database_name = 'lake' AND schema_name = 'main'")
	if len(names) != len(theirs) {
		w.t.Fatalf("tables %v against %v", names, theirs)
	}
	for _, name := range names {
		cols := w.describe(name, head)
		equal(w.t, "columns of "+name, cols, w.duck.describe(name, ""))
		equal(w.t, "rows of "+name, w.all(name, cols), w.theirs(name, cols))
	}
}

// compareFeed compares the snapshots since the last step, and their change feed.
func (w *walk) compareFeed() {
	w.t.Helper()
	for _, at := range w.snapshots() {
		if w.seen != nil && at <= w.seen.at {
			continue
		}
		now := w.compareAt(at, w.seen)
		if w.seen != nil && w.seen.at == at-1 {
			w.compareChanges(w.seen, now)
		}
		w.seen = now
	}
}

func (w *walk) tables() []string {
	w.t.Helper()
	var out []string
	for _, n := range w.lake.rows("SELECT table_name FROM information_schema.tables", head) {
		name, _ := strconv.Unquote(n)
		out = append(out, name)
	}
	return out
}

func (w *walk) all(table string, cols []column) []string {
	w.t.Helper()
	return w.lake.rows("SELECT "+texts(cols)+" FROM "+table, head)
}

func (w *walk) theirs(table string, cols []column) []string {
	w.t.Helper()
	return w.duck.rows("SELECT " + texts(cols) + " FROM lake." + table)
}

// fresh makes a name that was never used.
func (w *walk) fresh(prefix string) string {
	w.names++
	return name(prefix, w.names)
}

// defaulted reports whether a column that a write leaves out may not be NULL.
func (w *walk) defaulted(table string) bool {
	return meta(w.t, w.catalog(), `SELECT count(*) FROM ducklake_column c JOIN ducklake_table t ON t.table_id = c.table_id WHERE t.table_name = ? AND c.initial_default IS NOT NULL AND c.end_snapshot IS NULL`, table)[0] != "0"
}

// plain are the columns that may be renamed, dropped, updated.
func plain(cols []column) []column {
	return slices.DeleteFunc(slices.Clone(cols), func(c column) bool { return c.name == "id" || nested(c.typ) })
}
