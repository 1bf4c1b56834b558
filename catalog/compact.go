package catalog

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"

	"github.com/supertable-go/supertable/datafile"
)

// Words of changes_made for maintenance. DuckDB's conflict checks read them
// (docs/format.md §2.3); a flush of dead rows is a delete to them, as its own
// client has it.
const (
	Merged    = "merge_adjacent"
	Rewritten = "rewrite_delete"
	Flushed   = "inline_flush"
	Settled   = "deleted_from_table"
)

// Maintenance changes how a table's rows are stored and none of the rows: every
// retained snapshot answers as before. The table's statistics stay as they are:
// their count of rows never falls, and where it is that of the live rows DuckDB
// takes the bounds beside it for exact.
type Maintenance struct {
	// Word is the entry of changes_made.
	Word string
	// Files are new data files. Each row of them carries its row id.
	Files []KeptFile
	// Absorb are data files without any dead row whose rows, with the
	// snapshots at which they came, are in Files: their own rows of the catalog
	// go at once.
	Absorb []int64
	// End are data files that earlier snapshots go on reading.
	End []int64
	// Settle are delete files that hold the dead rows which the catalog itself
	// listed; those go from it.
	Settle []NewDelete
	// Emptied are inlined tables whose rows are in Files.
	Emptied []InlinedTable
}

// KeptFile is a new data file with old rows.
type KeptFile struct {
	NewFile
	// Begin is the first snapshot that reads the file; 0 is the commit's own.
	Begin int64
	// PartialMax is set when the rows carry the snapshots at which they came:
	// the newest of them.
	PartialMax *int64
	// End is the first snapshot that no longer reads the file; 0 is none.
	End int64
	// Like is a file whose partition the new one shares; 0 is none.
	Like int64
	// Dead, when set, is the file's delete file. Its File is not known yet.
	Dead *NewDelete
}

// maintain writes a Maintenance.
func (a *applier) maintain() error {
	m := a.ch.Maintain
	if m == nil {
		return nil
	}
	a.note("%s:%d", m.Word, a.table.ID)
	if err := a.settle(m.Settle); err != nil {
		return err
	}
	for _, f := range m.Files {
		if err := a.keepFile(f); err != nil {
			return err
		}
	}
	for _, id := range m.Absorb {
		if err := a.absorb(id); err != nil {
			return err
		}
	}
	for _, id := range m.End {
		if err := a.endFile(id); err != nil {
			return err
		}
	}
	for _, t := range m.Emptied {
		if err := a.exec(`DELETE FROM ` + datafile.Quote(t.name)); err != nil {
			return err
		}
	}
	return nil
}

// settle names delete files in the place of dead rows in the catalog.
func (a *applier) settle(deletes []NewDelete) error {
	for _, d := range deletes {
		if err := a.addDeleteFile(d); err != nil {
			return err
		}
		if err := a.exec(`DELETE FROM `+inlinedDeletes(a.table.ID)+` WHERE file_id = ?`, d.File); err != nil {
			return err
		}
	}
	return nil
}

func (a *applier) keepFile(f KeptFile) error {
	id, begin := a.fileID(), f.Begin
	if begin == 0 {
		begin = a.next.ID
	}
	var end *int64
	if f.End != 0 {
		end = &f.End
	} else {
		a.gained.files++
		a.gained.bytes += f.Size
	}
	path, err := a.tableRel(f.Rel)
	if err != nil {
		return err
	}
	err = a.exec(`INSERT INTO ducklake_data_file (data_file_id, table_id, begin_snapshot, end_snapshot, file_order, path, path_is_relative, file_format, record_count, file_size_bytes, footer_size, row_id_start, partition_id, encryption_key, mapping_id, partial_max)
 VALUES (?, ?, ?, ?, NULL, ?, 1, 'parquet', ?, ?, ?, NULL, (SELECT partition_id FROM ducklake_data_file WHERE data_file_id = ?), NULL, NULL, ?)`, id, a.table.ID, begin, end, path, f.Records, f.Size, f.Footer, f.Like, f.PartialMax)
	if err != nil {
		return err
	}
	if err := a.exec(`INSERT INTO ducklake_file_partition_value (data_file_id, table_id, partition_key_index, partition_value) SELECT ?, table_id, partition_key_index, partition_value FROM ducklake_file_partition_value WHERE data_file_id = ?`, id, f.Like); err != nil {
		return err
	}
	if err := a.keepFacts(id, f.NewFile); err != nil || f.Dead == nil {
		return err
	}
	dead := *f.Dead
	dead.File = id
	if err := a.addDeleteFile(dead); err != nil || end == nil {
		return err
	}
	return a.exec(`UPDATE ducklake_delete_file SET end_snapshot = ? WHERE data_file_id = ?`, end, id)
}

// keepFacts writes a new file's checksum and statistics.
func (a *applier) keepFacts(id int64, f NewFile) error {
	if err := a.exec(`INSERT INTO supertable_file (file_id, sha256) VALUES (?, ?)`, id, f.SHA256); err != nil {
		return err
	}
	for _, s := range f.Stats {
		if err := a.exec(`INSERT INTO ducklake_file_column_stats (data_file_id, table_id, column_id, column_size_bytes, value_count, null_count, min_value, max_value, contains_nan, extra_stats) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)`,
			id, a.table.ID, s.ColumnID, s.SizeBytes, s.ValueCount, s.NullCount, s.Min, s.Max, s.ContainsNaN); err != nil {
			return err
		}
	}
	return nil
}

// absorb takes a file out of the catalog, history and all: it is in a new one.
func (a *applier) absorb(id int64) error {
	if err := a.loseFile(id); err != nil {
		return err
	}
	var path sql.NullString
	var relative sql.NullBool
	if err := a.q.QueryRowContext(a.ctx, `SELECT path, path_is_relative FROM ducklake_data_file WHERE data_file_id = ?`, id).Scan(&path, &relative); err != nil {
		return sqlError(a.ctx, err, "read the files")
	}
	if err := a.schedule(a.ctx, id, join(a.table.path, path, relative), a.next); err != nil {
		return err
	}
	return a.forgetFile(a.ctx, a.table.ID, id, a.next)
}

func (a *applier) endFile(id int64) error {
	if err := a.loseFile(id); err != nil {
		return err
	}
	if err := a.endRows("ducklake_data_file", "data_file_id", id); err != nil {
		return err
	}
	return a.endRows("ducklake_delete_file", "data_file_id", id)
}

// loseFile takes a live file out of the table's counts.
func (a *applier) loseFile(id int64) error {
	var size int64
	err := a.q.QueryRowContext(a.ctx, `SELECT coalesce(file_size_bytes, 0) FROM ducklake_data_file WHERE data_file_id = ? AND end_snapshot IS NULL`, id).Scan(&size)
	if err != nil {
		return sqlError(a.ctx, err, "read the files")
	}
	a.gained.files--
	a.gained.bytes -= size
	return nil
}

// schedule puts a file on the list of those that wait for deletion: no
// snapshot from at on names it.
func (v *View) schedule(ctx context.Context, id int64, full string, at Snapshot) error {
	path, relative := strings.CutPrefix(full, v.c.dataPath)
	err := execAll(ctx, v.q, []statement{
		{`INSERT INTO ducklake_files_scheduled_for_deletion (data_file_id, path, path_is_relative, schedule_start) VALUES (?, ?, ?, ?)`, []any{id, path, relative, FormatTime(at.Time)}},
		{`INSERT INTO supertable_obsolete (path, until_snapshot) VALUES (?1, ?2) ON CONFLICT (path) DO UPDATE SET until_snapshot = max(until_snapshot, ?2)`, []any{path, at.ID}},
	})
	return err
}

// forgetFile removes what the catalog says of a data file that no snapshot from
// at on names. Its checksum stays until the file itself is gone. Its delete
// files go with it: DuckDB's flush of dead rows leaves one without an end on a
// file that has ended.
func (v *View) forgetFile(ctx context.Context, table, id int64, at Snapshot) error {
	deletes, err := v.filePaths(ctx, `SELECT x.delete_file_id, 0, x.table_id, x.path, x.path_is_relative FROM ducklake_delete_file x WHERE x.table_id = ? AND x.data_file_id = ?`, table, id)
	if err != nil {
		return err
	}
	for _, d := range deletes {
		if err := v.schedule(ctx, d.id, d.path, at); err != nil {
			return err
		}
		if err := execAll(ctx, v.q, []statement{{`DELETE FROM ducklake_delete_file WHERE delete_file_id = ?`, []any{d.id}}}); err != nil {
			return err
		}
	}
	return execAll(ctx, v.q, []statement{
		{`DELETE FROM ducklake_data_file WHERE data_file_id = ?`, []any{id}},
		{`DELETE FROM ducklake_file_column_stats WHERE data_file_id = ?`, []any{id}},
		{`DELETE FROM ducklake_file_variant_stats WHERE data_file_id = ?`, []any{id}},
		{`DELETE FROM ducklake_file_partition_value WHERE data_file_id = ?`, []any{id}},
		{`DELETE FROM supertable_restored WHERE file_id = ?`, []any{id}},
	})
}

// State identifies what is dead in a file: while it is the same, so are the
// dead rows.
type State struct {
	Deletes              string // the ids of the delete files, ascending
	Inlined, InlinedLast int64
}

// State is the file's state of dead rows at the snapshot that it was read at.
func (f *File) State() State {
	return State{f.deleteIDs(), f.Inlined, f.InlinedLast}
}

// Unchanged reports whether every one of the files is still live in the table
// at the head with the dead rows that it was listed with. It looks at these
// files alone.
func (v *View) Unchanged(ctx context.Context, t Table, files []File) (bool, error) {
	none, err := missing(ctx, v.q, inlinedDeletes(t.ID))
	if err != nil {
		return false, err
	}
	for i := range files {
		now, live, err := v.state(ctx, t, files[i].ID, none)
		if err != nil || !live || now != files[i].State() {
			return false, err
		}
	}
	return true, nil
}

func (v *View) state(ctx context.Context, t Table, file int64, noInlined bool) (State, bool, error) {
	var s State
	var live int
	err := v.q.QueryRowContext(ctx, `SELECT count(*) FROM ducklake_data_file WHERE data_file_id = ? AND table_id = ? AND end_snapshot IS NULL`, file, t.ID).Scan(&live)
	if err != nil || live == 0 {
		return s, false, sqlError(ctx, err, "read the files")
	}
	err = v.q.QueryRowContext(ctx, `SELECT coalesce(group_concat(id), '') FROM (SELECT delete_file_id AS id FROM ducklake_delete_file WHERE table_id = ? AND data_file_id = ? AND end_snapshot IS NULL ORDER BY 1)`, t.ID, file).Scan(&s.Deletes)
	if err != nil {
		return s, false, sqlError(ctx, err, "read the files")
	}
	if noInlined {
		return s, true, nil
	}
	err = v.q.QueryRowContext(ctx, `SELECT count(*), coalesce(max(begin_snapshot), 0) FROM `+inlinedDeletes(t.ID)+` WHERE file_id = ?`, file).Scan(&s.Inlined, &s.InlinedLast)
	return s, true, sqlError(ctx, err, "read the deletes")
}

// EverDirty tells which of the data files have, or had at some snapshot, dead
// rows: their history is not in the file alone.
func (v *View) EverDirty(ctx context.Context, t Table, files []File) (map[int64]bool, error) {
	none, err := missing(ctx, v.q, inlinedDeletes(t.ID))
	if err != nil {
		return nil, err
	}
	out := map[int64]bool{}
	for part := range chunks(fileIDs(files), idsAtOnce) {
		list, args := marks(part, t.ID)
		query := `SELECT data_file_id FROM ducklake_delete_file WHERE table_id = ?1 AND data_file_id IN (` + list + `)`
		if !none {
			again, _ := marks(part)
			query += ` UNION SELECT file_id FROM ` + inlinedDeletes(t.ID) + ` WHERE file_id IN (` + again + `)`
			args = append(args, args[1:]...)
		}
		ids, err := v.ids(ctx, query, args...)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			out[id] = true
		}
	}
	return out, nil
}

func fileIDs(files []File) []int64 {
	out := make([]int64, len(files))
	for i := range files {
		out[i] = files[i].ID
	}
	return out
}

// ids reads a column of ids.
func (v *View) ids(ctx context.Context, query string, args ...any) ([]int64, error) {
	rows, err := v.q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, sqlError(ctx, err, "read the catalog")
	}
	defer func() { _ = rows.Close() }()
	var out []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, sqlError(ctx, err, "read the catalog")
		}
		out = append(out, id)
	}
	return out, sqlError(ctx, rows.Err(), "read the catalog")
}

// Partitions gives, for those of the files that have one, their partition and
// its values as one text: files of the same text may be merged.
func (v *View) Partitions(ctx context.Context, files []File) (map[int64]string, error) {
	partition := map[int64]int64{}
	for part := range chunks(fileIDs(files), idsAtOnce) {
		list, args := marks(part)
		err := v.eachPair(ctx, `SELECT data_file_id, partition_id FROM ducklake_data_file WHERE data_file_id IN (`+list+`) AND partition_id IS NOT NULL`, args,
			func(file, id int64) { partition[file] = id })
		if err != nil {
			return nil, err
		}
	}
	out := make(map[int64]string, len(partition))
	if len(partition) == 0 {
		return out, nil
	}
	for file, id := range partition {
		out[file] = strconv.FormatInt(id, 10)
	}
	// The format's table has no index: one walk through it for all of them.
	rows, err := v.q.QueryContext(ctx, `SELECT data_file_id, partition_key_index, partition_value FROM ducklake_file_partition_value WHERE data_file_id BETWEEN ? AND ? ORDER BY data_file_id, partition_key_index`,
		files[0].ID, files[len(files)-1].ID)
	if err != nil {
		return nil, sqlError(ctx, err, "read the partitions")
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var file, index int64
		var value sql.NullString
		if err := rows.Scan(&file, &index, &value); err != nil {
			return nil, sqlError(ctx, err, "read the partitions")
		}
		if _, ok := partition[file]; ok {
			out[file] += fmt.Sprintf(" %d=%t%q", index, value.Valid, value.String)
		}
	}
	return out, sqlError(ctx, rows.Err(), "read the partitions")
}

func (v *View) eachPair(ctx context.Context, query string, args []any, each func(a, b int64)) error {
	rows, err := v.q.QueryContext(ctx, query, args...)
	if err != nil {
		return sqlError(ctx, err, "read the catalog")
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var a, b int64
		if err := rows.Scan(&a, &b); err != nil {
			return sqlError(ctx, err, "read the catalog")
		}
		each(a, b)
	}
	return sqlError(ctx, rows.Err(), "read the catalog")
}
