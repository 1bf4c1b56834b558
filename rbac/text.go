package rbac

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Text puts a filter into words for people, in the manner of SQL. It is never run.
func Text(f Filter) string {
	switch f := f.(type) {
	case nil:
		return "every row"
	case And:
		return joinText(f, " AND ")
	case Or:
		return joinText(f, " OR ")
	case Not:
		return "NOT (" + Text(f.Of) + ")"
	case Compare:
		return f.text()
	}
	return "no row"
}

// joinText sets parts that are joined themselves in parentheses.
func joinText(parts []Filter, with string) string {
	out := make([]string, len(parts))
	for i, p := range parts {
		out[i] = Text(p)
		switch p.(type) {
		case And, Or:
			if len(parts) > 1 {
				out[i] = "(" + out[i] + ")"
			}
		}
	}
	return strings.Join(out, with)
}

func (c Compare) text() string {
	ops := make([]string, len(c.Operands))
	for i, o := range c.Operands {
		ops[i] = o.text()
	}
	right := strings.Join(ops, ", ")
	switch {
	case strings.HasSuffix(c.Op, "IN"):
		right = "(" + right + ")"
	case strings.HasSuffix(c.Op, "BETWEEN"):
		right = strings.Join(ops, " AND ")
	}
	text := c.Column + " " + c.Op + " " + right
	if c.Escape != "" {
		text += " ESCAPE " + quoteText(c.Escape)
	}
	return text
}

func (o Operand) text() string {
	switch o.Kind {
	case OperandNull:
		return "NULL"
	case OperandColumn, OperandSession:
		return o.Name
	}
	return valueText(o.Value)
}

func valueText(v any) string {
	switch v := v.(type) {
	case nil:
		return "NULL"
	case string:
		return quoteText(v)
	case json.Number:
		return v.String()
	}
	return fmt.Sprint(v)
}

func quoteText(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// String names a mask for people: "last 4".
func (m Mask) String() string {
	switch m.Type {
	case "first", "last":
		return fmt.Sprintf("%s %d", m.Type, m.N)
	case "constant":
		return "constant " + valueText(m.Value)
	}
	return m.Type
}

// String puts a set of rows into words for people.
func (r Rows) String() string {
	if r.All {
		return Text(nil)
	}
	return Text(Or(r.Filters))
}

// CasesText puts how a column is shown into words for people: the masks in the
// order in which the first that fits holds.
func CasesText(cases []MaskCase) string {
	out := make([]string, len(cases))
	for i, k := range cases {
		out[i] = "clear"
		if k.Mask != nil {
			out[i] = k.Mask.String()
		}
		if !k.Rows.All && len(cases) > 1 {
			out[i] += " where " + k.Rows.String()
		}
	}
	return strings.Join(out, ", else ")
}

// Label is what people call a role: its name, or its type with the beginning
// of its hash.
func (r *Role) Label() string {
	if r.Name != "" {
		return r.Name + " (" + r.Type + ")"
	}
	return r.Type + " " + r.Hash[:8]
}
