package cli

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/supertable-go/supertable"
)

// queryFlags are the flags of query, as they were given.
type queryFlags struct {
	file      string
	atVersion numberFlag
	atTime    timeFlag
	stats     bool
	timeout   durationFlag
	limit     numberFlag
	params    []string
}

const queryLong = `Query runs one SELECT (or EXPLAIN, SHOW TABLES, DESCRIBE) and prints its rows.
The text is the argument, or the file of -f; -f - is standard input.

--param name=value fills $name: numbers, true, false and null as such, anything
else as text; name='007' is text.

The table form cuts cells after 400 characters; the other forms never cut. CSV
is RFC 4180 with the line ends of Unix; arrow is the IPC stream format; in JSON,
what a column of type JSON holds is a value. With -o the file appears whole or
not at all; without --format its suffix names the form (.csv, .json, .ndjson,
.jsonl, .arrow, .parquet).`

func (a *app) queryCommand() *cobra.Command {
	var f queryFlags
	cmd := &cobra.Command{
		Use:   "query SQL",
		Short: "Run a SELECT and print its rows",
		Long:  queryLong,
		Example: "  supertable query 'SELECT country, sum(amount) FROM orders GROUP BY 1' --format csv\n" +
			"  supertable query -f report.sql --param since=2026-01-31 --at-version 12 -o report.parquet",
		Args:        takes(0, 1, "one SQL text (in quotes)"),
		Annotations: map[string]string{"prints": "rows"},
		RunE:        func(cmd *cobra.Command, args []string) error { return a.runQuery(cmd, args, &f) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVarP(&f.file, "file", "f", "", "read the SQL from this `file`")
	fs.Var(&f.atVersion, "at-version", "read as of this snapshot `number`")
	fs.Var(&f.atTime, "at-time", "read the last snapshot at or before this `time`")
	fs.BoolVar(&f.stats, "stats", false, "print what was read as one JSON object on stderr")
	fs.Var(&f.timeout, "timeout", "give up after this `duration` (300ms, 90s)")
	fs.Var(&f.limit, "limit", "at most this `number` of rows, when the text has no LIMIT of its own")
	fs.StringArrayVar(&f.params, "param", nil, "`name=value` of $name; may repeat")
	return cmd
}

func (f *queryFlags) options(cmd *cobra.Command) (*supertable.QueryOptions, error) {
	if f.limit.set && f.limit.n < 1 {
		return nil, usagef(cmd, "--limit must be at least 1")
	}
	if f.atVersion.set && f.atTime.text != "" {
		return nil, usagef(cmd, "--at-version and --at-time exclude each other")
	}
	params, err := parseParams(f.params)
	if err != nil {
		return nil, usagef(cmd, "--param: %v", err)
	}
	return &supertable.QueryOptions{
		AtVersion: f.atVersion.pointer(), AtTime: f.atTime.pointer(), Params: params, DefaultLimit: f.limit.n,
	}, nil
}

func (a *app) runQuery(cmd *cobra.Command, args []string, f *queryFlags) error {
	switch named := cmd.Flags().Changed("file"); {
	case named && len(args) > 0:
		return usagef(cmd, "query takes SQL or -f FILE, not both")
	case !named && len(args) == 0:
		return usagef(cmd, "query needs SQL or -f FILE")
	}
	o, err := f.options(cmd)
	if err != nil {
		return err
	}
	ctx, cancel := f.timeout.context(cmd.Context())
	defer cancel()
	text, err := a.queryText(ctx, args, f.file)
	if err != nil {
		return f.timeout.explain(ctx, err, a.done)
	}
	err = a.readFor(ctx, text, func(s session) error {
		report, err := a.printQuery(ctx, s, text, o)
		if err == nil && f.stats {
			err = a.printStats(report)
		}
		return err
	})
	return f.timeout.explain(ctx, err, a.done)
}

// shieldText keeps a SQL text of query that begins with a comment from being
// taken for a flag.
func shieldText(args []string) []string {
	if !slices.Contains(args, "query") {
		return args
	}
	out := slices.Clone(args)
	for i, s := range out {
		if len(s) > 2 && s[:2] == "--" && (s[2] == ' ' || s[2] == '\t' || s[2] == '\n' || s[2] == '\r') {
			out[i] = " " + s
		}
	}
	return out
}

func (a *app) queryText(ctx context.Context, args []string, file string) (string, error) {
	if len(args) > 0 {
		return args[0], nil
	}
	var text []byte
	var err error
	if file == "-" {
		text, err = io.ReadAll(interruptible(ctx, a.stdin))
	} else {
		text, err = os.ReadFile(file)
	}
	if err != nil {
		return "", fileError(file, err)
	}
	return strings.TrimPrefix(string(text), "\ufeff"), nil
}

// printQuery runs text and prints all its rows.
func (a *app) printQuery(ctx context.Context, s session, text string, o *supertable.QueryOptions) (supertable.Report, error) {
	rows, err := s.Query(ctx, text, o)
	if err != nil {
		return supertable.Report{}, err
	}
	err = a.result(func(w io.Writer) error { return copyRows(a.flags.format, w, rows) })
	if e := rows.Close(); err == nil {
		err = e
	}
	return rows.Report(), err
}

// printStats prints the report on stderr; it was asked for, so --quiet does
// not drop it.
func (a *app) printStats(r supertable.Report) error {
	if r.Timings == nil {
		r.Timings = []map[string]float64{}
	}
	if r.PlanStats == nil {
		r.PlanStats = []map[string]any{}
	}
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = a.stderr.Write(append(line, '\n'))
	return err
}
