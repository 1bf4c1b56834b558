package monitor

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/internal/errs"
)

// defaultRetention is how long the lake keeps the records that it writes of itself.
const defaultRetention = 30 * 24 * time.Hour

// Retention says how long a stream's records are kept: what its option says;
// when that is 0, 30 days for plans and stats, and for ever (0) for others.
func Retention(stream string, option time.Duration) time.Duration {
	if option == 0 && Own(stream) {
		return defaultRetention
	}
	return option
}

// PlanExpiry says which files hold nothing but records from before cutoff: they
// go whole, the others stay whole. It is a pure function. leaf is the id of
// execution_time; a file whose bounds are not known stays.
func PlanExpiry(files []catalog.File, leaf int64, cutoff time.Time) (expired []catalog.File) {
	for _, f := range files {
		st, ok := f.Stats[leaf]
		if !ok || st.Max == nil || st.NullCount > 0 {
			continue
		}
		newest, err := strconv.ParseInt(*st.Max, 10, 64)
		if err == nil && newest < cutoff.UnixMilli() {
			expired = append(expired, f)
		}
	}
	return expired
}

// Expiry is what an expiry removes, or would.
type Expiry struct {
	Table    string
	Files    int
	Rows     int64
	Snapshot int64 // that removes them; 0 when nothing was removed
}

// Expire removes the files of a stream that hold nothing but records from
// before cutoff, in one snapshot; with dry it only says which. Earlier
// snapshots still read them.
func (s *Store) Expire(ctx context.Context, principal, stream string, cutoff time.Time, dry bool) (Expiry, error) {
	out := Expiry{Table: Table(stream)}
	look := func(ctx context.Context, v *catalog.View) (*catalog.Change, error) {
		ch, e, err := planExpiry(ctx, v, out.Table, cutoff)
		if out.Files, out.Rows = e.Files, e.Rows; err != nil || ch == nil {
			return nil, err
		}
		ch.Record = catalog.Record{Operation: "expire", Deleted: e.Rows, Principal: principal}
		return ch, nil
	}
	if dry {
		err := s.Catalog.Read(ctx, func(v *catalog.View) error { _, err := look(ctx, v); return err })
		return out, err
	}
	done, err := s.Catalog.Commit(ctx, look)
	out.Snapshot = done.Snapshot
	return out, err
}

func planExpiry(ctx context.Context, v *catalog.View, table string, cutoff time.Time) (*catalog.Change, Expiry, error) {
	ro, err := v.ReadOnly(ctx)
	if err == nil && ro {
		err = errs.New(errs.Denied, "the SuperTable is read-only; make it writable with: create --read-write")
	}
	if err != nil {
		return nil, Expiry{}, err
	}
	t, err := v.Table(ctx, table, v.Head.ID)
	if errs.KindOf(err) == errs.NotFound {
		return nil, Expiry{}, nil
	}
	if err != nil {
		return nil, Expiry{}, err
	}
	cols, err := v.Columns(ctx, t.ID, v.Head.ID)
	if err != nil {
		return nil, Expiry{}, err
	}
	at := datafile.FindColumn(cols, TimeField)
	if at < 0 || !strings.HasPrefix(cols[at].Type.Name, "int") {
		return nil, Expiry{}, nil
	}
	files, err := v.Files(ctx, t, v.Head.ID, []int64{cols[at].ID})
	if err != nil {
		return nil, Expiry{}, err
	}
	var e Expiry
	ch := &catalog.Change{Table: t}
	for _, f := range PlanExpiry(files, cols[at].ID, cutoff) {
		dead := f.Inlined
		if f.Delete != nil {
			dead += f.Delete.Count
		}
		e.Files++
		e.Rows += f.Records - dead
		ch.Remove = append(ch.Remove, f.ID)
	}
	if e.Files == 0 {
		return nil, e, nil
	}
	return ch, e, nil
}
