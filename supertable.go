package supertable

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/maintain"
	"github.com/supertable-go/supertable/rbac"
	"github.com/supertable-go/supertable/storage"
)

// Lake is an open home: the folder that holds organizations and their
// SuperTables. It is safe for concurrent use; several processes may have the
// same home open.
type Lake struct {
	home string
	opts Options

	lost atomic.Int64 // records that no audit could take

	mu   sync.Mutex
	open map[string]*SuperTable // by folder; guarded by mu

	background *maintain.Service // guarded by mu; nil while there is none
}

// Open opens the home folder. Nothing is created, and nothing is read, until
// a SuperTable is asked for.
func Open(_ context.Context, home string, o *Options) (*Lake, error) {
	if home == "" {
		return nil, errs.New(errs.InvalidArgument, "the home folder has no name")
	}
	abs, err := filepath.Abs(home)
	if err != nil {
		return nil, errs.Wrap(errs.InvalidArgument, err, "the home folder cannot be found")
	}
	l := &Lake{home: abs, open: map[string]*SuperTable{}}
	if o != nil {
		l.opts = *o
	}
	if l.opts.Now == nil {
		l.opts.Now = time.Now //nolint:forbidigo // the one default clock
	}
	if l.opts.Logger == nil {
		l.opts.Logger = slog.New(slog.DiscardHandler)
	}
	if l.opts.LeaseTTL <= 0 {
		l.opts.LeaseTTL = time.Minute
	}
	if l.opts.MemoryBytes <= 0 {
		l.opts.MemoryBytes = defaultMemory(os.DirFS("/"))
	}
	return l, nil
}

// Close ends background work and releases the engines. Sessions of the lake
// must no longer be in use.
func (l *Lake) Close() error {
	l.StopMaintenance()
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []error
	for _, s := range l.open {
		all = append(all, s.close())
	}
	l.open = map[string]*SuperTable{}
	return errors.Join(all...)
}

// Create makes the SuperTable org/name when it is not there (created tells),
// adopts a foreign DuckLake catalog that lies in its place, and opens it.
func (l *Lake) Create(ctx context.Context, org, name string, o *CreateOptions) (st *SuperTable, created bool, err error) {
	folder, name, err := l.locate(org, name)
	if err != nil {
		return nil, false, err
	}
	if err := l.finishDrop(ctx, folder); err != nil {
		return nil, false, err
	}
	st = l.current(folder)
	if st == nil || st.catalog.Foreign() {
		c, made, err := catalog.Create(ctx, folder, l.catalogOptions())
		if err != nil {
			return nil, false, err
		}
		st, created = l.keep(ctx, folder, org, name, c), made
	}
	if o != nil && o.ReadOnly != nil {
		if err := st.settleBefore(ctx, *o.ReadOnly); err != nil {
			return nil, created, err
		}
		if err := st.catalog.SetReadOnly(ctx, *o.ReadOnly, nil); err != nil {
			return nil, created, err
		}
	}
	return st, created, nil
}

func (l *Lake) catalogOptions() catalog.Options {
	return catalog.Options{Now: l.opts.Now, Logger: l.opts.Logger, LeaseTTL: l.opts.LeaseTTL, CreatedBy: "supertable", Policy: birth(l.opts.Now()), Audit: l.recorder().Record, InlineRows: l.opts.InlineRows}
}

// locate finds the folder of a SuperTable; names are unique without regard to
// case, so another spelling finds the one that is there.
func (l *Lake) locate(org, name string) (storage.Folder, string, error) {
	if err := catalog.CheckSpaceName("organization", org); err != nil {
		return storage.Folder{}, "", err
	}
	if err := catalog.CheckSpaceName("SuperTable", name); err != nil {
		return storage.Folder{}, "", err
	}
	org = spelling(l.home, org)
	name = spelling(filepath.Join(l.home, org), name)
	return storage.At(filepath.Join(l.home, org, name)), name, nil
}

// spelling gives the name of the entry of dir that equals name but for case.
func spelling(dir, name string) string {
	if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
		return name
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return name
	}
	for _, e := range entries {
		if strings.EqualFold(e.Name(), name) {
			return e.Name()
		}
	}
	return name
}

// SuperTable opens org/name. It creates nothing: a missing one is NotFound.
func (l *Lake) SuperTable(ctx context.Context, org, name string) (*SuperTable, error) {
	folder, name, err := l.locate(org, name)
	if err != nil {
		return nil, err
	}
	if st := l.current(folder); st != nil {
		return st, nil
	}
	c, err := catalog.Open(ctx, folder, l.catalogOptions())
	if errs.KindOf(err) == errs.NotFound {
		return nil, errs.New(errs.NotFound, "SuperTable not found: %s/%s", org, name)
	}
	if err != nil {
		return nil, err
	}
	dropped := false
	if err := c.Read(ctx, func(v *catalog.View) (err error) { dropped, err = v.Dropped(ctx); return err }); err != nil || dropped {
		_ = c.Close()
		if err == nil {
			err = errs.New(errs.NotFound, "SuperTable not found: %s/%s", org, name)
		}
		return nil, err
	}
	return l.keep(ctx, folder, org, name, c), nil
}

// current gives the open SuperTable of a folder, if it is still the one there.
func (l *Lake) current(folder storage.Folder) *SuperTable {
	l.mu.Lock()
	st := l.open[folder.Root()]
	l.mu.Unlock()
	if st == nil || st.catalog.Current() {
		return st
	}
	l.forget(st)
	_ = st.close()
	return nil
}

// keep remembers an open SuperTable; when two callers opened it at once, the
// first one stays.
func (l *Lake) keep(ctx context.Context, folder storage.Folder, org, name string, c *catalog.Catalog) *SuperTable {
	st := newSuperTable(l, folder, org, name, c)
	l.mu.Lock()
	old := l.open[folder.Root()]
	if old != nil && !old.catalog.Foreign() && old.catalog.Current() {
		l.mu.Unlock()
		_ = c.Close()
		return old
	}
	l.open[folder.Root()] = st
	l.mu.Unlock()
	if old != nil {
		_ = old.close()
	}
	if err := c.Sweep(ctx); err != nil { // what dead writers left can wait for the next opener
		l.opts.Logger.Warn("unfinished files not swept", slog.String("error", err.Error()))
	}
	return st
}

func (l *Lake) forget(st *SuperTable) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[st.folder.Root()] == st {
		delete(l.open, st.folder.Root())
	}
}

// SuperTables lists the names of an organization's SuperTables, sorted.
func (l *Lake) SuperTables(_ context.Context, org string) ([]string, error) {
	if err := catalog.CheckSpaceName("organization", org); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(filepath.Join(l.home, spelling(l.home, org)))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, errs.Wrap(errs.Unavailable, err, "list the SuperTables")
	}
	out := []string{}
	for _, e := range entries {
		if storage.At(filepath.Join(l.home, spelling(l.home, org), e.Name())).Exists() && !strings.HasPrefix(e.Name(), ".") {
			out = append(out, e.Name())
		}
	}
	slices.Sort(out)
	return out, nil
}

// finishDrop removes what a drop that was killed half-way left.
func (l *Lake) finishDrop(ctx context.Context, folder storage.Folder) error {
	orgDir := filepath.Dir(folder.Root())
	entries, err := os.ReadDir(orgDir)
	if err != nil {
		return nil //nolint:nilerr // no organization yet: nothing to finish
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), droppedPrefix) {
			_ = os.RemoveAll(filepath.Join(orgDir, e.Name()))
		}
		if strings.HasPrefix(e.Name(), restorePrefix) {
			dropPartial(filepath.Join(orgDir, e.Name()))
		}
	}
	if !folder.Exists() {
		return nil
	}
	return l.removeDropped(ctx, folder)
}

const droppedPrefix = ".dropped-"

// removeDropped removes the SuperTable in folder if it carries the mark of a
// drop. The mark is looked at under the commit lock, which the folder takes
// along when it is moved away: what another process made in its place meanwhile
// is not touched.
func (l *Lake) removeDropped(ctx context.Context, folder storage.Folder) error {
	if dropped, err := l.dropped(ctx, folder); err != nil || !dropped {
		return err
	}
	release, err := folder.Lock(ctx, "commit.lock")
	if err != nil {
		if !folder.Exists() {
			return nil
		}
		return err
	}
	defer release()
	if dropped, err := l.dropped(ctx, folder); err != nil || !dropped {
		return err
	}
	gone := filepath.Join(filepath.Dir(folder.Root()), droppedPrefix+uuid.NewString())
	if err := os.Rename(folder.Root(), gone); err != nil {
		return errs.Wrap(errs.Unavailable, err, "remove the SuperTable's folder")
	}
	if err := storage.SyncDir(filepath.Dir(gone)); err != nil {
		return err
	}
	if err := os.RemoveAll(gone); err != nil {
		return errs.Wrap(errs.Unavailable, err, "remove the SuperTable's files; the SuperTable itself is gone")
	}
	return nil
}

// dropped reports whether the catalog in folder carries the mark of a drop.
func (l *Lake) dropped(ctx context.Context, folder storage.Folder) (dropped bool, err error) {
	c, err := catalog.Open(ctx, folder, l.catalogOptions())
	if err != nil {
		return false, nil //nolint:nilerr // gone, not whole yet, foreign or older: not dropped
	}
	defer func() { _ = c.Close() }()
	err = c.Read(ctx, func(v *catalog.View) (err error) { dropped, err = v.Dropped(ctx); return err })
	return dropped, err
}

// Session is the SuperTable as the principal sees it; principal is a user's
// name or hash. An unknown one is Denied.
func (s *SuperTable) Session(ctx context.Context, principal string) (*Session, error) {
	out := &Session{st: s}
	err := s.catalog.Read(ctx, func(v *catalog.View) error {
		p, err := s.policyIn(ctx, v)
		if err != nil {
			return err
		}
		out.principal, err = p.Principal(principal)
		return err
	})
	if err != nil {
		s.auditLogin(principal, err)
		return nil, err
	}
	return out, nil
}

// IsSuperuser reports whether a name or hash means the user superuser.
func IsSuperuser(principal string) bool {
	return strings.EqualFold(principal, rbac.SuperuserName) || principal == rbac.SuperuserHash
}
