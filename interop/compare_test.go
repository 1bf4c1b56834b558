package interop

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/engine"
)

// compareAll compares both readers at every snapshot and what changed between
// one and the next, then at the head.
func (l *lake) compareAll() {
	l.t.Helper()
	l.compareSince(0)
}

// compareSince is compareAll for the snapshots from first on.
func (l *lake) compareSince(first int64) {
	l.t.Helper()
	var before *picture
	for _, at := range l.snapshots() {
		if at < first {
			continue
		}
		now := l.compareAt(at, before)
		if before != nil && before.at == at-1 && !l.noFeed {
			l.compareChanges(before, now)
		}
		before = now
	}
	l.compareHeadSince(first)
}

// snapshots lists the lake's snapshot ids, ascending.
func (l *lake) snapshots() []int64 {
	l.t.Helper()
	var out []int64
	for _, s := range l.duck.rows("SELECT snapshot_id, changes FROM ducklake_snapshots('lake')") {
		id, _, _ := strings.Cut(s, "|")
		n, err := strconv.ParseInt(id, 10, 64)
		if err != nil {
			l.t.Fatal(err)
		}
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

// picture is a lake at one snapshot as both readers agreed on it.
type picture struct {
	at     int64
	tables map[string]pictured
}

type pictured struct {
	id      string
	columns []column
	rows    []string
}

// compareAt compares tables, columns and rows at one snapshot: against the
// attached client, which reads the past with AT, and against one that is
// attached to that snapshot.
//
// In the short form a table that the snapshot does not name is taken to be as
// it was in before.
func (l *lake) compareAt(at int64, before *picture) *picture {
	l.t.Helper()
	names := l.rows("SELECT table_name FROM information_schema.tables", at)
	var old *duck
	if !l.brief || at%3 == 1 || at == 0 { // it costs more than all the rest
		if l.aside == nil {
			l.aside = connect(l.t, l.duck.judge)
		}
		old = l.aside
		old.attach(l.catalog(), fmt.Sprintf("READ_ONLY, SNAPSHOT_VERSION %d", at))
		defer old.detach()
		want := old.rows("SELECT table_name FROM duckdb_tables() WHERE database_name = 'lake' AND schema_name = 'main'")
		equal(l.t, fmt.Sprintf("tables at %d", at), names, want)
	}
	p := &picture{at: at, tables: map[string]pictured{}}
	for _, n := range names {
		name, _ := strconv.Unquote(n)
		if l.brief && before != nil && before.at == at-1 {
			if b, ok := before.tables[name]; ok && b.id == l.tableID(name, at) && !l.touches(at, b.id) {
				p.tables[name] = b
				continue
			}
		}
		p.tables[name] = l.compareTable(old, name, at)
	}
	l.note(at)
	return p
}

// compareTable compares one table; old is the client that is attached to the
// snapshot, or nil.
func (l *lake) compareTable(old *duck, name string, at int64) pictured {
	l.t.Helper()
	return l.compareColumns(old, name, at, l.describe(name, at))
}

// compareColumns is compareTable for columns that we gave already.
func (l *lake) compareColumns(old *duck, name string, at int64, cols []column) pictured {
	l.t.Helper()
	what := fmt.Sprintf("%s at %d", name, at)
	query := "SELECT " + texts(cols) + " FROM "
	rows := l.rows(query+datafile.Quote(name), at)
	clause := fmt.Sprintf(" AT (VERSION => %d)", at)
	equal(l.t, "columns of "+what, cols, l.duck.describe(name, clause))
	equal(l.t, "rows of "+what, rows, l.duck.rows(query+"lake."+datafile.Quote(name)+clause))
	p := pictured{l.tableID(name, at), cols, rows}
	if old == nil {
		return p
	}
	equal(l.t, "columns of "+what+" (attached there)", cols, old.describe(name, ""))
	there, err := old.tryRows(query + "lake." + datafile.Quote(name))
	switch {
	case err == nil:
		equal(l.t, "rows of "+what+" (attached there)", rows, there)
	case !l.widened || !strings.Contains(err.Error(), "Failed to cast value"):
		l.t.Fatalf("DuckDB: rows of %s (attached there): %v", what, err)
	}
	return p
}

func (l *lake) tableID(name string, at int64) string {
	l.t.Helper()
	return strings.Join(meta(l.t, l.catalog(), `SELECT t.table_id FROM ducklake_table t JOIN ducklake_schema s ON s.schema_id = t.schema_id AND s.schema_name = 'main'
 WHERE t.table_name = ?1 AND t.begin_snapshot <= ?2 AND (t.end_snapshot IS NULL OR ?2 < t.end_snapshot)`, name, at), ",")
}

// compareHead compares what the attached client shows without a snapshot: its
// caches must have noticed every commit of ours.
func (l *lake) compareHead() {
	l.t.Helper()
	l.compareHeadSince(0)
}

// compareHeadSince is compareHead; in the short form it asks only about tables
// that a snapshot from first on names.
func (l *lake) compareHeadSince(first int64) {
	l.t.Helper()
	names := l.rows("SELECT table_name FROM information_schema.tables", head)
	equal(l.t, "tables", names, l.duck.rows("SELECT table_name FROM duckdb_tables() WHERE database_name = 'lake' AND schema_name = 'main'"))
	for _, n := range names {
		name, _ := strconv.Unquote(n)
		cols := l.describe(name, head)
		equal(l.t, "columns of "+name, cols, l.duck.describe(name, ""))
		query := "SELECT " + texts(cols) + " FROM "
		equal(l.t, "rows of "+name, l.rows(query+datafile.Quote(name), head), l.duck.rows(query+"lake."+datafile.Quote(name)))
		if id := l.tableID(name, 1<<40); !l.brief || l.touchedSince(first, id) {
			l.compareAnswers(name, cols)
		}
	}
	l.compareInfo()
}

// compareAnswers asks both for what may be answered or pruned from statistics;
// the truth comes from a plain copy of the rows.
func (l *lake) compareAnswers(table string, cols []column) {
	l.t.Helper()
	q := datafile.Quote(table)
	l.duck.run("CREATE OR REPLACE TEMP TABLE truth AS SELECT * FROM lake." + q)
	asked := l.questions(cols)
	on := func(t string) string {
		parts := make([]string, len(asked))
		for i, a := range asked {
			parts[i] = fmt.Sprintf("SELECT %d AS question, %s", i, strings.ReplaceAll(a, "$t", t))
		}
		return strings.Join(parts, " UNION ALL ")
	}
	want := l.duck.rows(on("temp.truth"))
	widened, narrowed, id := l.widenedColumns(table), l.narrowedColumns(table), l.tableID(table, 1<<40)
	answers := map[string][]string{"ours": l.rows(on(q), head)}
	if !l.doubted {
		answers["DuckDB"] = l.duck.rows(on("lake." + q))
	}
	for who, got := range answers {
		for i := range want {
			n, _, _ := strings.Cut(want[i], "|")
			k, _ := strconv.Atoi(n)
			about := func(form string) func(string) bool {
				return func(c string) bool { return strings.Contains(asked[k], fmt.Sprintf(form, c)) }
			}
			known := slices.ContainsFunc(append(widened, narrowed...), about(" WHERE %s ")) || slices.ContainsFunc(narrowed, about("min(%s)")) || l.tooWide[id] && strings.Contains(asked[k], "min(")
			if got[i] != want[i] && (who != "DuckDB" || !known) {
				l.t.Errorf("%s on %s: %s: %s, want %s", who, table, asked[k], got[i], want[i])
			}
		}
	}
	l.duck.run("DROP TABLE temp.truth")
}

// widenedColumns are those of a random lake's table whose type was another once:
// DuckDB finds too few rows by them when some were inlined then (docs/format.md).
func (l *lake) widenedColumns(table string) []string {
	if !l.random {
		return nil
	}
	names := meta(l.t, l.catalog(), `SELECT c.column_name FROM ducklake_column c JOIN ducklake_table t ON t.table_id = c.table_id AND t.end_snapshot IS NULL AND t.table_name = ?
 WHERE c.end_snapshot IS NULL AND EXISTS (SELECT 1 FROM ducklake_column o WHERE o.table_id = c.table_id AND o.column_id = c.column_id AND o.column_type <> c.column_type)`, table)
	for i, n := range names {
		name, _ := strconv.Unquote(n)
		names[i] = datafile.Quote(name)
	}
	return names
}

// narrowedColumns are those whose bounds in the table do not hold the bounds of a
// live file: DuckDB's rewrite forgets them when a file has nothing but NULL, its
// next write sets them to its own, and it then finds too few rows by them
// (docs/format.md).
func (l *lake) narrowedColumns(table string) []string {
	l.t.Helper()
	rows, err := catalogOf(l.t, l.catalog()).QueryContext(l.t.Context(), `SELECT c.column_name, c.column_type, s.min_value, s.max_value, f.min_value, f.max_value
 FROM ducklake_table t JOIN ducklake_column c ON c.table_id = t.table_id AND c.end_snapshot IS NULL AND c.parent_column IS NULL
 JOIN ducklake_table_column_stats s ON s.table_id = t.table_id AND s.column_id = c.column_id
 JOIN ducklake_data_file d ON d.table_id = t.table_id AND d.end_snapshot IS NULL JOIN ducklake_file_column_stats f ON f.data_file_id = d.data_file_id AND f.column_id = c.column_id
 WHERE t.table_name = ? AND t.end_snapshot IS NULL AND s.min_value IS NOT NULL AND s.max_value IS NOT NULL AND f.min_value IS NOT NULL AND f.max_value IS NOT NULL`, table)
	if err != nil {
		l.t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		var name, typ string
		var texts [4]string
		if err := rows.Scan(&name, &typ, &texts[0], &texts[1], &texts[2], &texts[3]); err != nil {
			l.t.Fatal(err)
		}
		t, err := datafile.ParseLake(typ)
		if err != nil {
			l.t.Fatal(err)
		}
		var bounds [4]datafile.Bound
		known := true
		for i, text := range texts {
			b, ok := datafile.ParseBound(t, text)
			bounds[i], known = b, known && ok
		}
		if !known {
			continue
		}
		low, ok1 := bounds[2].Compare(bounds[0])
		high, ok2 := bounds[3].Compare(bounds[1])
		if ok1 && low < 0 || ok2 && high > 0 {
			out = append(out, datafile.Quote(name))
		}
	}
	if err := rows.Err(); err != nil {
		l.t.Fatal(err)
	}
	return out
}

// questions are selects of one text about the columns of $t.
func (l *lake) questions(cols []column) []string {
	l.t.Helper()
	const count = "CAST(count(*) AS VARCHAR) FROM $t"
	out := []string{count}
	all := []string{"CAST(count(*) AS VARCHAR)"}
	var bounds []string
	for _, c := range cols {
		n := datafile.Quote(c.name)
		out = append(out, count+" WHERE "+n+" IS NULL")
		all = append(all, "CAST(count("+n+") AS VARCHAR)")
		if nested(c.typ) {
			bounds = append(bounds, "NULL::VARCHAR", "NULL::VARCHAR")
			continue
		}
		ends := []string{"CAST(min(" + n + ") AS VARCHAR)", "CAST(max(" + n + ") AS VARCHAR)"}
		out = append(out, "CAST(["+strings.Join(ends, ", ")+", CAST(count(*) AS VARCHAR)] AS VARCHAR) FROM $t") // what statistics alone may answer
		bounds = append(bounds, ends...)
	}
	out = append(out, "CAST(["+strings.Join(append(all, bounds...), ", ")+"] AS VARCHAR) FROM $t")
	values, err := engine.Collect(l.t.Context(), l.duck.conn, "SELECT "+strings.Join(bounds, ", ")+" FROM temp.truth", nil)
	if err != nil {
		l.t.Fatal(err)
	}
	for i, v := range values[0] {
		c := cols[i/2]
		text, ok := v.(string)
		if !ok || strings.ContainsRune(text, 0) || c.typ == "BLOB" { // no row has a value, or none that SQL text holds
			continue
		}
		ops := []string{"=", [2]string{">", "<"}[i%2]}
		if !l.thorough {
			ops = ops[i%2 : i%2+1]
		}
		for _, op := range ops {
			out = append(out, fmt.Sprintf("%s WHERE %s %s CAST(%s AS %s)", count, datafile.Quote(c.name), op, datafile.QuoteText(text), c.typ))
		}
	}
	return out
}

// nested reports whether a type as spell gives it has parts.
func nested(typ string) bool {
	return strings.HasSuffix(typ, "]") || strings.HasPrefix(typ, "STRUCT") || strings.HasPrefix(typ, "MAP")
}

// compareInfo compares ducklake_table_info with our listing and the catalog.
func (l *lake) compareInfo() {
	l.t.Helper()
	list, err := l.s.Tables(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	want := []string{}
	for _, i := range list {
		deletes := meta(l.t, l.catalog(), `SELECT count(*), coalesce(sum(d.file_size_bytes), 0) FROM ducklake_delete_file d JOIN ducklake_table t ON t.table_id = d.table_id
 WHERE t.table_name = ? AND t.end_snapshot IS NULL AND d.end_snapshot IS NULL`, i.Name)
		want = append(want, fmt.Sprintf("%q|%d|%d|%s", i.Name, i.Files, i.Bytes, deletes[0]))
	}
	slices.Sort(want)
	equal(l.t, "table info", l.duck.rows("SELECT table_name, file_count, file_size_bytes, delete_file_count, delete_file_size_bytes FROM ducklake_table_info('lake')"), want)
}

// compareChanges compares the change feed of one snapshot with the difference
// of the rows before and after it. Tables whose columns changed have none.
func (l *lake) compareChanges(before, now *picture) {
	l.t.Helper()
	for name, n := range now.tables {
		var b pictured
		for _, x := range before.tables { // by id: the table may have had another name
			if x.id == n.id {
				b = x
			}
		}
		if b.id != "" && !slices.Equal(b.columns, n.columns) {
			continue
		}
		if slices.Equal(b.rows, n.rows) && !l.touches(now.at, n.id) {
			continue
		}
		reported := l.reportsTwice(n.id, now.at)
		count := map[string]int{}
		for _, r := range n.rows {
			count[r]++
		}
		for _, r := range b.rows {
			count[r]--
		}
		query := fmt.Sprintf("SELECT change_type, %s FROM ducklake_table_changes('lake', 'main', %s, %d, %d)", texts(n.columns), datafile.QuoteText(name), now.at, now.at)
		for _, r := range l.duck.rows(query) {
			kind, row, _ := strings.Cut(r, "|")
			switch kind {
			case `"insert"`, `"update_postimage"`:
				count[row]--
			default:
				count[row]++
			}
		}
		for row, k := range count {
			if k != 0 && !(k > 0 && reported) {
				l.t.Errorf("changes of %s in snapshot %d: %+d × %s", name, now.at, -k, row)
				break
			}
		}
	}
}

// touches reports whether the snapshot says that it changed the table, or made it.
func (l *lake) touches(at int64, table string) bool {
	return len(meta(l.t, l.catalog(), `SELECT 1 FROM ducklake_snapshot_changes WHERE snapshot_id = ?1 AND changes_made || ',' LIKE '%:' || ?2 || ',%'
 UNION ALL SELECT 1 FROM ducklake_table WHERE begin_snapshot = ?1 AND table_id = ?2`, at, table)) > 0
}

// touchedSince is touches for any snapshot from first on.
func (l *lake) touchedSince(first int64, table string) bool {
	return len(meta(l.t, l.catalog(), `SELECT 1 FROM ducklake_snapshot_changes WHERE snapshot_id >= ?1 AND changes_made || ',' LIKE '%:' || ?2 || ',%'
 UNION ALL SELECT 1 FROM ducklake_table WHERE begin_snapshot >= ?1 AND table_id = ?2 LIMIT 1`, first, table)) > 0
}

// reportsTwice reports whether a file with dead rows in the catalog ended at
// that snapshot: DuckDB's feed then lists those rows as deleted once more. It
// never ends such files itself. So it does when it has made a second delete file
// for one that ended (docs/format.md).
func (l *lake) reportsTwice(table string, at int64) bool {
	if len(meta(l.t, l.catalog(), `SELECT 1 FROM ducklake_delete_file a JOIN ducklake_delete_file b ON b.data_file_id = a.data_file_id AND b.delete_file_id > a.delete_file_id
 WHERE a.table_id = ? AND (a.end_snapshot IS NULL OR b.begin_snapshot < a.end_snapshot) AND (b.end_snapshot IS NULL OR a.begin_snapshot < b.end_snapshot) LIMIT 1`, table)) > 0 {
		return true
	}
	name := "ducklake_inlined_delete_" + table
	if len(meta(l.t, l.catalog(), `SELECT 1 FROM sqlite_master WHERE name = ?`, name)) == 0 {
		return false
	}
	return len(meta(l.t, l.catalog(), `SELECT 1 FROM ducklake_data_file f JOIN `+name+` d ON d.file_id = f.data_file_id WHERE f.end_snapshot = ? AND d.begin_snapshot < ? LIMIT 1`, at, at)) > 0
}

// equal compares two lists and shows where they part.
func equal[T comparable](t testing.TB, what string, got, want []T) {
	t.Helper()
	if slices.Equal(got, want) {
		return
	}
	i := 0
	for i < len(got) && i < len(want) && got[i] == want[i] {
		i++
	}
	t.Fatalf("%s: %d against %d, from %d on:\n%v\nagainst\n%v", what, len(got), len(want), i, some(got[i:]), some(want[i:]))
}

func some[T any](list []T) []T { return list[:min(len(list), 5)] }

// name numbers a table.
func name(prefix string, i int) string { return fmt.Sprintf("%s%d", prefix, i) }
