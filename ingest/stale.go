package ingest

import (
	"context"
	"fmt"
	"strings"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
)

// dropStale writes the input again without the rows that are not newer than
// what the table has: a row is stale when a live row of its key has a value
// of the newer_than column that is not less. A NULL loses against any value
// and beats none. Only live rows count (behaviour.md C.2 22).
func (j *job) dropStale(ctx context.Context, v *catalog.View, st *state) error {
	j.out, j.stale = j.raw, 0
	if !st.exists || j.raw.rows == 0 {
		return nil
	}
	newer := datafile.FindColumn(st.columns, j.o.NewerThan)
	if newer < 0 {
		return nil // no row that is there has a value
	}
	if k := datafile.FindColumn(j.plan.columns, j.o.NewerThan); j.plan.columns[k].ID != st.columns[newer].ID {
		return nil // it never had one, and takes the input's type
	}
	m := newMatcher(j, j.out)
	if err := m.loadFew(ctx); err != nil {
		return err
	}
	live, release, err := j.liveKeys(ctx, v, st, m, st.columns[newer])
	if err != nil || live == "" {
		return err
	}
	defer release()
	query := j.freshSQL(m, live)
	fresh, err := j.hold(ctx, j.plan, query)
	if err != nil {
		return j.matchError(ctx, err)
	}
	if fresh.rows < j.raw.rows {
		j.out, j.stale = fresh, j.raw.rows-fresh.rows
	}
	return nil
}

// liveKeys selects key columns and the newer_than column of the live rows
// that may hold one of the keys; "" when there are none.
func (j *job) liveKeys(ctx context.Context, v *catalog.View, st *state, m *matcher, newer datafile.Column) (string, func(), error) {
	var files []*catalog.File
	for i := range st.files {
		if m.mayHold(st, &st.files[i]) {
			files = append(files, &st.files[i])
		}
	}
	files, err := m.exclude(ctx, st, files)
	if err != nil {
		return "", nil, err
	}
	var paths []string
	var dead [][]uint64
	for _, f := range files {
		if err := catalog.CheckSize(f.Path, f.Size); err != nil {
			return "", nil, err
		}
		rows, err := v.Dead(ctx, st.table, f, st.head)
		if err != nil {
			return "", nil, err
		}
		paths, dead = append(paths, f.Path), append(dead, rows)
	}
	inside, err := m.liveInside(ctx, v, st, newer)
	if err != nil {
		return "", nil, err
	}
	if len(paths) == 0 {
		return strings.Join(inside, " UNION ALL "), func() {}, nil
	}
	token, release, err := j.conn.Live(dead)
	if err != nil {
		return "", nil, err
	}
	def := "NULL"
	if newer.InitialDefault != nil {
		def = datafile.QuoteText(*newer.InitialDefault)
	}
	schema := strings.TrimSuffix(m.tableSchema(st), "}")
	n := fmt.Sprintf("%d: {name: 'n', type: %s, default_value: %s}}", newer.ID, datafile.QuoteText(newer.Type.SQL()), def)
	column := "n"
	for i, k := range m.keys {
		if strings.EqualFold(k.Name, newer.Name) { // the newer_than column is a key too
			column, n = fmt.Sprintf("k%d AS n", i), "}"
		}
	}
	if n != "}" {
		n = ", " + n
	}
	inFiles := fmt.Sprintf("SELECT %s, %s FROM read_parquet(%s, schema=%s) WHERE st_live(%d, file_index, file_row_number)",
		m.selectKeys(st, files), column, pathList(paths), schema+n, token)
	return strings.Join(append(inside, inFiles), " UNION ALL "), release, nil
}

// freshSQL selects the input's rows that are newer than every live row of
// their key.
func (j *job) freshSQL(m *matcher, live string) string {
	on, keys, group := make([]string, len(m.keys)), make([]string, len(m.keys)), make([]string, len(m.keys))
	for i, k := range m.keys {
		keys[i] = fmt.Sprintf("t.k%d AS k%d", i, i)
		group[i] = fmt.Sprintf("t.k%d", i)
		on[i] = fmt.Sprintf("l.k%d IS NOT DISTINCT FROM s.%s", i, datafile.Quote(k.Name))
	}
	semi := make([]string, len(m.keys))
	for i, k := range m.keys {
		semi[i] = fmt.Sprintf("t.k%d IS NOT DISTINCT FROM x.%s", i, datafile.Quote(k.Name))
	}
	cols := make([]string, len(j.plan.file))
	var newer string
	for i, f := range j.plan.file {
		cols[i] = "s." + datafile.Quote(f.column.Name) + " AS " + datafile.Quote(f.column.Name)
		if strings.EqualFold(f.in.Name, j.o.NewerThan) {
			newer = "s." + datafile.Quote(f.column.Name)
		}
	}
	input := j.raw.relation(j.plan)
	return fmt.Sprintf(`SELECT %s FROM (%s) s LEFT JOIN (SELECT %s, max(t.n) AS m FROM (%s) t SEMI JOIN (%s) x ON %s GROUP BY %s) l ON %s WHERE l.m IS NULL OR coalesce(%s > l.m, false)`,
		strings.Join(cols, ", "), input, strings.Join(keys, ", "), live, input, strings.Join(semi, " AND "), strings.Join(group, ", "), strings.Join(on, " AND "), newer)
}
