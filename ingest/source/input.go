package source

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/supertable-go/supertable/internal/errs"
)

// The formats of inputs.
const (
	fParquet = "parquet"
	fArrow   = "arrow"
	fCSV     = "csv"
	fJSON    = "json"
	fNDJSON  = "ndjson"
)

// input is one file to read.
type input struct {
	name  string // what messages call it; never a folder
	path  string // absolute, where the bytes are
	form  string
	tabs  bool   // a .tsv file
	pack  string // "none", "gzip", "zstd": how the whole file is compressed
	bytes int64
	index int // its place among the inputs
}

// suffixes maps the end of a name to a format.
var suffixes = map[string]string{
	".parquet": fParquet, ".parq": fParquet, ".pq": fParquet,
	".arrow": fArrow, ".feather": fArrow, ".ipc": fArrow, ".arrows": fArrow,
	".csv": fCSV, ".tsv": fCSV, ".json": fJSON, ".ndjson": fNDJSON, ".jsonl": fNDJSON,
}

// inputsOf looks at every path, spooling what cannot be read twice.
func (r *Relation) inputsOf(ctx context.Context, paths []string, o *Options) ([]*input, error) {
	if len(paths) == 0 {
		return nil, errs.New(errs.InvalidArgument, "no input files")
	}
	if o.Format != "" && o.Format != fParquet && o.Format != fArrow && o.Format != fCSV && o.Format != fJSON && o.Format != fNDJSON {
		return nil, errs.New(errs.InvalidArgument, "input format %s: use parquet, arrow, csv, json or ndjson", quoteShort(o.Format))
	}
	var ins []*input
	for _, p := range paths {
		in, err := r.inputOf(ctx, p, o)
		if err != nil {
			return nil, err
		}
		in.index = len(ins)
		r.Bytes += in.bytes
		ins = append(ins, in)
	}
	return ins, nil
}

func (r *Relation) inputOf(ctx context.Context, path string, o *Options) (*input, error) {
	in := &input{name: oneLine(filepath.Base(path), 120), form: o.Format, pack: "none"}
	if path == "-" && o.Stdin != nil {
		in.name = "-"
		if in.form == "" {
			return nil, errs.New(errs.InvalidArgument, "- (standard input): say which format it has")
		}
		return in, r.spool(ctx, in, o.Stdin, o)
	}
	if i := strings.Index(path, "://"); i > 0 && !strings.ContainsAny(path[:i], "/\\.") {
		return nil, errs.New(errs.Unsupported, "%s: only local files can be read", quoteShort(path))
	}
	if strings.IndexByte(path, 0) >= 0 || path == "" {
		return nil, errs.New(errs.InvalidArgument, "input file %s: not a file name", quoteShort(path))
	}
	if err := in.byName(path); err != nil {
		return nil, err
	}
	st, err := os.Stat(path)
	if err != nil {
		return nil, fileError(path, err)
	}
	if st.IsDir() {
		return nil, errs.New(errs.InvalidArgument, "%s: is a folder, not a file", oneLine(path, 200))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fileError(path, err)
	}
	defer f.Close()
	if !st.Mode().IsRegular() {
		return in, r.spool(ctx, in, f, o)
	}
	if in.path, err = filepath.Abs(path); err != nil {
		return nil, fileError(path, err)
	}
	in.bytes = st.Size()
	if strings.Contains(in.path, `\`) && strings.ContainsAny(in.path, "*?[") {
		if err := r.link(in, o); err != nil {
			return nil, err
		}
	}
	return in, r.look(ctx, in, f, o)
}

// byName takes the format from the name unless it was given.
func (in *input) byName(path string) error {
	name := strings.ToLower(filepath.Base(path))
	ext := filepath.Ext(name)
	if ext == ".gz" || ext == ".zst" {
		ext = filepath.Ext(strings.TrimSuffix(name, ext))
	}
	in.tabs = ext == ".tsv"
	if in.form != "" {
		return nil
	}
	if in.form = suffixes[ext]; in.form == "" {
		return errs.New(errs.InvalidArgument, "%s: the name does not tell the format: say which it is", oneLine(path, 200))
	}
	return nil
}

// text reports whether the format is read by our scan first, which unpacks it.
func (in *input) text() bool { return in.form != fParquet && in.form != fArrow }

// look sniffs at an input. A compressed one of a binary format, which is read
// from its end, is unpacked into the spill folder.
func (r *Relation) look(ctx context.Context, in *input, f *os.File, o *Options) error {
	if err := in.sniff(f); err != nil || in.text() || in.pack == "none" {
		return err
	}
	src, err := in.open(ctx)
	if err != nil {
		return err
	}
	defer src.Close()
	if err := r.copyIn(ctx, in, src, o); err != nil {
		return err
	}
	in.pack = "none"
	whole, err := os.Open(in.path)
	if err != nil {
		return fileError(in.name, err)
	}
	defer whole.Close()
	if err := in.sniff(whole); err != nil || in.pack == "none" {
		return err
	}
	return errs.New(errs.InvalidArgument, "%s: is compressed twice", in.name)
}

// sniff looks at the first bytes: at how the whole file is compressed, and
// whether one of a binary format is what it says.
func (in *input) sniff(f *os.File) error {
	head := make([]byte, 8)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return fileError(in.name, err)
	}
	head = head[:n]
	packed := ""
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		packed = "gzip"
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		packed = "zstd"
	}
	if packed != "" {
		in.pack = packed
		return nil
	}
	if in.form == fParquet {
		return sniffParquet(in, f, head)
	}
	if in.text() && (bytes.HasPrefix(head, []byte("PAR1")) || bytes.HasPrefix(head, []byte("ARROW1"))) {
		return errs.New(errs.InvalidArgument, "%s: is a %s file, not %s", in.name, map[byte]string{'P': "Parquet", 'A': "Arrow"}[head[0]], strings.ToUpper(in.form))
	}
	return nil
}

// spool copies what can be read only once into the spill folder.
func (r *Relation) spool(ctx context.Context, in *input, from io.Reader, o *Options) error {
	if err := r.copyIn(ctx, in, from, o); err != nil {
		return err
	}
	f, err := os.Open(in.path)
	if err != nil {
		return fileError(in.name, err)
	}
	defer f.Close()
	return r.look(ctx, in, f, o)
}

// copyIn makes a copy in the spill folder the input.
func (r *Relation) copyIn(ctx context.Context, in *input, from io.Reader, o *Options) error {
	f, err := r.temp(o)
	if err != nil {
		return err
	}
	defer f.Close()
	if in.bytes, err = io.Copy(f, contextReader{ctx, from}); err != nil {
		if typed := errs.FromContext(ctx, in.name); typed != nil {
			return typed
		}
		return fileError(in.name, err)
	}
	in.path = f.Name()
	return nil
}

// temp makes a file that Close removes.
func (r *Relation) temp(o *Options) (*os.File, error) {
	dir := o.SpillDir
	if dir == "" {
		dir = os.TempDir()
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, errs.Wrap(errs.Unavailable, err, "no folder for temporary files: %s", reason(err))
	}
	f, err := os.CreateTemp(dir, "input-*.tmp")
	if err != nil {
		return nil, errs.Wrap(errs.Unavailable, err, "no temporary file can be made for the input: %s", reason(err))
	}
	r.temps = append(r.temps, f.Name())
	return f, nil
}

// link gives a file that no pattern of the engine matches literally another
// name.
func (r *Relation) link(in *input, o *Options) error {
	f, err := r.temp(o)
	if err != nil {
		return err
	}
	f.Close()
	if err := os.Remove(f.Name()); err != nil {
		return fileError(in.name, err)
	}
	if err := os.Symlink(in.path, f.Name()); err != nil {
		return fileError(in.name, err)
	}
	in.path = f.Name()
	return nil
}

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

// open gives the bytes, unpacked.
func (in *input) open(ctx context.Context) (io.ReadCloser, error) {
	f, err := os.Open(in.path)
	if err != nil {
		return nil, fileError(in.name, err)
	}
	src := contextReader{ctx, f}
	switch in.pack {
	case "gzip":
		z, err := gzip.NewReader(bufio.NewReaderSize(src, 1<<18))
		if err != nil {
			f.Close()
			return nil, fileError(in.name, err)
		}
		return unpacked{z, f, func() { z.Close() }}, nil
	case "zstd":
		z, err := zstd.NewReader(src, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(1<<31))
		if err != nil {
			f.Close()
			return nil, fileError(in.name, err)
		}
		return unpacked{z, f, z.Close}, nil
	}
	return unpacked{src, f, func() {}}, nil
}

// unpacked is a stream and what to close after it.
type unpacked struct {
	io.Reader
	file *os.File
	done func()
}

func (u unpacked) Close() error {
	u.done()
	return u.file.Close()
}

// fileError types an error of the file system and names the file as name says.
func fileError(name string, err error) error {
	name = oneLine(name, 200)
	switch {
	case errors.Is(err, context.Canceled):
		return errs.Wrap(errs.Cancelled, err, "%s: cancelled", name)
	case errors.Is(err, context.DeadlineExceeded):
		return errs.Wrap(errs.Timeout, err, "%s: the deadline passed", name)
	case errors.Is(err, fs.ErrNotExist):
		return errs.Wrap(errs.NotFound, err, "%s: no such file", name)
	case errors.Is(err, fs.ErrPermission):
		return errs.Wrap(errs.InvalidArgument, err, "%s: no permission to read it", name)
	}
	return errs.Wrap(errs.InvalidArgument, err, "%s: cannot be read: %s", name, reason(err))
}

// reason is the last part of a file system error, without its path.
func reason(err error) string {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	}
	return oneLine(err.Error(), 120)
}

// enginePath is a path as a text for the engine's file functions, which would
// otherwise take *, ? and [ for patterns.
func enginePath(path string) string {
	var b strings.Builder
	for i := range len(path) {
		switch c := path[i]; c {
		case '*', '?', '[':
			b.WriteByte('[')
			b.WriteByte(c)
			b.WriteByte(']')
		default:
			b.WriteByte(c)
		}
	}
	return literal(b.String())
}

// oneLine is s without line breaks and control characters, cut to most bytes.
func oneLine(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "·"))
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
