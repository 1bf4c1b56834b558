package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/internal/invariant"
)

// Change is what one snapshot changes in one table. Everything in it was
// decided on the View that the commit gave (no conflict can come between).
type Change struct {
	// Create makes a new table; Table is the table that is there otherwise.
	Create *NewTable
	Table  Table
	// Columns, when not nil, are the table's columns from now on, all of them.
	Columns []datafile.Column
	// Rename, when not "", is the table's new name.
	Rename string
	// Drop ends the table.
	Drop bool
	// Restore brings an earlier state back; Remove then lists every file that
	// is not part of it.
	Restore *Restore
	// Add are new data files, durable under data/ (I2).
	Add []NewFile
	// Rows are new rows that the catalog itself keeps.
	Rows *NewRows
	// EndRows are rows inside the catalog that are dead from now on.
	EndRows []EndedRows
	// Remove are the data files that no longer have a live row.
	Remove []int64
	// Inline and Deletes list rows that are dead from now on, in the catalog
	// itself and in delete files. A file stands in one of them at most.
	Inline  []NewInlined
	Deletes []NewDelete
	// OnlyWriteID keeps the write id of a call that changed nothing: no
	// snapshot is made.
	OnlyWriteID bool
	// Maintain changes how rows are stored; it comes alone.
	Maintain *Maintenance
	// Lease is the lease of the new files; "" when there are none.
	Lease  string
	Record Record
	// Move, when not nil, are the monitoring records that the new files hold.
	Move *ChunkMove
	// Note, when not nil, gives the record that the change leaves of itself; it
	// is kept in the same transaction.
	Note func(Committed) *Chunk
}

// NewTable is a table to make.
type NewTable struct {
	Name    string
	Columns []datafile.Column // with ids
}

// NewFile is a data file to name.
type NewFile struct {
	Rel     string // path relative to the data folder
	Records int64
	Size    int64
	Footer  int64
	SHA256  string
	Stats   []datafile.Stats
}

// NewInlined lists rows of a data file that die, ascending.
type NewInlined struct {
	File      int64
	Positions []int64
}

// NewDelete is a delete file to name: all dead rows of one data file.
type NewDelete struct {
	File       int64
	Rel        string
	Count      int64
	Size       int64
	Footer     int64
	SHA256     string
	PartialMax *int64      // set when positions carry their snapshot ids
	Replaces   *DeleteFile // the delete file that this one holds and replaces
	// Begin is the first snapshot that reads the file. 0 is the commit's own,
	// or that of the file which it replaces.
	Begin int64
}

// Record is what the history keeps of a change.
type Record struct {
	Operation                  string
	Inserted, Deleted, Skipped int64
	Rows                       int64 // rows that the table gains, dead ones of the new files not counted
	Principal, Message         string
	Lineage                    string // JSON; "" for none
	WriteID, Signature         string
	Result                     func(Committed) string // JSON kept with WriteID
}

// Committed says where a change landed.
type Committed struct {
	Snapshot int64
	Version  int64
	TableID  int64
}

// apply writes a change as the snapshot after v.Head and moves v.Head to it.
func (v *View) apply(ctx context.Context, ch *Change) (Committed, error) {
	if err := v.checkLease(ctx, ch.Lease); err != nil {
		return Committed{}, err
	}
	if ch.OnlyWriteID {
		return v.keepWriteID(ctx, ch)
	}
	a := &applier{View: v, ctx: ctx, ch: ch, table: ch.Table, next: v.Head}
	a.next.ID++
	a.next.Time = v.c.opts.Now().UTC().Truncate(time.Microsecond) // what the catalog stores
	if !a.next.Time.After(v.Head.Time) {                          // times always grow, whatever the clock does
		a.next.Time = v.Head.Time.Add(time.Microsecond)
	}
	for _, step := range []func() error{a.createTable, a.alterTable, a.dropTable, a.restore, a.addFiles, a.addRows, a.removeFiles, a.addDeletes, a.endInlined, a.maintain, a.finish, a.sideTables, a.moveChunks, a.noteWrite} {
		if err := step(); err != nil {
			return Committed{}, err
		}
	}
	invariant.Check(a.next.ID == v.Head.ID+1, "snapshot %d after %d", a.next.ID, v.Head.ID) // I3
	v.Head = a.next
	return Committed{Snapshot: a.next.ID, Version: a.version, TableID: a.table.ID}, nil
}

func (v *View) keepWriteID(ctx context.Context, ch *Change) (Committed, error) {
	version, err := v.Version(ctx, ch.Table.ID)
	done := Committed{Snapshot: v.Head.ID, Version: version, TableID: ch.Table.ID}
	if err == nil {
		err = v.audit(ctx, ch, ch.Table.Name, v.Head.ID)
	}
	if err != nil || ch.Record.WriteID == "" {
		return done, err
	}
	_, err = v.q.ExecContext(ctx, `INSERT INTO supertable_write_id (table_id, write_id, signature, result) VALUES (?, ?, ?, ?)`,
		ch.Table.ID, ch.Record.WriteID, ch.Record.Signature, ch.Record.Result(done))
	return done, sqlError(ctx, err, "keep the write id")
}

// applier writes one change, step by step.
type applier struct {
	*View
	ctx     context.Context //nolint:containedctx // lives for one call of apply
	ch      *Change
	table   Table
	next    Snapshot
	schema  bool     // a schema object changed
	changes []string // entries of changes_made
	version int64
	gained  liveState // files and bytes that maintenance adds or takes
}

func (a *applier) exec(query string, args ...any) error {
	_, err := a.q.ExecContext(a.ctx, query, args...)
	return sqlError(a.ctx, err, "write the catalog")
}

func (a *applier) note(format string, args ...any) {
	a.changes = append(a.changes, fmt.Sprintf(format, args...))
}

// noteOnce notes what several parts of a change may do.
func (a *applier) noteOnce(format string, args ...any) {
	if entry := fmt.Sprintf(format, args...); !slices.Contains(a.changes, entry) {
		a.changes = append(a.changes, entry)
	}
}

func quoteChange(name string) string {
	return `"main"."` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

func (a *applier) createTable() error {
	if a.ch.Create == nil {
		return nil
	}
	a.table = Table{ID: a.next.nextCatalogID, Name: a.ch.Create.Name, Begin: a.next.ID, path: a.c.dataPath + TableDir(a.ch.Create.Name)}
	if err := a.nameFree(); err != nil {
		return err
	}
	a.next.nextCatalogID++
	a.schema = true
	a.note("created_table:%s", quoteChange(a.table.Name))
	if err := a.insertTable(uuid.NewString(), a.table.Name+"/", true); err != nil {
		return err
	}
	if err := a.schemaVersion(); err != nil {
		return err
	}
	if err := a.inlineTable(a.ch.Create.Columns); err != nil {
		return err
	}
	return a.insertColumns(flatten(a.ch.Create.Columns, nil))
}

// nameFree refuses the table's name when another client's view has it: to
// DuckDB tables and views share their names, and the view hides the table.
func (a *applier) nameFree() error {
	views, err := a.ids(a.ctx, `SELECT view_id FROM ducklake_view w JOIN ducklake_schema s ON s.schema_id = w.schema_id AND s.schema_name = 'main' AND s.end_snapshot IS NULL WHERE w.end_snapshot IS NULL AND w.view_name = ? COLLATE NOCASE`, a.table.Name)
	if err == nil && len(views) > 0 {
		err = errs.New(errs.AlreadyExists, "a view named %s exists already; take another name, or drop the view with the client that made it", a.table.Name)
	}
	return err
}

func (a *applier) insertTable(id, path string, relative bool) error {
	return a.exec(`INSERT INTO ducklake_table (table_id, table_uuid, begin_snapshot, end_snapshot, schema_id, table_name, path, path_is_relative)
 SELECT ?, ?, ?, NULL, schema_id, ?, ?, ? FROM ducklake_schema WHERE schema_name = 'main' AND end_snapshot IS NULL`, a.table.ID, id, a.next.ID, a.table.Name, path, relative)
}

// TableDir is the folder of a new table's files, relative to the data folder.
func TableDir(name string) string { return "main/" + name + "/" }

// Dir is the folder of the table's files, relative to the data folder.
func (c *Catalog) Dir(t Table) string {
	if rel, ok := strings.CutPrefix(t.path, c.dataPath); ok && t.path != "" {
		return rel
	}
	return TableDir(t.Name)
}

func (a *applier) schemaVersion() error {
	return a.exec(`INSERT INTO ducklake_schema_versions (begin_snapshot, schema_version, table_id) VALUES (?, ?, ?)`, a.next.ID, a.Head.SchemaVersion+1, a.table.ID)
}

func (a *applier) alterTable() error {
	if a.ch.Rename != "" {
		if err := a.rename(); err != nil {
			return err
		}
	}
	if a.ch.Columns == nil {
		return nil
	}
	old, err := a.columnRows(a.ctx, a.table.ID, a.Head.ID)
	if err != nil {
		return err
	}
	end, add := diffColumns(old, flatten(a.ch.Columns, old))
	if len(end)+len(add) == 0 {
		return nil
	}
	a.schema = true
	// DuckDB keeps a table's statistics under the next file id: without a new
	// one it would meet bounds of the old types and end with an internal error.
	a.next.nextFileID++
	for _, id := range end {
		if err := a.exec(`UPDATE ducklake_column SET end_snapshot = ? WHERE table_id = ? AND column_id = ? AND end_snapshot IS NULL`, a.next.ID, a.table.ID, id); err != nil {
			return err
		}
	}
	if err := a.insertColumns(add); err != nil {
		return err
	}
	if err := a.inlineTable(a.ch.Columns); err != nil {
		return err
	}
	return a.schemaVersion()
}

func (a *applier) rename() error {
	var id, path sql.NullString
	var relative sql.NullBool
	err := a.q.QueryRowContext(a.ctx, `SELECT table_uuid, path, path_is_relative FROM ducklake_table WHERE table_id = ? AND end_snapshot IS NULL`, a.table.ID).Scan(&id, &path, &relative)
	if err != nil {
		return sqlError(a.ctx, err, "read the table")
	}
	a.table.Name = a.ch.Rename
	if err := a.nameFree(); err != nil {
		return err
	}
	if err := a.endRows("ducklake_table", "table_id", a.table.ID); err != nil {
		return err
	}
	a.schema = true
	a.note("created_table:%s", quoteChange(a.table.Name)) // a rename is recorded as the creation of the new name
	if err := a.insertTable(id.String, path.String, !relative.Valid || relative.Bool); err != nil {
		return err
	}
	cols, err := a.Columns(a.ctx, a.table.ID, a.Head.ID)
	if err != nil {
		return err
	}
	if err := a.inlineTable(cols); err != nil {
		return err
	}
	return a.schemaVersion()
}

func (a *applier) endRows(table, idColumn string, id int64) error {
	return a.exec(`UPDATE `+table+` SET end_snapshot = ? WHERE `+idColumn+` = ? AND end_snapshot IS NULL`, a.next.ID, id)
}

// dropTable ends everything that is live of the table; earlier snapshots
// still read it (decision 26).
func (a *applier) dropTable() error {
	if !a.ch.Drop {
		return nil
	}
	a.schema = true
	a.note("dropped_table:%d", a.table.ID)
	for _, t := range []string{"ducklake_table", "ducklake_column", "ducklake_data_file", "ducklake_delete_file", "ducklake_partition_info", "ducklake_sort_info", "ducklake_column_tag"} {
		if err := a.endRows(t, "table_id", a.table.ID); err != nil {
			return err
		}
	}
	inside, err := a.InlinedTables(a.ctx, a.table)
	if err != nil {
		return err
	}
	for _, t := range inside {
		if err := a.exec(`UPDATE `+quoteName(t.name)+` SET end_snapshot = ? WHERE end_snapshot IS NULL`, a.next.ID); err != nil {
			return err
		}
	}
	return a.endRows("ducklake_tag", "object_id", a.table.ID)
}

func (a *applier) removeFiles() error {
	if len(a.ch.Remove) > 0 {
		a.note("deleted_from_table:%d", a.table.ID)
	}
	for _, id := range a.ch.Remove {
		if err := a.endRows("ducklake_data_file", "data_file_id", id); err != nil {
			return err
		}
		if err := a.endRows("ducklake_delete_file", "data_file_id", id); err != nil {
			return err
		}
	}
	return nil
}

func (a *applier) addDeletes() error {
	if len(a.ch.Inline) > 0 {
		if err := a.inlineDeletes(); err != nil {
			return err
		}
	}
	if len(a.ch.Deletes) > 0 && len(a.ch.Remove) == 0 {
		a.note("deleted_from_table:%d", a.table.ID)
	}
	for _, d := range a.ch.Deletes {
		if err := a.addDeleteFile(d); err != nil {
			return err
		}
	}
	return nil
}

func (a *applier) inlineDeletes() error {
	name := inlinedDeletes(a.table.ID)
	none, err := missing(a.ctx, a.q, name)
	if err != nil {
		return err
	}
	if none {
		err := execAll(a.ctx, a.q, []statement{
			{sql: `CREATE TABLE ` + name + ` (file_id BIGINT, row_id BIGINT, begin_snapshot BIGINT)`},
			{sql: `CREATE INDEX supertable_idx_inlined_delete_` + fmt.Sprint(a.table.ID) + ` ON ` + name + ` (file_id, begin_snapshot)`},
		})
		if err != nil {
			return err
		}
	}
	a.noteOnce("inlined_delete:%d", a.table.ID)
	for _, d := range a.ch.Inline {
		for chunk := range chunks(d.Positions, 200) {
			args := make([]any, 0, 3*len(chunk))
			for _, p := range chunk {
				args = append(args, d.File, p, a.next.ID)
			}
			values := strings.TrimSuffix(strings.Repeat("(?,?,?),", len(chunk)), ",")
			if err := a.exec(`INSERT INTO `+name+` (file_id, row_id, begin_snapshot) VALUES `+values, args...); err != nil {
				return err
			}
		}
	}
	return nil
}

func chunks[T any](all []T, n int) func(func([]T) bool) {
	return func(yield func([]T) bool) {
		for len(all) > 0 {
			k := min(n, len(all))
			if !yield(all[:k]) {
				return
			}
			all = all[k:]
		}
	}
}

// addDeleteFile names a delete file. One that replaces another holds the old
// positions with their snapshots, takes the old one's place in time, and the
// old file waits for cleaning (docs/format.md §4.2).
func (a *applier) addDeleteFile(d NewDelete) error {
	id, begin := a.fileID(), a.next.ID
	if old := d.Replaces; old != nil {
		begin = old.Begin
		if err := a.exec(`DELETE FROM ducklake_delete_file WHERE delete_file_id = ?`, old.ID); err != nil {
			return err
		}
		if err := a.schedule(a.ctx, old.ID, old.Path, a.next); err != nil {
			return err
		}
	}
	if d.Begin != 0 {
		begin = d.Begin
	}
	path, err := a.tableRel(d.Rel)
	if err != nil {
		return err
	}
	err = a.exec(`INSERT INTO ducklake_delete_file (delete_file_id, table_id, begin_snapshot, end_snapshot, data_file_id, path, path_is_relative, format, delete_count, file_size_bytes, footer_size, encryption_key, partial_max)
 VALUES (?, ?, ?, NULL, ?, ?, 1, 'parquet', ?, ?, ?, NULL, ?)`, id, a.table.ID, begin, d.File, path, d.Count, d.Size, d.Footer, d.PartialMax)
	if err != nil {
		return err
	}
	return a.exec(`INSERT INTO supertable_file (file_id, sha256) VALUES (?, ?)`, id, d.SHA256)
}

func (a *applier) fileID() int64 {
	id := a.next.nextFileID
	a.next.nextFileID++
	return id
}

// tableRel makes a path relative to the data folder relative to the table's.
func (a *applier) tableRel(rel string) (string, error) {
	out, ok := strings.CutPrefix(a.c.dataPath+rel, a.table.path)
	if !ok {
		return "", errs.New(errs.Internal, "a file of table %q lies in another folder", a.table.Name)
	}
	return out, nil
}

// finish writes the snapshot itself and its changes.
func (a *applier) finish() error {
	if a.schema {
		a.next.SchemaVersion++
		if a.ch.Columns != nil && a.ch.Create == nil {
			a.note("altered_table:%d", a.table.ID)
		}
	}
	err := insertRow(a.ctx, a.q, "ducklake_snapshot", "snapshot_id, snapshot_time, schema_version, next_catalog_id, next_file_id",
		a.next.ID, FormatTime(a.next.Time), a.next.SchemaVersion, a.next.nextCatalogID, a.next.nextFileID)
	if err != nil {
		return err
	}
	return insertRow(a.ctx, a.q, "ducklake_snapshot_changes", "snapshot_id, changes_made, author, commit_message",
		a.next.ID, strings.Join(a.changes, ","), a.ch.Record.Principal, nullText(a.ch.Record.Message))
}

func nullText(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// sideTables keeps our own facts of the change: history, version, live state,
// write id.
func (a *applier) sideTables() error {
	r := a.ch.Record
	live, err := a.live(a.ctx, a.table.ID)
	if err != nil {
		return err
	}
	if a.ch.Create == nil || len(a.ch.Add) > 0 || a.ch.Rows != nil {
		live.version++
	}
	live.files += a.gained.files
	live.bytes += a.gained.bytes
	count := a.countLive
	if a.ch.Restore != nil {
		count = a.restoredLive
	}
	if err := count(&live); err != nil {
		return err
	}
	a.version = live.version
	err = insertRow(a.ctx, a.q, "supertable_change", "snapshot_id, table_id, table_name, version, operation, inserted, deleted, skipped, principal, message, lineage",
		a.next.ID, a.table.ID, a.table.Name, a.version, r.Operation, r.Inserted, r.Deleted, r.Skipped, r.Principal, r.Message, nullText(r.Lineage))
	if err == nil {
		err = a.audit(a.ctx, a.ch, a.table.Name, a.next.ID)
	}
	if err != nil {
		return err
	}
	if a.ch.Drop {
		return a.exec(`DELETE FROM supertable_table WHERE table_id = ?`, a.table.ID)
	}
	if err := a.storeLive(a.ctx, a.table.ID, live, a.next); err != nil {
		return err
	}
	if r.WriteID == "" {
		return nil
	}
	result := r.Result(Committed{Snapshot: a.next.ID, Version: a.version, TableID: a.table.ID})
	return a.exec(`INSERT INTO supertable_write_id (table_id, write_id, signature, result) VALUES (?, ?, ?, ?)`, a.table.ID, r.WriteID, r.Signature, result)
}

// countLive brings the live state from before the change to after it.
func (a *applier) countLive(live *liveState) error {
	live.rows += a.ch.Record.Rows - a.ch.Record.Deleted
	live.files += int64(len(a.ch.Add) - len(a.ch.Remove))
	for _, f := range a.ch.Add {
		live.bytes += f.Size
	}
	for _, id := range a.ch.Remove {
		var n sql.NullInt64
		err := a.q.QueryRowContext(a.ctx, `SELECT file_size_bytes FROM ducklake_data_file WHERE data_file_id = ?`, id).Scan(&n)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return sqlError(a.ctx, err, "read the files")
		}
		live.bytes -= n.Int64
	}
	if live.rows < 0 || live.files < 0 {
		return errs.New(errs.Internal, "table %q would have %d rows in %d files", a.table.Name, live.rows, live.files)
	}
	return nil
}
