package statement_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/supertable-go/supertable/internal/script"
	"github.com/supertable-go/supertable/query/statement"
)

// tables holds the columns of the tables that the cases of bind.txt name.
type tables map[string][]statement.Column

func (ts tables) add(line string) {
	name, list, _ := strings.Cut(line, " ")
	columns := []statement.Column{}
	for c := range strings.FieldsSeq(list) {
		column, typ, _ := strings.Cut(c, ":")
		columns = append(columns, statement.Column{Name: column, Type: typ})
	}
	ts[name] = columns
}

func (ts tables) columns(_ int, t *statement.TableRef) []statement.Column {
	return ts[strings.ToLower(t.Name)]
}

// TestBind runs testdata/bind.txt: table declares tables (name column …), bind
// shows what each text uses of them, filter only the filters, raise whether a
// fence is needed. The parameters
// are $i = 5, $s = 'x' and $n, a null.
func TestBind(t *testing.T) {
	ts := tables{}
	params := map[string]any{"i": int64(5), "s": "x", "n": nil}
	script.Run(t, "testdata/bind.txt", func(t *testing.T, c *script.Case) string {
		var b strings.Builder
		for line := range strings.SplitSeq(strings.TrimSuffix(c.Input, "\n"), "\n") {
			if c.Cmd == "table" {
				ts.add(line)
				continue
			}
			s, _, err := splice(line)
			if err != nil {
				b.WriteString(message(err) + "\n")
				continue
			}
			bound, err := s.Bind(ts.columns, reckoned(t, s, params))
			if err != nil {
				b.WriteString(message(err) + "\n")
				continue
			}
			b.WriteString(showBinding(c.Cmd, s, bound))
		}
		return b.String()
	})
}

func showBinding(cmd string, s *statement.Statement, bound statement.Binding) string {
	if cmd == "raise" {
		return map[bool]string{true: "may raise\n", false: "cannot raise\n"}[bound.MayRaise]
	}
	var parts []string
	for i, u := range bound.Uses {
		part := s.Tables[i].Name + ":"
		if cmd == "bind" && u.Star {
			part += " *"
		}
		if cmd == "bind" && len(u.Columns) > 0 {
			part += " " + strings.Join(u.Columns, ",")
		}
		if cmd == "bind" && u.Extremes {
			part += map[bool]string{true: " (extremes, counted)", false: " (extremes)"}[u.Counted]
		}
		if u.Filter != nil {
			part += " [" + u.Filter.String() + "]"
		}
		parts = append(parts, part)
	}
	if len(bound.Missing) > 0 && cmd == "bind" {
		parts = append(parts, fmt.Sprint("missing ", bound.Missing))
	}
	return strings.Join(parts, "  ") + "\n"
}
