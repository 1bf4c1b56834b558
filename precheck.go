package supertable

import (
	"context"
	"io"
	"os"

	"github.com/supertable-go/supertable/engine"
	"github.com/supertable-go/supertable/engine/duckdb"
	"github.com/supertable-go/supertable/ingest"
	"github.com/supertable-go/supertable/ingest/staging"
	"github.com/supertable-go/supertable/internal/errs"
)

// CheckWrite tells what a write to a SuperTable that does not exist yet would
// be refused for, before anything is created: names, options, and inputs that
// cannot be opened or lack a column. Paths are the files, or one "-" for
// stdin, which is read to its end.
func (l *Lake) CheckWrite(ctx context.Context, super, table string, paths []string, stdin io.Reader, o *WriteOptions) error {
	in, opts, err := o.ingest(ingest.Input{Paths: paths, Stdin: stdin})
	if err != nil {
		return err
	}
	w := &ingest.Writer{Super: super}
	if err := w.Check(table, opts); err != nil {
		return err
	}
	return l.scratch(ctx, func(c engine.Conn, dir string) error { return w.CheckInput(ctx, c, dir, in, opts) })
}

// CheckStage does for StageFiles, or for StageFrom when stdin is set, what
// CheckWrite does for a write. Names are those that the files are kept under.
func (l *Lake) CheckStage(ctx context.Context, area string, paths, names []string, stdin io.Reader, o *StageOptions) error {
	items := make([]staging.Item, len(names))
	for i, name := range names {
		items[i] = staging.Item{Name: name, Format: o.format()}
		if items[i].Bytes = stdin; stdin == nil {
			items[i].Path = paths[i]
		}
	}
	if err := staging.CheckNames(area, items); err != nil {
		return err
	}
	return l.scratch(ctx, func(c engine.Conn, dir string) error { return staging.CheckItems(ctx, c, dir, items) })
}

// scratch runs do on an engine that belongs to no SuperTable, with a folder
// for its temporary files.
func (l *Lake) scratch(ctx context.Context, do func(c engine.Conn, dir string) error) error {
	dir, err := os.MkdirTemp("", "supertable-")
	if err != nil {
		return errs.Wrap(errs.Unavailable, err, "no folder for temporary files")
	}
	defer func() { _ = os.RemoveAll(dir) }()
	e, err := duckdb.Open(engine.Options{MemoryBytes: l.opts.MemoryBytes, Threads: l.opts.Threads, SpillDir: dir})
	if err != nil {
		return errs.Wrap(errs.Internal, err, "the engine did not start: %v", err)
	}
	defer func() { _ = e.Close() }()
	c, err := e.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	return do(c, dir)
}
