package supertable_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/script"
)

// number reads an argument of a case as a snapshot.
func number(c *script.Case, key string) (n int64, ok bool) {
	v, ok := c.Arg(key)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(v[0], 10, 64)
	return n, err == nil
}

// resultLines is a result as text in its own order: the column names first.
func resultLines(rows *supertable.Rows) ([]string, error) {
	defer func() { _ = rows.Close() }()
	var names []string
	for _, f := range rows.Schema().Fields() {
		names = append(names, f.Name)
	}
	lines := []string{strings.Join(names, "|")}
	for rows.Next() {
		b := rows.Batch()
		for i := range int(b.NumRows()) {
			cells := make([]string, b.NumCols())
			for k := range cells {
				cells[k] = cell(b.Column(k), i)
			}
			lines = append(lines, strings.Join(cells, "|"))
		}
	}
	return lines, rows.Err()
}

func (r *stage) diff(t *testing.T, c *script.Case) (string, error) {
	from, _ := number(c, "from")
	to, _ := number(c, "to")
	o := &supertable.DiffOptions{}
	o.Key, _ = c.Arg("key")
	rows, err := r.s.Diff(t.Context(), table(c), from, to, o)
	if err != nil {
		return "", err
	}
	lines, err := resultLines(rows)
	return strings.Join(lines, "\n"), err
}

func (r *stage) changes(t *testing.T, c *script.Case) (string, error) {
	name := table(c)
	if name == "from" {
		name = ""
	}
	from, _ := number(c, "from")
	o := &supertable.ChangesOptions{}
	if to, ok := number(c, "to"); ok {
		o.To = &to
	}
	rows, err := r.s.Changes(t.Context(), name, from, o)
	if err != nil {
		return "", err
	}
	lines, err := resultLines(rows)
	return strings.Join(sortedPerSnapshot(lines), "\n"), err
}

// sortedPerSnapshot orders the rows of one snapshot, which come in any order.
func sortedPerSnapshot(lines []string) []string {
	snapshot := func(l string) string { return strings.Split(l, "|")[1] }
	for i := 1; i < len(lines); {
		k := i
		for k < len(lines) && snapshot(lines[k]) == snapshot(lines[i]) {
			k++
		}
		slices.Sort(lines[i:k])
		i = k
	}
	return lines
}

func (r *stage) rollback(t *testing.T, c *script.Case) (string, error) {
	to, _ := number(c, "to")
	o := &supertable.RollbackOptions{Message: c.Value("message", "")}
	_, o.DryRun = c.Arg("dry")
	if n, ok := number(c, "expect"); ok {
		o.ExpectHead = &n
	}
	res, err := r.s.Rollback(t.Context(), table(c), to, o)
	return fmt.Sprintf("%s from %d to %d snapshot %d inserted %d deleted %d", res.Table, res.From, res.To, res.Snapshot, res.Inserted, res.Deleted), err
}

func (r *stage) undrop(t *testing.T, c *script.Case) (string, error) {
	res, err := r.s.Undrop(t.Context(), table(c))
	return fmt.Sprintf("%s snapshot %d", res.Table, res.Snapshot), err
}

func (r *stage) tag(t *testing.T, c *script.Case) (string, error) {
	if table(c) == "list" {
		list, err := r.s.Tags(t.Context())
		var out []string
		for _, x := range list {
			out = append(out, fmt.Sprintf("%s %d", x.Name, x.Snapshot))
		}
		return strings.Join(out, "\n"), err
	}
	if _, ok := c.Arg("delete"); ok {
		deleted, err := r.s.DeleteTag(t.Context(), table(c))
		return fmt.Sprintf("deleted %t", deleted), err
	}
	var at *int64
	if n, ok := number(c, "at"); ok {
		at = &n
	}
	x, err := r.s.CreateTag(t.Context(), table(c), at)
	return fmt.Sprintf("%s %d", x.Name, x.Snapshot), err
}
