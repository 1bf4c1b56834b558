package rbac

import (
	"maps"
	"slices"
	"strings"

	"github.com/supertable-go/supertable/internal/errs"
)

// Policy is the rules of one SuperTable at one version: its roles and users.
// It does not change; the methods that change something give the change to
// store, decided on this version.
type Policy struct {
	version int64
	roles   []*Role // in the order of their creation
	users   []*User // in the order of their creation
}

// NewPolicy puts roles and users, each in the order of creation, together.
func NewPolicy(version int64, roles []*Role, users []*User) *Policy {
	return &Policy{version, roles, users}
}

// Builtin is the policy that every SuperTable is born with: the role
// superadmin on everything and the user superuser, who has it. createdMS is
// the time of birth.
func Builtin(createdMS int64) *Policy {
	role, err := ParseRole([]byte(`{"role": "superadmin"}`))
	if err != nil || role.Hash != SuperadminHash {
		panic("rbac: the built-in role is not what was published")
	}
	user := &User{Hash: SuperuserHash, Name: SuperuserName, Roles: []string{SuperadminHash}, CreatedMS: createdMS, ModifiedMS: createdMS}
	return NewPolicy(0, []*Role{role}, []*User{user})
}

// Version grows with every change.
func (p *Policy) Version() int64 { return p.version }

// Roles lists the roles in the order of their creation.
func (p *Policy) Roles() []*Role { return p.roles }

// Users lists the users in the order of their creation.
func (p *Policy) Users() []*User { return p.users }

// Role finds a role by hash or name.
func (p *Policy) Role(hashOrName string) (*Role, bool) {
	for _, r := range p.roles {
		if r.Hash == hashOrName {
			return r, true
		}
	}
	for _, r := range p.roles {
		if r.Name != "" && strings.EqualFold(r.Name, hashOrName) {
			return r, true
		}
	}
	return nil, false
}

// User finds a user by hash or name.
func (p *Policy) User(hashOrName string) (*User, bool) {
	for _, u := range p.users {
		if u.Hash == hashOrName || strings.EqualFold(u.Name, hashOrName) {
			return u, true
		}
	}
	return nil, false
}

// Principal is who acts: a user that was found. The zero value is nobody.
type Principal struct{ name, hash string }

// Name is the user's name when he was found.
func (p Principal) Name() string { return p.name }

// Hash is the user's stable public id.
func (p Principal) Hash() string { return p.hash }

// Principal finds who acts by name or hash. An unknown one is Denied.
func (p *Policy) Principal(nameOrHash string) (Principal, error) {
	u, ok := p.User(nameOrHash)
	if !ok {
		return Principal{}, errs.New(errs.Denied, "User does not exist or is invalid.")
	}
	return Principal{u.Name, u.Hash}, nil
}

// PrincipalNamed is Principal by the user's name alone.
func (p *Policy) PrincipalNamed(name string) (Principal, error) {
	for _, u := range p.users {
		if strings.EqualFold(u.Name, name) {
			return Principal{u.Name, u.Hash}, nil
		}
	}
	return Principal{}, errs.New(errs.Denied, "User does not exist or is invalid.")
}

// Grant gives the rights that a principal has under this policy. A user that
// is gone is Denied.
func (p *Policy) Grant(who Principal) (Grant, error) {
	for _, u := range p.users {
		if u.Hash == who.hash && who.hash != "" {
			return p.grant(u), nil
		}
	}
	return Grant{}, errs.New(errs.Denied, "User does not exist or is invalid.")
}

func (p *Policy) grant(u *User) Grant {
	g := Grant{principal: Principal{u.Name, u.Hash}, user: u, policy: p.version}
	for _, r := range p.roles {
		if r.enabled && slices.Contains(u.Roles, r.Hash) {
			g.roles = append(g.roles, r)
		}
	}
	return g
}

// AddRole decides on a new role: the one that is there when the content is the
// same, else the role to store. Names are unique without regard to case.
func (p *Policy) AddRole(r *Role) (*Role, bool, error) {
	for _, old := range p.roles {
		if old.Hash == r.Hash {
			return old, false, nil
		}
		if r.Name != "" && strings.EqualFold(old.Name, r.Name) {
			return nil, false, errs.New(errs.AlreadyExists, "a role named %q exists already", old.Name)
		}
	}
	return r, true, nil
}

// RemoveRole decides on deleting a role: the role and the users that lose it;
// nil when there is none.
func (p *Policy) RemoveRole(hashOrName string) (*Role, []*User, error) {
	r, ok := p.Role(hashOrName)
	if !ok {
		return nil, nil, nil
	}
	if r.Hash == SuperadminHash {
		return nil, nil, errs.New(errs.Denied, "the role superadmin is protected")
	}
	return r, p.without(r.Hash), nil
}

// without gives the users that have the role, as they are without it.
func (p *Policy) without(role string) []*User {
	var out []*User
	for _, u := range p.users {
		if slices.Contains(u.Roles, role) {
			c := u.clone()
			c.Roles = slices.DeleteFunc(c.Roles, func(h string) bool { return h == role })
			out = append(out, c)
		}
	}
	return out
}

// Strip decides on taking a role from everybody.
func (p *Policy) Strip(role string) ([]*User, error) {
	if role == SuperadminHash {
		return nil, errs.New(errs.Denied, "the role superadmin is protected")
	}
	return p.without(role), nil
}

// AddUser decides on a new user: the one that is there when the name is taken,
// whose roles then stay as they are, else the user to store.
func (p *Policy) AddUser(in UserInput, nowMS int64) (*User, bool, error) {
	name := ""
	if in.Name != nil {
		name = *in.Name
	}
	if err := checkUserName(name); err != nil {
		return nil, false, err
	}
	for _, u := range p.users {
		if strings.EqualFold(u.Name, name) {
			return u, false, nil
		}
	}
	u := &User{Name: name, Roles: []string{}, CreatedMS: nowMS, ModifiedMS: nowMS}
	if err := p.fill(u, in); err != nil {
		return nil, false, err
	}
	u.Hash = userHash(name, u.Roles)
	if u.Hash == SuperuserHash {
		return nil, false, errs.New(errs.Denied, "the user superuser is protected")
	}
	return u, true, nil
}

// ChangeUser decides on a change of a user; nil when nothing changes.
func (p *Policy) ChangeUser(hashOrName string, in UserInput, nowMS int64) (*User, error) {
	old, ok := p.User(hashOrName)
	if !ok {
		return nil, errs.New(errs.NotFound, "User %s does not exist", hashOrName)
	}
	if old.Hash == SuperuserHash && (in.Name != nil && *in.Name != old.Name || in.Roles != nil && !slices.Equal(*in.Roles, old.Roles)) {
		return nil, errs.New(errs.Denied, "the user superuser is protected: his name and roles stay")
	}
	if in.Name == nil && in.Roles == nil && in.Attributes == nil {
		return nil, nil
	}
	u := old.clone()
	if in.Name != nil {
		if err := checkUserName(*in.Name); err != nil {
			return nil, err
		}
		for _, other := range p.users {
			if other.Hash != old.Hash && strings.EqualFold(other.Name, *in.Name) {
				return nil, errs.New(errs.AlreadyExists, "a user named %q exists already", other.Name)
			}
		}
		u.Name = *in.Name
	}
	if err := p.fill(u, in); err != nil {
		return nil, err
	}
	if u.Name == old.Name && slices.Equal(u.Roles, old.Roles) && maps.Equal(u.Attributes, old.Attributes) {
		return nil, nil
	}
	u.ModifiedMS = nowMS
	return u, nil
}

// fill sets roles and attributes after checking them.
func (p *Policy) fill(u *User, in UserInput) error {
	if in.Roles != nil {
		u.Roles = []string{}
		for _, name := range *in.Roles {
			r, ok := p.Role(name)
			if !ok {
				return errs.New(errs.InvalidArgument, "Role %s is not valid", name)
			}
			if !slices.Contains(u.Roles, r.Hash) {
				u.Roles = append(u.Roles, r.Hash)
			}
		}
	}
	if in.Attributes != nil {
		if err := checkAttributes(*in.Attributes); err != nil {
			return err
		}
		u.Attributes = *in.Attributes
	}
	return nil
}

// RemoveUser decides on deleting a user; nil when there is none.
func (p *Policy) RemoveUser(hashOrName string) (*User, error) {
	u, ok := p.User(hashOrName)
	if !ok {
		return nil, nil
	}
	if u.Hash == SuperuserHash {
		return nil, errs.New(errs.Denied, "the user superuser is protected")
	}
	return u, nil
}
