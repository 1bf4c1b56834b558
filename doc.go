// Package supertable is a governed data warehouse in a folder.
//
// A home holds organizations, an organization holds SuperTables, a SuperTable
// holds tables. Rows go in as Arrow batches or as files (Parquet, Arrow, CSV,
// JSON); a table appears by itself at its first write; rows with the same key
// are replaced; every write is one atomic, durable snapshot that can be
// travelled back to; SQL reads one table, joins of many, or the whole
// SuperTable as one union.
//
//	lake, err := supertable.Open(ctx, "/data/supertable", nil)
//	st, _, err := lake.Create(ctx, "acme", "sales", nil)
//	s, err := st.Session(ctx, supertable.Superuser)
//	res, err := s.WriteFiles(ctx, "orders", []string{"orders.parquet"},
//		&supertable.WriteOptions{Key: []string{"order_id"}})
//	rows, err := s.Query(ctx, "SELECT country, sum(amount) FROM orders GROUP BY 1", nil)
//
// Everything goes through a Session: a SuperTable as one principal sees it.
// Lakes are DuckLake 1.0 (docs/format.md): DuckDB and other clients read them.
package supertable
