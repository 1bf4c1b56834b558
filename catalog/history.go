package catalog

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/supertable-go/supertable/internal/errs"
)

// Entry is one change of one table in the history.
type Entry struct {
	Snapshot           int64
	Version            int64
	Time               time.Time
	TableID            int64
	Table, Operation   string
	Inserted, Deleted  int64
	Uncounted          bool // nobody knows what was inserted and deleted
	Principal, Message string
	Lineage            string // JSON; "" for none
}

// History walks through changes, newest first, until each wants no more;
// table 0 means all tables. It costs what it walks through, however long the
// history is.
func (v *View) History(ctx context.Context, table int64, each func(Entry) (more bool, err error)) error {
	// CROSS JOIN: the changes are read in the order of an index, which is what
	// lets it stop early, and each finds the time of its snapshot.
	query := `SELECT c.snapshot_id, c.version, s.snapshot_time, c.table_id, c.table_name, c.operation, c.inserted, c.deleted, c.principal, c.message, coalesce(c.lineage, '')
 FROM supertable_change c CROSS JOIN ducklake_snapshot s WHERE s.snapshot_id = c.snapshot_id`
	var args []any
	if table != 0 {
		query, args = query+` AND c.table_id = ?`, []any{table}
	}
	rows, err := v.q.QueryContext(ctx, query+` ORDER BY c.snapshot_id DESC, c.table_id DESC`, args...)
	if err != nil {
		return sqlError(ctx, err, "read the history")
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var e Entry
		var at string
		if err := rows.Scan(&e.Snapshot, &e.Version, &at, &e.TableID, &e.Table, &e.Operation, &e.Inserted, &e.Deleted, &e.Principal, &e.Message, &e.Lineage); err != nil {
			return sqlError(ctx, err, "read the history")
		}
		if e.Time, err = ParseTime(at); err != nil {
			return err
		}
		if e.Inserted == uncounted {
			e.Inserted, e.Deleted, e.Uncounted = 0, 0, true
		}
		if more, err := each(e); err != nil || !more {
			return err
		}
	}
	return sqlError(ctx, rows.Err(), "read the history")
}

// Listing is one line of the list of tables.
type Listing struct {
	Table
	Version, Rows, Files, Bytes int64
	Updated                     time.Time
}

// Listing lists the live tables with what the commits kept of them.
func (v *View) Listing(ctx context.Context) ([]Listing, error) {
	tables, err := v.Tables(ctx, v.Head.ID)
	if err != nil {
		return nil, err
	}
	if v.c.foreign {
		return v.foreignListing(ctx, tables)
	}
	rows, err := v.q.QueryContext(ctx, `SELECT table_id, version, rows, files, bytes, updated FROM supertable_table`)
	if err != nil {
		return nil, sqlError(ctx, err, "list the tables")
	}
	defer func() { _ = rows.Close() }()
	live := map[int64]Listing{}
	for rows.Next() {
		var l Listing
		var at string
		if err := rows.Scan(&l.ID, &l.Version, &l.Rows, &l.Files, &l.Bytes, &at); err != nil {
			return nil, sqlError(ctx, err, "list the tables")
		}
		if l.Updated, err = ParseTime(at); err != nil {
			return nil, err
		}
		live[l.ID] = l
	}
	out := make([]Listing, 0, len(tables))
	for _, t := range tables {
		l := live[t.ID]
		l.Table = t
		out = append(out, l)
	}
	return out, sqlError(ctx, rows.Err(), "list the tables")
}

func (v *View) foreignListing(ctx context.Context, tables []Table) ([]Listing, error) {
	out := make([]Listing, 0, len(tables))
	for _, t := range tables {
		l := Listing{Table: t}
		var err error
		if l.Rows, l.Files, l.Bytes, err = v.CountLive(ctx, t, v.Head.ID); err != nil {
			return nil, err
		}
		s, err := v.Snapshot(ctx, t.Begin)
		if err == nil {
			l.Updated = s.Time
		}
		out = append(out, l)
	}
	return out, nil
}

// SuperOptions is the table id under which options of the SuperTable stand.
const SuperOptions = -1

// InlineRows is by default how many rows of one write the catalog itself keeps.
const InlineRows = 256

// inlineOption is an option that all clients of a lake share: it stands in the
// format's own table.
const inlineOption = "data_inlining_row_limit"

// Options gives what is set for a table id, or SuperOptions.
//
// The map is the caller's to read only.
func (v *View) Options(ctx context.Context, table int64) (map[string]string, error) {
	if v.c.foreign {
		return map[string]string{}, nil
	}
	return recall(v.q, optionsOf(table), func() (map[string]string, error) { return v.options(ctx, table) })
}

type optionsOf int64

func (v *View) options(ctx context.Context, table int64) (map[string]string, error) {
	out := map[string]string{}
	rows, err := v.q.QueryContext(ctx, `SELECT name, value FROM supertable_option WHERE table_id = ?1
 UNION ALL SELECT "key", "value" FROM ducklake_metadata WHERE "key" = ?2 AND (?1 = ?3 AND "scope" IS NULL AND "value" <> ?4 OR "scope" = 'table' AND scope_id = ?1)`,
		table, inlineOption, SuperOptions, strconv.Itoa(InlineRows))
	if err != nil {
		return nil, sqlError(ctx, err, "read the options")
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var k, val string
		if err := rows.Scan(&k, &val); err != nil {
			return nil, sqlError(ctx, err, "read the options")
		}
		out[k] = val
	}
	return out, sqlError(ctx, rows.Err(), "read the options")
}

// SetOption sets an option at once (options are no part of a snapshot); an
// empty value removes it.
func (c *Catalog) SetOption(ctx context.Context, table int64, name, value string, allow Allow) error {
	return c.write(ctx, func(q querier) error {
		if err := (&View{q: q, c: c}).changeableBy(ctx, allow); err != nil {
			return err
		}
		change := statement{`INSERT INTO supertable_option (table_id, name, value) VALUES (?1, ?2, ?3) ON CONFLICT (table_id, name) DO UPDATE SET value = ?3`, []any{table, name, value}}
		if value == "" {
			change = statement{`DELETE FROM supertable_option WHERE table_id = ? AND name = ?`, []any{table, name}}
		}
		changes := []statement{change}
		if name == inlineOption {
			changes = shareOption(table, value)
		}
		if err := execAll(ctx, q, changes); err != nil {
			return err
		}
		e := Event{Action: "option_set", Statement: name + "=" + value}
		if table != SuperOptions {
			e.Tables = []string{tableName(ctx, q, table)}
		}
		return c.opts.appendEvent(ctx, q, e)
	})
}

// shareOption sets the option where other clients look for it.
func shareOption(table int64, value string) []statement {
	where, scope, id := `"key" = ?1 AND "scope" IS NULL`, any(nil), any(nil)
	args := []any{inlineOption}
	if table == SuperOptions && value == "" {
		value = strconv.Itoa(InlineRows)
	}
	if table != SuperOptions {
		where, scope, id = `"key" = ?1 AND "scope" = 'table' AND scope_id = ?2`, "table", table
		args = append(args, table)
	}
	out := []statement{{`DELETE FROM ducklake_metadata WHERE ` + where, args}}
	if value != "" {
		out = append(out, statement{`INSERT INTO ducklake_metadata ("key", "value", "scope", scope_id) VALUES (?, ?, ?, ?)`, []any{inlineOption, value, scope, id}})
	}
	return out
}

// tableName gives the live name of a table; its number when it has none.
func tableName(ctx context.Context, q querier, id int64) string {
	var name string
	if err := q.QueryRowContext(ctx, `SELECT table_name FROM ducklake_table WHERE table_id = ? AND end_snapshot IS NULL`, id).Scan(&name); err != nil {
		return strconv.FormatInt(id, 10)
	}
	return name
}

// SetReadOnly makes the SuperTable refuse writes, or accept them again.
func (c *Catalog) SetReadOnly(ctx context.Context, on bool, allow Allow) error {
	return c.setSetting(ctx, allow, "supertable.read_only", strconv.FormatBool(on), Event{Action: map[bool]string{true: "read_only", false: "read_write"}[on]})
}

// MarkDropped makes every later commit fail: the first step of dropping the
// whole SuperTable. A read-only one is refused.
func (c *Catalog) MarkDropped(ctx context.Context, allow Allow) error {
	writable := func(ctx context.Context, v *View) error {
		ro, err := v.ReadOnly(ctx)
		if err == nil && ro {
			err = errs.New(errs.Denied, "the SuperTable is read-only; make it writable with: create --read-write")
		}
		if err != nil {
			return err
		}
		return allow.in(ctx, v)
	}
	if err := c.setSetting(ctx, writable, "supertable.dropped", "true", Event{Action: "drop_super"}); err != nil {
		return err
	}
	c.dropped.Store(true)
	return nil
}

// Dropped reports whether the SuperTable carries the mark.
func (v *View) Dropped(ctx context.Context) (bool, error) {
	s, err := v.setting(ctx, "supertable.dropped")
	return s != "", err
}

func (c *Catalog) setSetting(ctx context.Context, allow Allow, key, value string, e Event) error {
	return c.write(ctx, func(q querier) error {
		if err := allow.in(ctx, &View{q: q, c: c}); err != nil {
			return err
		}
		change := statement{`UPDATE ducklake_metadata SET "value" = ? WHERE "key" = ? AND "scope" IS NULL`, []any{value, key}}
		var old string
		err := q.QueryRowContext(ctx, `SELECT "value" FROM ducklake_metadata WHERE "key" = ? AND "scope" IS NULL`, key).Scan(&old)
		if errors.Is(err, sql.ErrNoRows) {
			change.sql, err = `INSERT INTO ducklake_metadata ("value", "key") VALUES (?, ?)`, nil
		}
		if err != nil {
			return sqlError(ctx, err, "read the settings")
		}
		if err := execAll(ctx, q, []statement{change}); err != nil {
			return err
		}
		return c.opts.appendEvent(ctx, q, e)
	})
}

// FileFact is what the catalog says of one stored file.
type FileFact struct {
	ID     int64
	Rel    string // relative to the data folder; the full path when it lies elsewhere
	Path   string
	Size   int64
	Footer int64
	SHA256 string // "" when unknown
	Gone   bool   // waits for deletion: it may be missing
}

// AllFiles lists every data and delete file that any retained snapshot names,
// and those that wait for deletion.
func (v *View) AllFiles(ctx context.Context) ([]FileFact, error) {
	paths, err := v.tablePaths(ctx)
	if err != nil {
		return nil, err
	}
	var out []FileFact
	for _, source := range []string{
		`SELECT data_file_id, table_id, path, path_is_relative, file_size_bytes, coalesce(footer_size, 0), 0 FROM ducklake_data_file`,
		`SELECT delete_file_id, table_id, path, path_is_relative, file_size_bytes, coalesce(footer_size, 0), 0 FROM ducklake_delete_file`,
		`SELECT data_file_id, -1, path, path_is_relative, 0, 0, 1 FROM ducklake_files_scheduled_for_deletion`,
	} {
		if err := v.collectFiles(ctx, source, paths, &out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (v *View) collectFiles(ctx context.Context, source string, paths map[int64]string, out *[]FileFact) error {
	sums, join := "''", ""
	if !v.c.foreign {
		sums, join = "coalesce(s.sha256, '')", " LEFT JOIN supertable_file s ON s.file_id = x.id"
	}
	rows, err := v.q.QueryContext(ctx, `WITH x(id, table_id, path, relative, size, footer, gone) AS (`+source+`) SELECT x.id, x.table_id, x.path, x.relative, coalesce(x.size, 0), x.footer, x.gone, `+sums+` FROM x`+join)
	if err != nil {
		return sqlError(ctx, err, "list the files")
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var f FileFact
		var table int64
		var path sql.NullString
		var rel sql.NullBool
		if err := rows.Scan(&f.ID, &table, &path, &rel, &f.Size, &f.Footer, &f.Gone, &f.SHA256); err != nil {
			return sqlError(ctx, err, "list the files")
		}
		base, ok := paths[table]
		if !ok {
			base = v.c.dataPath
		}
		f.Path = join2(base, path.String, !rel.Valid || rel.Bool)
		f.Rel = strings.TrimPrefix(f.Path, v.c.dataPath)
		*out = append(*out, f)
	}
	return sqlError(ctx, rows.Err(), "list the files")
}

// EachPath gives the path, relative to the data folder, of every data and
// delete file that any retained snapshot names.
func (v *View) EachPath(ctx context.Context, each func(rel string)) error {
	paths, err := v.tablePaths(ctx)
	if err != nil {
		return err
	}
	rows, err := v.q.QueryContext(ctx, `SELECT table_id, path, path_is_relative FROM ducklake_data_file UNION ALL SELECT table_id, path, path_is_relative FROM ducklake_delete_file`)
	if err != nil {
		return sqlError(ctx, err, "list the files")
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var table int64
		var path sql.NullString
		var rel sql.NullBool
		if err := rows.Scan(&table, &path, &rel); err != nil {
			return sqlError(ctx, err, "list the files")
		}
		base, ok := paths[table]
		if !ok {
			base = v.c.dataPath
		}
		each(strings.TrimPrefix(join2(base, path.String, !rel.Valid || rel.Bool), v.c.dataPath))
	}
	return sqlError(ctx, rows.Err(), "list the files")
}

func join2(base, path string, relative bool) string {
	return join(base, sql.NullString{String: path, Valid: true}, sql.NullBool{Bool: relative, Valid: true})
}

// tablePaths gives where each table's files start, dropped tables included.
func (v *View) tablePaths(ctx context.Context) (map[int64]string, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT DISTINCT t.table_id, t.path, t.path_is_relative, s.path, s.path_is_relative FROM ducklake_table t JOIN ducklake_schema s ON s.schema_id = t.schema_id`)
	if err != nil {
		return nil, sqlError(ctx, err, "read the tables")
	}
	defer func() { _ = rows.Close() }()
	out := map[int64]string{}
	for rows.Next() {
		var id int64
		var path, schemaPath sql.NullString
		var rel, schemaRel sql.NullBool
		if err := rows.Scan(&id, &path, &rel, &schemaPath, &schemaRel); err != nil {
			return nil, sqlError(ctx, err, "read the tables")
		}
		out[id] = join(join(v.c.dataPath, schemaPath, schemaRel), path, rel)
	}
	return out, sqlError(ctx, rows.Err(), "read the tables")
}

// Leased lists the files, relative to the data folder, that living writers
// have published and may still commit.
func (c *Catalog) Leased(ctx context.Context) (map[string]bool, error) {
	dirs, err := c.folder.LeaseDirs()
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for _, d := range dirs { // also of leases that have run out: the next opener sweeps them
		files, err := c.folder.LeasedFiles(d)
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			out[f] = true
		}
	}
	return out, nil
}

// IntegrityCheck runs the database's own check.
func (v *View) IntegrityCheck(ctx context.Context) (string, error) {
	var s string
	if err := v.q.QueryRowContext(ctx, `PRAGMA quick_check(1)`).Scan(&s); err != nil {
		return "", sqlError(ctx, err, "check the catalog")
	}
	if s == "ok" {
		return "", nil
	}
	return s, nil
}

// Probe is a statement that lists rows breaking an invariant of the format.
type Probe struct {
	Kind, Detail, SQL string // SQL yields one text column that names the object
	Ours              bool   // it asks side tables, which a foreign lake has not
}

// Violations runs probes of the format's invariants (I3, I7).
func (v *View) Violations(ctx context.Context, probes []Probe) (map[Probe][]string, error) {
	out := map[Probe][]string{}
	for _, p := range probes {
		if p.Ours && v.c.foreign {
			continue
		}
		var err error
		if out[p], err = v.probe(ctx, p); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (v *View) probe(ctx context.Context, p Probe) ([]string, error) {
	rows, err := v.q.QueryContext(ctx, p.SQL)
	if err != nil {
		return nil, errs.Wrap(errs.Internal, err, "check %s: %v", p.Kind, err)
	}
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		var s sql.NullString
		if err := rows.Scan(&s); err != nil {
			return nil, sqlError(ctx, err, "check the catalog")
		}
		out = append(out, s.String)
	}
	return out, sqlError(ctx, rows.Err(), "check the catalog")
}
