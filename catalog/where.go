package catalog

import (
	"context"

	"github.com/supertable-go/supertable/datafile"
)

// Where says what a file must be able to hold to be of use, as far as the
// statistics of files can tell. Nil is anything.
type Where interface{ where() }

// WhereAll is all of them.
type WhereAll []Where

// WhereAny is at least one of them.
type WhereAny []Where

// WhereBetween is a value of a top-level column from Lo to Hi, both included;
// nil is no end. NULL is no value.
type WhereBetween struct {
	Column datafile.Column
	Lo, Hi *datafile.Bound
}

// WhereNull is a NULL in a top-level column.
type WhereNull struct{ Column datafile.Column }

func (WhereAll) where()     {}
func (WhereAny) where()     {}
func (WhereBetween) where() {}
func (WhereNull) where()    {}

// Totals are a table at one snapshot, by the catalog's counts.
type Totals struct{ Rows, Files, Bytes int64 }

// Selection is the files of a table that are left.
type Selection struct {
	// Files has at least every file that may hold what was asked for, in the
	// order of the ids.
	Files []File
	// Total is the whole table. Nil when Files has every file.
	Total *Totals
}

const (
	// indexFrom is the number of files from which on a table's files are
	// looked for in the index. Fewer are looked at one by one in memory.
	indexFrom = 1000
	// selective is what part of a table's files the index may find: where more
	// match, reading the list in one go is cheaper.
	selective = 8
)

// SelectFiles lists the files of a table that may hold what where says, with
// the statistics of the leaves. What it costs grows with the files that it
// finds, not with those that are there; only where too many match, or where
// statistics say nothing, it lists them all.
func (v *View) SelectFiles(ctx context.Context, t Table, at int64, leaves []int64, where Where) (Selection, error) {
	if where != nil && v.c.index.usable() {
		total, err := v.totals(ctx, t, at)
		if err != nil {
			return Selection{}, err
		}
		if total.Files >= v.c.index.from {
			ids, ok, err := v.c.index.find(ctx, v, t, where, int(max(64, total.Files/selective)))
			if err != nil {
				return Selection{}, err
			}
			if ok {
				files, err := v.filesOf(ctx, t, at, leaves, ids)
				return Selection{Files: files, Total: &total}, err
			}
		}
	}
	list := v.PlannedFiles
	if !v.reading {
		list = v.Files
	}
	files, err := list(ctx, t, at, leaves)
	return Selection{Files: files}, err
}

// totals gives the table's size at a snapshot: what the commits keep of the
// head, else counted.
func (v *View) totals(ctx context.Context, t Table, at int64) (Totals, error) {
	known, err := v.lastKnown(ctx)
	if err != nil {
		return Totals{}, err
	}
	if at == v.Head.ID && known >= at {
		s, err := v.live(ctx, t.ID)
		return Totals{s.rows, s.files, s.bytes}, err
	}
	key := fileListKey{t.ID, at}
	if total, ok := v.c.files.total(v.Head.ID, key); ok {
		return total, nil
	}
	total, err := v.count(ctx, t, at)
	if err == nil && v.reading {
		v.c.files.keep(v.Head.ID, 1, func(c *fileCache) { c.totals[key] = total })
	}
	return total, err
}

// visible is true of a versioned row x at snapshot ?2.
const visible = ` x.begin_snapshot <= ?2 AND (x.end_snapshot IS NULL OR ?2 < x.end_snapshot)`

// count counts a table's rows, files and bytes inside the database.
func (v *View) count(ctx context.Context, t Table, at int64) (Totals, error) {
	var s Totals
	err := v.q.QueryRowContext(ctx, `SELECT coalesce(sum(record_count), 0), count(*), coalesce(sum(file_size_bytes), 0) FROM ducklake_data_file x WHERE x.table_id = ?1 AND`+visible, t.ID, at).Scan(&s.Rows, &s.Files, &s.Bytes)
	if err != nil {
		return s, sqlError(ctx, err, "count the files")
	}
	var dead int64
	err = v.q.QueryRowContext(ctx, `SELECT coalesce(sum(delete_count), 0) FROM ducklake_delete_file x WHERE x.table_id = ?1 AND`+visible, t.ID, at).Scan(&dead)
	if err != nil {
		return s, sqlError(ctx, err, "count the files")
	}
	s.Rows -= dead
	none, err := missing(ctx, v.q, inlinedDeletes(t.ID))
	if err != nil {
		return s, err
	}
	if !none {
		err = v.q.QueryRowContext(ctx, `SELECT count(*) FROM `+inlinedDeletes(t.ID)+` d CROSS JOIN ducklake_data_file x ON x.data_file_id = d.file_id WHERE d.begin_snapshot <= ?2 AND x.table_id = ?1 AND`+visible, t.ID, at).Scan(&dead)
		if err != nil {
			return s, sqlError(ctx, err, "count the files")
		}
		s.Rows -= dead
	}
	n, err := v.CountInlinedRows(ctx, t, at)
	s.Rows = max(0, s.Rows) + n
	return s, err
}
