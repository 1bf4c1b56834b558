// Package dummydata holds the seven small tables that the examples write.
package dummydata

import (
	"fmt"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// row is a row of a demo table; the day is in January 2023.
type row struct {
	client    string
	day, hour int
	minute    int
	value     int64
	extra     float64
}

// tables holds the rows of the demo tables by their number.
var tables = map[int][]row{
	1: {{"client1", 1, 8, 0, 11, 0}, {"client1", 2, 8, 0, 20, 0}, {"client1", 3, 8, 0, 30, 0}, {"client1", 4, 8, 0, 40, 0}, {"client2", 5, 8, 0, 50, 0}},
	2: {{"client1", 6, 8, 0, 10, 0}, {"client1", 7, 8, 0, 20, 0}, {"client1", 7, 8, 5, 30, 0}, {"client1", 8, 8, 0, 40, 0}, {"client1", 8, 8, 5, 50, 0}},
	3: {{"client1", 5, 8, 0, 10, 0}, {"client1", 5, 12, 0, 20, 0}, {"client1", 6, 8, 0, 30, 0}, {"client1", 6, 12, 0, 40, 0}, {"client1", 6, 16, 0, 50, 0}},
	4: {{"client1", 1, 8, 0, 10, 0}, {"client1", 2, 8, 0, 20, 0}, {"client1", 8, 8, 0, 30, 0}, {"client1", 10, 8, 0, 40, 0}, {"client1", 11, 8, 0, 50, 0}},
	5: {{"client1", 1, 8, 0, 10, 0}, {"client1", 2, 8, 0, 20, 0}, {"client1", 5, 8, 0, 30, 0}, {"client1", 5, 12, 0, 40, 0}, {"client1", 5, 16, 0, 50, 0}},
	6: {{"client1", 12, 8, 0, 60, 1.1}, {"client1", 13, 8, 0, 70, 2.2}, {"client1", 14, 8, 0, 80, 3.3}, {"client1", 15, 8, 0, 90, 4.4}, {"client1", 16, 8, 0, 100, 5.5}},
	7: {{"client1", 17, 8, 0, 0, 0}, {"client1", 18, 8, 0, 0, 0}, {"client1", 19, 8, 0, 0, 0}, {"client1", 20, 8, 0, 0, 0}, {"client1", 21, 8, 0, 0, 0}},
}

// Rows gives demo table ds, 1 to 7, as a stream that the caller releases.
// Table 6 has one column more than the others, table 7 one less.
func Rows(ds int) (array.RecordReader, error) {
	rows, ok := tables[ds]
	if !ok {
		return nil, fmt.Errorf("Unknown ds code: %d", ds) //nolint:staticcheck // the documented words
	}
	fields := []arrow.Field{
		{Name: "datastream_name", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "client", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "day", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "datetime", Type: &arrow.TimestampType{Unit: arrow.Microsecond}, Nullable: true},
	}
	if ds != 7 {
		fields = append(fields, arrow.Field{Name: "value", Type: arrow.PrimitiveTypes.Int64, Nullable: true})
	}
	if ds == 6 {
		fields = append(fields, arrow.Field{Name: "extra", Type: arrow.PrimitiveTypes.Float64, Nullable: true})
	}
	schema := arrow.NewSchema(fields, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	stream := "First partition"
	if ds == 5 {
		stream = "Second partition"
	}
	for _, r := range rows {
		at := time.Date(2023, 1, r.day, r.hour, r.minute, 0, 0, time.UTC)
		b.Field(0).(*array.StringBuilder).Append(stream)
		b.Field(1).(*array.StringBuilder).Append(r.client)
		b.Field(2).(*array.StringBuilder).Append(at.Format(time.DateOnly))
		b.Field(3).(*array.TimestampBuilder).Append(arrow.Timestamp(at.UnixMicro()))
		if ds != 7 {
			b.Field(4).(*array.Int64Builder).Append(r.value)
		}
		if ds == 6 {
			b.Field(5).(*array.Float64Builder).Append(r.extra)
		}
	}
	rec := b.NewRecordBatch()
	defer rec.Release()
	return array.NewRecordReader(schema, []arrow.RecordBatch{rec})
}
