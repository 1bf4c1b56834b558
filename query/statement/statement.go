package statement

import (
	"context"
	"errors"
	"strings"

	"github.com/supertable-go/supertable/internal/errs"
)

// MaxText bounds the text of a statement, in bytes.
const MaxText = 1 << 20

// InformationSchema is the qualifier under which the metadata views stand.
const InformationSchema = "information_schema"

// Parser serialises SQL text to DuckDB's syntax tree in JSON, as the engine's
// json_serialize_sql does.
type Parser func(ctx context.Context, sql string) (answer string, err error)

// Kind is what a statement asks for.
type Kind int

// The kinds of statements.
const (
	Select         Kind = iota // rows
	Explain                    // the plan of a query
	ExplainAnalyze             // the plan of a query, with measurements
	ShowTables                 // the visible tables
	Describe                   // the columns of Tables[0]
	DescribeQuery              // the columns of a query's result
	ShowStats                  // the statistics of Tables[0]
)

// Statement is one text that was found harmless. It does not change.
type Statement struct {
	Kind Kind
	// Tables holds every reference to a table, in the order of the text, also
	// those that nothing reads (in a common table expression without a use).
	// Names of common table expressions are not among them.
	Tables []*TableRef
	// Parameters names the $name parameters, in the order of their first use.
	Parameters []string
	// HasLimit is set when the outermost query has its own LIMIT.
	HasLimit bool

	home    string // the session's own SuperTable
	text    string // the query's text, without EXPLAIN or DESCRIBE
	shift   int    // from an offset in text to one in what the user wrote
	tokens  []token
	tree    node
	ctes    map[string]bool // every name of a common table expression, folded
	aliases map[string]bool // every alias of a SELECT list, folded
	refs    []*columnRef
	stars   []starRef
	selects []selection
	roots   []root
	complex bool // casts between columns that the tree does not show
	edits   []edit
}

// TableRef is one reference to a table.
type TableRef struct {
	// Super and Name are as written, without quotes; Super is empty when the
	// name is not qualified.
	Super, Name string
	// InformationSchema is set for information_schema.tables and .columns.
	InformationSchema bool
	// Alias is the name that the text gives it, or empty.
	Alias string
	// Renamed is set when the text gives names to the table's columns.
	Renamed bool
	// At asks for an older state, or is nil.
	At *At

	pos     int
	node    node   // its BASE_TABLE
	display string // the alias that Splice gives when the text has none
}

// At is the AT clause of a table reference: a version or a time.
type At struct {
	// Version is the value of AT (VERSION => n), when Time is empty.
	Version int64
	// Time is the text of AT (TIMESTAMP => 'text'), as written. A text without
	// a zone is UTC.
	Time string
}

// Parse reads one statement. Home is the name of the session's own SuperTable,
// which may stand in front of a column of an unqualified table.
func Parse(ctx context.Context, p Parser, home, text string) (*Statement, error) {
	s, err := read(ctx, p, home, text)
	if err != nil {
		return nil, short(err)
	}
	return s, nil
}

// short bounds an error's message, which may echo any part of the text.
func short(err error) error {
	const most = 300
	var e *errs.Error
	if !errors.As(err, &e) || len(e.Message) <= most {
		return err
	}
	return errs.Wrap(e.Kind, err, "%s…", strings.ToValidUTF8(e.Message[:most], ""))
}

func read(ctx context.Context, p Parser, home, text string) (*Statement, error) {
	text, err := clean(text)
	if err != nil {
		return nil, err
	}
	s := &Statement{home: home, ctes: map[string]bool{}, aliases: map[string]bool{}}
	if err := s.command(text); err != nil {
		return nil, err
	}
	if s.Kind == ShowTables || s.Kind == ShowStats {
		return s, nil
	}
	answer, err := p(ctx, s.text)
	if err != nil {
		return nil, err
	}
	if s.tree, err = decode(text, s.shift, answer); err != nil {
		return nil, err
	}
	if err := guard(map[string]any(s.tree)); err != nil {
		return nil, err
	}
	if err := grows(s.tree); err != nil {
		return nil, err
	}
	s.tokens = scan(s.text)
	if err := s.resolve(); err != nil {
		return nil, err
	}
	return s, s.finish()
}

// finish checks and derives what needs the resolved statement.
func (s *Statement) finish() error {
	if s.Kind == Describe && !plainTable(s.tree) {
		return errs.New(errs.InvalidArgument, "DESCRIBE expects a table reference or a SELECT")
	}
	s.HasLimit = limited(s.tree)
	return s.locate()
}
