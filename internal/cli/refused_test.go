package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestARefusedWriteCreatesNothing: what can be known of a write without the
// SuperTable is looked at before it is made, and words it as an existing one
// does (W31).
func TestARefusedWriteCreatesNothing(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"a.csv": "id,name\n1,a\n", "empty.csv": "", "bad.json": `{"a":`, "a.parquet": "PAR1", "a.txt": "x"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	newer := "newer_than requires overwrite_columns (--key)"
	for _, tt := range []struct {
		args, stdin, want string
		code              int
	}{
		{"write main a.csv", "", "SimpleTable name can't match with SuperTable name", exitFailed},
		{"write MAIN a.csv", "", "SimpleTable name can't match with SuperTable name", exitFailed},
		{"write '' a.csv", "", "SimpleTable name can't be empty or longer than 128", exitFailed},
		{"write " + strings.Repeat("a", 129) + " a.csv", "", "SimpleTable name can't be empty or longer than 128", exitFailed},
		{"write 1t a.csv", "", `Invalid table name: "1t". Table names must start with a letter or underscore and contain only alphanumeric characters and underscores.`, exitFailed},
		{"write t a.csv --key zz", "", "Some overwrite columns are not present in the dataset: zz", exitFailed},
		{"write t a.csv --key id --newer-than zz", "", "The newer_than column is not present in the dataset: zz", exitFailed},
		{"write t a.csv --newer-than id", "", newer, exitUsage},
		{"write t a.csv --columns nope:bigint", "", `a type is given for column "nope", which no text input has`, exitFailed},
		{"write t a.csv --columns name:bigint", "", `a.csv: line 2: column "name": "a" is not a BIGINT`, exitFailed},
		{"write t empty.csv", "", "empty.csv: the file is empty: a header line with the column names is needed", exitFailed},
		{"write t bad.json", "", "bad.json: line 1: the file ends inside a value", exitFailed},
		{"write t a.parquet", "", "a.parquet: not a Parquet file", exitFailed},
		{"write t - --input-format csv --key zz", "id\n1\n", "Some overwrite columns are not present in the dataset: zz", exitFailed},
		{"write t a.csv --write-id sha256:0", "", "write ids that begin with sha256: are those of staged files", exitFailed},
		{"stage put 1a a.csv", "", `Invalid staging area: "1a". Areas are named as tables are: letters, digits and _, not a digit first, at most 128.`, exitFailed},
		{"stage put ar empty.csv", "", "empty.csv: the file is empty: a header line with the column names is needed", exitFailed},
		{"stage put ar a.txt", "", `file "a.txt": the name does not tell the format: say which it is (--input-format)`, exitFailed},
		{"stage put ar - --input-format csv", "", "stdin.csv: the file is empty: a header line with the column names is needed", exitFailed},
	} {
		args := strings.Fields(tt.args)
		for i := range args {
			args[i] = strings.Trim(args[i], "'")
		}
		missing, there := newLake(t), newLake(t)
		there.ok("", "create")
		for _, l := range []*lake{missing, there} {
			code, out, errs := l.run(tt.stdin, append(args, "--format", "json")...)
			if code != tt.code || out != "" || !strings.HasPrefix(errs, `{"error":{"kind":"invalid_argument"`) && !strings.HasPrefix(errs, `{"error":{"kind":"type_conflict"`) ||
				!strings.Contains(strings.ReplaceAll(errs, `\"`, `"`), tt.want) || strings.Count(errs, "\n") != 1 {
				t.Errorf("%s: exit %d, %s%s, want %s", tt.args, code, out, errs, tt.want)
			}
		}
		if entries, err := os.ReadDir(missing.home); err == nil {
			t.Errorf("%s: made %v", tt.args, entries)
		}
	}
	l := newLake(t)
	if _, out, errs := l.run("id\n1\n", "write", "t", "-", "--input-format", "csv", "--key", "id"); !strings.HasPrefix(out, "t: 1 row inserted") || errs != "supertable: created SuperTable main\n" {
		t.Errorf("%q %q", out, errs)
	}
	l = newLake(t)
	if code, _, errs := l.run("id\n1\n", "stage", "put", "ar", "-", "--name", "x.csv"); code != exitDone || errs != "supertable: created SuperTable main\n" {
		t.Errorf("%q", errs)
	}
}

// TestAHugeintThatNoDecimalHolds: a file that readers would refuse is not
// written; the error names column and value.
func TestAHugeintThatNoDecimalHolds(t *testing.T) {
	l := newLake(t)
	l.ok("", "create")
	const most = "170141183460469231731687303715884105727"
	for _, format := range []string{"parquet", "arrow"} {
		for _, value := range []string{most + "::hugeint", "[-" + most + "::hugeint]", "{'a': " + most + "::hugeint}", "map {'k': " + most + "::hugeint}"} {
			code, _, errs := l.run("", "query", "select 1 as n, "+value+" as h", "--format", format, "-o", filepath.Join(t.TempDir(), "x"))
			if want := most + " has more digits than a DECIMAL(38,0), which HUGEINT becomes in this format; cast it to text\n"; code != exitFailed || !strings.HasPrefix(errs, `supertable: column "h": `) || !strings.HasSuffix(errs, want) {
				t.Errorf("%s %s: exit %d, %s", format, value, code, errs)
			}
		}
		l.ok("", "query", "select 99999999999999999999999999999999999999::hugeint as h, null::hugeint as n", "--format", format, "-o", filepath.Join(t.TempDir(), "x"))
	}
}
