package script

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// answer is the small language that testdata/words.txt speaks.
func answer(t *testing.T, c *Case) string {
	t.Helper()
	switch c.Cmd {
	case "echo":
		return c.Input
	case "lines":
		n := 0
		if _, err := fmt.Sscan(c.Value("n", "1"), &n); err != nil {
			t.Fatalf("%s: n: %v", c.Pos, err)
		}
		var out []string
		for i := range n {
			out = append(out, fmt.Sprintf("line %d", i+1))
		}
		return strings.Join(out, "\n\n")
	case "args":
		var out strings.Builder
		for _, a := range c.Args {
			fmt.Fprintf(&out, "%s %v\n", a.Key, a.Values)
		}
		return out.String()
	}
	t.Fatalf("%s: unknown command %q", c.Pos, c.Cmd)
	return ""
}

func TestWords(t *testing.T) {
	Run(t, "testdata/words.txt", answer)
}

func TestUpdateKeepsWhatIsRightAndRewritesTheRest(t *testing.T) {
	right, err := os.ReadFile("testdata/words.txt")
	if err != nil {
		t.Fatal(err)
	}
	*update = true
	defer func() { *update = false }()
	for name, wrong := range map[string]string{
		"nothing to do":    string(right),
		"other text":       strings.ReplaceAll(string(right), "two\n\n", "three\n\n"),
		"no output at all": strings.ReplaceAll(string(right), "----\none\ntwo\n", "----\n"),
	} {
		path := filepath.Join(t.TempDir(), "words.txt")
		if err := os.WriteFile(path, []byte(wrong), 0o644); err != nil {
			t.Fatal(err)
		}
		Run(t, path, answer)
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(right) {
			t.Errorf("%s: after -update:\n%s", name, got)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"echo\none\n":               "f:1: no ---- line after the input",
		"\n# c\necho\n----\n----\n": "f:3: the fenced output does not end with two ---- lines",
	} {
		if _, _, err := parse("f", text); err == nil || err.Error() != want {
			t.Errorf("parse(%q) = %v, want %q", text, err, want)
		}
	}
}
