package statement

// predicate turns an expression of the tree into what it says of one table.
// Column tells which column of that table a reference certainly is. Nil means
// that the expression says nothing that is understood.
type predicate struct {
	Values
	column func(names []string) (string, bool)
}

var comparisons = map[string]Op{
	"COMPARE_EQUAL": Equal, "COMPARE_NOTEQUAL": NotEqual, "COMPARE_LESSTHAN": Less,
	"COMPARE_LESSTHANOREQUALTO": LessOrEqual, "COMPARE_GREATERTHAN": Greater, "COMPARE_GREATERTHANOREQUALTO": GreaterOrEqual,
}

var (
	negated = map[Op]Op{Equal: NotEqual, NotEqual: Equal, Less: GreaterOrEqual, GreaterOrEqual: Less, Greater: LessOrEqual, LessOrEqual: Greater}
	flipped = map[Op]Op{Equal: Equal, NotEqual: NotEqual, Less: Greater, Greater: Less, LessOrEqual: GreaterOrEqual, GreaterOrEqual: LessOrEqual}
)

// holds says what must be true of a row for which n is true, or with not, for
// which n is false.
func (p predicate) holds(n node, not bool) Expr {
	switch n.text("class") {
	case "CONJUNCTION":
		parts := make([]Expr, 0, 2)
		for _, c := range n.nodes("children") {
			parts = append(parts, p.holds(c, not))
		}
		if (n.text("type") == "CONJUNCTION_AND") != not {
			return and(parts...)
		}
		return or(parts...)
	case "COMPARISON":
		return p.comparison(n, not)
	case "BETWEEN":
		return p.between(n, not)
	case "OPERATOR":
		return p.operator(n, not)
	}
	return nil
}

func (p predicate) comparison(n node, not bool) Expr {
	left, right := n.child("left"), n.child("right")
	op, plain := comparisons[n.text("type")]
	if !plain {
		return p.distinct(left, right, (n.text("type") == "COMPARE_DISTINCT_FROM") != not)
	}
	if left.text("class") != "COLUMN_REF" {
		left, right, op = right, left, flipped[op]
	}
	if not {
		op = negated[op]
	}
	column, ok := p.ref(left)
	value, null, constant := p.known(right)
	if !ok || !constant || null {
		return nil
	}
	return Compare{column, op, value}
}

// distinct is IS DISTINCT FROM a constant, or with distinct false, IS NOT.
func (p predicate) distinct(left, right node, distinct bool) Expr {
	if left.text("class") != "COLUMN_REF" {
		left, right = right, left
	}
	column, ok := p.ref(left)
	value, null, constant := p.known(right)
	switch {
	case !ok || !constant:
		return nil
	case null:
		return Null{column, distinct}
	case distinct:
		return or(Compare{column, NotEqual, value}, Null{column, false})
	}
	return Compare{column, Equal, value}
}

func (p predicate) between(n node, not bool) Expr {
	column, ok := p.ref(n.child("input"))
	lower, null1, ok1 := p.known(n.child("lower"))
	upper, null2, ok2 := p.known(n.child("upper"))
	if !ok || !ok1 || !ok2 || null1 || null2 || !oneFamily(lower, upper) {
		return nil
	}
	if not {
		return or(Compare{column, Less, lower}, Compare{column, Greater, upper})
	}
	return and(Compare{column, GreaterOrEqual, lower}, Compare{column, LessOrEqual, upper})
}

func (p predicate) operator(n node, not bool) Expr {
	children := n.nodes("children")
	if len(children) == 0 {
		return nil
	}
	switch n.text("type") {
	case "OPERATOR_NOT":
		return p.holds(children[0], !not)
	case "OPERATOR_IS_NULL", "OPERATOR_IS_NOT_NULL":
		if column, ok := p.ref(children[0]); ok {
			return Null{column, (n.text("type") == "OPERATOR_IS_NOT_NULL") != not}
		}
	case "COMPARE_IN":
		return p.in(children, not)
	case "COMPARE_NOT_IN":
		return p.in(children, !not)
	}
	return nil
}

// in reads column IN (constants). A null among them never makes IN true; it
// makes NOT IN never true, which is left alone.
func (p predicate) in(children []node, not bool) Expr {
	column, ok := p.ref(children[0])
	if !ok {
		return nil
	}
	var list []Literal
	for _, c := range children[1:] {
		v, null, ok := p.known(c)
		switch {
		case !ok || null && not || !null && len(list) > 0 && !oneFamily(list[0], v):
			return nil
		case !null:
			list = append(list, v)
		}
	}
	if len(list) == 0 {
		return nil
	}
	return In{column, not, list}
}

func (p predicate) ref(n node) (string, bool) {
	if n.text("class") != "COLUMN_REF" {
		return "", false
	}
	return p.column(n.texts("column_names"))
}

// oneFamily reports whether a list of both constants has a type in which each
// compares as it would alone.
func oneFamily(a, b Literal) bool {
	return a.Type == b.Type && a.Typed == b.Typed || integerTypes[a.Type] && integerTypes[b.Type]
}
