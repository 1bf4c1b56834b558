package datafile

import (
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Literal writes a text as a SQL constant of the type; ok is false when it is
// no value of the type exactly. Dates and times are in their ISO form; a zoned
// timestamp without a zone is UTC.
func Literal(t Type, text string) (sql string, ok bool) {
	if strings.ContainsRune(text, 0) {
		return "", false
	}
	switch {
	case isInt(t.Name):
		ok = intFits(t.Name, text)
	case t.Name == "decimal":
		ok = decimalFits(t, text)
	case t.Name == "float32" || t.Name == "float64":
		bits := 64
		if t.Name == "float32" {
			bits = 32
		}
		_, err := strconv.ParseFloat(text, bits)
		ok = err == nil && !strings.ContainsAny(text, "xX_pP")
	case t.Name == "boolean":
		text = strings.ToLower(text)
		ok = text == "true" || text == "false"
	case t.Name == "varchar":
		return QuoteText(text), true
	case t.Name == "uuid":
		ok = uuidText.MatchString(text)
	case t.Name == "time":
		_, err := time.Parse("15:04:05.999999", text)
		ok = err == nil
	case t.Name == "timestamptz", rank(instants, t.Name) >= 0:
		text, ok = instantText(t.Name, text)
	}
	return "CAST(" + QuoteText(text) + " AS " + t.SQL() + ")", ok
}

var (
	intText     = regexp.MustCompile(`^[+-]?[0-9]{1,20}$`)
	decimalText = regexp.MustCompile(`^[+-]?0*([0-9]{0,38})(?:\.([0-9]*?)0*)?$`)
	uuidText    = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
)

func intFits(name, text string) bool {
	n, ok := new(big.Int).SetString(strings.TrimPrefix(text, "+"), 10)
	if !ok || !intText.MatchString(text) {
		return false
	}
	bits, err := strconv.Atoi(strings.TrimLeft(name, "uint"))
	if err != nil {
		return false
	}
	if strings.HasPrefix(name, "u") {
		return n.Sign() >= 0 && n.BitLen() <= bits
	}
	if n.Sign() < 0 {
		n.Not(n) // -128 has as many bits as 127
	}
	return n.BitLen() < bits
}

func decimalFits(t Type, text string) bool {
	m := decimalText.FindStringSubmatch(text)
	return m != nil && strings.ContainsAny(text, "0123456789") && len(m[1]) <= t.Precision-t.Scale && len(m[2]) <= t.Scale
}

// instantText gives a date or timestamp in the form that the engine casts
// exactly.
func instantText(name, text string) (string, bool) {
	layouts := []string{"2006-01-02", "2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02T15:04"}
	zoned := []string{"2006-01-02T15:04:05Z07:00", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05Z07"}
	if name == "date" {
		layouts = layouts[:1]
	}
	if name == "timestamptz" {
		layouts = append(layouts, zoned...)
	}
	digits := map[string]int{"date": 0, "timestamp_s": 0, "timestamp_ms": 3, "timestamp_ns": 9}
	for _, l := range layouts {
		at, err := time.Parse(l, text) // a fraction after the seconds is taken too
		if err != nil || at.Year() < 1 || at.Year() > 9999 {
			continue
		}
		most, limited := digits[name]
		if !limited {
			most = 6
		}
		if _, frac, found := strings.Cut(at.UTC().Format("05.999999999"), "."); found && len(frac) > most {
			return "", false
		}
		switch name {
		case "date":
			return text, true
		case "timestamptz":
			return at.UTC().Format("2006-01-02 15:04:05.999999") + "+00", true
		}
		return at.Format("2006-01-02 15:04:05.999999999"), true
	}
	return "", false
}
