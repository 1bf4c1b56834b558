package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestMaintenanceCommands runs every command of maintenance over one lake and
// holds its JSON.
func TestMaintenanceCommands(t *testing.T) {
	l, dir := newLake(t), t.TempDir()
	for name, text := range map[string]string{"a.csv": "k,v\n1,a\n2,b\n", "b.csv": "k,v\n3,c\n", "gone.csv": "k\n1\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	bytes := regexp.MustCompile(`("bytes_\w+"):[1-9]\d*`)
	files := regexp.MustCompile(`ducklake-[0-9a-f-]{36}(-delete)?`)
	for _, step := range []struct {
		args, want string
		code       int
	}{
		{"compact --format json", `{"error":{"kind":"not_found","message":"SuperTable not found: default/main"}}`, 1},
		{"create --quiet", "", 0},
		{"option set data_inlining_row_limit=0 --quiet", "", 0}, // what is maintained are files
		{"write t " + filepath.Join(dir, "a.csv") + " --key k --quiet --format ndjson", "", 0},
		{"write t " + filepath.Join(dir, "b.csv") + " --key k --quiet --format ndjson", "", 0},
		{"write t " + filepath.Join(dir, "gone.csv") + " --key k --delete --quiet --format ndjson", "", 0},
		{"flush --dry-run --format json", `[{"table":"t","rows":1,"snapshot":4,"dry_run":true}]`, 0},
		{"flush t --format json", `[{"table":"t","rows":1,"snapshot":4}]`, 0},
		{"flush t --format json", `[{"table":"t","rows":0,"snapshot":4}]`, 0},
		{"flush --format json", `[]`, 0},
		{"compact --dry-run --format json", `[{"table":"t","files_before":2,"files_after":1,"bytes_before":N,"bytes_after":N,"snapshot":6,"dry_run":true}]`, 0},
		{"compact --format json", `[{"table":"t","files_before":2,"files_after":1,"bytes_before":N,"bytes_after":N,"snapshot":6}]`, 0},
		{"compact t --format csv", "", 0},
		{"compact none --format json", `{"error":{"kind":"not_found","message":"Table not found: default/main/none"}}`, 1},
		{"maintain --format json", `{"flush":[],"compact":[],"expire":{"expired":[]},"clean":{"removed":[]}}`, 0},
		{"maintain --dry-run", "Nothing to do", 0},
		{"expire --format json", "", 2},
		{"expire --keep-last 0", "", 2},
		{"expire --keep-last few", "", 2},
		{"expire --older-than yesterday", "", 2},
		{"expire --keep-last 3 --older-than 0s --dry-run --format json", `{"expired":[0,1,2,3],"dry_run":true}`, 0},
		{"expire --keep-last 1 --older-than 1w --format json", `{"expired":[]}`, 0},
		{"expire --keep-last 3 --format ndjson", `{"expired":[0,1,2,3]}`, 0},
		{"option set expire_keep_last=1 --format json", `[{"name":"expire_keep_last","value":"1","scope":"super"}]`, 0},
		{"option set t expire_keep_last=1 --format json", `{"error":{"kind":"invalid_argument","message":"option expire_keep_last is the SuperTable's: it cannot be set for one table"}}`, 1},
		{"maintain --dry-run --format json", `{"flush":[],"compact":[],"expire":{"expired":[4,5],"dry_run":true},"clean":{"removed":[],"dry_run":true},"dry_run":true}`, 0},
		{"maintain --format json", `{"flush":[],"compact":[],"expire":{"expired":[4,5]},"clean":{"removed":[]}}`, 0},
		{"clean --grace -1s", "", 2},
		{"clean --format json", `{"removed":[]}`, 0},
		{"clean --grace 0s --dry-run --format json", `{"removed":["main/t/F.parquet","main/t/F.parquet","main/t/F.parquet","main/t/F.parquet"],"dry_run":true}`, 0},
		{"clean --grace 0s", "", 0},
		{"clean --grace 0s --format json", `{"removed":[]}`, 0},
		{"check --deep --format json", `{"ok":true,"findings":[]}`, 0},
	} {
		code, out, errs := l.run("", strings.Fields(step.args)...)
		got := strings.TrimSpace(out)
		if code != 0 && step.code == 1 {
			got = strings.TrimSpace(errs)
		}
		got = files.ReplaceAllString(bytes.ReplaceAllString(got, "$1:N"), "F")
		if code != step.code || step.want != "" && got != step.want {
			t.Errorf("%s: exit %d\n%s\n%s\nwant %d\n%s", step.args, code, got, errs, step.code, step.want)
		}
	}
}

// TestADryRunNamesTheSnapshotsOfARealOne holds it over several tables, each
// with a commit of its own.
func TestADryRunNamesTheSnapshotsOfARealOne(t *testing.T) {
	l := newLake(t)
	for _, table := range []string{"a", "b"} {
		l.ok("k\n1\n", "write", table, "-", "--input-format", "csv")
		l.ok("k\n2\n", "write", table, "-", "--input-format", "csv")
	}
	for _, verb := range []string{"flush", "compact"} {
		foretold := strings.ReplaceAll(l.ok("", verb, "--dry-run", "--format", "json"), `,"dry_run":true`, "")
		done := l.ok("", verb, "--format", "json")
		bytes := regexp.MustCompile(`"bytes_after":\d+`)
		if got, want := bytes.ReplaceAllString(foretold, ""), bytes.ReplaceAllString(done, ""); got != want || got == "[]\n" {
			t.Errorf("%s: foretold %s, done %s", verb, got, want)
		}
		for _, table := range []string{"a", "b"} { // something to compact
			l.ok("k\n3\n", "write", table, "-", "--input-format", "csv")
			l.ok("", "flush", table)
		}
	}
}

// TestMaintainEvery goes on until it is interrupted.
func TestMaintainEvery(t *testing.T) {
	l := newLake(t)
	l.ok("", "create")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var out, errs bytes.Buffer
	lines := &watched{w: &out, want: 3, then: cancel}
	code := Run(ctx, []string{"--home", l.home, "maintain", "--every", "10ms", "--format", "json"}, strings.NewReader(""), lines, &errs)
	if code != 130 || errs.String() != `{"error":{"kind":"cancelled","message":"interrupted, what was done before stays"}}`+"\n" {
		t.Errorf("exit %d, %s", code, errs.String())
	}
	for line := range strings.Lines(out.String()) {
		var r struct{ Flush, Compact []any }
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Errorf("%q: %v", line, err)
		}
	}
	if code, _, _ := l.run("", "maintain", "--every", "0s"); code != 2 {
		t.Errorf("no pause: exit %d", code)
	}
}

// watched calls then after so many writes.
type watched struct {
	w    *bytes.Buffer
	want int
	then func()
}

func (w *watched) Write(p []byte) (int, error) {
	if w.want--; w.want == 0 {
		w.then()
	}
	return w.w.Write(p)
}
