package supertable_test

import (
	"fmt"
	"testing"

	"github.com/supertable-go/supertable/internal/testdb"
)

// BenchmarkOneRowCommit is a durable write of one row: its record in the audit
// is part of the same transaction.
func BenchmarkOneRowCommit(b *testing.B) {
	s := testdb.Open(b).Session("s")
	n := 0
	for b.Loop() {
		n++
		testdb.Write(b, s, "t", "id:int64", fmt.Sprintf(`[{"id":%d}]`, n), nil)
	}
}

// BenchmarkSmallQuery is a query whose record is queued at its end.
func BenchmarkSmallQuery(b *testing.B) {
	s := testdb.Open(b).Session("s")
	testdb.Write(b, s, "t", "id:int64", `[{"id":1},{"id":2}]`, nil)
	for b.Loop() {
		testdb.Query(b, s, `SELECT sum(id) FROM t`, nil)
	}
}

// BenchmarkAudit walks and reads an audit of 100,000 records.
func BenchmarkAudit(b *testing.B) {
	s := testdb.Open(b).Session("s")
	for i := range 100_000 {
		_ = s.SetOption(b.Context(), "", "nope", fmt.Sprint(i)) // fails, and that is recorded
	}
	b.Run("verify", func(b *testing.B) {
		for b.Loop() {
			if v, err := s.VerifyAudit(b.Context(), ""); err != nil || !v.Valid {
				b.Fatal(v, err)
			}
		}
	})
	b.Run("sql", func(b *testing.B) {
		for b.Loop() {
			testdb.Query(b, s, `SELECT action, count(*) FROM __audit__ GROUP BY 1`, nil)
		}
	})
}
