package statement

import "strings"

type tokenKind uint8

const (
	tokenWord   tokenKind = iota // a bare identifier or keyword
	tokenQuoted                  // "an identifier"
	tokenBack                    // `an identifier`, in SHOW STATS only
	tokenString                  // 'text', E'text', $$text$$
	tokenNumber
	tokenParam // $name, $1
	tokenOp    // one character of anything else
	tokenBad   // a quote or comment that does not end
)

// token is one word of SQL text, at text[start:end].
type token struct {
	kind       tokenKind
	start, end int
	value      string // identifiers: without quotes; others: as written
}

// name reports whether t is an identifier in SQL.
func (t token) name() bool { return t.kind == tokenWord || t.kind == tokenQuoted }

// is reports whether t is the bare keyword or the operator w.
func (t token) is(w string) bool {
	return (t.kind == tokenWord || t.kind == tokenOp) && equal(t.value, w)
}

// scan cuts SQL text into tokens, without space and comments, as DuckDB does.
// It stops after a bad token. Where it should ever disagree with DuckDB, a
// location of the tree does not hit a token of the same name, and Splice
// refuses the text.
func scan(text string) []token {
	var out []token
	for i := 0; i < len(text); {
		if n := blank(text[i:]); n != 0 {
			if n < 0 {
				return append(out, token{tokenBad, i, len(text), text[i:]})
			}
			i += n
			continue
		}
		t := scanOne(text, i)
		out = append(out, t)
		if t.kind == tokenBad {
			break
		}
		i = t.end
	}
	return out
}

// blank gives the length of the space or comment that s begins with, 0 for
// none and -1 for a comment without an end. Block comments nest.
func blank(s string) int {
	switch {
	case isSpace(s[0]):
		return 1
	case strings.HasPrefix(s, "--"):
		if i := strings.IndexAny(s, "\r\n"); i >= 0 {
			return i
		}
		return len(s)
	case strings.HasPrefix(s, "/*"):
		return blockComment(s)
	}
	return 0
}

func blockComment(s string) int {
	depth := 0
	for i := 0; i+1 < len(s); i++ {
		switch s[i : i+2] {
		case "/*":
			depth++
			i++
		case "*/":
			depth--
			i++
			if depth == 0 {
				return i + 1
			}
		}
	}
	return -1
}

func scanOne(text string, i int) token {
	c := text[i]
	switch {
	case c == '\'':
		return scanQuote(text, i, i, false)
	case c == '"' || c == '`':
		return scanQuote(text, i, i, false)
	case c == '$':
		return scanDollar(text, i)
	case isDigit(c) || c == '.' && i+1 < len(text) && isDigit(text[i+1]):
		return scanNumber(text, i)
	case isLetter(c):
		return scanWord(text, i)
	}
	return token{tokenOp, i, i + 1, text[i : i+1]}
}

// scanQuote reads the quoted text whose opening quote is at open; the token
// begins at start.
func scanQuote(text string, start, open int, backslash bool) token {
	quote := text[open]
	for i := open + 1; i < len(text); i++ {
		switch {
		case text[i] == '\\' && backslash:
			i++
		case text[i] == quote && i+1 < len(text) && text[i+1] == quote:
			i++
		case text[i] == quote:
			return quoted(text, start, open, i+1)
		}
	}
	return token{tokenBad, start, len(text), text[start:]}
}

func quoted(text string, start, open, end int) token {
	q := text[open : open+1]
	if q == "'" {
		return token{tokenString, start, end, text[start:end]}
	}
	kind := tokenQuoted
	if q == "`" {
		kind = tokenBack
	}
	return token{kind, start, end, strings.ReplaceAll(text[open+1:end-1], q+q, q)}
}

// scanDollar reads a parameter or a dollar-quoted string.
func scanDollar(text string, i int) token {
	j := i + 1
	for j < len(text) && (isLetter(text[j]) || isDigit(text[j])) {
		j++
	}
	tag := text[i+1 : j]
	if j < len(text) && text[j] == '$' && (tag == "" || isLetter(tag[0])) {
		mark := text[i : j+1]
		n := strings.Index(text[j+1:], mark)
		if n < 0 {
			return token{tokenBad, i, len(text), text[i:]}
		}
		end := j + 1 + n + len(mark)
		return token{tokenString, i, end, text[i:end]}
	}
	if tag == "" {
		return token{tokenOp, i, i + 1, "$"}
	}
	return token{tokenParam, i, j, tag}
}

func scanNumber(text string, i int) token {
	j := i
	for j < len(text) && (isDigit(text[j]) || text[j] == '_' || text[j] == '.') {
		j++
	}
	if j < len(text) && (text[j] == 'e' || text[j] == 'E') {
		k := j + 1
		if k < len(text) && (text[k] == '+' || text[k] == '-') {
			k++
		}
		if k < len(text) && isDigit(text[k]) {
			for j = k; j < len(text) && isDigit(text[j]); {
				j++
			}
		}
	}
	return token{tokenNumber, i, j, text[i:j]}
}

func scanWord(text string, i int) token {
	j := i + 1
	for j < len(text) && (isLetter(text[j]) || isDigit(text[j]) || text[j] == '$') {
		j++
	}
	if j < len(text) && text[j] == '\'' && (equal(text[i:j], "e") || equal(text[i:j], "x") || equal(text[i:j], "b") || equal(text[i:j], "n")) {
		return scanQuote(text, i, j, equal(text[i:j], "e"))
	}
	return token{tokenWord, i, j, text[i:j]}
}

func isSpace(c byte) bool  { return c == ' ' || c >= '\t' && c <= '\r' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c >= 0x80 }

// fold is how DuckDB compares names: ASCII letters without case.
func fold(s string) string {
	for i := range len(s) {
		if s[i] >= 'A' && s[i] <= 'Z' {
			return strings.Map(lowerASCII, s)
		}
	}
	return s
}

func lowerASCII(r rune) rune {
	if r >= 'A' && r <= 'Z' {
		return r + 'a' - 'A'
	}
	return r
}

// equal compares two names as DuckDB does.
func equal(a, b string) bool { return len(a) == len(b) && fold(a) == fold(b) }

// quote writes a name as a quoted identifier.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
