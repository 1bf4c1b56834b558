package statement

import (
	"strings"
	"testing"
)

// FuzzScan: tokens are in order, within the text, not empty, and between them
// is nothing but space and comments.
func FuzzScan(f *testing.F) {
	for _, text := range []string{"select a.b, 'it''s', E'\\'' from \"x\"\"y\" -- c\n/* a /* b */ */ $1 $x $$ $ $$ $t$ $ $t$ 1.5e-3 .5 1_000", "'", "\"", "/*", "$a$", "e'", "1e", "a$b", "é\u00a0ü"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		last := 0
		for _, tok := range scan(text) {
			if tok.start < last || tok.end <= tok.start || tok.end > len(text) {
				t.Fatalf("%q: token %+v after %d", text, tok, last)
			}
			between := text[last:tok.start]
			for len(between) > 0 {
				n := blank(between)
				if n <= 0 {
					t.Fatalf("%q: %q between tokens", text, between)
				}
				between = between[n:]
			}
			last = tok.end
		}
	})
}

func TestScan(t *testing.T) {
	text := "select a.\"b\"\"c\", 'it''s', E'\\'x', $$ ' $$, $t$ $ $t$, $p, $1, 1.5e-3, .5, `q` -- c\n/* a /* b */ */ <> é_1"
	var got []string
	for _, tok := range scan(text) {
		got = append(got, tok.value)
	}
	want := "select|a|.|b\"c|,|'it''s'|,|E'\\'x'|,|$$ ' $$|,|$t$ $ $t$|,|p|,|1|,|1.5e-3|,|.5|,|q|<|>|é_1"
	if strings.Join(got, "|") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, "|"), want)
	}
	for _, bad := range []string{"a 'x", "a \"x", "a /* /* */", "a $$ x", "a $t$ x $$", "a E'\\'"} {
		if tokens := scan(bad); tokens[len(tokens)-1].kind != tokenBad {
			t.Errorf("%q: no bad token: %+v", bad, tokens)
		}
	}
}

// TestCleanText: spaces that DuckDB turns into one byte are turned before, and
// what stands within quotes stays.
func TestCleanText(t *testing.T) {
	for text, want := range map[string]string{
		"select\u00a0*\u2003from\u3000t":   "select * from t",
		"\ufeffselect '\u00a0' \"\u00a0\"": " select '\u00a0' \"\u00a0\"",
		"a\u00a0b -- \u00a0":               "a b --  ",
	} {
		if got, err := clean(text); err != nil || got != want {
			t.Errorf("clean(%q) = %q, %v; want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"select \xff", "select \x00", strings.Repeat(" ", MaxText+1)} {
		if _, err := clean(text); err == nil {
			t.Errorf("clean(%.20q): no error", text)
		}
	}
}
