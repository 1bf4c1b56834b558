package duckdb

import (
	"fmt"
	"strings"

	bindings "github.com/duckdb/duckdb-go-bindings"

	"github.com/supertable-go/supertable/engine"
)

// openDatabase opens an in-memory instance with the settings that must be
// there from the start.
func openDatabase(opts engine.Options) (bindings.Database, error) {
	var db bindings.Database
	var cfg bindings.Config
	if bindings.CreateConfig(&cfg) != bindings.StateSuccess {
		return db, &engine.Error{Class: "internal", Message: "no configuration"}
	}
	defer bindings.DestroyConfig(&cfg)
	for _, s := range config(opts) {
		if bindings.SetConfig(cfg, s[0], s[1]) != bindings.StateSuccess {
			return db, &engine.Error{Class: "invalid input", Message: "setting " + s[0] + " = " + s[1]}
		}
	}
	var msg string
	if bindings.OpenExt("", &db, cfg, &msg) != bindings.StateSuccess {
		return db, parseError(msg)
	}
	return db, nil
}

// config lists name and value of every setting given at the opening.
func config(opts engine.Options) [][2]string {
	list := [][2]string{
		{"autoinstall_known_extensions", "false"},
		{"autoload_known_extensions", "false"},
		{"allow_community_extensions", "false"},
		{"temp_directory", opts.SpillDir}, // empty: no spilling, not DuckDB's own ".tmp"
		{"arrow_large_buffer_size", "false"},
		{"arrow_output_list_view", "false"},
		{"produce_arrow_string_view", "false"},
		{"arrow_output_version", "1.0"},
		{"arrow_lossless_conversion", "true"},
	}
	if opts.MemoryBytes > 0 {
		list = append(list, [2]string{"memory_limit", fmt.Sprintf("%dB", opts.MemoryBytes)})
	}
	if opts.Threads > 0 {
		list = append(list, [2]string{"threads", fmt.Sprint(opts.Threads)})
	}
	return list
}

// setup lists the statements that finish an instance, in their order: all
// settings are global, so that every later connection has them, and the lock
// comes last.
func setup(opts engine.Options) []string {
	list := []string{"SET GLOBAL TimeZone='UTC'"}
	if opts.ReadDirs == nil {
		return list
	}
	dirs := make([]string, len(opts.ReadDirs))
	for i, d := range opts.ReadDirs {
		dirs[i] = quote(d)
	}
	return append(list,
		"SET GLOBAL allowed_directories=["+strings.Join(dirs, ", ")+"]",
		"SET GLOBAL enable_external_access=false", // refused before the line above is set
		"SET GLOBAL lock_configuration=true",
	)
}

// quote makes a string literal of SQL.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
