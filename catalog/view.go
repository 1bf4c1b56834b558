package catalog

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/internal/errs"
)

// Snapshot is one committed state of the lake.
type Snapshot struct {
	ID            int64
	Time          time.Time
	SchemaVersion int64
	nextCatalogID int64
	nextFileID    int64
}

// Table is a table at one snapshot.
type Table struct {
	ID    int64
	Name  string
	Begin int64  // the snapshot of its creation or last rename
	path  string // where its relative file paths start, with a slash at the end
}

// View is one consistent state of the catalog. Its reads take the snapshot to
// look at; a View is valid only inside the call that it was given to, and for
// one goroutine.
type View struct {
	q    querier
	c    *Catalog
	Head Snapshot // the newest snapshot

	reading bool // not inside a commit, whose rows may yet go
	didSync bool // foreign commits were recorded in this transaction
	// settled, in a commit, is the schema version that was there before it: what
	// is read of another one may be rolled back.
	settled *int64
}

// Read calls fn with a consistent view of the catalog.
func (c *Catalog) Read(ctx context.Context, fn func(*View) error) error {
	if err := c.usable(); err != nil {
		return err
	}
	tx, err := c.db.BeginTx(ctx, nil) // deferred: a reader takes no lock that a writer waits for
	if err != nil {
		return sqlError(ctx, err, "read the catalog")
	}
	defer func() { _ = tx.Rollback() }()
	v := &View{q: tx, c: c, reading: true}
	if v.Head, err = v.loadHead(ctx); err != nil {
		return err
	}
	return fn(v)
}

const snapshotColumns = `SELECT snapshot_id, snapshot_time, schema_version, next_catalog_id, next_file_id FROM ducklake_snapshot `

func (v *View) loadHead(ctx context.Context) (Snapshot, error) {
	s, err := v.snapshot(ctx, snapshotColumns+`ORDER BY snapshot_id DESC LIMIT 1`)
	if errs.KindOf(err) == errs.NotFound {
		return s, errs.New(errs.Corrupt, "the catalog has no snapshot")
	}
	return s, err
}

func (v *View) snapshot(ctx context.Context, query string, args ...any) (Snapshot, error) {
	var s Snapshot
	var t string
	err := v.q.QueryRowContext(ctx, query, args...).Scan(&s.ID, &t, &s.SchemaVersion, &s.nextCatalogID, &s.nextFileID)
	if errors.Is(err, sql.ErrNoRows) {
		return s, errs.New(errs.NotFound, "no such snapshot")
	}
	if err != nil {
		return s, sqlError(ctx, err, "read the snapshots")
	}
	s.Time, err = ParseTime(t)
	return s, err
}

// Snapshot gives the snapshot with that id; an unknown or expired one is NotFound.
func (v *View) Snapshot(ctx context.Context, id int64) (Snapshot, error) {
	if id == v.Head.ID {
		return v.Head, nil
	}
	s, err := v.snapshot(ctx, snapshotColumns+`WHERE snapshot_id = ?`, id)
	if errs.KindOf(err) == errs.NotFound {
		err = errs.New(errs.NotFound, "there is no snapshot %d; the newest is %d", id, v.Head.ID)
	}
	return s, err
}

// SnapshotAt gives the last snapshot at or before t.
func (v *View) SnapshotAt(ctx context.Context, t time.Time) (Snapshot, error) {
	s, err := v.snapshot(ctx, snapshotColumns+`WHERE replace(snapshot_time, ' ', 'T') <= ? ORDER BY snapshot_id DESC LIMIT 1`, FormatTime(t))
	if errs.KindOf(err) == errs.NotFound {
		err = errs.New(errs.NotFound, "there is no snapshot at or before %s", t.UTC().Format(time.RFC3339Nano))
	}
	if err != nil || s.ID == v.Head.ID || s.Time.Equal(t.UTC().Truncate(time.Microsecond)) {
		return s, err
	}
	// Where the next snapshot expired nobody knows from when on it held.
	if _, err := v.snapshot(ctx, snapshotColumns+`WHERE snapshot_id = ?`, s.ID+1); errs.KindOf(err) == errs.NotFound {
		return Snapshot{}, errs.New(errs.NotFound, "the snapshots around %s have expired", t.UTC().Format(time.RFC3339Nano))
	} else if err != nil {
		return Snapshot{}, err
	}
	return s, nil
}

const tableColumns = `SELECT t.table_id, t.table_name, t.begin_snapshot, t.path, t.path_is_relative, s.path, s.path_is_relative
 FROM ducklake_table t JOIN ducklake_schema s ON s.schema_id = t.schema_id AND s.schema_name = 'main'
 AND s.begin_snapshot <= ?1 AND (s.end_snapshot IS NULL OR ?1 < s.end_snapshot)
 WHERE t.begin_snapshot <= ?1 AND (t.end_snapshot IS NULL OR ?1 < t.end_snapshot) `

// Tables lists the tables at snapshot at, by name.
func (v *View) Tables(ctx context.Context, at int64) ([]Table, error) {
	return v.tables(ctx, tableColumns+`ORDER BY t.table_name COLLATE NOCASE, t.table_name`, at)
}

// Table finds a table by name, without regard to case.
func (v *View) Table(ctx context.Context, name string, at int64) (Table, error) {
	if t, ok := v.knownTable(name, at); ok {
		return t, nil
	}
	ts, err := v.tables(ctx, tableColumns+`AND t.table_name = ?2 COLLATE NOCASE AND NOT EXISTS (SELECT 1 FROM ducklake_table y WHERE y.table_id = t.table_id AND y.begin_snapshot > t.begin_snapshot AND y.begin_snapshot <= ?1)
 ORDER BY t.table_name = ?2 DESC`, at, name)
	if err != nil {
		return Table{}, err
	}
	if len(ts) == 0 {
		return Table{}, errs.New(errs.NotFound, "Table not found: %s", name)
	}
	v.keep(at, func(s *schemaCache) { s.tables[name] = ts[0] })
	return ts[0], nil
}

// TableByID finds a table by its id.
func (v *View) TableByID(ctx context.Context, id, at int64) (Table, error) {
	ts, err := v.tables(ctx, tableColumns+`AND t.table_id = ?2`, at, id)
	if err != nil {
		return Table{}, err
	}
	if len(ts) == 0 {
		return Table{}, errs.New(errs.NotFound, "no such table")
	}
	return ts[0], nil
}

// tables reads tables. Of two live rows of one table, which DuckDB leaves behind
// (see endOldNames), the newest counts.
func (v *View) tables(ctx context.Context, query string, args ...any) ([]Table, error) {
	rows, err := v.q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, sqlError(ctx, err, "read the tables")
	}
	defer func() { _ = rows.Close() }()
	var out []Table
	newest := map[int64]int64{} // begin, by id
	for rows.Next() {
		var t Table
		var path, schemaPath sql.NullString
		var rel, schemaRel sql.NullBool
		if err := rows.Scan(&t.ID, &t.Name, &t.Begin, &path, &rel, &schemaPath, &schemaRel); err != nil {
			return nil, sqlError(ctx, err, "read the tables")
		}
		base := ""
		if v.c != nil {
			base = v.c.dataPath
		}
		t.path = join(join(base, schemaPath, schemaRel), path, rel)
		out = append(out, t)
		newest[t.ID] = max(newest[t.ID], t.Begin)
	}
	out = slices.DeleteFunc(out, func(t Table) bool { return t.Begin < newest[t.ID] })
	return out, sqlError(ctx, rows.Err(), "read the tables")
}

// join resolves a path of the catalog: plain concatenation, a NULL path is
// its parent's.
func join(base string, path sql.NullString, relative sql.NullBool) string {
	switch {
	case !path.Valid:
		return base
	case !relative.Valid || relative.Bool:
		return base + path.String
	}
	return path.String
}

// column is a row of ducklake_column.
type column struct {
	id, order, begin int64
	parent           sql.NullInt64
	name, typ        string
	nullable         bool
	initial, def     sql.NullString
	defaultKind      sql.NullString
}

// Columns gives the columns of a table at snapshot at, in order, nested ones as trees.
func (v *View) Columns(ctx context.Context, table, at int64) ([]datafile.Column, error) {
	if cols, ok := v.knownColumns(table, at); ok {
		return cols, nil
	}
	rows, err := v.columnRows(ctx, table, at)
	if err != nil {
		return nil, err
	}
	children := map[int64][]column{}
	var top []column
	for _, r := range rows {
		if r.parent.Valid {
			children[r.parent.Int64] = append(children[r.parent.Int64], r)
		} else {
			top = append(top, r)
		}
	}
	out := make([]datafile.Column, 0, len(top))
	for _, r := range top {
		t, err := columnType(r, children)
		if err != nil {
			return nil, err
		}
		col := datafile.Column{ID: r.id, Name: r.name, Type: t, Nullable: r.nullable, Begin: r.begin}
		if r.initial.Valid {
			col.InitialDefault = &r.initial.String
		}
		if r.def.Valid && r.def.String != "NULL" && r.def.String != "" {
			col.Default, col.Expression = &r.def.String, r.defaultKind.String == "expression"
		}
		out = append(out, col)
	}
	v.keep(at, func(s *schemaCache) { s.columns[table] = cloneColumns(out) })
	return out, nil
}

func (v *View) columnRows(ctx context.Context, table, at int64) ([]column, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT column_id, column_order, begin_snapshot, parent_column, column_name, column_type, coalesce(nulls_allowed, 1), initial_default, default_value, default_value_type
 FROM ducklake_column WHERE table_id = ?1 AND begin_snapshot <= ?2 AND (end_snapshot IS NULL OR ?2 < end_snapshot) ORDER BY column_order, column_id`, table, at)
	if err != nil {
		return nil, sqlError(ctx, err, "read the columns")
	}
	defer func() { _ = rows.Close() }()
	var out []column
	for rows.Next() {
		var r column
		if err := rows.Scan(&r.id, &r.order, &r.begin, &r.parent, &r.name, &r.typ, &r.nullable, &r.initial, &r.def, &r.defaultKind); err != nil {
			return nil, sqlError(ctx, err, "read the columns")
		}
		out = append(out, r)
	}
	if err := rows.Err(); err != nil {
		return nil, sqlError(ctx, err, "read the columns")
	}
	return out, v.doubtTypes(ctx, table, out)
}

// doubtTypes moves the begin of columns that got another type at it to the
// snapshot after: a client may have written a file before the change in the same
// transaction.
func (v *View) doubtTypes(ctx context.Context, table int64, columns []column) error {
	type end struct{ id, at int64 }
	ended := map[end][]string{}
	rows, err := v.q.QueryContext(ctx, `SELECT o.column_id, o.end_snapshot, o.column_type FROM ducklake_column o WHERE o.table_id = ?1 AND o.parent_column IS NULL AND o.end_snapshot IS NOT NULL`+v.notOurs(`o.end_snapshot`), table)
	if err != nil {
		return sqlError(ctx, err, "read the columns")
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var e end
		var typ string
		if err := rows.Scan(&e.id, &e.at, &typ); err != nil {
			return sqlError(ctx, err, "read the columns")
		}
		ended[e] = append(ended[e], typ)
	}
	for i, c := range columns {
		if slices.ContainsFunc(ended[end{c.id, c.begin}], func(typ string) bool { return typ != c.typ }) {
			columns[i].begin++
		}
	}
	return sqlError(ctx, rows.Err(), "read the columns")
}

// notOurs is the condition that a snapshot's change of table ?1 is not our own:
// our files have the columns of the snapshot that they begin with.
func (v *View) notOurs(snapshot string) string {
	if v.c == nil || v.c.foreign { // nil: it is being adopted
		return ""
	}
	return ` AND NOT EXISTS (SELECT 1 FROM supertable_change x WHERE x.table_id = ?1 AND x.snapshot_id = ` + snapshot + ` AND x.principal <> 'external')`
}

func columnType(r column, children map[int64][]column) (datafile.Type, error) {
	t, err := datafile.ParseLake(r.typ)
	if err != nil {
		return t, errs.New(errs.KindOf(err), "column %q: %s", r.name, err)
	}
	for _, ch := range children[r.id] {
		ct, err := columnType(ch, children)
		if err != nil {
			return t, err
		}
		t.Fields = append(t.Fields, datafile.Field{ID: ch.id, Name: ch.name, Type: ct})
	}
	if t.Name == "list" && len(t.Fields) != 1 || t.Name == "map" && len(t.Fields) != 2 || t.Name == "struct" && len(t.Fields) == 0 {
		return t, errs.New(errs.Corrupt, "column %q: the catalog has a %s without its parts", r.name, t.Name)
	}
	return t, nil
}

// Retyped lists the top-level columns of a table, by id, that had more than one
// type so far: older files hold them in another one.
func (v *View) Retyped(ctx context.Context, table int64) (map[int64]bool, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT column_id FROM ducklake_column WHERE table_id = ? AND parent_column IS NULL GROUP BY column_id HAVING count(DISTINCT column_type) > 1`, table)
	if err != nil {
		return nil, sqlError(ctx, err, "read the columns")
	}
	defer func() { _ = rows.Close() }()
	out := map[int64]bool{}
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, sqlError(ctx, err, "read the columns")
		}
		out[id] = true
	}
	return out, sqlError(ctx, rows.Err(), "read the columns")
}

// maxColumnID is the highest column id that the table ever had.
func (v *View) maxColumnID(ctx context.Context, table int64) (int64, error) {
	var n int64
	err := v.q.QueryRowContext(ctx, `SELECT coalesce(max(column_id), 0) FROM ducklake_column WHERE table_id = ?`, table).Scan(&n)
	return n, sqlError(ctx, err, "read the columns")
}

// NextColumnID is the first column id that the table never had.
func (v *View) NextColumnID(ctx context.Context, table int64) (int64, error) {
	if n, ok := v.knownNextID(table); ok {
		return n, nil
	}
	n, err := v.maxColumnID(ctx, table)
	if err == nil {
		v.keep(v.Head.ID, func(s *schemaCache) { s.nextID[table] = n + 1 })
	}
	return n + 1, err
}

// Write is what is known of a write id.
type Write struct {
	Signature string // of the call: another one under the same id is refused
	Result    string // JSON of the first result
}

// WriteID finds the write that was made to table under id; ok is false when
// there was none.
func (v *View) WriteID(ctx context.Context, table int64, id string) (w Write, ok bool, err error) {
	err = v.q.QueryRowContext(ctx, `SELECT signature, result FROM supertable_write_id WHERE table_id = ? AND write_id = ?`, table, id).Scan(&w.Signature, &w.Result)
	if errors.Is(err, sql.ErrNoRows) {
		return w, false, nil
	}
	return w, err == nil, sqlError(ctx, err, "read the write ids")
}

// Version is the table's version: 0 at its creation, +1 per change.
func (v *View) Version(ctx context.Context, table int64) (int64, error) {
	s, err := v.live(ctx, table)
	return s.version, err
}

// ReadOnly reports whether writes are refused (create --read-only).
func (v *View) ReadOnly(ctx context.Context) (bool, error) {
	s, err := v.setting(ctx, "supertable.read_only")
	return s == "true", err
}

func (v *View) setting(ctx context.Context, key string) (string, error) {
	if _, ok := remembering(v.q); ok {
		meta, err := v.metadata(ctx)
		return meta[key], err
	}
	var s string
	err := v.q.QueryRowContext(ctx, `SELECT "value" FROM ducklake_metadata WHERE "key" = ? AND "scope" IS NULL`, key).Scan(&s)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return s, sqlError(ctx, err, "read the settings")
}

// EverNull reports whether no row of the table, at any retained snapshot, has
// a value in the top-level column: such a column may become any type.
func (v *View) EverNull(ctx context.Context, table, column int64) (bool, error) {
	var n int
	err := v.q.QueryRowContext(ctx, `SELECT count(*) FROM ducklake_file_column_stats WHERE table_id = ? AND column_id = ? AND (value_count IS NULL OR value_count > 0 OR coalesce(null_count, 0) = 0)`, table, column).Scan(&n)
	if err != nil || n > 0 {
		return false, sqlError(ctx, err, "read the statistics")
	}
	// (DuckDB counts neither values nor NULLs of types that it has no bounds for.)
	// Files without a row of statistics for the leaf lack the column or are unknown.
	err = v.q.QueryRowContext(ctx, `SELECT count(*) FROM ducklake_data_file f WHERE f.table_id = ? AND f.mapping_id IS NOT NULL`, table).Scan(&n)
	if err != nil || n > 0 {
		return false, sqlError(ctx, err, "read the statistics")
	}
	had, err := v.inlinedTexts(ctx, table, []int64{column})
	return err == nil && !had.any, err
}

// FileBounds lists the bounds of a leaf in every file of the table; known is
// false when some file has values and no bounds.
func (v *View) FileBounds(ctx context.Context, table, leaf int64) (bounds []string, known bool, err error) {
	rows, err := v.q.QueryContext(ctx, `SELECT coalesce(value_count, 1), min_value, max_value FROM ducklake_file_column_stats WHERE table_id = ? AND column_id = ?`, table, leaf)
	if err != nil {
		return nil, false, sqlError(ctx, err, "read the statistics")
	}
	defer func() { _ = rows.Close() }()
	known = true
	for rows.Next() {
		var n int64
		var lo, hi sql.NullString
		if err := rows.Scan(&n, &lo, &hi); err != nil {
			return nil, false, sqlError(ctx, err, "read the statistics")
		}
		if n > 0 {
			known = known && lo.Valid && hi.Valid
			bounds = append(bounds, lo.String, hi.String)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, false, sqlError(ctx, err, "read the statistics")
	}
	_ = rows.Close()
	in, err := v.inlinedTexts(ctx, table, []int64{leaf})
	if in.any {
		bounds, known = append(bounds, in.lo, in.hi), known && in.dated
	}
	return bounds, known, err
}
