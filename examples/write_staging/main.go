// Puts demo table 1 into the staging area facts as a Parquet file. Nothing is
// written to a table; every run makes one more file.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"

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
	f, err := s.Stage(ctx, defaults.Table, "dummy_file_01.parquet", rows)
	if err != nil {
		return err
	}
	fmt.Printf("%s/%s/staging/%s/%s\n", defaults.Organization, defaults.Super, f.Area, f.File)
	return nil
}
