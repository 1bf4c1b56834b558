package cli

import (
	"encoding/json"
	"errors"
	"regexp"
	"strconv"
	"strings"
)

var (
	number    = regexp.MustCompile(`^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$`)
	paramName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// parseParam reads name=value of --param.
func parseParam(s string) (name string, value any, err error) {
	name, text, ok := strings.Cut(s, "=")
	name = strings.TrimPrefix(name, "$")
	if !ok || !paramName.MatchString(name) {
		return "", nil, errors.New("want name=value")
	}
	return name, parseValue(text), nil
}

// parseParams reads all --param; a name may come once, whatever its case, as
// SQL tells no case apart.
func parseParams(list []string) (map[string]any, error) {
	if len(list) == 0 {
		return nil, nil
	}
	out, seen := make(map[string]any, len(list)), make(map[string]bool, len(list))
	for _, s := range list {
		name, value, err := parseParam(s)
		if err != nil {
			return nil, err
		}
		key := strings.ToLower(name)
		if seen[key] {
			return nil, errors.New("$" + name + " is given twice")
		}
		out[name], seen[key] = value, true
	}
	return out, nil
}

// parseValue reads a value: numbers, true, false and null as such, a text in
// single quotes without them, anything else as the text it is.
func parseValue(s string) any {
	switch strings.ToLower(s) {
	case "null":
		return nil
	case "true":
		return true
	case "false":
		return false
	}
	if inner, ok := unquote(s, '\''); ok {
		return inner
	}
	if number.MatchString(s) {
		return parseNumber(s)
	}
	return s
}

// parseNumber keeps every digit: what neither int64 nor float64 hold stays
// text, as a json.Number.
func parseNumber(s string) any {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n
	}
	if !strings.ContainsAny(s, ".eE") {
		return json.Number(plainDecimal(s))
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil { // 1e400
		return json.Number(strings.TrimPrefix(s, "+"))
	}
	if strings.ContainsAny(s, "eE") {
		return f
	}
	if d := plainDecimal(s); strconv.FormatFloat(f, 'f', -1, 64) != trimZeros(d) {
		return json.Number(d)
	}
	return f
}

// plainDecimal writes a number without exponent as JSON does: 0.5, not +00.50.
func plainDecimal(s string) string {
	sign := ""
	if s[0] == '-' {
		sign = "-"
	}
	s = strings.TrimLeft(strings.TrimLeft(s, "+-"), "0")
	if s == "" || s[0] == '.' {
		s = "0" + s
	}
	return sign + strings.TrimSuffix(s, ".")
}

func trimZeros(s string) string {
	if strings.Contains(s, ".") {
		s = strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// unquote takes the quotes off a text that stands whole in them; a doubled
// quote inside is one.
func unquote(s string, quote byte) (string, bool) {
	q := string(quote)
	if len(s) < 2 || s[0] != quote || s[len(s)-1] != quote {
		return "", false
	}
	inner := s[1 : len(s)-1]
	if strings.Contains(strings.ReplaceAll(inner, q+q, ""), q) {
		return "", false
	}
	return strings.ReplaceAll(inner, q+q, q), true
}
