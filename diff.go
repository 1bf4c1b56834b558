package supertable

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/query"
	"github.com/supertable-go/supertable/rbac"
)

// DiffOptions of Session.Diff. Nil and the zero value mean the defaults.
type DiffOptions struct {
	// Key are columns that tell rows apart. With them a row that went and one
	// that came under the same key (NULL equals NULL) are an update. Empty
	// means inserts and deletes only.
	Key []string
}

// Diff compares table at two snapshots and streams the rows by which they
// differ, in a column change: insert, delete and, with a key, update_before
// and update_after, one behind the other. Rows count as often as they occur. A
// snapshot at which the table was not there has no rows.
//
// Both states are read by the columns of the later snapshot, found by field
// id: a rename or a new column alone is no change. The result is ordered by
// the key, else by all columns. What the principal may not see is not compared.
//
// Errors: NotFound for the table or a snapshot, InvalidArgument for the key.
func (s *Session) Diff(ctx context.Context, table string, from, to int64, o *DiffOptions) (*Rows, error) {
	if o == nil {
		o = &DiffOptions{}
	}
	var p pair
	err := s.withView(ctx, func(v *catalog.View, g rbac.Grant) error {
		for _, at := range []int64{from, to} {
			if _, err := v.Snapshot(ctx, at); err != nil {
				return err
			}
		}
		var err error
		p, err = s.states(ctx, v, g, table, from, to)
		return err
	})
	if err != nil {
		return nil, err
	}
	l := &looks{s: s, seen: map[string][]string{}}
	for _, x := range []*side{p.before, p.after} {
		if err := l.look(ctx, x); err != nil {
			return nil, err
		}
	}
	out := p.outColumns()
	key, err := keyOf(out, o.Key)
	if err != nil {
		return nil, err
	}
	return s.Query(ctx, p.diffSQL(out, key), &QueryOptions{differ: p.sameTable})
}

// keyOf finds the columns of a key, each once.
func keyOf(out []outColumn, key []string) ([]int, error) {
	var at []int
	var missing []string
	for _, k := range key {
		i := slices.IndexFunc(out, func(o outColumn) bool { return strings.EqualFold(o.name, k) })
		switch {
		case i < 0:
			missing = append(missing, k)
		case !slices.Contains(at, i):
			at = append(at, i)
		}
	}
	if len(missing) > 0 {
		return nil, errs.New(errs.InvalidArgument, "Missing column(s): %s", strings.Join(missing, ", "))
	}
	return at, nil
}

// states finds the table that the later snapshot knows by that name at both.
func (s *Session) states(ctx context.Context, v *catalog.View, g rbac.Grant, name string, from, to int64) (pair, error) {
	later, earlier := to, from
	if from > to {
		later, earlier = from, to
	}
	t, err := v.Table(ctx, name, later)
	if errs.KindOf(err) == errs.NotFound {
		later = earlier
		t, err = v.Table(ctx, name, earlier)
	}
	if errs.KindOf(err) == errs.NotFound || err == nil && !visible(g, t.Name) {
		return pair{}, errs.New(errs.NotFound, "Table not found: %s/%s/%s", s.st.org, s.st.name, name)
	}
	if err != nil {
		return pair{}, err
	}
	p := pair{sameTable: true, whole: whole(g, t.Name)}
	schemas := newSchemas(v)
	for _, x := range []struct {
		at int64
		to **side
	}{{from, &p.before}, {to, &p.after}} {
		if *x.to, err = schemas.side(ctx, t.ID, x.at); err != nil {
			return p, err
		}
		if *x.to != nil || x.at == later {
			continue
		}
		other, err := v.Table(ctx, name, x.at) // perhaps another one had its name
		if errs.KindOf(err) == errs.NotFound {
			continue
		}
		if err != nil {
			return p, err
		}
		p.sameTable = false
		if *x.to, err = schemas.side(ctx, other.ID, x.at); err != nil {
			return p, err
		}
	}
	return p, nil
}

// looks finds out which columns the principal sees: what SELECT * shows.
type looks struct {
	s    *Session
	seen map[string][]string
}

// look leaves out of a side the columns that the principal does not see.
func (l *looks) look(ctx context.Context, x *side) error {
	if x == nil {
		return nil
	}
	parts := []string{x.table}
	for _, c := range x.columns {
		parts = append(parts, fmt.Sprintf("%d %s", c.ID, c.Name))
	}
	key := strings.Join(parts, "\x00")
	visible, ok := l.seen[key]
	if !ok {
		rows, err := l.s.Query(ctx, "SELECT * FROM "+x.from()+" LIMIT 0", &QueryOptions{noRows: true})
		if err != nil {
			return err
		}
		for _, f := range rows.Schema().Fields() {
			visible = append(visible, f.Name)
		}
		if err := rows.Close(); err != nil {
			return err
		}
		l.seen[key] = visible
	}
	x.columns = slices.DeleteFunc(slices.Clone(x.columns), func(c datafile.Column) bool { return !slices.Contains(visible, c.Name) })
	return nil
}

// ChangesOptions of Session.Changes. Nil and the zero value mean the defaults.
type ChangesOptions struct {
	// To is the last snapshot. Nil means the newest.
	To *int64
}

// Changes streams the rows that came and went in the snapshots after from, up
// to and with the last one, in columns change (insert, delete) and snapshot:
// an upsert shows what it deleted and what it inserted. An ALTER and a return
// to an earlier state show only rows that differ, maintenance shows none.
//
// With table "" it tells of every table but system tables that the principal
// may read; a column table says which, columns unite by name, and types that
// do not meet without loss are text.
//
// Rows are read by the columns of the last snapshot. It reads what changed and
// not the whole tables, in bounded memory. Errors: NotFound for the table or a
// snapshot, InvalidArgument when from is after the last one.
func (s *Session) Changes(ctx context.Context, table string, from int64, o *ChangesOptions) (*Rows, error) {
	f := &feed{s: s, table: table, from: from, looks: looks{s: s, seen: map[string][]string{}}}
	err := s.withView(ctx, func(v *catalog.View, g rbac.Grant) error {
		f.to = v.Head.ID
		if o != nil && o.To != nil {
			f.to = *o.To
		}
		return f.plan(ctx, v, g)
	})
	if err != nil {
		return nil, err
	}
	if err := f.outColumns(ctx); err != nil {
		return nil, err
	}
	first, err := s.Query(ctx, emptySQL(f.out, table == ""), nil)
	if err != nil {
		return nil, err
	}
	return &Rows{&chain{ctx: ctx, feed: f, now: first, schema: first.Schema()}}, nil
}

// feed is the plan of Changes: a step for each snapshot and table.
type feed struct {
	s        *Session
	looks    looks
	table    string
	from, to int64
	steps    []step
	out      []outColumn
	perTable map[int64][]outColumn // its part of out, with field ids
}

// step is what one snapshot changed in one table.
type step struct {
	pair
	snapshot int64
	table    int64
	plain    bool
}

// plan finds the steps. Columns are read once per schema of a table.
func (f *feed) plan(ctx context.Context, v *catalog.View, g rbac.Grant) error {
	for _, at := range []int64{f.from, f.to} {
		if _, err := v.Snapshot(ctx, at); err != nil {
			return err
		}
	}
	if f.from > f.to {
		return errs.New(errs.InvalidArgument, "changes go from a snapshot to a later one, not from %d to %d", f.from, f.to)
	}
	touches, err := v.Touches(ctx, f.from, f.to)
	if err != nil {
		return err
	}
	known, err := f.known(ctx, v, g)
	if err != nil {
		return err
	}
	names, err := v.LastTableNames(ctx)
	if err != nil {
		return err
	}
	schemas := newSchemas(v)
	for _, t := range touches {
		p := pair{sameTable: true}
		if p.before, err = schemas.side(ctx, t.Table, t.Before); err != nil {
			return err
		}
		if p.after, err = schemas.side(ctx, t.Table, t.Snapshot); err != nil {
			return err
		}
		last := p.after
		if last == nil {
			last = p.before
		}
		if last == nil || !p.readable(g, names[t.Table]) || systemTable(last.table) && f.table == "" {
			continue
		}
		p.whole = whole(g, last.table) && (names[t.Table] == "" || whole(g, names[t.Table]))
		known = known || strings.EqualFold(last.table, f.table)
		f.steps = append(f.steps, step{pair: p, snapshot: t.Snapshot, table: t.Table, plain: t.Plain})
	}
	if !known {
		return errs.New(errs.NotFound, "Table not found: %s/%s/%s", f.s.st.org, f.s.st.name, f.table)
	}
	f.keepTable()
	return nil
}

// known reports whether the table is there at either end.
func (f *feed) known(ctx context.Context, v *catalog.View, g rbac.Grant) (bool, error) {
	if f.table == "" {
		return true, nil
	}
	for _, at := range []int64{f.from, f.to} {
		t, err := v.Table(ctx, f.table, at)
		if err == nil && visible(g, t.Name) {
			return true, nil
		}
		if err != nil && errs.KindOf(err) != errs.NotFound {
			return false, err
		}
	}
	return false, nil
}

// keepTable leaves the steps of those tables that were called so last.
func (f *feed) keepTable() {
	if f.table == "" {
		return
	}
	last := map[int64]string{}
	for _, x := range f.steps {
		if x.after != nil {
			last[x.table] = x.after.table
		} else {
			last[x.table] = x.before.table
		}
	}
	f.steps = slices.DeleteFunc(f.steps, func(x step) bool { return !strings.EqualFold(last[x.table], f.table) })
}

// outColumns finds the columns of the result: per table those of its last
// step, of all tables their union.
func (f *feed) outColumns(ctx context.Context) error {
	f.perTable = map[int64][]outColumn{}
	var order []int64
	if err := f.lookAtAll(ctx); err != nil {
		return err
	}
	for _, x := range slices.Backward(f.steps) {
		if f.perTable[x.table] == nil {
			order = append(order, x.table)
			f.perTable[x.table] = x.outColumns()
		}
		f.perTable[x.table] = x.widen(f.perTable[x.table])
	}
	for _, id := range order {
		if f.out == nil {
			f.out = slices.Clone(f.perTable[id])
		} else {
			f.out = unite(f.out, f.perTable[id])
		}
	}
	if f.out != nil || f.table == "" {
		return nil
	}
	return f.columnsNow(ctx)
}

// lookAtAll leaves out of all steps what the principal does not see; of all
// tables, those of which he sees no column.
func (f *feed) lookAtAll(ctx context.Context) error {
	kept := f.steps[:0]
	for _, x := range f.steps {
		err := f.looks.look(ctx, x.before)
		if err == nil {
			err = f.looks.look(ctx, x.after)
		}
		if errs.KindOf(err) == errs.NotFound && f.table == "" {
			continue
		}
		if err != nil {
			return err
		}
		kept = append(kept, x)
	}
	f.steps = kept
	return nil
}

// columnsNow gives the columns of a table without a change.
func (f *feed) columnsNow(ctx context.Context) error {
	var p pair
	err := f.s.withView(ctx, func(v *catalog.View, g rbac.Grant) (err error) {
		p, err = f.s.states(ctx, v, g, f.table, f.from, f.to)
		return err
	})
	if err != nil {
		return err
	}
	for _, x := range []*side{p.before, p.after} {
		if err := f.looks.look(ctx, x); err != nil {
			return err
		}
	}
	f.out = p.outColumns()
	return nil
}

// readable reports whether a query may read both sides: under the names that
// the table had, and the one that it has now, if any.
func (p pair) readable(g rbac.Grant, now string) bool {
	names := []string{now}
	for _, s := range []*side{p.before, p.after} {
		if s != nil {
			names = append(names, s.table)
		}
	}
	return !slices.ContainsFunc(names, func(n string) bool { return n != "" && !g.Permits(rbac.ReadPermission(n), n) })
}

// whole reports whether the grant shows the table as it is, by one rule alone.
func whole(g rbac.Grant, table string) bool {
	return slices.ContainsFunc(g.Rules(rbac.ReadPermission(table), table), func(r rbac.Rule) bool { return r.Whole() })
}

func systemTable(name string) bool {
	return len(name) > 4 && strings.HasPrefix(name, "__") && strings.HasSuffix(name, "__")
}

// chain runs the steps of a feed one after the other.
type chain struct {
	ctx    context.Context //nolint:containedctx // lives as long as the result
	feed   *feed
	next   int
	now    *Rows // nil when there is none
	schema *arrow.Schema
	total  query.Report
	err    error
}

func (c *chain) Schema() *arrow.Schema    { return c.schema }
func (c *chain) Batch() arrow.RecordBatch { return c.now.Batch() }
func (c *chain) Err() error               { return c.err }

// Next reads the next batch of the step, else begins the next step.
func (c *chain) Next() bool {
	for c.err == nil && c.now != nil {
		if c.now.Next() {
			return true
		}
		if c.err = c.now.Err(); c.err != nil {
			return false
		}
		if c.err = c.Close(); c.err != nil || c.next == len(c.feed.steps) {
			return false
		}
		c.now, c.err = c.feed.query(c.ctx, c.feed.steps[c.next])
		c.next++
	}
	return false
}

// query runs one step.
func (f *feed) query(ctx context.Context, x step) (*Rows, error) {
	name := ""
	if f.table == "" {
		name = x.before.nameOr(x.after)
	}
	sql := x.changesSQL(inTable(f.out, f.perTable[x.table]), x.snapshot, name, x.plain)
	return f.s.Query(ctx, sql, &QueryOptions{differ: true})
}

// nameOr is the table's name after a step, or before it where it went.
func (s *side) nameOr(after *side) string {
	if after != nil {
		return after.table
	}
	return s.table
}

// Close ends the step that runs. It may be called more than once.
func (c *chain) Close() error {
	if c.now == nil {
		return nil
	}
	err := c.now.Close()
	c.add(c.now.r.Report())
	c.now = nil
	return err
}

// add sums what the steps read.
func (c *chain) add(r query.Report) {
	c.total.FilesTotal += r.FilesTotal
	c.total.FilesRead += r.FilesRead
	c.total.BytesTotal += r.BytesTotal
	c.total.BytesRead += r.BytesRead
	c.total.Rows += r.Rows
	c.total.At, c.total.Engine = r.At, r.Engine
	c.total.Timings, c.total.PlanStats = append(c.total.Timings, r.Timings...), r.PlanStats
}

func (c *chain) Report() query.Report { return c.total }
