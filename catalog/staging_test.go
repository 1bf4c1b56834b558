package catalog

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/supertable-go/supertable/internal/errs"
)

// incoming makes a finished file that is to be staged.
func incoming(t *testing.T, c *Catalog, id, text string) string {
	t.Helper()
	path := filepath.Join(c.folder.LeaseDir(id), "incoming-"+text)
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func publishStaged(t *testing.T, c *Catalog, id, text, area, file string) bool {
	t.Helper()
	done, err := c.folder.PublishStaged(id, incoming(t, c, id, text), area, file)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func stagedNow(t *testing.T, c *Catalog) []string {
	t.Helper()
	files, err := c.folder.StagedFiles()
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	return files
}

// TestDeadStagerIsSwept: of a dead process stays what the index names, and
// what another one put under the name that it wanted.
func TestDeadStagerIsSwept(t *testing.T) {
	now := time.Date(2026, 1, 31, 10, 0, 0, 0, time.UTC)
	dead := newCatalog(t, func(o *Options) { o.Now = func() time.Time { return now } })
	id := lease(t, dead)
	if !publishStaged(t, dead, id, "kept", "in", "kept") || !publishStaged(t, dead, id, "lost", "in", "lost") || !publishStaged(t, dead, id, "removed", "in", "removed") {
		t.Fatal("not published")
	}
	files := []StagedFile{{ID: "1", Area: "in", File: "kept", Created: now}, {ID: "2", Area: "in", File: "removed", Created: now}}
	if err := dead.AddStaged(t.Context(), id, files, nil); err != nil {
		t.Fatal(err)
	}
	dead.folder.RetireStaged(id, "in", "removed")
	if there, err := dead.folder.TraceStaged(id, "in", "removed"); !there || err != nil {
		t.Fatal(there, err)
	}
	if removed, err := dead.RemoveStaged(t.Context(), id, "2", nil); !removed || err != nil { // killed before the file went
		t.Fatal(removed, err)
	}

	alive := openFolder(t, dead.folder, func(o *Options) { o.Now = func() time.Time { return now.Add(24 * time.Hour) } })
	other := lease(t, alive)
	if publishStaged(t, alive, other, "theirs", "in", "lost") {
		t.Error("a name was given twice")
	}
	// What the dead one wanted to publish under a name that another has: its
	// trace is not that file.
	if err := os.MkdirAll(filepath.Join(dead.folder.LeaseDir(id), "staging", "in"), 0o777); err != nil {
		t.Fatal(err)
	}
	if !publishStaged(t, alive, other, "mine", "in", "contested") {
		t.Error("not published")
	}
	if err := os.Rename(incoming(t, dead, id, "rival"), filepath.Join(dead.folder.LeaseDir(id), "staging", "in", "contested")); err != nil {
		t.Fatal(err)
	}
	if err := alive.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := stagedNow(t, alive), []string{"in/contested", "in/kept"}; !slices.Equal(got, want) {
		t.Errorf("staged files %v, want %v", got, want)
	}
	wantLeased(t, alive, id, false)

	err := dead.AddStaged(t.Context(), id, []StagedFile{{ID: "3", Area: "in", File: "late", Created: now}}, nil)
	if !errors.Is(err, ErrLeaseLost) {
		t.Errorf("a writer that slept: %v", err)
	}
	if removed, err := dead.RemoveStaged(t.Context(), id, "1", nil); removed || !errors.Is(err, ErrLeaseLost) {
		t.Errorf("a remover that slept: %v %v", removed, err)
	}
	if err := alive.AddStaged(t.Context(), other, []StagedFile{{ID: "4", Area: "in", File: "contested", Created: now}}, nil); err != nil {
		t.Error(err)
	}
}

// TestClosingEndsWhatWasBegun: a put that failed leaves nothing when its
// process ends well.
func TestClosingEndsWhatWasBegun(t *testing.T) {
	c := newCatalog(t, nil)
	id := lease(t, c)
	if !publishStaged(t, c, id, "text", "in", "f") {
		t.Fatal("not published")
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if got := stagedNow(t, c); len(got) != 0 {
		t.Errorf("left %v", got)
	}
}

// TestRecordsOfLoads: a load that two processes record is one; a loaded file
// is not quarantined for the same table.
func TestRecordsOfLoads(t *testing.T) {
	c := newCatalog(t, nil)
	id := lease(t, c)
	now := time.Date(2026, 1, 31, 10, 0, 0, 0, time.UTC)
	if err := c.AddStaged(t.Context(), id, []StagedFile{{ID: "1", Area: "In", File: "f", SHA256: "s", Created: now}}, nil); err != nil {
		t.Fatal(err)
	}
	load := StagedLoad{FileID: "1", Area: "In", File: "f", SHA256: "s", Status: Loaded, TableID: 7, WriteID: "w", Inserted: 3, At: now}
	for range 2 {
		if ok, err := c.RecordStaged(t.Context(), load, nil); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	bad := load
	bad.Status, bad.WriteID, bad.Reason = Quarantined, "q", "why"
	if ok, err := c.RecordStaged(t.Context(), bad, nil); ok || err != nil {
		t.Errorf("a loaded file was quarantined: %v, %v", ok, err)
	}
	bad.TableID = 8
	if ok, err := c.RecordStaged(t.Context(), bad, nil); !ok || err != nil {
		t.Errorf("for another table: %v, %v", ok, err)
	}
	err := c.Read(t.Context(), func(v *View) error {
		loads, err := v.StagedLoads(t.Context(), "in")
		if err != nil || len(loads) != 2 {
			t.Errorf("loads %v, %v", loads, err)
		}
		first, ok, err := v.LoadedBefore(t.Context(), 7, "s")
		if err != nil || !ok || first.Inserted != 3 || !first.At.Equal(now) {
			t.Errorf("%+v, %v, %v", first, ok, err)
		}
		for table, want := range map[int64]int{7: 0, 8: 0, 9: 0} { // it is quarantined now
			if list, err := v.StagedPending(t.Context(), "IN", table); err != nil || len(list) != want {
				t.Errorf("pending for %d: %v, %v", table, list, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.RemoveStaged(t.Context(), id, "1", nil); err != nil {
		t.Fatal(err)
	}
	if err := c.AddStaged(t.Context(), id, []StagedFile{{ID: "2", Area: "in", File: "g", Created: now}, {ID: "3", Area: "in", File: "g", Created: now}}, nil); errs.KindOf(err) != errs.Internal {
		t.Errorf("two of one name: %v", err)
	}
	if named, err := c.NamesStaged(t.Context(), "in", "g"); err != nil || named {
		t.Errorf("half a put was kept: %v, %v", named, err)
	}
}
