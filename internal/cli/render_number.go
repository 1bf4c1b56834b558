package cli

import (
	"math"
	"math/big"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// newNumber makes the printer of an array of numbers.
func newNumber(a arrow.Array) (column, bool) {
	switch a := a.(type) {
	case *array.Int8:
		return signed(a.Int8Values()), true
	case *array.Int16:
		return signed(a.Int16Values()), true
	case *array.Int32:
		return signed(a.Int32Values()), true
	case *array.Int64:
		return signed(a.Int64Values()), true
	case *array.Uint8:
		return unsigned(a.Uint8Values()), true
	case *array.Uint16:
		return unsigned(a.Uint16Values()), true
	case *array.Uint32:
		return unsigned(a.Uint32Values()), true
	case *array.Uint64:
		return unsigned(a.Uint64Values()), true
	case *array.Float16:
		return column{plain: func(b []byte, i int) []byte { return appendFloat(b, float64(a.Value(i).Float32()), 32) }}, true
	case *array.Float32:
		return column{plain: func(b []byte, i int) []byte { return appendFloat(b, float64(a.Value(i)), 32) }}, true
	case *array.Float64:
		return column{plain: func(b []byte, i int) []byte { return appendFloat(b, a.Value(i), 64) }}, true
	}
	return newDecimal(a)
}

func signed[T int8 | int16 | int32 | int64](values []T) column {
	return column{plain: func(b []byte, i int) []byte { return strconv.AppendInt(b, int64(values[i]), 10) }}
}

func unsigned[T uint8 | uint16 | uint32 | uint64](values []T) column {
	return column{plain: func(b []byte, i int) []byte { return strconv.AppendUint(b, uint64(values[i]), 10) }}
}

// appendFloat appends the shortest text that reads back as f, valid in JSON
// when f is finite: 0.1, 2, -0.0, 1e+22, NaN, -Infinity.
func appendFloat(b []byte, f float64, bits int) []byte {
	switch {
	case f == 0 && math.Signbit(f): // readers take -0 for the integer, which has no sign
		return append(b, "-0.0"...)
	case math.IsNaN(f):
		return append(b, "NaN"...)
	case math.IsInf(f, 1):
		return append(b, "Infinity"...)
	case math.IsInf(f, -1):
		return append(b, "-Infinity"...)
	}
	verb := byte('f')
	if size := math.Abs(f); size != 0 && (size < 1e-6 || size >= 1e21) {
		verb = 'e'
	}
	return strconv.AppendFloat(b, f, verb, -1, bits)
}

func newDecimal(a arrow.Array) (column, bool) {
	scale := func() int { return int(a.DataType().(arrow.DecimalType).GetScale()) }
	switch a := a.(type) {
	case *array.Decimal32:
		s := scale()
		return column{plain: func(b []byte, i int) []byte { return appendDecimal64(b, int64(a.Value(i)), s) }}, true
	case *array.Decimal64:
		s := scale()
		return column{plain: func(b []byte, i int) []byte { return appendDecimal64(b, int64(a.Value(i)), s) }}, true
	case *array.Decimal128:
		s := scale()
		return column{plain: func(b []byte, i int) []byte {
			v := a.Value(i)
			if low := int64(v.LowBits()); v.HighBits() == low>>63 {
				return appendDecimal64(b, low, s)
			}
			return appendDecimalBig(b, v.BigInt(), s)
		}}, true
	case *array.Decimal256:
		s := scale()
		return column{plain: func(b []byte, i int) []byte { return appendDecimalBig(b, a.Value(i).BigInt(), s) }}, true
	}
	return column{}, false
}

func appendDecimal64(b []byte, v int64, scale int) []byte {
	var digits [20]byte
	u := uint64(v)
	if v < 0 {
		u = -u
	}
	return appendDecimalDigits(b, v < 0, strconv.AppendUint(digits[:0], u, 10), scale)
}

func appendDecimalBig(b []byte, v *big.Int, scale int) []byte {
	return appendDecimalDigits(b, v.Sign() < 0, new(big.Int).Abs(v).Append(nil, 10), scale)
}

// appendDecimalDigits puts the point scale digits before the end, and all
// digits of the scale behind it.
func appendDecimalDigits(b []byte, negative bool, digits []byte, scale int) []byte {
	if negative {
		b = append(b, '-')
	}
	if scale <= 0 {
		b = append(b, digits...)
		for ; scale < 0 && string(digits) != "0"; scale++ {
			b = append(b, '0')
		}
		return b
	}
	if whole := len(digits) - scale; whole > 0 {
		b = append(b, digits[:whole]...)
		digits = digits[whole:]
	} else {
		b = append(b, '0')
	}
	b = append(b, '.')
	for range scale - len(digits) {
		b = append(b, '0')
	}
	return append(b, digits...)
}
