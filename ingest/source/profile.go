package source

import "bytes"

// kinds is a set of types that a text can be read as without loss.
type kinds uint16

const (
	kBool    kinds = 1 << iota
	kInt           // BIGINT
	kFloat         // DOUBLE
	kNumber        // DECIMAL(38,s), when the digits suffice
	kDate          // DATE
	kStamp         // TIMESTAMP
	kStampNS       // TIMESTAMP_NS
	kZoned         // TIMESTAMP WITH TIME ZONE
	kTime          // TIME
	kAll     = 1<<iota - 1
)

// profile is what all texts of one column have in common. Its zero value has
// seen nothing.
type profile struct {
	seen   bool  // a value
	not    kinds // types that some value does not fit
	finite bool  // a number, not only nan and inf
	whole  int   // most digits before the point
	scale  int   // most digits after it
}

// add takes one text, which is not NULL, into account.
func (p *profile) add(b []byte) {
	p.seen = true
	if p.not == kAll {
		return
	}
	p.not |= ^p.classify(b) & kAll
}

// merge takes into account what another profile has seen.
func (p *profile) merge(o *profile) {
	p.seen = p.seen || o.seen
	p.not |= o.not
	p.finite = p.finite || o.finite
	p.whole, p.scale = max(p.whole, o.whole), max(p.scale, o.scale)
}

func (p *profile) classify(b []byte) kinds {
	if len(b) == 0 || len(b) > 512 {
		return 0
	}
	if b[0] == ' ' || b[len(b)-1] == ' ' {
		if b = bytes.Trim(b, " "); len(b) == 0 {
			return 0
		}
	}
	switch c := b[0]; {
	case c >= '0' && c <= '9', c == '-', c == '+', c == '.':
		if n, ok := parseNumber(b); ok {
			return p.number(n, b, p.not&kFloat == 0 && n.fitsFloat(b, 64))
		}
		if s, ok := parseStamp(b); ok {
			return s.kinds()
		}
	case c == 't' || c == 'T' || c == 'f' || c == 'F':
		if bytes.EqualFold(b, []byte("true")) || bytes.EqualFold(b, []byte("false")) {
			return kBool
		}
	}
	if special(b) {
		return kFloat
	}
	return 0
}

// number takes a parsed number into account; float says that DOUBLE holds it.
func (p *profile) number(n number, b []byte, float bool) kinds {
	if n.padded || n.signed { // 007 and +420 are codes: a number would lose characters
		return 0
	}
	k := kNumber
	p.finite = true
	p.whole, p.scale = max(p.whole, n.whole()), max(p.scale, n.scale())
	if !n.real && (n.point < 19 || intTypes["BIGINT"].fits(n, b)) {
		k |= kInt
	}
	if float {
		k |= kFloat
	}
	return k
}

// typ is the narrowest type that holds every text exactly, VARCHAR when only
// that does, NULL when there was none.
func (p *profile) typ() *sqlType {
	if !p.seen {
		return plain(tNull)
	}
	fits := kAll &^ p.not
	switch {
	case fits&kBool != 0:
		return plain("BOOLEAN")
	case fits&kInt != 0:
		return plain("BIGINT")
	case fits&kFloat != 0 && p.finite:
		return plain("DOUBLE")
	case fits&kNumber != 0 && p.whole+p.scale <= 38:
		return &sqlType{name: tDecimal, prec: 38, scale: p.scale}
	case fits&kDate != 0:
		return plain("DATE")
	case fits&kTime != 0:
		return plain("TIME")
	case fits&kStamp != 0:
		return plain("TIMESTAMP")
	case fits&kStampNS != 0:
		return plain("TIMESTAMP_NS")
	case fits&kZoned != 0:
		return plain(tZoned)
	}
	return plain(tVarchar)
}
