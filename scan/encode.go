package scan

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/supertable-go/supertable/datafile"
)

// Inlinable reports whether rows of these columns can stand in the catalog
// itself: every value there and back, for us and for other clients (docs/format.md
// §5). Nested values and 128-bit integers go to files.
func Inlinable(cols []datafile.Column) bool {
	if len(cols) > maxInlined {
		return false
	}
	for _, c := range cols {
		switch strings.ToLower(c.Name) {
		case "row_id", "begin_snapshot", "end_snapshot":
			return false
		}
		if !inlinable[c.Type.Name] || len(c.Name) > 63 || strings.HasPrefix(strings.ToLower(c.Name), "_ducklake_") || !ascii(c.Name) {
			return false
		}
	}
	return true
}

// maxInlined is how many columns a table with rows inside the catalog has.
const maxInlined = 500

var inlinable = map[string]bool{
	"boolean": true, "int8": true, "int16": true, "int32": true, "int64": true, "uint8": true, "uint16": true, "uint32": true, "uint64": true,
	"float32": true, "float64": true, "decimal": true, "varchar": true, "json": true, "blob": true, "uuid": true,
	"date": true, "time": true, "timestamp": true, "timestamp_s": true, "timestamp_ms": true, "timestamp_ns": true, "timestamptz": true,
}

// ascii keeps names out whose letters SQLite and the engine fold differently.
func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// ExactText reports whether two values of the type are equal exactly when the
// catalog keeps them alike: not so where one value has several texts.
func ExactText(t datafile.Type) bool {
	switch t.Name {
	case "boolean", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "decimal", "varchar", "uuid", "date":
		return true
	}
	return false
}

// Encode gives n rows of arrays, one for each column, as the catalog keeps
// them, and about how many bytes they have. ok is false when a value or type
// has no such form.
func Encode(arrays []arrow.Array, n int, cols []datafile.Column) (rows [][]any, bytes int64, ok bool) {
	cells := make([]any, n*len(cols))
	rows = make([][]any, n)
	for i := range rows {
		rows[i] = cells[i*len(cols) : (i+1)*len(cols) : (i+1)*len(cols)]
	}
	for k, c := range cols {
		a := arrays[k]
		get := encoder(a, c.Type)
		if get == nil {
			return nil, 0, false
		}
		for i := range n {
			if a.IsNull(i) {
				continue
			}
			v, ok := get(i)
			if !ok {
				return nil, 0, false
			}
			rows[i][k] = v
			bytes += size(v)
		}
	}
	return rows, bytes, true
}

func size(v any) int64 {
	switch x := v.(type) {
	case string:
		return int64(len(x))
	case []byte:
		return int64(len(x))
	}
	return 8
}

// encoder gives the values of an array as the catalog keeps them: whole numbers
// as such, all else as the text that the engine casts back. Nil when the array
// is not what a column of the type has.
func encoder(a arrow.Array, t datafile.Type) func(i int) (any, bool) {
	switch a := a.(type) {
	case *array.Boolean:
		return as(t, "boolean", func(i int) (any, bool) { return map[bool]int64{true: 1}[a.Value(i)], true })
	case *array.Int8:
		return as(t, "int8", func(i int) (any, bool) { return int64(a.Value(i)), true })
	case *array.Int16:
		return as(t, "int16", func(i int) (any, bool) { return int64(a.Value(i)), true })
	case *array.Int32:
		return as(t, "int32", func(i int) (any, bool) { return int64(a.Value(i)), true })
	case *array.Int64:
		return as(t, "int64", func(i int) (any, bool) { return a.Value(i), true })
	case *array.Uint8:
		return as(t, "uint8", func(i int) (any, bool) { return int64(a.Value(i)), true })
	case *array.Uint16:
		return as(t, "uint16", func(i int) (any, bool) { return int64(a.Value(i)), true })
	case *array.Uint32:
		return as(t, "uint32", func(i int) (any, bool) { return int64(a.Value(i)), true })
	case *array.Uint64:
		return as(t, "uint64", func(i int) (any, bool) { return strconv.FormatUint(a.Value(i), 10), true })
	case *array.Float32:
		return as(t, "float32", func(i int) (any, bool) { return floatText(float64(a.Value(i)), 32), true })
	case *array.Float64:
		return as(t, "float64", func(i int) (any, bool) { return floatText(a.Value(i), 64), true })
	case *array.Decimal128:
		scale := a.DataType().(*arrow.Decimal128Type).Scale
		if int(scale) != t.Scale {
			return nil
		}
		return as(t, "decimal", func(i int) (any, bool) { return a.Value(i).ToString(scale), true })
	case *array.String:
		return text(t, a.Value)
	case *array.LargeString:
		return text(t, a.Value)
	case *array.Binary:
		return as(t, "blob", func(i int) (any, bool) { return append([]byte{}, a.Value(i)...), true })
	case *array.FixedSizeBinary:
		return as(t, "uuid", func(i int) (any, bool) {
			b := a.Value(i)
			return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]), len(b) == 16
		})
	case *array.Date32:
		return as(t, "date", func(i int) (any, bool) {
			d := time.Unix(int64(a.Value(i))*86_400, 0).UTC()
			return d.Format(time.DateOnly), common(d)
		})
	case *array.Time64:
		if a.DataType().(*arrow.Time64Type).Unit != arrow.Microsecond {
			return nil
		}
		return as(t, "time", func(i int) (any, bool) {
			us := int64(a.Value(i))
			return time.UnixMicro(us).UTC().Format("15:04:05.999999"), us >= 0 && us < 86_400_000_000
		})
	case *array.Timestamp:
		return instant(a, t)
	}
	return nil
}

func as(t datafile.Type, name string, get func(int) (any, bool)) func(int) (any, bool) {
	if t.Name != name {
		return nil
	}
	return get
}

// text are texts that every client reads whole: a NUL would end them for some.
func text(t datafile.Type, get func(int) string) func(int) (any, bool) {
	switch t.Name {
	case "varchar", "json", "uuid":
	default:
		return nil
	}
	return func(i int) (any, bool) {
		s := strings.Clone(get(i))
		return s, strings.IndexByte(s, 0) < 0 && utf8.ValidString(s)
	}
}

func instant(a *array.Timestamp, t datafile.Type) func(int) (any, bool) {
	typ := a.DataType().(*arrow.TimestampType)
	units := map[string]arrow.TimeUnit{"timestamp": arrow.Microsecond, "timestamptz": arrow.Microsecond, "timestamp_s": arrow.Second, "timestamp_ms": arrow.Millisecond, "timestamp_ns": arrow.Nanosecond}
	unit, ok := units[t.Name]
	if !ok || unit != typ.Unit || (t.Name == "timestamptz") != (typ.TimeZone != "") {
		return nil
	}
	zone := ""
	if t.Name == "timestamptz" {
		zone = "+00"
	}
	return func(i int) (any, bool) {
		v := a.Value(i)
		if v == math.MaxInt64 || v <= -math.MaxInt64 { // infinity
			return nil, false
		}
		at := v.ToTime(unit).UTC()
		return at.Format("2006-01-02 15:04:05.999999999") + zone, common(at)
	}
}

// common reports whether a time is of the years whose text everybody reads.
func common(t time.Time) bool { return t.Year() >= 1 && t.Year() <= 9999 }

// floatText is the shortest text of the same value, with a point as the format's
// statistics have it.
func floatText(f float64, bits int) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	}
	s := strconv.FormatFloat(f, 'g', -1, bits)
	if !strings.ContainsAny(s, ".e") {
		s += ".0"
	}
	return s
}

// EncodedStats are the statistics of rows that Encode gave.
func EncodedStats(cols []datafile.Column, rows [][]any) []datafile.Stats {
	out := make([]datafile.Stats, len(cols))
	for k, c := range cols {
		values := make([]any, len(rows))
		for i, r := range rows {
			values[i] = r[k]
		}
		out[k] = datafile.ValueStats(c, values)
	}
	return out
}
