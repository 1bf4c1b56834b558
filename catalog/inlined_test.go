package catalog

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/storage"
)

// places lists the inlined tables with their columns, and how many of them
// have no schema version of their table that began with a snapshot of theirs.
func places(t *testing.T, c *Catalog) (string, int) {
	t.Helper()
	rows, err := c.db.QueryContext(t.Context(), `SELECT i.table_name, (SELECT group_concat(name, ' ') FROM pragma_table_info(i.table_name) WHERE cid > 2),
 EXISTS (SELECT 1 FROM ducklake_schema_versions v JOIN ducklake_snapshot s ON s.snapshot_id = v.begin_snapshot AND s.schema_version = v.schema_version WHERE v.table_id = i.table_id AND v.schema_version = i.schema_version)
 FROM ducklake_inlined_data_tables i ORDER BY i.schema_version`)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var out []string
	unknown := 0
	for rows.Next() {
		var name, columns string
		var known bool
		if err := rows.Scan(&name, &columns, &known); err != nil {
			t.Fatal(err)
		}
		if !known {
			unknown++
		}
		out = append(out, strings.TrimPrefix(name, "ducklake_inlined_data_")+": "+columns)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(out, "; "), unknown
}

// TestPlaces: every schema of a table has its inlined table, where rows may
// stay inside.
func TestPlaces(t *testing.T) {
	cols := func(names ...string) []datafile.Column {
		var out []datafile.Column
		for i, n := range names {
			out = append(out, datafile.Column{ID: int64(i + 1), Name: n, Type: datafile.Type{Name: "int64"}, Nullable: true})
		}
		return out
	}
	wide := make([]string, mostInlined+1)
	for i := range wide {
		wide[i] = fmt.Sprintf("c%d", i)
	}
	make := func(columns []datafile.Column) Decide {
		return func(context.Context, *View) (*Change, error) {
			return &Change{Create: &NewTable{Name: "t", Columns: columns}, Record: Record{Operation: "create", Principal: "test"}}, nil
		}
	}
	change := func(name string, ch Change) Decide {
		return func(ctx context.Context, v *View) (*Change, error) {
			at := v.Head.ID
			if ch.Restore != nil && ch.Restore.Undrop {
				at = ch.Restore.At
			}
			var err error
			ch.Table, err = v.Table(ctx, name, at)
			ch.Record = Record{Operation: "alter", Principal: "test"}
			return &ch, err
		}
	}
	for _, c := range []struct {
		name   string
		inline int
		steps  []Decide
		want   string
	}{
		{"created", 0, []Decide{make(cols("id"))}, "1_1: id"},
		{"every write makes files", -1, []Decide{make(cols("id")), change("t", Change{Columns: cols("id", "b")})}, ""},
		{"altered, renamed, dropped and back, rolled back", 0, []Decide{
			make(cols("id")), // 1
			change("t", Change{Columns: cols("id", "b")}),
			change("t", Change{Rename: "u"}),
			change("u", Change{Drop: true}),
			change("u", Change{Restore: &Restore{At: 3, Undrop: true}}),
			change("u", Change{Restore: &Restore{At: 1}}), // 6
		}, "1_1: id; 1_2: id b; 1_3: id b; 1_5: id b; 1_6: id"},
		{"names of the format", 0, []Decide{make(cols("id", "Row_ID")), change("t", Change{Columns: cols("id", "r")}), change("t", Change{Columns: cols("id", "_ducklake_internal_row_id")})}, "1_2: id r"},
		{"more columns than SQLite has", 0, []Decide{make(cols(wide...))}, ""},
		{"as many as SQLite has", 0, []Decide{make(cols(wide[1:]...))}, "1_1: " + strings.Join(wide[1:], " ")},
		{"nested", 0, []Decide{make([]datafile.Column{{ID: 1, Name: "s", Nullable: true, Type: datafile.Type{Name: "struct", Fields: []datafile.Field{{ID: 2, Name: "x", Type: datafile.Type{Name: "int64"}}}}}})}, "1_1: s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			lake := newCatalog(t, func(o *Options) { o.InlineRows = c.inline })
			for _, s := range c.steps {
				mustCommit(t, lake, s)
			}
			if got, unknown := places(t, lake); got != c.want || unknown > 0 {
				t.Errorf("got %s\nwant %s\n%d without a schema version", got, c.want, unknown)
			}
			contiguous(t, lake)
		})
	}
}

// TestPlaceOfOption: what the table's own option says comes before the
// SuperTable's, and a table that had rows inside goes on to have a place.
func TestPlaceOfOption(t *testing.T) {
	c := newCatalog(t, nil)
	mustCommit(t, c, creates("t"))
	grow := func(id int64) {
		mustCommit(t, c, func(ctx context.Context, v *View) (*Change, error) {
			table, err := v.Table(ctx, "t", v.Head.ID)
			if err != nil {
				return nil, err
			}
			cols, err := v.Columns(ctx, table.ID, v.Head.ID)
			cols = append(cols, datafile.Column{ID: id, Name: fmt.Sprintf("c%d", id), Type: datafile.Type{Name: "int64"}, Nullable: true})
			return &Change{Table: table, Columns: cols, Record: Record{Operation: "alter", Principal: "test"}}, err
		})
	}
	set := func(table int64, value string) {
		t.Helper()
		if err := c.SetOption(t.Context(), table, inlineOption, value, nil); err != nil {
			t.Fatal(err)
		}
	}
	set(SuperOptions, "0")
	grow(2) // it has a place, so it keeps one
	exec(t, raw(t, c), `DELETE FROM ducklake_inlined_data_tables`)
	grow(3)
	set(1, "10")
	grow(4)
	if got, _ := places(t, c); got != "1_4: id c2 c3 c4" {
		t.Error(got)
	}
}

// TestNameInlined: an inlined table that another client made without a schema
// version of its table gets one, once, of the first snapshot that has it.
func TestNameInlined(t *testing.T) {
	c := newCatalog(t, func(o *Options) { o.InlineRows = -1 })
	mustCommit(t, c, creates("t"))       // 1
	mustCommit(t, c, addRows("t", 3))    // 2
	mustCommit(t, c, creates("another")) // 3
	db := raw(t, c)
	exec(t, db, foreignInsert(4, 10)...)
	exec(t, db, foreignInsert(5, 11)...)
	exec(t, db, `UPDATE ducklake_snapshot SET schema_version = schema_version + 1 WHERE snapshot_id >= 4`,
		`CREATE TABLE ducklake_inlined_data_1_3 (row_id BIGINT, begin_snapshot BIGINT, end_snapshot BIGINT, id BIGINT)`,
		`INSERT INTO ducklake_inlined_data_tables VALUES (1, 'ducklake_inlined_data_1_3', 3)`)
	mustCommit(t, c, addRows("t", 3)) // 6
	exec(t, db, foreignInsert(7, 20)...)
	if err := c.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, unknown := places(t, c); got != "1_3: id" || unknown > 0 {
		t.Errorf("%s, %d without a schema version", got, unknown)
	}
	var n, begin int
	if err := db.QueryRowContext(t.Context(), `SELECT count(*), max(begin_snapshot) FROM ducklake_schema_versions WHERE table_id = 1 AND schema_version = 3`).Scan(&n, &begin); err != nil {
		t.Fatal(err)
	}
	if n != 1 || begin != 4 {
		t.Errorf("%d rows, from snapshot %d", n, begin)
	}
}

// BenchmarkCreate makes tables with a place for rows inside, and without.
func BenchmarkCreate(b *testing.B) {
	for name, inline := range map[string]int{"place": 0, "none": -1} {
		b.Run(name, func(b *testing.B) {
			folder := storage.At(filepath.Join(b.TempDir(), "org", "super"))
			c, _, err := Create(b.Context(), folder, Options{Now: time.Now, Logger: slog.New(slog.DiscardHandler), LeaseTTL: time.Minute, InlineRows: inline})
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			for i := range b.N {
				if _, err := c.Commit(b.Context(), creates(fmt.Sprintf("t%d", i))); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
