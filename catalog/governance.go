package catalog

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"strings"

	"github.com/supertable-go/supertable/internal/errs"
)

// Policy is what the catalog keeps of roles and users: documents by their
// hash, oldest first. What they mean is package rbac's to say.
type Policy struct {
	Version      int64
	Roles, Users []Document
}

// Document is one role or user.
type Document struct{ Hash, Text string }

// PolicyChange is one change of the policy. Everything in it was decided on
// the View that Govern gave.
type PolicyChange struct {
	// Action and Object say what is done to whom: "create role", its hash.
	Action, Object string
	// PutRoles and PutUsers are stored; one that is there keeps its place.
	PutRoles, PutUsers []Document
	// DropRole and DropUser are hashes, or "".
	DropRole, DropUser string
}

// PolicyVersion is the version of the policy: 0 at birth, +1 per change.
func (v *View) PolicyVersion(ctx context.Context) (int64, error) {
	if v.c.foreign {
		return 0, nil
	}
	return recall(v.q, "policy", func() (n int64, err error) {
		err = v.q.QueryRowContext(ctx, `SELECT coalesce(max(version), 0) FROM supertable_policy`).Scan(&n)
		return n, sqlError(ctx, err, "read the policy")
	})
}

// PolicyVersion is the version of the policy now.
func (c *Catalog) PolicyVersion(ctx context.Context) (int64, error) {
	if err := c.usable(); err != nil {
		return 0, err
	}
	return (&View{q: c.db, c: c}).PolicyVersion(ctx)
}

// Policy reads roles and users. A foreign lake has none.
func (v *View) Policy(ctx context.Context) (Policy, error) {
	if v.c.foreign {
		return Policy{}, nil
	}
	p := Policy{}
	var err error
	if p.Version, err = v.PolicyVersion(ctx); err != nil {
		return p, err
	}
	if p.Roles, err = v.documents(ctx, "supertable_role"); err != nil {
		return p, err
	}
	p.Users, err = v.documents(ctx, "supertable_user")
	return p, err
}

func (v *View) documents(ctx context.Context, table string) ([]Document, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT hash, document FROM `+table+` ORDER BY position`)
	if err != nil {
		return nil, sqlError(ctx, err, "read the policy")
	}
	defer func() { _ = rows.Close() }()
	var out []Document
	for rows.Next() {
		var d Document
		if err := rows.Scan(&d.Hash, &d.Text); err != nil {
			return nil, sqlError(ctx, err, "read the policy")
		}
		out = append(out, d)
	}
	return out, sqlError(ctx, rows.Err(), "read the policy")
}

// Secret gives a secret of the SuperTable, such as "salt".
func (v *View) Secret(ctx context.Context, name string) (string, error) {
	var s string
	err := v.q.QueryRowContext(ctx, `SELECT value FROM supertable_secret WHERE name = ?`, name).Scan(&s)
	if errors.Is(err, sql.ErrNoRows) {
		return "", errs.New(errs.Corrupt, "the catalog has no secret %q", name)
	}
	return s, sqlError(ctx, err, "read the secrets")
}

// Govern changes roles and users: decide looks at the policy as it is, with
// every other writer kept out, and says what to change; nil changes nothing.
// The change is durable when Govern returns, and kept with what was before it.
func (c *Catalog) Govern(ctx context.Context, principal string, decide func(context.Context, *View) (*PolicyChange, error)) error {
	if c.foreign {
		return errs.New(errs.Denied, "this lake was made by another DuckLake client and is read-only; run create to adopt it")
	}
	return c.write(ctx, func(q querier) error {
		v := &View{q: q, c: c}
		if err := v.prepare(ctx); err != nil {
			return err
		}
		ch, err := decide(ctx, v)
		if err != nil || ch == nil {
			return err
		}
		return v.govern(ctx, principal, ch)
	})
}

func (v *View) govern(ctx context.Context, principal string, ch *PolicyChange) error {
	before, err := v.Policy(ctx)
	if err != nil {
		return err
	}
	var stmts []statement
	for _, d := range ch.PutRoles {
		stmts = append(stmts, put("supertable_role", d))
	}
	for _, d := range ch.PutUsers {
		stmts = append(stmts, put("supertable_user", d))
	}
	if ch.DropRole != "" {
		stmts = append(stmts, statement{`DELETE FROM supertable_role WHERE hash = ?`, []any{ch.DropRole}})
	}
	if ch.DropUser != "" {
		stmts = append(stmts, statement{`DELETE FROM supertable_user WHERE hash = ?`, []any{ch.DropUser}})
	}
	was, is := ch.object(before)
	stmts = append(stmts, statement{
		`INSERT INTO supertable_policy (version, time, principal, action, object, before, after) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		[]any{before.Version + 1, FormatTime(v.c.opts.Now()), principal, ch.Action, ch.Object, nullText(was), nullText(is)},
	})
	stmts = append(stmts, ch.others(before, principal, FormatTime(v.c.opts.Now()))...)
	if err := execAll(ctx, v.q, stmts); err != nil {
		return err
	}
	e := Event{Action: strings.ReplaceAll(ch.Action, " ", "_"), Principal: principal, Statement: is}
	if is == "" {
		e.Statement = ch.Object
	}
	return v.c.opts.appendEvent(ctx, v.q, e)
}

// put stores a document; a new one comes after all others.
func put(table string, d Document) statement {
	return statement{
		`INSERT INTO ` + table + ` (hash, position, document) VALUES (?1, (SELECT coalesce(max(position), 0) + 1 FROM ` + table + `), ?2)
 ON CONFLICT (hash) DO UPDATE SET document = ?2`, []any{d.Hash, d.Text},
	}
}

// object gives the document that the change is about, before and after.
func (ch *PolicyChange) object(before Policy) (was, is string) {
	for _, list := range [][]Document{before.Roles, before.Users} {
		for _, d := range list {
			if d.Hash == ch.Object {
				was = d.Text
			}
		}
	}
	for _, list := range [][]Document{ch.PutRoles, ch.PutUsers} {
		for _, d := range list {
			if d.Hash == ch.Object {
				is = d.Text
			}
		}
	}
	if is == "" && ch.Object != ch.DropRole && ch.Object != ch.DropUser {
		is = was // others change on its account
	}
	return was, is
}

// others keeps what becomes of the users that the change touches on account of
// its object, each as a version of its own.
func (ch *PolicyChange) others(before Policy, principal, now string) []statement {
	was := map[string]string{}
	for _, d := range before.Users {
		was[d.Hash] = d.Text
	}
	var out []statement
	for _, d := range ch.PutUsers {
		if d.Hash != ch.Object {
			out = append(out, statement{
				`INSERT INTO supertable_policy (version, time, principal, action, object, before, after) VALUES (?, ?, ?, 'modify user', ?, ?, ?)`,
				[]any{before.Version + 2 + int64(len(out)), now, principal, d.Hash, nullText(was[d.Hash]), d.Text},
			})
		}
	}
	return out
}

// bear gives a SuperTable the roles and users that it is born with, and its
// secrets, when it has none.
func bear(ctx context.Context, q querier, o Options) error {
	var n int
	if err := q.QueryRowContext(ctx, `SELECT count(*) FROM supertable_secret`).Scan(&n); err != nil || n > 0 {
		return sqlError(ctx, err, "read the secrets")
	}
	var salt [32]byte
	if _, err := rand.Read(salt[:]); err != nil {
		return errs.Wrap(errs.Internal, err, "no randomness")
	}
	stmts := []statement{{`INSERT INTO supertable_secret (name, value) VALUES ('salt', ?)`, []any{hex.EncodeToString(salt[:])}}}
	for _, d := range o.Policy.Roles {
		stmts = append(stmts, put("supertable_role", d))
	}
	for _, d := range o.Policy.Users {
		stmts = append(stmts, put("supertable_user", d))
	}
	return execAll(ctx, q, stmts)
}
