package datafile_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/supertable-go/supertable/datafile"
)

func bound(t *testing.T, typ, text string) datafile.Bound {
	t.Helper()
	b, ok := datafile.ParseBound(parse(t, typ), text)
	if !ok {
		t.Fatalf("%s %q is no bound", typ, text)
	}
	return b
}

// TestBoundsAreInOrder lists values of each type from the least to the
// greatest, as texts that the engine and other clients write.
func TestBoundsAreInOrder(t *testing.T) {
	for typ, texts := range map[string]string{
		"BOOLEAN":                  "false|true",
		"TINYINT":                  "-128|-1|0|127",
		"BIGINT":                   "-9223372036854775808|-9007199254740993|-9007199254740992|0|9007199254740992|9007199254740993|9223372036854775807",
		"UBIGINT":                  "0|9223372036854775807|9223372036854775808|18446744073709551614|18446744073709551615",
		"DECIMAL(38,4)":            "-9999999999999999999999999999999999.9999|-1.0001|-1|0.0000|0.0001|1.25|9007199254740993.0001|9007199254740993.0002",
		"DOUBLE":                   "-inf|-1e308|-1.5|0|5e-324|0.1|1|1e300|inf",
		"DATE":                     "0001-01-01|1969-12-31|1970-01-01|9999-12-31",
		"TIMESTAMP":                "0001-01-01 00:00:00|1969-12-31 23:59:59.9|1970-01-01 00:00:00|1970-01-01 00:00:00.000001|1970-01-01 00:00:00.1|1970-01-01 00:00:01|9999-12-31 23:59:59.999999",
		"TIMESTAMP_NS":             "1970-01-01 00:00:00|1970-01-01 00:00:00.000000001|1970-01-01 00:00:00.00000001",
		"TIMESTAMP WITH TIME ZONE": "2026-01-01 00:00:00+00|2026-01-01 00:00:00.5+00|2026-01-01 00:00:01+00",
		"TIME":                     "00:00:00|00:00:00.000001|10:00:00|23:59:59.999999",
		"VARCHAR":                  "|A|AA|B|Z|a|é|日本|🚀",
		"UUID":                     "00000000-0000-0000-0000-000000000000|a0000000-0000-0000-0000-000000000000|ffffffff-ffff-ffff-ffff-ffffffffffff",
	} {
		list := strings.Split(texts, "|")
		for i, a := range list {
			for k, b := range list {
				got, ok := bound(t, typ, a).Compare(bound(t, typ, b))
				want := 0
				if i != k {
					want = map[bool]int{true: -1, false: 1}[i < k]
				}
				if !ok || got != want {
					t.Errorf("%s: %s against %s is %d %t, want %d", typ, a, b, got, ok, want)
				}
			}
		}
	}
	equal := [][3]string{{"DOUBLE", "-0.0", "0"}, {"DECIMAL(18,4)", "1.2500", "1.25"}, {"DECIMAL(18,0)", "5", "5.0"}, {"TIMESTAMP", "2026-01-01", "2026-01-01T00:00:00"}, {"DATE", "2026-01-01", "2026-01-01 00:00:00.000"}, {"BOOLEAN", "1", "true"}, {"TIMESTAMP WITH TIME ZONE", "2026-01-01 00:00:00+00", "2026-01-01 00:00:00"}}
	for _, e := range equal {
		if got, ok := bound(t, e[0], e[1]).Compare(bound(t, e[0], e[2])); !ok || got != 0 {
			t.Errorf("%s: %s against %s is %d %t, want equal", e[0], e[1], e[2], got, ok)
		}
	}
}

// TestWhatIsNoBound: a text that does not sort as its value does says nothing.
func TestWhatIsNoBound(t *testing.T) {
	for typ, texts := range map[string]string{
		"BIGINT":                   "x||1e3|0x10|1_000|1/2|" + strings.Repeat("9", 200),
		"DOUBLE":                   "nan|NaN|x",
		"BOOLEAN":                  "yes|2",
		"DATE":                     "0044-03-15 (BC)|12026-01-01|-001-01-01|infinity|2026-1-1|x",
		"TIMESTAMP":                "infinity|-infinity|2026-01-01 10:00:00+01|2026-01-01 10:00:00 BC|2026-01-01 10:00|290309-12-22 (BC) 00:00:00",
		"TIMESTAMP WITH TIME ZONE": "2026-01-01 10:00:00+01|2026-01-01 10:00:00-00:30",
		"BLOB":                     "abc",
		"INTERVAL":                 "1 day",
		"BIGINT[]":                 "[1]",
	} {
		for s := range strings.SplitSeq(texts, "|") {
			if b, ok := datafile.ParseBound(parse(t, typ), s); ok {
				t.Errorf("%s %q is the bound %+v", typ, s, b)
			}
		}
	}
	if _, ok := bound(t, "BIGINT", "1").Compare(bound(t, "DOUBLE", "1")); ok {
		t.Error("an exact number and a float compare")
	}
}

func stats(t *testing.T, typ string, facts map[string]string) datafile.Stats {
	t.Helper()
	cols := []datafile.Column{{ID: 7, Name: `a"b`, Type: parse(t, typ)}}
	all := datafile.LeafStats(datafile.Leaves(cols), map[string]map[string]string{`"a""b"`: facts})
	if len(all) != 1 || all[0].ColumnID != 7 {
		t.Fatalf("statistics %+v", all)
	}
	return all[0]
}

func text(p *string) string {
	if p == nil {
		return "unknown"
	}
	return *p
}

func TestLeafStats(t *testing.T) {
	s := stats(t, "BIGINT", map[string]string{"column_size_bytes": "80", "num_values": "10", "null_count": "3", "min": "-5", "max": "9"})
	if s.SizeBytes != 80 || s.ValueCount != 7 || s.NullCount != 3 || text(s.Min) != "-5" || text(s.Max) != "9" || s.ContainsNaN != nil {
		t.Errorf("numbers: %+v", s)
	}
	s = stats(t, "DOUBLE", map[string]string{"num_values": "2", "null_count": "0", "min": "1", "max": "2", "has_nan": "false"})
	if text(s.Min) != "1" || s.ContainsNaN == nil || *s.ContainsNaN {
		t.Errorf("floats: %+v", s)
	}
	s = stats(t, "DOUBLE", map[string]string{"num_values": "2", "null_count": "0", "min": "1", "max": "2", "has_nan": "true"})
	if s.Min != nil || s.Max != nil || s.ContainsNaN == nil || !*s.ContainsNaN {
		t.Errorf("floats with NaN: %+v", s)
	}
	s = stats(t, "VARCHAR", map[string]string{"num_values": "2", "min": "a\x00", "max": "b"})
	if s.Min != nil || s.Max != nil {
		t.Errorf("a NUL byte: %+v", s)
	}
	if got := datafile.LeafStats(datafile.Leaves([]datafile.Column{{ID: 1, Name: "x", Type: parse(t, "BIGINT")}}), nil); len(got) != 0 {
		t.Errorf("nothing returned: %+v", got)
	}
}

// TestTextBoundsAreCut: long bounds are shortened and stay bounds, valid UTF-8.
func TestTextBoundsAreCut(t *testing.T) {
	top := string(utf8.MaxRune)
	for name, c := range map[string]struct{ value, min, max string }{
		"short":               {"abc", "abc", "abc"},
		"256 bytes":           {strings.Repeat("x", 256), strings.Repeat("x", 256), strings.Repeat("x", 256)},
		"257 bytes":           {strings.Repeat("x", 257), strings.Repeat("x", 256), strings.Repeat("x", 255) + "y"},
		"a rune over the cut": {strings.Repeat("x", 255) + "é", strings.Repeat("x", 255), strings.Repeat("x", 254) + "y"},
		"the last rune":       {strings.Repeat(top, 65), strings.Repeat(top, 64), "unknown"},
		"below surrogates":    {strings.Repeat("x", 253) + "\ud7ffmore", strings.Repeat("x", 253) + "\ud7ff", strings.Repeat("x", 253) + "\ue000"},
	} {
		s := stats(t, "VARCHAR", map[string]string{"num_values": "1", "min": c.value, "max": c.value})
		if text(s.Min) != c.min || text(s.Max) != c.max {
			t.Errorf("%s: %q to %q, want %q to %q", name, text(s.Min), text(s.Max), c.min, c.max)
		}
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	alphabet := []rune("aé日🚀\ud7ff\U0010ffff\u0001")
	for range 3000 {
		var b strings.Builder
		for b.Len() < 200+rnd.IntN(200) {
			b.WriteRune(alphabet[rnd.IntN(len(alphabet))])
		}
		s := stats(t, "VARCHAR", map[string]string{"num_values": "1", "min": b.String(), "max": b.String()})
		if s.Min == nil || *s.Min > b.String() || len(*s.Min) > 256 || !utf8.ValidString(*s.Min) {
			t.Fatalf("%q has the lower bound %q", b.String(), text(s.Min))
		}
		if s.Max != nil && (*s.Max < b.String() || len(*s.Max) > 259 || !utf8.ValidString(*s.Max)) {
			t.Fatalf("%q has the upper bound %q", b.String(), *s.Max)
		}
	}
}

func TestWidenBounds(t *testing.T) {
	p := func(s string) *string {
		if s == "?" {
			return nil
		}
		return &s
	}
	for _, c := range []struct{ typ, lo1, hi1, lo2, hi2, lo, hi string }{
		{"BIGINT", "9", "10", "-1", "9", "-1", "10"},
		{"BIGINT", "9007199254740993", "9007199254740993", "9007199254740992", "9007199254740994", "9007199254740992", "9007199254740994"},
		{"VARCHAR", "a", "b", "B", "c", "B", "c"},
		{"JSON", "a", "b", "B", "c", "B", "c"},
		{"BIGINT", "?", "1", "2", "?", "unknown", "unknown"},
		{"DOUBLE", "nan", "1", "2", "3", "unknown", "3"},
		{"BLOB", "a", "b", "a", "c", "a", "unknown"},
	} {
		lo, hi := datafile.WidenBounds(parse(t, c.typ), p(c.lo1), p(c.hi1), p(c.lo2), p(c.hi2))
		if text(lo) != c.lo || text(hi) != c.hi {
			t.Errorf("%+v: %s to %s", c, text(lo), text(hi))
		}
	}
}

func TestBitmap(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		n := int64(1 + rnd.IntN(300))
		a, b := datafile.NewBitmap(n), datafile.NewBitmap(n)
		inA, inB := map[int64]bool{}, map[int64]bool{}
		for range rnd.IntN(200) {
			i := rnd.Int64N(n)
			if a.Set(i) == inA[i] {
				t.Fatalf("row %d: Set told wrongly that it is new", i)
			}
			inA[i] = true
			k := rnd.Int64N(n)
			b.Set(k)
			inB[k] = true
		}
		left := a.Without(b)
		for i := range n {
			if a.Has(i) != inA[i] || left.Has(i) != (inA[i] && !inB[i]) {
				t.Fatalf("row %d of %d", i, n)
			}
		}
		last := int64(-1)
		for _, i := range a.Positions() {
			if i <= last || !inA[i] {
				t.Fatalf("position %d after %d", i, last)
			}
			last = i
		}
		if a.Count() != int64(len(inA)) || int64(len(a.Positions())) != a.Count() {
			t.Fatalf("%d rows counted, want %d", a.Count(), len(inA))
		}
		clone := a.Clone()
		clone.Set(0)
		if a.Has(0) != inA[0] {
			t.Fatal("a clone shares its words")
		}
	}
	var none datafile.Bitmap
	if none.Has(5) || none.Count() != 0 || len(none.Positions()) != 0 || none.Without(datafile.NewBitmap(9)).Count() != 0 {
		t.Error("nil is not the empty set")
	}
}
