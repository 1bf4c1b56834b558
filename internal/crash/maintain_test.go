package crash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/testdb"
)

// keep is the process that TestKillMaintenance kills: it does every chore again
// and again, and says which one it is at.
func keep(ctx context.Context) error {
	_, s, err := opened(ctx, supertable.Options{Threads: 2})
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		for _, chore := range chores {
			fmt.Println("start", i)
			if err := chore(ctx, s); err != nil {
				return err
			}
			fmt.Println("done", i)
		}
	}
}

// chores are the steps of maintenance as the crash tests do them.
var chores = []func(context.Context, *supertable.Session) error{
	func(ctx context.Context, s *supertable.Session) error { _, err := s.Flush(ctx, "", nil); return err },
	func(ctx context.Context, s *supertable.Session) error { _, err := s.Compact(ctx, "", nil); return err },
	func(ctx context.Context, s *supertable.Session) error {
		_, err := s.Expire(ctx, &supertable.ExpireOptions{KeepLast: 9})
		return err
	},
	func(ctx context.Context, s *supertable.Session) error {
		var none time.Duration
		_, err := s.Clean(ctx, &supertable.CleanOptions{Grace: &none})
		return err
	},
}

// answers gives the rows of table at every snapshot that can be read, by number.
func answers(t *testing.T, s *supertable.Session, table string) map[int64]string {
	t.Helper()
	out := map[int64]string{}
	history, err := s.History(t.Context(), table)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range history {
		at := e.Snapshot
		out[at] = testdb.Query(t, s, "SELECT k, v FROM "+table, &supertable.QueryOptions{AtVersion: &at})
	}
	return out
}

// TestKillMaintenance kills a process in the middle of flush, compaction,
// expiry and cleaning: every snapshot that is still there answers as before,
// the check finds nothing, and at the end nothing obsolete is left.
func TestKillMaintenance(t *testing.T) {
	home, sd := filepath.Join(t.TempDir(), "home"), seed(t)
	r := rand.New(rand.NewPCG(sd, 81))
	lake, err := supertable.Open(t.Context(), home, &supertable.Options{MemoryBytes: 256 << 20, Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := lake.Close(); err != nil {
			t.Error(err)
		}
	}()
	st, _, err := lake.Create(t.Context(), "default", "main", nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := st.Session(t.Context(), supertable.Superuser)
	if err != nil {
		t.Fatal(err)
	}
	value := int64(0)
	hit := map[int]int{}
	for range kills(t) {
		for range 3 + r.IntN(4) {
			if err := s.SetOption(t.Context(), "", "inline_delete_limit", []string{"0", "4", ""}[r.IntN(3)]); err != nil {
				t.Fatal(err)
			}
			rows := make([]row, 1+r.IntN(8))
			for i := range rows {
				value++
				rows[i] = row{int64(r.IntN(40)), value}
			}
			o := []*supertable.WriteOptions{nil, {Key: []string{"k"}}, {Key: []string{"k"}}, {Key: []string{"k"}, DeleteOnly: true}}[r.IntN(4)]
			if err := send(t.Context(), s, "t", rows, o); err != nil && supertable.KindOf(err) != supertable.NotFound {
				t.Fatal(err)
			}
		}
		before := answers(t, s, "t")
		w := run(t, home, "ST_CRASH_MODE=keep")
		chore := r.IntN(2 * len(chores)) // the one that is hit, or what comes at once after it
		for range chore {
			if l, ok := <-w.lines; ok {
				w.said = append(w.said, l)
			}
		}
		f := r.Float64()
		time.Sleep(time.Duration(f * f * float64(80*time.Millisecond)))
		if err := w.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		w.end(t, 0)
		hit[len(w.said)]++
		if err := testdb.CheckSuper(t.Context(), st); err != nil {
			t.Fatal(err)
		}
		now := answers(t, s, "t")
		for at, rows := range before {
			if later, ok := now[at]; ok && later != rows {
				t.Fatalf("snapshot %d is\n%s\nit was\n%s", at, later, rows)
			}
		}
	}
	t.Logf("killed after so many words: %v", hit)
	settle(t, s)
}

// settle does every chore once more, when every lease has run out: what is
// left is what the newest snapshots name.
func settle(t *testing.T, s *supertable.Session) {
	t.Helper()
	for range 2 {
		for _, chore := range chores {
			if err := chore(t.Context(), s); err != nil {
				t.Fatal(err)
			}
		}
	}
	report, err := s.Check(t.Context(), true)
	if err != nil || !report.OK {
		t.Errorf("check: %+v %v", report, err)
	}
	if list, err := s.Tables(t.Context()); err != nil || len(list) != 1 || list[0].Files > 1 {
		t.Errorf("tables %+v %v", list, err)
	}
}
