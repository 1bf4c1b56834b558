package supertable_test

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The model is what a SuperTable does, said plainly: tables are lists of rows
// in memory, a write goes over all of them. Random histories run against both.

// modelColumn is a column; id tells it from earlier ones of the same name.
type modelColumn struct {
	id        int
	name, typ string // int32, int64, float64 or text
	def       any    // the value of rows written without the column
	ever      bool   // some row at some time had a value
}

// modelTable is a table. A row maps column ids to nil, int64, float64 or string.
type modelTable struct {
	name    string
	version int64
	columns []*modelColumn
	rows    []map[int]any
	writes  map[string]modelWrite // by write id
}

type modelWrite struct {
	call   call
	result result
}

// call is one write; its columns and rows are what the batch has.
type call struct {
	table      string
	names      []string
	types      []string // as in columns, or null
	rows       [][]any
	key        []string
	newer      string
	deleteOnly bool
	deleteAll  bool
	writeID    string
}

// result is what a write reports.
type result struct {
	table                            string
	columns                          int
	rows, inserted, deleted, skipped int64
	snapshot, version                int64
	duplicate                        bool
}

// model is a SuperTable.
type model struct {
	tables  []*modelTable
	head    int64
	ids     int
	history []string
	states  []map[string]string // per snapshot: each table's columns and rows as text
}

func newModel() *model { return &model{states: []map[string]string{{}}} }

func (m *model) table(name string) *modelTable {
	for _, t := range m.tables {
		if strings.EqualFold(t.name, name) {
			return t
		}
	}
	return nil
}

func (t *modelTable) column(name string) *modelColumn {
	for _, c := range t.columns {
		if strings.EqualFold(c.name, name) {
			return c
		}
	}
	return nil
}

// commit makes the next snapshot of one change.
func (m *model) commit(t *modelTable, operation string, inserted, deleted int64) {
	m.head++
	m.history = append(m.history, fmt.Sprintf("%d v%d %s %s +%d -%d", m.head, t.version, t.name, operation, inserted, deleted))
	state := map[string]string{}
	for _, x := range m.tables {
		state[x.name] = x.text()
	}
	m.states = append(m.states, state)
}

// text shows columns and rows as the test reads them from a query.
func (t *modelTable) text() string {
	head := make([]string, len(t.columns))
	for i, c := range t.columns {
		head[i] = c.name + ":" + c.typ
	}
	lines := make([]string, len(t.rows))
	for i, r := range t.rows {
		cells := make([]string, len(t.columns))
		for k, c := range t.columns {
			cells[k] = cellText(r[c.id])
		}
		lines[i] = strings.Join(cells, "|")
	}
	sort.Strings(lines)
	return strings.Join(head, " ") + "\n" + strings.Join(lines, "\n")
}

func cellText(v any) string {
	switch x := v.(type) {
	case nil:
		return "∅"
	case float64:
		if x == 0 {
			return "0" // the engine keeps one of both zeros per file
		}
		return strconv.FormatFloat(x, 'g', -1, 64)
	}
	return fmt.Sprint(v)
}

// unify is what a column's type becomes when a batch brings another one; ok is
// false when the two do not meet.
func unify(have, in string) (typ string, ok bool) {
	switch {
	case have == in || in == "null":
		return have, true
	case have == "text" || in == "text":
		return "", false
	case have == "int32":
		return in, true
	}
	return have, true // int64 and float64 keep their type, the batch is converted
}

// convert gives a value another type; ok is false when it does not fit exactly.
func convert(v any, to string) (out any, ok bool) {
	switch x := v.(type) {
	case int64:
		if to == "float64" {
			f := float64(x)
			return f, f < math.MaxInt64 && int64(f) == x
		}
		if to == "int32" {
			return x, x >= math.MinInt32 && x <= math.MaxInt32
		}
		return x, to == "int64"
	case float64:
		if to == "int64" || to == "int32" {
			if x != math.Trunc(x) || !(x >= math.MinInt64 && x < math.MaxInt64) {
				return nil, false
			}
			return convert(int64(x), to)
		}
		return x, to == "float64"
	case string:
		return x, to == "text"
	}
	return nil, true
}

// keyText is equal for equal keys: NULL is NULL, NaN is NaN, -0.0 is 0.0.
func keyText(v any) string {
	if f, ok := v.(float64); ok {
		if f == 0 {
			f = 0
		}
		return "f" + strconv.FormatFloat(f, 'g', -1, 64)
	}
	return fmt.Sprintf("%T:%v", v, v)
}

// less orders values as the engine does: NaN is above every number.
func less(a, b any) bool {
	switch x := a.(type) {
	case int64:
		y, ok := b.(int64)
		if !ok {
			return less(float64(x), b)
		}
		return x < y
	case float64:
		y, ok := b.(float64)
		if !ok {
			y = float64(b.(int64))
		}
		return x < y || math.IsNaN(y) && !math.IsNaN(x)
	}
	return a.(string) < b.(string)
}

// write is a write on the model. A kind other than "" means that nothing changed.
func (m *model) write(c call) (result, string) {
	t := m.table(c.table)
	if kind := m.refuse(t, c); kind != "" {
		return result{}, kind
	}
	if t != nil && c.writeID != "" {
		if first, ok := t.writes[c.writeID]; ok {
			if !sameCall(first.call, c) {
				return result{}, "already_exists"
			}
			r := first.result
			r.duplicate = true
			return r, ""
		}
	}
	var r result
	var kind string
	switch {
	case c.deleteAll:
		r = m.deleteAll(t)
	case c.deleteOnly:
		r, kind = m.deleteKeys(t, c)
	default:
		t, r, kind = m.put(t, c)
	}
	if kind != "" {
		return result{}, kind
	}
	r.table, r.version, r.snapshot, r.rows = t.name, t.version, m.head, r.inserted
	if !c.deleteAll {
		r.columns = len(c.names)
	}
	if c.writeID != "" {
		t.writes[c.writeID] = modelWrite{c, r}
	}
	return r, ""
}

// refuse gives the kind of error of a call that is wrong whatever its values.
func (m *model) refuse(t *modelTable, c call) string {
	if t == nil && (c.deleteOnly || c.deleteAll) {
		return "not_found"
	}
	return ""
}

func sameCall(a, b call) bool {
	return strings.Join(a.key, ",") == strings.Join(b.key, ",") && a.newer == b.newer && a.deleteOnly == b.deleteOnly && a.deleteAll == b.deleteAll &&
		(a.deleteAll || len(a.rows) == len(b.rows))
}

func (m *model) deleteAll(t *modelTable) result {
	r := result{deleted: int64(len(t.rows))}
	if len(t.rows) > 0 {
		t.rows = nil
		t.version++
		m.commit(t, "delete_all", 0, r.deleted)
	}
	return r
}

func (m *model) deleteKeys(t *modelTable, c call) (result, string) {
	keys := map[string]bool{}
	wider := make([]string, len(c.key))
	for _, k := range c.key {
		if t.column(k) == nil {
			return result{}, "invalid_argument"
		}
	}
	for i, k := range c.key {
		col, at := t.column(k), position(c.names, k)
		typ, ok := unify(col.typ, c.types[at])
		if !ok {
			if !allNull(c.rows, at) {
				return result{}, "type_conflict"
			}
			typ = col.typ
		}
		wider[i] = typ
	}
	for _, row := range c.rows {
		parts := make([]string, len(c.key))
		for i, k := range c.key {
			v, ok := convert(row[position(c.names, k)], wider[i])
			if !ok {
				return result{}, "type_conflict"
			}
			parts[i] = keyText(v)
		}
		keys[strings.Join(parts, "\x00")] = true
	}
	r := result{deleted: t.remove(c.key, wider, keys)}
	if r.deleted > 0 {
		t.version++
		m.commit(t, "delete", 0, r.deleted)
	}
	return r, ""
}

// remove deletes the rows whose key, in the given types, is among keys.
func (t *modelTable) remove(key, types []string, keys map[string]bool) int64 {
	kept := []map[int]any{}
	for _, r := range t.rows {
		if !keys[t.keyOf(r, key, types)] {
			kept = append(kept, r)
		}
	}
	n := len(t.rows) - len(kept)
	t.rows = kept
	return int64(n)
}

func (t *modelTable) keyOf(r map[int]any, key, types []string) string {
	parts := make([]string, len(key))
	for i, k := range key {
		v, _ := convert(r[t.column(k).id], types[i])
		parts[i] = keyText(v)
	}
	return strings.Join(parts, "\x00")
}

func position(names []string, name string) int {
	for i, n := range names {
		if strings.EqualFold(n, name) {
			return i
		}
	}
	return -1
}

func allNull(rows [][]any, at int) bool {
	for _, r := range rows {
		if r[at] != nil {
			return false
		}
	}
	return true
}

// put appends or replaces rows. It works on a copy, which takes the table's
// place when nothing is wrong.
func (m *model) put(t *modelTable, c call) (*modelTable, result, string) {
	fresh := &modelTable{name: c.table, version: -1, writes: map[string]modelWrite{}}
	if t != nil {
		fresh = t.clone()
	}
	changed, ok := m.align(fresh, c)
	if !ok {
		return t, result{}, "type_conflict"
	}
	rows, ok := fresh.incoming(c)
	if !ok {
		return t, result{}, "type_conflict"
	}
	var r result
	all := len(rows)
	if c.newer != "" && t != nil {
		rows = fresh.newer(rows, c, t.column(c.newer) != nil)
		r.skipped = int64(all - len(rows))
	}
	if t != nil && r.skipped > 0 && len(rows) == 0 {
		return t, r, "" // all stale: not even new columns
	}
	if len(c.key) > 0 && t != nil {
		types, keys := make([]string, len(c.key)), map[string]bool{}
		for i, k := range c.key {
			types[i] = fresh.column(k).typ
		}
		for _, row := range rows {
			keys[fresh.keyOf(row, c.key, types)] = true
		}
		r.deleted = fresh.remove(c.key, types, keys)
	}
	r.inserted = int64(len(rows))
	if t != nil && !changed && r.inserted == 0 && r.deleted == 0 {
		return t, r, ""
	}
	for _, row := range rows {
		for _, col := range fresh.columns {
			col.ever = col.ever || row[col.id] != nil && position(c.names, col.name) >= 0
		}
	}
	fresh.rows = append(fresh.rows, rows...)
	fresh.version++
	if t == nil && len(rows) > 0 {
		fresh.version = 1
	}
	m.replace(t, fresh)
	operation := "append"
	switch {
	case len(c.key) > 0:
		operation = "upsert"
	case t == nil && len(rows) == 0:
		operation = "create"
	}
	m.commit(fresh, operation, r.inserted, r.deleted)
	return fresh, r, ""
}

func (t *modelTable) clone() *modelTable {
	out := *t
	out.columns = make([]*modelColumn, len(t.columns))
	for i, c := range t.columns {
		x := *c
		out.columns[i] = &x
	}
	out.rows = make([]map[int]any, len(t.rows))
	for i, r := range t.rows {
		out.rows[i] = map[int]any{}
		maps.Copy(out.rows[i], r)
	}
	return &out
}

// replace puts a table in the place of another; nil ones are none.
func (m *model) replace(old, fresh *modelTable) {
	for i, t := range m.tables {
		if t == old {
			m.tables[i] = fresh
			return
		}
	}
	m.tables = append(m.tables, fresh)
}

// align brings the columns of t to what the batch asks for.
func (m *model) align(t *modelTable, c call) (changed, ok bool) {
	for i, name := range c.names {
		col := t.column(name)
		if col == nil {
			m.ids++
			typ := c.types[i]
			if typ == "null" {
				typ = "int32"
			}
			t.columns = append(t.columns, &modelColumn{id: m.ids, name: name, typ: typ})
			changed = true
			continue
		}
		typ, meets := unify(col.typ, c.types[i])
		switch {
		case !meets && !col.ever && col.def == nil: // never a value: it becomes what comes
			m.ids++
			*col = modelColumn{id: m.ids, name: col.name, typ: c.types[i]}
			changed = true
		case !meets:
			if !allNull(c.rows, i) {
				return false, false
			}
		case typ != col.typ:
			t.retype(col, typ)
			changed = true
		}
	}
	return changed, true
}

// retype widens a column: every value fits.
func (t *modelTable) retype(col *modelColumn, typ string) {
	col.typ = typ
	col.def, _ = convert(col.def, typ)
	for _, r := range t.rows {
		r[col.id], _ = convert(r[col.id], typ)
	}
}

// incoming gives the batch's rows in the table's types.
func (t *modelTable) incoming(c call) ([]map[int]any, bool) {
	var out []map[int]any
	for _, in := range c.rows {
		row := map[int]any{}
		for _, col := range t.columns {
			row[col.id] = col.def
			if at := position(c.names, col.name); at >= 0 {
				v, ok := convert(in[at], col.typ)
				if !ok {
					return nil, false
				}
				row[col.id] = v
			}
		}
		out = append(out, row)
	}
	return out, true
}

// newer keeps the rows that are newer than every live row of their key.
func (t *modelTable) newer(rows []map[int]any, c call, had bool) []map[int]any {
	if !had {
		return rows
	}
	col := t.column(c.newer)
	types := make([]string, len(c.key))
	for i, k := range c.key {
		types[i] = t.column(k).typ
	}
	best := map[string]any{}
	for _, r := range t.rows {
		k := t.keyOf(r, c.key, types)
		if v := r[col.id]; v != nil && (best[k] == nil || less(best[k], v)) {
			best[k] = v
		}
	}
	kept := []map[int]any{}
	for _, r := range rows {
		has := best[t.keyOf(r, c.key, types)]
		if v := r[col.id]; has == nil || v != nil && less(has, v) {
			kept = append(kept, r)
		}
	}
	return kept
}

// seed gives the seed of a random test: of ST_SEED, or a new one.
func seed(t *testing.T) uint64 {
	t.Helper()
	n := uint64(time.Now().UnixNano()) % 1_000_000_000
	if s := os.Getenv("ST_SEED"); s != "" {
		var err error
		if n, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("ST_SEED: %v", err)
		}
	}
	return n
}

func source64(n uint64) *rand.Rand { return rand.New(rand.NewPCG(n, 0x5e_ed)) }
