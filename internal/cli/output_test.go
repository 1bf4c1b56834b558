package cli

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
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

// TestABadTargetStopsBeforeTheChange: a script that tries again must not do a
// change twice, and nothing is left of a target whose command failed.
func TestABadTargetStopsBeforeTheChange(t *testing.T) {
	l, dir := newLake(t), t.TempDir()
	file := l.file("a.csv", "id\n1\n")
	l.ok("", "write", "t", file)
	l.ok("", "write", "gone", file)
	l.ok("", "drop", "gone", "--yes")
	state := func() string {
		return l.ok("", "history") + l.ok("", "tables") + l.ok("", "stage", "list") + l.ok("", "role", "list") + l.ok("", "option", "list") + l.ok("", "tag", "list")
	}
	before := state()
	for _, command := range []string{
		"write t " + file, "write new " + file, "stage put in " + file, "drop t --yes", "drop-super --yes", "undrop gone", "alter t add x int", "flush", "compact",
		"expire --keep-last 1", "clean --grace 0s", "maintain", "rollback t --to 1", "tag create x", "option set clean_grace=5", "role create " + file, "create",
	} {
		for target, kind := range map[string]string{filepath.Join(dir, "none", "x"): "not_found", dir: "invalid_argument"} {
			code, out, errs := l.run("", append(strings.Fields(command), "-o", target, "--format", "json")...)
			if code != exitFailed || out != "" || !strings.Contains(errs, `"`+kind+`"`) {
				t.Errorf("%s -o %s: exit %d, stdout %q, stderr %q", command, target, code, out, errs)
			}
		}
	}
	if after := state(); after != before {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
	for _, command := range []string{"query nope", "write 9lives " + file, "query x --limit 0", "tables --super none", "drop t", "rollback t --to 99"} {
		if code, _, _ := l.run("", append(strings.Fields(command), "-o", filepath.Join(dir, "out"))...); code == exitDone || names(t, dir) != "" {
			t.Errorf("%s: exit %d, files %q", command, code, names(t, dir))
		}
	}
	if l.ok("", "completion", "bash", "-o", filepath.Join(dir, "out")); names(t, dir) != "out" {
		t.Errorf("files %q", names(t, dir))
	}
	if code, _, errs := l.run("", "pipe", "watch", "-o", filepath.Join(dir, "out2")); code != exitUsage || names(t, dir) != "out" {
		t.Errorf("pipe watch -o: exit %d, %s", code, errs)
	}
}

// fullDisk takes nothing.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) {
	return 0, &os.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.ENOSPC}
}

// TestAResultThatCannotBeWritten: the error says whether something was changed.
func TestAResultThatCannotBeWritten(t *testing.T) {
	l := newLake(t)
	file := l.file("a.csv", "id\n1\n")
	l.ok("", "create")
	const lost = "the change was made, but its result could not be written: "
	for _, c := range []struct{ args, want string }{
		{"write t " + file + " --write-id w", lost},
		{"write t " + file + " --write-id w", ""}, // not written again
		{"stage put in " + file, lost},
		{"stage load in --into u", lost},
		{"alter t add x int", lost},
		{"option set t target_file_size=1048576", lost},
		{"tag create x", lost},
		{"flush --dry-run", ""},
		{"flush", lost},
		{"flush", ""},
		{"rollback t --to 1 --dry-run", ""},
		{"rollback t --to 1", lost},
		{"drop t --yes", lost},
		{"drop t --yes --if-exists", ""},
		{"undrop t", lost},
		{"query x", ""},
		{"changes t --from 0", ""},
		{"tables", ""},
		{"meta", ""},
		{"create", ""},
		{"drop-super --yes", lost},
	} {
		args := append(strings.Fields(c.args), "--format", "json", "--home", l.home, "--quiet")
		if strings.HasPrefix(c.args, "query") {
			args[1] = "select range from range(100000)" // more than is held back
		}
		var errs strings.Builder
		code := Run(t.Context(), args, strings.NewReader(""), fullDisk{}, &errs)
		want := `{"error":{"kind":"unavailable","message":"` + c.want + `standard output: no space left on device"}}` + "\n"
		if code != exitFailed || errs.String() != want {
			t.Errorf("%s: exit %d, %s", c.args, code, errs.String())
		}
	}
}

// TestTheSuffixNamesTheForm: without --format, and only where the command has
// that form; an error stays a line of text.
func TestTheSuffixNamesTheForm(t *testing.T) {
	l, dir := newLake(t), t.TempDir()
	l.ok("id\n1\n", "write", "t", "-", "--input-format", "csv")
	for _, c := range []struct{ command, file, begins string }{
		{"query 'FROM t'", "a.csv", "id\n"},
		{"query 'FROM t'", "a.CSV", "id\n"},
		{"query 'FROM t'", "a.json", `[{"id":1}`},
		{"query 'FROM t'", "a.jsonl", `{"id":1}` + "\n"},
		{"query 'FROM t'", "a.ndjson", `{"id":1}` + "\n"},
		{"query 'FROM t'", "a.parquet", "PAR1"},
		{"query 'FROM t'", "a.arrow", "\xff\xff\xff\xff"},
		{"query 'FROM t'", "a.txt", "┌"},
		{"query 'FROM t'", "csv", "┌"},
		{"query 'FROM t' --format csv", "b.json", "id\n"},
		{"query 'FROM t' --format table", "b.csv", "┌"},
		{"tables", "t.json", `[{"name":"t"`},
		{"tables", "t.csv", "name,"},
		{"tables", "t.parquet", "┌"},
		{"create", "c.json", `{"organization"`},
	} {
		name := filepath.Join(dir, c.file)
		var args []string
		for i, quoted := range strings.Split(c.command, "'") {
			if i%2 == 1 {
				args = append(args, quoted)
			} else {
				args = append(args, strings.Fields(quoted)...)
			}
		}
		l.ok("", append(args, "-o", name)...)
		if got, err := os.ReadFile(name); err != nil || !bytes.HasPrefix(got, []byte(c.begins)) {
			t.Errorf("%s -o %s begins %.20q (%v), want %q", c.command, c.file, got, err, c.begins)
		}
	}
	if _, _, errs := l.run("", "query", "FROM nope", "-o", filepath.Join(dir, "e.json")); !strings.HasPrefix(errs, "supertable: ") {
		t.Errorf("an error: %s", errs)
	}
}
