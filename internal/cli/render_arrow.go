package cli

import (
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"

	"github.com/supertable-go/supertable"
)

// arrowRows writes the Arrow IPC stream format, to files too.
type arrowRows struct{ w *ipc.Writer }

func newArrowRows(w io.Writer, schema *arrow.Schema) arrowRows {
	return arrowRows{ipc.NewWriter(w, ipc.WithSchema(schema))}
}

func (r arrowRows) Write(b arrow.RecordBatch) error {
	if err := checkDecimals(b); err != nil {
		return err
	}
	return r.w.Write(b)
}

func (r arrowRows) Close() error { return r.w.Close() }

// checkDecimals refuses values with more digits than the type that they travel
// in allows, which readers of the file would refuse: those of a HUGEINT.
func checkDecimals(b arrow.RecordBatch) error {
	for i, c := range b.Columns() {
		if v, ok := overlong(c); ok {
			return failf(supertable.Unsupported, "column %q: %s has more digits than a DECIMAL(38,0), which HUGEINT becomes in this format; cast it to text", b.ColumnName(i), v)
		}
	}
	return nil
}

// overlong finds a decimal in a with more digits than its type has.
func overlong(a arrow.Array) (string, bool) {
	switch a := a.(type) {
	case *array.Decimal128:
		t := a.DataType().(*arrow.Decimal128Type)
		for i := range a.Len() {
			if t.Precision == 38 && a.IsValid(i) && !a.Value(i).FitsInPrecision(t.Precision) {
				return a.Value(i).ToString(t.Scale), true
			}
		}
	case *array.Struct:
		for i := range a.NumField() {
			if v, ok := overlong(a.Field(i)); ok {
				return v, true
			}
		}
	case *array.Map:
		if v, ok := overlong(a.Keys()); ok {
			return v, true
		}
		return overlong(a.Items())
	case array.ListLike:
		return overlong(a.ListValues())
	case array.ExtensionArray:
		return overlong(a.Storage())
	}
	return "", false
}
