// Makes the SuperTable of the examples, when it is not there.
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
	lake, err := supertable.Open(ctx, defaults.Home(), defaults.Options())
	if err != nil {
		return err
	}
	defer func() { _ = lake.Close() }()
	st, created, err := lake.Create(ctx, defaults.Organization, defaults.Super, nil)
	if err != nil {
		return err
	}
	if created {
		fmt.Println("Default superuser user created with hash:", defaults.UserHash)
	}
	fmt.Println("Created SuperTable:", st.Name())
	return nil
}
