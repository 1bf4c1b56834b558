package cli

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParseTime(t *testing.T) {
	utc := func(d, h, m, s, ns int) time.Time { return time.Date(2026, 1, d, h, m, s, ns, time.UTC) }
	for in, want := range map[string]time.Time{
		"2026-01-31":                          utc(31, 0, 0, 0, 0),
		"2026-01-31 10:00:00":                 utc(31, 10, 0, 0, 0),
		"2026-01-31 10:00:00.5":               utc(31, 10, 0, 0, 500_000_000),
		"2026-01-31T10:00:00.123456789":       utc(31, 10, 0, 0, 123_456_789),
		"2026-01-31T10:00:00Z":                utc(31, 10, 0, 0, 0),
		"2026-01-31t10:00:00z":                utc(31, 10, 0, 0, 0),
		"2026-01-31T10:00:00.25+02:00":        utc(31, 8, 0, 0, 250_000_000),
		"2026-01-31 10:00:00+02":              utc(31, 8, 0, 0, 0),
		"2026-01-31 10:00:00 -0530":           utc(31, 15, 30, 0, 0),
		"2026-01-31 10:00":                    utc(31, 10, 0, 0, 0),
		"2026-01-31T10:00Z":                   utc(31, 10, 0, 0, 0),
		" 2026-01-31 ":                        utc(31, 0, 0, 0, 0),
		"2026-01-31T00:30:00.000001000+14:00": utc(30, 10, 30, 0, 1000),
	} {
		got, err := parseTime(in)
		if err != nil || !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("%q: got %v (%v), want %v", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", "yesterdayish", "2026", "2026-1-3", "2026-13-01", "2026-02-30", "2026-01-31T", "2026-01-31x10:00:00",
		"2026-01-31 25:00:00", "2026-01-31 10:00:00,5", "2026-01-31 10:00:00.1234567891", "2026-01-31 10:00:00 Prague", "31.1.2026",
		"2026-01-31T10:00:00+99:00",
	} {
		if got, err := parseTime(in); err == nil {
			t.Errorf("%q: got %v, want an error", in, got)
		}
	}
}

func TestParseDuration(t *testing.T) {
	const day = 24 * time.Hour
	for in, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "90s": 90 * time.Second, "1h30m": 90 * time.Minute, "7d": 7 * day, "2w": 14 * day, "1d12h": 36 * time.Hour,
		"300ms": 300 * time.Millisecond, "1.5h": 90 * time.Minute, ".5d": 12 * time.Hour, "1.d": day, "5m": 5 * time.Minute,
		"5ms": 5 * time.Millisecond, "10us": 10 * time.Microsecond, "10µs": 10 * time.Microsecond, "10μs": 10 * time.Microsecond,
		"3ns": 3, "365d": 365 * day, "1w1d1h1m1s1ms1us1ns": 8*day + time.Hour + time.Minute + time.Second + time.Millisecond + time.Microsecond + 1,
		"9223372036854775807ns": math.MaxInt64, "106751d": 106751 * day, "0.001s": time.Millisecond,
	} {
		if got, err := parseDuration(in); err != nil || got != want {
			t.Errorf("%q: got %v (%v), want %v", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", "s", "90", "-90s", "+1h", "1h 30m", "7days", "1y", ".", ".s", "1..5h", "106752d", "15251w", "99999999999999999999s",
		"9223372036854775807ns1ns", "1e3s", "1h-1m", "d",
	} {
		if got, err := parseDuration(in); err == nil {
			t.Errorf("%q: got %v, want an error", in, got)
		}
	}
}

// FuzzDuration holds that what Go reads without a sign is read the same here.
func FuzzDuration(f *testing.F) {
	for _, s := range []string{"90s", "1h30m", "1d12h", "2w", "1.5h", ".5s", "1.0000000001s", "3ms2us1ns"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := parseDuration(s)
		if err == nil && got < 0 {
			t.Fatalf("%q is negative: %v", s, got)
		}
		want, goErr := time.ParseDuration(s)
		if goErr == nil && !strings.ContainsAny(s, "+-") && err != nil {
			t.Errorf("%q: Go reads %v, we say %v", s, want, err)
		}
		// Long fractions may differ in the last nanosecond of each part.
		if goErr == nil && err == nil && (got-want).Abs() > time.Duration(len(s)) {
			t.Errorf("%q: got %v, Go reads %v", s, got, want)
		}
	})
}

func FuzzTime(f *testing.F) {
	for _, s := range []string{"2026-01-31", "2026-01-31 10:00:00.5", "2026-01-31T10:00:00Z", "2026-01-31T10:00:00+02:00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := parseTime(s)
		if want, goErr := time.Parse(time.RFC3339Nano, s); goErr == nil && fractionDigits(s) <= 9 && !strings.Contains(s, ",") {
			if err != nil || !got.Equal(want) {
				t.Errorf("%q: got %v (%v), Go reads %v", s, got, err, want)
			}
		}
		if err != nil {
			return
		}
		if again, err := parseTime(got.Format(time.RFC3339Nano)); err != nil && got.Year() >= 0 && got.Year() <= 9999 || err == nil && !again.Equal(got) {
			t.Errorf("%q: %v reads back as %v (%v)", s, got, again, err)
		}
	})
}

func TestParseParam(t *testing.T) {
	for in, want := range map[string]any{
		"n=2": int64(2), "n=-7": int64(-7), "n=+7": int64(7), "n=9223372036854775807": int64(math.MaxInt64),
		"n=9223372036854775808": json.Number("9223372036854775808"), "n=-00099999999999999999999": json.Number("-99999999999999999999"),
		"n=1.5": 1.5, "n=0.10": 0.1, "n=.5": 0.5, "n=2.": 2.0, "n=1e3": 1000.0, "n=-2.5E-1": -0.25,
		"n=12345678901234567890.123456789": json.Number("12345678901234567890.123456789"),
		"n=+00.12345678901234567890123":    json.Number("0.12345678901234567890123"), "n=1e400": json.Number("1e400"),
		"n=true": true, "n=FALSE": false, "n=null": nil, "n=NULL": nil,
		"n='007'": "007", "n=007": int64(7), "n='null'": "null", "n='it''s'": "it's", "n=O'Brien": "O'Brien", "n=": "", "n=''": "",
		"n='": "'", "n='a'b'": "'a'b'", "n=x' or '1'='1": "x' or '1'='1", "n=a=b": "a=b", "n=NaN": "NaN", "n=inf": "inf", "n=0x10": "0x10",
		"n=1_000": "1_000", "n=2026-01-31": "2026-01-31", "n= 5": " 5", "n=žluť": "žluť", "$n=1": int64(1),
	} {
		name, got, err := parseParam(in)
		if err != nil || name != "n" || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %s = %#v (%v), want %#v", in, name, got, err, want)
		}
	}
	for _, in := range []string{"", "n", "=1", "9=1", "a b=1", "a-b=1", "$=1"} {
		if _, got, err := parseParam(in); err == nil {
			t.Errorf("%q: got %v, want an error", in, got)
		}
	}
	if _, err := parseParams([]string{"a=1", "$a=2"}); err == nil {
		t.Error("a parameter that is given twice is accepted")
	}
}

func FuzzParam(f *testing.F) {
	for _, s := range []string{"1", "-0.5", "1e3", "'007'", "null", "+00.50", "99999999999999999999", "."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if n, ok := parseValue(s).(json.Number); ok {
			if !json.Valid([]byte(n)) && !strings.ContainsAny(s, "eE") {
				t.Errorf("%q becomes %q, which is no JSON number", s, n)
			}
		}
	})
}

func TestParseColumns(t *testing.T) {
	for in, want := range map[string]string{
		"a:bigint,b:date":                                  "[a bigint][b date]",
		"code:varchar, amount : decimal(10, 2)":            "[code varchar][amount decimal(10, 2)]",
		`"a,b":int,"c:d":text,"e""f":int`:                  `[a,b int][c:d text][e"f int]`,
		"s:struct(a integer, b varchar[]),m:map(int,text)": "[s struct(a integer, b varchar[])][m map(int,text)]",
		"t:timestamp with time zone":                       "[t timestamp with time zone]",
		"naïve col:double":                                 "[naïve col double]",
	} {
		list, err := parseColumns(in)
		var got []byte
		for _, c := range list {
			got = fmt.Appendf(got, "[%s %s]", c.Name, c.Type)
		}
		if err != nil || string(got) != want {
			t.Errorf("%q: got %s (%v), want %s", in, got, err, want)
		}
	}
	for _, in := range []string{"", "a", "a:", ":int", "a:int,", "a:int,A:int", "a:decimal(1", "a:decimal1)", `"a:int`, "a:int,,b:int"} {
		if got, err := parseColumns(in); err == nil {
			t.Errorf("%q: got %v, want an error", in, got)
		}
	}
}

func FuzzColumns(f *testing.F) {
	for _, s := range []string{"a:bigint,b:date", `"x,y":decimal(10,2)`, "a:struct(b int, c text[])", ":", "(", `"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		list, err := parseColumns(s)
		for _, c := range list {
			if err == nil && (c.Name == "" || c.Type == "") {
				t.Errorf("%q: %+v", s, c)
			}
		}
	})
}

func TestParseNames(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"a", "a"}, {"a,b", "a|b"}, {"a, b", "a|b"}, {`"a,b",c`, "a,b|c"}, {`"say ""x"""`, `say "x"`}, {"naïve col", "naïve col"},
	} {
		got, err := parseNames([]string{c.in})
		if err != nil || strings.Join(got, "|") != c.want {
			t.Errorf("%q: got %q (%v), want %q", c.in, got, err, c.want)
		}
	}
	if got, err := parseNames([]string{"a,b", "c"}); err != nil || len(got) != 3 {
		t.Errorf("repeated flags: %q (%v)", got, err)
	}
	for _, in := range []string{"", "a,,b", "a,", `"a`, `a"b`} {
		if got, err := parseNames([]string{in}); err == nil {
			t.Errorf("%q: got %q, want an error", in, got)
		}
	}
}

func TestSQLLiteral(t *testing.T) {
	for in, want := range map[string]string{
		"5": "5", "-1.5": "-1.5", "true": "true", "NULL": "NULL", "'007'": "'007'", "x": "'x'", "it's": "'it''s'",
		"date '2026-01-31'": "date '2026-01-31'", "TIMESTAMP WITH TIME ZONE '2026-01-31'": "TIMESTAMP WITH TIME ZONE '2026-01-31'",
		"": "''", "2026-01-31": "'2026-01-31'", "x'); drop": "'x''); drop'", "error('x')": "'error(''x'')'", "interval '1' || 'x'": "'interval ''1'' || ''x'''",
	} {
		if got := sqlLiteral(in); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}
