package defaults

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/supertable-go/supertable"
)

// Show runs a query as the documented scripts do: it prints the rows, then
// their count and what the read found, between lines of width dashes.
func Show(ctx context.Context, w io.Writer, s *supertable.Session, sql string, width int) error {
	line := strings.Repeat("-", width)
	fmt.Fprintln(w, line)
	rows, err := s.Query(ctx, sql, nil)
	if err != nil {
		fmt.Fprintln(w, "Rows: 0, Columns: 0, Status: error, Message:", err)
		return nil
	}
	defer func() { _ = rows.Close() }()
	var names []string
	for _, f := range rows.Schema().Fields() {
		names = append(names, f.Name)
	}
	fmt.Fprintln(w, strings.Join(names, " | "))
	for rows.Next() {
		b := rows.Batch()
		for i := range int(b.NumRows()) {
			cells := make([]string, b.NumCols())
			for k := range cells {
				cells[k] = b.Column(k).ValueStr(i)
			}
			fmt.Fprintln(w, strings.Join(cells, " | "))
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	report := rows.Report()
	fmt.Fprintln(w, line)
	fmt.Fprintf(w, "Rows: %d, Columns: %d, Status: ok, Message: none\n", report.Rows, len(names))
	fmt.Fprintln(w, line)
	for _, step := range []any{report.Timings, report.PlanStats} {
		text, err := json.Marshal(step)
		if err != nil {
			return err
		}
		fmt.Fprintln(w, string(text))
	}
	return nil
}

// Columns prints some columns of a result, which it closes.
func Columns(w io.Writer, rows *supertable.Rows, names ...string) error {
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		b := rows.Batch()
		for i := range int(b.NumRows()) {
			var cells []string
			for _, name := range names {
				for _, k := range b.Schema().FieldIndices(name) {
					cells = append(cells, name+"="+b.Column(k).ValueStr(i))
				}
			}
			fmt.Fprintln(w, strings.Join(cells, " "))
		}
	}
	return rows.Err()
}
