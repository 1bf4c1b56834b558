package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"strconv"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
)

// jsonRows prints rows as objects: one array of them, or one a line.
type jsonRows struct {
	w     io.Writer
	array bool
	keys  [][]byte // `{"a":`, `,"b":`, …
	buf   []byte
	any   bool
}

func newJSONRows(w io.Writer, schema *arrow.Schema, array bool) *jsonRows {
	j := &jsonRows{w: w, array: array}
	for i, name := range uniqueNames(schema.Fields()) {
		key := []byte{','}
		if i == 0 {
			key[0] = '{'
		}
		j.keys = append(j.keys, append(appendJSONString(key, name), ':'))
	}
	return j
}

func (j *jsonRows) Write(b arrow.RecordBatch) error {
	cells, err := columnsOf(b)
	if err != nil {
		return err
	}
	for i := range int(b.NumRows()) {
		switch {
		case !j.array:
		case j.any:
			j.buf = append(j.buf, ",\n"...)
		default:
			j.buf = append(j.buf, '[')
		}
		j.any = true
		if len(cells) == 0 {
			j.buf = append(j.buf, '{')
		}
		for c := range cells {
			j.buf = append(j.buf, j.keys[c]...)
			j.buf = cells[c].appendJSON(j.buf, i)
		}
		j.buf = append(j.buf, '}')
		if !j.array {
			j.buf = append(j.buf, '\n')
		}
		if len(j.buf) >= flushAt {
			if err := j.flush(); err != nil {
				return err
			}
		}
	}
	return j.flush()
}

func (j *jsonRows) Close() error {
	if !j.array {
		return nil
	}
	if !j.any {
		j.buf = append(j.buf, '[')
	}
	j.buf = append(j.buf, "]\n"...)
	return j.flush()
}

func (j *jsonRows) flush() error {
	_, err := j.w.Write(j.buf)
	j.buf = j.buf[:0]
	return err
}

// flushAt is how many bytes of rows are gathered before they are handed on.
const flushAt = 64 << 10

// uniqueNames gives each name that was there before the first of _1, _2, …
// that no column has.
func uniqueNames(fields []arrow.Field) []string {
	taken := make(map[string]bool, len(fields))
	for _, f := range fields {
		taken[f.Name] = true
	}
	seen := make(map[string]int, len(fields))
	out := make([]string, len(fields))
	for i, f := range fields {
		out[i] = f.Name
		if n, again := seen[f.Name]; again {
			for taken[out[i]] {
				n++
				out[i] = f.Name + "_" + strconv.Itoa(n)
			}
			taken[out[i]] = true
			seen[f.Name] = n
			continue
		}
		seen[f.Name] = 0
	}
	return out
}

const hexDigits = "0123456789abcdef"

// appendJSONString appends s as a JSON string. Bytes that are not UTF-8 become
// U+FFFD, since JSON cannot hold them.
func appendJSONString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			if r, size := utf8.DecodeRuneInString(s[i:]); r != utf8.RuneError || size > 1 {
				i += size
				continue
			}
		}
		b = append(b, s[start:i]...)
		b = appendEscape(b, c)
		i++
		start = i
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}

// appendJSONValue appends a text that is JSON as the value that it means, on
// one line and with every digit, any other as a text.
func appendJSONValue(b []byte, s string) []byte {
	out := bytes.NewBuffer(b)
	if utf8.ValidString(s) && json.Compact(out, []byte(s)) == nil {
		return out.Bytes()
	}
	return appendJSONString(b, s)
}

// appendEscape appends the escape of one byte that cannot stand as itself.
func appendEscape(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\n':
		return append(b, '\\', 'n')
	case '\r':
		return append(b, '\\', 'r')
	case '\t':
		return append(b, '\\', 't')
	}
	if c >= utf8.RuneSelf {
		return append(b, `\ufffd`...)
	}
	return append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}
