package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/supertable-go/supertable"
)

// maxDocument bounds the documents that are read from files, in bytes.
const maxDocument = 1 << 20

// document reads the JSON document of a command: a file, or - for standard input.
func (a *app) document(ctx context.Context, name string) ([]byte, error) {
	in := a.stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, fileError(name, err)
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(interruptible(ctx, in), maxDocument+1))
	if err != nil {
		return nil, fileError(name, err)
	}
	if len(text) > maxDocument {
		return nil, failf(supertable.InvalidArgument, "the document %q has more than %d bytes", name, maxDocument)
	}
	return text, nil
}

func (a *app) roleCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "role",
		Short: "Make, list and delete roles",
		Long: `A role says what its holders may do: its type (superadmin, admin, writer,
reader, meta), on which tables, which columns and rows of them, and which
columns are masked. Users have roles; several unite.`,
		Example: `  echo '{"role":"reader","tables":["orders"],"filters":{"country":"US"}}' | supertable role create -`,
	},
		a.roleCreateCommand(), a.roleListCommand(), a.roleShowCommand(), a.roleDeleteCommand(), a.roleHistoryCommand())
}

func (a *app) roleCreateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "create FILE|-",
		Short: "Make a role from a JSON document",
		Long: `Create stores a role and prints its hash. The same content has the same hash,
and making it again changes nothing.

  {"role": "reader", "name": "us readers", "tables": ["orders"],
   "columns": ["id", "email", "country"], "filters": {"country": "US"},
   "masks": {"email": {"type": "email"}}}

role     superadmin and admin may do everything, a writer reads and writes, a
         reader reads, meta sees names, types and counts, and no row.
tables   a list, or an object of table and {columns, filters, masks}, with "*"
         for any other table. Left out, like columns and filters: all.
filters  {"country": "US", "active": true, "age": [9, 65], "deleted": null}, all
         of which must hold; {"age": {"operation": ">=", "value": 18}}; ranges,
         {"AND": […]}, {"OR": […]}, {"NOT": …}; {"type": "reference"} compares
         with another column, {"type": "session", "value": "user.NAME"} with an
         attribute of the user. No column may be missing, or nothing is shown.
masks    null, hash, email, {"type": "first", "n": 2}, {"type": "last", "n": 4},
         {"type": "constant", "value": "***"}.`,
		Example: `  supertable role create viewer.json
  echo '{"role":"reader","tables":["orders"],"filters":{"country":"US"}}' | supertable role create -`,
		Args: takes(1, 1, "FILE (or - for standard input)"),
		RunE: func(cmd *cobra.Command, args []string) error {
			doc, err := a.document(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return a.read(cmd.Context(), func(s session) error {
				hash, err := s.CreateRole(cmd.Context(), doc)
				if err != nil {
					return err
				}
				a.did(true)
				return a.printOne(object{{"hash", hash}}, hash)
			})
		},
	}
}

func (a *app) roleListCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the roles",
		Long:    "List prints the documents of all roles in the order of their creation, superadmin first.",
		Example: "  supertable role list --format json",
		Args:    takes(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.read(cmd.Context(), func(s session) error {
				roles, err := s.Roles(cmd.Context())
				if err != nil {
					return err
				}
				var list []object
				for _, r := range roles {
					o, err := roleObject(r)
					if err != nil {
						return err
					}
					list = append(list, o)
				}
				return a.printObjects(list, "role", "name", "tables", "columns", "filters", "masks", "enabled", "hash")
			})
		},
	}
}

// roleObject gives a role's document in the order that people read it.
func roleObject(r supertable.Role) (object, error) {
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(r.Document, &parts); err != nil {
		return nil, err
	}
	var o object
	for _, k := range []string{"role", "name", "tables", "columns", "filters", "masks", "enabled"} {
		v, ok := parts[k]
		if !ok {
			continue
		}
		var text string
		if json.Unmarshal(v, &text) == nil {
			o = append(o, property{k, text})
			continue
		}
		o = append(o, property{k, compact(v)})
	}
	return append(o, property{"hash", r.Hash}), nil
}

// compact takes the blanks between the parts of a document out.
func compact(v json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	if json.Compact(&b, v) != nil {
		return v
	}
	return b.Bytes()
}

func (a *app) roleShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "show HASH|NAME",
		Short:   "Show a role's document",
		Long:    "Show prints the document of one role, given by its hash or name.",
		Example: "  supertable role show 9cf3fcbe5b421442dcc5595fcfab4d9d --format json",
		Args:    takes(1, 1, "HASH or NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.read(cmd.Context(), func(s session) error {
				r, err := s.Role(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				o, err := roleObject(r)
				if err != nil {
					return err
				}
				return a.printOne(o, string(r.Document))
			})
		},
	}
}

func (a *app) roleDeleteCommand() *cobra.Command {
	return a.deleteCommand("delete HASH|NAME", "Delete a role", "Delete removes a role, given by its hash or name, and takes it from all users.",
		"  supertable role delete 4e80b29caf7a0c24939dec8f8e49b704", "HASH or NAME",
		func(ctx context.Context, s session, name string) (bool, error) { return s.DeleteRole(ctx, name) })
}

// deleteCommand makes a command that deletes one thing and says whether it was there.
func (a *app) deleteCommand(use, short, long, example, arg string, do func(context.Context, session, string) (bool, error)) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Long: long, Example: example, Args: takes(1, 1, arg),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.read(cmd.Context(), func(s session) error {
				deleted, err := do(cmd.Context(), s, args[0])
				if err != nil {
					return err
				}
				a.did(deleted)
				sentence := "Deleted " + args[0]
				if !deleted {
					sentence = "There is no " + args[0]
				}
				return a.printOne(object{{"deleted", deleted}}, sentence)
			})
		},
	}
}

func (a *app) userCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:     "user",
		Short:   "Make, list, change and delete users",
		Long:    "A user is who acts (--user); he may do what any of his roles allows.",
		Example: `  echo '{"username":"alice","roles":["ce3153652c2ca1bf35818c19493a939c"]}' | supertable user create -`,
	},
		a.userCreateCommand(), a.userListCommand(), a.userShowCommand(), a.userModifyCommand(),
		a.deleteCommand("delete NAME|HASH", "Delete a user", "Delete removes a user. The user superuser stays.", "  supertable user delete bob", "NAME or HASH",
			func(ctx context.Context, s session, name string) (bool, error) { return s.DeleteUser(ctx, name) }))
}

func (a *app) userCreateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "create FILE|-",
		Short: "Make a user from a JSON document",
		Long: `Create makes a user with roles (hashes or names of roles). A name that is taken
gives the user that has it, unchanged. Attributes can be asked for by row
filters: {"tenant": {"operation": "=", "type": "session", "value": "user.tenant"}}.

  {"username": "alice", "roles": ["ce31…"], "attributes": {"tenant": "acme"}}`,
		Example: "  supertable user create alice.json --format json",
		Args:    takes(1, 1, "FILE (or - for standard input)"),
		RunE: func(cmd *cobra.Command, args []string) error {
			change, err := a.userDocument(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			name, roles, attributes := "", []string(nil), map[string]any(nil)
			if change.Name != nil {
				name = *change.Name
			}
			if change.Roles != nil {
				roles = *change.Roles
			}
			if change.Attributes != nil {
				attributes = *change.Attributes
			}
			return a.read(cmd.Context(), func(s session) error {
				u, err := s.CreateUser(cmd.Context(), name, roles, attributes)
				a.did(err == nil)
				return a.printUser(u, err)
			})
		},
	}
}

func (a *app) userDocument(ctx context.Context, name string) (supertable.UserChange, error) {
	doc, err := a.document(ctx, name)
	if err != nil {
		return supertable.UserChange{}, err
	}
	return supertable.ParseUser(doc)
}

func (a *app) printUser(u supertable.User, err error) error {
	if err != nil {
		return err
	}
	return a.printOne(userObject(u), u.Hash+" "+u.Name)
}

func userObject(u supertable.User) object {
	o := object{{"hash", u.Hash}, {"username", u.Name}, {"roles", jsonOf(u.Roles)}}
	if len(u.Attributes) > 0 {
		o = append(o, property{"attributes", jsonOf(u.Attributes)})
	}
	return o
}

// jsonOf is a value as it stands in JSON; nil lists and maps are empty.
func jsonOf(v any) json.RawMessage {
	if list, ok := v.([]string); ok && list == nil {
		return json.RawMessage("[]")
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return json.RawMessage("null")
	}
	return bytes.TrimSpace(b.Bytes())
}

func (a *app) userListCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the users",
		Long:    "List prints all users with the hashes of their roles, in the order of their creation.",
		Example: "  supertable user list --format json",
		Args:    takes(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.read(cmd.Context(), func(s session) error {
				users, err := s.Users(cmd.Context())
				if err != nil {
					return err
				}
				var list []object
				for _, u := range users {
					list = append(list, userObject(u))
				}
				return a.printObjects(list, "hash", "username", "roles", "attributes")
			})
		},
	}
}

func (a *app) userShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "show NAME|HASH",
		Short:   "Show a user",
		Long:    "Show prints one user with the hashes of his roles. Everybody may see himself.",
		Example: "  supertable user show alice --format json",
		Args:    takes(1, 1, "NAME or HASH"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.read(cmd.Context(), func(s session) error {
				u, err := s.User(cmd.Context(), args[0])
				return a.printUser(u, err)
			})
		},
	}
}

func (a *app) userModifyCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "modify NAME|HASH FILE|-",
		Short:   "Change a user",
		Long:    "Modify changes a user's name, roles or attributes to those of the document; what it does not name stays, and so does the hash.",
		Example: `  echo '{"roles":[]}' | supertable user modify alice -`,
		Args:    takes(2, 2, "NAME or HASH, and FILE (or - for standard input)"),
		RunE: func(cmd *cobra.Command, args []string) error {
			change, err := a.userDocument(cmd.Context(), args[1])
			if err != nil {
				return err
			}
			return a.read(cmd.Context(), func(s session) error {
				u, err := s.ModifyUser(cmd.Context(), args[0], change)
				a.did(err == nil)
				return a.printUser(u, err)
			})
		},
	}
}

func (a *app) accessCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "access USER [TABLE]",
		Short: "Say what a user may read, and why",
		Long: `Access prints, for each table that a user may read, the roles that let him, the
columns that exist for him, how those are masked that are, and which rows.
Everybody may ask about himself.`,
		Example: "  supertable access alice orders",
		Args:    takes(1, 2, "USER and maybe TABLE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.read(cmd.Context(), func(s session) error {
				list, err := s.Explain(cmd.Context(), args[0], first(args[1:]))
				if err != nil {
					return err
				}
				if a.flags.format == formatTable {
					return a.result(func(w io.Writer) error { return writeAccess(w, args[0], list) })
				}
				l := listing{columns: []string{"table", "roles", "columns", "masks", "filter"}}
				for _, x := range list {
					row := []any{x.Table, jsonOf(x.Roles), jsonOf(x.Columns), jsonOf(x.Masks), nil}
					if x.Filter != nil {
						row[4] = jsonOf(x.Filter)
					}
					l.rows = append(l.rows, row)
				}
				return a.printList(l)
			})
		},
	}
}

// writeAccess puts what a user may read into words.
func writeAccess(w io.Writer, user string, list []supertable.Access) error {
	text := printable(user) + " may read no table\n"
	if len(list) > 0 {
		var b strings.Builder
		for _, x := range list {
			for line := range strings.Lines(x.String()) {
				b.WriteString(printable(strings.TrimSuffix(line, "\n")) + "\n")
			}
		}
		text = b.String()
	}
	_, err := io.WriteString(w, text)
	return err
}

func (a *app) roleHistoryCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "history",
		Short: "List the changes of roles and users",
		Long: `History prints who changed which role or user, when, and what it was before and
after, newest first.`,
		Example: "  supertable role history --format json",
		Args:    takes(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.read(cmd.Context(), func(s session) error {
				list, err := s.PolicyHistory(cmd.Context())
				if err != nil {
					return err
				}
				l := listing{columns: []string{"version", "time", "principal", "action", "object", "before", "after"}}
				for _, c := range list {
					l.rows = append(l.rows, []any{c.Version, c.Time, c.Principal, c.Action, c.Object, orNull(c.Before), orNull(c.After)})
				}
				return a.printList(l)
			})
		},
	}
}

func orNull(v json.RawMessage) any {
	if v == nil {
		return nil
	}
	return compact(v)
}
