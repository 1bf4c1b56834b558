package supertable_test

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/testdb"
)

// TestBackupOfBusyStaging backs up while files are staged and removed: each
// backup verifies, can be restored, and what comes of it holds together (every
// lake of a test is checked at its end).
func TestBackupOfBusyStaging(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	db := testdb.Open(t)
	s := db.Session("shop")
	testdb.Write(t, s, "t", "id:int64", `[{"id":1}]`, nil)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for w := range 2 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				f, err := s.StageFrom(ctx, "in", fmt.Sprintf("%d-%d.csv", w, i), strings.NewReader("id\n1\n"), nil)
				if err == nil && i%3 > 0 {
					_, err = s.RemoveStaged(ctx, "in", f.File)
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	dir := t.TempDir()
	for i := range 6 {
		to := filepath.Join(dir, fmt.Sprint(i))
		made, err := s.Backup(ctx, to)
		if err != nil {
			t.Error(err)
			break
		}
		if got, err := db.VerifyBackup(ctx, supertable.Superuser, to); err != nil || got != made {
			t.Errorf("verified %+v (%v), want %+v", got, err, made)
		}
		if got, err := db.Restore(ctx, supertable.Superuser, "default", fmt.Sprintf("copy%d", i), to); err != nil || got != made {
			t.Errorf("restored %+v (%v), want %+v", got, err, made)
		}
		checkDeep(t, db.Session(fmt.Sprintf("copy%d", i)))
	}
	close(stop)
	wg.Wait()
}

func checkDeep(t *testing.T, s *supertable.Session) {
	t.Helper()
	r, err := s.Check(t.Context(), true)
	if err != nil || !r.OK {
		t.Errorf("check: %+v (%v)", r.Findings, err)
	}
}

// TestStagedFilesOfABackup holds what verify, restore and check say of each
// way in which a staged file can be lost or changed.
func TestStagedFilesOfABackup(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for name, tt := range map[string]struct {
		damage func(t *testing.T, file string) // before the backup
		later  func(t *testing.T, dir, rel string)
		backup supertable.ErrorKind
		verify supertable.ErrorKind // and restore
		staged int
	}{
		"sound":              {staged: 1},
		"lost before":        {damage: func(t *testing.T, f string) { must(t, os.Remove(f)) }, backup: supertable.Corrupt},
		"changed before":     {damage: func(t *testing.T, f string) { must(t, os.WriteFile(f, []byte("id\n7\n"), 0o666)) }, backup: supertable.Corrupt},
		"removed meanwhile":  {later: func(t *testing.T, dir, rel string) { forget(t, dir, rel) }, staged: 0},
		"lost in the backup": {later: func(t *testing.T, dir, rel string) { must(t, os.Remove(filepath.Join(dir, rel))) }, verify: supertable.Corrupt},
		"of another put":     {later: func(t *testing.T, dir, rel string) { swap(t, dir, rel) }, verify: supertable.Corrupt},
	} {
		t.Run(name, func(t *testing.T) {
			home := t.TempDir()
			db, err := supertable.Open(ctx, home, nil) // not checked at its end
			must(t, err)
			defer func() { must(t, db.Close()) }()
			st, _, err := db.Create(ctx, "default", "shop", nil)
			must(t, err)
			s, err := st.Session(ctx, supertable.Superuser)
			must(t, err)
			f, err := s.StageFrom(ctx, "in", "a.csv", strings.NewReader("id\n1\n"), nil)
			must(t, err)
			if tt.damage != nil {
				tt.damage(t, filepath.Join(home, "default", "shop", "staging", "in", f.File))
			}
			dir := filepath.Join(t.TempDir(), "backup")
			if _, err := s.Backup(ctx, dir); supertable.KindOf(err) != tt.backup {
				t.Fatalf("backup: %v, want %q", err, tt.backup)
			}
			if tt.backup != "" {
				return
			}
			if tt.later != nil {
				tt.later(t, dir, filepath.Join("staging", "in", f.File))
			}
			if _, err := db.VerifyBackup(ctx, supertable.Superuser, dir); supertable.KindOf(err) != tt.verify {
				t.Errorf("verify: %v, want %q", err, tt.verify)
			}
			_, err = db.Restore(ctx, supertable.Superuser, "default", "copy", dir)
			if supertable.KindOf(err) != tt.verify {
				t.Errorf("restore: %v, want %q", err, tt.verify)
			}
			if err != nil {
				return
			}
			st, err = db.SuperTable(ctx, "default", "copy")
			must(t, err)
			c, err := st.Session(ctx, supertable.Superuser)
			must(t, err)
			checkDeep(t, c)
			if list, err := c.Staged(ctx, ""); err != nil || len(list) != tt.staged {
				t.Errorf("staged: %v (%v)", list, err)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// editManifest changes the list of files of a backup.
func editManifest(t *testing.T, dir string, edit func([]map[string]any) []map[string]any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "backup.json"))
	must(t, err)
	var m map[string]any
	must(t, json.Unmarshal(text, &m))
	var files []map[string]any
	for _, f := range m["files"].([]any) {
		files = append(files, f.(map[string]any))
	}
	m["files"] = edit(files)
	text, err = json.Marshal(m)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "backup.json"), text, 0o666))
}

// forget makes a backup one that never had a file.
func forget(t *testing.T, dir, rel string) {
	t.Helper()
	editManifest(t, dir, func(files []map[string]any) []map[string]any {
		return slices.DeleteFunc(files, func(f map[string]any) bool { return f["path"] == filepath.ToSlash(rel) })
	})
	must(t, os.Remove(filepath.Join(dir, rel)))
}

// swap puts other bytes in the place of a file, and says so in the manifest.
func swap(t *testing.T, dir, rel string) {
	t.Helper()
	other := []byte("id\n2\n")
	must(t, os.WriteFile(filepath.Join(dir, rel), other, 0o666))
	editManifest(t, dir, func(files []map[string]any) []map[string]any {
		for _, f := range files {
			if f["path"] == filepath.ToSlash(rel) {
				f["sha256"] = fmt.Sprintf("%x", sha256.Sum256(other))
			}
		}
		return files
	})
}

// TestWaysBackAreAudited: a restore and a rebuild stand in the audit that they
// bring back, with who did it, and the chain goes on.
func TestWaysBackAreAudited(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	db := testdb.Open(t)
	s := db.Session("shop")
	testdb.Write(t, s, "t", "id:int64", `[{"id":1}]`, nil)
	role, err := s.CreateRole(ctx, []byte(`{"role":"admin","tables":["*"]}`))
	must(t, err)
	_, err = s.CreateUser(ctx, "bob", []string{role}, nil)
	must(t, err)
	_, err = s.CreateUser(ctx, "eve", nil, nil)
	must(t, err)
	dir := filepath.Join(t.TempDir(), "backup")
	_, err = s.Backup(ctx, dir)
	must(t, err)
	_, err = db.Restore(ctx, supertable.Superuser, "default", "copy", dir)
	must(t, err)
	wantAudit(t, db.Session("copy"), "restore superuser ok the backup of default/shop at snapshot 1")

	if _, err := db.Rebuild(ctx, "eve", "default", "shop", &supertable.RebuildOptions{Force: true}); !errors.Is(err, supertable.Denied) {
		t.Errorf("rebuilt by eve: %v", err)
	}
	_, err = s.VerifyAudit(ctx, "")
	must(t, err)
	_, err = db.Rebuild(ctx, "bob", "default", "shop", &supertable.RebuildOptions{Force: true})
	must(t, err)
	again := db.Session("shop")
	wantAudit(t, again, "rebuild bob ok 1 tables, 2 snapshots, 0 missing")
	wantAudit(t, again, "rebuild eve denied ")
	testdb.Write(t, again, "t", "id:int64", `[{"id":2}]`, nil)
	checkDeep(t, again)
}

func wantAudit(t *testing.T, s *supertable.Session, want string) {
	t.Helper()
	var all []string
	err := s.Audit(t.Context(), nil, func(r supertable.AuditRecord) error {
		all = append(all, fmt.Sprintf("%s %s %s %s", r.Action, r.Principal, r.Outcome, r.Statement))
		return nil
	})
	must(t, err)
	if !slices.ContainsFunc(all, func(line string) bool { return strings.HasPrefix(line, want) }) {
		t.Errorf("no record %q in %q", want, all)
	}
	if v, err := s.VerifyAudit(t.Context(), ""); err != nil || !v.Valid {
		t.Errorf("the chain: %+v (%v)", v, err)
	}
}
