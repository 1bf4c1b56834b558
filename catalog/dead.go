package catalog

import (
	"container/list"
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/internal/errs"
)

// deadKey identifies a set of dead rows: it never changes once it is named. A
// delete file whose rows died at several snapshots has one set with all of them
// (at is 0) and others for the snapshots before the last of them.
type deadKey struct {
	State
	file, at int64
}

// deadCache keeps the dead rows of files, the most recently used within a
// bound of memory.
type deadCache struct {
	mu    sync.Mutex
	order *list.List // of *deadEntry, most recent first
	byKey map[deadKey]*list.Element
	words int
}

type deadEntry struct {
	key   deadKey
	since int64 // the snapshot from which on the set holds
	rows  datafile.Bitmap
}

// maxDeadWords bounds the cache: 64 MiB of bitmaps.
const maxDeadWords = 8 << 20

// get finds the set that holds at a snapshot.
func (c *deadCache) get(k deadKey, at int64) (datafile.Bitmap, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k.at = range []int64{0, at} {
		if e, ok := c.byKey[k]; ok && e.Value.(*deadEntry).since <= at {
			c.order.MoveToFront(e)
			return e.Value.(*deadEntry).rows, true
		}
	}
	return nil, false
}

func (c *deadCache) put(k deadKey, since int64, rows datafile.Bitmap) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byKey == nil {
		c.byKey, c.order = map[deadKey]*list.Element{}, list.New()
	}
	if _, ok := c.byKey[k]; ok {
		return
	}
	c.byKey[k] = c.order.PushFront(&deadEntry{k, since, rows})
	for c.words += len(rows); c.words > maxDeadWords && c.order.Len() > 1; {
		last := c.order.Back()
		old := c.order.Remove(last).(*deadEntry)
		delete(c.byKey, old.key)
		c.words -= len(old.rows)
	}
}

// forget empties the cache: a transaction that looked at rows of its own and
// was rolled back leaves keys that the next one gives to other rows.
func (c *deadCache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.byKey, c.order, c.words = nil, nil, 0
}

// Dead gives the dead rows of a data file at snapshot at: its delete file and
// the rows that the catalog itself lists. The bitmap is shared: do not change it.
// A delete file that cannot be read is an error, never "none dead".
func (v *View) Dead(ctx context.Context, table Table, f *File, at int64) (datafile.Bitmap, error) {
	if !f.Dirty() {
		return nil, nil
	}
	key := deadKey{State: f.State(), file: f.ID}
	if rows, ok := v.c.dead.get(key, at); ok {
		return rows, nil
	}
	rows := datafile.NewBitmap(f.Records)
	var last int64 // DuckDB embeds snapshots also where partial_max does not say so
	for _, df := range f.deletes() {
		deletes, err := ReadDeleteFile(ctx, df)
		if err != nil {
			return nil, err
		}
		for _, d := range deletes {
			last = max(last, d.Snapshot)
			if d.Snapshot <= at || d.Snapshot <= df.Begin {
				if err := setDead(rows, d.Position, f); err != nil {
					return nil, err
				}
			}
		}
	}
	if f.Inlined > 0 {
		inlined, err := v.InlinedDeletes(ctx, table, f.ID, at)
		if err != nil {
			return nil, err
		}
		for _, d := range inlined {
			if err := setDead(rows, d.Position, f); err != nil {
				return nil, err
			}
		}
	}
	if last > at {
		key.at = at
		last = at
	}
	v.c.dead.put(key, last, rows)
	return rows, nil
}

func setDead(rows datafile.Bitmap, pos int64, f *File) error {
	if pos < 0 || pos >= f.Records {
		return errs.New(errs.Corrupt, "the deletes of %s name row %d of %d", filepath.Base(f.Path), pos, f.Records)
	}
	rows.Set(pos)
	return nil
}

// ReadDeleteFile reads a delete file after comparing its size with the
// catalog's (decision 29).
func ReadDeleteFile(ctx context.Context, d *DeleteFile) ([]datafile.Delete, error) {
	if err := CheckSize(d.Path, d.Size); err != nil {
		return nil, err
	}
	out, err := datafile.ReadDeletes(ctx, d.Path)
	if err != nil {
		return nil, errs.Wrap(errs.Corrupt, err, "the delete file %s cannot be read", filepath.Base(d.Path))
	}
	if int64(len(out)) != d.Count {
		return nil, errs.New(errs.Corrupt, "the delete file %s has %d rows, the catalog says %d", filepath.Base(d.Path), len(out), d.Count)
	}
	return out, nil
}

// CheckSize compares a file's size with the catalog's; a missing or changed
// file is Corrupt, naming its base name.
func CheckSize(path string, size int64) error {
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errs.Wrap(errs.Corrupt, err, "the file %s is missing", filepath.Base(path))
	case err != nil:
		return errs.Wrap(errs.Corrupt, err, "the file %s cannot be read", filepath.Base(path))
	case size > 0 && st.Size() != size:
		return errs.New(errs.Corrupt, "the file %s has %d bytes, the catalog says %d", filepath.Base(path), st.Size(), size)
	}
	return nil
}

// CheckFile compares a Parquet file's size and footer length with the
// catalog's; a difference is Corrupt. footer 0 is unknown.
func CheckFile(path string, size, footer int64) error {
	if err := CheckSize(path, size); err != nil || footer == 0 {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return errs.Wrap(errs.Corrupt, err, "the file %s cannot be read", filepath.Base(path))
	}
	defer func() { _ = f.Close() }()
	var tail [8]byte
	if _, err := f.ReadAt(tail[:], size-8); err != nil {
		return errs.Wrap(errs.Corrupt, err, "the file %s cannot be read", filepath.Base(path))
	}
	if string(tail[4:]) != "PAR1" || int64(binary.LittleEndian.Uint32(tail[:4])) != footer {
		return errs.New(errs.Corrupt, "the file %s is not what was written", filepath.Base(path))
	}
	return nil
}
