package statement_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/supertable-go/supertable/query/statement"
)

// seeds adds every line of the test files.
func seeds(f *testing.F) {
	for _, name := range []string{"parse", "splice", "hostile", "commands", "limit", "run", "bind"} {
		text, err := os.ReadFile("testdata/" + name + ".txt")
		if err != nil {
			f.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			f.Add(strings.TrimSpace(line))
		}
	}
	for _, text := range []string{"select\u00a0*\u2003from\u3000t", "\ufeffselect 1", "select '\u00a0' from \"\u00a0\"", "select * from t\x00", "select \xff", "select 1e400", "select U&'x'", "select $a$ x $a$", "select * from é\u00a0. ü\u00a0at\u00a0(version => 3)"} {
		f.Add(text)
	}
}

// FuzzStatement: no text makes the package panic, and what Parse and Splice
// accept passes Verify, with a limit and without, and binds.
func FuzzStatement(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parse(text)
		if err != nil {
			message(err)
			return
		}
		if s.Kind == statement.ShowTables || s.Kind == statement.ShowStats {
			return
		}
		out, err := s.Splice(view)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if err := s.Verify(context.Background(), statement.ParserOn(conn), out, view); err != nil {
			// Refused by the second look: allowed, as long as it says so.
			if got := message(err); !strings.HasPrefix(got, "unsupported: ") {
				t.Fatalf("%q: %s", text, got)
			}
			return
		}
		limited := s.WithLimit(out, 3)
		again, err := parse(limited)
		if err != nil || !again.HasLimit || len(again.Tables) != len(s.Tables) {
			t.Fatalf("%q with a limit, %q: %v", text, limited, err)
		}
		columns := func(int, *statement.TableRef) []statement.Column {
			return []statement.Column{{Name: "id", Type: "BIGINT"}, {Name: "a", Type: "VARCHAR"}}
		}
		if _, err := s.Bind(columns, reckoned(t, s, map[string]any{"a": "x"})); err != nil {
			message(err)
		}
	})
}
