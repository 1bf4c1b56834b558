// Package script runs tests that are written as text: a command, its input,
// and the output that it must give.
//
// A file in testdata holds cases, with a blank line between them:
//
//	# Comments stand in front of a case.
//	compact target=100 keep=(a,b)
//	a 10
//	b 200
//	----
//	a -> 1 file
//
// The first line is the command and its arguments, the lines down to ---- are
// the input, the lines after it the output, up to a blank line. Output that
// holds blank lines itself stands between two pairs of ---- lines. With
// -update the outputs are rewritten from what the code answers, to be
// reviewed as a diff of behaviour.
package script

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the expected outputs of data-driven tests")

const (
	mark  = "----"
	fence = mark + "\n" + mark + "\n"
)

// Case is one command of a file, with what it must answer.
type Case struct {
	Cmd   string // the first word
	Args  []Arg  // the other words, in order
	Input string // the lines before ----, each with its newline
	Want  string // the expected output, as in the file
	Pos   string // file:line of the command

	head string // comments, command and input: what -update keeps
}

// Arg is a word after the command: key, key=value or key=(value,value).
type Arg struct {
	Key    string
	Values []string
}

// Arg returns the values of key, and whether the case has it.
func (c *Case) Arg(key string) ([]string, bool) {
	for _, a := range c.Args {
		if a.Key == key {
			return a.Values, true
		}
	}
	return nil, false
}

// Value returns the single value of key, or def when the case does not have it.
func (c *Case) Value(key, def string) string {
	if v, ok := c.Arg(key); ok {
		return strings.Join(v, ",")
	}
	return def
}

// Run answers every case of the file with f, in order, and compares with the
// expected output; the t given to f is the test's own, so that f may fail it.
func Run(t *testing.T, path string, f func(t *testing.T, c *Case) string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	cases, tail, err := parse(path, string(text))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for i, c := range cases {
		got := f(t, c)
		if got != "" && !strings.HasSuffix(got, "\n") {
			got += "\n"
		}
		if i > 0 {
			out.WriteByte('\n')
		}
		out.WriteString(c.head + format(got))
		if got != c.Want && !*update {
			t.Errorf("%s: %s\ngot:\n%s\nwant:\n%s\n(go test -run '^%s$' -update rewrites it)", c.Pos, c.Cmd, got, c.Want, t.Name())
		}
	}
	out.WriteString(tail)
	if *update && !t.Failed() && out.String() != string(text) {
		if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// format writes an output so that parse reads it back: fenced when it holds a
// blank line or a mark.
func format(got string) string {
	for line := range strings.Lines(got) {
		if line == "\n" || line == mark+"\n" {
			return fence + got + fence
		}
	}
	return mark + "\n" + got
}

// parse cuts text into cases; tail is what follows the last one.
func parse(path, text string) (cases []*Case, tail string, err error) {
	lines := strings.SplitAfter(text, "\n")
	if last := len(lines) - 1; lines[last] == "" {
		lines = lines[:last]
	}
	for i := 0; i < len(lines); {
		c := &Case{}
		for ; i < len(lines) && (blank(lines[i]) || strings.HasPrefix(lines[i], "#")); i++ {
			if c.head != "" || !blank(lines[i]) {
				c.head += lines[i] // blank lines before the first comment are put back by Run
			}
		}
		if i == len(lines) {
			if c.head != "" {
				tail = "\n" + c.head
			}
			return cases, tail, nil
		}
		c.Pos = fmt.Sprintf("%s:%d", path, i+1)
		words := strings.Fields(lines[i])
		c.Cmd, c.Args = words[0], args(words[1:])
		c.head += lines[i]
		for i++; i < len(lines) && lines[i] != mark+"\n"; i++ {
			c.head += lines[i]
			c.Input += lines[i]
		}
		if i == len(lines) {
			return nil, "", fmt.Errorf("%s: no %s line after the input", c.Pos, mark)
		}
		i++
		if i < len(lines) && lines[i] == mark+"\n" {
			for i++; ; i++ {
				if i+1 >= len(lines) {
					return nil, "", fmt.Errorf("%s: the fenced output does not end with two %s lines", c.Pos, mark)
				}
				if lines[i]+lines[i+1] == fence {
					i += 2
					break
				}
				c.Want += lines[i]
			}
		} else {
			for ; i < len(lines) && !blank(lines[i]); i++ {
				c.Want += lines[i]
			}
		}
		cases = append(cases, c)
	}
	return cases, "", nil
}

func blank(line string) bool { return strings.TrimSpace(line) == "" }

// args reads words like key, key=value and key=(a,b).
func args(words []string) []Arg {
	var out []Arg
	for _, w := range words {
		key, value, ok := strings.Cut(w, "=")
		a := Arg{Key: key}
		if inner, list := strings.CutPrefix(value, "("); list && strings.HasSuffix(inner, ")") {
			a.Values = strings.Split(strings.TrimSuffix(inner, ")"), ",")
		} else if ok {
			a.Values = []string{value}
		}
		out = append(out, a)
	}
	return out
}
