package ingest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/internal/errs"
)

// state is what the write path knows of a table at one head.
type state struct {
	exists  bool
	table   catalog.Table
	columns []datafile.Column
	nextID  int64 // first column id that was never used
	head    int64
	// files are those that may hold a key of the input, with the statistics of
	// the key leaves, once they were listed.
	files   []catalog.File
	listed  bool
	inside  []insideTable // rows that the catalog itself holds
	held    int64         // about how many those are, dead ones too
	version int64         // of the table; read when there are rows inside
	// hollow are the top-level columns, by id, that never had a value: they
	// may become any type, under a new id.
	hollow map[int64]bool
	// narrow are the columns of dates or times, by id, that hold a value which
	// the type that they would widen to does not reach.
	narrow map[int64]bool
}

// inColumn is a column of the input.
type inColumn struct {
	Name string
	Type datafile.Type
}

// plan is what a write does to the schema and how each input column gets into
// the file. It is a pure function of the table and the input: two plans are
// equal exactly when the file written for one is right for the other.
type plan struct {
	columns []datafile.Column // the table's columns after the write
	changed bool              // they differ from before
	file    []planned         // the file's columns, in the input's order
}

type planned struct {
	in     inColumn
	column datafile.Column // what it becomes
	hollow bool            // the types do not meet: right only while every value is NULL
	was    datafile.Type   // the table's type before, for messages
	known  bool            // the table had the column
	fill   bool            // the input lacks it: every row has the column's default
}

// planSchema aligns the input's columns with the table's by name (decisions 5
// and 22). For a delete only the key columns count and the table stays as it is.
func planSchema(st *state, in []inColumn, o Options) (*plan, error) {
	if err := checkInput(in, o); err != nil {
		return nil, err
	}
	p := &plan{}
	for _, c := range st.columns {
		c.Type = c.Type.Clone()
		p.columns = append(p.columns, c)
	}
	for _, c := range in {
		if o.DeleteOnly && !contains(o.Key, c.Name) {
			continue
		}
		if err := p.place(st, c, o); err != nil {
			return nil, err
		}
	}
	if err := p.required(st, o); err != nil {
		return nil, err
	}
	if err := p.fillDefaults(st, o); err != nil {
		return nil, err
	}
	next := datafile.AssignIDs(p.columns, max(st.nextID, 1))
	p.changed = p.changed || next > max(st.nextID, 1)
	for i := range p.file { // with the ids that were given
		if k := datafile.FindColumn(p.columns, p.file[i].column.Name); k >= 0 && !o.DeleteOnly {
			p.file[i].column = p.columns[k]
		}
	}
	if o.DeleteOnly {
		p.columns, p.changed = st.columns, false
	}
	return p, nil
}

// required refuses an input without a column that another client declared NOT
// NULL and that rows without it would not have a default for.
func (p *plan) required(st *state, o Options) error {
	for _, c := range st.columns {
		if c.Nullable || c.InitialDefault != nil || o.DeleteOnly {
			continue
		}
		if !slices.ContainsFunc(p.file, func(f planned) bool { return strings.EqualFold(f.column.Name, c.Name) }) {
			return errs.New(errs.TypeConflict, "column %q takes no NULL, and the input lacks it", c.Name)
		}
	}
	return nil
}

// fillDefaults adds the columns that the input lacks and that another client
// gave a default which rows of a file without the column would not have.
func (p *plan) fillDefaults(st *state, o Options) error {
	for _, c := range st.columns {
		if o.DeleteOnly || sameText(c.Default, c.InitialDefault) || slices.ContainsFunc(p.file, func(f planned) bool { return f.column.ID == c.ID }) {
			continue
		}
		if c.Expression {
			return errs.New(errs.Unsupported, "column %q has a default that only the client that set it can compute; give the column its values", c.Name)
		}
		p.file = append(p.file, planned{in: inColumn{Name: c.Name, Type: c.Type}, column: c, known: true, fill: true})
	}
	return nil
}

func sameText(a, b *string) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }

func checkInput(in []inColumn, o Options) error {
	if len(in) == 0 {
		return errs.New(errs.InvalidArgument, "the input has no columns")
	}
	seen := map[string]string{}
	for _, c := range in {
		if c.Name == "" {
			return errs.New(errs.InvalidArgument, "the input has a column without a name")
		}
		if len(c.Name) > 1024 {
			return errs.New(errs.InvalidArgument, "the input has a column name of %d bytes; at most 1024 are allowed", len(c.Name))
		}
		if strings.ContainsRune(c.Name, 0) {
			return errs.New(errs.InvalidArgument, "the input has a column name with a NUL byte")
		}
		if strings.HasPrefix(strings.ToLower(c.Name), "_ducklake_internal_") {
			return errs.New(errs.InvalidArgument, "column names starting with _ducklake_internal_ are reserved: %q", c.Name)
		}
		l := strings.ToLower(c.Name)
		if other, ok := seen[l]; ok {
			return errs.New(errs.InvalidArgument, "the input has the columns %q and %q, which differ only in case", other, c.Name)
		}
		seen[l] = c.Name
	}
	for _, k := range o.Key {
		if _, ok := seen[strings.ToLower(k)]; !ok {
			return errs.New(errs.InvalidArgument, "Some overwrite columns are not present in the dataset: %s", k)
		}
	}
	if o.NewerThan != "" {
		if _, ok := seen[strings.ToLower(o.NewerThan)]; !ok {
			return errs.New(errs.InvalidArgument, "The newer_than column is not present in the dataset: %s", o.NewerThan)
		}
	}
	return nil
}

func contains(names []string, name string) bool {
	for _, n := range names {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}

// place finds or makes the column for c.
func (p *plan) place(st *state, c inColumn, o Options) error {
	i := datafile.FindColumn(p.columns, c.Name)
	if i < 0 {
		if o.DeleteOnly {
			return errs.New(errs.InvalidArgument, "the table has no column %q to delete by", c.Name)
		}
		t := c.Type.Clone()
		if t.Name == "null" {
			t = datafile.Type{Name: "int32"} // some type, until the first value gives the right one
		}
		col := datafile.Column{Name: c.Name, Type: t, Nullable: true}
		p.columns = append(p.columns, col)
		p.file = append(p.file, planned{in: c, column: col})
		return nil
	}
	col := p.columns[i]
	f := planned{in: c, was: col.Type, known: true}
	t, ok := datafile.Unify(col.Type, c.Type)
	if ok && st.narrow[col.ID] && !t.Same(col.Type) {
		t, ok = col.Type, col.Type.Name != "date" // the batch is converted instead
	}
	switch {
	case !ok && st.hollow[col.ID] && !o.DeleteOnly:
		p.columns[i] = datafile.Column{Name: col.Name, Type: c.Type.Clone(), Nullable: true}
		p.changed = true
	case !ok:
		f.hollow = true
	case !t.Same(col.Type) && !o.DeleteOnly:
		p.columns[i].Type = t
		p.changed = true
	case !t.Same(col.Type): // a delete compares in the wider type and leaves the column
		col.Type = t
		f.column = col
		p.file = append(p.file, f)
		return nil
	}
	f.column = p.columns[i]
	p.file = append(p.file, f)
	return nil
}

// refused reports whether a column of the input does not meet the table's: only
// NULLs go in.
func (p *plan) refused() bool {
	return slices.ContainsFunc(p.file, func(f planned) bool { return f.hollow })
}

// sameFile reports whether a file written for p is right for q.
func (p *plan) sameFile(q *plan) bool {
	if len(p.file) != len(q.file) {
		return false
	}
	for i := range p.file {
		a, b := p.file[i].column, q.file[i].column
		if a.ID != b.ID || !strings.EqualFold(a.Name, b.Name) || !sameIDs(a.Type, b.Type) {
			return false
		}
	}
	return true
}

func sameIDs(a, b datafile.Type) bool {
	if !a.Same(b) {
		return false
	}
	for i := range a.Fields {
		if a.Fields[i].ID != b.Fields[i].ID || !sameIDs(a.Fields[i].Type, b.Fields[i].Type) {
			return false
		}
	}
	return true
}

// selectSQL reads the relation into the file's columns.
func (p *plan) selectSQL(from string) string {
	parts := make([]string, len(p.file))
	for i, f := range p.file {
		name, tag := datafile.Quote(f.in.Name), fmt.Sprint(i)
		expr := datafile.Convert(name, f.in.Type, f.column.Type, true, tag)
		if f.hollow {
			expr = datafile.Reject(name, f.column.Type, tag)
		}
		if f.fill {
			expr = defaultValue(f.column.Default, f.column.Type)
		}
		if f.known && !f.column.Nullable && !f.fill {
			expr = fmt.Sprintf("CASE WHEN %s IS NULL THEN error(%s) ELSE %s END", name, datafile.QuoteText(datafile.ConvertMark+tag+":"+nullMark), expr)
		}
		parts[i] = expr + " AS " + datafile.Quote(f.column.Name)
	}
	return "SELECT " + strings.Join(parts, ", ") + " FROM (" + from + ")"
}

// defaultValue is a default as SQL.
func defaultValue(text *string, t datafile.Type) string {
	if text == nil {
		return "CAST(NULL AS " + t.SQL() + ")"
	}
	return "CAST(" + datafile.QuoteText(*text) + " AS " + t.SQL() + ")"
}

// nullMark stands in the place of a value that is NULL and may not be.
const nullMark = "\x01NULL"

// fileColumns are the columns of the file with their ids.
func (p *plan) fileColumns() []datafile.Column {
	out := make([]datafile.Column, len(p.file))
	for i, f := range p.file {
		out[i] = f.column
	}
	return out
}

// inputColumns describes a file written for p as an input: what a repeated
// staging reads.
func (p *plan) inputColumns() []inColumn {
	out := make([]inColumn, len(p.file))
	for i, f := range p.file {
		out[i] = inColumn{Name: f.column.Name, Type: f.column.Type}
	}
	return out
}

// conflict words the error of a value that does not fit, found by the engine
// while it ran selectSQL.
func (p *plan) conflict(index int, value string) error {
	if index < 0 || index >= len(p.file) {
		return errs.New(errs.TypeConflict, "a value does not fit its column: %s", cut(value))
	}
	f := p.file[index]
	if value == nullMark {
		return errs.New(errs.TypeConflict, "column %q takes no NULL, and the input has one", f.column.Name)
	}
	was := f.was
	if !f.known {
		was = f.column.Type
	}
	if f.hollow {
		return errs.New(errs.TypeConflict, "column %q is %s in the table and %s in the input: cast the input to the column's type, or alter the column", f.column.Name, typeName(was), typeName(f.in.Type))
	}
	return errs.New(errs.TypeConflict, "column %q: the value %s of type %s does not fit %s exactly: cast the input, or alter the column", f.column.Name, cut(value), typeName(f.in.Type), typeName(was))
}

// typeName shows a type as people and as the format know it.
func typeName(t datafile.Type) string {
	sql := sqlName(t)
	if t.Nested() || strings.EqualFold(sql, t.Lake()) {
		return sql
	}
	return sql + " (" + t.Lake() + ")"
}

// typeChars bounds a type in an error: it may be nested without end.
const typeChars = 120

func sqlName(t datafile.Type) string { return errs.Cut(t.SQL(), typeChars) }

func cut(s string) string { return errs.Cut(s, 40) }
