package duckdb

import (
	"context"
	"fmt"
	"testing"

	"github.com/supertable-go/supertable/engine"
)

// A statement may read some columns of a stream, in any order, and filter its
// rows: the engine must not take one column for another.
func TestStreamColumns(t *testing.T) {
	ctx := context.Background()
	for _, tt := range []struct{ sql, want string }{
		{`SELECT min("Odd name"), max("Odd name") FROM input`, "[[1 9999]]"},
		{`SELECT sum(i) FROM input`, "[[1799970000]]"},
		{`SELECT count(*) FROM input`, "[[60000]]"},
		{`SELECT "Odd name", i FROM input WHERE i = 59999`, "[[59999 59999]]"},
		{`SELECT i FROM input WHERE "Odd name" = '59999'`, "[[59999]]"},
		{`SELECT count(*) FROM input WHERE "Odd name" IS NULL`, "[[6000]]"},
		{`SELECT count(*) FROM input WHERE i > 59989 AND i IN (1, 59990, 59993)`, "[[2]]"},
		{`SELECT count("Odd name") FROM input JOIN range(59990, 70000) r(x) ON i = x`, "[[9]]"},
		{`SELECT 1 FROM input WHERE i = 7`, "[[1]]"},
		{`SELECT i FROM input ORDER BY "Odd name" DESC NULLS LAST LIMIT 1`, "[[9999]]"},
	} {
		t.Run(tt.sql, func(t *testing.T) {
			_, c := open(t, engine.Options{})
			r := newSource(checked(t), 20, 3000, nil)
			defer r.finished(t)
			release, err := c.Stream("input", r)
			if err != nil {
				t.Fatal(err)
			}
			defer release()
			rows, err := engine.Collect(ctx, c, tt.sql, nil)
			if got := fmt.Sprint(rows); err != nil || got != tt.want {
				t.Errorf("got %.200s, %v; want %s", got, err, tt.want)
			}
		})
	}
}
