package statement_test

import (
	"strings"
	"testing"

	"github.com/supertable-go/supertable/query/statement"
)

// extremes are values of each type that are most likely to make something fail.
var extremes = map[string][]string{
	"i":    {"2147483647", "-2147483648", "0", "-1"},
	"big":  {"9223372036854775807", "-9223372036854775808", "0", "9007199254740993"},
	"ub":   {"18446744073709551615", "0", "9223372036854775808"},
	"huge": {"170141183460469231731687303715884105727", "-170141183460469231731687303715884105728", "0"},
	"d":    {"'inf'", "'-inf'", "'nan'", "1.7976931348623157e308", "-1.7976931348623157e308", "5e-324", "-0.0"},
	"f":    {"'inf'", "'-inf'", "'nan'", "3.4028235e38", "-3.4028235e38", "1e-45"},
	"dec":  {"999999999999999.999", "-999999999999999.999", "0.001"},
	"wide": {"999999999999999999999999999999999999.99", "-999999999999999999999999999999999999.99", "0.01"},
	"s": {
		"''", "'%'", `'\'`, `'%\'`, "'_'", "'['", "'('", "' '", "'é'", "'🦆'", "'İ'", "'ﬁ'", "'1e999'", "'hidden'", "chr(0)", "'a' || chr(0) || 'b'", "repeat('x', 5000)",
		"'2024-13-01'", "'infinity'", "chr(1114111)", "'e' || chr(769)",
	},
	"day": {"'5881580-07-10'", "'5877642-06-25 (BC)'", "'infinity'", "'-infinity'", "'1970-01-01'"},
	"ts":  {"'294247-01-10 04:00:54.775806'", "'290309-12-22 (BC) 00:00:00'", "'infinity'", "'-infinity'", "'epoch'"},
	"tz":  {"'294247-01-10 04:00:54.775806+00'", "'290309-12-22 (BC) 00:00:00+00'", "'infinity'", "'-infinity'", "'epoch'"},
	"ok":  {"true", "false"},
	"id":  {"'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"},
	"bin": {"''", `'\xFF\x00'`, "'abc'"},
	"tm":  {"'24:00:00'", "'00:00:00'", "'23:59:59.999999'"},
}

// harmlessForms are ways to use every function and operator that is called
// harmless: $a and $b are columns or constants.
var harmlessForms = []string{
	"$a = $b", "$a <> $b", "$a < $b", "$a <= $b", "$a > $b", "$a >= $b", "$a IS DISTINCT FROM $b", "$a IS NOT DISTINCT FROM $b",
	"$a IN ($b, $b)", "$a NOT IN ($b)", "$a BETWEEN $b AND $b", "$a NOT BETWEEN $b AND $a", "$a IS NULL", "$a IS NOT NULL", "NOT ($a = $b)", "$a = $b AND $b = $a", "$a = $b OR $b < $a",
	"$a LIKE $b", "$a NOT LIKE $b", "$a ILIKE $b", "$a NOT ILIKE $b", "$a ^@ $b", "contains($a, $b)", "starts_with($a, $b)", "ends_with($a, $b)", "prefix($a, $b)", "suffix($a, $b)",
	"lower($a) = $b", "upper($a) = $b", "lcase($a) = $b", "ucase($a) = $b", "trim($a) = $b", "ltrim($a) = $b", "rtrim($a) = $b",
	"length($a) = $b", "len($a) = $b", "strlen($a) = $b", "char_length($a) = $b", "character_length($a) = $b",
	"$a + $b > 1", "$a - $b > 1", "$a * $b > 1", "$a + $b = $a * $b", "($a + $b) * ($a - $b) < $a",
	"length(lower($a)) < length(trim($b))", "lower($a) LIKE upper($b)",
}

// aggregated are forms that stand in HAVING.
var aggregatedForms = []string{
	"min($a) = $c", "max($a) > $c", "any_value($a) <> $c", "first($a) = $c", "last($a) = $c", "arbitrary($a) = $c", "count($a) > $c", "count(*) > $c", "avg($a) > $c", "min(length($a)) > $c",
}

var constants = []string{
	"1", "-1", "2147483648", "99999999999999999999", "0.001", "1.5", "1e300", "''", "'x'", "'%'", `'\'`, "'2024-01-01'", "'2024-01-01 10:00:00'", "'true'", "true", "null",
	"date '2024-01-01'", "timestamp '2024-01-01'", "timestamptz '2024-01-01'", "300::usmallint", "7::tinyint", "12345678901234567890123456789012345.678", "'24:00:00'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
}

// TestHarmlessForms takes each function and operator that is called harmless,
// with columns of all types and many constants, and looks for a value on which
// the engine raises an error. Every form must have been harmless somewhere.
func TestHarmlessForms(t *testing.T) {
	columns := make([]string, len(types))
	longest := 0
	for i, c := range types {
		columns[i] = c.Name + " " + c.Type
		longest = max(longest, len(extremes[c.Name]))
	}
	mustExec(t, "CREATE TABLE m ("+strings.Join(columns, ", ")+")")
	defer mustExec(t, "DROP TABLE m")
	for k := range longest + 1 {
		row := make([]string, len(types))
		for i, c := range types {
			row[i] = "NULL"
			if k < len(extremes[c.Name]) {
				row[i] = "CAST(" + extremes[c.Name][k] + " AS " + c.Type + ")"
			}
		}
		mustExec(t, "INSERT INTO m VALUES ("+strings.Join(row, ", ")+")")
	}
	all := func(int, *statement.TableRef) []statement.Column { return types }
	tried := map[string]int{}
	try := func(form, sql string) {
		s, _, err := splice(sql)
		if err != nil {
			t.Fatalf("%s\n%s", sql, message(err))
		}
		bound, err := s.Bind(all, reckoned(t, s, nil))
		if err != nil || bound.MayRaise {
			return
		}
		tried[form]++
		_, _, err = rows(sql)
		if err == nil {
			return
		}
		// What fails without any row as well, does not fail on a value.
		if _, _, without := rows(strings.ReplaceAll(sql, "FROM m", "FROM (FROM m LIMIT 0)")); without == nil {
			t.Errorf("%s\n%v", sql, err)
		}
	}
	for k, form := range harmlessForms {
		for _, a := range types {
			var operands []string
			for i, c := range constants {
				if full := form == "$a = $b" || form == "$a < $b"; full || (i+k)%4 == 0 { // the others meet a part of the constants each
					operands = append(operands, c)
				}
			}
			for _, b := range types {
				operands = append(operands, "y."+b.Name)
			}
			if !strings.Contains(form, "$b") {
				operands = operands[:1]
			}
			for _, b := range operands {
				test := strings.NewReplacer("$a", "x."+a.Name, "$b", b).Replace(form)
				from := " FROM m x"
				if strings.HasPrefix(b, "y.") {
					from += ", (SELECT * FROM m) y"
				}
				try(form, "SELECT count(*)"+from+" WHERE "+test)
			}
			if testing.Short() && k%4 > 0 {
				break
			}
		}
	}
	for _, form := range aggregatedForms {
		for _, a := range types {
			for _, c := range constants {
				test := strings.NewReplacer("$a", a.Name, "$c", c).Replace(form)
				try(form, "SELECT ok FROM m GROUP BY ok HAVING "+test)
			}
		}
	}
	n := 0
	for _, form := range append(harmlessForms, aggregatedForms...) {
		if n += tried[form]; tried[form] == 0 && !testing.Short() {
			t.Errorf("%s was harmless nowhere: the form tests nothing", form)
		}
	}
	t.Logf("%d harmless statements", n)
}
