package duckdb

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/supertable-go/supertable/engine"
)

// writeFiles writes n parquet files of rows rows each, id counting through.
func writeFiles(t testing.TB, c engine.Conn, dir string, n, rows int) []string {
	t.Helper()
	files := make([]string, n)
	for i := range files {
		files[i] = filepath.Join(dir, fmt.Sprintf("f%d.parquet", i))
		sql := fmt.Sprintf("COPY (SELECT i AS id, (i * 7919) %% 1000 AS v FROM range(%d, %d) r(i)) TO '%s' (FORMAT parquet)",
			i*rows, (i+1)*rows, files[i])
		if err := c.Exec(context.Background(), sql); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func scan(files []string) string {
	return "read_parquet(['" + strings.Join(files, "', '") + "'], file_row_number=true)"
}

func TestVirtualColumnTypes(t *testing.T) {
	ctx := context.Background()
	_, c := open(t, engine.Options{})
	files := writeFiles(t, c, t.TempDir(), 2, 10)
	rows, err := engine.Collect(ctx, c, "DESCRIBE SELECT file_index, file_row_number FROM "+scan(files), nil)
	if err != nil {
		t.Fatal(err)
	}
	if rows[0][1] != "UBIGINT" || rows[1][1] != "BIGINT" {
		t.Errorf("file_index is %v, file_row_number %v: st_live is declared otherwise", rows[0][1], rows[1][1])
	}
}

func TestLive(t *testing.T) {
	ctx := context.Background()
	_, c := open(t, engine.Options{})
	const n, rows = 3, 5000
	files := writeFiles(t, c, t.TempDir(), n, rows)
	dead := [][]uint64{make([]uint64, 10), nil, make([]uint64, (rows+63)/64)}
	want := n * rows
	for _, row := range []int{0, 63, 64, 639} {
		dead[0][row/64] |= 1 << (row % 64)
		want--
	}
	for row := 1; row < rows; row += 2 {
		dead[2][row/64] |= 1 << (row % 64)
		want--
	}
	token, release, err := c.Live(dead)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	where := fmt.Sprintf(" WHERE st_live(%d, file_index, file_row_number)", token)
	got, err := engine.Collect(ctx, c, "SELECT count(*), count(*) FILTER (id IN (0, 63, 64, 639)) FROM "+scan(files)+where, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got[0][0] != int64(want) || got[0][1] != int64(0) {
		t.Errorf("got %v live rows, want %d and none of the dead", got[0], want)
	}
	got, err = engine.Collect(ctx, c, "SELECT id FROM "+scan(files[:1])+where+" AND id < 5 ORDER BY id", nil)
	if err != nil || fmt.Sprint(got) != "[[1] [2] [3] [4]]" {
		t.Errorf("one file and a pushed-down filter: %v, %v", got, err)
	}
}

func TestLiveRefuses(t *testing.T) {
	ctx := context.Background()
	_, c := open(t, engine.Options{})
	token, release, err := c.Live([][]uint64{{1}})
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{
		"999, 0, 0", "%d, 1, 0", "%d, 0, -1", "NULL, 0, 0", "%d, NULL, 0", "%d, 0, NULL",
		"%d, 0, CASE WHEN i = 3000 THEN NULL ELSE i END", "(%d + CASE WHEN i = 3000 THEN 77 ELSE 0 END)::UBIGINT, 0, i",
	} {
		if strings.Contains(args, "%") {
			args = fmt.Sprintf(args, token)
		}
		_, err := engine.Collect(ctx, c, "SELECT count(*) FROM range(4000) r(i) WHERE st_live("+args+")", nil)
		var e *engine.Error
		if !errors.As(err, &e) || e.Class != "invalid input" || !strings.HasPrefix(e.Message, "st_live: ") {
			t.Errorf("st_live(%s): %v", args, err)
		}
	}
	call := fmt.Sprintf("SELECT st_live(%d, 0, 0), st_live(%[1]d, 0, 1), st_live(%[1]d, 0, 64)", token)
	rows, err := engine.Collect(ctx, c, call, nil)
	if err != nil || fmt.Sprint(rows) != "[[false true true]]" {
		t.Errorf("constants: %v, %v", rows, err)
	}
	release()
	release()
	if _, err := engine.Collect(ctx, c, call, nil); err == nil {
		t.Error("a released token still answers")
	}
	if next, release, _ := c.Live(nil); next == token {
		t.Error("a token came again")
	} else {
		release()
	}
}

func TestLiveOutlivesTheEngine(t *testing.T) {
	db, c := open(t, engine.Options{})
	_, release, err := c.Live([][]uint64{{1}})
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	db.Close()
	release()
	if _, _, err := c.Live(nil); err == nil {
		t.Error("a closed connection took deletes")
	}
}

// BenchmarkLive prints what st_live adds to a scan of 10M rows in 10 files with
// 1 % deleted; the target is at most twice the raw scan.
func BenchmarkLive(b *testing.B) {
	ctx := context.Background()
	_, c := open(b, engine.Options{})
	const n, rows = 10, 1_000_000
	files := writeFiles(b, c, b.TempDir(), n, rows)
	dead := make([][]uint64, n)
	for i := range dead {
		dead[i] = make([]uint64, (rows+63)/64)
		for row := i; row < rows; row += 100 {
			dead[i][row/64] |= 1 << (row % 64)
		}
	}
	token, release, err := c.Live(dead)
	if err != nil {
		b.Fatal(err)
	}
	defer release()
	for _, q := range []struct{ name, where string }{
		{"raw", ""},
		{"st_live", fmt.Sprintf(" WHERE st_live(%d, file_index, file_row_number)", token)},
	} {
		b.Run(q.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := engine.Collect(ctx, c, "SELECT sum(v) FROM "+scan(files)+q.where, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestLivePatterns compares st_live with a plain reading of the bitmap, for
// runs of rows of every alignment and for rows in any order.
func TestLivePatterns(t *testing.T) {
	ctx := context.Background()
	_, c := open(t, engine.Options{})
	words := make([]uint64, 100)
	seed := uint64(1)
	for i := range words {
		seed = seed*6364136223846793005 + 1442695040888963407
		words[i] = seed >> (i % 60) & (seed >> 7)
	}
	token, release, err := c.Live([][]uint64{nil, words})
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	for _, from := range []string{
		"range(0, 7000) r(i)", "range(1, 6399) r(i)", "range(63, 70) r(i)", "range(6390, 6402) r(i)", "range(64, 65) r(i)",
		"(SELECT i FROM range(7000) r(i) ORDER BY hash(i))", "(SELECT 2 * i AS i FROM range(4000) r(i))",
	} {
		rows, err := engine.Collect(ctx, c, fmt.Sprintf(
			"SELECT i, st_live(%d, 1, i), st_live(%[1]d, 0, i), st_live(%[1]d, (i %% 2)::UBIGINT, i) FROM %s", token, from), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			i := row[0].(int64)
			live := int(i/64) >= len(words) || words[i/64]>>(i%64)&1 == 0
			if row[1] != live || row[2] != true || row[3] != (live || i%2 == 0) {
				t.Fatalf("%s: row %v, want live = %v", from, row, live)
			}
		}
	}
}
