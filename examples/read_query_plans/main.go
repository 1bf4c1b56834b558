// Runs a query and prints what it read and how long its parts took, then how the
// latest queries ended.
package main

import (
	"context"
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
	lake, s, err := defaults.Session(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = lake.Close() }()
	rows, err := s.Query(ctx, "SELECT * FROM facts LIMIT 5", nil)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() { // the rows do not matter here, the report is complete after the last
	}
	if err := rows.Err(); err != nil {
		return err
	}
	report := rows.Report()
	fmt.Println("rows:", report.Rows)
	for _, stat := range report.PlanStats {
		fmt.Println("plan:", stat)
	}
	for _, step := range report.Timings {
		fmt.Println("time:", step)
	}
	plans, err := s.QueryPlans(ctx, supertable.StreamWindow{Limit: 3})
	if err != nil {
		return err
	}
	fmt.Println("the latest queries:")
	return defaults.Columns(os.Stdout, plans, "table_name", "status", "result_rows", "result_columns")
}
