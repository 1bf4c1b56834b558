// Command bench measures SuperTable beside raw DuckDB over Parquet and beside
// DuckDB's own DuckLake extension: the same rows, the same machine, one run,
// so that its ratios mean something. It checks every answer: a fast wrong
// answer is printed as wrong.
//
//	go run ./bench [-rows 10000000] [-files 100] [-runs 5] [-only regexp] [-planfiles 1000000] [-memory 10] [-limit 1GiB] [-o docs/benchmarks.md]
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"sort"
	"strings"
	"time"
)

type bench struct {
	ctx   context.Context //nolint:containedctx // the program's
	rows  int64
	files int
	runs  int
	only  *regexp.Regexp
	dir   string
	out   []row
	peers peers

	planFiles  int64   // of the largest generated catalog
	memoryGB   float64 // of the inputs that memory is measured with; 0: it is not
	memoryFlag string  // --memory of the processes measured
	memoryWhat *regexp.Regexp
}

// row is one line of the result.
type row struct {
	name, unit string
	ours       float64
	raw, lake  float64 // NaN-free: 0 is "not measured"
	free       float64 // ours without the rules that the row is about
	target     string
	met        bool
	wrong      string
}

func main() {
	rows := flag.Int64("rows", 10_000_000, "rows of the large table")
	files := flag.Int("files", 100, "files of the large table")
	runs := flag.Int("runs", 5, "runs of each query; the median counts")
	only := flag.String("only", "", "run only the sections that match")
	out := flag.String("o", "", "write the result to this Markdown file too")
	planFiles := flag.Int64("planfiles", 1_000_000, "files of the largest catalog that planning is measured on")
	memoryGB := flag.Float64("memory", 0, "GB of CSV and of Parquet to measure memory with; 0 leaves that out")
	memoryFlag := flag.String("limit", "", "what the processes whose memory is measured get as --memory")
	memoryWhat := flag.String("what", "", "measure the memory of those steps only that match")
	flag.Parse()
	b := &bench{ctx: context.Background(), rows: *rows, files: *files, runs: *runs, planFiles: *planFiles, memoryGB: *memoryGB, memoryFlag: *memoryFlag, memoryWhat: regexp.MustCompile(*memoryWhat)}
	if err := b.run(*only, *out); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (b *bench) run(only, out string) error {
	var err error
	if b.dir, err = os.MkdirTemp("", "supertable-bench-"); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(b.dir) }()
	if b.only, err = regexp.Compile(only); err != nil {
		return err
	}
	if err := b.peers.open(b); err != nil {
		return err
	}
	defer b.peers.close()
	for _, s := range []struct {
		name string
		run  func() error
	}{
		{"flights", b.flights},
		{"append", b.appends},
		{"select", b.selects},
		{"governed", b.governed},
		{"upsert", b.upserts},
		{"after", b.after},
		{"commits", b.commits},
		{"cold", b.cold},
		{"planning", b.planning},
		{"keyfilter", b.keyfilter},
		{"memory", b.memory},
	} {
		if !b.only.MatchString(s.name) {
			continue
		}
		if err := s.run(); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	if out != "" {
		return os.WriteFile(out, []byte(b.markdown()), 0o666)
	}
	return nil
}

// add keeps a row and prints it at once.
func (b *bench) add(r row) {
	b.out = append(b.out, r)
	fmt.Println(line(r))
}

func line(r row) string {
	var s strings.Builder
	fmt.Fprintf(&s, "%-44s %12s", r.name, number(r.ours, r.unit))
	if r.raw > 0 {
		fmt.Fprintf(&s, "  raw %12s (ours/raw %.2f)", number(r.raw, r.unit), r.ours/r.raw)
	}
	if r.lake > 0 {
		fmt.Fprintf(&s, "  ducklake %12s (ours/ducklake %.2f)", number(r.lake, r.unit), r.ours/r.lake)
	}
	if r.free > 0 {
		fmt.Fprintf(&s, "  without rules %12s (%.2f)", number(r.free, r.unit), r.ours/r.free)
	}
	if r.target != "" {
		fmt.Fprintf(&s, "  target %s %s", r.target, verdict(r))
	}
	if r.wrong != "" {
		s.WriteString("  WRONG: " + r.wrong)
	}
	return s.String()
}

func verdict(r row) string {
	if r.met {
		return "met"
	}
	return "MISSED"
}

func number(v float64, unit string) string {
	switch {
	case v == 0:
		return "–"
	case unit == "s" && v < 1:
		return fmt.Sprintf("%.1f ms", v*1000)
	case v >= 100:
		return fmt.Sprintf("%.0f %s", v, unit)
	}
	return fmt.Sprintf("%.2f %s", v, unit)
}

// median times f runs times.
func (b *bench) median(f func() error) (float64, error) {
	var all []float64
	for range b.runs {
		t, err := timed(f)
		if err != nil {
			return 0, err
		}
		all = append(all, t)
	}
	sort.Float64s(all)
	return all[len(all)/2], nil
}

func timed(f func() error) (float64, error) {
	start := time.Now()
	err := f()
	return time.Since(start).Seconds(), err
}

func (b *bench) path(elem ...string) string {
	return filepath.Join(append([]string{b.dir}, elem...)...)
}

func (b *bench) markdown() string {
	var s strings.Builder
	fmt.Fprintf(&s, "# Benchmarks\n\nOne run of `make bench` on %s: %s/%s, %d CPUs, %s rows in %d files. Times are medians of %d runs where a thing can be repeated.\n",
		time.Now().UTC().Format("2006-01-02"), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), thousands(b.rows), b.files, b.runs)
	s.WriteString("raw = DuckDB over plain Parquet files (never synced, no catalog), with rules written into its statement by hand; DuckLake = DuckDB's own extension on a SQLite catalog. Machines differ: read the ratios.\n\n")
	s.WriteString("| what | ours | raw | ours/raw | DuckLake | ours/DuckLake | target | |\n|---|--:|--:|--:|--:|--:|---|---|\n")
	for _, r := range b.out {
		ratio := func(p float64) string {
			if p == 0 {
				return "–"
			}
			return fmt.Sprintf("%.2f", r.ours/p)
		}
		v := ""
		if r.target != "" {
			v = verdict(r)
		}
		if r.free > 0 {
			v = fmt.Sprintf("%s (%.2f of ours without rules, %s)", v, r.ours/r.free, number(r.free, r.unit))
		}
		if r.wrong != "" {
			v = "WRONG: " + r.wrong
		}
		fmt.Fprintf(&s, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", r.name, number(r.ours, r.unit), number(r.raw, r.unit), ratio(r.raw), number(r.lake, r.unit), ratio(r.lake), r.target, v)
	}
	return s.String()
}

func thousands(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
