package ingest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/engine"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/scan"
	"github.com/supertable-go/supertable/storage"
)

// fileBytes is the size at which a write starts another data file.
const fileBytes = 512 << 20

// defaultLevel of Zstandard: with the encodings of version 2 a higher one takes time and little room (ADR 0019).
const defaultLevel = 1

// stage holds a write's rows: in data files under the lease, written, synced
// and not yet named, or, when they are few, in memory.
type stage struct {
	dir       string // of the table, relative to the data folder
	files     []staged
	rows      int64
	published bool
	inside    *inside // nil: in files
}

type staged struct {
	rel   string // relative to the data folder
	path  string // under the lease
	info  catalog.NewFile
	stats map[int64]datafile.Stats
}

// stage holds the relation's rows, read through the plan.
func (j *job) stage(ctx context.Context, p *plan, from string) (*stage, error) {
	return j.hold(ctx, p, p.selectSQL(from))
}

func (j *job) writeFiles(ctx context.Context, p *plan, query string) (*stage, error) {
	if err := j.needLease(ctx); err != nil {
		return nil, err
	}
	dir := j.tableDir(j.base)
	leaseDir := j.w.Catalog.Folder().LeaseDir(j.lease)
	out := filepath.Join(leaseDir, "out-"+strings.TrimSuffix(datafile.NewName(), ".parquet"))
	home := filepath.Join(leaseDir, filepath.FromSlash(dir))
	if err := os.MkdirAll(home, 0o777); err != nil {
		return nil, errs.Wrap(errs.Unavailable, err, "make a folder under tmp")
	}
	defer func() { _ = os.RemoveAll(out) }()
	if j.limits == nil {
		j.limits = mergeOptions(nil, nil)
	}
	enc := datafile.EncodingOf(j.limits)
	if j.o.CompressionLevel > 0 {
		enc.Level = int64(j.o.CompressionLevel)
	}
	cols := p.fileColumns()
	parts := fmt.Sprintf(", FILE_SIZE_BYTES %d, FILENAME_PATTERN 'part-{i}'", j.limits["target_file_size"])
	rows, err := engine.Collect(ctx, j.conn, datafile.CopySQL(query, out, cols, datafile.FieldIDs(cols), enc, parts), nil)
	if err != nil {
		return nil, err
	}
	st := &stage{dir: dir}
	j.stages = append(j.stages, st)
	leaves := datafile.Leaves(cols)
	for _, r := range rows {
		stats := datafile.LeafStats(leaves, datafile.StatMap(r[4]))
		if enc.Version > 1 && !datafile.Portable(leaves, stats) {
			if r, err = j.again(ctx, r[0].(string), cols, enc); err != nil {
				return nil, err
			}
			stats = datafile.LeafStats(leaves, datafile.StatMap(r[4]))
		}
		if err := st.add(r, dir, home, stats); err != nil {
			return nil, err
		}
	}
	return st, nil
}

// again writes a file that not every reader would take in the encodings that
// each one takes. The rows may have come from a stream, so they are read from
// the file.
func (j *job) again(ctx context.Context, path string, cols []datafile.Column, enc datafile.Encoding) ([]any, error) {
	enc.Version = 1
	query := "SELECT * FROM read_parquet(" + datafile.QuoteText(path) + ", hive_partitioning=false)"
	rows, err := engine.Collect(ctx, j.conn, datafile.CopySQL(query, path+".again", cols, datafile.FieldIDs(cols), enc, ""), nil)
	if err != nil {
		return nil, err
	}
	if len(rows) != 1 {
		return nil, errs.New(errs.Internal, "the engine wrote %d files instead of one", len(rows))
	}
	return rows[0], nil
}

// add takes one file that COPY reports: filename, count, file_size_bytes,
// footer_size_bytes, column_statistics.
func (s *stage) add(r []any, dir, home string, stats []datafile.Stats) error {
	from, count := r[0].(string), toInt(r[1])
	if count == 0 {
		return nil // an empty input has no file
	}
	name := datafile.NewName()
	path := filepath.Join(home, name)
	if err := os.Rename(from, path); err != nil {
		return errs.Wrap(errs.Unavailable, err, "name a data file")
	}
	synced := make(chan error, 1)
	go func() { synced <- storage.SyncFile(path) }() // the disk is busy while the processor sums
	sum, err := storage.Checksum(path)
	if serr := <-synced; err == nil {
		err = serr
	}
	if err != nil {
		return err
	}
	f := staged{rel: dir + name, path: path, stats: map[int64]datafile.Stats{}}
	f.info = catalog.NewFile{Rel: f.rel, Records: count, Size: toInt(r[2]), Footer: toInt(r[3]), SHA256: sum, Stats: stats}
	for _, st := range f.info.Stats {
		f.stats[st.ColumnID] = st
	}
	s.files = append(s.files, f)
	s.rows += count
	return nil
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

// relation reads the stage's rows back, its columns named as in p.
func (s *stage) relation(p *plan) string {
	if s.inside != nil && s.rows > 0 {
		return scan.Values(s.inside.columns, s.inside.rows)
	}
	if len(s.files) == 0 {
		parts := make([]string, len(p.file))
		for i, f := range p.file {
			parts[i] = "CAST(NULL AS " + f.column.Type.SQL() + ") AS " + datafile.Quote(f.column.Name)
		}
		return "SELECT " + strings.Join(parts, ", ") + " WHERE false"
	}
	return "SELECT * FROM read_parquet(" + pathList(s.paths()) + ", hive_partitioning=false)"
}

// allStats are the statistics of the rows, by column id.
func (s *stage) allStats() []map[int64]datafile.Stats {
	var out []map[int64]datafile.Stats
	for _, f := range s.files {
		out = append(out, f.stats)
	}
	if s.inside != nil {
		stats := map[int64]datafile.Stats{}
		for _, st := range s.inside.stats {
			stats[st.ColumnID] = st
		}
		out = append(out, stats)
	}
	return out
}

func (s *stage) paths() []string {
	out := make([]string, len(s.files))
	for i, f := range s.files {
		out[i] = f.path
	}
	return out
}

func pathList(paths []string) string {
	quoted := make([]string, len(paths))
	for i, p := range paths {
		quoted[i] = datafile.QuoteText(p)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

func (s *stage) newFiles() []catalog.NewFile {
	out := make([]catalog.NewFile, len(s.files))
	for i, f := range s.files {
		out[i] = f.info
	}
	return out
}

// publish names the files of the stage that will be committed and of the
// delete files under data/. The lease keeps their trace until the commit.
func (j *job) publish(dir string) error {
	if j.o.DeleteOnly {
		return nil
	}
	if j.out.dir != dir {
		if err := j.relocate(dir); err != nil {
			return err
		}
	}
	if j.out.published {
		return nil
	}
	folder := j.w.Catalog.Folder()
	rels := make([]string, len(j.out.files))
	for i, f := range j.out.files {
		rels[i] = f.rel
	}
	if err := folder.Publish(j.lease, rels...); err != nil {
		return err
	}
	for i, f := range j.out.files {
		if _, err := os.Stat(f.path); err != nil { // moved, where there are no links
			j.out.files[i].path = folder.Data() + f.rel
		}
	}
	j.out.published = true
	return nil
}

// tableDir is the folder of the table's files: its own, which a rename keeps,
// or that of a table to make.
func (j *job) tableDir(st *state) string {
	if st.exists {
		return j.w.Catalog.Dir(st.table)
	}
	return catalog.TableDir(j.name)
}

// relocate gives the staged files names in the folder of the table that the
// name means now: another one than when they were written. The old names are
// disposed of at the end.
func (j *job) relocate(dir string) error {
	if len(j.out.files) == 0 {
		j.out.dir = dir
		return nil
	}
	old := &stage{dir: j.out.dir, files: slices.Clone(j.out.files), published: j.out.published}
	leaseDir := j.w.Catalog.Folder().LeaseDir(j.lease)
	if err := os.MkdirAll(filepath.Join(leaseDir, filepath.FromSlash(dir)), 0o777); err != nil {
		return errs.Wrap(errs.Unavailable, err, "make a folder under tmp")
	}
	for i := range j.out.files {
		f := &j.out.files[i]
		f.rel = dir + filepath.Base(f.rel)
		path := filepath.Join(leaseDir, filepath.FromSlash(f.rel))
		if err := storage.LinkOrCopy(f.path, path); err != nil {
			return err
		}
		f.path, f.info.Rel = path, f.rel
	}
	j.out.dir, j.out.published = dir, false
	j.stages = append(j.stages, old)
	return nil
}

// cleanUp removes what the job leaves: the traces of committed files, and
// the files that were not committed. A file whose commit is in doubt stays for
// the sweeper, which asks the catalog.
func (j *job) cleanUp() {
	folder := j.w.Catalog.Folder()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, s := range j.stages {
		for _, f := range s.files {
			j.dispose(ctx, folder, f.rel, s.published)
		}
	}
	if j.deletes != nil {
		for _, rel := range j.deletes.published {
			j.dispose(ctx, folder, rel, true)
		}
	}
}

func (j *job) dispose(ctx context.Context, folder storage.Folder, rel string, published bool) {
	if published && (!j.committed || !j.named[rel]) {
		if !j.committed { // perhaps: the answer of a failed COMMIT may be lost
			named, err := j.w.Catalog.Names(ctx, rel)
			if err != nil || named {
				return
			}
		}
		folder.Unpublish(rel)
	}
	folder.Retire(j.lease, rel)
}

// watch reports the progress of the staging until the returned function is called.
func (j *job) watch() func() {
	if j.o.Progress == nil {
		return func() {}
	}
	j.conn.Progress() // the engine counts from the first question on
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				p := j.conn.Progress() / 100
				j.o.Progress(Progress{Phase: "reading", Fraction: max(p, -1), TotalBytes: j.rel.Bytes})
			}
		}
	}()
	return func() { close(stop); <-done }
}

// tmpError types an error of the engine about its own unfinished files: a full
// disk, a folder that others removed. It is nil for any other error. What the
// engine says names paths, so only its last words are kept.
func (j *job) tmpError(err error) error {
	var ee *engine.Error
	if !errors.As(err, &ee) || ee.Class != "io" || !strings.Contains(ee.Message, j.w.Catalog.Folder().Tmp()) {
		return nil
	}
	cause := ee.Message[strings.LastIndex(ee.Message, `"`)+1:]
	return errs.Wrap(errs.Unavailable, err, "write unfinished files under tmp%s; make room there and try again", cause)
}
