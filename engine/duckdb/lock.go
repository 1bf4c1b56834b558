package duckdb

import (
	"fmt"
	"regexp"
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
// comes last. What is still open behind it:
//
//   - The two settings of Progress, which are a connection's own.
//   - Writing below ReadDirs: DuckDB's list of folders knows no difference
//     between reading and writing. Statements that write files are refused by
//     their kind instead (permit); a table function that writes would not be
//     (enable_logging does), so users' SQL has to be checked for those.
//   - Spilling: SpillDir works without being in the list, and is not readable.
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
		"SET GLOBAL allowed_configs=['enable_progress_bar', 'enable_progress_bar_print']",
		"SET GLOBAL allowed_directories=["+strings.Join(dirs, ", ")+"]",
		"SET GLOBAL enable_external_access=false", // refused before the line above is set
		"SET GLOBAL lock_configuration=true",
	)
}

// permitted are the kinds of statement that a locked instance runs. None of
// them writes a file by itself.
var permitted = map[bindings.StatementType]bool{
	bindings.StatementTypeSelect:      true,
	bindings.StatementTypeExplain:     true, // of a SELECT, see permit
	bindings.StatementTypeVariableSet: true,
	bindings.StatementTypeSet:         true, // the lock itself judges these
	bindings.StatementTypeCreate:      true,
	bindings.StatementTypeDrop:        true,
	bindings.StatementTypeInsert:      true,
	bindings.StatementTypeUpdate:      true,
	bindings.StatementTypeDelete:      true,
	bindings.StatementTypeTransaction: true,
}

// permit refuses what a locked instance must not run. The text is that of the
// one statement, or "" when it stood among others.
func (c *conn) permit(s *statement, sql string) error {
	if !c.db.locked {
		return nil
	}
	kind := bindings.PreparedStatementType(s.prep)
	if !permitted[kind] {
		return &engine.Error{Class: "permission", Message: fmt.Sprintf("the engine is locked: no statement of kind %d", kind)}
	}
	if kind == bindings.StatementTypeExplain && !c.explainsSelect(sql) {
		return &engine.Error{Class: "permission", Message: "the engine is locked: EXPLAIN takes a query only"}
	}
	return nil
}

// explain matches what stands in front of the explained statement. Comments
// are not understood, so that nothing can hide in one.
var explain = regexp.MustCompile(`(?i)^\s*EXPLAIN(\s+ANALY[SZ]E\b|\s*\([\w\s,]*\)|\b)\s*`)

// explainsSelect looks at the explained statement itself: EXPLAIN ANALYZE runs
// it, and COPY would write.
func (c *conn) explainsSelect(sql string) bool {
	prefix := explain.FindString(sql)
	if prefix == "" {
		return false
	}
	list, err := c.extract(sql[len(prefix):])
	if err != nil {
		return false
	}
	defer list.destroy()
	var inner bindings.PreparedStatement
	defer bindings.DestroyPrepare(&inner)
	return list.n == 1 &&
		bindings.PrepareExtractedStatement(c.c, list.list, 0, &inner) == bindings.StateSuccess &&
		bindings.PreparedStatementType(inner) == bindings.StatementTypeSelect
}

// quote makes a string literal of SQL.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
