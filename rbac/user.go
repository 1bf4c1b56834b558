package rbac

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/supertable-go/supertable/internal/errs"
)

// User is who acts, with the roles that he has.
type User struct {
	Hash       string
	Name       string
	Roles      []string       // hashes, in the order they were given
	Attributes map[string]any // what filters may ask for as user.NAME: text, json.Number or bool
	CreatedMS  int64          // ms since 1970, UTC
	ModifiedMS int64
}

// Hash of a user: that of his name and roles at his creation. It stays.
func userHash(name string, roles []string) string {
	if roles == nil {
		roles = []string{}
	}
	return hash(map[string]any{"username": name, "roles": roles})
}

// UserInput is what a caller says of a user; nil is "as it is".
type UserInput struct {
	Name       *string
	Roles      *[]string // hashes or names of roles
	Attributes *map[string]any
}

// ParseUser reads {"username", "roles", "attributes"}. A hash, which a printed
// user has, is left alone; other keys are refused.
func ParseUser(text []byte) (UserInput, error) {
	var in UserInput
	v, err := decode(text)
	if err != nil {
		return in, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return in, errs.New(errs.InvalidArgument, "a user is a JSON object")
	}
	if err := onlyKeys("user", m, "username", "roles", "attributes", "hash"); err != nil {
		return in, err
	}
	if n, ok := m["username"]; ok && n != nil {
		name, ok := n.(string)
		if !ok {
			return in, errs.New(errs.InvalidArgument, "user: username is a text")
		}
		in.Name = &name
	}
	if l, ok := m["roles"]; ok {
		list, ok := l.([]any)
		if !ok && l != nil {
			return in, errs.New(errs.InvalidArgument, "user: roles is a list of hashes or names of roles")
		}
		roles := []string{}
		for _, e := range list {
			s, ok := e.(string)
			if !ok {
				return in, errs.New(errs.InvalidArgument, "Role %v is not valid", e)
			}
			roles = append(roles, s)
		}
		in.Roles = &roles
	}
	if a, ok := m["attributes"]; ok {
		attributes, ok := a.(map[string]any)
		if !ok && a != nil {
			return in, errs.New(errs.InvalidArgument, "user: attributes is an object")
		}
		if attributes == nil {
			attributes = map[string]any{}
		}
		in.Attributes = &attributes
	}
	return in, nil
}

func checkUserName(name string) error {
	if name == "" {
		return errs.New(errs.InvalidArgument, "username is required")
	}
	if !validName(name, "_-.@") || strings.EqualFold(name, "external") || looksLikeHash(name) {
		return errs.New(errs.InvalidArgument, "user: %q is no user name: it starts with a letter or underscore, has letters, digits and _ - . @ only, at most 127, and is no hash", name)
	}
	return nil
}

// looksLikeHash keeps names and hashes apart: both name a user.
func looksLikeHash(s string) bool {
	_, err := hex.DecodeString(s)
	return len(s) == 32 && err == nil
}

func checkAttributes(m map[string]any) error {
	for _, k := range sortedKeys(m) {
		if !plainName(k) || k == "name" || k == "hash" {
			return errs.New(errs.InvalidArgument, "user: %q is no name of an attribute", k)
		}
		switch v := m[k].(type) {
		case bool, json.Number:
		case string:
			if strings.ContainsRune(v, 0) {
				return errs.New(errs.InvalidArgument, "user: the attribute %q has a NUL character", k)
			}
		default:
			return errs.New(errs.InvalidArgument, "user: the attribute %q is a text, a number, true or false", k)
		}
	}
	return nil
}

// session gives the value of user.NAME.
func (u *User) session(name string) (any, bool) {
	switch attr, _ := strings.CutPrefix(name, "user."); attr {
	case "name":
		return u.Name, true
	case "hash":
		return u.Hash, true
	default:
		v, ok := u.Attributes[attr]
		return v, ok
	}
}

func (u *User) clone() *User {
	c := *u
	c.Roles = slices.Clone(u.Roles)
	return &c
}

// Document is the user as it is stored, without his hash.
func (u *User) Document() []byte {
	roles := u.Roles
	if roles == nil {
		roles = []string{}
	}
	doc := map[string]any{
		"username": u.Name, "roles": roles,
		"created_ms": json.Number(strconv.FormatInt(u.CreatedMS, 10)), "modified_ms": json.Number(strconv.FormatInt(u.ModifiedMS, 10)),
	}
	if len(u.Attributes) > 0 {
		doc["attributes"] = u.Attributes
	}
	return []byte(canonical(doc))
}

// LoadUser reads a stored document back.
func LoadUser(hash string, text []byte) (*User, error) {
	var stored struct {
		Username   string         `json:"username"`
		Roles      []string       `json:"roles"`
		Attributes map[string]any `json:"attributes"`
		CreatedMS  int64          `json:"created_ms"`
		ModifiedMS int64          `json:"modified_ms"`
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&stored); err != nil || stored.Username == "" {
		return nil, errs.Wrap(errs.Corrupt, err, "the catalog has a user that cannot be read")
	}
	return &User{Hash: hash, Name: stored.Username, Roles: stored.Roles, Attributes: stored.Attributes, CreatedMS: stored.CreatedMS, ModifiedMS: stored.ModifiedMS}, nil
}

// LoadRole reads a stored document back. One that this program does not
// understand, or whose hash is another, is Corrupt: it must not mean less.
func LoadRole(hash string, text []byte) (*Role, error) {
	r, err := ParseRole(text)
	if err != nil || r.Hash != hash {
		return nil, errs.Wrap(errs.Corrupt, err, "the catalog has a role that cannot be read")
	}
	return r, nil
}
