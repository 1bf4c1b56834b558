package interop

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/testdb"
)

// TestRandom lets both clients change one lake, one after the other, and
// compares what both read after each step, and everything at the end.
//
//	ST_INTEROP_SEEDS=100 make interop    # more runs
//	make interop SEED=42                 # one again
func TestRandom(t *testing.T) {
	runs, steps := 25, 40
	if n, err := strconv.Atoi(os.Getenv("ST_INTEROP_SEEDS")); err == nil {
		runs = n
	}
	if testing.Short() {
		runs, steps = 3, 15
	}
	first := uint64(time.Now().UnixNano()) % 1_000_000
	if s := os.Getenv("ST_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("ST_SEED=%s: %v", s, err)
		}
		first, runs, steps = n, 1, 40
	}
	for seed := first; seed < first+uint64(runs); seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { random(t, seed, steps) })
	}
}

// walk is one random history.
type walk struct {
	*lake
	*rand.Rand
	seed  uint64
	steps []string
	next  int // numbers what must be new
}

func random(t *testing.T, seed uint64, steps int) {
	w := &walk{Rand: rand.New(rand.NewPCG(seed, 0)), seed: seed}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("ST_SEED=%d repeats this:\n%s", seed, strings.Join(w.steps, "\n"))
		}
	})
	t.Logf("seed %d", seed)
	if seed%2 == 0 {
		w.lake = &lake{t: t, home: testdb.At(t, t.TempDir(), testdb.Either(seed/2)), duck: newDuck(t)} // checked here, not at its end: expiry by DuckDB leaves holes
		w.adopt()
		w.duck.attach(w.catalog(), "")
	} else { // a lake of theirs, where small inserts stay in the catalog
		w.lake = newTheirs(t, "")
		w.adopt()
	}
	w.widened = true
	for range steps {
		at := w.lastSnapshot()
		w.step()
		w.compareRows()
		w.compareFeed(at)
	}
	// DuckDB's maintenance changes what its own feed says of the past.
	w.noFeed = slices.ContainsFunc(w.steps, func(s string) bool { return strings.Contains(s, "CALL ducklake_") })
	w.compareAll()
	w.check("snapshots_not_contiguous")
}

// compareRows compares tables, columns and rows at the head.
func (w *walk) compareRows() {
	w.t.Helper()
	names := w.tables()
	theirs := w.duck.rows("SELECT table_name FROM duckdb_tables() WHERE database_name = 'lake' AND schema_name = 'main'")
	if len(names) != len(theirs) {
		w.t.Fatalf("tables %v against %v", names, theirs)
	}
	for _, name := range names {
		cols := w.describe(name, head)
		equal(w.t, "columns of "+name, cols, w.duck.describe(name, ""))
		equal(w.t, "rows of "+name, w.all(name), w.theirs(name))
	}
}

// compareFeed compares the change feed of the snapshots after since.
func (w *walk) compareFeed(since int64) {
	w.t.Helper()
	var before *picture
	for _, at := range w.snapshots() {
		if at < since {
			continue
		}
		now := w.compareAt(at, before)
		if before != nil && before.at == at-1 {
			w.compareChanges(before, now)
		}
		before = now
	}
}

func (w *walk) tables() []string {
	var out []string
	for _, n := range w.lake.rows("SELECT table_name FROM information_schema.tables", head) {
		name, _ := strconv.Unquote(n)
		out = append(out, name)
	}
	return out
}

func (w *walk) all(table string) []string {
	return w.lake.rows("SELECT "+texts(w.describe(table, head))+" FROM "+table, head)
}

func (w *walk) theirs(table string) []string {
	return w.duck.rows("SELECT " + texts(w.describe(table, head)) + " FROM lake." + table)
}

// step does one thing, by one of the two.
func (w *walk) step() {
	w.t.Helper()
	names := w.tables()
	if len(names) == 0 || len(names) < 3 && w.IntN(12) == 0 {
		w.create()
		return
	}
	table := names[w.IntN(len(names))]
	if w.IntN(6) == 0 {
		w.keep(table)
		return
	}
	if w.IntN(2) == 0 {
		w.ours(table)
	} else {
		w.theirStep(table)
	}
}

// say keeps the step for the report of a failure.
func (w *walk) say(who, what string) string {
	w.steps = append(w.steps, who+": "+what)
	return what
}

// fresh makes a name that was never used.
func (w *walk) fresh(prefix string) string {
	w.next++
	return name(prefix, w.next)
}

func (w *walk) create() {
	table := w.fresh("t")
	rows := fmt.Sprintf("SELECT i AS id, 's' || i AS s, (i * 3)::INTEGER AS n, {'a': i::INTEGER} AS st FROM range(%d) r(i)", w.size())
	if w.IntN(2) == 0 {
		w.write(table, w.say("ours", "create "+table+": "+rows)[len("create "+table+": "):], nil)
		return
	}
	w.duck.run(w.say("DuckDB", "CREATE TABLE lake."+table+" AS "+rows))
}

// size is a number of rows: below what DuckDB keeps in the catalog, or above.
func (w *walk) size() int { return []int{1, 3, 8, 30, 60}[w.IntN(5)] }

// literals gives a value of a type that depends on i.
func (w *walk) literal(typ string) string {
	k := 1 + w.IntN(9)
	value := fmt.Sprintf("(i %% 100 * %d)::%s", k, typ)
	switch {
	case typ == "VARCHAR":
		value = fmt.Sprintf("'v%d ' || (i %% 50)", k)
	case typ == "DOUBLE":
		value = fmt.Sprintf("(i / %d.0)::DOUBLE", k)
	case typ == "DATE":
		value = fmt.Sprintf("(DATE '2026-01-01' + (i %% 1000 * %d)::INTEGER)", k)
	case nested(typ):
		value = fmt.Sprintf("CASE WHEN i %% 6 = 0 THEN NULL ELSE {'a': (i * %d)::INTEGER}::%s END", k, typ)
	}
	if w.IntN(3) == 0 {
		return fmt.Sprintf("CASE WHEN i %% %d = 0 THEN NULL ELSE %s END", 2+w.IntN(5), value)
	}
	return value
}

// input selects rows for a table as it is: some columns may be left out.
func (w *walk) input(table string, cols []column) string {
	sel := []string{"i AS id"}
	for _, c := range cols {
		if c.name == "id" || w.IntN(6) == 0 {
			continue
		}
		sel = append(sel, w.literal(c.typ)+" AS "+c.name)
	}
	from := w.IntN(80)
	return fmt.Sprintf("SELECT %s FROM range(%d, %d) r(i)", strings.Join(sel, ", "), from, from+w.size())
}

// plain are the columns that may be renamed, dropped, updated.
func plain(cols []column) []column {
	return slices.DeleteFunc(slices.Clone(cols), func(c column) bool { return c.name == "id" || nested(c.typ) })
}

// ours does one step through the public API.
func (w *walk) ours(table string) {
	w.t.Helper()
	cols := w.describe(table, head)
	some := plain(cols)
	switch k := w.IntN(20); {
	case k < 5:
		rows := w.input(table, cols)
		w.say("ours", "append to "+table+": "+rows)
		w.expect(table, rows, nil, "true")
	case k < 12:
		rows := w.input(table, cols)
		w.say("ours", "upsert into "+table+": "+rows)
		w.expect(table, rows, key("id"), "id NOT IN (SELECT id FROM ("+rows+"))")
	case k < 15:
		rows := fmt.Sprintf("SELECT i AS id FROM range(%d, 90, %d) r(i)", w.IntN(40), 1+w.IntN(9))
		w.say("ours", "delete from "+table+": "+rows)
		w.expect(table, rows, remove("id"), "id NOT IN (SELECT id FROM ("+rows+"))")
	case k == 15:
		w.option("", "inline_delete_limit", w.say("ours", []string{"0", "5", "2000"}[w.IntN(3)]))
	case k == 16:
		c := w.fresh("c")
		if w.IntN(2) == 0 {
			w.say("ours", "add "+c+" to "+table)
			w.alter(table, add(c, "INTEGER", nil))
			return
		}
		w.say("ours", "add "+c+" with a default to "+table)
		w.alter(table, add(c, "VARCHAR", new("by default")))
	case k == 17 && len(some) > 1:
		w.say("ours", "rename "+some[0].name+" of "+table)
		w.alter(table, renameColumn(some[0].name, w.fresh("r")))
	case k == 18 && len(some) > 1:
		w.say("ours", "drop "+some[0].name+" of "+table)
		w.alter(table, supertable.Alteration{Drop: some[0].name})
	case k == 19 && w.IntN(3) == 0:
		w.say("ours", "drop "+table)
		w.drop(table)
	default:
		i := slices.IndexFunc(some, func(c column) bool { return c.typ == "INTEGER" })
		if i < 0 {
			return
		}
		w.say("ours", "widen "+some[i].name+" of "+table)
		w.alter(table, retype(some[i].name, "BIGINT", false))
	}
}

// expect writes rows and wants the rows that stay, by DuckDB's reading from
// before, and the new ones. A table that another client keeps in the catalog
// is flushed first, as the refusal says.
func (w *walk) expect(table, rows string, o *supertable.WriteOptions, stay string) {
	w.t.Helper()
	cols := w.describe(table, head)
	sel := texts(cols)
	want := fmt.Sprintf("SELECT %s FROM lake.%s WHERE %s", sel, table, stay)
	if o == nil || !o.DeleteOnly {
		want += fmt.Sprintf(" UNION ALL BY NAME SELECT COLUMNS(*)::VARCHAR FROM (%s)", rows)
	}
	wanted := w.duck.rows(want)
	_, err := w.tryWrite(table, rows, o)
	if err != nil && strings.Contains(err.Error(), "supertable flush") {
		if w.IntN(2) == 0 {
			w.duck.run(w.say("DuckDB", "CALL ducklake_flush_inlined_data('lake')"))
		} else {
			w.say("ours", "flush "+table)
			w.flush(table)
		}
		_, err = w.tryWrite(table, rows, o)
	}
	if err != nil {
		w.t.Fatalf("seed %d: %v", w.seed, err)
	}
	if !w.defaulted(table) {
		equal(w.t, "rows of "+table+" by the model", w.all(table), wanted)
	}
}

// keep does one step of our maintenance: no retained snapshot changes.
func (w *walk) keep(table string) {
	w.t.Helper()
	before := map[int64]map[string][]string{}
	for _, at := range w.snapshots() {
		before[at] = w.past(at)
	}
	switch w.IntN(6) {
	case 0, 1:
		w.say("ours", "compact")
		w.compact("")
	case 2:
		w.say("ours", "compact "+table)
		w.compact(table)
	case 3:
		w.say("ours", "flush")
		w.flush("")
	case 4:
		w.say("ours", "expire")
		w.expire(int64(3 + w.IntN(10)))
	default:
		w.say("ours", "clean")
		w.clean()
	}
	for _, at := range w.snapshots() {
		if old, ok := before[at]; ok {
			w.samePast(at, old)
		}
	}
}

// defaulted reports whether a column that a write leaves out may not be NULL.
func (w *walk) defaulted(table string) bool {
	return meta(w.t, w.catalog(), `SELECT count(*) FROM ducklake_column c JOIN ducklake_table t ON t.table_id = c.table_id WHERE t.table_name = ? AND c.initial_default IS NOT NULL AND c.end_snapshot IS NULL`, table)[0] != "0"
}

// theirStep does one step in DuckDB.
func (w *walk) theirStep(table string) {
	w.t.Helper()
	cols := w.describe(table, head)
	some := plain(cols)
	q := "lake." + table
	where := fmt.Sprintf(" WHERE id %% %d = %d", 1+w.IntN(12), w.IntN(3))
	var sql string
	switch k := w.IntN(20); {
	case k < 4:
		sql = "INSERT INTO " + q + " BY NAME " + w.input(table, cols)
	case k < 8:
		sql = "DELETE FROM " + q + where
	case k < 12 && len(some) > 0:
		c := some[w.IntN(len(some))]
		sql = "UPDATE " + q + " SET " + c.name + " = " + strings.ReplaceAll(w.literal(c.typ), "i ", "id ") + where
	case k == 12:
		sql = "ALTER TABLE " + q + " ADD COLUMN " + w.fresh("d") + []string{" DATE", " DOUBLE", " VARCHAR DEFAULT 'theirs'"}[w.IntN(3)]
	case k == 13 && len(some) > 1:
		sql = "ALTER TABLE " + q + " RENAME " + some[0].name + " TO " + w.fresh("q")
	case k == 14 && len(some) > 1:
		sql = "ALTER TABLE " + q + " DROP COLUMN " + some[0].name
	case k == 15:
		sql = "CALL ducklake_flush_inlined_data('lake')"
	case k == 16 && w.IntN(3) == 0:
		sql = "CALL ducklake_merge_adjacent_files('lake')"
	case k == 17:
		// Flushed first: the other way round DuckDB doubles rows of the past.
		sql = "CALL ducklake_flush_inlined_data('lake'); BEGIN; CALL ducklake_rewrite_data_files('lake', delete_threshold => 0.2); COMMIT"
	case k == 18:
		all := w.snapshots()
		if len(all) < 4 {
			return
		}
		sql = fmt.Sprintf("CALL ducklake_expire_snapshots('lake', versions => [%d]); CALL ducklake_cleanup_old_files('lake', cleanup_all => true)", all[w.IntN(len(all)-1)])
	case k == 19 && w.IntN(3) == 0:
		sql = "DROP TABLE " + q
	default:
		sql = "BEGIN; INSERT INTO " + q + " BY NAME " + w.input(table, cols) + "; DELETE FROM " + q + where + "; COMMIT"
	}
	w.duck.run(w.say("DuckDB", sql))
}
