package supertable_test

import (
	"strings"
	"testing"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/testdb"
)

// as gives the session of a user with one role.
func as(t *testing.T, db *testdb.DB, s *supertable.Session, user, role string) *supertable.Session {
	t.Helper()
	hash, err := s.CreateRole(t.Context(), []byte(role))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.CreateUser(t.Context(), user, []string{hash}, nil); err != nil {
		t.Fatal(err)
	}
	st, err := db.SuperTable(t.Context(), "default", "m")
	if err != nil {
		t.Fatal(err)
	}
	out, err := st.Session(t.Context(), user)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestDifferencesAreGoverned: what a query would not show, no difference does,
// and returns need CONTROL.
func TestDifferencesAreGoverned(t *testing.T) {
	db := testdb.Open(t)
	s, ctx := db.Session("m"), t.Context()
	testdb.Write(t, s, "t", "id:int64,land:text,secret:text,mail:text", `[{"id":1,"land":"US","secret":"x","mail":"a@b.c"},{"id":2,"land":"EU","secret":"y","mail":"d@e.f"}]`, nil)
	testdb.Write(t, s, "t", "id:int64,land:text,secret:text,mail:text", `[{"id":1,"land":"US","secret":"z","mail":"a@b.c"},{"id":2,"land":"EU","secret":"w","mail":"g@e.f"},{"id":3,"land":"US","secret":"v","mail":"h@i.j"}]`, &supertable.WriteOptions{Key: []string{"id"}})
	testdb.Write(t, s, "hidden", "id:int64", `[{"id":9}]`, nil)
	reader := as(t, db, s, "reader1", `{"role":"reader","tables":["t"],"columns":["id","land","mail"],"filters":{"land":"US"},"masks":{"mail":{"type":"constant","value":"***"}}}`)
	for _, c := range []struct {
		what string
		call func() (*supertable.Rows, error)
		want string
	}{
		{"diff", func() (*supertable.Rows, error) {
			return reader.Diff(ctx, "t", 1, 2, &supertable.DiffOptions{Key: []string{"id"}})
		}, "change|id|land|mail insert|3|US|***"},
		{"diff by a hidden column", func() (*supertable.Rows, error) {
			return reader.Diff(ctx, "t", 1, 2, &supertable.DiffOptions{Key: []string{"secret"}})
		}, "invalid_argument: Missing column(s): secret"},
		{"diff of a hidden table", func() (*supertable.Rows, error) { return reader.Diff(ctx, "hidden", 0, 3, nil) }, "not_found: Table not found: default/m/hidden"},
		{
			"changes", func() (*supertable.Rows, error) { return reader.Changes(ctx, "t", 1, nil) },
			"change|snapshot|id|land|mail delete|2|1|US|*** insert|2|1|US|*** insert|2|3|US|***",
		},
		{"changes of all", func() (*supertable.Rows, error) { return reader.Changes(ctx, "", 2, nil) }, "change|snapshot|table"},
		{"changes of a hidden table", func() (*supertable.Rows, error) { return reader.Changes(ctx, "hidden", 0, nil) }, "not_found: Table not found: default/m/hidden"},
	} {
		rows, err := c.call()
		got := ""
		if err == nil {
			var lines []string
			lines, err = resultLines(rows)
			got = strings.Join(sortedPerSnapshot(lines), " ")
		}
		if err != nil {
			got = string(supertable.KindOf(err)) + ": " + err.Error()
		}
		if got != c.want {
			t.Errorf("%s: got %s, want %s", c.what, got, c.want)
		}
	}
	for _, user := range []*supertable.Session{reader, as(t, db, s, "writer1", `{"role":"writer","tables":["*"]}`)} {
		_, back := user.Rollback(ctx, "t", 1, nil)
		_, undrop := user.Undrop(ctx, "gone")
		_, tag := user.CreateTag(ctx, "x", nil)
		_, tags := user.Tags(ctx)
		_, untag := user.DeleteTag(ctx, "x")
		for what, err := range map[string]error{"rollback": back, "undrop": undrop, "tag": tag, "tags": tags, "delete a tag": untag} {
			if supertable.KindOf(err) != supertable.Denied {
				t.Errorf("%s: %v, want denied", what, err)
			}
		}
	}
	admin := as(t, db, s, "admin1", `{"role":"admin","tables":["t"]}`)
	if _, err := admin.Rollback(ctx, "t", 1, nil); err != nil {
		t.Errorf("an admin rolls back: %v", err)
	}
	if _, err := admin.Rollback(ctx, "hidden", 3, nil); supertable.KindOf(err) != supertable.Denied {
		t.Errorf("of another's table: %v", err)
	}
}
