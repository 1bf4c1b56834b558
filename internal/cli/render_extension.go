package cli

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// extension is an Arrow extension type as it stands in a field's metadata.
type extension struct{ name, data string }

func extensionOf(t arrow.ExtensionType) extension {
	return extension{t.ExtensionName(), t.Serialize()}
}

// newExtension prints what an extension means; an unknown one prints as its
// storage.
func newExtension(name string, x extension, storage arrow.Array) (column, error) {
	c, ok := column{}, false
	switch fixed, _ := storage.(*array.FixedSizeBinary); {
	case x.name == "arrow.uuid" && fixed != nil:
		c, ok = word(func(b []byte, i int) []byte { return appendUUID(b, fixed.Value(i)) })
	case x.name == "arrow.bool8":
		if a, is := storage.(*array.Int8); is {
			c, ok = column{form: formBool, plain: func(b []byte, i int) []byte {
				if a.Value(i) != 0 {
					return append(b, "true"...)
				}
				return append(b, "false"...)
			}}, true
		}
	case x.name == "arrow.opaque":
		if c, ok = newOpaque(opaqueName(x.data), storage); !ok {
			return column{}, unprintable(name, storage.DataType())
		}
	}
	if !ok {
		plain, err := newColumn(arrow.Field{Name: name}, storage)
		if x.name == "arrow.json" && plain.form == formText {
			plain.form = formJSON
		}
		return plain, err
	}
	if storage.NullN() > 0 {
		c.isNull = storage.IsNull
	}
	return c, nil
}

func opaqueName(data string) string {
	var doc struct {
		Name string `json:"type_name"`
	}
	_ = json.Unmarshal([]byte(data), &doc)
	return doc.Name
}

// newOpaque prints the engine's own types, which arrive as its own bytes.
func newOpaque(typeName string, storage arrow.Array) (column, bool) {
	switch a := storage.(type) {
	case *array.FixedSizeBinary:
		width := a.DataType().(*arrow.FixedSizeBinaryType).ByteWidth
		switch {
		case (typeName == "uhugeint" || typeName == "hugeint") && width == 16:
			return column{plain: func(b []byte, i int) []byte {
				return appendWide(b, a.Value(i), typeName == "hugeint")
			}}, true
		case typeName == "time_tz" && width == 8:
			return word(func(b []byte, i int) []byte { return appendTimeTZ(b, binary.LittleEndian.Uint64(a.Value(i))) })
		}
	case *array.Binary:
		if typeName == "bit" {
			return word(func(b []byte, i int) []byte { return appendBits(b, a.Value(i)) })
		}
	}
	return column{}, false
}

func appendUUID(b, v []byte) []byte {
	for i, part := range [][]byte{v[:4], v[4:6], v[6:8], v[8:10], v[10:16]} {
		if i > 0 {
			b = append(b, '-')
		}
		b = hex.AppendEncode(b, part)
	}
	return b
}

// appendWide appends a 128-bit integer that is stored little-endian.
func appendWide(b, v []byte, signed bool) []byte {
	big128 := slices.Clone(v)
	slices.Reverse(big128)
	n := new(big.Int).SetBytes(big128)
	if signed && big128[0] >= 0x80 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), 128))
	}
	return n.Append(b, 10)
}

// appendTimeTZ appends a time with its offset, as 10:00:00+02 or +05:30. The
// engine keeps microseconds in the upper 40 bits and, in the lower 24, its
// largest offset less the offset in seconds.
func appendTimeTZ(b []byte, v uint64) []byte {
	const maxOffset = 16*3600 - 1
	b = appendClock(b, int64(v>>24), 1_000_000)
	offset := maxOffset - int64(v&0xffffff)
	sign := byte('+')
	if offset < 0 {
		sign, offset = '-', -offset
	}
	b = append2(append(b, sign), offset/3600)
	if offset%3600 != 0 {
		b = append2(append(b, ':'), offset/60%60)
	}
	if offset%60 != 0 {
		b = append2(append(b, ':'), offset%60)
	}
	return b
}

// appendBits appends a bit string as 0 and 1; its first byte tells how many
// bits of the second are padding.
func appendBits(b, v []byte) []byte {
	if len(v) == 0 {
		return b
	}
	for k := int(v[0]); k < 8*(len(v)-1); k++ {
		b = append(b, '0'+v[1+k/8]>>(7-k%8)&1)
	}
	return b
}
