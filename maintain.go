package supertable

import (
	"context"
	"log/slog"
	"time"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/maintain"
	"github.com/supertable-go/supertable/rbac"
)

// MaintainOptions of Session.Compact, Flush and Maintain. Nil means the defaults.
type MaintainOptions struct {
	// DryRun says what would happen and changes nothing.
	DryRun bool
}

// CompactResult says what compaction did to the files of one table.
type CompactResult struct {
	Table                   string
	FilesBefore, FilesAfter int64 // data files of the newest snapshot
	BytesBefore, BytesAfter int64 // their sizes; after a dry run, a guess
	Snapshot                int64 // of the compaction, or the newest when nothing was done; after a dry run, a guess
}

// FlushResult says how many rows of one table left the catalog for files.
type FlushResult struct {
	Table    string
	Rows     int64 // dead rows that the catalog listed, and rows that another client put into it
	Snapshot int64 // that the flush made, or would make; the newest when nothing was done
}

// ExpireOptions of Session.Expire. A snapshot goes when neither rule keeps it.
// Without any rule the options expire_keep_last and expire_older_than of the
// SuperTable hold; when those are not set either, the call is InvalidArgument.
type ExpireOptions struct {
	// KeepLast keeps the last so many snapshots that changed an ordinary table,
	// and every one since the first of them. 0 is no such rule.
	KeepLast int64
	// OlderThan keeps the snapshots that are younger. Nil is no such rule; zero
	// keeps none for its age.
	OlderThan *time.Duration
	// DryRun says what would go and changes nothing.
	DryRun bool
}

// CleanOptions of Session.Clean. Nil means the defaults.
type CleanOptions struct {
	// Grace is how long a file stays after it became obsolete. Zero removes at
	// once what no lease and no running reader protects. Nil is the option
	// clean_grace of the SuperTable, a day unless it is set.
	Grace *time.Duration
	// DryRun says what would go and changes nothing.
	DryRun bool
}

// MaintainResult says what one run of maintenance did.
type MaintainResult struct {
	Flush   []FlushResult   // tables in which something was done
	Compact []CompactResult // likewise
	Expired []int64         // snapshots
	Removed []string        // files, relative to the data folder
}

func (o *MaintainOptions) how() maintain.How {
	return maintain.How{DryRun: o != nil && o.DryRun}
}

// Compact writes data files with dead rows again without them and merges small
// files, whatever the options say, of one table or, when table is "", of all.
// Every retained snapshot answers as before. A missing table is NotFound.
func (s *Session) Compact(ctx context.Context, table string, o *MaintainOptions) (_ []CompactResult, err error) {
	defer s.audited(&ctx, "compact", "", table)(&err)
	g, err := s.mayMaintain(ctx, table)
	if err != nil {
		return nil, err
	}
	list, err := s.st.keeper.Compact(ctx, g, table, o.how())
	return compactResults(list), s.named(err, table)
}

func compactResults(list []maintain.Compacted) []CompactResult {
	out := make([]CompactResult, len(list))
	for i, c := range list {
		out[i] = CompactResult(c)
	}
	return out
}

// Flush moves what the catalog itself holds of the rows of one table, or of
// all, into files: rows that it lists as dead, and rows that other DuckLake
// clients put into it. Every retained snapshot answers as before.
func (s *Session) Flush(ctx context.Context, table string, o *MaintainOptions) (_ []FlushResult, err error) {
	defer s.audited(&ctx, "flush", "", table)(&err)
	g, err := s.mayMaintain(ctx, table)
	if err != nil {
		return nil, err
	}
	list, err := s.st.keeper.Flush(ctx, g, table, o.how())
	return flushResults(list), s.named(err, table)
}

func flushResults(list []maintain.Flushed) []FlushResult {
	out := make([]FlushResult, len(list))
	for i, f := range list {
		out[i] = FlushResult(f)
	}
	return out
}

// Expire removes old snapshots and gives their numbers: never the newest, never
// one that has a tag, never one that a running reader may look at. Files that
// only they named go at a later Clean.
func (s *Session) Expire(ctx context.Context, o *ExpireOptions) (expired []int64, err error) {
	if o == nil {
		o = &ExpireOptions{}
	}
	defer s.kept(ctx, "expire", "", o.DryRun, func() int { return len(expired) })(&err)
	g, err := s.mayMaintain(ctx, "")
	if err != nil {
		return nil, err
	}
	if o.KeepLast < 0 || o.OlderThan != nil && *o.OlderThan < 0 {
		return nil, errs.New(errs.InvalidArgument, "what to keep cannot be less than nothing")
	}
	keep := maintain.Retention{KeepLast: o.KeepLast, OlderThan: -1}
	if o.OlderThan != nil {
		keep.OlderThan = *o.OlderThan
	}
	if keep.None() {
		if keep, err = s.st.keeper.Retention(ctx); err != nil {
			return nil, err
		}
	}
	return s.st.keeper.Expire(ctx, g, keep, maintain.How{DryRun: o.DryRun})
}

// Clean removes obsolete files and gives their paths, relative to the data
// folder, sorted: files that no retained snapshot names any more, and files
// that nobody ever committed. It never removes a file of a running write. In a
// home that was moved or copied it is Denied until a write has settled that.
func (s *Session) Clean(ctx context.Context, o *CleanOptions) (removed []string, err error) {
	if o == nil {
		o = &CleanOptions{}
	}
	defer s.kept(ctx, "clean", "", o.DryRun, func() int { return len(removed) })(&err)
	g, err := s.mayMaintain(ctx, "")
	if err != nil {
		return nil, err
	}
	if o.Grace != nil {
		return s.st.keeper.Clean(ctx, g, *o.Grace, maintain.How{DryRun: o.DryRun})
	}
	grace, err := s.st.keeper.Grace(ctx)
	if err != nil {
		return nil, err
	}
	return s.st.keeper.Clean(ctx, g, grace, maintain.How{DryRun: o.DryRun})
}

// kept is deferred by what changes or hands out things outside of snapshots:
// what it did, and what was denied, is recorded.
func (s *Session) kept(ctx context.Context, action, table string, dryRun bool, count func() int) func(*error) {
	r := s.record(ctx, action, table)
	return func(err *error) {
		if *err == nil && (dryRun || count() == 0) {
			return
		}
		r.Rows = int64(count())
		s.put(r, *err)
	}
}

// Maintain does what the options ask for: streams first (records that wait
// move to their tables, old ones go), then flush, compact, expire (when one of
// its options is set), clean, and the audit's retention.
func (s *Session) Maintain(ctx context.Context, o *MaintainOptions) (_ MaintainResult, err error) {
	defer s.audited(&ctx, "maintain", "", "")(&err)
	g, err := s.mayMaintain(ctx, "")
	if err != nil {
		return MaintainResult{}, err
	}
	dryRun := o.how().DryRun
	if !dryRun {
		if err := s.maintainStreams(ctx); err != nil {
			return MaintainResult{}, err
		}
	}
	r, err := s.st.keeper.Maintain(ctx, g, dryRun)
	if err == nil && !dryRun {
		_, err = s.TrimAudit(ctx)
	}
	return MaintainResult{Flush: flushResults(r.Flush), Compact: compactResults(r.Compact), Expired: r.Expired, Removed: r.Removed}, err
}

func (s *Session) maintainStreams(ctx context.Context) error {
	if err := s.SettleStreams(ctx); err != nil {
		return err
	}
	_, err := s.ExpireStreams(ctx, false)
	return err
}

// mayMaintain gives the session's rights, if they allow maintenance. A table
// that the principal may not know of does not exist for him.
func (s *Session) mayMaintain(ctx context.Context, table string) (rbac.Grant, error) {
	var out rbac.Grant
	err := s.withView(ctx, func(v *catalog.View, g rbac.Grant) error {
		out = g
		if table != "" {
			if t, err := v.Table(ctx, table, v.Head.ID); err != nil || !g.Permits(rbac.Control, t.Name) && !visible(g, t.Name) {
				if err == nil || errs.KindOf(err) == errs.NotFound {
					err = errs.New(errs.NotFound, "Table not found: %s/%s/%s", s.st.org, s.st.name, table)
				}
				return err
			}
		}
		return permit(g, rbac.Control, table)
	})
	return out, err
}

// StartMaintenance starts maintenance in the background: every so often, every
// SuperTable that this process has open is maintained as by Session.Maintain,
// except read-only ones, lakes of other clients and those whose option
// background_maintenance is 0. It is for long-lived processes; nothing starts
// it by itself. It stays as it was when it runs already.
func (l *Lake) StartMaintenance(every time.Duration) error {
	if every <= 0 {
		return errs.New(errs.InvalidArgument, "maintenance needs a pause between two runs")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.background == nil {
		l.background = &maintain.Service{Every: every, Run: l.maintainOpen, Logger: l.opts.Logger}
		l.background.Start()
	}
	return nil
}

// StopMaintenance ends maintenance in the background and waits for its end.
func (l *Lake) StopMaintenance() {
	l.mu.Lock()
	service := l.background
	l.background = nil
	l.mu.Unlock()
	if service != nil {
		service.Stop()
	}
}

// maintainOpen maintains the open SuperTables. What fails in one does not keep
// the others from it.
func (l *Lake) maintainOpen(ctx context.Context) error {
	l.mu.Lock()
	open := make([]*SuperTable, 0, len(l.open))
	for _, st := range l.open {
		open = append(open, st)
	}
	l.mu.Unlock()
	for _, st := range open {
		if err := st.maintain(ctx); err != nil && ctx.Err() == nil {
			l.opts.Logger.Warn("maintenance failed; it is tried again", slog.String("super", st.name), slog.String("error", err.Error()))
		}
	}
	return nil
}

// maintain is one run in the background.
func (s *SuperTable) maintain(ctx context.Context) error {
	if s.catalog.Foreign() {
		return nil
	}
	want := false
	err := s.catalog.Read(ctx, func(v *catalog.View) error {
		readOnly, err := v.ReadOnly(ctx)
		if err != nil || readOnly {
			return err
		}
		want, err = s.keeper.Wanted(ctx, v)
		return err
	})
	if err != nil || !want {
		return err
	}
	own, err := s.Session(ctx, Superuser)
	if err != nil {
		return err
	}
	_, err = own.Maintain(ctx, nil)
	return err
}
