package maintain

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/rbac"
)

// Clean removes the files that nothing needs any more and gives their paths,
// relative to the data folder, sorted:
// those that wait for deletion, and those that neither the catalog nor a lease
// knows, each after the grace. What dead writers left under tmp/ goes too.
//
// The order is what makes it safe (I4): the data folder is listed first, then
// the leases, then the catalog is read, then the running readers are asked. A
// file that was published after the listing is not in it; one that was
// committed since is named; a reader that is not seen opens its view later than
// the catalog was read and cannot find a file of the list in it. A file goes
// before its row: killed in between, the row goes at the next time.
func (r *Runner) Clean(ctx context.Context, g rbac.Grant, grace time.Duration, how How) ([]string, error) {
	if err := r.allowed(ctx, g, ""); err != nil {
		return nil, err
	}
	if grace < 0 {
		return nil, errs.New(errs.InvalidArgument, "a grace cannot be negative")
	}
	unlock, err := r.lock(ctx, how)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := r.Catalog.Read(ctx, func(v *catalog.View) error { return v.Settled(ctx) }); err != nil {
		return nil, err
	}
	if !how.DryRun {
		if err := r.Catalog.Sweep(ctx); err != nil {
			return nil, err
		}
	}
	if how.DryRun {
		plan, err := r.planCleaning(ctx, grace)
		return plan.paths(), err
	}
	removed := []string{}
	done, err := r.Catalog.Unprotected(func() error { // a backup copies files that its catalog names
		plan, err := r.planCleaning(ctx, grace)
		if err == nil {
			removed, err = r.remove(ctx, plan)
		}
		return err
	})
	if err == nil && !done && !how.Due {
		err = errs.New(errs.Unavailable, "a backup is running and needs the files; clean again when it has ended")
	}
	return removed, err
}

func (c Cleaning) paths() []string {
	out := slices.Clone(c.Orphans)
	for _, w := range c.Waiting {
		if !w.Outside {
			out = append(out, w.Rel)
		}
	}
	slices.Sort(out)
	return slices.Compact(append([]string{}, out...))
}

func (r *Runner) planCleaning(ctx context.Context, grace time.Duration) (Cleaning, error) {
	stored, err := r.Catalog.Folder().DataFiles()
	if err != nil {
		return Cleaning{}, err
	}
	known := Known{Named: NewNames()}
	if known.Leased, err = r.Catalog.Leased(ctx); err != nil {
		return Cleaning{}, err
	}
	err = r.Catalog.Read(ctx, func(v *catalog.View) (err error) {
		if err := v.EachPath(ctx, known.Named.Add); err != nil {
			return err
		}
		known.Waiting, err = v.Waiting(ctx)
		return err
	})
	if err != nil {
		return Cleaning{}, err
	}
	floor, reading, err := r.Catalog.Floor(ctx)
	if err != nil {
		return Cleaning{}, err
	}
	unknown, err := r.ages(known.Unknown(stored))
	return PlanCleaning(unknown, known, r.Now(), grace, floor, reading), err
}

// ages looks when files of the data folder were last written.
func (r *Runner) ages(paths []string) ([]Stored, error) {
	out := make([]Stored, 0, len(paths))
	for _, rel := range paths {
		info, err := os.Lstat(filepath.Join(r.Catalog.Folder().Data(), filepath.FromSlash(rel)))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, errs.Wrap(errs.Unavailable, err, "look at a file of the data folder")
		}
		out = append(out, Stored{Rel: rel, Since: info.ModTime()})
	}
	return out, nil
}

// removeStep bounds how many files go before their rows do.
const removeStep = 1000

// remove removes what was planned. A file that is gone already counts as
// removed by whoever did it: its row goes, it is not listed.
func (r *Runner) remove(ctx context.Context, plan Cleaning) ([]string, error) {
	out := []string{}
	for part := range slices.Chunk(plan.Waiting, removeStep) {
		for _, w := range part {
			if err := errs.FromContext(ctx, "clean"); err != nil {
				return out, err
			}
			if w.Outside {
				continue // not ours: it only leaves the list
			}
			did, err := r.removeFile(w.Rel)
			if err != nil {
				return out, err
			}
			if did {
				out = append(out, w.Rel)
			}
		}
		if err := r.Catalog.Removed(ctx, part); err != nil {
			return out, err
		}
	}
	for _, rel := range plan.Orphans {
		if err := errs.FromContext(ctx, "clean"); err != nil {
			return out, err
		}
		did, err := r.removeFile(rel)
		if err != nil {
			return out, err
		}
		if did {
			out = append(out, rel)
		}
	}
	slices.Sort(out)
	return out, nil
}

func (r *Runner) removeFile(rel string) (bool, error) {
	err := os.Remove(filepath.Join(r.Catalog.Folder().Data(), filepath.FromSlash(rel)))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, errs.Wrap(errs.Unavailable, err, "remove a file of the data folder: %v", errors.Unwrap(err))
	}
	return true, nil
}
