package supertable

import (
	"context"
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/engine"
	"github.com/supertable-go/supertable/ingest"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/monitor"
	"github.com/supertable-go/supertable/query"
	"github.com/supertable-go/supertable/rbac"
)

// Record is one monitoring record: names and values. A value is nil, a bool, a
// number, a text, a time.Time, or anything that encoding/json takes; objects
// and arrays are kept as JSON text.
type Record = monitor.Record

// ParseRecord reads a record from a JSON object and finds what Log would refuse.
func ParseRecord(line []byte) (Record, error) { return monitor.ParseRecord(line) }

// StreamLogger takes records for one stream; see Session.Logger.
type StreamLogger = monitor.Logger

// LoggerOptions of Session.Logger.
type LoggerOptions = monitor.LoggerOptions

// StreamCatalog is what the catalog knows of a stream.
type StreamCatalog = monitor.Catalog

// StreamWindow says which records of a stream to read.
type StreamWindow = monitor.Window

// The streams that a SuperTable keeps of itself.
const (
	PlansStream = monitor.Plans // one record per query, failed ones too
	StatsStream = monitor.Stats // one record per write, failed ones too
)

// filesOfSettled is how many records a file holds that readers moved.
const filesOfSettled = 5000

// streams are the monitoring streams of one SuperTable.
type streams struct {
	st    *SuperTable
	store *monitor.Store // moves what waits
	notes *monitor.Notes // what the SuperTable keeps of itself

	mu      sync.Mutex
	loggers map[*monitor.Logger]bool // guarded by mu
}

func (s *streams) init(st *SuperTable) {
	s.st, s.loggers = st, map[*monitor.Logger]bool{}
	s.store = &monitor.Store{Catalog: st.catalog, Writer: streamWriter{st, systemPrincipal()}}
	s.notes = monitor.NewNotes(s.store, st.lake.opts.Logger)
}

// systemPrincipal is who the SuperTable itself is: it writes the tables of
// streams, whoever asked for what they hold.
func systemPrincipal() rbac.Principal {
	p, _ := rbac.Builtin(0).Principal(rbac.SuperuserName) // always there, and protected
	return p
}

// close ends the loggers and keeps what the SuperTable noted.
func (s *streams) close() error {
	s.mu.Lock()
	loggers := s.loggers
	s.loggers = map[*monitor.Logger]bool{}
	s.mu.Unlock()
	var all []error
	for l := range loggers {
		all = append(all, l.Close())
	}
	s.notes.Close()
	return errors.Join(all...)
}

// streamWriter is the write path as streams use it, for one principal.
type streamWriter struct {
	st  *SuperTable
	who rbac.Principal
}

func (w streamWriter) grant(ctx context.Context, who rbac.Principal) (rbac.Grant, error) {
	return (&Session{st: w.st, principal: who}).authorize(ctx)
}

// Permit asks for the rights that hold now. A role that writes a part of the
// stream only is not enough: records wait outside of what its rules can be
// held against.
func (w streamWriter) Permit(ctx context.Context, table string) error {
	g, err := w.grant(ctx, w.who)
	if err == nil && !g.Whole(rbac.Write, table) {
		err = errs.New(errs.Denied, "You don't have permission to write to this table.")
	}
	return err
}

func (w streamWriter) Append(ctx context.Context, table string, rows array.RecordReader, move *catalog.ChunkMove) error {
	g, err := w.grant(ctx, w.who)
	if err == nil {
		_, err = w.st.writer.Write(ctx, g, table, ingest.Input{Rows: rows}, ingest.Options{Move: move})
	}
	return err
}

// Retype is the SuperTable's own doing: who may log need not be able to alter.
func (w streamWriter) Retype(ctx context.Context, table, column, typ string) error {
	g, err := w.grant(ctx, systemPrincipal())
	if err == nil {
		_, _, err = w.st.writer.Alter(ctx, g, table, ingest.Alteration{Retype: column, NewType: typ, Cast: true})
	}
	return err
}

// Logger starts a logger for a stream, which appears by itself as the table
// __<stream>__. It runs until it is closed, ctx ends or the lake is closed; all
// three make everything durable that was logged. It needs WRITE on the table, by a
// role that shows it whole.
func (s *Session) Logger(ctx context.Context, stream string, o *LoggerOptions) (_ *StreamLogger, err error) {
	name, err := monitor.Stream(stream)
	if err != nil {
		return nil, err
	}
	defer s.guarded(ctx, "log", monitor.Table(name))(&err)
	if err := rbac.NotOwnRecords(monitor.Table(name)); err != nil {
		return nil, err
	}
	w := streamWriter{s.st, s.principal}
	if err := w.Permit(ctx, monitor.Table(name)); err != nil {
		return nil, err
	}
	if err := s.st.acceptsWrites(ctx); err != nil {
		return nil, err
	}
	if o == nil {
		o = &LoggerOptions{}
	}
	opts := *o
	if opts.Now == nil {
		opts.Now = s.st.lake.opts.Now
	}
	return s.st.streams.logger(ctx, name, w, opts), nil
}

func (s *streams) logger(ctx context.Context, name string, w streamWriter, o LoggerOptions) *monitor.Logger {
	l := monitor.NewLogger(ctx, &monitor.Store{Catalog: s.st.catalog, Writer: w}, name, o)
	s.mu.Lock()
	s.loggers[l] = true
	s.mu.Unlock()
	go func() {
		<-l.Done()
		s.mu.Lock()
		delete(s.loggers, l)
		s.mu.Unlock()
	}()
	return l
}

// acceptsWrites refuses foreign and read-only SuperTables.
func (s *SuperTable) acceptsWrites(ctx context.Context) error {
	if s.catalog.Foreign() {
		return errs.New(errs.Denied, "this lake was made by another DuckLake client and is read-only; run create to adopt it")
	}
	return s.catalog.Read(ctx, func(v *catalog.View) error {
		ro, err := v.ReadOnly(ctx)
		if err == nil && ro {
			err = errs.New(errs.Denied, "the SuperTable is read-only; make it writable with: create --read-write")
		}
		return err
	})
}

// settleBefore moves what was logged to its tables before the SuperTable becomes
// read-only: afterwards nothing can. Its own records wait until it is writable.
func (s *SuperTable) settleBefore(ctx context.Context, readOnly bool) error {
	if !readOnly {
		return nil
	}
	ro := false
	err := s.catalog.Read(ctx, func(v *catalog.View) (err error) { ro, err = v.ReadOnly(ctx); return err })
	if err != nil || ro {
		return err
	}
	waiting, err := s.streams.store.Waiting(ctx)
	for stream := range waiting {
		if monitor.Own(stream) {
			continue
		}
		if _, err := s.streams.store.Settle(ctx, stream, filesOfSettled, true); err != nil {
			return err
		}
	}
	return err
}

// settle moves the waiting records of a stream to its table, for somebody who
// is about to read it. The SuperTable's own records are worth no failure.
func (s *SuperTable) settle(ctx context.Context, stream string) error {
	if s.catalog.Foreign() {
		return nil
	}
	if monitor.Own(stream) {
		s.streams.notes.Sync()
	}
	waits, err := s.streams.store.Waits(ctx, stream)
	if err == nil && waits {
		_, err = s.streams.store.Settle(ctx, stream, filesOfSettled, true)
	}
	if err != nil && monitor.Own(stream) && errs.FromContext(ctx, "") == nil {
		s.lake.opts.Logger.Warn("records not moved to their table", slog.String("stream", stream), slog.String("error", err.Error()))
		return nil
	}
	return err
}

// settleNamed settles the streams that a text may read. A name in a comment
// settles too, which harms nobody.
func (s *SuperTable) settleNamed(ctx context.Context, authorize func(context.Context) (rbac.Grant, error), text string, o *QueryOptions) error {
	if o.AtVersion != nil || o.AtTime != nil || s.catalog.Foreign() {
		return nil
	}
	names := systemNames.FindAllString(text, maxNamed)
	if len(names) == 0 {
		return nil
	}
	g, err := authorize(ctx)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, table := range names {
		stream, err := monitor.Stream(table)
		if err != nil || seen[stream] || !g.Permits(rbac.Meta, monitor.Table(stream)) {
			continue
		}
		seen[stream] = true
		if err := s.settle(ctx, stream); err != nil {
			return err
		}
	}
	return nil
}

// systemNames finds the names of system tables in a text.
var systemNames = regexp.MustCompile(`\b__[A-Za-z0-9_]+__\b`)

// maxNamed bounds how many names of a text are looked at.
const maxNamed = 100

// ReadStream reads records of a stream, newest first: those of the last day
// unless w says otherwise. It needs META on the stream's table. A stream that
// nobody logged to is NotFound; of plans and stats it is empty.
func (s *Session) ReadStream(ctx context.Context, stream string, w StreamWindow) (*Rows, error) {
	r, err := s.stream(ctx, stream)
	if err != nil {
		return nil, err
	}
	rows, ok, err := r.Read(ctx, w)
	if err != nil || ok {
		return rows, err
	}
	return s.noRows(ctx, r)
}

// RecentRecords reads the newest records of a stream over the last days (of
// UTC, today is the first; clamped to 1 to 90).
func (s *Session) RecentRecords(ctx context.Context, stream string, limit int64, days int) (*Rows, error) {
	r, err := s.stream(ctx, stream)
	if err != nil {
		return nil, err
	}
	rows, ok, err := r.Recent(ctx, limit, days)
	if err != nil || ok {
		return rows, err
	}
	return s.noRows(ctx, r)
}

// stream opens a stream for reading.
func (s *Session) stream(ctx context.Context, stream string) (r monitor.Reader[*Rows], err error) {
	name, _, err := s.visibleStream(ctx, stream)
	if err != nil {
		return r, err
	}
	if err := s.st.settle(ctx, name); err != nil {
		return r, err
	}
	table := monitor.Table(name)
	return monitor.Reader[*Rows]{
		Table: table, Now: s.st.lake.opts.Now,
		Columns: func(ctx context.Context) ([]monitor.Column, error) {
			cols, err := s.Schema(ctx, table) // those that the principal may see
			switch {
			case errs.KindOf(err) == errs.NotFound && monitor.Own(name):
				return nil, nil
			case errs.KindOf(err) == errs.NotFound:
				return nil, s.noStream(name)
			}
			out := make([]monitor.Column, len(cols))
			for i, c := range cols {
				out[i] = monitor.Column{Name: c.Name, Type: c.Type}
			}
			return out, err
		},
		Query: func(ctx context.Context, sql string) (*Rows, error) { return s.Query(ctx, sql, nil) },
	}, nil
}

// visibleStream checks a stream's name and that the principal may read it.
func (s *Session) visibleStream(ctx context.Context, stream string) (name string, g rbac.Grant, err error) {
	name, err = monitor.Stream(stream)
	if err != nil {
		return "", rbac.Grant{}, err
	}
	defer s.guarded(ctx, "monitor", monitor.Table(name))(&err)
	g, err = s.authorize(ctx)
	switch {
	case err != nil:
	case monitor.Own(name):
		err = permit(g, rbac.Meta, monitor.Table(name))
	case !g.Permits(rbac.Meta, monitor.Table(name)):
		err = s.noStream(name)
	}
	return name, g, err
}

func (s *Session) noStream(name string) error {
	return errs.New(errs.NotFound, "Stream not found: %s/%s/%s", s.st.org, s.st.name, name)
}

// noRows is a result without rows, with the columns of the stream.
func (s *Session) noRows(ctx context.Context, r monitor.Reader[*Rows]) (*Rows, error) {
	cols, err := r.Columns(ctx)
	if err != nil {
		return nil, err
	}
	if len(cols) == 0 {
		cols = monitor.OwnColumns(r.Table)
	}
	list := make([]string, len(cols))
	for i, c := range cols {
		list[i] = "CAST(NULL AS " + c.Type + ") AS " + datafile.Quote(c.Name)
	}
	return s.query(ctx, "SELECT "+strings.Join(list, ", ")+" WHERE false", nil, nil)
}

// StreamStats describes a stream. It needs META on the stream's table.
func (s *Session) StreamStats(ctx context.Context, stream string) (StreamCatalog, error) {
	name, g, err := s.visibleStream(ctx, stream)
	if err == nil && !g.AllRows(rbac.Meta, monitor.Table(name)) {
		err = errs.New(errs.Denied, "You see a part of this stream only: its counts are withheld.")
	}
	if err != nil {
		return StreamCatalog{}, err
	}
	if monitor.Own(name) {
		s.st.streams.notes.Sync()
	}
	out, err := s.st.streams.store.Stream(ctx, name)
	switch {
	case errs.KindOf(err) == errs.NotFound && monitor.Own(name):
		return StreamCatalog{Version: 1}, nil
	case errs.KindOf(err) == errs.NotFound:
		return out, s.noStream(name)
	}
	return out, err
}

// QueryPlans reads how the latest queries ended, newest first: query_id,
// query_hash, user_hash, recorded_at, table_name, status, message, result_rows,
// result_columns, execution_timings, profile_overview, query_profile and
// execution_time. It needs META on __plans__.
func (s *Session) QueryPlans(ctx context.Context, w StreamWindow) (*Rows, error) {
	return s.ReadStream(ctx, PlansStream, w)
}

// WriteStats reads what the latest writes did, newest first. It needs META on
// __stats__.
func (s *Session) WriteStats(ctx context.Context, w StreamWindow) (*Rows, error) {
	return s.ReadStream(ctx, StatsStream, w)
}

// SettleStreams moves every waiting record to the table of its stream. It is
// part of maintenance and needs CONTROL.
func (s *Session) SettleStreams(ctx context.Context) (err error) {
	defer s.audited(&ctx, "settle", "", "")(&err)
	if err := s.need(ctx, rbac.Control, ""); err != nil {
		return err
	}
	if err := s.st.acceptsWrites(ctx); err != nil {
		return err
	}
	s.st.streams.notes.Sync()
	return s.st.streams.store.SettleAll(ctx, filesOfSettled)
}

// StreamExpiry says what an expiry of a stream removed, or would remove.
type StreamExpiry = monitor.Expiry

// ExpireStreams removes records that are older than their stream's option
// stream_retention (by default 30 days for plans and stats, for ever for the
// others), in whole files: a file goes when all its records are too old. It is
// part of maintenance and needs CONTROL. With dryRun it only says what would go.
func (s *Session) ExpireStreams(ctx context.Context, dryRun bool) (_ []StreamExpiry, err error) {
	defer s.audited(&ctx, "expire", "", "")(&err)
	if err := s.need(ctx, rbac.Control, ""); err != nil {
		return nil, err
	}
	if err := s.st.acceptsWrites(ctx); err != nil {
		return nil, err
	}
	due, err := s.st.retentions(ctx)
	if err != nil {
		return nil, err
	}
	out := []StreamExpiry{}
	for _, d := range due {
		e, err := s.st.streams.store.Expire(ctx, s.principal.Name(), d.stream, s.st.lake.opts.Now().Add(-d.keep), dryRun)
		if err != nil {
			return out, err
		}
		if e.Files > 0 {
			out = append(out, e)
		}
	}
	return out, nil
}

type retention struct {
	stream string
	keep   time.Duration
}

// retentions lists the streams whose records do not stay for ever.
func (s *SuperTable) retentions(ctx context.Context) (out []retention, err error) {
	err = s.catalog.Read(ctx, func(v *catalog.View) error {
		tables, err := v.Tables(ctx, v.Head.ID)
		if err != nil {
			return err
		}
		for _, t := range tables {
			if !monitor.SystemTable(t.Name) {
				continue
			}
			seconds, err := ingest.TableOption(ctx, v, t.ID, "stream_retention")
			if err != nil {
				return err
			}
			stream, err := monitor.Stream(t.Name)
			if err != nil {
				return err
			}
			if keep := monitor.Retention(stream, time.Duration(seconds)*time.Second); keep > 0 {
				out = append(out, retention{stream, keep})
			}
		}
		return nil
	})
	return out, err
}

// DroppedRecords is the number of records of queries and writes that this
// process could not keep. They never hold up what they are about.
func (s *SuperTable) DroppedRecords() int64 { return s.streams.notes.Dropped() }

// Query is Session and Session.Query in one call: so a principal who is turned
// away leaves a record in the stream of plans too.
func (s *SuperTable) Query(ctx context.Context, principal, sql string, o *QueryOptions) (*Rows, error) {
	session, err := s.Session(ctx, principal)
	if err != nil {
		user := ""
		if isHash(principal) {
			user = principal
		}
		s.streams.notes.Add(monitor.Plan{Text: sql, User: user, At: s.lake.opts.Now(), Failure: err.Error()}.Note())
		return nil, err
	}
	return session.Query(ctx, sql, o)
}

// isHash tells a user's hash from a name, which is not kept: people mistype
// other things as names.
func isHash(s string) bool {
	return len(s) == 32 && strings.Trim(s, "0123456789abcdef") == ""
}

// notePlan keeps how a query ended. What reads a system table is not noted.
func (s *Session) notePlan(o query.Outcome) {
	p := monitor.Plan{
		Text: o.Text, User: s.principal.Hash(), At: o.Began.Add(o.Took), Failure: harmless(o.Err),
		Rows: o.Rows, Columns: o.Columns, Timings: o.Report.Timings, Overview: o.Report.PlanStats,
	}
	for _, t := range o.Tables {
		if monitor.SystemTable(t.Table) {
			return
		}
		name := t.Table
		if !strings.EqualFold(t.Super, s.st.name) {
			name = t.Super + "." + name
		}
		p.Tables = append(p.Tables, name)
	}
	s.st.streams.notes.Add(p.Note())
}

// noteWrite has the write's own commit keep its record; the call that it gives
// takes how the write ended, for those that made no commit.
func (s *Session) noteWrite(table string, o *ingest.Options) func(ingest.Result, error) {
	if monitor.SystemTable(table) {
		return func(ingest.Result, error) {}
	}
	began, kept := s.st.lake.opts.Now(), false
	record := func(w monitor.Write) catalog.Chunk {
		w.Super, w.At = s.st.name, s.st.lake.opts.Now()
		w.Took = w.At.Sub(began)
		return w.Note()
	}
	o.Note = func(r ingest.Outcome) *catalog.Chunk {
		kept = true
		ch := record(monitor.Write{
			Table: r.Table, Key: r.Key, Columns: r.Columns, Rows: r.Rows, Inserted: r.Inserted, Deleted: r.Deleted, Skipped: r.Skipped,
			NewFiles: r.NewFiles, EndedFiles: r.EndedFiles,
		})
		return &ch
	}
	return func(r ingest.Result, err error) {
		w := monitor.Write{Table: r.Table, Key: o.Key, Columns: r.Columns, Rows: r.Rows, Inserted: r.Inserted, Deleted: r.Deleted, Skipped: r.Skipped}
		switch {
		case err != nil:
			w = monitor.Write{Table: plainName(table), Key: o.Key, Failure: string(errs.KindOf(err))}
		case kept && !r.Duplicate:
			s.st.streams.notes.Wrote()
			return
		case r.Duplicate:
			w = monitor.Write{Table: r.Table, Key: o.Key, Columns: r.Columns} // it did nothing
		}
		s.st.streams.notes.Add(record(w))
	}
}

// plainName keeps what can be a table's name only.
func plainName(table string) string {
	if catalog.CheckTableName(table, "") != nil {
		return ""
	}
	return table
}

// harmless words an error for those who may see less than its caller: without
// values of the data, which some errors of the engine carry.
func harmless(err error) string {
	if err == nil {
		return ""
	}
	kind := errs.KindOf(err)
	if _, ok := errors.AsType[*engine.Error](err); ok && kind == errs.InvalidArgument || kind == errs.TypeConflict || kind == errs.Quality || kind == errs.Internal {
		if missing := err.Error(); strings.HasPrefix(missing, "Missing column(s): ") {
			return missing
		}
		return "the query failed (" + string(kind) + ")"
	}
	return err.Error()
}
