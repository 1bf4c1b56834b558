package supertable_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/testdb"
)

// past is a table at one snapshot, said plainly: columns by name in order, and
// rows that map column ids to texts, "∅" for NULL.
type past struct {
	columns []pastColumn
	rows    []map[int]string
	gone    bool
}

type pastColumn struct {
	id   int
	name string
}

func (p past) clone() past {
	out := past{columns: slices.Clone(p.columns), gone: p.gone}
	for _, r := range p.rows {
		out.rows = append(out.rows, maps.Clone(r))
	}
	return out
}

// lines are the rows as a query shows them.
func (p past) lines() []string {
	out := []string{}
	for _, r := range p.rows {
		cells := make([]string, len(p.columns))
		for i, c := range p.columns {
			if cells[i] = r[c.id]; cells[i] == "" {
				cells[i] = "∅"
			}
		}
		out = append(out, strings.Join(cells, "|"))
	}
	sort.Strings(out)
	return out
}

func (p past) text() string {
	if p.gone {
		return "gone"
	}
	names := make([]string, len(p.columns))
	for i, c := range p.columns {
		names[i] = c.name
	}
	return strings.Join(names, "|") + "\n" + strings.Join(p.lines(), "\n")
}

// TestReturnsAgainstAModel runs random histories with returns to earlier
// states. Every snapshot must stay what it was in the model, a return must be
// what it returns to, and differences must be those of the model.
//
//	ST_SEED=42 repeats one, ST_RETURN_RUNS=100 runs more
func TestReturnsAgainstAModel(t *testing.T) {
	runs, first := 6, uint64(time.Now().UnixNano())%1_000_000
	if n, err := strconv.Atoi(os.Getenv("ST_RETURN_RUNS")); err == nil {
		runs = n
	}
	if n, err := strconv.ParseUint(os.Getenv("ST_SEED"), 10, 64); err == nil {
		first, runs = n, 1
	}
	for seed := first; seed < first+uint64(runs); seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := &returnWalk{t: t, r: rand.New(rand.NewPCG(seed, 5)), s: testdb.At(t, t.TempDir(), testdb.Either(seed)).Session("m"), now: past{gone: true}}
			w.states = []past{w.now}
			for range 45 {
				w.step()
			}
			w.end()
			if t.Failed() {
				t.Logf("ST_SEED=%d:\n%s", seed, strings.Join(w.log, "\n"))
			}
		})
	}
}

type returnWalk struct {
	t      *testing.T
	r      *rand.Rand
	s      *supertable.Session
	now    past
	states []past // by snapshot
	ids    int
	log    []string
	values int
}

func (w *returnWalk) note(format string, args ...any) {
	w.log = append(w.log, fmt.Sprintf("%d: ", len(w.states)-1)+fmt.Sprintf(format, args...))
}

// commit keeps the state under the snapshot that the call reported.
func (w *returnWalk) commit(snapshot int64) {
	w.t.Helper()
	if snapshot == int64(len(w.states))-1 {
		if got, want := w.now.text(), w.states[snapshot].text(); got != want {
			w.t.Fatalf("no snapshot, though the model changed:\n%s\nST_ log:\n%s", want, strings.Join(w.log, "\n"))
		}
		return
	}
	if snapshot != int64(len(w.states)) {
		w.t.Fatalf("snapshot %d after %d\n%s", snapshot, len(w.states)-1, strings.Join(w.log, "\n"))
	}
	w.states = append(w.states, w.now.clone())
}

func (w *returnWalk) step() {
	ctx := w.t.Context()
	if w.now.gone && len(w.states) > 1 && w.r.IntN(3) > 0 {
		w.note("undrop")
		res, err := w.s.Undrop(ctx, "t")
		w.check(err)
		w.now = w.states[w.lastAlive()].clone()
		w.commit(res.Snapshot)
		return
	}
	if w.now.gone {
		if len(w.states) == 1 {
			w.create()
		}
		return
	}
	switch n := w.r.IntN(20); {
	case n < 3:
		w.write("append", w.r.IntN(30), nil, false)
	case n < 8:
		w.write("upsert", w.r.IntN(15), []string{"k"}, false)
	case n < 10:
		w.write("delete", 1+w.r.IntN(15), []string{"k"}, true)
	case n == 10:
		w.deleteAll()
	case n == 11:
		w.addColumn()
	case n == 12:
		w.dropColumn()
	case n == 13:
		w.renameColumn()
	case n == 14:
		w.drop()
	case n == 15:
		w.note("inline limit")
		w.check(w.s.SetOption(ctx, "", "inline_delete_limit", []string{"0", "", "5"}[w.r.IntN(3)]))
	default:
		w.rollback()
	}
}

func (w *returnWalk) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatalf("%v\n%s", err, strings.Join(w.log, "\n"))
	}
}

func (w *returnWalk) lastAlive() int {
	for i := len(w.states) - 1; ; i-- {
		if !w.states[i].gone {
			return i
		}
	}
}

func (w *returnWalk) create() {
	w.now = past{columns: []pastColumn{{1, "k"}, {2, "v"}}}
	w.ids = 2
	w.write("append", 20, nil, false)
}

func (w *returnWalk) write(kind string, n int, key []string, only bool) {
	w.note("%s %d", kind, n)
	cols := "k:int64"
	if !only {
		for _, c := range w.now.columns[1:] {
			cols += "," + c.name + ":int64"
		}
	}
	hit := map[string]bool{}
	var in []map[int]string
	var texts []string
	for range n {
		k := strconv.Itoa(w.r.IntN(25))
		if w.r.IntN(12) == 0 {
			k = "∅"
		}
		row := map[int]string{1: k}
		cells := []string{`"k":` + strings.ReplaceAll(k, "∅", "null")}
		if !only {
			for _, c := range w.now.columns[1:] {
				w.values++
				v := strconv.Itoa(w.r.IntN(3) * w.values)
				row[c.id] = v
				cells = append(cells, strconv.Quote(c.name)+":"+v)
			}
		}
		hit[k] = true
		in = append(in, row)
		texts = append(texts, "{"+strings.Join(cells, ",")+"}")
	}
	res := testdb.Write(w.t, w.s, "t", cols, "["+strings.Join(texts, ",")+"]", &supertable.WriteOptions{Key: key, DeleteOnly: only})
	if key != nil {
		w.now.rows = slices.DeleteFunc(w.now.rows, func(r map[int]string) bool { return hit[r[1]] })
	}
	if !only {
		w.now.rows = append(w.now.rows, in...)
	}
	w.commit(res.Snapshot)
}

func (w *returnWalk) deleteAll() {
	w.note("delete all")
	res, err := w.s.WriteFiles(w.t.Context(), "t", nil, &supertable.WriteOptions{DeleteAll: true})
	w.check(err)
	w.now.rows = nil
	w.commit(res.Snapshot)
}

func (w *returnWalk) alter(a supertable.Alteration) {
	res, err := w.s.Alter(w.t.Context(), "t", a)
	w.check(err)
	w.commit(res.Snapshot)
}

func (w *returnWalk) addColumn() {
	w.ids++
	name, add := fmt.Sprintf("x%d", w.ids), &supertable.AddColumn{Type: "BIGINT"}
	add.Name = name
	if w.r.IntN(2) == 0 {
		add.Default = new("77")
		for _, r := range w.now.rows {
			r[w.ids] = "77"
		}
	}
	w.note("add %s %v", name, add.Default != nil)
	w.now.columns = append(w.now.columns, pastColumn{w.ids, name})
	w.alter(supertable.Alteration{Add: add})
}

func (w *returnWalk) dropColumn() {
	if len(w.now.columns) < 3 {
		return
	}
	i := 1 + w.r.IntN(len(w.now.columns)-1)
	c := w.now.columns[i]
	w.note("drop column %s", c.name)
	w.now.columns = slices.Delete(w.now.columns, i, i+1)
	for _, r := range w.now.rows {
		delete(r, c.id)
	}
	w.alter(supertable.Alteration{Drop: c.name})
}

func (w *returnWalk) renameColumn() {
	i := 1 + w.r.IntN(len(w.now.columns)-1)
	w.ids++
	from, to := w.now.columns[i].name, fmt.Sprintf("y%d", w.ids)
	w.note("rename %s to %s", from, to)
	w.now.columns[i].name = to
	w.alter(supertable.Alteration{RenameColumn: &supertable.RenameColumn{From: from, To: to}})
}

func (w *returnWalk) drop() {
	w.note("drop")
	_, err := w.s.DropTable(w.t.Context(), "t")
	w.check(err)
	w.now = past{gone: true}
	w.commit(int64(len(w.states)))
}

func (w *returnWalk) rollback() {
	to := w.r.IntN(len(w.states))
	dry := w.r.IntN(5) == 0
	w.note("rollback to %d dry %t", to, dry)
	before := w.now
	res, err := w.s.Rollback(w.t.Context(), "t", int64(to), &supertable.RollbackOptions{DryRun: dry})
	if w.states[to].gone {
		if supertable.KindOf(err) != supertable.NotFound {
			w.t.Fatalf("rollback to where it was not: %v\n%s", err, strings.Join(w.log, "\n"))
		}
		return
	}
	w.check(err)
	if got, want := res.Inserted-res.Deleted, int64(len(w.states[to].rows)-len(before.rows)); got != want {
		w.t.Fatalf("%d rows came and %d went, want a difference of %d\n%s", res.Inserted, res.Deleted, want, strings.Join(w.log, "\n"))
	}
	if dry {
		return
	}
	w.now = w.states[to].clone()
	w.commit(res.Snapshot)
	if got := w.read(int64(len(w.states) - 1)); got != w.now.text() {
		w.t.Fatalf("after a return to %d:\n%s\nwant\n%s\n%s", to, got, w.now.text(), strings.Join(w.log, "\n"))
	}
}

func (w *returnWalk) read(at int64) string {
	w.t.Helper()
	out, _, err := answer(context.Background(), w.s, "select * from t", &supertable.QueryOptions{AtVersion: &at})
	if supertable.KindOf(err) == supertable.NotFound {
		return "gone"
	}
	w.check(err)
	if !strings.Contains(out, "\n") {
		out += "\n"
	}
	return out
}

// end compares every snapshot, every snapshot's changes, and some differences.
func (w *returnWalk) end() {
	w.t.Helper()
	for at, want := range w.states {
		if got := w.read(int64(at)); got != want.text() {
			w.t.Fatalf("snapshot %d:\n%s\nwant\n%s\n%s", at, got, want.text(), strings.Join(w.log, "\n"))
		}
	}
	for at := 1; at < len(w.states); at++ {
		a, b := w.states[at-1], w.states[at]
		if a.gone || b.gone || slices.Equal(a.columns, b.columns) {
			to := int64(at)
			rows, err := w.s.Changes(w.t.Context(), "t", to-1, &supertable.ChangesOptions{To: &to})
			w.same(fmt.Sprintf("changes of %d", at), rows, err, a, b, 2)
		}
	}
	for range 30 {
		from, to := w.r.IntN(len(w.states)), w.r.IntN(len(w.states))
		a, b := w.states[from], w.states[to]
		if a.gone && b.gone || !a.gone && !b.gone && !slices.Equal(a.columns, b.columns) {
			continue
		}
		var o supertable.DiffOptions
		if w.r.IntN(2) == 0 {
			o.Key = []string{"k"}
		}
		rows, err := w.s.Diff(w.t.Context(), "t", int64(from), int64(to), &o)
		w.same(fmt.Sprintf("diff from %d to %d by %v", from, to, o.Key), rows, err, a, b, 1)
	}
}

// same wants a to become b by the rows; skip columns stand before their own.
func (w *returnWalk) same(what string, rows *supertable.Rows, err error, a, b past, skip int) {
	w.t.Helper()
	if a.gone && b.gone {
		if err == nil {
			_ = rows.Close()
		}
		return
	}
	w.check(err)
	lines, err := resultLines(rows)
	w.check(err)
	count := map[string]int{}
	for _, l := range a.lines() {
		count[l]++
	}
	for _, l := range lines[1:] {
		cells := strings.Split(l, "|")
		row := strings.Join(cells[skip:], "|")
		switch cells[0] {
		case "insert", "update_after":
			count[row]++
		default:
			if count[row]--; count[row] < 0 && skip == 1 {
				w.t.Fatalf("%s: %s is not there to go\n%s", what, l, strings.Join(w.log, "\n"))
			}
		}
	}
	for _, l := range b.lines() {
		count[l]--
	}
	for row, n := range count {
		if n != 0 {
			w.t.Fatalf("%s: %+d × %s\n%s\n%s", what, n, row, strings.Join(lines, "\n"), strings.Join(w.log, "\n"))
		}
	}
}
