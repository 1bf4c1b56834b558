package rbac

import (
	"encoding/json"
	"strings"

	"github.com/supertable-go/supertable/internal/errs"
)

// Filter is a condition on the rows of a table, as data: nothing in it is SQL.
// Nil means every row. It is one of And, Or, Not and Compare.
type Filter interface{ filter() }

// And holds when all of its parts hold.
type And []Filter

// Or holds when one of its parts holds.
type Or []Filter

// Not holds when its part is false; where that is unknown (NULL), so is this.
type Not struct{ Of Filter }

// Compare holds where a column stands in a relation to its operands.
type Compare struct {
	Column   string
	Op       string // one of operations
	Operands []Operand
	Escape   string // one character for the LIKE family, or ""
}

func (And) filter()     {}
func (Or) filter()      {}
func (Not) filter()     {}
func (Compare) filter() {}

// Operand is what a column is compared with.
type Operand struct {
	Kind  OperandKind
	Value any    // of OperandValue: string, json.Number or bool
	Name  string // of OperandColumn and OperandSession
}

// OperandKind tells where an operand's value comes from.
type OperandKind int

// The kinds of operands.
const (
	OperandValue   OperandKind = iota // the document
	OperandNull                       // NULL
	OperandColumn                     // another column of the row
	OperandSession                    // the user: user.name, user.hash or an attribute of his
)

// operations lists the allowed operations with the number of operands that
// each takes; -1 is one or more.
var operations = map[string]int{
	"=": 1, "!=": 1, "<>": 1, "<": 1, ">": 1, "<=": 1, ">=": 1,
	"LIKE": 1, "NOT LIKE": 1, "ILIKE": 1, "NOT ILIKE": 1,
	"IN": -1, "NOT IN": -1, "IS": 1, "IS NOT": 1, "BETWEEN": 2, "NOT BETWEEN": 2,
}

const (
	maxFilterDepth = 50
	maxFilterParts = 2000 // comparisons and list items
)

// parseFilter reads a filter (behaviour.md B.4.5). Anything that it does not
// know is refused: a filter that is not understood must never mean less.
func parseFilter(v any) (Filter, error) {
	switch x := v.(type) {
	case nil:
		return nil, nil
	case []any:
		if len(x) == 0 || len(x) == 1 && x[0] == "*" {
			return nil, nil
		}
	case map[string]any:
		if len(x) == 0 {
			return nil, nil
		}
	}
	p := filterParser{}
	return p.filter(v, 1)
}

type filterParser struct{ parts int }

func bad(format string, args ...any) error {
	return errs.New(errs.InvalidArgument, "filter: "+format, args...)
}

func (p *filterParser) count() error {
	if p.parts++; p.parts > maxFilterParts {
		return bad("more than %d comparisons and values", maxFilterParts)
	}
	return nil
}

func (p *filterParser) filter(v any, depth int) (Filter, error) {
	if depth > maxFilterDepth {
		return nil, bad("it nests deeper than %d levels", maxFilterDepth)
	}
	switch v := v.(type) {
	case []any:
		return p.list(v, depth)
	case map[string]any:
		if len(v) == 0 {
			return nil, bad("an empty condition; leave it out")
		}
		var all And
		for _, key := range sortedKeys(v) {
			f, err := p.entry(key, v[key], depth)
			if err != nil {
				return nil, err
			}
			all = append(all, f)
		}
		if len(all) == 1 {
			return all[0], nil
		}
		return all, nil
	}
	return nil, bad("a condition is an object or a list of them")
}

// list reads a list of conditions, all of which must hold.
func (p *filterParser) list(v []any, depth int) (And, error) {
	if len(v) == 0 {
		return nil, bad("an empty list of conditions")
	}
	out := make(And, 0, len(v))
	for _, e := range v {
		f, err := p.filter(e, depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

func (p *filterParser) entry(key string, v any, depth int) (Filter, error) {
	switch key {
	case "AND", "OR":
		list, ok := v.([]any)
		if !ok {
			return nil, bad("%s takes a list", key)
		}
		parts, err := p.list(list, depth)
		if err != nil {
			return nil, err
		}
		if key == "OR" {
			return Or(parts), nil
		}
		return parts, nil
	case "NOT":
		f, err := p.filter(v, depth+1)
		return Not{f}, err
	}
	if !plainName(key) {
		return nil, bad("%q is no column name", key)
	}
	return p.column(key, v)
}

// column reads what is said of one column: a predicate, a range, or the
// shorthand of a scalar or a list.
func (p *filterParser) column(name string, v any) (Filter, error) {
	switch v := v.(type) {
	case map[string]any:
		if r, ok := v["range"]; ok {
			return p.bounds(name, r, len(v))
		}
		return p.predicate(name, v)
	case []any:
		ops, err := p.values(v)
		return Compare{Column: name, Op: "IN", Operands: ops}, err
	case nil:
		return Compare{Column: name, Op: "IS", Operands: []Operand{{Kind: OperandNull}}}, p.count()
	}
	op, err := p.value(v)
	return Compare{Column: name, Op: "=", Operands: []Operand{op}}, err
}

func (p *filterParser) bounds(name string, v any, keys int) (Filter, error) {
	list, ok := v.([]any)
	if !ok || len(list) == 0 || keys != 1 {
		return nil, bad("column %q: a range is a list of bounds and stands alone", name)
	}
	var out And
	for _, b := range list {
		m, ok := b.(map[string]any)
		if !ok {
			return nil, bad("column %q: a bound is an object with operation, type and value", name)
		}
		f, err := p.predicate(name, m)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

func (p *filterParser) predicate(name string, m map[string]any) (Filter, error) {
	for _, k := range sortedKeys(m) {
		if k != "operation" && k != "type" && k != "value" && k != "escape" {
			return nil, bad("column %q: unknown key %q; a predicate has operation, type, value and escape", name, k)
		}
	}
	text, ok := m["operation"].(string)
	op := strings.ToUpper(strings.Join(strings.Fields(text), " "))
	takes, known := operations[op]
	if !ok || !known {
		return nil, bad("column %q: unknown operation %q", name, text)
	}
	ops, err := p.operands(name, m)
	if err != nil {
		return nil, err
	}
	if takes >= 0 && len(ops) != takes {
		return nil, bad("column %q: %s takes %d value(s), got %d", name, op, takes, len(ops))
	}
	c := Compare{Column: name, Op: op, Operands: ops}
	if err := c.check(m); err != nil {
		return nil, err
	}
	if e, ok := m["escape"]; ok && strings.HasSuffix(op, "LIKE") {
		if c.Escape, ok = e.(string); !ok || len([]rune(c.Escape)) != 1 || c.Escape == "\x00" {
			return nil, bad("column %q: escape is one character", name)
		}
	}
	return c, nil
}

// operands reads type and value.
func (p *filterParser) operands(name string, m map[string]any) ([]Operand, error) {
	kind := "value"
	if t, ok := m["type"]; ok {
		if kind, ok = t.(string); !ok {
			return nil, bad("column %q: type is a text", name)
		}
	}
	v, given := m["value"]
	switch strings.ToLower(kind) {
	case "null":
		if given && v != nil {
			return nil, bad("column %q: type null takes no value", name)
		}
		return []Operand{{Kind: OperandNull}}, p.count()
	case "reference", "column":
		ref, ok := v.(string)
		if !ok || !plainName(ref) {
			return nil, bad("column %q: a reference names a column", name)
		}
		return []Operand{{Kind: OperandColumn, Name: ref}}, p.count()
	case "session":
		ref, ok := v.(string)
		if attr, found := strings.CutPrefix(ref, "user."); !ok || !found || !plainName(attr) {
			return nil, bad("column %q: a session value is user.name, user.hash or user.ATTRIBUTE", name)
		}
		return []Operand{{Kind: OperandSession, Name: ref}}, p.count()
	case "value", "list":
		if list, ok := v.([]any); ok {
			return p.values(list)
		}
		if !given {
			return nil, bad("column %q: the value is missing", name)
		}
		if v == nil {
			return []Operand{{Kind: OperandNull}}, p.count()
		}
		op, err := p.value(v)
		return []Operand{op}, err
	}
	return nil, bad("column %q: unknown type %q; there are value, null, reference, column and session", name, kind)
}

func (p *filterParser) values(list []any) ([]Operand, error) {
	if len(list) == 0 {
		return nil, bad("an empty list of values")
	}
	out := make([]Operand, 0, len(list))
	for _, v := range list {
		op, err := p.value(v)
		if err != nil {
			return nil, err
		}
		out = append(out, op)
	}
	return out, nil
}

func (p *filterParser) value(v any) (Operand, error) {
	switch x := v.(type) {
	case string:
		if strings.ContainsRune(x, 0) {
			return Operand{}, bad("a value with a NUL character")
		}
	case json.Number, bool:
	default:
		return Operand{}, bad("a value is a text, a number, true or false")
	}
	return Operand{Kind: OperandValue, Value: v}, p.count()
}

// check refuses combinations that no row could fulfil, or that mean something
// else than they seem to.
func (c Compare) check(m map[string]any) error {
	_, list := m["value"].([]any)
	for _, o := range c.Operands {
		isNull := o.Kind == OperandNull
		_, isBool := o.Value.(bool)
		_, isText := o.Value.(string)
		switch {
		case (c.Op == "IS" || c.Op == "IS NOT") && !isNull && !isBool:
			return bad("column %q: %s takes null, true or false", c.Column, c.Op)
		case c.Op != "IS" && c.Op != "IS NOT" && isNull:
			return bad("column %q: %s NULL is never true; use IS or IS NOT", c.Column, c.Op)
		case strings.HasSuffix(c.Op, "LIKE") && o.Kind == OperandValue && !isText:
			return bad("column %q: %s takes a text", c.Column, c.Op)
		case strings.HasSuffix(c.Op, "IN") && o.Kind == OperandValue && !list:
			return bad("column %q: %s takes a list of values", c.Column, c.Op)
		}
	}
	if list && operations[c.Op] == 1 {
		return bad("column %q: %s takes one value, not a list", c.Column, c.Op)
	}
	return nil
}

// plainName holds the rule for names in filters: letters, digits and
// underscores, no digit first.
func plainName(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != "" && len(s) <= 1024
}

// Columns lists the columns that a filter names, each once, in its order.
func Columns(f Filter) []string {
	var out []string
	seen := map[string]bool{}
	add := func(name string) {
		if !seen[strings.ToLower(name)] {
			seen[strings.ToLower(name)] = true
			out = append(out, name)
		}
	}
	var walk func(Filter)
	walk = func(f Filter) {
		switch f := f.(type) {
		case And:
			for _, p := range f {
				walk(p)
			}
		case Or:
			for _, p := range f {
				walk(p)
			}
		case Not:
			walk(f.Of)
		case Compare:
			add(f.Column)
			for _, o := range f.Operands {
				if o.Kind == OperandColumn {
					add(o.Name)
				}
			}
		}
	}
	walk(f)
	return out
}
