// Logs 1001 monitoring records from 8 goroutines and shows what became of them.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/examples/defaults"
)

func main() {
	if err := run(context.Background()); err != nil {
		slog.Error(err.Error())
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	lake, s, err := defaults.Session(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = lake.Close() }()
	monitor, err := s.Logger(ctx, "metrics", &supertable.LoggerOptions{MaxRowsPerFile: 500, FlushInterval: 100 * time.Millisecond})
	if err != nil {
		return err
	}
	var workers sync.WaitGroup
	for w := range 8 {
		workers.Go(func() {
			for i := w; i < 1001; i += 8 {
				if err := monitor.Log(ctx, supertable.Record{"query_id": fmt.Sprintf("query_%06d", i), "rows_read": i, "rows_processed": i, "query_hash": i}); err != nil {
					slog.Error(err.Error())
				}
			}
		})
	}
	workers.Wait()
	if err := monitor.Close(); err != nil {
		return err
	}
	q := monitor.Stats()
	fmt.Printf("\nProcessed: %d/%d | Queue: %d\n", q.TotalProcessed, q.TotalReceived, q.CurrentSize)
	fmt.Println("\nSUCCESS: Processed all 1001 messages")
	c, err := monitor.Catalog(ctx)
	fmt.Printf("\nFinal Catalog Stats:\nFiles: %d\nRows: %d\nVersion: %d\n", c.FileCount, c.TotalRows, c.Version)
	return err
}
