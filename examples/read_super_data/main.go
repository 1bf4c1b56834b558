// Reads the SuperTable by its own name: the union, by column name, of all its
// tables but those named __x__.
package main

import (
	"context"
	"log/slog"
	"os"

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
	return defaults.Show(ctx, os.Stdout, s, "select * as cnt from example where 1=1 limit 10", 52)
}
