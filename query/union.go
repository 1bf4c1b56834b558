package query

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/query/statement"
	"github.com/supertable-go/supertable/rbac"
	"github.com/supertable-go/supertable/scan"
)

// lookUpUnion resolves a SuperTable's own name: the union by column name of
// the tables that the principal may read, without those named __x__
// (decisions 11 and 23).
func (q *run) lookUpUnion(ctx context.Context, v *catalog.View, r *reference) error {
	r.union = true
	tables, err := v.Tables(ctx, r.at.ID)
	if err != nil {
		return err
	}
	for _, t := range tables {
		if rbac.SystemTable(t.Name) || !readable(r.super.grant, t.Name) {
			continue
		}
		m, err := newMember(ctx, v, r.super.grant, t, r.at.ID)
		if err != nil {
			return err
		}
		if m != nil {
			r.members = append(r.members, m)
		}
	}
	if len(r.members) == 0 {
		return errs.New(errs.NotFound, "SuperTable %s has no tables to read", r.super.Name)
	}
	r.columns, err = unionColumns(r.members)
	return err
}

// unionColumns unites the members' columns in the order of first appearance;
// columns of one name widen without loss or are an error that names both tables.
func unionColumns(members []*member) ([]datafile.Column, error) {
	var out []datafile.Column
	from := map[string]string{}
	for _, m := range members {
		for _, c := range m.columns {
			i := datafile.FindColumn(out, c.Name)
			if i < 0 {
				out = append(out, datafile.Column{Name: c.Name, Type: c.Type.Clone(), Nullable: true})
				from[strings.ToLower(c.Name)] = m.table.Name
				continue
			}
			t, ok := widest(out[i].Type, c.Type)
			if !ok {
				return nil, errs.New(errs.TypeConflict, "column %q is %s in table %s and %s in table %s: the SuperTable's union needs one type", c.Name, out[i].Type.SQL(), from[strings.ToLower(c.Name)], c.Type.SQL(), m.table.Name)
			}
			out[i].Type = t
		}
	}
	return out, nil
}

// widest gives the type that holds every value of both.
func widest(a, b datafile.Type) (datafile.Type, bool) {
	t, ok := datafile.Unify(a, b)
	if !ok {
		t, ok = datafile.Unify(b, a)
	}
	if ok && datafile.Widens(a, t) && datafile.Widens(b, t) {
		return t, true
	}
	if t, ok = datafile.Unify(b, a); ok && datafile.Widens(a, t) && datafile.Widens(b, t) {
		return t, true
	}
	return datafile.Type{}, false
}

// sql gives the reference's rows as the principal sees them.
func (r *reference) sql(live scan.Live, mayRaise bool, use statement.Use) (string, error) {
	if r.fixed != "" {
		return r.fixed, nil
	}
	if r.counted(use) {
		return r.members[0].scan.CountSQL(live)
	}
	if !r.union {
		return r.members[0].sql(live, mayRaise, use.Filter)
	}
	columns := r.used(use)
	var parts []string
	for _, m := range r.members {
		inner, err := m.sql(live, mayRaise, nil) // a condition on the union may mean another type than the member's
		if err != nil {
			return "", err
		}
		sel := make([]string, len(columns))
		for i, c := range columns {
			expr := "CAST(NULL AS " + c.Type.SQL() + ")"
			if k := datafile.FindColumn(m.columns, c.Name); k >= 0 && m.shown(c.Name) {
				expr = datafile.Convert(datafile.Quote(m.columns[k].Name), m.columns[k].Type, c.Type, true, "read")
			}
			sel[i] = expr + " AS " + datafile.Quote(c.Name)
		}
		parts = append(parts, fmt.Sprintf("SELECT %s FROM (%s)", strings.Join(sel, ", "), inner))
	}
	return strings.Join(parts, "\nUNION ALL\n"), nil
}

// counted reports whether of the reference's rows only the number matters.
// Where the text gives names to the columns, they stand for their places.
func (r *reference) counted(use statement.Use) bool {
	return r.fixed == "" && !r.union && !r.t.Renamed && !use.Star && len(use.Columns) == 0 && r.members[0].access.Rows.All
}

// extremes gives the columns of which only the least and greatest values matter,
// besides the number of rows: where the principal sees them as they are.
func (r *reference) extremes(use statement.Use) []datafile.Column {
	if !use.Extremes || r.fixed != "" || r.union {
		return nil
	}
	m := r.members[0]
	var out []datafile.Column
	for _, name := range use.Columns {
		c, ok := m.clear().column(name)
		if !ok || !m.access.Rows.All {
			return nil
		}
		out = append(out, c)
	}
	return out
}

// used gives the columns of a union's view: all, or, when rules restrict some
// member, those that the text uses, so that no other is there to be read.
func (r *reference) used(use statement.Use) []datafile.Column {
	restricted := false
	for _, m := range r.members {
		restricted = restricted || !m.whole()
	}
	if use.Star || !restricted {
		return r.columns
	}
	var out []datafile.Column
	for _, c := range r.columns {
		if slices.ContainsFunc(use.Columns, func(u string) bool { return strings.EqualFold(u, c.Name) }) {
			out = append(out, c)
		}
	}
	if len(out) == 0 {
		out = r.columns[:1] // only the rows count
	}
	return out
}

// metadataView answers information_schema.tables and .columns with our own
// facts: what the principal may see, and nothing of the engine.
func (q *run) metadataView(ctx context.Context, v *catalog.View, r *reference) error {
	tables, err := v.Tables(ctx, r.at.ID)
	if err != nil {
		return err
	}
	var rows []string
	for _, t := range tables {
		name, current, err := today(ctx, v, t, r.at.ID)
		if err != nil {
			return err
		}
		if !known(r.super.grant, t.Name) || !known(r.super.grant, name) {
			continue
		}
		head := []string{datafile.QuoteText(r.super.Organization), datafile.QuoteText(r.super.Name), datafile.QuoteText(t.Name)}
		if strings.EqualFold(r.t.Name, "tables") {
			rows = append(rows, "("+strings.Join(append(head, "'BASE TABLE'"), ", ")+")")
			continue
		}
		cols, err := v.Columns(ctx, t.ID, r.at.ID)
		if err != nil {
			return err
		}
		for i, c := range scan.VisibleColumns(r.super.grant.RulesUnder(meta, t.Name, name), cols, current) {
			rows = append(rows, "("+strings.Join(append(head[:3:3], datafile.QuoteText(c.Name), fmt.Sprint(i+1), datafile.QuoteText(c.Type.SQL()), "'YES'"), ", ")+")")
		}
	}
	names := []string{"table_catalog", "table_schema", "table_name", "table_type"}
	if !strings.EqualFold(r.t.Name, "tables") {
		names = []string{"table_catalog", "table_schema", "table_name", "column_name", "ordinal_position", "data_type", "is_nullable"}
	}
	for _, n := range names {
		r.columns = append(r.columns, datafile.Column{Name: n})
	}
	r.fixed = fixedSQL(names, rows)
	return nil
}

// known reports whether the principal may know that a table exists.
func known(g rbac.Grant, table string) bool {
	return g.Permits(rbac.Read, table) || g.Permits(rbac.Meta, table)
}

// fixedSQL is a relation of constants.
func fixedSQL(names, rows []string) string {
	tail := ""
	if len(rows) == 0 {
		nulls := strings.TrimSuffix(strings.Repeat("NULL::VARCHAR, ", len(names)), ", ")
		rows, tail = []string{"(" + nulls + ")"}, " WHERE false"
	}
	return fmt.Sprintf("SELECT * FROM (VALUES %s) m(%s)%s", strings.Join(rows, ", "), strings.Join(names, ", "), tail)
}
