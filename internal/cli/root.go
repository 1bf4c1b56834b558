package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// globalFlags are the flags of every command.
type globalFlags struct {
	home, org, super, user string
	format                 string
	output                 string
	quiet                  bool
	noColor                bool
	memory                 memoryFlag
}

// The output forms.
const (
	formatTable   = "table"
	formatJSON    = "json"
	formatNDJSON  = "ndjson"
	formatCSV     = "csv"
	formatArrow   = "arrow"
	formatParquet = "parquet"
)

var (
	listingFormats = []string{formatTable, formatJSON, formatNDJSON, formatCSV}
	rowFormats     = append(slices.Clone(listingFormats), formatArrow, formatParquet)
)

const rootLong = `SuperTable is a governed data warehouse in a folder.

A home holds organizations, an organization holds SuperTables, a SuperTable
holds tables. Files go in (Parquet, Arrow, CSV, JSON); a table appears by
itself at its first write; rows with the same key are replaced; every write is
one atomic snapshot that can be travelled back to; SQL reads them all.

Flags may stand before or after the command. The environment gives defaults:
SUPERTABLE_HOME, SUPERTABLE_ORGANIZATION, SUPERTABLE_SUPER, SUPERTABLE_USER,
SUPERTABLE_MEMORY.`

// rootCommand builds the whole tree of commands.
func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "supertable",
		Short:         "A governed data warehouse in a folder",
		Long:          rootLong,
		Example:       "  supertable write orders orders.parquet --key order_id\n  supertable query 'SELECT country, sum(amount) FROM orders GROUP BY 1'",
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return cmd.Help()
		},
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef(cmd, "%s", flagWords(err))
	})
	root.SetVersionTemplate("supertable {{.Version}}\n")
	root.PersistentPreRunE = func(cmd *cobra.Command, args []string) error {
		if err := a.accept(cmd, args); err != nil {
			return err
		}
		return a.prepareOutput()
	}
	a.addGlobalFlags(root)
	root.SetHelpCommand(helpCommand())
	root.AddCommand(
		a.createCommand(), a.writeCommand(), a.queryCommand(), a.shellCommand(),
		a.tablesCommand(), a.schemaCommand(), a.historyCommand(), a.alterCommand(),
		a.optionCommand(), a.dropCommand(), a.dropSuperCommand(), a.checkCommand(),
		a.roleCommand(), a.userCommand(), a.accessCommand(), a.auditCommand(),
		a.diffCommand(), a.changesCommand(), a.rollbackCommand(), a.undropCommand(), a.tagCommand(),
		a.stageCommand(), a.pipeCommand(),
		a.monitorCommand(), a.plansCommand(), a.writeStatsCommand(), a.metaCommand(),
		a.backupCommand(), a.restoreCommand(), a.rebuildCommand(),
		a.versionCommand(), a.completionCommand(),
	)
	root.AddCommand(a.compactCommand(), a.flushCommand(), a.expireCommand(), a.cleanCommand(), a.maintainCommand())
	return root
}

func (a *app) addGlobalFlags(root *cobra.Command) {
	f := root.PersistentFlags()
	f.SortFlags = false
	f.StringVar(&a.flags.home, "home", "", "the folder of organizations [SUPERTABLE_HOME, ~/supertable]")
	f.StringVar(&a.flags.org, "org", "", "the organization [SUPERTABLE_ORGANIZATION, default]")
	f.StringVar(&a.flags.super, "super", "", "the SuperTable [SUPERTABLE_SUPER, main]")
	f.StringVar(&a.flags.user, "user", "", "who asks: a user's name or hash [SUPERTABLE_USER, superuser]")
	f.StringVar(&a.flags.format, "format", formatTable, "table, json, ndjson, csv; query also arrow, parquet; otherwise as the suffix of -o says")
	f.StringVarP(&a.flags.output, "output", "o", "", "write the result to this `file`, whole or not at all")
	f.Var(&a.flags.memory, "memory", "`size` of the engine's memory, as 512MB; sorts and joins above it spill to disk [SUPERTABLE_MEMORY, 2GiB or half of what there is]")
	f.BoolVar(&a.flags.quiet, "quiet", false, "no progress bar and no notes")
	f.BoolVar(&a.flags.noColor, "no-color", false, "no colours (there are none today; NO_COLOR is honoured too)")
}

// accept checks the global flags and fills in what the environment says. It
// runs after the arguments of the command were accepted.
func (a *app) accept(cmd *cobra.Command, _ []string) error {
	f := &a.flags
	set := cmd.Flags().Changed
	for _, s := range []struct {
		flag, env, otherwise string
		to                   *string
	}{
		{"home", "SUPERTABLE_HOME", "", &f.home},
		{"org", "SUPERTABLE_ORGANIZATION", "default", &f.org},
		{"super", "SUPERTABLE_SUPER", "main", &f.super},
		{"user", "SUPERTABLE_USER", "superuser", &f.user},
	} {
		if set(s.flag) {
			continue
		}
		if *s.to = os.Getenv(s.env); *s.to == "" {
			*s.to = s.otherwise
		}
	}
	if text := os.Getenv("SUPERTABLE_MEMORY"); text != "" && !set("memory") {
		if err := f.memory.Set(text); err != nil {
			return usagef(cmd, "SUPERTABLE_MEMORY: %s", err)
		}
	}
	if f.home == "" && !set("home") {
		dir, err := os.UserHomeDir()
		if err != nil {
			return usagef(cmd, "where is the home? give --home DIR or SUPERTABLE_HOME")
		}
		f.home = filepath.Join(dir, "supertable")
	}
	if f.home == "" {
		return usagef(cmd, "--home is empty")
	}
	if err := a.acceptFormat(cmd); err != nil {
		return err
	}
	a.running = true
	return nil
}

func (a *app) acceptFormat(cmd *cobra.Command) error {
	may := listingFormats
	if cmd.Annotations["prints"] == "rows" {
		may = rowFormats
	}
	if form := suffixFormat(a.flags.output); !cmd.Flags().Changed("format") && slices.Contains(may, form) {
		a.flags.format = form
	}
	switch format := a.flags.format; {
	case slices.Contains(may, format):
	case slices.Contains(rowFormats, format):
		return usagef(cmd, "--format %s is for query; %s prints %s", format, cmd.Name(), strings.Join(may, ", "))
	default:
		return usagef(cmd, "unknown --format %q; choose one of %s", format, strings.Join(may, ", "))
	}
	if binaryFormat(a.flags.format) && a.flags.output == "" && isTerminal(a.stdout.w) {
		return usagef(cmd, "--format %s is not for a terminal: give -o FILE or a pipe", a.flags.format)
	}
	return nil
}

// suffixFormat is the form that the suffix of a file's name asks for, or "".
func suffixFormat(name string) string {
	switch ext := strings.ToLower(strings.TrimPrefix(filepath.Ext(name), ".")); ext {
	case "jsonl":
		return formatNDJSON
	case formatCSV, formatParquet, formatArrow, formatJSON, formatNDJSON:
		return ext
	}
	return ""
}

func binaryFormat(f string) bool { return f == formatArrow || f == formatParquet }

func unknownCommand(cmd *cobra.Command, name string) error {
	cmd.SuggestionsMinimumDistance = 2
	if s := cmd.SuggestionsFor(name); len(s) > 0 {
		return usagef(cmd, "unknown command %q, did you mean %q?", name, s[0])
	}
	return usagef(cmd, "unknown command %q", name)
}

// takes checks the number of arguments; most < 0 means any number. names are
// shown when one is missing.
func takes(least, most int, names string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return usagef(cmd, "%s needs %s", cmd.Name(), names)
		case most == 0 && len(args) > 0:
			return usagef(cmd, "%s takes no argument, got %q", cmd.Name(), args[0])
		case most >= 0 && len(args) > most:
			return usagef(cmd, "too many arguments: %s takes %s, got %q too", cmd.Name(), names, args[most])
		}
		return nil
	}
}

// group makes a command that only holds others.
func group(cmd *cobra.Command, children ...*cobra.Command) *cobra.Command {
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknownCommand(cmd, args[0])
		}
		var names []string
		for _, c := range cmd.Commands() {
			names = append(names, c.Name())
		}
		return usagef(cmd, "%s needs one of: %s", cmd.Name(), strings.Join(names, ", "))
	}
	cmd.AddCommand(children...)
	return cmd
}
