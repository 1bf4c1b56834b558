package catalog

import (
	"slices"
	"sync"

	"github.com/supertable-go/supertable/datafile"
)

// schemaCache keeps what the tables of the newest schema version look like:
// the format gives each schema another version, so what was read under one
// holds for as long as it is the head's. What stands on changes that may be
// rolled back is not kept.
type schemaCache struct {
	mu      sync.Mutex
	version int64
	tables  map[string]Table            // by name as it was asked for
	columns map[int64][]datafile.Column // by table
	nextID  map[int64]int64             // by table
}

func (s *schemaCache) at(version int64) bool { return s.version == version && s.tables != nil }

// turn makes room for another version.
func (s *schemaCache) turn(version int64) {
	if !s.at(version) {
		s.version, s.tables, s.columns, s.nextID = version, map[string]Table{}, map[int64][]datafile.Column{}, map[int64]int64{}
	}
}

// schemas gives the cache when the view's head may use it for snapshot at.
func (v *View) schemas(at int64) *schemaCache {
	if v.c == nil || v.c.foreign || at != v.Head.ID {
		return nil
	}
	return &v.c.schemas
}

func (v *View) knownTable(name string, at int64) (t Table, ok bool) {
	if s := v.schemas(at); s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.at(v.Head.SchemaVersion) {
			t, ok = s.tables[name]
		}
	}
	return t, ok
}

func (v *View) knownColumns(table, at int64) (out []datafile.Column, ok bool) {
	if s := v.schemas(at); s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.at(v.Head.SchemaVersion) {
			out, ok = s.columns[table]
		}
	}
	return cloneColumns(out), ok
}

func (v *View) knownNextID(table int64) (id int64, ok bool) {
	if s := v.schemas(v.Head.ID); s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.at(v.Head.SchemaVersion) {
			id, ok = s.nextID[table]
		}
	}
	return id, ok
}

// keep stores what was read at the view's head.
func (v *View) keep(at int64, store func(*schemaCache)) {
	s := v.schemas(at)
	if s == nil || v.settled != nil && *v.settled != v.Head.SchemaVersion {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if v.Head.SchemaVersion >= s.version { // an old reader does not turn it back
		s.turn(v.Head.SchemaVersion)
		store(s)
	}
}

func cloneColumns(cols []datafile.Column) []datafile.Column {
	out := slices.Clone(cols)
	for i := range out {
		out[i].Type = out[i].Type.Clone()
	}
	return out
}
