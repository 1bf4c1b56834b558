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

// values are the parameters of a statement, by name.
type values map[string]any

// literal reads a constant; null is set when it is known to be null. Not ok is
// an expression that is no constant, or one that is not understood.
func (p values) literal(n node) (lit Literal, null, ok bool) {
	switch n.text("class") {
	case "CONSTANT":
		if n.child("value").flag("is_null") {
			return Literal{}, true, true
		}
		lit, ok = constant(n.child("value"))
		return lit, false, ok
	case "PARAMETER":
		return p.parameter(n.text("identifier"))
	case "CAST":
		if n.flag("try_cast") || n.child("cast_type")["type_info"] != nil {
			return Literal{}, false, false
		}
		lit, null, ok = p.literal(n.child("child"))
		if !ok || null {
			return lit, null, ok
		}
		lit, ok = cast(lit, n.child("cast_type").text("id"))
		return lit, false, ok
	}
	return Literal{}, false, false
}

// known reads a constant, or whole numbers that are reckoned from constants.
func (p values) known(n node) (lit Literal, null, ok bool) {
	if lit, null, ok = p.literal(n); !ok && n.text("class") == "FUNCTION" {
		lit, ok = p.arithmetic(n)
	}
	return lit, null, ok
}

// arithmetic reckons +, - and * of whole numbers as the engine does: in INTEGER
// when both are of it, else in BIGINT. What does not fit there is not ok: the
// engine refuses it.
func (p values) arithmetic(n node) (Literal, bool) {
	children := n.nodes("children")
	if !n.flag("is_operator") || n.text("schema") != "" || len(children) == 0 || len(children) > 2 {
		return Literal{}, false
	}
	typ, numbers := "INTEGER", make([]*big.Int, len(children))
	for i, c := range children {
		lit, null, ok := p.known(c)
		if !ok || null || lit.Type != "INTEGER" && lit.Type != "BIGINT" || !inRange(lit) {
			return Literal{}, false
		}
		if lit.Type == "BIGINT" {
			typ = lit.Type
		}
		if numbers[i], ok = new(big.Int).SetString(lit.Text, 10); !ok {
			return Literal{}, false
		}
	}
	out := new(big.Int)
	switch name := n.text("function_name"); {
	case name == "-" && len(numbers) == 1:
		out.Neg(numbers[0])
	case len(numbers) == 1:
		return Literal{}, false
	case name == "+":
		out.Add(numbers[0], numbers[1])
	case name == "-":
		out.Sub(numbers[0], numbers[1])
	case name == "*":
		out.Mul(numbers[0], numbers[1])
	default:
		return Literal{}, false
	}
	lit := Literal{typ, out.String()}
	return lit, inRange(lit)
}

// cast converts a constant where the result is known without the engine.
func cast(lit Literal, to string) (Literal, bool) {
	switch {
	case lit.Type == to:
		return lit, true
	case lit.Type == "VARCHAR" && to == "BOOLEAN":
		return boolean(lit)
	case lit.Type == "VARCHAR" && textTypes[to], integerTypes[lit.Type] && integerTypes[to]: // an error, or the same value
		return Literal{to, lit.Text}, true
	}
	return Literal{}, false
}

// parameter gives the literal that the engine makes of a parameter's value.
func (p values) parameter(name string) (lit Literal, null, ok bool) {
	v, given := p[name]
	switch v := v.(type) {
	case nil:
		return Literal{}, true, given
	case bool:
		return Literal{"BOOLEAN", strconv.FormatBool(v)}, false, true
	case int64:
		return Literal{"BIGINT", strconv.FormatInt(v, 10)}, false, true
	case float64:
		return Literal{"DOUBLE", strconv.FormatFloat(v, 'g', -1, 64)}, false, !math.IsNaN(v) && !math.IsInf(v, 0)
	case string:
		return Literal{"VARCHAR", v}, false, true
	case engine.Decimal:
		return Literal{"DECIMAL", string(v)}, false, true
	}
	return Literal{}, false, false
}

// boolean reads 't'::BOOLEAN, as DuckDB writes true.
func boolean(lit Literal) (Literal, bool) {
	switch lit.Text {
	case "t":
		return Literal{"BOOLEAN", "true"}, true
	case "f":
		return Literal{"BOOLEAN", "false"}, true
	}
	return Literal{}, false
}

func constant(value node) (Literal, bool) {
	typ := value.child("type").text("id")
	switch v := value["value"].(type) {
	case string:
		return Literal{typ, v}, typ == "VARCHAR"
	case bool:
		return Literal{typ, strconv.FormatBool(v)}, typ == "BOOLEAN"
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
		return Literal{typ, text}, true
	case typ == "DECIMAL":
		scale, ok := new(big.Int).SetString(value.child("type").child("type_info").digits("scale"), 10)
		if !ok || scale.Sign() < 0 || scale.Cmp(big.NewInt(38)) > 0 {
			return Literal{}, false
		}
		return Literal{typ, point(text, int(scale.Int64()))}, true
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
