package cli

import (
	"errors"
	"strings"
	"time"
)

var errTime = errors.New("want a time such as 2026-01-31, 2026-01-31 10:00:00 or 2026-01-31T10:00:00.5Z (UTC without a zone)")

// parseTime reads RFC 3339, a date, or a date and a time with or without a
// zone; without one it is UTC. Parts of a nanosecond are refused.
func parseTime(s string) (time.Time, error) {
	s = strings.ToUpper(strings.TrimSpace(s))
	if len(s) < len(time.DateOnly) || strings.Contains(s, ",") {
		return time.Time{}, errTime
	}
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return t, nil
	}
	day, clock := s[:len(time.DateOnly)], s[len(time.DateOnly):]
	if clock == "" || clock[0] != 'T' && clock[0] != ' ' {
		return time.Time{}, errTime
	}
	clock = strings.TrimSpace(clock[1:])
	if digits := fractionDigits(clock); digits > 9 {
		return time.Time{}, errors.New("a time has at most 9 digits after the point")
	}
	for _, layout := range []string{"15:04:05", "15:04"} {
		for _, zone := range []string{"", "Z07:00", "Z0700", "Z07", " Z07:00", " Z0700", " Z07"} {
			if t, err := time.Parse(time.DateOnly+"T"+layout+zone, day+"T"+clock); err == nil {
				return t.UTC(), nil
			}
		}
	}
	return time.Time{}, errTime
}

func fractionDigits(s string) int {
	_, s, _ = strings.Cut(s, ".")
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	return n
}
