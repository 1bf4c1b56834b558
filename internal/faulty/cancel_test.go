package faulty

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/testdb"
)

// TestCancel calls writes off at many moments: each is done wholly or not at
// all, says which, and leaves nothing behind that the next one waits for.
func TestCancel(t *testing.T) {
	db := testdb.Open(t)
	s := db.Session("main")
	mustPut(t, s, "t", 0, 20_000, "base", nil)
	if err := s.SetOption(t.Context(), "", "inline_delete_limit", "100"); err != nil {
		t.Fatal(err)
	}
	writes := []struct {
		name string
		do   func(context.Context, int) error
	}{
		{"append", func(ctx context.Context, i int) error {
			_, err := put(ctx, s, "t", i*7, 20_000, "more", nil)
			return err
		}},
		{"upsert", func(ctx context.Context, i int) error {
			_, err := put(ctx, s, "t", i*50, 3000, fmt.Sprint("u", i), byKey)
			return err
		}},
		{"upsert of few", func(ctx context.Context, i int) error {
			_, err := put(ctx, s, "t", i, 3, fmt.Sprint("f", i), byKey)
			return err
		}},
		{"delete", func(ctx context.Context, i int) error {
			_, err := put(ctx, s, "t", i*20, 500, "", &supertable.WriteOptions{Key: []string{"k"}, DeleteOnly: true})
			return err
		}},
		{"cast", func(ctx context.Context, _ int) error {
			_, err := s.Alter(ctx, "t", supertable.Alteration{Type: &supertable.ChangeColumnType{Name: "v", Type: "VARCHAR", Cast: true}})
			return err
		}},
		{"delete all", func(ctx context.Context, i int) error {
			if i%4 > 0 {
				return nil
			}
			_, err := s.WriteFiles(ctx, "t", nil, &supertable.WriteOptions{DeleteAll: true})
			return err
		}},
		{"create", func(ctx context.Context, i int) error {
			_, err := put(ctx, s, fmt.Sprint("t", i), 0, 10, "new", nil)
			return err
		}},
	}
	rounds := 6
	if !testing.Short() {
		rounds = 40
	}
	stopped, done := 0, 0
	for i := range rounds {
		for _, w := range writes {
			before := state(t, s, "t")
			start := time.Now()
			after := time.Duration(i*i) * time.Millisecond / 2
			ctx, cancel := context.WithCancel(t.Context())
			want := supertable.Cancelled
			if i%2 == 1 {
				ctx, cancel = context.WithTimeout(t.Context(), after)
				want = supertable.Timeout
			} else {
				time.AfterFunc(after, cancel)
			}
			err := w.do(ctx, i)
			took := time.Since(start)
			cancel()
			if err == nil {
				done++
				continue
			}
			stopped++
			if supertable.KindOf(err) != want {
				t.Errorf("%s called off after %v: got %v (%s), want %s", w.name, after, err, supertable.KindOf(err), want)
			}
			if took > after+5*time.Second {
				t.Errorf("%s called off after %v came back after %v", w.name, after, took)
			}
			wantState(t, s, "t", before)
		}
		nextWrites(t, s, "t")
	}
	t.Logf("%d writes called off, %d done", stopped, done)
	if stopped == 0 || done == 0 {
		t.Error("the test tests nothing")
	}
	leases := files(t, root0(db.Home), ".parquet")
	if len(leases) > 0 {
		t.Errorf("unfinished files left: %v", leases)
	}
}

// root0 is the folder of unfinished files in a home of testdb.
func root0(home string) string { return root(home) + "/tmp" }

// TestCancelAmongOthers calls half of the writes off that go on at once; the
// others must not notice.
func TestCancelAmongOthers(t *testing.T) {
	db := testdb.Open(t)
	s := db.Session("main")
	mustPut(t, s, "t", 0, 1, "base", nil)
	const writers, each = 6, 12
	var wg sync.WaitGroup
	var mu sync.Mutex
	committed := 0
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				ctx, cancel := t.Context(), func() {}
				if w%2 == 1 {
					var c context.CancelFunc
					ctx, c = context.WithCancel(ctx)
					timer := time.AfterFunc(time.Duration(i*3)*time.Millisecond, c)
					cancel = func() { timer.Stop(); c() }
				}
				_, err := put(ctx, s, "t", 1+w*1000+i, 1, "x", byKey)
				cancel()
				mu.Lock()
				if err == nil {
					committed++
				} else if w%2 == 0 || supertable.KindOf(err) != supertable.Cancelled {
					t.Errorf("writer %d: %v", w, err)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if got := testdb.Query(t, s, "SELECT count(*) FROM t", nil); got != fmt.Sprint(1+committed) {
		t.Errorf("got %s rows, %d writes said that they are done", got, committed)
	}
}
