package invariant_test

import (
	"testing"

	"github.com/supertable-go/supertable/internal/invariant"
)

func TestCheckHolds(t *testing.T) {
	invariant.Check(true, "never said")
}

func TestCheckPanicsOnlyWhenEnabled(t *testing.T) {
	defer func() {
		got := recover()
		var want any
		if invariant.Enabled {
			want = "invariant broken: snapshot 3 after 4"
		}
		if got != want {
			t.Errorf("panic = %v, want %v", got, want)
		}
	}()
	invariant.Check(false, "snapshot %d after %d", 3, 4)
}
