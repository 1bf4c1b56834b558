package ingest

import (
	"strings"

	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/ingest/source"
)

// SourceColumns are a table's columns as its inputs have them: under the names
// that rename maps to the table's.
func SourceColumns(cols []datafile.Column, rename map[string]string) []source.Column {
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
