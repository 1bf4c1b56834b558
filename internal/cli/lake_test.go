package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// lake is a home of a test, driven through Run as a script would.
type lake struct {
	t    *testing.T
	home string
}

func newLake(t *testing.T) *lake {
	t.Setenv("SUPERTABLE_ORGANIZATION", "")
	t.Setenv("SUPERTABLE_SUPER", "")
	t.Setenv("SUPERTABLE_USER", "")
	return &lake{t, filepath.Join(t.TempDir(), "home")}
}

func (l *lake) run(stdin string, args ...string) (code int, stdout, stderr string) {
	l.t.Helper()
	var out, errs bytes.Buffer
	code = Run(l.t.Context(), append([]string{"--home", l.home}, args...), strings.NewReader(stdin), &out, &errs)
	return code, out.String(), errs.String()
}

// ok runs a call that must succeed and returns its stdout.
func (l *lake) ok(stdin string, args ...string) string {
	l.t.Helper()
	code, out, errs := l.run(stdin, args...)
	if code != exitDone {
		l.t.Fatalf("%q: exit %d, %s", args, code, errs)
	}
	return out
}

func TestTheWholeWayThroughALake(t *testing.T) {
	l := newLake(t)
	if code, _, errs := l.run("", "tables"); code != exitFailed || !strings.Contains(errs, "not found") {
		t.Errorf("a read of nothing: exit %d, %s", code, errs)
	}
	if _, err := os.Stat(l.home); err == nil {
		t.Error("a read made the home")
	}
	_, _, errs := l.run("id,name\n1,a\n2,\n", "write", "t", "-", "--input-format", "csv", "--columns", "id:bigint,name:varchar")
	if errs != "supertable: created SuperTable main\n" {
		t.Errorf("stderr %q", errs)
	}
	if got := l.ok("", "create"); got != "Created SuperTable: main\n" {
		t.Errorf("create prints %q", got)
	}
	got := l.ok("id,name\n2,b\n3,c\n", "write", "t", "-", "--input-format", "csv", "--key", "id", "--quiet")
	if !strings.HasPrefix(got, "t: 2 rows inserted, 1 replaced · snapshot ") || !strings.HasSuffix(got, " · version 2\n") {
		t.Errorf("write prints %q", got)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"select * from t order by id", "--format", "csv"}, "id,name\n1,a\n2,b\n3,c\n"},
		{[]string{"select name from t where id = $n", "--param", "n=2", "--format", "ndjson"}, `{"name":"b"}` + "\n"},
		{[]string{"select id from t order by id", "--limit", "1", "--format", "json"}, `[{"id":1}]` + "\n"},
		{[]string{"select id from t where false", "--format", "json"}, "[]\n"},
		{[]string{"-- first\nselect count(*) as n from t", "--format", "csv"}, "n\n3\n"},
		{[]string{"-f", "-", "--format", "csv"}, "n\n3\n"},
		{[]string{"select 1 as a, 2 as a", "--format", "json"}, `[{"a":1,"a_1":2}]` + "\n"},
	} {
		if got := l.ok("\ufeffselect count(*) as n from t", append([]string{"query"}, c.args...)...); got != c.want {
			t.Errorf("%q: got %q, want %q", c.args, got, c.want)
		}
	}
	l.dropAll()
}

// dropAll ends the lake table by table.
func (l *lake) dropAll() {
	t := l.t
	t.Helper()
	if got := l.ok("", "check", "--deep", "--format", "json"); got != `{"ok":true,"findings":[]}`+"\n" {
		t.Errorf("check: %s", got)
	}
	for _, c := range []struct {
		args string
		want string
	}{
		{"drop t --yes", `{"dropped":true}`},
		{"drop t --yes --if-exists", `{"dropped":false}`},
		{"drop-super --yes", `{"dropped":true}`},
		{"drop-super --yes --if-exists", `{"dropped":false}`},
		{"drop t --yes --if-exists", `{"dropped":false}`},
	} {
		if got := l.ok("", append(strings.Fields(c.args), "--format", "json")...); got != c.want+"\n" {
			t.Errorf("%s: got %s", c.args, got)
		}
	}
	for _, args := range []string{"drop t --yes", "drop-super --yes"} {
		code, _, errs := l.run("", append(strings.Fields(args), "--format", "json")...)
		if code != exitFailed || !strings.Contains(errs, `"kind":"not_found"`) {
			t.Errorf("%s: exit %d, %s", args, code, errs)
		}
	}
}

// TestCSVComesBackTheSame writes what query printed and compares.
func TestCSVComesBackTheSame(t *testing.T) {
	l := newLake(t)
	const sql = `select * from (values
		(1, 'plain', 0.1::double, date '2024-01-31', timestamp '2024-01-31 10:00:00.5', true, 12.340::decimal(9,3)),
		(2, '', 'nan'::double, date '0044-03-15 (BC)', timestamp '1969-12-31 23:59:59.999999', false, -0.001),
		(3, null, null, null, null, null, null),
		(4, 'NULL', '-inf'::double, date '9999-12-31', timestamp '2024-02-29 00:00:00', true, 0),
		(5, ' #x; "q", ''y'' ', 1e22, date '12024-01-01', timestamp '0001-01-01 00:00:00', null, 999999.999),
		(6, 'two' || chr(10) || 'lines' || chr(13) || chr(10) || chr(9), 5e-324, date '2024-01-01', null, null, null),
		(7, '007', -0.0::double, null, null, null, null), (8, '\', 2.0, null, null, null, null), (9, '#c', 3.0, null, null, null, null)
		) v(id, txt, f, d, ts, b, dc) order by id`
	l.ok("", "create")
	file := filepath.Join(t.TempDir(), "out.csv")
	l.ok("", "query", sql, "--format", "csv", "-o", file)
	l.ok("", "write", "t", file, "--quiet",
		"--columns", "id:integer,txt:varchar,f:double,d:date,ts:timestamp,b:boolean,dc:decimal(9,3)")
	want := l.ok("", "query", sql, "--format", "ndjson")
	if got := l.ok("", "query", "select * from t order by id", "--format", "ndjson"); got != want {
		t.Errorf("comes back as\n%s\nwant\n%s", got, want)
	}
}

func TestStatsFollowTheRows(t *testing.T) {
	l := newLake(t)
	l.ok("", "create")
	code, out, errs := l.run("", "query", "select 1 as x", "--stats", "--quiet", "--format", "json")
	var doc map[string]any
	if err := json.Unmarshal([]byte(errs), &doc); err != nil || code != exitDone || out != "[{\"x\":1}]\n" {
		t.Fatalf("exit %d, stdout %q, stderr %q: %v", code, out, errs, err)
	}
	for _, name := range []string{"timings", "plan_stats", "files_total", "files_read", "bytes_total", "bytes_read", "rows", "snapshot", "engine"} {
		if _, ok := doc[name]; !ok {
			t.Errorf("the report has no %q: %s", name, errs)
		}
	}
}

func TestWhatCannotBeWrittenCreatesNothing(t *testing.T) {
	l := newLake(t)
	file := filepath.Join(t.TempDir(), "in.csv")
	if err := os.WriteFile(file, []byte("id\n1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"write", "9lives", file},
		{"write", "t", file + ".not"},
		{"write", "t", "--delete", "--all"},
		{"write", "t", file, "--delete", "--key", "id"},
		{"drop", "t", "--yes"},
		{"query", "select 1"},
		{"shell"},
	} {
		if code, _, _ := l.run("", args...); code != exitFailed {
			t.Errorf("%q: exit %d", args, code)
		}
		if _, err := os.Stat(l.home); err == nil {
			t.Fatalf("%q made the home", args)
		}
	}
}

func TestTimeoutIsAnErrorOfItsKind(t *testing.T) {
	l := newLake(t)
	l.ok("", "create")
	code, out, errs := l.run("", "query", "select sum(a.range * b.range) from range(3000000) a, range(3000000) b",
		"--timeout", "100ms", "--format", "json")
	if code != exitFailed || out != "" || !strings.Contains(errs, `"kind":"timeout"`) {
		t.Errorf("exit %d, stdout %q, stderr %q", code, out, errs)
	}
}

func TestShellFromAPipe(t *testing.T) {
	l := newLake(t)
	l.ok("", "create")
	if got := l.ok("select 1 as a; select 2\nas b;\n\\q\nselect 3;", "shell", "--format", "csv"); got != "a\n1\nb\n2\n" {
		t.Errorf("got %q", got)
	}
	code, out, errs := l.run("select nope;\nselect 2 as b", "shell", "--format", "csv")
	if code != exitFailed || out != "b\n2\n" || strings.Count(errs, "\n") != 2 {
		t.Errorf("exit %d, stdout %q, stderr %q", code, out, errs)
	}
	if _, err := os.Stat(filepath.Join(l.home, ".shell_history")); err == nil {
		t.Error("a pipe leaves a history")
	}
}
