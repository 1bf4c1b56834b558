package ingest

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/storage"
)

// inlineLimit is by default how many rows of a commit may die by rows in the catalog
// itself; more go to delete files. Measured in docs/benchmarks.md.
const inlineLimit = 2000

// deleteFiles turns matched rows into deletes of the catalog: which rows die
// now, in which files none is left, and how the rest is recorded.
type deleteFiles struct {
	j         *job
	dying     map[int64]*dying
	order     []int64
	total     int64
	inline    bool
	published []string // delete files that have names under data/
}

// dying is one data file with rows that die.
type dying struct {
	file  catalog.File
	state [3]int64 // of the dead rows that rows was computed against
	rows  datafile.Bitmap
	count int64
	whole bool // no live row is left
	// made is the delete file, written for the state above; its rows carry
	// the snapshot when it replaces another one.
	made     *catalog.NewDelete
	snapshot int64
}

func newDeleteFiles(j *job) *deleteFiles {
	return &deleteFiles{j: j, dying: map[int64]*dying{}}
}

// prepare computes the dying rows of st, and writes delete files for the
// commit of the given snapshot. What was prepared before and still holds is kept.
func (d *deleteFiles) prepare(ctx context.Context, v *catalog.View, st *state, snapshot int64) error {
	old := d.dying
	d.dying, d.order, d.total = map[int64]*dying{}, nil, 0
	for i := range st.files {
		f := &st.files[i]
		matched := d.j.match.found[f.ID]
		if matched == nil {
			continue
		}
		x := old[f.ID]
		if x == nil || x.state != deadState(f) {
			dead, err := v.Dead(ctx, st.table, f, st.head)
			if err != nil {
				return err
			}
			x = &dying{file: *f, state: deadState(f), rows: matched.Without(dead)}
			x.count = x.rows.Count()
			x.whole = dead.Count()+x.count >= f.Records
		}
		if x.count == 0 {
			continue
		}
		d.dying[f.ID] = x
		d.order = append(d.order, f.ID)
		d.total += x.count
	}
	d.inline = d.total <= d.j.limits["inline_delete_limit"]
	if d.inline {
		return nil
	}
	return d.write(ctx, st, snapshot)
}

// write makes the delete files that are missing, in parallel: many are small
// and wait for the disk.
func (d *deleteFiles) write(ctx context.Context, st *state, snapshot int64) error {
	var todo []*dying
	for _, id := range d.order {
		x := d.dying[id]
		if x.whole || x.made != nil && (x.file.Delete == nil || x.snapshot == snapshot) {
			continue
		}
		todo = append(todo, x)
	}
	if len(todo) == 0 {
		return nil
	}
	if err := d.j.needLease(ctx); err != nil {
		return err
	}
	dir := d.j.w.Catalog.Dir(st.table)
	home := filepath.Join(d.j.w.Catalog.Folder().LeaseDir(d.j.lease), filepath.FromSlash(dir))
	if err := os.MkdirAll(home, 0o777); err != nil {
		return errs.Wrap(errs.Unavailable, err, "make a folder under tmp")
	}
	work, fail := make(chan *dying), make(chan error, len(todo))
	var wg sync.WaitGroup
	for range min(len(todo), 4*runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for x := range work {
				if err := d.writeOne(ctx, x, dir, home, snapshot); err != nil {
					fail <- err
				}
			}
		})
	}
	for _, x := range todo {
		work <- x
	}
	close(work)
	wg.Wait()
	select {
	case err := <-fail:
		return err
	default:
	}
	rels := make([]string, len(todo))
	for i, x := range todo {
		rels[i] = x.made.Rel
	}
	d.published = append(d.published, rels...)
	return d.j.w.Catalog.Folder().Publish(d.j.lease, rels...)
}

func (d *deleteFiles) writeOne(ctx context.Context, x *dying, dir, home string, snapshot int64) error {
	if err := errs.FromContext(ctx, "write delete files"); err != nil {
		return err
	}
	rows, replaces, err := deletesOf(ctx, x, snapshot)
	if err != nil {
		return err
	}
	name := datafile.NewDeleteName()
	path := filepath.Join(home, name)
	size, footer, err := datafile.WriteDeletes(path, x.file.Path, rows, replaces != nil)
	if err != nil {
		return err
	}
	sum, err := storage.Checksum(path)
	if err != nil {
		return err
	}
	made := &catalog.NewDelete{File: x.file.ID, Rel: dir + name, Count: int64(len(rows)), Size: size, Footer: footer, SHA256: sum, Replaces: replaces}
	if replaces != nil {
		made.PartialMax = &snapshot
	}
	x.made, x.snapshot = made, snapshot
	return nil
}

// deletesOf lists the rows of the delete file: those of the file it replaces
// with the snapshots at which they died, and the new ones.
func deletesOf(ctx context.Context, x *dying, snapshot int64) ([]datafile.Delete, *catalog.DeleteFile, error) {
	if x.file.Delete == nil {
		var out []datafile.Delete
		for _, p := range x.rows.Positions() {
			out = append(out, datafile.Delete{Position: p})
		}
		return out, nil, nil
	}
	old, err := catalog.ReadDeleteFile(ctx, x.file.Delete)
	if err != nil {
		return nil, nil, err
	}
	added := x.rows.Positions()
	out := make([]datafile.Delete, 0, len(old)+len(added))
	for _, o := range old {
		for len(added) > 0 && added[0] < o.Position {
			out = append(out, datafile.Delete{Position: added[0], Snapshot: snapshot})
			added = added[1:]
		}
		if o.Snapshot == 0 {
			o.Snapshot = x.file.Delete.Begin
		}
		out = append(out, o)
	}
	for _, p := range added {
		out = append(out, datafile.Delete{Position: p, Snapshot: snapshot})
	}
	return out, x.file.Delete, nil
}

// apply puts the deletes into the change; it returns how many rows die.
func (d *deleteFiles) apply(ch *catalog.Change) int64 {
	for _, id := range d.order {
		x := d.dying[id]
		switch {
		case x.whole:
			ch.Remove = append(ch.Remove, id)
		case d.inline:
			ch.Inline = append(ch.Inline, catalog.NewInlined{File: id, Positions: x.rows.Positions()})
		default:
			ch.Deletes = append(ch.Deletes, *x.made)
		}
	}
	return d.total
}
