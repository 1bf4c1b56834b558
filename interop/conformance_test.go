package interop

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/engine"
)

// TestConformance replays the reference implementation's own test files, where
// they are at hand (ST_LAKE_TESTS names their folder; make conformance
// LAKE_TESTS=dir). DuckDB executes everything; each SELECT outside a
// transaction is answered by our reader too, on the foreign lake at its head,
// and must give the same rows or be refused with a clear error.
func TestConformance(t *testing.T) {
	dir := os.Getenv("ST_LAKE_TESTS")
	if dir == "" {
		t.Skip("ST_LAKE_TESTS names no folder with the reference implementation's tests")
	}
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, ".test") {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	total := newTally()
	for _, path := range files {
		name, _ := filepath.Rel(dir, path)
		t.Run(name, func(t *testing.T) {
			r := &replay{t: t, tally: newTally()}
			r.run(path)
			total.add(r.tally)
			t.Log(r.tally)
		})
	}
	t.Logf("%d files: %v", len(files), total)
	for why, n := range total.skipped {
		t.Logf("%5d × %s", n, why)
	}
}

// tally counts what became of files and queries.
type tally struct {
	ran, passed, failed int
	skipped             map[string]int // by reason
}

func newTally() *tally { return &tally{skipped: map[string]int{}} }

func (c *tally) add(o *tally) {
	c.ran, c.passed, c.failed = c.ran+o.ran, c.passed+o.passed, c.failed+o.failed
	for why, n := range o.skipped {
		c.skipped[why] += n
	}
}

func (c *tally) String() string {
	n := 0
	for _, k := range c.skipped {
		n += k
	}
	return fmt.Sprintf("%d files run, %d queries passed, %d failed, %d skipped", c.ran, c.passed, c.failed, n)
}

// replay runs one file.
type replay struct {
	*tally
	t    *testing.T
	home string
	conn engine.Conn
	open bool // inside a transaction of DuckDB's
}

// lakeName is what the files call the lake that they attach.
const lakeName = "ducklake"

func (r *replay) run(path string) {
	f, err := readSQLLogic(path)
	if err != nil {
		r.t.Fatal(err)
	}
	if f.unsupported != "" {
		r.skipped[f.unsupported]++
		return
	}
	r.home = r.t.TempDir()
	folder := filepath.Join(r.home, "default", lakeName)
	if err := os.MkdirAll(folder, 0o777); err != nil {
		r.t.Fatal(err)
	}
	j, err := startJudge()
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = j.end() }()
	if r.conn, err = j.open(); err != nil {
		r.t.Fatal(err)
	}
	r.ran++
	vars := map[string]string{
		"DUCKLAKE_CONNECTION": "sqlite:" + filepath.Join(folder, "catalog.db"), "DATA_PATH": folder, "TEST_DIR": folder, "__TEST_DIR__": folder, "UUID": "lake",
	}
	for _, s := range f.steps {
		s.sql = strings.ReplaceAll(fill(s.sql, vars), "__TEST_DIR__", folder)
		if !r.step(s) {
			return
		}
	}
}

var dataPath = regexp.MustCompile(`(?i)DATA_PATH\s+'([^']+)'`)

// step runs one step; false ends the file.
func (r *replay) step(s sqllogic) bool {
	switch s.kind {
	case "restart":
		r.skipped["after a restart"]++
		return false
	case "query":
		r.query(s)
		return true
	}
	if m := dataPath.FindStringSubmatch(s.sql); m != nil {
		_ = os.MkdirAll(m[1], 0o777)
	}
	err := r.conn.Exec(context.Background(), s.sql)
	if err != nil && s.arg == "ok" {
		r.skipped["DuckDB itself: "+reason(err)]++
		return false
	}
	switch first := strings.ToUpper(strings.Fields(s.sql + " ;")[0]); first {
	case "BEGIN", "START":
		r.open = true
	case "COMMIT", "ROLLBACK", "END", "ABORT":
		r.open = false
	}
	return true
}

// query compares the two answers.
func (r *replay) query(s sqllogic) {
	theirs, terr := r.theirs(s.sql)
	sql := strings.TrimSpace(s.sql)
	head := strings.ToUpper(strings.Fields(sql + " ;")[0])
	switch {
	case terr != nil:
		r.skipped["DuckDB itself: "+reason(terr)]++
		return
	case r.open:
		r.skipped["inside a transaction"]++
		return
	case head != "SELECT" && head != "FROM" && head != "WITH":
		r.skipped["no SELECT: "+head]++
		return
	}
	ours, err := r.ours(sql)
	if err != nil {
		kind := supertable.KindOf(err)
		if kind == supertable.Internal || kind == supertable.Corrupt {
			r.failed++
			r.t.Errorf("line %d: %s\n%s: %v", s.line, sql, kind, err)
			return
		}
		r.skipped[string(kind)+": "+reason(err)]++
		return
	}
	if !slices.Equal(ours, theirs) {
		r.failed++
		r.t.Errorf("line %d: %s\nours:   %v\ntheirs: %v", s.line, sql, cutList(ours), cutList(theirs))
		return
	}
	r.passed++
}

func cutList(list []string) []string {
	if len(list) > 20 {
		return append(list[:20:20], fmt.Sprintf("… %d in all", len(list)))
	}
	return list
}

var names = regexp.MustCompile(`"[^"]*"|'[^']*'|\d+|[\w/]*/[\w./]+`)

// reason is an error without its names and numbers, so that like ones count together.
func reason(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\n")
	text = names.ReplaceAllString(text, "…")
	if len(text) > 90 {
		text = text[:90] + "…"
	}
	return text
}

func (r *replay) theirs(sql string) ([]string, error) {
	rr, err := r.conn.Query(context.Background(), sql, nil)
	if err != nil {
		return nil, err
	}
	defer rr.Release()
	var out []string
	for rr.Next() {
		out = append(out, batchLines(rr.RecordBatch())...)
	}
	sort.Strings(out)
	return out, rr.Err()
}

// ours answers on the lake as a foreign one, opened anew: nothing is cached.
func (r *replay) ours(sql string) ([]string, error) {
	ctx := context.Background()
	lake, err := supertable.Open(ctx, r.home, &supertable.Options{MemoryBytes: 256 << 20})
	if err != nil {
		return nil, err
	}
	defer func() { _ = lake.Close() }()
	st, err := lake.SuperTable(ctx, "default", lakeName)
	if err != nil {
		return nil, err
	}
	s, err := st.Session(ctx, supertable.Superuser)
	if err != nil {
		return nil, err
	}
	rows, err := s.Query(ctx, sql, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		out = append(out, batchLines(rows.Batch())...)
	}
	sort.Strings(out)
	return out, rows.Err()
}

// batchLines gives the rows of a batch as text, without memory of its own.
func batchLines(b arrow.RecordBatch) []string {
	out := make([]string, b.NumRows())
	for i := range out {
		cells := make([]string, b.NumCols())
		for k := range cells {
			cells[k] = "∅"
			if col := b.Column(k); !col.IsNull(i) {
				cells[k] = fmt.Sprintf("%q", col.ValueStr(i))
			}
		}
		out[i] = strings.Join(cells, "|")
	}
	return out
}
