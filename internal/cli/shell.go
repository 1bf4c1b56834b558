package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/supertable-go/supertable"
)

const shellLong = `Shell reads statements and runs each when its ; comes, until \q or the end of
the input. On a terminal it edits lines, keeps a history in the home and
completes names with Tab; Ctrl-C drops the line or stops the running statement.
From a pipe it runs what comes; an error does not end it, but the exit code is
1 when a statement failed.

` + shellHelp

const shellHelp = `  \d         list the tables
  \d TABLE   list the columns of a table
  \timing    print how long each statement took, or no longer
  \x         print rows as blocks of lines, or no longer
  \h         this list
  \q         quit
`

func (a *app) shellCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "shell",
		Short:   "Type SQL and see its rows",
		Long:    shellLong,
		Example: "  supertable shell --super sales\n  echo 'select 1;' | supertable shell --format csv",
		Args:    takes(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if a.flags.output != "" {
				return usagef(cmd, "shell prints on stdout: -o goes with query")
			}
			return a.runShell(cmd.Context())
		},
	}
}

// shell is one session of statements.
type shell struct {
	app     *app
	session session
	in      lineReader
	names   *nameCache

	timing, expanded bool
	failed           bool
}

var errQuit = errors.New("quit")

func (a *app) runShell(ctx context.Context) error {
	interactive := isTerminal(a.stdin) && isTerminal(a.stdout.w)
	if interactive {
		var stop func()
		ctx, stop = outliveInterrupt(ctx)
		defer stop()
	}
	return a.read(ctx, func(s session) error {
		sh := &shell{app: a, session: s, names: &nameCache{session: s, now: a.now}}
		if interactive {
			t := newTerminalReader(ctx, a.flags.home, sh.names)
			defer t.Close()
			sh.in = t
		} else {
			sh.in = newPipeReader(ctx, a.stdin)
		}
		err := sh.loop(ctx)
		if err == nil && sh.failed && !interactive {
			return errShellFailed
		}
		return err
	})
}

var errShellFailed = &failure{kind: supertable.InvalidArgument, message: "at least one statement failed"}

// outliveInterrupt makes a context that SIGINT does not end, since the shell
// stops statements with it; SIGTERM ends it.
func outliveInterrupt(ctx context.Context) (context.Context, func()) {
	out, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	unhook := context.AfterFunc(ctx, func() {
		if cause := context.Cause(ctx); !strings.HasPrefix(cause.Error(), syscall.SIGINT.String()) {
			cancel(cause)
		}
	})
	ignored := make(chan os.Signal, 1)
	signal.Notify(ignored, os.Interrupt) // or the second Ctrl-C would end the program
	return out, func() {
		unhook()
		signal.Stop(ignored)
		cancel(nil)
	}
}

// loop reads lines until the end of the input or \q.
func (sh *shell) loop(ctx context.Context) error {
	text := ""
	for {
		line, err := sh.in.ReadLine(sh.prompt(text))
		switch {
		case errors.Is(err, errLineDropped):
			text = ""
			continue
		case errors.Is(err, io.EOF):
			return sh.last(ctx, text)
		case err != nil:
			return err
		}
		text, err = sh.feed(ctx, text, line)
		if errors.Is(err, errQuit) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (sh *shell) prompt(text string) string {
	name := sh.app.flags.super
	if text == "" {
		return name + "> "
	}
	return strings.Repeat(" ", max(0, len(name)-1)) + "-> "
}

// feed takes one line after text, runs what is complete and returns the rest.
func (sh *shell) feed(ctx context.Context, text, line string) (string, error) {
	if word := strings.TrimSpace(line); text == "" && (word == "quit" || word == "exit") {
		return "", errQuit
	}
	fresh := text == ""
	text += line + "\n"
	for {
		if word := strings.TrimSpace(text); fresh && strings.HasPrefix(word, `\`) {
			return "", sh.meta(ctx, word)
		}
		statement, rest, ok := cutStatement(text)
		if !ok {
			break
		}
		if err := sh.run(ctx, statement); err != nil {
			return "", err
		}
		text, fresh = rest, true
	}
	if strings.TrimSpace(text) == "" {
		text = ""
	}
	return text, nil
}

// last runs what stands without ; before the end of the input.
func (sh *shell) last(ctx context.Context, text string) error {
	statement, _, _ := cutStatement(text + "\n;")
	return sh.run(ctx, statement)
}

// run runs one statement; its error is printed and does not end the shell,
// unless nobody listens any more.
func (sh *shell) run(ctx context.Context, statement string) error {
	if blank(statement) {
		return nil
	}
	start := sh.app.now()
	sh.tell(ctx, sh.query(ctx, statement))
	if sh.timing {
		fmt.Fprintf(sh.app.stderr, "Time: %s\n", sh.app.now().Sub(start).Round(10*time.Microsecond))
	}
	return sh.over(ctx)
}

// tell prints the error of a statement.
func (sh *shell) tell(ctx context.Context, err error) {
	if err == nil || sh.over(ctx) != nil {
		return
	}
	sh.failed = true
	sh.app.report([]string{"--format", sh.app.flags.format}, err)
}

// over is the error that ends the shell, nil while it goes on.
func (sh *shell) over(ctx context.Context) error {
	if sh.app.stdout.broken {
		return syscall.EPIPE
	}
	return ctx.Err()
}

func (sh *shell) query(ctx context.Context, statement string) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	rows, err := sh.session.Query(ctx, statement, nil)
	if err != nil {
		return err
	}
	err = sh.app.result(func(w io.Writer) error { return sh.print(w, rows) })
	if e := rows.Close(); err == nil {
		err = e
	}
	return err
}

func (sh *shell) print(w io.Writer, rows *supertable.Rows) error {
	if !sh.expanded || sh.app.flags.format != formatTable {
		return copyRows(sh.app.flags.format, w, rows)
	}
	more := rows.Next()
	if err := rows.Err(); err != nil {
		return err
	}
	return drain(newExpandedRows(w, rows.Schema()), rows, more)
}

// meta runs a backslash command.
func (sh *shell) meta(ctx context.Context, line string) error {
	words := strings.Fields(strings.TrimSuffix(strings.TrimSpace(line), ";"))
	switch words[0] {
	case `\q`:
		return errQuit
	case `\h`, `\?`, `\help`:
		writeString(sh.app.stderr, shellHelp)
	case `\x`:
		sh.expanded = !sh.expanded
		sh.app.note("expanded rows are %s", onOff(sh.expanded))
	case `\timing`:
		sh.timing = !sh.timing
		sh.app.note("timing is %s", onOff(sh.timing))
	case `\d`, `\dt`:
		sh.tell(ctx, sh.describe(ctx, words[1:]))
	default:
		sh.tell(ctx, failf(supertable.InvalidArgument, `unknown command %s (\h lists them)`, words[0]))
	}
	return sh.over(ctx)
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func (sh *shell) describe(ctx context.Context, tables []string) error {
	if len(tables) == 0 {
		list, err := sh.session.Tables(ctx)
		if err != nil {
			return err
		}
		return sh.app.printList(tableListing(list))
	}
	for _, t := range tables {
		if inner, ok := unquote(t, '"'); ok {
			t = inner
		}
		list, err := sh.session.Schema(ctx, t)
		if err != nil {
			return err
		}
		if err := sh.app.printList(schemaListing(list)); err != nil {
			return err
		}
	}
	return nil
}
