package supertable

import (
	"context"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/supertable-go/supertable/internal/errs"
)

// Session is a SuperTable as one principal sees it. It is safe for concurrent use.
type Session struct{}

// Write writes the batches of rows, read once and not released, into table.
func (s *Session) Write(ctx context.Context, table string, rows array.RecordReader, o *WriteOptions) (WriteResult, error) {
	return WriteResult{}, errs.New(errs.Unsupported, "not yet")
}

// WriteFiles writes the rows of all files in one commit; the engine reads them itself.
func (s *Session) WriteFiles(ctx context.Context, table string, paths []string, o *WriteOptions) (WriteResult, error) {
	return WriteResult{}, errs.New(errs.Unsupported, "not yet")
}

// WriteFrom writes the rows of one stream of bytes in o.Format.
func (s *Session) WriteFrom(ctx context.Context, table string, r io.Reader, o *WriteOptions) (WriteResult, error) {
	return WriteResult{}, errs.New(errs.Unsupported, "not yet")
}

// Query runs one SELECT (or EXPLAIN, SHOW TABLES, DESCRIBE) and streams its rows.
func (s *Session) Query(ctx context.Context, sql string, o *QueryOptions) (*Rows, error) {
	return nil, errs.New(errs.Unsupported, "not yet")
}

// Tables lists the tables, sorted by name.
func (s *Session) Tables(ctx context.Context) ([]TableInfo, error) {
	return nil, errs.New(errs.Unsupported, "not yet")
}

// Schema lists the columns of table in order.
func (s *Session) Schema(ctx context.Context, table string) ([]Column, error) {
	return nil, errs.New(errs.Unsupported, "not yet")
}

// History lists changes, newest first: of one table, or of all when table is "".
func (s *Session) History(ctx context.Context, table string) ([]HistoryEntry, error) {
	return nil, errs.New(errs.Unsupported, "not yet")
}

// Alter changes a table's schema.
func (s *Session) Alter(ctx context.Context, table string, a Alteration) (AlterResult, error) {
	return AlterResult{}, errs.New(errs.Unsupported, "not yet")
}

// Options lists the options that hold for table, or for the SuperTable when table is "".
func (s *Session) Options(ctx context.Context, table string) ([]Option, error) {
	return nil, errs.New(errs.Unsupported, "not yet")
}

// SetOption sets an option of table, or of the SuperTable when table is "".
// An empty value removes the setting.
func (s *Session) SetOption(ctx context.Context, table, name, value string) error {
	return errs.New(errs.Unsupported, "not yet")
}

// DropTable drops table; dropped is false when there is none. Earlier snapshots still read it.
func (s *Session) DropTable(ctx context.Context, table string) (dropped bool, err error) {
	return false, errs.New(errs.Unsupported, "not yet")
}

// DropSuperTable removes the whole SuperTable: catalog, data and staging.
func (s *Session) DropSuperTable(ctx context.Context) error {
	return errs.New(errs.Unsupported, "not yet")
}

// Check compares the catalog with storage and verifies every invariant; deep
// also reads every file and verifies its checksum.
func (s *Session) Check(ctx context.Context, deep bool) (CheckReport, error) {
	return CheckReport{}, errs.New(errs.Unsupported, "not yet")
}

// Rows streams a result. Use: for rows.Next() { rows.Batch() }; rows.Err(); rows.Close().
type Rows struct{}

// Schema of the result. Names may repeat.
func (r *Rows) Schema() *arrow.Schema { return nil }

// Next reads the next batch; false at the end or at an error.
func (r *Rows) Next() bool { return false }

// Batch is the current batch, valid until the next Next or Close; Retain it to keep it.
func (r *Rows) Batch() arrow.RecordBatch { return nil }

// Err is what ended the rows early.
func (r *Rows) Err() error { return nil }

// Close ends the query. It may be called more than once.
func (r *Rows) Close() error { return nil }

// Report says what the query read; complete after the end or Close.
func (r *Rows) Report() Report { return Report{} }
