package supertable_test

import (
	"sync"
	"testing"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/testdb"
)

// BenchmarkLogger measures records accepted from 8 goroutines, all of them
// durable and in their table at the end.
func BenchmarkLogger(b *testing.B) {
	for _, c := range []struct {
		name string
		rows int
	}{{"files of 500", 500}, {"files of 5000", 0}} {
		b.Run(c.name, func(b *testing.B) {
			s := testdb.Open(b).Session("bench")
			l, err := s.Logger(b.Context(), "metrics", &supertable.LoggerOptions{MaxRowsPerFile: c.rows})
			if err != nil {
				b.Fatal(err)
			}
			b.ResetTimer()
			var wg sync.WaitGroup
			for w := range 8 {
				wg.Go(func() {
					for i := w; i < b.N; i += 8 {
						if err := l.Log(b.Context(), supertable.Record{"query_id": "query_000001", "rows_read": i, "rows_processed": i * 2, "query_hash": i * 31}); err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
			accepted := b.Elapsed()
			if err := l.Close(); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
			b.ReportMetric(float64(b.N)/accepted.Seconds(), "accepted/s")
			if got := l.Stats(); got.TotalProcessed != int64(b.N) {
				b.Errorf("%d of %d", got.TotalProcessed, b.N)
			}
		})
	}
}
