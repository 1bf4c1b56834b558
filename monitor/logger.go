package monitor

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/supertable-go/supertable/internal/errs"
)

// LoggerOptions of NewLogger. The zero value means the defaults.
type LoggerOptions struct {
	// MaxRowsPerFile bounds the records of one data file. Defaults to 5000.
	MaxRowsPerFile int
	// FlushInterval is how long a record may wait before it is durable.
	// Defaults to one second.
	FlushInterval time.Duration
	// QueueSize is how many records may wait in memory; then Log waits.
	// Defaults to 50000, and to 64 MiB of records whatever their number.
	QueueSize int
	// Now is the clock. Defaults to time.Now.
	Now func() time.Time
}

const (
	defaultRows  = 5000
	defaultQueue = 50_000
	queueBytes   = 64 << 20
	keptTimes    = 100 // flush durations that Stats shows
	closeTries   = 3
	flushTimeout = time.Minute
)

// Logger takes records for one stream. It is safe for concurrent use, and
// several processes may log to one stream.
//
// Log puts a record into a queue and returns; when the queue is full it waits.
// Every flush interval what is in the queue is made durable: full files of
// MaxRowsPerFile records are written to the table at once, the rest waits as a
// chunk in the catalog until it fills a file or the logger closes. A record is
// never dropped: one that cannot be stored is refused by Log, and what could
// not be written is an error of Flush and Close.
type Logger struct {
	stream string
	store  *Store
	o      LoggerOptions

	queue  queue
	asked  chan chan error // Flush
	done   chan struct{}   // closed when run has ended
	closed sync.Once
	result error // of the last flush; set before done is closed

	mu    sync.Mutex
	stats QueueStats // guarded by mu
	began time.Time
}

// NewLogger starts a logger. It runs until Close or until ctx ends; both make
// everything durable that was logged before.
func NewLogger(ctx context.Context, s *Store, stream string, o LoggerOptions) *Logger {
	if o.MaxRowsPerFile <= 0 {
		o.MaxRowsPerFile = defaultRows
	}
	if o.FlushInterval <= 0 {
		o.FlushInterval = time.Second
	}
	if o.QueueSize <= 0 {
		o.QueueSize = defaultQueue
	}
	if o.Now == nil {
		o.Now = time.Now //nolint:forbidigo // the one default clock of a logger
	}
	l := &Logger{stream: stream, store: s, o: o, asked: make(chan chan error), done: make(chan struct{}), began: o.Now()}
	l.queue.init(o.QueueSize)
	l.stats.FlushDurations = []float64{}
	l.stats.StartTime = seconds(l.began)
	go l.run(ctx)
	return l
}

// Log takes a record; the caller may change it afterwards. It waits while the
// queue is full, as long as ctx allows. A record that cannot be stored is
// InvalidArgument: it names the field.
func (l *Logger) Log(ctx context.Context, r Record) error {
	row, err := newRow(r, l.o.Now())
	if err != nil {
		return err
	}
	return l.queue.put(ctx, row)
}

// LogJSON is Log of a JSON object.
func (l *Logger) LogJSON(ctx context.Context, line []byte) error {
	row, err := parseRow(line)
	if err == nil {
		row, err = row.finish(l.o.Now())
	}
	if err != nil {
		return err
	}
	return l.queue.put(ctx, row)
}

// Flush returns when everything that was logged before is durable.
func (l *Logger) Flush(ctx context.Context) error {
	answer := make(chan error, 1)
	select {
	case l.asked <- answer:
	case <-l.done:
		return l.result
	case <-ctx.Done():
		return errs.FromContext(ctx, "flush stream "+l.stream)
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return errs.FromContext(ctx, "flush stream "+l.stream)
	}
}

// Close takes no more records and returns when all are durable and in the
// stream's table. It may be called more than once.
func (l *Logger) Close() error {
	l.closed.Do(l.queue.close)
	<-l.done
	return l.result
}

// Done is closed when the logger has ended, also by the end of its context.
func (l *Logger) Done() <-chan struct{} { return l.done }

// run is the one goroutine that writes.
func (l *Logger) run(ctx context.Context) {
	defer close(l.done)
	w := &flusher{l: l}
	tick := time.NewTicker(l.o.FlushInterval)
	defer tick.Stop()
	for {
		select {
		case <-l.queue.full: // a file's worth is there, or the queue is closed
			if l.queue.isClosed() {
				l.result = w.end()
				return
			}
			w.take()
			if len(w.rows) >= l.o.MaxRowsPerFile {
				_ = w.flush(false) // what fails stays and is tried again at the next tick
			}
		case <-tick.C:
			w.take()
			_ = w.flush(true)
		case answer := <-l.asked:
			w.take()
			answer <- w.flush(true)
		case <-ctx.Done():
			l.closed.Do(l.queue.close)
			l.result = w.end()
			return
		}
	}
}

// flusher holds what was taken from the queue and is not durable yet.
type flusher struct {
	l       *Logger
	rows    []row
	waiting int // records of ours that wait as chunks, as far as we know
}

// take empties the queue, unless writing is so far behind that callers of Log
// have to wait.
func (w *flusher) take() {
	if len(w.rows) < w.l.o.QueueSize {
		w.rows = append(w.rows, w.l.queue.take()...)
	}
}

// flush writes full files and, when all is set, makes the rest durable.
func (w *flusher) flush(all bool) error {
	if len(w.rows) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	begin, had := w.l.o.Now(), len(w.rows)
	err := w.write(ctx, all)
	w.l.queue.fail(err)
	w.l.flushed(begin, had-len(w.rows), len(w.rows))
	return err
}

func (w *flusher) write(ctx context.Context, all bool) error {
	l, most := w.l, w.l.o.MaxRowsPerFile
	for len(w.rows) >= most {
		if err := l.store.Append(ctx, l.stream, w.rows[:most], nil); err != nil {
			return err
		}
		w.rows = w.rows[most:]
	}
	if !all || len(w.rows) == 0 {
		return nil
	}
	if err := l.store.Keep(ctx, l.stream, w.rows); err != nil {
		return err
	}
	w.waiting += len(w.rows)
	w.rows = nil
	if w.waiting < most {
		return nil
	}
	left, err := l.store.Settle(ctx, l.stream, most, false)
	if err == nil {
		w.waiting = left
	}
	return nil // what failed to move is durable; it moves later
}

// end flushes what is left and moves all that waits into the table.
func (w *flusher) end() error {
	w.rows = append(w.rows, w.l.queue.take()...)
	var err error
	for try := range closeTries {
		if try > 0 {
			time.Sleep(100 * time.Millisecond << try)
		}
		if err = w.flush(true); err == nil || lasting(err) {
			break
		}
	}
	if err != nil {
		return errs.Wrap(errs.KindOf(err), err, "stream %s: %d records were not written: %v", w.l.stream, len(w.rows), err)
	}
	if w.waiting == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	if _, err := w.l.store.Settle(ctx, w.l.stream, w.l.o.MaxRowsPerFile, true); err != nil {
		return errs.Wrap(errs.KindOf(err), err, "stream %s: the last records are durable but not in their table yet: %v", w.l.stream, err)
	}
	return nil
}

// lasting reports whether an error stays until somebody changes something: it
// is no use to wait.
func lasting(err error) bool {
	kind := errs.KindOf(err)
	return kind == errs.Denied || kind == errs.NotFound
}

// queue is bounded; records leave it all at once.
type queue struct {
	mu     sync.Mutex
	rows   []row
	bytes  int
	most   int
	closed bool
	failed error         // why rows do not leave, when that will not end by itself
	space  chan struct{} // closed when rows leave, cannot leave, or the queue is closed
	full   chan struct{} // signalled when half of it is used; closed with the queue

	received int64
}

func (q *queue) init(most int) {
	q.most = most
	q.space, q.full = make(chan struct{}), make(chan struct{}, 1)
}

func (q *queue) put(ctx context.Context, r row) error {
	size := r.size()
	q.mu.Lock()
	for !q.closed && len(q.rows) > 0 && (len(q.rows) >= q.most || q.bytes+size > queueBytes) {
		if q.failed != nil {
			defer q.mu.Unlock()
			return q.failed
		}
		space := q.space
		q.mu.Unlock()
		select {
		case <-space:
		case <-ctx.Done():
			return errs.FromContext(ctx, "log")
		}
		q.mu.Lock()
	}
	defer q.mu.Unlock()
	if q.closed {
		return errs.New(errs.Unavailable, "the logger is closed")
	}
	q.rows = append(q.rows, r)
	q.bytes += size
	q.received++
	if len(q.rows)%256 == 0 || len(q.rows) >= q.most || q.bytes > queueBytes/2 {
		select {
		case q.full <- struct{}{}:
		default:
		}
	}
	return nil
}

func (q *queue) take() []row {
	q.mu.Lock()
	defer q.mu.Unlock()
	rows := q.rows
	q.rows, q.bytes = nil, 0
	q.wake()
	return rows
}

// wake lets those who wait look again; mu is held.
func (q *queue) wake() {
	if !q.closed {
		close(q.space)
		q.space = make(chan struct{})
	}
}

// fail says how the last flush ended: callers who wait for room that will not
// come are told.
func (q *queue) fail(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.failed = nil; err != nil && lasting(err) {
		q.failed = err
		q.wake()
	}
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	close(q.space)
	close(q.full)
}

func (q *queue) isClosed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed
}

func (q *queue) count() (waiting int, received int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.rows), q.received
}

// QueueStats are the documented figures of a logger's queue; times are seconds
// since 1970, durations seconds.
type QueueStats struct {
	TotalReceived    int64     `json:"total_received"`
	TotalProcessed   int64     `json:"total_processed"` // durable
	CurrentSize      int64     `json:"current_size"`
	MaxSize          int64     `json:"max_size"` // the largest size at a flush
	LastFlushTime    float64   `json:"last_flush_time"`
	FlushDurations   []float64 `json:"flush_durations"` // of the last 100
	LastFlushSize    int64     `json:"last_flush_size"`
	StartTime        float64   `json:"start_time"`
	AvgFlushDuration float64   `json:"avg_flush_duration"`
	ProcessingRate   float64   `json:"processing_rate"` // records a second since the start
}

// QueueHealth says whether the logger keeps up.
type QueueHealth struct {
	Status               string  `json:"status"` // healthy or backlogged
	Backlog              int64   `json:"backlog"`
	ProcessingRate       float64 `json:"processing_rate"`
	EstimatedTimeToClear float64 `json:"estimated_time_to_clear"` // seconds; infinite when nothing was processed
	LastFlush            struct {
		Time           float64 `json:"time"`
		Duration       float64 `json:"duration"`
		ItemsProcessed int64   `json:"items_processed"`
	} `json:"last_flush"`
	Totals struct {
		Received      int64   `json:"received"`
		Processed     int64   `json:"processed"`
		UptimeSeconds float64 `json:"uptime_seconds"`
	} `json:"totals"`
}

func seconds(t time.Time) float64 { return float64(t.UnixMicro()) / 1e6 }

// flushed counts a flush that made n records durable and left others.
func (l *Logger) flushed(begin time.Time, n, left int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &l.stats
	s.TotalProcessed += int64(n)
	s.MaxSize = max(s.MaxSize, int64(n+left))
	s.LastFlushTime, s.LastFlushSize = seconds(l.o.Now()), int64(n)
	s.FlushDurations = append(s.FlushDurations, l.o.Now().Sub(begin).Seconds())
	if len(s.FlushDurations) > keptTimes {
		s.FlushDurations = s.FlushDurations[1:]
	}
}

// Stats gives the figures of the queue.
func (l *Logger) Stats() QueueStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stats
	_, s.TotalReceived = l.queue.count()
	s.CurrentSize = s.TotalReceived - s.TotalProcessed
	s.FlushDurations = slices.Clone(s.FlushDurations)
	var sum float64
	for _, d := range s.FlushDurations {
		sum += d
	}
	if n := len(s.FlushDurations); n > 0 {
		s.AvgFlushDuration = sum / float64(n)
	}
	if up := l.o.Now().Sub(l.began).Seconds(); up > 0 {
		s.ProcessingRate = float64(s.TotalProcessed) / up
	}
	return s
}

// Health judges the figures.
func (l *Logger) Health() QueueHealth {
	s := l.Stats()
	h := QueueHealth{Status: "healthy", Backlog: s.CurrentSize, ProcessingRate: s.ProcessingRate}
	if h.Backlog >= int64(l.o.MaxRowsPerFile) {
		h.Status = "backlogged"
	}
	switch {
	case h.Backlog == 0:
	case s.ProcessingRate > 0:
		h.EstimatedTimeToClear = float64(h.Backlog) / s.ProcessingRate
	default:
		h.EstimatedTimeToClear = math.Inf(1)
	}
	h.LastFlush.Time, h.LastFlush.ItemsProcessed = s.LastFlushTime, s.LastFlushSize
	if n := len(s.FlushDurations); n > 0 {
		h.LastFlush.Duration = s.FlushDurations[n-1]
	}
	h.Totals.Received, h.Totals.Processed = s.TotalReceived, s.TotalProcessed
	h.Totals.UptimeSeconds = l.o.Now().Sub(l.began).Seconds()
	return h
}

// Catalog describes the stream as the catalog knows it.
func (l *Logger) Catalog(ctx context.Context) (Catalog, error) { return l.store.Stream(ctx, l.stream) }

// String names the logger's stream.
func (l *Logger) String() string { return "logger of stream " + l.stream }
