package statement

import (
	"slices"

	"github.com/supertable-go/supertable/internal/errs"
)

// scope holds the relations of one FROM clause: what column names are looked
// up in, before those of the queries around it.
type scope struct {
	outer     *scope
	relations []*relation
	items     map[string]node // the SELECT list's, by folded alias
}

// relation is one entry of a FROM clause.
type relation struct {
	alias   string    // what qualifies its columns
	table   *TableRef // nil for a subquery, a table function, a CTE
	columns output    // of a relation that is no table
}

// output is what is known of a query's columns.
type output struct {
	names  []string
	open   bool                  // there may be more
	origin map[string]*columnRef // of those that are plain columns, by folded name
}

// cte is one name of a WITH list, with those visible around it.
type cte struct {
	name    string
	columns output
	outer   *cte
}

func (c *cte) find(name string) *cte {
	for ; c != nil; c = c.outer {
		if equal(c.name, name) {
			return c
		}
	}
	return nil
}

// columnRef is a column as the text names it, with its qualifiers.
type columnRef struct {
	names   []string
	pos     int // -1: not in the text
	scope   *scope
	reduced string // what Splice writes for super.table, or empty
}

// starRef is a * or t.*, or anything else that takes all columns.
type starRef struct {
	relation string // empty for all
	scope    *scope
}

// selection is a SELECT with its FROM, for the search for filters.
type selection struct {
	node    node
	where   node
	from    *join
	scope   *scope
	sampled bool
}

// join is a FROM clause as a tree. A leaf holds one relation; where left is
// nil and relation too, there is nothing to filter.
type join struct {
	relation    *relation
	sampled     bool // rows of the leaf are drawn at random or numbered
	left, right *join
	node        node
}

// resolver walks the tree once.
type resolver struct {
	*Statement
	at      map[int]*TableRef // by location: DuckDB repeats some parts of a text
	isCTE   map[int]bool
	lambdas []string // the parameters of the lambdas around
	nested  int      // how many queries are around that could filter this one's rows
	err     error
}

func (s *Statement) resolve() error {
	r := &resolver{Statement: s, at: map[int]*TableRef{}, isCTE: map[int]bool{}}
	r.query(s.tree, nil, nil)
	if r.err != nil {
		return r.err
	}
	for pos := range r.isCTE {
		if r.at[pos] != nil {
			return unreadable()
		}
	}
	slices.SortFunc(s.Tables, func(a, b *TableRef) int { return a.pos - b.pos })
	return nil
}

func (r *resolver) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// query resolves a query below the CTEs of with, inside the scope outer.
func (r *resolver) query(n node, with *cte, outer *scope) output {
	left := with // what the first branch of a recursive CTE sees
	for _, entry := range n.child("cte_map").nodes("map") {
		with = r.cte(entry, with, outer)
		left = with
	}
	switch n.text("type") {
	case "SELECT_NODE":
		return r.selectNode(n, with, outer)
	case "SET_OPERATION_NODE":
		r.complex = r.complex || r.nested > 0
		out := r.query(n.child("left"), with, outer)
		right := r.query(n.child("right"), with, outer)
		if n.text("setop_type") == "UNION_BY_NAME" {
			out.names, out.open = append(slices.Clone(out.names), right.names...), out.open || right.open
		}
		out.origin = nil
		r.outerModifiers(n, out, with, outer)
		return out
	case "RECURSIVE_CTE_NODE":
		r.complex = true
		out := r.query(n.child("left"), left, outer)
		self := &cte{n.text("cte_name"), rename(out, n.texts("aliases")), with}
		r.query(n.child("right"), self, outer)
		r.outerModifiers(n, out, with, outer)
		return out
	}
	r.fail(unreadable())
	return output{}
}

// inner resolves a query whose rows another one may filter.
func (r *resolver) inner(n node, with *cte, outer *scope) output {
	r.nested++
	defer func() { r.nested-- }()
	return r.query(n, with, outer)
}

// cte resolves one entry of a WITH list and adds its name to those visible. A
// CTE sees the earlier ones of its list and not itself; only the right branch
// of a recursive one does.
func (r *resolver) cte(entry node, with *cte, outer *scope) *cte {
	name, value := entry.text("key"), entry.child("value")
	r.ctes[fold(name)] = true
	out := r.inner(value.child("query").child("node"), with, outer)
	return &cte{name, rename(out, value.texts("aliases")), with}
}

// outerModifiers resolves ORDER BY and LIMIT of a set operation, whose names
// are those of its result.
func (r *resolver) outerModifiers(n node, out output, with *cte, outer *scope) {
	sc := &scope{outer: outer, relations: []*relation{{columns: out}}}
	r.modifiers(n, nil, with, sc)
}

func (r *resolver) selectNode(n node, with *cte, outer *scope) output {
	sc := &scope{outer: outer}
	from := r.from(n.child("from_table"), with, sc)
	for _, key := range []string{"select_list", "where_clause", "group_expressions", "having", "qualify"} {
		r.expression(n[key], with, sc)
	}
	out, aliases := outputs(n, sc)
	for alias := range aliases {
		r.aliases[alias] = true
	}
	sc.items = aliases
	r.conditions(n, aliases, sc)
	r.modifiers(n, aliases, with, sc)
	r.selects = append(r.selects, selection{n, n.child("where_clause"), from, sc, n["sample"] != nil})
	return out
}

// conditions records what of a SELECT the engine may move towards the tables:
// its conditions, and its items where a condition can be about them.
func (r *resolver) conditions(n node, aliases map[string]node, sc *scope) {
	named := false
	for _, key := range []string{"where_clause", "having", "qualify"} {
		if c := n.child(key); c != nil {
			r.roots = append(r.roots, root{c, sc, true})
			named = named || mentions(map[string]any(c), aliases)
		}
	}
	if r.nested == 0 && !named {
		return
	}
	for _, key := range []string{"select_list", "group_expressions"} {
		for _, item := range n.nodes(key) {
			r.roots = append(r.roots, root{item, sc, false})
		}
	}
}

// mentions reports whether an expression uses one of the names by itself.
func mentions(v any, names map[string]node) bool {
	switch v := v.(type) {
	case []any:
		return slices.ContainsFunc(v, func(e any) bool { return mentions(e, names) })
	case map[string]any:
		n := node(v)
		if list := n.texts("column_names"); len(list) > 0 && names[fold(list[0])] != nil {
			return true
		}
		for _, e := range v {
			if mentions(e, names) {
				return true
			}
		}
	}
	return false
}

// modifiers resolves ORDER BY, DISTINCT ON and LIMIT. A sort key that is an
// alias of the SELECT list is that item, and no column.
func (r *resolver) modifiers(n node, aliases map[string]node, with *cte, sc *scope) {
	for _, m := range n.nodes("modifiers") {
		for _, o := range m.nodes("orders") {
			key := o.child("expression")
			names := key.texts("column_names")
			allOf := key.text("class") == "STAR" && key.flag("columns") && key.child("expr") == nil // ORDER BY ALL
			if allOf || len(names) == 1 && aliases[fold(names[0])] != nil {
				continue
			}
			r.expression(map[string]any(key), with, sc)
		}
		for _, key := range []string{"distinct_on_targets", "limit", "offset"} {
			r.expression(m[key], with, sc)
		}
	}
}

// outputs tells the columns of a SELECT, and which of them are aliases.
func outputs(n node, sc *scope) (output, map[string]node) {
	out := output{origin: map[string]*columnRef{}}
	aliases := map[string]node{}
	for _, item := range n.nodes("select_list") {
		names := item.texts("column_names")
		switch alias := item.text("alias"); {
		case item.text("class") == "STAR", item.text("class") == "FUNCTION" && equal(item.text("function_name"), "unnest"):
			out.open = true
		case alias != "":
			out.add(alias, names, sc)
			aliases[fold(alias)] = item
		case len(names) > 0:
			out.add(names[len(names)-1], names, sc)
		}
	}
	return out, aliases
}

// add appends a column, which is that of names, if any.
func (o *output) add(column string, names []string, sc *scope) {
	o.names = append(o.names, column)
	key := fold(column)
	if _, twice := o.origin[key]; twice || len(names) == 0 {
		o.origin[key] = nil
		return
	}
	o.origin[key] = &columnRef{names: names, pos: -1, scope: sc}
}

// rename applies a column alias list to the columns of a query. Where columns
// without a known name are among them it no longer knows which is which.
func rename(out output, aliases []string) output {
	if len(aliases) == 0 {
		return out
	}
	return output{names: append(slices.Clone(aliases), out.names...), open: out.open}
}

func unreadable() error {
	return errs.New(errs.Unsupported, "the statement is written in a way that cannot be followed; write its tables as super.table with an alias")
}
