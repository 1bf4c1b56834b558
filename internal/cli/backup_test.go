package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBackupCommands backs up, restores, loses the catalog and rebuilds it.
func TestBackupCommands(t *testing.T) {
	l := newLake(t)
	dir := filepath.Join(t.TempDir(), "backup")
	l.ok("id,v\n1,a\n2,b\n", "write", "t", "-", "--input-format", "csv")
	rows := l.ok("", "query", "SELECT * FROM t ORDER BY 1", "--format", "json")

	made := l.ok("", "backup", dir, "--format", "json")
	var b struct{ Snapshot, Files, Bytes *int64 }
	if err := json.Unmarshal([]byte(made), &b); err != nil || b.Snapshot == nil || *b.Snapshot != 1 || *b.Files < 3 || *b.Bytes < 1000 {
		t.Errorf("backup: %s %v", made, err)
	}
	if got := l.ok("", "backup", "--verify", dir, "--format", "json"); got != made {
		t.Errorf("verify: %s, want %s", got, made)
	}
	if got := l.ok("", "restore", dir, "--super", "copy", "--format", "json"); got != made {
		t.Errorf("restore: %s, want %s", got, made)
	}
	if got := l.ok("", "query", "SELECT * FROM t ORDER BY 1", "--format", "json", "--super", "copy"); got != rows {
		t.Errorf("restored: %s, want %s", got, rows)
	}
	l.ok("", "check", "--deep", "--super", "copy")

	fails := func(kind string, args ...string) {
		t.Helper()
		code, out, errs := l.run("", append(args, "--format", "json")...)
		if code != exitFailed || out != "" || !strings.HasPrefix(errs, `{"error":{"kind":"`+kind+`"`) {
			t.Errorf("%q: exit %d, %s%s, want %s", args, code, out, errs, kind)
		}
	}
	fails("already_exists", "backup", dir)
	fails("already_exists", "restore", dir)
	fails("not_found", "restore", filepath.Join(dir, "data"), "--super", "x")
	fails("invalid_argument", "restore", dir, "--super", "a b")
	fails("invalid_argument", "restore", dir, "--super", "t")
	fails("not_found", "backup", filepath.Join(t.TempDir(), "b"), "--super", "none")
	fails("not_found", "rebuild", "--super", "none")
	fails("already_exists", "rebuild")
	fails("denied", "backup", "--verify", dir, "--user", "bob")
	fails("not_found", "backup", "--verify", filepath.Join(dir, "data"))
	fails("denied", "restore", dir, "--super", "x", "--user", "bob")

	catalog := filepath.Join(l.home, "default", "main", "catalog.db")
	if err := os.WriteFile(catalog, []byte("no catalog any more"), 0o666); err != nil {
		t.Fatal(err)
	}
	fails("corrupt", "tables")
	fails("corrupt", "write", "t", catalog, "--input-format", "csv")
	fails("denied", "rebuild", "--user", "bob")
	if got := l.ok("", "rebuild", "--format", "json"); got != `{"tables":1,"snapshots":2,"missing":[]}`+"\n" {
		t.Errorf("rebuild: %s", got)
	}
	if got := l.ok("", "query", "SELECT * FROM t ORDER BY 1", "--format", "json"); got != rows {
		t.Errorf("rebuilt: %s, want %s", got, rows)
	}
	l.ok("", "check", "--deep")
	if kept, _ := filepath.Glob(filepath.Join(l.home, "default", "main", "catalog-kept-*.db")); len(kept) != 1 {
		t.Errorf("kept: %v", kept)
	}
	if got := l.ok("", "rebuild", "--force"); got != "Rebuilt 1 table, 2 snapshots; 0 missing\n" {
		t.Errorf("rebuild --force: %q", got)
	}
}
