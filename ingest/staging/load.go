package staging

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/google/uuid"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/ingest"
	"github.com/supertable-go/supertable/ingest/source"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/rbac"
)

// LoadOptions of Load.
type LoadOptions struct {
	Key              []string
	NewerThan        string
	Message          string
	CompressionLevel int
	Columns          []source.Column // declared types for text formats
	// Again loads a file once more that was loaded into the table before.
	Again bool
}

// LoadResult says what became of one file.
type LoadResult struct {
	File, Status, Reason, Table string
	Inserted, Deleted           int64
	Snapshot                    int64 // 0 when nothing was loaded
}

// loadedBefore is the reason of a load that found its bytes in the table.
const loadedBefore = "these bytes were loaded into the table before"

// load is one load of files of one area into one table.
type load struct {
	s      *Store
	g      rbac.Grant
	area   string
	table  string
	o      LoadOptions
	pipe   string
	rename map[string]string
	checks []Check
	// quarantine files that are at fault, rather than fail.
	quarantine bool
}

// Load loads files into table, one commit each, the oldest first: the one
// called file, or, when it is "", all that were neither loaded into the table
// nor quarantined. It stops at the first that fails, whose row it returns with
// the error; what came before it stays loaded.
//
// Exactly once: the write id of a load is the SHA-256 of the bytes, which the
// commit checks. The record of the load is written after the commit; killed
// between, the next load finds the write id and completes the record.
func (s *Store) Load(ctx context.Context, g rbac.Grant, area, file, table string, o LoadOptions) ([]LoadResult, error) {
	l := &load{s: s, g: g, area: area, table: table, o: o}
	if err := l.permit(g); err != nil {
		return nil, err
	}
	if err := s.Catalog.Changeable(ctx); err != nil {
		return nil, err
	}
	files, err := l.files(ctx, file)
	if err != nil {
		return nil, err
	}
	return l.run(ctx, files, file != "")
}

// permit asks for WRITE on the area and on the table.
func (l *load) permit(g rbac.Grant) error {
	if err := catalog.CheckTableName(l.table, l.s.Super); err != nil {
		return err
	}
	if err := rbac.NotOwnRecords(l.table); err != nil {
		return err
	}
	if err := l.s.permit(g, l.area); err != nil {
		return err
	}
	if !g.Permits(rbac.Write, l.table) { // I6
		return errs.New(errs.Denied, "You don't have permission to write to this table.")
	}
	return nil
}

// may asks for what a load of the file needs, at its commit.
func (l *load) may(f catalog.StagedFile) catalog.Allow {
	return l.s.still(l.g, func(g rbac.Grant) error {
		if err := l.permit(g); err != nil {
			return err
		}
		return l.s.open(g, f)
	})
}

// files are those to load.
func (l *load) files(ctx context.Context, file string) (out []catalog.StagedFile, err error) {
	err = l.s.Catalog.Read(ctx, func(v *catalog.View) error {
		if file != "" {
			f, err := l.s.find(ctx, v, l.g, l.area, file)
			out = []catalog.StagedFile{f}
			return err
		}
		id, err := tableID(ctx, v, l.table)
		if err != nil {
			return err
		}
		if l.o.Again {
			out, err = v.StagedFiles(ctx, l.area)
			out = slices.DeleteFunc(out, func(f catalog.StagedFile) bool { return f.Status == catalog.Quarantined })
		} else {
			out, err = v.StagedPending(ctx, l.area, id)
		}
		out = l.s.openTo(l.g, out)
		return err
	})
	return out, err
}

// tableID is -1 for a table that is not there.
func tableID(ctx context.Context, v *catalog.View, table string) (int64, error) {
	t, err := v.Table(ctx, table, v.Head.ID)
	if errs.KindOf(err) == errs.NotFound {
		return -1, nil
	}
	return t.ID, err
}

// run loads files one after another; named says that the caller named them.
func (l *load) run(ctx context.Context, files []catalog.StagedFile, named bool) ([]LoadResult, error) {
	out := []LoadResult{}
	for _, f := range files {
		r, err := l.retried(ctx, f)
		if !named && errors.Is(err, errGone) {
			continue // removed while it waited
		}
		out = append(out, r)
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

// one loads one file.
func (l *load) one(ctx context.Context, f catalog.StagedFile) (LoadResult, error) {
	res := LoadResult{File: f.File, Status: f.Status, Table: l.table}
	// What others loaded is told to who sees the whole table; the write asks for
	// the others, once it has held the rows against their rules.
	if !l.o.Again && l.g.Whole(rbac.Write, l.table) {
		done, err := l.before(ctx, f, &res)
		if done || err != nil {
			return res, err
		}
	}
	err := l.s.verify(f)
	if err == nil {
		err = l.check(ctx, f)
	}
	fault := faulty(err) || errs.KindOf(err) == errs.Corrupt
	if err == nil {
		err = l.write(ctx, f, &res)
		fault = faulty(err)
	}
	if err == nil {
		return res, nil
	}
	if l.gone(ctx, f, err) {
		err, fault = errs.Wrap(errs.NotFound, errGone, "Staged file not found: %s in %s", quoted(f.File), quoted(f.Area)), false
	}
	why := err.Error()
	if l.pipe != "" && (fault || errs.KindOf(err) == errs.Denied) && !l.g.Whole(rbac.Meta, l.table) {
		err = errs.Wrap(errs.KindOf(err), err, "%s", notLoaded) // a pipe's checks and columns are for who controls it
	}
	res.Reason = err.Error()
	if !l.quarantine || !fault {
		return res, err
	}
	return l.setAside(ctx, f, why, res)
}

// errGone is the cause of a load whose file was removed meanwhile.
var errGone = errors.New("removed")

// gone reports whether an error comes of the file's removal.
func (l *load) gone(ctx context.Context, f catalog.StagedFile, err error) bool {
	if kind := errs.KindOf(err); kind != errs.NotFound && kind != errs.Corrupt {
		return false
	}
	named, err := l.s.Catalog.NamesStaged(ctx, f.Area, f.File)
	return err == nil && !named
}

// before completes a load whose bytes are on record for the table: done tells.
func (l *load) before(ctx context.Context, f catalog.StagedFile, res *LoadResult) (done bool, err error) {
	var first catalog.StagedLoad
	err = l.s.Catalog.Read(ctx, func(v *catalog.View) error {
		id, err := tableID(ctx, v, l.table)
		if err == nil && id >= 0 {
			first, done, err = v.LoadedBefore(ctx, id, f.SHA256)
		}
		return err
	})
	if err != nil || !done {
		return false, err
	}
	res.Status, res.Reason, res.Snapshot, res.Table = catalog.Loaded, loadedBefore, first.Snapshot, first.Table
	if first.FileID == f.ID && f.Status == catalog.Loaded {
		return true, nil
	}
	first.FileID, first.Area, first.File = f.ID, f.Area, f.File
	first.Reason, first.Inserted, first.Deleted, first.Pipe = loadedBefore, 0, 0, l.pipe
	first.At, first.Principal = l.s.Now(), l.g.Principal().Name()
	_, err = l.s.Catalog.RecordStaged(ctx, first, l.may(f))
	return true, err
}

func (l *load) write(ctx context.Context, f catalog.StagedFile, res *LoadResult) error {
	lineage, err := json.Marshal(map[string]any{
		"source_type": "staging", "staging_name": f.Area, "pipe_name": l.pipe, "source_files": []string{f.File},
	})
	if err != nil {
		return err
	}
	id := "sha256:" + f.SHA256
	if l.o.Again {
		id += "/" + uuid.NewString()
	}
	w, err := l.s.Writer.Write(ctx, l.g, l.table, ingest.Input{
		Paths: []string{l.s.path(f)}, Format: f.Format, Columns: l.o.Columns, Rename: l.rename,
	}, ingest.Options{
		Key: l.o.Key, NewerThan: l.o.NewerThan, WriteID: id, CompressionLevel: l.o.CompressionLevel, Message: l.o.Message, Lineage: string(lineage),
		Allow: l.may(f),
	})
	if errs.KindOf(err) == errs.AlreadyExists { // the bytes are there, by another key
		w, err = ingest.Result{Table: l.table, Duplicate: true}, nil
	}
	if err != nil {
		return err
	}
	return l.record(ctx, f, id, w, res)
}

// record notes a load that was committed, by this call or, when the write is a
// duplicate, by another one.
func (l *load) record(ctx context.Context, f catalog.StagedFile, id string, w ingest.Result, res *LoadResult) error {
	rec := catalog.StagedLoad{
		FileID: f.ID, Area: f.Area, File: f.File, SHA256: f.SHA256, Status: catalog.Loaded, Table: w.Table, Pipe: l.pipe, WriteID: id,
		Inserted: w.Inserted, Deleted: w.Deleted, Snapshot: w.Snapshot, At: l.s.Now(), Principal: l.g.Principal().Name(),
	}
	res.Status, res.Table, res.Snapshot, res.Inserted, res.Deleted = catalog.Loaded, w.Table, w.Snapshot, w.Inserted, w.Deleted
	if w.Duplicate {
		res.Reason, res.Inserted, res.Deleted = loadedBefore, 0, 0
	}
	ctx = context.WithoutCancel(ctx) // it is in the table
	err := l.s.Catalog.Read(ctx, func(v *catalog.View) (err error) {
		rec.TableID, err = tableID(ctx, v, w.Table)
		return err
	})
	if err == nil {
		_, err = l.s.Catalog.RecordStaged(ctx, rec, nil) // whoever may do what now: it has happened
	}
	return err
}

// faulty reports whether an error is the file's own, so that trying again
// would end the same way.
func faulty(err error) bool {
	switch errs.KindOf(err) {
	case errs.InvalidArgument, errs.TypeConflict, errs.Quality:
		return true
	}
	return false
}

// setAside quarantines a file: it stays readable and nothing loads it by itself.
func (l *load) setAside(ctx context.Context, f catalog.StagedFile, why string, res LoadResult) (LoadResult, error) {
	rec := catalog.StagedLoad{
		FileID: f.ID, Area: f.Area, File: f.File, SHA256: f.SHA256, Status: catalog.Quarantined, Reason: why, Table: l.table, Pipe: l.pipe,
		WriteID: uuid.Must(uuid.NewV7()).String(), At: l.s.Now(), Principal: l.g.Principal().Name(),
	}
	err := l.s.Catalog.Read(ctx, func(v *catalog.View) (err error) {
		rec.TableID, err = tableID(ctx, v, l.table)
		return err
	})
	if err != nil {
		return res, err
	}
	recorded, err := l.s.Catalog.RecordStaged(ctx, rec, l.may(f))
	res.Status = catalog.Quarantined
	if err == nil && !recorded { // another process loaded it meanwhile
		res.Status, res.Reason = catalog.Loaded, loadedBefore
	}
	return res, err
}
