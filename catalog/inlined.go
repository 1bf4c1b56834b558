package catalog

import (
	"context"
	"database/sql"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"

	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/internal/errs"
)

// InlinedTable holds rows of a table inside the catalog, all of one schema version.
type InlinedTable struct {
	name string
	// SchemaAt is the snapshot whose columns the rows have.
	SchemaAt int64
}

// InlinedRow is one version of a row that the catalog itself holds.
type InlinedRow struct {
	ID, Begin int64
	End       int64 // 0 while it lives
	Values    []any // nil, int64, float64, string or []byte, as SQLite has them
}

// InlinedTables lists where the catalog itself holds rows of table.
func (v *View) InlinedTables(ctx context.Context, table Table) ([]InlinedTable, error) {
	return recall(v.q, inlinedTablesOf(table.ID), func() ([]InlinedTable, error) { return v.inlinedTables(ctx, table) })
}

type (
	inlinedTablesOf int64
	inlinedTargetOf int64
	keyIndex        string
	inlinedSizeOf   string
)

func (v *View) inlinedTables(ctx context.Context, table Table) ([]InlinedTable, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT i.table_name, coalesce(
  (SELECT s.begin_snapshot FROM ducklake_schema_versions s WHERE s.table_id = i.table_id AND s.schema_version = i.schema_version),
  (SELECT max(s.begin_snapshot) FROM ducklake_schema_versions s WHERE s.table_id = i.table_id AND s.schema_version <= i.schema_version),
  (SELECT min(t.begin_snapshot) FROM ducklake_table t WHERE t.table_id = i.table_id))
 FROM ducklake_inlined_data_tables i WHERE i.table_id = ? ORDER BY i.schema_version`, table.ID)
	if err != nil {
		return nil, sqlError(ctx, err, "read the inlined tables")
	}
	defer func() { _ = rows.Close() }()
	var out []InlinedTable
	for rows.Next() {
		var t InlinedTable
		var at sql.NullInt64
		if err := rows.Scan(&t.name, &at); err != nil {
			return nil, sqlError(ctx, err, "read the inlined tables")
		}
		t.SchemaAt = at.Int64
		out = append(out, t)
	}
	return out, sqlError(ctx, rows.Err(), "read the inlined tables")
}

// LiveInlined gives the rows that t holds at snapshot at, by row id, with the
// values of the named columns.
func (v *View) LiveInlined(ctx context.Context, t InlinedTable, at int64, columns []string) ([]InlinedRow, error) {
	return v.inlinedRows(ctx, t, columns, ` WHERE begin_snapshot <= ?1 AND (end_snapshot IS NULL OR ?1 < end_snapshot) ORDER BY row_id`, at)
}

// MatchInlined gives the ids of the rows that live in t at the head and hold
// one of the keys, value by value as the catalog keeps them; nil is NULL.
func (v *View) MatchInlined(ctx context.Context, t InlinedTable, columns []string, keys [][]any) ([]int64, error) {
	conds := make([]string, len(columns))
	for i, c := range columns {
		conds[i] = quoteName(c) + " IS ?"
	}
	query := `SELECT row_id FROM ` + quoteName(t.name) + ` WHERE end_snapshot IS NULL AND ` + strings.Join(conds, " AND ")
	var out []int64
	for _, k := range keys {
		ids, err := v.ids(ctx, query, k...)
		if err != nil {
			return nil, err
		}
		out = append(out, ids...)
	}
	return out, nil
}

// inlinedRows reads versions of rows.
func (v *View) inlinedRows(ctx context.Context, t InlinedTable, columns []string, rest string, args ...any) ([]InlinedRow, error) {
	names := []string{"row_id", "begin_snapshot", "coalesce(end_snapshot, 0)"}
	for _, c := range columns {
		names = append(names, quoteName(c))
	}
	rows, err := v.q.QueryContext(ctx, `SELECT `+strings.Join(names, ", ")+` FROM `+quoteName(t.name)+rest, args...)
	if err != nil {
		return nil, sqlError(ctx, err, "read inlined rows")
	}
	defer func() { _ = rows.Close() }()
	var out []InlinedRow
	ptr := make([]any, 3+len(columns))
	for rows.Next() {
		r := InlinedRow{Values: make([]any, len(columns))}
		ptr[0], ptr[1], ptr[2] = &r.ID, &r.Begin, &r.End
		for i := range r.Values {
			ptr[3+i] = &r.Values[i]
		}
		if err := rows.Scan(ptr...); err != nil {
			return nil, sqlError(ctx, err, "read inlined rows")
		}
		out = append(out, r)
	}
	return out, sqlError(ctx, rows.Err(), "read inlined rows")
}

// InlinedSize is at least how many rows t holds, dead ones too, and costs the
// same however many these are.
func (v *View) InlinedSize(ctx context.Context, t InlinedTable) (int64, error) {
	n, err := recall(v.q, inlinedSizeOf(t.name), func() (*int64, error) {
		var n int64
		err := v.q.QueryRowContext(ctx, `SELECT coalesce(max(rowid), 0) FROM `+quoteName(t.name)).Scan(&n)
		return &n, sqlError(ctx, err, "read inlined rows")
	})
	if err != nil {
		return 0, err
	}
	return *n, nil
}

// CountInlinedRows is the number of rows at snapshot at that the catalog itself holds.
func (v *View) CountInlinedRows(ctx context.Context, table Table, at int64) (int64, error) {
	inlined, err := v.InlinedTables(ctx, table)
	var sum int64
	for _, t := range inlined {
		var n int64
		query := fmt.Sprintf(`SELECT count(*) FROM "%s" WHERE begin_snapshot <= ?1 AND (end_snapshot IS NULL OR ?1 < end_snapshot)`, strings.ReplaceAll(t.name, `"`, `""`))
		if err := v.q.QueryRowContext(ctx, query, at).Scan(&n); err != nil {
			return 0, sqlError(ctx, err, "count inlined rows")
		}
		sum += n
	}
	return sum, err
}

// InlinedHistory gives every version of every row that t holds, by row id and
// begin.
func (v *View) InlinedHistory(ctx context.Context, t InlinedTable, columns []datafile.Column) ([]InlinedRow, error) {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
	}
	return v.inlinedRows(ctx, t, names, ` ORDER BY row_id, begin_snapshot`)
}

// InlinedState tells whether rows came to t, or died in it, between two looks.
type InlinedState struct{ Rows, LastBegin, Dead, LastEnd int64 }

// InlinedState is the state of t now.
func (v *View) InlinedState(ctx context.Context, t InlinedTable) (s InlinedState, err error) {
	err = v.q.QueryRowContext(ctx, `SELECT count(*), coalesce(max(begin_snapshot), 0), count(end_snapshot), coalesce(max(end_snapshot), 0) FROM `+datafile.Quote(t.name)).Scan(&s.Rows, &s.LastBegin, &s.Dead, &s.LastEnd)
	return s, sqlError(ctx, err, "read inlined rows")
}

// inlinedTexts is what the catalog itself ever held of some columns.
type inlinedTexts struct {
	any    bool   // a value
	dated  bool   // every one is a text that sorts as the date or time does
	lo, hi string // of these
}

func (v *View) inlinedTexts(ctx context.Context, table int64, leaves []int64) (inlinedTexts, error) {
	all := inlinedTexts{dated: true}
	tables, err := v.InlinedTables(ctx, Table{ID: table})
	if err != nil {
		return all, err
	}
	for _, t := range tables {
		cols, err := v.Columns(ctx, table, t.SchemaAt)
		if err != nil {
			return all, err
		}
		for _, c := range cols {
			if !slices.Contains(leaves, c.ID) {
				continue
			}
			var n, plain int64
			var lo, hi sql.NullString
			err := v.q.QueryRowContext(ctx, fmt.Sprintf(`SELECT count(%[1]s), count(*) FILTER (WHERE %[1]s GLOB '[0-9][0-9][0-9][0-9]-*'), min(%[1]s), max(%[1]s) FROM %[2]s`, quoteName(c.Name), quoteName(t.name))).Scan(&n, &plain, &lo, &hi)
			if err != nil {
				return all, sqlError(ctx, err, "read inlined rows")
			}
			if n == 0 {
				continue
			}
			if !all.any || lo.String < all.lo {
				all.lo = lo.String
			}
			all.hi = max(all.hi, hi.String)
			all.any, all.dated = true, all.dated && n == plain
		}
	}
	return all, nil
}

// inlineTable makes the inlined table of a new schema version, as DuckDB does
// with each: clients put small inserts into the newest one, which must have the
// table's columns. One that finds none makes it without a row in
// ducklake_schema_versions, and reads by the oldest columns from then on
// (docs/format.md). Without inlining there is none, unless rows came before.
func (a *applier) inlineTable(columns []datafile.Column) error {
	if !keepsInside(columns) {
		return nil
	}
	var wanted bool
	err := a.q.QueryRowContext(a.ctx, `SELECT EXISTS (SELECT 1 FROM ducklake_inlined_data_tables WHERE table_id = ?1) OR coalesce(
 (SELECT CAST("value" AS INTEGER) FROM ducklake_metadata WHERE "key" = ?2 AND ("scope" IS NULL OR "scope" = 'table' AND scope_id = ?1) ORDER BY "scope" IS NULL LIMIT 1), ?3) > 0`,
		a.table.ID, inlineOption, InlineRows).Scan(&wanted)
	if err != nil || !wanted {
		return sqlError(a.ctx, err, "read the inlined tables")
	}
	return a.makeInlined(a.Head.SchemaVersion+1, columns)
}

// nameInlined gives inlined tables that DuckDB made without one their row in
// ducklake_schema_versions, as its own migration to format 1.1 does: it takes
// them for tables of the first columns else, and keeps these as those of the
// whole schema version (docs/format.md).
func (v *View) nameInlined(ctx context.Context) error {
	_, err := v.q.ExecContext(ctx, `INSERT INTO ducklake_schema_versions (begin_snapshot, schema_version, table_id)
 SELECT min(s.snapshot_id), i.schema_version, i.table_id FROM ducklake_inlined_data_tables i JOIN ducklake_snapshot s ON s.schema_version = i.schema_version
 WHERE NOT EXISTS (SELECT 1 FROM ducklake_schema_versions v WHERE v.table_id = i.table_id AND v.schema_version = i.schema_version) GROUP BY i.schema_version, i.table_id`)
	return sqlError(ctx, err, "write the schema versions")
}

// mostInlined is how many columns SQLite lets a table have, less the format's.
const mostInlined = 2000 - 3

// keepsInside reports whether an inlined table can have the columns: the format
// has names of its own there.
func keepsInside(columns []datafile.Column) bool {
	return len(columns) <= mostInlined && !slices.ContainsFunc(columns, func(c datafile.Column) bool {
		name := strings.ToLower(c.Name)
		return name == "row_id" || name == "begin_snapshot" || name == "end_snapshot" || strings.HasPrefix(name, "_ducklake_")
	})
}

// inlinedName is the inlined table of the table's schema version.
func (a *applier) inlinedName(version int64) string {
	return fmt.Sprintf("ducklake_inlined_data_%d_%d", a.table.ID, version)
}

func (a *applier) makeInlined(version int64, columns []datafile.Column) error {
	name := a.inlinedName(version)
	cols := []string{"row_id BIGINT", "begin_snapshot BIGINT", "end_snapshot BIGINT"}
	for _, c := range columns {
		cols = append(cols, quoteName(c.Name)+" "+InlinedType(c.Type))
	}
	if err := a.exec(`CREATE TABLE ` + quoteName(name) + ` (` + strings.Join(cols, ", ") + `)`); err != nil {
		return err
	}
	if err := a.exec(`CREATE INDEX ` + quoteName(fmt.Sprintf("supertable_idx_inlined_%d_%d", a.table.ID, version)) + ` ON ` + quoteName(name) + ` (row_id)`); err != nil {
		return err
	}
	return a.exec(`INSERT INTO ducklake_inlined_data_tables (table_id, table_name, schema_version) VALUES (?, ?, ?)`, a.table.ID, name, version)
}

// indexKey makes the rows that live in an inlined table quick to find by key.
func (a *applier) indexKey(name string, key []string) error {
	if len(key) == 0 {
		return nil
	}
	sum := crc32.NewIEEE() // names one of a few sets of columns
	quoted := make([]string, len(key))
	for i, k := range key {
		quoted[i] = quoteName(k)
		_, _ = sum.Write([]byte(quoted[i]))
	}
	index := fmt.Sprintf("supertable_idx_key_%s_%08x", strings.TrimPrefix(name, "ducklake_inlined_data_"), sum.Sum32())
	n, err := recall(a.q, keyIndex(index), func() (n int, err error) {
		err = a.q.QueryRowContext(a.ctx, `SELECT count(*) FROM sqlite_master WHERE name = ?`, index).Scan(&n)
		return n, sqlError(a.ctx, err, "read the inlined tables")
	})
	if err != nil || n > 0 {
		return err
	}
	return a.exec(`CREATE INDEX ` + quoteName(index) + ` ON ` + quoteName(name) + ` (` + strings.Join(quoted, ", ") + `) WHERE end_snapshot IS NULL`)
}

// NewRows are rows that the catalog itself keeps (docs/format.md §5).
type NewRows struct {
	Columns []string // of the table as it is after the change; the others are NULL or have their default
	Values  [][]any  // per row, as InlinedRow has them
	Key     []string // of these columns; later rows will be matched by them. Nil: none
	Stats   []datafile.Stats
}

// EndedRows are rows of an inlined table that die.
type EndedRows struct {
	Table InlinedTable
	IDs   []int64
}

// addRows puts new rows into the catalog and widens the table's statistics.
func (a *applier) addRows() error {
	if a.ch.Rows == nil {
		return nil
	}
	name, err := a.inlinedTarget()
	if err != nil {
		return err
	}
	a.note("inlined_insert:%d", a.table.ID)
	a.next.nextFileID++ // clients look at statistics again
	stats, err := a.loadTableStats()
	if err != nil {
		return err
	}
	if err := a.insertRows(name, stats.nextRowID, a.ch.Rows.Columns, a.ch.Rows.Values); err != nil {
		return err
	}
	if err := a.indexKey(name, a.ch.Rows.Key); err != nil {
		return err
	}
	n := int64(len(a.ch.Rows.Values))
	stats.records += n
	stats.nextRowID += n
	if err := a.storeTableStats(stats); err != nil {
		return err
	}
	return a.widenColumnStats(stats, [][]datafile.Stats{a.ch.Rows.Stats})
}

func (a *applier) insertRows(name string, first int64, columns []string, rows [][]any) error {
	names := []string{"row_id", "begin_snapshot", "end_snapshot"}
	for _, c := range columns {
		names = append(names, quoteName(c))
	}
	if len(rows) <= fewRows {
		list := strings.Join(append(names[:2:2], names[3:]...), ", ")
		for i, row := range rows {
			if err := insertRow(a.ctx, a.q, name, list, append([]any{first + int64(i), a.next.ID}, row...)...); err != nil {
				return err
			}
		}
		a.grown(name, len(rows))
		return nil
	}
	one := "(?,?,NULL" + strings.Repeat(",?", len(columns)) + "),"
	for chunk := range chunks(rows, max(1, 2000/(len(columns)+2))) {
		args := make([]any, 0, len(chunk)*(len(columns)+2))
		for _, row := range chunk {
			args = append(append(args, first, a.next.ID), row...)
			first++
		}
		err := a.exec(`INSERT INTO `+quoteName(name)+` (`+strings.Join(names, ", ")+`) VALUES `+strings.TrimSuffix(strings.Repeat(one, len(chunk)), ","), args...)
		if err != nil {
			return err
		}
	}
	a.grown(name, len(rows))
	return nil
}

// fewRows is how many rows of one write are put together with those of others.
const fewRows = 8

// grown counts rows that came to an inlined table.
func (a *applier) grown(name string, n int) {
	if w, ok := remembering(a.q); ok {
		if size, ok := w.mem.facts[inlinedSizeOf(name)].(*int64); ok {
			*size += int64(n)
		}
	}
}

// newestSchema is a table's newest schema version: since when, and how many
// inlined tables it has.
type newestSchema struct{ version, begin, inlined int64 }

// inlinedTarget gives the inlined table of the table's newest schema, and makes
// it when there is none. Clients look for inlined tables again only under a
// schema version that they do not know, so a new one takes a new version.
func (a *applier) inlinedTarget() (string, error) {
	newest, err := recall(a.q, inlinedTargetOf(a.table.ID), func() (n newestSchema, err error) {
		err = a.q.QueryRowContext(a.ctx, `SELECT schema_version, begin_snapshot, (SELECT count(*) FROM ducklake_inlined_data_tables i WHERE i.table_id = ?1 AND i.schema_version = v.schema_version)
 FROM ducklake_schema_versions v WHERE table_id = ?1 ORDER BY schema_version DESC LIMIT 1`, a.table.ID).Scan(&n.version, &n.begin, &n.inlined)
		return n, sqlError(a.ctx, err, "read the schema versions")
	})
	if err != nil {
		return "", err
	}
	version, begin := newest.version, newest.begin
	if newest.inlined > 0 {
		return a.inlinedName(version), nil
	}
	cols, err := a.columnsAfter()
	if err != nil {
		return "", err
	}
	if begin < a.next.ID {
		if err := a.schemaVersion(); err != nil {
			return "", err
		}
		a.schema, version = true, a.Head.SchemaVersion+1
	}
	return a.inlinedName(version), a.makeInlined(version, cols)
}

// endInlined ends rows inside the catalog.
func (a *applier) endInlined() error {
	for _, e := range a.ch.EndRows {
		if err := a.endIn(e.Table, e.IDs); err != nil {
			return err
		}
	}
	return nil
}

func (a *applier) endIn(t InlinedTable, ids []int64) error {
	for chunk := range chunks(ids, 500) {
		a.noteOnce("inlined_delete:%d", a.table.ID)
		args := []any{a.next.ID}
		for _, id := range chunk {
			args = append(args, id)
		}
		n, err := a.execCount(`UPDATE `+quoteName(t.name)+` SET end_snapshot = ? WHERE end_snapshot IS NULL AND row_id IN (`+strings.TrimSuffix(strings.Repeat("?,", len(chunk)), ",")+`)`, args...)
		if err != nil {
			return err
		}
		if n != int64(len(chunk)) {
			return errs.New(errs.Internal, "%d of %d rows inside the catalog were there to end", n, len(chunk))
		}
	}
	return nil
}

// InlinedType is how SQLite declares a column of an inlined table: what it has
// neither integers nor bytes for is text. DuckDB holds the values against it.
func InlinedType(t datafile.Type) string {
	switch t.Name {
	case "boolean", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32":
		return "BIGINT"
	case "blob":
		return "BLOB"
	}
	return "VARCHAR"
}

// insideReturn is what a return to an earlier snapshot does to one inlined
// table.
type insideReturn struct {
	table   InlinedTable
	columns []string
	come    [][]any // values of rows that it brings back
	gone    []int64 // rows that it ends
}

// insideReturns does for rows that the catalog itself holds what a plan of
// returns does for files: what came since goes, what ended since comes back,
// and what is there as it was stays. Rows of the same values are alike.
func (v *View) insideReturns(ctx context.Context, table Table, at int64) ([]insideReturn, error) {
	tables, err := v.InlinedTables(ctx, table)
	if err != nil {
		return nil, err
	}
	var out []insideReturn
	for _, t := range tables {
		r := insideReturn{table: t}
		if r.columns, err = v.inlinedColumns(ctx, t); err != nil {
			return nil, err
		}
		since, err := v.inlinedRows(ctx, t, r.columns, ` WHERE begin_snapshot > ? AND end_snapshot IS NULL ORDER BY row_id`, at)
		if err != nil {
			return nil, err
		}
		ended, err := v.inlinedRows(ctx, t, r.columns, ` WHERE begin_snapshot <= ?1 AND end_snapshot > ?1 ORDER BY row_id`, at)
		if err != nil {
			return nil, err
		}
		r.compare(ended, since)
		out = append(out, r)
	}
	return out, nil
}

func (r *insideReturn) compare(ended, since []InlinedRow) {
	was := map[string]int{}
	for _, row := range ended {
		was[rowText(row.Values)]++
	}
	for _, row := range since {
		if key := rowText(row.Values); was[key] > 0 {
			was[key]--
			continue
		}
		r.gone = append(r.gone, row.ID)
	}
	for _, row := range ended {
		if key := rowText(row.Values); was[key] > 0 {
			was[key]--
			r.come = append(r.come, row.Values)
		}
	}
}

// rowText tells rows of other values apart.
func rowText(values []any) string {
	var b strings.Builder
	for _, v := range values {
		if raw, ok := v.([]byte); ok {
			v = string(raw)
		}
		fmt.Fprintf(&b, "%T%q ", v, fmt.Sprint(v))
	}
	return b.String()
}

// restoreInlined returns to the rows inside the catalog of snapshot r.At. Those
// that come back are new ones: a row id begins once. A client that drops a table
// leaves such rows as they are: they end with it, so that the feed of changes
// tells that they come back.
func (a *applier) restoreInlined(r Restore) error {
	if err := a.endDropped(r); err != nil {
		return err
	}
	list, err := a.insideReturns(a.ctx, a.table, r.At)
	if err != nil {
		return err
	}
	for _, r := range list {
		if err := a.endIn(r.table, r.gone); err != nil {
			return err
		}
		if len(r.come) == 0 {
			continue
		}
		a.noteOnce("inlined_insert:%d", a.table.ID)
		stats, err := a.loadTableStats()
		if err != nil {
			return err
		}
		if err := a.insertRows(r.table.name, stats.nextRowID, r.columns, r.come); err != nil {
			return err
		}
		stats.records += int64(len(r.come))
		stats.nextRowID += int64(len(r.come))
		if err := a.storeTableStats(stats); err != nil {
			return err
		}
		a.next.nextFileID++ // clients look at statistics again
	}
	return nil
}

// endDropped ends the rows that the drop of another client left.
func (a *applier) endDropped(r Restore) error {
	if !r.Undrop {
		return nil
	}
	tables, err := a.InlinedTables(a.ctx, a.table)
	if err != nil {
		return err
	}
	for _, t := range tables {
		if err := a.exec(`UPDATE `+quoteName(t.name)+` SET end_snapshot = ?1 WHERE begin_snapshot < ?1 AND end_snapshot IS NULL`, r.At+1); err != nil {
			return err
		}
	}
	return nil
}

// inlinedColumns lists a table's own columns.
func (v *View) inlinedColumns(ctx context.Context, t InlinedTable) ([]string, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT name FROM pragma_table_info(?) WHERE name NOT IN ('row_id', 'begin_snapshot', 'end_snapshot') ORDER BY cid`, t.name)
	if err != nil {
		return nil, sqlError(ctx, err, "read the inlined tables")
	}
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, sqlError(ctx, err, "read the inlined tables")
		}
		out = append(out, name)
	}
	return out, sqlError(ctx, rows.Err(), "read the inlined tables")
}

// InlinedSince counts the rows inside the catalog that a return to snapshot at
// would bring back, and those that it would end.
func (v *View) InlinedSince(ctx context.Context, t Table, at int64) (come, gone int64, err error) {
	list, err := v.insideReturns(ctx, t, at)
	for _, r := range list {
		come, gone = come+int64(len(r.come)), gone+int64(len(r.gone))
	}
	return come, gone, err
}
