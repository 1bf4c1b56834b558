package source

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/supertable-go/supertable/internal/errs"
)

// jsonInputs scans JSON files. Like CSV, all of them are looked at before the
// engine reads any.
type jsonInputs struct {
	rel   *Relation
	o     *Options
	root  *jsonNode // the columns of all files together
	files []*jsonFile
}

// jsonFile is one scanned JSON input.
type jsonFile struct {
	in      *input
	rows    int64
	format  string // as read_json calls it
	bom     bool
	longest int
}

func newJSONInputs(r *Relation, o *Options, types wanted) *jsonInputs {
	return &jsonInputs{rel: r, o: o, root: &jsonNode{types: types}}
}

func (j *jsonInputs) scan(ctx context.Context, in *input) error {
	src, err := in.open(ctx)
	if err != nil {
		return err
	}
	defer src.Close()
	s := newJSONStream(src)
	for err == nil {
		_, err = s.next(j.root)
	}
	if !errors.Is(err, io.EOF) {
		return s.located(in, err)
	}
	f := &jsonFile{in: in, rows: s.records, bom: s.bom, longest: s.longest, format: "newline_delimited"}
	if s.array {
		f.format = "array"
	} else if s.broken {
		f.format = "unstructured"
	}
	j.files = append(j.files, f)
	return nil
}

// parts are the relations over the scanned files: the files themselves where
// the engine reads them exactly, else copies that it does.
func (j *jsonInputs) parts(ctx context.Context) ([]*part, error) {
	if len(j.files) == 0 || len(j.root.fields) == 0 && len(j.rel.parts) > 0 { // no columns beside those of other inputs
		return nil, nil
	}
	if err := j.columnsOfTable(); err != nil {
		return nil, err
	}
	var types []*sqlType
	copied := j.root.respelled
	for _, f := range j.root.fields {
		t := f.typ()
		types = append(types, t)
		copied = copied || f.rewrite(t) && !t.is(tBlob)
	}
	var parts []*part
	byCall := map[string]*part{}
	for _, f := range j.files {
		rewritten := copied || f.bom
		if rewritten {
			if err := j.rewrite(ctx, f, types); err != nil {
				return nil, err
			}
		}
		p := j.part(f, types, rewritten)
		if same := byCall[p.options]; same != nil {
			same.rows += p.rows
			same.files = append(same.files, f.in)
			continue
		}
		byCall[p.options] = p
		parts = append(parts, p)
	}
	return parts, nil
}

// columnsOfTable takes the columns from the table when no record has a key.
func (j *jsonInputs) columnsOfTable() error {
	if len(j.root.fields) == 0 {
		for _, c := range j.o.Table {
			j.root.child([]byte(c.Name), 0)
		}
	}
	var names []string
	for _, f := range j.root.fields {
		names = append(names, f.name)
	}
	return checkNames(j.files[0].in.name, names)
}

func (j *jsonInputs) part(f *jsonFile, types []*sqlType, rewritten bool) *part {
	p := &part{in: f.in, files: []*input{f.in}, function: "read_json", rows: f.rows}
	var as []string
	for i, c := range j.root.fields {
		t, name := types[i], ident(c.name)
		read := t
		if rewritten {
			read = t.asText()
		}
		expr := name
		switch {
		case t.is(tNull):
			read, expr = plain(tVarchar), "NULL"
		case t.is(tBlob) && !rewritten:
			read, expr = plain(tVarchar), "from_base64("+name+")"
		case !read.same(t):
			expr = "CAST(" + name + " AS " + t.String() + ")"
		}
		as = append(as, literal(c.name)+": "+literal(read.String()))
		p.columns = append(p.columns, partColumn{c.name, t, expr})
	}
	p.options = "columns={" + strings.Join(as, ", ") + "}, auto_detect=false, records=true, ignore_errors=false, format=" +
		literal(f.format) + ", compression=" + literal(strings.Replace(f.in.pack, "none", "uncompressed", 1))
	if f.longest > 7<<20 {
		p.options += ", maximum_object_size=" + strconv.Itoa(2*f.longest+1024)
	}
	return p
}

// asText is t as a copy holds it: the engine casts a text without rounding
// where its JSON reader would round.
func (t *sqlType) asText() *sqlType {
	if t.elem == nil && t.field == nil {
		return plain(tVarchar)
	}
	return t.rebuild((*sqlType).asText)
}

// rewrite copies the records of f into a file that the engine reads exactly
// and makes that file the input.
func (j *jsonInputs) rewrite(ctx context.Context, f *jsonFile, types []*sqlType) error {
	src, err := f.in.open(ctx)
	if err != nil {
		return err
	}
	defer src.Close()
	out, err := j.rel.temp(j.o)
	if err != nil {
		return err
	}
	defer out.Close()
	buf := bufio.NewWriterSize(out, 1<<20)
	s, w := newJSONStream(src), &jsonWriter{}
	longest := 0
	for {
		rec, err := s.next(nil)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return s.located(f.in, err)
		}
		w.record(rec, j.root, types)
		longest = max(longest, len(w.out))
		buf.Write(w.out)
	}
	if err := buf.Flush(); err != nil {
		return errs.Wrap(errs.Unavailable, err, "%s: no room for a copy: %s", f.in.name, reason(err))
	}
	copied := *f.in
	copied.path, copied.pack = out.Name(), "none"
	f.in, f.format, f.longest = &copied, "newline_delimited", longest
	return nil
}

// jsonChecker judges JSON texts that stand in the values of a CSV column.
type jsonChecker struct {
	root *jsonNode
	p    jsonParser
}

func newJSONChecker(want *sqlType) *jsonChecker {
	return &jsonChecker{root: newJSONNode("", want)}
}

// copied reports whether the values need a copy to be read: the engine would
// lose something of one, or refuse an object without a field.
func (c *jsonChecker) copied() bool {
	t := c.root.typ()
	return c.root.rewrite(t) || c.root.sparse(t)
}

// fits judges one value.
func (c *jsonChecker) fits(text []byte) misfit {
	c.p = jsonParser{b: text, eof: true, serial: c.p.serial}
	if err := c.p.value(c.root); err != nil {
		if mis, ok := errors.AsType[*jsonMisfit](err); ok {
			return mis.bad
		}
		return notOf
	}
	if c.p.pos < len(text) && c.p.space() == nil {
		return notOf
	}
	return fine
}

// fitsJSON judges whether a text is JSON.
func fitsJSON(text []byte) misfit {
	p := jsonParser{b: text, eof: true}
	if p.value(nil) != nil || p.pos < len(text) && p.space() == nil {
		return notOf
	}
	return fine
}
