// Makes users with the roles of create_roles, renames one and deletes one, with
// the first reader's role. Users keep their hashes. Run it as often as you like.
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
	roles, err := defaults.FirstRoles(ctx, s)
	if err != nil {
		return err
	}
	if roles["reader"] == "" { // the third run has none left
		if roles["reader"], err = s.CreateRole(ctx, []byte(`{"role": "reader", "tables": [], "columns": [], "filters": {}}`)); err != nil {
			return err
		}
		fmt.Println("Default Viewer role created with hash:", roles["reader"])
	}
	_, err1 := s.CreateUser(ctx, "alice", []string{roles["admin"], roles["writer"]}, nil)
	bob, err2 := s.CreateUser(ctx, "bob", []string{roles["reader"]}, nil)
	charlie, err3 := s.CreateUser(ctx, "charlie", nil, nil)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	name := "charlie_updated"
	charlie, err = s.ModifyUser(ctx, charlie.Hash, supertable.UserChange{Name: &name, Roles: &[]string{roles["meta"]}})
	if err != nil {
		return err
	}
	fmt.Println("Modified user:", charlie.Hash, charlie.Name, charlie.Roles)
	_, err1 = s.DeleteUser(ctx, bob.Hash)
	deleted, err2 := s.DeleteRole(ctx, roles["reader"]) // and from everybody who has it
	fmt.Println("Deleted user:", bob.Hash, "and role:", roles["reader"], deleted)
	return errors.Join(err1, err2, defaults.ShowUsers(ctx, os.Stdout, s))
}
