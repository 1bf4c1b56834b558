package catalog

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"slices"

	"github.com/FastFilter/xorfilter"
)

// KeyFilter tells of a key, by its hash, that a data file surely lacks it: it
// answers "may hold" for every key of the file, and for one in 256 of the others
// (docs/adr/0015). It has about nine bits a key and never changes, as the file.
//
// Many keys lie in several shards by the highest bits of their hashes, so that
// making it takes little memory beside the hashes.
type KeyFilter struct {
	body   []byte // as it is stored; the shards point into it
	shards []xorfilter.BinaryFuse[uint8]
	drop   int // by how many bits a hash is shifted to give its shard
}

const (
	keyFilterVersion = 1
	// shardKeys is about how many keys a shard has at most.
	shardKeys = 1 << 18
	// maxShardBits bounds what is believed of a stored filter.
	maxShardBits = 16

	shardHeader = 20 // seed, segment length, segment count, number of fingerprints
)

// NewKeyFilter makes the filter of some hashes, in any order and some of them
// twice. It may put them into another order.
func NewKeyFilter(hashes []uint64) (*KeyFilter, error) {
	return newKeyFilter(hashes, shardKeys)
}

func newKeyFilter(hashes []uint64, perShard int) (*KeyFilter, error) {
	hashes = slices.Compact(sortHashes(hashes))
	shardBits := min(maxShardBits, bits.Len(uint(max(0, len(hashes)-1)/perShard)))
	body := []byte{keyFilterVersion, byte(shardBits)}
	var build xorfilter.BinaryFuseBuilder
	rest := hashes
	for s := range 1 << shardBits {
		n := len(rest)
		if last := s == 1<<shardBits-1; !last {
			n, _ = slices.BinarySearch(rest, uint64(s+1)<<(64-shardBits))
		}
		var err error
		if body, err = appendShard(body, &build, rest[:n]); err != nil {
			return nil, err
		}
		rest = rest[n:]
	}
	f, ok := parseKeyFilter(body)
	if !ok {
		return nil, errors.New("a key filter that was made cannot be read")
	}
	for _, h := range hashes { // one that were missing would be written twice
		if !f.mayHold(h) {
			return nil, errors.New("a key filter lacks one of its keys")
		}
	}
	return f, nil
}

// sortHashes sorts numbers that are spread evenly: each goes to its place by its
// highest bits, a few beside each other, and those are sorted.
func sortHashes(hashes []uint64) []uint64 {
	width := bits.Len(uint(len(hashes) / 8))
	if width < 4 {
		slices.Sort(hashes)
		return hashes
	}
	drop := 64 - width
	ends := make([]uint32, 1<<width+1) // ends[b] is where the numbers of b begin, and then where they end
	for _, h := range hashes {
		ends[h>>drop+1]++
	}
	for b := 1; b < len(ends); b++ {
		ends[b] += ends[b-1]
	}
	out := make([]uint64, len(hashes))
	for _, h := range hashes {
		b := h >> drop
		out[ends[b]] = h
		ends[b]++
	}
	from := uint32(0)
	for _, end := range ends[:1<<width] {
		slices.Sort(out[from:end])
		from = end
	}
	return out
}

// appendShard writes a shard: only its size, 0, when it has no key.
func appendShard(body []byte, build *xorfilter.BinaryFuseBuilder, hashes []uint64) ([]byte, error) {
	if len(hashes) == 0 {
		return binary.LittleEndian.AppendUint32(body, 0), nil
	}
	s, err := xorfilter.BuildBinaryFuse[uint8](build, hashes)
	if err != nil {
		return nil, err
	}
	body = binary.LittleEndian.AppendUint32(body, uint32(len(s.Fingerprints)))
	body = binary.LittleEndian.AppendUint64(body, s.Seed)
	body = binary.LittleEndian.AppendUint32(body, s.SegmentLength)
	body = binary.LittleEndian.AppendUint32(body, s.SegmentCount)
	return append(body, s.Fingerprints...), nil
}

// parseKeyFilter reads a stored filter. Whatever the bytes are, the filter
// that it gives can be asked.
func parseKeyFilter(body []byte) (*KeyFilter, bool) {
	if len(body) < 2 || body[0] != keyFilterVersion || body[1] > maxShardBits {
		return nil, false
	}
	f := &KeyFilter{body: body, drop: 64 - int(body[1]), shards: make([]xorfilter.BinaryFuse[uint8], 0, 1<<body[1])}
	rest := body[2:]
	for range 1 << body[1] {
		s, n, ok := parseShard(rest)
		if !ok {
			return nil, false
		}
		f.shards, rest = append(f.shards, s), rest[n:]
	}
	return f, len(rest) == 0
}

func parseShard(b []byte) (s xorfilter.BinaryFuse[uint8], size int, ok bool) {
	if len(b) < 4 {
		return s, 0, false
	}
	n := uint64(binary.LittleEndian.Uint32(b))
	if n == 0 {
		return s, 4, true
	}
	if uint64(len(b)) < shardHeader+n {
		return s, 0, false
	}
	s.Seed = binary.LittleEndian.Uint64(b[4:])
	s.SegmentLength = binary.LittleEndian.Uint32(b[12:])
	s.SegmentCount = binary.LittleEndian.Uint32(b[16:])
	// A key looks into three segments that follow each other.
	if bits.OnesCount32(s.SegmentLength) != 1 || s.SegmentCount == 0 || uint64(s.SegmentLength)*(uint64(s.SegmentCount)+2) != n {
		return s, 0, false
	}
	s.SegmentLengthMask = s.SegmentLength - 1
	s.SegmentCountLength = s.SegmentLength * s.SegmentCount
	s.Fingerprints = b[shardHeader : shardHeader+n : shardHeader+n]
	return s, shardHeader + int(n), true
}

func (f *KeyFilter) mayHold(hash uint64) bool {
	s := &f.shards[hash>>f.drop] // a shift by 64 gives 0
	return len(s.Fingerprints) > 0 && s.Contains(hash)
}

// MayHoldAny reports whether the file may hold a key with one of the hashes.
func (f *KeyFilter) MayHoldAny(hashes []uint64) bool { return slices.ContainsFunc(hashes, f.mayHold) }
