package source

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// hasStruct reports whether arrays of the type hold structs.
func hasStruct(t arrow.DataType) bool {
	switch t := t.(type) {
	case arrow.ExtensionType:
		return hasStruct(t.StorageType())
	case *arrow.StructType:
		return true
	case *arrow.DictionaryType:
		return hasStruct(t.ValueType)
	case arrow.NestedType:
		for _, f := range t.Fields() {
			if hasStruct(f.Type) {
				return true
			}
		}
	}
	return false
}

// rebased is a with no struct in it that begins in the middle of its children,
// as slices do: handing such a struct to the engine through Arrow's C
// interface skips the rows twice and yields the values of others. The result
// is the caller's to release.
func rebased(a arrow.Array) arrow.Array {
	d := rebase(a.Data())
	defer d.Release()
	return array.MakeFromData(d)
}

// rebase is rebased for the data of an array.
func rebase(d arrow.ArrayData) arrow.ArrayData {
	t := d.DataType()
	if e, ok := t.(arrow.ExtensionType); ok {
		t = e.StorageType()
	}
	if !hasStruct(t) || t.ID() == arrow.DICTIONARY {
		d.Retain()
		return d
	}
	offset := d.Offset()
	cut := t.ID() == arrow.STRUCT && offset != 0
	children := make([]arrow.ArrayData, len(d.Children()))
	for i, child := range d.Children() {
		if cut {
			child = array.NewSliceData(child, int64(offset), int64(offset+d.Len()))
			defer child.Release()
		}
		children[i] = rebase(child)
		defer children[i].Release()
	}
	buffers := d.Buffers()
	if cut {
		buffers = []*memory.Buffer{bitsFrom(buffers[0], offset, d.Len())}
		offset = 0
	}
	return array.NewData(d.DataType(), d.Len(), buffers, children, d.NullN(), offset)
}

// bitsFrom copies n bits from an offset; nil stays nil.
func bitsFrom(b *memory.Buffer, offset, n int) *memory.Buffer {
	if b == nil || b.Len() == 0 {
		return nil
	}
	bits := make([]byte, bitutil.BytesForBits(int64(n)))
	bitutil.CopyBitmap(b.Bytes(), offset, n, bits, 0)
	return memory.NewBufferBytes(bits)
}
