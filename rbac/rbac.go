// Package rbac decides who may do what. It does no I/O: it is given the
// facts and answers with a Grant, the only key that the read and write paths
// accept (I6).
package rbac

import (
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

// The user and role that every SuperTable is born with. The hashes are those
// of their documents (MD5 of canonical JSON) and so the same everywhere: they
// identify, they are never a secret.
const (
	SuperuserName  = "superuser"
	SuperuserHash  = "0b85b786b16d195439c0da18fd4478df"
	SuperadminHash = "9cf3fcbe5b421442dcc5595fcfab4d9d"
)

// Principal is who acts: a user that was found. The zero value is nobody.
type Principal struct{ name, hash string }

// Name is the user's name.
func (p Principal) Name() string { return p.name }

// Hash is the user's stable public id.
func (p Principal) Hash() string { return p.hash }

// Policy is the rules of one SuperTable. Until roles and users can be made,
// they are the built-in ones: superuser may do everything, nobody else exists.
type Policy struct{}

// Principal finds a user by name or hash. An unknown one is Denied.
func (Policy) Principal(nameOrHash string) (Principal, error) {
	if strings.EqualFold(nameOrHash, SuperuserName) || nameOrHash == SuperuserHash {
		return Principal{name: SuperuserName, hash: SuperuserHash}, nil
	}
	return Principal{}, errs.New(errs.Denied, "User does not exist or is invalid.")
}

// Grant says what one principal may do. Only this package makes grants that
// permit anything: the zero value permits nothing.
type Grant struct {
	principal Principal
	all       bool
}

// Grant gives the principal's rights.
func (Policy) Grant(p Principal) Grant {
	return Grant{principal: p, all: p.hash == SuperuserHash}
}

// Principal is whose grant this is.
func (g Grant) Principal() Principal { return g.principal }

// Permits reports whether the grant allows p on the table called name; name
// "" asks about the SuperTable itself.
func (g Grant) Permits(p Permission, name string) bool {
	_, _ = p, name // one all-or-nothing principal until roles land
	return g.all
}
