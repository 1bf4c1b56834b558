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

// TestJSONColumnsComeBackTheSame writes what query printed and compares: a JSON
// value is a value, not the text of one.
func TestJSONColumnsComeBackTheSame(t *testing.T) {
	l := newLake(t)
	l.ok("", "create")
	const sql = `select * from (values
		(1, '{"x": 1.5, "y": [true, null, "a\nb"]}'::json, {'a': '[1]'::json}, ['"t"'::json, null], map {'k': '{}'::json}, -0.0::double),
		(2, null, {'a': null}, [], map {}, 0.0), (3, '12345678901234567890123', null, null, null, null)
		) v(id, j, s, l, m, z) order by id`
	want := `{"id":1,"j":{"x":1.5,"y":[true,null,"a\nb"]},"s":{"a":[1]},"l":["t",null],"m":{"k":{}},"z":-0.0}` + "\n" +
		`{"id":2,"j":null,"s":{"a":null},"l":[],"m":{},"z":0}` + "\n" +
		`{"id":3,"j":12345678901234567890123,"s":null,"l":null,"m":null,"z":null}` + "\n"
	file := filepath.Join(t.TempDir(), "out.ndjson")
	l.ok("", "query", sql, "--format", "ndjson", "-o", file)
	if got, err := os.ReadFile(file); err != nil || string(got) != want {
		t.Fatalf("%v\n%s\nwant\n%s", err, got, want)
	}
	l.ok("", "write", "t", file, "--quiet", "--columns", "id:integer,j:json,s:struct(a json),l:json[],m:map(varchar, json),z:double")
	if got := l.ok("", "query", "select * from t order by id", "--format", "ndjson"); got != want {
		t.Errorf("comes back as\n%s\nwant\n%s", got, want)
	}
}

// TestNDJSONIsOneObjectALine holds it of every command that prints one.
func TestNDJSONIsOneObjectALine(t *testing.T) {
	l := newLake(t)
	file := l.file("a.csv", "id,n\n1,\"two\nlines\"\n2,b\n")
	role := l.file("role.json", "{\n \"role\": \"reader\",\n \"filters\": {\"n\":\n \"b\"}\n}")
	user := l.file("user.json", "{\n \"username\": \"bob\",\n \"roles\": [],\n \"attributes\": {\"a\":\n 1}}")
	pipe := l.file("pipe.json", `{"name":"p","area":"in","table":"q","checks":[`+"\n"+`{"expr":"id > 1"}]}`)
	for _, command := range []string{
		"create", "write t " + file, "stage put in " + file, "stage list", "stage show in a.csv", "stage tree", "stage load in --into s", "stage history",
		"role create " + role, "role list", "role history", "user create " + user, "user list", "user show bob", "access superuser",
		"pipe create " + pipe, "pipe list", "pipe run p", "tables", "schema t", "history", "option list", "meta", "meta t", "tag create x", "tag list",
		"changes --from 0", "diff t --from 0 --to 1", "plans", "write-stats", "audit show", "audit verify", "check", "version",
		"flush --dry-run", "compact", "expire --keep-last 1 --dry-run", "clean --dry-run", "maintain --dry-run", "maintain",
	} {
		out := l.ok("", append(strings.Fields(command), "--format", "ndjson")...)
		if out == "" && !strings.HasPrefix(command, "compact") {
			t.Errorf("%s printed nothing", command)
		}
		for line := range strings.Lines(out) {
			if err := json.Unmarshal([]byte(line), &map[string]any{}); err != nil {
				t.Errorf("%s: line %q: %v", command, line, err)
			}
		}
	}
}

// TestRefusals are errors of the commands that name the thing and the way out.
func TestRefusals(t *testing.T) {
	l := newLake(t)
	nested := strings.Repeat(`{"b":`, 200) + "1" + strings.Repeat("}", 200)
	listed := l.file("listed.json", `{"a":`+strings.Repeat("[", 200)+"1"+strings.Repeat("]", 200)+"}")
	l.ok("id\n1\n", "write", "t", "-", "--input-format", "csv")
	for _, c := range []struct {
		stdin string
		args  []string
		code  int
		want  string
	}{
		{"id\n1\n", []string{"write", "t", "-", "--input-format", "csv", "--write-id", ""}, exitFailed, "--write-id is empty: give an id, or leave the flag out"},
		{"", []string{"alter", "t", "add", "h", "hugeint"}, exitFailed, `column "h": HUGEINT cannot be stored: cast it to DECIMAL(38,0) or VARCHAR`},
		{"", []string{"alter", "t", "type", "id", "hugeint"}, exitFailed, `column "id": HUGEINT cannot be stored: cast it to DECIMAL(38,0) or VARCHAR`},
		{"", []string{"alter", "t", "type", "id", "hugeint", "--cast"}, exitFailed, `column "id": HUGEINT cannot be stored: cast it to DECIMAL(38,0) or VARCHAR`},
		{"", []string{"alter", "t", "add", "", "int"}, exitUsage, "alter TABLE add COL TYPE: the column's name is missing (see 'supertable help alter')"},
		{"{}", []string{"monitor", "log", "audit", "-"}, exitFailed, "the stream name audit is reserved: the audit keeps itself, and audit show reads it"},
		{`{"a":` + nested + `}`, []string{"write", "d", "-", "--input-format", "json"}, exitFailed, `column "a": type STRUCT(b STRUCT(b STRUCT(b STRUCT(b STRU… cannot be stored: cast it to JSON or VARCHAR`},
		{"", []string{"write", "d", listed}, exitFailed, "listed.json: a value is nested too deep: give its column the type JSON"},
	} {
		code, out, errs := l.run(c.stdin, c.args...)
		if code != c.code || out != "" || errs != "supertable: "+c.want+"\n" {
			t.Errorf("%.80q: exit %d, stdout %q, stderr %s", c.args, code, out, errs)
		}
	}
	code, _, errs := l.run("", "alter", "t", "add", "x", strings.Repeat("struct(b ", 100)+"int"+strings.Repeat(")", 100))
	if code != exitFailed || len(errs) > 200 {
		t.Errorf("a type without end: exit %d, %s", code, errs)
	}
	l.ok(`{"a":`+nested+`}`, "write", "d", "-", "--input-format", "json", "--columns", "a:json") // the way out
}

// TestTimesOfOptions are durations as everywhere, or seconds.
func TestTimesOfOptions(t *testing.T) {
	l := newLake(t)
	l.ok("", "create")
	for setting, want := range map[string]string{
		"expire_older_than=7d": "604800", "EXPIRE_OLDER_THAN=2w": "1209600", "clean_grace=90s": "90", "clean_grace=1h30m": "5400", "clean_grace=0s": "0",
		"stream_retention=3d": "259200", "audit_retention=100d": "8640000", "clean_grace=77": "77", "expire_older_than=": "0", "target_file_size=2097152": "2097152",
	} {
		var list []struct{ Value string }
		if err := json.Unmarshal([]byte(l.ok("", "option", "set", setting, "--format", "json")), &list); err != nil || len(list) != 1 || list[0].Value != want {
			t.Errorf("%s: %v (%v), want %s", setting, list, err, want)
		}
	}
	for setting, want := range map[string]string{
		"clean_grace=soon":       "option clean_grace: want a duration such as 90s, 1h30m, 7d, 2w, or a number of seconds",
		"clean_grace=1.5s":       "option clean_grace: want whole seconds",
		"clean_grace=100000w":    "option clean_grace: the duration is longer than 292 years",
		"expire_older_than=200w": "",
		"clean_grace=1000w":      `option clean_grace takes a whole number from 0 to 315360000, not "604800000"`,
		"target_file_size=7d":    `option target_file_size takes a whole number from 1048576 to 17179869184, not "7d"`,
		"nope=7d":                `unknown option "nope"`,
	} {
		code, _, errs := l.run("", "option", "set", setting)
		if (code == exitDone) != (want == "") || !strings.Contains(errs, want) {
			t.Errorf("%s: exit %d, %s", setting, code, errs)
		}
	}
}

// TestDropIfExistsAsksNobodyAboutWhatIsNotThere runs without a terminal.
func TestDropIfExistsAsksNobodyAboutWhatIsNotThere(t *testing.T) {
	l := newLake(t)
	for _, command := range []string{"drop t --if-exists", "drop-super --if-exists"} {
		if got := l.ok("", append(strings.Fields(command), "--format", "json")...); got != `{"dropped":false}`+"\n" {
			t.Errorf("%s of nothing: %s", command, got)
		}
	}
	l.ok("id\n1\n", "write", "t", "-", "--input-format", "csv")
	if got := l.ok("", "drop", "none", "--if-exists", "--format", "json"); got != `{"dropped":false}`+"\n" {
		t.Errorf("a missing table: %s", got)
	}
	for _, command := range []string{"drop t --if-exists", "drop-super --if-exists", "drop none"} {
		if code, _, errs := l.run("", strings.Fields(command)...); code != exitUsage || !strings.Contains(errs, "give --yes") {
			t.Errorf("%s: exit %d, %s", command, code, errs)
		}
	}
}

// TestAWriteWithoutRowsSaysWhatItDid: a table that appears, a column, nothing.
func TestAWriteWithoutRowsSaysWhatItDid(t *testing.T) {
	l := newLake(t)
	for _, c := range []struct{ header, want string }{
		{"id\n", "t: created without rows · snapshot 1 · version 0\n"},
		{"id\n", "t: nothing to do · snapshot 1 · version 0\n"},
		{"id,n\n", "t: columns changed, no rows · snapshot 2 · version 1\n"},
	} {
		if got := l.ok(c.header, "write", "t", "-", "--input-format", "csv"); got != c.want {
			t.Errorf("%q: %s", c.header, got)
		}
	}
}
