package interop

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/supertable-go/supertable"
)

// batch is one write of a step.
type batch struct {
	rows    string // a select
	options *supertable.WriteOptions
}

// modelled are the rows that a table must have after a write.
type modelled struct {
	table   string
	columns []column
	rows    []string
}

// writing is a step of one write; stay says which rows of before it leaves.
func (w *walk) writing(verb, table, rows string, o *supertable.WriteOptions, stay string) op {
	return w.writes(fmt.Sprintf("%s %s: %s", verb, table, rows), table, stay, batch{rows, o})
}

// writes writes all batches at once and wants the rows that stay, by DuckDB's
// reading from before, and the new ones. A table that another client keeps in
// the catalog is flushed first, by one of the two, as the refusal says.
func (w *walk) writes(what, table, stay string, batches ...batch) op {
	flush := byDuckDB("CALL ducklake_flush_inlined_data('lake')")
	if w.IntN(2) == 0 {
		flush = ours(func(w *walk) error {
			_, err := w.s.Flush(w.t.Context(), table, nil)
			return err
		}, "flush %s", table)
	}
	return ours(func(w *walk) error {
		sel := texts(w.now[table])
		if sel == "" {
			return errors.New("the table does not exist")
		}
		want := fmt.Sprintf("SELECT %s FROM lake.%s WHERE %s", sel, table, stay)
		for _, b := range batches {
			if b.options == nil || !b.options.DeleteOnly {
				want += fmt.Sprintf(" UNION ALL BY NAME SELECT COLUMNS(*)::VARCHAR FROM (%s)", b.rows)
			}
		}
		wanted, err := w.duck.tryRows(want)
		if err != nil {
			return err
		}
		refused, err := w.atOnce(table, batches)
		if err == nil && len(refused) > 0 {
			if err := flush.do(w); err != nil {
				return err
			}
			w.chore = w.chore || flush.who == "DuckDB"
			if refused, err = w.atOnce(table, refused); err == nil && len(refused) > 0 {
				err = errors.New("refused although the table was flushed")
			}
		}
		if err == nil && !w.defaulted(table) {
			w.model = &modelled{table, w.now[table], wanted}
		}
		return err
	}, "%s (where it must be flushed before, by %s)", what, flush.who)
}

// atOnce lets each batch be written by a writer of its own, all at the same
// time. It gives those that want the table to be flushed first.
func (w *walk) atOnce(table string, batches []batch) (refused []batch, err error) {
	inputs := make([]array.RecordReader, len(batches))
	for i, b := range batches {
		if inputs[i], err = w.duck.conn.Query(context.Background(), b.rows, nil); err != nil {
			return nil, fmt.Errorf("the input itself: %w", err)
		}
		defer inputs[i].Release()
	}
	failed := make([]error, len(batches))
	var all sync.WaitGroup
	for i, b := range batches {
		all.Go(func() { _, failed[i] = w.s.Write(context.Background(), table, inputs[i], b.options) })
	}
	all.Wait()
	for i, err := range failed {
		if err != nil && strings.Contains(err.Error(), "supertable flush") {
			refused, failed[i] = append(refused, batches[i]), nil
		}
	}
	return refused, errors.Join(failed...)
}

// together lets several writers write at once, each with ids of its own: their
// commits may share one transaction.
func (w *walk) together(table string, cols []column) op {
	n, from := 2+w.IntN(4), w.IntN(60)
	to := from + n*(1+w.IntN(8))
	var batches []batch
	var keyed []string
	for i := range n {
		b := batch{rows: w.inputFrom(cols, fmt.Sprintf("range(%d, %d, %d) r(i)", from+i, to, n))}
		if w.IntN(3) > 0 {
			b.options = key("id")
			keyed = append(keyed, "SELECT id FROM ("+b.rows+")")
		}
		batches = append(batches, b)
	}
	stay := "true"
	if len(keyed) > 0 {
		stay = "id NOT IN (" + strings.Join(keyed, " UNION ALL ") + ")"
	}
	return w.writes(fmt.Sprintf("%d writers at once, %d of them by key, into %s: ids from %d to %d", n, len(keyed), table, from, to), table, stay, batches...)
}

// few upserts or deletes rows of a few keys, which most files have none of; the
// key is sometimes of two columns.
func (w *walk) few(table string, cols []column) op {
	ids := make([]string, 1+w.IntN(4))
	for i := range ids {
		ids[i] = fmt.Sprint(w.IntN(30) + 30*i)
		if w.IntN(8) == 0 {
			ids[i] += "0000"
		}
	}
	from := "unnest([" + strings.Join(ids, ", ") + "]::BIGINT[]) r(i)"
	others := slices.DeleteFunc(plain(cols), func(c column) bool { return c.typ == "DOUBLE" })
	if w.IntN(3) > 0 || len(others) == 0 {
		rows, o, verb := w.inputFrom(cols, from), key("id"), "upsert into"
		if w.IntN(4) == 0 {
			rows, o, verb = "SELECT i AS id FROM "+from, remove("id"), "delete from"
		}
		return w.writing(verb, table, rows, o, "id NOT IN (SELECT id FROM ("+rows+"))")
	}
	c := others[w.IntN(len(others))].name
	rows := w.inputFrom(cols, from, c)
	stay := fmt.Sprintf("NOT EXISTS (SELECT 1 FROM (%s) n WHERE n.id IS NOT DISTINCT FROM %[2]s.id AND n.%[3]s IS NOT DISTINCT FROM %[2]s.%[3]s)", rows, table, c)
	return w.writing("upsert by id and "+c+" into", table, rows, key("id", c), stay)
}
