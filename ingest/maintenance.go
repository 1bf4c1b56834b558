package ingest

import (
	"strings"

	"github.com/supertable-go/supertable/catalog"
)

// Merged gives every option that holds: a table's own setting, else the
// SuperTable's, else the default.
func Merged(super, table map[string]string) map[string]int64 { return mergeOptions(super, table) }

// superOnly are options that are the SuperTable's alone: snapshots and the
// data folder belong to all tables.
var superOnly = []string{"background_maintenance", "clean_grace", catalog.SyncOption, "expire_keep_last", "expire_older_than"}

// SuperOnly reports whether an option cannot be set for one table.
func SuperOnly(name string) bool {
	for _, o := range superOnly {
		if strings.EqualFold(o, name) {
			return true
		}
	}
	return false
}
