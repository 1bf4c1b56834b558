package cli

import (
	"io"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/supertable-go/supertable"
)

// rowWriter prints the batches of one result. What it wrote before Close is no
// whole document.
type rowWriter interface {
	// Write prints the rows of b, which stays the caller's.
	Write(b arrow.RecordBatch) error
	// Close prints what ends the document.
	Close() error
}

// rowSource is the part of supertable.Rows that printing needs.
type rowSource interface {
	Schema() *arrow.Schema
	Next() bool
	Batch() arrow.RecordBatch
	Err() error
}

// newRowWriter makes the writer of a format.
func newRowWriter(format string, w io.Writer, schema *arrow.Schema) (rowWriter, error) {
	switch format {
	case formatJSON:
		return newJSONRows(w, schema, true), nil
	case formatNDJSON:
		return newJSONRows(w, schema, false), nil
	case formatCSV:
		return newCSVRows(w, schema), nil
	case formatArrow:
		return newArrowRows(w, schema), nil
	case formatParquet:
		return newParquetRows(w, schema)
	case formatTable:
		return newTableRows(w, schema), nil
	}
	return nil, failf(supertable.InvalidArgument, "unknown format %q", format)
}

// copyRows prints all of src. Nothing is printed before the first batch is
// there, so that a query that fails at once prints nothing.
func copyRows(format string, w io.Writer, src rowSource) error {
	more := src.Next()
	if err := src.Err(); err != nil {
		return err
	}
	rw, err := newRowWriter(format, w, src.Schema())
	if err != nil {
		return err
	}
	return drain(rw, src, more)
}

// drain writes the current batch of src, when more is set, and all that follow.
func drain(rw rowWriter, src rowSource, more bool) error {
	for ; more; more = src.Next() {
		if err := rw.Write(src.Batch()); err != nil {
			return err
		}
	}
	if err := src.Err(); err != nil {
		return err
	}
	return rw.Close()
}
