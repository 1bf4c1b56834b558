package query

import (
	"context"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/query/statement"
)

const (
	// lookups bounds the keys that a condition asks key filters for.
	lookups = 256
	// lookedFiles is how many files must be left by bounds for filters to be asked.
	lookedFiles = 2
)

// equalities collects what columns must be equal to for the predicate to hold:
// constants as SQL of the column's type, by column id. Where there are several
// lists for a column, the shortest.
func (p pruner) equalities(e statement.Expr) map[int64][]string {
	out := map[int64][]string{}
	add := func(column string, list []statement.Literal) {
		c, ok := p.column(column)
		if !ok || len(list) > lookups {
			return
		}
		sql, ok := p.constants(c, list)
		if have, known := out[c.ID]; ok && (!known || len(sql) < len(have)) {
			out[c.ID] = sql
		}
	}
	switch x := e.(type) {
	case statement.And:
		for _, part := range x {
			for id, list := range p.equalities(part) {
				if have, known := out[id]; !known || len(list) < len(have) {
					out[id] = list
				}
			}
		}
	case statement.Compare:
		if x.Op == statement.Equal {
			add(x.Column, []statement.Literal{x.Value})
		}
	case statement.In:
		if !x.Not {
			add(x.Column, x.Values)
		}
	}
	return out
}

// keysOf lists the keys of a scheme that the equalities leave, each as a row
// of SQL constants; ok is false when some column may be anything, when they
// are too many, or when the scheme is of other types than the table has now.
func (p pruner) keysOf(s catalog.KeyScheme, equal map[int64][]string) (rows []string, ok bool) {
	rows = []string{""}
	for _, k := range s.Columns {
		list, ok := equal[k.ID]
		i := slices.IndexFunc(p.columns, func(c datafile.Column) bool { return c.ID == k.ID })
		if !ok || i < 0 || !k.Of(p.columns[i]) || len(rows)*len(list) > lookups {
			return nil, false
		}
		var next []string
		for _, row := range rows {
			for _, v := range list {
				next = append(next, strings.TrimPrefix(row+", "+v, ", "))
			}
		}
		rows = next
	}
	return rows, len(rows) > 0
}

// lackKeys finds the files that, by their key filters, have no row with the
// keys that the text asks for. Only for who sees every row: how long a query
// takes must not tell of a single key. A union casts its members' columns, so
// what they are equal to is not sure there.
func (q *run) lackKeys(ctx context.Context, r *reference, m *member, p predicates, files []catalog.File) (map[int64]bool, error) {
	if p.filter == nil || r.union || !m.access.Rows.All {
		return nil, nil
	}
	equal := p.text.equalities(p.filter)
	if len(equal) == 0 {
		return nil, nil
	}
	filters := r.super.Catalog.KeyFilters()
	schemes, err := filters.Schemes(ctx, q.report.engine, m.table.ID)
	if err != nil || len(schemes) == 0 {
		return nil, err
	}
	lack := map[int64]bool{}
	for _, s := range schemes {
		keys, ok := p.text.keysOf(s, equal)
		if !ok {
			continue
		}
		p.lack = lack
		var left []*catalog.File
		for i := range files {
			if p.mayHold(&files[i]) {
				left = append(left, &files[i])
			}
		}
		if len(left) < lookedFiles {
			break
		}
		hashes, err := q.hash(ctx, keys)
		if err != nil {
			return nil, err
		}
		look, err := filters.Look(ctx, s, left, hashes)
		if err != nil {
			return nil, err
		}
		for id := range look.Lack {
			lack[id] = true
		}
	}
	return lack, nil
}

// hash has the engine hash rows of constants.
func (q *run) hash(ctx context.Context, rows []string) ([]uint64, error) {
	parts := make([]string, len(rows))
	for i, row := range rows {
		parts[i] = "SELECT hash(" + row + ")"
	}
	rr, err := q.conn.Query(ctx, strings.Join(parts, " UNION ALL "), nil)
	if err != nil {
		return nil, err
	}
	defer rr.Release()
	var out []uint64
	for rr.Next() {
		out = append(out, rr.RecordBatch().Column(0).(*array.Uint64).Uint64Values()...)
	}
	return out, rr.Err()
}
