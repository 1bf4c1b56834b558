package statement

// extremes finds the tables of whose rows only two things matter: how many they
// are, and the least and greatest values of columns. That is so for a SELECT
// over one table without any clause, where columns stand in min(column) and
// max(column) and nowhere else.
func (b *binder) extremes() {
	for i := range b.uses {
		b.uses[i].Extremes = len(b.used[i]) > 0 && !b.uses[i].Star && b.columns[i].known
	}
	for _, sel := range b.selects {
		if sel.from == nil {
			continue
		}
		r, alone := sel.alone()
		if alone && b.extremesOf(sel.node["select_list"], r) {
			continue
		}
		for _, l := range leaves(sel.from) {
			if l.table != nil {
				b.uses[b.index[l.table]].Extremes = false
			}
		}
	}
}

func isExtreme(n node) bool {
	return equal(n.text("function_name"), "min") || equal(n.text("function_name"), "max")
}

// alone gives the table of a SELECT that has one and nothing but a list.
func (s selection) alone() (*relation, bool) {
	r := s.from.relation
	if r == nil || r.table == nil || r.table.Renamed || s.from.sampled || s.sampled {
		return nil, false
	}
	for _, clause := range []string{"where_clause", "having", "qualify"} {
		if s.node.child(clause) != nil {
			return nil, false
		}
	}
	for _, m := range s.node.nodes("modifiers") { // a LIMIT leaves the rows below it alone
		if m.text("type") != "LIMIT_MODIFIER" || !isConstant(m.child("limit")) || !isConstant(m.child("offset")) {
			return nil, false
		}
	}
	return r, len(s.node.nodes("group_expressions")) == 0 && s.node.text("aggregate_handling") == "STANDARD_HANDLING"
}

func isConstant(n node) bool { return n == nil || n.text("class") == "CONSTANT" }

// plainClasses are the expressions whose value is made of their parts' values.
var plainClasses = set("CONSTANT PARAMETER CAST OPERATOR COMPARISON CONJUNCTION BETWEEN CASE FUNCTION")

// extremesOf reports whether columns stand in min and max of r alone. Any other
// function but an operator may be about the number of rows.
func (b *binder) extremesOf(v any, r *relation) bool {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			if !b.extremesOf(e, r) {
				return false
			}
		}
	case node:
		return b.extremesOf(map[string]any(v), r)
	case map[string]any:
		n := node(v)
		if class := n.text("class"); class != "" && !plainClasses[class] {
			return false
		}
		if b.extreme(n, r) {
			return true
		}
		if n.text("class") == "FUNCTION" && !n.flag("is_operator") {
			b.uses[b.index[r.table]].Counted = true
		}
		for _, e := range v {
			if !b.extremesOf(e, r) {
				return false
			}
		}
	}
	return true
}

// extreme reports whether n is min or max of one column of r.
func (b *binder) extreme(n node, r *relation) bool {
	if n.text("class") != "FUNCTION" || !isExtreme(n) {
		return false
	}
	args := n.nodes("children")
	if len(args) != 1 || args[0].text("class") != "COLUMN_REF" || n.text("schema")+n.text("catalog") != "" || n.child("filter") != nil || len(n.child("order_bys").nodes("orders")) > 0 {
		return false
	}
	_, ok := b.certain(args[0].texts("column_names"), []reach{{relation: r}}, r, true)
	return ok
}
