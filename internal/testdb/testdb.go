// Package testdb opens lakes for tests and holds them to the rules: every lake
// is checked when its test ends, catalog against storage, checksums included.
package testdb

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/catalog"
)

// DB is a home in a temporary folder.
type DB struct {
	*supertable.Lake
	Home string
	t    testing.TB
	seen map[string]bool
}

// Open opens a fresh home that is checked and closed when the test ends. Its
// small writes make files.
func Open(t testing.TB) *DB { return At(t, t.TempDir(), nil) }

// Inside are options of a home whose small writes stay inside the catalog.
func Inside() *supertable.Options {
	return &supertable.Options{MemoryBytes: 512 << 20, InlineRows: catalog.InlineRows}
}

// Either are options of a home whose small writes make files for even seeds and
// stay inside the catalog for odd ones.
func Either(seed uint64) *supertable.Options {
	if seed%2 == 1 {
		return Inside()
	}
	return &supertable.Options{MemoryBytes: 512 << 20, InlineRows: -1}
}

// At opens a home; its SuperTables that the test asks for are checked at the
// end. Unless the options say so, small writes make files.
func At(t testing.TB, home string, o *supertable.Options) *DB {
	t.Helper()
	if o == nil {
		o = &supertable.Options{MemoryBytes: 512 << 20}
	}
	if o.InlineRows == 0 {
		files := *o
		files.InlineRows, o = -1, &files
	}
	lake, err := supertable.Open(t.Context(), home, o)
	if err != nil {
		t.Fatal(err)
	}
	db := &DB{Lake: lake, Home: home, t: t, seen: map[string]bool{}}
	t.Cleanup(db.end)
	return db
}

func (d *DB) end() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for name := range d.seen {
		org, super, _ := strings.Cut(name, "/")
		st, err := d.SuperTable(ctx, org, super)
		if supertable.KindOf(err) == supertable.NotFound {
			continue // dropped by the test
		}
		if err == nil {
			err = CheckSuper(ctx, st)
		}
		if err != nil {
			d.t.Errorf("lake %s after the test: %v", name, err)
		}
	}
	if err := d.Close(); err != nil {
		d.t.Errorf("close: %v", err)
	}
}

// CheckSuper runs the deep check and turns findings into an error.
func CheckSuper(ctx context.Context, st *supertable.SuperTable) error {
	s, err := st.Session(ctx, supertable.Superuser)
	if err != nil {
		return err
	}
	report, err := s.Check(ctx, true)
	if err != nil {
		return err
	}
	if !report.OK {
		return fmt.Errorf("check: %+v", report.Findings)
	}
	return nil
}

// Session makes (or opens) the SuperTable default/super and returns the
// superuser's session.
func (d *DB) Session(super string) *supertable.Session { return d.SessionIn("default", super) }

// SessionIn is Session in an organization.
func (d *DB) SessionIn(org, super string) *supertable.Session {
	d.t.Helper()
	ctx := d.t.Context()
	st, _, err := d.Create(ctx, org, super, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	d.seen[org+"/"+super] = true
	s, err := st.Session(ctx, supertable.Superuser)
	if err != nil {
		d.t.Fatal(err)
	}
	return s
}

// types that Batch knows.
var types = map[string]arrow.DataType{
	"int8": arrow.PrimitiveTypes.Int8, "int16": arrow.PrimitiveTypes.Int16, "int32": arrow.PrimitiveTypes.Int32, "int64": arrow.PrimitiveTypes.Int64,
	"uint8": arrow.PrimitiveTypes.Uint8, "uint16": arrow.PrimitiveTypes.Uint16, "uint32": arrow.PrimitiveTypes.Uint32, "uint64": arrow.PrimitiveTypes.Uint64,
	"float32": arrow.PrimitiveTypes.Float32, "float64": arrow.PrimitiveTypes.Float64, "bool": arrow.FixedWidthTypes.Boolean, "text": arrow.BinaryTypes.String,
	"blob": arrow.BinaryTypes.Binary, "date": arrow.FixedWidthTypes.Date32, "timestamp": &arrow.TimestampType{Unit: arrow.Microsecond},
	"timestamptz": arrow.FixedWidthTypes.Timestamp_us, "null": arrow.Null,
}

// Batch makes a stream of one batch: columns like "id:int64,name:text" (or
// decimal(p,s)), rows as a JSON array of objects. The test releases nothing.
func Batch(t testing.TB, columns, rows string) array.RecordReader {
	t.Helper()
	var fields []arrow.Field
	for _, c := range splitTop(columns) {
		i := strings.LastIndexByte(c, ':')
		name, typ := c[:i], c[i+1:]
		dt := types[typ]
		var p, s int32
		if n, _ := fmt.Sscanf(typ, "decimal(%d,%d)", &p, &s); n == 2 {
			dt = &arrow.Decimal128Type{Precision: p, Scale: s}
		}
		if dt == nil {
			t.Fatalf("testdb: unknown type %q", typ)
		}
		fields = append(fields, arrow.Field{Name: name, Type: dt, Nullable: true})
	}
	schema := arrow.NewSchema(fields, nil)
	rec, _, err := array.RecordFromJSON(memory.DefaultAllocator, schema, strings.NewReader(rows))
	if err != nil {
		t.Fatalf("testdb: rows %s: %v", rows, err)
	}
	rr, err := array.NewRecordReader(schema, []arrow.RecordBatch{rec})
	if err != nil {
		t.Fatal(err)
	}
	return rr
}

// splitTop splits at commas outside parentheses.
func splitTop(s string) []string {
	var out []string
	depth, start := 0, 0
	for i := 0; i <= len(s); i++ {
		switch {
		case i == len(s) || s[i] == ',' && depth == 0:
			out = append(out, s[start:i])
			start = i + 1
		case s[i] == '(':
			depth++
		case s[i] == ')':
			depth--
		}
	}
	return out
}

// Write writes rows as Batch takes them and fails the test on an error.
func Write(t testing.TB, s *supertable.Session, table, columns, rows string, o *supertable.WriteOptions) supertable.WriteResult {
	t.Helper()
	rr := Batch(t, columns, rows)
	defer rr.Release()
	res, err := s.Write(t.Context(), table, rr, o)
	if err != nil {
		t.Fatalf("write %s: %v", table, err)
	}
	return res
}

// Query gives a result as text: one line a row, values separated by "|", NULL
// as ∅; the lines are sorted unless the text has ORDER BY.
func Query(t testing.TB, s *supertable.Session, sql string, o *supertable.QueryOptions) string {
	t.Helper()
	out, err := TryQuery(t.Context(), s, sql, o)
	if err != nil {
		t.Fatalf("query %s: %v", sql, err)
	}
	return out
}

// TryQuery is Query with its error.
func TryQuery(ctx context.Context, s *supertable.Session, sql string, o *supertable.QueryOptions) (string, error) {
	rows, err := s.Query(ctx, sql, o)
	if err != nil {
		return "", err
	}
	defer func() { _ = rows.Close() }()
	var lines []string
	for rows.Next() {
		b := rows.Batch()
		for i := range int(b.NumRows()) {
			cells := make([]string, b.NumCols())
			for k := range cells {
				cells[k] = "∅"
				if col := b.Column(k); !col.IsNull(i) {
					cells[k] = strings.Clone(col.ValueStr(i)) // a text is the batch's own memory
				}
			}
			lines = append(lines, strings.Join(cells, "|"))
		}
	}
	if err := rows.Err(); err != nil {
		return "", err
	}
	if !strings.Contains(strings.ToLower(sql), "order by") {
		sort.Strings(lines)
	}
	return strings.Join(lines, "\n"), nil
}
