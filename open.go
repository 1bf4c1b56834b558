package supertable

import (
	"context"
	"errors"
	"sort"
	"strings"
	"sync"

	"github.com/supertable-go/supertable/audit"
	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/engine"
	"github.com/supertable-go/supertable/engine/duckdb"
	"github.com/supertable-go/supertable/ingest"
	"github.com/supertable-go/supertable/ingest/staging"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/maintain"
	"github.com/supertable-go/supertable/monitor"
	"github.com/supertable-go/supertable/query"
	"github.com/supertable-go/supertable/rbac"
	"github.com/supertable-go/supertable/storage"
)

// SuperTable is one open SuperTable.
type SuperTable struct {
	lake      *Lake
	folder    storage.Folder
	org, name string
	catalog   *catalog.Catalog
	writer    *ingest.Writer
	policies  policyCache
	audit     *audit.Log // nil for a foreign lake
	staging   *staging.Store
	keeper    *maintain.Runner

	mu      sync.Mutex
	engines map[string]engine.Engine // by the data folders that they read; "" writes; guarded by mu

	streams streams
}

func newSuperTable(l *Lake, folder storage.Folder, org, name string, c *catalog.Catalog) *SuperTable {
	st := &SuperTable{lake: l, folder: folder, org: org, name: name, catalog: c, engines: map[string]engine.Engine{}}
	if !c.Foreign() {
		st.audit = audit.NewLog(auditStore{c}, audit.Options{Now: l.opts.Now, Lost: l.auditLost})
	}
	st.writer = &ingest.Writer{Catalog: c, Engine: st.writeEngine, Super: name, Logger: l.opts.Logger, Policy: st.policyIn}
	st.staging = newStaging(st)
	st.streams.init(st)
	st.keeper = &maintain.Runner{Catalog: c, Engine: st.writeEngine, Settings: ingest.Merged, Authorize: st.grantIn, Aging: agingColumn, Now: l.opts.Now, Logger: l.opts.Logger}
	return st
}

// agingColumn is the column by which the records of streams expire.
func agingColumn(table string) string {
	if monitor.SystemTable(table) {
		return monitor.TimeField
	}
	return ""
}

// Name is the SuperTable's name, Organization the one it lies in.
func (s *SuperTable) Name() string { return s.name }

// Organization is the organization that the SuperTable lies in.
func (s *SuperTable) Organization() string { return s.org }

func (s *SuperTable) close() error {
	all := []error{s.streams.close()}
	s.audit.Flush()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.engines {
		all = append(all, e.Close())
	}
	s.engines = map[string]engine.Engine{}
	return errors.Join(append(all, s.catalog.Close())...)
}

// writeEngine is the engine that reads inputs and writes files. No user's SQL
// ever reaches it.
func (s *SuperTable) writeEngine(context.Context) (engine.Engine, error) {
	return s.engine("", nil)
}

// readEngine is the locked engine that runs users' queries over the data of
// these SuperTables.
func (s *SuperTable) readEngine(supers []*query.Super) (engine.Engine, error) {
	dirs := make([]string, len(supers))
	for i, o := range supers {
		dirs[i] = strings.TrimSuffix(o.Catalog.DataPath(), "/")
	}
	sort.Strings(dirs)
	return s.engine(strings.Join(dirs, "\x00"), dirs)
}

func (s *SuperTable) engine(key string, dirs []string) (engine.Engine, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.engines[key]; ok {
		return e, nil
	}
	o := s.lake.opts
	spill, release, err := s.folder.Spill()
	if err != nil {
		return nil, err
	}
	e, err := duckdb.Open(engine.Options{MemoryBytes: o.MemoryBytes, Threads: o.Threads, SpillDir: spill, ReadDirs: dirs})
	if err != nil {
		release()
		return nil, errs.Wrap(errs.Internal, err, "the engine did not start: %v", err)
	}
	s.evict()
	s.engines[key] = spilling{e, release}
	return s.engines[key], nil
}

// spilling is an engine with the folder that it spills into.
type spilling struct {
	engine.Engine
	release func()
}

// Close ends the engine and removes what it left on disk; when statements still
// run on it, the next process does.
func (e spilling) Close() error {
	err := e.Engine.Close()
	if err == nil {
		e.release()
	}
	return err
}

// maxEngines bounds the engines for sets of several SuperTables.
const maxEngines = 4

// evict closes one engine for a set when there are too many; statements that
// run on it end first.
func (s *SuperTable) evict() {
	sets := 0
	for key, e := range s.engines {
		if !strings.Contains(key, "\x00") {
			continue
		}
		if sets++; sets >= maxEngines {
			delete(s.engines, key)
			_ = e.Close()
		}
	}
}

// queryEnv is what the read path asks of the lake, for one principal.
type queryEnv struct {
	st        *SuperTable
	principal rbac.Principal
	text      string // of the query
}

// Super opens another SuperTable of the organization as the same principal.
func (e queryEnv) Super(ctx context.Context, name string) (*query.Super, error) {
	if strings.EqualFold(name, e.st.name) {
		return e.st.querySuper(e.principal), nil
	}
	missing := errs.New(errs.NotFound, "SuperTable not found: %s/%s", e.st.org, name)
	other, err := e.st.lake.SuperTable(ctx, e.st.org, name)
	if kind := errs.KindOf(err); kind == errs.NotFound || kind == errs.InvalidArgument {
		return nil, missing
	}
	if err != nil {
		return nil, err
	}
	who, err := e.today(ctx)
	if err != nil {
		return nil, err
	}
	guest := other.guest(who)
	return guest, other.settleNamed(ctx, func(ctx context.Context) (g rbac.Grant, err error) {
		err = other.catalog.Read(ctx, func(v *catalog.View) error { g, err = guest.Authorize(ctx, v); return err })
		return g, err
	}, e.text, &QueryOptions{})
}

// today gives the principal as he is called now: a session may have been open
// since before he was renamed.
func (e queryEnv) today(ctx context.Context) (who rbac.Principal, err error) {
	err = e.st.catalog.Read(ctx, func(v *catalog.View) error {
		g, err := e.st.grantIn(ctx, v, e.principal)
		who = g.Principal()
		return err
	})
	return who, err
}

// Engine gives the locked engine for a set of SuperTables.
func (e queryEnv) Engine(_ context.Context, supers []*query.Super) (engine.Engine, error) {
	return e.st.readEngine(supers)
}

// querySuper is the SuperTable as a query of the principal may use it.
func (s *SuperTable) querySuper(who rbac.Principal) *query.Super {
	return &query.Super{Organization: s.org, Name: s.name, Catalog: s.catalog, Audit: s.auditRelation(), Authorize: func(ctx context.Context, v *catalog.View) (rbac.Grant, error) {
		return s.grantIn(ctx, v, who)
	}}
}

// guest is another SuperTable of the organization as a query may use it: the
// principal is the user of the same name there (decision 12), and without one
// the SuperTable does not exist.
func (s *SuperTable) guest(who rbac.Principal) *query.Super {
	return &query.Super{Organization: s.org, Name: s.name, Catalog: s.catalog, Audit: s.auditRelation(), Authorize: func(ctx context.Context, v *catalog.View) (rbac.Grant, error) {
		p, err := s.policyIn(ctx, v)
		if err != nil {
			return rbac.Grant{}, err
		}
		there, err := p.PrincipalNamed(who.Name())
		if err != nil {
			return rbac.Grant{}, errs.New(errs.NotFound, "SuperTable not found: %s/%s", s.org, s.name)
		}
		return p.Grant(there)
	}}
}
