// Command delete_table drops the table; earlier snapshots still read it.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/supertable-go/supertable/examples/defaults"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
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
