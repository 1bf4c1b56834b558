package catalog

import (
	"context"
	"database/sql"
	"math/bits"
	"reflect"
	"strings"
	"sync"

	"github.com/supertable-go/supertable/internal/invariant"
)

// memory is what the connection that writes knows of the catalog without
// asking. It holds from one transaction to the next for as long as no other
// connection commits: PRAGMA data_version tells that at each BEGIN. A small
// commit then consists of little more than the rows that it adds.
//
// What rows of the hottest tables are going to be, and rows that every commit
// adds, are held back in here until somebody else looks at these tables, or the
// transaction ends: a group of commits writes them once, and together.
//
// It belongs to the transaction that is open, and is empty after one that was
// rolled back.
type memory struct {
	head   Snapshot // when known
	synced bool     // the side tables reflect head; head is then known
	facts  map[any]any
	tables map[int64]*tableMemory
	audit  *AuditHead
	trail  bool                // the audit's head is held back
	rows   map[string]*newRows // held back, by table
}

// newRows are rows that will be inserted.
type newRows struct {
	columns string
	width   int
	values  []any // of all rows, one after the other
}

// tableMemory is what each commit changes of a table; dirty is what is held back.
type tableMemory struct {
	live    *liveState
	liveAt  Snapshot
	stats   *tableStats
	columns map[int64]columnStats // nil: not known

	dirtyLive, dirtyStats bool
	dirtyColumns          map[int64]bool
}

func (m *memory) forget() { *m = memory{} }

func (m *memory) table(id int64) *tableMemory {
	if m.tables == nil {
		m.tables = map[int64]*tableMemory{}
	}
	if m.tables[id] == nil {
		m.tables[id] = &tableMemory{}
	}
	return m.tables[id]
}

// watched is the writer's connection inside a transaction, with its memory.
// Statements run to their end whatever the caller's context does: an interrupted
// one would roll back the whole transaction, and with it the other members of a
// group.
type watched struct {
	conn   *sql.Conn
	mem    *memory
	writes int // statements that changed something, and changes held back
	// failed is set when something held back could not be written. It may be of
	// another member than the one whose statement asked for it, so the transaction
	// must not be committed.
	failed error
}

// watch gives the connection with its memory; without one, where it has none.
func watch(conn *sql.Conn) *watched {
	w := &watched{conn: conn}
	if l := loggedOf(conn); l != nil {
		w.mem = &l.memory
	}
	return w
}

// loggedOf gives the writer's connection behind conn; nil when it is another.
func loggedOf(conn *sql.Conn) (l *loggedConn) {
	_ = conn.Raw(func(c any) error {
		l, _ = c.(*loggedConn)
		return nil
	})
	return l
}

// remembering gives the memory behind q; nil when it has none.
func remembering(q querier) (*watched, bool) {
	w, ok := q.(*watched)
	return w, ok && w.mem != nil
}

// reached notes the head that the transaction leaves.
func (w *watched) reached(head Snapshot) {
	if w.mem != nil {
		w.mem.head, w.mem.synced = head, true
	}
}

// headOf gives the head, when it is known and the side tables reflect it.
func headOf(q querier) (Snapshot, bool) {
	if w, ok := remembering(q); ok && w.mem.synced {
		return w.mem.head, true
	}
	return Snapshot{}, false
}

// recall gives a fact of tables that plain rows do not touch (see plainTarget),
// asking for it once.
func recall[T any](q querier, key any, ask func() (T, error)) (T, error) {
	w, ok := remembering(q)
	if !ok {
		return ask()
	}
	if x, ok := w.mem.facts[key]; ok {
		agrees(x.(T), ask)
		return x.(T), nil
	}
	x, err := ask()
	if err == nil {
		if w.mem.facts == nil {
			w.mem.facts = map[any]any{}
		}
		w.mem.facts[key] = x
	}
	return x, err
}

// agrees holds, in test builds, what is remembered against the catalog.
func agrees[T any](remembered T, ask func() (T, error)) {
	if !invariant.Enabled {
		return
	}
	now, err := ask()
	invariant.Check(err != nil || reflect.DeepEqual(now, remembered), "remembered %+v where the catalog has %+v", remembered, now)
}

func (w *watched) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if err := w.before(ctx, query); err != nil {
		return nil, err
	}
	return w.conn.QueryContext(context.WithoutCancel(ctx), query, args...)
}

func (w *watched) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if err := w.before(ctx, query); err != nil {
		return w.conn.QueryRowContext(context.WithoutCancel(ctx), `SELECT 'held back rows' FROM "are not written"`) // its error comes with Scan
	}
	return w.conn.QueryRowContext(context.WithoutCancel(ctx), query, args...)
}

func (w *watched) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	w.writes++
	if err := w.before(ctx, query); err != nil {
		return nil, err
	}
	if w.mem != nil && !traitsOf(query).plain {
		if err := w.flush(ctx); err != nil {
			return nil, err
		}
		w.mem.forget()
	}
	return w.conn.ExecContext(context.WithoutCancel(ctx), query, args...)
}

// own runs a statement of the memory itself.
func (w *watched) own(ctx context.Context, query string, args ...any) error {
	if _, err := w.conn.ExecContext(context.WithoutCancel(ctx), query, args...); err != nil {
		w.failed = sqlError(ctx, err, "write the catalog")
	}
	return w.failed
}

// before writes what is held back when a statement is about it.
func (w *watched) before(ctx context.Context, query string) error {
	if w.mem == nil {
		return nil
	}
	for table, rows := range w.mem.rows {
		if strings.Contains(query, table) {
			if err := w.flushRows(ctx, table, rows); err != nil {
				return err
			}
		}
	}
	if !traitsOf(query).held {
		return nil
	}
	return w.flush(ctx)
}

// insertRow adds a row to one of the tables that every commit adds to.
func insertRow(ctx context.Context, q querier, table, columns string, values ...any) error {
	w, ok := remembering(q)
	if !ok {
		_, err := q.ExecContext(ctx, insertText(table, columns, len(values), 1), values...)
		return sqlError(ctx, err, "write the catalog")
	}
	w.writes++
	if w.mem.rows == nil {
		w.mem.rows = map[string]*newRows{}
	}
	rows := w.mem.rows[table]
	if rows == nil {
		rows = &newRows{columns: columns, width: len(values)}
		w.mem.rows[table] = rows
	}
	if rows.columns != columns {
		if err := w.flushRows(ctx, table, rows); err != nil {
			return err
		}
		rows.columns, rows.width = columns, len(values)
	}
	rows.values = append(rows.values, values...)
	return nil
}

func insertText(table, columns string, width, n int) string {
	row := "(" + strings.Repeat("?, ", width-1) + "?)"
	return `INSERT INTO ` + quoteName(table) + ` (` + columns + `) VALUES ` + strings.Repeat(row+", ", n-1) + row
}

// flushRows inserts what is held back of a table, many rows to a statement;
// their numbers are powers of two, so that few statements are prepared.
func (w *watched) flushRows(ctx context.Context, table string, rows *newRows) error {
	if len(rows.values) == 0 {
		return nil
	}
	values := rows.values
	rows.values = rows.values[:0]
	for len(values) > 0 {
		n := 1 << (bits.Len(uint(min(len(values)/rows.width, 32))) - 1)
		if err := w.own(ctx, insertText(table, rows.columns, rows.width, n), values[:n*rows.width]...); err != nil {
			return err
		}
		values = values[n*rows.width:]
	}
	clear(rows.values[:cap(rows.values)])
	return nil
}

// flush writes what is held back.
func (w *watched) flush(ctx context.Context) error {
	if w.mem == nil || w.failed != nil {
		return w.failed
	}
	for table, rows := range w.mem.rows {
		if err := w.flushRows(ctx, table, rows); err != nil {
			return err
		}
	}
	for id, t := range w.mem.tables {
		if err := w.flushTable(ctx, id, t); err != nil {
			return err
		}
	}
	if len(w.mem.rows) > mostTables {
		w.mem.rows = nil
	}
	if len(w.mem.tables) > mostTables {
		w.mem.tables = nil
	}
	if len(w.mem.facts) > 8*mostTables {
		w.mem.facts = nil
	}
	if w.mem.trail {
		w.mem.trail = false
		return w.own(ctx, setAuditHead, w.mem.audit.Seq, w.mem.audit.Hash)
	}
	return nil
}

// mostTables is of how many tables the rows are remembered.
const mostTables = 512

func (w *watched) flushTable(ctx context.Context, id int64, t *tableMemory) error {
	if t.dirtyStats {
		t.dirtyStats = false
		if err := w.own(ctx, setTableStats, t.stats.records, t.stats.nextRowID, t.stats.bytes, id); err != nil {
			return err
		}
	}
	for column := range t.dirtyColumns {
		c := t.columns[column]
		if err := w.own(ctx, setColumnStats, c.null, c.nan, c.lo, c.hi, id, column); err != nil {
			return err
		}
		delete(t.dirtyColumns, column)
	}
	if t.dirtyLive {
		t.dirtyLive = false
		return w.own(ctx, storeLive, id, t.live.version, t.live.rows, t.live.files, t.live.bytes, FormatTime(t.liveAt.Time))
	}
	return nil
}

// traits say what a statement means for the memory.
type traits struct {
	held  bool // it is about tables whose rows may be held back
	plain bool // it changes nothing that is remembered
}

var (
	knownTraits sync.Map // by text
	heldTables  = []string{"supertable_table", "ducklake_table_stats", "ducklake_table_column_stats", "supertable_audit"}
	// plainTables hold rows from which nothing is remembered.
	plainTables = map[string]bool{
		"ducklake_snapshot_changes": true, "ducklake_data_file": true, "ducklake_file_column_stats": true, "ducklake_delete_file": true,
		"ducklake_files_scheduled_for_deletion": true, "supertable_file": true, "supertable_lease": true, "supertable_change": true,
		"supertable_write_id": true, "supertable_chunk": true,
	}
)

func traitsOf(query string) traits {
	if t, ok := knownTraits.Load(query); ok {
		return t.(traits)
	}
	t := traits{plain: plainTarget(query)}
	for _, name := range heldTables {
		t.held = t.held || strings.Contains(query, name)
	}
	if len(query) < 2000 { // many rows in one statement come in many lengths
		knownTraits.Store(strings.Clone(query), t)
	}
	return t
}

// plainTarget reports whether a statement leaves what is remembered as it is.
func plainTarget(query string) bool {
	verb, rest := word(query)
	verb = strings.ToUpper(verb)
	if verb != "UPDATE" { // INSERT INTO, DELETE FROM
		between, after := word(rest)
		if !strings.EqualFold(between, "INTO") && !strings.EqualFold(between, "FROM") {
			return false
		}
		rest = after
	}
	target, _ := word(rest)
	target = strings.Trim(target, `"`)
	switch {
	case plainTables[target]:
		return verb == "INSERT" || verb == "UPDATE" || verb == "DELETE"
	case target == "ducklake_snapshot": // the head moves with the one who adds to it
		return verb == "INSERT"
	}
	return inlinedTable(target) && (verb == "INSERT" || verb == "UPDATE") // see insertRows
}

// inlinedTable knows the tables that hold rows, and dead positions, by name.
func inlinedTable(name string) bool {
	rest, ok := strings.CutPrefix(name, "ducklake_inlined_data_")
	if !ok {
		rest, ok = strings.CutPrefix(name, "ducklake_inlined_delete_")
	}
	return ok && rest != "" && rest[0] >= '0' && rest[0] <= '9'
}
