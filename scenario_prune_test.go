package supertable_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/testdb"
)

// pool is a column of the pruning test: its values in order as JSON, and for
// each the ways to write it in SQL. Files take windows of the values, so that
// their bounds differ.
type pool struct {
	name, typ string
	early     string // the type in the first files, when the column widened since
	values    []string
	literals  func(r *rand.Rand, i int) string
}

var longText = strings.Repeat("x", 300)

func pools() []pool {
	quoted := func(list []string) []string {
		out := make([]string, len(list))
		for i, s := range list {
			out[i] = `"` + s + `"`
		}
		return out
	}
	text := func(list []string) func(*rand.Rand, int) string {
		return func(r *rand.Rand, i int) string {
			lit := "'" + strings.ReplaceAll(list[i], "'", "''") + "'"
			return fmt.Sprintf([]string{"%s", "%s", "lower(%s)", "(%s || 'a')", "left(%s, 2)"}[r.IntN(5)], lit)
		}
	}
	either := func(list []string, forms ...string) func(*rand.Rand, int) string {
		return func(r *rand.Rand, i int) string { return fmt.Sprintf(forms[r.IntN(len(forms))], list[i]) }
	}
	ints := []string{"-9223372036854775808", "-9007199254740993", "-5", "-1", "0", "1", "2", "7", "100", "9007199254740991", "9007199254740992", "9007199254740993", "9007199254740994", "9223372036854775807"}
	small := []string{"-128", "-3", "-1", "0", "1", "2", "3", "50", "127"}
	unsigned := []string{"0", "1", "2", "9007199254740993", "9223372036854775807", "9223372036854775808", "18446744073709551614", "18446744073709551615"}
	decimals := []string{"-99999999999999.9999", "-1.5000", "-0.0001", "0.0000", "0.0001", "1.0000", "1.2500", "1.2501", "90071992547409.9301", "99999999999999.9999"}
	large := []string{"-9007199254740993.0000", "0.0000", "1.0000", "9007199254740993.0001", "9007199254740993.0002", "99999999999999999999999999.9999"}
	floats := []string{"-1e308", "-1.5", "-0.0", "0", "5e-324", "0.1", "0.5", "1", "1.5", "9007199254740992", "1e300"}
	texts := []string{"", " ", "A", "Aa", "B", "Z", "a", "aA", "b", "client1", "Client1", "é", "ß", "日本", "🚀", longText, longText + "a", longText + "b", longText + "é", "y"}
	dates := []string{"0001-01-01", "1969-12-31", "1970-01-01", "2023-12-31", "2024-01-01", "2024-02-29", "9999-12-31"}
	stamps := []string{"0001-01-01 00:00:00", "1969-12-31 23:59:59.999999", "1970-01-01 00:00:00", "2024-01-01 00:00:00", "2024-01-01 00:00:00.000001", "2024-01-01 12:00:00", "2024-02-29 00:00:00", "9999-12-31 23:59:59.999999"}
	zoned := make([]string, len(stamps))
	for i, at := range stamps {
		zoned[i] = at + "Z"
	}
	bools := []string{"false", "true"}
	return []pool{
		{"i", "int64", "", ints, either(ints, "%s", "'%s'", "%s.0", "%se0", "(%s)::BIGINT", "(%s + 0)", "('%s' || '')", "(%s)::BIGINT // 2")},
		{"n", "int8", "", small, either(small, "%s", "'%s'", "%s.5", "%s.0", "%se0", "(%s)::DECIMAL(5,1)", "(%s * 1.5)", "(%s / 2)", "round(%s / 2.0)")},
		{"u", "uint64", "", unsigned, either(unsigned, "%s", "'%s'", "%s.0", "%s::UBIGINT")},
		{"d", "decimal(18,4)", "", quoted(decimals), either(decimals, "%s", "'%s'", "%se0", "round(%s, 2)", "(%s / 3)", "sign(%s)")},
		{"big", "decimal(30,4)", "", quoted(large), either(large, "%s", "'%s'", "%se0")},
		{"f", "float64", "", append([]string{`"NaN"`}, floats...), either(append([]string{"'NaN'::DOUBLE"}, floats...), "%s", "(%s * 1.5)", "(%s)::DOUBLE", "sqrt(abs(%s))", "(%s / 3)")},
		{"s", "text", "", quoted(texts), text(texts)},
		{"dt", "date", "", quoted(dates), either(dates, "DATE '%s'", "'%s'", "TIMESTAMP '%s'", "TIMESTAMP '%s 12:00:00'", "'%s'::DATE", "(DATE '%s' + 1)", "DATE '%s' - INTERVAL 12 HOUR", "('%s' || '')", "TIMESTAMPTZ '%s'", "date_trunc('month', DATE '%s')")},
		{"ts", "timestamp", "", quoted(stamps), either(stamps, "TIMESTAMP '%s'", "'%s'", "'%s'::TIMESTAMP", "(TIMESTAMP '%s' + to_seconds(-1))", "TIMESTAMPTZ '%s'", "TIMESTAMPTZ '%s+00'", "date_trunc('day', TIMESTAMP '%s')", "'%s'::DATE", "current_date", "now() - INTERVAL 1 MONTH")},
		{"tz", "timestamptz", "", quoted(zoned), either(stamps, "TIMESTAMP '%s'", "'%s'", "'%s+00'", "'%sZ'", "TIMESTAMPTZ '%s'", "TIMESTAMPTZ '%s+01'", "'%s'::DATE", "(TIMESTAMPTZ '%s' - INTERVAL 1 DAY)", "current_timestamp", "to_timestamp(1704067200)")},
		{"ok", "bool", "", bools, either(bools, "%s")},
		{"wi", "int64", "int8", small, either(small, "%s", "'%s'", "%s.5", "%se0")},
		{"wf", "float64", "int32", small, either(small, "%s", "%s.0", "%s.5", "%se0")},
		{"wd", "decimal(14,4)", "decimal(6,1)", quoted(small), either(small, "%s", "'%s'", "%s.05", "%se0")},
		{"wt", "timestamp", "date", quoted(dates), either(dates, "DATE '%s'", "'%s'", "TIMESTAMP '%s'", "TIMESTAMP '%s 12:00:00'")},
	}
}

// predicates makes random conditions on the columns of one alias.
type predicates struct {
	r     *rand.Rand
	pools []pool
	alias string
}

func (p predicates) one(depth int) string {
	if depth > 0 && p.r.IntN(3) > 0 {
		a, b := p.one(depth-1), p.one(depth-1)
		switch p.r.IntN(4) {
		case 0:
			return "NOT (" + a + ")"
		case 1:
			return "(" + a + " OR " + b + ")"
		}
		return "(" + a + " AND " + b + ")"
	}
	c := p.pools[p.r.IntN(len(p.pools))]
	col := p.alias + c.name
	lit := func() string { return c.literals(p.r, p.r.IntN(len(c.values))) }
	ops := []string{"=", "<>", "<", "<=", ">", ">=", "=", "<", ">"}
	op := ops[p.r.IntN(len(ops))]
	switch p.r.IntN(12) {
	case 0:
		return col + " IS NULL"
	case 1:
		return col + " IS NOT NULL"
	case 2:
		return fmt.Sprintf("%s BETWEEN %s AND %s", col, lit(), lit())
	case 3:
		return fmt.Sprintf("%s IN (%s, %s)", col, lit(), lit())
	case 4:
		return fmt.Sprintf("%s NOT IN (%s, %s)", col, lit(), lit())
	case 5:
		return fmt.Sprintf("%s IS DISTINCT FROM %s", col, lit())
	case 6:
		return fmt.Sprintf("%s IS NOT DISTINCT FROM %s", col, lit())
	case 7:
		return lit() + " " + op + " " + col
	case 8:
		return fmt.Sprintf("%s NOT BETWEEN %s AND %s", col, lit(), lit())
	}
	return col + " " + op + " " + lit()
}

// statement gives the same question twice: over the tables, and over
// sub-selects that no condition gets below.
func (p predicates) statement() (pruned, whole string) {
	const fenced = "(SELECT * FROM t OFFSET 0)"
	two := func(form string) (string, string) {
		return fmt.Sprintf(form, "t", "t"), fmt.Sprintf(form, fenced, fenced)
	}
	if p.r.IntN(4) > 0 {
		cond := strings.ReplaceAll(p.one(3), "%", "%%")
		form := "SELECT id FROM %s x WHERE " + cond + " ORDER BY id"
		return fmt.Sprintf(form, "t"), fmt.Sprintf(form, fenced)
	}
	kind := []string{"JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "SEMI JOIN", "ANTI JOIN"}[p.r.IntN(6)]
	left, right := p, p
	left.alias, right.alias = "x.", "y."
	on := left.one(1)
	if p.r.IntN(2) == 0 {
		on = right.one(1)
	}
	cols, where := "x.id, y.id", "TRUE"
	switch p.r.IntN(3) {
	case 0:
		where = left.one(1)
	case 1:
		where = right.one(1)
	}
	if strings.HasPrefix(kind, "SEMI") || strings.HasPrefix(kind, "ANTI") {
		cols, where = "x.id, 0", left.one(1)
	}
	return two("SELECT " + cols + " FROM %s x " + kind + " %s y ON x.k = y.k AND " + on + " WHERE " + where + " ORDER BY 1 NULLS FIRST, 2 NULLS FIRST")
}

// TestPruningIsInvisible asks random questions of a table of several files,
// with values that statistics get wrong easily, and asks them again where no
// file can be left out: the answers are the same (R26, R27).
func TestPruningIsInvisible(t *testing.T) {
	rnd := random(t)
	s := testdb.Open(t).Session("main")
	cols := pools()
	fillPruned(t, s, rnd, cols)
	n := 600
	if testing.Short() {
		n = 150
	}
	var read, total, rows, refused int64
	p := predicates{rnd, cols, "x."}
	for range n {
		sql, fenced := p.statement()
		got, report, err := answer(t.Context(), s, sql, nil)
		want, _, err2 := answer(t.Context(), s, fenced, nil)
		if (err == nil) != (err2 == nil) {
			t.Fatalf("%s\nerrors: %v; without pruning: %v", sql, err, err2)
		}
		if err != nil {
			refused++
		}
		if got != want {
			t.Fatalf("%s\ngot:\n%s\nwithout pruning:\n%s\n%s", sql, got, want, testdb.Query(t, s, "select * from t order by id", nil))
		}
		read, total, rows = read+report.FilesRead, total+report.FilesTotal, rows+report.Rows
	}
	if read > total*9/10 || rows == 0 {
		t.Errorf("%d of %d files were read for %d rows: nothing was pruned, nothing was proved", read, total, rows)
	}
	t.Logf("%d questions, %d of them refused: %d of %d files read, %d rows", n, refused, read, total, rows)
}

// fillPruned writes ten files of rows out of windows of the pools, and then
// deletes some rows.
func fillPruned(t *testing.T, s *supertable.Session, rnd *rand.Rand, cols []pool) {
	t.Helper()
	id := 0
	for f := range 10 {
		spec := "id:int64,k:int64"
		for _, c := range cols {
			typ := c.typ
			if f < 5 && c.early != "" {
				typ = c.early
			}
			spec += "," + c.name + ":" + typ
		}
		from, width := make([]int, len(cols)), make([]int, len(cols))
		for k, c := range cols {
			width[k] = 1 + rnd.IntN(len(c.values)/3+1)
			from[k] = rnd.IntN(len(c.values) - width[k] + 1)
			if rnd.IntN(12) == 0 {
				width[k] = 0 // nothing but NULL
			}
		}
		var rows []string
		for range 1 + rnd.IntN(12) {
			row := fmt.Sprintf(`{"id":%d,"k":%d`, id, rnd.IntN(12))
			for k, c := range cols {
				v := "null"
				if width[k] > 0 && (f%2 == 0 || rnd.IntN(4) > 0) { // every other file has no NULLs
					v = c.values[from[k]+rnd.IntN(width[k])]
				}
				row += fmt.Sprintf(`,%q:%s`, c.name, v)
			}
			rows, id = append(rows, row+"}"), id+1
		}
		testdb.Write(t, s, "t", spec, "["+strings.Join(rows, ",")+"]", nil)
	}
	for range id / 5 {
		testdb.Write(t, s, "t", "id:int64", fmt.Sprintf(`[{"id":%d}]`, rnd.IntN(id)), &supertable.WriteOptions{Key: []string{"id"}, DeleteOnly: true})
	}
}
