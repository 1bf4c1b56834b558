package source

import (
	"fmt"
	"strings"
	"testing"

	"github.com/supertable-go/supertable/internal/errs"
)

func TestJSONForms(t *testing.T) {
	c := connect(t)
	for name, tt := range map[string]struct {
		content string
		types   string // separated by ;
		rows    []string
	}{
		"array":           {`[{"a":1},{"a":2}]`, "a BIGINT", []string{"1", "2"}},
		"lines":           {"{\"a\":1}\n\n{\"a\":2}\r\n  \n", "a BIGINT", []string{"1", "2"}},
		"pretty":          {"{\n \"a\": 1\n}\n{\n \"a\": 2\n}", "a BIGINT", []string{"1", "2"}},
		"one line":        {`{"a":1} {"a":2}{"a":3}`, "a BIGINT", []string{"1", "2", "3"}},
		"pretty array":    {"\n[\n {\"a\": 1},\n {\"a\": null}\n]\n", "a BIGINT", []string{"1", "<nil>"}},
		"byte order mark": {"\ufeff[{\"a\":1}]", "a BIGINT", []string{"1"}},
		"missing keys":    {`[{"a":1},{"b":"x"},{}]`, "a BIGINT;b VARCHAR", []string{"1|<nil>", "<nil>|x", "<nil>|<nil>"}},
		"a key late":      {strings.Repeat("{\"a\":1}\n", 25_000) + `{"a":2.5,"late":true}`, "a DOUBLE;late BOOLEAN", nil},
		"nested": {
			`{"s":{"x":1,"y":[{"z":"q"}]},"l":[[1],[2.5,null]]}`, "s STRUCT(x BIGINT, y STRUCT(z VARCHAR)[]);l DOUBLE[][]",
			[]string{`{'x': 1, 'y': [{'z': q}]}|[[1.0], [2.5, NULL]]`},
		},
		"struct fields late": {`[{"s":{"x":1}},{"s":{"y":2}},{"s":null}]`, "s STRUCT(x BIGINT, y BIGINT)", []string{"{'x': 1, 'y': NULL}", "{'x': NULL, 'y': 2}", "<nil>"}},
		"mixed kinds":        {`[{"a":1},{"a":"x"},{"a":[1, 1.50]},{"a":true},{"a":null}]`, "a JSON", []string{"1", `"x"`, "[1,1.5]", "true", "<nil>"}},
		"mixed with digits":  {`[{"a":"x"},{"a":{"n":0.1234567890123456789}},{"a":"1"}]`, "a JSON", []string{`"x"`, `{"n":0.1234567890123456789}`, `"1"`}},
		"empty object":       {`[{"a":{}},{"a":{}}]`, "a JSON", []string{"{}", "{}"}},
		"empty list":         {`[{"a":[]},{"a":[]}]`, "a VARCHAR[]", []string{"[]", "[]"}},
		"only null":          {`[{"a":null,"b":1}]`, "a NULL;b BIGINT", []string{"<nil>|1"}},
		"big integer":        {`[{"a":9223372036854775808},{"a":-1}]`, "a DECIMAL(38,0)", []string{"9223372036854775808", "-1"}},
		"fraction":           {`[{"a":0.1234567890123456789},{"a":12},{"a":1e2}]`, "a DECIMAL(38,19)", []string{"0.1234567890123456789", "12.0000000000000000000", "100.0000000000000000000"}},
		"fraction inside":    {`[{"a":[{"x":0.1234567890123456789}]}]`, "a STRUCT(x DECIMAL(38,19))[]", []string{"[{'x': 0.1234567890123456789}]"}},
		"big and fraction":   {`[{"a":9007199254740993},{"a":0.5}]`, "a DECIMAL(38,1)", []string{"9007199254740993.0", "0.5"}},
		"too long a number":  {`[{"a":1.5e-50},{"a":0.1234567890123456789}]`, "a VARCHAR", []string{"1.5e-50", "0.1234567890123456789"}},
		"doubles":            {`[{"a":0.1},{"a":1e22},{"a":5e-324},{"a":-0.0},{"a":3}]`, "a DOUBLE", []string{"0.1", "1e+22", "5e-324", "-0.0", "3.0"}},
		"not finite":         {`[{"a":NaN},{"a":-Infinity},{"a":1}]`, "a DOUBLE", []string{"nan", "-inf", "1.0"}},
		"dates": {
			`[{"d":"2024-01-31","t":"2024-01-31T10:00:00.5","z":"2024-01-31T12:00:00+02:00","h":"10:00:00"}]`, "d DATE;t TIMESTAMP;z TIMESTAMP WITH TIME ZONE;h TIME",
			[]string{"2024-01-31|2024-01-31 10:00:00.5|2024-01-31 10:00:00+00|10:00:00"},
		},
		"nanoseconds": {`[{"t":"2024-01-31T10:00:00.123456789"},{"t":"2024-01-31"}]`, "t TIMESTAMP_NS", []string{"2024-01-31 10:00:00.123456789", "2024-01-31 00:00:00"}},
		"texts stay": {
			`[{"a":"5","b":"007","c":"true","d":"31/01/2024","e":"12345678-9abc-4def-8123-456789abcdef","f":""}]`,
			"a VARCHAR;b VARCHAR;c VARCHAR;d VARCHAR;e VARCHAR;f VARCHAR",
			[]string{"5|007|true|31/01/2024|12345678-9abc-4def-8123-456789abcdef|"},
		},
		"escapes":               {`[{"a":"\u0041\n\ud83d\ude00\"\\\/","na\u00efve \"k\"":1}]`, "a VARCHAR;naïve \"k\" BIGINT", []string{"A\n😀\"\\/|1"}},
		"keys in two spellings": {`[{"Id":1,"s":{"X":1}},{"ID":2,"s":{"x":2}}]`, "Id BIGINT;s STRUCT(X BIGINT)", []string{"1|{'X': 1}", "2|{'X': 2}"}},
		"odd names":             {`[{"end":{"end":1,"a b":2,"q\"'x":3},"it's":1,"*":2}]`, `end STRUCT("end" BIGINT, "a b" BIGINT, "q""'x" BIGINT);it's BIGINT;* BIGINT`, []string{`{'end': 1, 'a b': 2, 'q"\'x': 3}|1|2`}},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			r := open(t, c, nil, put(t, "x.json", tt.content))
			diff(t, strings.Join(types(r), ";"), tt.types)
			got := rows(t, c, r)
			if tt.rows != nil {
				diff(t, got, tt.rows)
			}
			checkTypes(t, c, r)
		})
	}
}

func TestJSONMalformed(t *testing.T) {
	c := connect(t)
	for content, words := range map[string]string{
		"{\"a\":1}\n{\"a\":nope}\n":          `x.json: line 2: unexpected "n"`,
		"[{\"a\":1},\n{\"a\":2]":             "x.json: line 2, record 2: a comma or } is missing",
		"{\"a\":1}\n{\"a\":2":                "line 2: the file ends inside a value",
		"[{\"a\":1}":                         "the array is not closed",
		"[{\"a\":1},]":                       "a JSON object is expected",
		"[{\"a\":1}] {\"a\":2}":              "text stands behind the end of the array",
		"[{\"a\":1} {\"a\":2}]":              "a comma or ] is missing",
		"[1,2]":                              "a JSON object is expected",
		"5":                                  "a JSON object is expected",
		"\"x\"":                              "a JSON object is expected",
		"[{\"a\":1},null]":                   "a JSON object is expected",
		"{\"a\":1}\n[2]":                     "a JSON object is expected",
		"{\"a\":1,}":                         "a key in quotes is missing",
		"{\"a\":01}":                         "a malformed number",
		"{\"a\":1.}":                         "a malformed number",
		"{\"a\":-}":                          "a malformed number",
		"{\"a\" 1}":                          "a colon is missing",
		"{\"a\":\"x\ny\"}":                   "a control character",
		"{\"a\":\"\\x\"}":                    "an unknown escape",
		"{\"a\":\"\\ud800\"}":                "a malformed \\u escape",
		"{\"a\":\"\xff\"}":                   "not UTF-8",
		"{\"a\":1,\"a\":2}":                  `key "a" stands twice`,
		"{\"a\":1,\"A\":2}":                  `keys "a" and "A" of one object differ only in case`,
		"{\"s\":{\"a\":1,\"a\":2}}":          `key "a" stands twice`,
		"{\"\":1}":                           "an empty key",
		"":                                   "no columns",
		"[]":                                 "no columns",
		"[{},{}]":                            "no columns",
		"{\"a\":" + strings.Repeat("[", 300): "nested deeper",
	} {
		wantErr(t, failure(t, c, nil, put(t, "x.json", content)), errs.InvalidArgument, words)
	}
}

func TestJSONGivenTypes(t *testing.T) {
	c := connect(t)
	for _, tt := range typed {
		given := []Column{{"v", tt.typ}}
		texts, values := fitting(tt.fit)
		r := open(t, c, &Options{Table: given}, put(t, "x.json", `{"v":"`+strings.Join(texts, "\"}\n{\"v\":\"")+`"}`))
		diff(t, types(r), []string{"v " + tt.typ})
		diff(t, rows(t, c, r), values)
		checkTypes(t, c, r)
		for w := range strings.FieldsSeq(tt.misfit) {
			err := failure(t, c, &Options{Table: given}, put(t, "x.json", "{\"v\":null}\n{\"v\":\""+w+"\"}"))
			wantErr(t, err, errs.TypeConflict, `x.json: line 2: column "v": "`+w, tt.typ)
		}
	}
}

func TestJSONNumbersInGivenTypes(t *testing.T) {
	c := connect(t)
	for _, tt := range []struct{ typ, fit, misfit string }{
		{"BIGINT", "20 1.0|1 1e3|1000 -9223372036854775808 123456789012345678.0|123456789012345678", "1.5 9223372036854775808 true \"x\" [1] {\"a\":1} NaN"},
		{"DOUBLE", "1|1.0 0.1 NaN|nan", "9007199254740993 0.1234567890123456789 true"},
		{"DECIMAL(38,19)", "0.1234567890123456789 0.3|0.3000000000000000000", "0.12345678901234567891"},
		{"DECIMAL(10,2)", "12.34 5|5.00", "12.345 NaN"},
		{"VARCHAR", "1.50 1e2 7 true \"x\"|x [1,2.50] {\"a\":1}", ""},
		{"JSON", "0.1234567890123456789 \"x\" {\"a\":1}", ""},
		{"BOOLEAN", "true false", "1 0"},
		{"DATE", "\"2024-01-31\"|2024-01-31", "20240131"},
		{"BIGINT[]", "[1,2.0]|[1,_2] []", "[1.5] 1 {\"a\":1}"},
		{"DECIMAL(4,1)[]", "[1.5]", "[1.55]"},
		{"MAP(VARCHAR, DECIMAL(38,19))", "{\"k\":0.1234567890123456789}|{k=0.1234567890123456789}", "{\"k\":true} 5"},
		{"MAP(BIGINT, VARCHAR)", "[{\"key\":7,\"value\":\"x\"}]|{7=x} {\"8\":\"y\"}|{8=y}", "[{\"key\":7}] {\"x\":\"y\"}"},
		{"STRUCT(a BIGINT, b BLOB)", "{\"a\":1,\"b\":\"qrs=\"}|{'a':_1,_'b':_\\xAA\\xBB}", "{\"a\":1.5} [1]"},
		{"STRUCT(\"A\" BIGINT)", "{\"a\":1}|{'A':_1}", ""},
		{"STRUCT(j JSON)", "{\"j\":{\"x\":0.1234567890123456789}}|{'j':_'{\"x\":0.1234567890123456789}'}", ""},
	} {
		given := []Column{{"v", tt.typ}}
		texts, values := fitting(tt.fit)
		want, _ := parseType(tt.typ)
		r := open(t, c, &Options{Declared: given}, put(t, "x.json", `[{"v":`+strings.Join(texts, "},\n{\"v\":")+`}]`))
		diff(t, types(r), []string{"v " + want.String()})
		diff(t, rows(t, c, r), values)
		checkTypes(t, c, r)
		for w := range strings.FieldsSeq(tt.misfit) {
			err := failure(t, c, &Options{Declared: given}, put(t, "x.json", "{\"v\":null}\n{\"v\":"+w+"}"))
			wantErr(t, err, errs.TypeConflict, `x.json: line 2: column "v": `)
		}
	}
}

func TestJSONNewFieldsOfATable(t *testing.T) {
	c := connect(t)
	given := []Column{{"ID", "BIGINT"}, {"s", "STRUCT(a BIGINT)"}, {"absent", "DATE"}}
	r := open(t, c, &Options{Table: given}, put(t, "x.json", `[{"id":1,"s":{"a":1,"b":"x"},"new":[true]}]`))
	diff(t, types(r), []string{"id BIGINT", "s STRUCT(a BIGINT, b VARCHAR)", "new BOOLEAN[]"})
	diff(t, rows(t, c, r), []string{"1|{'a': 1, 'b': x}|[true]"})
	for _, content := range []string{"", "[]", "[{}]"} {
		r = open(t, c, &Options{Table: given}, put(t, "x.json", content))
		diff(t, len(r.Columns), 3)
		diff(t, len(rows(t, c, r)), strings.Count(content, "{"))
	}
}

func TestJSONWideObjects(t *testing.T) {
	c := connect(t)
	var b strings.Builder
	for i := range 1500 {
		fmt.Fprintf(&b, "{\"id\":%d,\"s\":{\"k%d\":0.25}}\n", i, i)
	}
	r := open(t, c, nil, put(t, "x.ndjson", b.String()))
	diff(t, types(r), []string{"id BIGINT", "s JSON"})
	diff(t, rows(t, c, r)[1499], `1499|{"k1499":0.25}`)
}
