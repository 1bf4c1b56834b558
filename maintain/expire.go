package maintain

import (
	"context"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/rbac"
)

// Expire removes the snapshots that no rule keeps, and whatever they alone
// named goes on the list of files that wait for deletion. It gives their ids.
func (r *Runner) Expire(ctx context.Context, g rbac.Grant, keep Retention, how How) ([]int64, error) {
	if err := r.allowed(ctx, g, ""); err != nil {
		return nil, err
	}
	if keep.None() {
		return nil, errs.New(errs.InvalidArgument, "expire needs a rule: how many snapshots to keep, or how old they may be")
	}
	if err := r.Catalog.CatchUp(ctx); err != nil { // the history knows what foreign commits changed
		return nil, err
	}
	unlock, err := r.lock(ctx, how)
	if err != nil {
		return nil, err
	}
	defer unlock()
	var all []catalog.Retained
	err = r.Catalog.Read(ctx, func(v *catalog.View) (err error) { all, err = v.Retained(ctx); return err })
	if err != nil {
		return nil, err
	}
	floor, reading, err := r.Catalog.Floor(ctx)
	if err != nil {
		return nil, err
	}
	if !reading {
		floor = -1
	}
	going := PlanExpiry(all, keep, r.Now(), floor)
	if how.DryRun {
		return going, nil
	}
	gone, err := r.Catalog.Expire(ctx, going)
	if err != nil {
		return gone, err
	}
	return gone, r.Catalog.Forget(ctx)
}
