package datafile

import (
	"path/filepath"

	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/schema"

	"github.com/supertable-go/supertable/internal/errs"
)

// Shape is what a data file's own schema says of its columns: the names that
// the parts of nested values have in it, by the path of field ids.
type Shape struct{ root *schema.GroupNode }

// ReadShape reads it from the footer of a file.
func ReadShape(path string) (Shape, error) {
	r, err := file.OpenParquetFile(path, false)
	if err != nil {
		return Shape{}, errs.Wrap(errs.Corrupt, err, "the file %s cannot be read", filepath.Base(path))
	}
	defer func() { _ = r.Close() }()
	return Shape{r.MetaData().Schema.Root()}, nil
}

// Fits reports whether the nested columns of the file have the same fields,
// under the same names, as these. A column that the file lacks is no matter.
func (s Shape) Fits(columns []Column) bool {
	for _, c := range columns {
		if n := child(s.root, c.ID); n != nil && c.Type.Nested() && !fits(n, c.Type) {
			return false
		}
	}
	return true
}

// child finds the part of a group with a field id.
func child(g *schema.GroupNode, id int64) schema.Node {
	for i := range g.NumFields() {
		if n := g.Field(i); int64(n.FieldID()) == id {
			return n
		}
	}
	return nil
}

func fits(n schema.Node, t Type) bool {
	g, group := n.(*schema.GroupNode)
	if !t.Nested() || !group {
		return t.Nested() == group
	}
	switch t.Name {
	case "list", "map": // one group in between, repeated
		if g.NumFields() != 1 {
			return false
		}
		inner, ok := g.Field(0).(*schema.GroupNode)
		if !ok || inner.NumFields() != len(t.Fields) {
			return false
		}
		for i, f := range t.Fields {
			if !fits(inner.Field(i), f.Type) {
				return false
			}
		}
		return true
	}
	if g.NumFields() != len(t.Fields) {
		return false
	}
	for _, f := range t.Fields {
		n := child(g, f.ID)
		if n == nil || n.Name() != f.Name || !fits(n, f.Type) {
			return false
		}
	}
	return true
}
