package ingest

import (
	"context"
	"slices"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
)

// listFiles reads which files of the table may hold one of the input's keys,
// as far as the catalog finds them without looking at all the others. The view
// may be newer than the state: files and their dead rows are those of the state.
func (j *job) listFiles(ctx context.Context, v *catalog.View, st *state) error {
	st.listed = true
	if len(j.o.Key) == 0 || !st.exists {
		return nil
	}
	where, err := j.keyWhere(ctx, st)
	if err != nil {
		return err
	}
	s, err := v.SelectFiles(ctx, st.table, st.head, j.keyLeaves(st), where)
	if st.files = s.Files; err != nil {
		return err
	}
	if j.o.UpTo > 0 {
		st.files = slices.DeleteFunc(st.files, func(f catalog.File) bool {
			return f.Begin > j.o.UpTo || f.PartialMax != nil && *f.PartialMax > j.o.UpTo
		})
	}
	return nil
}

// keyWhere says what a file must be able to hold to matter: one of the few
// keys, or the range of the many. The keys are those of the whole input: what
// is dropped as stale only makes them fewer.
func (j *job) keyWhere(ctx context.Context, st *state) (catalog.Where, error) {
	if j.keys == nil || j.keys.stage != j.raw {
		j.keys = newMatcher(j, j.raw)
	}
	m := j.keys
	if err := m.loadFew(ctx); err != nil {
		return nil, err
	}
	if m.few == nil {
		return m.rangeWhere(st), nil
	}
	any := catalog.WhereAny{}
	for _, key := range m.fewIn {
		w := m.keyIs(st, key)
		if w == nil {
			return nil, nil
		}
		any = append(any, w)
	}
	return any, nil
}

// keyIs asks for one key; nil when its values have no bounds.
func (m *matcher) keyIs(st *state, key keyBound) catalog.Where {
	var all catalog.WhereAll
	for i, k := range m.keys {
		if c := datafile.FindColumn(st.columns, k.Name); c >= 0 && key[i] != nil {
			all = append(all, catalog.WhereBetween{Column: st.columns[c], Lo: key[i], Hi: key[i]})
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all
}

// rangeWhere asks for what lies between the least and the greatest of many
// keys; a column with NULL or NaN among them asks for nothing.
func (m *matcher) rangeWhere(st *state) catalog.Where {
	var all catalog.WhereAll
	for _, k := range m.keys {
		c := datafile.FindColumn(st.columns, k.Name)
		if c < 0 || m.stage.inside != nil || len(m.stage.files) == 0 {
			continue
		}
		var lo, hi *string
		known := true
		for i, f := range m.stage.files {
			s, ok := f.stats[k.ID]
			if !ok || s.NullCount > 0 || s.Min == nil || s.Max == nil || s.ContainsNaN != nil && *s.ContainsNaN {
				known = false
				break
			}
			if i == 0 {
				lo, hi = s.Min, s.Max
				continue
			}
			lo, hi = datafile.WidenBounds(k.Type, lo, hi, s.Min, s.Max)
		}
		if !known || lo == nil || hi == nil {
			continue
		}
		a, ok1 := datafile.ParseBound(k.Type, *lo)
		b, ok2 := datafile.ParseBound(k.Type, *hi)
		if ok1 && ok2 {
			all = append(all, catalog.WhereBetween{Column: st.columns[c], Lo: &a, Hi: &b})
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all
}
