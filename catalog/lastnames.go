package catalog

import "context"

// LastNames gives the name that a table has now, or had when it was dropped,
// and those of its columns, also of dropped ones, by id: rules are about names,
// and what was renamed must not be reached under an older one.
func (v *View) LastNames(ctx context.Context, table int64) (string, map[int64]string, error) {
	tables, err := v.lastNames(ctx, `SELECT table_id, table_name FROM ducklake_table WHERE table_id = ?1 AND begin_snapshot <= ?2 ORDER BY begin_snapshot`, table, v.Head.ID)
	if err != nil {
		return "", nil, err
	}
	columns, err := v.lastNames(ctx, `SELECT column_id, column_name FROM ducklake_column WHERE table_id = ?1 AND parent_column IS NULL AND begin_snapshot <= ?2 ORDER BY begin_snapshot`, table, v.Head.ID)
	return tables[table], columns, err
}

// LastTableNames gives the names of all tables that there are or were, by id,
// as LastNames does.
func (v *View) LastTableNames(ctx context.Context) (map[int64]string, error) {
	return v.lastNames(ctx, `SELECT table_id, table_name FROM ducklake_table WHERE begin_snapshot <= ?1 ORDER BY begin_snapshot`, v.Head.ID)
}

func (v *View) lastNames(ctx context.Context, query string, args ...any) (map[int64]string, error) {
	rows, err := v.q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, sqlError(ctx, err, "read the names")
	}
	defer func() { _ = rows.Close() }()
	out := map[int64]string{}
	for rows.Next() {
		var id int64
		var name string
		if err := rows.Scan(&id, &name); err != nil {
			return nil, sqlError(ctx, err, "read the names")
		}
		out[id] = name
	}
	return out, sqlError(ctx, rows.Err(), "read the names")
}
