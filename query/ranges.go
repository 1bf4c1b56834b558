package query

import (
	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/query/statement"
)

// where says for the catalog which files may hold a row for which the
// predicate is true: at least those that mayHold keeps. Nil is every file.
func (p pruner) where(e statement.Expr) catalog.Where {
	switch x := e.(type) {
	case statement.And:
		var all catalog.WhereAll
		for _, c := range x {
			if w := p.where(c); w != nil {
				all = append(all, w)
			}
		}
		if len(all) > 0 {
			return all
		}
	case statement.Or:
		any := catalog.WhereAny{}
		for _, c := range x {
			w := p.where(c)
			if w == nil {
				return nil
			}
			any = append(any, w)
		}
		return any
	case statement.Compare:
		return p.between(x.Column, x.Op, x.Value)
	case statement.In:
		if !x.Not {
			return p.among(x)
		}
	case statement.Null:
		if c, ok := p.column(x.Column); ok && !x.Not {
			return catalog.WhereNull{Column: c}
		}
	}
	return nil
}

func (p pruner) among(x statement.In) catalog.Where {
	any := catalog.WhereAny{}
	for _, v := range x.Values {
		w := p.between(x.Column, statement.Equal, v)
		if w == nil {
			return nil
		}
		any = append(any, w)
	}
	return any
}

func (p pruner) between(name string, op statement.Op, lit statement.Literal) catalog.Where {
	c, ok := p.column(name)
	if !ok {
		return nil
	}
	v, ok := p.bound(c.Type, lit)
	if !ok {
		return nil
	}
	switch op {
	case statement.Equal:
		return catalog.WhereBetween{Column: c, Lo: &v, Hi: &v}
	case statement.Less, statement.LessOrEqual:
		return catalog.WhereBetween{Column: c, Hi: &v}
	case statement.Greater, statement.GreaterOrEqual:
		return catalog.WhereBetween{Column: c, Lo: &v}
	}
	return nil
}

// where joins what the text and the row filters ask for.
func (p predicates) where() catalog.Where {
	var all catalog.WhereAll
	for _, w := range []catalog.Where{p.text.where(p.filter), p.policy.where(p.rowFilters)} {
		if w != nil {
			all = append(all, w)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all
}
