package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// memory measures how much memory a process of the program takes for inputs
// and tables larger than it may use: b.memoryGB of CSV and of Parquet. Runs
// only when it is asked for: it takes minutes, and some four times as much disk.
func (b *bench) memory() error {
	if b.memoryGB <= 0 {
		return nil
	}
	m := &memoryRun{b: b, home: b.path("memory"), bin: "bin/supertable"}
	if _, err := os.Stat(m.bin); err != nil {
		return errors.New("bin/supertable is not built: make build")
	}
	return m.run()
}

type memoryRun struct {
	b    *bench
	home string
	bin  string
}

// memoryColumns come to about 280 bytes a row of CSV, most of them text that
// does not compress.
const memoryColumns = "i AS id, hash(i) % 100000000 AS customer, (hash(i + 1) % 1000000) / 100.0 AS amount, TIMESTAMP '2026-01-01' + INTERVAL (i % 31536000) SECOND AS at, md5(i::VARCHAR) AS token, CASE WHEN i % 3 = 0 THEN NULL ELSE 'note number ' || (i % 1000) END AS note, concat(md5((7 * i)::VARCHAR), md5((11 * i)::VARCHAR), md5((13 * i)::VARCHAR), md5((17 * i)::VARCHAR), md5((19 * i)::VARCHAR), md5((23 * i)::VARCHAR)) AS payload"

// csvRow and parquetRow are bytes, about. Up to partGB the rows of an input
// differ; what is more repeats them, since making them takes longer than
// writing them.
const (
	csvRow, parquetRow = 284, 250
	partGB             = 2
)

// The steps by name, and those of each input.
const (
	groupStep   = "group by with as many groups as rows"
	joinStep    = "join of the table with itself"
	sortStep    = "sort of all rows"
	upsertStep  = "upsert of a tenth by key"
	rewriteStep = "compact, a tenth of each file is dead"
	mergeStep   = "compact small files of a quarter of the rows"
)

var memorySteps = map[string][]string{
	"csv":     {"write csv", groupStep, joinStep, sortStep, upsertStep, rewriteStep, mergeStep},
	"parquet": {"write parquet"},
}

func (m *memoryRun) run() error {
	copies := 1
	if m.b.memoryGB > partGB {
		copies = int(m.b.memoryGB / partGB)
	}
	part := m.b.memoryGB / float64(copies) * 1e9
	for _, in := range []struct {
		name, format string
		rows         int64
		repeat       func(path string, copies int) ([]string, error)
	}{
		{"in.csv", "FORMAT csv, HEADER", int64(part / csvRow), repeatText},
		{"in.parquet", "FORMAT parquet, COMPRESSION snappy", int64(part / parquetRow), repeatFile},
	} {
		kind := strings.TrimPrefix(filepath.Ext(in.name), ".")
		if !slices.ContainsFunc(memorySteps[kind], m.b.memoryWhat.MatchString) {
			continue
		}
		size, err := m.generate(in.name, in.format, in.rows)
		if err != nil {
			return err
		}
		size *= int64(copies)
		paths, err := in.repeat(m.b.path(in.name), copies)
		if err != nil {
			return err
		}
		err = m.measure("write "+kind, size, append([]string{"write", kind}, paths...)...)
		for _, path := range paths {
			_ = os.Remove(path)
		}
		if kind == "csv" {
			for _, more := range []func(size, rows int64) error{m.queries, m.upsert, m.compaction} {
				if err == nil {
					err = more(size, in.rows)
				}
			}
		}
		_ = os.RemoveAll(m.home)
		if err != nil {
			return err
		}
	}
	return nil
}

// repeatText makes one file of a CSV file's rows, so many times.
func repeatText(path string, copies int) ([]string, error) {
	if copies == 1 {
		return []string{path}, nil
	}
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }()
	info, err := in.Stat()
	if err != nil {
		return nil, err
	}
	header, err := bufio.NewReader(in).ReadString('\n')
	if err != nil {
		return nil, err
	}
	for range copies - 1 {
		rows := io.NewSectionReader(in, int64(len(header)), info.Size()-int64(len(header)))
		if _, err := io.Copy(out, rows); err != nil {
			return nil, err
		}
	}
	return []string{path}, out.Close()
}

// repeatFile gives a file several names.
func repeatFile(path string, copies int) ([]string, error) {
	out := []string{path}
	for k := 1; k < copies; k++ {
		name := fmt.Sprintf("%s-%d%s", strings.TrimSuffix(path, filepath.Ext(path)), k, filepath.Ext(path))
		if err := os.Link(path, name); err != nil {
			return out, err
		}
		out = append(out, name)
	}
	return out, nil
}

func (m *memoryRun) generate(name, format string, rows int64) (int64, error) {
	path := m.b.path(name)
	if err := m.b.peers.rawConn.Exec(m.b.ctx, fmt.Sprintf("COPY (SELECT %s FROM range(%d) t(i)) TO '%s' (%s)", memoryColumns, rows, path, format)); err != nil {
		return 0, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// queries sort and join more than memory holds.
func (m *memoryRun) queries(size, rows int64) error {
	out := m.b.path("out.parquet")
	defer func() { _ = os.Remove(out) }()
	for _, q := range []struct{ name, sql string }{
		{groupStep, "SELECT count(*) FROM (SELECT token, sum(amount) FROM csv GROUP BY token)"},
		{joinStep, "SELECT count(*), sum(a.amount + b.amount) FROM csv a JOIN csv b ON a.token = b.token AND a.id = b.id"},
		{sortStep, "SELECT * FROM csv ORDER BY token"},
	} {
		if m.b.memoryGB > partGB && q.name == joinStep {
			continue // repeated rows meet each other
		}
		if err := m.measure(q.name, size, "query", q.sql, "--format", "parquet", "-o", out); err != nil {
			return err
		}
	}
	return nil
}

func (m *memoryRun) upsert(size, rows int64) error {
	if !m.b.memoryWhat.MatchString(upsertStep) {
		return nil
	}
	tenth := m.b.path("tenth.parquet")
	defer func() { _ = os.Remove(tenth) }()
	if err := m.b.peers.rawConn.Exec(m.b.ctx, fmt.Sprintf("COPY (SELECT %s FROM range(0, %d, 10) t(i)) TO '%s' (%s)", memoryColumns, rows, tenth, compression)); err != nil {
		return err
	}
	return m.measure(upsertStep, size, "write", "csv", tenth, "--key", "id")
}

// compaction writes all of it again: first without the dead rows that the
// upsert has left, then in small files that become large ones.
func (m *memoryRun) compaction(size, rows int64) error {
	if !slices.ContainsFunc([]string{rewriteStep, mergeStep}, m.b.memoryWhat.MatchString) {
		return nil
	}
	if err := m.measure(rewriteStep, size, "compact", "csv"); err != nil {
		return err
	}
	if err := m.program("option", "set", "target_file_size="+strconv.Itoa(8<<20)); err != nil {
		return err
	}
	if _, err := m.generate("quarter.parquet", compression, rows/4); err != nil {
		return err
	}
	defer func() { _ = os.Remove(m.b.path("quarter.parquet")) }()
	if err := m.program("write", "small", m.b.path("quarter.parquet")); err != nil {
		return err
	}
	if err := m.program("option", "set", "target_file_size="); err != nil {
		return err
	}
	return m.measure(mergeStep, size/4, "compact", "small")
}

func (m *memoryRun) command(args ...string) *exec.Cmd {
	c := exec.CommandContext(m.b.ctx, m.bin, append([]string{"--home", m.home, "--quiet"}, args...)...)
	if m.b.memoryFlag != "" {
		c.Args = append(c.Args, "--memory", m.b.memoryFlag)
	}
	return c
}

func (m *memoryRun) program(args ...string) error {
	out, err := m.command(args...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", args[0], err, bytes.TrimSpace(out))
	}
	return err
}

// measure runs the program and adds the most memory that it ever had.
func (m *memoryRun) measure(what string, size int64, args ...string) error {
	if !m.b.memoryWhat.MatchString(what) {
		if args[0] == "write" {
			return m.program(args...)
		}
		return nil
	}
	c := m.command(args...)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	start := time.Now()
	if err := c.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	var peak int64
	for {
		peak = max(peak, highWater(c.Process.Pid))
		select {
		case err := <-ended:
			if err != nil {
				return fmt.Errorf("%s: %w: %s", what, err, bytes.TrimSpace(out.Bytes()))
			}
			m.b.add(row{name: fmt.Sprintf("%s, %.1f GB: peak RSS", what, float64(size)/1e9), unit: "MiB", ours: float64(peak) / 1024, target: "≤ 2 GiB", met: peak <= 2<<20})
			m.b.add(row{name: fmt.Sprintf("%s, %.1f GB", what, float64(size)/1e9), unit: "s", ours: time.Since(start).Seconds()})
			return nil
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// highWater is the most memory, in KiB, that a process has had so far; 0 when
// nobody knows.
func highWater(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == "VmHWM:" {
			kib, _ := strconv.ParseInt(f[1], 10, 64)
			return kib
		}
	}
	return 0
}
