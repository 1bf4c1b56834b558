package catalog

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/supertable-go/supertable/internal/errs"
)

// The states of a staged file.
const (
	Staged      = "staged"      // not loaded yet
	Loaded      = "loaded"      // at least once
	Quarantined = "quarantined" // it failed its checks; nothing loads it by itself
)

// StagedFile is one file of a staging area, as the index has it.
type StagedFile struct {
	ID          string
	Area        string
	File        string // its name in the area
	Name        string // the name it was given, without the time
	Rows, Bytes int64
	SHA256      string
	Format      string // parquet, arrow, csv, json, ndjson
	Status      string
	Reason      string // why it was quarantined
	Created     time.Time
	Principal   string
}

// StagedLoad is what became of a staged file at one time.
type StagedLoad struct {
	FileID, Area, File, SHA256 string
	Status, Reason             string // Loaded or Quarantined
	TableID                    int64  // -1 when the table was not there
	Table, Pipe, WriteID       string
	Inserted, Deleted          int64
	Snapshot                   int64
	At                         time.Time
	Principal                  string
}

const stagedColumns = `SELECT file_id, area, file, name, rows, bytes, sha256, format, status, reason, created, principal FROM supertable_staged `

// StagedFiles lists the files of an area, or of all areas when it is "", the
// oldest first.
func (v *View) StagedFiles(ctx context.Context, area string) ([]StagedFile, error) {
	return v.staged(ctx, stagedColumns+`WHERE ?1 = '' OR area = ?1 ORDER BY area, created, file`, area)
}

// StagedArea gives an area the case that its first file gave it.
func (v *View) StagedArea(ctx context.Context, area string) (string, error) {
	var first string
	err := v.q.QueryRowContext(ctx, `SELECT area FROM supertable_staged WHERE area = ? LIMIT 1`, area).Scan(&first)
	if errors.Is(err, sql.ErrNoRows) {
		return area, nil
	}
	return first, sqlError(ctx, err, "read the staged files")
}

// StagedPending lists the files of an area that were neither loaded into the
// table nor quarantined, the oldest first.
func (v *View) StagedPending(ctx context.Context, area string, table int64) ([]StagedFile, error) {
	return v.staged(ctx, stagedColumns+`s WHERE area = ?1 AND status <> 'quarantined' AND NOT EXISTS
 (SELECT 1 FROM supertable_staged_load l WHERE l.file_id = s.file_id AND l.table_id = ?2 AND l.status = 'loaded') ORDER BY created, file`, area, table)
}

func (v *View) staged(ctx context.Context, query string, args ...any) ([]StagedFile, error) {
	if v.c.foreign {
		return nil, nil
	}
	rows, err := v.q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, sqlError(ctx, err, "read the staged files")
	}
	defer func() { _ = rows.Close() }()
	var out []StagedFile
	for rows.Next() {
		var f StagedFile
		var created string
		if err := rows.Scan(&f.ID, &f.Area, &f.File, &f.Name, &f.Rows, &f.Bytes, &f.SHA256, &f.Format, &f.Status, &f.Reason, &created, &f.Principal); err != nil {
			return nil, sqlError(ctx, err, "read the staged files")
		}
		if f.Created, err = ParseTime(created); err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, sqlError(ctx, rows.Err(), "read the staged files")
}

// StagedLoads lists what became of the files of an area, or of all areas when
// it is "", the newest first.
func (v *View) StagedLoads(ctx context.Context, area string) ([]StagedLoad, error) {
	return v.stagedLoads(ctx, `WHERE ?1 = '' OR area = ?1 ORDER BY at DESC, file DESC`, area)
}

// LoadedBefore finds the first load of those bytes into the table.
func (v *View) LoadedBefore(ctx context.Context, table int64, sha256 string) (StagedLoad, bool, error) {
	list, err := v.stagedLoads(ctx, `WHERE table_id = ?1 AND sha256 = ?2 AND status = 'loaded' ORDER BY at LIMIT 1`, table, sha256)
	if err != nil || len(list) == 0 {
		return StagedLoad{}, false, err
	}
	return list[0], true, nil
}

func (v *View) stagedLoads(ctx context.Context, where string, args ...any) ([]StagedLoad, error) {
	if v.c.foreign {
		return nil, nil
	}
	rows, err := v.q.QueryContext(ctx, `SELECT file_id, area, file, sha256, status, reason, table_id, table_name, pipe, write_id, inserted, deleted, snapshot_id, at, principal FROM supertable_staged_load `+where, args...)
	if err != nil {
		return nil, sqlError(ctx, err, "read the loads")
	}
	defer func() { _ = rows.Close() }()
	var out []StagedLoad
	for rows.Next() {
		var l StagedLoad
		var at string
		if err := rows.Scan(&l.FileID, &l.Area, &l.File, &l.SHA256, &l.Status, &l.Reason, &l.TableID, &l.Table, &l.Pipe, &l.WriteID, &l.Inserted, &l.Deleted, &l.Snapshot, &at, &l.Principal); err != nil {
			return nil, sqlError(ctx, err, "read the loads")
		}
		if l.At, err = ParseTime(at); err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	return out, sqlError(ctx, rows.Err(), "read the loads")
}

// AddStaged puts files into the index, all or none. Their bytes are durable
// and carry traces of the lease, which must still be held.
func (c *Catalog) AddStaged(ctx context.Context, lease string, files []StagedFile, allow Allow) error {
	return c.write(ctx, func(q querier) error {
		v := &View{q: q, c: c}
		if err := v.changeableBy(ctx, allow); err != nil {
			return err
		}
		if err := v.checkLease(ctx, lease); err != nil {
			return err
		}
		var stmts []statement
		for _, f := range files {
			stmts = append(stmts, statement{
				`INSERT INTO supertable_staged (file_id, area, file, name, rows, bytes, sha256, format, status, reason, created, principal) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'staged', '', ?, ?)`,
				[]any{f.ID, f.Area, f.File, f.Name, f.Rows, f.Bytes, f.SHA256, f.Format, FormatTime(f.Created), f.Principal},
			})
		}
		return execAll(ctx, q, stmts)
	})
}

// Changeable refuses changes of a SuperTable that is read-only, foreign or dropped.
func (c *Catalog) Changeable(ctx context.Context) error {
	return c.Read(ctx, func(v *View) error { return v.changeable(ctx) })
}

func (v *View) changeable(ctx context.Context) error {
	if v.c.foreign {
		return errs.New(errs.Denied, "this lake was made by another DuckLake client and is read-only; run create to adopt it")
	}
	if gone, err := v.Dropped(ctx); err != nil || gone {
		if err == nil {
			err = errs.New(errs.NotFound, "the SuperTable was dropped")
		}
		return err
	}
	ro, err := v.ReadOnly(ctx)
	if err == nil && ro {
		err = errs.New(errs.Denied, "the SuperTable is read-only; make it writable with: create --read-write")
	}
	return err
}

// Allow is asked inside the transaction of a change, with every other writer
// kept out, whether its caller may make it under the rules that hold there
// (ADR 0012). Nil allows.
type Allow func(ctx context.Context, v *View) error

func (a Allow) in(ctx context.Context, v *View) error {
	if a == nil {
		return nil
	}
	var err error
	if v.Head, err = v.loadHead(ctx); err != nil {
		return err
	}
	return a(ctx, v)
}

// changeableBy is changeable, and asks for the rights too.
func (v *View) changeableBy(ctx context.Context, allow Allow) error {
	if err := v.changeable(ctx); err != nil {
		return err
	}
	return allow.in(ctx, v)
}

// RemoveStaged takes a file out of the index; removed is false when another
// caller did before. The file carries a trace of the lease, which must still be
// held: without it nobody would find the file that has no row.
func (c *Catalog) RemoveStaged(ctx context.Context, lease, id string, allow Allow) (removed bool, err error) {
	err = c.write(ctx, func(q querier) error {
		v := &View{q: q, c: c}
		if err := v.changeableBy(ctx, allow); err != nil {
			return err
		}
		if err := v.checkLease(ctx, lease); err != nil {
			return err
		}
		res, err := q.ExecContext(ctx, `DELETE FROM supertable_staged WHERE file_id = ?`, id)
		if err != nil {
			return sqlError(ctx, err, "write the catalog")
		}
		n, err := res.RowsAffected()
		removed = n > 0
		return sqlError(ctx, err, "write the catalog")
	})
	return removed, err
}

// RecordStaged records what became of a staged file and gives the file that
// state. A load that is on record already is not recorded again; a file that
// was loaded into the table is not quarantined for it: recorded is then false.
func (c *Catalog) RecordStaged(ctx context.Context, l StagedLoad, allow Allow) (recorded bool, err error) {
	err = c.write(ctx, func(q querier) error {
		if err := allow.in(ctx, &View{q: q, c: c}); err != nil {
			return err
		}
		if l.Status == Quarantined {
			var n int
			err := q.QueryRowContext(ctx, `SELECT count(*) FROM supertable_staged_load WHERE file_id = ? AND table_id = ? AND status = 'loaded'`, l.FileID, l.TableID).Scan(&n)
			if err != nil || n > 0 {
				return sqlError(ctx, err, "read the loads")
			}
		}
		recorded = true
		return execAll(ctx, q, []statement{
			{
				`INSERT INTO supertable_staged_load (file_id, area, file, sha256, status, reason, table_id, table_name, pipe, write_id, inserted, deleted, snapshot_id, at, principal)
 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (file_id, table_id, write_id) DO NOTHING`,
				[]any{l.FileID, l.Area, l.File, l.SHA256, l.Status, l.Reason, l.TableID, l.Table, l.Pipe, l.WriteID, l.Inserted, l.Deleted, l.Snapshot, FormatTime(l.At), l.Principal},
			},
			{`UPDATE supertable_staged SET status = ?, reason = ? WHERE file_id = ?`, []any{l.Status, l.Reason, l.FileID}},
		})
	})
	return recorded, err
}

// stagedNamed reports whether the index names a file.
func (v *View) stagedNamed(ctx context.Context, area, file string) (bool, error) {
	var n int
	err := v.q.QueryRowContext(ctx, `SELECT count(*) FROM supertable_staged WHERE area = ? AND file = ?`, area, file).Scan(&n)
	return n > 0, sqlError(ctx, err, "read the staged files")
}

// NamesStaged reports whether the index names a file.
func (c *Catalog) NamesStaged(ctx context.Context, area, file string) (named bool, err error) {
	err = c.Read(ctx, func(v *View) error { named, err = v.stagedNamed(ctx, area, file); return err })
	return named, err
}

// Pipe is a stored pipe. Target tells two pipes apart that do the same.
type Pipe struct {
	Name, Area, Table, Target string
	Definition                string // JSON
	Created                   time.Time
	Principal                 string
}

// Pipes lists the pipes by name: the one called name, or all when it is "".
func (v *View) Pipes(ctx context.Context, name string) ([]Pipe, error) {
	if v.c.foreign {
		return nil, nil
	}
	rows, err := v.q.QueryContext(ctx, `SELECT name, area, table_name, target, definition, created, principal FROM supertable_pipe WHERE ?1 = '' OR name = ?1 ORDER BY name`, name)
	if err != nil {
		return nil, sqlError(ctx, err, "read the pipes")
	}
	defer func() { _ = rows.Close() }()
	var out []Pipe
	for rows.Next() {
		var p Pipe
		var created string
		if err := rows.Scan(&p.Name, &p.Area, &p.Table, &p.Target, &p.Definition, &created, &p.Principal); err != nil {
			return nil, sqlError(ctx, err, "read the pipes")
		}
		if p.Created, err = ParseTime(created); err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, sqlError(ctx, rows.Err(), "read the pipes")
}

// AddPipe stores a new pipe. Its name, and its area with its target, must be free.
func (c *Catalog) AddPipe(ctx context.Context, p Pipe, allow Allow) error {
	return c.write(ctx, func(q querier) error {
		if err := (&View{q: q, c: c}).changeableBy(ctx, allow); err != nil {
			return err
		}
		var taken string
		err := q.QueryRowContext(ctx, `SELECT name FROM supertable_pipe WHERE name = ?1 OR area = ?2 AND target = ?3 ORDER BY name = ?1 DESC`, p.Name, p.Area, p.Target).Scan(&taken)
		switch {
		case err == nil && strings.EqualFold(taken, p.Name):
			return errs.New(errs.AlreadyExists, "a pipe named %s exists already; delete it first", taken)
		case err == nil:
			return errs.New(errs.AlreadyExists, "the pipe %s loads this area into this table by this key already", taken)
		case !errors.Is(err, sql.ErrNoRows):
			return sqlError(ctx, err, "read the pipes")
		}
		return execAll(ctx, q, []statement{{
			`INSERT INTO supertable_pipe (name, area, table_name, target, definition, created, principal) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			[]any{p.Name, p.Area, p.Table, p.Target, p.Definition, FormatTime(p.Created), p.Principal},
		}})
	})
}

// SetPipe replaces the definition of a pipe; found is false when there is none.
func (c *Catalog) SetPipe(ctx context.Context, name, definition string, allow Allow) (found bool, err error) {
	return c.changePipe(ctx, allow, `UPDATE supertable_pipe SET definition = ?2 WHERE name = ?1`, name, definition)
}

// DeletePipe removes a pipe; found is false when there is none.
func (c *Catalog) DeletePipe(ctx context.Context, name string, allow Allow) (found bool, err error) {
	return c.changePipe(ctx, allow, `DELETE FROM supertable_pipe WHERE name = ?1`, name)
}

func (c *Catalog) changePipe(ctx context.Context, allow Allow, query string, args ...any) (found bool, err error) {
	err = c.write(ctx, func(q querier) error {
		if err := (&View{q: q, c: c}).changeableBy(ctx, allow); err != nil {
			return err
		}
		res, err := q.ExecContext(ctx, query, args...)
		if err != nil {
			return sqlError(ctx, err, "write the catalog")
		}
		n, err := res.RowsAffected()
		found = n > 0
		return sqlError(ctx, err, "write the catalog")
	})
	return found, err
}
