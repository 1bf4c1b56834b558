package cli

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/supertable-go/supertable"
)

const alterLong = `Alter changes the schema of a table, in a snapshot of its own:

  rename NAME                the table's new name
  add COL TYPE [default V]   a new column; rows that are there get V, or NULL
  drop COL                   drop a column
  rename-column A B          a column's new name
  type COL TYPE              a column's new type: without loss, or with --cast
                             when every value converts exactly`

func (a *app) alterCommand() *cobra.Command {
	var cast bool
	cmd := &cobra.Command{
		Use:               "alter TABLE ACTION",
		Short:             "Change the schema of a table",
		Long:              alterLong,
		Example:           "  supertable alter orders add discount 'decimal(10,2)' default 0",
		Args:              takes(2, -1, "TABLE and an action: rename, add, drop, rename-column, type"),
		ValidArgsFunction: a.completeTable,
		RunE: func(cmd *cobra.Command, args []string) error {
			change, err := parseAlteration(cmd, args[1], args[2:], cast)
			if err != nil {
				return err
			}
			return a.read(cmd.Context(), func(s session) error {
				r, err := s.Alter(cmd.Context(), args[0], change)
				if err != nil {
					return err
				}
				a.did(true)
				return a.printOne(object{{"table", r.Table}, {"snapshot", r.Snapshot}},
					fmt.Sprintf("%s: altered · snapshot %d", r.Table, r.Snapshot))
			})
		},
	}
	cmd.Flags().BoolVar(&cast, "cast", false, "type: check and convert every value")
	return cmd
}

// parseAlteration reads the words after TABLE.
func parseAlteration(cmd *cobra.Command, action string, args []string, cast bool) (supertable.Alteration, error) {
	need := func(n int, what string) error {
		if len(args) != n {
			return usagef(cmd, "alter TABLE %s needs %s and nothing else", action, what)
		}
		if slices.Contains(args, "") {
			return usagef(cmd, "alter TABLE %s %s: a word is empty", action, what)
		}
		return nil
	}
	if cast && action != "type" {
		return supertable.Alteration{}, usagef(cmd, "--cast goes with alter TABLE type only")
	}
	switch action {
	case "rename":
		err := need(1, "NAME")
		return supertable.Alteration{Rename: first(args)}, err
	case "drop":
		err := need(1, "COL")
		return supertable.Alteration{Drop: first(args)}, err
	case "rename-column":
		if err := need(2, "A B"); err != nil {
			return supertable.Alteration{}, err
		}
		return supertable.Alteration{RenameColumn: &supertable.RenameColumn{From: args[0], To: args[1]}}, nil
	case "type":
		if len(args) < 2 {
			return supertable.Alteration{}, usagef(cmd, "alter TABLE type needs COL TYPE")
		}
		if args[0] == "" {
			return supertable.Alteration{}, usagef(cmd, "alter TABLE type COL TYPE: the column's name is missing")
		}
		return supertable.Alteration{Type: &supertable.ChangeColumnType{Name: args[0], Type: strings.Join(args[1:], " "), Cast: cast}}, nil
	case "add":
		add, err := parseAdd(cmd, args)
		return supertable.Alteration{Add: add}, err
	}
	return supertable.Alteration{}, usagef(cmd, "unknown action %q; choose one of rename, add, drop, rename-column, type", action)
}

// parseAdd reads COL TYPE [default V]; a type may be several words.
func parseAdd(cmd *cobra.Command, args []string) (*supertable.AddColumn, error) {
	typed := args
	var value *string
	for i, w := range args {
		if v, ok := strings.CutPrefix(w, defaultMark); ok {
			args = slices.Concat(args[:i], []string{"default", v}, args[i+1:])
			w = "default"
		}
		if i < 2 || !strings.EqualFold(w, "default") {
			continue
		}
		if len(args) != i+2 {
			return nil, usagef(cmd, "alter TABLE add COL TYPE default V: want one value after default")
		}
		typed = args[:i]
		literal := sqlLiteral(args[i+1])
		value = &literal
		break
	}
	switch {
	case len(typed) < 2:
		return nil, usagef(cmd, "alter TABLE add needs COL TYPE [default V]")
	case typed[0] == "":
		return nil, usagef(cmd, "alter TABLE add COL TYPE: the column's name is missing")
	}
	return &supertable.AddColumn{Name: typed[0], Type: strings.Join(typed[1:], " "), Default: value}, nil
}

var typedLiteral = regexp.MustCompile(`^[A-Za-z]+( [A-Za-z]+)* *'([^']|'')*'$`)

// sqlLiteral makes a literal of a value of the command line: numbers, true,
// false, null and quoted texts as such, anything else as the text it is.
func sqlLiteral(s string) string {
	switch strings.ToLower(s) {
	case "null", "true", "false":
		return s
	}
	if _, quoted := unquote(s, '\''); quoted || number.MatchString(s) || typedLiteral.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}

// defaultMark joins default and a negative number, see joinDefault.
const defaultMark = "\x00default="

// joinDefault joins "default -1" of alter into one word, since the flag parser
// would take -1 for a flag.
func joinDefault(args []string) []string {
	if !slices.Contains(args, "alter") {
		return args
	}
	for i := 1; i+1 < len(args); i++ {
		v := args[i+1]
		if strings.EqualFold(args[i], "default") && strings.HasPrefix(v, "-") && number.MatchString(v) {
			return slices.Concat(args[:i], []string{defaultMark + v}, args[i+2:])
		}
	}
	return args
}
