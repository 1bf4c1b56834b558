package storage

import (
	"os"
	"syscall"
)

// SyncData puts the bytes of an open file on disk, and of what the file system
// knows about it only what reading them needs.
func SyncData(file *os.File) error {
	return ioError(retryInterrupted(func() error { return syscall.Fdatasync(int(file.Fd())) }), "sync a file")
}
