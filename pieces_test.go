package supertable_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/testdb"
)

// TestCompactInPieces: a compaction that is called off in the middle has done
// whole pieces, every snapshot answers as before, and the next one does the rest.
func TestCompactInPieces(t *testing.T) {
	var left atomic.Int64 // readings of the clock until the call is called off
	var stop atomic.Pointer[context.CancelFunc]
	clock := func() time.Time {
		if cancel := stop.Load(); cancel != nil && left.Add(-1) == 0 {
			(*cancel)()
		}
		return time.Now()
	}
	k := keptAt(t, t.TempDir(), &supertable.Options{MemoryBytes: 512 << 20, Now: clock, InlineRows: -1})
	k.option("", "inline_delete_limit", "0")
	const files = 30
	going := "["
	for i := range files {
		k.add("t", fmt.Sprintf(`[{"k":%d,"v":"a"},{"k":%d,"v":"b"},{"k":%d,"v":"c"}]`, i, i+100, i+200))
		going += fmt.Sprintf(`{"k":%d},`, i+100)
	}
	k.remove("t", going[:len(going)-1]+"]")
	k.wantShape("t", files, 3*files, files)
	before := k.answers()
	inTheMiddle := 0
	for n := int64(5); n < 1000; n += 7 {
		ctx, cancel := context.WithCancel(t.Context())
		left.Store(n)
		stop.Store(&cancel)
		_, err := k.Compact(ctx, "t", nil)
		stop.Store(nil)
		cancel()
		now, rows, dead := k.shape("t")
		if rows-dead != 2*files {
			t.Fatalf("after %d: %d rows, %d of them dead", n, rows, dead)
		}
		k.same(fmt.Sprint("called off after ", n), before, k.answers())
		if err == nil {
			break
		}
		if supertable.KindOf(err) != supertable.Cancelled {
			t.Fatal(err)
		}
		if dead > 0 && dead < files || dead == 0 && now > 1 {
			inTheMiddle++
		}
	}
	if inTheMiddle == 0 {
		t.Error("no call was called off in the middle")
	}
	k.compact("t")
	k.wantShape("t", 1, 2*files, 0)
	k.same("the rest", before, k.answers())
	k.check()
}

// TestExpireInsideInPieces: rows that nobody sees any more leave the catalog,
// however many there are, and no other row does.
func TestExpireInsideInPieces(t *testing.T) {
	k := keptAt(t, t.TempDir(), testdb.Inside())
	rows := func(v string) string {
		s := "["
		for i := range 200 {
			s += fmt.Sprintf(`{"k":%d,"v":%q},`, i, v)
		}
		return s[:len(s)-1] + "]"
	}
	for i := range 30 {
		k.put("t", rows(fmt.Sprint(i)))
	}
	if n := k.count("SELECT count(*) FROM ducklake_inlined_data_1_1"); n != 6000 {
		t.Fatalf("%d rows inside", n)
	}
	before := k.answers()
	k.expire(2)
	k.same("expiry", before, k.answers())
	if n := k.count("SELECT count(*) FROM ducklake_inlined_data_1_1"); n != 400 {
		t.Errorf("%d rows inside are left", n)
	}
	k.check()
}
