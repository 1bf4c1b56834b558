package defaults

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/supertable-go/supertable"
)

// FirstRoles prints all roles and gives the hash of the first of each type.
func FirstRoles(ctx context.Context, s *supertable.Session) (map[string]string, error) {
	roles, err := s.Roles(ctx)
	if err != nil {
		return nil, err
	}
	first := map[string]string{}
	for _, r := range roles {
		var doc struct{ Role string }
		if err := json.Unmarshal(r.Document, &doc); err != nil {
			return nil, err
		}
		fmt.Printf("Role Type: %s, Hash: %s\n", doc.Role, r.Hash)
		if first[doc.Role] == "" {
			first[doc.Role] = r.Hash
		}
	}
	return first, nil
}

// ShowUsers prints hash, name and roles of each user.
func ShowUsers(ctx context.Context, w io.Writer, s *supertable.Session) error {
	users, err := s.Users(ctx)
	for _, u := range users {
		fmt.Fprintln(w, u.Hash, u.Name, u.Roles)
	}
	return err
}
