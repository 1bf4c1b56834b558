package staging

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/rbac"
)

// Pipe says how the files of an area become rows of a table.
type Pipe struct {
	Name      string
	Area      string
	Table     string
	Key       []string          // columns of the table by which rows replace rows
	NewerThan string            // as in a write
	Columns   map[string]string // a file's column to the table's
	Checks    []Check
	Enabled   bool
}

// document is a pipe as JSON. Pointers tell what was not given.
type document struct {
	Name      string            `json:"name"`
	Area      string            `json:"area"`
	Table     string            `json:"table"`
	Key       []string          `json:"key"`
	NewerThan *string           `json:"newer_than"`
	Columns   map[string]string `json:"columns"`
	Checks    []Check           `json:"checks"`
	Enabled   *bool             `json:"enabled"`
}

// ParsePipe reads a definition. Unknown keys are refused.
func ParsePipe(text []byte) (Pipe, error) {
	var d document
	dec := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(text, []byte("\ufeff"))))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return Pipe{}, errs.Wrap(errs.InvalidArgument, err, "the pipe's definition is not as expected: %s", jsonReason(err))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Pipe{}, errs.New(errs.InvalidArgument, "something follows the pipe's definition")
	}
	p := Pipe{Name: d.Name, Area: d.Area, Table: d.Table, Key: d.Key, Columns: d.Columns, Checks: d.Checks, Enabled: d.Enabled == nil || *d.Enabled}
	if d.NewerThan != nil {
		p.NewerThan = *d.NewerThan
	}
	return p, p.validate()
}

func jsonReason(err error) string {
	switch e := err.(type) { //nolint:errorlint // Decode returns them bare
	case *json.SyntaxError:
		return fmt.Sprintf("no JSON, at byte %d", e.Offset)
	case *json.UnmarshalTypeError:
		where := "it"
		if e.Field != "" {
			where = quoted(e.Field)
		}
		return fmt.Sprintf("%s must not be of type %s", where, e.Value)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "the JSON ends early"
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

// JSON is the definition with every key.
func (p Pipe) JSON() []byte {
	d := document{Name: p.Name, Area: p.Area, Table: p.Table, Key: p.Key, Columns: p.Columns, Checks: p.Checks, Enabled: &p.Enabled}
	if p.NewerThan != "" {
		d.NewerThan = &p.NewerThan
	}
	if d.Key == nil {
		d.Key = []string{}
	}
	if d.Columns == nil {
		d.Columns = map[string]string{}
	}
	if d.Checks == nil {
		d.Checks = []Check{}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(d)
	return bytes.TrimSpace(b.Bytes())
}

var pipeName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,127}$`)

// validate judges what a definition says by itself.
func (p Pipe) validate() error {
	if !pipeName.MatchString(p.Name) {
		return errs.New(errs.InvalidArgument, "Invalid pipe name: %s. Names start with a letter or underscore and contain only letters, digits, underscores, dots and dashes.", quoted(p.Name))
	}
	if err := CheckArea(p.Area); err != nil {
		return err
	}
	if err := distinct("key", p.Key); err != nil {
		return err
	}
	if p.NewerThan != "" && len(p.Key) == 0 {
		return errs.New(errs.InvalidArgument, "newer_than requires a key")
	}
	var from, to []string
	for f, t := range p.Columns {
		from, to = append(from, f), append(to, t)
	}
	slices.Sort(from)
	slices.Sort(to)
	for _, names := range [][]string{from, to} {
		if err := distinct("columns", names); err != nil {
			return err
		}
	}
	for i, c := range p.Checks {
		if err := c.validate(); err != nil {
			return errs.New(errs.InvalidArgument, "check %d: %v", i+1, err)
		}
	}
	return nil
}

// distinct refuses empty names and names that repeat but for case.
func distinct(where string, names []string) error {
	seen := map[string]bool{}
	for _, n := range names {
		if strings.TrimSpace(n) == "" {
			return errs.New(errs.InvalidArgument, "%s has an empty name", where)
		}
		if seen[strings.ToLower(n)] {
			return errs.New(errs.InvalidArgument, "%s names %s twice", where, quoted(n))
		}
		seen[strings.ToLower(n)] = true
	}
	return nil
}

func (c Check) validate() error {
	set := 0
	for _, is := range []bool{c.NotNull != nil, c.Unique != nil, c.Expr != ""} {
		if is {
			set++
		}
	}
	if set != 1 || len(c.NotNull)+len(c.Unique) == 0 && c.Expr == "" {
		return errs.New(errs.InvalidArgument, "give one of not_null, unique (lists of columns) and expr")
	}
	if err := distinct("not_null", c.NotNull); err != nil {
		return err
	}
	return distinct("unique", c.Unique)
}

// target tells what two pipes of one area may not share: table and key.
func (p Pipe) target() string {
	key := make([]string, len(p.Key))
	for i, k := range p.Key {
		key[i] = strings.ToLower(k)
	}
	slices.Sort(key)
	text, _ := json.Marshal([]any{strings.ToLower(p.Table), key})
	return string(text)
}

// CreatePipe stores a pipe. A second one from the area into the table by the
// same key is refused.
func (s *Store) CreatePipe(ctx context.Context, g rbac.Grant, p Pipe) error {
	if err := p.validate(); err != nil {
		return err
	}
	if err := catalog.CheckTableName(p.Table, s.Super); err != nil {
		return err
	}
	for _, name := range []string{p.Area, p.Table} {
		if err := rbac.NotOwnRecords(name); err != nil {
			return err
		}
	}
	if err := control(g, p); err != nil {
		return err
	}
	if err := s.conditions(ctx, p.Checks); err != nil {
		return err
	}
	return s.Catalog.AddPipe(ctx, catalog.Pipe{
		Name: p.Name, Area: p.Area, Table: p.Table, Target: p.target(), Definition: string(p.JSON()), Created: s.Now(), Principal: g.Principal().Name(),
	}, s.still(g, p.controlled))
}

// control asks for CONTROL on both ends of a pipe (decision 12).
func control(g rbac.Grant, p Pipe) error {
	if !g.Permits(rbac.Control, p.Area) || !g.Permits(rbac.Control, p.Table) {
		return errs.New(errs.Denied, "You don't have permission to define pipes here (%s).", rbac.Control)
	}
	return nil
}

func (p Pipe) controlled(g rbac.Grant) error { return control(g, p) }

// conditions proves the expressions of checks.
func (s *Store) conditions(ctx context.Context, checks []Check) error {
	if !slices.ContainsFunc(checks, func(c Check) bool { return c.Expr != "" }) {
		return nil
	}
	eng, err := s.Engine(ctx)
	if err != nil {
		return err
	}
	conn, err := eng.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	for i, c := range checks {
		if c.Expr == "" {
			continue
		}
		if _, err := s.Condition(ctx, conn, c.Expr); err != nil {
			return errs.Wrap(errs.KindOf(err), err, "check %d: %s", i+1, err.Error())
		}
	}
	return nil
}

// Pipes lists the pipes whose definitions the grant may see.
func (s *Store) Pipes(ctx context.Context, g rbac.Grant) ([]Pipe, error) {
	all, err := s.pipes(ctx, "")
	out := []Pipe{}
	for _, p := range all {
		if control(g, p) == nil {
			out = append(out, p)
		}
	}
	return out, err
}

func (s *Store) pipes(ctx context.Context, name string) ([]Pipe, error) {
	var out []Pipe
	err := s.Catalog.Read(ctx, func(v *catalog.View) error {
		list, err := v.Pipes(ctx, name)
		for _, c := range list {
			p, perr := ParsePipe([]byte(c.Definition))
			if perr != nil {
				return errs.Wrap(errs.Corrupt, perr, "the definition of the pipe %s cannot be read", c.Name)
			}
			out = append(out, p)
		}
		return err
	})
	return out, err
}

// pipe finds a pipe that the grant may run or see; any other is NotFound.
func (s *Store) pipe(ctx context.Context, g rbac.Grant, name string) (Pipe, error) {
	list, err := s.pipes(ctx, name)
	if err != nil {
		return Pipe{}, err
	}
	if name == "" || len(list) == 0 || !runs(g, list[0]) && control(g, list[0]) != nil {
		return Pipe{}, errs.New(errs.NotFound, "Pipe not found: %s", quoted(name))
	}
	return list[0], nil
}

func runs(g rbac.Grant, p Pipe) bool {
	return g.Permits(rbac.Write, p.Area) && g.Permits(rbac.Write, p.Table)
}

// DeletePipe removes a pipe; false when there is none. What it loaded stays.
func (s *Store) DeletePipe(ctx context.Context, g rbac.Grant, name string) (bool, error) {
	p, err := s.pipe(ctx, g, name)
	if errs.KindOf(err) == errs.NotFound {
		return false, nil
	}
	if err == nil {
		err = control(g, p)
	}
	if err != nil {
		return false, err
	}
	return s.Catalog.DeletePipe(ctx, p.Name, s.still(g, p.controlled))
}

// EnablePipe lets a pipe run, or stops it from running.
func (s *Store) EnablePipe(ctx context.Context, g rbac.Grant, name string, on bool) (Pipe, error) {
	p, err := s.pipe(ctx, g, name)
	if err == nil {
		err = control(g, p)
	}
	if err != nil {
		return p, err
	}
	p.Enabled = on
	found, err := s.Catalog.SetPipe(ctx, p.Name, string(p.JSON()), s.still(g, p.controlled))
	if err == nil && !found {
		err = errs.New(errs.NotFound, "Pipe not found: %s", quoted(name))
	}
	return p, err
}
