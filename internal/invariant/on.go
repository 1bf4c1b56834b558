//go:build invariants

package invariant

import "fmt"

// Enabled says whether checks are compiled in.
const Enabled = true

// Check panics with the message when cond is false.
func Check(cond bool, format string, args ...any) {
	if !cond {
		panic("invariant broken: " + fmt.Sprintf(format, args...))
	}
}
