package query

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/query/statement"
)

// splice makes the views and the text that reads them.
func (q *run) splice(ctx context.Context) (string, error) {
	prefix, err := viewPrefix()
	if err != nil {
		return "", err
	}
	for i, r := range q.refs {
		r.view = fmt.Sprintf("%s_%d", prefix, i)
		if err := q.makeView(ctx, r, q.bound.Uses[i]); err != nil {
			return "", err
		}
	}
	view := func(i int, _ *statement.TableRef) string { return q.refs[i].view }
	sql, err := q.stmt.Splice(view)
	if err != nil {
		return "", err
	}
	if err := q.stmt.Verify(ctx, statement.ParserOn(q.conn), sql, view); err != nil {
		return "", err
	}
	if q.o.DefaultLimit > 0 && q.stmt.Kind == statement.Select {
		sql = q.stmt.WithLimit(sql, q.o.DefaultLimit)
	}
	if q.stmt.Kind == statement.DescribeQuery {
		sql = "DESCRIBE " + sql
	}
	q.report.done("CREATING_REFLECTION")
	return sql, nil
}

// viewPrefix is a name that no user can guess: nothing in a text can mean one
// of our views.
func viewPrefix() (string, error) {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", errs.Wrap(errs.Internal, err, "no randomness")
	}
	return "v_" + hex.EncodeToString(b[:]), nil
}

func (q *run) makeView(ctx context.Context, r *reference, use statement.Use) error {
	if r.audit != nil {
		return q.loadAudit(ctx, r)
	}
	if !r.counted(use) {
		if err := q.loadInside(ctx, r); err != nil {
			return err
		}
	}
	sql, err := r.sql(func(dead [][]uint64) (uint64, error) {
		token, release, err := q.conn.Live(dead)
		if err == nil {
			q.frees = append(q.frees, release)
		}
		return token, err
	}, q.bound.MayRaise, use)
	if err != nil {
		return err
	}
	if err := r.checkFiles(); err != nil {
		return err
	}
	if distinctFrom.MatchString(q.text) {
		sql = "SELECT * FROM (" + sql + ") OFFSET 0"
	}
	if err := q.conn.Exec(ctx, "CREATE TEMP VIEW "+r.view+" AS "+sql); err != nil {
		return q.wordError(ctx, err)
	}
	return nil
}

// loadInside puts many rows that the catalog itself holds into temporary
// tables: a plan may read them more than once.
func (q *run) loadInside(ctx context.Context, r *reference) error {
	n := 0
	for _, m := range r.members {
		if m.scan == nil {
			continue
		}
		err := m.scan.LoadInlined(func(rows array.RecordReader, columns string) (string, error) {
			name := fmt.Sprintf("%s_in_%d", r.view, n)
			n++
			release, err := q.conn.Stream(name+"_rows", rows)
			if err != nil {
				return "", q.wordError(ctx, err)
			}
			defer release()
			return name, q.wordError(ctx, q.conn.Exec(ctx, "CREATE TEMP TABLE "+name+" AS SELECT "+columns+" FROM "+name+"_rows"))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// distinctFrom finds the operator IS [NOT] DISTINCT FROM. The engine (1.5.5)
// leaves out row groups with nothing but NULL when the operator stands below
// an OR, and so loses rows: such a statement gets its views behind a fence.
var distinctFrom = regexp.MustCompile(`(?is)\bdistinct(?:\s|--[^\n]*\n|/\*.*?\*/)+from\b`)

// checkFiles compares the files that will be read with what the catalog says
// of them (decision 29).
func (r *reference) checkFiles() error {
	for _, m := range r.members {
		if m.scan == nil {
			continue
		}
		if err := m.scan.Check(); err != nil {
			return err
		}
	}
	return nil
}

func (q *run) execute(ctx context.Context, sql string) (*Rows, error) {
	params, err := q.parameters()
	if err != nil {
		return nil, err
	}
	rr, err := q.conn.Query(ctx, sql, params)
	if err != nil {
		return nil, q.wordError(ctx, err)
	}
	return &Rows{ctx: ctx, q: q, rr: rr, schema: q.named(rr.Schema())}, nil
}

// named is the schema of a result as it would be without our views: a column
// without an alias is named by its text.
func (q *run) named(s *arrow.Schema) *arrow.Schema {
	var fields []arrow.Field
	for i, f := range s.Fields() {
		if name := q.unview(f.Name); name != f.Name {
			if fields == nil {
				fields = slices.Clone(s.Fields())
			}
			fields[i].Name = name
		}
	}
	if fields == nil {
		return s
	}
	meta := s.Metadata()
	return arrow.NewSchema(fields, &meta)
}

// described is a batch of DESCRIBE with column names as named has them.
func (q *run) described(rec arrow.RecordBatch) arrow.RecordBatch {
	names, ok := rec.Column(0).(*array.String)
	if !ok {
		rec.Retain()
		return rec
	}
	b := array.NewStringBuilder(memory.DefaultAllocator)
	defer b.Release()
	for i := range names.Len() {
		b.Append(q.unview(names.Value(i)))
	}
	first := b.NewStringArray()
	defer first.Release()
	return array.NewRecordBatch(rec.Schema(), append([]arrow.Array{first}, rec.Columns()[1:]...), rec.NumRows())
}

// parameters gives the values of those parameters that the text has.
func (q *run) parameters() (map[string]any, error) {
	out := map[string]any{}
	for _, name := range q.stmt.Parameters {
		value, given := q.values.Parameter(name)
		if out[name] = value; !given {
			return nil, errs.New(errs.InvalidArgument, "the parameter $%s has no value; give it one with --param %s=…", name, name)
		}
	}
	return out, nil
}

// Rows streams a result.
type Rows struct {
	ctx    context.Context //nolint:containedctx // lives as long as the result
	q      *run
	rr     array.RecordReader
	schema *arrow.Schema
	batch  arrow.RecordBatch // under the schema's names, when they are not the engine's
	err    error
	once   sync.Once
}

// Schema of the result.
func (r *Rows) Schema() *arrow.Schema { return r.schema }

// Next reads the next batch.
func (r *Rows) Next() bool {
	if r.rr == nil || r.err != nil {
		return false
	}
	if r.rr.Next() {
		rec := r.rr.RecordBatch()
		r.q.report.rows += rec.NumRows()
		r.drop()
		switch {
		case r.q.stmt.Kind == statement.DescribeQuery:
			r.batch = r.q.described(rec)
		case r.schema != r.rr.Schema():
			r.batch = array.NewRecordBatch(r.schema, rec.Columns(), rec.NumRows())
		}
		return true
	}
	if err := r.rr.Err(); err != nil {
		r.err = r.q.wordError(r.ctx, err)
		if cerr := errs.FromContext(r.ctx, "query"); cerr != nil {
			r.err = cerr
		}
	}
	r.finish()
	return false
}

// Batch is the current batch, valid until the next Next or Close.
func (r *Rows) Batch() arrow.RecordBatch {
	if r.batch != nil {
		return r.batch
	}
	return r.rr.RecordBatch()
}

func (r *Rows) drop() {
	if r.batch != nil {
		r.batch.Release()
		r.batch = nil
	}
}

// Err is what ended the rows early.
func (r *Rows) Err() error { return r.err }

// Close ends the query and releases what it holds. It may be called twice.
func (r *Rows) Close() error {
	r.finish()
	r.drop()
	if r.rr != nil {
		r.rr.Release()
		r.rr = nil
	}
	r.q.free()
	return nil
}

func (r *Rows) finish() {
	r.once.Do(func() {
		r.q.report.done("EXECUTING_QUERY")
		r.q.ended(r.q.text, len(r.schema.Fields()), r.err)
	})
}

// constants runs a relation of constants: the answer to SHOW and DESCRIBE.
func (q *run) constants(ctx context.Context, sql string) (*Rows, error) {
	rr, err := q.conn.Query(ctx, sql, nil)
	if err != nil {
		return nil, q.wordError(ctx, err)
	}
	return &Rows{ctx: ctx, q: q, rr: rr, schema: rr.Schema()}, nil
}

func (q *run) showTables(ctx context.Context) (*Rows, error) {
	var rows []string
	err := q.own.Catalog.Read(ctx, func(v *catalog.View) error {
		g, err := q.own.Authorize(ctx, v)
		if err != nil {
			return err
		}
		at, err := q.snapshot(ctx, v, nil)
		if err != nil {
			return err
		}
		q.report.snapshot(q.own, at.ID, true)
		tables, err := v.Tables(ctx, at.ID)
		for _, t := range tables {
			name, _, err := today(ctx, v, t, at.ID)
			if err != nil {
				return err
			}
			if known(g, t.Name) && known(g, name) {
				rows = append(rows, "("+datafile.QuoteText(t.Name)+")")
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	q.report.done("META")
	return q.constants(ctx, fixedSQL([]string{"name"}, rows))
}

func (q *run) describe(ctx context.Context) (*Rows, error) {
	var rows []string
	for _, c := range q.refs[0].columns {
		typ := c.Type.SQL()
		if c.Type.Name == "" {
			typ = "VARCHAR"
		}
		rows = append(rows, fmt.Sprintf("(%s, %s, 'YES')", datafile.QuoteText(c.Name), datafile.QuoteText(typ)))
	}
	return q.constants(ctx, fixedSQL([]string{"column_name", "column_type", `"null"`}, rows))
}
