package supertable

import (
	"context"
	"sort"
	"strconv"
	"strings"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/engine"
	"github.com/supertable-go/supertable/ingest"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/rbac"
)

// numberParam gives a number text the smallest exact form.
func numberParam(s string) any {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n
	}
	if strings.ContainsAny(s, "eE") {
		if f, err := strconv.ParseFloat(s, 64); err == nil {
			return f
		}
	}
	return engine.Decimal(s)
}

// Alter changes a table's schema.
func (s *Session) Alter(ctx context.Context, table string, a Alteration) (_ AlterResult, err error) {
	defer s.audited(&ctx, "alter", a.describe(), table)(&err)
	g, err := s.mayChange(ctx, rbac.Create, table)
	if err == nil {
		err = rbac.NotOwnRecords(a.Rename)
	}
	if err == nil && (a.Add != nil && a.Add.Name == "" || a.Type != nil && a.Type.Name == "") {
		err = errs.New(errs.InvalidArgument, "the column's name is missing")
	}
	if err != nil {
		return AlterResult{}, err
	}
	step := ingest.Alteration{Rename: a.Rename, Drop: a.Drop}
	if a.Add != nil {
		step.Add, step.AddType, step.Default = a.Add.Name, a.Add.Type, a.Add.Default
	}
	if a.RenameColumn != nil {
		step.From, step.To = a.RenameColumn.From, a.RenameColumn.To
	}
	if a.Type != nil {
		step.Retype, step.NewType, step.Cast = a.Type.Name, a.Type.Type, a.Type.Cast
	}
	name, snapshot, err := s.st.writer.Alter(ctx, g, table, step)
	if err != nil {
		return AlterResult{}, s.named(err, table)
	}
	return AlterResult{Table: name, Snapshot: snapshot}, nil
}

// mayChange asks for p on a table that is not the SuperTable's own.
func (s *Session) mayChange(ctx context.Context, p rbac.Permission, table string) (rbac.Grant, error) {
	if err := rbac.NotOwnRecords(table); err != nil {
		return rbac.Grant{}, err
	}
	g, err := s.authorize(ctx)
	if err == nil {
		err = permit(g, p, table)
	}
	return g, err
}

// named words a missing table as every other call does.
func (s *Session) named(err error, table string) error {
	if errs.KindOf(err) == errs.NotFound && strings.HasPrefix(err.Error(), "Table not found") {
		return errs.New(errs.NotFound, "Table not found: %s/%s/%s", s.st.org, s.st.name, table)
	}
	return err
}

// DropTable drops table; dropped is false when there is none. Earlier snapshots still read it.
func (s *Session) DropTable(ctx context.Context, table string) (dropped bool, err error) {
	defer s.audited(&ctx, "drop", "", table)(&err)
	g, err := s.mayChange(ctx, rbac.Control, table)
	if err != nil {
		return false, err
	}
	err = s.st.writer.Drop(ctx, g, table)
	if errs.KindOf(err) == errs.NotFound {
		return false, nil
	}
	return err == nil, err
}

// DropSuperTable removes the whole SuperTable: catalog, data and staging. The
// mark in the catalog comes first, so that no writer can commit any more.
func (s *Session) DropSuperTable(ctx context.Context) (err error) {
	defer s.audited(&ctx, "drop_super", "", "")(&err)
	if err := s.need(ctx, rbac.Control, ""); err != nil {
		return err
	}
	if err := s.st.acceptsWrites(ctx); err != nil {
		return err
	}
	if err := s.st.catalog.MarkDropped(ctx, s.still(rbac.Control, "")); err != nil {
		return err
	}
	s.st.lake.forget(s.st)
	_ = s.st.close()
	return s.st.lake.removeDropped(ctx, s.st.folder)
}

// Options lists the options that hold for table, or for the SuperTable when table is "".
func (s *Session) Options(ctx context.Context, table string) (out []Option, err error) {
	defer s.guarded(ctx, "options", table)(&err)
	err = s.withView(ctx, func(v *catalog.View, g rbac.Grant) error {
		if table == "" && len(g.Roles()) == 0 { // they are for all who may do something here
			return permit(g, rbac.Meta, "")
		}
		super, err := v.Options(ctx, catalog.SuperOptions)
		if err != nil {
			return err
		}
		own := map[string]string{}
		if table != "" {
			t, err := s.table(ctx, v, g, table)
			if err != nil {
				return err
			}
			if own, err = v.Options(ctx, t.ID); err != nil {
				return err
			}
		}
		for _, d := range ingest.OptionDefaults {
			o := Option{Name: d.Name, Value: strconv.FormatInt(d.Value, 10), Scope: "default", Seconds: d.Seconds}
			if val, ok := super[d.Name]; ok {
				o.Value, o.Scope = val, "super"
			}
			if val, ok := own[d.Name]; ok {
				o.Value, o.Scope = val, "table"
			}
			out = append(out, o)
		}
		sort.Slice(out, func(i, k int) bool { return out[i].Name < out[k].Name })
		return nil
	})
	return out, err
}

// SetOption sets an option of table, or of the SuperTable when table is "".
// An empty value removes the setting.
func (s *Session) SetOption(ctx context.Context, table, name, value string) (err error) {
	defer s.audited(&ctx, "option_set", name+"="+value, table)(&err)
	if err := s.need(ctx, optionNeeds(name), table); err != nil {
		return err
	}
	if s.st.catalog.Foreign() {
		return s.st.acceptsWrites(ctx)
	}
	if err := ingest.CheckOption(name, value); err != nil {
		return err
	}
	if table != "" && auditOption(name) {
		return errs.New(errs.InvalidArgument, "option %s is the SuperTable's: set it without a table", strings.ToLower(name))
	}
	id := int64(catalog.SuperOptions)
	if table != "" && ingest.SuperOnly(name) {
		return errs.New(errs.InvalidArgument, "option %s is the SuperTable's: it cannot be set for one table", strings.ToLower(name))
	}
	if table != "" {
		err := s.withView(ctx, func(v *catalog.View, g rbac.Grant) error {
			t, err := s.table(ctx, v, g, table)
			id = t.ID
			return err
		})
		if err != nil {
			return err
		}
	}
	return s.st.catalog.SetOption(ctx, id, strings.ToLower(name), value, s.optionable(optionNeeds(name), table, id))
}

// optionable asks inside the transaction whether the option may be set, of the
// table that the name means there.
func (s *Session) optionable(p rbac.Permission, table string, id int64) catalog.Allow {
	may := s.still(p, table)
	return func(ctx context.Context, v *catalog.View) error {
		if err := may(ctx, v); err != nil || id == catalog.SuperOptions {
			return err
		}
		if t, err := v.TableByID(ctx, id, v.Head.ID); err != nil || !strings.EqualFold(t.Name, table) {
			return errs.New(errs.NotFound, "Table not found: %s/%s/%s", s.st.org, s.st.name, table)
		}
		return nil
	}
}

// SetReadOnly makes the SuperTable refuse every write, or accept them again.
func (s *Session) SetReadOnly(ctx context.Context, readOnly bool) (err error) {
	defer s.audited(&ctx, map[bool]string{true: "read_only", false: "read_write"}[readOnly], "", "")(&err)
	if err := s.need(ctx, rbac.Create, ""); err != nil {
		return err
	}
	return s.st.catalog.SetReadOnly(ctx, readOnly, s.still(rbac.Create, ""))
}
