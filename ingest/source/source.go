// Package source turns input files into one relation that the engine reads
// straight into a data file, with no value rounded, cut or nulled on the way.
//
// Parquet goes through untouched: only the footers are looked at, and those
// columns whose type the engine would cut. CSV and JSON are read once before
// the engine reads them, which decides the types over all rows (never over a
// sample), finds the line of a value that does not fit a given type, and shows
// where the engine's own conversion would lose digits. Arrow streams through.
//
// Text formats follow these rules. A table's types, or those the caller gives,
// hold strictly: a value that they cannot hold exactly is an error. Otherwise a
// column becomes the first of BOOLEAN, BIGINT, DOUBLE, DECIMAL(38,s), DATE,
// TIME, TIMESTAMP, TIMESTAMP_NS, TIMESTAMP WITH TIME ZONE that holds every
// value exactly, else VARCHAR. Only ISO dates count as dates, and 007 and +420
// stay text. A CSV file has a header, is UTF-8, separated by comma, tab,
// semicolon or bar; an empty field is NULL, "" is an empty text. BLOB is
// base64, nested values in CSV are JSON, JSON objects are structs, and JSON
// columns of mixed kinds stay JSON.
package source

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/supertable-go/supertable/engine"
	"github.com/supertable-go/supertable/internal/errs"
)

// Options of Open.
type Options struct {
	// Format of every input: "parquet", "arrow", "csv", "json" or "ndjson"
	// (json and ndjson both accept an array, lines, and objects in a row).
	// Defaults to the suffix of each name, before .gz or .zst.
	Format string
	// Declared gives types to columns of text formats; it wins over Table.
	// Every name must be in an input. Defaults to none.
	Declared []Column
	// Table is what the existing table's columns are: text formats are read as
	// these types. Nil when there is no table.
	Table []Column
	// Hollow tells of a column of Table, by its name there, whether it never had
	// a value: then it is asked when a text format has one that its type does not
	// hold, and the column's type is inferred. Defaults to no column.
	Hollow func(ctx context.Context, column string) (bool, error)
	// SpillDir is where inputs that can be read only once, or that the engine
	// cannot read as they are, are copied to. Defaults to the system's folder.
	SpillDir string
	// Stdin is what the path "-" reads. Defaults to nil: "-" is a file name.
	Stdin io.Reader
}

// Relation is what the inputs hold, as one relation on one connection.
type Relation struct {
	// SQL is a SELECT for use in FROM (…). It yields Columns in their order.
	SQL string
	// Columns are in the order of their first appearance, in its spelling.
	Columns []Column
	// OneShot says that SQL can run only once.
	OneShot bool
	// Bytes is the size of the inputs.
	Bytes int64
	// Rows is how many rows SQL yields, -1 when that is not known before.
	Rows int64

	parts    []*part
	streams  []*stream
	releases []func()
	temps    []string
}

// Open looks at the inputs and returns one relation over all of them, united
// by column name. The caller closes it after the statements that read it.
func Open(ctx context.Context, c engine.Conn, paths []string, o *Options) (*Relation, error) {
	if o == nil {
		o = &Options{}
	}
	r := &Relation{}
	if err := r.open(ctx, c, paths, o); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

func (r *Relation) open(ctx context.Context, c engine.Conn, paths []string, o *Options) error {
	types, err := wantedOf(o)
	if err != nil {
		return err
	}
	ins, err := r.inputsOf(ctx, paths, o)
	if err != nil {
		return err
	}
	var parquets, texts []*input
	for _, in := range ins {
		switch in.form {
		case fParquet:
			parquets = append(parquets, in)
		case fArrow:
			err = r.openArrow(ctx, c, in)
		default:
			texts = append(texts, in)
		}
		if err != nil {
			return err
		}
	}
	if err := r.openParquet(ctx, c, parquets); err != nil {
		return err
	}
	csvs, jsons, err := r.scanTexts(ctx, texts, o, types)
	if err != nil {
		return err
	}
	more, err := csvs.parts(ctx)
	if err != nil {
		return err
	}
	r.parts = append(r.parts, more...)
	more, err = jsons.parts(ctx)
	if err != nil {
		return err
	}
	r.parts = append(r.parts, more...)
	slices.SortStableFunc(r.parts, func(a, b *part) int { return a.in.index - b.in.index })
	if err := types.allUsed(o, r.parts); err != nil {
		return err
	}
	return r.unite()
}

// scanTexts looks at all text inputs. Where a value does not fit a column of
// the table that never had one, it begins again and infers the column's type.
func (r *Relation) scanTexts(ctx context.Context, texts []*input, o *Options, types wanted) (*csvInputs, *jsonInputs, error) {
	for {
		csvs := &csvInputs{rel: r, o: o, types: types, columns: map[string]*csvColumn{}}
		jsons := newJSONInputs(r, o, types)
		err := scanAll(ctx, texts, csvs, jsons)
		if err == nil {
			return csvs, jsons, nil
		}
		if free, ferr := types.free(ctx, err, o); !free {
			return nil, nil, cmp.Or(ferr, err)
		}
	}
}

func scanAll(ctx context.Context, texts []*input, csvs *csvInputs, jsons *jsonInputs) (err error) {
	for _, in := range texts {
		if in.form == fCSV {
			err = csvs.scan(ctx, in)
		} else {
			err = jsons.scan(ctx, in)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Text reports whether an input is of a text format, whose types depend on
// those that it was opened with.
func (r *Relation) Text() bool {
	return slices.ContainsFunc(r.parts, func(p *part) bool { return p.in.text() })
}

// Close releases streams and removes temporary copies.
func (r *Relation) Close() error {
	var first error
	for _, release := range r.releases {
		release()
	}
	for _, s := range r.streams {
		s.Close()
	}
	for _, name := range r.temps {
		if err := os.Remove(name); err != nil && first == nil && !os.IsNotExist(err) {
			first = err
		}
	}
	r.releases, r.streams, r.temps = nil, nil, nil
	return first
}

// wanted are the types that text formats are read as, by folded name.
type wanted map[string]*sqlType

func wantedOf(o *Options) (wanted, error) {
	w := wanted{}
	for _, c := range o.Table {
		t, err := parseType(c.Type)
		if err != nil {
			return nil, errs.New(errs.Unsupported, "column %s of the table: %s", quoteShort(c.Name), err)
		}
		if !t.is(tNull) {
			w[fold(c.Name)] = t
		}
	}
	for _, c := range o.Declared {
		t, err := parseType(c.Type)
		if err != nil {
			return nil, errs.New(errs.InvalidArgument, "column %s: %s", quoteShort(c.Name), err)
		}
		w[fold(c.Name)] = t
	}
	return w, CheckStorable(o.Declared)
}

// misplaced is the cause of an error about a value that its column's given
// type does not hold.
type misplaced struct{ column string }

func (m *misplaced) Error() string { return "a value does not fit the column " + m.column }

// free leaves a column to inference when err is about one of its values and it
// is one of the table's that never had any.
func (w wanted) free(ctx context.Context, err error, o *Options) (bool, error) {
	m, ok := errors.AsType[*misplaced](err)
	if !ok || o.Hollow == nil {
		return false, nil
	}
	same := func(c Column) bool { return fold(c.Name) == fold(m.column) }
	i := slices.IndexFunc(o.Table, same)
	if i < 0 || slices.ContainsFunc(o.Declared, same) {
		return false, nil
	}
	hollow, herr := o.Hollow(ctx, o.Table[i].Name)
	if hollow {
		delete(w, fold(m.column))
	}
	return hollow, herr
}

// of is the type given for a column, nil when it is to be inferred.
func (w wanted) of(name string) *sqlType { return w[fold(name)] }

// allUsed refuses declared columns that no text input has: a name mistyped
// there would silently leave a column to inference.
func (w wanted) allUsed(o *Options, parts []*part) error {
	if len(o.Declared) == 0 {
		return nil
	}
	have := map[string]bool{}
	text := false
	for _, p := range parts {
		text = text || p.in.text()
		for _, c := range p.columns {
			have[fold(c.name)] = have[fold(c.name)] || p.in.text()
		}
	}
	if !text {
		return errs.New(errs.InvalidArgument, "types can be given to columns of text formats (CSV, JSON) only")
	}
	for _, c := range o.Declared {
		if !have[fold(c.Name)] {
			return errs.New(errs.InvalidArgument, "a type is given for column %s, which no text input has", quoteShort(c.Name))
		}
	}
	return nil
}

// part is what one call of the engine reads: files of one format and schema,
// or a stream.
type part struct {
	in       *input // the first file
	files    []*input
	function string // read_parquet, read_csv, read_json; "" for a stream
	options  string
	from     string // the relation, when function is ""
	columns  []partColumn
	rows     int64 // -1 when not known
}

// partColumn is a column of a part and the expression that yields it.
type partColumn struct {
	name string
	typ  *sqlType
	expr string
}

// source is the relation of the part for use after FROM.
func (p *part) source() string {
	if p.function == "" {
		return p.from
	}
	paths := make([]string, len(p.files))
	for i, f := range p.files {
		paths[i] = enginePath(f.path)
	}
	s := p.function + "([" + strings.Join(paths, ", ") + "]"
	if p.options != "" {
		s += ", " + p.options
	}
	return s + ")"
}
