package cli

import (
	"fmt"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/supertable-go/supertable"
)

// progressDelay keeps short writes free of a bar.
const progressDelay = 300 * time.Millisecond

// progress draws how far a write is, on a terminal's stderr only.
type progress struct {
	app   *app
	table string
	start time.Time

	mu   sync.Mutex
	last supertable.WriteProgress
	draw *mpb.Progress
	bar  *mpb.Bar
	done bool
}

// newProgress returns nil when there is nobody to look at a bar.
func (a *app) newProgress(table string) *progress {
	if a.flags.quiet || !isTerminal(a.stderr) {
		return nil
	}
	return &progress{app: a, table: printable(table), start: a.now()}
}

// report is the callback for WriteOptions.Progress; nil for no bar.
func (p *progress) report() func(supertable.WriteProgress) {
	if p == nil {
		return nil
	}
	return p.show
}

// barSteps is the length of the bar's scale.
const barSteps = 1000

func (p *progress) show(w supertable.WriteProgress) {
	p.mu.Lock()
	p.last = w
	if p.done || p.bar == nil && p.app.now().Sub(p.start) < progressDelay {
		p.mu.Unlock()
		return
	}
	if p.bar == nil {
		p.draw = mpb.New(mpb.WithOutput(p.app.stderr), mpb.WithWidth(80))
		p.bar = p.draw.AddBar(barSteps, mpb.BarRemoveOnComplete(),
			mpb.PrependDecorators(decor.Any(func(decor.Statistics) string { return p.left() })),
			mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return p.right() })))
	}
	bar := p.bar
	p.mu.Unlock() // the decorators take it
	if w.Fraction >= 0 {
		bar.SetCurrent(int64(min(w.Fraction, 0.999) * barSteps))
	}
}

func (p *progress) left() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.table + ": " + p.last.Phase + " "
}

// right tells rows, speed and the time that is left.
func (p *progress) right() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return progressText(p.last, p.app.now().Sub(p.start))
}

func progressText(w supertable.WriteProgress, since time.Duration) string {
	s := ""
	if w.Fraction >= 0 {
		s += fmt.Sprintf(" %3.0f %%", 100*min(w.Fraction, 1))
	}
	if w.Rows > 0 {
		s += fmt.Sprintf(" · %d rows", w.Rows)
	}
	if w.Bytes > 0 && since > 0 {
		s += fmt.Sprintf(" · %.1f MB/s", float64(w.Bytes)/1e6/since.Seconds())
	}
	if w.Fraction > 0.01 && w.Fraction < 1 {
		left := time.Duration(float64(since) * (1 - w.Fraction) / w.Fraction)
		s += fmt.Sprintf(" · %s left", left.Round(time.Second))
	}
	return s
}

// end wipes the bar. It may be called more than once, also on nil.
func (p *progress) end() {
	if p == nil {
		return
	}
	p.mu.Lock()
	bar, draw, again := p.bar, p.draw, p.done
	p.done = true
	p.mu.Unlock()
	if bar != nil && !again {
		bar.Abort(true)
		draw.Wait()
	}
}
