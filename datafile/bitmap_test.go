package datafile

import (
	"math/rand/v2"
	"testing"
)

func TestBitmapBelow(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 5))
	for range 50 {
		size := r.Int64N(300)
		b := NewBitmap(size)
		for range r.IntN(100) {
			if size > 0 {
				b.Set(r.Int64N(size))
			}
		}
		for n := range size + 70 {
			want := int64(0)
			for i := range n {
				if b.Has(i) {
					want++
				}
			}
			if got := b.Below(n); got != want {
				t.Fatalf("%d rows below %d of %d, want %d", got, n, size, want)
			}
		}
	}
}
