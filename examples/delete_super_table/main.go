// Removes the whole SuperTable of the examples: catalog, data and staging.
package main

import (
	"context"
	"errors"
	"fmt"
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
	lake, err := supertable.Open(ctx, defaults.Home(), nil)
	if err != nil {
		return err
	}
	defer func() { _ = lake.Close() }()
	st, err := lake.SuperTable(ctx, defaults.Organization, defaults.Super)
	if errors.Is(err, supertable.NotFound) {
		fmt.Println("Drop super table successful:", false)
		return nil
	}
	if err != nil {
		return err
	}
	s, err := st.Session(ctx, defaults.UserHash)
	if err != nil {
		return err
	}
	if err := s.DropSuperTable(ctx); err != nil {
		return err
	}
	fmt.Println("Drop super table successful:", true)
	return nil
}
