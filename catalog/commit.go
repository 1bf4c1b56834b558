package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"

	"github.com/supertable-go/supertable/internal/errs"
)

// commitLock is the lock file that writers of all processes queue at. SQLite's
// own busy loop would starve some of them for seconds.
const commitLock = "commit.lock"

// maxGroup bounds how many changes share one transaction.
const maxGroup = 64

// Decide looks at the head of the lake and says what to change; nil changes
// nothing. It runs inside the commit's transaction, with every other writer
// kept out, so what it sees holds until its change is durable. It may be
// called again when the transaction has to be repeated.
type Decide func(ctx context.Context, v *View) (*Change, error)

// Commit makes the next snapshot of what decide says, durably: when it returns
// nil error, the snapshot survives a crash. A nil change makes no snapshot and
// gives the zero Committed.
//
// The steps, for a group of callers that wait at the same time (ADR 0008):
//
//  1. take the commit lock (between processes), BEGIN IMMEDIATE;
//  2. check that the lake is still ours to write: version, not dropped;
//  3. bring the side tables up to date with foreign commits;
//  4. for each member: decide on the current head, write the change as head+1;
//     one that fails after it has written something makes the group begin
//     again, now each in a savepoint, so that only its own part is rolled back;
//  5. COMMIT: one fsync for all; then every member gets its own answer.
//
// Killed before 5, nothing has happened; after 5, all has.
func (c *Catalog) Commit(ctx context.Context, decide Decide) (Committed, error) {
	if c.foreign {
		return Committed{}, errs.New(errs.Denied, "this lake was made by another DuckLake client and is read-only; run create to adopt it")
	}
	if err := c.usable(); err != nil {
		return Committed{}, err
	}
	m := &member{ctx: ctx, decide: decide, done: make(chan struct{})}
	c.queue.add(m)
	select {
	case <-m.done:
		return m.result, m.err
	case <-ctx.Done():
		if c.queue.leave(m) {
			return Committed{}, errs.FromContext(ctx, "waiting to commit")
		}
		<-m.done // it runs already: the answer comes
		return m.result, m.err
	}
}

// member is one caller of Commit.
type member struct {
	ctx    context.Context //nolint:containedctx // lives for one call of Commit
	decide Decide
	done   chan struct{}
	result Committed
	err    error
}

// queue gathers the members that wait. One goroutine at a time works on it.
type queue struct {
	c       *Catalog
	mu      sync.Mutex
	waiting []*member
	running bool               // guarded by mu
	quit    context.CancelFunc // stops waiting for the lock; guarded by mu
}

func (q *queue) init(c *Catalog) { q.c = c }

func (q *queue) add(m *member) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, m)
	if !q.running {
		q.running = true
		go q.work()
	}
}

// leave takes m out while it waits; false means that it runs already.
func (q *queue) leave(m *member) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, w := range q.waiting {
		if w == m {
			q.waiting = append(q.waiting[:i:i], q.waiting[i+1:]...)
			if len(q.waiting) == 0 && q.quit != nil {
				q.quit() // nobody is left to wait for
			}
			return true
		}
	}
	return false
}

// work commits groups until nobody waits.
func (q *queue) work() {
	for {
		ctx, cancel := context.WithCancel(context.Background())
		q.mu.Lock()
		if len(q.waiting) == 0 {
			q.running = false
			q.mu.Unlock()
			cancel()
			return
		}
		q.quit = cancel
		q.mu.Unlock()
		q.group(ctx)
		cancel()
	}
}

// take empties the queue into a group, which then can no longer leave.
func (q *queue) take() []*member {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.quit = nil
	n := min(len(q.waiting), maxGroup)
	group := q.waiting[:n:n]
	q.waiting = append([]*member(nil), q.waiting[n:]...)
	return group
}

func (q *queue) group(ctx context.Context) {
	conn, release, err := q.begin(ctx)
	if err != nil && ctx.Err() != nil {
		return // everybody left while it waited; who came since has his own try
	}
	group := q.take()
	if err == nil {
		err = q.run(ctx, conn, group)
		_ = conn.Close()
		release()
	}
	for _, m := range group {
		if err != nil {
			m.result, m.err = Committed{}, err
		}
		close(m.done)
	}
}

// run runs the group in the transaction that is open, and again in another one
// when the first could not be the last.
func (q *queue) run(ctx context.Context, conn *sql.Conn, group []*member) error {
	w, run := watch(conn), runMember
	for {
		err := runGroup(q.c, w, group, run)
		switch {
		case errors.Is(err, errCarefully):
			w, run = &watched{conn: conn}, runCarefully
		case errors.Is(err, errSyncOtherwise):
			if err := setRelaxed(ctx, conn, !relaxed(conn)); err != nil {
				return err
			}
		default:
			return err
		}
		if err := beginImmediate(ctx, conn); err != nil {
			return err
		}
	}
}

// begin takes the lock and opens the transaction.
func (q *queue) begin(ctx context.Context) (*sql.Conn, func(), error) {
	release, err := q.c.folder.Lock(ctx, commitLock)
	if err != nil {
		return nil, nil, err
	}
	conn, err := q.c.writer.Conn(ctx)
	if err != nil {
		release()
		return nil, nil, sqlError(ctx, err, "open the catalog")
	}
	if err := beginImmediate(ctx, conn); err != nil {
		_ = conn.Close()
		release()
		return nil, nil, err
	}
	return conn, release, nil
}

func beginImmediate(ctx context.Context, conn *sql.Conn) error {
	return untilFree(ctx, func() error {
		_, err := conn.ExecContext(ctx, `BEGIN IMMEDIATE`)
		return err
	})
}

// errCarefully says that a member failed half-way: the group is run again, each
// in a savepoint of its own and without what the connection remembers.
var errCarefully = errors.New("run the group again with savepoints")

// errSyncOtherwise says that the option is another one than the connection has;
// it cannot change inside a transaction.
var errSyncOtherwise = errors.New("run the group again with another way of syncing")

// runGroup runs the members inside the open transaction and ends it. Its
// error is everybody's; errors of single members stay theirs.
func runGroup(c *Catalog, w *watched, group []*member, run func(*watched, *View, *member, int) (bool, error)) (err error) {
	ctx, conn := context.Background(), w.conn
	v := &View{q: w, c: c}
	changed, committed := false, false
	defer func() {
		if !committed {
			rollback(conn)
		}
		if changed && !committed {
			c.dead.forget() // members saw what never came to be
		}
	}()
	if err := v.prepare(ctx); err != nil {
		return err
	}
	set, err := v.Options(ctx, SuperOptions)
	if err != nil {
		return err
	}
	if (set[SyncOption] == "0") != relaxed(conn) {
		return errSyncOtherwise
	}
	settled := v.Head.SchemaVersion
	v.settled = &settled
	for i, m := range group {
		did, fatal := run(w, v, m, i)
		if fatal != nil {
			return fatal
		}
		changed = changed || did
	}
	if !changed && !v.synced() {
		return nil
	}
	w.reached(v.Head)
	if w.flush(ctx) != nil {
		return errCarefully // whose row it was shows then
	}
	if _, err := conn.ExecContext(ctx, `COMMIT`); err != nil {
		return sqlError(ctx, err, "commit")
	}
	committed = true
	return nil
}

// prepare reads the head and checks that the lake is still ours to write.
func (v *View) prepare(ctx context.Context) error {
	meta, err := v.metadata(ctx)
	if err != nil {
		return err
	}
	if err := readable(meta); err != nil {
		return err
	}
	if meta["supertable.dropped"] != "" {
		return errs.New(errs.NotFound, "the SuperTable was dropped")
	}
	synced := false
	if v.Head, synced = headOf(v.q); synced {
		agrees(v.Head, func() (Snapshot, error) { return v.loadHead(ctx) })
	} else {
		if v.Head, err = v.loadHead(ctx); err != nil {
			return err
		}
	}
	if meta["data_path"] != v.c.dataPath { // the folder was moved or copied
		if _, err := v.q.ExecContext(ctx, `UPDATE ducklake_metadata SET "value" = ? WHERE "key" = 'data_path' AND "scope" IS NULL`, v.c.dataPath); err != nil {
			return sqlError(ctx, err, "write the catalog")
		}
		v.c.opts.Logger.Info("data path updated after a move")
	}
	if synced {
		return nil
	}
	return v.syncForeign(ctx)
}

// runMember runs one member. Most that fail do so before they have written
// anything; a group where one fails later has to be run again.
func runMember(w *watched, v *View, m *member, _ int) (changed bool, fatal error) {
	writes := w.writes
	changed = v.attempt(m)
	if m.err != nil && (w.writes != writes || w.failed != nil) {
		return false, errCarefully
	}
	return changed, nil
}

// attempt decides and writes the change of one member, whose error it leaves
// with it.
func (v *View) attempt(m *member) (changed bool) {
	head := v.Head
	ch, err := safely(m, v)
	if err == nil && ch != nil {
		m.result, err = v.apply(m.ctx, ch)
	}
	if m.err = err; err != nil {
		v.Head = head
	}
	return err == nil && ch != nil
}

// runCarefully runs one member in a savepoint. fatal means that the
// transaction itself is lost.
func runCarefully(w *watched, v *View, m *member, i int) (changed bool, fatal error) {
	bg, conn := context.Background(), w.conn
	name := fmt.Sprintf("member%d", i)
	if _, err := conn.ExecContext(bg, `SAVEPOINT `+name); err != nil {
		return false, sqlError(bg, err, "commit")
	}
	if changed = v.attempt(m); m.err != nil {
		if _, err := conn.ExecContext(bg, `ROLLBACK TO `+name); err != nil {
			return false, sqlError(bg, err, "commit")
		}
	}
	if _, err := conn.ExecContext(bg, `RELEASE `+name); err != nil {
		return false, sqlError(bg, err, "commit")
	}
	return changed, nil
}

// safely calls decide; its panic is its own caller's error, not the group's.
func safely(m *member, v *View) (ch *Change, err error) {
	defer func() {
		if p := recover(); p != nil {
			ch, err = nil, errs.New(errs.Internal, "panic while committing: %v", p)
		}
	}()
	if err := errs.FromContext(m.ctx, "commit"); err != nil {
		return nil, err
	}
	return m.decide(m.ctx, v)
}
