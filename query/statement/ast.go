package statement

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/supertable-go/supertable/internal/errs"
)

// node is one object of DuckDB's serialised syntax tree. Absent members read
// as empty.
type node map[string]any

func (n node) text(key string) string {
	s, _ := n[key].(string)
	return s
}

func (n node) flag(key string) bool {
	b, _ := n[key].(bool)
	return b
}

func (n node) child(key string) node {
	m, _ := n[key].(map[string]any)
	return m
}

func (n node) nodes(key string) []node {
	list, _ := n[key].([]any)
	out := make([]node, 0, len(list))
	for _, v := range list {
		if m, ok := v.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

func (n node) texts(key string) []string {
	list, _ := n[key].([]any)
	out := make([]string, 0, len(list))
	for _, v := range list {
		s, _ := v.(string)
		out = append(out, s)
	}
	return out
}

// pos is the byte offset of the node in the text, or -1.
func (n node) pos() int {
	num, _ := n["query_location"].(json.Number)
	i, err := strconv.Atoi(num.String())
	if err != nil {
		return -1
	}
	return i
}

// decode reads the answer of json_serialize_sql: the query node of the only
// statement. Text is what the user wrote, and shift what turns an offset in
// the text that was parsed into one in it.
func decode(text string, shift int, answer string) (node, error) {
	d := json.NewDecoder(strings.NewReader(answer))
	d.UseNumber()
	var root node
	if err := d.Decode(&root); err != nil {
		// The one thing that DuckDB writes and JSON does not know.
		return nil, errs.Wrap(errs.Unsupported, err, "a number in the statement is out of range")
	}
	if root.flag("error") {
		return nil, parserError(text, shift, root)
	}
	switch list := root.nodes("statements"); len(list) {
	case 0:
		return nil, errs.New(errs.InvalidArgument, "the statement is empty")
	case 1:
		return list[0].child("node"), nil
	default:
		return nil, errs.New(errs.InvalidArgument, "one statement at a time can be run: the text has %d", len(list))
	}
}

// parserError words the refusal of DuckDB's parser. Its messages echo nothing
// but the text.
func parserError(text string, shift int, root node) error {
	message := oneLine(root.text("error_message"))
	if strings.HasPrefix(message, "Only SELECT statements") {
		return notSelect(text)
	}
	if message == "" || root.text("error_type") != "parser" || strings.Contains(message, "NOT IMPLEMENTED") {
		return errs.New(errs.InvalidArgument, "the statement uses syntax that is not supported")
	}
	at, err := strconv.Atoi(root.text("position"))
	at += shift
	if err != nil || at < 0 || at > len(text) {
		return errs.New(errs.InvalidArgument, "%s", message)
	}
	line, column := position(text, at)
	return errs.New(errs.InvalidArgument, "%s (line %d, column %d)", message, line, column)
}

// notSelect words why a text that parses is not one that can be read.
func notSelect(text string) error {
	tokens := scan(text)
	for i, t := range tokens {
		if t.is("pivot") || t.is("pivot_wider") {
			return errs.New(errs.Unsupported, "PIVOT needs a list of constants: ON column IN (value, …) for each column")
		}
		if t.is(";") && i+1 < len(tokens) && !tokens[i+1].is(";") {
			return errs.New(errs.InvalidArgument, "only one SELECT statement can be run")
		}
	}
	if len(tokens) > 0 && tokens[0].kind == tokenWord && !tokens[0].is("with") {
		return errs.New(errs.InvalidArgument, "only SELECT statements can be run, not %s", strings.ToUpper(tokens[0].value))
	}
	return errs.New(errs.InvalidArgument, "only SELECT statements can be run")
}

// position turns a byte offset into a line and a column, counted from 1.
func position(text string, at int) (line, column int) {
	head := text[:at]
	return 1 + strings.Count(head, "\n"), 1 + len([]rune(head[strings.LastIndexByte(head, '\n')+1:]))
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
