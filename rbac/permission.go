package rbac

import (
	"slices"
	"strings"

	"github.com/supertable-go/supertable/internal/errs"
)

// Permission is what a grant allows.
type Permission string

// The permissions (behaviour.md B.4.1).
const (
	Control Permission = "CONTROL" // drop, roles, users, maintenance
	Create  Permission = "CREATE"  // SuperTables and explicit DDL
	Write   Permission = "WRITE"   // rows of a table, and making it by writing
	Read    Permission = "READ"    // rows of a table
	Meta    Permission = "META"    // facts about a table
)

// roleTypes says what each type of role permits.
var roleTypes = map[string][]Permission{
	"superadmin": {Control, Create, Write, Read, Meta},
	"admin":      {Control, Create, Write, Read, Meta},
	"writer":     {Meta, Read, Write},
	"reader":     {Meta, Read},
	"meta":       {Meta},
}

// The user and role that every SuperTable is born with. The hashes are those
// of their documents and so the same everywhere: they identify, they are never
// a secret.
const (
	SuperuserName  = "superuser"
	SuperuserHash  = "0b85b786b16d195439c0da18fd4478df"
	SuperadminHash = "9cf3fcbe5b421442dcc5595fcfab4d9d"
)

// ReadPermission is what reading the rows of a table asks for: READ, and META
// for the streams of the system, whose names are __x__ (decision 12).
func ReadPermission(table string) Permission {
	if SystemTable(table) {
		return Meta
	}
	return Read
}

// SystemTable reports whether a table is a stream of the system: __x__.
func SystemTable(name string) bool {
	return len(name) > 4 && strings.HasPrefix(name, "__") && strings.HasSuffix(name, "__")
}

func permits(roleType string, p Permission) bool { return slices.Contains(roleTypes[roleType], p) }

func checkRoleType(name string) error {
	if _, ok := roleTypes[name]; !ok {
		return errs.New(errs.InvalidArgument, "'%s' is not a valid RoleType; there are superadmin, admin, writer, reader and meta", name)
	}
	return nil
}
