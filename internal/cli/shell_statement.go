package cli

import "strings"

// cutStatement cuts the first statement off text: what stands before the first
// ; that is not in a quote or a comment. ok is false while there is none.
func cutStatement(text string) (statement, rest string, ok bool) {
	for i := 0; i < len(text); {
		if text[i] == ';' {
			return text[:i], text[i+1:], true
		}
		i = skipToken(text, i)
	}
	return "", text, false
}

// blank reports whether text holds nothing but blanks and comments.
func blank(text string) bool {
	for i := 0; i < len(text); {
		switch {
		case strings.HasPrefix(text[i:], "--"), strings.HasPrefix(text[i:], "/*"):
			i = skipToken(text, i)
		case text[i] > ' ':
			return false
		default:
			i++
		}
	}
	return true
}

// skipToken returns where the quote, comment, word or single byte at i ends;
// what is not closed reaches to the end of text.
func skipToken(text string, i int) int {
	switch c := text[i]; {
	case c == '\'' || c == '"':
		return skipQuote(text, i, false)
	case strings.HasPrefix(text[i:], "--"):
		return after(text, i, "\n")
	case strings.HasPrefix(text[i:], "/*"):
		return skipComment(text, i)
	case c == '$':
		return skipDollar(text, i)
	case isWord(c):
		end := i
		for end < len(text) && isWord(text[end]) {
			end++
		}
		if end-i == 1 && (c == 'e' || c == 'E') && end < len(text) && text[end] == '\'' {
			return skipQuote(text, end, true)
		}
		return end
	}
	return i + 1
}

func isWord(c byte) bool {
	return c == '_' || isDigit(c) || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

// skipQuote passes the quote at i. A doubled quote needs no care: it ends one
// quote and begins the next.
func skipQuote(text string, i int, escapes bool) int {
	for k := i + 1; k < len(text); k++ {
		switch {
		case text[k] == text[i]:
			return k + 1
		case escapes && text[k] == '\\':
			k++
		}
	}
	return len(text)
}

// skipComment passes the comment at i; comments nest.
func skipComment(text string, i int) int {
	depth := 0
	for i < len(text) {
		switch {
		case strings.HasPrefix(text[i:], "/*"):
			depth++
			i += 2
		case strings.HasPrefix(text[i:], "*/"):
			depth--
			i += 2
		default:
			i++
		}
		if depth == 0 {
			return i
		}
	}
	return len(text)
}

// skipDollar passes a dollar quote ($$…$$, $tag$…$tag$); any other $ is itself.
func skipDollar(text string, i int) int {
	end := i + 1
	for end < len(text) && isWord(text[end]) {
		end++
	}
	if end >= len(text) || text[end] != '$' || end > i+1 && isDigit(text[i+1]) {
		return i + 1
	}
	return after(text, end+1, text[i:end+1])
}

// after is the place behind the next mark at or after i.
func after(text string, i int, mark string) int {
	if k := strings.Index(text[i:], mark); k >= 0 {
		return i + k + len(mark)
	}
	return len(text)
}
