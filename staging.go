package supertable

import (
	"context"
	"io"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/engine"
	"github.com/supertable-go/supertable/ingest"
	"github.com/supertable-go/supertable/ingest/source"
	"github.com/supertable-go/supertable/ingest/staging"
	"github.com/supertable-go/supertable/query/statement"
	"github.com/supertable-go/supertable/rbac"
)

// newStaging wires the staging of a SuperTable. Pipes carry users'
// expressions, so staged files are read by a locked engine of their own.
func newStaging(st *SuperTable) *staging.Store {
	return &staging.Store{
		Catalog:     st.catalog,
		WriteEngine: st.writeEngine,
		Engine: func(context.Context) (engine.Engine, error) {
			return st.engine("staging", []string{st.folder.Staging(), st.folder.Tmp()})
		},
		Writer: notedWriter{st},
		Condition: func(ctx context.Context, c engine.Conn, text string) (string, error) {
			return statement.Condition(ctx, statement.ParserOn(c), text)
		},
		Authorize: st.grantIn,

		Now:   st.lake.opts.Now,
		Super: st.name,
	}
}

// notedWriter is the write path with its record in the stream of writes.
type notedWriter struct{ st *SuperTable }

// Write is ingest.Writer's.
func (w notedWriter) Write(ctx context.Context, g rbac.Grant, table string, in ingest.Input, o ingest.Options) (ingest.Result, error) {
	note := (&Session{st: w.st}).noteWrite(table, &o)
	r, err := w.st.writer.Write(ctx, g, table, in, o)
	note(r, err)
	return r, err
}

// granted runs do with what the session's principal may do now.
func granted[T any](ctx context.Context, s *Session, do func(rbac.Grant) (T, error)) (T, error) {
	g, err := s.authorize(ctx)
	if err != nil {
		var none T
		return none, err
	}
	return do(g)
}

// StagedFile is one file of a staging area.
type StagedFile struct {
	Area    string    `json:"area"`
	File    string    `json:"file"` // its name in the area: the time of the put, and the name it was given
	Rows    int64     `json:"rows"`
	Bytes   int64     `json:"bytes"`
	SHA256  string    `json:"sha256"` // of the bytes, hex
	Status  string    `json:"status"` // staged, loaded (at least once), quarantined
	Created time.Time `json:"created"`

	Format    string `json:"-"` // parquet, arrow, csv, json, ndjson
	Reason    string `json:"-"` // why it was quarantined, to who sees the whole table
	Principal string `json:"-"` // who put it
}

// StageOptions of StageFiles and StageFrom.
type StageOptions struct {
	// Format is parquet, arrow, csv, json or ndjson. Defaults to the suffix of
	// the name, before .gz or .zst.
	Format string
}

// StageFiles keeps copies of files in a staging area, all or none. An area
// appears with its first file and is named as a table is. Each file gets the
// UTC time in front of its base name (20260131100000123_orders.csv), so names
// never collide. A file that cannot be read to its end as what it claims to be
// is InvalidArgument, and nothing is kept.
//
// It needs WRITE on the area, as every call on one does.
func (s *Session) StageFiles(ctx context.Context, area string, paths []string, o *StageOptions) (out []StagedFile, err error) {
	defer s.kept(ctx, "stage_put", area, false, func() int { return len(out) })(&err)
	items := make([]staging.Item, len(paths))
	for i, p := range paths {
		items[i] = staging.Item{Path: p, Format: o.format()}
	}
	list, err := granted(ctx, s, func(g rbac.Grant) ([]catalog.StagedFile, error) { return s.st.staging.Put(ctx, g, area, items) })
	return stagedFiles(list), err
}

// StageFrom keeps a stream of bytes in a staging area, under name.
func (s *Session) StageFrom(ctx context.Context, area, name string, r io.Reader, o *StageOptions) (StagedFile, error) {
	return s.stageOne(ctx, area, staging.Item{Bytes: r, Name: name, Format: o.format()})
}

// Stage keeps the batches of rows, read once and not released, as a Parquet
// file in a staging area. Name gets the suffix .parquet unless it has it.
func (s *Session) Stage(ctx context.Context, area, name string, rows array.RecordReader) (StagedFile, error) {
	return s.stageOne(ctx, area, staging.Item{Rows: rows, Name: name})
}

func (s *Session) stageOne(ctx context.Context, area string, it staging.Item) (_ StagedFile, err error) {
	defer s.kept(ctx, "stage_put", area, false, func() int { return 1 })(&err)
	list, err := granted(ctx, s, func(g rbac.Grant) ([]catalog.StagedFile, error) {
		return s.st.staging.Put(ctx, g, area, []staging.Item{it})
	})
	if err != nil {
		return StagedFile{}, err
	}
	return stagedFile(list[0]), nil
}

func (o *StageOptions) format() string {
	if o == nil {
		return ""
	}
	return o.Format
}

func stagedFile(f catalog.StagedFile) StagedFile {
	return StagedFile{
		Area: f.Area, File: f.File, Rows: f.Rows, Bytes: f.Bytes, SHA256: f.SHA256, Status: f.Status, Created: f.Created,
		Format: f.Format, Reason: f.Reason, Principal: f.Principal,
	}
}

func stagedFiles(list []catalog.StagedFile) []StagedFile {
	out := make([]StagedFile, len(list))
	for i, f := range list {
		out[i] = stagedFile(f)
	}
	return out
}

// Staged lists the files of a staging area, or of all areas when it is "", the
// oldest first. Areas that one may not write to are left out, and so are the
// files of others where one sees a part of the area only: for every call on a
// staged file those are not there.
func (s *Session) Staged(ctx context.Context, area string) ([]StagedFile, error) {
	list, err := granted(ctx, s, func(g rbac.Grant) ([]catalog.StagedFile, error) { return s.st.staging.List(ctx, g, area) })
	return stagedFiles(list), err
}

// StagedTree gives the staging folder as a nested map: areas to files, files
// to nil. It is empty when nothing is staged.
func (s *Session) StagedTree(ctx context.Context) (map[string]map[string]any, error) {
	list, err := granted(ctx, s, func(g rbac.Grant) ([]catalog.StagedFile, error) { return s.st.staging.List(ctx, g, "") })
	out := map[string]map[string]any{}
	for _, f := range list {
		if out[f.Area] == nil {
			out[f.Area] = map[string]any{}
		}
		out[f.Area][f.File] = nil
	}
	return out, err
}

// StagedPreview is the head of a staged file.
type StagedPreview struct {
	StagedFile
	Columns []Column
	// Preview are the first rows. The caller releases them.
	Preview array.RecordReader
}

// ShowStaged gives the columns and the first rows of a staged file. File is
// its name in the area or, when only one file there has it, the name that it
// was given. The types of text formats are found over all rows.
func (s *Session) ShowStaged(ctx context.Context, area, file string, rows int) (_ StagedPreview, err error) {
	defer s.kept(ctx, "stage_show", area, false, func() int { return 1 })(&err)
	p, err := granted(ctx, s, func(g rbac.Grant) (staging.Preview, error) {
		return s.st.staging.Show(ctx, g, area, file, max(rows, 0))
	})
	if err != nil {
		return StagedPreview{}, err
	}
	out := StagedPreview{StagedFile: stagedFile(p.StagedFile), Preview: p.Head}
	for _, c := range p.Columns {
		out.Columns = append(out.Columns, Column{Name: c.Name, Type: c.Type, Nullable: true})
	}
	return out, nil
}

// ReadStaged copies the bytes of a staged file to w, as they were put. Bytes
// that have changed since are Corrupt, which is known only at the end.
func (s *Session) ReadStaged(ctx context.Context, area, file string, w io.Writer) (_ StagedFile, err error) {
	defer s.kept(ctx, "stage_get", area, false, func() int { return 1 })(&err)
	f, err := granted(ctx, s, func(g rbac.Grant) (catalog.StagedFile, error) { return s.st.staging.Get(ctx, g, area, file, w) })
	return stagedFile(f), err
}

// RemoveStaged removes a staged file; false when there is none. What was
// loaded from it stays.
func (s *Session) RemoveStaged(ctx context.Context, area, file string) (removed bool, err error) {
	defer s.kept(ctx, "stage_rm", area, false, func() int { return one(removed) })(&err)
	return granted(ctx, s, func(g rbac.Grant) (bool, error) { return s.st.staging.Remove(ctx, g, area, file) })
}

// LoadOptions of LoadStaged; those of the same name are as in WriteOptions.
type LoadOptions struct {
	Key              []string
	NewerThan        string
	Message          string
	CompressionLevel int
	Columns          []Column
	// Again loads what was loaded into the table before once more. Defaults to
	// false: the same bytes go into one table once.
	Again bool
}

// LoadResult says what became of one staged file.
type LoadResult struct {
	File     string `json:"file"`
	Status   string `json:"status"` // loaded; quarantined; staged when it failed
	Reason   string `json:"reason"` // why it was not loaded, or that its bytes were before
	Table    string `json:"table"`
	Inserted int64  `json:"inserted"` // by this call
	Deleted  int64  `json:"deleted"`  // by this call
	Snapshot int64  `json:"snapshot"` // that holds it; 0 when it was not loaded
}

// LoadStaged loads staged files into table, one commit each, the oldest first:
// file, or, when it is "", all files of the area that were neither loaded into
// the table nor quarantined. The write id of a load is the SHA-256 of the
// bytes: in whatever process, by whatever way, they go into the table once.
//
// The first file that fails ends the call; its row comes with the error, and
// what was loaded before it stays. It needs WRITE on the area and the table.
func (s *Session) LoadStaged(ctx context.Context, area, file, table string, o *LoadOptions) (_ []LoadResult, err error) {
	defer s.audited(&ctx, "stage_load", area+" into "+table, table)(&err)
	if o == nil {
		o = &LoadOptions{}
	}
	lo := staging.LoadOptions{Key: o.Key, NewerThan: o.NewerThan, Message: o.Message, CompressionLevel: o.CompressionLevel, Again: o.Again}
	for _, c := range o.Columns {
		lo.Columns = append(lo.Columns, source.Column{Name: c.Name, Type: c.Type})
	}
	list, err := granted(ctx, s, func(g rbac.Grant) ([]staging.LoadResult, error) {
		return s.st.staging.Load(ctx, g, area, file, table, lo)
	})
	return loadResults(list), err
}

func loadResults(list []staging.LoadResult) []LoadResult {
	out := make([]LoadResult, len(list))
	for i, r := range list {
		out[i] = LoadResult(r)
	}
	return out
}

// StagedEvent is one load or quarantine of a staged file.
type StagedEvent struct {
	Time      time.Time `json:"time"`
	Area      string    `json:"area"`
	File      string    `json:"file"`
	Status    string    `json:"status"` // loaded, quarantined
	Reason    string    `json:"reason"`
	Table     string    `json:"table"`
	Pipe      string    `json:"pipe"` // "" when it was loaded by hand
	Inserted  int64     `json:"inserted"`
	Deleted   int64     `json:"deleted"`
	Snapshot  int64     `json:"snapshot"` // that holds it; 0 when it was not loaded
	SHA256    string    `json:"sha256"`
	Principal string    `json:"principal"`
}

// StagedHistory lists what became of staged files, removed ones too, newest
// first: of one area, or of all that one may write to when it is "".
func (s *Session) StagedHistory(ctx context.Context, area string) ([]StagedEvent, error) {
	list, err := granted(ctx, s, func(g rbac.Grant) ([]catalog.StagedLoad, error) { return s.st.staging.History(ctx, g, area) })
	out := make([]StagedEvent, len(list))
	for i, l := range list {
		out[i] = StagedEvent{
			Time: l.At, Area: l.Area, File: l.File, Status: l.Status, Reason: l.Reason, Table: l.Table, Pipe: l.Pipe,
			Inserted: l.Inserted, Deleted: l.Deleted, Snapshot: l.Snapshot, SHA256: l.SHA256, Principal: l.Principal,
		}
	}
	return out, err
}

// one is how many a yes or no is.
func one(did bool) int {
	if did {
		return 1
	}
	return 0
}
