package supertable

import (
	"context"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/monitor"
	"github.com/supertable-go/supertable/rbac"
)

// HistoryOptions of Session.HistoryOf. Nil and the zero value mean the defaults.
type HistoryOptions struct {
	// Limit is how many changes to list, the newest ones. What it costs depends
	// on them and not on the length of the history. 0 lists them all.
	Limit int64
}

// History lists changes, newest first: of one table, or of all when table is
// "", those of streams (__x__) aside. The counts of a table of which the principal sees some rows only are
// withheld, and those of another client's change that can no longer be counted.
func (s *Session) History(ctx context.Context, table string) ([]HistoryEntry, error) {
	return s.HistoryOf(ctx, table, nil)
}

// HistoryOf is History with options. A negative limit is InvalidArgument.
func (s *Session) HistoryOf(ctx context.Context, table string, o *HistoryOptions) (_ []HistoryEntry, err error) {
	defer s.guarded(ctx, "history", table)(&err)
	if o == nil {
		o = &HistoryOptions{}
	}
	if o.Limit < 0 {
		return nil, errs.New(errs.InvalidArgument, "a limit cannot be negative")
	}
	if err := s.st.catalog.CatchUp(ctx); err != nil {
		return nil, err
	}
	out := []HistoryEntry{}
	err = s.withView(ctx, func(v *catalog.View, g rbac.Grant) error {
		var id int64
		if table != "" {
			t, err := s.table(ctx, v, g, table)
			if err != nil {
				return err
			}
			id = t.ID
		}
		if s.st.catalog.Foreign() {
			return nil // nobody kept one
		}
		names, err := v.LastTableNames(ctx)
		if err != nil {
			return err
		}
		sees := shownChanges{g: g, streams: table != "", names: names, known: map[namedTable]told{}}
		return v.History(ctx, id, func(e catalog.Entry) (more bool, err error) {
			show := sees.of(e.TableID, e.Table)
			if !show.any {
				return true, nil
			}
			from, err := lineage(e.Lineage)
			if err != nil {
				return false, err
			}
			entry := HistoryEntry{Snapshot: e.Snapshot, Version: e.Version, Time: e.Time, Table: e.Table, Operation: e.Operation, Inserted: e.Inserted, Deleted: e.Deleted, Principal: e.Principal, Message: e.Message, Lineage: from}
			if !show.counts || e.Uncounted {
				entry.Inserted, entry.Deleted, entry.Withheld = 0, 0, true
			}
			out = append(out, entry)
			return o.Limit == 0 || int64(len(out)) < o.Limit, nil
		})
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// shownChanges says what the principal is shown of changes. A history has many
// of few tables: each is judged once.
type shownChanges struct {
	g       rbac.Grant
	streams bool             // their changes too
	names   map[int64]string // of tables now, or when they were dropped
	known   map[namedTable]told
}

type namedTable struct {
	id   int64
	name string // at the change
}

type told struct{ any, counts bool }

func (s *shownChanges) of(id int64, name string) told {
	key := namedTable{id, name}
	show, ok := s.known[key]
	if ok {
		return show
	}
	now, there := s.names[id]
	if !there { // its snapshots are gone
		now = name
	}
	show.any = visible(s.g, name) && visible(s.g, now) && (s.streams || !monitor.SystemTable(name))
	show.counts = s.g.AllRows(rbac.Meta, name) && s.g.AllRows(rbac.Meta, now)
	s.known[key] = show
	return show
}
