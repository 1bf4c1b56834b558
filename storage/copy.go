package storage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/supertable-go/supertable/internal/errs"
)

// Copied is what a copy of a file holds.
type Copied struct {
	Bytes  int64
	SHA256 string
}

// CopyTo copies what in gives into a new file at path, durably but for its
// name, and closes in. Folders above it are made.
func CopyTo(ctx context.Context, in io.ReadCloser, path string) (c Copied, err error) {
	defer func() { _ = in.Close() }()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return c, ioError(err, "make a folder")
	}
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return c, ioError(err, "copy a file")
	}
	h := sha256.New()
	c.Bytes, err = io.Copy(io.MultiWriter(out, h), canceller{ctx, in})
	if err == nil {
		err = out.Sync()
	}
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	c.SHA256 = hex.EncodeToString(h.Sum(nil))
	if cerr := errs.FromContext(ctx, "copy a file"); cerr != nil {
		return c, cerr
	}
	return c, ioError(err, "copy a file")
}

// Sum reads in to its end.
func Sum(ctx context.Context, in io.Reader) (c Copied, err error) {
	h := sha256.New()
	c.Bytes, err = io.Copy(h, canceller{ctx, in})
	c.SHA256 = hex.EncodeToString(h.Sum(nil))
	if cerr := errs.FromContext(ctx, "read a file"); cerr != nil {
		return c, cerr
	}
	return c, ioError(err, "read a file")
}

// canceller ends a copy when its context does.
type canceller struct {
	ctx context.Context //nolint:containedctx // lives for one copy
	r   io.Reader
}

func (c canceller) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// SyncTree puts the entries of a folder and of all folders below it on disk.
func SyncTree(dir string) error {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		return SyncDir(path)
	})
	return ioError(err, "sync a folder")
}

// Appear gives a finished folder its name, all at once. An empty folder that
// has the name is replaced; anything else is AlreadyExists.
func Appear(made, name string) error {
	err := retryInterrupted(func() error { return syscall.Rename(made, name) })
	switch {
	case err == nil:
		return SyncDir(filepath.Dir(name))
	case errors.Is(err, syscall.EEXIST), errors.Is(err, syscall.ENOTEMPTY), errors.Is(err, syscall.ENOTDIR):
		return errs.Wrap(errs.AlreadyExists, err, "%s is there already", filepath.Base(name))
	}
	return ioError(err, "give the folder its name")
}
