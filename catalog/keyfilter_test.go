package catalog

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

func randomHashes(r *rand.Rand, n int) []uint64 {
	out := make([]uint64, n)
	for i := range out {
		out[i] = r.Uint64()
	}
	return out
}

// TestKeyFilterLacksNoKey holds the one promise of a filter, for all shapes of
// sets: whatever was put in is found; of what was not, hardly anything is.
func TestKeyFilterLacksNoKey(t *testing.T) {
	r := rand.New(rand.NewPCG(seed(t), 5))
	sizes := []int{0, 1, 2, 3, 4, 5, 10, 31, 32, 33, 100, 1000, 4096, 100_000}
	if !testing.Short() {
		sizes = append(sizes, 3*shardKeys)
	}
	for _, n := range sizes {
		for _, perShard := range []int{7, 1000, shardKeys} {
			keys := randomHashes(r, n)
			switch r.IntN(3) {
			case 0: // many of them twice and more
				for i := range keys {
					keys[i] = keys[r.IntN(i+1)]
				}
			case 1: // of few shards
				for i := range keys {
					keys[i] &= 0xff00_ffff_ffff_ffff
				}
			}
			if n > 2 {
				keys[0], keys[1] = 0, ^uint64(0)
			}
			f, err := newKeyFilter(slices.Clone(keys), perShard)
			if err != nil {
				t.Fatalf("%d keys: %v", n, err)
			}
			again, ok := parseKeyFilter(slices.Clone(f.body))
			if !ok {
				t.Fatalf("%d keys: not read again", n)
			}
			for _, h := range keys {
				if !f.mayHold(h) || !again.mayHold(h) || !f.MayHoldAny([]uint64{h}) {
					t.Fatalf("%d keys, %d per shard: %x is lost", n, perShard, h)
				}
			}
			const others = 20_000
			wrong := 0
			for range others {
				if f.mayHold(r.Uint64()) {
					wrong++
				}
			}
			if wrong > others/100 {
				t.Errorf("%d keys: %d of %d others are held for keys", n, wrong, others)
			}
			if n >= 1000 && perShard == shardKeys && len(f.body) > n*14/8+100 {
				t.Errorf("%d keys take %d bytes", n, len(f.body))
			}
		}
	}
}

// TestKeyFilterOfGarbage reads filters out of bytes that are none: they are
// refused, or can be asked.
func TestKeyFilterOfGarbage(t *testing.T) {
	r := rand.New(rand.NewPCG(seed(t), 6))
	good, err := newKeyFilter(randomHashes(r, 500), 64)
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for range 20_000 {
		b := slices.Clone(good.body)
		switch r.IntN(3) {
		case 0:
			b = b[:r.IntN(len(b))]
		case 1:
			b = append(b, b[:1+r.IntN(20)]...)
		}
		for range r.IntN(4) {
			if len(b) > 0 {
				b[r.IntN(min(len(b), 64))] = byte(r.Uint32())
			}
		}
		f, ok := parseKeyFilter(b)
		if !ok {
			refused++
			continue
		}
		for range 10 {
			f.mayHold(r.Uint64())
		}
	}
	if refused == 0 {
		t.Error("nothing was refused")
	}
}

func TestKeyCacheIsBounded(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	c := keyCache{limit: 20_000}
	for i := range 200 {
		f, err := NewKeyFilter(randomHashes(r, 200+r.IntN(800)))
		if err != nil {
			t.Fatal(err)
		}
		c.put("s", FilteredFile{Records: int64(i)}, f)
		c.put("s", FilteredFile{Records: int64(i)}, f) // once more changes nothing
		if c.get("s", FilteredFile{Records: 0}) == nil && i < 3 {
			t.Fatal("what is used goes first")
		}
		sum := 0
		for e := c.order.Front(); e != nil; e = e.Next() {
			sum += cost(e.Value.(*cachedFilter).filter)
		}
		if sum != c.bytes || c.bytes > c.limit || len(c.byKey) != c.order.Len() {
			t.Fatalf("%d bytes counted, %d there, %d allowed", c.bytes, sum, c.limit)
		}
	}
	if c.get("s", FilteredFile{Records: 199}) == nil || c.get("s", FilteredFile{Records: 100}) != nil || c.get("t", FilteredFile{Records: 199}) != nil {
		t.Error("the cache has others than the newest")
	}
	big, err := NewKeyFilter(randomHashes(r, 100_000))
	if err != nil {
		t.Fatal(err)
	}
	c.put("s", FilteredFile{Rel: "big"}, big)
	if c.get("s", FilteredFile{Rel: "big"}) != nil || c.get("s", FilteredFile{Records: 199}) == nil {
		t.Error("one filter that is too large empties the cache")
	}
}

func BenchmarkNewKeyFilter(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1000, 20_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			keys := randomHashes(r, n)
			for b.Loop() {
				if _, err := NewKeyFilter(slices.Clone(keys)); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/key")
		})
	}
}
