package attack

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/testdb"
)

// lake is the SuperTable "shop" with something to hide in every table, and a
// user for every way of hiding it. What a user must never see carries marks
// that no answer to him may have.
type lake struct {
	t      *testing.T
	db     *testdb.DB
	root   *supertable.Session
	asked  int
	opened map[string]*supertable.Session
}

// roles of the shop, in the order of their creation.
var roles = []string{
	`{"name":"elsewhere","role":"reader","tables":["orders"]}`,
	`{"name":"cols","role":"reader","tables":["customers","staff"],"columns":["id","name","country"]}`,
	`{"name":"rows","role":"reader","tables":["customers","orders","places"],"filters":{"country":"US"}}`,
	`{"name":"masks","role":"reader","tables":["customers"],"masks":{
		"name":{"type":"hash"},"email":{"type":"email"},"ssn":{"type":"last","n":2},"salary":{"type":"null"},
		"note":{"type":"constant","value":"***"},"phone":{"type":"first","n":2},"born":{"type":"constant","value":"2000-01-01"}}}`,
	`{"name":"mixed","role":"reader","tables":{"customers":{"columns":["id","name","email","country"],"filters":{"country":"US"},"masks":{"email":{"type":"hash"}}}}}`,
	`{"name":"some","role":"reader","tables":{"customers":{"columns":["id","name"],"filters":{"country":"US"}}}}`,
	`{"name":"pay","role":"reader","tables":{"customers":{"columns":["id","salary"],"filters":{"id":{"operation":"<=","value":2}}}}}`,
	`{"name":"gone","role":"reader"}`,
	`{"name":"off","role":"reader","enabled":false}`,
	`{"name":"facts","role":"meta","tables":["customers"]}`,
	`{"name":"wrows","role":"writer","tables":["customers","ledger"],"filters":{"country":"US"}}`,
	`{"name":"wcols","role":"writer","tables":["ledger"],"columns":["id","country"]}`,
	`{"name":"wmasks","role":"writer","tables":["ledger"],"masks":{"code":{"type":"hash"},"amount":{"type":"null"}}}`,
	`{"name":"half","role":"admin","tables":{"*":{},"staff":{"columns":["id"]}}}`,
	`{"name":"keeper","role":"admin","tables":["orders"]}`,
	`{"name":"past","role":"reader","tables":["shifty","swapped","lost","former","former2","ended"],"columns":["id","a","b"]}`,
	`{"name":"pastmask","role":"reader","tables":["lost"],"masks":{"s":{"type":"constant","value":"***"}}}`,
	`{"name":"everything","role":"reader"}`,
	`{"name":"clerk","role":"writer","tables":{"inbox":{},"ledger":{"columns":["id","country"],"filters":{"country":"US"}}}}`,
	`{"name":"scribe","role":"writer","tables":["*"]}`,
	// The same rows as "rows" shows, by a filter that the engine tests late.
	`{"name":"dear","role":"reader","tables":["customers","orders","places"],"filters":{"country":[` + many(80) + `,"US"]}}`,
}

// users and the roles that each has.
var users = [][2]string{
	{"nobody", ""},
	{"elsewhere", "elsewhere"},
	{"cols", "cols"},
	{"rows", "rows"},
	{"masks", "masks"},
	{"mixed", "mixed"},
	{"several", "some,pay"},
	{"gone", "gone"},
	{"off", "off"},
	{"facts", "facts"},
	{"wrows", "wrows"},
	{"wcols", "wcols"},
	{"wmasks", "wmasks"},
	{"half", "half"},
	{"keeper", "keeper"},
	{"past", "past"},
	{"pastmask", "pastmask"},
	{"dangling", "rows,gone,facts"},
	{"dear", "dear"},
	{"clerk", "clerk"},
	{"scribe", "scribe"},
}

// marks lists what no answer to a user may hold, unless he said it himself.
// Rows outside the US are full of HID and 99911; every sensitive column has a
// mark of its own.
var marks = map[string][]string{
	"nobody": {"HID", "99911", "@", "SSN", "51000", "NOTE ", "1977", "Ann"}, "gone": {"HID", "99911", "@", "SSN", "51000", "NOTE ", "1977", "Ann"},
	"off":       {"HID", "99911", "@", "SSN", "51000", "NOTE ", "1977", "Ann"},
	"facts":     {"HID", "99911", "@", "SSN-", "51000", "NOTE ", "1977", "Ann"},
	"elsewhere": {"HIDNAME", "HIDMAIL", "HIDSSN", "@", "SSN-", "51000", "NOTE ", "1977", "Ann"},
	"cols":      {"@", "SSN-", "51000", "99911", "NOTE ", "1977", "+1", "+4"},
	"rows":      {"HID", "99911", "1911"},
	"dangling":  {"HID", "99911", "1911"},
	"dear":      {"HID", "99911", "1911"},
	"masks":     {"HIDNAME", "Ann", "HIDMAIL", "SSN-", "51000", "99911", "NOTE ", "1977", "1911"},
	"mixed":     {"HID", "99911", "@", "SSN-", "51000", "NOTE ", "1977"},
	"several":   {"HID", "99911", "@", "SSN-", "NOTE ", "1977"},
	"wrows":     {"HID", "99911"},
	"wmasks":    {"CODE"},
	"past":      {"HID"}, "pastmask": {"HID"},
}

const customers = "id:int64,name:text,email:text,ssn:text,country:text,salary:int64,note:text,phone:text,born:date,num:text,zip:int32"

func newLake(t *testing.T) *lake {
	t.Helper()
	db := testdb.At(t, t.TempDir(), &supertable.Options{MemoryBytes: 256 << 20, Threads: 2})
	l := &lake{t: t, db: db, root: db.Session("shop"), opened: map[string]*supertable.Session{}}
	w := func(table, columns, rows string, o *supertable.WriteOptions) {
		testdb.Write(t, l.root, table, columns, rows, o)
	}
	w("customers", customers, `[
		{"id":1,"name":"Ann","email":"ann@one.test","ssn":"SSN-1101","country":"US","salary":510001,"note":"NOTE a","phone":"+1-1","born":"1977-01-01","num":"1","zip":11},
		{"id":11,"name":"HIDNAME11","email":"HIDMAIL11@hid.test","ssn":"HIDSSN-9911","country":"DE","salary":999110011,"note":"HIDNOTE","phone":"+49-1","born":"1911-11-11","num":"HIDNUM","zip":0},
		{"id":2,"name":"Bob","email":"bob@two.test","ssn":"SSN-1102","country":"US","salary":510002,"note":"NOTE b","phone":"+1-2","born":"1977-02-02","num":"2","zip":22}]`, nil)
	w("customers", customers, `[
		{"id":12,"name":"HIDNAME12","email":"HIDMAIL12@hid.test","ssn":"HIDSSN-9912","country":null,"salary":9223372036854775807,"note":"(HID","phone":"+49-2","born":"1911-12-12","num":"HIDNUM12","zip":2147483647},
		{"id":3,"name":"Cyd","email":"cyd@two.test","ssn":"SSN-1103","country":"US","salary":510003,"note":null,"phone":"+1-3","born":"1977-03-03","num":"3","zip":33}]`, nil)
	w("orders", "id:int64,customer:int64,country:text,amount:float64", `[{"id":1,"customer":1,"country":"US","amount":10},{"id":2,"customer":2,"country":"US","amount":20},{"id":3,"customer":11,"country":"DE","amount":99911}]`, nil)
	w("staff", "id:int64,name:text,salary:int64,ssn:text", `[{"id":1,"name":"Eve","salary":999110001,"ssn":"SSN-7"}]`, nil)
	w("ledger", "id:int64,country:text,amount:int64,code:text,at:int64", `[{"id":1,"country":"US","amount":1,"code":"CODE1","at":5},{"id":2,"country":"DE","amount":999110002,"code":"HIDCODE","at":5}]`, nil)
	l.nested()
	l.past()
	l.vault()
	l.policy(l.root, roles, users)
	if _, err := l.root.DeleteRole(t.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	return l
}

// nested makes a table with a struct and a list.
func (l *lake) nested() {
	l.t.Helper()
	rows := `{"id":1,"country":"US","spot":{"x":1,"deep":"fine"},"tags":["a","b"],"doc":"{\"k\": 1}"}
{"id":2,"country":"DE","spot":{"x":99911,"deep":"HIDDEEP"},"tags":["HIDTAG"],"doc":"HIDDOC"}`
	if _, err := l.root.WriteFrom(l.t.Context(), "places", strings.NewReader(rows), &supertable.WriteOptions{Format: "ndjson"}); err != nil {
		l.t.Fatal(err)
	}
}

// past makes tables that had other names, or whose columns had. The snapshot
// with the old names is the twelfth
func (l *lake) past() {
	l.t.Helper()
	alter := func(table string, a supertable.Alteration) {
		if _, err := l.root.Alter(l.t.Context(), table, a); err != nil {
			l.t.Fatal(err)
		}
	}
	w := func(table, columns, rows string) { testdb.Write(l.t, l.root, table, columns, rows, nil) }
	w("shifty", "id:int64,a:text", `[{"id":1,"a":"HIDA"}]`) // a is now called secret, and another column a
	w("swapped", "id:int64,secret:text", `[{"id":1,"secret":"WASSECRET"}]`)
	w("lost", "id:int64,a:text", `[{"id":1,"a":"HIDLOST"}]`)
	w("former", "id:int64,a:text", `[{"id":1,"a":"HIDFORMER"}]`)
	w("former2", "id:int64,a:text", `[{"id":1,"a":"HIDFORMER2"}]`)
	w("ended", "id:int64,a:text,c:text", `[{"id":1,"a":"open","c":"HIDC"}]`)
	alter("shifty", supertable.Alteration{RenameColumn: &supertable.RenameColumn{From: "a", To: "secret"}})
	alter("shifty", supertable.Alteration{Add: &supertable.AddColumn{Name: "a", Type: "VARCHAR"}})
	alter("swapped", supertable.Alteration{RenameColumn: &supertable.RenameColumn{From: "secret", To: "b"}})
	alter("lost", supertable.Alteration{RenameColumn: &supertable.RenameColumn{From: "a", To: "s"}})
	alter("lost", supertable.Alteration{Drop: "s"})
	alter("former", supertable.Alteration{Rename: "closed"})
	alter("former2", supertable.Alteration{Rename: "closed2"})
	for _, table := range []string{"closed2", "ended"} {
		if _, err := l.root.DropTable(l.t.Context(), table); err != nil {
			l.t.Fatal(err)
		}
	}
}

// vault is another SuperTable of the organization.
func (l *lake) vault() {
	l.t.Helper()
	v := l.db.Session("vault")
	testdb.Write(l.t, v, "gold", "id:int64,country:text,grams:int64", `[{"id":1,"country":"US","grams":5},{"id":2,"country":"DE","grams":999110003}]`, nil)
	testdb.Write(l.t, v, "silver", "id:int64,hid:text", `[{"id":1,"hid":"HIDSILVER"}]`, nil)
	l.policy(v, []string{`{"name":"gold","role":"reader","tables":["gold"],"filters":{"country":"US"}}`}, [][2]string{{"rows", "gold"}, {"nobody", ""}})
}

func (l *lake) policy(s *supertable.Session, roles []string, users [][2]string) {
	l.t.Helper()
	for _, doc := range roles {
		if _, err := s.CreateRole(l.t.Context(), []byte(doc)); err != nil {
			l.t.Fatalf("%s: %v", doc, err)
		}
	}
	for _, u := range users {
		if _, err := s.CreateUser(l.t.Context(), u[0], list(u[1]), nil); err != nil {
			l.t.Fatalf("%s: %v", u[0], err)
		}
	}
}

func list(s string) []string {
	if s == "" {
		return []string{}
	}
	return strings.Split(s, ",")
}

// as gives the session of a user of the shop.
func (l *lake) as(user string) *supertable.Session {
	l.t.Helper()
	if user == "superuser" {
		return l.root
	}
	if s := l.opened[user]; s != nil {
		return s
	}
	st, err := l.db.SuperTable(l.t.Context(), "default", "shop")
	if err != nil {
		l.t.Fatal(err)
	}
	s, err := st.Session(l.t.Context(), user)
	if err != nil {
		l.t.Fatal(err)
	}
	l.opened[user] = s
	return s
}

// answer writes what a call gave in one line, and holds it against the marks.
func (l *lake) answer(user, said, out string, err error) string {
	l.t.Helper()
	l.asked++
	if err != nil {
		out = fmt.Sprintf("! %s: %s", supertable.KindOf(err), err)
	}
	if out = strings.ReplaceAll(out, "\n", " / "); out == "" {
		out = "nothing"
	}
	for _, m := range marks[user] {
		if strings.Contains(strings.ToUpper(out), strings.ToUpper(m)) && !strings.Contains(strings.ToUpper(said), strings.ToUpper(m)) {
			l.t.Errorf("LEAK to %s of %q\n%s\n%s", user, m, said, out)
		}
	}
	if strings.Contains(out, l.db.Home) || strings.Contains(out, ".parquet") && !strings.Contains(said, ".parquet") && !strings.Contains(said, "SHOW STATS") {
		l.t.Errorf("an answer names files: %s\n%s", said, out)
	}
	return unstable.ReplaceAllString(out, "…")
}

// unstable are the parts of an answer that are other ones in each lake or run:
// salted hashes and times.
var unstable = regexp.MustCompile(`\b[0-9]{17}_|[0-9a-f]{47,64}|[0-9a-f-]{36}(?:\.parquet)|\d+\.\d{4} s`)
