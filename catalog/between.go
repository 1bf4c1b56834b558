package catalog

import (
	"context"
	"slices"
)

// betweenAtOnce is how many changed files are read one by one; of more, the
// whole list of the table is cheaper.
const betweenAtOnce = 20 * idsAtOnce

// Between are the files of a table that may have other rows at one snapshot
// than at another.
type Between struct {
	ids  []int64
	many bool // they are too many to list
}

// Between finds them: every other file is there at both snapshots, with the
// same dead rows, or at neither.
func (v *View) Between(ctx context.Context, t Table, at, other int64) (b Between, err error) {
	from, to := min(at, other), max(at, other)
	query := changedBetween("ducklake_data_file") + ` UNION ` + changedBetween("ducklake_delete_file") + ` UNION ` + unsaidDeletes
	none, err := missing(ctx, v.q, inlinedDeletes(t.ID))
	if err != nil {
		return b, err
	}
	if !none {
		query += ` UNION SELECT file_id FROM ` + inlinedDeletes(t.ID) + ` WHERE begin_snapshot > ?2 AND begin_snapshot <= ?3`
	}
	b.ids, err = v.ids(ctx, query+` LIMIT ?4`, t.ID, from, to, betweenAtOnce+1)
	if b.many = len(b.ids) > betweenAtOnce; b.many {
		b.ids = nil
	}
	slices.Sort(b.ids)
	return b, err
}

// changedBetween selects the data files of table ?1 by a table of files:
// those that came, went, or show more rows after ?2 up to ?3. A file with rows of
// several snapshots shows more of them later, and so does a delete file. Each
// part has an index of its own.
func changedBetween(table string) string {
	part := `SELECT data_file_id FROM ` + table + ` WHERE table_id = ?1 AND `
	return part + `begin_snapshot > ?2 AND begin_snapshot <= ?3 UNION ` + part + `end_snapshot > ?2 AND end_snapshot <= ?3 UNION ` + part + `partial_max > ?2 AND begin_snapshot <= ?3`
}

// unsaidDeletes selects the data files of table ?1 whose delete file holds
// deletes of several snapshots and does not say up to which: DuckDB's flush of
// rows inside the catalog leaves partial_max out. Such a delete file lies on a
// file with rows of several snapshots, and it came after the snapshot that it
// begins with: that one had not given out its id yet.
const unsaidDeletes = `SELECT d.data_file_id FROM ducklake_data_file f JOIN ducklake_delete_file d ON d.table_id = f.table_id AND d.data_file_id = f.data_file_id
 WHERE f.table_id = ?1 AND f.partial_max IS NOT NULL AND d.partial_max IS NULL AND d.begin_snapshot <= ?2 AND (d.end_snapshot IS NULL OR d.end_snapshot > ?2)
 AND d.delete_file_id >= coalesce((SELECT s.next_file_id FROM ducklake_snapshot s WHERE s.snapshot_id = d.begin_snapshot), 0)`

// FilesBetween lists those of the files that are there at a snapshot, as Files
// does; it may list more.
func (v *View) FilesBetween(ctx context.Context, t Table, at int64, b Between, leaves []int64) ([]File, error) {
	if b.many {
		return v.Files(ctx, t, at, leaves)
	}
	return v.filesOf(ctx, t, at, leaves, b.ids)
}
