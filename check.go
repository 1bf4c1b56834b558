package supertable

import (
	"context"
	"fmt"
	"path"
	"sort"
	"strings"

	"github.com/supertable-go/supertable/audit"
	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/rbac"
	"github.com/supertable-go/supertable/storage"
)

// probes list rows of the catalog that break an invariant of the format or of
// ours (I3, I7; the numbers are those of docs/format.md §14).
var probes = []catalog.Probe{
	{Kind: "snapshots_not_contiguous", Ours: true, Detail: "snapshot ids leave a gap below this one (2)", // expiry leaves gaps, ours with a mark; what another client expired cannot be told from what a writer left, but for snapshots of ours
		SQL: `SELECT s.snapshot_id FROM ducklake_snapshot s WHERE s.snapshot_id > (SELECT min(snapshot_id) FROM ducklake_snapshot) AND NOT EXISTS (SELECT 1 FROM ducklake_snapshot p WHERE p.snapshot_id = s.snapshot_id - 1) AND NOT EXISTS (SELECT 1 FROM supertable_change c WHERE c.snapshot_id = s.snapshot_id - 1) AND NOT EXISTS (SELECT 1 FROM ducklake_metadata WHERE "key" IN ('supertable.expired', 'supertable.synced'))`},
	{Kind: "snapshot_without_changes", Detail: "the snapshot has no row of changes", SQL: `SELECT snapshot_id FROM ducklake_snapshot WHERE snapshot_id NOT IN (SELECT snapshot_id FROM ducklake_snapshot_changes)`},
	{Kind: "time_goes_back", Detail: "the snapshot is older than the one before it", SQL: `SELECT s.snapshot_id FROM ducklake_snapshot s JOIN ducklake_snapshot p ON p.snapshot_id = s.snapshot_id - 1 WHERE replace(s.snapshot_time, ' ', 'T') < replace(p.snapshot_time, ' ', 'T')`},
	{Kind: "ids_reused", Detail: "an id is not below the newest snapshot's next id (2)", SQL: `SELECT 'file ' || data_file_id FROM ducklake_data_file WHERE data_file_id >= (SELECT max(next_file_id) FROM ducklake_snapshot) UNION ALL SELECT 'delete file ' || delete_file_id FROM ducklake_delete_file WHERE delete_file_id >= (SELECT max(next_file_id) FROM ducklake_snapshot) UNION ALL SELECT 'table ' || table_id FROM ducklake_table WHERE table_id >= (SELECT max(next_catalog_id) FROM ducklake_snapshot)`},
	{Kind: "no_schema_version", Detail: "the table has data files and no schema version (3)", SQL: `SELECT DISTINCT f.table_id FROM ducklake_data_file f WHERE NOT EXISTS (SELECT 1 FROM ducklake_schema_versions v WHERE v.table_id = f.table_id)`},
	{Kind: "no_table_stats", Detail: "the table has data files and no row of statistics (5)", SQL: `SELECT DISTINCT f.table_id FROM ducklake_data_file f WHERE NOT EXISTS (SELECT 1 FROM ducklake_table_stats s WHERE s.table_id = f.table_id)`},
	{Kind: "row_ids_overlap", Detail: "row ids of the file reach the table's next row id (5)", // a file of several snapshots may hold a row id more than once
		SQL: `SELECT f.data_file_id FROM ducklake_data_file f JOIN ducklake_table_stats s ON s.table_id = f.table_id WHERE f.row_id_start + CASE WHEN f.partial_max IS NULL THEN f.record_count ELSE min(f.record_count, 1) END > s.next_row_id`},
	{Kind: "unknown_change", Detail: "compacted_table is not understood by DuckDB's conflict checks (6)", SQL: `SELECT snapshot_id FROM ducklake_snapshot_changes WHERE changes_made LIKE '%compacted_table%'`},
	{Kind: "view_aliases", Detail: "column_aliases is NULL: DuckDB cannot open the catalog (7)", SQL: `SELECT view_name FROM ducklake_view WHERE column_aliases IS NULL`},
	{Kind: "bad_scope", Detail: "DuckDB cannot open a catalog with this scope (8)", SQL: `SELECT "key" FROM ducklake_metadata WHERE "scope" IS NOT NULL AND "scope" NOT IN ('schema', 'table')`},
	{Kind: "two_delete_files", Detail: "the data file has two live delete files (12)", SQL: `SELECT data_file_id FROM ducklake_delete_file WHERE end_snapshot IS NULL GROUP BY data_file_id HAVING count(*) > 1`},
	{Kind: "delete_without_file", Detail: "the delete file's data file is gone", SQL: `SELECT d.delete_file_id FROM ducklake_delete_file d WHERE NOT EXISTS (SELECT 1 FROM ducklake_data_file f WHERE f.data_file_id = d.data_file_id)`},
	{Kind: "live_in_dropped", Detail: "the file is live in a table that is not", SQL: `SELECT f.data_file_id FROM ducklake_data_file f WHERE f.end_snapshot IS NULL AND NOT EXISTS (SELECT 1 FROM ducklake_table t WHERE t.table_id = f.table_id AND t.end_snapshot IS NULL)`},
	{Kind: "duplicate_table", Detail: "two live tables, or a table and a view, have this name", SQL: `SELECT name FROM (SELECT schema_id, table_name AS name FROM ducklake_table WHERE end_snapshot IS NULL UNION ALL SELECT schema_id, view_name FROM ducklake_view WHERE end_snapshot IS NULL) GROUP BY schema_id, lower(name) HAVING count(*) > 1`},
	{Kind: "two_names", Detail: "the table has two live names: DuckDB cannot open the catalog", SQL: `SELECT max(table_name) FROM ducklake_table WHERE end_snapshot IS NULL GROUP BY table_id HAVING count(*) > 1`},
	{Kind: "duplicate_column", Detail: "two live columns of a table have this name or id", SQL: `SELECT table_id || ': ' || column_name FROM ducklake_column WHERE end_snapshot IS NULL GROUP BY table_id, coalesce(parent_column, -1), lower(column_name) HAVING count(*) > 1 UNION ALL SELECT table_id || ': ' || column_id FROM ducklake_column WHERE end_snapshot IS NULL GROUP BY table_id, column_id HAVING count(*) > 1`},
	{Kind: "duplicate_path", Detail: "two rows own one file", SQL: `SELECT path FROM (SELECT table_id, path FROM ducklake_data_file UNION ALL SELECT table_id, path FROM ducklake_delete_file) GROUP BY table_id, path HAVING count(*) > 1`},
	{Kind: "bad_interval", Detail: "a row ends before it begins", // what one transaction of DuckDB makes and changes may end where it begins
		SQL: `SELECT 'file ' || data_file_id FROM ducklake_data_file WHERE end_snapshot < begin_snapshot UNION ALL SELECT 'table ' || table_id FROM ducklake_table WHERE end_snapshot < begin_snapshot UNION ALL SELECT 'column ' || column_id FROM ducklake_column WHERE end_snapshot < begin_snapshot`},
	{Kind: "unsynced_schema", Detail: "a schema changed and the schema version did not (3)", SQL: `SELECT v.begin_snapshot FROM ducklake_schema_versions v JOIN ducklake_snapshot s ON s.snapshot_id = v.begin_snapshot WHERE s.schema_version <> v.schema_version`},
}

// Check compares the catalog with storage and verifies every invariant; deep
// also reads every file and verifies its checksum.
func (s *Session) Check(ctx context.Context, deep bool) (_ CheckReport, err error) {
	defer s.guarded(ctx, "check", "")(&err)
	if err := s.need(ctx, rbac.Control, ""); err != nil {
		return CheckReport{}, err
	}
	if err := s.st.catalog.CatchUp(ctx); err != nil {
		return CheckReport{}, err
	}
	if err := s.st.catalog.CatchUpLog(ctx); err != nil {
		return CheckReport{}, err
	}
	reading := s.st.catalog.Reading() // files are looked at after the catalog
	defer reading.End()
	c := &checker{s: s, deep: deep, report: CheckReport{Findings: []Finding{}}}
	// The data folder is listed first: a file that is committed meanwhile is
	// then known, one that is published meanwhile is not listed.
	stored, err := s.st.folder.DataFiles()
	if err != nil {
		return CheckReport{}, err
	}
	staged, err := s.st.folder.StagedFiles()
	if err != nil {
		return CheckReport{}, err
	}
	leased, err := s.st.catalog.Leased(ctx)
	if err != nil {
		return CheckReport{}, err
	}
	err = s.st.catalog.Read(ctx, func(v *catalog.View) error { return c.run(ctx, v, stored, leased) })
	if err == nil {
		err = c.staging(ctx, staged, leased)
	}
	if err == nil {
		err = c.log(ctx)
	}
	c.report.OK = len(c.report.Findings) == 0
	return c.report, err
}

type checker struct {
	s      *Session
	deep   bool
	report CheckReport
}

// log adds what is wrong with the log that a lost catalog is rebuilt from.
func (c *checker) log(ctx context.Context) error {
	found, err := c.s.st.catalog.CheckLog(ctx, c.deep)
	for _, f := range found {
		c.find(f.Kind, f.Object, f.Detail)
	}
	return err
}

func (c *checker) find(kind, object, detail string) {
	c.report.Findings = append(c.report.Findings, Finding{kind, object, detail})
}

func (c *checker) run(ctx context.Context, v *catalog.View, stored []string, leased map[string]bool) error {
	bad, err := v.IntegrityCheck(ctx)
	if err != nil {
		return err
	}
	if bad != "" {
		c.find("bad_catalog", "catalog.db", bad)
	}
	broken, err := v.Violations(ctx, probes)
	if err != nil {
		return err
	}
	for _, p := range probes {
		for _, object := range broken[p] {
			c.find(p.Kind, object, p.Detail)
		}
	}
	if err := c.files(ctx, v, stored, leased); err != nil {
		return err
	}
	if err := c.audit(ctx, v); err != nil {
		return err
	}
	return c.tables(ctx, v)
}

// files compares what the catalog names with what is stored.
func (c *checker) files(ctx context.Context, v *catalog.View, stored []string, leased map[string]bool) error {
	facts, err := v.AllFiles(ctx)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, f := range facts {
		known[f.Rel] = true
		if f.Gone {
			continue
		}
		if err := errs.FromContext(ctx, "check"); err != nil {
			return err
		}
		c.file(f)
	}
	sort.Strings(stored)
	for _, rel := range stored {
		if !known[rel] && !leased[rel] {
			c.find("unknown_file", path.Base(rel), "lies in the data folder and no snapshot names it")
		}
	}
	return nil
}

func (c *checker) file(f catalog.FileFact) {
	err := catalog.CheckFile(f.Path, f.Size, f.Footer)
	if strings.HasSuffix(f.Path, ".puffin") {
		err = catalog.CheckSize(f.Path, f.Size)
	}
	if err != nil {
		kind := "damaged_file"
		if strings.Contains(err.Error(), "is missing") {
			kind = "missing_file"
		}
		c.find(kind, path.Base(f.Rel), err.Error())
		return
	}
	if !c.deep || f.SHA256 == "" {
		return
	}
	sum, err := storage.Checksum(f.Path)
	if err != nil {
		c.find("damaged_file", path.Base(f.Rel), err.Error())
	} else if sum != f.SHA256 {
		c.find("bad_checksum", path.Base(f.Rel), "the bytes are not those that were written")
	}
}

// audit walks the chain of the audit, in a deep check.
func (c *checker) audit(ctx context.Context, v *catalog.View) error {
	if !c.deep || c.s.st.audit == nil {
		return nil
	}
	found, err := audit.Verify(ctx, v, "")
	if err == nil && !found.Valid {
		c.find("broken_audit", fmt.Sprintf("record %d", *found.FirstBroken), "the audit's chain is broken here")
	}
	return err
}

// tables compares the live counts that the commits kept with the files, and
// reads every delete.
func (c *checker) tables(ctx context.Context, v *catalog.View) error {
	list, err := v.Listing(ctx)
	if err != nil {
		return err
	}
	for _, l := range list {
		var rows, files, bytes int64
		all, err := v.Files(ctx, l.Table, v.Head.ID, nil)
		if err != nil {
			c.find("unreadable_table", l.Name, err.Error())
			continue
		}
		for i := range all {
			dead, err := v.Dead(ctx, l.Table, &all[i], v.Head.ID)
			if err != nil {
				c.find("unreadable_deletes", l.Name, err.Error())
				continue
			}
			n := dead.Count()
			files, bytes, rows = files+1, bytes+all[i].Size, rows+all[i].Records-n
		}
		inlined, err := v.CountInlinedRows(ctx, l.Table, v.Head.ID)
		if err != nil {
			return err
		}
		if rows += inlined; rows != l.Rows || files != l.Files || bytes != l.Bytes {
			c.find("live_counts", l.Name, "the listing's rows, files or bytes are not those of the files")
		}
		if _, err := v.Columns(ctx, l.ID, v.Head.ID); err != nil {
			c.find("unreadable_table", l.Name, err.Error())
		}
	}
	return nil
}
