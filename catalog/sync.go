package catalog

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strconv"
	"strings"
)

// syncing brings the side tables up to date with the commits that other
// clients made: each changed table gains a version and an entry in the
// history, under the principal "external".
type syncing struct {
	*View
	past   past
	tables map[int64]*changedTable
	// holed is set behind a snapshot that has expired: what it changed nobody
	// says, so any table may be another one than the side tables know.
	holed bool
}

// changedTable is what is known of a changed table on the way to the head.
type changedTable struct {
	version int64
	last    Snapshot // that changed it
	rows    rowCount // after it
}

func (v *View) syncForeign(ctx context.Context) error {
	known, err := v.lastKnown(ctx)
	if err != nil || known >= v.Head.ID {
		return err
	}
	if err := v.endOldNames(ctx); err != nil {
		return err
	}
	s := &syncing{View: v, past: past{v: v, left: maxHeldRows}, tables: map[int64]*changedTable{}}
	if err := s.walk(ctx, known); err != nil {
		return err
	}
	changed, err := s.settle(ctx)
	if err != nil {
		return err
	}
	if err := v.nameInlined(ctx); err != nil {
		return err
	}
	if err := v.auditForeign(ctx, changed); err != nil {
		return err
	}
	_, err = v.q.ExecContext(ctx, `INSERT INTO ducklake_metadata ("key", "value") SELECT 'supertable.synced', ?1 WHERE NOT EXISTS (SELECT 1 FROM ducklake_metadata WHERE "key" = 'supertable.synced')`, strconv.FormatInt(v.Head.ID, 10))
	if err == nil {
		_, err = v.q.ExecContext(ctx, `UPDATE ducklake_metadata SET "value" = ? WHERE "key" = 'supertable.synced'`, strconv.FormatInt(v.Head.ID, 10))
	}
	v.didSync = true
	return sqlError(ctx, err, "write the catalog")
}

// endOldNames ends the older rows of tables that have more than one live row:
// DuckDB leaves the old name live when it renames a table after another change
// of it in one transaction, and cannot open the table itself then.
func (v *View) endOldNames(ctx context.Context) error {
	_, err := v.q.ExecContext(ctx, `UPDATE ducklake_table AS t SET end_snapshot = (SELECT min(y.begin_snapshot) FROM ducklake_table y WHERE y.table_id = t.table_id AND y.begin_snapshot > t.begin_snapshot)
 WHERE t.end_snapshot IS NULL AND t.table_id IN (SELECT table_id FROM ducklake_table WHERE end_snapshot IS NULL GROUP BY table_id HAVING count(*) > 1)`)
	return sqlError(ctx, err, "write the tables")
}

func (v *View) synced() bool { return v.didSync }

// lastKnown is the newest snapshot that the side tables reflect.
func (v *View) lastKnown(ctx context.Context) (int64, error) {
	var n int64
	err := v.q.QueryRowContext(ctx, `SELECT coalesce(max(snapshot_id), 0) FROM supertable_change`).Scan(&n)
	if err != nil {
		return 0, sqlError(ctx, err, "read the history")
	}
	s, err := v.setting(ctx, "supertable.synced")
	if k, perr := strconv.ParseInt(s, 10, 64); perr == nil {
		n = max(n, k)
	}
	return n, err
}

// walk writes the history of the snapshots after known.
func (s *syncing) walk(ctx context.Context, known int64) error {
	made, err := s.madeBetween(ctx, known, s.Head.ID)
	if err != nil {
		return err
	}
	before := known
	for _, m := range made {
		if m.snapshot != before+1 {
			s.holed = true
			for _, t := range s.tables {
				t.rows = rowCount{}
			}
		}
		ids, err := s.tablesOf(ctx, m.snapshot, ParseChanges(m.text))
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := s.record(ctx, id, m.snapshot); err != nil {
				return err
			}
		}
		before = m.snapshot
	}
	return nil
}

// tablesOf finds the tables that the entries of one snapshot are about.
func (v *View) tablesOf(ctx context.Context, snapshot int64, changes []ChangeEntry) ([]int64, error) {
	var ids []int64
	for _, e := range changes {
		if id, err := strconv.ParseInt(e.Value, 10, 64); err == nil && !strings.Contains(e.Type, "view") && !strings.Contains(e.Type, "macro") && !strings.Contains(e.Type, "schema") {
			ids = append(ids, id)
		}
		if e.Type == "created_table" {
			created, err := v.beganAt(ctx, snapshot)
			if err != nil {
				return nil, err
			}
			ids = append(ids, created...)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

func (v *View) beganAt(ctx context.Context, snapshot int64) ([]int64, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT table_id FROM ducklake_table WHERE begin_snapshot = ?`, snapshot)
	if err != nil {
		return nil, sqlError(ctx, err, "read the tables")
	}
	defer func() { _ = rows.Close() }()
	var out []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, sqlError(ctx, err, "read the tables")
		}
		out = append(out, id)
	}
	return out, sqlError(ctx, rows.Err(), "read the tables")
}

// record writes that a snapshot changed a table.
func (s *syncing) record(ctx context.Context, table, snapshot int64) error {
	var name string
	err := s.q.QueryRowContext(ctx, `SELECT table_name FROM ducklake_table WHERE table_id = ? AND begin_snapshot <= ? ORDER BY begin_snapshot DESC LIMIT 1`, table, snapshot).Scan(&name)
	if errors.Is(err, sql.ErrNoRows) {
		return nil // not a table
	}
	if err != nil {
		return sqlError(ctx, err, "read the tables")
	}
	t, err := s.table(ctx, table)
	if err != nil {
		return err
	}
	before := t.rows
	if !before.known {
		if before, err = s.past.rows(ctx, table, snapshot-1); err != nil {
			return err
		}
	}
	if t.rows, err = s.past.rows(ctx, table, snapshot); err != nil {
		return err
	}
	if t.last, err = s.Snapshot(ctx, snapshot); err != nil {
		return err
	}
	t.version++
	inserted, deleted := int64(uncounted), int64(uncounted)
	if before.known && t.rows.known {
		gained := t.rows.n - before.n
		inserted, deleted = max(0, gained), max(0, -gained)
	}
	_, err = s.q.ExecContext(ctx, `INSERT OR IGNORE INTO supertable_change (snapshot_id, table_id, table_name, version, operation, inserted, deleted, skipped, principal, message) VALUES (?, ?, ?, ?, 'external', ?, ?, 0, 'external', '')`,
		snapshot, table, name, t.version, inserted, deleted)
	return sqlError(ctx, err, "write the history")
}

// table gives a table as it was after its last change that is known.
func (s *syncing) table(ctx context.Context, id int64) (*changedTable, error) {
	if t, ok := s.tables[id]; ok {
		return t, nil
	}
	live, err := s.live(ctx, id)
	if err != nil {
		return nil, err
	}
	t := &changedTable{version: live.version}
	if !s.holed {
		t.rows = rowCount{live.rows, true}
	}
	s.tables[id] = t
	return t, nil
}

// settle counts the changed tables as they are at the head; behind a hole, all
// of them. So it does those of an adopted lake that no retained snapshot
// mentions. It gives the ids of all that changed.
func (s *syncing) settle(ctx context.Context) ([]int64, error) {
	ids, err := s.ids(ctx, `SELECT table_id FROM supertable_table`)
	if err != nil {
		return nil, err
	}
	counted, live := map[int64]bool{}, map[int64]bool{}
	for _, id := range ids {
		counted[id] = true
	}
	tables, err := s.Tables(ctx, s.Head.ID)
	if err != nil {
		return nil, err
	}
	var changed []int64
	for id := range s.tables {
		changed = append(changed, id)
	}
	for _, t := range tables {
		live[t.ID] = true
		now, ok := s.tables[t.ID]
		found := counted[t.ID]
		if !ok && found && !s.holed {
			continue
		}
		before, err := s.live(ctx, t.ID)
		if err != nil {
			return nil, err
		}
		after, at := liveState{version: before.version}, s.Head
		if after.rows, after.files, after.bytes, err = s.CountLive(ctx, t, s.Head.ID); err != nil {
			return nil, err
		}
		switch {
		case ok:
			after.version, at = now.version, now.last
		case found && after == before:
			continue
		case found:
			after.version++
			changed = append(changed, t.ID)
		}
		if err := s.storeLive(ctx, t.ID, after, at); err != nil {
			return nil, err
		}
	}
	for _, id := range ids {
		if live[id] {
			continue
		}
		if _, err := s.q.ExecContext(ctx, `DELETE FROM supertable_table WHERE table_id = ?`, id); err != nil {
			return nil, sqlError(ctx, err, "write the live state")
		}
		changed = append(changed, id)
	}
	slices.Sort(changed)
	return slices.Compact(changed), nil
}

// ChangeEntry is one entry of a snapshot's changes: type:value.
type ChangeEntry struct{ Type, Value string }

// ParseChanges splits changes_made into its entries (docs/format.md §2.5):
// a value runs to the next comma outside double quotes.
func ParseChanges(s string) []ChangeEntry {
	var out []ChangeEntry
	quoted, start := false, 0
	for i := 0; i <= len(s); i++ {
		switch {
		case i < len(s) && s[i] == '"':
			quoted = !quoted
		case i == len(s) || s[i] == ',' && !quoted:
			if typ, value, ok := strings.Cut(s[start:i], ":"); ok {
				out = append(out, ChangeEntry{strings.ToLower(strings.TrimSpace(typ)), value})
			}
			start = i + 1
		}
	}
	return out
}

// CatchUp records foreign commits now, for readers of the history; commits do
// it by themselves.
func (c *Catalog) CatchUp(ctx context.Context) error {
	if c.foreign {
		return nil
	}
	behind := false
	err := c.Read(ctx, func(v *View) error {
		known, err := v.lastKnown(ctx)
		behind = known < v.Head.ID
		return err
	})
	if err != nil || !behind {
		return err
	}
	_, err = c.Commit(ctx, func(context.Context, *View) (*Change, error) { return nil, nil })
	return err
}
