package ingest

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/scan"
)

// insideTable is where the catalog holds rows of one schema version.
type insideTable struct {
	catalog.InlinedTable
	columns []datafile.Column
}

// loadInside reads where the catalog holds rows of the table.
func (j *job) loadInside(ctx context.Context, v *catalog.View, st *state) error {
	tables, err := v.InlinedTables(ctx, st.table)
	if err != nil {
		return err
	}
	for _, t := range tables {
		n, err := v.InlinedSize(ctx, t)
		if err != nil {
			return err
		}
		st.held += n
		if n == 0 || len(j.o.Key) == 0 {
			continue
		}
		cols, err := v.Columns(ctx, st.table.ID, t.SchemaAt)
		if err != nil {
			return err
		}
		st.inside = append(st.inside, insideTable{t, cols})
	}
	if len(st.inside) > 0 {
		st.version, err = v.Version(ctx, st.table.ID)
	}
	return err
}

// runInside finds the rows inside the catalog that live at the view's head and
// whose key is among the stage's. Unlike those of a file, they come and go, so
// they are looked for each time.
func (m *matcher) runInside(ctx context.Context, v *catalog.View, st *state) error {
	m.ending = nil
	if m.stage.rows == 0 {
		return nil
	}
	for _, t := range st.inside {
		ids, err := m.matchInside(ctx, v, st, t)
		if err != nil {
			return err
		}
		if len(ids) > 0 {
			m.ending = append(m.ending, ending{t, ids})
		}
	}
	return nil
}

// ending are rows inside the catalog that die.
type ending struct {
	table insideTable
	ids   []int64
}

func (m *matcher) matchInside(ctx context.Context, v *catalog.View, st *state, t insideTable) ([]int64, error) {
	if names, keys := m.exactKeys(st, t); names != nil {
		ids, err := v.MatchInlined(ctx, t.InlinedTable, names, keys)
		slices.Sort(ids)
		return slices.Compact(ids), err
	}
	want := m.keyColumns(st)
	t.columns = slices.DeleteFunc(slices.Clone(t.columns), func(c datafile.Column) bool { return !hasID(want, c.ID) })
	rows, err := v.LiveInlined(ctx, t.InlinedTable, st.head, columnNames(t.columns))
	if err != nil {
		return nil, err
	}
	rows = m.j.upTo(rows)
	var out []int64
	for part := range slices.Chunk(rows, insideChunk) {
		on := make([]string, len(m.keys))
		for i, k := range m.keys {
			on[i] = "t." + keyName(i) + " IS NOT DISTINCT FROM s." + datafile.Quote(k.Name)
		}
		sql := "SELECT CAST(r AS BIGINT) FROM (" + scan.InlinedKeys(t.columns, part, want) + ") t SEMI JOIN (" + m.stage.relation(m.j.plan) + ") s ON " + strings.Join(on, " AND ")
		found, err := m.ids(ctx, sql)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

// insideChunk bounds how many rows one statement carries.
const insideChunk = 5000

func (m *matcher) ids(ctx context.Context, sql string) ([]int64, error) {
	rr, err := m.j.conn.Query(ctx, sql, nil)
	if err != nil {
		return nil, m.j.matchError(ctx, err)
	}
	defer rr.Release()
	var out []int64
	for rr.Next() {
		out = append(out, rr.RecordBatch().Column(0).(*array.Int64).Int64Values()...)
	}
	return out, m.j.matchError(ctx, rr.Err())
}

// upTo leaves rows out that came after the snapshot up to which the write goes.
func (j *job) upTo(rows []catalog.InlinedRow) []catalog.InlinedRow {
	if j.o.UpTo == 0 {
		return rows
	}
	return slices.DeleteFunc(rows, func(r catalog.InlinedRow) bool { return r.Begin > j.o.UpTo })
}

// exactKeys gives the key columns as t names them, and the stage's distinct
// keys, when equal values have equal forms there: the catalog then looks them
// up by itself.
func (m *matcher) exactKeys(st *state, t insideTable) (names []string, keys [][]any) {
	if m.stage.inside == nil || m.j.o.UpTo > 0 {
		return nil, nil
	}
	for _, k := range m.keys {
		c := datafile.FindColumn(st.columns, k.Name)
		if c < 0 || !scan.ExactText(k.Type) {
			return nil, nil
		}
		n := slices.IndexFunc(t.columns, func(c2 datafile.Column) bool { return c2.ID == st.columns[c].ID })
		if n < 0 || !t.columns[n].Type.Same(k.Type) {
			return nil, nil
		}
		names = append(names, t.columns[n].Name)
	}
	keys, ok := m.stage.inside.distinct(m.keys)
	if !ok {
		return nil, nil
	}
	return names, keys
}

// distinct gives the distinct values that some columns of the rows have; ok is
// false when the rows lack one of the columns.
func (in *inside) distinct(columns []datafile.Column) (keys [][]any, ok bool) {
	at := make([]int, len(columns))
	for i, k := range columns {
		if at[i] = slices.IndexFunc(in.columns, func(c datafile.Column) bool { return c.Name == k.Name }); at[i] < 0 {
			return nil, false
		}
	}
	seen := map[string]bool{}
	for _, row := range in.rows {
		key := make([]any, len(at))
		for i, c := range at {
			key[i] = row[c]
		}
		if id := keyText(key); !seen[id] {
			seen[id] = true
			keys = append(keys, key)
		}
	}
	return keys, true
}

// keyColumns are the keys in the types of the plan, as columns of the table.
func (m *matcher) keyColumns(st *state) []datafile.Column {
	out := make([]datafile.Column, len(m.keys))
	for i, k := range m.keys {
		out[i] = k
		if c := datafile.FindColumn(st.columns, k.Name); c >= 0 {
			out[i].ID, out[i].InitialDefault = st.columns[c].ID, st.columns[c].InitialDefault
		}
		out[i].Name = keyName(i)
	}
	return out
}

// endInside puts the ending rows into the change; it returns how many they are.
func (m *matcher) endInside(ch *catalog.Change) int64 {
	var n int64
	for _, e := range m.ending {
		ch.EndRows = append(ch.EndRows, catalog.EndedRows{Table: e.table.InlinedTable, IDs: e.ids})
		n += int64(len(e.ids))
	}
	return n
}

func (m *matcher) endingRows() int64 { return m.endInside(&catalog.Change{}) }

// liveInside selects key columns and the newer_than column of the rows inside
// the catalog, one statement for each part of them.
func (m *matcher) liveInside(ctx context.Context, v *catalog.View, st *state, newer datafile.Column) ([]string, error) {
	newer.Name = "n"
	want := append(m.keyColumns(st), newer)
	var out []string
	for _, t := range st.inside {
		rows, err := v.LiveInlined(ctx, t.InlinedTable, st.head, columnNames(t.columns))
		if err != nil {
			return nil, err
		}
		for part := range slices.Chunk(rows, insideChunk) {
			sel := make([]string, len(want))
			for i, c := range want {
				sel[i] = c.Name
			}
			out = append(out, "SELECT "+strings.Join(sel, ", ")+" FROM ("+scan.InlinedKeys(t.columns, part, want)+")")
		}
	}
	return out, nil
}

// addHidden adds the ending rows to a scan of the rows that a write replaces.
func (m *matcher) addHidden(ctx context.Context, v *catalog.View, st *state, s *scan.Scan) error {
	for _, e := range m.ending {
		rows, err := v.LiveInlined(ctx, e.table.InlinedTable, st.head, columnNames(e.table.columns))
		if err != nil {
			return err
		}
		dies := make(map[int64]bool, len(e.ids))
		for _, id := range e.ids {
			dies[id] = true
		}
		s.AddInlined(e.table.InlinedTable, e.table.columns, slices.DeleteFunc(rows, func(r catalog.InlinedRow) bool { return !dies[r.ID] }))
	}
	return nil
}

// allInside lists every row that lives inside the catalog, for a change that
// ends them all.
func allInside(ctx context.Context, v *catalog.View, t catalog.Table) ([]catalog.EndedRows, error) {
	tables, err := v.InlinedTables(ctx, t)
	if err != nil {
		return nil, err
	}
	var out []catalog.EndedRows
	for _, it := range tables {
		rows, err := v.LiveInlined(ctx, it, v.Head.ID, nil)
		if err != nil {
			return nil, err
		}
		if len(rows) == 0 {
			continue
		}
		e := catalog.EndedRows{Table: it}
		for _, r := range rows {
			e.IDs = append(e.IDs, r.ID)
		}
		out = append(out, e)
	}
	return out, nil
}

func hasID(cols []datafile.Column, id int64) bool {
	return slices.ContainsFunc(cols, func(c datafile.Column) bool { return c.ID == id })
}

func columnNames(cols []datafile.Column) []string {
	out := make([]string, len(cols))
	for i, c := range cols {
		out[i] = c.Name
	}
	return out
}

// fewInside gives the distinct keys of rows in memory as texts, when they are few.
func (m *matcher) fewInside() ([][]any, bool) {
	keys, ok := m.stage.inside.distinct(m.keys)
	if !ok || len(keys) > fewKeys {
		return nil, false
	}
	for _, key := range keys {
		for i, v := range key {
			if _, raw := v.([]byte); raw {
				return nil, false
			}
			if v != nil {
				key[i] = fmt.Sprint(v)
			}
		}
	}
	return keys, true
}

func keyName(i int) string { return fmt.Sprintf("k%d", i) }

// keyText tells keys apart.
func keyText(key []any) string {
	var b strings.Builder
	for _, v := range key {
		fmt.Fprintf(&b, "%T %q ", v, fmt.Sprint(v))
	}
	return b.String()
}
