package storage

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/google/uuid"
)

// Spill gives a folder under tmp/ that is one engine's own: engines that put
// what does not fit in memory into the same folder overwrite each other's
// files. The folder need not be there yet. Release removes it. A lock file
// beside the folder says that its owner lives.
func (f Folder) Spill() (dir string, release func(), err error) {
	base := f.SpillDir()
	if err := os.MkdirAll(base, 0o777); err != nil {
		return "", nil, ioError(err, "make a folder under tmp")
	}
	for range 100 {
		dir = filepath.Join(base, uuid.NewString())
		if lock := takeLock(dir + ".lock"); lock != nil {
			return dir, func() { dropSpill(dir, lock) }, nil
		}
	}
	return "", nil, ioError(syscall.EAGAIN, "make a folder under tmp")
}

// SweepSpill removes what the engines of killed processes left: their locks
// are free.
func (f Folder) SweepSpill() error {
	entries, err := os.ReadDir(f.SpillDir())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return ioError(err, "list tmp")
	}
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".lock"); ok {
			if lock := takeLock(filepath.Join(f.SpillDir(), e.Name())); lock != nil {
				dropSpill(filepath.Join(f.SpillDir(), name), lock)
			}
		}
	}
	return nil
}

// takeLock locks a file when nobody holds it, and makes it when it is not
// there. Nil means that another has it, or removed it meanwhile.
func takeLock(path string) *os.File {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return nil
	}
	if syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
		mine, err1 := file.Stat()
		there, err2 := os.Stat(path)
		if err1 == nil && err2 == nil && os.SameFile(mine, there) {
			return file
		}
	}
	_ = file.Close()
	return nil
}

// dropSpill removes the folder, then its lock file, then gives the lock back.
func dropSpill(dir string, lock *os.File) {
	if err := os.RemoveAll(dir); err == nil || errors.Is(err, fs.ErrNotExist) {
		_ = os.Remove(lock.Name())
	}
	_ = lock.Close()
}
