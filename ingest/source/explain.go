package source

import (
	"context"
	"errors"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/supertable-go/supertable/engine"
	"github.com/supertable-go/supertable/internal/errs"
)

// Explain turns an error of a statement that read the relation into a typed
// one that names the input, and where in it the trouble lies. An error that
// does not come from reading the inputs is returned as it is.
func (r *Relation) Explain(err error) error {
	if err == nil {
		return nil
	}
	if typed, ok := errors.AsType[*errs.Error](err); ok {
		return typed
	}
	for _, s := range r.streams {
		if s.err != nil {
			return s.err
		}
	}
	var ee *engine.Error
	if !errors.As(err, &ee) {
		return err
	}
	if _, rest, ok := strings.Cut(ee.Message, outOfRange); ok {
		return r.beyond(rest)
	}
	in := r.blamed(ee)
	if in == nil {
		return err
	}
	return readError(in, ee)
}

// beyond words a value that the type of its column in all inputs together does
// not reach.
func (r *Relation) beyond(rest string) error {
	column, value, _ := strings.Cut(rest, ":")
	value, _, _ = strings.Cut(value, "\n")
	i, err := strconv.Atoi(column)
	if err != nil || i >= len(r.Columns) {
		return errs.New(errs.TypeConflict, "a value of the inputs does not fit the type that they have together: %s", quoteShort(value))
	}
	return errs.New(errs.TypeConflict, "column %s: %s does not fit %s, which the inputs have together: cast one of the inputs",
		quoteShort(r.Columns[i].Name), quoteShort(value), oneLine(r.Columns[i].Type, 80))
}

// blamed finds the input that a message speaks of.
func (r *Relation) blamed(e *engine.Error) *input {
	var only *input
	files, form := 0, ""
	for _, p := range r.parts {
		for _, f := range p.files {
			if strings.Contains(e.Message, f.path) {
				return f
			}
			if only == nil {
				form = f.form
			} else if form != f.form {
				form = "" // of different ones
			}
			only = f
			files++
		}
	}
	switch {
	case files == 0 || e.Class != "other" && !reading.MatchString(e.Message):
		return nil
	case files == 1:
		return only
	}
	return &input{name: "one of the inputs", form: form}
}

var (
	reading    = regexp.MustCompile(`(?i)csv|json|parquet|thrift|snappy|zstd|gzip|decompress|data page|out of buffer`)
	csvLine    = regexp.MustCompile(`CSV Error on Line: (\d+)`)
	csvConvert = regexp.MustCompile(`Error when converting column "((?:[^"]|"")*)"\. Could not convert string "((?:.|\n)*?)" to '([^']*)'`)
	jsonPlace  = regexp.MustCompile(`in (?:file "[^"]*", )?(?:at byte \d+ )?in (line|record/value) (\d+)`)
	pathLike   = regexp.MustCompile(`(?:[A-Za-z]:)?[/\\][^\s"',;:]*[/\\][^\s"',;:]*`)
)

// readError makes one line of what the engine says about a file.
func readError(in *input, e *engine.Error) error {
	name, message := in.name, e.Message
	if in.path != "" { // a copy's name is nobody's
		message = strings.ReplaceAll(strings.ReplaceAll(message, in.path, name), filepath.Base(in.path), name)
	}
	switch {
	case e.Class == "interrupt":
		return errs.Wrap(errs.Cancelled, e, "%s: cancelled", name)
	case e.Class == "out of memory":
		return errs.Wrap(errs.Unavailable, e, "%s: reading it needs more memory than is allowed", name)
	case strings.Contains(message, "No files found"), strings.Contains(message, "Cannot open file"):
		return errs.Wrap(errs.NotFound, e, "%s: no such file", name)
	case strings.Contains(message, "expression depth"):
		return errs.Wrap(errs.TypeConflict, e, "%s: a value is nested too deep: give its column the type JSON", name)
	case strings.Contains(message, "encrypt"):
		return errs.Wrap(errs.Unsupported, e, "%s: encrypted files cannot be read", name)
	}
	if in.form == fParquet && e.Class != "conversion" {
		return parquetError(name, e)
	}
	where := name
	if m := csvLine.FindStringSubmatch(message); m != nil {
		where += ": line " + m[1]
	} else if m := jsonPlace.FindStringSubmatch(message); m != nil {
		where += ": about " + strings.TrimSuffix(m[1], "/value") + " " + m[2]
	}
	if m := csvConvert.FindStringSubmatch(message); m != nil {
		return errs.Wrap(errs.TypeConflict, e, "%s: column %s: %s is not %s", where, quoteShort(m[1]), quoteShort(m[2]), m[3])
	}
	kind := errs.InvalidArgument
	if e.Class == "conversion" {
		kind = errs.TypeConflict
	}
	return errs.Wrap(kind, e, "%s: %s", where, plainReason(message))
}

// parquetError words what the engine says of a Parquet file. A form that it does
// not know has no class of its own: some are told by the words alone.
func parquetError(name string, e *engine.Error) error {
	message := strings.ToLower(e.Message)
	switch {
	case strings.Contains(message, "non-root column"):
		return errs.Wrap(errs.InvalidArgument, e, "%s: the Parquet file has no columns", name)
	case e.Class == "not implemented", strings.Contains(message, "unsupported"), strings.Contains(message, "not supported"):
		return errs.Wrap(errs.Unsupported, e, "%s: the Parquet file is in a form that cannot be read here", name)
	}
	return errs.Wrap(errs.InvalidArgument, e, "%s: not a whole Parquet file: it is damaged", name)
}

// plainReason is the part of a message of the engine that says what is wrong,
// without paths and advice.
func plainReason(message string) string {
	best := ""
	for line := range strings.SplitSeq(message, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "CSV Error") || strings.HasPrefix(line, "Original Line") {
			continue
		}
		best = line
		break
	}
	if i := strings.Index(best, jsonPlace.FindString(best)); i >= 0 {
		if place := jsonPlace.FindString(best); place != "" {
			best = strings.TrimLeft(best[i+len(place):], ": ")
		}
	}
	best = pathLike.ReplaceAllStringFunc(best, func(p string) string {
		return p[strings.LastIndexAny(p, `/\`)+1:]
	})
	if best == "" {
		return "cannot be read"
	}
	return oneLine(best, 160)
}

// engineError types an error of a statement of our own about one input.
func engineError(ctx context.Context, in *input, err error) error {
	if typed := errs.FromContext(ctx, in.name); typed != nil {
		return typed
	}
	if typed, ok := errors.AsType[*errs.Error](err); ok {
		return typed
	}
	if ee, ok := errors.AsType[*engine.Error](err); ok {
		return readError(in, ee)
	}
	return errs.Wrap(errs.Internal, err, "%s: cannot be read", in.name)
}
