package statement_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestDeepTexts: a text as deep as it may be long gives an error or an answer,
// and takes neither the process nor minutes.
func TestDeepTexts(t *testing.T) {
	for name, text := range map[string]string{
		"parentheses":    "select " + strings.Repeat("(", 300000) + "1" + strings.Repeat(")", 300000),
		"not":            "select " + strings.Repeat("not ", 200000) + "true",
		"minus":          "select " + strings.Repeat("- ", 200000) + "x",
		"sum":            "select 1" + strings.Repeat("+1", 300000),
		"and":            "select * from t where a=1" + strings.Repeat(" and a=1", 100000),
		"or":             "select * from t where a=1" + strings.Repeat(" or b and a=1", 70000),
		"subqueries":     strings.Repeat("select * from (", 50000) + "t" + strings.Repeat(") x", 50000),
		"scalars":        strings.Repeat("select (", 50000) + "1" + strings.Repeat(")", 50000),
		"joins":          "select * from t" + strings.Repeat(", t", 200000),
		"unions":         "select 1" + strings.Repeat(" union select 1", 60000),
		"ctes":           strings.Repeat("with a as (", 50000) + "select 1" + strings.Repeat(") select 1", 50000),
		"list":           "select * from t where a in (1" + strings.Repeat(",1", 400000) + ")",
		"case":           "select " + strings.Repeat("case when a then ", 50000) + "1" + strings.Repeat(" end", 50000),
		"casts":          "select a" + strings.Repeat("::int", 150000),
		"lists":          "select " + strings.Repeat("[", 300000) + strings.Repeat("]", 300000),
		"calls":          "select " + strings.Repeat("abs(", 150000) + "1" + strings.Repeat(")", 150000),
		"windows":        "select 1" + strings.Repeat(", sum(a) over w", 50000) + " from t window w as (order by b)",
		"index":          "select a" + strings.Repeat("[1]", 200000),
		"types":          "select a::" + strings.Repeat("struct(a ", 50000) + "int" + strings.Repeat(")", 50000),
		"comments":       "select 1" + strings.Repeat("/*", 400000),
		"and below":      "select * from t where a=1" + strings.Repeat(" and a=1", 3900),
		"or below":       "select * from t where a=1" + strings.Repeat(" or b=2 and a=1", 1900),
		"few unions":     "select 1" + strings.Repeat(" union select 1", 3900),
		"some list":      "select * from t where a in (1" + strings.Repeat(",1", 49000) + ")",
		"some case":      "select " + strings.Repeat("case when a then ", 300) + "1" + strings.Repeat(" end", 300),
		"some index":     "select a" + strings.Repeat("[1]", 990),
		"some over":      "select 1" + strings.Repeat(", sum(a) over w", 100) + " from t window w as (order by b)",
		"closed":         "select 1" + strings.Repeat("/*", 200000) + strings.Repeat("*/", 200000),
		"operands":       "select " + strings.Repeat("case ", 40) + "a" + strings.Repeat(" when 1 then 2 when 3 then 4 end", 40),
		"labels":         "select " + strings.Repeat("case (select 1 as end, x.end from t x)+", 40) + "a" + strings.Repeat(" when 1 then 2 when 3 then 4 end", 40),
		"big windows":    "select 1" + strings.Repeat(", sum(a) over w", 20000) + " from t window w as (order by b" + strings.Repeat(", b", 20000) + ")",
		"nullif":         "select " + strings.Repeat("nullif(", 60) + "1" + strings.Repeat(", 2)", 60),
		"fmod":           "select " + strings.Repeat("fmod(", 60) + "1" + strings.Repeat(", 2)", 60),
		"nested windows": "select sum(1) over w from t window w as (order by (select sum(1) over v from t window v as (order by 1)))",
		"tables":         "select * from " + strings.Repeat("a.", 300000) + "b",
	} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && len(text) > 30_000 {
				t.Skip("long")
			}
			start := time.Now()
			defer func() {
				if d := time.Since(start); d > 20*time.Second {
					t.Errorf("took %s", d)
				}
			}()
			if _, _, err := splice(text); err != nil {
				if got := message(err); len(got) > 300 {
					t.Errorf("a message of %d bytes: %.100s", len(got), got)
				}
			}
		})
	}
}

// TestAliasChains: an alias is copied to wherever it is used.
func TestAliasChains(t *testing.T) {
	var b strings.Builder
	b.WriteString("select i as a0")
	for i := range 40 {
		fmt.Fprintf(&b, ", a%d + a%d as a%d", i, i, i+1)
	}
	b.WriteString(" from t")
	for _, text := range []string{b.String(), "select * from (" + b.String() + ") x", "with c as (" + b.String() + ") select 1"} {
		if _, err := parse(text); err == nil || !strings.Contains(err.Error(), "too large") {
			t.Errorf("%.40s…: %v", text, err)
		}
	}
	if _, err := parse("select i as a, a + a as b, b + b as c, nullif(nullif(c, 1), 2) as d from t where d > 1 and c < 2 and b = 3"); err != nil {
		t.Error(err)
	}
}
