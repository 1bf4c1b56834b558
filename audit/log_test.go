package audit

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/internal/errs"
)

// shelf is a store in memory that can be stopped and broken.
type shelf struct {
	mu      sync.Mutex
	rows    []catalog.AuditRow
	appends int
	err     error
	gate    chan struct{} // when not nil, each append takes one
}

func (m *shelf) AppendAudit(ctx context.Context, link func(catalog.AuditHead) []catalog.AuditRow) error {
	if m.gate != nil {
		select {
		case <-m.gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.appends++
	if m.err != nil {
		return m.err
	}
	m.rows = append(m.rows, link(m.head())...)
	return nil
}

func (m *shelf) head() catalog.AuditHead {
	h := catalog.AuditHead{Hash: Genesis, TrimmedHash: Genesis}
	if n := len(m.rows); n > 0 {
		h.Seq, h.Hash = m.rows[n-1].Seq, m.rows[n-1].Hash
	}
	return h
}

func (m *shelf) set(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}

func (m *shelf) actions(t *testing.T) string {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if got, want := verify(m.head(), m.rows, ""), fmt.Sprint("true ", len(m.rows), " -"); got != want {
		t.Fatalf("the chain: %s, want %s", got, want)
	}
	var out []string
	for _, row := range m.rows {
		r, err := parse(row)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprint(r.Action, r.Rows))
	}
	return strings.Join(out, " ")
}

func clock() time.Time { return noon }

func TestLogKeepsTheOrder(t *testing.T) {
	m := &shelf{}
	l := NewLog(m, Options{Now: clock})
	var want []string
	for i := range 2500 {
		l.Put(Record{Time: noon, Action: "q", Rows: int64(i)})
		want = append(want, fmt.Sprint("q", i))
	}
	l.Flush()
	if got := m.actions(t); got != strings.Join(want, " ") {
		t.Errorf("got %.200s…", got)
	}
	if m.appends > 2000 {
		t.Errorf("%d appends: they are not batched", m.appends)
	}
}

func TestFullQueueSlowsDown(t *testing.T) {
	for what, o := range map[string]Options{
		"by number": {Queue: 3},
		"by bytes":  {Bytes: 3 * (256 + 100)},
	} {
		m := &shelf{gate: make(chan struct{})}
		o.Now = clock
		l := NewLog(m, o)
		put := make(chan int, 100)
		go func() {
			for i := range 10 {
				l.Put(Record{Action: "q", Rows: int64(i), Statement: strings.Repeat("x", 100)})
				put <- i
			}
			close(put)
		}()
		for range 3 {
			<-put
		}
		select {
		case <-put:
			t.Errorf("%s: a fourth record found place", what)
		case <-time.After(30 * time.Millisecond):
		}
		close(m.gate) // the store goes on
		for range put {
		}
		l.Flush()
		if got := m.actions(t); got != "q0 q1 q2 q3 q4 q5 q6 q7 q8 q9" {
			t.Errorf("%s: got %s", what, got)
		}
	}
}

// TestUnwritable: what cannot be written is counted and told, and the chain
// itself says so when it can be written again.
func TestUnwritable(t *testing.T) {
	m := &shelf{err: errs.New(errs.Unavailable, "disk full")}
	lost := 0
	l := NewLog(m, Options{Now: clock, Lost: func(n int, _ error) { lost += n }})
	for i := range 3 {
		l.Put(Record{Action: "q", Rows: int64(i)})
		l.Flush()
	}
	if lost != 3 {
		t.Errorf("lost %d, want 3", lost)
	}
	m.set(nil)
	l.Put(Record{Action: "q", Rows: 7})
	l.Put(Record{Action: "q", Rows: 8})
	l.Flush()
	if got := m.actions(t); got != "audit_lost3 q7 q8" {
		t.Errorf("got %s", got)
	}
	m.set(errs.New(errs.NotFound, "dropped"))
	l.Put(Record{Action: "q"})
	l.Flush()
	if lost != 3 {
		t.Errorf("the audit of a dropped SuperTable was missed: %d", lost)
	}
}

func TestPatienceEnds(t *testing.T) {
	m := &shelf{gate: make(chan struct{})}
	lost := 0
	l := NewLog(m, Options{Now: clock, Patience: 20 * time.Millisecond, Lost: func(n int, _ error) { lost += n }})
	l.Put(Record{Action: "q"})
	l.Flush()
	if lost != 1 {
		t.Errorf("lost %d, want 1", lost)
	}
}

func TestWriteWaits(t *testing.T) {
	m := &shelf{}
	l := NewLog(m, Options{Now: clock})
	if err := l.Write(t.Context(), Record{Action: "q", Rows: 1}); err != nil || m.actions(t) != "q1" {
		t.Errorf("got %v", err)
	}
	m.set(errs.New(errs.Corrupt, "broken"))
	if err := l.Write(t.Context(), Record{Action: "q"}); !errors.Is(err, errs.Unavailable) {
		t.Errorf("got %v, want unavailable", err)
	}
	var none *Log
	none.Put(Record{})
	none.Flush()
	if err := none.Write(t.Context(), Record{}); err != nil {
		t.Error(err)
	}
}

func TestConcurrentPuts(t *testing.T) {
	m := &shelf{}
	l := NewLog(m, Options{Now: clock, Queue: 5})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				l.Put(Record{Action: "q"})
			}
		})
	}
	wg.Wait()
	l.Flush()
	if m.actions(t); len(m.rows) != 1600 {
		t.Errorf("%d records, want 1600", len(m.rows))
	}
}
