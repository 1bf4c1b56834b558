package statement_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/supertable-go/supertable/engine"
	"github.com/supertable-go/supertable/engine/duckdb"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/internal/script"
	"github.com/supertable-go/supertable/query/statement"
)

// conn parses and runs for all tests of the package; they are not parallel.
var conn engine.Conn

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	db, err := duckdb.Open(engine.Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer db.Close()
	if conn, err = db.Conn(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer conn.Close()
	return m.Run()
}

func parse(text string) (*statement.Statement, error) {
	return statement.Parse(context.Background(), statement.ParserOn(conn), "home", text)
}

// message shows an error as the scripts expect it: its kind and its text.
func message(err error) string {
	var e *errs.Error
	if !errors.As(err, &e) {
		return "untyped: " + err.Error()
	}
	return string(e.Kind) + ": " + e.Message
}

// view names the view of table i as v0, v1, …
func view(i int, _ *statement.TableRef) string { return "v" + strconv.Itoa(i) }

// splice parses, splices and verifies.
func splice(text string) (*statement.Statement, string, error) {
	s, err := parse(text)
	if err != nil {
		return nil, "", err
	}
	out, err := s.Splice(view)
	if err != nil || s.Kind == statement.ShowTables || s.Kind == statement.ShowStats {
		return s, out, err
	}
	return s, out, s.Verify(context.Background(), statement.ParserOn(conn), out, view)
}

var kinds = map[statement.Kind]string{
	statement.Select: "select", statement.Explain: "explain", statement.ExplainAnalyze: "explain analyze",
	statement.ShowTables: "show tables", statement.Describe: "describe", statement.DescribeQuery: "describe query", statement.ShowStats: "show stats",
}

// show prints what a statement was found to be.
func show(s *statement.Statement) string {
	var b strings.Builder
	b.WriteString(kinds[s.Kind])
	for _, p := range s.Parameters {
		b.WriteString(" $" + p)
	}
	if s.HasLimit {
		b.WriteString(" limit")
	}
	b.WriteByte('\n')
	for _, t := range s.Tables {
		fmt.Fprintf(&b, "  %q", t.Name)
		if t.Super != "" {
			fmt.Fprintf(&b, " in %q", t.Super)
		}
		if t.Alias != "" {
			fmt.Fprintf(&b, " as %q", t.Alias)
		}
		if t.InformationSchema {
			b.WriteString(" metadata")
		}
		switch {
		case t.At != nil && t.At.Time != "":
			fmt.Fprintf(&b, " at time %q", t.At.Time)
		case t.At != nil:
			fmt.Fprintf(&b, " at version %d", t.At.Version)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// TestScripts runs every file of testdata. Commands: parse shows what a text
// names, splice what would run, refuse the error. Each line of the input is a
// text of its own, unless the case says whole.
func TestScripts(t *testing.T) {
	for _, file := range []string{"parse", "splice", "hostile", "commands", "limit"} {
		t.Run(file, func(t *testing.T) {
			script.Run(t, "testdata/"+file+".txt", func(t *testing.T, c *script.Case) string {
				texts := strings.Split(strings.TrimSuffix(c.Input, "\n"), "\n")
				if _, whole := c.Arg("whole"); whole {
					texts = []string{strings.TrimSuffix(c.Input, "\n")}
				}
				var b strings.Builder
				for _, text := range texts {
					b.WriteString(answer(c.Cmd, text))
				}
				return b.String()
			})
		})
	}
}

func answer(cmd, text string) string {
	s, out, err := splice(text)
	if err != nil {
		return message(err) + "\n"
	}
	switch cmd {
	case "parse":
		return show(s)
	case "splice":
		return out + "\n"
	case "limit":
		return s.WithLimit(out, 10) + "\n"
	case "refuse":
		return "ACCEPTED " + show(s)
	}
	return "unknown command " + cmd + "\n"
}
