package supertable_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/testdb"
)

func pipe(t *testing.T, s *supertable.Session, text string) {
	t.Helper()
	p, err := supertable.ParsePipe([]byte(text))
	if err == nil {
		err = s.CreatePipe(t.Context(), p)
	}
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

func runPipe(t *testing.T, s *supertable.Session, name, file string) []supertable.LoadResult {
	t.Helper()
	rows, err := s.RunPipe(t.Context(), name, file)
	if err != nil {
		t.Fatalf("run %s: %v", name, err)
	}
	return rows
}

// TestPipeQuarantinesBadFiles: good files are loaded, bad ones set aside whole
// with their reason, and neither comes again.
func TestPipeQuarantinesBadFiles(t *testing.T) {
	db := testdb.Open(t)
	s := db.Session("main")
	pipe(t, s, `{"name":"p","area":"in","table":"t","key":["id"],"newer_than":"at","columns":{"ID":"id","When":"at"},
		"checks":[{"not_null":["id"]},{"unique":["ID"]},{"expr":"amount >= 0 -- never"},{"expr":"\"When\" < 100"},{"expr":"count(*) < 4"}]}`)
	files := []struct{ name, text, want string }{
		{"good.csv", "ID,When,amount\n1,1,5\n2,1,\n", ""},
		{"null.csv", "ID,When,amount\n3,1,5\n,1,5\n", "not_null(id): 1 row with NULL"},
		{"twice.csv", "ID,When,amount\n3,1,5\n3,2,5\n4,1,1\n", "unique(ID): 1 value occurs more than once"},
		{"minus.csv", "ID,When,amount\n3,1,-5\n4,200,-1\n", `amount >= 0 -- never: false for 2 rows; "When" < 100: false for 1 row`},
		{"many.csv", "ID,When,amount\n3,1,5\n4,1,5\n5,1,5\n6,1,5\n", "count(*) < 4: false for 1 row"},
		{"less.csv", "ID,When\n3,1\n", "amount >= 0 -- never: does not fit the columns of the file"},
		{"other.csv", "nr,When,amount\n3,1,1\n", `has no column "ID" to rename`},
		{"text.csv", "ID,When,amount\nx,1,1\n", `column "ID": "x" is not a BIGINT`},
		{"stale.csv", "ID,When,amount\n1,0,6\n2,2,7\n", ""},
		{"arrow.ndjson", `{"ID":5,"When":1,"amount":1}`, ""},
	}
	for _, f := range files {
		stagePut(t, s, "in", f.name, f.text)
	}
	rows := runPipe(t, s, "P", "")
	if len(rows) != len(files) {
		t.Fatalf("%d rows: %s", len(rows), outcome(rows))
	}
	for i, f := range files {
		r, want := rows[i], "loaded"
		if f.want != "" {
			want = "quarantined"
		}
		if r.Status != want || !strings.HasSuffix(r.Reason, f.want) || r.Table != "t" || (r.Snapshot > 0) != (f.want == "") {
			t.Errorf("%s: %+v", f.name, r)
		}
	}
	if got := testdb.Query(t, s, `SELECT id, "at", amount FROM t ORDER BY id`, nil); got != "1|1|5\n2|2|7\n5|1|1" {
		t.Errorf("rows %q", got)
	}
	for range 2 {
		if rows := runPipe(t, s, "p", ""); len(rows) != 0 {
			t.Errorf("again: %s", outcome(rows))
		}
	}
	if got := outcome(runPipe(t, s, "p", "null.csv")); got != "null.csv quarantined +0 -0" {
		t.Error(got)
	}
	list, err := s.Staged(t.Context(), "in")
	if err != nil || len(list) != len(files) {
		t.Fatal(len(list), err)
	}
	for i, f := range list {
		if (f.Status == "quarantined") != (files[i].want != "") || !strings.HasSuffix(f.Reason, files[i].want) {
			t.Errorf("%s: %s, %s", f.File, f.Status, f.Reason)
		}
	}
	// A quarantined file is readable, and loads when somebody names it.
	if got := load(t, s, "in", "many.csv", "kept", nil); got != "many.csv loaded +4 -0" {
		t.Error(got)
	}
	if got := load(t, s, "in", "", "kept2", nil); strings.Contains(got, "null.csv") {
		t.Error(got)
	}
}

// TestPipeOverArrow: a file that the engine reads as a stream is opened for
// each check.
func TestPipeOverArrow(t *testing.T) {
	db := testdb.Open(t)
	s := db.Session("main")
	pipe(t, s, `{"name":"p","area":"in","table":"t","columns":{"name":"label"},"checks":[{"not_null":["id"]},{"unique":["name"]},{"expr":"id < 9"},{"expr":"label <> 'x'"}]}`)
	stagePut(t, s, "in", "good.arrow", ipcFile(t, `[{"id":1,"name":"a"},{"id":2,"name":"b"}]`))
	stagePut(t, s, "in", "bad.arrow", ipcFile(t, `[{"id":10,"name":"x"},{"name":"x"}]`))
	rows := runPipe(t, s, "p", "")
	if got := outcome(rows); got != "good.arrow loaded +2 -0, bad.arrow quarantined +0 -0" {
		t.Fatal(got)
	}
	if want := "not_null(id): 1 row with NULL; unique(name): 1 value occurs more than once; id < 9: false for 1 row; label <> 'x': false for 2 rows"; rows[1].Reason != want {
		t.Errorf("reason %q", rows[1].Reason)
	}
	if got := testdb.Query(t, s, "SELECT id, label FROM t ORDER BY id", nil); got != "1|a\n2|b" {
		t.Errorf("rows %q", got)
	}
}

// TestPipesOfOneTarget: D.14 refuses a second pipe of the same area, table and key.
func TestPipesOfOneTarget(t *testing.T) {
	db := testdb.Open(t)
	s := db.Session("main")
	pipe(t, s, `{"name":"p","area":"in","table":"t","key":["a","b"]}`)
	for def, want := range map[string]string{
		`{"name":"P","area":"x","table":"y"}`:                                                      "already_exists",
		`{"name":"q","area":"IN","table":"T","key":["B","a"]}`:                                     "already_exists",
		`{"name":"r","area":"in","table":"t"}`:                                                     "",
		`{"name":"s","area":"in","table":"u","key":["a","b"]}`:                                     "",
		`{"name":"v","area":"in","table":"main"}`:                                                  "invalid_argument",
		`{"name":"w","area":"in","table":"w","checks":[{"expr":"x;"}]}`:                            "invalid_argument",
		`{"name":"w","area":"in","table":"w","checks":[{"expr":"read_text('/etc/passwd') = ''"}]}`: "unsupported",
	} {
		p, err := supertable.ParsePipe([]byte(def))
		if err == nil {
			err = s.CreatePipe(t.Context(), p)
		}
		if kindOf(err) != want {
			t.Errorf("%s: %v", def, err)
		}
	}
	list, err := s.Pipes(t.Context())
	var names []string
	for _, p := range list {
		names = append(names, p.Name)
	}
	if got := strings.Join(names, " "); err != nil || got != "p r s" {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := s.EnablePipe(t.Context(), "p", false); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RunPipe(t.Context(), "p", ""); kindOf(err) != "invalid_argument" {
		t.Errorf("a disabled pipe: %v", err)
	}
	for i, want := range []bool{true, false} {
		if got, err := s.DeletePipe(t.Context(), "P"); err != nil || got != want {
			t.Errorf("delete %d: %v, %v", i, got, err)
		}
	}
	if _, err := s.RunPipe(t.Context(), "p", ""); kindOf(err) != "not_found" {
		t.Errorf("a deleted pipe: %v", err)
	}
	if _, err := s.EnablePipe(t.Context(), "p", true); kindOf(err) != "not_found" {
		t.Errorf("a deleted pipe: %v", err)
	}
}

// TestPipesBesideEachOther: two openings run one pipe at the same time.
func TestPipesBesideEachOther(t *testing.T) {
	db := testdb.Open(t)
	a, b := db.Session("main"), testdb.At(t, db.Home, nil).Session("main")
	pipe(t, a, `{"name":"p","area":"in","table":"t","checks":[{"expr":"i >= 0"}]}`)
	const files = 12
	for i := range files {
		n := i
		if i%4 == 3 {
			n = -i
		}
		stagePut(t, a, "in", "f.csv", fmt.Sprintf("i\n%d\n%d\n", n, n))
	}
	inserted := int64(0)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, s := range []*supertable.Session{a, b, a, b} {
		wg.Go(func() {
			rows, err := s.RunPipe(t.Context(), "p", "")
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, r := range rows {
				inserted += r.Inserted
			}
		})
	}
	wg.Wait()
	if got, want := testdb.Query(t, a, "SELECT count(*), count(DISTINCT i) FROM t", nil), fmt.Sprintf("%d|%d", files/4*3*2, files/4*3); got != want || inserted != files/4*3*2 {
		t.Errorf("rows %s, want %s; %d told", got, want, inserted)
	}
	list, _ := a.Staged(t.Context(), "")
	states := map[string]int{}
	for _, f := range list {
		states[f.Status]++
	}
	if states["loaded"] != files/4*3 || states["quarantined"] != files/4 {
		t.Errorf("states %v", states)
	}
}

// TestWatchLoadsWhatArrives: files are loaded as they come, bad ones set
// aside, and the watcher ends with its context.
func TestWatchLoadsWhatArrives(t *testing.T) {
	db := testdb.Open(t)
	s := db.Session("main")
	pipe(t, s, `{"name":"p","area":"in","table":"t","checks":[{"not_null":["i"]}]}`)
	pipe(t, s, `{"name":"off","area":"in","table":"off","enabled":false}`)
	ctx, cancel := context.WithCancel(t.Context())
	seen, done := make(chan string, 100), make(chan error, 1)
	go func() {
		done <- s.WatchPipes(ctx, "", &supertable.WatchOptions{
			Every:  10 * time.Millisecond,
			Loaded: func(p string, rows []supertable.LoadResult) { seen <- p + ": " + outcome(rows) },
			Failed: func(p string, err error) { seen <- p + ": " + err.Error() },
		})
	}()
	for i, c := range []struct{ text, want string }{
		{"i\n1\n", "p: f.csv loaded +1 -0"}, {"i,x\n,1\n", "p: f.csv quarantined +0 -0"}, {"i\n2\n", "p: f.csv loaded +1 -0"}, {"i\n1\n", "p: f.csv loaded +0 -0"},
	} {
		stagePut(t, s, "in", "f.csv", c.text)
		select {
		case got := <-seen:
			if got != c.want {
				t.Errorf("file %d: got %s, want %s", i, got, c.want)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("file %d was not seen", i)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("the end: %v", err)
	}
	if got := testdb.Query(t, s, "SELECT i FROM t ORDER BY i", nil); got != "1\n2" {
		t.Errorf("rows %q", got)
	}
	if err := s.WatchPipes(t.Context(), "nope", nil); kindOf(err) != "not_found" {
		t.Errorf("no pipe: %v", err)
	}
}

// TestWatchSurvivesTrouble: what keeps a pipe from running is told, and when
// it is over the files are loaded.
func TestWatchSurvivesTrouble(t *testing.T) {
	db := testdb.Open(t)
	s := db.Session("main")
	pipe(t, s, `{"name":"p","area":"in","table":"t"}`)
	stagePut(t, s, "in", "f.csv", "i\n1\n")
	yes, no := true, false
	if _, _, err := db.Create(t.Context(), "default", "main", &supertable.CreateOptions{ReadOnly: &yes}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen, done := make(chan string, 100), make(chan error, 1)
	go func() {
		done <- s.WatchPipes(ctx, "", &supertable.WatchOptions{
			Every:  10 * time.Millisecond,
			Loaded: func(_ string, rows []supertable.LoadResult) { seen <- outcome(rows) },
			Failed: func(_ string, err error) { seen <- kindOf(err) },
		})
	}()
	next := func() string {
		select {
		case got := <-seen:
			return got
		case <-time.After(30 * time.Second):
			return "nothing"
		}
	}
	for range 2 {
		if got := next(); got != "denied" {
			t.Fatalf("got %s, want denied", got)
		}
	}
	if _, _, err := db.Create(t.Context(), "default", "main", &supertable.CreateOptions{ReadOnly: &no}); err != nil {
		t.Fatal(err)
	}
	for got := next(); got != "f.csv loaded +1 -0"; got = next() {
		if got != "denied" {
			t.Fatal(got)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestStagingAsks: an area is a table name to the rules (decision 12), a
// pipe's definition needs CONTROL, and its run WRITE on both ends.
func TestStagingAsks(t *testing.T) {
	db := testdb.Open(t)
	boss := db.Session("main")
	users := map[string]string{
		"writer": `{"role":"writer","tables":["inbox","t"]}`,
		"half":   `{"role":"writer","tables":["inbox"]}`,
		"reader": `{"role":"reader","tables":["inbox","t"]}`,
		"part":   `{"role":"writer","tables":["inbox","t"],"filters":{"id":1}}`,
		"owner":  `{"role":"admin","tables":["inbox","t"]}`,
		"nobody": `{"role":"meta","tables":["other"]}`,
	}
	stagePut(t, boss, "inbox", "a.csv", "id\n1\n")
	stagePut(t, boss, "secret", "s.csv", "id\n1\n")
	pipe(t, boss, `{"name":"p","area":"inbox","table":"t"}`)
	pipe(t, boss, `{"name":"hidden","area":"secret","table":"t"}`)
	load(t, boss, "secret", "", "vault", nil)
	sessions := map[string]*supertable.Session{}
	for name, doc := range users {
		hash, err := boss.CreateRole(t.Context(), []byte(doc))
		if err == nil {
			_, err = boss.CreateUser(t.Context(), name, []string{hash}, nil)
		}
		if err != nil {
			t.Fatal(name, err)
		}
		st, err := db.SuperTable(t.Context(), "default", "main")
		if err == nil {
			sessions[name], err = st.Session(t.Context(), name)
		}
		if err != nil {
			t.Fatal(name, err)
		}
	}
	stagePut(t, sessions["part"], "inbox", "c.csv", "id\n1\n") // all that he sees there
	calls := map[string]func(*supertable.Session) error{
		"put": func(s *supertable.Session) error {
			_, err := s.StageFrom(t.Context(), "inbox", "b.csv", strings.NewReader("id\n1\n"), nil)
			return err
		},
		"put-secret": func(s *supertable.Session) error {
			_, err := s.StageFrom(t.Context(), "secret", "b.csv", strings.NewReader("id\n1\n"), nil)
			return err
		},
		"show": func(s *supertable.Session) error {
			p, err := s.ShowStaged(t.Context(), "inbox", "a.csv", 1)
			if err == nil {
				p.Preview.Release()
			}
			return err
		},
		"get": func(s *supertable.Session) error {
			_, err := s.ReadStaged(t.Context(), "inbox", "a.csv", io.Discard)
			return err
		},
		"own": func(s *supertable.Session) error {
			f, err := s.StageFrom(t.Context(), "inbox", "own.csv", strings.NewReader("id\n1\n"), nil)
			if err != nil {
				return err
			}
			p, err := s.ShowStaged(t.Context(), "inbox", f.File, 1)
			if err == nil {
				p.Preview.Release()
				_, err = s.ReadStaged(t.Context(), "inbox", f.File, io.Discard)
			}
			if err == nil {
				_, err = s.LoadStaged(t.Context(), "inbox", f.File, "t", nil)
			}
			if err == nil {
				_, err = s.RemoveStaged(t.Context(), "inbox", f.File)
			}
			return err
		},
		"rm": func(s *supertable.Session) error { _, err := s.RemoveStaged(t.Context(), "inbox", "nope"); return err },
		"load": func(s *supertable.Session) error {
			_, err := s.LoadStaged(t.Context(), "inbox", "a.csv", "t", nil)
			return err
		},
		"define": func(s *supertable.Session) error {
			return s.CreatePipe(t.Context(), supertable.Pipe{Name: "p", Area: "inbox", Table: "t", Enabled: true})
		},
		"run":        func(s *supertable.Session) error { _, err := s.RunPipe(t.Context(), "p", ""); return err },
		"run-hidden": func(s *supertable.Session) error { _, err := s.RunPipe(t.Context(), "hidden", ""); return err },
		"watch": func(s *supertable.Session) error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			return s.WatchPipes(ctx, "p", nil)
		},
		"enable": func(s *supertable.Session) error { _, err := s.EnablePipe(t.Context(), "p", true); return err },
		"list": func(s *supertable.Session) error {
			list, err := s.Staged(t.Context(), "")
			tree, terr := s.StagedTree(t.Context())
			events, herr := s.StagedHistory(t.Context(), "")
			for _, f := range list {
				if f.Area != "inbox" || tree["inbox"] == nil {
					return fmt.Errorf("sees %s", f.Area)
				}
			}
			for _, e := range events {
				if e.Area != "inbox" {
					return fmt.Errorf("sees %+v", e)
				}
			}
			if err != nil || terr != nil || herr != nil {
				return fmt.Errorf("%w %w %w", err, terr, herr)
			}
			return fmt.Errorf("%d areas", len(tree))
		},
		"pipes": func(s *supertable.Session) error {
			list, err := s.Pipes(t.Context())
			if err != nil {
				return err
			}
			return fmt.Errorf("%d pipes", len(list))
		},
	}
	const denied, missing = "denied", "not_found"
	for name, want := range map[string]map[string]string{
		"writer": {"put-secret": denied, "define": denied, "run-hidden": missing, "enable": denied, "list": "1 areas", "pipes": "0 pipes"},
		"half":   {"put-secret": denied, "define": denied, "own": denied, "load": denied, "run": missing, "watch": missing, "run-hidden": missing, "enable": missing, "list": "1 areas", "pipes": "0 pipes"},
		"reader": {"put": denied, "own": denied, "put-secret": denied, "show": denied, "get": denied, "rm": denied, "load": denied, "define": denied, "run": missing, "watch": missing, "run-hidden": missing, "enable": missing, "list": "0 areas", "pipes": "0 pipes"},
		"nobody": {"put": denied, "own": denied, "put-secret": denied, "show": denied, "get": denied, "rm": denied, "load": denied, "define": denied, "run": missing, "watch": missing, "run-hidden": missing, "enable": missing, "list": "0 areas", "pipes": "0 pipes"},
		"part":   {"put-secret": denied, "show": denied, "get": denied, "rm": denied, "load": denied, "define": denied, "run-hidden": missing, "enable": denied, "list": "1 areas", "pipes": "0 pipes"},
		"owner":  {"put-secret": denied, "define": "already_exists", "run-hidden": missing, "list": "1 areas", "pipes": "1 pipes"},
	} {
		for call, do := range calls {
			err := do(sessions[name])
			got := kindOf(err)
			if got == "internal" {
				got = err.Error()
			}
			if got != want[call] {
				t.Errorf("%s, %s: %v, want %q", name, call, err, want[call])
			}
		}
	}
}
