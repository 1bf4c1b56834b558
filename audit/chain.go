// Package audit is the hash-chained log of who did and read what.
//
// The records of one SuperTable form one chain, whoever and however many
// processes append to it: the hash of each covers its content, its number and
// the hash before it, so that nothing can be edited, left out, put in or moved
// without breaking a link. Changes are recorded in their own transaction
// (Recorder), reads and denials through a queue (Log); Verify walks the chain.
package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
)

// Genesis is the head of a chain that has no link yet.
const Genesis = "0000000000000000000000000000000000000000000000000000000000000000"

func sum(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}

// BatchHash is the hash of a batch of records: SHA-256 of their sorted ids
// joined by line feeds, a line feed, and the hash of the bytes that hold them
// ("" when there are none).
func BatchHash(ids []string, fileHash string) string {
	ids = slices.Sorted(slices.Values(ids))
	return sum(strings.Join(ids, "\n") + "\n" + fileHash)
}

// Next is the head after a batch. All hashes are lower-case hex text, and as
// text they are joined and hashed again.
func Next(head, batch string) string { return sum(head + batch) }

// MerkleRoot unites the heads of several chains, in the order of their ids:
// the leaves are the hashes of the heads, an odd one out pairs with itself.
// The root of none is Genesis.
func MerkleRoot(heads map[string]string) string {
	level := make([]string, 0, len(heads))
	for _, id := range slices.Sorted(maps.Keys(heads)) {
		level = append(level, sum(heads[id]))
	}
	if len(level) == 0 {
		return Genesis
	}
	for len(level) > 1 {
		var up []string
		for pair := range slices.Chunk(level, 2) {
			up = append(up, sum(pair[0]+pair[len(pair)-1]))
		}
		level = up
	}
	return level[0]
}

// Batch is one link of a chain: what it covers and the head after it.
type Batch struct {
	IDs      []string
	FileHash string
	Head     string
}

// Chain is what was found about a chain of batches.
type Chain struct {
	Valid   bool
	Checked int    // batches
	Gaps    []int  // the batches that do not follow from what is before them
	Head    string // as it follows from the last batch
}

// VerifyBatches walks a chain from Genesis; head is what its end should be.
// After a broken link it goes on from the head that the link itself claims.
func VerifyBatches(batches []Batch, head string) Chain {
	c := Chain{Head: Genesis}
	before := Genesis
	for i, b := range batches {
		c.Head = Next(before, BatchHash(b.IDs, b.FileHash))
		if c.Head != b.Head {
			c.Gaps = append(c.Gaps, i)
		}
		before = b.Head
		c.Checked++
	}
	c.Valid = len(c.Gaps) == 0 && c.Head == head
	return c
}
