// Package statement reads a user's SQL text: what it names, what it may call,
// where its table references stand, and which predicates it puts on them.
//
// The text is hostile. DuckDB itself parses it (json_serialize_sql serialises
// SELECT-class statements and nothing else); every object of the tree that
// comes back must be on an allow list, functions by name, so that whatever is
// new or unknown is refused. The statement never runs as it was written: each
// table reference is spliced out of the text, by its location, for a view that
// the caller made, and Verify parses the result again and compares the two
// trees before it runs.
//
// The steps, in order:
//
//  1. Parse splits off EXPLAIN, SHOW and DESCRIBE (command.go), has the rest
//     parsed, guards the tree (guard.go) and resolves it (resolve.go): table
//     references, common table expressions, column references.
//  2. The caller looks the Tables up, and Bind says which columns the text
//     uses of each and which filter it puts on it (bind.go, filter.go).
//  3. Splice writes the text to run, Verify takes the second look (splice.go,
//     verify.go), WithLimit bounds it (limit.go).
package statement
