package statement_test

import (
	"strings"
	"testing"

	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/query/statement"
)

// TestCondition: what is one expression over columns passes; whatever reaches
// further, or is more than one, does not.
func TestCondition(t *testing.T) {
	for _, ok := range []string{
		"amount >= 0", "a = b OR c IS NULL", "x -- a comment", "x /* a comment */", "lower(name) IN ('a', 'b')", "count(*) > 10",
		"CASE WHEN a THEN b ELSE c END", "s.field > 1", "\"odd \"\" name\" = 'it''s'", "list_contains(l, 3)", "1) + (2", "(a)", "true",
		"amount\n>=\n0", "regexp_full_match(code, '[A-Z]+')",
	} {
		safe, err := statement.Condition(t.Context(), statement.ParserOn(conn), ok)
		if err != nil || strings.Contains(safe, "/*") {
			t.Errorf("%s: %q, %v", ok, safe, err)
		}
	}
	for _, bad := range []string{
		"", "  ", "-- nothing", "a >", "a; DROP TABLE t", ";", "(SELECT 1)", "a IN (SELECT 1)", "EXISTS (FROM range(3))", "a = $1", "a = ?", "*", "COLUMNS(*) > 0",
		"COUNT(COLUMNS('a')) > 0", "#1 > 0", "1) AS x, (2", "1) FROM range(3) WHERE (true", "1) AS st_condition FROM st_condition UNION ALL SELECT (2",
		"1) AS st_condition FROM st_condition WHERE true --", "1) AS st_condition FROM st_condition GROUP BY (a", "x) AS st_condition FROM st_condition, (SELECT 1",
		"1) AS st_condition FROM (SELECT 1) AS st_condition --", "1) AS st_condition FROM other.st_condition --", "1) AS st_condition FROM st_condition ORDER BY (1",
		"1) AS st_condition FROM st_condition LIMIT (1", "1) AS st_condition FROM read_text('/etc/passwd') AS st_condition --",
		"read_text('/etc/passwd') IS NULL", "getenv('HOME') <> ''", "current_setting('home_directory') = ''", "query('x')", "getvariable('x') = 1", "st_live(1, 2, 3)",
		"a = 'open", "/* open", "a = \x00", "a = \xff", "(VALUES (1))", "[x FOR x IN (SELECT 1)]",
		"row_number() OVER (ORDER BY (SELECT 1)) > 0", "nextval('s') > 0",
	} {
		_, err := statement.Condition(t.Context(), statement.ParserOn(conn), bad)
		if kind := errs.KindOf(err); kind != errs.InvalidArgument && kind != errs.Unsupported {
			t.Errorf("%.80q is taken: %v", bad, err)
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("%.80q: %q is more than a line", bad, err)
		}
	}
}
