// Reads as a user that does not exist. The answer is an error of the kind
// denied, whatever the query; nothing panics and nothing is read.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/examples/defaults"
)

const unknown = "0d261765d0f88e3bdede483c3d41d125"

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
	st, _, err := lake.Create(ctx, defaults.Organization, defaults.Super, nil)
	if err != nil {
		return err
	}
	s, err := st.Session(ctx, unknown)
	if errors.Is(err, supertable.Denied) {
		fmt.Println(strings.Repeat("-", 85))
		fmt.Println("Rows: 0, Columns: 0, Status: error, Message:", err)
		return nil
	}
	if err != nil {
		return err
	}
	return defaults.Show(ctx, os.Stdout, s, "select count(*) as cnt from facts", 85)
}
