package supertable_test

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/supertable-go/supertable"
)

// alter is a change of a table's schema on the model; a kind other than ""
// means that nothing changed.
func (m *model) alter(name string, a supertable.Alteration) string {
	t := m.table(name)
	if t == nil {
		return "not_found"
	}
	fresh := t.clone()
	operation, kind, changed := "alter", "", true
	switch {
	case a.Rename != "":
		operation = "rename"
		if other := m.table(a.Rename); other != nil && (other != t || other.name == a.Rename) {
			return "already_exists"
		}
		fresh.name = a.Rename
	case a.Add != nil:
		kind = m.addColumn(fresh, a.Add)
	case a.Drop != "":
		kind = fresh.dropColumn(a.Drop)
	case a.RenameColumn != nil:
		changed, kind = fresh.renameColumn(a.RenameColumn.From, a.RenameColumn.To)
	default:
		changed, kind = m.changeType(fresh, a.Type)
	}
	if kind != "" || !changed {
		return kind
	}
	fresh.version++
	m.replace(t, fresh)
	m.commit(fresh, operation, 0, 0)
	return ""
}

var modelTypes = map[string]string{"INTEGER": "int32", "BIGINT": "int64", "DOUBLE": "float64", "VARCHAR": "text"}

func (m *model) addColumn(t *modelTable, a *supertable.AddColumn) string {
	if t.column(a.Name) != nil {
		return "already_exists"
	}
	m.ids++
	c := &modelColumn{id: m.ids, name: a.Name, typ: modelTypes[a.Type]}
	if a.Default != nil {
		c.def, _ = parseText(strings.Trim(*a.Default, "'"), c.typ)
	}
	for _, r := range t.rows {
		r[c.id] = c.def
	}
	t.columns = append(t.columns, c)
	return ""
}

func (t *modelTable) dropColumn(name string) string {
	for i, c := range t.columns {
		if strings.EqualFold(c.name, name) && len(t.columns) > 1 {
			t.columns = append(t.columns[:i:i], t.columns[i+1:]...)
			return ""
		}
	}
	return "invalid_argument"
}

func (t *modelTable) renameColumn(from, to string) (changed bool, kind string) {
	c := t.column(from)
	if c == nil {
		return false, "invalid_argument"
	}
	if other := t.column(to); other != nil && other != c {
		return false, "already_exists"
	}
	changed = c.name != to
	c.name = to
	return changed, ""
}

// changeType widens a column, or with Cast gives every value another type
// under a new id.
func (m *model) changeType(t *modelTable, a *supertable.ChangeColumnType) (changed bool, kind string) {
	c := t.column(a.Name)
	if c == nil {
		return false, "invalid_argument"
	}
	to := modelTypes[a.Type]
	if !a.Cast {
		typ, ok := unify(c.typ, to)
		if !ok || typ != to {
			return false, "type_conflict"
		}
		changed = c.typ != to
		t.retype(c, to)
		return changed, ""
	}
	m.ids++
	was := c.id
	*c = modelColumn{id: m.ids, name: c.name, typ: to}
	for _, r := range t.rows {
		v, ok := castValue(r[was], to)
		if !ok {
			return false, "type_conflict"
		}
		r[c.id] = v
		c.ever = c.ever || v != nil
	}
	return true, ""
}

// castValue is convert, and text to and from whole numbers.
func castValue(v any, to string) (any, bool) {
	if s, ok := v.(string); ok && to != "text" {
		return parseText(s, to)
	}
	if n, ok := v.(int64); ok && to == "text" {
		return fmt.Sprint(n), true
	}
	return convert(v, to)
}

func parseText(s, to string) (any, bool) {
	switch to {
	case "text":
		return s, true
	case "float64":
		f, err := strconv.ParseFloat(s, 64)
		return f, err == nil
	}
	n, err := strconv.ParseInt(s, 10, map[string]int{"int32": 32, "int64": 64}[to])
	return n, err == nil
}

func (m *model) drop(name string) bool {
	for i, t := range m.tables {
		if strings.EqualFold(t.name, name) {
			m.tables = append(m.tables[:i:i], m.tables[i+1:]...)
			t.version++
			m.commit(t, "drop", 0, int64(len(t.rows)))
			return true
		}
	}
	return false
}
