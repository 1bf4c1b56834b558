package audit

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/supertable-go/supertable/catalog"
)

var noon = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

// rows makes a chain of n records.
func rows(n int) (catalog.AuditHead, []catalog.AuditRow) {
	head := catalog.AuditHead{Hash: Genesis, TrimmedHash: Genesis}
	var batch []Record
	for i := range n {
		batch = append(batch, Record{Time: noon.Add(time.Duration(i) * time.Second), Principal: "alice", Action: "query", Rows: int64(i), Outcome: OK})
	}
	out := chain(head, batch)
	if n > 0 {
		head.Seq, head.Hash = out[n-1].Seq, out[n-1].Hash
	}
	return head, out
}

func verify(head catalog.AuditHead, rows []catalog.AuditRow, wanted string) string {
	v := newVerifier(head, wanted)
	for _, r := range rows {
		v.add(r)
	}
	f := v.end()
	broken := "-"
	if f.FirstBroken != nil {
		broken = fmt.Sprint(*f.FirstBroken)
	}
	return fmt.Sprint(f.Valid, " ", f.Records, " ", broken)
}

// rechain makes the rows from i on follow each other again, as one would who
// knows the rules but not the place where the head stands.
func rechain(rows []catalog.AuditRow, i int) {
	for before := rows[i-1].Hash; i < len(rows); i++ {
		rows[i].Hash = hash(before, rows[i])
		before = rows[i].Hash
	}
}

func TestTampering(t *testing.T) {
	edit := func(r *catalog.AuditRow) { r.Content = strings.Replace(r.Content, "alice", "mallory", 1) }
	for _, c := range []struct {
		what   string
		tamper func(h *catalog.AuditHead, rows []catalog.AuditRow) []catalog.AuditRow
		want   string
	}{
		{"nothing", func(_ *catalog.AuditHead, r []catalog.AuditRow) []catalog.AuditRow { return r }, "true 10 -"},
		{"content edited", func(_ *catalog.AuditHead, r []catalog.AuditRow) []catalog.AuditRow { edit(&r[4]); return r }, "false 10 5"},
		{"content no JSON", func(_ *catalog.AuditHead, r []catalog.AuditRow) []catalog.AuditRow { r[4].Content = "{"; return r }, "false 10 5"},
		{"a space added", func(_ *catalog.AuditHead, r []catalog.AuditRow) []catalog.AuditRow { r[0].Content += " "; return r }, "false 10 1"},
		{"principal column edited", func(_ *catalog.AuditHead, r []catalog.AuditRow) []catalog.AuditRow { r[3].Principal = "bob"; return r }, "false 10 4"},
		{"time column edited", func(_ *catalog.AuditHead, r []catalog.AuditRow) []catalog.AuditRow { r[3].Time = r[2].Time; return r }, "false 10 4"},
		{"hash edited", func(_ *catalog.AuditHead, r []catalog.AuditRow) []catalog.AuditRow { r[6].Hash = Genesis; return r }, "false 10 7"},
		{"deleted in the middle", func(_ *catalog.AuditHead, r []catalog.AuditRow) []catalog.AuditRow { return slices.Delete(r, 5, 6) }, "false 9 6"},
		{"deleted at the beginning", func(_ *catalog.AuditHead, r []catalog.AuditRow) []catalog.AuditRow { return r[1:] }, "false 9 1"},
		{"cut off at the end", func(_ *catalog.AuditHead, r []catalog.AuditRow) []catalog.AuditRow { return r[:8] }, "false 8 9"},
		{"all deleted", func(_ *catalog.AuditHead, _ []catalog.AuditRow) []catalog.AuditRow { return nil }, "false 0 1"},
		{"two swapped", func(_ *catalog.AuditHead, r []catalog.AuditRow) []catalog.AuditRow {
			r[2].Content, r[3].Content = r[3].Content, r[2].Content
			return r
		}, "false 10 3"},
		{"two swapped with their hashes", func(_ *catalog.AuditHead, r []catalog.AuditRow) []catalog.AuditRow {
			r[2], r[3] = r[3], r[2]
			r[2].Seq, r[3].Seq = 3, 4
			return r
		}, "false 10 3"},
		{"deleted and renumbered", func(h *catalog.AuditHead, r []catalog.AuditRow) []catalog.AuditRow {
			r = slices.Delete(r, 5, 6)
			for i := range r {
				r[i].Seq = int64(i + 1)
			}
			h.Seq = 9
			return r
		}, "false 9 6"},
		{"put in the middle", func(_ *catalog.AuditHead, r []catalog.AuditRow) []catalog.AuditRow {
			r = slices.Insert(r, 5, r[4])
			for i := range r {
				r[i].Seq = int64(i + 1)
			}
			return r
		}, "false 11 6"},
		{"put on the end, well linked", func(h *catalog.AuditHead, r []catalog.AuditRow) []catalog.AuditRow {
			return append(r, Record{Time: noon, Principal: "eve"}.link(*h))
		}, "false 11 11"},
		{"edited and linked again to the end", func(_ *catalog.AuditHead, r []catalog.AuditRow) []catalog.AuditRow {
			edit(&r[4])
			r[4].Principal = "mallory"
			rechain(r, 4)
			return r
		}, "false 10 10"},
		{"the head edited", func(h *catalog.AuditHead, r []catalog.AuditRow) []catalog.AuditRow { h.Hash = Genesis; return r }, "false 10 10"},
		{"the beginning edited", func(h *catalog.AuditHead, r []catalog.AuditRow) []catalog.AuditRow {
			h.TrimmedSeq, h.TrimmedHash = 2, r[1].Hash
			return r
		}, "false 10 1"},
		{"trimmed as it should be", func(h *catalog.AuditHead, r []catalog.AuditRow) []catalog.AuditRow {
			h.TrimmedSeq, h.TrimmedHash = 4, r[3].Hash
			return r[4:]
		}, "true 6 -"},
		{"all trimmed", func(h *catalog.AuditHead, _ []catalog.AuditRow) []catalog.AuditRow {
			h.TrimmedSeq, h.TrimmedHash = h.Seq, h.Hash
			return nil
		}, "true 0 -"},
	} {
		h, r := rows(10)
		r = c.tamper(&h, r)
		if got := verify(h, r, ""); got != c.want {
			t.Errorf("%s: got %s, want %s", c.what, got, c.want)
		}
	}
}

// TestNotedHead: a chain that was rebuilt as a whole, head and all, no longer
// has the head that somebody noted.
func TestNotedHead(t *testing.T) {
	h, r := rows(10)
	noted := r[7].Hash
	if got := verify(h, r, noted); got != "true 10 -" {
		t.Errorf("a noted head: %s", got)
	}
	h.TrimmedSeq, h.TrimmedHash = 8, noted
	if got := verify(h, r[8:], noted); got != "true 2 -" {
		t.Errorf("a noted head where the chain begins: %s", got)
	}
	h, r = rows(10)
	r[4].Content = strings.Replace(r[4].Content, `"rows":4`, `"rows":5`, 1)
	rechain(r, 4)
	h.Hash = r[9].Hash
	if got := verify(h, r, ""); got != "true 10 -" {
		t.Errorf("rebuilt as a whole: %s", got)
	}
	if got := verify(h, r, noted); got != "false 10 -" {
		t.Errorf("rebuilt as a whole, a head was noted: %s", got)
	}
}

// TestAnyBitBreaks flips one random byte of one random row.
func TestAnyBitBreaks(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 1))
	for range 300 {
		h, r := rows(12)
		i := rnd.IntN(len(r))
		fields := []*string{&r[i].Content, &r[i].Hash, &r[i].Time, &r[i].Principal}
		f := fields[rnd.IntN(len(fields))]
		b := []byte(*f)
		b[rnd.IntN(len(b))] ^= 1 << rnd.IntN(7)
		*f = string(b)
		if got := verify(h, r, ""); !strings.HasPrefix(got, "false") {
			t.Fatalf("seed %d: row %d as %+v: %s", seed, i+1, r[i], got)
		}
	}
}

// TestRecordsKeepTheirContent: what is stored reads back, hostile texts included.
func TestRecordsKeepTheirContent(t *testing.T) {
	three := int64(3)
	long := strings.Repeat("ž", maxStatement)
	for _, r := range []Record{
		{Time: noon, Principal: "alice", Roles: []string{"r1", "r2"}, Policy: 7, Action: "query", Tables: []string{"a", "b"}, Snapshot: &three, Rows: 9, Outcome: OK, Took: 1234 * time.Microsecond},
		{Time: noon.In(time.FixedZone("", 3600)), Principal: "<&>\u2028\x00\"", Statement: "select '\x00\xff';\n-- <b>", StatementHash: "h", Reason: "no\nway", Outcome: Denied},
		{Time: noon, Statement: long, Reason: long, Principal: long},
	} {
		row := r.link(catalog.AuditHead{Seq: 4, Hash: Genesis})
		got, err := parse(row)
		if err != nil {
			t.Fatal(err)
		}
		want := r.normal()
		want.Seq, want.Hash = 5, row.Hash
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s", d)
		}
		if len(row.Content) > maxStatement+4*maxShort || strings.Contains(row.Content, "\n") {
			t.Errorf("the content has %d bytes, or several lines", len(row.Content))
		}
	}
}

// TestContentIsPinned: the bytes of stored records never change.
func TestContentIsPinned(t *testing.T) {
	three := int64(3)
	row := Record{
		Time: noon.Add(5 * time.Microsecond), Principal: "alice", Roles: []string{"r"}, Policy: 7, Action: "query", Tables: []string{"a"}, Snapshot: &three,
		Statement: "select 1 < 2", StatementHash: "ab", Rows: 9, Outcome: OK, Took: time.Millisecond,
	}.link(catalog.AuditHead{Seq: 4, Hash: Genesis})
	want := `{"time":"2026-01-31T12:00:00.000005Z","principal":"alice","roles":["r"],"policy":7,"action":"query","tables":["a"],"snapshot":3,"statement":"select 1 < 2","statement_hash":"ab","rows":9,"outcome":"ok","reason":"","duration_us":1000}`
	if row.Content != want || row.Time != "2026-01-31T12:00:00.000005+00" || row.Seq != 5 {
		t.Errorf("got %+v", row)
	}
	if want := sum(Genesis + sum("5\n"+sum(want))); row.Hash != want {
		t.Errorf("hash %s, want %s", row.Hash, want)
	}
}
