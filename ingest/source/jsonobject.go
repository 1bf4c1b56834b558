package source

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// object reads an object: fields of a struct, entries of a map, or anything
// when the node is kept whole.
func (p *jsonParser) object(n *jsonNode) error {
	from := p.pos
	p.pos++
	if n != nil {
		n.kinds |= jObject
	}
	switch {
	case n.whole():
		return p.members(func([]byte, int) (*jsonNode, error) { return nil, nil })
	case n.want == nil, n.want.is(tStruct):
		return p.fieldsOf(n)
	case n.want.is(tMap):
		return p.members(func(key []byte, at int) (*jsonNode, error) {
			return n.element(), p.mapKey(n, key, at)
		})
	}
	return p.unfit(from, n, notOf)
}

func (p *jsonParser) fieldsOf(n *jsonNode) error {
	p.serial++
	n.objects++
	me, hint := p.serial, 0
	return p.members(func(key []byte, at int) (*jsonNode, error) {
		if n.opaque {
			return nil, nil
		}
		if len(key) == 0 {
			return nil, &jsonError{at, "an object has an empty key"}
		}
		if bytes.IndexByte(key, 0) >= 0 {
			return nil, &jsonError{at, "a key holds a NUL character"}
		}
		f := n.child(key, hint)
		hint++
		switch {
		case f == nil && n.limit() == maxColumns:
			return nil, &jsonError{at, "the rows have more than 10000 columns"}
		case f == nil && n.want != nil:
			return nil, &jsonError{at, "an object has more than 1000 fields"}
		case f == nil:
			n.opaque = true
			return nil, nil
		case f.stamp == me && f.name != string(key):
			return nil, &jsonError{at, "keys " + quoteShort(f.name) + " and " + quoteShort(string(key)) + " of one object differ only in case"}
		case f.stamp == me:
			return nil, &jsonError{at, "key " + quoteShort(f.name) + " stands twice in one object"}
		}
		f.stamp = me
		f.held++
		return f, nil
	})
}

// members reads what stands between the braces of an object; node gives the
// node for the value of a key that begins at at.
func (p *jsonParser) members(node func(key []byte, at int) (*jsonNode, error)) error {
	if err := p.space(); err != nil {
		return err
	}
	if p.at('}') {
		p.pos++
		return nil
	}
	for {
		if err := p.member(node); err != nil {
			return err
		}
		if err := p.space(); err != nil {
			return err
		}
		if p.at('}') {
			p.pos++
			return nil
		}
		if !p.at(',') {
			return p.fail("a comma or } is missing")
		}
		p.pos++
	}
}

func (p *jsonParser) member(node func(key []byte, at int) (*jsonNode, error)) error {
	if err := p.space(); err != nil {
		return err
	}
	if !p.at('"') {
		return p.fail("a key in quotes is missing")
	}
	at := p.pos
	key, escaped, err := p.quoted()
	if err != nil {
		return err
	}
	if escaped {
		key = unescape(nil, key)
	}
	n, err := node(key, at)
	if err != nil {
		return err
	}
	if err := p.space(); err != nil {
		return err
	}
	if !p.at(':') {
		return p.fail("a colon is missing")
	}
	p.pos++
	return p.value(n)
}

// mapPairs reads a map written as [{"key":…,"value":…}, …].
func (p *jsonParser) mapPairs(n *jsonNode) error {
	key := newJSONNode("", n.want.key)
	return p.items(func() error {
		if err := p.space(); err != nil {
			return err
		}
		from := p.pos
		if !p.at('{') {
			return p.unfit(from, n, notOf)
		}
		p.pos++
		seen := 0
		err := p.members(func(name []byte, _ int) (*jsonNode, error) {
			switch string(name) {
			case "key":
				seen |= 1
				return key, nil
			case "value":
				seen |= 2
				return n.element(), nil
			}
			seen |= 4
			return nil, nil
		})
		if err == nil && seen != 3 {
			return p.unfit(from, n, notOf)
		}
		return err
	})
}

func (p *jsonParser) mapKey(n *jsonNode, key []byte, at int) error {
	if bad := fitterOf(n.want.key)(key); bad != fine {
		return &jsonMisfit{at, p.b[at:p.pos], bad, n.want.key}
	}
	return nil
}

// quoted reads a text and gives what stands between its quotes.
func (p *jsonParser) quoted() (raw []byte, escaped bool, err error) {
	p.pos++
	from := p.pos
	for p.pos < len(p.b) {
		switch c := p.b[p.pos]; {
		case c == '"':
			raw = p.b[from:p.pos]
			p.pos++
			return raw, escaped, nil
		case c < 0x20:
			return nil, false, p.fail("a control character stands inside a text")
		case c == '\\':
			escaped = true
			if err := p.escape(); err != nil {
				return nil, false, err
			}
		default:
			p.pos++
		}
	}
	return nil, false, p.short()
}

// escape checks and skips one escape, or the two of a surrogate pair.
func (p *jsonParser) escape() error {
	if len(p.b)-p.pos < 12 && !p.eof {
		return errMore
	}
	if len(p.b)-p.pos < 2 {
		return p.short()
	}
	if c := p.b[p.pos+1]; c != 'u' {
		if bytes.IndexByte([]byte(`"\/bfnrt`), c) < 0 {
			return p.fail("an unknown escape stands in a text")
		}
		p.pos += 2
		return nil
	}
	r, ok := hex4(p.b[p.pos:])
	if ok && utf16.IsSurrogate(r) {
		var low rune
		low, ok = hex4(p.b[min(p.pos+6, len(p.b)):])
		ok = ok && utf16.DecodeRune(r, low) != utf8.RuneError
		p.pos += 6
	}
	if !ok {
		return p.fail("a malformed \\u escape stands in a text")
	}
	p.pos += 6
	return nil
}

// hex4 reads \uXXXX.
func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	for _, c := range b[2:6] {
		r <<= 4
		switch {
		case c >= '0' && c <= '9':
			r |= rune(c - '0')
		case c >= 'a' && c <= 'f':
			r |= rune(c - 'a' + 10)
		case c >= 'A' && c <= 'F':
			r |= rune(c - 'A' + 10)
		default:
			return 0, false
		}
	}
	return r, true
}

// unescape appends the text that raw, already checked, stands for.
func unescape(to, raw []byte) []byte {
	for i := 0; i < len(raw); {
		if raw[i] != '\\' {
			to = append(to, raw[i])
			i++
			continue
		}
		if raw[i+1] == 'u' {
			r, _ := hex4(raw[i:])
			i += 6
			if utf16.IsSurrogate(r) {
				low, _ := hex4(raw[i:])
				r = utf16.DecodeRune(r, low)
				i += 6
			}
			to = utf8.AppendRune(to, r)
			continue
		}
		c := raw[i+1]
		if k := bytes.IndexByte([]byte("bfnrt"), c); k >= 0 {
			c = "\b\f\n\r\t"[k]
		}
		to = append(to, c)
		i += 2
	}
	return to
}
