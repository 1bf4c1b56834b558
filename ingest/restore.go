package ingest

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/engine"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/scan"
	"github.com/supertable-go/supertable/storage"
)

// fileState is a data file with the rows that a snapshot does not show: the
// dead ones and those of later snapshots.
type fileState struct {
	file catalog.File
	dead datafile.Bitmap
}

// restorePlan says how the files of one snapshot become those of another.
type restorePlan struct {
	remove            []int64     // live files that end
	restore           []fileState // files that come back, with their dead rows
	inserted, deleted int64       // rows that come and go
}

// planRestore plans the return from the files of now to those of then. A file
// with the same rows in both stays; of any other the rows come back in a copy,
// since what is dead in a file stays dead. It is a pure function.
func planRestore(then, now []fileState) restorePlan {
	var p restorePlan
	live := map[int64]*fileState{} // by the bytes: a copy stands for its origin
	for i := range now {
		live[now[i].file.Origin()] = &now[i]
	}
	for _, t := range then {
		n := live[t.file.Origin()]
		rows := t.file.Records - t.dead.Count()
		if n == nil {
			p.inserted += rows
		} else {
			come, gone := n.dead.Without(t.dead).Count(), t.dead.Without(n.dead).Count()
			p.inserted += come
			p.deleted += gone
			delete(live, t.file.Origin())
			if come+gone == 0 {
				continue
			}
			p.remove = append(p.remove, n.file.ID)
		}
		if rows > 0 {
			p.restore = append(p.restore, t)
		}
	}
	for i := range now {
		if n := live[now[i].file.Origin()]; n != nil {
			p.remove = append(p.remove, n.file.ID)
			p.deleted += n.file.Records - n.dead.Count()
		}
	}
	return p
}

// states reads the table's files at a snapshot.
func (r *restoring) states(ctx context.Context, v *catalog.View, at int64) ([]fileState, error) {
	files, err := v.Files(ctx, r.table, at, nil)
	if err != nil {
		return nil, err
	}
	out := make([]fileState, len(files))
	for i := range files {
		f := &files[i]
		dead, err := v.Dead(ctx, r.table, f, at)
		if err == nil && f.PartialMax != nil && *f.PartialMax > at {
			var since datafile.Bitmap
			if since, err = r.later(ctx, f, at); err == nil {
				dead = dead.With(since)
			}
		}
		if err != nil {
			return nil, err
		}
		out[i] = fileState{*f, dead}
	}
	return out, nil
}

// fileAt is a file at a snapshot.
type fileAt struct{ file, at int64 }

// later gives the rows of a file that came after a snapshot: a merged file has
// rows of several. A file never changes (I1), so what was found stays right and
// the second look, with other writers kept out, reads only files that are new.
func (r *restoring) later(ctx context.Context, f *catalog.File, at int64) (datafile.Bitmap, error) {
	if found, ok := r.since[fileAt{f.ID, at}]; ok {
		return found, nil
	}
	if r.hasty {
		return nil, errAgain
	}
	if err := r.connect(ctx); err != nil {
		return nil, err
	}
	if err := catalog.CheckFile(f.Path, f.Size, f.Footer); err != nil {
		return nil, err
	}
	rows, err := engine.Collect(ctx, r.conn, fmt.Sprintf("SELECT file_row_number FROM read_parquet(%s, schema=MAP {%d: {name: 'snapshot', type: 'BIGINT', default_value: NULL::VARCHAR}}) WHERE snapshot > %d",
		pathList([]string{f.Path}), datafile.SnapshotIDField, at), nil)
	if err != nil {
		if cerr := errs.FromContext(ctx, "read an earlier state"); cerr != nil {
			return nil, cerr
		}
		return nil, errs.Wrap(errs.Corrupt, err, "the file %s cannot be read", filepath.Base(f.Path))
	}
	out := datafile.NewBitmap(f.Records)
	for _, row := range rows {
		if pos := toInt(row[0]); pos < f.Records {
			out.Set(pos)
		}
	}
	r.since[fileAt{f.ID, at}] = out
	return out, nil
}

func (r *restoring) connect(ctx context.Context) error {
	if r.conn != nil {
		return nil
	}
	eng, err := r.w.Engine(ctx)
	if err == nil {
		r.conn, err = eng.Conn(ctx)
	}
	return err
}

// fileCopy is a published copy of a data file: a second name of its bytes,
// where the file system has links, or its living rows in a file of their own.
type fileCopy struct {
	written *stage             // those rows; nil for a second name
	rel     string             // relative to the data folder
	delete  *catalog.NewDelete // of its dead rows; nil when they go into the catalog
}

// missing counts the files of the plan that have no copy yet.
func (r *restoring) missing() int {
	n := 0
	for _, s := range r.plan.restore {
		if r.copies[s.file.ID] == nil {
			n++
		}
	}
	return n
}

// copyFiles makes the copies that the plan asks for. The dead rows of a past
// snapshot never change, so a copy stays right whatever the head does.
func (r *restoring) copyFiles(ctx context.Context, v *catalog.View) error {
	if r.missing() == 0 {
		return nil
	}
	named, err := r.lineage(ctx)
	if err != nil {
		return err
	}
	for i := range r.plan.restore {
		s := &r.plan.restore[i]
		if r.copies[s.file.ID] != nil {
			continue
		}
		if err := errs.FromContext(ctx, "copy files"); err != nil {
			return err
		}
		copied := r.copyFile
		if named[s.file.Path] {
			copied = func(s *fileState) (*fileCopy, error) { return r.writeAgain(ctx, v, s) }
		}
		c, err := copied(s)
		if err != nil {
			return err
		}
		r.copies[s.file.ID] = c
	}
	return nil
}

// whole refuses a file that cannot come back.
func (r *restoring) whole(f *catalog.File) error {
	if f.Outside {
		return errs.New(errs.Unsupported, "table %q has the file %s outside the data folder: it cannot come back", r.table.Name, filepath.Base(f.Path))
	}
	return catalog.CheckFile(f.Path, f.Size, f.Footer)
}

// lineage finds the files to copy that say of each row which id it has, or at
// which snapshot it came: compaction writes them. What they say would hold for
// a copy too: DuckDB's change feed takes it before what the catalog says, and
// would show rows that came back under ids that they had, or as come long ago.
func (r *restoring) lineage(ctx context.Context) (map[string]bool, error) {
	var paths []string
	for i := range r.plan.restore {
		f := &r.plan.restore[i].file
		if r.copies[f.ID] != nil {
			continue
		}
		if err := r.whole(f); err != nil {
			return nil, err
		}
		paths = append(paths, f.Path)
	}
	if err := r.connect(ctx); err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for list := range slices.Chunk(paths, 1000) { // their footers are in memory at once
		rows, err := engine.Collect(ctx, r.conn, fmt.Sprintf("SELECT DISTINCT file_name FROM parquet_schema(%s) WHERE field_id IN (%d, %d)", pathList(list), datafile.RowIDField, datafile.SnapshotIDField), nil)
		if err != nil {
			if cerr := errs.FromContext(ctx, "read an earlier state"); cerr != nil {
				return nil, cerr
			}
			return nil, errs.Wrap(errs.Corrupt, err, "a file of that state of table %q cannot be read", r.table.Name)
		}
		for _, row := range rows {
			name, _ := row[0].(string)
			out[name] = true
		}
	}
	return out, nil
}

// writeAgain writes the rows that a file shows at the snapshot into a file that
// says nothing of their past: new rows, as those of a second name are.
func (r *restoring) writeAgain(ctx context.Context, v *catalog.View, s *fileState) (*fileCopy, error) {
	cols, err := v.Columns(ctx, r.table.ID, r.at)
	if err != nil {
		return nil, err
	}
	rows := map[int64]datafile.Bitmap{s.file.ID: s.dead.Complement(s.file.Records)}
	from, err := scan.PlanRows(ctx, v, r.table, r.at, cols, []catalog.File{s.file}, rows)
	if err != nil {
		return nil, err
	}
	var releases []func()
	defer func() {
		for _, release := range releases {
			release()
		}
	}()
	sql, err := from.SQL(func(dead [][]uint64) (uint64, error) {
		token, release, err := r.conn.Live(dead)
		if err == nil {
			releases = append(releases, release)
		}
		return token, err
	})
	if err != nil {
		return nil, err
	}
	p, names := &plan{columns: cols}, make([]string, len(cols))
	for i, c := range cols {
		p.file = append(p.file, planned{in: inColumn{c.Name, c.Type}, column: c, was: c.Type, known: true})
		names[i] = datafile.Quote(c.Name)
	}
	r.base = &state{exists: true, table: r.table}
	out, err := r.writeFiles(ctx, p, "SELECT "+strings.Join(names, ", ")+" FROM ("+sql+")")
	if err != nil {
		if cerr := errs.FromContext(ctx, "copy files"); cerr != nil {
			return nil, cerr
		}
		if terr := r.tmpError(err); terr != nil {
			return nil, terr
		}
		if derr := r.w.Catalog.Damaged(ctx, []catalog.File{s.file}); derr != nil {
			return nil, derr
		}
		return nil, errs.Wrap(errs.Corrupt, err, "the file %s cannot be read", filepath.Base(s.file.Path))
	}
	if want := s.file.Records - s.dead.Count(); out.rows != want {
		return nil, errs.New(errs.Corrupt, "the file %s has %d rows of that state, the catalog says %d", filepath.Base(s.file.Path), out.rows, want)
	}
	r.out = out
	return &fileCopy{written: out}, r.publish(out.dir)
}

func (r *restoring) copyFile(s *fileState) (*fileCopy, error) {
	folder := r.w.Catalog.Folder()
	tableDir := r.w.Catalog.Dir(r.table)
	// Files of other clients may lie in name=value folders that are read.
	dir := path.Dir(strings.TrimPrefix(s.file.Path, folder.Data())) + "/"
	if !strings.HasPrefix(dir, tableDir) {
		dir = tableDir
	}
	c := &fileCopy{rel: dir + datafile.NewName()}
	leased := filepath.Join(folder.LeaseDir(r.lease), filepath.FromSlash(c.rel))
	if err := os.MkdirAll(filepath.Dir(leased), 0o777); err != nil {
		return nil, errs.Wrap(errs.Unavailable, err, "make a folder under tmp")
	}
	if err := storage.LinkOrCopy(s.file.Path, leased); err != nil {
		return nil, err
	}
	if err := r.publishCopy(c.rel); err != nil {
		return nil, err
	}
	n := s.dead.Count()
	if r.inlined+n <= r.limits["inline_delete_limit"] {
		r.inlined += n
		return c, nil
	}
	var err error
	c.delete, err = r.deleteFile(s, folder.Data()+c.rel, tableDir)
	return c, err
}

// publishCopy names a file; the job's end disposes of it when no commit does.
func (r *restoring) publishCopy(rel string) error {
	r.stages = append(r.stages, &stage{files: []staged{{rel: rel}}, published: true})
	return r.w.Catalog.Folder().Publish(r.lease, rel)
}

// deleteFile writes the dead rows of a copy.
func (r *restoring) deleteFile(s *fileState, dataPath, dir string) (*catalog.NewDelete, error) {
	name := datafile.NewDeleteName()
	home := filepath.Join(r.w.Catalog.Folder().LeaseDir(r.lease), filepath.FromSlash(dir))
	if err := os.MkdirAll(home, 0o777); err != nil {
		return nil, errs.Wrap(errs.Unavailable, err, "make a folder under tmp")
	}
	var rows []datafile.Delete
	for _, p := range s.dead.Positions() {
		rows = append(rows, datafile.Delete{Position: p})
	}
	size, footer, err := datafile.WriteDeletes(filepath.Join(home, name), dataPath, rows, false)
	if err != nil {
		return nil, err
	}
	sum, err := storage.Checksum(filepath.Join(home, name))
	if err != nil {
		return nil, err
	}
	d := &catalog.NewDelete{Rel: dir + name, Count: int64(len(rows)), Size: size, Footer: footer, SHA256: sum}
	return d, r.publishCopy(d.Rel)
}
