package interop

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// seen is what another client read of a table at a snapshot.
type seen struct {
	At      int64
	Table   string
	Rows    int
	Changes int // -1 where the client was not asked
}

// clientsDir is the folder in which `make interop` installs the other clients; a
// plain `go test` has none.
func clientsDir(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("ST_CLIENTS")
	if dir == "" {
		t.Skip("ST_CLIENTS names no folder with other clients: run `make interop`")
	}
	return dir
}

// runClient runs a program of testdata/clients and reads the JSON that it prints.
func runClient(t *testing.T, got any, argv ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...) //nolint:gosec // the tests' own programs
	cmd.Dir, cmd.Stderr = filepath.Join("testdata", "clients"), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// TestOtherClients lets programs that nobody here wrote read a lake of ours: a
// smoke test each. ST_CLIENTS is the folder in which `make interop` installs
// them.
func TestOtherClients(t *testing.T) {
	t.Parallel()
	dir := clientsDir(t)
	ext, err := extensions()
	if err != nil {
		t.Fatal(err)
	}
	full, plain := clientsLake(t, false), clientsLake(t, true)
	python, modules := filepath.Join(dir, "bin", "python"), filepath.Join(dir, "node_modules")
	for _, c := range []struct {
		name, needs string
		lake        *lake
		argv        []string
	}{
		{"duckdb_python.py", python, full, []string{python, "duckdb_python.py", full.catalog(), ext}},
		{"duckdb_node.mjs", modules, full, []string{"node", "duckdb_node.mjs", full.catalog(), ext, modules}},
		{"ducklake_dataframe.py", python, plain, []string{python, "ducklake_dataframe.py", plain.catalog()}}, // docs/format.md tells what it does not read
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := os.Stat(c.needs); err != nil {
				t.Skipf("not installed: %v", err)
			}
			want := c.lake.seen()
			var got struct {
				Client string
				Seen   []seen
			}
			runClient(t, &got, c.argv...)
			recordClient(t, got.Client, fmt.Sprintf("equal at %d snapshots", len(c.lake.snapshots())))
			compareSeen(t, got.Seen, want)
		})
	}
}

// clientsLake is a lake with every kind of commit; flat has all deletes in
// delete files and no nested columns.
func clientsLake(t *testing.T, flat bool) *lake {
	l := newLake(t)
	if flat {
		l.option("", "inline_delete_limit", "0")
		l.write("orders", orders(0, 100), key("id"))
		l.write("orders", orders(50, 100), key("id"))
		l.write("plain", "SELECT 1 AS id, 'a' AS s", nil)
		l.alter("plain", add("d", "INTEGER", new("5")))
		l.write("plain", "SELECT 3 AS id, 'c' AS s, 6 AS d", nil)
	} else {
		sample(l)
	}
	l.rollback("orders", 2)
	l.drop("plain")
	l.undrop("plain")
	l.alter("plain", renameColumn("s", "text"))
	l.write("orders", orders(0, 5), remove("id"))
	return l
}

func compareSeen(t *testing.T, got, want []seen) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d tables at all snapshots, want %d", len(got), len(want))
	}
	for _, w := range want {
		i := slices.IndexFunc(got, func(g seen) bool { return g.At == w.At && g.Table == w.Table })
		switch {
		case i < 0:
			t.Errorf("%s at %d was not seen", w.Table, w.At)
		case got[i].Rows != w.Rows || got[i].Changes >= 0 && got[i].Changes != w.Changes:
			t.Errorf("%+v, want %+v", got[i], w)
		}
	}
}

// seen is what we and DuckDB beside us read: the counts at every snapshot.
func (l *lake) seen() []seen {
	l.t.Helper()
	l.compareAll()
	var out []seen
	for _, at := range l.snapshots() {
		for name, rows := range l.then(at) {
			changes := l.duck.rows(fmt.Sprintf("SELECT count(*) FROM ducklake_table_changes('lake', 'main', '%s', %d, %d)", name, at, at))
			var n int
			if _, err := fmt.Sscan(strings.Trim(changes[0], `"`), &n); err != nil {
				l.t.Fatal(err)
			}
			out = append(out, seen{at, name, len(rows), n})
		}
	}
	return out
}

// TestOtherParquetReaders lets readers that know nothing of lakes read the data
// files of ours, value by value: those of whole numbers that lie so far apart
// that DuckDB's deltas would be its own alone too (datafile.Portable).
func TestOtherParquetReaders(t *testing.T) {
	t.Parallel()
	dir := clientsDir(t)
	l := newLake(t)
	const kinds = `i::BIGINT AS id, (i % 7)::TINYINT AS t, (i * 3 % 20000)::SMALLINT AS s, (i * 17)::UBIGINT AS u, (i * 1.25)::DECIMAL(9,2) AS d9, (i * 99991.5)::DECIMAL(18,4) AS d18,
 (i / 7)::DOUBLE AS f, (i / 3)::FLOAT AS g, 'text ' || i AS x, DATE '0001-01-01' + (i * 365)::INTEGER AS day, TIMESTAMP '2026-01-01' + to_seconds(i) AS at, [i, i + 1, NULL] AS list,
 CASE WHEN i % 3 = 0 THEN NULL ELSE {'a': i, 'b': 'y' || i} END AS st FROM range(5000) r(i)`
	sparse := func(typ, low, high string) string {
		return fmt.Sprintf("SELECT i::BIGINT AS id, (CASE WHEN i %% 2 = 0 THEN %[2]s + i ELSE %[3]s - i END)::%[1]s AS v, [(CASE WHEN i %% 3 = 0 THEN %[2]s ELSE %[3]s - i END)::%[1]s] AS list FROM range(5000) r(i)", typ, low, high)
	}
	for table, query := range map[string]string{
		"kinds": "SELECT (i * 5)::INTEGER AS n, " + kinds, "near": sparse("INTEGER", "-1073741824", "1073741823"), "far": sparse("INTEGER", "-2147483648", "2147483647"),
		"high": sparse("UINTEGER", "0", "4294967295"), "long": sparse("BIGINT", "-9223372036854775808", "9223372036854775807"),
	} {
		l.write(table, query, nil)
		l.write(table, query, nil)
		l.write(table, "SELECT i::BIGINT AS id FROM range(0, 5000, 3) r(i)", remove("id"))
		l.compact(table)
	}
	var got struct {
		Files []struct {
			Table     string
			Rows      int
			Encodings []string
		}
		Different []string
	}
	runClient(t, &got, filepath.Join(dir, "bin", "python"), "parquet_readers.py", filepath.Join(folder(l.home.Home), "data"))
	for _, d := range got.Different {
		t.Error(d)
	}
	deltas := map[string]bool{}
	for _, f := range got.Files {
		deltas[f.Table] = deltas[f.Table] || slices.Contains(f.Encodings, "DELTA_BINARY_PACKED")
	}
	if want := map[string]bool{"kinds": true, "near": true, "far": false, "high": false, "long": true}; !maps.Equal(deltas, want) {
		t.Errorf("tables with deltas: %v, want %v", deltas, want)
	}
	l.compareAll()
}
