package ingest

import (
	"context"
	"strings"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/ingest/source"
	"github.com/supertable-go/supertable/rbac"
	"github.com/supertable-go/supertable/scan"
)

// TableColumns says what text formats are read as when they are written to a
// table: its columns that the principal may set (what a text is read as would
// tell of the others), and which of them never had a value.
func TableColumns(c *catalog.Catalog, g rbac.Grant, t catalog.Table, cols []datafile.Column, rename map[string]string) (as []source.Column, hollow func(context.Context, string) (bool, error)) {
	cols = scan.VisibleColumns(g.Rules(rbac.Write, t.Name), cols, nil)
	as = sourceColumns(cols, rename)
	return as, func(ctx context.Context, name string) (is bool, err error) {
		err = c.Read(ctx, func(v *catalog.View) error {
			for i := range as {
				if as[i].Name == name {
					is, err = hollowColumn(ctx, v, g, t, cols[i])
				}
			}
			return err
		})
		return is, err
	}
}

// hollowColumn reports whether no row ever had a value in a column, so that it
// may become any type (decision 22). An empty list has no value below it and
// is one; of a column that the principal does not see whole it would tell.
func hollowColumn(ctx context.Context, v *catalog.View, g rbac.Grant, t catalog.Table, c datafile.Column) (bool, error) {
	if c.Type.Nested() || c.InitialDefault != nil || !sees(g, t.Name, c.Name) {
		return false, nil
	}
	return v.EverNull(ctx, t.ID, c.ID)
}

// sourceColumns are a table's columns as its inputs have them: under the names
// that rename maps to the table's.
func sourceColumns(cols []datafile.Column, rename map[string]string) []source.Column {
	was := make(map[string]string, len(rename))
	for old, to := range rename {
		was[strings.ToLower(to)] = old
	}
	out := make([]source.Column, len(cols))
	for i, c := range cols {
		out[i] = source.Column{Name: c.Name, Type: c.Type.SQL()}
		if old, ok := was[strings.ToLower(c.Name)]; ok {
			out[i].Name = old
		}
	}
	return out
}
