package supertable_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/testdb"
)

// auditLines words the records, oldest first.
func auditLines(t *testing.T, s *supertable.Session, o *supertable.AuditOptions) []string {
	t.Helper()
	v, err := s.VerifyAudit(t.Context(), "") // waits for what is queued
	if err != nil || !v.Valid {
		t.Fatalf("verify: %+v (%v)", v, err)
	}
	var out []string
	err = s.Audit(t.Context(), o, func(r supertable.AuditRecord) error {
		at := "-"
		if r.Snapshot != nil {
			at = fmt.Sprint(*r.Snapshot)
		}
		line := fmt.Sprintf("%s %s %v @%s %d %s", r.Principal, r.Action, r.Tables, at, r.Rows, r.Outcome)
		if r.Statement != "" {
			line += " | " + r.Statement
		}
		out = append([]string{line}, out...)
		return nil
	})
	if err == nil {
		_, err = s.VerifyAudit(t.Context(), "") // the reading itself is queued too
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestAuditRecords: each kind of call leaves its record.
func TestAuditRecords(t *testing.T) {
	db := testdb.Open(t)
	s := db.Session("s")
	seen := len(auditLines(t, s, nil)) + 1 // reading the audit is a record too
	since := func() string {
		t.Helper()
		all := auditLines(t, s, nil)
		lines := all[seen:]
		seen = len(all) + 1
		return strings.Join(lines, "\n")
	}
	readOnly := func(on bool) func() {
		return func() {
			if _, _, err := db.Create(t.Context(), "default", "s", &supertable.CreateOptions{ReadOnly: &on}); err != nil {
				t.Fatal(err)
			}
		}
	}
	query := func(sql string) func() {
		return func() { _, _ = testdb.TryQuery(t.Context(), s, sql, nil) }
	}
	write := func(o *supertable.WriteOptions, rows string) func() {
		return func() {
			rr := testdb.Batch(t, "id:int64,x:int64", rows)
			defer rr.Release()
			_, _ = s.Write(t.Context(), "t", rr, o)
		}
	}
	alter := func(a supertable.Alteration) func() { return func() { _, _ = s.Alter(t.Context(), "t", a) } }
	for _, c := range []struct {
		what string
		do   func()
		want string
	}{
		{"append", write(nil, `[{"id":1},{"id":2},{"id":3}]`), "superuser append [t] @1 3 ok"},
		{"upsert", write(&supertable.WriteOptions{Key: []string{"id"}}, `[{"id":2,"x":1}]`), "superuser upsert [t] @2 1 ok"},
		{"delete", write(&supertable.WriteOptions{Key: []string{"id"}, DeleteOnly: true}, `[{"id":1},{"id":9}]`), "superuser delete [t] @3 1 ok"},
		{"delete nothing", write(&supertable.WriteOptions{Key: []string{"id"}, DeleteOnly: true}, `[{"id":9}]`), "superuser delete [t] @3 0 ok"},
		{"write id", write(&supertable.WriteOptions{WriteID: "w"}, `[{"id":4}]`), "superuser append [t] @4 1 ok"},
		{"write id again", write(&supertable.WriteOptions{WriteID: "w"}, `[{"id":4}]`), "superuser write [t] @4 0 ok"},
		{"a bad key", write(&supertable.WriteOptions{Key: []string{"nope"}}, `[{"id":4}]`), "superuser write [t] @- 0 error"},
		{"add", alter(supertable.Alteration{Add: &supertable.AddColumn{Name: "y", Type: "int"}}), "superuser alter [t] @5 0 ok | add y int"},
		{"add again", alter(supertable.Alteration{Add: &supertable.AddColumn{Name: "y", Type: "int"}}), "superuser alter [t] @- 0 error | add y int"},
		{"query", query("SELECT id FROM T WHERE id > 1"), "superuser query [t] @5 3 ok | SELECT id FROM T WHERE id > 1"},
		{"of nothing", query("SELECT * FROM nope"), "superuser query [nope] @5 0 error | SELECT * FROM nope"},
		{"no SQL", query("SELEC"), "superuser query [] @- 0 error | SELEC"},
		{"a file", query("SELECT * FROM read_csv('x')"), "superuser query [] @- 0 error | SELECT * FROM read_csv('x')"},
		{"an error in a row", query("SELECT CAST('x' AS INT) FROM t"), "superuser query [t] @5 0 error | SELECT CAST('x' AS INT) FROM t"},
		{"the union, twice", query("SELECT count(*) FROM s a, s b"), "superuser query [s s] @5 1 ok | SELECT count(*) FROM s a, s b"},
		{"SHOW", query("SHOW TABLES"), "superuser query [] @5 1 ok | SHOW TABLES"},
		{"option", func() { _ = s.SetOption(t.Context(), "t", "compression_level", "5") }, "superuser option_set [t] @- 0 ok | compression_level=5"},
		{"no option", func() { _ = s.SetOption(t.Context(), "t", "nope", "5") }, "superuser option_set [t] @- 0 error | nope=5"},
		{"login", func() { _, _ = mustSuper(t, db, "s").Session(t.Context(), "mallory") }, "mallory login [] @- 0 denied"},
		{"read-only", readOnly(true), "superuser read_only [] @- 0 ok"},
		{"a refused write", write(nil, `[{"id":7}]`), "superuser write [t] @- 0 denied"},
		{"a refused drop", func() { _, _ = s.DropTable(t.Context(), "t") }, "superuser drop [t] @- 0 denied"},
		{"a read of it", query("SELECT 1"), "superuser query [] @5 1 ok | SELECT 1"},
		{"read-write", readOnly(false), "superuser read_write [] @- 0 ok"},
		{"rename", alter(supertable.Alteration{Rename: "u"}), "superuser rename [t u] @6 0 ok | rename u"},
		{"drop", func() { _, _ = s.DropTable(t.Context(), "u") }, "superuser drop [u] @7 3 ok"},
		{"no texts", func() { _ = s.SetOption(t.Context(), "", "audit_text", "0") }, "superuser option_set [] @- 0 ok | audit_text=0"},
		{"a query without its text", query("SELECT 'secret'"), "superuser query [] @7 1 ok"},
		{"reads wait", func() { _ = s.SetOption(t.Context(), "", "audit_required", "1") }, "superuser option_set [] @- 0 ok | audit_required=1"},
		{"a query that waits", query("SELECT 2"), "superuser query [] @- 0 begun\nsuperuser query [] @7 1 ok"},
		{"facts", func() { _, _ = s.Tables(t.Context()); _, _ = s.Schema(t.Context(), "nope") }, ""},
	} {
		c.do()
		if got := since(); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.what, got, c.want)
		}
	}
}

func mustSuper(t *testing.T, db *testdb.DB, name string) *supertable.SuperTable {
	t.Helper()
	st, err := db.SuperTable(t.Context(), "default", name)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// TestAuditOfTwoSuperTables: a query over several is in the audit of each.
func TestAuditOfTwoSuperTables(t *testing.T) {
	db := testdb.Open(t)
	a, b := db.Session("a"), db.Session("b")
	testdb.Write(t, a, "t", "id:int64", `[{"id":1}]`, nil)
	testdb.Write(t, b, "u", "id:int64", `[{"id":1}]`, nil)
	testdb.Write(t, b, "u", "id:int64", `[{"id":1}]`, nil)
	testdb.Query(t, a, `SELECT * FROM t JOIN b.u USING (id)`, nil)
	for s, want := range map[*supertable.Session]string{a: "superuser query [t] @1 2 ok", b: "superuser query [u] @2 2 ok"} {
		lines := auditLines(t, s, nil)
		if got, _, _ := strings.Cut(lines[len(lines)-1], " |"); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if got := testdb.Query(t, a, `SELECT count(*) > 0 FROM b.__audit__ WHERE list_contains(tables, 'u')`, nil); got != "true" {
		t.Errorf("the other audit: %s", got)
	}
}

// TestAuditInSQL reads the relation __audit__.
func TestAuditInSQL(t *testing.T) {
	s := testdb.Open(t).Session("s")
	for i := range 5 {
		testdb.Write(t, s, "t", "id:int64", fmt.Sprintf(`[{"id":%d}]`, i), nil)
	}
	auditLines(t, s, nil) // writes what is queued
	for sql, want := range map[string]string{
		`SELECT seq, action, tables, snapshot, rows FROM __audit__ WHERE action = 'append' ORDER BY seq LIMIT 2`:      `2|append|["t"]|1|1` + "\n" + `3|append|["t"]|2|1`,
		`SELECT count(*) FROM __audit__ a JOIN s.__Audit__ b ON b.seq = a.seq + 1 WHERE b.action = 'append'`:          "5",
		`WITH x AS (SELECT * FROM __audit__) SELECT count(*) FROM x p JOIN x q USING (seq) WHERE p.seq <= 6`:          "6",
		`SELECT count(*) FROM t JOIN __audit__ a ON a.snapshot = t.id + 1 AND a.action = 'append'`:                    "5",
		`SELECT count(DISTINCT hash), min(principal), max(outcome) FROM __audit__ WHERE seq < 5`:                      "4|superuser|ok",
		`SELECT typeof(time), typeof(roles), typeof(duration_ms), typeof(rows) FROM __audit__ WHERE seq = 1`:          "TIMESTAMP WITH TIME ZONE|VARCHAR[]|DOUBLE|BIGINT",
		`SELECT count(*) FROM __audit__ x WHERE seq = (SELECT min(seq) FROM __audit__ WHERE principal = x.principal)`: "1",
		`SELECT count(*) FROM __audit__ WHERE seq < 0`:                                                                "0",
	} {
		if got := testdb.Query(t, s, sql, nil); got != want {
			t.Errorf("%s: got %s, want %s", sql, got, want)
		}
	}
	version, now := int64(1), time.Now()
	for sql, o := range map[string]*supertable.QueryOptions{
		`SELECT * FROM __audit__ AT (VERSION => 1)`: nil,
		`SELECT 1 FROM __audit__`:                   {AtVersion: &version},
		`SELECT 2 FROM __audit__`:                   {AtTime: &now},
		`SELECT nope FROM __audit__`:                nil,
	} {
		if _, err := testdb.TryQuery(t.Context(), s, sql, o); !errors.Is(err, supertable.InvalidArgument) {
			t.Errorf("%s: got %v, want invalid_argument", sql, err)
		}
	}
	if got := testdb.Query(t, s, `SHOW TABLES`, nil) + testdb.Query(t, s, `SELECT table_name FROM information_schema.tables`, nil); got != "tt" {
		t.Errorf("the audit is listed: %s", got)
	}
	if got := testdb.Query(t, s, `SELECT count(*) FROM s`, nil); got != "5" {
		t.Errorf("the union has %s rows, want 5", got)
	}
	rr := testdb.Batch(t, "id:int64", `[{"id":1}]`)
	defer rr.Release()
	if _, err := s.Write(t.Context(), "__AUDIT__", rr, nil); !errors.Is(err, supertable.InvalidArgument) {
		t.Errorf("a write to the audit: %v", err)
	}
	if _, err := s.Alter(t.Context(), "t", supertable.Alteration{Rename: "__audit__"}); !errors.Is(err, supertable.InvalidArgument) {
		t.Errorf("a rename to the audit: %v", err)
	}
}

// TestLongAudit reads more records than a page holds.
func TestLongAudit(t *testing.T) {
	s := testdb.Open(t).Session("s")
	const n = 5000
	for i := range n {
		_ = s.SetOption(t.Context(), "", "nope", fmt.Sprint(i)) // fails, which is queued
	}
	auditLines(t, s, nil)
	if got := testdb.Query(t, s, `SELECT count(*), count(DISTINCT statement) FROM __audit__ WHERE action = 'option_set'`, nil); got != "5000|5000" {
		t.Errorf("got %s", got)
	}
	for _, c := range []struct {
		o    supertable.AuditOptions
		want int
	}{{supertable.AuditOptions{Limit: 7}, 7}, {supertable.AuditOptions{User: "9cf3"}, 0}, {supertable.AuditOptions{Since: time.Now().Add(time.Hour)}, 0}, {supertable.AuditOptions{User: "0b85b786b16d195439c0da18fd4478df", Limit: 9}, 9}} {
		if got := len(auditLines(t, s, &c.o)); got != c.want {
			t.Errorf("%+v: %d records, want %d", c.o, got, c.want)
		}
	}
	stop := errors.New("enough")
	if err := s.Audit(t.Context(), nil, func(supertable.AuditRecord) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
}

// TestAuditRetention trims the oldest records; the rest still verifies.
func TestAuditRetention(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	db := testdb.At(t, t.TempDir(), &supertable.Options{MemoryBytes: 512 << 20, Now: func() time.Time { return now }})
	s := db.Session("s")
	for range 20 {
		_ = s.SetOption(t.Context(), "", "nope", "1")
	}
	first, err := s.VerifyAudit(t.Context(), "")
	if err != nil || first.Records != 21 {
		t.Fatalf("%+v (%v)", first, err)
	}
	trim := func(want int64) {
		t.Helper()
		if n, err := s.TrimAudit(t.Context()); err != nil || n != want {
			t.Fatalf("trimmed %d (%v), want %d", n, err, want)
		}
	}
	trim(0)
	now = now.AddDate(0, 0, 30)
	if err := s.SetOption(t.Context(), "", "audit_retention", fmt.Sprint(31*86400)); err != nil {
		t.Fatal(err)
	}
	trim(0)
	now = now.AddDate(0, 0, 2)
	trim(21)
	if got := auditLines(t, s, nil); len(got) != 2 || got[1] != "superuser audit_trim [] @- 21 ok" {
		t.Errorf("left: %q", got)
	}
	now = now.AddDate(1, 0, 0)
	trim(3)
	if got := auditLines(t, s, nil); len(got) != 1 {
		t.Errorf("left: %q", got)
	}
	v, err := s.VerifyAudit(t.Context(), first.Head)
	if err != nil || v.Valid || v.FirstBroken != nil {
		t.Errorf("a head that was trimmed: %+v (%v)", v, err)
	}
	for _, bad := range [][2]string{{"t", "audit_text"}, {"", "audit_retentio"}} {
		if err := s.SetOption(t.Context(), bad[0], bad[1], "1"); !errors.Is(err, supertable.InvalidArgument) {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

// TestAuditOfALostQuery: rows that are closed early, or cancelled, are recorded.
func TestAuditOfALostQuery(t *testing.T) {
	s := testdb.Open(t).Session("s")
	rows, err := s.Query(t.Context(), `SELECT * FROM range(1000000)`, nil)
	if err != nil {
		t.Fatal(err)
	}
	rows.Next()
	n := rows.Batch().NumRows()
	_ = rows.Close()
	_ = rows.Close()
	lines := auditLines(t, s, nil)
	if want := fmt.Sprintf("superuser query [] @0 %d ok | SELECT * FROM range(1000000)", n); lines[len(lines)-1] != want {
		t.Errorf("got %s, want %s", lines[len(lines)-1], want)
	}
}

// TestAuditOfOthers: what a user with few rights tries is recorded with his
// roles, and he sees nothing of it.
func TestAuditOfOthers(t *testing.T) {
	db := testdb.Open(t)
	s := db.Session("s")
	testdb.Write(t, s, "mine", "id:int64", `[{"id":1}]`, nil)
	testdb.Write(t, s, "theirs", "id:int64", `[{"id":1}]`, nil)
	role, err := s.CreateRole(t.Context(), []byte(`{"role":"writer","name":"w","tables":["mine"]}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.CreateUser(t.Context(), "alice", []string{role}, nil); err != nil {
		t.Fatal(err)
	}
	var governance []string
	for _, l := range auditLines(t, s, nil) {
		if strings.Contains(l, "create_role") || strings.Contains(l, "create_user") {
			governance = append(governance, l)
		}
	}
	if len(governance) != 2 || !strings.Contains(governance[0], `"mine"`) || !strings.Contains(governance[1], "alice") {
		t.Errorf("governance: %q", governance)
	}
	alice, err := mustSuper(t, db, "s").Session(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	rr := testdb.Batch(t, "id:int64", `[{"id":1}]`)
	defer rr.Release()
	for what, c := range map[string]struct {
		do   func() error
		want string
	}{
		"read":    {func() error { _, err := testdb.TryQuery(t.Context(), alice, `SELECT id FROM mine`, nil); return err }, "alice query [mine] @2 1 ok | SELECT id FROM mine"},
		"theirs":  {func() error { _, err := testdb.TryQuery(t.Context(), alice, `SELECT 1 FROM theirs`, nil); return err }, "alice query [theirs] @2 0 denied | SELECT 1 FROM theirs"},
		"nothing": {func() error { _, err := testdb.TryQuery(t.Context(), alice, `SELECT 1 FROM none`, nil); return err }, "alice query [none] @2 0 error | SELECT 1 FROM none"},
		"audit": {func() error {
			_, err := testdb.TryQuery(t.Context(), alice, `SELECT 1 FROM __audit__`, nil)
			return err
		}, "alice query [__audit__] @- 0 denied | SELECT 1 FROM __audit__"},
		"show":   {func() error { return alice.Audit(t.Context(), nil, nil) }, "alice audit_show [] @- 0 denied"},
		"verify": {func() error { _, err := alice.VerifyAudit(t.Context(), ""); return err }, "alice audit_verify [] @- 0 denied"},
		"trim":   {func() error { _, err := alice.TrimAudit(t.Context()); return err }, "alice audit_trim [] @- 0 denied"},
		"option": {func() error { return alice.SetOption(t.Context(), "", "audit_text", "0") }, "alice option_set [] @- 0 denied | audit_text=0"},
		"write":  {func() error { _, err := alice.Write(t.Context(), "theirs", rr, nil); return err }, "alice write [theirs] @- 0 denied"},
		"schema": {func() error { _, err := alice.Schema(t.Context(), "theirs"); return err }, "alice schema [theirs] @- 0 denied"},
		"role":   {func() error { _, err := alice.DeleteRole(t.Context(), role); return err }, "alice delete_role [] @- 0 denied"},
		"users":  {func() error { _, err := alice.Users(t.Context()); return err }, "alice policy [] @- 0 denied"},
	} {
		err := c.do()
		if ok := strings.HasSuffix(strings.Split(c.want, " |")[0], " ok"); ok != (err == nil) {
			t.Errorf("%s: %v", what, err)
		}
		lines := auditLines(t, s, &supertable.AuditOptions{User: "alice", Limit: 1})
		if len(lines) != 1 || lines[0] != c.want {
			t.Errorf("%s: got %q, want %q", what, lines, c.want)
		}
	}
	want := role + "|2"
	if got := testdb.Query(t, s, `SELECT DISTINCT roles[1], policy FROM __audit__ WHERE principal = 'alice'`, nil); got != want {
		t.Errorf("roles and policy: %s, want %s", got, want)
	}
}
