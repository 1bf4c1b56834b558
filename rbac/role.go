package rbac

import (
	"crypto/md5" //nolint:gosec // the published ids are MD5; they are no secret and protect nothing
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/supertable-go/supertable/internal/errs"
)

// Role is what a set of people may do: a type, the tables it is about, and
// what of them. It does not change; its hash is that of its content.
type Role struct {
	Hash string
	Type string
	Name string // "" for none

	enabled  bool
	document map[string]any   // normalised; what the hash is made of
	rules    map[string]*rule // by lower-case table name; "*" is any other
}

// rule is what a role says of one table.
type rule struct {
	columns []string // nil is all
	filter  Filter
	masks   map[string]Mask // by lower-case column
}

func (r *rule) whole() bool { return r.columns == nil && r.filter == nil && r.masks == nil }

// ParseRole reads a role document (behaviour.md B.4.2, decisions 12 to 14):
//
//	{"role": "reader", "tables": ["orders"], "columns": ["id", "amount"],
//	 "filters": {"country": "US"}, "masks": {"email": {"type": "email"}}}
//
// Missing or empty tables, columns and filters mean all. tables may also be an
// object of table name and {columns, filters, masks}, with "*" for those that
// are not named. Keys that it does not know are refused.
func ParseRole(text []byte) (*Role, error) {
	v, err := decode(text)
	if err != nil {
		return nil, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, errs.New(errs.InvalidArgument, "a role is a JSON object")
	}
	if err := onlyKeys("role", m, "role", "name", "tables", "columns", "filters", "masks", "enabled", "hash"); err != nil {
		return nil, err
	}
	r := &Role{enabled: true, rules: map[string]*rule{}, document: map[string]any{}}
	typ, _ := m["role"].(string)
	if err := checkRoleType(typ); err != nil {
		return nil, err
	}
	r.Type, r.document["role"] = typ, typ
	if err := r.readName(m); err != nil {
		return nil, err
	}
	if e, ok := m["enabled"]; ok {
		if r.enabled, ok = e.(bool); !ok {
			return nil, errs.New(errs.InvalidArgument, "role: enabled is true or false")
		}
		r.document["enabled"] = r.enabled
	}
	if err := r.readTables(m); err != nil {
		return nil, err
	}
	r.Hash = hash(r.document)
	if h, ok := m["hash"]; ok && h != r.Hash {
		return nil, errs.New(errs.InvalidArgument, "role: its hash is not that of its content; leave the hash out")
	}
	return r, nil
}

func (r *Role) readName(m map[string]any) error {
	v, ok := m["name"]
	if !ok {
		return nil
	}
	name, ok := v.(string)
	if !ok || !validRoleName(name) {
		return errs.New(errs.InvalidArgument, "role: %s is no role name: it starts with a letter or underscore and has letters, digits, blanks and _ - . only, at most 127", canonical(v))
	}
	r.Name, r.document["name"] = name, name
	return nil
}

func (r *Role) readTables(m map[string]any) error {
	if tables, ok := m["tables"].(map[string]any); ok && len(tables) > 0 {
		return r.readTableMap(m, tables)
	}
	names := []string{"*"}
	if !falsy(m["tables"]) {
		var err error
		if names, err = nameList("tables", m["tables"]); err != nil {
			return err
		}
	}
	ru, doc, err := readRule("role", m)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := checkRuleTable(name); err != nil {
			return err
		}
		r.rules[strings.ToLower(name)] = ru
	}
	r.document["tables"] = names
	maps.Copy(r.document, doc)
	return nil
}

// readTableMap reads the form with an entry for each table.
func (r *Role) readTableMap(m, tables map[string]any) error {
	for _, k := range []string{"columns", "filters", "masks"} {
		if !falsy(m[k]) && !isAny(m[k]) {
			return errs.New(errs.InvalidArgument, "role: with an object of tables, %s stand in its entries", k)
		}
	}
	doc := map[string]any{}
	for _, name := range sortedKeys(tables) {
		entry, ok := tables[name].(map[string]any)
		if !ok && !falsy(tables[name]) {
			return errs.New(errs.InvalidArgument, "role: the entry of table %q is an object with columns, filters and masks", name)
		}
		if err := onlyKeys("table "+name, entry, "columns", "filters", "masks"); err != nil {
			return err
		}
		if err := checkRuleTable(name); err != nil {
			return err
		}
		ru, d, err := readRule("table "+name, entry)
		if err != nil {
			return err
		}
		if _, twice := r.rules[strings.ToLower(name)]; twice {
			return errs.New(errs.InvalidArgument, "role: the table %q stands there twice", name)
		}
		r.rules[strings.ToLower(name)], doc[name] = ru, d
	}
	r.document["tables"], r.document["columns"], r.document["filters"] = doc, []string{"*"}, []any{"*"}
	return nil
}

// readRule reads columns, filters and masks, and gives their normal form.
func readRule(what string, m map[string]any) (*rule, map[string]any, error) {
	doc := map[string]any{"columns": []string{"*"}, "filters": []any{"*"}}
	ru := &rule{}
	if !falsy(m["columns"]) {
		columns, err := nameList("columns", m["columns"])
		if err != nil {
			return nil, nil, err
		}
		doc["columns"] = columns
		if !slices.Contains(columns, "*") {
			ru.columns = columns
		}
	}
	if !falsy(m["filters"]) {
		f, err := parseFilter(m["filters"])
		if err != nil {
			return nil, nil, errs.New(errs.InvalidArgument, "%s: %s", what, err)
		}
		ru.filter, doc["filters"] = f, m["filters"]
	}
	masks, err := parseMasks(m["masks"])
	if err != nil {
		return nil, nil, err
	}
	if masks != nil {
		ru.masks, doc["masks"] = masks, m["masks"]
	}
	return ru, doc, nil
}

// checkRuleTable refuses what can be no table's name: such a rule would only
// look as if it protected something.
func checkRuleTable(name string) error {
	if name != "*" && (!plainName(name) || len(name) > 128) {
		return errs.New(errs.InvalidArgument, "role: %q is no table name", name)
	}
	return nil
}

func isAny(v any) bool {
	list, ok := v.([]any)
	return ok && len(list) == 1 && list[0] == "*"
}

// falsy reports what counts as not given: nothing, null, false, 0, "", [] and {}.
func falsy(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return v == ""
	case json.Number:
		return v == "0"
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

// nameList reads a list of names, sorted and each once.
func nameList(what string, v any) ([]string, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, errs.New(errs.InvalidArgument, "role: %s is a list of names", what)
	}
	out := make([]string, 0, len(list))
	for _, e := range list {
		s, ok := e.(string)
		if !ok || s == "" || strings.ContainsRune(s, 0) || len(s) > 1024 {
			return nil, errs.New(errs.InvalidArgument, "role: %s is a list of names", what)
		}
		out = append(out, s)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

func onlyKeys(what string, m map[string]any, allowed ...string) error {
	for _, k := range sortedKeys(m) {
		if !slices.Contains(allowed, k) {
			return errs.New(errs.InvalidArgument, "%s: unknown key %q; there are %s", what, k, strings.Join(allowed, ", "))
		}
	}
	return nil
}

func hash(v any) string {
	sum := md5.Sum([]byte(canonical(v))) //nolint:gosec // see the import
	return hex.EncodeToString(sum[:])
}

// Enabled reports whether the role grants anything.
func (r *Role) Enabled() bool { return r.enabled }

// Document is the role's document as JSON, without its hash: tables and columns
// sorted and each once, what was left out as ["*"].
func (r *Role) Document() []byte { return []byte(canonical(r.document)) }

// rule finds what the role says of a table; "" is the SuperTable itself.
func (r *Role) rule(table string) *rule {
	if table != "" {
		if ru, ok := r.rules[strings.ToLower(table)]; ok {
			return ru
		}
		// The records of all reads and writes tell of every table: "*" means
		// them only in a role that hides nothing, else they must be named.
		if OwnRecords(table) && !r.hidesNothing() {
			return nil
		}
	}
	return r.rules["*"]
}

// hidesNothing reports whether the role shows every table that it is about whole.
func (r *Role) hidesNothing() bool {
	for _, ru := range r.rules {
		if !ru.whole() {
			return false
		}
	}
	return true
}

// OwnRecords reports whether a table holds what a SuperTable keeps of its reads
// and writes.
func OwnRecords(table string) bool {
	return strings.EqualFold(table, "__plans__") || strings.EqualFold(table, "__stats__")
}

// NotOwnRecords refuses a table of own records to every change but those of
// the SuperTable itself.
func NotOwnRecords(table string) error {
	if !OwnRecords(table) {
		return nil
	}
	return errs.New(errs.InvalidArgument, "the stream %s is written by the SuperTable itself", strings.ToLower(strings.Trim(table, "_")))
}

func validRoleName(s string) bool { return validName(s, "_-. ") }

func validName(s, more string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || (c < '0' || c > '9') && strings.IndexByte(more, c) < 0) {
			return false
		}
	}
	return s != "" && len(s) <= 127
}

// HasMasks reports whether the role masks any column of any table.
func (r *Role) HasMasks() bool {
	for _, ru := range r.rules {
		if ru.masks != nil {
			return true
		}
	}
	return false
}

// Masks gives the masks of a table's columns, by lower-case name.
func (r *Role) Masks(table string) map[string]Mask {
	if ru := r.rule(table); ru != nil {
		return ru.masks
	}
	return nil
}

// FilterDocument gives the row filter of a table as the document has it.
func (r *Role) FilterDocument(table string) any {
	doc := r.document
	if tables, ok := doc["tables"].(map[string]any); ok {
		doc = nil
		for name, d := range tables {
			if strings.EqualFold(name, table) || name == "*" && doc == nil {
				doc, _ = d.(map[string]any)
			}
			if strings.EqualFold(name, table) {
				break
			}
		}
	}
	return doc["filters"]
}
