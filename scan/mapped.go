package scan

import (
	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
)

// mappedValue reads a column of a file that was added as it was. The mapping
// names every node of a nested column as the file does, so its fields are
// found whatever they are called today.
func mappedValue(c datafile.Column, m catalog.MappedColumn, b *branch) string {
	name := datafile.Quote(m.Source)
	if c.Type.Nested() {
		was := c.Type
		for _, old := range b.columns {
			if old.ID == c.ID {
				was = old.Type
			}
		}
		name = datafile.Convert(name, mappedType(was, m.Index, b.mapping), c.Type, false, "read")
	}
	return "CAST(" + name + " AS " + c.Type.SQL() + ")"
}

// mappedType is a nested type with the names that the file has; parent is the
// index of its node in the mapping. Fields that the file lacks are left out.
func mappedType(t datafile.Type, parent int64, mapping []catalog.MappedColumn) datafile.Type {
	out := t
	out.Fields = nil
	for _, f := range t.Fields {
		for _, m := range mapping {
			if m.Parent != parent || m.Field != f.ID {
				continue
			}
			f.Type = mappedType(f.Type, m.Index, mapping)
			if t.Name == "struct" {
				f.Name = m.Source
			}
			out.Fields = append(out.Fields, f)
		}
	}
	if t.Name != "struct" && len(out.Fields) != len(t.Fields) {
		return t // a list or map without its parts cannot be: leave it to the engine
	}
	return out
}
