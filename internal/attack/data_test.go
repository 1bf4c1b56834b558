package attack

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/testdb"
)

// field is a column of a random table. Its tame values are fine for every
// expression of the generator; the others make some fail, and the texts among
// them begin with HID.
type field struct {
	name string
	kind kind
	typ  string // as testdb has it
	tame func(r *rand.Rand) any
	odd  []any
	mask []map[string]any // masks that leave a tame value
}

// kind is what the generator may do with a value. Casts and other things that
// fail are for columns of tables alone, whose tame values are known; what a
// query made of them is of the kinds that end in Made.
type kind int

const (
	integer kind = iota
	number       // text that is a whole number
	word         // text without a meaning in a regular expression
	address      // text
	float
	date
	dateText
	boolean
	document // JSON text
	integerMade
	textMade
	floatMade
)

// made is the kind that a value of a query has.
func made(k kind) kind {
	switch k {
	case integer, integerMade:
		return integerMade
	case number, word, address, dateText, document, textMade:
		return textMade
	case float, floatMade:
		return floatMade
	}
	return k
}

func span(from, to int) func(r *rand.Rand) any {
	return func(r *rand.Rand) any { return from + r.IntN(to-from+1) }
}

func oneOf[T any](list ...T) func(r *rand.Rand) any {
	return func(r *rand.Rand) any { return list[r.IntN(len(list))] }
}

var fields = []field{
	{"n", integer, "int32", span(1, 40), []any{0, 2147483647, -2147483648, -1}, []map[string]any{{"type": "null"}, {"type": "constant", "value": 7}}},
	{"m", integer, "int64", span(1, 40), []any{0, 9223372036854775807, -9223372036854775807}, []map[string]any{{"type": "null"}, {"type": "constant", "value": 3}}},
	{"s", integer, "int16", span(1, 40), []any{0, 32767, -32768}, []map[string]any{{"type": "null"}}},
	{"num", number, "text", func(r *rand.Rand) any { return fmt.Sprint(1 + r.IntN(40)) }, []any{"HIDNUM", "", "99999999999999999999"}, []map[string]any{{"type": "null"}, {"type": "constant", "value": "5"}}},
	{"txt", word, "text", oneOf("ab", "abc", "b", "cd", "x"), []any{"HIDTXT", "HID(", "HID\\", "HID[a"}, []map[string]any{{"type": "first", "n": 1}, {"type": "constant", "value": "ab"}, {"type": "null"}}},
	{"mail", address, "text", oneOf("ann@h", "bob@h", "cyd@h"), []any{"HIDMAIL@h", "HID@h"}, []map[string]any{{"type": "email"}, {"type": "last", "n": 1}}},
	{"f", float, "float64", func(r *rand.Rand) any { return float64(1+r.IntN(40)) / 4 }, []any{0, 1e308, -1e308}, []map[string]any{{"type": "null"}, {"type": "constant", "value": 1.5}}},
	{"dec", float, "decimal(6,2)", func(r *rand.Rand) any { return fmt.Sprintf("%d.25", 1+r.IntN(40)) }, []any{"9999.99", "-9999.99", "0"}, []map[string]any{{"type": "null"}}},
	{"d", date, "date", func(r *rand.Rand) any { return fmt.Sprintf("2020-%02d-%02d", 1+r.IntN(12), 1+r.IntN(28)) }, []any{"0001-01-01", "9999-12-31"}, []map[string]any{{"type": "null"}, {"type": "constant", "value": "2021-05-05"}}},
	{"day", dateText, "text", func(r *rand.Rand) any { return fmt.Sprintf("2020-%02d-%02d", 1+r.IntN(12), 1+r.IntN(28)) }, []any{"HIDDAY", "2020-99-99"}, []map[string]any{{"type": "null"}, {"type": "constant", "value": "2021-05-05"}}},
	{"ok", boolean, "bool", oneOf(true, false), []any{true, false}, []map[string]any{{"type": "null"}, {"type": "constant", "value": true}}},
	{"js", document, "text", func(r *rand.Rand) any { return fmt.Sprintf(`{"k":%d}`, 1+r.IntN(40)) }, []any{"HIDJSON{", "{\"k\":\"HID\"}"}, []map[string]any{{"type": "null"}, {"type": "constant", "value": `{"k":2}`}}},
}

// filters with what they mean.
var filters = []struct {
	document string
	columns  []string
	shows    func(row map[string]any) bool
}{
	{`["*"]`, nil, func(map[string]any) bool { return true }},
	{`{"g":"a"}`, []string{"g"}, func(r map[string]any) bool { return r["g"] == "a" }},
	{`{"g":["a","b"]}`, []string{"g"}, func(r map[string]any) bool { return r["g"] == "a" || r["g"] == "b" }},
	{`{"NOT":{"g":"c"}}`, []string{"g"}, func(r map[string]any) bool { return r["g"] != nil && r["g"] != "c" }},
	{`{"id":{"range":[{"operation":">=","value":10},{"operation":"<","value":40}]}}`, []string{"id"}, func(r map[string]any) bool { return r["id"].(int) >= 10 && r["id"].(int) < 40 }},
	{`{"OR":[{"g":"b"},{"id":{"operation":"<=","value":12}}]}`, []string{"g", "id"}, func(r map[string]any) bool { return r["g"] == "b" || r["id"].(int) <= 12 }},
	{`{"g":{"operation":"LIKE","value":"%a%"}}`, []string{"g"}, func(r map[string]any) bool { return r["g"] == "a" }},
	// What the engine tests late: it takes cheap conditions first, those on one
	// column go into the scan, and a long list becomes a join, below which go the
	// conditions of which it believes that they cannot fail.
	{`{"OR":[{"g":{"operation":"ILIKE","value":"%A%"}},{"id":{"operation":"<","value":0}}]}`, []string{"g", "id"}, func(r map[string]any) bool { return r["g"] == "a" }},
	{`{"NOT":{"OR":[{"g":{"operation":"ILIKE","value":"%C%"}},{"id":{"operation":"<","value":0}},{"g":null}]}}`, []string{"g", "id"}, func(r map[string]any) bool { return r["g"] != nil && r["g"] != "c" }},
	{`{"OR":[{"g":{"operation":"ILIKE","value":"%B%"}},{"id":{"operation":"<=","value":12}},{"g":{"operation":"ILIKE","value":"no"}}]}`, []string{"g", "id"}, func(r map[string]any) bool { return r["g"] == "b" || r["id"].(int) <= 12 }},
	{`{"g":{"operation":"ILIKE","value":"%A%"}}`, []string{"g"}, func(r map[string]any) bool { return r["g"] == "a" }},
	{`{"g":{"operation":"NOT ILIKE","value":"%C%"}}`, []string{"g"}, func(r map[string]any) bool { return r["g"] != nil && r["g"] != "c" }},
	{`{"g":[` + many(80) + `,"b"]}`, []string{"g"}, func(r map[string]any) bool { return r["g"] == "b" }},
	{`{"AND":[{"g":{"operation":"ILIKE","value":"%b%"}},{"g":[` + many(80) + `,"b"]},{"OR":[{"id":{"operation":">","value":3}},{"g":{"operation":"NOT LIKE","value":"%b%"}}]}]}`, []string{"g", "id"}, func(r map[string]any) bool {
		return r["g"] == "b" && r["id"].(int) > 3
	}},
	{`{"g":null}`, []string{"g"}, func(r map[string]any) bool { return r["g"] == nil }},
	{`{"AND":[{"id":{"operation":">","value":5}},{"NOT":{"g":["a","d"]}}]}`, []string{"g", "id"}, func(r map[string]any) bool {
		return r["id"].(int) > 5 && r["g"] != nil && r["g"] != "a" && r["g"] != "d"
	}},
}

// many lists n texts that no row has.
func many(n int) string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%q", fmt.Sprintf("none%d", i))
	}
	return strings.Join(out, ",")
}

// long are the filters with long lists, which tell best whether a fence holds.
var long = func() (out []int) {
	for i, f := range filters {
		if strings.Contains(f.document, "none79") {
			out = append(out, i)
		}
	}
	return out
}()

// rule is what one of the user's roles says of a table.
type rule struct {
	filter int
	masks  map[string]map[string]any
}

// table is a random table: what it holds, what the user may see of it, and
// that as rows of their own.
type table struct {
	name    string
	fields  []field // id and g first
	visible []field
	rules   []rule
	full    []map[string]any
	copy    []map[string]any
}

func (t *table) document(role int) map[string]any {
	names := []string{}
	for _, f := range t.visible {
		names = append(names, f.name)
	}
	doc := map[string]any{"columns": names, "filters": json.RawMessage(filters[t.rules[role].filter].document)}
	if len(t.rules[role].masks) > 0 {
		doc["masks"] = t.rules[role].masks
	}
	return doc
}

// newTable makes a random table under the rules of some roles.
func newTable(r *rand.Rand, name string, roles int) *table {
	t := &table{name: name}
	id := field{name: "id", kind: integer, typ: "int64", tame: span(1, 60)}
	g := field{name: "g", kind: word, typ: "text", tame: oneOf[any]("a", "b", "c", "d", nil)}
	t.fields = append(t.fields, id, g)
	for _, i := range r.Perm(len(fields))[:4+r.IntN(5)] {
		t.fields = append(t.fields, fields[i])
	}
	t.visible = append(t.visible, id)
	for _, f := range t.fields[1:] {
		if r.IntN(6) > 0 {
			t.visible = append(t.visible, f)
		}
	}
	for range roles {
		ru := rule{filter: r.IntN(len(filters)), masks: map[string]map[string]any{}}
		if r.IntN(3) == 0 {
			ru.filter = long[r.IntN(len(long))]
		}
		for _, f := range t.visible {
			if len(f.mask) > 0 && r.IntN(4) == 0 {
				ru.masks[f.name] = f.mask[r.IntN(len(f.mask))]
			}
		}
		t.rules = append(t.rules, ru)
	}
	for i := range 30 + r.IntN(30) {
		t.addRow(r, i+1)
	}
	return t
}

// addRow makes a row whose every value that the user sees as it is is tame.
func (t *table) addRow(r *rand.Rand, id int) {
	row := map[string]any{}
	for _, f := range t.fields {
		row[f.name] = f.tame(r)
		if f.name != "g" && r.IntN(12) == 0 {
			row[f.name] = nil
		}
	}
	row["id"] = id
	seen := map[string]any{}
	shown := false
	for _, ru := range t.rules {
		shown = shown || filters[ru.filter].shows(row)
	}
	for _, f := range t.fields {
		mask, clear := t.shownBy(row, f.name)
		listed := slices.ContainsFunc(t.visible, func(v field) bool { return v.name == f.name })
		if (!shown || !clear || !listed) && len(f.odd) > 0 && r.IntN(4) > 0 {
			row[f.name] = f.odd[r.IntN(len(f.odd))] // no filter is about these
		}
		if shown && listed {
			seen[f.name] = row[f.name]
			if !clear {
				seen[f.name] = masked(row[f.name], mask)
			}
		}
	}
	t.full = append(t.full, row)
	if shown {
		t.copy = append(t.copy, seen)
	}
}

// shownBy says how a value is shown (decision 13): clear when some role that
// shows the row has no mask, else by the mask of the oldest that shows it.
func (t *table) shownBy(row map[string]any, column string) (mask map[string]any, clear bool) {
	for _, ru := range t.rules {
		if !filters[ru.filter].shows(row) {
			continue
		}
		m := ru.masks[column]
		if m == nil {
			return nil, true
		}
		if mask == nil {
			mask = m
		}
	}
	return mask, false
}

func masked(v any, mask map[string]any) any {
	if mask["type"] == "constant" {
		return mask["value"]
	}
	text, ok := v.(string)
	if !ok || mask["type"] == "null" {
		return nil
	}
	switch mask["type"] {
	case "first":
		return text[:min(len(text), mask["n"].(int))]
	case "last":
		return text[len(text)-min(len(text), mask["n"].(int)):]
	case "email":
		if i := strings.IndexByte(text, '@'); i > 0 {
			return text[:1] + "***" + text[i:]
		}
		return "***"
	}
	panic("unknown mask")
}

// store writes rows in some commits, in the full table with some that die.
func (t *table) store(tb testing.TB, r *rand.Rand, s *supertable.Session, rows []map[string]any, fs []field, extra bool) {
	tb.Helper()
	columns := make([]string, len(fs))
	for i, f := range fs {
		columns[i] = f.name + ":" + f.typ
	}
	put := func(part []map[string]any) {
		text, err := json.Marshal(part)
		if err != nil {
			tb.Fatal(err)
		}
		testdb.Write(tb, s, t.name, strings.Join(columns, ","), string(text), nil)
	}
	put([]map[string]any{}) // a table may be empty
	for len(rows) > 0 {
		n := 1 + r.IntN(len(rows))
		part := slices.Clone(rows[:n])
		if extra && r.IntN(2) == 0 {
			part = append(part, map[string]any{"id": -1, "g": "a"}, map[string]any{"id": -1, "g": "b"})
		}
		put(part)
		rows = rows[n:]
	}
	if extra {
		testdb.Write(tb, s, t.name, "id:int64", `[{"id":-1}]`, &supertable.WriteOptions{Key: []string{"id"}, DeleteOnly: true})
	}
}
