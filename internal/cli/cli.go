// Package cli is the program supertable: commands, flags, output forms, exit codes.
//
// It stands on the public API alone. Results go to stdout, everything else to
// stderr; an error is one line. The contract that scripts rely on:
//
//	0    done
//	1    failed
//	2    wrong usage
//	130  interrupted, and nothing half-done
//
// Reading order: Run here, the flags in root.go, one file per command, then
// render.go for the forms in which rows are printed.
package cli

import (
	"cmp"
	"context"
	"errors"
	"io"
	"time"
)

// The exit codes of the contract.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// version is set by the linker (-X internal/cli.version).
var version = "dev"

// app is one run of the program.
type app struct {
	stdin  io.Reader
	stdout *stdout
	stderr io.Writer
	now    func() time.Time
	flags  globalFlags
	// running says that arguments and flags were accepted: an error from here
	// on is no longer a wrong usage.
	running bool
	// out is the place of the result, until that is printed.
	out *output
	// changed says that the command changed something.
	changed bool
	// done says what was done before an interrupt; "" is nothing.
	done string
}

// Run runs the program with args (without its name) and returns its exit
// code. The end of ctx is an interrupt.
func Run(ctx context.Context, args []string, stdin io.Reader, out, stderr io.Writer) int {
	a := &app{
		stdin:  stdin,
		stdout: &stdout{w: out},
		stderr: stderr,
		now:    time.Now, //nolint:forbidigo // the program is where the clock comes from
	}
	root := a.rootCommand()
	root.SetArgs(shieldText(joinDefault(nameAsker(args))))
	root.SetIn(stdin)
	root.SetOut(a.stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	a.dropOutput()
	if err == nil {
		return exitDone
	}
	if a.stdout.broken {
		return exitDone // the reader has seen enough
	}
	if ctx.Err() != nil {
		a.report(args, &failure{kind: kindCancelled, message: "interrupted, " + cmp.Or(a.done, nothingChanged)})
		return exitInterrupted
	}
	if !a.running {
		err = asUsage(err)
	}
	a.report(args, err)
	if u := (*usageError)(nil); errors.As(err, &u) {
		return exitUsage
	}
	return exitFailed
}
