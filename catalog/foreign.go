package catalog

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/supertable-go/supertable/internal/errs"
)

// InlinedTable holds rows of a table inside the catalog, all of one schema version.
type InlinedTable struct {
	name string
	// SchemaAt is the snapshot whose columns the rows have.
	SchemaAt int64
}

// InlinedTables lists where the catalog itself holds rows of table.
func (v *View) InlinedTables(ctx context.Context, table Table) ([]InlinedTable, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT i.table_name, coalesce(
  (SELECT s.begin_snapshot FROM ducklake_schema_versions s WHERE s.table_id = i.table_id AND s.schema_version = i.schema_version),
  (SELECT max(s.begin_snapshot) FROM ducklake_schema_versions s WHERE s.table_id = i.table_id AND s.schema_version <= i.schema_version),
  (SELECT min(t.begin_snapshot) FROM ducklake_table t WHERE t.table_id = i.table_id))
 FROM ducklake_inlined_data_tables i WHERE i.table_id = ? ORDER BY i.schema_version`, table.ID)
	if err != nil {
		return nil, sqlError(ctx, err, "read the inlined tables")
	}
	defer func() { _ = rows.Close() }()
	var out []InlinedTable
	for rows.Next() {
		var t InlinedTable
		var at sql.NullInt64
		if err := rows.Scan(&t.name, &at); err != nil {
			return nil, sqlError(ctx, err, "read the inlined tables")
		}
		t.SchemaAt = at.Int64
		out = append(out, t)
	}
	return out, sqlError(ctx, rows.Err(), "read the inlined tables")
}

// InlinedRows gives the rows that t holds at snapshot at: per row the values
// of the named columns, each nil, int64, string or []byte as SQLite has them.
func (v *View) InlinedRows(ctx context.Context, t InlinedTable, at int64, columns []string) ([][]any, error) {
	quoted := make([]string, len(columns))
	for i, c := range columns {
		quoted[i] = `"` + strings.ReplaceAll(c, `"`, `""`) + `"`
	}
	query := fmt.Sprintf(`SELECT %s FROM "%s" WHERE begin_snapshot <= ?1 AND (end_snapshot IS NULL OR ?1 < end_snapshot) ORDER BY row_id`,
		strings.Join(quoted, ", "), strings.ReplaceAll(t.name, `"`, `""`))
	rows, err := v.q.QueryContext(ctx, query, at)
	if err != nil {
		return nil, sqlError(ctx, err, "read inlined rows")
	}
	defer func() { _ = rows.Close() }()
	var out [][]any
	for rows.Next() {
		row, ptr := make([]any, len(columns)), make([]any, len(columns))
		for i := range row {
			ptr[i] = &row[i]
		}
		if err := rows.Scan(ptr...); err != nil {
			return nil, sqlError(ctx, err, "read inlined rows")
		}
		out = append(out, row)
	}
	return out, sqlError(ctx, rows.Err(), "read inlined rows")
}

// CountInlinedRows is the number of rows at snapshot at that the catalog itself holds.
func (v *View) CountInlinedRows(ctx context.Context, table Table, at int64) (int64, error) {
	inlined, err := v.InlinedTables(ctx, table)
	var sum int64
	for _, t := range inlined {
		var n int64
		query := fmt.Sprintf(`SELECT count(*) FROM "%s" WHERE begin_snapshot <= ?1 AND (end_snapshot IS NULL OR ?1 < end_snapshot)`, strings.ReplaceAll(t.name, `"`, `""`))
		if err := v.q.QueryRowContext(ctx, query, at).Scan(&n); err != nil {
			return 0, sqlError(ctx, err, "count inlined rows")
		}
		sum += n
	}
	return sum, err
}

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
