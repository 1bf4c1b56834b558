// Command delete_super_table removes the whole SuperTable.
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
	st, err := lake.SuperTable(ctx, defaults.Organization, defaults.Super)
	if supertable.KindOf(err) == supertable.NotFound {
		fmt.Println("Drop super table successful:", false)
		return nil
	}
	if err != nil {
		return err
	}
	s, err := st.Session(ctx, defaults.UserHash)
	if err == nil {
		err = s.DropSuperTable(ctx)
	}
	if err != nil {
		return err
	}
	fmt.Println("Drop super table successful:", true)
	return nil
}
