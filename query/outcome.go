package query

import (
	"time"

	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/rbac"
)

// Outcome is how one query ended, for those who keep a record of it.
type Outcome struct {
	Text    string
	Tables  []TableRead // in the order of the text; those that were resolved
	Supers  []SuperRead // the session's own first
	Began   time.Time
	Took    time.Duration
	Rows    int64 // rows that left
	Columns int   // of the result; 0 when it failed before it had one
	Err     error // nil, or what ended it early
	Report  Report
}

// TableRead is one table reference of a query.
type TableRead struct {
	Organization, Super string
	Table               string // the SuperTable's name for its union; as the text names it when it was not found
	Snapshot            int64
}

// SuperRead is one SuperTable of a query.
type SuperRead struct {
	Name  string
	Grant rbac.Grant // the rights that held; the zero value when it did not come to that
}

// ended finishes the report and tells Done.
func (q *run) ended(text string, columns int, err error) {
	q.report.finish()
	if q.o.Done == nil {
		return
	}
	o := Outcome{Text: text, Began: q.report.begin, Took: q.report.last.Sub(q.report.begin), Rows: q.report.rows, Columns: columns, Err: err, Report: q.report.public()}
	for _, r := range q.refs {
		if !r.t.InformationSchema {
			o.Tables = append(o.Tables, TableRead{r.super.Organization, r.super.Name, r.name(), r.at.ID})
		}
	}
	for _, s := range q.order {
		o.Supers = append(o.Supers, SuperRead{Name: s.Name, Grant: s.grant})
	}
	q.o.Done(o)
}

// name is the name of the table that the reference found.
func (r *reference) name() string {
	if r.union || len(r.members) != 1 {
		return r.t.Name
	}
	return r.members[0].table.Name
}

// Denied reports whether the query ended because something was not allowed.
func (o Outcome) Denied() bool { return errs.KindOf(o.Err) == errs.Denied }
