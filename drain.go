package supertable

import (
	"context"
	"fmt"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/ingest"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/monitor"
	"github.com/supertable-go/supertable/rbac"
)

// DrainableDays lists the days (midnight, UTC) before today of which a stream
// has records, oldest first. It needs META on the stream's table.
func (s *Session) DrainableDays(ctx context.Context, stream string) ([]time.Time, error) {
	r, err := s.stream(ctx, stream)
	if err != nil {
		return nil, err
	}
	if cols, err := r.Columns(ctx); err != nil || len(cols) == 0 {
		return nil, err
	}
	today := s.st.lake.opts.Now().UTC().Truncate(24 * time.Hour).UnixMilli()
	rows, err := s.Query(ctx, fmt.Sprintf("SELECT DISTINCT CAST(floor(%s / 86400000) AS BIGINT) AS day FROM %s WHERE %s < %d ORDER BY day",
		monitor.TimeField, datafile.Quote(r.Table), monitor.TimeField, today), nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []time.Time
	for rows.Next() {
		days := rows.Batch().Column(0).(*array.Int64)
		for i := range days.Len() {
			out = append(out, time.UnixMilli(days.Value(i)*86_400_000).UTC())
		}
	}
	return out, rows.Err()
}

// Bounds and default of the chunks of DrainDay.
const (
	defaultDrain = 10_000
	mostDrain    = 100_000
)

// DrainDay hands the records of one day before today to take, oldest first, in
// chunks of at most chunk records (10,000 when 0, clamped to 1 to 100,000), and
// removes them from the stream when take has had all of them without an error.
// Killed or failed before that, nothing is removed and the day can be drained
// again: only what a drain without an error handed out counts. Records that
// were logged meanwhile stay. It gives the number of records removed and needs
// META and WRITE on the stream's table, for plans and stats CONTROL too.
//
// Maintenance waits while a day is drained, so take must not call it. When
// somebody else removed some of the records meanwhile, the error is Unavailable.
func (s *Session) DrainDay(ctx context.Context, stream string, day time.Time, chunk int, take func(array.RecordReader) error) (removed int64, err error) {
	r, err := s.stream(ctx, stream)
	if err != nil {
		return 0, err
	}
	defer s.audited(&ctx, "drain", "", r.Table)(&err)
	g, err := s.authorize(ctx)
	if err == nil && (!g.Whole(rbac.Write, r.Table) || !g.Whole(rbac.Meta, r.Table)) {
		err = errs.New(errs.Denied, "You don't have permission to write to this table.")
	}
	if err == nil && rbac.OwnRecords(r.Table) { // to end them is the owner's
		err = permit(g, rbac.Control, r.Table)
	}
	if err != nil {
		return 0, err
	}
	from := day.UTC().Truncate(24 * time.Hour)
	if !from.Before(s.st.lake.opts.Now().UTC().Truncate(24 * time.Hour)) {
		return 0, errs.New(errs.InvalidArgument, "%s is not over: only days before today are drained", from.Format(time.DateOnly))
	}
	if cols, err := r.Columns(ctx); err != nil || len(cols) == 0 {
		return 0, err
	}
	// Files that are written again or merged begin after what was read: their
	// rows would not be found, and be handed out once more.
	release, err := s.st.keeper.Hold(ctx)
	if err != nil {
		return 0, err
	}
	defer release()
	var at int64
	if err := s.st.catalog.Read(ctx, func(v *catalog.View) error { at = v.Head.ID; return nil }); err != nil {
		return 0, err
	}
	d := &drain{s: s, g: g, at: at, where: fmt.Sprintf("FROM %s WHERE %s BETWEEN %d AND %d", datafile.Quote(r.Table), monitor.TimeField, from.UnixMilli(), from.UnixMilli()+86_399_999)}
	n, err := d.read(ctx, min(max(chunkSize(chunk), 1), mostDrain), take)
	if err != nil || n == 0 {
		return 0, err
	}
	return d.remove(ctx, r.Table, n)
}

func chunkSize(n int) int {
	if n == 0 {
		return defaultDrain
	}
	return n
}

// drain is one day of a stream at one snapshot.
type drain struct {
	s     *Session
	g     rbac.Grant
	at    int64
	where string
}

// read hands out the day and counts its records.
func (d *drain) read(ctx context.Context, chunk int, take func(array.RecordReader) error) (int64, error) {
	rows, err := d.s.Query(ctx, "SELECT * "+d.where+" ORDER BY "+monitor.TimeField, &QueryOptions{AtVersion: &d.at})
	if err != nil {
		return 0, err
	}
	defer func() { _ = rows.Close() }()
	var n int64
	c := chunker{schema: rows.Schema(), most: int64(chunk), take: take}
	defer c.clear()
	for rows.Next() {
		n += rows.Batch().NumRows()
		if err := c.add(rows.Batch()); err != nil {
			return n, err
		}
	}
	if err := rows.Err(); err != nil {
		return n, err
	}
	return n, c.flush()
}

// remove removes the n rows that were read, all or none: those with the day's
// times that were there at the snapshot.
func (d *drain) remove(ctx context.Context, table string, n int64) (int64, error) {
	rows, err := d.s.Query(ctx, "SELECT DISTINCT "+monitor.TimeField+" "+d.where, &QueryOptions{AtVersion: &d.at})
	if err != nil {
		return 0, err
	}
	defer func() { _ = rows.Close() }()
	var keys []arrow.RecordBatch
	for rows.Next() {
		b := rows.Batch()
		b.Retain()
		defer b.Release()
		keys = append(keys, b)
	}
	if err := rows.Err(); err != nil {
		return 0, err
	}
	rr, err := array.NewRecordReader(rows.Schema(), keys)
	if err != nil {
		return 0, errs.Wrap(errs.Internal, err, "drain a day: %v", err)
	}
	defer rr.Release()
	res, err := d.s.st.writer.Write(ctx, d.g, table, ingest.Input{Rows: rr}, ingest.Options{Key: []string{monitor.TimeField}, DeleteOnly: true, UpTo: d.at, Exactly: &n, Message: "drained"})
	if err != nil {
		return 0, err
	}
	return res.Deleted, nil
}

// chunker gathers batches into chunks.
type chunker struct {
	schema  *arrow.Schema
	most    int64
	take    func(array.RecordReader) error
	batches []arrow.RecordBatch
	rows    int64
}

func (c *chunker) add(b arrow.RecordBatch) error {
	for at := int64(0); at < b.NumRows(); {
		n := min(c.most-c.rows, b.NumRows()-at)
		c.batches = append(c.batches, b.NewSlice(at, at+n))
		c.rows += n
		at += n
		if c.rows == c.most {
			if err := c.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *chunker) flush() error {
	if c.rows == 0 {
		return nil
	}
	defer c.clear()
	rr, err := array.NewRecordReader(c.schema, c.batches)
	if err != nil {
		return errs.Wrap(errs.Internal, err, "drain a day: %v", err)
	}
	defer rr.Release()
	return c.take(rr)
}

func (c *chunker) clear() {
	for _, b := range c.batches {
		b.Release()
	}
	c.batches, c.rows = nil, 0
}
