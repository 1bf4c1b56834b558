package storage_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/storage"
)

// rowsSum is the SHA-256 of "rows".
const rowsSum = "bc51e9e65d79e1c90ba544ab2eae1044ccdf8c1af7a559ba375cba4276f7d99e"

func folder(t *testing.T) storage.Folder {
	t.Helper()
	f := storage.At(filepath.Join(t.TempDir(), "org", "super"))
	if err := f.Create(); err != nil {
		t.Fatal(err)
	}
	return f
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFolder(t *testing.T) {
	f := folder(t)
	if err := f.Create(); err != nil {
		t.Errorf("a second time: %v", err)
	}
	if f.Exists() {
		t.Error("there is a catalog before there is one")
	}
	put(t, f.Catalog(), "")
	if !f.Exists() || !strings.HasSuffix(f.Data(), "/data/") {
		t.Errorf("exists %t, data %s", f.Exists(), f.Data())
	}
	none, err := storage.At(filepath.Join(t.TempDir(), "nothing")).DataFiles()
	if err != nil || len(none) != 0 {
		t.Errorf("files of no folder: %v, %v", none, err)
	}
}

// TestPublish: a file of a lease gets its name under data/ and leaves its
// trace, by which a sweeper finds it; doing it twice is harmless.
func TestPublish(t *testing.T) {
	f := folder(t)
	const lease, rel = "one", "main/t/a.parquet"
	put(t, filepath.Join(f.LeaseDir(lease), rel), "rows")
	for range 2 {
		if err := f.Publish(lease, rel); err != nil {
			t.Fatal(err)
		}
	}
	data, err := f.DataFiles()
	leased, lerr := f.LeasedFiles(lease)
	if err != nil || lerr != nil || !slices.Equal(data, []string{rel}) || !slices.Equal(leased, []string{rel}) {
		t.Errorf("data %v, lease %v, %v, %v", data, leased, err, lerr)
	}
	sum, err := storage.Checksum(filepath.Join(f.Data(), rel))
	if err != nil || sum != rowsSum {
		t.Errorf("checksum %s, %v", sum, err)
	}
	f.Retire(lease, rel)
	if leased, _ := f.LeasedFiles(lease); len(leased) != 0 {
		t.Errorf("the trace is left: %v", leased)
	}
	if data, _ := f.DataFiles(); len(data) != 1 {
		t.Errorf("the data file went with its trace: %v", data)
	}
	f.Unpublish(rel)
	if data, _ := f.DataFiles(); len(data) != 0 {
		t.Errorf("the data file is left: %v", data)
	}
	dirs, err := f.LeaseDirs()
	if err != nil || !slices.Equal(dirs, []string{lease}) {
		t.Errorf("leases %v, %v", dirs, err)
	}
	if err := f.RemoveLease(lease); err != nil {
		t.Fatal(err)
	}
	if dirs, _ := f.LeaseDirs(); len(dirs) != 0 {
		t.Errorf("leases %v", dirs)
	}
	if err := f.Publish("gone", rel); errs.KindOf(err) == "" || strings.Contains(err.Error(), f.Root()) {
		t.Errorf("a missing file: %v; want a typed error without the path", err)
	}
}

// TestLock: one holder at a time, whoever waits gets it, a context ends the
// wait, and what ends the wait leaves the lock to others.
func TestLock(t *testing.T) {
	f := folder(t)
	release, err := f.Lock(t.Context(), "x.lock")
	if err != nil {
		t.Fatal(err)
	}
	other, err := f.Lock(t.Context(), "y.lock")
	if err != nil {
		t.Fatalf("another lock: %v", err)
	}
	other()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := f.Lock(ctx, "x.lock"); errs.KindOf(err) != errs.Timeout {
		t.Errorf("a held lock with a deadline: %v, want timeout", err)
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	if _, err := f.LockShared(gone, "x.lock"); errs.KindOf(err) != errs.Cancelled {
		t.Errorf("a held lock, given up: %v, want cancelled", err)
	}
	got := make(chan func(), 1)
	go func() {
		r, err := f.Lock(t.Context(), "x.lock")
		if err != nil {
			t.Error(err)
			r = func() {}
		}
		got <- r
	}()
	select {
	case <-got:
		t.Fatal("two hold one lock")
	case <-time.After(30 * time.Millisecond):
	}
	release()
	(<-got)()

	first, err := f.LockShared(t.Context(), "x.lock")
	if err != nil {
		t.Fatal(err)
	}
	second, err := f.LockShared(t.Context(), "x.lock")
	if err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := f.Lock(short, "x.lock"); errs.KindOf(err) != errs.Timeout {
		t.Errorf("an exclusive lock beside shared ones: %v", err)
	}
	first()
	second()
}

// TestLockGivenUp: however many give up waiting, they leave one wait, which the
// next caller takes over and which ends with the lock.
func TestLockGivenUp(t *testing.T) {
	f := folder(t)
	release, err := f.Lock(t.Context(), "x.lock")
	if err != nil {
		t.Fatal(err)
	}
	before := runtime.NumGoroutine()
	for range 100 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		if _, err := f.Lock(ctx, "x.lock"); errs.KindOf(err) != errs.Timeout {
			t.Errorf("a held lock: %v", err)
		}
		cancel()
	}
	if n := runtime.NumGoroutine() - before; n > 10 {
		t.Errorf("%d goroutines are left of 100 callers", n)
	}
	if err := os.Rename(filepath.Join(f.Tmp(), "x.lock"), filepath.Join(f.Tmp(), "was.lock")); err != nil {
		t.Fatal(err)
	}
	fresh, err := f.Lock(t.Context(), "x.lock") // another file: not what the others waited for
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := f.Lock(ctx, "x.lock"); errs.KindOf(err) != errs.Timeout {
		t.Errorf("the new file: %v", err)
	}
	fresh()
	if err := os.Rename(filepath.Join(f.Tmp(), "was.lock"), filepath.Join(f.Tmp(), "x.lock")); err != nil {
		t.Fatal(err)
	}
	got := make(chan error, 1)
	go func() {
		r, err := f.Lock(t.Context(), "x.lock")
		if err == nil {
			r()
		}
		got <- err
	}()
	select {
	case err := <-got:
		t.Errorf("two hold one lock: %v", err)
		got <- err
	case <-time.After(20 * time.Millisecond):
	}
	release()
	if err := <-got; err != nil {
		t.Error(err)
	}
	r, err := f.Lock(t.Context(), "x.lock")
	if err != nil {
		t.Fatal(err)
	}
	r()
}

func TestLockExcludes(t *testing.T) {
	f := folder(t)
	var mu sync.Mutex // only to please the race detector: the lock under test is between processes
	inside, most := 0, 0
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				release, err := f.Lock(t.Context(), "x.lock")
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				inside++
				most = max(most, inside)
				mu.Unlock()
				mu.Lock()
				inside--
				mu.Unlock()
				release()
			}
		})
	}
	wg.Wait()
	if most != 1 {
		t.Errorf("%d held the lock at once", most)
	}
}

func TestErrorsNameNoPath(t *testing.T) {
	f := folder(t)
	_, err := storage.Checksum(filepath.Join(f.Root(), "nothing"))
	if !errors.Is(err, fs.ErrNotExist) || errs.KindOf(err) != errs.Unavailable || strings.Contains(err.Error(), f.Root()) {
		t.Errorf("a missing file: %v", err)
	}
	if err := storage.SyncFile(filepath.Join(f.Root(), "nothing")); err == nil {
		t.Error("a missing file was synced")
	}
	if err := storage.SyncDir(filepath.Join(f.Root(), "nothing")); err == nil {
		t.Error("a missing folder was synced")
	}
}
