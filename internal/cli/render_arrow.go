package cli

import (
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"
)

// arrowRows writes the Arrow IPC stream format, to files too.
type arrowRows struct{ w *ipc.Writer }

func newArrowRows(w io.Writer, schema *arrow.Schema) arrowRows {
	return arrowRows{ipc.NewWriter(w, ipc.WithSchema(schema))}
}

func (r arrowRows) Write(b arrow.RecordBatch) error { return r.w.Write(b) }
func (r arrowRows) Close() error                    { return r.w.Close() }
