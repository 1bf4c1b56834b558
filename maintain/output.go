package maintain

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/engine"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/scan"
	"github.com/supertable-go/supertable/storage"
)

// output is the files of one batch on their way into data/: as those of a
// write, they lie under a lease, get their names just before the commit, and
// leave no trace after it.
type output struct {
	c     *catalog.Catalog
	lease string
	dir   string // of the table, relative to the data folder
	enc   datafile.Encoding

	made      []string // relative to the data folder
	committed bool
	named     map[string]bool // what the commit named
}

func (r *Runner) output(ctx context.Context, t catalog.Table, options map[string]int64) (*output, error) {
	lease, err := r.Catalog.Lease(ctx)
	if err != nil {
		return nil, err
	}
	o := &output{c: r.Catalog, lease: lease, dir: r.Catalog.Dir(t), enc: datafile.EncodingOf(options), named: map[string]bool{}}
	if err := os.MkdirAll(filepath.Dir(o.path(o.dir+"x")), 0o777); err != nil {
		return nil, errs.Wrap(errs.Unavailable, err, "make a folder under tmp")
	}
	return o, nil
}

// path is where a file lies until it is named.
func (o *output) path(rel string) string {
	return filepath.Join(o.c.Folder().LeaseDir(o.lease), filepath.FromSlash(rel))
}

// copy writes the rows of a query to one new file, durably. The query yields
// the columns, then the lineage columns named.
func (o *output) copy(ctx context.Context, conn engine.Conn, query string, cols []datafile.Column, lineage ...string) (catalog.NewFile, error) {
	rel := o.dir + datafile.NewName()
	path := o.path(rel)
	o.made = append(o.made, rel)
	fields := []string{strings.TrimSuffix(datafile.FieldIDs(cols), "}")}
	for _, l := range lineage {
		id := datafile.RowIDField
		if l == scan.SnapshotColumn {
			id = datafile.SnapshotIDField
		}
		fields = append(fields, fmt.Sprintf("%s: %d", l, id))
	}
	row, stats, err := write(ctx, conn, query, path, cols, strings.Join(fields, ", ")+"}", o.enc)
	if err != nil {
		return catalog.NewFile{}, err
	}
	if err := storage.SyncFile(path); err != nil {
		return catalog.NewFile{}, err
	}
	sum, err := storage.Checksum(path)
	if err != nil {
		return catalog.NewFile{}, err
	}
	return catalog.NewFile{Rel: rel, Records: toInt(row[1]), Size: toInt(row[2]), Footer: toInt(row[3]), SHA256: sum, Stats: stats}, nil
}

// write runs COPY, and again in the encodings that every reader takes when the
// file turns out to need them. It gives what COPY tells of the file: filename,
// count, file_size_bytes, footer_size_bytes, column_statistics.
func write(ctx context.Context, conn engine.Conn, query, path string, cols []datafile.Column, fields string, enc datafile.Encoding) ([]any, []datafile.Stats, error) {
	leaves := datafile.Leaves(cols)
	for {
		rows, err := engine.Collect(ctx, conn, datafile.CopySQL(query, path, cols, fields, enc, ""), nil)
		if err != nil {
			return nil, nil, err
		}
		if len(rows) != 1 {
			return nil, nil, errs.New(errs.Internal, "the engine wrote %d files instead of one", len(rows))
		}
		stats := datafile.LeafStats(leaves, datafile.StatMap(rows[0][4]))
		if enc.Version == 1 || datafile.Portable(leaves, stats) {
			return rows[0], stats, nil
		}
		enc.Version = 1
	}
}

func toInt(v any) int64 {
	switch n := v.(type) {
	case int64:
		return n
	case uint64:
		return int64(n)
	}
	return 0
}

// deletes writes a delete file of the data file at dataPath. The rows are
// ascending and not none, each with the snapshot at which it died.
func (o *output) deletes(dataPath string, rows []datafile.Delete) (*catalog.NewDelete, error) {
	rel := o.dir + datafile.NewDeleteName()
	path := o.path(rel)
	o.made = append(o.made, rel)
	size, footer, err := datafile.WriteDeletes(path, dataPath, rows, true)
	if err != nil {
		return nil, err
	}
	sum, err := storage.Checksum(path)
	if err != nil {
		return nil, err
	}
	first, last := rows[0].Snapshot, rows[0].Snapshot
	for _, d := range rows {
		first, last = min(first, d.Snapshot), max(last, d.Snapshot)
	}
	return &catalog.NewDelete{Rel: rel, Count: int64(len(rows)), Size: size, Footer: footer, SHA256: sum, PartialMax: &last, Begin: first}, nil
}

// publish gives the files their names under data/.
func (o *output) publish() error {
	return o.c.Folder().Publish(o.lease, o.made...)
}

// close removes the traces of what was committed, and what was not. A file
// whose commit is in doubt stays for the sweeper, which asks the catalog.
func (o *output) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, rel := range o.made {
		if !o.named[rel] || !o.committed {
			if !o.committed {
				if named, err := o.c.Names(ctx, rel); err != nil || named {
					continue
				}
			}
			o.c.Folder().Unpublish(rel)
		}
		o.c.Folder().Retire(o.lease, rel)
	}
}
