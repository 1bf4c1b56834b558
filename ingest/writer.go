// Package ingest is the write path: check, write files, match keys, commit.
//
// A write never changes a file that is there. Its rows go to new data files
// under tmp/, the rows that they replace are found by key and recorded as
// dead, and one commit makes both visible at once (D4, D5).
package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/engine"
	"github.com/supertable-go/supertable/ingest/source"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/rbac"
)

// Writer writes into the tables of one SuperTable. It is safe for concurrent use.
type Writer struct {
	Catalog *catalog.Catalog
	// Engine gives the engine that reads inputs and writes files; opened when
	// first asked for. No user's SQL ever reaches it.
	Engine func(context.Context) (engine.Engine, error)
	// Super is the SuperTable's own name, which no table may carry.
	Super  string
	Logger *slog.Logger
	// Policy gives the rules that hold in the view: what a grant says is looked
	// at again at the commit.
	Policy func(ctx context.Context, v *catalog.View) (*rbac.Policy, error)
}

// Input is what a write reads: files, or one stream of batches.
type Input struct {
	Paths   []string
	Stdin   io.Reader // what the path "-" reads
	Rows    array.RecordReader
	Format  string          // of the files; "" is by suffix
	Columns []source.Column // declared types for text formats
	// Rename gives columns of the input other names before anything looks at
	// them: old to new. Columns has the old ones.
	Rename map[string]string
}

// Options of Write.
type Options struct {
	Key              []string
	NewerThan        string
	DeleteOnly       bool
	DeleteAll        bool
	WriteID          string
	CompressionLevel int
	Message          string
	Lineage          string // JSON
	Progress         func(Progress)
	// Move, when not nil, are the monitoring records that the input holds: they
	// leave where they wait in the transaction that writes them.
	Move *catalog.ChunkMove
	// UpTo, when not 0, leaves rows alone that came after that snapshot.
	UpTo int64
	// Exactly, when set, is how many rows the write must delete: with another
	// number it changes nothing and is Unavailable.
	Exactly *int64
	// Allow, when set, is asked inside the commit, beside the rights to write.
	Allow catalog.Allow
	// Note, when set, gives the record that the commit keeps of the write. It is
	// not asked when nothing changes.
	Note func(Outcome) *catalog.Chunk
}

// Progress tells how far a write is.
type Progress struct {
	Phase      string
	Fraction   float64
	TotalBytes int64
	Rows       int64
}

// Result says what a write did.
type Result struct {
	Table                               string
	Columns                             int
	Rows, Inserted, Deleted, Skipped    int64
	Snapshot, Version                   int64
	Duplicate                           bool
	signature                           string
	Created, Altered                    bool `json:"-"` // the table, its columns
	Files, InlinedDeletes, DeletesFiles int  `json:"-"`
}

// maxAgain is how often a write goes back to do large work outside the commit
// lock before it does it inside: progress is certain.
const maxAgain = 3

// errAgain says that the table moved so far that the work is better repeated
// outside the commit lock.
var errAgain = errors.New("the table moved on")

// Write makes the input's rows the newest rows of their keys in table.
//
// Files are written before the commit that names them (I2), so a crash leaves
// at most files that no snapshot names, under a lease. The keys are matched
// first against the head as it is, then, inside the commit, only against what
// came since; so neither an append nor an upsert ever conflicts. Write does
// not release the input's batches.
func (w *Writer) Write(ctx context.Context, g rbac.Grant, table string, in Input, o Options) (Result, error) {
	if err := w.Check(table, o); err != nil {
		return Result{}, err
	}
	if !g.Permits(rbac.Write, table) { // I6
		return Result{}, deniedWrite()
	}
	if o.DeleteAll {
		return w.deleteAll(ctx, g, table, o)
	}
	for again := in.Rows == nil && in.Stdin == nil; ; again = false { // files can be read again, a stream cannot
		j := &job{w: w, g: g, name: table, in: in, o: o}
		res, err := j.run(ctx)
		j.close()
		if again && errors.Is(err, catalog.ErrLeaseLost) {
			continue
		}
		return res, err
	}
}

// Check refuses the names and options that Write refuses.
func (w *Writer) Check(table string, o Options) error {
	if err := catalog.CheckTableName(table, w.Super); err != nil {
		return err
	}
	switch {
	case o.NewerThan != "" && len(o.Key) == 0:
		return errs.New(errs.InvalidArgument, "newer_than requires overwrite_columns (--key)")
	case o.NewerThan != "" && o.DeleteOnly:
		return errs.New(errs.InvalidArgument, "newer_than does not go with a delete")
	case o.DeleteOnly && !o.DeleteAll && len(o.Key) == 0:
		return errs.New(errs.InvalidArgument, "a delete needs key columns (--key); to remove every row ask for all (--delete --all)")
	case o.DeleteAll && len(o.Key) > 0:
		return errs.New(errs.InvalidArgument, "deleting all rows takes no key columns")
	case o.CompressionLevel < 0 || o.CompressionLevel > 22:
		return errs.New(errs.InvalidArgument, "compression level %d is not between 1 and 22", o.CompressionLevel)
	case len(o.WriteID) > 256:
		return errs.New(errs.InvalidArgument, "a write id has at most 256 bytes, this one has %d", len(o.WriteID))
	case len(o.Message) > 64<<10 || len(o.Lineage) > 64<<10:
		return errs.New(errs.InvalidArgument, "message and lineage have at most 64 KiB each")
	}
	return nil
}

// CheckInput refuses an input that cannot be opened, and one that would make no
// new table: it lacks a column, or has one that a table cannot have. What it
// must copy to read goes to spill.
func (w *Writer) CheckInput(ctx context.Context, c engine.Conn, spill string, in Input, o Options) error {
	rel, err := source.Open(ctx, c, in.Paths, &source.Options{Format: in.Format, Declared: in.Columns, SpillDir: spill, Stdin: in.Stdin})
	if err != nil {
		return err
	}
	defer func() { _ = rel.Close() }()
	cols, err := inputColumns(rel)
	if err == nil {
		_, err = planSchema(&state{nextID: 1}, cols, o)
	}
	return err
}

// deleteAll ends every file of the table. It reads no file and needs no engine.
func (w *Writer) deleteAll(ctx context.Context, g rbac.Grant, table string, o Options) (Result, error) {
	res := Result{Table: table}
	done, err := w.Catalog.Commit(ctx, func(ctx context.Context, v *catalog.View) (*catalog.Change, error) {
		if err := w.writable(ctx, v); err != nil {
			return nil, err
		}
		t, err := v.Table(ctx, table, v.Head.ID)
		if err != nil {
			return nil, err
		}
		if err := w.governAll(ctx, v, g, t, o); err != nil {
			return nil, err
		}
		res = Result{Table: t.Name, signature: signature(g, t.Name, o, 0)}
		if dup, err := duplicate(ctx, v, t.ID, o, &res); dup || err != nil {
			return nil, err
		}
		ch := &catalog.Change{Table: t, Record: record(g, o, "delete_all", &res)}
		files, err := v.Files(ctx, t, v.Head.ID, nil)
		if err != nil {
			return nil, err
		}
		if res.Deleted, _, _, err = v.CountLive(ctx, t, v.Head.ID); err != nil {
			return nil, err
		}
		for _, f := range files {
			ch.Remove = append(ch.Remove, f.ID)
		}
		if ch.EndRows, err = allInside(ctx, v, t); err != nil {
			return nil, err
		}
		ch.Record.Deleted, ch.OnlyWriteID = res.Deleted, len(files) == 0 && len(ch.EndRows) == 0
		o.note(ch, &res)
		return ch, nil
	})
	if err == nil && !res.Duplicate {
		res.Snapshot, res.Version = done.Snapshot, done.Version
	}
	return res, err
}

// writable refuses writes to a SuperTable that is read-only.
func (w *Writer) writable(ctx context.Context, v *catalog.View) error {
	ro, err := v.ReadOnly(ctx)
	if err == nil && ro {
		err = errs.New(errs.Denied, "the SuperTable is read-only; make it writable with: create --read-write")
	}
	return err
}

func record(g rbac.Grant, o Options, operation string, res *Result) catalog.Record {
	return catalog.Record{
		Operation: operation, Principal: g.Principal().Name(), Message: o.Message, Lineage: o.Lineage,
		WriteID: o.WriteID, Signature: res.signature,
		Result: func(c catalog.Committed) string {
			first := *res
			first.Snapshot, first.Version = c.Snapshot, c.Version
			text, _ := json.Marshal(first)
			return string(text)
		},
	}
}

// signature tells a repeated write from another one under the same id. Those
// of a principal who does not see the whole table are his own: the first result
// of another's write would tell of the rows that it met and of its columns.
func signature(g rbac.Grant, table string, o Options, rows int64) string {
	m := map[string]any{"key": o.Key, "newer_than": o.NewerThan, "delete": o.DeleteOnly, "all": o.DeleteAll, "rows": rows}
	if !g.Whole(rbac.Write, table) {
		m["by"] = g.Principal().Hash()
	}
	text, _ := json.Marshal(m)
	return string(text)
}

// signedBy reports whether a signature is the principal's own.
func signedBy(p rbac.Principal, signature string) bool {
	var m struct{ By string }
	return json.Unmarshal([]byte(signature), &m) == nil && m.By == p.Hash()
}

// duplicate reports whether the write id was seen on the table, and fills res
// with the first result.
func duplicate(ctx context.Context, v *catalog.View, table int64, o Options, res *Result) (bool, error) {
	if o.WriteID == "" {
		return false, nil
	}
	first, ok, err := v.WriteID(ctx, table, o.WriteID)
	if err != nil || !ok {
		return false, err
	}
	if first.Signature != res.signature {
		return false, errs.New(errs.AlreadyExists, "write id %q was used on this table for another write (other key, mode or number of rows)", o.WriteID)
	}
	if err := json.Unmarshal([]byte(first.Result), res); err != nil {
		return false, errs.Wrap(errs.Corrupt, err, "the stored result of write id %q cannot be read", o.WriteID)
	}
	res.Duplicate = true
	return true, nil
}
