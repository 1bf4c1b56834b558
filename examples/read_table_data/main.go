// Reads ten rows of the table facts and shows how the read went.
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
	return defaults.Show(ctx, os.Stdout, s, "select * from facts where 1=1 order by day, client, datetime limit 10", 52)
}
