package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/storage"
)

// newCatalog makes a catalog in a fresh folder; change adjusts its options.
func newCatalog(t *testing.T, change func(*Options)) *Catalog {
	t.Helper()
	return openFolder(t, storage.At(filepath.Join(t.TempDir(), "org", "super")), change)
}

func openFolder(t *testing.T, folder storage.Folder, change func(*Options)) *Catalog {
	t.Helper()
	o := Options{Now: time.Now, Logger: slog.New(slog.DiscardHandler), LeaseTTL: time.Minute, CreatedBy: "test"}
	if change != nil {
		change(&o)
	}
	c, _, err := Create(t.Context(), folder, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return c
}

// createTable is a change that makes a table with one column.
func createTable(name string) *Change {
	return &Change{
		Create: &NewTable{Name: name, Columns: []datafile.Column{{ID: 1, Name: "id", Type: datafile.Type{Name: "int64"}, Nullable: true}}},
		Record: Record{Operation: "create", Principal: "test"},
	}
}

func creates(name string) Decide {
	return func(context.Context, *View) (*Change, error) { return createTable(name), nil }
}

// addRows is a change that names one more file of the table.
func addRows(table string, rows int64) Decide {
	return func(ctx context.Context, v *View) (*Change, error) {
		t, err := v.Table(ctx, table, v.Head.ID)
		if err != nil {
			return nil, err
		}
		rel := fmt.Sprintf("%s%d.parquet", TableDir(table), v.Head.ID+1)
		return &Change{Table: t, Add: []NewFile{{Rel: rel, Records: rows, Size: 100}}, Record: Record{Operation: "append", Inserted: rows, Rows: rows, Principal: "test"}}, nil
	}
}

func mustCommit(t *testing.T, c *Catalog, d Decide) Committed {
	t.Helper()
	done, err := c.Commit(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func head(t *testing.T, c *Catalog) Snapshot {
	t.Helper()
	var s Snapshot
	if err := c.Read(t.Context(), func(v *View) error { s = v.Head; return nil }); err != nil {
		t.Fatal(err)
	}
	return s
}

func tableNames(t *testing.T, c *Catalog) string {
	t.Helper()
	var names []string
	err := c.Read(t.Context(), func(v *View) error {
		ts, err := v.Tables(t.Context(), v.Head.ID)
		for _, x := range ts {
			names = append(names, x.Name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(names, " ")
}

// contiguous checks that the snapshots run from 0 to the head without a gap,
// each with its changes, and that their times strictly grow.
func contiguous(t *testing.T, c *Catalog) {
	t.Helper()
	rows, err := c.db.QueryContext(t.Context(), `SELECT s.snapshot_id, s.snapshot_time, (SELECT count(*) FROM ducklake_snapshot_changes x WHERE x.snapshot_id = s.snapshot_id) FROM ducklake_snapshot s ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var last time.Time
	for want := int64(0); rows.Next(); want++ {
		var id, changes int64
		var at string
		if err := rows.Scan(&id, &at, &changes); err != nil {
			t.Fatal(err)
		}
		when, err := ParseTime(at)
		if err != nil {
			t.Fatal(err)
		}
		if id != want || changes != 1 {
			t.Fatalf("got snapshot %d with %d rows of changes, want %d with 1", id, changes, want)
		}
		if !when.After(last) {
			t.Fatalf("snapshot %d has time %s, the one before %s", id, at, FormatTime(last))
		}
		last = when
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}

// commits runs the decides as one group: they queue while another holds the
// commit lock, in their order. Each has its own context.
type commits struct {
	t       *testing.T
	c       *Catalog
	release func()
	wg      sync.WaitGroup
	mu      sync.Mutex
	results []Committed
	errs    []error
}

func newGroup(t *testing.T, c *Catalog) *commits {
	t.Helper()
	release, err := c.folder.Lock(t.Context(), commitLock)
	if err != nil {
		t.Fatal(err)
	}
	return &commits{t: t, c: c, release: release}
}

func (g *commits) add(ctx context.Context, d Decide) {
	g.t.Helper()
	i, before := len(g.errs), waiting(g.c)
	g.results, g.errs = append(g.results, Committed{}), append(g.errs, nil)
	g.wg.Go(func() {
		done, err := g.c.Commit(ctx, d)
		g.mu.Lock()
		defer g.mu.Unlock()
		g.results[i], g.errs[i] = done, err
	})
	eventually(g.t, "the commit queues", func() bool { return waiting(g.c) == before+1 })
}

func (g *commits) run() {
	g.release()
	g.wg.Wait()
}

func waiting(c *Catalog) int {
	c.queue.mu.Lock()
	defer c.queue.mu.Unlock()
	return len(c.queue.waiting)
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 20 s", what)
		}
	}
}

func TestCommitErrorsStayTheirOwn(t *testing.T) {
	c := newCatalog(t, nil)
	mustCommit(t, c, creates("base"))
	ctx, boom := t.Context(), errors.New("boom")
	g := newGroup(t, c)
	g.add(ctx, creates("a"))
	g.add(ctx, func(context.Context, *View) (*Change, error) { return nil, boom })
	g.add(ctx, func(context.Context, *View) (*Change, error) { panic("at the disco") })
	g.add(ctx, func(context.Context, *View) (*Change, error) { return nil, nil })
	g.add(ctx, func(_ context.Context, v *View) (*Change, error) { // fails after most of its rows are written
		ch := createTable("half")
		ch.Record.Deleted = 7
		return ch, nil
	})
	g.add(ctx, func(_ context.Context, v *View) (*Change, error) {
		ch := createTable("slept")
		ch.Lease = "gone"
		return ch, nil
	})
	g.add(ctx, creates("b"))
	g.add(ctx, addRows("b", 3)) // sees what an earlier member made
	g.run()
	wantKinds := []errs.Kind{"", errs.Internal, errs.Internal, "", errs.Internal, errs.Unavailable, "", ""}
	for i, want := range wantKinds {
		if got := errs.KindOf(g.errs[i]); got != want {
			t.Errorf("member %d: got %v, want kind %q", i, g.errs[i], want)
		}
	}
	if !errors.Is(g.errs[1], boom) {
		t.Errorf("the member's own error was lost: %v", g.errs[1])
	}
	for i, want := range map[int]int64{0: 2, 3: 0, 6: 3, 7: 4} {
		if got := g.results[i].Snapshot; got != want {
			t.Errorf("member %d: got snapshot %d, want %d", i, got, want)
		}
	}
	if got, want := tableNames(t, c), "a b base"; got != want {
		t.Errorf("got tables %q, want %q", got, want)
	}
	contiguous(t, c)
}

func TestCommitManyMembers(t *testing.T) {
	c := newCatalog(t, nil)
	g := newGroup(t, c)
	const n = maxGroup + 10
	for i := range n {
		g.add(t.Context(), creates(fmt.Sprintf("t%d", i)))
	}
	g.run()
	for i, err := range g.errs {
		if err != nil {
			t.Errorf("member %d: %v", i, err)
		}
		if got := g.results[i].Snapshot; got != int64(i+1) {
			t.Errorf("member %d: got snapshot %d", i, got)
		}
	}
	contiguous(t, c)
}

func TestCommitLeavesTheQueue(t *testing.T) {
	c := newCatalog(t, nil)
	g := newGroup(t, c)
	cancelled, cancel := context.WithCancel(t.Context())
	late, stop := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer stop()
	never := func(context.Context, *View) (*Change, error) {
		t.Error("the decide of a member that left was called")
		return createTable("never"), nil
	}
	g.add(t.Context(), creates("a"))
	g.add(cancelled, never)
	g.add(late, never)
	g.add(t.Context(), creates("b"))
	cancel()
	eventually(t, "two members leave", func() bool { return waiting(c) == 2 })
	g.run()
	for i, want := range []errs.Kind{"", errs.Cancelled, errs.Timeout, ""} {
		if got := errs.KindOf(g.errs[i]); got != want {
			t.Errorf("member %d: got %v, want kind %q", i, g.errs[i], want)
		}
	}
	if got, want := tableNames(t, c), "a b"; got != want {
		t.Errorf("got tables %q, want %q", got, want)
	}
	contiguous(t, c)
}

// The last member that waits leaves while another comes: the newcomer must not
// inherit the other's cancellation.
func TestCommitNewcomerAfterTheLastLeft(t *testing.T) {
	c := newCatalog(t, nil)
	for i := range 50 {
		g := newGroup(t, c)
		ctx, cancel := context.WithCancel(t.Context())
		g.add(ctx, creates("never"))
		time.Sleep(time.Duration(i%5) * 100 * time.Microsecond) // until the worker waits for the lock
		done := make(chan error, 1)
		cancel()
		eventually(t, "the member leaves", func() bool { return waiting(c) == 0 })
		go func() {
			_, err := c.Commit(t.Context(), creates(fmt.Sprintf("t%d", i)))
			done <- err
		}()
		time.Sleep(time.Duration(i%3) * 100 * time.Microsecond)
		g.run()
		if err := <-done; err != nil {
			t.Fatalf("round %d: the newcomer got %v", i, err)
		}
	}
	contiguous(t, c)
}

// A cancelled statement would roll the whole transaction back in SQLite.
func TestCommitCancelInsideDecide(t *testing.T) {
	c := newCatalog(t, nil)
	mustCommit(t, c, creates("base"))
	for _, gives := range []error{nil, context.Canceled} {
		before := head(t, c).ID
		g := newGroup(t, c)
		ctx, cancel := context.WithCancel(t.Context())
		g.add(t.Context(), addRows("base", 1))
		g.add(ctx, func(ctx context.Context, v *View) (*Change, error) {
			cancel()
			for range 20 {
				if _, err := v.Table(ctx, "base", v.Head.ID); err != nil {
					return nil, err
				}
			}
			if gives != nil {
				return nil, gives
			}
			return addRows("base", 10)(ctx, v)
		})
		g.add(t.Context(), addRows("base", 100))
		g.run()
		if g.errs[0] != nil || g.errs[2] != nil {
			t.Fatalf("the others got %v and %v", g.errs[0], g.errs[2])
		}
		want := before + 2
		if g.errs[1] == nil { // what was committed is never reported as cancelled
			want++
		} else if got := errs.KindOf(g.errs[1]); got != errs.Cancelled {
			t.Errorf("got %v, want cancelled", g.errs[1])
		}
		if got := head(t, c).ID; got != want {
			t.Errorf("got head %d, want %d", got, want)
		}
	}
	contiguous(t, c)
}

func TestCommitAfterClose(t *testing.T) {
	c := newCatalog(t, nil)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Commit(t.Context(), creates("a")); err == nil {
		t.Fatal("a commit on a closed catalog succeeded")
	}
}

// clock is a clock that only the test moves.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func TestCommitTimesGrow(t *testing.T) {
	k := newClock()
	c := newCatalog(t, func(o *Options) { o.Now = k.Now })
	for i, step := range []time.Duration{0, 0, -time.Hour, 100, 200, 300, 999, 1, time.Second, -time.Microsecond, 24 * time.Hour, -48 * time.Hour, 0} {
		k.move(step)
		g := newGroup(t, c)
		for m := range 3 {
			g.add(t.Context(), func(ctx context.Context, v *View) (*Change, error) {
				k.move(time.Duration(150 * m))
				return createTable(fmt.Sprintf("t%d_%d", i, m)), nil
			})
		}
		g.run()
		for _, err := range g.errs {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	contiguous(t, c)
}

// raw opens the catalog's database as another client would.
func raw(t *testing.T, c *Catalog) *sql.DB {
	t.Helper()
	db := sql.OpenDB(connector{"file:" + c.folder.Catalog() + "?_busy_timeout=10000"})
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func exec(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// foreignInsert commits a snapshot that adds a file of 5 rows to table 1, as a
// DuckLake client does.
func foreignInsert(id, file int64) []string {
	return []string{
		`BEGIN IMMEDIATE`,
		fmt.Sprintf(`INSERT INTO ducklake_snapshot SELECT %d, '2031-01-01 00:00:00.%06d+00', schema_version, next_catalog_id, %d FROM ducklake_snapshot WHERE snapshot_id = %d`, id, id, file+1, id-1),
		fmt.Sprintf(`INSERT INTO ducklake_snapshot_changes (snapshot_id, changes_made) VALUES (%d, 'inserted_into_table:1')`, id),
		fmt.Sprintf(`INSERT INTO ducklake_data_file (data_file_id, table_id, begin_snapshot, path, path_is_relative, file_format, record_count, file_size_bytes, footer_size, row_id_start) VALUES (%d, 1, %d, 'foreign-%d.parquet', 1, 'parquet', 5, 50, 10, 0)`, file, id, id),
		`COMMIT`,
	}
}

func TestCommitRecordsForeignCommits(t *testing.T) {
	c := newCatalog(t, nil)
	mustCommit(t, c, creates("base"))    // 1
	mustCommit(t, c, addRows("base", 2)) // 2
	db := raw(t, c)
	exec(t, db, foreignInsert(3, 10)...)
	exec(t, db, foreignInsert(4, 11)...)
	if got := mustCommit(t, c, addRows("base", 2)); got.Snapshot != 5 || got.Version != 4 {
		t.Errorf("got %+v, want snapshot 5 and version 4", got)
	}
	exec(t, db, foreignInsert(6, 20)...)
	if err := c.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := c.Read(t.Context(), func(v *View) error {
		var got []string
		err := v.History(t.Context(), 1, func(e Entry) (bool, error) {
			got = append(got, fmt.Sprintf("%d v%d %s %s +%d", e.Snapshot, e.Version, e.Operation, e.Principal, e.Inserted))
			return true, nil
		})
		if err != nil {
			return err
		}
		want := "6 v5 external external +5; 5 v4 append test +2; 4 v3 external external +5; 3 v2 external external +5; 2 v1 append test +2; 1 v0 create test +0"
		if strings.Join(got, "; ") != want {
			t.Errorf("got history\n%s\nwant\n%s", strings.Join(got, "; "), want)
		}
		list, err := v.Listing(t.Context())
		if err == nil && (len(list) != 1 || list[0].Rows != 19 || list[0].Files != 5) {
			t.Errorf("got %+v, want 19 rows in 5 files", list)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := head(t, c).ID; got != 6 {
		t.Errorf("catching up made snapshot %d", got)
	}
	contiguous(t, c)
}

// A foreign writer that holds the database makes commits wait, not fail.
func TestCommitWaitsForForeignWriter(t *testing.T) {
	c := newCatalog(t, nil)
	db := raw(t, c)
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	for _, s := range []string{`BEGIN IMMEDIATE`, `UPDATE ducklake_metadata SET "value" = "value"`} {
		if _, err := conn.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	short, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
	defer cancel()
	if _, err := c.Commit(short, creates("late")); errs.KindOf(err) != errs.Timeout {
		t.Errorf("got %v, want timeout", err)
	}
	done := make(chan error, 1)
	go func() { _, err := c.Commit(t.Context(), creates("a")); done <- err }()
	time.Sleep(600 * time.Millisecond)
	if _, err := conn.ExecContext(t.Context(), `ROLLBACK`); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("a commit without a deadline got %v", err)
	}
	if got := tableNames(t, c); got != "a" {
		t.Errorf("got tables %q", got)
	}
}

// deleteRow is a change that marks one row of the table's only file dead; it
// looks at the dead rows first, as an upsert does.
func deleteRow(t *testing.T, row int64, message string) Decide {
	return func(ctx context.Context, v *View) (*Change, error) {
		table, err := v.Table(ctx, "base", v.Head.ID)
		if err != nil {
			return nil, err
		}
		files, err := v.Files(ctx, table, v.Head.ID, nil)
		if err != nil {
			return nil, err
		}
		if _, err := v.Dead(ctx, table, &files[0], v.Head.ID); err != nil {
			return nil, err
		}
		return &Change{
			Table: table, Inline: []NewInlined{{File: files[0].ID, Positions: []int64{row}}},
			Record: Record{Operation: "delete", Deleted: 1, Principal: "test", Message: message},
		}, nil
	}
}

// What members saw in a transaction that was rolled back must not be
// remembered: the next one gives the same numbers to other rows.
func TestCommitForgetsWhatWasRolledBack(t *testing.T) {
	c := newCatalog(t, nil)
	mustCommit(t, c, creates("base"))
	mustCommit(t, c, addRows("base", 10))
	db := raw(t, c)
	exec(t, db, `CREATE TRIGGER fail BEFORE INSERT ON supertable_change WHEN NEW.message = 'boom' BEGIN SELECT RAISE(ROLLBACK, 'boom'); END`)
	g := newGroup(t, c)
	g.add(t.Context(), deleteRow(t, 3, ""))
	g.add(t.Context(), deleteRow(t, 4, "boom")) // takes the transaction with it
	g.run()
	for i, err := range g.errs {
		if err == nil {
			t.Errorf("member %d of a lost transaction got no error", i)
		}
	}
	if got := head(t, c).ID; got != 2 {
		t.Fatalf("got head %d, want 2", got)
	}
	mustCommit(t, c, deleteRow(t, 7, ""))
	err := c.Read(t.Context(), func(v *View) error {
		table, err := v.Table(t.Context(), "base", v.Head.ID)
		if err != nil {
			return err
		}
		files, err := v.Files(t.Context(), table, v.Head.ID, nil)
		if err != nil {
			return err
		}
		dead, err := v.Dead(t.Context(), table, &files[0], v.Head.ID)
		if err == nil && fmt.Sprint(dead.Positions()) != "[7]" {
			t.Errorf("dead rows are %v, want [7]", dead.Positions())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	contiguous(t, c)
}

func TestCommitRefusesDropped(t *testing.T) {
	c := newCatalog(t, nil)
	if err := c.MarkDropped(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Commit(t.Context(), creates("a")); errs.KindOf(err) != errs.NotFound {
		t.Errorf("got %v, want not_found", err)
	}
}

// TestOpenBringsTheLogBack opens a catalog that other means took out of the
// write-ahead log: a reader then holds no commit up.
func TestOpenBringsTheLogBack(t *testing.T) {
	c := newCatalog(t, nil)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	other := raw(t, c)
	exec(t, other, `PRAGMA journal_mode = DELETE`)
	again, err := Open(t.Context(), c.folder, c.opts)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = again.Close() }()
	var mode string
	if err := raw(t, c).QueryRowContext(t.Context(), `PRAGMA journal_mode`).Scan(&mode); err != nil || mode != "wal" {
		t.Errorf("journal mode %q, %v", mode, err)
	}
}
