package duckdb

import (
	"context"
	"time"

	bindings "github.com/duckdb/duckdb-go-bindings"
)

// watch interrupts a connection once its context is done. DuckDB forgets an
// interrupt when a statement starts, so it is repeated until stop.
type watch struct {
	unhook func() bool   // nil: the context never ends
	quit   chan struct{} // closed by stop
	gone   chan struct{} // closed when the interrupting goroutine has ended
}

func (c *conn) watch(ctx context.Context) *watch {
	w := &watch{}
	if ctx.Done() == nil {
		return w
	}
	w.quit, w.gone = make(chan struct{}), make(chan struct{})
	w.unhook = context.AfterFunc(ctx, func() {
		defer close(w.gone)
		for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
			bindings.Interrupt(c.c)
			select {
			case <-w.quit:
				return
			case <-time.After(wait):
			}
		}
	})
	return w
}

// stop ends the watch. No interrupt comes after it.
func (w *watch) stop() {
	if w.unhook == nil || w.unhook() {
		return
	}
	close(w.quit)
	<-w.gone
}
