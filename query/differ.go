package query

// differs reports whether the statement compares two states of one table: then
// the rows that both references show are left out, since equal rows take each
// other away.
func (q *run) differs() bool {
	if !q.o.Differ || len(q.refs) != 2 || len(q.refs[0].members) != 1 || len(q.refs[1].members) != 1 {
		return false
	}
	return q.refs[0].members[0].table.ID == q.refs[1].members[0].table.ID && q.refs[0].super == q.refs[1].super
}
