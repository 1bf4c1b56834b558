package rbac

import (
	"reflect"
	"slices"
	"strings"

	"github.com/supertable-go/supertable/internal/errs"
)

// Grant says what one principal may do under one version of the policy. Only
// this package makes grants that permit anything: the zero value permits nothing.
type Grant struct {
	principal Principal
	user      *User
	roles     []*Role // enabled, oldest first
	policy    int64
}

// Principal is whose grant this is.
func (g Grant) Principal() Principal { return g.principal }

// Roles are the hashes of the roles that count, oldest first.
func (g Grant) Roles() []string {
	out := make([]string, len(g.roles))
	for i, r := range g.roles {
		out[i] = r.Hash
	}
	return out
}

// Policy is the version of the policy that the grant was made under.
func (g Grant) Policy() int64 { return g.policy }

// Permits reports whether the grant allows p on the table called name; name
// "" asks about the SuperTable itself. Control and Create need a role that
// shows the table whole: who sees only a part of it could destroy or reveal
// the rest. Of the SuperTable they need one that shows every table whole: who
// makes roles could give himself what his own hide.
func (g Grant) Permits(p Permission, name string) bool {
	for _, r := range g.roles {
		ru := r.rule(name)
		if ru == nil || !permits(r.Type, p) {
			continue
		}
		if p != Control && p != Create || ru.whole() && (name != "" || r.hidesNothing()) {
			return true
		}
	}
	return false
}

// Whole reports whether some role that permits p shows the table without any
// filter, mask or hidden column: then even facts about all rows may be told.
func (g Grant) Whole(p Permission, name string) bool {
	return slices.ContainsFunc(g.rulesFor(p, name), (*rule).whole)
}

// AllRows reports whether some role that permits p shows every row.
func (g Grant) AllRows(p Permission, name string) bool {
	return slices.ContainsFunc(g.rulesFor(p, name), func(r *rule) bool { return r.filter == nil })
}

func (g Grant) rulesFor(p Permission, name string) []*rule {
	var out []*rule
	for _, r := range g.roles {
		if ru := r.rule(name); ru != nil && permits(r.Type, p) {
			out = append(out, ru)
		}
	}
	return out
}

// Rule is what one role says of one table.
type Rule struct {
	Role    string          // its hash
	Columns []string        // nil is all
	Filter  Filter          // nil is every row
	Masks   map[string]Mask // by lower-case column; nil is none
}

// Whole reports whether the rule shows the whole table as it is.
func (r Rule) Whole() bool { return r.Columns == nil && r.Filter == nil && len(r.Masks) == 0 }

// allows reports whether the rule shows the column, be it masked.
func (r Rule) allows(c Column) bool { return r.names(c.Name) && (c.Now == "" || r.names(c.Now)) }

func (r Rule) names(column string) bool {
	return r.Columns == nil || slices.ContainsFunc(r.Columns, func(c string) bool { return strings.EqualFold(c, column) })
}

// mask gives the mask of a column.
func (r Rule) mask(c Column) (Mask, bool) {
	m, ok := r.Masks[strings.ToLower(c.Now)]
	if !ok {
		m, ok = r.Masks[strings.ToLower(c.Name)]
	}
	return m, ok
}

// Rules lists what the principal's roles that permit p say of a table, oldest
// role first. None: the table does not exist for him.
func (g Grant) Rules(p Permission, table string) []Rule {
	var out []Rule
	for _, r := range g.roles {
		if ru := r.rule(table); ru != nil && permits(r.Type, p) {
			out = append(out, Rule{Role: r.Hash, Columns: ru.columns, Filter: ru.filter, Masks: ru.masks})
		}
	}
	return out
}

// RulesUnder are the rules of a table that had the name then and has the name
// now: those of the name that shows less, and none where the two show
// different parts. What hid a row or a column under either name still does.
func (g Grant) RulesUnder(p func(table string) Permission, then, now string) []Rule {
	old, today := g.Rules(p(then), then), g.Rules(p(now), now)
	switch {
	case strings.EqualFold(then, now) || slices.ContainsFunc(old, Rule.Whole) || reflect.DeepEqual(old, today):
		return today
	case slices.ContainsFunc(today, Rule.Whole):
		return old
	}
	return nil
}

// Session gives the value of a session operand: user.name, user.hash or
// user.ATTRIBUTE. What the user does not have is Denied: a filter that cannot
// be applied shows nothing.
func (g Grant) Session(name string) (any, error) {
	if g.user != nil {
		if v, ok := g.user.session(name); ok {
			return v, nil
		}
	}
	return nil, errs.New(errs.Denied, "your row filter needs an attribute that your user does not have; ask an administrator")
}
