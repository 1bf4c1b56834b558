package monitor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/internal/errs"
)

func TestStreamNames(t *testing.T) {
	for in, want := range map[string]string{
		"metrics": "metrics", "__metrics__": "metrics", "A1": "a1", "1": "1", "_x": "_x", "": "", "a-b": "", "a.b": "", "x\n": "", "../x": "",
		strings.Repeat("x", 124): strings.Repeat("x", 124), strings.Repeat("x", 125): "",
	} {
		got, err := Stream(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q (%v), want %q", in, got, err, want)
		}
	}
	for name, want := range map[string]bool{"__a__": true, "_a_": false, "____": false, "__a": false, "a__": false} {
		if SystemTable(name) != want {
			t.Errorf("%s is a system table: %v", name, !want)
		}
	}
}

// TestNumbersAreNotRounded: what no column type holds stays text.
func TestNumbersAreNotRounded(t *testing.T) {
	for in, want := range map[string]kind{
		"1": integer, "-9223372036854775808": integer, "9223372036854775808": other, "1.5": float, "1e3": float, "0.1": float, "1e400": other, "1e-400": other, "0e999999": float,
		"0.12345678901234567890": other, "9007199254740993.0": other, "123456789012345678": integer, "1e99999999999": other, "0.30000000000000004": float, "-0": integer, "5e-324": float,
	} {
		v, err := parseValue([]byte(in))
		if err != nil || v.kind != want {
			t.Errorf("%s: kind %d (%v), want %d", in, v.kind, err, want)
		}
		if v.kind == other && v.text() != in {
			t.Errorf("%s became %s", in, v.text())
		}
	}
}

// TestChunksComeBack: any record is the same after it waited.
func TestChunksComeBack(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	words := []string{"", "a", "ž\n\"\\", "\u2028", "<b>", strings.Repeat("x", 300), "null", "1"}
	var rows []row
	for range 300 {
		var one row
		for k := range 1 + r.IntN(6) {
			v := []value{
				{},
				boolValue(r.IntN(2) == 0),
				{kind: integer, i: int64(r.Uint64())},
				{kind: float, f: r.NormFloat64() * math.Pow(10, float64(r.IntN(40)-20))},
				{kind: float, f: float64(r.IntN(100))},
				{kind: float, f: math.Inf(1)},
				{kind: float, f: math.Inf(-1)},
				textValue(words[r.IntN(len(words))]),
				{kind: other, s: `{"a":[1,null,"x"]}`},
				{kind: other, s: "1e400"},
			}[r.IntN(10)]
			one = append(one, field{fmt.Sprintf("f%d %s", k, words[r.IntN(len(words))]), v})
		}
		rows = append(rows, one)
	}
	back, err := decode(encode(rows))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(rows, back, cmp.AllowUnexported(field{}, value{})); d != "" {
		t.Error(d)
	}
	nan, err := decode(encode([]row{{{"x", value{kind: float, f: math.NaN()}}}}))
	if err != nil || !math.IsNaN(nan[0][0].f) || nan[0][0].kind != float {
		t.Errorf("NaN became %+v (%v)", nan, err)
	}
}

func TestRecordsThatAreNone(t *testing.T) {
	for _, line := range []string{
		"", "1", "null", "[]", `{"a":1`, `{"a":1}{"b":1}`, `{"a":1} x`, `{a:1}`, `{"a":}`, `{"":1}`, `{"a":1,"A":2}`, `{"a":1,"a":2}`, `{"a\u0000":1}`, `{"execution_time":"x"}`, `{"execution_time":1.5}`, `{"execution_time":[1]}`,
		`{"_DuckLake_Internal_x":1}`, `{"x":"` + strings.Repeat("y", maxBytes) + `"}`,
	} {
		if _, err := ParseRecord([]byte(line)); !errors.Is(err, errs.InvalidArgument) {
			t.Errorf("%.40s: %v", line, err)
		}
	}
	wide := Record{}
	for i := range maxFields + 1 {
		wide[strconv.Itoa(i)] = i
	}
	if _, err := newRow(wide, time.Now()); !errors.Is(err, errs.InvalidArgument) {
		t.Errorf("a record of %d fields: %v", len(wide), err)
	}
}

// TestPlan is the table of decision 19: what a column becomes when values meet it.
func TestPlan(t *testing.T) {
	for _, c := range []struct{ was, values, want string }{
		{"", "1", bigint},
		{"", "1,2.5", double},
		{"", "9007199254740993,2.5", varchar},
		{"", "true", logical},
		{"", "true,1", varchar},
		{"", "null", nothing},
		{"", `"x",1`, varchar},
		{"", `{"a":1}`, varchar},
		{"", "1e400", varchar},
		{bigint, "1", bigint},
		{bigint, "2.0", bigint},
		{bigint, "2.5", double},
		{bigint, "2.5,9007199254740993", varchar},
		{bigint, "true", varchar},
		{bigint, `"x"`, varchar},
		{bigint, "null", "-"},
		{double, "1", double},
		{double, "9007199254740993", varchar},
		{double, "true", varchar},
		{logical, "false", logical},
		{logical, "0", varchar},
		{varchar, "1,true", varchar},
		{nothing, "1", bigint},
		{"INTEGER", "1", bigint},
		{"INTEGER", "1.5", double},
		{"FLOAT", "1.5", double},
		{"DECIMAL(9,2)", "1.5", varchar},
		{"TIMESTAMP", `"2026-01-01"`, varchar},
	} {
		var rows []row
		for v := range strings.SplitSeq(c.values, ",") {
			r, err := parseRow([]byte(`{"X":` + v + `}`))
			if err != nil {
				t.Fatal(err)
			}
			rows = append(rows, r)
		}
		var table []Column
		if c.was != "" {
			table = []Column{{"x", c.was}}
		}
		l := plan(table, rows)
		got := "-"
		if len(l.columns) == 1 {
			got = l.columns[0].Type
		}
		changes := c.was != "" && c.was != nothing && c.was != got && got != "-"
		if got != c.want || (len(l.retype) == 1) != changes {
			t.Errorf("%s meets %s: %s (changes %v), want %s", c.was, c.values, got, l.retype, c.want)
		}
		if got == "-" {
			continue // every record has a time beside it
		}
		b, err := l.batch(rows)
		if err != nil {
			t.Fatal(err)
		}
		if b.Next() && b.RecordBatch().NumRows() != int64(len(rows)) {
			t.Errorf("%s: %d rows of %d", c.values, b.RecordBatch().NumRows(), len(rows))
		}
		b.Release()
	}
}

// TestGatherChunks takes records from chunks and leaves what is too much.
func TestGatherChunks(t *testing.T) {
	chunk := func(id string, from, to int) catalog.Chunk {
		var rows []row
		for i := from; i < to; i++ {
			rows = append(rows, row{{"i", value{kind: integer, i: int64(i)}}})
		}
		return catalog.Chunk{ID: id, Stream: "s", Records: int64(to - from), Body: encode(rows)}
	}
	waiting := []catalog.Chunk{chunk("a", 0, 3), chunk("b", 3, 10), chunk("c", 10, 12)}
	for _, c := range []struct {
		most, rows int
		take, rest string
	}{
		{1, 1, "a", "1 2"},
		{3, 3, "a", ""},
		{5, 5, "a b", "5 6 7 8 9"},
		{12, 12, "a b c", ""},
		{100, 12, "a b c", ""},
	} {
		rows, move, err := gatherChunks("s", waiting, c.most)
		if err != nil {
			t.Fatal(err)
		}
		rest := ""
		if move.Rest != nil {
			left, err := decode(move.Rest.Body)
			if err != nil || int64(len(left)) != move.Rest.Records {
				t.Fatal(err, left)
			}
			for _, r := range left {
				rest += fmt.Sprint(r[0].i, " ")
			}
		}
		if len(rows) != c.rows || strings.Join(move.Take, " ") != c.take || strings.TrimSpace(rest) != c.rest {
			t.Errorf("%d: %d rows, take %v, rest %s", c.most, len(rows), move.Take, rest)
		}
	}
	if _, _, err := gatherChunks("s", []catalog.Chunk{{ID: "x", Records: 1, Body: []byte("{\n")}}, 5); !errors.Is(err, errs.Corrupt) {
		t.Errorf("a damaged chunk: %v", err)
	}
}

func TestPlanExpiry(t *testing.T) {
	text := func(s string) *string { return &s }
	files := []catalog.File{
		{ID: 1, Stats: map[int64]datafile.Stats{7: {Max: text("999"), ValueCount: 1}}},
		{ID: 2, Stats: map[int64]datafile.Stats{7: {Max: text("1000"), ValueCount: 1}}},
		{ID: 3, Stats: map[int64]datafile.Stats{7: {ValueCount: 1}}},
		{ID: 4},
		{ID: 5, Stats: map[int64]datafile.Stats{7: {Max: text("5"), ValueCount: 1, NullCount: 1}}},
		{ID: 6, Stats: map[int64]datafile.Stats{7: {Max: text("abc"), ValueCount: 1}}},
	}
	got := PlanExpiry(files, 7, time.UnixMilli(1000))
	if len(got) != 1 || got[0].ID != 1 {
		t.Errorf("expired: %+v", got)
	}
	for _, c := range []struct {
		stream string
		option time.Duration
		want   time.Duration
	}{{"metrics", 0, 0}, {"metrics", time.Hour, time.Hour}, {Plans, 0, 30 * 24 * time.Hour}, {Stats, time.Hour, time.Hour}} {
		if got := Retention(c.stream, c.option); got != c.want {
			t.Errorf("%s %v: %v", c.stream, c.option, got)
		}
	}
}

// TestQueueHoldsBack: a full queue makes Log wait, and loses nothing.
func TestQueueHoldsBack(t *testing.T) {
	var q queue
	q.init(3)
	for i := range 3 {
		if err := q.put(t.Context(), row{{"i", value{kind: integer, i: int64(i)}}}); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := timeout(t, 20*time.Millisecond)
	if err := q.put(ctx, row{}); !errors.Is(err, errs.Timeout) {
		t.Errorf("the fourth of three: %v", err)
	}
	cancel()
	done := make(chan error)
	go func() { done <- q.put(t.Context(), row{}) }()
	select {
	case err := <-done:
		t.Fatal("did not wait", err)
	case <-time.After(20 * time.Millisecond):
	}
	if n := len(q.take()); n != 3 {
		t.Errorf("%d records", n)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	huge := row{{"x", value{kind: text, s: strings.Repeat("x", queueBytes)}}}
	go func() { done <- q.put(t.Context(), huge) }()
	select {
	case err := <-done:
		t.Fatal("bytes are not bounded", err)
	case <-time.After(20 * time.Millisecond):
	}
	q.close()
	if err := <-done; !errors.Is(err, errs.Unavailable) {
		t.Errorf("a closed queue takes: %v", err)
	}
	if n := len(q.take()); n != 1 {
		t.Errorf("%d records are left after the end", n)
	}
}

func FuzzParseRecord(f *testing.F) {
	for _, s := range []string{`{"a":1}`, `{"a":{"b":[1,2.5,null,"x"]},"c":1e400}`, `{"\u0000f":"NaN"}`, `{"a":{"\u0000f":"NaN"}}`, `{"é":true}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := parseRow(line)
		if err != nil {
			if errs.KindOf(err) != errs.InvalidArgument {
				t.Errorf("%q: %v", line, err)
			}
			return
		}
		if !json.Valid(line) {
			t.Errorf("%q is no JSON", line)
		}
		if _, err := decode(encode([]row{r})); err != nil {
			t.Errorf("%q does not come back: %v", line, err)
		}
		l := plan(nil, []row{r})
		b, err := l.batch([]row{r})
		if err != nil {
			t.Fatal(err)
		}
		b.Release()
	})
}

func timeout(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(t.Context(), d)
}

// TestQueueTellsOfLastingFailure: who waits for room that will not come is told.
func TestQueueTellsOfLastingFailure(t *testing.T) {
	var q queue
	q.init(1)
	if err := q.put(t.Context(), row{}); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- q.put(t.Context(), row{}) }()
	q.fail(errs.New(errs.Unavailable, "a full disk")) // may end: keep waiting
	select {
	case err := <-done:
		t.Fatal(err)
	case <-time.After(20 * time.Millisecond):
	}
	q.fail(errs.New(errs.Denied, "read-only"))
	if err := <-done; !errors.Is(err, errs.Denied) {
		t.Error(err)
	}
	q.fail(nil)
	q.take()
	if err := q.put(t.Context(), row{}); err != nil {
		t.Error(err)
	}
}
