// Drops the table facts. Earlier snapshots still read it until they expire.
package main

import (
	"context"
	"fmt"
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
	dropped, err := s.DropTable(ctx, defaults.Table)
	if err != nil {
		return err
	}
	fmt.Println("Drop table successful:", dropped)
	return nil
}
