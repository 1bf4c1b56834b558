package datafile

import (
	"math"
	"math/big"
	"strings"
)

// Order maps the bounds of one type to whole numbers without ever turning two
// around: a ≤ b gives Key(a) ≤ Key(b). Several bounds may get one key, so what
// is found by keys is looked at again by the bounds themselves.
type Order struct {
	kind  byte   // of the bounds, as Bound has it
	scale int    // decimal digits behind the point that count
	skip  string // what texts have in common at their start; the key is of what follows
}

// OrderOf gives the order of a type's bounds; ok is false for types whose
// bounds no constant is compared with.
func OrderOf(t Type) (o Order, ok bool) {
	switch {
	case t.Name == "boolean", isInt(t.Name):
		return Order{kind: 'i'}, true
	case t.Name == "decimal":
		return Order{kind: 'i', scale: t.Scale}, true
	case t.Name == "float64":
		return Order{kind: 'f'}, true
	case t.Name == "varchar", t.Name == "uuid":
		return Order{kind: 's'}, true
	case rank(instants, t.Name) >= 0:
		return Order{kind: 't'}, true
	}
	return Order{}, false
}

// Skip gives the order that tells texts apart behind a common start. It is
// right for texts that do not have it too.
func (o Order) Skip(start string) Order {
	if o.kind == 's' {
		o.skip = start
	}
	return o
}

// Text reports whether the order is one of texts.
func (o Order) Text() bool { return o.kind == 's' }

// Key gives the number of a bound; ok is false when it has none in this order.
func (o Order) Key(b Bound) (key int64, ok bool) {
	if b.kind != o.kind {
		return 0, false
	}
	switch o.kind {
	case 'i':
		return o.exactKey(b), true
	case 'f':
		return floatKey(b.f), true
	case 's':
		return o.textKey(b.s), true
	}
	return timeKey(b.s)
}

// exactKey is the number in units of the last digit that counts, rounded down.
func (o Order) exactKey(b Bound) int64 {
	if b.r == nil && o.scale == 0 {
		return b.i
	}
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(o.scale)), nil)
	r := b.rat()
	n := new(big.Int).Mul(r.Num(), unit)
	n.Div(n, r.Denom()) // the denominator is positive: this rounds down
	switch {
	case n.IsInt64():
		return n.Int64()
	case n.Sign() < 0:
		return math.MinInt64
	}
	return math.MaxInt64
}

// floatKey orders floats by their bits; -0.0 is 0.0.
func floatKey(f float64) int64 {
	if f == 0 {
		return 0
	}
	n := int64(math.Float64bits(f))
	if n < 0 {
		n = math.MinInt64 - n
	}
	return n
}

// textKey is what eight bytes say.
func (o Order) textKey(s string) int64 {
	if rest, ok := strings.CutPrefix(s, o.skip); ok {
		s = rest
	} else if s < o.skip {
		return math.MinInt64
	} else {
		return math.MaxInt64
	}
	var n uint64
	for i := range 8 {
		n <<= 8
		if i < len(s) {
			n |= uint64(s[i])
		}
	}
	return int64(n ^ 1<<63)
}

// timeKey reads the digits of a normalised time, 2026-01-31 10:00:00.123456789,
// up to the fourth of the fraction, as one number.
func timeKey(s string) (int64, bool) {
	if len(s) < 24 || s[13] != ':' || s[16] != ':' || s[19] != '.' {
		return 0, false
	}
	var n int64
	for i := range 24 {
		switch i {
		case 4, 7, 10, 13, 16, 19:
			continue
		}
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int64(s[i]-'0')
	}
	return n, true
}
