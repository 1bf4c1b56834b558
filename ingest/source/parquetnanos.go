package source

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"

	"github.com/supertable-go/supertable/internal/errs"
)

// checkNanos reads the raw values of the columns (leaf number to element) that
// the engine cuts to microseconds and refuses the first that loses something.
func checkNanos(ctx context.Context, in *input, columns map[int]parquetNode) (err error) {
	defer func() { // the reader panics on some damaged files
		if p := recover(); p != nil {
			err = errs.Wrap(errs.InvalidArgument, fmt.Errorf("panic: %v", p), "%s: not a whole Parquet file", in.name)
		}
	}()
	f, err := file.OpenParquetFile(in.path, false)
	if err != nil {
		return errs.Wrap(errs.InvalidArgument, err, "%s: not a whole Parquet file: %s", in.name, oneLine(err.Error(), 120))
	}
	defer f.Close()
	for g := range f.NumRowGroups() {
		for leaf, n := range columns {
			if err := errs.FromContext(ctx, in.name); err != nil {
				return err
			}
			col, err := f.RowGroup(g).Column(leaf)
			if err != nil {
				return errs.Wrap(errs.InvalidArgument, err, "%s: column %s: %s", in.name, quoteShort(n.name), oneLine(err.Error(), 120))
			}
			bad, err := cutValue(ctx, col)
			if err != nil {
				return errs.Wrap(errs.InvalidArgument, err, "%s: column %s: %s", in.name, quoteShort(n.name), oneLine(err.Error(), 120))
			}
			if bad {
				return nanosError(in.name, n.name, n.duck)
			}
		}
	}
	return nil
}

func nanosError(where, column, typ string) error {
	return errs.New(errs.TypeConflict, "%s: column %s: nanoseconds do not fit %s: round the values to microseconds, or cast the column to TIMESTAMP_NS or VARCHAR",
		where, quoteShort(column), typ)
}

// cutValue reports whether a value of the column has a part below a
// microsecond.
func cutValue(ctx context.Context, col file.ColumnChunkReader) (bool, error) {
	const batch = 8192
	defs, reps := make([]int16, batch), make([]int16, batch)
	switch r := col.(type) {
	case *file.Int64ColumnChunkReader:
		vals := make([]int64, batch)
		for r.HasNext() && ctx.Err() == nil {
			_, n, err := r.ReadBatch(batch, vals, defs, reps)
			if err != nil {
				return false, err
			}
			for _, v := range vals[:n] {
				if v%1000 != 0 {
					return true, nil
				}
			}
		}
		return false, r.Err()
	case *file.Int96ColumnChunkReader:
		vals := make([]parquet.Int96, batch)
		for r.HasNext() && ctx.Err() == nil {
			_, n, err := r.ReadBatch(batch, vals, defs, reps)
			if err != nil {
				return false, err
			}
			for _, v := range vals[:n] {
				if binary.LittleEndian.Uint64(v[:8])%1000 != 0 {
					return true, nil
				}
			}
		}
		return false, r.Err()
	}
	return false, nil
}
