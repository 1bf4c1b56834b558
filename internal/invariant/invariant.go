// Package invariant checks in test builds what must always hold.
//
// Build with -tags invariants to compile the checks in (make test does);
// without the tag a Check is an empty function. An invariant that costs more
// than a comparison to find out stands behind Enabled:
//
//	if invariant.Enabled {
//		invariant.Check(sorted(files), "files out of order: %v", files)
//	}
//
// A failed check is a mistake of ours and panics: never use it for what a
// caller, a file or a rival process can bring about.
package invariant
