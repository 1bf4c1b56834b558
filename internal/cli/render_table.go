package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

const (
	// tablePage is how many rows are held to find the widths of columns.
	tablePage = 1000
	// cellWidth is where a cell of a table is cut with …; the other forms
	// never cut.
	cellWidth = 400
)

// tablePrinter draws a table page by page: the first page sets the widths; a
// later page that is wider repeats the names above it. There are no colours,
// so a pipe gets what a terminal gets.
type tablePrinter struct {
	w       io.Writer
	names   []string
	numeric []bool
	widths  []int
	rows    [][]string
	drawn   []int // the widths of the last page
}

func newTablePrinter(w io.Writer, names []string, numeric []bool) *tablePrinter {
	t := &tablePrinter{w: w, numeric: numeric, widths: make([]int, len(names))}
	for i, n := range names {
		t.names = append(t.names, clip(printable(n)))
		t.widths[i] = text.StringWidth(t.names[i])
	}
	return t
}

// add takes a row of printable cells.
func (t *tablePrinter) add(cells []string) error {
	if len(t.rows) == tablePage {
		if err := t.page(false); err != nil {
			return err
		}
	}
	for i, c := range cells {
		cells[i] = clip(c)
		t.widths[i] = max(t.widths[i], text.StringWidth(cells[i]))
	}
	t.rows = append(t.rows, cells)
	return nil
}

// end draws what is left and the bottom line.
func (t *tablePrinter) end() error { return t.page(true) }

// page draws the rows that are held; the lines that belong to the table as a
// whole are cut off where the page is not its first or last.
func (t *tablePrinter) page(last bool) error {
	if len(t.names) == 0 {
		return nil
	}
	lines := strings.Split(t.draw(), "\n")
	if slices.Equal(t.drawn, t.widths) {
		lines = lines[3:] // top line, names, line
	}
	if !last {
		lines = lines[:len(lines)-1]
	}
	t.drawn = slices.Clone(t.widths)
	t.rows = t.rows[:0]
	_, err := io.WriteString(t.w, strings.Join(lines, "\n")+"\n")
	return err
}

func (t *tablePrinter) draw() string {
	w := table.NewWriter()
	style := table.StyleLight
	style.Format = table.FormatOptions{}
	w.SetStyle(style)
	configs := make([]table.ColumnConfig, len(t.names))
	for i := range configs {
		align := text.AlignLeft
		if t.numeric[i] {
			align = text.AlignRight
		}
		configs[i] = table.ColumnConfig{Number: i + 1, Align: align, AlignHeader: align, WidthMin: t.widths[i]}
	}
	w.SetColumnConfigs(configs)
	w.AppendHeader(asRow(t.names))
	for _, r := range t.rows {
		w.AppendRow(asRow(r))
	}
	return w.Render()
}

func asRow(cells []string) table.Row {
	row := make(table.Row, len(cells))
	for i, c := range cells {
		row[i] = c
	}
	return row
}

// clip cuts s to the width of a cell.
func clip(s string) string {
	if len(s) <= cellWidth || text.StringWidth(s) <= cellWidth {
		return s
	}
	width := 0
	for i, r := range s {
		if width += text.RuneWidth(r); width >= cellWidth {
			return s[:i] + "…"
		}
	}
	return s
}

// printable escapes what would break a line or drive a terminal: control
// characters, line and direction marks, bytes that are not UTF-8.
func printable(s string) string {
	clean := true
	for _, r := range s {
		if r == utf8.RuneError || isControl(r) {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		_, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case isControl(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func isControl(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp)
}

// tableRows prints query results as a table with a count below it.
type tableRows struct {
	*tablePrinter
	schema *arrow.Schema
	plan   bool
	count  int64
}

func newTableRows(w io.Writer, schema *arrow.Schema) *tableRows {
	names, numeric := make([]string, schema.NumFields()), make([]bool, schema.NumFields())
	for i, f := range schema.Fields() {
		names[i], numeric[i] = f.Name, isNumeric(f)
	}
	return &tableRows{tablePrinter: newTablePrinter(w, names, numeric), schema: schema, plan: isPlan(schema)}
}

func (t *tableRows) Write(b arrow.RecordBatch) error {
	cells, err := columnsOf(b)
	if err != nil {
		return err
	}
	if t.plan {
		return t.writePlan(cells, int(b.NumRows()))
	}
	t.count += b.NumRows()
	for i := range int(b.NumRows()) {
		row := make([]string, len(cells))
		for k := range cells {
			row[k] = printable(string(cells[k].appendText(nil, i)))
		}
		if err := t.add(row); err != nil {
			return err
		}
	}
	return nil
}

func (t *tableRows) Close() error {
	if t.plan {
		return nil
	}
	if err := t.end(); err != nil {
		return err
	}
	_, err := io.WriteString(t.w, countLine(t.count))
	return err
}

// writePlan prints what EXPLAIN draws as it is: it is text of many lines.
func (t *tableRows) writePlan(cells []column, rows int) error {
	for i := range rows {
		if _, err := fmt.Fprintf(t.w, "%s\n", cells[len(cells)-1].appendText(nil, i)); err != nil {
			return err
		}
	}
	return nil
}

// isPlan knows the columns that EXPLAIN answers with.
func isPlan(s *arrow.Schema) bool {
	return s.NumFields() == 2 && s.Field(0).Name == "explain_key" && s.Field(1).Name == "explain_value"
}

func countLine(n int64) string {
	if n == 1 {
		return "(1 row)\n"
	}
	return fmt.Sprintf("(%d rows)\n", n)
}

// isNumeric tells whether the values of f stand at the right.
func isNumeric(f arrow.Field) bool {
	id := f.Type.ID()
	return arrow.IsInteger(id) || arrow.IsFloating(id) || arrow.IsDecimal(id)
}
