package supertable_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/testdb"
)

// BenchmarkSmallWrites commits one row at a time, inside the catalog.
func BenchmarkSmallWrites(b *testing.B) {
	for _, writers := range []int{1, 8} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			s := testdb.At(b, b.TempDir(), testdb.Inside()).Session("main")
			put := func(i int64) {
				rr := testdb.Batch(b, "id:int64,v:text", fmt.Sprintf(`[{"id":%d,"v":"x"}]`, i))
				if _, err := s.Write(b.Context(), "t", rr, &supertable.WriteOptions{}); err != nil {
					b.Error(err)
				}
			}
			put(0)
			var next atomic.Int64
			var wg sync.WaitGroup
			b.ResetTimer()
			for range writers {
				wg.Go(func() {
					for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
						put(i)
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
		})
	}
}
