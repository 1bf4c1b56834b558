package cli

import (
	"io"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "help [COMMAND]",
		Short:             "Explain the program or one command",
		Long:              "Help explains the program, or one command with an example.",
		Example:           "  supertable help write",
		PersistentPreRunE: func(*cobra.Command, []string) error { return nil },
		RunE: func(cmd *cobra.Command, args []string) error {
			topic, rest, err := cmd.Root().Find(args)
			if err != nil || topic == nil || len(rest) > 0 {
				return usagef(cmd.Root(), "no such command: %q", strings.Join(args, " "))
			}
			topic.InitDefaultHelpFlag()
			return topic.Help()
		},
	}
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Long:    "Version prints the program's version, its commit and the Go release that built it.",
		Example: "  supertable version --format json",
		Args:    takes(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			return a.printOne(object{
				{"version", version}, {"commit", commit()}, {"go", runtime.Version()},
			}, "supertable "+version)
		},
	}
}

// commit is the revision that the program was built from, "" when unknown.
func commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}

func (a *app) completionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish"}
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Print the completion script of a shell: bash, zsh or fish",
		Long: `Completion prints a script that teaches a shell to complete commands, flags
and table names. Load it from the shell's start file.`,
		Example:   "  source <(supertable completion bash)",
		Args:      takes(1, 1, "SHELL: bash, zsh or fish"),
		ValidArgs: shells,
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			print := map[string]func(io.Writer) error{
				"bash": func(w io.Writer) error { return root.GenBashCompletionV2(w, true) },
				"zsh":  root.GenZshCompletion,
				"fish": func(w io.Writer) error { return root.GenFishCompletion(w, true) },
			}[args[0]]
			if print != nil {
				return a.result(print)
			}
			return usagef(cmd, "no completion for %q; choose one of %s", args[0], strings.Join(shells, ", "))
		},
	}
}

// completeTable offers table names to the shell; any failure offers nothing.
func (a *app) completeTable(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	if a.accept(cmd, nil) != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	_ = a.read(cmd.Context(), func(s session) error {
		list, err := s.Tables(cmd.Context())
		for _, t := range list {
			names = append(names, t.Name)
		}
		return err
	})
	return names, cobra.ShellCompDirectiveNoFileComp
}
