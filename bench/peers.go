package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/engine"
	"github.com/supertable-go/supertable/engine/duckdb"
)

// peers are the three programs that do the same work: ours, raw DuckDB and
// DuckDB with its DuckLake extension.
type peers struct {
	lake    *supertable.Lake
	session *supertable.Session
	ruled   map[string]*supertable.Session // users with rules, by name
	raw     *duckdb.DB
	rawConn engine.Conn
	duck    *duckdb.DB // with DuckLake; nil when the extension is not at hand
	dl      engine.Conn
}

func (p *peers) open(b *bench) error {
	var err error
	if p.lake, err = supertable.Open(b.ctx, b.path("home"), nil); err != nil {
		return err
	}
	st, _, err := p.lake.Create(b.ctx, "bench", "lake", nil)
	if err != nil {
		return err
	}
	if p.session, err = st.Session(b.ctx, supertable.Superuser); err != nil {
		return err
	}
	if p.raw, err = duckdb.Open(engine.Options{SpillDir: b.path("spill")}); err != nil {
		return err
	}
	if p.rawConn, err = p.raw.Conn(b.ctx); err != nil {
		return err
	}
	return p.openDuckLake(b)
}

func (p *peers) openDuckLake(b *bench) error {
	dir := os.Getenv("ST_EXTENSIONS")
	if _, err := os.Stat(filepath.Join(dir, "ducklake.duckdb_extension")); dir == "" || err != nil {
		fmt.Println("the DuckLake extension is not at hand (make deps): its column stays empty")
		return nil
	}
	var err error
	if p.duck, err = duckdb.Open(engine.Options{SpillDir: b.path("spill2")}); err != nil {
		return err
	}
	if p.dl, err = p.duck.Conn(b.ctx); err != nil {
		return err
	}
	return p.dl.Exec(b.ctx, fmt.Sprintf("LOAD '%s'; LOAD '%s'; ATTACH 'ducklake:sqlite:%s' AS dl (DATA_PATH '%s'); CALL dl.set_option('parquet_compression', 'zstd'); CALL dl.set_option('data_inlining_row_limit', 0)",
		filepath.Join(dir, "sqlite_scanner.duckdb_extension"), filepath.Join(dir, "ducklake.duckdb_extension"), b.path("dl.db"), b.path("dl")+"/"))
}

func (p *peers) close() {
	for _, c := range []engine.Conn{p.rawConn, p.dl} {
		if c != nil {
			_ = c.Close()
		}
	}
	if p.duck != nil {
		_ = p.duck.Close()
	}
	_ = p.raw.Close()
	_ = p.lake.Close()
}

// query runs a statement of ours to its end and gives its rows.
func (p *peers) query(b *bench, sql string) ([][]string, error) { return collect(b, p.session, sql) }

// collect runs a statement in a session to its end.
func collect(b *bench, s *supertable.Session, sql string) ([][]string, error) {
	rows, err := s.Query(b.ctx, sql, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out [][]string
	for rows.Next() {
		rec := rows.Batch()
		for i := range int(rec.NumRows()) {
			line := make([]string, rec.NumCols())
			for k := range line {
				line[k] = strings.Clone(rec.Column(k).ValueStr(i)) // the batch goes, and its memory with it
			}
			out = append(out, line)
		}
	}
	return out, rows.Err()
}

// drain runs a statement of a peer to its end.
func drain(b *bench, c engine.Conn, sql string) ([][]string, error) {
	rr, err := c.Query(b.ctx, sql, nil)
	if err != nil {
		return nil, err
	}
	defer rr.Release()
	var out [][]string
	for rr.Next() {
		rec := rr.RecordBatch()
		for i := range int(rec.NumRows()) {
			line := make([]string, rec.NumCols())
			for k := range line {
				line[k] = strings.Clone(rec.Column(k).ValueStr(i)) // the batch goes, and its memory with it
			}
			out = append(out, line)
		}
	}
	return out, rr.Err()
}
