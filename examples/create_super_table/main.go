// Command create_super_table makes the SuperTable that the other examples use.
// It may run as often as one likes.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/examples/defaults"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
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
	fmt.Println("Created SuperTable:", st.Name())
	return nil
}
