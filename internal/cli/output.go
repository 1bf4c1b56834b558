package cli

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
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

// sink remembers why it could not be written to, whatever a printer makes of it.
type sink struct {
	io.Writer
	err error
}

func (s *sink) Write(p []byte) (int, error) {
	n, err := s.Writer.Write(p)
	if err != nil {
		s.err = err
	}
	return n, err
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
	to   *sink
	file *os.File // nil for stdout
	path string   // of the file when it is whole
	temp string   // and until then; "" when written in place
	name string   // as errors say it
}

func newOutput(w io.Writer, name string) *output {
	to := &sink{Writer: w}
	return &output{Writer: bufio.NewWriterSize(to, outputBuffer), to: to, name: name}
}

// result prints a result through print and makes it final when print succeeds.
func (a *app) result(print func(w io.Writer) error) error {
	if err := a.prepareOutput(); err != nil {
		return err
	}
	o := a.out
	a.out = nil
	err := print(o)
	switch {
	case err == nil:
		err = o.commit()
	case o.to.err != nil:
		o.abort()
		err = o.to.err
	default:
		o.abort()
		return err
	}
	if err == nil || a.stdout.broken {
		return err
	}
	return a.unwritten(o.name, err)
}

// prepareOutput opens the place of the result, so that a command that cannot
// tell what it did does nothing.
func (a *app) prepareOutput() (err error) {
	if a.out == nil {
		a.out, err = a.openOutput()
	}
	return err
}

// dropOutput ends a command that came to no result.
func (a *app) dropOutput() {
	if a.out != nil {
		a.out.abort()
	}
}

// unwritten is the error of a result that could not be written: a script that
// takes it for a command that failed must not do a change twice.
func (a *app) unwritten(name string, err error) error {
	message := fmt.Sprintf("%s: %v", name, cause(err))
	if a.changed {
		message = "the change was made, but its result could not be written: " + message
	}
	return failf(supertable.Unavailable, "%s", message)
}

// did notes what the command has done: whatever fails later must not look as
// if nothing was changed.
func (a *app) did(something bool) {
	if something {
		a.changed = true
		a.done = stays
	}
}

// What is said of the work of a command that was interrupted.
const (
	nothingChanged = "nothing was changed"
	stays          = "what was done before stays"
)

func (a *app) openOutput() (*output, error) {
	name := a.flags.output
	if name == "" || name == "-" {
		return newOutput(a.stdout, "standard output"), nil
	}
	if real, err := filepath.EvalSymlinks(name); err == nil {
		name = real // replace the file, not the link to it
	}
	mode := fs.FileMode(0o666)
	if info, err := os.Stat(name); err == nil {
		if info.IsDir() {
			return nil, failf(supertable.InvalidArgument, "-o %s is a folder", a.flags.output)
		}
		if !info.Mode().IsRegular() { // a device or a pipe: there is nothing to rename onto
			return openFile(name, name, os.O_WRONLY, mode)
		}
		mode = info.Mode().Perm()
	}
	temp := filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+"."+strings.ToLower(rand.Text()[:10])+".tmp")
	o, err := openFile(name, temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return nil, err
	}
	o.temp = temp
	return o, nil
}

// openFile opens path for the sake of the file name.
func openFile(name, path string, flag int, mode fs.FileMode) (*output, error) {
	f, err := os.OpenFile(path, flag, mode)
	if err != nil {
		return nil, fileError(name, err)
	}
	o := newOutput(f, fmt.Sprintf("file %q", name))
	o.file, o.path = f, name
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
		err = os.Rename(o.temp, o.path)
	}
	if err != nil {
		o.remove()
	}
	return err
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

// cause is an error of the file system without the path that it met.
func cause(err error) error {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return p.Err
	}
	if l := (*os.LinkError)(nil); errors.As(err, &l) {
		return l.Err
	}
	return err
}

// fileError names the file as the caller did, with the kind that fits.
func fileError(name string, err error) error {
	kind := supertable.InvalidArgument
	switch {
	case errors.Is(err, fs.ErrNotExist):
		kind = supertable.NotFound
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		kind = supertable.Unavailable
	}
	return failf(kind, "file %q: %v", name, cause(err))
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
