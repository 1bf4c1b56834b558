package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"time"

	"github.com/spf13/cobra"

	"github.com/supertable-go/supertable"
)

// monitoring is what the commands about streams need of a session.
type monitoring interface {
	Logger(ctx context.Context, stream string, o *supertable.LoggerOptions) (*supertable.StreamLogger, error)
	ReadStream(ctx context.Context, stream string, w supertable.StreamWindow) (*supertable.Rows, error)
	StreamStats(ctx context.Context, stream string) (supertable.StreamCatalog, error)
	SuperMeta(ctx context.Context) (supertable.SuperMeta, error)
	TableSchema(ctx context.Context, table string) ([]map[string]string, error)
	TableStats(ctx context.Context, table string) ([]supertable.TableStats, error)
}

func (a *app) monitorCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "monitor",
		Short: "Log and read streams of records",
		Long: `Monitor keeps streams of records. A stream STREAM is the table __STREAM__, so
that SQL reads it too; it appears with its first record.`,
		Example: "  supertable monitor log metrics metrics.ndjson",
	}, a.monitorLogCommand(), a.monitorReadCommand(), a.monitorStatsCommand())
}

// logFlags are the flags of monitor log.
type logFlags struct {
	rows  numberFlag
	every durationFlag
}

const monitorLogLong = `Log adds records to a stream: one JSON object a line, from a file or, with -,
from standard input. Records may have any fields; types that change turn the
column into text, and no record is lost. execution_time (milliseconds since
1970) is added where it is absent.

A file is checked whole before anything is logged. From standard input every
record is durable within the flush interval; at a line that is no record it
stops, and what came before stays.`

func (a *app) monitorLogCommand() *cobra.Command {
	var f logFlags
	cmd := &cobra.Command{
		Use:     "log STREAM FILE|-",
		Short:   "Add records to a stream",
		Long:    monitorLogLong,
		Example: "  supertable monitor log metrics metrics.ndjson\n  tail -f app.ndjson | supertable monitor log app -",
		Args:    takes(2, 2, "STREAM and FILE"),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.runMonitorLog(cmd, args[0], args[1], &f) },
	}
	cmd.Flags().Var(&f.rows, "max-rows-per-file", "the most records of a data file (default 5000)")
	cmd.Flags().Var(&f.every, "flush-interval", "how long a record may wait before it is durable (default 1s)")
	return cmd
}

func (a *app) runMonitorLog(cmd *cobra.Command, stream, file string, f *logFlags) error {
	if f.rows.set && f.rows.n < 1 {
		return usagef(cmd, "--max-rows-per-file must be at least 1")
	}
	ctx := cmd.Context()
	if file != "-" {
		if err := checkRecords(ctx, file); err != nil {
			return err
		}
	}
	logged := int64(0)
	err := a.write(ctx, func(*supertable.Lake) error { return plausibleStream(stream) }, func(s session) error {
		l, err := s.Logger(ctx, stream, &supertable.LoggerOptions{MaxRowsPerFile: int(f.rows.n), FlushInterval: f.every.d})
		if err != nil {
			return err
		}
		logged, err = a.logRecords(ctx, l, file)
		if cerr := l.Close(); cerr != nil { // what was logged is not all there: that comes first
			return cerr
		}
		if a.did(logged > 0); logged > 0 {
			a.done = plural(logged, "record") + " logged before"
		}
		return err
	})
	if err != nil {
		return err
	}
	return a.printOne(object{{"stream", stream}, {"rows", logged}}, fmt.Sprintf("%s: %s logged", stream, plural(logged, "record")))
}

var streamName = regexp.MustCompile(`^[A-Za-z0-9_]{1,124}$`)

// plausibleStream refuses what can be no stream before a SuperTable is created
// for its sake.
func plausibleStream(stream string) error {
	if !streamName.MatchString(stream) {
		return failf(supertable.InvalidArgument, "bad stream name %q: letters, digits and _, at most 124", stream)
	}
	return nil
}

// eachRecord calls do with every line of a file that is not blank, and its number.
func (a *app) eachRecord(ctx context.Context, file string, do func(line []byte) error) error {
	if file == "-" {
		return eachLine(ctx, interruptible(ctx, a.stdin), file, do)
	}
	f, err := os.Open(file)
	if err != nil {
		return fileError(file, err)
	}
	defer func() { _ = f.Close() }()
	return eachLine(ctx, f, file, do)
}

const maxLine = 4 << 20

func eachLine(ctx context.Context, in io.Reader, file string, do func(line []byte) error) error {
	sc := bufio.NewScanner(in)
	sc.Buffer(make([]byte, 64<<10), maxLine)
	for n := 1; sc.Scan(); n++ {
		line := sc.Bytes()
		if n == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff"))
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := do(line); err != nil {
			return failf(supertable.KindOf(err), "%s, line %d: %v", lineSource(file), n, err)
		}
	}
	if errors.Is(sc.Err(), bufio.ErrTooLong) {
		return failf(supertable.InvalidArgument, "%s has a line of more than %d bytes", lineSource(file), maxLine)
	}
	if err := sc.Err(); err != nil {
		return fileError(file, err)
	}
	return nil
}

func lineSource(file string) string {
	if file == "-" {
		return "standard input"
	}
	return fmt.Sprintf("file %q", file)
}

// checkRecords reads a file once without logging anything.
func checkRecords(ctx context.Context, file string) error {
	if err := filesExist([]string{file}); err != nil {
		return err
	}
	return (&app{}).eachRecord(ctx, file, func(line []byte) error {
		_, err := supertable.ParseRecord(line)
		return err
	})
}

func (a *app) logRecords(ctx context.Context, l *supertable.StreamLogger, file string) (n int64, err error) {
	err = a.eachRecord(ctx, file, func(line []byte) error {
		err := l.LogJSON(ctx, line)
		if err == nil {
			n++
		}
		return err
	})
	return n, err
}

// windowFlags are the flags of monitor read.
type windowFlags struct {
	from, to timeFlag
	limit    numberFlag
}

func (f *windowFlags) window(cmd *cobra.Command) (supertable.StreamWindow, error) {
	if f.limit.set && f.limit.n < 1 {
		return supertable.StreamWindow{}, usagef(cmd, "--limit must be at least 1")
	}
	return supertable.StreamWindow{From: f.from.pointer(), To: f.to.pointer(), Limit: f.limit.n}, nil
}

func (a *app) monitorReadCommand() *cobra.Command {
	var f windowFlags
	cmd := &cobra.Command{
		Use:   "read STREAM",
		Short: "Print records of a stream, newest first",
		Long: `Read prints the records of a stream between two times, both inclusive, newest
first: by default those of the last 24 hours, 1000 at most. A stream that nobody
logged to is not_found; of plans and stats it is empty.`,
		Example: "  supertable monitor read metrics --from 2026-01-31 --limit 100 --format ndjson",
		Args:    takes(1, 1, "STREAM"),
		RunE: func(cmd *cobra.Command, args []string) error {
			w, err := f.window(cmd)
			if err != nil {
				return err
			}
			return a.printStream(cmd.Context(), args[0], w)
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.Var(&f.from, "from", "no records before this `time` (default a day before --to)")
	fs.Var(&f.to, "to", "no records after this `time` (default now)")
	fs.Var(&f.limit, "limit", "at most this `number` of records (default 1000)")
	return cmd
}

func (a *app) printStream(ctx context.Context, stream string, w supertable.StreamWindow) error {
	return a.read(ctx, func(s session) error {
		rows, err := s.ReadStream(ctx, stream, w)
		if err != nil {
			return err
		}
		err = a.result(func(w io.Writer) error { return copyRows(a.flags.format, w, rows) })
		if e := rows.Close(); err == nil {
			err = e
		}
		return err
	})
}

func (a *app) monitorStatsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "stats STREAM",
		Short: "Describe a stream",
		Long: `Stats prints how many files, records and bytes a stream has, and its version:
1 at first, one more with every change.`,
		Example: "  supertable monitor stats metrics --format json",
		Args:    takes(1, 1, "STREAM"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.read(cmd.Context(), func(s session) error {
				c, err := s.StreamStats(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				return a.printOne(object{
					{"file_count", c.FileCount}, {"total_rows", c.TotalRows}, {"total_file_size", c.TotalFileSize}, {"version", c.Version},
				}, fmt.Sprintf("%s: %s in %s, %d bytes · version %d", args[0], plural(c.TotalRows, "record"), plural(c.FileCount, "file"), c.TotalFileSize, c.Version))
			})
		},
	}
}

func (a *app) plansCommand() *cobra.Command {
	return a.ownStreamCommand(supertable.PlansStream, &cobra.Command{
		Use:   "plans",
		Short: "List how queries ended, newest first",
		Long: `Plans prints one record per query, failed ones too, newest first, 1000 at most:
query_id, query_hash, user_hash, recorded_at, table_name, status, message,
result_rows, result_columns, execution_timings, profile_overview, query_profile,
execution_time. Queries of system tables (__x__) leave no record.`,
		Example: "  supertable plans --limit 10 --format json",
	})
}

func (a *app) writeStatsCommand() *cobra.Command {
	return a.ownStreamCommand(supertable.StatsStream, &cobra.Command{
		Use:   "write-stats",
		Short: "List what writes did, newest first",
		Long: `Write-stats prints one record per write, failed ones too, newest first, 1000 at
most: query_id, recorded_at, super_name, table_name, overwrite_columns, inserted,
deleted, total_rows, total_columns, new_resources, sunset_files, duration
(seconds), skipped_stale, status, message, execution_time.`,
		Example: "  supertable write-stats --limit 10 --format json",
	})
}

// ownStreamCommand prints a stream that the SuperTable writes itself, all of
// it that is kept.
func (a *app) ownStreamCommand(stream string, cmd *cobra.Command) *cobra.Command {
	var limit numberFlag
	cmd.Args = takes(0, 0, "")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		w, err := (&windowFlags{limit: limit}).window(cmd)
		if err != nil {
			return err
		}
		w.From = &time.Time{}
		return a.printStream(cmd.Context(), stream, w)
	}
	cmd.Flags().Var(&limit, "limit", "at most this `number` of records (default 1000)")
	return cmd
}
