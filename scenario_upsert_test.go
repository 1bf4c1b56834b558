package supertable_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/testdb"
)

// random gives a source of random numbers; ST_SEED repeats a run.
func random(t testing.TB) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("ST_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seed = n
	}
	t.Logf("ST_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// keyed makes rows that carry one key in three forms: a number, a text, and a
// pair of columns.
func keyed(ids []int64, v int64) array.RecordReader {
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "id", Type: arrow.PrimitiveTypes.Int64},
		{Name: "name", Type: arrow.BinaryTypes.String},
		{Name: "a", Type: arrow.PrimitiveTypes.Int32},
		{Name: "b", Type: arrow.BinaryTypes.String},
		{Name: "v", Type: arrow.PrimitiveTypes.Int64},
	}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	for _, id := range ids {
		b.Field(0).(*array.Int64Builder).Append(id)
		b.Field(1).(*array.StringBuilder).Append(fmt.Sprintf("key-%08d", id*7919%1_000_003)) // in no order
		b.Field(2).(*array.Int32Builder).Append(int32(id % 1000))
		b.Field(3).(*array.StringBuilder).Append(strconv.FormatInt(id/1000, 36))
		b.Field(4).(*array.Int64Builder).Append(v)
	}
	rec := b.NewRecordBatch()
	defer rec.Release()
	rr, err := array.NewRecordReader(schema, []arrow.RecordBatch{rec})
	if err != nil {
		panic(err)
	}
	return rr
}

// TestUpsertLeavesNoDuplicates replaces 1 % of the rows of a table of many
// files, by random keys: afterwards there are as many rows as before, each
// with a key of its own. The documented package left the old rows behind.
func TestUpsertLeavesNoDuplicates(t *testing.T) {
	const perFile = 10_000
	fileCount := 100
	if testing.Short() {
		fileCount = 20
	}
	rnd := random(t)
	s := testdb.Open(t).Session("main")
	total := fileCount * perFile
	order := rnd.Perm(total) // every file holds keys of the whole range: nothing can be skipped
	for f := range fileCount {
		ids := make([]int64, perFile)
		for i := range ids {
			ids[i] = int64(order[f*perFile+i])
		}
		write(t, s, "t", keyed(ids, 0), nil)
	}
	for round, key := range [][]string{{"id"}, {"name"}, {"a", "b"}} {
		ids := make([]int64, total/100)
		for i, id := range rnd.Perm(total)[:len(ids)] {
			ids[i] = int64(id)
		}
		r := write(t, s, "t", keyed(ids, int64(round+1)), &supertable.WriteOptions{Key: key})
		if n := int64(len(ids)); r.Inserted != n || r.Deleted != n {
			t.Errorf("key %v: %+v, want %d inserted and deleted", key, r, n)
		}
		got := testdb.Query(t, s, fmt.Sprintf("select count(*), count(distinct id), count(distinct name), count(distinct (a, b)), count(case when v = %d then 1 end) from t", round+1), nil)
		if want := fmt.Sprintf("%d|%d|%d|%d|%d", total, total, total, total, len(ids)); got != want {
			t.Errorf("key %v: rows and distinct keys %s, want %s", key, got, want)
		}
	}
	got := testdb.Query(t, s, "select count(*), sum(v) from t at (version => "+strconv.Itoa(fileCount)+")", nil)
	if want := fmt.Sprintf("%d|0", total); got != want {
		t.Errorf("before the upserts: %s, want %s", got, want)
	}
}
