package interop

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	_ "github.com/mattn/go-sqlite3" // the catalog behind both clients' backs

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/internal/testdb"
)

// lake is one lake with both readers on it.
type lake struct {
	t     testing.TB
	home  *testdb.DB
	s     *supertable.Session
	duck  *duck
	aside *duck // attached to one snapshot after the other
	// widened allows DuckDB to fail when it is attached to a snapshot before
	// a column was widened: it reads the bounds of today's values as the type
	// of that day. It does so on its own lakes too; AT (VERSION) is free of it.
	widened bool
	// doubted leaves DuckDB's own filters out: on columns that it widened over
	// inlined rows or from DATE it finds too few rows of its own.
	doubted bool
	// tooWide are tables, by id, of which DuckDB deleted rows in the transaction
	// that inserted them: it then answers min and max with values of no row.
	tooWide map[string]bool
	// noFeed leaves the change feed out.
	noFeed bool
	// thorough asks more questions per column.
	thorough bool
	// brief leaves out what no snapshot touched, and clients attached to one.
	brief bool

	// For the report: whose lake it is, whether it counts at all, and what was
	// compared, by snapshot; chores leave no snapshot.
	ours, random, silent bool
	inside               bool // small writes stay inside the catalog
	compared             map[int64][]string
	chores               map[string]int
	types                map[string]string
}

// super is the name of every test's SuperTable.
const super = "shop"

// newLake makes an empty SuperTable whose every write makes files. It is checked
// at the test's end.
func newLake(t testing.TB) *lake { return makeLake(t, oneThread()) }

// newInside is newLake for small writes that stay inside the catalog.
func newInside(t testing.TB) *lake {
	o := oneThread()
	o.InlineRows = catalog.InlineRows
	return makeLake(t, o)
}

func makeLake(t testing.TB, o *supertable.Options) *lake {
	t.Helper()
	home := testdb.At(t, t.TempDir(), o)
	l := &lake{t: t, home: home, s: home.Session(super), duck: newDuck(t), brief: testing.Short(), ours: true, inside: o.InlineRows > 0}
	l.recorded(t)
	l.duck.attach(l.catalog(), "")
	return l
}

// bothWays runs a test on a lake of each kind.
func bothWays(t *testing.T, name string, do func(t *testing.T, l *lake)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		do(t, newLake(t))
	})
	t.Run(name+", inside", func(t *testing.T) {
		t.Parallel()
		do(t, newInside(t))
	})
}

// openLake opens what lies in home without creating or checking anything.
func openLake(t testing.TB, home string) *lake {
	t.Helper()
	db := testdb.At(t, home, oneThread())
	l := &lake{t: t, home: db, duck: newDuck(t), brief: testing.Short(), ours: true}
	l.recorded(t)
	st, err := db.SuperTable(t.Context(), "default", super)
	if err != nil {
		t.Fatal(err)
	}
	if l.s, err = st.Session(t.Context(), supertable.Superuser); err != nil {
		t.Fatal(err)
	}
	return l
}

// oneThread is how our side runs: lakes so small gain nothing by more threads.
func oneThread() *supertable.Options {
	return &supertable.Options{MemoryBytes: 512 << 20, Threads: 1}
}

// folder is the SuperTable's folder.
func folder(home string) string { return filepath.Join(home, "default", super) }

func (l *lake) catalog() string { return filepath.Join(folder(l.home.Home), "catalog.db") }

// write writes what the judge selects: every type arrives as Arrow.
func (l *lake) write(table, query string, o *supertable.WriteOptions) supertable.WriteResult {
	l.t.Helper()
	res, err := l.tryWrite(table, query, o)
	if err != nil {
		l.t.Fatalf("write %s: %s: %v", table, query, err)
	}
	return res
}

func (l *lake) tryWrite(table, query string, o *supertable.WriteOptions) (supertable.WriteResult, error) {
	rr, err := l.duck.conn.Query(context.Background(), query, nil)
	if err != nil {
		return supertable.WriteResult{}, fmt.Errorf("the input itself: %w", err)
	}
	defer rr.Release()
	return l.s.Write(context.Background(), table, rr, o)
}

func key(cols ...string) *supertable.WriteOptions { return &supertable.WriteOptions{Key: cols} }

func remove(cols ...string) *supertable.WriteOptions {
	return &supertable.WriteOptions{Key: cols, DeleteOnly: true}
}

func (l *lake) alter(table string, a supertable.Alteration) {
	l.t.Helper()
	if _, err := l.s.Alter(l.t.Context(), table, a); err != nil {
		l.t.Fatalf("alter %s %+v: %v", table, a, err)
	}
}

func (l *lake) option(table, name, value string) {
	l.t.Helper()
	if err := l.s.SetOption(l.t.Context(), table, name, value); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lake) drop(table string) {
	l.t.Helper()
	if ok, err := l.s.DropTable(l.t.Context(), table); err != nil || !ok {
		l.t.Fatalf("drop %s: %t %v", table, ok, err)
	}
}

// rows gives a result of ours as text, one line a row, sorted.
func (l *lake) rows(query string, at int64) []string {
	l.t.Helper()
	out, err := l.tryRows(query, at)
	if err != nil {
		l.t.Fatalf("ours: %s at %d: %v", query, at, err)
	}
	return out
}

// head is the snapshot number that means "now".
const head = -1

func (l *lake) tryRows(query string, at int64) ([]string, error) {
	var o supertable.QueryOptions
	if at != head {
		o.AtVersion = &at
	}
	return queryRows(l.s, query, &o)
}

// queryRows collects a result through the public API, in the form of line.
func queryRows(s *supertable.Session, query string, o *supertable.QueryOptions) ([]string, error) {
	rows, err := s.Query(context.Background(), query, o)
	if err != nil {
		return nil, err
	}
	return collect(rows)
}

// collect reads a result to its end.
func collect(rows *supertable.Rows) ([]string, error) {
	defer func() { _ = rows.Close() }()
	out := []string{}
	for rows.Next() {
		b := rows.Batch()
		for i := range int(b.NumRows()) {
			cells := make([]string, b.NumCols())
			for k := range cells {
				col := b.Column(k)
				switch {
				case col.IsNull(i):
					cells[k] = "∅"
				case col.DataType().Name() == "utf8":
					cells[k] = fmt.Sprintf("%q", col.ValueStr(i))
				default:
					cells[k] = col.ValueStr(i)
				}
			}
			out = append(out, strings.Join(cells, "|"))
		}
	}
	slices.Sort(out)
	return out, rows.Err()
}

// describe lists our columns of a table at a snapshot.
func (l *lake) describe(table string, at int64) []column {
	l.t.Helper()
	var out []column
	for _, c := range l.describeAll("WHERE table_name = '"+table+"'", at) {
		out = append(out, c.column)
	}
	return out
}

type columnOf struct {
	table string
	column
}

func (l *lake) describeAll(where string, at int64) []columnOf {
	l.t.Helper()
	var o supertable.QueryOptions
	if at != head {
		o.AtVersion = &at
	}
	rows, err := l.s.Query(context.Background(), "SELECT table_name, column_name, data_type FROM information_schema.columns "+where+" ORDER BY table_name, ordinal_position", &o)
	if err != nil {
		l.t.Fatalf("ours: columns: %v", err)
	}
	defer func() { _ = rows.Close() }()
	var out []columnOf
	for rows.Next() {
		b := rows.Batch()
		cell := func(k, i int) string { return strings.Clone(b.Column(k).ValueStr(i)) } // the batch goes, and its memory
		for i := range int(b.NumRows()) {
			out = append(out, columnOf{cell(0, i), column{cell(1, i), spell(cell(2, i))}})
		}
	}
	if err := rows.Err(); err != nil {
		l.t.Fatal(err)
	}
	return out
}

// check runs our deep check and wants no finding but of the kinds allowed.
func (l *lake) check(allowed ...string) {
	l.t.Helper()
	if l.duck != nil && l.duck.repeated {
		allowed = append(allowed, "unknown_file")
	}
	report, err := l.s.Check(l.t.Context(), true)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, f := range report.Findings {
		if !slices.Contains(allowed, f.Kind) {
			l.t.Errorf("check: %+v", f)
		}
	}
}

// behind are the tests' own connections to catalogs: they are asked so often
// that opening one would be most of it.
var behind struct {
	sync.Mutex
	open map[asking]*sql.DB
}

type asking struct {
	t       testing.TB
	catalog string
}

func catalogOf(t testing.TB, catalog string) *sql.DB {
	t.Helper()
	behind.Lock()
	defer behind.Unlock()
	who := asking{t, catalog}
	if db, ok := behind.open[who]; ok {
		return db
	}
	db, err := sql.Open("sqlite3", "file:"+catalog+"?_busy_timeout=5000")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	if behind.open == nil {
		behind.open = map[asking]*sql.DB{}
	}
	behind.open[who] = db
	t.Cleanup(func() {
		behind.Lock()
		defer behind.Unlock()
		delete(behind.open, who)
		_ = db.Close()
	})
	return db
}

// meta runs a query on the catalog itself, behind both clients' backs.
func meta(t testing.TB, catalog, query string, args ...any) []string {
	t.Helper()
	rows, err := catalogOf(t, catalog).QueryContext(context.Background(), query, args...)
	if err != nil {
		t.Fatalf("catalog: %s: %v", query, err)
	}
	defer func() { _ = rows.Close() }()
	cols, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for rows.Next() {
		vals, ptrs := make([]any, len(cols)), make([]any, len(cols))
		for i := range vals {
			ptrs[i] = &vals[i]
		}
		if err := rows.Scan(ptrs...); err != nil {
			t.Fatal(err)
		}
		out = append(out, line(vals))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// copyLake copies a home; what the copy's owner does leaves the first alone.
// SQLite copies its own file: whoever else opens and closes it in this process
// takes SQLite's locks on it away.
func copyLake(t testing.TB, home string) string {
	t.Helper()
	to := t.TempDir()
	err := filepath.WalkDir(home, func(path string, d os.DirEntry, err error) error {
		if err != nil || strings.HasPrefix(d.Name(), "catalog.db") {
			return err
		}
		rel, err := filepath.Rel(home, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o777)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), text, 0o666)
	})
	if err != nil {
		t.Fatal(err)
	}
	catalog := filepath.Join(folder(to), "catalog.db")
	meta(t, filepath.Join(folder(home), "catalog.db"), "VACUUM INTO ?", catalog)
	meta(t, catalog, `UPDATE ducklake_metadata SET value = ? WHERE key = 'data_path' RETURNING 1`, filepath.ToSlash(filepath.Join(folder(to), "data"))+"/")
	return to
}
