package catalog

import (
	"bytes"
	"context"
	"database/sql/driver"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/storage"
)

func TestRecordKeepsStatements(t *testing.T) {
	want := []logged{
		{"INSERT INTO t VALUES (?, ?)", []driver.NamedValue{
			{Ordinal: 1, Value: int64(math.MinInt64)},
			{Ordinal: 2, Name: "n", Value: 1.5},
			{Ordinal: 3, Value: "ä\x00'"},
			{Ordinal: 4, Value: []byte{}},
			{Ordinal: 5, Value: []byte{0, 255}},
			{Ordinal: 6, Value: nil},
			{Ordinal: 7, Value: ""},
		}, 1},
		{"CREATE TABLE x (a)", nil, -1},
	}
	var body []byte
	for _, s := range want {
		var err error
		if body, err = appendStatement(body, s); err != nil {
			t.Fatal(err)
		}
	}
	got, err := statements(body)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(logged{})); d != "" {
		t.Error(d)
	}
	for n := range body { // a part of it is no body, or holds fewer statements; nothing panics
		if cut, err := statements(body[:n]); err == nil && len(cut) >= len(want) {
			t.Errorf("%d of %d bytes gave %d statements", n, len(body), len(cut))
		}
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	for in, stored := range map[any]any{true: int64(1), false: int64(0), now: "2026-01-02 03:04:05.000006+00:00"} {
		b, err := appendStatement(nil, logged{"x", []driver.NamedValue{{Value: in}}, 0})
		if err != nil {
			t.Fatal(err)
		}
		got, err := statements(b)
		if err != nil || got[0].args[0].Value != stored {
			t.Errorf("%v is %v, %v, want %v", in, got, err, stored)
		}
	}
}

func FuzzRecord(f *testing.F) {
	body, err := appendStatement(nil, logged{"INSERT", []driver.NamedValue{{Value: "x"}, {Value: int64(-1)}}, 1})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := statements(b)
		if err != nil {
			return
		}
		var again []byte
		for _, s := range all {
			if again, err = appendStatement(again, s); err != nil {
				t.Fatal(err)
			}
		}
		if back, err := statements(again); err != nil || len(back) != len(all) {
			t.Errorf("written again: %v, %v", back, err)
		}
	})
}

// TestNextRecord damages each byte of a record: none passes.
func TestNextRecord(t *testing.T) {
	b, sum := sealRecord(append(make([]byte, logRecordHead), "statements"...), 7, 99)
	body, next, whole, _ := nextRecord(b, 7, 99)
	if !whole || string(body) != "statements" || next != sum {
		t.Fatalf("got %q %d %v", body, next, whole)
	}
	if _, _, whole, _ := nextRecord(b, 8, 99); whole {
		t.Error("another number passes")
	}
	if _, _, whole, _ := nextRecord(b, 7, 98); whole {
		t.Error("another chain passes")
	}
	for i := range len(b) - logEndSize {
		for bit := range 8 {
			bad := bytes.Clone(b)
			bad[i] ^= 1 << bit
			if _, _, whole, end := nextRecord(bad, 7, 99); whole || end {
				t.Errorf("byte %d, bit %d: whole %v, end %v", i, bit, whole, end)
			}
		}
	}
	if _, _, whole, end := nextRecord(b[len(b)-logEndSize:], 8, sum); whole || !end {
		t.Error("the end mark is no end")
	}
}

func TestObsoleteLog(t *testing.T) {
	for _, tt := range []struct{ segments, checkpoints, dropC, dropS []int64 }{
		{nil, nil, nil, nil},
		{[]int64{2}, []int64{1}, nil, nil},
		{[]int64{2, 50, 90}, []int64{1, 60}, nil, nil},
		{[]int64{2, 50, 90, 130}, []int64{1, 60, 120}, []int64{1}, []int64{2}},
		{[]int64{2, 50, 90, 130}, []int64{1, 89, 129}, []int64{1}, []int64{2, 50}},
		{[]int64{2, 50, 90, 130}, []int64{1, 5, 129, 140}, []int64{1, 5}, []int64{2, 50, 90}},
		{[]int64{10}, []int64{1, 2, 9}, []int64{1}, nil},
	} {
		c, s := obsoleteLog(tt.segments, tt.checkpoints)
		if !slices.Equal(c, tt.dropC) || !slices.Equal(s, tt.dropS) {
			t.Errorf("%v %v: drops %v %v, want %v %v", tt.segments, tt.checkpoints, c, s, tt.dropC, tt.dropS)
		}
	}
}

func TestWords(t *testing.T) {
	for in, want := range map[string][2]string{
		" insert into x":            {"INSERT", "INTO"},
		"-- why\n  BEGIN IMMEDIATE": {"BEGIN", "IMMEDIATE"},
		"COMMIT;":                   {"COMMIT", ""},
		"":                          {"", ""},
		"--":                        {"", ""},
		"WITH(x) SELECT":            {"WITH", "X)"},
	} {
		a, b := words(in)
		if a != want[0] || b != want[1] {
			t.Errorf("%q: %q %q", in, a, b)
		}
	}
}

// sameAsLog checks that the log gives the catalog, and that it stands in one piece.
func sameAsLog(t *testing.T, c *Catalog) {
	t.Helper()
	for _, deep := range []bool{false, true} {
		found, err := c.CheckLog(t.Context(), deep)
		if err != nil || len(found) > 0 {
			t.Errorf("check of the log (deep %v): %v %v", deep, found, err)
		}
	}
}

// busy does a bit of everything to the catalog.
func busy(t *testing.T, c *Catalog, name string, n int) {
	t.Helper()
	ctx := t.Context()
	mustCommit(t, c, creates(name))
	for i := range n {
		mustCommit(t, c, addRows(name, 5))
		switch i % 4 {
		case 0:
			_, err := c.Commit(ctx, func(context.Context, *View) (*Change, error) { return nil, errs.New(errs.Quality, "no") })
			if errs.KindOf(err) != errs.Quality {
				t.Fatal(err)
			}
		case 1:
			if err := c.SetOption(ctx, SuperOptions, "target_file_size", fmt.Sprint(1<<20+i), nil); err != nil {
				t.Fatal(err)
			}
		case 2:
			mustCommit(t, c, func(ctx context.Context, v *View) (*Change, error) {
				table, err := v.Table(ctx, name, v.Head.ID)
				if err != nil {
					return nil, err
				}
				files, err := v.Files(ctx, table, v.Head.ID, nil)
				if err != nil {
					return nil, err
				}
				return &Change{Table: table, Inline: []NewInlined{{File: files[0].ID, Positions: []int64{int64(i) % 5}}}, Record: Record{Operation: "delete", Principal: "test"}}, nil
			})
		}
	}
}

func TestLogGivesTheCatalog(t *testing.T) {
	c := newCatalog(t, nil)
	busy(t, c, "a", 12)
	sameAsLog(t, c)
	// A group of which some members fail: their savepoints leave nothing.
	var done []chan error
	for i := range 30 {
		ch := make(chan error, 1)
		done = append(done, ch)
		go func() {
			d := addRows("a", 1)
			if i%3 == 0 {
				d = func(ctx context.Context, v *View) (*Change, error) {
					if _, err := v.q.ExecContext(ctx, `INSERT INTO supertable_option (table_id, name, value) VALUES (77, ?, 'x')`, fmt.Sprint(i)); err != nil {
						return nil, err
					}
					return nil, errs.New(errs.Quality, "no")
				}
			}
			_, err := c.Commit(context.Background(), d)
			if i%3 == 0 && errs.KindOf(err) == errs.Quality {
				err = nil
			}
			ch <- err
		}()
	}
	for _, ch := range done {
		if err := <-ch; err != nil {
			t.Error(err)
		}
	}
	sameAsLog(t, c)
	// A statement that fails half-way and is swallowed: only a checkpoint can tell.
	mustCommit(t, c, func(ctx context.Context, v *View) (*Change, error) {
		_, err := v.q.ExecContext(ctx, `INSERT INTO supertable_option (table_id, name, value) VALUES (78, 'kept', 'x'); INSERT INTO nothing VALUES (1)`)
		if err == nil {
			t.Error("no error")
		}
		return addRows("a", 1)(ctx, v)
	})
	sameAsLog(t, c)
}

// TestLogIsSharedAndBounded has two openers, as two processes would be, take
// turns over many segments and checkpoints.
func TestLogIsSharedAndBounded(t *testing.T) {
	folder := storage.At(filepath.Join(t.TempDir(), "org", "super"))
	small := func(o *Options) { o.LogBytes = 20_000 }
	a, b := openFolder(t, folder, small), openFolder(t, folder, small)
	busy(t, a, "a", 1)
	most := int64(0)
	for i := range 500 {
		mustCommit(t, []*Catalog{a, b}[i%2], addRows("a", 1))
		if i%10 == 9 {
			a.log.working.Wait()
			b.log.working.Wait()
			segments, checkpoints, err := listLog(folder.Log())
			if err != nil {
				t.Fatal(err)
			}
			sum := int64(0)
			for _, n := range segments {
				sum += size(a.log.path(segmentName(n)))
			}
			for _, n := range checkpoints {
				sum += size(a.log.path(checkpointName(n)))
			}
			most = max(most, sum)
			if len(checkpoints) > keptCheckpoints {
				t.Fatalf("%d checkpoints", len(checkpoints))
			}
		}
	}
	sameAsLog(t, a)
	if c := size(folder.Catalog()); most > 6*(c+20_000) {
		t.Errorf("the log had up to %d bytes, the catalog has %d", most, c)
	}
	if _, checkpoints, _ := listLog(folder.Log()); len(checkpoints) != keptCheckpoints || checkpoints[0] < 5 {
		t.Errorf("checkpoints %v: never compacted", checkpoints)
	}
}

// TestLogOfForeignCommits changes the catalog as another client does, with and
// without a snapshot.
func TestLogOfForeignCommits(t *testing.T) {
	c := newCatalog(t, nil)
	busy(t, c, "a", 3)
	for _, change := range []string{
		`INSERT INTO ducklake_snapshot SELECT snapshot_id + 1, snapshot_time, schema_version, next_catalog_id, next_file_id FROM ducklake_snapshot ORDER BY snapshot_id DESC LIMIT 1;
INSERT INTO ducklake_snapshot_changes (snapshot_id, changes_made) SELECT max(snapshot_id), '' FROM ducklake_snapshot`,
		`INSERT INTO ducklake_metadata ("key", "value") VALUES ('theirs', 'x')`,
		`UPDATE ducklake_metadata SET "value" = 'y' WHERE "key" = 'theirs'`,
		`DELETE FROM ducklake_metadata WHERE "key" = 'theirs'`,
		`DELETE FROM ducklake_snapshot WHERE snapshot_id = 1; DELETE FROM ducklake_snapshot_changes WHERE snapshot_id = 1`,
		`DELETE FROM ducklake_files_scheduled_for_deletion; INSERT INTO ducklake_files_scheduled_for_deletion (data_file_id) VALUES (1); DELETE FROM ducklake_files_scheduled_for_deletion`,
		`DROP TABLE ducklake_inlined_data_1_1; DELETE FROM ducklake_inlined_data_tables WHERE table_name = 'ducklake_inlined_data_1_1'`,
	} {
		if _, err := c.db.ExecContext(t.Context(), change); err != nil {
			t.Fatal(err)
		}
		found, err := c.CheckLog(t.Context(), false)
		if err != nil || len(found) != 1 || found[0].Kind != "log_behind" {
			t.Errorf("after %s: %v %v", change, found, err)
		}
		mustCommit(t, c, addRows("a", 1))
		sameAsLog(t, c)
	}
}

// TestLogTaken takes the log away in every way.
func TestLogTaken(t *testing.T) {
	for name, damage := range map[string]func(*Catalog) error{
		"folder":     func(c *Catalog) error { return os.RemoveAll(c.folder.Log()) },
		"checkpoint": func(c *Catalog) error { return os.Remove(c.log.path(checkpointName(1))) },
		"segment":    func(c *Catalog) error { return os.Remove(c.log.path(segmentName(2))) },
		"old catalog": func(c *Catalog) error { // an earlier state is put in the place of the catalog
			_, err := c.db.Exec(`UPDATE supertable_log SET seq = seq - 4, place = 24, sum = 0`)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			folder := storage.At(filepath.Join(t.TempDir(), "org", "super"))
			c := openFolder(t, folder, nil)
			busy(t, c, "a", 4)
			if name == "old catalog" {
				copied := filepath.Join(t.TempDir(), "copy")
				if err := copyCatalog(t.Context(), c.log.dsn, copied); err != nil {
					t.Fatal(err)
				}
				busy(t, c, "b", 4)
				if err := c.Close(); err != nil {
					t.Fatal(err)
				}
				if err := os.Rename(copied, folder.Catalog()); err != nil {
					t.Fatal(err)
				}
			} else if err := damage(c); err != nil {
				t.Fatal(err)
			}
			c = openFolder(t, folder, nil)
			if found, err := c.CheckLog(t.Context(), true); err != nil || len(found) == 0 && name != "old catalog" {
				t.Errorf("found %v, %v", found, err)
			}
			mustCommit(t, c, addRows("a", 1))
			sameAsLog(t, c)
			kept, _ := filepath.Glob(folder.Log() + "-kept-*")
			if (len(kept) > 0) != (name == "old catalog") {
				t.Errorf("set aside: %v", kept)
			}
		})
	}
}

// TestReplacedCatalog writes through a catalog that no longer lies there.
func TestReplacedCatalog(t *testing.T) {
	folder := storage.At(filepath.Join(t.TempDir(), "org", "super"))
	c := openFolder(t, folder, nil)
	busy(t, c, "a", 2)
	before := head(t, c)
	note := Chunk{Stream: "plans", Records: 1, Body: []byte("{}\n")}
	if _, err := c.NoteChunk(t.Context(), note); err != nil {
		t.Fatal(err)
	}
	if _, err := Rebuild(t.Context(), folder, c.opts, false); errs.KindOf(err) != errs.AlreadyExists {
		t.Fatalf("a sound catalog is rebuilt: %v", err)
	}
	out, err := Rebuild(t.Context(), folder, c.opts, true)
	if err != nil || out.Tables != 1 || out.Snapshots != int(before.ID)+1 || out.Kept == "" {
		t.Fatalf("%+v, %v", out, err)
	}
	if _, err := c.Commit(t.Context(), addRows("a", 1)); errs.KindOf(err) != errs.Unavailable {
		t.Errorf("a commit into the catalog that was put aside: %v", err)
	}
	if _, err := c.NoteChunk(t.Context(), note); errs.KindOf(err) != errs.Unavailable {
		t.Errorf("a record kept in the catalog that was put aside: %v", err)
	}
	again := openFolder(t, folder, nil)
	if head(t, again).ID != before.ID {
		t.Errorf("head %d, want %d", head(t, again).ID, before.ID)
	}
	mustCommit(t, again, addRows("a", 1))
	sameAsLog(t, again)
}

// dump gives the rows of every table of a catalog that is at a snapshot.
func dump(t *testing.T, path string) string {
	t.Helper()
	conn, err := plainConn(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	tables, err := textRows(conn, `SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, name := range tables {
		if name == "supertable_log" {
			continue
		}
		cols, err := textRows(conn, `SELECT group_concat('quote("' || name || '")', ' || char(124) || ') FROM pragma_table_info('`+name+`')`)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := textRows(conn, `SELECT `+cols[0]+` FROM "`+name+`" ORDER BY 1`)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s\n%s\n", name, strings.Join(rows, "\n"))
	}
	return b.String()
}

// TestDamagedLog flips bits and cuts files: what is rebuilt is always a state
// that the catalog once had, the newest one unless it is said that something
// is missing.
func TestDamagedLog(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	folder := storage.At(filepath.Join(t.TempDir(), "org", "super"))
	c := openFolder(t, folder, func(o *Options) { o.LogBytes = 12_000 })
	states := map[string]int{}
	state := func(i int) {
		path := filepath.Join(t.TempDir(), "state.db")
		if err := copyCatalog(t.Context(), c.log.dsn, path); err != nil {
			t.Fatal(err)
		}
		states[dump(t, path)] = i
	}
	state(0)
	mustCommit(t, c, creates("a"))
	state(1)
	const last = 30
	for i := 2; i <= last; i++ {
		mustCommit(t, c, addRows("a", 1))
		state(i)
		if i%12 == 0 {
			if err := c.log.compactNow(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	whole := filepath.Join(t.TempDir(), "whole")
	if err := os.CopyFS(whole, os.DirFS(folder.Log())); err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for i := range 150 {
		if err := os.RemoveAll(folder.Log()); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(folder.Log(), os.DirFS(whole)); err != nil {
			t.Fatal(err)
		}
		what := ""
		if i > 0 {
			what = damage(t, r, folder.Log())
		}
		path := filepath.Join(t.TempDir(), "again.db")
		_, problems, err := replay(t.Context(), folder, path)
		if err != nil {
			if errs.KindOf(err) != errs.Corrupt {
				t.Fatalf("%s: %v", what, err)
			}
			counts["refused"]++
			continue
		}
		at, ok := states[dump(t, path)]
		switch {
		case !ok:
			t.Errorf("%s: a state that never was (%v)", what, problems)
		case at == last:
			counts["newest"]++
		case len(problems) == 0 && !strings.HasPrefix(what, "cut"): // a log that is cut at its end mark looks whole
			t.Errorf("%s: state %d of %d and no word of it", what, at, last)
		default:
			counts["earlier"]++
		}
	}
	t.Logf("%v", counts)
	if counts["newest"] == 0 || counts["earlier"] == 0 {
		t.Error("the damage does not reach what it should")
	}
}

// damage changes one file of a folder and says how.
func damage(t *testing.T, r *rand.Rand, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	name := entries[r.IntN(len(entries))].Name()
	path := filepath.Join(dir, name)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	what := ""
	switch used := max(1, len(bytes.TrimRight(b, "\x00"))); r.IntN(4) {
	case 0:
		n := r.IntN(used)
		b, what = b[:n], fmt.Sprintf("cut %s to %d bytes", name, n)
	case 1:
		what = "removed " + name
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		return "cut: " + what
	default:
		i, bit := r.IntN(used), r.IntN(8)
		b[i] ^= 1 << bit
		what = fmt.Sprintf("flipped bit %d of byte %d of %s", bit, i, name)
	}
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
	return what
}

// TestLogForgetsAFailedCommit: a transaction whose COMMIT failed was never
// there, also for a catalog that is rebuilt at that moment.
func TestLogForgetsAFailedCommit(t *testing.T) {
	folder := storage.At(filepath.Join(t.TempDir(), "org", "super"))
	c := openFolder(t, folder, nil)
	busy(t, c, "a", 3)
	err := c.write(t.Context(), func(q querier) error {
		_, err := q.ExecContext(t.Context(), `CREATE TABLE parent (id BIGINT PRIMARY KEY); CREATE TABLE child (id BIGINT REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.writer.ExecContext(t.Context(), `PRAGMA foreign_keys = ON`); err != nil {
		t.Fatal(err)
	}
	fail := func(name string) {
		t.Helper()
		err := c.write(t.Context(), func(q querier) error {
			_, err := q.ExecContext(t.Context(), `INSERT INTO supertable_option (table_id, name, value) VALUES (?, ?, 'x'); INSERT INTO child VALUES (7)`, SuperOptions, name)
			return err
		})
		if err == nil {
			t.Fatal("the commit did not fail")
		}
	}
	gone := func(when string) {
		t.Helper()
		again := filepath.Join(t.TempDir(), "again")
		r, problems, err := replay(t.Context(), folder, again)
		if err != nil || len(problems) > 0 || r.broken != "" {
			t.Fatalf("%s: %v %v", when, problems, err)
		}
		conn, err := plainConn(again)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		if got, err := textRows(conn, `SELECT name FROM supertable_option WHERE value = 'x'`); err != nil || len(got) > 0 {
			t.Errorf("%s: a rebuild brings %v (%v)", when, got, err)
		}
	}
	fail("first")
	gone("a failed commit")
	mustCommit(t, c, addRows("a", 1))
	c.log.limit = logHeaderSize + 1 // the next record begins a segment
	fail("second")
	gone("a failed commit in a new segment")
	mustCommit(t, c, addRows("a", 1))
	sameAsLog(t, c)
}

// TestCheckpointHasItsSegment looks at the log all the time while checkpoints
// are made: one that counts can be read on from, so that whoever is killed at
// any moment leaves no other.
func TestCheckpointHasItsSegment(t *testing.T) {
	c := newCatalog(t, nil)
	busy(t, c, "a", 1)
	stop, bad := make(chan struct{}), make(chan string, 1)
	looked := 0
	go func() {
		defer close(bad)
		for {
			select {
			case <-stop:
				return
			default:
			}
			looked++
			_, checkpoints, err := listLog(c.folder.Log())
			if err != nil || len(checkpoints) == 0 {
				continue
			}
			n := checkpoints[len(checkpoints)-1]
			counts := size(c.log.path(sumName(checkpointName(n)))) > 0
			if !counts || size(c.log.path(segmentName(n+1))) > 0 {
				continue
			}
			if _, now, err := listLog(c.folder.Log()); err == nil && now[len(now)-1] == n { // it was the newest all the time
				bad <- checkpointName(n)
				return
			}
		}
	}()
	for range 20 {
		if _, err := c.db.ExecContext(t.Context(), `UPDATE ducklake_metadata SET "value" = "value" WHERE "key" = 'version'`); err != nil {
			t.Fatal(err)
		}
		if _, err := c.db.ExecContext(t.Context(), `INSERT INTO ducklake_metadata ("key", "value") VALUES ('theirs', 'x')`); err != nil {
			t.Fatal(err)
		}
		mustCommit(t, c, addRows("a", 1))
	}
	close(stop)
	if name, is := <-bad; is {
		t.Errorf("%s counts and its segment is not there", name)
	}
	if looked < 20 {
		t.Errorf("looked %d times only", looked)
	}
	sameAsLog(t, c)
}
