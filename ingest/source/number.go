package source

import (
	"bytes"
	"math"
	"strconv"
)

// number is what the text of a number says, digit by digit, before any type
// can round it: the value is 0.DIGITS × 10^point.
type number struct {
	neg    bool
	digits int  // significant digits: no zeros at either end
	point  int  // 0 for the value zero
	real   bool // a point or an exponent stands in the text
	padded bool // leading zeros, as in 007: a code rather than a number
	signed bool // an explicit plus, as in +420
}

// maxExponent bounds exponents while parsing; no type reaches that far.
const maxExponent = 100_000

// parseNumber reads a decimal number: sign, digits, point, exponent, nothing
// else. It does not accept the engine's hexadecimal or underscored forms.
func parseNumber(b []byte) (n number, ok bool) {
	i := 0
	if i < len(b) && (b[i] == '-' || b[i] == '+') {
		n.neg, n.signed = b[i] == '-', b[i] == '+'
		i++
	}
	start := i
	any, lead, trail, before := 0, 0, 0, 0 // digits; zeros at the front, at the end; digits before the point
	for ; i < len(b); i++ {
		c := b[i]
		if c == '.' && !n.real {
			n.real, before = true, any
			continue
		}
		if c < '0' || c > '9' {
			break
		}
		any++
		switch {
		case c != '0':
			trail = 0
		case lead == any-1:
			lead = any
		default:
			trail++
		}
	}
	if any == 0 {
		return n, false
	}
	if !n.real {
		before = any
	}
	n.padded = before > 1 && b[start] == '0'
	exp := 0
	if i < len(b) {
		if exp, ok = parseExponent(b[i:]); !ok {
			return n, false
		}
		n.real = true
	}
	if n.digits = any - lead - trail; n.digits > 0 {
		n.point = before - lead + exp
	}
	return n, true
}

func parseExponent(b []byte) (int, bool) {
	if b[0] != 'e' && b[0] != 'E' {
		return 0, false
	}
	i, neg := 1, false
	if i < len(b) && (b[i] == '-' || b[i] == '+') {
		neg = b[i] == '-'
		i++
	}
	if i == len(b) {
		return 0, false
	}
	exp := 0
	for ; i < len(b); i++ {
		if b[i] < '0' || b[i] > '9' {
			return 0, false
		}
		if exp < maxExponent {
			exp = exp*10 + int(b[i]-'0')
		}
	}
	if neg {
		return -exp, true
	}
	return exp, true
}

// whole is the number of digits before the point, scale of those after it.
func (n number) whole() int { return max(n.point, 0) }
func (n number) scale() int { return max(n.digits-n.point, 0) }

// integral reports whether the number has no fraction (1.0 and 1e3 have none).
func (n number) integral() bool { return n.digits <= n.point || n.digits == 0 }

// fitsDecimal reports whether DECIMAL(prec,scale) holds the number exactly.
func (n number) fitsDecimal(prec, scale int) bool {
	return n.scale() <= scale && n.whole() <= prec-scale
}

// significand gives the digits of a number's text without zeros at the ends.
func significand(b []byte, buf []byte) []byte {
	buf = buf[:0]
	for _, c := range b {
		if c == 'e' || c == 'E' {
			break
		}
		if c >= '0' && c <= '9' && (c != '0' || len(buf) > 0) {
			buf = append(buf, c)
		}
	}
	return bytes.TrimRight(buf, "0")
}

// limits of the integer types: the digits of the largest value and, for signed
// types, of the smallest.
type intType struct {
	low, high string // digits; low is without its minus, "" for unsigned
}

var intTypes = map[string]intType{
	"TINYINT": {"128", "127"}, "SMALLINT": {"32768", "32767"},
	"INTEGER": {"2147483648", "2147483647"}, "BIGINT": {"9223372036854775808", "9223372036854775807"},
	"UTINYINT": {"", "255"}, "USMALLINT": {"", "65535"},
	"UINTEGER": {"", "4294967295"}, "UBIGINT": {"", "18446744073709551615"},
}

// fits reports whether the integer n, written in b, is within the type.
func (t intType) fits(n number, b []byte) bool {
	limit := t.high
	if n.neg && n.digits > 0 {
		limit = t.low
	}
	if n.point != len(limit) {
		return n.point < len(limit)
	}
	var buf [64]byte
	digits := significand(b, buf[:])
	for i := range len(limit) {
		d := byte('0')
		if i < len(digits) {
			d = digits[i]
		}
		if d != limit[i] {
			return d < limit[i]
		}
	}
	return true
}

// fitsFloat reports whether a float of so many bits holds the number written
// in b without rounding that a reader could notice: the text is the shortest
// or the full-length (17 or 9 digits) decimal form of the float nearest to it.
// 0.1 fits, 9007199254740993 and 0.1234567890123456789 do not.
func (n number) fitsFloat(b []byte, bits int) bool {
	safe, reach, full := 15, 290, 16
	if bits == 32 {
		safe, reach, full = 6, 30, 8
	}
	if n.digits <= safe && n.point > -reach && n.point < reach {
		return true // that few digits always survive
	}
	if n.point > 400 || n.point < -400 || n.digits > full+1 {
		return false
	}
	f, err := strconv.ParseFloat(string(b), bits)
	if err != nil || math.IsInf(f, 0) || f == 0 {
		return false
	}
	var want, got [64]byte
	digits := significand(b, want[:])
	for _, prec := range [2]int{-1, full} {
		form := strconv.AppendFloat(got[:0], f, 'e', prec, bits)
		m, _ := parseNumber(form)
		if m.point == n.point && m.digits == n.digits && bytes.Equal(significand(form, form[:0]), digits) {
			return true
		}
	}
	return false
}

// special reports whether b is one of the texts for a float that is no number.
func special(b []byte) bool {
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		b = b[1:]
		return bytes.EqualFold(b, []byte("inf")) || bytes.EqualFold(b, []byte("infinity"))
	}
	return bytes.EqualFold(b, []byte("nan")) || bytes.EqualFold(b, []byte("inf")) || bytes.EqualFold(b, []byte("infinity"))
}
