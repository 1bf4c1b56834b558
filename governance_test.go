package supertable_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/google/go-cmp/cmp"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/testdb"
)

// TestSuperTablesAreIsolated: the same names in two organizations and two
// SuperTables are independent (A21).
func TestSuperTablesAreIsolated(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	db := testdb.Open(t)
	places := [][2]string{{"acme", "sales"}, {"acme", "stock"}, {"other", "sales"}}
	for i, p := range places {
		admin := db.SessionIn(p[0], p[1])
		write(t, admin, "t", testdb.Batch(t, "id:int64", `[{"id":1}]`), nil)
		role, err := admin.CreateRole(ctx, []byte(`{"role":"reader","name":"readers"}`))
		if err == nil {
			_, err = admin.CreateUser(ctx, "alice", []string{role}, map[string]any{"place": i})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if deleted, err := db.SessionIn("acme", "sales").DeleteUser(ctx, "alice"); err != nil || !deleted {
		t.Fatal(deleted, err)
	}
	if deleted, err := db.SessionIn("acme", "stock").DeleteRole(ctx, "readers"); err != nil || !deleted {
		t.Fatal(deleted, err)
	}
	enter := func(p [2]string) (*supertable.Session, error) {
		st, err := db.SuperTable(ctx, p[0], p[1])
		if err != nil {
			t.Fatal(err)
		}
		return st.Session(ctx, "alice")
	}
	if _, err := enter(places[0]); supertable.KindOf(err) != supertable.Denied {
		t.Errorf("deleted here: %v", err)
	}
	for i, want := range map[int]supertable.ErrorKind{1: supertable.NotFound, 2: ""} {
		s, err := enter(places[i])
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := answer(ctx, s, "select * from t", nil); err != nil && supertable.KindOf(err) != want || err == nil && want != "" {
			t.Errorf("%v: %v, want %q", places[i], err, want)
		}
		if u, err := s.User(ctx, "alice"); err != nil || len(u.Attributes) != 1 {
			t.Errorf("%v: %+v, %v", places[i], u, err)
		}
	}
	// Who one is in another SuperTable is the user of the same name there.
	s, err := enter(places[1])
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := answer(ctx, s, "select * from sales.t", nil); supertable.KindOf(err) == "" {
		t.Error("reads a SuperTable in which he is nobody")
	}
}

// TestRightsEndAtOnce: a session that is open has the rights of now.
func TestRightsEndAtOnce(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	db := testdb.Open(t)
	admin := db.Session("main")
	write(t, admin, "t", testdb.Batch(t, "id:int64,v:text", `[{"id":1,"v":"a"},{"id":2,"v":"b"}]`), nil)
	role, err := admin.CreateRole(ctx, []byte(`{"role":"writer","tables":["t"]}`))
	if err == nil {
		_, err = admin.CreateUser(ctx, "alice", []string{role}, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	st, err := db.SuperTable(ctx, "default", "main")
	if err != nil {
		t.Fatal(err)
	}
	alice, err := st.Session(ctx, "alice")
	if err != nil {
		t.Fatal(err)
	}
	read := func() (string, error) {
		out, _, err := answer(ctx, alice, "select * from t order by id", nil)
		return out, err
	}
	if out, err := read(); err != nil || out != "id|v\n1|a\n2|b" {
		t.Fatal(out, err)
	}
	narrow, err := admin.CreateRole(ctx, []byte(`{"role":"reader","tables":["t"],"columns":["id"],"filters":{"id":2}}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := admin.ModifyUser(ctx, "alice", supertable.UserChange{Roles: &[]string{narrow}}); err != nil {
		t.Fatal(err)
	}
	if out, err := read(); err != nil || out != "id\n2" {
		t.Errorf("after the change: %s %v", out, err)
	}
	rr := testdb.Batch(t, "id:int64,v:text", `[{"id":3,"v":"c"}]`)
	defer rr.Release()
	if _, err := alice.Write(ctx, "t", rr, nil); supertable.KindOf(err) != supertable.Denied {
		t.Errorf("writes after the change: %v", err)
	}
	if _, err := admin.DeleteRole(ctx, narrow); err != nil {
		t.Fatal(err)
	}
	if _, err := read(); supertable.KindOf(err) != supertable.NotFound {
		t.Errorf("without a role: %v", err)
	}
	if _, err := admin.DeleteUser(ctx, "alice"); err != nil {
		t.Fatal(err)
	}
	if _, err := read(); supertable.KindOf(err) != supertable.Denied || err.Error() != "User does not exist or is invalid." {
		t.Errorf("deleted: %v", err)
	}
	// A new user of the same name is another one, but for a user of the very
	// same roles, whose published hash is the same (decision 1).
	if _, err := admin.CreateUser(ctx, "alice", []string{role}, nil); err != nil {
		t.Fatal(err)
	}
	if out, err := read(); err != nil || out != "id|v\n1|a\n2|b" {
		t.Errorf("born again: %s %v", out, err)
	}
}

// TestNobody: R05.
func TestNobody(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	db := testdb.Open(t)
	db.Session("main")
	st, err := db.SuperTable(ctx, "default", "main")
	if err != nil {
		t.Fatal(err)
	}
	for _, who := range []string{"0d261765d0f88e3bdede483c3d41d125", "nobody", "", " superuser", "superuser\n", "*", "%"} {
		s, err := st.Session(ctx, who)
		if s != nil || supertable.KindOf(err) != supertable.Denied || err.Error() != "User does not exist or is invalid." {
			t.Errorf("%q: %v", who, err)
		}
	}
}

// TestPolicyHistory: who changed what, when, and what it was before and after,
// with what becomes of others on its account.
func TestPolicyHistory(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	clock := time.Date(2026, 1, 31, 10, 0, 0, 0, time.UTC)
	db := testdb.At(t, t.TempDir(), &supertable.Options{MemoryBytes: 256 << 20, Now: func() time.Time { return clock }})
	root := db.Session("main")
	admins, err := root.CreateRole(ctx, []byte(`{"role":"admin"}`))
	if err == nil {
		_, err = root.CreateUser(ctx, "boss", []string{admins}, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	st, err := db.SuperTable(ctx, "default", "main")
	if err != nil {
		t.Fatal(err)
	}
	boss, err := st.Session(ctx, "boss")
	if err != nil {
		t.Fatal(err)
	}
	clock = clock.Add(time.Hour)
	reader, err := boss.CreateRole(ctx, []byte(`{"role":"reader","name":"readers"}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ann", "bob"} {
		if _, err := boss.CreateUser(ctx, name, []string{"readers"}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := boss.CreateUser(ctx, "ann", nil, nil); err != nil { // is there: no change
		t.Fatal(err)
	}
	roles := []string{}
	if _, err := boss.ModifyUser(ctx, "bob", supertable.UserChange{Roles: &roles}); err != nil {
		t.Fatal(err)
	}
	if _, err := boss.DeleteRole(ctx, reader); err != nil {
		t.Fatal(err)
	}
	if _, err := root.DeleteUser(ctx, "boss"); err != nil {
		t.Fatal(err)
	}
	list, err := root.PolicyHistory(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range list {
		got = append(got, fmt.Sprintf("%d %s %s %s: %s -> %s", c.Version, c.Time.Format("15:04"), c.Principal, c.Action, gist(t, c.Before), gist(t, c.After)))
	}
	want := []string{
		"9 11:00 superuser delete user: boss 1 -> none",
		"8 11:00 boss modify user: ann 1 -> ann 0",
		"7 11:00 boss delete role: readers -> none",
		"6 11:00 boss modify user: bob 1 -> bob 0",
		"5 11:00 boss create user: none -> bob 1",
		"4 11:00 boss create user: none -> ann 1",
		"3 11:00 boss create role: none -> readers",
		"2 10:00 superuser create user: none -> boss 1",
		"1 10:00 superuser create role: none -> admin",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := boss.PolicyHistory(ctx); supertable.KindOf(err) != supertable.Denied {
		t.Errorf("a deleted user: %v", err)
	}
	if s, err := st.Session(ctx, "ann"); err != nil {
		t.Error(err)
	} else if _, err := s.PolicyHistory(ctx); supertable.KindOf(err) != supertable.Denied {
		t.Errorf("without CONTROL: %v", err)
	}
}

// gist names a role, or a user with the number of his roles.
func gist(t *testing.T, document json.RawMessage) string {
	t.Helper()
	if document == nil {
		return "none"
	}
	var d struct {
		Role, Name, Username string
		Roles                []string
	}
	if err := json.Unmarshal(document, &d); err != nil {
		t.Fatal(err)
	}
	switch {
	case d.Username != "":
		return fmt.Sprintf("%s %d", d.Username, len(d.Roles))
	case d.Name != "":
		return d.Name
	}
	return d.Role
}

// meanwhile is a stream that lets something happen while it is read: after the
// write was authorised, before it commits.
type meanwhile struct {
	array.RecordReader
	do func()
}

func (m *meanwhile) Next() bool {
	if m.do != nil {
		m.do()
		m.do = nil
	}
	return m.RecordReader.Next()
}

// TestRightsAtTheCommit: what is revoked while a write runs is refused, and
// rows are held against the rules of then.
func TestRightsAtTheCommit(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	db := testdb.Open(t)
	admin := db.Session("main")
	write(t, admin, "t", testdb.Batch(t, "id:int64,v:text", `[{"id":1,"v":"a"},{"id":2,"v":"b"}]`), nil)
	st, err := db.SuperTable(ctx, "default", "main")
	if err != nil {
		t.Fatal(err)
	}
	const all = `{"role":"writer","tables":["t"]}`
	roles := func(documents ...string) func() error {
		return func() error {
			hashes := []string{}
			for _, d := range documents {
				h, err := admin.CreateRole(ctx, []byte(d))
				if err != nil {
					return err
				}
				hashes = append(hashes, h)
			}
			_, err := admin.ModifyUser(ctx, "alice", supertable.UserChange{Roles: &hashes})
			return err
		}
	}
	for _, tt := range []struct {
		name   string
		change func() error
		key    []string
		denied string // "": the write succeeds
	}{
		{"nothing", func() error { return nil }, nil, ""},
		{"renamed", func() error {
			name := "alicia"
			_, err := admin.ModifyUser(ctx, "alice", supertable.UserChange{Name: &name})
			return err
		}, nil, ""},
		{"another role of the same", roles(`{"role":"writer","tables":["t","u"]}`), nil, ""},
		{"a filter that shows the rows", roles(`{"role":"writer","tables":["t"],"filters":{"v":"b"}}`), nil, ""},
		{"a filter that shows them and those they replace", roles(`{"role":"writer","tables":["t"],"filters":{"v":"b"}}`), []string{"id"}, ""},
		{"no role", roles(), nil, "permission to write"},
		{"a reader's role", roles(`{"role":"reader","tables":["t"]}`), nil, "permission to write"},
		{"another table's role", roles(`{"role":"writer","tables":["u"]}`), nil, "permission to write"},
		{"a filter that hides the rows", roles(`{"role":"writer","tables":["t"],"filters":{"v":"a"}}`), nil, "1 of 1 rows do not fulfil your row filter"},
		{"a filter that hides what they replace", roles(`{"role":"writer","tables":["t"],"filters":{"NOT":{"v":"b2"}}}`), []string{"id"}, "outside your row filter"},
		{"a column list", roles(`{"role":"writer","tables":["t"],"columns":["id"]}`), nil, "column(s): v"},
		{"a mask of the key", roles(`{"role":"writer","tables":["t"],"masks":{"id":{"type":"null"}}}`), []string{"id"}, "masked"},
		{"deleted", func() error { _, err := admin.DeleteUser(ctx, "alice"); return err }, nil, "User does not exist or is invalid."},
	} {
		for _, name := range []string{"alice", "alicia"} { // born again for each case
			if _, err := admin.DeleteUser(ctx, name); err != nil {
				t.Fatal(err)
			}
		}
		role, err := admin.CreateRole(ctx, []byte(all))
		if err == nil {
			_, err = admin.CreateUser(ctx, "alice", []string{role}, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(tt.name, "hides what they replace") {
			write(t, admin, "t", testdb.Batch(t, "id:int64,v:text", `[{"id":2,"v":"b2"}]`), &supertable.WriteOptions{Key: []string{"id"}})
		}
		alice, err := st.Session(ctx, "alice")
		if err != nil {
			t.Fatal(err)
		}
		before, _, err := answer(ctx, admin, "select * from t", nil)
		if err != nil {
			t.Fatal(err)
		}
		rr := testdb.Batch(t, "id:int64,v:text", `[{"id":2,"v":"b"}]`)
		happened := false
		res, err := alice.Write(ctx, "t", &meanwhile{rr, func() {
			happened = true
			if err := tt.change(); err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
		}}, &supertable.WriteOptions{Key: tt.key})
		rr.Release()
		if !happened {
			t.Fatalf("%s: nothing happened meanwhile", tt.name)
		}
		after, _, readErr := answer(ctx, admin, "select * from t", nil)
		if readErr != nil {
			t.Fatal(readErr)
		}
		switch {
		case tt.denied == "" && (err != nil || res.Inserted != 1):
			t.Errorf("%s: %+v, %v", tt.name, res, err)
		case tt.denied != "" && (supertable.KindOf(err) != supertable.Denied || !strings.Contains(err.Error(), tt.denied)):
			t.Errorf("%s: %+v, %v, want denied: %s", tt.name, res, err, tt.denied)
		case tt.denied != "" && after != before:
			t.Errorf("%s: refused, and yet\n%s", tt.name, after)
		}
	}
}
