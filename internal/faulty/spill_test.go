package faulty

import (
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/testdb"
)

// TestSpillAtOnce lets several engines run out of memory at the same time over
// one SuperTable: what one puts on disk must not get into another's way.
func TestSpillAtOnce(t *testing.T) {
	home := t.TempDir()
	o := supertable.Options{MemoryBytes: 100 << 20, Threads: 1}
	var sessions []*supertable.Session
	for range 3 {
		sessions = append(sessions, session(t, open(t, home, o)))
	}
	mustPut(t, sessions[0], "t", 0, 10, "base", nil)
	const sql = `SELECT sum(CASE WHEN x = y THEN 1 ELSE 0 END) FROM (SELECT CAST(s[20:] AS BIGINT) + 1 AS x, row_number() OVER (ORDER BY s) AS y
 FROM (SELECT 'aaaaaaaaaaaaaaaaaaa' || lpad(CAST((i * 7919) % 1500000 AS VARCHAR), 8, '0') AS s FROM range(1500000) r(i)))`
	spilled := false
	var wg sync.WaitGroup
	for _, s := range sessions {
		wg.Go(func() {
			for range 1 {
				got, err := testdb.TryQuery(t.Context(), s, sql, nil)
				if err != nil || got != "1500000" {
					t.Errorf("got %q, %v", got, err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
			for _, f := range files(t, filepath.Join(root(home), "tmp"), ".tmp") {
				spilled = spilled || strings.Contains(f, "spill")
			}
		}
	}
	if !spilled {
		t.Error("nothing was spilled: the test tests nothing")
	}
}
