package faulty

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/testdb"
)

var schema = arrow.NewSchema([]arrow.Field{{Name: "k", Type: arrow.PrimitiveTypes.Int64}, {Name: "v", Type: arrow.BinaryTypes.String}}, nil)

// rowsOf makes n rows with the keys from and up; tag tells writes apart.
// The texts do not compress well.
func rowsOf(from, n int, tag string) arrow.RecordBatch {
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	x := uint64(from)*2654435761 + 1
	for i := range n {
		x = x*6364136223846793005 + 1442695040888963407
		b.Field(0).(*array.Int64Builder).Append(int64(from + i))
		b.Field(1).(*array.StringBuilder).Append(fmt.Sprintf("%s-%016x", tag, x))
	}
	return b.NewRecordBatch()
}

func put(ctx context.Context, s *supertable.Session, table string, from, n int, tag string, o *supertable.WriteOptions) (supertable.WriteResult, error) {
	rec := rowsOf(from, n, tag)
	defer rec.Release()
	rr, err := array.NewRecordReader(schema, []arrow.RecordBatch{rec})
	if err != nil {
		return supertable.WriteResult{}, err
	}
	defer rr.Release()
	return s.Write(ctx, table, rr, o)
}

func mustPut(t *testing.T, s *supertable.Session, table string, from, n int, tag string, o *supertable.WriteOptions) supertable.WriteResult {
	t.Helper()
	r, err := put(t.Context(), s, table, from, n, tag, o)
	if err != nil {
		t.Fatalf("write %s: %v", table, err)
	}
	return r
}

var byKey = &supertable.WriteOptions{Key: []string{"k"}}

// open opens a home; it is closed at the end, and not checked.
func open(t *testing.T, home string, o supertable.Options) *supertable.Lake {
	t.Helper()
	if o.MemoryBytes == 0 {
		o.MemoryBytes = 512 << 20
	}
	if o.InlineRows == 0 {
		o.InlineRows = -1 // what fails here are files
	}
	lake, err := supertable.Open(t.Context(), home, &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := lake.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return lake
}

func session(t *testing.T, lake *supertable.Lake) *supertable.Session {
	t.Helper()
	st, _, err := lake.Create(t.Context(), "default", "main", nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := st.Session(t.Context(), supertable.Superuser)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// root is the SuperTable's folder.
func root(home string) string { return filepath.Join(home, "default", "main") }

// state tells what is visible: the newest change and a digest of the rows.
func state(t *testing.T, s *supertable.Session, table string) string {
	t.Helper()
	h, err := s.History(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	newest := int64(0)
	if len(h) > 0 {
		newest = h[0].Snapshot
	}
	rows := testdb.Query(t, s, "SELECT count(*), count(DISTINCT k), sum(CAST(hash(k, v) >> 20 AS BIGINT)) FROM "+table, nil)
	return fmt.Sprintf("snapshot %d, rows %s", newest, rows)
}

func wantState(t *testing.T, s *supertable.Session, table, want string) {
	t.Helper()
	if got := state(t, s, table); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// wantClean checks the SuperTable deeply.
func wantClean(t *testing.T, s *supertable.Session) {
	t.Helper()
	r, err := s.Check(t.Context(), true)
	if err != nil || !r.OK {
		t.Errorf("check: %v %+v", err, r.Findings)
	}
}

// nextWrites makes one more write, at once.
func nextWrites(t *testing.T, s *supertable.Session, table string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := put(ctx, s, table, 1_000_000, 1, "next", byKey); err != nil {
		t.Fatalf("the next write: %v", err)
	}
	if got := testdb.Query(t, s, "SELECT count(*) FROM "+table+" WHERE k = 1000000", nil); got != "1" {
		t.Errorf("the next write left %s rows", got)
	}
}

func wantKind(t *testing.T, err error, kinds ...supertable.ErrorKind) {
	t.Helper()
	if !slices.Contains(kinds, supertable.KindOf(err)) {
		t.Errorf("got %v (%s), want %v", err, supertable.KindOf(err), kinds)
	}
}

// files lists the files below a folder with that suffix, oldest name first.
func files(t *testing.T, dir, suffix string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, suffix) {
			out = append(out, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}
