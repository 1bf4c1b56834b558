package crash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/supertable-go/supertable"
)

// copying backs up, restores or rebuilds, again and again.
func copying(ctx context.Context, mode string) error {
	home, dir := os.Getenv("ST_CRASH_HOME"), os.Getenv("ST_CRASH_DIR")
	lake, err := supertable.Open(ctx, home, &supertable.Options{MemoryBytes: 256 << 20})
	if err != nil {
		return err
	}
	session := func(name string) (*supertable.Session, error) {
		st, err := lake.SuperTable(ctx, "default", name)
		if err != nil {
			return nil, err
		}
		return st.Session(ctx, supertable.Superuser)
	}
	for i := 0; ; i++ {
		switch mode {
		case "backup":
			s, err := session("main")
			if err == nil {
				_, err = s.Backup(ctx, fmt.Sprintf("%s-%d-%d", dir, os.Getpid(), i))
			}
			if err != nil {
				return err
			}
		case "restore":
			_, err := lake.Restore(ctx, supertable.Superuser, "default", "copy", dir)
			if err != nil && supertable.KindOf(err) != supertable.AlreadyExists {
				return err
			}
			s, err := session("copy")
			if err == nil {
				err = s.DropSuperTable(ctx)
			}
			if err != nil {
				return err
			}
		case "rebuild":
			if _, err := lake.Rebuild(ctx, supertable.Superuser, "default", "main", &supertable.RebuildOptions{Force: true}); err != nil {
				return err
			}
		}
	}
}

// least is how often a test kills: n, or more when ST_KILLS says so.
func least(t *testing.T, n int) int { return max(n, kills(t)/4) }

// loseCatalog takes the catalog away in one of several ways.
func loseCatalog(t *testing.T, r *rand.Rand, folder string) string {
	t.Helper()
	path := filepath.Join(folder, "catalog.db")
	var err error
	what := []string{"deleted", "deleted without its log", "garbage", "emptied"}[r.IntN(4)]
	switch what {
	case "deleted":
		err = os.Remove(path)
		_, _ = os.Remove(path+"-wal"), os.Remove(path+"-shm")
	case "deleted without its log":
		err = os.Remove(path)
	case "garbage":
		err = os.WriteFile(path, []byte(strings.Repeat("garbage!", 5000)), 0o666)
	case "emptied":
		err = os.Truncate(path, 0)
		_ = os.Remove(path + "-wal")
	}
	if err != nil {
		t.Fatal(err)
	}
	return what
}

func rebuild(t *testing.T, home string, force bool) {
	t.Helper()
	lake, err := supertable.Open(t.Context(), home, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lake.Close() }()
	r, err := lake.Rebuild(t.Context(), supertable.Superuser, "default", "main", &supertable.RebuildOptions{Force: force})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Missing) > 0 {
		t.Errorf("missing: %q", r.Missing)
	}
}

// TestKillAndLoseTheCatalog kills a writer and takes its catalog away: what is
// rebuilt has every operation that was done, and the one in doubt or not.
func TestKillAndLoseTheCatalog(t *testing.T) {
	home, sd := filepath.Join(t.TempDir(), "home"), seed(t)
	r := rand.New(rand.NewPCG(sd, 81))
	m, next := model{gone: true}, 0
	for kill := range least(t, 20) {
		done, doubt := start(t, home, "t", sd, next, next+1000).killAfter(t, r, next)
		for ; next < done; next++ {
			m = m.after(step(sd, next))
		}
		if made, _ := filepath.Glob(filepath.Join(home, "default", "main", "log", "checkpoint-*.sum")); len(made) == 0 {
			continue // killed before there was anything
		}
		what := loseCatalog(t, r, filepath.Join(home, "default", "main"))
		rebuild(t, home, false)
		got := state(t, home, "t", nil)
		if before := m.String(); got != before {
			if after := m.after(step(sd, next)); !doubt || got != after.String() {
				t.Fatalf("kill %d, catalog %s, after step %d (%s, in doubt %v): got %s\nwant %s", kill, what, next, step(sd, next).kind, doubt, short(got), short(before))
			}
			m = m.after(step(sd, next))
			next++
		}
	}
	t.Logf("%d steps, %d rows at the end", next, len(m.rows))
}

// made makes a lake with a table and gives its state.
func made(t *testing.T, home string, sd uint64) string {
	t.Helper()
	if done, doubt := start(t, home, "t", sd, 0, 6).end(t, 0); done != 6 || doubt {
		t.Fatalf("%d steps done", done)
	}
	return state(t, home, "t", nil)
}

// copyState restores a backup into a home of its own and gives its state.
func copyState(t *testing.T, dir string) string {
	t.Helper()
	home := t.TempDir()
	lake, err := supertable.Open(t.Context(), home, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = lake.Restore(t.Context(), supertable.Superuser, "default", "main", dir)
	if cerr := lake.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		t.Fatalf("restore %s: %v", dir, err)
	}
	return state(t, home, "t", nil)
}

// TestKillBackup: what looks like a backup is one.
func TestKillBackup(t *testing.T) {
	base, sd := t.TempDir(), seed(t)
	home, dirs := filepath.Join(base, "home"), filepath.Join(base, "backups")
	if err := os.Mkdir(dirs, 0o777); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(sd, 82))
	want := made(t, home, sd)
	known := map[string]bool{}
	for range least(t, 15) {
		run(t, home, "ST_CRASH_MODE=backup", "ST_CRASH_DIR="+filepath.Join(dirs, "b")).killSoon(t, r)
		entries, err := os.ReadDir(dirs)
		if err != nil {
			t.Fatal(err)
		}
		last := ""
		for _, e := range entries {
			if !strings.HasPrefix(e.Name(), ".") && !known[e.Name()] {
				known[e.Name()] = true
				last = e.Name()
			}
		}
		if last == "" {
			continue
		}
		if got := copyState(t, filepath.Join(dirs, last)); got != want {
			t.Fatalf("got %s\nwant %s", short(got), short(want))
		}
	}
	t.Logf("%d backups", len(known))
	if got := state(t, home, "t", nil); got != want {
		t.Errorf("the lake itself: %s\nwant %s", short(got), short(want))
	}
}

// TestKillRestore: the SuperTable is there whole or not at all.
func TestKillRestore(t *testing.T) {
	base, sd := t.TempDir(), seed(t)
	r := rand.New(rand.NewPCG(sd, 83))
	want := made(t, filepath.Join(base, "home"), sd)
	lake, err := supertable.Open(t.Context(), filepath.Join(base, "home"), nil)
	if err != nil {
		t.Fatal(err)
	}
	st, err := lake.SuperTable(t.Context(), "default", "main")
	if err != nil {
		t.Fatal(err)
	}
	s, err := st.Session(t.Context(), supertable.Superuser)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(base, "backup")
	if _, err := s.Backup(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if err := lake.Close(); err != nil {
		t.Fatal(err)
	}
	home := filepath.Join(base, "other")
	there := 0
	for range least(t, 15) {
		run(t, home, "ST_CRASH_MODE=restore", "ST_CRASH_DIR="+dir).killSoon(t, r)
		lake, err := supertable.Open(t.Context(), home, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = lake.Restore(t.Context(), supertable.Superuser, "default", "copy", dir)
		if supertable.KindOf(err) == supertable.AlreadyExists {
			there++
			err = nil
		}
		if err != nil {
			t.Fatal(err)
		}
		if left, _ := filepath.Glob(filepath.Join(home, "default", ".*")); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
		if err := lake.Close(); err != nil {
			t.Error(err)
		}
		if got := stateOf(t, home, "copy", "t", nil); got != want {
			t.Fatalf("got %s\nwant %s", short(got), short(want))
		}
	}
	t.Logf("%d were there", there)
}

// TestKillRebuild: the catalog is the old one, the new one, or there is none
// and the next rebuild brings it.
func TestKillRebuild(t *testing.T) {
	home, sd := filepath.Join(t.TempDir(), "home"), seed(t)
	r := rand.New(rand.NewPCG(sd, 84))
	want := made(t, home, sd)
	gone := 0
	for range least(t, 15) {
		run(t, home, "ST_CRASH_MODE=rebuild").killSoon(t, r)
		if _, err := os.Stat(filepath.Join(home, "default", "main", "catalog.db")); err != nil {
			gone++
			rebuild(t, home, false)
		}
		if got := state(t, home, "t", nil); got != want {
			t.Fatalf("got %s\nwant %s", short(got), short(want))
		}
		kept, _ := filepath.Glob(filepath.Join(home, "default", "main", "catalog-kept-*"))
		for _, k := range kept {
			if err := os.Remove(k); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Logf("%d without a catalog", gone)
}
