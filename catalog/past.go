package catalog

import (
	"cmp"
	"context"
	"path/filepath"
	"slices"

	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/internal/errs"
)

// uncounted stands in the history where nobody knows how many rows a change
// inserted and deleted.
const uncounted = -1

// rowCount is how many rows there are, when that is known.
type rowCount struct {
	n     int64
	known bool
}

// past counts the rows that tables had at past snapshots. Merges and flushes
// move rows of several snapshots into one file, and deletes of several into
// another: how many of them a past snapshot sees stands in these files alone.
// Each is read once.
type past struct {
	v    *View
	left int64 // how many rows may be read yet
	held map[int64][]heldRows
}

// heldRows is how many rows of a file are of a snapshot or of one before it.
type heldRows struct{ snapshot, rows int64 }

// maxHeldRows bounds how many rows are read to count others: writers wait.
const maxHeldRows = 1 << 24

// rows counts a table's rows at a snapshot. They are not known when the
// snapshot has expired or a file cannot be read.
func (p *past) rows(ctx context.Context, table, at int64) (rowCount, error) {
	n, err := p.count(ctx, table, at)
	if err != nil && (errs.KindOf(err) == errs.Internal || ctx.Err() != nil) {
		return rowCount{}, err
	}
	return rowCount{n, err == nil}, nil
}

func (p *past) count(ctx context.Context, table, at int64) (int64, error) {
	snapshot, err := p.v.Snapshot(ctx, at)
	if err != nil {
		return 0, err
	}
	t, err := p.v.TableByID(ctx, table, at)
	if errs.KindOf(err) == errs.NotFound {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	files, err := p.v.Files(ctx, t, at, nil)
	if err != nil {
		return 0, err
	}
	n, err := p.v.CountInlinedRows(ctx, t, at)
	for i := range files {
		if err != nil {
			return 0, err
		}
		var some int64
		some, err = p.inFile(ctx, t, &files[i], snapshot)
		n += some
	}
	return n, err
}

// inFile counts the rows that a snapshot sees in a file. What a file or delete
// file holds that the snapshot had given an id to was all there by then.
func (p *past) inFile(ctx context.Context, t Table, f *File, at Snapshot) (int64, error) {
	n, dead := f.Records, f.Inlined
	var err error
	if f.ID >= at.nextFileID {
		n, err = p.upto(at.ID, f.ID, f.Records, func() (map[int64]int64, error) { return snapshotsOf(ctx, f) })
		if err != nil {
			return 0, err
		}
	}
	switch d := f.Delete; {
	case d == nil:
	case len(f.More) > 0: // they may name a row twice
		all, err := p.v.Dead(ctx, t, f, at.ID)
		if err != nil {
			return 0, err
		}
		dead = all.Count()
	case d.ID < at.nextFileID:
		dead += d.Count
	default:
		some, err := p.upto(at.ID, d.ID, d.Count, func() (map[int64]int64, error) { return deathsOf(ctx, d) })
		if err != nil {
			return 0, err
		}
		dead += some
	}
	return n - dead, nil
}

func snapshotsOf(ctx context.Context, f *File) (map[int64]int64, error) {
	if err := CheckFile(f.Path, f.Size, f.Footer); err != nil {
		return nil, err
	}
	out, err := datafile.CountSnapshots(ctx, f.Path)
	if err != nil {
		err = errs.Wrap(errs.Corrupt, err, "the file %s cannot be read", filepath.Base(f.Path))
	}
	return out, err
}

func deathsOf(ctx context.Context, d *DeleteFile) (map[int64]int64, error) {
	deletes, err := ReadDeleteFile(ctx, d)
	out := map[int64]int64{}
	for _, x := range deletes {
		out[max(x.Snapshot, d.Begin)]++
	}
	return out, err
}

// upto gives how many rows of a file are of snapshot at or of one before it.
func (p *past) upto(at, file, records int64, read func() (map[int64]int64, error)) (int64, error) {
	held, ok := p.held[file]
	if !ok {
		if p.left -= records; p.left < 0 {
			return 0, errs.New(errs.Unavailable, "there are too many rows to count")
		}
		rows, err := read()
		if err != nil {
			return 0, err
		}
		for snapshot, n := range rows {
			held = append(held, heldRows{snapshot, n})
		}
		slices.SortFunc(held, func(a, b heldRows) int { return cmp.Compare(a.snapshot, b.snapshot) })
		for i := range held[:max(0, len(held)-1)] {
			held[i+1].rows += held[i].rows
		}
		if p.held == nil {
			p.held = map[int64][]heldRows{}
		}
		p.held[file] = held
	}
	i, found := slices.BinarySearchFunc(held, at, func(h heldRows, at int64) int { return cmp.Compare(h.snapshot, at) })
	if found {
		i++
	}
	if i == 0 {
		return 0, nil
	}
	return held[i-1].rows, nil
}
