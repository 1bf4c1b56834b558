package monitor

import (
	"context"
	"errors"
	"sync"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/internal/errs"
)

// Writer is what a stream needs of the write path.
type Writer interface {
	// Permit refuses who may not write the table now.
	Permit(ctx context.Context, table string) error
	// Append writes rows into table, which appears by itself; the chunks that
	// move names go in the same transaction.
	Append(ctx context.Context, table string, rows array.RecordReader, move *catalog.ChunkMove) error
	// Retype gives a column of table another type, every value converted
	// exactly, or fails with a type conflict.
	Retype(ctx context.Context, table, column, typ string) error
}

// Store is where the streams of one SuperTable lie. It is safe for concurrent use.
type Store struct {
	Catalog *catalog.Catalog
	Writer  Writer

	mu sync.Mutex // one settling at a time; processes meet at the chunks
}

// retypeLock is the lock file under which processes change a stream's columns:
// a change planned on what another one just changed could undo it.
const retypeLock = "streams.lock"

// maxPlans is how often records are planned again because the table's columns
// changed meanwhile.
const maxPlans = 10

// maxMove bounds the records that are held in memory while they move.
const maxMove = 20_000

// Keep makes records durable without writing their table.
func (s *Store) Keep(ctx context.Context, stream string, rows []row) error {
	if len(rows) == 0 {
		return nil
	}
	if err := s.Writer.Permit(ctx, Table(stream)); err != nil {
		return err
	}
	return s.Catalog.KeepChunks(ctx, catalog.Chunk{Stream: stream, Records: int64(len(rows)), Body: encode(rows)})
}

// Append writes records into the stream's table as one file; move names the
// chunks that they come from, or is nil. Columns change as the records need it.
func (s *Store) Append(ctx context.Context, stream string, rows []row, move *catalog.ChunkMove) error {
	table := Table(stream)
	for try := 0; ; try++ {
		l, err := s.layout(ctx, table, rows)
		if err != nil {
			return err
		}
		batch, err := l.batch(rows)
		if err != nil {
			return errs.Wrap(errs.Internal, err, "make a batch of stream %s: %v", stream, err)
		}
		err = s.Writer.Append(ctx, table, batch, move)
		batch.Release()
		again := errs.KindOf(err) == errs.TypeConflict || errors.Is(err, catalog.ErrLeaseLost)
		if err == nil || !again || try == maxPlans {
			return err
		}
	}
}

// layout fits rows to the table and changes the table's columns first where
// the rows need it.
func (s *Store) layout(ctx context.Context, table string, rows []row) (layout, error) {
	cols, err := s.columns(ctx, table)
	if err != nil {
		return layout{}, err
	}
	l := plan(cols, rows)
	if len(l.retype) == 0 {
		return l, nil
	}
	release, err := s.Catalog.Folder().Lock(ctx, retypeLock)
	if err != nil {
		return layout{}, err
	}
	defer release()
	for range maxPlans { // a column goes to text in two steps at most; others may come meanwhile
		if cols, err = s.columns(ctx, table); err != nil {
			return layout{}, err
		}
		if l = plan(cols, rows); len(l.retype) == 0 {
			return l, nil
		}
		c := l.retype[0]
		err = s.Writer.Retype(ctx, table, c.Name, c.Type)
		if errs.KindOf(err) == errs.TypeConflict && c.Type != varchar { // a value that the wider number does not hold
			err = s.Writer.Retype(ctx, table, c.Name, varchar)
		}
		if err != nil {
			return layout{}, err
		}
	}
	return l, nil
}

// columns gives the columns of a table, none when there is no table.
func (s *Store) columns(ctx context.Context, table string) (out []Column, err error) {
	err = s.Catalog.Read(ctx, func(v *catalog.View) error {
		t, err := v.Table(ctx, table, v.Head.ID)
		if errs.KindOf(err) == errs.NotFound {
			return nil
		}
		if err != nil {
			return err
		}
		cols, err := v.Columns(ctx, t.ID, v.Head.ID)
		for _, c := range cols {
			typ := c.Type.SQL()
			if c.Type.Name == "" || c.Type.Name == "null" {
				typ = nothing
			}
			out = append(out, Column{c.Name, typ})
		}
		return err
	})
	return out, err
}

// Settle moves records that wait into their stream's table, in files of perFile
// records; the last, smaller one only when all is set. It gives the number of
// records that still wait.
func (s *Store) Settle(ctx context.Context, stream string, perFile int, all bool) (left int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	perFile = max(perFile, 1)
	most := min(perFile, maxMove)
	for {
		var waiting []catalog.Chunk
		err := s.Catalog.Read(ctx, func(v *catalog.View) (err error) {
			waiting, err = v.Chunks(ctx, stream, int64(most))
			return err
		})
		if err != nil {
			return 0, err
		}
		rows, move, err := gatherChunks(stream, waiting, most)
		if err != nil {
			return 0, err
		}
		if len(rows) == 0 || len(rows) < most && !all {
			return len(rows), nil
		}
		err = s.Append(ctx, stream, rows, move)
		if errors.Is(err, catalog.ErrChunksGone) {
			continue // that is progress too, of another process
		}
		if err != nil {
			return 0, err
		}
	}
}

// gatherChunks takes most records from the front of the chunks and says which
// chunks that ends and what stays of the last one. It is a pure function.
func gatherChunks(stream string, waiting []catalog.Chunk, most int) ([]row, *catalog.ChunkMove, error) {
	var rows []row
	move := &catalog.ChunkMove{Stream: stream}
	for _, ch := range waiting {
		if len(rows) >= most {
			break
		}
		more, err := decode(ch.Body)
		if err != nil {
			return nil, nil, err
		}
		move.Take = append(move.Take, ch.ID)
		rows = append(rows, more...)
	}
	if len(rows) > most {
		rest := rows[most:]
		move.Rest = &catalog.Chunk{Stream: stream, Records: int64(len(rest)), Body: encode(rest)}
		rows = rows[:most]
	}
	return rows, move, nil
}

// SettleAll moves the records of every stream that wait. A stream that cannot
// be written does not hold up the others.
func (s *Store) SettleAll(ctx context.Context, perFile int) error {
	waiting, err := s.Waiting(ctx)
	if err != nil {
		return err
	}
	var all []error
	for stream := range waiting {
		_, err := s.Settle(ctx, stream, perFile, true)
		all = append(all, err)
	}
	return errors.Join(all...)
}

// Waits reports whether records of a stream wait for its table.
func (s *Store) Waits(ctx context.Context, stream string) (waits bool, err error) {
	err = s.Catalog.Read(ctx, func(v *catalog.View) error {
		n, err := v.CountChunks(ctx, stream)
		waits = n > 0
		return err
	})
	return waits, err
}

// Waiting counts the records that wait, by stream.
func (s *Store) Waiting(ctx context.Context) (out map[string]int64, err error) {
	err = s.Catalog.Read(ctx, func(v *catalog.View) (err error) { out, err = v.WaitingRecords(ctx); return err })
	return out, err
}

// Catalog is what the catalog knows of a stream.
type Catalog struct {
	FileCount     int64 `json:"file_count"`
	TotalRows     int64 `json:"total_rows"` // those that wait for the table included
	TotalFileSize int64 `json:"total_file_size"`
	Version       int64 `json:"version"` // 1 at first, +1 with every change of the table
}

// Stream describes a stream; one that nobody logged to is NotFound.
func (s *Store) Stream(ctx context.Context, stream string) (out Catalog, err error) {
	err = s.Catalog.Read(ctx, func(v *catalog.View) error {
		waiting, err := v.WaitingRecords(ctx)
		if err != nil {
			return err
		}
		out = Catalog{TotalRows: waiting[stream], Version: 1}
		t, err := v.Table(ctx, Table(stream), v.Head.ID)
		if errs.KindOf(err) == errs.NotFound && out.TotalRows > 0 {
			return nil
		}
		if err != nil {
			return err
		}
		live, err := v.LiveState(ctx, t)
		out.FileCount, out.TotalFileSize = live.Files, live.Bytes
		out.TotalRows += live.Rows
		out.Version += live.Version
		return err
	})
	return out, err
}
