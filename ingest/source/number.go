package source

import (
	"bytes"
	"math"
	"math/bits"
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

	mant  uint64 // all digits as a number, when short says so
	after int    // how many of them stand behind the point
	short bool   // at most 19 digits, no exponent, the last digit is no zero
}

// maxExponent bounds exponents while parsing; no type reaches that far.
const maxExponent = 100_000

// parseNumber reads a decimal number: sign, digits, point, exponent, nothing
// else. It does not accept the engine's hexadecimal or underscored forms.
func parseNumber(b []byte) (n number, ok bool) {
	i := 0
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		n.neg, n.signed = b[0] == '-', b[0] == '+'
		i = 1
	}
	start := i
	var mant uint64
	all, first, last, before := 0, -1, 0, -1 // digits; the first that is no zero; behind the last; those before the point
	for ; i < len(b); i++ {
		c := b[i]
		if c-'0' <= 9 {
			all++
			mant = mant*10 + uint64(c-'0')
			if c != '0' {
				if last = all; first < 0 {
					first = all - 1
				}
			}
			continue
		}
		if c != '.' || before >= 0 {
			break
		}
		n.real, before = true, all
	}
	if all == 0 {
		return n, false
	}
	if before < 0 {
		before = all
	}
	n.padded = before > 1 && b[start] == '0'
	exp := 0
	if i < len(b) {
		if exp, ok = parseExponent(b[i:]); !ok {
			return n, false
		}
		n.real = true
	} else if all <= 19 && last == all {
		n.mant, n.after, n.short = mant, all-before, true
	}
	if first >= 0 {
		n.digits, n.point = last-first, before-first+exp
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
// in b so that nobody notices: the number has at most 17 (9) digits, and the
// nearest float printed with as many digits is the number again. 0.1 fits,
// 9007199254740993 and 0.1234567890123456789 do not.
func (n number) fitsFloat(b []byte, size int) bool {
	if size == 64 {
		if n.safe() {
			return true
		}
		if n.digits > 17 {
			return false
		}
		if fits, known := n.fitsFloat64(); known {
			return fits
		}
	} else if n.digits > 9 {
		return false
	}
	f, err := strconv.ParseFloat(string(b), size)
	if err != nil || math.IsInf(f, 0) || f == 0 && n.digits > 0 {
		return false
	}
	var form [64]byte
	return sameDigits(b, strconv.AppendFloat(form[:0], f, 'e', max(n.digits, 1)-1, size))
}

var powersOfTen = func() (p [19]uint64) {
	p[0] = 1
	for i := 1; i < len(p); i++ {
		p[i] = p[i-1] * 10
	}
	return p
}()

// fitsFloat64 is fitsFloat for ordinary fractions, in whole numbers only. The
// number is x = mant / ten. With a shift s that gives q = mant·2^s / ten 54 or
// 55 bits, rounding q to 53 bits makes the float d, as D = d·2^s. Printed with
// as many digits d is x when |x - d| is below half a unit of the last digit:
// 2·|mant·2^s - D·ten| < 2^s.
func (n number) fitsFloat64() (fits, known bool) {
	if !n.short || n.after < 1 || n.after > 18 || n.mant == 0 {
		return false, false
	}
	ten := powersOfTen[n.after]
	s := 54 - bits.Len64(n.mant) + bits.Len64(ten)
	if s < 1 || s > 62 {
		return false, false
	}
	q, r := bits.Div64(n.mant>>(64-s), n.mant<<s, ten)
	drop := bits.Len64(q) - 53
	half := uint64(1) << (drop - 1)
	low := q & (half<<1 - 1)
	d := q - low
	if low > half || low == half && (r > 0 || d>>drop&1 == 1) {
		d += half << 1
	}
	e := int64(q-d)*int64(ten) + int64(r)
	if e < 0 {
		e = -e
	}
	unit := int64(1) << (s - 1)
	return e < unit, e != unit
}

// safe reports whether a float64 holds the number for its few digits alone.
func (n number) safe() bool { return n.digits <= 15 && n.point > -290 && n.point < 290 }

// sameDigits reports whether two numbers have the same significant digits.
func sameDigits(a, b []byte) bool {
	i, j := firstDigit(a), firstDigit(b)
	for i < len(a) || j < len(b) {
		var x, y byte
		x, i = nextDigit(a, i)
		y, j = nextDigit(b, j)
		if x != y {
			return false
		}
	}
	return true
}

// firstDigit is the index of the first digit that is no zero.
func firstDigit(b []byte) int {
	i := 0
	for i < len(b) && (b[i] == '0' || b[i] == '.' || b[i] == '-' || b[i] == '+') {
		i++
	}
	return i
}

// nextDigit is the digit at i or behind a point there, and where to go on.
// Behind the last digit there are zeros, and the index is the end.
func nextDigit(b []byte, i int) (byte, int) {
	if i < len(b) && b[i] == '.' {
		i++
	}
	if i >= len(b) || b[i] == 'e' || b[i] == 'E' {
		return '0', len(b)
	}
	return b[i], i + 1
}

// special reports whether b is one of the texts for a float that is no number.
func special(b []byte) bool {
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		b = b[1:]
		return bytes.EqualFold(b, []byte("inf")) || bytes.EqualFold(b, []byte("infinity"))
	}
	return bytes.EqualFold(b, []byte("nan")) || bytes.EqualFold(b, []byte("inf")) || bytes.EqualFold(b, []byte("infinity"))
}
