package statement

import "github.com/supertable-go/supertable/internal/errs"

// A text of a few hundred bytes can keep DuckDB's parser or binder busy for
// minutes, which no deadline ends, and take all memory: both copy parts of a
// statement, and copy the copies. These bounds are far above what a report
// needs, and well below a second.
const (
	maxTokens = 100_000 // words of the text
	maxChain  = 4_000   // AND, OR and set operations, for which parsing is quadratic
	maxCopies = 100_000 // words that the parser's copies add: CASE x WHEN, OVER w
	maxGrowth = 10_000  // expressions that the binder's copies add: aliases, macros
)

func tooLarge() error {
	return errs.New(errs.InvalidArgument, "the statement is too large or too deeply nested")
}

// sized refuses a text that would grow too much when it is parsed.
func sized(tokens []token) error {
	if len(tokens) > maxTokens {
		return tooLarge()
	}
	chain := 0
	for _, t := range tokens {
		if t.is("and") || t.is("or") || t.is("union") || t.is("except") || t.is("intersect") {
			chain++
		}
	}
	if chain > maxChain || copies(tokens) > maxCopies {
		return tooLarge()
	}
	return nil
}

// copies estimates how many words the parser's copies add. The x of CASE x
// WHEN stands in the tree once for each WHEN, so nested ones multiply, and the
// definition of a named window once for each OVER.
func copies(tokens []token) int {
	type frame struct {
		operand, rest, whens int
		inOperand            bool
	}
	stack := []frame{{}}
	windows, overs := false, 0
	add := func(n int) {
		if top := &stack[len(stack)-1]; top.inOperand {
			top.operand = min(top.operand+n, maxCopies+maxTokens)
		} else {
			top.rest = min(top.rest+n, maxCopies+maxTokens)
		}
	}
	for i, t := range tokens {
		label := i > 0 && (tokens[i-1].is(".") || tokens[i-1].is("as"))
		top := &stack[len(stack)-1]
		switch {
		case label:
			add(1)
		case t.is("case"):
			stack = append(stack, frame{inOperand: i+1 < len(tokens) && !tokens[i+1].is("when")})
		case t.is("when") && len(stack) > 1:
			top.inOperand = false
			top.whens++
		case t.is("end") && len(stack) > 1:
			stack = stack[:len(stack)-1]
			add(min(top.operand*max(top.whens, 1)+top.rest, maxCopies+maxTokens))
		default:
			add(1)
			windows = windows || t.is("window")
			if t.is("over") && i+1 < len(tokens) && !tokens[i+1].is("(") {
				overs++
			}
		}
	}
	total := 0
	for _, f := range stack {
		total += f.operand*max(f.whens, 1) + f.rest
	}
	if windows {
		total *= 1 + overs
		if overs > 0 && nestedWindows(tokens) {
			total = maxCopies + maxTokens
		}
	}
	return total - len(tokens)
}

// nestedWindows reports whether a WINDOW clause holds an OVER of a named
// window, whose copies would be copied.
func nestedWindows(tokens []token) bool {
	for i, t := range tokens {
		if !t.is("window") {
			continue
		}
		depth := 0
		for j := i + 1; j < len(tokens) && depth >= 0; j++ {
			switch {
			case tokens[j].is("("):
				depth++
			case tokens[j].is(")"):
				depth--
			case depth > 0 && tokens[j].is("over") && j+1 < len(tokens) && !tokens[j+1].is("("):
				return true
			}
		}
	}
	return false
}

// copyingMacros are functions that DuckDB expands into expressions with their
// arguments in them more than once, at most three times.
var copyingMacros = set("nullif fmod round_even roundbankers array_pop_back array_to_string split_part " +
	"json_group_array json_group_object json_group_structure weighted_avg wavg")

// growth bounds how large the binder makes a statement: an alias of the SELECT
// list is copied to wherever it is used, and a macro's argument.
type growth struct{ added int }

func grows(n node) error {
	g := &growth{}
	g.weigh(map[string]any(n), nil)
	if g.added > maxGrowth {
		return tooLarge()
	}
	return nil
}

// weigh gives the number of nodes below v once everything is copied.
func (g *growth) weigh(v any, aliases map[string]int) int {
	total := 0
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			total += g.weigh(e, aliases)
		}
	case map[string]any:
		return g.weighNode(v, aliases)
	}
	return min(total, maxTokens*10)
}

func (g *growth) weighNode(n node, aliases map[string]int) int {
	if n.text("type") == "SELECT_NODE" {
		aliases = g.items(n)
	}
	total := 1
	if names := n.texts("column_names"); len(names) > 0 {
		total += g.copied(aliases[fold(names[0])])
	}
	below := 0
	for _, key := range sortedKeys(n) {
		below += g.weigh(n[key], aliases)
	}
	if copyingMacros[fold(n.text("function_name"))] {
		below += g.copied(2 * below)
	}
	return min(total+below, maxTokens*10)
}

// copied notes n nodes more.
func (g *growth) copied(n int) int {
	g.added = min(g.added+n, maxTokens*10)
	return n
}

// items weighs the aliases of a SELECT list, of which each may use those
// before it.
func (g *growth) items(n node) map[string]int {
	aliases := map[string]int{}
	quiet := &growth{}
	for _, item := range n.nodes("select_list") {
		weight := quiet.weigh(map[string]any(item), aliases)
		if alias := item.text("alias"); alias != "" {
			aliases[fold(alias)] = weight
		}
	}
	return aliases
}
