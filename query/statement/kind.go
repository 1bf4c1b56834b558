package statement

import (
	"strconv"
	"strings"
	"time"
)

// kind is a type, as far as comparing goes.
type kind struct {
	family        string // a type's name, or one for all integers, floats, decimals
	before, after int    // digits around the point, of integers and decimals
	text          string // of a constant text
}

const (
	integers     = "integer"
	decimals     = "decimal"
	floats       = "float"
	constantText = "constant text" // converts to what it meets, for each row
	null         = "null"
)

var digits = map[string]int{
	"TINYINT": 3, "UTINYINT": 3, "SMALLINT": 5, "USMALLINT": 5, "INTEGER": 10, "UINTEGER": 10,
	"BIGINT": 19, "UBIGINT": 20, "HUGEINT": 39,
}

// plainTypes compare with themselves and with constant texts.
var plainTypes = map[string]bool{
	"BOOLEAN": true, "VARCHAR": true, "DATE": true, "TIME": true, "UUID": true, "BLOB": true, "TIMESTAMP": true,
	"TIMESTAMP_S": true, "TIMESTAMP_MS": true, "TIMESTAMP_NS": true, "TIMESTAMP WITH TIME ZONE": true,
}

// kindOf reads a type's name. Types that are not understood never compare.
func kindOf(typ string) (kind, bool) {
	typ = strings.ToUpper(typ)
	switch {
	case digits[typ] > 0:
		return kind{family: integers, before: digits[typ]}, true
	case typ == "DOUBLE" || typ == "FLOAT":
		return kind{family: floats}, true
	case plainTypes[typ]:
		return kind{family: typ}, true
	}
	inner, ok := strings.CutPrefix(typ, "DECIMAL(")
	width, scale, both := strings.Cut(strings.TrimSuffix(inner, ")"), ",")
	w, err1 := strconv.Atoi(strings.TrimSpace(width))
	s, err2 := strconv.Atoi(strings.TrimSpace(scale))
	return kind{decimals, w - s, s, ""}, ok && both && err1 == nil && err2 == nil
}

// fits reports whether a constant certainly converts to what it meets.
func (k kind) fits(other kind) bool {
	return k.family == null || k.family == constantText && fits(k.text, other.family)
}

func (k kind) number() bool {
	return k.family == integers || k.family == decimals || k.family == floats
}

// compares reports whether comparing two kinds cannot fail.
func compares(a, b kind) bool {
	switch {
	case a.fits(b) || b.fits(a):
		return true
	case a.family == floats && b.number(), b.family == floats && a.number():
		return true
	case a.family == decimals && b.number(), b.family == decimals && a.number():
		return max(a.before, b.before)+max(a.after, b.after) <= 38
	}
	return a.family == b.family
}

// literalKind gives the type of a constant whose conversion cannot fail: that
// too happens for each row, and only once the conditions before it hold.
func literalKind(lit Literal, isNull bool) (kind, bool) {
	switch {
	case isNull:
		return kind{family: null}, true
	case lit.Type == "VARCHAR":
		return kind{family: constantText, text: lit.Text}, true
	case lit.Type == "DECIMAL":
		whole, fraction, _ := strings.Cut(strings.TrimPrefix(lit.Text, "-"), ".")
		return kind{decimals, len(whole), len(fraction), ""}, true
	case integerTypes[lit.Type] && !inRange(lit), textTypes[lit.Type] && !fits(lit.Text, lit.Type):
		return kind{}, false
	}
	return kindOf(lit.Type)
}

var bits = map[string]int{"TINYINT": 8, "SMALLINT": 16, "INTEGER": 32, "BIGINT": 64, "UTINYINT": 8, "USMALLINT": 16, "UINTEGER": 32, "UBIGINT": 64}

// inRange reports whether an integer is one of its type.
func inRange(lit Literal) bool {
	n := bits[lit.Type]
	var err error
	switch {
	case n == 0:
		return len(strings.TrimPrefix(lit.Text, "-")) < digits["HUGEINT"]
	case lit.Type[0] == 'U':
		_, err = strconv.ParseUint(lit.Text, 10, n)
	default:
		_, err = strconv.ParseInt(lit.Text, 10, n)
	}
	return err == nil
}

// fits reports whether a text certainly converts to a type. It knows the plain
// forms only.
func fits(text, typ string) bool {
	switch typ {
	case "VARCHAR", constantText, null:
		return true
	case "BOOLEAN":
		return text == "true" || text == "false"
	case "DATE":
		return timeText(text, time.DateOnly)
	case "TIMESTAMP WITH TIME ZONE":
		text = strings.TrimSuffix(strings.TrimSuffix(text, "Z"), "+00")
		fallthrough
	case "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS":
		text = strings.Replace(text, "T", " ", 1)
		return timeText(text, time.DateOnly) || timeText(text, time.DateTime) || timeText(text, "2006-01-02 15:04")
	}
	return false
}

// timeText reports whether a text has the layout, in the years that all types
// hold and with at most microseconds.
func timeText(text, layout string) bool {
	t, err := time.Parse(layout, text)
	return err == nil && !strings.Contains(text, ",") && t.Year() >= 1700 && t.Year() < 2200 && len(text) <= len("2006-01-02 15:04:05.000000")
}
