package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// rowsOf decodes what --format json printed.
func rowsOf(t *testing.T, out string) []map[string]any {
	t.Helper()
	var rows []map[string]any
	if err := json.Unmarshal([]byte(out), &rows); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	return rows
}

func TestMonitorCommands(t *testing.T) {
	l := newLake(t)
	file := filepath.Join(t.TempDir(), "records.ndjson")
	var b strings.Builder
	for i := range 1001 {
		fmt.Fprintf(&b, "{\"query_id\":\"q%d\",\"i\":%d}\n\n", i, i)
	}
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs := l.run("", "monitor", "log", "metrics", file, "--max-rows-per-file", "500", "--format", "json")
	if code != exitDone || out != `{"stream":"metrics","rows":1001}`+"\n" || errs != "supertable: created SuperTable main\n" {
		t.Errorf("exit %d, %q, %q", code, out, errs)
	}
	var stats map[string]int64
	if err := json.Unmarshal([]byte(l.ok("", "monitor", "stats", "metrics", "--format", "json")), &stats); err != nil {
		t.Fatal(err)
	}
	if stats["file_count"] != 3 || stats["total_rows"] != 1001 || stats["version"] < 2 || stats["total_file_size"] == 0 || len(stats) != 4 {
		t.Errorf("stats %v", stats)
	}
	rows := rowsOf(t, l.ok("", "monitor", "read", "metrics", "--limit", "2", "--format", "json"))
	if len(rows) != 2 || rows[0]["i"] != 1000.0 || rows[1]["i"] != 999.0 || rows[0]["execution_time"] == nil {
		t.Errorf("read %v", rows)
	}
	if got := l.ok("{\"i\":\"x\"}\n", "monitor", "log", "__metrics__", "-"); got != "__metrics__: 1 record logged\n" {
		t.Errorf("log prints %q", got)
	}
	if got := l.ok("", "query", "select i, typeof(i) as t from __metrics__ order by execution_time desc limit 1", "--format", "csv"); got != "i,t\nx,VARCHAR\n" {
		t.Errorf("after a drift: %q", got)
	}
	if got := l.ok("", "monitor", "read", "metrics", "--from", "1999-01-01", "--to", "2000-01-01", "--format", "json"); got != "[]\n" {
		t.Errorf("outside: %q", got)
	}
}

func TestMonitorMisuse(t *testing.T) {
	l := newLake(t)
	bad := filepath.Join(t.TempDir(), "bad.ndjson")
	if err := os.WriteFile(bad, []byte("{\"a\":1}\n{\"a\":\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"monitor", exitUsage, "monitor needs one of: log, read, stats"},
		{"monitor log metrics", exitUsage, "log needs STREAM and FILE"},
		{"monitor log metrics " + bad, exitFailed, "line 2: the record is no JSON"},
		{"monitor log ../x -", exitFailed, "bad stream name"},
		{"monitor log metrics " + bad + ".not", exitFailed, "bad.ndjson.not"},
		{"monitor log metrics - --max-rows-per-file 0", exitUsage, "--max-rows-per-file must be at least 1"},
		{"monitor read metrics", exitFailed, "SuperTable not found"},
		{"plans", exitFailed, "SuperTable not found"},
		{"meta", exitFailed, "SuperTable not found"},
	} {
		code, out, errs := l.run("", strings.Fields(c.args)...)
		if code != c.code || out != "" || !strings.Contains(errs, c.want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: exit %d, %q, %q", c.args, code, out, errs)
		}
		if _, err := os.Stat(l.home); err == nil {
			t.Fatalf("%s made the home", c.args)
		}
	}
	l.ok("", "create")
	for _, c := range []struct{ stdin, args, want string }{
		{"", "monitor read nope --format json", `{"error":{"kind":"not_found","message":"Stream not found: default/main/nope"}}`},
		{"", "monitor stats nope --format json", `{"error":{"kind":"not_found","message":"Stream not found: default/main/nope"}}`},
		{"", "monitor read plans --from 2001-01-01 --to 2000-01-01 --format json", `{"error":{"kind":"invalid_argument","message":"from_ts_ms (978307200000) must be <= to_ts_ms (946684800000)"}}`},
		{"", "monitor log plans - --format json", `{"error":{"kind":"invalid_argument","message":"the stream plans is written by the SuperTable itself"}}`},
		{"{\"a\":1}\n[1]\n", "monitor log metrics - --format json", `{"error":{"kind":"invalid_argument","message":"standard input, line 2: a record is a JSON object"}}`},
		{"", "meta nope --format json", `{"error":{"kind":"not_found","message":"Table not found: default/main/nope"}}`},
	} {
		code, out, errs := l.run(c.stdin, strings.Fields(c.args)...)
		if code != exitFailed || out != "" || errs != c.want+"\n" {
			t.Errorf("%s: exit %d, %q, %q", c.args, code, out, errs)
		}
	}
	if got := l.ok("", "query", "select a from __metrics__", "--format", "csv"); got != "a\n1\n" {
		t.Errorf("what came before the bad line: %q", got)
	}
}

func TestPlansAndWriteStatsCommands(t *testing.T) {
	l := newLake(t)
	l.ok("", "create")
	if got := l.ok("", "plans", "--format", "json") + l.ok("", "write-stats", "--format", "json"); got != "[]\n[]\n" {
		t.Errorf("nothing happened yet: %q", got)
	}
	l.ok("id\n1\n2\n", "write", "t", "-", "--input-format", "csv", "--key", "id", "--quiet")
	l.ok("", "query", "select * from t", "--quiet")
	if code, _, errs := l.run("", "query", "select count(*) as cnt from t", "--user", "nobody"); code != exitFailed || !strings.Contains(errs, "User does not exist or is invalid.") {
		t.Errorf("exit %d, %s", code, errs)
	}
	plans := rowsOf(t, l.ok("", "plans", "--format", "json"))
	if len(plans) != 2 || plans[0]["status"] != "error" || plans[0]["message"] != "User does not exist or is invalid." || plans[1]["status"] != "ok" || plans[1]["table_name"] != "t" || plans[1]["result_rows"] != 2.0 {
		t.Errorf("plans %v", plans)
	}
	if rows := rowsOf(t, l.ok("", "plans", "--limit", "1", "--format", "json")); len(rows) != 1 || rows[0]["status"] != "error" {
		t.Errorf("the newest plan: %v", rows)
	}
	stats := rowsOf(t, l.ok("", "write-stats", "--format", "json"))
	if len(stats) != 1 || stats[0]["table_name"] != "t" || stats[0]["inserted"] != 2.0 || stats[0]["overwrite_columns"] != `["id"]` || stats[0]["new_resources"] != 0.0 {
		t.Errorf("write statistics %v", stats)
	}
	var meta struct {
		Super struct {
			Name   string
			Rows   int64
			Tables []map[string]any
		}
	}
	if err := json.Unmarshal([]byte(l.ok("", "meta", "--format", "json")), &meta); err != nil || meta.Super.Name != "main" || meta.Super.Rows != 2 || len(meta.Super.Tables) != 1 || meta.Super.Tables[0]["name"] != "t" {
		t.Errorf("meta %+v (%v)", meta, err)
	}
	if got := l.ok("", "meta", "T", "--format", "json"); !strings.HasPrefix(got, `{"table":{"name":"t","version":1,"files":0,"rows":2,"size":`) || !strings.HasSuffix(got, `"schema":{"id":"BIGINT"}}}`+"\n") {
		t.Errorf("meta of a table: %s", got)
	}
	if got := l.ok("", "history", "--format", "csv"); strings.Count(got, "\n") != 2 {
		t.Errorf("the history sees system tables: %s", got)
	}
	if got := l.ok("", "check"); got != "ok\n" {
		t.Errorf("check: %s", got)
	}
}
