package main

import (
	"crypto/md5"
	"fmt"
	"os"
	"path/filepath"

	"github.com/supertable-go/supertable"
)

// warmUpserts are made until every file has its filter: enough for 48 million rows.
const warmUpserts = 2

// keyfilter measures upserts of one random key, and the query for it, on a
// table whose files all hold keys of the whole range: with key filters, and
// with none, where a folder lies in their place.
func (b *bench) keyfilter() error {
	per := b.rows / int64(b.files)
	inputs := make([]string, b.files)
	for k := range inputs {
		inputs[k] = b.path(fmt.Sprintf("uuid-%d.parquet", k))
		sql := fmt.Sprintf("COPY (SELECT %s AS uid, i AS v, 'name ' || (hash(i * 7) %% 100000) AS name FROM range(%d, %d) t(i)) TO '%s' (%s)", uuidOf("i"), int64(k)*per, int64(k+1)*per, inputs[k], compression)
		if err := b.peers.rawConn.Exec(b.ctx, sql); err != nil {
			return err
		}
	}
	with, err := b.keyed("filters", inputs, true)
	if err != nil {
		return err
	}
	without, err := b.keyed("nofilters", inputs, false)
	if err != nil {
		return err
	}
	for i, r := range with {
		if r.wrong == "" {
			r.wrong = without[i].wrong
		}
		r.raw = without[i].ours
		b.add(r)
	}
	return nil
}

// uuid is uuidOf of one number.
func uuid(n int64) string {
	h := md5.Sum([]byte(itoa(n)))
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:])
}

// uuidOf makes a UUID of a number that looks random.
func uuidOf(i string) string { return "md5(" + i + "::VARCHAR)::UUID" }

// keyed writes the table and measures on it. The rows' raw column is that of
// the table without filters.
func (b *bench) keyed(super string, inputs []string, filters bool) ([]row, error) {
	home := b.path("keyed-" + super)
	keys := filepath.Join(home, "bench", super, "index", "keys.db")
	if !filters {
		if err := os.MkdirAll(keys, 0o777); err != nil {
			return nil, err
		}
	}
	lake, err := supertable.Open(b.ctx, home, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(home) }()
	defer func() { _ = lake.Close() }() // once more does nothing
	st, _, err := lake.Create(b.ctx, "bench", super, nil)
	if err != nil {
		return nil, err
	}
	s, err := st.Session(b.ctx, supertable.Superuser)
	if err != nil {
		return nil, err
	}
	for _, in := range inputs {
		if _, err := s.WriteFiles(b.ctx, "t", []string{in}, nil); err != nil {
			return nil, err
		}
	}
	// One row takes the way of larger writes: its rows go to a file.
	if err := s.SetOption(b.ctx, "t", "data_inlining_row_limit", "0"); err != nil {
		return nil, err
	}
	n := int64(0)
	ones := make([]string, 2+warmUpserts+b.runs)
	for i := range ones {
		ones[i] = b.path(fmt.Sprintf("one-%d.parquet", i))
		if err := b.peers.rawConn.Exec(b.ctx, fmt.Sprintf("COPY (SELECT %s AS uid, -%d::BIGINT AS v, 'new' AS name) TO '%s' (%s)", uuidOf(itoa(int64(i+1)*7919%b.rows)), i+1, ones[i], compression)); err != nil {
			return nil, err
		}
	}
	upsert := func() error {
		res, err := s.WriteFiles(b.ctx, "t", ones[n:n+1], &supertable.WriteOptions{Key: []string{"uid"}})
		n++
		if err == nil && res.Deleted != 1 {
			err = fmt.Errorf("an upsert replaced %d rows", res.Deleted)
		}
		return err
	}
	first, err := timed(upsert)
	if err != nil {
		return nil, err
	}
	making, err := timed(upsert)
	if err != nil {
		return nil, err
	}
	for range warmUpserts { // until every file has its filter
		if err := upsert(); err != nil {
			return nil, err
		}
	}
	later, err := b.median(upsert)
	if err != nil {
		return nil, err
	}
	wrong := ""
	point, err := b.median(func() error {
		rows, err := s.Query(b.ctx, "SELECT v FROM t WHERE uid = '"+uuid(7919)+"'", nil)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		var count int64
		for rows.Next() {
			count += rows.Batch().NumRows()
		}
		if count != 1 {
			wrong = fmt.Sprintf("%d rows of one key", count)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	size := fmt.Sprintf(" (%s rows, %d files; raw is ours without filters)", thousands(b.rows), b.files)
	out := []row{
		{name: "first upsert of 1 random key" + size, unit: "s", ours: first},
		{name: "second upsert of 1 random key, which makes the filters" + size, unit: "s", ours: making},
		{name: "upsert of 1 random key" + size, unit: "s", ours: later},
		{name: "query for 1 random key" + size, unit: "s", ours: point, wrong: wrong},
	}
	if err := lake.Close(); err != nil {
		return nil, err
	}
	if info, err := os.Stat(keys); err == nil && filters {
		fmt.Printf("key filters on disk: %.1f bits a key\n", 8*float64(info.Size())/float64(b.rows))
	}
	return out, nil
}
