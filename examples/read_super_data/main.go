// Command read_super_data reads the whole SuperTable: its name reads the union of its tables.
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
	report, err := defaults.Print(ctx, s, "select * as cnt from "+defaults.Super+" where 1=1 limit 10", 52)
	if err != nil {
		return err
	}
	for _, t := range report.Timings {
		for phase := range t {
			fmt.Println(phase)
		}
	}
	fmt.Println(report.PlanStats[0], report.PlanStats[2])
	return nil
}
