package supertable_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/internal/testdb"
)

// TestMaintenanceChangesNothing runs random histories of writes and schema
// changes with maintenance in between: after each step of it every retained
// snapshot of every table must answer as before.
func TestMaintenanceChangesNothing(t *testing.T) {
	r := random(t)
	steps := 60
	if testing.Short() {
		steps = 35
	}
	for _, rows := range []int{-1, catalog.InlineRows} {
		k := keptAt(t, t.TempDir(), &supertable.Options{MemoryBytes: 512 << 20, InlineRows: rows})
		h := &keeping{kept: k, r: r, columns: map[string][]string{}}
		for range steps {
			h.change()
			if r.IntN(3) > 0 {
				continue
			}
			before := k.answers()
			what := h.keep()
			k.same(what, before, k.answers())
			if t.Failed() {
				t.Fatalf("history: %s", strings.Join(h.told, ", "))
			}
		}
		before := k.answers()
		for _, step := range []func(){func() { k.flush("") }, func() { k.compact("") }, func() { k.expire(4) }, func() { k.clean() }, func() { k.compact("") }, func() { k.clean() }} {
			step()
			k.same("at the end", before, k.answers())
			k.check()
		}
		for name := range h.columns {
			if _, _, dead := k.shape(name); dead != 0 {
				t.Errorf("%s has %d dead rows after all", name, dead)
			}
		}
		if t.Failed() {
			t.Fatalf("history: %s", strings.Join(h.told, ", "))
		}
	}
}

// keeping is one random history with maintenance in it.
type keeping struct {
	*kept
	r       *rand.Rand
	columns map[string][]string // further columns of the tables that are there, as name:type
	told    []string
	n       int
}

func (h *keeping) tell(format string, args ...any) {
	h.told = append(h.told, fmt.Sprintf(format, args...))
}

// rows makes a batch of some keys.
func (h *keeping) rows(table string, n, keys int) (columns, rows string) {
	var list []string
	cols := h.columns[table]
	for range n {
		h.n++
		row := fmt.Sprintf(`{"k":%d,"v":"%d"`, h.r.IntN(keys), h.n)
		for _, c := range cols {
			name, typ, _ := strings.Cut(c, ":")
			switch {
			case h.r.IntN(4) == 0:
			case typ == "text":
				row += fmt.Sprintf(`,%q:"x%d"`, name, h.n%9)
			case typ == "float64":
				row += fmt.Sprintf(`,%q:%d.5`, name, h.n)
			default:
				row += fmt.Sprintf(`,%q:%d`, name, h.n%100)
			}
		}
		list = append(list, row+"}")
	}
	return strings.Join(append([]string{kv}, cols...), ","), "[" + strings.Join(list, ",") + "]"
}

// change makes a random change of a random table.
func (h *keeping) change() {
	h.t.Helper()
	table := fmt.Sprintf("t%d", h.r.IntN(2))
	_, there := h.columns[table]
	if !there {
		h.columns[table] = nil
	}
	if h.r.IntN(4) == 0 {
		h.option("", "inline_delete_limit", []string{"0", "3", ""}[h.r.IntN(3)])
	}
	n := 1 + h.r.IntN(6)
	what := h.r.IntN(20)
	if !there {
		what = 0
	}
	h.tell("%s %d/%d", table, what, n)
	switch {
	case what < 5:
		cols, rows := h.rows(table, n, 12)
		testdb.Write(h.t, h.Session, table, cols, rows, nil)
	case what < 11:
		cols, rows := h.rows(table, n, 12)
		testdb.Write(h.t, h.Session, table, cols, rows, byK)
	case what < 14:
		cols, rows := h.rows(table, n, 12)
		testdb.Write(h.t, h.Session, table, cols, rows, &supertable.WriteOptions{Key: []string{"k"}, DeleteOnly: true})
	case what < 18:
		h.alter(table)
	case what == 18:
		if _, err := h.WriteFiles(h.t.Context(), table, nil, &supertable.WriteOptions{DeleteAll: true}); err != nil {
			h.t.Fatal(err)
		}
	default:
		if _, err := h.DropTable(h.t.Context(), table); err != nil {
			h.t.Fatal(err)
		}
		delete(h.columns, table)
	}
}

// alter makes a random change of the table's columns.
func (h *keeping) alter(table string) {
	h.t.Helper()
	h.n++
	cols := h.columns[table]
	name := fmt.Sprintf("c%d", h.n)
	a := supertable.Alteration{}
	switch i := len(cols) - 1; h.r.IntN(4) {
	case 0:
		typ := []string{"text", "int32", "float32"}[h.r.IntN(3)]
		a.Add = &supertable.AddColumn{Name: name, Type: map[string]string{"text": "VARCHAR", "int32": "INTEGER", "float32": "REAL"}[typ]}
		if typ == "int32" {
			a.Add.Default = new("7")
		}
		h.columns[table] = append(cols, name+":"+typ)
	case 1:
		if i < 0 {
			return
		}
		a.Drop, _, _ = strings.Cut(cols[i], ":")
		h.columns[table] = cols[:i]
	case 2:
		if i < 0 {
			return
		}
		from, typ, _ := strings.Cut(cols[i], ":")
		a.RenameColumn = &supertable.RenameColumn{From: from, To: name}
		h.columns[table] = append(slices.Clone(cols[:i]), name+":"+typ)
	default:
		if i < 0 || strings.HasSuffix(cols[i], "text") {
			return
		}
		from, _, _ := strings.Cut(cols[i], ":")
		to := map[bool]string{true: "BIGINT", false: "DOUBLE"}[strings.HasSuffix(cols[i], "int32") || strings.HasSuffix(cols[i], "int64")]
		a.Type = &supertable.ChangeColumnType{Name: from, Type: to}
		h.columns[table] = append(slices.Clone(cols[:i]), from+":"+map[string]string{"BIGINT": "int64", "DOUBLE": "float64"}[to])
	}
	h.tell("%+v", a)
	if _, err := h.Alter(h.t.Context(), table, a); err != nil {
		h.t.Fatalf("alter %s: %+v: %v", table, a, err)
	}
}

// keep runs a random step of maintenance.
func (h *keeping) keep() string {
	h.t.Helper()
	what := []string{"compact", "compact", "flush", "maintain", "expire", "clean"}[h.r.IntN(6)]
	switch what {
	case "compact":
		h.compact("")
	case "flush":
		h.flush("")
	case "maintain":
		h.option("", "max_tombstone_rows", []string{"2", ""}[h.r.IntN(2)])
		h.option("", "max_overlapping_files", []string{"3", ""}[h.r.IntN(2)])
		h.option("", "flush_dead_rows", []string{"2", ""}[h.r.IntN(2)])
		h.maintain()
	case "expire":
		h.expire(int64(3 + h.r.IntN(12)))
	default:
		h.clean()
	}
	h.tell("%s", what)
	return what
}

// TestMaintenanceAgainstWriters: writers, readers and maintenance at once, in
// two processes' manner. Each key is written by one writer, which knows what it
// must be; no row comes back, none is lost, no reader meets an error.
func TestMaintenanceAgainstWriters(t *testing.T) {
	seconds := 8 * time.Second
	if testing.Short() {
		seconds = 4 * time.Second
	}
	k := newKept(t)
	k.option("", "inline_delete_limit", "2")
	k.option("", "max_overlapping_files", "4")
	k.option("", "max_tombstone_rows", "6")
	k.option("", "flush_dead_rows", "3")
	const writers, keys = 3, 40
	var first []string
	for key := range writers * keys {
		first = append(first, fmt.Sprintf(`{"k":%d,"v":"0"}`, key))
	}
	k.put("t", "["+strings.Join(first, ",")+"]")
	var stop atomic.Bool
	want := make([]map[int]string, writers)
	var wg sync.WaitGroup
	for w := range writers {
		want[w] = map[int]string{}
		for i := range keys {
			want[w][w*keys+i] = "0"
		}
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 7))
			for n := 1; !stop.Load(); n++ {
				key := w*keys + 1 + r.IntN(keys-1) // not the first one, which every write has
				if r.IntN(4) == 0 {
					k.remove("t", fmt.Sprintf(`[{"k":%d}]`, key))
					delete(want[w], key)
					continue
				}
				k.put("t", fmt.Sprintf(`[{"k":%d,"v":"%d"},{"k":%d,"v":"%d"}]`, key, n, w*keys, n))
				want[w][key], want[w][w*keys] = fmt.Sprint(n), fmt.Sprint(n)
			}
		})
	}
	wg.Go(func() { // a reader: each key once, always
		for !stop.Load() {
			got, err := testdb.TryQuery(t.Context(), k.Session, "SELECT count(*) - count(DISTINCT k), count(*) <= 120 FROM t", nil)
			if err != nil || got != "0|true" {
				t.Errorf("read: %s %v", got, err)
				return
			}
		}
	})
	other := keptAt(t, k.Home, nil)
	did := 0
	until := time.Now().Add(seconds)
	for n := 0; time.Now().Before(until) && !t.Failed(); n++ {
		r, err := other.Maintain(t.Context(), nil)
		if err == nil && n%2 == 0 {
			_, err = other.Compact(t.Context(), "t", nil)
		}
		if err == nil && n%3 == 0 {
			_, err = other.Expire(t.Context(), &supertable.ExpireOptions{KeepLast: 5})
		}
		if err == nil {
			_, err = other.Clean(t.Context(), &supertable.CleanOptions{Grace: &atOnce})
		}
		if err != nil {
			t.Errorf("maintenance: %v (%v)", err, errors.Unwrap(err))
		}
		did += len(r.Compact) + len(r.Flush)
	}
	stop.Store(true)
	wg.Wait()
	var lines []string
	for w := range want {
		for key, v := range want[w] {
			lines = append(lines, fmt.Sprintf("%d|%s", key, v))
		}
	}
	slices.Sort(lines)
	if got := testdb.Query(t, k.Session, "SELECT * FROM t", nil); got != strings.Join(lines, "\n") {
		t.Errorf("the table is\n%s\nwant\n%s", got, strings.Join(lines, "\n"))
	}
	if did == 0 {
		t.Error("maintenance never found anything to do")
	}
	k.check()
	k.compact("")
	if got := testdb.Query(t, k.Session, "SELECT * FROM t", nil); got != strings.Join(lines, "\n") {
		t.Errorf("after compaction the table is\n%s\nwant\n%s", got, strings.Join(lines, "\n"))
	}
}
