package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/storage"
)

// Rebuilt says what a rebuild brought back.
type Rebuilt struct {
	Tables    int // live at the newest snapshot
	Snapshots int
	Missing   []string // what could not be brought back, a sentence each
	Kept      string   // the name that the old catalog has now; "" when there was none
}

// HasLog reports whether the folder has a log that a catalog can be made from.
func HasLog(folder storage.Folder) bool {
	_, checkpoints, err := listLog(folder.Log())
	return err == nil && len(checkpoints) > 0
}

// lost is the error for a SuperTable whose catalog cannot be read while its
// log is there; err when there is no log either.
func lost(folder storage.Folder, err error) error {
	if !HasLog(folder) {
		return err
	}
	if errs.KindOf(err) == errs.NotFound {
		return errs.New(errs.Corrupt, "the catalog of this SuperTable is gone, but not its log; run: supertable rebuild")
	}
	if errs.KindOf(err) == errs.Corrupt {
		return errs.Wrap(errs.Corrupt, err, "%v; its log is there, run: supertable rebuild", err)
	}
	return err
}

// sound reports whether the catalog in folder can be opened and holds
// together. That it cannot be looked at right now is an error.
func sound(ctx context.Context, folder storage.Folder, o Options) (bool, error) {
	bad := ""
	c, err := Open(ctx, folder, o)
	if err == nil {
		defer func() { _ = c.Close() }()
		err = c.Read(ctx, func(v *View) (err error) { bad, err = v.IntegrityCheck(ctx); return err })
	}
	switch errs.KindOf(err) {
	case "":
		return bad == "", nil
	case errs.Corrupt, errs.NotFound, errs.Internal:
		return false, nil
	}
	return false, err
}

// Rebuild makes the catalog of folder again from its log. Data files are only
// looked at. Unless force is set, a catalog that is sound is left alone.
//
// Everything is made in a folder of its own, with the commit lock held. Then
// the old catalog gets another name, its write-ahead log goes with it (SQLite
// would replay it into the new one), and the new one takes its place. Killed
// between the two there is no catalog: every opener says so, none makes a new
// one, and the next rebuild begins anew.
func Rebuild(ctx context.Context, folder storage.Folder, o Options, force bool) (out Rebuilt, err error) {
	if !HasLog(folder) {
		return out, errs.New(errs.Corrupt, "there is no log from which the catalog could be rebuilt")
	}
	if err := storage.MakeDir(folder.Tmp()); err != nil {
		return out, err
	}
	if err := catchUpOld(ctx, folder, o); err != nil {
		return out, err
	}
	release, err := folder.Lock(ctx, commitLock)
	if err != nil {
		return out, err
	}
	defer release()
	if ok, err := sound(ctx, folder, o); !force && err != nil {
		return out, err
	} else if !force && ok {
		return out, errs.New(errs.AlreadyExists, "the catalog is sound; --force rebuilds it all the same")
	}
	if err := folder.SweepSpill(); err != nil {
		return out, err
	}
	dir, drop, err := folder.Spill()
	if err != nil {
		return out, err
	}
	defer drop()
	if err := storage.MakeDir(dir); err != nil {
		return out, err
	}
	made := filepath.Join(dir, "catalog.db")
	_, out.Missing, err = replay(ctx, folder, made)
	if err != nil {
		return out, err
	}
	if err := out.look(ctx, folder, o, made); err != nil {
		return out, err
	}
	if err := out.record(ctx, folder, o, made); err != nil {
		return out, err
	}
	if err := finishCopy(ctx, made); err != nil {
		return out, err
	}
	out.Kept, err = putInPlace(folder, made, o.Now().UTC().Format("20060102T150405Z"))
	return out, err
}

// catchUpOld brings the log up to the catalog that is there, when it can be
// opened: what other clients committed is not in the log until then.
func catchUpOld(ctx context.Context, folder storage.Folder, o Options) error {
	old, err := Open(ctx, folder, o)
	if err != nil {
		return nil //nolint:nilerr // it is lost or damaged: the log is all there is
	}
	err = old.CatchUpLog(ctx)
	if cerr := old.Close(); err == nil {
		err = cerr
	}
	if errs.KindOf(err) == errs.Corrupt || errs.KindOf(err) == errs.Internal {
		return nil
	}
	return err
}

// finishCopy makes a copy of a catalog one that many processes can open, and
// verifies that it holds together.
func finishCopy(ctx context.Context, path string) error {
	db := sql.OpenDB(connector{fileDSN(path, map[string]string{"mode": "rw", "_synchronous": "FULL"})})
	defer func() { _ = db.Close() }()
	conn, err := db.Conn(ctx)
	if err != nil {
		return sqlError(ctx, err, "open a copy of the catalog")
	}
	defer func() { _ = conn.Close() }()
	if err := setWAL(ctx, conn); err != nil {
		return err
	}
	bad, err := (&View{q: conn}).IntegrityCheck(ctx)
	if err == nil && bad != "" {
		err = errs.New(errs.Corrupt, "a copy of the catalog does not hold together: %s", bad)
	}
	return err
}

// openCopy opens a copy of a catalog that lies elsewhere than its files.
func openCopy(folder storage.Folder, o Options, path string) *Catalog {
	c := &Catalog{folder: folder, opts: o, dataPath: folder.Data()}
	c.db = sql.OpenDB(connector{fileDSN(path, map[string]string{"mode": "rw", "_synchronous": "OFF"})})
	return c
}

// record puts the rebuild into the audit that came back. The log has no record
// of that: the next commit makes a checkpoint.
func (r *Rebuilt) record(ctx context.Context, folder storage.Folder, o Options, made string) error {
	if o.Audit == nil {
		return nil
	}
	c := openCopy(folder, o, made)
	defer func() { _ = c.db.Close() }()
	return changeCopy(ctx, c.db, func(ctx context.Context, q querier) error {
		text := fmt.Sprintf("%d tables, %d snapshots, %d missing", r.Tables, r.Snapshots, len(r.Missing))
		if err := o.appendEvent(ctx, q, Event{Action: "rebuild", Statement: text}); err != nil {
			return err
		}
		return execAll(ctx, q, []statement{{sql: `UPDATE supertable_log SET touched = 1`}})
	})
}

// look counts what the rebuilt catalog has, and looks for its files.
func (r *Rebuilt) look(ctx context.Context, folder storage.Folder, o Options, made string) error {
	c := openCopy(folder, o, made)
	defer func() { _ = c.db.Close() }()
	stored, err := folder.DataFiles()
	if err != nil {
		return err
	}
	leased, err := c.Leased(ctx)
	if err != nil {
		return err
	}
	return c.Read(ctx, func(v *View) error {
		tables, err := v.Tables(ctx, v.Head.ID)
		if err != nil {
			return err
		}
		r.Tables = len(tables)
		if err := v.q.QueryRowContext(ctx, `SELECT count(*) FROM ducklake_snapshot`).Scan(&r.Snapshots); err != nil {
			return sqlError(ctx, err, "count the snapshots")
		}
		facts, err := v.AllFiles(ctx)
		if err != nil {
			return err
		}
		for _, f := range facts {
			leased[f.Rel] = true // known
			if f.Gone {
				continue
			}
			if err := CheckSize(f.Path, f.Size); err != nil {
				r.Missing = append(r.Missing, err.Error())
			}
		}
		slices.Sort(stored)
		for _, rel := range stored {
			if !leased[rel] {
				now := o.Now() // the grace of cleaning begins here: somebody may still want to look at it
				_ = os.Chtimes(filepath.Join(folder.Data(), filepath.FromSlash(rel)), now, now)
				r.Missing = append(r.Missing, "no snapshot names the file "+path.Base(rel)+": the commit that did is lost, or there was none")
			}
		}
		return nil
	})
}

// putInPlace gives the catalog that is there another name and puts the new one
// in its place.
func putInPlace(folder storage.Folder, made, stamp string) (kept string, err error) {
	if err := storage.SyncFile(made); err != nil {
		return "", err
	}
	if folder.Exists() {
		kept = "catalog-kept-" + stamp + ".db"
		if _, err := os.Lstat(filepath.Join(folder.Root(), kept)); err == nil {
			kept = "catalog-kept-" + stamp + "-" + token() + ".db"
		}
	}
	aside := kept
	if aside == "" {
		aside = "catalog-kept-" + stamp + "-" + token() + ".db" // what is left of one that was deleted
	}
	// The catalog goes first: without it nobody reads the others.
	for _, suffix := range []string{"", "-wal", "-shm"} {
		err := os.Rename(folder.Catalog()+suffix, filepath.Join(folder.Root(), aside+suffix))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", storage.Error(err, "keep the old catalog")
		}
		if err := storage.SyncDir(folder.Root()); err != nil {
			return "", err
		}
	}
	if err := os.Rename(made, folder.Catalog()); err != nil {
		return kept, storage.Error(err, "put the catalog in its place")
	}
	return kept, storage.SyncDir(folder.Root())
}
