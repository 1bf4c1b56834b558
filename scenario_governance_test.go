package supertable_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/script"
)

// The commands of TestScenarios about roles and users:
//
//	role                a document a line; answers with the hashes
//	roles               the documents with their hashes
//	role-names          JSON texts, each tried as the name of a role
//	delete-role R, strip-role R
//	user                a document a line; answers with hash and name
//	users, show-user U
//	user-names          JSON texts, each tried as the name of a user
//	modify U            a document
//	delete-user U
//	access U [T]

// session enters the scenario's SuperTable as a user.
func (r *stage) session(t *testing.T, who string) (*supertable.Session, error) {
	st, err := r.db.SuperTable(t.Context(), "default", r.super)
	if err != nil {
		return nil, err
	}
	return st.Session(t.Context(), who)
}

// each answers a line of input at a time; a failure is the answer of its line.
func each(c *script.Case, do func(line string) (string, error)) (string, error) {
	var out []string
	for line := range strings.Lines(c.Input) {
		got, err := do(strings.TrimSuffix(line, "\n"))
		if err != nil {
			got = fmt.Sprintf("%s: %s", supertable.KindOf(err), err)
		}
		out = append(out, got)
	}
	return strings.Join(out, "\n"), nil
}

func (r *stage) role(t *testing.T, c *script.Case) (string, error) {
	return each(c, func(line string) (string, error) { return r.s.CreateRole(t.Context(), []byte(line)) })
}

func (r *stage) roles(t *testing.T, _ *script.Case) (string, error) {
	list, err := r.s.Roles(t.Context())
	var out []string
	for _, x := range list {
		out = append(out, x.Hash+" "+string(x.Document))
	}
	return strings.Join(out, "\n"), err
}

// roleNames makes a role under each name, and deletes it again.
func (r *stage) roleNames(t *testing.T, c *script.Case) (string, error) {
	return each(c, func(line string) (string, error) {
		hash, err := r.s.CreateRole(t.Context(), []byte(`{"role":"reader","name":`+line+`}`))
		if err == nil {
			_, err = r.s.DeleteRole(t.Context(), hash)
		}
		return "ok", err
	})
}

func (r *stage) deleteRole(t *testing.T, c *script.Case) (string, error) {
	deleted, err := r.s.DeleteRole(t.Context(), table(c))
	return fmt.Sprint(deleted), err
}

func (r *stage) stripRole(t *testing.T, c *script.Case) (string, error) {
	return "", r.s.RemoveRoleFromUsers(t.Context(), table(c))
}

func (r *stage) user(t *testing.T, c *script.Case) (string, error) {
	return each(c, func(line string) (string, error) {
		u, err := newUser(t.Context(), r.s, line)
		return u.Hash + " " + u.Name, err
	})
}

// newUser makes a user of a document.
func newUser(ctx context.Context, s *supertable.Session, document string) (supertable.User, error) {
	in, err := supertable.ParseUser([]byte(document))
	if err != nil {
		return supertable.User{}, err
	}
	name, roles, attributes := "", []string(nil), map[string]any(nil)
	if in.Name != nil {
		name = *in.Name
	}
	if in.Roles != nil {
		roles = *in.Roles
	}
	if in.Attributes != nil {
		attributes = *in.Attributes
	}
	return s.CreateUser(ctx, name, roles, attributes)
}

func userText(u supertable.User) string {
	s := fmt.Sprintf("%s %s %v", u.Hash, u.Name, u.Roles)
	if u.Attributes != nil {
		s += fmt.Sprintf(" %v", u.Attributes)
	}
	return s
}

func (r *stage) users(t *testing.T, _ *script.Case) (string, error) {
	list, err := r.s.Users(t.Context())
	var out []string
	for _, u := range list {
		out = append(out, userText(u))
	}
	return strings.Join(out, "\n"), err
}

func (r *stage) showUser(t *testing.T, c *script.Case) (string, error) {
	u, err := r.s.User(t.Context(), table(c))
	return userText(u), err
}

// userNames makes a user of each name, and deletes him again.
func (r *stage) userNames(t *testing.T, c *script.Case) (string, error) {
	return each(c, func(line string) (string, error) {
		u, err := newUser(t.Context(), r.s, `{"username":`+line+`}`)
		if err == nil {
			_, err = r.s.DeleteUser(t.Context(), u.Hash)
		}
		return "ok", err
	})
}

func (r *stage) modify(t *testing.T, c *script.Case) (string, error) {
	change, err := supertable.ParseUser([]byte(c.Input))
	if err != nil {
		return "", err
	}
	u, err := r.s.ModifyUser(t.Context(), table(c), change)
	return userText(u), err
}

func (r *stage) deleteUser(t *testing.T, c *script.Case) (string, error) {
	deleted, err := r.s.DeleteUser(t.Context(), table(c))
	return fmt.Sprint(deleted), err
}

func (r *stage) access(t *testing.T, c *script.Case) (string, error) {
	name := ""
	if len(c.Args) > 1 && c.Args[1].Values == nil {
		name = c.Args[1].Key
	}
	list, err := r.s.Explain(t.Context(), table(c), name)
	var out []string
	for _, a := range list {
		text, err := json.Marshal(a)
		if err != nil {
			return "", err
		}
		out = append(out, string(text))
	}
	return strings.Join(out, "\n"), err
}
