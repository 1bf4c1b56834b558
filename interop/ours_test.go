package interop

import (
	"fmt"
	"testing"

	"github.com/supertable-go/supertable"
)

// orders is an input of n orders from id first on; every column but the key
// has NULLs.
func orders(first, n int) string {
	return fmt.Sprintf(`SELECT i::BIGINT AS id, CASE WHEN i %% 7 = 0 THEN NULL ELSE 'item ' || i END AS item,
 CASE WHEN i %% 5 = 0 THEN NULL ELSE (i * 1.25)::DECIMAL(10,2) END AS price, TIMESTAMP '2026-01-01' + INTERVAL (i) HOUR AS at
 FROM range(%d, %d) r(i)`, first, first+n)
}

// writes are the kinds of write, each a history of its own.
var writes = []struct {
	name string
	do   func(l *lake)
}{
	{"append", func(l *lake) {
		for i := range 4 {
			l.write("orders", orders(i*100, 100), nil)
		}
	}},
	{"empty table", func(l *lake) {
		l.write("orders", orders(0, 0), nil)
		l.write("orders", orders(0, 3), nil)
	}},
	{"small upserts", func(l *lake) { // dead rows stand in the catalog
		l.write("orders", orders(0, 100), key("id"))
		l.write("orders", orders(50, 20), key("id"))
		l.write("orders", orders(60, 60), key("id"))
		l.write("orders", orders(0, 1), key("id"))
	}},
	{"large upserts", func(l *lake) { // dead rows stand in delete files, the later ones replace the earlier
		l.option("", "inline_delete_limit", "0")
		l.write("orders", orders(0, 200), key("id"))
		l.write("orders", orders(200, 100), key("id"))
		l.write("orders", orders(50, 20), key("id"))
		l.write("orders", orders(40, 200), key("id"))
		l.write("orders", orders(0, 2), key("id"))
	}},
	{"both kinds of deletes", func(l *lake) {
		l.write("orders", orders(0, 100), key("id"))
		l.write("orders", orders(10, 5), key("id"))
		l.option("orders", "inline_delete_limit", "0")
		l.write("orders", orders(30, 5), key("id"))
		l.option("orders", "inline_delete_limit", "1000")
		l.write("orders", orders(50, 5), key("id"))
		l.option("orders", "inline_delete_limit", "0")
		l.write("orders", orders(5, 60), key("id"))
	}},
	{"delete", func(l *lake) {
		l.write("orders", orders(0, 50), nil)
		l.write("orders", orders(50, 50), nil)
		l.write("orders", orders(40, 20), remove("id"))
		l.option("", "inline_delete_limit", "0")
		l.write("orders", orders(0, 5), remove("id"))
		l.write("orders", orders(50, 50), remove("id")) // a whole file
	}},
	{"delete all", func(l *lake) {
		l.write("orders", orders(0, 50), nil)
		l.write("orders", orders(0, 10), key("id"))
		if _, err := l.s.Write(l.t.Context(), "orders", nil, &supertable.WriteOptions{DeleteAll: true}); err != nil {
			l.t.Fatal(err)
		}
		l.write("orders", orders(0, 5), nil)
	}},
	{"duplicates and NULL keys", func(l *lake) {
		l.write("t", "SELECT * FROM (VALUES (1, 'a', 1.5::DOUBLE), (1, 'b', 'nan'), (NULL, 'c', -0.0), (2, NULL, 'inf')) v(k, s, f)", key("k"))
		l.write("t", "SELECT * FROM (VALUES (NULL::INT, 'd', 'nan'::DOUBLE), (1, 'e', NULL)) v(k, s, f)", key("k"))
		l.write("t", "SELECT * FROM (VALUES (9, 'z', 'nan'::DOUBLE)) v(k, s, f)", key("f"))
		l.write("t", "SELECT * FROM (VALUES (10, 'y', 0.0::DOUBLE)) v(k, s, f)", key("f"))
	}},
	{"several tables", func(l *lake) {
		l.write("orders", orders(0, 10), nil)
		l.write("customers", "SELECT 1 AS id, 'Ada' AS name", nil)
		l.write("orders", orders(5, 10), key("id"))
		l.write("customers", "SELECT 1 AS id, 'Bo' AS name UNION ALL SELECT 2, 'Cy'", key("id"))
	}},
	{"drop and create again", func(l *lake) {
		l.write("t", "SELECT 1 AS id, 'a' AS s", nil)
		l.write("t", "SELECT 1 AS id, 'b' AS s", key("id"))
		l.drop("t")
		l.write("t", "SELECT 7.5 AS id, DATE '2026-01-01' AS d", nil)
		l.write("u", "SELECT 1 AS id", nil)
		l.drop("u")
	}},
}

func TestOursReadByDuckDB(t *testing.T) {
	t.Parallel()
	for _, w := range writes {
		bothWays(t, w.name, func(_ *testing.T, l *lake) {
			w.do(l)
			l.compareAll()
		})
	}
}
