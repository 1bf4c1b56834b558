package main

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"time"

	_ "github.com/mattn/go-sqlite3" // the catalogs are made by hand

	"github.com/supertable-go/supertable"
)

// filesPerSnapshot of a generated catalog.
const filesPerSnapshot = 10

// planSizes are the files of the generated tables, up to what the flag says.
var planSizes = []int64{1_000, 10_000, 100_000, 1_000_000}

// planning measures what depends on the number of files alone, on catalogs
// that are made without their Parquet: only the files that a query reads are
// there.
func (b *bench) planning() error {
	for _, n := range planSizes {
		if n > b.planFiles {
			break
		}
		p := &planned{b: b, files: n, home: b.path(fmt.Sprintf("plan-%d", n))}
		if err := p.run(); err != nil {
			return fmt.Errorf("%d files: %w", n, err)
		}
		_ = os.RemoveAll(p.home)
	}
	return nil
}

// planned is one generated lake. Its table t has the real file of ids 0 to 999
// and others of as many ids each:
//
//	id        in order, no two files overlap
//	customer  a narrow range somewhere: a few files overlap at any value
//	code      text with a long common start, in order
//	token     random: every file's bounds hold nearly every value
type planned struct {
	b       *bench
	files   int64
	home    string
	real    string // the name of the file that is there
	lake    *supertable.Lake
	session *supertable.Session
}

func (p *planned) open() error {
	var err error
	if p.lake, err = supertable.Open(p.b.ctx, p.home, nil); err != nil {
		return err
	}
	st, _, err := p.lake.Create(p.b.ctx, "bench", "lake", nil)
	if err == nil {
		p.session, err = st.Session(p.b.ctx, supertable.Superuser)
	}
	return err
}

const planColumns = "i AS id, (hash(i // 1000) % 1000000000)::BIGINT + i % 50 AS customer, 'order-number-' || printf('%010d', i) AS code, sha256(i::VARCHAR) AS token"

func (p *planned) input(name string, from, to int64) (string, error) {
	file := p.b.path(fmt.Sprintf("%s-%d.parquet", name, p.files))
	return file, p.b.peers.rawConn.Exec(p.b.ctx, fmt.Sprintf("COPY (SELECT %s FROM range(%d, %d) t(i)) TO '%s' (%s)", planColumns, from, to, file, compression))
}

func (p *planned) run() error {
	file, err := p.input("first", 0, 1000)
	if err != nil {
		return err
	}
	if err := p.open(); err != nil {
		return err
	}
	if _, err := p.session.WriteFiles(p.b.ctx, "t", []string{file}, nil); err != nil {
		return err
	}
	if err := p.lake.Close(); err != nil {
		return err
	}
	start := time.Now()
	if err := p.generate(); err != nil {
		return err
	}
	fmt.Printf("made a catalog of %s files in %.1f s\n", thousands(p.files), time.Since(start).Seconds())
	if err := p.open(); err != nil {
		return err
	}
	defer func() { _ = p.lake.Close() }()
	return p.measure()
}

// generate adds the files to the catalog: ten per snapshot, four columns each.
func (p *planned) generate() error {
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(p.home, "bench", "lake", "catalog.db")+"?_synchronous=OFF&_cache_size=-200000")
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	conn, err := db.Conn(p.b.ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	var table, head, file int64
	err = conn.QueryRowContext(p.b.ctx, `SELECT t.table_id, s.snapshot_id, s.next_file_id FROM ducklake_table t, ducklake_snapshot s WHERE t.table_name = 't' ORDER BY s.snapshot_id DESC LIMIT 1`).Scan(&table, &head, &file)
	if err != nil {
		return err
	}
	var size, footer int64
	var path string
	if err := conn.QueryRowContext(p.b.ctx, `SELECT file_size_bytes, footer_size, path FROM ducklake_data_file`).Scan(&size, &footer, &path); err != nil {
		return err
	}
	p.real = path
	made := p.files - 1
	snapshots := (made + filesPerSnapshot - 1) / filesPerSnapshot
	r := strings.NewReplacer("$T", itoa(table), "$H", itoa(head), "$F", itoa(file), "$N", itoa(made), "$S", itoa(snapshots), "$P", itoa(filesPerSnapshot), "$B", itoa(size), "$O", itoa(footer))
	const n = `WITH RECURSIVE n(k) AS (SELECT 0 UNION ALL SELECT k + 1 FROM n WHERE k + 1 < $N) `
	const s = `WITH RECURSIVE n(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM n WHERE k < $S) `
	stats := func(column int, lo, hi string) string {
		return `INSERT INTO ducklake_file_column_stats SELECT data_file_id, $T, ` + itoa(int64(column)) + `, 4000, 1000, 0, ` + lo + `, ` + hi + `, NULL, NULL FROM ducklake_data_file f WHERE data_file_id >= $F`
	}
	first := `(data_file_id - $F + 1) * 1000`
	narrow := `(((data_file_id - $F + 1) * 2654435761) % 1000000000)`
	for _, q := range []string{
		`BEGIN`,
		s + `INSERT INTO ducklake_snapshot SELECT $H + k, strftime('%Y-%m-%dT%H:%M:', '2026-01-01', k || ' minutes') || printf('%02d.000000+00', 0), (SELECT schema_version FROM ducklake_snapshot WHERE snapshot_id = $H), (SELECT next_catalog_id FROM ducklake_snapshot WHERE snapshot_id = $H), min($F + k * $P, $F + $N) FROM n`,
		s + `INSERT INTO ducklake_snapshot_changes SELECT $H + k, 'inserted_into_table:$T', 'superuser', NULL, NULL FROM n`,
		s + `INSERT INTO supertable_change SELECT $H + k, $T, 't', $H + k, 'append', 1000 * $P, 0, 0, 'superuser', '', NULL FROM n`,
		n + `INSERT INTO ducklake_data_file SELECT $F + k, $T, $H + 1 + k / $P, NULL, NULL, 'ducklake-' || printf('%08x-0000-7000-8000-%012x', k, k) || '.parquet', 1, 'parquet', 1000, $B, $O, 1000 + k * 1000, NULL, NULL, NULL, NULL FROM n`,
		n + `INSERT INTO supertable_file SELECT $F + k, printf('%064x', k) FROM n`,
		stats(1, first, first+` + 999`),
		stats(2, narrow, narrow+` + 49`),
		stats(3, `'order-number-' || printf('%010d', `+first+`)`, `'order-number-' || printf('%010d', `+first+` + 999)`),
		stats(4, `printf('%08x', data_file_id % 1000) || 'aa'`, `'ff' || printf('%08x', data_file_id % 1000)`),
		`UPDATE ducklake_table_stats SET record_count = record_count + 1000 * $N, next_row_id = next_row_id + 1000 * $N, file_size_bytes = file_size_bytes + $B * $N WHERE table_id = $T`,
		`UPDATE ducklake_table_column_stats SET min_value = '0', max_value = '999999999999' WHERE table_id = $T AND column_id <= 2`,
		`UPDATE ducklake_table_column_stats SET max_value = 'order-number-999999999999' WHERE table_id = $T AND column_id = 3`,
		`UPDATE ducklake_table_column_stats SET min_value = '', max_value = 'zzz' WHERE table_id = $T AND column_id = 4`,
		`UPDATE supertable_table SET version = $H + $S, rows = rows + 1000 * $N, files = files + $N, bytes = bytes + $B * $N WHERE table_id = $T`,
		`COMMIT`,
	} {
		if _, err := conn.ExecContext(p.b.ctx, r.Replace(q)); err != nil {
			return fmt.Errorf("%s: %w", q, err)
		}
	}
	return nil
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// customers gives the range of customers of a file.
func customers(file int64) (lo, hi int64) {
	lo = file * 2654435761 % 1_000_000_000
	return lo, lo + 49
}

const aCustomer = 333_333_333

// link makes the files that the queries are about, as links to the one that is
// there: planning looks at what it will read.
func (p *planned) link(point, first, n int64) error {
	dir := filepath.Join(p.home, "bench", "lake", "data", "main", "t")
	all := []int64{point}
	for k := first; k <= first+n; k++ {
		all = append(all, k)
	}
	for k := int64(1); k < p.files; k++ {
		if lo, hi := customers(k); lo <= aCustomer && aCustomer <= hi {
			all = append(all, k)
		}
	}
	for _, k := range all {
		name := fmt.Sprintf("ducklake-%08x-0000-7000-8000-%012x.parquet", k-1, k-1)
		if err := os.Link(filepath.Join(dir, p.real), filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// once times the first call and the median of the later ones.
func (p *planned) once(f func() error) (cold, warm float64, err error) {
	if cold, err = timed(f); err != nil {
		return 0, 0, err
	}
	warm, err = p.b.median(f)
	return cold, warm, err
}

// line adds a row for this size; limits are seconds at 100k and at 1M files, 0
// is no target.
func (p *planned) line(what string, seconds, at100k, at1M float64) {
	r := row{name: fmt.Sprintf("%s, %s files", what, thousands(p.files)), unit: "s", ours: seconds}
	limit := at100k
	if p.files > 100_000 {
		limit = at1M
	}
	if limit > 0 {
		r.target, r.met = fmt.Sprintf("≤ %.0f ms", limit*1000), seconds <= limit
	}
	p.b.add(r)
}

func (p *planned) measure() error {
	explain := func(where string) func() error {
		return func() error {
			_, err := collect(p.b, p.session, "EXPLAIN SELECT * FROM t WHERE "+where)
			return err
		}
	}
	nth := func(k int64) string { return itoa(k*1000 + 500) }
	if err := p.link(p.files/2, p.files/3, 10); err != nil {
		return err
	}
	for _, q := range []struct {
		name, where  string
		small, large float64
	}{
		{"plan of a point query", "id = " + nth(p.files/2), 0.020, 0.100},
		{"plan of a range of 10 files", "id BETWEEN " + nth(p.files/3) + " AND " + nth(p.files/3+9), 0.020, 0.100},
		{"plan of a point among narrow ranges", "customer = " + itoa(aCustomer), 0.020, 0.100},
		{"plan of a point of text", "code = 'order-number-" + fmt.Sprintf("%010d", p.files/2*1000+5) + "'", 0.020, 0.100},
	} {
		cold, warm, err := p.once(explain(q.where))
		if err != nil {
			return err
		}
		p.line(q.name+", first", cold, 0, 0)
		p.line(q.name+", warm", warm, q.small, q.large)
	}
	_, warm, err := p.once(func() error {
		got, err := collect(p.b, p.session, "SELECT count(*) FROM t WHERE id = 500")
		if err == nil && fmt.Sprint(got) != "[[1]]" {
			err = fmt.Errorf("the point query gives %v", got)
		}
		return err
	})
	if err != nil {
		return err
	}
	p.line("point query, warm", warm, 0.020, 0.100)
	if err := p.process(); err != nil {
		return err
	}
	if err := p.listings(); err != nil {
		return err
	}
	if err := p.commits(explain); err != nil {
		return err
	}
	return p.scale() // the last: it expires what is old
}

// process is the point query in a process of its own.
func (p *planned) process() error {
	if _, err := os.Stat("bin/supertable"); err != nil {
		fmt.Println("bin/supertable is not built: no cold start")
		return nil
	}
	t, err := p.b.median(func() error {
		return exec.CommandContext(p.b.ctx, "bin/supertable", "--home", p.home, "--org", "bench", "--super", "lake", "query", "SELECT count(*) FROM t WHERE id = 500").Run()
	})
	p.line("point query, cold process", t, 0.100, 0.200)
	return err
}

func (p *planned) listings() error {
	for _, l := range []struct {
		name string
		run  func() error
	}{
		{"tables", func() error { _, err := p.session.Tables(p.b.ctx); return err }},
		{"describe", func() error { _, err := collect(p.b, p.session, "DESCRIBE t"); return err }},
		{"SHOW TABLES", func() error { _, err := collect(p.b, p.session, "SHOW TABLES"); return err }},
	} {
		_, warm, err := p.once(l.run)
		if err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
		p.line(l.name, warm, 0.100, 0.100)
	}
	return nil
}

// commits measures appends and upserts of one row, and the first plan after one.
func (p *planned) commits(explain func(string) func() error) error {
	var after, one, upsert []float64
	for k := range int64(7) {
		file, err := p.input("one", 5_000_000_000+k, 5_000_000_001+k)
		if err != nil {
			return err
		}
		write := func(o *supertable.WriteOptions) (float64, error) {
			return timed(func() error {
				_, err := p.session.WriteFiles(p.b.ctx, "t", []string{file}, o)
				return err
			})
		}
		t, err := write(nil)
		if err != nil {
			return err
		}
		one = append(one, t)
		if t, err = timed(explain("id = " + itoa(p.files/2*1000+k))); err != nil {
			return err
		}
		after = append(after, t)
		if t, err = write(&supertable.WriteOptions{Key: []string{"id"}}); err != nil {
			return err
		}
		upsert = append(upsert, t)
	}
	sort.Float64s(one)
	sort.Float64s(after)
	sort.Float64s(upsert)
	p.line("one-row append", one[3], 0, 0)
	p.line("one-row upsert", upsert[3], 0, 0)
	p.line("plan of a point query, first after a commit", after[3], 0.020, 0.100)
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	p.b.add(row{name: fmt.Sprintf("Go heap, %s files", thousands(p.files)), unit: "MiB", ours: float64(m.HeapInuse) / (1 << 20)})
	return nil
}
