package catalog

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestHistoryStops: a walk through the history goes no further than it is asked to.
func TestHistoryStops(t *testing.T) {
	c := newCatalog(t, nil)
	mustCommit(t, c, creates("base"))
	mustCommit(t, c, creates("other"))
	for range 5 {
		mustCommit(t, c, addRows("base", 2))
		mustCommit(t, c, addRows("other", 1))
	}
	for _, tt := range []struct {
		table int64
		want  string
	}{{0, "[12 11 10]"}, {1, "[11 9 7]"}, {2, "[12 10 8]"}} {
		var got []int64
		err := c.Read(t.Context(), func(v *View) error {
			return v.History(t.Context(), tt.table, func(e Entry) (bool, error) {
				got = append(got, e.Snapshot)
				return len(got) < 3, nil
			})
		})
		if err != nil || fmt.Sprint(got) != tt.want {
			t.Errorf("table %d: %v, %v; want %s", tt.table, got, err, tt.want)
		}
	}
}

// TestWindows: windows of any size list the same files, in the same order and
// with the same state, as the whole list, and weigh the same.
func TestWindows(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 3))
		c := newCatalog(t, nil)
		mustCommit(t, c, creates("t"))
		mustCommit(t, c, creates("u"))
		db := raw(t, c)
		for id := int64(1); id < 40; id++ {
			table, end := 1, "NULL"
			if r.IntN(5) == 0 {
				table = 2
			}
			if r.IntN(6) == 0 {
				end = "2"
			}
			exec(t, db, fmt.Sprintf(`INSERT INTO ducklake_data_file (data_file_id, table_id, begin_snapshot, end_snapshot, path, path_is_relative, file_format, record_count, file_size_bytes, row_id_start) VALUES (%d, %d, 1, %s, 'f%d', 1, 'parquet', 10, %d, 0)`, id, table, end, id, r.IntN(100)))
			if r.IntN(3) == 0 {
				exec(t, db, fmt.Sprintf(`INSERT INTO ducklake_delete_file (delete_file_id, table_id, begin_snapshot, end_snapshot, data_file_id, path, path_is_relative, format, delete_count, file_size_bytes) VALUES (%d, %d, 1, %s, %d, 'd%d', 1, 'parquet', 2, 1)`, 1000+id, table, end, id, id))
			}
		}
		exec(t, db, `CREATE TABLE ducklake_inlined_delete_1 (file_id BIGINT, row_id BIGINT, begin_snapshot BIGINT)`)
		for range r.IntN(8) {
			exec(t, db, fmt.Sprintf(`INSERT INTO ducklake_inlined_delete_1 VALUES (%d, %d, 1)`, 1+r.IntN(39), r.IntN(10)))
		}
		exec(t, db, `UPDATE ducklake_snapshot SET next_file_id = 5000`)
		ctx := t.Context()
		err := c.Read(ctx, func(v *View) error {
			tab, err := v.Table(ctx, "t", v.Head.ID)
			if err != nil {
				return err
			}
			all, err := v.Files(ctx, tab, v.Head.ID, nil)
			if err != nil {
				return err
			}
			for _, w := range []Window{{Below: 30}, {Dirty: true}, {Inlined: true}, {Below: 50, Dirty: true}, {Below: 1000, Upto: 20}, {}} {
				want := ""
				for _, f := range all {
					in := f.Size < w.Below || w.Dirty && f.Dirty() || w.Inlined && f.Inlined > 0
					if in && (w.Upto == 0 || f.ID <= w.Upto) {
						want += fmt.Sprint(f.ID, f.State(), f.Path, " ")
					}
				}
				got := ""
				w.Most, w.After = 1+r.IntN(9), -1
				for more := true; more; {
					var files []File
					files, w.After, more, err = v.FilesIn(ctx, tab, v.Head.ID, w, nil)
					if err != nil {
						return err
					}
					for _, f := range files {
						got += fmt.Sprint(f.ID, f.State(), f.Path, " ")
					}
				}
				if got != want {
					t.Errorf("seed %d, %+v:\n%s\nwant\n%s", seed, w, got, want)
				}
			}
			var want Weight
			for _, f := range all {
				want.Files, want.Bytes, want.Inlined = want.Files+1, want.Bytes+f.Size, want.Inlined+f.Inlined
				if f.Size < 30 {
					want.Small, want.SmallBytes = want.Small+1, want.SmallBytes+f.Size
				}
				if f.Delete != nil {
					want.Dead += f.Delete.Count
				}
			}
			want.LastID = 4999
			got, err := v.Weigh(ctx, tab, v.Head.ID, 30)
			if got != want {
				t.Errorf("seed %d: %+v, want %+v", seed, got, want)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestFilesBetween: what it leaves out has the same rows at both snapshots.
func TestFilesBetween(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 4))
		c := newCatalog(t, nil)
		mustCommit(t, c, creates("t"))
		for range 5 {
			mustCommit(t, c, creates("u"+fmt.Sprint(r.Uint64())))
		}
		db := raw(t, c)
		life := func() (begin int, end string) {
			if begin = 1 + r.IntN(6); r.IntN(2) == 0 {
				return begin, "NULL"
			}
			return begin, fmt.Sprint(begin + 1 + r.IntN(3))
		}
		partial := func(begin int) string {
			if r.IntN(3) > 0 {
				return "NULL"
			}
			return fmt.Sprint(begin + r.IntN(3))
		}
		for id := int64(1); id < 40; id++ {
			begin, end := life()
			exec(t, db, fmt.Sprintf(`INSERT INTO ducklake_data_file (data_file_id, table_id, begin_snapshot, end_snapshot, path, path_is_relative, file_format, record_count, file_size_bytes, row_id_start, partial_max) VALUES (%d, 1, %d, %s, 'f%d', 1, 'parquet', 10, 1, 0, %s)`, id, begin, end, id, partial(begin)))
			if r.IntN(3) == 0 {
				begin, end := life()
				exec(t, db, fmt.Sprintf(`INSERT INTO ducklake_delete_file (delete_file_id, table_id, begin_snapshot, end_snapshot, data_file_id, path, path_is_relative, format, delete_count, file_size_bytes, partial_max) VALUES (%d, 1, %d, %s, %d, 'd%d', 1, 'parquet', 2, 1, %s)`, 1000+id, begin, end, id, id, partial(begin)))
			}
		}
		exec(t, db, `CREATE TABLE ducklake_inlined_delete_1 (file_id BIGINT, row_id BIGINT, begin_snapshot BIGINT)`)
		for range r.IntN(8) {
			exec(t, db, fmt.Sprintf(`INSERT INTO ducklake_inlined_delete_1 VALUES (%d, %d, %d)`, 1+r.IntN(39), r.IntN(10), 1+r.IntN(6)))
		}
		ctx := t.Context()
		state := func(f File, at int64) string {
			s := fmt.Sprint(f.ID, f.State())
			if f.PartialMax != nil {
				s += fmt.Sprint(" rows up to ", min(at, *f.PartialMax))
			}
			if f.Delete != nil && f.Delete.PartialMax != nil {
				s += fmt.Sprint(" dead up to ", min(at, *f.Delete.PartialMax))
			}
			return s
		}
		left := 0
		err := c.Read(ctx, func(v *View) error {
			tab, err := v.Table(ctx, "t", v.Head.ID)
			if err != nil {
				return err
			}
			for a := int64(1); a <= 6; a++ {
				for b := int64(1); b <= 6; b++ {
					all := map[string]int{}
					for _, at := range []int64{a, b} {
						list, err := v.Files(ctx, tab, at, nil)
						if err != nil {
							return err
						}
						for _, f := range list {
							all[state(f, at)]++
						}
					}
					between, err := v.Between(ctx, tab, a, b)
					if err != nil {
						return err
					}
					for _, at := range []int64{a, b} {
						list, err := v.FilesBetween(ctx, tab, at, between, nil)
						if err != nil {
							return err
						}
						for _, f := range list {
							delete(all, state(f, at))
						}
					}
					for s, n := range all {
						if left++; n != 2 {
							t.Errorf("seed %d, %d and %d: %q is left out", seed, a, b, s)
						}
					}
				}
			}
			return nil
		})
		if err != nil || left == 0 {
			t.Fatal(err, left)
		}
	}
}

// TestBetweenByIndex: what changed is found without a look at every file.
func TestBetweenByIndex(t *testing.T) {
	c := newCatalog(t, nil)
	rows, err := raw(t, c).QueryContext(t.Context(), `EXPLAIN QUERY PLAN `+changedBetween("ducklake_data_file")+` UNION `+changedBetween("ducklake_delete_file"), 1, 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var plan strings.Builder
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		plan.WriteString(step + "\n")
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	for _, index := range []string{"data_file", "data_file_end", "data_file_partial", "delete_file_begin", "delete_file_end", "delete_file_partial"} {
		if !strings.Contains(plan.String(), "supertable_idx_"+index+" (table_id=? AND ") {
			t.Errorf("supertable_idx_%s is not used:\n%s", index, plan.String())
		}
	}
}

// TestDeleteFilesAreNamed: a file's state names each of its delete files, and
// their order is that of their ids, however the catalog has them.
func TestDeleteFilesAreNamed(t *testing.T) {
	c := newCatalog(t, nil)
	mustCommit(t, c, creates("t"))
	db := raw(t, c)
	exec(t, db, `INSERT INTO ducklake_data_file (data_file_id, table_id, begin_snapshot, path, path_is_relative, file_format, record_count, file_size_bytes, row_id_start) VALUES (1, 1, 1, 'f', 1, 'parquet', 10, 1, 0)`,
		`DROP INDEX supertable_idx_delete_file`, `CREATE INDEX supertable_idx_delete_file ON ducklake_delete_file (table_id, data_file_id, delete_file_id DESC)`)
	name := func(id int) {
		exec(t, db, fmt.Sprintf(`INSERT INTO ducklake_delete_file (delete_file_id, table_id, begin_snapshot, data_file_id, path, path_is_relative, format, delete_count, file_size_bytes) VALUES (%d, 1, 1, 1, 'd%d', 1, 'parquet', 2, 1)`, id, id))
	}
	name(9)
	name(5)
	name(7)
	ctx := t.Context()
	err := c.Read(ctx, func(v *View) error {
		tab, err := v.Table(ctx, "t", v.Head.ID)
		if err != nil {
			return err
		}
		files, err := v.Files(ctx, tab, v.Head.ID, nil)
		if err != nil {
			return err
		}
		if f := files[0]; f.Delete.ID != 5 || len(f.More) != 2 || f.More[0].ID != 7 || f.More[1].ID != 9 {
			t.Errorf("delete files %d, %+v", f.Delete.ID, f.More)
		}
		same, err := v.Unchanged(ctx, tab, files)
		if err == nil && !same {
			t.Error("the same delete files are other ones")
		}
		files[0].More[0].ID = 6 // as many, and the last is the same
		if same, err = v.Unchanged(ctx, tab, files); err == nil && same {
			t.Error("another delete file is taken for the same")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
