package statement

import "slices"

// reach is a relation of a FROM clause, as a condition above it meets it.
type reach struct {
	relation *relation
	nullable bool // an outer join may put nulls in place of its row
	blocked  bool // leaving rows of it out could change other rows
}

// filters collects, for every table, what the WHERE and ON clauses say of it.
//
// It is sound because a row is left out only where no result can come of it:
//
//   - A conjunct of WHERE fails for every row of the join that holds the table
//     row. When the table stands on the nullable side of an outer join, its
//     partner rows may come back with nulls instead: those must fail too.
//   - A conjunct of ON fails for every pair that holds the row. That says
//     something of both sides of an inner or semi join, of the right side of a
//     left or anti join, of the left side of a right join, of none of a full
//     join.
//   - The right side of an ASOF join and both sides of a POSITIONAL one are
//     left alone, as are sampled rows: there rows stand for one another.
func (b *binder) filters() {
	for _, sel := range b.selects {
		if sel.from == nil {
			continue
		}
		if !sel.sampled {
			b.condition(sel.where, reaches(sel.from), nil, allInner(sel.from))
		}
		b.onClauses(sel.from)
	}
}

// onClauses collects from the ON conditions of a join tree.
func (b *binder) onClauses(j *join) {
	if j.left == nil {
		return
	}
	b.onClauses(j.left)
	b.onClauses(j.right)
	if j.node.text("ref_type") != "REGULAR" {
		return
	}
	left, right := reaches(j.left), reaches(j.right)
	targets := []reach{}
	switch j.node.text("join_type") {
	case "INNER", "SEMI":
		targets = append(slices.Clone(left), right...)
	case "LEFT", "ANTI":
		targets = right
	case "RIGHT":
		targets = left
	}
	visible := append(slices.Clone(left), right...)
	b.condition(j.node.child("condition"), visible, targets, allInner(j))
}

// condition adds what n says of each of targets; nil is all of visible, the
// relations in which its names are looked up.
func (b *binder) condition(n node, visible, targets []reach, inner bool) {
	if n == nil {
		return
	}
	if targets == nil {
		targets = visible
	}
	for _, t := range targets {
		if t.blocked || t.relation.table == nil {
			continue
		}
		p := predicate{b.values, func(names []string) (string, bool) {
			return b.certain(names, visible, t.relation, inner)
		}}
		for _, c := range conjuncts(n) {
			if e := p.holds(c, false); e != nil && (!t.nullable || e.rejectsNull()) {
				u := &b.uses[b.index[t.relation.table]]
				u.Filter = and(u.Filter, e)
			}
		}
	}
}

// conjuncts takes an AND apart, however it is nested.
func conjuncts(n node) []node {
	if n.text("type") != "CONJUNCTION_AND" {
		return []node{n}
	}
	var out []node
	for _, c := range n.nodes("children") {
		out = append(out, conjuncts(c)...)
	}
	return out
}

// reaches lists the relations that a condition above j sees, left to right.
func reaches(j *join) []reach {
	if j.left == nil {
		if j.relation == nil {
			return nil
		}
		blocked := j.sampled || j.relation.table != nil && j.relation.table.Renamed
		return []reach{{relation: j.relation, blocked: blocked}}
	}
	left, right := reaches(j.left), reaches(j.right)
	switch typ, ref := j.node.text("join_type"), j.node.text("ref_type"); {
	case ref == "ASOF" && (typ == "INNER" || typ == "LEFT"):
		block(right)
	case ref != "REGULAR" && ref != "CROSS" && ref != "NATURAL":
		block(left)
		block(right)
	case typ == "LEFT":
		nullable(right)
	case typ == "RIGHT":
		nullable(left)
	case typ == "OUTER", typ == "FULL":
		nullable(left)
		nullable(right)
	case typ == "SEMI", typ == "ANTI":
		return left
	case typ != "INNER":
		block(left)
		block(right)
	}
	return append(left, right...)
}

func block(list []reach) {
	for i := range list {
		list[i].blocked = true
	}
}

func nullable(list []reach) {
	for i := range list {
		list[i].nullable = true
	}
}

// allInner reports whether j holds plain inner joins only, so that a column of
// USING is that of the leftmost table.
func allInner(j *join) bool {
	if j.left == nil {
		return true
	}
	ref := j.node.text("ref_type")
	return j.node.text("join_type") == "INNER" && (ref == "REGULAR" || ref == "CROSS" || ref == "NATURAL") &&
		allInner(j.left) && allInner(j.right)
}

// certain tells which column of target names is, when it can be no other's.
func (b *binder) certain(names []string, visible []reach, target *relation, inner bool) (string, bool) {
	switch len(names) {
	case 1:
		return b.unqualified(names[0], visible, target, inner)
	case 2:
		if owner := only(visible, func(r *relation) bool { return equal(r.alias, names[0]) }); owner != target {
			return "", false
		}
		return b.has(target.table, names[1])
	case 3:
		if slices.ContainsFunc(visible, func(v reach) bool { return equal(v.relation.alias, names[0]) }) {
			return "", false
		}
		owner := only(visible, func(r *relation) bool { return b.inTable(r, names[0], names[1]) })
		if owner != target {
			return "", false
		}
		return b.has(target.table, names[2])
	}
	return "", false
}

// unqualified looks a bare name up in all of visible. Of several owners, which
// only USING and NATURAL allow, it is the first one's in an inner join, and
// nobody's in an outer one.
func (b *binder) unqualified(name string, visible []reach, target *relation, inner bool) (string, bool) {
	var owners []*relation
	column := ""
	for _, v := range visible {
		has, known := b.owns(v.relation, name)
		if !known {
			return "", false
		}
		if !has {
			continue
		}
		owners = append(owners, v.relation)
		if v.relation == target {
			column, _ = b.has(target.table, name)
		}
	}
	if len(owners) == 0 || owners[0] != target || len(owners) > 1 && !inner {
		return "", false
	}
	return column, column != ""
}

// only gives the one relation that fits, or nil.
func only(list []reach, fits func(*relation) bool) *relation {
	var found *relation
	for _, v := range list {
		if !fits(v.relation) {
			continue
		}
		if found != nil {
			return nil
		}
		found = v.relation
	}
	return found
}
