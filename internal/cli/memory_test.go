package cli

import "testing"

func TestParseMemory(t *testing.T) {
	for text, want := range map[string]int64{
		"512MB": 512e6, "512 mb": 512e6, "1.5GiB": 3 << 29, "2g": 2 << 30, "1073741824": 1 << 30, "1TB": 1e12, " 64MiB ": 64 << 20, "100000kb": 1e8,
		"": 0, "2": 0, "63MiB": 0, "-1GB": 0, "GB": 0, "1XB": 0, "1.2.3GB": 0, "9999999999TB": 0, "1e3GB": 0, "NaN": 0, "Inf": 0, "２GB": 0,
	} {
		got, err := parseMemory(text)
		if got != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
}
