package scan

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
)

// told is what statistics tell of files in place of their rows.
type told struct {
	files   []catalog.File
	rows    int64
	columns map[int64]extremes // by id
	counted bool               // the number of rows matters
}

// extremes are the least and the greatest value of a column, as texts of its
// type; none is set when every value is NULL.
type extremes struct{ lo, hi *string }

// Extremes puts statistics in the place of rows: afterwards SQL gives rows with
// the same least and greatest values of the columns, as many as before when
// counted is set, and nothing else that holds. Each file of which the catalog
// knows them exactly is no longer read: it is ours, since other clients'
// statistics may be bounds only, none of its rows is dead, and its columns have
// today's types. The scan was planned with the statistics of the columns.
func (r *Scan) Extremes(ctx context.Context, v *catalog.View, columns []datafile.Column, counted bool) error {
	for _, c := range columns {
		if !exactStats(c.Type) {
			return nil
		}
	}
	ours, err := v.OurFiles(ctx, r.table)
	if err != nil || len(ours) == 0 {
		return err
	}
	t := told{columns: map[int64]extremes{}, counted: counted}
	var left []*branch
	for _, b := range r.branches {
		if !b.key.dirty && !b.key.partial && b.mapping == nil && b.key.older == 0 {
			b.files = t.take(b.files, ours, columns)
		}
		if len(b.files) > 0 {
			left = append(left, b)
		}
	}
	if len(t.files) == 0 {
		return nil
	}
	r.branches, r.told = left, &t
	for _, f := range t.files {
		r.Counts.FilesRead--
		r.Counts.BytesRead -= f.Size
		r.Counts.RowsRead -= f.Records
	}
	return nil
}

// exactStats reports whether the statistics that we keep of a column of the
// type are values of it, in the text of a constant. Those of texts may be cut.
func exactStats(t datafile.Type) bool {
	switch t.Name {
	case "date", "timestamp", "timestamp_s", "timestamp_ms", "timestamp_ns", "timestamptz", "decimal":
		return true
	}
	return isNumber(t.Name)
}

// take adds the files whose statistics tell all, and gives the others.
func (t *told) take(files []catalog.File, ours map[int64]bool, columns []datafile.Column) (others []catalog.File) {
	for i := range files {
		if f := &files[i]; !ours[f.ID] || !t.add(f, columns) {
			others = append(others, *f)
		}
	}
	return others
}

// add widens the extremes by those of a file, or leaves all as it was.
func (t *told) add(f *catalog.File, columns []datafile.Column) bool {
	wider := make([]extremes, len(columns))
	for i, c := range columns {
		s, ok := f.Stats[c.ID]
		if !ok || s.ValueCount+s.NullCount != f.Records {
			return false
		}
		wider[i] = t.columns[c.ID]
		if s.ValueCount == 0 {
			continue
		}
		if !exactValue(c.Type, s, s.Min) || !exactValue(c.Type, s, s.Max) {
			return false
		}
		if wider[i].lo == nil {
			wider[i] = extremes{s.Min, s.Max}
			continue
		}
		if wider[i].lo, wider[i].hi = datafile.WidenBounds(c.Type, wider[i].lo, wider[i].hi, s.Min, s.Max); wider[i].lo == nil || wider[i].hi == nil {
			return false
		}
	}
	for i, c := range columns {
		t.columns[c.ID] = wider[i]
	}
	t.files, t.rows = append(t.files, *f), t.rows+f.Records
	return true
}

// exactValue reports whether a bound is a value that its text gives exactly.
func exactValue(typ datafile.Type, s datafile.Stats, text *string) bool {
	if text == nil {
		return false
	}
	if strings.HasPrefix(typ.Name, "float") { // the greatest may be NaN, which bounds leave out, and a bound of zero has either sign
		f, err := strconv.ParseFloat(*text, 64)
		if err != nil || f == 0 || s.ContainsNaN == nil || *s.ContainsNaN {
			return false
		}
	}
	_, compares := datafile.ParseBound(typ, *text)
	_, ok := datafile.Literal(typ, *text)
	return compares && ok
}

// toldSQL gives the rows that stand for the files: one with the least values,
// one with the greatest, the others with none.
func (r *Scan) toldSQL() string {
	row := func(pick func(extremes) *string) string {
		sel := make([]string, len(r.columns))
		for i, c := range r.columns {
			value := "CAST(NULL AS " + c.Type.SQL() + ")"
			if text := pick(r.told.columns[c.ID]); text != nil {
				value, _ = datafile.Literal(c.Type, *text)
			}
			sel[i] = value + " AS " + datafile.Quote(c.Name)
		}
		return "SELECT " + strings.Join(sel, ", ")
	}
	parts := []string{row(func(e extremes) *string { return e.lo }), row(func(e extremes) *string { return e.hi })}
	switch n := r.told.rows; {
	case n == 1: // the least is the greatest
		parts = parts[:1]
	case n > 2 && r.told.counted:
		parts = append(parts, row(func(extremes) *string { return nil })+fmt.Sprintf(" FROM range(%d)", n-2))
	}
	return strings.Join(parts, "\nUNION ALL\n")
}
