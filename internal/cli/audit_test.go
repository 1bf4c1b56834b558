package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/supertable-go/supertable"
)

func TestAuditCommands(t *testing.T) {
	l := newLake(t)
	if code, _, errs := l.run("", "audit", "show"); code != exitFailed || !strings.Contains(errs, "not found") {
		t.Errorf("an audit of nothing: exit %d, %s", code, errs)
	}
	l.ok("id\n1\n2\n", "write", "t", "-", "--input-format", "csv")
	l.ok("", "query", "select 'a,\"b' as x from t")
	if code, _, _ := l.run("", "--user", "bob", "tables"); code != exitFailed {
		t.Errorf("bob: exit %d", code)
	}
	got := l.ok("", "audit", "show", "--format", "ndjson", "--limit", "2")
	want := regexp.MustCompile(`^\{"seq":4,"time":"[0-9T:.-]+Z","principal":"bob","roles":\[\],"action":"login","tables":\[\],"snapshot":null,"statement":"","rows":0,"outcome":"denied","duration_ms":0,"hash":"[0-9a-f]{64}"\}
\{"seq":3,"time":"[0-9T:.-]+Z","principal":"superuser","roles":\["9cf3fcbe5b421442dcc5595fcfab4d9d"\],"action":"query","tables":\["t"\],"snapshot":1,"statement":"select 'a,\\"b' as x from t","rows":2,"outcome":"ok","duration_ms":[0-9.]+,"hash":"[0-9a-f]{64}"\}
$`)
	if !want.MatchString(got) {
		t.Errorf("show prints %s", got)
	}
	for _, c := range []struct {
		args []string
		want int
	}{
		{[]string{"audit", "show", "--user", "bob"}, 1},
		{[]string{"audit", "--user=bob", "show"}, 1},
		{[]string{"--user", "superuser", "audit", "show", "--user", "bob"}, 1},
		{[]string{"audit", "show", "--user", "carol"}, 0},
		{[]string{"audit", "show", "--since", "2999-01-01"}, 0},
		{[]string{"audit", "show", "--limit", "3", "--since", "2020-01-01"}, 3},
	} {
		var rows []map[string]any
		if err := json.Unmarshal([]byte(l.ok("", append(c.args, "--format", "json")...)), &rows); err != nil || len(rows) != c.want {
			t.Errorf("%q: %d records (%v), want %d", c.args, len(rows), err, c.want)
		}
	}
	for _, args := range [][]string{{"--user", "bob", "audit", "show"}, {"--user=bob", "audit", "show"}, {"audit", "verify", "--user", "bob"}, {"--user", "bob", "audit", "export", "-o", filepath.Join(t.TempDir(), "x")}} {
		if code, _, errs := l.run("", append(args, "--format", "json")...); code != exitFailed || !strings.Contains(errs, `"kind":"denied"`) {
			t.Errorf("%q: exit %d, %s", args, code, errs)
		}
	}
	t.Setenv("SUPERTABLE_USER", "bob")
	if code, _, _ := l.run("", "audit", "show"); code != exitFailed {
		t.Errorf("asked by bob: exit %d", code)
	}
}

func TestAuditVerifyAndExport(t *testing.T) {
	l := newLake(t)
	l.ok("id\n1\n", "write", "t", "-", "--input-format", "csv")
	var v supertable.AuditVerification
	text := l.ok("", "audit", "verify", "--format", "json")
	if err := json.Unmarshal([]byte(text), &v); err != nil || !v.Valid || v.Records != 2 || v.FirstBroken != nil || !strings.HasSuffix(text, `,"first_broken":null}`+"\n") {
		t.Errorf("verify prints %s", text)
	}
	l.ok("", "audit", "verify", "--head", strings.ToUpper(v.Head))
	if code, out, errs := l.run("", "audit", "verify", "--head", "abc", "--format", "json"); code != exitFailed || !strings.HasPrefix(out, `{"valid":false,"records":2,`) || !strings.Contains(errs, `"kind":"corrupt"`) {
		t.Errorf("another head: exit %d, %s%s", code, out, errs)
	}
	dir := t.TempDir()
	for name, begins := range map[string]string{
		"a.jsonl": `{"seq":1,"time":`, "a.ndjson": `{"seq":1,"time":`, "a": `{"seq":1,"time":`, "a.csv": "seq,time,principal,", "a.PARQUET": "PAR1", "a.json": `[{"seq":1,`,
	} {
		l.ok("", "audit", "export", "-o", filepath.Join(dir, name))
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !bytes.HasPrefix(got, []byte(begins)) {
			t.Errorf("%s begins %.20q (%v)", name, got, err)
		}
	}
	if code, _, _ := l.run("", "audit", "export"); code != exitUsage {
		t.Errorf("an export to nowhere: exit %d", code)
	}
	l.ok("", "audit", "export", "-o", filepath.Join(dir, "b.txt"), "--format", "csv")
	if got, _ := os.ReadFile(filepath.Join(dir, "b.txt")); !bytes.HasPrefix(got, []byte("seq,")) {
		t.Errorf("--format csv: %.20q", got)
	}
}

func TestPrintBrokenAudit(t *testing.T) {
	for format, want := range map[string]string{
		formatJSON: `{"valid":false,"records":9,"head":"ab","first_broken":7}` + "\n",
		formatCSV:  "valid,records,head,first_broken\nfalse,9,ab,7\n",
	} {
		var out bytes.Buffer
		a := &app{stdout: &stdout{w: &out}, flags: globalFlags{format: format}}
		seven := int64(7)
		err := a.printVerification(supertable.AuditVerification{Records: 9, Head: "ab", FirstBroken: &seven})
		if supertable.KindOf(err) != supertable.Corrupt || !strings.Contains(err.Error(), "record 7") || out.String() != want {
			t.Errorf("%s: %q (%v)", format, out.String(), err)
		}
	}
}

func TestNameAsker(t *testing.T) {
	for in, want := range map[string]string{
		"--user a audit show --user b":          "--asked-by a audit show --user b",
		"--user=a --home audit audit show":      "--asked-by=a --home audit audit show",
		"--super audit --user a audit show":     "--super audit --asked-by a audit show",
		"--user a audit verify":                 "--user a audit verify",
		"--user a query show audit":             "--user a query show audit",
		"--user a tables":                       "--user a tables",
		"audit --format json show --user=b":     "audit --format json show --user=b",
		"--user audit audit show --format json": "--asked-by audit audit show --format json",
	} {
		if got := strings.Join(nameAsker(strings.Fields(in)), " "); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}
