package catalog

import (
	"context"
	"slices"
)

// maintenance lists the entries of changes_made that move rows and change none.
var maintenance = []string{"merge_adjacent", "rewrite_delete", "inline_flush", "flushed_inlined", "compacted_table"}

// Touch is one table that one snapshot changed.
type Touch struct {
	Snapshot, Before int64 // the snapshot, and the retained one before it
	Table            int64
	// Plain is set when the snapshot only added and ended rows, so that a row
	// in the same place before and after is the same row, and any other is not.
	Plain bool
}

// Touches lists, ascending, which tables the retained snapshots after from up
// to to changed. Maintenance alone changes nothing. After a snapshot that has
// expired nobody knows, so every table may have changed.
func (v *View) Touches(ctx context.Context, from, to int64) ([]Touch, error) {
	out, err := v.touches(ctx, from, to)
	if err != nil {
		return nil, err
	}
	moved := map[int64]movedRows{}
	for i := range out {
		m, ok := moved[out[i].Table]
		if !ok {
			if m, err = v.movedRows(ctx, out[i].Table, from, to); err != nil {
				return nil, err
			}
			moved[out[i].Table] = m
		}
		out[i].Plain = out[i].Plain && m.plain(out[i].Snapshot)
	}
	return out, nil
}

// touches is Touches without a look at the tables: Plain is what the snapshot
// itself says.
func (v *View) touches(ctx context.Context, from, to int64) ([]Touch, error) {
	made, err := v.madeBetween(ctx, from, to)
	if err != nil {
		return nil, err
	}
	var out []Touch
	before := from
	for _, m := range made {
		list, err := v.touchesOf(ctx, m, before)
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
		before = m.snapshot
	}
	return out, nil
}

type madeChanges struct {
	snapshot int64
	text     string
}

func (v *View) madeBetween(ctx context.Context, from, to int64) ([]madeChanges, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT s.snapshot_id, coalesce(c.changes_made, '') FROM ducklake_snapshot s LEFT JOIN ducklake_snapshot_changes c ON c.snapshot_id = s.snapshot_id
 WHERE s.snapshot_id > ? AND s.snapshot_id <= ? ORDER BY s.snapshot_id`, from, to)
	if err != nil {
		return nil, sqlError(ctx, err, "read the changes")
	}
	defer func() { _ = rows.Close() }()
	var out []madeChanges
	for rows.Next() {
		var m madeChanges
		if err := rows.Scan(&m.snapshot, &m.text); err != nil {
			return nil, sqlError(ctx, err, "read the changes")
		}
		out = append(out, m)
	}
	return out, sqlError(ctx, rows.Err(), "read the changes")
}

func (v *View) touchesOf(ctx context.Context, m madeChanges, before int64) ([]Touch, error) {
	if m.snapshot != before+1 { // a hole
		ids, err := v.tablesAtEither(ctx, before, m.snapshot)
		var out []Touch
		for _, id := range ids {
			out = append(out, Touch{Snapshot: m.snapshot, Before: before, Table: id})
		}
		return out, err
	}
	entries := ParseChanges(m.text)
	moved := map[string]bool{}
	entries = slices.DeleteFunc(entries, func(e ChangeEntry) bool {
		if slices.Contains(maintenance, e.Type) {
			moved[e.Value] = true
			return true
		}
		return false
	})
	ids, err := v.tablesOf(ctx, m.snapshot, entries)
	if err != nil {
		return nil, err
	}
	var out []Touch
	for _, id := range ids {
		out = append(out, Touch{Snapshot: m.snapshot, Before: before, Table: id, Plain: len(moved) == 0})
	}
	return out, nil
}

// movedRows tells in which snapshots rows of a table may not have kept their
// places: where an ALTER wrote them again, and where one file holds rows of
// several snapshots.
type movedRows struct {
	partial []partialFile
	altered map[int64]bool
}

type partialFile struct{ begin, end, last int64 }

func (m movedRows) plain(at int64) bool {
	return !m.altered[at] &&
		!slices.ContainsFunc(m.partial, func(f partialFile) bool { return f.begin <= at && at <= f.end && at <= f.last })
}

// movedRows looks at the snapshots after from up to to.
func (v *View) movedRows(ctx context.Context, table, from, to int64) (movedRows, error) {
	m := movedRows{altered: map[int64]bool{}}
	err := v.eachTriple(ctx, `SELECT begin_snapshot, coalesce(end_snapshot, 9223372036854775807), partial_max FROM ducklake_data_file
 WHERE table_id = ?1 AND partial_max > ?2 AND begin_snapshot <= ?3 AND (end_snapshot IS NULL OR end_snapshot > ?2)`, []any{table, from, to},
		func(a, b, c int64) { m.partial = append(m.partial, partialFile{a, b, c}) })
	if err != nil || v.c.foreign {
		return m, err
	}
	err = v.eachTriple(ctx, `SELECT snapshot_id, 0, 0 FROM supertable_change WHERE table_id = ?1 AND operation = 'alter' AND snapshot_id > ?2 AND snapshot_id <= ?3`, []any{table, from, to},
		func(at, _, _ int64) { m.altered[at] = true })
	return m, err
}

func (v *View) eachTriple(ctx context.Context, query string, args []any, each func(a, b, c int64)) error {
	rows, err := v.q.QueryContext(ctx, query, args...)
	if err != nil {
		return sqlError(ctx, err, "read the changes")
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var a, b, c int64
		if err := rows.Scan(&a, &b, &c); err != nil {
			return sqlError(ctx, err, "read the changes")
		}
		each(a, b, c)
	}
	return sqlError(ctx, rows.Err(), "read the changes")
}

func (v *View) tablesAtEither(ctx context.Context, a, b int64) ([]int64, error) {
	var out []int64
	for _, at := range []int64{a, b} {
		tables, err := v.Tables(ctx, at)
		if err != nil {
			return nil, err
		}
		for _, t := range tables {
			out = append(out, t.ID)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// LastAlike gives the last snapshot at which the table surely had the rows and
// columns of snapshot at: files may have been rewritten since. Less has to
// move when a state comes back from there.
func (v *View) LastAlike(ctx context.Context, t Table, at int64) (int64, error) {
	touches, err := v.touches(ctx, at, v.Head.ID)
	if err != nil {
		return at, err
	}
	last := v.Head.ID
	for _, x := range touches {
		if x.Table == t.ID {
			last = x.Before
			break
		}
	}
	return last, nil
}

// ColumnRoots gives the first id of those top-level columns that took another
// one's place: an ALTER with a cast, or a first value, gives a column a new id
// under the same name in one snapshot.
func (v *View) ColumnRoots(ctx context.Context, table int64) (map[int64]int64, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT n.column_id, o.column_id FROM ducklake_column n JOIN ducklake_column o
 ON o.table_id = n.table_id AND o.end_snapshot = n.begin_snapshot AND o.column_name = n.column_name COLLATE NOCASE AND o.column_id < n.column_id AND o.parent_column IS NULL
 WHERE n.table_id = ?1 AND n.parent_column IS NULL
 AND n.begin_snapshot = (SELECT min(f.begin_snapshot) FROM ducklake_column f WHERE f.table_id = ?1 AND f.column_id = n.column_id) ORDER BY n.column_id`, table)
	if err != nil {
		return nil, sqlError(ctx, err, "read the columns")
	}
	defer func() { _ = rows.Close() }()
	out := map[int64]int64{}
	for rows.Next() {
		var id, before int64
		if err := rows.Scan(&id, &before); err != nil {
			return nil, sqlError(ctx, err, "read the columns")
		}
		if root, ok := out[before]; ok {
			before = root
		}
		out[id] = before
	}
	return out, sqlError(ctx, rows.Err(), "read the columns")
}
