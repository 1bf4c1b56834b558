package rbac_test

import (
	"testing"

	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/rbac"
)

var permissions = []rbac.Permission{rbac.Control, rbac.Create, rbac.Write, rbac.Read, rbac.Meta}

// TestNobodyMayDoAnything: what was not minted permits nothing (I6).
func TestNobodyMayDoAnything(t *testing.T) {
	var policy rbac.Policy
	for name, g := range map[string]rbac.Grant{"the zero grant": {}, "the grant of nobody": policy.Grant(rbac.Principal{})} {
		for _, p := range permissions {
			if g.Permits(p, "t") || g.Permits(p, "") {
				t.Errorf("%s permits %s", name, p)
			}
		}
	}
}

// TestSuperuser: the user that every SuperTable is born with is found by name,
// in any case, and by his public hash, and may do everything.
func TestSuperuser(t *testing.T) {
	var policy rbac.Policy
	for _, who := range []string{"superuser", "SuperUser", "0b85b786b16d195439c0da18fd4478df"} {
		p, err := policy.Principal(who)
		if err != nil || p.Name() != "superuser" || p.Hash() != rbac.SuperuserHash {
			t.Fatalf("%s: %s %s, %v", who, p.Name(), p.Hash(), err)
		}
		g := policy.Grant(p)
		if g.Principal() != p {
			t.Errorf("%s: the grant is that of %s", who, g.Principal().Name())
		}
		for _, perm := range permissions {
			if !g.Permits(perm, "t") || !g.Permits(perm, "") {
				t.Errorf("%s may not %s", who, perm)
			}
		}
	}
}

// TestUnknownUser: the words are those of the documentation (R05).
func TestUnknownUser(t *testing.T) {
	for _, who := range []string{"", "nobody", "0d261765d0f88e3bdede483c3d41d125", "superuser "} {
		_, err := rbac.Policy{}.Principal(who)
		if errs.KindOf(err) != errs.Denied || err.Error() != "User does not exist or is invalid." {
			t.Errorf("%q: %v", who, err)
		}
	}
}
