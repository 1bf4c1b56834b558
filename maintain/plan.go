package maintain

import (
	"cmp"
	"hash/maphash"
	"slices"
	"time"

	"github.com/supertable-go/supertable/catalog"
)

// Limits say when a table is worth the work. They come from the options of the
// table and the SuperTable.
type Limits struct {
	// SmallFiles is the number of small files from which on they are merged.
	SmallFiles int64
	// SmallBytes is the size below which a file is small, and the total size of
	// small files from which on they are merged however few they are.
	SmallBytes int64
	// DeadRows is the number of dead rows of a table from which on every file
	// that has some is written again.
	DeadRows int64
	// DeadPercent is the share of dead rows from which on a single file is
	// written again.
	DeadPercent int64
	// TargetBytes bounds what is merged into one file.
	TargetBytes int64
	// FlushRows is the number of dead rows inside the catalog from which on
	// they go to delete files.
	FlushRows int64
	// InsideRows is the number of rows inside the catalog from which on a flush
	// that goes by the limits moves them to files.
	InsideRows int64
}

// Candidate is a data file as the planner sees it.
type Candidate struct {
	ID, Bytes, Rows, Dead int64
	// Group is the same for files that one file may take the place of: same
	// schema version, same partition, same day for tables whose old files go.
	Group string
	// After is the file's group once it is written again.
	After string
	// Mixed tells that the file's history is not in it alone: it has, or had,
	// dead rows, or is read by the names of its columns. It is never merged,
	// only written again.
	Mixed bool

	rewritten bool // it stands for what becomes of it
}

// Compaction is what to do with a table's files.
type Compaction struct {
	// Rewrite are the files to write again without their dead rows.
	Rewrite []int64
	// Merge are sets of files to put into one each; files of Rewrite stand in
	// them for what they become.
	Merge [][]int64
}

// PlanCompaction says which files to write again and which to merge. All asks
// for everything that helps, without the limits. It does no I/O: the same
// files give the same plan.
//
// It is what Tally, Merger and Limits.Rewrites come to for files that are in
// memory all at once; for a table they see its files window by window.
func PlanCompaction(files []Candidate, l Limits, all bool) Compaction {
	files = slices.SortedFunc(slices.Values(files), func(a, b Candidate) int { return cmp.Compare(a.ID, b.ID) })
	t := NewTally(l, all)
	for _, f := range files {
		t.CountDead(f)
	}
	for i, f := range files {
		if t.Rewrites(f) {
			files[i] = f.Rewritten()
		}
		t.CountSmall(files[i])
	}
	var c Compaction
	for _, f := range files {
		if f.rewritten {
			c.Rewrite = append(c.Rewrite, f.ID)
		}
	}
	if !t.Merges() {
		return c
	}
	m := NewMerger(l)
	for _, f := range files {
		if set := m.Add(f); set != nil {
			c.Merge = append(c.Merge, set)
		}
	}
	c.Merge = append(c.Merge, m.Rest()...)
	return c
}

// Tally counts, file by file, what the limits are about. Counts only grow, so
// that a limit that is reached stays so.
type Tally struct {
	limits Limits
	all    bool
	dead   int64
	alone  map[string]int64 // by group, the bytes of its only small file; -1 once there are more
	count  int64            // small files that are not alone in their groups
	bytes  int64
}

// NewTally counts nothing yet. With all, everything that helps is done.
func NewTally(l Limits, all bool) *Tally {
	return &Tally{limits: l, all: all, alone: map[string]int64{}}
}

// CountDead takes a file's dead rows into account.
func (t *Tally) CountDead(f Candidate) { t.dead += f.Dead }

// AllDead reports whether dead rows are so many that every file with some is
// written again.
func (t *Tally) AllDead() bool { return t.all || t.dead >= t.limits.DeadRows }

// Rewrites reports whether a file is written again without its dead rows.
func (t *Tally) Rewrites(f Candidate) bool {
	return f.Dead > 0 && (t.AllDead() || f.Dead*100 >= f.Rows*t.limits.DeadPercent)
}

// CountSmall takes a file that may be merged into account.
func (t *Tally) CountSmall(f Candidate) {
	if !f.mergeable(t.limits) {
		return
	}
	first, known := t.alone[f.Group]
	switch {
	case !known:
		t.alone[f.Group] = f.Bytes
		return
	case first >= 0:
		t.alone[f.Group] = -1
		t.count, t.bytes = t.count+1, t.bytes+first
	}
	t.count, t.bytes = t.count+1, t.bytes+f.Bytes
}

// Merges reports whether small files are merged.
func (t *Tally) Merges() bool {
	return t.all || t.count >= t.limits.SmallFiles || t.bytes > t.limits.SmallBytes
}

// mergeable reports whether a file may be one of several that become one.
func (f Candidate) mergeable(l Limits) bool {
	return !f.Mixed && f.Dead == 0 && f.Bytes < l.SmallBytes
}

// Rewritten is what becomes of a file that is written again; its size is
// guessed from its rows.
func (f Candidate) Rewritten() Candidate {
	f.Bytes = f.Bytes * (f.Rows - f.Dead) / max(1, f.Rows)
	f.Rows, f.Dead, f.Mixed, f.Group, f.rewritten = f.Rows-f.Dead, 0, f.Rows == f.Dead, f.After, true
	return f
}

// Merger sets small files together, group by group, in the order in which they
// come, as many as fit into one of the target size. It keeps the sets that are
// not full: ids, and no files.
type Merger struct {
	limits Limits
	open   map[string]*openSet
	order  []string
}

type openSet struct {
	ids   []int64
	bytes int64
}

// NewMerger has no files yet.
func NewMerger(l Limits) *Merger { return &Merger{limits: l, open: map[string]*openSet{}} }

// Add takes the next file. It gives the set that it no longer fits into, if
// that is worth a merge.
func (m *Merger) Add(f Candidate) (full []int64) {
	if !f.mergeable(m.limits) {
		return nil
	}
	set := m.open[f.Group]
	if set == nil {
		set = &openSet{}
		m.open[f.Group] = set
		m.order = append(m.order, f.Group)
	}
	if len(set.ids) > 0 && (set.bytes+f.Bytes > m.limits.TargetBytes || len(set.ids) >= maxMerged) {
		if len(set.ids) > 1 {
			full = set.ids
		}
		*set = openSet{}
	}
	set.ids, set.bytes = append(set.ids, f.ID), set.bytes+f.Bytes
	return full
}

// Rest gives the sets that are left and forgets them.
func (m *Merger) Rest() [][]int64 {
	var out [][]int64
	for _, g := range m.order {
		if ids := m.open[g].ids; len(ids) > 1 {
			out = append(out, ids)
		}
	}
	m.open, m.order = map[string]*openSet{}, nil
	return out
}

// maxMerged bounds how many files one merge reads: their footers are in memory
// at once.
const maxMerged = 1000

// Retention says which snapshots to keep. A snapshot goes when neither rule
// keeps it; without any rule none goes.
type Retention struct {
	// KeepLast keeps the last so many snapshots that changed an ordinary table,
	// and all since the first of them. 0 is no such rule.
	KeepLast int64
	// OlderThan keeps what is younger. Negative is no such rule.
	OlderThan time.Duration
}

// None reports whether there is no rule.
func (r Retention) None() bool { return r.KeepLast <= 0 && r.OlderThan < 0 }

// PlanExpiry says which snapshots, given ascending, go: never the newest,
// never a tagged one, never one that a running reader may look at (those from
// floor on; floor < 0 is no reader).
func PlanExpiry(snapshots []catalog.Retained, r Retention, now time.Time, floor int64) []int64 {
	out := []int64{}
	if r.None() || len(snapshots) == 0 {
		return out
	}
	kept := int64(0) // from here on the last N are
	if r.KeepLast > 0 {
		kept = lastOrdinary(snapshots, r.KeepLast)
	} else {
		kept = snapshots[len(snapshots)-1].ID
	}
	for _, s := range snapshots[:len(snapshots)-1] {
		young := r.OlderThan >= 0 && now.Sub(s.Time) <= r.OlderThan
		if s.ID >= kept || young || s.Tagged || floor >= 0 && s.ID >= floor {
			continue
		}
		out = append(out, s.ID)
	}
	return out
}

// lastOrdinary is the id of the nth newest snapshot that changed an ordinary
// table; 0 when there are not so many.
func lastOrdinary(snapshots []catalog.Retained, n int64) int64 {
	for _, snapshot := range slices.Backward(snapshots) {
		if snapshot.Ordinary {
			if n--; n == 0 {
				return snapshot.ID
			}
		}
	}
	return 0
}

// Stored is a file below the data folder.
type Stored struct {
	Rel   string
	Since time.Time // when it was last written
}

// Known is what the catalog and the leases say at one moment.
type Known struct {
	Waiting []catalog.Waiting
	Named   Names           // by path relative to the data folder: some retained snapshot names it
	Leased  map[string]bool // a living writer may yet commit it
}

// Names is a set of paths that takes some bytes for each, however long they
// are. Of a path that is not in it, it may say that it is, once in 2^64 times:
// a file more stays then.
type Names struct {
	seed maphash.Seed
	sums map[uint64]struct{}
}

// NewNames is a set of these paths.
func NewNames(paths ...string) Names {
	n := Names{seed: maphash.MakeSeed(), sums: map[uint64]struct{}{}}
	for _, p := range paths {
		n.Add(p)
	}
	return n
}

// Add puts a path into the set.
func (n Names) Add(path string) { n.sums[maphash.String(n.seed, path)] = struct{}{} }

// Has reports whether a path is in the set.
func (n Names) Has(path string) bool {
	_, ok := n.sums[maphash.String(n.seed, path)]
	return ok
}

// Unknown gives those of the paths that nobody knows.
func (k *Known) Unknown(paths []string) []string {
	waits := map[string]bool{}
	for _, w := range k.Waiting {
		waits[w.Rel] = true
	}
	var out []string
	for _, p := range paths {
		if !waits[p] && !k.Named.Has(p) && !k.Leased[p] {
			out = append(out, p)
		}
	}
	return out
}

// Cleaning is what to remove.
type Cleaning struct {
	// Waiting are files that wait for deletion and may go, or lie elsewhere
	// than in the data folder and only leave the list.
	Waiting []catalog.Waiting
	// Orphans are files that nobody knows, relative to the data folder.
	Orphans []string
}

// PlanCleaning says which files to remove. A file goes only when no retained
// snapshot names it, no lease covers it, no running reader may have it open
// (floor, when reading), and it has been obsolete for longer than the grace;
// unknown are the files that Known.Unknown gives.
func PlanCleaning(unknown []Stored, k Known, now time.Time, grace time.Duration, floor int64, reading bool) Cleaning {
	var c Cleaning
	for _, w := range k.Waiting {
		open := reading && floor < w.Until
		if !w.Outside && (k.Named.Has(w.Rel) || k.Leased[w.Rel]) || open || young(w.Since, now, grace) {
			continue
		}
		c.Waiting = append(c.Waiting, w)
	}
	for _, f := range unknown {
		if !young(f.Since, now, grace) {
			c.Orphans = append(c.Orphans, f.Rel)
		}
	}
	slices.Sort(c.Orphans)
	return c
}

// young reports whether the grace has not passed. No grace is none, whatever
// the clocks say.
func young(since, now time.Time, grace time.Duration) bool {
	return grace > 0 && now.Sub(since) < grace
}
