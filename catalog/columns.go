package catalog

import (
	"database/sql"

	"github.com/supertable-go/supertable/datafile"
)

// flatten turns column trees into catalog rows, parents before children. A
// node that is there already keeps its order and defaults.
func flatten(cols []datafile.Column, old []column) []column {
	known := make(map[int64]column, len(old))
	for _, c := range old {
		known[c.id] = c
	}
	var out []column
	var last int64
	for _, c := range cols {
		row := column{id: c.ID, order: c.ID, name: c.Name, typ: c.Type.Lake(), nullable: true}
		if k, ok := known[c.ID]; ok {
			row.order, row.initial, row.def, row.defaultKind, row.nullable = k.order, k.initial, k.def, k.defaultKind, k.nullable
		} else {
			row.initial, row.def = text(c.InitialDefault), text(c.Default)
		}
		// Order follows the list: a column that took another's place (a new
		// id for a column that never had a value) keeps its position.
		if row.order <= last {
			row.order = last + 1
		}
		last = row.order
		out = append(out, row)
		out = flattenFields(out, c.ID, c.Type, known)
	}
	return out
}

func flattenFields(out []column, parent int64, t datafile.Type, known map[int64]column) []column {
	for _, f := range t.Fields {
		row := column{id: f.ID, order: f.ID, name: f.Name, typ: f.Type.Lake(), nullable: true, parent: sql.NullInt64{Int64: parent, Valid: true}}
		if k, ok := known[f.ID]; ok {
			row.order, row.initial, row.def, row.defaultKind, row.nullable = k.order, k.initial, k.def, k.defaultKind, k.nullable
		}
		out = append(out, row)
		out = flattenFields(out, f.ID, f.Type, known)
	}
	return out
}

func text(s *string) sql.NullString {
	if s == nil {
		return sql.NullString{}
	}
	return sql.NullString{String: *s, Valid: true}
}

// diffColumns says which column ids end and which rows are new: a row that
// changed ends and begins again under the same id.
func diffColumns(old, want []column) (end []int64, add []column) {
	left := make(map[int64]column, len(old))
	for _, c := range old {
		left[c.id] = c
	}
	for _, c := range want {
		o, ok := left[c.id]
		delete(left, c.id)
		if ok && o.name == c.name && o.typ == c.typ && o.order == c.order && o.parent == c.parent {
			continue
		}
		if ok {
			end = append(end, c.id)
		}
		add = append(add, c)
	}
	for _, c := range old {
		if _, gone := left[c.id]; gone {
			end = append(end, c.id)
		}
	}
	return end, add
}

func (a *applier) insertColumns(rows []column) error {
	for _, c := range rows {
		def, kind := c.def, c.defaultKind
		if !kind.Valid {
			kind = sql.NullString{String: "literal", Valid: true}
		}
		if !def.Valid {
			def = sql.NullString{String: "NULL", Valid: true}
		}
		err := a.exec(`INSERT INTO ducklake_column (column_id, begin_snapshot, end_snapshot, table_id, column_order, column_name, column_type, initial_default, default_value, nulls_allowed, parent_column, default_value_type, default_value_dialect)
 VALUES (?, ?, NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'duckdb')`, c.id, a.next.ID, a.table.ID, c.order, c.name, c.typ, c.initial, def, c.nullable, c.parent, kind)
		if err != nil {
			return err
		}
	}
	return nil
}
