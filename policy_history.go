package supertable

import (
	"context"
	"encoding/json"
	"time"

	"github.com/supertable-go/supertable/catalog"
)

// PolicyChange is one change of roles and users.
type PolicyChange struct {
	Version   int64 // of the policy: 1 is the first change after birth
	Time      time.Time
	Principal string // the user who did it, as he was named
	Action    string // "create role", "delete role", "remove role from users", "create user", "modify user", "delete user"
	Object    string // the hash of the role or user
	// Before and After are its document; nil: there was none, there is none.
	Before, After json.RawMessage
}

// PolicyHistory lists the changes of roles and users, newest first. Needs
// CONTROL.
func (s *Session) PolicyHistory(ctx context.Context) ([]PolicyChange, error) {
	out := []PolicyChange{}
	err := s.st.catalog.Read(ctx, func(v *catalog.View) error {
		if _, err := s.managed(ctx, v); err != nil {
			return err
		}
		list, err := v.PolicyHistory(ctx)
		for _, e := range list {
			c := PolicyChange{Version: e.Version, Time: e.Time, Principal: e.Principal, Action: e.Action, Object: e.Object}
			if e.Before != "" {
				c.Before = json.RawMessage(e.Before)
			}
			if e.After != "" {
				c.After = json.RawMessage(e.After)
			}
			out = append(out, c)
		}
		return err
	})
	return out, err
}
