package staging

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/engine"
	"github.com/supertable-go/supertable/ingest/source"
	"github.com/supertable-go/supertable/internal/errs"
)

// sum is a running SHA-256.
type sum struct{ hash.Hash }

func newSum() sum { return sum{sha256.New()} }

func (s sum) hex() string { return hex.EncodeToString(s.Sum(nil)) }

// contextReader stops reading when its context ends.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

func copyFile(ctx context.Context, from, to, name string) error {
	info, err := os.Stat(from)
	if err == nil && info.IsDir() {
		return errs.New(errs.InvalidArgument, "file %s is a folder", quoted(name))
	}
	if err != nil {
		return inputError(ctx, err, name)
	}
	in, err := os.Open(from)
	if err != nil {
		return inputError(ctx, err, name)
	}
	defer func() { _ = in.Close() }()
	return copyFrom(ctx, in, to, name)
}

func copyFrom(ctx context.Context, r io.Reader, to, name string) error {
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return errs.Wrap(errs.Unavailable, err, "write an unfinished file under tmp")
	}
	_, err = io.Copy(out, contextReader{ctx, r})
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	return inputError(ctx, err, name)
}

// inputError types an error of reading an input or of writing its copy.
func inputError(ctx context.Context, err error, name string) error {
	if err == nil {
		return nil
	}
	if typed := errs.FromContext(ctx, "stage "+name); typed != nil {
		return typed
	}
	cause := err
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		cause = pe.Err
	}
	kind := errs.InvalidArgument
	switch {
	case errors.Is(err, fs.ErrNotExist):
		kind = errs.NotFound
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		kind = errs.Unavailable
	}
	return errs.Wrap(kind, err, "file %s: %v", quoted(name), cause)
}

// writeParquet keeps batches as a Parquet file.
func (s *Store) writeParquet(ctx context.Context, in *incoming) error {
	eng, err := s.WriteEngine(ctx)
	if err != nil {
		return err
	}
	conn, err := eng.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	rel, err := source.FromReader(ctx, conn, in.Rows)
	if err != nil {
		return err
	}
	defer func() { _ = rel.Close() }()
	_, err = engine.Collect(ctx, conn, "COPY ("+rel.SQL+") TO "+datafile.QuoteText(in.path)+" (FORMAT parquet, COMPRESSION zstd)", nil)
	return engineError(ctx, rel, err, in.Name)
}
