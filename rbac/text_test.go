package rbac_test

import (
	"testing"

	"github.com/supertable-go/supertable/rbac"
)

// TestText: filters and masks as people read them.
func TestText(t *testing.T) {
	for filter, want := range map[string]string{
		`{}`:                             "every row",
		`{"country":"US","active":true}`: "active = true AND country = 'US'",
		`{"name":"O'Brien"}`:             "name = 'O''Brien'",
		`{"age":[9,65.5]}`:               "age IN (9, 65.5)",
		`{"age":{"operation":"not between","value":[1,2]}}`:                            "age NOT BETWEEN 1 AND 2",
		`{"age":{"range":[{"operation":">=","value":1},{"operation":"<","value":9}]}}`: "age >= 1 AND age < 9",
		`{"OR":[{"a":null,"b":1},{"NOT":{"c":{"operation":"IS NOT","value":true}}}]}`:  "(a IS NULL AND b = 1) OR NOT (c IS NOT true)",
		`{"AND":[{"OR":[{"a":1},{"a":2}]},{"b":3}]}`:                                   "(a = 1 OR a = 2) AND b = 3",
		`{"a":{"operation":"<","type":"reference","value":"b"}}`:                       "a < b",
		`{"a":{"operation":"=","type":"session","value":"user.tenant"}}`:               "a = user.tenant",
		`{"a":{"operation":"LIKE","value":"5!%","escape":"!"}}`:                        "a LIKE '5!%' ESCAPE '!'",
	} {
		rules := grantOf(t, `{"role":"reader","filters":`+filter+`}`).Rules(rbac.Read, "t")
		if got := rbac.Text(rules[0].Filter); got != want {
			t.Errorf("%s: %s, want %s", filter, got, want)
		}
	}
}

// TestCasesText: how a column is shown to the holder of several roles.
func TestCasesText(t *testing.T) {
	const (
		last  = `{"role":"reader","masks":{"a":{"type":"last","n":4}},"filters":{"b":1}}`
		fixed = `{"role":"reader","masks":{"a":{"type":"constant","value":"x"}}}`
		clear = `{"role":"reader","filters":{"b":2}}`
	)
	for want, roles := range map[string][]string{
		"last 4":                                {last},
		"constant 'x'":                          {fixed},
		"last 4 where b = 1, else constant 'x'": {last, fixed},
		"clear where b = 2, else last 4 where b = 1": {last, clear},
	} {
		a, err := rbac.Decide(grantOf(t, roles...).Rules(rbac.Read, "t"), "t", rbac.Names("a", "b"), rbac.Use{Star: true})
		if err != nil {
			t.Fatal(err)
		}
		if got := rbac.CasesText(a.Masks["a"]); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if got := role(t, last).Label(); got != "reader "+role(t, last).Hash[:8] {
		t.Errorf("label %s", got)
	}
	if got := role(t, `{"role":"meta","name":"ops"}`).Label(); got != "ops (meta)" {
		t.Errorf("label %s", got)
	}
}
