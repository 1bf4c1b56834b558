package crash

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/supertable-go/supertable"
)

// TestMain turns the test binary into a writer when the parent asks for one.
func TestMain(m *testing.M) {
	if os.Getenv("ST_CRASH_HOME") == "" {
		os.Exit(m.Run())
	}
	if err := write(); err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
}

// opened opens the home of a child process and gives its session. Who is not
// killed closes the lake.
func opened(ctx context.Context, o supertable.Options) (*supertable.Lake, *supertable.Session, error) {
	o.MemoryBytes = 256 << 20
	lake, err := supertable.Open(ctx, os.Getenv("ST_CRASH_HOME"), &o)
	if err != nil {
		return nil, nil, err
	}
	st, _, err := lake.Create(ctx, "default", "main", nil)
	if err != nil {
		return nil, nil, err
	}
	s, err := st.Session(ctx, supertable.Superuser)
	return lake, s, err
}

// row is a row of the table under test.
type row struct{ k, v int64 }

// operation is step i of a history: a pure function of seed and i, so that
// the writer and the parent know it both.
type operation struct {
	kind   string // append, upsert, delete, delete-all, add, rename, csv, files, drop, cast, inline, sync, keep
	rows   []row
	column string
}

func step(seed uint64, i int) operation {
	r := rand.New(rand.NewPCG(seed, uint64(i)))
	rows := func(n, keys int) []row {
		out := make([]row, n)
		for x := range out {
			out[x] = row{int64(r.IntN(keys)), int64(i*1_000_000 + x)}
		}
		return out
	}
	if i == 0 {
		return operation{kind: "append", rows: rows(5000, 4000)}
	}
	switch r.IntN(27) {
	case 0, 1, 2:
		return operation{kind: "append", rows: rows(1+r.IntN(20), 4000)}
	case 3:
		return operation{kind: "append", rows: rows([]int{20_000, 50_000}[r.IntN(2)], 4000)}
	case 4, 5, 6, 7, 8:
		return operation{kind: "upsert", rows: rows(1+r.IntN(50), 4000)}
	case 9, 10:
		return operation{kind: "upsert", rows: rows(2500, 4000)}
	case 11, 12, 13:
		return operation{kind: "delete", rows: rows(1+r.IntN(50), 4000)}
	case 14:
		return operation{kind: "delete-all"}
	case 15:
		return operation{kind: "add", column: fmt.Sprintf("extra_%d", i)}
	case 16, 17:
		return operation{kind: "csv", rows: rows(1+r.IntN(500), 4000)}
	case 18:
		return operation{kind: "drop"}
	case 19:
		return operation{kind: "sync", column: []string{"0", "0", ""}[r.IntN(3)]}
	case 20:
		return operation{kind: "inline", column: []string{"0", "0", "30", ""}[r.IntN(4)]}
	case 21:
		return operation{kind: "files", rows: rows(1+r.IntN(3000), 4000)}
	case 22:
		return operation{kind: "rename", column: fmt.Sprintf("renamed_%d", i)}
	case 23, 24, 25:
		return operation{kind: "keep", column: fmt.Sprint(r.IntN(len(chores)))}
	}
	return operation{kind: "cast"}
}

// model is the table's state in plain Go.
type model struct {
	rows  []row
	extra int // columns beside k and v
	gone  bool
}

func (m model) after(o operation) model {
	out := model{rows: slices.Clone(m.rows), extra: m.extra, gone: m.gone}
	hit := map[int64]bool{}
	for _, r := range o.rows {
		hit[r.k] = true
	}
	switch o.kind {
	case "append", "csv", "files":
		out.gone, out.rows = false, append(out.rows, o.rows...)
	case "upsert":
		out.rows = append(slices.DeleteFunc(out.rows, func(r row) bool { return hit[r.k] }), o.rows...)
		out.gone = false
	case "delete":
		out.rows = slices.DeleteFunc(out.rows, func(r row) bool { return hit[r.k] })
	case "delete-all":
		out.rows = nil
	case "add":
		if !out.gone {
			out.extra++
		}
	case "drop":
		return model{gone: true}
	}
	return out
}

// String is what the state is compared by.
func (m model) String() string {
	if m.gone {
		return "no table"
	}
	rows := slices.Clone(m.rows)
	slices.SortFunc(rows, func(a, b row) int {
		if a.k != b.k {
			return int(a.k - b.k)
		}
		return int(a.v - b.v)
	})
	var b strings.Builder
	fmt.Fprintf(&b, "%d columns:", 2+m.extra)
	for _, r := range rows {
		fmt.Fprintf(&b, " %d=%d", r.k, r.v)
	}
	return b.String()
}

// write is the writer: it runs operations from ST_CRASH_FROM on, and says
// before and after each one.
func write() error {
	ctx := context.Background()
	switch os.Getenv("ST_CRASH_MODE") {
	case "sweep":
		return sweep(ctx)
	case "drop":
		return createAndDrop(ctx)
	case "audit":
		return writeAndRead(ctx)
	case "return":
		return returns(ctx)
	case "stage":
		return stage(ctx)
	case "load":
		return loadStaged(ctx)
	case "log":
		return logRecords(ctx)
	case "backup", "restore", "rebuild":
		return copying(ctx, os.Getenv("ST_CRASH_MODE"))
	case "keep":
		return keep(ctx)
	case "group":
		return writeInGroups(ctx)
	case "keys":
		return upsertKeys(ctx)
	}
	seed, _ := strconv.ParseUint(os.Getenv("ST_CRASH_SEED"), 10, 64)
	from, _ := strconv.Atoi(os.Getenv("ST_CRASH_FROM"))
	to, _ := strconv.Atoi(os.Getenv("ST_CRASH_TO"))
	table := os.Getenv("ST_CRASH_TABLE")
	out := bufio.NewWriter(os.Stdout)
	say := func(word string, i int) {
		fmt.Fprintln(out, word, i)
		_ = out.Flush()
	}
	lake, s, err := opened(ctx, supertable.Options{Threads: 2, InlineRows: int(seed%2)*512 - 256}) // files, or inside the catalog
	if err != nil {
		return err
	}
	for i := from; i < to; i++ {
		say("start", i)
		if err := do(ctx, s, table, step(seed, i)); err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
		say("done", i)
	}
	return lake.Close()
}

// sweep opens the SuperTable when every lease has run out, again and again.
func sweep(ctx context.Context) error {
	for {
		later := func() time.Time { return time.Now().Add(time.Hour) }
		lake, err := supertable.Open(ctx, os.Getenv("ST_CRASH_HOME"), &supertable.Options{MemoryBytes: 256 << 20, Now: later})
		if err != nil {
			return err
		}
		if _, err := lake.SuperTable(ctx, "default", "main"); err != nil {
			return err
		}
		if err := lake.Close(); err != nil {
			return err
		}
	}
}

// createAndDrop makes a SuperTable with one table and drops it whole, again
// and again.
func createAndDrop(ctx context.Context) error {
	lake, err := supertable.Open(ctx, os.Getenv("ST_CRASH_HOME"), &supertable.Options{MemoryBytes: 256 << 20})
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		st, _, err := lake.Create(ctx, "default", "main", nil)
		if err != nil {
			return err
		}
		s, err := st.Session(ctx, supertable.Superuser)
		if err != nil {
			return err
		}
		if err := send(ctx, s, "t", []row{{int64(i), 1}}, nil); err != nil {
			return err
		}
		if err := s.DropSuperTable(ctx); err != nil {
			return err
		}
	}
}

func do(ctx context.Context, s *supertable.Session, table string, o operation) error {
	var err error
	switch o.kind {
	case "append":
		err = send(ctx, s, table, o.rows, nil)
	case "upsert":
		err = send(ctx, s, table, o.rows, &supertable.WriteOptions{Key: []string{"k"}})
	case "delete":
		err = send(ctx, s, table, o.rows, &supertable.WriteOptions{Key: []string{"k"}, DeleteOnly: true})
	case "delete-all":
		_, err = s.WriteFiles(ctx, table, nil, &supertable.WriteOptions{DeleteAll: true})
	case "csv":
		_, err = s.WriteFrom(ctx, table, strings.NewReader(csv(o.rows)), &supertable.WriteOptions{Format: "csv"})
	case "files":
		path := filepath.Join(os.Getenv("ST_CRASH_INPUT"), table+".csv")
		if err := os.WriteFile(path, []byte(csv(o.rows)), 0o666); err != nil {
			return err
		}
		_, err = s.WriteFiles(ctx, table, []string{path}, nil)
	case "inline": // how many dead rows go into the catalog, and not to delete files
		err = s.SetOption(ctx, "", "inline_delete_limit", o.column)
	case "sync": // whether each commit is synced: a killed process loses nothing either way
		err = s.SetOption(ctx, "", "commit_sync", o.column)
	case "rename":
		err = renameExtra(ctx, s, table, o.column)
	case "add":
		_, err = s.Alter(ctx, table, supertable.Alteration{Add: &supertable.AddColumn{Name: o.column, Type: "VARCHAR"}})
	case "cast": // there and back: every row is written again
		_, err = s.Alter(ctx, table, supertable.Alteration{Type: &supertable.ChangeColumnType{Name: "v", Type: "DECIMAL(20,0)", Cast: true}})
		if err == nil {
			_, err = s.Alter(ctx, table, supertable.Alteration{Type: &supertable.ChangeColumnType{Name: "v", Type: "BIGINT", Cast: true}})
		}
	case "drop":
		_, err = s.DropTable(ctx, table)
	case "keep":
		i, _ := strconv.Atoi(o.column)
		err = chores[i](ctx, s)
	}
	if supertable.KindOf(err) == supertable.NotFound { // of a table that the history dropped
		return nil
	}
	return err
}

// renameExtra renames the table's last column, when it is an added one.
func renameExtra(ctx context.Context, s *supertable.Session, table, to string) error {
	cols, err := s.Schema(ctx, table)
	if err != nil || len(cols) < 3 {
		return err
	}
	_, err = s.Alter(ctx, table, supertable.Alteration{RenameColumn: &supertable.RenameColumn{From: cols[len(cols)-1].Name, To: to}})
	return err
}

func csv(rows []row) string {
	var b strings.Builder
	b.WriteString("k,v\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "%d,%d\n", r.k, r.v)
	}
	return b.String()
}

func send(ctx context.Context, s *supertable.Session, table string, rows []row, o *supertable.WriteOptions) error {
	schema := arrow.NewSchema([]arrow.Field{{Name: "k", Type: arrow.PrimitiveTypes.Int64}, {Name: "v", Type: arrow.PrimitiveTypes.Int64}}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	for _, r := range rows {
		b.Field(0).(*array.Int64Builder).Append(r.k)
		b.Field(1).(*array.Int64Builder).Append(r.v)
	}
	rec := b.NewRecordBatch()
	defer rec.Release()
	rr, err := array.NewRecordReader(schema, []arrow.RecordBatch{rec})
	if err != nil {
		return err
	}
	defer rr.Release()
	_, err = s.Write(ctx, table, rr, o)
	return err
}
