// Command read_query_plans shows what a query read and how long its parts took.
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
	report, err := defaults.Print(ctx, s, "SELECT * FROM facts LIMIT 5", 52)
	if err != nil {
		return err
	}
	for _, stat := range report.PlanStats {
		for name := range stat {
			fmt.Println("plan:", name)
		}
	}
	for _, t := range report.Timings {
		for phase := range t {
			fmt.Println("timing:", phase)
		}
	}
	return nil
}
