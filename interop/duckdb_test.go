package interop

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/engine"
	"github.com/supertable-go/supertable/storage"
)

// duck is a connection to a judge with one lake attached.
type duck struct {
	t      testing.TB
	judge  *judge
	conn   engine.Conn
	alias  string         // of the attached lake
	path   string         // of its catalog
	chores map[string]int // done, that leave no snapshot
	// repeated is set when a statement was tried again.
	repeated bool
}

var aliases atomic.Int64

// newDuck opens a connection to a judge; nothing is attached yet.
func newDuck(t testing.TB) *duck {
	t.Helper()
	j, err := takeJudge()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(j.giveBack)
	return connect(t, j)
}

func connect(t testing.TB, j *judge) *duck {
	t.Helper()
	c, err := j.open()
	if err != nil {
		t.Fatal(err)
	}
	d := &duck{t: t, judge: j, conn: c, chores: map[string]int{}}
	t.Cleanup(func() { d.detach(); _ = c.Close() })
	return d
}

// attach attaches the catalog at path under a new alias; options like
// "READ_ONLY, SNAPSHOT_VERSION 3" or "".
func (d *duck) attach(path, options string) {
	d.t.Helper()
	if err := d.tryAttach(path, options); err != nil {
		d.t.Fatalf("DuckDB cannot attach the lake (%s): %v", options, err)
	}
}

func (d *duck) tryAttach(path, options string) error {
	d.detach()
	alias := fmt.Sprintf("lake%d", aliases.Add(1))
	if options != "" {
		options = " (" + options + ")"
	}
	err := d.conn.Exec(context.Background(), fmt.Sprintf("ATTACH %s AS %s%s", datafile.QuoteText("ducklake:sqlite:"+path), alias, options))
	if err == nil {
		d.alias, d.path = alias, path
	}
	return err
}

func (d *duck) detach() {
	if d.alias == "" {
		return
	}
	ctx := context.Background()
	_ = d.conn.Exec(ctx, "ROLLBACK") // of a statement that failed inside BEGIN
	if err := d.conn.Exec(ctx, "USE memory; DETACH "+d.alias); err != nil && !strings.Contains(err.Error(), "invalidated") {
		d.t.Errorf("detach: %v", err)
	}
	d.alias = ""
}

// expand puts the alias in the place of "lake." and 'lake' of a text.
func (d *duck) expand(sql string) string {
	sql = strings.ReplaceAll(sql, "'lake'", "'"+d.alias+"'")
	sql = strings.ReplaceAll(sql, "CHECKPOINT lake", "CHECKPOINT "+d.alias)
	sql = strings.ReplaceAll(sql, "__lake.", "__ducklake_metadata_"+d.alias+".")
	return strings.ReplaceAll(sql, "lake.", d.alias+".")
}

// try runs statements in which lake.x and 'lake' mean the attached lake. DuckDB
// gives up at once when somebody else commits to SQLite between its look and
// its own commit (docs/format.md §9), and our records of reads do. So it has our
// commit lock meanwhile; where that is not there yet, it tries again, and may
// leave the files of its first try.
func (d *duck) try(sql string) error {
	ctx := context.Background()
	if release, err := storage.At(filepath.Dir(d.path)).Lock(ctx, "commit.lock"); err == nil && d.path != "" {
		defer release()
	}
	for n := 0; ; n++ {
		err := d.conn.Exec(ctx, d.expand(sql))
		for call, chore := range chores {
			if err == nil && strings.Contains(sql, call) {
				d.chores[chore]++
			}
		}
		if err == nil || n == 20 || !strings.Contains(err.Error(), "database is locked") {
			return err
		}
		d.repeated = true
		_ = d.conn.Exec(ctx, "ROLLBACK")
		time.Sleep(time.Duration(n+1) * 20 * time.Millisecond)
	}
}

// run is try for statements that must succeed.
func (d *duck) run(sql string) {
	d.t.Helper()
	if err := d.try(sql); err != nil {
		d.t.Fatalf("DuckDB: %s: %v", sql, err)
	}
}

// inOne reads in one transaction: beginning one costs more than reading a small
// table.
func (d *duck) inOne(read func()) {
	d.t.Helper()
	ctx := context.Background()
	if err := d.conn.Exec(ctx, "BEGIN"); err != nil {
		d.t.Fatalf("DuckDB: begin: %v", err)
	}
	defer func() { _ = d.conn.Exec(ctx, "ROLLBACK") }()
	read()
}

// rows gives a result as text, one line a row, sorted.
func (d *duck) rows(sql string) []string {
	d.t.Helper()
	out, err := d.tryRows(sql)
	if err != nil {
		d.t.Fatalf("DuckDB: %s: %v", sql, err)
	}
	return out
}

func (d *duck) tryRows(sql string) ([]string, error) {
	rows, err := engine.Collect(context.Background(), d.conn, d.expand(sql), nil)
	if err != nil {
		return nil, err
	}
	out := make([]string, len(rows))
	for i, r := range rows {
		out[i] = line(r)
	}
	slices.Sort(out)
	return out, nil
}

// line gives a row as text, so that no value can look like two.
func line(row []any) string {
	cells := make([]string, len(row))
	for i, v := range row {
		switch v := v.(type) {
		case nil:
			cells[i] = "∅"
		case string:
			cells[i] = fmt.Sprintf("%q", v)
		default:
			cells[i] = fmt.Sprint(v)
		}
	}
	return strings.Join(cells, "|")
}

// texts gives the select list that casts every column to text.
func texts(cols []column) string {
	out := make([]string, len(cols))
	for i, c := range cols {
		out[i] = "CAST(" + datafile.Quote(c.name) + " AS VARCHAR) AS " + datafile.Quote(c.name)
	}
	return strings.Join(out, ", ")
}

// column is a column as a client shows it, its type in our spelling.
type column struct{ name, typ string }

// spell brings a type into one spelling.
func spell(typ string) string {
	if t, err := datafile.ParseSQL(typ); err == nil {
		return t.SQL()
	}
	return typ
}

// describe lists the columns of lake.table, with a clause such as AT (…).
func (d *duck) describe(table, at string) []column {
	d.t.Helper()
	rows, err := engine.Collect(context.Background(), d.conn, d.expand("DESCRIBE SELECT * FROM lake."+datafile.Quote(table)+at), nil)
	if err != nil {
		d.t.Fatalf("DuckDB: describe %s%s: %v", table, at, err)
	}
	out := make([]column, len(rows))
	for i, r := range rows {
		out[i] = column{r[0].(string), spell(r[1].(string))}
	}
	return out
}
