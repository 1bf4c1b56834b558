package audit

import (
	"context"
	"sync"
	"time"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/internal/errs"
)

// Store is the part of the catalog that the log appends to.
type Store interface {
	AppendAudit(ctx context.Context, link func(last catalog.AuditHead) []catalog.AuditRow) error
}

// Options of a Log.
type Options struct {
	Now func() time.Time // the clock; required
	// Queue bounds how many records wait, Bytes how large they may be
	// together. Default to 10,000 and 16 MiB.
	Queue, Bytes int
	// Patience is how long one append may take before its records are given
	// up. Defaults to 10 seconds.
	Patience time.Duration
	// Gather is the least time from one append to the next, unless the log is
	// flushed or fills up: many small reads then share a transaction, and leave
	// the catalog to its writers. Defaults to 20 milliseconds.
	Gather time.Duration
	// Lost, when set, is told that n records could not be written, and why.
	Lost func(n int, err error)
}

// Log writes records of what has no transaction of its own: reads, denials,
// failures. Put costs the caller no write: one goroutine appends what waits at
// once, as much of it as there is in one transaction, then gathers a little
// before it appends again, and ends when nothing waits any more. It is safe for concurrent use; a nil Log keeps nothing.
type Log struct {
	store Store
	o     Options
	hurry chan struct{} // ends the pause between two appends

	mu      sync.Mutex
	space   *sync.Cond // of mu: the queue got shorter, or is empty
	waiting []Record   // guarded by mu
	bytes   int        // of waiting; guarded by mu
	running bool       // guarded by mu
	flushes int        // callers of Flush; guarded by mu
	lost    int        // not yet told of in the chain; guarded by mu
	why     error      // guarded by mu
}

// maxBatch bounds how many records share one transaction.
const maxBatch = 1000

// NewLog makes a log that appends to store.
func NewLog(store Store, o Options) *Log {
	if o.Queue <= 0 {
		o.Queue = 10_000
	}
	if o.Bytes <= 0 {
		o.Bytes = 16 << 20
	}
	if o.Patience <= 0 {
		o.Patience = 10 * time.Second
	}
	if o.Gather <= 0 {
		o.Gather = 20 * time.Millisecond
	}
	l := &Log{store: store, o: o, hurry: make(chan struct{}, 1)}
	l.space = sync.NewCond(&l.mu)
	return l
}

func (r Record) size() int { return 256 + len(r.Statement) + len(r.Reason) + len(r.Principal) }

// Put queues a record. When the queue is full it waits for its turn: readers
// are slowed down rather than unrecorded.
func (l *Log) Put(r Record) {
	if l == nil {
		return
	}
	r = r.normal() // bounds it
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.waiting) >= l.o.Queue || len(l.waiting) > 0 && l.bytes+r.size() > l.o.Bytes {
		l.space.Wait()
	}
	l.waiting = append(l.waiting, r)
	l.bytes += r.size()
	if len(l.waiting) > l.o.Queue/2 || l.bytes > l.o.Bytes/2 {
		l.hurryUp()
	}
	if !l.running {
		l.running = true
		go l.work()
	}
}

// Flush waits until everything that was put before is written or given up.
func (l *Log) Flush() {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flushes++
	l.hurryUp()
	for l.running {
		l.space.Wait()
	}
	l.flushes--
}

func (l *Log) hurryUp() {
	select {
	case l.hurry <- struct{}{}:
	default: // somebody said so already
	}
}

// pause waits before the next append.
func (l *Log) pause() {
	l.mu.Lock()
	urgent := l.flushes > 0
	l.mu.Unlock()
	if urgent {
		return
	}
	select {
	case <-l.hurry:
	case <-time.After(l.o.Gather):
	}
}

// Write appends one record now and returns when it is durable. What cannot be
// written is Unavailable.
func (l *Log) Write(ctx context.Context, r Record) error {
	if l == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, l.o.Patience)
	defer cancel()
	err := l.store.AppendAudit(ctx, func(last catalog.AuditHead) []catalog.AuditRow { return chain(last, []Record{r}) })
	if err != nil && errs.KindOf(err) != errs.Cancelled {
		err = errs.Wrap(errs.Unavailable, err, "the audit cannot be written, and audit_required is set")
	}
	return err
}

// work appends until nothing waits.
func (l *Log) work() {
	for {
		l.mu.Lock()
		n := min(len(l.waiting), maxBatch)
		if n == 0 {
			l.running = false
			l.space.Broadcast()
			l.mu.Unlock()
			return
		}
		batch := append([]Record(nil), l.waiting[:n]...)
		lost, why := l.lost, l.why
		l.mu.Unlock()

		err := l.append(batch, lost, why)

		l.mu.Lock()
		l.waiting = append(l.waiting[:0:0], l.waiting[n:]...)
		for _, r := range batch {
			l.bytes -= r.size()
		}
		if err == nil {
			l.lost, l.why = l.lost-lost, nil
		} else if errs.KindOf(err) != errs.NotFound { // the SuperTable is gone, and its audit with it
			l.lost, l.why = l.lost+n, err
		}
		l.space.Broadcast()
		l.mu.Unlock()
		if err != nil && errs.KindOf(err) != errs.NotFound && l.o.Lost != nil {
			l.o.Lost(n, err)
		}
		l.pause()
	}
}

// append writes a batch, and before it how many records were lost since the
// last one.
func (l *Log) append(batch []Record, lost int, why error) error {
	ctx, cancel := context.WithTimeout(context.Background(), l.o.Patience)
	defer cancel()
	if lost > 0 {
		gap := Record{Time: l.o.Now(), Action: "audit_lost", Rows: int64(lost)}
		gap.End(why)
		batch = append([]Record{gap}, batch...)
	}
	return l.store.AppendAudit(ctx, func(last catalog.AuditHead) []catalog.AuditRow { return chain(last, batch) })
}

// chain links records one after the other.
func chain(last catalog.AuditHead, batch []Record) []catalog.AuditRow {
	rows := make([]catalog.AuditRow, len(batch))
	for i, r := range batch {
		rows[i] = r.link(last)
		last.Seq, last.Hash = rows[i].Seq, rows[i].Hash
	}
	return rows
}
