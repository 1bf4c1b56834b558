package scan

import (
	"fmt"
	"strings"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
)

// inlinedSQL gives rows of the catalog as VALUES: text in the engine's own
// form, read by the engine's own casts.
func (r *Scan) inlinedSQL(in inlinedRows) string {
	return "SELECT " + strings.Join(selectInlined(in.columns, r.columns), ", ") + " FROM (" + InlinedValues(in.columns, in.rows) + ")"
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
		r.inlined = append(r.inlined, inlinedRows{t, columns, rows})
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
