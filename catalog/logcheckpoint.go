package catalog

import (
	"context"
	"crypto/rand"
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/mattn/go-sqlite3"

	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/storage"
)

// compactLock keeps processes from compacting the log at the same time.
const compactLock = "log.lock"

// keptCheckpoints is how many checkpoints stay: the newest, and one to fall
// back on when it is damaged.
const keptCheckpoints = 2

func token() string { return strings.ReplaceAll(uuid.NewString(), "-", "")[:12] }

func segmentName(first int64) string      { return fmt.Sprintf("%019d.log", first) }
func checkpointName(seq int64) string     { return fmt.Sprintf("checkpoint-%019d.db", seq) }
func sumName(checkpoint string) string    { return strings.TrimSuffix(checkpoint, ".db") + ".sum" }
func (l *commitLog) path(n string) string { return filepath.Join(l.folder.Log(), n) }

// listLog lists the numbers of the segments and the checkpoints, ascending.
func listLog(dir string) (segments, checkpoints []int64, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, storage.Error(err, "list the log")
	}
	for _, e := range entries {
		if text, ok := strings.CutSuffix(e.Name(), ".log"); ok {
			if n, err := strconv.ParseInt(text, 10, 64); err == nil {
				segments = append(segments, n)
			}
		}
		text, ok := strings.CutPrefix(e.Name(), "checkpoint-")
		if text, is := strings.CutSuffix(text, ".db"); ok && is {
			if n, err := strconv.ParseInt(text, 10, 64); err == nil {
				checkpoints = append(checkpoints, n)
			}
		}
	}
	slices.Sort(segments)
	slices.Sort(checkpoints)
	return segments, checkpoints, nil
}

// copyCatalog makes a whole copy of a catalog as it is now, without keeping
// writers waiting: SQLite writes it from the tables, so that a damaged catalog
// gives an error and no copy.
func copyCatalog(ctx context.Context, dsn, to string) error {
	conn, err := sqliteDriver.Open(dsn)
	if err != nil {
		return sqlError(ctx, err, "copy the catalog")
	}
	defer func() { _ = conn.Close() }()
	_, err = conn.(*sqlite3.SQLiteConn).ExecContext(ctx, `VACUUM INTO ?`, []driver.NamedValue{{Ordinal: 1, Value: to}})
	return sqlError(ctx, err, "copy the catalog")
}

// plainConn opens a database that nobody else knows of yet, for one change
// after the other without waiting for the disk.
func plainConn(path string) (*sqlite3.SQLiteConn, error) {
	conn, err := sqliteDriver.Open(fileDSN(path, map[string]string{"mode": "rw", "_synchronous": "OFF", "_stmt_cache_size": "100"}))
	if err != nil {
		return nil, sqlError(context.Background(), err, "open a copy of the catalog")
	}
	return conn.(*sqlite3.SQLiteConn), nil
}

// setPosition writes into a copy of a catalog where its log stands.
func setPosition(path string, p logPosition) error {
	conn, err := plainConn(path)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	_, err = conn.Exec(`UPDATE supertable_log SET seq = ?, segment = ?, place = ?, sum = ?, touched = 0`, []driver.Value{p.seq, p.segment, p.place, int64(p.sum)})
	return sqlError(context.Background(), err, "write the log's place")
}

// positionOf reads from a copy of a catalog where its log stands.
func positionOf(path string) (p logPosition, touched bool, err error) {
	conn, err := plainConn(path)
	if err != nil {
		return p, false, err
	}
	c := &loggedConn{SQLiteConn: conn}
	defer func() { _ = c.Close() }()
	return c.position()
}

// newChain is where a chain begins that continues no other.
func newChain() (uint32, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(1<<32))
	if err != nil {
		return 0, errs.Wrap(errs.Internal, err, "begin a log")
	}
	return uint32(n.Uint64()), nil
}

// renew brings the log up to the catalog with a checkpoint of everything that
// is committed. It takes a number of its own, so that records from before it
// are never replayed into what other clients have changed since.
func (l *commitLog) renew(ctx context.Context, c *loggedConn) error {
	if err := storage.MakeDir(l.folder.Log()); err != nil {
		return err
	}
	if err := l.removeTemporary(".renew-"); err != nil {
		return err
	}
	if err := l.begin(ctx, c); err != nil {
		return err
	}
	err := l.renewInside(ctx, c)
	if err == nil {
		err = c.plain(`COMMIT`)
	}
	if err != nil {
		_ = c.plain(`ROLLBACK`)
		return err
	}
	l.mu.Lock()
	l.met = true
	l.mu.Unlock()
	return l.prune()
}

// begin opens a transaction; foreign clients may be in one.
func (l *commitLog) begin(ctx context.Context, c *loggedConn) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return untilFree(ctx, func() error { return c.plain(`BEGIN IMMEDIATE`) })
}

func (l *commitLog) renewInside(ctx context.Context, c *loggedConn) error {
	at, _, err := c.position()
	if err != nil {
		return err
	}
	_, checkpoints, err := listLog(l.folder.Log())
	if err != nil {
		return err
	}
	at.seq++
	if n := len(checkpoints); n > 0 && checkpoints[n-1] >= at.seq { // never two under one number
		at.seq = checkpoints[n-1] + 1
	}
	if n := l.newest(); n > at.seq {
		at.seq = n
	}
	at.segment, at.place = at.seq+1, logHeaderSize
	if at.sum, err = newChain(); err != nil {
		return err
	}
	temporary := l.path(".renew-" + token())
	defer func() { _ = os.Remove(temporary) }()
	if err := copyCatalog(ctx, l.dsn, temporary); err != nil {
		return err
	}
	if err := setPosition(temporary, at); err != nil {
		return err
	}
	// The segment comes first: a checkpoint counts from the moment on that it is
	// installed, and one that names a segment which is not there cannot be told
	// from one whose records were lost. Killed between the two, the segment holds
	// no record, continues nothing, and goes with the next checkpoints.
	file, err := l.newSegment(at)
	if err != nil {
		return err
	}
	if file == nil {
		return errs.New(errs.Unavailable, "the folder of the log is gone")
	}
	if err := file.Close(); err != nil {
		return storage.Error(err, "begin a file of the log")
	}
	if err := l.install(temporary, at.seq); err != nil {
		return err
	}
	return c.move(at)
}

// install makes a finished copy the checkpoint seq. It counts from the moment
// on that its checksum lies beside it.
func (l *commitLog) install(copied string, seq int64) error {
	return installCheckpoint(l.folder.Log(), copied, seq)
}

func installCheckpoint(dir, copied string, seq int64) error {
	if err := storage.SyncFile(copied); err != nil {
		return err
	}
	sum, err := storage.Checksum(copied)
	if err != nil {
		return err
	}
	name := checkpointName(seq)
	if err := os.Rename(copied, filepath.Join(dir, name)); err != nil {
		return storage.Error(err, "keep a checkpoint")
	}
	if err := storage.WriteFile(filepath.Join(dir, sumName(name)), []byte(sum+"  "+name+"\n")); err != nil {
		return err
	}
	return storage.SyncDir(dir)
}

// wholeCheckpoint says whether a checkpoint is what was written.
func wholeCheckpoint(dir string, seq int64) bool {
	text, err := os.ReadFile(filepath.Join(dir, sumName(checkpointName(seq))))
	if err != nil {
		return false
	}
	want, _, _ := strings.Cut(string(text), " ")
	if _, err := hex.DecodeString(want); err != nil || len(want) != 64 {
		return false
	}
	sum, err := storage.Checksum(filepath.Join(dir, checkpointName(seq)))
	return err == nil && sum == want
}

// prune removes what no checkpoint that stays needs.
func (l *commitLog) prune() error {
	segments, checkpoints, err := listLog(l.folder.Log())
	if err != nil {
		return err
	}
	drop, gone := obsoleteLog(segments, checkpoints)
	for _, n := range gone {
		_ = os.Remove(l.path(segmentName(n)))
	}
	for _, n := range drop {
		_ = os.Remove(l.path(sumName(checkpointName(n)))) // first what makes it count
		_ = os.Remove(l.path(checkpointName(n)))
	}
	return nil
}

// obsoleteLog says which checkpoints and which segments go: all but the newest
// checkpoints, and the segments whose last record the oldest of those has.
func obsoleteLog(segments, checkpoints []int64) (dropCheckpoints, dropSegments []int64) {
	n := len(checkpoints) - keptCheckpoints
	if n > 0 {
		dropCheckpoints = checkpoints[:n]
		checkpoints = checkpoints[n:]
	}
	if len(checkpoints) == 0 {
		return nil, nil
	}
	for i := 0; i+1 < len(segments) && segments[i+1] <= checkpoints[0]+1; i++ {
		dropSegments = segments[:i+1]
	}
	return dropCheckpoints, dropSegments
}

func (l *commitLog) removeTemporary(prefix string) error {
	entries, err := os.ReadDir(l.folder.Log())
	if err != nil {
		return storage.Error(err, "list the log")
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) {
			_ = os.Remove(l.path(e.Name()))
		}
	}
	return nil
}

// compact begins a compaction in the background when enough has come together
// since the last checkpoint.
func (l *commitLog) compact() {
	if !l.wantsCompaction() {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy {
		return
	}
	l.busy = true
	l.working.Go(func() {
		err := l.compactNow(context.Background())
		l.mu.Lock()
		l.busy = false
		l.mu.Unlock()
		if err != nil {
			l.logger.Warn("the log was not compacted", slog.String("error", err.Error()))
		}
	})
}

// wantsCompaction weighs the records behind the newest checkpoint against it:
// what a checkpoint costs to write, the records have cost before.
func (l *commitLog) wantsCompaction() bool {
	segments, checkpoints, err := listLog(l.folder.Log())
	if err != nil || len(checkpoints) == 0 {
		return false
	}
	newest := checkpoints[len(checkpoints)-1]
	bytes := int64(0)
	for _, n := range segments {
		if n > newest {
			bytes += size(l.path(segmentName(n)))
		}
	}
	return bytes >= max(l.compactAfter, size(l.path(checkpointName(newest))))
}

func size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

func (l *commitLog) compactNow(ctx context.Context) error {
	release, ok, err := l.folder.TryLock(compactLock)
	if err != nil || !ok {
		return err // another process is at it
	}
	defer release()
	if err := l.removeTemporary(".checkpoint-"); err != nil {
		return err
	}
	temporary := l.path(".checkpoint-" + token())
	defer func() { _ = os.Remove(temporary) }()
	if err := copyCatalog(ctx, l.dsn, temporary); err != nil {
		return err
	}
	at, touched, err := positionOf(temporary)
	if err != nil || touched { // other clients have written: our next commit makes a checkpoint anyway
		return err
	}
	unlock, err := l.folder.Lock(ctx, commitLock)
	if err != nil {
		return err
	}
	defer unlock()
	if !l.current() {
		return nil
	}
	if err := l.install(temporary, at.seq); err != nil {
		return err
	}
	return l.prune()
}
