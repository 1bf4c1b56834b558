package supertable

import (
	"context"
	"encoding/json"
	"io"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/ingest"
	"github.com/supertable-go/supertable/ingest/source"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/query"
	"github.com/supertable-go/supertable/rbac"
	"github.com/supertable-go/supertable/scan"
)

// Session is a SuperTable as one principal sees it. It is safe for concurrent use.
type Session struct {
	st        *SuperTable
	principal rbac.Principal // what he may do is looked at with each call
}

// Write writes the batches of rows, read once and not released, into table.
func (s *Session) Write(ctx context.Context, table string, rows array.RecordReader, o *WriteOptions) (WriteResult, error) {
	return s.write(ctx, table, ingest.Input{Rows: rows}, o)
}

// WriteFiles writes the rows of all files in one commit; the engine reads them itself.
func (s *Session) WriteFiles(ctx context.Context, table string, paths []string, o *WriteOptions) (WriteResult, error) {
	if len(paths) == 0 && (o == nil || !o.DeleteAll) {
		return WriteResult{}, errs.New(errs.InvalidArgument, "no input file")
	}
	return s.write(ctx, table, ingest.Input{Paths: paths}, o)
}

// WriteFrom writes the rows of one stream of bytes in o.Format. The bytes are
// kept under the SuperTable's tmp folder while the write runs.
func (s *Session) WriteFrom(ctx context.Context, table string, r io.Reader, o *WriteOptions) (WriteResult, error) {
	if o == nil || o.Format == "" {
		return WriteResult{}, errs.New(errs.InvalidArgument, "a stream needs its format (--input-format)")
	}
	return s.write(ctx, table, ingest.Input{Paths: []string{"-"}, Stdin: r}, o)
}

func (s *Session) write(ctx context.Context, table string, in ingest.Input, o *WriteOptions) (res WriteResult, err error) {
	defer s.audited(&ctx, "write", "", table)(&err)
	if err := rbac.NotOwnRecords(table); err != nil {
		return WriteResult{}, err
	}
	in, io, err := o.ingest(in)
	if err != nil {
		return WriteResult{}, err
	}
	note := s.noteWrite(table, &io)
	g, err := s.authorize(ctx)
	if err != nil {
		note(ingest.Result{}, err)
		return WriteResult{}, err
	}
	r, err := s.st.writer.Write(ctx, g, table, in, io)
	note(r, err)
	if err != nil {
		return WriteResult{}, s.named(err, table)
	}
	if r.Duplicate { // nothing was committed, so nothing is recorded yet
		s.auditDuplicate(ctx, r)
	}
	return WriteResult{
		Table: r.Table, Columns: r.Columns, Rows: r.Rows, Inserted: r.Inserted, Deleted: r.Deleted, SkippedStale: r.Skipped,
		Snapshot: r.Snapshot, Version: r.Version, Duplicate: r.Duplicate, Created: r.Created, Altered: r.Altered,
	}, nil
}

// ingest gives the options, and what they say of the input, to the write path.
func (o *WriteOptions) ingest(in ingest.Input) (ingest.Input, ingest.Options, error) {
	if o == nil {
		o = &WriteOptions{}
	}
	if strings.HasPrefix(strings.ToLower(o.WriteID), "sha256:") {
		return in, ingest.Options{}, errs.New(errs.InvalidArgument, "write ids that begin with sha256: are those of staged files")
	}
	io := ingest.Options{
		Key: o.Key, NewerThan: o.NewerThan, DeleteOnly: o.DeleteOnly && !o.DeleteAll, DeleteAll: o.DeleteAll, WriteID: o.WriteID,
		CompressionLevel: o.CompressionLevel, Message: o.Message,
	}
	if len(o.Lineage) > 0 {
		text, err := json.Marshal(o.Lineage)
		if err != nil {
			return in, io, errs.Wrap(errs.InvalidArgument, err, "the lineage is no JSON: %v", err)
		}
		io.Lineage = string(text)
	}
	in.Format = o.Format
	for _, c := range o.Columns {
		in.Columns = append(in.Columns, source.Column{Name: c.Name, Type: c.Type})
	}
	if o.Progress != nil {
		io.Progress = func(p ingest.Progress) {
			o.Progress(WriteProgress{Phase: p.Phase, Fraction: p.Fraction, Bytes: int64(max(0, p.Fraction) * float64(p.TotalBytes)), TotalBytes: p.TotalBytes, Rows: p.Rows})
		}
	}
	return in, io, nil
}

// Query runs one SELECT (or EXPLAIN, SHOW TABLES, SHOW STATS, DESCRIBE) and streams its rows.
func (s *Session) Query(ctx context.Context, sql string, o *QueryOptions) (*Rows, error) {
	return s.query(ctx, sql, o, s.notePlan)
}

// query runs a query and tells done how it ended.
func (s *Session) query(ctx context.Context, sql string, o *QueryOptions, done func(query.Outcome)) (*Rows, error) {
	if o == nil {
		o = &QueryOptions{}
	}
	params := make(map[string]any, len(o.Params))
	for k, v := range o.Params {
		params[k] = paramValue(v)
	}
	if err := s.st.settleNamed(ctx, s.authorize, sql, o); err != nil {
		return nil, err
	}
	audited, err := s.auditQuery(ctx, sql)
	if err != nil {
		return nil, err
	}
	rows, err := query.Run(ctx, queryEnv{s.st, s.principal, sql}, s.st.querySuper(s.principal), sql, query.Options{
		AtVersion: o.AtVersion, AtTime: o.AtTime, Params: params, DefaultLimit: o.DefaultLimit, Differ: o.differ, NoRows: o.noRows, Now: s.st.lake.opts.Now, Logger: s.st.lake.opts.Logger,
		Done: func(o query.Outcome) { tell(o, audited, done) },
	})
	if err != nil {
		return nil, err
	}
	return &Rows{rows}, nil
}

// tell tells all who want to know how a query ended.
func tell(o query.Outcome, all ...func(query.Outcome)) {
	for _, done := range all {
		if done != nil {
			done(o)
		}
	}
}

// Rows streams a result. Use: for rows.Next() { rows.Batch() }; rows.Err(); rows.Close().
type Rows struct{ r rowSource }

// rowSource is a result of one query, or of several, one after the other.
type rowSource interface {
	Schema() *arrow.Schema
	Next() bool
	Batch() arrow.RecordBatch
	Err() error
	Close() error
	Report() query.Report
}

// Schema of the result. Names may repeat.
func (r *Rows) Schema() *arrow.Schema { return r.r.Schema() }

// Next reads the next batch; false at the end or at an error.
func (r *Rows) Next() bool { return r.r.Next() }

// Batch is the current batch, valid until the next Next or Close; Retain it to keep it.
func (r *Rows) Batch() arrow.RecordBatch { return r.r.Batch() }

// Err is what ended the rows early.
func (r *Rows) Err() error { return r.r.Err() }

// Close ends the query. It may be called more than once.
func (r *Rows) Close() error { return r.r.Close() }

// Report says what the query read; complete after the end or Close.
func (r *Rows) Report() Report {
	p := r.r.Report()
	return Report{
		Timings: p.Timings, PlanStats: p.PlanStats, FilesTotal: p.FilesTotal, FilesRead: p.FilesRead, BytesTotal: p.BytesTotal, BytesRead: p.BytesRead,
		Rows: p.Rows, Snapshot: p.At, Snapshots: p.Snapshots, Engine: p.Engine,
	}
}

// visible reports whether a principal may know that a table exists.
func visible(g rbac.Grant, table string) bool {
	return g.Permits(rbac.Read, table) || g.Permits(rbac.Meta, table)
}

// table finds a table that the principal may know of.
func (s *Session) table(ctx context.Context, v *catalog.View, g rbac.Grant, name string) (catalog.Table, error) {
	t, err := v.Table(ctx, name, v.Head.ID)
	if errs.KindOf(err) == errs.NotFound || err == nil && !visible(g, t.Name) {
		return t, errs.New(errs.NotFound, "Table not found: %s/%s/%s", s.st.org, s.st.name, name)
	}
	return t, err
}

// withView runs fn in one view of the catalog with the rights that hold in it.
func (s *Session) withView(ctx context.Context, fn func(v *catalog.View, g rbac.Grant) error) error {
	return s.st.catalog.Read(ctx, func(v *catalog.View) error {
		g, err := s.st.grantIn(ctx, v, s.principal)
		if err != nil {
			return err
		}
		return fn(v, g)
	})
}

// Tables lists the tables, sorted by name, without those of plans and write
// statistics. Of a table of which the principal
// sees some rows only, it tells the number of those, and neither files nor bytes.
func (s *Session) Tables(ctx context.Context) (_ []TableInfo, err error) {
	defer s.guarded(ctx, "tables", "")(&err)
	if err := s.st.catalog.CatchUp(ctx); err != nil {
		return nil, err
	}
	out, partly := []TableInfo{}, []int{}
	err = s.withView(ctx, func(v *catalog.View, g rbac.Grant) error {
		list, err := v.Listing(ctx)
		for _, l := range list {
			if !visible(g, l.Name) || rbac.OwnRecords(l.Name) {
				continue
			}
			info := TableInfo{Name: l.Name, Version: l.Version, Rows: l.Rows, Files: l.Files, Bytes: l.Bytes, Updated: l.Updated}
			if !g.AllRows(rbac.Meta, l.Name) {
				info.Rows, info.Files, info.Bytes = 0, 0, 0
				partly = append(partly, len(out))
			}
			out = append(out, info)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, i := range partly {
		if out[i].Rows, err = s.countVisible(ctx, out[i].Name); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// countVisible counts the rows of a table that the principal sees; 0 when he
// may not read any.
func (s *Session) countVisible(ctx context.Context, table string) (int64, error) {
	rows, err := s.query(ctx, "SELECT count(*) FROM "+datafile.Quote(table), nil, nil) // nobody's query: no record
	if kind := errs.KindOf(err); err != nil && (kind == errs.NotFound || kind == errs.Denied) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer func() { _ = rows.Close() }()
	var n int64
	for rows.Next() {
		if col, ok := rows.Batch().Column(0).(*array.Int64); ok && col.Len() > 0 {
			n = col.Value(0)
		}
	}
	return n, rows.Err()
}

// Schema lists the columns of table, in order, that exist for the principal.
func (s *Session) Schema(ctx context.Context, table string) (out []Column, err error) {
	defer s.guarded(ctx, "schema", table)(&err)
	err = s.withView(ctx, func(v *catalog.View, g rbac.Grant) error {
		t, err := s.table(ctx, v, g, table)
		if err != nil {
			return err
		}
		cols, err := v.Columns(ctx, t.ID, v.Head.ID)
		for _, c := range scan.VisibleColumns(g.Rules(rbac.Meta, t.Name), cols, nil) {
			out = append(out, Column{Name: c.Name, Type: c.Type.SQL(), Nullable: c.Nullable})
		}
		return err
	})
	return out, err
}

// paramValue gives a parameter the form that the engine takes.
func paramValue(v any) any {
	switch x := v.(type) {
	case int:
		return int64(x)
	case json.Number:
		return numberParam(x.String())
	}
	return v
}
