package rbac_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/rbac"
)

var permissions = []rbac.Permission{rbac.Control, rbac.Create, rbac.Write, rbac.Read, rbac.Meta}

// role parses a document that must be right.
func role(t *testing.T, text string) *rbac.Role {
	t.Helper()
	r, err := rbac.ParseRole([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return r
}

// grantOf gives the grant of a user with these roles.
func grantOf(t *testing.T, roles ...string) rbac.Grant {
	t.Helper()
	var list []*rbac.Role
	u := &rbac.User{Hash: "u", Name: "user", Attributes: map[string]any{"tenant": "acme"}}
	for _, text := range roles {
		r := role(t, text)
		list = append(list, r)
		u.Roles = append(u.Roles, r.Hash)
	}
	p := rbac.NewPolicy(7, list, []*rbac.User{u})
	who, err := p.Principal("user")
	if err != nil {
		t.Fatal(err)
	}
	g, err := p.Grant(who)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestNobodyMayDoAnything: what was not minted permits nothing (I6).
func TestNobodyMayDoAnything(t *testing.T) {
	if _, err := rbac.Builtin(0).Grant(rbac.Principal{}); errs.KindOf(err) != errs.Denied {
		t.Errorf("a grant of nobody: %v", err)
	}
	for name, g := range map[string]rbac.Grant{
		"the zero grant": {}, "a user without roles": grantOf(t), "a disabled role": grantOf(t, `{"role":"superadmin","enabled":false}`),
	} {
		for _, p := range permissions {
			if g.Permits(p, "t") || g.Permits(p, "") || len(g.Rules(p, "t")) > 0 {
				t.Errorf("%s permits %s", name, p)
			}
		}
	}
}

// TestSuperuser: the user that every SuperTable is born with is found by name,
// in any case, and by his public hash, and may do everything.
func TestSuperuser(t *testing.T) {
	policy := rbac.Builtin(0)
	for _, who := range []string{"superuser", "SuperUser", "0b85b786b16d195439c0da18fd4478df"} {
		p, err := policy.Principal(who)
		if err != nil || p.Name() != "superuser" || p.Hash() != rbac.SuperuserHash {
			t.Fatalf("%s: %s %s, %v", who, p.Name(), p.Hash(), err)
		}
		g, err := policy.Grant(p)
		if err != nil || g.Principal() != p {
			t.Errorf("%s: the grant is that of %s, %v", who, g.Principal().Name(), err)
		}
		for _, perm := range permissions {
			if !g.Permits(perm, "t") || !g.Permits(perm, "") || !g.Whole(perm, "t") {
				t.Errorf("%s may not %s", who, perm)
			}
		}
	}
}

// TestUnknownUser: the words are those of the documentation (R05).
func TestUnknownUser(t *testing.T) {
	for _, who := range []string{"", "nobody", "0d261765d0f88e3bdede483c3d41d125", "superuser ", "superuser\n"} {
		_, err := rbac.Builtin(0).Principal(who)
		if errs.KindOf(err) != errs.Denied || err.Error() != "User does not exist or is invalid." {
			t.Errorf("%q: %v", who, err)
		}
	}
}

// TestPermits: what types of roles allow on which tables.
func TestPermits(t *testing.T) {
	for _, tt := range []struct {
		role, table, may string // may: the first letters of what is permitted (X is CONTROL)
	}{
		{`{"role":"superadmin"}`, "t", "XCWRM"},
		{`{"role":"superadmin"}`, "", "XCWRM"},
		{`{"role":"admin","tables":["t"]}`, "T", "XCWRM"},
		{`{"role":"admin","tables":["t"]}`, "u", ""},
		{`{"role":"admin","tables":["t"]}`, "", ""},
		{`{"role":"writer","tables":["t","u"]}`, "u", "WRM"},
		{`{"role":"reader"}`, "anything", "RM"},
		{`{"role":"reader","tables":["t"]}`, "t2", ""},
		{`{"role":"meta","tables":["t"]}`, "t", "M"},
		{`{"role":"reader","tables":{"*":{},"secret":{"columns":["a"]}}}`, "secret", "RM"},
		{`{"role":"admin","columns":["a"]}`, "t", "WRM"},
		{`{"role":"admin","filters":{"a":1}}`, "t", "WRM"},
		{`{"role":"admin","masks":{"a":{"type":"null"}}}`, "t", "WRM"},
		{`{"role":"admin","tables":{"*":{},"t":{"columns":["a"]}}}`, "u", "XCWRM"},
	} {
		g := grantOf(t, tt.role)
		letters := map[rbac.Permission]string{rbac.Control: "X", rbac.Create: "C", rbac.Write: "W", rbac.Read: "R", rbac.Meta: "M"}
		got := ""
		for _, p := range permissions {
			if g.Permits(p, tt.table) {
				got += letters[p]
			}
		}
		if got != tt.may {
			t.Errorf("%s on %q: %q, want %q", tt.role, tt.table, got, tt.may)
		}
	}
}

// TestDecide: how several roles unite (decision 2).
func TestDecide(t *testing.T) {
	columns := rbac.Names("id", "Name", "ssn", "country")
	const (
		wide   = `{"role":"reader","tables":["t"],"columns":["id","name","country"],"filters":{"country":"US"}}`
		narrow = `{"role":"reader","tables":["t"],"columns":["ID"]}`
		other  = `{"role":"reader","tables":["t"],"columns":["ssn"]}`
		all    = `{"role":"reader","tables":["t"],"filters":{"country":"EU"}}`
		mail   = `{"role":"reader","tables":["t"],"masks":{"SSN":{"type":"last","n":4}},"filters":{"country":"US"}}`
		hashed = `{"role":"reader","tables":["t"],"masks":{"ssn":{"type":"hash"}}}`
	)
	for _, tt := range []struct {
		name  string
		roles []string
		use   rbac.Use
		want  string // columns; number of filters or all; masks
		err   string
	}{
		{"one role", []string{wide}, rbac.Use{Star: true}, "id Name country; 1 filter", ""},
		{"count(*)", []string{wide, narrow}, rbac.Use{}, "; all", ""},
		{"named by one", []string{wide, narrow}, rbac.Use{Columns: []string{"id"}}, "id; all", ""},
		{"named by the other", []string{wide, narrow}, rbac.Use{Columns: []string{"Name", "id"}}, "id Name; 1 filter", ""},
		{"the one that allows most", []string{narrow, wide}, rbac.Use{Star: true}, "id Name country; 1 filter", ""},
		{"nobody covers all", []string{wide, other}, rbac.Use{Star: true}, "", "name the columns in place of *"},
		{"nobody covers both", []string{wide, other}, rbac.Use{Columns: []string{"id", "ssn"}}, "", "the columns id, ssn of t"},
		{"two filters", []string{wide, all}, rbac.Use{Columns: []string{"id"}}, "id; 2 filters", ""},
		{"a mask", []string{mail}, rbac.Use{Star: true}, "id Name ssn country; 1 filter; ssn: last in 1 filter", ""},
		{"clear beside a mask", []string{mail, all}, rbac.Use{Columns: []string{"ssn"}}, "ssn; 2 filters; ssn: clear in 1 filter, last in 1 filter", ""},
		{"two masks", []string{hashed, mail}, rbac.Use{Columns: []string{"ssn"}}, "ssn; all; ssn: hash in all, last in 1 filter", ""},
		{"clear everywhere", []string{mail, `{"role":"reader","tables":["t"]}`}, rbac.Use{Star: true}, "id Name ssn country; all", ""},
	} {
		a, err := rbac.Decide(grantOf(t, tt.roles...).Rules(rbac.Read, "t"), "t", columns, tt.use)
		if tt.err != "" {
			if errs.KindOf(err) != errs.Denied || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s: %v", tt.name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got := accessText(a); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func accessText(a rbac.Access) string {
	rows := func(r rbac.Rows) string {
		switch {
		case r.All:
			return "all"
		case len(r.Filters) == 1:
			return "1 filter"
		}
		return string(rune('0'+len(r.Filters))) + " filters"
	}
	out := strings.Join(a.Columns, " ") + "; " + rows(a.Rows)
	for c, cases := range a.Masks {
		var parts []string
		for _, k := range cases {
			kind := "clear"
			if k.Mask != nil {
				kind = k.Mask.Type
			}
			parts = append(parts, kind+" in "+rows(k.Rows))
		}
		out += "; " + c + ": " + strings.Join(parts, ", ")
	}
	return out
}

// TestPublishedHashes: the ids that the documentation prints (A01).
func TestPublishedHashes(t *testing.T) {
	hashes := map[string]string{
		`{"role":"superadmin","tables":["*"]}`:                    rbac.SuperadminHash,
		`{"role":"admin","tables":["*"]}`:                         "8fa3db581ff3a3ce44e72d1177e20ce7",
		`{"role":"writer","tables":["table1","table2"]}`:          "ce3153652c2ca1bf35818c19493a939c",
		`{"role":"meta","tables":["table1"]}`:                     "19f759be2cc6cb217168840d20ac0faf",
		`{"role":"reader","tables":[],"columns":[],"filters":{}}`: "82a944c2c5488da0007748e9cc42590c",
		`{"role":"reader","tables":["table1"],"columns":["name","email","age"],"filters":{"country":"US","active":true}}`:           "4e80b29caf7a0c24939dec8f8e49b704",
		`{"role":"reader","tables":["table2","table3"],"columns":["name","email","age"],"filters":{"country":"EU","active":false}}`: "5f2c8fbda06230834a65786ad7cd7bc5",
	}
	for text, want := range hashes {
		if got := role(t, text).Hash; got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	admin, writer, viewer := "8fa3db581ff3a3ce44e72d1177e20ce7", "ce3153652c2ca1bf35818c19493a939c", "4e80b29caf7a0c24939dec8f8e49b704"
	p := rbac.NewPolicy(1, []*rbac.Role{role(t, `{"role":"admin","tables":["*"]}`), role(t, `{"role":"writer","tables":["table1","table2"]}`), role(t, `{"role":"reader","tables":["table1"],"columns":["name","email","age"],"filters":{"country":"US","active":true}}`)}, nil)
	for name, u := range map[string]struct {
		roles []string
		want  string
	}{
		"alice":   {[]string{admin, writer}, "d6ccf5391949536c41972a80fa1bca8a"},
		"bob":     {[]string{viewer}, "b01b4a555c3a832d81a3c4403c36882a"},
		"charlie": {nil, "27454eb7648317fd5d9de0583ca92ee5"},
	} {
		got, added, err := p.AddUser(rbac.UserInput{Name: &name, Roles: &u.roles}, 1)
		if err != nil || !added || got.Hash != u.want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// TestNormalForm: sorted, each once, what is missing as ["*"] (A05).
func TestNormalForm(t *testing.T) {
	got := string(role(t, `{"tables":["z","a","z","m","a"],"role":"reader"}`).Document())
	want := `{"columns": ["*"], "filters": ["*"], "role": "reader", "tables": ["a", "m", "z"]}`
	if got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if a, b := role(t, `{"role":"reader","columns":["b","a"]}`), role(t, `{"columns":["a","b"],"role":"reader","tables":["*"]}`); a.Hash != b.Hash {
		t.Errorf("the same content has two hashes")
	}
}

// TestRefusedRoles: what is not understood is refused, never ignored.
func TestRefusedRoles(t *testing.T) {
	deep := strings.Repeat(`{"NOT":`, 51) + `{"a":1}` + strings.Repeat(`}`, 51)
	for _, text := range []string{
		``, `[]`, `{`, `{"role":"reader"} x`, `{"role":"reader","role":"admin"}`, `{"role":"boss"}`, `{}`, `{"role":"Reader"}`,
		`{"role":"reader","table":["t"]}`, `{"role":"reader","tables":"t"}`, `{"role":"reader","tables":["a b"]}`, `{"role":"reader","tables":["t\n"]}`,
		`{"role":"reader","tables":[1]}`, `{"role":"reader","columns":"a"}`, `{"role":"reader","columns":[""]}`, `{"role":"reader","enabled":"no"}`,
		`{"role":"reader","tables":{"t":{"column":["a"]}}}`, `{"role":"reader","tables":{"t":{}},"columns":["a"]}`, `{"role":"reader","tables":{"t":{},"T":{}}}`,
		`{"role":"reader","tables":{"t":{}},"filters":{"a":1}}`, `{"role":"reader","hash":"00"}`, `{"role":"reader","name":"x|y"}`,
		`{"role":"reader","filters":{"OR":[]}}`, `{"role":"reader","filters":{"AND":[]}}`, `{"role":"reader","filters":{"AND":{"a":1}}}`, `{"role":"reader","filters":{"a":[]}}`,
		`{"role":"reader","filters":{"a":{"operation":"IN","value":[]}}}`, `{"role":"reader","filters":{"a":{"operation":"IN","type":"value","value":"(1,2)"}}}`,
		`{"role":"reader","filters":{"a":{"operation":"= '' OR 1=1 --","value":"x"}}}`, `{"role":"reader","filters":{"a":{"operation":"~","value":"x"}}}`,
		`{"role":"reader","filters":{"a\" OR \"1":1}}`, `{"role":"reader","filters":{"a b":1}}`, `{"role":"reader","filters":{"a":{"operation":"=","value":1,"x":2}}}`,
		`{"role":"reader","filters":{"a":{}}}`, `{"role":"reader","filters":{"a":{"range":[]}}}`, `{"role":"reader","filters":{"a":{"range":[{"operation":">","value":1}],"value":2}}}`,
		`{"role":"reader","filters":{"a":{"operation":"=","type":"expression","value":"1=1"}}}`, `{"role":"reader","filters":{"a":{"operation":"<","type":"reference","value":"b) OR (1=1"}}}`,
		`{"role":"reader","filters":{"a":{"operation":"=","type":"null"}}}`, `{"role":"reader","filters":{"a":{"operation":"IS","value":1}}}`, `{"role":"reader","filters":{"a":{"operation":"BETWEEN","value":[1]}}}`,
		`{"role":"reader","filters":{"a":{"operation":"=","value":[1,2]}}}`, `{"role":"reader","filters":{"a":{"operation":"=","type":"session","value":"tenant"}}}`,
		`{"role":"reader","filters":{"a":[null]}}`, `{"role":"reader","filters":{"a":"x\u0000y"}}`, `{"role":"reader","filters":[{}]}`, `{"role":"reader","filters":["*","*"]}`, `{"role":"reader","filters":"*"}`,
		`{"role":"reader","filters":` + deep + `}`,
		`{"role":"reader","masks":[]}`[:len(`{"role":"reader","masks":[]}`)-2] + `[1]}`, `{"role":"reader","masks":{"a":{"type":"blur"}}}`, `{"role":"reader","masks":{"a":{"type":"first"}}}`, `{"role":"reader","masks":{"a":{"type":"first","n":-1}}}`,
		`{"role":"reader","masks":{"a":{"type":"null","n":1}}}`, `{"role":"reader","masks":{"a":{"type":"constant","value":[1]}}}`, `{"role":"reader","masks":{"a":{"type":"null"},"A":{"type":"hash"}}}`,
	} {
		if r, err := rbac.ParseRole([]byte(text)); errs.KindOf(err) != errs.InvalidArgument {
			t.Errorf("%s: %+v, %v", text, r, err)
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: more than a line: %v", text, err)
		}
	}
}

// TestFilters: the grammar as what it means.
func TestFilters(t *testing.T) {
	for text, want := range map[string]rbac.Filter{
		`["*"]`: nil, `{}`: nil, `[]`: nil, `null`: nil,
		`{"a":null}`: rbac.Compare{Column: "a", Op: "IS", Operands: []rbac.Operand{{Kind: rbac.OperandNull}}},
		`{"a":true}`: rbac.Compare{Column: "a", Op: "=", Operands: []rbac.Operand{{Value: true}}},
		`{"a":["x"],"b":{"operation":"not  like","value":"y"}}`: rbac.And{
			rbac.Compare{Column: "a", Op: "IN", Operands: []rbac.Operand{{Value: "x"}}}, rbac.Compare{Column: "b", Op: "NOT LIKE", Operands: []rbac.Operand{{Value: "y"}}},
		},
		`{"a":{"operation":"<","type":"reference","value":"b"}}`:          rbac.Compare{Column: "a", Op: "<", Operands: []rbac.Operand{{Kind: rbac.OperandColumn, Name: "b"}}},
		`{"a":{"operation":"=","type":"session","value":"user.name"}}`:    rbac.Compare{Column: "a", Op: "=", Operands: []rbac.Operand{{Kind: rbac.OperandSession, Name: "user.name"}}},
		`{"a":{"operation":"ILIKE","value":"x!%","escape":"!"}}`:          rbac.Compare{Column: "a", Op: "ILIKE", Operands: []rbac.Operand{{Value: "x!%"}}, Escape: "!"},
		`{"a":{"operation":"=","value":"x","escape":"!"}}`:                rbac.Compare{Column: "a", Op: "=", Operands: []rbac.Operand{{Value: "x"}}},
		`{"NOT":{"OR":[{"a":"x"},[{"b":"y"},{"c":null}]]}}`:               rbac.Not{rbac.Or{rbac.Compare{Column: "a", Op: "=", Operands: []rbac.Operand{{Value: "x"}}}, rbac.And{rbac.Compare{Column: "b", Op: "=", Operands: []rbac.Operand{{Value: "y"}}}, rbac.Compare{Column: "c", Op: "IS", Operands: []rbac.Operand{{Kind: rbac.OperandNull}}}}}},
		`{"a":{"range":[{"operation":">=","type":"value","value":"1"}]}}`: rbac.And{rbac.Compare{Column: "a", Op: ">=", Operands: []rbac.Operand{{Value: "1"}}}},
	} {
		rules := grantOf(t, `{"role":"reader","filters":`+text+`}`).Rules(rbac.Read, "t")
		if diff := cmp.Diff(want, rules[0].Filter); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}

// TestUsers: what may be done with users (A17 to A20).
func TestUsers(t *testing.T) {
	p := rbac.Builtin(1)
	user := func(text string) rbac.UserInput {
		in, err := rbac.ParseUser([]byte(text))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		return in
	}
	for _, name := range []string{"alice", "bob_smith", "ops-lead", "team.alpha", "alice@acme.com", "_internal"} {
		if _, added, err := p.AddUser(user(`{"username":"`+name+`"}`), 1); err != nil || !added {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"alice bob", " alice", "alice ", "", "1alice", "@alice", ".alice", "ålice", "alice\\n", "external", "abcdefabcdefabcdefabcdefabcdefab", strings.Repeat("a", 128)} {
		if _, _, err := p.AddUser(user(`{"username":"`+name+`"}`), 1); errs.KindOf(err) != errs.InvalidArgument {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"Write.All", "ops-team_lead", "team a.b"} {
		role(t, `{"role":"reader","name":"`+name+`"}`)
	}
	for _, name := range []string{"Write%All", "É_admin", "ops/team", "ad$min", "x|y", "1Writer", ".hidden", "-leading-dash"} {
		if _, err := rbac.ParseRole([]byte(`{"role":"reader","name":"` + name + `"}`)); errs.KindOf(err) != errs.InvalidArgument {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, _, err := p.AddUser(user(`{}`), 1); err == nil || err.Error() != "username is required" {
		t.Errorf("no name: %v", err)
	}
	if _, _, err := p.AddUser(user(`{"username":"x","roles":["nope"]}`), 1); err == nil || err.Error() != "Role nope is not valid" {
		t.Errorf("unknown role: %v", err)
	}
	if u, added, err := p.AddUser(user(`{"username":"SUPERUSER","roles":[]}`), 1); err != nil || added || u.Hash != rbac.SuperuserHash || len(u.Roles) != 1 {
		t.Errorf("a name that is there: %+v %t %v", u, added, err)
	}
	if _, err := p.RemoveUser("superuser"); errs.KindOf(err) != errs.Denied {
		t.Errorf("superuser deleted: %v", err)
	}
	if _, _, err := p.RemoveRole(rbac.SuperadminHash); errs.KindOf(err) != errs.Denied {
		t.Errorf("superadmin deleted: %v", err)
	}
	for _, text := range []string{`{"username":"root"}`, `{"roles":[]}`} {
		if _, err := p.ChangeUser("superuser", user(text), 2); errs.KindOf(err) != errs.Denied {
			t.Errorf("superuser changed by %s: %v", text, err)
		}
	}
	alice, _, _ := p.AddUser(user(`{"username":"alice"}`), 1)
	bob, _, _ := p.AddUser(user(`{"username":"bob"}`), 1)
	p = rbac.NewPolicy(2, p.Roles(), append(slices.Clone(p.Users()), alice, bob))
	if _, err := p.ChangeUser("alice", user(`{"username":"BOB"}`), 2); errs.KindOf(err) != errs.AlreadyExists {
		t.Errorf("renamed to a taken name: %v", err)
	}
	if u, err := p.ChangeUser("Alice", user(`{"username":"ALICE"}`), 2); err != nil || u.Name != "ALICE" || u.Hash != alice.Hash {
		t.Errorf("other case: %+v, %v", u, err)
	}
	for _, text := range []string{`{}`, `{"username":"alice"}`, `{"roles":[],"attributes":{}}`} {
		if u, err := p.ChangeUser("alice", user(text), 2); err != nil || u != nil {
			t.Errorf("nothing to change by %s: %+v, %v", text, u, err)
		}
	}
	if _, err := p.ChangeUser("nobody", user(`{}`), 2); errs.KindOf(err) != errs.NotFound {
		t.Errorf("unknown: %v", err)
	}
}

// TestSession: a filter's session values, and none that the user does not have.
func TestSession(t *testing.T) {
	g := grantOf(t, `{"role":"reader"}`)
	for name, want := range map[string]any{"user.name": "user", "user.hash": "u", "user.tenant": "acme"} {
		if got, err := g.Session(name); err != nil || got != want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if _, err := g.Session("user.missing"); errs.KindOf(err) != errs.Denied {
		t.Errorf("a missing attribute: %v", err)
	}
}

// FuzzParseRole: any text is refused or read as a role whose document is
// stable: read again, it has the same hash.
func FuzzParseRole(f *testing.F) {
	for _, s := range []string{`{"role":"reader","tables":["t"],"filters":{"a":{"operation":"=","type":"value","value":"x"}}}`, `{"role":"admin","tables":{"*":{"columns":["a"],"masks":{"a":{"type":"last","n":2}}}},"enabled":false}`, `{"role":"reader","filters":{"a":1e3,"b":[1.50,"é\ud83d\ude80"]}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := rbac.ParseRole(text)
		if err != nil {
			if errs.KindOf(err) != errs.InvalidArgument {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		again, err := rbac.ParseRole(r.Document())
		if err != nil || again.Hash != r.Hash {
			t.Fatalf("%q: %s read again: %v", text, r.Document(), err)
		}
	})
}
