package catalog

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/supertable-go/supertable/internal/errs"
)

func lease(t *testing.T, c *Catalog) string {
	t.Helper()
	id, err := c.Lease(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// leased tells whether the lease has its row and its folder.
func leased(t *testing.T, c *Catalog, id string) (row, folder bool) {
	t.Helper()
	var n int
	if err := c.db.QueryRowContext(t.Context(), `SELECT count(*) FROM supertable_lease WHERE lease_id = ?`, id).Scan(&n); err != nil {
		t.Fatal(err)
	}
	_, err := os.Stat(c.folder.LeaseDir(id))
	return n > 0, err == nil
}

func wantLeased(t *testing.T, c *Catalog, id string, want bool) {
	t.Helper()
	if row, folder := leased(t, c, id); row != want || folder != want {
		t.Errorf("lease %s: row %v, folder %v; want %v", id, row, folder, want)
	}
}

// stageFile puts a finished file under a lease and publishes it.
func stageFile(t *testing.T, c *Catalog, id, rel string) {
	t.Helper()
	path := filepath.Join(c.folder.LeaseDir(id), rel)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("rows"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := c.folder.Publish(id, rel); err != nil {
		t.Fatal(err)
	}
}

func dataFiles(t *testing.T, c *Catalog) []string {
	t.Helper()
	files, err := c.folder.DataFiles()
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	return files
}

// crash lets c stop as a killed process does: its lease stays as it is.
func crash(t *testing.T, c *Catalog) {
	t.Helper()
	c.leases.mu.Lock()
	defer c.leases.mu.Unlock()
	c.leases.stop()
	<-c.leases.done
	c.leases.id = ""
}

func TestLeaseIsOnePerProcess(t *testing.T) {
	c := newCatalog(t, nil)
	var wg sync.WaitGroup
	ids := make([]string, 8)
	for i := range ids {
		wg.Go(func() { ids[i], _ = c.Lease(t.Context()) })
	}
	wg.Wait()
	if got := slices.Compact(slices.Clone(ids)); len(got) != 1 || got[0] == "" {
		t.Fatalf("got leases %q, want one", ids)
	}
	wantLeased(t, c, ids[0], true)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	again := openFolder(t, c.folder, nil)
	wantLeased(t, again, ids[0], false)
}

func TestSweepTakesOnlyTheDead(t *testing.T) {
	k := newClock()
	c := newCatalog(t, func(o *Options) { o.Now = k.Now })
	mustCommit(t, c, creates("base"))
	dead := lease(t, c)
	stageFile(t, c, dead, "main/base/committed.parquet")
	stageFile(t, c, dead, "main/base/lost.parquet")
	mustCommit(t, c, func(ctx context.Context, v *View) (*Change, error) {
		table, err := v.Table(ctx, "base", v.Head.ID)
		return &Change{
			Table: table, Lease: dead, Add: []NewFile{{Rel: "main/base/committed.parquet", Records: 1, Size: 4}},
			Record: Record{Operation: "append", Rows: 1, Principal: "test"},
		}, err
	})
	crash(t, c)

	other := openFolder(t, c.folder, func(o *Options) { o.Now = k.Now })
	if err := other.Sweep(t.Context()); err != nil { // not run out yet
		t.Fatal(err)
	}
	wantLeased(t, c, dead, true)
	living := lease(t, other)
	stageFile(t, other, living, "main/base/living.parquet")
	k.move(2 * time.Minute)
	third := openFolder(t, c.folder, func(o *Options) { o.Now = func() time.Time { return k.Now().Add(-90 * time.Second) } })
	young := lease(t, third) // runs out in 30 s of k's time ago: dead too, but its files are its own
	crash(t, third)
	if err := other.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantLeased(t, c, dead, false)
	wantLeased(t, c, young, false)
	wantLeased(t, c, living, true) // its own, whatever the clock says
	want := []string{"main/base/committed.parquet", "main/base/living.parquet"}
	if got := dataFiles(t, c); !slices.Equal(got, want) {
		t.Errorf("got data files %q, want %q", got, want)
	}
}

// A row without a folder and a folder without a row both go.
func TestSweepTakesHalves(t *testing.T) {
	k := newClock()
	c := newCatalog(t, func(o *Options) { o.Now = k.Now })
	id := lease(t, c)
	crash(t, c)
	if err := os.RemoveAll(c.folder.LeaseDir(id)); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(c.folder.LeaseDir("orphan"), 0o777); err != nil {
		t.Fatal(err)
	}
	k.move(time.Hour)
	if err := c.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantLeased(t, c, id, false)
	wantLeased(t, c, "orphan", false)
}

// A writer takes its lease while another process sweeps: the fresh lease must
// not be taken for a dead one's leftover.
func TestSweepSparesALeaseThatIsBeingTaken(t *testing.T) {
	c := newCatalog(t, nil)
	other := openFolder(t, c.folder, nil)
	for i := range 30 {
		release, err := c.folder.Lock(t.Context(), commitLock)
		if err != nil {
			t.Fatal(err)
		}
		var id string
		var wg sync.WaitGroup
		wg.Go(func() { id, err = c.Lease(t.Context()) })
		time.Sleep(time.Duration(1+i%4) * time.Millisecond)
		var swept error
		wg.Go(func() { swept = other.Sweep(t.Context()) })
		time.Sleep(time.Duration(1+i%3) * time.Millisecond)
		release()
		wg.Wait()
		if err != nil || swept != nil {
			t.Fatal(err, swept)
		}
		wantLeased(t, c, id, true)
		if t.Failed() {
			t.FailNow()
		}
		c.endLeases()
	}
}

// A machine that wakes up renews its lease while another process is about to
// sweep it: one of both wins, wholly.
func TestSweepAgainstRenewal(t *testing.T) {
	k := newClock()
	for range 15 {
		c := newCatalog(t, func(o *Options) { o.Now, o.LeaseTTL = k.Now, 15*time.Millisecond })
		other := openFolder(t, c.folder, func(o *Options) { o.Now = k.Now })
		id := lease(t, c)
		k.move(time.Hour)
		if err := other.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if row, folder := leased(t, c, id); row != folder {
			t.Fatalf("lease half swept: row %v, folder %v", row, folder)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestHeartbeatKeepsTheLease(t *testing.T) {
	short := func(o *Options) { o.LeaseTTL = 150 * time.Millisecond }
	c := newCatalog(t, short)
	id := lease(t, c)
	other := openFolder(t, c.folder, short)
	for range 10 {
		time.Sleep(60 * time.Millisecond)
		if err := other.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	wantLeased(t, c, id, true)
	crash(t, c)
	time.Sleep(250 * time.Millisecond)
	if err := other.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantLeased(t, c, id, false)
}

// A writer that slept past its lease cannot commit; the next write takes a new
// lease by itself.
func TestCommitWithoutItsLease(t *testing.T) {
	k := newClock()
	c := newCatalog(t, func(o *Options) { o.Now = k.Now })
	mustCommit(t, c, creates("base"))
	id := lease(t, c)
	stageFile(t, c, id, "main/base/late.parquet")
	other := openFolder(t, c.folder, func(o *Options) { o.Now = func() time.Time { return k.Now().Add(time.Hour) } })
	if err := other.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantLeased(t, c, id, false)
	add := func(id string) Decide {
		return func(ctx context.Context, v *View) (*Change, error) {
			table, err := v.Table(ctx, "base", v.Head.ID)
			return &Change{
				Table: table, Lease: id, Add: []NewFile{{Rel: "main/base/late.parquet", Records: 1, Size: 4}},
				Record: Record{Operation: "append", Rows: 1, Principal: "test"},
			}, err
		}
	}
	if _, err := c.Commit(t.Context(), add(id)); errs.KindOf(err) != errs.Unavailable {
		t.Errorf("got %v, want unavailable", err)
	}
	if got := head(t, c).ID; got != 1 {
		t.Errorf("got head %d, want 1", got)
	}
	next := lease(t, c)
	if next == id {
		t.Fatal("the lost lease was given out again")
	}
	wantLeased(t, c, next, true)
	stageFile(t, c, next, "main/base/late.parquet")
	mustCommit(t, c, add(next))
}

// Heartbeats, leases, sweeps and settings go on while groups of commits keep
// the lock; nobody waits for each other in a circle.
func TestCommitsAndLeasesMeet(t *testing.T) {
	short := func(o *Options) { o.LeaseTTL = 30 * time.Millisecond }
	c := newCatalog(t, short)
	other := openFolder(t, c.folder, short)
	mustCommit(t, c, creates("base"))
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	for w := range 4 {
		side := []*Catalog{c, other}[w%2]
		wg.Go(func() {
			for i := range 12 {
				id, err := side.Lease(ctx)
				if err != nil {
					t.Errorf("lease: %v", err)
					return
				}
				_, err = side.Commit(ctx, func(ctx context.Context, v *View) (*Change, error) {
					time.Sleep(5 * time.Millisecond)
					ch, err := addRows("base", 1)(ctx, v)
					if err == nil {
						ch.Lease = id
					}
					return ch, err
				})
				if err != nil && errs.KindOf(err) != errs.Unavailable { // a starved heartbeat is a lost lease, said plainly
					t.Errorf("commit: %v", err)
					return
				}
				if i%4 == w {
					if err := side.SetOption(ctx, SuperOptions, "compression_level", fmt.Sprint(w+1), nil); err != nil {
						t.Errorf("option: %v", err)
					}
				}
			}
		})
		wg.Go(func() {
			for range 10 {
				if err := side.Sweep(ctx); err != nil {
					t.Errorf("sweep: %v", err)
				}
				time.Sleep(4 * time.Millisecond)
			}
		})
	}
	wg.Wait()
	contiguous(t, c)
}
