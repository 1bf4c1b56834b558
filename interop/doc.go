// Package interop holds SuperTable against an outside judge: DuckDB's own
// ducklake extension, loaded into a DuckDB instance beside ours. It reads back
// every kind of write that we do, and we read back every kind of write that it
// does; the rows, types and tables must be equal at every snapshot.
//
// The package is tests only. The extensions are fetched by `make deps`.
package interop
