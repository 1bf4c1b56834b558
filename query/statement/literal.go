package statement

import (
	"encoding/json"
	"math/big"
	"strings"
)

// Literal is a constant of a predicate, exact as the text has it.
//
// SQL compares a column with a constant in a type that both convert to, and
// that may be neither's: a VARCHAR column and an INTEGER constant compare as
// integers, a BIGINT column and a DOUBLE constant as doubles, with rounding.
// Who prunes by a Literal must know that its type and the column's compare in
// the order of the column's bounds, and keep the file otherwise. A VARCHAR
// literal converts to the column's type, whatever that is.
type Literal struct {
	// Type is DuckDB's name: BOOLEAN, TINYINT … HUGEINT, UTINYINT … UHUGEINT,
	// DECIMAL, DOUBLE, VARCHAR, DATE, TIME, TIMESTAMP (also _S, _MS, _NS),
	// TIMESTAMP WITH TIME ZONE, UUID; empty for a parameter without a cast.
	Type string
	// Text is the value: digits for numbers, with a point for DECIMAL; true or
	// false; the text within the quotes for the other types, unchecked.
	Text string
	// Param names the $name parameter that gives the value, in place of Text.
	// The value may be null.
	Param string
}

// textTypes are the types to which a constant text may be cast and still be
// one value; the caller reads the text.
var textTypes = map[string]bool{"BOOLEAN": true, "VARCHAR": true, "DATE": true, "TIME": true, "UUID": true, "TIMESTAMP": true,
	"TIMESTAMP_S": true, "TIMESTAMP_MS": true, "TIMESTAMP_NS": true, "TIMESTAMP WITH TIME ZONE": true}

var integerTypes = map[string]bool{"TINYINT": true, "SMALLINT": true, "INTEGER": true, "BIGINT": true, "HUGEINT": true,
	"UTINYINT": true, "USMALLINT": true, "UINTEGER": true, "UBIGINT": true, "UHUGEINT": true}

// literal reads a constant that is not null.
func literal(n node) (Literal, bool) {
	switch n.text("class") {
	case "CONSTANT":
		return constant(n.child("value"))
	case "PARAMETER":
		return Literal{Param: n.text("identifier")}, true
	case "CAST":
		lit, ok := literal(n.child("child"))
		to := n.child("cast_type").text("id")
		if !ok || n.flag("try_cast") || n.child("cast_type")["type_info"] != nil {
			return Literal{}, false
		}
		switch {
		case lit.Type == "VARCHAR" && textTypes[to], lit.Param != "" && lit.Type == "" && textTypes[to]:
			if to == "BOOLEAN" {
				return boolean(lit)
			}
		case integerTypes[lit.Type] && integerTypes[to]: // an error, or the same number
		default:
			return Literal{}, false
		}
		lit.Type = to
		return lit, true
	}
	return Literal{}, false
}

// boolean reads 't'::BOOLEAN, as DuckDB writes true.
func boolean(lit Literal) (Literal, bool) {
	switch {
	case lit.Param == "" && lit.Text == "t":
		return Literal{Type: "BOOLEAN", Text: "true"}, true
	case lit.Param == "" && lit.Text == "f":
		return Literal{Type: "BOOLEAN", Text: "false"}, true
	}
	return Literal{}, false
}

func constant(value node) (Literal, bool) {
	typ := value.child("type").text("id")
	if value.flag("is_null") {
		return Literal{}, false
	}
	switch v := value["value"].(type) {
	case string:
		return Literal{Type: typ, Text: v}, typ == "VARCHAR"
	case bool:
		if v {
			return Literal{Type: typ, Text: "true"}, typ == "BOOLEAN"
		}
		return Literal{Type: typ, Text: "false"}, typ == "BOOLEAN"
	case json.Number:
		return number(typ, v.String(), value)
	case map[string]any:
		wide, ok := hugeint(v)
		if !ok {
			return Literal{}, false
		}
		return number(typ, wide, value)
	}
	return Literal{}, false
}

func number(typ, text string, value node) (Literal, bool) {
	switch {
	case integerTypes[typ] || typ == "DOUBLE":
		return Literal{Type: typ, Text: text}, true
	case typ == "DECIMAL":
		scale, ok := new(big.Int).SetString(value.child("type").child("type_info").digits("scale"), 10)
		if !ok || scale.Sign() < 0 || scale.Cmp(big.NewInt(38)) > 0 {
			return Literal{}, false
		}
		return Literal{Type: typ, Text: point(text, int(scale.Int64()))}, true
	}
	return Literal{}, false
}

// digits gives a number as it stands in the tree.
func (n node) digits(key string) string {
	num, _ := n[key].(json.Number)
	return num.String()
}

// hugeint puts the two halves of a 128-bit integer together.
func hugeint(v node) (string, bool) {
	upper, ok1 := new(big.Int).SetString(v.digits("upper"), 10)
	lower, ok2 := new(big.Int).SetString(v.digits("lower"), 10)
	if !ok1 || !ok2 {
		return "", false
	}
	return upper.Lsh(upper, 64).Add(upper, lower).String(), true
}

// point sets the decimal point into an integer: point("-5", 2) is "-0.05".
func point(digits string, scale int) string {
	if scale == 0 {
		return digits
	}
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	if pad := scale + 1 - len(digits); pad > 0 {
		digits = strings.Repeat("0", pad) + digits
	}
	return sign + digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
}
