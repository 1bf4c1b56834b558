//go:build race

package examples

// The programs are built as the test is, so that both share one build.
func init() { buildFlags = append(buildFlags, "-race") }
