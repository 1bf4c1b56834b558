package statement

import "strings"

// ColumnName gives a column of the spliced text's result the name that the
// user's own text would have given it: the engine names an expression after
// its text, and that may hold the name of a view.
func (s *Statement) ColumnName(name string, view func(i int, t *TableRef) string) string {
	for i, t := range s.Tables {
		made := view(i, t)
		if !strings.Contains(name, made) {
			continue
		}
		original := plain(t.Name)
		if t.Super != "" {
			original = plain(t.Super) + "." + original
		}
		if t.Alias == "" {
			name = strings.ReplaceAll(name, plain(made)+" AS "+plain(t.display), original)
		}
		name = strings.ReplaceAll(name, plain(made)+" AS ", original+" AS ")
	}
	return name
}

// plain writes a name as the engine does: quoted where it must be.
func plain(name string) string {
	for i := range len(name) {
		if c := name[i]; c >= 0x80 || c >= 'A' && c <= 'Z' || !isLetter(c) && (i == 0 || !isDigit(c)) {
			return quote(name)
		}
	}
	return name
}
