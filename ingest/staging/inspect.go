package staging

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/engine"
	"github.com/supertable-go/supertable/ingest/source"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/rbac"
)

// opened is a staged file as a relation on a connection of the locked engine.
type opened struct {
	conn engine.Conn
	rel  *source.Relation
}

func (o *opened) close() {
	if o.rel != nil {
		_ = o.rel.Close()
	}
	if o.conn != nil {
		_ = o.conn.Close()
	}
}

// read opens the file at path.
func (s *Store) read(ctx context.Context, path string, as source.Options) (*opened, error) {
	eng, err := s.Engine(ctx)
	if err != nil {
		return nil, err
	}
	lease, err := s.Catalog.Lease(ctx) // what the engine cannot read as it is is copied there
	if err != nil {
		return nil, err
	}
	o := &opened{}
	if o.conn, err = eng.Conn(ctx); err != nil {
		return nil, err
	}
	as.SpillDir = s.Catalog.Folder().LeaseDir(lease)
	o.rel, err = source.Open(ctx, o.conn, []string{path}, &as)
	if err != nil {
		o.close()
		return nil, err
	}
	return o, nil
}

// inspect reads an incoming file from end to end: every value, so that what is
// staged can be read.
func (s *Store) inspect(ctx context.Context, in *incoming) error {
	in.row.Format = in.Format
	if in.row.Format == "" {
		in.row.Format = source.FormatOf(in.Name)
	}
	o, err := s.read(ctx, in.path, source.Options{Format: in.Format})
	if err != nil {
		return err
	}
	defer o.close()
	if in.row.Rows, err = readAll(ctx, o.conn, o.rel, in.Name); err != nil {
		return err
	}
	info, err := os.Stat(in.path)
	if err != nil {
		return errs.Wrap(errs.Unavailable, err, "look at an unfinished file under tmp")
	}
	in.row.Bytes = info.Size()
	return nil
}

// readAll reads every value and counts the rows.
func readAll(ctx context.Context, c engine.Conn, rel *source.Relation, name string) (int64, error) {
	cols := make([]string, len(rel.Columns))
	for i, c := range rel.Columns {
		cols[i] = datafile.Quote(c.Name)
	}
	rows, err := engine.Collect(ctx, c, "SELECT count(*), bit_xor(hash("+strings.Join(cols, ", ")+")) FROM ("+rel.SQL+")", nil)
	if err != nil {
		return 0, engineError(ctx, rel, err, name)
	}
	n, _ := rows[0][0].(int64)
	return n, nil
}

// engineError words an error of a statement that read or wrote a file; raw
// messages name paths.
func engineError(ctx context.Context, rel *source.Relation, err error, name string) error {
	if err == nil {
		return nil
	}
	if typed := errs.FromContext(ctx, "read "+name); typed != nil {
		return typed
	}
	err = rel.Explain(err)
	if _, ok := errors.AsType[*errs.Error](err); ok {
		return err
	}
	if ee, ok := errors.AsType[*engine.Error](err); ok && (ee.Class == "io" || ee.Class == "out of memory") {
		return errs.Wrap(errs.Unavailable, err, "%s: no room for unfinished files or memory; make some and try again", quoted(name))
	}
	return errs.Wrap(errs.InvalidArgument, err, "%s: cannot be read", quoted(name))
}

// Preview is the head of a staged file.
type Preview struct {
	catalog.StagedFile
	Columns []source.Column
	// Head are the first rows; whoever gets the preview releases them.
	Head array.RecordReader
}

// Show gives the schema and the first rows of a file.
func (s *Store) Show(ctx context.Context, g rbac.Grant, area, file string, limit int) (Preview, error) {
	f, err := s.Find(ctx, g, area, file)
	if err != nil {
		return Preview{}, err
	}
	if _, err := os.Stat(s.path(f)); err != nil {
		return Preview{}, damaged(f, err)
	}
	o, err := s.read(ctx, s.path(f), source.Options{Format: f.Format})
	if err != nil {
		return Preview{}, s.asDamage(f, err)
	}
	defer o.close()
	head, err := collect(ctx, o.conn, fmt.Sprintf("SELECT * FROM (%s) LIMIT %d", o.rel.SQL, limit))
	if err != nil {
		return Preview{}, s.asDamage(f, engineError(ctx, o.rel, err, f.File))
	}
	return Preview{StagedFile: f, Columns: o.rel.Columns, Head: head}, nil
}

// asDamage tells a file that was changed since it was staged from one that
// has another trouble: what was staged could be read.
func (s *Store) asDamage(f catalog.StagedFile, err error) error {
	if kind := errs.KindOf(err); kind == errs.InvalidArgument || kind == errs.TypeConflict || kind == errs.NotFound {
		if damage := s.verify(f); damage != nil {
			return damage
		}
	}
	return err
}

// collect keeps the batches of a small result.
func collect(ctx context.Context, c engine.Conn, sql string) (array.RecordReader, error) {
	r, err := c.Query(ctx, sql, nil)
	if err != nil {
		return nil, err
	}
	defer r.Release()
	var batches []arrow.RecordBatch
	defer func() {
		for _, b := range batches {
			b.Release()
		}
	}()
	for r.Next() {
		b := r.RecordBatch()
		b.Retain()
		batches = append(batches, b)
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	return array.NewRecordReader(r.Schema(), batches)
}
