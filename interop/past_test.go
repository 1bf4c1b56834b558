package interop

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/datafile"
)

// place is a table at a snapshot, or at the head.
type place struct {
	at      int64
	table   string
	columns []column
}

// mostPlaces is how many places one statement reads: planning a very long one
// costs more than it saves.
const mostPlaces = 24

// readAll reads the rows of many places by few statements: in tests of small
// lakes the statement is most of what reading costs. The rows are as line gives
// those of a place alone.
func readAll(t testing.TB, places []place, prefix string, read func(query string) []string) [][]string {
	t.Helper()
	out := make([][]string, 0, len(places))
	for some := range slices.Chunk(places, mostPlaces) {
		out = append(out, readSome(some, prefix, read)...)
	}
	return out
}

func readSome(places []place, prefix string, read func(query string) []string) [][]string {
	wide := 0
	for _, p := range places {
		wide = max(wide, len(p.columns))
	}
	selects := make([]string, len(places))
	for i, p := range places {
		sel := fmt.Sprintf("SELECT %d AS place", i)
		for k := range wide {
			value := "NULL::VARCHAR"
			if k < len(p.columns) {
				value = "CAST(" + datafile.Quote(p.columns[k].name) + " AS VARCHAR)"
			}
			sel += fmt.Sprintf(", %s AS c%d", value, k)
		}
		at := ""
		if p.at != head {
			at = fmt.Sprintf(" AT (VERSION => %d)", p.at)
		}
		selects[i] = sel + " FROM " + prefix + datafile.Quote(p.table) + at
	}
	out := make([][]string, len(places))
	for i := range out {
		out[i] = []string{}
	}
	for _, row := range read(strings.Join(selects, " UNION ALL ")) {
		number, cells, _ := strings.Cut(row, "|")
		var i int
		if _, err := fmt.Sscan(number, &i); err != nil {
			panic(err) // we wrote it
		}
		out[i] = append(out[i], strings.TrimSuffix(cells, strings.Repeat("|∅", wide-len(places[i].columns))))
	}
	for i := range out {
		slices.Sort(out[i])
	}
	return out
}

func (l *lake) readOurs(places []place) [][]string {
	l.t.Helper()
	return readAll(l.t, places, "", func(query string) []string { return l.rows(query, head) })
}

func (l *lake) readTheirs(places []place) [][]string {
	l.t.Helper()
	return readAll(l.t, places, "lake.", l.duck.rows)
}

// columnsAt lists our tables at a snapshot with their columns.
func (l *lake) columnsAt(at int64) map[string][]column {
	l.t.Helper()
	out := map[string][]column{}
	for _, c := range l.describeAll("", at) {
		out[c.table] = append(out[c.table], c.column)
	}
	return out
}

// places are all tables of the retained snapshots that were seen, as both saw
// them when these were made, and their rows then.
func (w *walk) places() (list []place, rows [][]string) {
	w.t.Helper()
	for _, at := range w.retained() {
		p := w.past[at]
		if p == nil && w.seen != nil && at > w.seen.at {
			continue // of this step
		}
		if p == nil {
			w.t.Fatalf("snapshot %d was never seen", at)
		}
		for _, name := range slices.Sorted(maps.Keys(p.tables)) {
			list, rows = append(list, place{at, name, p.tables[name].columns}), append(rows, p.tables[name].rows)
		}
	}
	return list, rows
}

// retained lists the snapshots as the catalog has them.
func (w *walk) retained() []int64 {
	w.t.Helper()
	var out []int64
	for _, s := range meta(w.t, w.catalog(), `SELECT snapshot_id FROM ducklake_snapshot ORDER BY 1`) {
		var n int64
		if _, err := fmt.Sscan(s, &n); err != nil {
			w.t.Fatal(err)
		}
		out = append(out, n)
	}
	return out
}

// samePasts wants every retained snapshot to be what both saw when it was made,
// but for the places that wrong knows.
func (w *walk) samePasts(who string, read func([]place) [][]string, wrong map[string]bool) {
	w.t.Helper()
	var list []place
	var want [][]string
	all, rows := w.places()
	for i, p := range all {
		if !wrong[p.key()] {
			list, want = append(list, p), append(want, rows[i])
		}
	}
	for i, got := range read(list) {
		equal(w.t, fmt.Sprintf("%s: rows of %s at %d, now and when it was made", who, list[i].table, list[i].at), got, want[i])
	}
}

func (p place) key() string { return fmt.Sprintf("%q|%d", p.table, p.at) }

// doubled are the places where two delete files hold for one data file: DuckDB
// makes a second one when it flushes dead rows of a file that has ended, and
// then shows the others twice (docs/format.md, TestTwoDeleteFiles).
func (w *walk) doubled() map[string]bool {
	w.t.Helper()
	out := map[string]bool{}
	for _, key := range meta(w.t, w.catalog(), `SELECT t.table_name, s.snapshot_id FROM ducklake_delete_file a JOIN ducklake_delete_file b ON b.data_file_id = a.data_file_id AND b.delete_file_id > a.delete_file_id
 JOIN ducklake_snapshot s ON a.begin_snapshot <= s.snapshot_id AND (a.end_snapshot IS NULL OR s.snapshot_id < a.end_snapshot) AND b.begin_snapshot <= s.snapshot_id AND (b.end_snapshot IS NULL OR s.snapshot_id < b.end_snapshot)
 JOIN ducklake_table t ON t.table_id = a.table_id AND t.begin_snapshot <= s.snapshot_id AND (t.end_snapshot IS NULL OR s.snapshot_id < t.end_snapshot)`) {
		out[key] = true
	}
	return out
}

// samples are a few of the retained snapshots, the newest among them.
func (w *walk) samples(n int) []int64 {
	all := w.retained()
	out := []int64{all[len(all)-1]}
	for range n - 1 {
		out = append(out, all[w.IntN(len(all))])
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// TestReadAll reads places with few and many columns, with NULLs and without
// rows, as each would be read alone.
func TestReadAll(t *testing.T) {
	t.Parallel()
	l := newLake(t)
	l.write("a", "SELECT 1 AS id, NULL::VARCHAR AS s, 'x|y' AS z", nil)
	l.write("b", "SELECT 1 AS id WHERE false", nil)
	l.write("a", "SELECT 2 AS id, '∅' AS s, NULL::VARCHAR AS z", nil)
	var places []place
	for _, at := range []int64{1, 3, head} {
		for table, cols := range l.columnsAt(at) {
			places = append(places, place{at, table, cols})
		}
	}
	if len(places) != 5 {
		t.Errorf("%+v", places)
	}
	ours, theirs := l.readOurs(places), l.readTheirs(places)
	for i, p := range places {
		want := l.rows("SELECT "+texts(p.columns)+" FROM "+p.table, p.at)
		equal(t, fmt.Sprintf("ours: %+v", p), ours[i], want)
		equal(t, fmt.Sprintf("theirs: %+v", p), theirs[i], want)
	}
}

// TestSortedTableBesideAnOlderInlinedOne: DuckDB reads the rows of a table inside
// the catalog as the lake was when that table began, and needs every table with
// a sort order or partitions of then, by whatever name.
func TestSortedTableBesideAnOlderInlinedOne(t *testing.T) {
	for _, how := range []string{"SET SORTED BY (id DESC)", "SET PARTITIONED BY (id)"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			l := newInside(t)
			l.write("sorted", "SELECT i AS id, 's' || i AS s FROM range(3) r(i)", nil)
			l.duck.run("ALTER TABLE lake.sorted " + how)
			l.write("beside", "SELECT 1 AS id", nil)
			l.duck.run("CALL ducklake_flush_inlined_data('lake')")
			l.alter("sorted", supertable.Alteration{Rename: "later"})
			l.alter("later", renameColumn("s", "text"))
			l.write("beside", "SELECT 2 AS id", nil)
			l.write("later", "SELECT 7 AS id, 'x' AS text", nil)
			l.duck.run("CALL ducklake_flush_inlined_data('lake')")
			l.write("beside", "SELECT 3 AS id", nil)
			if _, err := l.s.Expire(t.Context(), &supertable.ExpireOptions{KeepLast: 2}); err != nil {
				t.Fatal(err)
			}
			l.compareAll()
			l.compareHead()
		})
	}
}
