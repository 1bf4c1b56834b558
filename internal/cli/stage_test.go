package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// vary are the parts of staged files that differ from run to run.
var vary = regexp.MustCompile(`\b[0-9]{17}_|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z|[0-9a-f]{64}`)

func stable(s string) string { return vary.ReplaceAllString(s, "…") }

func (l *lake) file(name, text string) string {
	l.t.Helper()
	path := filepath.Join(l.t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		l.t.Fatal(err)
	}
	return path
}

// TestStageCommands drives the contract: shapes, exit codes, kinds.
func TestStageCommands(t *testing.T) {
	l := newLake(t)
	for _, args := range []string{"stage list", "stage tree", "stage show a f", "stage rm a f", "stage load a --into t", "pipe list", "pipe run p", "stage get a f"} {
		if code, _, errs := l.run("", append(strings.Fields(args), "--format", "json")...); code != exitFailed || !strings.Contains(errs, `"not_found"`) {
			t.Errorf("%s on nothing: exit %d, %s", args, code, errs)
		}
	}
	if _, err := os.Stat(l.home); err == nil {
		t.Fatal("a read made the home")
	}
	csv, bad := l.file("a.csv", "id,v\n1,x\n2,\n"), l.file("bad.parquet", "garbage")
	for _, args := range [][]string{{"stage", "put", "no/area", csv}, {"stage", "put", "in", csv, filepath.Join(l.home, "none.csv")}} {
		if code, _, _ := l.run("", args...); code != exitFailed {
			t.Errorf("%q: exit %d", args, code)
		}
	}
	if _, err := os.Stat(l.home); err == nil {
		t.Fatal("a refused put made the home")
	}
	code, out, errs := l.run("", "stage", "put", "in", csv, "--format", "json")
	if want := `[{"area":"in","file":"…a.csv","rows":2,"bytes":12,"sha256":"…","status":"staged","created":"…"}]` + "\n"; code != exitDone || stable(out) != want || errs != "supertable: created SuperTable main\n" {
		t.Errorf("put: exit %d, %s%s", code, out, errs)
	}
	if code, out, errs := l.run("", "stage", "put", "in", bad, csv, "--format", "json"); code != exitFailed || out != "" || !strings.Contains(errs, `"kind":"invalid_argument","message":"bad.parquet`) {
		t.Errorf("a bad file: exit %d, %s%s", code, out, errs)
	}
	l.ok(`{"id":3}`, "stage", "put", "in", "-", "--input-format", "ndjson", "--name", "b.json")
	for _, c := range []struct{ args, want string }{
		{"stage tree", `{"in":{"…a.csv":null,"…b.json":null}}`},
		{"stage show in a.csv --rows 1", `{"area":"in","file":"…a.csv","rows":2,"columns":[{"name":"id","type":"BIGINT"},{"name":"v","type":"VARCHAR"}],"preview":[{"id":1,"v":"x"}]}`},
		{"stage show in b.json --rows 0", `{"area":"in","file":"…b.json","rows":1,"columns":[{"name":"id","type":"BIGINT"}],"preview":[]}`},
		{"stage load in --into t --key id", `[{"file":"…a.csv","status":"loaded","reason":null,"table":"t","inserted":2,"deleted":0,"snapshot":1},` + "\n" + `{"file":"…b.json","status":"loaded","reason":null,"table":"t","inserted":1,"deleted":0,"snapshot":2}]`},
		{"stage load in --into t --key id", `[]`},
		{"stage load in a.csv --into t --key id", `[{"file":"…a.csv","status":"loaded","reason":"these bytes were loaded into the table before","table":"t","inserted":0,"deleted":0,"snapshot":1}]`},
		{"stage load in a.csv --into t --key id --again", `[{"file":"…a.csv","status":"loaded","reason":null,"table":"t","inserted":2,"deleted":2,"snapshot":3}]`},
		{"stage rm in b.json", `{"deleted":true}`},
		{"stage rm in b.json", `{"deleted":false}`},
		{"stage list other", `[]`},
	} {
		if got := stable(l.ok("", append(strings.Fields(c.args), "--format", "json")...)); got != c.want+"\n" {
			t.Errorf("%s:\ngot  %swant %s", c.args, got, c.want)
		}
	}
	back := filepath.Join(t.TempDir(), "back.csv")
	if out := l.ok("", "stage", "get", "in", "a.csv", "-o", back); out != "" {
		t.Errorf("get prints %q", out)
	}
	if text, err := os.ReadFile(back); err != nil || string(text) != "id,v\n1,x\n2,\n" {
		t.Errorf("got %q, %v", text, err)
	}
	if got := l.ok("", "stage", "get", "in", "a.csv"); got != "id,v\n1,x\n2,\n" {
		t.Errorf("get prints %q", got)
	}
	if code, _, _ := l.run("", "stage", "get", "in", "none", "-o", back+"2"); code != exitFailed {
		t.Errorf("get of nothing: exit %d", code)
	}
	if _, err := os.Stat(back + "2"); err == nil {
		t.Error("a failed get made its file")
	}
	for _, c := range []struct{ args, want string }{
		{"stage tree", "in/\n  …a.csv\n"}, {"stage tree --format csv", "area,file\nin,…a.csv\n"}, {"stage show in a.csv --format csv", "id,v\n1,x\n2,\n"},
	} {
		if got := stable(l.ok("", strings.Fields(c.args)...)); got != c.want {
			t.Errorf("%s: %q", c.args, got)
		}
	}
	for _, args := range []string{
		"stage", "stage nix", "stage put in", "stage put", "stage load in", "stage load --into t", "stage load in a b --into t", "stage show in", "stage rm in", "stage tree x",
		"stage load in --into t --newer-than v", "stage put in - x", "stage put in -", "stage put in x --input-format y", "stage load in --into t --compression-level 99", "stage show in f --rows -1",
		"stage put in a b --name c", "pipe", "pipe create", "pipe run", "pipe delete", "pipe watch a b", "pipe watch --every x", "pipe list x",
	} {
		if code, _, errs := l.run("", strings.Fields(args)...); code != exitUsage {
			t.Errorf("%s: exit %d, %s", args, code, errs)
		}
	}
	l.dropAll()
}

// TestALoadThatFails prints what it did before and exits with the error.
func TestALoadThatFails(t *testing.T) {
	l := newLake(t)
	l.ok("", "stage", "put", "in", l.file("a.csv", "id\n1\n"), l.file("b.csv", "id\nx\n"), l.file("c.csv", "id\n3\n"))
	code, out, errs := l.run("", "stage", "load", "in", "--into", "t", "--format", "json")
	var rows []struct{ File, Status, Reason string }
	if err := json.Unmarshal([]byte(out), &rows); err != nil || code != exitFailed || len(rows) != 2 || rows[1].Status != "staged" || rows[1].Reason == "" {
		t.Errorf("exit %d, %s", code, out)
	}
	if !strings.Contains(errs, `"kind":"type_conflict"`) {
		t.Error(errs)
	}
}

// TestPipeCommands drives pipes through the contract.
func TestPipeCommands(t *testing.T) {
	l := newLake(t)
	l.ok("", "create")
	def := `{"name":"p","area":"in","table":"t","key":["id"],"newer_than":null,"columns":{"ID":"id"},"checks":[{"not_null":["id"]},{"expr":"v < 9"}],"enabled":true}`
	if got := l.ok(def, "pipe", "create", "-", "--format", "json"); got != `{"name":"p"}`+"\n" {
		t.Errorf("create: %s", got)
	}
	if got := l.ok("", "pipe", "list", "--format", "json"); got != "["+def+"]\n" {
		t.Errorf("list: %s", got)
	}
	for text, kind := range map[string]string{def: "already_exists", `{"name":"q"}`: "invalid_argument", `{"x":1}`: "invalid_argument", "": "invalid_argument"} {
		if code, _, errs := l.run(text, "pipe", "create", "-", "--format", "json"); code != exitFailed || !strings.Contains(errs, `"`+kind+`"`) {
			t.Errorf("%s: exit %d, %s", text, code, errs)
		}
	}
	l.ok("", "stage", "put", "in", l.file("a.csv", "ID,v\n1,1\n"), l.file("b.csv", "ID,v\n2,10\n"))
	want := `[{"file":"…a.csv","status":"loaded","reason":null,"table":"t","inserted":1,"deleted":0,"snapshot":1},` + "\n" +
		`{"file":"…b.csv","status":"quarantined","reason":"v < 9: false for 1 row","table":"t","inserted":0,"deleted":0,"snapshot":null}]` + "\n"
	if got := stable(l.ok("", "pipe", "run", "p", "--format", "json")); got != want {
		t.Errorf("run: %s", got)
	}
	if got := l.ok("", "pipe", "run", "p", "--format", "json"); got != "[]\n" {
		t.Errorf("run again: %s", got)
	}
	if got := stable(l.ok("", "stage", "history", "in", "--format", "csv")); strings.Count(got, "\n") != 3 || !strings.Contains(got, "v < 9: false for 1 row") {
		t.Errorf("history: %s", got)
	}
	for format, want := range map[string]string{"json": `"snapshot":null,`, "ndjson": `"snapshot":null,`, "csv": ",0,0,,superuser\n"} { // of the quarantined one
		if got := l.ok("", "stage", "history", "in", "--format", format); strings.Count(got, want) != 1 {
			t.Errorf("history as %s: %s", format, got)
		}
	}
	l.ok("", "pipe", "disable", "p")
	if code, _, _ := l.run("", "pipe", "run", "p"); code != exitFailed {
		t.Errorf("a disabled pipe: exit %d", code)
	}
	if got := l.ok("", "pipe", "enable", "p", "--format", "json"); got != `{"name":"p","enabled":true}`+"\n" {
		t.Errorf("enable: %s", got)
	}
	l.watch()
	for _, want := range []string{"true", "false"} {
		if got := l.ok("", "pipe", "delete", "p", "--format", "json"); got != `{"deleted":`+want+`}`+"\n" {
			t.Errorf("delete: %s", got)
		}
	}
}

// watch runs pipe watch until a file that arrives is loaded, then interrupts it.
func (l *lake) watch() {
	l.t.Helper()
	ctx, cancel := context.WithCancel(l.t.Context())
	defer cancel()
	out := &lines{line: make(chan string, 10)}
	var errs bytes.Buffer
	done := make(chan int, 1)
	go func() {
		done <- Run(ctx, []string{"--home", l.home, "pipe", "watch", "p", "--every", "20ms", "--format", "ndjson"}, strings.NewReader(""), out, &errs)
	}()
	l.ok("", "stage", "put", "in", l.file("c.csv", "ID,v\n3,1\n"))
	select {
	case got := <-out.line:
		if want := `{"file":"…c.csv","status":"loaded","reason":null,"table":"t","inserted":1,"deleted":0,"snapshot":2}` + "\n"; stable(got) != want {
			l.t.Errorf("watch: %s", got)
		}
	case <-time.After(30 * time.Second):
		l.t.Error("watch said nothing")
	}
	cancel()
	if code := <-done; code != exitInterrupted || errs.String() != "supertable: interrupted, what was done before stays\n" {
		l.t.Errorf("watch: exit %d, %s", code, errs.String())
	}
}

// lines hands on what is written.
type lines struct{ line chan string }

func (l *lines) Write(p []byte) (int, error) {
	l.line <- string(slices.Clone(p))
	return len(p), nil
}
