package storage_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func entries(t *testing.T, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range list {
		out = append(out, e.Name())
	}
	return out
}

func TestSpill(t *testing.T) {
	f := folder(t)
	a, releaseA, err := f.Spill()
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(a, "x.tmp"), "spilled")
	// What nobody holds is of a process that was killed.
	put(t, filepath.Join(f.SpillDir(), "dead", "x.tmp"), "spilled")
	put(t, filepath.Join(f.SpillDir(), "dead.lock"), "")
	b, releaseB, err := f.Spill()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.SweepSpill(); err != nil {
		t.Fatal(err)
	}
	if a == b {
		t.Fatalf("two engines got %s", a)
	}
	if _, err := os.Stat(filepath.Join(a, "x.tmp")); err != nil {
		t.Errorf("the file of a living engine: %v", err)
	}
	if got := entries(t, f.SpillDir()); len(got) != 3 { // two locks, one folder
		t.Errorf("got %q", got)
	}
	releaseA()
	releaseB()
	if got := entries(t, f.SpillDir()); len(got) != 0 {
		t.Errorf("left: %q", got)
	}
}

func TestSpillAtOnce(t *testing.T) {
	f := folder(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 30 {
				dir, release, err := f.Spill()
				if err != nil {
					t.Error(err)
					return
				}
				put(t, filepath.Join(dir, "x"), "mine")
				if err := f.SweepSpill(); err != nil {
					t.Error(err)
				}
				if _, err := os.Stat(filepath.Join(dir, "x")); err != nil {
					t.Errorf("another took it: %v", err)
				}
				release()
			}
		})
	}
	wg.Wait()
	if got := entries(t, f.SpillDir()); len(got) != 0 {
		t.Errorf("left: %q", got)
	}
}
