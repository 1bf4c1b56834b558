package catalog

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/storage"
)

// commitLog keeps the log of a catalog (ADR 0011): from a checkpoint, a whole
// copy of the catalog, and the records behind it the catalog can be made again.
//
//	log/checkpoint-<seq>.db    the catalog with the transactions up to seq
//	log/checkpoint-<seq>.sum   its SHA-256, as sha256sum writes it
//	log/<first>.log            the records from first on
//
// Everything here happens under the commit lock, inside the transaction that
// is logged. At its end:
//
//  1. the row of supertable_log says where the last committed record ends;
//  2. the record is written there, over whatever a transaction left that did
//     not come to be;
//  3. the row is moved behind it, in the same transaction;
//  4. COMMIT, while the record is synced at the same time; the caller gets his
//     answer when both are on disk.
//
// Killed before the COMMIT is durable, the record belongs to nobody and the
// next one takes its place: only when the catalog is lost at that very moment
// does it count, and then the transaction has happened. Losing power between
// the two syncs, the record may be torn and the catalog one ahead: the next
// transaction finds that and makes a checkpoint. Where other clients have
// written, or the log is not there, a checkpoint takes the place of the record.
type commitLog struct {
	folder storage.Folder
	dsn    string
	logger *slog.Logger
	// limit is the size at which a segment is full; compaction begins when
	// there are compactAfter bytes since the last checkpoint.
	limit, compactAfter int64

	current func() bool // whether the catalog that is open still lies in the folder
	off     bool        // for measuring what the log costs

	mu      sync.Mutex
	met     bool           // the end of the log was looked at; guarded by mu
	busy    bool           // a compaction is under way; guarded by mu
	working sync.WaitGroup // on it
}

const (
	defaultSegment = 4 << 20
	defaultCompact = 16 << 20
	// logChunk is by how much a segment grows, at least and at most: syncing a
	// record that changes no file size is cheaper.
	logChunkLeast, logChunkMost = 16 << 10, 1 << 20
)

// positionStatements read and move the row of supertable_log.
type positionStatements struct{ get, set, touch, changes driver.Stmt }

func (p *positionStatements) close() {
	if p != nil {
		_, _, _, _ = p.get.Close(), p.set.Close(), p.touch.Close(), p.changes.Close()
	}
}

// statements prepares them once; nil when this catalog has no such table.
func (c *loggedConn) statements() (*positionStatements, error) {
	if c.state != nil {
		return c.state, nil
	}
	var p positionStatements
	for _, s := range []struct {
		to  *driver.Stmt
		sql string
	}{
		{&p.get, `SELECT seq, segment, place, sum, touched FROM supertable_log`},
		{&p.set, `UPDATE supertable_log SET seq = ?, segment = ?, place = ?, sum = ?, touched = 0`},
		{&p.touch, `UPDATE supertable_log SET touched = 1`},
		{&p.changes, `PRAGMA data_version`},
	} {
		stmt, err := c.Prepare(s.sql)
		if err != nil {
			return nil, sqlError(context.Background(), err, "read the log's place")
		}
		*s.to = stmt
	}
	c.state = &p
	return c.state, nil
}

// position reads where the log stands. touched is set when the catalog has
// what the log has not.
func (c *loggedConn) position() (p logPosition, touched bool, err error) {
	s, err := c.statements()
	if err != nil {
		return p, false, err
	}
	var n [5]int64
	if err := firstRow(s.get, n[:]); err != nil {
		if errors.Is(err, io.EOF) {
			return p, false, errs.New(errs.Corrupt, "the catalog does not say where its log stands")
		}
		return p, false, sqlError(context.Background(), err, "read the log's place")
	}
	return logPosition{n[0], n[1], n[2], uint32(n[3])}, n[4] != 0, nil
}

// changes reads PRAGMA data_version: it moves when another connection committed.
func (c *loggedConn) changes() (int64, error) {
	s, err := c.statements()
	if err != nil {
		return 0, err
	}
	var n [1]int64
	err = firstRow(s.changes, n[:])
	return n[0], sqlError(context.Background(), err, "open the catalog")
}

// firstRow reads the whole numbers of the first row; without one it is io.EOF.
func firstRow(s driver.Stmt, out []int64) error {
	rows, err := s.Query(nil) //nolint:staticcheck // the driver's own statement, of one row: there is nothing to cancel
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	row := make([]driver.Value, len(out))
	err = rows.Next(row)
	for i, v := range row {
		out[i], _ = v.(int64)
	}
	return err
}

func (c *loggedConn) move(p logPosition) error {
	_, err := c.state.set.Exec([]driver.Value{p.seq, p.segment, p.place, int64(p.sum)}) //nolint:staticcheck // a statement of the driver
	return sqlError(context.Background(), err, "write the log's place")
}

func (c *loggedConn) plain(sql string) error {
	_, err := c.Exec(sql, nil)
	return err
}

// commit ends the transaction of c, logged.
func (l *commitLog) commit(ctx context.Context, c *loggedConn) error {
	if l.off || !c.tx.changed() {
		return c.plain(`COMMIT`)
	}
	if !l.current() {
		return replaced()
	}
	at := c.at
	var file *os.File
	if !c.touched && !c.tx.opaque {
		var err error
		if file, err = l.segment(&at); err != nil {
			return err
		}
	}
	if file == nil {
		return l.commitWithCheckpoint(ctx, c)
	}
	defer func() { _ = file.Close() }()
	if err := l.commitRecord(c, file, at); err != nil {
		l.takeBack(c, file, at.place)
		return err
	}
	if at.place == logHeaderSize {
		l.compact()
	}
	return nil
}

// replaced refuses a change of a catalog that nobody reads any more.
func replaced() error {
	return errs.New(errs.Unavailable, "the catalog was replaced while it was open; open the SuperTable again")
}

// commitRecord writes the record at its place and commits it.
func (l *commitLog) commitRecord(c *loggedConn, file *os.File, at logPosition) error {
	next, err := l.write(file, at, c.tx.body)
	if err != nil {
		return err
	}
	if err := c.move(next); err != nil {
		return err
	}
	synced := make(chan error, 1)
	if c.relaxed {
		synced <- nil
	} else {
		go func() { synced <- storage.SyncData(file) }()
	}
	err = c.plain(`COMMIT`)
	if serr := <-synced; err == nil && serr != nil {
		l.logger.Warn("the log was not synced; the next commit makes a checkpoint", slog.String("error", serr.Error()))
		_, _ = c.state.touch.Exec(nil) //nolint:staticcheck // a statement of the driver
		c.lost()
	}
	if err == nil {
		c.at = next
	}
	return err
}

// takeBack rolls a transaction back that could not be committed, and ends the
// log where its record would stand: the caller was told that it failed, so no
// rebuild may bring it. When the catalog does not say that it failed, the
// record stays.
func (l *commitLog) takeBack(c *loggedConn, file *os.File, place int64) {
	_ = c.plain(`ROLLBACK`) // SQLite may have done it
	if !c.AutoCommit() {
		return
	}
	now, _, err := c.position()
	if err != nil || now != c.at {
		return
	}
	_, err = file.WriteAt(make([]byte, logEndSize), place)
	if err == nil {
		err = storage.SyncData(file)
	}
	if err != nil {
		l.logger.Warn("the record of a commit that failed is still in the log, until the next commit", slog.String("error", storage.Error(err, "write the log").Error()))
	}
}

// segment opens the segment that the record after at goes into, and moves at
// to a new one when it is full. Nil: the log is not what the catalog says.
func (l *commitLog) segment(at *logPosition) (*os.File, error) {
	if at.segment == 0 {
		return nil, nil
	}
	if at.place >= l.limit {
		*at = logPosition{seq: at.seq, segment: at.seq + 1, place: logHeaderSize, sum: at.sum}
		return l.newSegment(*at)
	}
	if at.place == 0 { // behind the checkpoint that came with a backup
		if !HasLog(l.folder) {
			return nil, nil
		}
		at.place = logHeaderSize
		return l.newSegment(*at)
	}
	file, err := os.OpenFile(l.path(segmentName(at.segment)), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, storage.Error(err, "open the log")
	}
	l.mu.Lock()
	met := l.met
	l.met = true
	l.mu.Unlock()
	if !met && !l.continues(file, *at) {
		_ = file.Close()
		return nil, nil
	}
	return file, nil
}

// newSegment begins the segment at, durably. What lies there under its name
// is of a transaction that did not come to be.
func (l *commitLog) newSegment(at logPosition) (*os.File, error) {
	file, err := os.OpenFile(l.path(segmentName(at.segment)), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // the whole folder is gone
	}
	if err != nil {
		return nil, storage.Error(err, "begin a file of the log")
	}
	if _, err = file.Write(segmentHeader(at.segment, at.sum)); err == nil {
		err = file.Sync()
	}
	if err != nil {
		_ = file.Close()
		return nil, storage.Error(err, "begin a file of the log")
	}
	if err := storage.SyncDir(l.folder.Log()); err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

// continues looks, once per open catalog, at what stands in the segment where
// the next record will go. Nothing, or the one record of a transaction that
// did not come to be, is as it should be. More says that the catalog is older
// than its log: somebody put a copy in its place. That log is then set aside.
func (l *commitLog) continues(file *os.File, at logPosition) bool {
	b, err := io.ReadAll(file)
	if err != nil || int64(len(b)) < at.place || !HasLog(l.folder) {
		return false
	}
	if _, ok := readSegmentHeader(b, at.segment); !ok {
		return false
	}
	b = b[at.place:]
	more := 0
	for seq, sum := at.seq+1, at.sum; more < 2; more++ {
		body, next, whole, _ := nextRecord(b, seq, sum)
		if !whole {
			break
		}
		b, seq, sum = b[logRecordHead+len(body):], seq+1, next
	}
	if more < 2 && l.newest() <= at.seq+1 {
		return true
	}
	aside := l.folder.Log() + "-kept-" + token()
	l.logger.Warn("the log goes on after this catalog; it was set aside", slog.String("folder", filepath.Base(aside)))
	if err := os.Rename(l.folder.Log(), aside); err != nil {
		l.logger.Warn("the log was not set aside", slog.String("error", storage.Error(err, "move the log").Error()))
	}
	return false
}

// newest is the number in the name of the newest segment.
func (l *commitLog) newest() int64 {
	segments, _, err := listLog(l.folder.Log())
	if err != nil || len(segments) == 0 {
		return 0
	}
	return segments[len(segments)-1]
}

// write puts the record with body at its place and gives the place behind it.
func (l *commitLog) write(file *os.File, at logPosition, body []byte) (logPosition, error) {
	b, sum := sealRecord(body, at.seq+1, at.sum)
	end := at.place + int64(len(b)) - logEndSize
	if _, err := file.WriteAt(b, at.place); err != nil {
		return at, storage.Error(err, "write the log")
	}
	info, err := file.Stat()
	if err != nil {
		return at, storage.Error(err, "write the log")
	}
	if info.Size() <= end+logEndSize { // the file has grown: let it be by a chunk
		chunk := min(max(end, logChunkLeast), logChunkMost)
		if _, err := file.WriteAt(make([]byte, chunk), end+logEndSize); err != nil {
			return at, storage.Error(err, "write the log")
		}
	}
	return logPosition{at.seq + 1, at.segment, end, sum}, nil
}

// commitWithCheckpoint commits what no record can hold: a checkpoint with it
// follows at once. Killed between the two, the mark stands that makes the next
// transaction do it.
func (l *commitLog) commitWithCheckpoint(ctx context.Context, c *loggedConn) error {
	if _, err := c.state.touch.Exec(nil); err != nil { //nolint:staticcheck // a statement of the driver
		return sqlError(ctx, err, "write the log's place")
	}
	if err := c.plain(`COMMIT`); err != nil {
		return err
	}
	c.lost()                                                       // the checkpoint moves the log
	if err := l.renew(context.WithoutCancel(ctx), c); err != nil { // what was committed stays so
		l.logger.Warn("no checkpoint of the catalog; the next commit tries again", slog.String("error", err.Error()))
	}
	return nil
}

// openWriter opens the connection that writes, with its log.
func (c *Catalog) openWriter() {
	dsn := catalogDSN(c.folder, "rw", "FULL")
	c.log = &commitLog{folder: c.folder, dsn: dsn, logger: c.opts.Logger, limit: defaultSegment, compactAfter: defaultCompact, current: c.inPlace}
	if n := c.opts.LogBytes; n > 0 {
		c.log.limit, c.log.compactAfter = max(n/4, logHeaderSize+1), n
	}
	c.writer = sql.OpenDB(loggedConnector{connector{dsn}, c.log})
	c.writer.SetMaxOpenConns(1)
}

// CatchUpLog brings the log up to the catalog when there is something that it
// has not: a new catalog, the commits of other clients. Commits do it by
// themselves.
func (c *Catalog) CatchUpLog(ctx context.Context) error {
	if c.foreign {
		return nil
	}
	var touched bool
	if err := c.db.QueryRowContext(ctx, `SELECT touched FROM supertable_log`).Scan(&touched); err != nil || !touched {
		return sqlError(ctx, err, "read the log's place")
	}
	return c.write(ctx, func(q querier) error { // whatever it changes is logged with a checkpoint
		_, err := q.ExecContext(ctx, `UPDATE supertable_log SET touched = 1`)
		return sqlError(ctx, err, "write the log's place")
	})
}
