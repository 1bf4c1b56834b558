package source

import (
	"bytes"
	"encoding/base64"
)

// misfit says why a text is no value of a type.
type misfit string

const (
	fine     misfit = ""
	notOf    misfit = "is not a"             // "abc" is not a BIGINT
	inexact  misfit = "does not fit exactly" // 1.5 in BIGINT
	zoneless misfit = "has no time zone"     // in TIMESTAMP WITH TIME ZONE
	hasZone  misfit = "has a time zone"      // in TIMESTAMP
)

// explain ends a message about a value that does not fit t.
func (m misfit) explain(t *sqlType) string {
	switch m {
	case notOf:
		article := "a "
		if n := t.String(); n[0] == 'I' || n[0] == 'A' {
			article = "an "
		}
		return "is not " + article + t.String()
	case inexact:
		return "does not fit " + t.String() + " without loss"
	}
	return string(m) + ", the column is " + t.String()
}

// fitter judges whether the text of a value can be read as one scalar type
// with nothing rounded, cut or nulled. It accepts less than the engine's own
// casts, never more.
type fitter func(b []byte) misfit

// fitterOf is the fitter of a type. Nested types have none: nothing fits.
func fitterOf(t *sqlType) fitter {
	switch t.name {
	case tVarchar:
		return func([]byte) misfit { return fine }
	case tBlob:
		return fitsBase64
	case tJSON:
		return fitsJSON
	case "BOOLEAN":
		return trimmed(fitsBool)
	case "UUID":
		return trimmed(fitsUUID)
	case "DATE", "TIME", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", tZoned:
		return trimmed(func(b []byte) misfit { return fitsStamp(b, t.name) })
	}
	if num := numeric(t); num != nil {
		float := t.is("DOUBLE") || t.is("FLOAT")
		return trimmed(func(b []byte) misfit {
			n, ok := parseNumber(b)
			switch {
			case ok && num(n, b):
				return fine
			case ok:
				return inexact
			case float && special(b):
				return fine
			}
			return notOf
		})
	}
	return func([]byte) misfit { return notOf }
}

func trimmed(f fitter) fitter {
	return func(b []byte) misfit {
		if len(b) > 0 && (b[0] == ' ' || b[len(b)-1] == ' ') {
			b = bytes.Trim(b, " ")
		}
		return f(b)
	}
}

// numeric tells whether a parsed number is exactly one of the type's; it is nil
// for types that are no numbers.
func numeric(t *sqlType) func(n number, b []byte) bool {
	if limits, ok := intTypes[t.name]; ok {
		return func(n number, b []byte) bool { return n.integral() && limits.fits(n, b) }
	}
	switch t.name {
	case "DOUBLE":
		return func(n number, b []byte) bool { return n.fitsFloat(b, 64) }
	case "FLOAT":
		return func(n number, b []byte) bool { return n.fitsFloat(b, 32) }
	case tDecimal:
		return func(n number, _ []byte) bool { return n.fitsDecimal(t.prec, t.scale) }
	}
	return nil
}

func fitsBool(b []byte) misfit {
	for _, w := range [...]string{"true", "false", "t", "f", "yes", "no", "y", "n", "1", "0"} {
		if len(b) == len(w) && bytes.EqualFold(b, []byte(w)) {
			return fine
		}
	}
	return notOf
}

func fitsBase64(b []byte) misfit {
	if len(b)%4 != 0 {
		return notOf
	}
	if _, err := base64.StdEncoding.Strict().Decode(make([]byte, base64.StdEncoding.DecodedLen(len(b))), b); err != nil {
		return notOf
	}
	if bytes.IndexByte(b, '\n') >= 0 || bytes.IndexByte(b, '\r') >= 0 { // the decoder skips them, the engine does not
		return notOf
	}
	return fine
}

func fitsUUID(b []byte) misfit {
	if len(b) != 36 {
		return notOf
	}
	for i, c := range b {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return notOf
			}
			continue
		}
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return notOf
		}
	}
	return fine
}

// fraction digits that each type of time keeps.
var fractions = map[string]int{
	"TIME": 6, "TIMESTAMP": 6, "TIMESTAMP_S": 0, "TIMESTAMP_MS": 3, "TIMESTAMP_NS": 9, tZoned: 6,
}

func fitsStamp(b []byte, name string) misfit {
	s, ok := parseStamp(b)
	if !ok {
		if name != "TIME" && (string(b) == "infinity" || string(b) == "-infinity") {
			return fine
		}
		return notOf
	}
	switch name {
	case "DATE":
		if !s.date {
			return notOf
		}
		if s.time {
			return inexact
		}
		return fine
	case "TIME":
		if s.date {
			return notOf
		}
	case tZoned:
		if !s.date {
			return notOf
		}
		if !s.zoned {
			return zoneless
		}
	default:
		if !s.date {
			return notOf
		}
		if s.zoned {
			return hasZone
		}
	}
	if s.date && (s.year > 294246 || s.year < -290306) {
		return inexact
	}
	if s.frac > fractions[name] || name == "TIMESTAMP_NS" && (s.year < 1678 || s.year > 2261) {
		return inexact
	}
	return fine
}
