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

// fits judges whether the text of a value can be read as the scalar type t
// with nothing rounded, cut or nulled. It accepts less than the engine's own
// casts, never more.
func fits(b []byte, t *sqlType) misfit {
	switch t.name {
	case tVarchar:
		return fine
	case tBlob:
		return fitsBase64(b)
	case tJSON:
		return fitsJSON(b)
	}
	b = bytes.Trim(b, " ")
	if limits, ok := intTypes[t.name]; ok {
		return fitsInt(b, limits)
	}
	switch t.name {
	case "BOOLEAN":
		return fitsBool(b)
	case "DOUBLE":
		return fitsFloat(b, 64)
	case "FLOAT":
		return fitsFloat(b, 32)
	case tDecimal:
		n, ok := parseNumber(b)
		if !ok {
			return notOf
		}
		if !n.fitsDecimal(t.prec, t.scale) {
			return inexact
		}
		return fine
	case "UUID":
		return fitsUUID(b)
	case "DATE", "TIME", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", tZoned:
		return fitsStamp(b, t.name)
	}
	return notOf
}

func fitsInt(b []byte, limits intType) misfit {
	n, ok := parseNumber(b)
	switch {
	case !ok:
		return notOf
	case !n.integral() || !limits.fits(n, b):
		return inexact
	}
	return fine
}

func fitsFloat(b []byte, bits int) misfit {
	if special(b) {
		return fine
	}
	n, ok := parseNumber(b)
	if !ok {
		return notOf
	}
	if !n.fitsFloat(b, bits) {
		return inexact
	}
	return fine
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
