package source

import (
	"slices"
	"strconv"
	"strings"

	"github.com/supertable-go/supertable/internal/errs"
)

// united is a column of all parts together.
type united struct {
	name string
	typ  *sqlType
	from *part // the part that fixed the type
}

// unite makes the SELECT over all parts: columns meet by name, types widen
// without loss.
func (r *Relation) unite() error {
	var cols []*united
	at := map[string]*united{}
	for _, p := range r.parts {
		for _, c := range p.columns {
			u := at[fold(c.name)]
			if u == nil {
				u = &united{c.name, c.typ, p}
				at[fold(c.name)] = u
				cols = append(cols, u)
				continue
			}
			t := widen(u.typ, c.typ)
			if t == nil {
				return errs.New(errs.TypeConflict, "column %s is %s in %s and %s in %s: cast one of the inputs",
					quoteShort(u.name), oneLine(u.typ.String(), 80), u.from.in.name, oneLine(c.typ.String(), 80), p.in.name)
			}
			if !t.same(u.typ) {
				u.typ, u.from = t, p
			}
		}
	}
	var names []string
	for _, u := range cols {
		u.typ = u.typ.withoutNull(true)
		r.Columns = append(r.Columns, Column{u.name, u.typ.String()})
		names = append(names, u.name)
	}
	if err := checkNames(r.parts[0].in.name, names); err != nil {
		return err
	}
	selects := make([]string, len(r.parts))
	for i, p := range r.parts {
		selects[i] = p.selectAs(cols)
		if p.rows < 0 || r.Rows < 0 {
			r.Rows = -1
		} else {
			r.Rows += p.rows
		}
		r.OneShot = r.OneShot || p.function == ""
	}
	r.SQL = strings.Join(selects, " UNION ALL ")
	return nil
}

// selectAs is the SELECT over the part that yields the united columns.
func (p *part) selectAs(cols []*united) string {
	have := make(map[string]partColumn, len(p.columns))
	for _, c := range p.columns {
		have[fold(c.name)] = c
	}
	items := make([]string, len(cols))
	for i, u := range cols {
		c, ok := have[fold(u.name)]
		switch {
		case !ok || c.typ.is(tNull):
			items[i] = "NULL AS " + ident(u.name)
			if !u.typ.is(tNull) {
				items[i] = "CAST(NULL AS " + u.typ.String() + ") AS " + ident(u.name)
			}
		case !c.typ.same(u.typ):
			items[i] = p.cast(c, u.typ, i) + " AS " + ident(u.name)
		case c.expr == ident(u.name):
			items[i] = c.expr
		default:
			items[i] = c.expr + " AS " + ident(u.name)
		}
	}
	return "SELECT " + strings.Join(items, ", ") + " FROM " + p.source()
}

// outOfRange starts the message of the engine's error about a value that the
// united type does not reach; the number of its column and the value follow.
const outOfRange = "supertable:range:"

// cast is the expression of a column in a wider type. Dates reach further than
// timestamps, and those further than the ones in nanoseconds.
func (p *part) cast(c partColumn, to *sqlType, column int) string {
	cast := "CAST(" + c.expr + " AS " + to.String() + ")"
	fits := ""
	switch {
	case c.typ.is("DATE"):
		fits = "TRY_CAST(" + c.expr + " AS " + to.String() + ") IS NOT NULL"
	case to.is("TIMESTAMP_NS"):
		micros := "CAST(" + c.expr + " AS TIMESTAMP)"
		fits = "NOT isfinite(" + micros + ") OR " + micros + " BETWEEN TIMESTAMP '1677-09-22 00:00:00' AND TIMESTAMP '2262-04-11 23:47:16.854775'"
	default:
		return cast
	}
	return "CASE WHEN " + c.expr + " IS NULL THEN NULL WHEN " + fits + " THEN " + cast +
		" ELSE error(" + literal(outOfRange+strconv.Itoa(column)+":") + " || CAST(" + c.expr + " AS VARCHAR)) END"
}

// ladders are the types that widen into each other without loss, each into
// those behind it.
var ladders = [][]string{
	{"TINYINT", "SMALLINT", "INTEGER", "BIGINT"},
	{"UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"},
	{"UTINYINT", "SMALLINT", "INTEGER", "BIGINT"},
	{"USMALLINT", "INTEGER", "BIGINT"},
	{"UINTEGER", "BIGINT"},
	{"FLOAT", "DOUBLE"},
	{"TINYINT", "SMALLINT", "INTEGER", "DOUBLE"},
	{"UTINYINT", "USMALLINT", "UINTEGER", "DOUBLE"},
	{"DATE", "TIMESTAMP"},
	{"TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP", "TIMESTAMP_NS"},
}

// wider maps a type to what it widens into, nearest first.
var wider = func() map[string][]string {
	m := map[string][]string{}
	for _, l := range ladders {
		for i, from := range l {
			m[from] = append(m[from], l[i+1:]...)
		}
	}
	return m
}()

// widen is the narrowest type that holds the values of both, nil when no type
// does without loss.
func widen(a, b *sqlType) *sqlType {
	switch {
	case a.same(b), b.is(tNull):
		return a
	case a.is(tNull):
		return b
	case a.is(tDecimal) && b.is(tDecimal):
		scale, digits := max(a.scale, b.scale), max(a.prec-a.scale, b.prec-b.scale)
		if scale+digits > 38 {
			return nil
		}
		return &sqlType{name: tDecimal, prec: scale + digits, scale: scale}
	case a.is(tList) && b.is(tList):
		if e := widen(a.elem, b.elem); e != nil {
			return &sqlType{name: tList, elem: e}
		}
		return nil
	case a.is(tMap) && b.is(tMap):
		k, e := widen(a.key, b.key), widen(a.elem, b.elem)
		if k == nil || e == nil {
			return nil
		}
		return &sqlType{name: tMap, key: k, elem: e}
	case a.is(tStruct) && b.is(tStruct):
		return widenFields(a, b)
	}
	return widenPlain(a, b)
}

func widenPlain(a, b *sqlType) *sqlType {
	up := append([]string{a.name}, wider[a.name]...)
	for _, t := range up {
		if t == b.name {
			return plain(t)
		}
		if slices.Contains(wider[b.name], t) {
			return plain(t)
		}
	}
	return nil
}

func widenFields(a, b *sqlType) *sqlType {
	t := &sqlType{name: tStruct, field: append([]typeField(nil), a.field...)}
	for _, f := range b.field {
		known := false
		for i, g := range t.field {
			if fold(g.name) != fold(f.name) {
				continue
			}
			known = true
			if t.field[i].typ = widen(g.typ, f.typ); t.field[i].typ == nil {
				return nil
			}
		}
		if !known {
			t.field = append(t.field, f)
		}
	}
	return t
}
