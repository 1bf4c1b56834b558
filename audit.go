package supertable

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/supertable-go/supertable/audit"
	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/ingest"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/query"
	"github.com/supertable-go/supertable/rbac"
)

// AuditRecord says who did what, when, and how it ended.
type AuditRecord struct {
	Seq           int64         // its number in the chain, from 1
	Time          time.Time     // when it ended
	Principal     string        // who; for a failed login the name that was tried
	Roles         []string      // hashes of the roles that held
	Policy        int64         // version of the roles and users that held
	Action        string        // query, append, upsert, delete, alter, drop, option_set, login, …
	Tables        []string      // that were read or changed
	Snapshot      *int64        // that was read or made; nil for none
	Statement     string        // its text, up to 64 KiB; "" when texts are not kept
	StatementHash string        // SHA-256 of the whole text, hex; "" when there is none
	Rows          int64         // returned or changed
	Outcome       string        // ok, denied, error, or begun (option audit_required)
	Reason        string        // why it was denied or failed
	Duration      time.Duration // how long it took
	Hash          string        // the head of the chain after this record, hex
}

// AuditOptions of Session.Audit.
type AuditOptions struct {
	// Since leaves out what ended before. Zero means from the beginning.
	Since time.Time
	// User is the name or hash of the user whose records are wanted. Empty means all.
	User string
	// Limit is how many of the newest records are wanted. 0 means all.
	Limit int64
}

// AuditVerification is what VerifyAudit found.
type AuditVerification struct {
	Valid       bool   `json:"valid"`
	Records     int64  `json:"records"`
	Head        string `json:"head"`         // the chain's newest hash, as it follows from the records
	FirstBroken *int64 `json:"first_broken"` // the number of the first record that is wrong or missing
}

// Audit calls each with the records of the audit, newest first, one at a time,
// until it fails. It needs CONTROL of the SuperTable. In SQL the audit is the
// relation __audit__.
func (s *Session) Audit(ctx context.Context, o *AuditOptions, each func(AuditRecord) error) (err error) {
	defer s.guarded(ctx, "audit_show", "")(&err)
	if o == nil {
		o = &AuditOptions{}
	}
	if err := s.needAudit(ctx); err != nil {
		return err
	}
	q := catalog.AuditQuery{Since: o.Since, Principal: o.User, Newest: true, Limit: o.Limit}
	var rows int64
	r := s.record(ctx, "audit_show", "")
	err = s.st.catalog.Read(ctx, func(v *catalog.View) error {
		p, err := s.st.policyIn(ctx, v)
		if err != nil {
			return err
		}
		if u, ok := p.User(o.User); ok {
			q.Principal = u.Name
		}
		return audit.Records(ctx, v, q, func(r audit.Record) error {
			rows++
			return each(auditRecord(r))
		})
	})
	r.Rows = rows
	s.put(r, err)
	return err
}

func auditRecord(r audit.Record) AuditRecord {
	return AuditRecord{
		Seq: r.Seq, Time: r.Time, Principal: r.Principal, Roles: r.Roles, Policy: r.Policy, Action: r.Action, Tables: r.Tables, Snapshot: r.Snapshot,
		Statement: r.Statement, StatementHash: r.StatementHash, Rows: r.Rows, Outcome: r.Outcome, Reason: r.Reason, Duration: r.Took, Hash: r.Hash,
	}
}

// VerifyAudit walks the whole chain of the audit. A head that was noted from
// an earlier verification must still be in it; "" asks for none. It needs
// CONTROL of the SuperTable.
func (s *Session) VerifyAudit(ctx context.Context, head string) (out AuditVerification, err error) {
	defer s.guarded(ctx, "audit_verify", "")(&err)
	if err := s.needAudit(ctx); err != nil {
		return out, err
	}
	s.st.audit.Flush()
	err = s.st.catalog.Read(ctx, func(v *catalog.View) error {
		found, err := audit.Verify(ctx, v, head)
		out = AuditVerification{found.Valid, found.Records, found.Head, found.FirstBroken}
		return err
	})
	return out, err
}

// TrimAudit removes the records that are older than the option
// audit_retention and tells how many; the rest of the chain still verifies. A
// broken chain is left as it is (Corrupt). It needs CONTROL of the SuperTable.
func (s *Session) TrimAudit(ctx context.Context) (n int64, err error) {
	defer s.audited(&ctx, "audit_trim", "", "")(&err)
	if err := s.needAudit(ctx); err != nil {
		return 0, err
	}
	keep := time.Duration(ingest.OptionValue("audit_retention", s.st.superOptions(ctx))) * time.Second
	return audit.Trim(ctx, s.st.catalog, s.st.lake.opts.Now().Add(-keep))
}

func (s *Session) needAudit(ctx context.Context) error {
	if err := s.need(ctx, rbac.Control, ""); err != nil {
		return err
	}
	if s.st.audit == nil {
		return errs.New(errs.Unsupported, "a lake of another DuckLake client has no audit; run create to adopt it")
	}
	return nil
}

// AuditLost is how many records of reads and denials could not be written
// since the lake was opened. Changes are not among them: they fail without
// their record.
func (l *Lake) AuditLost() int64 { return l.lost.Load() }

func (l *Lake) auditLost(n int, err error) {
	l.lost.Add(int64(n))
	l.opts.Logger.Warn("the audit could not be written", slog.Int("records", n), slog.String("error", err.Error()))
}

// recorder makes the records of changes; what names nobody is the local superuser's.
func (l *Lake) recorder() audit.Recorder {
	return audit.Recorder{Now: l.opts.Now, Owner: audit.Call{Principal: rbac.SuperuserName, Roles: []string{rbac.SuperadminHash}}}
}

// auditStore appends to the catalog while it is still the SuperTable's.
type auditStore struct{ c *catalog.Catalog }

func (a auditStore) AppendAudit(ctx context.Context, link func(catalog.AuditHead) []catalog.AuditRow) error {
	if !a.c.Current() {
		return errs.New(errs.NotFound, "the SuperTable was dropped")
	}
	return a.c.AppendAudit(ctx, link)
}

// auditRelation is the audit as SQL reads it; nil for a foreign lake.
func (s *SuperTable) auditRelation() query.AuditLog {
	if s.audit == nil {
		return nil
	}
	return audit.Relation{Catalog: s.catalog}
}

// record begins a record of the session's principal under the rights that hold
// now. Until it is put, its time is that of the beginning.
func (s *Session) record(ctx context.Context, action, table string) audit.Record {
	r := audit.Record{Time: s.st.lake.opts.Now(), Principal: s.principal.Name(), Action: action}
	if g, err := s.authorize(ctx); err == nil {
		r.Roles, r.Policy = g.Roles(), g.Policy()
	}
	if table != "" {
		r.Tables = []string{table}
	}
	return r
}

// put ends a record and queues it.
func (s *Session) put(r audit.Record, err error) {
	r.End(err)
	began := r.Time
	r.Time = s.st.lake.opts.Now()
	r.Took = r.Time.Sub(began)
	s.st.audit.Put(r)
}

// audited is deferred by every method that changes something. What succeeds is
// recorded in its own transaction, for which the context tells of the call;
// what fails is recorded here.
func (s *Session) audited(ctx *context.Context, action, statement, table string) func(*error) {
	r := s.record(*ctx, action, table)
	r.State(statement, true)
	*ctx = audit.With(*ctx, audit.Call{Principal: r.Principal, Roles: r.Roles, Policy: r.Policy, Statement: statement, Began: r.Time})
	return func(err *error) {
		if *err != nil {
			s.putFailed(r, table, *err)
		}
	}
}

// guarded is deferred by every method that shows facts: its denials are recorded.
func (s *Session) guarded(ctx context.Context, action, table string) func(*error) {
	began := s.st.lake.opts.Now()
	return func(err *error) {
		if kind := errs.KindOf(*err); kind == errs.Denied || kind == errs.NotFound && s.hidden(table) {
			r := s.record(context.WithoutCancel(ctx), action, table)
			r.Time = began
			s.putFailed(r, table, *err)
		}
	}
}

func (s *Session) putFailed(r audit.Record, table string, err error) {
	if errs.KindOf(err) == errs.NotFound && s.hidden(table) {
		err = errs.New(errs.Denied, "%s", err.Error()) // the caller may not know
	}
	s.put(r, err)
}

// hidden reports whether there is such a table and the principal may not know.
func (s *Session) hidden(table string) bool {
	if table == "" {
		return false
	}
	hidden := false
	ctx := context.Background()
	_ = s.withView(ctx, func(v *catalog.View, g rbac.Grant) error {
		t, err := v.Table(ctx, table, v.Head.ID)
		hidden = err == nil && !g.Permits(rbac.Read, t.Name)
		return err
	})
	return hidden
}

// auditDuplicate records a write whose id was seen before.
func (s *Session) auditDuplicate(ctx context.Context, res ingest.Result) {
	r := s.record(ctx, "write", res.Table)
	r.Snapshot, r.Reason = &res.Snapshot, "the write id was seen before: nothing was written"
	s.put(r, nil)
}

// auditLogin records that somebody unknown tried to act.
func (s *SuperTable) auditLogin(name string, err error) {
	r := audit.Record{Time: s.lake.opts.Now(), Principal: name, Action: "login"}
	r.End(err)
	s.audit.Put(r)
}

// auditQuery gives what a query tells its end to. With audit_required the
// query is recorded before it runs too, and does not run when that fails.
func (s *Session) auditQuery(ctx context.Context, text string) (func(query.Outcome), error) {
	if s.st.audit == nil {
		return nil, nil
	}
	set := s.st.superOptions(ctx)
	keep := ingest.OptionValue("audit_text", set) != 0
	if ingest.OptionValue("audit_required", set) != 0 {
		r := s.record(ctx, "query", "")
		r.State(text, keep)
		r.Outcome = audit.Begun
		if err := s.st.audit.Write(ctx, r); err != nil {
			return nil, err
		}
	}
	return func(o query.Outcome) { s.queryDone(o, keep) }, nil
}

// queryDone records a query, in the audit of each SuperTable that it read.
func (s *Session) queryDone(o query.Outcome, keep bool) {
	for i, super := range o.Supers {
		st, grant, at := s.st, super.Grant, o.Report.At
		if i > 0 {
			var err error
			if st, err = s.st.lake.SuperTable(context.Background(), s.st.org, super.Name); err != nil {
				continue // gone meanwhile, and its audit with it
			}
			at = o.Report.Snapshots[super.Name]
		}
		if grant.Principal() != s.principal && i == 0 { // it failed before it asked
			grant, _ = s.authorize(context.Background())
		}
		r := audit.Record{
			Time: o.Began.Add(o.Took), Principal: s.principal.Name(), Roles: grant.Roles(), Policy: grant.Policy(), Action: "query",
			Rows: o.Rows, Took: o.Took,
		}
		for _, t := range o.Tables {
			if t.Super == super.Name {
				r.Tables, at = append(r.Tables, t.Table), max(t.Snapshot, 0)
			}
		}
		r.State(o.Text, keep)
		r.End(o.Err)
		if o.Err == nil || at != 0 {
			r.Snapshot = &at
		}
		if errs.KindOf(o.Err) == errs.NotFound && s.readsHidden(o) {
			r.Outcome = audit.Denied // the reader was told that there is no such table
		}
		st.audit.Put(r)
	}
}

func (s *Session) readsHidden(o query.Outcome) bool {
	for _, t := range o.Tables {
		if t.Super == s.st.name && (s.hidden(t.Table) || strings.EqualFold(t.Table, catalog.AuditTable)) {
			return true
		}
	}
	return false
}

// superOptions reads what is set for the SuperTable; nothing when it cannot be read.
func (s *SuperTable) superOptions(ctx context.Context) map[string]string {
	set, _ := s.catalog.SuperOptions(ctx)
	return set
}

// auditOption reports whether an option is the audit's, and so CONTROL's.
func auditOption(name string) bool { return strings.HasPrefix(strings.ToLower(name), "audit_") }

func optionNeeds(name string) rbac.Permission {
	if auditOption(name) || ingest.SuperOnly(name) { // what these let go is gone
		return rbac.Control
	}
	return rbac.Create
}

// describe words an alteration for the audit; it carries no values.
func (a Alteration) describe() string {
	switch {
	case a.Add != nil:
		return fmt.Sprintf("add %s %s", a.Add.Name, a.Add.Type)
	case a.RenameColumn != nil:
		return fmt.Sprintf("rename-column %s %s", a.RenameColumn.From, a.RenameColumn.To)
	case a.Type != nil:
		return fmt.Sprintf("type %s %s", a.Type.Name, a.Type.Type)
	case a.Drop != "":
		return "drop " + a.Drop
	}
	return "rename " + a.Rename
}
