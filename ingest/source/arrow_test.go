package source

import (
	"bytes"
	"context"
	"errors"
	"os"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/extensions"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/supertable-go/supertable/engine"
	"github.com/supertable-go/supertable/internal/errs"
)

// ipcOf is the batch, so many times, as an IPC file or stream.
func ipcOf(t testing.TB, rec arrow.RecordBatch, file bool, times int, opts ...ipc.Option) string {
	t.Helper()
	var b bytes.Buffer
	opts = append(opts, ipc.WithSchema(rec.Schema()))
	var w interface {
		Write(arrow.RecordBatch) error
		Close() error
	} = ipc.NewWriter(&b, opts...)
	if file {
		fw, err := ipc.NewFileWriter(&b, opts...)
		if err != nil {
			t.Fatal(err)
		}
		w = fw
	}
	for range times {
		if err := w.Write(rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestArrowFiles(t *testing.T) {
	c := connect(t)
	rec := batchOf(t, "Id", arrow.PrimitiveTypes.Int64, "[1, null]")
	for name, content := range map[string]string{
		"x.arrow": ipcOf(t, rec, true, 2), "x.ipc": ipcOf(t, rec, false, 2),
		"x.feather": ipcOf(t, rec, true, 2, ipc.WithZstd()), "lz4.arrow": ipcOf(t, rec, false, 2, ipc.WithLZ4()),
	} {
		r := open(t, c, nil, put(t, name, content))
		diff(t, types(r), []string{"Id BIGINT"})
		checkTypes(t, c, r)
		if !r.OneShot {
			t.Error("a stream can be read once only")
		}
		diff(t, rows(t, c, r), []string{"1", "<nil>", "1", "<nil>"})
	}
	small := batchOf(t, "ID", arrow.PrimitiveTypes.Int8, "[7]")
	r := open(t, c, nil, put(t, "a.arrow", ipcOf(t, rec, true, 1)), put(t, "b.arrow", ipcOf(t, small, false, 1)), put(t, "c.csv", "id\n9\n"))
	diff(t, rows(t, c, r), []string{"1", "<nil>", "7", "9"})
	r = open(t, c, nil, put(t, "none.arrow", ipcOf(t, rec, true, 0)))
	diff(t, rows(t, c, r), []string(nil))
	r = open(t, c, nil, put(t, "none.arrow", ipcOf(t, rec, false, 0)))
	diff(t, rows(t, c, r), []string(nil))
}

func TestArrowDamaged(t *testing.T) {
	c := connect(t)
	rec := batchOf(t, "a", arrow.BinaryTypes.String, `["some text", "more"]`)
	file, stream := ipcOf(t, rec, true, 3), ipcOf(t, rec, false, 3)
	for name, content := range map[string]string{
		"empty": "", "text": "hello, this is text and no Arrow at all", "cut file": file[:len(file)-30], "cut stream": stream[:len(stream)/2],
		"magic": "ARROW1\x00\x00", "noise": file[:len(file)/2] + "\xff\xff\xff\x7f" + file[len(file)/2+4:],
	} {
		wantErr(t, failure(t, c, nil, put(t, name+".arrow", content)), errs.InvalidArgument, name+".arrow")
	}
	wantErr(t, failure(t, c, nil, put(t, "x.feather", "FEA1....")), errs.Unsupported, "Feather version 1")
}

// fromBatch makes a relation of one batch.
func fromBatch(t testing.TB, c engine.Conn, rec arrow.RecordBatch) (*Relation, error) {
	t.Helper()
	rr, err := array.NewRecordReader(rec.Schema(), []arrow.RecordBatch{rec})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(rr.Release)
	r, err := FromReader(context.Background(), c, rr)
	if err == nil {
		t.Cleanup(func() { r.Close() })
	}
	return r, err
}

func TestArrowTypes(t *testing.T) {
	c := connect(t)
	ns := &arrow.TimestampType{Unit: arrow.Nanosecond, TimeZone: "UTC"}
	for _, tt := range []struct {
		typ    arrow.DataType
		values string
		want   string
		rows   []string
	}{
		{arrow.PrimitiveTypes.Uint64, "[18446744073709551615]", "UBIGINT", []string{"18446744073709551615"}},
		{arrow.FixedWidthTypes.Float16, "[1.5, null]", "FLOAT", []string{"1.5", "<nil>"}},
		{arrow.FixedWidthTypes.Date64, `["2024-01-31", null]`, "DATE", []string{"2024-01-31", "<nil>"}},
		{arrow.FixedWidthTypes.Date32, `["2024-01-31"]`, "DATE", []string{"2024-01-31"}},
		{arrow.FixedWidthTypes.Time64ns, `["10:00:00.000001000", null]`, "TIME", []string{"10:00:00.000001", "<nil>"}},
		{arrow.FixedWidthTypes.Time32s, `["10:00:00"]`, "TIME", []string{"10:00:00"}},
		{ns, `["2024-01-31 10:00:00.000001000Z", null]`, "TIMESTAMP WITH TIME ZONE", []string{"2024-01-31 10:00:00.000001+00", "<nil>"}},
		{&arrow.TimestampType{Unit: arrow.Second, TimeZone: "Europe/Prague"}, `["2024-01-31 10:00:00Z"]`, "TIMESTAMP WITH TIME ZONE", []string{"2024-01-31 10:00:00+00"}},
		{arrow.FixedWidthTypes.Timestamp_ns, `["2024-01-31 10:00:00.000001001Z"]`, "TIMESTAMP WITH TIME ZONE", nil},
		{&arrow.TimestampType{Unit: arrow.Nanosecond}, `["2024-01-31 10:00:00.000001001"]`, "TIMESTAMP_NS", []string{"2024-01-31 10:00:00.000001001"}},
		{&arrow.TimestampType{Unit: arrow.Millisecond}, `["2024-01-31 10:00:00.001"]`, "TIMESTAMP_MS", []string{"2024-01-31 10:00:00.001"}},
		{arrow.BinaryTypes.LargeString, `["x"]`, "VARCHAR", []string{"x"}},
		{arrow.BinaryTypes.StringView, `["a text longer than twelve"]`, "VARCHAR", []string{"a text longer than twelve"}},
		{&arrow.FixedSizeBinaryType{ByteWidth: 2}, `["qrs="]`, "BLOB", []string{`\xAA\xBB`}},
		{&arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}, `["x", null, "y", "x"]`, "VARCHAR", []string{"x", "<nil>", "y", "x"}},
		{&arrow.Decimal128Type{Precision: 10, Scale: 2}, `["1.50"]`, "DECIMAL(10,2)", []string{"1.50"}},
		{&arrow.Decimal64Type{Precision: 10, Scale: 2}, `["1.50"]`, "DECIMAL(10,2)", []string{"1.50"}},
		{&arrow.Decimal32Type{Precision: 5, Scale: 2}, `["1.50"]`, "DECIMAL(5,2)", []string{"1.50"}},
		{arrow.Null, "[null]", "NULL", []string{"<nil>"}},
		{arrow.ListOf(arrow.Null), "[[null]]", "INTEGER[]", []string{"[NULL]"}},
		{arrow.FixedSizeListOf(2, arrow.PrimitiveTypes.Int64), "[[1,2],null]", "BIGINT[]", []string{"[1, 2]", "<nil>"}},
		{arrow.LargeListOf(arrow.PrimitiveTypes.Int64), "[[1,2]]", "BIGINT[]", []string{"[1, 2]"}},
		{arrow.ListViewOf(arrow.PrimitiveTypes.Int64), "[[1,2]]", "BIGINT[]", []string{"[1, 2]"}},
		{arrow.MapOf(arrow.BinaryTypes.String, ns), `[[{"key":"k","value":"2024-01-31 10:00:00.000001000Z"}], null]`, "MAP(VARCHAR, TIMESTAMP WITH TIME ZONE)", []string{"{k='2024-01-31 10:00:00.000001+00'}", "<nil>"}},
		{arrow.StructOf(arrow.Field{Name: "a", Type: arrow.ListOf(arrow.FixedWidthTypes.Time64ns), Nullable: true}), `[{"a":["10:00:00.000001000",null]},null]`, "STRUCT(a TIME[])", []string{"{'a': ['10:00:00.000001', NULL]}", "<nil>"}},
		{extensions.NewUUIDType(), `["12345678-9abc-4def-8123-456789abcdef"]`, "UUID", []string{"12345678-9abc-4def-8123-456789abcdef"}},
		{extensions.NewBool8Type(), `[true]`, "BOOLEAN", []string{"true"}},
	} {
		r, err := fromBatch(t, c, batchOf(t, "x", tt.typ, tt.values))
		if tt.rows == nil {
			if err == nil {
				_, err = rowsErr(c, r)
			}
			wantErr(t, err, errs.TypeConflict, `the batch: column "x": nanoseconds do not fit`)
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.typ, err)
			continue
		}
		diff(t, types(r), []string{"x " + tt.want})
		checkTypes(t, c, r)
		diff(t, rows(t, c, r), tt.rows)
	}
}

func TestArrowRefusedTypes(t *testing.T) {
	c := connect(t)
	for _, tt := range []struct {
		typ    arrow.DataType
		values string
		words  string
	}{
		{arrow.FixedWidthTypes.Duration_us, "[]", "Arrow duration[us] cannot be stored: cast it to int64"},
		{arrow.FixedWidthTypes.MonthInterval, "[]", "cannot be stored"},
		{arrow.FixedWidthTypes.MonthDayNanoInterval, "[]", "cannot be stored"},
		{&arrow.Decimal256Type{Precision: 50, Scale: 2}, "[]", "cast it to decimal128"},
		{arrow.ListOf(arrow.FixedWidthTypes.Duration_s), "[]", "duration[s] cannot be stored"},
		{arrow.FixedWidthTypes.Time64ns, `["10:00:00.000001000", "10:00:00.000000001"]`, "nanoseconds do not fit TIME"},
		{arrow.ListOf(&arrow.TimestampType{Unit: arrow.Nanosecond, TimeZone: "UTC"}), `[["2024-01-31 10:00:00.000000001Z"]]`, "nanoseconds do not fit"},
		{arrow.RunEndEncodedOf(arrow.PrimitiveTypes.Int32, arrow.PrimitiveTypes.Int64), "[]", "cast it to int64"},
	} {
		r, err := fromBatch(t, c, batchOf(t, "x_col", tt.typ, tt.values))
		if err == nil {
			_, err = rowsErr(c, r)
		}
		wantErr(t, err, errs.TypeConflict, `the batch: column "x_col": `, tt.words)
	}
	b := array.NewDate64Builder(memory.DefaultAllocator)
	b.Append(1)
	schema := arrow.NewSchema([]arrow.Field{{Name: "d", Type: arrow.FixedWidthTypes.Date64}}, nil)
	r, err := fromBatch(t, c, array.NewRecordBatch(schema, []arrow.Array{b.NewArray()}, 1))
	if err == nil {
		_, err = rowsErr(c, r)
	}
	wantErr(t, err, errs.TypeConflict, `column "d"`, "time of day")
}

func TestArrowSlices(t *testing.T) {
	c := connect(t)
	for typ, values := range map[arrow.DataType]string{
		arrow.FixedWidthTypes.Time64ns: `["10:00:00.000000001", null, "10:00:00.000001000", "11:00:00.000000000"]`,
		arrow.StructOf(arrow.Field{Name: "a", Type: arrow.FixedWidthTypes.Float16, Nullable: true}): `[{"a":0.5}, null, {"a":1.5}, {"a":null}]`,
		arrow.ListOf(arrow.FixedWidthTypes.Date64):                                                  `[["2020-01-01"], null, ["2024-01-31", null], []]`,
	} {
		rec := batchOf(t, "x", typ, values)
		r, err := fromBatch(t, c, rec.NewSlice(1, 4))
		if err != nil {
			t.Fatal(err)
		}
		got := rows(t, c, r)
		want := map[arrow.Type][]string{
			arrow.TIME64: {"<nil>", "10:00:00.000001", "11:00:00"}, arrow.STRUCT: {"<nil>", "{'a': 1.5}", "{'a': NULL}"}, arrow.LIST: {"<nil>", "[2024-01-31, NULL]", "[]"},
		}[typ.ID()]
		diff(t, got, want)
	}
}

var int64Type = arrow.PrimitiveTypes.Int64

type brokenReader struct {
	array.RecordReader
	err error
}

func (b brokenReader) Next() bool { return false }
func (b brokenReader) Err() error { return b.err }

func TestArrowReaderFails(t *testing.T) {
	c := connect(t)
	rec := batchOf(t, "x", arrow.PrimitiveTypes.Int64, "[1]")
	rr, err := array.NewRecordReader(rec.Schema(), []arrow.RecordBatch{rec})
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("the network is gone")
	r, err := FromReader(context.Background(), c, brokenReader{rr, broken})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	_, err = rowsErr(c, r)
	if !errors.Is(err, broken) {
		t.Errorf("the cause is lost: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r2, err := FromReader(ctx, c, rr)
	if err != nil {
		t.Fatal(err)
	}
	defer r2.Close()
	cancel()
	_, err = rowsErr(c, r2)
	wantErr(t, err, errs.Cancelled)
}

func TestArrowMemory(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	c := connect(t)
	b := array.NewTimestampBuilder(mem, &arrow.TimestampType{Unit: arrow.Nanosecond, TimeZone: "UTC"})
	b.AppendValues([]arrow.Timestamp{1000, 2000}, nil)
	a := b.NewArray()
	b.Release()
	schema := arrow.NewSchema([]arrow.Field{{Name: "x", Type: a.DataType()}}, nil)
	rec := array.NewRecordBatch(schema, []arrow.Array{a}, 2)
	a.Release()
	rr, err := array.NewRecordReader(schema, []arrow.RecordBatch{rec})
	if err != nil {
		t.Fatal(err)
	}
	rec.Release()
	r, err := FromReader(context.Background(), c, rr)
	if err != nil {
		t.Fatal(err)
	}
	diff(t, len(rows(t, c, r)), 2)
	r.Close()
	rr.Release()
}

func TestArrowFileIsClosed(t *testing.T) {
	c := connect(t)
	before := openFiles(t)
	for range 20 {
		r := open(t, c, nil, put(t, "x.arrow", ipcOf(t, batchOf(t, "a", arrow.PrimitiveTypes.Int64, "[1]"), true, 1)))
		_ = rows(t, c, r)
		_ = r.Close()
		_ = failure(t, c, nil, put(t, "y.arrow", "ARROW1 and nothing else"))
	}
	if after := openFiles(t); after > before+5 {
		t.Errorf("%d files open before, %d after", before, after)
	}
}

func openFiles(t testing.TB) int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc")
	}
	return len(entries)
}
