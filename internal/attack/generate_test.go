package attack

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// column is what a random statement can name.
type column struct {
	name string
	kind kind
}

// source is an entry of a FROM clause.
type source struct {
	alias   string
	columns []column
}

// generator makes random SELECTs whose results do not depend on the order of
// rows, but for errors.
type generator struct {
	*rand.Rand
	tables []*table
	union  []column // of the SuperTable's own name; nil when it has none
	ctes   []source
	next   int
}

func (g *generator) pick(list ...string) string { return list[g.IntN(len(list))] }

func (g *generator) alias(prefix string) string {
	g.next++
	return fmt.Sprintf("%s%d", prefix, g.next)
}

// columnOf gives a column of the kind, or "".
func (g *generator) columnOf(scope []source, kinds ...kind) string {
	var found []string
	for _, s := range scope {
		for _, c := range s.columns {
			for _, k := range kinds {
				if c.kind == k {
					found = append(found, s.alias+"."+c.name)
				}
			}
		}
	}
	if len(found) == 0 {
		return ""
	}
	return found[g.IntN(len(found))]
}

func (g *generator) any(scope []source, depth int) (string, kind) {
	switch g.IntN(6) {
	case 0:
		return g.text(scope, depth), word
	case 1:
		return g.date(scope, depth), date
	case 2:
		return g.float(scope, depth), float
	case 3:
		return g.test(scope, depth), boolean
	}
	return g.integer(scope, depth), integer
}

// integer makes a whole number, a BIGINT. Of tame values none is large; some
// forms fail on odd ones: casts, overflow, a date out of range, JSON.
func (g *generator) integer(scope []source, depth int) string {
	if depth > 0 {
		a := func() string { return g.integer(scope, depth-1) }
		switch g.IntN(20) {
		case 0, 1:
			return "(" + a() + g.pick(" + ", " - ", " * ") + a() + ")"
		case 2:
			return "(" + a() + g.pick(" // ", " % ") + a() + ")"
		case 3:
			return "length(" + g.text(scope, depth-1) + ")"
		case 4:
			return "abs(" + a() + ")"
		case 5:
			return g.pick("year(", "month(", "day(", "dayofweek(") + g.date(scope, depth-1) + ")"
		case 6:
			return "CASE WHEN " + g.test(scope, depth-1) + " THEN " + a() + " ELSE " + a() + " END"
		case 7:
			return "coalesce(" + a() + ", " + a() + ")"
		case 8:
			return "datediff('day', " + g.date(scope, depth-1) + ", " + g.date(scope, depth-1) + ")"
		case 9:
			return "[" + a() + ", " + a() + "][1]"
		case 10:
			return "list_transform([" + a() + "], v -> v + 1)[1]"
		case 11:
			return "nullif(" + a() + ", " + a() + ")"
		case 12:
			return "greatest(" + a() + ", " + a() + ")"
		case 13, 14:
			return g.scalar(scope, depth-1)
		case 15:
			return "TRY(" + a() + ")"
		case 16:
			return "list_reduce([" + a() + ", " + a() + "], (v, w) -> v * w)"
		}
	}
	if form := g.integerColumn(scope); form != "" {
		return "CAST(" + form + " AS BIGINT)"
	}
	return fmt.Sprintf("CAST(%d AS BIGINT)", g.IntN(45))
}

// integerColumn makes a whole number of one column, or "".
func (g *generator) integerColumn(scope []source) string {
	switch g.IntN(10) {
	case 0, 1, 2:
		if c := g.columnOf(scope, number); c != "" {
			return g.pick("CAST("+c+" AS INTEGER)", c+"::SMALLINT", "TRY_CAST("+c+" AS BIGINT)", "CAST("+c+" AS TINYINT)",
				"list_transform(["+c+"], v -> v::INTEGER)[1]", "[v::SMALLINT FOR v IN ["+c+"]][1]", "list_filter(["+c+"], v -> v::INT > 1)[1]::INT")
		}
	case 3:
		if c := g.columnOf(scope, document); c != "" {
			return g.pick("json_extract("+c+", '$.k')", "("+c+"->>'k')", "json_array_length("+c+")")
		}
	case 4:
		if c := g.columnOf(scope, float); c != "" {
			return g.pick(c+"::INTEGER", c+"::TINYINT", "round("+c+")")
		}
	case 5:
		return fmt.Sprint(g.IntN(45))
	}
	if c := g.columnOf(scope, integer); c != "" {
		return g.pick(c, c, c, c, c+"::TINYINT", "-"+c, c+"::DECIMAL(4,1)", "CAST("+c+" AS DECIMAL(3,1))", "list_transform(["+c+"], v -> v::TINYINT)[1]", "("+c+" + 100::SMALLINT)", "("+c+" * 100)", "("+c+" - 100)")
	}
	if c := g.columnOf(scope, integerMade); c != "" {
		return "(" + c + " % 997)"
	}
	return ""
}

// scalar is a subquery of one value, often about the row around it.
func (g *generator) scalar(scope []source, depth int) string {
	from, inner := g.from(depth, scope)
	both := append(append([]source{}, inner...), scope...)
	q := "(SELECT " + g.pick("max", "min", "count") + "(" + g.integer(inner, depth) + ") FROM " + from
	if g.IntN(2) == 0 {
		q += " WHERE " + g.test(both, depth)
	}
	return q + ")"
}

func (g *generator) text(scope []source, depth int) string {
	if depth > 0 {
		a := func() string { return g.text(scope, depth-1) }
		switch g.IntN(12) {
		case 0:
			return g.pick("lower(", "upper(", "trim(", "reverse(", "md5(") + a() + ")"
		case 1:
			return "(" + a() + " || " + a() + ")"
		case 2:
			// Of places before the beginning the engine makes what it likes: see query's substrings.
			return "substr(" + a() + ", abs(" + g.integer(scope, depth-1) + "), 2)"
		case 3:
			return "CAST(" + g.integer(scope, depth-1) + " AS VARCHAR)"
		case 4:
			return "CASE WHEN " + g.test(scope, depth-1) + " THEN " + a() + " END"
		case 5:
			return "replace(" + a() + ", 'a', " + a() + ")"
		case 6:
			return "left(" + a() + ", " + g.integer(scope, depth-1) + ")"
		case 7:
			return "strftime(" + g.date(scope, depth-1) + ", '%Y')"
		case 8:
			if c := g.columnOf(scope, word); c != "" {
				return "regexp_extract('abc', " + c + ")"
			}
		}
	}
	if c := g.columnOf(scope, word, number, dateText, address, textMade); c != "" && g.IntN(6) > 0 {
		return c
	}
	return g.pick("'ab'", "'b'", "''", "'5'")
}

func (g *generator) float(scope []source, depth int) string {
	if depth > 0 {
		switch g.IntN(6) {
		case 0:
			return "(" + g.float(scope, depth-1) + g.pick(" + ", " - ", " * ") + g.float(scope, depth-1) + ")"
		case 1:
			return "(" + g.integer(scope, depth-1) + " / " + g.integer(scope, depth-1) + ")"
		case 2:
			return "round(" + g.float(scope, depth-1) + ", 1)"
		}
	}
	if c := g.columnOf(scope, float); c != "" && g.IntN(5) > 0 {
		return "CAST(" + g.pick(c, c, c, "CAST("+c+" AS DECIMAL(5,2))", "CAST("+c+" AS DECIMAL(4,1))", "sqrt("+c+")", "ln("+c+")", "("+c+" * "+c+")") + " AS DOUBLE)"
	}
	if c := g.columnOf(scope, floatMade); c != "" && g.IntN(3) > 0 {
		return c
	}
	return g.pick("1.5::DOUBLE", "2.0::DOUBLE", "0.25::DOUBLE", "3::DOUBLE")
}

func (g *generator) date(scope []source, depth int) string {
	if depth > 0 {
		switch g.IntN(8) {
		case 0:
			return "(" + g.date(scope, depth-1) + " + (" + g.integer(scope, depth-1) + " % 99)::INTEGER)"
		case 1:
			return "date_trunc('month', " + g.date(scope, depth-1) + ")::DATE"
		case 2:
			return "(" + g.date(scope, depth-1) + " + to_months((" + g.integer(scope, depth-1) + " % 99)::INTEGER))::DATE"
		case 3:
			return "make_date(2000 + " + g.integer(scope, depth-1) + " % 20, 1, 1)"
		}
	}
	if c := g.columnOf(scope, integer); c != "" && g.IntN(6) == 0 {
		return g.pick("(DATE '2020-01-01' + "+c+"::INTEGER)", "make_date(("+c+" + 1000)::INTEGER, 1, 1)", "(DATE '2020-01-01' + to_years("+c+"::INTEGER))::DATE")
	}
	if c := g.columnOf(scope, dateText); c != "" && g.IntN(3) == 0 {
		return g.pick("CAST("+c+" AS DATE)", "strptime("+c+", '%Y-%m-%d')::DATE", "list_transform(["+c+"], v -> v::DATE)[1]")
	}
	if c := g.columnOf(scope, date); c != "" && g.IntN(5) > 0 {
		return c
	}
	return g.pick("DATE '2020-05-05'", "DATE '2020-12-01'")
}

func (g *generator) test(scope []source, depth int) string {
	if depth > 0 {
		switch g.IntN(9) {
		case 0, 1:
			return "(" + g.test(scope, depth-1) + g.pick(" AND ", " OR ") + g.test(scope, depth-1) + ")"
		case 2:
			return "NOT " + g.test(scope, depth-1)
		case 3:
			return "CASE WHEN " + g.text(scope, 0) + " LIKE 'HI%' THEN error(" + g.text(scope, 0) + ") ELSE " + g.test(scope, depth-1) + " END"
		case 4, 5:
			from, inner := g.from(depth-1, scope)
			both := append(append([]source{}, inner...), scope...)
			if g.IntN(2) == 0 {
				return g.pick("", "NOT ") + "EXISTS (SELECT 1 FROM " + from + " WHERE " + g.test(both, depth-1) + ")"
			}
			return g.integer(scope, depth-1) + g.pick(" IN ", " NOT IN ") + "(SELECT " + g.integer(inner, depth-1) + " FROM " + from + ")"
		}
	}
	if g.IntN(4) == 0 {
		if t := g.plain(scope); t != "" {
			return t
		}
	}
	d := max(0, depth-1)
	compare := g.pick(" = ", " < ", " > ", " <= ", " >= ", " <> ", " IS DISTINCT FROM ")
	switch g.IntN(12) {
	case 0:
		return "(" + g.text(scope, d) + compare + g.text(scope, d) + ")"
	case 1:
		return "(" + g.date(scope, d) + compare + g.date(scope, d) + ")"
	case 2:
		return "(" + g.float(scope, d) + compare + g.float(scope, d) + ")"
	case 3:
		return "(" + g.text(scope, d) + g.pick(" LIKE ", " NOT LIKE ", " ILIKE ") + g.pick("'a%'", "'%b'", "'_'", "'HI%'", g.text(scope, 0)) + ")"
	case 4:
		e, _ := g.any(scope, d)
		return "(" + e + g.pick(" IS NULL", " IS NOT NULL") + ")"
	case 5:
		return "(" + g.integer(scope, d) + g.pick(" IN ", " NOT IN ") + "(1, 2, 3, 5, 7, " + g.integer(scope, d) + "))"
	case 6:
		return "(" + g.integer(scope, d) + " BETWEEN " + g.integer(scope, d) + " AND " + g.integer(scope, d) + ")"
	case 7:
		if c := g.columnOf(scope, boolean); c != "" {
			return c
		}
	case 8:
		if c := g.columnOf(scope, word); c != "" {
			return "regexp_matches('abc', " + c + ")"
		}
	case 9:
		if c := g.columnOf(scope, number); c != "" {
			return "(" + c + g.pick(" = ", " > ", " IN ") + "(" + g.pick("5", "17") + "))" // the text is cast
		}
	}
	return "(" + g.integer(scope, d) + compare + g.integer(scope, d) + ")"
}

// plain compares a column of a table with a constant: what the engine and the
// planner of files move furthest down.
func (g *generator) plain(scope []source) string {
	k := []kind{integer, number, word, address, float, date, dateText}[g.IntN(7)]
	c := g.columnOf(scope, k)
	if c == "" {
		return ""
	}
	value := map[kind]string{
		integer: g.pick("7", "7", "3", "3", "20", "0", "2147483647"), number: g.pick("'5'", "'17'", "'HI'"), word: g.pick("'ab'", "'a'", "'H'", "'x'"),
		address: g.pick("'H***@h'", "'h'", "'ann@h'"), float: g.pick("1.5", "2.25", "0"), date: g.pick("'2021-05-05'", "'2020-06-06'", "'0001-01-01'"), dateText: g.pick("'2021-05-05'", "'2020'"),
	}[k]
	if g.IntN(5) == 0 {
		return c + g.pick(" IS NULL", " IS NOT NULL", " IN ("+value+")", " NOT IN ("+value+")", " BETWEEN "+value+" AND "+value)
	}
	return c + g.pick(" = ", " = ", " <> ", " < ", " > ", " <= ", " >= ") + value
}

// from makes a FROM clause and what it offers; outer is what a lateral
// subquery may use.
func (g *generator) from(depth int, outer []source) (string, []source) {
	text, s := g.relation(depth)
	scope := []source{s}
	if depth == 0 || g.IntN(2) == 0 {
		return text, scope
	}
	right, rs := g.relation(depth - 1)
	both := append(scope[:1:1], rs)
	switch g.IntN(9) {
	case 0:
		return text + ", " + right, both
	case 1, 2:
		return text + g.pick(" LEFT JOIN ", " RIGHT JOIN ", " FULL JOIN ") + right + " ON " + g.equal(s, rs), both
	case 3:
		return text + g.pick(" SEMI JOIN ", " ANTI JOIN ") + right + " ON " + g.equal(s, rs), scope
	case 4:
		if common := shared(s, rs); common != "" {
			return text + g.pick(" JOIN ", " LEFT JOIN ") + right + " USING (" + common + ")", both
		}
	case 5:
		if len(outer) == 0 {
			inner, c := g.query(depth-1, append([]source{}, s))
			alias := g.alias("l")
			return text + ", LATERAL (" + inner + ") " + alias, append(both[:1:1], source{alias, c})
		}
	case 6:
		if a, b := g.columnOf([]source{s}, integer), g.columnOf([]source{rs}, integer); a != "" && b != "" {
			return text + " SEMI JOIN (SELECT * FROM " + right + " WHERE " + g.test([]source{rs}, depth-1) + ") " + rs.alias + " ON " + a + " = " + b, scope
		}
	}
	return text + " JOIN " + right + " ON " + g.equal(s, rs) + g.pick("", " AND "+g.test(both, depth-1)), both
}

func (g *generator) equal(a, b source) string {
	return "(" + g.integer([]source{a}, 0) + g.pick(" = ", " = ", " >= ") + g.integer([]source{b}, 0) + ")"
}

// shared gives the columns that both have, up to two.
func shared(a, b source) string {
	var out []string
	for _, x := range a.columns {
		for _, y := range b.columns {
			if x.name == y.name && len(out) < 2 && x.kind == y.kind {
				out = append(out, x.name)
			}
		}
	}
	return strings.Join(out, ", ")
}

// relation is a table, a subquery, a CTE or the whole SuperTable.
func (g *generator) relation(depth int) (string, source) {
	switch n := g.IntN(10); {
	case n < 2 && depth > 0:
		q, columns := g.query(depth-1, nil)
		alias := g.alias("q")
		return "(" + q + ") " + alias, source{alias, columns}
	case n == 2 && len(g.ctes) > 0:
		c := g.ctes[g.IntN(len(g.ctes))]
		alias := g.alias("w")
		return c.alias + " AS " + alias, source{alias, c.columns} // of kinds that are made
	case n == 3 && g.union != nil:
		alias := g.alias("u")
		return "lake " + alias, source{alias, g.union}
	}
	t := g.tables[g.IntN(len(g.tables))]
	alias := g.alias("t")
	var columns []column
	for _, f := range t.visible {
		columns = append(columns, column{f.name, f.kind})
	}
	return g.pick("", "lake.") + t.name + " " + alias, source{alias, columns}
}

// query makes a SELECT and tells its columns.
func (g *generator) query(depth int, outer []source) (string, []column) {
	from, scope := g.from(depth, outer)
	all := append(append([]source{}, scope...), outer...)
	where := ""
	if g.IntN(4) > 0 {
		where = " WHERE " + g.test(all, depth)
		if g.IntN(3) == 0 {
			where += " AND " + g.test(all, depth)
		}
	}
	if p := g.plain(scope); p != "" && g.IntN(3) == 0 {
		where = " WHERE " + p + g.pick("", " AND "+g.test(all, depth))
	}
	switch g.IntN(10) {
	case 0, 1, 2:
		return g.grouped(from, where, all, depth)
	case 3:
		return g.windowed(from, where, all, depth)
	case 4:
		if depth > 0 {
			return g.combined(depth)
		}
	}
	var items []string
	var out []column
	for range 1 + g.IntN(3) {
		e, k := g.any(all, depth)
		name := g.alias("c")
		items, out = append(items, e+" AS "+name), append(out, column{name, made(k)})
	}
	sql := "SELECT " + g.pick("", "", "DISTINCT ") + strings.Join(items, ", ") + " FROM " + from + where
	if where == "" && g.IntN(3) == 0 && out[0].kind == integerMade {
		sql += " WHERE " + out[0].name + " > 3" // an alias
	}
	return sql, out
}

func (g *generator) grouped(from, where string, scope []source, depth int) (string, []column) {
	key, k := g.any(scope, depth)
	a, b := g.alias("c"), g.alias("c")
	var agg string
	kind := integer
	switch g.IntN(8) {
	case 0:
		agg = "count(*)"
	case 1:
		agg = "count(DISTINCT " + g.integer(scope, depth) + ")"
	case 2:
		agg, kind = g.pick("min(", "max(")+g.text(scope, depth)+")", word
	case 3:
		c := g.text(scope, 0) // ordered by itself, so that the order is total
		agg, kind = "string_agg("+c+", ',' ORDER BY "+c+")", word
	case 4:
		agg, kind = g.pick("min(", "max(")+g.date(scope, depth)+")", date
	case 5:
		agg, kind = "avg("+g.integer(scope, 0)+")", float
	default:
		agg = g.pick("sum(", "min(", "max(") + g.integer(scope, depth) + ")"
	}
	if g.IntN(4) == 0 {
		agg += " FILTER (WHERE " + g.test(scope, depth) + ")"
	}
	sql := "SELECT " + key + " AS " + a + ", " + agg + " AS " + b + " FROM " + from + where + " GROUP BY " + g.pick(a, "ALL", "1")
	if g.IntN(3) == 0 {
		sql += " HAVING " + g.pick("count(*) > 1", "max("+g.integer(scope, depth)+") > 3", a+" IS NOT NULL", b+" IS NOT NULL")
	}
	return sql, []column{{a, made(k)}, {b, made(kind)}}
}

func (g *generator) windowed(from, where string, scope []source, depth int) (string, []column) {
	a, b := g.alias("c"), g.alias("c")
	key, k := g.any(scope, depth)
	over := " OVER (" + g.pick("", "PARTITION BY "+g.integer(scope, depth)+" ") + "ORDER BY " + g.integer(scope, depth) + ")"
	sql := "SELECT " + key + " AS " + a + ", " + g.pick("rank()", "dense_rank()", "count(*)", "sum("+g.integer(scope, 0)+")", "max("+g.integer(scope, depth)+")") + over + " AS " + b + " FROM " + from + where
	if g.IntN(2) == 0 {
		sql += " QUALIFY " + g.pick(b+" <= 3", b+" = 1 AND "+g.test(scope, depth))
	}
	return sql, []column{{a, made(k)}, {b, integerMade}}
}

// combined makes a set operation over two queries of one shape.
func (g *generator) combined(depth int) (string, []column) {
	name := g.alias("c")
	part := func() string {
		from, scope := g.from(depth-1, nil)
		return "SELECT " + g.integer(scope, depth) + " AS " + name + " FROM " + from + g.pick("", " WHERE "+g.test(scope, depth))
	}
	return part() + g.pick(" UNION ", " UNION ALL ", " EXCEPT ", " INTERSECT ", " UNION BY NAME ") + part(), []column{{name, integerMade}}
}

// statement makes a whole statement.
func (g *generator) statement() string {
	g.ctes, g.next = nil, 0
	var with []string
	for range g.IntN(3) {
		q, columns := g.query(1, nil)
		name := g.alias("w")
		with = append(with, name+" AS "+g.pick("", "MATERIALIZED ", "NOT MATERIALIZED ")+"("+q+")")
		g.ctes = append(g.ctes, source{name, columns})
	}
	sql, _ := g.query(1+g.IntN(2), nil)
	switch g.IntN(14) {
	case 0:
		sql = g.whole()
	case 1:
		sql += " ORDER BY ALL LIMIT " + fmt.Sprint(1+g.IntN(5))
	case 2:
		sql = "SELECT count(*) FROM (" + sql + ")"
	case 3:
		sql = "SELECT * FROM (" + sql + ") ORDER BY ALL"
	}
	if len(with) > 0 {
		sql = "WITH " + strings.Join(with, ", ") + " " + sql
	}
	return sql
}

// whole makes statements about all columns of a table.
func (g *generator) whole() string {
	t := g.tables[g.IntN(len(g.tables))]
	u := g.tables[g.IntN(len(g.tables))]
	last := t.visible[len(t.visible)-1].name
	return g.pick(
		"SELECT * FROM "+t.name,
		"SELECT t FROM "+t.name+" t",
		"SELECT max(COLUMNS(*)) FROM "+t.name,
		"SELECT * EXCLUDE ("+last+") FROM "+t.name,
		"SELECT COLUMNS('^[a-m]') FROM "+t.name+", (SELECT 1 AS a)",
		"SELECT * FROM "+t.name+" NATURAL JOIN "+u.name+" AS u",
		"SELECT count(*) FROM "+t.name+" TABLESAMPLE 100 PERCENT",
		"SELECT to_json(t) FROM "+t.name+" t",
		"UNPIVOT (SELECT id, "+last+"::VARCHAR AS "+last+" FROM "+t.name+") ON "+last,
		"PIVOT (SELECT id % 3 AS k, id FROM "+t.name+") ON k IN (0, 1, 2) USING sum(id)",
		"SELECT count(*) FROM lake",
		"SELECT id FROM lake",
		"SELECT id FROM "+t.name+" ORDER BY id LIMIT 50 PERCENT",
		"DESCRIBE "+t.name,
	)
}
