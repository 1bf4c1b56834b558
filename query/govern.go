package query

import (
	"context"
	"regexp"
	"strings"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/query/statement"
	"github.com/supertable-go/supertable/rbac"
	"github.com/supertable-go/supertable/scan"
)

// member is one table below a reference, as the principal may use it.
type member struct {
	table   catalog.Table
	all     []datafile.Column // the table's
	columns []datafile.Column // those that exist for the principal
	names   []rbac.Column     // of all
	rules   []rbac.Rule
	policy  scan.Policy
	access  rbac.Access
	scan    *scan.Scan
}

// find looks the table of a reference up. A missing table and one that the
// principal may not read give the same answer.
func (q *run) find(ctx context.Context, v *catalog.View, r *reference) (*member, error) {
	missing := errs.New(errs.NotFound, "Table not found: %s/%s/%s", r.super.Organization, r.super.Name, r.t.Name)
	t, err := v.Table(ctx, r.t.Name, r.at.ID)
	if errs.KindOf(err) == errs.NotFound || err == nil && !readable(r.super.grant, t.Name) {
		return nil, missing
	}
	if err != nil {
		return nil, err
	}
	m, err := newMember(ctx, v, r.super.grant, t, r.at.ID)
	if err == nil && m == nil {
		return nil, missing
	}
	return m, err
}

// readable reports whether the grant shows rows of a table.
func readable(g rbac.Grant, table string) bool { return g.Permits(rbac.ReadPermission(table), table) }

// newMember reads what a table is at a snapshot and what the grant says of it;
// nil when nothing of it exists for the principal. Rights are those of today,
// so a table or column that has another name now must be allowed under both.
func newMember(ctx context.Context, v *catalog.View, g rbac.Grant, t catalog.Table, at int64) (*member, error) {
	m := &member{table: t}
	var err error
	if m.all, err = v.Columns(ctx, t.ID, at); err != nil {
		return nil, err
	}
	name, current, err := today(ctx, v, t, at)
	if err != nil {
		return nil, err
	}
	if !readable(g, name) {
		return nil, nil
	}
	if m.rules = g.RulesUnder(rbac.ReadPermission, t.Name, name); m.rules == nil {
		return nil, nil
	}
	m.policy = scan.Policy{Grant: g, Columns: m.all, Current: current}
	for _, c := range m.all {
		m.names = append(m.names, rbac.Column{Name: c.Name, Now: current[c.ID]})
	}
	for _, c := range rbac.Visible(m.rules, m.names) {
		m.columns = append(m.columns, m.all[datafile.FindColumn(m.all, c.Name)])
	}
	if len(m.columns) == 0 && len(m.all) > 0 {
		return nil, nil
	}
	return m, nil
}

// today gives the name that a table of a snapshot has now, or had when it was
// dropped, and those of its columns by id; nil when they are the same.
func today(ctx context.Context, v *catalog.View, t catalog.Table, at int64) (string, map[int64]string, error) {
	if at == v.Head.ID {
		return t.Name, nil, nil
	}
	return v.LastNames(ctx, t.ID)
}

// whole reports whether the principal sees the table as it is, by one rule alone.
func (m *member) whole() bool {
	for _, r := range m.rules {
		if r.Whole() {
			return true
		}
	}
	return false
}

// decide unites the rules of each table for what the text does with it: all
// references to one table count as one use.
func (q *run) decide() error {
	type key struct {
		super *Super
		table int64
	}
	uses := map[key]rbac.Use{}
	each := func(fn func(k key, m *member, i int) error) error {
		for i, r := range q.refs {
			for _, m := range r.members {
				if err := fn(key{r.super, m.table.ID}, m, i); err != nil {
					return err
				}
			}
		}
		return nil
	}
	_ = each(func(k key, _ *member, i int) error {
		u := uses[k]
		u.Star = u.Star || q.bound.Uses[i].Star
		u.Columns = append(u.Columns, q.bound.Uses[i].Columns...)
		uses[k] = u
		return nil
	})
	blind := substrings.MatchString(q.text)
	return each(func(k key, m *member, _ int) (err error) {
		m.policy.Blind = blind
		if m.whole() {
			m.access = rbac.Access{Rows: rbac.Rows{All: true}}
			return nil
		}
		m.access, err = rbac.Decide(m.rules, m.table.Name, m.names, uses[k])
		return err
	})
}

// substrings finds calls of a function of which the engine (1.5.5) has another
// one for a column that, by the files' statistics, is ASCII alone. They differ
// for places before a text's beginning: substr('ab', -9, 1).
var substrings = regexp.MustCompile(`(?i)\bsubstr(ing)?\b`)

// loadSecrets reads what the masks of a member need of the catalog, while it
// is open.
func (m *member) loadSecrets(ctx context.Context, v *catalog.View) error {
	for _, cases := range m.access.Masks {
		for _, c := range cases {
			if c.Mask == nil || c.Mask.Type != "hash" || m.policy.Salt != nil {
				continue
			}
			salt, err := v.Secret(ctx, "salt")
			if err != nil {
				return err
			}
			m.policy.Salt = func() (string, error) { return salt, nil }
		}
	}
	return nil
}

// sql gives the rows of a member as the principal sees them. The text's own
// conditions that cannot fail are repeated below a fence, which would hide
// them from the files' statistics.
func (m *member) sql(live scan.Live, mayRaise bool, filter statement.Expr) (string, error) {
	inner, err := m.scan.SQL(live)
	if err != nil || m.whole() {
		return inner, err
	}
	fence := mayRaise && !m.access.Rows.All
	var more []string
	if fence && filter != nil {
		if c, ok := m.clear().harmless(filter); ok {
			more = []string{c}
		}
	}
	return m.policy.Secure(inner, m.access, more, fence)
}

// clear prunes by the columns that are shown as they are in every row: what is
// masked must not be told by the files that are left out.
func (m *member) clear() pruner {
	p := pruner{}
	for _, c := range m.columns {
		if m.access.Clear(c.Name) {
			p.columns = append(p.columns, c)
		}
	}
	return p
}

// shown reports whether the member's rows have the column.
func (m *member) shown(name string) bool {
	if m.whole() {
		return datafile.FindColumn(m.all, name) >= 0
	}
	for _, c := range m.access.Columns {
		if strings.EqualFold(c, name) {
			return true
		}
	}
	return false
}

// predicates are what a file must be able to fulfil to be read: the text's
// filter and the principal's.
type predicates struct {
	text, policy       pruner
	filter, rowFilters statement.Expr
	lack               map[int64]bool // files that by their key filters have none of the keys that the text asks for
}

func newPredicates(m *member, filter statement.Expr) predicates {
	p := predicates{text: m.clear(), policy: pruner{columns: m.all}, filter: filter}
	if !m.access.Rows.All {
		p.rowFilters = rowsExpr(m.policy, m.access.Rows)
	}
	return p
}

func (p predicates) leaves() []int64 {
	var out []int64
	if p.filter != nil {
		out = p.text.leaves(p.filter)
	}
	if p.rowFilters != nil {
		out = append(out, p.policy.leaves(p.rowFilters)...)
	}
	return out
}

func (p predicates) mayHold(f *catalog.File) bool {
	return !p.lack[f.ID] && (p.filter == nil || p.text.mayHold(f, p.filter)) && (p.rowFilters == nil || p.policy.mayHold(f, p.rowFilters))
}

// rowsExpr says what the row filters are known to demand; nil is nothing.
func rowsExpr(p scan.Policy, rows rbac.Rows) statement.Expr {
	var any statement.Or
	for _, f := range rows.Filters {
		e := filterExpr(p, f)
		if e == nil {
			return nil
		}
		any = append(any, e)
	}
	if len(any) == 1 {
		return any[0]
	}
	return any
}

func filterExpr(p scan.Policy, f rbac.Filter) statement.Expr {
	switch f := f.(type) {
	case rbac.And:
		var all statement.And
		for _, part := range f {
			if e := filterExpr(p, part); e != nil {
				all = append(all, e)
			}
		}
		switch len(all) {
		case 0:
			return nil
		case 1:
			return all[0]
		}
		return all
	case rbac.Or:
		return rowsExpr(p, rbac.Rows{Filters: f})
	case rbac.Compare:
		return compareExpr(p, f)
	}
	return nil
}

// compareExpr is a comparison with constants of the column's own type.
func compareExpr(p scan.Policy, f rbac.Compare) statement.Expr {
	column, values, ok := p.Constants(f)
	if !ok {
		return nil
	}
	typ, _, _ := strings.Cut(column.Type.SQL(), "(")
	lits := make([]statement.Literal, len(values))
	for i, v := range values {
		lits[i] = statement.Literal{Type: typ, Text: v}
	}
	switch f.Op {
	case "IS":
		return statement.Null{Column: column.Name}
	case "IS NOT":
		return statement.Null{Column: column.Name, Not: true}
	case "IN":
		return statement.In{Column: column.Name, Values: lits}
	case "BETWEEN":
		return statement.And{statement.Compare{Column: column.Name, Op: statement.GreaterOrEqual, Value: lits[0]}, statement.Compare{Column: column.Name, Op: statement.LessOrEqual, Value: lits[1]}}
	case "=", "<", "<=", ">", ">=":
		return statement.Compare{Column: column.Name, Op: statement.Op(f.Op), Value: lits[0]}
	}
	return nil
}
