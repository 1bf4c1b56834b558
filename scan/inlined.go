package scan

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/internal/errs"
)

// inlinedSQL gives rows of the catalog as VALUES: text in the engine's own
// form, read by the engine's own casts.
func (r *Scan) inlinedSQL(in inlinedRows) string {
	if in.loaded != "" {
		return "SELECT " + strings.Join(selectInlined(in.columns, r.columns), ", ") + " FROM " + in.loaded
	}
	return "SELECT " + strings.Join(selectInlined(in.columns, r.columns), ", ") + " FROM (" + InlinedValues(in.columns, in.rows) + ")"
}

// textRows is how many rows of the catalog a statement carries in its text: more
// are quicker in a table of the connection.
const textRows = 24

// LoadInlined gives rows of the catalog, where they are many, to load, which
// makes them a relation on the connection: the statement of rows, read from
// there, has its columns. Load gives the relation's name.
func (r *Scan) LoadInlined(load func(rows array.RecordReader, columns string) (name string, err error)) error {
	for i := range r.inlined {
		in := &r.inlined[i]
		if len(in.rows) <= textRows {
			continue
		}
		rr, columns, err := in.batch()
		if err != nil {
			return err
		}
		in.loaded, err = load(rr, columns)
		rr.Release()
		if err != nil {
			return err
		}
	}
	return nil
}

// batch is the rows as the catalog has them, and the select list that reads
// them as what they are.
func (in *inlinedRows) batch() (array.RecordReader, string, error) {
	fields, sel := make([]arrow.Field, len(in.columns)), make([]string, len(in.columns))
	for i, c := range in.columns {
		name := fmt.Sprintf("c%d", c.ID)
		fields[i] = arrow.Field{Name: name, Type: arrow.BinaryTypes.String, Nullable: true}
		switch {
		case c.Type.Name == "blob":
			fields[i].Type = arrow.BinaryTypes.Binary
		case catalog.InlinedType(c.Type) == "BIGINT":
			fields[i].Type = arrow.PrimitiveTypes.Int64
		}
		sel[i] = "CAST(" + name + " AS " + c.Type.SQL() + ") AS " + name
	}
	schema := arrow.NewSchema(fields, nil)
	rb := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer rb.Release()
	for _, row := range in.rows {
		for k, v := range row.Values {
			if err := appendValue(rb.Field(k), v); err != nil {
				return nil, "", err
			}
		}
	}
	rec := rb.NewRecordBatch()
	defer rec.Release()
	rr, err := array.NewRecordReader(schema, []arrow.RecordBatch{rec})
	return rr, strings.Join(sel, ", "), err
}

func appendValue(b array.Builder, v any) error {
	switch b := b.(type) {
	case *array.Int64Builder:
		n, err := wholeValue(v)
		switch {
		case err != nil:
			return err
		case v == nil:
			b.AppendNull()
		default:
			b.Append(n)
		}
	case *array.BinaryBuilder:
		switch x := v.(type) {
		case nil:
			b.AppendNull()
		case []byte:
			b.Append(x)
		default:
			b.Append([]byte(fmt.Sprint(x)))
		}
	case *array.StringBuilder:
		switch x := v.(type) {
		case nil:
			b.AppendNull()
		case []byte:
			b.Append(string(x))
		default:
			b.Append(fmt.Sprint(x))
		}
	}
	return nil
}

func wholeValue(v any) (int64, error) {
	switch x := v.(type) {
	case nil:
		return 0, nil
	case int64:
		return x, nil
	case bool:
		return map[bool]int64{true: 1}[x], nil
	}
	n, err := strconv.ParseInt(fmt.Sprint(v), 10, 64)
	if err != nil {
		return 0, errs.New(errs.Corrupt, "rows inside the catalog cannot be read as their columns")
	}
	return n, nil
}

// InlinedKeys gives some columns, and the row id as r, of rows of the catalog.
// The columns are found by id and come in the types and under the names that
// are wanted.
func InlinedKeys(columns []datafile.Column, rows []catalog.InlinedRow, want []datafile.Column) string {
	return "SELECT " + strings.Join(selectInlined(columns, want), ", ") + ", " + RowIDColumn + " AS r FROM (" + InlinedValues(columns, rows) + ")"
}

// AddInlined adds rows of the catalog to those that the scan yields.
func (r *Scan) AddInlined(t catalog.InlinedTable, columns []datafile.Column, rows []catalog.InlinedRow) {
	if len(rows) > 0 {
		r.inlined = append(r.inlined, inlinedRows{table: t, columns: columns, rows: rows})
	}
}

// selectInlined finds the columns that are wanted, by id, in InlinedValues.
func selectInlined(columns, want []datafile.Column) []string {
	byID := map[int64]datafile.Column{}
	for _, c := range columns {
		byID[c.ID] = c
	}
	sel := make([]string, len(want))
	for i, c := range want {
		expr := "CAST(NULL AS " + c.Type.SQL() + ")"
		if old, ok := byID[c.ID]; ok {
			expr = datafile.Convert(fmt.Sprintf("c%d", c.ID), old.Type, c.Type, false, "read")
		} else if c.InitialDefault != nil {
			expr = "CAST(" + datafile.QuoteText(*c.InitialDefault) + " AS " + c.Type.SQL() + ")"
		}
		sel[i] = expr + " AS " + datafile.Quote(c.Name)
	}
	return sel
}

// values writes one row of VALUES.
func values(b *strings.Builder, columns []datafile.Column, row []any) {
	b.WriteByte('(')
	for k, v := range row {
		if k > 0 {
			b.WriteString(", ")
		}
		b.WriteString(inlinedValue(v, columns[k].Type))
	}
	b.WriteByte(')')
}

// Values gives rows, kept as the catalog keeps them, as a SELECT of columns
// under their own names.
func Values(columns []datafile.Column, rows [][]any) string {
	var b strings.Builder
	b.WriteString("SELECT * FROM (VALUES ")
	for i, row := range rows {
		if i > 0 {
			b.WriteString(", ")
		}
		values(&b, columns, row)
	}
	b.WriteString(") v(")
	for i, c := range columns {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(datafile.Quote(c.Name))
	}
	b.WriteString(")")
	return b.String()
}

func inlinedValue(v any, t datafile.Type) string {
	switch x := v.(type) {
	case nil:
		return "CAST(NULL AS " + t.SQL() + ")"
	case int64:
		return fmt.Sprintf("CAST(%d AS %s)", x, t.SQL())
	case float64:
		return fmt.Sprintf("CAST(%s AS %s)", datafile.QuoteText(fmt.Sprint(x)), t.SQL())
	case bool:
		return fmt.Sprintf("CAST(%t AS %s)", x, t.SQL())
	case []byte:
		if t.Name == "blob" {
			return fmt.Sprintf("from_hex('%x')", x)
		}
		return castText(string(x), t)
	}
	return castText(fmt.Sprint(v), t)
}

func castText(s string, t datafile.Type) string {
	text := datafile.QuoteText(s)
	if strings.ContainsRune(s, 0) {
		text = fmt.Sprintf("decode(from_hex('%x'))", s)
	}
	if t.Name == "varchar" {
		return text
	}
	return "CAST(" + text + " AS " + t.SQL() + ")"
}

// InlinedValues gives versions of rows that the catalog itself holds as VALUES
// of columns c<id>, the row id and the snapshot at which each came.
func InlinedValues(columns []datafile.Column, rows []catalog.InlinedRow) string {
	names := make([]string, 0, len(columns)+2)
	for _, c := range columns {
		names = append(names, fmt.Sprintf("c%d", c.ID))
	}
	names = append(names, RowIDColumn, SnapshotColumn)
	lines := make([]string, len(rows))
	for i, r := range rows {
		cells := make([]string, 0, len(names))
		for k, v := range r.Values {
			cells = append(cells, inlinedValue(v, columns[k].Type))
		}
		lines[i] = "(" + strings.Join(append(cells, fmt.Sprintf("%d::BIGINT", r.ID), fmt.Sprintf("%d::BIGINT", r.Begin)), ", ") + ")"
	}
	return "SELECT * FROM (VALUES " + strings.Join(lines, ", ") + ") inlined(" + strings.Join(names, ", ") + ")"
}
