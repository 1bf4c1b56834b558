package source

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/supertable-go/supertable/internal/errs"
)

// csvColumn is a column of all CSV inputs together: types are inferred over
// every file, so that a whole number in one and a fraction in another agree.
type csvColumn struct {
	name string
	want *sqlType // given by the caller or the table; nil when inferred
	prof profile
	fits fitter       // of the wanted type
	json *jsonChecker // for nested types, which CSV holds as JSON text
}

// csvFile is one scanned CSV input.
type csvFile struct {
	in      *input
	delim   byte
	columns []*csvColumn
	rows    int64
	ends    lineEnds
	longest int
	breaks  bool
	uneven  bool     // blanks stand around quotes
	first   lineEnds // the first break, in quotes or not: the engine takes it for the line end
}

// csvInputs scans CSV files. All of a file is looked at before the engine
// reads it: that finds the types, and the first value that does not fit one.
type csvInputs struct {
	rel     *Relation
	o       *Options
	types   wanted
	columns map[string]*csvColumn
	files   []*csvFile
}

func (c *csvInputs) scan(ctx context.Context, in *input) error {
	src, err := in.open(ctx)
	if err != nil {
		return err
	}
	defer src.Close()
	f := &csvFile{in: in}
	if err := c.scanFile(f, src); err != nil {
		return located(in, err)
	}
	c.files = append(c.files, f)
	if f.uneven || f.ends&(f.ends-1) != 0 || f.ends != 0 && f.ends != f.first {
		return c.even(ctx, f)
	}
	return nil
}

// located turns an error of a reader into one that names the file and line.
func located(in *input, err error) error {
	var ce *csvError
	var typed *errs.Error
	switch {
	case errors.As(err, &typed):
		return err
	case errors.As(err, &ce):
		return errs.New(errs.InvalidArgument, "%s: line %d: %s", in.name, ce.line, ce.why)
	}
	return fileError(in.name, err)
}

func (c *csvInputs) scanFile(f *csvFile, src io.Reader) error {
	r := newCSVReader(src)
	if err := c.header(f, r); err != nil {
		return err
	}
	f.ends, f.longest, f.uneven, f.breaks = r.ends, r.longest, r.blanks, r.breaks
	if f.single() || r.eof {
		w := &csvWorker{f: f, profiles: make([]profile, len(f.columns)), reader: *r}
		defer w.join()
		return f.scanRecords(&w.reader, w.profiles, &w.rows)
	}
	return scanChunks(f, r)
}

// single reports whether one worker must scan all of the file: nodes of nested
// values are not shared.
func (f *csvFile) single() bool {
	for _, c := range f.columns {
		if c.json != nil {
			return true
		}
	}
	return false
}

// scanRecords takes all records of r into account.
func (f *csvFile) scanRecords(r *csvReader, profiles []profile, rows *int64) error {
	for {
		err := r.record()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(r.field) != len(f.columns) {
			if len(r.raw) == 0 { // an empty line is no row where a row has several fields
				continue
			}
			return &csvError{r.line, fmt.Sprintf("%d fields, the header has %d", len(r.field), len(f.columns))}
		}
		*rows++
		for i, col := range f.columns {
			if r.field[i].null() {
				continue
			}
			if bad := col.check(r.field[i], &profiles[i]); bad != fine {
				return errs.Wrap(errs.TypeConflict, &misplaced{col.name}, "%s: line %d: column %s: %s %s", f.in.name, r.line,
					quoteShort(col.name), quoteShort(string(r.field[i].text())), bad.explain(col.want))
			}
		}
	}
}

// check judges one value, which is not NULL.
func (c *csvColumn) check(f csvField, p *profile) misfit {
	switch {
	case c.want == nil:
		p.add(f.b)
		return fine
	case c.json != nil:
		return c.json.fits(f.text())
	}
	return c.fits(f.text())
}

// header reads the first record, which names the columns.
func (c *csvInputs) header(f *csvFile, r *csvReader) error {
	head, err := r.peek()
	if err != nil {
		return err
	}
	if len(head) > 1 && (head[0] == 0xff && head[1] == 0xfe || head[0] == 0xfe && head[1] == 0xff) {
		return &csvError{1, "the text is UTF-16, not UTF-8"}
	}
	if strings.HasPrefix(string(head[:min(3, len(head))]), "\ufeff") {
		r.pos += 3
		head = head[3:]
	}
	if len(head) == 0 {
		return errs.New(errs.InvalidArgument, "%s: the file is empty: a header line with the column names is needed", f.in.name)
	}
	if f.delim = '\t'; !f.in.tabs {
		f.delim = findDelimiter(head[:min(len(head), 1<<16)], r.eof && len(head) <= 1<<16)
	}
	r.delim = f.delim
	f.first = firstBreak(head)
	if err := r.record(); err != nil {
		return err
	}
	var names []string
	for _, fd := range r.field {
		name := string(fd.text())
		if !fd.quoted {
			name = strings.TrimSpace(name)
		}
		names = append(names, name)
	}
	if err := checkNames(f.in.name, names); err != nil {
		return err
	}
	for _, n := range names {
		f.columns = append(f.columns, c.column(n))
	}
	return nil
}

// firstBreak is the first line break, inside quotes or not.
func firstBreak(head []byte) lineEnds {
	i := bytes.IndexAny(head, "\r\n")
	switch {
	case i < 0:
		return 0
	case head[i] == '\n':
		return endLF
	case i+1 < len(head) && head[i+1] == '\n':
		return endCRLF
	}
	return endCR
}

func (c *csvInputs) column(name string) *csvColumn {
	if col := c.columns[fold(name)]; col != nil {
		return col
	}
	col := &csvColumn{name: name, want: c.types.of(name)}
	switch {
	case col.want == nil:
	case nested(col.want):
		col.json = newJSONChecker(col.want)
	default:
		col.fits = fitterOf(col.want)
	}
	c.columns[fold(name)] = col
	return col
}

// nested reports whether values of t are JSON text in a CSV file.
func nested(t *sqlType) bool { return t.is(tStruct) || t.is(tList) || t.is(tMap) || t.is(tArray) }

// even copies a file whose lines end in different ways, or in another way than
// the first break suggests, or that has blanks around quotes, into one without
// all that: the engine would refuse it, or lose rows of it.
func (c *csvInputs) even(ctx context.Context, f *csvFile) error {
	if f.ends&endCR != 0 && f.ends != endCR {
		return errs.New(errs.InvalidArgument, "%s: carriage returns stand between line feeds: write every line end alike, or quote the values", f.in.name)
	}
	return c.copy(ctx, f, func(_ int, field csvField) csvField { return field })
}

// copy puts a copy in the place of a file, its lines ending alike, every field
// as value gives it.
func (c *csvInputs) copy(ctx context.Context, f *csvFile, value func(int, csvField) csvField) error {
	src, err := f.in.open(ctx)
	if err != nil {
		return err
	}
	defer src.Close()
	out, err := c.rel.temp(c.o)
	if err != nil {
		return err
	}
	defer out.Close()
	w := bufio.NewWriterSize(out, 1<<20)
	r := newCSVReader(src)
	r.delim = f.delim
	for n := 0; ; n++ {
		if err = r.record(); err != nil {
			break
		}
		if n == 0 { // the names are known; one that holds a break would mislead
			w.WriteString(strings.Repeat(string(rune(f.delim)), len(f.columns)-1) + "\n")
			continue
		}
		if len(r.field) != len(f.columns) { // an empty line
			continue
		}
		for i := range r.field {
			r.field[i] = value(i, r.field[i])
			f.longest = max(f.longest, len(r.field[i].b)*2)
		}
		writeCSV(w, r)
	}
	if !errors.Is(err, io.EOF) {
		return located(f.in, err)
	}
	if err := w.Flush(); err != nil {
		return errs.Wrap(errs.Unavailable, err, "%s: no room for a copy: %s", f.in.name, reason(err))
	}
	copied := *f.in
	copied.path, copied.pack = out.Name(), "none"
	f.in, f.ends = &copied, endLF
	return nil
}

// writeCSV writes the current record of r.
func writeCSV(w *bufio.Writer, r *csvReader) {
	for i, f := range r.field {
		if i > 0 {
			w.WriteByte(r.delim)
		}
		if f.quoted {
			w.WriteByte('"')
			w.Write(f.b)
			w.WriteByte('"')
			continue
		}
		w.Write(f.b)
	}
	w.WriteByte('\n')
}

// read is how the engine reads the values of the column, and the expression
// that makes the column's type of them.
func (c *csvColumn) read() (readAs, expr string, t *sqlType) {
	if t = c.want; t == nil {
		t = c.prof.typ()
	}
	name := ident(c.name)
	switch {
	case t.is(tNull):
		return tVarchar, "NULL", t
	case t.is(tBlob):
		return tVarchar, "from_base64(" + name + ")", t
	case nested(t):
		t = c.json.root.typ()
		expr = "CAST(" + name + " AS JSON)"
		if c.json.copied() {
			expr = "CAST(" + expr + " AS " + t.asText().String() + ")"
		}
		return tVarchar, "CAST(" + expr + " AS " + t.String() + ")", t
	case t.is(tJSON):
		return tVarchar, "CAST(" + name + " AS JSON)", t
	}
	return t.String(), name, t
}

// parts are the relations over the scanned files, one for all files that the
// engine can read in one call.
func (c *csvInputs) parts(ctx context.Context) ([]*part, error) {
	var parts []*part
	byCall := map[string]*part{}
	for _, f := range c.files {
		if err := c.rewrite(ctx, f); err != nil {
			return nil, err
		}
		p := &part{in: f.in, rows: f.rows}
		var as []string
		for _, col := range f.columns {
			read, expr, t := col.read()
			if t.is(tNull) && f.rows == 0 {
				expr, t = "CAST(NULL AS VARCHAR)", plain(tVarchar)
			}
			as = append(as, literal(col.name)+": "+literal(read))
			p.columns = append(p.columns, partColumn{name: col.name, typ: t, expr: expr})
		}
		options := f.options(as)
		if same := byCall[options]; same != nil {
			same.rows += f.rows
			same.files = append(same.files, f.in)
			continue
		}
		p.files, p.function, p.options = []*input{f.in}, "read_csv", options
		byCall[options] = p
		parts = append(parts, p)
	}
	return parts, nil
}

// rewrite copies a file with nested values that the engine would not read
// exactly, or would refuse since they lack a field.
func (c *csvInputs) rewrite(ctx context.Context, f *csvFile) error {
	if !slices.ContainsFunc(f.columns, func(col *csvColumn) bool { return col.json != nil && col.json.copied() }) {
		return nil
	}
	w := &jsonWriter{whole: true}
	return c.copy(ctx, f, func(i int, field csvField) csvField {
		col := f.columns[i].json
		if col == nil || !col.copied() || field.null() {
			return field
		}
		w.out = w.out[:0]
		w.value(bytes.TrimSpace(field.text()), col.root, col.root.typ())
		return csvField{b: bytes.ReplaceAll(w.out, []byte(`"`), []byte(`""`)), quoted: true}
	})
}

// options of read_csv. Nothing is left to its sniffer, which would skip
// comment lines and guess quotes.
func (f *csvFile) options(columns []string) string {
	const small = 2 << 20
	line, buffer := small, 32<<20
	if f.longest*2 > line {
		line = f.longest*2 + 1024
		buffer = max(buffer, line*2)
	}
	opts := "columns={" + strings.Join(columns, ", ") + "}, auto_detect=false, header=true, delim=" + literal(string(rune(f.delim))) +
		`, quote='"', escape='"', nullstr='', allow_quoted_nulls=false, null_padding=false, ignore_errors=false, strict_mode=true, comment=''` +
		", compression=" + literal(f.in.pack) + ", max_line_size=" + strconv.Itoa(line) + ", buffer_size=" + strconv.Itoa(buffer)
	if f.breaks { // a thread cannot know whether it starts inside a quoted value
		opts += ", parallel=false"
	}
	return opts
}
