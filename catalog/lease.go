package catalog

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/supertable-go/supertable/internal/errs"
)

// leases keeps this process's lease on its unfinished files: one row and one
// folder under tmp/, shared by all its writes, kept alive by a heartbeat.
type leases struct {
	mu   sync.Mutex
	id   string // guarded by mu; "" when there is none
	stop context.CancelFunc
	done chan struct{}
}

// Lease gives the lease of this process's unfinished files, taking it at the
// first call. What lies in its folder belongs to this process until Close, or
// until the lease has run out because the process showed no sign of life.
func (c *Catalog) Lease(ctx context.Context) (string, error) {
	c.leases.mu.Lock()
	defer c.leases.mu.Unlock()
	if c.leases.id != "" {
		return c.leases.id, nil
	}
	if c.foreign {
		return "", errs.New(errs.Denied, "this lake was made by another DuckLake client and is read-only; run create to adopt it")
	}
	id := uuid.Must(uuid.NewV7()).String()
	if err := os.MkdirAll(c.folder.LeaseDir(id), 0o777); err != nil {
		return "", errs.Wrap(errs.Unavailable, err, "make a folder under tmp: %v", errors.Unwrap(err))
	}
	err := c.write(ctx, func(q querier) error {
		return execAll(ctx, q, []statement{{`INSERT INTO supertable_lease (lease_id, holder, expires) VALUES (?, ?, ?)`,
			[]any{id, holder(), FormatTime(c.opts.Now().Add(c.opts.LeaseTTL))}}})
	})
	if err != nil {
		_ = c.folder.RemoveLease(id)
		return "", err
	}
	beat, stop := context.WithCancel(context.Background())
	c.leases.id, c.leases.stop, c.leases.done = id, stop, make(chan struct{})
	go c.heartbeat(beat, id, c.leases.done)
	return id, nil
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
				c.opts.Logger.Warn("lease not renewed", "error", err.Error())
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
	c.leases.stop()
	<-c.leases.done
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := c.sweep(ctx, []string{c.leases.id}); err != nil {
		c.opts.Logger.Warn("lease not ended", "error", err.Error())
	}
	c.leases.id = ""
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
	var n int
	if err := v.q.QueryRowContext(ctx, `SELECT count(*) FROM supertable_lease WHERE lease_id = ?`, id).Scan(&n); err != nil {
		return sqlError(ctx, err, "read the leases")
	}
	if n == 0 {
		return errs.Wrap(errs.Unavailable, ErrLeaseLost, "this writer showed no sign of life for so long that its unfinished files were removed; write again")
	}
	return nil
}

// LostLease forgets a lease that others ended, so that the next write takes a
// new one.
func (c *Catalog) LostLease(id string) {
	c.leases.mu.Lock()
	defer c.leases.mu.Unlock()
	if c.leases.id == id {
		c.leases.stop()
		c.leases.id = ""
	}
}

// Sweep removes what writers left whose lease has run out: their folders under
// tmp/ and the data files that they published and did not commit.
func (c *Catalog) Sweep(ctx context.Context) error {
	if c.foreign {
		return nil
	}
	dirs, err := c.folder.LeaseDirs()
	if err != nil || len(dirs) == 0 {
		return err
	}
	var dead []string
	err = c.Read(ctx, func(v *View) error {
		alive, err := v.aliveLeases(ctx, c.opts.Now())
		for _, d := range dirs {
			if !alive[d] && d != c.currentLease() {
				dead = append(dead, d)
			}
		}
		return err
	})
	if err != nil || len(dead) == 0 {
		return err
	}
	return c.sweep(ctx, dead)
}

func (c *Catalog) currentLease() string {
	c.leases.mu.Lock()
	defer c.leases.mu.Unlock()
	return c.leases.id
}

// aliveLeases lists the leases that have not run out.
func (v *View) aliveLeases(ctx context.Context, now time.Time) (map[string]bool, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT lease_id FROM supertable_lease WHERE expires > ?`, FormatTime(now))
	if err != nil {
		return nil, sqlError(ctx, err, "read the leases")
	}
	defer func() { _ = rows.Close() }()
	out := map[string]bool{}
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, sqlError(ctx, err, "read the leases")
		}
		out[id] = true
	}
	return out, sqlError(ctx, rows.Err(), "read the leases")
}

// sweep ends leases and removes their files. The rows go first, under the
// commit lock: from then on no commit can name a file of theirs. A data file
// that the catalog does not name is then nobody's.
func (c *Catalog) sweep(ctx context.Context, dead []string) error {
	if err := c.write(ctx, func(q querier) error {
		for _, id := range dead {
			if _, err := q.ExecContext(ctx, `DELETE FROM supertable_lease WHERE lease_id = ?`, id); err != nil {
				return sqlError(ctx, err, "end a lease")
			}
		}
		return nil
	}); err != nil {
		return err
	}
	for _, id := range dead {
		if err := c.removeLeased(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

func (c *Catalog) removeLeased(ctx context.Context, id string) error {
	files, err := c.folder.LeasedFiles(id)
	if err != nil {
		return err
	}
	for _, rel := range files {
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
