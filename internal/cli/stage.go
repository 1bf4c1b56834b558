package cli

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/spf13/cobra"

	"github.com/supertable-go/supertable"
)

// stagingSession is what stage and pipe need of a supertable.Session.
type stagingSession interface {
	StageFiles(ctx context.Context, area string, paths []string, o *supertable.StageOptions) ([]supertable.StagedFile, error)
	StageFrom(ctx context.Context, area, name string, r io.Reader, o *supertable.StageOptions) (supertable.StagedFile, error)
	Staged(ctx context.Context, area string) ([]supertable.StagedFile, error)
	StagedTree(ctx context.Context) (map[string]map[string]any, error)
	ShowStaged(ctx context.Context, area, file string, rows int) (supertable.StagedPreview, error)
	ReadStaged(ctx context.Context, area, file string, w io.Writer) (supertable.StagedFile, error)
	RemoveStaged(ctx context.Context, area, file string) (bool, error)
	LoadStaged(ctx context.Context, area, file, table string, o *supertable.LoadOptions) ([]supertable.LoadResult, error)
	StagedHistory(ctx context.Context, area string) ([]supertable.StagedEvent, error)
	CreatePipe(ctx context.Context, p supertable.Pipe) error
	Pipes(ctx context.Context) ([]supertable.Pipe, error)
	DeletePipe(ctx context.Context, name string) (bool, error)
	EnablePipe(ctx context.Context, name string, on bool) (supertable.Pipe, error)
	RunPipe(ctx context.Context, name, file string) ([]supertable.LoadResult, error)
	WatchPipes(ctx context.Context, name string, o *supertable.WatchOptions) error
}

func (a *app) stageCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "stage",
		Short: "Keep files in staging areas and load them",
		Long: `Stage keeps files beside the lake, in named areas, until they are loaded into a
table: each file into each table once, unless --again is given.

FILE is a file's name in the area (20260131100000123_orders.csv) or, when only
one file there has it, the name that it was put by (orders.csv).`,
		Example: "  supertable stage put inbox orders.csv",
	}, a.stagePutCommand(), a.stageListCommand(), a.stageShowCommand(), a.stageTreeCommand(), a.stageGetCommand(),
		a.stageRmCommand(), a.stageLoadCommand(), a.stageHistoryCommand())
}

func (a *app) stagePutCommand() *cobra.Command {
	var format, name string
	cmd := &cobra.Command{
		Use:   "put AREA FILE...",
		Short: "Put copies of files into an area",
		Long: `Put keeps copies of files in an area, all or none. A file that cannot be read to
its end as what it claims to be is refused. The area appears by itself, and so
does the SuperTable. The file - is standard input.`,
		Example: "  supertable stage put inbox orders.csv customers.parquet",
		Args:    takes(2, -1, "AREA and at least one FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			area, files := args[0], args[1:]
			switch stdin := slices.Contains(files, "-"); {
			case format != "" && !slices.Contains(inputFormats, format):
				return usagef(cmd, "unknown --input-format %q; choose one of %s", format, strings.Join(inputFormats, ", "))
			case stdin && len(files) > 1:
				return usagef(cmd, "- (standard input) stands alone")
			case stdin && format == "" && name == "":
				return usagef(cmd, "- (standard input) needs --input-format or --name")
			case name != "" && len(files) > 1:
				return usagef(cmd, "--name is for one file")
			}
			if err := filesExist(files); err != nil {
				return err
			}
			return a.runStagePut(cmd, area, files, name, format)
		},
	}
	cmd.Flags().StringVar(&format, "input-format", "", strings.Join(inputFormats, ", ")+" (default by suffix)")
	cmd.Flags().StringVar(&name, "name", "", "keep the file under this `name` rather than its own")
	return cmd
}

func (a *app) runStagePut(cmd *cobra.Command, area string, files []string, name, format string) error {
	ctx := cmd.Context()
	var list []supertable.StagedFile
	o := &supertable.StageOptions{Format: format}
	ready := func(lake *supertable.Lake) error { return a.checkStage(ctx, lake, area, files, name, o) }
	err := a.write(ctx, ready, func(s session) (err error) {
		if files[0] != "-" && name == "" {
			list, err = s.StageFiles(ctx, area, files, o)
			return err
		}
		var f supertable.StagedFile
		f, err = a.stageStream(ctx, s, area, files[0], name, o)
		list = []supertable.StagedFile{f}
		return err
	})
	if err != nil {
		return err
	}
	a.did(true)
	return a.printList(stagedListing(list))
}

// stageStream stages standard input, or a file under another name.
func (a *app) stageStream(ctx context.Context, s session, area, file, name string, o *supertable.StageOptions) (supertable.StagedFile, error) {
	if file == "-" {
		return s.StageFrom(ctx, area, stdinName(name, o), interruptible(ctx, a.stdin), o)
	}
	f, err := openInput(file)
	if err != nil {
		return supertable.StagedFile{}, err
	}
	defer func() { _ = f.Close() }()
	return s.StageFrom(ctx, area, name, f, o)
}

// stdinName is what standard input is kept under.
func stdinName(name string, o *supertable.StageOptions) string {
	if name == "" {
		return "stdin." + o.Format
	}
	return name
}

// checkStage refuses files before a SuperTable is created for their sake.
func (a *app) checkStage(ctx context.Context, lake *supertable.Lake, area string, files []string, name string, o *supertable.StageOptions) error {
	if files[0] == "-" {
		return a.checkStdin(ctx, func(stdin io.Reader) error {
			return lake.CheckStage(ctx, area, nil, []string{stdinName(name, o)}, stdin, o)
		})
	}
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = cmp.Or(name, filepath.Base(f))
	}
	return lake.CheckStage(ctx, area, files, names, nil, o)
}

func stagedListing(list []supertable.StagedFile) listing {
	l := listing{columns: []string{"area", "file", "rows", "bytes", "sha256", "status", "created"}}
	for _, f := range list {
		l.rows = append(l.rows, []any{f.Area, f.File, f.Rows, f.Bytes, f.SHA256, f.Status, f.Created})
	}
	return l
}

func (a *app) stageListCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "list [AREA]",
		Short:   "List staged files",
		Long:    "List lists the files of an area, or of all that one may write to, the oldest first.",
		Example: "  supertable stage list inbox --format json",
		Args:    takes(0, 1, "AREA"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.read(cmd.Context(), func(s session) error {
				list, err := s.Staged(cmd.Context(), first(args))
				if err != nil {
					return err
				}
				return a.printList(stagedListing(list))
			})
		},
	}
}

func (a *app) stageTreeCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "tree",
		Short:   "Show the areas with their files",
		Long:    "Tree shows the areas with their files; in JSON as a nested map, areas to files, files to null.",
		Example: "  supertable stage tree --format json",
		Args:    takes(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.read(cmd.Context(), func(s session) error {
				tree, err := s.StagedTree(cmd.Context())
				if err != nil {
					return err
				}
				return a.result(func(w io.Writer) error { return writeTree(w, a.flags.format, tree) })
			})
		},
	}
}

func writeTree(w io.Writer, format string, tree map[string]map[string]any) error {
	var b []byte
	l := listing{columns: []string{"area", "file"}}
	b = append(b, '{')
	var text strings.Builder
	for i, area := range slices.Sorted(maps.Keys(tree)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendJSONString(b, area), ':', '{')
		text.WriteString(area + "/\n")
		for k, file := range slices.Sorted(maps.Keys(tree[area])) {
			if k > 0 {
				b = append(b, ',')
			}
			b = append(appendJSONString(b, file), ":null"...)
			text.WriteString("  " + printable(file) + "\n")
			l.rows = append(l.rows, []any{area, file})
		}
		b = append(b, '}')
	}
	switch format {
	case formatJSON, formatNDJSON:
		_, err := w.Write(append(b, "}\n"...))
		return err
	case formatCSV:
		return l.writeCSV(w)
	}
	_, err := io.WriteString(w, text.String())
	return err
}

func (a *app) stageShowCommand() *cobra.Command {
	rows := 10
	cmd := &cobra.Command{
		Use:     "show AREA FILE",
		Short:   "Show the columns and first rows of a staged file",
		Long:    "Show shows the columns and the first rows of a staged file.",
		Example: "  supertable stage show inbox orders.csv --format json",
		Args:    takes(2, 2, "AREA and FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if rows < 0 {
				return usagef(cmd, "--rows is 0 or more")
			}
			return a.read(cmd.Context(), func(s session) error {
				p, err := s.ShowStaged(cmd.Context(), args[0], args[1], rows)
				if err != nil {
					return err
				}
				defer p.Preview.Release()
				return a.result(func(w io.Writer) error { return writePreview(w, a.flags.format, p) })
			})
		},
	}
	cmd.Flags().IntVar(&rows, "rows", rows, "how many `rows` to show")
	return cmd
}

// batches is a reader of batches as printing sees it.
type batches struct{ array.RecordReader }

// Batch is the current batch.
func (b batches) Batch() arrow.RecordBatch { return b.RecordBatch() }

func writePreview(w io.Writer, format string, p supertable.StagedPreview) error {
	columns := listing{columns: []string{"name", "type"}}
	for _, c := range p.Columns {
		columns.rows = append(columns.rows, []any{c.Name, c.Type})
	}
	rows := batches{p.Preview}
	switch format {
	case formatCSV:
		return copyRows(formatCSV, w, rows)
	case formatJSON, formatNDJSON:
		b := []byte(`{"area":`)
		b = append(appendJSONString(b, p.Area), `,"file":`...)
		b = append(appendJSONString(b, p.File), `,"rows":`...)
		b = append(strconv.AppendInt(b, p.Rows, 10), `,"columns":[`...)
		for i, row := range columns.rows {
			if i > 0 {
				b = append(b, ',')
			}
			b = columns.appendObject(b, row)
		}
		b = append(b, `],"preview":`...)
		if _, err := w.Write(b); err != nil {
			return err
		}
		if err := copyRows(formatJSON, unbroken{w}, rows); err != nil {
			return err
		}
		_, err := io.WriteString(w, "}\n")
		return err
	}
	if _, err := io.WriteString(w, printable(p.Area+"/"+p.File)+" · "+plural(p.Rows, "row")+"\n\n"); err != nil {
		return err
	}
	if err := columns.writeTable(w); err != nil {
		return err
	}
	if _, err := io.WriteString(w, "\n"); err != nil {
		return err
	}
	return copyRows(formatTable, w, rows)
}

// unbroken leaves line breaks out; inside its texts JSON has none.
type unbroken struct{ w io.Writer }

func (u unbroken) Write(p []byte) (int, error) {
	if _, err := u.w.Write(bytes.ReplaceAll(p, []byte("\n"), nil)); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (a *app) stageGetCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "get AREA FILE -o F",
		Short:   "Get the bytes of a staged file back",
		Long:    "Get writes the bytes of a staged file, as they were put, to the file -o or to standard output. Their checksum is verified.",
		Example: "  supertable stage get inbox orders.csv -o orders.csv",
		Args:    takes(2, 2, "AREA and FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.read(cmd.Context(), func(s session) error {
				return a.result(func(w io.Writer) error {
					_, err := s.ReadStaged(cmd.Context(), args[0], args[1], w)
					return err
				})
			})
		},
	}
}

func (a *app) stageRmCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "rm AREA FILE",
		Short:   "Remove a staged file",
		Long:    "Rm removes a staged file. What was loaded from it stays, and so does the history.",
		Example: "  supertable stage rm inbox orders.csv",
		Args:    takes(2, 2, "AREA and FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.read(cmd.Context(), func(s session) error {
				deleted, err := s.RemoveStaged(cmd.Context(), args[0], args[1])
				if err != nil {
					return err
				}
				return a.printDeleted(deleted, "Removed "+args[0]+"/"+args[1])
			})
		},
	}
}

func (a *app) printDeleted(deleted bool, sentence string) error {
	a.did(deleted)
	if !deleted {
		sentence = "Nothing to remove"
	}
	return a.printOne(object{{"deleted", deleted}}, sentence)
}

// loadFlags are the flags of stage load.
type loadFlags struct {
	into, newerThan, message, columns string
	keys                              []string
	level                             int
	again                             bool
	timeout                           durationFlag
}

func (a *app) stageLoadCommand() *cobra.Command {
	var f loadFlags
	cmd := &cobra.Command{
		Use:   "load AREA [FILE] --into TABLE",
		Short: "Load staged files into a table, each once",
		Long: `Load loads one file, or all files of the area that were neither loaded into the
table nor quarantined, the oldest first, one commit each. The same bytes go into
a table once, whoever loads them; --again loads them once more. It stops at the
first file that fails; what was loaded before it stays.`,
		Example: "  supertable stage load inbox --into orders --key order_id",
		Args:    takes(1, 2, "AREA [FILE]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			file := ""
			if len(args) == 2 {
				if file = args[1]; file == "" {
					return usagef(cmd, "FILE is empty")
				}
			}
			o, err := f.options(cmd)
			if err != nil {
				return err
			}
			return a.runStageLoad(cmd, args[0], file, o, &f)
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&f.into, "into", "", "the `table`")
	fs.StringArrayVar(&f.keys, "key", nil, "the `columns` by which rows replace rows: a,b")
	fs.StringVar(&f.newerThan, "newer-than", "", "drop rows whose value in this `column` is not above the live row's")
	fs.StringVar(&f.message, "message", "", "kept in the history")
	fs.StringVar(&f.columns, "columns", "", "types of text columns: 'a:bigint,b:date'")
	fs.IntVar(&f.level, "compression-level", 0, "of Zstandard, 1 to 22 (default 3)")
	fs.BoolVar(&f.again, "again", false, "also what was loaded into the table before")
	fs.Var(&f.timeout, "timeout", "give up after this `duration` (90s, 1h30m)")
	return cmd
}

func (f *loadFlags) options(cmd *cobra.Command) (*supertable.LoadOptions, error) {
	switch {
	case f.into == "":
		return nil, usagef(cmd, "load needs --into TABLE")
	case f.newerThan != "" && len(f.keys) == 0:
		return nil, usagef(cmd, newerNeedsKey)
	case cmd.Flags().Changed("compression-level") && (f.level < 1 || f.level > 22):
		return nil, usagef(cmd, "--compression-level is 1 to 22")
	}
	o := &supertable.LoadOptions{NewerThan: f.newerThan, Message: f.message, CompressionLevel: f.level, Again: f.again}
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

func (a *app) runStageLoad(cmd *cobra.Command, area, file string, o *supertable.LoadOptions, f *loadFlags) error {
	ctx, cancel := f.timeout.context(cmd.Context())
	defer cancel()
	err := a.read(ctx, func(s session) error {
		rows, err := s.LoadStaged(ctx, area, file, f.into, o)
		return a.printLoads(rows, err)
	})
	return f.timeout.explain(ctx, err, a.done)
}

// printLoads prints what became of files, also when one of them failed.
func (a *app) printLoads(rows []supertable.LoadResult, failed error) error {
	a.did(slices.ContainsFunc(rows, settled))
	if failed != nil && len(rows) == 0 {
		return failed
	}
	if err := a.printList(loadListing(rows)); err != nil {
		return err
	}
	return failed
}

// settled tells a file of which something was kept from one that failed.
func settled(r supertable.LoadResult) bool { return r.Status != "staged" }

func loadListing(rows []supertable.LoadResult) listing {
	l := listing{columns: []string{"file", "status", "reason", "table", "inserted", "deleted", "snapshot"}}
	for _, r := range rows {
		var reason, snapshot any
		if r.Reason != "" {
			reason = r.Reason
		}
		if r.Status == "loaded" {
			snapshot = r.Snapshot
		}
		l.rows = append(l.rows, []any{r.File, r.Status, reason, r.Table, r.Inserted, r.Deleted, snapshot})
	}
	return l
}

func (a *app) stageHistoryCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "history [AREA]",
		Short:   "List what was loaded when, newest first",
		Long:    "History lists the loads and quarantines of staged files, newest first; files that were removed since too.",
		Example: "  supertable stage history inbox",
		Args:    takes(0, 1, "AREA"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.read(cmd.Context(), func(s session) error {
				list, err := s.StagedHistory(cmd.Context(), first(args))
				if err != nil {
					return err
				}
				l := listing{columns: []string{"time", "area", "file", "status", "reason", "table", "pipe", "inserted", "deleted", "snapshot", "principal"}}
				for _, e := range list {
					var snapshot any // of what was loaded; there is none else
					if e.Status == "loaded" {
						snapshot = e.Snapshot
					}
					l.rows = append(l.rows, []any{e.Time, e.Area, e.File, e.Status, e.Reason, e.Table, e.Pipe, e.Inserted, e.Deleted, snapshot, e.Principal})
				}
				return a.printList(l)
			})
		},
	}
}
