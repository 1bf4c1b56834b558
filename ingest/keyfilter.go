package ingest

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
)

// Keys without an order (random UUIDs, scattered numbers) lie within the bounds
// of every file. A write of few such keys asks the files' key filters, which
// rule out nearly every file that lacks them (ADR 0015). Filters are made on
// need: by the writes that would have had use for them, some files at a time.

const (
	// filteredFiles is how many files must be left by bounds for filters to be asked.
	filteredFiles = 4
	// keysPerFile is how many keys there may be to each file: of more, nearly
	// every file has one.
	keysPerFile = 2
	// rowsPerKey is how many rows are looked through to see how many keys they have.
	rowsPerKey = 8

	// The first write by a key only notes it: nobody knows whether another one
	// follows. The next makes filters of so many rows and files at most, in steps:
	// a row of a filter costs about as much as four that are searched.
	madeFiles = 4096
	madeMost  = 16 << 20
	madeStep  = 4 << 20
	// mostRows is the largest file that gets a filter: its hashes, eight bytes a
	// row, are in memory while it is made.
	mostRows = 32 << 20
)

// asksFilters decides whether filters are worth asking for so many rows or
// keys, and files.
func asksFilters(keys int64, perFile, files int) bool {
	return files >= filteredFiles && keys > 0 && keys <= int64(perFile*files)
}

// filtersToMake decides for which of the files that lack a filter a write
// makes one: as they come, up to so many rows. The first may be larger.
func filtersToMake(missing []*catalog.File, rows int64, files int) []*catalog.File {
	var out []*catalog.File
	for _, f := range missing {
		if f.Records > mostRows || f.Records <= 0 {
			continue
		}
		if len(out) == files || len(out) > 0 && f.Records > rows {
			break
		}
		out = append(out, f)
		rows -= f.Records
	}
	return out
}

// probe is the keys of a stage as filters are asked for them.
type probe struct {
	scheme catalog.KeyScheme
	hashes []uint64 // distinct
}

// exclude leaves out files whose filters say that they have none of the keys.
func (m *matcher) exclude(ctx context.Context, st *state, files []*catalog.File) ([]*catalog.File, error) {
	if !asksFilters(m.stage.rows, keysPerFile*rowsPerKey, len(files)) {
		return files, nil
	}
	p, err := m.probeOf(ctx, st)
	if err != nil || p == nil || !asksFilters(int64(len(p.hashes)), keysPerFile, len(files)) {
		return files, err
	}
	m.probe = p
	filters := m.j.w.Catalog.KeyFilters()
	look, err := filters.Look(ctx, p.scheme, files, p.hashes)
	if err != nil {
		return nil, err
	}
	switch {
	case m.j.inCommit: // others wait there
	case !look.Met:
		_ = filters.Meet(ctx, p.scheme) // it fails only when ctx ends
	default:
		for todo := filtersToMake(look.Missing, madeMost, madeFiles); len(todo) > 0; {
			step := filtersToMake(todo, madeStep, madeFiles)
			m.makeFilters(ctx, st, p, step, look.Lack)
			todo = todo[len(step):]
		}
	}
	for id, lacks := range look.Lack {
		if lacks {
			m.found[id] = nil
		}
	}
	return slices.DeleteFunc(files, func(f *catalog.File) bool { return look.Lack[f.ID] }), nil
}

// probeOf hashes the stage's keys; nil when filters are not for them. Inside a
// commit only keys that were hashed before it are asked for.
func (m *matcher) probeOf(ctx context.Context, st *state) (*probe, error) {
	if m.probe == nil && m.j.inCommit {
		return nil, nil
	}
	eng, err := m.j.w.Engine(ctx)
	if err != nil {
		return nil, err
	}
	scheme, ok := m.scheme(st, eng.Name())
	if !ok {
		return nil, nil
	}
	if m.probe != nil {
		if m.probe.scheme.Same(scheme) {
			return m.probe, nil
		}
		return nil, nil // the table's columns are others: the rows are staged again then
	}
	var values []string
	for _, i := range m.hashOrder(st) {
		values = append(values, m.cast(i, datafile.Quote(m.keys[i].Name)))
	}
	p := &probe{scheme: scheme}
	err = m.hashes(ctx, "SELECT DISTINCT CAST(0 AS BIGINT), hash("+strings.Join(values, ", ")+") FROM ("+m.stage.relation(m.j.plan)+")", func(_ int, h uint64) { p.hashes = append(p.hashes, h) })
	if err != nil {
		return nil, m.j.matchError(ctx, err)
	}
	return p, nil
}

// scheme is by what the table's files are filtered for the keys; ok is false
// when the keys have other types than the table's columns, or none that is hashed.
func (m *matcher) scheme(st *state, engine string) (catalog.KeyScheme, bool) {
	var key []datafile.Column
	for _, k := range m.keys {
		c := datafile.FindColumn(st.columns, k.Name)
		if c < 0 || !k.Type.Same(st.columns[c].Type) {
			return catalog.KeyScheme{}, false
		}
		key = append(key, st.columns[c])
	}
	return catalog.NewKeyScheme(engine, st.table.ID, key)
}

// hashOrder lists the places of the keys in the order of their columns' ids.
func (m *matcher) hashOrder(st *state) []int {
	id := func(i int) int64 { return st.columns[datafile.FindColumn(st.columns, m.keys[i].Name)].ID }
	out := make([]int, len(m.keys))
	for i := range out {
		out[i] = i
	}
	slices.SortFunc(out, func(a, b int) int { return int(id(a) - id(b)) })
	return out
}

// cast makes an expression the type of a key: the hash is of the type, and some
// types come back from a file as another.
func (m *matcher) cast(key int, expr string) string {
	return "CAST(" + expr + " AS " + m.keys[key].Type.SQL() + ")"
}

// makeFilters makes filters of files and notes which of them lack the keys.
// When a file cannot be read it makes none: the search for the keys meets the
// same file, and says what is wrong with it.
func (m *matcher) makeFilters(ctx context.Context, st *state, p *probe, files []*catalog.File, lack map[int64]bool) {
	filters := m.j.w.Catalog.KeyFilters()
	files, release := filters.Claim(p.scheme, files)
	defer release()
	hashes, ok := m.hashFiles(ctx, st, files)
	if !ok {
		return
	}
	made := map[catalog.FilteredFile]*catalog.KeyFilter{}
	for i, filter := range newFilters(files, hashes) {
		if place, ok := filters.Filtered(files[i]); ok && filter != nil {
			made[place] = filter
			lack[files[i].ID] = !filter.MayHoldAny(p.hashes)
		}
	}
	_ = filters.Keep(ctx, p.scheme, made) // it fails only when ctx ends
}

// hashFiles hashes the keys of every row of files.
func (m *matcher) hashFiles(ctx context.Context, st *state, files []*catalog.File) ([][]uint64, bool) {
	if len(files) == 0 {
		return nil, false
	}
	paths, hashes := make([]string, len(files)), make([][]uint64, len(files))
	for i, f := range files {
		if catalog.CheckSize(f.Path, f.Size) != nil {
			return nil, false
		}
		paths[i], hashes[i] = f.Path, make([]uint64, 0, f.Records)
	}
	var values []string
	for _, i := range m.hashOrder(st) {
		values = append(values, m.cast(i, keyName(i)))
	}
	sql := fmt.Sprintf("SELECT CAST(file_index AS BIGINT), hash(%s) FROM (SELECT file_index, %s FROM read_parquet(%s, schema=%s))",
		strings.Join(values, ", "), m.selectKeys(st, files), pathList(paths), m.tableSchema(st))
	err := m.hashes(ctx, sql, func(file int, h uint64) { hashes[file] = append(hashes[file], h) })
	return hashes, err == nil
}

// newFilters makes the filters of files from the hashes of their rows, several
// at a time; nil where that is not possible.
func newFilters(files []*catalog.File, hashes [][]uint64) []*catalog.KeyFilter {
	out := make([]*catalog.KeyFilter, len(files))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(len(files), runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(files)); i = next.Add(1) - 1 {
				if int64(len(hashes[i])) == files[i].Records {
					out[i], _ = catalog.NewKeyFilter(hashes[i])
				}
				hashes[i] = nil
			}
		})
	}
	wg.Wait()
	return out
}

// hashes runs a query for file and hash.
func (m *matcher) hashes(ctx context.Context, sql string, each func(file int, hash uint64)) error {
	rr, err := m.j.conn.Query(ctx, sql, nil)
	if err != nil {
		return err
	}
	defer rr.Release()
	for rr.Next() {
		rec := rr.RecordBatch()
		files, hashes := rec.Column(0).(*array.Int64).Int64Values(), rec.Column(1).(*array.Uint64).Uint64Values()
		for i, f := range files {
			each(int(f), hashes[i])
		}
	}
	return rr.Err()
}

// keepFilters gives the files that the write has made their filter, where such
// filters are in use: the hashes of their keys are at hand.
func (j *job) keepFilters(ctx context.Context) {
	if !j.committed || j.o.DeleteOnly || j.match == nil || j.match.probe == nil || j.match.stage != j.out {
		return
	}
	made := map[catalog.FilteredFile]*catalog.KeyFilter{}
	var filter *catalog.KeyFilter // of all rows of the write, so of each file
	for _, f := range j.out.files {
		if !j.named[f.rel] {
			continue
		}
		if filter == nil {
			var err error
			if filter, err = catalog.NewKeyFilter(slices.Clone(j.match.probe.hashes)); err != nil {
				return
			}
		}
		made[catalog.FilteredFile{Rel: f.rel, Records: f.info.Records, Size: f.info.Size}] = filter
	}
	_ = j.w.Catalog.KeyFilters().Keep(ctx, j.match.probe.scheme, made)
}
