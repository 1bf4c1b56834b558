package supertable_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/testdb"
)

// A bulk load holds small writes up no longer than its last step takes, and
// any number of small writes does not keep a bulk load from its turn. Both go
// on at the same time, and nothing is lost of either.
func TestBulkBesideSmallWrites(t *testing.T) {
	db := testdb.At(t, t.TempDir(), testdb.Inside())
	s := db.Session("main")
	testdb.Write(t, s, "small", "k:int64,v:int64", `[{"k":0,"v":0}]`, nil)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var small, during atomic.Int64
	var loading atomic.Bool
	var wg sync.WaitGroup
	for w := range 6 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				rows := testdb.Batch(t, "k:int64,v:int64", fmt.Sprintf(`[{"k":%d,"v":%d}]`, w*1_000_000+i%50, i))
				_, err := s.Write(t.Context(), "small", rows, &supertable.WriteOptions{Key: []string{"k"}})
				rows.Release()
				if err != nil {
					t.Errorf("small write: %v", err)
					return
				}
				small.Add(1)
				if loading.Load() {
					during.Add(1)
				}
			}
		})
	}
	const loads, size = 4, 200_000
	for i := range loads {
		loading.Store(true)
		ids := make([]int64, size)
		for k := range ids {
			ids[k] = int64(i*size + k)
		}
		r := keyed(ids, int64(i))
		if _, err := s.Write(t.Context(), "bulk", r, nil); err != nil {
			t.Errorf("bulk load %d: %v", i, err)
		}
		r.Release()
		loading.Store(false)
	}
	cancel()
	wg.Wait()
	if during.Load() == 0 {
		t.Error("no small write came through beside the bulk loads")
	}
	if got, want := testdb.Query(t, s, "SELECT count(*), count(DISTINCT id) FROM bulk", nil), fmt.Sprintf("%d|%d", loads*size, loads*size); got != want {
		t.Errorf("bulk: %s, want %s", got, want)
	}
	if got := testdb.Query(t, s, "SELECT count(*) - count(DISTINCT k) FROM small", nil); got != "0" {
		t.Errorf("small: %s", got)
	}
	entries, err := s.History(t.Context(), "small")
	if err != nil || int64(len(entries)) != small.Load()+1 {
		t.Errorf("%d changes in the history of %d writes: %v", len(entries), small.Load()+1, err)
	}
}
