package maintain

import (
	"cmp"
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
func PlanCompaction(files []Candidate, l Limits, all bool) Compaction {
	var c Compaction
	var dead int64
	for _, f := range files {
		dead += f.Dead
	}
	after := make([]Candidate, 0, len(files))
	for _, f := range files {
		if f.Dead > 0 && (all || dead >= l.DeadRows || f.Dead*100 >= f.Rows*l.DeadPercent) {
			c.Rewrite = append(c.Rewrite, f.ID)
			f.Bytes = f.Bytes * (f.Rows - f.Dead) / max(1, f.Rows)
			f.Rows, f.Dead, f.Mixed, f.Group = f.Rows-f.Dead, 0, f.Rows == f.Dead, f.After
		}
		after = append(after, f)
	}
	c.Merge = planMerges(after, l, all)
	return c
}

// planMerges sets small files together, group by group, in the order of their
// ids, as many as fit into one of the target size.
func planMerges(files []Candidate, l Limits, all bool) [][]int64 {
	groups := map[string][]Candidate{}
	var order []string
	for _, f := range files {
		if f.Mixed || f.Dead > 0 || f.Bytes >= l.SmallBytes {
			continue
		}
		if groups[f.Group] == nil {
			order = append(order, f.Group)
		}
		groups[f.Group] = append(groups[f.Group], f)
	}
	var count, bytes int64 // of those that are not alone
	for _, g := range groups {
		for _, f := range g {
			if len(g) > 1 {
				count, bytes = count+1, bytes+f.Bytes
			}
		}
	}
	if !all && count < l.SmallFiles && bytes <= l.SmallBytes {
		return nil
	}
	var out [][]int64
	for _, g := range order {
		slices.SortFunc(groups[g], func(a, b Candidate) int { return cmp.Compare(a.ID, b.ID) })
		var set []int64
		var size int64
		for _, f := range groups[g] {
			if len(set) > 0 && (size+f.Bytes > l.TargetBytes || len(set) >= maxMerged) {
				out = appendSet(out, set)
				set, size = nil, 0
			}
			set, size = append(set, f.ID), size+f.Bytes
		}
		out = appendSet(out, set)
	}
	return out
}

// maxMerged bounds how many files one merge reads: their footers are in memory
// at once.
const maxMerged = 1000

func appendSet(out [][]int64, set []int64) [][]int64 {
	if len(set) < 2 {
		return out
	}
	return append(out, set)
}

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
	Named   map[string]bool // by path relative to the data folder: some retained snapshot names it
	Leased  map[string]bool // a living writer may yet commit it
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
// (floor, when reading), and it has been obsolete for longer than the grace.
func PlanCleaning(stored []Stored, k Known, now time.Time, grace time.Duration, floor int64, reading bool) Cleaning {
	var c Cleaning
	waits := map[string]bool{}
	for _, w := range k.Waiting {
		waits[w.Rel] = true
		open := reading && floor < w.Until
		if !w.Outside && (k.Named[w.Rel] || k.Leased[w.Rel]) || open || young(w.Since, now, grace) {
			continue
		}
		c.Waiting = append(c.Waiting, w)
	}
	for _, f := range stored {
		if waits[f.Rel] || k.Named[f.Rel] || k.Leased[f.Rel] || young(f.Since, now, grace) {
			continue
		}
		c.Orphans = append(c.Orphans, f.Rel)
	}
	slices.Sort(c.Orphans)
	return c
}

// young reports whether the grace has not passed. No grace is none, whatever
// the clocks say.
func young(since, now time.Time, grace time.Duration) bool {
	return grace > 0 && now.Sub(since) < grace
}
