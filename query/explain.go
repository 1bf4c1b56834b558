package query

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/engine"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/query/statement"
)

// planNode is an operator of the engine's plan, with and without measurements.
type planNode struct {
	Name     string         `json:"name"`
	Operator string         `json:"operator_name"`
	Extra    map[string]any `json:"extra_info"`
	Rows     *int64         `json:"operator_cardinality"`
	Seconds  *float64       `json:"operator_timing"`
	Latency  float64        `json:"latency"`
	Children []planNode     `json:"children"`
}

// explain runs EXPLAIN and shows the plan as a tree of our own. The engine's
// drawing would show paths and the names of our views; facts that we do not
// know are left out.
func (q *run) explain(ctx context.Context, sql string) (*Rows, error) {
	params, err := q.parameters()
	if err != nil {
		return nil, err
	}
	form, analyzed := "EXPLAIN (FORMAT JSON) ", q.stmt.Kind == statement.ExplainAnalyze
	if analyzed {
		form = "EXPLAIN (ANALYZE, FORMAT JSON) "
	}
	rows, err := engine.Collect(ctx, q.conn, form+sql, params)
	if err != nil {
		return nil, q.wordError(ctx, err)
	}
	text, _ := rows[0][len(rows[0])-1].(string)
	lines, err := q.planLines(text, analyzed)
	if err != nil {
		return nil, err
	}
	quoted := make([]string, len(lines))
	for i, l := range lines {
		quoted[i] = fmt.Sprintf("(%d, %s)", i, datafile.QuoteText(l))
	}
	return q.constants(ctx, "SELECT p AS plan FROM (VALUES "+strings.Join(quoted, ", ")+") t(i, p) ORDER BY i")
}

// planLines draws the plan from the engine's JSON.
func (q *run) planLines(text string, analyzed bool) ([]string, error) {
	var roots []planNode
	if analyzed {
		var whole planNode
		if err := json.Unmarshal([]byte(text), &whole); err != nil {
			return nil, errs.Wrap(errs.Internal, err, "the engine's plan cannot be read")
		}
		lines := []string{fmt.Sprintf("total time %.4f s · files %d of %d", whole.Latency, q.report.counts.FilesRead, q.report.counts.FilesTotal)}
		if q.restricted() {
			return q.scans(lines), nil
		}
		for len(whole.Children) == 1 && (whole.Operator == "" || strings.HasPrefix(whole.Operator, "EXPLAIN")) {
			whole = whole.Children[0]
		}
		return q.draw(lines, whole, 0), nil
	}
	if err := json.Unmarshal([]byte(text), &roots); err != nil {
		return nil, errs.Wrap(errs.Internal, err, "the engine's plan cannot be read")
	}
	lines := []string{fmt.Sprintf("files %d of %d", q.report.counts.FilesRead, q.report.counts.FilesTotal)}
	if q.restricted() {
		return q.scans(lines), nil
	}
	for _, r := range roots {
		lines = q.draw(lines, r, 0)
	}
	return lines, nil
}

// shownFacts are the facts of an operator that are shown.
var shownFacts = []string{"Projections", "Filters", "Groups", "Aggregates", "Join Type", "Conditions", "Expression", "Expressions", "Order By", "Top", "Limit", "Estimated Cardinality"}

func (q *run) draw(lines []string, n planNode, depth int) []string {
	name := n.Name + n.Operator
	if name == "READ_PARQUET" || name == "TABLE_SCAN" {
		name = "SCAN"
	}
	var facts []string
	if n.Rows != nil && n.Seconds != nil {
		facts = append(facts, fmt.Sprintf("%d rows, %.4f s", *n.Rows, *n.Seconds))
	}
	for _, key := range shownFacts {
		if v, ok := n.Extra[key]; ok {
			facts = append(facts, strings.ToLower(key)+" "+q.fact(v))
		}
	}
	line := strings.Repeat("  ", depth) + strings.ReplaceAll(strings.TrimSpace(name), "_", " ")
	if len(facts) > 0 {
		line += "  [" + strings.Join(facts, "; ") + "]"
	}
	lines = append(lines, line)
	for _, c := range n.Children {
		lines = q.draw(lines, c, depth+1)
	}
	return lines
}

// scans is the plan for a principal who sees a part of some table only: the
// engine chooses operators and their order by the values and the number of all
// rows, so that the plan would tell of those that he does not see (and its facts
// of the policy).
func (q *run) scans(lines []string) []string {
	for _, r := range q.refs {
		lines = append(lines, "SCAN "+r.t.Name)
	}
	return lines
}

// restricted reports whether the principal sees some table of the text only in
// part.
func (q *run) restricted() bool {
	for _, r := range q.refs {
		for _, m := range r.members {
			if !m.whole() {
				return true
			}
		}
	}
	return false
}

var scanColumn = regexp.MustCompile(`\bc\d+\b`)

// fact shows a value under the columns' own names.
func (q *run) fact(v any) string {
	text := fmt.Sprint(v)
	if list, ok := v.([]any); ok {
		parts := make([]string, len(list))
		for i, x := range list {
			parts[i] = fmt.Sprint(x)
		}
		text = strings.Join(parts, ", ")
	}
	text = strings.ReplaceAll(q.plain(strings.ReplaceAll(text, "\n", ", ")), "\n", " ")
	return scanColumn.ReplaceAllStringFunc(text, func(c string) string {
		if name, ok := q.columnOf(c); ok {
			return name
		}
		return c
	})
}

// columnOf gives the name of the column that a scan calls c and a number, when
// there is only one that the principal may see.
func (q *run) columnOf(c string) (string, bool) {
	var names []string
	for _, r := range q.refs {
		for _, m := range r.members {
			for _, col := range m.columns {
				if fmt.Sprintf("c%d", col.ID) == c && !slices.Contains(names, col.Name) {
					names = append(names, col.Name)
				}
			}
		}
	}
	if len(names) == 1 {
		return names[0], true
	}
	return "", false
}
