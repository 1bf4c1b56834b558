package statement

// root is an expression that the engine may move below a view's row filter.
// Clauses that decide which rows stay are, and so is every SELECT item that a
// query around it could filter by. The outermost SELECT list is not.
type root struct {
	node    node
	scope   *scope
	boolean bool // a condition: anything else would be cast
}

// raiser finds out whether an expression could fail on some value of a column.
// Comparisons are harmless only between types that compare without a cast that
// can fail, so that the types of the columns must be known. What it does not
// know can fail.
type raiser struct {
	*binder
	within map[*scope]bool // SELECT lists whose aliases are being followed
}

// mayRaise reports whether some root could fail.
func (b *binder) mayRaise() bool {
	if b.complex {
		return true
	}
	r := raiser{b, map[*scope]bool{}}
	for _, e := range b.roots {
		k, ok := r.kind(e.node, e.scope)
		if !ok || e.boolean && k.family != "BOOLEAN" && k.family != null {
			return true
		}
	}
	for _, sel := range b.selects {
		if sel.from != nil && r.joins(sel.from) {
			return true
		}
	}
	return false
}

// joins reports whether a USING or NATURAL comparison could fail.
func (r raiser) joins(j *join) bool {
	if j.left == nil {
		return false
	}
	if j.node.text("ref_type") == "NATURAL" {
		return true
	}
	relations := append(leaves(j.left), leaves(j.right)...)
	for _, name := range j.node.texts("using_columns") {
		if _, ok := r.column([]string{name}, &scope{relations: relations}); !ok {
			return true
		}
	}
	return r.joins(j.left) || r.joins(j.right)
}

// kind gives the type of an expression that cannot fail.
func (r raiser) kind(n node, sc *scope) (kind, bool) {
	if known, ok := r.values.of(n); ok {
		return known.kind, true
	}
	if lit, null, ok := r.values.literal(n); ok {
		return literalKind(lit, null)
	}
	switch n.text("class") {
	case "COLUMN_REF":
		return r.column(n.texts("column_names"), sc)
	case "STAR":
		return kind{family: "*"}, !n.flag("columns") && len(n.nodes("replace_list")) == 0
	case "COMPARISON":
		return r.comparison([]node{n.child("left"), n.child("right")}, sc)
	case "BETWEEN":
		return r.comparison([]node{n.child("input"), n.child("lower"), n.child("upper")}, sc)
	case "CONJUNCTION":
		return r.conditions(n.nodes("children"), sc)
	case "OPERATOR":
		return r.operator(n, sc)
	case "FUNCTION", "WINDOW":
		return r.call(n, sc)
	case "SUBQUERY":
		return kind{family: "BOOLEAN"}, n.text("subquery_type") == "EXISTS"
	}
	return kind{}, false
}

// comparison is of all operands with the first and with each other.
func (r raiser) comparison(operands []node, sc *scope) (kind, bool) {
	var kinds []kind
	for _, o := range operands {
		k, ok := r.kind(o, sc)
		if !ok {
			return kind{}, false
		}
		for _, other := range kinds {
			if !compares(k, other) {
				return kind{}, false
			}
		}
		kinds = append(kinds, k)
	}
	return kind{family: "BOOLEAN"}, true
}

func (r raiser) conditions(list []node, sc *scope) (kind, bool) {
	for _, c := range list {
		if k, ok := r.kind(c, sc); !ok || k.family != "BOOLEAN" && k.family != null {
			return kind{}, false
		}
	}
	return kind{family: "BOOLEAN"}, true
}

func (r raiser) operator(n node, sc *scope) (kind, bool) {
	children := n.nodes("children")
	switch n.text("type") {
	case "OPERATOR_NOT":
		return r.conditions(children, sc)
	case "OPERATOR_IS_NULL", "OPERATOR_IS_NOT_NULL":
		_, ok := r.kind(children[0], sc)
		return kind{family: "BOOLEAN"}, ok
	case "COMPARE_IN", "COMPARE_NOT_IN":
		return r.comparison(children, sc)
	}
	return kind{}, false
}

// Functions that have a result for every argument of the right type.
var (
	textTests     = set("~~ !~~ ~~* !~~* ^@ contains starts_with ends_with prefix suffix")
	textChanges   = set("lower upper lcase ucase trim ltrim rtrim")
	textLengths   = set("length len strlen char_length character_length")
	floatSums     = set("+ - *")
	sameAggregate = set("min max any_value first last arbitrary")
	counts        = set("count count_star row_number rank dense_rank rank_dense")
)

func (r raiser) call(n node, sc *scope) (kind, bool) {
	args, ok := r.arguments(n, sc)
	if !ok {
		return kind{}, false
	}
	texts, same := len(args) > 0, len(args) == 1
	for _, a := range args {
		texts = texts && (a.family == "VARCHAR" || a.family == constantText)
	}
	switch name := fold(n.text("function_name")); {
	case textTests[name]:
		return kind{family: "BOOLEAN"}, texts && len(args) == 2
	case textChanges[name]:
		return kind{family: "VARCHAR"}, texts && same
	case textLengths[name]:
		return kind{family: integers, before: 19}, texts && same
	case floatSums[name]:
		return kind{family: floats}, len(args) == 2 && args[0].number() && args[1].number() && (args[0].family == floats || args[1].family == floats)
	case counts[name]:
		return kind{family: integers, before: 19}, true
	case sameAggregate[name] && same:
		return args[0], true
	case name == "avg" && same && args[0].number():
		return kind{family: floats}, true
	case name == "sum" && same && args[0].number(): // it can overflow, but stays above the filter
		return sumOf(args[0]), true
	}
	return kind{}, false
}

// sumOf gives the type of a sum: 38 digits, but of floats.
func sumOf(k kind) kind {
	if k.family == integers {
		return kind{family: integers, before: 39}
	}
	if k.family == decimals {
		return kind{decimals, 38 - k.after, k.after, ""}
	}
	return k
}

// arguments gives the kinds of a call's arguments, and whether these and the
// other parts of it (FILTER, ORDER BY, the window) cannot fail.
func (r raiser) arguments(n node, sc *scope) ([]kind, bool) {
	if schema := n.text("schema"); schema != "" && !equal(schema, "main") {
		return nil, false // the first argument stands in front of the call
	}
	var out []kind
	for _, c := range n.nodes("children") {
		k, ok := r.kind(c, sc)
		if !ok {
			return nil, false
		}
		out = append(out, k)
	}
	others := n.nodes("partitions")
	for _, o := range append(n.nodes("orders"), n.child("order_bys").nodes("orders")...) {
		others = append(others, o.child("expression"))
	}
	for _, key := range []string{"filter", "filter_expr", "start_expr", "end_expr", "offset_expr", "default_expr"} {
		if c := n.child(key); c != nil {
			others = append(others, c)
		}
	}
	for _, o := range others {
		if _, ok := r.kind(o, sc); !ok {
			return nil, false
		}
	}
	return out, true
}

// column gives the type of a column that is found in one place only, or in
// several with one type.
func (r raiser) column(names []string, sc *scope) (kind, bool) {
	for ; sc != nil; sc = sc.outer {
		var found []kind
		for _, rel := range sc.relations {
			k, has, known := r.member(rel, names)
			if !known {
				return kind{}, false
			}
			if has {
				found = append(found, k)
			}
		}
		if item := sc.items[fold(names[0])]; item != nil && len(found) == 0 && len(names) == 1 {
			return r.alias(item, sc)
		}
		if len(found) == 0 {
			continue
		}
		for _, k := range found[1:] {
			if k != found[0] {
				return kind{}, false
			}
		}
		return found[0], true
	}
	return kind{}, false
}

// alias gives the type of an item of the SELECT list; one that is about
// another is not followed.
func (r raiser) alias(item node, sc *scope) (kind, bool) {
	if r.within[sc] {
		return kind{}, false
	}
	r.within[sc] = true
	defer delete(r.within, sc)
	return r.kind(item, sc)
}

// member looks a column up in one relation.
func (r raiser) member(rel *relation, names []string) (k kind, has, known bool) {
	name := names[len(names)-1]
	switch {
	case len(names) == 1:
	case len(names) == 2 && equal(rel.alias, names[0]):
	case len(names) == 3 && r.inTable(rel, names[0], names[1]):
	default:
		owns, certain := r.owns(rel, names[0]) // a field of a struct has no known type
		return kind{}, false, len(names) > 1 && certain && !owns
	}
	has, known = r.owns(rel, name)
	if !has || !known {
		return kind{}, has, known
	}
	if rel.table != nil {
		k, known = kindOf(r.columns[r.index[rel.table]].by[fold(name)].Type)
		return k, true, known
	}
	from := rel.columns.origin[fold(name)]
	if from == nil {
		return kind{}, true, false
	}
	k, known = r.column(from.names, from.scope)
	return k, true, known
}
