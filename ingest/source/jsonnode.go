package source

// jsonKinds is the set of kinds of JSON values seen at one place.
type jsonKinds uint8

const (
	jBool jsonKinds = 1 << iota
	jNumber
	jString
	jObject
	jArray
)

// The most different keys that one object is taken apart into columns or
// fields for. A nested object with more becomes JSON, a row is refused.
const (
	maxFields  = 1000
	maxColumns = 10_000
)

// jsonNode is one place in the records of JSON inputs (a column, a field of a
// struct, the elements of a list) and what all values there have in common.
type jsonNode struct {
	name  string
	want  *sqlType // given; nil when inferred
	types wanted   // of the root: the columns' given types

	fits    fitter // of the wanted type
	numeric func(n number, b []byte) bool

	kinds     jsonKinds
	num, str  profile
	real      bool // a number with a point or an exponent
	realWhole int  // most digits before the point of those
	deep      bool // a number in there that a float64 rounds
	pairs     bool // a map written as an array of keys and values
	respelled bool // a key in a second spelling
	opaque    bool // too many keys: not taken apart

	fields []*jsonNode
	index  map[string]*jsonNode // by every spelling, and by the folded one
	elem   *jsonNode
	stamp  int64 // the object that last held this field

	objects int64 // seen here, as a struct
	held    int64 // how many of them had this field
}

// newJSONNode makes the node of a field or element.
func newJSONNode(name string, want *sqlType) *jsonNode {
	n := &jsonNode{name: name, want: want}
	n.str.not = kBool | kInt | kFloat | kNumber // a number in quotes stays a text
	if want != nil {
		n.fits, n.numeric = fitterOf(want), numeric(want)
	}
	return n
}

// whole reports whether the node's values are kept as they are, not taken
// apart: it is text or JSON by decision.
func (n *jsonNode) whole() bool {
	return n == nil || n.opaque || n.want.is(tJSON) || n.want.is(tVarchar)
}

// child is the node of a key; nil when there are too many. hint is where the
// key stood in the object before.
func (n *jsonNode) child(key []byte, hint int) *jsonNode {
	if hint < len(n.fields) && n.fields[hint].name == string(key) {
		return n.fields[hint]
	}
	if f := n.index[string(key)]; f != nil {
		if f.name != string(key) {
			n.respelled = true
		}
		return f
	}
	name := string(key)
	if f := n.index[fold(name)]; f != nil {
		n.respelled = true
		n.index[name] = f
		return f
	}
	return n.grow(name)
}

func (n *jsonNode) grow(name string) *jsonNode {
	if limit := n.limit(); len(n.fields) >= limit {
		return nil
	}
	f := newJSONNode(name, n.wantOf(name))
	if n.index == nil {
		n.index = map[string]*jsonNode{}
	}
	n.fields = append(n.fields, f)
	n.index[name], n.index[fold(name)] = f, f
	return f
}

func (n *jsonNode) limit() int {
	if n.types != nil {
		return maxColumns
	}
	return maxFields
}

// wantOf is the given type of a field.
func (n *jsonNode) wantOf(name string) *sqlType {
	if n.types != nil {
		return n.types.of(name)
	}
	if n.want != nil {
		for _, f := range n.want.field {
			if fold(f.name) == fold(name) {
				return f.typ
			}
		}
	}
	return nil
}

// element is the node of what is inside a list or a map.
func (n *jsonNode) element() *jsonNode {
	if n.elem == nil {
		var want *sqlType
		if n.want != nil {
			want = n.want.elem
		}
		n.elem = newJSONNode("", want)
	}
	return n.elem
}

// typ is the type of the node: the given one with new fields added, or the
// narrowest that holds all values.
func (n *jsonNode) typ() *sqlType {
	if n.want != nil {
		return n.widened()
	}
	switch n.kinds {
	case 0:
		return plain(tNull)
	case jBool:
		return plain("BOOLEAN")
	case jNumber:
		return n.num.typ()
	case jString:
		return n.str.typ()
	case jArray:
		return &sqlType{name: tList, elem: n.element().typ().withoutNull(false)}
	case jObject:
		if n.opaque || len(n.fields) == 0 {
			return plain(tJSON)
		}
		t := &sqlType{name: tStruct}
		for _, f := range n.fields {
			t.field = append(t.field, typeField{f.name, f.typ().withoutNull(false)})
		}
		return t
	}
	return plain(tJSON)
}

// widened is the given type with the fields added that it lacks.
func (n *jsonNode) widened() *sqlType {
	t := *n.want
	switch {
	case t.is(tList), t.is(tMap):
		if n.elem != nil {
			t.elem = n.elem.typ()
		}
	case t.is(tStruct):
		t.field = nil
		have := map[string]bool{}
		for _, f := range n.want.field {
			typ := f.typ
			if c := n.index[fold(f.name)]; c != nil {
				typ = c.typ()
			}
			t.field = append(t.field, typeField{f.name, typ})
			have[fold(f.name)] = true
		}
		for _, f := range n.fields {
			if !have[fold(f.name)] {
				t.field = append(t.field, typeField{f.name, f.typ().withoutNull(false)})
			}
		}
	}
	return &t
}

// sparse reports whether an object somewhere below lacks a field of its type.
func (n *jsonNode) sparse(t *sqlType) bool {
	switch {
	case n == nil:
		return false
	case t.is(tList), t.is(tMap):
		return n.elem.sparse(t.elem)
	case !t.is(tStruct):
		return false
	}
	for _, f := range t.field {
		c := n.index[fold(f.name)]
		if c == nil && n.objects > 0 || c != nil && (c.held < n.objects || c.sparse(f.typ)) {
			return true
		}
	}
	return false
}

// rewrite reports whether the engine's own JSON reader would lose something of
// the node's values when it reads them as t: it takes every number with a
// point for a float64, numbers in quotes only in some forms, keys for
// case-sensitive and base64 for text.
func (n *jsonNode) rewrite(t *sqlType) bool {
	if n == nil {
		return false
	}
	if _, ok := intTypes[t.name]; ok {
		return n.kinds&jString != 0 || n.real && n.realWhole > 15
	}
	switch t.name {
	case "DOUBLE", "FLOAT", "BOOLEAN":
		return n.kinds&jString != 0
	case tDecimal:
		return n.kinds&jString != 0 || n.real && n.realWhole+t.scale > 15
	case tVarchar:
		return n.real || n.kinds&(jObject|jArray) != 0
	case tJSON:
		return n.deep
	case tBlob:
		return true
	case tList:
		return n.elem.rewrite(t.elem)
	case tMap:
		return n.pairs || !t.key.is(tVarchar) || n.elem.rewrite(t.elem)
	case tStruct:
		if n.respelled {
			return true
		}
		for _, f := range t.field {
			c := n.index[fold(f.name)]
			if c != nil && (c.name != f.name || c.rewrite(f.typ)) {
				return true
			}
		}
	}
	return false
}
