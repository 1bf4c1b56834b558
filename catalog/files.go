package catalog

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/internal/errs"
)

// File is a data file at one snapshot, with what is dead in it.
type File struct {
	ID         int64
	Path       string // where it is
	Records    int64  // rows in the file, dead ones included
	Size       int64
	Footer     int64 // 0 when unknown
	RowIDStart int64
	Begin      int64
	// PartialMax is set when the file holds rows of several snapshots: rows
	// whose own snapshot id is above the snapshot read are not there yet.
	PartialMax *int64
	// MappingID is set when the file's columns are found by name.
	MappingID *int64
	// Delete is the live delete file, or nil. More are further ones with higher
	// ids, ascending, which the format does not know and DuckDB leaves behind, in
	// the past only: when it has rewritten a file and then flushes the deletes
	// that it had inlined.
	Delete *DeleteFile
	More   []*DeleteFile
	// Inlined is the number of dead rows listed in the catalog itself, and
	// InlinedLast the newest snapshot among them: together with the
	// delete files they identify the set of dead rows.
	Inlined, InlinedLast int64
	// Outside tells that the file lies elsewhere than in the data folder:
	// another client added it from there.
	Outside bool
	// Stats has the statistics that were asked for, by leaf id.
	Stats map[int64]datafile.Stats

	restored *restored // nil unless it came back
}

// DeleteFile lists dead rows of one data file.
type DeleteFile struct {
	ID         int64
	Path       string
	Format     string
	Count      int64
	Size       int64
	Footer     int64
	Begin      int64
	PartialMax *int64 // positions carry their own snapshot ids when set
}

// addDelete adds one more delete file.
func (f *File) addDelete(d *DeleteFile) {
	all := append(f.deletes(), d)
	slices.SortFunc(all, func(a, b *DeleteFile) int { return cmp.Compare(a.ID, b.ID) })
	f.Delete, f.More = all[0], all[1:]
}

// deletes gives all delete files, by id.
func (f *File) deletes() []*DeleteFile {
	if f.Delete == nil {
		return nil
	}
	return append([]*DeleteFile{f.Delete}, f.More...)
}

// deleteIDs names the delete files, as State has them.
func (f *File) deleteIDs() string {
	var ids []string
	for _, d := range f.deletes() {
		ids = append(ids, strconv.FormatInt(d.ID, 10))
	}
	return strings.Join(ids, ",")
}

// Dirty reports whether any row of the file may be dead.
func (f *File) Dirty() bool { return f.Delete != nil || f.Inlined > 0 }

// Files lists the data files of table at snapshot at, in the order of their
// ids, with the statistics of the given leaves.
func (v *View) Files(ctx context.Context, table Table, at int64, stats []int64) ([]File, error) {
	out, err := v.listFiles(ctx, table, at, nil)
	if err != nil || len(out) == 0 {
		return nil, err
	}
	if err := v.countInlined(ctx, table, at, out, nil); err != nil {
		return nil, err
	}
	if err := v.loadRestored(ctx, table, out); err != nil {
		return nil, err
	}
	return out, v.loadStats(ctx, table, out, stats)
}

// idsAtOnce bounds how many ids stand in one statement.
const idsAtOnce = 500

// filesOf is Files for some ids, ascending. What it costs depends on them alone.
func (v *View) filesOf(ctx context.Context, table Table, at int64, stats, ids []int64) ([]File, error) {
	out := []File{}
	for part := range chunks(ids, idsAtOnce) {
		files, err := v.listFiles(ctx, table, at, part)
		if err != nil {
			return nil, err
		}
		if err := v.countInlined(ctx, table, at, files, part); err != nil {
			return nil, err
		}
		if err := v.restoredOf(ctx, files, part); err != nil {
			return nil, err
		}
		if err := v.statsOf(ctx, table, files, stats, part); err != nil {
			return nil, err
		}
		out = append(out, files...)
	}
	return out, nil
}

// marks gives what stands for a list of ids in a statement, and its arguments
// behind the first ones.
func marks(ids []int64, first ...any) (string, []any) {
	for _, id := range ids {
		first = append(first, id)
	}
	return strings.TrimSuffix(strings.Repeat("?,", len(ids)), ","), first
}

// listFiles reads the rows of the files that are there at a snapshot; ids, when
// not nil, are those to read.
func (v *View) listFiles(ctx context.Context, table Table, at int64, ids []int64) ([]File, error) {
	only, args := "", []any{table.ID, at}
	if ids != nil {
		only, args = marks(ids, args...)
		only = ` AND +f.table_id = ?1 AND f.data_file_id IN (` + only + `)`
	} else {
		only = ` AND f.table_id = ?1`
	}
	rows, err := v.q.QueryContext(ctx, `SELECT f.data_file_id, f.path, f.path_is_relative, f.file_format, f.record_count, f.file_size_bytes, coalesce(f.footer_size, 0), coalesce(f.row_id_start, 0), f.begin_snapshot, f.partial_max, f.mapping_id, f.encryption_key,
 d.delete_file_id, d.path, d.path_is_relative, d.format, d.delete_count, d.file_size_bytes, coalesce(d.footer_size, 0), d.begin_snapshot, d.partial_max, d.encryption_key
 FROM ducklake_data_file f LEFT JOIN ducklake_delete_file d ON d.table_id = f.table_id AND d.data_file_id = f.data_file_id AND d.begin_snapshot <= ?2 AND (d.end_snapshot IS NULL OR ?2 < d.end_snapshot)
 WHERE f.begin_snapshot <= ?2 AND (f.end_snapshot IS NULL OR ?2 < f.end_snapshot)`+only+` ORDER BY f.data_file_id`, args...)
	if err != nil {
		return nil, sqlError(ctx, err, "read the files")
	}
	defer func() { _ = rows.Close() }()
	var out []File
	for rows.Next() {
		f, err := v.scanFile(ctx, rows, table)
		if err != nil {
			return nil, err
		}
		if n := len(out); n > 0 && out[n-1].ID == f.ID { // joined with one more delete file
			out[n-1].addDelete(f.Delete)
			continue
		}
		out = append(out, f)
	}
	if err := rows.Err(); err != nil {
		return nil, sqlError(ctx, err, "read the files")
	}
	return out, nil
}

func (v *View) scanFile(ctx context.Context, rows *sql.Rows, table Table) (File, error) {
	var f File
	var path, dpath, format, dformat, key, dkey sql.NullString
	var rel, drel sql.NullBool
	var partial, mapping, did, dcount, dsize, dfooter, dbegin, dpartial sql.NullInt64
	err := rows.Scan(&f.ID, &path, &rel, &format, &f.Records, &f.Size, &f.Footer, &f.RowIDStart, &f.Begin, &partial, &mapping, &key,
		&did, &dpath, &drel, &dformat, &dcount, &dsize, &dfooter, &dbegin, &dpartial, &dkey)
	if cerr := errs.FromContext(ctx, "read the files"); err != nil && cerr != nil {
		return f, cerr // rows that were called off cannot be read either
	}
	if err != nil {
		return f, errs.Wrap(errs.Corrupt, err, "the catalog has an unreadable row for a data file")
	}
	if key.String != "" || dkey.String != "" {
		return f, errs.New(errs.Unsupported, "table %q has encrypted files, which are not supported", table.Name)
	}
	if !strings.EqualFold(format.String, "parquet") {
		return f, errs.New(errs.Unsupported, "table %q has files of format %q, which is not supported", table.Name, format.String)
	}
	f.Path = join(table.path, path, rel)
	f.Outside = v.c != nil && !strings.HasPrefix(f.Path, v.c.dataPath)
	f.PartialMax, f.MappingID = optional(partial), optional(mapping)
	if did.Valid {
		if !strings.EqualFold(dformat.String, "parquet") {
			return f, errs.New(errs.Unsupported, "table %q has delete files of format %q, which is not supported", table.Name, dformat.String)
		}
		d := &DeleteFile{ID: did.Int64, Path: join(table.path, dpath, drel), Format: dformat.String, Count: dcount.Int64, Size: dsize.Int64, Footer: dfooter.Int64, Begin: dbegin.Int64, PartialMax: optional(dpartial)}
		f.Delete = d
	}
	return f, nil
}

func optional(n sql.NullInt64) *int64 {
	if !n.Valid {
		return nil
	}
	return &n.Int64
}

func inlinedDeletes(table int64) string { return fmt.Sprintf("ducklake_inlined_delete_%d", table) }

// countInlined fills in how many dead rows the catalog itself lists per file;
// ids, when not nil, are those of the files.
func (v *View) countInlined(ctx context.Context, table Table, at int64, files []File, ids []int64) error {
	if len(files) == 0 {
		return nil
	}
	none, err := missing(ctx, v.q, inlinedDeletes(table.ID))
	if err != nil || none {
		return err
	}
	byID := make(map[int64]*File, len(files))
	for i := range files {
		byID[files[i].ID] = &files[i]
	}
	only, args := "", []any{at}
	if ids != nil {
		only, args = marks(ids, args...)
		only = ` AND file_id IN (` + only + `)`
	}
	rows, err := v.q.QueryContext(ctx, `SELECT file_id, count(*), max(begin_snapshot) FROM `+inlinedDeletes(table.ID)+` WHERE begin_snapshot <= ?`+only+` GROUP BY file_id`, args...)
	if err != nil {
		return sqlError(ctx, err, "read the deletes")
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id, n, last int64
		if err := rows.Scan(&id, &n, &last); err != nil {
			return sqlError(ctx, err, "read the deletes")
		}
		if f := byID[id]; f != nil {
			f.Inlined, f.InlinedLast = n, last
		}
	}
	return sqlError(ctx, rows.Err(), "read the deletes")
}

// InlinedDelete is one dead row that the catalog itself lists.
type InlinedDelete struct{ Position, Snapshot int64 }

// InlinedDeletes lists the dead rows of a file that the catalog itself has, up
// to snapshot at.
func (v *View) InlinedDeletes(ctx context.Context, table Table, file, at int64) ([]InlinedDelete, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT row_id, begin_snapshot FROM `+inlinedDeletes(table.ID)+` WHERE file_id = ? AND begin_snapshot <= ?`, file, at)
	if err != nil {
		return nil, sqlError(ctx, err, "read the deletes")
	}
	defer func() { _ = rows.Close() }()
	var out []InlinedDelete
	for rows.Next() {
		var d InlinedDelete
		if err := rows.Scan(&d.Position, &d.Snapshot); err != nil {
			return nil, sqlError(ctx, err, "read the deletes")
		}
		out = append(out, d)
	}
	return out, sqlError(ctx, rows.Err(), "read the deletes")
}

const selectStats = `SELECT data_file_id, column_id, coalesce(column_size_bytes, 0), value_count, null_count, min_value, max_value, contains_nan FROM ducklake_file_column_stats `

// loadStats fills in the statistics of the leaves. When the files are few it
// asks per file, else it reads each leaf's rows of the whole table once.
func (v *View) loadStats(ctx context.Context, table Table, files []File, leaves []int64) error {
	if len(files) <= 8 {
		ids := make([]int64, len(files))
		for i := range files {
			ids[i] = files[i].ID
		}
		return v.statsOf(ctx, table, files, leaves, ids)
	}
	if len(leaves) == 0 {
		return nil
	}
	byID := statsByFile(files, len(leaves))
	for _, leaf := range leaves {
		if err := v.scanStats(ctx, byID, selectStats+`WHERE table_id = ? AND column_id = ?`, []any{table.ID, leaf}); err != nil {
			return err
		}
	}
	return nil
}

// statsOf fills in the statistics of files with these ids.
func (v *View) statsOf(ctx context.Context, table Table, files []File, leaves, ids []int64) error {
	if len(leaves) == 0 || len(files) == 0 {
		return nil
	}
	byID := statsByFile(files, len(leaves))
	for _, leaf := range leaves {
		list, args := marks(ids, table.ID, leaf)
		if err := v.scanStats(ctx, byID, selectStats+`WHERE table_id = ? AND column_id = ? AND data_file_id IN (`+list+`)`, args); err != nil {
			return err
		}
	}
	return nil
}

// statsByFile gives each file room for statistics.
func statsByFile(files []File, leaves int) map[int64]*File {
	byID := make(map[int64]*File, len(files))
	for i := range files {
		files[i].Stats = make(map[int64]datafile.Stats, leaves)
		byID[files[i].ID] = &files[i]
	}
	return byID
}

// rawStats are statistics as the catalog has them.
type rawStats struct {
	values, nulls sql.NullInt64
	lo, hi        sql.NullString
	nan           sql.NullBool
}

// stats gives what is known by them; ok is false when that is nothing: without
// counts nothing is, and 0 and 0 is DuckDB's for types without bounds.
func (r *rawStats) stats() (s datafile.Stats, ok bool) {
	if !r.values.Valid || !r.nulls.Valid || r.values.Int64+r.nulls.Int64 == 0 {
		return s, false
	}
	s.ValueCount, s.NullCount = r.values.Int64, r.nulls.Int64
	if r.lo.Valid {
		lo := r.lo.String
		s.Min = &lo
	}
	if r.hi.Valid {
		hi := r.hi.String
		s.Max = &hi
	}
	if r.nan.Valid {
		nan := r.nan.Bool
		s.ContainsNaN = &nan
	}
	return s, true
}

func (v *View) scanStats(ctx context.Context, byID map[int64]*File, query string, args []any) error {
	rows, err := v.q.QueryContext(ctx, query, args...)
	if err != nil {
		return sqlError(ctx, err, "read the statistics")
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var file, leaf, size int64
		var raw rawStats
		if err := rows.Scan(&file, &leaf, &size, &raw.values, &raw.nulls, &raw.lo, &raw.hi, &raw.nan); err != nil {
			return sqlError(ctx, err, "read the statistics")
		}
		f := byID[file]
		s, ok := raw.stats()
		if f == nil || !ok {
			continue
		}
		s.ColumnID, s.SizeBytes = leaf, size
		f.Stats[leaf] = s
	}
	return sqlError(ctx, rows.Err(), "read the statistics")
}

// OurFiles gives those data files of a table, by id, that this program wrote.
func (v *View) OurFiles(ctx context.Context, table Table) (map[int64]bool, error) {
	if v.c != nil && v.c.foreign {
		return nil, nil
	}
	ids, err := v.ids(ctx, `SELECT f.data_file_id FROM ducklake_data_file f JOIN supertable_file s ON s.file_id = f.data_file_id WHERE f.table_id = ?`, table.ID)
	ours := make(map[int64]bool, len(ids))
	for _, id := range ids {
		ours[id] = true
	}
	return ours, err
}
