// Command ours lets bench/peers drive SuperTable as it drives the peers: one
// JSON command a line on standard input, one JSON answer a line on standard
// output. Times are taken in here, around the work alone.
package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/supertable-go/supertable"
)

// command is one thing to do.
type command struct {
	Op      string   `json:"op"` // open, reopen, append, rows, upsert, delete, query, history, bytes
	Dir     string   `json:"dir"`
	Files   []string `json:"files"`
	Table   string   `json:"table"` // of append and query; t when empty
	File    string   `json:"file"`
	Key     []string `json:"key"`
	N       int      `json:"n"`
	Writers int      `json:"writers"`
	SQL     string   `json:"sql"` // {t} is the table
	Filter  bool     `json:"filter"`
}

func (c command) table() string { return cmp.Or(c.Table, "t") }

// answer is what came of it.
type answer struct {
	Seconds float64 `json:"seconds"`
	Rows    [][]any `json:"rows,omitempty"`
	Value   int64   `json:"value,omitempty"`
	Error   string  `json:"error,omitempty"`
}

type server struct {
	ctx     context.Context //nolint:containedctx // the program's
	dir     string
	lake    *supertable.Lake
	st      *supertable.SuperTable
	session *supertable.Session
	viewer  *supertable.Session
}

func main() {
	s := &server{ctx: context.Background()}
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 16<<20)
	out := json.NewEncoder(os.Stdout)
	for in.Scan() {
		var c command
		a := answer{}
		err := json.Unmarshal(in.Bytes(), &c)
		if err == nil {
			a, err = s.do(c)
		}
		if err != nil {
			a.Error = err.Error()
		}
		if err := out.Encode(a); err != nil {
			return
		}
	}
	if s.lake != nil {
		_ = s.lake.Close()
	}
}

func (s *server) do(c command) (answer, error) {
	start := time.Now()
	var a answer
	var err error
	switch c.Op {
	case "open":
		err = s.open(c.Dir)
	case "reopen":
		err = s.reopen(c.Dir)
	case "append":
		for _, f := range c.Files {
			if _, err = s.session.WriteFiles(s.ctx, c.table(), []string{f}, nil); err != nil {
				break
			}
		}
	case "rows":
		err = s.rows(c.N, c.Writers)
	case "upsert":
		_, err = s.session.WriteFiles(s.ctx, "t", []string{c.File}, &supertable.WriteOptions{Key: c.Key})
	case "delete":
		_, err = s.session.WriteFiles(s.ctx, "t", []string{c.File}, &supertable.WriteOptions{Key: c.Key, DeleteOnly: true})
	case "query":
		a.Rows, err = s.query(c)
	case "history":
		var list []supertable.HistoryEntry
		list, err = s.session.History(s.ctx, "small")
		a.Value = int64(len(list))
	case "bytes":
		a.Value = folderBytes(s.dir)
	default:
		err = fmt.Errorf("unknown command %q", c.Op)
	}
	a.Seconds = time.Since(start).Seconds()
	return a, err
}

// reopen opens what another process made.
func (s *server) reopen(dir string) error {
	s.dir = dir
	var err error
	if s.lake, err = supertable.Open(s.ctx, dir, nil); err != nil {
		return err
	}
	if s.st, _, err = s.lake.Create(s.ctx, "bench", "lake", nil); err != nil {
		return err
	}
	s.session, err = s.st.Session(s.ctx, supertable.Superuser)
	return err
}

func (s *server) open(dir string) error {
	if err := s.reopen(dir); err != nil {
		return err
	}
	role, err := s.session.CreateRole(s.ctx, []byte(`{"role":"reader","tables":["t"],"columns":["id","grp","uid","amount","ts","tag"],"filters":{"tag":{"operation":"<","value":50}}}`))
	if err != nil {
		return err
	}
	if _, err := s.session.CreateUser(s.ctx, "viewer", []string{role}, nil); err != nil {
		return err
	}
	s.viewer, err = s.st.Session(s.ctx, "viewer")
	return err
}

// rows appends n single rows, each durable, from several writers.
func (s *server) rows(n, writers int) error {
	schema := arrow.NewSchema([]arrow.Field{{Name: "id", Type: arrow.PrimitiveTypes.Int64}, {Name: "note", Type: arrow.BinaryTypes.String}}, nil)
	var wg sync.WaitGroup
	errs := make(chan error, writers)
	for w := range writers {
		wg.Go(func() {
			for i := w; i < n; i += writers {
				rec, _, err := array.RecordFromJSON(memory.DefaultAllocator, schema, strings.NewReader(fmt.Sprintf(`[{"id":%d,"note":"row %d"}]`, i, i)))
				if err == nil {
					var rr array.RecordReader
					if rr, err = array.NewRecordReader(schema, []arrow.RecordBatch{rec}); err == nil {
						_, err = s.session.Write(s.ctx, "small", rr, nil)
						rr.Release()
					}
				}
				if err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

func (s *server) query(c command) ([][]any, error) {
	session := s.session
	if c.Filter {
		session = s.viewer
	}
	rows, err := session.Query(s.ctx, strings.ReplaceAll(c.SQL, "{t}", c.table()), nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out [][]any
	for rows.Next() {
		b := rows.Batch()
		for i := range int(b.NumRows()) {
			row := make([]any, b.NumCols())
			for k := range row {
				if col := b.Column(k); !col.IsNull(i) {
					row[k] = strings.Clone(col.ValueStr(i))
				}
			}
			out = append(out, row)
		}
	}
	return out, rows.Err()
}

func folderBytes(dir string) int64 {
	var n int64
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			if info, err := d.Info(); err == nil {
				n += info.Size()
			}
		}
		return nil
	})
	return n
}
