package statement

import (
	"maps"
	"slices"

	"github.com/supertable-go/supertable/internal/errs"
)

// Binding is what a statement does with its tables.
type Binding struct {
	// Uses stands beside Tables.
	Uses []Use
	// Missing lists names that no table and no part of the text has, in the
	// order of the text: what to say when the engine does not find a column.
	Missing []string
	// MayRaise is set when some expression that the engine may move below a
	// view's row filter could fail on a value, so that its failing, or the
	// message, would tell hidden values. Such a statement needs a fence.
	MayRaise bool
}

// Use is what a statement does with one table reference.
type Use struct {
	// Star is set when all columns are used.
	Star bool
	// Columns are those used by name, as the table spells them, in its order;
	// also when Star is set.
	Columns []string
	// Filter is what every row that matters fulfils, or nil.
	Filter Expr
	// Extremes is set when of the rows only their number and the least and
	// greatest values of Columns matter, and Counted then, when their number may.
	Extremes, Counted bool
}

// engineNames are names that an engine gives a meaning where no column has it.
var engineNames = set("rowid file_index file_row_number filename user current_user session_user current_role current_schema current_catalog current_database")

// valueNames are functions that are written like columns.
var valueNames = set("current_date current_time current_timestamp localtime localtimestamp")

// Column is a column that a table really has.
type Column struct {
	Name string
	// Type is DuckDB's name of its type, such as BIGINT or DECIMAL(18,3).
	Type string
}

// Bind resolves the column names of s against the columns that the tables
// really have, hidden ones included; columns gives nil where it does not know.
// A name that only the engine knows (rowid) is refused.
func (s *Statement) Bind(columns func(i int, t *TableRef) []Column, values Values) (Binding, error) {
	b := &binder{Statement: s, values: values, index: map[*TableRef]int{}, uses: make([]Use, len(s.Tables)), used: make([]map[string]bool, len(s.Tables))}
	for i, t := range s.Tables {
		b.index[t] = i
		b.used[i] = map[string]bool{}
		b.columns = append(b.columns, newColumnSet(columns(i, t)))
	}
	for _, c := range s.refs {
		if err := b.reference(c); err != nil {
			return Binding{}, err
		}
	}
	if b.valueColumn {
		b.values.reckoned = maps.Clone(b.values.reckoned)
		maps.DeleteFunc(b.values.reckoned, func(_ uintptr, r reckoned) bool { return r.named })
	}
	for _, star := range s.stars {
		b.star(star)
	}
	for i, t := range s.Tables {
		b.uses[i].Star = b.uses[i].Star || t.Renamed // the new names stand for places
	}
	for _, sel := range s.selects {
		b.joined(sel.from)
	}
	b.filters()
	b.extremes()
	for i := range b.uses {
		b.uses[i].Columns = b.columns[i].ordered(b.used[i])
	}
	return Binding{b.uses, b.missing, b.mayRaise()}, nil
}

type binder struct {
	*Statement
	values  Values
	index   map[*TableRef]int
	columns []columnSet // of each table
	used    []map[string]bool
	uses    []Use
	missing []string
	// valueColumn is set when something like current_date may be a column.
	valueColumn bool
}

// columnSet is what is known of a table's columns.
type columnSet struct {
	list  []Column
	by    map[string]Column // by folded name
	known bool
}

func newColumnSet(list []Column) columnSet {
	c := columnSet{list, make(map[string]Column, len(list)), list != nil}
	for _, column := range list {
		c.by[fold(column.Name)] = column
	}
	return c
}

// ordered lists the used names in the table's order.
func (c columnSet) ordered(used map[string]bool) []string {
	var out []string
	if !c.known {
		for name := range used {
			out = append(out, name)
		}
		slices.Sort(out)
		return out
	}
	for _, column := range c.list {
		if used[column.Name] {
			out = append(out, column.Name)
		}
	}
	return out
}

// has gives the table's spelling of a column that it certainly has.
func (b *binder) has(t *TableRef, name string) (string, bool) {
	column, ok := b.columns[b.index[t]].by[fold(name)]
	return column.Name, ok
}

// owns reports whether a relation has the column, and whether that is known.
func (b *binder) owns(r *relation, name string) (has, known bool) {
	if r.table != nil {
		_, has = b.has(r.table, name)
		return has, !r.table.Renamed && b.columns[b.index[r.table]].known
	}
	has = slices.ContainsFunc(r.columns.names, func(n string) bool { return equal(n, name) })
	return has, has || !r.columns.open
}

// inTable reports whether super.name is this table without an alias.
func (b *binder) inTable(r *relation, super, name string) bool {
	return r.table != nil && r.table.Alias == "" && b.inSuper(r.table, super) && equal(r.table.Name, name)
}

// use notes that a table's column is used. It reports whether the table has,
// or may have, such a column.
func (b *binder) use(t *TableRef, name string) bool {
	i := b.index[t]
	column, ok := b.has(t, name)
	switch {
	case t.Renamed:
		b.uses[i].Star = true
		return true
	case ok:
		b.used[i][column] = true
		return true
	case !b.columns[i].known:
		b.used[i][name] = true
		return true
	}
	return false
}

// reference resolves one column name, from the inside out.
func (b *binder) reference(c *columnRef) error {
	open := false
	name := c.names[len(c.names)-1]
	for sc := c.scope; sc != nil; sc = sc.outer {
		found, more := b.lookup(c.names, sc)
		if found {
			b.valueColumn = b.valueColumn || valueNames[fold(name)]
			return nil
		}
		open = open || more
	}
	switch {
	case open || b.aliases[fold(name)] || b.aliases[fold(c.names[0])]:
		b.valueColumn = b.valueColumn || valueNames[fold(name)]
		return nil
	case engineNames[fold(name)]:
		return errs.New(errs.InvalidArgument, "Missing column(s): %s", name)
	case len(c.names) == 1 && valueNames[fold(name)] || slices.Contains(b.missing, name):
		return nil
	}
	b.missing = append(b.missing, name)
	return nil
}

// lookup finds a name in one FROM clause. More is set when it may be there
// without being known.
func (b *binder) lookup(names []string, sc *scope) (found, more bool) {
	for _, r := range sc.relations {
		switch {
		case len(names) > 1 && b.inTable(r, names[0], names[1]):
			if len(names) == 2 {
				b.uses[b.index[r.table]].Star = true
				return true, false
			}
			return b.use(r.table, names[2]), false
		case len(names) > 1 && equal(r.alias, names[0]):
			if r.table == nil || b.use(r.table, names[1]) {
				return true, false
			}
			if engineNames[fold(names[1])] {
				return false, false
			}
		}
	}
	for _, r := range sc.relations {
		if r.table != nil {
			found = b.use(r.table, names[0]) || found
			continue
		}
		has, known := b.owns(r, names[0])
		found, more = found || has, more || !known
	}
	if found || len(names) > 1 {
		return found, more
	}
	return b.wholeRow(names[0], sc), more
}

// wholeRow resolves a table's name used as a value.
func (b *binder) wholeRow(name string, sc *scope) bool {
	for _, r := range sc.relations {
		if !equal(r.alias, name) {
			continue
		}
		if r.table != nil {
			b.uses[b.index[r.table]].Star = true
		}
		return true
	}
	return false
}

// star marks the tables of a *.
func (b *binder) star(s starRef) {
	for _, r := range s.scope.relations {
		if r.table != nil && (s.relation == "" || equal(s.relation, r.alias)) {
			b.uses[b.index[r.table]].Star = true
		}
	}
}

// joined notes the columns that USING and NATURAL compare.
func (b *binder) joined(j *join) {
	if j == nil || j.left == nil {
		return
	}
	b.joined(j.left)
	b.joined(j.right)
	left, right := leaves(j.left), leaves(j.right)
	for _, name := range j.node.texts("using_columns") {
		for _, r := range append(slices.Clone(left), right...) {
			if r.table != nil {
				b.use(r.table, name)
			}
		}
	}
	if j.node.text("ref_type") == "NATURAL" {
		b.natural(left, right)
		b.natural(right, left)
		b.unlike(append(left, right...))
	}
}

// natural marks the columns of tables that others have as well.
func (b *binder) natural(tables, others []*relation) {
	for _, r := range tables {
		if r.table == nil {
			continue
		}
		i := b.index[r.table]
		for _, o := range others {
			for _, column := range b.columns[i].list {
				if has, _ := b.owns(o, column.Name); has {
					b.use(r.table, column.Name)
				}
			}
			if _, known := b.owns(o, ""); !known || !b.columns[i].known {
				b.uses[i].Star = true
			}
		}
	}
}

// unlike wants all columns of tables without one that is used: what the engine
// says of tables that have no column in common, it says of all they have.
func (b *binder) unlike(tables []*relation) {
	for _, r := range tables {
		if r.table != nil && len(b.used[b.index[r.table]]) == 0 {
			b.uses[b.index[r.table]].Star = true
		}
	}
}

// leaves lists the relations of a join tree.
func leaves(j *join) []*relation {
	switch {
	case j.left != nil:
		return append(leaves(j.left), leaves(j.right)...)
	case j.relation != nil:
		return []*relation{j.relation}
	}
	return nil
}
