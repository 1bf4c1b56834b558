package query

import (
	"context"
	"errors"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/supertable-go/supertable/engine"
	"github.com/supertable-go/supertable/internal/errs"
)

// The engine's messages suggest names and carry paths, so none leaves this
// package unless it is worded here.
var (
	missingColumn = regexp.MustCompile(`(?i)(?:Referenced column|does not have a column named|Column|column name|EXCLUDE list:? Column|REPLACE list:? Column) "((?:[^"]|"")+)"`)
	fileName      = regexp.MustCompile(`[^\s"':]*/([^\s"':/]+\.parquet)`)
	viewName      = regexp.MustCompile(`"?v_[0-9a-f]{16}_\d+"?( AS (\w+|"[^"]+"))?`)
	sourceColumn  = regexp.MustCompile(` when casting from source column (\w+)`)
	hints         = regexp.MustCompile(`(?s)\s*(?:Did you mean|Candidate|LINE \d+:|\n).*$`)
)

// wordError turns an error of the engine into one that may be shown.
func (q *run) wordError(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if cerr := errs.FromContext(ctx, "query"); cerr != nil {
		return cerr
	}
	var ee *engine.Error
	if !errors.As(err, &ee) {
		return err
	}
	text := q.plain(ee.Message)
	switch ee.Class {
	case "parser", "binder", "catalog", "syntax", "parameter not resolved", "parameter not allowed", "not implemented", "mismatch type", "sequence", "expression":
		if names := q.missing(ee.Message); names != "" {
			return errs.Wrap(errs.InvalidArgument, err, "Missing column(s): %s", names)
		}
		return errs.Wrap(errs.InvalidArgument, err, "%s", text)
	case "conversion", "invalid input", "out of range", "divide by zero", "constraint", "invalid type", "decimal", "mismatch":
		return errs.Wrap(errs.InvalidArgument, err, "%s", text)
	case "io", "corrupt", "serialization":
		if m := fileName.FindStringSubmatch(ee.Message); m != nil {
			return errs.Wrap(errs.Corrupt, err, "the file %s cannot be read or is not what was written", filepath.Base(m[1]))
		}
		return errs.Wrap(errs.Unavailable, err, "the engine could not use the disk; when it is full, free some space and try again")
	case "out of memory":
		return errs.Wrap(errs.Unavailable, err, "the query needs more memory than it may use")
	case "permission":
		return errs.Wrap(errs.Denied, err, "the statement is not allowed")
	case "interrupt":
		return errs.Wrap(errs.Cancelled, err, "query: cancelled")
	}
	if m := fileName.FindStringSubmatch(ee.Message); m != nil {
		return errs.Wrap(errs.Corrupt, err, "the file %s cannot be read or is not what was written", filepath.Base(m[1]))
	}
	if derr := q.damaged(ctx); derr != nil {
		return derr
	}
	return errs.Wrap(errs.Internal, err, "the engine could not run the query (%s)", ee.Class)
}

// notFound finds what the engine says of a column that is not there. It may name
// the table in front of it, or nothing that a pattern can tell.
var notFound = regexp.MustCompile(`not found|does not have a column|does not exist on (left|right) side`)

// missing names the columns that a message says are not there, or gives "".
func (q *run) missing(message string) string {
	if !notFound.MatchString(message) {
		return ""
	}
	if m := missingColumn.FindStringSubmatch(message); m != nil {
		return strings.ReplaceAll(m[1], `""`, `"`)
	}
	if strings.Contains(message, "Referenced ") {
		return strings.Join(q.bound.Missing, ", ")
	}
	return ""
}

// damaged looks whether a file of the statement is not what was written: the
// engine says of some kinds of damage only that it cannot go on.
func (q *run) damaged(ctx context.Context) error {
	for _, r := range q.refs {
		for _, m := range r.members {
			if m.scan == nil {
				continue
			}
			if err := r.super.Catalog.Damaged(ctx, m.scan.Files()); err != nil {
				return err
			}
		}
	}
	return nil
}

// unview puts the names of tables back where our views have taken their places.
func (q *run) unview(s string) string {
	return viewName.ReplaceAllStringFunc(s, func(m string) string {
		view, alias, _ := strings.Cut(m, " AS ")
		for _, r := range q.refs {
			if !strings.Contains(view, r.view) {
				continue
			}
			if alias == "" || strings.EqualFold(strings.Trim(alias, `"`), r.t.Name) {
				return r.t.Name
			}
			return r.t.Name + " AS " + alias
		}
		return "a table"
	})
}

// plain takes hints, paths and the names of views out of a message.
func (q *run) plain(s string) string {
	s = hints.ReplaceAllString(s, "")
	s = fileName.ReplaceAllString(s, "$1")
	s = q.unview(s)
	s = sourceColumn.ReplaceAllStringFunc(s, func(m string) string {
		name := m[strings.LastIndexByte(m, ' ')+1:]
		switch column, ok := q.columnOf(name); {
		case ok:
			return strings.TrimSuffix(m, name) + column
		case scanColumn.MatchString(name):
			return ""
		}
		return m
	})
	if s = strings.TrimSpace(s); s == "" {
		return "the statement cannot be run"
	}
	return s
}
