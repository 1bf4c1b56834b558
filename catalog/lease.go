package catalog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/storage"
)

// leases keeps this process's lease on its unfinished files: one row and one
// folder under tmp/, shared by all its writes, kept alive by a heartbeat.
type leases struct {
	mu   sync.Mutex
	id   string // guarded by mu; "" when there is none
	stop context.CancelFunc
	done chan struct{}
}

// Lease gives the lease of this process's unfinished files, taking one at the
// first call and when others ended the last one. What lies in its folder
// belongs to this process until Close, or until the lease has run out because
// the process showed no sign of life.
func (c *Catalog) Lease(ctx context.Context) (string, error) {
	c.leases.mu.Lock()
	defer c.leases.mu.Unlock()
	if c.foreign {
		return "", errs.New(errs.Denied, "this lake was made by another DuckLake client and is read-only; run create to adopt it")
	}
	if c.leases.id != "" {
		held := false
		err := c.Read(ctx, func(v *View) (err error) { held, err = v.hasLease(ctx, c.leases.id); return err })
		if err != nil {
			return "", err
		}
		if held {
			return c.leases.id, c.makeLeaseDir(c.leases.id)
		}
		c.leases.forget()
	}
	id := uuid.Must(uuid.NewV7()).String()
	// The row comes first: a folder without one is nobody's, to a sweeper.
	err := c.write(ctx, func(q querier) error {
		return execAll(ctx, q, []statement{{
			`INSERT INTO supertable_lease (lease_id, holder, expires) VALUES (?, ?, ?)`,
			[]any{id, holder(), FormatTime(c.opts.Now().Add(c.opts.LeaseTTL))},
		}})
	})
	if err != nil {
		return "", err
	}
	if err := c.makeLeaseDir(id); err != nil {
		return "", err // the row runs out by itself
	}
	beat, stop := context.WithCancel(context.Background())
	c.leases.id, c.leases.stop, c.leases.done = id, stop, make(chan struct{})
	go c.heartbeat(beat, id, c.leases.done)
	return id, nil
}

func (c *Catalog) makeLeaseDir(id string) error {
	err := os.MkdirAll(c.folder.LeaseDir(id), 0o777)
	if err != nil {
		return errs.Wrap(errs.Unavailable, err, "make a folder under tmp: %v", errors.Unwrap(err))
	}
	return nil
}

// forget ends the heartbeat; the caller holds mu.
func (l *leases) forget() {
	l.stop()
	<-l.done
	l.id = ""
}

func holder() string {
	host, _ := os.Hostname()
	return fmt.Sprintf("%s/%d", host, os.Getpid())
}

func (c *Catalog) heartbeat(ctx context.Context, id string, done chan struct{}) {
	defer close(done)
	tick := time.NewTicker(c.opts.LeaseTTL / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			err := c.write(ctx, func(q querier) error {
				return execAll(ctx, q, []statement{{`UPDATE supertable_lease SET expires = ? WHERE lease_id = ?`, []any{FormatTime(c.opts.Now().Add(c.opts.LeaseTTL)), id}}})
			})
			if err != nil && ctx.Err() == nil {
				c.opts.Logger.Warn("lease not renewed", slog.String("error", err.Error()))
			}
		}
	}
}

func (c *Catalog) endLeases() {
	c.leases.mu.Lock()
	defer c.leases.mu.Unlock()
	if c.leases.id == "" {
		return
	}
	id := c.leases.id
	c.leases.forget()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := c.endLease(ctx, id, ""); err != nil {
		c.opts.Logger.Warn("lease not ended", slog.String("error", err.Error()))
	}
}

// ErrLeaseLost is the cause of a commit that was refused because the writer
// slept longer than its lease.
var ErrLeaseLost = errors.New("the lease is gone")

// checkLease fails a commit whose files may have been swept: the writer slept
// longer than its lease.
func (v *View) checkLease(ctx context.Context, id string) error {
	if id == "" {
		return nil
	}
	held, err := v.hasLease(ctx, id)
	if err == nil && !held {
		err = errs.Wrap(errs.Unavailable, ErrLeaseLost, "this writer showed no sign of life for so long that its unfinished files were removed; write again")
	}
	return err
}

func (v *View) hasLease(ctx context.Context, id string) (bool, error) {
	var n int
	err := v.q.QueryRowContext(ctx, `SELECT count(*) FROM supertable_lease WHERE lease_id = ?`, id).Scan(&n)
	return n > 0, sqlError(ctx, err, "read the leases")
}

// Sweep removes what writers left whose lease has run out: their folders under
// tmp/, the data files that they published and did not commit, what their
// engines spilled, and the marks of dead readers.
func (c *Catalog) Sweep(ctx context.Context) error {
	if c.foreign {
		return nil
	}
	if err := c.folder.SweepSpill(); err != nil {
		return err
	}
	if _, err := c.folder.Marks(); err != nil {
		return err
	}
	dirs, err := c.folder.LeaseDirs() // before the rows: who has a folder has had a row
	if err != nil {
		return err
	}
	now, own := FormatTime(c.opts.Now()), c.currentLease()
	var dead []string
	err = c.Read(ctx, func(v *View) error {
		rows, err := v.leases(ctx, now)
		for _, d := range dirs {
			if _, ok := rows[d]; !ok {
				rows[d] = true
			}
		}
		for id, out := range rows {
			if out && id != own {
				dead = append(dead, id)
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, id := range dead {
		if err := c.endLease(ctx, id, now); err != nil {
			return err
		}
	}
	return nil
}

func (c *Catalog) currentLease() string {
	c.leases.mu.Lock()
	defer c.leases.mu.Unlock()
	return c.leases.id
}

// leases lists the leases that have a row, and whether they have run out.
func (v *View) leases(ctx context.Context, now string) (map[string]bool, error) {
	out := map[string]bool{}
	rows, err := v.q.QueryContext(ctx, `SELECT lease_id, expires <= ? FROM supertable_lease`, now)
	if err != nil {
		return out, sqlError(ctx, err, "read the leases")
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id string
		var over bool
		if err := rows.Scan(&id, &over); err != nil {
			return out, sqlError(ctx, err, "read the leases")
		}
		out[id] = over
	}
	return out, sqlError(ctx, rows.Err(), "read the leases")
}

// endLease ends a lease and removes its files. The row goes first, under the
// commit lock: from then on no commit can name a file of it, so that a data
// file which the catalog does not name is nobody's. A lease that was renewed
// after now is left alone; now "" ends it in any case.
func (c *Catalog) endLease(ctx context.Context, id, now string) error {
	renewed := false
	err := c.write(ctx, func(q querier) error {
		_, err := q.ExecContext(ctx, `DELETE FROM supertable_lease WHERE lease_id = ?1 AND (expires <= ?2 OR ?2 = '')`, id, now)
		if err == nil {
			err = q.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM supertable_lease WHERE lease_id = ?)`, id).Scan(&renewed)
		}
		return sqlError(ctx, err, "end a lease")
	})
	if err != nil || renewed {
		return err
	}
	return c.removeLeased(ctx, id)
}

func (c *Catalog) removeLeased(ctx context.Context, id string) error {
	files, err := c.folder.LeasedFiles(id)
	if err != nil {
		return err
	}
	for _, rel := range files {
		if area, file, ok := storage.SplitStaged(rel); ok {
			if err := c.removeStagedTrace(ctx, id, area, file); err != nil {
				return err
			}
			continue
		}
		if !strings.HasSuffix(rel, ".parquet") {
			continue
		}
		named := false
		err := c.Read(ctx, func(v *View) (err error) { named, err = v.names(ctx, rel); return err })
		if err != nil {
			return err
		}
		if !named {
			c.folder.Unpublish(rel)
		}
	}
	if err := c.folder.RemoveLease(id); err != nil {
		return errs.Wrap(errs.Unavailable, err, "remove what a dead writer left")
	}
	return nil
}

// removeStagedTrace ends what a dead writer began with a staged file: one that
// the index does not name goes, whether it was being put or removed.
func (c *Catalog) removeStagedTrace(ctx context.Context, lease, area, file string) error {
	named, err := c.NamesStaged(ctx, area, file)
	if err == nil && !named {
		c.folder.UnpublishStaged(lease, area, file)
	}
	return err
}

// names reports whether the catalog names a file of that base name.
func (v *View) names(ctx context.Context, rel string) (bool, error) {
	base := rel[strings.LastIndexByte(rel, '/')+1:]
	var n int
	err := v.q.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM ducklake_data_file WHERE path = ?1 OR path LIKE '%/' || ?1) + (SELECT count(*) FROM ducklake_delete_file WHERE path = ?1 OR path LIKE '%/' || ?1)
 + (SELECT count(*) FROM ducklake_files_scheduled_for_deletion WHERE path = ?1 OR path LIKE '%/' || ?1)`, base).Scan(&n)
	return n > 0, sqlError(ctx, err, "look up a file")
}

// Names reports whether the catalog names a data or delete file of that path.
func (c *Catalog) Names(ctx context.Context, rel string) (named bool, err error) {
	err = c.Read(ctx, func(v *View) error { named, err = v.names(ctx, rel); return err })
	return named, err
}
