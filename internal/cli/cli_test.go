package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/cobra"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/script"
)

// run calls the program with a home of the test's own.
func run(t testing.TB, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	t.Setenv("SUPERTABLE_HOME", filepath.Join(t.TempDir(), "home"))
	var out, errs bytes.Buffer
	code = Run(t.Context(), args, strings.NewReader(stdin), &out, &errs)
	return code, out.String(), errs.String()
}

// TestUsage runs calls that never reach a lake: each line of a case is one argument.
func TestUsage(t *testing.T) {
	script.Run(t, "testdata/usage.txt", func(t *testing.T, c *script.Case) string {
		var args []string
		for line := range strings.Lines(c.Input) {
			arg, err := strconv.Unquote(strings.TrimSpace(line))
			if err != nil {
				arg = strings.TrimSuffix(line, "\n")
			}
			args = append(args, arg)
		}
		code, out, errs := run(t, "", args...)
		if out != "" {
			out = "stdout: " + out
		}
		return out + errs + "exit " + strconv.Itoa(code) + "\n"
	})
}

func TestUsageErrorsAreOneLineOrJSON(t *testing.T) {
	for _, args := range [][]string{
		{"frobnicate"},
		{"query"},
		{"query", "select 1", "--no-such-flag"},
		{"write"},
		{"write", "t"},
		{"schema"},
		{"query", "select 1", "--at-version", "three"},
		{"query", "a", "b"},
		{"drop", "t"},
		{"help", "nope"},
		{"alter", "t", "sing"},
		{"option"},
		{"option", "x"},
		{"write", "t", "a\nb", "--delete"},
	} {
		code, out, errs := run(t, "", args...)
		if code != exitUsage || out != "" || strings.Count(errs, "\n") != 1 || !strings.HasPrefix(errs, "supertable: ") {
			t.Errorf("%q: exit %d, stdout %q, stderr %q", args, code, out, errs)
		}
		for _, asked := range [][]string{{"--format", "json"}, {"--format=json"}} {
			code, _, errs := run(t, "", append(asked, args...)...)
			var doc struct {
				Error struct{ Kind, Message string }
			}
			if err := json.Unmarshal([]byte(errs), &doc); err != nil || code != exitUsage {
				t.Errorf("%q: exit %d, stderr %q: %v", args, code, errs, err)
			}
			if doc.Error.Kind != "invalid_argument" || doc.Error.Message == "" || strings.Contains(doc.Error.Message, "\n") {
				t.Errorf("%q: %+v", args, doc.Error)
			}
		}
	}
}

func TestTextThatBeginsWithACommentIsNoFlag(t *testing.T) {
	for _, text := range []string{"-- a\nselect 1", "--\nselect 1", "--\tx"} {
		if code, _, errs := run(t, "", "query", text); code == exitUsage {
			t.Errorf("%q: %s", text, errs)
		}
	}
}

func TestUnknownFormatIsOneLineOfText(t *testing.T) {
	code, _, errs := run(t, "", "tables", "--format", "yaml")
	if code != exitUsage || !strings.HasPrefix(errs, `supertable: unknown --format "yaml"`) {
		t.Errorf("exit %d, %q", code, errs)
	}
}

// TestEveryCommandIsExplained holds that each command has a text and an example that runs the program.
func TestEveryCommandIsExplained(t *testing.T) {
	a := &app{stdout: &stdout{w: io.Discard}, stderr: io.Discard}
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Short == "" || c.Long == "" || !strings.Contains(c.Example, "supertable") {
			t.Errorf("%s: Short %q, Long %q, Example %q", c.CommandPath(), c.Short, c.Long, c.Example)
		}
		code, out, errs := run(t, "", append([]string{"help"}, strings.Fields(c.CommandPath())[1:]...)...)
		if code != exitDone || errs != "" || !strings.Contains(out, c.Example) {
			t.Errorf("help %s: exit %d, stderr %q", c.CommandPath(), code, errs)
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(a.rootCommand())
}

func TestHelpVersionCompletion(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "Available Commands"},
		{[]string{"--help"}, "Available Commands"},
		{[]string{"write", "-h"}, "--newer-than"},
		{[]string{"version"}, "supertable dev"},
		{[]string{"--version"}, "supertable dev"},
		{[]string{"version", "--format", "json"}, `{"version":"dev",`},
		{[]string{"completion", "bash"}, "supertable"},
		{[]string{"completion", "zsh"}, "#compdef supertable"},
		{[]string{"completion", "fish"}, "complete -c supertable"},
	} {
		code, out, errs := run(t, "", c.args...)
		if code != exitDone || errs != "" || !strings.Contains(out, c.want) {
			t.Errorf("%q: exit %d, stderr %q, stdout %.200q", c.args, code, errs, out)
		}
	}
}

func TestGlobalFlagsBeatTheEnvironment(t *testing.T) {
	t.Setenv("SUPERTABLE_HOME", "/env/home")
	t.Setenv("SUPERTABLE_ORGANIZATION", "envorg")
	t.Setenv("SUPERTABLE_SUPER", "")
	t.Setenv("SUPERTABLE_USER", "envuser")
	for _, args := range [][]string{
		{"--org", "acme", "tables", "--user", "u"},
		{"tables", "--user", "u", "--org=acme"},
	} {
		a := &app{stdin: strings.NewReader(""), stdout: &stdout{w: io.Discard}, stderr: io.Discard}
		root := a.rootCommand()
		root.SetArgs(args)
		for _, c := range root.Commands() {
			c.RunE = func(*cobra.Command, []string) error { return nil }
		}
		if err := root.ExecuteContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := []string{a.flags.home, a.flags.org, a.flags.super, a.flags.user}
		if want := "/env/home acme main u"; strings.Join(got, " ") != want {
			t.Errorf("%q: got %q, want %q", args, got, want)
		}
	}
}

func TestHomeDefaultsToTheUsersOwn(t *testing.T) {
	t.Setenv("SUPERTABLE_HOME", "")
	t.Setenv("HOME", "/home/somebody")
	a := &app{stdout: &stdout{w: io.Discard}, stderr: io.Discard}
	root := a.rootCommand()
	root.SetArgs([]string{"version"})
	if err := root.ExecuteContext(t.Context()); err != nil || a.flags.home != "/home/somebody/supertable" {
		t.Errorf("home is %q (%v)", a.flags.home, err)
	}
}

func TestReportIsOneLine(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"a\nb\r\n  c", "a b c"}, {"red \x1b[31m", "red [31m"}, {"bad \xff byte", "bad \ufffd byte"}, {"  x ", "x"},
	} {
		if got := oneLine(c.in); got != c.want {
			t.Errorf("%q: got %q, want %q", c.in, got, c.want)
		}
	}
}

func TestErrorsCarryTheirKind(t *testing.T) {
	for _, c := range []struct {
		err  error
		want supertable.ErrorKind
	}{
		{failf(supertable.Quality, "x"), supertable.Quality},
		{&usageError{message: "x"}, supertable.InvalidArgument},
		{fileError("f", &fs.PathError{Err: syscall.ENOENT}), supertable.NotFound},
		{fileError("f", &fs.PathError{Err: syscall.ENOSPC}), supertable.Unavailable},
		{fileError("f", &fs.PathError{Err: syscall.EACCES}), supertable.InvalidArgument},
	} {
		if got := supertable.KindOf(c.err); got != c.want {
			t.Errorf("%v: kind %s, want %s", c.err, got, c.want)
		}
	}
}

func TestInterruptIsExit130(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	pr, pw := io.Pipe() // a standard input that never ends
	defer pw.Close()
	go cancel()
	var out, errs bytes.Buffer
	code := Run(ctx, []string{"query", "-f", "-", "--home", t.TempDir()}, pr, &out, &errs)
	if code != exitInterrupted || out.Len() != 0 || strings.Count(errs.String(), "\n") != 1 {
		t.Errorf("exit %d, stdout %q, stderr %q", code, out.String(), errs.String())
	}
}

// brokenPipe is a reader that went away.
type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) {
	return 0, &os.PathError{Op: "write", Err: syscall.EPIPE}
}

func TestBrokenPipeEndsQuietly(t *testing.T) {
	for _, args := range [][]string{{"version"}, {"version", "--format", "json"}} {
		var errs bytes.Buffer
		if code := Run(t.Context(), args, strings.NewReader(""), brokenPipe{}, &errs); code != exitDone || errs.Len() != 0 {
			t.Errorf("%q: exit %d, stderr %q", args, code, errs.String())
		}
	}
	for _, format := range rowFormats {
		a := &app{stdout: &stdout{w: brokenPipe{}}, flags: globalFlags{format: format}}
		for _, f := range numberFixtures(t)[:4] {
			err := a.result(func(w io.Writer) error { return copyRows(format, w, f.source()) })
			if !errors.Is(err, syscall.EPIPE) || !a.stdout.broken {
				t.Errorf("%s: got %v, want EPIPE remembered", format, err)
			}
		}
	}
}
