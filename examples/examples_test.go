package examples_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/supertable-go/supertable/examples/defaults"
	"github.com/supertable-go/supertable/examples/dummydata"
	"github.com/supertable-go/supertable/internal/script"
	"github.com/supertable-go/supertable/internal/testdb"
)

// What differs from run to run: seconds, and sizes of compressed files.
var varies = regexp.MustCompile(`("?)(META|PARSING|FILTERING|CONNECTING|CREATING_REFLECTION|EXECUTING_QUERY|EXTENDING_PLAN|TOTAL_EXECUTE|TABLE_SIZE|REFLECTION_SIZE|size|updated_utc|last_updated_ms)("?):[0-9.e+-]+`)

// seconds are what a program measured.
var seconds = regexp.MustCompile(`[0-9.]+ seconds`)

// stamp is the time in the name of a staged file.
var stamp = regexp.MustCompile(`\b[0-9]{17}_`)

// TestExamples runs the programs as testdata/run.txt lists them.
func TestExamples(t *testing.T) {
	bin := build(t)
	home := t.TempDir()
	script.Run(t, "testdata/run.txt", func(t *testing.T, c *script.Case) string {
		t.Helper()
		if c.Cmd == "check" { // the lake, as every other test leaves it
			db := testdb.At(t, home, nil)
			st, err := db.SuperTable(t.Context(), defaults.Organization, defaults.Super)
			if err == nil {
				err = testdb.CheckSuper(t.Context(), st)
			}
			return fmt.Sprintln(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, bin, c.Cmd)
		cmd.Env = append(os.Environ(), "SUPERTABLE_HOME="+home)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			return string(out) + fmt.Sprintln(err)
		}
		return shorten(c, string(out))
	})
}

// shorten takes out what differs; with rows it leaves the rows out too, where
// no order says which they are.
func shorten(c *script.Case, out string) string {
	out = varies.ReplaceAllString(out, "$1$2$3:…")
	out = stamp.ReplaceAllString(out, "…_")
	out = seconds.ReplaceAllString(out, "… seconds")
	if _, ok := c.Arg("counts"); !ok {
		return out
	}
	parts := regexp.MustCompile(`(?m)^-+\n`).Split(out, -1)
	head, _, _ := strings.Cut(parts[1], "\n")
	return head + "\n" + parts[2]
}

// build makes one program out of all of them, since each holds the whole
// engine: as they stand, but with a function Main of a package each, and a main
// that calls the one that it is asked for. None of it is written into the tree.
func build(t *testing.T) string {
	t.Helper()
	mains, err := filepath.Glob("*/main.go")
	if err != nil || len(mains) == 0 {
		t.Fatal("no programs", err)
	}
	dir := t.TempDir()
	virtual := map[string]string{}
	add := func(path, text string) {
		real := filepath.Join(dir, strings.ReplaceAll(path, "/", "_"))
		if err := os.WriteFile(real, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		abs, err := filepath.Abs(path)
		if err != nil {
			t.Fatal(err)
		}
		virtual[abs] = real
	}
	all := "package main\n\nimport (\n\t\"os\"\n"
	calls := "var programs = map[string]func(){\n"
	for _, path := range mains {
		name := filepath.Dir(path)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), "\n"); n >= 60 {
			t.Errorf("%s has %d lines: an example is under 60", path, n)
		}
		once := strings.NewReplacer("\npackage main\n", "\npackage "+name+"\n", "\nfunc main() {", "\nfunc Main() {")
		add("all/"+path, once.Replace("\n"+string(text)))
		all += fmt.Sprintf("\t%q\n", "github.com/supertable-go/supertable/examples/all/"+name)
		calls += fmt.Sprintf("\t%q: %s.Main,\n", name, name)
	}
	add("all/main.go", all+")\n\n"+calls+"}\n\nfunc main() { programs[os.Args[1]]() }\n")
	overlay, err := json.Marshal(map[string]any{"Replace": virtual})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(dir, "examples")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-ldflags=-s -w", "-overlay", filepath.Join(dir, "overlay.json"), "-o", bin, "./all")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return bin
}

func TestUnknownDemoTable(t *testing.T) {
	_, err := dummydata.Rows(8)
	if err == nil || err.Error() != "Unknown ds code: 8" {
		t.Errorf("table 8: %v", err)
	}
}
