package maintain_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/internal/script"
	"github.com/supertable-go/supertable/maintain"
)

// TestPlanCompaction: each line of a case is a file: id, bytes, rows, dead,
// group, and "mixed". The arguments are the limits.
func TestPlanCompaction(t *testing.T) {
	script.Run(t, "testdata/compaction.txt", func(t *testing.T, c *script.Case) string {
		l := maintain.Limits{SmallFiles: 100, SmallBytes: 1000, DeadRows: 1_000_000, DeadPercent: 95, TargetBytes: 1 << 30}
		for name, to := range map[string]*int64{"files": &l.SmallFiles, "bytes": &l.SmallBytes, "dead": &l.DeadRows, "percent": &l.DeadPercent, "target": &l.TargetBytes} {
			if s := c.Value(name, ""); s != "" {
				if _, err := fmt.Sscan(s, to); err != nil {
					t.Fatal(err)
				}
			}
		}
		var files []maintain.Candidate
		for line := range strings.Lines(c.Input) {
			var f maintain.Candidate
			word := ""
			if n, err := fmt.Sscan(line, &f.ID, &f.Bytes, &f.Rows, &f.Dead, &f.Group, &word); n < 5 {
				t.Fatalf("%q: %v", line, err)
			}
			f.Mixed = word == "mixed" || f.Dead > 0
			f.After = "now"
			files = append(files, f)
		}
		given := slices.Clone(files)
		plan := maintain.PlanCompaction(files, l, c.Cmd == "all")
		if again := maintain.PlanCompaction(files, l, c.Cmd == "all"); fmt.Sprint(again) != fmt.Sprint(plan) || !slices.Equal(given, files) {
			t.Errorf("%v, then %v", plan, again)
		}
		return fmt.Sprintf("rewrite %v merge %v\n", plan.Rewrite, plan.Merge)
	})
}

// TestPlanInPieces: what is set together does not depend on how many files are
// looked at at once, every set holds together by itself, and no file is in two.
func TestPlanInPieces(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 7))
		l := maintain.Limits{SmallFiles: r.Int64N(20), SmallBytes: 50 + r.Int64N(100), DeadRows: r.Int64N(100), DeadPercent: 60, TargetBytes: 100 + r.Int64N(400)}
		all := r.IntN(2) == 0
		files := make([]maintain.Candidate, r.IntN(80))
		byID := map[int64]maintain.Candidate{}
		for i := range files {
			rows := 1 + r.Int64N(9)
			f := maintain.Candidate{ID: int64(3 * i), Bytes: r.Int64N(150), Rows: rows, Group: fmt.Sprint(r.IntN(3)), After: "0"}
			if r.IntN(4) == 0 {
				f.Dead, f.Mixed = r.Int64N(rows+1), true
			}
			files[i], byID[f.ID] = f, f
		}
		plan := maintain.PlanCompaction(files, l, all)
		seen := map[int64]bool{}
		for _, set := range plan.Merge {
			var bytes int64
			groups := map[string]bool{}
			for _, id := range set {
				f := byID[id]
				if slices.Contains(plan.Rewrite, id) {
					f = f.Rewritten()
				}
				if bytes += f.Bytes; seen[id] || f.Mixed || f.Dead > 0 || f.Bytes >= l.SmallBytes {
					t.Fatalf("%+v is in %v of %v", f, set, plan)
				}
				seen[id], groups[f.Group] = true, true
			}
			if len(set) < 2 || len(groups) != 1 || bytes > l.TargetBytes {
				t.Fatalf("%v: groups %v, %d bytes of %d", set, groups, bytes, l.TargetBytes)
			}
		}
		// Two neighbours of one group that would fit into one are not both left.
		if len(plan.Merge) == 0 {
			continue
		}
		last := map[string]maintain.Candidate{}
		for _, f := range files {
			if slices.Contains(plan.Rewrite, f.ID) {
				f = f.Rewritten()
			}
			if f.Mixed || f.Dead > 0 || f.Bytes >= l.SmallBytes {
				continue
			}
			before, ok := last[f.Group]
			if ok && !seen[before.ID] && !seen[f.ID] && before.Bytes+f.Bytes <= l.TargetBytes {
				t.Fatalf("%+v and %+v are left of %v with %+v", before, f, plan, l)
			}
			last[f.Group] = f
		}
	}
}

// TestPlanMergesSettles: what was merged is not merged again and again.
func TestPlanMergesSettles(t *testing.T) {
	l := maintain.Limits{SmallFiles: 4, SmallBytes: 100, DeadRows: 10, DeadPercent: 95, TargetBytes: 250}
	var files []maintain.Candidate
	id, written := int64(0), int64(0)
	for step := range 400 {
		files = append(files, maintain.Candidate{ID: id, Bytes: int64(1 + step%7), Rows: 1, Group: "g"})
		id++
		for _, set := range maintain.PlanCompaction(files, l, false).Merge {
			one := maintain.Candidate{ID: id, Group: "g"}
			id++
			files = slices.DeleteFunc(files, func(f maintain.Candidate) bool {
				if slices.Contains(set, f.ID) {
					one.Bytes, one.Rows = one.Bytes+f.Bytes, one.Rows+f.Rows
					return true
				}
				return false
			})
			written += one.Bytes
			files = append(files, one)
		}
		if len(maintain.PlanCompaction(files, l, false).Merge) > 0 {
			t.Fatalf("step %d: more to merge right after merging: %v", step, files)
		}
	}
	var total, rows int64
	for _, f := range files {
		total, rows = total+f.Bytes, rows+f.Rows
	}
	if rows != 400 || written > 15*total {
		t.Errorf("%d rows; %d bytes written for %d", rows, written, total)
	}
}

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// retained makes snapshots from words: each is a letter (o changed an ordinary
// table, s only a system table, t is tagged), one an hour, the last at noon.
func retained(words string) []catalog.Retained {
	list := strings.Fields(words)
	out := make([]catalog.Retained, len(list))
	for i, w := range list {
		out[i] = catalog.Retained{
			ID: int64(i), Time: noon.Add(-time.Duration(len(list)-1-i) * time.Hour),
			Ordinary: strings.Contains(w, "o"), Tagged: strings.Contains(w, "t"),
		}
	}
	return out
}

func TestPlanExpiry(t *testing.T) {
	const never = time.Duration(-1)
	for _, tt := range []struct {
		name      string
		snapshots string
		keep      int64
		older     time.Duration
		floor     int64
		want      []int64
	}{
		{"no rule", "s o o o", 0, never, -1, []int64{}},
		{"no snapshot", "", 1, never, -1, []int64{}},
		{"keep the last", "s o o o", 1, never, -1, []int64{0, 1, 2}},
		{"keep more than there are", "s o o o", 9, never, -1, []int64{}},
		{"keep as many as there are", "s o o o", 3, never, -1, []int64{0}},
		{"system tables do not count", "s o o s s s", 1, never, -1, []int64{0, 1}},
		{"only system tables", "s s s s", 1, never, -1, []int64{}},
		{"tags stay", "s ot o o", 1, never, -1, []int64{0, 2}},
		{"what a reader may see stays", "s o o o", 1, never, 2, []int64{0, 1}},
		{"a reader of everything", "s o o o", 1, never, 0, []int64{}},
		{"older than an hour and a half", "o o o o", 0, 90 * time.Minute, -1, []int64{0, 1}},
		{"exactly so old stays", "o o o o", 0, time.Hour, -1, []int64{0, 1}},
		{"older than nothing", "o o o o", 0, 0, -1, []int64{0, 1, 2}},
		{"the newest stays, however old", "o", 0, 0, -1, []int64{}},
		{"either rule keeps", "o o o o o", 2, 150 * time.Minute, -1, []int64{0, 1}},
		{"either rule keeps, the other way", "o o o o o", 4, time.Minute, -1, []int64{0}},
	} {
		got := maintain.PlanExpiry(retained(tt.snapshots), maintain.Retention{KeepLast: tt.keep, OlderThan: tt.older}, noon, tt.floor)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestPlanCleaning(t *testing.T) {
	hourAgo, dayAgo := noon.Add(-time.Hour), noon.Add(-24*time.Hour)
	stored := []maintain.Stored{{"old", dayAgo}, {"new", hourAgo}, {"named", dayAgo}, {"leased", dayAgo}, {"waiting", dayAgo}, {"tomorrow", noon.Add(24 * time.Hour)}}
	known := maintain.Known{
		Named: maintain.NewNames("named", "renamed"), Leased: map[string]bool{"leased": true},
		Waiting: []catalog.Waiting{
			{Rel: "waiting", Since: dayAgo, Until: 7},
			{Rel: "just", Since: hourAgo, Until: 7},
			{Rel: "renamed", Since: dayAgo, Until: 7},
			{Rel: "recent", Since: dayAgo, Until: 9},
			{Rel: "/etc/passwd", Since: dayAgo, Until: 7, Outside: true},
		},
	}
	var paths []string
	for _, f := range stored {
		paths = append(paths, f.Rel)
	}
	nobody := known.Unknown(paths)
	unknown := slices.DeleteFunc(stored, func(f maintain.Stored) bool { return !slices.Contains(nobody, f.Rel) })
	for _, tt := range []struct {
		name    string
		grace   time.Duration
		floor   int64
		reading bool
		want    string
	}{
		{"two hours", 2 * time.Hour, 0, false, "[old] [waiting recent /etc/passwd]"},
		{"no grace", 0, 0, false, "[new old tomorrow] [waiting just recent /etc/passwd]"},
		{"two days", 48 * time.Hour, 0, false, "[] []"},
		{"a reader of the head", 0, 7, true, "[new old tomorrow] [waiting just /etc/passwd]"},
		{"a reader of the past", 0, 6, true, "[new old tomorrow] []"},
	} {
		c := maintain.PlanCleaning(unknown, known, noon, tt.grace, tt.floor, tt.reading)
		var waiting []string
		for _, w := range c.Waiting {
			waiting = append(waiting, w.Rel)
		}
		if got := fmt.Sprint(c.Orphans, waiting); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}
