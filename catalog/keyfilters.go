package catalog

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/mattn/go-sqlite3"

	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/storage"
)

// KeyFilters keeps the key filters of a SuperTable's data files: in memory,
// the most recently used, and in a database of its own beside the catalog,
// index/keys.db. It is derived from the files, made when a write has use for
// it, and made again when it is lost (ADR 0015).
//
// A filter is only ever believed when it says that a file lacks a key, so a
// wrong one would make a row that is there be written twice. Therefore each is
// stored with a sum over its bytes, over the file that it is of (a name that no
// other file ever gets, its rows and its size) and over the scheme by which the
// keys were hashed. What a file holds never changes (I1), so nothing that
// happens to the catalog makes a filter wrong. Whatever does not add up counts
// as not there.
//
// No error of it fails a write or a query.
type KeyFilters struct {
	folder   storage.Folder
	dataPath string
	logger   *slog.Logger

	cache keyCache

	mu     sync.Mutex // of everything below
	db     *sql.DB    // nil until it is needed
	off    bool
	broken int             // how often it was found damaged
	making map[string]bool // filters that are being made, by scheme and file
	cursor int64           // up to which filter it was looked whether the file is still there

	keep sync.Mutex // one writer of this process at a time
}

const (
	// keysVersion of the database; another one is made anew.
	keysVersion = 1
	// keyCacheBytes bounds the filters in memory.
	keyCacheBytes = 64 << 20
	// keyStoreBytes bounds the filters on disk: the oldest go. That many are of
	// some 3.5 billion rows.
	keyStoreBytes = 4 << 30
	// filtersAtOnce is how many filters one statement reads.
	filtersAtOnce = 64
	// sweepLeast is how many filters are held against the disk at least when
	// others are kept: so those of files that are gone go.
	sweepLeast = 32
	// brokenMost is how often a damaged database is made again by one process.
	brokenMost = 5
)

const keysSchema = `
CREATE TABLE scheme (scheme INTEGER PRIMARY KEY AUTOINCREMENT, table_id BIGINT NOT NULL, engine TEXT NOT NULL, columns TEXT NOT NULL, name TEXT NOT NULL UNIQUE);
CREATE INDEX scheme_table ON scheme (table_id);
CREATE TABLE filter (filter INTEGER PRIMARY KEY AUTOINCREMENT, scheme BIGINT NOT NULL, path TEXT NOT NULL, sum BLOB NOT NULL, body BLOB NOT NULL);
CREATE UNIQUE INDEX filter_place ON filter (scheme, path);
PRAGMA user_version = 1`

// KeyScheme is what the hashes of filters mean: which engine hashed which
// columns of a table, in which order and in which types.
type KeyScheme struct {
	Engine  string      `json:"engine"`
	Table   int64       `json:"table"`
	Columns []KeyColumn `json:"columns"`
}

// KeyColumn is one column of a key. Files without it have its default.
type KeyColumn struct {
	ID      int64   `json:"id"`
	Type    string  `json:"type"` // as SQL
	Default *string `json:"default"`
}

func keyColumn(c datafile.Column) KeyColumn { return KeyColumn{c.ID, c.Type.SQL(), c.InitialDefault} }

// Of reports whether the column of the key is this one, as it is now.
func (k KeyColumn) Of(c datafile.Column) bool {
	now := keyColumn(c)
	same := k.Default == nil && now.Default == nil || k.Default != nil && now.Default != nil && *k.Default == *now.Default
	return same && k.ID == now.ID && k.Type == now.Type && hashedTypes[c.Type.Name]
}

// NewKeyScheme is the scheme of a key; ok is false when filters are not for
// it. The columns are put in the order of their ids, in which their values are
// to be hashed.
func NewKeyScheme(engine string, table int64, key []datafile.Column) (s KeyScheme, ok bool) {
	s = KeyScheme{Engine: engine, Table: table}
	for _, c := range key {
		if !hashedTypes[c.Type.Name] {
			return s, false
		}
		s.Columns = append(s.Columns, keyColumn(c))
	}
	slices.SortFunc(s.Columns, func(a, b KeyColumn) int { return int(a.ID - b.ID) })
	return s, len(key) > 0 && engine != ""
}

// hashedTypes are the types whose values have the same hash exactly when
// IS NOT DISTINCT FROM takes them as equal, or else a hash that differs from it
// by chance alone (TestEqualKeysHashAlike).
var hashedTypes = map[string]bool{
	"boolean": true, "int8": true, "int16": true, "int32": true, "int64": true, "uint8": true, "uint16": true, "uint32": true, "uint64": true,
	"decimal": true, "float32": true, "float64": true, "date": true, "time": true, "timestamp": true, "timestamp_s": true, "timestamp_ms": true,
	"timestamp_ns": true, "timestamptz": true, "varchar": true, "blob": true, "uuid": true,
}

func (s KeyScheme) name() string {
	text, _ := json.Marshal(s) // strings and numbers only
	return string(text)
}

// Same reports whether hashes of both mean the same.
func (s KeyScheme) Same(t KeyScheme) bool { return s.name() == t.name() }

func (s KeyScheme) columns() string {
	ids := make([]string, len(s.Columns))
	for i, c := range s.Columns {
		ids[i] = fmt.Sprint(c.ID)
	}
	return strings.Join(ids, ",")
}

// FilteredFile is a data file as filters know it.
type FilteredFile struct {
	Rel           string // relative to the data folder
	Records, Size int64
}

// sum is what a filter is stored with.
func (s KeyScheme) sum(f FilteredFile, body []byte) []byte {
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%d %q %q %d %d ", keyFilterVersion, s.name(), f.Rel, f.Records, f.Size)
	_, _ = h.Write(body)
	return h.Sum(nil)
}

func newKeyFilters(c *Catalog) *KeyFilters {
	k := &KeyFilters{folder: c.folder, dataPath: c.dataPath, logger: c.opts.Logger, off: c.foreign, making: map[string]bool{}}
	k.cache.limit = keyCacheBytes
	return k
}

// KeyFilters are the key filters of the catalog's files.
func (c *Catalog) KeyFilters() *KeyFilters { return c.keys }

// Filtered gives a file as filters know it; ok is false for a file that has none.
func (k *KeyFilters) Filtered(f *File) (FilteredFile, bool) {
	rel, below := strings.CutPrefix(f.Path, k.dataPath)
	return FilteredFile{rel, f.Records, f.Size}, below && f.MappingID == nil && !f.Outside
}

func (k *KeyFilters) path() string { return filepath.Join(k.folder.Index(), "keys.db") }

// open gives the database: nil when it is off, or not there and not to be made.
func (k *KeyFilters) open(ctx context.Context, create bool) (*sql.DB, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.off || k.db != nil {
		return k.db, nil
	}
	if _, err := os.Stat(k.path()); err != nil && !create {
		return nil, nil
	}
	db, err := openDerived(k.path())
	if err != nil {
		return nil, err
	}
	if err := initialiseKeys(ctx, db); err != nil {
		_ = db.Close()
		return nil, err
	}
	k.db = db
	return db, nil
}

// initialiseKeys waits for no other process: the next caller tries again.
func initialiseKeys(ctx context.Context, db *sql.DB) error {
	d := derived{keysVersion, []string{"scheme", "filter"}, keysSchema}
	if ready, err := d.ready(ctx, db); err != nil || ready {
		return err
	}
	var mode string
	if err := db.QueryRowContext(ctx, `PRAGMA journal_mode = WAL`).Scan(&mode); err != nil {
		return err
	}
	tx, err := beginNow(ctx, db)
	if err != nil {
		return err
	}
	return tx.end(ctx, d.make(ctx, tx))
}

func (k *KeyFilters) close() error {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.off = true
	return k.closeDB()
}

func (k *KeyFilters) closeDB() error {
	db := k.db
	if k.db = nil; db == nil {
		return nil
	}
	return db.Close()
}

// failed does what an error of the database asks for: what cannot be had turns
// it off for this process, anything else counts as damage: then it is removed,
// and made again. Only the end of ctx is given back.
func (k *KeyFilters) failed(ctx context.Context, db *sql.DB, doing string, err error) error {
	if err == nil {
		return nil
	}
	if cerr := errs.FromContext(ctx, doing); cerr != nil {
		return cerr
	}
	se, _ := errors.AsType[sqlite3.Error](err)
	switch se.Code {
	case sqlite3.ErrBusy, sqlite3.ErrLocked, sqlite3.ErrFull: // another time
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.off || k.db != db { // closed, or found damaged by another caller just now
		return nil
	}
	_ = k.closeDB()
	_, refused := errors.AsType[*fs.PathError](err)
	switch {
	case refused, se.Code == sqlite3.ErrCantOpen, se.Code == sqlite3.ErrPerm, se.Code == sqlite3.ErrNomem:
		k.off = true
	case se.ExtendedCode == sqlite3.ErrReadonly.Extend(4): // somebody removed it
	default:
		removeDerived(k.path())
	}
	k.broken++
	k.off = k.off || k.broken >= brokenMost
	k.logger.Warn("key filters are not used", slog.String("doing", doing), slog.String("cause", err.Error()), slog.Bool("any more", k.off))
	return nil
}

// KeyLook is what filters say of files, by their ids.
type KeyLook struct {
	Lack    map[int64]bool // files that surely have none of the keys
	Missing []*File        // files without a filter that could have one
	Met     bool           // the key was asked for before
}

// Look holds the hashes of keys against the filters of files. It makes none.
func (k *KeyFilters) Look(ctx context.Context, s KeyScheme, files []*File, hashes []uint64) (KeyLook, error) {
	l := KeyLook{Lack: map[int64]bool{}}
	name := s.name()
	var ask []*File
	for _, f := range files {
		place, ok := k.Filtered(f)
		if !ok {
			continue
		}
		filter := k.cache.get(name, place)
		if filter == nil {
			ask = append(ask, f)
			continue
		}
		l.Met = true
		if !filter.MayHoldAny(hashes) {
			l.Lack[f.ID] = true
		}
	}
	if len(ask) == 0 {
		return l, nil
	}
	known, met, err := k.read(ctx, s, ask, func(f *File, filter *KeyFilter) {
		if !filter.MayHoldAny(hashes) {
			l.Lack[f.ID] = true
		}
	})
	l.Met = l.Met || met
	for _, f := range ask {
		if !known[f.ID] {
			l.Missing = append(l.Missing, f)
		}
	}
	return l, err
}

// read reads stored filters of files; it gives the ids of those that have one,
// and whether the scheme is known.
func (k *KeyFilters) read(ctx context.Context, s KeyScheme, files []*File, each func(*File, *KeyFilter)) (known map[int64]bool, met bool, err error) {
	known = map[int64]bool{}
	db, err := k.open(ctx, false)
	if err != nil || db == nil {
		return known, false, k.failed(ctx, db, "open them", err)
	}
	var scheme int64
	err = db.QueryRowContext(ctx, `SELECT scheme FROM scheme WHERE name = ?`, s.name()).Scan(&scheme)
	if errors.Is(err, sql.ErrNoRows) {
		return known, false, nil
	}
	if err != nil {
		return known, false, k.failed(ctx, db, "read them", err)
	}
	for part := range slices.Chunk(files, filtersAtOnce) {
		if err := k.readSome(ctx, db, scheme, s, part, known, each); err != nil {
			return known, true, k.failed(ctx, db, "read them", err)
		}
	}
	return known, true, nil
}

func (k *KeyFilters) readSome(ctx context.Context, db *sql.DB, scheme int64, s KeyScheme, files []*File, known map[int64]bool, each func(*File, *KeyFilter)) error {
	byRel, places := map[string]*File{}, make([]FilteredFile, len(files))
	for i, f := range files {
		places[i], _ = k.Filtered(f)
		byRel[places[i].Rel] = f
	}
	return stored(ctx, db, scheme, s, places, func(place FilteredFile, body []byte) {
		if filter, ok := parseKeyFilter(body); ok {
			f := byRel[place.Rel]
			known[f.ID] = true
			k.cache.put(s.name(), place, filter)
			each(f, filter)
		}
	})
}

// stored finds the filters that are there, of some files, and add up.
func stored(ctx context.Context, q querier, scheme int64, s KeyScheme, places []FilteredFile, each func(FilteredFile, []byte)) error {
	args, byRel := []any{scheme}, map[string]FilteredFile{}
	for _, p := range places {
		args, byRel[p.Rel] = append(args, p.Rel), p
	}
	rows, err := q.QueryContext(ctx, `SELECT path, sum, body FROM filter WHERE scheme = ? AND path IN (`+strings.TrimSuffix(strings.Repeat("?,", len(places)), ",")+`)`, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var rel string
		var sum, body []byte
		if err := rows.Scan(&rel, &sum, &body); err != nil {
			return err
		}
		// An index that is damaged finds what was not asked for.
		if place, asked := byRel[rel]; asked && bytes.Equal(sum, s.sum(place, body)) {
			each(place, body)
		}
	}
	return rows.Err()
}

// Schemes lists by which keys of a table there may be filters that this
// engine's hashes fit. It makes nothing.
func (k *KeyFilters) Schemes(ctx context.Context, engine string, table int64) ([]KeyScheme, error) {
	db, err := k.open(ctx, false)
	if err != nil || db == nil {
		return nil, k.failed(ctx, db, "open them", err)
	}
	list, err := schemesOf(ctx, db, engine, table)
	return list, k.failed(ctx, db, "list them", err)
}

func schemesOf(ctx context.Context, db *sql.DB, engine string, table int64) ([]KeyScheme, error) {
	rows, err := db.QueryContext(ctx, `SELECT name FROM scheme WHERE table_id = ? AND engine = ? ORDER BY scheme`, table, engine)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []KeyScheme
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		var s KeyScheme
		if json.Unmarshal([]byte(name), &s) == nil && s.Table == table && s.Engine == engine && len(s.Columns) > 0 {
			out = append(out, s)
		}
	}
	return out, rows.Err()
}

// Claim gives those of the files whose filters no other writer of this process
// makes just now. The caller makes them and then calls release.
func (k *KeyFilters) Claim(s KeyScheme, files []*File) (mine []*File, release func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var names []string
	for _, f := range files {
		name := s.name() + f.Path
		if k.off || k.making[name] {
			continue
		}
		k.making[name] = true
		mine, names = append(mine, f), append(names, name)
	}
	return mine, func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		for _, name := range names {
			delete(k.making, name)
		}
	}
}

// Meet notes that a key is asked for, see KeyLook.Met.
func (k *KeyFilters) Meet(ctx context.Context, s KeyScheme) error { return k.store(ctx, s, nil) }

// Keep stores filters by the files that they are of. It must not be called
// inside a commit: it may wait a little for another process.
func (k *KeyFilters) Keep(ctx context.Context, s KeyScheme, filters map[FilteredFile]*KeyFilter) error {
	if len(filters) == 0 {
		return nil
	}
	return k.store(ctx, s, filters)
}

func (k *KeyFilters) store(ctx context.Context, s KeyScheme, filters map[FilteredFile]*KeyFilter) error {
	for place, f := range filters {
		k.cache.put(s.name(), place, f)
	}
	k.keep.Lock()
	defer k.keep.Unlock()
	db, err := k.open(ctx, true)
	if err != nil || db == nil {
		return k.failed(ctx, db, "open them", err)
	}
	tx, err := beginNow(ctx, db)
	if err != nil {
		return k.failed(ctx, db, "keep them", err)
	}
	err = k.keepIn(ctx, tx, s, filters)
	return k.failed(ctx, db, "keep them", tx.end(ctx, err))
}

// nowTx is a write transaction that waits for others no longer than the
// busy timeout: what is derived can be kept another time.
type nowTx struct{ *sql.Conn }

func beginNow(ctx context.Context, db *sql.DB) (nowTx, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nowTx{}, err
	}
	if _, err := conn.ExecContext(ctx, `BEGIN IMMEDIATE`); err != nil {
		_ = conn.Close()
		return nowTx{}, err
	}
	return nowTx{conn}, nil
}

func (t nowTx) end(ctx context.Context, err error) error {
	defer func() { _ = t.Close() }()
	if err == nil {
		_, err = t.ExecContext(context.WithoutCancel(ctx), `COMMIT`)
	}
	if err != nil {
		rollback(t.Conn)
	}
	return err
}

func (k *KeyFilters) keepIn(ctx context.Context, q querier, s KeyScheme, filters map[FilteredFile]*KeyFilter) error {
	id, err := schemeID(ctx, q, s)
	if err != nil {
		return err
	}
	for place, f := range filters {
		if _, err := q.ExecContext(ctx, `INSERT OR REPLACE INTO filter (scheme, path, sum, body) VALUES (?, ?, ?, ?)`, id, place.Rel, s.sum(place, f.body), f.body); err != nil {
			return err
		}
	}
	if err := holdsAll(ctx, q, id, s, filters); err != nil {
		return err
	}
	if err := k.sweep(ctx, q, sweepLeast+2*len(filters)); err != nil {
		return err
	}
	return shrink(ctx, q)
}

// holdsAll looks for what was put in, as readers do: a database that is damaged
// may lose it without a word, and then it would be made again and again.
func holdsAll(ctx context.Context, q querier, id int64, s KeyScheme, filters map[FilteredFile]*KeyFilter) error {
	places := slices.Collect(maps.Keys(filters))
	for part := range slices.Chunk(places, filtersAtOnce) {
		found := map[FilteredFile]bool{}
		err := stored(ctx, q, id, s, part, func(place FilteredFile, body []byte) { found[place] = bytes.Equal(body, filters[place].body) })
		if err != nil {
			return err
		}
		for _, place := range part {
			if !found[place] {
				return errors.New("what was kept is not found")
			}
		}
	}
	return nil
}

// schemeID finds or makes a scheme. A new one takes the place of those of
// other engines, and of other types of its columns.
func schemeID(ctx context.Context, q querier, s KeyScheme) (id int64, err error) {
	err = q.QueryRowContext(ctx, `SELECT scheme FROM scheme WHERE name = ?`, s.name()).Scan(&id)
	if !errors.Is(err, sql.ErrNoRows) {
		return id, err
	}
	const old = `SELECT scheme FROM scheme WHERE table_id = ?1 AND (engine <> ?2 OR columns = ?3)`
	for _, stmt := range []string{`DELETE FROM filter WHERE scheme IN (` + old + `)`, `DELETE FROM scheme WHERE scheme IN (` + old + `)`} {
		if _, err := q.ExecContext(ctx, stmt, s.Table, s.Engine, s.columns()); err != nil {
			return 0, err
		}
	}
	res, err := q.ExecContext(ctx, `INSERT INTO scheme (table_id, engine, columns, name) VALUES (?, ?, ?, ?)`, s.Table, s.Engine, s.columns(), s.name())
	if err != nil {
		return 0, err
	}
	return res.LastInsertId()
}

// sweep drops filters of files that are gone from the disk. It looks at some,
// the next time at the next ones.
func (k *KeyFilters) sweep(ctx context.Context, q querier, n int) error {
	k.mu.Lock()
	from := k.cursor
	k.mu.Unlock()
	rows, err := q.QueryContext(ctx, `SELECT filter, path FROM filter WHERE filter > ? ORDER BY filter LIMIT ?`, from, n)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	var gone []int64
	seen := 0
	for ; rows.Next(); seen++ {
		var rel string
		if err := rows.Scan(&from, &rel); err != nil {
			return err
		}
		if _, err := os.Lstat(k.dataPath + rel); errors.Is(err, fs.ErrNotExist) {
			gone = append(gone, from)
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if seen < n {
		from = 0
	}
	k.mu.Lock()
	k.cursor = from
	k.mu.Unlock()
	for _, id := range gone {
		if _, err := q.ExecContext(ctx, `DELETE FROM filter WHERE filter = ?`, id); err != nil {
			return err
		}
	}
	return nil
}

// shrink drops the oldest filters when all are too large.
func shrink(ctx context.Context, q querier) error {
	var bytes int64
	err := q.QueryRowContext(ctx, `SELECT (p.page_count - f.freelist_count) * s.page_size FROM pragma_page_count p, pragma_freelist_count f, pragma_page_size s`).Scan(&bytes)
	if err != nil || bytes <= keyStoreBytes {
		return err
	}
	_, err = q.ExecContext(ctx, `DELETE FROM filter WHERE filter < (SELECT min(filter) + (max(filter) - min(filter) + 8) / 8 FROM filter)`)
	return err
}
