package staging

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/engine"
	"github.com/supertable-go/supertable/ingest"
	"github.com/supertable-go/supertable/ingest/source"
	"github.com/supertable-go/supertable/internal/errs"
)

// Check is something that every row of a file must keep; one field is set.
type Check struct {
	NotNull []string `json:"not_null,omitempty"`
	// Unique columns differ between any two rows of the file, as one tuple;
	// NULL equals NULL, as in keys.
	Unique []string `json:"unique,omitempty"`
	// Expr is an SQL expression over the columns; as in SQL, a row breaks it
	// where it is false, not where it is NULL.
	Expr string `json:"expr,omitempty"`
}

// String is how a reason names the check.
func (c Check) String() string {
	switch {
	case len(c.NotNull) > 0:
		return "not_null(" + strings.Join(c.NotNull, ", ") + ")"
	case len(c.Unique) > 0:
		return "unique(" + strings.Join(c.Unique, ", ") + ")"
	}
	return c.Expr
}

// fileAs is what a file is called in the statements of checks.
const fileAs = "st_file"

// checkSQL counts what breaks the check among the rows of from. The columns of
// not_null and unique are there; safe is the expression as Condition gave it.
func checkSQL(c Check, safe, from string) string {
	switch {
	case len(c.NotNull) > 0:
		tests := make([]string, len(c.NotNull))
		for i, n := range c.NotNull {
			tests[i] = datafile.Quote(n) + " IS NULL"
		}
		return "SELECT count(*) FROM (" + from + ") " + fileAs + " WHERE " + strings.Join(tests, " OR ")
	case len(c.Unique) > 0:
		names := make([]string, len(c.Unique))
		for i, n := range c.Unique {
			names[i] = datafile.Quote(n)
		}
		return "SELECT count(*) FROM (SELECT 1 FROM (" + from + ") " + fileAs + " GROUP BY " + strings.Join(names, ", ") + " HAVING count(*) > 1)"
	}
	return "SELECT count(*) FROM (SELECT (" + safe + ") AS st_condition FROM (" + from + ") " + fileAs + ") WHERE CAST(st_condition AS BOOLEAN) IS FALSE"
}

// broken words how a check failed; n is what checkSQL counted.
func (c Check) broken(n int64) string {
	rows, values := fmt.Sprintf("%d rows", n), fmt.Sprintf("%d values occur", n)
	if n == 1 {
		rows, values = "1 row", "1 value occurs"
	}
	switch {
	case len(c.NotNull) > 0:
		return c.String() + ": " + rows + " with NULL"
	case len(c.Unique) > 0:
		return c.String() + ": " + values + " more than once"
	}
	return c.String() + ": false for " + rows
}

// check runs the checks over a file as the write will read it. A file that
// breaks one is a Quality error that names all that it breaks.
func (l *load) check(ctx context.Context, f catalog.StagedFile) error {
	if len(l.checks) == 0 && !l.quarantine {
		return nil
	}
	as, err := l.tableColumns(ctx)
	if err != nil {
		return err
	}
	o, from, err := l.open(ctx, f, as)
	if err != nil {
		return fileFault(err)
	}
	defer func() { o.close() }()
	var broken []string
	for i, c := range l.checks {
		if o.rel.OneShot && i > 0 {
			o.close()
			if o, from, err = l.open(ctx, f, as); err != nil {
				return fileFault(err)
			}
		}
		why, err := l.runCheck(ctx, o, c, from)
		if err != nil {
			return err
		}
		if why != "" {
			broken = append(broken, why)
		}
	}
	if len(broken) > 0 {
		return errs.New(errs.Quality, "%s", strings.Join(broken, "; "))
	}
	return nil
}

// fileFault makes what opening a staged file refuses the file's own fault.
func fileFault(err error) error {
	if kind := errs.KindOf(err); kind == errs.Unsupported || kind == errs.NotFound {
		return errs.Wrap(errs.Quality, err, "%s", err.Error())
	}
	return err
}

// tableColumns are what a text format is read as.
func (l *load) tableColumns(ctx context.Context) (as source.Options, err error) {
	err = l.s.Catalog.Read(ctx, func(v *catalog.View) error {
		t, err := v.Table(ctx, l.table, v.Head.ID)
		if errs.KindOf(err) == errs.NotFound {
			return nil
		}
		if err != nil {
			return err
		}
		cols, err := v.Columns(ctx, t.ID, v.Head.ID)
		as.Table, as.Hollow = ingest.TableColumns(l.s.Catalog, l.g, t, cols, l.rename)
		return err
	})
	return as, err
}

// open opens a file under its new names, and under the old ones too where they
// are free: a check may use either.
func (l *load) open(ctx context.Context, f catalog.StagedFile, as source.Options) (*opened, string, error) {
	as.Format = f.Format
	o, err := l.s.read(ctx, l.s.path(f), as)
	if err != nil {
		return nil, "", err
	}
	if err := o.rel.Rename(l.rename); err != nil {
		o.close()
		return nil, "", err
	}
	columns := []string{"*"}
	for old, to := range l.rename {
		if column(o.rel.Columns, old) == "" {
			columns = append(columns, datafile.Quote(to)+" AS "+datafile.Quote(old))
		}
	}
	return o, "SELECT " + strings.Join(columns, ", ") + " FROM (" + o.rel.SQL + ")", nil
}

// column finds a column's name as the file spells it.
func column(cols []source.Column, name string) string {
	for _, c := range cols {
		if strings.EqualFold(c.Name, name) {
			return c.Name
		}
	}
	return ""
}

// runCheck says why the file breaks the check, "" when it does not.
func (l *load) runCheck(ctx context.Context, o *opened, c Check, from string) (string, error) {
	for _, name := range append(append([]string{}, c.NotNull...), c.Unique...) {
		if column(o.rel.Columns, name) == "" && !renamed(l.rename, name) {
			return fmt.Sprintf("%s: the file has no column %s", c, quoted(name)), nil
		}
	}
	safe := ""
	if c.Expr != "" { // stored text is as hostile as given text
		var err error
		safe, err = l.s.Condition(ctx, o.conn, c.Expr)
		switch errs.KindOf(err) {
		case "":
		case errs.InvalidArgument, errs.Unsupported:
			return c.String() + ": " + err.Error(), nil
		default:
			return "", err
		}
	}
	rows, err := engine.Collect(ctx, o.conn, checkSQL(c, safe, from), nil)
	if err != nil {
		return l.checkError(ctx, o, c, err)
	}
	if n, _ := rows[0][0].(int64); n > 0 {
		return c.broken(n), nil
	}
	return "", nil
}

func renamed(rename map[string]string, name string) bool {
	for old := range rename {
		if strings.EqualFold(old, name) {
			return true
		}
	}
	return false
}

// checkError tells a check that cannot be answered over this file, which is a
// reason, from trouble of the moment. Raw messages carry values and paths.
func (l *load) checkError(ctx context.Context, o *opened, c Check, err error) (string, error) {
	if typed := errs.FromContext(ctx, "check a staged file"); typed != nil {
		return "", typed
	}
	if typed, ok := errors.AsType[*errs.Error](o.rel.Explain(err)); ok {
		return "", typed
	}
	ee, ok := errors.AsType[*engine.Error](err)
	if !ok {
		return "", err
	}
	switch ee.Class {
	case "binder", "catalog", "parser":
		return c.String() + ": does not fit the columns of the file", nil
	case "conversion", "invalid input", "out of range":
		return c.String() + ": fails on a value of the file", nil
	}
	return "", errs.Wrap(errs.Unavailable, err, "check %s could not be run; try again", quoted(c.String()))
}
