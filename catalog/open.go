// Package catalog is the truth about one SuperTable: a DuckLake 1.0 catalog
// (docs/format.md) in SQLite, with our own facts in side tables beside it.
//
// Reading happens in a View, one consistent state; writing in Commit, one SQL
// transaction per group of changes. Every versioned row is visible at snapshot
// S when begin_snapshot <= S and (end_snapshot is NULL or S < end_snapshot).
package catalog

import (
	"context"
	"database/sql"
	_ "embed" // the DDL of the format
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/mattn/go-sqlite3"

	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/storage"
)

// FormatVersion is the version of DuckLake that we write and read.
const FormatVersion = "1.0"

//go:embed ducklake.sql
var ducklakeDDL string

// Options of Create and Open.
type Options struct {
	Now    func() time.Time // the clock; required
	Logger *slog.Logger     // required
	// LeaseTTL is how long an unfinished write may be silent. Required.
	LeaseTTL time.Duration
	// CreatedBy is stored in a new catalog.
	CreatedBy string
	// InlineRows is the option data_inlining_row_limit of a new SuperTable.
	// Defaults to InlineRows; below 0 is 0.
	InlineRows int
	// Policy is what a new SuperTable is born with.
	Policy Policy
	// Audit makes the audit's record of a change, to follow the newest one.
	// Nil keeps no audit.
	Audit func(ctx context.Context, last AuditHead, e Event) AuditRow
	// LogBytes is how much of the log comes together before it is compacted.
	// Defaults to 16 MiB.
	LogBytes int64
}

// Catalog is an open catalog. It is safe for concurrent use, and other
// processes may have the same one open.
type Catalog struct {
	folder   storage.Folder
	opts     Options
	db       *sql.DB // readers
	writer   *sql.DB // one connection, which keeps the log
	log      *commitLog
	notes    notes
	dataPath string // where relative paths begin, with a slash at the end
	stored   string // data_path as the catalog has it
	foreign  bool   // no side tables: read-only to us
	queue    queue
	leases   leases
	dead     deadCache
	schemas  schemaCache
	readers  readers
	files    fileCache
	index    *fileIndex
	keys     *KeyFilters
	closing  sync.Once
	file     os.FileInfo // of catalog.db when it was opened
	closed   atomic.Bool
	dropped  atomic.Bool // the mark was set through this catalog
}

// Create makes the catalog in folder when there is none, adopts a foreign one
// (decision 27), and opens it. created tells whether anything was made.
func Create(ctx context.Context, folder storage.Folder, o Options) (c *Catalog, created bool, err error) {
	if err := folder.Create(); err != nil {
		return nil, false, err
	}
	if !folder.Exists() && HasLog(folder) { // a new one would bury what the log holds
		return nil, false, lost(folder, errs.New(errs.NotFound, "no catalog"))
	}
	db := open(folder, "rwc")
	created, err = initialise(ctx, db, folder, o)
	_ = db.Close()
	if err != nil {
		return nil, false, lost(folder, err)
	}
	if err := storage.SyncDir(folder.Root()); err != nil {
		return nil, false, err
	}
	if c, err = Open(ctx, folder, o); err != nil || !created {
		return c, created, err
	}
	if err := c.CatchUpLog(ctx); err != nil {
		_ = c.Close()
		return nil, false, err
	}
	return c, created, nil
}

// Open opens the catalog in folder. It changes nothing; a missing one is NotFound.
func Open(ctx context.Context, folder storage.Folder, o Options) (*Catalog, error) {
	if !folder.Exists() {
		return nil, lost(folder, errs.New(errs.NotFound, "no catalog"))
	}
	c := &Catalog{folder: folder, opts: o, db: open(folder, "rw")}
	c.file, _ = os.Stat(folder.Catalog())
	c.openWriter()
	c.queue.init(c)
	if err := c.load(ctx); err != nil {
		_ = c.db.Close()
		_ = c.writer.Close()
		return nil, lost(folder, err)
	}
	c.index = newFileIndex(c)
	c.keys = newKeyFilters(c)
	c.keepWAL(ctx)
	return c, nil
}

// keepWAL brings a catalog back to the write-ahead log that other means (VACUUM
// INTO, a dump) took away: without it a commit waits for every reader. Where
// somebody uses the catalog just now it stays as it is, which is slower.
func (c *Catalog) keepWAL(ctx context.Context) {
	if c.foreign {
		return
	}
	var mode string
	if err := c.db.QueryRowContext(ctx, `PRAGMA journal_mode`).Scan(&mode); err != nil || strings.EqualFold(mode, "wal") {
		return
	}
	if err := c.db.QueryRowContext(ctx, `PRAGMA journal_mode = WAL`).Scan(&mode); err != nil {
		c.opts.Logger.Info("the catalog has no write-ahead log", slog.Any("error", err))
	}
}

// Close ends the leases of this process and closes the catalog.
func (c *Catalog) Close() error {
	var err error
	c.closing.Do(func() {
		c.endLeases()
		c.readers.close()
		c.closed.Store(true)
		c.log.working.Wait()
		err = errors.Join(c.notes.close(), c.index.close(), c.keys.close(), c.db.Close(), c.writer.Close())
	})
	return err
}

// usable says why an open catalog can no longer be worked with.
func (c *Catalog) usable() error {
	switch {
	case c.dropped.Load():
		return errs.New(errs.NotFound, "the SuperTable was dropped")
	case c.closed.Load():
		return errs.New(errs.Unavailable, "the lake is closed")
	}
	return nil
}

// Current reports whether the open catalog is still the one that lies in its
// folder: another process may have dropped the SuperTable and made it again.
func (c *Catalog) Current() bool { return c.inPlace() && c.usable() == nil }

func (c *Catalog) inPlace() bool {
	now, err := os.Stat(c.folder.Catalog())
	return err == nil && c.file != nil && os.SameFile(c.file, now)
}

// Folder is where the catalog and its files lie.
func (c *Catalog) Folder() storage.Folder { return c.folder }

// DataPath is the folder that relative file paths start from.
func (c *Catalog) DataPath() string { return c.dataPath }

// Foreign reports whether the catalog has no side tables: another client made
// it, and until Create adopts it, it is read-only.
func (c *Catalog) Foreign() bool { return c.foreign }

// Moved reports whether the folder lies elsewhere than the catalog says.
func (c *Catalog) Moved() bool { return !c.foreign && c.stored != c.dataPath }

func open(folder storage.Folder, mode string) *sql.DB { return openAs(folder, mode, "FULL") }

func openAs(folder storage.Folder, mode, synchronous string) *sql.DB {
	db := sql.OpenDB(connector{catalogDSN(folder, mode, synchronous)})
	db.SetMaxIdleConns(4)
	return db
}

func catalogDSN(folder storage.Folder, mode, synchronous string) string {
	return fileDSN(folder.Catalog(), map[string]string{"mode": mode, "_busy_timeout": "250", "_synchronous": synchronous, "_stmt_cache_size": "200"})
}

func fileDSN(path string, params map[string]string) string {
	q := url.Values{}
	for k, v := range params {
		q.Set(k, v)
	}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}).String()
}

// load reads what never changes while a catalog is open and refuses what we
// cannot read.
func (c *Catalog) load(ctx context.Context) error {
	meta, err := metadata(ctx, c.db)
	if err != nil {
		return err
	}
	if err := readable(meta); err != nil {
		return err
	}
	if c.foreign, err = missing(ctx, c.db, "supertable_change"); err != nil {
		return err
	}
	c.stored = meta["data_path"]
	c.dataPath = c.folder.Data()
	if c.foreign {
		c.dataPath = foreignDataPath(c.folder, c.stored)
		return nil
	}
	return checkMigrations(ctx, c.db)
}

// foreignDataPath resolves a foreign lake's data path; one given relative to
// its client's working directory is looked for beside the catalog.
func foreignDataPath(folder storage.Folder, stored string) string {
	if !filepath.IsAbs(stored) && !strings.Contains(stored, "://") {
		stored = filepath.ToSlash(filepath.Join(folder.Root(), stored))
	}
	return strings.TrimSuffix(stored, "/") + "/"
}

// metadata reads the global settings. A file without the format's tables is
// no catalog: NotFound.
func (v *View) metadata(ctx context.Context) (map[string]string, error) {
	return recall(v.q, "metadata", func() (map[string]string, error) { return metadata(ctx, v.q) })
}

func metadata(ctx context.Context, q querier) (map[string]string, error) {
	out := map[string]string{}
	rows, err := q.QueryContext(ctx, `SELECT "key", "value" FROM ducklake_metadata WHERE "scope" IS NULL`)
	if err != nil {
		if strings.Contains(err.Error(), "no such table") {
			return nil, errs.Wrap(errs.NotFound, err, "no catalog")
		}
		return nil, sqlError(ctx, err, "read the catalog")
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var k, v string
		if err := rows.Scan(&k, &v); err != nil {
			return nil, sqlError(ctx, err, "read the catalog")
		}
		out[k] = v
	}
	return out, sqlError(ctx, rows.Err(), "read the catalog")
}

// readable refuses lakes with features that would make a wrong answer.
func readable(meta map[string]string) error {
	if v := meta["version"]; v != FormatVersion {
		return errs.New(errs.Unsupported, "the catalog has DuckLake version %q, this program reads %s", v, FormatVersion)
	}
	if strings.EqualFold(meta["encrypted"], "true") {
		return errs.New(errs.Unsupported, "encrypted lakes are not supported")
	}
	return nil
}

// initialise makes or adopts the catalog in one transaction, so that a crash
// leaves a whole catalog or none.
func initialise(ctx context.Context, db *sql.DB, folder storage.Folder, o Options) (created bool, err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return false, sqlError(ctx, err, "open the catalog")
	}
	defer func() { _ = conn.Close() }()
	if err := setWAL(ctx, conn); err != nil {
		return false, err
	}
	err = immediate(ctx, conn, func(q querier) error {
		isNew, err := missing(ctx, q, "ducklake_metadata")
		if err != nil {
			return err
		}
		if isNew && HasLog(folder) {
			return errs.New(errs.NotFound, "no catalog")
		}
		if isNew {
			created = true
			if err := create(ctx, q, folder, o); err != nil {
				return err
			}
		} else if created, err = adoptable(ctx, q, folder); err != nil {
			return err
		}
		if err := migrate(ctx, q, o); err != nil {
			return err
		}
		if err := bear(ctx, q, o); err != nil || !created {
			return err
		}
		return o.appendEvent(ctx, q, Event{Action: map[bool]string{true: "create_super", false: "adopt_super"}[isNew]})
	})
	return created, err
}

func create(ctx context.Context, q querier, folder storage.Folder, o Options) error {
	stmts := []statement{
		{sql: ducklakeDDL},
		{`INSERT INTO ducklake_snapshot (snapshot_id, snapshot_time, schema_version, next_catalog_id, next_file_id) VALUES (0, ?, 0, 1, 0)`, []any{FormatTime(o.Now())}},
		{`INSERT INTO ducklake_snapshot_changes (snapshot_id, changes_made) VALUES (0, 'created_schema:"main"')`, nil},
		{`INSERT INTO ducklake_schema (schema_id, schema_uuid, begin_snapshot, schema_name, path, path_is_relative) VALUES (0, ?, 0, 'main', 'main/', 1)`, []any{uuid.NewString()}},
	}
	inline := max(0, o.InlineRows)
	if o.InlineRows == 0 {
		inline = InlineRows
	}
	for _, kv := range [][2]string{
		{"version", FormatVersion},
		{"created_by", o.CreatedBy},
		{"data_path", folder.Data()},
		{"encrypted", "false"},
		{inlineOption, strconv.Itoa(inline)},
		{"parquet_compression", "zstd"},
	} {
		stmts = append(stmts, statement{`INSERT INTO ducklake_metadata ("key", "value") VALUES (?, ?)`, []any{kv[0], kv[1]}})
	}
	return execAll(ctx, q, stmts)
}

// adoptable says whether a catalog that lies here is foreign and can become
// ours (true), is ours already (false), or cannot (an error naming why).
func adoptable(ctx context.Context, q querier, folder storage.Folder) (bool, error) {
	meta, err := metadata(ctx, q)
	if err != nil {
		return false, err
	}
	if err := readable(meta); err != nil {
		return false, err
	}
	foreign, err := missing(ctx, q, "supertable_change")
	if err != nil || !foreign {
		return false, err
	}
	if foreignDataPath(folder, meta["data_path"]) != folder.Data() {
		return false, errs.New(errs.Unsupported, "cannot adopt this lake: its data path is not the folder data/ beside its catalog")
	}
	return true, adoptableNames(ctx, q, filepath.Base(folder.Root()))
}

func adoptableNames(ctx context.Context, q querier, super string) error {
	var schema string
	err := q.QueryRowContext(ctx, `SELECT schema_name FROM ducklake_schema WHERE schema_name <> 'main' LIMIT 1`).Scan(&schema)
	if err == nil {
		return errs.New(errs.Unsupported, "cannot adopt this lake: it has the schema %q beside main", schema)
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return sqlError(ctx, err, "read the catalog")
	}
	v := &View{q: q}
	head, err := v.loadHead(ctx)
	if err != nil {
		return err
	}
	tables, err := v.Tables(ctx, head.ID)
	if err != nil {
		return err
	}
	for _, t := range tables {
		if err := CheckTableName(t.Name, super); err != nil {
			return errs.New(errs.Unsupported, "cannot adopt this lake: the table name %q is not allowed", t.Name)
		}
		if _, err := v.Columns(ctx, t.ID, head.ID); err != nil {
			return err
		}
	}
	return nil
}

// missing reports whether the database has no such table.
func missing(ctx context.Context, q querier, table string) (bool, error) {
	var n int
	err := q.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?`, table).Scan(&n)
	return n == 0, sqlError(ctx, err, "read the catalog")
}

// sqlError types an error of the database; nil stays nil. Its text names no path.
func sqlError(ctx context.Context, err error, doing string) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*errs.Error](err); ok {
		return err
	}
	if cerr := errs.FromContext(ctx, doing); cerr != nil {
		return cerr
	}
	if se, ok := errors.AsType[sqlite3.Error](err); ok {
		switch se.Code {
		case sqlite3.ErrCorrupt, sqlite3.ErrNotADB, sqlite3.ErrFormat:
			return errs.Wrap(errs.Corrupt, err, "%s: catalog.db is damaged: %s", doing, se.Code.Error())
		case sqlite3.ErrBusy, sqlite3.ErrLocked, sqlite3.ErrFull, sqlite3.ErrIoErr, sqlite3.ErrCantOpen, sqlite3.ErrReadonly, sqlite3.ErrPerm, sqlite3.ErrNomem:
			return errs.Wrap(errs.Unavailable, err, "%s: %s", doing, se.Code.Error())
		}
	}
	return errs.Wrap(errs.Internal, err, "%s: %v", doing, err)
}

// FormatTime writes a time as the catalog stores it: UTC, microseconds, sorts
// as text.
func FormatTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000+00") }

// ParseTime reads a time as any DuckLake client stores it on SQLite.
func ParseTime(s string) (time.Time, error) {
	s = strings.Replace(s, "T", " ", 1)
	for _, layout := range []string{"2006-01-02 15:04:05.999999999-07", "2006-01-02 15:04:05.999999999-07:00", "2006-01-02 15:04:05.999999999"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, errs.New(errs.Corrupt, "the catalog has an unreadable time %q", s)
}

// CheckTableName holds the rule for names of tables; super is the SuperTable's
// own name, which no table may carry.
func CheckTableName(name, super string) error {
	if name == "" || len(name) > 128 {
		return errs.New(errs.InvalidArgument, "SimpleTable name can't be empty or longer than 128")
	}
	if strings.EqualFold(name, AuditTable) {
		return errs.New(errs.InvalidArgument, "%s is the audit's name, no table can have it", AuditTable)
	}
	if super != "" && strings.EqualFold(name, super) {
		return errs.New(errs.InvalidArgument, "SimpleTable name can't match with SuperTable name")
	}
	if !validName(name, false) {
		return errs.New(errs.InvalidArgument, "Invalid table name: %s. Table names must start with a letter or underscore and contain only alphanumeric characters and underscores.", fmt.Sprintf("%q", name))
	}
	return nil
}

// CheckSpaceName holds the rule for names of organizations and SuperTables.
func CheckSpaceName(what, name string) error {
	if name == "" || len(name) > 128 || !validName(name, what == "organization") || strings.EqualFold(name, "information_schema") {
		return errs.New(errs.InvalidArgument, "Invalid %s name: %q. Names start with a letter or underscore and contain only letters, digits and underscores.", what, name)
	}
	return nil
}

func validName(name string, dash bool) bool {
	for i := range len(name) {
		c := name[i]
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || (c < '0' || c > '9') && (c != '-' || !dash)) {
			return false
		}
	}
	return true
}
