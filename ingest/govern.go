package ingest

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/engine"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/rbac"
	"github.com/supertable-go/supertable/scan"
)

// again gives the rights that the grant's principal has in the view: they may
// have changed since the grant was made, and those at the commit count.
func (w *Writer) again(ctx context.Context, v *catalog.View, g rbac.Grant) (rbac.Grant, error) {
	p, err := w.Policy(ctx, v)
	if err != nil {
		return rbac.Grant{}, err
	}
	return p.Grant(g.Principal())
}

// permit refuses a change of a table that the principal may no longer make.
func (w *Writer) permit(ctx context.Context, v *catalog.View, g rbac.Grant, p rbac.Permission, table string) error {
	if err := w.writable(ctx, v); err != nil {
		return err
	}
	g, err := w.again(ctx, v, g)
	if err == nil && !g.Permits(p, table) {
		err = errs.New(errs.Denied, "You don't have permission for this (%s).", p)
	}
	return err
}

func deniedWrite() error {
	return errs.New(errs.Denied, "You don't have permission to write to this table.")
}

// rights are what the principal's rules leave of a write: which rows it may
// add, replace and delete. Nil: all of them.
type rights struct {
	rows   rbac.Rows
	whole  bool // every column may be set
	column func(name string) bool
}

// renew looks at the principal's rights again; changed tells whether they are
// others than those that the work so far was held against.
func (j *job) renew(ctx context.Context, v *catalog.View) (changed bool, err error) {
	g, err := j.w.again(ctx, v, j.g)
	if err != nil {
		return false, err
	}
	if !g.Permits(rbac.Write, j.name) {
		return false, deniedWrite()
	}
	changed = g.Policy() != j.g.Policy() && !reflect.DeepEqual(g.Rules(rbac.Write, j.name), j.g.Rules(rbac.Write, j.name))
	j.g = g
	if changed {
		j.rights = nil
	}
	return changed, nil
}

// govern holds the input's columns against the principal's rules: a role helps
// when it has every column, and keys must be readable as they are, or a write
// would tell which values there are.
func (j *job) govern() error {
	rules := j.g.Rules(rbac.Write, j.name)
	r := &rights{rows: rbac.Rows{All: true}, whole: true}
	for _, rule := range rules {
		if rule.Whole() {
			j.rights = r
			return nil
		}
	}
	names := j.inputNames()
	visible := rbac.Visible(rules, rbac.Names(names...))
	if len(visible) < len(names) {
		return errs.New(errs.Denied, "You don't have permission to write the column(s): %s", strings.Join(missingNames(names, visible), ", "))
	}
	access, err := rbac.Decide(rules, j.name, rbac.Names(names...), rbac.Use{Star: true})
	if err != nil {
		return errs.New(errs.Denied, "no single role of yours may write all these columns together: %s", strings.Join(names, ", "))
	}
	for _, k := range append([]string{j.o.NewerThan}, j.o.Key...) {
		if k != "" && !access.Clear(k) {
			return errs.New(errs.Denied, "the column %q is masked for you and cannot be a key", k)
		}
	}
	r.rows = access.Rows
	r.column, r.whole = columnTest(rules, access.Roles)
	j.rights = r
	return nil
}

// sees reports whether the principal sees every value of a column as it is.
func sees(g rbac.Grant, table, column string) bool {
	a, err := rbac.Decide(g.Rules(rbac.Write, table), table, rbac.Names(column), rbac.Use{Star: true})
	return err == nil && a.Open() && len(a.Columns) > 0
}

// columnTest tells which columns some of the roles may set, and whether that
// is all.
func columnTest(rules []rbac.Rule, roles []string) (test func(string) bool, whole bool) {
	var help []rbac.Rule
	for _, rule := range rules {
		for _, h := range roles {
			if rule.Role == h {
				help = append(help, rule)
				whole = whole || rule.Columns == nil
			}
		}
	}
	return func(name string) bool { return len(rbac.Visible(help, rbac.Names(name))) > 0 }, whole
}

// inputNames are the columns that the write looks at.
func (j *job) inputNames() []string {
	var out []string
	for _, c := range j.cols {
		if !j.o.DeleteOnly || contains(j.o.Key, c.Name) {
			out = append(out, c.Name)
		}
	}
	return out
}

func missingNames(names []string, have []rbac.Column) []string {
	known := map[string]bool{}
	for _, c := range have {
		known[c.Name] = true
	}
	var out []string
	for _, n := range names {
		if !known[n] {
			out = append(out, n)
		}
	}
	return out
}

// checkInputRows refuses an input with rows that the principal's filters would
// not show him.
func (j *job) checkInputRows(ctx context.Context) error {
	if j.rights.rows.All || j.o.DeleteOnly || j.raw == j.checked {
		return nil
	}
	cond, err := scan.Policy{Grant: j.g, Columns: j.plan.columns}.Rows(j.rights.rows)
	if err != nil {
		return err
	}
	sel := make([]string, len(j.plan.columns))
	for i, c := range j.plan.columns {
		sel[i] = defaultValue(c.InitialDefault, c.Type) + " AS " + datafile.Quote(c.Name)
		for _, f := range j.plan.file {
			if f.column.ID == c.ID {
				sel[i] = datafile.Quote(c.Name)
			}
		}
	}
	n, err := j.count(ctx, fmt.Sprintf("SELECT %s FROM (%s)", strings.Join(sel, ", "), j.raw.relation(j.plan)), cond)
	if err != nil {
		return j.matchError(ctx, err)
	}
	if n > 0 {
		return errs.New(errs.Denied, "%d of %d rows do not fulfil your row filter; nothing was written", n, j.raw.rows)
	}
	j.checked = j.raw
	return nil
}

// count counts the rows that do not fulfil a condition.
func (j *job) count(ctx context.Context, rows, cond string) (int64, error) {
	out, err := engine.Collect(ctx, j.conn, "SELECT count(*) FROM ("+rows+") WHERE ("+cond+") IS NOT TRUE", nil)
	if err != nil {
		return 0, err
	}
	return toInt(out[0][0]), nil
}

// checkReplaced refuses to replace or delete rows that the principal does not
// see, and to replace rows with columns that he may not set: they would be lost.
func (j *job) checkReplaced(ctx context.Context, v *catalog.View, st *state) error {
	if !j.rights.rows.All {
		rows := map[int64]datafile.Bitmap{}
		for id, x := range j.deletes.dying {
			rows[id] = x.rows
		}
		if err := j.refuseHidden(ctx, v, st, j.match, rows); err != nil {
			return err
		}
	}
	total := j.deletes.total + j.match.endingRows()
	if j.rights.whole || j.o.DeleteOnly || total == 0 {
		return nil
	}
	for _, c := range st.columns {
		if !j.rights.column(c.Name) {
			return errs.New(errs.Denied, "%d rows to replace have columns that you may not set; nothing was written", total)
		}
	}
	return nil
}

// checkStale refuses to compare the input with rows that the principal does
// not see: what is dropped as stale would tell of them.
func (j *job) checkStale(ctx context.Context, v *catalog.View, st *state) error {
	if j.rights.rows.All || !st.exists {
		return nil
	}
	j.out = j.raw
	m := newMatcher(j, j.out)
	if err := m.run(ctx, st); err != nil {
		return err
	}
	if err := m.runInside(ctx, v, st); err != nil {
		return err
	}
	rows := map[int64]datafile.Bitmap{}
	for i := range st.files {
		f := &st.files[i]
		if found := m.found[f.ID]; found != nil {
			dead, err := v.Dead(ctx, st.table, f, st.head)
			if err != nil {
				return err
			}
			rows[f.ID] = found.Without(dead)
		}
	}
	return j.refuseHidden(ctx, v, st, m, rows)
}

func (j *job) refuseHidden(ctx context.Context, v *catalog.View, st *state, m *matcher, rows map[int64]datafile.Bitmap) error {
	s, err := scan.PlanRows(ctx, v, st.table, st.head, st.columns, st.files, rows)
	if err != nil {
		return err
	}
	if err := m.addHidden(ctx, v, st, s); err != nil {
		return err
	}
	hidden, err := j.hidden(ctx, s, st.columns)
	if err != nil {
		return err
	}
	if hidden > 0 {
		return errs.New(errs.Denied, "%d rows with these keys are outside your row filter; nothing was written", hidden)
	}
	return nil
}

// hidden counts the rows of a scan that the principal does not see.
func (j *job) hidden(ctx context.Context, s *scan.Scan, columns []datafile.Column) (int64, error) {
	cond, err := scan.Policy{Grant: j.g, Columns: columns}.Rows(j.rights.rows)
	if err != nil {
		return 0, err
	}
	var frees []func()
	defer func() {
		for _, f := range frees {
			f()
		}
	}()
	sql, err := s.SQL(func(dead [][]uint64) (uint64, error) {
		token, release, err := j.conn.Live(dead)
		if err == nil {
			frees = append(frees, release)
		}
		return token, err
	})
	if err != nil {
		return 0, err
	}
	if err := s.Check(); err != nil {
		return 0, err
	}
	n, err := j.count(ctx, sql, cond)
	return n, j.matchError(ctx, err)
}

// governAll refuses to delete every row for a principal who does not see all.
func (w *Writer) governAll(ctx context.Context, v *catalog.View, g rbac.Grant, t catalog.Table, o Options) error {
	g, err := w.again(ctx, v, g)
	if err != nil {
		return err
	}
	if !g.Permits(rbac.Write, t.Name) {
		return deniedWrite()
	}
	if g.AllRows(rbac.Write, t.Name) {
		return nil
	}
	j := &job{w: w, g: g, name: t.Name, o: o}
	if err := j.govern(); err != nil {
		return err
	}
	eng, err := w.Engine(ctx)
	if err != nil {
		return err
	}
	if j.conn, err = eng.Conn(ctx); err != nil {
		return err
	}
	defer func() { _ = j.conn.Close() }()
	cols, err := v.Columns(ctx, t.ID, v.Head.ID)
	if err != nil {
		return err
	}
	s, err := scan.Plan(ctx, v, t, v.Head.ID, cols, nil, v.Files, func(*catalog.File) bool { return true })
	if err != nil {
		return err
	}
	hidden, err := j.hidden(ctx, s, cols)
	if err == nil && hidden > 0 {
		err = errs.New(errs.Denied, "%d rows are outside your row filter; nothing was deleted", hidden)
	}
	return err
}
