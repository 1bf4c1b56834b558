package cli

import (
	"encoding/csv"
	"errors"
	"fmt"
	"strings"

	"github.com/supertable-go/supertable"
)

// parseColumns reads --columns: name:type, comma-separated; commas inside
// parentheses or brackets belong to the type, names may stand in double quotes.
func parseColumns(spec string) ([]supertable.Column, error) {
	parts, err := splitOutside(spec, ',')
	if err != nil {
		return nil, err
	}
	var out []supertable.Column
	seen := map[string]bool{}
	for _, p := range parts {
		c, err := parseColumn(p)
		if err != nil {
			return nil, err
		}
		key := strings.ToLower(c.Name)
		if seen[key] {
			return nil, fmt.Errorf("column %q is given twice", c.Name)
		}
		seen[key] = true
		out = append(out, c)
	}
	return out, nil
}

func parseColumn(s string) (supertable.Column, error) {
	halves, err := splitOutside(s, ':')
	if err != nil {
		return supertable.Column{}, err
	}
	if len(halves) < 2 {
		return supertable.Column{}, fmt.Errorf("%q has no type: want name:type", strings.TrimSpace(s))
	}
	name, typ := strings.TrimSpace(halves[0]), strings.TrimSpace(strings.Join(halves[1:], ":"))
	if inner, ok := unquote(name, '"'); ok {
		name = inner
	}
	if name == "" || typ == "" {
		return supertable.Column{}, fmt.Errorf("%q: want name:type", strings.TrimSpace(s))
	}
	return supertable.Column{Name: name, Type: typ, Nullable: true}, nil
}

// splitOutside splits s at sep where it stands outside quotes and brackets.
func splitOutside(s string, sep byte) ([]string, error) {
	var out []string
	depth, start, quote := 0, 0, byte(0)
	for i := range len(s) {
		switch c := s[i]; {
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
		case c == sep && depth == 0:
			out = append(out, s[start:i])
			start = i + 1
		}
		if depth < 0 {
			break
		}
	}
	if depth != 0 || quote != 0 {
		return nil, errors.New("a parenthesis or a quote is not closed")
	}
	return append(out, s[start:]), nil
}

// parseNames reads the column names of --key: comma-separated as in a line of
// CSV, so a name with a comma stands in double quotes.
func parseNames(lists []string) ([]string, error) {
	var out []string
	for _, l := range lists {
		r := csv.NewReader(strings.NewReader(l))
		r.TrimLeadingSpace = true
		names, err := r.Read()
		if err != nil {
			return nil, fmt.Errorf("%q is no list of column names", l)
		}
		for _, n := range names {
			if n = strings.TrimSpace(n); n == "" {
				return nil, fmt.Errorf("%q names an empty column", l)
			}
			out = append(out, n)
		}
	}
	return out, nil
}
