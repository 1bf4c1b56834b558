package catalog

import (
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"slices"
	"time"

	"github.com/mattn/go-sqlite3"
)

// The log is a row of segments, log/<first record>.log:
//
//	header   "STLOG001" | first record u64 | chain u32 | checksum u32
//	record   length u32 | checksum u32 | number u64 | body
//	end      eight zero bytes, written with each record and over by the next one
//
// A record is one transaction: the statements that changed something, with
// their arguments, in order. Its checksum (CRC-32C) runs over the checksum of
// the record before it too, so that what an older, longer record left behind
// cannot pass for the next one. Numbers grow by one.
const (
	logMagic      = "STLOG001"
	logHeaderSize = 24
	logRecordHead = 16
	logEndSize    = 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// logPosition is a place in the log: behind record seq.
type logPosition struct {
	seq     int64
	segment int64 // 0: no log yet
	place   int64
	sum     uint32
}

// logged is one statement of a record.
type logged struct {
	sql      string
	args     []driver.NamedValue
	affected int64 // rows, -1 for statements that count none
}

func segmentHeader(first int64, chain uint32) []byte {
	b := append(make([]byte, 0, logHeaderSize), logMagic...)
	b = binary.LittleEndian.AppendUint64(b, uint64(first))
	b = binary.LittleEndian.AppendUint32(b, chain)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// readSegmentHeader gives the chain that the segment starts with.
func readSegmentHeader(b []byte, first int64) (chain uint32, ok bool) {
	if len(b) < logHeaderSize {
		return 0, false
	}
	chain = binary.LittleEndian.Uint32(b[16:])
	return chain, slices.Equal(b[:logHeaderSize], segmentHeader(first, chain))
}

// sealRecord fills in the head of a record whose body stands behind it, and
// adds the end mark. It gives the chain behind the record.
func sealRecord(b []byte, seq int64, chain uint32) ([]byte, uint32) {
	binary.LittleEndian.PutUint32(b, uint32(len(b)-logRecordHead))
	binary.LittleEndian.PutUint64(b[8:], uint64(seq))
	sum := recordSum(b, chain)
	binary.LittleEndian.PutUint32(b[4:], sum)
	return append(b, make([]byte, logEndSize)...), sum
}

func recordSum(b []byte, chain uint32) uint32 {
	before := binary.LittleEndian.AppendUint32(nil, chain)
	sum := crc32.Update(crc32.Checksum(before, castagnoli), castagnoli, b[:4])
	return crc32.Update(sum, castagnoli, b[8:])
}

// nextRecord looks at the record at the beginning of b. whole is false when
// none stands there; end tells then that this is where the log was ended
// properly.
func nextRecord(b []byte, seq int64, chain uint32) (body []byte, sum uint32, whole, end bool) {
	if len(b) == 0 || len(b) >= logEndSize && binary.LittleEndian.Uint64(b) == 0 {
		return nil, 0, false, true
	}
	if len(b) < logRecordHead {
		return nil, 0, false, false
	}
	n := int64(binary.LittleEndian.Uint32(b)) + logRecordHead
	if n > int64(len(b)) || int64(binary.LittleEndian.Uint64(b[8:])) != seq {
		return nil, 0, false, false
	}
	sum = recordSum(b[:n], chain)
	if binary.LittleEndian.Uint32(b[4:]) != sum {
		return nil, 0, false, false
	}
	return b[logRecordHead:n], sum, true, false
}

// The kinds of arguments.
const (
	argNull byte = iota
	argInt
	argFloat
	argText
	argBlob
)

// appendStatement adds a statement to the body of a record.
func appendStatement(b []byte, s logged) ([]byte, error) {
	b = appendBytes(b, s.sql)
	b = binary.AppendVarint(b, s.affected)
	b = binary.AppendUvarint(b, uint64(len(s.args)))
	for _, a := range s.args {
		b = appendBytes(b, a.Name)
		switch v := a.Value.(type) {
		case nil:
			b = append(b, argNull)
		case int64:
			b = binary.AppendVarint(append(b, argInt), v)
		case bool:
			n := int64(0)
			if v {
				n = 1
			}
			b = binary.AppendVarint(append(b, argInt), n)
		case float64:
			b = binary.LittleEndian.AppendUint64(append(b, argFloat), math.Float64bits(v))
		case string:
			b = appendBytes(append(b, argText), v)
		case []byte:
			if v == nil {
				b = append(b, argNull)
			} else {
				b = appendBytes(append(b, argBlob), string(v))
			}
		case time.Time: // as the driver binds it
			b = appendBytes(append(b, argText), v.Format(sqlite3.SQLiteTimestampFormats[0]))
		default:
			return nil, errors.New("an argument of a kind that the log does not know")
		}
	}
	return b, nil
}

func appendBytes(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

var errRecord = errors.New("a record of the log is not what was written")

// statements reads the body of a record.
func statements(body []byte) ([]logged, error) {
	r := recordReader{b: body}
	var out []logged
	for len(r.b) > 0 && !r.bad {
		s := logged{sql: r.text(), affected: r.varint()}
		n := r.uvarint()
		if n > uint64(len(r.b)) {
			return nil, errRecord
		}
		for i := range n {
			s.args = append(s.args, driver.NamedValue{Ordinal: int(i) + 1, Name: r.text(), Value: r.value()})
		}
		out = append(out, s)
	}
	if r.bad {
		return nil, errRecord
	}
	return out, nil
}

type recordReader struct {
	b   []byte
	bad bool
}

func (r *recordReader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *recordReader) skip(n int) bool {
	if n <= 0 {
		r.bad, r.b = true, nil
		return false
	}
	r.b = r.b[n:]
	return true
}

func (r *recordReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if !r.skip(n) {
		return 0
	}
	return v
}

func (r *recordReader) varint() int64 {
	v, n := binary.Varint(r.b)
	if !r.skip(n) {
		return 0
	}
	return v
}

func (r *recordReader) text() string { return string(r.take(r.uvarint())) }

func (r *recordReader) value() driver.Value {
	kind := r.take(1)
	if len(kind) == 0 {
		return nil
	}
	switch kind[0] {
	case argNull:
		return nil
	case argInt:
		return r.varint()
	case argFloat:
		if b := r.take(8); len(b) == 8 {
			return math.Float64frombits(binary.LittleEndian.Uint64(b))
		}
	case argText:
		return r.text()
	case argBlob:
		return append([]byte{}, r.take(r.uvarint())...)
	}
	r.bad = true
	return nil
}
