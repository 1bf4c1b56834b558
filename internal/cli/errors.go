package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/supertable-go/supertable"
)

const kindCancelled = supertable.Cancelled

// failure is an error of the program's own, of one of the public kinds.
type failure struct {
	kind    supertable.ErrorKind
	message string
}

func (f *failure) Error() string { return f.message }

// Unwrap makes supertable.KindOf see the kind.
func (f *failure) Unwrap() error { return f.kind }

// failf makes an error of kind k.
func failf(k supertable.ErrorKind, format string, args ...any) error {
	return &failure{kind: k, message: fmt.Sprintf(format, args...)}
}

// usageError is a call that cannot be understood: exit code 2.
type usageError struct {
	message string
	hint    string // the command that explains, without quotes; may be empty
}

func (u *usageError) Error() string {
	if u.hint == "" {
		return u.message
	}
	return fmt.Sprintf("%s (see '%s')", u.message, u.hint)
}

// Unwrap makes supertable.KindOf see the kind.
func (u *usageError) Unwrap() error { return supertable.InvalidArgument }

// usagef makes a usage error that points to the help of cmd.
func usagef(cmd *cobra.Command, format string, args ...any) error {
	return &usageError{message: fmt.Sprintf(format, args...), hint: helpFor(cmd)}
}

func helpFor(cmd *cobra.Command) string {
	root := cmd.Root().Name()
	return strings.TrimSpace(root + " help " + strings.TrimPrefix(strings.TrimPrefix(cmd.CommandPath(), root), " "))
}

// asUsage makes what the flag parser found a usage error.
func asUsage(err error) error {
	if u := (*usageError)(nil); errors.As(err, &u) {
		return err
	}
	return &usageError{message: err.Error(), hint: "supertable help"}
}

// report prints err as the one line of the contract.
func (a *app) report(args []string, err error) {
	if !wantsJSON(args) {
		fmt.Fprintf(a.stderr, "supertable: %s\n", oneLine(err.Error()))
		return
	}
	b := append([]byte(nil), `{"error":{"kind":`...)
	b = appendJSONString(b, string(supertable.KindOf(err)))
	b = append(b, `,"message":`...)
	b = appendJSONString(b, oneLine(err.Error()))
	_, _ = a.stderr.Write(append(b, "}}\n"...)) // there is nobody left to tell
}

// wantsJSON looks for --format json in the raw arguments, since flags that
// could not be parsed ask for JSON errors too.
func wantsJSON(args []string) bool {
	is := false
	for i, s := range args {
		if s == "--" {
			break
		}
		if v, ok := strings.CutPrefix(s, "--format="); ok {
			is = v == formatJSON
		} else if s == "--format" && i+1 < len(args) {
			is = args[i+1] == formatJSON
		}
	}
	return is
}

// oneLine flattens line ends and drops what could drive a terminal.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
	return strings.Join(strings.Fields(s), " ")
}

// note prints a remark that is no result; --quiet drops it.
func (a *app) note(format string, args ...any) {
	if !a.flags.quiet {
		fmt.Fprintf(a.stderr, "supertable: %s\n", oneLine(fmt.Sprintf(format, args...)))
	}
}

// writeString ignores the error: the next write to the same place has it too.
func writeString(w io.Writer, s string) { _, _ = io.WriteString(w, s) }
