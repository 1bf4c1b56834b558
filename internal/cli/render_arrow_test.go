package cli

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/supertable-go/supertable"
)

// noParquet are the fixtures whose types Parquet does not have.
var noParquet = map[string]bool{
	"interval": true, "interval_months": true, "interval_day_time": true, "sparse_union": true, "dense_union": true,
	"decimal32": true, "decimal64": true, "text_view": true, "blob_view": true, "list_view": true, "empty_struct": true,
	"duration": true, "decimal_negative_scale": true,
	"timestamp_s": true, // its infinities do not fit into milliseconds
	"time_tz":     true, "bit": true, "uhugeint": true, "opaque_hugeint": true,
	"hugeint": true, // its values have more digits than the decimal that it comes as
}

// repeated is a result of many batches of the same rows.
func repeated(f fixture, n int) *slice {
	s := f.source()
	for range n - 1 {
		s.batches = append(s.batches, s.batches[0])
	}
	return s
}

func TestParquetReadsBackTheSame(t *testing.T) {
	for _, f := range everyType(t) {
		var file bytes.Buffer
		err := copyRows(formatParquet, &file, repeated(f, 5))
		if f.field.Name == "bool8" || f.field.Name == "json" {
			continue // the reader used here gives the storage
		}
		if noParquet[f.field.Name] {
			if !errors.Is(err, supertable.Unsupported) {
				t.Errorf("%s: got %v, want unsupported", f.field.Name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", f.field.Name, err)
			continue
		}
		back, err := pqarrow.ReadTable(t.Context(), bytes.NewReader(file.Bytes()), parquet.NewReaderProperties(nil),
			pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
		if err != nil {
			t.Errorf("%s: %v", f.field.Name, err)
			continue
		}
		got := &slice{schema: back.Schema()}
		r := array.NewTableReader(back, 3)
		for r.Next() {
			r.RecordBatch().Retain()
			got.batches = append(got.batches, r.RecordBatch())
		}
		want := render(t, formatNDJSON, repeated(f, 5))
		if text := render(t, formatNDJSON, got); text != want {
			t.Errorf("%s: reads back as\n%s\nwant\n%s", f.field.Name, text, want)
		}
	}
}

func TestArrowReadsBackTheSame(t *testing.T) {
	for _, f := range everyType(t) {
		var stream bytes.Buffer
		if err := copyRows(formatArrow, &stream, repeated(f, 3)); f.field.Name == "hugeint" && errors.Is(err, supertable.Unsupported) {
			continue
		} else if err != nil {
			t.Errorf("%s: %v", f.field.Name, err)
			continue
		}
		r, err := ipc.NewReader(&stream)
		if err != nil {
			t.Errorf("%s: %v", f.field.Name, err)
			continue
		}
		got := &slice{schema: r.Schema()}
		for r.Next() {
			r.RecordBatch().Retain()
			got.batches = append(got.batches, r.RecordBatch())
		}
		if want := render(t, formatNDJSON, repeated(f, 3)); render(t, formatNDJSON, got) != want {
			t.Errorf("%s: does not read back", f.field.Name)
		}
	}
}

func TestEmptyResultsAreWholeFiles(t *testing.T) {
	schema := arrow.NewSchema([]arrow.Field{{Name: "a", Type: arrow.PrimitiveTypes.Int64, Nullable: true}}, nil)
	var file bytes.Buffer
	if err := copyRows(formatParquet, &file, &slice{schema: schema}); err != nil {
		t.Fatal(err)
	}
	back, err := pqarrow.ReadTable(t.Context(), bytes.NewReader(file.Bytes()), nil, pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	if err != nil || back.NumRows() != 0 || back.NumCols() != 1 {
		t.Errorf("Parquet: %v (%v)", back, err)
	}
	file.Reset()
	if err := copyRows(formatArrow, &file, &slice{schema: schema}); err != nil {
		t.Fatal(err)
	}
	r, err := ipc.NewReader(&file)
	if err != nil || r.Next() || !r.Schema().Equal(schema) {
		t.Errorf("Arrow: %v", err)
	}
}

func TestParquetRefusalNamesTheColumn(t *testing.T) {
	typ := arrow.ListOf(arrow.StructOf(arrow.Field{Name: "i", Type: arrow.FixedWidthTypes.MonthDayNanoInterval}))
	_, err := newParquetRows(&bytes.Buffer{}, arrow.NewSchema([]arrow.Field{{Name: "odd", Type: typ}}, nil))
	if !errors.Is(err, supertable.Unsupported) || !strings.Contains(err.Error(), `"odd"`) {
		t.Errorf("got %v", err)
	}
}
