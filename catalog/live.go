package catalog

import (
	"context"
	"database/sql"
	"errors"

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

// CountLive counts a table's live rows, files and bytes from the format's own
// tables. at is the newest snapshot: rows of an older one may have been moved
// into files that hold rows of others too (see past).
func (v *View) CountLive(ctx context.Context, t Table, at int64) (rows, files, bytes int64, err error) {
	list, err := v.Files(ctx, t, at, nil)
	if err != nil {
		return 0, 0, 0, err
	}
	for i := range list {
		f := &list[i]
		dead := f.Inlined
		switch {
		case len(f.More) > 0: // they may name a row twice
			all, err := v.Dead(ctx, t, f, at)
			if err != nil {
				return 0, 0, 0, err
			}
			dead = all.Count()
		case f.Delete != nil:
			dead += f.Delete.Count
		}
		rows += f.Records - dead
		files++
		bytes += f.Size
	}
	n, err := v.CountInlinedRows(ctx, t, at)
	return rows + n, files, bytes, err
}
