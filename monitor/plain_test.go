package monitor

import (
	"encoding/json"
	"testing"
)

func TestAppendText(t *testing.T) {
	for c := range rune(0x300) {
		s := "a" + string(c) + "z"
		want, _ := json.Marshal(s)
		if got := appendText(nil, s); string(got) != string(want) {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
	}
	for _, s := range []string{"", "\xff", "plain text 1.5", "\u2028"} {
		want, _ := json.Marshal(s)
		if got := appendText(nil, s); string(got) != string(want) {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
	}
}
