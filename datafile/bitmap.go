package datafile

import "math/bits"

// Bitmap is a set of row positions of one file: bit i of word i/64 is row i.
// Nil is the empty set. A shared bitmap is never changed; Clone it first.
type Bitmap []uint64

// NewBitmap makes an empty set for a file of n rows.
func NewBitmap(n int64) Bitmap { return make(Bitmap, (n+63)/64) }

// Set adds row i; it reports whether the row was new.
func (b Bitmap) Set(i int64) bool {
	w, m := i/64, uint64(1)<<(i%64)
	if b[w]&m != 0 {
		return false
	}
	b[w] |= m
	return true
}

// Has reports whether row i is in the set.
func (b Bitmap) Has(i int64) bool {
	return i/64 < int64(len(b)) && b[i/64]&(1<<(i%64)) != 0
}

// Count is the number of rows in the set.
func (b Bitmap) Count() int64 {
	n := 0
	for _, w := range b {
		n += bits.OnesCount64(w)
	}
	return int64(n)
}

// Below is the number of rows in the set that are below n.
func (b Bitmap) Below(n int64) int64 {
	if whole := n / 64; whole < int64(len(b)) {
		return b[:whole].Count() + int64(bits.OnesCount64(b[whole]&(1<<(n%64)-1)))
	}
	return b.Count()
}

// Clone copies the set.
func (b Bitmap) Clone() Bitmap { return append(Bitmap(nil), b...) }

// With gives the rows of b and those of o; both are of one file.
func (b Bitmap) With(o Bitmap) Bitmap {
	if len(b) < len(o) {
		b, o = o, b
	}
	out := b.Clone()
	for i := range o {
		out[i] |= o[i]
	}
	return out
}

// Without gives the rows of b that are not in o.
func (b Bitmap) Without(o Bitmap) Bitmap {
	out := b.Clone()
	for i := range min(len(out), len(o)) {
		out[i] &^= o[i]
	}
	return out
}

// Positions lists the rows in order.
func (b Bitmap) Positions() []int64 {
	out := make([]int64, 0, b.Count())
	for w, word := range b {
		for ; word != 0; word &= word - 1 {
			out = append(out, int64(w)*64+int64(bits.TrailingZeros64(word)))
		}
	}
	return out
}

// Complement has the rows below n that b has not.
func (b Bitmap) Complement(n int64) Bitmap {
	out := NewBitmap(n)
	for i := range n {
		if !b.Has(i) {
			out.Set(i)
		}
	}
	return out
}
