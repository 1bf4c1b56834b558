package staging

import (
	"context"
	"errors"
	"time"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/rbac"
)

// attempts is how often one run tries a file that meets trouble of the moment.
const attempts = 4

// The pauses between tries: the first, and the longest.
const (
	firstPause = 100 * time.Millisecond
	mostPause  = time.Minute
)

// pause is how long to wait before try n, counted from 1: twice as long each time.
func pause(n int) time.Duration {
	if n > 20 {
		return mostPause
	}
	return min(firstPause<<(n-1), mostPause)
}

// passing reports whether an error may be gone at the next try.
func passing(err error) bool { return errs.KindOf(err) == errs.Unavailable }

// RunPipe loads what is new in the pipe's area, or the one file called file,
// quarantined or not. Files at fault are quarantined; trouble of the
// moment is tried again, then it ends the run: what follows must not overtake.
func (s *Store) RunPipe(ctx context.Context, g rbac.Grant, name, file string) ([]LoadResult, error) {
	p, err := s.pipe(ctx, g, name)
	if err != nil {
		return nil, err
	}
	if !runs(g, p) {
		return nil, errs.New(errs.Denied, "You don't have permission to run this pipe.")
	}
	if !p.Enabled {
		return nil, errs.New(errs.InvalidArgument, "the pipe %s is disabled; run: pipe enable %s", p.Name, p.Name)
	}
	return s.run(ctx, g, p, file)
}

func (s *Store) run(ctx context.Context, g rbac.Grant, p Pipe, file string) ([]LoadResult, error) {
	l := &load{
		s: s, g: g, area: p.Area, table: p.Table, pipe: p.Name, rename: p.Columns, checks: p.Checks, quarantine: true,
		o: LoadOptions{Key: p.Key, NewerThan: p.NewerThan},
	}
	if err := l.permit(g); err != nil {
		return nil, err
	}
	files, err := l.files(ctx, file)
	if err != nil {
		return nil, err
	}
	return l.run(ctx, files, file != "")
}

// retried loads one file, for a pipe again after trouble of the moment.
func (l *load) retried(ctx context.Context, f catalog.StagedFile) (LoadResult, error) {
	for n := 1; ; n++ {
		r, err := l.one(ctx, f)
		if !passing(err) || n == attempts || !l.quarantine {
			return r, err
		}
		if err := sleep(ctx, pause(n)); err != nil {
			return r, err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return errs.FromContext(ctx, "run a pipe")
	case <-t.C:
		return nil
	}
}

// Watch runs a pipe, or every enabled one when name is "", again and again
// until ctx ends. After trouble of the moment a pipe waits, longer each time.
type Watch struct {
	Every time.Duration // between two looks
	// Loaded is told what a run did, when it did anything.
	Loaded func(pipe string, rows []LoadResult)
	// Failed is told what ended a run.
	Failed func(pipe string, err error)
}

// WatchPipes watches until ctx ends; the error is then nil. Other errors are
// those that trying again does not mend. What may be done is asked for with
// each look.
func (s *Store) WatchPipes(ctx context.Context, grant func(context.Context) (rbac.Grant, error), name string, w Watch) error {
	failures, wait := map[string]int{}, map[string]time.Time{}
	for {
		g, err := grant(ctx)
		if err == nil {
			err = s.look(ctx, g, name, w, failures, wait)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case passing(err):
			w.Failed(name, err)
		case err != nil:
			return err
		}
		if sleep(ctx, w.Every) != nil {
			return nil
		}
	}
}

// look runs once what is due.
func (s *Store) look(ctx context.Context, g rbac.Grant, name string, w Watch, failures map[string]int, wait map[string]time.Time) error {
	list, err := s.pipes(ctx, name)
	if name != "" && err == nil {
		var p Pipe
		if p, err = s.pipe(ctx, g, name); err == nil && !runs(g, p) {
			err = errs.New(errs.Denied, "You don't have permission to run this pipe.")
		}
	}
	if err != nil {
		return err
	}
	for _, p := range list {
		if !p.Enabled || !runs(g, p) || s.Now().Before(wait[p.Name]) {
			continue
		}
		rows, err := s.run(ctx, g, p, "")
		if err != nil && len(rows) > 0 {
			rows = rows[:len(rows)-1] // the one that failed is told as such
		}
		if len(rows) > 0 {
			w.Loaded(p.Name, rows)
		}
		switch {
		case err == nil:
			failures[p.Name] = 0
			continue
		case ctx.Err() != nil || errors.Is(err, context.Canceled):
			return nil
		}
		w.Failed(p.Name, err)
		failures[p.Name]++
		wait[p.Name] = s.Now().Add(pause(failures[p.Name] + attempts))
		if name != "" && !passing(err) {
			return err
		}
	}
	return nil
}
