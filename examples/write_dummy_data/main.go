// Writes the seven demo tables, one after the other, into the table facts:
// rows with the same day and client replace each other.
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
	for _, ds := range []int{1, 2, 6, 7, 3, 4, 5} {
		fmt.Printf("\n=== Running write(ds=%d) === Table: %s ===\n", ds, defaults.Table)
		rows, err := dummydata.Rows(ds)
		if err != nil {
			return err
		}
		res, err := s.Write(ctx, defaults.Table, rows, &supertable.WriteOptions{Key: []string{"day", "client"}})
		rows.Release()
		if err != nil {
			return err
		}
		fmt.Printf("inserted=%d, deleted=%d\n", res.Inserted, res.Deleted)
	}
	return nil
}
