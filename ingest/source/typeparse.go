package source

import (
	"strconv"
	"strings"
)

// maxTypeDepth bounds the nesting of a type text.
const maxTypeDepth = 64

// parseType reads a type as the engine prints it or a user writes it.
func parseType(text string) (*sqlType, error) {
	p := &typeParser{text: text}
	t := p.typ(0)
	p.space()
	if p.why == "" && p.pos < len(text) {
		p.fail("unexpected " + quoteShort(text[p.pos:]))
	}
	if p.why != "" {
		return nil, badType(text, p.why)
	}
	return t, nil
}

// typeParser is a recursive descent over one type text. After the first
// mistake (why) every step returns at once.
type typeParser struct {
	text string
	pos  int
	why  string
}

func (p *typeParser) fail(why string) {
	if p.why == "" {
		p.why = why
	}
	p.pos = len(p.text)
}

func (p *typeParser) space() {
	for p.pos < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.pos]) >= 0 {
		p.pos++
	}
}

// take consumes c when it comes next.
func (p *typeParser) take(c byte) bool {
	p.space()
	if p.pos < len(p.text) && p.text[p.pos] == c {
		p.pos++
		return true
	}
	return false
}

func (p *typeParser) need(c byte) {
	if !p.take(c) {
		p.fail("expected " + string(c))
	}
}

// word consumes an identifier without quotes; "" when none comes next.
func (p *typeParser) word() string {
	p.space()
	start := p.pos
	for p.pos < len(p.text) {
		c := p.text[p.pos]
		if c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c < 0x80 {
			break
		}
		p.pos++
	}
	return p.text[start:p.pos]
}

// quoted consumes a text in quotes of kind q, doubled inside.
func (p *typeParser) quoted(q byte) string {
	var b strings.Builder
	for p.pos++; p.pos < len(p.text); p.pos++ {
		if p.text[p.pos] == q {
			p.pos++
			if p.pos == len(p.text) || p.text[p.pos] != q {
				return b.String()
			}
		}
		b.WriteByte(p.text[p.pos])
	}
	p.fail("unterminated quote")
	return ""
}

func (p *typeParser) peek() byte {
	p.space()
	if p.pos < len(p.text) {
		return p.text[p.pos]
	}
	return 0
}

func (p *typeParser) typ(depth int) *sqlType {
	if depth > maxTypeDepth {
		p.fail("nested too deep")
	}
	t := p.base(depth)
	for p.why == "" && p.take('[') {
		if p.take(']') {
			t = &sqlType{name: tList, elem: t}
			continue
		}
		n := p.number(1, 100_000)
		p.need(']')
		t = &sqlType{name: tArray, elem: t, size: n}
	}
	return t
}

func (p *typeParser) number(low, high int) int {
	w := p.word()
	n, err := strconv.Atoi(w)
	if err != nil || n < low || n > high {
		p.fail("expected a number from " + strconv.Itoa(low) + " to " + strconv.Itoa(high))
		return low
	}
	return n
}

func (p *typeParser) base(depth int) *sqlType {
	var word string
	if p.peek() == '"' {
		word = p.quoted('"')
	} else {
		word = p.word()
	}
	if word == "" {
		p.fail("a type is missing")
		return plain(tNull)
	}
	name, ok := aliases[fold(word)]
	if !ok {
		p.fail("unknown type " + quoteShort(word))
		return plain(tNull)
	}
	switch name {
	case tStruct, tUnion:
		return &sqlType{name: name, field: p.fields(depth)}
	case tMap:
		p.need('(')
		k := p.typ(depth + 1)
		p.need(',')
		v := p.typ(depth + 1)
		p.need(')')
		return &sqlType{name: tMap, key: k, elem: v}
	case tDecimal:
		return p.decimal()
	case tEnum, "GEOMETRY":
		return &sqlType{name: name, tag: p.tags()}
	case tVarchar: // a length is accepted and means nothing, as in the engine
		if p.take('(') {
			p.number(1, 1<<31-1)
			p.need(')')
		}
	case "DOUBLE":
		p.phrase("precision")
	case "TIMESTAMP", "TIME":
		if p.phrase("with time zone") {
			name += " WITH TIME ZONE"
		} else {
			p.phrase("without time zone")
		}
	}
	return plain(name)
}

// phrase consumes the words when all of them come next.
func (p *typeParser) phrase(words string) bool {
	start := p.pos
	for w := range strings.FieldsSeq(words) {
		if fold(p.word()) != w {
			p.pos = start
			return false
		}
	}
	return true
}

func (p *typeParser) decimal() *sqlType {
	t := &sqlType{name: tDecimal, prec: 18, scale: 3}
	if !p.take('(') {
		return t
	}
	t.prec, t.scale = p.number(1, 38), 0
	if p.take(',') {
		t.scale = p.number(0, t.prec)
	}
	p.need(')')
	return t
}

// tags consumes a parenthesised list of texts and returns it as it stands.
func (p *typeParser) tags() string {
	if !p.take('(') {
		return ""
	}
	start := p.pos
	for p.why == "" {
		if p.peek() != '\'' {
			p.fail("expected a text in quotes")
			return ""
		}
		p.quoted('\'')
		if p.take(')') {
			return p.text[start : p.pos-1]
		}
		p.need(',')
	}
	return ""
}

func (p *typeParser) fields(depth int) []typeField {
	var fs []typeField
	p.need('(')
	for p.why == "" {
		start, name := p.pos, ""
		if p.peek() == '"' {
			name = p.quoted('"')
		} else {
			name = p.word()
		}
		if c := p.peek(); c == ',' || c == ')' || c == '(' || c == '[' { // a field without a name
			p.pos, name = start, ""
		}
		fs = append(fs, typeField{name, p.typ(depth + 1)})
		if p.take(')') {
			break
		}
		p.need(',')
	}
	return fs
}
