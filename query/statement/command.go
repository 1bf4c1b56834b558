package statement

import (
	"slices"

	"github.com/supertable-go/supertable/internal/errs"
)

// command splits off what does not serialise: EXPLAIN, SHOW and DESCRIBE. It
// sets the kind and leaves the query in s.text.
func (s *Statement) command(text string) error {
	s.text = text
	tokens := trimEnd(scan(text))
	if len(tokens) == 0 {
		return errs.New(errs.InvalidArgument, "the statement is empty")
	}
	rest := tokens[1:]
	switch first := tokens[0]; {
	case first.is("explain") && len(rest) > 0:
		return s.explain(rest)
	case first.is("show"):
		return s.show(rest)
	case first.is("describe"), first.is("desc"):
		return s.describe(rest)
	case first.is("summarize"):
		return errs.New(errs.Unsupported, "SUMMARIZE is not supported")
	}
	return nil
}

func (s *Statement) explain(rest []token) error {
	s.Kind = Explain
	if rest[0].is("analyze") {
		s.Kind, rest = ExplainAnalyze, rest[1:]
	}
	if !startsQuery(rest) {
		return errs.New(errs.InvalidArgument, "EXPLAIN is only supported for SELECT")
	}
	s.text, s.shift = s.text[rest[0].start:], rest[0].start
	return nil
}

func (s *Statement) show(rest []token) error {
	if len(rest) > 0 && rest[0].is("stats") {
		return s.showStats(rest[1:])
	}
	if len(rest) == 2 && rest[0].is("all") {
		rest = rest[1:]
	}
	if len(rest) == 1 && rest[0].is("tables") {
		s.Kind = ShowTables
		return nil
	}
	return errs.New(errs.InvalidArgument, "SHOW expects TABLES or STATS")
}

func (s *Statement) showStats(rest []token) error {
	s.Kind = ShowStats
	names, n := dotted(rest)
	if len(names) == 0 || len(names) > 2 || n != len(rest) {
		return errs.New(errs.InvalidArgument, "SHOW STATS expects a table reference")
	}
	t := &TableRef{Name: names[len(names)-1]}
	if len(names) == 2 {
		t.Super = names[0]
	}
	if equal(t.Super, InformationSchema) {
		return notFound(t)
	}
	s.Tables = []*TableRef{t}
	return nil
}

// describe turns DESCRIBE t into a query of which finish expects that it is
// nothing but a table.
func (s *Statement) describe(rest []token) error {
	if len(rest) == 0 {
		return errs.New(errs.InvalidArgument, "DESCRIBE expects a table reference or a SELECT")
	}
	query := s.text[rest[0].start:]
	if startsQuery(rest) {
		s.Kind, s.text, s.shift = DescribeQuery, query, rest[0].start
		return nil
	}
	const head = "SELECT * FROM "
	s.Kind, s.text, s.shift = Describe, head+query, rest[0].start-len(head)
	return nil
}

// startsQuery reports whether tokens begin like a SELECT in one of its forms,
// within parentheses or not.
func startsQuery(tokens []token) bool {
	for _, t := range tokens {
		if t.is("(") {
			continue
		}
		return slices.ContainsFunc([]string{"select", "with", "from", "values", "table", "pivot", "unpivot", "pivot_wider", "pivot_longer"}, t.is)
	}
	return false
}

// dotted reads a.b.c from the front of tokens, in any quotes, and tells how
// many tokens it took.
func dotted(tokens []token) (names []string, n int) {
	for n < len(tokens) && (tokens[n].name() || tokens[n].kind == tokenBack) {
		names = append(names, tokens[n].value)
		n++
		if n >= len(tokens) || !tokens[n].is(".") {
			return names, n
		}
		n++
	}
	return nil, n
}

// trimEnd drops the semicolons at the end.
func trimEnd(tokens []token) []token {
	for len(tokens) > 0 && tokens[len(tokens)-1].is(";") {
		tokens = tokens[:len(tokens)-1]
	}
	return tokens
}

// plainTable reports whether a query is SELECT * FROM table and no more.
func plainTable(query node) bool {
	from := query.child("from_table")
	if query.text("type") != "SELECT_NODE" || from.text("type") != "BASE_TABLE" || from.text("alias") != "" ||
		from.child("sample") != nil || query.child("sample") != nil {
		return false
	}
	for _, clause := range []string{"where_clause", "having", "qualify"} {
		if query.child(clause) != nil {
			return false
		}
	}
	return len(query.nodes("modifiers")) == 0 && len(query.nodes("group_expressions")) == 0
}

func notFound(t *TableRef) error {
	name := t.Name
	if t.Super != "" {
		name = t.Super + "." + name
	}
	return errs.New(errs.NotFound, "Table not found: %s", name)
}
