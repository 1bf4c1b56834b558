package supertable_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/testdb"
)

// gated is a stream whose batch comes only when the gate opens: what happens
// before that happens in the middle of its write.
type gated struct {
	array.RecordReader
	gate func()
}

func (g *gated) Next() bool {
	if g.gate != nil {
		g.gate()
		g.gate = nil
	}
	return g.RecordReader.Next()
}

func (g *gated) Schema() *arrow.Schema { return g.RecordReader.Schema() }

// TestTableMovesUnderAWrite has another writer move the table that a write is
// under way to: the committed file must lie where the catalog says.
func TestTableMovesUnderAWrite(t *testing.T) {
	write := func(t *testing.T, s *supertable.Session, table string) {
		testdb.Write(t, s, table, "id:int64", `[{"id":1}]`, nil)
	}
	for name, tt := range map[string]struct {
		before, during func(*testing.T, *supertable.Session)
		want           string
	}{
		"made meanwhile in another spelling": {nil, func(t *testing.T, s *supertable.Session) { write(t, s, "ORDERS") }, "1\n2"},
		"another table takes the name": {func(t *testing.T, s *supertable.Session) { write(t, s, "other") }, func(t *testing.T, s *supertable.Session) {
			if _, err := s.Alter(t.Context(), "other", supertable.Alteration{Rename: "orders"}); err != nil {
				t.Fatal(err)
			}
		}, "1\n2"},
		"dropped, and another one takes the name": {func(t *testing.T, s *supertable.Session) { write(t, s, "orders"); write(t, s, "other") }, func(t *testing.T, s *supertable.Session) {
			if _, err := s.DropTable(t.Context(), "orders"); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Alter(t.Context(), "other", supertable.Alteration{Rename: "orders"}); err != nil {
				t.Fatal(err)
			}
		}, "1\n2"},
		"dropped": {func(t *testing.T, s *supertable.Session) { write(t, s, "orders") }, func(t *testing.T, s *supertable.Session) {
			if _, err := s.DropTable(t.Context(), "orders"); err != nil {
				t.Fatal(err)
			}
		}, "2"},
	} {
		t.Run(name, func(t *testing.T) {
			s := testdb.Open(t).Session("main")
			if tt.before != nil {
				tt.before(t, s)
			}
			rows := testdb.Batch(t, "id:int64", `[{"id":2}]`)
			defer rows.Release()
			if _, err := s.Write(t.Context(), "orders", &gated{rows, func() { tt.during(t, s) }}, nil); err != nil {
				t.Fatal(err)
			}
			if got := testdb.Query(t, s, "SELECT id FROM orders", nil); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestWidenedColumns reads and replaces rows of a column whose files have two
// types: values compare as values of the wider one.
func TestWidenedColumns(t *testing.T) {
	s := testdb.Open(t).Session("main")
	testdb.Write(t, s, "i", "x:int32", `[{"x":1},{"x":2},{"x":3}]`, nil)
	testdb.Write(t, s, "i", "x:float64", `[{"x":100.5}]`, nil)
	testdb.Write(t, s, "f", "x:float32", `[{"x":0.1},{"x":0.1}]`, nil)
	res := testdb.Write(t, s, "f", "x:float64", `[{"x":0.10000000149011612}]`, &supertable.WriteOptions{Key: []string{"x"}})
	if res.Deleted != 2 {
		t.Errorf("replaced %d rows of a key, want 2", res.Deleted)
	}
	testdb.Write(t, s, "d", "x:date", `[{"x":"2020-01-01"},{"x":"2020-01-03"}]`, nil)
	res = testdb.Write(t, s, "d", "x:timestamp", `[{"x":"2020-01-01 12:00:00"}]`, &supertable.WriteOptions{Key: []string{"x"}})
	if res.Deleted != 0 {
		t.Errorf("noon replaced %d rows of midnight", res.Deleted)
	}
	testdb.Write(t, s, "m", "x:decimal(4,2)", `[{"x":"1.25"},{"x":"2.50"}]`, nil)
	res = testdb.Write(t, s, "m", "x:decimal(10,4)", `[{"x":"1.2501"}]`, &supertable.WriteOptions{Key: []string{"x"}})
	if res.Deleted != 0 {
		t.Errorf("1.2501 replaced %d rows of 1.25", res.Deleted)
	}
	for _, tt := range []struct{ table, where, want string }{
		{"i", "x = 2.5", "0"},
		{"i", "x < 2.5", "2"},
		{"i", "x >= 2.5", "2"},
		{"i", "x <> 2.5", "4"},
		{"f", "x > 0.1", "1"},
		{"d", "x = '2020-01-01 12:00'", "1"},
		{"d", "x < '2020-01-01 00:00:01'", "1"},
		{"m", "x > 1.2499", "3"},
		{"m", "x = 1.2501", "1"},
		{"m", "x < 1.2501", "1"},
	} {
		if got := testdb.Query(t, s, fmt.Sprintf("SELECT count(*) FROM %s WHERE %s", tt.table, tt.where), nil); got != tt.want {
			t.Errorf("%s WHERE %s: %s rows, want %s", tt.table, tt.where, got, tt.want)
		}
	}
}

// TestLongDecimalLiteral compares a float column with a literal that the
// engine converts with its own rounding: the file must not be ruled out.
func TestLongDecimalLiteral(t *testing.T) {
	s := testdb.Open(t).Session("main")
	for _, lit := range []string{"0.24983254331430094", "0.1", "1234567.12345678901"} {
		value := testdb.Query(t, s, "SELECT CAST("+lit+" AS DOUBLE)", nil)
		table := "t" + strings.ReplaceAll(lit, ".", "_")
		testdb.Write(t, s, table, "x:float64", `[{"x":`+value+`}]`, nil)
		if got := testdb.Query(t, s, "SELECT count(*) FROM "+table+" WHERE x = "+lit, nil); got != "1" {
			t.Errorf("%s is not found", lit)
		}
	}
}

// TestEmptyListIsAValue keeps a column that has nothing but empty lists from
// being taken for one without values.
func TestEmptyListIsAValue(t *testing.T) {
	s := testdb.Open(t).Session("main")
	write := func(rows string) error {
		_, err := s.WriteFrom(t.Context(), "t", strings.NewReader(rows), &supertable.WriteOptions{Format: "ndjson", Columns: []supertable.Column{{Name: "l", Type: "INTEGER[]"}}})
		return err
	}
	if err := write(`{"id":1,"l":[]}`); err != nil {
		t.Fatal(err)
	}
	list := arrow.NewSchema([]arrow.Field{{Name: "l", Type: arrow.ListOf(arrow.BinaryTypes.String), Nullable: true}}, nil)
	rec, _, err := array.RecordFromJSON(memory.DefaultAllocator, list, strings.NewReader(`[{"l":["a"]}]`))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := array.NewRecordReader(list, []arrow.RecordBatch{rec})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(t.Context(), "t", rows, nil); supertable.KindOf(err) != supertable.TypeConflict {
		t.Errorf("text lists into a column of integer lists: %v", err)
	}
	if got := testdb.Query(t, s, "SELECT id, len(l) FROM t", nil); got != "1|0" {
		t.Errorf("got %q", got)
	}
}

// TestDroppedAndMadeAgainElsewhere has another process drop and make a
// SuperTable that this one has open.
func TestDroppedAndMadeAgainElsewhere(t *testing.T) {
	home := t.TempDir()
	here, there := testdb.At(t, home, nil), testdb.At(t, home, nil)
	s := here.Session("main")
	testdb.Write(t, s, "t", "id:int64", `[{"id":1},{"id":2}]`, nil)
	testdb.Write(t, s, "t", "id:int64", `[{"id":1}]`, &supertable.WriteOptions{Key: []string{"id"}, DeleteOnly: true})
	testdb.Query(t, s, "SELECT * FROM t", nil)
	if err := there.Session("main").DropSuperTable(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := testdb.TryQuery(t.Context(), s, "SELECT * FROM t", nil); supertable.KindOf(err) != supertable.NotFound {
		t.Errorf("a session of a dropped SuperTable: %v", err)
	}
	testdb.Write(t, there.Session("main"), "t", "id:int64", `[{"id":7},{"id":8}]`, nil)
	if got := testdb.Query(t, here.Session("main"), "SELECT id FROM t", nil); got != "7\n8" {
		t.Errorf("after it was made again: %q", got)
	}
}
