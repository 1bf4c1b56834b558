package audit

import (
	"context"
	"time"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/internal/errs"
)

// Verification is what was found about the chain of a SuperTable.
type Verification struct {
	Valid       bool
	Records     int64
	Head        string // as it follows from the last record
	FirstBroken *int64 // the number of the first record that is wrong or missing
}

// verifier walks rows in their order. It is a pure function of them.
type verifier struct {
	head    catalog.AuditHead
	seq     int64  // of the last row
	before  string // what the next row's hash has to follow
	result  Verification
	present bool // Wanted was seen
	wanted  string
}

func newVerifier(head catalog.AuditHead, wanted string) *verifier {
	v := &verifier{head: head, seq: head.TrimmedSeq, before: head.TrimmedHash, wanted: wanted, present: wanted == "" || wanted == head.TrimmedHash}
	v.result.Head = head.TrimmedHash
	return v
}

func (v *verifier) broken(seq int64) {
	if v.result.FirstBroken == nil {
		v.result.FirstBroken = &seq
	}
}

// add takes the next row. After a broken link it goes on from the hash that
// the link itself claims.
func (v *verifier) add(row catalog.AuditRow) {
	v.result.Records++
	if row.Seq != v.seq+1 {
		v.broken(min(v.seq+1, row.Seq)) // one is missing, or one stands where all were trimmed
	}
	v.result.Head = hash(v.before, row)
	if v.result.Head != row.Hash || !honest(row) {
		v.broken(row.Seq)
	}
	v.present = v.present || row.Hash == v.wanted
	v.seq, v.before = row.Seq, row.Hash
}

// honest reports whether the copies beside the content are those of the content.
func honest(row catalog.AuditRow) bool {
	r, err := parse(row)
	return err == nil && r.Principal == row.Principal && catalog.FormatTime(r.Time) == row.Time
}

// end compares the last row with the head that stands in another place.
func (v *verifier) end() Verification {
	switch {
	case v.seq < v.head.Seq:
		v.broken(v.seq + 1) // cut off
	case v.seq > v.head.Seq:
		v.broken(v.head.Seq + 1) // put on
	case v.before != v.head.Hash:
		v.broken(v.seq) // the last link is another one
	}
	v.result.Valid = v.result.FirstBroken == nil && v.present
	return v.result
}

// Verify walks the whole chain in one state of the catalog and in little
// memory. A wanted head, noted from an earlier verification, has to be in it:
// that finds a chain that was rebuilt as a whole; "" wants none.
func Verify(ctx context.Context, v *catalog.View, wanted string) (Verification, error) {
	head, err := v.AuditHead(ctx)
	if err != nil {
		return Verification{}, err
	}
	walk := newVerifier(head, wanted)
	err = v.AuditRows(ctx, catalog.AuditQuery{}, func(row catalog.AuditRow) error {
		walk.add(row)
		return nil
	})
	return walk.end(), err
}

// Trim removes the oldest records, those that ended before the time. What is
// broken is kept, as evidence.
func Trim(ctx context.Context, c *catalog.Catalog, before time.Time) (int64, error) {
	var upTo int64
	err := c.Read(ctx, func(v *catalog.View) (err error) {
		if upTo, err = v.AuditEnds(ctx, before); err != nil || upTo == 0 {
			return err
		}
		found, err := Verify(ctx, v, "")
		if err == nil && !found.Valid {
			err = errs.New(errs.Corrupt, "the audit is broken at record %d: nothing is trimmed", *found.FirstBroken)
		}
		return err
	})
	if err != nil || upTo == 0 {
		return 0, err
	}
	return c.TrimAudit(ctx, upTo)
}

// Records calls each with the records that q chooses.
func Records(ctx context.Context, v *catalog.View, q catalog.AuditQuery, each func(Record) error) error {
	return v.AuditRows(ctx, q, func(row catalog.AuditRow) error {
		r, err := parse(row)
		if err != nil {
			return err
		}
		return each(r)
	})
}
