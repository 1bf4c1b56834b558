package supertable_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/supertable-go/supertable"
)

// printRows prints a result, a row a line.
func printRows(rows *supertable.Rows, err error) {
	if err != nil {
		panic(err)
	}
	lines, err := resultLines(rows)
	if err != nil {
		panic(err)
	}
	fmt.Println(strings.Join(lines, "\n"))
}

func ExampleSession_Diff() {
	ctx := context.Background()
	s, leave := enter(ctx)
	defer leave()
	first := put(ctx, s, `{"id":1,"country":"CZ"}
{"id":2,"country":"FI"}`)
	last := put(ctx, s, `{"id":2,"country":"SE"}
{"id":3,"country":"HU"}`)

	printRows(s.Diff(ctx, "orders", first.Snapshot, last.Snapshot, &supertable.DiffOptions{Key: []string{"id"}}))
	// Output:
	// change|id|country
	// update_before|2|FI
	// update_after|2|SE
	// insert|3|HU
}

func ExampleSession_Changes() {
	ctx := context.Background()
	s, leave := enter(ctx)
	defer leave()
	first := put(ctx, s, `{"id":1,"country":"CZ"}`)
	put(ctx, s, `{"id":1,"country":"FI"}`)

	printRows(s.Changes(ctx, "orders", first.Snapshot, nil))
	// Output:
	// change|snapshot|id|country
	// delete|2|1|CZ
	// insert|2|1|FI
}

func ExampleSession_Rollback() {
	ctx := context.Background()
	s, leave := enter(ctx)
	defer leave()
	good := put(ctx, s, `{"id":1,"country":"CZ"}`)
	put(ctx, s, `{"id":1,"country":"??"}`)

	res, err := s.Rollback(ctx, "orders", good.Snapshot, nil)
	if err != nil {
		panic(err)
	}
	fmt.Println("snapshot", res.Snapshot)
	show(ctx, s, "SELECT * FROM orders", nil)
	// Output:
	// snapshot 3
	// id|country
	// 1|CZ
}

func ExampleSession_Undrop() {
	ctx := context.Background()
	s, leave := enter(ctx)
	defer leave()
	put(ctx, s, `{"id":1,"country":"CZ"}`)
	if _, err := s.DropTable(ctx, "orders"); err != nil {
		panic(err)
	}

	if _, err := s.Undrop(ctx, "orders"); err != nil {
		panic(err)
	}
	show(ctx, s, "SELECT * FROM orders", nil)
	// Output:
	// id|country
	// 1|CZ
}

func ExampleSession_CreateTag() {
	ctx := context.Background()
	s, leave := enter(ctx)
	defer leave()
	put(ctx, s, `{"id":1,"country":"CZ"}`)

	tag, err := s.CreateTag(ctx, "before-migration", nil)
	if err != nil {
		panic(err)
	}
	fmt.Println(tag.Name, tag.Snapshot)
	// Output: before-migration 1
}
