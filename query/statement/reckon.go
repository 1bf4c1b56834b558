package statement

import (
	"context"
	"encoding/json"
	"maps"
	"math"
	"reflect"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/supertable-go/supertable/engine"
	"github.com/supertable-go/supertable/internal/errs"
)

// Values are what the constants of a statement come to: the values of its
// parameters, and the expressions of constants that an engine has reckoned.
type Values struct {
	params   map[string]any
	reckoned map[uintptr]reckoned // by node
}

// Given are the values of parameters, by name as Folded gives it, with nothing
// reckoned.
func Given(params map[string]any) Values { return Values{params: params} }

// Folded gives values by the names of parameters as they are compared, without
// regard to the case of ASCII letters.
func Folded(params map[string]any) (map[string]any, error) {
	out := make(map[string]any, len(params))
	for name, v := range params {
		if _, twice := out[fold(name)]; twice {
			return nil, errs.New(errs.InvalidArgument, "the parameter $%s is given twice: the case of its name does not count", fold(name))
		}
		out[fold(name)] = v
	}
	return out, nil
}

// Parameter gives the value of a parameter as the text names it.
func (v Values) Parameter(name string) (value any, given bool) {
	value, given = v.params[fold(name)]
	return value, given
}

// reckoned is an expression with the value that it has wherever it stands.
type reckoned struct {
	value Literal
	kind  kind
	named bool // it says current_date or the like, which may be a column
}

func (v Values) of(n node) (reckoned, bool) {
	if len(v.reckoned) == 0 {
		return reckoned{}, false
	}
	r, ok := v.reckoned[identity(n)]
	return r, ok
}

func identity(n node) uintptr { return reflect.ValueOf(map[string]any(n)).Pointer() }

// Constants are expressions in the conditions of a statement that are made of
// nothing but constants, such as now() - INTERVAL 1 DAY.
type Constants struct {
	params map[string]any
	list   []constantExpr
}

type constantExpr struct {
	node  node
	named bool
	timed bool
}

// maxConstants is how many are reckoned: a text with more is no report.
const maxConstants = 100

// pure are functions that give the same for the same arguments, anywhere and
// always; timed are those that give the same all through a transaction.
var (
	pure = set(`+ - * / // % ** ^ || abs ceil ceiling concat date_add date_part date_sub date_trunc datetrunc day epoch_ms floor greatest hour
		last_day least left lower lcase ltrim make_date make_timestamp md5 minute mod month power pow quarter replace right round rtrim second
		sha1 sha256 sign strftime strptime substr substring trim trunc ucase upper year
		to_years to_months to_days to_hours to_minutes to_seconds to_milliseconds to_microseconds to_weeks to_quarters to_decades to_timestamp`)
	timed = set("now today current_localtimestamp get_current_timestamp transaction_timestamp")
)

// Constants finds them. Params are the values of the parameters.
func (s *Statement) Constants(params map[string]any) Constants {
	c := Constants{params: params}
	for _, r := range s.roots {
		c.find(map[string]any(r.node))
	}
	if len(c.list) > maxConstants {
		c.list = nil
	}
	return c
}

// Timed reports whether some give another value in another transaction.
func (c Constants) Timed() bool {
	for _, e := range c.list {
		if e.timed {
			return true
		}
	}
	return false
}

// Timeless leaves out those that do.
func (c Constants) Timeless() Constants {
	out := Constants{params: c.params}
	for _, e := range c.list {
		if !e.timed {
			out.list = append(out.list, e)
		}
	}
	return out
}

// find walks an expression: the largest parts that are constant are taken.
// Subqueries have conditions of their own; in a lambda any name may be its
// parameter.
func (c *Constants) find(v any) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			c.find(e)
		}
	case map[string]any:
		n := node(v)
		if e := (constantExpr{node: n}); c.constant(n, &e) {
			if _, _, known := Given(c.params).literal(n); !known && !interval(n) {
				c.list = append(c.list, e)
			}
			return
		}
		switch n.text("class") {
		case "LAMBDA":
		case "SUBQUERY":
			c.find(n["child"])
		default:
			for _, e := range v {
				c.find(e)
			}
		}
	}
}

// constant reports whether an expression is made of constants, and notes in e
// what else has to be known of it.
func (c *Constants) constant(n node, e *constantExpr) bool {
	switch n.text("class") {
	case "CONSTANT":
		return n.child("value").child("type").text("id") != "DOUBLE" // as text it would be a DECIMAL
	case "PARAMETER":
		_, given := Given(c.params).Parameter(n.text("identifier"))
		return given
	case "CAST":
		return c.constant(n.child("child"), e)
	case "COLUMN_REF":
		names := n.texts("column_names")
		e.named, e.timed = true, true
		return len(names) == 1 && valueNames[fold(names[0])]
	case "FUNCTION":
		name, schema := fold(n.text("function_name")), n.text("schema")
		e.timed = e.timed || timed[name]
		if !pure[name] && !timed[name] || schema != "" && schema != "main" || n.flag("distinct") || n["filter"] != nil || len(n.child("order_bys").nodes("orders")) > 0 {
			return false
		}
		for _, child := range n.nodes("children") {
			if !c.constant(child, e) {
				return false
			}
		}
		return true
	}
	return false
}

// interval reports whether an expression is one: nothing is compared with it.
func interval(n node) bool {
	return n.text("class") == "FUNCTION" && strings.HasPrefix(fold(n.text("function_name")), "to_") && !equal(n.text("function_name"), "to_timestamp") ||
		n.text("class") == "CAST" && n.child("cast_type").text("id") == "INTERVAL"
}

// Reckon has conn reckon them. What fails, is NULL or not understood is left
// out. Those that are timed hold in the transaction only that conn is in.
//
// The engine gets a text of its own making, which must read as what it was made
// of: a value that another expression has would lose rows.
func (c Constants) Reckon(ctx context.Context, conn engine.Conn) (Values, error) {
	out := Given(c.params)
	if len(c.list) == 0 {
		return out, nil
	}
	sql, ok, err := c.text(ctx, conn)
	if err != nil || !ok {
		return out, err
	}
	params := map[string]any{}
	for _, e := range c.list {
		c.parameters(map[string]any(e.node), params)
	}
	r, err := conn.Query(ctx, sql, params)
	if err != nil {
		return out, err
	}
	defer r.Release()
	if !r.Next() || int(r.RecordBatch().NumCols()) != 2*len(c.list) {
		return out, r.Err()
	}
	out.reckoned = map[uintptr]reckoned{}
	for i, e := range c.list {
		typ, ok1 := r.RecordBatch().Column(2 * i).(*array.String)
		text, ok2 := r.RecordBatch().Column(2*i + 1).(*array.String)
		if !ok1 || !ok2 || typ.IsNull(0) || text.IsNull(0) {
			continue
		}
		if v, ok := typedValue(strings.Clone(typ.Value(0)), strings.Clone(text.Value(0))); ok {
			v.named = e.named
			out.reckoned[identity(e.node)] = v
		}
	}
	return out, r.Err()
}

func (c Constants) parameters(v any, out map[string]any) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			c.parameters(e, out)
		}
	case map[string]any:
		if n := node(v); n.text("class") == "PARAMETER" {
			out[n.text("identifier")], _ = Given(c.params).Parameter(n.text("identifier"))
		}
		for _, e := range v {
			c.parameters(e, out)
		}
	}
}

// typedValue reads a value in the text form of its type. A DECIMAL wider than a
// machine word, and what is wider than BIGINT, may compare in another type.
func typedValue(typ, text string) (reckoned, bool) {
	k, ok := kindOf(typ)
	lit := Literal{Type: typ, Text: text}
	switch {
	case !ok:
		return reckoned{}, false
	case k.family == decimals:
		lit.Type, ok = "DECIMAL", k.before+k.after <= 18
	case typ == "VARCHAR":
		lit.Typed = true
	case typ == "DOUBLE":
		f, err := strconv.ParseFloat(text, 64)
		ok = err == nil && !math.IsNaN(f) && !math.IsInf(f, 0)
	default:
		ok = textTypes[typ] || bits[typ] > 0
	}
	return reckoned{value: lit, kind: k}, ok
}

// text writes the SELECT that gives, for each constant, its type and its value
// as text, both NULL where it fails; ok is false when the text reads as
// anything else.
func (c Constants) text(ctx context.Context, conn engine.Conn) (sql string, ok bool, err error) {
	nowhere := json.Number("18446744073709551615") // each node says where in the text it stands
	var items []any
	for _, e := range c.list {
		bare := maps.Clone(map[string]any(e.node))
		bare["alias"] = ""
		try := map[string]any{"class": "OPERATOR", "type": "OPERATOR_TRY", "alias": "", "query_location": nowhere, "children": []any{bare}}
		typ := map[string]any{
			"class": "FUNCTION", "type": "FUNCTION", "alias": "", "query_location": nowhere, "function_name": "typeof", "schema": "", "children": []any{try},
			"filter": nil, "order_bys": map[string]any{"type": "ORDER_MODIFIER", "orders": []any{}}, "distinct": false, "is_operator": false, "export_state": false, "catalog": "",
		}
		text := map[string]any{
			"class": "CAST", "type": "OPERATOR_CAST", "alias": "", "query_location": nowhere, "child": try,
			"cast_type": map[string]any{"id": "VARCHAR", "type_info": nil}, "try_cast": false,
		}
		items = append(items, typ, text)
	}
	tree, err := json.Marshal(map[string]any{"error": false, "statements": []any{map[string]any{"node": map[string]any{
		"type": "SELECT_NODE", "modifiers": []any{}, "cte_map": map[string]any{"map": []any{}}, "select_list": items,
		"from_table": map[string]any{"type": "EMPTY", "alias": "", "sample": nil}, "where_clause": nil, "group_expressions": []any{}, "group_sets": []any{},
		"aggregate_handling": "STANDARD_HANDLING", "having": nil, "sample": nil, "qualify": nil,
	}, "named_param_map": []any{}}}})
	if err != nil {
		return "", false, err
	}
	r, err := conn.Query(ctx, "SELECT s, json_serialize_sql(s)::VARCHAR FROM (SELECT json_deserialize_sql($tree::JSON) AS s)", map[string]any{"tree": string(tree)})
	if err != nil {
		return "", false, err
	}
	defer r.Release()
	if !r.Next() || r.RecordBatch().NumRows() != 1 {
		return "", false, r.Err()
	}
	texts, ok1 := r.RecordBatch().Column(0).(*array.String)
	trees, ok2 := r.RecordBatch().Column(1).(*array.String)
	if !ok1 || !ok2 || texts.IsNull(0) || trees.IsNull(0) {
		return "", false, nil
	}
	again, unread := decode("", 0, trees.Value(0))
	return strings.Clone(texts.Value(0)), unread == nil && new(verifier).same(items, again["select_list"]), nil
}
