package supertable_test

import (
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/testdb"
)

// TestRightsAtTheChange: what was allowed when a call began and no longer is
// when its transaction comes, is denied (ADR 0012). The administrator's change
// is a transaction that the calls wait for.
func TestRightsAtTheChange(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	home := t.TempDir()
	db := testdb.At(t, home, nil)
	admin := db.Session("rights")
	write(t, admin, "t", testdb.Batch(t, "id:int64", `[{"id":1}]`), nil)
	role, err := admin.CreateRole(ctx, []byte(`{"role":"admin","tables":["*"]}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := admin.CreateUser(ctx, "bob", []string{role}, nil); err != nil {
		t.Fatal(err)
	}
	pipe := func(name string) supertable.Pipe {
		return supertable.Pipe{Name: name, Area: "in", Table: name, Enabled: true}
	}
	put := func(s *supertable.Session, name string) error {
		_, err := s.StageFrom(ctx, "in", name, strings.NewReader("id\n1\n"), nil)
		return err
	}
	if _, err := admin.CreateTag(ctx, "old", nil); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(put(admin, "old.csv"), admin.CreatePipe(ctx, pipe("old"))); err != nil {
		t.Fatal(err)
	}
	st, err := db.SuperTable(ctx, "default", "rights")
	if err != nil {
		t.Fatal(err)
	}
	bob, err := st.Session(ctx, "bob")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := sql.Open("sqlite3", filepath.Join(home, "default", "rights", "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = raw.Close() }()
	raw.SetMaxOpenConns(1)
	run := func(text string) {
		t.Helper()
		if _, err := raw.ExecContext(ctx, text); err != nil {
			t.Fatal(err)
		}
	}
	next := `INSERT INTO supertable_policy (version, time, principal, action, object) SELECT max(version) + 1, '', 'test', 'user_modify', 'bob' FROM supertable_policy; UPDATE supertable_log SET touched = 1;`
	var document string
	if err := raw.QueryRowContext(ctx, `SELECT document FROM supertable_user WHERE document LIKE '%bob%'`).Scan(&document); err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func() error{
		"tag create":  func() error { _, err := bob.CreateTag(ctx, "new", nil); return err },
		"tag delete":  func() error { _, err := bob.DeleteTag(ctx, "old"); return err },
		"option":      func() error { return bob.SetOption(ctx, "", "target_file_size", "2000000") },
		"its table's": func() error { return bob.SetOption(ctx, "t", "target_file_size", "2000000") },
		"read only":   func() error { return bob.SetReadOnly(ctx, true) },
		"drop super":  func() error { return bob.DropSuperTable(ctx) },
		"put":         func() error { return put(bob, "new.csv") },
		"rm":          func() error { _, err := bob.RemoveStaged(ctx, "in", "old.csv"); return err },
		"pipe create": func() error { return bob.CreatePipe(ctx, pipe("new")) },
		"pipe enable": func() error { _, err := bob.EnablePipe(ctx, "old", false); return err },
		"pipe delete": func() error { _, err := bob.DeletePipe(ctx, "old"); return err },
		"load":        func() error { _, err := bob.LoadStaged(ctx, "in", "old.csv", "t", nil); return err },
	} {
		run(`BEGIN IMMEDIATE`)
		run(`UPDATE supertable_user SET document = json_set(document, '$.roles', json('[]')) WHERE document LIKE '%bob%';` + next)
		done := make(chan error, 1)
		go func() { done <- call() }()
		select {
		case err := <-done:
			t.Errorf("%s did not wait", name)
			done <- err
		case <-time.After(150 * time.Millisecond):
		}
		run(`COMMIT`)
		if err := <-done; !errors.Is(err, supertable.Denied) {
			t.Errorf("%s: %v", name, err)
		}
		run(`UPDATE supertable_user SET document = '` + document + `' WHERE document LIKE '%bob%';` + next)
	}
	tags, err := bob.Tags(ctx)
	staged, serr := bob.Staged(ctx, "in")
	pipes, perr := bob.Pipes(ctx)
	if err := errors.Join(err, serr, perr); err != nil || len(tags) != 1 || len(staged) != 1 || staged[0].Status != "staged" || len(pipes) != 1 || !pipes[0].Enabled {
		t.Errorf("something was changed: %v %v %v (%v)", tags, staged, pipes, err)
	}
	write(t, admin, "t", testdb.Batch(t, "id:int64", `[{"id":2}]`), nil) // neither read-only nor dropped
}

// TestOptionsOfAReadOnlySuperTable: nothing can be set but the switch itself.
func TestOptionsOfAReadOnlySuperTable(t *testing.T) {
	t.Parallel()
	s := testdb.Open(t).Session("still")
	write(t, s, "t", testdb.Batch(t, "id:int64", `[{"id":1}]`), nil)
	if err := s.SetReadOnly(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"", "t"} {
		for _, value := range []string{"2000000", ""} {
			if err := s.SetOption(t.Context(), table, "target_file_size", value); !errors.Is(err, supertable.Denied) {
				t.Errorf("option of %q to %q: %v", table, value, err)
			}
		}
	}
	if err := s.SetOption(t.Context(), "", "audit_text", "0"); !errors.Is(err, supertable.Denied) {
		t.Error(err)
	}
	if err := s.SetReadOnly(t.Context(), false); err != nil {
		t.Error(err)
	}
	if err := s.SetOption(t.Context(), "t", "target_file_size", "2000000"); err != nil {
		t.Error(err)
	}
}
