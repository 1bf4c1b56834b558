package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/internal/errs"
)

// keyed is a set of files with known keys, and a catalog that keeps filters.
type keyed struct {
	t      *testing.T
	r      *rand.Rand
	c      *Catalog
	scheme KeyScheme
	files  []*File
	keys   [][]uint64
}

func newKeyed(t *testing.T, files int) *keyed {
	t.Helper()
	k := &keyed{t: t, r: rand.New(rand.NewPCG(seed(t), 9)), c: newCatalog(t, nil), scheme: schemeOf(t, "engine 1", "uuid")}
	for i := range files {
		k.add(i)
	}
	return k
}

func schemeOf(t *testing.T, engine string, types ...string) KeyScheme {
	t.Helper()
	var cols []datafile.Column
	for i, typ := range types {
		parsed, err := datafile.ParseLake(typ)
		if err != nil {
			t.Fatal(err)
		}
		cols = append(cols, datafile.Column{ID: int64(i + 1), Name: fmt.Sprint("k", i), Type: parsed})
	}
	s, ok := NewKeyScheme(engine, 7, cols)
	if !ok {
		t.Fatalf("no scheme of %v", types)
	}
	return s
}

// add makes a file with some keys; the file is there, its bytes do not matter.
func (k *keyed) add(i int) {
	k.t.Helper()
	keys := randomHashes(k.r, 50+k.r.IntN(100))
	f := &File{ID: int64(i), Path: k.c.dataPath + fmt.Sprintf("main/t/ducklake-%d-%d.parquet", i, k.r.Uint64()), Records: int64(len(keys)), Size: 1000 + int64(i)}
	if err := os.MkdirAll(filepath.Dir(f.Path), 0o777); err != nil {
		k.t.Fatal(err)
	}
	if err := os.WriteFile(f.Path, nil, 0o666); err != nil {
		k.t.Fatal(err)
	}
	k.files, k.keys = append(k.files, f), append(k.keys, keys)
}

// keep makes and keeps the filters of some files.
func (k *keyed) keep(files ...*File) {
	k.t.Helper()
	made := map[FilteredFile]*KeyFilter{}
	for _, f := range files {
		i := slices.Index(k.files, f)
		filter, err := NewKeyFilter(slices.Clone(k.keys[i]))
		if err != nil {
			k.t.Fatal(err)
		}
		place, ok := k.c.keys.Filtered(f)
		if !ok {
			k.t.Fatal("the file has no place")
		}
		made[place] = filter
	}
	if err := k.c.keys.Keep(k.t.Context(), k.scheme, made); err != nil {
		k.t.Fatal(err)
	}
}

// holds asks for a key of each file, and never hears that it is not there; it
// gives how many of the files had filters.
func (k *keyed) holds(s KeyScheme) (filtered int) {
	k.t.Helper()
	for i, f := range k.files {
		look, err := k.c.keys.Look(k.t.Context(), s, k.files, []uint64{k.keys[i][k.r.IntN(len(k.keys[i]))]})
		if err != nil {
			k.t.Fatal(err)
		}
		if look.Lack[f.ID] {
			k.t.Fatalf("file %d is said to lack a key that it has", i)
		}
		filtered = len(k.files) - len(look.Missing)
	}
	return filtered
}

// lacking asks for keys that no file has.
func (k *keyed) lacking(s KeyScheme) int {
	k.t.Helper()
	look, err := k.c.keys.Look(k.t.Context(), s, k.files, randomHashes(k.r, 1))
	if err != nil {
		k.t.Fatal(err)
	}
	return len(look.Lack)
}

// fresh is a process that begins.
func (k *keyed) fresh() {
	k.t.Helper()
	folder := k.c.folder
	if err := k.c.Close(); err != nil {
		k.t.Fatal(err)
	}
	k.c = openFolder(k.t, folder, nil)
}

func TestKeyFiltersAreKept(t *testing.T) {
	k := newKeyed(t, 10)
	if n := k.holds(k.scheme); n != 0 {
		t.Fatalf("%d filters before one was made", n)
	}
	if _, err := os.Stat(k.c.keys.path()); err == nil {
		t.Error("looking made a database")
	}
	k.keep(k.files[:6]...)
	k.fresh()
	for range 2 { // from the disk, from memory
		if n, l := k.holds(k.scheme), k.lacking(k.scheme); n != 6 || l < 4 || l > 6 {
			t.Errorf("%d of 6 filters are there, %d say no", n, l)
		}
	}
	schemes, err := k.c.keys.Schemes(t.Context(), "engine 1", 7)
	if err != nil || len(schemes) != 1 || !schemes[0].Same(k.scheme) {
		t.Errorf("schemes %v, %v", schemes, err)
	}
	for _, other := range []struct {
		engine string
		table  int64
	}{{"engine 2", 7}, {"engine 1", 8}} {
		if s, err := k.c.keys.Schemes(t.Context(), other.engine, other.table); len(s) > 0 || err != nil {
			t.Errorf("%+v has schemes %v, %v", other, s, err)
		}
	}
	// What is not the same file has no filter, whatever its id.
	for name, change := range map[string]func(*File){
		"rows": func(f *File) { f.Records++ }, "size": func(f *File) { f.Size++ }, "path": func(f *File) { f.Path += "x" },
		"outside": func(f *File) { f.Outside = true }, "mapped": func(f *File) { f.MappingID = &f.ID }, "elsewhere": func(f *File) { f.Path = "/other/" + f.Path },
	} {
		f := *k.files[0]
		change(&f)
		if look, err := k.c.keys.Look(t.Context(), k.scheme, []*File{&f}, randomHashes(k.r, 1)); len(look.Lack) > 0 || err != nil {
			t.Errorf("%s: a filter of another file was asked", name)
		}
	}
}

// TestKeySchemes holds which hashes are taken for the same: not those of
// another engine, type, column, default or order.
func TestKeySchemes(t *testing.T) {
	k := newKeyed(t, 5)
	k.keep(k.files...)
	def := "5"
	withDefault := k.scheme
	withDefault.Columns = []KeyColumn{{ID: 1, Type: "UUID", Default: &def}}
	otherID := k.scheme
	otherID.Columns = []KeyColumn{{ID: 2, Type: "UUID"}}
	for name, s := range map[string]KeyScheme{
		"engine": schemeOf(t, "engine 2", "uuid"), "type": schemeOf(t, "engine 1", "varchar"), "columns": schemeOf(t, "engine 1", "uuid", "int64"), "default": withDefault, "id": otherID,
	} {
		if n := k.holds(s); n != 0 {
			t.Errorf("other %s: %d filters are taken for its own", name, n)
		}
	}
	a := datafile.Column{ID: 1, Type: datafile.Type{Name: "int64"}}
	b := datafile.Column{ID: 2, Type: datafile.Type{Name: "varchar"}}
	ab, _ := NewKeyScheme("e", 1, []datafile.Column{a, b})
	ba, _ := NewKeyScheme("e", 1, []datafile.Column{b, a})
	if !ab.Same(ba) {
		t.Error("the order in which a key is named makes another scheme")
	}
	for _, typ := range []string{"json", "interval", "timetz", "int128", "struct"} {
		if _, ok := NewKeyScheme("e", 1, []datafile.Column{{ID: 1, Type: datafile.Type{Name: typ}}}); ok {
			t.Errorf("%s is hashed", typ)
		}
	}
	if _, ok := NewKeyScheme("e", 1, nil); ok {
		t.Error("no key is a key")
	}
	// A newer engine takes the place of the older one, a wider type too.
	for _, s := range []KeyScheme{schemeOf(t, "engine 2", "uuid"), schemeOf(t, "engine 2", "varchar")} {
		k.scheme = s
		k.keep(k.files[0])
		var n int
		if err := k.c.keys.db.QueryRowContext(t.Context(), `SELECT (SELECT count(*) FROM filter) + (SELECT count(*) FROM scheme)`).Scan(&n); err != nil || n != 2 {
			t.Errorf("%d rows are left, %v", n, err)
		}
	}
}

// TestKeyFiltersDamaged does to the database what disks and people do: no file
// is ever said to lack what it has, nothing fails, and filters are made again.
func TestKeyFiltersDamaged(t *testing.T) {
	k := newKeyed(t, 12)
	k.keep(k.files...)
	k.fresh()
	path := k.c.keys.path()
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	edit := func(stmts ...string) func() {
		return func() {
			db := sql.OpenDB(connector{fileDSN(path, map[string]string{"mode": "rw"})})
			defer func() { _ = db.Close() }()
			for _, s := range stmts {
				if _, err := db.ExecContext(t.Context(), s); err != nil {
					t.Fatalf("%s: %v", s, err)
				}
			}
		}
	}
	write := func(b []byte) func() {
		return func() {
			if err := os.WriteFile(path, b, 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	flip := func() {
		b := slices.Clone(good)
		for range 1 + k.r.IntN(30) {
			b[k.r.IntN(len(b))] ^= 1 << k.r.IntN(8)
		}
		write(b)()
	}
	damages := map[string]func(){
		"deleted":         func() { _ = os.Remove(path) },
		"empty":           write(nil),
		"text":            write([]byte(strings.Repeat("not a database ", 1000))),
		"half":            write(good[:len(good)/2]),
		"odd":             write(good[:len(good)/3+7]),
		"newer version":   edit(`PRAGMA user_version = 99`),
		"no tables":       edit(`DROP TABLE filter`, `DROP TABLE scheme`),
		"other tables":    edit(`DROP TABLE filter`, `CREATE TABLE filter (x)`),
		"exchanged":       edit(`CREATE TABLE copy AS SELECT * FROM filter`, `UPDATE filter SET (sum, body) = (SELECT sum, body FROM copy c WHERE c.filter = 13 - filter.filter)`),
		"moved":           edit(`CREATE TABLE copy AS SELECT * FROM filter`, `UPDATE filter SET path = 'x' || path`, `UPDATE filter SET path = (SELECT path FROM copy c WHERE c.filter = 13 - filter.filter)`),
		"emptied filters": edit(`UPDATE filter SET body = x'010000000000'`),
		"null sums":       edit(`UPDATE filter SET sum = x''`),
		"a scheme is another's": edit(`UPDATE scheme SET name = replace(name, 'UUID', 'VARCHAR')`,
			`INSERT INTO scheme (table_id, engine, columns, name) SELECT table_id, engine, columns, replace(name, 'VARCHAR', 'UUID') FROM scheme`, `UPDATE filter SET scheme = (SELECT max(scheme) FROM scheme)`),
	}
	for i := range 40 {
		damages[fmt.Sprint("flipped ", i)] = flip
	}
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			k.t = t
			if err := k.c.Close(); err != nil {
				t.Fatal(err)
			}
			for _, s := range []string{"-wal", "-shm"} {
				_ = os.Remove(path + s)
			}
			write(good)()
			damage()
			k.c = openFolder(t, k.c.folder, nil)
			k.holds(k.scheme)
			k.holds(schemeOf(t, "engine 1", "varchar"))
			if _, err := k.c.keys.Schemes(t.Context(), "engine 1", 7); err != nil {
				t.Error(err)
			}
			// The first write may meet the damage, and so may the reader behind it,
			// in a page that no write looked at: then it is gone.
			n := 0
			for round := 0; round < 3 && n != len(k.files); round++ {
				k.keep(k.files...)
				k.keep(k.files...)
				k.fresh()
				n = k.holds(k.scheme)
			}
			if n != len(k.files) {
				t.Errorf("%d of %d filters were made again", n, len(k.files))
			}
		})
	}
	k.t = t
}

// TestKeyFiltersLostWhileInUse takes the database away, and puts other things
// in its place, while it is open.
func TestKeyFiltersLostWhileInUse(t *testing.T) {
	k := newKeyed(t, 8)
	for i := range 30 {
		k.keep(k.files[k.r.IntN(len(k.files))])
		k.holds(k.scheme)
		path := k.c.keys.path()
		switch i % 5 {
		case 0:
			_ = os.RemoveAll(k.c.folder.Index())
		case 1:
			_ = os.Truncate(path, int64(k.r.IntN(20_000)))
		case 2:
			_ = os.Remove(path + "-wal")
		case 3:
			if f, err := os.OpenFile(path, os.O_WRONLY, 0); err == nil {
				_, _ = f.WriteAt([]byte("what is this doing here"), int64(k.r.IntN(40_000)))
				_ = f.Close()
			}
		}
		k.c.keys.cache = keyCache{limit: keyCacheBytes}
		k.holds(k.scheme)
		if i%7 == 0 {
			k.fresh()
		}
	}
}

// TestKeyFiltersUnusable cannot have its database at all.
func TestKeyFiltersUnusable(t *testing.T) {
	k := newKeyed(t, 5)
	if err := os.MkdirAll(k.c.keys.path(), 0o777); err != nil {
		t.Fatal(err)
	}
	k.keep(k.files...)
	k.keep(k.files...)
	if !k.c.keys.off {
		t.Error("it is tried for ever")
	}
	k.holds(k.scheme)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	k = newKeyed(t, 5)
	k.keep(k.files...)
	k.fresh()
	if _, err := k.c.keys.Look(ctx, k.scheme, k.files, []uint64{1}); !errors.Is(err, errs.Cancelled) && err == nil {
		t.Errorf("a look that was called off: %v", err)
	}
	if k.c.keys.off {
		t.Error("a caller that gives up turns it off")
	}
}

// TestKeyFiltersOfFilesThatAreGone holds that filters go after their files.
func TestKeyFiltersOfFilesThatAreGone(t *testing.T) {
	k := newKeyed(t, 100)
	k.keep(k.files...)
	for _, f := range k.files[:90] {
		if err := os.Remove(f.Path); err != nil {
			t.Fatal(err)
		}
	}
	k.files, k.keys = k.files[90:], k.keys[90:]
	for range 2*100/sweepLeast + 2 {
		k.keep(k.files[0])
	}
	var n int
	if err := k.c.keys.db.QueryRowContext(t.Context(), `SELECT count(*) FROM filter`).Scan(&n); err != nil || n != 10 {
		t.Errorf("%d filters of 10 files, %v", n, err)
	}
	k.fresh()
	if n := k.holds(k.scheme); n != 10 {
		t.Errorf("%d of 10 filters are left", n)
	}
}

// TestKeyFiltersOfTwo has two processes keep and ask at once.
func TestKeyFiltersOfTwo(t *testing.T) {
	k := newKeyed(t, 40)
	other := &keyed{t: t, r: rand.New(rand.NewPCG(1, 1)), c: openFolder(t, k.c.folder, nil), scheme: k.scheme, files: k.files, keys: k.keys}
	var wg sync.WaitGroup
	for w, who := range []*keyed{k, other} {
		wg.Go(func() {
			for i := w; i < len(who.files); i += 2 {
				place, _ := who.c.keys.Filtered(who.files[i])
				filter, err := NewKeyFilter(slices.Clone(who.keys[i]))
				if err != nil {
					t.Error(err)
				}
				if err := who.c.keys.Keep(t.Context(), who.scheme, map[FilteredFile]*KeyFilter{place: filter}); err != nil {
					t.Error(err)
				}
				look, err := who.c.keys.Look(t.Context(), who.scheme, who.files, who.keys[i][:1])
				if err != nil || look.Lack[who.files[i].ID] {
					t.Errorf("file %d: %v, %v", i, look.Lack, err)
				}
			}
		})
	}
	wg.Wait()
	k.fresh()
	if n := k.holds(k.scheme); n < 30 { // one that met the other's lock for long is not kept
		t.Errorf("%d of 40 filters are kept", n)
	}
}

func TestClaimKeyFilters(t *testing.T) {
	k := newKeyed(t, 4)
	mine, release := k.c.keys.Claim(k.scheme, k.files[:3])
	theirs, end := k.c.keys.Claim(k.scheme, k.files)
	if len(mine) != 3 || len(theirs) != 1 || theirs[0] != k.files[3] {
		t.Errorf("claimed %d and then %d", len(mine), len(theirs))
	}
	if all, _ := k.c.keys.Claim(schemeOf(t, "engine 1", "varchar"), k.files); len(all) != 4 {
		t.Error("filters by another key are not free")
	}
	release()
	end()
	if all, _ := k.c.keys.Claim(k.scheme, k.files); len(all) != 4 {
		t.Errorf("%d of 4 are free again", len(all))
	}
}
