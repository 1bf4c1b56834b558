package cli

import (
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/supertable-go/supertable"
)

// arrowRows writes the Arrow IPC stream format, to files too.
type arrowRows struct{ w *ipc.Writer }

func newArrowRows(w io.Writer, schema *arrow.Schema) arrowRows {
	return arrowRows{ipc.NewWriter(w, ipc.WithSchema(schema))}
}

func (r arrowRows) Write(b arrow.RecordBatch) error { return r.w.Write(b) }
func (r arrowRows) Close() error                    { return r.w.Close() }

// A row group ends at this many rows or bytes, whichever comes first: it is
// held in memory until then.
const (
	groupRows  = 122_880
	groupBytes = 64 << 20
)

// parquetRows writes one Parquet file.
type parquetRows struct{ w *pqarrow.FileWriter }

func newParquetRows(w io.Writer, schema *arrow.Schema) (*parquetRows, error) {
	for _, f := range schema.Fields() {
		if t := notInParquet(f.Type); t != nil {
			return nil, failf(supertable.Unsupported, "column %q: Parquet has no type for %s; cast it to text", f.Name, t)
		}
	}
	props := parquet.NewWriterProperties(
		parquet.WithVersion(parquet.V2_LATEST), // nanoseconds need 2.6
		parquet.WithCompression(compress.Codecs.Zstd),
		parquet.WithMaxRowGroupLength(groupRows),
		parquet.WithCreatedBy("supertable "+version),
	)
	fw, err := pqarrow.NewFileWriter(schema, noClose{w}, props, pqarrow.NewArrowWriterProperties(pqarrow.WithStoreSchema()))
	if err != nil {
		return nil, failf(supertable.Unsupported, "Parquet cannot hold this result: %v", err)
	}
	return &parquetRows{w: fw}, nil
}

func (p *parquetRows) Write(b arrow.RecordBatch) error {
	if p.w.RowGroupTotalBytesWritten() >= groupBytes {
		if err := p.w.NewBufferedRowGroupChecked(); err != nil {
			return err
		}
	}
	return p.w.WriteBuffered(b)
}

func (p *parquetRows) Close() error { return p.w.Close() }

// noClose hides the Close of a writer that is not ours to close.
type noClose struct{ io.Writer }

// notInParquet finds the type in t that Parquet cannot hold, nil when there is none.
func notInParquet(t arrow.DataType) arrow.DataType {
	switch t := t.(type) {
	case arrow.ExtensionType:
		return notInParquet(t.StorageType())
	case *arrow.DictionaryType:
		return notInParquet(t.ValueType)
	case arrow.NestedType:
		if _, union := t.(arrow.UnionType); union {
			return t
		}
		for _, f := range t.Fields() {
			if bad := notInParquet(f.Type); bad != nil {
				return bad
			}
		}
		return nil
	}
	switch t.ID() {
	case arrow.INTERVAL_MONTHS, arrow.INTERVAL_DAY_TIME, arrow.INTERVAL_MONTH_DAY_NANO, arrow.RUN_END_ENCODED:
		return t
	}
	return nil
}
