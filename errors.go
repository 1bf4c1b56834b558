package supertable

import "github.com/supertable-go/supertable/internal/errs"

// ErrorKind is the category of an error; it is itself an error, so that
// errors.Is(err, supertable.NotFound) works.
type ErrorKind = errs.Kind

// The kinds of error. Programs act on the kind, people read the message.
const (
	InvalidArgument = errs.InvalidArgument
	NotFound        = errs.NotFound
	AlreadyExists   = errs.AlreadyExists
	Denied          = errs.Denied
	TypeConflict    = errs.TypeConflict
	Quality         = errs.Quality
	Timeout         = errs.Timeout
	Cancelled       = errs.Cancelled
	Unavailable     = errs.Unavailable
	Corrupt         = errs.Corrupt
	Unsupported     = errs.Unsupported
	Internal        = errs.Internal
)

// KindOf tells the kind of err; Internal for an error that is not ours.
func KindOf(err error) ErrorKind { return errs.KindOf(err) }
