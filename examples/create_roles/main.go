// Makes the roles of the documentation and lists all roles. The same content
// has the same hash, so a second run changes nothing.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/supertable-go/supertable/examples/defaults"
)

// roles by what the documentation calls them.
var roles = []struct{ name, document string }{
	{"Admin", `{"role": "admin", "tables": ["*"]}`},
	{"Editor", `{"role": "writer", "tables": ["table1", "table2"]}`},
	{"Usage", `{"role": "meta", "tables": ["table1"]}`},
	{"Viewer", `{"role": "reader", "tables": ["table1"], "columns": ["name", "email", "age"], "filters": {"country": "US", "active": true}}`},
	{"Viewer2", `{"role": "reader", "tables": ["table2", "table3"], "columns": ["name", "email", "age"], "filters": {"country": "EU", "active": false}}`},
}

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
	for _, r := range roles {
		hash, err := s.CreateRole(ctx, []byte(r.document))
		if err != nil {
			return err
		}
		fmt.Println(r.name, "role created with hash:", hash)
	}
	list, err := s.Roles(ctx)
	if err != nil {
		return err
	}
	fmt.Println("Listing all roles:")
	for _, r := range list {
		fmt.Println(r.Hash, string(r.Document))
	}
	return nil
}
