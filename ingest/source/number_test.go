package source

import (
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
)

// TestFloatCheck compares the check in whole numbers with printing the float.
func TestFloatCheck(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	fits, misfits := 0, 0
	try := func(text string) {
		n, ok := parseNumber([]byte(text))
		if !ok {
			t.Fatalf("%s is no number", text)
		}
		f, _ := strconv.ParseFloat(text, 64)
		want := n.digits <= 17 && sameDigits([]byte(text), strconv.AppendFloat(nil, f, 'e', max(n.digits, 1)-1, 64)) && !math.IsInf(f, 0)
		if got := n.fitsFloat([]byte(text), 64); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
		if want {
			fits++
		} else {
			misfits++
		}
	}
	for range 300_000 {
		f := math.Float64frombits(rnd.Uint64()>>12 | uint64(1023+rnd.IntN(120)-60)<<52)
		try(strconv.FormatFloat(f, 'f', -1, 64)) // every printed float fits
		try(strconv.FormatFloat(f, 'g', 17, 64))
		digits := strconv.FormatUint(1_000_000_000_000_000+rnd.Uint64()%99_000_000_000_000_000, 10)
		point := rnd.IntN(len(digits) + 1)
		try("0" + digits[:point] + "." + digits[point:] + "1")
	}
	if fits < 500_000 || misfits < 10_000 {
		t.Errorf("%d fit, %d do not: the test is lopsided", fits, misfits)
	}
	for range 10_000 {
		if s := strconv.FormatFloat(math.Float64frombits(rnd.Uint64()), 'g', -1, 64); s != "NaN" && s != "+Inf" && s != "-Inf" {
			n, _ := parseNumber([]byte(s))
			if !n.fitsFloat([]byte(s), 64) {
				t.Errorf("%s is how a float prints, and does not fit", s)
			}
		}
	}
}

func TestFloat32Check(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 100_000 {
		f := math.Float32frombits(rnd.Uint32())
		if s := strconv.FormatFloat(float64(f), 'g', -1, 32); s != "NaN" && s != "+Inf" && s != "-Inf" {
			if n, _ := parseNumber([]byte(s)); !n.fitsFloat([]byte(s), 32) {
				t.Errorf("%s is how a float prints, and does not fit", s)
			}
		}
	}
}
