package source

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// maxJSONDepth bounds the nesting of JSON values.
const maxJSONDepth = 256

// jsonParser reads JSON values strictly (RFC 8259, and NaN, Infinity,
// -Infinity as Python writes them) and tells the nodes what it sees.
type jsonParser struct {
	b      []byte
	pos    int
	eof    bool // b ends where the input ends
	depth  int
	serial int64 // of the current object
	deep   int   // numbers seen that a float64 rounds
	buf    []byte
}

// jsonError is malformed JSON.
type jsonError struct {
	pos int
	why string
}

func (e *jsonError) Error() string { return e.why }

// jsonMisfit is a value that its given type cannot hold.
type jsonMisfit struct {
	pos   int
	value []byte
	bad   misfit
	want  *sqlType
}

func (e *jsonMisfit) Error() string { return string(e.bad) }

func (p *jsonParser) fail(format string, args ...any) error {
	return &jsonError{p.pos, fmt.Sprintf(format, args...)}
}

func (p *jsonParser) unfit(from int, n *jsonNode, bad misfit) error {
	if bad == fine {
		return nil
	}
	return &jsonMisfit{from, p.b[from:p.pos], bad, n.want}
}

// space skips blanks and tells whether a byte follows.
func (p *jsonParser) space() error {
	for p.pos < len(p.b) {
		switch p.b[p.pos] {
		case ' ', '\t', '\r', '\n':
			p.pos++
		default:
			return nil
		}
	}
	return p.short()
}

// short is the error for the end of the bytes inside a value.
func (p *jsonParser) short() error {
	if !p.eof {
		return errMore
	}
	return p.fail("the file ends inside a value")
}

// value reads one value into n; a nil n takes no notes.
func (p *jsonParser) value(n *jsonNode) error {
	if err := p.space(); err != nil {
		return err
	}
	switch c := p.b[p.pos]; {
	case c == '"':
		return p.text(n)
	case c == '{':
		return p.inside(n, p.object)
	case c == '[':
		return p.inside(n, p.array)
	case c >= '0' && c <= '9' || c == '-':
		return p.number(n)
	}
	return p.word(n)
}

// inside reads an object or array, one level deeper.
func (p *jsonParser) inside(n *jsonNode, read func(*jsonNode) error) error {
	if p.depth++; p.depth > maxJSONDepth {
		return p.fail("nested deeper than %d levels", maxJSONDepth)
	}
	before := p.deep
	err := read(n)
	p.depth--
	if n != nil && p.deep != before {
		n.deep = true
	}
	return err
}

func (p *jsonParser) word(n *jsonNode) error {
	from := p.pos
	for p.pos < len(p.b) && (p.b[p.pos] >= 'a' && p.b[p.pos] <= 'z' || p.b[p.pos] >= 'A' && p.b[p.pos] <= 'Z') {
		p.pos++
	}
	if p.pos == len(p.b) && !p.eof {
		return errMore
	}
	switch w := string(p.b[from:p.pos]); w {
	case "null":
		return nil
	case "true", "false":
		if n == nil {
			return nil
		}
		n.kinds |= jBool
		if n.want != nil && !n.want.is("BOOLEAN") && !n.whole() {
			return p.unfit(from, n, notOf)
		}
		return nil
	case "NaN", "Infinity":
		return p.special(n, from)
	}
	p.pos = from
	r, _ := utf8.DecodeRune(p.b[from:])
	return p.fail("unexpected %s", quoteShort(string(r)))
}

func (p *jsonParser) special(n *jsonNode, from int) error {
	p.deep++
	if n == nil {
		return nil
	}
	n.kinds |= jNumber
	n.real, n.deep, n.num.finite = true, true, true
	n.num.add(p.b[from:p.pos])
	if n.want != nil && !n.want.is("DOUBLE") && !n.want.is("FLOAT") && !n.whole() {
		return p.unfit(from, n, notOf)
	}
	return nil
}

func (p *jsonParser) digits() int {
	from := p.pos
	for p.pos < len(p.b) && p.b[p.pos] >= '0' && p.b[p.pos] <= '9' {
		p.pos++
	}
	return p.pos - from
}

func (p *jsonParser) at(c byte) bool { return p.pos < len(p.b) && p.b[p.pos] == c }

func (p *jsonParser) number(n *jsonNode) error {
	from := p.pos
	if p.at('-') {
		p.pos++
		if p.at('I') {
			return p.infinity(n, from)
		}
	}
	zero := p.at('0')
	whole := p.digits()
	ok := whole > 0 && (!zero || whole == 1)
	if ok && p.at('.') {
		p.pos++
		ok = p.digits() > 0
	}
	if ok && (p.at('e') || p.at('E')) {
		p.pos++
		if p.at('+') || p.at('-') {
			p.pos++
		}
		ok = p.digits() > 0
	}
	if p.pos == len(p.b) && !p.eof {
		return errMore
	}
	if !ok {
		return p.fail("a malformed number")
	}
	return p.numberSeen(n, from)
}

func (p *jsonParser) infinity(n *jsonNode, from int) error {
	const word = "Infinity"
	if len(p.b)-p.pos < len(word) && !p.eof {
		return errMore
	}
	if !bytes.HasPrefix(p.b[p.pos:], []byte(word)) {
		return p.fail("a malformed number")
	}
	p.pos += len(word)
	return p.special(n, from)
}

func (p *jsonParser) numberSeen(n *jsonNode, from int) error {
	tok := p.b[from:p.pos]
	num, _ := parseNumber(tok)
	exact := num.fitsFloat(tok, 64)
	if num.real && !exact {
		p.deep++
	}
	if n == nil {
		return nil
	}
	n.kinds |= jNumber
	if num.real {
		n.real = true
		n.realWhole = max(n.realWhole, num.whole())
		n.deep = n.deep || !exact
	}
	switch {
	case n.want == nil:
		n.num.seen = true
		n.num.not |= ^n.num.number(num, tok, exact) & kAll
	case n.whole():
	case n.numeric == nil:
		return p.unfit(from, n, notOf)
	case exact && n.want.is("DOUBLE"):
	case !n.numeric(num, tok):
		return p.unfit(from, n, inexact)
	}
	return nil
}

func (p *jsonParser) text(n *jsonNode) error {
	from := p.pos
	raw, escaped, err := p.quoted()
	if err != nil || n == nil {
		return err
	}
	n.kinds |= jString
	switch {
	case n.want == nil:
		n.str.add(raw)
	case n.whole():
	default:
		if escaped {
			p.buf = unescape(p.buf[:0], raw)
			raw = p.buf
		}
		return p.unfit(from, n, n.fits(raw))
	}
	return nil
}

func (p *jsonParser) array(n *jsonNode) error {
	from := p.pos
	p.pos++
	var elem *jsonNode
	if n != nil {
		n.kinds |= jArray
	}
	if !n.whole() {
		switch {
		case n.want == nil, n.want.is(tList):
			elem = n.element()
		case n.want.is(tMap):
			n.pairs = true
			return p.mapPairs(n)
		default:
			return p.unfit(from, n, notOf)
		}
	}
	return p.items(func() error { return p.value(elem) })
}

// items reads what stands between the brackets of an array.
func (p *jsonParser) items(read func() error) error {
	if err := p.space(); err != nil {
		return err
	}
	if p.at(']') {
		p.pos++
		return nil
	}
	for {
		if err := read(); err != nil {
			return err
		}
		if err := p.space(); err != nil {
			return err
		}
		if p.at(']') {
			p.pos++
			return nil
		}
		if !p.at(',') {
			return p.fail("a comma or ] is missing")
		}
		p.pos++
	}
}
