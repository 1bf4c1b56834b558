package datafile

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/supertable-go/supertable/internal/errs"
)

// Delete is one dead row of a data file. Snapshot is when it died; 0 when the
// delete file does not say, which means at the file's own begin.
type Delete struct{ Position, Snapshot int64 }

// Field ids and names of the columns of a delete file.
const (
	deletePathField = 2147483646
	deletePosField  = 2147483645
	snapshotColumn  = "_ducklake_internal_snapshot_id"
)

// WriteDeletes writes a delete file of dataPath at path: positions ascending,
// each with its snapshot when withSnapshots (docs/format.md §4.1, §4.2). The
// file is durable when it returns.
func WriteDeletes(path, dataPath string, deletes []Delete, withSnapshots bool) (size, footer int64, err error) {
	out, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o666)
	if err != nil {
		return 0, 0, errs.Wrap(errs.Unavailable, err, "write a delete file")
	}
	defer func() { _ = out.Close() }()
	if err := writeDeletes(keepOpen{out}, dataPath, deletes, withSnapshots); err != nil {
		return 0, 0, errs.Wrap(errs.Unavailable, err, "write a delete file")
	}
	if err := out.Sync(); err != nil {
		return 0, 0, errs.Wrap(errs.Unavailable, err, "write a delete file")
	}
	return footerOf(out)
}

// keepOpen hides Close: the file is synced after the Parquet writer is done.
type keepOpen struct{ io.Writer }

func writeDeletes(w io.Writer, dataPath string, deletes []Delete, withSnapshots bool) error {
	field := func(name string, t arrow.DataType, id int) arrow.Field {
		return arrow.Field{Name: name, Type: t, Metadata: arrow.NewMetadata([]string{"PARQUET:field_id"}, []string{strconv.Itoa(id)})}
	}
	fields := []arrow.Field{field("file_path", arrow.BinaryTypes.String, deletePathField), field("pos", arrow.PrimitiveTypes.Int64, deletePosField)}
	if withSnapshots {
		fields = append(fields, field(snapshotColumn, arrow.PrimitiveTypes.Int64, SnapshotIDField))
	}
	schema := arrow.NewSchema(fields, nil)
	props := parquet.NewWriterProperties(parquet.WithCompression(compress.Codecs.Zstd), parquet.WithDictionaryFor("pos", false), parquet.WithStats(true))
	pw, err := pqarrow.NewFileWriter(schema, w, props, pqarrow.DefaultWriterProps())
	if err != nil {
		return err
	}
	const batch = 122880
	for len(deletes) > 0 {
		n := min(batch, len(deletes))
		rec := deleteBatch(schema, dataPath, deletes[:n], withSnapshots)
		err := pw.WriteBuffered(rec)
		rec.Release()
		if err != nil {
			return err
		}
		deletes = deletes[n:]
	}
	return pw.Close()
}

func deleteBatch(schema *arrow.Schema, dataPath string, deletes []Delete, withSnapshots bool) arrow.RecordBatch {
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	paths, pos := b.Field(0).(*array.StringBuilder), b.Field(1).(*array.Int64Builder)
	for _, d := range deletes {
		paths.Append(dataPath)
		pos.Append(d.Position)
		if withSnapshots {
			b.Field(2).(*array.Int64Builder).Append(d.Snapshot)
		}
	}
	return b.NewRecordBatch()
}

// footerOf reads the length of a Parquet file and of its Thrift footer.
func footerOf(f *os.File) (size, footer int64, err error) {
	st, err := f.Stat()
	if err != nil {
		return 0, 0, errs.Wrap(errs.Unavailable, err, "read a delete file")
	}
	var tail [8]byte
	if _, err := f.ReadAt(tail[:], st.Size()-8); err != nil {
		return 0, 0, errs.Wrap(errs.Corrupt, err, "read a delete file")
	}
	return st.Size(), int64(binary.LittleEndian.Uint32(tail[:4])), nil
}

// ReadDeletes reads a delete file. A third column gives each row's snapshot
// only under the format's own name; any other is ignored.
func ReadDeletes(ctx context.Context, path string) ([]Delete, error) {
	rdr, err := file.OpenParquetFile(path, false)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rdr.Close() }()
	fr, err := pqarrow.NewFileReader(rdr, pqarrow.ArrowReadProperties{BatchSize: 1 << 16}, memory.DefaultAllocator)
	if err != nil {
		return nil, err
	}
	cols := []int{1}
	if s := rdr.MetaData().Schema; s.NumColumns() > 2 && s.Column(2).Name() == snapshotColumn {
		cols = append(cols, 2)
	}
	rr, err := fr.GetRecordReader(ctx, cols, nil)
	if err != nil {
		return nil, err
	}
	defer rr.Release()
	out := make([]Delete, 0, rdr.NumRows())
	for rr.Next() {
		rec := rr.RecordBatch()
		pos, ok := rec.Column(0).(*array.Int64)
		if !ok {
			return nil, errs.New(errs.Corrupt, "a delete file has positions of type %s", rec.Column(0).DataType())
		}
		for i := range pos.Len() {
			d := Delete{Position: pos.Value(i)}
			if len(cols) > 1 {
				d.Snapshot = rec.Column(1).(*array.Int64).Value(i)
			}
			out = append(out, d)
		}
	}
	if err := rr.Err(); err != nil && err != io.EOF { //nolint:errorlint // arrow-go returns io.EOF itself
		return nil, err
	}
	return out, nil
}

// CountSnapshots counts the rows of a data file by the snapshot at which each
// came. Rows of which the file does not say it stand under 0: they came with
// the file.
func CountSnapshots(ctx context.Context, path string) (map[int64]int64, error) {
	rdr, err := file.OpenParquetFile(path, false)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rdr.Close() }()
	schema, column := rdr.MetaData().Schema, -1
	for i := range schema.NumColumns() {
		if schema.Column(i).SchemaNode().FieldID() == SnapshotIDField {
			column = i
		}
	}
	if column < 0 {
		return map[int64]int64{0: rdr.NumRows()}, nil
	}
	fr, err := pqarrow.NewFileReader(rdr, pqarrow.ArrowReadProperties{BatchSize: 1 << 16}, memory.DefaultAllocator)
	if err != nil {
		return nil, err
	}
	rr, err := fr.GetRecordReader(ctx, []int{column}, nil)
	if err != nil {
		return nil, err
	}
	defer rr.Release()
	out := map[int64]int64{}
	for rr.Next() {
		snapshots, ok := rr.RecordBatch().Column(0).(*array.Int64)
		if !ok {
			return nil, errs.New(errs.Corrupt, "a data file has snapshots of type %s", rr.RecordBatch().Column(0).DataType())
		}
		for i := range snapshots.Len() {
			if snapshots.IsNull(i) {
				out[0]++
			} else {
				out[snapshots.Value(i)]++
			}
		}
	}
	if err := rr.Err(); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return out, nil
}
