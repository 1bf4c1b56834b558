package storage

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Staged files are kept as data files are (ADR 0007): the file gets its name
// under staging/ by a hard link, and its trace under the lease says whose it
// is until the index names it. The trace is the same file under another name,
// so that nobody removes what another process put under that name.

const stagingTrace = "staging"

// Staging is the path of the folder of staged input, one folder per area below it.
func (f Folder) Staging() string { return filepath.Join(f.root, "staging") }

// Staged is the path of a staged file.
func (f Folder) Staged(area, file string) string { return filepath.Join(f.Staging(), area, file) }

func (f Folder) stagedTrace(lease, area, file string) string {
	return filepath.Join(f.LeaseDir(lease), stagingTrace, area, file)
}

// PublishStaged gives a finished, synced file its name in an area. It is false
// when another file has that name. The file and its name are on disk when it
// returns true; the trace stays until RetireStaged.
func (f Folder) PublishStaged(lease, from, area, file string) (bool, error) {
	trace, to := f.stagedTrace(lease, area, file), f.Staged(area, file)
	if err := f.makeStagingDirs(trace, to); err != nil {
		return false, err
	}
	err := os.Link(from, trace)
	if noLinks(err) {
		return f.moveStaged(from, trace, to)
	}
	if err == nil {
		if err = os.Link(trace, to); err != nil {
			_ = os.Remove(trace)
		}
	}
	return published(err, to)
}

func published(err error, to string) (bool, error) {
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, ioError(err, "publish a staged file")
	}
	return true, SyncDir(filepath.Dir(to))
}

// moveStaged is for file systems without hard links: an empty file reserves
// the name.
func (f Folder) moveStaged(from, trace, to string) (bool, error) {
	err := reserve(trace + movedSuffix)
	if err == nil {
		if err = reserve(to); err == nil {
			err = os.Rename(from, to)
		} else {
			_ = os.Remove(trace + movedSuffix)
		}
	}
	return published(err, to)
}

func reserve(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	return file.Close()
}

func noLinks(err error) bool {
	return errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOTSUP) || errors.Is(err, syscall.EOPNOTSUPP)
}

func (f Folder) makeStagingDirs(trace, to string) error {
	if err := os.MkdirAll(filepath.Dir(trace), 0o777); err != nil {
		return ioError(err, "make a folder under tmp")
	}
	if _, err := os.Stat(filepath.Dir(to)); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
		return ioError(err, "create a staging area")
	}
	return SyncDir(f.Staging())
}

// TraceStaged leaves a trace of a file that is about to leave the index. It is
// false when the file is not there.
func (f Folder) TraceStaged(lease, area, file string) (bool, error) {
	trace, at := f.stagedTrace(lease, area, file), f.Staged(area, file)
	if err := os.MkdirAll(filepath.Dir(trace), 0o777); err != nil {
		return false, ioError(err, "make a folder under tmp")
	}
	err := os.Link(at, trace)
	if noLinks(err) {
		err = reserve(trace + movedSuffix)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err == nil, errors.Is(err, fs.ErrExist): // another caller removes it too
		return true, nil
	}
	return false, ioError(err, "remove a staged file")
}

// RetireStaged removes the trace of a staged file; the file stays.
func (f Folder) RetireStaged(lease, area, file string) {
	trace := f.stagedTrace(lease, area, file)
	_ = os.Remove(trace)
	_ = os.Remove(trace + movedSuffix)
}

// UnpublishStaged removes a staged file that its trace under the lease says to
// be the lease's own. The trace goes last.
func (f Folder) UnpublishStaged(lease, area, file string) {
	trace, at := f.stagedTrace(lease, area, file), f.Staged(area, file)
	mine, err := os.Stat(trace)
	if err == nil {
		there, err := os.Stat(at)
		if err == nil && os.SameFile(mine, there) {
			_ = os.Remove(at)
		}
	} else if _, err := os.Stat(trace + movedSuffix); err == nil {
		_ = os.Remove(at)
	}
	f.RetireStaged(lease, area, file)
}

// SplitStaged reads the path of a trace, relative to its lease; ok is false
// for any other file.
func SplitStaged(rel string) (area, file string, ok bool) {
	rest, ok := strings.CutPrefix(rel, stagingTrace+"/")
	if !ok {
		return "", "", false
	}
	area, file, ok = strings.Cut(rest, "/")
	return area, file, ok && !strings.Contains(file, "/")
}

// StagedFiles lists the files under staging/, relative to it, with slashes.
func (f Folder) StagedFiles() ([]string, error) { return list(f.Staging()) }
