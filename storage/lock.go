package storage

import (
	"context"
	"os"
	"path/filepath"
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
	file, err := os.OpenFile(filepath.Join(f.Tmp(), name), os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return nil, ioError(err, "open the lock "+name)
	}
	fd := int(file.Fd())
	release := func() { _ = file.Close() } // closing releases: each holder has its own description
	if err := syscall.Flock(fd, how|syscall.LOCK_NB); err == nil {
		return release, nil
	}
	got := make(chan error, 1)
	go func() { got <- retryInterrupted(func() error { return syscall.Flock(fd, how) }) }()
	select {
	case err := <-got:
		if err != nil {
			release()
			return nil, ioError(err, "take the lock "+name)
		}
		return release, nil
	case <-ctx.Done():
		go func() { // the waiting flock cannot be called off: give it back when it comes
			<-got //nolint:errcheck // whatever it says, the file is closed
			release()
		}()
		return nil, errs.FromContext(ctx, "waiting for another writer")
	}
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
