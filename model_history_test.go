package supertable_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/testdb"
)

// TestModel runs random histories against the model: after each step results
// and rows must be equal, at the end every past snapshot.
func TestModel(t *testing.T) {
	first, runs, steps := seed(t), 2, 70
	if !testing.Short() {
		runs, steps = 8, 200
	}
	for i := range runs {
		n := first + uint64(i)
		t.Run(fmt.Sprintf("seed=%d", n), func(t *testing.T) {
			h := newHistory(t, n)
			for h.step = range steps {
				h.one()
			}
			h.finish()
		})
	}
}

// history is one random history. Two lakes have the same home open, as two
// processes would.
type history struct {
	t     *testing.T
	seed  uint64
	rng   *rand.Rand
	step  int
	log   []string
	m     *model
	lakes [2]*supertable.Session
	calls []call // with write ids
}

func newHistory(t *testing.T, n uint64) *history {
	db := testdb.At(t, t.TempDir(), testdb.Either(n))
	other := testdb.At(t, db.Home, nil)
	return &history{t: t, seed: n, rng: source64(n), m: newModel(), lakes: [2]*supertable.Session{db.Session("model"), other.Session("model")}}
}

func (h *history) fatalf(format string, args ...any) {
	h.t.Helper()
	h.t.Fatalf("%s\nstep %d, repeat with ST_SEED=%d; the last steps:\n%s", fmt.Sprintf(format, args...), h.step, h.seed, strings.Join(h.log[max(0, len(h.log)-6):], "\n"))
}

func (h *history) session() *supertable.Session { return h.lakes[h.rng.IntN(2)] }

func (h *history) pick(words string) string {
	all := strings.Fields(words)
	return all[h.rng.IntN(len(all))]
}

func (h *history) chance(percent int) bool { return h.rng.IntN(100) < percent }

// one makes a step and compares.
func (h *history) one() {
	h.t.Helper()
	table := h.pick("alpha alpha alpha beta beta Gamma")
	switch n := h.rng.IntN(100); {
	case n < 68:
		h.write(h.randomWrite(table))
	case n < 73 && len(h.calls) > 0:
		h.repeat()
	case n < 76:
		h.write(call{table: table, deleteAll: true})
	case n < 92:
		h.alter(table)
	case n < 95:
		h.drop(table)
	default:
		h.option(table)
	}
	h.compare(table)
}

func (h *history) note(format string, args ...any) {
	h.log = append(h.log, fmt.Sprintf("%d: ", h.step)+fmt.Sprintf(format, args...))
}

// columnTypes are the types that batches bring, the frequent ones several times.
var columnTypes = map[string]string{
	"k": "int64 int64 int64 int64 int32 int32 float64 text", "g": "text text text text text int32 null",
	"v": "int32 int64 int64 int64 float64", "f": "float64 float64 float64 int32 int64", "s": "text text text null", "n": "null null int32 text",
	"x": "int64 text", "y": "float64",
}

func (h *history) randomWrite(table string) call {
	c := call{table: table}
	for _, col := range []struct {
		name  string
		share int
	}{{"k", 96}, {"g", 60}, {"v", 80}, {"f", 40}, {"s", 40}, {"n", 20}, {"x", 4}, {"y", 4}} {
		if h.chance(col.share) {
			c.types = append(c.types, h.pick(columnTypes[col.name]))
			if h.chance(5) {
				col.name = strings.ToUpper(col.name)
			}
			c.names = append(c.names, col.name)
		}
	}
	if len(c.names) == 0 {
		c.names, c.types = []string{"k"}, []string{"int64"}
	}
	h.rng.Shuffle(len(c.names), func(i, k int) {
		c.names[i], c.names[k], c.types[i], c.types[k] = c.names[k], c.names[i], c.types[k], c.types[i]
	})
	rows, domain := h.rng.IntN(8), 12
	if h.chance(8) {
		rows, domain = 300+h.rng.IntN(200), 400 // keys no longer written out in the statement
	}
	for range rows {
		row := make([]any, len(c.names))
		for i := range row {
			row[i] = h.value(c.types[i], domain)
		}
		c.rows = append(c.rows, row)
	}
	if h.chance(60) {
		c.key = append(c.key, c.names[h.rng.IntN(len(c.names))])
		if k := c.names[h.rng.IntN(len(c.names))]; h.chance(40) && k != c.key[0] {
			c.key = append(c.key, k)
		}
		switch n := h.rng.IntN(10); {
		case n < 3:
			c.deleteOnly = true
		case n < 6:
			c.newer = c.names[h.rng.IntN(len(c.names))]
		}
	}
	if h.chance(15) {
		c.writeID = fmt.Sprintf("w%d", h.step)
		h.calls = append(h.calls, c)
	}
	return c
}

func (h *history) value(typ string, domain int) any {
	if typ == "null" || h.chance(12) {
		return nil
	}
	n := h.rng.IntN(domain)
	rare := h.chance(3)
	switch typ {
	case "int32":
		return int64(n)
	case "int64":
		if rare {
			return []int64{1<<53 + 1, math.MaxInt64, math.MinInt64, -1}[h.rng.IntN(4)]
		}
		return int64(n)
	case "float64":
		if rare {
			return []float64{0.1, 1e300, math.Inf(-1), 0.5}[h.rng.IntN(4)]
		}
		if n == 0 && h.chance(50) {
			return math.Copysign(0, -1)
		}
		if n == 1 && h.chance(40) {
			return math.NaN()
		}
		return float64(n)
	}
	if rare {
		return []string{"", "it's", "é|∅", "NULL", "5 "}[h.rng.IntN(5)]
	}
	return []string{"a", "b", "A", "7"}[n%4]
}

// batch gives the call's rows in the form that testdb.Batch takes.
func (c call) batch() (columns, rows string) {
	parts := make([]string, len(c.names))
	for i, n := range c.names {
		parts[i] = n + ":" + c.types[i]
	}
	objects := make([]string, len(c.rows))
	for i, r := range c.rows {
		cells := make([]string, len(r))
		for k, v := range r {
			text := []byte("null")
			switch x := v.(type) {
			case nil:
			case float64:
				text, _ = json.Marshal(strconv.FormatFloat(x, 'g', -1, 64)) // JSON has no NaN
			default:
				text, _ = json.Marshal(x)
			}
			cells[k] = fmt.Sprintf("%q: %s", c.names[k], text)
		}
		objects[i] = "{" + strings.Join(cells, ", ") + "}"
	}
	return strings.Join(parts, ","), "[" + strings.Join(objects, ",\n") + "]"
}

func (c call) options() *supertable.WriteOptions {
	return &supertable.WriteOptions{Key: c.key, NewerThan: c.newer, DeleteOnly: c.deleteOnly, DeleteAll: c.deleteAll, WriteID: c.writeID}
}

// do makes the call on the SuperTable.
func (c call) do(t *testing.T, s *supertable.Session) (result, string) {
	t.Helper()
	columns, rows := "k:int64", "[]"
	if !c.deleteAll {
		columns, rows = c.batch()
	}
	rr := testdb.Batch(t, columns, rows)
	defer rr.Release()
	r, err := s.Write(t.Context(), c.table, rr, c.options())
	if err != nil {
		return result{}, string(supertable.KindOf(err)) + ": " + err.Error()
	}
	return result{r.Table, r.Columns, r.Rows, r.Inserted, r.Deleted, r.SkippedStale, r.Snapshot, r.Version, r.Duplicate}, ""
}

func (h *history) write(c call) {
	h.t.Helper()
	columns, rows := c.batch()
	h.note("write %s (%s) key=%v newer=%s delete=%v all=%v id=%s\n%s", c.table, columns, c.key, c.newer, c.deleteOnly, c.deleteAll, c.writeID, cutText(rows))
	got, gotKind := c.do(h.t, h.session())
	want, kind := h.m.write(c)
	h.same(gotKind, kind)
	if got != want {
		h.fatalf("got result  %+v\nwant result %+v", got, want)
	}
}

func cutText(s string) string {
	if len(s) > 1500 {
		return s[:1500] + "…"
	}
	return s
}

// same compares the kinds of error; got carries its text too.
func (h *history) same(got, want string) {
	h.t.Helper()
	kind, _, _ := strings.Cut(got, ":")
	if kind != want {
		h.fatalf("got error %q, want kind %q", got, want)
	}
}

// repeat makes a call with a write id once more, as it was or with another row.
func (h *history) repeat() {
	h.t.Helper()
	c := h.calls[h.rng.IntN(len(h.calls))]
	if h.chance(30) && len(c.rows) > 0 {
		c.rows = c.rows[1:]
	}
	h.write(c)
}

func (h *history) alter(table string) {
	h.t.Helper()
	var a supertable.Alteration
	col := h.pick("k g v f s n x y")
	switch h.rng.IntN(6) {
	case 0:
		a.Rename = h.pick("alpha beta Gamma delta")
	case 1:
		a.Add = &supertable.AddColumn{Name: col, Type: h.pick("INTEGER BIGINT DOUBLE VARCHAR")}
		if h.chance(50) {
			text := "'7'"
			if a.Add.Type != "VARCHAR" {
				text = "7"
			}
			a.Add.Default = &text
		}
	case 2:
		a.Drop = col
	case 3:
		a.RenameColumn = &supertable.RenameColumn{From: col, To: h.pick("k g v x y z K")}
	default:
		a.Type = &supertable.ChangeColumnType{Name: col, Type: h.pick("INTEGER BIGINT BIGINT DOUBLE VARCHAR"), Cast: h.chance(50)}
		if h.unclear(table, a.Type) {
			return
		}
	}
	text, _ := json.Marshal(a)
	h.note("alter %s %s", table, text)
	res, err := h.session().Alter(h.t.Context(), table, a)
	got := ""
	if err != nil {
		got = string(supertable.KindOf(err)) + ": " + err.Error()
	}
	h.same(got, h.m.alter(table, a))
	if err == nil && res.Snapshot != h.m.head {
		h.fatalf("got snapshot %d, want %d", res.Snapshot, h.m.head)
	}
}

// unclear reports casts whose result is the engine's matter: how a float is
// written as text, and how texts that are no plain number are read.
func (h *history) unclear(table string, a *supertable.ChangeColumnType) bool {
	t := h.m.table(table)
	if t == nil || !a.Cast {
		return false
	}
	c := t.column(a.Name)
	return c != nil && (c.typ == "float64" && a.Type == "VARCHAR" || c.typ == "text" && a.Type != "VARCHAR" && hasText(t, c.id, "5 "))
}

func hasText(t *modelTable, id int, text string) bool {
	for _, r := range t.rows {
		if r[id] == text {
			return true
		}
	}
	return false
}

func (h *history) drop(table string) {
	h.t.Helper()
	h.note("drop %s", table)
	got, err := h.session().DropTable(h.t.Context(), table)
	if err != nil {
		h.fatalf("drop: %v", err)
	}
	if want := h.m.drop(table); got != want {
		h.fatalf("got dropped %v, want %v", got, want)
	}
}

// option changes how deletes are kept; the model does not see it.
func (h *history) option(table string) {
	h.t.Helper()
	if h.m.table(table) == nil {
		table = ""
	}
	value := h.pick("0 0 1 3 2000")
	h.note("option %s inline_delete_limit=%s", table, value)
	if err := h.session().SetOption(h.t.Context(), table, "inline_delete_limit", value); err != nil {
		h.fatalf("option: %v", err)
	}
}

// compare compares one table, and from time to time all.
func (h *history) compare(table string) {
	h.t.Helper()
	tables := []string{table}
	if h.chance(10) {
		tables = []string{"alpha", "beta", "Gamma", "delta"}
	}
	s := h.session()
	for _, name := range tables {
		got, err := readAll(h.t, s, name, nil)
		t := h.m.table(name)
		switch {
		case t == nil && supertable.KindOf(err) == supertable.NotFound:
		case err != nil:
			h.fatalf("read %s: %v", name, err)
		case t == nil:
			h.fatalf("table %s is there", name)
		case got != t.text():
			h.fatalf("table %s has\n%s\nwant\n%s", name, got, t.text())
		}
	}
}

// readAll reads a table as modelTable.text shows it.
func readAll(t *testing.T, s *supertable.Session, table string, at *int64) (string, error) {
	t.Helper()
	rows, err := s.Query(t.Context(), "SELECT * FROM "+table, &supertable.QueryOptions{AtVersion: at})
	if err != nil {
		return "", err
	}
	defer func() { _ = rows.Close() }()
	var head, lines []string
	for _, f := range rows.Schema().Fields() {
		head = append(head, f.Name+":"+strings.Replace(f.Type.String(), "utf8", "text", 1))
	}
	for rows.Next() {
		b := rows.Batch()
		for i := range int(b.NumRows()) {
			cells := make([]string, b.NumCols())
			for k := range cells {
				cells[k] = "∅"
				if col := b.Column(k); !col.IsNull(i) {
					cells[k] = strings.Clone(col.ValueStr(i)) // the batch goes
					if cells[k] == "-0" {
						cells[k] = "0"
					}
				}
			}
			lines = append(lines, strings.Join(cells, "|"))
		}
	}
	sort.Strings(lines)
	return strings.Join(head, " ") + "\n" + strings.Join(lines, "\n"), rows.Err()
}

// finish compares listing, history and every past snapshot.
func (h *history) finish() {
	h.t.Helper()
	s := h.session()
	all, err := s.History(h.t.Context(), "")
	if err != nil {
		h.fatalf("history: %v", err)
	}
	var got []string
	for _, e := range slices.Backward(all) {
		got = append(got, fmt.Sprintf("%d v%d %s %s +%d -%d", e.Snapshot, e.Version, e.Table, e.Operation, e.Inserted, e.Deleted))
	}
	if a, b := strings.Join(got, "\n"), strings.Join(h.m.history, "\n"); a != b {
		h.fatalf("got history\n%s\nwant\n%s", a, b)
	}
	list, err := s.Tables(h.t.Context())
	if err != nil || len(list) != len(h.m.tables) {
		h.fatalf("got %d tables (%v), want %d", len(list), err, len(h.m.tables))
	}
	for _, l := range list {
		if m := h.m.table(l.Name); m == nil || m.name != l.Name || m.version != l.Version || int64(len(m.rows)) != l.Rows {
			h.fatalf("got table %+v, the model has %+v", l, m)
		}
	}
	for at, state := range h.m.states {
		v := int64(at)
		for name, want := range state {
			got, err := readAll(h.t, s, name, &v)
			if err != nil || got != want {
				h.fatalf("snapshot %d, table %s: %v\n%s\nwant\n%s", at, name, err, got, want)
			}
		}
	}
}
