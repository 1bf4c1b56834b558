package cli

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

func TestHistoryThatOneCanActOn(t *testing.T) {
	l := newLake(t)
	csv := []string{"write", "t", "-", "--input-format", "csv", "--key", "id", "--quiet"}
	l.run("id,v\n1,a\n2,b\n", csv...)
	l.ok("id,v\n2,B\n3,c\n", csv...)
	for _, c := range []struct {
		args string
		want string
	}{
		{"diff t --from 1 --to 2 --key id --format csv", "change,id,v\nupdate_before,2,b\nupdate_after,2,B\ninsert,3,c\n"},
		{"diff t --from 1 --to 2 --format ndjson", `{"change":"insert","id":2,"v":"B"}` + "\n" + `{"change":"delete","id":2,"v":"b"}` + "\n" + `{"change":"insert","id":3,"v":"c"}` + "\n"},
		{"diff t --from 2 --to 2 --format json", "[]\n"},
		{"changes t --from 1 --format csv", "change,snapshot,id,v\ndelete,2,2,b\ninsert,2,2,B\ninsert,2,3,c\n"},
		{"changes --from 1 --to 1 --format json", "[]\n"},
		{"changes --from 0 --to 1 --format csv", "change,snapshot,table,id,v\ninsert,1,t,1,a\ninsert,1,t,2,b\n"},
		{"rollback t --to 1 --dry-run --format json", `{"table":"t","from":2,"to":1,"snapshot":3,"inserted":1,"deleted":2,"dry_run":true}` + "\n"},
		{"rollback t --to 1 --expect-head 2 --format json", `{"table":"t","from":2,"to":1,"snapshot":3,"inserted":1,"deleted":2}` + "\n"},
		{"rollback t --to 1", "t: is as at snapshot 1 already\n"},
		{"drop t --yes --format json", `{"dropped":true}` + "\n"},
		{"undrop t --format json", `{"table":"t","snapshot":5}` + "\n"},
		{"query SELECT+*+FROM+t+ORDER+BY+id --format csv", "id,v\n1,a\n2,b\n"},
		{"tag create v1 --at 2 --format json", `{"name":"v1","snapshot":2}` + "\n"},
		{"tag create Now --format csv", "name,snapshot\nNow,5\n"},
		{"tag delete v1 --format json", `{"deleted":true}` + "\n"},
		{"tag delete v1 --format json", `{"deleted":false}` + "\n"},
	} {
		args := strings.Fields(c.args)
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "+", " ")
		}
		if got := l.ok("", args...); got != c.want {
			t.Errorf("%s: got %q, want %q", c.args, got, c.want)
		}
	}
	if got := l.ok("", "tag", "list", "--format", "ndjson"); !strings.HasPrefix(got, `{"name":"Now","snapshot":5,"created":"`) || strings.Count(got, "\n") != 1 {
		t.Errorf("tag list prints %q", got)
	}
	for args, want := range map[string]string{
		"diff t --from 1":                      "2 ",
		"diff t --to 1":                        "2 ",
		"diff --from 1 --to 2":                 "2 ",
		"changes t":                            "2 ",
		"rollback t":                           "2 ",
		"rollback --to 1":                      "2 ",
		"rollback t --to x":                    "2 ",
		"tag":                                  "2 ",
		"tag create":                           "2 ",
		"undrop":                               "2 ",
		"diff t --from 1 --to 2 --key nope":    "1 invalid_argument",
		"diff t --from 1 --to 99":              "1 not_found",
		"diff nope --from 1 --to 2":            "1 not_found",
		"changes t --from 4 --to 2":            "1 invalid_argument",
		"rollback nope --to 1":                 "1 not_found",
		"rollback t --to 0":                    "1 not_found",
		"rollback t --to 1 --expect-head 1":    "1 unavailable",
		"undrop t":                             "1 already_exists",
		"undrop nope":                          "1 not_found",
		"tag create NOW":                       "1 already_exists",
		"tag create a/b":                       "1 invalid_argument",
		"tag create x --at 77":                 "1 not_found",
		"diff t --from 1 --to 2 --super other": "1 not_found",
	} {
		code, out, errs := l.run("", append(strings.Fields(args), "--format", "json")...)
		exit, kind, _ := strings.Cut(want, " ")
		if string(rune('0'+code)) != exit || out != "" || !strings.Contains(errs, kind) {
			t.Errorf("%s: exit %d, %q %q, want %s", args, code, out, errs, want)
		}
	}
}

// TestHistoryLimit: the newest changes, as many as are asked for.
func TestHistoryLimit(t *testing.T) {
	l := newLake(t)
	for _, table := range []string{"a", "b", "a"} {
		l.ok("id\n1\n", "write", table, "-", "--input-format", "csv", "--quiet")
	}
	whole := l.ok("", "history", "--format", "ndjson")
	lines := strings.SplitAfter(strings.TrimSuffix(whole, "\n"), "\n")
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"history", "--limit", "1"}, lines[0]},
		{[]string{"history", "--limit", "2"}, lines[0] + lines[1]},
		{[]string{"history", "--limit", "100"}, whole},
		{[]string{"--limit", "1", "history", "a"}, lines[0]},
	} {
		if got := l.ok("", append(tt.args, "--format", "ndjson")...); strings.TrimSpace(got) != strings.TrimSpace(tt.want) {
			t.Errorf("%v: %s, want %s", tt.args, got, tt.want)
		}
	}
	for _, bad := range []string{"0", "-1", "x", ""} {
		if code, _, _ := l.run("", "history", "--limit", bad); code != exitUsage {
			t.Errorf("--limit %q: exit %d", bad, code)
		}
	}
}

// TestMemoryFlag: the engine gets the memory that is asked for, and needs some.
func TestMemoryFlag(t *testing.T) {
	l := newLake(t)
	l.ok("id\n1\n", "write", "t", "-", "--input-format", "csv", "--quiet", "--memory", "256MB")
	for _, tt := range []struct {
		env  string
		args []string
		want int64
	}{
		{"", []string{"version"}, 0},
		{"", []string{"--memory", "100MiB", "version"}, 100 << 20},
		{"", []string{"version", "--memory=2GB"}, 2e9},
		{"1GiB", []string{"version"}, 1 << 30},
		{"1GiB", []string{"version", "--memory", "2GiB"}, 2 << 30},
	} {
		t.Setenv("SUPERTABLE_MEMORY", tt.env)
		var out bytes.Buffer
		a := &app{stdout: &stdout{w: &out}, stderr: io.Discard}
		root := a.rootCommand()
		root.SetArgs(append(tt.args, "--home", l.home))
		if err := root.ExecuteContext(t.Context()); err != nil || a.lakeOptions().MemoryBytes != tt.want {
			t.Errorf("%q %v: %d, %v; want %d", tt.env, tt.args, a.lakeOptions().MemoryBytes, err, tt.want)
		}
	}
	t.Setenv("SUPERTABLE_MEMORY", "much")
	if code, _, errs := l.run("", "tables"); code != exitUsage || !strings.Contains(errs, "SUPERTABLE_MEMORY") {
		t.Errorf("exit %d, %s", code, errs)
	}
	if code, _, _ := l.run("", "tables", "--memory", "1GB"); code != exitDone {
		t.Errorf("a flag beside a bad environment: exit %d", code)
	}
	if code, _, _ := l.run("", "tables", "--memory", "1MB"); code != exitUsage {
		t.Errorf("too little: exit %d", code)
	}
}
