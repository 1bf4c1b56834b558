package supertable_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/internal/script"
	"github.com/supertable-go/supertable/internal/testdb"
	"github.com/supertable-go/supertable/storage"
)

// TestScenarios runs the scenarios that are written as text, one file a group.
// Each begins with the command scenario and its number, which makes a fresh
// SuperTable of that name. The commands:
//
//	write T [key=(a,b)] [newer_than=c] [id=x] [message=m] [delete] [times=n]
//	                    columns on the first line of input, a JSON array per row
//	fixture dsN T …     a demo table (fixtures_test.go), options as for write
//	delete-all T        every row goes
//	names [super]       JSON texts, each tried as the name of a table to write
//	series T FROM TO    one write of rows (id, amount) with amount = id
//	query [at=N] [limit=N] [stats] [shape] [accepted]
//	                    SQL; stats adds the files read, shape answers with counts
//	                    only, accepted not even with those
//	schema T, tables, history [T], supers
//	files T             the data files as the catalog has them
//	alter T …           rename=, add= type= [default=], drop=, column= to=, type= to= [cast]
//	drop T, drop-super, create
//	diff T from= to= [key=(a,b)], changes [T] from= [to=]
//	rollback T to= [dry] [expect=], undrop T
//	tag NAME [at=], tag list, tag NAME delete
//
// and those of roles and users (scenario_governance_test.go). With as=NAME a
// command is that user's; without, superuser's.
//
// A failed call answers "kind: message".
func TestScenarios(t *testing.T) {
	paths, err := filepath.Glob("testdata/scenarios/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatal("no scenarios", err)
	}
	for where, rows := range map[string]int{"files": -1, "inside": catalog.InlineRows} {
		for _, path := range paths {
			t.Run(where+"/"+strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
				t.Parallel()
				clock := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
				db := testdb.At(t, t.TempDir(), &supertable.Options{MemoryBytes: 256 << 20, Threads: 2, InlineRows: rows, Now: func() time.Time { return clock }})
				r := &stage{db: db, clock: &clock, inside: rows > 0}
				script.Run(t, path, r.run)
			})
		}
	}
}

// stage is where a scenario plays: one SuperTable of a lake.
type stage struct {
	db    *testdb.DB
	s     *supertable.Session
	super string
	clock *time.Time
	// inside is set when small writes make no files: then everything but the
	// numbers of files is as the scenario says.
	inside bool
}

// fileCounts are what a scenario says of files.
var fileCounts = regexp.MustCompile(`files \d+( of \d+)?`)

// asWanted puts the scenario's own numbers of files in place.
func asWanted(out, want string) string {
	counts := fileCounts.FindAllString(want, -1)
	return fileCounts.ReplaceAllStringFunc(out, func(got string) string {
		if len(counts) > 0 {
			got, counts = counts[0], counts[1:]
		}
		return got
	})
}

func (r *stage) run(t *testing.T, c *script.Case) string {
	t.Helper()
	*r.clock = r.clock.Add(time.Second) // one command a second: snapshot times can be named
	if c.Cmd == "scenario" || c.Cmd == "create" {
		if len(c.Args) > 0 {
			r.super = strings.ToLower(c.Args[0].Key)
		}
		r.s = r.db.Session(r.super)
		return ""
	}
	if who, ok := c.Arg("as"); ok {
		s, err := r.session(t, who[0])
		if err != nil {
			return fmt.Sprintf("%s: %s", supertable.KindOf(err), err)
		}
		mine := *r
		mine.s = s
		r = &mine
	}
	commands := map[string]func(*testing.T, *script.Case) (string, error){
		"role": r.role, "roles": r.roles, "role-names": r.roleNames, "delete-role": r.deleteRole, "strip-role": r.stripRole,
		"user": r.user, "users": r.users, "user-names": r.userNames, "show-user": r.showUser, "modify": r.modify, "delete-user": r.deleteUser, "access": r.access,
		"write": r.write, "series": r.series, "fixture": r.fixture, "delete-all": r.deleteAll, "names": r.names, "query": r.query, "schema": r.schema, "tables": r.tables,
		"history": r.history, "files": r.files, "alter": r.alter, "drop": r.drop, "drop-super": r.dropSuper, "supers": r.supers,
		"diff": r.diff, "changes": r.changes, "rollback": r.rollback, "undrop": r.undrop, "tag": r.tag,
	}
	f := commands[c.Cmd]
	if f == nil {
		t.Fatalf("%s: unknown command %q", c.Pos, c.Cmd)
	}
	if r.inside && c.Cmd == "files" {
		return c.Want
	}
	out, err := f(t, c)
	if err != nil {
		return fmt.Sprintf("%s: %s", supertable.KindOf(err), err)
	}
	if r.inside {
		out = asWanted(out, c.Want)
	}
	return out
}

// table is the word after the command.
func table(c *script.Case) string {
	if len(c.Args) == 0 || c.Args[0].Values != nil {
		return ""
	}
	return c.Args[0].Key
}

func (r *stage) options(c *script.Case) *supertable.WriteOptions {
	o := &supertable.WriteOptions{NewerThan: c.Value("newer_than", ""), WriteID: c.Value("id", ""), Message: c.Value("message", "")}
	o.Key, _ = c.Arg("key")
	_, o.DeleteOnly = c.Arg("delete")
	return o
}

func (r *stage) write(t *testing.T, c *script.Case) (string, error) {
	n, err := strconv.Atoi(c.Value("times", "1"))
	if err != nil {
		return "", err
	}
	var out []string
	for range n {
		columns, rows := input(t, c)
		rr := testdb.Batch(t, columns, rows)
		res, err := r.s.Write(t.Context(), table(c), rr, r.options(c))
		rr.Release()
		if err != nil {
			return "", err
		}
		out = append(out, resultText(res))
	}
	return strings.Join(out, "\n"), nil
}

// input reads the first line as columns and the others as rows: JSON arrays.
func input(t *testing.T, c *script.Case) (columns, rows string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(c.Input, "\n"), "\n")
	columns = lines[0]
	rest := columns
	var names []string
	for rest != "" { // name:type, a type may hold commas in parentheses
		head, tail, _ := strings.Cut(rest, ",")
		for strings.Count(head, "(") > strings.Count(head, ")") {
			more, end, _ := strings.Cut(tail, ",")
			head, tail = head+","+more, end
		}
		names = append(names, head[:strings.LastIndexByte(head, ':')])
		rest = tail
	}
	var out []string
	for _, line := range lines[1:] {
		var values []json.RawMessage
		if err := json.Unmarshal([]byte(line), &values); err != nil || len(values) > len(names) {
			t.Fatalf("%s: row %s: %v", c.Pos, line, err)
		}
		var cells []string
		for i, v := range values {
			name, err := json.Marshal(names[i])
			if err != nil {
				t.Fatal(err)
			}
			cells = append(cells, string(name)+":"+string(v))
		}
		out = append(out, "{"+strings.Join(cells, ",")+"}")
	}
	return columns, "[" + strings.Join(out, ",") + "]"
}

func resultText(r supertable.WriteResult) string {
	s := fmt.Sprintf("columns %d rows %d inserted %d deleted %d version %d", r.Columns, r.Rows, r.Inserted, r.Deleted, r.Version)
	if r.SkippedStale > 0 {
		s += fmt.Sprintf(" stale %d", r.SkippedStale)
	}
	if r.Duplicate {
		s += " duplicate"
	}
	return s
}

func (r *stage) fixture(t *testing.T, c *script.Case) (string, error) {
	n, err := strconv.Atoi(strings.TrimPrefix(table(c), "ds"))
	if err != nil {
		return "", err
	}
	rr := demo(t, n)
	defer rr.Release()
	res, err := r.s.Write(t.Context(), c.Args[1].Key, rr, r.options(c))
	return resultText(res), err
}

func (r *stage) series(t *testing.T, c *script.Case) (string, error) {
	from, err := strconv.Atoi(c.Args[1].Key)
	if err != nil {
		return "", err
	}
	to, err := strconv.Atoi(c.Args[2].Key)
	if err != nil {
		return "", err
	}
	var rows []string
	for i := from; i <= to; i++ {
		rows = append(rows, fmt.Sprintf(`{"id":%d,"amount":%d}`, i, i))
	}
	rr := testdb.Batch(t, "id:int64,amount:int64", "["+strings.Join(rows, ",")+"]")
	defer rr.Release()
	res, err := r.s.Write(t.Context(), table(c), rr, nil)
	return resultText(res), err
}

func (r *stage) deleteAll(t *testing.T, c *script.Case) (string, error) {
	res, err := r.s.WriteFiles(t.Context(), table(c), nil, &supertable.WriteOptions{DeleteAll: true})
	return resultText(res), err
}

// names writes one row under each name, and drops the table again.
func (r *stage) names(t *testing.T, c *script.Case) (string, error) {
	var out []string
	for line := range strings.Lines(c.Input) {
		var name string
		if err := json.Unmarshal([]byte(line), &name); err != nil {
			return "", err
		}
		if name == "128" || name == "129" {
			n, _ := strconv.Atoi(name)
			name = strings.Repeat("x", n)
		}
		rr := testdb.Batch(t, "id:int64", `[{"id":1}]`)
		_, err := r.s.Write(t.Context(), name, rr, nil)
		rr.Release()
		if err != nil {
			out = append(out, fmt.Sprintf("%s: %s", supertable.KindOf(err), err))
			continue
		}
		if _, err := r.s.DropTable(t.Context(), name); err != nil {
			return "", err
		}
		out = append(out, "ok")
	}
	return strings.Join(out, "\n"), nil
}

func (r *stage) query(t *testing.T, c *script.Case) (string, error) {
	o := &supertable.QueryOptions{}
	if at, ok := c.Arg("at"); ok {
		n, err := strconv.ParseInt(at[0], 10, 64)
		if err != nil {
			return "", err
		}
		o.AtVersion = &n
	}
	if s := c.Value("limit", ""); s != "" {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return "", err
		}
		o.DefaultLimit = n
	}
	out, report, err := answer(t.Context(), r.s, strings.TrimSuffix(c.Input, "\n"), o)
	if _, ok := c.Arg("shape"); ok && err == nil {
		head, _, _ := strings.Cut(out, "\n")
		out = fmt.Sprintf("rows %d columns %d", report.Rows, strings.Count(head, "|")+1)
	}
	if _, ok := c.Arg("accepted"); ok && err == nil {
		return "accepted", nil
	}
	if _, ok := c.Arg("stats"); ok && err == nil {
		out += fmt.Sprintf("\nfiles %d of %d", report.FilesRead, report.FilesTotal)
	}
	return out, err
}

// answer is a result as text: the column names, then a line a row, sorted
// unless the text asks for an order.
func answer(ctx context.Context, s *supertable.Session, sql string, o *supertable.QueryOptions) (string, supertable.Report, error) {
	rows, err := s.Query(ctx, sql, o)
	if err != nil {
		return "", supertable.Report{}, err
	}
	defer func() { _ = rows.Close() }()
	var names, lines []string
	for _, f := range rows.Schema().Fields() {
		names = append(names, f.Name)
	}
	for rows.Next() {
		b := rows.Batch()
		for i := range int(b.NumRows()) {
			cells := make([]string, b.NumCols())
			for k := range cells {
				cells[k] = cell(b.Column(k), i)
			}
			lines = append(lines, strings.Join(cells, "|"))
		}
	}
	if err := rows.Err(); err != nil {
		return "", supertable.Report{}, err
	}
	if !strings.Contains(strings.ToLower(sql), "order by") {
		slices.Sort(lines)
	}
	return strings.Join(append([]string{strings.Join(names, "|")}, lines...), "\n"), rows.Report(), nil
}

func cell(col interface {
	IsNull(int) bool
	ValueStr(int) string
}, i int,
) string {
	switch x := col.(type) {
	case *array.Float64:
		if x.IsValid(i) {
			return strconv.FormatFloat(x.Value(i), 'g', -1, 64)
		}
	case *array.Decimal128:
		if x.IsValid(i) {
			return x.Value(i).ToString(x.DataType().(*arrow.Decimal128Type).Scale)
		}
	case *array.Timestamp:
		if x.IsValid(i) {
			return strings.Replace(strings.TrimSuffix(x.ValueStr(i), "Z"), "T", " ", 1)
		}
	}
	if col.IsNull(i) {
		return "∅"
	}
	return strings.Clone(col.ValueStr(i)) // a text is the batch's own memory
}

func (r *stage) schema(t *testing.T, c *script.Case) (string, error) {
	cols, err := r.s.Schema(t.Context(), table(c))
	var out []string
	for _, col := range cols {
		out = append(out, col.Name+" "+col.Type)
	}
	return strings.Join(out, "\n"), err
}

func (r *stage) tables(t *testing.T, _ *script.Case) (string, error) {
	list, err := r.s.Tables(t.Context())
	var out []string
	for _, l := range list {
		out = append(out, fmt.Sprintf("%s version %d rows %d files %d", l.Name, l.Version, l.Rows, l.Files))
	}
	return strings.Join(out, "\n"), err
}

func (r *stage) history(t *testing.T, c *script.Case) (string, error) {
	list, err := r.s.History(t.Context(), table(c))
	var out []string
	for _, e := range list {
		line := fmt.Sprintf("%d %s version %d %s +%d -%d %s", e.Snapshot, e.Table, e.Version, e.Operation, e.Inserted, e.Deleted, e.Principal)
		if e.Withheld {
			line += " withheld"
		}
		if e.Message != "" {
			line += " " + e.Message
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n"), err
}

// files reads the table's files from the catalog itself, through a connection
// of its own: a line a file, then the sums.
func (r *stage) files(t *testing.T, c *script.Case) (string, error) {
	ctx := t.Context()
	cat, err := catalog.Open(ctx, storage.At(filepath.Join(r.db.Home, "default", r.super)), catalog.Options{Now: func() time.Time { return *r.clock }})
	if err != nil {
		return "", err
	}
	defer func() { _ = cat.Close() }()
	var out []string
	err = cat.Read(ctx, func(v *catalog.View) error {
		tab, err := v.Table(ctx, table(c), v.Head.ID)
		if err != nil {
			return err
		}
		files, err := v.Files(ctx, tab, v.Head.ID, nil)
		var rows, dead int64
		for i := range files {
			d, err := v.Dead(ctx, tab, &files[i], v.Head.ID)
			if err != nil {
				return err
			}
			out = append(out, fmt.Sprintf("rows %d dead %d", files[i].Records, d.Count()))
			rows, dead = rows+files[i].Records, dead+d.Count()
		}
		out = append(out, fmt.Sprintf("files %d rows %d dead %d snapshot %d", len(files), rows, dead, v.Head.ID))
		return err
	})
	return strings.Join(out, "\n"), err
}

func (r *stage) alter(t *testing.T, c *script.Case) (string, error) {
	a := supertable.Alteration{Rename: c.Value("rename", ""), Drop: c.Value("drop", "")}
	if name := c.Value("add", ""); name != "" {
		a.Add = &supertable.AddColumn{Name: name, Type: c.Value("type", "")}
		if d, ok := c.Arg("default"); ok {
			a.Add.Default = &d[0]
		}
	} else if name := c.Value("type", ""); name != "" {
		_, cast := c.Arg("cast")
		a.Type = &supertable.ChangeColumnType{Name: name, Type: c.Value("to", ""), Cast: cast}
	}
	if name := c.Value("column", ""); name != "" {
		a.RenameColumn = &supertable.RenameColumn{From: name, To: c.Value("to", "")}
	}
	res, err := r.s.Alter(t.Context(), table(c), a)
	return fmt.Sprintf("%s snapshot %d", res.Table, res.Snapshot), err
}

func (r *stage) drop(t *testing.T, c *script.Case) (string, error) {
	dropped, err := r.s.DropTable(t.Context(), table(c))
	return strconv.FormatBool(dropped), err
}

func (r *stage) dropSuper(t *testing.T, _ *script.Case) (string, error) {
	return "dropped", r.s.DropSuperTable(t.Context())
}

func (r *stage) supers(t *testing.T, _ *script.Case) (string, error) {
	list, err := r.db.SuperTables(t.Context(), "default")
	return strings.Join(list, "\n"), err
}
