package cli

import (
	"encoding/base64"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/supertable-go/supertable"
)

// form says how the plain text of a value stands in JSON and CSV.
type form uint8

const (
	formNumber form = iota // bare everywhere; what is not finite is quoted in JSON
	formBool               // bare everywhere, but no number
	formWord               // quoted in JSON; has nothing to escape
	formText               // any text
	formNested             // the plain text is JSON
	formJSON               // any text, which most likely is JSON
)

// column prints the values of one array.
type column struct {
	form   form
	isNull func(i int) bool // nil when no value is NULL
	// plain appends the text of value i, which is not NULL.
	plain func(b []byte, i int) []byte
	// text is set for formText and formJSON: the value itself, without a copy.
	text func(i int) string
}

func (c *column) null(i int) bool { return c.isNull != nil && c.isNull(i) }

func (c *column) appendJSON(b []byte, i int) []byte {
	if c.null(i) {
		return append(b, "null"...)
	}
	switch c.form {
	case formText:
		return appendJSONString(b, c.text(i))
	case formJSON:
		return appendJSONValue(b, c.text(i))
	case formWord:
		return append(c.plain(append(b, '"'), i), '"')
	case formNumber:
		n := len(b)
		b = c.plain(b, i)
		if last := b[len(b)-1]; last == 'N' || last == 'y' { // NaN, Infinity
			word := string(b[n:])
			b = append(append(append(b[:n], '"'), word...), '"')
		}
		return b
	}
	return c.plain(b, i)
}

func (c *column) appendCSV(b []byte, i int) []byte {
	if c.null(i) {
		return b
	}
	switch c.form {
	case formText, formJSON:
		return appendCSVText(b, c.text(i))
	case formNested:
		return appendCSVText(b, string(c.plain(nil, i)))
	case formWord:
		n := len(b)
		b = c.plain(b, i)
		if len(b) == n { // an empty blob is not NULL
			b = append(b, '"', '"')
		}
		return b
	}
	return c.plain(b, i)
}

// appendText appends the value for people: NULL is NULL, and a text that says
// NULL stands in quotes.
func (c *column) appendText(b []byte, i int) []byte {
	if c.null(i) {
		return append(b, "NULL"...)
	}
	if c.form == formText {
		if s := c.text(i); s != "NULL" {
			return append(b, s...)
		}
		return append(b, `"NULL"`...)
	}
	return c.plain(b, i)
}

// columnsOf makes the printers of all columns of b.
func columnsOf(b arrow.RecordBatch) ([]column, error) {
	out := make([]column, b.NumCols())
	for i, f := range b.Schema().Fields() {
		c, err := newColumn(f, b.Column(i))
		if err != nil {
			return nil, err
		}
		out[i] = c
	}
	return out, nil
}

// newColumn makes the printer of an array; the field carries what extension
// its type is.
func newColumn(f arrow.Field, a arrow.Array) (column, error) {
	if x, ok := a.(array.ExtensionArray); ok {
		return newExtension(f.Name, extensionOf(x.ExtensionType()), x.Storage())
	}
	if name, ok := f.Metadata.GetValue("ARROW:extension:name"); ok {
		data, _ := f.Metadata.GetValue("ARROW:extension:metadata")
		return newExtension(f.Name, extension{name, data}, a)
	}
	c, ok := newScalar(a)
	if !ok {
		var err error
		if c, err = newNested(f.Name, a); err != nil {
			return column{}, err
		}
	}
	if c.isNull == nil && a.NullN() > 0 {
		c.isNull = a.IsNull
	}
	return c, nil
}

// newScalar makes the printer of an array without children.
func newScalar(a arrow.Array) (column, bool) {
	switch a := a.(type) {
	case *array.Null:
		return column{isNull: func(int) bool { return true }}, true
	case *array.Boolean:
		return column{form: formBool, plain: func(b []byte, i int) []byte { return strconv.AppendBool(b, a.Value(i)) }}, true
	case *array.String:
		return textOf(a.Value), true
	case *array.LargeString:
		return textOf(a.Value), true
	case *array.StringView:
		return textOf(a.Value), true
	case *array.Binary:
		return blobOf(a.Value), true
	case *array.LargeBinary:
		return blobOf(a.Value), true
	case *array.BinaryView:
		return blobOf(a.Value), true
	case *array.FixedSizeBinary:
		return blobOf(a.Value), true
	}
	if c, ok := newNumber(a); ok {
		return c, true
	}
	return newTemporal(a)
}

func textOf(value func(int) string) column {
	return column{form: formText, text: value, plain: func(b []byte, i int) []byte { return append(b, value(i)...) }}
}

func blobOf(value func(int) []byte) column {
	return column{form: formWord, plain: func(b []byte, i int) []byte {
		return base64.StdEncoding.AppendEncode(b, value(i))
	}}
}

// word makes a column of values that need quotes in JSON but no escapes.
func word(plain func(b []byte, i int) []byte) (column, bool) {
	return column{form: formWord, plain: plain}, true
}

// unprintable is the error of a type that has no text of ours.
func unprintable(name string, t arrow.DataType) error {
	return failf(supertable.Unsupported, "column %q: type %s cannot be printed; cast it to text", name, t)
}
