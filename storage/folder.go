// Package storage holds the bytes of one SuperTable: its folder, durable files
// in it, and the locks between processes that work on it.
//
//	<home>/<org>/<super>/catalog.db   the catalog (package catalog)
//	                     data/        data and delete files that the catalog names
//	                     tmp/         unfinished files, one folder per lease; locks; spill
//	                     staging/     staged input
//	                     index/       derived: what finds files faster, made again when lost
//	                     log/         what the commits changed: the catalog can be rebuilt from it
package storage

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/supertable-go/supertable/internal/errs"
)

// Folder is the folder of one SuperTable.
type Folder struct{ root string }

// At is the folder at root; nothing is opened or created.
func At(root string) Folder { return Folder{root: root} }

// Root is the folder itself.
func (f Folder) Root() string { return f.root }

// Catalog is the path of the catalog database.
func (f Folder) Catalog() string { return filepath.Join(f.root, "catalog.db") }

// Data is the path of the data folder, with a slash at its end as the format
// writes it.
func (f Folder) Data() string { return filepath.ToSlash(filepath.Join(f.root, "data")) + "/" }

// Tmp is the path of the folder for unfinished files.
func (f Folder) Tmp() string { return filepath.Join(f.root, "tmp") }

// LeaseDir is the folder of the unfinished files of one lease.
func (f Folder) LeaseDir(lease string) string { return filepath.Join(f.root, "tmp", "lease-"+lease) }

// Log is the folder of the log.
func (f Folder) Log() string { return filepath.Join(f.root, "log") }

// Index is the folder of what is derived from the catalog and the files, to
// find things faster: it may be removed at any time.
func (f Folder) Index() string { return filepath.Join(f.root, "index") }

// SpillDir is where the engine may put what does not fit in memory.
func (f Folder) SpillDir() string { return filepath.Join(f.root, "tmp", "spill") }

// Exists reports whether a catalog lies in the folder.
func (f Folder) Exists() bool {
	_, err := os.Stat(f.Catalog())
	return err == nil
}

// Create makes the folder and its parts, durably. It is idempotent.
func (f Folder) Create() error {
	for _, d := range []string{"data", "tmp", "staging"} {
		if err := os.MkdirAll(filepath.Join(f.root, d), 0o777); err != nil {
			return ioError(err, "create the SuperTable's folder")
		}
	}
	for d := f.root; ; d = filepath.Dir(d) { // the folder and what may be new above it
		if err := SyncDir(d); err != nil {
			return err
		}
		if d == filepath.Dir(d) || filepath.Dir(filepath.Dir(f.root)) == d {
			return nil
		}
	}
}

// Publish makes finished files of a lease data files: they get their names
// under data/ by hard links, and these are on disk when Publish returns (I2),
// each folder synced once. The files in tmp/ stay as the trace by which a
// sweeper finds the data files of a writer that died before its commit; Retire
// removes it afterwards.
func (f Folder) Publish(lease string, rels ...string) error {
	var dirs []string
	for _, rel := range rels {
		to := filepath.Join(f.root, "data", rel)
		if dir := filepath.Dir(to); !slices.Contains(dirs, dir) {
			if err := f.makeDataDir(dir); err != nil {
				return err
			}
			dirs = append(dirs, dir)
		}
		if err := link(filepath.Join(f.LeaseDir(lease), rel), to); err != nil {
			return err
		}
	}
	for _, dir := range dirs {
		if err := SyncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

func link(from, to string) error {
	err := os.Link(from, to)
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOTSUP) || errors.Is(err, syscall.EOPNOTSUPP) {
		err = moveLeavingTrace(from, to) // a file system without hard links
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return ioError(err, "publish a data file")
	}
	return nil
}

// movedSuffix marks the trace of a file that was moved, for want of links.
const movedSuffix = ".moved"

func moveLeavingTrace(from, to string) error {
	if err := os.WriteFile(from+movedSuffix, nil, 0o666); err != nil { // the trace comes first
		return err
	}
	return os.Rename(from, to)
}

// LinkOrCopy gives a file a second name, or copies it where there are no links.
func LinkOrCopy(from, to string) error {
	if os.Link(from, to) == nil {
		return nil
	}
	in, err := os.Open(from)
	if err != nil {
		return ioError(err, "copy a file")
	}
	defer func() { _ = in.Close() }()
	out, err := os.Create(to)
	if err != nil {
		return ioError(err, "copy a file")
	}
	_, err = io.Copy(out, in)
	if err == nil {
		err = out.Sync()
	}
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	return ioError(err, "copy a file")
}

func (f Folder) makeDataDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return ioError(err, "create a data folder")
	}
	for d := filepath.Dir(dir); len(d) >= len(f.root); d = filepath.Dir(d) {
		if err := SyncDir(d); err != nil {
			return err
		}
	}
	return nil
}

// Retire removes the trace of a published file; the data file stays.
func (f Folder) Retire(lease, rel string) {
	_ = os.Remove(filepath.Join(f.LeaseDir(lease), rel))
	_ = os.Remove(filepath.Join(f.LeaseDir(lease), rel+movedSuffix))
}

// Unpublish removes a data file that was published and then not committed.
func (f Folder) Unpublish(rel string) { _ = os.Remove(filepath.Join(f.root, "data", rel)) }

// LeasedFiles lists the files of a lease, relative to its folder (and so to data/).
func (f Folder) LeasedFiles(lease string) ([]string, error) {
	out, err := list(f.LeaseDir(lease))
	for i := range out {
		out[i] = strings.TrimSuffix(out[i], movedSuffix)
	}
	return out, err
}

// RemoveLease removes the folder of a lease.
func (f Folder) RemoveLease(lease string) error {
	return os.RemoveAll(f.LeaseDir(lease))
}

// LeaseDirs lists the leases that have a folder.
func (f Folder) LeaseDirs() ([]string, error) {
	entries, err := os.ReadDir(f.Tmp())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, ioError(err, "list tmp")
	}
	var out []string
	for _, e := range entries {
		if id, ok := strings.CutPrefix(e.Name(), "lease-"); ok && e.IsDir() {
			out = append(out, id)
		}
	}
	return out, nil
}

// DataFiles lists every file under data/, relative to it, with slashes.
func (f Folder) DataFiles() ([]string, error) { return list(filepath.Join(f.root, "data")) }

func list(dir string) ([]string, error) {
	var out []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		out = append(out, filepath.ToSlash(rel))
		return err
	})
	if err != nil {
		return nil, ioError(err, "list a folder")
	}
	return out, nil
}

// MakeDir makes a folder of the SuperTable, durably, when it is not there.
func MakeDir(path string) error {
	err := os.Mkdir(path, 0o777)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return ioError(err, "make a folder")
	}
	return SyncDir(filepath.Dir(path))
}

// WriteFile writes a file of the SuperTable, durably but for its name.
func WriteFile(path string, b []byte) error {
	if err := os.WriteFile(path, b, 0o666); err != nil {
		return ioError(err, "write a file")
	}
	return SyncFile(path)
}

// SyncFile puts a file's bytes on disk.
func SyncFile(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return ioError(err, "sync a file")
	}
	err = file.Sync()
	if cerr := file.Close(); err == nil {
		err = cerr
	}
	return ioError(err, "sync a file")
}

// SyncDir puts a folder's entries on disk.
func SyncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return ioError(err, "sync a folder")
	}
	err = dir.Sync()
	_ = dir.Close()
	if errors.Is(err, syscall.EINVAL) {
		return nil // a file system that has no such thing
	}
	return ioError(err, "sync a folder")
}

// Checksum is the SHA-256 of a file, in hex.
func Checksum(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", ioError(err, "read a data file")
	}
	defer func() { _ = file.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, file); err != nil {
		return "", ioError(err, "read a data file")
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Error types an error of the file system that came up while doing something
// with the SuperTable's files; nil stays nil.
func Error(err error, doing string) error { return ioError(err, doing) }

// ioError types an error of the file system; its text names no path.
func ioError(err error, doing string) error {
	if err == nil {
		return nil
	}
	cause := err
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		cause = pe.Err
	}
	if le, ok := errors.AsType[*os.LinkError](err); ok {
		cause = le.Err
	}
	switch {
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return errs.Wrap(errs.Unavailable, err, "%s: %v; check the rights on the SuperTable's folder", doing, cause)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return errs.Wrap(errs.Unavailable, err, "%s: %v; free some space and try again", doing, cause)
	}
	return errs.Wrap(errs.Unavailable, err, "%s: %v", doing, cause)
}
