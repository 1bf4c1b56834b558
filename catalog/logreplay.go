package catalog

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mattn/go-sqlite3"

	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/storage"
)

// replayed is what came of reading a log.
type replayed struct {
	at logPosition // behind the last record that counts
	// broken says in words why the log ends there although it should go on;
	// "" when it ends as it should.
	broken string
}

// errOtherHistory: the checkpoint does not belong to the records behind it.
var errOtherHistory = errors.New("the checkpoint is of another history than the log")

// readLog calls apply with the records behind from, in order, as far as they
// are whole. A record that apply refuses ends the log before it.
func readLog(dir string, from logPosition, apply func(seq int64, body []byte) error) (replayed, error) {
	segments, _, err := listLog(dir)
	if err != nil {
		return replayed{}, err
	}
	r := logReader{dir: dir, from: from, apply: apply, at: from}
	i := max(0, firstAfter(segments, from.seq+1)-1)
	for ; i < len(segments) && r.broken == ""; i++ {
		until := int64(-1) // records from there on are in the next segment
		if i+1 < len(segments) {
			until = segments[i+1]
		}
		if err := r.segment(segments[i], until); err != nil {
			return replayed{}, err
		}
	}
	return replayed{r.at, r.broken}, nil
}

// firstAfter is the index of the first number greater than n.
func firstAfter(numbers []int64, n int64) int {
	i := slices.IndexFunc(numbers, func(m int64) bool { return m > n })
	if i < 0 {
		return len(numbers)
	}
	return i
}

type logReader struct {
	dir    string
	from   logPosition
	apply  func(seq int64, body []byte) error
	at     logPosition
	broken string
}

func (r *logReader) stop(first int64, why string) {
	r.broken = fmt.Sprintf("the log breaks off after transaction %d: %s: %s", r.at.seq, segmentName(first), why)
}

// segment reads one file. The chain tells whether it continues what was read.
func (r *logReader) segment(first, until int64) error {
	b, err := os.ReadFile(filepath.Join(r.dir, segmentName(first)))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return storage.Error(err, "read the log")
	}
	chain, ok := readSegmentHeader(b, first)
	if !ok {
		r.stop(first, "it is no part of a log any more")
		return nil
	}
	if first > r.from.seq && (first != r.at.seq+1 || chain != r.at.sum) {
		if first == r.from.seq+1 && r.at.seq == r.from.seq {
			return errOtherHistory
		}
		r.stop(first, "it does not continue what is there before it")
		return nil
	}
	place := int64(logHeaderSize)
	if first == r.from.seq+1 {
		r.at.segment, r.at.place = first, place
	}
	for seq := first; until < 0 || seq < until; seq++ {
		body, sum, whole, end := nextRecord(b[place:], seq, chain)
		if !whole {
			if seq <= r.from.seq {
				return errOtherHistory
			}
			if !end {
				r.stop(first, "its end is damaged")
			}
			return nil
		}
		place, chain = place+logRecordHead+int64(len(body)), sum
		if seq < r.from.seq {
			continue
		}
		if seq == r.from.seq {
			if sum != r.from.sum {
				return errOtherHistory
			}
		} else if err := r.apply(seq, body); err != nil {
			r.stop(first, err.Error())
			return nil
		}
		r.at = logPosition{seq, first, place, sum}
	}
	return nil
}

// replayer applies records to a copy of the catalog.
type replayer struct{ conn *sqlite3.SQLiteConn }

func (r replayer) exec(sql string, args []driver.NamedValue) (int64, error) {
	res, err := r.conn.ExecContext(context.Background(), sql, args)
	if err != nil {
		return 0, err
	}
	n, err := res.RowsAffected()
	return n, err
}

// notedTable holds what NoteChunk keeps beside the log, since it may be lost:
// the log removes rows from it that a rebuilt catalog never had.
const notedTable = "supertable_chunk"

// record applies one transaction, whole or not at all.
func (r replayer) record(ctx context.Context, seq int64, body []byte) error {
	if err := errs.FromContext(ctx, "rebuild"); err != nil {
		return err
	}
	all, err := statements(body)
	if err != nil {
		return err
	}
	if _, err := r.exec(`SAVEPOINT record`, nil); err != nil {
		return err
	}
	for _, s := range all {
		n, err := r.exec(s.sql, s.args)
		if err == nil && s.affected >= 0 && n != s.affected && !strings.Contains(s.sql, notedTable) {
			err = fmt.Errorf("a statement changed %d rows where it had changed %d", n, s.affected)
		}
		if err != nil {
			_, _ = r.exec(`ROLLBACK TO record`, nil)
			_, _ = r.exec(`RELEASE record`, nil)
			return fmt.Errorf("transaction %d does not fit: %w", seq, err)
		}
	}
	_, err = r.exec(`RELEASE record`, nil)
	return err
}

// replay makes at path, where nothing lies, the catalog that the log of folder
// holds: the newest checkpoint that is whole, and the records behind it.
// Problems are things that were found damaged on the way.
func replay(ctx context.Context, folder storage.Folder, path string) (r replayed, problems []string, err error) {
	return replayUntil(ctx, folder, path, math.MaxInt64)
}

var errEnough = errors.New("the last transaction that was asked for")

// replayUntil is replay without the transactions after last.
func replayUntil(ctx context.Context, folder storage.Folder, path string, last int64) (r replayed, problems []string, err error) {
	_, checkpoints, err := listLog(folder.Log())
	if err != nil {
		return r, nil, err
	}
	for _, seq := range slices.Backward(checkpoints) {
		if seq > last {
			continue // made while this one reads
		}
		name := checkpointName(seq)
		if !wholeCheckpoint(folder.Log(), seq) {
			problems = append(problems, "the checkpoint "+name+" is damaged; an earlier one was taken")
			continue
		}
		r, err = replayFrom(ctx, folder, seq, path, last)
		if errors.Is(err, errOtherHistory) {
			problems = append(problems, "the checkpoint "+name+" is of another history; an earlier one was taken")
			continue
		}
		if err != nil {
			return r, problems, err
		}
		if r.broken != "" {
			problems = append(problems, r.broken)
		}
		return r, problems, nil
	}
	return r, problems, errs.New(errs.Corrupt, "the log has no checkpoint that is whole: the catalog cannot be rebuilt from it")
}

func replayFrom(ctx context.Context, folder storage.Folder, seq int64, path string, last int64) (r replayed, err error) {
	if err := copyFile(filepath.Join(folder.Log(), checkpointName(seq)), path); err != nil {
		return r, err
	}
	from, _, err := positionOf(path)
	if err != nil {
		return r, err
	}
	conn, err := plainConn(path)
	if err != nil {
		return r, err
	}
	defer func() { _ = conn.Close() }()
	re := replayer{conn}
	if _, err := re.exec(`BEGIN`, nil); err != nil {
		return r, sqlError(ctx, err, "replay the log")
	}
	r, err = readLog(folder.Log(), from, func(seq int64, body []byte) error {
		if seq > last {
			return errEnough
		}
		return re.record(ctx, seq, body)
	})
	if err == nil {
		err = errs.FromContext(ctx, "rebuild")
	}
	if err != nil {
		return r, err
	}
	if _, err := re.exec(`COMMIT`, nil); err != nil {
		return r, sqlError(ctx, err, "replay the log")
	}
	return r, setPosition(path, r.at)
}

// copyFile copies a file over what lies at to.
func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return storage.Error(err, "copy a file")
	}
	defer func() { _ = in.Close() }()
	out, err := os.Create(to)
	if err != nil {
		return storage.Error(err, "copy a file")
	}
	_, err = io.Copy(out, in)
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	return storage.Error(err, "copy a file")
}

// LogFinding is something about the log that is not as it should be.
type LogFinding struct{ Kind, Object, Detail string }

// CheckLog looks whether the catalog could be made again from its log; deep
// does so and compares the two, row by row.
func (c *Catalog) CheckLog(ctx context.Context, deep bool) ([]LogFinding, error) {
	if c.foreign {
		return nil, nil
	}
	dir, drop, err := c.folder.Spill()
	if err != nil {
		return nil, err
	}
	defer drop()
	if err := storage.MakeDir(dir); err != nil {
		return nil, err
	}
	for try := 0; ; try++ {
		found, err := c.checkLog(ctx, dir, deep)
		if len(found) == 0 || err != nil || try == 2 {
			return found, err
		} // a log that is compacted while it is read looks damaged
	}
}

const logAdvice = "; when the catalog is sound, remove the folder log: the next write begins another one"

func (c *Catalog) checkLog(ctx context.Context, dir string, deep bool) ([]LogFinding, error) {
	now := filepath.Join(dir, "now-"+token())
	at, touched, err := c.logPlace(ctx, now, deep)
	if err != nil {
		return nil, err
	}
	if touched {
		return []LogFinding{{"log_behind", "log", "the catalog has changes that the log has not; the next write brings them in"}}, nil
	}
	segments, checkpoints, err := listLog(c.folder.Log())
	if err != nil {
		return nil, err
	}
	if len(checkpoints) == 0 {
		return []LogFinding{{"log_behind", "log", "there is no log; the next write begins one"}}, nil
	}
	if deep {
		return c.compareLog(ctx, dir, now, at)
	}
	from := checkpoints[len(checkpoints)-1]
	name := checkpointName(from)
	if size(c.log.path(name)) == 0 || size(c.log.path(sumName(name))) == 0 {
		return []LogFinding{{"log_damaged", name, "the checkpoint is not whole" + logAdvice}}, nil
	}
	// Without looking into the checkpoint, the chain is the one that the
	// segment behind it begins with.
	start := logPosition{seq: from, sum: at.sum}
	if i := firstAfter(segments, from+1) - 1; i >= 0 {
		b, err := os.ReadFile(c.log.path(segmentName(segments[i])))
		if err != nil {
			return nil, storage.Error(err, "read the log")
		}
		chain, _ := readSegmentHeader(b, segments[i])
		start = logPosition{seq: segments[i] - 1, sum: chain}
	}
	return logFindings(readUntil(c.folder.Log(), start, at))
}

// readUntil reads the log from start to at, which the catalog says is its end.
func readUntil(dir string, start, at logPosition) (replayed, logPosition, error) {
	r, err := readLog(dir, start, func(seq int64, _ []byte) error {
		if seq > at.seq {
			return errEnough
		}
		return nil
	})
	return r, at, err
}

func logFindings(r replayed, at logPosition, err error) ([]LogFinding, error) {
	switch {
	case errors.Is(err, errOtherHistory):
		return []LogFinding{{"log_damaged", "log", err.Error() + logAdvice}}, nil
	case err != nil:
		return nil, err
	case r.at.seq < at.seq:
		why := r.broken
		if why == "" {
			why = fmt.Sprintf("the log ends at transaction %d, the catalog at %d", r.at.seq, at.seq)
		}
		return []LogFinding{{"log_damaged", "log", why + logAdvice}}, nil
	case r.at.sum != at.sum:
		return []LogFinding{{"log_damaged", "log", "the log's last transaction is not the catalog's" + logAdvice}}, nil
	}
	return nil, nil
}

// logPlace says where the catalog thinks that its log ends; with a copy of it
// at path when one is wanted.
func (c *Catalog) logPlace(ctx context.Context, path string, want bool) (at logPosition, touched bool, err error) {
	if want {
		if err := copyCatalog(ctx, c.log.dsn, path); err != nil {
			return at, false, err
		}
		return positionOf(path)
	}
	var sum int64
	err = c.db.QueryRowContext(ctx, `SELECT seq, segment, place, sum, touched FROM supertable_log`).Scan(&at.seq, &at.segment, &at.place, &sum, &touched)
	at.sum = uint32(sum)
	return at, touched, sqlError(ctx, err, "read the log's place")
}

// compareLog replays the log up to at and compares what comes out with the
// copy of the catalog.
func (c *Catalog) compareLog(ctx context.Context, dir, now string, at logPosition) ([]LogFinding, error) {
	again := filepath.Join(dir, "again-"+token())
	r, problems, err := replayUntil(ctx, c.folder, again, at.seq)
	if errs.KindOf(err) == errs.Corrupt {
		return []LogFinding{{"log_damaged", "log", err.Error() + logAdvice}}, nil
	}
	if err != nil {
		return nil, err
	}
	var out []LogFinding
	for _, p := range problems {
		if strings.HasPrefix(p, "the checkpoint") {
			out = append(out, LogFinding{"log_damaged", "log", p})
		}
	}
	found, err := logFindings(r, at, nil)
	if err != nil || len(found) > 0 {
		return append(out, found...), err
	}
	differ, err := differences(now, again)
	for _, t := range differ {
		out = append(out, LogFinding{"log_differs", t, "the rows that the log gives are not those of the catalog" + logAdvice})
	}
	return out, err
}

// differences names the tables in which two databases differ.
func differences(a, b string) ([]string, error) {
	conn, err := plainConn(a)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Exec(`ATTACH ? AS other`, []driver.Value{b}); err != nil {
		return nil, sqlError(context.Background(), err, "compare the log")
	}
	names, err := textRows(conn, `SELECT name FROM main.sqlite_master WHERE type = 'table' UNION SELECT name FROM other.sqlite_master WHERE type = 'table'`)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, n := range names {
		if n == "supertable_log" || n == notedTable || strings.HasPrefix(n, "sqlite_") {
			continue
		}
		q := `"` + strings.ReplaceAll(n, `"`, `""`) + `"`
		same, err := textRows(conn, `SELECT (SELECT count(*) FROM main.`+q+`) = (SELECT count(*) FROM other.`+q+`)
 AND NOT EXISTS (SELECT * FROM main.`+q+` EXCEPT SELECT * FROM other.`+q+`) AND NOT EXISTS (SELECT * FROM other.`+q+` EXCEPT SELECT * FROM main.`+q+`)`)
		if err != nil || len(same) != 1 || same[0] != "1" {
			out = append(out, n) // also a table that one of the two has not
		}
	}
	schema, err := textRows(conn, `SELECT name FROM (SELECT type, name, sql FROM main.sqlite_master EXCEPT SELECT type, name, sql FROM other.sqlite_master) UNION SELECT name FROM (SELECT type, name, sql FROM other.sqlite_master EXCEPT SELECT type, name, sql FROM main.sqlite_master)`)
	for _, n := range schema {
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out, err
}

func textRows(conn *sqlite3.SQLiteConn, query string) ([]string, error) {
	rows, err := conn.Query(query, nil)
	if err != nil {
		return nil, sqlError(context.Background(), err, "compare the log")
	}
	defer func() { _ = rows.Close() }()
	var out []string
	row := make([]driver.Value, 1)
	for {
		if err := rows.Next(row); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, sqlError(context.Background(), err, "compare the log")
		}
		out = append(out, fmt.Sprint(row[0]))
	}
}
