package statement

import (
	"context"
	"strings"

	"github.com/supertable-go/supertable/internal/errs"
)

// conditionTable is what a condition stands on while it is judged. Nothing is
// looked up under the name.
const conditionTable = "st_condition"

// Condition proves that text is one expression over the columns of one
// relation, such as amount >= 0: no table, subquery, parameter or star, no
// function that is not on the list. Safe is the text to run, without comments:
// placed as SELECT (safe) AS name FROM relation, it is that expression and
// nothing else.
func Condition(ctx context.Context, p Parser, text string) (safe string, err error) {
	safe, err = condition(ctx, p, text)
	if err != nil {
		return "", short(err)
	}
	return safe, nil
}

func condition(ctx context.Context, p Parser, text string) (string, error) {
	const before, after = "SELECT (", "\n) AS " + conditionTable + " FROM " + conditionTable
	sql, err := clean(before + text + after)
	if err != nil {
		return "", err
	}
	answer, err := p(ctx, sql)
	if err != nil {
		return "", err
	}
	tree, err := decode(text, -len(before), answer)
	if err != nil {
		return "", err
	}
	if err := guard(map[string]any(tree)); err != nil {
		return "", err
	}
	if err := grows(tree); err != nil {
		return "", err
	}
	if !oneExpression(tree) {
		return "", errs.New(errs.InvalidArgument, "not one expression over the columns of a row")
	}
	safe, head := strings.CutPrefix(sql, before)
	safe, tail := strings.CutSuffix(safe, after)
	if !head || !tail {
		return "", errs.New(errs.InvalidArgument, "not one expression over the columns of a row")
	}
	return safe + "\n", plainExpression(tree.nodes("select_list")[0])
}

// oneExpression reports whether the tree is the frame that Condition puts
// around the text, and the text one expression in it.
func oneExpression(tree node) bool {
	from := tree.child("from_table")
	items := tree.nodes("select_list")
	if tree.text("type") != "SELECT_NODE" || len(items) != 1 || items[0].text("alias") != conditionTable ||
		from.text("type") != "BASE_TABLE" || from.text("table_name") != conditionTable || from.text("alias") != "" {
		return false
	}
	for _, key := range []string{"where_clause", "having", "qualify", "sample"} {
		if tree[key] != nil {
			return false
		}
	}
	return len(tree.nodes("modifiers")) == 0 && len(tree.nodes("group_expressions")) == 0 && len(tree.child("cte_map").nodes("map")) == 0
}

// plainExpression refuses what reaches beyond the row's columns.
func plainExpression(v any) error {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			if err := plainExpression(e); err != nil {
				return err
			}
		}
	case node:
		return plainExpression(map[string]any(v))
	case map[string]any:
		switch n := node(v); n.text("class") {
		case "SUBQUERY":
			return errs.New(errs.InvalidArgument, "the expression holds a subquery; it may use the columns of the file only")
		case "PARAMETER":
			return errs.New(errs.InvalidArgument, "the expression holds a parameter")
		case "STAR", "POSITIONAL_REFERENCE":
			return errs.New(errs.InvalidArgument, "the expression must name its columns")
		}
		for _, e := range v {
			if err := plainExpression(e); err != nil {
				return err
			}
		}
	}
	return nil
}
