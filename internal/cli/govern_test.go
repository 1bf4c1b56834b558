package cli

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// governed is a lake with tables, roles and users: alice reads a part of
// orders, wendy writes to it, nora has no role, dora a role that was deleted.
func governed(t *testing.T) *lake {
	l := newLake(t)
	l.ok("id,email,country,amount\n1,ann@x.com,US,10\n2,bob@y.org,EU,20\n3,,US,30\n", "write", "orders", "-", "--input-format", "csv", "--quiet")
	l.ok("id\n1\n", "write", "other", "-", "--input-format", "csv", "--quiet")
	l.ok(`{"role":"reader","name":"us","tables":["orders"],"columns":["id","email","country"],"filters":{"country":"US"},"masks":{"email":{"type":"email"}}}`, "role", "create", "-")
	l.ok(`{"role":"writer","name":"writers","tables":["orders"]}`, "role", "create", "-")
	l.ok(`{"role":"reader","name":"gone"}`, "role", "create", "-")
	for _, doc := range []string{`{"username":"alice","roles":["us"]}`, `{"username":"wendy","roles":["writers"]}`, `{"username":"nora"}`, `{"username":"dora","roles":["gone"]}`} {
		l.ok(doc, "user", "create", "-")
	}
	l.ok("", "role", "delete", "gone")
	return l
}

// fails runs a call that must fail with a kind, as text and as JSON: one line
// on stderr, nothing on stdout.
func (l *lake) fails(code int, kind, words, stdin string, args ...string) {
	l.t.Helper()
	got, out, errs := l.run(stdin, args...)
	if got != code || out != "" || strings.Count(errs, "\n") != 1 || !strings.HasPrefix(errs, "supertable: ") {
		l.t.Errorf("%q: exit %d, stdout %q, stderr %q", args, got, out, errs)
	}
	got, out, errs = l.run(stdin, append(args, "--format", "json")...)
	var doc struct {
		Error struct{ Kind, Message string }
	}
	if err := json.Unmarshal([]byte(errs), &doc); err != nil || strings.Count(errs, "\n") != 1 {
		l.t.Errorf("%q: stderr %q: %v", args, errs, err)
	}
	if got != code || out != "" || doc.Error.Kind != kind || !strings.Contains(doc.Error.Message, words) {
		l.t.Errorf("%q: exit %d, stdout %q, stderr %q; want %s: %s", args, got, out, errs, kind, words)
	}
}

var aHash = regexp.MustCompile(`^[0-9a-f]{32}$`)

// TestRoles: the role commands of the contract, each a second time too.
func TestRoles(t *testing.T) {
	l := newLake(t)
	l.ok("", "create")
	const viewer = `{"role":"reader","tables":["table1"],"columns":["name","email","age"],"filters":{"country":"US","active":true}}`
	file := filepath.Join(t.TempDir(), "viewer.json")
	if err := os.WriteFile(file, []byte(viewer+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if got := l.ok("", "role", "create", file); got != "4e80b29caf7a0c24939dec8f8e49b704\n" {
			t.Errorf("prints %q", got)
		}
		if got := l.ok(viewer, "role", "create", "-", "--format", "json"); got != `{"hash":"4e80b29caf7a0c24939dec8f8e49b704"}`+"\n" {
			t.Errorf("prints %q", got)
		}
	}
	const super = `{"role":"superadmin","tables":["*"],"columns":["*"],"filters":["*"],"hash":"9cf3fcbe5b421442dcc5595fcfab4d9d"}`
	const view = `{"role":"reader","tables":["table1"],"columns":["age","email","name"],"filters":{"active":true,"country":"US"},"hash":"4e80b29caf7a0c24939dec8f8e49b704"}`
	if got := l.ok("", "role", "list", "--format", "json"); got != "["+super+",\n"+view+"]\n" {
		t.Errorf("list: %s", got)
	}
	if got := l.ok("", "role", "list", "--format", "ndjson"); got != super+"\n"+view+"\n" {
		t.Errorf("list: %s", got)
	}
	if got := l.ok("", "role", "show", "4e80b29caf7a0c24939dec8f8e49b704", "--format", "json"); got != view+"\n" {
		t.Errorf("show: %s", got)
	}
	// What is shown may be given back, its hash too.
	if got := l.ok(view, "role", "create", "-"); got != "4e80b29caf7a0c24939dec8f8e49b704\n" {
		t.Errorf("given back: %s", got)
	}
	rows, err := csv.NewReader(strings.NewReader(l.ok("", "role", "list", "--format", "csv"))).ReadAll()
	if err != nil || len(rows) != 3 || rows[2][4] != `{"active":true,"country":"US"}` {
		t.Errorf("csv: %q, %v", rows, err)
	}
	for _, want := range []string{"true", "false", "false"} {
		if got := l.ok("", "role", "delete", "4e80b29caf7a0c24939dec8f8e49b704", "--format", "json"); got != `{"deleted":`+want+"}\n" {
			t.Errorf("delete: %s", got)
		}
	}
	l.fails(exitFailed, "not_found", "4e80b29caf7a0c24939dec8f8e49b704", "", "role", "show", "4e80b29caf7a0c24939dec8f8e49b704")
	l.fails(exitFailed, "denied", "superadmin", "", "role", "delete", "9cf3fcbe5b421442dcc5595fcfab4d9d")
}

// TestBadDocuments: each is refused with a line that says why, and nothing comes of it.
func TestBadDocuments(t *testing.T) {
	l := newLake(t)
	l.ok("", "create")
	for doc, words := range map[string]string{
		"":                                   "empty or ends in the middle",
		`{"role":"reader"`:                   "empty or ends in the middle",
		"x":                                  "not JSON",
		`["reader"]`:                         "object",
		`{"role":"reader"}{"role":"reader"}`: "goes on after its end",
		`{"role":"boss"}`:                    "boss",
		`{"role":"reader","tabels":["t"]}`:   `"tabels"`,
		`{"role":"reader","tables":["a b"]}`: `"a b"`,
		`{"role":"reader","name":"x|y"}`:     `"x|y"`,
		`{"role":"reader","filters":{"a":{"operation":"~","value":1}}}`: `"~"`,
		`{"role":"reader","filters":{"OR":[]}}`:                         "empty list",
		`{"role":"reader","masks":{"a":{"type":"blur"}}}`:               `"a"`,
		`{"role":"reader","role":"admin"}`:                              "twice",
		strings.Repeat(" ", maxDocument+1):                              "bytes",
	} {
		l.fails(exitFailed, "invalid_argument", words, doc, "role", "create", "-")
	}
	for doc, words := range map[string]string{
		"":                               "empty",
		`{}`:                             "username is required",
		`{"username":""}`:                "username is required",
		`{"username":7}`:                 "username",
		`{"username":"a b"}`:             `"a b"`,
		`{"username":"x","roles":["X"]}`: "Role X is not valid",
		`{"username":"x","roles":"X"}`:   "roles",
		`{"username":"x","age":1}`:       `"age"`,
		`{"username":"x","attributes":{"name":"y"}}`: `"name"`,
		`{"username":"x","attributes":{"a":[1]}}`:    `"a"`,
	} {
		l.fails(exitFailed, "invalid_argument", words, doc, "user", "create", "-")
	}
	l.fails(exitFailed, "not_found", "/no/such.json", "", "role", "create", "/no/such.json")
	l.fails(exitFailed, "not_found", "/no/such.json", "", "user", "create", "/no/such.json")
	for _, args := range [][]string{
		{"role"},
		{"user"},
		{"role", "make"},
		{"role", "create"},
		{"role", "create", "a", "b"},
		{"role", "list", "x"},
		{"role", "show"},
		{"role", "delete"},
		{"user", "create"},
		{"user", "show"},
		{"user", "modify", "alice"},
		{"user", "delete"},
		{"access"},
		{"access", "a", "b", "c"},
		{"role", "create", "-", "--force"},
	} {
		l.fails(exitUsage, "invalid_argument", "", "", args...)
	}
	if got := l.ok("", "role", "list", "--format", "ndjson"); strings.Count(got, "\n") != 1 {
		t.Errorf("roles: %s", got)
	}
	if got := l.ok("", "user", "list", "--format", "ndjson"); strings.Count(got, "\n") != 1 {
		t.Errorf("users: %s", got)
	}
}

// TestUsers: the user commands of the contract, by name and by hash.
func TestUsers(t *testing.T) {
	l := newLake(t)
	l.ok("", "create")
	meta := strings.TrimSpace(l.ok(`{"role":"meta","tables":["table1"]}`, "role", "create", "-"))
	const charlie = "27454eb7648317fd5d9de0583ca92ee5"
	show := func(name, roles string) string {
		return `{"hash":"` + charlie + `","username":"` + name + `","roles":[` + roles + `]}`
	}
	for _, c := range []struct{ stdin, args, want string }{
		{`{"username":"charlie","roles":[]}`, "user create -", show("charlie", "")},
		{`{"username":"CHARLIE","roles":["` + meta + `"]}`, "user create -", show("charlie", "")},
		{"", "user show charlie", show("charlie", "")},
		{"", "user show " + charlie, show("charlie", "")},
		{"{}", "user modify charlie -", show("charlie", "")},
		{`{"username":"charlie_updated","roles":["` + meta + `"]}`, "user modify " + charlie + " -", show("charlie_updated", `"`+meta+`"`)},
		{`{"username":"charlie_updated","roles":["` + meta + `"]}`, "user modify " + charlie + " -", show("charlie_updated", `"`+meta+`"`)},
		{"", "user list", `[{"hash":"0b85b786b16d195439c0da18fd4478df","username":"superuser","roles":["9cf3fcbe5b421442dcc5595fcfab4d9d"]},` + "\n" + show("charlie_updated", `"`+meta+`"`) + "]"},
		{"", "role delete " + meta, `{"deleted":true}`},
		{"", "user show charlie_updated", show("charlie_updated", "")},
		{`{"attributes":{"tenant":"acme","level":7}}`, "user modify " + charlie + " -", strings.TrimSuffix(show("charlie_updated", ""), "}") + `,"attributes":{"level":7,"tenant":"acme"}}`},
		{"", "user delete charlie_updated", `{"deleted":true}`},
		{"", "user delete charlie_updated", `{"deleted":false}`},
		{"", "user delete " + charlie, `{"deleted":false}`},
	} {
		if got := l.ok(c.stdin, append(strings.Fields(c.args), "--format", "json")...); got != c.want+"\n" {
			t.Errorf("%s: %s, want %s", c.args, got, c.want)
		}
	}
	l.fails(exitFailed, "not_found", "User charlie does not exist", "", "user", "show", "charlie")
	l.fails(exitFailed, "not_found", "User charlie does not exist", "{}", "user", "modify", "charlie", "-")
	l.fails(exitFailed, "denied", "superuser", "", "user", "delete", "superuser")
	l.fails(exitFailed, "denied", "superuser", "", "user", "delete", "0b85b786b16d195439c0da18fd4478df")
	l.fails(exitFailed, "denied", "superuser", `{"roles":[]}`, "user", "modify", "superuser", "-")
	l.ok(`{"username":"ann"}`, "user", "create", "-")
	l.ok(`{"username":"bob"}`, "user", "create", "-")
	l.fails(exitFailed, "already_exists", `"bob"`, `{"username":"BOB"}`, "user", "modify", "ann", "-")
}

// TestAccess: what a user may read, as data and in words.
func TestAccess(t *testing.T) {
	l := governed(t)
	us := strings.TrimSpace(l.ok(`{"role":"reader","name":"us","tables":["orders"],"columns":["id","email","country"],"filters":{"country":"US"},"masks":{"email":{"type":"email"}}}`, "role", "create", "-"))
	want := `[{"table":"orders","roles":["` + us + `"],"columns":["id","email","country"],"masks":{"email":{"type":"email"}},"filter":{"country":"US"}}]` + "\n"
	alice := hashOf(t, l, "alice")
	for _, args := range []string{"access alice", "access ALICE orders", "access alice ORDERS", "access " + alice, "access alice --user alice", "access " + alice + " --user alice"} {
		if got := l.ok("", append(strings.Fields(args), "--format", "json")...); got != want {
			t.Errorf("%s: %s, want %s", args, got, want)
		}
	}
	if got, want := l.ok("", "access", "alice"), "orders\n  roles    us (reader)\n  columns  id, email, country\n  masked   email as email\n  rows     country = 'US'\n"; got != want {
		t.Errorf("in words:\n%swant\n%s", got, want)
	}
	rows, err := csv.NewReader(strings.NewReader(l.ok("", "access", "alice", "--format", "csv"))).ReadAll()
	if err != nil || len(rows) != 2 || rows[1][2] != `["id","email","country"]` {
		t.Errorf("csv: %q, %v", rows, err)
	}
	for _, who := range []string{"nora", "dora"} {
		if got := l.ok("", "access", who, "--format", "json"); got != "[]\n" {
			t.Errorf("%s: %s", who, got)
		}
		if got := l.ok("", "access", who); got != who+" may read no table\n" {
			t.Errorf("%s: %s", who, got)
		}
	}
	if got := l.ok("", "access", "superuser", "other", "--format", "json"); got != `[{"table":"other","roles":["9cf3fcbe5b421442dcc5595fcfab4d9d"],"columns":["id"],"masks":{},"filter":null}]`+"\n" {
		t.Errorf("superuser: %s", got)
	}
	l.fails(exitFailed, "not_found", "Table not found: default/main/other", "", "access", "alice", "other")
	l.fails(exitFailed, "not_found", "Table not found: default/main/nope", "", "access", "alice", "nope")
	l.fails(exitFailed, "not_found", "User ghost does not exist", "", "access", "ghost")
	l.fails(exitFailed, "denied", "CONTROL", "", "access", "wendy", "--user", "alice")
	l.fails(exitFailed, "denied", "CONTROL", "", "access", "ghost", "--user", "alice")
}

func hashOf(t *testing.T, l *lake, name string) string {
	t.Helper()
	var u struct{ Hash string }
	if err := json.Unmarshal([]byte(l.ok("", "user", "show", name, "--format", "json")), &u); err != nil || !aHash.MatchString(u.Hash) {
		t.Fatalf("%s: %q, %v", name, u.Hash, err)
	}
	return u.Hash
}

// TestEveryCommandHonoursTheUser: by name in any case, by hash and by the
// environment, each command does what that user may do and no more.
func TestEveryCommandHonoursTheUser(t *testing.T) {
	l := governed(t)
	t.Run("what is seen", func(t *testing.T) {
		l.t = t
		for _, who := range []string{"alice", "Alice", hashOf(t, l, "alice")} {
			for args, want := range map[string]string{
				"query|select * from orders order by id":                   "id,email,country\n1,a***@x.com,US\n3,,US\n",
				"query|select count(*) as n from main":                     "n\n2\n",
				"query|select table_name from information_schema.tables":   "table_name\norders\n",
				"query|select column_name from information_schema.columns": "column_name\nid\nemail\ncountry\n",
				"schema|orders": "name,type,nullable\nid,BIGINT,true\nemail,VARCHAR,true\ncountry,VARCHAR,true\n",
			} {
				if got := l.ok("", append(strings.Split(args, "|"), "--format", "csv", "--user", who)...); got != want {
					t.Errorf("%s as %s: %q, want %q", args, who, got, want)
				}
			}
			var tables []struct {
				Name string
				Rows int
			}
			if err := json.Unmarshal([]byte(l.ok("", "tables", "--format", "json", "--user", who)), &tables); err != nil || len(tables) != 1 || tables[0].Rows != 2 {
				t.Errorf("tables as %s: %+v, %v", who, tables, err)
			}
			if got := l.ok("", "history", "--format", "json", "--user", who); strings.Contains(got, "other") || !strings.Contains(got, `"table":"orders"`) || !strings.Contains(got, `"inserted":null`) {
				t.Errorf("history as %s: %s", who, got)
			}
		}
		t.Setenv("SUPERTABLE_USER", "alice")
		if got := l.ok("", "query", "select count(*) as n from orders", "--format", "csv"); got != "n\n2\n" {
			t.Errorf("by the environment: %s", got)
		}
	})
	t.Run("shell", func(t *testing.T) {
		l.t = t
		if got := l.ok("select count(*) as n from orders;\n", "shell", "--format", "csv", "--user", "alice"); got != "n\n2\n" {
			t.Errorf("shell: %s", got)
		}
	})
	t.Run("what does not exist", func(t *testing.T) {
		l.t = t
		for _, table := range []string{"other", "nope"} {
			words := "Table not found: default/main/" + table
			for _, args := range [][]string{{"query", "select * from " + table}, {"schema", table}, {"history", table}} {
				l.fails(exitFailed, "not_found", words, "", append(args, "--user", "alice")...)
			}
		}
		l.fails(exitFailed, "invalid_argument", "Missing column(s): amount", "", "query", "select amount from orders", "--user", "alice")
		l.fails(exitFailed, "invalid_argument", "Missing column(s): nope", "", "query", "select nope from orders", "--user", "alice")
		for _, who := range []string{"nora", "dora"} {
			l.fails(exitFailed, "not_found", "Table not found: default/main/orders", "", "query", "select * from orders", "--user", who)
			for _, args := range []string{"tables", "history"} {
				if got := l.ok("", args, "--format", "json", "--user", who); got != "[]\n" {
					t.Errorf("%s as %s: %s", args, who, got)
				}
			}
		}
	})
	t.Run("what is refused", func(t *testing.T) {
		l.t = t
		doc := `{"role":"superadmin"}`
		for _, who := range []string{"alice", "wendy", "nora", "dora"} {
			for _, args := range [][]string{
				{"drop", "orders", "--yes"},
				{"drop", "nope", "--yes"},
				{"drop", "nope", "--if-exists", "--yes"},
				{"drop-super", "--yes"},
				{"alter", "orders", "add", "x", "bigint"},
				{"alter", "nope", "rename", "x"},
				{"option", "set", "inline_delete_limit=1"},
				{"option", "set", "orders", "inline_delete_limit=1"},
				{"create", "--read-only"},
				{"check"},
				{"role", "list"},
				{"role", "show", "us"},
				{"role", "create", "-"},
				{"role", "delete", "us"},
				{"role", "history"},
				{"user", "list"},
				{"user", "show", "superuser"},
				{"user", "create", "-"},
				{"user", "delete", "alice"},
				{"user", "delete", "ghost"},
				{"access", "superuser"},
			} {
				in := doc
				if args[0] == "user" {
					in = `{"username":"friend","roles":["9cf3fcbe5b421442dcc5595fcfab4d9d"]}`
				}
				l.fails(exitFailed, "denied", "", in, append(args, "--user", who)...)
			}
			l.fails(exitFailed, "denied", "CONTROL", `{"roles":["9cf3fcbe5b421442dcc5595fcfab4d9d"]}`, "user", "modify", who, "-", "--user", who)
		}
		for _, who := range []string{"alice", "nora", "dora"} {
			for _, table := range []string{"orders", "other", "brand_new"} {
				l.fails(exitFailed, "denied", "You don't have permission to write to this table.", "id\n9\n", "write", table, "-", "--input-format", "csv", "--user", who)
			}
		}
		l.fails(exitFailed, "denied", "permission to write", "", "write", "other", "--delete", "--all", "--user", "wendy")
	})
	t.Run("nobody", func(t *testing.T) {
		l.t = t
		for _, who := range []string{"ghost", "0d261765d0f88e3bdede483c3d41d125", " alice", "alice\n", "'"} {
			for _, args := range [][]string{
				{"query", "select count(*) as cnt from orders"},
				{"tables"},
				{"schema", "orders"},
				{"history"},
				{"check"},
				{"drop", "orders", "--yes"},
				{"drop-super", "--yes"},
				{"role", "list"},
				{"user", "list"},
				{"user", "show", "ghost"},
				{"access", "ghost"},
				{"option", "list"},
				{"create"},
				{"alter", "orders", "drop", "id"},
			} {
				l.fails(exitFailed, "denied", "User does not exist or is invalid.", "", append(args, "--user", who)...)
			}
			l.fails(exitFailed, "denied", "Invalid or nonexistent user.", "id\n9\n", "write", "orders", "-", "--input-format", "csv", "--user", who)
		}
		l.fails(exitFailed, "denied", "Invalid or nonexistent user.", "id\n9\n", "write", "orders", "-", "--input-format", "csv", "--user", "ghost", "--super", "brand_new")
		if _, err := os.Stat(filepath.Join(l.home, "default", "brand_new")); err == nil {
			t.Error("nobody made a SuperTable")
		}
	})
	t.Run("what may be done", func(t *testing.T) {
		l.t = t
		l.ok("id,country\n4,CZ\n", "write", "orders", "-", "--input-format", "csv", "--quiet", "--user", "WENDY")
		if got := l.ok("", "history", "orders", "--format", "csv", "--user", "wendy"); !strings.Contains(got, ",wendy,") {
			t.Errorf("history: %s", got)
		}
		if got := l.ok("", "query", "select id, country from orders order by id", "--format", "csv"); got != "id,country\n1,US\n2,EU\n3,US\n4,CZ\n" {
			t.Errorf("after it all: %s", got)
		}
		if got := l.ok("", "check", "--format", "json"); !strings.Contains(got, `"ok":true`) {
			t.Errorf("check: %s", got)
		}
	})
}

// TestRoleHistory: who changed what.
func TestRoleHistory(t *testing.T) {
	l := governed(t)
	var list []struct {
		Version                         int
		Time, Principal, Action, Object string
		Before, After                   map[string]any
	}
	if err := json.Unmarshal([]byte(l.ok("", "role", "history", "--format", "json")), &list); err != nil || len(list) != 9 {
		t.Fatalf("%d changes, %v", len(list), err)
	}
	if c := list[0]; c.Action != "modify user" || c.Before["username"] != "dora" || len(c.Before["roles"].([]any)) != 1 || len(c.After["roles"].([]any)) != 0 || c.Principal != "superuser" {
		t.Errorf("the newest: %+v", c)
	}
	if c := list[1]; c.Action != "delete role" || c.Before["name"] != "gone" || c.After != nil {
		t.Errorf("before it: %+v", c)
	}
}

// TestReadOnlySuperTable refuses every change, whoever asks.
func TestReadOnlySuperTable(t *testing.T) {
	l := governed(t)
	l.ok("", "create", "--read-only")
	for _, who := range []string{"superuser", "wendy"} {
		l.fails(exitFailed, "denied", "", "id\n9\n", "write", "orders", "-", "--input-format", "csv", "--user", who)
	}
	if got := l.ok("", "query", "select count(*) as n from orders", "--format", "csv", "--user", "alice"); got != "n\n2\n" {
		t.Errorf("a read: %s", got)
	}
	l.ok("", "create", "--read-write")
	l.ok("id\n9\n", "write", "orders", "-", "--input-format", "csv", "--quiet", "--user", "wendy")
}
