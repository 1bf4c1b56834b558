package query

import (
	"strconv"
	"strings"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/query/statement"
)

// pruner decides from statistics whether a file may hold a row for which a
// predicate is true. It is a pure function of both: every doubt keeps the file.
type pruner struct {
	columns []datafile.Column
}

// leaves lists the leaves whose statistics the predicate asks for.
func (p pruner) leaves(e statement.Expr) []int64 {
	seen := map[int64]bool{}
	var out []int64
	var walk func(statement.Expr)
	add := func(name string) {
		if c, ok := p.column(name); ok && !seen[c.ID] {
			seen[c.ID] = true
			out = append(out, c.ID)
		}
	}
	walk = func(e statement.Expr) {
		switch x := e.(type) {
		case statement.And:
			for _, c := range x {
				walk(c)
			}
		case statement.Or:
			for _, c := range x {
				walk(c)
			}
		case statement.Compare:
			add(x.Column)
		case statement.In:
			add(x.Column)
		case statement.Null:
			add(x.Column)
		}
	}
	walk(e)
	return out
}

func (p pruner) column(name string) (datafile.Column, bool) {
	i := datafile.FindColumn(p.columns, name)
	if i < 0 || p.columns[i].Type.Nested() {
		return datafile.Column{}, false
	}
	return p.columns[i], true
}

// mayHold reports whether the file may hold a row for which e is true.
func (p pruner) mayHold(f *catalog.File, e statement.Expr) bool {
	switch x := e.(type) {
	case statement.And:
		for _, c := range x {
			if !p.mayHold(f, c) {
				return false
			}
		}
	case statement.Or:
		for _, c := range x {
			if p.mayHold(f, c) {
				return true
			}
		}
		return false
	case statement.Compare:
		return p.compare(f, x.Column, x.Op, x.Value)
	case statement.In:
		if x.Not {
			return true
		}
		for _, v := range x.Values {
			if p.compare(f, x.Column, statement.Equal, v) {
				return true
			}
		}
		return false
	case statement.Null:
		return p.null(f, x)
	}
	return true
}

func (p pruner) stats(f *catalog.File, name string) (datafile.Column, datafile.Stats, bool) {
	c, ok := p.column(name)
	// A file of several snapshots has bounds of all its rows, so of those that
	// are there at an earlier one too.
	if !ok {
		return c, datafile.Stats{}, false
	}
	if c.Type.Name == "float64" && f.Written() < c.Begin { // other clients write a float32 in fewer digits: no bound for a float64
		return c, datafile.Stats{}, false
	}
	s, ok := f.Stats[c.ID]
	return c, s, ok
}

func (p pruner) null(f *catalog.File, x statement.Null) bool {
	_, s, ok := p.stats(f, x.Column)
	if !ok {
		return true
	}
	if x.Not {
		return s.ValueCount > 0
	}
	return s.NullCount > 0
}

// compare tests column op literal against the file's bounds.
func (p pruner) compare(f *catalog.File, name string, op statement.Op, lit statement.Literal) bool {
	c, s, ok := p.stats(f, name)
	if !ok {
		return true
	}
	if s.ValueCount == 0 {
		return false // nothing but NULL: no comparison is true
	}
	if s.Min == nil || s.Max == nil || s.ContainsNaN != nil && *s.ContainsNaN {
		return true
	}
	lo, ok1 := datafile.ParseBound(c.Type, *s.Min)
	hi, ok2 := datafile.ParseBound(c.Type, *s.Max)
	v, ok3 := p.bound(c.Type, lit)
	if !ok1 || !ok2 || !ok3 {
		return true
	}
	a, c1 := v.Compare(lo)
	b, c2 := v.Compare(hi)
	if !c1 || !c2 {
		return true
	}
	switch op {
	case statement.Equal:
		return a >= 0 && b <= 0
	case statement.Less:
		return a > 0
	case statement.LessOrEqual:
		return a >= 0
	case statement.Greater:
		return b < 0
	case statement.GreaterOrEqual:
		return b <= 0
	}
	return true
}

// bound turns a literal into a value that compares with the column's bounds
// as the engine would compare the two; ok is false where that is not sure.
func (p pruner) bound(t datafile.Type, lit statement.Literal) (datafile.Bound, bool) {
	typ, text := lit.Type, lit.Text
	number := strings.HasSuffix(typ, "INT") || typ == "INTEGER" || typ == "DECIMAL"
	switch t.Name {
	case "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "decimal":
		// Exact numbers compare exactly; a DOUBLE would round the column, a
		// text is cast to the column's type, with rounding.
		if number && fitsDecimal(t, typ, text) {
			return datafile.ParseBound(t, text)
		}
	case "float64":
		// The engine's own way from DECIMAL to DOUBLE is off by one unit in
		// the last place for some numbers of more than 15 digits.
		if (typ == "DECIMAL" || typ == "HUGEINT" || typ == "UHUGEINT") && len(text) > 15 {
			return datafile.Bound{}, false
		}
		if number || typ == "DOUBLE" {
			if f, err := strconv.ParseFloat(text, 64); err == nil {
				return datafile.FloatBound(f), true
			}
		}
	case "varchar":
		if typ == "VARCHAR" {
			return datafile.ParseBound(t, text)
		}
	case "uuid":
		if typ == "VARCHAR" && !lit.Typed || typ == "UUID" {
			if len(text) == 36 {
				return datafile.ParseBound(t, strings.ToLower(text))
			}
		}
	case "boolean":
		if typ == "BOOLEAN" {
			return datafile.ParseBound(t, text)
		}
	case "date", "timestamp", "timestamp_s", "timestamp_ms", "timestamp_ns", "timestamptz":
		if !lit.Typed {
			return timeLiteral(t, typ, text)
		}
	}
	return datafile.Bound{}, false
}

// fitsDecimal keeps out the cases in which the engine compares decimals in a
// type that holds neither side exactly.
func fitsDecimal(t datafile.Type, typ, text string) bool {
	if t.Name != "decimal" && typ != "DECIMAL" {
		return true
	}
	return len(text) <= 18 && (t.Name != "decimal" || t.Precision <= 18)
}

// timeLiteral takes dates and times in their ISO form only. A text compared
// with a DATE column is cast to a date, which cuts the time. The engine's zone
// is UTC: there a date or time without a zone is the one with it.
func timeLiteral(t datafile.Type, typ, text string) (datafile.Bound, bool) {
	if t.Name == "timestamptz" || typ == "TIMESTAMP WITH TIME ZONE" && (t.Name == "timestamp" || t.Name == "date") {
		if typ != "DATE" {
			text = strings.TrimSuffix(strings.TrimSuffix(text, "Z"), "+00")
		}
		if typ == "TIMESTAMP WITH TIME ZONE" {
			typ = "TIMESTAMP"
		}
	}
	switch {
	case typ == "DATE" && len(text) != 10:
		return datafile.Bound{}, false
	case typ == "VARCHAR" && t.Name == "date" && len(text) != 10:
		return datafile.Bound{}, false
	case typ != "DATE" && typ != "VARCHAR" && !strings.HasPrefix(typ, "TIMESTAMP"), typ == "TIMESTAMP WITH TIME ZONE":
		return datafile.Bound{}, false
	}
	if strings.Contains(text, ".") && (typ != "TIMESTAMP_NS" || t.Name != "timestamp_ns") {
		_, frac, _ := strings.Cut(text, ".")
		limit := map[string]int{"timestamp_s": 0, "timestamp_ms": 3}[t.Name]
		if t.Name == "timestamp" || t.Name == "timestamptz" || t.Name == "timestamp_ns" || t.Name == "date" {
			limit = 6
		}
		if len(frac) > limit {
			return datafile.Bound{}, false
		}
	}
	return datafile.ParseBound(datafile.Type{Name: "timestamp"}, text)
}

// harmless writes what e says of columns that compare with their constants
// without a cast of the column: conditions that cannot fail on any value. What
// it leaves out of an AND only makes the condition weaker.
func (p pruner) harmless(e statement.Expr) (string, bool) {
	switch x := e.(type) {
	case statement.And:
		var parts []string
		for _, c := range x {
			if s, ok := p.harmless(c); ok {
				parts = append(parts, s)
			}
		}
		return "(" + strings.Join(parts, " AND ") + ")", len(parts) > 0
	case statement.Or:
		parts := make([]string, len(x))
		for i, c := range x {
			var ok bool
			if parts[i], ok = p.harmless(c); !ok {
				return "", false
			}
		}
		return "(" + strings.Join(parts, " OR ") + ")", true
	case statement.Compare:
		return p.harmlessList(x.Column, " "+string(x.Op)+" ", []statement.Literal{x.Value}, "")
	case statement.In:
		if !x.Not {
			return p.harmlessList(x.Column, " IN (", x.Values, ")")
		}
	case statement.Null:
		if c, ok := p.column(x.Column); ok {
			return datafile.Quote(c.Name) + " IS " + map[bool]string{true: "NOT "}[x.Not] + "NULL", true
		}
	}
	return "", false
}

func (p pruner) harmlessList(column, before string, list []statement.Literal, after string) (string, bool) {
	c, ok := p.column(column)
	if !ok {
		return "", false
	}
	parts, ok := p.constants(c, list)
	if !ok {
		return "", false
	}
	return datafile.Quote(c.Name) + before + strings.Join(parts, ", ") + after, true
}

// constants writes literals as SQL of the column's own type; ok is false when
// the engine might compare one of them in another way than as that.
func (p pruner) constants(c datafile.Column, list []statement.Literal) (sql []string, ok bool) {
	for _, lit := range list {
		if _, sure := p.bound(c.Type, lit); !sure {
			return nil, false
		}
		part, ok := datafile.Literal(c.Type, lit.Text)
		if !ok {
			return nil, false
		}
		sql = append(sql, part)
	}
	return sql, true
}
