// Package examples holds small programs over the public API; each may run
// again and again. The test runs them all, twice.
package examples
