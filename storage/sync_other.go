//go:build !linux

package storage

import "os"

// SyncData puts the bytes of an open file on disk.
func SyncData(file *os.File) error { return ioError(file.Sync(), "sync a file") }
