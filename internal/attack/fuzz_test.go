package attack

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/internal/testdb"
)

// TestLeaks asks random statements twice: as a restricted user about full
// tables, and as superuser about tables that hold only what he may see, with
// masks applied. Rows, and whether there is an error, must be the same: what
// differs is a leak. What he may see is such that no expression fails on it,
// and what he may not, such that many do, or show a mark.
//
// ST_SEED repeats a run; ST_ROUNDS says how many lakes are made.
func TestLeaks(t *testing.T) {
	seed, err := strconv.ParseUint(os.Getenv("ST_SEED"), 10, 64)
	if err != nil {
		seed = uint64(time.Now().UnixNano())
	}
	rounds, statements := 6, 250
	if testing.Short() {
		rounds, statements = 1, 120
	}
	if n, err := strconv.Atoi(os.Getenv("ST_ROUNDS")); err == nil {
		rounds = n
	}
	t.Logf("ST_SEED=%d", seed)
	for i := range rounds {
		d := newDuel(t, rand.New(rand.NewPCG(seed, uint64(i))))
		for k := range statements {
			if d.ask(fmt.Sprintf("ST_SEED=%d, round %d, statement %d", seed, i, k)); d.leaks > 3 {
				t.Fatal("enough leaks")
			}
		}
		t.Logf("round %d: %d of %d statements had rows or an answer, %d failed for both", i, d.answered, statements, d.failed)
		if d.answered < statements/2 {
			t.Errorf("only %d of %d statements could be compared", d.answered, statements)
		}
	}
}

// duel is a full lake, a restricted user of it, and a lake with what he sees.
type duel struct {
	t                       *testing.T
	g                       generator
	user, clear             *supertable.Session
	rules                   string
	answered, failed, leaks int
}

func newDuel(t *testing.T, r *rand.Rand) *duel {
	t.Helper()
	db := testdb.At(t, t.TempDir(), &supertable.Options{MemoryBytes: 256 << 20, Threads: 2, InlineRows: []int{-1, catalog.InlineRows}[r.IntN(2)]})
	full, clear := db.SessionIn("full", "lake"), db.SessionIn("clear", "lake")
	d := &duel{t: t, clear: clear}
	roles := 1 + r.IntN(2)
	names := []string{"one", "two", "three"}[:1+r.IntN(3)]
	docs := make([]map[string]any, roles)
	for i := range docs {
		docs[i] = map[string]any{}
	}
	for _, name := range names {
		tab := newTable(r, name, roles)
		tab.store(t, r, full, tab.full, tab.fields, true)
		tab.store(t, r, clear, tab.copy, tab.visible, false)
		d.g.tables = append(d.g.tables, tab)
		for i := range docs {
			docs[i][name] = tab.document(i)
		}
	}
	testdb.Write(t, full, "forbidden", "id:int64,hid:text", `[{"id":1,"hid":"HIDDEN"}]`, nil)
	var hashes []string
	for i := range docs {
		text, err := json.Marshal(map[string]any{"name": fmt.Sprintf("role%d", i), "role": "reader", "tables": docs[i]})
		if err != nil {
			t.Fatal(err)
		}
		d.rules += string(text) + "\n"
		hash, err := full.CreateRole(t.Context(), text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		hashes = append(hashes, hash)
	}
	if _, err := full.CreateUser(t.Context(), "reader", hashes, nil); err != nil {
		t.Fatal(err)
	}
	st, err := db.SuperTable(t.Context(), "full", "lake")
	if err == nil {
		d.user, err = st.Session(t.Context(), "reader")
	}
	if err != nil {
		t.Fatal(err)
	}
	d.g.Rand, d.g.union = r, unionOf(d.g.tables)
	return d
}

// unionOf gives the columns of the SuperTable's union, when its tables agree.
func unionOf(tables []*table) []column {
	var out []column
	seen := map[string]bool{}
	for _, t := range tables {
		for _, f := range t.visible {
			if !seen[f.name] {
				seen[f.name] = true
				out = append(out, column{f.name, f.kind})
			}
		}
	}
	return out
}

// ask compares the answers to one random statement.
func (d *duel) ask(where string) {
	d.t.Helper()
	sql := d.g.statement()
	want, wantErr := sorted(d.t, d.clear, sql)
	got, gotErr := sorted(d.t, d.user, sql)
	shown := got
	if gotErr != nil {
		shown = gotErr.Error()
	}
	bad := ""
	switch {
	case strings.Contains(shown, "HID"):
		bad = "a hidden value was shown"
	case (gotErr == nil) != (wantErr == nil):
		bad = "one of the two failed"
	case got != want:
		bad = "the rows differ"
	case gotErr == nil:
		d.answered++
		return
	default:
		if d.failed++; d.failed < 4 {
			d.t.Logf("failed for both: %v", gotErr)
		}
		return
	}
	d.leaks++
	d.t.Errorf("%s (%s)\n%s\nas the user:\n%s %v\nof what he may see:\n%s %v\nroles:\n%s", bad, where, sql, cut(got), gotErr, cut(want), wantErr, d.rules)
}

// sorted gives the rows of a statement in an order of their own: that of an
// ORDER BY inside a statement means nothing.
func sorted(t *testing.T, s *supertable.Session, sql string) (string, error) {
	out, err := testdb.TryQuery(t.Context(), s, sql, nil)
	rows := strings.Split(out, "\n")
	slices.Sort(rows)
	return strings.Join(rows, " / "), err
}

func cut(s string) string {
	if len(s) > 600 {
		return s[:600] + "…"
	}
	return s
}
