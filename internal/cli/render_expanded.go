package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/jedib0t/go-pretty/v6/text"
)

// expandedRows prints each row as a block of name and value lines (\x).
type expandedRows struct {
	w     io.Writer
	names []string
	count int64
	buf   []byte
}

func newExpandedRows(w io.Writer, schema *arrow.Schema) *expandedRows {
	e := &expandedRows{w: w}
	width := 0
	for _, f := range schema.Fields() {
		e.names = append(e.names, printable(f.Name))
		width = max(width, text.StringWidth(e.names[len(e.names)-1]))
	}
	for i, n := range e.names {
		e.names[i] = n + strings.Repeat(" ", width-text.StringWidth(n)) + " │ "
	}
	return e
}

func (e *expandedRows) Write(b arrow.RecordBatch) error {
	cells, err := columnsOf(b)
	if err != nil {
		return err
	}
	for i := range int(b.NumRows()) {
		e.count++
		e.buf = fmt.Appendf(e.buf[:0], "─[ row %d ]─\n", e.count)
		for k := range cells {
			e.buf = append(e.buf, e.names[k]...)
			e.buf = append(e.buf, printable(string(cells[k].appendText(nil, i)))...)
			e.buf = append(e.buf, '\n')
		}
		if _, err := e.w.Write(e.buf); err != nil {
			return err
		}
	}
	return nil
}

func (e *expandedRows) Close() error {
	_, err := io.WriteString(e.w, countLine(e.count))
	return err
}
