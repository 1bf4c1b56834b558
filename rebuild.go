package supertable

import (
	"context"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/rbac"
)

// RebuildOptions of Lake.Rebuild.
type RebuildOptions struct {
	// Force rebuilds a catalog that is sound, too. Without it such a one is
	// AlreadyExists.
	Force bool
}

// RebuildResult says what a rebuild brought back.
type RebuildResult struct {
	Tables    int `json:"tables"`    // live at the newest snapshot
	Snapshots int `json:"snapshots"` // that can be read
	// Missing is what could not be brought back, a sentence each: records of
	// the log that are damaged, data files that are gone or that no snapshot
	// names.
	Missing []string `json:"missing"`
	// Kept is the name, in the SuperTable's folder, of the catalog that was
	// there; "" when there was none.
	Kept string `json:"-"`
}

// Rebuild makes the catalog of org/name again from the log that the commits
// keep beside the data: tables, snapshots, history, options, roles and users.
// Data files are only looked at. The catalog that was there stays under
// another name. With a catalog that can still be read it needs CONTROL; else
// the principal must be the local superuser, since roles and users are what
// was lost. Sessions of the old catalog can no longer write.
func (l *Lake) Rebuild(ctx context.Context, principal, org, name string, o *RebuildOptions) (RebuildResult, error) {
	folder, name, err := l.locate(org, name)
	if err != nil {
		return RebuildResult{}, err
	}
	if ctx, err = l.mayRebuild(ctx, principal, org, name); err != nil {
		return RebuildResult{}, err
	}
	out, err := catalog.Rebuild(ctx, folder, l.catalogOptions(), o != nil && o.Force)
	if err != nil {
		return RebuildResult{}, err
	}
	if out.Missing == nil {
		out.Missing = []string{}
	}
	return RebuildResult{Tables: out.Tables, Snapshots: out.Snapshots, Missing: out.Missing, Kept: out.Kept}, nil
}

// mayRebuild asks the catalog for the principal's rights, as long as it answers.
// The context that it gives tells the audit who he is.
func (l *Lake) mayRebuild(ctx context.Context, principal, org, name string) (context.Context, error) {
	st, err := l.SuperTable(ctx, org, name)
	switch errs.KindOf(err) {
	case "":
		s, err := st.Session(ctx, principal)
		if errs.KindOf(err) == errs.Corrupt || errs.KindOf(err) == errs.Internal {
			return ctx, localSuperuser(principal)
		}
		if err != nil {
			return ctx, err
		}
		return s.mayRebuild(ctx)
	case errs.NotFound, errs.Cancelled, errs.Timeout, errs.Denied, errs.InvalidArgument:
		return ctx, err
	}
	return ctx, localSuperuser(principal)
}

func (s *Session) mayRebuild(ctx context.Context) (_ context.Context, err error) {
	defer s.guarded(ctx, "rebuild", "")(&err)
	s.audited(&ctx, "rebuild", "", "")
	return ctx, s.need(ctx, rbac.Control, "")
}
