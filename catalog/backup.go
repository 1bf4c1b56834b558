package catalog

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/storage"
)

// backupLock is held, shared, while files that the catalog names are copied.
// Who deletes such files asks for it alone first.
const backupLock = "backup.lock"

// Protect keeps every file that the catalog names, at any retained snapshot,
// from being cleaned until release is called or the process ends.
func (c *Catalog) Protect(ctx context.Context) (release func(), err error) {
	return c.folder.LockShared(ctx, backupLock)
}

// Unprotected calls clean while nobody relies on files that the catalog no
// longer names at its newest state; done is false when somebody does.
func (c *Catalog) Unprotected(clean func() error) (done bool, err error) {
	release, ok, err := c.folder.TryLock(backupLock)
	if err != nil || !ok {
		return false, err
	}
	defer release()
	return true, clean()
}

// CopyInfo is what a copy of a catalog holds.
type CopyInfo struct {
	Snapshot int64
	Files    []FileFact // those that must be there
	Staged   []StagedFile
}

// CopyTo makes in dir a whole copy of the catalog as it is now, while writers
// go on: dir/catalog.db, and dir/log with it as the checkpoint from which a
// log goes on. Leases stay behind: who holds one works elsewhere.
func (c *Catalog) CopyTo(ctx context.Context, dir string) (info CopyInfo, err error) {
	if c.foreign {
		return info, errs.New(errs.Unsupported, "this lake was made by another DuckLake client; run create to adopt it")
	}
	path := filepath.Join(dir, "catalog.db")
	if err := copyCatalog(ctx, c.log.dsn, path); err != nil {
		return info, err
	}
	if err := adjustCopy(ctx, dir, func(context.Context, querier) error { return nil }); err != nil {
		return info, err
	}
	return lookInto(ctx, openCopy(c.folder, c.opts, path))
}

// adjustCopy makes the copy of a catalog in dir one of its own: without leases,
// with what change writes into it, with a log that begins at it.
func adjustCopy(ctx context.Context, dir string, change func(context.Context, querier) error) error {
	path := filepath.Join(dir, "catalog.db")
	at, _, err := positionOf(path)
	if err != nil {
		return err
	}
	if err := rewriteCopy(ctx, path, change); err != nil {
		return err
	}
	at.segment, at.place = at.seq+1, 0
	if err := setPosition(path, at); err != nil {
		return err
	}
	log := storage.At(dir).Log()
	if err := os.RemoveAll(log); err != nil {
		return storage.Error(err, "begin a log")
	}
	if err := storage.MakeDir(log); err != nil {
		return err
	}
	first := filepath.Join(log, ".first")
	if err := copyFile(path, first); err != nil {
		return err
	}
	if err := installCheckpoint(log, first, at.seq); err != nil {
		return err
	}
	if err := finishCopy(ctx, path); err != nil {
		return err
	}
	return storage.SyncFile(path)
}

func rewriteCopy(ctx context.Context, path string, change func(context.Context, querier) error) error {
	db := sql.OpenDB(connector{fileDSN(path, map[string]string{"mode": "rw", "_synchronous": "OFF"})})
	defer func() { _ = db.Close() }()
	var mode string // one file, so that it can be copied
	if err := db.QueryRowContext(ctx, `PRAGMA journal_mode = DELETE`).Scan(&mode); err != nil {
		return sqlError(ctx, err, "prepare a copy of the catalog")
	}
	return changeCopy(ctx, db, func(ctx context.Context, q querier) error {
		if err := execAll(ctx, q, []statement{{sql: `DELETE FROM supertable_lease`}}); err != nil {
			return err
		}
		return change(ctx, q)
	})
}

// changeCopy changes a copy of a catalog, all or nothing.
func changeCopy(ctx context.Context, db *sql.DB, change func(context.Context, querier) error) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return sqlError(ctx, err, "open a copy of the catalog")
	}
	defer func() { _ = conn.Close() }()
	return immediate(ctx, conn, func(q querier) error { return change(ctx, q) })
}

// lookInto reads what a copy of a catalog holds, and closes it.
func lookInto(ctx context.Context, c *Catalog) (info CopyInfo, err error) {
	defer func() { _ = c.db.Close() }()
	err = c.Read(ctx, func(v *View) error {
		info.Snapshot = v.Head.ID
		if info.Staged, err = v.StagedFiles(ctx, ""); err != nil {
			return err
		}
		facts, err := v.AllFiles(ctx)
		for _, f := range facts {
			if f.Gone {
				continue
			}
			if !strings.HasPrefix(f.Path, c.dataPath) || !filepath.IsLocal(filepath.FromSlash(f.Rel)) {
				return errs.New(errs.Unsupported, "the file %s lies outside of the data folder: it cannot be backed up", filepath.Base(f.Path))
			}
			info.Files = append(info.Files, f)
		}
		return err
	})
	return info, err
}

// AdjustRestored makes the catalog that was restored into folder the one of
// the SuperTable called super whose place will be final, and says what it
// holds. Staged files that were not restored (they were removed while the
// backup was made) leave its index. The audit gets e.
func AdjustRestored(ctx context.Context, folder, final storage.Folder, super string, o Options, e Event) (info CopyInfo, err error) {
	if err := restorable(ctx, folder, o, super); err != nil {
		return info, err
	}
	if info, err = lookInto(ctx, openCopy(folder, o, folder.Catalog())); err != nil {
		return info, err
	}
	stmts := []statement{{`UPDATE ducklake_metadata SET "value" = ? WHERE "key" = 'data_path' AND "scope" IS NULL`, []any{final.Data()}}}
	for _, f := range info.Staged {
		if _, err := os.Lstat(folder.Staged(f.Area, f.File)); errors.Is(err, fs.ErrNotExist) {
			stmts = append(stmts, statement{`DELETE FROM supertable_staged WHERE file_id = ?`, []any{f.ID}})
		} else if err != nil {
			return info, storage.Error(err, "look for a staged file")
		}
	}
	err = adjustCopy(ctx, folder.Root(), func(ctx context.Context, q querier) error {
		if err := execAll(ctx, q, stmts); err != nil {
			return err
		}
		return o.appendEvent(ctx, q, e)
	})
	return info, err
}

// LookIntoBackup reads what the catalog of a backup holds. It writes nothing.
func LookIntoBackup(ctx context.Context, folder storage.Folder, o Options) (info CopyInfo, err error) {
	c := &Catalog{folder: folder, opts: o}
	c.db = sql.OpenDB(connector{fileDSN(folder.Catalog(), map[string]string{"mode": "ro", "immutable": "1"})})
	if err := c.load(ctx); err != nil {
		_ = c.db.Close()
		return info, err
	}
	if c.foreign {
		_ = c.db.Close()
		return info, errs.New(errs.Corrupt, "the backup's catalog is not a SuperTable's")
	}
	bad := ""
	err = c.Read(ctx, func(v *View) (err error) { bad, err = v.IntegrityCheck(ctx); return err })
	if err == nil && bad != "" {
		err = errs.New(errs.Corrupt, "the backup's catalog does not hold together: %s", bad)
	}
	if err != nil {
		_ = c.db.Close()
		return info, err
	}
	return lookInto(ctx, c)
}

// restorable refuses a catalog that this program cannot work with, or whose
// tables cannot lie in a SuperTable of that name.
func restorable(ctx context.Context, folder storage.Folder, o Options, super string) error {
	c, err := Open(ctx, folder, o)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if c.foreign {
		return errs.New(errs.Corrupt, "the backup's catalog is not a SuperTable's")
	}
	return c.Read(ctx, func(v *View) error {
		tables, err := v.Tables(ctx, v.Head.ID)
		for _, t := range tables {
			if strings.EqualFold(t.Name, super) {
				return errs.New(errs.InvalidArgument, "the backup has a table %q: it cannot be restored as a SuperTable of that name", t.Name)
			}
		}
		return err
	})
}
