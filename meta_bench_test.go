package supertable_test

import (
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/supertable-go/supertable/internal/testdb"
)

// BenchmarkSuperMeta lists 10,000 tables, each as if it had rows in files.
func BenchmarkSuperMeta(b *testing.B) {
	db := testdb.Open(b)
	st, _, err := db.Create(b.Context(), "default", "wide", nil)
	if err != nil {
		b.Fatal(err)
	}
	s, err := st.Session(b.Context(), "superuser")
	if err != nil {
		b.Fatal(err)
	}
	fill(b, filepath.Join(db.Home, "default", "wide", "catalog.db"), 10_000)
	b.ResetTimer()
	for range b.N {
		m, err := s.SuperMeta(b.Context())
		if err != nil || len(m.Tables) != 10_000 || m.Rows != 10_000*9_999/2 || m.Tables[42].Name != "t00042" {
			b.Fatalf("%d tables, %d rows (%v)", len(m.Tables), m.Rows, err)
		}
	}
}

// fill writes n tables into a catalog: table i has i live rows.
func fill(tb testing.TB, catalog string, n int) {
	tb.Helper()
	db, err := sql.Open("sqlite3", catalog)
	db.SetMaxOpenConns(1)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for _, text := range []string{
		`CREATE TEMP TABLE n AS WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?1) SELECT i FROM n`,
		`INSERT INTO ducklake_table (table_id, table_uuid, begin_snapshot, end_snapshot, schema_id, table_name, path, path_is_relative) SELECT i + 1, 'u' || i, 0, NULL, 0, printf('t%05d', i), printf('t%05d/', i), 1 FROM n`,
		`INSERT INTO supertable_table (table_id, version, rows, files, bytes, updated) SELECT i + 1, 1, i, 1, 1000, '2026-01-01T00:00:00.000000+00' FROM n`,
		`UPDATE ducklake_snapshot SET next_catalog_id = ?1 + 1`,
	} {
		if _, err := db.ExecContext(tb.Context(), text, n); err != nil {
			tb.Fatal(err)
		}
	}
}
