package catalog

import (
	"context"
	"slices"
	"sync"

	"github.com/supertable-go/supertable/datafile"
)

// maxCachedFiles bounds the cache of file lists, in files and in statistics
// of one leaf of one file.
const maxCachedFiles = 1 << 18

// fileCache keeps file lists of the newest head. Every change of a table's
// files is a snapshot, so what was read under a head holds until there is
// another one.
type fileCache struct {
	mu     sync.Mutex
	head   int64 // guarded by mu, as everything below
	size   int
	files  map[fileListKey][]File
	totals map[fileListKey]Totals
	stats  map[leafKey]map[int64]datafile.Stats // by file
}

type fileListKey struct{ table, at int64 }

type leafKey struct {
	fileListKey
	leaf int64
}

// PlannedFiles is Files for planning reads: lists of the newest head are kept
// in memory. It must not be asked inside a commit, whose rows may yet go.
func (v *View) PlannedFiles(ctx context.Context, table Table, at int64, leaves []int64) ([]File, error) {
	key := fileListKey{table.ID, at}
	files, ok := v.c.files.list(v.Head.ID, key)
	if !ok {
		var err error
		if files, err = v.Files(ctx, table, at, nil); err != nil {
			return nil, err
		}
		v.c.files.keep(v.Head.ID, len(files), func(c *fileCache) { c.files[key] = files })
	}
	out := slices.Clone(files)
	for i := range out {
		out[i].Stats = make(map[int64]datafile.Stats, len(leaves))
	}
	for _, leaf := range leaves {
		stats, err := v.plannedStats(ctx, table, leafKey{key, leaf}, files)
		if err != nil {
			return nil, err
		}
		for i := range out {
			if s, ok := stats[out[i].ID]; ok {
				out[i].Stats[leaf] = s
			}
		}
	}
	return out, nil
}

func (v *View) plannedStats(ctx context.Context, table Table, key leafKey, files []File) (map[int64]datafile.Stats, error) {
	if stats, ok := v.c.files.leaf(v.Head.ID, key); ok {
		return stats, nil
	}
	list := slices.Clone(files)
	if err := v.loadStats(ctx, table, list, []int64{key.leaf}); err != nil {
		return nil, err
	}
	stats := make(map[int64]datafile.Stats, len(list))
	for _, f := range list {
		if s, ok := f.Stats[key.leaf]; ok {
			stats[f.ID] = s
		}
	}
	v.c.files.keep(v.Head.ID, len(stats), func(c *fileCache) { c.stats[key] = stats })
	return stats, nil
}

func (c *fileCache) list(head int64, k fileListKey) ([]File, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	files, ok := c.files[k]
	return files, ok && c.head == head
}

func (c *fileCache) total(head int64, k fileListKey) (Totals, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	total, ok := c.totals[k]
	return total, ok && c.head == head
}

func (c *fileCache) leaf(head int64, k leafKey) (map[int64]datafile.Stats, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	stats, ok := c.stats[k]
	return stats, ok && c.head == head
}

// keep stores what was read under a head; another head, or too much of it,
// empties the cache first.
func (c *fileCache) keep(head int64, n int, store func(*fileCache)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if head < c.head || n > maxCachedFiles {
		return
	}
	if head > c.head || c.files == nil || c.size+n > maxCachedFiles {
		c.head, c.size = head, 0
		c.files, c.stats, c.totals = map[fileListKey][]File{}, map[leafKey]map[int64]datafile.Stats{}, map[fileListKey]Totals{}
	}
	c.size += n + 1
	store(c)
}
