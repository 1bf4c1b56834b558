package staging

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/engine"
	"github.com/supertable-go/supertable/engine/duckdb"
	"github.com/supertable-go/supertable/ingest"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/rbac"
	"github.com/supertable-go/supertable/storage"
)

// scripted is a write path that answers with the next error of its list.
type scripted struct {
	answers []error
	ids     []string
}

func (w *scripted) Write(_ context.Context, _ rbac.Grant, table string, _ ingest.Input, o ingest.Options) (ingest.Result, error) {
	w.ids = append(w.ids, o.WriteID)
	if len(w.answers) > 0 {
		err := w.answers[0]
		w.answers = w.answers[1:]
		if err != nil {
			return ingest.Result{}, err
		}
	}
	return ingest.Result{Table: table, Inserted: 1, Snapshot: 5}, nil
}

func store(t *testing.T, w Writer) *Store {
	t.Helper()
	folder := storage.At(filepath.Join(t.TempDir(), "super"))
	c, _, err := catalog.Create(t.Context(), folder, catalog.Options{Now: time.Now, Logger: slog.New(slog.DiscardHandler), LeaseTTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	eng, err := duckdb.Open(engine.Options{ReadDirs: []string{folder.Staging(), folder.Tmp()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(eng.Close(), c.Close()); err != nil {
			t.Error(err)
		}
	})
	return &Store{
		Catalog: c, Writer: w, Now: time.Now, Super: "super",
		Authorize: func(_ context.Context, _ *catalog.View, who rbac.Principal) (rbac.Grant, error) {
			return rbac.Builtin(0).Grant(who)
		},
		Engine:    func(context.Context) (engine.Engine, error) { return eng, nil },
		Condition: func(_ context.Context, _ engine.Conn, text string) (string, error) { return text, nil },
	}
}

// superuser is the grant that may do everything.
func superuser(t *testing.T) rbac.Grant {
	t.Helper()
	p := rbac.Builtin(0)
	who, err := p.Principal(rbac.SuperuserName)
	if err != nil {
		t.Fatal(err)
	}
	g, err := p.Grant(who)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestTroubleOfTheMoment: a pipe tries again what may pass and nothing else,
// quarantines what is the file's own fault, and lets nothing overtake what it
// could not load.
func TestTroubleOfTheMoment(t *testing.T) {
	busy, damage := errs.New(errs.Unavailable, "busy"), errs.New(errs.Corrupt, "the lake is damaged")
	misfit, used := errs.New(errs.TypeConflict, "no fit"), errs.New(errs.AlreadyExists, "the id is used")
	for _, c := range []struct {
		name    string
		answers []error
		want    string // the states of the two files
		kind    errs.Kind
		writes  int
	}{
		{"none", nil, "loaded loaded", "", 2},
		{"it passes", []error{busy, busy, busy}, "loaded loaded", "", 5},
		{"it lasts", []error{busy, busy, busy, busy}, "staged", errs.Unavailable, 4},
		{"a file at fault", []error{misfit}, "quarantined loaded", "", 2},
		{"the lake at fault", []error{damage}, "staged", errs.Corrupt, 1},
		{"the bytes are there by another key", []error{used}, "loaded loaded", "", 2},
		{"a refusal", []error{nil, errs.New(errs.Denied, "no")}, "loaded staged", errs.Denied, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &scripted{answers: c.answers}
			s, g := store(t, w), superuser(t)
			for i := range 2 {
				text := "id\n" + strings.Repeat("1\n", i+1)
				if _, err := s.Put(t.Context(), g, "in", []Item{{Bytes: strings.NewReader(text), Name: "f.csv"}}); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.CreatePipe(t.Context(), g, Pipe{Name: "p", Area: "in", Table: "t", Enabled: true}); err != nil {
				t.Fatal(err)
			}
			rows, err := s.RunPipe(t.Context(), g, "p", "")
			var states []string
			for _, r := range rows {
				states = append(states, r.Status)
			}
			if got := strings.Join(states, " "); got != c.want || errs.KindOf(err) != c.kind || len(w.ids) != c.writes {
				t.Errorf("states %s, want %s; %v; %d writes", got, c.want, err, len(w.ids))
			}
			if len(w.ids) == c.writes && c.writes > 2 && !slices.Equal(w.ids[:3], []string{w.ids[0], w.ids[0], w.ids[0]}) {
				t.Errorf("ids of one file differ: %v", w.ids)
			}
			if len(w.ids[0]) != len("sha256:")+64 {
				t.Errorf("write id %s", w.ids[0])
			}
		})
	}
}

// TestRecordAfterACrash: a load that was committed and not recorded is
// completed by the next one.
func TestRecordAfterACrash(t *testing.T) {
	w := &duplicates{}
	s, g := store(t, w), superuser(t)
	if _, err := s.Put(t.Context(), g, "in", []Item{{Bytes: strings.NewReader("id\n1\n"), Name: "f.csv"}}); err != nil {
		t.Fatal(err)
	}
	rows, err := s.Load(t.Context(), g, "in", "", "t", LoadOptions{})
	if err != nil || len(rows) != 1 || rows[0].Status != catalog.Loaded || rows[0].Inserted != 0 || rows[0].Snapshot != 3 || rows[0].Reason != loadedBefore {
		t.Fatalf("%+v, %v", rows, err)
	}
	events, err := s.History(t.Context(), g, "in")
	if err != nil || len(events) != 1 || events[0].Inserted != 7 {
		t.Errorf("history %+v, %v", events, err)
	}
}

// duplicates answers every write with the result of a first one.
type duplicates struct{}

func (duplicates) Write(_ context.Context, _ rbac.Grant, table string, _ ingest.Input, _ ingest.Options) (ingest.Result, error) {
	return ingest.Result{Table: table, Inserted: 7, Snapshot: 3, Duplicate: true}, nil
}
