// Shows what lies in the staging areas, as a nested map: areas to files.
package main

import (
	"context"
	"encoding/json"
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
	tree, err := s.StagedTree(ctx)
	if err != nil {
		return err
	}
	text, err := json.Marshal(tree)
	if err != nil {
		return err
	}
	fmt.Println(string(text))
	return nil
}
