package interop

import (
	"slices"
	"testing"

	"github.com/supertable-go/supertable"
)

func add(name, typ string, def *string) supertable.Alteration {
	return supertable.Alteration{Add: &supertable.AddColumn{Name: name, Type: typ, Default: def}}
}

func retype(name, typ string, cast bool) supertable.Alteration {
	return supertable.Alteration{Type: &supertable.ChangeColumnType{Name: name, Type: typ, Cast: cast}}
}

func renameColumn(from, to string) supertable.Alteration {
	return supertable.Alteration{RenameColumn: &supertable.RenameColumn{From: from, To: to}}
}

// schemas are the ways in which a table's columns change.
var schemas = []struct {
	name string
	do   func(l *lake)
}{
	{"columns added by writes", func(l *lake) {
		l.write("t", "SELECT 1 AS id, 'a' AS s", nil)
		l.write("t", "SELECT 2 AS id, 2.5::DOUBLE AS f", nil)
		l.write("t", "SELECT 3 AS id, true AS b, DATE '2026-01-01' AS d", key("id"))
		l.write("t", "SELECT 1 AS id, NULL::BLOB AS bin", key("id"))
	}},
	{"widened by writes", func(l *lake) {
		l.widened = true
		l.write("t", "SELECT 1::TINYINT AS id, 1::UTINYINT AS u, 1.5::FLOAT AS f, 1.5::DECIMAL(4,1) AS d, DATE '2026-01-01' AS at, 1::INTEGER AS fi", nil)
		l.write("t", "SELECT -300::SMALLINT AS id, 300::USMALLINT AS u, 1e300::DOUBLE AS f, 12345.67::DECIMAL(9,2) AS d, TIMESTAMP '2020-01-02 03:04:05' AS at, 0.5::DOUBLE AS fi", nil)
		l.write("t", "SELECT 3000000000::BIGINT AS id, 70000::UINTEGER AS u, -1e300::DOUBLE AS f, -99999999.125::DECIMAL(20,3) AS d, TIMESTAMP '2030-01-01' AS at, -7::DOUBLE AS fi", nil)
		l.write("t", "SELECT -1::BIGINT AS id, -1::BIGINT AS u, NULL AS f, NULL AS d, NULL AS at, 1::INTEGER AS fi", key("id"))
	}},
	{"widened by alter", func(l *lake) {
		l.widened = true
		l.write("t", "SELECT 100::SMALLINT AS n, TIMESTAMP_S '2026-01-01 00:00:01' AS s, TIMESTAMP_MS '2026-01-01 00:00:00.5' AS ms, 9.9::DECIMAL(2,1) AS d", nil)
		l.alter("t", retype("n", "BIGINT", false))
		l.compareHead() // the client keeps statistics, and would meet them with the new type
		l.alter("t", retype("s", "TIMESTAMP_MS", false))
		l.compareHead()
		l.alter("t", retype("ms", "TIMESTAMP", false))
		l.compareHead()
		l.alter("t", retype("d", "DECIMAL(12,4)", false))
		l.compareHead()
		l.write("t", "SELECT 5000000000 AS n, TIMESTAMP_MS '2027-01-01 00:00:00.25' AS s, TIMESTAMP '2027-01-01 00:00:00.123456' AS ms, 1234.5678::DECIMAL(12,4) AS d", nil)
	}},
	{"added with default", func(l *lake) {
		l.write("t", "SELECT i AS id FROM range(5) r(i)", nil)
		for _, c := range [][3]string{
			{"i", "INTEGER", "42"},
			{"s", "VARCHAR", "it''s"},
			{"d", "DECIMAL(10,2)", "-1.50"},
			{"b", "BOOLEAN", "true"},
			{"at", "TIMESTAMP", "2026-01-01 12:00:00"},
			{"dt", "DATE", "2026-02-03"},
			{"f", "DOUBLE", "2.5"},
			{"tz", "TIMESTAMPTZ", "2026-01-01 00:00:00+00"},
			{"u", "UUID", "00000000-0000-0000-0000-00000000000a"},
			{"tm", "TIME", "12:34:56"},
		} {
			l.alter("t", add(c[0], c[1], new("'"+c[2]+"'")))
		}
		l.alter("t", add("none", "BIGINT", nil))
		l.write("t", "SELECT 10::BIGINT AS id, 7 AS i, 'x' AS s", nil)
		l.write("t", "SELECT 1::BIGINT AS id, 100 AS i", key("id"))
		l.write("t", "SELECT 42 AS i, 'found by its default' AS s", key("i"))
	}},
	{"rename, drop and add again", func(l *lake) {
		l.write("t", "SELECT 1 AS id, 'a' AS s, 10 AS n", nil)
		l.alter("t", renameColumn("s", "text"))
		l.write("t", "SELECT 2 AS id, 'b' AS text, 20 AS n", nil)
		l.alter("t", supertable.Alteration{Drop: "n"})
		l.write("t", "SELECT 3 AS id, 'c' AS text", nil)
		l.alter("t", add("n", "VARCHAR", nil))
		l.write("t", "SELECT 4 AS id, 'd' AS text, 'forty' AS n", nil)
		l.alter("t", renameColumn("id", "key"))
		l.alter("t", renameColumn("text", "id"))
		l.write("t", "SELECT 1 AS key, 'z' AS id, 'one' AS n", key("key"))
	}},
	{"rename table", func(l *lake) {
		l.write("old", "SELECT 1 AS id", nil)
		l.alter("old", supertable.Alteration{Rename: "new"})
		l.write("new", "SELECT 2 AS id, 'b' AS s", nil)
		l.write("old", "SELECT 'another table' AS s", nil)
		l.write("new", "SELECT 1 AS id, 'a' AS s", key("id"))
		l.alter("new", supertable.Alteration{Rename: "NEW"})
		l.write("new", "SELECT 3 AS id, 'c' AS s", nil)
	}},
	{"type with cast", func(l *lake) {
		l.write("t", "SELECT i AS id, '' || i AS s FROM range(50) r(i)", nil)
		l.write("t", "SELECT i AS id, '' || (i * 2) AS s FROM range(10) r(i)", key("id"))
		l.alter("t", retype("s", "INTEGER", true))
		l.write("t", "SELECT 99::BIGINT AS id, 99 AS s", nil)
		l.alter("t", retype("s", "VARCHAR", true))
		l.write("t", "SELECT 100::BIGINT AS id, 'text again' AS s", nil)
	}},
	{"all NULL column becomes any type", func(l *lake) {
		l.write("t", "SELECT 1 AS id, NULL::INTEGER AS x, 'a' AS s", nil)
		l.write("t", "SELECT 2 AS id, 'text' AS x, 'b' AS s", nil)
		l.write("t", "SELECT 1 AS id, 'one' AS x, 'c' AS s", key("id"))
	}},
	{"nested columns grow", func(l *lake) {
		l.write("t", "SELECT 1 AS id, {'a': 1, 'b': 'x'} AS st, [1, 2] AS li, MAP {'k': 1} AS m, [{'p': 1}] AS ls", nil)
		l.write("t", "SELECT 2 AS id, {'a': 2, 'b': 'y', 'c': 2.5::DOUBLE} AS st, [NULL, 4] AS li, MAP {'k': NULL, 'l': 7} AS m, [{'p': 1, 'q': 'z'}, NULL] AS ls", nil)
		l.write("t", "SELECT 3 AS id, {'b': 'only b'} AS st, []::INT[] AS li, MAP {}::MAP(VARCHAR, INT) AS m, NULL::STRUCT(p INT, q VARCHAR)[] AS ls", nil)
		l.write("t", "SELECT 1 AS id, {'a': 9000000000} AS st, [5000000000] AS li", key("id"))
		l.write("t", "SELECT 4 AS id, NULL::STRUCT(a BIGINT) AS st, NULL::BIGINT[] AS li, {'deep': {'er': [{'x': 1}]}} AS d", nil)
		l.write("t", "SELECT 5 AS id, {'deep': {'er': [{'x': 2, 'y': 'new'}], 'z': DATE '2026-01-01'}} AS d", nil)
		l.alter("t", renameColumn("st", "renamed"))
		l.write("t", "SELECT 2 AS id, {'a': -2, 'd': true} AS renamed", key("id"))
	}},
	{"names that are hard", func(l *lake) {
		l.write("t", `SELECT 1 AS "file_index", 2 AS "filename", 3 AS "a b", 4 AS "ü""q", 5 AS "select", 6 AS "file_row_number", 7 AS "c1", 8 AS "rowid2"`, nil)
		l.write("t", `SELECT 1 AS "file_index", 20 AS "filename", 30 AS "a b", {'x y': 1, 'Z': 2} AS "s"`, key("file_index"))
		l.write("group", "SELECT 1 AS id", nil)
		l.write("Case", "SELECT 1 AS Id", nil)
		l.write("case", "SELECT 1 AS iD, 2 AS x", key("ID"))
	}},
}

func TestOurSchemasReadByDuckDB(t *testing.T) {
	t.Parallel()
	for _, w := range schemas {
		bothWays(t, w.name, func(_ *testing.T, l *lake) {
			w.do(l)
			l.compareAll()
		})
	}
}

// typed is a type and some values of it, as SQL.
type typed struct{ typ, list string }

// values are literals of every storable type, the last of each list the
// smallest that is not NULL in some sense that readers get wrong.
var values = []typed{
	{"BOOLEAN", "true, NULL, false"},
	{"TINYINT", "127, NULL, -128"},
	{"SMALLINT", "32767, NULL, -32768"},
	{"INTEGER", "2147483647, NULL, -2147483648"},
	{"BIGINT", "9223372036854775807, NULL, -9223372036854775808"},
	{"UTINYINT", "255, NULL, 0"},
	{"USMALLINT", "65535, NULL, 0"},
	{"UINTEGER", "4294967295, NULL, 0"},
	{"UBIGINT", "18446744073709551615, NULL, 9223372036854775808, 0"},
	{"FLOAT", "'nan', 'inf', '-inf', NULL, 1.1, -0.0, 3.4028235e38, 1e-45"},
	{"DOUBLE", "'nan', 'inf', '-inf', NULL, 0.1, -0.0, 1.7976931348623157e308, 5e-324"},
	{"FLOAT", "16777217, 0.1, -3e38"},
	{"DOUBLE", "9007199254740993, 1e300, -1e-300"},
	{"DECIMAL(4,1)", "999.9, NULL, -999.9"},
	{"DECIMAL(9,0)", "999999999, NULL, -999999999"},
	{"DECIMAL(18,6)", "999999999999.999999, NULL, -0.000001"},
	{"DECIMAL(38,10)", "'9999999999999999999999999999.9999999999', NULL, '-9999999999999999999999999999.9999999999', '0'"},
	{"DECIMAL(38,0)", "'99999999999999999999999999999999999999', NULL, '-1'"},
	{"DATE", "'2026-01-01', NULL, '0001-01-01', '9999-12-31', '1969-12-31', '0044-03-15 (BC)', 'infinity', '-infinity'"},
	{"TIME", "'00:00:00', NULL, '23:59:59.999999', '12:34:56.5'"},
	{"TIMESTAMP", "'2026-01-01 01:02:03.456789', NULL, '1677-01-01', '9999-12-31 23:59:59.999999', 'infinity', '-infinity'"},
	{"TIMESTAMP", "'1969-12-31 23:59:59.999999', '1970-01-01'"},
	{"TIMESTAMP_S", "'2026-01-01 01:02:03', NULL, '1900-01-01'"},
	{"TIMESTAMP_MS", "'2026-01-01 01:02:03.456', NULL, '1900-01-01 00:00:00.001'"},
	{"TIMESTAMP_NS", "'2026-01-01 01:02:03.456789123', NULL, '1900-01-01 00:00:00.000000001'"},
	{"TIMESTAMPTZ", "'2026-01-01 01:02:03.456789+05:30', NULL, '1900-01-01 00:00:00-11', 'infinity'"},
	{"VARCHAR", "'', NULL, 'ü€😀', '''quoted''', 'NULL', chr(1), 'trailing  '"},
	{"VARCHAR", "repeat('x', 300), repeat('ü', 200), repeat('a', 255) || 'é'"},
	{"VARCHAR", "repeat(chr(1114111), 100), 'a'"},
	{"VARCHAR", "'a' || chr(0) || 'b', NULL, 'c'"},
	{"JSON", `'{"a": [1, 2.50, null]}', NULL, '"text"', '1e400'`},
	{"BLOB", "'\\x00\\xFF'::BLOB, NULL, ''::BLOB, repeat('z', 300)::BLOB"},
	{"UUID", "'ffffffff-ffff-ffff-ffff-ffffffffffff', NULL, '00000000-0000-0000-0000-000000000000', '80000000-0000-0000-0000-000000000000'"},
	{"INTEGER[]", "[1, NULL, 3], NULL, [], [NULL]"},
	{"VARCHAR[][]", "[['a', NULL], NULL, []], NULL, [[]]"},
	{"STRUCT(a INTEGER, b VARCHAR)", "{'a': 1, 'b': 'x'}, NULL, {'a': NULL, 'b': NULL}"},
	{`STRUCT("a b" DOUBLE, n STRUCT(d DATE, l TIMESTAMPTZ[]))`, "{'a b': 'nan', 'n': {'d': '2026-01-01', 'l': ['2026-01-01 00:00:00+00']}}, NULL, {'a b': '1', 'n': NULL}"},
	{"MAP(VARCHAR, INTEGER)", "MAP {'k': 1, 'l': NULL}, NULL, MAP {}"},
	{"MAP(INTEGER, STRUCT(x UUID)[])", "MAP {1: [{'x': '00000000-0000-0000-0000-00000000000a'}], 2: NULL}, NULL"},
	{"FLOAT[]", "['nan', '1.5'], ['inf']"},
}

// TestOurTypesReadByDuckDB writes the values of each type, all in one file, one
// per file, and only NULLs, and deletes some again.
func TestOurTypesReadByDuckDB(t *testing.T) {
	t.Parallel()
	n := 0
	for some := range slices.Chunk(values, 11) {
		bothWays(t, name("types ", n), func(_ *testing.T, l *lake) {
			l.thorough = true
			l.typesOfOurs(some)
		})
		n++
	}
}

func (l *lake) typesOfOurs(list []typed) {
	l.t.Helper()
	for i, v := range list {
		table := name("t", i)
		from := "SELECT unnest([" + v.list + "]::" + v.typ + "[]) AS v"
		l.write(table, "SELECT (row_number() OVER ())::INTEGER AS id, v FROM ("+from+")", nil)
		l.write(table, "SELECT 100 AS id, NULL::"+v.typ+" AS v", nil)
		l.write(table, "SELECT 101 AS id, v FROM ("+from+") LIMIT 1", nil)
		l.write(table, "SELECT 1 AS id, NULL::"+v.typ+" AS v", key("id"))
		if !nested(spell(v.typ)) {
			l.write(table, "SELECT 200 AS id, v FROM ("+from+")", key("v"))
		}
	}
	l.compareHead()
	for _, v := range list {
		l.types[v.typ] = oursToDuckDB
		if l.inside {
			l.types[v.typ] = typeOursInlined
		}
	}
}
