package catalog

import (
	"context"
	"math"
	"strconv"
	"strings"
)

// Window says which data files of a table to list: some at a time, in the
// order of their ids, however many there are. A file is in it when any of
// Below, Dirty and Inlined wants it.
type Window struct {
	// After is the id behind which the window begins; the first one begins
	// behind -1.
	After int64
	// Upto is the last id to list; 0 is no such bound.
	Upto int64
	// Most bounds how many files are looked at.
	Most int
	// Below wants files of fewer bytes.
	Below int64
	// Dirty wants files of which rows are dead.
	Dirty bool
	// Inlined wants files of which the catalog itself lists dead rows.
	Inlined bool
	// IDs, when not nil, are the files to list, ascending; nothing else holds then.
	IDs []int64
}

// FilesIn lists the files of a window at snapshot at, as Files does. last is
// where the next window begins; more tells that there may be one.
func (v *View) FilesIn(ctx context.Context, t Table, at int64, w Window, stats []int64) (files []File, last int64, more bool, err error) {
	ids := w.IDs
	if ids == nil {
		if ids, err = v.windowIDs(ctx, t, at, w); err != nil {
			return nil, 0, false, err
		}
		more = len(ids) >= w.Most
	}
	last = w.After
	if len(ids) > 0 {
		last = ids[len(ids)-1]
	}
	files, err = v.filesOf(ctx, t, at, stats, ids)
	return files, last, more, err
}

// windowIDs gives the ids of a window. Each part of the union comes in the
// order of an index, so that nothing behind the window is looked at.
func (v *View) windowIDs(ctx context.Context, t Table, at int64, w Window) ([]int64, error) {
	upto := w.Upto
	if upto == 0 {
		upto = math.MaxInt64
	}
	byID, byFile := " INDEXED BY supertable_idx_data_file_id", " INDEXED BY supertable_idx_delete_file"
	if v.c.foreign { // it has no indexes of ours
		byID, byFile = "", ""
	}
	var parts []string
	if w.Below > 0 {
		parts = append(parts, `SELECT x.data_file_id AS id FROM ducklake_data_file x`+byID+` WHERE x.table_id = ?1 AND x.data_file_id > ?3 AND x.data_file_id <= ?4 AND coalesce(x.file_size_bytes, 0) < `+strconv.FormatInt(w.Below, 10)+` AND`+visible)
	}
	if w.Dirty {
		parts = append(parts, `SELECT x.data_file_id AS id FROM ducklake_delete_file x`+byFile+` WHERE x.table_id = ?1 AND x.data_file_id > ?3 AND x.data_file_id <= ?4 AND`+visible)
	}
	if w.Dirty || w.Inlined {
		none, err := missing(ctx, v.q, inlinedDeletes(t.ID))
		if err != nil {
			return nil, err
		}
		if !none {
			parts = append(parts, `SELECT file_id AS id FROM `+inlinedDeletes(t.ID)+` WHERE file_id > ?3 AND file_id <= ?4 AND begin_snapshot <= ?2`)
		}
	}
	if len(parts) == 0 {
		return nil, nil
	}
	if len(parts) == 1 {
		parts[0] = strings.Replace(parts[0], "SELECT", "SELECT DISTINCT", 1)
	}
	return v.ids(ctx, strings.Join(parts, ` UNION `)+` ORDER BY id LIMIT ?5`, t.ID, at, w.After, upto, w.Most)
}

// Weight is what the files of a table come to at one snapshot.
type Weight struct {
	Files, Bytes int64
	// Small and SmallBytes are of the files below a size.
	Small, SmallBytes int64
	// Dead rows are those that delete files hold. Inlined are those that the
	// catalog itself lists.
	Dead, Inlined int64
	// LastID is the highest id that a file may have.
	LastID int64
}

// Weigh sums up a table's files at snapshot at inside the database; small is
// the size below which a file is.
func (v *View) Weigh(ctx context.Context, t Table, at, small int64) (Weight, error) {
	w := Weight{LastID: v.Head.nextFileID - 1}
	err := v.q.QueryRowContext(ctx, `SELECT count(*), coalesce(sum(file_size_bytes), 0), coalesce(sum(coalesce(file_size_bytes, 0) < ?3), 0), coalesce(sum(CASE WHEN file_size_bytes < ?3 THEN file_size_bytes END), 0)
 FROM ducklake_data_file x WHERE x.table_id = ?1 AND`+visible, t.ID, at, small).Scan(&w.Files, &w.Bytes, &w.Small, &w.SmallBytes)
	if err != nil {
		return w, sqlError(ctx, err, "count the files")
	}
	err = v.q.QueryRowContext(ctx, `SELECT coalesce(sum(delete_count), 0) FROM ducklake_delete_file x WHERE x.table_id = ?1 AND`+visible, t.ID, at).Scan(&w.Dead)
	if err != nil {
		return w, sqlError(ctx, err, "count the files")
	}
	none, err := missing(ctx, v.q, inlinedDeletes(t.ID))
	if err != nil || none {
		return w, err
	}
	err = v.q.QueryRowContext(ctx, `SELECT count(*) FROM `+inlinedDeletes(t.ID)+` i CROSS JOIN ducklake_data_file x ON x.data_file_id = i.file_id WHERE i.begin_snapshot <= ?2 AND x.table_id = ?1 AND`+visible, t.ID, at).Scan(&w.Inlined)
	return w, sqlError(ctx, err, "count the deletes")
}
