package supertable_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/testdb"
)

// logger starts a logger that the test closes at the latest.
func logger(t testing.TB, s *supertable.Session, stream string, o *supertable.LoggerOptions) *supertable.StreamLogger {
	t.Helper()
	l, err := s.Logger(t.Context(), stream, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func logAll(t testing.TB, l *supertable.StreamLogger, records ...supertable.Record) {
	t.Helper()
	for _, r := range records {
		if err := l.Log(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
}

func closeLogger(t testing.TB, l *supertable.StreamLogger) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestM01ParallelLoggers: 1001 records of 8 goroutines end as three files.
func TestM01ParallelLoggers(t *testing.T) {
	t.Parallel()
	s := testdb.Open(t).Session("m01")
	l := logger(t, s, "metrics", &supertable.LoggerOptions{MaxRowsPerFile: 500, FlushInterval: 10 * time.Millisecond})
	jobs := make(chan int)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range jobs {
				if err := l.Log(t.Context(), supertable.Record{"query_id": fmt.Sprintf("query_%06d", i), "rows_read": i, "rows_processed": i * 2, "query_hash": i * 31}); err != nil {
					t.Error(err)
				}
				if i%200 == 0 {
					time.Sleep(15 * time.Millisecond) // several flushes
				}
			}
		})
	}
	for i := range 1001 {
		jobs <- i
	}
	close(jobs)
	wg.Wait()
	closeLogger(t, l)
	c, err := l.Catalog(t.Context())
	if err != nil || c.TotalRows != 1001 || c.FileCount != 3 || c.Version < 2 || c.TotalFileSize == 0 {
		t.Errorf("catalog %+v (%v)", c, err)
	}
	if got := testdb.Query(t, s, "SELECT count(*), count(DISTINCT query_id), sum(rows_read), count(execution_time) FROM __metrics__", nil); got != "1001|1001|500500|1001" {
		t.Errorf("the table holds %s", got)
	}
	for line := range strings.SplitSeq(testdb.Query(t, s, "SHOW STATS __metrics__", nil), "\n") {
		if n := strings.Split(line, "|")[3]; n != "500" && n != "1" {
			t.Errorf("a file of %s records", n)
		}
	}
	st := l.Stats()
	if st.TotalReceived != 1001 || st.TotalProcessed != 1001 || st.CurrentSize != 0 || st.ProcessingRate <= 0 || len(st.FlushDurations) == 0 || st.LastFlushTime < st.StartTime || st.MaxSize == 0 {
		t.Errorf("M03: queue stats %+v", st)
	}
	h := l.Health()
	if h.Status != "healthy" || h.Backlog != 0 || h.EstimatedTimeToClear != 0 || h.Totals.Received != 1001 || h.Totals.Processed != 1001 || h.LastFlush.ItemsProcessed == 0 {
		t.Errorf("M04: queue health %+v", h)
	}
	if err := l.Log(t.Context(), supertable.Record{"x": 1}); !errors.Is(err, supertable.Unavailable) {
		t.Errorf("a closed logger takes records: %v", err)
	}
}

// TestM02OneRecord: it is durable after Close, with its time.
func TestM02OneRecord(t *testing.T) {
	t.Parallel()
	s := testdb.Open(t).Session("m02")
	before := time.Now().UnixMilli()
	l := logger(t, s, "metrics", nil)
	logAll(t, l, supertable.Record{"query_id": "q"})
	closeLogger(t, l)
	c, err := s.StreamStats(t.Context(), "metrics")
	if err != nil || c.TotalRows != 1 || c.FileCount != 1 || c.Version != 2 {
		t.Errorf("catalog %+v (%v)", c, err)
	}
	sql := fmt.Sprintf("SELECT query_id, execution_time BETWEEN %d AND %d, typeof(execution_time) FROM __metrics__", before, time.Now().UnixMilli())
	if got := testdb.Query(t, s, sql, nil); got != "q|true|BIGINT" {
		t.Errorf("the record is %s", got)
	}
}

// TestFlushIsDurable: what was flushed is read by another process of the home
// while the logger still runs, and stays one record.
func TestFlushIsDurable(t *testing.T) {
	t.Parallel()
	db := testdb.Open(t)
	s := db.Session("flushed")
	l := logger(t, s, "metrics", &supertable.LoggerOptions{FlushInterval: time.Hour})
	logAll(t, l, supertable.Record{"a": 1}, supertable.Record{"a": 2})
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	other := testdb.At(t, db.Home, nil).Session("flushed")
	if c, err := other.StreamStats(t.Context(), "metrics"); err != nil || c.TotalRows != 2 || c.FileCount != 0 {
		t.Errorf("before somebody reads: %+v (%v)", c, err)
	}
	if got := testdb.Query(t, other, "SELECT a FROM __METRICS__ ORDER BY a", nil); got != "1\n2" {
		t.Errorf("the other process reads %q", got)
	}
	logAll(t, l, supertable.Record{"a": 3})
	closeLogger(t, l)
	if got := testdb.Query(t, other, "SELECT a FROM __metrics__ ORDER BY a", nil); got != "1\n2\n3" {
		t.Errorf("after Close: %q", got)
	}
}

// TestContextEndIsDurable: the end of the context is a Close.
func TestContextEndIsDurable(t *testing.T) {
	t.Parallel()
	s := testdb.Open(t).Session("ended")
	ctx, cancel := context.WithCancel(t.Context())
	l, err := s.Logger(ctx, "metrics", &supertable.LoggerOptions{FlushInterval: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		if err := l.Log(ctx, supertable.Record{"i": i}); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	<-l.Done()
	if got := testdb.Query(t, s, "SELECT count(DISTINCT i) FROM __metrics__", nil); got != "100" {
		t.Errorf("%s records", got)
	}
}

// TestDriftLosesNothing: types that drift turn columns, and every record stays
// readable (decision 19).
func TestDriftLosesNothing(t *testing.T) {
	t.Parallel()
	s := testdb.Open(t).Session("drift")
	for _, r := range []supertable.Record{
		{"n": 1, "v": 1, "w": true, "x": nil, "big": int64(9007199254740993), "o": map[string]any{"b": 1, "a": []int{1, 2}}},
		{"n": 2, "v": 2.5, "w": "yes", "x": nil, "big": 0.5},
		{"n": 3, "v": "text", "w": 7, "x": 4, "N2": "new", "o": "plain"},
		{"N": 4, "v": map[string]any{"k": "v"}, "w": nil, "x": false, "big": 1},
		{"n": 5, "v": []any{1, "a"}, "n2": 5, "w": 1e300},
	} {
		l := logger(t, s, "metrics", nil)
		logAll(t, l, r)
		closeLogger(t, l)
	}
	want := strings.Join([]string{
		`1|1.0|true|∅|9007199254740993|{"a":[1,2],"b":1}|∅`,
		`2|2.5|yes|∅|0.5|∅|∅`,
		`3|text|7|4|∅|plain|new`,
		`4|{"k":"v"}|∅|false|1|∅|∅`,
		`5|[1,"a"]|1e+300|∅|∅|∅|5`,
	}, "\n")
	if got := testdb.Query(t, s, "SELECT n, v, w, x, big, o, n2 FROM __metrics__ ORDER BY n", nil); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestRecordsThatAreRefused: what cannot be stored is an error of Log.
func TestRecordsThatAreRefused(t *testing.T) {
	t.Parallel()
	s := testdb.Open(t).Session("refused")
	l := logger(t, s, "metrics", nil)
	for _, r := range []supertable.Record{
		{"": 1}, {"a": 1, "A": 2}, {"a\x00": 1}, {"_ducklake_internal_x": 1}, {"execution_time": "now"}, {"f": func() {}}, {"long": strings.Repeat("x", 2<<20)},
	} {
		if err := l.Log(t.Context(), r); !errors.Is(err, supertable.InvalidArgument) {
			t.Errorf("%.60v: %v", r, err)
		}
	}
	for _, name := range []string{"", "a b", "../x", "x\n", strings.Repeat("x", 125), "plans", "__stats__", "audit", "é"} {
		if _, err := s.Logger(t.Context(), name, nil); !errors.Is(err, supertable.InvalidArgument) {
			t.Errorf("stream %q: %v", name, err)
		}
	}
	closeLogger(t, l)
	if _, err := s.StreamStats(t.Context(), "metrics"); !errors.Is(err, supertable.NotFound) {
		t.Errorf("nothing was logged, yet: %v", err)
	}
}

// TestM08Window reads windows of a stream.
func TestM08Window(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 2, 12, 0, 0, 0, time.UTC)
	db := testdb.At(t, t.TempDir(), &supertable.Options{Now: func() time.Time { return now }})
	s := db.Session("m08")
	if _, err := s.ReadStream(t.Context(), "metrics", supertable.StreamWindow{}); !errors.Is(err, supertable.NotFound) {
		t.Errorf("no stream yet: %v", err)
	}
	l := logger(t, s, "metrics", nil)
	ms := now.UnixMilli()
	for i, at := range []int64{ms - 86_400_000 - 1, ms - 86_400_000, ms - 5, ms - 5, ms - 5, ms, ms + 1} {
		logAll(t, l, supertable.Record{"i": i, "execution_time": at})
	}
	closeLogger(t, l)
	at := func(ms int64) *time.Time { x := time.UnixMilli(ms); return &x }
	for _, c := range []struct {
		w    supertable.StreamWindow
		want string
	}{
		{supertable.StreamWindow{}, "5 4 3 2 1"},
		{supertable.StreamWindow{Limit: 3}, "5 4 3"},
		{supertable.StreamWindow{Limit: -1}, ""},
		{supertable.StreamWindow{To: at(ms + 1)}, "6 5 4 3 2"},
		{supertable.StreamWindow{From: at(ms - 5), To: at(ms - 5)}, "4 3 2"},
		{supertable.StreamWindow{From: at(0), To: at(ms - 86_400_000)}, "1 0"},
		{supertable.StreamWindow{From: at(0), To: at(100)}, ""},
	} {
		rows, err := s.ReadStream(t.Context(), "metrics", c.w)
		if got := column(t, rows, err, "i"); got != c.want {
			t.Errorf("%+v: got %q, want %q", c.w, got, c.want)
		}
	}
	_, err := s.ReadStream(t.Context(), "metrics", supertable.StreamWindow{From: at(2), To: at(1)})
	if err == nil || err.Error() != "from_ts_ms (2) must be <= to_ts_ms (1)" || !errors.Is(err, supertable.InvalidArgument) {
		t.Errorf("from > to: %v", err)
	}
}

// column reads one column of a result, values separated by blanks.
func column(t *testing.T, rows *supertable.Rows, err error, name string) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		b := rows.Batch()
		k := b.Schema().FieldIndices(name)
		for i := range int(b.NumRows()) {
			out = append(out, strings.Clone(b.Column(k[0]).ValueStr(i)))
		}
	}
	if rows.Err() != nil {
		t.Fatal(rows.Err())
	}
	return strings.Join(out, " ")
}

// TestM11Recent reads the newest records over several days.
func TestM11Recent(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 10, 0, 30, 0, 0, time.UTC)
	db := testdb.At(t, t.TempDir(), &supertable.Options{Now: func() time.Time { return now }})
	s := db.Session("m11")
	fill := func(stream string, days map[int][]int) {
		l := logger(t, s, stream, nil)
		for back, list := range days {
			for _, i := range list {
				logAll(t, l, supertable.Record{"i": i, "execution_time": now.AddDate(0, 0, -back).UnixMilli()})
			}
		}
		closeLogger(t, l)
	}
	thousand := make([]int, 1000)
	hundred := make([]string, 100)
	for i := range thousand {
		thousand[i] = i
	}
	for i := range hundred {
		hundred[i] = strconv.Itoa(999 - i)
	}
	fill("a", map[int][]int{0: {0, 1, 2, 3, 4}})
	fill("b", map[int][]int{0: {1, 2}, 1: {3, 4, 5}})
	fill("c", map[int][]int{0: thousand})
	fill("d", map[int][]int{0: {1}, 3: {2}, 6: {3}, 7: {4}, 89: {5}, 90: {6}})
	for _, c := range []struct {
		stream string
		limit  int64
		days   int
		want   string
	}{
		{"a", 3, 7, "4 3 2"},
		{"b", 4, 7, "2 1 5 4"},
		{"c", 100, 7, strings.Join(hundred, " ")},
		{"d", 10, 7, "1 2 3"},
		{"d", 10, 0, "1"},
		{"d", 10, 1000, "1 2 3 4 5"},
		{"d", 0, 7, ""},
		{"d", -5, 7, ""},
	} {
		rows, err := s.RecentRecords(t.Context(), c.stream, c.limit, c.days)
		if got := column(t, rows, err, "i"); got != c.want {
			t.Errorf("%s limit %d days %d: got %q, want %q", c.stream, c.limit, c.days, got, c.want)
		}
	}
}
