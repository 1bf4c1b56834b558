package catalog

import (
	"context"
	"database/sql"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/supertable-go/supertable/datafile"
)

// find gives the ids, ascending, of the files that may hold what where says:
// all of them, visible or not. ok is false when they are more than limit or
// when the index cannot tell.
func (x *fileIndex) find(ctx context.Context, v *View, t Table, where Where, limit int) (ids []int64, ok bool, err error) {
	db, err := x.open(ctx)
	if err != nil {
		return nil, false, x.failed(ctx, "open", err)
	}
	for range 3 {
		s := &search{x: x, v: v, table: t, leaves: map[int64]*indexLeaf{}}
		ids, ok, err = s.run(ctx, db, where, limit)
		if err != nil {
			return nil, false, x.failed(ctx, "find", err)
		}
		behind := s.behind()
		if len(behind) == 0 || !v.reading { // a commit waits for no build
			return ids, ok, nil
		}
		for _, l := range behind {
			if _, err := x.catchUp(ctx, db, v, t, l); err != nil {
				return nil, false, x.failed(ctx, "build", err)
			}
		}
	}
	return nil, false, nil
}

// search is one look into the index, in one state of it.
type search struct {
	x      *fileIndex
	v      *View
	table  Table
	tx     *sql.Tx
	leaves map[int64]*indexLeaf // by column
	tail   map[int64][]int64    // files that a leaf does not know, by its watermark
}

// verdict is what is known of a condition's files.
type verdict int

const (
	found   verdict = iota
	more            // than asked for
	nothing         // is known
)

func (s *search) run(ctx context.Context, db *sql.DB, where Where, limit int) ([]int64, bool, error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return nil, false, err
	}
	defer func() { _ = tx.Rollback() }()
	s.tx, s.tail = tx, map[int64][]int64{}
	ids, verdict, err := s.ids(ctx, where, limit)
	if err != nil || verdict != found {
		return nil, false, err
	}
	slices.Sort(ids)
	return slices.Compact(ids), true, nil
}

// behind lists the columns of which the index lacks much.
func (s *search) behind() []*indexLeaf {
	var out []*indexLeaf
	for _, l := range s.leaves {
		if l != nil && l.behind {
			out = append(out, l)
		}
	}
	return out
}

func (s *search) leaf(ctx context.Context, c datafile.Column) (*indexLeaf, error) {
	l, ok := s.leaves[c.ID]
	if !ok {
		var err error
		if l, err = s.x.load(ctx, s.tx, s.v, s.table, c); err != nil {
			return nil, err
		}
		s.leaves[c.ID] = l
	}
	if l == nil || !l.known || l.behind {
		return nil, nil
	}
	return l, nil
}

// ids gives at most limit ids, in no order, some of them twice.
func (s *search) ids(ctx context.Context, w Where, limit int) ([]int64, verdict, error) {
	switch w := w.(type) {
	case WhereAll:
		return s.all(ctx, merge(w), limit)
	case WhereAny:
		return s.any(ctx, w, limit)
	case WhereBetween:
		return s.between(ctx, w, limit)
	case WhereNull:
		return s.null(ctx, w, limit)
	}
	return nil, nothing, nil
}

// all takes the files of the one condition that has the fewest: each is asked
// for some, then for more.
func (s *search) all(ctx context.Context, list []Where, limit int) ([]int64, verdict, error) {
	for n := min(64, limit); ; n = min(8*n, limit) {
		out := nothing
		for _, w := range list {
			ids, verdict, err := s.ids(ctx, w, n)
			if err != nil || verdict == found {
				return ids, verdict, err
			}
			if verdict == more {
				out = more
			}
		}
		if n == limit || out == nothing {
			return nil, out, nil
		}
	}
}

// maxAny bounds how many ranges are looked for one by one.
const maxAny = 256

func (s *search) any(ctx context.Context, list WhereAny, limit int) ([]int64, verdict, error) {
	if len(list) > maxAny {
		return nil, nothing, nil
	}
	var out []int64
	for _, w := range list {
		ids, verdict, err := s.ids(ctx, w, limit)
		if err != nil || verdict != found {
			return nil, verdict, err
		}
		if out = append(out, ids...); len(out) > limit {
			slices.Sort(out)
			if out = slices.Compact(out); len(out) > limit {
				return nil, more, nil
			}
		}
	}
	return out, found, nil
}

// merge puts the ranges of one column into one.
func merge(list WhereAll) []Where {
	var out []Where
	at := map[int64]int{}
	for _, w := range list {
		if inner, ok := w.(WhereAll); ok {
			list := merge(inner)
			if len(list) != 1 {
				out = append(out, WhereAll(list))
				continue
			}
			w = list[0]
		}
		b, ok := w.(WhereBetween)
		if !ok {
			out = append(out, w)
			continue
		}
		i, ok := at[b.Column.ID]
		if !ok {
			at[b.Column.ID] = len(out)
			out = append(out, b)
			continue
		}
		have := out[i].(WhereBetween)
		have.Lo, have.Hi = tighter(have.Lo, b.Lo, 1), tighter(have.Hi, b.Hi, -1)
		out[i] = have
	}
	return out
}

// tighter is the greater of two bounds, or the lesser; the first when they do
// not compare.
func tighter(a, b *datafile.Bound, sign int) *datafile.Bound {
	if a == nil {
		return b
	}
	if b == nil {
		return a
	}
	if c, ok := b.Compare(*a); ok && c*sign > 0 {
		return b
	}
	return a
}

func (s *search) between(ctx context.Context, w WhereBetween, limit int) ([]int64, verdict, error) {
	l, err := s.leaf(ctx, w.Column)
	if err != nil || l == nil || w.Lo == nil && w.Hi == nil {
		return nil, nothing, err
	}
	lo, hi := int64(math.MinInt64), int64(math.MaxInt64)
	ok := true
	if w.Lo != nil {
		lo, ok = l.order.Key(*w.Lo)
	}
	if w.Hi != nil && ok {
		hi, ok = l.order.Key(*w.Hi)
	}
	if !ok {
		return nil, nothing, nil
	}
	out, err := s.unsure(ctx, l, limit)
	if err != nil || len(out) > limit {
		return nil, more, err
	}
	if lo > hi { // no value is in between, but looking at one end after the other does not tell
		lo, hi = hi, lo
	}
	for _, query := range spanQueries(l, lo, hi) {
		ids, err := (&View{q: s.tx}).ids(ctx, query+` LIMIT ?`, limit+1-len(out))
		if err != nil {
			return nil, nothing, err
		}
		if out = append(out, ids...); len(out) > limit {
			return nil, more, nil
		}
	}
	return out, found, nil
}

func (s *search) null(ctx context.Context, w WhereNull, limit int) ([]int64, verdict, error) {
	l, err := s.leaf(ctx, w.Column)
	if err != nil || l == nil {
		return nil, nothing, err
	}
	out, err := s.unsure(ctx, l, limit)
	if err != nil || len(out) > limit {
		return nil, more, err
	}
	ids, err := (&View{q: s.tx}).ids(ctx, `SELECT file_id FROM nulls WHERE leaf = ? AND file_id < ? LIMIT ?`, l.id, l.upto, limit+1-len(out))
	if out = append(out, ids...); err != nil || len(out) > limit {
		return nil, more, err
	}
	return out, found, nil
}

// unsure lists the files of which the index knows nothing: those that came
// since, and those without bounds; at most one more than limit.
func (s *search) unsure(ctx context.Context, l *indexLeaf, limit int) ([]int64, error) {
	tail, ok := s.tail[l.upto]
	if !ok {
		var err error
		if tail, err = s.v.ids(ctx, `SELECT data_file_id FROM ducklake_data_file INDEXED BY supertable_idx_data_file_id WHERE table_id = ? AND data_file_id >= ?`, s.table.ID, l.upto); err != nil {
			return nil, err
		}
		s.tail[l.upto] = tail
	}
	open, err := (&View{q: s.tx}).ids(ctx, `SELECT file_id FROM open WHERE leaf = ? AND file_id < ? LIMIT ?`, l.id, l.upto, limit+1)
	return append(open, tail...), err
}

// spanQueries select the entries of a column that meet the keys lo to hi.
func spanQueries(l *indexLeaf, lo, hi int64) []string {
	var whole, between, low, high []string // level, prefix and end
	row := func(list *[]string, values ...int64) {
		parts := make([]string, len(values))
		for i, n := range values {
			parts[i] = strconv.FormatInt(n, 10)
		}
		*list = append(*list, "("+strings.Join(parts, ",")+")")
	}
	for level := range 65 {
		if l.levels&levelBit(level) == 0 {
			continue
		}
		first, last := prefixOf(level, lo), prefixOf(level, hi)
		for _, p := range slices.Compact([]int64{first, last}) {
			switch {
			case level == 0 || lo <= middleOf(level, p) && middleOf(level, p) <= hi:
				row(&whole, int64(level), p)
			case hi < middleOf(level, p): // every entry reaches up to the middle
				row(&low, int64(level), p, hi)
			default: // every entry begins below the middle, which is below lo
				row(&high, int64(level), p, lo)
			}
		}
		if last > first { // and there may be blocks between
			row(&between, int64(level), first, last)
		}
	}
	leaf := strconv.FormatInt(l.id, 10)
	var out []string
	add := func(list []string, columns, on string) {
		if len(list) > 0 {
			out = append(out, `WITH q(`+columns+`) AS (VALUES `+strings.Join(list, ",")+`) SELECT s.file_id FROM q CROSS JOIN span s `+on)
		}
	}
	at := ` WHERE s.leaf = ` + leaf + ` AND s.level = q.level AND `
	add(whole, "level, prefix", at+`s.prefix = q.prefix`)
	add(low, "level, prefix, hi", at+`s.prefix = q.prefix AND s.lo <= q.hi`)
	add(high, "level, prefix, lo", `INDEXED BY span_high`+at+`s.prefix = q.prefix AND s.hi >= q.lo`)
	add(between, "level, first, last", at+`s.prefix > q.first AND s.prefix < q.last`)
	return out
}
