package faulty

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/testdb"
)

// damage spoils a file in a way of its own.
type damage struct {
	name string
	do   func(t *testing.T, path string)
}

func rewrite(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(b), 0o666); err != nil {
		t.Fatal(err)
	}
}

var damages = []damage{
	{"missing", func(t *testing.T, path string) {
		t.Helper()
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}},
	{"cut short", func(t *testing.T, path string) {
		rewrite(t, path, func(b []byte) []byte { return b[:len(b)-100] })
	}},
	{"empty", func(t *testing.T, path string) { rewrite(t, path, func([]byte) []byte { return nil }) }},
	{"garbage", func(t *testing.T, path string) {
		rewrite(t, path, func(b []byte) []byte { return bytes.Repeat([]byte{0xa5}, len(b)) })
	}},
	{"pages zeroed", func(t *testing.T, path string) {
		rewrite(t, path, func(b []byte) []byte {
			clear(b[4 : len(b)/2])
			return b
		})
	}},
	{"another file of that size", func(t *testing.T, path string) {
		rewrite(t, path, func(b []byte) []byte {
			copy(b[len(b)-200:], bytes.Repeat([]byte{1}, 190))
			return b
		})
	}},
	{"a folder in its place", func(t *testing.T, path string) {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(path, 0o777); err != nil {
			t.Fatal(err)
		}
	}},
}

// corrupt fails the test unless err is corrupt, names the file and no folder.
func corrupt(t *testing.T, what string, err error, home, path string) {
	t.Helper()
	switch {
	case supertable.KindOf(err) != supertable.Corrupt:
		t.Errorf("%s: got %v (%s), want corrupt", what, err, supertable.KindOf(err))
	case !strings.Contains(err.Error(), filepath.Base(path)) || strings.Contains(err.Error(), home):
		t.Errorf("%s: the message is %q, want the name %s and no folder", what, err, filepath.Base(path))
	}
}

// damaged makes a table of 3 files with deletes, spoils one file that the
// pattern picks, and looks at every way to meet it.
func damaged(t *testing.T, d damage, pattern string) {
	home := t.TempDir()
	s := session(t, open(t, home, supertable.Options{}))
	if err := s.SetOption(t.Context(), "", "inline_delete_limit", "0"); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		mustPut(t, s, "t", i*2000, 2000, "base", nil)
	}
	mustPut(t, s, "t", 100, 200, "", &supertable.WriteOptions{Key: []string{"k"}, DeleteOnly: true})
	mustPut(t, s, "other", 0, 10, "base", nil)
	if err := s.SetOption(t.Context(), "", "inline_delete_limit", ""); err != nil {
		t.Fatal(err)
	}
	wantClean(t, s)
	var path string
	for _, f := range files(t, filepath.Join(root(home), "data", "main", "t"), ".parquet") {
		if strings.Contains(filepath.Base(f), "-delete") == (pattern == "delete") {
			path = f
			break
		}
	}
	if path == "" {
		t.Fatalf("no %s file", pattern)
	}
	d.do(t, path)

	// A new process has nothing in memory.
	s = session(t, open(t, home, supertable.Options{}))
	head := func() int64 {
		h, err := s.History(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		return h[0].Snapshot
	}
	before := head()
	_, err := testdb.TryQuery(t.Context(), s, "SELECT sum(k), min(v) FROM t", nil)
	corrupt(t, "query", err, home, path)
	_, err = testdb.TryQuery(t.Context(), s, "SELECT * FROM t WHERE k = 50", nil)
	corrupt(t, "point query", err, home, path)
	_, err = put(t.Context(), s, "t", 0, 1000, "new", byKey)
	corrupt(t, "upsert", err, home, path)
	_, err = put(t.Context(), s, "t", 150, 1, "new", byKey)
	corrupt(t, "upsert of one", err, home, path)
	_, err = s.Alter(t.Context(), "t", supertable.Alteration{Type: &supertable.ChangeColumnType{Name: "k", Type: "VARCHAR", Cast: true}})
	corrupt(t, "cast", err, home, path)
	if got := head(); got != before {
		t.Errorf("a failed write made snapshot %d", got)
	}
	report, err := s.Check(t.Context(), true)
	if err != nil || report.OK {
		t.Errorf("check sees nothing: %v %+v", err, report)
	}
	named := false
	for _, f := range report.Findings {
		named = named || strings.Contains(f.Object, filepath.Base(path)) || strings.Contains(f.Detail, filepath.Base(path))
	}
	if !named {
		t.Errorf("check does not name %s: %+v", filepath.Base(path), report.Findings)
	}
	// What does not need the file goes on.
	nextWrites(t, s, "other")
	mustPut(t, s, "t", 50_000, 10, "more", nil)
	if got := testdb.Query(t, s, "SELECT count(*) FROM t WHERE k >= 4000", nil); got != "2010" {
		t.Errorf("got %s rows of the other files, want 2010", got)
	}
}

func TestDamagedDataFile(t *testing.T) {
	for _, d := range damages {
		t.Run(d.name, func(t *testing.T) { damaged(t, d, "data") })
	}
}

func TestDamagedDeleteFile(t *testing.T) {
	for _, d := range damages {
		t.Run(d.name, func(t *testing.T) { damaged(t, d, "delete") })
	}
}

// TestDamagedCatalog spoils catalog.db itself.
func TestDamagedCatalog(t *testing.T) {
	for _, d := range []damage{
		{"garbage", damages[3].do},
		{"cut short", func(t *testing.T, path string) { rewrite(t, path, func(b []byte) []byte { return b[:5000] }) }},
		{"no header", func(t *testing.T, path string) {
			rewrite(t, path, func(b []byte) []byte { return append(bytes.Repeat([]byte("x"), 100), b[100:]...) })
		}},
		{"pages of garbage", func(t *testing.T, path string) {
			rewrite(t, path, func(b []byte) []byte {
				copy(b[4096:], bytes.Repeat([]byte{0xff}, len(b)-4096))
				return b
			})
		}},
		{"text", func(t *testing.T, path string) {
			rewrite(t, path, func([]byte) []byte { return []byte("this is not a database, and long enough to be read as one") })
		}},
	} {
		t.Run(d.name, func(t *testing.T) {
			home := t.TempDir()
			first, err := supertable.Open(t.Context(), home, &supertable.Options{InlineRows: -1})
			if err != nil {
				t.Fatal(err)
			}
			mustPut(t, session(t, first), "t", 0, 100, "base", nil)
			if err := first.Close(); err != nil {
				t.Fatal(err)
			}
			d.do(t, filepath.Join(root(home), "catalog.db"))
			for _, f := range files(t, root(home), ".db-wal") {
				if err := os.Remove(f); err != nil {
					t.Fatal(err)
				}
			}
			lake := open(t, home, supertable.Options{})
			st, err := lake.SuperTable(t.Context(), "default", "main")
			if err == nil { // the damage lies deeper
				var s *supertable.Session
				if s, err = st.Session(t.Context(), supertable.Superuser); err == nil {
					_, err = testdb.TryQuery(t.Context(), s, "SELECT count(*) FROM t", nil)
				}
			}
			wantKind(t, err, supertable.Corrupt)
			_, _, err = lake.Create(t.Context(), "default", "main", nil)
			wantKind(t, err, supertable.Corrupt)
			if err != nil && strings.Contains(err.Error(), home) {
				t.Errorf("the message names a folder: %v", err)
			}
		})
	}
}

// change runs a statement on the catalog as a newer program would have.
func change(t *testing.T, home, statement string, args ...any) {
	t.Helper()
	db := catalogDB(t, home)
	if _, err := db.ExecContext(context.Background(), statement, args...); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func TestNewerCatalog(t *testing.T) {
	for _, tt := range []struct {
		name, statement string
		words           []string
	}{
		{"format", `UPDATE ducklake_metadata SET "value" = '1.1' WHERE "key" = 'version'`, []string{"1.1", "1.0"}},
		{"old format", `UPDATE ducklake_metadata SET "value" = '0.2' WHERE "key" = 'version'`, []string{"0.2", "1.0"}},
		{"side tables", `INSERT INTO supertable_migration (number, name, applied) VALUES (99, 'x', '2040-01-01')`, []string{"99", "newer program"}},
		{"encrypted", `UPDATE ducklake_metadata SET "value" = 'true' WHERE "key" = 'encrypted'`, []string{"encrypted"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			home := t.TempDir()
			running := session(t, open(t, home, supertable.Options{}))
			mustPut(t, running, "t", 0, 100, "base", nil)
			change(t, home, tt.statement)
			lake := open(t, home, supertable.Options{})
			_, err := lake.SuperTable(t.Context(), "default", "main")
			wantKind(t, err, supertable.Unsupported)
			_, _, cerr := lake.Create(t.Context(), "default", "main", nil)
			wantKind(t, cerr, supertable.Unsupported)
			for _, w := range tt.words {
				if err == nil || !strings.Contains(err.Error(), w) {
					t.Errorf("the message %v lacks %q", err, w)
				}
			}
			if tt.name == "side tables" {
				return
			}
			// A process that was running when the catalog moved on stops writing.
			_, err = put(t.Context(), running, "t", 0, 1, "x", nil)
			wantKind(t, err, supertable.Unsupported)
		})
	}
}
