// Package staging keeps input before it is loaded: named areas of files beside
// the lake, an index of what lies in them and what became of it, and pipes
// that load what arrives.
//
// A file is copied, read once from end to end, and only then given its name;
// what cannot be read is not kept. The index row is what makes it exist. A
// file is loaded into a table at most once unless somebody asks for it again:
// the write id of a load is the SHA-256 of the bytes, so whoever else loads
// them, in whatever process, gets the first result.
package staging

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/google/uuid"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/engine"
	"github.com/supertable-go/supertable/ingest"
	"github.com/supertable-go/supertable/ingest/source"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/rbac"
	"github.com/supertable-go/supertable/storage"
)

// Store is the staging of one SuperTable. It is safe for concurrent use.
type Store struct {
	Catalog *catalog.Catalog
	// Engine gives a locked engine that reads below the folders of staging and
	// of unfinished files, and nothing else: the expressions of pipes run on it.
	Engine func(context.Context) (engine.Engine, error)
	// WriteEngine gives the engine that writes files; no user's text reaches it.
	WriteEngine func(context.Context) (engine.Engine, error)
	Writer      Writer
	// Condition proves that a text is one harmless expression over columns, and
	// gives the text to run.
	Condition func(ctx context.Context, c engine.Conn, text string) (safe string, err error)
	// Authorize gives the rights of a principal under the rules that hold in the
	// view: what was granted may be revoked before the change.
	Authorize func(ctx context.Context, v *catalog.View, who rbac.Principal) (rbac.Grant, error)
	Now       func() time.Time
	Super     string // the SuperTable's name
}

// Writer is what loads a file: the write path.
type Writer interface {
	Write(ctx context.Context, g rbac.Grant, table string, in ingest.Input, o ingest.Options) (ingest.Result, error)
}

// Item is one thing to stage: a file, a stream of bytes, or batches.
type Item struct {
	Path   string             // a file; Name defaults to its base name
	Bytes  io.Reader          // or bytes, under Name
	Rows   array.RecordReader // or batches, under Name, kept as Parquet
	Name   string
	Format string // of a file or of bytes; "" is by the suffix of Name
}

// incoming is an item on its way into the index.
type incoming struct {
	Item
	path      string // the copy
	row       catalog.StagedFile
	published bool
}

// Put stages the items, all or none.
//
// Steps: copy to tmp/, sync, read it all; link it under its name in staging/
// with a trace under the lease; sync the folder; index rows in one
// transaction; the traces go. Killed before the transaction, nothing was
// staged, and the next opener removes what has a trace and no row.
func (s *Store) Put(ctx context.Context, g rbac.Grant, area string, items []Item) ([]catalog.StagedFile, error) {
	if err := rbac.NotOwnRecords(area); err != nil {
		return nil, err
	}
	if err := s.permit(g, area); err != nil {
		return nil, err
	}
	ins, err := incomingOf(items)
	if err != nil {
		return nil, err
	}
	if err := s.Catalog.Changeable(ctx); err != nil {
		return nil, err
	}
	area, err = s.spelling(ctx, area)
	if err != nil {
		return nil, err
	}
	lease, err := s.Catalog.Lease(ctx)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(s.Catalog.Folder().LeaseDir(lease), "incoming-"+uuid.NewString())
	defer func() { _ = os.RemoveAll(dir) }()
	for i, in := range ins {
		if err := s.receive(ctx, in, filepath.Join(dir, strconv.Itoa(i))); err != nil {
			return nil, err
		}
	}
	return s.index(ctx, g, lease, area, ins)
}

func incomingOf(items []Item) ([]*incoming, error) {
	if len(items) == 0 {
		return nil, errs.New(errs.InvalidArgument, "no file to stage")
	}
	ins := make([]*incoming, len(items))
	for i, it := range items {
		if it.Name == "" && it.Path != "" {
			it.Name = filepath.Base(it.Path)
		}
		if err := checkName(it.Name); err != nil {
			return nil, err
		}
		if it.Rows != nil {
			it.Name, it.Format = parquetName(it.Name), "parquet"
		}
		if it.Format == "" && source.FormatOf(it.Name) == "" {
			return nil, errs.New(errs.InvalidArgument, "file %s: the name does not tell the format: say which it is (--input-format)", quoted(it.Name))
		}
		ins[i] = &incoming{Item: it}
	}
	return ins, nil
}

// CheckNames refuses the names that Put refuses.
func CheckNames(area string, items []Item) error {
	if err := CheckArea(area); err != nil {
		return err
	}
	_, err := incomingOf(items)
	return err
}

// CheckItems refuses files and bytes that cannot be read to their end. It
// copies them into dir as Put does into the SuperTable.
func CheckItems(ctx context.Context, c engine.Conn, dir string, items []Item) error {
	ins, err := incomingOf(items)
	if err != nil {
		return err
	}
	for i, in := range ins {
		if err := in.receive(ctx, filepath.Join(dir, strconv.Itoa(i))); err != nil {
			return err
		}
		rel, err := source.Open(ctx, c, []string{in.path}, &source.Options{Format: in.Format, SpillDir: dir})
		if err == nil {
			_, err = readAll(ctx, c, rel, in.Name)
			_ = rel.Close()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// permit asks for WRITE on an area (decision 12).
func (s *Store) permit(g rbac.Grant, area string) error {
	if err := CheckArea(area); err != nil {
		return err
	}
	if !g.Permits(rbac.Write, area) { // I6
		return errs.New(errs.Denied, "You don't have permission to use this staging area.")
	}
	return nil
}

// still asks inside the transaction of a change what was asked before it: may
// the principal do it under the rules that hold there (ADR 0012)?
func (s *Store) still(g rbac.Grant, may func(rbac.Grant) error) catalog.Allow {
	return func(ctx context.Context, v *catalog.View) error {
		now, err := s.Authorize(ctx, v, g.Principal())
		if err != nil {
			return err
		}
		return may(now)
	}
}

// use asks for what every change of an area needs.
func (s *Store) use(area string) func(rbac.Grant) error {
	return func(g rbac.Grant) error { return s.permit(g, area) }
}

// open asks for what every use of a staged file needs. Files know no filters
// and no masks: to who sees a part of an area only, those that others put are
// not there.
func (s *Store) open(g rbac.Grant, f catalog.StagedFile) error {
	if err := s.permit(g, f.Area); err != nil {
		return err
	}
	if !g.Whole(rbac.Write, f.Area) && f.Principal != g.Principal().Name() {
		return notYours(f.Area, f.File)
	}
	return nil
}

// notYours is the answer about a file that another put and about one that is
// not there alike.
func notYours(area, file string) error {
	return errs.New(errs.Denied, "your role shows a part of %s only, so only the files that you put are there for you; %s is none of them", quoted(area), quoted(file))
}

// spelling gives an area the case that its first file gave it.
func (s *Store) spelling(ctx context.Context, area string) (string, error) {
	err := s.Catalog.Read(ctx, func(v *catalog.View) (err error) { area, err = v.StagedArea(ctx, area); return err })
	return area, err
}

// receive copies an item into dir under its own name, so that messages name
// it, and reads it to its end.
func (s *Store) receive(ctx context.Context, in *incoming, dir string) error {
	err := in.receive(ctx, dir)
	if err == nil && in.Rows != nil {
		err = s.writeParquet(ctx, in)
	}
	if err != nil {
		return err
	}
	if err := storage.SyncFile(in.path); err != nil {
		return err
	}
	if err := s.inspect(ctx, in); err != nil {
		return err
	}
	in.row.Name = in.Name
	in.row.SHA256, err = storage.Checksum(in.path)
	return err
}

// receive copies a file or bytes into dir.
func (in *incoming) receive(ctx context.Context, dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return errs.Wrap(errs.Unavailable, err, "make a folder under tmp")
	}
	in.path = filepath.Join(dir, in.Name)
	switch {
	case in.Rows != nil:
		return nil
	case in.Bytes != nil:
		return copyFrom(ctx, in.Bytes, in.path, in.Name)
	}
	return copyFile(ctx, in.Path, in.path, in.Name)
}

// index publishes the files and puts them into the index.
func (s *Store) index(ctx context.Context, g rbac.Grant, lease, area string, ins []*incoming) (out []catalog.StagedFile, err error) {
	folder := s.Catalog.Folder()
	defer func() {
		for _, in := range ins {
			switch {
			case !in.published:
			case err == nil:
				folder.RetireStaged(lease, area, in.row.File)
			default:
				s.unpublish(lease, area, in.row.File)
			}
		}
	}()
	for _, in := range ins {
		in.row.ID, in.row.Area, in.row.Principal, in.row.Status = uuid.Must(uuid.NewV7()).String(), area, g.Principal().Name(), catalog.Staged
		if err := s.publish(ctx, lease, in); err != nil {
			return nil, err
		}
		out = append(out, in.row)
	}
	return out, s.Catalog.AddStaged(ctx, lease, out, s.still(g, s.use(area)))
}

// publish gives the file a name that no other has: when this instant's is
// taken, by whatever process, the next one's.
func (s *Store) publish(ctx context.Context, lease string, in *incoming) error {
	at := s.Now().UTC()
	for ; ; at = at.Add(time.Millisecond) {
		if err := errs.FromContext(ctx, "stage "+in.Name); err != nil {
			return err
		}
		in.row.File, in.row.Created = stamped(at, in.Name), at
		taken, err := s.Catalog.NamesStaged(ctx, in.row.Area, in.row.File)
		if err != nil {
			return err
		}
		if taken {
			continue
		}
		if in.published, err = s.Catalog.Folder().PublishStaged(lease, in.path, in.row.Area, in.row.File); err != nil || in.published {
			return err
		}
	}
}

// unpublish removes a file whose index row was not written. When the answer of
// the commit was lost, the row may be there: the index is asked.
func (s *Store) unpublish(lease, area, file string) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if named, err := s.Catalog.NamesStaged(ctx, area, file); err == nil && !named {
		s.Catalog.Folder().UnpublishStaged(lease, area, file)
	}
}

// List lists the files of an area, or of all when it is "", that the grant may
// know of, the oldest first.
func (s *Store) List(ctx context.Context, g rbac.Grant, area string) ([]catalog.StagedFile, error) {
	if area != "" {
		if err := CheckArea(area); err != nil {
			return nil, err
		}
	}
	out := []catalog.StagedFile{}
	err := s.Catalog.Read(ctx, func(v *catalog.View) (err error) {
		out, err = s.files(ctx, v, g, area)
		return err
	})
	return out, err
}

// files lists the files of an area, or of all when it is "", that are there
// for the principal, without the reasons that he may not know.
func (s *Store) files(ctx context.Context, v *catalog.View, g rbac.Grant, area string) ([]catalog.StagedFile, error) {
	list, err := v.StagedFiles(ctx, area)
	if err != nil {
		return nil, err
	}
	list = s.openTo(g, list)
	if !slices.ContainsFunc(list, func(f catalog.StagedFile) bool { return f.Reason != "" }) {
		return list, nil
	}
	loads, err := v.StagedLoads(ctx, area)
	if err != nil {
		return nil, err
	}
	now, err := tableNames(ctx, v)
	for i, f := range list {
		of := slices.IndexFunc(loads, func(l catalog.StagedLoad) bool { return l.FileID == f.ID && l.Status == catalog.Quarantined })
		if f.Reason != "" && (of < 0 || !wholly(g, loads[of], now)) {
			list[i].Reason = notLoaded
		}
	}
	return list, err
}

// openTo leaves those files that are there for the principal.
func (s *Store) openTo(g rbac.Grant, list []catalog.StagedFile) []catalog.StagedFile {
	return slices.DeleteFunc(list, func(f catalog.StagedFile) bool { return s.open(g, f) != nil })
}

// tableNames gives the names that tables have now.
func tableNames(ctx context.Context, v *catalog.View) (map[int64]string, error) {
	list, err := v.Tables(ctx, v.Head.ID)
	out := map[int64]string{}
	for _, t := range list {
		out[t.ID] = t.Name
	}
	return out, err
}

// History lists what became of staged files, the newest first.
func (s *Store) History(ctx context.Context, g rbac.Grant, area string) ([]catalog.StagedLoad, error) {
	if area != "" {
		if err := CheckArea(area); err != nil {
			return nil, err
		}
	}
	out := []catalog.StagedLoad{}
	err := s.Catalog.Read(ctx, func(v *catalog.View) error {
		list, err := v.StagedLoads(ctx, area)
		if err != nil {
			return err
		}
		now, err := tableNames(ctx, v)
		me := g.Principal().Name()
		for _, l := range list {
			if !g.Permits(rbac.Write, l.Area) || !g.Whole(rbac.Write, l.Area) && l.Principal != me || !knows(g, l, now) {
				continue
			}
			if !wholly(g, l, now) {
				l = withheld(l, l.Principal == me)
			}
			out = append(out, l)
		}
		return err
	})
	return out, err
}

// notLoaded is the reason as one may know it who sees a part of the table only.
const notLoaded = "the file was not loaded; who sees the whole table can tell why"

// withheld is a load as one may know of it who sees a part of the table only:
// counts, unless they are his own, and reasons would tell of the rest.
func withheld(l catalog.StagedLoad, his bool) catalog.StagedLoad {
	if !his {
		l.Inserted, l.Deleted = 0, 0
	}
	if l.Reason != "" && l.Reason != loadedBefore {
		l.Reason = notLoaded
	}
	return l
}

// knows reports whether the principal may know of the table of a load, by the
// name that it had and by the one that it has now.
func knows(g rbac.Grant, l catalog.StagedLoad, now map[int64]string) bool {
	return both(l, now, func(table string) bool {
		return g.Permits(rbac.Write, table) || g.Permits(rbac.Read, table) || g.Permits(rbac.Meta, table)
	})
}

// wholly reports whether the principal sees the whole table of a load, by both
// names.
func wholly(g rbac.Grant, l catalog.StagedLoad, now map[int64]string) bool {
	return both(l, now, func(table string) bool { return g.Whole(rbac.Meta, table) })
}

func both(l catalog.StagedLoad, now map[int64]string, may func(table string) bool) bool {
	name, ok := now[l.TableID]
	return may(l.Table) && (!ok || may(name))
}

// Find finds one file of an area, by its whole name or by the one it was given.
func (s *Store) Find(ctx context.Context, g rbac.Grant, area, file string) (f catalog.StagedFile, err error) {
	if err := s.permit(g, area); err != nil {
		return f, err
	}
	err = s.Catalog.Read(ctx, func(v *catalog.View) error {
		f, err = s.find(ctx, v, g, area, file)
		return err
	})
	return f, err
}

func (s *Store) find(ctx context.Context, v *catalog.View, g rbac.Grant, area, file string) (f catalog.StagedFile, err error) {
	list, err := s.files(ctx, v, g, area)
	if err != nil {
		return f, err
	}
	f, err = find(list, area, file)
	if errs.KindOf(err) == errs.NotFound && !g.Whole(rbac.Write, area) {
		err = notYours(area, file)
	}
	return f, err
}

// Get copies a file's bytes to w. Bytes that are not those that were put are
// Corrupt, which is known only at the end.
func (s *Store) Get(ctx context.Context, g rbac.Grant, area, file string, w io.Writer) (catalog.StagedFile, error) {
	f, err := s.Find(ctx, g, area, file)
	if err != nil {
		return f, err
	}
	in, err := os.Open(s.path(f))
	if err != nil {
		return f, damaged(f, err)
	}
	defer func() { _ = in.Close() }()
	sum := newSum()
	if _, err := io.Copy(io.MultiWriter(w, sum), contextReader{ctx, in}); err != nil {
		if typed := errs.FromContext(ctx, "get "+f.File); typed != nil {
			return f, typed
		}
		return f, err
	}
	if sum.hex() != f.SHA256 {
		return f, damaged(f, nil)
	}
	return f, nil
}

// Remove removes a file; false when there is none. What was loaded from it
// stays, and stays in the history.
func (s *Store) Remove(ctx context.Context, g rbac.Grant, area, file string) (removed bool, err error) {
	for again := true; ; again = false {
		removed, err = s.remove(ctx, g, area, file)
		if !again || !errors.Is(err, catalog.ErrLeaseLost) {
			return removed, err
		}
	}
}

func (s *Store) remove(ctx context.Context, g rbac.Grant, area, file string) (bool, error) {
	f, err := s.Find(ctx, g, area, file)
	if errs.KindOf(err) == errs.NotFound {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := s.Catalog.Changeable(ctx); err != nil {
		return false, err
	}
	lease, err := s.Catalog.Lease(ctx)
	if err != nil {
		return false, err
	}
	folder := s.Catalog.Folder()
	if _, err := folder.TraceStaged(lease, f.Area, f.File); err != nil {
		return false, err
	}
	removed, err := s.Catalog.RemoveStaged(ctx, lease, f.ID, s.still(g, func(g rbac.Grant) error { return s.open(g, f) }))
	if err != nil {
		s.unpublish(lease, f.Area, f.File)
		folder.RetireStaged(lease, f.Area, f.File)
		return false, err
	}
	if removed { // else another caller has, and the trace is his
		folder.UnpublishStaged(lease, f.Area, f.File)
	}
	return removed, nil
}

func (s *Store) path(f catalog.StagedFile) string { return s.Catalog.Folder().Staged(f.Area, f.File) }

// damaged says that a file is not what was put (decision 16).
func damaged(f catalog.StagedFile, cause error) error {
	what := "is not what was staged (its checksum differs)"
	if cause != nil {
		what = "is missing or cannot be read"
	}
	return errs.Wrap(errs.Corrupt, cause, "staged file %s %s; remove it with stage rm and put it again", strings.TrimSpace(f.File), what)
}

// verify reads a file and compares its checksum.
func (s *Store) verify(f catalog.StagedFile) error {
	sum, err := storage.Checksum(s.path(f))
	if err != nil {
		return damaged(f, err)
	}
	if sum != f.SHA256 {
		return damaged(f, nil)
	}
	return nil
}
