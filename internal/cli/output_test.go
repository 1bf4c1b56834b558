package cli

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func names(t *testing.T, dir string) string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range list {
		out = append(out, e.Name())
	}
	return strings.Join(out, " ")
}

func TestOutputFileIsWholeOrNotThere(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "out.csv")
	var out bytes.Buffer
	a := &app{stdout: &stdout{w: &out}, flags: globalFlags{output: file}}
	broken := errors.New("broken")
	fail := func(w io.Writer) error {
		writeString(w, strings.Repeat("x", 2*outputBuffer)) // more than is held back
		return broken
	}
	if err := a.result(fail); !errors.Is(err, broken) || names(t, dir) != "" {
		t.Errorf("after a failure: %v, files %q", err, names(t, dir))
	}
	ok := func(w io.Writer) error { writeString(w, "first"); return nil }
	if err := a.result(ok); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := a.result(fail); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil || string(text) != "first" || names(t, dir) != "out.csv" || out.Len() != 0 {
		t.Errorf("got %q (%v), files %q, stdout %q", text, err, names(t, dir), out.String())
	}
	if err := a.result(func(w io.Writer) error { writeString(w, "second"); return nil }); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v (%v), want the old one", info.Mode(), err)
	}
}

func TestOutputThroughALinkReplacesTheFile(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := os.WriteFile(file, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	a := &app{stdout: &stdout{w: io.Discard}, flags: globalFlags{output: link}}
	if err := a.result(func(w io.Writer) error { writeString(w, "new"); return nil }); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(file); string(text) != "new" {
		t.Errorf("the file holds %q", text)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Error("the link is gone")
	}
}

func TestOutputPlaces(t *testing.T) {
	for _, c := range []struct {
		name string
		ok   bool
	}{
		{os.DevNull, true}, {t.TempDir(), false}, {filepath.Join(t.TempDir(), "no", "such", "folder"), false},
	} {
		a := &app{stdout: &stdout{w: io.Discard}, flags: globalFlags{output: c.name}}
		err := a.result(func(w io.Writer) error { writeString(w, "x"); return nil })
		if (err == nil) != c.ok {
			t.Errorf("-o %s: %v", c.name, err)
		}
	}
}

func TestResultThatFailsEarlyPrintsNothing(t *testing.T) {
	var out bytes.Buffer
	a := &app{stdout: &stdout{w: &out}}
	err := a.result(func(w io.Writer) error { writeString(w, "half"); return io.ErrUnexpectedEOF })
	if err == nil || out.Len() != 0 {
		t.Errorf("%v, printed %q", err, out.String())
	}
}
