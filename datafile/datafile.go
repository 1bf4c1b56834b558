// Package datafile knows one immutable file: its name, the columns in it with
// their field ids, its statistics and the rows of it that are dead.
//
// I1: a file never changes after it is named. What changes is which snapshots
// name it and which of its rows are dead, and both stand in the catalog.
package datafile

import (
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// Field ids that the format reserves inside data and delete files
// (docs/format.md, rows of several snapshots in one file).
const (
	RowIDField      = 2147483540 // _ducklake_internal_row_id
	SnapshotIDField = 2147483539 // _ducklake_internal_snapshot_id
)

// NewName makes the name of a new data file: unique, and in the order of
// creation. The format's own convention, so that foreign tools show it well.
func NewName() string { return "ducklake-" + newID() + ".parquet" }

// NewDeleteName makes the name of a new delete file.
func NewDeleteName() string { return "ducklake-" + newID() + "-delete.parquet" }

func newID() string { return uuid.Must(uuid.NewV7()).String() }

// Column is one column, or one node below a nested column, of a table at one
// snapshot. ID is its Parquet field id, unique in the table forever.
type Column struct {
	ID       int64
	Name     string
	Type     Type // without children's names: those are in Children
	Nullable bool
	// InitialDefault is the value, as text, of rows in files that lack the
	// column. Nil is NULL.
	InitialDefault *string
	// Default is the value, as text, of future inserts by clients that omit
	// the column. Nil is NULL.
	Default *string
	// Expression is set when Default is SQL of another client rather than a
	// value: only that client can evaluate it.
	Expression bool
	// Begin is the first snapshot whose files certainly have the column in this
	// type.
	Begin int64
}

// FindColumn returns the index of the column called name, matched without
// regard to case, or -1.
func FindColumn(cols []Column, name string) int {
	for i := range cols {
		if strings.EqualFold(cols[i].Name, name) {
			return i
		}
	}
	return -1
}

// Quote quotes an SQL identifier.
func Quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// QuoteText quotes an SQL text literal.
func QuoteText(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// FieldIDs gives the FIELD_IDS option of COPY for the columns: every node
// carries its id, as the format demands.
func FieldIDs(cols []Column) string {
	var b strings.Builder
	b.WriteByte('{')
	for i, c := range cols {
		if i > 0 {
			b.WriteString(", ")
		}
		writeFieldID(&b, Quote(c.Name), c.ID, c.Type)
	}
	b.WriteByte('}')
	return b.String()
}

func writeFieldID(b *strings.Builder, name string, id int64, t Type) {
	if len(t.Fields) == 0 {
		fmt.Fprintf(b, "%s: %d", name, id)
		return
	}
	fmt.Fprintf(b, "%s: {__duckdb_field_id: %d", name, id)
	for _, f := range t.Fields {
		b.WriteString(", ")
		writeFieldID(b, Quote(f.Name), f.ID, f.Type)
	}
	b.WriteByte('}')
}

// MaxID is the highest field id in the columns and below them.
func MaxID(cols []Column) int64 {
	var m int64
	for _, c := range cols {
		m = max(m, c.ID, maxField(c.Type))
	}
	return m
}

func maxField(t Type) int64 {
	var m int64
	for _, f := range t.Fields {
		m = max(m, f.ID, maxField(f.Type))
	}
	return m
}

// AssignIDs gives ids to every node that has none, depth first from next on,
// and returns the first unused id.
func AssignIDs(cols []Column, next int64) int64 {
	for i := range cols {
		if cols[i].ID == 0 {
			cols[i].ID = next
			next++
		}
		next = assignFields(cols[i].Type.Fields, next)
	}
	return next
}

func assignFields(fs []Field, next int64) int64 {
	for i := range fs {
		if fs[i].ID == 0 {
			fs[i].ID = next
			next++
		}
		next = assignFields(fs[i].Type.Fields, next)
	}
	return next
}

// Leaf is a column that holds values: the statistics of files are kept per leaf.
type Leaf struct {
	ID   int64
	Type Type
	Path []string // names from the top
	// InList tells that the leaf lies in a list or map: its statistics count
	// elements, not rows.
	InList bool
}

// Leaves lists the leaves of the columns, depth first.
func Leaves(cols []Column) []Leaf {
	var out []Leaf
	for _, c := range cols {
		out = appendLeaves(out, c.ID, c.Type, []string{c.Name}, false)
	}
	return out
}

func appendLeaves(out []Leaf, id int64, t Type, path []string, inList bool) []Leaf {
	if len(t.Fields) == 0 {
		return append(out, Leaf{ID: id, Type: t, Path: path, InList: inList})
	}
	inList = inList || t.Name == "list" || t.Name == "map"
	for _, f := range t.Fields {
		out = appendLeaves(out, f.ID, f.Type, append(append([]string{}, path...), f.Name), inList)
	}
	return out
}
