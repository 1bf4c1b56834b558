package supertable_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/testdb"
)

// filterColumns and filterRows are the table of the scenarios F.
const filterColumns = "id:int64,age:int64,status:text,active:bool,deleted_at:timestamp,start_date:date,end_date:date,price:float64,min_price:int64,max_price:int64"

var filterRows = map[int]string{
	1: `"age":9,"status":"active","active":true,"deleted_at":null,"start_date":"2026-01-01","end_date":"2026-01-02","price":5.5,"min_price":1,"max_price":10`,
	2: `"age":18,"status":"Active","active":false,"deleted_at":"2026-01-01 00:00:00","start_date":"2026-01-03","end_date":"2026-01-02","price":50,"min_price":1,"max_price":10`,
	3: `"age":65,"status":"O'Brien","active":true,"deleted_at":null,"start_date":null,"end_date":"2026-01-02","price":10,"min_price":10,"max_price":10`,
	4: `"age":100,"status":null,"active":null,"deleted_at":null,"start_date":"2026-01-01","end_date":"2026-01-01","price":null,"min_price":1,"max_price":10`,
}

// filterRow is a row with the content of one and the id of another.
func filterRow(id, like int) string { return fmt.Sprintf(`{"id":%d,%s}`, id, filterRows[like]) }

// denied is the answer of a filter that cannot be applied.
var denied = []int{-1}

// filterCases are the scenarios F (the numbers with a letter are ours): a
// filter and the rows that it lets through.
var filterCases = []struct {
	name, filter string
	ids          []int
}{
	{"F01 any", `["*"]`, []int{1, 2, 3, 4}},
	{"F01 empty object", `{}`, []int{1, 2, 3, 4}},
	{"F01 empty list", `[]`, []int{1, 2, 3, 4}},
	{"F01 null", `null`, []int{1, 2, 3, 4}},
	{"F02", `{"status":{"operation":"=","type":"value","value":"active"}}`, []int{1}},
	{"F03", `{"status":{"operation":"!=","type":"value","value":"active"}}`, []int{2, 3}},
	{"F03b", `{"status":{"operation":"<>","value":"active"}}`, []int{2, 3}},
	{"F04", `{"age":{"operation":">","type":"value","value":"18"}}`, []int{3, 4}},
	{"F04b number", `{"age":{"operation":">","type":"value","value":18}}`, []int{3, 4}},
	{"F05", `{"age":{"range":[{"operation":">=","type":"value","value":"18"},{"operation":"<=","type":"value","value":"65"}]}}`, []int{2, 3}},
	{"F06", `{"age":{"range":[{"operation":">","type":"value","value":"0"}]}}`, []int{1, 2, 3, 4}},
	{"F07", `{"price":{"range":[{"operation":">=","type":"reference","value":"min_price"},{"operation":"<=","type":"reference","value":"max_price"}]}}`, []int{1, 3}},
	{"F08", `{"start_date":{"operation":"<","type":"reference","value":"end_date"}}`, []int{1}},
	{"F08b column", `{"start_date":{"operation":"=","type":"column","value":"END_DATE"}}`, []int{4}},
	{"F09", `{"deleted_at":{"operation":"IS","type":"null"}}`, []int{1, 3, 4}},
	{"F10", `{"deleted_at":{"operation":"IS NOT","type":"null"}}`, []int{2}},
	{"F10b small letters", `{"deleted_at":{"operation":"is  not","type":"null"}}`, []int{2}},
	{"F11", `{"active":true,"status":{"operation":"!=","type":"value","value":"active"}}`, []int{3}},
	{"F11b list", `[{"active":true},{"age":{"operation":"<","value":60}}]`, []int{1}},
	{"F13", `{"AND":[{"active":true},{"age":{"operation":"=","type":"value","value":"65"}}]}`, []int{3}},
	{"F14", `{"OR":[{"age":{"operation":"=","type":"value","value":"9"}},{"age":{"operation":"=","type":"value","value":"100"}}]}`, []int{1, 4}},
	{"F15", `{"NOT":{"status":{"operation":"=","type":"value","value":"deleted"}}}`, []int{1, 2, 3}},
	{"F17", `{"OR":[{"AND":[{"active":true},{"age":9}]},{"age":100}]}`, []int{1, 4}},
	{"F17b the other precedence", `{"AND":[{"OR":[{"active":true},{"age":18}]},{"age":{"operation":">","value":10}}]}`, []int{2, 3}},
	{"F18", `{"AND":[{"NOT":{"status":"active"}},{"age":{"operation":">","type":"value","value":"0"}}]}`, []int{2, 3}},
	{"F19", `{"age":{"range":[{"operation":">","value":"5"},{"operation":"<","value":"70"}]},"active":true}`, []int{1, 3}},
	{"F21", `{"status":{"operation":"=","type":"value","value":"active","escape":"!"}}`, []int{1}},
	{"F22", `{"status":{"operation":"=","type":"value","value":"O'Brien"}}`, []int{3}},
	{"F23", `{"status":{"operation":"=","type":"value","value":"x' OR '1'='1"}}`, nil},
	{"F23b", `{"status":"'; DROP TABLE f; --"}`, nil},
	{"F23c", `{"OR":[{"status":"\\' OR 1=1 --"},{"status":"O''Brien"},{"status":"$$"}]}`, nil},
	{"F27 in", `{"age":{"operation":"IN","type":"value","value":[9,65]}}`, []int{1, 3}},
	{"F27 in texts", `{"status":{"operation":"IN","type":"list","value":["active","O'Brien"]}}`, []int{1, 3}},
	{"F27 not in", `{"age":{"operation":"NOT IN","type":"value","value":["9","65"]}}`, []int{2, 4}},
	{"F27 not in, NULL", `{"status":{"operation":"NOT IN","value":["active"]}}`, []int{2, 3}},
	{"F27 between", `{"age":{"operation":"BETWEEN","type":"value","value":[10,70]}}`, []int{2, 3}},
	{"F27 not between", `{"age":{"operation":"NOT BETWEEN","type":"value","value":["10",70]}}`, []int{1, 4}},
	{"F28 like", `{"status":{"operation":"LIKE","value":"%ctive"}}`, []int{1, 2}},
	{"F28 not like", `{"status":{"operation":"NOT LIKE","value":"a%"}}`, []int{2, 3}},
	{"F28 ilike", `{"status":{"operation":"ILIKE","value":"ACT%"}}`, []int{1, 2}},
	{"F28 not ilike", `{"status":{"operation":"NOT ILIKE","value":"act%"}}`, []int{3}},
	{"F28 escape", `{"status":{"operation":"ILIKE","value":"act!%","escape":"!"}}`, nil},
	{"F28 a number like", `{"age":{"operation":"LIKE","value":"1%"}}`, []int{2, 4}},
	{"F29 text", `{"status":"active"}`, []int{1}},
	{"F29 bool", `{"active":true}`, []int{1, 3}},
	{"F29 number", `{"age":9}`, []int{1}},
	{"F29 null", `{"deleted_at":null}`, []int{1, 3, 4}},
	{"F29 list", `{"age":[9,65]}`, []int{1, 3}},
	{"F30", `{"status":"O'Brien","active":true}`, []int{3}},
	{"F31 is true", `{"active":{"operation":"IS","value":true}}`, []int{1, 3}},
	{"F31 is not true", `{"active":{"operation":"IS NOT","value":true}}`, []int{2, 4}},
	{"dates", `{"start_date":"2026-01-01"}`, []int{1, 4}},
	{"dates in order", `{"end_date":{"operation":"<","value":"2026-01-02"}}`, []int{4}},
	{"times", `{"deleted_at":{"operation":">=","value":"2026-01-01T00:00:00"}}`, []int{2}},
	{"floats", `{"price":{"operation":"BETWEEN","value":[5.5,10]}}`, []int{1, 3}},
	{"any case of a name", `{"STATUS":"active"}`, []int{1}},
	{"deep", strings.Repeat(`{"NOT":`, 48) + `{"age":9}` + strings.Repeat(`}`, 48), []int{1}},
	{"session name", `{"status":{"operation":"=","type":"session","value":"user.name"}}`, []int{1}},
	{"session attribute", `{"age":{"operation":"<=","type":"session","value":"user.limit"}}`, []int{1, 2}},
	{"session text", `{"status":{"operation":"=","type":"session","value":"user.who"}}`, []int{3}},
	{"session flag", `{"active":{"operation":"=","type":"session","value":"user.flag"}}`, []int{2}},
	{"session, not his", `{"OR":[{"age":{"operation":">","value":0}},{"age":{"operation":"=","type":"session","value":"user.tenant"}}]}`, denied},
	{"F32", `{"no_such":{"operation":"=","type":"value","value":"x"}}`, denied},
	{"F32b in an alternative", `{"OR":[{"age":{"operation":">","value":0}},{"no_such":null}]}`, denied},
	{"F32c a reference", `{"start_date":{"operation":"<","type":"reference","value":"no_such"}}`, denied},
	{"F32d another type", `{"start_date":{"operation":"<","type":"reference","value":"status"}}`, denied},
	{"F32e no value of the type", `{"age":{"operation":">","type":"value","value":"x"}}`, denied},
	{"F32f a fraction of a whole number", `{"age":{"operation":"<","value":9.5}}`, denied},
	{"F32g no date", `{"NOT":{"start_date":"2026-02-30"}}`, denied},
}

// filterLake has the table f with the four rows and the empty table g, and the
// user active, who has no role yet.
func filterLake(t *testing.T) (admin, user *supertable.Session) {
	db := testdb.Open(t)
	admin = db.Session("filters")
	var all []string
	for id := range 4 {
		all = append(all, filterRow(id+1, id+1))
	}
	write(t, admin, "f", testdb.Batch(t, filterColumns, "["+strings.Join(all, ",")+"]"), nil)
	write(t, admin, "g", testdb.Batch(t, filterColumns, "[]"), nil)
	if _, err := admin.CreateUser(t.Context(), "active", nil, map[string]any{"limit": 18, "who": "O'Brien", "flag": false}); err != nil {
		t.Fatal(err)
	}
	st, err := db.SuperTable(t.Context(), "default", "filters")
	if err != nil {
		t.Fatal(err)
	}
	if user, err = st.Session(t.Context(), "active"); err != nil {
		t.Fatal(err)
	}
	return admin, user
}

// give makes a role the only one of the user active.
func give(t *testing.T, admin *supertable.Session, document string) {
	t.Helper()
	hash, err := admin.CreateRole(t.Context(), []byte(document))
	if err != nil {
		t.Fatalf("%s: %v", document, err)
	}
	if _, err := admin.ModifyUser(t.Context(), "active", supertable.UserChange{Roles: &[]string{hash}}); err != nil {
		t.Fatal(err)
	}
}

// TestFilters holds every filter of the scenarios F as what a user reads, and
// as the condition of what he may write, replace and delete. The session is
// the same all the time: what he may do is looked at with each call.
func TestFilters(t *testing.T) {
	t.Parallel()
	admin, user := filterLake(t)
	before, _, err := answer(t.Context(), admin, "select * from f", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range filterCases {
		give(t, admin, `{"role":"writer","tables":["f","g"],"filters":`+tt.filter+`}`)
		checkFilteredRead(t, user, tt.name, tt.ids)
		checkFilteredWrites(t, admin, user, tt.name, tt.ids)
		if after, _, err := answer(t.Context(), admin, "select * from f", nil); err != nil || after != before {
			t.Fatalf("%s: the table was changed: %v\n%s", tt.name, err, after)
		}
	}
}

func checkFilteredRead(t *testing.T, user *supertable.Session, name string, ids []int) {
	t.Helper()
	for sql, want := range map[string]string{
		"select id from f order by id":                                                         "id",
		"select a.id from f a left join g on true where a.id + 0 < 100 order by 1":             "id",
		"with x as (select id, age // 1 as n from f) select id from x where n > 0 order by id": "id",
	} {
		for _, id := range ids {
			want += fmt.Sprintf("\n%d", id)
		}
		got, _, err := answer(t.Context(), user, sql, nil)
		if slices.Equal(ids, denied) {
			if supertable.KindOf(err) != supertable.Denied {
				t.Errorf("%s: %s: got %q, %v, want denied", name, sql, got, err)
			}
			continue
		}
		if err != nil || got != want {
			t.Errorf("%s: %s: got %q, %v, want %q", name, sql, got, err, want)
		}
	}
}

// checkFilteredWrites holds a filter as the condition of writes: g takes the
// rows that the user sees and no others, and of f, which stays as it is,
// hidden rows can neither be replaced nor deleted.
func checkFilteredWrites(t *testing.T, admin, user *supertable.Session, name string, ids []int) {
	t.Helper()
	if slices.Equal(ids, denied) {
		ids = nil
	}
	try := func(what, table, rows string, o *supertable.WriteOptions, wantErr string) {
		t.Helper()
		rr := testdb.Batch(t, filterColumns, rows)
		defer rr.Release()
		res, err := tryWrite(t, user, table, rr, o)
		switch {
		case wantErr == "" && err != nil:
			t.Errorf("%s: %s: %v", name, what, err)
		case wantErr != "" && (supertable.KindOf(err) != supertable.Denied || !strings.Contains(err.Error(), wantErr)):
			t.Errorf("%s: %s: got %+v, %v, want denied: %s", name, what, res, err, wantErr)
		}
	}
	var all, seen []string
	hidden := 0
	for id := 1; id <= 4; id++ {
		all = append(all, filterRow(id, id))
		if slices.Contains(ids, id) {
			seen = append(seen, filterRow(id, id))
		} else {
			hidden = id
		}
	}
	if len(ids) == 0 {
		try("all rows", "g", "["+strings.Join(all, ",")+"]", nil, "row filter")
	} else {
		if hidden > 0 {
			try("all rows", "g", "["+strings.Join(all, ",")+"]", nil, fmt.Sprintf("%d of 4 rows do not fulfil your row filter; nothing was written", 4-len(ids)))
			try("replace a hidden row", "f", "["+filterRow(hidden, ids[0])+"]", &supertable.WriteOptions{Key: []string{"id"}}, "1 rows with these keys are outside your row filter")
		}
		try("the rows that he sees", "g", "["+strings.Join(seen, ",")+"]", nil, "")
	}
	if hidden > 0 {
		try("delete a hidden row", "f", "["+filterRow(hidden, hidden)+"]", &supertable.WriteOptions{Key: []string{"id"}, DeleteOnly: true}, "row filter")
		if _, err := user.WriteFiles(t.Context(), "f", nil, &supertable.WriteOptions{DeleteAll: true}); supertable.KindOf(err) != supertable.Denied {
			t.Errorf("%s: delete all with hidden rows: %v", name, err)
		}
	}
	if len(ids) > 0 {
		if res, err := user.WriteFiles(t.Context(), "g", nil, &supertable.WriteOptions{DeleteAll: true}); err != nil || res.Deleted != int64(len(ids)) {
			t.Errorf("%s: delete all that he sees: %+v, %v", name, res, err)
		}
	}
	if n, _, err := answer(t.Context(), admin, "select count(*) as n from g", nil); err != nil || n != "n\n0" {
		t.Fatalf("%s: left in g: %s, %v", name, n, err)
	}
}

func tryWrite(t *testing.T, s *supertable.Session, table string, rr array.RecordReader, o *supertable.WriteOptions) (supertable.WriteResult, error) {
	return s.Write(t.Context(), table, rr, o)
}

// TestRefusedFilters: what is not understood is refused when the role is made
// (F24, F25, F33, decision 14), and no role comes of it.
func TestRefusedFilters(t *testing.T) {
	t.Parallel()
	admin, _ := filterLake(t)
	for name, filter := range map[string]string{
		"F24":                 `{"status":{"operation":"= '' OR 1=1 --","type":"value","value":"x"}}`,
		"F24 unknown":         `{"status":{"operation":"~","type":"value","value":"x"}}`,
		"F25 quote":           `{"a\" OR \"1":{"operation":"=","type":"value","value":"x"}}`,
		"F25 blank":           `{"a b":1}`,
		"F25 reference":       `{"age":{"operation":"<","type":"reference","value":"id) OR (1=1"}}`,
		"F33 unknown key":     `{"age":{"operation":"=","value":1,"sql":"1=1"}}`,
		"F33 unknown type":    `{"age":{"operation":"=","type":"expression","value":"1=1"}}`,
		"F33 depth":           strings.Repeat(`{"NOT":`, 50) + `{"age":9}` + strings.Repeat(`}`, 50),
		"F33 depth of lists":  strings.Repeat(`[`, 51) + `{"age":9}` + strings.Repeat(`]`, 51),
		"F33 text":            `"age = 9"`,
		"F33 number":          `7`,
		"F33 OR of an object": `{"OR":{"age":9}}`,
		"F33 NOT of a list":   `{"NOT":[]}`,
		"F33 no operation":    `{"age":{"value":9}}`,
		"F33 range":           `{"age":{"range":{"operation":">","value":1}}}`,
		"empty OR":            `{"OR":[]}`,
		"empty AND":           `{"AND":[]}`,
		"empty IN":            `{"age":{"operation":"IN","value":[]}}`,
		"IN with a text":      `{"age":{"operation":"IN","value":"9,65"}}`,
		"= NULL":              `{"age":{"operation":"=","type":"null"}}`,
		"session of another":  `{"age":{"operation":"=","type":"session","value":"superuser.name"}}`,
	} {
		_, err := admin.CreateRole(t.Context(), []byte(`{"role":"reader","tables":["f"],"filters":`+filter+`}`))
		if supertable.KindOf(err) != supertable.InvalidArgument || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if roles, err := admin.Roles(t.Context()); err != nil || len(roles) != 1 {
		t.Errorf("roles: %v, %v", roles, err)
	}
}

// TestColumnList: F34, and a filter on a column that is not on the list.
func TestColumnList(t *testing.T) {
	t.Parallel()
	admin, user := filterLake(t)
	for document, want := range map[string]string{
		`{"role":"reader","tables":["f"],"columns":["status","id"],"filters":{"age":[9,65]}}`:                         "id|status\n1|active\n3|O'Brien",
		`{"role":"reader","tables":["f"],"columns":["STATUS"],"filters":{"age":[9,65]}}`:                              "status\nO'Brien\nactive",
		`{"role":"reader","tables":{"f":{"columns":["id","no_such"],"filters":{"age":9}},"*":{}}}`:                    "id\n1",
		`{"role":"reader","tables":["f"],"columns":["id","*"],"filters":{"NOT":{"age":{"operation":">","value":9}}}}`: "id|age|status|active|deleted_at|start_date|end_date|price|min_price|max_price\n1|9|active|true|∅|2026-01-01|2026-01-02|5.5|1|10",
	} {
		give(t, admin, document)
		if got, _, err := answer(t.Context(), user, "select * from f", nil); err != nil || got != want {
			t.Errorf("%s: got\n%s\n%v, want\n%s", document, got, err, want)
		}
	}
}
