package interop

import (
	"slices"
	"strings"
)

// operations names what a snapshot did, as the catalog tells it, each with its
// direction. Only what the catalog says counts: no test says what it covers.
func (l *lake) operations(at int64) []string {
	byUs, own := l.author(at)
	out := map[string]bool{}
	for _, o := range own {
		switch o {
		case "rollback", "undrop":
			out[o] = true
		}
	}
	tokens := l.tokens(at)
	has := func(name string) bool { return slices.Contains(tokens, name) }
	if out["rollback"] || out["undrop"] {
		tokens = nil // what such a snapshot says besides is how it comes about
	}
	in, inline := has("inserted_into_table"), has("inlined_insert")
	few, many := has("inlined_delete"), has("deleted_from_table")
	switch {
	case inline && (few || many):
		out["upsert or update, rows in the catalog"] = true
	case in && few:
		out["upsert or update, dead rows in the catalog"] = true
	case in && many:
		out["upsert or update, delete files"] = true
	case few:
		out["delete, dead rows in the catalog"] = true
	case many:
		out["delete, delete files"] = true
	case in:
		out["append"] = true
	case inline:
		out["append, rows in the catalog"] = true
	}
	for token, operation := range map[string]string{
		"created_table": "create table", "dropped_table": "drop table", "created_view": "view", "dropped_view": "view",
		"created_scalar_macro": "macro", "created_table_macro": "macro", "merge_adjacent": "merge files", "compacted_table": "merge files",
		"rewrite_delete": "rewrite files", "inline_flush": "flush", "flushed_inlined": "flush",
	} {
		if has(token) {
			out[operation] = true
		}
	}
	if len(tokens) > 0 {
		l.schemaChanges(at, has("altered_table"), out)
	}
	if len(meta(l.t, l.catalog(), `SELECT 1 FROM ducklake_data_file WHERE begin_snapshot = ? AND mapping_id IS NOT NULL LIMIT 1`, at)) > 0 {
		out["files added by name"] = true
	}
	var list []string
	for operation := range out {
		list = append(list, operation+"\x00"+l.direction(byUs))
	}
	return list
}

// author tells whether the snapshot is ours, and what we call what it did.
func (l *lake) author(at int64) (bool, []string) {
	if len(meta(l.t, l.catalog(), `SELECT 1 FROM sqlite_master WHERE name = 'supertable_change'`)) == 0 {
		return false, nil
	}
	rows := meta(l.t, l.catalog(), `SELECT operation FROM supertable_change WHERE snapshot_id = ? AND principal <> 'external'`, at)
	for i, r := range rows {
		rows[i] = strings.Trim(r, `"`)
	}
	return len(rows) > 0, rows
}

// tokens are the kinds of change that a snapshot names.
func (l *lake) tokens(at int64) []string {
	var out []string
	for _, line := range meta(l.t, l.catalog(), `SELECT changes_made FROM ducklake_snapshot_changes WHERE snapshot_id = ?`, at) {
		for token := range strings.SplitSeq(strings.Trim(line, `"`), ",") {
			kind, _, _ := strings.Cut(token, ":")
			out = append(out, strings.TrimSpace(kind))
		}
	}
	return out
}

// schemaChanges adds what happened to tables and columns that were there before.
func (l *lake) schemaChanges(at int64, altered bool, out map[string]bool) {
	n := len(out)
	for _, change := range meta(l.t, l.catalog(), `
WITH now AS (SELECT c.* FROM ducklake_column c JOIN (SELECT table_id, min(begin_snapshot) AS born FROM ducklake_table GROUP BY 1) t USING (table_id) WHERE c.begin_snapshot = ?1 AND t.born < ?1),
 gone AS (SELECT c.* FROM ducklake_column c WHERE c.end_snapshot = ?1)
SELECT DISTINCT CASE WHEN coalesce(n.parent_column, g.parent_column) IS NOT NULL THEN 'nested: ' ELSE '' END || CASE
  WHEN g.column_id IS NULL AND EXISTS (SELECT 1 FROM gone o WHERE o.table_id = n.table_id AND o.column_order = n.column_order AND o.column_name = n.column_name AND n.parent_column IS NULL) THEN 'cast column'
  WHEN g.column_id IS NULL AND n.initial_default IS NOT NULL THEN 'add column with a default'
  WHEN g.column_id IS NULL THEN 'add column'
  WHEN g.column_name <> n.column_name THEN 'rename column'
  WHEN g.column_type <> n.column_type THEN 'widen column'
  WHEN g.default_value IS NOT n.default_value THEN 'another default'
  ELSE 'other change' END
FROM now n LEFT JOIN gone g ON g.table_id = n.table_id AND g.column_id = n.column_id
UNION SELECT DISTINCT CASE WHEN g.parent_column IS NOT NULL THEN 'nested: ' ELSE '' END || 'drop column' FROM gone g JOIN ducklake_table t ON t.table_id = g.table_id AND t.begin_snapshot < ?1 AND (t.end_snapshot IS NULL OR t.end_snapshot > ?1)
 WHERE NOT EXISTS (SELECT 1 FROM now n WHERE n.table_id = g.table_id AND (n.column_id = g.column_id OR n.column_order = g.column_order AND n.column_name = g.column_name AND g.parent_column IS NULL))
UNION SELECT 'rename table' FROM ducklake_table n JOIN ducklake_table o ON o.table_id = n.table_id AND o.end_snapshot = ?1 AND o.table_name <> n.table_name WHERE n.begin_snapshot = ?1
UNION SELECT 'partition' FROM ducklake_partition_info WHERE begin_snapshot = ?1 OR end_snapshot = ?1
UNION SELECT 'sort order' FROM ducklake_sort_info WHERE begin_snapshot = ?1 OR end_snapshot = ?1
UNION SELECT 'comment' FROM ducklake_tag WHERE begin_snapshot = ?1`, at) {
		out[strings.Trim(change, `"`)] = true
	}
	if altered && len(out) == n {
		out["other change"] = true
	}
}

// chores are DuckDB's calls that leave no snapshot of their own.
var chores = map[string]string{
	"CALL ducklake_expire_snapshots": "expire", "CALL ducklake_cleanup_old_files": "clean", "CALL ducklake_delete_orphaned_files": "clean", "CHECKPOINT": "checkpoint",
}
