package catalog

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/storage"
)

// BenchmarkCommit commits bare snapshots, one new data file each, with and
// without the log: what the log costs is the difference (ADR 0011). The two
// take turns, so that both see the same disk.
func BenchmarkCommit(b *testing.B) {
	for _, writers := range []int{1, 8} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			var cs [2]*Catalog
			var spent [2]time.Duration
			for i := range cs {
				cs[i] = benchCatalog(b, i == 1)
			}
			const turn = 200
			for n := 0; n < b.N; n += turn {
				for i := range cs {
					start := time.Now()
					commitMany(b, cs[i], writers, turn)
					spent[i] += time.Since(start)
				}
			}
			n := float64((b.N + turn - 1) / turn * turn)
			b.ReportMetric(n/spent[0].Seconds(), "commits/s")
			b.ReportMetric(n/spent[1].Seconds(), "unlogged/s")
			b.ReportMetric(spent[1].Seconds()/spent[0].Seconds(), "ratio")
		})
	}
}

func benchCatalog(b *testing.B, unlogged bool) *Catalog {
	b.Helper()
	folder := storage.At(filepath.Join(b.TempDir(), "org", "super"))
	c, _, err := Create(b.Context(), folder, Options{Now: time.Now, Logger: slog.New(slog.DiscardHandler), LeaseTTL: time.Minute, CreatedBy: "test"})
	if err != nil {
		b.Fatal(err)
	}
	c.log.off = unlogged
	b.Cleanup(func() { _ = c.Close() })
	for i := range 8 {
		if _, err := c.Commit(b.Context(), creates(fmt.Sprintf("t%d", i))); err != nil {
			b.Fatal(err)
		}
	}
	return c
}

func commitMany(b *testing.B, c *Catalog, writers, n int) {
	b.Helper()
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for range n / writers {
				if _, err := c.Commit(b.Context(), benchChange(fmt.Sprintf("t%d", w))); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	wg.Wait()
}

// benchChange names a data file with the statistics of its column.
func benchChange(table string) Decide {
	return func(ctx context.Context, v *View) (*Change, error) {
		t, err := v.Table(ctx, table, v.Head.ID)
		if err != nil {
			return nil, err
		}
		f := NewFile{Rel: fmt.Sprintf("%sducklake-%d.parquet", TableDir(table), v.Head.ID+1), Records: 1, Size: 1000, Footer: 300, SHA256: fmt.Sprintf("%064d", v.Head.ID)}
		for i := range 1 {
			lo, hi := fmt.Sprint(i), fmt.Sprint(i+1)
			f.Stats = append(f.Stats, datafile.Stats{ColumnID: int64(i + 1), Min: &lo, Max: &hi})
		}
		return &Change{Table: t, Add: []NewFile{f}, Record: Record{Operation: "append", Inserted: 1, Rows: 1, Principal: "bench"}}, nil
	}
}
