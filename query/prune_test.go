package query

import (
	"strings"
	"testing"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/internal/script"
	"github.com/supertable-go/supertable/query/statement"
)

// TestPrune runs testdata/prune.txt. The first line is a column x and what a
// file's statistics say of it: TYPE | least | greatest [| nulls | empty | nan |
// none | partial]. The others are conditions on x: OP TYPE VALUE, in VALUES,
// null, not null; the answer says whether the file is read.
func TestPrune(t *testing.T) {
	script.Run(t, "testdata/prune.txt", func(t *testing.T, c *script.Case) string {
		t.Helper()
		head, rest, _ := strings.Cut(c.Input, "\n")
		p, f := fileOf(t, strings.Split(head, " | "))
		var b strings.Builder
		for line := range strings.Lines(rest) {
			word := "skip"
			if p.mayHold(f, condition(strings.TrimSuffix(line, "\n"))) {
				word = "read"
			}
			b.WriteString(word + "  " + line)
		}
		return b.String()
	})
}

func fileOf(t *testing.T, parts []string) (pruner, *catalog.File) {
	t.Helper()
	typ, err := datafile.ParseSQL(parts[0])
	if err != nil {
		t.Fatal(err)
	}
	s := datafile.Stats{ColumnID: 1, ValueCount: 10}
	if parts[1] != "?" {
		s.Min = &parts[1]
	}
	if parts[2] != "?" {
		s.Max = &parts[2]
	}
	f := &catalog.File{Records: 10, Begin: 1, Stats: map[int64]datafile.Stats{}}
	known := true
	for _, word := range parts[3:] {
		switch yes := true; word {
		case "nulls":
			s.NullCount = 1
		case "empty":
			s.ValueCount, s.NullCount = 0, 10
		case "nan":
			s.ContainsNaN = &yes
		case "none":
			known = false
		case "partial":
			at := int64(3)
			f.PartialMax = &at
		default:
			t.Fatalf("unknown word %q", word)
		}
	}
	if known {
		f.Stats[1] = s
	}
	return pruner{columns: []datafile.Column{{ID: 1, Name: "X", Type: typ}}}, f
}

func condition(line string) statement.Expr {
	literal := func(s string) statement.Literal {
		typ, text, _ := strings.Cut(s, " ")
		return statement.Literal{Type: strings.ReplaceAll(typ, "_", " "), Text: text}
	}
	word, rest, _ := strings.Cut(line, " ")
	switch {
	case line == "null" || line == "not null":
		return statement.Null{Column: "x", Not: line != "null"}
	case word == "in" || word == "notin":
		e := statement.In{Column: "x", Not: word == "notin"}
		for v := range strings.SplitSeq(rest, ", ") {
			e.Values = append(e.Values, literal(v))
		}
		return e
	}
	return statement.Compare{Column: "x", Op: statement.Op(word), Value: literal(rest)}
}

// TestPruneJoinsConditions: AND rules out what one side rules out, OR what
// both do; a column that is not there, or is nested, rules out nothing.
func TestPruneJoinsConditions(t *testing.T) {
	p, f := fileOf(t, []string{"BIGINT", "1", "100"})
	in, out := condition("= BIGINT 5"), condition("= BIGINT 500")
	other := statement.Compare{Column: "y", Op: statement.Equal, Value: statement.Literal{Type: "BIGINT", Text: "500"}}
	for name, c := range map[string]struct {
		e    statement.Expr
		want bool
	}{
		"and of both": {statement.And{in, in}, true}, "and with a miss": {statement.And{in, out}, false},
		"or with a hit": {statement.Or{out, in}, true}, "or of misses": {statement.Or{out, out}, false},
		"unknown column": {other, true}, "or with an unknown one": {statement.Or{out, other}, true}, "and with an unknown one": {statement.And{out, other}, false},
	} {
		if got := p.mayHold(f, c.e); got != c.want {
			t.Errorf("%s: %t, want %t", name, got, c.want)
		}
	}
	if got := p.leaves(statement.And{in, statement.Or{out, other}, statement.Null{Column: "X"}}); len(got) != 1 || got[0] != 1 {
		t.Errorf("statistics asked for: %v, want those of column 1", got)
	}
}
