// Logs one monitoring record to the stream metrics: it is durable when the
// logger is closed.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
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
	began := time.Now()
	err = monitor.Log(ctx, supertable.Record{
		"query_id":       fmt.Sprintf("query_%06d", rand.IntN(1_000_000)),
		"rows_read":      rand.IntN(1000),
		"rows_processed": rand.IntN(1000),
		"query_hash":     rand.Int64(),
	})
	if err != nil {
		return err
	}
	fmt.Printf("Total execution time: %.4f seconds\n", time.Since(began).Seconds())
	return monitor.Close()
}
