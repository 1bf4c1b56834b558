package query

import (
	"context"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/query/statement"
)

// noAudit is an audit that nobody may look at.
type noAudit struct{ t *testing.T }

func (n noAudit) Columns() []datafile.Column {
	n.t.Error("columns were asked for")
	return nil
}

func (n noAudit) Head(context.Context, *catalog.View) (int64, error) {
	n.t.Error("the head was asked for")
	return 0, nil
}

func (n noAudit) Rows(context.Context, int64) array.RecordReader { return nil }

// TestAuditNeedsControl: for others there is no such table, whatever they ask.
func TestAuditNeedsControl(t *testing.T) {
	for _, at := range []*statement.At{nil, {Version: 1}} {
		r := &reference{t: &statement.TableRef{Name: "__AUDIT__", At: at}, super: &Super{Organization: "o", Name: "s", Audit: noAudit{t}}}
		err := (&run{}).lookUp(t.Context(), nil, r)
		if errs.KindOf(err) != errs.NotFound || !strings.HasPrefix(err.Error(), "Table not found: o/s/") {
			t.Errorf("got %v", err)
		}
	}
}
