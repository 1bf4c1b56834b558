package cli

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/supertable-go/supertable"
)

func TestAlterations(t *testing.T) {
	for in, want := range map[string]string{
		"rename|orders2":                       "rename orders2",
		"drop|x":                               "drop x",
		"rename-column|a|b":                    "column a→b",
		"type|x|decimal(10,2)":                 "type x decimal(10,2) false",
		"type|x|double|precision":              "type x double precision false",
		"add|x|int":                            "add x int",
		"add|x|timestamp|with|time|zone":       "add x timestamp with time zone",
		"add|x|int|default|5":                  "add x int = 5",
		"add|x|int|default|-5":                 "add x int = -5",
		"add|x|int|DEFAULT|-5.5":               "add x int = -5.5",
		"add|x|varchar|default|it's":           "add x varchar = 'it''s'",
		"add|default|int":                      "add default int",
		"add|default|int|default|'007'":        "add default int = '007'",
		"add|x|double|precision|default|-1e-3": "add x double precision = -1e-3",
	} {
		args := joinDefault(append([]string{"alter", "t"}, strings.Split(in, "|")...))[2:]
		got, err := parseAlteration(&cobra.Command{Use: "alter"}, args[0], args[1:], false)
		if err != nil || describeAlteration(got) != want {
			t.Errorf("%s: got %s (%v), want %s", in, describeAlteration(got), err, want)
		}
	}
}

func describeAlteration(a supertable.Alteration) string {
	switch {
	case a.Add != nil && a.Add.Default != nil:
		return "add " + a.Add.Name + " " + a.Add.Type + " = " + *a.Add.Default
	case a.Add != nil:
		return "add " + a.Add.Name + " " + a.Add.Type
	case a.RenameColumn != nil:
		return "column " + a.RenameColumn.From + "→" + a.RenameColumn.To
	case a.Type != nil && a.Type.Cast:
		return "type " + a.Type.Name + " " + a.Type.Type + " true"
	case a.Type != nil:
		return "type " + a.Type.Name + " " + a.Type.Type + " false"
	case a.Drop != "":
		return "drop " + a.Drop
	}
	return "rename " + a.Rename
}

// TestNegativeDefaultPassesTheFlagParser runs the program: -1 must not be taken for a flag.
func TestNegativeDefaultPassesTheFlagParser(t *testing.T) {
	if code, _, errs := run(t, "", "alter", "t", "add", "c", "bigint", "default", "-1"); code == exitUsage {
		t.Errorf("exit %d, %s", code, errs)
	}
	if code, _, _ := run(t, "", "alter", "t", "add", "c", "bigint", "-1"); code != exitUsage {
		t.Errorf("exit %d, want a usage error: -1 is no flag", code)
	}
}

func TestWriteOptions(t *testing.T) {
	a := &app{stdout: &stdout{w: io.Discard}, stderr: io.Discard}
	cmd := a.writeCommand()
	f := &writeFlags{
		keys: []string{"a,b", `"c,d"`}, newerThan: "ts", message: "m", writeID: "id", format: formatCSV,
		columns: "a:bigint,b:decimal(10,2)", level: 9,
	}
	o, err := f.options(cmd, []string{"x.csv"})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(o.Key, []string{"a", "b", "c,d"}) || o.NewerThan != "ts" || o.Message != "m" || o.WriteID != "id" ||
		o.Format != formatCSV || o.CompressionLevel != 9 || len(o.Columns) != 2 || o.Columns[1].Type != "decimal(10,2)" ||
		o.DeleteOnly || o.DeleteAll {
		t.Errorf("got %+v", o)
	}
	if o, err := (&writeFlags{delete: true, keys: []string{"a"}}).options(cmd, []string{"x.csv"}); err != nil || !o.DeleteOnly || o.DeleteAll {
		t.Errorf("--delete --key: %+v (%v)", o, err)
	}
	if o, err := (&writeFlags{delete: true, all: true}).options(cmd, nil); err != nil || o.DeleteOnly || !o.DeleteAll {
		t.Errorf("--delete --all: %+v (%v)", o, err)
	}
}

func TestWriteSentence(t *testing.T) {
	for want, r := range map[string]supertable.WriteResult{
		"t: 3 rows inserted, 1 replaced · snapshot 4 · version 2": {Table: "t", Inserted: 3, Deleted: 1, Snapshot: 4, Version: 2},
		"t: 1 row inserted · snapshot 1 · version 1":              {Table: "t", Inserted: 1, Snapshot: 1, Version: 1},
		"t: 20 rows deleted · snapshot 5 · version 3":             {Table: "t", Deleted: 20, Snapshot: 5, Version: 3},
		"t: nothing to do · snapshot 5 · version 3":               {Table: "t", Snapshot: 5, Version: 3},
		"t: created without rows · snapshot 1 · version 0":        {Table: "t", Snapshot: 1, Created: true},
		"t: columns changed, no rows · snapshot 2 · version 1":    {Table: "t", Snapshot: 2, Version: 1, Altered: true},
		"t: 2 stale skipped · snapshot 5 · version 3":             {Table: "t", SkippedStale: 2, Snapshot: 5, Version: 3},
		"t: 1 row inserted · snapshot 1 · version 1 · already written under this id": {
			Table: "t", Inserted: 1, Snapshot: 1, Version: 1, Duplicate: true,
		},
	} {
		if got := writeSentence(r); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func printed(t *testing.T, format string, print func(*app) error) string {
	t.Helper()
	var out bytes.Buffer
	a := &app{stdout: &stdout{w: &out}, stderr: io.Discard, flags: globalFlags{format: format}}
	if err := print(a); err != nil && err.Error() != "check: 1 finding" {
		t.Fatal(err)
	}
	return out.String()
}

func TestOneObject(t *testing.T) {
	for format, want := range map[string]string{
		formatTable:  "Created SuperTable: main\n",
		formatJSON:   `{"organization":"o \"1\"","super":"main","created":true,"n":9007199254740993,"x":null}` + "\n",
		formatNDJSON: `{"organization":"o \"1\"","super":"main","created":true,"n":9007199254740993,"x":null}` + "\n",
		formatCSV:    "organization,super,created,n,x\n\"o \"\"1\"\"\",main,true,9007199254740993,\n",
	} {
		got := printed(t, format, func(a *app) error {
			return a.printOne(object{
				{"organization", `o "1"`}, {"super", "main"}, {"created", true}, {"n", int64(9007199254740993)}, {"x", nil},
			}, "Created SuperTable: main")
		})
		if got != want {
			t.Errorf("%s: got %q, want %q", format, got, want)
		}
	}
}

func TestListings(t *testing.T) {
	at := time.Date(2026, 1, 31, 12, 0, 0, 500, time.FixedZone("", 7200))
	tables := tableListing([]supertable.TableInfo{{Name: "t", Version: 2, Rows: 10, Files: 3, Bytes: 4096, Updated: at}})
	for format, want := range map[string]string{
		formatJSON:   `[{"name":"t","version":2,"rows":10,"files":3,"bytes":4096,"updated":"2026-01-31T10:00:00.000000Z"}]` + "\n",
		formatNDJSON: `{"name":"t","version":2,"rows":10,"files":3,"bytes":4096,"updated":"2026-01-31T10:00:00.000000Z"}` + "\n",
		formatCSV:    "name,version,rows,files,bytes,updated\nt,2,10,3,4096,2026-01-31T10:00:00.000000Z\n",
		formatTable: `
┌──────┬─────────┬──────┬───────┬───────┬─────────────────────────────┐
│ name │ version │ rows │ files │ bytes │ updated                     │
├──────┼─────────┼──────┼───────┼───────┼─────────────────────────────┤
│ t    │       2 │   10 │     3 │  4096 │ 2026-01-31T10:00:00.000000Z │
└──────┴─────────┴──────┴───────┴───────┴─────────────────────────────┘
`[1:],
	} {
		if got := printed(t, format, func(a *app) error { return a.printList(tables) }); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", format, got, want)
		}
	}
	for format, want := range map[string]string{
		formatJSON: "[]\n", formatNDJSON: "", formatCSV: "name,type,nullable\n",
		formatTable: "┌──────┬──────┬──────────┐\n│ name │ type │ nullable │\n├──────┼──────┼──────────┤\n└──────┴──────┴──────────┘\n",
	} {
		if got := printed(t, format, func(a *app) error { return a.printList(schemaListing(nil)) }); got != want {
			t.Errorf("empty %s: got %q, want %q", format, got, want)
		}
	}
	h := historyListing([]supertable.HistoryEntry{{Snapshot: 3, Version: 1, Time: at, Table: "t", Operation: "append", Inserted: 2, Principal: "superuser"}})
	want := `[{"snapshot":3,"version":1,"time":"2026-01-31T10:00:00.000000Z","table":"t","operation":"append",` +
		`"inserted":2,"deleted":0,"principal":"superuser","message":""}]` + "\n"
	if got := printed(t, formatJSON, func(a *app) error { return a.printList(h) }); got != want {
		t.Errorf("history: got %s, want %s", got, want)
	}
}

func TestOptionListing(t *testing.T) {
	list := []supertable.Option{{Name: "a", Value: "1", Scope: "default"}, {Name: "b", Value: "", Scope: "table"}}
	if got := printed(t, formatJSON, func(a *app) error { return a.printList(optionListing(list, "B")) }); got != `[{"name":"b","value":"","scope":"table"}]`+"\n" {
		t.Error(got)
	}
}

func TestCheckPrintsItsFindings(t *testing.T) {
	bad := supertable.CheckReport{Findings: []supertable.Finding{{Kind: "missing_file", Object: "a.parquet", Detail: "5 < 6"}}}
	for _, c := range []struct {
		format string
		report supertable.CheckReport
		want   string
	}{
		{formatJSON, supertable.CheckReport{OK: true}, `{"ok":true,"findings":[]}` + "\n"},
		{formatTable, supertable.CheckReport{OK: true}, "ok\n"},
		{formatCSV, supertable.CheckReport{OK: true}, "kind,object,detail\n"},
		{formatJSON, bad, `{"ok":false,"findings":[{"kind":"missing_file","object":"a.parquet","detail":"5 < 6"}]}` + "\n"},
		{formatCSV, bad, "kind,object,detail\nmissing_file,a.parquet,5 < 6\n"},
	} {
		if got := printed(t, c.format, func(a *app) error { return a.printCheck(c.report) }); got != c.want {
			t.Errorf("%s: got %q, want %q", c.format, got, c.want)
		}
	}
	a := &app{stdout: &stdout{w: io.Discard}, flags: globalFlags{format: formatJSON}}
	if err := a.printCheck(bad); supertable.KindOf(err) != supertable.Corrupt {
		t.Errorf("findings are %v, want an error of kind corrupt", err)
	}
}

func TestStatsAreOneObject(t *testing.T) {
	var errs bytes.Buffer
	a := &app{stderr: &errs, flags: globalFlags{quiet: true}}
	if err := a.printStats(supertable.Report{Snapshot: 4, Engine: "duckdb"}); err != nil {
		t.Fatal(err)
	}
	want := `{"timings":[],"plan_stats":[],"files_total":0,"files_read":0,"bytes_total":0,"bytes_read":0,"rows":0,"snapshot":4,"engine":"duckdb"}` + "\n"
	if errs.String() != want {
		t.Errorf("got %s, want %s", errs.String(), want)
	}
}

func TestProgressText(t *testing.T) {
	for want, w := range map[string]supertable.WriteProgress{
		"  50 % · 1000 rows · 2.0 MB/s · 10s left": {Fraction: 0.5, Bytes: 20e6, TotalBytes: 40e6, Rows: 1000},
		" · 7 rows": {Fraction: -1, Rows: 7},
		" 100 %":    {Fraction: 1},
	} {
		if got := progressText(w, 10*time.Second); got != want {
			t.Errorf("%+v: got %q, want %q", w, got, want)
		}
	}
}
