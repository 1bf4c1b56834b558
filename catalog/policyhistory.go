package catalog

import (
	"context"
	"time"
)

// PolicyEntry is the change of one role or user.
type PolicyEntry struct {
	Version       int64
	Time          time.Time
	Principal     string
	Action        string // "create role", "modify user", …
	Object        string // its hash
	Before, After string // its document; "" for none
}

// PolicyHistory reads the changes of the policy, newest first. A foreign lake
// has none.
func (v *View) PolicyHistory(ctx context.Context) ([]PolicyEntry, error) {
	if v.c.foreign {
		return nil, nil
	}
	rows, err := v.q.QueryContext(ctx,
		`SELECT version, time, principal, action, object, coalesce(before, ''), coalesce(after, '') FROM supertable_policy ORDER BY version DESC`)
	if err != nil {
		return nil, sqlError(ctx, err, "read the policy's history")
	}
	defer func() { _ = rows.Close() }()
	var out []PolicyEntry
	for rows.Next() {
		var e PolicyEntry
		var at string
		if err := rows.Scan(&e.Version, &at, &e.Principal, &e.Action, &e.Object, &e.Before, &e.After); err != nil {
			return nil, sqlError(ctx, err, "read the policy's history")
		}
		if e.Time, err = ParseTime(at); err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, sqlError(ctx, rows.Err(), "read the policy's history")
}
