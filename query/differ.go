package query

import "github.com/supertable-go/supertable/scan"

// differ leaves the rows out that both references to one table show: the
// statement compares two states, and equal rows take each other away.
func (q *run) differ() {
	if !q.o.Differ || len(q.refs) != 2 || len(q.refs[0].members) != 1 || len(q.refs[1].members) != 1 {
		return
	}
	a, b := q.refs[0].members[0], q.refs[1].members[0]
	if a.table.ID == b.table.ID && q.refs[0].super == q.refs[1].super && a.scan != nil && b.scan != nil {
		scan.Differ(a.scan, b.scan)
	}
}
