package catalog

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/supertable-go/supertable/internal/errs"
)

func TestTraits(t *testing.T) {
	for _, c := range []struct {
		sql         string
		held, plain bool
	}{
		{`INSERT INTO ducklake_snapshot (snapshot_id) VALUES (?)`, false, true},
		{`DELETE FROM ducklake_snapshot WHERE snapshot_id < ?`, false, false},
		{`INSERT INTO "ducklake_inlined_data_1_2" (row_id) VALUES (?)`, false, true},
		{`UPDATE "ducklake_inlined_data_1_2" SET end_snapshot = ?`, false, true},
		{`DELETE FROM "ducklake_inlined_data_1_2"`, false, false},
		{`INSERT INTO ducklake_inlined_delete_7 (file_id) VALUES (?)`, false, true},
		{`INSERT INTO ducklake_inlined_data_tables (table_id) VALUES (?)`, false, false},
		{`UPDATE ducklake_data_file SET end_snapshot = ?`, false, true},
		{"\n DELETE FROM supertable_lease WHERE id = ?", false, true},
		{`INSERT OR IGNORE INTO supertable_change (snapshot_id) VALUES (?)`, false, false},
		{`UPDATE ducklake_metadata SET "value" = ?`, false, false},
		{`INSERT INTO supertable_policy (version) VALUES (?)`, false, false},
		{`UPDATE ducklake_table_stats SET record_count = ?`, true, false},
		{`SELECT seq FROM supertable_audit`, true, false},
		{`CREATE TABLE x (y)`, false, false},
		{`REPLACE INTO supertable_lease VALUES (?)`, false, false},
		{``, false, false},
	} {
		if got := traitsOf(c.sql); got != (traits{c.held, c.plain}) {
			t.Errorf("%q: held %t, plain %t", c.sql, got.held, got.plain)
		}
	}
}

// remembered is what a fresh look says of what the writer remembers.
func remembered(t *testing.T, c *Catalog, table string) string {
	t.Helper()
	out := ""
	err := c.Read(t.Context(), func(v *View) error {
		tbl, err := v.Table(t.Context(), table, v.Head.ID)
		if err != nil {
			return err
		}
		live, _, err := askLive(t.Context(), v.q, tbl.ID)
		if err != nil {
			return err
		}
		stats, err := (&applier{View: v, ctx: t.Context(), table: tbl}).askTableStats()
		out = fmt.Sprintf("head %d version %d rows %d files %d gross %d", v.Head.ID, live.version, live.rows, live.files, stats.records)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Two handles and a client of raw SQL change the same lake in turns: what each
// remembers must never be what the other has changed. In test builds every use
// of the memory is also held against the catalog.
func TestMemoryBesideOthers(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 7))
			a := newCatalog(t, nil)
			b := openFolder(t, a.folder, nil)
			mustCommit(t, a, creates("t"))
			foreign := raw(t, a)
			version, rows, files := int64(0), int64(0), int64(0)
			for step := range 60 {
				c := a
				if r.IntN(2) == 0 {
					c = b
				}
				switch n := r.IntN(10); {
				case n < 6:
					done := mustCommit(t, c, addRows("t", 3))
					version, rows, files = version+1, rows+3, files+1
					if done.Version != version {
						t.Fatalf("step %d: version %d, want %d", step, done.Version, version)
					}
				case n < 7: // of a group one fails half-way
					if _, err := c.Commit(t.Context(), func(ctx context.Context, v *View) (*Change, error) {
						ch, err := addRows("t", 5)(ctx, v)
						if err == nil {
							ch.Lease, ch.Record.Rows = "", -1_000_000 // more than there are
						}
						return ch, err
					}); errs.KindOf(err) != errs.Internal {
						t.Fatalf("step %d: %v", step, err)
					}
				case n < 8:
					value := fmt.Sprint(r.IntN(100))
					if err := c.SetOption(t.Context(), SuperOptions, "flush_rows", value, nil); err != nil {
						t.Fatal(err)
					}
					for _, x := range []*Catalog{a, b} {
						seen := ""
						_, err := x.Commit(t.Context(), func(ctx context.Context, v *View) (*Change, error) {
							set, err := v.Options(ctx, SuperOptions)
							seen = set["flush_rows"]
							return nil, err
						})
						if err != nil || seen != value {
							t.Fatalf("step %d: option %q, want %q: %v", step, seen, value, err)
						}
					}
				case n < 9:
					exec(t, foreign, foreignInsert(head(t, a).ID+1, 1000+int64(step))...)
					if err := c.CatchUp(t.Context()); err != nil {
						t.Fatal(err)
					}
					var live liveState
					if err := c.Read(t.Context(), func(v *View) (err error) {
						tbl, err := v.Table(t.Context(), "t", v.Head.ID)
						if err == nil {
							live, _, err = askLive(t.Context(), v.q, tbl.ID)
						}
						return err
					}); err != nil {
						t.Fatal(err)
					}
					version, rows, files = live.version, live.rows, live.files
				default:
					if err := c.AppendAudit(t.Context(), func(last AuditHead) []AuditRow {
						return []AuditRow{{Seq: last.Seq + 1, Time: "2026-01-01", Hash: fmt.Sprint(last.Seq + 1)}}
					}); err != nil {
						t.Fatal(err)
					}
				}
				if got, want := remembered(t, c, "t"), fmt.Sprintf("version %d rows %d files %d", version, rows, files); !strings.Contains(got, want) {
					t.Fatalf("step %d: %s, want %s", step, got, want)
				}
			}
			contiguous(t, a)
		})
	}
}

// A commit that cannot be made durable leaves nothing in the memory.
func TestMemoryAfterRollback(t *testing.T) {
	c := newCatalog(t, nil)
	mustCommit(t, c, creates("t"))
	mustCommit(t, c, addRows("t", 3))
	before := remembered(t, c, "t")
	broken := errors.New("broken")
	err := c.write(t.Context(), func(q querier) error {
		v := &View{q: q, c: c}
		if err := v.prepare(t.Context()); err != nil {
			return err
		}
		if err := v.storeLive(t.Context(), 1, liveState{9, 9, 9, 9}, v.Head); err != nil {
			return err
		}
		if s, err := v.live(t.Context(), 1); err != nil || s.rows != 9 {
			t.Errorf("held back: %+v, %v", s, err)
		}
		var rows int64
		if err := q.QueryRowContext(t.Context(), `SELECT rows FROM supertable_table WHERE table_id = 1`).Scan(&rows); err != nil || rows != 9 {
			t.Errorf("who looks at the table finds %d rows: %v", rows, err)
		}
		return broken
	})
	if !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if after := remembered(t, c, "t"); after != before {
		t.Errorf("%s, was %s", after, before)
	}
	done := mustCommit(t, c, addRows("t", 3))
	if done.Version != 2 {
		t.Errorf("version %d", done.Version)
	}
}

// How commits are synced follows the option, whoever set it, from the next
// commit on; what is no snapshot is always synced.
func TestRelaxedCommits(t *testing.T) {
	a := newCatalog(t, nil)
	b := openFolder(t, a.folder, nil)
	mustCommit(t, a, creates("t"))
	level := func(c *Catalog, want int, do func()) {
		t.Helper()
		do()
		conn, err := c.writer.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		var got int
		if err := conn.QueryRowContext(t.Context(), `PRAGMA synchronous`).Scan(&got); err != nil || got != want || relaxed(conn) != (want == 1) {
			t.Errorf("synchronous is %d, want %d: %v", got, want, err)
		}
	}
	const normal, full = 1, 2
	add := func(c *Catalog) func() { return func() { mustCommit(t, c, addRows("t", 3)) } }
	set := func(c *Catalog, value string) func() {
		return func() {
			if err := c.SetOption(t.Context(), SuperOptions, SyncOption, value, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	level(a, full, add(a))
	level(a, full, set(a, "0"))
	level(a, normal, add(a))
	level(a, normal, add(a))
	level(b, normal, add(b))
	level(b, full, set(b, ""))
	level(a, full, add(a))
	level(b, full, add(b))
	if got, want := remembered(t, a, "t"), "head 7 version 6 rows 18 files 6 gross 18"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	contiguous(t, a)
	level(a, full, set(a, "0"))
	level(a, normal, add(a))
	a.log.mu.Lock()
	a.log.met = false // as after a fresh start
	a.log.mu.Unlock()
	level(a, normal, add(a))
}

// A row that is held back and cannot be written is the fault of its own member,
// not of the one whose look at the table brings it out.
func TestHeldRowsFailTheirOwner(t *testing.T) {
	c := newCatalog(t, nil)
	mustCommit(t, c, creates("t"))
	mustCommit(t, c, addRows("t", 3))
	g := newGroup(t, c)
	twice := func(ctx context.Context, v *View) (*Change, error) { // a snapshot has its changes once
		if err := insertRow(ctx, v.q, "ducklake_snapshot_changes", "snapshot_id, changes_made, author, commit_message", v.Head.ID, "x", nil, nil); err != nil {
			return nil, err
		}
		return addRows("t", 100)(ctx, v)
	}
	looks := func(ctx context.Context, v *View) (*Change, error) {
		var n int64
		if err := v.q.QueryRowContext(ctx, `SELECT count(*) FROM ducklake_snapshot_changes`).Scan(&n); err != nil {
			return nil, err
		}
		return addRows("t", 5)(ctx, v)
	}
	g.add(t.Context(), addRows("t", 7))
	g.add(t.Context(), twice)
	g.add(t.Context(), looks)
	g.run()
	for i, ok := range []bool{true, false, true} {
		if (g.errs[i] == nil) != ok {
			t.Errorf("member %d: %v", i, g.errs[i])
		}
	}
	if got, want := remembered(t, c, "t"), "head 4 version 3 rows 15 files 3 gross 15"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	contiguous(t, c)
}
