package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/supertable-go/supertable/engine"
	"github.com/supertable-go/supertable/internal/errs"
)

// FromReader makes a relation of r, for rows that a program has in memory or
// streams. It can be read once. R must live until Close; values that the engine
// would cut are an error of the statement that reads them.
func FromReader(ctx context.Context, c engine.Conn, r array.RecordReader) (*Relation, error) {
	rel := &Relation{}
	src := &readerBatches{r: r}
	if err := rel.addStream(ctx, c, &input{name: "the batch", form: fArrow}, r.Schema(), src); err != nil {
		rel.Close()
		return nil, err
	}
	if err := rel.unite(); err != nil {
		rel.Close()
		return nil, err
	}
	return rel, nil
}

// batches gives record batches one after another; nil at the end. A batch is
// valid until the next call.
type batches interface {
	next() (arrow.RecordBatch, error)
	close()
}

// readerBatches are the batches of a RecordReader that its caller owns.
type readerBatches struct{ r array.RecordReader }

func (b *readerBatches) next() (arrow.RecordBatch, error) {
	if b.r.Next() {
		return b.r.RecordBatch(), nil
	}
	return nil, b.r.Err()
}

func (b *readerBatches) close() {}

// ipcStream are the batches of an IPC stream in a file.
type ipcStream struct {
	readerBatches
	own *ipc.Reader
	f   *os.File
}

func (b *ipcStream) close() {
	b.own.Release()
	b.f.Close()
}

// ipcFile are the batches of an IPC file.
type ipcFile struct {
	r   *ipc.FileReader
	f   *os.File
	at  int
	rec arrow.RecordBatch
}

func (b *ipcFile) next() (arrow.RecordBatch, error) {
	b.drop()
	if b.at >= b.r.NumRecords() {
		return nil, nil
	}
	var err error
	b.rec, err = b.r.RecordBatchAt(b.at)
	b.at++
	return b.rec, err
}

func (b *ipcFile) drop() {
	if b.rec != nil {
		b.rec.Release()
		b.rec = nil
	}
}

func (b *ipcFile) close() {
	b.drop()
	b.r.Close()
	b.f.Close()
}

// openArrow registers an IPC file or stream.
func (r *Relation) openArrow(ctx context.Context, c engine.Conn, in *input) error {
	f, err := os.Open(in.path)
	if err != nil {
		return fileError(in.name, err)
	}
	src, schema, err := openIPC(in, f)
	if err != nil {
		f.Close()
		return arrowError(in.name, err)
	}
	return r.addStream(ctx, c, in, schema, src)
}

// openIPC tells files from streams by their first bytes.
func openIPC(in *input, f *os.File) (src batches, schema *arrow.Schema, err error) {
	defer malformed(in.name, &err)
	head := make([]byte, 8)
	n, _ := f.ReadAt(head, 0)
	head = head[:n]
	if n == 0 {
		return nil, nil, errs.New(errs.InvalidArgument, "%s: the file is empty", in.name)
	}
	if bytes.HasPrefix(head, []byte("FEA1")) {
		return nil, nil, errs.New(errs.Unsupported, "%s: Feather version 1 cannot be read: write it as Arrow IPC", in.name)
	}
	file := bytes.HasPrefix(head, []byte("ARROW1"))
	if err := verifySchema(f, in.bytes, file); err != nil {
		return nil, nil, err
	}
	if file {
		r, err := ipc.NewFileReader(f, limits(in)...)
		if err != nil {
			return nil, nil, err
		}
		return &ipcFile{r: r, f: f}, r.Schema(), nil
	}
	r, err := ipc.NewReader(f, limits(in)...)
	if err != nil {
		return nil, nil, err
	}
	return &ipcStream{readerBatches{r}, r, f}, r.Schema(), nil
}

// limits let a batch be as large as the file, and no compressed buffer claim
// far more than a file of that size can hold.
func limits(in *input) []ipc.Option {
	return []ipc.Option{
		ipc.WithBodySizeLimit(max(in.bytes, 1)), ipc.WithMetadataSizeLimit(max(in.bytes, 1)),
		ipc.WithAllocator(boundedAllocator{memory.NewGoAllocator(), int(min(1<<28+1000*in.bytes, 1<<40))}),
	}
}

// boundedAllocator panics where a buffer would be larger than most. The panic
// does not leave this package: see malformed.
type boundedAllocator struct {
	memory.Allocator
	most int
}

// Allocate makes a buffer.
func (a boundedAllocator) Allocate(size int) []byte {
	a.check(size)
	return a.Allocator.Allocate(size)
}

// Reallocate makes a buffer larger or smaller.
func (a boundedAllocator) Reallocate(size int, b []byte) []byte {
	a.check(size)
	return a.Allocator.Reallocate(size, b)
}

func (a boundedAllocator) check(size int) {
	if size < 0 || size > a.most {
		panic(fmt.Sprintf("a buffer of %d bytes", size))
	}
}

// arrowError types what the IPC reader says.
func arrowError(name string, err error) error {
	if _, ok := errors.AsType[*errs.Error](err); ok {
		return err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errs.Wrap(errs.InvalidArgument, err, "%s: not a whole Arrow file or stream: it ends too early", name)
	}
	return errs.Wrap(errs.InvalidArgument, err, "%s: not an Arrow file or stream: %s", name, oneLine(err.Error(), 120))
}

// malformed turns a panic of the IPC reader into an error: some damaged files
// lead it out of bounds.
func malformed(name string, err *error) {
	if p := recover(); p != nil {
		*err = errs.Wrap(errs.InvalidArgument, fmt.Errorf("panic: %v", p), "%s: not a whole Arrow file or stream", name)
	}
}

// streamNumber makes names for streams.
var streamNumber atomic.Int64

// addStream registers a source of batches on the connection, which takes it
// over, and adds its part.
func (r *Relation) addStream(ctx context.Context, c engine.Conn, in *input, schema *arrow.Schema, src batches) error {
	s := &stream{ctx: ctx, name: in.name, src: src}
	r.streams = append(r.streams, s)
	var names []string
	for _, f := range schema.Fields() {
		names = append(names, f.Name)
	}
	if err := checkNames(in.name, names); err != nil {
		return err
	}
	if err := s.prepare(schema); err != nil {
		return err
	}
	p := &part{in: in, from: fmt.Sprintf("st_input_%d", streamNumber.Add(1)), rows: -1}
	release, err := c.Stream(p.from, s)
	if err != nil {
		return engineError(ctx, in, err)
	}
	r.releases = append(r.releases, release)
	rows, err := engine.Collect(ctx, c, "DESCRIBE SELECT * FROM "+p.from, nil)
	if err != nil {
		return engineError(ctx, in, err)
	}
	for i, row := range rows {
		name := names[i]
		t, err := parseType(text(row[1]))
		if err != nil {
			return in.storable(name, text(row[1]))
		}
		p.columns = append(p.columns, partColumn{name, t, ident(name)})
		flat := t.flat()
		if err := in.storable(name, flat.String()); err != nil {
			return err
		}
		if schema.Field(i).Type.ID() == arrow.NULL {
			p.columns[i] = partColumn{name, plain(tNull), "NULL"}
			continue
		}
		if !flat.same(t) {
			p.columns[i] = partColumn{name, flat, "CAST(" + ident(name) + " AS " + flat.String() + ")"}
		}
	}
	r.parts = append(r.parts, p)
	return nil
}

// flat is t with lists of fixed size as lists, and enumerations as text.
func (t *sqlType) flat() *sqlType {
	switch t.name {
	case tArray:
		return &sqlType{name: tList, elem: t.elem.flat()}
	case tEnum:
		return plain(tVarchar)
	}
	return t.rebuild((*sqlType).flat)
}

// stream is a RecordReader over a source whose values that the engine would
// cut are checked and converted on the way.
type stream struct {
	ctx    context.Context // of the call that opened it: the engine reads without one
	name   string
	src    batches
	schema *arrow.Schema
	conv   []converter
	rec    arrow.RecordBatch // converted; nil when the source's own is current
	cur    arrow.RecordBatch
	err    error
	closed bool
}

var _ array.RecordReader = (*stream)(nil)

// Retain does nothing: the Relation owns the stream and outlives its readers.
func (s *stream) Retain() {}

// Release does nothing; see Retain.
func (s *stream) Release() {}

// Schema is what the engine sees.
func (s *stream) Schema() *arrow.Schema { return s.schema }

// RecordBatch is the current batch.
func (s *stream) RecordBatch() arrow.RecordBatch { return s.cur }

// Record is RecordBatch.
func (s *stream) Record() arrow.RecordBatch { return s.cur }

// Err is the typed error that ended the stream early.
func (s *stream) Err() error { return s.err }

// Next goes to the next batch.
func (s *stream) Next() (more bool) {
	if s.err != nil {
		return false
	}
	s.drop()
	s.cur, s.err = s.advance()
	return s.err == nil && s.cur != nil
}

func (s *stream) advance() (rec arrow.RecordBatch, err error) {
	defer malformed(s.name, &err)
	if err := errs.FromContext(s.ctx, s.name); err != nil {
		return nil, err
	}
	rec, err = s.src.next()
	if err != nil {
		return nil, arrowError(s.name, err)
	}
	if rec == nil {
		return nil, nil
	}
	// What the engine reads through the C interface it trusts: offsets beyond a
	// buffer would make it read other memory.
	if err := array.ValidateRecordFull(rec); err != nil {
		return nil, errs.Wrap(errs.InvalidArgument, err, "%s: malformed Arrow data: %s", s.name, oneLine(err.Error(), 120))
	}
	if s.conv == nil {
		return rec, nil
	}
	s.rec, err = s.convert(rec)
	return s.rec, err
}

func (s *stream) drop() {
	if s.rec != nil {
		s.rec.Release()
		s.rec = nil
	}
	s.cur = nil
}

// Close gives the source back. The engine no longer reads the stream.
func (s *stream) Close() {
	if s.closed {
		return
	}
	s.closed = true
	s.drop()
	s.src.close()
}
