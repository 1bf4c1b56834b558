package supertable

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/monitor"
)

// SuperMeta describes a SuperTable and its tables: live rows, files and bytes.
// The tables of streams (__x__) are no part of it, see Session.StreamStats.
type SuperMeta struct {
	Name       string      `json:"name"`
	Files      int64       `json:"files"`
	Rows       int64       `json:"rows"`
	Size       int64       `json:"size"`        // bytes
	UpdatedUTC int64       `json:"updated_utc"` // milliseconds since 1970; 0 without tables
	Tables     []TableMeta `json:"tables"`      // sorted by name
}

// TableMeta describes a table.
type TableMeta struct {
	Name       string `json:"name"`
	Files      int64  `json:"files"`
	Rows       int64  `json:"rows"`
	Size       int64  `json:"size"`
	UpdatedUTC int64  `json:"updated_utc"`
}

// TableStats describes the current state of a table.
type TableStats struct {
	SimpleName      string `json:"simple_name"`
	SnapshotVersion int64  `json:"snapshot_version"`
	LastUpdatedMs   int64  `json:"last_updated_ms"`
	Files           int64  `json:"files"`
	Rows            int64  `json:"rows"` // live ones
	Size            int64  `json:"size"`
}

// SuperMeta describes the SuperTable: the tables that the principal may see,
// and their sums. It costs what the list of tables costs, however many files
// there are.
func (s *Session) SuperMeta(ctx context.Context) (SuperMeta, error) {
	list, err := s.ordinaryTables(ctx)
	if err != nil {
		return SuperMeta{}, err
	}
	out := SuperMeta{Name: s.st.name, Tables: make([]TableMeta, 0, len(list))}
	for _, l := range list {
		t := TableMeta{Name: l.Name, Files: l.Files, Rows: l.Rows, Size: l.Bytes, UpdatedUTC: milliseconds(l.Updated)}
		out.Tables = append(out.Tables, t)
		out.Files += t.Files
		out.Rows += t.Rows
		out.Size += t.Size
		out.UpdatedUTC = max(out.UpdatedUTC, t.UpdatedUTC)
	}
	return out, nil
}

func milliseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// ordinaryTables lists the tables that the principal may see, those of streams aside.
func (s *Session) ordinaryTables(ctx context.Context) ([]TableInfo, error) {
	list, err := s.Tables(ctx)
	return slices.DeleteFunc(list, func(t TableInfo) bool { return monitor.SystemTable(t.Name) }), err
}

// TableSchema gives the columns of a table as one map from name to SQL type.
// The SuperTable's own name gives those of all its tables; where types differ,
// the one of the first table by name.
func (s *Session) TableSchema(ctx context.Context, table string) ([]map[string]string, error) {
	names, all := []string{table}, strings.EqualFold(table, s.st.name)
	if all {
		list, err := s.ordinaryTables(ctx)
		if err != nil {
			return nil, err
		}
		names = nil
		for _, l := range list {
			names = append(names, l.Name)
		}
	}
	out, seen := map[string]string{}, map[string]bool{}
	for _, name := range names {
		cols, err := s.Schema(ctx, name)
		if errs.KindOf(err) == errs.NotFound && all {
			continue // dropped meanwhile
		}
		if err != nil {
			return nil, err
		}
		for _, c := range cols {
			if key := strings.ToLower(c.Name); !seen[key] {
				seen[key], out[c.Name] = true, c.Type
			}
		}
	}
	return []map[string]string{out}, nil
}

// TableStats describes a table, or with the SuperTable's own name each of its
// tables, in their order.
func (s *Session) TableStats(ctx context.Context, table string) ([]TableStats, error) {
	list, err := s.Tables(ctx)
	if err != nil {
		return nil, err
	}
	all := strings.EqualFold(table, s.st.name)
	out := []TableStats{}
	for _, l := range list {
		if strings.EqualFold(l.Name, table) || all && !monitor.SystemTable(l.Name) {
			out = append(out, TableStats{l.Name, l.Version, milliseconds(l.Updated), l.Files, l.Rows, l.Bytes})
		}
	}
	if len(out) == 0 && !all {
		return nil, errs.New(errs.NotFound, "Table not found: %s/%s/%s", s.st.org, s.st.name, table)
	}
	return out, nil
}
