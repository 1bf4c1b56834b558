package scan

import (
	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
)

// Differ leaves out of two scans of one table the rows that both have in the
// same place: one file, or a copy of it, and one position, or one row of the
// catalog. What is left holds
// every difference between the two. Files that hold rows of several snapshots
// are left as they are when one scan sees only some of those.
func Differ(a, b *Scan) {
	inA, inB := a.places(), b.places()
	rowsA, rowsB := a.rowPlaces(), b.rowPlaces()
	a.without(inB)
	b.without(inA)
	a.withoutRows(rowsB)
	b.withoutRows(rowsA)
}

// rowPlace is a row that the catalog itself holds: an update of another client
// keeps the id.
type rowPlace struct {
	table     catalog.InlinedTable
	id, begin int64
}

func (r *Scan) rowPlaces() map[rowPlace]bool {
	out := map[rowPlace]bool{}
	for _, in := range r.inlined {
		for _, row := range in.rows {
			out[rowPlace{in.table, row.ID, row.Begin}] = true
		}
	}
	return out
}

func (r *Scan) withoutRows(other map[rowPlace]bool) {
	if len(other) == 0 {
		return
	}
	var out []inlinedRows
	for _, in := range r.inlined {
		left := in
		left.rows = nil
		for _, row := range in.rows {
			if !other[rowPlace{in.table, row.ID, row.Begin}] {
				left.rows = append(left.rows, row)
			}
		}
		if len(left.rows) > 0 {
			out = append(out, left)
		}
	}
	r.inlined = out
}

// place is a file of a scan with its dead rows.
type place struct {
	dead    datafile.Bitmap
	partial bool
}

// places lists the files by their bytes.
func (r *Scan) places() map[int64]place {
	out := map[int64]place{}
	for _, b := range r.branches {
		for i := range b.files {
			p := place{partial: b.key.partial}
			if b.key.dirty {
				p.dead = b.dead[i]
			}
			out[b.files[i].Origin()] = p
		}
	}
	return out
}

// without hides the rows that the other scan shows.
func (r *Scan) without(other map[int64]place) {
	var out []*branch
	for _, b := range r.branches {
		whole, part := *b, *b
		whole.files, whole.dead, part.files, part.dead = nil, nil, nil, nil
		part.key.dirty = true
		for i, f := range b.files {
			var dead datafile.Bitmap
			if b.key.dirty {
				dead = b.dead[i]
			}
			o, both := other[f.Origin()]
			if !both || o.partial || b.key.partial {
				whole.add(f, dead)
				continue
			}
			hidden := hide(&f, dead, o.dead)
			if hidden.Count() == f.Records {
				r.Counts.FilesRead--
				r.Counts.BytesRead -= f.Size
				continue
			}
			part.add(f, hidden)
		}
		for _, b := range []*branch{&whole, &part} {
			if len(b.files) > 0 {
				out = append(out, b)
			}
		}
	}
	r.branches = out
}

func (b *branch) add(f catalog.File, dead datafile.Bitmap) {
	b.files = append(b.files, f)
	if b.key.dirty {
		b.dead = append(b.dead, dead)
	}
}

// hide is what is dead here, or live there.
func hide(f *catalog.File, here, there datafile.Bitmap) datafile.Bitmap {
	out := datafile.NewBitmap(f.Records)
	for i := range out {
		out[i] = ^uint64(0)
	}
	if tail := f.Records % 64; tail != 0 {
		out[len(out)-1] = 1<<tail - 1
	}
	out = out.Without(there)
	for i := range min(len(out), len(here)) {
		out[i] |= here[i]
	}
	return out
}
