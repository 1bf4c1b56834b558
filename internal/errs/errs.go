// Package errs holds the few kinds of error that SuperTable shows to its callers.
//
// Programs act on the kind, people read the message. A message is one line,
// names the thing and the way out, and never carries a path outside the
// caller's own input, another tenant's name or a hidden value.
package errs

import (
	"context"
	"errors"
	"fmt"
)

// Kind is the category of an error. It is itself an error, so that
// errors.Is(err, errs.NotFound) works on every error made here.
type Kind string

// Error makes a Kind usable as a target of errors.Is.
func (k Kind) Error() string { return string(k) }

// The kinds, as the command line prints them.
const (
	InvalidArgument Kind = "invalid_argument" // the call is wrong: name, key, option, SQL text
	NotFound        Kind = "not_found"        // missing, or not visible to this principal
	AlreadyExists   Kind = "already_exists"   // the name or id is taken
	Denied          Kind = "denied"           // the principal may not do this
	TypeConflict    Kind = "type_conflict"    // a value or column does not fit the table's type
	Quality         Kind = "quality"          // data failed a check
	Timeout         Kind = "timeout"          // the deadline passed; nothing was written
	Cancelled       Kind = "cancelled"        // the caller gave up; nothing was written
	Unavailable     Kind = "unavailable"      // try again: a lock, a lease, a full disk
	Corrupt         Kind = "corrupt"          // stored bytes are missing or not what was written
	Unsupported     Kind = "unsupported"      // the lake or the request uses a feature we refuse
	Internal        Kind = "internal"         // our mistake
)

// Error is an error of a kind.
type Error struct {
	Kind    Kind
	Message string
	Err     error // the cause, for logs; never shown to the caller
}

// Error returns the message only: causes may name what the caller must not see.
func (e *Error) Error() string { return e.Message }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is the error's kind.
func (e *Error) Is(target error) bool {
	k, ok := target.(Kind)
	return ok && k == e.Kind
}

// New makes an error of kind k; format is one line.
func New(k Kind, format string, args ...any) *Error {
	return &Error{Kind: k, Message: fmt.Sprintf(format, args...)}
}

// Wrap makes an error of kind k that keeps its cause for the log.
func Wrap(k Kind, cause error, format string, args ...any) *Error {
	return &Error{Kind: k, Message: fmt.Sprintf(format, args...), Err: cause}
}

// KindOf tells the kind of err: of the outermost Error in its chain, of a
// context error, else Internal. KindOf(nil) is "".
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	if k, ok := errors.AsType[Kind](err); ok {
		return k
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return Timeout
	case errors.Is(err, context.Canceled):
		return Cancelled
	}
	return Internal
}

// FromContext turns the end of ctx into a typed error that says what was
// interrupted. It returns nil while ctx lives.
func FromContext(ctx context.Context, what string) error {
	err := ctx.Err()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return Wrap(Timeout, err, "%s: the deadline passed", what)
	default:
		return Wrap(Cancelled, err, "%s: cancelled", what)
	}
}
