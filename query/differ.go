package query

import (
	"context"

	"github.com/supertable-go/supertable/catalog"
)

// between finds what matters to a statement that compares two states of one
// table: the rows that both references show are left out, since equal rows take
// each other away. It is nil for every other statement.
func (q *run) between(ctx context.Context, views map[*Super]*catalog.View) (*catalog.Between, error) {
	if !q.o.Differ || len(q.refs) != 2 || len(q.refs[0].members) != 1 || len(q.refs[1].members) != 1 {
		return nil, nil
	}
	a, b := q.refs[0], q.refs[1]
	if a.members[0].table.ID != b.members[0].table.ID || a.super != b.super {
		return nil, nil
	}
	out, err := views[a.super].Between(ctx, a.members[0].table, a.at.ID, b.at.ID)
	return &out, err
}
