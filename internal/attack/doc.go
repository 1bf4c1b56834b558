// Package attack attacks a governed SuperTable as its users could: with SQL,
// writes and calls that try to see, guess or change what their roles hide. It
// has tests only: hostile statements with the answers that they must get, and
// a fuzzer that compares restricted reads with reads of tables that hold
// nothing to hide.
package attack
