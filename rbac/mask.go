package rbac

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/supertable-go/supertable/internal/errs"
)

// Mask shows a column without its values (decision 13).
type Mask struct {
	Type  string // null, constant, hash, first, last or email
	N     int    // of first and last: how many characters stay
	Value any    // of constant: string, json.Number, bool or nil
}

// TextOnly reports whether the mask is for columns of text.
func (m Mask) TextOnly() bool { return m.Type != "null" && m.Type != "constant" }

// maskKeys lists what each type of mask has beside its type.
var maskKeys = map[string][]string{"null": nil, "constant": {"value"}, "hash": nil, "first": {"n"}, "last": {"n"}, "email": nil}

func parseMasks(v any) (map[string]Mask, error) {
	if v == nil {
		return nil, nil
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, errs.New(errs.InvalidArgument, "masks is an object of column and mask")
	}
	out := map[string]Mask{}
	for _, column := range sortedKeys(m) {
		mask, err := parseMask(column, m[column])
		if err != nil {
			return nil, err
		}
		key := strings.ToLower(column)
		if _, twice := out[key]; twice || column == "" {
			return nil, errs.New(errs.InvalidArgument, "masks: the column %q stands there twice or has no name", column)
		}
		out[key] = mask
	}
	if len(out) == 0 {
		return nil, nil
	}
	return out, nil
}

func parseMask(column string, v any) (Mask, error) {
	m, ok := v.(map[string]any)
	typ, isText := m["type"].(string)
	keys, known := maskKeys[typ]
	if !ok || !isText || !known {
		return Mask{}, errs.New(errs.InvalidArgument, "mask of %q: its type is one of null, constant, hash, first, last and email", column)
	}
	if len(m) != 1+len(keys) {
		return Mask{}, errs.New(errs.InvalidArgument, "mask of %q: %s takes %s and nothing else", column, typ, strings.Join(append([]string{"type"}, keys...), " and "))
	}
	for _, k := range keys {
		if _, ok := m[k]; !ok {
			return Mask{}, errs.New(errs.InvalidArgument, "mask of %q: %s needs %s", column, typ, k)
		}
	}
	mask := Mask{Type: typ}
	if n, ok := m["n"]; ok {
		num, _ := n.(json.Number)
		i, err := strconv.Atoi(num.String())
		if err != nil || i < 0 || i > 1000 {
			return Mask{}, errs.New(errs.InvalidArgument, "mask of %q: n is a whole number from 0 to 1000", column)
		}
		mask.N = i
	}
	if val, ok := m["value"]; ok {
		switch x := val.(type) {
		case map[string]any, []any:
			return Mask{}, errs.New(errs.InvalidArgument, "mask of %q: the value is a text, a number, true, false or null", column)
		case string:
			if strings.ContainsRune(x, 0) {
				return Mask{}, errs.New(errs.InvalidArgument, "mask of %q: a value with a NUL character", column)
			}
		}
		mask.Value = val
	}
	return mask, nil
}

// Document is the mask as it stands in a role's document.
func (m Mask) Document() map[string]any {
	doc := map[string]any{"type": m.Type}
	switch m.Type {
	case "first", "last":
		doc["n"] = m.N
	case "constant":
		doc["value"] = m.Value
	}
	return doc
}
