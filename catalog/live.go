package catalog

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/supertable-go/supertable/internal/errs"
)

// liveState is the current state of a table, kept by each commit.
type liveState struct{ version, rows, files, bytes int64 }

func (v *View) live(ctx context.Context, table int64) (liveState, error) {
	w, remembered := remembering(v.q)
	if remembered {
		if t := w.mem.table(table); t.live != nil {
			if !t.dirtyLive {
				agrees(*t.live, func() (liveState, error) { s, _, err := askLive(ctx, v.q, table); return s, err })
			}
			return *t.live, nil
		}
	}
	s, found, err := askLive(ctx, v.q, table)
	if found && remembered {
		kept := s
		w.mem.table(table).live = &kept
	}
	return s, err
}

func askLive(ctx context.Context, q querier, table int64) (s liveState, found bool, err error) {
	err = q.QueryRowContext(ctx, `SELECT version, rows, files, bytes FROM supertable_table WHERE table_id = ?`, table).Scan(&s.version, &s.rows, &s.files, &s.bytes)
	if errors.Is(err, sql.ErrNoRows) {
		return s, false, nil
	}
	return s, err == nil, sqlError(ctx, err, "read the live state")
}

// FileCount is how many files the table of that name has now; 0 when there is
// no such table.
func (v *View) FileCount(ctx context.Context, name string) (int64, error) {
	t, err := v.Table(ctx, name, v.Head.ID)
	if errs.KindOf(err) == errs.NotFound {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	s, err := v.live(ctx, t.ID)
	return s.files, err
}

const storeLive = `INSERT INTO supertable_table (table_id, version, rows, files, bytes, updated) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
 ON CONFLICT (table_id) DO UPDATE SET version = ?2, rows = ?3, files = ?4, bytes = ?5, updated = ?6`

func (v *View) storeLive(ctx context.Context, table int64, s liveState, at Snapshot) error {
	if w, ok := remembering(v.q); ok {
		w.writes++
		t := w.mem.table(table)
		t.live, t.liveAt, t.dirtyLive = &s, at, true
		return nil
	}
	_, err := v.q.ExecContext(ctx, storeLive, table, s.version, s.rows, s.files, s.bytes, FormatTime(at.Time))
	return sqlError(ctx, err, "write the live state")
}

// CountLive counts a table's live rows, files and bytes at snapshot at from
// the format's own tables.
func (v *View) CountLive(ctx context.Context, t Table, at int64) (rows, files, bytes int64, err error) {
	list, err := v.Files(ctx, t, at, nil)
	if err != nil {
		return 0, 0, 0, err
	}
	for _, f := range list {
		rows += f.Records - f.Inlined
		if f.Delete != nil {
			rows -= f.Delete.Count
		}
		files++
		bytes += f.Size
	}
	n, err := v.CountInlinedRows(ctx, t, at)
	return rows + n, files, bytes, err
}

// syncForeign brings the side tables up to date with the commits that other
// clients made: each changed table gains a version and an entry in the
// history, under the principal "external".
func (v *View) syncForeign(ctx context.Context) error {
	known, err := v.lastKnown(ctx)
	if err != nil || known >= v.Head.ID {
		return err
	}
	touched, err := v.foreignChanges(ctx, known)
	if err != nil {
		return err
	}
	for _, fc := range touched {
		if err := v.recordForeign(ctx, fc); err != nil {
			return err
		}
	}
	if err := v.fillLive(ctx); err != nil {
		return err
	}
	if err := v.nameInlined(ctx); err != nil {
		return err
	}
	if err := v.auditForeign(ctx, touched); err != nil {
		return err
	}
	_, err = v.q.ExecContext(ctx, `INSERT INTO ducklake_metadata ("key", "value") SELECT 'supertable.synced', ?1 WHERE NOT EXISTS (SELECT 1 FROM ducklake_metadata WHERE "key" = 'supertable.synced')`, strconv.FormatInt(v.Head.ID, 10))
	if err == nil {
		_, err = v.q.ExecContext(ctx, `UPDATE ducklake_metadata SET "value" = ? WHERE "key" = 'supertable.synced'`, strconv.FormatInt(v.Head.ID, 10))
	}
	v.didSync = true
	return sqlError(ctx, err, "write the catalog")
}

// fillLive counts the live tables that no retained snapshot mentions: those of
// an adopted lake whose history was expired.
func (v *View) fillLive(ctx context.Context) error {
	tables, err := v.Tables(ctx, v.Head.ID)
	if err != nil {
		return err
	}
	for _, t := range tables {
		var n int
		if err := v.q.QueryRowContext(ctx, `SELECT count(*) FROM supertable_table WHERE table_id = ?`, t.ID).Scan(&n); err != nil {
			return sqlError(ctx, err, "read the live state")
		}
		if n > 0 {
			continue
		}
		var s liveState
		if s.rows, s.files, s.bytes, err = v.CountLive(ctx, t, v.Head.ID); err != nil {
			return err
		}
		if err := v.storeLive(ctx, t.ID, s, v.Head); err != nil {
			return err
		}
	}
	return nil
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

type foreignChange struct {
	snapshot, table int64
	operation       string
}

// foreignChanges lists which tables the snapshots after known changed.
func (v *View) foreignChanges(ctx context.Context, known int64) ([]foreignChange, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT c.snapshot_id, coalesce(c.changes_made, '') FROM ducklake_snapshot_changes c WHERE c.snapshot_id > ? ORDER BY c.snapshot_id`, known)
	if err != nil {
		return nil, sqlError(ctx, err, "read the changes")
	}
	defer func() { _ = rows.Close() }()
	type made struct {
		snapshot int64
		text     string
	}
	var all []made
	for rows.Next() {
		var m made
		if err := rows.Scan(&m.snapshot, &m.text); err != nil {
			return nil, sqlError(ctx, err, "read the changes")
		}
		all = append(all, m)
	}
	if err := rows.Err(); err != nil {
		return nil, sqlError(ctx, err, "read the changes")
	}
	_ = rows.Close()
	var out []foreignChange
	for _, m := range all {
		ids, err := v.tablesOf(ctx, m.snapshot, ParseChanges(m.text))
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			out = append(out, foreignChange{m.snapshot, id, "external"})
		}
	}
	return out, nil
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

func (v *View) recordForeign(ctx context.Context, fc foreignChange) error {
	at, err := v.Snapshot(ctx, fc.snapshot)
	if err != nil {
		return err
	}
	var name string
	err = v.q.QueryRowContext(ctx, `SELECT table_name FROM ducklake_table WHERE table_id = ? AND begin_snapshot <= ? ORDER BY begin_snapshot DESC LIMIT 1`, fc.table, fc.snapshot).Scan(&name)
	if errors.Is(err, sql.ErrNoRows) {
		return nil // not a table
	}
	if err != nil {
		return sqlError(ctx, err, "read the tables")
	}
	before, err := v.live(ctx, fc.table)
	if err != nil {
		return err
	}
	after := liveState{version: before.version + 1}
	t, terr := v.Table(ctx, name, fc.snapshot)
	if terr == nil && t.ID == fc.table {
		if after.rows, after.files, after.bytes, err = v.CountLive(ctx, t, fc.snapshot); err != nil {
			return err
		}
	} else if errs.KindOf(terr) != errs.NotFound && terr != nil {
		return terr
	}
	gained := after.rows - before.rows
	_, err = v.q.ExecContext(ctx, `INSERT OR IGNORE INTO supertable_change (snapshot_id, table_id, table_name, version, operation, inserted, deleted, skipped, principal, message) VALUES (?, ?, ?, ?, ?, ?, ?, 0, 'external', '')`,
		fc.snapshot, fc.table, name, after.version, fc.operation, max(0, gained), max(0, -gained))
	if err != nil {
		return sqlError(ctx, err, "write the history")
	}
	if terr != nil || t.ID != fc.table { // dropped
		_, err = v.q.ExecContext(ctx, `DELETE FROM supertable_table WHERE table_id = ?`, fc.table)
		return sqlError(ctx, err, "write the live state")
	}
	return v.storeLive(ctx, fc.table, after, at)
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
