package query

import (
	"context"
	"errors"

	"github.com/supertable-go/supertable/engine"
	"github.com/supertable-go/supertable/query/statement"
)

// reckon has the engine say what the expressions of constants in the text's
// conditions come to, so that files can be left out by them and no fence is
// needed for them. now() is one moment all through a transaction: with it, the
// query runs in the transaction that reckoned it, on the same connection.
func (q *run) reckon(ctx context.Context) error {
	q.values = statement.Given(q.o.Params)
	constants := q.stmt.Constants(q.o.Params)
	if constants.Timed() {
		if len(q.order) > 1 { // it runs on another connection
			constants = constants.Timeless()
		} else {
			if err := q.conn.Exec(ctx, "BEGIN TRANSACTION"); err != nil {
				return q.wordError(ctx, err)
			}
			conn, held := q.conn, context.WithoutCancel(ctx)
			q.frees = append(q.frees, func() { _ = conn.Exec(held, "ROLLBACK") })
		}
	}
	values, err := constants.Reckon(ctx, q.conn)
	var refused *engine.Error
	if errors.As(err, &refused) && ctx.Err() == nil { // the query itself will say what is wrong with it
		if constants.Timed() { // nothing holds in the transaction, which may be broken
			return q.wordError(ctx, q.conn.Exec(ctx, "ROLLBACK"))
		}
		return nil
	}
	if err != nil {
		return q.wordError(ctx, err)
	}
	q.values = values
	return nil
}
