// Writes demo table 1 by the key day: it replaces every row of its five days,
// whosever they are.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/examples/defaults"
	"github.com/supertable-go/supertable/examples/dummydata"
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
	rows, err := dummydata.Rows(1)
	if err != nil {
		return err
	}
	defer rows.Release()
	res, err := s.Write(ctx, defaults.Table, rows, &supertable.WriteOptions{Key: []string{"day"}})
	if err != nil {
		return err
	}
	fmt.Printf("columns=%d, rows=%d, inserted=%d, deleted=%d\n", res.Columns, res.Rows, res.Inserted, res.Deleted)
	return nil
}
