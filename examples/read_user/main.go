// Lists the users, then looks each of them up by his hash and says what he may
// read of the table facts.
package main

import (
	"context"
	"errors"
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
	users, err := s.Users(ctx)
	if err != nil {
		return err
	}
	for _, u := range users {
		fmt.Println(u.Hash, u.Name)
	}
	for _, u := range users {
		found, err := s.User(ctx, u.Hash)
		if err != nil {
			return err
		}
		fmt.Println(found.Name, "has the roles", found.Roles)
		access, err := s.Explain(ctx, u.Hash, defaults.Table)
		if err != nil && !errors.Is(err, supertable.NotFound) { // what he may not read does not exist
			return err
		}
		for _, a := range access {
			fmt.Println(a)
		}
	}
	return nil
}
