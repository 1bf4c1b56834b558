package interop

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"regexp"
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
	runs, steps := number(t, "ST_SEEDS", 25), number(t, "ST_STEPS", 20)
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
	again bool                // replayed
	names int                 // numbers what must be new
	now   map[string][]column // tables as both see them after the last step
	held  map[string][]string // and their rows
	model *modelled           // what this step must have made
	past  map[int64]*picture  // snapshots as both saw them when they were made
	seen  *picture            // the newest of these
	chore bool                // DuckDB's maintenance ran
}

// newWalk makes the lake: ours for even seeds, else one of DuckDB's. Small writes
// stay inside the catalog but for every eighth seed.
func newWalk(t testing.TB, seed uint64) *walk {
	w := &walk{Rand: rand.New(rand.NewPCG(seed, 0)), seed: seed, past: map[int64]*picture{}}
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
	w.widened, w.random, w.tooWide = true, true, map[string]bool{}
	return w
}

// insertAndDelete is DuckDB deleting rows that the same transaction inserts.
var insertAndDelete = regexp.MustCompile(`^BEGIN; INSERT INTO lake\.(\w+) .*; DELETE FROM `)

// take does a step and compares what both read then.
func (w *walk) take(o op) {
	w.t.Helper()
	if err := o.do(w); err != nil {
		if w.again && gone(err) {
			return
		}
		w.t.Fatalf("%s: %s: %v", o.who, o.what, err)
	}
	if m := insertAndDelete.FindStringSubmatch(o.what); m != nil {
		w.tooWide[w.tableID(m[1], 1<<40)] = true
	}
	w.chore = w.chore || strings.Contains(o.what, "CALL ducklake_") || strings.Contains(o.what, "CHECKPOINT")
	w.duck.inOne(func() {
		w.compareRows()
		w.compareFeed()
	})
}

// finish compares everything, with a client that attaches now too. Snapshots,
// columns of the past and what a client sees that is attached to it are asked
// of some: they cost more than all the rest.
func (w *walk) finish() {
	w.t.Helper()
	w.brief = false
	equal(w.t, "snapshots", w.snapshots(), w.retained())
	w.compareHead()
	w.duck.attach(w.catalog(), "")
	doubled := w.doubled()
	w.samePasts("ours", w.readOurs, nil)
	w.samePasts("DuckDB", w.readTheirs, doubled)
	for _, at := range w.samples(3) {
		if slices.ContainsFunc(slices.Collect(maps.Keys(w.past[at].tables)), func(name string) bool { return doubled[place{at: at, table: name}.key()] }) {
			continue
		}
		w.compareAt(at, nil)
		if before := w.past[at-1]; before != nil && !w.chore && slices.Contains(w.retained(), at-1) { // DuckDB's maintenance changes what its own feed says of the past
			w.compareChanges(before, w.past[at])
		}
	}
	w.compareOurChanges()
	w.check()
}

// compareOurChanges applies what Changes and Diff say of some stretches of a
// table's past to the rows before these: the rows after them come out, whatever
// either client has moved or flushed since. Stretches in which the table's
// columns change are left out.
func (w *walk) compareOurChanges() {
	w.t.Helper()
	all := w.retained()
	for _, name := range w.tables() {
		for range 4 {
			i := w.IntN(len(all))
			k := min(len(all)-1, i+1)
			if w.IntN(3) == 0 {
				k = i + w.IntN(len(all)-i)
			}
			if i < k && w.unaltered(name, all[i:k+1]) {
				w.applyChanges(name, all[i], all[k])
			}
		}
	}
}

// unaltered reports whether a table was there under its name, with the same
// columns, at each of the snapshots.
func (w *walk) unaltered(name string, all []int64) bool {
	for _, at := range all {
		p := w.past[at]
		if p == nil || p.tables[name].id == "" || p.tables[name].id != w.past[all[0]].tables[name].id || !slices.Equal(p.tables[name].columns, w.past[all[0]].tables[name].columns) {
			return false
		}
	}
	return true
}

// compareRows compares tables, columns and rows at the head.
func (w *walk) compareRows() {
	w.t.Helper()
	w.now, w.held = w.columnsAt(head), map[string][]string{}
	names := w.tables()
	equal(w.t, "tables", names, unquoted(w.duck.rows("SELECT table_name FROM duckdb_tables() WHERE database_name = 'lake' AND schema_name = 'main'")))
	places := make([]place, len(names))
	for i, name := range names {
		equal(w.t, "columns of "+name, w.now[name], w.duck.describe(name, ""))
		places[i] = place{head, name, w.now[name]}
	}
	if len(places) == 0 {
		return
	}
	ours, theirs := w.readOurs(places), w.readTheirs(places)
	for i, name := range names {
		equal(w.t, "rows of "+name, ours[i], theirs[i])
		w.held[name] = ours[i]
		if m := w.model; m != nil && m.table == name && slices.Equal(m.columns, w.now[name]) {
			equal(w.t, "rows of "+name+" by the model", ours[i], m.rows)
		}
	}
	w.model = nil
}

func unquoted(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i], _ = strconv.Unquote(s)
	}
	return out
}

// compareFeed compares the snapshots since the last step, and their change feed.
func (w *walk) compareFeed() {
	w.t.Helper()
	all := w.retained()
	for _, at := range all {
		if w.seen != nil && at <= w.seen.at {
			continue
		}
		now := w.pictureAt(at, at == all[len(all)-1])
		if w.seen != nil && w.seen.at == at-1 {
			w.compareChanges(w.seen, now)
		}
		w.seen, w.past[at] = now, now
	}
}

// pictureAt compares the tables at a snapshot. One that the snapshot does not
// name is as before, and the newest snapshot is what the head was just seen to
// be; both are read with AT at the end, and some of the newest now.
func (w *walk) pictureAt(at int64, newest bool) *picture {
	w.t.Helper()
	known := newest && at%3 != 0
	all := w.now
	if !known {
		all = w.columnsAt(at)
	}
	p := &picture{at: at, tables: map[string]pictured{}}
	for name, cols := range all {
		id := w.tableID(name, at)
		if w.seen != nil && w.seen.at == at-1 {
			if b, ok := w.seen.tables[name]; ok && b.id == id && !w.touches(at, id) {
				equal(w.t, fmt.Sprintf("columns of %s at %d, which it does not change", name, at), cols, b.columns)
				p.tables[name] = b
				continue
			}
		}
		if known {
			p.tables[name] = pictured{id, cols, w.held[name]}
			continue
		}
		p.tables[name] = w.compareColumns(nil, name, at, cols)
	}
	w.note(at)
	return p
}

func (w *walk) tables() []string { return slices.Sorted(maps.Keys(w.now)) }

func (w *walk) all(table string, cols []column) []string {
	w.t.Helper()
	return w.lake.rows("SELECT "+texts(cols)+" FROM "+table, head)
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
