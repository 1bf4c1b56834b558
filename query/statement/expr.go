package statement

import (
	"slices"
	"strings"
)

// Expr is a predicate on one table reference, for the pruning of data files:
// And, Or, Compare, In or Null. A row for which it is not true, by SQL's rules
// on nulls, adds nothing to the result of the statement.
type Expr interface {
	// String writes the predicate as SQL, with bare literal texts.
	String() string
	// rejectsNull reports whether a row of nulls fails it.
	rejectsNull() bool
}

// Op is a comparison.
type Op string

// The comparisons. Floating point compares as in DuckDB: NaN equals itself and
// is above all other numbers.
const (
	Equal          Op = "="
	NotEqual       Op = "<>"
	Less           Op = "<"
	LessOrEqual    Op = "<="
	Greater        Op = ">"
	GreaterOrEqual Op = ">="
)

// And holds where all hold. It has at least two.
type And []Expr

// Or holds where one holds. It has at least two.
type Or []Expr

// Compare holds a column against a constant.
type Compare struct {
	Column string
	Op     Op
	Value  Literal
}

// In holds where the column equals one of the constants (or, with Not, is not
// null and equals none). The constants are of one family of types.
type In struct {
	Column string
	Not    bool
	Values []Literal
}

// Null holds where the column is null (with Not: is not).
type Null struct {
	Column string
	Not    bool
}

func (e And) String() string     { return "(" + joined(e, " AND ") + ")" }
func (e Or) String() string      { return "(" + joined(e, " OR ") + ")" }
func (e Compare) String() string { return e.Column + " " + string(e.Op) + " " + e.Value.String() }

func (e In) String() string {
	values := make([]string, len(e.Values))
	for i, v := range e.Values {
		values[i] = v.String()
	}
	return e.Column + not(e.Not) + " IN (" + strings.Join(values, ", ") + ")"
}

func (e Null) String() string { return e.Column + " IS" + not(e.Not) + " NULL" }

func (e And) rejectsNull() bool { return slices.ContainsFunc(e, Expr.rejectsNull) }
func (e Or) rejectsNull() bool {
	return !slices.ContainsFunc(e, func(x Expr) bool { return !x.rejectsNull() })
}
func (e Compare) rejectsNull() bool { return true }
func (e In) rejectsNull() bool      { return true }
func (e Null) rejectsNull() bool    { return e.Not }

// String writes the literal with its type.
func (l Literal) String() string {
	switch {
	case integerTypes[l.Type] || l.Type == "DECIMAL" || l.Type == "BOOLEAN":
		return l.Text
	case l.Type == "DOUBLE":
		return l.Text + "::DOUBLE"
	}
	text := "'" + strings.ReplaceAll(l.Text, "'", "''") + "'"
	if l.Type == "VARCHAR" && !l.Typed {
		return text
	}
	return text + "::" + l.Type
}

func joined(list []Expr, sep string) string {
	parts := make([]string, len(list))
	for i, e := range list {
		parts[i] = e.String()
	}
	return strings.Join(parts, sep)
}

func not(is bool) string {
	if is {
		return " NOT"
	}
	return ""
}

// and joins what is known of several predicates that all hold; nil is nothing.
func and(list ...Expr) Expr {
	var all And
	for _, e := range list {
		switch e := e.(type) {
		case nil:
		case And:
			all = append(all, e...)
		default:
			all = append(all, e)
		}
	}
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	return all
}

// or joins what is known of several predicates of which one holds.
func or(list ...Expr) Expr {
	switch {
	case len(list) == 0 || slices.ContainsFunc(list, func(e Expr) bool { return e == nil }):
		return nil
	case len(list) == 1:
		return list[0]
	}
	return Or(list)
}
