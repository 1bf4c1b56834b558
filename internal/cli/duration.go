package cli

import (
	"errors"
	"math"
	"strings"
	"time"
)

// units of durations, the longer names first.
var units = []struct {
	name string
	size time.Duration
}{
	{"ns", time.Nanosecond},
	{"us", time.Microsecond},
	{"µs", time.Microsecond}, // U+00B5
	{"μs", time.Microsecond}, // U+03BC
	{"ms", time.Millisecond},
	{"s", time.Second},
	{"m", time.Minute},
	{"h", time.Hour},
	{"d", 24 * time.Hour},
	{"w", 7 * 24 * time.Hour},
}

var (
	errDuration     = errors.New("want a duration such as 90s, 1h30m, 7d, 2w")
	errLongDuration = errors.New("the duration is longer than 292 years")
)

// parseDuration reads Go's durations and the units d and w: 90s, 1h30m, 7d,
// 2w, 1d12h. A duration has no sign.
func parseDuration(s string) (time.Duration, error) {
	if s == "0" {
		return 0, nil
	}
	if s == "" {
		return 0, errDuration
	}
	var sum time.Duration
	for s != "" {
		d, rest, err := durationPart(s)
		if err != nil {
			return 0, err
		}
		if sum > math.MaxInt64-d {
			return 0, errLongDuration
		}
		sum, s = sum+d, rest
	}
	return sum, nil
}

// durationPart reads one number with its unit from the front of s.
func durationPart(s string) (d time.Duration, rest string, err error) {
	whole, s, err := leadingInt(s)
	digits := err == nil
	if errors.Is(err, errLongDuration) {
		return 0, "", err
	}
	fraction, scale := 0.0, 1.0
	if strings.HasPrefix(s, ".") {
		for s = s[1:]; s != "" && isDigit(s[0]); s = s[1:] {
			scale /= 10
			fraction += float64(s[0]-'0') * scale
			digits = true
		}
	}
	if !digits {
		return 0, "", errDuration
	}
	for _, u := range units {
		rest, ok := strings.CutPrefix(s, u.name)
		if !ok || u.name == "m" && strings.HasPrefix(s, "ms") {
			continue
		}
		if whole > int64(math.MaxInt64/u.size) {
			return 0, "", errLongDuration
		}
		d = time.Duration(whole) * u.size
		part := time.Duration(math.Round(fraction * float64(u.size)))
		if d > math.MaxInt64-part {
			return 0, "", errLongDuration
		}
		return d + part, rest, nil
	}
	return 0, "", errDuration
}

// leadingInt reads the digits at the front of s; there may be none.
func leadingInt(s string) (n int64, rest string, err error) {
	i := 0
	for ; i < len(s) && isDigit(s[i]); i++ {
		digit := int64(s[i] - '0')
		if n > (math.MaxInt64-digit)/10 {
			return 0, "", errLongDuration
		}
		n = n*10 + digit
	}
	if i == 0 {
		return 0, s, errDuration
	}
	return n, s[i:], nil
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
