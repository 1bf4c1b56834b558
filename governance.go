package supertable

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/rbac"
	"github.com/supertable-go/supertable/scan"
)

// policyCache keeps the policy of a SuperTable as it was last read. Every use
// asks the catalog for the version first, in the same view as the data.
type policyCache struct{ last atomic.Pointer[rbac.Policy] }

// policy gives the rules that hold in the view.
func (s *SuperTable) policyIn(ctx context.Context, v *catalog.View) (*rbac.Policy, error) {
	version, err := v.PolicyVersion(ctx)
	if err != nil {
		return nil, err
	}
	if p := s.policies.last.Load(); p != nil && p.Version() == version {
		return p, nil
	}
	stored, err := v.Policy(ctx)
	if err != nil {
		return nil, err
	}
	p, err := loadPolicy(stored)
	if err != nil {
		return nil, err
	}
	s.policies.last.Store(p)
	return p, nil
}

func loadPolicy(stored catalog.Policy) (*rbac.Policy, error) {
	if len(stored.Users) == 0 && len(stored.Roles) == 0 { // a foreign lake keeps none
		return rbac.Builtin(0), nil
	}
	var roles []*rbac.Role
	for _, d := range stored.Roles {
		r, err := rbac.LoadRole(d.Hash, []byte(d.Text))
		if err != nil {
			return nil, err
		}
		roles = append(roles, r)
	}
	var users []*rbac.User
	for _, d := range stored.Users {
		u, err := rbac.LoadUser(d.Hash, []byte(d.Text))
		if err != nil {
			return nil, err
		}
		users = append(users, u)
	}
	return rbac.NewPolicy(stored.Version, roles, users), nil
}

// birth is the policy that a new SuperTable gets.
func birth(now time.Time) catalog.Policy {
	p := rbac.Builtin(now.UnixMilli())
	out := catalog.Policy{}
	for _, r := range p.Roles() {
		out.Roles = append(out.Roles, roleDocument(r))
	}
	for _, u := range p.Users() {
		out.Users = append(out.Users, userDocument(u))
	}
	return out
}

func roleDocument(r *rbac.Role) catalog.Document {
	return catalog.Document{Hash: r.Hash, Text: string(r.Document())}
}

func userDocument(u *rbac.User) catalog.Document {
	return catalog.Document{Hash: u.Hash, Text: string(u.Document())}
}

// grantIn gives the principal's rights under the policy that holds in the view.
func (s *SuperTable) grantIn(ctx context.Context, v *catalog.View, who rbac.Principal) (rbac.Grant, error) {
	p, err := s.policyIn(ctx, v)
	if err != nil {
		return rbac.Grant{}, err
	}
	return p.Grant(who)
}

// authorize gives the session's rights as they are now.
func (s *Session) authorize(ctx context.Context) (g rbac.Grant, err error) {
	if p := s.st.policies.last.Load(); p != nil { // the rules are mostly those of last time: that takes one look
		if version, err := s.st.catalog.PolicyVersion(ctx); err == nil && version == p.Version() {
			return p.Grant(s.principal)
		}
	}
	err = s.st.catalog.Read(ctx, func(v *catalog.View) error {
		g, err = s.st.grantIn(ctx, v, s.principal)
		return err
	})
	return g, err
}

// need refuses what the session's principal may not do now; table "" is the
// SuperTable itself.
func (s *Session) need(ctx context.Context, p rbac.Permission, table string) error {
	g, err := s.authorize(ctx)
	if err != nil {
		return err
	}
	return permit(g, p, table)
}

func permit(g rbac.Grant, p rbac.Permission, table string) error {
	if !g.Permits(p, table) {
		return errs.New(errs.Denied, "You don't have permission for this (%s).", p)
	}
	return nil
}

// still asks inside the transaction of a change what need asked before it.
func (s *Session) still(p rbac.Permission, table string) catalog.Allow {
	return func(ctx context.Context, v *catalog.View) error {
		g, err := s.st.grantIn(ctx, v, s.principal)
		if err != nil {
			return err
		}
		return permit(g, p, table)
	}
}

// Role is a role's document (behaviour.md B.4.2): what it allows, on which
// tables, and what of them.
type Role struct {
	Hash string // MD5 of the document: the same content has the same hash
	// Document is the role as JSON, normalised: tables and columns sorted and
	// each once, what was left out as ["*"]. It does not hold the hash.
	Document json.RawMessage
}

// User is a user with the hashes of his roles.
type User struct {
	Hash       string         // stable for the life of the user; it identifies, it is no secret
	Name       string         // unique without regard to case
	Roles      []string       // hashes, in the order they were given
	Attributes map[string]any // what row filters may ask for as user.NAME; nil for none
	Created    time.Time
	Modified   time.Time
}

// UserChange is what ModifyUser changes; nil leaves a part as it is.
type UserChange struct {
	Name       *string
	Roles      *[]string
	Attributes *map[string]any
}

// policyOf gives the policy to those who may manage it.
func (s *Session) policyOf(ctx context.Context) (p *rbac.Policy, err error) {
	defer s.guarded(ctx, "policy", "")(&err)
	err = s.st.catalog.Read(ctx, func(v *catalog.View) error {
		p, err = s.managed(ctx, v)
		return err
	})
	return p, err
}

// managed gives the policy in a view to those who may manage it.
func (s *Session) managed(ctx context.Context, v *catalog.View) (*rbac.Policy, error) {
	p, err := s.st.policyIn(ctx, v)
	if err != nil {
		return nil, err
	}
	g, err := p.Grant(s.principal)
	if err != nil {
		return nil, err
	}
	return p, permit(g, rbac.Control, "")
}

// govern changes the policy: decide is given the one that holds, and what the
// session may do is looked at inside the same transaction.
func (s *Session) govern(ctx context.Context, action string, decide func(v *catalog.View, p *rbac.Policy) (*catalog.PolicyChange, error)) (err error) {
	defer s.audited(&ctx, action, "", "")(&err)
	return s.st.catalog.Govern(ctx, s.principal.Name(), func(ctx context.Context, v *catalog.View) (*catalog.PolicyChange, error) {
		p, err := s.managed(ctx, v)
		if err != nil {
			return nil, err
		}
		return decide(v, p)
	})
}

// CreateRole stores the role that the JSON document describes and gives its
// hash. The same content again changes nothing. Needs CONTROL.
func (s *Session) CreateRole(ctx context.Context, document []byte) (string, error) {
	r, err := rbac.ParseRole(document)
	if err != nil {
		return "", err
	}
	hash := ""
	err = s.govern(ctx, "create_role", func(v *catalog.View, p *rbac.Policy) (*catalog.PolicyChange, error) {
		stored, isNew, err := p.AddRole(r)
		if err != nil {
			return nil, err
		}
		if hash = stored.Hash; !isNew {
			return nil, nil
		}
		if err := checkMasks(ctx, v, r); err != nil {
			return nil, err
		}
		return &catalog.PolicyChange{Action: "create role", Object: r.Hash, PutRoles: []catalog.Document{roleDocument(r)}}, nil
	})
	return hash, err
}

// checkMasks refuses masks that the columns of tables that are there cannot
// take (decision 13).
func checkMasks(ctx context.Context, v *catalog.View, r *rbac.Role) error {
	if !r.HasMasks() {
		return nil
	}
	tables, err := v.Tables(ctx, v.Head.ID)
	if err != nil {
		return err
	}
	for _, t := range tables {
		masks := r.Masks(t.Name)
		if len(masks) == 0 {
			continue
		}
		cols, err := v.Columns(ctx, t.ID, v.Head.ID)
		if err != nil {
			return err
		}
		for _, c := range cols {
			m, ok := masks[strings.ToLower(c.Name)]
			if !ok {
				continue
			}
			if err := scan.MaskFits(c.Type, m); err != nil {
				return errs.New(errs.KindOf(err), "column %q of table %s: %s", c.Name, t.Name, err)
			}
		}
	}
	return nil
}

// Roles lists the roles in the order of their creation, superadmin first.
// Needs CONTROL.
func (s *Session) Roles(ctx context.Context) ([]Role, error) {
	p, err := s.policyOf(ctx)
	if err != nil {
		return nil, err
	}
	out := []Role{}
	for _, r := range p.Roles() {
		out = append(out, publicRole(r))
	}
	return out, nil
}

// Role finds a role by its hash or name. Needs CONTROL.
func (s *Session) Role(ctx context.Context, hashOrName string) (Role, error) {
	p, err := s.policyOf(ctx)
	if err != nil {
		return Role{}, err
	}
	r, ok := p.Role(hashOrName)
	if !ok {
		return Role{}, errs.New(errs.NotFound, "Role %s does not exist", hashOrName)
	}
	return publicRole(r), nil
}

func publicRole(r *rbac.Role) Role { return Role{Hash: r.Hash, Document: r.Document()} }

// DeleteRole deletes a role and takes it from all users; false when there is
// none. The role superadmin is protected. Needs CONTROL.
func (s *Session) DeleteRole(ctx context.Context, hashOrName string) (bool, error) {
	deleted := false
	err := s.govern(ctx, "delete_role", func(_ *catalog.View, p *rbac.Policy) (*catalog.PolicyChange, error) {
		r, users, err := p.RemoveRole(hashOrName)
		if err != nil || r == nil {
			return nil, err
		}
		deleted = true
		return &catalog.PolicyChange{Action: "delete role", Object: r.Hash, DropRole: r.Hash, PutUsers: userDocuments(users)}, nil
	})
	return deleted && err == nil, err
}

func userDocuments(users []*rbac.User) []catalog.Document {
	var out []catalog.Document
	for _, u := range users {
		out = append(out, userDocument(u))
	}
	return out
}

// RemoveRoleFromUsers takes a role from every user that has it. Needs CONTROL.
func (s *Session) RemoveRoleFromUsers(ctx context.Context, hash string) error {
	return s.govern(ctx, "remove_role_from_users", func(_ *catalog.View, p *rbac.Policy) (*catalog.PolicyChange, error) {
		users, err := p.Strip(hash)
		if err != nil || len(users) == 0 {
			return nil, err
		}
		return &catalog.PolicyChange{Action: "remove role from users", Object: hash, PutUsers: userDocuments(users)}, nil
	})
}

// CreateUser makes a user with roles (hashes or names) and gives him as he is
// stored. A name that is taken gives the user that has it, unchanged. Needs
// CONTROL.
func (s *Session) CreateUser(ctx context.Context, name string, roles []string, attributes map[string]any) (User, error) {
	in := rbac.UserInput{Name: &name, Roles: &roles}
	if attributes != nil {
		values := attributeValues(attributes)
		in.Attributes = &values
	}
	var out User
	err := s.govern(ctx, "create_user", func(_ *catalog.View, p *rbac.Policy) (*catalog.PolicyChange, error) {
		u, isNew, err := p.AddUser(in, s.nowMS())
		if err != nil {
			return nil, err
		}
		if out = publicUser(u); !isNew {
			return nil, nil
		}
		return &catalog.PolicyChange{Action: "create user", Object: u.Hash, PutUsers: userDocuments([]*rbac.User{u})}, nil
	})
	return out, err
}

func (s *Session) nowMS() int64 { return s.st.lake.opts.Now().UnixMilli() }

// attributeValues gives Go values the form that documents have.
func attributeValues(m map[string]any) map[string]any {
	out := make(map[string]any, len(m))
	for k, v := range m {
		switch v.(type) {
		case int, int64, int32, float64:
			text, _ := json.Marshal(v)
			out[k] = json.Number(text)
		default:
			out[k] = v
		}
	}
	return out
}

// Users lists the users in the order of their creation. Needs CONTROL.
func (s *Session) Users(ctx context.Context) ([]User, error) {
	p, err := s.policyOf(ctx)
	if err != nil {
		return nil, err
	}
	out := []User{}
	for _, u := range p.Users() {
		out = append(out, publicUser(u))
	}
	return out, nil
}

// User finds a user by name or hash. Needs CONTROL, but for oneself.
func (s *Session) User(ctx context.Context, nameOrHash string) (out User, err error) {
	defer s.guarded(ctx, "policy", "")(&err)
	err = s.st.catalog.Read(ctx, func(v *catalog.View) error {
		p, u, err := s.known(ctx, v, nameOrHash)
		if err == nil {
			_, out = p, publicUser(u)
		}
		return err
	})
	return out, err
}

// known finds a user for the session: himself, or anybody for those who manage.
func (s *Session) known(ctx context.Context, v *catalog.View, nameOrHash string) (*rbac.Policy, *rbac.User, error) {
	p, err := s.st.policyIn(ctx, v)
	if err != nil {
		return nil, nil, err
	}
	u, ok := p.User(nameOrHash)
	if ok && u.Hash == s.principal.Hash() {
		return p, u, nil
	}
	if _, err := s.managed(ctx, v); err != nil {
		return nil, nil, err
	}
	if !ok {
		return nil, nil, errs.New(errs.NotFound, "User %s does not exist", nameOrHash)
	}
	return p, u, nil
}

func publicUser(u *rbac.User) User {
	return User{
		Hash: u.Hash, Name: u.Name, Roles: slices.Clone(u.Roles), Attributes: u.Attributes,
		Created: time.UnixMilli(u.CreatedMS).UTC(), Modified: time.UnixMilli(u.ModifiedMS).UTC(),
	}
}

// ModifyUser changes a user's name, roles or attributes; his hash stays. Needs
// CONTROL.
func (s *Session) ModifyUser(ctx context.Context, nameOrHash string, change UserChange) (User, error) {
	in := rbac.UserInput{Name: change.Name, Roles: change.Roles}
	if change.Attributes != nil {
		values := attributeValues(*change.Attributes)
		in.Attributes = &values
	}
	var out User
	err := s.govern(ctx, "modify_user", func(_ *catalog.View, p *rbac.Policy) (*catalog.PolicyChange, error) {
		u, err := p.ChangeUser(nameOrHash, in, s.nowMS())
		if err != nil {
			return nil, err
		}
		if u == nil { // nothing to change
			old, _ := p.User(nameOrHash)
			out = publicUser(old)
			return nil, nil
		}
		out = publicUser(u)
		return &catalog.PolicyChange{Action: "modify user", Object: u.Hash, PutUsers: userDocuments([]*rbac.User{u})}, nil
	})
	return out, err
}

// DeleteUser deletes a user; false when there is none. The user superuser is
// protected. Needs CONTROL.
func (s *Session) DeleteUser(ctx context.Context, nameOrHash string) (bool, error) {
	deleted := false
	err := s.govern(ctx, "delete_user", func(_ *catalog.View, p *rbac.Policy) (*catalog.PolicyChange, error) {
		u, err := p.RemoveUser(nameOrHash)
		if err != nil || u == nil {
			return nil, err
		}
		deleted = true
		return &catalog.PolicyChange{Action: "delete user", Object: u.Hash, DropUser: u.Hash}, nil
	})
	return deleted && err == nil, err
}

// ParseUser reads a user's document {"username", "roles", "attributes"} as the
// command line takes it. Keys that are missing are nil; others are refused.
func ParseUser(document []byte) (UserChange, error) {
	in, err := rbac.ParseUser(document)
	return UserChange{Name: in.Name, Roles: in.Roles, Attributes: in.Attributes}, err
}

// Access is what a user has of one table: which of his roles help, what they
// show, and how.
type Access struct {
	Table   string         `json:"table"`
	Roles   []string       `json:"roles"`   // hashes of the roles that let him read it
	Columns []string       `json:"columns"` // those that exist for him
	Masks   map[string]any `json:"masks"`   // of columns that are not clear in every row: the mask as in the role's document
	Filter  any            `json:"filter"`  // the filters of his roles as in their documents; nil when he sees all rows

	said accessWords
}

// accessWords are the parts of an access as people read them.
type accessWords struct {
	roles []string
	alone []string          // what each role shows by itself, when they show different columns
	masks map[string]string // by column
	rows  string
}

// String puts the access into words, a line for each of table, roles, columns,
// masks (when there are any) and rows; a line for each role when they show
// different columns.
func (a Access) String() string {
	columns, masks := onOneLine(a.Columns), []string(nil)
	for i, c := range a.Columns {
		if m, ok := a.said.masks[c]; ok {
			masks = append(masks, columns[i]+" as "+m)
		}
	}
	text := a.Table + "\n  roles    " + strings.Join(a.said.roles, ", ")
	if a.said.alone != nil {
		text = a.Table + "\n  roles    " + strings.Join(a.said.alone, "\n           ")
	}
	text += "\n  columns  " + strings.Join(columns, ", ")
	if len(masks) > 0 {
		text += "\n  masked   " + strings.Join(onOneLine(masks), "; ")
	}
	if a.said.alone != nil {
		return text + "\n  rows     those of each role that shows all columns that a query uses"
	}
	return text + "\n  rows     " + onOneLine([]string{a.said.rows})[0]
}

// onOneLine quotes what would break the lines of a text.
func onOneLine(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		if out[i] = s; strings.ContainsFunc(s, unicode.IsControl) {
			out[i] = strconv.Quote(s)
		}
	}
	return out
}

// Explain says what a user may read, and why: of one table, or of all when
// table is "". Needs CONTROL, but for oneself. A table that he may not read is
// not in the list; asked for by name, it is NotFound.
func (s *Session) Explain(ctx context.Context, user, table string) (out []Access, err error) {
	defer s.guarded(ctx, "access", "")(&err)
	out = []Access{}
	err = s.st.catalog.Read(ctx, func(v *catalog.View) error {
		p, u, err := s.known(ctx, v, user)
		if err != nil {
			return err
		}
		who, err := p.Principal(u.Hash)
		if err != nil {
			return err
		}
		g, err := p.Grant(who)
		if err != nil {
			return err
		}
		tables, err := v.Tables(ctx, v.Head.ID)
		if err != nil {
			return err
		}
		for _, t := range tables {
			if table != "" && !strings.EqualFold(t.Name, table) {
				continue
			}
			cols, err := v.Columns(ctx, t.ID, v.Head.ID)
			if err != nil {
				return err
			}
			if a, ok := explain(p, g, t.Name, cols); ok {
				out = append(out, a)
			}
		}
		if table != "" && len(out) == 0 {
			return errs.New(errs.NotFound, "Table not found: %s/%s/%s", s.st.org, s.st.name, table)
		}
		return nil
	})
	return out, err
}

// explain puts what the rules of one table say into words.
func explain(p *rbac.Policy, g rbac.Grant, table string, cols []datafile.Column) (Access, bool) {
	rules := g.Rules(rbac.ReadPermission(table), table)
	names := make([]rbac.Column, len(cols))
	for i, c := range cols {
		names[i] = rbac.Column{Name: c.Name}
	}
	a := Access{Table: table, Roles: []string{}, Columns: []string{}, Masks: map[string]any{}}
	a.said.masks = map[string]string{}
	for _, c := range rbac.Visible(rules, names) {
		a.Columns = append(a.Columns, c.Name)
		one, err := rbac.Decide(rules, table, names, rbac.Use{Columns: []string{c.Name}})
		if err != nil {
			continue
		}
		cases := one.Masks[strings.ToLower(c.Name)]
		for _, k := range cases {
			if k.Mask != nil {
				a.Masks[c.Name], a.said.masks[c.Name] = k.Mask.Document(), rbac.CasesText(cases)
				break
			}
		}
	}
	a.explainRows(p, rules, names)
	return a, len(rules) > 0 && len(a.Columns) > 0
}

// explainRows says which rows the rules show, and what each shows alone.
func (a *Access) explainRows(p *rbac.Policy, rules []rbac.Rule, names []rbac.Column) {
	var filters []any
	var rows rbac.Rows
	differ := false
	for _, r := range rules {
		role, ok := p.Role(r.Role)
		if !ok {
			continue // a grant has roles of its policy only
		}
		a.Roles = append(a.Roles, r.Role)
		a.said.roles = append(a.said.roles, role.Label())
		shown := rbac.Visible([]rbac.Rule{r}, names)
		differ = differ || len(shown) < len(a.Columns)
		var list []string
		for _, c := range shown {
			list = append(list, c.Name)
		}
		a.said.alone = append(a.said.alone, onOneLine([]string{role.Label() + ": " + strings.Join(list, ", ") + "; " + rbac.Text(r.Filter)})[0])
		rows.All = rows.All || r.Filter == nil
		rows.Filters = append(rows.Filters, r.Filter)
		filters = append(filters, role.FilterDocument(a.Table))
	}
	if !differ {
		a.said.alone = nil
	}
	a.said.rows = rows.String()
	switch {
	case rows.All || len(filters) == 0:
	case len(filters) == 1:
		a.Filter = filters[0]
	default:
		a.Filter = map[string]any{"OR": filters}
	}
}
