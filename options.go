package supertable

import (
	"log/slog"
	"time"
)

// Superuser is the name of the user that every SuperTable has from its birth.
const Superuser = "superuser"

// Options of Open. Nil and the zero value mean the defaults.
type Options struct {
	// MemoryBytes bounds the memory of each embedded engine instance (one for
	// reading, one for writing, opened when first needed). Above it, sorts and
	// joins spill to the SuperTable's tmp folder. Defaults to 2 GiB, or half
	// of the memory of the machine, or of the container, when that is less.
	MemoryBytes int64
	// Threads that one statement may use. Defaults to the number of CPUs.
	Threads int
	// Now is the clock. Defaults to time.Now.
	Now func() time.Time
	// Logger gets what happens beside the calls (swept files, foreign
	// commits). Defaults to discarding.
	Logger *slog.Logger
	// LeaseTTL is how long a writer that shows no sign of life keeps its
	// unfinished files. Defaults to one minute.
	LeaseTTL time.Duration
	// InlineRows is how many rows of one write the catalog itself keeps, without
	// a file, in SuperTables that Create makes; option data_inlining_row_limit
	// changes it later. Defaults to 256; below 0 every write makes files.
	InlineRows int
}

// CreateOptions of Lake.Create.
type CreateOptions struct {
	// ReadOnly, when set, makes the SuperTable refuse every write (true) or
	// accept them again (false). Nil leaves it as it is.
	ReadOnly *bool
}

// WriteOptions of Session.Write, WriteFiles and WriteFrom.
type WriteOptions struct {
	// Key are the columns by which rows replace rows: every live row whose key
	// equals the key of an incoming row goes, then all incoming rows are added.
	// Empty means append.
	Key []string
	// NewerThan names an incoming column; an incoming row is dropped as stale
	// when a live row of its key has a value of that column that is not less.
	// Needs Key. Empty disables it.
	NewerThan string
	// DeleteOnly deletes the live rows with the incoming keys and adds nothing.
	DeleteOnly bool
	// DeleteAll deletes every row; no rows are read.
	DeleteAll bool
	// WriteID makes the write idempotent: the same id on the same table again
	// returns the first result and writes nothing. At most 256 bytes.
	WriteID string
	// CompressionLevel of Zstandard, 1 to 22. Defaults to 1.
	CompressionLevel int
	// Message is kept in the history. At most 64 KiB.
	Message string
	// Lineage is kept with the snapshot as JSON. At most 64 KiB.
	Lineage map[string]any
	// Format of the files: parquet, arrow, csv, json or ndjson. Defaults to
	// each file's suffix.
	Format string
	// Columns gives types to columns of text formats (CSV, JSON).
	Columns []Column
	// Progress, when set, is called from time to time, from one goroutine.
	Progress func(WriteProgress)
}

// WriteProgress tells how far a write is.
type WriteProgress struct {
	// Phase is "reading", "matching keys" or "committing".
	Phase string
	// Fraction of the input that is read, 0 to 1; -1 when unknown.
	Fraction float64
	// Bytes of the input that are read, and in all; 0 when unknown.
	Bytes, TotalBytes int64
	// Rows read so far; 0 when unknown.
	Rows int64
}

// WriteResult says what a write did.
type WriteResult struct {
	Table        string `json:"table"`
	Columns      int    `json:"columns"`       // width of the input
	Rows         int64  `json:"rows"`          // rows in the files that this call wrote
	Inserted     int64  `json:"inserted"`      // rows added
	Deleted      int64  `json:"deleted"`       // live rows replaced or deleted
	SkippedStale int64  `json:"skipped_stale"` // rows dropped by NewerThan
	Snapshot     int64  `json:"snapshot"`      // the lake snapshot of the write; the head when nothing changed
	Version      int64  `json:"version"`       // the table's version after the write
	Duplicate    bool   `json:"duplicate"`     // WriteID was seen before; the fields are the first result's
	Created      bool   `json:"-"`             // the table appeared with this write
	Altered      bool   `json:"-"`             // the write changed the table's columns
}

// QueryOptions of Session.Query.
type QueryOptions struct {
	// AtVersion reads the SuperTable as of that lake snapshot. Nil means now.
	AtVersion *int64
	// AtTime reads the last snapshot at or before that time. Nil means now.
	AtTime *time.Time
	// Params are the values of $name parameters: nil, bool, int64, float64,
	// string or json.Number.
	Params map[string]any
	// DefaultLimit is appended when the text has no LIMIT of its own. 0 disables it.
	DefaultLimit int64

	differ bool // the statement compares two states of one table
	noRows bool // it is for the columns of its result
}

// Report says what a query read and how long its parts took. It is complete
// when the rows have been read to the end or closed.
type Report struct {
	Timings    []map[string]float64 `json:"timings"`    // seconds per phase, in order
	PlanStats  []map[string]any     `json:"plan_stats"` // TABLE_FILES, TABLE_SIZE, …
	FilesTotal int64                `json:"files_total"`
	FilesRead  int64                `json:"files_read"` // after pruning
	BytesTotal int64                `json:"bytes_total"`
	BytesRead  int64                `json:"bytes_read"`
	Rows       int64                `json:"rows"` // rows of the result
	Snapshot   int64                `json:"snapshot"`
	Snapshots  map[string]int64     `json:"snapshots,omitempty"` // per SuperTable, when there are several
	Engine     string               `json:"engine"`
}

// TableInfo is one line of the table listing.
type TableInfo struct {
	Name    string    `json:"name"`
	Version int64     `json:"version"`
	Rows    int64     `json:"rows"` // live rows
	Files   int64     `json:"files"`
	Bytes   int64     `json:"bytes"`
	Updated time.Time `json:"updated"`
}

// Column is a column of a table: its name and its SQL type in upper case.
type Column struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Nullable bool   `json:"nullable"`
}

// HistoryEntry is one change of one table.
type HistoryEntry struct {
	Snapshot  int64     `json:"snapshot"`
	Version   int64     `json:"version"`
	Time      time.Time `json:"time"`
	Table     string    `json:"table"`
	Operation string    `json:"operation"` // create, append, upsert, delete, delete_all, alter, rename, drop, rollback, undrop, external
	Inserted  int64     `json:"inserted"`
	Deleted   int64     `json:"deleted"`
	Principal string    `json:"principal"`
	Message   string    `json:"message"`
	Withheld  bool      `json:"-"` // inserted and deleted are not told: the principal sees some rows only, or another client made the change and what came before it has expired
	// Lineage is what the write kept with it, numbers as json.Number; nil for none.
	Lineage map[string]any `json:"lineage,omitempty"`
}

// Alteration is one change of a table's schema: exactly one field is set.
type Alteration struct {
	Rename       string            // the table's new name
	Add          *AddColumn        // a new column
	Drop         string            // a column to drop
	RenameColumn *RenameColumn     // a column's new name
	Type         *ChangeColumnType // a column's new type
}

// AddColumn adds a column; rows that are there get the default.
type AddColumn struct {
	Name, Type string
	Default    *string // SQL literal text; nil means NULL
}

// RenameColumn gives a column another name.
type RenameColumn struct{ From, To string }

// ChangeColumnType changes a column's type: without Cast only when no value
// can be lost, with Cast when every live value converts exactly.
type ChangeColumnType struct {
	Name, Type string
	Cast       bool
}

// AlterResult says which snapshot holds the change.
type AlterResult struct {
	Table    string `json:"table"`
	Snapshot int64  `json:"snapshot"`
}

// Option is a limit or threshold of the SuperTable or of one table.
type Option struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Scope string `json:"scope"` // "default", "super" or "table"
	// Seconds tells that the value is a time, in seconds.
	Seconds bool `json:"-"`
}

// CheckReport is what Check found.
type CheckReport struct {
	OK       bool      `json:"ok"`
	Findings []Finding `json:"findings"`
}

// Finding is one thing that is not as it should be.
type Finding struct {
	Kind   string `json:"kind"`   // missing_file, wrong_size, unknown_file, bad_catalog, bad_footer, bad_checksum, …
	Object string `json:"object"` // the file's base name, or table and row
	Detail string `json:"detail"`
}
