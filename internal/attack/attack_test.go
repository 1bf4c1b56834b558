package attack

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/script"
	"github.com/supertable-go/supertable/internal/testdb"
)

// TestAttacks runs the hostile statements and calls of testdata, one file a
// theme, each on a fresh lake (lake_test.go). Every case is reviewed by hand;
// besides, no answer may hold what its user must never see.
//
//	ask USER… [at=N] [key=value]…   SQL, one statement a line; the answers of all users to it
//	same USER                       two statements that must get the same answer, but for the names in them
//	write USER TABLE [key=(a,b)] [newer_than=c] [delete] [all] [id=x]
//	                                columns on the first line, JSON objects after it
//	csv USER TABLE                  the same as CSV
//	alter USER TABLE …              rename=, drop=, column= to=, type= to= [cast], add= type=
//	drop USER TABLE, options USER [TABLE], option USER TABLE NAME VALUE, read-only USER, drop-super USER
//	diff USER TABLE from= to=, changes USER [TABLE] from=, facts USER [TABLE]
//	schema USER TABLE, tables USER, history USER [TABLE], stats USER, check USER, explain USER WHO [TABLE]
//	role USER, user USER NAME [roles=(…)], modify USER NAME [name=] [roles=(…)], drop-role USER NAME, drop-user USER NAME
//	roles USER, users USER, strip USER HASH
//	put USER AREA NAME              the input is the file, CSV
//	staged USER [AREA], show USER AREA FILE, get USER AREA FILE, rm USER AREA FILE, loads USER [AREA]
//	load USER AREA TABLE [file=] [key=(a,b)] [columns=(a:t,b:t)] [again]
//	pipe USER                       a definition; run USER PIPE [FILE]
//	rollback USER TABLE SNAPSHOT, undrop USER TABLE, log USER STREAM, drain USER STREAM
func TestAttacks(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatal("no attacks", err)
	}
	var asked atomic.Int64
	t.Run("all", func(t *testing.T) {
		for _, path := range paths {
			t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
				t.Parallel()
				l := newLake(t)
				defer func() { asked.Add(int64(l.asked)) }()
				script.Run(t, path, l.run)
			})
		}
	})
	t.Logf("%d hostile statements and calls", asked.Load())
	if asked.Load() < 150 {
		t.Errorf("only %d hostile statements and calls", asked.Load())
	}
}

func (l *lake) run(t *testing.T, c *script.Case) string {
	t.Helper()
	l.t = t
	var words []string
	for _, a := range c.Args {
		if len(a.Values) == 0 {
			words = append(words, a.Key)
		}
	}
	words = append(words, "", "", "", "")
	switch c.Cmd {
	case "ask":
		return l.ask(c)
	case "same":
		return l.same(c, words[0])
	}
	out, err := l.call(c, words)
	return l.answer(words[0], c.Cmd+" "+strings.Join(words[1:], " ")+c.Input, out, err)
}

// ask puts every line of the input as every user.
func (l *lake) ask(c *script.Case) string {
	o := &supertable.QueryOptions{Params: map[string]any{}}
	var who []string
	for _, a := range c.Args {
		switch {
		case len(a.Values) == 0:
			who = append(who, a.Key)
		case a.Key == "at":
			n, err := strconv.ParseInt(a.Values[0], 10, 64)
			if err != nil {
				l.t.Fatal(err)
			}
			o.AtVersion = &n
		default:
			o.Params[a.Key] = a.Values[0]
		}
	}
	var out []string
	for sql := range strings.Lines(c.Input) {
		for _, user := range who {
			rows, err := testdb.TryQuery(l.t.Context(), l.as(user), sql, o)
			line := l.answer(user, sql, rows, err)
			if len(who) > 1 {
				line = user + ": " + line
			}
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n")
}

// same asks two statements that must not be told apart: what is hidden looks
// as if it did not exist. The names in brackets are taken out of the answers.
func (l *lake) same(c *script.Case, user string) string {
	var answers []string
	for line := range strings.Lines(c.Input) {
		before, rest, _ := strings.Cut(line, "[")
		name, after, _ := strings.Cut(rest, "]")
		rows, err := testdb.TryQuery(l.t.Context(), l.as(user), before+name+after, nil)
		answers = append(answers, strings.ReplaceAll(l.answer(user, line, rows, err), name, "NAME"))
	}
	for _, a := range answers[1:] {
		if a != answers[0] {
			l.t.Errorf("%s: the answers differ:\n%s", c.Pos, strings.Join(answers, "\n"))
		}
	}
	return answers[0]
}

// call makes one call of the API.
func (l *lake) call(c *script.Case, words []string) (string, error) {
	ctx, s := l.t.Context(), l.as(words[0])
	switch c.Cmd {
	case "write", "csv":
		return l.write(c, s, words[1])
	case "alter":
		return l.alter(c, s, words[1])
	case "drop":
		dropped, err := s.DropTable(ctx, words[1])
		return fmt.Sprint(dropped), err
	case "drop-super":
		return "dropped", s.DropSuperTable(ctx)
	case "read-only":
		return "done", s.SetReadOnly(ctx, true)
	case "option":
		return "set", s.SetOption(ctx, words[1], words[2], words[3])
	case "options":
		list, err := s.Options(ctx, words[1])
		return fmt.Sprintf("%t", len(list) > 0), err
	case "check":
		_, err := s.Check(ctx, false)
		return "checked", err
	case "schema":
		list, err := s.Schema(ctx, words[1])
		return text(list), err
	case "tables":
		list, err := s.Tables(ctx)
		var out []string
		for _, i := range list {
			out = append(out, fmt.Sprintf("%s rows %d files %d bytes %t", i.Name, i.Rows, i.Files, i.Bytes > 0))
		}
		return strings.Join(out, "\n"), err
	case "history":
		list, err := s.History(ctx, words[1])
		var out []string
		for _, e := range list {
			out = append(out, fmt.Sprintf("%s %s +%d -%d withheld %t", e.Table, e.Operation, e.Inserted, e.Deleted, e.Withheld))
		}
		return strings.Join(out, "\n"), err
	case "stats":
		return l.stats(s, c.Input)
	case "diff":
		rows, err := s.Diff(ctx, words[1], l.number(c, "from"), l.number(c, "to"), nil)
		return lines(rows, err)
	case "changes":
		rows, err := s.Changes(ctx, words[1], l.number(c, "from"), nil)
		return lines(rows, err)
	case "facts":
		return facts(ctx, s, words[1])
	case "explain":
		list, err := s.Explain(ctx, words[1], words[2])
		for i := range list {
			list[i].Roles = nil
		}
		return text(list), err
	}
	if out, ok, err := l.staging(c, s, words); ok {
		return out, err
	}
	if out, ok, err := l.records(c, s, words); ok {
		return out, err
	}
	return l.governed(c, s, words)
}

func (l *lake) number(c *script.Case, key string) int64 {
	n, err := strconv.ParseInt(c.Value(key, ""), 10, 64)
	if err != nil {
		l.t.Fatalf("%s: %v", c.Pos, err)
	}
	return n
}

// lines gives the rows of a result, sorted.
func lines(rows *supertable.Rows, err error) (string, error) {
	if err != nil {
		return "", err
	}
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		b := rows.Batch()
		for i := range int(b.NumRows()) {
			var cells []string
			for _, col := range b.Columns() {
				cells = append(cells, strings.Clone(col.ValueStr(i)))
			}
			out = append(out, strings.Join(cells, "|"))
		}
	}
	slices.Sort(out)
	return strings.Join(out, "\n"), rows.Err()
}

// facts are those of the SuperTable, or of a table.
func facts(ctx context.Context, s *supertable.Session, table string) (string, error) {
	if table == "" {
		m, err := s.SuperMeta(ctx)
		out := fmt.Sprintf("files %d rows %d", m.Files, m.Rows)
		for _, t := range m.Tables {
			out += fmt.Sprintf(", %s files %d rows %d bytes %t", t.Name, t.Files, t.Rows, t.Size > 0)
		}
		return out, err
	}
	list, err := s.TableStats(ctx, table)
	out := ""
	for _, t := range list {
		out += fmt.Sprintf("files %d rows %d bytes %t", t.Files, t.Rows, t.Size > 0)
	}
	if _, serr := s.TableSchema(ctx, table); (serr == nil) != (err == nil) {
		return out, fmt.Errorf("schema: %w, statistics: %w", serr, err)
	}
	return out, err
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// governed makes one call that manages roles and users.
func (l *lake) governed(c *script.Case, s *supertable.Session, words []string) (string, error) {
	ctx := l.t.Context()
	switch c.Cmd {
	case "role":
		hash, err := s.CreateRole(ctx, []byte(c.Input))
		return fmt.Sprint(len(hash)), err
	case "user":
		names, _ := c.Arg("roles")
		u, err := s.CreateUser(ctx, words[1], names, nil)
		return fmt.Sprintf("%s %d roles", u.Name, len(u.Roles)), err
	case "modify":
		ch := supertable.UserChange{}
		if names, ok := c.Arg("roles"); ok {
			ch.Roles = &names
		}
		if name := c.Value("name", ""); name != "" {
			ch.Name = &name
		}
		u, err := s.ModifyUser(ctx, words[1], ch)
		return fmt.Sprintf("%s %d roles", u.Name, len(u.Roles)), err
	case "drop-role":
		done, err := s.DeleteRole(ctx, words[1])
		return fmt.Sprint(done), err
	case "drop-user":
		done, err := s.DeleteUser(ctx, words[1])
		return fmt.Sprint(done), err
	case "strip":
		return "stripped", s.RemoveRoleFromUsers(ctx, words[1])
	case "roles":
		list, err := s.Roles(ctx)
		return fmt.Sprint(len(list)), err
	case "users":
		list, err := s.Users(ctx)
		return fmt.Sprint(len(list)), err
	}
	l.t.Fatalf("%s: unknown command %q", c.Pos, c.Cmd)
	return "", nil
}

func (l *lake) write(c *script.Case, s *supertable.Session, table string) (string, error) {
	o := &supertable.WriteOptions{NewerThan: c.Value("newer_than", ""), WriteID: c.Value("id", "")}
	o.Key, _ = c.Arg("key")
	_, o.DeleteOnly = c.Arg("delete")
	_, o.DeleteAll = c.Arg("all")
	var res supertable.WriteResult
	var err error
	switch columns, rows, _ := strings.Cut(c.Input, "\n"); {
	case o.DeleteAll:
		res, err = s.WriteFiles(l.t.Context(), table, nil, o)
	case c.Cmd == "csv":
		o.Format = "csv"
		res, err = s.WriteFrom(l.t.Context(), table, strings.NewReader(c.Input), o)
	default:
		rr := testdb.Batch(l.t, columns, "["+strings.ReplaceAll(strings.TrimSpace(rows), "\n", ",")+"]")
		defer rr.Release()
		res, err = s.Write(l.t.Context(), table, rr, o)
	}
	return fmt.Sprintf("inserted %d deleted %d stale %d duplicate %t", res.Inserted, res.Deleted, res.SkippedStale, res.Duplicate), err
}

func (l *lake) alter(c *script.Case, s *supertable.Session, table string) (string, error) {
	a := supertable.Alteration{Rename: c.Value("rename", ""), Drop: c.Value("drop", "")}
	to := c.Value("to", "")
	if name := c.Value("column", ""); name != "" {
		a.RenameColumn = &supertable.RenameColumn{From: name, To: to}
	}
	if name := c.Value("type", ""); name != "" {
		_, cast := c.Arg("cast")
		a.Type = &supertable.ChangeColumnType{Name: name, Type: to, Cast: cast}
	}
	if name := c.Value("add", ""); name != "" {
		a.Add = &supertable.AddColumn{Name: name, Type: to}
	}
	res, err := s.Alter(l.t.Context(), table, a)
	return res.Table, err
}

// stats gives the counts of a query's report.
func (l *lake) stats(s *supertable.Session, sql string) (string, error) {
	rows, err := s.Query(l.t.Context(), sql, nil)
	if err != nil {
		return "", err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
	}
	r := rows.Report()
	out := fmt.Sprintf("files %d of %d, bytes %t, rows %d", r.FilesRead, r.FilesTotal, r.BytesRead > 0 || r.BytesTotal > 0, r.Rows)
	for _, s := range r.PlanStats {
		if n, ok := s["TABLE_ROWS"]; ok {
			out += fmt.Sprintf(", of %v", n)
		}
	}
	return out, rows.Err()
}
