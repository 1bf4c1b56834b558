package scan

import (
	"fmt"
	"strings"

	"github.com/supertable-go/supertable/datafile"
)

// The columns that LineageSQL adds, under the format's own names: no user's
// column may have them.
const (
	RowIDColumn    = "_ducklake_internal_row_id"
	SnapshotColumn = "_ducklake_internal_snapshot_id"
)

// LineageSQL is SQL with two more columns, for files that are written again:
// each row's id and the snapshot at which it came. Rows come in the order of
// the files; those that the catalog itself holds are left out.
func (r *Scan) LineageSQL(live Live) (string, error) {
	again := *r
	again.lineage, again.inlined = true, nil
	return again.SQL(live)
}

// addLineage selects the row id and snapshot that the file itself has, else
// those that follow from the catalog: the file's first row id and the row's
// place, the file's first snapshot.
func addLineage(b *branch, schema, sel []string) (schema2, sel2 []string) {
	starts, begins := make([]string, len(b.files)), make([]string, len(b.files))
	for i, f := range b.files {
		starts[i], begins[i] = fmt.Sprint(f.RowIDStart), fmt.Sprint(f.Begin)
	}
	of := func(list []string) string {
		return "CAST([" + strings.Join(list, ", ") + "] AS BIGINT[])[CAST(file_index AS BIGINT) + 1]"
	}
	schema = append(schema, fmt.Sprintf("%d: {name: 'lineage_row', type: 'BIGINT', default_value: NULL::VARCHAR}", datafile.RowIDField))
	if !b.key.partial {
		schema = append(schema, fmt.Sprintf("%d: {name: 'snapshot', type: 'BIGINT', default_value: NULL::VARCHAR}", datafile.SnapshotIDField))
	}
	return schema, append(sel,
		fmt.Sprintf("coalesce(lineage_row, %s + file_row_number) AS %s", of(starts), RowIDColumn),
		fmt.Sprintf("coalesce(snapshot, %s) AS %s", of(begins), SnapshotColumn))
}
