package datafile

import "strings"

// Unify says which type a column of type have gets when values of type in are
// written to it (decision 22). The result is have itself when the batch is
// converted to the column's type, or a wider type when the column widens; ok
// is false when the two do not meet. Ids of have's nodes are kept, new nodes
// have id 0.
//
// The rule is directed: a column never narrows, and what the column cannot
// widen to is converted value by value, each checked (Convert).
func Unify(have, in Type) (Type, bool) {
	switch {
	case in.Name == "null":
		return have, true
	case have.Name == "null":
		return in.Clone(), true
	case have.Nested() || in.Nested():
		return unifyNested(have, in)
	case have.Name == "decimal" && in.Name == "decimal":
		return unifyDecimals(have, in), true
	case have.Name == in.Name:
		return have, true
	}
	if w, ok := wider(have.Name, in.Name); ok {
		return Type{Name: w}, true
	}
	if convertible(in.Name, have.Name) {
		return have, true
	}
	return Type{}, false
}

func unifyDecimals(have, in Type) Type {
	scale := max(have.Scale, in.Scale)
	whole := max(have.Precision-have.Scale, in.Precision-in.Scale)
	if whole+scale > 38 {
		return have // the batch is converted, each value checked
	}
	return Type{Name: "decimal", Precision: whole + scale, Scale: scale}
}

func unifyNested(have, in Type) (Type, bool) {
	if have.Name != in.Name {
		return Type{}, false
	}
	out := have.Clone()
	for _, f := range in.Fields {
		i := fieldIndex(out.Fields, f.Name)
		if i < 0 { // only structs have free names
			out.Fields = append(out.Fields, Field{Name: f.Name, Type: f.Type.Clone()})
			continue
		}
		t, ok := Unify(out.Fields[i].Type, f.Type)
		if !ok {
			return Type{}, false
		}
		out.Fields[i].Type = t
	}
	return out, true
}

func fieldIndex(fs []Field, name string) int {
	for i := range fs {
		if strings.EqualFold(fs[i].Name, name) {
			return i
		}
	}
	return -1
}

// Widens reports whether every value of type from is a value of type to, so
// that a column may change its type without looking at its values. Going to
// nanoseconds shortens the range of years and so is not among them here.
func Widens(from, to Type) bool {
	if from.Same(to) || from.Name == "null" {
		return true
	}
	if from.Name == "decimal" && to.Name == "decimal" {
		return to.Scale >= from.Scale && to.Precision-to.Scale >= from.Precision-from.Scale
	}
	if from.Name != to.Name || !from.Nested() {
		w, ok := wider(from.Name, to.Name)
		return ok && w == to.Name && !from.Nested() && !to.Nested() && to.Name != "timestamp_ns"
	}
	for _, f := range from.Fields {
		i := fieldIndex(to.Fields, f.Name)
		if i < 0 || !Widens(f.Type, to.Fields[i].Type) {
			return false
		}
	}
	return true
}

var (
	signed   = []string{"int8", "int16", "int32", "int64"}
	unsigned = []string{"uint8", "uint16", "uint32", "uint64"}
	instants = []string{"date", "timestamp_s", "timestamp_ms", "timestamp", "timestamp_ns"}
)

func rank(list []string, name string) int {
	for i, n := range list {
		if n == name {
			return i
		}
	}
	return -1
}

// wider gives the smallest type that holds every value of both, when it is
// not the first one itself.
func wider(have, in string) (string, bool) {
	hs, is := rank(signed, have), rank(signed, in)
	hu, iu := rank(unsigned, have), rank(unsigned, in)
	switch {
	case hs >= 0 && is > hs, hu >= 0 && iu > hu:
		return in, true
	case hu >= 0 && is >= 0 && max(hu+1, is) < len(signed): // the next larger signed holds an unsigned
		return signed[max(hu+1, is)], true
	case hs >= 0 && iu >= 0 && iu+1 < len(signed) && iu+1 > hs:
		return signed[iu+1], true
	case have == "float32" && in == "float64":
		return in, true
	case (hs >= 0 && hs <= 2 || hu >= 0 && hu <= 2) && (in == "float64" || in == "float32"):
		return "float64", true
	}
	hi, ii := rank(instants, have), rank(instants, in)
	switch {
	case have == "date" && ii > 0:
		return instants[max(ii, 3)], true // a date widens to microseconds at least
	case hi > 0 && ii > hi:
		return in, true
	}
	return "", false
}

func isInt(n string) bool { return rank(signed, n) >= 0 || rank(unsigned, n) >= 0 }

// convertible reports whether values of type from may be converted to a
// column of type to, each checked.
func convertible(from, to string) bool {
	number := func(n string) bool { return isInt(n) || n == "float32" || n == "float64" }
	switch {
	case number(from) && number(to):
		return true
	case isInt(from) && to == "decimal", from == "decimal" && isInt(to):
		return true
	}
	return rank(instants, from) >= 0 && rank(instants, to) > 0
}
