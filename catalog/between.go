package catalog

import (
	"context"
	"slices"
)

// betweenAtOnce is how many changed files are read one by one; of more, the
// whole list of the table is cheaper.
const betweenAtOnce = 20 * idsAtOnce

// FilesBetween lists those files of a table at snapshot at that may have other
// rows at snapshot other: what is left out is there at both, with the same dead
// rows, or at neither. It may list more.
func (v *View) FilesBetween(ctx context.Context, t Table, at, other int64, leaves []int64) ([]File, error) {
	from, to := min(at, other), max(at, other)
	// A file with rows of several snapshots shows more of them later, and so does
	// a delete file.
	query := `SELECT data_file_id FROM ducklake_data_file WHERE table_id = ?1 AND (begin_snapshot > ?2 AND begin_snapshot <= ?3 OR end_snapshot > ?2 AND end_snapshot <= ?3 OR partial_max > ?2 AND begin_snapshot <= ?3)
 UNION SELECT data_file_id FROM ducklake_delete_file WHERE table_id = ?1 AND (begin_snapshot > ?2 AND begin_snapshot <= ?3 OR end_snapshot > ?2 AND end_snapshot <= ?3 OR partial_max > ?2 AND begin_snapshot <= ?3)`
	none, err := missing(ctx, v.q, inlinedDeletes(t.ID))
	if err != nil {
		return nil, err
	}
	if !none {
		query += ` UNION SELECT file_id FROM ` + inlinedDeletes(t.ID) + ` WHERE begin_snapshot > ?2 AND begin_snapshot <= ?3`
	}
	ids, err := v.ids(ctx, query+` LIMIT ?4`, t.ID, from, to, betweenAtOnce+1)
	if err != nil {
		return nil, err
	}
	if len(ids) > betweenAtOnce {
		return v.Files(ctx, t, at, leaves)
	}
	slices.Sort(ids)
	return v.filesOf(ctx, t, at, leaves, ids)
}
