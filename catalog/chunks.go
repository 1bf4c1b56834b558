package catalog

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"strings"
	"sync"

	"github.com/google/uuid"

	"github.com/supertable-go/supertable/internal/errs"
)

// Chunk is a bundle of monitoring records that wait for the table of their
// stream. Chunks are no part of a snapshot: keeping one does not move the lake.
type Chunk struct {
	ID      string // UUIDv7, given when it is kept
	Stream  string
	Records int64
	Body    []byte // one JSON object a line
}

// ChunkMove says which chunks the records of a change come from: they go in
// the transaction that makes the change, so that every record is in its chunk
// or in the table and never in both.
type ChunkMove struct {
	Stream string
	Take   []string // ids
	Rest   *Chunk   // what of the taken chunks stays, under an id of its own
}

// ErrChunksGone says that another process has moved the chunks already.
var ErrChunksGone = errors.New("the records were moved by another process")

// KeepChunks keeps chunks, durably: they survive a crash when it returns nil.
func (c *Catalog) KeepChunks(ctx context.Context, chunks ...Chunk) error {
	if c.foreign {
		return errs.New(errs.Denied, "this lake was made by another DuckLake client and is read-only; run create to adopt it")
	}
	return c.write(ctx, func(q querier) error {
		if err := c.writable(ctx, q); err != nil {
			return err
		}
		for _, ch := range chunks {
			if err := keepChunk(ctx, q, ch); err != nil {
				return err
			}
		}
		return nil
	})
}

// writable refuses what a commit would refuse.
func (c *Catalog) writable(ctx context.Context, q querier) error {
	v := &View{q: q, c: c}
	dropped, err := v.Dropped(ctx)
	if err == nil && dropped {
		return errs.New(errs.NotFound, "the SuperTable was dropped")
	}
	if err != nil {
		return err
	}
	ro, err := v.ReadOnly(ctx)
	if err == nil && ro {
		err = errs.New(errs.Denied, "the SuperTable is read-only; make it writable with: create --read-write")
	}
	return err
}

func keepChunk(ctx context.Context, q querier, ch Chunk) error {
	return insertRow(ctx, q, "supertable_chunk", "stream, chunk_id, records, body",
		ch.Stream, uuid.Must(uuid.NewV7()).String(), ch.Records, string(ch.Body))
}

// NoteChunk keeps a chunk that may be lost when the machine fails, but not when
// the process does: it costs no sync of the disk. The SuperTable must accept
// writes. It waits for other writers no longer than ctx says, and gives the
// number of chunks of the stream.
func (c *Catalog) NoteChunk(ctx context.Context, ch Chunk) (kept int64, err error) {
	if c.foreign {
		return 0, errs.New(errs.Denied, "the lake is read-only")
	}
	err = c.writeOn(ctx, c.notes.open(c), func(q querier) error {
		if !c.inPlace() { // with the commit lock, under which a rebuild puts another one there
			return replaced()
		}
		err := c.writable(ctx, q)
		if err == nil {
			err = keepChunk(ctx, q, ch)
		}
		if err == nil {
			kept, err = (&View{q: q, c: c}).CountChunks(ctx, ch.Stream)
		}
		return err
	})
	return kept, err
}

// notes is a connection that does not sync what it commits. Order is kept: the
// next commit that syncs makes everything before it durable too.
type notes struct {
	once sync.Once
	db   *sql.DB
}

func (n *notes) open(c *Catalog) *sql.DB {
	n.once.Do(func() {
		n.db = openAs(c.folder, "rw", "NORMAL")
		n.db.SetMaxOpenConns(1)
	})
	return n.db
}

func (n *notes) close() error {
	n.once.Do(func() {}) // from here on nothing opens it
	if n.db == nil {
		return nil
	}
	return n.db.Close()
}

// CountChunks counts the chunks of a stream.
func (v *View) CountChunks(ctx context.Context, stream string) (n int64, err error) {
	err = v.q.QueryRowContext(ctx, `SELECT count(*) FROM supertable_chunk WHERE stream = ?`, stream).Scan(&n)
	return n, sqlError(ctx, err, "count monitoring records")
}

// WaitingRecords counts the records that wait, by stream.
func (v *View) WaitingRecords(ctx context.Context) (map[string]int64, error) {
	out := map[string]int64{}
	if v.c.foreign {
		return out, nil
	}
	rows, err := v.q.QueryContext(ctx, `SELECT stream, sum(records) FROM supertable_chunk GROUP BY stream`)
	if err != nil {
		return nil, sqlError(ctx, err, "count monitoring records")
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var stream string
		var n int64
		if err := rows.Scan(&stream, &n); err != nil {
			return nil, sqlError(ctx, err, "count monitoring records")
		}
		out[stream] = n
	}
	return out, sqlError(ctx, rows.Err(), "count monitoring records")
}

// Chunks gives the oldest chunks of a stream, until they hold records records.
func (v *View) Chunks(ctx context.Context, stream string, records int64) ([]Chunk, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT chunk_id, records, body FROM supertable_chunk WHERE stream = ? ORDER BY chunk_id`, stream)
	if err != nil {
		return nil, sqlError(ctx, err, "read monitoring records")
	}
	defer func() { _ = rows.Close() }()
	var out []Chunk
	for have := int64(0); have < records && rows.Next(); {
		ch := Chunk{Stream: stream}
		var body sql.RawBytes
		if err := rows.Scan(&ch.ID, &ch.Records, &body); err != nil {
			return nil, sqlError(ctx, err, "read monitoring records")
		}
		ch.Body = append([]byte(nil), body...)
		have += ch.Records
		out = append(out, ch)
	}
	return out, sqlError(ctx, rows.Err(), "read monitoring records")
}

// DropChunks removes the oldest chunks of a stream but for the newest keep, and
// tells how many records went.
func (c *Catalog) DropChunks(ctx context.Context, stream string, keep int64) (dropped int64, err error) {
	err = c.write(ctx, func(q querier) error {
		const old = ` FROM supertable_chunk WHERE stream = ?1 AND chunk_id NOT IN (SELECT chunk_id FROM supertable_chunk WHERE stream = ?1 ORDER BY chunk_id DESC LIMIT ?2)`
		if err := q.QueryRowContext(ctx, `SELECT coalesce(sum(records), 0)`+old, stream, keep).Scan(&dropped); err != nil {
			return sqlError(ctx, err, "drop monitoring records")
		}
		return execAll(ctx, q, []statement{{`DELETE` + old, []any{stream, keep}}})
	})
	return dropped, err
}

// moveChunks ends the chunks whose records the change writes.
func (a *applier) moveChunks() error {
	m := a.ch.Move
	if m == nil {
		return nil
	}
	for ids := range chunks(m.Take, 200) {
		args := []any{m.Stream}
		for _, id := range ids {
			args = append(args, id)
		}
		marks := strings.TrimSuffix(strings.Repeat("?,", len(ids)), ",")
		res, err := a.q.ExecContext(a.ctx, `DELETE FROM supertable_chunk WHERE stream = ? AND chunk_id IN (`+marks+`)`, args...)
		if err != nil {
			return sqlError(a.ctx, err, "move monitoring records")
		}
		if n, err := res.RowsAffected(); err != nil || n != int64(len(ids)) {
			return ErrChunksGone
		}
	}
	if m.Rest == nil {
		return nil
	}
	return keepChunk(a.ctx, a.q, *m.Rest)
}

// noteWrite keeps the record that a write leaves of itself. A record that
// cannot be kept does not hold up the write that it is about.
func (a *applier) noteWrite() error {
	if a.ch.Note == nil {
		return nil
	}
	note := a.ch.Note(Committed{Snapshot: a.next.ID, Version: a.version, TableID: a.table.ID})
	if note == nil {
		return nil
	}
	if err := keepChunk(a.ctx, a.q, *note); err != nil {
		a.c.opts.Logger.Warn("write statistics not kept", slog.String("error", err.Error()))
	}
	return nil
}

// Live is the current state of a table as the commits kept it.
type Live struct{ Version, Rows, Files, Bytes int64 }

// LiveState gives the current state of a table.
func (v *View) LiveState(ctx context.Context, t Table) (Live, error) {
	if v.c.foreign {
		rows, files, bytes, err := v.CountLive(ctx, t, v.Head.ID)
		return Live{Rows: rows, Files: files, Bytes: bytes}, err
	}
	s, err := v.live(ctx, t.ID)
	return Live{s.version, s.rows, s.files, s.bytes}, err
}
