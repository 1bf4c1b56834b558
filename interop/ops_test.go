package interop

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/supertable-go/supertable"
)

// op is one thing that one of the two does. It has all that it needs, so that
// it can be done again on another lake.
type op struct {
	who, what string // what is DuckDB's statement, or ours in words
	do        func(w *walk) error
}

func ours(do func(w *walk) error, format string, args ...any) op {
	return op{"ours", fmt.Sprintf(format, args...), do}
}

func byDuckDB(sql string) op {
	return op{"DuckDB", sql, func(w *walk) error { return w.duck.try(sql) }}
}

// pass is an op that does nothing, where a lake has nothing to do it on.
var pass = ours(func(*walk) error { return nil }, "nothing")

// gone reports whether an error says that what an op is about is not there.
func gone(err error) bool {
	if supertable.KindOf(err) == supertable.NotFound {
		return true
	}
	for _, text := range []string{"does not exist", "Binder Error", "Catalog Error", "no snapshot", "not found"} {
		if strings.Contains(err.Error(), text) {
			return true
		}
	}
	return false
}

// next makes the next op up for the lake as it is.
func (w *walk) next() op {
	w.t.Helper()
	names := w.tables()
	if len(names) == 0 || len(names) < 3 && w.IntN(12) == 0 {
		return w.create()
	}
	table := names[w.IntN(len(names))]
	switch {
	case w.IntN(6) == 0:
		return w.keep(table)
	case w.IntN(2) == 0:
		return w.our(table)
	default:
		return w.their(table)
	}
}

func (w *walk) create() op {
	table := w.fresh("t")
	nest := "" // rows with nested columns never stay inside the catalog
	if w.IntN(4) == 0 {
		nest = ", {'a': i::INTEGER} AS st"
	}
	rows := fmt.Sprintf("SELECT i AS id, 's' || i AS s, (i * 3)::INTEGER AS n%s FROM range(%d) r(i)", nest, w.size())
	if w.IntN(2) == 0 {
		return ours(func(w *walk) error {
			_, err := w.tryWrite(table, rows, nil)
			return err
		}, "create %s: %s", table, rows)
	}
	return byDuckDB("CREATE TABLE lake." + table + " AS " + rows)
}

// size is a number of rows: below what DuckDB keeps in the catalog, or above.
func (w *walk) size() int { return []int{1, 3, 8, 30, 60}[w.IntN(5)] }

// literal gives a value of a type that depends on i.
func (w *walk) literal(typ string) string {
	k := 1 + w.IntN(9)
	value := fmt.Sprintf("(i %% 100 * %d)::%s", k, typ)
	switch {
	case typ == "VARCHAR":
		value = fmt.Sprintf("'v%d ' || (i %% 50)", k)
	case typ == "DOUBLE":
		value = fmt.Sprintf("(i / %d.0)::DOUBLE", k)
	case typ == "DATE":
		value = fmt.Sprintf("(DATE '2026-01-01' + (i %% 1000 * %d)::INTEGER)", k)
	case nested(typ):
		value = fmt.Sprintf("CASE WHEN i %% 6 = 0 THEN NULL ELSE {'a': (i * %d)::INTEGER}::%s END", k, typ)
	}
	if w.IntN(3) == 0 {
		return fmt.Sprintf("CASE WHEN i %% %d = 0 THEN NULL ELSE %s END", 2+w.IntN(5), value)
	}
	return value
}

// input selects rows for a table as it is: some columns may be left out.
func (w *walk) input(cols []column) string {
	from := w.IntN(80)
	return w.inputFrom(cols, fmt.Sprintf("range(%d, %d) r(i)", from, from+w.size()))
}

// inputFrom is input for the ids i of from; columns of always are never left out.
func (w *walk) inputFrom(cols []column, from string, always ...string) string {
	sel := []string{"i AS id"}
	for _, c := range cols {
		if c.name == "id" || w.IntN(6) == 0 && !slices.Contains(always, c.name) {
			continue
		}
		sel = append(sel, w.literal(c.typ)+" AS "+c.name)
	}
	return "SELECT " + strings.Join(sel, ", ") + " FROM " + from
}

// our is one step through the public API.
func (w *walk) our(table string) op {
	w.t.Helper()
	cols := w.now[table]
	some := plain(cols)
	switch k := w.IntN(30); {
	case k < 5:
		return w.writing("append to", table, w.input(cols), nil, "true")
	case k < 11:
		rows := w.input(cols)
		return w.writing("upsert into", table, rows, key("id"), "id NOT IN (SELECT id FROM ("+rows+"))")
	case k < 14:
		rows := fmt.Sprintf("SELECT i AS id FROM range(%d, 90, %d) r(i)", w.IntN(40), 1+w.IntN(9))
		return w.writing("delete from", table, rows, remove("id"), "id NOT IN (SELECT id FROM ("+rows+"))")
	case k < 17:
		return w.few(table, cols)
	case k < 20:
		return w.together(table, cols)
	case k == 20:
		limit := []string{"0", "5", "2000"}[w.IntN(3)]
		return ours(func(w *walk) error { return w.s.SetOption(w.t.Context(), "", "inline_delete_limit", limit) }, "inline at most %s deletes", limit)
	case k == 21:
		if w.IntN(2) == 0 {
			return altering(table, add(w.fresh("c"), "INTEGER", nil))
		}
		return altering(table, add(w.fresh("c"), "VARCHAR", new("by default")))
	case k == 22 && len(some) > 1:
		return altering(table, renameColumn(some[0].name, w.fresh("r")))
	case k == 23 && len(some) > 1:
		return altering(table, supertable.Alteration{Drop: some[0].name})
	case k == 24 && w.IntN(3) == 0:
		return ours(func(w *walk) error {
			_, err := w.s.DropTable(w.t.Context(), table)
			return err
		}, "drop %s", table)
	case k == 25:
		return altering(table, supertable.Alteration{Rename: w.fresh("n")})
	case k == 26:
		return w.returning(table)
	case k == 27:
		return w.undropping()
	case k == 28:
		return ours(func(w *walk) error { _, err := w.s.Flush(w.t.Context(), table, nil); return err }, "flush %s", table)
	default:
		i := slices.IndexFunc(some, func(c column) bool { return c.typ == "INTEGER" })
		if i < 0 {
			return pass
		}
		return altering(table, retype(some[i].name, "BIGINT", false))
	}
}

func altering(table string, a supertable.Alteration) op {
	what := "alter " + table
	switch {
	case a.Add != nil && a.Add.Default != nil:
		what += fmt.Sprintf(": add %s %s default %q", a.Add.Name, a.Add.Type, *a.Add.Default)
	case a.Add != nil:
		what += ": add " + a.Add.Name + " " + a.Add.Type
	case a.RenameColumn != nil:
		what += ": rename " + a.RenameColumn.From + " to " + a.RenameColumn.To
	case a.Type != nil:
		what += ": " + a.Type.Name + " becomes " + a.Type.Type
	case a.Drop != "":
		what += ": drop " + a.Drop
	default:
		what += ": rename to " + a.Rename
	}
	return ours(func(w *walk) error {
		_, err := w.s.Alter(w.t.Context(), table, a)
		return err
	}, "%s", what)
}

// returning brings an earlier state of a table back, where that can be done.
func (w *walk) returning(table string) op {
	all := w.retained()
	to := all[w.IntN(len(all))]
	return ours(func(w *walk) error {
		if _, ok := w.now[table]; !ok {
			return errors.New("the table does not exist")
		}
		_, err := w.s.Rollback(w.t.Context(), table, to, nil)
		switch supertable.KindOf(err) {
		case supertable.NotFound, supertable.Unsupported, supertable.InvalidArgument: // not there then, or rows inside the catalog
			return nil
		}
		if err != nil {
			return err
		}
		name := w.nameAt(table, to)
		cols := w.describe(table, head)
		was := w.lake.rows("SELECT "+texts(cols)+" FROM "+name, to)
		equal(w.t, fmt.Sprintf("%s rolled back to %d", table, to), w.all(table, cols), was)
		return nil
	}, "roll %s back to %d", table, to)
}

// nameAt is the name that a table of today had at a snapshot.
func (w *walk) nameAt(table string, at int64) string {
	name := meta(w.t, w.catalog(), `SELECT o.table_name FROM ducklake_table o JOIN ducklake_table t ON t.table_id = o.table_id AND t.end_snapshot IS NULL
 WHERE t.table_name = ?1 AND o.begin_snapshot <= ?2 AND (o.end_snapshot IS NULL OR ?2 < o.end_snapshot)`, table, at)
	if len(name) == 0 {
		return table // dropped and back: its row of then has another id
	}
	return strings.Trim(name[0], `"`)
}

// undropping brings a dropped table back.
func (w *walk) undropping() op {
	gone := meta(w.t, w.catalog(), `SELECT DISTINCT table_name FROM ducklake_table t WHERE NOT EXISTS (SELECT 1 FROM ducklake_table n WHERE n.end_snapshot IS NULL AND (n.table_id = t.table_id OR n.table_name = t.table_name))`)
	if len(gone) == 0 {
		return pass
	}
	table := strings.Trim(gone[w.IntN(len(gone))], `"`)
	return ours(func(w *walk) error {
		_, err := w.s.Undrop(w.t.Context(), table)
		if k := supertable.KindOf(err); k == supertable.NotFound || k == supertable.Unsupported {
			return nil // expired, or with rows inside the catalog
		}
		return err
	}, "undrop %s", table)
}

// keep is one of our chores: no retained snapshot changes.
func (w *walk) keep(table string) op {
	var chore op
	switch w.IntN(6) {
	case 0, 1:
		chore = ours(func(w *walk) error { _, err := w.s.Compact(w.t.Context(), "", nil); return err }, "compact")
	case 2:
		chore = ours(func(w *walk) error { _, err := w.s.Compact(w.t.Context(), table, nil); return err }, "compact %s", table)
	case 3:
		chore = ours(func(w *walk) error { _, err := w.s.Flush(w.t.Context(), "", nil); return err }, "flush")
	case 4:
		last := int64(3 + w.IntN(10))
		chore = ours(func(w *walk) error { w.expire(last); return nil }, "expire all but %d", last)
	default:
		chore = ours(func(w *walk) error { w.clean(); return nil }, "clean")
	}
	do := chore.do
	chore.do = func(w *walk) error {
		err := do(w)
		if err == nil {
			w.samePasts("ours", w.readOurs, nil)
		}
		return err
	}
	return chore
}

// their is one step in DuckDB.
func (w *walk) their(table string) op {
	w.t.Helper()
	cols := w.now[table]
	some := plain(cols)
	q := "lake." + table
	where := fmt.Sprintf(" WHERE id %% %d = %d", 1+w.IntN(12), w.IntN(3))
	insert := func() string { return "INSERT INTO " + q + " BY NAME " + w.input(cols) }
	switch k := w.IntN(27); {
	case k < 4:
		return byDuckDB(insert())
	case k < 8:
		return byDuckDB("DELETE FROM " + q + where)
	case k < 12 && len(some) > 0:
		c := some[w.IntN(len(some))]
		return byDuckDB("UPDATE " + q + " SET " + c.name + " = " + strings.ReplaceAll(w.literal(c.typ), "i ", "id ") + where)
	case k == 12:
		return byDuckDB("ALTER TABLE " + q + " ADD COLUMN " + w.fresh("d") + []string{" DATE", " DOUBLE", " VARCHAR DEFAULT 'theirs'"}[w.IntN(3)])
	case k == 13 && len(some) > 1:
		return byDuckDB("ALTER TABLE " + q + " RENAME " + some[0].name + " TO " + w.fresh("q"))
	case k == 14 && len(some) > 1:
		return byDuckDB("ALTER TABLE " + q + " DROP COLUMN " + some[0].name)
	case k == 15:
		return byDuckDB("CALL ducklake_flush_inlined_data('lake')")
	case k == 26:
		return byDuckDB(fmt.Sprintf("CALL ducklake_flush_inlined_data('lake', table_name => '%s')", table))
	case k == 16 && w.IntN(3) == 0:
		return byDuckDB("CALL ducklake_merge_adjacent_files('lake')")
	case k == 17:
		// Flushed first: the other way round DuckDB doubles rows of the past.
		return byDuckDB("CALL ducklake_flush_inlined_data('lake'); BEGIN; CALL ducklake_rewrite_data_files('lake', delete_threshold => 0.2); COMMIT")
	case k == 18:
		all := w.retained()
		if len(all) < 4 {
			return pass
		}
		return byDuckDB(fmt.Sprintf("CALL ducklake_expire_snapshots('lake', versions => [%d]); CALL ducklake_cleanup_old_files('lake', cleanup_all => true)", all[w.IntN(len(all)-1)]))
	case k == 19 && w.IntN(3) == 0:
		return byDuckDB("DROP TABLE " + q)
	case k == 20:
		return byDuckDB("ALTER TABLE " + q + " RENAME TO " + w.fresh("m"))
	case k == 21:
		from := w.IntN(60)
		return byDuckDB(fmt.Sprintf("MERGE INTO %s t USING (SELECT i AS id FROM range(%d, %d) r(i)) s ON t.id = s.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (id) VALUES (s.id)", q, from, from+w.size()))
	case k == 22:
		// Not by bucket: DuckDB then finds no row of files from before (docs/format.md).
		return byDuckDB("ALTER TABLE " + q + []string{" SET PARTITIONED BY (id)", " RESET PARTITIONED BY", " SET SORTED BY (id DESC)"}[w.IntN(3)])
	default:
		return byDuckDB("BEGIN; " + insert() + "; DELETE FROM " + q + where + "; COMMIT")
	}
}
