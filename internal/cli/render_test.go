package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/script"
)

// slice is a result in memory.
type slice struct {
	schema  *arrow.Schema
	batches []arrow.RecordBatch
	at      int
	err     error // what ends the rows early
}

func (s *slice) Schema() *arrow.Schema    { return s.schema }
func (s *slice) Batch() arrow.RecordBatch { return s.batches[s.at-1] }
func (s *slice) Next() bool               { s.at++; return s.at <= len(s.batches) }

func (s *slice) Err() error {
	if s.at > len(s.batches) {
		return s.err
	}
	return nil
}

// fixture is one column of a type, with its values.
type fixture struct {
	field arrow.Field
	array arrow.Array
}

// fromJSON makes a column from values in arrow-go's own JSON form.
func fromJSON(t testing.TB, name string, typ arrow.DataType, values string) fixture {
	t.Helper()
	a, _, err := array.FromJSON(memory.DefaultAllocator, typ, strings.NewReader(values))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return fixture{arrow.Field{Name: name, Type: typ, Nullable: true}, a}
}

// build makes a column by hand.
func build[B array.Builder](name string, typ arrow.DataType, fill func(B)) fixture {
	b := array.NewBuilder(memory.DefaultAllocator, typ)
	fill(b.(B))
	return fixture{arrow.Field{Name: name, Type: typ, Nullable: true}, b.NewArray()}
}

// as marks a column as an extension in its metadata, as the engine does.
func (f fixture) as(name, data string) fixture {
	f.field.Metadata = arrow.NewMetadata(
		[]string{"ARROW:extension:name", "ARROW:extension:metadata"}, []string{name, data})
	return f
}

func (f fixture) source() *slice {
	schema := arrow.NewSchema([]arrow.Field{f.field}, nil)
	return &slice{schema: schema, batches: []arrow.RecordBatch{
		array.NewRecordBatch(schema, []arrow.Array{f.array}, int64(f.array.Len())),
	}}
}

func render(t testing.TB, format string, src rowSource) string {
	t.Helper()
	var b bytes.Buffer
	if err := copyRows(format, &b, src); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestEveryTypeInEveryForm(t *testing.T) {
	all := map[string]fixture{}
	for _, f := range everyType(t) {
		all[f.field.Name] = f
	}
	seen := map[string]bool{}
	script.Run(t, "testdata/types.txt", func(t *testing.T, c *script.Case) string {
		f, ok := all[c.Cmd]
		if !ok {
			t.Fatalf("%s: no such column %q", c.Pos, c.Cmd)
		}
		seen[c.Cmd] = true
		out := "json:\n" + render(t, formatJSON, f.source())
		var doc []map[string]any
		if err := json.Unmarshal([]byte(render(t, formatJSON, f.source())), &doc); err != nil {
			t.Errorf("%s: not JSON: %v", c.Pos, err)
		}
		out += "csv:\n" + render(t, formatCSV, f.source()) + "table:\n" + render(t, formatTable, f.source())
		return strings.ReplaceAll(strings.ToValidUTF8(out, "(not UTF-8)"), "\x00", "(NUL)") // the picture is text
	})
	for name := range all {
		if !seen[name] {
			t.Errorf("testdata/types.txt has no case for %q", name)
		}
	}
}

func TestFormsOfOneResult(t *testing.T) {
	fields := []arrow.Field{
		{Name: "a", Type: arrow.PrimitiveTypes.Int64},
		{Name: "a", Type: arrow.BinaryTypes.String},
		{Name: "a_1", Type: arrow.PrimitiveTypes.Float64},
		{Name: "a", Type: arrow.FixedWidthTypes.Boolean},
		{Name: `b,"q"`, Type: arrow.BinaryTypes.String},
	}
	schema := arrow.NewSchema(fields, nil)
	rec, _, err := array.RecordFromJSON(memory.DefaultAllocator, arrow.NewSchema([]arrow.Field{
		{Name: "1", Type: fields[0].Type},
		{Name: "2", Type: fields[1].Type},
		{Name: "3", Type: fields[2].Type},
		{Name: "4", Type: fields[3].Type},
		{Name: "5", Type: fields[4].Type},
	}, nil), strings.NewReader(`[
		{"1":1,"2":"Ann, \"A\"","3":0.5,"4":true,"5":"日本 🚀"},
		{"1":-20,"2":"","3":null,"4":null,"5":"two\nlines\u001b[31m"},
		{"1":null,"2":null,"3":1e22,"4":false,"5":"NULL"}]`))
	if err != nil {
		t.Fatal(err)
	}
	empty := array.NewRecordBatch(schema, array.NewRecordBatch(rec.Schema(), rec.Columns(), 3).NewSlice(0, 0).Columns(), 0)
	full := array.NewRecordBatch(schema, rec.Columns(), 3)
	script.Run(t, "testdata/forms.txt", func(t *testing.T, c *script.Case) string {
		src := &slice{schema: schema}
		for range 2 {
			if _, ok := c.Arg("rows"); ok {
				src.batches = append(src.batches, full)
			}
			src.batches = append(src.batches, empty)
		}
		if c.Cmd == "expanded" {
			var b bytes.Buffer
			if err := drain(newExpandedRows(&b, schema), src, src.Next()); err != nil {
				t.Fatal(err)
			}
			return b.String()
		}
		return render(t, c.Cmd, src)
	})
}

func TestNothingIsPrintedWhenAQueryFailsAtOnce(t *testing.T) {
	for _, format := range rowFormats {
		var b bytes.Buffer
		err := copyRows(format, &b, &slice{schema: arrow.NewSchema(nil, nil), err: errors.New("broken")})
		if err == nil || b.Len() != 0 {
			t.Errorf("%s: printed %q, error %v", format, b.String(), err)
		}
	}
}

func TestUnprintableTypeNamesTheColumn(t *testing.T) {
	f := fromJSON(t, "odd", arrow.RunEndEncodedOf(arrow.PrimitiveTypes.Int32, arrow.PrimitiveTypes.Int64), `[1,1,2]`)
	err := copyRows(formatJSON, &bytes.Buffer{}, f.source())
	if !errors.Is(err, supertable.Unsupported) || !strings.Contains(err.Error(), `"odd"`) {
		t.Errorf("got %v, want unsupported and the name of the column", err)
	}
}

func TestSlicedBatchesPrintTheirOwnRows(t *testing.T) {
	for _, f := range everyType(t) {
		if f.array.Len() < 2 {
			continue
		}
		whole, part := f.source(), f.source()
		part.batches = []arrow.RecordBatch{
			whole.batches[0].NewSlice(0, 1), whole.batches[0].NewSlice(1, whole.batches[0].NumRows()),
		}
		want := render(t, formatNDJSON, f.source())
		if got := render(t, formatNDJSON, part); got != want {
			t.Errorf("%s: sliced rows print\n%s\nwant\n%s", f.field.Name, got, want)
		}
	}
}

func TestLongTablesComeInPages(t *testing.T) {
	f := build("n", arrow.PrimitiveTypes.Int64, func(b *array.Int64Builder) {
		for i := range 2*tablePage + 10 {
			b.Append(int64(i))
		}
	})
	lines := strings.Split(render(t, formatTable, f.source()), "\n")
	// The second page is wider, so it has its names again; the third is not.
	if got, want := len(lines), 3+tablePage+3+tablePage+10+1+2; got != want {
		t.Fatalf("%d lines, want %d", got, want)
	}
	for i, want := range map[int]string{
		0: "┌─────┐", 3: "│   0 │", 2 + tablePage: "│ 999 │", 3 + tablePage: "┌──────┐", 4 + tablePage: "│    n │",
		6 + tablePage: "│ 1000 │", 6 + 2*tablePage: "│ 2000 │", len(lines) - 3: "└──────┘", len(lines) - 2: "(2010 rows)",
	} {
		if lines[i] != want {
			t.Errorf("line %d is %q, want %q", i, lines[i], want)
		}
	}
}

func TestCellsOfATableAreCut(t *testing.T) {
	f := build("s", arrow.BinaryTypes.String, func(b *array.StringBuilder) { b.Append(strings.Repeat("é", 5000)) })
	if out := render(t, formatTable, f.source()); !strings.Contains(out, "…") || strings.Count(out, "é") > cellWidth {
		t.Errorf("a cell of 5000 characters is not cut: %d", strings.Count(out, "é"))
	}
	if out := render(t, formatCSV, f.source()); strings.Count(out, "é") != 5000 {
		t.Error("CSV must not cut")
	}
}

func TestUniqueNames(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"a b", "a b"},
		{"a a a b", "a a_1 a_2 b"},
		{"a a a_1", "a a_2 a_1"},
		{"a_1 a a", "a_1 a a_2"},
		{"a a a_1 a_1", "a a_2 a_1 a_1_1"},
		{"A a", "A a"},
	} {
		var fields []arrow.Field
		for n := range strings.FieldsSeq(c.in) {
			fields = append(fields, arrow.Field{Name: n})
		}
		if got := strings.Join(uniqueNames(fields), " "); got != c.want {
			t.Errorf("%s: got %s, want %s", c.in, got, c.want)
		}
	}
}

func FuzzJSONString(f *testing.F) {
	for _, s := range []string{"", "a", "\"\\\n\t\x00\x7f", "žluťoučký 🐎", "\xff\xfe", "\u2028", "\xed\xa0\x80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var got string
		if err := json.Unmarshal(appendJSONString(nil, s), &got); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		raw, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var want string
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("%q reads back as %q, want %q", s, got, want)
		}
	})
}

func FuzzFloat(f *testing.F) {
	for _, v := range []float64{0, math.Copysign(0, -1), 0.1, 2, 1e21, 1e22, 5e-324, math.MaxFloat64, math.Inf(-1), math.NaN()} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v float64) {
		c := column{plain: func(b []byte, _ int) []byte { return appendFloat(b, v, 64) }}
		var got any
		if err := json.Unmarshal(c.appendJSON(nil, 0), &got); err != nil {
			t.Fatalf("%v prints %s: %v", v, c.appendJSON(nil, 0), err)
		}
		if n, ok := got.(float64); ok != (!math.IsNaN(v) && !math.IsInf(v, 0)) || ok && n != v {
			t.Errorf("%v reads back as %v", v, got)
		}
	})
}

func BenchmarkRows(b *testing.B) {
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "id", Type: arrow.PrimitiveTypes.Int64},
		{Name: "name", Type: arrow.BinaryTypes.String},
		{Name: "amount", Type: arrow.PrimitiveTypes.Float64},
		{Name: "at", Type: arrow.FixedWidthTypes.Timestamp_us},
	}, nil)
	rb := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	for i := range 2048 {
		rb.Field(0).(*array.Int64Builder).Append(int64(i) * 7919)
		rb.Field(1).(*array.StringBuilder).Append("customer number " + string(rune('a'+i%26)))
		rb.Field(2).(*array.Float64Builder).Append(float64(i) / 7)
		rb.Field(3).(*array.TimestampBuilder).Append(arrow.Timestamp(1_700_000_000_000_000 + i*1_234_567))
	}
	rec := rb.NewRecordBatch()
	for _, format := range rowFormats {
		b.Run(format, func(b *testing.B) {
			w, err := newRowWriter(format, discard{}, schema)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if err := w.Write(rec); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)*2048/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
