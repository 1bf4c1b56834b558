package statement

import (
	"encoding/json"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/supertable-go/supertable/engine"
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
	// TIMESTAMP WITH TIME ZONE, UUID.
	Type string
	// Typed is set for a VARCHAR that is no literal but the value of an
	// expression: it does not convert to the column's type.
	Typed bool
	// Text is the value: digits for numbers, with a point for DECIMAL; true or
	// false; the text within the quotes for the other types, unchecked.
	Text string
}

// textTypes are the types to which a constant text may be cast and still be
// one value; the caller reads the text.
var textTypes = map[string]bool{
	"BOOLEAN": true, "VARCHAR": true, "DATE": true, "TIME": true, "UUID": true, "TIMESTAMP": true,
	"TIMESTAMP_S": true, "TIMESTAMP_MS": true, "TIMESTAMP_NS": true, "TIMESTAMP WITH TIME ZONE": true,
}

var integerTypes = map[string]bool{
	"TINYINT": true, "SMALLINT": true, "INTEGER": true, "BIGINT": true, "HUGEINT": true,
	"UTINYINT": true, "USMALLINT": true, "UINTEGER": true, "UBIGINT": true, "UHUGEINT": true,
}

// literal reads a constant; null is set when it is known to be null. Not ok is
// an expression that is no constant, or one that is not understood.
func (v Values) literal(n node) (lit Literal, null, ok bool) {
	switch n.text("class") {
	case "CONSTANT":
		if n.child("value").flag("is_null") {
			return Literal{}, true, true
		}
		lit, ok = constant(n.child("value"))
		return lit, false, ok
	case "PARAMETER":
		return v.parameter(n.text("identifier"))
	case "CAST":
		if n.flag("try_cast") || n.child("cast_type")["type_info"] != nil {
			return Literal{}, false, false
		}
		lit, null, ok = v.literal(n.child("child"))
		if !ok || null {
			return lit, null, ok
		}
		lit, ok = cast(lit, n.child("cast_type").text("id"))
		return lit, false, ok
	}
	return Literal{}, false, false
}

// known reads a constant, or an expression that was reckoned.
func (v Values) known(n node) (lit Literal, null, ok bool) {
	if r, found := v.of(n); found {
		return r.value, false, true
	}
	return v.literal(n)
}

// cast converts a constant where the result is known without the engine.
func cast(lit Literal, to string) (Literal, bool) {
	switch {
	case lit.Type == to:
		return lit, true
	case lit.Type == "VARCHAR" && to == "BOOLEAN":
		return boolean(lit)
	case lit.Type == "VARCHAR" && textTypes[to], integerTypes[lit.Type] && integerTypes[to]: // an error, or the same value
		return Literal{Type: to, Text: lit.Text}, true
	}
	return Literal{}, false
}

// parameter gives the literal that the engine makes of a parameter's value.
func (v Values) parameter(name string) (lit Literal, null, ok bool) {
	value, given := v.Parameter(name)
	switch v := value.(type) {
	case nil:
		return Literal{}, true, given
	case bool:
		return Literal{Type: "BOOLEAN", Text: strconv.FormatBool(v)}, false, true
	case int64:
		return Literal{Type: "BIGINT", Text: strconv.FormatInt(v, 10)}, false, true
	case float64:
		return Literal{Type: "DOUBLE", Text: strconv.FormatFloat(v, 'g', -1, 64)}, false, !math.IsNaN(v) && !math.IsInf(v, 0)
	case string:
		return Literal{Type: "VARCHAR", Text: v}, false, true
	case engine.Decimal:
		return Literal{Type: "DECIMAL", Text: string(v)}, false, true
	}
	return Literal{}, false, false
}

// boolean reads 't'::BOOLEAN, as DuckDB writes true.
func boolean(lit Literal) (Literal, bool) {
	switch lit.Text {
	case "t":
		return Literal{Type: "BOOLEAN", Text: "true"}, true
	case "f":
		return Literal{Type: "BOOLEAN", Text: "false"}, true
	}
	return Literal{}, false
}

func constant(value node) (Literal, bool) {
	typ := value.child("type").text("id")
	switch v := value["value"].(type) {
	case string:
		return Literal{Type: typ, Text: v}, typ == "VARCHAR"
	case bool:
		return Literal{Type: typ, Text: strconv.FormatBool(v)}, typ == "BOOLEAN"
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
