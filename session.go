package supertable

import (
	"context"
	"encoding/json"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/ingest"
	"github.com/supertable-go/supertable/ingest/source"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/query"
	"github.com/supertable-go/supertable/rbac"
)

// Session is a SuperTable as one principal sees it. It is safe for concurrent use.
type Session struct {
	st        *SuperTable
	principal rbac.Principal
	grant     rbac.Grant
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

func (s *Session) write(ctx context.Context, table string, in ingest.Input, o *WriteOptions) (WriteResult, error) {
	if o == nil {
		o = &WriteOptions{}
	}
	io := ingest.Options{
		Key: o.Key, NewerThan: o.NewerThan, DeleteOnly: o.DeleteOnly && !o.DeleteAll, DeleteAll: o.DeleteAll, WriteID: o.WriteID,
		CompressionLevel: o.CompressionLevel, Message: o.Message,
	}
	if len(o.Lineage) > 0 {
		text, err := json.Marshal(o.Lineage)
		if err != nil {
			return WriteResult{}, errs.Wrap(errs.InvalidArgument, err, "the lineage is no JSON: %v", err)
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
	r, err := s.st.writer.Write(ctx, s.grant, table, in, io)
	if err != nil {
		return WriteResult{}, s.named(err, table)
	}
	return WriteResult{
		Table: r.Table, Columns: r.Columns, Rows: r.Rows, Inserted: r.Inserted, Deleted: r.Deleted, SkippedStale: r.Skipped,
		Snapshot: r.Snapshot, Version: r.Version, Duplicate: r.Duplicate,
	}, nil
}

// Query runs one SELECT (or EXPLAIN, SHOW TABLES, DESCRIBE) and streams its rows.
func (s *Session) Query(ctx context.Context, sql string, o *QueryOptions) (*Rows, error) {
	if o == nil {
		o = &QueryOptions{}
	}
	params := make(map[string]any, len(o.Params))
	for k, v := range o.Params {
		params[k] = paramValue(v)
	}
	rows, err := query.Run(ctx, queryEnv{s.st, s.principal}, s.st.querySuper(s.principal), sql, query.Options{
		AtVersion: o.AtVersion, AtTime: o.AtTime, Params: params, DefaultLimit: o.DefaultLimit, Now: s.st.lake.opts.Now, Logger: s.st.lake.opts.Logger,
	})
	if err != nil {
		return nil, err
	}
	return &Rows{rows}, nil
}

// Rows streams a result. Use: for rows.Next() { rows.Batch() }; rows.Err(); rows.Close().
type Rows struct{ r *query.Rows }

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

// visible reports whether the principal may know that a table exists.
func (s *Session) visible(table string) bool {
	return s.grant.Permits(rbac.Read, table) || s.grant.Permits(rbac.Meta, table)
}

// table finds a table that the principal may know of.
func (s *Session) table(ctx context.Context, v *catalog.View, name string) (catalog.Table, error) {
	t, err := v.Table(ctx, name, v.Head.ID)
	if errs.KindOf(err) == errs.NotFound || err == nil && !s.visible(t.Name) {
		return t, errs.New(errs.NotFound, "Table not found: %s/%s/%s", s.st.org, s.st.name, name)
	}
	return t, err
}

// Tables lists the tables, sorted by name.
func (s *Session) Tables(ctx context.Context) ([]TableInfo, error) {
	if err := s.st.catalog.CatchUp(ctx); err != nil {
		return nil, err
	}
	out := []TableInfo{}
	err := s.st.catalog.Read(ctx, func(v *catalog.View) error {
		list, err := v.Listing(ctx)
		for _, l := range list {
			if s.visible(l.Name) {
				out = append(out, TableInfo{Name: l.Name, Version: l.Version, Rows: l.Rows, Files: l.Files, Bytes: l.Bytes, Updated: l.Updated})
			}
		}
		return err
	})
	return out, err
}

// Schema lists the columns of table in order.
func (s *Session) Schema(ctx context.Context, table string) ([]Column, error) {
	var out []Column
	err := s.st.catalog.Read(ctx, func(v *catalog.View) error {
		t, err := s.table(ctx, v, table)
		if err != nil {
			return err
		}
		cols, err := v.Columns(ctx, t.ID, v.Head.ID)
		for _, c := range cols {
			out = append(out, Column{Name: c.Name, Type: c.Type.SQL(), Nullable: c.Nullable})
		}
		return err
	})
	return out, err
}

// History lists changes, newest first: of one table, or of all when table is "".
func (s *Session) History(ctx context.Context, table string) ([]HistoryEntry, error) {
	if err := s.st.catalog.CatchUp(ctx); err != nil {
		return nil, err
	}
	out := []HistoryEntry{}
	err := s.st.catalog.Read(ctx, func(v *catalog.View) error {
		var id int64
		if table != "" {
			t, err := s.table(ctx, v, table)
			if err != nil {
				return err
			}
			id = t.ID
		}
		if s.st.catalog.Foreign() {
			return nil // nobody kept one
		}
		list, err := v.History(ctx, id)
		for _, e := range list {
			if s.visible(e.Table) {
				out = append(out, HistoryEntry{Snapshot: e.Snapshot, Version: e.Version, Time: e.Time, Table: e.Table, Operation: e.Operation, Inserted: e.Inserted, Deleted: e.Deleted, Principal: e.Principal, Message: e.Message})
			}
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
