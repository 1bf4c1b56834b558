package monitor

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/supertable-go/supertable/internal/errs"
)

// Record is one record to log: names and values. A value is nil, a bool, a
// number, a text, a time.Time (kept as RFC 3339 text), or anything that
// encoding/json takes (kept as its JSON text).
type Record map[string]any

// TimeField is when a record was made, in milliseconds since 1970 (UTC). It is
// added to records that lack it.
const TimeField = "execution_time"

// Limits of one record.
const (
	maxFields = 1000
	maxBytes  = 1 << 20
)

// kind is what a value is.
type kind uint8

const (
	null kind = iota
	boolean
	integer
	float
	text
	other // kept as JSON text: objects, arrays, numbers that no column holds exactly
)

// value is one value of a record.
type value struct {
	kind kind
	i    int64 // integer; 1 is true
	f    float64
	s    string // text; the JSON text of other
}

type field struct {
	name string
	value
}

// row is a record that was found storable.
type row []field

// newRow checks a record and copies it.
func newRow(r Record, now time.Time) (row, error) {
	out := make(row, 0, len(r)+1)
	for name, v := range r {
		val, err := valueOf(v)
		if err != nil {
			return nil, errs.New(errs.InvalidArgument, "field %q: %v", errs.Cut(name, 80), err)
		}
		out = append(out, field{name, val})
	}
	slices.SortFunc(out, func(a, b field) int { return strings.Compare(a.name, b.name) })
	return out.finish(now)
}

// ParseRecord reads one record from a JSON object.
func ParseRecord(line []byte) (Record, error) {
	r, err := parseRow(line)
	if err != nil {
		return nil, err
	}
	out := make(Record, len(r))
	for _, f := range r {
		out[f.name] = parsed{f.value}
	}
	return out, nil
}

// parsed is a value that was read from JSON already.
type parsed struct{ value }

// finish checks the record and adds the time when it is not there.
func (r row) finish(now time.Time) (row, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	for i := range r {
		if !strings.EqualFold(r[i].name, TimeField) {
			continue
		}
		switch f := &r[i]; f.kind {
		case null:
			f.value = value{kind: integer, i: now.UnixMilli()}
		case float:
			f.value = value{kind: integer, i: int64(f.f)}
		}
		return r, nil
	}
	return append(r, field{TimeField, value{kind: integer, i: now.UnixMilli()}}), nil
}

func (r row) check() error {
	if len(r) > maxFields {
		return errs.New(errs.InvalidArgument, "the record has %d fields, at most %d are allowed", len(r), maxFields)
	}
	bytes := 0
	for i, f := range r {
		switch name := f.name; {
		case name == "":
			return errs.New(errs.InvalidArgument, "the record has a field without a name")
		case len(name) > 1024 || !utf8.ValidString(name) || strings.ContainsRune(name, 0) || strings.HasPrefix(strings.ToLower(name), "_ducklake_internal_"):
			return errs.New(errs.InvalidArgument, "the field name %q is not allowed", errs.Cut(name, 80))
		}
		if strings.EqualFold(f.name, TimeField) && f.kind != null && f.kind != integer && (f.kind != float || !exactInteger(f.f)) {
			return errs.New(errs.InvalidArgument, "%s is a number of milliseconds since 1970", TimeField)
		}
		bytes += len(f.name) + len(f.s) + 16
		for _, g := range r[:i] {
			if len(r) <= 32 && strings.EqualFold(f.name, g.name) {
				return sameName(g.name, f.name)
			}
		}
	}
	if bytes > maxBytes {
		return errs.New(errs.InvalidArgument, "the record has %d bytes, at most %d are allowed", bytes, maxBytes)
	}
	if len(r) <= 32 {
		return nil
	}
	seen := make(map[string]string, len(r))
	for _, f := range r {
		l := strings.ToLower(f.name)
		if g, ok := seen[l]; ok {
			return sameName(g, f.name)
		}
		seen[l] = f.name
	}
	return nil
}

func sameName(a, b string) error {
	return errs.New(errs.InvalidArgument, "the record has the fields %q and %q, which are one column", errs.Cut(a, 80), errs.Cut(b, 80))
}

func (r row) size() int {
	n := 0
	for _, f := range r {
		n += len(f.name) + len(f.s) + 48
	}
	return n
}

func valueOf(v any) (value, error) {
	switch x := v.(type) {
	case nil:
		return value{}, nil
	case parsed:
		return x.value, nil
	case bool:
		return boolValue(x), nil
	case string:
		return value{kind: text, s: strings.ToValidUTF8(strings.Clone(x), "\uFFFD")}, nil
	case int:
		return value{kind: integer, i: int64(x)}, nil
	case int64:
		return value{kind: integer, i: x}, nil
	case float64:
		return value{kind: float, f: x}, nil
	case float32:
		f, err := strconv.ParseFloat(strconv.FormatFloat(float64(x), 'g', -1, 32), 64) // 0.1 stays 0.1
		return value{kind: float, f: f}, err
	case json.Number:
		return number(x.String()), nil
	case time.Time:
		return value{kind: text, s: x.UTC().Format(time.RFC3339Nano)}, nil
	case time.Duration:
		return value{kind: float, f: x.Seconds()}, nil
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return value{}, err
	}
	return parseValue(raw)
}

func boolValue(b bool) value {
	if b {
		return value{kind: boolean, i: 1}
	}
	return value{kind: boolean}
}

// parseRow reads a JSON object, its members in their order.
func parseRow(line []byte) (row, error) {
	dec := json.NewDecoder(bytes.NewReader(line))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errs.New(errs.InvalidArgument, "a record is a JSON object")
	}
	var out row
	for dec.More() {
		t, err := dec.Token()
		name, ok := t.(string)
		var raw json.RawMessage
		if err == nil && ok {
			err = dec.Decode(&raw)
		}
		if err != nil || !ok {
			return nil, errs.New(errs.InvalidArgument, "the record is no JSON")
		}
		v, err := parseValue(raw)
		if err != nil {
			return nil, errs.New(errs.InvalidArgument, "field %q is no JSON", errs.Cut(name, 80))
		}
		out = append(out, field{name, v})
	}
	if _, err := dec.Token(); err != nil {
		return nil, errs.New(errs.InvalidArgument, "the record is no JSON")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errs.New(errs.InvalidArgument, "a record is one JSON object, something follows it")
	}
	return out, out.check()
}

func parseValue(raw []byte) (value, error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return value{}, io.ErrUnexpectedEOF
	}
	switch raw[0] {
	case 'n':
		return value{}, nil
	case 't', 'f':
		return boolValue(raw[0] == 't'), nil
	case '"':
		var s string
		err := json.Unmarshal(raw, &s)
		return value{kind: text, s: s}, err
	case '{', '[':
		var b bytes.Buffer
		err := json.Compact(&b, raw)
		return value{kind: other, s: strings.ToValidUTF8(b.String(), "\uFFFD")}, err
	}
	return number(string(raw)), nil
}

// number reads a JSON number without rounding it: what neither int64 nor
// float64 holds as it is written stays text.
func number(s string) value {
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		return value{kind: integer, i: i}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(f, 0) || !sameNumber(s, f) {
		return value{kind: other, s: s}
	}
	return value{kind: float, f: f}
}

// sameNumber reports whether f, written as short as it can be, is the number s.
func sameNumber(s string, f float64) bool {
	digits := 0
	mantissa, exponent, _ := strings.Cut(strings.ToLower(s), "e")
	for _, c := range mantissa {
		if c >= '0' && c <= '9' && (c != '0' || digits > 0) {
			digits++
		}
	}
	switch {
	case digits == 0:
		return true
	case f == 0 || len(exponent) > 5 || len(s) > 1100:
		return false // below what float64 reaches
	case digits <= 15 && math.Abs(f) >= 1e-300:
		return true
	}
	a, ok := new(big.Rat).SetString(s)
	b, ok2 := new(big.Rat).SetString(strconv.FormatFloat(f, 'g', -1, 64))
	return ok && ok2 && a.Cmp(b) == 0
}

// exactInteger reports whether f is a whole number that int64 and float64 both hold.
func exactInteger(f float64) bool { return f == math.Trunc(f) && math.Abs(f) <= 1<<53 }

// text is the value as the text of a column that holds values of several
// kinds: a text as it is, everything else as its JSON text.
func (v value) text() string {
	switch v.kind {
	case boolean:
		return strconv.FormatBool(v.i == 1)
	case integer:
		return strconv.FormatInt(v.i, 10)
	case float:
		return floatText(v.f)
	}
	return v.s
}

func floatText(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 0):
		return strings.TrimPrefix(strconv.FormatFloat(f, 'g', -1, 64), "+") + "inity"
	}
	raw, _ := json.Marshal(f) // a finite number
	return string(raw)
}

// special is how a line of a chunk holds a float that JSON has no form for. No
// name of a field has a NUL byte.
const special = `{"\u0000f":"`

// encode writes rows as lines.
func encode(rows []row) []byte {
	var b []byte
	for _, r := range rows {
		b = append(b, '{')
		for i, f := range r {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendText(b, f.name), ':')
			switch {
			case f.kind == null:
				b = append(b, "null"...)
			case f.kind == text:
				b = appendText(b, f.s)
			case f.kind == float && (math.IsNaN(f.f) || math.IsInf(f.f, 0)):
				b = append(append(append(b, special...), floatText(f.f)...), `"}`...)
			case f.kind == float && f.f == math.Trunc(f.f):
				b = strconv.AppendFloat(b, f.f, 'e', -1, 64) // 1e+00: a float stays one
			default:
				b = append(b, f.text()...)
			}
		}
		b = append(b, "}\n"...)
	}
	return b
}

func appendText(b []byte, s string) []byte {
	if plainText(s) {
		return append(append(append(b, '"'), s...), '"')
	}
	raw, _ := json.Marshal(s) // a text
	return append(b, raw...)
}

// plainText reports whether JSON has the text as it is.
func plainText(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ', c > '~', c == '"', c == '\\', c == '<', c == '>', c == '&':
			return false
		}
	}
	return true
}

// decode reads the lines of a chunk.
func decode(body []byte) ([]row, error) {
	var out []row
	for line := range bytes.Lines(body) {
		r, err := parseRow(line)
		if err != nil {
			return nil, errs.Wrap(errs.Corrupt, err, "a monitoring record in the catalog cannot be read")
		}
		for i := range r {
			if rest, ok := strings.CutPrefix(r[i].s, special); ok && r[i].kind == other {
				f, err := strconv.ParseFloat(strings.TrimSuffix(rest, `"}`), 64)
				if err == nil {
					r[i].value = value{kind: float, f: f}
				}
			}
		}
		out = append(out, r)
	}
	return out, nil
}
