package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/supertable-go/supertable"
)

// columns of the large table: a key in order, text, numbers, a time.
const columns = "i AS id, (hash(i) % 1000)::INTEGER AS grp, 'name ' || (hash(i * 7) % 100000) AS name, (hash(i * 3) % 1000000) / 100.0::DOUBLE AS amount, TIMESTAMP '2020-01-01' + to_seconds(i) AS ts, (i % 97)::SMALLINT AS tag"

const compression = "FORMAT parquet, PARQUET_VERSION v2, COMPRESSION zstd, COMPRESSION_LEVEL 1"

// flights writes the 3M-row file, if there is one.
func (b *bench) flights() error {
	src := filepath.Join(os.Getenv("ST_DATA"), "flights-3m.parquet")
	if _, err := os.Stat(src); err != nil {
		src = b.path("flights.parquet")
		if err := b.peers.rawConn.Exec(b.ctx, fmt.Sprintf("COPY (SELECT %s FROM range(3000000) t(i)) TO '%s' (%s)", columns, src, compression)); err != nil {
			return err
		}
	}
	n := 0
	raw, err := b.median(func() error {
		n++
		return b.peers.rawConn.Exec(b.ctx, fmt.Sprintf("COPY (SELECT * FROM read_parquet('%s')) TO '%s' (%s)", src, b.path(fmt.Sprintf("raw-%d.parquet", n)), compression))
	})
	if err != nil {
		return err
	}
	ours, err := b.median(func() error {
		n++
		_, err := b.peers.session.WriteFiles(b.ctx, fmt.Sprintf("flights_%d", n), []string{src}, nil)
		return err
	})
	if err != nil {
		return err
	}
	lake := 0.0
	if b.peers.dl != nil {
		lake, err = b.median(func() error {
			n++
			return b.peers.dl.Exec(b.ctx, fmt.Sprintf("CREATE TABLE dl.flights_%d AS SELECT * FROM read_parquet('%s')", n, src))
		})
	}
	b.add(row{name: "append 3M rows (one Parquet file)", unit: "s", ours: ours, raw: raw, lake: lake, target: "≥ 0.9 of raw's speed", met: ours <= raw/0.9})
	return err
}

func (b *bench) input(k int) string { return b.path("in", fmt.Sprintf("%d.parquet", k)) }

// appends writes the large table in many appends; the inputs are made first.
func (b *bench) appends() error {
	for _, d := range []string{"in", "rawt"} {
		if err := os.MkdirAll(b.path(d), 0o777); err != nil {
			return err
		}
	}
	per := b.rows / int64(b.files)
	for k := range b.files {
		if err := b.peers.rawConn.Exec(b.ctx, fmt.Sprintf("COPY (SELECT %s FROM range(%d, %d) t(i)) TO '%s' (%s)", columns, int64(k)*per, int64(k+1)*per, b.input(k), compression)); err != nil {
			return err
		}
	}
	raw, err := timed(func() error {
		for k := range b.files {
			if err := b.peers.rawConn.Exec(b.ctx, fmt.Sprintf("COPY (SELECT * FROM read_parquet('%s')) TO '%s' (%s)", b.input(k), b.path("rawt", fmt.Sprintf("%d.parquet", k)), compression)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	ours, err := timed(func() error {
		for k := range b.files {
			if _, err := b.peers.session.WriteFiles(b.ctx, "t", []string{b.input(k)}, nil); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	lake := 0.0
	if b.peers.dl != nil {
		lake, err = timed(func() error {
			for k := range b.files {
				verb := "INSERT INTO dl.t"
				if k == 0 {
					verb = "CREATE TABLE dl.t AS"
				}
				if err := b.peers.dl.Exec(b.ctx, fmt.Sprintf("%s SELECT * FROM read_parquet('%s')", verb, b.input(k))); err != nil {
					return err
				}
			}
			return nil
		})
	}
	b.add(row{name: fmt.Sprintf("append %s rows in %d writes", thousands(b.rows), b.files), unit: "s", ours: ours, raw: raw, lake: lake, target: "≥ 0.9 of raw's speed", met: ours <= raw/0.9})
	return err
}

var queries = []struct{ name, sql string }{
	{"sum of one column", "SELECT sum(tag) FROM %s"},
	{"group by", "SELECT grp, count(*), sum(amount) FROM %s GROUP BY grp ORDER BY grp"},
	{"range", "SELECT count(*), sum(amount) FROM %s WHERE id BETWEEN 5000000 AND 5050000"},
	{"point", "SELECT * FROM %s WHERE id = 4711711"},
	{"top-n", "SELECT id, amount FROM %s ORDER BY amount DESC, id LIMIT 10"},
}

func (b *bench) selects() error {
	if os.Getenv("BENCH_PHASES") != "" {
		for _, q := range queries {
			b.phases(fmt.Sprintf(q.sql, "t"))
		}
	}
	return b.compare("clean", false)
}

// compare runs the queries on all peers and compares the answers.
func (b *bench) compare(state string, dirty bool) error {
	for _, q := range queries {
		var ours, rawRows, lakeRows [][]string
		var err error
		mine, err := b.median(func() error { ours, err = b.peers.query(b, fmt.Sprintf(q.sql, "t")); return err })
		if err != nil {
			return err
		}
		raw, err := b.median(func() error {
			rawRows, err = drain(b, b.peers.rawConn, fmt.Sprintf(q.sql, "read_parquet('"+b.path("rawt")+"/*.parquet')"))
			return err
		})
		if err != nil {
			return err
		}
		r := row{name: q.name + ", " + state, unit: "s", ours: mine, raw: raw}
		if b.peers.dl != nil {
			if r.lake, err = b.median(func() error { lakeRows, err = drain(b, b.peers.dl, fmt.Sprintf(q.sql, "dl.t")); return err }); err != nil {
				return err
			}
			if dirty && !same(ours, lakeRows) {
				r.wrong = fmt.Sprintf("%v, DuckLake has %v", ours, lakeRows)
			}
		}
		limit := 1.1
		switch {
		case q.name == "point" || q.name == "range":
			r.target, limit = "faster than raw", 1
		case dirty && q.name == "sum of one column":
			r.target, limit = "≤ 2× raw", 2
		case dirty:
			r.target, limit = "≤ 1.3× raw", 1.3
		default:
			r.target = "≤ 1.1× raw"
		}
		r.met = mine <= limit*raw
		if !dirty && !same(ours, rawRows) {
			r.wrong = fmt.Sprintf("%v, raw has %v", ours, rawRows)
		}
		b.add(r)
	}
	return nil
}

// upserts replaces rows by key in the large table.
func (b *bench) upserts() error {
	for _, u := range []struct {
		n      int64
		target string
		limit  float64
	}{{1, "≤ 10 ms", 0.010}, {1000, "≤ 0.12 s", 0.12}, {b.rows / 100, "≤ 0.3 s", 0.3}} {
		ours, lake := 0.0, 0.0
		for k := range 3 {
			file := b.path("in", fmt.Sprintf("up-%d-%d.parquet", u.n, k))
			keys := fmt.Sprintf("SELECT DISTINCT (hash(x + %d) %% %d)::BIGINT AS i FROM range(%d) r(x)", 1_000_003*(k+1)+int(u.n), b.rows, u.n)
			if err := b.peers.rawConn.Exec(b.ctx, fmt.Sprintf("COPY (SELECT %s FROM (%s)) TO '%s' (%s)", columns, keys, file, compression)); err != nil {
				return err
			}
			t, err := timed(func() error {
				_, err := b.peers.session.WriteFiles(b.ctx, "t", []string{file}, &supertable.WriteOptions{Key: []string{"id"}})
				return err
			})
			if err != nil {
				return err
			}
			if ours == 0 || t < ours {
				ours = t
			}
			if b.peers.dl == nil {
				continue
			}
			t, err = timed(func() error {
				return b.peers.dl.Exec(b.ctx, fmt.Sprintf("BEGIN; DELETE FROM dl.t WHERE id IN (SELECT id FROM read_parquet('%s')); INSERT INTO dl.t SELECT * FROM read_parquet('%s'); COMMIT", file, file))
			})
			if err != nil {
				return err
			}
			if lake == 0 || t < lake {
				lake = t
			}
		}
		r := row{name: fmt.Sprintf("upsert %s random keys", thousands(u.n)), unit: "s", ours: ours, lake: lake, target: u.target + " and ahead of DuckLake", met: ours <= u.limit && (lake == 0 || ours < lake)}
		got, err := b.peers.query(b, "SELECT count(*), count(DISTINCT id) FROM t")
		if err != nil {
			return err
		}
		if want := fmt.Sprintf("[[%d %d]]", b.rows, b.rows); fmt.Sprint(got) != want {
			r.wrong = fmt.Sprintf("rows and keys %v, want %s", got, want)
		}
		b.add(r)
	}
	return nil
}

func (b *bench) after() error { return b.compare("after the upserts", true) }

// commits measures one-row durable commits: with a file each, and inside the
// catalog.
func (b *bench) commits() error {
	one := b.path("one.parquet")
	if err := b.peers.rawConn.Exec(b.ctx, fmt.Sprintf("COPY (SELECT 1::BIGINT AS id, 'x' AS v) TO '%s' (FORMAT parquet)", one)); err != nil {
		return err
	}
	dl := 0.0
	if b.peers.dl != nil {
		const n = 200
		if err := b.peers.dl.Exec(b.ctx, "CREATE TABLE dl.one(id BIGINT, v VARCHAR)"); err != nil {
			return err
		}
		t, err := timed(func() error {
			for range n {
				if err := b.peers.dl.Exec(b.ctx, "INSERT INTO dl.one VALUES (1, 'x')"); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		dl = n / t
	}
	for _, w := range []struct {
		name    string
		writers int
		n       int
		limit   string
		least   float64
		key     []string
	}{
		{"with a file each", 1, 200, "0", 200, nil},
		{"with a file each", 8, 200, "0", 200, nil},
		{"inside the catalog", 1, 2000, "", 2000, nil},
		{"inside the catalog", 8, 4000, "", 6000, nil},
		{"by key, inside the catalog", 1, 1000, "", 0, []string{"id"}},
	} {
		rate, err := b.commitRate(fmt.Sprintf("one_%d_%s_%d", w.writers, w.limit, len(w.key)), w.writers, w.n, w.limit, w.key)
		if err != nil {
			return err
		}
		r := row{name: fmt.Sprintf("one-row durable commits %s, %d writers", w.name, w.writers), unit: "/s", ours: rate}
		if w.least > 0 {
			r.target, r.met = fmt.Sprintf("≥ %.0f/s", w.least), rate >= w.least
		}
		if w.writers == 1 && w.limit == "0" {
			r.lake = dl
		}
		b.add(r)
	}
	return nil
}

// commitRate writes n batches of one row and checks that all are there.
func (b *bench) commitRate(table string, writers, n int, limit string, key []string) (float64, error) {
	write := func(id int64) error {
		rr, err := oneRow(id)
		if err != nil {
			return err
		}
		defer rr.Release()
		_, err = b.peers.session.Write(b.ctx, table, rr, &supertable.WriteOptions{Key: key})
		return err
	}
	if err := write(0); err != nil { // the table, and what is opened once
		return 0, err
	}
	if limit != "" {
		if err := b.peers.session.SetOption(b.ctx, table, "data_inlining_row_limit", limit); err != nil {
			return 0, err
		}
	}
	t, err := timed(func() error {
		var wg sync.WaitGroup
		fail := make(chan error, writers)
		for w := range writers {
			wg.Go(func() {
				for i := w; i < n; i += writers {
					if err := write(int64(i + 1)); err != nil {
						fail <- err
						return
					}
				}
			})
		}
		wg.Wait()
		close(fail)
		return <-fail
	})
	if err != nil {
		return 0, err
	}
	got, err := b.peers.query(b, "SELECT count(*), count(DISTINCT id) FROM "+table)
	if want := fmt.Sprintf("[[%d %d]]", n+1, n+1); err == nil && fmt.Sprint(got) != want {
		err = fmt.Errorf("rows and keys %v, want %s", got, want)
	}
	return float64(n) / t, err
}

func oneRow(id int64) (array.RecordReader, error) {
	schema := arrow.NewSchema([]arrow.Field{{Name: "id", Type: arrow.PrimitiveTypes.Int64}, {Name: "v", Type: arrow.BinaryTypes.String}}, nil)
	rb := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer rb.Release()
	rb.Field(0).(*array.Int64Builder).Append(id)
	rb.Field(1).(*array.StringBuilder).Append("x")
	rec := rb.NewRecordBatch()
	defer rec.Release()
	return array.NewRecordReader(schema, []arrow.RecordBatch{rec})
}

// cold times `supertable query` as a process on a small table.
func (b *bench) cold() error {
	if _, err := os.Stat("bin/supertable"); err != nil {
		fmt.Println("bin/supertable is not built: no cold start")
		return nil
	}
	if _, err := b.peers.session.WriteFiles(b.ctx, "small", []string{b.path("one.parquet")}, nil); err != nil {
		return err
	}
	t, err := b.median(func() error {
		cmd := exec.CommandContext(b.ctx, "bin/supertable", "--home", b.path("home"), "--org", "bench", "--super", "lake", "query", "SELECT count(*) FROM small")
		return cmd.Run()
	})
	b.add(row{name: "supertable query, cold process", unit: "s", ours: t, target: "≤ 80 ms", met: t <= 0.080})
	return err
}

// same compares two results; floats by 12 digits, since sums depend on the order.
func same(a, b [][]string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		for k := range a[i] {
			x, err1 := strconv.ParseFloat(a[i][k], 64)
			y, err2 := strconv.ParseFloat(b[i][k], 64)
			if a[i][k] != b[i][k] && (err1 != nil || err2 != nil || fmt.Sprintf("%.12g", x) != fmt.Sprintf("%.12g", y)) {
				return false
			}
		}
	}
	return true
}
