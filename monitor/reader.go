package monitor

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/internal/errs"
)

// Defaults of Read.
const (
	defaultWindow = 24 * time.Hour
	defaultLimit  = 1000
	maxDaysBack   = 90
)

// rowNumber orders the records of one millisecond: tables keep the order in
// which they were logged.
const rowNumber = "__row_number"

// Reader reads one stream. R is what a query gives.
type Reader[R any] struct {
	// Columns gives the columns of the stream's table, none when there is no table.
	Columns func(ctx context.Context) ([]Column, error)
	// Query runs a SELECT.
	Query func(ctx context.Context, sql string) (R, error)
	Table string
	Now   func() time.Time
}

// Window is which records to read.
type Window struct {
	// From and To bound execution_time, both inclusive. Nil means a day before
	// To, and now.
	From, To *time.Time
	// Limit is the most records. 0 means 1000; a negative one none.
	Limit int64
}

// Read gives the records of a window, newest first; of one millisecond the one
// that was logged last comes first. ok is false when there is nothing to read.
func (r Reader[R]) Read(ctx context.Context, w Window) (rows R, ok bool, err error) {
	from, to, limit, err := w.bounds(r.Now())
	if err != nil || limit < 0 {
		return rows, false, err
	}
	cols, err := r.Columns(ctx)
	if err != nil || len(cols) == 0 {
		return rows, false, err
	}
	rows, err = r.Query(ctx, selectWindow(r.Table, cols, from, to, limit))
	return rows, err == nil, err
}

// Recent gives the newest records of the last days, counted in days of UTC with
// today as the first; days is clamped to 1 to 90.
func (r Reader[R]) Recent(ctx context.Context, limit int64, days int) (rows R, ok bool, err error) {
	if limit <= 0 {
		return rows, false, nil
	}
	now := r.Now().UTC()
	from := now.Truncate(24*time.Hour).AddDate(0, 0, 1-min(max(days, 1), maxDaysBack))
	return r.Read(ctx, Window{From: &from, To: &now, Limit: limit})
}

// bounds gives the window in milliseconds.
func (w Window) bounds(now time.Time) (from, to, limit int64, err error) {
	limit, to = w.Limit, now.UnixMilli()
	if limit == 0 {
		limit = defaultLimit
	}
	if w.To != nil {
		to = w.To.UnixMilli()
	}
	from = to - defaultWindow.Milliseconds()
	if w.From != nil {
		from = w.From.UnixMilli()
	}
	if from > to {
		return 0, 0, 0, errs.New(errs.InvalidArgument, "from_ts_ms (%d) must be <= to_ts_ms (%d)", from, to)
	}
	return from, to, limit, nil
}

// selectWindow is the text that reads a window. A time that is no number (some
// other writer put it there) is no time: its record is left out.
func selectWindow(table string, cols []Column, from, to, limit int64) string {
	at, number := "", rowNumber
	names := make([]string, len(cols))
	for i, c := range cols {
		names[i] = datafile.Quote(c.Name)
		if strings.EqualFold(c.Name, number) {
			number += "_" + strconv.Itoa(i)
		}
		if strings.EqualFold(c.Name, TimeField) {
			at = names[i]
			if c.Type != bigint {
				at = "TRY_CAST(" + at + " AS BIGINT)"
			}
		}
	}
	list := strings.Join(names, ", ")
	if at == "" { // no record has a time: none is in the window
		return fmt.Sprintf("SELECT %s FROM %s WHERE false", list, datafile.Quote(table))
	}
	return fmt.Sprintf("SELECT %s FROM (SELECT %s, row_number() OVER () AS %s FROM %s WHERE %s BETWEEN %d AND %d) ORDER BY %s DESC, %s DESC LIMIT %d",
		list, list, number, datafile.Quote(table), at, from, to, at, number, limit)
}
