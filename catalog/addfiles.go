package catalog

import (
	"database/sql"
	"errors"
	"maps"

	"github.com/supertable-go/supertable/datafile"
)

// addFiles names new data files with their statistics and widens the table's.
func (a *applier) addFiles() error {
	if len(a.ch.Add) == 0 {
		return nil
	}
	a.note("inserted_into_table:%d", a.table.ID)
	stats, err := a.loadTableStats()
	if err != nil {
		return err
	}
	for _, f := range a.ch.Add {
		id := a.fileID()
		path, err := a.tableRel(f.Rel)
		if err != nil {
			return err
		}
		err = a.exec(`INSERT INTO ducklake_data_file (data_file_id, table_id, begin_snapshot, end_snapshot, file_order, path, path_is_relative, file_format, record_count, file_size_bytes, footer_size, row_id_start, partition_id, encryption_key, mapping_id, partial_max)
 VALUES (?, ?, ?, NULL, NULL, ?, 1, 'parquet', ?, ?, ?, ?, NULL, NULL, NULL, NULL)`, id, a.table.ID, a.next.ID, path, f.Records, f.Size, f.Footer, stats.nextRowID)
		if err != nil {
			return err
		}
		if err := a.exec(`INSERT INTO supertable_file (file_id, sha256) VALUES (?, ?)`, id, f.SHA256); err != nil {
			return err
		}
		stats.records += f.Records
		stats.nextRowID += f.Records
		stats.bytes += f.Size
		for _, s := range f.Stats {
			if err := a.exec(`INSERT INTO ducklake_file_column_stats (data_file_id, table_id, column_id, column_size_bytes, value_count, null_count, min_value, max_value, contains_nan, extra_stats) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)`,
				id, a.table.ID, s.ColumnID, s.SizeBytes, s.ValueCount, s.NullCount, s.Min, s.Max, s.ContainsNaN); err != nil {
				return err
			}
		}
	}
	if err := a.storeTableStats(stats); err != nil {
		return err
	}
	added := make([][]datafile.Stats, len(a.ch.Add))
	for i, f := range a.ch.Add {
		added[i] = f.Stats
	}
	return a.widenColumnStats(stats, added)
}

// tableStats is the row of ducklake_table_stats. Records is gross: deletes
// never lower it; nextRowID is the first row id never given.
type tableStats struct {
	known                     bool
	records, nextRowID, bytes int64
}

const (
	setTableStats  = `UPDATE ducklake_table_stats SET record_count = ?, next_row_id = ?, file_size_bytes = ? WHERE table_id = ?`
	setColumnStats = `UPDATE ducklake_table_column_stats SET contains_null = ?, contains_nan = ?, min_value = ?, max_value = ? WHERE table_id = ? AND column_id = ?`
)

func (a *applier) loadTableStats() (tableStats, error) {
	w, remembered := remembering(a.q)
	if remembered {
		if t := w.mem.table(a.table.ID); t.stats != nil {
			if !t.dirtyStats {
				agrees(*t.stats, a.askTableStats)
			}
			return *t.stats, nil
		}
	}
	s, err := a.askTableStats()
	if err == nil && s.known && remembered {
		kept := s
		w.mem.table(a.table.ID).stats = &kept
	}
	return s, err
}

func (a *applier) askTableStats() (tableStats, error) {
	var s tableStats
	err := a.q.QueryRowContext(a.ctx, `SELECT record_count, next_row_id, file_size_bytes FROM ducklake_table_stats WHERE table_id = ?`, a.table.ID).Scan(&s.records, &s.nextRowID, &s.bytes)
	if errors.Is(err, sql.ErrNoRows) {
		return s, nil
	}
	s.known = true
	return s, sqlError(a.ctx, err, "read the statistics")
}

func (a *applier) storeTableStats(s tableStats) error {
	if w, ok := remembering(a.q); ok && s.known {
		w.writes++
		t := w.mem.table(a.table.ID)
		t.stats, t.dirtyStats = &s, true
		return nil
	}
	if s.known {
		return a.exec(setTableStats, s.records, s.nextRowID, s.bytes, a.table.ID)
	}
	return a.exec(`INSERT INTO ducklake_table_stats (table_id, record_count, next_row_id, file_size_bytes) VALUES (?, ?, ?, ?)`, a.table.ID, s.records, s.nextRowID, s.bytes)
}

// columnStats is a row of ducklake_table_column_stats: true bounds over every
// file that the table ever had. DuckDB folds filters from it, so a wrong bound
// is a wrong answer there. Two bounds that are NULL mean "no value yet" to it,
// and the next file's bounds take their place: what is unknown has no row.
type columnStats struct {
	known, fresh bool // in the catalog; no earlier file has the column
	unknown      bool // the row must go, or not come
	null, nan    sql.NullBool
	lo, hi       *string
}

func (a *applier) widenColumnStats(t tableStats, added [][]datafile.Stats) error {
	cols, err := a.columnsAfter()
	if err != nil {
		return err
	}
	all, err := a.allColumnStats()
	if err != nil {
		return err
	}
	types := map[int64]datafile.Type{}
	defaulted := map[int64]bool{}
	for _, l := range datafile.Leaves(cols) {
		types[l.ID] = l.Type
	}
	for _, c := range cols {
		defaulted[c.ID] = c.InitialDefault != nil
	}
	merged := map[int64]*columnStats{}
	var order []int64
	for _, stats := range added {
		for _, s := range stats {
			if merged[s.ColumnID] == nil {
				cs, err := a.columnStatsOf(all, s.ColumnID, t)
				if err != nil {
					return err
				}
				merged[s.ColumnID] = cs
				order = append(order, s.ColumnID)
			}
			widen(merged[s.ColumnID], s, types[s.ColumnID])
		}
	}
	for _, id := range order {
		if before, ok := all[id]; ok && merged[id].same(before) {
			continue
		}
		if err := a.storeColumnStats(id, merged[id], defaulted[id]); err != nil {
			return err
		}
	}
	return a.forgetMissing(all, merged, types)
}

// columnsAfter are the table's columns after the change.
func (a *applier) columnsAfter() ([]datafile.Column, error) {
	if a.schema {
		return a.Columns(a.ctx, a.table.ID, a.next.ID)
	}
	return a.Columns(a.ctx, a.table.ID, a.Head.ID)
}

// allColumnStats reads what is known of the table's columns.
func (a *applier) allColumnStats() (map[int64]columnStats, error) {
	w, remembered := remembering(a.q)
	if remembered {
		if t := w.mem.table(a.table.ID); t.columns != nil {
			if len(t.dirtyColumns) == 0 {
				agrees(t.columns, a.askColumnStats)
			}
			return maps.Clone(t.columns), nil
		}
	}
	out, err := a.askColumnStats()
	if err == nil && remembered {
		w.mem.table(a.table.ID).columns = maps.Clone(out)
	}
	return out, err
}

func (a *applier) askColumnStats() (map[int64]columnStats, error) {
	rows, err := a.q.QueryContext(a.ctx, `SELECT column_id, contains_null, contains_nan, min_value, max_value FROM ducklake_table_column_stats WHERE table_id = ?`, a.table.ID)
	if err != nil {
		return nil, sqlError(a.ctx, err, "read the statistics")
	}
	defer func() { _ = rows.Close() }()
	out := map[int64]columnStats{}
	for rows.Next() {
		var id int64
		s := columnStats{known: true}
		if err := rows.Scan(&id, &s.null, &s.nan, &s.lo, &s.hi); err != nil {
			return nil, sqlError(a.ctx, err, "read the statistics")
		}
		out[id] = s
	}
	return out, sqlError(a.ctx, rows.Err(), "read the statistics")
}

// same reports whether the catalog says so already.
func (c *columnStats) same(o columnStats) bool {
	text := func(a, b *string) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }
	return !c.unknown && c.null == o.null && c.nan == o.nan && text(c.lo, o.lo) && text(c.hi, o.hi)
}

// columnStatsOf gives what is known; a column without a row is fresh when no
// earlier file can have it.
func (a *applier) columnStatsOf(all map[int64]columnStats, id int64, t tableStats) (*columnStats, error) {
	if s, ok := all[id]; ok {
		return &s, nil
	}
	var s columnStats
	var begin int64
	err := a.q.QueryRowContext(a.ctx, `SELECT min(begin_snapshot) FROM ducklake_column WHERE table_id = ? AND column_id = ?`, a.table.ID, id).Scan(&begin)
	s.fresh = !t.known || begin == a.next.ID
	s.unknown = !s.fresh
	s.null = sql.NullBool{Valid: true, Bool: t.known} // rows of earlier files lack it
	return &s, sqlError(a.ctx, err, "read the columns")
}

func widen(c *columnStats, s datafile.Stats, t datafile.Type) {
	if c.null.Valid {
		c.null.Bool = c.null.Bool || s.NullCount > 0
	}
	if s.ContainsNaN != nil && (c.fresh || c.nan.Valid) {
		c.nan = sql.NullBool{Valid: true, Bool: c.nan.Bool || *s.ContainsNaN}
	}
	switch {
	case s.ValueCount == 0: // nothing but NULL widens nothing
		return
	case c.fresh:
		c.lo, c.hi, c.fresh = s.Min, s.Max, false
	default:
		c.lo, c.hi = datafile.WidenBounds(t, c.lo, c.hi, s.Min, s.Max)
	}
	c.unknown = c.unknown || c.lo == nil && c.hi == nil
}

func (a *applier) storeColumnStats(id int64, c *columnStats, defaulted bool) error {
	switch {
	case c.unknown && c.known:
		return a.forgetColumn(id)
	case c.known && a.holdColumn(id, c):
		return nil
	case c.known:
		return a.exec(setColumnStats, c.null, c.nan, c.lo, c.hi, a.table.ID, id)
	case c.unknown || defaulted: // the default is a value too
		return nil
	}
	return a.exec(`INSERT INTO ducklake_table_column_stats (table_id, column_id, contains_null, contains_nan, min_value, max_value, extra_stats) VALUES (?, ?, ?, ?, ?, ?, NULL)`, a.table.ID, id, c.null, c.nan, c.lo, c.hi)
}

// holdColumn holds back what is known of a column from now on.
func (a *applier) holdColumn(id int64, c *columnStats) bool {
	w, ok := remembering(a.q)
	if !ok {
		return false
	}
	t := w.mem.table(a.table.ID)
	if _, known := t.columns[id]; !known {
		return false
	}
	if t.dirtyColumns == nil {
		t.dirtyColumns = map[int64]bool{}
	}
	w.writes++
	t.columns[id], t.dirtyColumns[id] = *c, true
	return true
}

func (a *applier) forgetColumn(id int64) error {
	return a.exec(`DELETE FROM ducklake_table_column_stats WHERE table_id = ? AND column_id = ?`, a.table.ID, id)
}

// forgetMissing handles leaves that the new files have no statistics for:
// what the table knew of them is no longer sure.
func (a *applier) forgetMissing(all map[int64]columnStats, merged map[int64]*columnStats, types map[int64]datafile.Type) error {
	for id := range types {
		if _, known := all[id]; merged[id] != nil || !known {
			continue
		}
		if err := a.forgetColumn(id); err != nil {
			return err
		}
	}
	return nil
}
