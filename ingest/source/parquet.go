package source

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/supertable-go/supertable/engine"
	"github.com/supertable-go/supertable/internal/errs"
)

// sniffParquet looks at both ends of the file, where Parquet keeps its marks.
func sniffParquet(in *input, f *os.File, head []byte) error {
	tail := make([]byte, 8)
	st, err := f.Stat()
	if err != nil {
		return fileError(in.name, err)
	}
	n, err := f.ReadAt(tail, max(0, st.Size()-8))
	if err != nil && !errors.Is(err, io.EOF) {
		return fileError(in.name, err)
	}
	mark := string(head[:min(4, len(head))])
	switch {
	case n < 8 || st.Size() < 12 || mark != "PAR1" && mark != "PARE":
		return errs.New(errs.InvalidArgument, "%s: not a Parquet file", in.name)
	case mark == "PARE" || string(tail[4:]) == "PARE":
		return errs.New(errs.Unsupported, "%s: encrypted Parquet files cannot be read", in.name)
	case string(tail[4:]) != "PAR1":
		return errs.New(errs.InvalidArgument, "%s: not a whole Parquet file: its end is missing", in.name)
	case int64(binary.LittleEndian.Uint32(tail)) > st.Size()-12:
		return errs.New(errs.InvalidArgument, "%s: not a Parquet file: its footer is damaged", in.name)
	}
	return nil
}

// parquetNode is one element of a file's schema, in the order of the footer.
type parquetNode struct {
	name     string
	physical string
	logical  string
	children int64
	prec     int64
	duck     string
}

// schemaBatch is how many files one look at footers covers.
const schemaBatch = 500

// openParquet groups the files by schema and checks each schema once.
func (r *Relation) openParquet(ctx context.Context, c engine.Conn, ins []*input) error {
	groups := map[string]*part{}
	for len(ins) > 0 {
		batch := ins[:min(len(ins), schemaBatch)]
		ins = ins[len(batch):]
		schemas, err := parquetSchemas(ctx, c, batch)
		if err != nil {
			return err
		}
		for _, in := range batch {
			if err := r.addParquet(ctx, c, in, schemas[in.path], groups); err != nil {
				return err
			}
		}
	}
	return nil
}

// parquetSchemas reads the footers of the files. When that fails for several,
// it looks at one after another to find the one to blame.
func parquetSchemas(ctx context.Context, c engine.Conn, ins []*input) (map[string][]parquetNode, error) {
	var paths []string
	seen := map[string]bool{}
	for _, in := range ins {
		if !seen[in.path] { // a file given twice would have its columns twice
			seen[in.path] = true
			paths = append(paths, enginePath(in.path))
		}
	}
	rows, err := engine.Collect(ctx, c, `SELECT file_name, name, coalesce(type, ''), coalesce(logical_type, '') || ' ' || coalesce(converted_type, ''),
		coalesce(num_children, 0)::BIGINT, coalesce("precision", 0)::BIGINT, coalesce(duckdb_type, '') FROM parquet_schema([`+strings.Join(paths, ", ")+"])", nil)
	if err != nil {
		if len(ins) == 1 {
			return nil, engineError(ctx, ins[0], err)
		}
		for _, in := range ins {
			if _, err := parquetSchemas(ctx, c, []*input{in}); err != nil {
				return nil, err
			}
		}
		return nil, engineError(ctx, &input{name: "inputs", form: fParquet}, err)
	}
	schemas := map[string][]parquetNode{}
	for _, row := range rows {
		file := text(row[0])
		schemas[file] = append(schemas[file], parquetNode{text(row[1]), text(row[2]), text(row[3]), whole(row[4]), whole(row[5]), text(row[6])})
	}
	return schemas, nil
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

func whole(v any) int64 {
	n, _ := v.(int64)
	return n
}

func (r *Relation) addParquet(ctx context.Context, c engine.Conn, in *input, nodes []parquetNode, groups map[string]*part) error {
	key := fmt.Sprintf("%#v", nodes)
	p := groups[key]
	if p == nil {
		var err error
		if p, err = describeParquet(ctx, c, in, nodes); err != nil {
			return err
		}
		groups[key] = p
		r.parts = append(r.parts, p)
	}
	p.files = append(p.files, in)
	if suspicious := cutColumns(nodes); len(suspicious) > 0 {
		return checkNanos(ctx, in, suspicious)
	}
	return nil
}

// describeParquet makes a part of a file with a schema not seen before.
func describeParquet(ctx context.Context, c engine.Conn, in *input, nodes []parquetNode) (*part, error) {
	top := topNodes(nodes)
	names := make([]string, len(top))
	for i, n := range top {
		names[i] = n.name
	}
	if err := checkNames(in.name, names); err != nil {
		return nil, err
	}
	var wide error
	eachNode(nodes, func(column, n parquetNode, _ bool) {
		if n.prec > 38 {
			wide = errs.New(errs.TypeConflict, "%s: column %s: DECIMAL with %d digits cannot be stored: cast it to DECIMAL(38,s) or VARCHAR", in.name, quoteShort(column.name), n.prec)
		}
	})
	if wide != nil {
		return nil, wide
	}
	p := &part{
		in: in, function: "read_parquet", rows: -1,
		options: "union_by_name=false, hive_partitioning=false, filename=false, file_row_number=false, binary_as_string=false",
	}
	rows, err := engine.Collect(ctx, c, "DESCRIBE SELECT * FROM read_parquet(["+enginePath(in.path)+"], "+p.options+")", nil)
	if err != nil {
		return nil, engineError(ctx, in, err)
	}
	if len(rows) != len(names) {
		return nil, errs.New(errs.InvalidArgument, "%s: the footer names %d columns, the engine reads %d", in.name, len(names), len(rows))
	}
	for i, row := range rows {
		name := text(row[0])
		if name != names[i] { // the engine renames what it takes for twice the same
			return nil, errs.New(errs.InvalidArgument, "%s: column %s cannot be read by its name", in.name, quoteShort(names[i]))
		}
		if err := in.storable(name, text(row[1])); err != nil {
			return nil, err
		}
		t, _ := parseType(text(row[1]))
		if strings.HasPrefix(top[i].logical, "NullType") {
			t = plain(tNull)
		}
		p.columns = append(p.columns, partColumn{name, t, ident(name)})
	}
	return p, nil
}

// storable is CheckStorable with the file named.
func (in *input) storable(name, typ string) error {
	if err := CheckStorable([]Column{{name, typ}}); err != nil {
		return errs.New(errs.KindOf(err), "%s: %s", in.name, err)
	}
	return nil
}

// topNodes are the elements directly below the root of a schema, which lists
// every element before its children.
func topNodes(nodes []parquetNode) []parquetNode {
	var top []parquetNode
	eachNode(nodes, func(column, n parquetNode, first bool) {
		if first {
			top = append(top, n)
		}
	})
	return top
}

// eachNode calls f with every element below the root and the column that it
// belongs to; first says that it is the column itself.
func eachNode(nodes []parquetNode, f func(column, n parquetNode, first bool)) {
	var column parquetNode
	open := int64(0)
	for _, n := range nodes[min(1, len(nodes)):] {
		first := open == 0
		if first {
			column, open = n, 1
		}
		open += n.children - 1
		f(column, n, first)
	}
}

// cutColumns gives the leaf columns whose values the engine cuts to whole
// microseconds, by their number among the leaves.
func cutColumns(nodes []parquetNode) map[int]parquetNode {
	cut := map[int]parquetNode{}
	leaf := 0
	eachNode(nodes, func(column, n parquetNode, first bool) {
		if n.children > 0 {
			return
		}
		nanos := strings.Contains(n.logical, "NANOS=NanoSeconds")
		if n.physical == "INT96" || nanos && n.duck != "TIMESTAMP_NS" {
			n.name = column.name
			cut[leaf] = n
		}
		leaf++
	})
	return cut
}
