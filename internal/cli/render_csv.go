package cli

import (
	"io"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
)

// csvRows prints RFC 4180 with the line ends of Unix (\n), so that line tools
// work: a header always, NULL as an empty field, empty text as "", nested
// values as their JSON text.
type csvRows struct {
	w   io.Writer
	buf []byte
}

func newCSVRows(w io.Writer, schema *arrow.Schema) *csvRows {
	c := &csvRows{w: w}
	for i, f := range schema.Fields() {
		if i > 0 {
			c.buf = append(c.buf, ',')
		}
		c.buf = appendCSVText(c.buf, f.Name)
	}
	c.buf = append(c.buf, '\n')
	return c
}

func (c *csvRows) Write(b arrow.RecordBatch) error {
	cells, err := columnsOf(b)
	if err != nil {
		return err
	}
	for i := range int(b.NumRows()) {
		for k := range cells {
			if k > 0 {
				c.buf = append(c.buf, ',')
			}
			c.buf = cells[k].appendCSV(c.buf, i)
		}
		c.buf = append(c.buf, '\n')
		if len(c.buf) >= flushAt {
			if err := c.flush(); err != nil {
				return err
			}
		}
	}
	return c.flush()
}

func (c *csvRows) Close() error { return c.flush() }

func (c *csvRows) flush() error {
	_, err := c.w.Write(c.buf)
	c.buf = c.buf[:0]
	return err
}

// appendCSVText appends a text, quoted when a reader could take it for
// something else: empty text for NULL, a # for a comment, blanks for padding,
// another separator for the separator.
func appendCSVText(b []byte, s string) []byte {
	if !csvNeedsQuotes(s) {
		return append(b, s...)
	}
	b = append(b, '"')
	for {
		i := strings.IndexByte(s, '"')
		if i < 0 {
			break
		}
		b = append(append(b, s[:i]...), '"', '"')
		s = s[i+1:]
	}
	return append(append(b, s...), '"')
}

func csvNeedsQuotes(s string) bool {
	if s == "" || s[0] == '#' || s[0] == '\'' || s[0] <= ' ' || s[len(s)-1] <= ' ' {
		return true
	}
	for i := range len(s) {
		switch s[i] {
		case '"', ',', '\n', '\r', ';', '\t', '|':
			return true
		}
	}
	return len(s) == 4 && strings.EqualFold(s, "null")
}
