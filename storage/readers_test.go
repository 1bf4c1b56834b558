package storage_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/supertable-go/supertable/storage"
)

func floors(t *testing.T, f storage.Folder) []int64 {
	t.Helper()
	marks, err := f.Marks()
	if err != nil {
		t.Fatal(err)
	}
	return slices.Sorted(maps.Values(marks))
}

// TestMarks: every living process's floor is seen; marks that nobody holds, and
// those that were closed, are gone.
func TestMarks(t *testing.T) {
	f := folder(t)
	if got := floors(t, f); len(got) != 0 {
		t.Errorf("no reader: %v", got)
	}
	a, err := f.NewMark()
	if err != nil {
		t.Fatal(err)
	}
	b, err := f.NewMark()
	if err != nil {
		t.Fatal(err)
	}
	if got := floors(t, f); !slices.Equal(got, []int64{storage.FloorIdle, storage.FloorIdle}) {
		t.Errorf("two that are new: %v", got)
	}
	for _, step := range []struct{ a, b int64 }{{7, 9}, {1 << 62, storage.FloorUnknown}, {10, 100}, {5, storage.FloorIdle}} {
		if err := a.Set(step.a); err != nil {
			t.Fatal(err)
		}
		if err := b.Set(step.b); err != nil {
			t.Fatal(err)
		}
		want := []int64{step.a, step.b}
		slices.Sort(want)
		if got := floors(t, f); !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	b.Close()
	dead := filepath.Join(f.Tmp(), "reader-dead.lock")
	put(t, dead, "                  3                   3\n")
	if got := floors(t, f); !slices.Equal(got, []int64{5}) {
		t.Errorf("one left: %v", got)
	}
	if _, err := os.Stat(dead); !os.IsNotExist(err) {
		t.Errorf("the mark of a dead process: %v", err)
	}
	a.Close()
	if got := entries(t, f.Tmp()); len(got) != 0 {
		t.Errorf("left: %v", got)
	}
	if _, err := storage.At(filepath.Join(t.TempDir(), "none")).NewMark(); err == nil {
		t.Error("a mark in a folder that is not there")
	}
}

// TestMarksTorn: whoever reads while a floor changes sees an old one, a new
// one, or that it is unsure, never another number.
func TestMarksTorn(t *testing.T) {
	f := folder(t)
	m, err := f.NewMark()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	allowed := []int64{storage.FloorIdle, storage.FloorUnknown, 99, 100_000_000_001}
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 3000 {
			if err := m.Set(allowed[2+i%2]); err != nil {
				t.Error(err)
			}
		}
	})
	for range 500 {
		for _, got := range floors(t, f) {
			if !slices.Contains(allowed, got) {
				t.Errorf("floor %d", got)
			}
		}
	}
	wg.Wait()
}
