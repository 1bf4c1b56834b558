package supertable_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/supertable-go/supertable"
)

// enter makes a SuperTable in a fresh home, for the examples below.
func enter(ctx context.Context) (s *supertable.Session, leave func()) {
	st, leave := found(ctx)
	s, err := st.Session(ctx, supertable.Superuser)
	if err != nil {
		panic(err)
	}
	return s, leave
}

func found(ctx context.Context) (st *supertable.SuperTable, leave func()) {
	home, err := os.MkdirTemp("", "supertable")
	if err != nil {
		panic(err)
	}
	lake, err := supertable.Open(ctx, home, nil)
	if err != nil {
		panic(err)
	}
	if st, _, err = lake.Create(ctx, "acme", "sales", nil); err != nil {
		panic(err)
	}
	return st, func() {
		_ = lake.Close()
		_ = os.RemoveAll(home)
	}
}

// put writes lines of JSON into the table orders.
func put(ctx context.Context, s *supertable.Session, lines string) supertable.WriteResult {
	res, err := s.WriteFrom(ctx, "orders", strings.NewReader(lines), &supertable.WriteOptions{Format: "ndjson", Key: []string{"id"}})
	if err != nil {
		panic(err)
	}
	return res
}

// show prints a result, a row a line.
func show(ctx context.Context, s *supertable.Session, sql string, o *supertable.QueryOptions) {
	text, _, err := answer(ctx, s, sql, o)
	if err != nil {
		fmt.Println(supertable.KindOf(err), err)
		return
	}
	fmt.Println(text)
}

func ExampleOpen() {
	ctx := context.Background()
	home, err := os.MkdirTemp("", "supertable")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(home) }()

	lake, err := supertable.Open(ctx, home, &supertable.Options{MemoryBytes: 512 << 20})
	if err != nil {
		panic(err)
	}
	defer func() { _ = lake.Close() }()

	_, err = lake.SuperTable(ctx, "acme", "sales") // opening makes nothing
	fmt.Println(supertable.KindOf(err), err)
	// Output: not_found SuperTable not found: acme/sales
}

func ExampleLake_Create() {
	ctx := context.Background()
	home, err := os.MkdirTemp("", "supertable")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(home) }()
	lake, err := supertable.Open(ctx, home, nil)
	if err != nil {
		panic(err)
	}
	defer func() { _ = lake.Close() }()

	for range 2 { // the second time it is there
		st, created, err := lake.Create(ctx, "acme", "sales", nil)
		if err != nil {
			panic(err)
		}
		fmt.Println(st.Organization(), st.Name(), created)
	}
	// Output:
	// acme sales true
	// acme sales false
}

func ExampleSession_Write() {
	ctx := context.Background()
	s, leave := enter(ctx)
	defer leave()

	schema := arrow.NewSchema([]arrow.Field{{Name: "id", Type: arrow.PrimitiveTypes.Int64}, {Name: "country", Type: arrow.BinaryTypes.String}}, nil)
	rec, _, err := array.RecordFromJSON(memory.DefaultAllocator, schema, strings.NewReader(`[{"id":1,"country":"CZ"},{"id":2,"country":"HU"}]`))
	if err != nil {
		panic(err)
	}
	defer rec.Release()
	for range 2 { // the same keys again replace the rows that are there
		rows, err := array.NewRecordReader(schema, []arrow.RecordBatch{rec})
		if err != nil {
			panic(err)
		}
		res, err := s.Write(ctx, "orders", rows, &supertable.WriteOptions{Key: []string{"id"}})
		rows.Release()
		if err != nil {
			panic(err)
		}
		fmt.Printf("inserted %d, deleted %d, version %d\n", res.Inserted, res.Deleted, res.Version)
	}
	// Output:
	// inserted 2, deleted 0, version 1
	// inserted 2, deleted 2, version 2
}

func ExampleSession_WriteFiles() {
	ctx := context.Background()
	s, leave := enter(ctx)
	defer leave()
	dir, err := os.MkdirTemp("", "files")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	var paths []string
	for name, text := range map[string]string{"january.csv": "id,amount\n1,10.5\n2,20\n", "february.csv": "id,amount\n3,7.25\n"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			panic(err)
		}
		paths = append(paths, path)
	}

	res, err := s.WriteFiles(ctx, "orders", paths, &supertable.WriteOptions{
		Columns: []supertable.Column{{Name: "amount", Type: "DECIMAL(10,2)"}},
		Message: "the first two months",
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(res.Inserted, "rows in one snapshot")
	show(ctx, s, "SELECT sum(amount) AS total FROM orders", nil)
	// Output:
	// 3 rows in one snapshot
	// total
	// 37.75
}

func ExampleSession_Query() {
	ctx := context.Background()
	s, leave := enter(ctx)
	defer leave()
	put(ctx, s, `{"id":1,"country":"CZ","amount":10}
{"id":2,"country":"HU","amount":5}
{"id":3,"country":"CZ","amount":7}`)

	rows, err := s.Query(ctx, "SELECT country, count(*) AS orders FROM orders WHERE amount > $least GROUP BY country ORDER BY country",
		&supertable.QueryOptions{Params: map[string]any{"least": 6}})
	if err != nil {
		panic(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		b := rows.Batch()
		for i := range int(b.NumRows()) {
			fmt.Println(b.Column(0).ValueStr(i), b.Column(1).ValueStr(i))
		}
	}
	if err := rows.Err(); err != nil {
		panic(err)
	}
	// Output: CZ 2
}

func ExampleQueryOptions_atVersion() {
	ctx := context.Background()
	s, leave := enter(ctx)
	defer leave()
	first := put(ctx, s, `{"id":1,"country":"CZ"}`)
	put(ctx, s, `{"id":1,"country":"SK"}`)

	show(ctx, s, "SELECT country AS now FROM orders", nil)
	show(ctx, s, "SELECT country AS was FROM orders", &supertable.QueryOptions{AtVersion: &first.Snapshot})
	// Output:
	// now
	// SK
	// was
	// CZ
}

func ExampleSession_Tables() {
	ctx := context.Background()
	s, leave := enter(ctx)
	defer leave()
	put(ctx, s, `{"id":1,"country":"CZ"}`)
	put(ctx, s, `{"id":2,"country":"HU"}`)

	tables, err := s.Tables(ctx)
	if err != nil {
		panic(err)
	}
	for _, t := range tables {
		fmt.Printf("%s: %d rows, version %d\n", t.Name, t.Rows, t.Version)
	}
	// Output: orders: 2 rows, version 2
}

func ExampleSession_Schema() {
	ctx := context.Background()
	s, leave := enter(ctx)
	defer leave()
	put(ctx, s, `{"id":1,"country":"CZ"}`)
	put(ctx, s, `{"id":2,"amount":1.5}`) // a new column: the row that is there has none

	columns, err := s.Schema(ctx, "orders")
	if err != nil {
		panic(err)
	}
	for _, c := range columns {
		fmt.Println(c.Name, c.Type)
	}
	// Output:
	// id BIGINT
	// country VARCHAR
	// amount DOUBLE
}

func ExampleSession_History() {
	ctx := context.Background()
	s, leave := enter(ctx)
	defer leave()
	put(ctx, s, `{"id":1,"country":"CZ"}`)
	put(ctx, s, `{"id":1,"country":"SK"}`)

	history, err := s.History(ctx, "orders")
	if err != nil {
		panic(err)
	}
	for _, h := range history {
		fmt.Printf("version %d: %s by %s, +%d -%d\n", h.Version, h.Operation, h.Principal, h.Inserted, h.Deleted)
	}
	// Output:
	// version 2: upsert by superuser, +1 -1
	// version 1: upsert by superuser, +1 -0
}

func ExampleSession_Alter() {
	ctx := context.Background()
	s, leave := enter(ctx)
	defer leave()
	put(ctx, s, `{"id":1,"country":"CZ"}`)

	unpaid := "false"
	for _, a := range []supertable.Alteration{
		{Add: &supertable.AddColumn{Name: "paid", Type: "BOOLEAN", Default: &unpaid}},
		{RenameColumn: &supertable.RenameColumn{From: "country", To: "land"}},
	} {
		if _, err := s.Alter(ctx, "orders", a); err != nil {
			panic(err)
		}
	}
	show(ctx, s, "SELECT * FROM orders", nil)
	// Output:
	// id|land|paid
	// 1|CZ|false
}

func ExampleSession_DropTable() {
	ctx := context.Background()
	s, leave := enter(ctx)
	defer leave()
	last := put(ctx, s, `{"id":1,"country":"CZ"}`)

	for range 2 {
		dropped, err := s.DropTable(ctx, "orders")
		if err != nil {
			panic(err)
		}
		fmt.Println("dropped:", dropped)
	}
	show(ctx, s, "SELECT * FROM orders", nil)
	show(ctx, s, "SELECT * FROM orders", &supertable.QueryOptions{AtVersion: &last.Snapshot}) // earlier snapshots still have it
	// Output:
	// dropped: true
	// dropped: false
	// not_found Table not found: acme/sales/orders
	// id|country
	// 1|CZ
}

func ExampleSession_Check() {
	ctx := context.Background()
	s, leave := enter(ctx)
	defer leave()
	put(ctx, s, `{"id":1,"country":"CZ"}`)

	report, err := s.Check(ctx, true)
	if err != nil {
		panic(err)
	}
	fmt.Println(report.OK, len(report.Findings))
	// Output: true 0
}

func ExampleSession_CreateRole() {
	ctx := context.Background()
	s, leave := enter(ctx)
	defer leave()

	for range 2 { // the same content has the same hash, and is there once
		hash, err := s.CreateRole(ctx, []byte(`{"role": "reader", "tables": ["table1"], "columns": ["name", "email", "age"],
			"filters": {"country": "US", "active": true}}`))
		if err != nil {
			panic(err)
		}
		fmt.Println(hash)
	}
	roles, err := s.Roles(ctx)
	if err != nil {
		panic(err)
	}
	for _, r := range roles {
		fmt.Println(string(r.Document))
	}
	_, err = s.CreateRole(ctx, []byte(`{"role": "reader", "filters": {"OR": []}}`))
	fmt.Println(supertable.KindOf(err), err)
	// Output:
	// 4e80b29caf7a0c24939dec8f8e49b704
	// 4e80b29caf7a0c24939dec8f8e49b704
	// {"columns": ["*"], "filters": ["*"], "role": "superadmin", "tables": ["*"]}
	// {"columns": ["age", "email", "name"], "filters": {"active": true, "country": "US"}, "role": "reader", "tables": ["table1"]}
	// invalid_argument role: filter: an empty list of conditions
}

func ExampleSession_CreateUser() {
	ctx := context.Background()
	st, leave := found(ctx)
	defer leave()
	s, err := st.Session(ctx, supertable.Superuser)
	if err != nil {
		panic(err)
	}
	put(ctx, s, `{"id":1,"country":"CZ","email":"ann@x.cz"}{"id":2,"country":"HU","email":"bea@y.hu"}`)

	// Who has this role sees the rows of his own country, and no whole address.
	role, err := s.CreateRole(ctx, []byte(`{"role": "reader", "name": "local", "tables": ["orders"], "masks": {"email": {"type": "email"}},
		"filters": {"country": {"operation": "=", "type": "session", "value": "user.country"}}}`))
	if err != nil {
		panic(err)
	}
	for name, country := range map[string]string{"anna": "CZ", "bela": "HU"} {
		if _, err := s.CreateUser(ctx, name, []string{role}, map[string]any{"country": country}); err != nil {
			panic(err)
		}
	}
	for _, name := range []string{"anna", "bela"} {
		his, err := st.Session(ctx, name)
		if err != nil {
			panic(err)
		}
		show(ctx, his, "SELECT id, email FROM orders", nil)
		_, err = his.CreateRole(ctx, []byte(`{"role": "superadmin", "name": "mine"}`))
		fmt.Println(supertable.KindOf(err))
	}
	// Output:
	// id|email
	// 1|a***@x.cz
	// denied
	// id|email
	// 2|b***@y.hu
	// denied
}

func ExampleSession_Explain() {
	ctx := context.Background()
	s, leave := enter(ctx)
	defer leave()
	put(ctx, s, `{"id":1,"country":"CZ","email":"ann@x.cz","card":"4111111111111111"}`)

	for _, document := range []string{
		`{"role": "reader", "name": "support", "tables": ["orders"], "columns": ["id", "email", "card"], "masks": {"card": {"type": "last", "n": 4}}}`,
		`{"role": "reader", "name": "prague", "tables": ["orders"], "filters": {"country": "CZ"}}`,
	} {
		if _, err := s.CreateRole(ctx, []byte(document)); err != nil {
			panic(err)
		}
	}
	if _, err := s.CreateUser(ctx, "anna", []string{"support", "prague"}, nil); err != nil {
		panic(err)
	}
	access, err := s.Explain(ctx, "anna", "orders")
	if err != nil {
		panic(err)
	}
	for _, a := range access {
		fmt.Println(a)
	}
	// Output:
	// orders
	//   roles    support (reader): id, email, card; every row
	//            prague (reader): id, country, email, card; country = 'CZ'
	//   columns  id, country, email, card
	//   masked   card as clear where country = 'CZ', else last 4
	//   rows     those of each role that shows all columns that a query uses
}

func ExampleSession_PolicyHistory() {
	ctx := context.Background()
	s, leave := enter(ctx)
	defer leave()

	if _, err := s.CreateUser(ctx, "anna", nil, nil); err != nil {
		panic(err)
	}
	if _, err := s.DeleteUser(ctx, "anna"); err != nil {
		panic(err)
	}
	changes, err := s.PolicyHistory(ctx)
	if err != nil {
		panic(err)
	}
	for _, c := range changes {
		fmt.Println(c.Version, c.Principal, c.Action, c.Object)
	}
	// Output:
	// 2 superuser delete user 8d9b63b5f883e8c12f6ec68bbb67cd96
	// 1 superuser create user 8d9b63b5f883e8c12f6ec68bbb67cd96
}
