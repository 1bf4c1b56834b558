package statement

import (
	"strings"
	"unicode/utf8"

	"github.com/supertable-go/supertable/internal/errs"
)

// clean makes of a text one whose every byte stays where it is for DuckDB, and
// which DuckDB parses in good time: it takes Unicode spaces outside quotes for
// blanks, and counts each as one byte; nested comments take it a time that is
// quadratic. So both become blanks before.
func clean(text string) (string, error) {
	switch {
	case len(text) > MaxText:
		return "", errs.New(errs.InvalidArgument, "the statement is longer than %d bytes", MaxText)
	case !utf8.ValidString(text):
		return "", errs.New(errs.InvalidArgument, "the statement is not valid UTF-8")
	case strings.ContainsRune(text, 0):
		return "", errs.New(errs.InvalidArgument, "the statement holds a zero byte")
	}
	if strings.ContainsFunc(text, wideSpace) {
		text = narrow(text)
	}
	tokens := scan(text)
	if len(tokens) > 0 && tokens[len(tokens)-1].kind == tokenBad {
		line, column := position(text, tokens[len(tokens)-1].start)
		return "", errs.New(errs.InvalidArgument, "a quote or comment does not end (line %d, column %d)", line, column)
	}
	if err := sized(tokens); err != nil {
		return "", err
	}
	return uncomment(text, tokens), nil
}

// uncomment blanks comments out; the ends of their lines stay.
func uncomment(text string, tokens []token) string {
	if !strings.Contains(text, "/*") {
		return text
	}
	out := []byte(text)
	last := 0
	for _, t := range tokens {
		blankOut(out[last:t.start])
		last = t.end
	}
	blankOut(out[last:])
	return string(out)
}

func blankOut(b []byte) {
	for i, c := range b {
		if c != '\n' && c != '\r' {
			b[i] = ' '
		}
	}
}

// narrow replaces Unicode spaces by blanks, outside quotes.
func narrow(text string) string {
	var b strings.Builder
	last := 0
	for _, t := range scan(text) {
		b.WriteString(blanks(text[last:t.start]))
		if word := text[t.start:t.end]; t.kind == tokenWord {
			b.WriteString(blanks(word))
		} else {
			b.WriteString(word)
		}
		last = t.end
	}
	b.WriteString(blanks(text[last:]))
	return b.String()
}

func blanks(s string) string {
	return strings.Map(func(r rune) rune {
		if wideSpace(r) {
			return ' '
		}
		return r
	}, s)
}

func wideSpace(r rune) bool {
	return r == 0xA0 || r >= 0x2000 && r <= 0x200F || r == 0x2028 || r == 0x2029 || r == 0x202F || r == 0x205F || r == 0x2060 || r == 0x3000 || r == 0xFEFF
}
