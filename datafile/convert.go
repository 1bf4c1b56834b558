package datafile

import (
	"fmt"
	"strings"
)

// ConvertMark starts the message of the engine error that a checked
// conversion raises; what follows is the value as text.
const ConvertMark = "supertable:convert:"

// Convert gives the SQL that turns expr of type from into type to, node by
// node. Fields are matched by name when byName, else by field id; fields that
// from lacks become NULL. Every conversion that could lose something is
// checked: the statement fails with ConvertMark, the tag and the value.
func Convert(expr string, from, to Type, byName bool, tag string) string {
	c := converter{byName: byName, tag: tag}
	return c.convert(expr, from, to, 0)
}

type converter struct {
	byName bool
	tag    string
}

func (c converter) convert(expr string, from, to Type, depth int) string {
	switch {
	case from.Name == "null":
		return "CAST(NULL AS " + to.SQL() + ")"
	case c.identical(from, to):
		return expr
	case to.Name == "list" && from.Name == "list":
		v := fmt.Sprintf("x%d", depth)
		return fmt.Sprintf("list_transform(%s, lambda %s: %s)", expr, v, c.convert(v, from.Fields[0].Type, to.Fields[0].Type, depth+1))
	case to.Name == "map" && from.Name == "map":
		v := fmt.Sprintf("x%d", depth)
		return fmt.Sprintf("map_from_entries(list_transform(map_entries(%s), lambda %s: struct_pack(key := %s, value := %s)))", expr, v,
			c.convert(v+".key", from.Fields[0].Type, to.Fields[0].Type, depth+1),
			c.convert(v+".value", from.Fields[1].Type, to.Fields[1].Type, depth+1))
	case to.Name == "struct" && from.Name == "struct":
		return c.structure(expr, from, to, depth)
	}
	return c.scalar(expr, from, to)
}

// identical reports whether the value needs no work: same shape, same names,
// and, when matching by id, same ids.
func (c converter) identical(from, to Type) bool {
	if from.Name != to.Name || from.Precision != to.Precision || from.Scale != to.Scale || len(from.Fields) != len(to.Fields) {
		return false
	}
	for i, f := range from.Fields {
		t := to.Fields[i]
		if f.Name != t.Name || !c.byName && f.ID != t.ID || !c.identical(f.Type, t.Type) {
			return false
		}
	}
	return true
}

func (c converter) structure(expr string, from, to Type, depth int) string {
	parts := make([]string, len(to.Fields))
	for i, f := range to.Fields {
		v := "CAST(NULL AS " + f.Type.SQL() + ")"
		if j := c.find(from.Fields, f); j >= 0 {
			v = c.convert(fmt.Sprintf("(%s).%s", expr, Quote(from.Fields[j].Name)), from.Fields[j].Type, f.Type, depth+1)
		}
		parts[i] = Quote(f.Name) + " := " + v
	}
	return fmt.Sprintf("CASE WHEN %s IS NULL THEN NULL ELSE struct_pack(%s) END", expr, strings.Join(parts, ", "))
}

func (c converter) find(fs []Field, f Field) int {
	if c.byName {
		return fieldIndex(fs, f.Name)
	}
	for i := range fs {
		if fs[i].ID == f.ID {
			return i
		}
	}
	return -1
}

func (c converter) scalar(expr string, from, to Type) string {
	target := to.SQL()
	if rank(instants, from.Name) >= 0 && rank(instants, to.Name) >= 0 && !(c.fits(from) && Widens(from, to)) {
		return c.instant(expr, from, to)
	}
	if Widens(from, to) {
		return fmt.Sprintf("CAST(%s AS %s)", expr, target)
	}
	back := fmt.Sprintf("TRY_CAST(TRY_CAST(%s AS %s) AS %s) = %s", expr, target, from.SQL(), expr)
	if isInt(from.Name) && strings.HasPrefix(to.Name, "float") { // 2^63 as a float does not come back as int64: compare wider
		back = fmt.Sprintf("CAST(CAST(%s AS %s) AS HUGEINT) = CAST(%s AS HUGEINT)", expr, target, expr)
	}
	return fmt.Sprintf("CASE WHEN %s IS NULL THEN NULL WHEN %s THEN CAST(%s AS %s) ELSE error(%s || CAST(%s AS VARCHAR)) END",
		expr, back, expr, target, QuoteText(ConvertMark+c.tag+":"), expr)
}

// fits reports whether values of a type that widens are known to be in the
// other's range: dates reach further than timestamps, and those of a table
// were looked at before its column widened.
func (c converter) fits(from Type) bool { return !c.byName || from.Name != "date" }

// instant converts a date or timestamp. Infinities are in every type. The
// engine has no casts between some types, but all to and from microseconds.
func (c converter) instant(expr string, from, to Type) string {
	micros := fmt.Sprintf("CAST(%s AS TIMESTAMP)", expr)
	cast := fmt.Sprintf("CAST(%s AS %s)", micros, to.SQL())
	check := ""
	switch {
	case from.Name == "date":
		check, cast = fmt.Sprintf("TRY_CAST(%s AS %s) IS NOT NULL", expr, to.SQL()), fmt.Sprintf("CAST(%s AS %s)", expr, to.SQL())
	case to.Name == "timestamp_ns": // the engine's TRY_CAST fails as CAST does
		check = micros + " BETWEEN TIMESTAMP '1677-09-22 00:00:00' AND TIMESTAMP '2262-04-11 23:47:16.854775'"
	case from.Name == "timestamp_ns":
		check = fmt.Sprintf("epoch_ns(%s) %% %d = 0", expr, 1000*microsOf[to.Name])
	default:
		check = fmt.Sprintf("epoch_us(%s) %% %d = 0", micros, microsOf[to.Name])
	}
	return fmt.Sprintf("CASE WHEN %s IS NULL THEN NULL WHEN NOT isfinite(%s) THEN %s WHEN %s THEN %s ELSE error(%s || CAST(%s AS VARCHAR)) END",
		expr, expr, cast, check, cast, QuoteText(ConvertMark+c.tag+":"), expr)
}

// microsOf are the microseconds of a type's unit.
var microsOf = map[string]int{"timestamp": 1, "timestamp_ms": 1000, "timestamp_s": 1_000_000}

// Opaque gives the SQL of a column as it is, in a form that the engine does not
// take for the column. It tests conditions on a column of a Parquet file in the
// type that the file has, and casts the constants to it: in a file whose column
// is an INTEGER and is read as a DOUBLE, 1.5 would equal 2.
func Opaque(name string) string { return "coalesce(" + name + ", " + name + ")" }

// Reject gives the SQL that is NULL of type to while expr is NULL and fails
// with ConvertMark, the tag and the value otherwise: an all-NULL column fits
// any type, and only reading it tells that it is one.
func Reject(expr string, to Type, tag string) string {
	return fmt.Sprintf("CASE WHEN %s IS NULL THEN CAST(NULL AS %s) ELSE error(%s || left(CAST(%s AS VARCHAR), 80)) END",
		expr, to.SQL(), QuoteText(ConvertMark+tag+":"), expr)
}
