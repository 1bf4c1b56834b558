package rbac

import (
	"slices"
	"strings"

	"github.com/supertable-go/supertable/internal/errs"
)

// Use is which columns of a table a statement uses.
type Use struct {
	Star    bool     // all
	Columns []string // those used by name
}

// Access is what a principal has of one table for one use of it.
type Access struct {
	Roles   []string // the hashes of the roles that help, oldest first
	Columns []string // those that exist for him and are used, as the table spells them, in its order
	Rows    Rows
	// Masks has the columns that are not clear in every row, by lower-case
	// name: the first case that a row fulfils says how it is shown, and a row
	// that fulfils none shows NULL.
	Masks map[string][]MaskCase
}

// Rows is a set of rows: all, or those that one of the filters lets through.
type Rows struct {
	All     bool
	Filters []Filter
}

// MaskCase shows a column in some rows: through Mask, or clear when it is nil.
type MaskCase struct {
	Rows Rows
	Mask *Mask
}

// Open reports whether nothing is filtered or masked.
func (a Access) Open() bool { return a.Rows.All && len(a.Masks) == 0 }

// Clear reports whether a column is shown as it is in every row.
func (a Access) Clear(column string) bool { return a.Masks[strings.ToLower(column)] == nil }

// Column is a column of a table: its name in the state that is read, and the
// name that it has now, when that is another one. A rule must mean both: a
// column that was renamed to a hidden one is hidden under its old name too.
type Column struct{ Name, Now string }

// Names makes columns that have the same name now.
func Names(names ...string) []Column {
	out := make([]Column, len(names))
	for i, n := range names {
		out[i] = Column{Name: n}
	}
	return out
}

// Visible lists the columns that some rule shows, in the table's order: those
// that exist for the principal.
func Visible(rules []Rule, columns []Column) []Column {
	var out []Column
	for _, c := range columns {
		if slices.ContainsFunc(rules, func(r Rule) bool { return r.allows(c) }) {
			out = append(out, c)
		}
	}
	return out
}

// Decide unites the rules of one table for one use (decision 2): a rule helps
// when it shows all columns that are used; the rows are those of any rule that
// helps. Columns are the table's, of which those used must be Visible ones.
func Decide(rules []Rule, table string, columns []Column, use Use) (Access, error) {
	used := Visible(rules, columns)
	if !use.Star {
		used = slices.DeleteFunc(used, func(c Column) bool {
			return !slices.ContainsFunc(use.Columns, func(u string) bool { return strings.EqualFold(u, c.Name) })
		})
	}
	var help []Rule
	for _, r := range rules {
		if !slices.ContainsFunc(used, func(c Column) bool { return !r.allows(c) }) {
			help = append(help, r)
		}
	}
	switch {
	case len(help) > 0:
	case use.Star:
		return Access{}, errs.New(errs.Denied, "no single role of yours shows all the columns of %s that your roles show together: name the columns in place of *", table)
	default:
		return Access{}, errs.New(errs.Denied, "no single role of yours shows the columns %s of %s together: ask for them in separate queries", strings.Join(columnNames(used), ", "), table)
	}
	a := Access{Columns: columnNames(used), Rows: rowsOf(help), Masks: map[string][]MaskCase{}}
	for _, r := range help {
		a.Roles = append(a.Roles, r.Role)
	}
	for _, c := range used {
		if cases := maskCases(help, c); cases != nil {
			a.Masks[strings.ToLower(c.Name)] = cases
		}
	}
	return a, nil
}

func columnNames(columns []Column) []string {
	out := make([]string, len(columns))
	for i, c := range columns {
		out[i] = c.Name
	}
	return out
}

func rowsOf(rules []Rule) Rows {
	var out Rows
	for _, r := range rules {
		if r.Filter == nil {
			return Rows{All: true}
		}
		out.Filters = append(out.Filters, r.Filter)
	}
	return out
}

// maskCases says how a column is shown: clear in the rows that a rule without
// a mask shows, else by the mask of the oldest rule that shows the row
// (decision 13). Nil is clear everywhere.
func maskCases(help []Rule, column Column) []MaskCase {
	var clear []Rule
	var masked []MaskCase
	for _, r := range help {
		m, ok := r.mask(column)
		if !ok {
			clear = append(clear, r)
			continue
		}
		masked = append(masked, MaskCase{rowsOf([]Rule{r}), &m})
	}
	if len(masked) == 0 {
		return nil
	}
	if len(clear) == 0 {
		return masked
	}
	rows := rowsOf(clear)
	if rows.All {
		return nil
	}
	return append([]MaskCase{{Rows: rows}}, masked...)
}
