package statement

import (
	"slices"
	"strings"

	"github.com/supertable-go/supertable/internal/errs"
)

// edit replaces text[start:end]. Where table is set, its view's name stands
// between before and after.
type edit struct {
	start, end    int
	before, after string
	table         *TableRef
}

// locate finds in the text what Splice has to change. Every location that the
// tree gives must hit the tokens that the tree names, so that neither a trick
// of the text nor a difference between the two lexers can move a change.
func (s *Statement) locate() error {
	s.displays()
	at := map[int]int{}
	for i, t := range s.tokens {
		at[t.start] = i
	}
	for _, t := range s.Tables {
		i, ok := at[t.pos]
		if !ok || !s.locateTable(t, i) {
			return misplaced(t, s.tokens, i, ok)
		}
	}
	for _, c := range s.refs {
		if err := s.locateColumn(c, at); err != nil {
			return err
		}
	}
	slices.SortFunc(s.edits, func(a, b edit) int { return a.start - b.start })
	for i := 1; i < len(s.edits); i++ {
		if s.edits[i].start < s.edits[i-1].end {
			return unreadable()
		}
	}
	return nil
}

func misplaced(t *TableRef, tokens []token, i int, ok bool) error {
	if ok && tokens[i].kind == tokenString {
		return errs.New(errs.InvalidArgument, "a table is named by an identifier, not by a text: %s", t.Name)
	}
	return unreadable()
}

// displays chooses the names under which tables without an alias stand in the
// spliced text: their own, or super.table where a FROM clause reads tables of
// one name from several SuperTables.
func (s *Statement) displays() {
	for _, sel := range s.selects {
		for i, a := range sel.scope.relations {
			for _, b := range sel.scope.relations[i+1:] {
				if a.table == nil || b.table == nil || a.table.Alias != "" || b.table.Alias != "" ||
					!equal(a.table.Name, b.table.Name) || equal(a.table.Super, b.table.Super) {
					continue
				}
				for _, t := range []*TableRef{a.table, b.table} {
					if t.Super != "" {
						t.display = t.Super + "." + t.Name
					}
				}
			}
		}
	}
}

// locateTable makes the edits for the reference whose name begins at token i.
func (s *Statement) locateTable(t *TableRef, i int) bool {
	start := i
	if t.Super != "" {
		if !s.nameAt(i, t.Super) || !s.opAt(i+1, ".") {
			return false
		}
		i += 2
	}
	if !s.nameAt(i, t.Name) || s.opAt(i+1, ".") {
		return false
	}
	e := edit{start: s.tokens[start].start, end: s.tokens[i].end, table: t}
	if t.Alias == "" {
		e.after = " AS " + quote(t.display)
	}
	if start > 0 && s.tokens[start-1].is("table") {
		e.start, e.before = s.tokens[start-1].start, "SELECT * FROM "
	}
	s.edits = append(s.edits, e)
	return t.At == nil || s.locateAt(s.skipAlias(t, i+1))
}

// skipAlias gives the token after the alias that follows a table's name.
func (s *Statement) skipAlias(t *TableRef, i int) int {
	if t.Alias == "" {
		return i
	}
	j := i
	if j < len(s.tokens) && s.tokens[j].is("as") {
		j++
	}
	if !s.nameAt(j, t.Alias) {
		return i // alias: table
	}
	j++
	if t.Renamed && s.opAt(j, "(") {
		j = s.closing(j)
	}
	return j
}

// locateAt removes the AT clause that begins at token i.
func (s *Statement) locateAt(i int) bool {
	if i+1 >= len(s.tokens) || !s.tokens[i].is("at") || !s.opAt(i+1, "(") {
		return false
	}
	end := s.closing(i + 1)
	s.edits = append(s.edits, edit{start: s.tokens[i].start, end: s.tokens[end-1].end})
	return true
}

// closing gives the token after the parenthesis that closes the one at i.
func (s *Statement) closing(i int) int {
	depth := 0
	for ; i < len(s.tokens); i++ {
		switch {
		case s.opAt(i, "("):
			depth++
		case s.opAt(i, ")"):
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return i
}

func (s *Statement) nameAt(i int, name string) bool {
	return i < len(s.tokens) && s.tokens[i].name() && equal(s.tokens[i].value, name)
}

func (s *Statement) opAt(i int, op string) bool { return i < len(s.tokens) && s.tokens[i].is(op) }

// locateColumn reduces super.table.column to table.column where the column is
// that of a table of the text without an alias.
func (s *Statement) locateColumn(c *columnRef, at map[int]int) error {
	t, err := s.qualified(c)
	if t == nil || err != nil {
		return err
	}
	i, ok := at[c.pos]
	if !ok || !s.nameAt(i, c.names[0]) || !s.opAt(i+1, ".") || !s.nameAt(i+2, c.names[1]) {
		return unreadable()
	}
	if c.reduced != "" {
		return nil
	}
	e := edit{start: s.tokens[i].start, end: s.tokens[i+2].start}
	c.reduced = c.names[1]
	if t.display != t.Name {
		e.end, e.before, c.reduced = s.tokens[i+2].end, quote(t.display), t.display
	}
	if slices.Contains(s.edits, e) { // DuckDB repeats some parts of a text
		return nil
	}
	s.edits = append(s.edits, e)
	return nil
}

// qualified gives the table that a column reference names with its SuperTable,
// or nil when it does not.
func (s *Statement) qualified(c *columnRef) (*TableRef, error) {
	if len(c.names) < 2 {
		return nil, nil
	}
	for sc := c.scope; sc != nil; sc = sc.outer {
		var found *TableRef
		others := false
		for _, rel := range sc.relations {
			switch t := rel.table; {
			case found == nil && t != nil && t.Alias == "" && s.inSuper(t, c.names[0]) && equal(t.Name, c.names[1]):
				found = t
			case equal(rel.alias, c.names[0]):
				others = true
			}
		}
		switch {
		case found != nil && others:
			return nil, errs.New(errs.Unsupported, "%s is both a SuperTable and a table here: use aliases", c.names[0])
		case found != nil:
			return found, nil
		case others:
			return nil, nil
		}
	}
	return nil, nil
}

// inSuper reports whether t is a table of the named SuperTable.
func (s *Statement) inSuper(t *TableRef, super string) bool {
	return equal(t.Super, super) || t.Super == "" && s.home != "" && equal(s.home, super)
}

// Splice returns the text to run: the query (without EXPLAIN or DESCRIBE), in
// which every table reference reads view(i, t), the name of a view made for
// it, under the name that the text used. AT clauses are gone. Several
// references may share a view. The text must pass Verify before it runs.
func (s *Statement) Splice(view func(i int, t *TableRef) string) (string, error) {
	names, err := s.views(view)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	last := 0
	for _, e := range s.edits {
		b.WriteString(s.text[last:e.start])
		b.WriteString(e.before)
		if e.table != nil {
			b.WriteString(quote(names[e.table]))
		}
		b.WriteString(e.after)
		last = e.end
	}
	b.WriteString(s.text[last:])
	return b.String(), nil
}

// views asks for the views' names and refuses those that the text could
// capture.
func (s *Statement) views(view func(i int, t *TableRef) string) (map[*TableRef]string, error) {
	names := make(map[*TableRef]string, len(s.Tables))
	for i, t := range s.Tables {
		name := view(i, t)
		if name == "" || s.ctes[fold(name)] {
			return nil, errs.New(errs.Internal, "the view for table %d has no usable name", i)
		}
		names[t] = name
	}
	return names, nil
}
