// Package crash kills writers with SIGKILL at random moments and looks at what
// they leave: the lake opens, check is clean, and the state is the one before
// or after the operation that was under way. It holds tests only.
package crash
