package supertable

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/internal/errs"
)

// side is one state of a table in a comparison, as the principal sees it. The
// ids of its columns are those of the columns that they took the place of, so
// that a column stays itself through a cast.
type side struct {
	table    string // its name then
	snapshot int64
	columns  []datafile.Column
}

// pair is two states to compare; one of them may be nil, which is no rows.
type pair struct {
	before, after *side
	sameTable     bool // and not only of one name: ids and places mean the same
	whole         bool // the principal sees the table as it is, defaults too
}

// outColumn is a column of the result.
type outColumn struct {
	name string
	typ  datafile.Type
	id   int64 // as in side; notInTable when the table lacks it
}

// notInTable is the id of a column that only other tables of a feed have.
const notInTable = -1

// newest are the columns by which both sides are read: those of the later one.
func (p pair) newest() []datafile.Column {
	if p.after == nil || p.before != nil && p.before.snapshot > p.after.snapshot {
		return p.before.columns
	}
	return p.after.columns
}

// outColumns are the columns of the pair's later side, in types that hold the
// values of both, as far as one type can.
func (p pair) outColumns() []outColumn {
	var out []outColumn
	for _, c := range p.newest() {
		out = append(out, outColumn{c.Name, c.Type, c.ID})
	}
	return p.widen(out)
}

// widen makes room in columns for the values of the pair: a rollback may have
// narrowed a type that rows of the past need.
func (p pair) widen(out []outColumn) []outColumn {
	for _, s := range []*side{p.before, p.after} {
		for i := range out {
			if k := p.find(out[i], s); k >= 0 && datafile.Widens(out[i].typ, s.columns[k].Type) {
				out[i].typ = s.columns[k].Type
			}
		}
	}
	return out
}

// find finds a column of the result on one side, or -1.
func (p pair) find(o outColumn, s *side) int {
	switch {
	case s == nil || o.id == notInTable:
		return -1
	case p.sameTable:
		return slices.IndexFunc(s.columns, func(c datafile.Column) bool { return c.ID == o.id })
	}
	return datafile.FindColumn(s.columns, o.name)
}

// unite adds the columns of another table by name. Types that do not meet
// without loss become text.
func unite(out, more []outColumn) []outColumn {
	for _, m := range more {
		i := slices.IndexFunc(out, func(o outColumn) bool { return strings.EqualFold(o.name, m.name) })
		switch {
		case i < 0:
			out = append(out, m)
		case datafile.Widens(m.typ, out[i].typ):
		case datafile.Widens(out[i].typ, m.typ):
			out[i].typ = m.typ
		default:
			out[i].typ = datafile.Type{Name: "varchar"}
		}
	}
	return out
}

// inTable gives the columns of a union the ids that they have in one of its
// tables.
func inTable(out, table []outColumn) []outColumn {
	out = slices.Clone(out)
	for i := range out {
		k := slices.IndexFunc(table, func(o outColumn) bool { return strings.EqualFold(o.name, out[i].name) })
		out[i].id = notInTable
		if k >= 0 {
			out[i].id = table[k].id
		}
	}
	return out
}

// selects gives the select list of one side for the columns, named c0, c1, ….
// A column that the side lacks has the value that its rows got, unless that
// could be one that a mask hides.
func (p pair) selects(s *side, out []outColumn) string {
	newest := p.newest()
	list := make([]string, len(out))
	for i, o := range out {
		expr := "CAST(NULL AS " + o.typ.SQL() + ")"
		if k := p.find(o, s); k >= 0 {
			expr = castTo(datafile.Quote(s.columns[k].Name), s.columns[k].Type, o.typ)
		} else if n := slices.IndexFunc(newest, func(c datafile.Column) bool { return c.ID == o.id }); n >= 0 && p.sameTable && p.whole && newest[n].InitialDefault != nil {
			expr = castTo(datafile.QuoteText(*newest[n].InitialDefault), datafile.Type{Name: "varchar"}, o.typ)
		}
		list[i] = fmt.Sprintf("%s AS c%d", expr, i)
	}
	return strings.Join(list, ", ")
}

func castTo(expr string, from, to datafile.Type) string {
	switch {
	case from.Same(to):
		return expr
	case datafile.Widens(from, to) && !from.Nested():
		return "CAST(" + expr + " AS " + to.SQL() + ")"
	}
	return "TRY_CAST(" + expr + " AS " + to.SQL() + ")"
}

func (s *side) from() string {
	return fmt.Sprintf("%s AT (VERSION => %d)", datafile.Quote(s.table), s.snapshot)
}

// rows gives the rows of both sides, each with its sign in a column side: what
// went comes first.
func (p pair) rows(out []outColumn) string {
	var parts []string
	for _, x := range []struct {
		sign string
		side *side
	}{{"-1", p.before}, {"1", p.after}} {
		if x.side != nil {
			parts = append(parts, "SELECT "+x.sign+" AS side, "+p.selects(x.side, out)+" FROM "+x.side.from())
		}
	}
	return strings.Join(parts, "\nUNION ALL\n")
}

// numbered is c0, c1, … for the columns.
func numbered(out []outColumn) string {
	parts := make([]string, len(out))
	for i := range out {
		parts[i] = fmt.Sprintf("c%d", i)
	}
	return strings.Join(parts, ", ")
}

// shown gives the columns their names.
func shown(out []outColumn) string {
	parts := make([]string, len(out))
	for i, o := range out {
		parts[i] = fmt.Sprintf("c%d AS %s", i, datafile.Quote(o.name))
	}
	return strings.Join(parts, ", ")
}

// changed gives the rows that one side has more often than the other, as often
// as that, with the side's sign: a difference of multisets.
func (p pair) changed(out []outColumn) string {
	return fmt.Sprintf(`SELECT CASE WHEN n > 0 THEN 1 ELSE -1 END AS side, unnest(range(abs(n))) AS copy, %[1]s FROM (
SELECT CAST(sum(side) AS BIGINT) AS n, %[1]s FROM (
%[2]s
) GROUP BY %[1]s) WHERE n <> 0`, numbered(out), p.rows(out))
}

const insertOrDelete = "CASE WHEN side > 0 THEN 'insert' ELSE 'delete' END"

// diffSQL is the statement of Diff. key lists indices of out.
func (p pair) diffSQL(out []outColumn, key []int) string {
	cols := numbered(out)
	if len(key) == 0 {
		return fmt.Sprintf("SELECT %s AS change, %s FROM (\n%s\n) ORDER BY %s, side, copy", insertOrDelete, shown(out), p.changed(out), cols)
	}
	by := make([]string, len(key))
	for i, k := range key {
		by[i] = fmt.Sprintf("c%d", k)
	}
	return fmt.Sprintf(`SELECT CASE WHEN i > pairs THEN %[5]s WHEN side > 0 THEN 'update_after' ELSE 'update_before' END AS change, %[1]s FROM (
SELECT side, row_number() OVER (PARTITION BY side, %[2]s ORDER BY %[3]s, copy) AS i,
least(count_if(side > 0) OVER (PARTITION BY %[2]s), count_if(side < 0) OVER (PARTITION BY %[2]s)) AS pairs, %[3]s FROM (
%[4]s
)) ORDER BY %[2]s, i, side, %[3]s`, shown(out), strings.Join(by, ", "), cols, p.changed(out), insertOrDelete)
}

// changesSQL is the statement of one step of Changes. Plain steps show every
// row that came and went; others only what differs. table is "" when all rows
// are of one.
func (p pair) changesSQL(out []outColumn, snapshot int64, table string, plain bool) string {
	head := fmt.Sprintf("SELECT %s AS change, CAST(%d AS BIGINT) AS snapshot, ", insertOrDelete, snapshot)
	if table != "" {
		head += datafile.QuoteText(table) + ` AS "table", `
	}
	if plain {
		return head + shown(out) + " FROM (\n" + p.rows(out) + "\n)"
	}
	return head + shown(out) + " FROM (\n" + p.changed(out) + "\n) ORDER BY side, " + numbered(out) + ", copy"
}

// emptySQL is a result without rows that has the form of changesSQL.
func emptySQL(out []outColumn, withTable bool) string {
	parts := []string{"CAST(NULL AS VARCHAR) AS change", "CAST(NULL AS BIGINT) AS snapshot"}
	if withTable {
		parts = append(parts, `CAST(NULL AS VARCHAR) AS "table"`)
	}
	for _, o := range out {
		parts = append(parts, fmt.Sprintf("CAST(NULL AS %s) AS %s", o.typ.SQL(), datafile.Quote(o.name)))
	}
	return "SELECT " + strings.Join(parts, ", ") + " WHERE false"
}

// schemas reads the columns of tables once per schema version.
type schemas struct {
	v        *catalog.View
	versions map[int64][]int64
	roots    map[int64]map[int64]int64
	columns  map[[2]int64][]datafile.Column
}

func newSchemas(v *catalog.View) *schemas {
	return &schemas{v: v, versions: map[int64][]int64{}, roots: map[int64]map[int64]int64{}, columns: map[[2]int64][]datafile.Column{}}
}

// side gives a table at a snapshot; nil when it was not there.
func (c *schemas) side(ctx context.Context, id, at int64) (*side, error) {
	t, err := c.v.TableByID(ctx, id, at)
	if errs.KindOf(err) == errs.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if _, ok := c.versions[id]; !ok {
		if c.versions[id], err = c.v.SchemaVersions(ctx, t); err != nil {
			return nil, err
		}
		if c.roots[id], err = c.v.ColumnRoots(ctx, id); err != nil {
			return nil, err
		}
	}
	key := [2]int64{id, -1}
	for _, n := range c.versions[id] {
		if n <= at {
			key[1] = n
		}
	}
	cols, ok := c.columns[key]
	if !ok {
		if cols, err = c.v.Columns(ctx, id, at); err != nil {
			return nil, err
		}
		for i := range cols {
			if root, ok := c.roots[id][cols[i].ID]; ok {
				cols[i].ID = root
			}
		}
		c.columns[key] = cols
	}
	return &side{t.Name, at, cols}, nil
}
