package catalog

import (
	"container/list"
	"sync"
)

// keyCache keeps key filters in memory, the most recently used within a bound.
type keyCache struct {
	limit int // bytes

	mu    sync.Mutex
	order *list.List // of *cachedFilter, most recent first; guarded by mu, as everything below
	byKey map[filterPlace]*list.Element
	bytes int
}

type filterPlace struct {
	scheme string
	file   FilteredFile
}

type cachedFilter struct {
	place  filterPlace
	filter *KeyFilter
}

// get gives nil when the filter is not there.
func (c *keyCache) get(scheme string, file FilteredFile) *KeyFilter {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.byKey[filterPlace{scheme, file}]
	if !ok {
		return nil
	}
	c.order.MoveToFront(e)
	return e.Value.(*cachedFilter).filter
}

func (c *keyCache) put(scheme string, file FilteredFile, f *KeyFilter) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byKey == nil {
		c.byKey, c.order = map[filterPlace]*list.Element{}, list.New()
	}
	place := filterPlace{scheme, file}
	if _, ok := c.byKey[place]; ok || cost(f) > c.limit {
		return
	}
	c.byKey[place] = c.order.PushFront(&cachedFilter{place, f})
	for c.bytes += cost(f); c.bytes > c.limit; {
		last := c.order.Back()
		old := c.order.Remove(last).(*cachedFilter)
		delete(c.byKey, old.place)
		c.bytes -= cost(old.filter)
	}
}

// cost is about what a filter takes: its bytes, its shards and its place.
func cost(f *KeyFilter) int { return len(f.body) + 64*len(f.shards) + 400 }
