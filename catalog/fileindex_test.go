package catalog

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/storage"
)

// indexedColumns has every type whose bounds are compared, and some that have none.
var indexedColumns = []string{
	"boolean", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "decimal(10,2)", "decimal(38,6)", "float32", "float64",
	"date", "timestamp", "timestamp_s", "timestamp_ms", "timestamp_ns", "timestamptz", "time", "varchar", "uuid", "blob", "json",
}

// randomLake is a catalog whose files come and go at random, ours and others'.
type randomLake struct {
	t       *testing.T
	r       *rand.Rand
	folder  storage.Folder
	c       *Catalog
	table   Table
	columns []datafile.Column
	exact   bool // the counts that the commits keep are right still
	used    int  // how often the index answered
}

func seed(t *testing.T) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(os.Getenv("ST_SEED"), 10, 64)
	if err != nil {
		n = uint64(time.Now().UnixNano())
	}
	t.Logf("ST_SEED=%d repeats this", n)
	return n
}

// value gives a random value of a type in the catalog's text form.
func (l *randomLake) value(t datafile.Type) string {
	n := l.r.IntN(60)
	switch t.Name {
	case "boolean":
		return strconv.Itoa(n % 2)
	case "uint8", "uint16", "uint32":
		return strconv.Itoa(n)
	case "uint64":
		return []string{strconv.Itoa(n), "18446744073709551615", "9223372036854775808"}[l.r.IntN(3)]
	case "decimal":
		return fmt.Sprintf("%d.%02d", n-30, l.r.IntN(100))
	case "float32", "float64":
		return []string{fmt.Sprint(float64(n-30) / 4), "-0.0", "0.0", "inf", "-inf", "1e300"}[l.r.IntN(6)]
	case "date":
		return fmt.Sprintf("2026-01-%02d", 1+n%28)
	case "timestamp", "timestamp_s", "timestamp_ms", "timestamp_ns", "timestamptz":
		return fmt.Sprintf("2026-01-%02d 10:%02d:00", 1+n%3, n)
	case "time":
		return fmt.Sprintf("10:%02d:00", n)
	case "varchar", "json", "uuid":
		return strings.Repeat("common-", l.r.IntN(3)/2+1) + fmt.Sprintf("%c%d", 'a'+n%3, n)
	}
	return strconv.Itoa(n - 30)
}

// stats makes statistics of a column, of every kind that clients leave.
func (l *randomLake) stats(c datafile.Column) (datafile.Stats, bool) {
	s := datafile.Stats{ColumnID: c.ID, SizeBytes: 10, ValueCount: 5, NullCount: int64(l.r.IntN(4) / 3)}
	a, b := l.value(c.Type), l.value(c.Type)
	if lo, hi := datafile.WidenBounds(c.Type, &a, &a, &b, &b); lo != nil && hi != nil {
		s.Min, s.Max = lo, hi
	}
	switch l.r.IntN(12) {
	case 0:
		return s, false
	case 1:
		s.Min = nil
	case 2:
		s.Min, s.Max = nil, nil
	case 3:
		s.ValueCount, s.NullCount, s.Min, s.Max = 0, 5, nil, nil
	case 4:
		nan := true
		s.ContainsNaN = &nan
	case 5: // nothing is known
		s.ValueCount, s.NullCount = 0, 0
	case 6: // the bounds are the wrong way round or no values
		s.Min, s.Max = s.Max, s.Min
	}
	return s, true
}

func (l *randomLake) exec(query string, args ...any) {
	l.t.Helper()
	if _, err := l.c.db.ExecContext(l.t.Context(), query, args...); err != nil {
		l.t.Fatalf("%s: %v", query, err)
	}
}

// add names files by a commit of ours, which may remove some too.
func (l *randomLake) add() {
	mustCommit(l.t, l.c, func(ctx context.Context, v *View) (*Change, error) {
		ch := &Change{Table: l.table, Record: Record{Operation: "append", Principal: "test"}}
		for k := range 1 + l.r.IntN(4) {
			f := NewFile{Rel: fmt.Sprintf("%sours-%d-%d-%d.parquet", TableDir("t"), v.Head.ID, k, l.r.Uint64()), Records: 5, Size: 100}
			for _, c := range l.columns {
				if s, ok := l.stats(c); ok {
					f.Stats = append(f.Stats, s)
				}
			}
			ch.Add = append(ch.Add, f)
			ch.Record.Rows += f.Records
		}
		files, err := v.Files(ctx, l.table, v.Head.ID, nil)
		if err != nil {
			return nil, err
		}
		if len(files) > 3 && l.r.IntN(2) == 0 {
			f := files[l.r.IntN(len(files))]
			ch.Remove = append(ch.Remove, f.ID)
			ch.Record.Deleted = f.Records - f.Inlined
		} else if len(files) > 0 {
			f := files[l.r.IntN(len(files))]
			if f.Inlined == 0 {
				ch.Inline, ch.Record.Deleted = []NewInlined{{File: f.ID, Positions: []int64{1, 3}}}, 2
			}
		}
		return ch, nil
	})
}

// foreign is a commit of another client: it knows nothing of our side tables.
func (l *randomLake) foreign() {
	h := head(l.t, l.c)
	n := int64(1 + l.r.IntN(3))
	l.exec(`BEGIN; INSERT INTO ducklake_snapshot VALUES (` + strconv.FormatInt(h.ID+1, 10) + `, '` + FormatTime(h.Time.Add(time.Second)) + `', ` + fmt.Sprintf("%d, %d, %d", h.SchemaVersion, h.nextCatalogID, h.nextFileID+n) + `); COMMIT`)
	l.exec(`INSERT INTO ducklake_snapshot_changes VALUES (?, ?, NULL, NULL, NULL)`, h.ID+1, fmt.Sprintf("inserted_into_table:%d", l.table.ID))
	for k := range n {
		var partial any
		if l.r.IntN(3) == 0 {
			partial = h.ID + 1
		}
		id := h.nextFileID + k
		l.exec(`INSERT INTO ducklake_data_file VALUES (?, ?, ?, NULL, NULL, ?, 1, 'parquet', 5, 100, NULL, 0, NULL, NULL, NULL, ?)`, id, l.table.ID, h.ID+1, fmt.Sprintf("theirs-%d-%d.parquet", id, l.r.Uint64()), partial)
		for _, c := range l.columns {
			for range 1 + l.r.IntN(20)/19 { // rarely twice
				if s, ok := l.stats(c); ok {
					l.exec(`INSERT INTO ducklake_file_column_stats VALUES (?, ?, ?, 10, ?, ?, ?, ?, ?, NULL)`, id, l.table.ID, c.ID, s.ValueCount, s.NullCount, s.Min, s.Max, s.ContainsNaN)
				}
			}
		}
	}
}

// lose removes rows of files that ended, as expiry and other clients do.
func (l *randomLake) lose() {
	l.exec(`DELETE FROM ducklake_file_column_stats WHERE data_file_id IN (SELECT data_file_id FROM ducklake_data_file WHERE end_snapshot IS NOT NULL)`)
	l.exec(`DELETE FROM ducklake_data_file WHERE end_snapshot IS NOT NULL`)
	l.reopen(false)
}

// widen gives a column another type.
func (l *randomLake) widen() {
	wider := map[string]string{"int8": "int16", "int16": "int32", "int32": "int64", "uint8": "uint16", "uint16": "uint32", "float32": "float64", "decimal(10,2)": "decimal(14,4)", "date": "timestamp", "timestamp_s": "timestamp"}
	cols := slices.Clone(l.columns)
	i := l.r.IntN(len(cols))
	to, ok := wider[cols[i].Type.Lake()]
	if !ok {
		return
	}
	cols[i].Type, _ = datafile.ParseLake(to)
	mustCommit(l.t, l.c, func(context.Context, *View) (*Change, error) {
		return &Change{Table: l.table, Columns: cols, Record: Record{Operation: "alter", Principal: "test"}}, nil
	})
	l.look()
}

// diverge is a catalog that was put back to an earlier state: ids are given
// again, to other files.
func (l *randomLake) diverge() {
	id := l.r.Int64N(head(l.t, l.c).nextFileID + 1)
	l.exec(`DELETE FROM ducklake_data_file WHERE data_file_id > ?`, id)
	l.exec(`DELETE FROM ducklake_file_column_stats WHERE data_file_id > ?`, id)
	l.exec(`DELETE FROM supertable_file WHERE file_id > ?`, id)
	l.exec(`CREATE TABLE IF NOT EXISTS ducklake_inlined_delete_` + strconv.FormatInt(l.table.ID, 10) + ` (file_id BIGINT, row_id BIGINT, begin_snapshot BIGINT)`)
	l.exec(`DELETE FROM ducklake_inlined_delete_` + strconv.FormatInt(l.table.ID, 10) + ` WHERE file_id > ` + strconv.FormatInt(id, 10))
	l.exec(`UPDATE ducklake_snapshot SET next_file_id = min(next_file_id, ? + 1)`, id)
	l.exec(`UPDATE supertable_table SET rows = rows + 100000, files = files + 10000`)
	l.exact = false
	l.reopen(false)
}

// reopen is another process that begins; lost removes the index before.
func (l *randomLake) reopen(lost bool) {
	if l.c != nil {
		if l.c.index.off.Load() {
			l.t.Error("the index was turned off")
		}
		if err := l.c.Close(); err != nil {
			l.t.Fatal(err)
		}
	}
	if lost {
		_ = os.RemoveAll(l.folder.Index())
	}
	l.c = openFolder(l.t, l.folder, func(o *Options) {
		o.Logger = slog.New(slog.NewTextHandler(testWriter{l.t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	})
	l.c.index.from, l.c.index.batch, l.c.index.behind = 3, 7, 4
}

func (l *randomLake) look() {
	err := l.c.Read(l.t.Context(), func(v *View) (err error) {
		if l.table, err = v.Table(l.t.Context(), "t", v.Head.ID); err == nil {
			l.columns, err = v.Columns(l.t.Context(), l.table.ID, v.Head.ID)
		}
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
}

// where makes a random condition on columns.
func (l *randomLake) where(cols []datafile.Column, depth int) Where {
	c := cols[l.r.IntN(len(cols))]
	switch k := l.r.IntN(10); {
	case k < 2 && depth > 0:
		var all WhereAll
		for range 1 + l.r.IntN(3) {
			all = append(all, l.where(cols, depth-1))
		}
		return all
	case k < 4 && depth > 0:
		any := WhereAny{}
		for range l.r.IntN(4) {
			any = append(any, l.where(cols, depth-1))
		}
		return any
	case k == 4:
		return WhereNull{c}
	}
	b := func() *datafile.Bound {
		v, ok := datafile.ParseBound(c.Type, l.value(c.Type))
		if !ok || l.r.IntN(5) == 0 {
			return nil
		}
		return &v
	}
	w := WhereBetween{Column: c, Lo: b()}
	if w.Hi = b(); l.r.IntN(3) == 0 && w.Lo != nil {
		w.Hi = w.Lo
	}
	return w
}

// mayHold looks at one file: what the index must not miss.
func mayHold(f *File, w Where) bool {
	switch w := w.(type) {
	case WhereAll:
		for _, x := range w {
			if !mayHold(f, x) {
				return false
			}
		}
	case WhereAny:
		for _, x := range w {
			if mayHold(f, x) {
				return true
			}
		}
		return false
	case WhereNull:
		s, ok := f.Stats[w.Column.ID]
		return !ok || s.NullCount > 0
	case WhereBetween:
		s, ok := f.Stats[w.Column.ID]
		if !ok || w.Lo == nil && w.Hi == nil {
			return true
		}
		if s.ValueCount == 0 {
			return false
		}
		if s.Min == nil || s.Max == nil || s.ContainsNaN != nil && *s.ContainsNaN || w.Column.Type.Name == "float64" && f.Written() < w.Column.Begin {
			return true
		}
		lo, ok1 := datafile.ParseBound(w.Column.Type, *s.Min)
		hi, ok2 := datafile.ParseBound(w.Column.Type, *s.Max)
		if !ok1 || !ok2 {
			return true
		}
		if w.Lo != nil {
			if c, ok := w.Lo.Compare(hi); ok && c > 0 {
				return false
			}
		}
		if w.Hi != nil {
			if c, ok := w.Hi.Compare(lo); ok && c < 0 {
				return false
			}
		}
	}
	return true
}

func pick(files []File, w Where) []File {
	out := []File{}
	for _, f := range files {
		if mayHold(&f, w) {
			out = append(out, f)
		}
	}
	return out
}

// compare asks at a random snapshot, by the index and file by file.
func (l *randomLake) compare() {
	ctx := l.t.Context()
	err := l.c.Read(ctx, func(v *View) error {
		snapshots, err := v.ids(ctx, `SELECT snapshot_id FROM ducklake_snapshot WHERE snapshot_id >= ? ORDER BY snapshot_id DESC`, l.table.Begin)
		if err != nil {
			return err
		}
		at := snapshots[0]
		if l.r.IntN(3) == 0 {
			at = snapshots[l.r.IntN(len(snapshots))]
		}
		cols, err := v.Columns(ctx, l.table.ID, at)
		if err != nil {
			return err
		}
		w := l.where(cols, 2)
		leaves := make([]int64, len(cols))
		for i, c := range cols {
			leaves[i] = c.ID
		}
		all, err := v.Files(ctx, l.table, at, leaves)
		if err != nil {
			return err
		}
		got, err := v.SelectFiles(ctx, l.table, at, leaves, w)
		if err != nil {
			return err
		}
		want := pick(all, w)
		if diff := cmp.Diff(want, pick(got.Files, w), cmp.AllowUnexported(File{}, restored{})); diff != "" {
			l.t.Fatalf("%+v at snapshot %d: file by file (-), by the index (+):\n%s", w, at, diff)
		}
		if got.Total == nil {
			return nil
		}
		l.used++
		rows, files, bytes, err := v.CountLive(ctx, l.table, at)
		if total := (Totals{rows, files, bytes}); l.exact && total != *got.Total {
			l.t.Fatalf("totals %+v, want %+v", *got.Total, total)
		}
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
}

// TestIndexFindsWhatIsThere: over random histories, the index gives every file
// that looking at each would keep, as the catalog has it.
func TestIndexFindsWhatIsThere(t *testing.T) {
	n := seed(t)
	used, lakes := 0, uint64(8)
	if testing.Short() {
		lakes = 3
	}
	for k := range lakes {
		l := &randomLake{t: t, r: rand.New(rand.NewPCG(n, k)), folder: storage.At(t.TempDir() + "/org/super"), exact: true}
		l.reopen(true)
		mustCommit(t, l.c, func(context.Context, *View) (*Change, error) {
			ch := createTable("t")
			ch.Create.Columns = nil
			for i, name := range indexedColumns {
				typ, err := datafile.ParseLake(name)
				if err != nil {
					return nil, err
				}
				ch.Create.Columns = append(ch.Create.Columns, datafile.Column{ID: int64(i + 1), Name: fmt.Sprintf("c%d", i), Type: typ, Nullable: true})
			}
			return ch, nil
		})
		l.look()
		for range 60 {
			switch x := l.r.IntN(20); {
			case x < 12:
				l.add()
			case x < 15:
				l.foreign()
			case x < 16:
				l.lose()
			case x < 18:
				l.widen()
			case x < 19 && l.r.IntN(3) == 0:
				l.diverge()
			case x < 20: // another process begins
				l.reopen(l.r.IntN(4) == 0)
			}
			for range 6 {
				l.compare()
			}
		}
		l.reopen(true)
		used += l.used
	}
	if used < 60*int(lakes) {
		t.Errorf("the index answered %d times only", used)
	}
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}
