package supertable_test

import (
	"strings"
	"testing"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/internal/testdb"
)

// actor makes a user with one role and gives his session.
func actor(t *testing.T, db *testdb.DB, s *supertable.Session, name, role string) *supertable.Session {
	t.Helper()
	hash, err := s.CreateRole(t.Context(), []byte(role))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.CreateUser(t.Context(), name, []string{hash}, nil); err != nil {
		t.Fatal(err)
	}
	st, err := db.SuperTable(t.Context(), "default", "names")
	if err != nil {
		t.Fatal(err)
	}
	out, err := st.Session(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestOldNameStillHides: a table that has another name now is seen, in its
// past, as the stricter of both names shows it.
func TestOldNameStillHides(t *testing.T) {
	t.Parallel()
	db := testdb.Open(t)
	s := db.Session("names")
	at := testdb.Write(t, s, "sec", "id:int64,country:text,salary:int64", `[{"id":1,"country":"US","salary":10},{"id":2,"country":"EU","salary":20}]`, nil).Snapshot
	for _, a := range []supertable.Alteration{{Drop: "salary"}, {Rename: "openly"}} {
		table := "sec"
		if _, err := s.Alter(t.Context(), table, a); err != nil {
			t.Fatal(err)
		}
	}
	rob := actor(t, db, s, "rob", `{"role":"reader","tables":{"*":{},"sec":{"columns":["id"],"filters":{"country":"US"}}}}`)
	o := &supertable.QueryOptions{AtVersion: &at}
	if got, err := testdb.TryQuery(t.Context(), rob, "SELECT * FROM sec", o); err != nil || got != "1" {
		t.Errorf("under its old name: %q, %v", got, err)
	}
	if _, err := testdb.TryQuery(t.Context(), rob, "SELECT salary FROM sec", o); err == nil {
		t.Error("a hidden column of the past was read")
	}
	if got := testdb.Query(t, rob, "SELECT count(*) FROM openly", nil); got != "2" {
		t.Errorf("under its new name: %s", got)
	}
}

// TestForbiddenPastStays: rollback does not bring back, under an allowed name,
// what lay under a forbidden one.
func TestForbiddenPastStays(t *testing.T) {
	t.Parallel()
	db := testdb.Open(t)
	s := db.Session("names")
	at := testdb.Write(t, s, "secret", "id:int64", `[{"id":42}]`, nil).Snapshot
	if _, err := s.Alter(t.Context(), "secret", supertable.Alteration{Rename: "a"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.WriteFiles(t.Context(), "a", nil, &supertable.WriteOptions{DeleteAll: true}); err != nil {
		t.Fatal(err)
	}
	adam := actor(t, db, s, "adam", `{"role":"admin","tables":["a"]}`)
	if r, err := adam.Rollback(t.Context(), "a", at, nil); err == nil {
		t.Errorf("rolled back to a forbidden name: %+v", r)
	}
	if got := testdb.Query(t, adam, "SELECT count(*) FROM a", nil); got != "0" {
		t.Errorf("%s rows", got)
	}
}

// TestStagedRowsFollowFilters: files know no filters, so who sees a part of an
// area's table cannot carry its files into another table.
func TestStagedRowsFollowFilters(t *testing.T) {
	t.Parallel()
	db := testdb.Open(t)
	s := db.Session("names")
	const rows = "id,country\n1,US\n2,EU\n"
	testdb.Write(t, s, "orders", "id:int64,country:text", `[{"id":9,"country":"US"}]`, nil)
	if _, err := s.StageFrom(t.Context(), "orders", "o.csv", strings.NewReader(rows), nil); err != nil {
		t.Fatal(err)
	}
	eve := actor(t, db, s, "eve", `{"role":"writer","tables":{"orders":{"filters":{"country":"US"}},"scratch":{}}}`)
	for _, table := range []string{"scratch", "orders"} {
		if r, err := eve.LoadStaged(t.Context(), "orders", "o.csv", table, nil); supertable.KindOf(err) != supertable.Denied {
			t.Errorf("another's file loaded into %s: %+v, %v", table, r, err)
		}
		if r, err := eve.LoadStaged(t.Context(), "orders", "", table, nil); err != nil || len(r) != 0 {
			t.Errorf("another's files loaded into %s: %+v, %v", table, r, err)
		}
	}
	for text, want := range map[string]supertable.ErrorKind{"id,country\n3,EU\n": supertable.Denied, "id,country\n3,US\n": ""} {
		f, err := eve.StageFrom(t.Context(), "orders", "e.csv", strings.NewReader(text), nil)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := eve.LoadStaged(t.Context(), "orders", f.File, "orders", nil); supertable.KindOf(err) != want {
			t.Errorf("a file of hers with %q: %+v, %v", text, r, err)
		}
	}
	if _, err := s.WriteFrom(t.Context(), "orders", strings.NewReader(rows), &supertable.WriteOptions{Format: "csv", WriteID: "sha256:00"}); supertable.KindOf(err) != supertable.InvalidArgument {
		t.Errorf("the write id of a staged file: %v", err)
	}
}

// TestOwnRecordsNeedTheirName: plans and write statistics tell of every table,
// so a star with exceptions does not mean them; and what is read-only cannot be
// dropped.
func TestOwnRecordsNeedTheirName(t *testing.T) {
	t.Parallel()
	db := testdb.Open(t)
	s := db.Session("names")
	testdb.Write(t, s, "t", "id:int64", `[{"id":1}]`, nil)
	star := actor(t, db, s, "star", `{"role":"reader","tables":{"*":{},"t":{"filters":{"id":1}}}}`)
	if rows, err := star.WriteStats(t.Context(), supertable.StreamWindow{}); err == nil {
		_ = rows.Close()
		t.Error("a restricted star reads the statistics of all writes")
	}
	named := actor(t, db, s, "named", `{"role":"meta","tables":["__stats__"]}`)
	rows, err := named.WriteStats(t.Context(), supertable.StreamWindow{})
	if err != nil {
		t.Fatal(err)
	}
	_ = rows.Close()
	if err := s.SetReadOnly(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if err := s.DropSuperTable(t.Context()); supertable.KindOf(err) != supertable.Denied {
		t.Errorf("a read-only SuperTable was dropped: %v", err)
	}
	if err := s.SetReadOnly(t.Context(), false); err != nil {
		t.Fatal(err)
	}
}

// TestStatisticsDoNotTell: the engine has another substr for a column that is
// ASCII alone by its statistics, which hidden rows are in too.
func TestStatisticsDoNotTell(t *testing.T) {
	t.Parallel()
	for _, inside := range []bool{true, false} {
		for _, more := range []int{0, 50} {
			var got [2]string
			for i, hidden := range []string{"plain", "h\u00efdden"} {
				o := &supertable.Options{InlineRows: -1}
				if inside {
					o.InlineRows = catalog.InlineRows
				}
				db := testdb.At(t, t.TempDir(), o)
				s := db.Session("names")
				rows := `[{"id":1,"who":"me","mail":"bob@h"}` + strings.Repeat(`,{"id":2,"who":"you","mail":"`+hidden+`"}`, 1+more) + "]"
				testdb.Write(t, s, "t", "id:int64,who:text,mail:text", rows, nil)
				rob := actor(t, db, s, "rob", `{"role":"reader","tables":{"t":{"columns":["*"],"filters":{"who":"me"}}}}`)
				got[i] = testdb.Query(t, rob, "SELECT substr(mail, -99, 2), substring(mail, -6, 2) FROM t", nil)
			}
			if got[0] != got[1] {
				t.Errorf("inside %t, %d more: %q beside ASCII, %q beside other text", inside, more, got[0], got[1])
			}
		}
	}
}

// TestNamesThatWouldUncover: a new name by which a role would show what it
// hides is refused, until the role says something of that name.
func TestNamesThatWouldUncover(t *testing.T) {
	t.Parallel()
	db := testdb.Open(t)
	s := db.Session("names")
	first := testdb.Write(t, s, "emp", "id:int64,country:text,salary:int64", `[{"id":1,"country":"US","salary":10},{"id":2,"country":"EU","salary":20}]`, nil).Snapshot
	refused := func(what string, err error, words string) {
		t.Helper()
		if supertable.KindOf(err) != supertable.InvalidArgument || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", what, err)
		}
	}
	alter := func(table string, a supertable.Alteration) error {
		_, err := s.Alter(t.Context(), table, a)
		return err
	}
	pay := supertable.Alteration{RenameColumn: &supertable.RenameColumn{From: "salary", To: "pay"}}
	mask := actor(t, db, s, "mask", `{"name":"masks","role":"reader","tables":["emp"],"masks":{"salary":{"type":"null"}}}`)
	refused("a masked column", alter("emp", pay), `give it a mask for "pay" first`)
	rows := actor(t, db, s, "rows", `{"name":"rows","role":"reader","tables":{"emp":{"filters":{"country":"US"}},"*":{}}}`)
	refused("a table with an entry beside *", alter("emp", supertable.Alteration{Rename: "staff"}), "give it an entry for staff first")

	for role, document := range map[string]string{
		"mask": `{"name":"both","role":"reader","tables":["emp","staff"],"masks":{"salary":{"type":"null"},"pay":{"type":"null"}}}`,
		"rows": `{"name":"rows_of_both","role":"reader","tables":{"emp":{"filters":{"country":"US"}},"staff":{"filters":{"country":"US"}},"*":{}}}`,
	} {
		hash, err := s.CreateRole(t.Context(), []byte(document))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.ModifyUser(t.Context(), role, supertable.UserChange{Roles: &[]string{hash}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"masks", "rows"} {
		if _, err := s.DeleteRole(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	for _, a := range []supertable.Alteration{pay, {Rename: "staff"}} {
		table := "emp"
		if err := alter(table, a); err != nil {
			t.Fatal(err)
		}
	}
	if got := testdb.Query(t, mask, "SELECT count(pay), count(*) FROM staff", nil); got != "0|2" {
		t.Errorf("masked: %s", got)
	}
	if got := testdb.Query(t, rows, "SELECT count(*) FROM staff", nil); got != "1" {
		t.Errorf("filtered: %s", got)
	}

	later := actor(t, db, s, "later", `{"role":"reader","tables":["staff"],"masks":{"pay":{"type":"null"}}}`)
	_, err := s.Rollback(t.Context(), "staff", first, nil)
	refused("a rollback to the name before", err, `give it a mask for "salary" first`)
	if got := testdb.Query(t, later, "SELECT count(pay) FROM staff", nil); got != "0" {
		t.Errorf("masked by the new name: %s", got)
	}
}
