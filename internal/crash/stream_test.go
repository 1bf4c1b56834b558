package crash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/testdb"
)

// logRecords logs batches of ten records to a stream until it is killed, and
// says which batches are durable. Every few batches the type of a value drifts.
func logRecords(ctx context.Context) error {
	_, s, err := opened(ctx, supertable.Options{Threads: 1})
	if err != nil {
		return err
	}
	worker := os.Getenv("ST_CRASH_TABLE")
	for i := 0; ; {
		l, err := s.Logger(ctx, "metrics", &supertable.LoggerOptions{MaxRowsPerFile: 25, FlushInterval: 3 * time.Millisecond})
		if err != nil {
			return err
		}
		for range 12 {
			for k := range 10 {
				r := supertable.Record{"worker": worker, "id": i*10 + k, "v": []any{1, 2.5, i}[i%3]}
				if i%40 == 39 {
					r["v"] = "text"
				}
				if err := l.Log(ctx, r); err != nil {
					return err
				}
			}
			if err := l.Flush(ctx); err != nil {
				return fmt.Errorf("flush: %w", err)
			}
			fmt.Println("done", i)
			i++
		}
		if err := l.Close(); err != nil {
			return fmt.Errorf("close: %w", err)
		}
	}
}

// TestKilledLoggers (M06): three processes log to one stream and are killed
// again and again, while a reader reads. What a flush promised is there, every
// record once, and no reader misses a file.
func TestKilledLoggers(t *testing.T) {
	t.Parallel()
	n := seed(t)
	r := rand.New(rand.NewPCG(n, 6))
	home := filepath.Join(t.TempDir(), "home")
	db := testdb.At(t, home, nil)
	s := db.Session("main")
	promised := map[string]int{} // records per worker
	for round := range max(4, kills(t)/2) {
		var loggers []*writer
		for k := range 3 {
			loggers = append(loggers, run(t, home, "ST_CRASH_MODE=log", fmt.Sprintf("ST_CRASH_TABLE=w%d_%d", round, k)))
		}
		time.Sleep(150*time.Millisecond + time.Duration(r.Float64()*float64(400*time.Millisecond)))
		if _, err := testdb.TryQuery(t.Context(), s, "SELECT count(*), max(v) FROM __metrics__", nil); err != nil && supertable.KindOf(err) != supertable.NotFound {
			t.Errorf("a reader beside: %v", err)
		}
		for k, w := range loggers {
			_ = w.cmd.Process.Kill()
			next, _ := w.end(t, 0)
			promised[fmt.Sprintf("w%d_%d", round, k)] = next * 10
		}
	}
	check(t, s, promised)
}

func check(t *testing.T, s *supertable.Session, promised map[string]int) {
	t.Helper()
	found := map[string]int{}
	lines := testdb.Query(t, s, "SELECT worker, count(*), count(DISTINCT id), max(id) FROM __metrics__ GROUP BY 1 ORDER BY 1", nil)
	for line := range strings.SplitSeq(lines, "\n") {
		cells := strings.Split(line, "|")
		if cells[1] != cells[2] {
			t.Errorf("%s has %s records of %s ids: some are doubled", cells[0], cells[1], cells[2])
		}
		found[cells[0]], _ = strconv.Atoi(cells[1])
		if last, _ := strconv.Atoi(cells[3]); last+1 != found[cells[0]] {
			t.Errorf("%s has %d records and the last id is %d: some between are lost", cells[0], found[cells[0]], last)
		}
	}
	all := 0
	for worker, n := range promised {
		if all += n; found[worker] < n {
			t.Errorf("%s was promised %d records, %d are there", worker, n, found[worker])
		}
	}
	if all == 0 {
		t.Error("nothing was logged: the test proves nothing")
	}
	t.Logf("%d records promised", all)
}
