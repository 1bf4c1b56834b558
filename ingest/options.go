package ingest

import (
	"context"
	"strconv"
	"strings"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/internal/errs"
)

// OptionDefault is an option of a table or SuperTable with its default and range.
type OptionDefault struct {
	Name        string
	Value       int64
	Least, Most int64
	Seconds     bool // the value is a time
}

// OptionDefaults are the options of writing and of maintenance.
var OptionDefaults = []OptionDefault{
	{"audit_required", 0, 0, 1, false},                                // 1: a read is refused when the audit cannot be written
	{"audit_retention", 2555 * 86_400, 86_400, 36_500 * 86_400, true}, // seconds that the audit keeps a record
	{"audit_text", 1, 0, 1, false},                                    // 0: the audit keeps the hash of a query and not its text
	{"background_maintenance", 1, 0, 1, false},                        // 0 keeps the service of long-lived processes away
	{"clean_grace", 24 * 3600, 0, 10 * 365 * 24 * 3600, true},         // for which an obsolete file stays
	{catalog.SyncOption, 1, 0, 1, false},                              // 0: commits survive the process, but the newest may not survive a power failure
	{"compression_level", defaultLevel, 1, 22, false},                 // of Zstandard, when a write names none
	{"data_inlining_byte_limit", 128 << 10, 0, 16 << 20, false},       // bytes of values up to which a write stays inside the catalog
	{"data_inlining_row_limit", catalog.InlineRows, 0, 2000, false},   // rows up to which a write stays inside the catalog; 0: every write makes files
	{"expire_keep_last", 0, 0, 1 << 40, false},                        // snapshots that maintenance keeps; 0 is no such rule
	{"expire_older_than", 0, 0, 100 * 365 * 24 * 3600, true},          // age of snapshots that maintenance keeps; 0 is no such rule
	{"flush_rows", 10_000, 1, 1 << 40, false},                         // rows inside the catalog from which on they go to files
	{"flush_dead_rows", 1000, 1, 1 << 40, false},                      // rows dead inside the catalog from which on they go to delete files
	{"inline_delete_limit", inlineLimit, 0, 100_000, false},           // rows that one write may mark dead inside the catalog
	{"max_memory_chunk_size", 16 << 20, 1, 16 << 30, false},           // bytes below which a file is small
	{"max_overlapping_files", 100, 2, 1 << 40, false},                 // small files from which on they are merged
	{"max_tombstone_rows", 1_000_000, 1, 1 << 40, false},              // dead rows of a table from which on its files are written again
	{"parquet_version", 2, 1, 2, false},                               // of the encodings in data files; 1 is for old readers
	{"rewrite_dead_percent", 95, 1, 100, false},                       // share of dead rows from which on one file is written again
	{"stream_retention", 0, 0, 100 * 366 * 86_400, true},              // seconds that a stream keeps its records; 0 is its default
	{"target_file_size", fileBytes, 1 << 20, 16 << 30, false},         // bytes at which a write starts another data file
}

// CheckOption refuses unknown names and values out of range; "" removes a setting.
func CheckOption(name, value string) error {
	var names []string
	for _, d := range OptionDefaults {
		names = append(names, d.Name)
		if !strings.EqualFold(d.Name, name) {
			continue
		}
		if value == "" {
			return nil
		}
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < d.Least || n > d.Most {
			return errs.New(errs.InvalidArgument, "option %s takes a whole number from %d to %d, not %q", d.Name, d.Least, d.Most, value)
		}
		return nil
	}
	return errs.New(errs.InvalidArgument, "unknown option %q; there are %s", name, strings.Join(names, ", "))
}

// OptionValue is what holds of an option when set is what was set.
func OptionValue(name string, set map[string]string) int64 { return mergeOptions(set, nil)[name] }

// options reads what holds for a table: its own setting, else the
// SuperTable's, else the default.
func mergeOptions(super, table map[string]string) map[string]int64 {
	out := map[string]int64{}
	for _, d := range OptionDefaults {
		out[d.Name] = d.Value
		for _, from := range []map[string]string{super, table} {
			if n, err := strconv.ParseInt(from[d.Name], 10, 64); err == nil {
				out[d.Name] = n
			}
		}
	}
	return out
}

// TableOption reads an option that holds for a table.
func TableOption(ctx context.Context, v *catalog.View, table int64, name string) (int64, error) {
	super, err := v.Options(ctx, catalog.SuperOptions)
	if err != nil {
		return 0, err
	}
	own, err := v.Options(ctx, table)
	return mergeOptions(super, own)[name], err
}
