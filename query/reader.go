// Package query is the read path: parse, govern, plan, prune, run, stream.
//
// A user's text never reaches the engine as it was written. It is parsed and
// checked (query/statement), each table reference is replaced by a view made
// for this query alone, and the view shows what the principal may see of the
// table at one snapshot (I5, D6, D7).
package query

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/engine"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/query/statement"
	"github.com/supertable-go/supertable/rbac"
	"github.com/supertable-go/supertable/scan"
)

// Super is one SuperTable as a query may use it.
type Super struct {
	Organization, Name string
	Catalog            *catalog.Catalog
	// Authorize gives the principal's rights under the policy that holds in
	// the view. They hold for older snapshots too.
	Authorize func(ctx context.Context, v *catalog.View) (rbac.Grant, error)
	Audit     AuditLog // nil when there is none

	grant rbac.Grant // for the query that runs
}

// Env is what the read path needs of the lake around it.
type Env interface {
	// Super finds another SuperTable of the same organization, under the
	// grant of the same principal there; one that he has no place in is NotFound.
	Super(ctx context.Context, name string) (*Super, error)
	// Engine gives a locked engine that can read the data of these SuperTables
	// and nothing else.
	Engine(ctx context.Context, supers []*Super) (engine.Engine, error)
}

// Options of Run.
type Options struct {
	AtVersion    *int64
	AtTime       *time.Time
	Params       map[string]any
	DefaultLimit int64
	// Differ is for statements of ours that compare two states of a table: see
	// scan.Differ.
	Differ bool
	// NoRows is for statements of ours that want the columns of a result: it has
	// no rows of files, and none is looked for.
	NoRows bool
	Now    func() time.Time
	Logger *slog.Logger
	// Done, when set, is told once how the query ended: when its rows were
	// read to the end or closed, or when it failed before it had any.
	Done func(Outcome)
}

// run is one query on its way.
type run struct {
	env    Env
	own    *Super
	o      Options
	conn   engine.Conn
	text   string
	stmt   *statement.Statement
	values statement.Values
	bound  statement.Binding
	supers map[string]*Super // by lower-case name
	order  []*Super
	refs   []*reference
	report report
	frees  []func()
	// readings keep the files that the query reads from being removed, until
	// it ends (decision 28).
	readings map[*Super]*catalog.Reading
}

// reference is one table reference of the text with what it became.
type reference struct {
	t       *statement.TableRef
	super   *Super
	at      catalog.Snapshot
	members []*member // one, or those of the whole SuperTable
	union   bool
	columns []datafile.Column // what the principal may use of it
	fixed   string            // SQL of a metadata view
	audit   *int64            // up to which record the audit is read
	view    string
}

// Run runs one statement for the principal of own's grant and streams its
// rows. The caller closes the rows.
func Run(ctx context.Context, env Env, own *Super, text string, o Options) (*Rows, error) {
	q := &run{env: env, own: own, o: o, supers: map[string]*Super{strings.ToLower(own.Name): own}, order: []*Super{own}, readings: map[*Super]*catalog.Reading{}}
	q.report.start(o.Now)
	rows, err := q.run(ctx, text)
	if err != nil {
		q.free()
		if cerr := errs.FromContext(ctx, "query"); cerr != nil {
			err = cerr
		}
		q.ended(text, 0, err)
		return nil, err
	}
	return rows, nil
}

func (q *run) run(ctx context.Context, text string) (*Rows, error) {
	if err := q.parse(ctx, text); err != nil {
		return nil, err
	}
	switch q.stmt.Kind {
	case statement.ShowTables:
		return q.showTables(ctx)
	case statement.ShowStats:
		return q.showStats(ctx)
	}
	if err := q.resolve(ctx); err != nil {
		return nil, err
	}
	if q.stmt.Kind == statement.Describe {
		return q.describe(ctx)
	}
	if err := q.connect(ctx); err != nil {
		return nil, err
	}
	sql, err := q.splice(ctx)
	if err != nil {
		return nil, err
	}
	if q.stmt.Kind == statement.Explain || q.stmt.Kind == statement.ExplainAnalyze {
		return q.explain(ctx, sql)
	}
	return q.execute(ctx, sql)
}

// parse reads the text with the engine's own parser.
func (q *run) parse(ctx context.Context, text string) error {
	if err := q.open(ctx, q.order); err != nil {
		return err
	}
	var err error
	if q.o.Params, err = statement.Folded(q.o.Params); err != nil {
		return err
	}
	q.text = text
	q.stmt, err = statement.Parse(ctx, statement.ParserOn(q.conn), q.own.Name, text)
	q.report.done("PARSING")
	return err
}

func (q *run) open(ctx context.Context, supers []*Super) error {
	eng, err := q.env.Engine(ctx, supers)
	if err != nil {
		return err
	}
	q.report.engine = eng.Name()
	if q.conn, err = eng.Conn(ctx); err != nil {
		return err
	}
	conn := q.conn
	q.frees = append(q.frees, func() { _ = conn.Close() })
	return nil
}

// connect moves to an engine that can read every SuperTable of the text.
func (q *run) connect(ctx context.Context) error {
	if len(q.order) > 1 {
		if err := q.open(ctx, q.order); err != nil {
			return err
		}
	}
	q.report.done("CONNECTING")
	return nil
}

// resolve finds the tables of the text, each SuperTable at one snapshot, and
// plans how they are read. The catalog is not touched after it.
func (q *run) resolve(ctx context.Context) error {
	for _, t := range q.stmt.Tables {
		s, err := q.super(ctx, t)
		if err != nil {
			return err
		}
		q.refs = append(q.refs, &reference{t: t, super: s})
	}
	if q.o.AtVersion != nil && len(q.order) > 1 {
		return errs.New(errs.InvalidArgument, "a version is one SuperTable's own: use a time (--at-time) to read several SuperTables as they were")
	}
	if err := q.reckon(ctx); err != nil {
		return err
	}
	return q.inViews(ctx, q.order, map[*Super]*catalog.View{})
}

// super finds the SuperTable of a reference and takes it into the query.
func (q *run) super(ctx context.Context, t *statement.TableRef) (*Super, error) {
	if t.Super == "" || t.InformationSchema {
		return q.own, nil
	}
	key := strings.ToLower(t.Super)
	if s, ok := q.supers[key]; ok {
		return s, nil
	}
	s, err := q.env.Super(ctx, t.Super)
	if err != nil {
		return nil, err
	}
	q.supers[key] = s
	q.order = append(q.order, s)
	return s, nil
}

// inViews opens a view of each SuperTable, one inside the other, then plans.
func (q *run) inViews(ctx context.Context, left []*Super, views map[*Super]*catalog.View) error {
	if len(left) == 0 {
		return q.plan(ctx, views)
	}
	reading := left[0].Catalog.Reading() // before the view: see there
	q.frees = append(q.frees, reading.End)
	q.readings[left[0]] = reading
	return left[0].Catalog.Read(ctx, func(v *catalog.View) error {
		dropped, err := v.Dropped(ctx)
		if err == nil && dropped {
			err = errs.New(errs.NotFound, "SuperTable not found: %s/%s", left[0].Organization, left[0].Name)
		}
		if err != nil {
			return err
		}
		if left[0].grant, err = left[0].Authorize(ctx, v); err != nil {
			return err
		}
		views[left[0]] = v
		return q.inViews(ctx, left[1:], views)
	})
}

// plan looks up tables and columns, binds the text to them, and plans each scan.
func (q *run) plan(ctx context.Context, views map[*Super]*catalog.View) error {
	for _, r := range q.refs {
		if err := q.lookUp(ctx, views[r.super], r); err != nil {
			return err
		}
	}
	q.announce()
	for _, s := range q.order {
		at, err := q.snapshot(ctx, views[s], nil)
		if err != nil {
			return err
		}
		q.report.snapshot(s, at.ID, s == q.own)
	}
	q.report.done("META")
	if q.stmt.Kind == statement.Describe {
		return nil
	}
	if err := q.bind(); err != nil {
		return err
	}
	if err := q.decide(); err != nil {
		return err
	}
	between, err := q.between(ctx, views)
	if err != nil {
		return err
	}
	for i, r := range q.refs {
		if err := q.planScan(ctx, views[r.super], r, between, q.bound.Uses[i]); err != nil {
			return err
		}
	}
	if between != nil {
		scan.Differ(q.refs[0].members[0].scan, q.refs[1].members[0].scan)
	}
	q.report.done("FILTERING")
	return nil
}

// announce tells the oldest snapshot that is read of each SuperTable. One that
// no reference reads is done with.
func (q *run) announce() {
	oldest := map[*Super]int64{}
	for _, r := range q.refs {
		if at, ok := oldest[r.super]; !ok || r.at.ID < at {
			oldest[r.super] = r.at.ID
		}
	}
	for s, reading := range q.readings {
		if at, ok := oldest[s]; ok {
			reading.At(at)
		} else {
			reading.End()
		}
	}
}

// snapshot is what a reference reads: its own AT clause, else what the call
// asks for, else the head.
func (q *run) snapshot(ctx context.Context, v *catalog.View, at *statement.At) (catalog.Snapshot, error) {
	switch {
	case at != nil && at.Time != "":
		t, err := parseTime(at.Time)
		if err != nil {
			return catalog.Snapshot{}, err
		}
		return v.SnapshotAt(ctx, t)
	case at != nil:
		return v.Snapshot(ctx, at.Version)
	case q.o.AtVersion != nil:
		return v.Snapshot(ctx, *q.o.AtVersion)
	case q.o.AtTime != nil:
		return v.SnapshotAt(ctx, *q.o.AtTime)
	}
	return v.Head, nil
}

// parseTime reads the text of an AT clause; without a zone it is UTC.
func parseTime(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999-07", "2006-01-02T15:04:05.999999999-07", "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.Parse(layout, strings.TrimSpace(s)); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, errs.New(errs.InvalidArgument, "%q is not a time: write it like 2026-01-31T10:00:00Z", s)
}

// lookUp finds the tables of a reference and what the principal sees of them.
func (q *run) lookUp(ctx context.Context, v *catalog.View, r *reference) error {
	if r.isAudit() {
		return q.lookUpAudit(ctx, v, r)
	}
	var err error
	if r.at, err = q.snapshot(ctx, v, r.t.At); err != nil {
		return err
	}
	switch {
	case r.t.InformationSchema:
		return q.metadataView(ctx, v, r)
	case strings.EqualFold(r.t.Name, r.super.Name):
		return q.lookUpUnion(ctx, v, r)
	}
	m, err := q.find(ctx, v, r)
	if err != nil {
		return err
	}
	r.members, r.columns = []*member{m}, m.columns
	return nil
}

// bind resolves the text's columns against those that the references show.
func (q *run) bind() error {
	var err error
	q.bound, err = q.stmt.Bind(func(i int, _ *statement.TableRef) []statement.Column {
		cols := make([]statement.Column, len(q.refs[i].columns))
		for k, c := range q.refs[i].columns {
			cols[k] = statement.Column{Name: c.Name, Type: c.Type.SQL()}
		}
		return cols
	}, q.values)
	return err
}

// planScan plans how a reference is read, without the files that its predicate
// or the principal's row filter rules out. Between, when set, are the only
// files that matter.
func (q *run) planScan(ctx context.Context, v *catalog.View, r *reference, between *catalog.Between, use statement.Use) error {
	for _, m := range r.members {
		p := newPredicates(m, use.Filter)
		var total *catalog.Totals
		leaves, extremes := p.leaves(), r.extremes(use)
		for _, c := range extremes {
			leaves = append(leaves, c.ID)
		}
		files := func(ctx context.Context, t catalog.Table, at int64, leaves []int64) ([]catalog.File, error) {
			if q.o.NoRows {
				return nil, nil
			}
			if between != nil {
				return v.FilesBetween(ctx, t, at, *between, leaves)
			}
			s, err := v.SelectFiles(ctx, t, at, leaves, p.where())
			if total = s.Total; err == nil {
				p.lack, err = q.lackKeys(ctx, r, m, p, s.Files)
			}
			return s.Files, err
		}
		var err error
		keep := func(f *catalog.File) bool { return p.mayHold(f) } // with what the key filters say by then
		if m.scan, err = scan.Plan(ctx, v, m.table, r.at.ID, m.all, leaves, files, keep); err != nil {
			return err
		}
		if len(extremes) > 0 && between == nil {
			if err := m.scan.Extremes(ctx, v, extremes, use.Counted); err != nil {
				return err
			}
		}
		m.scan.Counts.Of(total)
		if m.access.Open() { // else the counts would tell of rows that do not exist for him
			q.report.add(m.scan.Counts)
		}
		if err := m.loadSecrets(ctx, v); err != nil {
			return err
		}
	}
	return nil
}

func (q *run) free() {
	for _, v := range slices.Backward(q.frees) {
		v()
	}
	q.frees = nil
}
