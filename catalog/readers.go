package catalog

import (
	"context"
	"sync"
	"time"

	"github.com/supertable-go/supertable/storage"
)

// readers knows what the running readers of this process may look at and
// keeps its mark for other processes (decision 28).
//
// A reader says so before it opens its view of the catalog; who removes files
// looks at the catalog first and at the marks afterwards. So a reader that the
// marks do not show opens its view later than the remover did, and cannot find
// the files in it. Where no mark can be made (a folder that may not be
// written), the grace protects readers.
type readers struct {
	mu      sync.Mutex
	mark    *storage.Mark // guarded by mu, as everything below
	tried   bool
	floor   int64 // what the mark says
	running map[*Reading]int64
}

// Reading is one reader on its way: a query, or a write that looks at files.
type Reading struct {
	c    *Catalog
	once sync.Once
}

// Reading announces a reader, before it opens its view. End ends it; until
// then no file is removed that the snapshot it reads names.
func (c *Catalog) Reading() *Reading {
	r := &Reading{c: c}
	c.readers.set(c, r, storage.FloorUnknown)
	return r
}

// At tells the oldest snapshot that the reader looks at, once it is known.
func (r *Reading) At(snapshot int64) { r.c.readers.set(r.c, r, snapshot) }

// End ends the reader. It may be called more than once.
func (r *Reading) End() {
	r.once.Do(func() {
		rs := &r.c.readers
		rs.mu.Lock()
		defer rs.mu.Unlock()
		delete(rs.running, r)
		rs.update()
	})
}

func (rs *readers) set(c *Catalog, r *Reading, floor int64) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rs.running == nil {
		rs.running = map[*Reading]int64{}
	}
	if !rs.tried && !c.foreign {
		rs.tried = true
		rs.floor = storage.FloorIdle
		rs.mark, _ = c.folder.NewMark()
	}
	rs.running[r] = floor
	rs.update()
}

// update writes the lowest floor into the mark; the caller holds mu.
func (rs *readers) update() {
	if rs.mark == nil {
		return
	}
	floor := int64(storage.FloorIdle)
	for _, f := range rs.running {
		if floor == storage.FloorIdle || f < floor {
			floor = f
		}
	}
	if floor != rs.floor && rs.mark.Set(floor) == nil {
		rs.floor = floor
	}
}

func (rs *readers) close() {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rs.mark != nil {
		rs.mark.Close()
	}
	rs.mark, rs.tried = nil, true
}

// patience is how long a reader may take to choose its snapshot before it is
// taken to read the oldest.
const patience = 5 * time.Second

// Floor is the oldest snapshot that a running reader of any process may look
// at; running is false when nobody reads. Ask it after looking at the catalog.
func (c *Catalog) Floor(ctx context.Context) (floor int64, running bool, err error) {
	marks, err := c.folder.Marks()
	if err != nil {
		return 0, false, err
	}
	end := time.NewTimer(patience)
	defer end.Stop()
	tick := time.NewTicker(3 * time.Millisecond)
	defer tick.Stop()
	for unsure(marks) {
		select {
		case <-ctx.Done():
			return storage.FloorUnknown, true, nil
		case <-end.C:
			return storage.FloorUnknown, true, nil
		case <-tick.C:
		}
		now, err := c.folder.Marks()
		if err != nil {
			return 0, false, err
		}
		for name, f := range marks { // each reader that was unsure has by now chosen, or ended
			if f != storage.FloorUnknown {
				continue
			}
			if later, ok := now[name]; ok {
				marks[name] = later
			} else {
				marks[name] = storage.FloorIdle
			}
		}
	}
	for _, f := range marks {
		if f != storage.FloorIdle && (!running || f < floor) {
			floor, running = f, true
		}
	}
	return floor, running, nil
}

func unsure(marks map[string]int64) bool {
	for _, f := range marks {
		if f == storage.FloorUnknown {
			return true
		}
	}
	return false
}
