package crash

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3" // what an attacker would use

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/testdb"
)

// writeAndRead writes a row and reads the table, ST_CRASH_TO times, and says
// which snapshot each write made.
func writeAndRead(ctx context.Context) error {
	to, _ := strconv.Atoi(os.Getenv("ST_CRASH_TO"))
	table := os.Getenv("ST_CRASH_TABLE")
	lake, err := supertable.Open(ctx, os.Getenv("ST_CRASH_HOME"), &supertable.Options{MemoryBytes: 256 << 20, Threads: 1})
	if err != nil {
		return err
	}
	st, _, err := lake.Create(ctx, "default", "main", nil)
	if err != nil {
		return err
	}
	s, err := st.Session(ctx, supertable.Superuser)
	if err != nil {
		return err
	}
	for i := range to {
		r, err := s.WriteFrom(ctx, table, strings.NewReader(csv([]row{{int64(i), 1}})), &supertable.WriteOptions{Format: "csv"})
		if err != nil {
			return err
		}
		fmt.Println("wrote", r.Snapshot)
		if _, err := testdb.TryQuery(ctx, s, "SELECT count(*) FROM "+table, nil); err != nil {
			return err
		}
		if _, err := st.Session(ctx, "nobody-"+table); !errors.Is(err, supertable.Denied) {
			return fmt.Errorf("a login of nobody: %w", err)
		}
	}
	return lake.Close()
}

// audited opens the home and gives the number of records per action, and the
// snapshots of the appends; the chain must hold.
func audited(t *testing.T, home string) (actions map[string]int, appends map[int64]int) {
	t.Helper()
	actions, appends = map[string]int{}, map[int64]int{}
	s := testdb.At(t, home, nil).Session("main")
	v, err := s.VerifyAudit(t.Context(), "")
	if err != nil || !v.Valid {
		t.Fatalf("verify: %+v (%v)", v, err)
	}
	err = s.Audit(t.Context(), nil, func(r supertable.AuditRecord) error {
		actions[r.Action]++
		if r.Action == "append" {
			appends[*r.Snapshot]++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	history, err := s.History(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range history {
		if appends[h.Snapshot] != 1 {
			t.Errorf("snapshot %d has %d records", h.Snapshot, appends[h.Snapshot])
		}
	}
	if len(history) != len(appends) {
		t.Errorf("%d changes, %d records of them", len(history), len(appends))
	}
	return actions, appends
}

// TestProcessesShareOneChain: four processes append to one chain at once.
func TestProcessesShareOneChain(t *testing.T) {
	home := filepath.Join(t.TempDir(), "home")
	const processes, steps = 4, 15
	var all []*writer
	for p := range processes {
		all = append(all, run(t, home, "ST_CRASH_MODE=audit", fmt.Sprintf("ST_CRASH_TABLE=t%d", p), fmt.Sprintf("ST_CRASH_TO=%d", steps)))
	}
	for _, w := range all {
		for l := range w.lines {
			if !strings.HasPrefix(l, "wrote ") {
				t.Errorf("a process failed: %s", l)
			}
		}
		_ = w.cmd.Wait()
	}
	actions, _ := audited(t, home)
	for _, action := range []string{"append", "query", "login"} {
		if actions[action] != processes*steps {
			t.Errorf("%d records of %s, want %d", actions[action], action, processes*steps)
		}
	}
	if actions["create_super"] != 1 {
		t.Errorf("%d records of the creation", actions["create_super"])
	}
}

// TestKilledChain: whenever a process is killed, the chain holds, and every
// write that was acknowledged has its record.
func TestKilledChain(t *testing.T) {
	home, sd := filepath.Join(t.TempDir(), "home"), seed(t)
	r := rand.New(rand.NewPCG(sd, 81))
	acknowledged := map[int64]bool{}
	for range kills(t) {
		w := run(t, home, "ST_CRASH_MODE=audit", "ST_CRASH_TABLE=t", "ST_CRASH_TO=100000")
		time.Sleep(time.Duration(100+r.IntN(200)) * time.Millisecond)
		if err := w.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for l := range w.lines {
			n, err := strconv.ParseInt(strings.TrimPrefix(l, "wrote "), 10, 64)
			if err != nil {
				t.Fatalf("the writer failed: %s", l)
			}
			acknowledged[n] = true
		}
		_ = w.cmd.Wait()
		_, appends := audited(t, home)
		for n := range acknowledged {
			if appends[n] != 1 {
				t.Fatalf("snapshot %d was acknowledged and has %d records", n, appends[n])
			}
		}
	}
	if len(acknowledged) == 0 {
		t.Fatal("nothing was written")
	}
	t.Logf("%d writes", len(acknowledged))
}

// tamper runs statements on the catalog behind the program's back.
func tamper(t *testing.T, home string, stmts ...string) {
	t.Helper()
	db, err := sql.Open("sqlite3", filepath.Join(home, "default", "main", "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for _, s := range stmts {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// lakeWithAudit makes a home with some ten records in its audit. It is not
// checked at the end: it will be broken.
func lakeWithAudit(t *testing.T) (string, *supertable.Lake, *supertable.Session) {
	t.Helper()
	home := filepath.Join(t.TempDir(), "home")
	lake, err := supertable.Open(t.Context(), home, &supertable.Options{MemoryBytes: 256 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lake.Close() })
	st, _, err := lake.Create(t.Context(), "default", "main", nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := st.Session(t.Context(), supertable.Superuser)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 9 {
		if err := s.SetOption(t.Context(), "", "compression_level", strconv.Itoa(i+1)); err != nil {
			t.Fatal(err)
		}
	}
	return home, lake, s
}

func TestTamperedCatalog(t *testing.T) {
	for what, c := range map[string]struct {
		sql   []string
		first int64
	}{
		"edited":               {[]string{`UPDATE supertable_audit SET content = replace(content, '=4', '=5') WHERE content LIKE '%=4"%'`}, 5},
		"another principal":    {[]string{`UPDATE supertable_audit SET principal = 'bob' WHERE seq = 4`}, 4},
		"deleted":              {[]string{`DELETE FROM supertable_audit WHERE seq = 6`}, 6},
		"cut off":              {[]string{`DELETE FROM supertable_audit WHERE seq > 8`}, 9},
		"emptied":              {[]string{`DELETE FROM supertable_audit`}, 1},
		"reordered":            {[]string{`UPDATE supertable_audit SET seq = 100 WHERE seq = 3`, `UPDATE supertable_audit SET seq = 3 WHERE seq = 4`, `UPDATE supertable_audit SET seq = 4 WHERE seq = 100`}, 3},
		"inserted":             {[]string{`INSERT INTO supertable_audit SELECT seq + 1, time, principal, content, hash FROM supertable_audit WHERE seq = 10`}, 11},
		"cut off with a head":  {[]string{`DELETE FROM supertable_audit WHERE seq > 8`, `UPDATE supertable_audit_head SET seq = 8`}, 8},
		"trimmed with a forge": {[]string{`DELETE FROM supertable_audit WHERE seq < 4`, `UPDATE supertable_audit_head SET trimmed_seq = 3`}, 4},
		"blobs":                {[]string{`UPDATE supertable_audit SET content = x'00ff', hash = x'00', time = x'01' WHERE seq = 2`}, 2},
	} {
		t.Run(what, func(t *testing.T) {
			home, _, s := lakeWithAudit(t)
			tamper(t, home, c.sql...)
			broken := func(when string, want int64) {
				t.Helper()
				v, err := s.VerifyAudit(t.Context(), "")
				if err != nil || v.Valid || v.FirstBroken == nil || *v.FirstBroken != want {
					t.Fatalf("%s: %+v, first broken %v (%v), want %d", when, v, v.FirstBroken, err, want)
				}
			}
			broken("after it", c.first)
			report, err := s.Check(t.Context(), true)
			if err != nil || report.OK || report.Findings[0].Kind != "broken_audit" {
				t.Errorf("check: %+v (%v)", report, err)
			}
			// The SuperTable goes on, and goes on to show it.
			if err := s.SetOption(t.Context(), "", "compression_level", "3"); err != nil {
				t.Fatal(err)
			}
			v, err := s.VerifyAudit(t.Context(), "")
			if err != nil || v.Valid {
				t.Errorf("after another record: %+v (%v)", v, err)
			}
		})
	}
}

// TestUnwritableAudit: a change never happens without its record. A read does,
// and is counted, unless audit_required is set.
func TestUnwritableAudit(t *testing.T) {
	home, lake, s := lakeWithAudit(t)
	broken := func() { t.Helper(); tamper(t, home, `ALTER TABLE supertable_audit RENAME TO away`) }
	whole := func() { t.Helper(); tamper(t, home, `ALTER TABLE away RENAME TO supertable_audit`) }
	broken()
	if got, err := testdb.TryQuery(t.Context(), s, "SELECT 1", nil); err != nil || got != "1" {
		t.Errorf("a read: %s (%v)", got, err)
	}
	if err := s.SetOption(t.Context(), "", "compression_level", "9"); err == nil {
		t.Error("an option was set without a record")
	}
	if err := send(t.Context(), s, "t", []row{{1, 1}}, nil); err == nil {
		t.Error("a row was written without a record")
	}
	if _, err := s.VerifyAudit(t.Context(), ""); err == nil { // what waits is tried now
		t.Error("an audit that is away was verified")
	}
	whole()
	if got, err := testdb.TryQuery(t.Context(), s, "SELECT 2", nil); err != nil || got != "2" {
		t.Errorf("a read: %s (%v)", got, err)
	}
	if v, err := s.VerifyAudit(t.Context(), ""); err != nil || !v.Valid {
		t.Errorf("verify: %+v (%v)", v, err)
	}
	if n := lake.AuditLost(); n != 3 { // the read, and the failures of two changes
		t.Errorf("lost %d, want 3", n)
	}
	if got := testdb.Query(t, s, "SELECT sum(rows) FROM __audit__ WHERE action = 'audit_lost'", nil); got != "3" {
		t.Errorf("the chain tells of %s lost records, want 3", got)
	}
	if history, err := s.History(t.Context(), ""); err != nil || len(history) != 0 {
		t.Errorf("history: %+v (%v)", history, err)
	}
	if err := s.SetOption(t.Context(), "", "audit_required", "1"); err != nil {
		t.Fatal(err)
	}
	broken()
	if _, err := testdb.TryQuery(t.Context(), s, "SELECT 3", nil); !errors.Is(err, supertable.Unavailable) {
		t.Errorf("a read that must be recorded: %v, want unavailable", err)
	}
	whole()
	if got, err := testdb.TryQuery(t.Context(), s, "SELECT 4", nil); err != nil || got != "4" {
		t.Errorf("a read: %s (%v)", got, err)
	}
}

// TestTrimRefusesABrokenChain: retention never removes evidence.
func TestTrimRefusesABrokenChain(t *testing.T) {
	home, _, s := lakeWithAudit(t)
	tamper(t, home, `UPDATE supertable_audit SET content = content || ' ' WHERE seq = 2`)
	later, err := supertable.Open(t.Context(), home, &supertable.Options{Now: func() time.Time { return time.Now().AddDate(8, 0, 0) }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = later.Close() }()
	st, err := later.SuperTable(t.Context(), "default", "main")
	if err != nil {
		t.Fatal(err)
	}
	old, err := st.Session(t.Context(), supertable.Superuser)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := old.TrimAudit(t.Context()); n != 0 || !errors.Is(err, supertable.Corrupt) {
		t.Errorf("trimmed %d (%v)", n, err)
	}
	if v, err := s.VerifyAudit(t.Context(), ""); err != nil || v.FirstBroken == nil || *v.FirstBroken != 2 {
		t.Errorf("verify: %+v (%v)", v, err)
	}
}

// makeForeign takes everything from a catalog that is not the format's.
func makeForeign(t *testing.T, home string) {
	t.Helper()
	db, err := sql.Open("sqlite3", filepath.Join(home, "default", "main", "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var drop []string
	rows, err := db.QueryContext(t.Context(), `SELECT 'DROP ' || type || ' ' || name FROM sqlite_master WHERE type IN ('table', 'index', 'trigger') AND name LIKE 'supertable%' ORDER BY type <> 'trigger', type`)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		drop = append(drop, s)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	tamper(t, home, append(drop, `DELETE FROM ducklake_metadata WHERE "key" LIKE 'supertable%'`)...)
}

// TestAuditOfForeignCommits: what other clients commit is recorded when it is
// found; a lake without our tables has no audit until it is adopted.
func TestAuditOfForeignCommits(t *testing.T) {
	home, lake, s := lakeWithAudit(t)
	if err := send(t.Context(), s, "t", []row{{1, 1}}, nil); err != nil {
		t.Fatal(err)
	}
	tamper(t, home,
		`INSERT INTO ducklake_snapshot SELECT snapshot_id + 1, snapshot_time, schema_version, next_catalog_id, next_file_id FROM ducklake_snapshot WHERE snapshot_id = 1`,
		`INSERT INTO ducklake_snapshot_changes (snapshot_id, changes_made) SELECT 2, 'altered_table:' || table_id FROM ducklake_table`)
	if _, err := s.Tables(t.Context()); err != nil {
		t.Fatal(err)
	}
	newest := func(s *supertable.Session) (found supertable.AuditRecord) {
		t.Helper()
		if err := s.Audit(t.Context(), &supertable.AuditOptions{Limit: 1}, func(r supertable.AuditRecord) error { found = r; return nil }); err != nil {
			t.Fatal(err)
		}
		return found
	}
	if r := newest(s); r.Action != "external" || r.Principal != "external" || len(r.Roles) != 0 || *r.Snapshot != 2 || r.Tables[0] != "t" {
		t.Errorf("a foreign commit: %+v", r)
	}
	if err := lake.Close(); err != nil {
		t.Fatal(err)
	}
	makeForeign(t, home)
	again, err := supertable.Open(t.Context(), home, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = again.Close() }()
	session := func(st *supertable.SuperTable, err error) *supertable.Session {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		s, err := st.Session(t.Context(), supertable.Superuser)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	foreign := session(again.SuperTable(t.Context(), "default", "main"))
	if got, err := testdb.TryQuery(t.Context(), foreign, "SELECT count(*) FROM t", nil); err != nil || got != "1" {
		t.Errorf("a foreign lake: %s (%v)", got, err)
	}
	if _, err := foreign.VerifyAudit(t.Context(), ""); !errors.Is(err, supertable.Unsupported) {
		t.Errorf("its audit: %v", err)
	}
	if _, err := testdb.TryQuery(t.Context(), foreign, "SELECT * FROM __audit__", nil); !errors.Is(err, supertable.NotFound) {
		t.Errorf("its audit in SQL: %v", err)
	}
	st, _, err := again.Create(t.Context(), "default", "main", nil)
	if r := newest(session(st, err)); r.Seq != 1 || r.Action != "adopt_super" || r.Principal != "superuser" {
		t.Errorf("after the adoption: %+v", r)
	}
}
