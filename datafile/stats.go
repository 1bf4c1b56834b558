package datafile

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Stats are the statistics of one leaf in one file, in the format's own text
// form. Min and Max are bounds, not always values; nil is unknown.
type Stats struct {
	ColumnID    int64
	SizeBytes   int64
	ValueCount  int64 // not NULL; for leaves below a list, elements
	NullCount   int64
	Min, Max    *string
	ContainsNaN *bool // of float leaves only
}

// maxBound is the longest text bound that is stored.
const maxBound = 256

// LeafStats picks the statistics of the leaves out of what the engine returns
// for a file it wrote: path in quoted names -> fact -> text.
func LeafStats(leaves []Leaf, returned map[string]map[string]string) []Stats {
	out := make([]Stats, 0, len(leaves))
	for _, l := range leaves {
		quoted := make([]string, len(l.Path))
		for i, p := range l.Path {
			quoted[i] = Quote(p)
		}
		facts, ok := returned[strings.Join(quoted, ".")]
		if !ok {
			continue // no statistics: the file is always kept
		}
		out = append(out, leafStats(l, facts))
	}
	return out
}

func leafStats(l Leaf, facts map[string]string) Stats {
	num := func(key string) int64 {
		n, _ := strconv.ParseInt(facts[key], 10, 64)
		return n
	}
	s := Stats{ColumnID: l.ID, SizeBytes: num("column_size_bytes"), NullCount: num("null_count")}
	s.ValueCount = max(0, num("num_values")-s.NullCount)
	if lo, ok := facts["min"]; ok {
		s.Min = &lo
	}
	if hi, ok := facts["max"]; ok {
		s.Max = &hi
	}
	if l.Type.Name == "float32" {
		s.Min, s.Max = exactFloat(s.Min), exactFloat(s.Max)
	}
	if l.Type.Name == "float32" || l.Type.Name == "float64" {
		nan := facts["has_nan"] == "true"
		s.ContainsNaN = &nan
		if nan {
			s.Min, s.Max = nil, nil
		}
	}
	s.Min, s.Max = trimBounds(l.Type.Name, s.Min, s.Max)
	return s
}

// exactFloat writes the shortest text of a float32 as that of the same value
// in float64: the bound then holds when the column widens.
func exactFloat(s *string) *string {
	if s == nil {
		return nil
	}
	f, err := strconv.ParseFloat(*s, 32)
	if err != nil {
		return nil
	}
	text := strconv.FormatFloat(f, 'g', -1, 64)
	switch {
	case math.IsInf(f, 0):
		text = *s
	case !strings.ContainsAny(text, ".e"):
		text += ".0"
	}
	return &text
}

// trimBounds shortens long text bounds so that they stay bounds, and drops
// what other readers could take wrongly.
func trimBounds(typ string, lo, hi *string) (*string, *string) {
	switch typ {
	case "int128", "uint128", "timetz", "interval":
		return nil, nil
	case "varchar", "json":
	default:
		return lo, hi
	}
	if lo != nil && strings.ContainsRune(*lo, 0) || hi != nil && strings.ContainsRune(*hi, 0) {
		return nil, nil
	}
	if lo != nil && len(*lo) > maxBound {
		s := cutRunes(*lo)
		lo = &s
	}
	if hi != nil && len(*hi) > maxBound {
		s, ok := successor(cutRunes(*hi))
		if !ok {
			return lo, nil
		}
		hi = &s
	}
	return lo, hi
}

func cutRunes(s string) string {
	n := maxBound
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// successor gives a text greater than every text that starts with s.
func successor(s string) (string, bool) {
	for s != "" {
		r, n := utf8.DecodeLastRuneInString(s)
		if r == utf8.RuneError && n <= 1 {
			return "", false
		}
		s = s[:len(s)-n]
		if r++; r == 0xD800 {
			r = 0xE000
		}
		if r <= utf8.MaxRune {
			return s + string(r), true
		}
	}
	return "", false
}

// Bound is a comparable value of a column: a parsed statistic or literal.
type Bound struct {
	kind byte // 'i' exact number, 'f' float, 's' text, 't' time as sortable text
	r    *big.Rat
	i    int64
	f    float64
	s    string
}

// ParseBound parses the text form of a value of type t. ok is false when it
// cannot be compared safely; such a bound says nothing.
func ParseBound(t Type, s string) (b Bound, ok bool) {
	switch {
	case t.Name == "boolean":
		switch s {
		case "0", "false":
			return Bound{kind: 'i'}, true
		case "1", "true":
			return Bound{kind: 'i', i: 1}, true
		}
		return Bound{}, false
	case isInt(t.Name), t.Name == "decimal":
		return exactBound(s)
	case t.Name == "float32" || t.Name == "float64":
		f, err := strconv.ParseFloat(s, 64)
		return Bound{kind: 'f', f: f}, err == nil && !math.IsNaN(f)
	case t.Name == "varchar", t.Name == "uuid":
		return Bound{kind: 's', s: s}, true
	case rank(instants, t.Name) >= 0, t.Name == "timestamptz":
		return timeBound(strings.TrimSuffix(s, "+00"))
	case t.Name == "time":
		return Bound{kind: 't', s: padFraction(s)}, len(s) >= 8 && s[2] == ':'
	}
	return Bound{}, false
}

func exactBound(s string) (Bound, bool) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return Bound{kind: 'i', i: n}, true
	}
	if len(s) > 100 || strings.ContainsAny(s, "eE/_xXpP") {
		return Bound{}, false
	}
	r, ok := new(big.Rat).SetString(s)
	return Bound{kind: 'i', r: r}, ok
}

// timeBound normalises a date or timestamp of the years 1 to 9999, so that
// the text sorts as the time does.
func timeBound(s string) (Bound, bool) {
	s = strings.Replace(s, "T", " ", 1)
	if len(s) < 10 || s[4] != '-' || s[7] != '-' {
		return Bound{}, false
	}
	for i := range 10 {
		if i != 4 && i != 7 && (s[i] < '0' || s[i] > '9') {
			return Bound{}, false
		}
	}
	if len(s) == 10 {
		s += " 00:00:00"
	}
	if len(s) < 19 || s[10] != ' ' || s[13] != ':' || s[16] != ':' {
		return Bound{}, false
	}
	for i := 11; i < len(s); i++ {
		if c := s[i]; (c < '0' || c > '9') && c != ':' && (i != 19 || c != '.') {
			return Bound{}, false // a zone, BC or something else that does not sort
		}
	}
	return Bound{kind: 't', s: padFraction(s)}, len(s) <= 29
}

// FitsTime reports whether the text form of a date or time is surely within
// what the type reaches.
func FitsTime(s string, t Type) bool {
	b, ok := timeBound(s)
	if !ok || t.Name != "timestamp_ns" {
		return ok
	}
	return b.s >= "1678" && b.s < "2262"
}

func padFraction(s string) string {
	if !strings.Contains(s, ".") {
		s += "."
	}
	whole, frac, _ := strings.Cut(s, ".")
	return whole + "." + frac + strings.Repeat("0", max(0, 9-len(frac)))
}

// FloatBound makes a bound from a float.
func FloatBound(f float64) Bound { return Bound{kind: 'f', f: f} }

// Float gives the nearest float of a number bound.
func (b Bound) Float() (float64, bool) {
	switch {
	case b.kind == 'f':
		return b.f, true
	case b.kind == 'i' && b.r == nil:
		return float64(b.i), true
	case b.kind == 'i':
		f, _ := b.r.Float64()
		return f, true
	}
	return 0, false
}

// Compare orders two bounds: -1, 0, 1; ok is false when they are of kinds
// that do not compare.
func (b Bound) Compare(o Bound) (int, bool) {
	if b.kind != o.kind {
		return 0, false
	}
	switch b.kind {
	case 'i':
		if b.r == nil && o.r == nil {
			return cmp(b.i, o.i), true
		}
		return b.rat().Cmp(o.rat()), true
	case 'f':
		return cmp(b.f, o.f), true
	}
	return strings.Compare(b.s, o.s), true
}

func (b Bound) rat() *big.Rat {
	if b.r != nil {
		return b.r
	}
	return new(big.Rat).SetInt64(b.i)
}

func cmp[T int64 | float64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// WidenBounds gives bounds that hold both pairs; a bound unknown on either
// side, or of a kind that does not compare, is unknown.
func WidenBounds(t Type, lo1, hi1, lo2, hi2 *string) (lo, hi *string) {
	return pick(t, lo1, lo2, -1), pick(t, hi1, hi2, 1)
}

func pick(t Type, a, b *string, want int) *string {
	if a == nil || b == nil {
		return nil
	}
	if *a == *b {
		return a
	}
	x, ok1 := ParseBound(t, *a)
	y, ok2 := ParseBound(t, *b)
	if t.Name == "json" { // byte order, as the format compares text
		x, y, ok1, ok2 = Bound{kind: 's', s: *a}, Bound{kind: 's', s: *b}, true, true
	}
	c, ok := x.Compare(y)
	if !ok1 || !ok2 || !ok {
		return nil
	}
	if c*want >= 0 {
		return a
	}
	return b
}

// StatMap turns the column statistics that COPY returns, a MAP(VARCHAR,
// MAP(VARCHAR, VARCHAR)), into maps.
func StatMap(v any) map[string]map[string]string {
	out := map[string]map[string]string{}
	entries, _ := v.([][2]any)
	for _, e := range entries {
		name, _ := e[0].(string)
		facts := map[string]string{}
		inner, _ := e[1].([][2]any)
		for _, kv := range inner {
			k, _ := kv[0].(string)
			val, ok := kv[1].(string)
			if ok {
				facts[k] = val
			}
		}
		out[name] = facts
	}
	return out
}

// HasFloat reports whether a column, or a leaf below one, is a float. The
// engine's bloom filters know -0.0 and 0.0 as two values though they are equal,
// so a row of the one is not found by the other: files with floats have none.
func HasFloat(cols []Column) bool {
	for _, l := range Leaves(cols) {
		if l.Type.Name == "float32" || l.Type.Name == "float64" {
			return true
		}
	}
	return false
}

// ValueStats are the statistics of values in the format's text form: nil is
// NULL, whole numbers may come as int64. Values that do not compare leave the
// bounds unknown.
func ValueStats(c Column, values []any) Stats {
	s := Stats{ColumnID: c.ID}
	float := c.Type.Name == "float32" || c.Type.Name == "float64"
	nan, known, first := false, true, true
	var lo, hi Bound
	var least, most string
	for _, v := range values {
		if v == nil {
			s.NullCount++
			continue
		}
		s.ValueCount++
		text, ok := boundText(v)
		if float && text == "nan" {
			nan = true
			continue
		}
		b, parsed := ParseBound(c.Type, text)
		if known = known && ok && parsed; !known {
			continue
		}
		if first || less(b, lo) {
			lo, least = b, text
		}
		if first || less(hi, b) {
			hi, most = b, text
		}
		first = false
	}
	if float {
		s.ContainsNaN = &nan
	}
	if first || !known || nan {
		return s
	}
	s.Min, s.Max = &least, &most
	if c.Type.Name == "float32" {
		s.Min, s.Max = exactFloat(s.Min), exactFloat(s.Max)
	}
	s.Min, s.Max = trimBounds(c.Type.Name, s.Min, s.Max)
	return s
}

func boundText(v any) (string, bool) {
	switch x := v.(type) {
	case int64:
		return strconv.FormatInt(x, 10), true
	case string:
		return x, true
	}
	return "", false
}

func less(a, b Bound) bool {
	c, ok := a.Compare(b)
	return ok && c < 0
}
