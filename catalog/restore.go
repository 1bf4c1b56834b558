package catalog

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"

	"github.com/supertable-go/supertable/internal/errs"
)

// Restore brings an earlier state of a table back as a new one: its columns,
// and rows of files that are no longer live. The format knows no row that
// begins twice and no path that two rows own, so such a file comes back under
// a new name, with its statistics and dead rows. Its rows get new row ids:
// under the old ones DuckDB's change feed pairs each of them with the end of
// the old file and counts some twice.
type Restore struct {
	// At is the snapshot whose state comes back.
	At int64
	// Undrop is set when the table was dropped after At: its own rows come
	// back too.
	Undrop bool
	Files  []RestoredFile
}

// RestoredFile is a data file that comes back.
type RestoredFile struct {
	File int64  // the file whose bytes it has
	Rel  string // its new name, relative to the data folder
	// Dead are its dead rows, ascending; they go into the catalog, or stand in
	// Delete, when that is set.
	Dead   []int64
	Delete *NewDelete
	// Written, when set, is a file of its own with the rows that come back, and
	// with them alone, in the columns of that state.
	Written *NewFile
}

// restore writes the part of a change that is not like a write.
func (a *applier) restore() error {
	r := a.ch.Restore
	if r == nil {
		return nil
	}
	bring := a.restoreColumns
	if r.Undrop {
		bring = a.undrop
	}
	if err := bring(r.At); err != nil {
		return err
	}
	if err := a.restoreInlined(*r); err != nil {
		return err
	}
	return a.restoreFiles(r.Files)
}

// undrop begins the rows of a dropped table again, under the same ids.
func (a *applier) undrop(at int64) error {
	if err := a.nameFree(); err != nil {
		return err
	}
	a.schema = true
	a.note("created_table:%s", quoteChange(a.table.Name))
	for _, t := range []struct{ table, columns, id string }{
		{"ducklake_table", "table_id, table_uuid, schema_id, table_name, path, path_is_relative", "table_id"},
		{"ducklake_column", "column_id, table_id, column_order, column_name, column_type, initial_default, default_value, nulls_allowed, parent_column, default_value_type, default_value_dialect", "table_id"},
		{"ducklake_partition_info", "partition_id, table_id", "table_id"},
		{"ducklake_sort_info", "sort_id, table_id", "table_id"},
		{"ducklake_column_tag", `table_id, column_id, "key", "value"`, "table_id"},
		{"ducklake_tag", `object_id, "key", "value"`, "object_id"},
	} {
		if err := a.beginAgain(t.table, t.columns, t.id, at); err != nil {
			return err
		}
	}
	cols, err := a.Columns(a.ctx, a.table.ID, at)
	if err != nil {
		return err
	}
	if err := a.inlineTable(cols); err != nil {
		return err
	}
	return a.schemaVersion()
}

// beginAgain copies the rows that were live at a snapshot into the new one.
func (a *applier) beginAgain(table, columns, id string, at int64) error {
	return a.exec(`INSERT INTO `+table+` (`+columns+`, begin_snapshot, end_snapshot) SELECT `+columns+`, ?1, NULL FROM `+table+`
 WHERE `+id+` = ?2 AND begin_snapshot <= ?3 AND (end_snapshot IS NULL OR ?3 < end_snapshot)`, a.next.ID, a.table.ID, at)
}

// restoreColumns makes the columns those of an earlier snapshot: what was
// dropped comes back under its field ids, what was added goes.
func (a *applier) restoreColumns(at int64) error {
	now, err := a.columnRows(a.ctx, a.table.ID, a.Head.ID)
	if err != nil {
		return err
	}
	then, err := a.columnRows(a.ctx, a.table.ID, at)
	if err != nil {
		return err
	}
	end, add := columnsBack(now, then)
	if len(end)+len(add) == 0 {
		return nil
	}
	a.schema = true
	a.note("altered_table:%d", a.table.ID)
	a.next.nextFileID++ // as in alterTable
	for _, id := range end {
		if err := a.exec(`UPDATE ducklake_column SET end_snapshot = ? WHERE table_id = ? AND column_id = ? AND end_snapshot IS NULL`, a.next.ID, a.table.ID, id); err != nil {
			return err
		}
	}
	if err := a.insertColumns(add); err != nil {
		return err
	}
	// What is known of these columns over all files may be in words of another
	// type, or of some files only.
	for _, c := range add {
		if err := a.forgetColumn(c.id); err != nil {
			return err
		}
	}
	cols, err := a.Columns(a.ctx, a.table.ID, at)
	if err != nil {
		return err
	}
	if err := a.inlineTable(cols); err != nil {
		return err
	}
	return a.schemaVersion()
}

// columnsBack says which columns of now end and which rows of then begin
// again. It is a pure function.
func columnsBack(now, then []column) (end []int64, add []column) {
	same := func(a column) func(column) bool {
		return func(b column) bool { b.begin = a.begin; return a == b }
	}
	for _, c := range now {
		if !slices.ContainsFunc(then, same(c)) {
			end = append(end, c.id)
		}
	}
	for _, c := range then {
		if !slices.ContainsFunc(now, same(c)) {
			add = append(add, c)
		}
	}
	return end, add
}

// sameColumns reports whether two snapshots have the same columns of a table.
func (v *View) sameColumns(ctx context.Context, table, at, now int64) (bool, error) {
	a, err := v.columnRows(ctx, table, at)
	if err != nil {
		return false, err
	}
	b, err := v.columnRows(ctx, table, now)
	end, add := columnsBack(b, a)
	return len(end)+len(add) == 0, err
}

// SameColumns reports whether the table has the same columns, with the same
// ids, types and defaults, at both snapshots.
func (v *View) SameColumns(ctx context.Context, t Table, at, now int64) (bool, error) {
	return v.sameColumns(ctx, t.ID, at, now)
}

// restoreFiles names the files again. Their dead rows go the way of every
// other delete of the change.
func (a *applier) restoreFiles(files []RestoredFile) error {
	if len(files) == 0 {
		return nil
	}
	a.note("inserted_into_table:%d", a.table.ID)
	stats, err := a.loadTableStats()
	if err != nil {
		return err
	}
	ch := *a.ch // the caller's own is left as it was
	ch.Deletes, ch.Inline = slices.Clone(ch.Deletes), slices.Clone(ch.Inline)
	a.ch = &ch
	for _, f := range files {
		id, err := a.restoreFile(f, &stats)
		if err != nil {
			return err
		}
		switch {
		case f.Delete != nil:
			d := *f.Delete
			d.File = id
			ch.Deletes = append(ch.Deletes, d)
		case len(f.Dead) > 0:
			ch.Inline = append(ch.Inline, NewInlined{File: id, Positions: f.Dead})
		}
	}
	return a.storeTableStats(stats)
}

func (a *applier) restoreFile(f RestoredFile, stats *tableStats) (int64, error) {
	id := a.fileID()
	path, err := a.tableRel(f.Rel)
	if err != nil {
		return 0, err
	}
	var records, size int64
	err = a.q.QueryRowContext(a.ctx, `SELECT record_count, file_size_bytes FROM ducklake_data_file WHERE data_file_id = ? AND table_id = ?`, f.File, a.table.ID).Scan(&records, &size)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, errs.New(errs.NotFound, "a file of that state of table %q has expired", a.table.Name)
	}
	if err != nil {
		return 0, sqlError(a.ctx, err, "read the files")
	}
	if f.Written != nil {
		return id, a.restoreWritten(id, path, f, stats)
	}
	for _, s := range []statement{
		{`INSERT INTO ducklake_data_file (data_file_id, table_id, begin_snapshot, end_snapshot, file_order, path, path_is_relative, file_format, record_count, file_size_bytes, footer_size, row_id_start, partition_id, encryption_key, mapping_id, partial_max)
 SELECT ?1, table_id, ?2, NULL, file_order, ?3, 1, file_format, record_count, file_size_bytes, footer_size, ?5, partition_id, encryption_key, mapping_id, NULL FROM ducklake_data_file WHERE data_file_id = ?4`, []any{id, a.next.ID, path, f.File, stats.nextRowID}},
		{`INSERT INTO ducklake_file_column_stats (data_file_id, table_id, column_id, column_size_bytes, value_count, null_count, min_value, max_value, contains_nan, extra_stats)
 SELECT ?1, table_id, column_id, column_size_bytes, value_count, null_count, min_value, max_value, contains_nan, extra_stats FROM ducklake_file_column_stats WHERE data_file_id = ?2`, []any{id, f.File}},
		{`INSERT INTO ducklake_file_partition_value (data_file_id, table_id, partition_key_index, partition_value)
 SELECT ?1, table_id, partition_key_index, partition_value FROM ducklake_file_partition_value WHERE data_file_id = ?2`, []any{id, f.File}},
		{`INSERT INTO supertable_file (file_id, sha256) SELECT ?1, sha256 FROM supertable_file WHERE file_id = ?2`, []any{id, f.File}},
		{`INSERT INTO supertable_restored (file_id, table_id, origin, written)
 SELECT ?1, f.table_id, coalesce(r.origin, f.data_file_id), coalesce(r.written, f.begin_snapshot) FROM ducklake_data_file f LEFT JOIN supertable_restored r ON r.file_id = f.data_file_id WHERE f.data_file_id = ?2`, []any{id, f.File}},
	} {
		if err := a.exec(s.sql, s.args...); err != nil {
			return 0, err
		}
	}
	stats.records += records
	stats.nextRowID += records
	stats.bytes += size
	return id, nil
}

// restoreWritten names a file with rows of an earlier one, in its partition.
func (a *applier) restoreWritten(id int64, path string, f RestoredFile, stats *tableStats) error {
	for _, s := range []statement{
		{`INSERT INTO ducklake_data_file (data_file_id, table_id, begin_snapshot, end_snapshot, file_order, path, path_is_relative, file_format, record_count, file_size_bytes, footer_size, row_id_start, partition_id, encryption_key, mapping_id, partial_max)
 SELECT ?1, table_id, ?2, NULL, file_order, ?3, 1, file_format, ?6, ?7, ?8, ?5, partition_id, NULL, NULL, NULL FROM ducklake_data_file WHERE data_file_id = ?4`, []any{id, a.next.ID, path, f.File, stats.nextRowID, f.Written.Records, f.Written.Size, f.Written.Footer}},
		{`INSERT INTO ducklake_file_partition_value (data_file_id, table_id, partition_key_index, partition_value)
 SELECT ?1, table_id, partition_key_index, partition_value FROM ducklake_file_partition_value WHERE data_file_id = ?2`, []any{id, f.File}},
	} {
		if err := a.exec(s.sql, s.args...); err != nil {
			return err
		}
	}
	stats.records += f.Written.Records
	stats.nextRowID += f.Written.Records
	stats.bytes += f.Written.Size
	return a.keepFacts(id, *f.Written)
}

// restoredLive is the live state after a restore, counted: it is not the old
// one and a difference.
func (a *applier) restoredLive(live *liveState) error {
	if a.ch.Restore.Undrop {
		err := a.q.QueryRowContext(a.ctx, `SELECT coalesce(max(version), -1) + 1 FROM supertable_change WHERE table_id = ?`, a.table.ID).Scan(&live.version)
		if err != nil {
			return sqlError(a.ctx, err, "read the history")
		}
	}
	var err error
	live.rows, live.files, live.bytes, err = a.CountLive(a.ctx, a.table, a.next.ID)
	return err
}

// loadRestored fills in which files have the bytes of an earlier one.
func (v *View) loadRestored(ctx context.Context, table Table, files []File) error {
	if len(files) == 0 || v.c != nil && v.c.foreign {
		return nil
	}
	return v.scanRestored(ctx, files, `SELECT file_id, origin, written FROM supertable_restored WHERE table_id = ?`, table.ID)
}

// restoredOf is loadRestored for files with these ids.
func (v *View) restoredOf(ctx context.Context, files []File, ids []int64) error {
	if len(files) == 0 || v.c != nil && v.c.foreign {
		return nil
	}
	list, args := marks(ids)
	return v.scanRestored(ctx, files, `SELECT file_id, origin, written FROM supertable_restored WHERE file_id IN (`+list+`)`, args...)
}

func (v *View) scanRestored(ctx context.Context, files []File, query string, args ...any) error {
	rows, err := v.q.QueryContext(ctx, query, args...)
	if err != nil {
		return sqlError(ctx, err, "read the files")
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id, origin, written int64
		if err := rows.Scan(&id, &origin, &written); err != nil {
			return sqlError(ctx, err, "read the files")
		}
		i, ok := slices.BinarySearchFunc(files, id, func(f File, id int64) int { return int(f.ID - id) })
		if ok {
			files[i].restored = &restored{origin, written}
		}
	}
	return sqlError(ctx, rows.Err(), "read the files")
}

// restored tells where the bytes of a file that came back are from.
type restored struct{ origin, written int64 }

// Origin tells the bytes: two files with one origin have the same rows at the
// same positions.
func (f *File) Origin() int64 {
	if f.restored != nil {
		return f.restored.origin
	}
	return f.ID
}

// Written is the snapshot whose columns the file has. It is its own begin
// unless it has come back.
func (f *File) Written() int64 {
	if f.restored != nil {
		return f.restored.written
	}
	return f.Begin
}

// LastDrop finds the table that was called name when it was dropped last, and
// the last snapshot before that. NotFound when there is none, or when that
// snapshot has expired.
func (v *View) LastDrop(ctx context.Context, name string) (Table, int64, error) {
	var id, end int64
	err := v.q.QueryRowContext(ctx, `SELECT t.table_id, t.end_snapshot FROM ducklake_table t WHERE t.table_name = ? COLLATE NOCASE AND t.end_snapshot IS NOT NULL
 AND NOT EXISTS (SELECT 1 FROM ducklake_table l WHERE l.table_id = t.table_id AND (l.end_snapshot IS NULL OR l.end_snapshot > t.end_snapshot)) ORDER BY t.end_snapshot DESC LIMIT 1`, name).Scan(&id, &end)
	if errors.Is(err, sql.ErrNoRows) {
		return Table{}, 0, errs.New(errs.NotFound, "Table not found: %s", name)
	}
	if err != nil {
		return Table{}, 0, sqlError(ctx, err, "read the tables")
	}
	if _, err := v.Snapshot(ctx, end-1); err != nil {
		if errs.KindOf(err) == errs.NotFound {
			err = errs.New(errs.NotFound, "the last state of table %s, snapshot %d, has expired", name, end-1)
		}
		return Table{}, 0, err
	}
	t, err := v.TableByID(ctx, id, end-1)
	return t, end - 1, err
}

func (a *applier) execCount(query string, args ...any) (int64, error) {
	res, err := a.q.ExecContext(a.ctx, query, args...)
	if err != nil {
		return 0, sqlError(a.ctx, err, "write the catalog")
	}
	n, err := res.RowsAffected()
	return n, sqlError(a.ctx, err, "write the catalog")
}

func quoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
