package statement

import (
	"context"

	"github.com/supertable-go/supertable/internal/errs"
)

// Verify is the second look at a text that Splice made with the same views: it
// is parsed and guarded again, every table in it must be one of the views, and
// apart from the tables its tree must be the tree of the user's text.
func (s *Statement) Verify(ctx context.Context, p Parser, spliced string, view func(i int, t *TableRef) string) error {
	names, err := s.views(view)
	if err != nil {
		return err
	}
	again, err := Parse(ctx, p, s.home, spliced)
	if err != nil {
		return errs.Wrap(errs.Unsupported, err, "%s", unreadable().Error())
	}
	allowed := map[string]bool{}
	for _, name := range names {
		allowed[name] = true
	}
	for _, t := range again.Tables {
		if t.Super != "" || t.At != nil || !allowed[t.Name] {
			return unreadable()
		}
	}
	v := verifier{names: map[int]string{}, tables: map[int]*TableRef{}, columns: map[int]*columnRef{}}
	for t, name := range names {
		v.names[t.pos], v.tables[t.pos] = name, t
	}
	for _, c := range s.refs {
		if c.reduced != "" {
			v.columns[c.pos] = c
		}
	}
	if again.Kind != Select || !v.same(map[string]any(s.tree), map[string]any(again.tree)) {
		return unreadable()
	}
	return nil
}

// verifier compares the tree of a user's text with that of the spliced one.
type verifier struct {
	names   map[int]string // of the views, by the tables' locations
	tables  map[int]*TableRef
	columns map[int]*columnRef // those that Splice shortened
}

func (v *verifier) same(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && v.sameNode(a, b)
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !v.same(a[i], b[i]) {
				return false
			}
		}
		return true
	}
	return a == b
}

func (v *verifier) sameNode(a, b node) bool {
	if len(a) != len(b) {
		return false
	}
	expected := v.expected(a)
	for key, value := range a {
		other, ok := b[key]
		if !ok {
			return false
		}
		if key == "query_location" {
			continue
		}
		if e, changed := expected[key]; changed {
			value = e
		}
		if !v.same(value, other) {
			return false
		}
	}
	return true
}

// expected gives the members that Splice changed in a node.
func (v *verifier) expected(a node) node {
	if t := v.tables[a.pos()]; t != nil && a.text("type") == "BASE_TABLE" {
		return node{"schema_name": "", "table_name": v.names[t.pos], "alias": t.display, "at_clause": nil}
	}
	if c := v.columns[a.pos()]; c != nil && a.text("type") == "COLUMN_REF" {
		names := []any{c.reduced}
		for _, name := range c.names[2:] {
			names = append(names, name)
		}
		return node{"column_names": names}
	}
	return nil
}
