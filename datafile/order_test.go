package datafile

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestOrderKeepsOrder: for any two bounds of a type that compare, the keys do
// not compare the other way round.
func TestOrderKeepsOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 1))
	digits := func(n int) string {
		s := strings.Builder{}
		for range 1 + r.IntN(n) {
			s.WriteByte(byte('0' + r.IntN(10)))
		}
		return s.String()
	}
	sign := func(s string) string { return strings.Repeat("-", r.IntN(2)) + s }
	day := func() string { return fmt.Sprintf("%04d-%02d-%02d", 1+r.IntN(9999), 1+r.IntN(12), 1+r.IntN(28)) }
	text := func() string {
		b := []byte(strings.Repeat("order-", r.IntN(3)))
		for range r.IntN(12) {
			b = append(b, byte(r.IntN(256)))
		}
		return string(b)
	}
	for name, make := range map[string]func() string{
		"int64": func() string { return sign(digits(18)) }, "uint64": func() string { return digits(20) },
		"decimal(38,4)": func() string { return sign(digits(34) + "." + digits(4)) },
		"float64": func() string {
			return fmt.Sprint([]float64{r.NormFloat64(), r.ExpFloat64() * 1e300, math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1), -r.ExpFloat64() * 1e-310}[r.IntN(7)])
		},
		"varchar": text, "uuid": text, "boolean": func() string { return []string{"true", "false", "0", "1"}[r.IntN(4)] },
		"date": day, "timestamp": func() string {
			return day() + fmt.Sprintf(" %02d:%02d:%02d.%s", r.IntN(24), r.IntN(60), r.IntN(60), digits(6))
		},
	} {
		typ, err := ParseLake(name)
		if err != nil {
			t.Fatal(err)
		}
		order, ok := OrderOf(typ)
		if !ok {
			t.Fatalf("%s has no order", name)
		}
		equal := 0
		for range 20_000 {
			a, ok1 := ParseBound(typ, make())
			b, ok2 := ParseBound(typ, make())
			if !ok1 || !ok2 {
				t.Fatalf("%s: a text that was made has no bound", name)
			}
			o := order.Skip([]string{"", "order-", "order-order-", "p"}[r.IntN(4)])
			ka, ok1 := o.Key(a)
			kb, ok2 := o.Key(b)
			if !ok1 || !ok2 {
				t.Fatalf("%s: no key for %+v or %+v", name, a, b)
			}
			if ka == kb {
				equal++
			}
			if c, ok := a.Compare(b); !ok || c < 0 && ka > kb || c > 0 && ka < kb || c == 0 && ka != kb {
				t.Fatalf("%s: %+v and %+v compare %d, their keys are %d and %d", name, a, b, c, ka, kb)
			}
		}
		if equal > 15_000 {
			t.Errorf("%s: %d of 20000 pairs have one key", name, equal)
		}
	}
	if _, ok := OrderOf(Type{Name: "blob"}); ok {
		t.Error("blobs have an order")
	}
}
