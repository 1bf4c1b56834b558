package source

import (
	"bytes"
	"errors"
	"io"
	"unicode/utf8"
)

// lineEnds is the set of line ends that a file uses outside quotes.
type lineEnds uint8

const (
	endLF lineEnds = 1 << iota
	endCRLF
	endCR
)

// csvReader cuts a CSV stream into records and fields as RFC 4180 says, with
// two liberties that the engine takes too: a quote inside an unquoted field is
// an ordinary character, and blanks may stand around a quoted field.
type csvReader struct {
	src   io.Reader
	delim byte
	buf   []byte // not yet consumed bytes are buf[pos:end]
	pos   int
	end   int
	eof   bool

	field   []csvField // of the current record; valid until the next one
	raw     []byte     // the current record without its line end
	line    int        // where the current record begins, from 1
	next    int        // where the next one begins
	ends    lineEnds
	breaks  bool // some field holds a line break
	blanks  bool // blanks stand around some quotes
	longest int  // bytes of the longest record
}

// csvField is one field of a record.
type csvField struct {
	b       []byte // without its quotes
	quoted  bool
	doubled bool // holds doubled quotes
}

// null reports whether the field stands for NULL: empty and not quoted.
func (f csvField) null() bool { return len(f.b) == 0 && !f.quoted }

// text is the value of the field.
func (f csvField) text() []byte {
	if f.doubled {
		return bytes.ReplaceAll(f.b, []byte(`""`), []byte(`"`))
	}
	return f.b
}

// csvError is a malformed record: what is wrong and where.
type csvError struct {
	line int
	why  string
}

func (e *csvError) Error() string { return e.why }

var errMore = errors.New("the record goes on beyond the buffer")

func newCSVReader(src io.Reader) *csvReader {
	return &csvReader{src: src, buf: make([]byte, 1<<20), next: 1}
}

// fill reads more bytes behind the unconsumed ones, in a larger buffer when
// that is full.
func (r *csvReader) fill() error {
	if r.pos > 0 {
		copy(r.buf, r.buf[r.pos:r.end])
		r.end -= r.pos
		r.pos = 0
	}
	if r.end == len(r.buf) {
		r.buf = append(r.buf, make([]byte, len(r.buf))...)
	}
	for r.end < len(r.buf) && !r.eof {
		n, err := r.src.Read(r.buf[r.end:])
		r.end += n
		if errors.Is(err, io.EOF) {
			r.eof = true
		} else if err != nil {
			return err
		}
	}
	return nil
}

// peek gives the first bytes of the stream.
func (r *csvReader) peek() ([]byte, error) {
	err := r.fill()
	return r.buf[r.pos:r.end], err
}

// record reads the next record; io.EOF at the end.
func (r *csvReader) record() error {
	for {
		if r.pos < r.end {
			n, err := r.parse(r.buf[r.pos:r.end])
			if err == nil {
				r.pos += n
				r.longest = max(r.longest, n)
				return nil
			}
			if !errors.Is(err, errMore) {
				return err
			}
		} else if r.eof {
			return io.EOF
		}
		if err := r.fill(); err != nil {
			return err
		}
	}
}

// parse reads one record at the beginning of b and gives its length with its
// line end.
func (r *csvReader) parse(b []byte) (int, error) {
	r.field = r.field[:0]
	r.line = r.next
	breaks, i := 0, 0
	for {
		f, n, err := r.parseField(b, i)
		if err != nil {
			return 0, err
		}
		if f.quoted {
			if k := bytes.Count(f.b, []byte{'\n'}); k > 0 || bytes.IndexByte(f.b, '\r') >= 0 {
				breaks += k
				r.breaks = true
			}
		}
		r.field = append(r.field, f)
		i = n
		if i == len(b) {
			if !r.eof {
				return 0, errMore
			}
			return r.finish(b, i, i, 0, breaks)
		}
		switch b[i] {
		case '\n':
			return r.finish(b, i, i+1, endLF, breaks)
		case '\r':
			if i+1 == len(b) && !r.eof {
				return 0, errMore
			}
			if i+1 < len(b) && b[i+1] == '\n' {
				return r.finish(b, i, i+2, endCRLF, breaks)
			}
			return r.finish(b, i, i+1, endCR, breaks)
		}
		i++ // the delimiter
	}
}

func (r *csvReader) finish(b []byte, to, next int, end lineEnds, breaks int) (int, error) {
	r.raw = b[:to]
	if !utf8.Valid(r.raw) {
		return 0, &csvError{r.line, "the text is not UTF-8"}
	}
	r.ends |= end
	r.next = r.line + breaks + 1
	return next, nil
}

// parseField reads the field at b[i:] and gives where it ends: at a delimiter,
// a line end or the end of b.
func (r *csvReader) parseField(b []byte, i int) (csvField, int, error) {
	if i < len(b) && (b[i] == '"' || b[i] == ' ') {
		j := i
		for j < len(b) && b[j] == ' ' {
			j++
		}
		if j == len(b) && !r.eof {
			return csvField{}, 0, errMore
		}
		if j < len(b) && b[j] == '"' {
			r.blanks = r.blanks || j > i
			return r.parseQuoted(b, j+1)
		}
	}
	k := i
	for k < len(b) && b[k] != r.delim && b[k] != '\n' && b[k] != '\r' {
		k++
	}
	return csvField{b: b[i:k]}, k, nil
}

func (r *csvReader) parseQuoted(b []byte, i int) (csvField, int, error) {
	f := csvField{quoted: true}
	k := i
	for {
		q := bytes.IndexByte(b[k:], '"')
		if q < 0 {
			if r.eof {
				return f, 0, &csvError{r.line, "a quote is not closed"}
			}
			return f, 0, errMore
		}
		k += q
		if k+1 == len(b) && !r.eof {
			return f, 0, errMore
		}
		if k+1 == len(b) || b[k+1] != '"' {
			break
		}
		f.doubled = true
		k += 2
	}
	f.b = b[i:k]
	k++
	for k < len(b) && b[k] == ' ' {
		k++
		r.blanks = true
	}
	if k < len(b) && b[k] != r.delim && b[k] != '\n' && b[k] != '\r' {
		return f, 0, &csvError{r.line, "text stands behind a closing quote (a quote inside a value is written twice)"}
	}
	return f, k, nil
}

// delimiters that are looked for, in order of preference.
var delimiters = [...]byte{',', '\t', ';', '|'}

// findDelimiter picks the delimiter that cuts the first records into the most
// fields, the same number in each; else the one that the header holds most.
func findDelimiter(head []byte, eof bool) byte {
	best, most := byte(','), 1
	for _, d := range delimiters {
		if n := evenFields(head, eof, d); n > most {
			best, most = d, n
		}
	}
	if most > 1 {
		return best
	}
	for _, d := range delimiters {
		r := &csvReader{delim: d, eof: eof}
		if _, err := r.parse(head); err == nil && len(r.field) > most {
			best, most = d, len(r.field)
		}
	}
	return best
}

// evenFields is the number of fields per record with the delimiter, 0 when the
// records differ.
func evenFields(head []byte, eof bool, delim byte) int {
	r := &csvReader{delim: delim, eof: eof}
	n := 0
	for range 100 {
		used, err := r.parse(head)
		if errors.Is(err, errMore) || used == 0 && err == nil {
			break
		}
		if err != nil || n > 0 && len(r.field) != n {
			if err == nil && len(r.raw) == 0 { // an empty line
				head = head[used:]
				continue
			}
			return 0
		}
		n = len(r.field)
		head = head[used:]
	}
	return n
}
