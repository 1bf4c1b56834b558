package supertable_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/ipc"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/testdb"
)

// input writes a file of a test and returns its path.
func stageInput(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func stagePut(t *testing.T, s *supertable.Session, area, name, text string) supertable.StagedFile {
	t.Helper()
	list, err := s.StageFiles(t.Context(), area, []string{stageInput(t, name, text)}, nil)
	if err != nil {
		t.Fatalf("put %s: %v", name, err)
	}
	return list[0]
}

// outcome words the rows of a load: base name, status, rows in and out.
func outcome(rows []supertable.LoadResult) string {
	var out []string
	for _, r := range rows {
		_, name, _ := strings.Cut(r.File, "_")
		out = append(out, fmt.Sprintf("%s %s +%d -%d", name, r.Status, r.Inserted, r.Deleted))
	}
	return strings.Join(out, ", ")
}

func load(t *testing.T, s *supertable.Session, area, file, table string, o *supertable.LoadOptions) string {
	t.Helper()
	rows, err := s.LoadStaged(t.Context(), area, file, table, o)
	if err != nil {
		t.Fatalf("load %s %s: %v (%s)", area, file, err, outcome(rows))
	}
	return outcome(rows)
}

func kindOf(err error) string { return string(supertable.KindOf(err)) }

// TestX05StagingSaveAndList holds scenario X05.
func TestX05StagingSaveAndList(t *testing.T) {
	fixed := time.Date(2026, 1, 31, 10, 0, 0, 0, time.UTC)
	db := testdb.At(t, t.TempDir(), &supertable.Options{MemoryBytes: 256 << 20, Now: func() time.Time { return fixed }})
	s := db.Session("main")
	if tree, err := s.StagedTree(t.Context()); err != nil || len(tree) != 0 {
		t.Fatalf("empty: %v, %v", tree, err)
	}
	var names []string
	for range 3 { // the clock stands still: names differ all the same
		rr := testdb.Batch(t, "id:int64,name:text", `[{"id":1,"name":"a"},{"id":2}]`)
		f, err := s.Stage(t.Context(), "facts", "dummy_file_01.parquet", rr)
		rr.Release()
		if err != nil {
			t.Fatal(err)
		}
		if f.Rows != 2 || f.Status != "staged" || f.Area != "facts" || f.Format != "parquet" || f.Principal != "superuser" {
			t.Errorf("%+v", f)
		}
		names = append(names, f.File)
	}
	want := []string{"20260131100000000_dummy_file_01.parquet", "20260131100000001_dummy_file_01.parquet", "20260131100000002_dummy_file_01.parquet"}
	if !slices.Equal(names, want) {
		t.Errorf("names %v", names)
	}
	tree, err := s.StagedTree(t.Context())
	text, _ := json.Marshal(tree)
	if got := `{"facts":{"` + strings.Join(want, `":null,"`) + `":null}}`; err != nil || string(text) != got {
		t.Errorf("tree %s, %v", text, err)
	}
	for _, name := range want {
		if _, err := os.Stat(filepath.Join(db.Home, "default", "main", "staging", "facts", name)); err != nil {
			t.Error(err)
		}
		if ok, err := s.RemoveStaged(t.Context(), "facts", name); !ok || err != nil {
			t.Errorf("remove %s: %v, %v", name, ok, err)
		}
	}
	if ok, err := s.RemoveStaged(t.Context(), "facts", want[0]); ok || err != nil {
		t.Errorf("remove again: %v, %v", ok, err)
	}
	if tree, err := s.StagedTree(t.Context()); err != nil || len(tree) != 0 {
		t.Errorf("emptied: %v, %v", tree, err)
	}
}

// TestStagingRefusesHostileNames: nothing gets out of its area, and nothing
// is kept of what is refused.
func TestStagingRefusesHostileNames(t *testing.T) {
	db := testdb.Open(t)
	s := db.Session("main")
	for _, name := range []string{"../x", "..", "", "a/b.parquet", `a\b`, "a\x00", "a\nb", strings.Repeat("n", 300)} {
		rr := testdb.Batch(t, "id:int64", `[{"id":1}]`)
		_, err := s.Stage(t.Context(), "facts", name, rr)
		rr.Release()
		if kindOf(err) != "invalid_argument" {
			t.Errorf("name %q: %v", name, err)
		}
		if _, err := s.StageFrom(t.Context(), "facts", name, strings.NewReader("id\n1\n"), &supertable.StageOptions{Format: "csv"}); kindOf(err) != "invalid_argument" {
			t.Errorf("stream %q: %v", name, err)
		}
	}
	for _, area := range []string{"../x", "..", "", "a/b", "a b", "1", strings.Repeat("n", 129)} {
		_, perr := s.StageFiles(t.Context(), area, []string{stageInput(t, "a.csv", "id\n1\n")}, nil)
		_, serr := s.ShowStaged(t.Context(), area, "x", 1)
		_, lerr := s.LoadStaged(t.Context(), area, "", "t", nil)
		_, rerr := s.RemoveStaged(t.Context(), area, "x")
		_, gerr := s.ReadStaged(t.Context(), area, "x", &bytes.Buffer{})
		for i, err := range []error{perr, serr, lerr, rerr, gerr} {
			if kindOf(err) != "invalid_argument" {
				t.Errorf("area %q, call %d: %v", area, i, err)
			}
		}
	}
	stagePut(t, s, "facts", "a.csv", "id\n1\n")
	for _, file := range []string{"../../catalog.db", "/etc/passwd", "a.csv\x00", ""} {
		if _, err := s.ReadStaged(t.Context(), "facts", file, &bytes.Buffer{}); kindOf(err) != "not_found" {
			t.Errorf("get %q: %v", file, err)
		}
	}
}

// TestBadFilesAreNotStaged: a file must be readable to its end, and a put of
// several is all or nothing.
func TestBadFilesAreNotStaged(t *testing.T) {
	db := testdb.Open(t)
	s := db.Session("main")
	var whole bytes.Buffer
	rr := testdb.Batch(t, "id:int64,name:text", `[{"id":1,"name":"a"},{"id":2,"name":"b"}]`)
	defer rr.Release()
	f, err := s.Stage(t.Context(), "ok", "good", rr)
	if err == nil {
		_, err = s.ReadStaged(t.Context(), "ok", f.File, &whole)
	}
	if err != nil {
		t.Fatal(err)
	}
	broken := bytes.Clone(whole.Bytes())
	for i := 8; i < 40; i++ {
		broken[i] ^= 0x5a // inside the first data page
	}
	for name, text := range map[string]string{
		"garbage.parquet": "garbage", "cut.parquet": whole.String()[:whole.Len()/2], "page.parquet": string(broken), "empty.parquet": "",
		"a.arrow": "garbage", "a.json": `{"a":`, "a.ndjson": "{\"a\":1}\n{", "a.csv.gz": "\x1f\x8bnothing", "a.txt": "id\n1\n", "noname": "x",
	} {
		good := stageInput(t, "good.csv", "id\n1\n")
		_, err := s.StageFiles(t.Context(), "bad", []string{good, stageInput(t, name, text)}, nil)
		if kindOf(err) != "invalid_argument" || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), db.Home) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.StageFiles(t.Context(), "bad", []string{filepath.Join(t.TempDir(), "missing.csv")}, nil); kindOf(err) != "not_found" {
		t.Errorf("missing: %v", err)
	}
	if _, err := s.StageFiles(t.Context(), "bad", []string{t.TempDir()}, nil); kindOf(err) != "invalid_argument" {
		t.Errorf("folder: %v", err)
	}
	if list, err := s.Staged(t.Context(), "bad"); err != nil || len(list) != 0 {
		t.Errorf("kept %v, %v", list, err)
	}
	if entries, err := os.ReadDir(filepath.Join(db.Home, "default", "main", "staging")); err != nil || len(entries) != 1 {
		t.Errorf("folders %v, %v", entries, err)
	}
}

// TestStagedBytesComeBack: every format is kept as it was given, shown, and loaded.
func TestStagedBytesComeBack(t *testing.T) {
	db := testdb.Open(t)
	s := db.Session("main")
	for _, c := range []struct{ name, text, format string }{
		{"a.csv", "id,name\n1,a\n2,\n", "csv"},
		{"a.json", `[{"id":1,"name":"a"},{"id":2}]`, "json"},
		{"a.ndjson", "{\"id\":1,\"name\":\"a\"}\n{\"id\":2}\n", "ndjson"},
		{"a.csv.gz", packed(t, "id,name\n1,a\n2,\n"), "csv"},
		{"a.arrow", ipcFile(t, `[{"id":1,"name":"a"},{"id":2}]`), "arrow"},
		{"A.TSV", "id\tname\n1\ta\n2\t\n", "csv"},
		{"*[x]?.csv", "id,name\n1,a\n2,\n", "csv"},
	} {
		f := stagePut(t, s, "In", c.name, c.text)
		if f.Format != c.format || f.Rows != 2 || f.Bytes != int64(len(c.text)) || !regexp.MustCompile(`^[0-9]{17}_`).MatchString(f.File) || !strings.HasSuffix(f.File, "_"+c.name) {
			t.Errorf("%+v", f)
		}
		var got bytes.Buffer
		if _, err := s.ReadStaged(t.Context(), "in", c.name, &got); err != nil || got.String() != c.text {
			t.Errorf("%s: got %q, %v", c.name, got.String(), err)
		}
		p, err := s.ShowStaged(t.Context(), "in", c.name, 1)
		if err != nil {
			t.Fatal(err)
		}
		if !p.Preview.Next() || p.Preview.RecordBatch().NumRows() != 1 || fmt.Sprint(p.Columns) != "[{id BIGINT true} {name VARCHAR true}]" || p.Rows != 2 {
			t.Errorf("%s: %+v", c.name, p)
		}
		p.Preview.Release()
		if got := load(t, s, "in", f.File, "t", nil); !strings.HasSuffix(got, "loaded +2 -0") && c.name != "*[x]?.csv" {
			t.Errorf("%s: %s", c.name, got)
		}
	}
	if got := testdb.Query(t, s, "SELECT count(*), count(DISTINCT id) FROM t", nil); got != "12|2" { // the last file has the bytes of the first
		t.Errorf("rows %s", got)
	}
	if list, _ := s.Staged(t.Context(), "in"); len(list) != 7 || list[0].Area != "In" || list[6].Area != "In" {
		t.Errorf("the area's case: %v", list)
	}
}

func packed(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// ipcFile makes the bytes of an Arrow file.
func ipcFile(t *testing.T, rows string) string {
	t.Helper()
	rr := testdb.Batch(t, "id:int64,name:text", rows)
	defer rr.Release()
	path := filepath.Join(t.TempDir(), "f.arrow")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w, err := ipc.NewFileWriter(f, ipc.WithSchema(rr.Schema()))
	for err == nil && rr.Next() {
		err = w.Write(rr.RecordBatch())
	}
	if err == nil {
		err = errors.Join(w.Close(), f.Close())
	}
	text, rerr := os.ReadFile(path)
	if err != nil || rerr != nil {
		t.Fatal(err, rerr)
	}
	return string(text)
}

// TestLoadOnce: the same bytes go into one table once, whoever brings them.
func TestLoadOnce(t *testing.T) {
	db := testdb.Open(t)
	s := db.Session("main")
	key := &supertable.LoadOptions{Key: []string{"id"}}
	stagePut(t, s, "in", "a.csv", "id,v\n1,1\n2,1\n")
	stagePut(t, s, "in", "b.csv", "id,v\n2,2\n3,2\n")
	steps := []struct {
		file, table string
		o           *supertable.LoadOptions
		want        string
	}{
		{"", "t", key, "a.csv loaded +2 -0, b.csv loaded +2 -1"},
		{"", "t", key, ""},
		{"a.csv", "t", key, "a.csv loaded +0 -0"},
		{"a.csv", "t", nil, "a.csv loaded +0 -0"},
		{"", "u", nil, "a.csv loaded +2 -0, b.csv loaded +2 -0"}, // another table, another once
		{"a.csv", "t", &supertable.LoadOptions{Key: []string{"id"}, Again: true}, "a.csv loaded +2 -2"},
		{"a.csv", "t", &supertable.LoadOptions{Key: []string{"id"}, Again: true}, "a.csv loaded +2 -2"},
	}
	for i, c := range steps {
		if got := load(t, s, "in", c.file, c.table, c.o); got != c.want {
			t.Errorf("step %d: got %s, want %s", i, got, c.want)
		}
	}
	if got := testdb.Query(t, s, "SELECT id, v FROM t ORDER BY id", nil); got != "1|1\n2|1\n3|2" {
		t.Errorf("rows %q", got)
	}
	stagePut(t, s, "other", "c.csv", "id,v\n1,1\n2,1\n") // a.csv under another name
	if got := load(t, s, "other", "", "t", key); got != "c.csv loaded +0 -0" {
		t.Errorf("the same bytes: %s", got)
	}
	if got := load(t, s, "other", "", "t", key); got != "" {
		t.Errorf("the same bytes again: %s", got)
	}
	if _, err := s.DropTable(t.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	if got := load(t, s, "in", "", "t", key); got != "a.csv loaded +2 -0, b.csv loaded +2 -1" {
		t.Errorf("a new table of that name: %s", got)
	}
	if ok, err := s.RemoveStaged(t.Context(), "in", "a.csv"); !ok || err != nil {
		t.Fatal(ok, err)
	}
	events, err := s.StagedHistory(t.Context(), "in")
	if err != nil || len(events) != 8 || !slices.IsSortedFunc(events, func(a, b supertable.StagedEvent) int { return b.Time.Compare(a.Time) }) {
		t.Errorf("history of %d, %v", len(events), err)
	}
	for _, status := range []string{"loaded"} {
		list, _ := s.Staged(t.Context(), "")
		for _, f := range list {
			if f.Status != status {
				t.Errorf("%+v", f)
			}
		}
	}
}

// TestLoadStopsAtTheFirstThatFails: what came before it stays, what follows waits.
func TestLoadStopsAtTheFirstThatFails(t *testing.T) {
	db := testdb.Open(t)
	s := db.Session("main")
	stagePut(t, s, "in", "a.csv", "id\n1\n")
	stagePut(t, s, "in", "b.csv", "id\nx\n")
	stagePut(t, s, "in", "c.csv", "id\n3\n")
	rows, err := s.LoadStaged(t.Context(), "in", "", "t", nil)
	if got := outcome(rows); kindOf(err) != "type_conflict" || got != "a.csv loaded +1 -0, b.csv staged +0 -0" || rows[1].Reason == "" {
		t.Errorf("%s, %v", got, err)
	}
	if got := load(t, s, "in", "c.csv", "t", nil); got != "c.csv loaded +1 -0" {
		t.Error(got)
	}
	for name, c := range map[string]struct {
		area, file, table, want string
		o                       *supertable.LoadOptions
	}{
		"no key column":    {"in", "a.csv", "new", "invalid_argument", &supertable.LoadOptions{Key: []string{"nix"}}},
		"newer_than alone": {"in", "a.csv", "new", "invalid_argument", &supertable.LoadOptions{NewerThan: "id"}},
		"bad table":        {"in", "a.csv", "a-b", "invalid_argument", nil},
		"no file":          {"in", "nope.csv", "t", "not_found", nil},
		"no area":          {"nope", "a.csv", "t", "not_found", nil},
	} {
		if _, err := s.LoadStaged(t.Context(), c.area, c.file, c.table, c.o); kindOf(err) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := load(t, s, "nope", "", "t", nil); got != "" {
		t.Errorf("an empty area: %s", got)
	}
}

// TestDamagedStagedFile: bytes that changed are noticed wherever they are used.
func TestDamagedStagedFile(t *testing.T) {
	db := testdb.At(t, t.TempDir(), nil)
	ctx := t.Context()
	st, _, err := db.Create(ctx, "default", "damaged", nil) // not checked at the end
	if err != nil {
		t.Fatal(err)
	}
	s, err := st.Session(ctx, supertable.Superuser)
	if err != nil {
		t.Fatal(err)
	}
	f := stagePut(t, s, "in", "a.csv", "id\n1\n")
	gone := stagePut(t, s, "in", "b.csv", "id\n2\n")
	dir := filepath.Join(db.Home, "default", "damaged", "staging", "in")
	if err := os.WriteFile(filepath.Join(dir, f.File), []byte("id\n9\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, gone.File)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "stray.csv"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{f.File, gone.File} {
		_, gerr := s.ReadStaged(ctx, "in", name, &bytes.Buffer{})
		_, lerr := s.LoadStaged(ctx, "in", name, "t", nil)
		for _, err := range []error{gerr, lerr} {
			if kindOf(err) != "corrupt" || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), db.Home) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	report, err := s.Check(ctx, true)
	var found []string
	for _, f := range report.Findings {
		found = append(found, f.Kind)
	}
	slices.Sort(found)
	if err != nil || !slices.Equal(found, []string{"bad_checksum", "missing_file", "unknown_file"}) {
		t.Errorf("check: %v, %v", report.Findings, err)
	}
	if ok, err := s.RemoveStaged(ctx, "in", gone.File); !ok || err != nil {
		t.Errorf("remove a missing one: %v, %v", ok, err)
	}
}

// TestStagingOfReadOnly: a read-only SuperTable refuses every change and
// shows what it has.
func TestStagingOfReadOnly(t *testing.T) {
	db := testdb.Open(t)
	s := db.Session("main")
	stagePut(t, s, "in", "a.csv", "id\n1\n")
	pipe := supertable.Pipe{Name: "p", Area: "in", Table: "t", Enabled: true}
	if err := s.CreatePipe(t.Context(), pipe); err != nil {
		t.Fatal(err)
	}
	yes, no := true, false
	if _, _, err := db.Create(t.Context(), "default", "main", &supertable.CreateOptions{ReadOnly: &yes}); err != nil {
		t.Fatal(err)
	}
	_, perr := s.StageFiles(t.Context(), "in", []string{stageInput(t, "b.csv", "id\n1\n")}, nil)
	_, rerr := s.RemoveStaged(t.Context(), "in", "a.csv")
	_, lerr := s.LoadStaged(t.Context(), "in", "", "t", nil)
	_, xerr := s.RunPipe(t.Context(), "p", "")
	_, derr := s.DeletePipe(t.Context(), "p")
	_, eerr := s.EnablePipe(t.Context(), "p", false)
	pipe.Name, pipe.Table = "q", "u"
	cerr := s.CreatePipe(t.Context(), pipe)
	for i, err := range []error{perr, rerr, lerr, xerr, derr, eerr, cerr} {
		if kindOf(err) != "denied" {
			t.Errorf("call %d: %v", i, err)
		}
	}
	if list, err := s.Staged(t.Context(), ""); err != nil || len(list) != 1 || list[0].Status != "staged" {
		t.Errorf("%v, %v", list, err)
	}
	if _, _, err := db.Create(t.Context(), "default", "main", &supertable.CreateOptions{ReadOnly: &no}); err != nil {
		t.Fatal(err)
	}
}

// TestStageAndLoadAtOnce: many put, load and remove at the same time, through
// two openings of one home; every row is there exactly once.
func TestStageAndLoadAtOnce(t *testing.T) {
	db := testdb.Open(t)
	sessions := []*supertable.Session{db.Session("main"), testdb.At(t, db.Home, nil).Session("main")}
	const workers, puts = 4, 6
	var wg sync.WaitGroup
	for w := range workers {
		s := sessions[w%2]
		wg.Go(func() {
			for i := range puts {
				text := fmt.Sprintf("w,i\n%d,%d\n%d,%d\n", w, i, w, i)
				f, err := s.StageFrom(t.Context(), "in", "same.csv", strings.NewReader(text), nil)
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := s.LoadStaged(t.Context(), "in", "", "t", nil); err != nil {
					t.Error(err)
				}
				if i%2 == 0 {
					if _, err := s.RemoveStaged(t.Context(), "in", f.File); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	if got, want := testdb.Query(t, sessions[0], "SELECT count(*), count(DISTINCT (w, i)) FROM t", nil), fmt.Sprintf("%d|%d", 2*workers*puts, workers*puts); got != want {
		t.Errorf("rows %s, want %s", got, want)
	}
	list, err := sessions[0].Staged(t.Context(), "")
	if err != nil || len(list) != workers*puts/2 {
		t.Errorf("%d files, %v", len(list), err)
	}
}

// TestStagingCancelled: a put whose context ends leaves nothing.
func TestStagingCancelled(t *testing.T) {
	db := testdb.Open(t)
	s := db.Session("main")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.StageFiles(ctx, "in", []string{stageInput(t, "a.csv", "id\n1\n")}, nil); kindOf(err) != "cancelled" {
		t.Error(err)
	}
	if list, err := s.Staged(t.Context(), ""); err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
}
