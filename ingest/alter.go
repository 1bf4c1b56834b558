package ingest

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/engine"
	"github.com/supertable-go/supertable/ingest/source"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/rbac"
)

// Alteration is one change of a table's schema; one group of fields is set.
type Alteration struct {
	Rename       string
	Add, AddType string
	Default      *string
	Drop         string
	From, To     string
	Retype       string
	NewType      string
	Cast         bool
}

// Alter changes a table's schema as one snapshot; it returns the table's name
// after it.
func (w *Writer) Alter(ctx context.Context, g rbac.Grant, table string, a Alteration) (string, int64, error) {
	if !g.Permits(rbac.Create, table) { // I6
		return "", 0, errs.New(errs.Denied, "You don't have permission to alter this table.")
	}
	if a.Retype != "" && a.Cast {
		return w.cast(ctx, g, table, a)
	}
	if a.Default != nil {
		text, err := w.defaultText(ctx, a)
		if err != nil {
			return "", 0, err
		}
		a.Default = text
	}
	name := table
	done, err := w.Catalog.Commit(ctx, func(ctx context.Context, v *catalog.View) (*catalog.Change, error) {
		if err := w.permit(ctx, v, g, rbac.Create, table); err != nil {
			return nil, err
		}
		if a.Rename != "" { // the rules of the new name will hold for it
			if err := w.permit(ctx, v, g, rbac.Create, a.Rename); err != nil {
				return nil, err
			}
		}
		t, err := v.Table(ctx, table, v.Head.ID)
		if err != nil {
			return nil, err
		}
		name = t.Name
		ch := &catalog.Change{Table: t, Record: catalog.Record{Operation: "alter", Principal: g.Principal().Name()}}
		if err := w.covered(ctx, v, t.Name, a); err != nil {
			return nil, err
		}
		if a.Rename != "" {
			name = a.Rename
			return ch, w.rename(ctx, v, t, a.Rename, ch)
		}
		cols, err := v.Columns(ctx, t.ID, v.Head.ID)
		if err != nil {
			return nil, err
		}
		next, err := v.NextColumnID(ctx, t.ID)
		if err != nil {
			return nil, err
		}
		if ch.Columns, err = alterColumns(cols, next, a); err == nil && a.Retype != "" {
			err = checkRetype(ctx, v, t, cols, a, ch.Columns)
		}
		ch.OnlyWriteID = err == nil && reflect.DeepEqual(ch.Columns, cols) // no change, no snapshot (decision 24)
		return ch, err
	})
	return name, done.Snapshot, err
}

// covered refuses a rename that would show what some role hides.
func (w *Writer) covered(ctx context.Context, v *catalog.View, table string, a Alteration) error {
	if a.Rename == "" && a.From == "" {
		return nil
	}
	p, err := w.Policy(ctx, v)
	switch {
	case err != nil:
		return err
	case a.Rename != "":
		return p.CheckRename(table, a.Rename, nil)
	}
	return p.CheckRename(table, table, map[string]string{a.From: a.To})
}

func (w *Writer) rename(ctx context.Context, v *catalog.View, t catalog.Table, name string, ch *catalog.Change) error {
	if err := catalog.CheckTableName(name, w.Super); err != nil {
		return err
	}
	other, err := v.Table(ctx, name, v.Head.ID)
	if err == nil && (other.ID != t.ID || other.Name == name) {
		return errs.New(errs.AlreadyExists, "a table named %s exists already", name)
	}
	if err != nil && errs.KindOf(err) != errs.NotFound {
		return err
	}
	ch.Rename, ch.Record.Operation = name, "rename"
	return nil
}

// alterColumns gives the columns after the change. It is a pure function.
func alterColumns(cols []datafile.Column, next int64, a Alteration) ([]datafile.Column, error) {
	out := append([]datafile.Column{}, cols...)
	find := func(name string) (int, error) {
		if i := datafile.FindColumn(out, name); i >= 0 {
			return i, nil
		}
		return 0, errs.New(errs.InvalidArgument, "Missing column(s): %s", name)
	}
	taken := func(name string, but int) error {
		if i := datafile.FindColumn(out, name); i >= 0 && i != but {
			return errs.New(errs.AlreadyExists, "a column named %q exists already", out[i].Name)
		}
		return checkInput([]inColumn{{Name: name}}, Options{})
	}
	switch {
	case a.Add != "":
		t, err := storableType(a.Add, a.AddType)
		if err != nil {
			return nil, err
		}
		if err := taken(a.Add, -1); err != nil {
			return nil, err
		}
		out = append(out, datafile.Column{Name: a.Add, Type: t, Nullable: true, InitialDefault: a.Default, Default: a.Default})
		datafile.AssignIDs(out, next)
	case a.Drop != "":
		i, err := find(a.Drop)
		if err != nil {
			return nil, err
		}
		if len(out) == 1 {
			return nil, errs.New(errs.InvalidArgument, "the table's only column cannot be dropped; drop the table instead")
		}
		out = append(out[:i:i], out[i+1:]...)
	case a.From != "":
		i, err := find(a.From)
		if err != nil {
			return nil, err
		}
		if err := taken(a.To, i); err != nil {
			return nil, err
		}
		out[i].Name = a.To
	case a.Retype != "":
		i, err := find(a.Retype)
		if err != nil {
			return nil, err
		}
		t, err := storableType(a.Retype, a.NewType)
		if err != nil {
			return nil, err
		}
		if out[i].Type.Nested() || t.Nested() || !datafile.Widens(out[i].Type, t) {
			return nil, needsCast(out[i], t)
		}
		out[i].Type = t
	default:
		return nil, errs.New(errs.InvalidArgument, "nothing to alter")
	}
	return out, nil
}

func needsCast(c datafile.Column, to datafile.Type) error {
	return errs.New(errs.TypeConflict, "column %q cannot go from %s to %s without a look at its values: use --cast, which checks every one", c.Name, sqlName(c.Type), sqlName(to))
}

// checkRetype refuses a type that does not reach as far as the column's values.
func checkRetype(ctx context.Context, v *catalog.View, t catalog.Table, cols []datafile.Column, a Alteration, after []datafile.Column) error {
	i := datafile.FindColumn(cols, a.Retype)
	narrow, err := tooNarrow(ctx, v, t, cols[i], after[i].Type)
	if err == nil && narrow {
		err = needsCast(cols[i], after[i].Type)
	}
	return err
}

// storableType reads the type of a column, which data files must be able to keep.
func storableType(column, s string) (datafile.Type, error) {
	t, err := datafile.ParseSQL(s)
	if err != nil {
		return t, err
	}
	return t, source.CheckStorable([]source.Column{{Name: column, Type: t.SQL()}})
}

// defaultText gives a default in the engine's text form, after checking that
// it is a value of the type.
func (w *Writer) defaultText(ctx context.Context, a Alteration) (*string, error) {
	t, err := storableType(a.Add, a.AddType)
	if err != nil {
		return nil, err
	}
	text := *a.Default
	if strings.EqualFold(text, "null") {
		return nil, nil
	}
	if t.Nested() || t.Name == "blob" {
		return nil, errs.New(errs.Unsupported, "columns of type %s take no default", sqlName(t))
	}
	if n := len(text); n >= 2 && text[0] == '\'' && text[n-1] == '\'' {
		text = strings.ReplaceAll(text[1:n-1], "''", "'")
	}
	eng, err := w.Engine(ctx)
	if err != nil {
		return nil, err
	}
	conn, err := eng.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	lit := datafile.QuoteText(text)
	rows, err := engine.Collect(ctx, conn, fmt.Sprintf("SELECT CAST(CAST(%s AS %s) AS VARCHAR), %s", lit, t.SQL(), exactText(lit, t)), nil)
	if err != nil || rows[0][1] != true {
		return nil, errs.New(errs.TypeConflict, "the default %s is no value of type %s", cut(text), t.SQL())
	}
	s, _ := rows[0][0].(string)
	return &s, nil
}

// exactText tests that a text converts to a type without rounding.
func exactText(expr string, t datafile.Type) string {
	switch t.Name {
	case "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64":
		return fmt.Sprintf("(TRY_CAST(%s AS %s) IS NOT NULL AND regexp_full_match(%s, '\\s*[+-]?[0-9]+\\s*'))", expr, t.SQL(), expr)
	case "decimal":
		return fmt.Sprintf("(TRY_CAST(%s AS %s) IS NOT NULL AND (length(regexp_extract(%s, '\\.([0-9]*?)0*\\s*$', 1)) <= %d))", expr, t.SQL(), expr, t.Scale)
	}
	return fmt.Sprintf("(TRY_CAST(%s AS %s) IS NOT NULL)", expr, t.SQL())
}

// Drop ends a table; earlier snapshots still read it (decision 26).
func (w *Writer) Drop(ctx context.Context, g rbac.Grant, table string) error {
	if !g.Permits(rbac.Control, table) { // I6
		return errs.New(errs.Denied, "You don't have permission to drop this table.")
	}
	_, err := w.Catalog.Commit(ctx, func(ctx context.Context, v *catalog.View) (*catalog.Change, error) {
		if err := w.permit(ctx, v, g, rbac.Control, table); err != nil {
			return nil, err
		}
		t, err := v.Table(ctx, table, v.Head.ID)
		if err != nil {
			return nil, err
		}
		rows, _, _, err := v.CountLive(ctx, t, v.Head.ID)
		return &catalog.Change{Table: t, Drop: true, Record: catalog.Record{Operation: "drop", Deleted: rows, Principal: g.Principal().Name()}}, err
	})
	return err
}
