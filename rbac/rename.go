package rbac

import (
	"slices"
	"strings"

	"github.com/supertable-go/supertable/internal/errs"
)

// CheckRename refuses other names for a table or its columns (new ones by old)
// by which some role would show what it hides now. What a role says is about
// names: an entry for the old name no longer holds under the new one, where "*"
// does, and a mask covers no column but the one of its name. A column list and a
// row filter need no such look: under other names they show nothing.
func (p *Policy) CheckRename(table, renamed string, columns map[string]string) error {
	for _, r := range p.roles {
		if !r.enabled {
			continue
		}
		old, now := r.rule(table), r.rule(renamed)
		_, named := r.rules[strings.ToLower(renamed)]
		if old != nil && !old.whole() && now != nil && now != old && !named {
			return errs.New(errs.InvalidArgument, "a role hides parts of table %s by that name and would show them as %s: give it an entry for %s first", table, renamed, renamed)
		}
		if now == nil {
			continue
		}
		for from, to := range columns {
			_, before := now.masks[strings.ToLower(from)]
			_, after := now.masks[strings.ToLower(to)]
			shown := now.columns == nil || slices.ContainsFunc(now.columns, func(c string) bool { return strings.EqualFold(c, to) })
			if before && !after && shown {
				return errs.New(errs.InvalidArgument, "a role masks column %q of table %s by that name and would show it as %q: give it a mask for %q first", from, table, to, to)
			}
		}
	}
	return nil
}
