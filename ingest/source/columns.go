package source

import (
	"strings"

	"github.com/supertable-go/supertable/internal/errs"
)

// Column is a column of an input or of a table.
type Column struct {
	Name string
	Type string // SQL type of the engine, such as BIGINT or STRUCT(a BIGINT, b VARCHAR[]); "NULL" when no row has a value
}

// ParseColumns reads a list of names and types, such as
// `a:bigint, d:decimal(10,2), "odd, name":struct(a int, b varchar)`.
// A name in double quotes may hold anything, a quote doubled. Types come back
// in the engine's spelling.
func ParseColumns(spec string) ([]Column, error) {
	var cols []Column
	seen := map[string]bool{}
	for _, item := range splitColumns(spec) {
		c, err := parseColumn(item)
		if err != nil {
			return nil, err
		}
		if seen[fold(c.Name)] {
			return nil, errs.New(errs.InvalidArgument, "columns: %s is given twice", quoteShort(c.Name))
		}
		seen[fold(c.Name)] = true
		cols = append(cols, c)
	}
	return cols, nil
}

func parseColumn(item string) (Column, error) {
	text := strings.TrimSpace(item)
	var name, typ string
	ok := false
	if strings.HasPrefix(text, `"`) {
		p := &typeParser{text: text}
		name = p.quoted('"')
		if ok = p.why == "" && p.take(':'); ok {
			typ = text[p.pos:]
		}
	} else if name, typ, ok = strings.Cut(text, ":"); ok {
		name = strings.TrimSpace(name)
	}
	if !ok || name == "" || strings.IndexByte(name, 0) >= 0 {
		return Column{}, errs.New(errs.InvalidArgument, "columns: %s is not of the form name:type", quoteShort(text))
	}
	t, err := parseType(typ)
	if err != nil {
		return Column{}, errs.New(errs.InvalidArgument, "columns: %s: %s", quoteShort(name), err)
	}
	c := Column{name, t.String()}
	return c, CheckStorable([]Column{c})
}

// splitColumns cuts spec at the commas outside parentheses, brackets and
// quotes.
func splitColumns(spec string) []string {
	var items []string
	depth, start := 0, 0
	var quote byte
	for i := range len(spec) {
		switch c := spec[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '(' || c == '[':
			depth++
		case c == ')' || c == ']':
			depth--
		case c == ',' && depth == 0:
			items = append(items, spec[start:i])
			start = i + 1
		}
	}
	if strings.TrimSpace(spec[start:]) == "" && start == 0 {
		return nil
	}
	return append(items, spec[start:])
}

// checkNames refuses inputs without columns, empty names and names that differ
// only in case, which one table cannot hold.
func checkNames(where string, names []string) error {
	if len(names) == 0 {
		return errs.New(errs.InvalidArgument, "%s: no columns", where)
	}
	seen := make(map[string]string, len(names))
	for i, n := range names {
		if n == "" {
			return errs.New(errs.InvalidArgument, "%s: column %d has no name", where, i+1)
		}
		if strings.IndexByte(n, 0) >= 0 {
			return errs.New(errs.InvalidArgument, "%s: the name of column %d holds a NUL character", where, i+1)
		}
		if first, ok := seen[fold(n)]; ok {
			if first == n {
				return errs.New(errs.InvalidArgument, "%s: two columns are named %s", where, quoteShort(n))
			}
			return errs.New(errs.InvalidArgument, "%s: columns %s and %s differ only in case", where, quoteShort(first), quoteShort(n))
		}
		seen[fold(n)] = n
	}
	return nil
}

// quoteShort shows a name or value in a message: quoted, on one line, cut to
// 40 characters.
func quoteShort(s string) string {
	const most = 40
	cut := false
	n := 0
	for i := range s {
		if n == most {
			s, cut = s[:i], true
			break
		}
		n++
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		if r < 0x20 || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 || r == 0xfffd {
			r = '·'
		}
		b.WriteRune(r)
	}
	if cut {
		b.WriteString("…")
	}
	b.WriteByte('"')
	return b.String()
}
