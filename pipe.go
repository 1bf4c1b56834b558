package supertable

import (
	"context"
	"time"

	"github.com/supertable-go/supertable/ingest/staging"
	"github.com/supertable-go/supertable/rbac"
)

// Pipe says how the files of a staging area become rows of a table: column
// names mapped, checks kept, rows replaced by key, each file once.
type Pipe struct {
	Name      string
	Area      string
	Table     string            // appears with the first load
	Key       []string          // of the table; as in WriteOptions
	NewerThan string            // as in WriteOptions
	Columns   map[string]string // a file's column to the table's; others keep their names
	Checks    []PipeCheck
	Enabled   bool // a disabled pipe does not run
}

// PipeCheck is something that every row of a file must keep, or the file is
// quarantined; exactly one field is set. Columns go by the table's names or by
// the file's.
type PipeCheck struct {
	NotNull []string // no NULL in these
	Unique  []string // no two rows of the file alike in all of these; NULL equals NULL
	// Expr is an SQL expression such as "amount >= 0". It sees the columns of
	// the file and nothing else. A row breaks it where it is false, not where
	// it is NULL.
	Expr string
}

// ParsePipe reads a pipe's definition in JSON (docs/operations/staging.md).
// Unknown keys are InvalidArgument; "enabled" defaults to true.
func ParsePipe(text []byte) (Pipe, error) {
	p, err := staging.ParsePipe(text)
	return pipeOf(p), err
}

// MarshalJSON writes the definition with every key.
func (p Pipe) MarshalJSON() ([]byte, error) { return p.inner().JSON(), nil }

func (p Pipe) inner() staging.Pipe {
	in := staging.Pipe{Name: p.Name, Area: p.Area, Table: p.Table, Key: p.Key, NewerThan: p.NewerThan, Columns: p.Columns, Enabled: p.Enabled}
	for _, c := range p.Checks {
		in.Checks = append(in.Checks, staging.Check(c))
	}
	return in
}

func pipeOf(in staging.Pipe) Pipe {
	p := Pipe{Name: in.Name, Area: in.Area, Table: in.Table, Key: in.Key, NewerThan: in.NewerThan, Columns: in.Columns, Enabled: in.Enabled}
	for _, c := range in.Checks {
		p.Checks = append(p.Checks, PipeCheck(c))
	}
	return p
}

// CreatePipe stores a pipe; it needs CONTROL on the area and the table. A
// second pipe from one area into one table by the same key is AlreadyExists.
func (s *Session) CreatePipe(ctx context.Context, p Pipe) (err error) {
	defer s.kept(ctx, "pipe_create", p.Table, false, func() int { return 1 })(&err)
	_, err = granted(ctx, s, func(g rbac.Grant) (bool, error) { return true, s.st.staging.CreatePipe(ctx, g, p.inner()) })
	return err
}

// Pipes lists the pipes by name: those whose area and table one controls.
func (s *Session) Pipes(ctx context.Context) ([]Pipe, error) {
	list, err := granted(ctx, s, func(g rbac.Grant) ([]staging.Pipe, error) { return s.st.staging.Pipes(ctx, g) })
	out := make([]Pipe, len(list))
	for i, p := range list {
		out[i] = pipeOf(p)
	}
	return out, err
}

// DeletePipe removes a pipe; false when there is none. What it loaded stays.
func (s *Session) DeletePipe(ctx context.Context, name string) (deleted bool, err error) {
	defer s.kept(ctx, "pipe_delete", "", false, func() int { return one(deleted) })(&err)
	return granted(ctx, s, func(g rbac.Grant) (bool, error) { return s.st.staging.DeletePipe(ctx, g, name) })
}

// EnablePipe lets a pipe run, or stops it from running.
func (s *Session) EnablePipe(ctx context.Context, name string, on bool) (_ Pipe, err error) {
	defer s.kept(ctx, "pipe_enable", "", false, func() int { return 1 })(&err)
	p, err := granted(ctx, s, func(g rbac.Grant) (staging.Pipe, error) { return s.st.staging.EnablePipe(ctx, g, name, on) })
	return pipeOf(p), err
}

// RunPipe loads the files of the pipe's area that it has not loaded, the
// oldest first; or file alone, when it is not "", even if it was quarantined.
// A file that breaks a check, or that the table does not take, is quarantined
// with the reason: nothing of it is loaded, and nothing loads it by itself
// again. Trouble of the moment is tried again; when it lasts it ends the run,
// and the row of its file comes with the error. It needs WRITE on both ends.
func (s *Session) RunPipe(ctx context.Context, name, file string) (_ []LoadResult, err error) {
	defer s.audited(&ctx, "pipe_run", name, "")(&err)
	list, err := granted(ctx, s, func(g rbac.Grant) ([]staging.LoadResult, error) { return s.st.staging.RunPipe(ctx, g, name, file) })
	return loadResults(list), err
}

// WatchOptions of WatchPipes.
type WatchOptions struct {
	// Every is the time between two looks for new files. Defaults to 2 seconds.
	Every time.Duration
	// Loaded is told what became of files, as soon as it is known. Defaults to nobody.
	Loaded func(pipe string, rows []LoadResult)
	// Failed is told what ended a run; the pipe is tried again, after a longer
	// pause each time, at most a minute. Defaults to nobody.
	Failed func(pipe string, err error)
}

// WatchPipes runs a pipe, or all enabled ones when name is "", as files
// arrive, until ctx ends, which is no error. For one named pipe, an error that
// trying again does not mend ends it too.
func (s *Session) WatchPipes(ctx context.Context, name string, o *WatchOptions) error {
	w := staging.Watch{Every: 2 * time.Second, Loaded: func(string, []staging.LoadResult) {}, Failed: func(string, error) {}}
	if o != nil && o.Every > 0 {
		w.Every = o.Every
	}
	if o != nil && o.Loaded != nil {
		w.Loaded = func(pipe string, rows []staging.LoadResult) { o.Loaded(pipe, loadResults(rows)) }
	}
	if o != nil && o.Failed != nil {
		w.Failed = o.Failed
	}
	return s.st.staging.WatchPipes(ctx, s.authorize, name, w)
}
