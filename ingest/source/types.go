package source

import (
	"strconv"
	"strings"

	"github.com/supertable-go/supertable/internal/errs"
)

// The kinds of a sqlType that carry more than a name. Every other name is a
// plain type such as BIGINT.
const (
	tDecimal = "DECIMAL"
	tStruct  = "STRUCT"
	tList    = "LIST"
	tArray   = "ARRAY"
	tMap     = "MAP"
	tEnum    = "ENUM"
	tUnion   = "UNION"
	tNull    = "NULL"
	tZoned   = "TIMESTAMP WITH TIME ZONE"
	tVarchar = "VARCHAR"
	tJSON    = "JSON"
	tBlob    = "BLOB"
)

// sqlType is a parsed SQL type of the engine.
type sqlType struct {
	name  string
	prec  int // DECIMAL
	scale int
	size  int      // ARRAY
	elem  *sqlType // LIST, ARRAY; the value of a MAP
	key   *sqlType // MAP
	field []typeField
	tag   string // what stood in parentheses of ENUM and GEOMETRY
}

type typeField struct {
	name string // "" in an unnamed struct
	typ  *sqlType
}

// plain is a type without parameters.
func plain(name string) *sqlType { return &sqlType{name: name} }

// is reports whether t is the plain type, or of the kind, name.
func (t *sqlType) is(name string) bool { return t != nil && t.name == name }

// aliases maps the spellings that users write to the engine's own names.
var aliases = map[string]string{
	"boolean": "BOOLEAN", "bool": "BOOLEAN", "logical": "BOOLEAN",
	"tinyint": "TINYINT", "int1": "TINYINT",
	"smallint": "SMALLINT", "int2": "SMALLINT", "int16": "SMALLINT", "short": "SMALLINT",
	"integer": "INTEGER", "int": "INTEGER", "int4": "INTEGER", "int32": "INTEGER", "signed": "INTEGER",
	"bigint": "BIGINT", "int8": "BIGINT", "int64": "BIGINT", "long": "BIGINT",
	"utinyint": "UTINYINT", "uint8": "UTINYINT", "usmallint": "USMALLINT", "uint16": "USMALLINT",
	"uinteger": "UINTEGER", "uint32": "UINTEGER", "ubigint": "UBIGINT", "uint64": "UBIGINT",
	"hugeint": "HUGEINT", "int128": "HUGEINT", "uhugeint": "UHUGEINT", "uint128": "UHUGEINT",
	"bignum": "BIGNUM", "varint": "BIGNUM",
	"float": "FLOAT", "float4": "FLOAT", "real": "FLOAT", "double": "DOUBLE", "float8": "DOUBLE",
	"decimal": tDecimal, "numeric": tDecimal, "dec": tDecimal,
	"varchar": tVarchar, "text": tVarchar, "string": tVarchar, "char": tVarchar, "bpchar": tVarchar,
	"blob": tBlob, "bytea": tBlob, "binary": tBlob, "varbinary": tBlob,
	"date": "DATE", "time": "TIME", "timetz": "TIME WITH TIME ZONE", "time_ns": "TIME_NS",
	"timestamp": "TIMESTAMP", "datetime": "TIMESTAMP", "timestamp_us": "TIMESTAMP",
	"timestamp_s": "TIMESTAMP_S", "timestamp_ms": "TIMESTAMP_MS", "timestamp_ns": "TIMESTAMP_NS",
	"timestamptz": tZoned, "uuid": "UUID", "guid": "UUID", "json": tJSON,
	"interval": "INTERVAL", "bit": "BIT", "bitstring": "BIT", "variant": "VARIANT", "geometry": "GEOMETRY",
	"null": tNull, "struct": tStruct, "row": tStruct, "map": tMap, "enum": tEnum, "union": tUnion,
}

// reserved are the words that a field name inside a type must be quoted for.
var reserved = func() map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(`all analyse analyze and anti any array as asc asof asymmetric at authorization
		binary both by case cast check collate collation column columns concurrently constraint create cross default
		deferrable desc describe distinct do else end except false fetch for foreign freeze from full generated glob
		group having ilike in initially inner intersect into is isnull join lambda lateral leading left like limit map
		natural not notnull null offset on only or order outer overlaps pivot pivot_longer pivot_wider placing
		positional primary qualify references returning right row select semi show similar some struct summarize
		symmetric table tablesample then to trailing true try_cast union unique unpack unpivot using variadic verbose
		when where window with try values interval timestamp time date`) {
		m[w] = true
	}
	return m
}()

// String is the type in the engine's own spelling.
func (t *sqlType) String() string {
	switch t.name {
	case tDecimal:
		return "DECIMAL(" + strconv.Itoa(t.prec) + "," + strconv.Itoa(t.scale) + ")"
	case tList:
		return t.elem.String() + "[]"
	case tArray:
		return t.elem.String() + "[" + strconv.Itoa(t.size) + "]"
	case tMap:
		return "MAP(" + t.key.String() + ", " + t.elem.String() + ")"
	case tStruct, tUnion:
		return t.name + "(" + fieldList(t.field) + ")"
	case tEnum, "GEOMETRY":
		if t.tag != "" {
			return t.name + "(" + t.tag + ")"
		}
	}
	return t.name
}

func fieldList(fields []typeField) string {
	parts := make([]string, len(fields))
	for i, f := range fields {
		parts[i] = f.typ.String()
		if f.name != "" {
			parts[i] = fieldName(f.name) + " " + parts[i]
		}
	}
	return strings.Join(parts, ", ")
}

// fieldName quotes a name as a field of a type needs it.
func fieldName(name string) string {
	for i, r := range name {
		ok := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || i > 0 && r >= '0' && r <= '9'
		if !ok {
			return ident(name)
		}
	}
	if reserved[fold(name)] {
		return ident(name)
	}
	return name
}

// ident quotes an identifier for SQL.
func ident(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// literal quotes a text for SQL.
func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// fold makes names comparable as the engine compares them: ASCII letters only.
func fold(name string) string {
	for i := range len(name) {
		if c := name[i]; c >= 'A' && c <= 'Z' {
			b := []byte(name)
			for j := i; j < len(b); j++ {
				if b[j] >= 'A' && b[j] <= 'Z' {
					b[j] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return name
}

// same reports whether two types are equal, names of fields included.
func (t *sqlType) same(o *sqlType) bool { return t.String() == o.String() }

// withoutNull replaces NULL inside a nested type by VARCHAR, which any engine
// and any file can hold.
func (t *sqlType) withoutNull(top bool) *sqlType {
	switch {
	case t == nil:
		return nil
	case t.name == tNull && !top:
		return plain(tVarchar)
	}
	return t.rebuild(func(c *sqlType) *sqlType { return c.withoutNull(false) })
}

// rebuild is t with f applied to the types directly inside it.
func (t *sqlType) rebuild(f func(*sqlType) *sqlType) *sqlType {
	c := *t
	if t.elem != nil {
		c.elem = f(t.elem)
	}
	if t.key != nil {
		c.key = f(t.key)
	}
	if t.field != nil {
		c.field = make([]typeField, len(t.field))
		for i, fd := range t.field {
			c.field[i] = typeField{fd.name, f(fd.typ)}
		}
	}
	return &c
}

// contains reports whether t or a type inside it satisfies f.
func (t *sqlType) contains(f func(*sqlType) bool) bool {
	if t == nil {
		return false
	}
	if f(t) || t.elem.contains(f) || t.key.contains(f) {
		return true
	}
	for _, fd := range t.field {
		if fd.typ.contains(f) {
			return true
		}
	}
	return false
}

// badType is the error for a type text that cannot be read.
func badType(text, why string) error {
	return errs.New(errs.InvalidArgument, "type %s: %s", quoteShort(text), why)
}
