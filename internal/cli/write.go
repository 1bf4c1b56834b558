package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/supertable-go/supertable"
)

// writeFlags are the flags of write, as they were given.
type writeFlags struct {
	keys        []string
	newerThan   string
	delete, all bool
	message     string
	writeID     string
	format      string
	columns     string
	level       int
	timeout     durationFlag
}

const writeLong = `Write puts the rows of all files into the table in one atomic commit. The table
appears by itself, and so does the SuperTable. With --key, rows with the same
key are replaced; without, rows are appended.

The format of a file follows from its suffix (.parquet, .arrow, .csv, .json,
.ndjson; also with .gz or .zst), or is --input-format. The file - is standard
input.

--delete --key a,b FILE deletes the rows whose keys are in the files;
--delete --all deletes every row.`

var inputFormats = []string{formatParquet, formatArrow, formatCSV, formatJSON, formatNDJSON}

func (a *app) writeCommand() *cobra.Command {
	var f writeFlags
	cmd := &cobra.Command{
		Use:     "write TABLE FILE...",
		Short:   "Write files into a table, in one commit",
		Long:    writeLong,
		Example: "  supertable write orders new.parquet more.csv.gz --key order_id --message 'January'",
		Args: func(cmd *cobra.Command, args []string) error {
			if f.delete && f.all {
				return takes(1, 1, "TABLE and no FILE with --delete --all")(cmd, args)
			}
			return takes(2, -1, "TABLE and at least one FILE")(cmd, args)
		},
		RunE:              func(cmd *cobra.Command, args []string) error { return a.runWrite(cmd, args[0], args[1:], &f) },
		ValidArgsFunction: a.completeTable,
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringArrayVar(&f.keys, "key", nil, "the `columns` by which rows replace rows: a,b (a name with a comma in double quotes)")
	fs.StringVar(&f.newerThan, "newer-than", "", "drop rows whose value in this `column` is not above the live row's")
	fs.BoolVar(&f.delete, "delete", false, "delete the rows with the keys of the files")
	fs.BoolVar(&f.all, "all", false, "with --delete: delete every row")
	fs.StringVar(&f.message, "message", "", "kept in the history")
	fs.StringVar(&f.writeID, "write-id", "", "the same `id` again writes nothing and gives the first result")
	fs.StringVar(&f.format, "input-format", "", strings.Join(inputFormats, ", "))
	fs.StringVar(&f.columns, "columns", "", "types of text columns: 'a:bigint,b:date'")
	fs.IntVar(&f.level, "compression-level", 0, "of Zstandard, 1 to 22 (default 3)")
	fs.Var(&f.timeout, "timeout", "give up after this `duration` (90s, 1h30m)")
	return cmd
}

// options checks the flags against each other and makes the options.
func (f *writeFlags) options(cmd *cobra.Command, files []string) (*supertable.WriteOptions, error) {
	switch {
	case f.all && !f.delete:
		return nil, usagef(cmd, "--all goes with --delete only")
	case f.all && len(f.keys) > 0:
		return nil, usagef(cmd, "--delete --all deletes every row and takes no --key")
	case f.delete && !f.all && len(f.keys) == 0:
		return nil, usagef(cmd, "--delete needs --key, or --all to delete every row")
	case f.newerThan != "" && len(f.keys) == 0:
		return nil, usagef(cmd, newerNeedsKey)
	case f.format != "" && !slices.Contains(inputFormats, f.format):
		return nil, usagef(cmd, "unknown --input-format %q; choose one of %s", f.format, strings.Join(inputFormats, ", "))
	case cmd.Flags().Changed("compression-level") && (f.level < 1 || f.level > 22):
		return nil, usagef(cmd, "--compression-level is 1 to 22")
	case cmd.Flags().Changed("write-id") && f.writeID == "":
		return nil, failf(supertable.InvalidArgument, "--write-id is empty: give an id, or leave the flag out")
	case slices.Contains(files, "-") && len(files) > 1:
		return nil, usagef(cmd, "- (standard input) stands alone")
	case slices.Contains(files, "-") && f.format == "":
		return nil, usagef(cmd, "- (standard input) needs --input-format")
	}
	o := &supertable.WriteOptions{
		NewerThan: f.newerThan, DeleteOnly: f.delete && !f.all, DeleteAll: f.all,
		WriteID: f.writeID, CompressionLevel: f.level, Message: f.message, Format: f.format,
	}
	var err error
	if o.Key, err = parseNames(f.keys); err != nil {
		return nil, failf(supertable.InvalidArgument, "--key %v", err)
	}
	if f.columns != "" {
		if o.Columns, err = parseColumns(f.columns); err != nil {
			return nil, usagef(cmd, "--columns: %v", err)
		}
	}
	return o, nil
}

func (a *app) runWrite(cmd *cobra.Command, table string, files []string, f *writeFlags) error {
	o, err := f.options(cmd, files)
	if err != nil {
		return err
	}
	if err := filesExist(files); err != nil {
		return err
	}
	ctx, cancel := f.timeout.context(cmd.Context())
	defer cancel()
	bar := a.newProgress(table)
	o.Progress = bar.report()
	defer bar.end()

	open := func(do func(session) error) error {
		if f.delete { // what is not there has no rows to delete
			return a.read(ctx, do)
		}
		return a.write(ctx, func(lake *supertable.Lake) error { return a.checkWrite(ctx, lake, table, files, o) }, do)
	}
	var res supertable.WriteResult
	err = open(func(s session) (err error) {
		res, err = a.writeInput(ctx, s, table, files, o)
		return err
	})
	bar.end()
	if err != nil {
		return f.timeout.explain(ctx, err, a.done)
	}
	a.did(!res.Duplicate && (res.Inserted+res.Deleted > 0 || res.Created || res.Altered))
	return a.printWrite(res)
}

func (a *app) writeInput(ctx context.Context, s session, table string, files []string, o *supertable.WriteOptions) (supertable.WriteResult, error) {
	if len(files) == 1 && files[0] == "-" {
		return s.WriteFrom(ctx, table, interruptible(ctx, a.stdin), o)
	}
	return s.WriteFiles(ctx, table, files, o)
}

// filesExist checks the inputs before anything is opened or created.
func filesExist(files []string) error {
	for _, name := range files {
		if name == "-" || strings.Contains(name, "://") {
			continue
		}
		info, err := os.Stat(name)
		if err != nil {
			return fileError(name, err)
		}
		if info.IsDir() {
			return failf(supertable.InvalidArgument, "file %q is a folder", name)
		}
	}
	return nil
}

// newerNeedsKey is the library's sentence too.
const newerNeedsKey = "newer_than requires overwrite_columns (--key)"

// checkWrite refuses a write before a SuperTable is created for its sake.
func (a *app) checkWrite(ctx context.Context, lake *supertable.Lake, table string, files []string, o *supertable.WriteOptions) error {
	if files[0] != "-" {
		return lake.CheckWrite(ctx, a.flags.super, table, files, nil, o)
	}
	return a.checkStdin(ctx, func(stdin io.Reader) error { return lake.CheckWrite(ctx, a.flags.super, table, files, stdin, o) })
}

func (a *app) printWrite(r supertable.WriteResult) error {
	return a.printOne(object{
		{"table", r.Table},
		{"columns", int64(r.Columns)},
		{"rows", r.Rows},
		{"inserted", r.Inserted},
		{"deleted", r.Deleted},
		{"skipped_stale", r.SkippedStale},
		{"snapshot", r.Snapshot},
		{"version", r.Version},
		{"duplicate", r.Duplicate},
	}, writeSentence(r))
}

// writeSentence says what a write did: orders: 3 rows inserted, 1 replaced ·
// snapshot 4 · version 2.
func writeSentence(r supertable.WriteResult) string {
	var did []string
	if r.Inserted > 0 {
		did = append(did, plural(r.Inserted, "row")+" inserted")
	}
	switch {
	case r.Deleted > 0 && r.Inserted > 0:
		did = append(did, fmt.Sprintf("%d replaced", r.Deleted))
	case r.Deleted > 0:
		did = append(did, plural(r.Deleted, "row")+" deleted")
	}
	if r.SkippedStale > 0 {
		did = append(did, fmt.Sprintf("%d stale skipped", r.SkippedStale))
	}
	switch {
	case len(did) > 0:
	case r.Created:
		did = append(did, "created without rows")
	case r.Altered:
		did = append(did, "columns changed, no rows")
	default:
		did = append(did, "nothing to do")
	}
	s := fmt.Sprintf("%s: %s · snapshot %d · version %d", r.Table, strings.Join(did, ", "), r.Snapshot, r.Version)
	if r.Duplicate {
		s += " · already written under this id"
	}
	return s
}

func plural(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
