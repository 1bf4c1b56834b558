package scan

import (
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"

	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/rbac"
)

// Policy turns what rbac decided about one table into SQL over its rows.
// Filters and masks are data until here; every name is looked up and quoted,
// every value is checked to be one of the column's type.
type Policy struct {
	Grant rbac.Grant
	// Columns are the table's at the snapshot that is read, all of them.
	Columns []datafile.Column
	// Current names the columns, by id, as the table has them now, which is
	// what a role's document is about. Nil: they have the same names.
	Current map[int64]string
	// Salt of hash masks; asked for only when there is one.
	Salt func() (string, error)
	// Blind keeps the engine from what statistics say of columns of text when
	// some rows are hidden: these are in them too.
	Blind bool
}

// find looks a column up by the name that the policy knows it by.
func (p Policy) find(name string) (datafile.Column, error) {
	var found []datafile.Column
	for _, c := range p.Columns {
		if strings.EqualFold(p.name(c), name) {
			found = append(found, c)
		}
	}
	if len(found) != 1 { // a dropped column may have had the name before another one
		return datafile.Column{}, unfit()
	}
	return found[0], nil
}

// name is what the policy calls a column.
func (p Policy) name(c datafile.Column) string {
	if n, ok := p.Current[c.ID]; ok {
		return n
	}
	return c.Name
}

// unfit is the error of a filter that does not fit the table. It does not say
// how: names and values of the policy are not the reader's to know.
func unfit() error {
	return errs.New(errs.Denied, "a row filter of your roles does not fit the table as it is; ask an administrator")
}

// Secure wraps the rows of a table in what may be seen of them: the columns of
// access, masked, and its rows; more conditions may be added, which the caller
// knows to be harmless (they cannot fail on any value).
//
// With fence, nothing that stands above the result is evaluated on a row that
// does not belong to it (D7).
func (p Policy) Secure(inner string, access rbac.Access, more []string, fence bool) (string, error) {
	sel := make([]string, 0, len(access.Columns))
	for _, name := range access.Columns {
		i := datafile.FindColumn(p.Columns, name)
		if i < 0 {
			return "", unfit()
		}
		expr, err := p.column(p.Columns[i], access)
		if err != nil {
			return "", err
		}
		if p.Blind && !access.Rows.All && p.Columns[i].Type.Name == "varchar" {
			expr = "(" + expr + " || '')"
		}
		sel = append(sel, expr+" AS "+datafile.Quote(p.Columns[i].Name))
	}
	if len(sel) == 0 {
		sel = []string{nothing}
	}
	sql := "SELECT " + strings.Join(sel, ", ") + " FROM (" + inner + ")"
	where := more
	if !access.Rows.All {
		rows, err := p.Rows(access.Rows)
		if err != nil {
			return "", err
		}
		where = append([]string{rows}, more...)
	}
	if len(where) > 0 {
		sql += " WHERE " + strings.Join(where, " AND ")
	}
	if fence {
		sql += " OFFSET 0"
	}
	return sql, nil
}

// nothing is the column of a view of which only the rows count. No statement
// can name it.
var nothing = `CAST(NULL AS INTEGER) AS "` + rand.Text() + `"`

// column gives a column as access shows it.
func (p Policy) column(c datafile.Column, access rbac.Access) (string, error) {
	cases := access.Masks[strings.ToLower(c.Name)]
	if len(cases) == 0 {
		return datafile.Quote(c.Name), nil
	}
	null := "CAST(NULL AS " + c.Type.SQL() + ")"
	var b strings.Builder
	for _, k := range cases {
		shown := datafile.Quote(c.Name)
		if k.Mask != nil {
			var err error
			if shown, err = p.mask(c, *k.Mask); err != nil {
				return "", err
			}
		}
		if k.Rows.All { // no case after it is reached
			if b.Len() == 0 {
				return shown, nil
			}
			return "CASE" + b.String() + " ELSE " + shown + " END", nil
		}
		rows, err := p.Rows(k.Rows)
		if err != nil {
			return "", err
		}
		b.WriteString(" WHEN " + rows + " THEN " + shown)
	}
	return "CASE" + b.String() + " ELSE " + null + " END", nil
}

// mask gives the SQL of a masked column; where the mask is not for the
// column's type, the column reads as NULL (decision 13).
func (p Policy) mask(c datafile.Column, m rbac.Mask) (string, error) {
	name, null := datafile.Quote(c.Name), "CAST(NULL AS "+c.Type.SQL()+")"
	if MaskFits(c.Type, m) != nil {
		return null, nil
	}
	switch m.Type {
	case "constant":
		sql, _ := constant(c.Type, m.Value)
		return sql, nil
	case "hash":
		salt, err := p.Salt()
		return "sha256(" + datafile.QuoteText(salt) + " || " + name + ")", err
	case "first":
		return fmt.Sprintf("left(%s, %d)", name, m.N), nil
	case "last":
		return fmt.Sprintf("right(%s, %d)", name, m.N), nil
	case "email":
		return fmt.Sprintf("CASE WHEN %[1]s IS NULL THEN NULL WHEN strpos(%[1]s, '@') > 1 THEN left(%[1]s, 1) || '***' || substring(%[1]s, strpos(%[1]s, '@')) ELSE '***' END", name), nil
	}
	return null, nil
}

// MaskFits says why a mask cannot show a column of the type, or nil.
func MaskFits(t datafile.Type, m rbac.Mask) error {
	if m.TextOnly() && t.Name != "varchar" {
		return errs.New(errs.InvalidArgument, "the mask %s is for columns of text, and the column is %s", m.Type, t.SQL())
	}
	if m.Type == "constant" {
		if _, ok := constant(t, m.Value); !ok {
			return errs.New(errs.InvalidArgument, "the mask's constant is no value of type %s", t.SQL())
		}
	}
	return nil
}

// constant is a value of a document as a SQL constant of a type.
func constant(t datafile.Type, v any) (string, bool) {
	if v == nil {
		return "CAST(NULL AS " + t.SQL() + ")", true
	}
	if t.Name == "json" {
		return "", false
	}
	return datafile.Literal(t, fmt.Sprint(v)) // text, json.Number and bool print as they are written
}

// Rows gives the condition that the rows fulfil, never raising an error on any
// value; where it is unknown (NULL), the row is not one of them.
func (p Policy) Rows(rows rbac.Rows) (string, error) {
	if rows.All {
		return "true", nil
	}
	parts := make([]string, len(rows.Filters))
	for i, f := range rows.Filters {
		var err error
		if parts[i], err = p.condition(f); err != nil {
			return "", err
		}
	}
	return "(" + strings.Join(parts, " OR ") + ")", nil
}

func (p Policy) condition(f rbac.Filter) (string, error) {
	switch f := f.(type) {
	case rbac.And:
		return p.join(f, " AND ")
	case rbac.Or:
		return p.join(f, " OR ")
	case rbac.Not:
		c, err := p.condition(f.Of)
		return "(NOT " + c + ")", err
	case rbac.Compare:
		return p.compare(f)
	}
	return "", unfit()
}

func (p Policy) join(list []rbac.Filter, with string) (string, error) {
	parts := make([]string, len(list))
	for i, f := range list {
		var err error
		if parts[i], err = p.condition(f); err != nil {
			return "", err
		}
	}
	return "(" + strings.Join(parts, with) + ")", nil
}

func (p Policy) compare(f rbac.Compare) (string, error) {
	c, err := p.find(f.Column)
	if err != nil {
		return "", err
	}
	if c.Type.Nested() || c.Type.Name == "blob" {
		if len(f.Operands) != 1 || f.Operands[0].Kind != rbac.OperandNull {
			return "", unfit()
		}
	}
	left, typ := datafile.Quote(c.Name), c.Type
	like := strings.HasSuffix(f.Op, "LIKE")
	if like || typ.Name == "json" { // compared as text
		if typ.Name != "varchar" {
			left = "CAST(" + left + " AS VARCHAR)"
		}
		typ = datafile.Type{Name: "varchar"}
	}
	operands := make([]string, len(f.Operands))
	for i, o := range f.Operands {
		if operands[i], err = p.operand(typ, f.Op, o); err != nil {
			return "", err
		}
	}
	switch f.Op {
	case "IN", "NOT IN":
		return "(" + left + " " + f.Op + " (" + strings.Join(operands, ", ") + "))", nil
	case "BETWEEN", "NOT BETWEEN":
		return "(" + left + " " + f.Op + " " + operands[0] + " AND " + operands[1] + ")", nil
	}
	sql := left + " " + f.Op + " " + operands[0]
	if like && f.Escape != "" {
		sql += " ESCAPE " + datafile.QuoteText(f.Escape)
	}
	return "(" + sql + ")", nil
}

func (p Policy) operand(t datafile.Type, op string, o rbac.Operand) (string, error) {
	v := o.Value
	switch o.Kind {
	case rbac.OperandNull:
		return "NULL", nil
	case rbac.OperandColumn:
		return p.reference(t, o.Name)
	case rbac.OperandSession:
		var err error
		if v, err = p.Grant.Session(o.Name); err != nil {
			return "", err
		}
	}
	if b, ok := v.(bool); ok && strings.HasPrefix(op, "IS") {
		if t.Name != "boolean" {
			return "", unfit()
		}
		return strconv.FormatBool(b), nil
	}
	sql, ok := constant(t, v)
	if !ok {
		return "", unfit()
	}
	return sql, nil
}

// reference gives another column of the row. Only types that compare without a
// cast that could fail on a value are allowed.
func (p Policy) reference(t datafile.Type, name string) (string, error) {
	c, err := p.find(name)
	if err != nil {
		return "", err
	}
	if !t.Same(c.Type) && !(isNumber(t.Name) && isNumber(c.Type.Name)) || t.Nested() || t.Name == "blob" || t.Name == "json" {
		return "", unfit()
	}
	return datafile.Quote(c.Name), nil
}

// isNumber reports whether the type is an integer or a float: they compare with
// each other in a type that reaches all of both.
func isNumber(name string) bool {
	return strings.HasPrefix(name, "int") && name != "interval" || strings.HasPrefix(name, "uint") || strings.HasPrefix(name, "float")
}

// Constants gives the column and the constants of a comparison, as texts of the
// column's type, when it has nothing else: what files may be left out by.
func (p Policy) Constants(f rbac.Compare) (datafile.Column, []string, bool) {
	c, err := p.find(f.Column)
	if err != nil {
		return c, nil, false
	}
	var out []string
	for _, o := range f.Operands {
		v := o.Value
		switch o.Kind {
		case rbac.OperandColumn:
			return c, nil, false
		case rbac.OperandSession:
			if v, err = p.Grant.Session(o.Name); err != nil {
				return c, nil, false
			}
		}
		if _, isBool := v.(bool); isBool && strings.HasPrefix(f.Op, "IS") {
			return c, nil, false
		}
		out = append(out, fmt.Sprint(v))
	}
	return c, out, true
}

// VisibleColumns are those columns of a table that exist for a principal with
// the rules; current names them, by id, as the table has them now, or is nil.
func VisibleColumns(rules []rbac.Rule, cols []datafile.Column, current map[int64]string) []datafile.Column {
	names := make([]rbac.Column, len(cols))
	for i, c := range cols {
		names[i] = rbac.Column{Name: c.Name, Now: current[c.ID]}
	}
	var out []datafile.Column
	for _, n := range rbac.Visible(rules, names) {
		out = append(out, cols[datafile.FindColumn(cols, n.Name)])
	}
	return out
}
