package supertable

import (
	"context"

	"github.com/supertable-go/supertable/internal/errs"
)

// Lake is an open home: the folder that holds organizations and their
// SuperTables. It is safe for concurrent use; several processes may have the
// same home open.
type Lake struct{}

// Open opens the home folder. Nothing is created, and nothing is read, until
// a SuperTable is asked for.
func Open(ctx context.Context, home string, o *Options) (*Lake, error) {
	return nil, errs.New(errs.Unsupported, "not yet")
}

// Close ends background work and releases the engines. Sessions of the lake
// must no longer be in use.
func (l *Lake) Close() error { return nil }

// Create makes the SuperTable org/name when it is not there (created tells),
// adopts a foreign DuckLake catalog that lies in its place, and opens it.
func (l *Lake) Create(ctx context.Context, org, name string, o *CreateOptions) (st *SuperTable, created bool, err error) {
	return nil, false, errs.New(errs.Unsupported, "not yet")
}

// SuperTable opens org/name. It creates nothing: a missing one is NotFound.
func (l *Lake) SuperTable(ctx context.Context, org, name string) (*SuperTable, error) {
	return nil, errs.New(errs.Unsupported, "not yet")
}

// SuperTables lists the names of an organization's SuperTables, sorted.
func (l *Lake) SuperTables(ctx context.Context, org string) ([]string, error) {
	return nil, errs.New(errs.Unsupported, "not yet")
}

// SuperTable is one open SuperTable.
type SuperTable struct{}

// Session is the SuperTable as the principal sees it; principal is a user's
// name or hash. An unknown one is Denied.
func (s *SuperTable) Session(ctx context.Context, principal string) (*Session, error) {
	return nil, errs.New(errs.Unsupported, "not yet")
}
