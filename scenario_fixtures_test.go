package supertable_test

import (
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/examples/dummydata"
)

// demo is one of the documented demo tables, 1 to 7. The caller releases it.
func demo(t testing.TB, ds int) array.RecordReader {
	t.Helper()
	rr, err := dummydata.Rows(ds)
	if err != nil {
		t.Fatal(err)
	}
	return rr
}

// write writes a stream, releases it and fails the test on an error.
func write(t testing.TB, s *supertable.Session, table string, rr array.RecordReader, o *supertable.WriteOptions) supertable.WriteResult {
	t.Helper()
	defer rr.Release()
	res, err := s.Write(t.Context(), table, rr, o)
	if err != nil {
		t.Fatalf("write %s: %v", table, err)
	}
	return res
}
