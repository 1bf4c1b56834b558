package supertable_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/testdb"
)

// answers gives a hash of the rows of each table at each snapshot, and what
// the listings say.
func answers(t *testing.T, s *supertable.Session) map[string]string {
	t.Helper()
	ctx := t.Context()
	out := map[string]string{}
	history, err := s.History(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	names, newest := map[string]bool{}, int64(0)
	for _, h := range history {
		names[h.Table] = true
		newest = max(newest, h.Snapshot)
		out[fmt.Sprintf("history %d %s", h.Snapshot, h.Table)] = fmt.Sprintf("%d %s %s %d %d %q", h.Version, h.Time, h.Operation, h.Inserted, h.Deleted, h.Message)
	}
	for at := int64(0); at <= newest; at++ {
		for name := range names {
			rows, err := testdb.TryQuery(ctx, s, "SELECT * FROM "+name, &supertable.QueryOptions{AtVersion: &at})
			if supertable.KindOf(err) == supertable.NotFound {
				rows, err = "none", nil
			}
			if err != nil {
				t.Fatalf("%s at %d: %v", name, at, err)
			}
			sum := sha256.Sum256([]byte(rows))
			out[fmt.Sprintf("%s at %d", name, at)] = hex.EncodeToString(sum[:8])
		}
	}
	tables, err := s.Tables(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, ti := range tables {
		out["table "+ti.Name] = fmt.Sprintf("%d %d %d %d %s", ti.Version, ti.Rows, ti.Files, ti.Bytes, ti.Updated)
		cols, err := s.Schema(ctx, ti.Name)
		if err != nil {
			t.Fatal(err)
		}
		out["schema "+ti.Name] = fmt.Sprint(cols)
	}
	options, err := s.Options(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	out["options"] = fmt.Sprint(options)
	roles, err := s.Roles(ctx)
	if err != nil {
		t.Fatal(err)
	}
	users, err := s.Users(ctx)
	if err != nil {
		t.Fatal(err)
	}
	out["who"] = fmt.Sprintf("%+v %+v", roles, users)
	return out
}

// fill makes a lake with some of everything.
func fillBackup(t *testing.T, s *supertable.Session) {
	t.Helper()
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.SetOption(ctx, "", "data_inlining_row_limit", "0")) // in files
	key := &supertable.WriteOptions{Key: []string{"id"}, Message: "two", WriteID: "w1"}
	testdb.Write(t, s, "orders", "id:int64,v:text", `[{"id":1,"v":"a"},{"id":2,"v":"b"},{"id":3,"v":null}]`, nil)
	testdb.Write(t, s, "orders", "id:int64,v:text", `[{"id":2,"v":"c"},{"id":4,"v":"d"}]`, key)
	_, err := s.Alter(ctx, "orders", supertable.Alteration{Add: &supertable.AddColumn{Name: "extra", Type: "INTEGER"}})
	must(err)
	role, err := s.CreateRole(ctx, []byte(`{"role": "reader", "tables": ["orders"], "columns": ["id"]}`))
	must(err)
	_, err = s.CreateUser(ctx, "alice", []string{role}, nil)
	must(err)
	must(s.SetOption(ctx, "", "inline_delete_limit", "0")) // from here on delete files
	testdb.Write(t, s, "orders", "id:int64,v:text", `[{"id":1,"v":"e"}]`, &supertable.WriteOptions{Key: []string{"id"}})
	testdb.Write(t, s, "gone", "id:int64", `[{"id":1}]`, nil)
	_, err = s.DropTable(ctx, "gone")
	must(err)
	_, err = s.Alter(ctx, "orders", supertable.Alteration{RenameColumn: &supertable.RenameColumn{From: "v", To: "w"}})
	must(err)
	must(s.SetOption(ctx, "", "data_inlining_row_limit", ""))
	testdb.Write(t, s, "orders", "id:int64,w:text", `[{"id":5,"w":"inside the catalog"}]`, nil)
}

func home(db *testdb.DB, super string) string { return filepath.Join(db.Home, "default", super) }

// TestBackupAndRestore brings a lake into another home under another name.
func TestBackupAndRestore(t *testing.T) {
	db := testdb.Open(t)
	s := db.Session("shop")
	fillBackup(t, s)
	staged, err := s.StageFrom(t.Context(), "area", "f.csv", strings.NewReader("id\n1\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := answers(t, s)
	dir := filepath.Join(t.TempDir(), "backup")
	if err := os.Mkdir(dir, 0o777); err != nil { // an empty folder will do
		t.Fatal(err)
	}
	made, err := s.Backup(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	st, err := db.SuperTable(t.Context(), "default", "shop")
	if err != nil {
		t.Fatal(err)
	}
	alice, err := st.Session(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := alice.Backup(t.Context(), filepath.Join(t.TempDir(), "hers")); !errors.Is(err, supertable.Denied) {
		t.Errorf("backup by a reader: %v", err)
	}
	if _, err := db.Rebuild(t.Context(), "alice", "default", "shop", &supertable.RebuildOptions{Force: true}); !errors.Is(err, supertable.Denied) {
		t.Errorf("rebuild by a reader: %v", err)
	}
	testdb.Write(t, s, "orders", "id:int64", `[{"id":9}]`, nil) // is not in it

	other := testdb.At(t, t.TempDir(), nil)
	got, err := other.Restore(t.Context(), supertable.Superuser, "elsewhere", "copied", dir)
	if err != nil || got != made {
		t.Fatalf("restored %+v, %v; the backup was %+v", got, err, made)
	}
	o := other.SessionIn("elsewhere", "copied")
	if d := cmp.Diff(want, answers(t, o)); d != "" {
		t.Error(d)
	}
	if b, err := os.ReadFile(filepath.Join(other.Home, "elsewhere", "copied", "staging", "area", staged.File)); string(b) != "id\n1\n" {
		t.Errorf("staging: %q %v", b, err)
	}
	// The copy goes its own way, and remembers the write ids.
	r := testdb.Write(t, o, "orders", "id:int64,v:text", `[{"id":2,"v":"c"},{"id":4,"v":"d"}]`, &supertable.WriteOptions{Key: []string{"id"}, Message: "two", WriteID: "w1"})
	if !r.Duplicate {
		t.Errorf("the write id is forgotten: %+v", r)
	}
	testdb.Write(t, o, "orders", "id:int64", `[{"id":10}]`, nil)
	if _, err := other.Restore(t.Context(), supertable.Superuser, "elsewhere", "COPIED", dir); !errors.Is(err, supertable.AlreadyExists) {
		t.Errorf("over a SuperTable: %v", err)
	}
	if _, err := other.Restore(t.Context(), supertable.Superuser, "elsewhere", "orders", dir); !errors.Is(err, supertable.InvalidArgument) {
		t.Errorf("under the name of one of its tables: %v", err)
	}
	if _, err := other.Restore(t.Context(), "bob", "elsewhere", "third", dir); !errors.Is(err, supertable.Denied) {
		t.Errorf("by somebody else: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(other.Home, "elsewhere", ".restore-*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestBackupWhileWritersRun compares each snapshot that the backup has.
func TestBackupWhileWritersRun(t *testing.T) {
	db := testdb.Open(t)
	s := db.Session("shop")
	fillBackup(t, s)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for w := range 3 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				rr := testdb.Batch(t, "id:int64,w:text", fmt.Sprintf(`[{"id":%d,"w":"%d"},{"id":%d,"w":"x"}]`, i%7, w, 100+i))
				_, err := s.Write(ctx, []string{"orders", "other", "third"}[(w+i)%3], rr, &supertable.WriteOptions{Key: []string{"id"}})
				rr.Release()
				if err != nil && ctx.Err() == nil {
					t.Error(err)
					return
				}
			}
		})
	}
	var made []supertable.BackupResult
	dirs := t.TempDir()
	for i := range 4 {
		r, err := s.Backup(t.Context(), filepath.Join(dirs, fmt.Sprint(i)))
		if err != nil {
			t.Errorf("backup %d: %v", i, err)
		}
		made = append(made, r)
	}
	stop()
	wg.Wait()
	want := answers(t, s)
	other := testdb.At(t, t.TempDir(), nil)
	for i, r := range made {
		name := fmt.Sprintf("copy%d", i)
		if _, err := other.Restore(t.Context(), supertable.Superuser, "default", name, filepath.Join(dirs, fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
		got := answers(t, other.Session(name))
		compared := 0
		for k, v := range got {
			if strings.Contains(k, " at ") || strings.HasPrefix(k, "history") {
				compared++
				if want[k] != v {
					t.Errorf("backup %d at snapshot %d, %s: %s, was %s", i, r.Snapshot, k, v, want[k])
				}
			}
		}
		t.Logf("backup %d: snapshot %d, %d answers", i, r.Snapshot, compared)
	}
}

// TestHostileFolders names folders that no backup may go to.
func TestHostileFolders(t *testing.T) {
	db := testdb.Open(t)
	s := db.Session("shop")
	fillBackup(t, s)
	tmp := t.TempDir()
	write := func(name string) {
		t.Helper()
		path := filepath.Join(tmp, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("mine"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write("full/x")
	write("file")
	for link, to := range map[string]string{"nowhere": "missing", "tofull": "full", "home": db.Home, "loop": "loop"} {
		if err := os.Symlink(to, filepath.Join(tmp, link)); err != nil {
			t.Fatal(err)
		}
	}
	before := tree(t, tmp)
	for dir, want := range map[string]supertable.ErrorKind{
		"":                              supertable.InvalidArgument,
		filepath.Join(tmp, "full"):      supertable.AlreadyExists,
		filepath.Join(tmp, "file"):      supertable.AlreadyExists,
		filepath.Join(tmp, "file", "x"): supertable.NotFound,
		filepath.Join(tmp, "nowhere"):   supertable.AlreadyExists,
		filepath.Join(tmp, "tofull"):    supertable.AlreadyExists,
		filepath.Join(tmp, "loop"):      supertable.AlreadyExists,
		filepath.Join(tmp, "a", "b"):    supertable.NotFound,
		db.Home:                         supertable.InvalidArgument,
		filepath.Join(tmp, "home", "x"): supertable.InvalidArgument,
		home(db, "shop"):                supertable.InvalidArgument,
		filepath.Join(home(db, "new")):  supertable.InvalidArgument,
		filepath.Join(db.Home, "..", "z", "..", filepath.Base(db.Home), "y"): supertable.InvalidArgument,
	} {
		if _, err := s.Backup(t.Context(), dir); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %s", dir, err, want)
		}
		if _, err := db.Restore(t.Context(), supertable.Superuser, "default", "new", dir); supertable.KindOf(err) != supertable.NotFound {
			t.Errorf("restore from %q: %v", dir, err)
		}
	}
	if d := cmp.Diff(before, tree(t, tmp)); d != "" {
		t.Error(d)
	}
}

// tree lists what lies below a folder.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		out = append(out, strings.TrimPrefix(path, dir))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestDamagedBackups changes a backup in every way: nothing of it appears.
func TestDamagedBackups(t *testing.T) {
	db := testdb.Open(t)
	s := db.Session("shop")
	fillBackup(t, s)
	dir := filepath.Join(t.TempDir(), "backup")
	if _, err := s.Backup(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	data, err := filepath.Glob(filepath.Join(dir, "data", "main", "orders", "*"))
	if err != nil || len(data) == 0 {
		t.Fatal(data, err)
	}
	manifest := filepath.Join(dir, "backup.json")
	replace := func(old, by string) func(string) error {
		return func(path string) error {
			b, err := os.ReadFile(path)
			if err != nil || !strings.Contains(string(b), old) {
				return fmt.Errorf("no %q: %w", old, err)
			}
			return os.WriteFile(path, []byte(strings.Replace(string(b), old, by, 1)), 0o666)
		}
	}
	flip := func(path string) error {
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		b[rand.IntN(len(b))] ^= 4
		return os.WriteFile(path, b, 0o666)
	}
	for name, c := range map[string]struct {
		path   string
		damage func(string) error
		want   supertable.ErrorKind
	}{
		"no manifest":       {manifest, os.Remove, supertable.NotFound},
		"cut manifest":      {manifest, func(p string) error { return os.Truncate(p, 100) }, supertable.Corrupt},
		"newer manifest":    {manifest, replace(`"version": 1`, `"version": 2`), supertable.Unsupported},
		"path out of it":    {manifest, replace(`"path": "data/main/`, `"path": "data/../../`), supertable.Corrupt},
		"absolute path":     {manifest, replace(`"path": "data/main/`, `"path": "/data/main/`), supertable.Corrupt},
		"path of ours":      {manifest, replace(`"path": "data/main/`, `"path": "tmp/main/`), supertable.Corrupt},
		"another snapshot":  {manifest, replace(`"snapshot": `, `"snapshot": 1`), supertable.Corrupt},
		"data file missing": {data[0], os.Remove, supertable.Corrupt},
		"data file cut":     {data[0], func(p string) error { return os.Truncate(p, 10) }, supertable.Corrupt},
		"data file flipped": {data[0], flip, supertable.Corrupt},
		"catalog flipped":   {filepath.Join(dir, "catalog.db"), flip, supertable.Corrupt},
		"data file a link":  {data[0], func(p string) error { return errors.Join(os.Rename(p, p+".away"), os.Symlink("/etc/hostname", p)) }, ""},
		"not in manifest":   {data[0], func(string) error { return os.WriteFile(filepath.Join(dir, "data", "evil"), nil, 0o666) }, "fine"},
	} {
		t.Run(name, func(t *testing.T) {
			saved := filepath.Join(t.TempDir(), "saved")
			if err := os.CopyFS(saved, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			if err := c.damage(c.path); err != nil {
				t.Fatal(err)
			}
			_, verr := db.VerifyBackup(t.Context(), supertable.Superuser, dir)
			_, err := db.Restore(t.Context(), supertable.Superuser, "default", "again", dir)
			if supertable.KindOf(verr) != supertable.KindOf(err) {
				t.Errorf("verify says %v, restore %v", verr, err)
			}
			switch {
			case c.want == "fine" && err == nil:
				s := db.Session("again")
				if _, err := os.Stat(filepath.Join(home(db, "again"), "data", "evil")); err == nil {
					t.Error("a file that is in no manifest was restored")
				}
				if err := s.DropSuperTable(t.Context()); err != nil {
					t.Fatal(err)
				}
			case err == nil || c.want != "" && !errors.Is(err, c.want):
				t.Errorf("got %v, want %s", err, c.want)
			}
			if names, err := db.SuperTables(t.Context(), "default"); err != nil || !slices.Equal(names, []string{"shop"}) {
				t.Errorf("SuperTables: %v %v", names, err)
			}
			if err := errors.Join(os.RemoveAll(dir), os.CopyFS(dir, os.DirFS(saved))); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestBackupFindsDamage: what is not what was written is not backed up.
func TestBackupFindsDamage(t *testing.T) {
	db := testdb.At(t, t.TempDir(), nil)
	st, _, err := db.Create(t.Context(), "default", "shop", nil) // not checked at the end: it is damaged
	if err != nil {
		t.Fatal(err)
	}
	s, err := st.Session(t.Context(), supertable.Superuser)
	if err != nil {
		t.Fatal(err)
	}
	fillBackup(t, s)
	data, err := filepath.Glob(filepath.Join(home(db, "shop"), "data", "main", "orders", "*"))
	if err != nil || len(data) == 0 {
		t.Fatal(data, err)
	}
	b, err := os.ReadFile(data[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(data[0], b, 0o666); err != nil {
		t.Fatal(err)
	}
	parent := t.TempDir()
	if _, err := s.Backup(t.Context(), filepath.Join(parent, "backup")); !errors.Is(err, supertable.Corrupt) {
		t.Errorf("got %v", err)
	}
	if left := tree(t, parent); len(left) != 1 {
		t.Errorf("left: %v", left)
	}
}

// TestRebuild loses the catalog in every way; the answers are as before.
func TestRebuild(t *testing.T) {
	garbage := func(path string) error { return os.WriteFile(path, []byte(strings.Repeat("garbage ", 9000)), 0o666) }
	for name, lose := range map[string]func(string) error{
		"deleted":   os.Remove,
		"truncated": func(p string) error { return os.Truncate(p, 20_000) },
		"emptied":   func(p string) error { return os.Truncate(p, 0) },
		"garbage":   garbage,
		"a page": func(p string) error {
			f, err := os.OpenFile(p, os.O_RDWR, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteAt([]byte(strings.Repeat("x", 4096*20)), 4096*4)
			return errors.Join(err, f.Close())
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			before := testdb.At(t, dir, nil)
			s := before.Session("shop")
			fillBackup(t, s)
			want := answers(t, s)
			if err := before.Close(); err != nil {
				t.Fatal(err)
			}
			catalog := filepath.Join(dir, "default", "shop", "catalog.db")
			_, _ = os.Remove(catalog+"-wal"), os.Remove(catalog+"-shm")
			if err := lose(catalog); err != nil {
				t.Fatal(err)
			}
			stored := tree(t, filepath.Join(dir, "default", "shop", "data"))
			db := testdb.At(t, dir, nil)
			if name != "a page" { // which may go unnoticed for a while
				if _, err := db.SuperTable(t.Context(), "default", "shop"); !errors.Is(err, supertable.Corrupt) || !strings.Contains(err.Error(), "rebuild") {
					t.Errorf("opening: %v", err)
				}
				if _, _, err := db.Create(t.Context(), "default", "shop", nil); !errors.Is(err, supertable.Corrupt) {
					t.Errorf("creating: %v", err)
				}
				if _, err := db.Rebuild(t.Context(), "bob", "default", "shop", nil); !errors.Is(err, supertable.Denied) {
					t.Errorf("rebuild by another: %v", err)
				}
			}
			r, err := db.Rebuild(t.Context(), supertable.Superuser, "default", "shop", nil)
			if err != nil {
				t.Fatal(err)
			}
			if r.Tables != 1 || len(r.Missing) > 0 || r.Snapshots < 7 || (r.Kept != "") != (name != "deleted") {
				t.Errorf("rebuilt %+v", r)
			}
			s = db.Session("shop")
			if d := cmp.Diff(want, answers(t, s)); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(stored, tree(t, filepath.Join(dir, "default", "shop", "data"))); d != "" {
				t.Error(d)
			}
			if _, err := db.Rebuild(t.Context(), supertable.Superuser, "default", "shop", nil); !errors.Is(err, supertable.AlreadyExists) {
				t.Errorf("a second time: %v", err)
			}
			testdb.Write(t, s, "orders", "id:int64", `[{"id":11}]`, nil)
		})
	}
}

// TestRebuildSaysWhatIsMissing loses data files and the end of the log too.
func TestRebuildSaysWhatIsMissing(t *testing.T) {
	dir := t.TempDir()
	lake, err := supertable.Open(t.Context(), dir, &supertable.Options{InlineRows: -1})
	if err != nil {
		t.Fatal(err)
	}
	st, _, err := lake.Create(t.Context(), "default", "shop", nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := st.Session(t.Context(), supertable.Superuser)
	if err != nil {
		t.Fatal(err)
	}
	fillBackup(t, s)
	if err := lake.Close(); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(dir, "default", "shop")
	segments, err := filepath.Glob(filepath.Join(folder, "log", "0*.log"))
	if err != nil || len(segments) == 0 {
		t.Fatal(segments, err)
	}
	b, err := os.ReadFile(segments[len(segments)-1])
	if err != nil {
		t.Fatal(err)
	}
	b[len(strings.TrimRight(string(b), "\x00"))*2/3] ^= 1
	if err := errors.Join(os.WriteFile(segments[len(segments)-1], b, 0o666), os.Remove(filepath.Join(folder, "catalog.db"))); err != nil {
		t.Fatal(err)
	}
	data, err := filepath.Glob(filepath.Join(folder, "data", "main", "orders", "*"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(data[0]); err != nil {
		t.Fatal(err)
	}
	lake, err = supertable.Open(t.Context(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lake.Close() }()
	r, err := lake.Rebuild(t.Context(), supertable.Superuser, "default", "shop", nil)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(r.Missing, "\n")
	for _, want := range []string{"the log breaks off after transaction", filepath.Base(data[0]), "no snapshot names the file"} {
		if !strings.Contains(text, want) {
			t.Errorf("missing %q in:\n%s", want, text)
		}
	}
	if _, err := lake.Rebuild(t.Context(), supertable.Superuser, "default", "nothing", nil); !errors.Is(err, supertable.NotFound) {
		t.Errorf("of nothing: %v", err)
	}
}
