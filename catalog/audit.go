package catalog

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/supertable-go/supertable/internal/errs"
)

// AuditTable is the name under which SQL reads the audit. No table may carry it.
const AuditTable = "__audit__"

// AuditRow is one record of the audit as it is stored: content and hash are
// package audit's, time (as FormatTime writes it) and principal are copies to
// be looked for.
type AuditRow struct {
	Seq                            int64
	Time, Principal, Content, Hash string
}

// AuditHead is where the chain of the audit ends and begins.
type AuditHead struct {
	Seq  int64  // of the newest record; 0 when there is none
	Hash string // of the newest record
	// Everything up to this record was trimmed; the oldest one that is left
	// follows its hash.
	TrimmedSeq  int64
	TrimmedHash string

	newest int64 // number of the last record that is there
}

// Event is a change, as the audit records it in the change's own transaction.
type Event struct {
	Action    string
	Principal string // "" means the one of the call
	Tables    []string
	Snapshot  *int64 // the snapshot that the change made; nil for none
	Statement string // "" means the one of the call
	Rows      int64  // changed
}

// appendEvent records e inside an open write transaction: the record is
// durable exactly when the change is. Whoever changes something outside
// snapshots (see write) calls it in the same closure:
//
//	return c.write(ctx, func(q querier) error {
//		if err := execAll(ctx, q, …); err != nil {
//			return err
//		}
//		return c.opts.appendEvent(ctx, q, Event{Action: "role_create", Statement: hash})
//	})
func (o Options) appendEvent(ctx context.Context, q querier, e Event) error {
	if o.Audit == nil {
		return nil
	}
	return appendAudit(ctx, q, func(last AuditHead) []AuditRow { return []AuditRow{o.Audit(ctx, last, e)} })
}

// AppendAudit appends what link makes to follow the newest record, durably, in
// a transaction of its own. Link may be called again.
func (c *Catalog) AppendAudit(ctx context.Context, link func(last AuditHead) []AuditRow) error {
	return c.write(ctx, func(q querier) error { return appendAudit(ctx, q, link) })
}

// appendAudit reads the end of the chain and appends to it. The transaction
// keeps every other writer out, so all processes append to one chain.
func appendAudit(ctx context.Context, q querier, link func(last AuditHead) []AuditRow) error {
	last, err := auditHead(ctx, q)
	if err != nil {
		return err
	}
	w, remembered := remembering(q)
	last.Seq = max(last.Seq, last.newest) // they differ after tampering only: go on, visibly broken
	rows := link(last)
	for _, r := range rows {
		if err := insertRow(ctx, q, "supertable_audit", "seq, time, principal, content, hash", r.Seq, r.Time, r.Principal, r.Content, r.Hash); err != nil {
			return err
		}
		last.Seq, last.Hash, last.newest = r.Seq, r.Hash, r.Seq
	}
	if remembered {
		w.mem.audit, w.mem.trail = &last, true
		return nil
	}
	return execAll(ctx, q, []statement{{setAuditHead, []any{last.Seq, last.Hash}}})
}

const setAuditHead = `UPDATE supertable_audit_head SET seq = ?, hash = ?`

func auditHead(ctx context.Context, q querier) (AuditHead, error) {
	w, remembered := remembering(q)
	if remembered && w.mem.audit != nil {
		if !w.mem.trail {
			agrees(*w.mem.audit, func() (AuditHead, error) { return askAuditHead(ctx, q) })
		}
		return *w.mem.audit, nil
	}
	h, err := askAuditHead(ctx, q)
	if err == nil && remembered {
		kept := h
		w.mem.audit = &kept
	}
	return h, err
}

func askAuditHead(ctx context.Context, q querier) (AuditHead, error) {
	var h AuditHead
	err := q.QueryRowContext(ctx, `SELECT seq, hash, trimmed_seq, trimmed_hash, coalesce((SELECT max(seq) FROM supertable_audit), 0) FROM supertable_audit_head`).
		Scan(&h.Seq, &h.Hash, &h.TrimmedSeq, &h.TrimmedHash, &h.newest)
	if errors.Is(err, sql.ErrNoRows) {
		return h, errs.New(errs.Corrupt, "the head of the audit is missing from the catalog")
	}
	return h, sqlError(ctx, err, "read the audit")
}

// AuditHead is the end and the beginning of the chain.
func (v *View) AuditHead(ctx context.Context) (AuditHead, error) { return auditHead(ctx, v.q) }

// AuditQuery chooses records of the audit; the zero value all, oldest first.
type AuditQuery struct {
	After, UpTo int64     // sequence numbers; UpTo 0 means to the end
	Since       time.Time // zero: all times
	Principal   string    // "": all
	Newest      bool      // newest first
	Limit       int64     // 0: all
}

// AuditRows calls each with the records that aq chooses, one at a time.
func (v *View) AuditRows(ctx context.Context, aq AuditQuery, each func(AuditRow) error) error {
	query, args := `SELECT seq, time, principal, content, hash FROM supertable_audit WHERE seq > ?`, []any{aq.After}
	if aq.UpTo > 0 {
		query, args = query+` AND seq <= ?`, append(args, aq.UpTo)
	}
	if !aq.Since.IsZero() {
		query, args = query+` AND time >= ?`, append(args, FormatTime(aq.Since))
	}
	if aq.Principal != "" {
		query, args = query+` AND principal = ?`, append(args, aq.Principal)
	}
	query += ` ORDER BY seq`
	if aq.Newest {
		query += ` DESC`
	}
	if aq.Limit > 0 {
		query, args = query+` LIMIT ?`, append(args, aq.Limit)
	}
	rows, err := v.q.QueryContext(ctx, query, args...)
	if err != nil {
		return sqlError(ctx, err, "read the audit")
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var r AuditRow
		if err := rows.Scan(&r.Seq, &r.Time, &r.Principal, &r.Content, &r.Hash); err != nil {
			return sqlError(ctx, err, "read the audit")
		}
		if err := each(r); err != nil {
			return err
		}
	}
	return sqlError(ctx, rows.Err(), "read the audit")
}

// AuditEnds finds how far the records reach, from the oldest, that are all
// older than before: the sequence number of the last of them, 0 for none.
func (v *View) AuditEnds(ctx context.Context, before time.Time) (int64, error) {
	h, err := v.AuditHead(ctx)
	if err != nil {
		return 0, err
	}
	var young sql.NullInt64
	err = v.q.QueryRowContext(ctx, `SELECT seq FROM supertable_audit WHERE time >= ? ORDER BY seq LIMIT 1`, FormatTime(before)).Scan(&young)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		young.Int64 = h.Seq + 1
	case err != nil:
		return 0, sqlError(ctx, err, "read the audit")
	}
	if young.Int64-1 <= h.TrimmedSeq {
		return 0, nil
	}
	return young.Int64 - 1, nil
}

// trimChunk bounds how many records one transaction trims.
const trimChunk = 10_000

// TrimAudit removes the records up to upTo and keeps the hash that the rest
// follows. Each step of it is a transaction that leaves a whole chain; the last
// one records the trimming itself.
func (c *Catalog) TrimAudit(ctx context.Context, upTo int64) (int64, error) {
	var all int64
	for done := false; !done; {
		var n int64
		err := c.write(ctx, func(q querier) error {
			var err error
			n, done, err = trimAudit(ctx, q, upTo)
			if err != nil || !done || all+n == 0 {
				return err
			}
			return c.opts.appendEvent(ctx, q, Event{Action: "audit_trim", Rows: all + n})
		})
		if err != nil {
			return all, err
		}
		all += n
	}
	return all, nil
}

func trimAudit(ctx context.Context, q querier, upTo int64) (n int64, done bool, err error) {
	h, err := auditHead(ctx, q)
	if err != nil {
		return 0, false, err
	}
	cut := min(upTo, h.Seq, h.TrimmedSeq+trimChunk)
	if cut <= h.TrimmedSeq {
		return 0, true, nil
	}
	var anchor string
	if err := q.QueryRowContext(ctx, `SELECT hash FROM supertable_audit WHERE seq = ?`, cut).Scan(&anchor); err != nil {
		return 0, false, errs.Wrap(errs.Corrupt, err, "the audit's record %d is missing", cut)
	}
	return cut - h.TrimmedSeq, cut == min(upTo, h.Seq), execAll(ctx, q, []statement{
		{`DELETE FROM supertable_audit WHERE seq <= ?`, []any{cut}},
		{`UPDATE supertable_audit_head SET trimmed_seq = ?, trimmed_hash = ?`, []any{cut, anchor}},
	})
}

// audit records a change of one table as part of it.
func (v *View) audit(ctx context.Context, ch *Change, table string, snapshot int64) error {
	r := ch.Record
	e := Event{Action: r.Operation, Principal: r.Principal, Tables: []string{table}, Snapshot: &snapshot, Rows: max(r.Inserted, r.Deleted)}
	if ch.Rename != "" {
		e.Tables = []string{ch.Table.Name, table}
	}
	return v.c.opts.appendEvent(ctx, v.q, e)
}

// auditForeign records that other clients changed tables: once for all of
// their commits, when we find them.
func (v *View) auditForeign(ctx context.Context, tables []int64) error {
	if len(tables) == 0 {
		return nil
	}
	e := Event{Action: "external", Principal: "external", Snapshot: &v.Head.ID}
	for _, id := range tables {
		e.Tables = append(e.Tables, tableName(ctx, v.q, id))
	}
	return v.c.opts.appendEvent(ctx, v.q, e)
}

// SuperOptions reads the SuperTable's options in one statement: every query
// asks for the audit's.
func (c *Catalog) SuperOptions(ctx context.Context) (map[string]string, error) {
	if err := c.usable(); err != nil {
		return nil, err
	}
	return (&View{q: c.db, c: c}).Options(ctx, SuperOptions)
}
