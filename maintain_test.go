package supertable_test

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3" // the catalog behind our back

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/internal/testdb"
	"github.com/supertable-go/supertable/storage"
)

const kv = "k:int64,v:text"

var byK = &supertable.WriteOptions{Key: []string{"k"}}

// kept is a lake whose storage the test looks into.
type kept struct {
	*testdb.DB
	*supertable.Session
	t testing.TB
}

func newKept(t testing.TB) *kept { return keptAt(t, t.TempDir(), nil) }

func keptAt(t testing.TB, home string, o *supertable.Options) *kept {
	db := testdb.At(t, home, o)
	return &kept{db, db.Session("main"), t}
}

func (k *kept) folder() storage.Folder { return storage.At(filepath.Join(k.Home, "default", "main")) }

func (k *kept) put(table, rows string) {
	k.t.Helper()
	testdb.Write(k.t, k.Session, table, kv, rows, byK)
}

func (k *kept) add(table, rows string) {
	k.t.Helper()
	testdb.Write(k.t, k.Session, table, kv, rows, nil)
}

func (k *kept) remove(table, rows string) {
	k.t.Helper()
	testdb.Write(k.t, k.Session, table, "k:int64", rows, &supertable.WriteOptions{Key: []string{"k"}, DeleteOnly: true})
}

func (k *kept) option(table, name, value string) {
	k.t.Helper()
	if err := k.SetOption(k.t.Context(), table, name, value); err != nil {
		k.t.Fatal(err)
	}
}

func (k *kept) compact(table string) []supertable.CompactResult {
	k.t.Helper()
	list, err := k.Compact(k.t.Context(), table, nil)
	if err != nil {
		k.t.Fatal(err)
	}
	return list
}

func (k *kept) flush(table string) []supertable.FlushResult {
	k.t.Helper()
	list, err := k.Flush(k.t.Context(), table, nil)
	if err != nil {
		k.t.Fatal(err)
	}
	return list
}

func (k *kept) maintain() supertable.MaintainResult {
	k.t.Helper()
	r, err := k.Maintain(k.t.Context(), nil)
	if err != nil {
		k.t.Fatal(err)
	}
	return r
}

func (k *kept) expire(last int64) []int64 {
	k.t.Helper()
	gone, err := k.Expire(k.t.Context(), &supertable.ExpireOptions{KeepLast: last})
	if err != nil {
		k.t.Fatal(err)
	}
	return gone
}

var atOnce = time.Duration(0)

func (k *kept) clean() []string {
	k.t.Helper()
	gone, err := k.Clean(k.t.Context(), &supertable.CleanOptions{Grace: &atOnce})
	if err != nil {
		k.t.Fatal(err)
	}
	return gone
}

// look opens the catalog beside the lake.
func (k *kept) look(do func(v *catalog.View) error) {
	k.t.Helper()
	ctx := context.Background()
	c, err := catalog.Open(ctx, k.folder(), catalog.Options{Now: time.Now, Logger: slog.New(slog.DiscardHandler), LeaseTTL: time.Minute})
	if err != nil {
		k.t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := c.Read(ctx, do); err != nil {
		k.t.Fatal(err)
	}
}

// shape tells of the newest snapshot's files: how many, the rows in them, and
// how many of those are dead.
func (k *kept) shape(table string) (files int, rows, dead int64) {
	k.t.Helper()
	k.look(func(v *catalog.View) error {
		t, err := v.Table(k.t.Context(), table, v.Head.ID)
		if err != nil {
			return err
		}
		list, err := v.Files(k.t.Context(), t, v.Head.ID, nil)
		seen := map[string]bool{}
		for i := range list {
			d, err := v.Dead(k.t.Context(), t, &list[i], v.Head.ID)
			if err != nil {
				return err
			}
			if seen[list[i].Path] {
				k.t.Errorf("%s is in the snapshot twice", list[i].Path)
			}
			seen[list[i].Path] = true
			files, rows, dead = files+1, rows+list[i].Records, dead+d.Count()
		}
		return err
	})
	return files, rows, dead
}

func (k *kept) wantShape(table string, files int, rows, dead int64) {
	k.t.Helper()
	if f, r, d := k.shape(table); f != files || r != rows || d != dead {
		k.t.Errorf("%s has %d files with %d rows, %d of them dead; want %d, %d, %d", table, f, r, d, files, rows, dead)
	}
}

func (k *kept) head() int64 {
	k.t.Helper()
	var n int64
	k.look(func(v *catalog.View) error { n = v.Head.ID; return nil })
	return n
}

func (k *kept) stored() []string {
	k.t.Helper()
	list, err := k.folder().DataFiles()
	if err != nil {
		k.t.Fatal(err)
	}
	slices.Sort(list)
	return list
}

// sqlite runs statements on the catalog, as a foreign client may.
func (k *kept) sqlite(statements ...string) {
	k.t.Helper()
	db, err := sql.Open("sqlite3", "file:"+k.folder().Catalog()+"?_busy_timeout=5000")
	if err != nil {
		k.t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for _, s := range append(statements, `UPDATE supertable_log SET touched = 1`) { // no trigger notices all that is done here
		if _, err := db.ExecContext(context.Background(), s); err != nil {
			k.t.Fatalf("%s: %v", s, err)
		}
	}
}

func (k *kept) sqliteNone(what, query string) {
	k.t.Helper()
	if n := k.count(query); n != 0 {
		k.t.Errorf("%s: %d", what, n)
	}
}

func (k *kept) count(query string) int64 {
	k.t.Helper()
	db, err := sql.Open("sqlite3", "file:"+k.folder().Catalog()+"?_busy_timeout=5000")
	if err != nil {
		k.t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var n int64
	if err := db.QueryRowContext(context.Background(), query).Scan(&n); err != nil {
		k.t.Fatal(err)
	}
	return n
}

// answers gives the rows of every table at every retained snapshot.
func (k *kept) answers() map[int64]map[string]string {
	k.t.Helper()
	out := map[int64]map[string]string{}
	type pair struct {
		at    int64
		names []string
	}
	var all []pair
	k.look(func(v *catalog.View) error {
		list, err := v.Retained(k.t.Context())
		if err != nil {
			return err
		}
		for _, s := range list {
			tables, err := v.Tables(k.t.Context(), s.ID)
			if err != nil {
				return err
			}
			p := pair{at: s.ID}
			for _, t := range tables {
				p.names = append(p.names, t.Name)
			}
			all = append(all, p)
		}
		return nil
	})
	for _, p := range all {
		at := p.at
		out[at] = map[string]string{}
		for _, name := range p.names {
			o := &supertable.QueryOptions{AtVersion: &at}
			out[at][name] = testdb.Query(k.t, k.Session, "DESCRIBE "+name, o) + "\n" + testdb.Query(k.t, k.Session, "SELECT * FROM "+name, o)
		}
	}
	return out
}

// same holds the answers of a moment against those of an earlier one, for the
// snapshots that both have.
func (k *kept) same(what string, before, now map[int64]map[string]string) {
	k.t.Helper()
	for at, tables := range before {
		later, ok := now[at]
		if !ok {
			continue
		}
		if len(later) != len(tables) {
			k.t.Fatalf("%s: snapshot %d has %d tables, it had %d", what, at, len(later), len(tables))
		}
		for name, rows := range tables {
			if later[name] != rows {
				k.t.Fatalf("%s: %s at %d is\n%s\nit was\n%s", what, name, at, later[name], rows)
			}
		}
	}
}

func (k *kept) check() {
	k.t.Helper()
	r, err := k.Check(k.t.Context(), true)
	if err != nil || !r.OK {
		k.t.Fatalf("check: %+v %v", r.Findings, err)
	}
}

// TestUpsertsAfterMerge: rows of a file of several snapshots are replaced like
// any other, with rows in the catalog and with delete files.
func TestUpsertsAfterMerge(t *testing.T) {
	for _, limit := range []string{"0", "2000"} {
		k := newKept(t)
		k.option("", "inline_delete_limit", limit)
		for i := range 4 {
			k.put("t", fmt.Sprintf(`[{"k":%d,"v":"a"},{"k":%d,"v":"b"}]`, i, i+100))
		}
		k.compact("t")
		k.wantShape("t", 1, 8, 0)
		k.put("t", `[{"k":2,"v":"new"}]`)
		k.remove("t", `[{"k":100}]`)
		k.put("t", `[{"k":2,"v":"newer"},{"k":3,"v":"new"}]`)
		rr := testdb.Batch(t, kv, `[{"k":1,"v":"A"},{"k":101,"v":"B"}]`)
		res, err := k.Write(t.Context(), "t", rr, &supertable.WriteOptions{Key: []string{"k"}, NewerThan: "v"})
		rr.Release()
		if err != nil || res.SkippedStale != 2 {
			t.Errorf("newer than: %+v, %v", res, err)
		}
		before := k.answers()
		if got, want := testdb.Query(t, k.Session, "SELECT * FROM t", nil), "0|a\n101|b\n102|b\n103|b\n1|a\n2|newer\n3|new"; got != want {
			t.Errorf("got %s", got)
		}
		for i, step := range []func(){func() { k.flush("t") }, func() { k.compact("t") }, func() { k.compact("") }} {
			step()
			k.same(fmt.Sprint("step ", i), before, k.answers())
			k.check()
		}
		k.wantShape("t", 1, 7, 0)
	}
}

// TestFlush: rows that the catalog lists as dead go to delete files, each with
// the snapshot at which it died; flushing again does nothing.
func TestFlush(t *testing.T) {
	k := newKept(t)
	k.put("t", `[{"k":1,"v":"a"},{"k":2,"v":"b"},{"k":3,"v":"c"},{"k":4,"v":"d"},{"k":5,"v":"e"},{"k":6,"v":"f"}]`)
	k.remove("t", `[{"k":1}]`)
	k.remove("t", `[{"k":3}]`)
	dry, err := k.Flush(t.Context(), "", &supertable.MaintainOptions{DryRun: true})
	if err != nil || len(dry) != 1 || dry[0].Rows != 2 {
		t.Errorf("%+v %v", dry, err)
	}
	before := k.answers()
	if f := k.flush(""); len(f) != 1 || f[0] != (supertable.FlushResult{Table: "t", Rows: 2, Snapshot: 4}) {
		t.Errorf("%+v", f)
	}
	k.same("flush", before, k.answers())
	k.sqliteNone("rows in the catalog", "SELECT count(*) FROM ducklake_inlined_delete_1")
	k.remove("t", `[{"k":2}]`)
	k.option("", "inline_delete_limit", "0")
	k.remove("t", `[{"k":5}]`) // beside the delete file and the row in the catalog
	before = k.answers()
	if f := k.flush("t"); f[0].Rows != 1 {
		t.Errorf("%+v", f)
	}
	k.same("second flush", before, k.answers())
	if f := k.flush(""); len(f) != 0 {
		t.Errorf("%+v", f)
	}
	if r := k.maintain(); len(r.Flush) != 0 {
		t.Errorf("%+v", r)
	}
	if n := k.count("SELECT count(*) FROM ducklake_delete_file"); n != 1 {
		t.Errorf("%d delete files", n)
	}
	k.clean()
	k.check()
}

// TestFlushWhenDue: maintenance flushes when there is enough.
func TestFlushWhenDue(t *testing.T) {
	k := newKept(t)
	k.put("t", `[{"k":1,"v":"a"},{"k":2,"v":"b"},{"k":3,"v":"c"}]`)
	k.option("t", "flush_dead_rows", "2")
	k.remove("t", `[{"k":1}]`)
	if r := k.maintain(); len(r.Flush) != 0 {
		t.Errorf("%+v", r)
	}
	k.remove("t", `[{"k":2}]`)
	if r := k.maintain(); len(r.Flush) != 1 || r.Flush[0].Rows != 2 {
		t.Errorf("%+v", r)
	}
	k.wantShape("t", 1, 3, 2)
	if err := k.SetOption(t.Context(), "t", "clean_grace", "5"); supertable.KindOf(err) != supertable.InvalidArgument {
		t.Errorf("an option of the SuperTable on a table: %v", err)
	}
}

// TestExpire: rules, tags, and what is said of snapshots that are gone.
func TestExpire(t *testing.T) {
	now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	var mu sync.Mutex
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	k := keptAt(t, t.TempDir(), &supertable.Options{MemoryBytes: 512 << 20, Now: clock, LeaseTTL: 1000 * time.Hour})
	for i := range 6 {
		mu.Lock()
		now = now.Add(time.Hour)
		mu.Unlock()
		k.put("t", fmt.Sprintf(`[{"k":%d,"v":"x"}]`, i%2))
	}
	second := int64(2)
	if _, err := k.CreateTag(t.Context(), "keep", &second); err != nil {
		t.Fatal(err)
	}
	before := k.answers()
	older := 150 * time.Minute
	dry, err := k.Expire(t.Context(), &supertable.ExpireOptions{OlderThan: &older, DryRun: true})
	if err != nil || !slices.Equal(dry, []int64{0, 1, 3}) {
		t.Errorf("%v %v", dry, err)
	}
	if gone, err := k.Expire(t.Context(), &supertable.ExpireOptions{OlderThan: &older}); err != nil || !slices.Equal(gone, dry) {
		t.Errorf("%v %v", gone, err)
	}
	k.same("expire", before, k.answers())
	at := int64(3)
	if _, err := testdb.TryQuery(t.Context(), k.Session, "SELECT * FROM t", &supertable.QueryOptions{AtVersion: &at}); supertable.KindOf(err) != supertable.NotFound {
		t.Errorf("an expired snapshot: %v", err)
	}
	for hour, want := range map[time.Duration]string{ // what was at a time that expired is not what the tag holds
		2 * time.Hour: "", 150 * time.Minute: "expired", 3 * time.Hour: "expired", 4 * time.Hour: "", 10 * time.Hour: "",
	} {
		when := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC).Add(hour)
		_, err := testdb.TryQuery(t.Context(), k.Session, "SELECT * FROM t", &supertable.QueryOptions{AtTime: &when})
		if want == "" && err != nil || want != "" && (supertable.KindOf(err) != supertable.NotFound || !strings.Contains(err.Error(), want)) {
			t.Errorf("at %v: %v", hour, err)
		}
	}
	if _, err := k.Expire(t.Context(), nil); supertable.KindOf(err) != supertable.InvalidArgument {
		t.Errorf("no rule: %v", err)
	}
	if _, err := k.Expire(t.Context(), &supertable.ExpireOptions{KeepLast: -1}); supertable.KindOf(err) != supertable.InvalidArgument {
		t.Errorf("less than none: %v", err)
	}
	k.option("", "expire_keep_last", "2")
	if r := k.maintain(); !slices.Equal(r.Expired, []int64{4}) {
		t.Errorf("%+v", r)
	}
	if gone, err := k.Expire(t.Context(), nil); err != nil || len(gone) != 0 {
		t.Errorf("%v %v", gone, err)
	}
	history, err := k.History(t.Context(), "t")
	if err != nil || len(history) != 3 || history[0].Version != 6 {
		t.Errorf("%+v %v", history, err)
	}
	k.put("t", `[{"k":7,"v":"x"}]`) // versions go on
	if history, err := k.History(t.Context(), "t"); err != nil || history[0].Version != 7 {
		t.Errorf("%+v %v", history, err)
	}
	k.same("after all", before, k.answers())
	k.clean()
	k.check()
	k.same("after cleaning", before, k.answers())
}

// TestColumnsOutliveExpiry: the ids of dropped columns are never given again,
// though nobody can read them any more.
func TestColumnsOutliveExpiry(t *testing.T) {
	k := newKept(t)
	testdb.Write(t, k.Session, "t", "k:int64,secret:text", `[{"k":1,"secret":"s"}]`, nil)
	if _, err := k.Alter(t.Context(), "t", supertable.Alteration{Drop: "secret"}); err != nil {
		t.Fatal(err)
	}
	k.expire(1)
	if _, err := k.Alter(t.Context(), "t", supertable.Alteration{Add: &supertable.AddColumn{Name: "secret", Type: "VARCHAR"}}); err != nil {
		t.Fatal(err)
	}
	if got := testdb.Query(t, k.Session, "SELECT * FROM t", nil); got != "1|∅" {
		t.Errorf("got %s", got)
	}
}

// TestClean: what goes, what stays, and when.
func TestClean(t *testing.T) {
	k := newKept(t)
	k.put("t", `[{"k":1,"v":"a"}]`)
	k.put("t", `[{"k":2,"v":"b"}]`)
	k.compact("t")
	data := k.folder().Data()
	orphan := filepath.Join(data, "main", "t", "orphan.parquet")
	young := filepath.Join(data, "main", "young.parquet")
	for _, path := range []string{orphan, young} {
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	old := time.Now().Add(-48 * time.Hour)
	if err := os.Chtimes(orphan, old, old); err != nil {
		t.Fatal(err)
	}
	dry, err := k.Clean(t.Context(), &supertable.CleanOptions{DryRun: true})
	if err != nil || !slices.Equal(dry, []string{"main/t/orphan.parquet"}) {
		t.Errorf("%v %v", dry, err)
	}
	if gone, err := k.Clean(t.Context(), nil); err != nil || !slices.Equal(gone, dry) {
		t.Errorf("%v %v", gone, err)
	}
	// One is gone already, one is of a hostile catalog, one is not ours.
	outside := filepath.Join(k.Home, "default", "precious")
	if err := os.WriteFile(outside, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, f := range k.stored() {
		if !strings.Contains(f, "young") {
			_ = os.Chtimes(filepath.Join(data, f), old, old)
		}
	}
	k.sqlite(`INSERT INTO ducklake_files_scheduled_for_deletion VALUES (900, '../../precious', 1, '2020-01-01T00:00:00.000000+00')`,
		`INSERT INTO ducklake_files_scheduled_for_deletion VALUES (901, '`+outside+`', 0, '2020-01-01T00:00:00.000000+00')`,
		`INSERT INTO ducklake_files_scheduled_for_deletion VALUES (902, 'main/t/gone.parquet', 1, '2020-01-01T00:00:00.000000+00')`)
	gone := k.clean()
	if len(gone) != 3 || !slices.Contains(gone, "main/young.parquet") {
		t.Errorf("removed %v", gone)
	}
	if _, err := os.Stat(outside); err != nil {
		t.Errorf("a file outside the data folder: %v", err)
	}
	k.sqliteNone("waiting files", "SELECT count(*) FROM ducklake_files_scheduled_for_deletion")
	k.sqliteNone("obsolete files", "SELECT count(*) FROM supertable_obsolete")
	if n := k.count("SELECT count(*) FROM supertable_file"); n != 1 {
		t.Errorf("%d checksums for one file", n)
	}
	if gone := k.clean(); len(gone) != 0 {
		t.Errorf("a second time: %v", gone)
	}
	if _, err := k.Clean(t.Context(), &supertable.CleanOptions{Grace: new(-time.Second)}); supertable.KindOf(err) != supertable.InvalidArgument {
		t.Errorf("a negative grace: %v", err)
	}
}

// TestCleanNamed: a file that a snapshot names stays, though a catalog says
// that it waits for deletion.
func TestCleanNamed(t *testing.T) {
	k := newKept(t)
	k.put("t", `[{"k":1,"v":"a"}]`)
	f := k.stored()[0]
	k.sqlite(`INSERT INTO ducklake_files_scheduled_for_deletion VALUES (0, '` + f + `', 1, '2020-01-01T00:00:00.000000+00')`)
	if gone := k.clean(); len(gone) != 0 {
		t.Errorf("removed %v", gone)
	}
	k.sqlite(`DELETE FROM ducklake_files_scheduled_for_deletion`)
}

// TestCleanUnderWriters: with no grace at all, cleaning takes nothing from
// writers on their way.
func TestCleanUnderWriters(t *testing.T) {
	k := newKept(t)
	k.put("t", `[{"k":-1,"v":"a"}]`)
	var stop atomic.Bool
	var wg sync.WaitGroup
	for w := range 3 {
		wg.Go(func() {
			for i := 0; !stop.Load(); i++ {
				k.put("t", fmt.Sprintf(`[{"k":%d,"v":"%d"},{"k":0,"v":"shared"}]`, w+1, i))
			}
		})
	}
	other := keptAt(t, k.Home, nil)
	until := time.Now().Add(3 * time.Second)
	for n := 0; time.Now().Before(until); n++ {
		other.clean()
		if n%3 == 0 {
			other.compact("")
		}
		if n%5 == 0 {
			other.expire(3)
		}
	}
	stop.Store(true)
	wg.Wait()
	if got := testdb.Query(t, k.Session, "SELECT count(*), count(DISTINCT k) FROM t", nil); got != "5|5" {
		t.Errorf("got %s", got)
	}
	k.check()
}

// TestCleanMoved: in a home that was copied nothing is removed before a write.
func TestCleanMoved(t *testing.T) {
	k := newKept(t)
	k.put("t", `[{"k":1,"v":"a"}]`)
	k.put("t", `[{"k":2,"v":"b"}]`)
	k.compact("t")
	k.sqlite("PRAGMA wal_checkpoint(TRUNCATE)")
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(k.Home)); err != nil {
		t.Fatal(err)
	}
	lake := testdb.At(t, to, nil)
	st, err := lake.SuperTable(t.Context(), "default", "main")
	if err != nil {
		t.Fatal(err)
	}
	s, err := st.Session(t.Context(), supertable.Superuser)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Clean(t.Context(), &supertable.CleanOptions{Grace: &atOnce}); supertable.KindOf(err) != supertable.Denied {
		t.Errorf("in a copy: %v", err)
	}
	testdb.Write(t, s, "t", kv, `[{"k":3,"v":"c"}]`, nil)
	if gone, err := s.Clean(t.Context(), &supertable.CleanOptions{Grace: &atOnce}); err != nil || len(gone) != 2 {
		t.Errorf("after a write: %v %v", gone, err)
	}
}

// TestReadOnlyIsNotMaintained: nothing of a read-only SuperTable changes.
func TestReadOnlyIsNotMaintained(t *testing.T) {
	k := newKept(t)
	k.put("t", `[{"k":1,"v":"a"}]`)
	k.put("t", `[{"k":2,"v":"b"}]`)
	if _, _, err := k.Create(t.Context(), "default", "main", &supertable.CreateOptions{ReadOnly: new(true)}); err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func() error{
		"compact":  func() error { _, err := k.Compact(t.Context(), "t", nil); return err },
		"flush":    func() error { _, err := k.Flush(t.Context(), "", nil); return err },
		"expire":   func() error { _, err := k.Expire(t.Context(), &supertable.ExpireOptions{KeepLast: 1}); return err },
		"clean":    func() error { _, err := k.Clean(t.Context(), nil); return err },
		"maintain": func() error { _, err := k.Maintain(t.Context(), nil); return err },
	} {
		if err := call(); supertable.KindOf(err) != supertable.Denied {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := k.StartMaintenance(0); supertable.KindOf(err) != supertable.InvalidArgument {
		t.Error(err)
	}
}

// TestBackground: a long-lived process maintains what it has open, unless the
// SuperTable does not want it.
func TestBackground(t *testing.T) {
	k := newKept(t)
	k.add("t", `[{"k":1,"v":"a"}]`)
	k.option("t", "max_overlapping_files", "2")
	k.option("", "background_maintenance", "0")
	if err := k.StartMaintenance(20 * time.Millisecond); err != nil {
		t.Fatal(err)
	}
	k.add("t", `[{"k":2,"v":"b"}]`)
	time.Sleep(150 * time.Millisecond)
	k.wantShape("t", 2, 2, 0)
	k.option("", "background_maintenance", "")
	for range 200 {
		if f, _, _ := k.shape("t"); f == 1 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	k.wantShape("t", 1, 2, 0)
	k.StopMaintenance()
	k.StopMaintenance()
	head := k.head()
	k.add("t", `[{"k":3,"v":"c"}]`)
	time.Sleep(60 * time.Millisecond)
	if k.head() != head+1 {
		t.Errorf("head %d after the service ended, it was %d", k.head(), head)
	}
}
