package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"
)

// Mark is a file under tmp/ by which one process tells the others what its
// running readers may still look at (decision 28). The file is locked as long
// as the process lives; it holds one number, the floor. Setting it costs one
// small write into memory of the system: nothing is synced, since a mark means
// nothing once its process is gone.
type Mark struct{ file *os.File }

// The floors with a meaning of their own.
const (
	FloorIdle    = -1 // nobody reads
	FloorUnknown = 0  // somebody is about to choose a snapshot: it may be any
)

const markPrefix, markSuffix = "reader-", ".lock"

// NewMark makes this process's mark, idle.
func (f Folder) NewMark() (*Mark, error) {
	for range 100 {
		if file := takeLock(filepath.Join(f.Tmp(), markPrefix+uuid.NewString()+markSuffix)); file != nil {
			m := &Mark{file}
			return m, m.Set(FloorIdle)
		}
		if _, err := os.Stat(f.Tmp()); err != nil {
			return nil, ioError(err, "mark a reader")
		}
	}
	return nil, ioError(fs.ErrPermission, "mark a reader")
}

// Set changes the floor. The number stands there twice, so that who reads it
// meanwhile notices.
func (m *Mark) Set(floor int64) error {
	_, err := m.file.WriteAt(fmt.Appendf(nil, "%19d %19d\n", floor, floor), 0)
	return ioError(err, "mark a reader")
}

// Close removes the mark.
func (m *Mark) Close() {
	_ = os.Remove(m.file.Name())
	_ = m.file.Close()
}

// Marks lists the floors of all living processes, by mark, this one's too. The
// marks of dead processes are removed: their locks are free.
func (f Folder) Marks() (map[string]int64, error) {
	entries, err := os.ReadDir(f.Tmp())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, ioError(err, "list tmp")
	}
	out := map[string]int64{}
	for _, e := range entries {
		name := e.Name()
		if !strings.HasPrefix(name, markPrefix) || !strings.HasSuffix(name, markSuffix) {
			continue
		}
		path := filepath.Join(f.Tmp(), name)
		if lock := takeLock(path); lock != nil {
			_ = os.Remove(path)
			_ = lock.Close()
			continue
		}
		if floor, there := readMark(path); there {
			out[name] = floor
		}
	}
	return out, nil
}

// readMark reads a floor; what cannot be read is unknown.
func readMark(path string) (floor int64, there bool) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return FloorIdle, false
	}
	var again int64
	if _, serr := fmt.Sscanf(string(text), "%d %d\n", &floor, &again); err != nil || serr != nil || floor != again {
		return FloorUnknown, true
	}
	return floor, true
}
