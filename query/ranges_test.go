package query

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/query/statement"
)

// TestWhereKeepsWhatMayHold: what the catalog is asked for leaves out no file
// that the predicate keeps.
func TestWhereKeepsWhatMayHold(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 5))
	var cols []datafile.Column
	for i, name := range []string{"int64", "decimal(10,2)", "float64", "varchar", "date", "timestamp", "boolean", "uuid", "blob"} {
		typ, err := datafile.ParseLake(name)
		if err != nil {
			t.Fatal(err)
		}
		cols = append(cols, datafile.Column{ID: int64(i + 1), Name: fmt.Sprintf("c%d", i+1), Type: typ, Begin: int64(r.IntN(3))})
	}
	p := pruner{columns: cols}
	asked := 0
	for range 20_000 {
		f := &catalog.File{Begin: 1, Stats: map[int64]datafile.Stats{}}
		for _, c := range cols {
			if s := randomStats(r, c); r.IntN(6) > 0 {
				f.Stats[c.ID] = s
			}
		}
		e := randomExpr(r, 2)
		w := p.where(e)
		if w == nil {
			continue
		}
		asked++
		if p.mayHold(f, e) && !asksFor(f, w) {
			t.Fatalf("%#v keeps the file %+v, and %+v does not ask for it", e, f.Stats, w)
		}
	}
	if asked < 5000 {
		t.Errorf("%d conditions asked for something", asked)
	}
}

func randomText(r *rand.Rand, column int) string {
	switch column {
	case 1:
		return fmt.Sprint(r.IntN(40) - 20)
	case 2:
		return fmt.Sprintf("%d.%02d", r.IntN(40)-20, r.IntN(100))
	case 3:
		return fmt.Sprint(r.NormFloat64())
	case 5:
		return fmt.Sprintf("2026-01-%02d", 1+r.IntN(28))
	case 6:
		return fmt.Sprintf("2026-01-%02d 00:00:%02d", 1+r.IntN(28), r.IntN(60))
	case 7:
		return []string{"true", "false"}[r.IntN(2)]
	}
	return fmt.Sprintf("%c%d", 'a'+r.IntN(5), r.IntN(9))
}

func randomStats(r *rand.Rand, c datafile.Column) datafile.Stats {
	s := datafile.Stats{ColumnID: c.ID, ValueCount: int64(r.IntN(4)), NullCount: int64(r.IntN(2))}
	a, b := randomText(r, int(c.ID)), randomText(r, int(c.ID))
	s.Min, s.Max = datafile.WidenBounds(c.Type, &a, &a, &b, &b)
	if nan := r.IntN(8) == 0; nan {
		s.ContainsNaN = &nan
	}
	return s
}

func randomExpr(r *rand.Rand, depth int) statement.Expr {
	column := 1 + r.IntN(10)
	name := fmt.Sprintf("c%d", column)
	literal := func() statement.Literal {
		types := []string{"", "BIGINT", "DECIMAL", "DOUBLE", "VARCHAR", "DATE", "TIMESTAMP", "BOOLEAN", "UUID", "BLOB", "VARCHAR"}
		typ := types[column]
		if r.IntN(4) == 0 {
			typ = types[1+r.IntN(9)]
		}
		return statement.Literal{Type: typ, Text: randomText(r, column)}
	}
	switch k := r.IntN(10); {
	case k < 2 && depth > 0:
		return statement.And{randomExpr(r, depth-1), randomExpr(r, depth-1)}
	case k < 4 && depth > 0:
		return statement.Or{randomExpr(r, depth-1), randomExpr(r, depth-1)}
	case k == 4:
		return statement.Null{Column: name, Not: r.IntN(2) == 0}
	case k == 5:
		return statement.In{Column: name, Not: r.IntN(4) == 0, Values: []statement.Literal{literal(), literal()}}
	}
	ops := []statement.Op{statement.Equal, statement.Less, statement.LessOrEqual, statement.Greater, statement.GreaterOrEqual, "<>"}
	return statement.Compare{Column: name, Op: ops[r.IntN(len(ops))], Value: literal()}
}

// asksFor is what package catalog makes of a condition, for one file.
func asksFor(f *catalog.File, w catalog.Where) bool {
	switch w := w.(type) {
	case catalog.WhereAll:
		for _, x := range w {
			if !asksFor(f, x) {
				return false
			}
		}
	case catalog.WhereAny:
		for _, x := range w {
			if asksFor(f, x) {
				return true
			}
		}
		return false
	case catalog.WhereNull:
		s, ok := f.Stats[w.Column.ID]
		return !ok || s.NullCount > 0
	case catalog.WhereBetween:
		s, ok := f.Stats[w.Column.ID]
		if !ok || s.ValueCount > 0 && (s.Min == nil || s.Max == nil || s.ContainsNaN != nil || w.Column.Type.Name == "float64" && f.Written() < w.Column.Begin) {
			return true
		}
		if s.ValueCount == 0 {
			return false
		}
		lo, ok1 := datafile.ParseBound(w.Column.Type, *s.Min)
		hi, ok2 := datafile.ParseBound(w.Column.Type, *s.Max)
		if !ok1 || !ok2 {
			return true
		}
		for _, end := range []struct {
			asked *datafile.Bound
			is    datafile.Bound
			out   int
		}{{w.Lo, hi, 1}, {w.Hi, lo, -1}} {
			if end.asked == nil {
				continue
			}
			if c, ok := end.asked.Compare(end.is); ok && c == end.out {
				return false
			}
		}
	}
	return true
}
