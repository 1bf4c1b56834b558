package statement

import (
	"context"
	"strings"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/supertable-go/supertable/engine"
	"github.com/supertable-go/supertable/internal/errs"
)

// ParserOn has conn parse; it is busy while a Parse or Verify runs.
func ParserOn(conn engine.Conn) Parser {
	return func(ctx context.Context, sql string) (string, error) {
		r, err := conn.Query(ctx, "SELECT json_serialize_sql($sql::VARCHAR)::VARCHAR", map[string]any{"sql": sql})
		if err != nil {
			return "", errs.Wrap(errs.Internal, err, "the statement could not be parsed")
		}
		defer r.Release()
		if !r.Next() || r.RecordBatch().NumRows() != 1 {
			return "", errs.Wrap(errs.Internal, r.Err(), "the statement could not be parsed")
		}
		text, ok := r.RecordBatch().Column(0).(*array.String)
		if !ok || text.IsNull(0) {
			return "", errs.New(errs.Internal, "the statement could not be parsed")
		}
		return strings.Clone(text.Value(0)), nil // the batch's memory goes with it
	}
}
