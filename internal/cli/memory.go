package cli

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// leastMemory is what the engine needs to do anything.
const leastMemory = 64 << 20

var memoryUnits = map[string]float64{
	"": 1, "b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40,
	"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
}

// parseMemory reads a size as people write it: 512MB, 1.5GiB, 2g.
func parseMemory(s string) (int64, error) {
	s = strings.TrimSpace(s)
	digits := len(s)
	if i := strings.IndexFunc(s, func(r rune) bool { return (r < '0' || r > '9') && r != '.' }); i >= 0 {
		digits = i
	}
	n, err := strconv.ParseFloat(s[:digits], 64)
	unit, ok := memoryUnits[strings.ToLower(strings.TrimSpace(s[digits:]))]
	bytes := n * unit
	if err != nil || !ok || bytes > math.MaxInt64/2 {
		return 0, errors.New("want a size, as 512MB or 2GiB")
	}
	if bytes < leastMemory {
		return 0, errors.New("want at least 64MiB")
	}
	return int64(bytes), nil
}

// memoryFlag is an optional size of memory; 0 when it was not given.
type memoryFlag struct {
	bytes int64
	text  string
}

// Set reads a size of the command line.
func (f *memoryFlag) Set(s string) (err error) {
	f.bytes, err = parseMemory(s)
	f.text = s
	return err
}

// String and Type are what the flag parser asks for.
func (f *memoryFlag) String() string { return f.text }

// Type names the value in help texts.
func (f *memoryFlag) Type() string { return "size" }
