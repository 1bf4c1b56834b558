package monitor

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/internal/errs"
)

// Plan is how one query ended. Nothing in its record shows what the query
// read: no value, no row, no text of the statement; who reads plans may see less
// than who asked.
type Plan struct {
	Text          string // only its hash is kept
	User          string // the principal's hash
	Tables        []string
	At            time.Time // when it ended
	Failure       string    // "" when it succeeded
	Rows          int64
	Columns       int
	Timings       []map[string]float64
	Overview      []map[string]any
	EngineProfile string // JSON; "" when there is none
}

// Write is what one write did.
type Write struct {
	Super, Table                     string
	Key                              []string
	At                               time.Time
	Took                             time.Duration
	Inserted, Deleted, Rows, Skipped int64
	Columns, NewFiles, EndedFiles    int
	Failure                          string // "" when it succeeded
}

// Note is the record of a plan.
func (p Plan) Note() catalog.Chunk {
	status, message := "ok", value{}
	if p.Failure != "" {
		status, message = "error", value{kind: text, s: p.Failure}
	}
	if p.Timings == nil {
		p.Timings, p.Overview = []map[string]float64{}, []map[string]any{}
	}
	profile := value{}
	if p.EngineProfile != "" {
		profile = textValue(p.EngineProfile)
	}
	return note(Plans, p.At, row{
		{"query_hash", textValue(queryHash(p.Text))},
		{"user_hash", textValue(p.User)},
		{"recorded_at", textValue(isoTime(p.At))},
		{"table_name", textValue(strings.Join(distinct(p.Tables), ", "))},
		{"status", textValue(status)},
		{"message", message},
		{"result_rows", value{kind: integer, i: p.Rows}},
		{"result_columns", value{kind: integer, i: int64(p.Columns)}},
		{"execution_timings", jsonValue(p.Timings)},
		{"profile_overview", jsonValue(p.Overview)},
		{"query_profile", profile},
	})
}

// Note is the record of a write.
func (w Write) Note() catalog.Chunk {
	if w.Key == nil {
		w.Key = []string{}
	}
	r := row{
		{"recorded_at", textValue(isoTime(w.At))},
		{"super_name", textValue(w.Super)},
		{"table_name", textValue(w.Table)},
		{"overwrite_columns", jsonValue(w.Key)},
		{"inserted", value{kind: integer, i: w.Inserted}},
		{"deleted", value{kind: integer, i: w.Deleted}},
		{"total_rows", value{kind: integer, i: w.Rows}},
		{"total_columns", value{kind: integer, i: int64(w.Columns)}},
		{"new_resources", value{kind: integer, i: int64(w.NewFiles)}},
		{"sunset_files", value{kind: integer, i: int64(w.EndedFiles)}},
		{"duration", value{kind: float, f: float64(w.Took.Microseconds()) / 1e6}},
		{"skipped_stale", value{kind: integer, i: w.Skipped}},
	}
	status, message := "ok", value{}
	if w.Failure != "" {
		status, message = "error", textValue(w.Failure)
	}
	return note(Stats, w.At, append(r, field{"status", textValue(status)}, field{"message", message}))
}

func note(stream string, at time.Time, r row) catalog.Chunk {
	r = append(row{{"query_id", textValue(uuid.NewString())}}, r...)
	r = append(r, field{TimeField, value{kind: integer, i: at.UnixMilli()}})
	return catalog.Chunk{Stream: stream, Records: 1, Body: encode([]row{r})}
}

func textValue(s string) value { return value{kind: text, s: strings.ToValidUTF8(s, "\uFFFD")} }

func jsonValue(v any) value {
	raw, _ := json.Marshal(v) // texts and numbers
	return textValue(string(raw))
}

func isoTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

// queryHash is the same for texts that differ in their white space only.
func queryHash(sql string) string {
	sum := sha256.Sum256([]byte(strings.TrimRight(strings.Join(strings.Fields(sql), " "), "; ")))
	return hex.EncodeToString(sum[:16])
}

// Limits of what waits of the lake's own records.
const (
	maxNotes    = 1000   // in memory; then they are kept in the catalog
	mostNotes   = 20_000 // in memory, while the catalog does not take them; others are dropped
	noteDelay   = time.Second
	noteTimeout = 2 * time.Second // for the catalog's lock: a record is not worth more
	maxChunks   = 10_000          // in the catalog, per stream; then they move to the table
	mostChunks  = 100_000         // in the catalog, when they cannot move; older ones are dropped
	ownPerFile  = 10_000
	checkEvery  = 256 // writes between two looks at how many records wait
)

// Notes keeps the records that a lake keeps of itself. It never fails its
// caller and never holds it up for long: what cannot be kept is dropped and
// counted. It is safe for concurrent use.
type Notes struct {
	store  *Store
	logger *slog.Logger

	mu      sync.Mutex
	waiting map[string]*catalog.Chunk // guarded by mu, like all below
	timer   *time.Timer
	dropped int64
	writes  int64 // since the last look
	closed  bool
	moving  bool
	work    sync.WaitGroup // what runs beside
}

// NewNotes keeps records in the store's lake.
func NewNotes(s *Store, logger *slog.Logger) *Notes {
	return &Notes{store: s, logger: logger, waiting: map[string]*catalog.Chunk{}}
}

// Add takes a record. It is in the catalog within a second, or when the lake
// is closed.
func (n *Notes) Add(ch catalog.Chunk) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed || n.store.Catalog.Foreign() {
		n.dropped += ch.Records
		return
	}
	w := n.waiting[ch.Stream]
	if w != nil && w.Records >= mostNotes {
		n.dropped += ch.Records
		return
	}
	if w == nil {
		w = &catalog.Chunk{Stream: ch.Stream}
		n.waiting[ch.Stream] = w
	}
	w.Records += ch.Records
	w.Body = append(w.Body, ch.Body...)
	switch {
	case w.Records >= maxNotes:
		n.beside(n.keep)
	case n.timer == nil:
		n.later()
	}
}

// later keeps what waits after a while; mu is held.
func (n *Notes) later() {
	n.timer = time.AfterFunc(noteDelay, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.timer = nil
		n.beside(n.keep)
	})
}

// beside runs do in the background unless something runs there; mu is held.
func (n *Notes) beside(do func()) {
	if n.moving || n.closed {
		return
	}
	n.moving = true
	n.work.Go(func() {
		do()
		n.mu.Lock()
		defer n.mu.Unlock()
		n.moving = false
		if len(n.waiting) > 0 && n.timer == nil && !n.closed {
			n.later()
		}
	})
}

// Wrote counts a write whose commit kept its record.
func (n *Notes) Wrote() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.writes++; n.writes%checkEvery == 0 {
		n.beside(func() { n.check(Stats) })
	}
}

// keep puts what waits in memory into the catalog.
func (n *Notes) keep() {
	n.mu.Lock()
	waiting := n.waiting
	n.waiting = map[string]*catalog.Chunk{}
	n.mu.Unlock()
	for _, ch := range waiting {
		ctx, cancel := context.WithTimeout(context.Background(), noteTimeout)
		kept, err := n.store.Catalog.NoteChunk(ctx, *ch)
		cancel()
		if err != nil {
			n.drop(ch.Records, err)
			continue
		}
		n.relieve(ch.Stream, kept)
	}
}

// Sync puts what waits in memory into the catalog before it returns, for who
// is about to read it.
func (n *Notes) Sync() { n.keep() }

// check looks how many records of a stream wait in the catalog.
func (n *Notes) check(stream string) {
	var kept int64
	err := n.store.Catalog.Read(context.Background(), func(v *catalog.View) (err error) {
		kept, err = v.CountChunks(context.Background(), stream)
		return err
	})
	if err == nil {
		n.relieve(stream, kept)
	}
}

// relieve moves the records of a stream to its table when there are many; when
// they cannot move, the oldest are dropped at some point.
func (n *Notes) relieve(stream string, kept int64) {
	if kept < maxChunks {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	_, err := n.store.Settle(ctx, stream, ownPerFile, true)
	if err == nil {
		return
	}
	n.logger.Warn("records not moved to their table", slog.String("stream", stream), slog.String("error", err.Error()))
	if kept >= mostChunks {
		gone, derr := n.store.Catalog.DropChunks(ctx, stream, mostChunks/2)
		if derr == nil {
			n.drop(gone, err)
		}
	}
}

func (n *Notes) drop(records int64, err error) {
	n.mu.Lock()
	n.dropped += records
	all := n.dropped
	n.mu.Unlock()
	if errs.KindOf(err) == errs.Denied {
		return // a read-only lake keeps none
	}
	n.logger.Warn("monitoring records dropped", slog.Int64("records", records), slog.Int64("in_all", all), slog.String("error", err.Error()))
}

// Dropped is the number of records that could not be kept.
func (n *Notes) Dropped() int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dropped
}

// Close keeps what waits and ends the work beside.
func (n *Notes) Close() {
	n.mu.Lock()
	closed := n.closed
	n.closed = true
	if n.timer != nil {
		n.timer.Stop()
	}
	writes := n.writes
	n.mu.Unlock()
	n.work.Wait()
	if closed {
		return
	}
	n.keep()
	if writes > 0 {
		n.check(Stats)
	}
}

// OwnColumns are the columns of the tables plans and stats, for who reads one
// before it is there.
func OwnColumns(table string) []Column {
	ch := Write{}.Note()
	if table == Table(Plans) {
		ch = Plan{}.Note()
	}
	rows, err := decode(ch.Body)
	if err != nil {
		return nil
	}
	cols := plan(nil, rows).columns
	for i := range cols {
		if cols[i].Type == nothing {
			cols[i].Type = varchar
		}
	}
	return cols
}

// distinct keeps the first of each.
func distinct(list []string) []string {
	var out []string
	for _, s := range list {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}
