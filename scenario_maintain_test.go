package supertable_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/testdb"
)

// TestW17 inserts again what was deleted; compaction brings nothing back.
func TestW17(t *testing.T) {
	k := newKept(t)
	k.put("t", `[{"k":1,"v":"v1"}]`)
	k.remove("t", `[{"k":1}]`)
	k.put("t", `[{"k":1,"v":"v2"}]`)
	for range 2 {
		if got := testdb.Query(t, k.Session, "SELECT * FROM t", nil); got != "1|v2" {
			t.Errorf("got %s", got)
		}
		k.compact("t")
	}
}

// TestW20: compaction drains the dead rows and brings none back.
func TestW20(t *testing.T) {
	for _, limit := range []string{"0", "2000"} { // delete files, and rows in the catalog
		k := newKept(t)
		k.option("", "inline_delete_limit", limit)
		k.put("t", `[{"k":1,"v":"a"},{"k":2,"v":"b"}]`)
		k.put("t", `[{"k":3,"v":"c"}]`)
		k.put("t", `[{"k":4,"v":"d"}]`)
		k.remove("t", `[{"k":1}]`)
		before := k.answers()
		if got := before[k.head()]["t"]; !strings.HasSuffix(got, "2|b\n3|c\n4|d") {
			t.Fatal(got)
		}
		res := k.compact("t")
		if len(res) != 1 || res[0].FilesBefore != 3 || res[0].FilesAfter != 1 || res[0].Snapshot != k.head() || res[0].BytesAfter >= res[0].BytesBefore {
			t.Errorf("%+v", res)
		}
		k.wantShape("t", 1, 3, 0)
		now := k.answers()
		k.same("compact", before, now)
		if now[k.head()]["t"] != before[4]["t"] {
			t.Errorf("the head is %s", now[k.head()]["t"])
		}
		list, err := k.Tables(t.Context())
		if err != nil || list[0].Rows != 3 || list[0].Files != 1 {
			t.Errorf("%+v, %v", list, err)
		}
		k.check()
	}
}

// TestW21: dead rows are drained when the table has as many as its limit.
func TestW21(t *testing.T) {
	k := newKept(t)
	k.option("", "inline_delete_limit", "0")
	k.put("t", `[{"k":1,"v":"a"},{"k":2,"v":"b"}]`)
	k.put("t", `[{"k":3,"v":"c"},{"k":4,"v":"d"}]`)
	k.option("t", "max_tombstone_rows", "2")
	k.option("t", "max_overlapping_files", "100")
	k.remove("t", `[{"k":1}]`)
	if r := k.maintain(); len(r.Compact) != 0 {
		t.Errorf("%+v", r)
	}
	k.wantShape("t", 2, 4, 1)
	k.remove("t", `[{"k":3}]`)
	if r := k.maintain(); len(r.Compact) != 1 || r.Compact[0].FilesAfter != 2 {
		t.Errorf("%+v", r)
	}
	k.wantShape("t", 2, 2, 0)
	if got := testdb.Query(t, k.Session, "SELECT * FROM t", nil); got != "2|b\n4|d" {
		t.Error(got)
	}
	for i := range 5 {
		k.add("t", fmt.Sprintf(`[{"k":%d,"v":"x"}]`, 10+i))
		if r := k.maintain(); len(r.Compact)+len(r.Flush) != 0 {
			t.Errorf("append %d: %+v", i, r)
		}
	}
	k.wantShape("t", 7, 7, 0)
}

// TestW22: small files are merged when there are as many as the limit.
func TestW22(t *testing.T) {
	k := newKept(t)
	k.add("t", `[{"k":1,"v":"a"},{"k":2,"v":"b"},{"k":3,"v":"c"}]`)
	k.option("t", "max_overlapping_files", "2")
	if r := k.maintain(); len(r.Compact) != 0 {
		t.Errorf("%+v", r)
	}
	k.add("t", `[{"k":1,"v":"a"},{"k":2,"v":"b"},{"k":3,"v":"c"}]`)
	if r := k.maintain(); len(r.Compact) != 1 {
		t.Errorf("%+v", r)
	}
	k.wantShape("t", 1, 6, 0)
	k.sqliteNone("file statistics of merged files", `SELECT count(*) FROM ducklake_file_column_stats s WHERE NOT EXISTS (SELECT 1 FROM ducklake_data_file f WHERE f.data_file_id = s.data_file_id)`)
}

// TestW23: a file whose last row dies leaves at once.
func TestW23(t *testing.T) {
	k := newKept(t)
	k.put("t", `[{"k":1,"v":"a"}]`)
	k.put("t", `[{"k":1,"v":"b"}]`)
	k.wantShape("t", 1, 1, 0)
}

// TestW24: columns that are called like folders of partitions stay as they are.
func TestW24(t *testing.T) {
	k := newKept(t)
	const cols = "grp:int64,day:text,year:int32,month:int32"
	for i := range 3 {
		testdb.Write(t, k.Session, "t", cols, fmt.Sprintf(`[{"grp":%d,"day":"d%d","year":2020,"month":%d}]`, i, i, i), nil)
	}
	before := testdb.Query(t, k.Session, "SELECT * FROM t", nil)
	schema, err := k.Schema(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	k.compact("t")
	after, err := k.Schema(t.Context(), "t")
	if got := testdb.Query(t, k.Session, "SELECT * FROM t", nil); err != nil || got != before || !slices.Equal(schema, after) {
		t.Errorf("%s, %v, %v; it was %s, %v", got, after, err, before, schema)
	}
}

// TestW25: without work there is no new snapshot; a missing table stays missing.
func TestW25(t *testing.T) {
	k := newKept(t)
	k.put("t", `[{"k":1,"v":"a"}]`)
	k.put("t", `[{"k":2,"v":"b"}]`)
	k.compact("t")
	head := k.head()
	res := k.compact("t")
	if len(res) != 1 || res[0].FilesBefore != 1 || res[0].FilesAfter != 1 || res[0].Snapshot != head || k.head() != head {
		t.Errorf("%+v; head %d, it was %d", res, k.head(), head)
	}
	if all := k.compact(""); len(all) != 0 {
		t.Errorf("%+v", all)
	}
	if f := k.flush("t"); len(f) != 1 || f[0].Rows != 0 || f[0].Snapshot != head {
		t.Errorf("%+v", f)
	}
	for _, call := range []func() error{
		func() error { _, err := k.Compact(t.Context(), "none", nil); return err },
		func() error { _, err := k.Flush(t.Context(), "none", nil); return err },
	} {
		if err := call(); supertable.KindOf(err) != supertable.NotFound || !strings.Contains(err.Error(), "Table not found: default/main/none") {
			t.Error(err)
		}
	}
	if list, err := k.Tables(t.Context()); err != nil || len(list) != 1 {
		t.Errorf("%v %v", list, err)
	}
}

// breakFile overwrites a file in place and gives what repairs it.
func breakFile(t *testing.T, path string) (repair func()) {
	t.Helper()
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	bad := slices.Clone(good)
	for i := range len(bad) / 2 {
		bad[i+len(bad)/4] ^= 0x5a
	}
	write := func(b []byte) {
		_ = os.Remove(path) // the trace in tmp may be a link to it
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(bad)
	return func() { write(good) }
}

// TestW33: deletes that cannot be read fail every step that needs them.
func TestW33(t *testing.T) {
	k := newKept(t)
	k.option("", "inline_delete_limit", "0")
	k.put("t", `[{"k":1,"v":"a"},{"k":2,"v":"b"},{"k":3,"v":"c"}]`)
	k.remove("t", `[{"k":1}]`)
	head := k.head()
	var deletes string
	for _, f := range k.stored() {
		if strings.HasSuffix(f, "-delete.parquet") {
			deletes = filepath.Join(k.folder().Data(), f)
		}
	}
	repair := breakFile(t, deletes)
	fresh := keptAt(t, k.Home, nil) // nothing of it is in memory
	rr := testdb.Batch(t, "k:int64", `[{"k":2}]`)
	defer rr.Release()
	if _, err := fresh.Write(t.Context(), "t", rr, &supertable.WriteOptions{Key: []string{"k"}, DeleteOnly: true}); supertable.KindOf(err) != supertable.Corrupt {
		t.Errorf("delete: %v", err)
	}
	if _, err := fresh.Compact(t.Context(), "t", nil); supertable.KindOf(err) != supertable.Corrupt {
		t.Errorf("compact: %v", err)
	}
	if k.head() != head {
		t.Errorf("head %d, it was %d", k.head(), head)
	}
	repair()
	fresh.compact("t")
	if got := testdb.Query(t, fresh.Session, "SELECT * FROM t", nil); got != "2|b\n3|c" {
		t.Error(got)
	}
}

// TestW34: a data file that cannot be read, or is not what was written, fails
// the compaction and stays what it is.
func TestW34(t *testing.T) {
	k := newKept(t)
	k.put("t", `[{"k":1,"v":"a"},{"k":2,"v":"b"}]`)
	k.remove("t", `[{"k":1}]`)
	head, files := k.head(), k.stored()
	repair := breakFile(t, filepath.Join(k.folder().Data(), files[0]))
	_, err := k.Compact(t.Context(), "t", nil)
	if supertable.KindOf(err) != supertable.Corrupt || !strings.Contains(err.Error(), filepath.Base(files[0])) || strings.Contains(err.Error(), k.Home) {
		t.Errorf("compact: %v", err)
	}
	if k.head() != head || !slices.Equal(k.stored(), files) {
		t.Errorf("head %d, it was %d; files %v", k.head(), head, k.stored())
	}
	repair()
	k.wantShape("t", 1, 2, 1)
	k.compact("t")
	if got := testdb.Query(t, k.Session, "SELECT * FROM t", nil); got != "2|b" {
		t.Error(got)
	}
	k.wantShape("t", 1, 1, 0)
}

// TestW40: a reader that began before writes, compaction, expiry and cleaning
// sees its rows to the end; what it reads goes only after it has ended.
func TestW40(t *testing.T) {
	k := newKept(t)
	for i := range 4 {
		var rows []string
		for n := range 5000 {
			rows = append(rows, fmt.Sprintf(`{"k":%d,"v":"%d of %d"}`, i*5000+n, n, i))
		}
		k.put("t", "["+strings.Join(rows, ",")+"]")
	}
	reader, err := k.Query(t.Context(), "SELECT k FROM t", nil)
	if err != nil {
		t.Fatal(err)
	}
	old := k.stored()
	k.put("t", `[{"k":1,"v":"new"}]`)
	k.compact("t")
	other := keptAt(t, k.Home, nil) // as another process would
	if gone := other.expire(1); !slices.Equal(gone, []int64{0, 1, 2, 3}) {
		t.Errorf("expired %v under a reader of 4", gone)
	}
	if gone := other.clean(); len(gone) != 0 {
		t.Errorf("removed %v under a reader", gone)
	}
	n := 0
	for reader.Next() {
		n += int(reader.Batch().NumRows())
	}
	if err := reader.Err(); err != nil || n != 20000 {
		t.Errorf("%d rows, %v", n, err)
	}
	_ = reader.Close()
	other.expire(1)
	if gone := other.clean(); len(gone) < len(old) {
		t.Errorf("removed %v, there were %v", gone, old)
	}
	if f, _, _ := k.shape("t"); len(k.stored()) != f {
		t.Errorf("%d files are left of %d", len(k.stored()), f)
	}
}

// TestX06: of a dropped table nothing is left once its snapshots have expired.
func TestX06(t *testing.T) {
	k := newKept(t)
	k.option("", "inline_delete_limit", "0")
	k.put("t", `[{"k":1,"v":"a"},{"k":2,"v":"b"}]`)
	k.remove("t", `[{"k":1}]`)
	k.add("other", `[{"k":1,"v":"a"}]`)
	k.option("t", "max_overlapping_files", "7")
	if dropped, err := k.DropTable(t.Context(), "t"); err != nil || !dropped {
		t.Fatal(dropped, err)
	}
	k.clean()
	at := int64(2)
	if got := testdb.Query(t, k.Session, "SELECT * FROM t", &supertable.QueryOptions{AtVersion: &at}); got != "2|b" {
		t.Errorf("before its end: %s", got)
	}
	k.add("other", `[{"k":2,"v":"b"}]`)
	k.expire(1)
	gone := k.clean()
	if len(gone) != 2 {
		t.Errorf("removed %v", gone)
	}
	for _, f := range k.stored() {
		if strings.HasPrefix(f, "main/t/") {
			t.Errorf("%s is left", f)
		}
	}
	for _, table := range []string{"ducklake_table", "ducklake_column", "ducklake_data_file", "ducklake_delete_file", "ducklake_table_stats", "ducklake_table_column_stats", "ducklake_schema_versions", "ducklake_file_column_stats", "supertable_option"} {
		k.sqliteNone(table, "SELECT count(*) FROM "+table+" WHERE table_id = 1")
	}
	k.put("t", `[{"k":9,"v":"z"}]`) // a table of that name starts anew
	if got := testdb.Query(t, k.Session, "SELECT * FROM t", nil); got != "9|z" {
		t.Error(got)
	}
	k.check()
}
