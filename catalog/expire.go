package catalog

import (
	"context"
	"database/sql"
	"path/filepath"
	"strings"
	"time"

	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/internal/errs"
)

// stepRows bounds how much one transaction of expiry or cleaning does: writers
// wait no longer than for one of theirs.
const stepRows = 500

// Retained is a snapshot as expiry judges it.
type Retained struct {
	ID   int64
	Time time.Time
	// Ordinary tells that it changed a table that is not a system table.
	Ordinary bool
	Tagged   bool
}

// Retained lists the snapshots that are there, ascending.
func (v *View) Retained(ctx context.Context) ([]Retained, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT s.snapshot_id, s.snapshot_time,
 EXISTS (SELECT 1 FROM supertable_change c WHERE c.snapshot_id = s.snapshot_id AND NOT (c.table_name LIKE '\_\_%\_\_' ESCAPE '\')),
 EXISTS (SELECT 1 FROM supertable_tag t WHERE t.snapshot_id = s.snapshot_id) FROM ducklake_snapshot s ORDER BY s.snapshot_id`)
	if err != nil {
		return nil, sqlError(ctx, err, "read the snapshots")
	}
	defer func() { _ = rows.Close() }()
	var out []Retained
	for rows.Next() {
		var r Retained
		var at string
		if err := rows.Scan(&r.ID, &at, &r.Ordinary, &r.Tagged); err != nil {
			return nil, sqlError(ctx, err, "read the snapshots")
		}
		if r.Time, err = ParseTime(at); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, sqlError(ctx, rows.Err(), "read the snapshots")
}

// Expire removes snapshots with what our history kept of them, some per
// transaction. The newest snapshot and those that got a tag meanwhile stay. It
// gives those that went. What they alone named is still there: Forget it.
func (c *Catalog) Expire(ctx context.Context, snapshots []int64) ([]int64, error) {
	gone := []int64{}
	for part := range chunks(snapshots, stepRows) {
		var did []int64
		err := c.write(ctx, func(q querier) error {
			did = nil
			if err := execAll(ctx, q, []statement{{`INSERT INTO ducklake_metadata ("key", "value") SELECT 'supertable.expired', 'true' WHERE NOT EXISTS (SELECT 1 FROM ducklake_metadata WHERE "key" = 'supertable.expired')`, nil}}); err != nil {
				return err
			}
			for _, id := range part {
				res, err := q.ExecContext(ctx, `DELETE FROM ducklake_snapshot WHERE snapshot_id = ?1 AND snapshot_id < (SELECT max(snapshot_id) FROM ducklake_snapshot) AND NOT EXISTS (SELECT 1 FROM supertable_tag WHERE snapshot_id = ?1)`, id)
				if err != nil {
					return sqlError(ctx, err, "expire snapshots")
				}
				if n, err := res.RowsAffected(); err != nil || n == 0 {
					continue
				}
				did = append(did, id)
				err = execAll(ctx, q, []statement{
					{`DELETE FROM ducklake_snapshot_changes WHERE snapshot_id = ?`, []any{id}},
					{`DELETE FROM supertable_change WHERE snapshot_id = ?`, []any{id}},
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return gone, err
		}
		gone = append(gone, did...)
	}
	return gone, nil
}

// unseen is true of a row that ended and that no retained snapshot sees.
// Snapshots never come back, so it stays true.
const unseen = ` x.end_snapshot IS NOT NULL AND NOT EXISTS (SELECT 1 FROM ducklake_snapshot s WHERE s.snapshot_id >= x.begin_snapshot AND s.snapshot_id < x.end_snapshot)`

// Forget removes the rows that no retained snapshot sees, some per
// transaction, and puts their files on the list of those that wait for
// deletion. What is to go is looked for outside the transactions. Killed
// in between, the rest goes at the next time.
//
// The columns and schema versions of a table stay as long as the table: files
// that are read still may be of an older shape, and the ids of columns are
// never given twice.
func (c *Catalog) Forget(ctx context.Context) error {
	if err := c.forgetFiles(ctx); err != nil {
		return err
	}
	if err := c.forgetTables(ctx); err != nil {
		return err
	}
	return c.forgetRest(ctx)
}

// unnamedAtOnce bounds how many files are in memory before their rows go.
const unnamedAtOnce = 20 * stepRows

// unnamed is a file whose row goes.
type unnamed struct {
	id, table int64
	end       int64 // the first snapshot that did not see it
	path      string
}

// orphaned is true of a delete file whose data file is gone.
const orphaned = ` NOT EXISTS (SELECT 1 FROM ducklake_data_file f WHERE f.data_file_id = x.data_file_id)`

// fileKind is a table of files that expiry takes rows from.
type fileKind struct {
	table, id string
	goes      string // which rows x do
	end       string // the first snapshot that does not see x
}

var (
	deleteKind = fileKind{"ducklake_delete_file", "delete_file_id", ` (` + unseen + ` OR` + orphaned + `)`, `coalesce(x.end_snapshot, (SELECT max(snapshot_id) FROM ducklake_snapshot))`}
	dataKind   = fileKind{"ducklake_data_file", "data_file_id", unseen, `x.end_snapshot`}
)

func (c *Catalog) forgetFiles(ctx context.Context) error {
	for _, kind := range []fileKind{deleteKind, dataKind} {
		for after, more := int64(-1), true; more; {
			var some []unnamed
			err := c.Read(ctx, func(v *View) (err error) {
				some, err = v.unnamed(ctx, kind, after)
				return err
			})
			if err != nil {
				return err
			}
			for part := range chunks(some, stepRows) {
				if err := c.write(ctx, func(q querier) error { return c.forgetSome(ctx, q, kind, part) }); err != nil {
					return err
				}
			}
			if more = len(some) == unnamedAtOnce; more {
				after = some[len(some)-1].id
			}
		}
	}
	return nil
}

func (c *Catalog) forgetSome(ctx context.Context, q querier, kind fileKind, part []unnamed) error {
	v := &View{q: q, c: c}
	at := Snapshot{Time: c.opts.Now()}
	for _, f := range part {
		res, err := q.ExecContext(ctx, `DELETE FROM `+kind.table+` AS x WHERE `+kind.id+` = ? AND`+kind.goes, f.id)
		if err != nil {
			return sqlError(ctx, err, "expire files")
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			continue // another was faster
		}
		at.ID = f.end
		if err := v.schedule(ctx, f.id, f.path, at); err != nil {
			return err
		}
		if kind == dataKind {
			if err := v.forgetFile(ctx, f.table, f.id, at); err != nil {
				return err
			}
		}
	}
	return nil
}

// unnamed lists data or delete files that no retained snapshot sees: the first
// ones behind an id.
func (v *View) unnamed(ctx context.Context, kind fileKind, after int64) ([]unnamed, error) {
	return v.filePaths(ctx, `SELECT x.`+kind.id+`, `+kind.end+`, x.table_id, x.path, x.path_is_relative FROM `+kind.table+` x WHERE x.`+kind.id+` > ? AND`+kind.goes+` ORDER BY x.`+kind.id+` LIMIT ?`, after, unnamedAtOnce)
}

// filePaths reads files: id, end, table and path.
func (v *View) filePaths(ctx context.Context, query string, args ...any) ([]unnamed, error) {
	rows, err := v.q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, sqlError(ctx, err, "list the files")
	}
	defer func() { _ = rows.Close() }()
	var out []unnamed
	var stored []storedPath
	for rows.Next() {
		var l unnamed
		var p storedPath
		if err := rows.Scan(&l.id, &l.end, &l.table, &p.path, &p.relative); err != nil {
			return nil, sqlError(ctx, err, "list the files")
		}
		out, stored = append(out, l), append(stored, p)
	}
	if err := rows.Err(); err != nil || len(out) == 0 {
		return nil, sqlError(ctx, err, "list the files")
	}
	paths, err := v.tablePaths(ctx)
	for i := range out {
		base, ok := paths[out[i].table]
		if !ok {
			base = v.c.dataPath
		}
		out[i].path = join(base, stored[i].path, stored[i].relative)
	}
	return out, err
}

// storedPath is a path as the catalog has it.
type storedPath struct {
	path     sql.NullString
	relative sql.NullBool
}

// forgetTables removes the tables that no retained snapshot sees, after their
// files: with the last file's row goes the folder that its path starts from.
func (c *Catalog) forgetTables(ctx context.Context) error {
	var ids []int64
	err := c.Read(ctx, func(v *View) (err error) {
		ids, err = v.ids(ctx, `SELECT DISTINCT t.table_id FROM ducklake_table t WHERE NOT EXISTS (SELECT 1 FROM ducklake_table x WHERE x.table_id = t.table_id AND NOT (`+unseen+`))
 AND NOT EXISTS (SELECT 1 FROM ducklake_data_file f WHERE f.table_id = t.table_id) AND NOT EXISTS (SELECT 1 FROM ducklake_delete_file f WHERE f.table_id = t.table_id)`)
		return err
	})
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := c.write(ctx, func(q querier) error { return forgetTable(ctx, q, id) }); err != nil {
			return err
		}
	}
	return nil
}

func forgetTable(ctx context.Context, q querier, id int64) error {
	v := &View{q: q}
	inlined, err := v.InlinedTables(ctx, Table{ID: id})
	if err != nil {
		return err
	}
	var stmts []statement
	for _, t := range inlined {
		stmts = append(stmts, statement{sql: `DROP TABLE IF EXISTS "` + t.name + `"`})
	}
	stmts = append(stmts, statement{sql: `DROP TABLE IF EXISTS ` + inlinedDeletes(id)},
		statement{`DELETE FROM ducklake_sort_expression WHERE table_id = ?`, []any{id}},
		statement{`DELETE FROM ducklake_name_mapping WHERE mapping_id IN (SELECT mapping_id FROM ducklake_column_mapping WHERE table_id = ?)`, []any{id}},
		statement{`DELETE FROM ducklake_tag WHERE object_id = ?`, []any{id}},
		statement{`DELETE FROM ducklake_metadata WHERE "scope" = 'table' AND scope_id = ?`, []any{id}},
	)
	for _, t := range []string{
		"ducklake_table", "ducklake_column", "ducklake_column_tag", "ducklake_table_stats", "ducklake_table_column_stats", "ducklake_schema_versions", "ducklake_partition_info",
		"ducklake_partition_column", "ducklake_sort_info", "ducklake_inlined_data_tables", "ducklake_column_mapping", "supertable_write_id", "supertable_option", "supertable_table",
	} {
		stmts = append(stmts, statement{`DELETE FROM ` + t + ` WHERE table_id = ?`, []any{id}})
	}
	return execAll(ctx, q, stmts)
}

// forgetRest removes what is left: earlier names of tables, ended views and
// tags, and inside the catalog dead rows of files that are gone and rows that
// nobody sees.
func (c *Catalog) forgetRest(ctx context.Context) error {
	err := c.write(ctx, func(q querier) error {
		// The last row of a table has the path of its files: forgetTables takes
		// it. DuckDB reads an inlined table as the table was when that began, and
		// nothing of the whole table when it finds none then; it also fails when it
		// then finds the sort order or partitions of another table and not that.
		return execAll(ctx, q, []statement{
			{sql: `DELETE FROM ducklake_table AS x WHERE` + unseen + ` AND EXISTS (SELECT 1 FROM ducklake_table y WHERE y.table_id = x.table_id AND y.begin_snapshot > x.begin_snapshot)
 AND NOT EXISTS (SELECT 1 FROM ducklake_inlined_data_tables i JOIN ducklake_schema_versions v ON v.table_id = i.table_id AND v.schema_version = i.schema_version
 WHERE x.begin_snapshot <= v.begin_snapshot AND v.begin_snapshot < x.end_snapshot)`},
			{sql: `DELETE FROM ducklake_view AS x WHERE` + unseen},
			{sql: `DELETE FROM ducklake_tag AS x WHERE` + unseen},
			{sql: `DELETE FROM ducklake_column_tag AS x WHERE` + unseen},
		})
	})
	if err != nil {
		return err
	}
	var names []string
	if err := c.Read(ctx, func(v *View) (err error) { names, err = v.insideNames(ctx); return err }); err != nil {
		return err
	}
	for _, name := range names {
		if err := c.forgetInside(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// insideNames lists the tables that hold rows, or dead rows of files.
func (v *View) insideNames(ctx context.Context) ([]string, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT name FROM sqlite_master WHERE type = 'table' AND (name LIKE 'ducklake\_inlined\_data\_%' ESCAPE '\' AND name <> 'ducklake_inlined_data_tables' OR name LIKE 'ducklake\_inlined\_delete\_%' ESCAPE '\')`)
	if err != nil {
		return nil, sqlError(ctx, err, "read the inlined tables")
	}
	defer func() { _ = rows.Close() }()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, sqlError(ctx, err, "read the inlined tables")
		}
		names = append(names, name)
	}
	return names, sqlError(ctx, rows.Err(), "read the inlined tables")
}

// insideAtOnce is about how many rows inside the catalog one transaction of
// expiry removes.
const insideAtOnce = 10 * stepRows

// forgetInside removes from one such table the rows that nobody sees, some per
// transaction: by their ids, which are the same when the log is read again.
func (c *Catalog) forgetInside(ctx context.Context, name string) error {
	id, dead := "row_id", unseen
	if strings.HasPrefix(name, "ducklake_inlined_delete_") {
		id, dead = "file_id", ` NOT EXISTS (SELECT 1 FROM ducklake_data_file f WHERE f.data_file_id = x.file_id)`
	}
	table := datafile.Quote(name)
	for {
		var upto sql.NullInt64
		err := c.Read(ctx, func(v *View) error {
			err := v.q.QueryRowContext(ctx, `SELECT max(id) FROM (SELECT x.`+id+` AS id FROM `+table+` x WHERE`+dead+` ORDER BY 1 LIMIT ?)`, insideAtOnce).Scan(&upto)
			return sqlError(ctx, err, "read the inlined tables")
		})
		if err != nil || !upto.Valid {
			return err
		}
		err = c.write(ctx, func(q querier) error {
			return execAll(ctx, q, []statement{{`DELETE FROM ` + table + ` AS x WHERE x.` + id + ` <= ? AND` + dead, []any{upto.Int64}}})
		})
		if err != nil {
			return err
		}
	}
}

// Waiting is a file that waits for deletion.
type Waiting struct {
	ID   int64
	Path string // where it is
	Rel  string // relative to the data folder
	// Outside tells that it lies elsewhere: it is not ours to remove.
	Outside bool
	Since   time.Time
	// Until is a snapshot from which on none names the file.
	Until int64

	stored string // path as the list has it
}

// Waiting lists the files that wait for deletion.
func (v *View) Waiting(ctx context.Context) ([]Waiting, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT w.data_file_id, w.path, coalesce(w.path_is_relative, 1), w.schedule_start, coalesce(o.until_snapshot, ?) FROM ducklake_files_scheduled_for_deletion w LEFT JOIN supertable_obsolete o ON o.path = w.path ORDER BY w.path`,
		v.Head.ID) // of what another client put there we know only that no snapshot names it now
	if err != nil {
		return nil, sqlError(ctx, err, "list the files that wait for deletion")
	}
	defer func() { _ = rows.Close() }()
	var out []Waiting
	for rows.Next() {
		var w Waiting
		var id sql.NullInt64
		var relative bool
		var since string
		if err := rows.Scan(&id, &w.stored, &relative, &since, &w.Until); err != nil {
			return nil, sqlError(ctx, err, "list the files that wait for deletion")
		}
		if w.Since, err = ParseTime(since); err != nil {
			return nil, err
		}
		w.ID = id.Int64
		w.Path = join2(v.c.dataPath, w.stored, relative)
		w.Rel, w.Outside = within(v.c.dataPath, w.Path)
		out = append(out, w)
	}
	return out, sqlError(ctx, rows.Err(), "list the files that wait for deletion")
}

// Removed takes files that are gone off the list, with their checksums.
func (c *Catalog) Removed(ctx context.Context, files []Waiting) error {
	for part := range chunks(files, stepRows) {
		err := c.write(ctx, func(q querier) error {
			for _, f := range part {
				err := execAll(ctx, q, []statement{
					{`DELETE FROM ducklake_files_scheduled_for_deletion WHERE path = ?`, []any{f.stored}},
					{`DELETE FROM supertable_obsolete WHERE path = ?`, []any{f.stored}},
					{`DELETE FROM supertable_file WHERE file_id = ?1 AND NOT EXISTS (SELECT 1 FROM ducklake_data_file WHERE data_file_id = ?1) AND NOT EXISTS (SELECT 1 FROM ducklake_delete_file WHERE delete_file_id = ?1)`, []any{f.ID}},
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Settled refuses to go on while the folder lies elsewhere than the catalog
// says: it may be a copy whose files the catalog does not mean.
func (v *View) Settled(ctx context.Context) error {
	stored, err := v.setting(ctx, "data_path")
	if err == nil && stored != v.c.dataPath {
		err = errs.New(errs.Denied, "this home was moved or copied since its last write; cleaning is refused until a write has settled it in its new place")
	}
	return err
}

// within gives a path relative to the data folder; outside tells that it does
// not lie in it.
func within(data, path string) (rel string, outside bool) {
	rel, ok := strings.CutPrefix(path, data)
	return rel, !ok || !filepath.IsLocal(filepath.FromSlash(rel))
}
