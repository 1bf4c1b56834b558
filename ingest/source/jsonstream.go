package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/supertable-go/supertable/internal/errs"
)

// jsonStream cuts a stream of JSON into records: the elements of one array,
// or objects in a row, each on a line or not.
type jsonStream struct {
	src io.Reader
	buf []byte // not yet consumed bytes are buf[pos:end]
	pos int
	end int
	eof bool

	p       jsonParser
	begun   bool
	array   bool
	ended   bool // the array's closing bracket was read
	bom     bool
	broken  bool // a record spans lines, or two share one
	line    int  // at pos, from 1
	fresh   bool // a line break was read since the last record
	records int64
	longest int
}

func newJSONStream(src io.Reader) *jsonStream {
	return &jsonStream{src: src, buf: make([]byte, 1<<20), line: 1, fresh: true}
}

func (s *jsonStream) fill() error {
	if s.pos > 0 {
		copy(s.buf, s.buf[s.pos:s.end])
		s.end -= s.pos
		s.pos = 0
	}
	if s.end == len(s.buf) {
		s.buf = append(s.buf, make([]byte, len(s.buf))...)
	}
	for s.end < len(s.buf) && !s.eof {
		n, err := s.src.Read(s.buf[s.end:])
		s.end += n
		if errors.Is(err, io.EOF) {
			s.eof = true
		} else if err != nil {
			return err
		}
	}
	return nil
}

// atEnd stands for the byte behind the last one.
const atEnd = -1

// peek skips blanks and gives the next byte, or atEnd.
func (s *jsonStream) peek() (int, error) {
	for {
		for s.pos < s.end {
			switch c := s.buf[s.pos]; c {
			case '\n':
				s.line++
				s.fresh = true
			case ' ', '\t', '\r':
			default:
				return int(c), nil
			}
			s.pos++
		}
		if s.eof {
			return atEnd, nil
		}
		if err := s.fill(); err != nil {
			return atEnd, err
		}
	}
}

// next reads one record and tells root, when there is one, what is in it. The
// bytes are valid until the next call. io.EOF is the end.
func (s *jsonStream) next(root *jsonNode) ([]byte, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	c, err := s.separator()
	if err != nil {
		return nil, err
	}
	switch {
	case c == atEnd:
		return nil, io.EOF
	case c != '{':
		return nil, s.fail("a JSON object is expected, found %s", quoteShort(string(rune(c))))
	}
	if !s.fresh {
		s.broken = true
	}
	for {
		rec, err := s.parse(root)
		if !errors.Is(err, errMore) {
			return rec, err
		}
		if err := s.fill(); err != nil {
			return nil, err
		}
	}
}

func (s *jsonStream) parse(root *jsonNode) ([]byte, error) {
	s.p.b, s.p.pos, s.p.eof, s.p.depth = s.buf[s.pos:s.end], 0, s.eof, 0
	if err := s.p.value(root); err != nil {
		return nil, err
	}
	rec := s.p.b[:s.p.pos]
	if !utf8.Valid(rec) {
		return nil, s.fail("the text is not UTF-8")
	}
	if n := bytes.Count(rec, []byte{'\n'}); n > 0 {
		s.broken = true
		s.line += n
	}
	s.pos += len(rec)
	s.records++
	s.longest = max(s.longest, len(rec))
	s.fresh = false
	return rec, nil
}

// begin skips a byte order mark and looks whether an array begins.
func (s *jsonStream) begin() error {
	if s.begun {
		return nil
	}
	s.begun = true
	if err := s.fill(); err != nil {
		return err
	}
	if bytes.HasPrefix(s.buf[:s.end], []byte("\ufeff")) {
		s.bom = true
		s.pos = 3
	}
	c, err := s.peek()
	if c == '[' && err == nil {
		s.array = true
		s.pos++
	}
	return err
}

// separator goes to the next record: over a comma in an array. It gives the
// byte there, or atEnd.
func (s *jsonStream) separator() (int, error) {
	c, err := s.peek()
	if err != nil || !s.array {
		return c, err
	}
	switch {
	case s.ended && c == atEnd:
		return atEnd, nil
	case s.ended:
		return atEnd, s.fail("text stands behind the end of the array")
	case c == ']':
		s.pos++
		s.ended = true
		return s.separator()
	case c == atEnd:
		return atEnd, s.fail("the array is not closed")
	case s.records == 0:
		return c, nil
	case c != ',':
		return atEnd, s.fail("a comma or ] is missing")
	}
	s.pos++
	if c, err = s.peek(); c == atEnd && err == nil {
		err = s.fail("the array is not closed")
	}
	return c, err
}

// fail is malformed JSON at the current place.
func (s *jsonStream) fail(format string, args ...any) error {
	s.p.b, s.p.pos = nil, 0
	return &jsonError{0, fmt.Sprintf(format, args...)}
}

// located names the file, the line and what is wrong.
func (s *jsonStream) located(in *input, err error) error {
	var je *jsonError
	var mis *jsonMisfit
	switch {
	case errors.As(err, &mis):
		column := columnAt(s.p.b, mis.pos)
		return errs.Wrap(errs.TypeConflict, &misplaced{column}, "%s: %s: column %s: %s %s", in.name, s.place(mis.pos),
			quoteShort(column), mis.shown(s.p.b), mis.bad.explain(mis.want))
	case errors.As(err, &je):
		return errs.New(errs.InvalidArgument, "%s: %s: %s", in.name, s.place(je.pos), je.why)
	}
	return fileError(in.name, err)
}

// place is where a byte of the current record stands.
func (s *jsonStream) place(at int) string {
	line := s.line + bytes.Count(s.p.b[:min(at, len(s.p.b))], []byte{'\n'})
	if s.array || s.broken {
		return fmt.Sprintf("line %d, record %d", line, s.records+1)
	}
	return fmt.Sprintf("line %d", line)
}

// shown is the value for a message.
func (e *jsonMisfit) shown(record []byte) string {
	if len(e.value) > 0 {
		return quoteShort(string(bytes.Trim(e.value, `"`)))
	}
	if e.pos < len(record) && record[e.pos] == '[' {
		return "an array"
	}
	return "an object"
}

// columnAt finds which column of the record the byte belongs to.
func columnAt(record []byte, at int) string {
	p := &jsonParser{b: record, eof: true}
	p.pos = 1
	column := ""
	_ = p.members(func(key []byte, pos int) (*jsonNode, error) {
		if pos > at {
			return nil, errMore
		}
		column = string(key)
		return nil, nil
	})
	return column
}
