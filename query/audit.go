package query

import (
	"context"
	"errors"
	"strings"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/rbac"
)

// AuditLog is the audit of a SuperTable as a relation.
type AuditLog interface {
	Columns() []datafile.Column
	// Head is the number of the newest record that v has.
	Head(ctx context.Context, v *catalog.View) (int64, error)
	// Rows streams the records up to a number in bounded memory.
	Rows(ctx context.Context, upTo int64) array.RecordReader
}

// isAudit reports whether the reference means the SuperTable's audit.
func (r *reference) isAudit() bool {
	return r.super.Audit != nil && !r.t.InformationSchema && strings.EqualFold(r.t.Name, catalog.AuditTable)
}

// lookUpAudit resolves __audit__: the records that are there now, for those
// who control the SuperTable; for others there is no such table.
func (q *run) lookUpAudit(ctx context.Context, v *catalog.View, r *reference) error {
	if !r.super.grant.Permits(rbac.Control, "") {
		return errs.New(errs.NotFound, "Table not found: %s/%s/%s", r.super.Organization, r.super.Name, r.t.Name)
	}
	if r.t.At != nil || q.o.AtVersion != nil || q.o.AtTime != nil {
		return errs.New(errs.InvalidArgument, "%s has no versions: read it as it is now and choose by its column time", catalog.AuditTable)
	}
	r.at, r.columns = v.Head, r.super.Audit.Columns()
	head, err := r.super.Audit.Head(ctx, v)
	r.audit = &head
	return err
}

// loadAudit gives a reference to the audit its relation: a temporary table,
// since a plan may scan it more than once and a stream can be read once. It
// spills as everything does.
func (q *run) loadAudit(ctx context.Context, r *reference) error {
	rows := r.super.Audit.Rows(ctx, *r.audit)
	defer rows.Release()
	stream := r.view + "_rows"
	release, err := q.conn.Stream(stream, rows)
	if err != nil {
		return q.wordError(ctx, err)
	}
	defer release()
	err = q.conn.Exec(ctx, "CREATE TEMP TABLE "+r.view+" AS SELECT * FROM "+stream)
	if e, ok := errors.AsType[*errs.Error](err); ok {
		return e // of the stream: it names it
	}
	return q.wordError(ctx, err)
}
