package supertable_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/testdb"
)

// TestSoak lets writers, readers, monitoring and maintenance work on one lake
// at the same time, each as hard as it can, and holds the end to a model. It
// takes two seconds, or ST_SOAK (make soak: ten minutes).
func TestSoak(t *testing.T) {
	long := 2 * time.Second
	if s := os.Getenv("ST_SOAK"); s != "" {
		var err error
		if long, err = time.ParseDuration(s); err != nil {
			t.Fatal(err)
		}
	}
	db := testdb.Open(t)
	k := &soak{t: t, s: db.Session("soak"), counts: map[string]*atomic.Int64{}}
	for _, name := range []string{"writes", "reads", "records", "maintenance"} {
		k.counts[name] = &atomic.Int64{}
	}
	ctx, stop := context.WithTimeout(t.Context(), long)
	defer stop()
	k.ctx = ctx
	k.run()
	for name, n := range k.counts {
		t.Logf("%s: %d", name, n.Load())
		if n.Load() == 0 {
			t.Errorf("no %s at all", name)
		}
	}
}

const soakWriters = 4

type soak struct {
	t      *testing.T
	s      *supertable.Session
	ctx    context.Context //nolint:containedctx // the time of the soak
	counts map[string]*atomic.Int64
	models [soakWriters]map[int64]int64 // the rows that each writer has
}

func (k *soak) run() {
	var wg sync.WaitGroup
	for w := range soakWriters {
		k.models[w] = map[int64]int64{}
		wg.Go(func() { k.write(w) })
		wg.Go(func() { k.read(w) })
	}
	wg.Go(k.log)
	wg.Go(k.maintain)
	wg.Wait()
	k.compare()
}

// write gives its own keys new values, all of one batch the same one, and
// deletes some: what is committed is in the model, and nothing else.
func (k *soak) write(w int) {
	r := rand.New(rand.NewPCG(uint64(w), 7)) //nolint:gosec // a test's choice
	for n := int64(1); k.ctx.Err() == nil; n++ {
		keys := map[int64]bool{}
		for range 1 + r.IntN(40) {
			keys[int64(w)*1000+r.Int64N(200)] = true
		}
		remove := r.IntN(5) == 0
		var rows []string
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			rows = append(rows, fmt.Sprintf(`{"key":%d,"writer":%d,"v":%d}`, key, w, n))
		}
		in := testdb.Batch(k.t, "key:int64,writer:int64,v:int64", "["+strings.Join(rows, ",")+"]")
		_, err := k.s.Write(context.Background(), "t", in, &supertable.WriteOptions{Key: []string{"key"}, DeleteOnly: remove})
		in.Release()
		if remove && errors.Is(err, supertable.NotFound) {
			continue // nobody has made the table yet
		}
		if err != nil {
			k.t.Errorf("writer %d: %v", w, err)
			return
		}
		for key := range keys {
			if delete(k.models[w], key); !remove {
				k.models[w][key] = n
			}
		}
		k.counts["writes"].Add(1)
	}
}

// read looks at what must hold in every snapshot: no key twice, and an answer
// that does not change however often the snapshot is read.
func (k *soak) read(w int) {
	for k.ctx.Err() == nil {
		rows, err := k.s.Query(context.Background(), "SELECT count(*) - count(DISTINCT key), count(*), sum(v) FROM t", nil)
		if errors.Is(err, supertable.NotFound) {
			continue
		}
		if err != nil {
			k.t.Errorf("reader %d: %v", w, err)
			return
		}
		at := rows.Report().Snapshot
		_ = rows.Close()
		first, err1 := testdb.TryQuery(context.Background(), k.s, "SELECT count(*) - count(DISTINCT key), count(*), sum(v) FROM t", &supertable.QueryOptions{AtVersion: &at})
		again, err2 := testdb.TryQuery(context.Background(), k.s, "SELECT count(*) - count(DISTINCT key), count(*), sum(v) FROM t", &supertable.QueryOptions{AtVersion: &at})
		switch {
		case errors.Is(err1, supertable.NotFound) || errors.Is(err2, supertable.NotFound): // expired meanwhile
		case err1 != nil || err2 != nil:
			k.t.Errorf("reader %d at %d: %v, %v", w, at, err1, err2)
			return
		case first != again || !strings.HasPrefix(first, "0|"):
			k.t.Errorf("reader %d at %d: %s, then %s", w, at, first, again)
			return
		}
		k.counts["reads"].Add(1)
	}
}

func (k *soak) log() {
	l, err := k.s.Logger(context.Background(), "soaked", &supertable.LoggerOptions{MaxRowsPerFile: 500, FlushInterval: 100 * time.Millisecond})
	if err != nil {
		k.t.Error(err)
		return
	}
	for i := 0; k.ctx.Err() == nil; i++ {
		if err := l.Log(context.Background(), supertable.Record{"i": i}); err != nil {
			k.t.Errorf("log: %v", err)
			break
		}
		k.counts["records"].Add(1)
		time.Sleep(time.Millisecond)
	}
	if err := l.Close(); err != nil {
		k.t.Errorf("log: %v", err)
	}
}

func (k *soak) maintain() {
	ctx, none := context.Background(), time.Duration(0)
	for k.ctx.Err() == nil {
		_, err1 := k.s.Compact(ctx, "", nil)
		_, err2 := k.s.Flush(ctx, "", nil)
		_, err3 := k.s.Expire(ctx, &supertable.ExpireOptions{KeepLast: 20})
		_, err4 := k.s.Clean(ctx, &supertable.CleanOptions{Grace: &none})
		_, err5 := k.s.Maintain(ctx, nil)
		if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
			k.t.Errorf("maintenance: %v", err)
			return
		}
		k.counts["maintenance"].Add(1)
	}
}

// compare holds the end to the models; the lake itself is checked by testdb.
func (k *soak) compare() {
	var want []string
	for w, m := range k.models {
		for key, v := range m {
			want = append(want, fmt.Sprintf("%d|%d|%d", key, w, v))
		}
	}
	slices.Sort(want)
	if got := testdb.Query(k.t, k.s, "SELECT key, writer, v FROM t", nil); got != strings.Join(want, "\n") {
		k.t.Errorf("the table has\n%s\nthe model\n%s", got, strings.Join(want, "\n"))
	}
	if got, want := testdb.Query(k.t, k.s, "SELECT count(*), count(DISTINCT i) FROM __soaked__", nil), fmt.Sprintf("%[1]d|%[1]d", k.counts["records"].Load()); got != want {
		k.t.Errorf("records %s, want %s", got, want)
	}
	if v, err := k.s.VerifyAudit(context.Background(), ""); err != nil || !v.Valid {
		k.t.Errorf("audit: %+v, %v", v, err)
	}
}
