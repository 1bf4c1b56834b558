package source

import (
	"bytes"
	"encoding/base64"
)

// jsonWriter writes records again in a form that the engine reads exactly:
// numbers that it would round, and values that are kept whole, as texts; keys
// in one spelling; base64 as escapes; maps as objects. What it reads has been
// checked by a jsonParser.
type jsonWriter struct {
	out   []byte
	whole bool // objects get the fields that they lack, as NULL
}

const hexDigits = "0123456789ABCDEF"

// record writes one record as a line.
func (w *jsonWriter) record(raw []byte, root *jsonNode, types []*sqlType) {
	w.out = append(w.out[:0], '{')
	byNode := map[*jsonNode]*sqlType{}
	for i, f := range root.fields {
		byNode[f] = types[i]
	}
	eachMember(raw, func(key, value []byte) {
		f := root.index[string(key)]
		if t := byNode[f]; t != nil && !t.is(tNull) {
			w.key(f.name)
			w.value(value, f, t)
		}
	})
	w.out = append(w.out, '}', '\n')
}

// key writes the name of a member, behind a comma when it is not the first.
func (w *jsonWriter) key(name string) {
	if w.out[len(w.out)-1] != '{' {
		w.out = append(w.out, ',')
	}
	w.text([]byte(name))
	w.out = append(w.out, ':')
}

// text writes b as a JSON text.
func (w *jsonWriter) text(b []byte) {
	w.out = append(w.out, '"')
	for _, c := range b {
		switch {
		case c == '"' || c == '\\':
			w.out = append(w.out, '\\', c)
		case c < 0x20:
			w.out = append(w.out, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		default:
			w.out = append(w.out, c)
		}
	}
	w.out = append(w.out, '"')
}

// value writes one value of type t.
func (w *jsonWriter) value(raw []byte, n *jsonNode, t *sqlType) {
	c := raw[0]
	switch {
	case c == 'n': // null
		w.out = append(w.out, raw...)
	case t.is(tJSON):
		w.text(raw)
	case t.is(tVarchar):
		if c == '"' {
			w.out = append(w.out, raw...)
		} else {
			w.text(raw)
		}
	case t.is(tBlob):
		w.blob(raw)
	case t.is(tStruct):
		w.object(raw, n, t)
	case t.is(tMap):
		w.mapping(raw, n, t)
	case t.is(tList):
		w.list(raw, n, t)
	case c == '-' || c >= '0' && c <= '9' || c == 'N' || c == 'I':
		w.text(raw) // the engine's reader of texts does not round
	default:
		w.out = append(w.out, raw...)
	}
}

func (w *jsonWriter) blob(raw []byte) {
	text := unescape(nil, raw[1:len(raw)-1])
	b, _ := base64.StdEncoding.AppendDecode(nil, text)
	w.out = append(w.out, '"')
	for _, c := range b {
		w.out = append(w.out, '\\', '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
	}
	w.out = append(w.out, '"')
}

func (w *jsonWriter) object(raw []byte, n *jsonNode, t *sqlType) {
	w.out = append(w.out, '{')
	seen := map[string]bool{}
	eachMember(raw, func(key, value []byte) {
		f := n.index[string(key)]
		if f == nil {
			return
		}
		for _, tf := range t.field {
			if fold(tf.name) == fold(f.name) {
				w.key(tf.name)
				w.value(value, f, tf.typ)
				seen[tf.name] = true
			}
		}
	})
	for _, tf := range t.field {
		if w.whole && !seen[tf.name] {
			w.key(tf.name)
			w.out = append(w.out, "null"...)
		}
	}
	w.out = append(w.out, '}')
}

func (w *jsonWriter) list(raw []byte, n *jsonNode, t *sqlType) {
	w.out = append(w.out, '[')
	eachItem(raw, func(value []byte) {
		if w.out[len(w.out)-1] != '[' {
			w.out = append(w.out, ',')
		}
		w.value(value, n.elem, t.elem)
	})
	w.out = append(w.out, ']')
}

// mapping writes both forms of a map as an object.
func (w *jsonWriter) mapping(raw []byte, n *jsonNode, t *sqlType) {
	w.out = append(w.out, '{')
	if raw[0] == '{' {
		eachMember(raw, func(key, value []byte) {
			w.key(string(key))
			w.value(value, n.elem, t.elem)
		})
	} else {
		eachItem(raw, func(pair []byte) {
			var k, v []byte
			eachMember(pair, func(key, value []byte) {
				if string(key) == "key" {
					k = value
				} else {
					v = value
				}
			})
			if k[0] == '"' {
				k = unescape(nil, k[1:len(k)-1])
			}
			w.key(string(k))
			w.value(v, n.elem, t.elem)
		})
	}
	w.out = append(w.out, '}')
}

// eachMember calls f with the key and the raw value of each member of a
// checked object.
func eachMember(raw []byte, f func(key, value []byte)) {
	p := jsonParser{b: raw, pos: 1, eof: true}
	for p.space() == nil && !p.at('}') {
		if p.at(',') {
			p.pos++
			_ = p.space()
		}
		key, escaped, _ := p.quoted()
		if escaped {
			key = unescape(nil, key)
		}
		_ = p.space()
		p.pos++ // the colon
		f(key, p.skip())
	}
}

// eachItem calls f with each raw value of a checked array.
func eachItem(raw []byte, f func(value []byte)) {
	p := jsonParser{b: raw, pos: 1, eof: true}
	for p.space() == nil && !p.at(']') {
		if p.at(',') {
			p.pos++
		}
		f(p.skip())
	}
}

// skip goes over one checked value and gives its bytes.
func (p *jsonParser) skip() []byte {
	_ = p.space()
	from := p.pos
	if p.value(nil) != nil {
		p.pos = len(p.b)
	}
	return bytes.TrimSpace(p.b[from:p.pos])
}
