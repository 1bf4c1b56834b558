package scan

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
)

// scanOf makes a scan of files, each given by its id, rows and dead rows.
func scanOf(at int64, files map[int64][]int64, records int64) *Scan {
	r := &Scan{at: at}
	clean, dirty := &branch{}, &branch{key: branchKey{dirty: true}}
	ids := make([]int64, 0, len(files))
	for id := range files {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		f := catalog.File{ID: id, Records: records, Size: 1}
		r.Counts.FilesRead++
		if len(files[id]) == 0 {
			clean.files = append(clean.files, f)
			continue
		}
		dead := datafile.NewBitmap(records)
		for _, p := range files[id] {
			dead.Set(p)
		}
		dirty.files, dirty.dead = append(dirty.files, f), append(dirty.dead, dead)
	}
	r.branches = []*branch{clean, dirty}
	return r
}

// shows lists the rows that a scan reads, as file:position.
func (r *Scan) shows() []string {
	var out []string
	for _, b := range r.branches {
		for i, f := range b.files {
			for p := range f.Records {
				if !b.key.dirty || !datafile.Bitmap(b.dead[i]).Has(p) {
					out = append(out, fmt.Sprintf("%d:%d", f.ID, p))
				}
			}
		}
	}
	slices.Sort(out)
	return out
}

func without(a, b []string) []string {
	var out []string
	for _, x := range a {
		if !slices.Contains(b, x) {
			out = append(out, x)
		}
	}
	return out
}

// TestDifferShowsWhatTheOtherDoesNot compares with the rows, listed one by one.
func TestDifferShowsWhatTheOtherDoesNot(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 200 {
		records := []int64{1, 5, 63, 64, 65, 130}[r.IntN(6)]
		random := func() map[int64][]int64 {
			out := map[int64][]int64{}
			for id := range int64(4) {
				if r.IntN(3) == 0 {
					continue
				}
				out[id] = nil
				for p := range records {
					if r.IntN(3) == 0 && id > 0 {
						out[id] = append(out[id], p)
					}
				}
			}
			return out
		}
		a, b := scanOf(1, random(), records), scanOf(2, random(), records)
		inA, inB := a.shows(), b.shows()
		Differ(a, b)
		if got, want := a.shows(), without(inA, inB); !slices.Equal(got, want) {
			t.Fatalf("round %d: first shows %v, want %v", round, got, want)
		}
		if got, want := b.shows(), without(inB, inA); !slices.Equal(got, want) {
			t.Fatalf("round %d: second shows %v, want %v", round, got, want)
		}
		for _, s := range []*Scan{a, b} {
			n := 0
			for _, br := range s.branches {
				n += len(br.files)
			}
			if int64(n) != s.Counts.FilesRead {
				t.Fatalf("round %d: %d files read, counted %d", round, n, s.Counts.FilesRead)
			}
		}
	}
}

// TestDifferLeavesPartialFiles: which rows of a file of several snapshots a
// scan sees, only reading tells.
func TestDifferLeavesPartialFiles(t *testing.T) {
	a, b := scanOf(1, map[int64][]int64{1: nil}, 10), scanOf(2, map[int64][]int64{1: nil}, 10)
	a.branches[0].key.partial = true
	Differ(a, b)
	if len(a.shows()) != 10 || len(b.shows()) != 10 {
		t.Errorf("%v and %v are left of a file of several snapshots", a.shows(), b.shows())
	}
}
