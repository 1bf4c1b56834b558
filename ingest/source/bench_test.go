package source

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/supertable-go/supertable/engine"
)

// million writes one million rows in the format and gives the path.
func million(b *testing.B, c engine.Conn, format, options string) string {
	b.Helper()
	p := filepath.Join(b.TempDir(), "m."+format)
	sql := `COPY (SELECT range AS id, 'name ' || (range % 1000) AS name, random() AS d1, round(random() * 10000, 2) AS d2,
		DATE '2024-01-01' + (range % 1000)::INT AS dd, TIMESTAMP '2024-01-01' + to_microseconds(range * 1234567) AS ts, (range * 7919) % 100000 AS n
		FROM range(1000000)) TO ` + literal(p) + " (FORMAT " + strings.TrimPrefix(format, "nd") + options + ")"
	if err := c.Exec(context.Background(), sql); err != nil {
		b.Fatal(err)
	}
	return p
}

// busy is the processor time that the process has used.
func busy() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// measured runs f as the benchmark and reports processor time too, which says
// something on a machine that others use.
func measured(b *testing.B, f func()) {
	before := busy()
	for b.Loop() {
		f()
	}
	b.ReportMetric(float64((busy()-before).Milliseconds())/float64(b.N), "cpu-ms/op")
}

// BenchmarkOneMillion compares COPY from the engine's own sniffing reader (raw)
// with Open and COPY of its relation, with types inferred and given. The
// scan alone is Open without COPY.
func BenchmarkOneMillion(b *testing.B) {
	c := connect(b)
	given := []Column{{"id", "BIGINT"}, {"name", "VARCHAR"}, {"d1", "DOUBLE"}, {"d2", "DOUBLE"}, {"dd", "DATE"}, {"ts", "TIMESTAMP"}, {"n", "BIGINT"}}
	out := literal(filepath.Join(b.TempDir(), "out.parquet"))
	copyOut := func(b *testing.B, sql string) {
		if err := c.Exec(context.Background(), "COPY ("+sql+") TO "+out+" (FORMAT parquet, COMPRESSION zstd)"); err != nil {
			b.Fatal(err)
		}
	}
	for _, format := range []string{"csv", "ndjson", "parquet"} {
		p := million(b, c, format, "")
		st, err := os.Stat(p)
		if err != nil {
			b.Fatal(err)
		}
		raw := fmt.Sprintf("SELECT * FROM read_%s(%s)", strings.TrimPrefix(format, "nd"), literal(p))
		b.Run(format+"/raw", func(b *testing.B) {
			measured(b, func() { copyOut(b, raw) })
		})
		for name, o := range map[string]*Options{"inferred": {}, "given": {Table: given}} {
			b.Run(format+"/"+name, func(b *testing.B) {
				measured(b, func() {
					r, err := Open(context.Background(), c, []string{p}, o)
					if err != nil {
						b.Fatal(err)
					}
					copyOut(b, r.SQL)
					r.Close()
				})
			})
		}
		b.Run(format+"/scan", func(b *testing.B) {
			b.SetBytes(st.Size())
			measured(b, func() {
				r, err := Open(context.Background(), c, []string{p}, &Options{Table: given})
				if err != nil {
					b.Fatal(err)
				}
				r.Close()
			})
		})
	}
}
