package main

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/supertable-go/supertable"
)

// scale measures what a large catalog could make slow besides queries: listings,
// the history, and the planning of maintenance with the memory that it takes.
func (p *planned) scale() error {
	head, err := p.session.HistoryOf(p.b.ctx, "t", &supertable.HistoryOptions{Limit: 1})
	if err != nil {
		return err
	}
	newest := head[0].Snapshot
	for _, l := range []struct {
		name  string
		limit float64
		run   func() error
	}{
		{"history of a table, newest 100", 0.1, func() error {
			_, err := p.session.HistoryOf(p.b.ctx, "t", &supertable.HistoryOptions{Limit: 100})
			return err
		}},
		{"history of all tables, newest 100", 0.1, func() error {
			_, err := p.session.HistoryOf(p.b.ctx, "", &supertable.HistoryOptions{Limit: 100})
			return err
		}},
		{"history of a table, whole", 0, func() error { _, err := p.session.History(p.b.ctx, "t"); return err }},
		{"meta", 0.1, func() error { _, err := p.session.SuperMeta(p.b.ctx); return err }},
		{"meta of a table", 0.1, func() error { _, err := p.session.TableStats(p.b.ctx, "t"); return err }},
		{"tag create, list, delete", 0.1, func() error { return p.tag(newest - 1) }},
		{"first row of changes since the snapshot before", 0.1, func() error {
			rows, err := p.session.Changes(p.b.ctx, "t", newest-1, nil)
			if err != nil {
				return err
			}
			rows.Next()
			err = rows.Err()
			_ = rows.Close()
			return err
		}},
		{"query at an earlier snapshot", 0.1, func() error {
			return p.drain("SELECT count(*) FROM t WHERE id = 500", &supertable.QueryOptions{AtVersion: &newest})
		}},
	} {
		_, warm, err := p.once(l.run)
		if err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
		p.line(l.name, warm, l.limit, l.limit)
	}
	return p.maintenance()
}

// drain runs a query to its end.
func (p *planned) drain(sql string, o *supertable.QueryOptions) error {
	rows, err := p.session.Query(p.b.ctx, sql, o)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		continue
	}
	return rows.Err()
}

func (p *planned) tag(at int64) error {
	if _, err := p.session.CreateTag(p.b.ctx, "bench", &at); err != nil {
		return err
	}
	if _, err := p.session.Tags(p.b.ctx); err != nil {
		return err
	}
	_, err := p.session.DeleteTag(p.b.ctx, "bench")
	return err
}

// maintenance plans everything and does what needs no Parquet.
func (p *planned) maintenance() error {
	none := time.Duration(0)
	for _, m := range []struct {
		name string
		run  func() error
	}{
		{"SHOW STATS", func() error { return p.drain("SHOW STATS t", nil) }},
		{"compact, dry run", func() error {
			_, err := p.session.Compact(p.b.ctx, "t", &supertable.MaintainOptions{DryRun: true})
			return err
		}},
		{"expire, dry run", func() error {
			_, err := p.session.Expire(p.b.ctx, &supertable.ExpireOptions{KeepLast: 1, DryRun: true})
			return err
		}},
		{"clean, dry run", func() error {
			_, err := p.session.Clean(p.b.ctx, &supertable.CleanOptions{Grace: &none, DryRun: true})
			return err
		}},
		{"expire all but 10 snapshots", func() error {
			_, err := p.session.Expire(p.b.ctx, &supertable.ExpireOptions{KeepLast: 10})
			return err
		}},
	} {
		var seconds float64
		peak, err := heapPeak(func() (err error) { seconds, err = timed(m.run); return err })
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		p.line(m.name, seconds, 0, 0)
		p.b.add(row{name: fmt.Sprintf("%s, %s files: Go heap", m.name, thousands(p.files)), unit: "MiB", ours: float64(peak) / (1 << 20)})
	}
	return nil
}

// heapPeak gives how many bytes of Go's heap were in use while f ran.
func heapPeak(f func() error) (uint64, error) {
	runtime.GC()
	var peak atomic.Uint64
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak.Store(max(peak.Load(), m.HeapInuse))
			select {
			case <-stop:
				return
			case <-tick.C:
			}
		}
	}()
	err := f()
	close(stop)
	<-done
	return peak.Load(), err
}
