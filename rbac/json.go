package rbac

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/supertable-go/supertable/internal/errs"
)

// maxDocument bounds a document, in bytes.
const maxDocument = 1 << 20

// maxNesting bounds how deep a document nests; filters have a limit of their
// own below it.
const maxNesting = 200

// decode reads one JSON value strictly: a key that repeats is refused, since
// two readers could each believe another one, and so is anything after the
// value. Numbers stay text.
func decode(text []byte) (any, error) {
	if len(text) > maxDocument {
		return nil, errs.New(errs.InvalidArgument, "the document has more than %d bytes", maxDocument)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	v, err := decodeValue(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errs.New(errs.InvalidArgument, "the document goes on after its end")
	}
	return v, nil
}

func decodeValue(d *json.Decoder, depth int) (any, error) {
	if depth > maxNesting {
		return nil, errs.New(errs.InvalidArgument, "the document nests deeper than %d levels", maxNesting)
	}
	t, err := d.Token()
	if err != nil {
		return nil, notJSON(err)
	}
	switch t {
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := decodeValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.Token()
		return list, notJSON(err)
	case json.Delim('{'):
		return decodeObject(d, depth)
	}
	return t, nil
}

func decodeObject(d *json.Decoder, depth int) (any, error) {
	out := map[string]any{}
	for d.More() {
		k, err := d.Token()
		if err != nil {
			return nil, notJSON(err)
		}
		key, _ := k.(string)
		if _, twice := out[key]; twice {
			return nil, errs.New(errs.InvalidArgument, "the document has the key %q twice", key)
		}
		if out[key], err = decodeValue(d, depth+1); err != nil {
			return nil, err
		}
	}
	_, err := d.Token()
	return out, notJSON(err)
}

func notJSON(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errs.New(errs.InvalidArgument, "the document is empty or ends in the middle")
	}
	return errs.Wrap(errs.InvalidArgument, err, "the document is not JSON: %v", err)
}

// canonical writes a value as the published hashes need it: keys sorted, ", "
// and ": " between, ASCII only, floats in their shortest form with a point or
// an exponent (behaviour.md B.4.2).
func canonical(v any) string {
	var b strings.Builder
	writeCanonical(&b, v)
	return b.String()
}

func writeCanonical(b *strings.Builder, v any) {
	switch v := v.(type) {
	case nil:
		b.WriteString("null")
	case bool:
		b.WriteString(strconv.FormatBool(v))
	case string:
		writeASCII(b, v)
	case json.Number:
		b.WriteString(canonicalNumber(v.String()))
	case []string:
		list := make([]any, len(v))
		for i, s := range v {
			list[i] = s
		}
		writeCanonical(b, list)
	case []any:
		b.WriteByte('[')
		for i, e := range v {
			if i > 0 {
				b.WriteString(", ")
			}
			writeCanonical(b, e)
		}
		b.WriteByte(']')
	case map[string]any:
		b.WriteByte('{')
		for i, k := range sortedKeys(v) {
			if i > 0 {
				b.WriteString(", ")
			}
			writeASCII(b, k)
			b.WriteString(": ")
			writeCanonical(b, v[k])
		}
		b.WriteByte('}')
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// writeASCII quotes a text with everything beyond printable ASCII as \uXXXX.
func writeASCII(b *strings.Builder, s string) {
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\b':
			b.WriteString(`\b`)
		case r == '\f':
			b.WriteString(`\f`)
		case r >= 0x10000:
			hi, lo := utf16.EncodeRune(r)
			fmt.Fprintf(b, `\u%04x\u%04x`, hi, lo)
		case r < 0x20 || r > 0x7e:
			fmt.Fprintf(b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
}

// canonicalNumber keeps whole numbers and writes others as the shortest text
// that reads back as the same float64: 1e3 is 1000.0, 1e16 is 1e+16.
func canonicalNumber(s string) string {
	if !strings.ContainsAny(s, ".eE") {
		return s
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return s
	}
	short := strconv.FormatFloat(f, 'e', -1, 64)
	_, exp, _ := strings.Cut(short, "e")
	if n, _ := strconv.Atoi(exp); n < -4 || n >= 16 {
		return short
	}
	plain := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(plain, ".") {
		plain += ".0"
	}
	return plain
}
