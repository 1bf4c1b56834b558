package source

import (
	"encoding/binary"
	"errors"
	"io"
	"os"

	flatbuffers "github.com/google/flatbuffers/go"
)

// The slots of the flatbuffer tables of Arrow's IPC format that hold the
// schema, as vtable offsets: 4 + 2 × the number of the field.
const (
	slotFooterSchema   = 4 + 2*1
	slotMessageHeader  = 4 + 2*2
	slotSchemaFields   = 4 + 2*1
	slotSchemaMeta     = 4 + 2*2
	slotFieldTypeID    = 4 + 2*2
	slotFieldType      = 4 + 2*3
	slotFieldChildren  = 4 + 2*5
	slotFieldMeta      = 4 + 2*6
	slotUnionTypeIDs   = 4 + 2*1
	arrowUnion         = 14
	arrowMaxSchemaSize = 256 << 20
)

var errSchema = errors.New("the schema is damaged")

// verifySchema looks at the schema of an IPC file or stream before the reader
// does: that one allocates whatever number of fields a damaged file claims,
// which no recover stops.
func verifySchema(f *os.File, size int64, file bool) error {
	var at, length int64
	if file {
		tail := make([]byte, 10)
		if _, err := f.ReadAt(tail, size-10); err != nil {
			return io.ErrUnexpectedEOF
		}
		length = int64(int32(binary.LittleEndian.Uint32(tail)))
		at = size - 10 - length
	} else {
		head := make([]byte, 8)
		if _, err := f.ReadAt(head, 0); err != nil {
			return io.ErrUnexpectedEOF
		}
		at, length = 4, int64(int32(binary.LittleEndian.Uint32(head)))
		if length == -1 { // the continuation mark of newer writers
			at, length = 8, int64(int32(binary.LittleEndian.Uint32(head[4:])))
		}
	}
	if length < 8 || length > arrowMaxSchemaSize || at < 0 || at+length > size {
		return errSchema
	}
	meta := make([]byte, length)
	if _, err := f.ReadAt(meta, at); err != nil {
		return errSchema
	}
	slot := flatbuffers.VOffsetT(slotMessageHeader)
	if file {
		slot = slotFooterSchema
	}
	return verifyRoot(meta, slot)
}

// verifyRoot follows a slot of the root table to the schema and checks it.
func verifyRoot(meta []byte, slot flatbuffers.VOffsetT) (err error) {
	defer func() {
		if recover() != nil { // an offset beyond the bytes
			err = errSchema
		}
	}()
	root := flatbuffers.Table{Bytes: meta, Pos: flatbuffers.GetUOffsetT(meta)}
	schema, ok := inner(&root, slot)
	if !ok {
		return errSchema
	}
	v := schemaVerifier{budget: len(meta)}
	v.vector(schema, slotSchemaMeta)
	return v.fields(schema, slotSchemaFields, 0)
}

// inner is the table that a slot refers to.
func inner(t *flatbuffers.Table, slot flatbuffers.VOffsetT) (*flatbuffers.Table, bool) {
	o := flatbuffers.UOffsetT(t.Offset(slot))
	if o == 0 {
		return nil, false
	}
	return &flatbuffers.Table{Bytes: t.Bytes, Pos: t.Indirect(t.Pos + o)}, true
}

// schemaVerifier counts what a reader would allocate.
type schemaVerifier struct {
	budget int // elements that the bytes can hold at most
	err    error
}

// vector checks the length of a vector of offsets or numbers.
func (v *schemaVerifier) vector(t *flatbuffers.Table, slot flatbuffers.VOffsetT) (start flatbuffers.UOffsetT, n int) {
	o := flatbuffers.UOffsetT(t.Offset(slot))
	if o == 0 {
		return 0, 0
	}
	n = t.VectorLen(o)
	start = t.Vector(o)
	if v.budget -= n; n < 0 || v.budget < 0 || int64(start)+4*int64(n) > int64(len(t.Bytes)) {
		v.err = errSchema
		return 0, 0
	}
	return start, n
}

func (v *schemaVerifier) fields(t *flatbuffers.Table, slot flatbuffers.VOffsetT, depth int) error {
	start, n := v.vector(t, slot)
	if depth > maxTypeDepth {
		return errSchema
	}
	for i := range n {
		at := start + flatbuffers.UOffsetT(4*i)
		f := &flatbuffers.Table{Bytes: t.Bytes, Pos: t.Indirect(at)}
		v.vector(f, slotFieldMeta)
		if o := flatbuffers.UOffsetT(f.Offset(slotFieldTypeID)); o != 0 && f.GetByte(f.Pos+o) == arrowUnion {
			if u, ok := inner(f, slotFieldType); ok {
				v.vector(u, slotUnionTypeIDs)
			}
		}
		if err := v.fields(f, slotFieldChildren, depth+1); err != nil {
			return err
		}
	}
	return v.err
}
