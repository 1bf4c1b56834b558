package statement

import (
	"slices"
	"strconv"

	"github.com/supertable-go/supertable/internal/errs"
)

// from resolves a FROM clause: its relations go into sc, left to right, since
// each one may use those before it (lateral joins).
func (r *resolver) from(n node, with *cte, sc *scope) *join {
	switch n.text("type") {
	case "BASE_TABLE":
		rel := r.baseTable(n, with)
		sc.relations = append(sc.relations, rel)
		return &join{relation: rel, sampled: n["sample"] != nil}
	case "JOIN":
		j := &join{node: n}
		j.left = r.from(n.child("left"), with, sc)
		j.right = r.from(n.child("right"), with, sc)
		r.expression(n["condition"], with, sc)
		if c := n.child("condition"); c != nil {
			r.roots = append(r.roots, root{c, sc, true})
		}
		return j
	case "EMPTY":
		return &join{}
	}
	rel := &relation{alias: n.text("alias"), columns: output{open: true}}
	lateral := &scope{outer: sc.outer, relations: slices.Clone(sc.relations)}
	leaf := &join{relation: rel, sampled: n["sample"] != nil}
	switch n.text("type") {
	case "SUBQUERY":
		out := r.inner(n.child("subquery").child("node"), with, lateral)
		rel.columns = rename(out, n.texts("column_name_alias"))
	case "TABLE_FUNCTION":
		r.expression(n.child("function")["children"], with, lateral)
		for _, arg := range n.child("function").nodes("children") {
			r.roots = append(r.roots, root{arg, lateral, false})
		}
		leaf.sampled = leaf.sampled || n.text("with_ordinality") == "WITH_ORDINALITY"
	case "EXPRESSION_LIST":
		r.expression(n["values"], with, lateral)
	case "PIVOT":
		r.pivot(n, with, sc.outer)
	default:
		r.fail(unreadable())
	}
	sc.relations = append(sc.relations, rel)
	return leaf
}

// pivot resolves PIVOT and UNPIVOT: all columns of the source take part.
func (r *resolver) pivot(n node, with *cte, outer *scope) {
	r.complex = true
	inner := &scope{outer: outer}
	r.from(n.child("source"), with, inner)
	r.stars = append(r.stars, starRef{scope: inner})
	r.expression(n["aggregates"], with, inner)
	for _, p := range n.nodes("pivots") {
		r.expression(p["pivot_expressions"], with, inner)
		for _, e := range p.nodes("entries") {
			r.expression(e["expr"], with, inner)
		}
	}
}

// baseTable decides what a name in a FROM clause is: a CTE that is in scope
// when it is not qualified, else a table.
func (r *resolver) baseTable(n node, with *cte) *relation {
	schema, name, alias := n.text("schema_name"), n.text("table_name"), n.text("alias")
	visible := alias
	if alias == "" {
		visible = name
	}
	if c := with.find(name); c != nil {
		switch {
		case schema == "" && n["at_clause"] != nil:
			r.fail(errs.New(errs.InvalidArgument, "AT is for tables: %s is a common table expression", name))
		case schema == "":
			r.isCTE[n.pos()] = true
			return &relation{alias: visible, columns: rename(c.columns, n.texts("column_name_alias"))}
		case equal(schema, "recurring"):
			r.fail(errs.New(errs.Unsupported, "WITH RECURSIVE … USING KEY cannot read recurring.%s", name))
		}
	}
	return &relation{alias: visible, table: r.table(n)}
}

// table records a table reference, once for each location.
func (r *resolver) table(n node) *TableRef {
	t := &TableRef{
		Super: n.text("schema_name"), Name: n.text("table_name"), Alias: n.text("alias"),
		pos: n.pos(), Renamed: len(n.texts("column_name_alias")) > 0, node: n,
	}
	t.display = t.Alias
	if t.Alias == "" {
		t.display = t.Name
	}
	if equal(t.Super, InformationSchema) {
		t.InformationSchema = true
		if !equal(t.Name, "tables") && !equal(t.Name, "columns") {
			r.fail(notFound(t))
		}
	}
	var err error
	if t.At, err = readAt(n.child("at_clause")); err != nil {
		r.fail(err)
	}
	if old := r.at[t.pos]; old != nil {
		if old.Super != t.Super || old.Name != t.Name || old.Alias != t.Alias {
			r.fail(unreadable())
		}
		return old
	}
	r.at[t.pos] = t
	r.Tables = append(r.Tables, t)
	return t
}

// readAt reads AT (VERSION => n) and AT (TIMESTAMP => 'text'); only constants
// name a state.
func readAt(n node) (*At, error) {
	if n == nil {
		return nil, nil
	}
	lit, null, ok := Values{}.literal(n.child("expr"))
	ok = ok && !null
	switch n.text("unit") {
	case "VERSION":
		v, err := strconv.ParseInt(lit.Text, 10, 64)
		if !ok || !integerTypes[lit.Type] || err != nil || v < 0 {
			return nil, errs.New(errs.InvalidArgument, "AT (VERSION => …) expects a snapshot number")
		}
		return &At{Version: v}, nil
	case "TIMESTAMP":
		if !ok || lit.Text == "" || !timeTypes[lit.Type] {
			return nil, errs.New(errs.InvalidArgument, "AT (TIMESTAMP => …) expects a constant time")
		}
		return &At{Time: lit.Text}, nil
	}
	return nil, errs.New(errs.InvalidArgument, "AT expects VERSION or TIMESTAMP")
}

// timeTypes are the types of a constant that names a point in time.
var timeTypes = map[string]bool{
	"VARCHAR": true, "DATE": true, "TIMESTAMP": true, "TIMESTAMP_S": true, "TIMESTAMP_MS": true,
	"TIMESTAMP_NS": true, "TIMESTAMP WITH TIME ZONE": true,
}

// lambdaFunctions take a lambda as their second argument; elsewhere a -> b
// reads JSON.
var lambdaFunctions = set("list_transform list_apply apply array_apply array_transform " +
	"list_filter filter array_filter list_reduce reduce array_reduce")

// expression resolves every column, star and subquery below v.
func (r *resolver) expression(v any, with *cte, sc *scope) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			r.expression(e, with, sc)
		}
	case map[string]any:
		r.expressionNode(v, with, sc)
	}
}

func (r *resolver) expressionNode(n node, with *cte, sc *scope) {
	switch n.text("class") {
	case "COLUMN_REF":
		r.column(n.texts("column_names"), n.pos(), sc)
		return
	case "STAR":
		r.star(n, sc)
	case "POSITIONAL_REFERENCE":
		r.stars = append(r.stars, starRef{scope: sc})
	case "PARAMETER":
		r.parameter(n.text("identifier"))
	case "SUBQUERY":
		r.expression(n["child"], with, sc)
		r.inner(n.child("subquery").child("node"), with, sc)
		return
	case "FUNCTION":
		r.methodCall(n, sc)
		if lambdaFunctions[fold(n.text("function_name"))] {
			r.lambdaCall(n, with, sc)
			return
		}
	}
	for _, key := range sortedKeys(n) {
		r.expression(n[key], with, sc)
	}
}

// column records a column reference, unless it is a lambda's parameter.
func (r *resolver) column(names []string, pos int, sc *scope) {
	if len(names) == 0 || slices.Contains(r.lambdas, fold(names[0])) {
		return
	}
	r.refs = append(r.refs, &columnRef{names: names, pos: pos, scope: sc})
}

func (r *resolver) star(n node, sc *scope) {
	r.stars = append(r.stars, starRef{n.text("relation_name"), sc})
	qualified := n.nodes("qualified_exclude_list")
	for _, e := range n.nodes("rename_list") {
		qualified = append(qualified, e.child("key"))
	}
	for _, q := range qualified {
		if q.text("schema") != "" || q.text("catalog") != "" {
			r.fail(errs.New(errs.Unsupported, "EXCLUDE and RENAME name columns as column or table.column, not %s.%s.%s",
				q.text("schema"), q.text("table"), q.text("column")))
		}
	}
}

func (r *resolver) parameter(name string) {
	if name == "" || isDigit(name[0]) {
		r.fail(errs.New(errs.InvalidArgument, "positional parameters are not supported: name them, as $name"))
	}
	if !slices.Contains(r.Parameters, name) {
		r.Parameters = append(r.Parameters, name)
	}
}

// methodCall records the column of name.upper() and t.name.upper(), which
// stands in the tree as the schema of the function.
func (r *resolver) methodCall(n node, sc *scope) {
	schema, catalog := n.text("schema"), n.text("catalog")
	switch {
	case catalog != "":
		r.column([]string{catalog, schema}, -1, sc)
	case schema != "" && !equal(schema, "main"):
		r.column([]string{schema}, -1, sc)
	}
}

// lambdaCall resolves a call with a lambda, whose parameters hide columns.
func (r *resolver) lambdaCall(n node, with *cte, sc *scope) {
	for _, arg := range n.nodes("children") {
		if arg.text("class") != "LAMBDA" {
			r.expression(map[string]any(arg), with, sc)
			continue
		}
		known := len(r.lambdas)
		params := append([]node{arg.child("lhs")}, arg.child("lhs").nodes("children")...)
		for _, p := range params {
			for _, name := range p.texts("column_names") {
				r.lambdas = append(r.lambdas, fold(name))
			}
		}
		r.expression(arg["expr"], with, sc)
		r.lambdas = r.lambdas[:known]
	}
}

// sortedKeys makes the walk of a tree the same each time.
func sortedKeys(n node) []string {
	keys := make([]string, 0, len(n))
	for k, v := range n {
		switch v.(type) {
		case []any, map[string]any:
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}
