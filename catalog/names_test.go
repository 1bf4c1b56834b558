package catalog

import (
	"database/sql"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/internal/errs"
)

// documented is the rule for names as it is documented; Go's $ does not match
// before a newline at the end.
var documented = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// FuzzTableName holds CheckTableName to the documented rule, and names of
// organizations to theirs.
func FuzzTableName(f *testing.F) {
	for _, s := range []string{"", "facts", "_x", "__plans__", "1x", "a-b", "a b", "a\n", "é", strings.Repeat("x", 128), strings.Repeat("x", 129), "information_schema", "main"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		want := len(name) <= 128 && documented.MatchString(name)
		err := CheckTableName(name, "main")
		if super := strings.EqualFold(name, "main"); (err == nil) != (want && !super) || err != nil && errs.KindOf(err) != errs.InvalidArgument {
			t.Errorf("table %q: %v, want allowed %t", name, err, want)
		}
		space := want && !strings.EqualFold(name, "information_schema")
		if err := CheckSpaceName("SuperTable", name); (err == nil) != space {
			t.Errorf("SuperTable %q: %v, want allowed %t", name, err, space)
		}
		dashed := strings.ReplaceAll(name, "-", "_")
		space = len(name) <= 128 && documented.MatchString(dashed) && !strings.HasPrefix(name, "-") && !strings.EqualFold(name, "information_schema")
		if err := CheckSpaceName("organization", name); (err == nil) != space {
			t.Errorf("organization %q: %v, want allowed %t", name, err, space)
		}
	})
}

func TestTimes(t *testing.T) {
	at := time.Date(2026, 1, 31, 10, 0, 0, 123456789, time.FixedZone("", 3600))
	if got := FormatTime(at); got != "2026-01-31T09:00:00.123456+00" {
		t.Errorf("written %s", got)
	}
	for _, s := range []string{"2026-01-31T09:00:00.123456+00", "2026-01-31 09:00:00.123456+00", "2026-01-31 10:00:00.123456+01", "2026-01-31 10:30:00.123456+01:30", "2026-01-31 09:00:00.123456"} {
		got, err := ParseTime(s)
		if err != nil || !got.Equal(at.Truncate(time.Microsecond)) || got.Location() != time.UTC {
			t.Errorf("%s is read as %s, %v", s, got, err)
		}
	}
	if got, err := ParseTime("2026-01-31 09:00:00+00"); err != nil || got.Nanosecond() != 0 {
		t.Errorf("without a fraction: %s, %v", got, err)
	}
	for _, s := range []string{"", "now", "2026-01-31", "2026-02-30 00:00:00+00"} {
		if _, err := ParseTime(s); errs.KindOf(err) != errs.Corrupt {
			t.Errorf("%q: %v, want corrupt", s, err)
		}
	}
	var written []string
	for d := range 5 {
		written = append(written, FormatTime(at.Add(time.Duration(d)*time.Microsecond)))
	}
	if !slices.IsSorted(written) {
		t.Errorf("times do not sort as texts: %v", written)
	}
}

func TestParseChanges(t *testing.T) {
	for in, want := range map[string][]ChangeEntry{
		"":                         nil,
		"inserted_into_table:1":    {{"inserted_into_table", "1"}},
		`created_table:"main"."t"`: {{"created_table", `"main"."t"`}},
		`created_table:"main"."a,b:""c""",inserted_into_table:12, Altered_Table:3`: {{"created_table", `"main"."a,b:""c"""`}, {"inserted_into_table", "12"}, {"altered_table", "3"}},
		"no colon,dropped_table:4": {{"dropped_table", "4"}},
	} {
		if got := ParseChanges(in); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	for _, name := range []string{"t", `a"b`, "a,b", `","`} {
		got := ParseChanges("deleted_from_table:1,created_table:" + quoteChange(name) + ",inserted_into_table:2")
		if len(got) != 3 || got[1].Value != quoteChange(name) {
			t.Errorf("name %q: %q", name, got)
		}
	}
}

// TestDiffColumns: what changes of a column ends its row and begins another
// under the same id; what stays is not touched.
func TestDiffColumns(t *testing.T) {
	typ := func(s string) datafile.Type {
		out, err := datafile.ParseSQL(s)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	st := typ("STRUCT(a INTEGER)")
	st.Fields[0].ID = 4
	before := []datafile.Column{{ID: 1, Name: "id", Type: typ("BIGINT")}, {ID: 2, Name: "v", Type: typ("VARCHAR")}, {ID: 3, Name: "st", Type: st}}
	old := flatten(before, nil)
	old[1].def = sql.NullString{String: "x", Valid: true}
	wide := typ("STRUCT(a BIGINT, b VARCHAR)")
	wide.Fields[0].ID, wide.Fields[1].ID = 4, 5
	for name, c := range map[string]struct {
		after []datafile.Column
		end   []int64
		add   string
	}{
		"nothing":     {before, nil, ""},
		"a rename":    {[]datafile.Column{before[0], {ID: 2, Name: "w", Type: typ("VARCHAR")}, before[2]}, []int64{2}, "2 w varchar x"},
		"a new type":  {[]datafile.Column{before[0], {ID: 2, Name: "v", Type: typ("BLOB")}, before[2]}, []int64{2}, "2 v blob x"},
		"a drop":      {before[:1], []int64{2, 3, 4}, ""},
		"a new field": {[]datafile.Column{before[0], before[1], {ID: 3, Name: "st", Type: wide}}, []int64{4}, "4 a int64 |5 b varchar "},
		"a new one":   {append(slices.Clone(before), datafile.Column{ID: 6, Name: "n", Type: typ("DATE")}), nil, "6 n date "},
		"a new id":    {[]datafile.Column{before[0], {ID: 6, Name: "v", Type: typ("DATE")}, before[2]}, []int64{3, 2}, "6 v date |3 st struct "},
	} {
		end, add := diffColumns(old, flatten(c.after, old))
		var rows []string
		for _, r := range add {
			rows = append(rows, strings.Join([]string{string(rune('0' + r.id)), r.name, r.typ, r.def.String}, " "))
		}
		if !slices.Equal(end, c.end) || strings.Join(rows, "|") != c.add {
			t.Errorf("%s: ends %v, begins %q; want %v, %q", name, end, strings.Join(rows, "|"), c.end, c.add)
		}
	}
}
