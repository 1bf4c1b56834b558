package catalog

import (
	"context"

	"github.com/supertable-go/supertable/internal/errs"
)

// MappedColumn tells where a file that is read by name has a column.
type MappedColumn struct {
	Source    string // the column's name in the file
	Field     int64  // the table's field id
	Parent    int64  // index of the parent in the mapping, -1 at the top
	Index     int64
	Partition bool // the value stands in the path, as name=value
}

// Mapping gives a name mapping.
func (v *View) Mapping(ctx context.Context, id int64) ([]MappedColumn, error) {
	var kind string
	if err := v.q.QueryRowContext(ctx, `SELECT "type" FROM ducklake_column_mapping WHERE mapping_id = ?`, id).Scan(&kind); err != nil {
		return nil, errs.Wrap(errs.Corrupt, err, "the catalog has no column mapping %d", id)
	}
	if kind != "map_by_name" {
		return nil, errs.New(errs.Unsupported, "column mappings of type %q are not supported", kind)
	}
	rows, err := v.q.QueryContext(ctx, `SELECT source_name, target_field_id, coalesce(parent_column, -1), column_id, coalesce(is_partition, 0) FROM ducklake_name_mapping WHERE mapping_id = ? ORDER BY column_id`, id)
	if err != nil {
		return nil, sqlError(ctx, err, "read a column mapping")
	}
	defer func() { _ = rows.Close() }()
	var out []MappedColumn
	for rows.Next() {
		var m MappedColumn
		if err := rows.Scan(&m.Source, &m.Field, &m.Parent, &m.Index, &m.Partition); err != nil {
			return nil, sqlError(ctx, err, "read a column mapping")
		}
		out = append(out, m)
	}
	return out, sqlError(ctx, rows.Err(), "read a column mapping")
}

// Reshaped lists the snapshots in which nested columns of a table may have
// changed: a client may have written a file before the change, in the same
// transaction, or after it.
func (v *View) Reshaped(ctx context.Context, table Table) (map[int64]bool, error) {
	list, err := v.ids(ctx, `SELECT c.end_snapshot FROM ducklake_column c WHERE c.table_id = ?1 AND c.parent_column IS NOT NULL AND c.end_snapshot IS NOT NULL`+v.notOurs(`c.end_snapshot`)+`
 UNION SELECT c.begin_snapshot FROM ducklake_column c WHERE c.table_id = ?1 AND c.parent_column IS NOT NULL
 AND c.begin_snapshot > (SELECT min(p.begin_snapshot) FROM ducklake_column p WHERE p.table_id = ?1 AND p.column_id = c.parent_column)`+v.notOurs(`c.begin_snapshot`), table.ID)
	out := map[int64]bool{}
	for _, at := range list {
		out[at] = true
	}
	return out, err
}

// SchemaVersions lists the snapshots at which the table's physical schema
// changed, ascending: files of one interval have one schema.
func (v *View) SchemaVersions(ctx context.Context, table Table) ([]int64, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT DISTINCT begin_snapshot FROM ducklake_schema_versions WHERE table_id = ? ORDER BY 1`, table.ID)
	if err != nil {
		return nil, sqlError(ctx, err, "read the schema versions")
	}
	defer func() { _ = rows.Close() }()
	var out []int64
	for rows.Next() {
		var n int64
		if err := rows.Scan(&n); err != nil {
			return nil, sqlError(ctx, err, "read the schema versions")
		}
		out = append(out, n)
	}
	return out, sqlError(ctx, rows.Err(), "read the schema versions")
}
