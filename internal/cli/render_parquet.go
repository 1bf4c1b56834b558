package cli

import (
	"errors"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/supertable-go/supertable"
)

// A row group ends at this many rows or bytes, whichever comes first: it is
// held in memory until then.
const (
	groupRows  = 122_880
	groupBytes = 64 << 20
)

// parquetRows writes one Parquet file.
type parquetRows struct {
	w       *pqarrow.FileWriter
	schema  *arrow.Schema
	changed []int // the columns that are laid out in another way in the file
}

func newParquetRows(w io.Writer, schema *arrow.Schema) (*parquetRows, error) {
	out, changed := parquetSchema(schema)
	for _, f := range out.Fields() {
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
	fw, err := pqarrow.NewFileWriter(out, noClose{w}, props, pqarrow.NewArrowWriterProperties(pqarrow.WithStoreSchema()))
	if err != nil {
		return nil, failf(supertable.Unsupported, "Parquet cannot hold this result: %v", err)
	}
	return &parquetRows{w: fw, schema: out, changed: changed}, nil
}

func (p *parquetRows) Write(b arrow.RecordBatch) error {
	if p.w.RowGroupTotalBytesWritten() >= groupBytes {
		if err := p.w.NewBufferedRowGroupChecked(); err != nil {
			return err
		}
	}
	if err := checkDecimals(b); err != nil {
		return err
	}
	b, err := p.convert(b)
	if err != nil {
		return err
	}
	defer b.Release()
	err = p.w.WriteBuffered(b)
	if errors.Is(err, arrow.ErrInvalid) || errors.Is(err, arrow.ErrNotImplemented) {
		return failf(supertable.Unsupported, "Parquet cannot hold this result: %v", err)
	}
	return err
}

func (p *parquetRows) Close() error { return p.w.Close() }

// noClose hides the Close of a writer that is not ours to close.
type noClose struct{ io.Writer }

// notInParquet finds the type in t that our Parquet writer cannot hold, nil
// when there is none.
func notInParquet(t arrow.DataType) arrow.DataType {
	switch t := t.(type) {
	case arrow.ExtensionType:
		if t.ExtensionName() == "arrow.opaque" { // the engine's own bytes
			return t
		}
		return notInParquet(t.StorageType())
	case *arrow.DictionaryType:
		return notInParquet(t.ValueType)
	case arrow.DecimalType:
		if t.GetScale() < 0 || t.ID() == arrow.DECIMAL32 || t.ID() == arrow.DECIMAL64 {
			return t
		}
		return nil
	case *arrow.ListType, *arrow.LargeListType, *arrow.FixedSizeListType, *arrow.MapType, *arrow.StructType:
		fields := t.(arrow.NestedType).Fields()
		if len(fields) == 0 {
			return t
		}
		for _, f := range fields {
			if bad := notInParquet(f.Type); bad != nil {
				return bad
			}
		}
		return nil
	case arrow.NestedType, arrow.BinaryViewDataType: // unions, list views
		return t
	}
	switch t.ID() {
	case arrow.DURATION, arrow.INTERVAL_MONTHS, arrow.INTERVAL_DAY_TIME, arrow.INTERVAL_MONTH_DAY_NANO, arrow.RUN_END_ENCODED:
		return t
	}
	return nil
}
