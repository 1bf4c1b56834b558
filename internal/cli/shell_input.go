package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/peterh/liner"
)

// lineReader is where the shell's lines come from.
type lineReader interface {
	// ReadLine returns one line without its end, io.EOF at the end of the
	// input, errLineDropped when the line was given up.
	ReadLine(prompt string) (string, error)
}

var errLineDropped = errors.New("the line was dropped")

// pipeReader reads what is no terminal; it prints no prompt.
type pipeReader struct{ r *bufio.Reader }

func newPipeReader(ctx context.Context, r io.Reader) pipeReader {
	return pipeReader{bufio.NewReader(interruptible(ctx, r))}
}

func (p pipeReader) ReadLine(string) (string, error) {
	line, err := p.r.ReadString('\n')
	if line == "" && err != nil {
		return "", err
	}
	return strings.TrimRight(line, "\r\n"), nil
}

// historyLines is how many lines of history are read; a file that is twice as
// long is cut.
const historyLines = liner.HistoryLimit

// terminalReader edits lines and keeps a history in the home, when there is a home.
type terminalReader struct {
	ctx     context.Context // of the shell: the prompt ends with it
	state   *liner.State
	history *os.File
}

func newTerminalReader(ctx context.Context, home string, names *nameCache) *terminalReader {
	t := &terminalReader{ctx: ctx, state: liner.NewLiner()}
	t.state.SetCtrlCAborts(true)
	t.state.SetTabCompletionStyle(liner.TabPrints)
	t.state.SetWordCompleter(func(line string, pos int) (string, []string, string) {
		return names.complete(ctx, line, pos)
	})
	if info, err := os.Stat(home); err == nil && info.IsDir() {
		t.openHistory(filepath.Join(home, ".shell_history"))
	}
	return t
}

// openHistory reads the history and opens it for more; without it the shell
// works as well.
func (t *terminalReader) openHistory(path string) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return
	}
	t.history = f
	text, err := io.ReadAll(f)
	if err != nil {
		return
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	if len(lines) > historyLines {
		recent := bytes.Join(lines[len(lines)-historyLines:], nil)
		if len(lines) > 2*historyLines && f.Truncate(0) == nil {
			_, _ = f.Write(recent)
		}
		text = recent
	}
	_, _ = t.state.ReadHistory(bytes.NewReader(text))
}

// ReadLine edits one line and remembers it.
func (t *terminalReader) ReadLine(prompt string) (string, error) {
	type answer struct {
		line string
		err  error
	}
	got := make(chan answer, 1)
	go func() {
		line, err := t.state.Prompt(prompt)
		got <- answer{line, err}
	}()
	select {
	case <-t.ctx.Done():
		return "", t.ctx.Err()
	case a := <-got:
		if errors.Is(a.err, liner.ErrPromptAborted) {
			return "", errLineDropped
		}
		if a.err == nil && strings.TrimSpace(a.line) != "" {
			t.remember(a.line)
		}
		return a.line, a.err
	}
}

func (t *terminalReader) remember(line string) {
	t.state.AppendHistory(line)
	if t.history != nil {
		_, _ = t.history.WriteString(line + "\n")
	}
}

// Close gives the terminal back as it was.
func (t *terminalReader) Close() {
	_ = t.state.Close()
	if t.history != nil {
		_ = t.history.Close()
	}
}
