package duckdb

import (
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/supertable-go/supertable/engine"
)

func TestNullColumnOfAStream(t *testing.T) {
	db, err := Open(engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c, _ := db.Conn(t.Context())
	for _, rows := range []string{`[{"a":null,"k":3}]`} {
		s := arrow.NewSchema([]arrow.Field{{Name: "a", Type: arrow.Null, Nullable: true}, {Name: "k", Type: arrow.PrimitiveTypes.Int64, Nullable: true}}, nil)
		rec, _, err := array.RecordFromJSON(memory.DefaultAllocator, s, strings.NewReader(rows))
		if err != nil {
			t.Fatal(err)
		}
		rr, _ := array.NewRecordReader(s, []arrow.RecordBatch{rec})
		rel, err := c.Stream("x", rr)
		if err != nil {
			t.Fatal(err)
		}
		out, err := engine.Collect(t.Context(), c, "select k from x where a is null", nil)
		if err != nil || len(out) != 1 || out[0][0] != int64(3) {
			t.Fatalf("got %v, %v", out, err)
		}
		rel()
	}
}
