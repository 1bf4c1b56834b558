package duckdb

/*
#include <stdint.h>
#include <stdlib.h>

// The few functions of DuckDB's C interface that duckdb-go-bindings hides
// behind a build tag or does not have. All handles are opaque pointers; the
// symbols come with the library that the bindings link.
struct ArrowSchema;
struct ArrowArray;
typedef struct { double percentage; uint64_t done, total; } st_progress;

extern void *duckdb_to_arrow_schema(void *options, void **types, const char **names,
                                    uint64_t columns, struct ArrowSchema *out);
extern void *duckdb_data_chunk_to_arrow(void *options, void *chunk, struct ArrowArray *out);
*/
import "C"

import (
	"fmt"
	"strings"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/cdata"
	bindings "github.com/duckdb/duckdb-go-bindings"

	"github.com/supertable-go/supertable/engine"
)

// resultSchema gives the Arrow schema of a result.
func resultSchema(options bindings.ArrowOptions, result *bindings.Result) (*arrow.Schema, error) {
	n := int(bindings.ColumnCount(result))
	types := (*[1 << 20]unsafe.Pointer)(C.calloc(C.size_t(n+1), C.size_t(unsafe.Sizeof(uintptr(0)))))[:n:n]
	names := (*[1 << 20]*C.char)(C.calloc(C.size_t(n+1), C.size_t(unsafe.Sizeof(uintptr(0)))))[:n:n]
	defer C.free(unsafe.Pointer(unsafe.SliceData(types)))
	defer C.free(unsafe.Pointer(unsafe.SliceData(names)))
	for i := range n {
		t := bindings.ColumnLogicalType(result, bindings.IdxT(i))
		defer bindings.DestroyLogicalType(&t)
		types[i] = t.Ptr
		names[i] = C.CString(bindings.ColumnName(result, bindings.IdxT(i)))
		defer C.free(unsafe.Pointer(names[i]))
	}
	out := (*cdata.CArrowSchema)(C.calloc(1, C.size_t(unsafe.Sizeof(cdata.CArrowSchema{}))))
	defer C.free(unsafe.Pointer(out))
	err := takeError(C.duckdb_to_arrow_schema(options.Ptr, unsafe.SliceData(types), unsafe.SliceData(names),
		C.uint64_t(n), (*C.struct_ArrowSchema)(unsafe.Pointer(out))))
	if err != nil {
		return nil, err
	}
	schema, err := cdata.ImportCArrowSchema(out)
	if err != nil {
		return nil, &engine.Error{Class: "internal", Message: "arrow schema: " + err.Error()}
	}
	return toExact(schema), nil
}

// importChunk turns a chunk into a batch that shares its memory with nobody.
func importChunk(options bindings.ArrowOptions, chunk bindings.DataChunk, schema *arrow.Schema) (arrow.RecordBatch, error) {
	out := (*cdata.CArrowArray)(C.calloc(1, C.size_t(unsafe.Sizeof(cdata.CArrowArray{}))))
	defer C.free(unsafe.Pointer(out))
	err := takeError(C.duckdb_data_chunk_to_arrow(options.Ptr, chunk.Ptr, (*C.struct_ArrowArray)(unsafe.Pointer(out))))
	if err != nil {
		return nil, err
	}
	batch, err := cdata.ImportCRecordBatchWithSchema(out, schema)
	if err != nil {
		cdata.ReleaseCArrowArray(out)
		return nil, &engine.Error{Class: "internal", Message: "arrow batch: " + err.Error()}
	}
	return batch, nil
}

// takeError frees a duckdb_error_data and gives what it says.
func takeError(data unsafe.Pointer) error {
	e := bindings.ErrorData{Ptr: data}
	if data == nil || !bindings.ErrorDataHasError(e) {
		bindings.DestroyErrorData(&e)
		return nil
	}
	defer bindings.DestroyErrorData(&e)
	return parseError(bindings.ErrorDataMessage(e))
}

// progressPercent reads the C struct, whose fields the bindings do not show.
func progressPercent(p *bindings.QueryProgressType) float64 {
	return float64((*C.st_progress)(unsafe.Pointer(p)).percentage)
}

// toExact replaces the types that Arrow consumers could not compute with.
//
// The instance exports without loss (arrow_lossless_conversion), which makes a
// HUGEINT, the type of sum(bigint), an opaque 16-byte value. Its bytes are
// exactly those of a 128-bit decimal, so it leaves as decimal128(38, 0).
func toExact(schema *arrow.Schema) *arrow.Schema {
	meta := schema.Metadata()
	return arrow.NewSchema(exactFields(schema.Fields()), &meta)
}

func exactFields(fields []arrow.Field) []arrow.Field {
	out := make([]arrow.Field, len(fields))
	for i, f := range fields {
		out[i] = exactField(f)
	}
	return out
}

func exactField(f arrow.Field) arrow.Field {
	if isHugeint(f) {
		return arrow.Field{Name: f.Name, Nullable: f.Nullable, Type: &arrow.Decimal128Type{Precision: 38}}
	}
	switch t := f.Type.(type) {
	case *arrow.StructType:
		f.Type = arrow.StructOf(exactFields(t.Fields())...)
	case *arrow.ListType:
		f.Type = arrow.ListOfField(exactField(t.ElemField()))
	case *arrow.FixedSizeListType:
		f.Type = arrow.FixedSizeListOfField(t.Len(), exactField(t.ElemField()))
	case *arrow.MapType:
		key, item := exactField(t.KeyField()), exactField(t.ItemField())
		f.Type = arrow.MapOfFields(key, item)
	case *arrow.SparseUnionType:
		f.Type = arrow.SparseUnionOf(exactFields(t.Fields()), t.TypeCodes())
	}
	return f
}

func isHugeint(f arrow.Field) bool {
	meta, _ := f.Metadata.GetValue("ARROW:extension:metadata")
	return f.Type.ID() == arrow.FIXED_SIZE_BINARY && strings.Contains(meta, `"hugeint"`)
}

var _ = fmt.Sprint
