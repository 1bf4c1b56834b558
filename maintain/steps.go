package maintain

import (
	"context"
	"log/slog"
	"slices"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/internal/invariant"
)

// windowFiles is how many files of a table compaction knows at once. What it
// plans for them it does before it looks at the next ones, so that memory does
// not grow with the table, and what is done is done when it is killed.
var windowFiles = perStep(4096, 5)

// batchBytes and batchJobs bound what is committed together: the longer a
// batch takes, the more of it is void at its end.
var batchJobs = perStep(64, 3)

const batchBytes = 256 << 20

// perStep is n; in tests' builds it is few, so that every test takes several
// steps.
func perStep(n, few int) int {
	if invariant.Enabled {
		return few
	}
	return n
}

// tally counts what the limits are about, window by window, and stops where
// they are reached. Asked for everything it need not look.
func (w *compaction) tally(ctx context.Context, t *total, win catalog.Window, count func(*Tally, Candidate), enough func(*Tally) bool, tally *Tally) error {
	if enough(tally) {
		return nil
	}
	return w.r.windows(ctx, t.table.ID, win, func(l *look) (bool, error) {
		for _, c := range l.candidates {
			count(tally, c)
		}
		return !enough(tally), nil
	})
}

// dead is the tally of a table's dead rows. The sum inside the database has
// those of files that are not ours to write again too: where it is below the
// limit so is what is looked for.
func (w *compaction) dead(ctx context.Context, t *total) (*Tally, error) {
	tally := NewTally(t.limits, !w.how.Due)
	if t.Dead+t.Inlined < t.limits.DeadRows {
		return tally, nil
	}
	return tally, w.tally(ctx, t, catalog.Window{Dirty: true}, (*Tally).CountDead, (*Tally).AllDead, tally)
}

// rewrite writes files again without their dead rows.
func (w *compaction) rewrite(ctx context.Context, t total) error {
	if t.Dead+t.Inlined == 0 {
		return nil
	}
	tally, err := w.dead(ctx, &t)
	if err != nil {
		return err
	}
	// What is written again gets higher ids and is not looked at any more.
	return w.r.windows(ctx, t.table.ID, catalog.Window{Dirty: true, Upto: t.LastID}, func(l *look) (bool, error) {
		var ids []int64
		for _, c := range l.candidates {
			if tally.Rewrites(c) {
				ids = append(ids, c.ID)
			}
		}
		return true, w.rewriteSome(ctx, l, ids)
	})
}

// rewriteSome writes some files again. Those that a concurrent write changed
// meanwhile are tried again some times, then left.
func (w *compaction) rewriteSome(ctx context.Context, l *look, ids []int64) error {
	for range rounds {
		var jobs []*job
		for _, id := range ids {
			if f, ok := l.file(id); ok && f.Dirty() {
				jobs = append(jobs, &job{sources: []catalog.File{f}, columns: l.columns})
			}
		}
		left, err := w.run(ctx, l, jobs, catalog.Rewritten)
		if err != nil || len(left) == 0 {
			return err
		}
		ids = nil
		for _, j := range left {
			ids = append(ids, j.sources[0].ID)
		}
		if l, err = w.r.look(ctx, l.table.ID, catalog.Window{IDs: ids}); err != nil {
			return err
		}
	}
	w.r.Logger.Info("files left as they are: they are written to all the time", slog.String("table", l.table.Name), slog.Int("files", len(ids)))
	return nil
}

// merge merges what is small now.
func (w *compaction) merge(ctx context.Context, table int64) error {
	for range rounds {
		left, err := w.mergeOnce(ctx, table)
		if err != nil || left == 0 {
			return err
		}
	}
	return nil
}

// mergeOnce merges what is small and gives how many sets a concurrent write
// made void.
func (w *compaction) mergeOnce(ctx context.Context, table int64) (left int, err error) {
	t, err := w.r.weigh(ctx, table)
	if err != nil {
		return 0, err
	}
	small := catalog.Window{Below: t.limits.SmallBytes, Upto: t.LastID} // merged files get higher ids
	tally := NewTally(t.limits, !w.how.Due)
	if !tally.Merges() && t.Small < t.limits.SmallFiles && t.SmallBytes <= t.limits.SmallBytes {
		return 0, nil
	}
	if err := w.tally(ctx, &t, small, (*Tally).CountSmall, (*Tally).Merges, tally); err != nil || !tally.Merges() {
		return 0, err
	}
	m := NewMerger(t.limits)
	var sets pending
	err = w.r.windows(ctx, table, small, func(l *look) (bool, error) {
		for _, c := range l.candidates {
			sets.add(m.Add(c))
			for sets.full() {
				void, err := w.mergeSets(ctx, table, sets.take())
				if err != nil {
					return false, err
				}
				left += void
			}
		}
		return true, nil
	})
	if err != nil {
		return left, err
	}
	for _, set := range m.Rest() {
		sets.add(set)
	}
	for len(sets.sets) > 0 {
		void, err := w.mergeSets(ctx, table, sets.take())
		if err != nil {
			return left, err
		}
		left += void
	}
	return left, nil
}

// pending are sets of files that wait to be merged, each into one.
type pending struct {
	sets  [][]int64
	files int
}

func (p *pending) add(set []int64) {
	if len(set) > 0 {
		p.sets, p.files = append(p.sets, set), p.files+len(set)
	}
}

func (p *pending) full() bool { return len(p.sets) >= batchJobs || p.files >= maxMerged }

// take gives as many sets as are looked at together, and at least one.
func (p *pending) take() (out [][]int64) {
	n := 0
	for len(p.sets) > 0 && (len(out) == 0 || len(out) < batchJobs && n+len(p.sets[0]) <= maxMerged) {
		n += len(p.sets[0])
		out, p.sets = append(out, p.sets[0]), p.sets[1:]
	}
	p.files -= n
	return out
}

// mergeSets merges sets of files as they are now: what got a dead row since it
// was planned is left out.
func (w *compaction) mergeSets(ctx context.Context, table int64, sets [][]int64) (left int, err error) {
	l, err := w.r.look(ctx, table, catalog.Window{IDs: sorted(sets)})
	if err != nil {
		return 0, err
	}
	var jobs []*job
	for _, set := range sets {
		j := &job{}
		for _, id := range set {
			if i, ok := l.byID[id]; ok && l.candidates[i].mergeable(l.limits) {
				j.sources = append(j.sources, l.files[i])
			}
		}
		if len(j.sources) > 1 {
			jobs = append(jobs, j)
		}
	}
	void, err := w.run(ctx, l, jobs, catalog.Merged)
	return len(void), err
}

// foretell says what would be done; sizes are guessed from the rows.
func (w *compaction) foretell(ctx context.Context, t total) (Compacted, bool, error) {
	c, rewrites, merges := t.result(), int64(0), int64(0)
	tally, err := w.dead(ctx, &t)
	if err != nil {
		return c, false, err
	}
	after := func(f Candidate) Candidate {
		if tally.Rewrites(f) {
			return f.Rewritten()
		}
		return f
	}
	either := catalog.Window{Below: t.limits.SmallBytes, Dirty: true}
	err = w.tally(ctx, &t, either, func(t *Tally, f Candidate) { t.CountSmall(after(f)) }, (*Tally).Merges, tally)
	if err != nil {
		return c, false, err
	}
	m := NewMerger(t.limits)
	merged := func(set []int64) {
		if len(set) > 0 && tally.Merges() {
			c.FilesAfter, merges = c.FilesAfter-int64(len(set)-1), 1
		}
	}
	err = w.r.windows(ctx, t.table.ID, either, func(l *look) (bool, error) {
		for _, f := range l.candidates {
			if tally.Rewrites(f) {
				rewrites = 1
				c.BytesAfter -= f.Bytes * f.Dead / max(1, f.Rows)
				if f.Dead >= f.Rows {
					c.FilesAfter--
				}
			}
			merged(m.Add(after(f)))
		}
		return true, errs.FromContext(ctx, "compact")
	})
	for _, set := range m.Rest() {
		merged(set)
	}
	c.Snapshot += rewrites + merges // where each kind of work fits into one commit
	return c, rewrites+merges > 0, err
}

// sorted gives the ids of all sets, ascending.
func sorted(sets [][]int64) []int64 {
	out := slices.Concat(sets...)
	slices.Sort(out)
	return out
}
