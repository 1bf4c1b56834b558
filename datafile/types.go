package datafile

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/supertable-go/supertable/internal/errs"
)

// Type is a type in the format's words (docs/format.md §7): Name is "int64",
// "decimal", "struct", … A list has one field "element", a map has "key" and
// "value", a struct its own fields.
type Type struct {
	Name             string
	Precision, Scale int // of a decimal
	Fields           []Field
}

// Field is a node below a nested type.
type Field struct {
	ID   int64
	Name string
	Type Type
}

// sqlNames maps the format's scalar names to the engine's.
var sqlNames = map[string]string{
	"boolean": "BOOLEAN", "int8": "TINYINT", "int16": "SMALLINT", "int32": "INTEGER", "int64": "BIGINT",
	"uint8": "UTINYINT", "uint16": "USMALLINT", "uint32": "UINTEGER", "uint64": "UBIGINT",
	"float32": "FLOAT", "float64": "DOUBLE", "date": "DATE", "time": "TIME",
	"timestamp": "TIMESTAMP", "timestamp_s": "TIMESTAMP_S", "timestamp_ms": "TIMESTAMP_MS", "timestamp_ns": "TIMESTAMP_NS",
	"timestamptz": "TIMESTAMP WITH TIME ZONE", "varchar": "VARCHAR", "json": "JSON", "blob": "BLOB", "uuid": "UUID",
	// Read, never written: what they cannot hold without loss is refused before a write.
	"int128": "HUGEINT", "uint128": "UHUGEINT", "timetz": "TIME WITH TIME ZONE", "interval": "INTERVAL", "time_ns": "TIME_NS",
}

// Null is the type of a column whose input is all NULL and fits any type.
var Null = Type{Name: "null"}

var fromSQL = func() map[string]string {
	m := map[string]string{
		"TIMESTAMPTZ": "timestamptz", "TIMETZ": "timetz", "BOOL": "boolean", "INT": "int32", "INT4": "int32", "INT8": "int64", "INT2": "int16", "INT1": "int8",
		"LONG": "int64", "SHORT": "int16", "SIGNED": "int32", "TEXT": "varchar", "STRING": "varchar", "CHAR": "varchar", "BPCHAR": "varchar",
		"REAL": "float32", "FLOAT4": "float32", "FLOAT8": "float64", "BYTEA": "blob", "BINARY": "blob", "VARBINARY": "blob",
		"DATETIME": "timestamp", "TIMESTAMP_US": "timestamp", "NULL": "null", "TIMESTAMP WITHOUT TIME ZONE": "timestamp", "TIME WITHOUT TIME ZONE": "time",
		"DOUBLE PRECISION": "float64", "CHARACTER VARYING": "varchar", "INTEGER": "int32",
	}
	for k, v := range sqlNames {
		m[v] = k
	}
	return m
}()

// SQL is the type as the engine and cli.md write it: upper case, field names quoted.
func (t Type) SQL() string {
	switch t.Name {
	case "decimal":
		return fmt.Sprintf("DECIMAL(%d,%d)", t.Precision, t.Scale)
	case "list":
		return t.Fields[0].Type.SQL() + "[]"
	case "map":
		return "MAP(" + t.Fields[0].Type.SQL() + ", " + t.Fields[1].Type.SQL() + ")"
	case "struct":
		parts := make([]string, len(t.Fields))
		for i, f := range t.Fields {
			parts[i] = Quote(f.Name) + " " + f.Type.SQL()
		}
		return "STRUCT(" + strings.Join(parts, ", ") + ")"
	case "null":
		return `"NULL"`
	}
	if s, ok := sqlNames[t.Name]; ok {
		return s
	}
	return strings.ToUpper(t.Name)
}

// Lake is the type as the catalog stores it; nested types give their kind only.
func (t Type) Lake() string {
	if t.Name == "decimal" {
		return fmt.Sprintf("decimal(%d,%d)", t.Precision, t.Scale)
	}
	return t.Name
}

// Nested reports whether the type has fields.
func (t Type) Nested() bool { return len(t.Fields) > 0 }

// Same reports whether two types are equal but for field ids.
func (t Type) Same(u Type) bool {
	if t.Name != u.Name || t.Precision != u.Precision || t.Scale != u.Scale || len(t.Fields) != len(u.Fields) {
		return false
	}
	for i := range t.Fields {
		if t.Fields[i].Name != u.Fields[i].Name || !t.Fields[i].Type.Same(u.Fields[i].Type) {
			return false
		}
	}
	return true
}

// Clone copies the type, so that ids can be given to the copy.
func (t Type) Clone() Type {
	t.Fields = slices.Clone(t.Fields)
	for i := range t.Fields {
		t.Fields[i].Type = t.Fields[i].Type.Clone()
	}
	return t
}

// ParseLake parses a catalog type string; children are added by the caller.
func ParseLake(s string) (Type, error) {
	if rest, ok := strings.CutPrefix(s, "decimal("); ok {
		p, sc, ok := strings.Cut(strings.TrimSuffix(rest, ")"), ",")
		pi, err1 := strconv.Atoi(strings.TrimSpace(p))
		si, err2 := strconv.Atoi(strings.TrimSpace(sc))
		if !ok || err1 != nil || err2 != nil || pi < 1 || pi > 38 || si < 0 || si > pi {
			return Type{}, errs.New(errs.Corrupt, "the catalog has an unreadable column type %q", s)
		}
		return Type{Name: "decimal", Precision: pi, Scale: si}, nil
	}
	switch s {
	case "timestamp_us":
		return Type{Name: "timestamp"}, nil
	case "struct", "list", "map":
		return Type{Name: s}, nil
	case "variant", "geometry":
		return Type{}, errs.New(errs.Unsupported, "columns of type %s are not supported", s)
	}
	if _, ok := sqlNames[s]; ok {
		return Type{Name: s}, nil
	}
	return Type{}, errs.New(errs.Unsupported, "columns of type %q are not supported", s)
}

// ParseSQL parses a type as the engine writes it, such as
// STRUCT(a BIGINT, "b c" DECIMAL(10,2)[]).
func ParseSQL(s string) (Type, error) {
	p := &typeParser{rest: strings.TrimSpace(s)}
	t, err := p.parse(0)
	if err == nil && strings.TrimSpace(p.rest) != "" {
		err = errs.New(errs.InvalidArgument, "unknown type %q", errs.Cut(s, 120))
	}
	if err != nil {
		if errs.KindOf(err) == errs.Internal {
			err = errs.New(errs.InvalidArgument, "unknown type %q", errs.Cut(s, 120))
		}
		return Type{}, err
	}
	return t, nil
}

const maxTypeDepth = 64

type typeParser struct{ rest string }

func (p *typeParser) skip() { p.rest = strings.TrimLeft(p.rest, " \t\r\n") }

func (p *typeParser) accept(c byte) bool {
	p.skip()
	if p.rest != "" && p.rest[0] == c {
		p.rest = p.rest[1:]
		return true
	}
	return false
}

var errType = errors.New("bad type")

func (p *typeParser) parse(depth int) (Type, error) {
	if depth > maxTypeDepth {
		return Type{}, errType
	}
	t, err := p.base(depth)
	if err != nil {
		return t, err
	}
	for p.accept('[') {
		if !p.accept(']') {
			return Type{}, errs.New(errs.TypeConflict, "fixed-size arrays are not supported; use a list")
		}
		t = Type{Name: "list", Fields: []Field{{Name: "element", Type: t}}}
	}
	return t, nil
}

func (p *typeParser) base(depth int) (Type, error) {
	if p.skip(); strings.HasPrefix(p.rest, `"NULL"`) {
		p.rest = p.rest[len(`"NULL"`):]
		return Null, nil
	}
	word := p.word()
	upper := strings.ToUpper(word)
	switch upper {
	case "":
		return Type{}, errType
	case "DECIMAL", "NUMERIC":
		return p.decimal()
	case "STRUCT", "ROW":
		return p.structure(depth)
	case "MAP":
		return p.mapping(depth)
	}
	upper = p.longName(upper)
	name, ok := fromSQL[upper]
	if !ok {
		return Type{}, errType
	}
	if name == "varchar" && p.accept('(') { // VARCHAR(10): the length is not enforced by the engine
		p.number()
		if !p.accept(')') {
			return Type{}, errType
		}
	}
	return Type{Name: name}, nil
}

// longName joins the names of several words: TIMESTAMP WITH TIME ZONE, DOUBLE PRECISION.
func (p *typeParser) longName(first string) string {
	for _, tail := range []string{"WITH TIME ZONE", "WITHOUT TIME ZONE", "PRECISION", "VARYING"} {
		p.skip()
		if len(p.rest) >= len(tail) && strings.EqualFold(p.rest[:len(tail)], tail) {
			if _, ok := fromSQL[first+" "+tail]; ok {
				p.rest = p.rest[len(tail):]
				return first + " " + tail
			}
		}
	}
	return first
}

func (p *typeParser) word() string {
	p.skip()
	if strings.HasPrefix(p.rest, `"`) {
		return p.quoted()
	}
	i := 0
	for i < len(p.rest) && (p.rest[i] == '_' || p.rest[i] >= '0' && p.rest[i] <= '9' || p.rest[i] >= 'a' && p.rest[i] <= 'z' || p.rest[i] >= 'A' && p.rest[i] <= 'Z' || p.rest[i] >= 0x80) {
		i++
	}
	w := p.rest[:i]
	p.rest = p.rest[i:]
	return w
}

func (p *typeParser) quoted() string {
	var b strings.Builder
	for i := 1; i < len(p.rest); i++ {
		if p.rest[i] != '"' {
			b.WriteByte(p.rest[i])
			continue
		}
		if i+1 < len(p.rest) && p.rest[i+1] == '"' {
			b.WriteByte('"')
			i++
			continue
		}
		p.rest = p.rest[i+1:]
		return b.String()
	}
	p.rest = ""
	return ""
}

func (p *typeParser) number() int {
	n, err := strconv.Atoi(p.word())
	if err != nil {
		return -1
	}
	return n
}

func (p *typeParser) decimal() (Type, error) {
	t := Type{Name: "decimal", Precision: 18, Scale: 3}
	if !p.accept('(') {
		return t, nil
	}
	t.Precision, t.Scale = p.number(), 0
	if p.accept(',') {
		t.Scale = p.number()
	}
	if !p.accept(')') || t.Precision < 1 || t.Precision > 38 || t.Scale < 0 || t.Scale > t.Precision {
		return Type{}, errType
	}
	return t, nil
}

func (p *typeParser) structure(depth int) (Type, error) {
	if !p.accept('(') {
		return Type{}, errType
	}
	t := Type{Name: "struct"}
	for {
		name := p.word()
		if name == "" {
			return Type{}, errType
		}
		ft, err := p.parse(depth + 1)
		if err != nil {
			return Type{}, err
		}
		t.Fields = append(t.Fields, Field{Name: name, Type: ft})
		if p.accept(')') {
			return t, nil
		}
		if !p.accept(',') {
			return Type{}, errType
		}
	}
}

func (p *typeParser) mapping(depth int) (Type, error) {
	if !p.accept('(') {
		return Type{}, errType
	}
	k, err := p.parse(depth + 1)
	if err != nil || !p.accept(',') {
		return Type{}, errType
	}
	v, err := p.parse(depth + 1)
	if err != nil || !p.accept(')') {
		return Type{}, errType
	}
	return Type{Name: "map", Fields: []Field{{Name: "key", Type: k}, {Name: "value", Type: v}}}, nil
}
