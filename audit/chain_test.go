package audit

import (
	"slices"
	"strings"
	"testing"
)

// TestVectors is scenario X11.
func TestVectors(t *testing.T) {
	first := BatchHash([]string{"e2", "e1"}, "")
	head := Next(Genesis, first)
	second := BatchHash([]string{"e3"}, strings.Repeat("ab", 32))
	end := Next(head, second)
	for _, v := range []struct{ what, got, want string }{
		{"first batch", first, "afd690b15b4e78be8eedf3eac5829d47d0c745cca55a518b0fbe76fd9f274f9d"},
		{"head after it", head, "ab3baca791c4af3e46c00e0a9be8c5798d48b1811c3314940c1ae71395f0aeb1"},
		{"second batch", second, "7632a37a11eb44a99ac65644d2ad86b224ff7ec3b34b11530dcbecbc6aae2440"},
		{"head after both", end, "85da96a029794fcd4b37ab43097358265b0532478ed328101c2af3f8890f7128"},
		{"Merkle root of it", MerkleRoot(map[string]string{"i1": end}), "a9de38b8475e268d0376e0131a5565e60af5335245c875d822e8c609a9da6662"},
		{"Merkle root of none", MerkleRoot(nil), strings.Repeat("0", 64)},
	} {
		if v.got != v.want {
			t.Errorf("%s: got %s, want %s", v.what, v.got, v.want)
		}
	}
}

func batches() []Batch {
	out := []Batch{{IDs: []string{"a", "b"}}, {IDs: []string{"c"}, FileHash: sum("x")}, {IDs: []string{"d", "e"}}}
	head := Genesis
	for i := range out {
		head = Next(head, BatchHash(out[i].IDs, out[i].FileHash))
		out[i].Head = head
	}
	return out
}

// TestVerifyBatches is scenario X12.
func TestVerifyBatches(t *testing.T) {
	good := batches()
	head := good[2].Head
	if c := VerifyBatches(good, head); !c.Valid || c.Checked != 3 || len(c.Gaps) != 0 || c.Head != head {
		t.Errorf("a good chain: %+v", c)
	}
	changed := batches()
	changed[1].IDs[0] = "z"
	if c := VerifyBatches(changed, head); c.Valid || !slices.Equal(c.Gaps, []int{1}) {
		t.Errorf("an id of batch 1 changed: %+v", c)
	}
	if c := VerifyBatches(good, Genesis); c.Valid || len(c.Gaps) != 0 {
		t.Errorf("another head was expected: %+v", c)
	}
	if c := VerifyBatches(nil, Genesis); !c.Valid || c.Head != Genesis {
		t.Errorf("an empty chain: %+v", c)
	}
}

func TestMerkleRoot(t *testing.T) {
	root := func(heads ...string) string {
		m := map[string]string{}
		for _, h := range heads {
			m[h[:1]] = h
		}
		return MerkleRoot(m)
	}
	want := sum(sum(sum("a1")+sum("b2")) + sum(sum("c3")+sum("c3")))
	for _, order := range [][]string{{"a1", "b2", "c3"}, {"c3", "a1", "b2"}, {"b2", "c3", "a1"}} {
		if got := root(order...); got != want {
			t.Errorf("%v: got %s, want %s", order, got, want)
		}
	}
	if root("a1", "b2") == root("a1", "b3") {
		t.Error("another head, the same root")
	}
}
