package storage

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"github.com/supertable-go/supertable/internal/errs"
)

// Lock takes the exclusive lock file name under tmp/ and holds it until
// release is called or the process ends, however it ends. It waits as long as
// ctx allows: a blocking flock is fair between processes, where SQLite's own
// busy loop starves some of them.
func (f Folder) Lock(ctx context.Context, name string) (release func(), err error) {
	return f.flock(ctx, name, syscall.LOCK_EX)
}

// LockShared takes the lock file name together with other shared holders.
func (f Folder) LockShared(ctx context.Context, name string) (release func(), err error) {
	return f.flock(ctx, name, syscall.LOCK_SH)
}

func (f Folder) flock(ctx context.Context, name string, how int) (func(), error) {
	path := filepath.Join(f.Tmp(), name)
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return nil, ioError(err, "open the lock "+name)
	}
	if err := syscall.Flock(int(file.Fd()), how|syscall.LOCK_NB); err == nil {
		return func() { _ = file.Close() }, nil // closing releases: each holder has its own description
	}
	w := waiting.take(waitKey{path, how}, file)
	select {
	case err := <-w.got:
		if err != nil {
			_ = w.file.Close()
			return nil, ioError(err, "take the lock "+name)
		}
		return func() { _ = w.file.Close() }, nil
	case <-ctx.Done():
		waiting.leave(w)
		return nil, errs.FromContext(ctx, "waiting for another writer")
	}
}

// waiting are the flocks of this process that somebody began to wait for and
// gave up. The system cannot call such a wait off, so the next caller who would
// wait for the same lock takes it over: however many give up, there are never
// more of them than callers that waited at one time.
var waiting waits

type waits struct {
	mu   sync.Mutex
	left map[waitKey][]*wait // guarded by mu
}

type waitKey struct {
	path string
	how  int
}

// wait is a blocking flock on its way.
type wait struct {
	key  waitKey
	file *os.File
	got  chan error // its one answer, unless nobody wants it
}

// take gives a wait for the lock that file is, and owns file from there on.
func (ws *waits) take(key waitKey, file *os.File) *wait {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for i, w := range ws.left[key] {
		if sameFile(w.file, file) { // else the folder is another one by now
			ws.drop(key, i)
			_ = file.Close()
			return w
		}
	}
	w := &wait{key: key, file: file, got: make(chan error, 1)}
	go func() {
		fd := int(file.Fd())
		ws.done(w, retryInterrupted(func() error { return syscall.Flock(fd, key.how) }))
	}()
	return w
}

// drop takes the wait i off the list; the caller holds mu.
func (ws *waits) drop(key waitKey, i int) {
	if ws.left[key] = slices.Delete(ws.left[key], i, i+1); len(ws.left[key]) == 0 {
		delete(ws.left, key)
	}
}

// leave gives a wait up: it stays for the next one, or ends when its lock comes.
func (ws *waits) leave(w *wait) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	select {
	case <-w.got: //nolint:errcheck // it came at the same moment; whatever it says, the file is closed
		_ = w.file.Close()
		return
	default:
	}
	if ws.left == nil {
		ws.left = map[waitKey][]*wait{}
	}
	ws.left[w.key] = append(ws.left[w.key], w)
}

// done hands the answer to whoever waits; when nobody does, the lock goes back.
func (ws *waits) done(w *wait, err error) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if i := slices.Index(ws.left[w.key], w); i >= 0 {
		ws.drop(w.key, i)
		_ = w.file.Close()
		return
	}
	w.got <- err
}

func sameFile(a, b *os.File) bool {
	ai, err := a.Stat()
	if err != nil {
		return false
	}
	bi, err := b.Stat()
	return err == nil && os.SameFile(ai, bi)
}

func retryInterrupted(call func() error) error {
	for {
		if err := call(); err != syscall.EINTR { //nolint:errorlint // a raw errno
			return err
		}
	}
}

// TryLock is Lock without waiting: ok is false when somebody else holds it.
func (f Folder) TryLock(name string) (release func(), ok bool, err error) {
	file, err := os.OpenFile(filepath.Join(f.Tmp(), name), os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return nil, false, ioError(err, "open the lock "+name)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		return nil, false, nil //nolint:nilerr // held by another
	}
	return func() { _ = file.Close() }, true, nil
}

// LockDir locks a folder itself, without waiting: ok is false when somebody
// else has it. The lock goes with the process.
func LockDir(path string) (release func(), ok bool, err error) {
	dir, err := os.Open(path)
	if err != nil {
		return nil, false, ioError(err, "lock a folder")
	}
	if err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = dir.Close()
		return nil, false, nil //nolint:nilerr // held by another
	}
	return func() { _ = dir.Close() }, true, nil
}
