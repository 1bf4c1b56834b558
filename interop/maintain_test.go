package interop

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/supertable-go/supertable"
)

func (l *lake) compact(table string) []supertable.CompactResult {
	l.t.Helper()
	out, err := l.s.Compact(l.t.Context(), table, nil)
	if err != nil {
		l.t.Fatalf("compact: %v", err)
	}
	return out
}

func (l *lake) flush(table string) []supertable.FlushResult {
	l.t.Helper()
	out, err := l.s.Flush(l.t.Context(), table, nil)
	if err != nil {
		l.t.Fatalf("flush: %v", err)
	}
	return out
}

func (l *lake) expire(last int64) []int64 {
	l.t.Helper()
	out, err := l.s.Expire(l.t.Context(), &supertable.ExpireOptions{KeepLast: last})
	if err != nil {
		l.t.Fatalf("expire: %v", err)
	}
	l.chores["expire"]++
	return out
}

func (l *lake) clean() []string {
	l.t.Helper()
	var none time.Duration
	out, err := l.s.Clean(l.t.Context(), &supertable.CleanOptions{Grace: &none})
	if err != nil {
		l.t.Fatalf("clean: %v", err)
	}
	l.chores["clean"]++
	return out
}

// then gives our reading of every table at a snapshot.
func (l *lake) then(at int64) map[string][]string {
	l.t.Helper()
	out := map[string][]string{}
	for _, n := range l.rows("SELECT table_name FROM information_schema.tables", at) {
		name, _ := strconv.Unquote(n)
		out[name] = l.rows("SELECT "+texts(l.describe(name, at))+" FROM \""+name+"\"", at)
	}
	return out
}

func (l *lake) samePast(at int64, want map[string][]string) {
	l.t.Helper()
	got := l.then(at)
	if len(got) != len(want) {
		l.t.Fatalf("%d tables at %d, there were %d", len(got), at, len(want))
	}
	for name := range want {
		equal(l.t, fmt.Sprintf("%s at %d", name, at), got[name], want[name])
	}
}

// feed is the whole change feed of a table, with row ids.
func (l *lake) feed(table string, to int64) []string {
	l.t.Helper()
	cols := texts(l.describe(table, head))
	return l.duck.rows(fmt.Sprintf("SELECT snapshot_id, rowid, change_type, %s FROM ducklake_table_changes('lake', 'main', '%s', 0, %d)", cols, table, to))
}

// ourChores are our maintenance, alone and one after the other.
var ourChores = []struct {
	name string
	do   func(l *lake)
}{
	{"flush", func(l *lake) { l.flush("") }},
	{"compact", func(l *lake) { l.compact("") }},
	{"flush and compact", func(l *lake) { l.flush(""); l.compact("") }},
	{"compact twice", func(l *lake) {
		l.compact("")
		l.write("orders", orders(130, 40), key("id"))
		l.write("plain", "SELECT 5 AS id", nil)
		l.compact("")
	}},
	{"expire and clean", func(l *lake) { l.expire(3); l.clean() }},
	{"all", func(l *lake) {
		l.flush("")
		l.compact("")
		l.expire(4)
		l.clean()
		l.compact("")
		l.clean()
	}},
}

// TestOurMaintenanceReadByDuckDB does each of our chores on a lake of ours,
// alone and one after the other: DuckDB reads every retained snapshot as
// before, its change feed of the past stays what it was, row ids included, and
// its own chores and writes go on.
func TestOurMaintenanceReadByDuckDB(t *testing.T) {
	t.Parallel()
	for _, first := range []*lake{newLake(t), newInside(t)} {
		sample(first)
		first.compareAll()
		for _, c := range ourChores {
			name := c.name
			if first.inside {
				name += ", inside"
			}
			if first.inside && testing.Short() && c.name != "flush" && c.name != "all" {
				continue
			}
			home := copyLake(t, first.home.Home)
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				maintainedByUs(t, openLake(t, home), c.do)
			})
		}
	}
}

func maintainedByUs(t *testing.T, l *lake, chore func(*lake)) {
	l.duck.attach(l.catalog(), "")
	l.goOn("orders", orders(3, 2)) // settles the copy in its place
	l.duck.rows("SELECT count(*) FROM lake.orders WHERE id > 5")
	last := l.lastSnapshot()
	want, feeds := map[int64]map[string][]string{}, map[string][]string{}
	for _, at := range l.snapshots() {
		want[at] = l.then(at)
	}
	for _, table := range []string{"orders", "plain", "nested"} {
		feeds[table] = l.feed(table, last)
	}
	chore(l)
	for _, at := range l.snapshots() {
		if at <= last {
			l.samePast(at, want[at])
		}
	}
	l.compareAll()
	if slices.Contains(l.snapshots(), 1) { // nothing expired
		for table, feed := range feeds {
			equal(t, "feed of "+table, l.feed(table, last), feed)
		}
	}
	l.check()
	l.goOn("orders", orders(50, 30))
	l.goOn("plain", "SELECT 2 AS id, 'upserted' AS s, 9 AS d")
	at := l.lastSnapshot()
	l.duck.run("DELETE FROM lake.orders WHERE id IN (55, 56, 121)")
	l.duck.run("UPDATE lake.orders SET item = 'theirs' WHERE id BETWEEN 60 AND 90")
	l.compareSince(at)
	now := l.contents()
	for _, chore := range care[:3] {
		l.duck.run(chore.sql)
		l.same("after DuckDB's "+chore.name, now)
	}
	l.compact("")
	l.clean()
	l.same("at the end", now)
	l.compareHead()
	l.check()
}

// TestWeMaintainTheirs does our chores on lakes that DuckDB filled: rows inside
// the catalog, files that it merged, flushed and rewrote, changed columns.
func TestWeMaintainTheirs(t *testing.T) {
	t.Parallel()
	for _, f := range foreign {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			l := newTheirs(t, f.options)
			for _, sql := range statements(f.sql) {
				l.duck.run(sql)
			}
			l.adopt()
			l.widened, l.doubted = true, strings.Contains(f.sql, "SET DATA TYPE")
			want := map[int64]map[string][]string{}
			last := l.lastSnapshot()
			for _, at := range l.snapshots() {
				want[at] = l.then(at)
			}
			for _, chore := range []struct {
				name string
				do   func()
			}{
				{"flush", func() { l.flush("") }},
				{"compact", func() { l.compact("") }},
				{"flush again", func() {
					if f := l.flush(""); len(f) != 0 {
						t.Errorf("%+v", f)
					}
				}},
				{"compact again", func() {
					if c := l.compact(""); len(c) != 0 {
						t.Errorf("%+v", c)
					}
				}},
				{"clean", func() { l.clean() }},
			} {
				chore.do()
				for _, at := range l.snapshots() {
					if at <= last {
						l.samePast(at, want[at])
					}
				}
				l.check()
			}
			l.noFeed = true // DuckDB's own maintenance changed it before
			l.compareAll()
			l.goOn("t", "SELECT i::INTEGER AS id FROM range(0, 600, 2) r(i)")
			l.duck.run("DELETE FROM lake.t WHERE id IN (0, 2, 31)")
			l.compact("t")
			l.expire(1)
			l.clean()
			l.compareHead()
			l.check()
		})
	}
}
