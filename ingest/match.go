package ingest

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/engine"
	"github.com/supertable-go/supertable/internal/errs"
)

// matcher finds, per data file, the rows whose key is among the stage's keys,
// dead or alive. A file never changes (I1), so what was found in it holds on
// every later head: only files that came since are looked at again.
type matcher struct {
	j     *job
	stage *stage
	found map[int64]datafile.Bitmap // by data file; nil is none
	keys  []datafile.Column         // in the stage
	few   []string                  // the keys as SQL conditions, when they are few
	known bool                      // few was looked for
	fewIn []keyBound
	probe *probe // the keys as filters are asked for them; nil while none was

	ending []ending // rows inside the catalog, at the head that was looked at last
}

// keyBound is one key value per key column, as bounds for pruning.
type keyBound []*datafile.Bound

// fewKeys is how many distinct keys are put into the statement as literals:
// the engine then skips row groups by them.
const fewKeys = 64

func newMatcher(j *job, rows *stage) *matcher {
	m := &matcher{j: j, stage: rows, found: map[int64]datafile.Bitmap{}}
	if k := j.keys; k != nil && k.stage == rows {
		m.few, m.fewIn, m.known = k.few, k.fewIn, k.known
	}
	for _, k := range j.o.Key {
		for _, f := range j.plan.file {
			if strings.EqualFold(f.in.Name, k) {
				m.keys = append(m.keys, f.column)
			}
		}
	}
	return m
}

// pendingBytes is the size of the files that run would have to read.
func (m *matcher) pendingBytes(st *state) int64 {
	if m == nil {
		return 0
	}
	var n int64
	for i := range st.files {
		if _, done := m.found[st.files[i].ID]; !done && m.mayHold(st, &st.files[i]) {
			n += st.files[i].Size
		}
	}
	return n
}

// run looks for the keys in the files of st that were not looked at yet.
func (m *matcher) run(ctx context.Context, st *state) error {
	if m.stage.rows == 0 {
		return nil
	}
	if err := m.loadFew(ctx); err != nil {
		return err
	}
	var files []*catalog.File
	for i := range st.files {
		f := &st.files[i]
		if _, done := m.found[f.ID]; done {
			continue
		}
		if !m.mayHold(st, f) {
			m.found[f.ID] = nil
			continue
		}
		// A file of several snapshots is no special case: at the head, every row of it is there.
		if f.MappingID != nil {
			return errs.New(errs.Unsupported, "table %q has files that another client added as they were; an upsert by key on it is not supported yet", st.table.Name)
		}
		files = append(files, f)
	}
	files, err := m.exclude(ctx, st, files)
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := catalog.CheckSize(f.Path, f.Size); err != nil {
			return err
		}
	}
	if len(files) == 0 {
		return nil
	}
	return m.scan(ctx, st, files)
}

// scan reads the key columns of the files and marks the rows that match.
func (m *matcher) scan(ctx context.Context, st *state, files []*catalog.File) error {
	for _, f := range files {
		m.found[f.ID] = nil
	}
	if err := m.scanAll(ctx, st, files); err != nil {
		return m.blame(ctx, st, files, err)
	}
	return nil
}

func (m *matcher) scanAll(ctx context.Context, st *state, files []*catalog.File) error {
	rr, err := m.j.conn.Query(ctx, m.sql(st, files), nil)
	if err != nil {
		return err
	}
	defer rr.Release()
	for rr.Next() {
		rec := rr.RecordBatch()
		index, row := rec.Column(0).(*array.Int64), rec.Column(1).(*array.Int64)
		for i := range index.Len() {
			f := files[index.Value(i)]
			if m.found[f.ID] == nil {
				m.found[f.ID] = datafile.NewBitmap(f.Records)
			}
			if row.Value(i) >= f.Records {
				return errs.New(errs.Corrupt, "a data file of table %q has more rows than the catalog says", st.table.Name)
			}
			m.found[f.ID].Set(row.Value(i))
		}
	}
	return rr.Err()
}

// blame finds the file that a failed scan is about.
func (m *matcher) blame(ctx context.Context, st *state, files []*catalog.File, err error) error {
	if errs.KindOf(err) == errs.Corrupt { // it says itself what is wrong
		return err
	}
	if err = m.j.matchError(ctx, err); errs.KindOf(err) != errs.Corrupt {
		return err
	}
	for _, f := range files {
		if err := catalog.CheckFile(f.Path, f.Size, f.Footer); err != nil {
			return err
		}
		if _, ferr := engine.Collect(ctx, m.j.conn, m.sql(st, []*catalog.File{f}), nil); ferr != nil && ctx.Err() == nil {
			return errs.Wrap(errs.Corrupt, ferr, "the file %s cannot be read or is not what was written", filepath.Base(f.Path))
		}
	}
	return err
}

// matchError types an error of a statement over the table's files.
func (j *job) matchError(ctx context.Context, err error) error {
	if err == nil || errors.Is(err, errAgain) {
		return err
	}
	if cerr := errs.FromContext(ctx, "match keys"); cerr != nil {
		return cerr
	}
	if terr := j.tmpError(err); terr != nil {
		return terr
	}
	if errs.KindOf(err) != errs.Internal {
		return err
	}
	return errs.Wrap(errs.Corrupt, err, "a data file cannot be read while matching keys")
}

// sql selects index and row of every match. Keys are compared NULL-safe; the
// engine takes NaN as equal to itself and -0.0 to 0.0 (decision 7).
func (m *matcher) sql(st *state, files []*catalog.File) string {
	paths := make([]string, len(files))
	for i, f := range files {
		paths[i] = f.Path
	}
	head := fmt.Sprintf("SELECT CAST(file_index AS BIGINT), CAST(file_row_number AS BIGINT) FROM (SELECT file_index, file_row_number, %s FROM read_parquet(%s, schema=%s)) t",
		m.selectKeys(st, files), pathList(paths), m.tableSchema(st))
	if m.few != nil {
		return head + " WHERE " + strings.Join(m.few, " OR ")
	}
	on := make([]string, len(m.keys))
	sel := make([]string, len(m.keys))
	for i, k := range m.keys {
		on[i] = fmt.Sprintf("t.k%d IS NOT DISTINCT FROM s.s%d", i, i)
		sel[i] = fmt.Sprintf("%s AS s%d", datafile.Quote(k.Name), i)
	}
	return fmt.Sprintf("%s SEMI JOIN (SELECT %s FROM (%s)) s ON %s", head, strings.Join(sel, ", "), m.stage.relation(m.j.plan), strings.Join(on, " AND "))
}

// selectKeys selects k0, k1, … of the files; a column that some file may hold
// in another type is compared only after it was read.
func (m *matcher) selectKeys(st *state, files []*catalog.File) string {
	sel := make([]string, len(m.keys))
	for i, k := range m.keys {
		name := fmt.Sprintf("k%d", i)
		sel[i] = name
		c := datafile.FindColumn(st.columns, k.Name)
		if c < 0 {
			continue
		}
		other := !k.Type.Same(st.columns[c].Type)
		for _, f := range files {
			other = other || f.Written() < st.columns[c].Begin
		}
		if other {
			sel[i] = datafile.Opaque(name) + " AS " + name
		}
	}
	return strings.Join(sel, ", ")
}

// tableSchema maps the key columns, by field id, to k0, k1, … in the types of
// the table as it is in the plan; a file without the column has its default.
func (m *matcher) tableSchema(st *state) string {
	parts := make([]string, len(m.keys))
	for i, k := range m.keys {
		id, typ, def := k.ID, k.Type.SQL(), "NULL"
		if c := datafile.FindColumn(st.columns, k.Name); c >= 0 {
			id = st.columns[c].ID
			if d := st.columns[c].InitialDefault; d != nil {
				def = datafile.QuoteText(*d)
			}
		}
		parts[i] = fmt.Sprintf("%d: {name: 'k%d', type: %s, default_value: %s}", id, i, datafile.QuoteText(typ), def)
	}
	return "MAP {" + strings.Join(parts, ", ") + "}"
}

// loadFew reads the distinct keys when they are few.
func (m *matcher) loadFew(ctx context.Context) error {
	if m.known || m.stage.rows > 4*fewKeys {
		m.known = true
		return nil
	}
	m.known = true
	if m.stage.inside != nil {
		if keys, ok := m.fewInside(); ok {
			m.setFew(keys)
			return nil
		}
	}
	sel := make([]string, len(m.keys))
	for i, k := range m.keys {
		if k.Type.Nested() || k.Type.Name == "blob" {
			return nil
		}
		sel[i] = "CAST(" + datafile.Quote(k.Name) + " AS VARCHAR)"
	}
	rows, err := engine.Collect(ctx, m.j.conn, fmt.Sprintf("SELECT DISTINCT %s FROM (%s) LIMIT %d", strings.Join(sel, ", "), m.stage.relation(m.j.plan), fewKeys+1), nil)
	if err != nil || len(rows) > fewKeys {
		return m.j.matchError(ctx, err)
	}
	for _, r := range rows {
		for _, v := range r {
			if text, ok := v.(string); ok && strings.ContainsRune(text, 0) {
				return nil // no literal holds it
			}
		}
	}
	m.setFew(rows)
	return nil
}

func (m *matcher) setFew(keys [][]any) {
	m.few = []string{}
	for _, k := range keys {
		m.addFew(k)
	}
}

func (m *matcher) addFew(r []any) {
	conds := make([]string, len(r))
	bounds := make(keyBound, len(r))
	for i, v := range r {
		text, ok := v.(string)
		if !ok {
			conds[i] = fmt.Sprintf("k%d IS NULL", i)
			continue
		}
		conds[i] = fmt.Sprintf("k%d = CAST(%s AS %s)", i, datafile.QuoteText(text), m.keys[i].Type.SQL())
		if b, ok := datafile.ParseBound(m.keys[i].Type, text); ok {
			bounds[i] = &b
		}
	}
	m.few = append(m.few, "("+strings.Join(conds, " AND ")+")")
	m.fewIn = append(m.fewIn, bounds)
}

// mayHold reports whether the file can hold any of the keys, from statistics
// alone: never trusted to find, only to skip.
func (m *matcher) mayHold(st *state, f *catalog.File) bool {
	if m.few != nil {
		for _, k := range m.fewIn {
			if m.mayHoldKey(st, f, k) {
				return true
			}
		}
		return len(m.fewIn) == 0
	}
	for _, k := range m.keys {
		if !m.overlaps(st, f, k) {
			return false
		}
	}
	return true
}

func (m *matcher) fileStats(st *state, f *catalog.File, k datafile.Column) (datafile.Stats, datafile.Type, bool) {
	i := datafile.FindColumn(st.columns, k.Name)
	if i < 0 {
		return datafile.Stats{}, k.Type, false
	}
	if st.columns[i].Type.Name == "float64" && f.Written() < st.columns[i].Begin {
		return datafile.Stats{}, k.Type, false // the file may hold float32, whose bounds other clients write in fewer digits
	}
	s, ok := f.Stats[st.columns[i].ID]
	return s, st.columns[i].Type, ok
}

// mayHoldKey tests one key against the file's bounds; nil bounds are keys
// that are NULL or do not compare.
func (m *matcher) mayHoldKey(st *state, f *catalog.File, key keyBound) bool {
	for i, k := range m.keys {
		s, t, ok := m.fileStats(st, f, k)
		if !ok || key[i] == nil || s.Min == nil || s.Max == nil || s.ContainsNaN != nil && *s.ContainsNaN {
			continue
		}
		lo, ok1 := datafile.ParseBound(t, *s.Min)
		hi, ok2 := datafile.ParseBound(t, *s.Max)
		if !ok1 || !ok2 {
			continue
		}
		a, c1 := key[i].Compare(lo)
		b, c2 := key[i].Compare(hi)
		if c1 && c2 && (a < 0 || b > 0) {
			return false
		}
	}
	return true
}

// overlaps tests the stage's range of one key column against the file's.
func (m *matcher) overlaps(st *state, f *catalog.File, k datafile.Column) bool {
	s, t, ok := m.fileStats(st, f, k)
	if !ok || s.ContainsNaN != nil && *s.ContainsNaN {
		return true
	}
	for _, stats := range m.stage.allStats() {
		own, ok := stats[k.ID]
		if !ok || own.ContainsNaN != nil && *own.ContainsNaN || own.NullCount > 0 && s.NullCount > 0 {
			return true
		}
		if own.ValueCount == 0 || s.ValueCount == 0 {
			continue
		}
		if own.Min == nil || own.Max == nil || s.Min == nil || s.Max == nil || rangesMeet(k.Type, own, t, s) {
			return true
		}
	}
	return false
}

func rangesMeet(t1 datafile.Type, a datafile.Stats, t2 datafile.Type, b datafile.Stats) bool {
	lo1, ok1 := datafile.ParseBound(t1, *a.Min)
	hi1, ok2 := datafile.ParseBound(t1, *a.Max)
	lo2, ok3 := datafile.ParseBound(t2, *b.Min)
	hi2, ok4 := datafile.ParseBound(t2, *b.Max)
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return true
	}
	below, c1 := hi1.Compare(lo2)
	above, c2 := lo1.Compare(hi2)
	return !c1 || !c2 || below >= 0 && above <= 0
}
