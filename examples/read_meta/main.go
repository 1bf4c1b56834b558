// Prints what there is: SuperTables, tables, columns, statistics.
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
	for _, ask := range []struct {
		name string
		what func() (any, error)
	}{
		{"find_tables", func() (any, error) { return lake.SuperTables(ctx, defaults.Organization) }},
		{"get_super_meta", func() (any, error) { return s.SuperMeta(ctx) }},
		{"get_table_schema", func() (any, error) { return s.TableSchema(ctx, defaults.Table) }},
		{"get_table_stats", func() (any, error) { return s.TableStats(ctx, defaults.Table) }},
	} {
		answer, err := ask.what()
		if err != nil {
			return err
		}
		text, err := json.Marshal(answer)
		if err != nil {
			return err
		}
		fmt.Println(ask.name, string(text))
	}
	return nil
}
