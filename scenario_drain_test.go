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

// TestDrainBesideMaintenance: files that are written again while a day is read
// begin after what was read; the day is handed out once all the same.
func TestDrainBesideMaintenance(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 10, 12, 0, 0, 0, time.UTC)
	s := testdb.At(t, t.TempDir(), &supertable.Options{Now: func() time.Time { return now }}).Session("drains")
	yesterday := now.AddDate(0, 0, -1)
	for part := range 3 { // each its own small file
		l := logger(t, s, "metrics", nil)
		for i := range 10 {
			logAll(t, l, supertable.Record{"i": 10*part + i, "execution_time": yesterday.UnixMilli() + int64(i)})
		}
		closeLogger(t, l)
	}
	compacted := make(chan error, 1)
	handed := int64(0)
	drain := func(first func()) (int64, error) {
		return s.DrainDay(t.Context(), "metrics", yesterday, 0, func(rr array.RecordReader) error {
			first()
			for rr.Next() {
				handed += rr.RecordBatch().NumRows()
			}
			return rr.Err()
		})
	}
	n, err := drain(func() {
		done := make(chan struct{})
		go func() {
			defer close(done)
			list, err := s.Compact(t.Context(), "__metrics__", nil)
			if err == nil && len(list) != 1 {
				err = errors.New("nothing compacted")
			}
			compacted <- err
		}()
		select {
		case <-done:
		case <-time.After(time.Second): // it waits
		}
	})
	if err != nil || n != 30 {
		t.Errorf("drained %d (%v)", n, err)
	}
	if err := <-compacted; err != nil {
		t.Error(err)
	}
	if n, err := drain(func() {}); err != nil || n != 0 || handed != 30 {
		t.Errorf("handed out %d records of 30, %d the second time (%v)", handed, n, err)
	}
}

// TestDrainOfWhatOthersRemove: what was handed out and is no longer there was
// somebody else's: the drain says so and removes nothing.
func TestDrainOfWhatOthersRemove(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 10, 12, 0, 0, 0, time.UTC)
	s := testdb.At(t, t.TempDir(), &supertable.Options{Now: func() time.Time { return now }}).Session("drains")
	yesterday := now.AddDate(0, 0, -1)
	l := logger(t, s, "metrics", nil)
	for i := range 10 {
		logAll(t, l, supertable.Record{"i": i, "execution_time": yesterday.UnixMilli() + int64(i)})
	}
	closeLogger(t, l)
	n, err := s.DrainDay(t.Context(), "metrics", yesterday, 0, func(array.RecordReader) error {
		_, err := s.WriteFrom(t.Context(), "__metrics__", strings.NewReader("i\n3\n4\n"), &supertable.WriteOptions{Format: "csv", Key: []string{"i"}, DeleteOnly: true})
		return err
	})
	if !errors.Is(err, supertable.Unavailable) || n != 0 {
		t.Errorf("drained %d (%v)", n, err)
	}
	if got := testdb.Query(t, s, "SELECT count(*) FROM __metrics__", nil); got != "8" {
		t.Errorf("%s records are left", got)
	}
	if n, err := s.DrainDay(t.Context(), "metrics", yesterday, 0, func(array.RecordReader) error { return nil }); err != nil || n != 8 {
		t.Errorf("the next drain: %d (%v)", n, err)
	}
}

// TestRetentionOfASlowStream: a stream of a record a day whose files are merged
// every day keeps no record much longer than its retention.
func TestRetentionOfASlowStream(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 1, 23, 0, 0, 0, time.UTC)
	s := testdb.At(t, t.TempDir(), &supertable.Options{Now: func() time.Time { return now }, LeaseTTL: 100 * 24 * time.Hour}).Session("slow")
	for day := range 12 {
		for hour := range 2 { // around midnight
			now = time.Date(2026, 5, 1+day, 23, 30, 0, 0, time.UTC).Add(time.Duration(hour) * time.Hour)
			l := logger(t, s, "metrics", nil)
			logAll(t, l, supertable.Record{"day": day, "execution_time": now.UnixMilli()})
			closeLogger(t, l)
		}
		if day == 0 {
			if err := s.SetOption(t.Context(), "__metrics__", "stream_retention", "259200"); err != nil { // 3 days
				t.Fatal(err)
			}
		}
		if _, err := s.Compact(t.Context(), "__metrics__", nil); err != nil {
			t.Fatal(err)
		}
		if _, err := s.ExpireStreams(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		oldest := testdb.Query(t, s, "SELECT min(execution_time) FROM __metrics__", nil)
		at, err := strconv.ParseInt(oldest, 10, 64)
		if age := now.Sub(time.UnixMilli(at)); err != nil || age > 4*24*time.Hour {
			t.Errorf("day %d: a record of %v ago (%v)", day, age, err)
		}
	}
	if got := testdb.Query(t, s, "SELECT count(*) FROM __metrics__", nil); got != "7" && got != "8" {
		t.Errorf("%s records are left", got)
	}
	stats, err := s.StreamStats(t.Context(), "metrics")
	if err != nil || stats.FileCount > 5 {
		t.Errorf("%d files (%v)", stats.FileCount, err)
	}
}
