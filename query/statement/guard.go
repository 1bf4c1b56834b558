package statement

import (
	_ "embed"
	"strings"

	"github.com/supertable-go/supertable/internal/errs"
)

// The allow lists. They hold for DuckDB 1.5.5: whatever a later version adds
// is refused until somebody has looked at it and put it here.
var (
	//go:embed functions.txt
	functionList string
	//go:embed table_functions.txt
	tableFunctionList string

	functions      = set(functionList)
	tableFunctions = set(tableFunctionList)

	// expressions lists the classes of expression nodes with the types that
	// each may have.
	expressions = map[string]map[string]bool{
		"BETWEEN":    set("COMPARE_BETWEEN"),
		"CASE":       set("CASE_EXPR"),
		"CAST":       set("OPERATOR_CAST"),
		"COLLATE":    set("COLLATE"),
		"COLUMN_REF": set("COLUMN_REF"),
		"COMPARISON": set("COMPARE_EQUAL COMPARE_NOTEQUAL COMPARE_LESSTHAN COMPARE_GREATERTHAN " +
			"COMPARE_LESSTHANOREQUALTO COMPARE_GREATERTHANOREQUALTO COMPARE_DISTINCT_FROM COMPARE_NOT_DISTINCT_FROM"),
		"CONJUNCTION": set("CONJUNCTION_AND CONJUNCTION_OR"),
		"CONSTANT":    set("VALUE_CONSTANT"),
		"FUNCTION":    set("FUNCTION"),
		"LAMBDA":      set("LAMBDA"),
		"OPERATOR": set("OPERATOR_NOT OPERATOR_IS_NULL OPERATOR_IS_NOT_NULL OPERATOR_COALESCE OPERATOR_UNPACK OPERATOR_TRY " +
			"COMPARE_IN COMPARE_NOT_IN ARRAY_EXTRACT ARRAY_SLICE STRUCT_EXTRACT ARRAY_CONSTRUCTOR GROUPING_FUNCTION"),
		"PARAMETER":            set("VALUE_PARAMETER"),
		"POSITIONAL_REFERENCE": set("POSITIONAL_REFERENCE"),
		"STAR":                 set("STAR"),
		"SUBQUERY":             set("SUBQUERY"),
		"WINDOW": set("WINDOW_AGGREGATE WINDOW_RANK WINDOW_RANK_DENSE WINDOW_NTILE WINDOW_PERCENT_RANK WINDOW_CUME_DIST " +
			"WINDOW_ROW_NUMBER WINDOW_FIRST_VALUE WINDOW_LAST_VALUE WINDOW_LEAD WINDOW_LAG WINDOW_NTH_VALUE WINDOW_FILL"),
	}

	// nodeTypes lists the types of the other nodes: queries, table references,
	// modifiers, orders and type descriptions.
	nodeTypes = set("SELECT_NODE SET_OPERATION_NODE RECURSIVE_CTE_NODE " +
		"BASE_TABLE SUBQUERY JOIN TABLE_FUNCTION EXPRESSION_LIST PIVOT EMPTY " +
		"LIMIT_MODIFIER LIMIT_PERCENT_MODIFIER ORDER_MODIFIER DISTINCT_MODIFIER " +
		"ORDER_DEFAULT ASCENDING DESCENDING " +
		"DECIMAL_TYPE_INFO LIST_TYPE_INFO ARRAY_TYPE_INFO STRUCT_TYPE_INFO UNBOUND_TYPE_INFO STRING_TYPE_INFO GENERIC_TYPE_INFO")
)

func set(words string) map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(words) {
		m[w] = true
	}
	return m
}

// guard refuses every tree that holds something not on the allow lists.
func guard(v any) error {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			if err := guard(e); err != nil {
				return err
			}
		}
	case map[string]any:
		return guardNode(v)
	}
	return nil
}

func guardNode(n node) error {
	if err := guardKind(n); err != nil {
		return err
	}
	for key, v := range n {
		if key == "function" && n.text("type") == "TABLE_FUNCTION" {
			v = n.child("function")["children"] // the call itself was judged above
		}
		if err := guard(v); err != nil {
			return err
		}
	}
	return nil
}

func guardKind(n node) error {
	class, typ := n.text("class"), n.text("type")
	_, named := n["function_name"]
	switch {
	case class != "" && !expressions[class][typ]:
		return errs.New(errs.Unsupported, "the statement uses an expression that is not supported: %s", typ)
	case named && class != "FUNCTION" && class != "WINDOW":
		return errs.New(errs.Unsupported, "the statement uses a call that is not supported")
	case named:
		return guardCall(n)
	case class != "" || typ == "":
		return nil
	case typ == "SHOW_REF":
		return errs.New(errs.Unsupported, "DESCRIBE, SHOW and SUMMARIZE are not supported inside a query")
	case !nodeTypes[typ]:
		return errs.New(errs.Unsupported, "the statement uses a feature that is not supported: %s", typ)
	case typ == "TABLE_FUNCTION":
		return guardTableFunction(n.child("function"))
	case typ == "UNBOUND_TYPE_INFO" && (n.text("schema") != "" || n.text("catalog") != ""):
		return errs.New(errs.InvalidArgument, "type names are not qualified: %s", n.text("name"))
	case typ == "BASE_TABLE" && n.text("catalog_name") != "":
		return errs.New(errs.InvalidArgument, "a table is named as table or super.table: %s.%s.%s",
			n.text("catalog_name"), n.text("schema_name"), n.text("table_name"))
	}
	return nil
}

// guardCall judges a function by its name alone: an engine that runs users'
// SQL has no functions but its own, so a schema in front of the name is either
// one of the engine's or the column of a method call (name.upper()).
func guardCall(n node) error {
	name := n.text("function_name")
	if functions[fold(name)] {
		return nil
	}
	return errs.New(errs.Unsupported, "the function %s does not exist or is not allowed", name)
}

func guardTableFunction(call node) error {
	name, schema := call.text("function_name"), call.text("schema")
	switch {
	case call.text("class") != "FUNCTION":
		return errs.New(errs.Unsupported, "the statement uses a table function that is not supported")
	case !tableFunctions[fold(name)], call.text("catalog") != "", schema != "" && !equal(schema, "main"):
		return errs.New(errs.Unsupported, "the table function %s does not exist or is not allowed", name)
	}
	return nil
}
