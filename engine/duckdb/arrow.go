package duckdb

/*
#include <stdint.h>
#include <stdlib.h>

// What duckdb-go-bindings hides behind a build tag, or does not show. Handles
// are opaque pointers; the symbol comes with the library the bindings link.
struct ArrowArray;
typedef struct { double percentage; uint64_t done, total; } st_progress;

extern void *duckdb_data_chunk_to_arrow(void *options, void *chunk, struct ArrowArray *out);
*/
import "C"

import (
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/cdata"
	"github.com/apache/arrow-go/v18/arrow/memory"
	bindings "github.com/duckdb/duckdb-go-bindings"

	"github.com/supertable-go/supertable/engine"
)

// columns is the shape of a result: the schema it arrives with and the one it
// leaves with.
type columns struct {
	wire, out *arrow.Schema
}

func resultColumns(result *bindings.Result) (columns, error) {
	n := int(bindings.ColumnCount(result))
	wire, out := make([]arrow.Field, n), make([]arrow.Field, n)
	for i := range n {
		e, err := exportedType(bindings.ColumnLogicalType(result, bindings.IdxT(i)))
		if err != nil {
			return columns{}, err
		}
		name := bindings.ColumnName(result, bindings.IdxT(i))
		wire[i] = e.field(name, e.wire)
		out[i] = e.field(name, e.out)
	}
	return columns{arrow.NewSchema(wire, nil), arrow.NewSchema(out, nil)}, nil
}

// importChunk turns a chunk into a batch with memory of its own. The batch is
// the caller's.
func (c columns) importChunk(options bindings.ArrowOptions, chunk bindings.DataChunk) (arrow.RecordBatch, error) {
	out := (*cdata.CArrowArray)(C.calloc(1, C.size_t(unsafe.Sizeof(cdata.CArrowArray{}))))
	defer C.free(unsafe.Pointer(out))
	err := takeError(C.duckdb_data_chunk_to_arrow(options.Ptr, chunk.Ptr, (*C.struct_ArrowArray)(unsafe.Pointer(out))))
	if err != nil {
		return nil, err
	}
	batch, err := cdata.ImportCRecordBatchWithSchema(out, c.wire)
	if err != nil {
		cdata.ReleaseCArrowArray(out)
		return nil, &engine.Error{Class: "internal", Message: "arrow batch: " + err.Error()}
	}
	defer batch.Release()
	return c.finish(batch), nil
}

// finish gives a batch the types it leaves with.
func (c columns) finish(batch arrow.RecordBatch) arrow.RecordBatch {
	cols := make([]arrow.Array, batch.NumCols())
	for i, col := range batch.Columns() {
		if t := c.out.Field(i).Type; t != c.wire.Field(i).Type {
			data := retype(col.Data(), t)
			col = array.MakeFromData(data)
			data.Release()
			defer col.Release()
		}
		cols[i] = col
	}
	return array.NewRecordBatch(c.out, cols, batch.NumRows())
}

// packBools turns bytes into bits.
func packBools(data arrow.ArrayData) arrow.ArrayData {
	bytes := array.NewInt8Data(data)
	defer bytes.Release()
	bits := make([]byte, bitutil.BytesForBits(int64(data.Len())))
	for i, v := range bytes.Int8Values() {
		if v != 0 {
			bits[i/8] |= 1 << (i % 8)
		}
	}
	buffers := []*memory.Buffer{nil, memory.NewBufferBytes(bits)}
	defer buffers[1].Release()
	if data.NullN() > 0 {
		if data.Offset() == 0 {
			buffers[0] = data.Buffers()[0]
		} else {
			valid := make([]byte, len(bits))
			for i := range data.Len() {
				bitutil.SetBitTo(valid, i, bytes.IsValid(i))
			}
			buffers[0] = memory.NewBufferBytes(valid)
			defer buffers[0].Release()
		}
	}
	return array.NewData(arrow.FixedWidthTypes.Boolean, data.Len(), buffers, nil, data.NullN(), 0)
}

// takeError frees a duckdb_error_data and gives what it says.
func takeError(data unsafe.Pointer) error {
	if data == nil {
		return nil
	}
	e := bindings.ErrorData{Ptr: data}
	defer bindings.DestroyErrorData(&e)
	if !bindings.ErrorDataHasError(e) {
		return nil
	}
	return parseError(bindings.ErrorDataMessage(e))
}

// progressPercent reads the C struct, whose fields the bindings do not show.
func progressPercent(p *bindings.QueryProgressType) float64 {
	return float64((*C.st_progress)(unsafe.Pointer(p)).percentage)
}
