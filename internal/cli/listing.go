package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// listing is a small result in memory: named columns and rows of string,
// int64, float64, bool, time.Time, []string, json.RawMessage or nil.
type listing struct {
	columns []string
	rows    [][]any
}

// property is one named value of an object.
type property struct {
	name  string
	value any
}

// object is a result of one row.
type object []property

func (o object) listing() listing {
	l := listing{rows: [][]any{make([]any, len(o))}}
	for i, p := range o {
		l.columns = append(l.columns, p.name)
		l.rows[0][i] = p.value
	}
	return l
}

// printList prints l in the form that --format names.
func (a *app) printList(l listing) error {
	return a.result(func(w io.Writer) error { return writeListing(w, a.flags.format, l) })
}

func writeListing(w io.Writer, format string, l listing) error {
	switch format {
	case formatJSON:
		return l.writeJSON(w)
	case formatNDJSON:
		return l.writeNDJSON(w)
	case formatCSV:
		return l.writeCSV(w)
	default:
		return l.writeTable(w)
	}
}

// printOne prints an object: as itself in JSON, as the sentence for people.
func (a *app) printOne(o object, sentence string) error {
	return a.result(func(w io.Writer) error {
		l := o.listing()
		switch a.flags.format {
		case formatJSON, formatNDJSON:
			return l.writeNDJSON(w)
		case formatCSV:
			return l.writeCSV(w)
		}
		_, err := io.WriteString(w, printable(sentence)+"\n")
		return err
	})
}

// printObjects prints objects that may have different properties: in JSON each
// has its own, elsewhere there is a column for each that occurs.
func (a *app) printObjects(list []object, columns ...string) error {
	if a.flags.format == formatJSON || a.flags.format == formatNDJSON {
		return a.result(func(w io.Writer) error { return writeObjects(w, a.flags.format, list) })
	}
	l := listing{columns: columns}
	for _, o := range list {
		row := make([]any, len(columns))
		for _, p := range o {
			if i := slices.Index(columns, p.name); i >= 0 {
				row[i] = p.value
			}
		}
		l.rows = append(l.rows, row)
	}
	return a.printList(l)
}

func writeObjects(w io.Writer, format string, list []object) error {
	between, after := ",\n", "]\n"
	var b []byte
	if format == formatJSON {
		b = append(b, '[')
	} else {
		between, after = "\n", ""
		if len(list) > 0 {
			after = "\n"
		}
	}
	for i, o := range list {
		if i > 0 {
			b = append(b, between...)
		}
		l := o.listing()
		b = l.appendObject(b, l.rows[0])
	}
	_, err := w.Write(append(b, after...))
	return err
}

func (l listing) writeJSON(w io.Writer) error {
	b := []byte{'['}
	for i, row := range l.rows {
		if i > 0 {
			b = append(b, ",\n"...)
		}
		b = l.appendObject(b, row)
	}
	_, err := w.Write(append(b, "]\n"...))
	return err
}

func (l listing) writeNDJSON(w io.Writer) error {
	var b []byte
	for _, row := range l.rows {
		b = append(l.appendObject(b, row), '\n')
	}
	_, err := w.Write(b)
	return err
}

func (l listing) appendObject(b []byte, row []any) []byte {
	b = append(b, '{')
	for i, v := range row {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendJSONString(b, l.columns[i]), ':')
		switch v := v.(type) {
		case nil:
			b = append(b, "null"...)
		case int64, float64, bool, json.RawMessage:
			b = append(b, plainText(v)...)
		case []string:
			b = appendJSONStrings(b, v)
		default:
			b = appendJSONString(b, plainText(v))
		}
	}
	return append(b, '}')
}

func appendJSONStrings(b []byte, list []string) []byte {
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJSONString(b, s)
	}
	return append(b, ']')
}

func (l listing) writeCSV(w io.Writer) error {
	var b []byte
	for i, name := range l.columns {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendCSVText(b, name)
	}
	b = append(b, '\n')
	for _, row := range l.rows {
		for i, v := range row {
			if i > 0 {
				b = append(b, ',')
			}
			switch v.(type) {
			case string, []string, json.RawMessage:
				b = appendCSVText(b, plainText(v))
			default:
				b = append(b, plainText(v)...)
			}
		}
		b = append(b, '\n')
	}
	_, err := w.Write(b)
	return err
}

func (l listing) writeTable(w io.Writer) error {
	t := newTablePrinter(w, l.columns, l.numeric())
	for _, row := range l.rows {
		cells := make([]string, len(row))
		for i, v := range row {
			cells[i] = printable(plainText(v))
		}
		if err := t.add(cells); err != nil {
			return err
		}
	}
	return t.end()
}

// numeric tells which columns hold numbers.
func (l listing) numeric() []bool {
	is := make([]bool, len(l.columns))
	if len(l.rows) > 0 {
		for i, v := range l.rows[0] {
			switch v.(type) {
			case int64, float64:
				is[i] = true
			}
		}
	}
	return is
}

// plainText is a value as text: "" for nil, times in UTC with microseconds.
func plainText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case json.RawMessage:
		return string(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []string:
		return strings.Join(v, ", ")
	case time.Time:
		if v.IsZero() {
			return ""
		}
		return v.UTC().Format("2006-01-02T15:04:05.000000Z")
	}
	return fmt.Sprint(v)
}
