package cli

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/supertable-go/supertable"
)

// flagWords is what the flag parser found, without the words of Go's parsers.
func flagWords(err error) string {
	bad := (*strconv.NumError)(nil)
	if !errors.As(err, &bad) {
		return err.Error()
	}
	want := errNumber
	if bad.Func == "ParseBool" {
		want = errBool
	}
	return strings.TrimSuffix(err.Error(), bad.Error()) + want.Error()
}

var (
	errBool   = errors.New("want true or false")
	errNumber = errors.New("want a whole number")
)

// durationFlag is a positive duration; zero when not given.
type durationFlag struct{ d time.Duration }

// Set reads a duration of the command line.
func (f *durationFlag) Set(s string) error {
	d, err := parseDuration(s)
	if err != nil {
		return err
	}
	if d <= 0 {
		return errors.New("want more than no time")
	}
	f.d = d
	return nil
}

// String and Type are what the flag parser asks for.
func (f *durationFlag) String() string {
	if f.d == 0 {
		return ""
	}
	return f.d.String()
}

// Type names the value in help texts.
func (f *durationFlag) Type() string { return "duration" }

// context ends after the duration, when one was given.
func (f *durationFlag) context(ctx context.Context) (context.Context, context.CancelFunc) {
	if f.d == 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, f.d)
}

// explain makes an error that the deadline of ctx caused a timeout, whatever
// it says itself. done says what was done before, "" is nothing.
func (f *durationFlag) explain(ctx context.Context, err error, done string) error {
	if err == nil || f.d == 0 || !errors.Is(ctx.Err(), context.DeadlineExceeded) || errors.Is(err, supertable.Timeout) {
		return err
	}
	return failf(supertable.Timeout, "not done after %s; %s", f.d, cmp.Or(done, nothingChanged))
}

// numberFlag is an optional whole number.
type numberFlag struct {
	n   int64
	set bool
}

// Set reads a whole number.
func (f *numberFlag) Set(s string) error {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return errNumber
	}
	f.n, f.set = n, true
	return nil
}

// String is the value in help texts.
func (f *numberFlag) String() string {
	if !f.set {
		return ""
	}
	return strconv.FormatInt(f.n, 10)
}

// Type names the value in help texts.
func (f *numberFlag) Type() string { return "int" }

// pointer is nil when the flag was not given.
func (f *numberFlag) pointer() *int64 {
	if !f.set {
		return nil
	}
	return &f.n
}

// timeFlag is an optional time.
type timeFlag struct {
	t    time.Time
	text string
}

// Set reads a time of the command line.
func (f *timeFlag) Set(s string) error {
	t, err := parseTime(s)
	if err != nil {
		return err
	}
	f.t, f.text = t, s
	return nil
}

// String is the value in help texts.
func (f *timeFlag) String() string { return f.text }

// Type names the value in help texts.
func (f *timeFlag) Type() string { return "time" }

// pointer is nil when the flag was not given.
func (f *timeFlag) pointer() *time.Time {
	if f.text == "" {
		return nil
	}
	return &f.t
}
