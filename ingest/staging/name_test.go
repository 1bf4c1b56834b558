package staging

import (
	"strings"
	"testing"
	"time"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/internal/errs"
)

func TestNames(t *testing.T) {
	for _, ok := range []string{"a.csv", "dummy_file_01.parquet", "a b.csv", "žluťoučký.csv", "a..b", "-x", "*?[x].csv", "'quoted\".csv", strings.Repeat("x", maxName)} {
		if err := checkName(ok); err != nil {
			t.Errorf("%q: %v", ok, err)
		}
	}
	for _, bad := range []string{
		"", ".", "..", "...", " ", "../x", "a/b", "/etc/passwd", `a\b`, `..\x`, "a\x00b", "a\nb", "a\x1b[31m", "a\u202eb", "a\u2028b", "a\xffb", "\u200b", strings.Repeat("x", maxName+1),
	} {
		err := checkName(bad)
		if errs.KindOf(err) != errs.InvalidArgument {
			t.Errorf("%q: %v", bad, err)
			continue
		}
		if strings.ContainsAny(err.Error(), "\n\x1b\u202e\u2028") || len(err.Error()) > 200 {
			t.Errorf("%q: message %q", bad, err)
		}
	}
}

func TestAreas(t *testing.T) {
	for name, ok := range map[string]bool{
		"facts": true, "__x__": true, "A1": true, "": false, "1a": false, "a-b": false, "..": false, "a/b": false, "a b": false, strings.Repeat("x", 129): false,
	} {
		if err := CheckArea(name); (err == nil) != ok || err != nil && errs.KindOf(err) != errs.InvalidArgument {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestParquetNameIsNeverDoubled(t *testing.T) {
	for name, want := range map[string]string{
		"a": "a.parquet", "a.parquet": "a.parquet", "A.PARQUET": "A.PARQUET", "a.csv": "a.csv.parquet", "parquet": "parquet.parquet", "": ".parquet",
	} {
		if got := parquetName(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

func TestStamp(t *testing.T) {
	at := time.Date(2026, 1, 31, 11, 0, 0, 123_999_999, time.FixedZone("", 3600))
	if got := stamped(at, "name.parquet"); got != "20260131100000123_name.parquet" {
		t.Error(got)
	}
}

func TestFind(t *testing.T) {
	files := []catalog.StagedFile{{File: "1_a", Name: "a"}, {File: "2_b", Name: "b"}, {File: "3_b", Name: "b"}, {File: "4_2_b", Name: "2_b"}}
	for name, want := range map[string]string{"1_a": "1_a", "a": "1_a", "2_b": "2_b", "3_b": "3_b", "b": "invalid_argument", "c": "not_found", "A": "not_found", "": "not_found", "4_2_b": "4_2_b"} {
		f, err := find(files, "x", name)
		got := f.File
		if err != nil {
			got = string(errs.KindOf(err))
		}
		if got != want {
			t.Errorf("%q: got %s (%v), want %s", name, got, err, want)
		}
	}
}

func TestPausesGrowToAMinute(t *testing.T) {
	last := time.Duration(0)
	for n := 1; n < 100; n++ {
		p := pause(n)
		if p < last || p > mostPause {
			t.Fatalf("pause %d is %s after %s", n, p, last)
		}
		last = p
	}
	if pause(1) != firstPause || last != mostPause {
		t.Errorf("from %s to %s", pause(1), last)
	}
}

func TestDefinitions(t *testing.T) {
	const base = `"name":"x","area":"a","table":"t"`
	p, err := ParsePipe([]byte(`{` + base + `,"key":["k"],"newer_than":"u","columns":{"K":"k"},"checks":[{"not_null":["k"]},{"unique":["k","u"]},{"expr":"a < 'b'"}]}`))
	if err != nil || !p.Enabled || p.NewerThan != "u" || len(p.Checks) != 3 || p.Columns["K"] != "k" {
		t.Fatalf("%+v, %v", p, err)
	}
	want := `{"name":"x","area":"a","table":"t","key":["k"],"newer_than":"u","columns":{"K":"k"},"checks":[{"not_null":["k"]},{"unique":["k","u"]},{"expr":"a < 'b'"}],"enabled":true}`
	if got := string(p.JSON()); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if again, err := ParsePipe(p.JSON()); err != nil || string(again.JSON()) != want {
		t.Errorf("read again: %s, %v", again.JSON(), err)
	}
	small, err := ParsePipe([]byte(`{` + base + `,"enabled":false,"newer_than":null}`))
	if got := string(small.JSON()); err != nil || got != `{`+base+`,"key":[],"newer_than":null,"columns":{},"checks":[],"enabled":false}` {
		t.Errorf("got %s, %v", got, err)
	}
	for _, bad := range []string{
		``, `null`, `[]`, `1`, `{}`, `{` + base + `} {}`, `{` + base, `{` + base + `,"foo":1}`, `{` + base + `,"Key":"k"}`, `{` + base + `,"key":[""]}`, `{` + base + `,"key":["k","K"]}`,
		`{` + base + `,"newer_than":"u"}`, `{` + base + `,"columns":{"a":"b","c":"B"}}`, `{` + base + `,"columns":{"a":""}}`, `{` + base + `,"columns":{"a":"x","A":"y"}}`, `{` + base + `,"checks":[{}]}`,
		`{` + base + `,"checks":[{"not_null":[]}]}`, `{` + base + `,"checks":[{"not_null":["a"],"expr":"b"}]}`, `{` + base + `,"checks":[{"regex":"b"}]}`, `{` + base + `,"checks":[{"expr":""}]}`,
		`{` + base + `,"enabled":"yes"}`, `{"name":"","area":"a","table":"t"}`, `{"name":"a/b","area":"a","table":"t"}`, `{"name":"x","area":"..","table":"t"}`,
	} {
		if _, err := ParsePipe([]byte(bad)); errs.KindOf(err) != errs.InvalidArgument || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestTargets(t *testing.T) {
	a := Pipe{Table: "T", Key: []string{"b", "A"}}
	if same := (Pipe{Table: "t", Key: []string{"a", "B"}}); a.target() != same.target() {
		t.Error("the order and the case of a key make two targets")
	}
	for _, other := range []Pipe{{Table: "t"}, {Table: "u", Key: a.Key}, {Table: "t", Key: []string{"a,b"}}} {
		if a.target() == other.target() {
			t.Errorf("%+v is the same target", other)
		}
	}
}
