package supertable_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/engine"
	"github.com/supertable-go/supertable/engine/duckdb"
	"github.com/supertable-go/supertable/internal/testdb"
)

// keysPath is where the key filters of a home's SuperTable lie.
func keysPath(home, super string) string {
	return filepath.Join(home, "default", super, "index", "keys.db")
}

// withoutFilters takes the place of the key filters, so that there are none.
func withoutFilters(t *testing.T, home, super string) {
	t.Helper()
	if err := os.MkdirAll(keysPath(home, super), 0o777); err != nil {
		t.Fatal(err)
	}
}

// twin is one of two lakes that get the same writes: one has key filters, the
// other has none.
type twin struct {
	t    *testing.T
	home string
	lake *supertable.Lake
	s    *supertable.Session
}

func (w *twin) open() {
	w.t.Helper()
	var err error
	if w.lake, err = supertable.Open(w.t.Context(), w.home, &supertable.Options{MemoryBytes: 512 << 20, InlineRows: -1}); err != nil {
		w.t.Fatal(err)
	}
	st, _, err := w.lake.Create(w.t.Context(), "default", "main", nil)
	if err == nil {
		w.s, err = st.Session(w.t.Context(), supertable.Superuser)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// end closes the lake, checked when it is whole.
func (w *twin) end() {
	w.t.Helper()
	st, err := w.lake.SuperTable(w.t.Context(), "default", "main")
	if err == nil {
		err = testdb.CheckSuper(w.t.Context(), st)
	}
	if err != nil {
		w.t.Error(err)
	}
	if err := w.lake.Close(); err != nil {
		w.t.Error(err)
	}
}

// twins runs one random history on both.
type twins struct {
	t       *testing.T
	r       *rand.Rand
	with    *twin
	without *twin

	columns  []keyColumn
	v        int
	read     [2]int64 // files read by point queries: with, without
	names    int
	outcomes map[string]int
}

// keyColumn is a column of the table that may be part of a key.
type keyColumn struct {
	name, typ string
	kind      string // of values
}

// widerType is what a column's type may become.
var widerType = map[string]string{"SMALLINT": "INTEGER", "INTEGER": "BIGINT", "DECIMAL(6,1)": "DECIMAL(12,3)", "FLOAT": "DOUBLE", "UTINYINT": "UBIGINT", "TIMESTAMP_S": "TIMESTAMP"}

// value is a value of few, as CSV has it: NULL among them.
func (w *twins) value(kind string) string {
	n := w.r.IntN(25)
	if w.r.IntN(25) == 0 {
		return ""
	}
	switch kind {
	case "VARCHAR":
		return []string{"a", "A", "ä", "日本", "a b", "NaN", "0"}[n%7] + fmt.Sprint(n)
	case "UUID":
		return fmt.Sprintf("%08x-0000-4000-8000-%012x", uint32(n*2654435761), n)
	case "FLOAT", "DOUBLE":
		return []string{"0.0", "-0.0", "nan", "inf", "-inf", "1.5", "-1.5", "0.1", "1e30"}[n%9]
	case "DECIMAL(6,1)":
		return fmt.Sprintf("%d.%d", n-12, n%10)
	case "DATE":
		return fmt.Sprintf("2024-02-%02d", n+1)
	case "TIMESTAMP_S":
		return fmt.Sprintf("2024-02-%02d 10:00:%02d", n+1, n)
	case "TIME":
		return fmt.Sprintf("10:%02d:00", n)
	case "BOOLEAN":
		return []string{"true", "false"}[n%2]
	case "UTINYINT":
		return fmt.Sprint(n)
	}
	return fmt.Sprint(n - 12)
}

var keyKinds = []string{"SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "VARCHAR", "UUID", "DECIMAL(6,1)", "FLOAT", "DOUBLE", "DATE", "TIMESTAMP_S", "TIME", "BOOLEAN"}

func (w *twins) start() {
	w.columns = nil
	for _, name := range []string{"a", "b"} {
		kind := keyKinds[w.r.IntN(len(keyKinds))]
		w.columns = append(w.columns, keyColumn{name, kind, kind})
	}
	w.append()
}

// rows makes an input of CSV; the value of v tells the rows apart.
func (w *twins) rows(n int) string {
	var b strings.Builder
	for _, c := range w.columns {
		b.WriteString(c.name + ",")
	}
	b.WriteString("v\n")
	for range n {
		for _, c := range w.columns {
			b.WriteString(w.value(c.kind) + ",")
		}
		w.v++
		fmt.Fprintf(&b, "%d\n", w.v)
	}
	return b.String()
}

// write writes the same rows to both.
func (w *twins) write(rows string, o supertable.WriteOptions) {
	w.t.Helper()
	o.Format, o.Columns = "csv", []supertable.Column{{Name: "v", Type: "BIGINT"}}
	for _, c := range w.columns {
		o.Columns = append(o.Columns, supertable.Column{Name: c.name, Type: c.typ})
	}
	w.both(fmt.Sprintf("write %+v of\n%s", o, rows), func(s *supertable.Session) (any, error) {
		opts := o
		res, err := s.WriteFrom(w.t.Context(), "t", strings.NewReader(rows), &opts)
		return []int64{res.Inserted, res.Deleted, res.SkippedStale}, err
	})
}

func (w *twins) append() {
	for range 5 {
		w.write(w.rows(3+w.r.IntN(10)), supertable.WriteOptions{})
	}
}

// both does a thing twice, with one outcome.
func (w *twins) both(what string, do func(*supertable.Session) (any, error)) {
	w.t.Helper()
	a, err := do(w.with.s)
	b, err2 := do(w.without.s)
	if fmt.Sprint(a, err) != fmt.Sprint(b, err2) {
		w.t.Fatalf("%s\nwith filters: %v, %v\nwithout:      %v, %v", what, a, err, b, err2)
	}
	w.outcomes[fmt.Sprint(err == nil)]++
}

// key picks columns, in some order.
func (w *twins) key() []string {
	var out []string
	for _, i := range w.r.Perm(len(w.columns))[:1+w.r.IntN(2)] {
		out = append(out, w.columns[i].name)
	}
	return out
}

func (w *twins) step() {
	w.t.Helper()
	switch k := w.r.IntN(40); {
	case k < 4:
		w.append()
	case k < 14:
		w.write(w.rows(1+w.r.IntN(4)), supertable.WriteOptions{Key: w.key()})
	case k < 18:
		w.write(w.rows(1+w.r.IntN(3)), supertable.WriteOptions{Key: w.key(), DeleteOnly: true})
	case k < 22:
		w.write(w.rows(1+w.r.IntN(4)), supertable.WriteOptions{Key: w.key(), NewerThan: "v"})
	case k == 22:
		w.write(w.rows(30), supertable.WriteOptions{Key: w.key()})
	case k < 26:
		w.alter()
	case k == 26:
		w.both("compact", func(s *supertable.Session) (any, error) {
			_, err := s.Compact(w.t.Context(), "t", nil)
			return nil, err
		})
	case k == 27:
		w.rollback()
	case k == 28 && w.r.IntN(3) == 0:
		w.both("drop", func(s *supertable.Session) (any, error) { return s.DropTable(w.t.Context(), "t") })
		w.start()
	case k < 33:
		w.damage()
	case k < 35:
		w.reopen()
	default:
		w.ask(w.key(), []string{" AND ", " AND ", " OR "}[w.r.IntN(3)])
	}
	w.compare()
}

func (w *twins) alter() {
	w.t.Helper()
	i := w.r.IntN(len(w.columns))
	c := &w.columns[i]
	var a supertable.Alteration
	switch wider, ok := widerType[c.typ]; {
	case ok && w.r.IntN(2) == 0:
		a.Type = &supertable.ChangeColumnType{Name: c.name, Type: wider}
		c.typ = wider
	case len(w.columns) < 4 && w.r.IntN(2) == 0:
		w.names++
		kind := keyKinds[w.r.IntN(len(keyKinds))]
		n := keyColumn{fmt.Sprint("c", w.names), kind, kind}
		a.Add = &supertable.AddColumn{Name: n.name, Type: kind}
		if v := w.value(kind); v != "" {
			if kind == "VARCHAR" || kind == "UUID" || kind == "DATE" || kind == "TIMESTAMP_S" || kind == "TIME" || kind == "FLOAT" || kind == "DOUBLE" {
				v = "'" + v + "'"
			}
			a.Add.Default = &v
		}
		w.columns = append(w.columns, n)
	default:
		w.names++
		to := fmt.Sprint("n", w.names)
		a.RenameColumn = &supertable.RenameColumn{From: c.name, To: to}
		c.name = to
	}
	w.both(fmt.Sprintf("alter %+v %+v", a, a.Add), func(s *supertable.Session) (any, error) {
		_, err := s.Alter(w.t.Context(), "t", a)
		if err != nil {
			w.t.Fatal(err)
		}
		return nil, err
	})
}

// rollback goes back to an earlier snapshot at which the columns were the same.
func (w *twins) rollback() {
	w.t.Helper()
	history, err := w.with.s.History(w.t.Context(), "t")
	if err != nil {
		w.t.Fatal(err)
	}
	n := 0
	for _, h := range history {
		if h.Operation == "alter" || h.Operation == "create" || h.Operation == "drop" || h.Operation == "rename" {
			break
		}
		n++
	}
	if n < 2 {
		return
	}
	to := history[w.r.IntN(n)].Snapshot
	w.both("rollback", func(s *supertable.Session) (any, error) {
		_, err := s.Rollback(w.t.Context(), "t", to, nil)
		return nil, err
	})
}

func (w *twins) reopen() {
	w.t.Helper()
	if err := w.with.lake.Close(); err != nil {
		w.t.Fatal(err)
	}
	w.with.open()
}

// damage does something to the filters, while they are open or not.
func (w *twins) damage() {
	path := keysPath(w.with.home, "main")
	closed := w.r.IntN(2) == 0
	if closed {
		_ = w.with.lake.Close()
		defer w.with.open()
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return
	}
	switch w.r.IntN(4) {
	case 0:
		_ = os.RemoveAll(filepath.Dir(path))
	case 1:
		_ = os.Truncate(path, int64(w.r.IntN(len(b)+1)))
	case 2:
		_ = os.Truncate(path, 0)
	case 3:
		for n := 1 + w.r.IntN(20); n > 0 && len(b) > 0; n-- {
			b[w.r.IntN(len(b))] ^= 1 << w.r.IntN(8)
		}
		_ = os.WriteFile(path, b, 0o666)
	}
}

// ask looks for one key, or what is nearly one, in both.
func (w *twins) ask(key []string, between string) {
	w.t.Helper()
	var conds []string
	for _, name := range key {
		c := w.columns[slices.IndexFunc(w.columns, func(c keyColumn) bool { return c.name == name })]
		lit := func() string {
			v := w.value(c.kind)
			switch {
			case v == "":
				return "NULL"
			case c.kind == "BOOLEAN":
				return v
			case strings.HasSuffix(c.typ, "INT") || strings.HasPrefix(c.typ, "DEC") || c.typ == "INTEGER":
				return v
			}
			return "'" + v + "'" + []string{"", "::" + c.typ}[w.r.IntN(2)]
		}
		cond := c.name + " = " + lit()
		if w.r.IntN(3) == 0 {
			cond = c.name + " IN (" + lit() + ", " + lit() + ")"
		}
		conds = append(conds, cond)
	}
	sql := "SELECT * FROM t WHERE " + strings.Join(conds, between)
	got, report, err := answer(w.t.Context(), w.with.s, sql, nil)
	want, report2, err2 := answer(w.t.Context(), w.without.s, sql, nil)
	if got != want || fmt.Sprint(err) != fmt.Sprint(err2) {
		w.t.Fatalf("%s\nwith filters: %s %v\nwithout: %s %v", sql, got, err, want, err2)
	}
	w.read[0], w.read[1] = w.read[0]+report.FilesRead, w.read[1]+report2.FilesRead
}

// askAll asks for many keys right after a write that makes their filters, when
// some of them must help, whatever the history before was.
func (w *twins) askAll() {
	w.t.Helper()
	for range 3 {
		key := w.key()
		w.append()
		w.write(w.rows(1), supertable.WriteOptions{Key: key})
		for range 10 {
			w.ask(key, " AND ")
		}
	}
}

// compare holds the rows of both against each other.
func (w *twins) compare() {
	w.t.Helper()
	got, want := testdb.Query(w.t, w.with.s, "SELECT * FROM t", nil), testdb.Query(w.t, w.without.s, "SELECT * FROM t", nil)
	if got != want {
		w.t.Fatalf("with filters:\n%s\nwithout:\n%s", got, want)
	}
}

// TestFiltersLeaveTheSameRows runs random histories on a lake with key filters
// and on one without: every result and every row is the same, whatever happens
// to the filters meanwhile.
func TestFiltersLeaveTheSameRows(t *testing.T) {
	rnd := random(t)
	rounds, steps := 8, 90
	if testing.Short() {
		rounds, steps = 3, 50
	}
	var read [2]int64
	for round := range rounds {
		w := &twins{t: t, r: rnd, with: &twin{t: t, home: t.TempDir()}, without: &twin{t: t, home: t.TempDir()}, outcomes: map[string]int{}}
		w.with.open()
		withoutFilters(t, w.without.home, "main")
		w.without.open()
		w.start()
		for range steps {
			w.step()
		}
		w.askAll()
		w.with.end()
		w.without.end()
		read[0], read[1] = read[0]+w.read[0], read[1]+w.read[1]
		t.Logf("round %d, keys %+v: %v", round, w.columns, w.outcomes)
		if w.outcomes["true"] < steps/3 {
			t.Errorf("only %v went well", w.outcomes)
		}
	}
	t.Logf("point queries read %d files, %d without filters", read[0], read[1])
	if read[0] >= read[1] {
		t.Error("no point query was helped by a filter")
	}
}

// uuids is an input of rows with random keys; the numbers tell them.
func uuids(r *rand.Rand, n, from int) (csv string, keys []string) {
	var b strings.Builder
	b.WriteString("uid,v\n")
	for i := range n {
		key := fmt.Sprintf("%08x-%04x-4000-8000-%012x", r.Uint32(), r.Uint32()&0xffff, r.Uint64()>>16)
		keys = append(keys, key)
		fmt.Fprintf(&b, "%s,%d\n", key, from+i)
	}
	return b.String(), keys
}

func writeUUIDs(t *testing.T, s *supertable.Session, csv string, key ...string) supertable.WriteResult {
	t.Helper()
	res, err := s.WriteFrom(t.Context(), "t", strings.NewReader(csv), &supertable.WriteOptions{Key: key, Format: "csv", Columns: []supertable.Column{{Name: "uid", Type: "UUID"}, {Name: "v", Type: "BIGINT"}}})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// dataFiles lists the data files of the table t, the oldest first.
func dataFiles(t *testing.T, home string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(home, "default", "main", "data", "main", "t", "ducklake-*.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(list) // names are in the order of creation
	return list
}

// TestUpsertOpensFilesThatMayHold takes data files away that do not hold the
// key of an upsert, a delete and a query: with filters nobody misses them.
func TestUpsertOpensFilesThatMayHold(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 2)) // of which no filter is wrong about the keys below
	db := testdb.Open(t)
	s := db.Session("main")
	var keys [][]string
	for f := range 12 {
		csv, k := uuids(r, 500, f*500)
		writeUUIDs(t, s, csv)
		keys = append(keys, k)
	}
	row := func(key string, v int) string { return fmt.Sprintf("uid,v\n%s,%d\n", key, v) }
	for range 2 { // the first notes the key, the second makes the filters
		if res := writeUUIDs(t, s, row(keys[0][7], -1), "uid"); res.Deleted != 1 {
			t.Fatalf("%+v", res)
		}
		if _, err := os.Stat(keysPath(db.Home, "main")); err != nil {
			t.Fatalf("the upsert noted no key: %v", err)
		}
	}
	files := dataFiles(t, db.Home)
	away := files[6:12] // without the one of the upsert
	for _, f := range away {
		if err := os.Rename(f, f+".away"); err != nil {
			t.Fatal(err)
		}
	}
	if res := writeUUIDs(t, s, row(keys[2][9], -2), "uid"); res.Deleted != 1 {
		t.Errorf("%+v", res)
	}
	// What the upserts wrote is filtered too.
	if res := writeUUIDs(t, s, row(keys[0][7], -3), "uid"); res.Deleted != 1 {
		t.Errorf("%+v", res)
	}
	sql := fmt.Sprintf("SELECT v FROM t WHERE uid = '%s'", keys[2][9])
	got, report, err := answer(t.Context(), s, sql, nil)
	if err != nil || got != "v\n-2" || report.FilesRead > 4 || report.FilesTotal != 14 {
		t.Errorf("%q, %v, %d of %d files", got, err, report.FilesRead, report.FilesTotal)
	}
	if _, _, err := answer(t.Context(), s, fmt.Sprintf("SELECT v FROM t WHERE uid = '%s'", keys[7][0]), nil); err == nil {
		t.Error("a file that is away was read")
	}
	for _, f := range away {
		if err := os.Rename(f+".away", f); err != nil {
			t.Fatal(err)
		}
	}
	if n := testdb.Query(t, s, "SELECT count(*), count(DISTINCT uid), sum(CAST(v < 0 AS INT)) FROM t", nil); n != "6000|6000|2" {
		t.Errorf("rows, keys and new values: %s", n)
	}
}

// TestFiltersTellNothing holds that who does not see every row reads the same
// files whether there are filters or not.
func TestFiltersTellNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 2))
	db := testdb.Open(t)
	s := db.Session("main")
	var keys [][]string
	for f := range 6 {
		csv, k := uuids(r, 200, f*200)
		writeUUIDs(t, s, csv)
		keys = append(keys, k)
	}
	for range 2 { // the second makes the filters
		writeUUIDs(t, s, fmt.Sprintf("uid,v\n%s,%d\n", keys[0][7], -1), "uid")
	}
	away := dataFiles(t, db.Home)[3]
	if err := os.Rename(away, away+".away"); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := os.Rename(away+".away", away); err != nil {
			t.Error(err)
		}
	}()
	if _, err := s.CreateRole(t.Context(), []byte(`{"name": "some", "role": "reader", "tables": ["t"], "filters": {"v": {"operation": ">=", "type": "value", "value": 0}}}`)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.CreateUser(t.Context(), "some", []string{"some"}, nil); err != nil {
		t.Fatal(err)
	}
	st, err := db.SuperTable(t.Context(), "default", "main")
	if err != nil {
		t.Fatal(err)
	}
	some, err := st.Session(t.Context(), "some")
	if err != nil {
		t.Fatal(err)
	}
	sql := fmt.Sprintf("SELECT v FROM t WHERE uid = '%s'", keys[1][9])
	if _, _, err := answer(t.Context(), s, sql, nil); err != nil {
		t.Errorf("who sees all: %v", err)
	}
	if _, _, err := answer(t.Context(), some, sql, nil); err == nil {
		t.Error("who sees some rows was spared a file by its filter")
	}
}

// TestEqualKeysHashAlike holds what key filters stand on: values that the
// engine takes as equal have one hash, in whatever form of vector they come.
func TestEqualKeysHashAlike(t *testing.T) {
	db, err := duckdb.Open(engine.Options{MemoryBytes: 256 << 20, Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	values := map[string][]string{
		"BOOLEAN": {"true", "false"}, "TINYINT": {"0", "-1", "127", "-128"}, "SMALLINT": {"0", "-1", "32767"}, "INTEGER": {"0", "-1", "2147483647"}, "BIGINT": {"0", "-1", "9223372036854775807"},
		"UTINYINT": {"0", "255"}, "USMALLINT": {"0", "65535"}, "UINTEGER": {"0", "4294967295"}, "UBIGINT": {"0", "18446744073709551615"},
		"FLOAT": {"0.0", "-0.0", "nan", "-nan", "inf", "1.5"}, "DOUBLE": {"0.0", "-0.0", "nan", "-nan", "-inf", "0.1"},
		"DECIMAL(4,1)": {"0", "-0.0", "1.5", "-999.9"}, "DECIMAL(9,2)": {"0", "1.50"}, "DECIMAL(18,4)": {"0", "-1.5"}, "DECIMAL(38,6)": {"0", "1.5", "-99999999999999999999.5"},
		"VARCHAR": {"", "a", "twelve bytes", "thirteen byte", strings.Repeat("long ", 99), "日本"}, "BLOB": {"", "a", `\x00\x01`, strings.Repeat("b", 30)},
		"UUID": {"00000000-0000-0000-0000-000000000000", "ffffffff-ffff-4fff-bfff-ffffffffffff"}, "DATE": {"1970-01-01", "0001-01-01"}, "TIME": {"00:00:00", "23:59:59.999999"},
		"TIMESTAMP": {"1970-01-01", "2024-02-29 12:00:00.000001"}, "TIMESTAMP_S": {"1970-01-01", "2024-02-29 12:00:00"}, "TIMESTAMP_MS": {"2024-02-29 12:00:00.001"}, "TIMESTAMP_NS": {"2024-02-29 12:00:00.000000001"}, "TIMESTAMP WITH TIME ZONE": {"2024-02-29 12:00:00+00"},
	}
	dir := t.TempDir()
	for typ, list := range values {
		var rows []string
		for i, v := range append(list, "") {
			text := "'" + v + "'"
			if i == len(list) {
				text = "NULL"
			}
			rows = append(rows, fmt.Sprintf("SELECT %d AS i, CAST(%s AS %s) AS k", i, text, typ))
		}
		setup := []string{
			"CREATE OR REPLACE TABLE flat AS " + strings.Join(rows, " UNION ALL "),
			fmt.Sprintf("COPY (SELECT flat.* FROM flat, range(3000)) TO '%s/dictionary.parquet'", dir),
			fmt.Sprintf("COPY (SELECT * FROM flat) TO '%s/plain.parquet'", dir),
			fmt.Sprintf("COPY (SELECT * FROM flat) TO '%s/flat.parquet' (FIELD_IDS {i: 1, k: 2})", dir),
		}
		for _, sql := range setup {
			if err := conn.Exec(t.Context(), sql); err != nil {
				t.Fatalf("%s: %v", sql, err)
			}
		}
		forms := []string{
			"SELECT i, k, hash(k), hash(k, k), hash(7::BIGINT, k) FROM flat",
			fmt.Sprintf("SELECT DISTINCT i, k, hash(k), hash(k, k), hash(7::BIGINT, k) FROM (SELECT i, CAST(k AS %s) AS k FROM '%s/dictionary.parquet')", typ, dir),
			fmt.Sprintf("SELECT i, k, hash(k), hash(k, k), hash((SELECT 7::BIGINT), k) FROM (SELECT i, CAST(k AS %s) AS k FROM '%s/plain.parquet')", typ, dir),
			fmt.Sprintf("SELECT i, k, hash(k), hash(k, k), hash(7::BIGINT, k) FROM read_parquet('%s/flat.parquet', schema=MAP {1: {name: 'i', type: 'INTEGER', default_value: NULL}, 2: {name: 'k', type: '%s', default_value: NULL}})", dir, typ),
			"SELECT i, k, hash(k), hash(k, k), hash(7::BIGINT, k) FROM (SELECT * FROM flat WHERE i % 2 = 0 UNION ALL SELECT * FROM flat WHERE i % 2 = 1 ORDER BY i DESC)",
		}
		for _, row := range rows { // constants
			forms = append(forms, "SELECT i, k, hash(k), hash(k, k), hash(7::BIGINT, k) FROM ("+row+")")
		}
		for i, v := range list {
			forms = append(forms, fmt.Sprintf("SELECT %d, CAST('%s' AS %s), hash(CAST('%s' AS %s)), hash(CAST('%s' AS %s), CAST('%s' AS %s)), hash(7::BIGINT, CAST('%s' AS %s))", i, v, typ, v, typ, v, typ, v, typ, v, typ))
		}
		all := "(" + strings.Join(forms, ") UNION ALL (") + ")"
		check(t, conn, typ, all)
	}
}

// check compares all pairs of values by equality and by hashes.
func check(t *testing.T, conn engine.Conn, typ, all string) {
	t.Helper()
	if err := conn.Exec(t.Context(), "CREATE OR REPLACE TABLE hashed AS SELECT * FROM ("+all+") x(i, k, h1, h2, h3)"); err != nil {
		t.Fatalf("%s: %v", typ, err)
	}
	for what, sql := range map[string]string{
		"equal values with other hashes": "SELECT count(*) FROM hashed a JOIN hashed b ON a.k IS NOT DISTINCT FROM b.k WHERE a.h1 <> b.h1 OR a.h2 <> b.h2 OR a.h3 <> b.h3",
		"other values with equal hashes": "SELECT count(*) FROM hashed a JOIN hashed b ON a.k IS DISTINCT FROM b.k WHERE a.h1 = b.h1 OR a.h3 = b.h3",
	} {
		rows, err := engine.Collect(context.Background(), conn, sql, nil)
		if err != nil || fmt.Sprint(rows[0][0]) != "0" {
			t.Errorf("%s: %v %s, %v", typ, rows, what, err)
		}
	}
}

// TestFiltersOfAnotherHistory puts a SuperTable back to an earlier state and
// leaves it the filters of the later one: other files come under the same ids,
// then the table under the same name, and no key is ever there twice.
func TestFiltersOfAnotherHistory(t *testing.T) {
	r := random(t)
	home := t.TempDir()
	w := &twin{t: t, home: home}
	super := filepath.Join(home, "default", "main")
	grow := func(keys []string, from int) []string {
		t.Helper()
		for f := range 5 {
			csv, k := uuids(r, 100, from+f*100)
			writeUUIDs(t, w.s, csv)
			keys = append(keys, k...)
		}
		for range 3 {
			key := keys[r.IntN(len(keys))]
			if res := writeUUIDs(t, w.s, fmt.Sprintf("uid,v\n%s,%d\n", key, -from), "uid"); res.Deleted != 1 {
				t.Fatalf("an upsert of %s replaced %d rows", key, res.Deleted)
			}
		}
		if got, want := testdb.Query(t, w.s, "SELECT count(*), count(DISTINCT uid) FROM t", nil), fmt.Sprintf("%d|%[1]d", len(keys)); got != want {
			t.Fatalf("rows and keys %s, want %s", got, want)
		}
		return keys
	}
	closed := func(do func()) {
		t.Helper()
		if err := w.lake.Close(); err != nil {
			t.Fatal(err)
		}
		do()
		w.open()
	}
	w.open()
	early := grow(nil, 1000)
	backup := filepath.Join(t.TempDir(), "backup")
	closed(func() {
		if err := os.CopyFS(backup, os.DirFS(super)); err != nil {
			t.Fatal(err)
		}
	})
	for range 3 {
		grow(slices.Clone(early), 2000)
		closed(func() {
			keep, err := os.ReadFile(keysPath(home, "main"))
			if err == nil {
				err = os.RemoveAll(super)
			}
			if err == nil {
				err = os.CopyFS(super, os.DirFS(backup))
			}
			if err == nil {
				err = os.WriteFile(keysPath(home, "main"), keep, 0o666)
			}
			if err != nil {
				t.Fatal(err)
			}
		})
	}
	for range 2 {
		if _, err := w.s.DropTable(t.Context(), "t"); err != nil {
			t.Fatal(err)
		}
		grow(nil, 3000)
	}
	w.end()
}
