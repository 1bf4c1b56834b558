// Prints what the latest writes did, newest first.
package main

import (
	"context"
	"log/slog"
	"os"

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
	rows, err := s.WriteStats(ctx, supertable.StreamWindow{Limit: 8})
	if err != nil {
		return err
	}
	return defaults.Columns(os.Stdout, rows, "table_name", "overwrite_columns", "inserted", "deleted", "total_rows", "total_columns", "new_resources", "sunset_files")
}
