package source

import (
	"path/filepath"
	"strings"

	"github.com/supertable-go/supertable/internal/errs"
)

// FormatOf is the format that the suffix of a name tells, "" for none.
func FormatOf(name string) string {
	in := &input{}
	if err := in.byName(filepath.Base(name)); err != nil {
		return ""
	}
	return in.form
}

// Rename gives columns other names: old to new, old without regard to case.
// Every old name must be there, and the new names must stay unique.
func (r *Relation) Rename(names map[string]string) error {
	if len(names) == 0 {
		return nil
	}
	left := make(map[string]string, len(names))
	for old, to := range names {
		left[fold(old)] = to
	}
	items := make([]string, len(r.Columns))
	all := make([]string, len(r.Columns))
	for i := range r.Columns {
		c := &r.Columns[i]
		items[i] = ident(c.Name)
		if to, ok := left[fold(c.Name)]; ok {
			delete(left, fold(c.Name))
			items[i] += " AS " + ident(to)
			c.Name = to
		}
		all[i] = c.Name
	}
	for old := range names {
		if _, missing := left[fold(old)]; missing {
			return errs.New(errs.InvalidArgument, "%s: has no column %s to rename", r.parts[0].in.name, quoteShort(old))
		}
	}
	r.SQL = "SELECT " + strings.Join(items, ", ") + " FROM (" + r.SQL + ")"
	return checkNames(r.parts[0].in.name, all)
}
