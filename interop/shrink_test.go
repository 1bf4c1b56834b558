package interop

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// attempt runs do as a test of its own inside t and gives the first thing that
// it reports as failed; "" is success.
func attempt(t *testing.T, do func(testing.TB)) string {
	a := &trial{TB: t}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	a.inside(func() { do(a) })
	a.cancel()
	for {
		a.mu.Lock()
		n := len(a.cleanups)
		if n == 0 {
			a.mu.Unlock()
			break
		}
		f := a.cleanups[n-1]
		a.cleanups = a.cleanups[:n-1]
		a.mu.Unlock()
		a.inside(f)
	}
	return a.message
}

// trial is a test that may fail without failing the one around it.
type trial struct {
	testing.TB // for what a trial has not of its own: folders, marks of helpers

	ctx      context.Context //nolint:containedctx // the trial's
	cancel   func()
	mu       sync.Mutex
	message  string
	cleanups []func()
}

// inside runs f where FailNow ends f alone.
func (a *trial) inside(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if p := recover(); p != nil {
				a.keep(fmt.Sprintf("panic: %v", p))
			}
		}()
		f()
	}()
	<-done
}

func (a *trial) keep(message string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.message == "" {
		a.message = strings.TrimSuffix(message, "\n")
	}
}

func (a *trial) Failed() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.message != ""
}

func (a *trial) Cleanup(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cleanups = append(a.cleanups, f)
}

func (a *trial) Context() context.Context          { return a.ctx }
func (a *trial) Log(...any)                        {}
func (a *trial) Logf(string, ...any)               {}
func (a *trial) Fail()                             { a.keep("failed") }
func (a *trial) FailNow()                          { a.Fail(); runtime.Goexit() }
func (a *trial) Error(args ...any)                 { a.keep(fmt.Sprintln(args...)) }
func (a *trial) Errorf(format string, args ...any) { a.keep(fmt.Sprintf(format, args...)) }
func (a *trial) Fatal(args ...any)                 { a.Error(args...); runtime.Goexit() }
func (a *trial) Fatalf(format string, args ...any) { a.Errorf(format, args...); runtime.Goexit() }

var counted = regexp.MustCompile(`\d+|"[^"]*"`)

// alike reports whether two failures are of one kind: the same words, but for
// numbers and names.
func alike(a, b string) bool {
	kind := func(s string) string {
		s, _, _ = strings.Cut(s, "\n")
		s = counted.ReplaceAllString(s, "")
		if _, rest, ok := strings.Cut(s, ": "); ok && strings.HasPrefix(rest, "SELECT") {
			s = rest
		}
		return s[:min(len(s), 40)]
	}
	return a != "" && kind(a) == kind(b)
}

// shrinkTime is how long one failure may be made shorter.
func shrinkTime() time.Duration {
	if d, err := time.ParseDuration(os.Getenv("ST_SHRINK")); err == nil {
		return d
	}
	return 3 * time.Minute
}

// shrink takes parts out of a list that fails, larger ones first, as long as
// the rest still fails (delta debugging), and gives the shortest.
func shrink[T any](list []T, most time.Duration, fails func([]T) bool) []T {
	end := time.Now().Add(most)
	for part := max(1, len(list)/2); part > 0; {
		smaller := false
		for i := 0; i < len(list) && time.Now().Before(end); {
			rest := slices.Concat(list[:i], list[min(i+part, len(list)):])
			if len(rest) > 0 && fails(rest) {
				list, smaller = rest, true
				continue
			}
			i += part
		}
		switch {
		case part > 1:
			part /= 2
		case !smaller || time.Now().After(end):
			part = 0
		}
	}
	return list
}

// TestShrink makes a list shorter to the three numbers that it needs.
func TestShrink(t *testing.T) {
	t.Parallel()
	list := make([]int, 40)
	for i := range list {
		list[i] = i
	}
	tries := 0
	got := shrink(list, time.Minute, func(l []int) bool {
		tries++
		return slices.Contains(l, 3) && slices.Contains(l, 17) && slices.Contains(l, 38)
	})
	if !slices.Equal(got, []int{3, 17, 38}) || tries > 120 {
		t.Errorf("%v after %d tries", got, tries)
	}
}

// TestAttempt holds that an attempt fails alone, ends at its first fatal
// failure and runs its clean-ups.
func TestAttempt(t *testing.T) {
	t.Parallel()
	cleaned := false
	message := attempt(t, func(tb testing.TB) {
		tb.Cleanup(func() { cleaned = true })
		tb.Fatalf("rows of t%d: 5 against 6", 1)
		tb.Fatal("never said")
	})
	if message != "rows of t1: 5 against 6" || !cleaned || t.Failed() {
		t.Errorf("%q, cleaned %t", message, cleaned)
	}
	if !alike(message, "rows of t9: 1 against 2, from 0 on:\nx") && alike(message, "columns of t1: 5 against 6") {
		t.Error("alike")
	}
	if attempt(t, func(testing.TB) {}) != "" {
		t.Error("nothing failed")
	}
}
