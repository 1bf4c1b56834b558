package cli

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/vbauerster/mpb/v8/cwriter"

	"github.com/supertable-go/supertable"
)

// outputBuffer is how much of a result is held back. What fails before it is
// full has printed nothing.
const outputBuffer = 256 << 10

// stdout remembers that its reader went away.
type stdout struct {
	w      io.Writer
	broken bool
}

func (s *stdout) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe) {
		s.broken = true
	}
	return n, err
}

// output is the place of one result: stdout, or a file that appears whole or
// not at all.
type output struct {
	*bufio.Writer
	file *os.File // nil for stdout
	temp string   // the file's name until it is whole; "" when written in place
	name string
}

// result prints a result through print and makes it final when print succeeds.
func (a *app) result(print func(w io.Writer) error) error {
	o, err := a.openOutput()
	if err != nil {
		return err
	}
	if err := print(o); err != nil {
		o.abort()
		return err
	}
	return o.commit()
}

func (a *app) openOutput() (*output, error) {
	name := a.flags.output
	if name == "" || name == "-" {
		return &output{Writer: bufio.NewWriterSize(a.stdout, outputBuffer)}, nil
	}
	if real, err := filepath.EvalSymlinks(name); err == nil {
		name = real // replace the file, not the link to it
	}
	o := &output{name: name}
	mode := fs.FileMode(0o666)
	if info, err := os.Stat(name); err == nil {
		if info.IsDir() {
			return nil, failf(supertable.InvalidArgument, "-o %s is a folder", a.flags.output)
		}
		if !info.Mode().IsRegular() { // a device or a pipe: there is nothing to rename onto
			return o.open(name, os.O_WRONLY, mode)
		}
		mode = info.Mode().Perm()
	}
	o.temp = filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+"."+strings.ToLower(rand.Text()[:10])+".tmp")
	return o.open(o.temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
}

func (o *output) open(path string, flag int, mode fs.FileMode) (*output, error) {
	f, err := os.OpenFile(path, flag, mode)
	if err != nil {
		return nil, fileError(o.name, err)
	}
	o.file = f
	o.Writer = bufio.NewWriterSize(f, outputBuffer)
	return o, nil
}

// commit makes the result final: all of it is on stdout, or on disk under its name.
func (o *output) commit() error {
	err := o.Flush()
	if o.file == nil {
		return err
	}
	if err == nil && o.temp != "" {
		err = o.file.Sync()
	}
	if e := o.file.Close(); err == nil {
		err = e
	}
	if err == nil && o.temp != "" {
		err = os.Rename(o.temp, o.name)
	}
	if err != nil {
		o.remove()
		return fileError(o.name, err)
	}
	return nil
}

// abort drops what is still held back, and the unfinished file.
func (o *output) abort() {
	if o.file != nil {
		o.file.Close()
		o.remove()
	}
}

func (o *output) remove() {
	if o.temp != "" {
		os.Remove(o.temp)
	}
}

// fileError names the file as the caller did, with the kind that fits.
func fileError(name string, err error) error {
	cause := err
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		cause = p.Err
	}
	if l := (*os.LinkError)(nil); errors.As(err, &l) {
		cause = l.Err
	}
	kind := supertable.InvalidArgument
	switch {
	case errors.Is(err, fs.ErrNotExist):
		kind = supertable.NotFound
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		kind = supertable.Unavailable
	}
	return failf(kind, "file %q: %v", name, cause)
}

// isTerminal reports whether s is an *os.File on a terminal.
func isTerminal(s any) bool {
	f, ok := s.(*os.File)
	return ok && cwriter.IsTerminal(int(f.Fd()))
}

// interruptible makes a reader whose Read ends with ctx, though the read below
// may go on waiting.
func interruptible(ctx context.Context, r io.Reader) io.Reader {
	pr, pw := io.Pipe()
	context.AfterFunc(ctx, func() { pw.CloseWithError(context.Cause(ctx)) })
	go func() {
		_, err := io.CopyBuffer(struct{ io.Writer }{pw}, struct{ io.Reader }{r}, make([]byte, 256<<10))
		pw.CloseWithError(err)
	}()
	return pr
}
