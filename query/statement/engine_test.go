package statement_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/supertable-go/supertable/engine"
	"github.com/supertable-go/supertable/query/statement"
)

// rows runs a query and gives its columns' names and its rows, sorted.
func rows(sql string) (names, out []string, err error) {
	r, err := conn.Query(context.Background(), sql, nil)
	if err != nil {
		return nil, nil, err
	}
	defer r.Release()
	for _, f := range r.Schema().Fields() {
		names = append(names, f.Name)
	}
	for r.Next() {
		batch := r.RecordBatch()
		for i := range int(batch.NumRows()) {
			var row []string
			for _, column := range batch.Columns() {
				row = append(row, strings.Clone(column.ValueStr(i)))
			}
			out = append(out, strings.Join(row, "|"))
		}
	}
	slices.Sort(out)
	return names, out, r.Err()
}

func mustExec(t *testing.T, sql string) {
	t.Helper()
	if err := conn.Exec(context.Background(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// setUp makes the tables of the tests that run: t, u and shop.t, other.t.
func setUp(t *testing.T) {
	t.Helper()
	mustExec(t, `CREATE SCHEMA shop; CREATE SCHEMA other;
		CREATE TABLE t AS SELECT i AS id, i % 3 AS a, nullif(i % 5, 0) AS b, chr((97 + i % 4)::INT) AS s,
			CASE i % 4 WHEN 0 THEN 'nan'::DOUBLE WHEN 1 THEN NULL ELSE i / 2 END AS d FROM range(12) r(i);
		CREATE TABLE u AS SELECT i AS id, nullif(i % 4, 1) AS k, i * 10 AS v FROM range(3, 15) r(i);
		CREATE TABLE shop.t AS SELECT i AS id, 'shop' || i AS s, [i, i + 1] AS list, {'x': i} AS st FROM range(4) r(i);
		CREATE TABLE other.t AS SELECT i AS id, 'other' || i AS s FROM range(2, 5) r(i);
		CREATE TABLE "My Table" AS SELECT 1 AS "a b";`)
	t.Cleanup(func() {
		mustExec(t, `DROP SCHEMA shop CASCADE; DROP SCHEMA other CASCADE; DROP TABLE t; DROP TABLE u; DROP TABLE "My Table"`)
	})
}

func original(r *statement.TableRef) string {
	name := `"` + r.Name + `"`
	if r.Super != "" {
		name = `"` + r.Super + `".` + name
	}
	return name
}

// withViews makes the views of s, with a filter each (or none), and runs f.
func withViews(t *testing.T, s *statement.Statement, filter func(i int) string, f func()) {
	t.Helper()
	for i, r := range s.Tables {
		mustExec(t, fmt.Sprintf("CREATE TEMP VIEW v%d AS SELECT * FROM %s WHERE %s", i, original(r), filter(i)))
		defer mustExec(t, fmt.Sprintf("DROP VIEW v%d", i))
	}
	f()
}

func noFilter(int) string { return "true" }

// TestSplicedRunsAsWritten runs each line of testdata/run.txt as it stands and
// spliced over views of the same tables: the results are equal, names and all.
func TestSplicedRunsAsWritten(t *testing.T) {
	setUp(t)
	text, err := os.ReadFile("testdata/run.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		line = strings.ReplaceAll(strings.TrimSpace(line), `\n`, "\n")
		names, want, err := rows(line)
		if err != nil {
			t.Errorf("%s\n%v", line, err)
			continue
		}
		s, spliced, err := splice(line)
		if err != nil {
			t.Errorf("%s\n%s", line, message(err))
			continue
		}
		withViews(t, s, noFilter, func() {
			gotNames, got, err := rows(spliced)
			for i := range gotNames {
				gotNames[i] = s.ColumnName(gotNames[i], view)
			}
			if err != nil || !slices.Equal(got, want) || !slices.Equal(gotNames, names) {
				t.Errorf("%s\n%s\ngot  %q %q %v\nwant %q %q", line, spliced, gotNames, got, err, names, want)
			}
		})
	}
}

// generator makes random queries over t and u.
type generator struct{ *rand.Rand }

func (g generator) pick(list ...string) string { return list[g.IntN(len(list))] }

// leaf is a comparison of one column, mostly with a constant.
func (g generator) leaf() string {
	column := g.pick("x.id", "x.a", "x.b", "y.id", "y.k", "y.v", "x.d", "x.s", "a", "k", "v")
	n := func() string {
		n := strconv.Itoa(g.IntN(9) - 1)
		return g.pick(n, n, n, n, n, "abs("+n+")", "("+n+" + 2 * -1)", "round("+n+" / 2)", "('1' || '"+"0')::int", "year(date '0003-02-01' + "+n+")", "(2 - 1.5)", "2 ** 2")
	}
	if column == "x.s" {
		return column + g.pick(" = lower('B')", " < 'a' || 'z'", " in (chr(98), 'd')", " between left('bx', 1) and upper('z')", " > substr('abc', 2)", " = 'b'", " <> 'c'", " > 'b'", " in ('a', 'd')", " is null", " between 'b' and 'c'", " like 'b%'", " not in ('a', null)")
	}
	switch g.IntN(10) {
	case 0:
		return column + g.pick(" is null", " is not null")
	case 1:
		return column + g.pick(" between ", " not between ") + n() + " and " + n()
	case 2:
		return column + g.pick(" in (", " not in (") + n() + ", " + g.pick(n(), "null", n()+", 100") + ")"
	case 3:
		return column + g.pick(" is distinct from ", " is not distinct from ") + g.pick(n(), "null")
	case 4:
		return n() + g.pick(" < ", " = ", " >= ") + column
	case 5:
		return column + g.pick(" = ", " < ", " + 0 > ") + g.pick("x.id", "y.id", strconv.Itoa(g.IntN(9)-1)+".5", "null", "abs(2)")
	default:
		return column + " " + g.pick("=", "<>", "<", "<=", ">", ">=") + " " + n()
	}
}

func (g generator) condition(depth int) string {
	if depth == 0 || g.IntN(3) == 0 {
		return g.leaf()
	}
	switch g.IntN(4) {
	case 0:
		return "not (" + g.condition(depth-1) + ")"
	case 1:
		return "(" + g.condition(depth-1) + " or " + g.condition(depth-1) + ")"
	default:
		return "(" + g.condition(depth-1) + " and " + g.condition(depth-1) + ")"
	}
}

func (g generator) query() string {
	join := g.pick("join", "left join", "right join", "full join", "join", "left join")
	on := " on x.id = y.id and " + g.condition(2)
	from := "t x " + join + " u y" + on
	switch g.IntN(8) {
	case 0:
		from = "u y " + join + " t x" + on
	case 1:
		from += " " + g.pick("left", "right", "full", "inner") + " join shop.t z on z.id = x.id and z.id <> " + strconv.Itoa(g.IntN(4))
	case 2:
		from = "t x asof " + g.pick("", "left ") + "join u y on x.id >= y.id"
	case 3:
		from = "t x positional join u y"
	case 4:
		from = "t x, u y"
	case 5:
		from = "t x " + g.pick("semi", "anti") + " join u z on x.id = z.id and z.v > 50 and x.a = 1, u y"
	case 6:
		from = "t x left join (u y " + g.pick("", "left ", "right ", "full ") + "join shop.t z on y.id = z.id and " + g.pick("y.k = 2", "z.id is null", "z.id = 2") + ") on x.id = y.id"
	}
	return "select x.*, y.* from " + from + " where " + g.condition(3)
}

// TestFiltersAreSound: leaving out the rows that fail a filter never changes
// a result.
func TestFiltersAreSound(t *testing.T) {
	setUp(t)
	seed := uint64(time.Now().UnixNano())
	if s, err := strconv.ParseUint(os.Getenv("ST_SEED"), 10, 64); err == nil {
		seed = s
	}
	g := generator{rand.New(rand.NewPCG(seed, 0))}
	ts := tables{}
	ts.add("t id a b s d")
	ts.add("u id k v")
	filtered, n := 0, 1000
	if testing.Short() {
		n = 200
	}
	for range n {
		filtered += checkFilters(t, g.query(), func(i int, r *statement.TableRef) []statement.Column {
			if r.Super != "" {
				return []statement.Column{{Name: "id"}, {Name: "s"}, {Name: "list"}, {Name: "st"}}
			}
			return ts.columns(i, r)
		})
		if t.Failed() {
			t.Fatalf("ST_SEED=%d", seed)
		}
	}
	if filtered < n/10 {
		t.Errorf("only %d of %d queries had filters (ST_SEED=%d)", filtered, n, seed)
	}
}

// reckoned gives the values of a statement's constants. Those that the engine
// refuses are none.
func reckoned(t *testing.T, s *statement.Statement, params map[string]any) statement.Values {
	t.Helper()
	values, err := s.Constants(params).Reckon(context.Background(), conn)
	if refused := new(engine.Error); err != nil && !errors.As(err, &refused) {
		t.Fatal(err)
	}
	return values
}

// checkFilters reports 1 when some table of the query was filtered.
func checkFilters(t *testing.T, query string, columns func(int, *statement.TableRef) []statement.Column) int {
	t.Helper()
	s, spliced, err := splice(query)
	if err != nil {
		t.Fatalf("%s\n%s", query, message(err))
	}
	bound, err := s.Bind(columns, reckoned(t, s, nil))
	if err != nil {
		t.Fatal(err)
	}
	_, want, wantErr := rows(query)
	some := 0
	filter := func(i int) string {
		if bound.Uses[i].Filter == nil {
			return "true"
		}
		some = 1
		return "(" + bound.Uses[i].Filter.String() + ") IS TRUE"
	}
	withViews(t, s, filter, func() {
		_, got, err := rows(spliced)
		if (err != nil) != (wantErr != nil) || !slices.Equal(got, want) {
			var filters []string
			for i := range bound.Uses {
				filters = append(filters, filter(i))
			}
			t.Errorf("%s\nfilters %q\ngot  %q %v\nwant %q %v", query, filters, got, err, want, wantErr)
		}
	})
	return some
}
