package interop

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"

	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/engine"
	"github.com/supertable-go/supertable/engine/duckdb"
)

// A judge is DuckDB with the extensions in a process of its own. It must be:
// two SQLite libraries in one process do not see each other's locks, and the
// one that closes a catalog takes the locks of the other away.
type judge struct {
	mu  sync.Mutex
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	n   int // connections so far
}

// asked is one line to a judge; the answer is a line and that many bytes.
type asked struct {
	Conn int
	Op   string // open, exec, query, close
	SQL  string
}

type answered struct {
	Error string
	Bytes int
}

// judges are those that wait for a test: loading the extensions takes longer
// than most tests. A test has one for itself: an internal error ends DuckDB, and
// what it lists is of every lake attached to it.
var judges struct {
	sync.Mutex
	idle, all []*judge
	versions  string // of DuckDB and its extension
}

// takeJudge gives an idle judge that still answers, or a new one.
func takeJudge() (*judge, error) {
	judges.Lock()
	defer judges.Unlock()
	for n := len(judges.idle); n > 0; n = len(judges.idle) {
		j := judges.idle[n-1]
		judges.idle = judges.idle[:n-1]
		if c, err := j.open(); err == nil && c.Exec(context.Background(), "SELECT 1") == nil && c.Close() == nil {
			return j, nil
		}
	}
	j, err := startJudge()
	if err == nil {
		judges.all = append(judges.all, j)
	}
	if err == nil && judges.versions == "" {
		judges.versions, err = j.versions()
	}
	return j, err
}

func (j *judge) versions() (string, error) {
	c, err := j.open()
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }()
	rows, err := engine.Collect(context.Background(), c, "SELECT version(), extension_version FROM duckdb_extensions() WHERE extension_name = 'ducklake'", nil)
	if err != nil || len(rows) == 0 {
		return "", err
	}
	return fmt.Sprintf("DuckDB %s with its extension ducklake %s", rows[0]...), nil
}

func (j *judge) giveBack() {
	judges.Lock()
	defer judges.Unlock()
	judges.idle = append(judges.idle, j)
}

// startJudge runs this program again as a judge.
func startJudge() (*judge, error) {
	j := &judge{cmd: exec.Command(os.Args[0])} //nolint:gosec // ourselves, until the tests end
	j.cmd.Env = append(os.Environ(), "ST_JUDGE=1")
	j.cmd.Stderr = os.Stderr
	var err error
	if j.in, err = j.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := j.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	j.out = bufio.NewReader(out)
	return j, j.cmd.Start()
}

// ask sends a line and reads its answer.
func (j *judge) ask(a asked) ([]byte, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	line, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	if _, err := j.in.Write(append(line, '\n')); err != nil {
		return nil, err
	}
	if line, err = j.out.ReadBytes('\n'); err != nil {
		return nil, fmt.Errorf("the judge died: %w", err)
	}
	var got answered
	if err := json.Unmarshal(line, &got); err != nil {
		return nil, err
	}
	data := make([]byte, got.Bytes)
	if _, err := io.ReadFull(j.out, data); err != nil {
		return nil, err
	}
	if got.Error != "" {
		return nil, errors.New(got.Error)
	}
	return data, nil
}

func (j *judge) open() (engine.Conn, error) {
	j.mu.Lock()
	j.n++
	c := &judgeConn{judge: j, id: j.n}
	j.mu.Unlock()
	_, err := j.ask(asked{c.id, "open", ""})
	return c, err
}

func (j *judge) end() error {
	_ = j.in.Close()
	return j.cmd.Wait()
}

// judgeConn is a connection to a judge. It has what the tests need.
type judgeConn struct {
	engine.Conn // nil: the rest
	judge       *judge
	id          int
}

func (c *judgeConn) Exec(_ context.Context, sql string) error {
	_, err := c.judge.ask(asked{c.id, "exec", sql})
	return err
}

func (c *judgeConn) Query(_ context.Context, sql string, _ map[string]any) (array.RecordReader, error) {
	data, err := c.judge.ask(asked{c.id, "query", sql})
	if err != nil {
		return nil, err
	}
	return ipc.NewReader(bytes.NewReader(data))
}

func (c *judgeConn) Close() error {
	_, err := c.judge.ask(asked{c.id, "close", ""})
	return err
}

func TestMain(m *testing.M) {
	if os.Getenv("ST_JUDGE") != "" {
		if err := serve(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "judge:", err)
			os.Exit(1)
		}
		return
	}
	code := m.Run()
	for _, j := range judges.all {
		_ = j.end() // one that an internal error ended says so
	}
	if err := saveResults(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// serve is what a judge does until its input ends.
func serve(in io.Reader, out io.Writer) error {
	db, err := openDuckDB()
	if err != nil {
		return err
	}
	ctx := context.Background()
	conns := map[int]engine.Conn{}
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return nil //nolint:nilerr // the tests have ended
		}
		var a asked
		if err := json.Unmarshal(line, &a); err != nil {
			return err
		}
		var data bytes.Buffer
		switch a.Op {
		case "open":
			conns[a.Conn], err = db.Conn(ctx)
		case "exec":
			err = conns[a.Conn].Exec(ctx, a.SQL)
		case "query":
			err = query(ctx, conns[a.Conn], a.SQL, &data)
		default:
			err = conns[a.Conn].Close()
			delete(conns, a.Conn)
		}
		got := answered{Bytes: data.Len()}
		if err != nil {
			got = answered{Error: err.Error()}
			data.Reset()
		}
		head, err := json.Marshal(got)
		if err != nil {
			return err
		}
		if _, err := out.Write(append(append(head, '\n'), data.Bytes()...)); err != nil {
			return err
		}
	}
}

// query writes the result as an Arrow stream.
func query(ctx context.Context, c engine.Conn, sql string, out io.Writer) error {
	rr, err := c.Query(ctx, sql, nil)
	if err != nil {
		return err
	}
	defer rr.Release()
	w := ipc.NewWriter(out, ipc.WithSchema(rr.Schema()))
	for rr.Next() {
		if err := w.Write(rr.RecordBatch()); err != nil {
			return err
		}
	}
	if err := rr.Err(); err != nil {
		return err
	}
	return w.Close()
}

// extensions is the folder of the extensions.
func extensions() (string, error) {
	dir := os.Getenv("ST_EXTENSIONS")
	if dir == "" {
		dir = filepath.Join("..", ".cache", "extensions")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for _, name := range []string{"sqlite_scanner", "ducklake"} {
		if _, err := os.Stat(filepath.Join(dir, name+".duckdb_extension")); err != nil {
			return "", fmt.Errorf("the DuckDB extension %s is not in %s: run `make deps` (or set ST_EXTENSIONS): %w", name, dir, err)
		}
	}
	return dir, nil
}

// openDuckDB opens an instance with the extensions.
func openDuckDB() (*duckdb.DB, error) {
	dir, err := extensions()
	if err != nil {
		return nil, err
	}
	db, err := duckdb.Open(engine.Options{MemoryBytes: 512 << 20, Threads: 1}) // a second one doubles the work on lakes so small
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	c, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	for _, name := range []string{"sqlite_scanner", "ducklake"} { // ducklake needs the other one
		if err := c.Exec(ctx, "LOAD "+datafile.QuoteText(filepath.Join(dir, name+".duckdb_extension"))); err != nil {
			return nil, err
		}
	}
	return db, nil
}
