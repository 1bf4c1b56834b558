package ingest

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/engine"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/rbac"
	"github.com/supertable-go/supertable/scan"
)

// cast changes a column's type by writing the table's live rows again, every
// value checked. The column gets a new id: older snapshots keep the old one.
// The rows are written outside the commit lock; when the table moved
// meanwhile, again. A small table is written inside the lock at last, so that
// it ends; a large one would keep every other writer waiting for minutes, so it
// is tried some times more and then given up.
func (w *Writer) cast(ctx context.Context, g rbac.Grant, table string, a Alteration) (string, int64, error) {
	j := &job{w: w, g: g, name: table}
	defer j.close()
	to, err := storableType(a.Retype, a.NewType)
	if err != nil {
		return "", 0, err
	}
	eng, err := w.Engine(ctx)
	if err != nil {
		return "", 0, err
	}
	if j.conn, err = eng.Conn(ctx); err != nil {
		return "", 0, err
	}
	if j.lease, err = w.Catalog.Lease(ctx); err != nil {
		return "", 0, err
	}
	c := &casting{job: j, column: a.Retype, to: to}
	j.reading = w.Catalog.Reading()
	for attempt := 0; ; attempt++ {
		err := w.Catalog.Read(ctx, func(v *catalog.View) error {
			if attempt == 0 {
				j.reading.At(v.Head.ID)
			}
			return c.rewrite(ctx, v)
		})
		if err != nil {
			return "", 0, err
		}
		done, err := w.Catalog.Commit(ctx, func(ctx context.Context, v *catalog.View) (*catalog.Change, error) {
			return c.decide(ctx, v, attempt)
		})
		if errors.Is(err, errAgain) {
			continue
		}
		j.committed = err == nil
		return c.table.Name, done.Snapshot, err
	}
}

// casting is one change of a column's type with its rewritten rows.
type casting struct {
	*job
	column string
	to     datafile.Type

	table   catalog.Table
	version int64 // of the table that was rewritten
	columns []datafile.Column
	old     []int64 // the files that were read
	bytes   int64   // their size
}

// mostCasts is how often a large table is written again before it is given up.
const mostCasts = 10

func (c *casting) decide(ctx context.Context, v *catalog.View, attempt int) (*catalog.Change, error) {
	if err := c.w.permit(ctx, v, c.g, rbac.Create, c.name); err != nil {
		return nil, err
	}
	t, err := v.Table(ctx, c.name, v.Head.ID)
	if err != nil {
		return nil, err
	}
	version, err := v.Version(ctx, t.ID)
	if err != nil {
		return nil, err
	}
	if t.ID != c.table.ID || version != c.version {
		switch {
		case attempt >= mostCasts:
			return nil, errs.New(errs.Unavailable, "table %q was written to each of the %d times that its rows were converted: try again when it is quieter", t.Name, attempt+1)
		case attempt < maxAgain || c.bytes > smallBytes:
			return nil, errAgain
		}
		if err := c.rewrite(ctx, v); err != nil {
			return nil, err
		}
	}
	ch := &catalog.Change{Table: c.table, Columns: c.columns, Add: c.out.newFiles(), Remove: c.old, Lease: c.lease}
	if ch.EndRows, err = allInside(ctx, v, t); err != nil {
		return nil, err
	}
	ch.Record = catalog.Record{Operation: "alter", Principal: c.g.Principal().Name()}
	c.named = map[string]bool{}
	for _, f := range ch.Add {
		c.named[f.Rel] = true
	}
	return ch, nil
}

// rewrite writes the live rows at the view's head with the column converted.
func (c *casting) rewrite(ctx context.Context, v *catalog.View) error {
	var err error
	if c.table, err = v.Table(ctx, c.name, v.Head.ID); err != nil {
		return err
	}
	if c.version, err = v.Version(ctx, c.table.ID); err != nil {
		return err
	}
	cols, err := v.Columns(ctx, c.table.ID, v.Head.ID)
	if err != nil {
		return err
	}
	i := datafile.FindColumn(cols, c.column)
	if i < 0 {
		return errs.New(errs.InvalidArgument, "Missing column(s): %s", c.column)
	}
	if cols[i].Type.Nested() || c.to.Nested() {
		return errs.New(errs.Unsupported, "nested columns cannot be cast")
	}
	next, err := v.NextColumnID(ctx, c.table.ID)
	if err != nil {
		return err
	}
	c.columns = append([]datafile.Column{}, cols...)
	c.columns[i] = datafile.Column{Name: cols[i].Name, Type: c.to, Nullable: true}
	datafile.AssignIDs(c.columns, next)
	return c.write(ctx, v, cols, i)
}

func (c *casting) write(ctx context.Context, v *catalog.View, cols []datafile.Column, at int) error {
	live, err := scan.Plan(ctx, v, c.table, v.Head.ID, cols, nil, v.Files, func(*catalog.File) bool { return true })
	if err != nil {
		return err
	}
	if err := live.Check(); err != nil {
		return err
	}
	c.old, c.bytes = nil, live.Counts.BytesTotal
	for _, f := range live.Files() {
		c.old = append(c.old, f.ID)
	}
	var releases []func()
	defer func() {
		for _, r := range releases {
			r()
		}
	}()
	from, err := live.SQL(func(dead [][]uint64) (uint64, error) {
		token, release, err := c.conn.Live(dead)
		if err == nil {
			releases = append(releases, release)
		}
		return token, err
	})
	if err != nil {
		return err
	}
	p := &plan{columns: c.columns}
	sel := make([]string, len(cols))
	for k, col := range c.columns {
		p.file = append(p.file, planned{in: inColumn{cols[k].Name, cols[k].Type}, column: col, was: cols[k].Type, known: true})
		sel[k] = datafile.Quote(col.Name)
		if k == at {
			sel[k] = castExact(datafile.Quote(col.Name), cols[k].Type, c.to) + " AS " + datafile.Quote(col.Name)
		}
	}
	c.base, c.plan = &state{exists: true, table: c.table}, p
	out, err := c.writeFiles(ctx, p, "SELECT "+strings.Join(sel, ", ")+" FROM ("+from+")")
	if err != nil {
		return c.castError(ctx, err, cols[at], live)
	}
	c.out = out
	return c.publish(c.tableDir(c.base))
}

func (c *casting) castError(ctx context.Context, err error, col datafile.Column, live *scan.Scan) error {
	if cerr := errs.FromContext(ctx, "alter"); cerr != nil {
		return cerr
	}
	if terr := c.tmpError(err); terr != nil {
		return terr
	}
	if ee, ok := errors.AsType[*engine.Error](err); ok {
		if _, value, ok := strings.Cut(ee.Message, datafile.ConvertMark+"cast:"); ok {
			value, _, _ = strings.Cut(value, "\n")
			return errs.New(errs.TypeConflict, "column %q: the value %s of type %s does not convert to %s exactly", col.Name, cut(value), sqlName(col.Type), sqlName(c.to))
		}
	}
	if derr := c.w.Catalog.Damaged(ctx, live.Files()); derr != nil {
		return derr
	}
	return errs.Wrap(errs.TypeConflict, err, "column %q does not convert from %s to %s", col.Name, sqlName(col.Type), sqlName(c.to))
}

// castExact converts a value, or raises an error that carries it when the
// result is not the same value.
func castExact(expr string, from, to datafile.Type) string {
	if t, ok := datafile.Unify(to, from); ok && t.Same(to) { // as a batch is
		return datafile.Convert(expr, from, to, true, "cast")
	}
	check := fmt.Sprintf("TRY_CAST(TRY_CAST(%s AS %s) AS %s) = %s", expr, to.SQL(), from.SQL(), expr)
	switch {
	case to.Name == "varchar":
		check = "true"
	case from.Name == "varchar":
		check = exactText(expr, to)
	}
	return fmt.Sprintf("CASE WHEN %s IS NULL THEN NULL WHEN %s THEN CAST(%s AS %s) ELSE error(%s || left(CAST(%s AS VARCHAR), 80)) END",
		expr, check, expr, to.SQL(), datafile.QuoteText(datafile.ConvertMark+"cast:"), expr)
}
