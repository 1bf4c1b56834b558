package statement

import "strconv"

// limited reports whether a query has its own LIMIT. An OFFSET alone is none.
func limited(query node) bool {
	for _, m := range query.nodes("modifiers") {
		switch m.text("type") {
		case "LIMIT_PERCENT_MODIFIER":
			return true
		case "LIMIT_MODIFIER":
			if m.child("limit") != nil {
				return true
			}
		}
	}
	return false
}

// WithLimit bounds text, which Splice made from s, to n rows. A statement that
// has its own LIMIT is left alone.
func (s *Statement) WithLimit(text string, n int64) string {
	if s.HasLimit {
		return text
	}
	tokens := trimEnd(scan(text))
	if len(tokens) == 0 {
		return text
	}
	return text[:tokens[len(tokens)-1].end] + "\nLIMIT " + strconv.FormatInt(n, 10)
}
