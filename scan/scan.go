// Package scan reads one table at one snapshot: it turns what the catalog says
// of its files into one SELECT that yields the live rows. Columns are found by
// field id, so renames, added, widened and defaulted columns come out right;
// dead rows are left out; no file is opened to plan.
package scan

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/internal/errs"
)

// Scan is one table at one snapshot as a statement reads it: its columns and
// the files that are left after pruning, in branches that are read alike.
type Scan struct {
	Counts Counts

	table    catalog.Table
	at       int64
	columns  []datafile.Column
	branches []*branch
	inlined  []inlinedRows
	told     *told
	retyped  map[int64]bool // columns, by id, that had another type once
	// only, when not nil, are the rows to read, by file: those that are dead
	// count like the others.
	only    map[int64]datafile.Bitmap
	lineage bool // rows carry who they are, see LineageSQL
}

// Counts is what planning found: before pruning and after.
type Counts struct {
	FilesTotal, FilesRead, BytesTotal, BytesRead int64
	Rows                                         int64 // live rows of the table
	RowsRead                                     int64 // live rows of the files that are left
}

// Of takes the counts before pruning from the whole table; nil when every file
// was counted.
func (c *Counts) Of(total *catalog.Totals) {
	if total != nil {
		c.FilesTotal, c.BytesTotal, c.Rows = total.Files, total.Bytes, total.Rows
	}
}

// Files lists the files of a table with statistics of some leaves.
type Files func(ctx context.Context, t catalog.Table, at int64, leaves []int64) ([]catalog.File, error)

// Live registers the dead rows of a list of files with the engine and gives
// the token under which SQL asks for them.
type Live func(dead [][]uint64) (token uint64, err error)

// branch is a set of files that one read_parquet reads: same schema version,
// same mapping, with or without dead rows.
type branch struct {
	key     branchKey
	columns []datafile.Column // as the files have them
	files   []catalog.File
	dead    [][]uint64
	mapping []catalog.MappedColumn
}

type branchKey struct {
	schema  int64 // snapshot of the files' schema version; 0 when it is the table's own
	mapping int64 // 0 is by field id
	older   int   // how many columns changed their type after the files
	partial bool
	dirty   bool
}

// inlinedRows are rows that the catalog itself holds.
type inlinedRows struct {
	table   catalog.InlinedTable
	columns []datafile.Column
	rows    []catalog.InlinedRow
	loaded  string // the relation that has them on the connection; "": the statement's text
}

// Plan reads what the catalog has of a table, with the statistics of the
// leaves, and sorts its files into branches. keep decides from them alone
// whether a file may hold a row that matters.
//
// files lists them: View.Files, or what View.SelectFiles leaves of them.
func Plan(ctx context.Context, v *catalog.View, t catalog.Table, at int64, cols []datafile.Column, leaves []int64, files Files, keep func(*catalog.File) bool) (*Scan, error) {
	r := &Scan{table: t, at: at, columns: cols}
	list, err := files(ctx, t, at, leaves)
	if err != nil {
		return nil, err
	}
	if err := r.plan(ctx, v, list, keep); err != nil {
		return nil, err
	}
	return r, r.loadInlined(ctx, v)
}

// PlanRows plans to read just some rows of some files, by file id.
func PlanRows(ctx context.Context, v *catalog.View, t catalog.Table, at int64, cols []datafile.Column, files []catalog.File, rows map[int64]datafile.Bitmap) (*Scan, error) {
	r := &Scan{table: t, at: at, columns: cols, only: rows}
	return r, r.plan(ctx, v, files, func(f *catalog.File) bool { return rows[f.ID].Count() > 0 })
}

// plan sorts the files that are kept into branches.
func (r *Scan) plan(ctx context.Context, v *catalog.View, list []catalog.File, keep func(*catalog.File) bool) error {
	schemas, err := newSchemas(ctx, v, r)
	if err != nil {
		return err
	}
	if r.retyped, err = retyped(ctx, v, r.table, r.columns, list); err != nil {
		return err
	}
	byKey := map[branchKey]*branch{}
	for i := range list {
		f := &list[i]
		r.Counts.FilesTotal++
		r.Counts.BytesTotal += f.Size
		live := liveRows(f)
		r.Counts.Rows += live
		if !keep(f) {
			continue
		}
		r.Counts.FilesRead++
		r.Counts.BytesRead += f.Size
		r.Counts.RowsRead += live
		if err := r.place(ctx, v, f, schemas, byKey); err != nil {
			return err
		}
	}
	return nil
}

// liveRows is how many rows of a file are live, by the catalog's counts.
func liveRows(f *catalog.File) int64 {
	n := f.Records - f.Inlined
	if f.Delete != nil {
		n -= f.Delete.Count
	}
	return max(0, n)
}

func (r *Scan) place(ctx context.Context, v *catalog.View, f *catalog.File, schemas *schemas, byKey map[branchKey]*branch) error {
	if f.Outside {
		return errs.New(errs.Unsupported, "table %q has the file %s outside the data folder, where no query may read", r.table.Name, filepath.Base(f.Path))
	}
	key := branchKey{dirty: f.Dirty() || r.only != nil, partial: f.PartialMax != nil && *f.PartialMax > r.at}
	for _, c := range r.columns {
		if r.widened(c, f) { // the later the file, the smaller the set: its size tells which it is
			key.older++
		}
	}
	if f.MappingID != nil {
		key.mapping = *f.MappingID + 1
	}
	cols, version, err := schemas.of(ctx, f)
	if err != nil {
		return err
	}
	key.schema = version
	b := byKey[key]
	if b == nil {
		b = &branch{key: key, columns: cols}
		if f.MappingID != nil {
			if b.mapping, err = v.Mapping(ctx, *f.MappingID); err != nil {
				return err
			}
		}
		byKey[key] = b
		r.branches = append(r.branches, b)
	}
	b.files = append(b.files, *f)
	if !key.dirty {
		return nil
	}
	if r.only != nil {
		b.dead = append(b.dead, r.only[f.ID].Complement(f.Records))
		return nil
	}
	dead, err := v.Dead(ctx, r.table, f, r.at)
	if err != nil {
		return err
	}
	b.dead = append(b.dead, dead)
	return nil
}

// retyped finds the columns that may have another type in some of the files.
func retyped(ctx context.Context, v *catalog.View, t catalog.Table, cols []datafile.Column, files []catalog.File) (map[int64]bool, error) {
	newest := int64(0)
	for _, c := range cols {
		newest = max(newest, c.Begin)
	}
	for i := range files {
		if files[i].Written() < newest {
			return v.Retyped(ctx, t.ID)
		}
	}
	return nil, nil
}

func (r *Scan) widened(c datafile.Column, f *catalog.File) bool {
	return r.retyped[c.ID] && c.Begin > f.Written() && !c.Type.Nested()
}

// schemas finds the columns of files that were written before a nested column
// changed: the engine matches fields inside nested values by name, so those
// files are read in their own shape and put into today's by field id.
type schemas struct {
	v        *catalog.View
	r        *Scan
	versions []int64 // nil when no column is nested
	reshaped map[int64]bool
	columns  map[int64][]datafile.Column
	same     map[int64]bool
}

func newSchemas(ctx context.Context, v *catalog.View, r *Scan) (*schemas, error) {
	s := &schemas{v: v, r: r, columns: map[int64][]datafile.Column{}, same: map[int64]bool{}}
	for _, c := range r.columns {
		if c.Type.Nested() {
			var err error
			if s.versions, err = v.SchemaVersions(ctx, r.table); err == nil && len(s.versions) > 0 {
				s.reshaped, err = v.Reshaped(ctx, r.table)
			}
			return s, err
		}
	}
	return s, nil
}

func (s *schemas) of(ctx context.Context, f *catalog.File) ([]datafile.Column, int64, error) {
	var version, before int64
	for _, b := range s.versions {
		if b <= f.Written() {
			version, before = b, version
		}
	}
	if len(s.versions) == 0 || version == 0 {
		return s.r.columns, 0, nil
	}
	cols, err := s.at(ctx, version)
	if err != nil {
		return nil, 0, err
	}
	if s.reshaped[f.Written()] && f.MappingID == nil {
		shape, err := datafile.ReadShape(f.Path)
		if err != nil {
			return nil, 0, err
		}
		if !shape.Fits(cols) {
			if cols, err = s.at(ctx, before); err != nil {
				return nil, 0, err
			}
			if version = before; before == 0 || !shape.Fits(cols) {
				return nil, 0, errs.New(errs.Unsupported, "the file %s of table %q was written between two changes of its columns in one transaction: have the client that wrote it write it again (ducklake_rewrite_data_files)", filepath.Base(f.Path), s.r.table.Name)
			}
		}
	}
	if s.same[version] {
		return s.r.columns, 0, nil
	}
	return cols, version, nil
}

// at gives the columns of a version of the schema.
func (s *schemas) at(ctx context.Context, version int64) ([]datafile.Column, error) {
	cols, ok := s.columns[version]
	if ok || version == 0 {
		return cols, nil
	}
	cols, err := s.v.Columns(ctx, s.r.table.ID, version)
	if err != nil {
		return nil, err
	}
	s.columns[version], s.same[version] = cols, sameNested(cols, s.r.columns)
	return cols, nil
}

// sameNested reports whether the nested columns that both have are alike.
func sameNested(old, now []datafile.Column) bool {
	byID := map[int64]datafile.Type{}
	for _, c := range old {
		byID[c.ID] = c.Type
	}
	for _, c := range now {
		if t, ok := byID[c.ID]; ok && c.Type.Nested() && datafile.Convert("x", t, c.Type, false, "") != "x" {
			return false
		}
	}
	return true
}

// loadInlined reads the rows that the catalog itself holds.
func (r *Scan) loadInlined(ctx context.Context, v *catalog.View) error {
	tables, err := v.InlinedTables(ctx, r.table)
	if err != nil {
		return err
	}
	for _, it := range tables {
		n, err := v.InlinedSize(ctx, it)
		if err != nil {
			return err
		}
		if n == 0 { // every schema of a table has one, rows or not
			continue
		}
		cols, err := v.Columns(ctx, r.table.ID, it.SchemaAt)
		if err != nil {
			return err
		}
		names := make([]string, len(cols))
		for i, c := range cols {
			names[i] = c.Name
		}
		rows, err := v.LiveInlined(ctx, it, r.at, names)
		if err != nil {
			return err
		}
		if len(rows) > 0 {
			r.inlined = append(r.inlined, inlinedRows{table: it, columns: cols, rows: rows})
			r.Counts.Rows += int64(len(rows))
			r.Counts.RowsRead += int64(len(rows))
		}
	}
	return nil
}

// SQL gives the SELECT that yields the table's rows under its own column
// names. live registers the dead rows of a branch and gives their token.
func (r *Scan) SQL(live Live) (string, error) {
	if len(r.columns) == 0 {
		return "", errs.New(errs.Corrupt, "table %q has no columns", r.table.Name)
	}
	var parts []string
	for _, b := range r.branches {
		s, err := r.branchSQL(b, live)
		if err != nil {
			return "", err
		}
		parts = append(parts, s)
	}
	for _, in := range r.inlined {
		parts = append(parts, r.inlinedSQL(in))
	}
	if r.told != nil {
		parts = append(parts, r.toldSQL())
	}
	if len(parts) == 0 {
		return r.emptySQL(), nil
	}
	return strings.Join(parts, "\nUNION ALL\n"), nil
}

// CountSQL gives as many rows as SQL does, of one column that no statement can
// name: what the catalog knows of files and dead rows tells how many they are,
// where no column is asked for.
func (r *Scan) CountSQL(live Live) (string, error) {
	var n int64
	var parts []string
	for _, b := range r.branches {
		if b.key.partial || b.mapping != nil {
			s, err := r.branchSQL(b, live)
			if err != nil {
				return "", err
			}
			parts = append(parts, "SELECT "+nothing+" FROM ("+s+")")
			continue
		}
		for i, f := range b.files {
			n += f.Records
			if b.key.dirty {
				n -= datafile.Bitmap(b.dead[i]).Below(f.Records)
			}
		}
	}
	for _, in := range r.inlined {
		n += int64(len(in.rows))
	}
	parts = append(parts, fmt.Sprintf("SELECT %s FROM range(%d)", nothing, n))
	return strings.Join(parts, "\nUNION ALL\n"), nil
}

// Files lists the files that the statement will read, and those whose
// statistics it takes.
func (r *Scan) Files() []catalog.File {
	var out []catalog.File
	if r.told != nil {
		out = append(out, r.told.files...)
	}
	for _, b := range r.branches {
		out = append(out, b.files...)
	}
	return out
}

// Check compares the files with what the catalog says of them (decision 29).
func (r *Scan) Check() error {
	for _, f := range r.Files() {
		if err := catalog.CheckFile(f.Path, f.Size, f.Footer); err != nil {
			return err
		}
	}
	return nil
}

func (r *Scan) emptySQL() string {
	sel := make([]string, len(r.columns))
	for i, c := range r.columns {
		sel[i] = fmt.Sprintf("CAST(NULL AS %s) AS %s", c.Type.SQL(), datafile.Quote(c.Name))
	}
	return "SELECT " + strings.Join(sel, ", ") + " WHERE false"
}

func (r *Scan) branchSQL(b *branch, live Live) (string, error) {
	if b.mapping != nil {
		return r.mappedSQL(b, live)
	}
	schema, sel := r.schemaMap(b)
	if r.lineage {
		schema, sel = addLineage(b, schema, sel)
	}
	var where []string
	if b.key.dirty {
		token, err := live(b.dead)
		if err != nil {
			return "", err
		}
		where = append(where, fmt.Sprintf("st_live(%d, file_index, file_row_number)", token))
	}
	if b.key.partial {
		schema = append(schema, fmt.Sprintf("%d: {name: 'snapshot', type: 'BIGINT', default_value: NULL::VARCHAR}", datafile.SnapshotIDField))
		where = append(where, fmt.Sprintf("snapshot <= %d", r.at))
	}
	// file_index and file_row_number are the engine's virtual columns; its
	// option of that name would refuse files with a column file_row_number.
	sql := fmt.Sprintf("SELECT %s FROM read_parquet(%s, schema=MAP {%s})", strings.Join(sel, ", "), pathList(b.files), strings.Join(schema, ", "))
	if len(where) > 0 {
		sql += " WHERE " + strings.Join(where, " AND ")
	}
	return sql, nil
}

func rowNumbers(dirty bool) string {
	if dirty {
		return ", file_row_number=true"
	}
	return ""
}

// schemaMap maps field ids to c<id>, so that no name of a user's column meets
// one of the engine's, and selects them under their own names.
func (r *Scan) schemaMap(b *branch) (schema, sel []string) {
	inFile := map[int64]datafile.Column{}
	for _, c := range b.columns {
		inFile[c.ID] = c
	}
	for _, c := range r.columns {
		t := c.Type
		if old, ok := inFile[c.ID]; ok && t.Nested() {
			t = old.Type
		}
		def := "NULL::VARCHAR"
		if c.InitialDefault != nil {
			def = datafile.QuoteText(*c.InitialDefault)
		}
		schema = append(schema, fmt.Sprintf("%d: {name: 'c%d', type: %s, default_value: %s}", c.ID, c.ID, datafile.QuoteText(t.SQL()), def))
		name := fmt.Sprintf("c%d", c.ID)
		if r.widened(c, &b.files[0]) {
			name = datafile.Opaque(name)
		}
		sel = append(sel, datafile.Convert(name, t, c.Type, false, "read")+" AS "+datafile.Quote(c.Name))
	}
	return schema, sel
}

func pathList(files []catalog.File) string {
	quoted := make([]string, len(files))
	for i := range files {
		quoted[i] = datafile.QuoteText(files[i].Path)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// mappedSQL reads files that were added as they were: columns by name, and
// some from the path.
func (r *Scan) mappedSQL(b *branch, live Live) (string, error) {
	top := map[int64]catalog.MappedColumn{}
	for _, m := range b.mapping {
		if m.Parent < 0 {
			top[m.Field] = m
		}
	}
	var parts []string
	for i := range b.files { // one file at a time: each may lack or have other columns
		f := &b.files[i]
		sel := make([]string, len(r.columns))
		for k, c := range r.columns {
			sel[k] = mappedColumn(c, top, b, f) + " AS " + datafile.Quote(c.Name)
		}
		if r.lineage { // such a file was written by no client of the format: it has no lineage of its own
			sel = append(sel, fmt.Sprintf("%d + file_row_number AS %s", f.RowIDStart, RowIDColumn), fmt.Sprintf("%d AS %s", f.Begin, SnapshotColumn))
		}
		where := ""
		if b.key.dirty {
			token, err := live(b.dead[i : i+1])
			if err != nil {
				return "", err
			}
			where = fmt.Sprintf(" WHERE st_live(%d, file_index, file_row_number)", token)
		}
		parts = append(parts, fmt.Sprintf("SELECT %s FROM read_parquet(%s, hive_partitioning=false%s)%s", strings.Join(sel, ", "), pathList(b.files[i:i+1]), rowNumbers(b.key.dirty || r.lineage), where))
	}
	return strings.Join(parts, "\nUNION ALL\n"), nil
}

func mappedColumn(c datafile.Column, top map[int64]catalog.MappedColumn, b *branch, f *catalog.File) string {
	m, ok := top[c.ID]
	switch {
	case ok && m.Partition:
		for seg := range strings.SplitSeq(f.Path, "/") {
			name, value, found := strings.Cut(seg, "=")
			if text, err := url.PathUnescape(value); err == nil {
				value = text
			}
			if found && name == m.Source && value != "__HIVE_DEFAULT_PARTITION__" {
				return "CAST(" + datafile.QuoteText(value) + " AS " + c.Type.SQL() + ")"
			}
		}
	case ok:
		return mappedValue(c, m, b)
	case c.InitialDefault != nil:
		return "CAST(" + datafile.QuoteText(*c.InitialDefault) + " AS " + c.Type.SQL() + ")"
	}
	return "CAST(NULL AS " + c.Type.SQL() + ")"
}
