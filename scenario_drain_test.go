package supertable_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/testdb"
)

// TestM12Drain: only days before today can be drained; a day goes after a
// complete read only, and what is logged meanwhile stays.
func TestM12Drain(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 10, 12, 0, 0, 0, time.UTC)
	s := testdb.At(t, t.TempDir(), &supertable.Options{Now: func() time.Time { return now }}).Session("m12")
	if _, err := s.DrainableDays(t.Context(), "metrics"); !errors.Is(err, supertable.NotFound) {
		t.Errorf("no stream yet: %v", err)
	}
	fill := func(back, n int) {
		l := logger(t, s, "metrics", nil)
		for i := range n {
			logAll(t, l, supertable.Record{"i": i, "back": back, "execution_time": now.AddDate(0, 0, -back).UnixMilli() + int64(i%3)})
		}
		closeLogger(t, l)
	}
	fill(1, 30)
	fill(0, 5)
	fill(3, 25)
	days, err := s.DrainableDays(t.Context(), "metrics")
	if err != nil || len(days) != 2 || days[0].Format(time.DateOnly) != "2026-05-07" || days[1].Format(time.DateOnly) != "2026-05-09" {
		t.Fatalf("days %v (%v)", days, err)
	}
	for _, day := range []time.Time{now, now.AddDate(0, 0, 1)} {
		if _, err := s.DrainDay(t.Context(), "metrics", day, 0, nil); !errors.Is(err, supertable.InvalidArgument) {
			t.Errorf("%v is not over: %v", day, err)
		}
	}
	left := func(want string) {
		t.Helper()
		if got := testdb.Query(t, s, "SELECT back, count(*) FROM __metrics__ GROUP BY 1 ORDER BY 1", nil); got != want {
			t.Errorf("left %q, want %q", got, want)
		}
	}
	stop := errors.New("killed here")
	calls := 0
	_, err = s.DrainDay(t.Context(), "metrics", days[1], 10, func(array.RecordReader) error {
		if calls++; calls == 2 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) {
		t.Error(err)
	}
	left("0|5\n1|30\n3|25")
	var sizes []string
	n, err := s.DrainDay(t.Context(), "metrics", days[1], 12, func(rr array.RecordReader) error {
		if len(sizes) == 0 {
			fill(1, 2) // the same times, while the day is read
		}
		rows := int64(0)
		for rr.Next() {
			rows += rr.RecordBatch().NumRows()
		}
		sizes = append(sizes, strconv.FormatInt(rows, 10))
		return rr.Err()
	})
	if err != nil || n != 30 || strings.Join(sizes, " ") != "12 12 6" {
		t.Errorf("drained %d in chunks %v (%v)", n, sizes, err)
	}
	left("0|5\n1|2\n3|25")
	for _, chunk := range []int{-7, 1 << 40} { // clamped
		day := days[0]
		if chunk > 0 {
			day = days[1]
		}
		if _, err := s.DrainDay(t.Context(), "metrics", day, chunk, func(array.RecordReader) error { return nil }); err != nil {
			t.Error(err)
		}
	}
	left("0|5")
	if n, err := s.DrainDay(t.Context(), "metrics", days[0], 0, nil); err != nil || n != 0 {
		t.Errorf("an empty day: %d (%v)", n, err)
	}
}
