package catalog

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"hash/fnv"
	"log/slog"
	"math/bits"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/mattn/go-sqlite3"

	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/storage"
)

// fileIndex finds the files of a table whose bounds meet a range, without
// looking at the others (ADR 0013). It is a database of its own beside the
// catalog, index/files.db: derived from the catalog, made for the columns that
// conditions name, and made again when it is lost. Commits do not know of it.
//
// It never decides anything alone. What it finds is looked at in the catalog,
// and it may miss nothing, because
//
//   - ids of files only grow and what the catalog says of a file never changes,
//     so files from a column's watermark on are all that it cannot know; they
//     count as found;
//   - the watermark is proved at each use: a file that was indexed last is
//     still there under the same path. A catalog that was restored, or whose
//     history took another way, fails that, and the watermark goes back to the
//     last file that both have.
//
// Each file has one entry per column: an interval, or "open" when nothing is
// known of its values, or none when it has only NULL. Intervals lie in an
// interval tree laid out for a B-tree: an interval belongs to the level and prefix of the
// smallest binary block of keys that holds it. A range meets at most two blocks per level at whose
// entries it must look, ordered by the end that matters, and the blocks
// between them whole.
type fileIndex struct {
	folder storage.Folder
	warn   func(doing string, err error)
	from   int64 // indexFrom; tests lower it
	batch  int   // files per transaction of a build
	behind int   // indexBehind; tests lower it

	mu    sync.Mutex
	db    *sql.DB // nil until it is needed; guarded by mu
	off   atomic.Bool
	build chan struct{} // who holds its one place builds
}

const (
	// indexVersion of the database; another one is made anew.
	indexVersion = 1
	// indexBehind is how many new files are looked at one by one before they
	// are taken into the index.
	indexBehind = 256
	indexBatch  = 50_000
	// buildCache is the memory of a build, in KiB: entries go to places all over
	// the index.
	buildCache = 64 << 10
	// evidenceKept is how many proofs of a watermark stay.
	evidenceKept = 100
)

const indexSchema = `
CREATE TABLE leaf (leaf INTEGER PRIMARY KEY AUTOINCREMENT, table_id BIGINT NOT NULL, column_id BIGINT NOT NULL, kind TEXT NOT NULL, skip BLOB NOT NULL, levels BIGINT NOT NULL, entries BIGINT NOT NULL, UNIQUE (table_id, column_id, kind));
CREATE TABLE evidence (leaf BIGINT NOT NULL, file_id BIGINT NOT NULL, mark BIGINT NOT NULL, PRIMARY KEY (leaf, file_id)) WITHOUT ROWID;
CREATE TABLE span (leaf BIGINT NOT NULL, level BIGINT NOT NULL, prefix BIGINT NOT NULL, lo BIGINT NOT NULL, file_id BIGINT NOT NULL, hi BIGINT NOT NULL, PRIMARY KEY (leaf, level, prefix, lo, file_id)) WITHOUT ROWID;
CREATE INDEX span_high ON span (leaf, level, prefix, hi);
CREATE TABLE open (leaf BIGINT NOT NULL, file_id BIGINT NOT NULL, PRIMARY KEY (leaf, file_id)) WITHOUT ROWID;
CREATE TABLE nulls (leaf BIGINT NOT NULL, file_id BIGINT NOT NULL, PRIMARY KEY (leaf, file_id)) WITHOUT ROWID;
PRAGMA user_version = 1`

var indexTables = []string{"span", "open", "nulls", "evidence"}

func newFileIndex(c *Catalog) *fileIndex {
	x := &fileIndex{folder: c.folder, from: indexFrom, batch: indexBatch, behind: indexBehind, build: make(chan struct{}, 1)}
	x.warn = func(doing string, err error) {
		c.opts.Logger.Warn("the index of files is not used", slog.String("doing", doing), slog.String("cause", err.Error()))
	}
	x.off.Store(c.foreign)
	return x
}

func (x *fileIndex) usable() bool { return x != nil && !x.off.Load() }

func (x *fileIndex) path() string { return filepath.Join(x.folder.Index(), "files.db") }

// open gives the database, made when it is not there.
func (x *fileIndex) open(ctx context.Context) (*sql.DB, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.db != nil {
		return x.db, nil
	}
	db, err := openDerived(x.path())
	if err != nil {
		return nil, err
	}
	if err := x.initialise(ctx, db); err != nil {
		_ = db.Close()
		return nil, err
	}
	x.db = db
	return db, nil
}

func (x *fileIndex) initialise(ctx context.Context, db *sql.DB) error {
	d := derived{indexVersion, append([]string{"leaf"}, indexTables...), indexSchema}
	if ready, err := d.ready(ctx, db); err != nil || ready {
		return err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := setWAL(ctx, conn); err != nil {
		return err
	}
	return immediate(ctx, conn, func(q querier) error { return d.make(ctx, q) })
}

func (x *fileIndex) close() error {
	if x == nil {
		return nil
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.db == nil {
		return nil
	}
	err := x.db.Close()
	x.db = nil
	x.off.Store(true)
	return err
}

// failed turns the index off for this process; a damaged one is removed, so
// that the next makes it again. Only an error of the caller's own is given back.
func (x *fileIndex) failed(ctx context.Context, doing string, err error) error {
	if err == nil {
		return nil
	}
	if cerr := errs.FromContext(ctx, doing); cerr != nil {
		return cerr
	}
	var se sqlite3.Error
	if errors.As(err, &se) && (se.Code == sqlite3.ErrBusy || se.Code == sqlite3.ErrLocked) {
		return nil // another process is at it
	}
	x.off.Store(true)
	x.warn(doing, err)
	if errors.As(err, &se) && (se.Code == sqlite3.ErrCorrupt || se.Code == sqlite3.ErrNotADB) {
		removeDerived(x.path())
	}
	return nil
}

// indexLeaf is one column of a table in the index.
type indexLeaf struct {
	column datafile.Column
	order  datafile.Order
	known  bool // it is there
	id     int64
	upto   int64 // files below are known
	last   int64 // the newest file of which it is proved; 0 is none
	levels uint64
	count  int64 // entries
	behind bool  // many files are not known
}

// kind names what the keys of a column mean: with another type, or for some
// types another version of the column, they mean something else.
func (l *indexLeaf) kind() string {
	if l.column.Type.Name == "float64" { // see boundOf
		return "float64 since " + strconv.FormatInt(l.column.Begin, 10)
	}
	return l.column.Type.Lake()
}

// boundsOf gives the keys of what the catalog says of a column in a file.
// known is false when that rules out nothing.
func (l *indexLeaf) boundsOf(s *datafile.Stats, written int64) (lo, hi int64, known bool) {
	if s == nil || s.Min == nil || s.Max == nil || s.ContainsNaN != nil && *s.ContainsNaN {
		return 0, 0, false
	}
	if l.column.Type.Name == "float64" && written < l.column.Begin {
		return 0, 0, false
	}
	a, ok1 := datafile.ParseBound(l.column.Type, *s.Min)
	b, ok2 := datafile.ParseBound(l.column.Type, *s.Max)
	if !ok1 || !ok2 {
		return 0, 0, false
	}
	lo, ok1 = l.order.Key(a)
	hi, ok2 = l.order.Key(b)
	return lo, hi, ok1 && ok2 && lo <= hi
}

// block is where an interval belongs: the level and prefix of the smallest
// binary block that holds both keys. On level 0 that is one key; on the others
// the interval begins below the block's middle and ends there or above.
func block(lo, hi int64) (level int, prefix int64) {
	level = bits.Len64(uint64(lo) ^ uint64(hi))
	return level, prefixOf(level, lo)
}

// prefixOf is the block of a level that a key lies in; prefixes are ordered as
// the keys are.
func prefixOf(level int, key int64) int64 {
	if level == 64 { // all keys
		return 0
	}
	return key >> level
}

// middleOf is the first key of a block's upper half.
func middleOf(level int, prefix int64) int64 {
	if level == 64 {
		return 0
	}
	return prefix<<level + 1<<(level-1)
}

// fileMark is what is remembered of a file to know it again.
func fileMark(path string) int64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(path))
	return int64(h.Sum64())
}

// load reads what the index has of a column and proves its watermark.
func (x *fileIndex) load(ctx context.Context, tx querier, v *View, t Table, c datafile.Column) (*indexLeaf, error) {
	order, ok := datafile.OrderOf(c.Type)
	if !ok {
		return nil, nil
	}
	l := &indexLeaf{column: c, order: order}
	var skip []byte
	var levels int64
	err := tx.QueryRowContext(ctx, `SELECT leaf, skip, levels, entries FROM leaf WHERE table_id = ? AND column_id = ? AND kind = ?`, t.ID, c.ID, l.kind()).Scan(&l.id, &skip, &levels, &l.count)
	if errors.Is(err, sql.ErrNoRows) {
		l.behind = true
		return l, nil
	}
	if err != nil {
		return nil, err
	}
	l.known, l.order, l.levels = true, order.Skip(string(skip)), uint64(levels)
	if err := x.prove(ctx, tx, v, t, l); err != nil {
		return nil, err
	}
	var n int
	err = v.q.QueryRowContext(ctx, `SELECT count(*) FROM (SELECT 1 FROM ducklake_data_file INDEXED BY supertable_idx_data_file_id WHERE table_id = ? AND data_file_id >= ? LIMIT ?)`, t.ID, l.upto, x.behind+1).Scan(&n)
	l.behind = n > x.behind
	return l, err
}

// prove finds the newest file that the index knows and the catalog still has.
func (x *fileIndex) prove(ctx context.Context, tx querier, v *View, t Table, l *indexLeaf) error {
	rows, err := tx.QueryContext(ctx, `SELECT file_id, mark FROM evidence WHERE leaf = ? ORDER BY file_id DESC`, l.id)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var file, want int64
		var path sql.NullString
		if err := rows.Scan(&file, &want); err != nil {
			return err
		}
		err := v.q.QueryRowContext(ctx, `SELECT path FROM ducklake_data_file WHERE data_file_id = ? AND table_id = ?`, file, t.ID).Scan(&path)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if err == nil && fileMark(path.String) == want {
			l.upto, l.last = file+1, file
			return nil
		}
	}
	return rows.Err()
}

// catchUp takes the files that the index does not know into it, some per
// transaction. done is false when another process is at it too, or has changed
// what it was built on.
func (x *fileIndex) catchUp(ctx context.Context, db *sql.DB, v *View, t Table, l *indexLeaf) (done bool, err error) {
	select {
	case x.build <- struct{}{}:
		defer func() { <-x.build }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return false, err
	}
	defer func() {
		_, _ = conn.ExecContext(context.WithoutCancel(ctx), `PRAGMA cache_size = -2000`) // the default
		_ = conn.Close()
	}()
	if _, err := conn.ExecContext(ctx, `PRAGMA cache_size = -`+strconv.Itoa(buildCache)); err != nil {
		return false, err
	}
	if err := x.begin(ctx, conn, v, t, l); err != nil {
		return false, err
	}
	for {
		files, err := l.unknown(ctx, v, t, x.batch)
		if err != nil || len(files) == 0 {
			return err == nil, err
		}
		same := false
		err = immediate(ctx, conn, func(q querier) error {
			var last int64
			err := q.QueryRowContext(ctx, newestEvidence, l.id).Scan(&last)
			if same = err == nil && last == l.last; !same {
				return ignoreNoRows(err)
			}
			return l.insert(ctx, conn, files)
		})
		if err != nil || !same {
			return false, err
		}
	}
}

const newestEvidence = `SELECT (SELECT coalesce(max(file_id), 0) FROM evidence e WHERE e.leaf = l.leaf) FROM leaf l WHERE l.leaf = ?`

func ignoreNoRows(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return err
}

// begin makes the column's place, or takes out what is not proved, and all of
// it when most of it is of files that are gone.
func (x *fileIndex) begin(ctx context.Context, conn *sql.Conn, v *View, t Table, l *indexLeaf) error {
	now, err := v.ids(ctx, `SELECT count(*) FROM ducklake_data_file WHERE table_id = ?`, t.ID)
	if err != nil {
		return err
	}
	again := !l.known || l.last == 0 || l.count >= 2*now[0]+x.from
	skip := ""
	if again {
		if skip, err = l.common(ctx, v, t); err != nil {
			return err
		}
	}
	return immediate(ctx, conn, func(q querier) error {
		if !again {
			var newest int64
			if err := q.QueryRowContext(ctx, newestEvidence, l.id).Scan(&newest); err != nil || newest == l.last {
				return ignoreNoRows(err)
			}
			for _, table := range indexTables {
				if _, err := q.ExecContext(ctx, `DELETE FROM `+table+` WHERE leaf = ? AND file_id > ?`, l.id, l.last); err != nil {
					return err
				}
			}
			return nil
		}
		if err := x.forget(ctx, q, v, t, l); err != nil {
			return err
		}
		res, err := q.ExecContext(ctx, `INSERT INTO leaf (table_id, column_id, kind, skip, levels, entries) VALUES (?, ?, ?, ?, 0, 0)`, t.ID, l.column.ID, l.kind(), []byte(skip))
		if err != nil {
			return err
		}
		l.order = l.order.Skip(skip)
		l.known, l.upto, l.last, l.levels, l.count = true, 0, 0, 0, 0
		l.id, err = res.LastInsertId()
		return err
	})
}

// forget removes the column, and columns of tables that are gone.
func (x *fileIndex) forget(ctx context.Context, q querier, v *View, t Table, l *indexLeaf) error {
	ids, err := (&View{q: q}).ids(ctx, `SELECT leaf FROM leaf WHERE table_id = ? AND column_id = ? AND kind = ?`, t.ID, l.column.ID, l.kind())
	if err != nil {
		return err
	}
	tables, err := (&View{q: q}).ids(ctx, `SELECT DISTINCT table_id FROM leaf`)
	if err != nil {
		return err
	}
	for _, id := range tables {
		there, err := v.ids(ctx, `SELECT 1 FROM ducklake_table WHERE table_id = ? LIMIT 1`, id)
		if err != nil {
			return err
		}
		if len(there) > 0 {
			continue
		}
		gone, err := (&View{q: q}).ids(ctx, `SELECT leaf FROM leaf WHERE table_id = ?`, id)
		if err != nil {
			return err
		}
		ids = append(ids, gone...)
	}
	for _, id := range ids {
		for _, table := range append([]string{"leaf"}, indexTables...) {
			if _, err := q.ExecContext(ctx, `DELETE FROM `+table+` WHERE leaf = ?`, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// common is what the texts of the column have in common at their start, by the
// bounds that the catalog has of the table or else of its files.
func (l *indexLeaf) common(ctx context.Context, v *View, t Table) (string, error) {
	if !l.order.Text() {
		return "", nil
	}
	var lo, hi sql.NullString
	err := v.q.QueryRowContext(ctx, `SELECT min_value, max_value FROM ducklake_table_column_stats WHERE table_id = ? AND column_id = ?`, t.ID, l.column.ID).Scan(&lo, &hi)
	if errors.Is(err, sql.ErrNoRows) || err == nil && !(lo.Valid && hi.Valid) {
		err = v.q.QueryRowContext(ctx, `SELECT min(min_value), max(max_value) FROM ducklake_file_column_stats WHERE table_id = ? AND column_id = ?`, t.ID, l.column.ID).Scan(&lo, &hi)
	}
	if err != nil {
		return "", err
	}
	n := 0
	for n < min(len(lo.String), len(hi.String)) && lo.String[n] == hi.String[n] {
		n++
	}
	return lo.String[:n], nil
}

// indexed is a file on its way into the index.
type indexed struct {
	id, written int64
	path        string
	stats       *datafile.Stats
}

// unknown reads the next files that the index does not know.
func (l *indexLeaf) unknown(ctx context.Context, v *View, t Table, limit int) ([]indexed, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT f.data_file_id, coalesce(f.path, ''), coalesce(r.written, f.begin_snapshot), s.value_count, s.null_count, s.min_value, s.max_value, s.contains_nan
 FROM ducklake_data_file f INDEXED BY supertable_idx_data_file_id LEFT JOIN supertable_restored r ON r.file_id = f.data_file_id
 LEFT JOIN ducklake_file_column_stats s ON s.table_id = f.table_id AND s.column_id = ?3 AND s.data_file_id = f.data_file_id
 WHERE f.table_id = ?1 AND f.data_file_id >= ?2 ORDER BY f.data_file_id LIMIT ?4`, t.ID, l.upto, l.column.ID, limit)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []indexed
	read := 0
	for ; rows.Next(); read++ {
		var f indexed
		var raw rawStats
		if err := rows.Scan(&f.id, &f.path, &f.written, &raw.values, &raw.nulls, &raw.lo, &raw.hi, &raw.nan); err != nil {
			return nil, err
		}
		if s, ok := raw.stats(); ok {
			f.stats = &s
		}
		if n := len(out); n > 0 && out[n-1].id == f.id { // two rows of one file and column: neither counts
			out[n-1].stats = nil
			continue
		}
		out = append(out, f)
	}
	if len(out) > 1 && read == limit { // the last may have another row
		out = out[:len(out)-1]
	}
	return out, rows.Err()
}

// span is an interval on its way into the index.
type span struct {
	level                int
	prefix, lo, hi, file int64
}

// insert adds files to the index.
func (l *indexLeaf) insert(ctx context.Context, conn *sql.Conn, files []indexed) error {
	stmts := map[string]*sql.Stmt{}
	defer func() {
		for _, s := range stmts {
			_ = s.Close()
		}
	}()
	put := func(query string, args ...any) error {
		s := stmts[query]
		if s == nil {
			var err error
			if s, err = conn.PrepareContext(ctx, query); err != nil {
				return err
			}
			stmts[query] = s
		}
		_, err := s.ExecContext(ctx, args...)
		return err
	}
	levels := l.levels
	var spans []span
	for _, f := range files {
		if f.stats != nil && f.stats.NullCount > 0 {
			if err := put(`INSERT OR REPLACE INTO nulls (leaf, file_id) VALUES (?, ?)`, l.id, f.id); err != nil {
				return err
			}
		}
		if f.stats != nil && f.stats.ValueCount == 0 {
			continue
		}
		lo, hi, known := l.boundsOf(f.stats, f.written)
		if !known {
			if err := put(`INSERT OR REPLACE INTO open (leaf, file_id) VALUES (?, ?)`, l.id, f.id); err != nil {
				return err
			}
			continue
		}
		level, prefix := block(lo, hi)
		levels |= levelBit(level)
		spans = append(spans, span{level, prefix, lo, hi, f.id})
	}
	slices.SortFunc(spans, func(a, b span) int {
		return cmp.Or(cmp.Compare(a.level, b.level), cmp.Compare(a.prefix, b.prefix), cmp.Compare(a.lo, b.lo))
	})
	for _, s := range spans {
		if err := put(`INSERT OR REPLACE INTO span (leaf, level, prefix, lo, hi, file_id) VALUES (?, ?, ?, ?, ?, ?)`, l.id, s.level, s.prefix, s.lo, s.hi, s.file); err != nil {
			return err
		}
	}
	last := files[len(files)-1]
	if err := put(`INSERT INTO evidence (leaf, file_id, mark) VALUES (?, ?, ?)`, l.id, last.id, fileMark(last.path)); err != nil {
		return err
	}
	if err := put(`DELETE FROM evidence WHERE leaf = ?1 AND file_id < (SELECT min(file_id) FROM (SELECT file_id FROM evidence WHERE leaf = ?1 ORDER BY file_id DESC LIMIT ?2))`, l.id, evidenceKept); err != nil {
		return err
	}
	if err := put(`UPDATE leaf SET levels = ?, entries = ? WHERE leaf = ?`, int64(levels), l.count+int64(len(files)), l.id); err != nil {
		return err
	}
	l.levels, l.count, l.last, l.upto = levels, l.count+int64(len(files)), last.id, last.id+1
	return nil
}

// levelBit marks a level as used; the highest two share a bit.
func levelBit(level int) uint64 { return 1 << min(level, 63) }
