package supertable_test

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/testdb"
)

// read runs a query to its end.
func read(t *testing.T, s *supertable.Session, text string) {
	t.Helper()
	if _, err := testdb.TryQuery(t.Context(), s, text, nil); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

func head(t *testing.T, s *supertable.Session) int64 {
	t.Helper()
	rows, err := s.Query(t.Context(), "SELECT 1", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
	}
	return rows.Report().Snapshot
}

// TestM09WriteRecords: every write leaves its record, with its commit or
// without one (W28).
func TestM09WriteRecords(t *testing.T) {
	t.Parallel()
	db := testdb.Open(t)
	s := db.Session("m09")
	if rows, err := s.WriteStats(t.Context(), supertable.StreamWindow{}); column(t, rows, err, "query_id") != "" {
		t.Error("records before the first write")
	}
	o := &supertable.WriteOptions{Key: []string{"id", "day"}}
	testdb.Write(t, s, "facts", "id:int64,day:text,at:int64", `[{"id":1,"day":"a","at":5},{"id":2,"day":"a","at":5}]`, o)
	res := testdb.Write(t, s, "facts", "id:int64,day:text,at:int64", `[{"id":1,"day":"a","at":6}]`, o)
	stale := testdb.Write(t, s, "facts", "id:int64,day:text,at:int64", `[{"id":1,"day":"a","at":1},{"id":2,"day":"a","at":5}]`, &supertable.WriteOptions{Key: []string{"id", "day"}, NewerThan: "at"})
	if stale.SkippedStale != 2 || stale.Snapshot != res.Snapshot || stale.Version != res.Version {
		t.Errorf("W28: %+v after %+v", stale, res)
	}
	bad := testdb.Batch(t, "id:text", `[{"id":"secret value"}]`)
	defer bad.Release()
	if _, err := s.Write(t.Context(), "facts", bad, nil); !errors.Is(err, supertable.TypeConflict) {
		t.Fatal(err)
	}
	if got := head(t, s); got != res.Snapshot {
		t.Errorf("the records moved the lake from %d to %d", res.Snapshot, got)
	}
	const text = `SELECT super_name, table_name, overwrite_columns, inserted, deleted, total_rows, total_columns, new_resources, sunset_files, skipped_stale, status, message,
 duration > 0, length(query_id), recorded_at LIKE '20__-__-__T__:__:__.______Z', execution_time > 0 FROM __stats__ ORDER BY execution_time, inserted DESC, skipped_stale`
	want := strings.Join([]string{
		`m09|facts|["id","day"]|2|0|2|3|1|0|0|ok|∅|true|36|true|true`,
		`m09|facts|["id","day"]|1|1|1|3|1|0|0|ok|∅|true|36|true|true`,
		`m09|facts|["id","day"]|0|0|0|3|0|0|2|ok|∅|true|36|true|true`,
		`m09|facts|[]|0|0|0|0|0|0|0|error|type_conflict|true|36|true|true`,
	}, "\n")
	if got := testdb.Query(t, s, text, nil); got != want {
		t.Errorf("records\n%s\nwant\n%s", got, want)
	}
	rows, err := s.WriteStats(t.Context(), supertable.StreamWindow{Limit: 1})
	if got := column(t, rows, err, "message"); got != "type_conflict" {
		t.Errorf("the newest record is not the last write's: %q", got)
	}
	if list, err := s.History(t.Context(), ""); err != nil || len(list) != 2 {
		t.Errorf("the history sees system tables: %+v (%v)", list, err)
	}
}

// TestM10PlanRecords: every query leaves its record, failed ones too, and the
// lake does not move.
func TestM10PlanRecords(t *testing.T) {
	t.Parallel()
	db := testdb.Open(t)
	s := db.Session("m10")
	res := testdb.Write(t, s, "facts", "id:int64,name:text", `[{"id":1,"name":"secret value"},{"id":2,"name":"b"}]`, nil)
	read(t, s, "SELECT id FROM facts")
	for _, text := range []string{
		"SELECT nope FROM facts",
		"SELECT CAST(name AS INT) FROM facts", // the message carries a value
		"SELECT * FROM missing",
		"SELEC",
	} {
		if _, err := testdb.TryQuery(t.Context(), s, text, nil); err == nil {
			t.Errorf("%s succeeded", text)
		}
	}
	st, err := db.SuperTable(t.Context(), "default", "m10")
	if err != nil {
		t.Fatal(err)
	}
	const nobody = "0d261765d0f88e3bdede483c3d41d125"
	if _, err := st.Query(t.Context(), nobody, "select count(*) as cnt from facts", nil); err == nil || err.Error() != "User does not exist or is invalid." {
		t.Errorf("R05: %v", err)
	}
	if _, err := st.Query(t.Context(), "my password", "select 1", nil); err == nil {
		t.Error("an unknown user may read")
	}
	if got := head(t, s); got != res.Snapshot {
		t.Errorf("the queries moved the lake from %d to %d", res.Snapshot, got)
	}
	want := strings.Join([]string{
		"facts|ok|∅|2|1|own",
		"facts|error|Missing column(s): nope|0|0|own",
		"facts|error|the query failed (invalid_argument)|0|0|own",
		"missing|error|Table not found: default/m10/missing|0|0|own",
		`|error|syntax error at or near "SELEC"|0|0|own`,
		"|error|User does not exist or is invalid.|0|0|" + nobody,
		"|error|User does not exist or is invalid.|0|0|",
		"|ok|∅|1|1|own",
	}, "\n")
	got := testdb.Query(t, s, `SELECT table_name, status, regexp_replace(message, ' \(line.*', ''), result_rows, result_columns, CASE user_hash WHEN '0b85b786b16d195439c0da18fd4478df' THEN 'own' ELSE user_hash END
 FROM (SELECT *, row_number() OVER () AS n FROM __plans__) ORDER BY execution_time, n`, nil)
	if got != want {
		t.Errorf("records\n%s\nwant\n%s", got, want)
	}
	rows, err := s.QueryPlans(t.Context(), supertable.StreamWindow{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var names []string
	for _, f := range rows.Schema().Fields() {
		names = append(names, f.Name)
	}
	if got := strings.Join(names, " "); got != "query_id query_hash user_hash recorded_at table_name status message result_rows result_columns execution_timings profile_overview query_profile execution_time" {
		t.Errorf("the fields are %s", got)
	}
	text := ""
	for rows.Next() {
		text += fmt.Sprint(rows.Batch())
	}
	if strings.Contains(text, "secret value") || strings.Contains(text, "password") {
		t.Error("a record carries a value of the data, or what somebody mistyped as a name")
	}
	if !strings.Contains(text, "TOTAL_EXECUTE") || !strings.Contains(text, "FILES_KEPT") {
		t.Error("a record lacks timings or overview")
	}
}

// TestM13NoSelfMonitoring: system tables leave no records.
func TestM13NoSelfMonitoring(t *testing.T) {
	t.Parallel()
	s := testdb.Open(t).Session("m13")
	for _, table := range []string{"__writes__", "__reads__", "__mcp__", "_writes_", "facts"} {
		testdb.Write(t, s, table, "id:int64", `[{"id":1}]`, nil)
		read(t, s, "SELECT * FROM "+table)
	}
	read(t, s, "SELECT * FROM facts, __reads__")
	read(t, s, "SELECT count(*) FROM __plans__")
	read(t, s, "SHOW STATS __reads__")
	if got := testdb.Query(t, s, "SELECT string_agg(table_name, ' ' ORDER BY table_name) FROM __plans__ ORDER BY 1", nil); got != "_writes_ facts" {
		t.Errorf("plans of %q", got)
	}
	if got := testdb.Query(t, s, "SELECT string_agg(table_name, ' ' ORDER BY table_name) FROM __stats__ ORDER BY 1", nil); got != "_writes_ facts" {
		t.Errorf("write records of %q", got)
	}
	if got := testdb.Query(t, s, "SELECT count(*) FROM m13", nil); got != "2" {
		t.Errorf("the union has %s rows", got)
	}
}

// TestM14MonitoringDown: when records cannot be kept, writes and reads go on
// and the records are counted.
func TestM14MonitoringDown(t *testing.T) {
	t.Parallel()
	db := testdb.Open(t)
	s := db.Session("m14")
	testdb.Write(t, s, "facts", "id:int64", `[{"id":1}]`, nil)
	broken, err := sql.Open("sqlite3", filepath.Join(db.Home, "default", "m14", "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = broken.Close() }()
	if _, err := broken.ExecContext(t.Context(), "ALTER TABLE supertable_chunk RENAME TO supertable_gone"); err != nil {
		t.Fatal(err)
	}
	testdb.Write(t, s, "facts", "id:int64", `[{"id":2}]`, nil)
	if got := testdb.Query(t, s, "SELECT sum(id) FROM facts", nil); got != "3" {
		t.Errorf("sum %s", got)
	}
	st, err := db.SuperTable(t.Context(), "default", "m14")
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); st.DroppedRecords() == 0 && time.Now().Before(end); {
		time.Sleep(50 * time.Millisecond)
	}
	if st.DroppedRecords() == 0 {
		t.Error("what could not be kept was not counted")
	}
	l := logger(t, s, "metrics", nil)
	logAll(t, l, supertable.Record{"i": 1})
	if err := l.Flush(t.Context()); err == nil {
		t.Error("a record that could not be kept was called durable")
	}
	if _, err := broken.ExecContext(t.Context(), "ALTER TABLE supertable_gone RENAME TO supertable_chunk; UPDATE supertable_log SET touched = 1"); err != nil {
		t.Fatal(err)
	}
	closeLogger(t, l)
	if got := testdb.Query(t, s, "SELECT i FROM __metrics__", nil); got != "1" {
		t.Errorf("the logger did not try again: %q", got)
	}
}

// TestReadOnlyKeepsNone: a read-only SuperTable keeps no records and takes
// none, and what was kept before is read.
func TestReadOnlyKeepsNone(t *testing.T) {
	t.Parallel()
	db := testdb.Open(t)
	s := db.Session("ro")
	testdb.Write(t, s, "facts", "id:int64", `[{"id":1}]`, nil)
	l := logger(t, s, "metrics", &supertable.LoggerOptions{FlushInterval: time.Hour})
	logAll(t, l, supertable.Record{"i": 1})
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	set := func(on bool) {
		if _, _, err := db.Create(t.Context(), "default", "ro", &supertable.CreateOptions{ReadOnly: &on}); err != nil {
			t.Fatal(err)
		}
	}
	set(true)
	read(t, s, "SELECT * FROM facts")
	if got := testdb.Query(t, s, "SELECT i FROM __metrics__", nil); got != "1" {
		t.Errorf("the stream has %q", got)
	}
	if rows, err := s.WriteStats(t.Context(), supertable.StreamWindow{}); column(t, rows, err, "query_id") != "" {
		t.Error("the records of a read-only SuperTable moved")
	}
	if _, err := s.Logger(t.Context(), "metrics", nil); !errors.Is(err, supertable.Denied) {
		t.Errorf("a logger on a read-only SuperTable: %v", err)
	}
	logAll(t, l, supertable.Record{"i": 2})
	if err := l.Flush(t.Context()); !errors.Is(err, supertable.Denied) {
		t.Errorf("flush into a read-only SuperTable: %v", err)
	}
	set(false)
	closeLogger(t, l)
	if got := testdb.Query(t, s, "SELECT i FROM __metrics__ ORDER BY i", nil); got != "1\n2" {
		t.Errorf("the stream has %q", got)
	}
	if got := testdb.Query(t, s, "SELECT count(*) FROM __stats__", nil); got != "1" {
		t.Errorf("%s write records", got)
	}
}

// TestR21ShowStats: the statistics of every file and column.
func TestR21ShowStats(t *testing.T) {
	t.Parallel()
	s := testdb.Open(t).Session("r21")
	testdb.Write(t, s, "t", "id:int64,name:text,x:float64", `[{"id":1,"name":"a"},{"id":5,"name":null}]`, nil)
	testdb.Write(t, s, "t", "id:int64,b:blob", `[{"id":7}]`, nil)
	want := "id|BIGINT|2|1|5|0\nname|VARCHAR|2|a|a|1\nx|DOUBLE|2|∅|∅|2\nid|BIGINT|1|7|7|0\nb|BLOB|1|∅|∅|1"
	for _, text := range []string{"SHOW STATS t", "show stats r21.t;", `SHOW STATS "R21"."T"`, "SHOW STATS `r21`.`t`", "SHOW STATS  r21 . t ", "-- c\nshow /* */ stats t"} {
		var got []string
		for line := range strings.SplitSeq(testdb.Query(t, s, text+" -- order by", nil), "\n") {
			cells := strings.Split(line, "|")
			if !strings.HasPrefix(cells[0], "ducklake-") || strings.Contains(cells[0], "/") || cells[7] == "0" {
				t.Errorf("%s: %s", text, line)
			}
			got = append(got, strings.Join(cells[1:7], "|"))
		}
		if strings.Join(got, "\n") != want {
			t.Errorf("%s: got\n%s\nwant\n%s", text, strings.Join(got, "\n"), want)
		}
	}
	for text, want := range map[string]string{
		"SHOW STATS":         "SHOW STATS expects a table reference",
		"SHOW STATS a.b.c":   "SHOW STATS expects a table reference",
		"SHOW STATS nope":    "Table not found: default/r21/nope",
		`SHOW STATS "a.b"`:   "Table not found: default/r21/a.b",
		"SHOW STATS nope.t":  "SuperTable not found: default/nope",
		"SHOW STATSFOO":      "SHOW expects TABLES or STATS",
		"SHOW STATS r21":     "Table not found: default/r21/r21",
		"SHOW STATS t, t":    "SHOW STATS expects a table reference",
		"SHOW STATS t; SHOW": "",
	} {
		if _, err := testdb.TryQuery(t.Context(), s, text, nil); err == nil || want != "" && err.Error() != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	rows, err := s.Query(t.Context(), "SHOW STATS t", nil)
	if err != nil || rows.Schema().NumFields() != 8 {
		t.Fatal(err)
	}
	if err := rows.Close(); err != nil { // without reading
		t.Error(err)
	}
}

// TestX01X02X03Metadata: the lists and shapes of the documentation.
func TestX01X02X03Metadata(t *testing.T) {
	t.Parallel()
	db := testdb.Open(t)
	if list, err := db.SuperTables(t.Context(), "default"); err != nil || len(list) != 0 {
		t.Errorf("X01: %v (%v)", list, err)
	}
	s := db.Session("b")
	db.Session("a")
	if err := os.MkdirAll(filepath.Join(db.Home, "default", "nothing"), 0o750); err != nil {
		t.Fatal(err)
	}
	if list, err := db.SuperTables(t.Context(), "default"); err != nil || strings.Join(list, " ") != "a b" {
		t.Errorf("X01: %v (%v)", list, err)
	}
	m, err := s.SuperMeta(t.Context())
	if err != nil || m.Name != "b" || m.Tables == nil || len(m.Tables) != 0 || m.UpdatedUTC != 0 {
		t.Errorf("an empty SuperTable: %+v (%v)", m, err)
	}
	for _, ds := range []int{1, 2, 6, 7, 3, 4, 5} {
		write(t, s, "facts", demo(t, ds), &supertable.WriteOptions{Key: []string{"day", "client"}})
	}
	testdb.Write(t, s, "__metrics__", "id:int64", `[{"id":1}]`, nil)
	m, err = s.SuperMeta(t.Context())
	if err != nil || m.Rows != 26 || len(m.Tables) != 1 || m.Tables[0].Name != "facts" || m.Tables[0].Rows != 26 || m.Files != m.Tables[0].Files || m.Size != m.Tables[0].Size ||
		m.Size == 0 || m.UpdatedUTC != m.Tables[0].UpdatedUTC || time.Since(time.UnixMilli(m.UpdatedUTC)) > time.Hour {
		t.Errorf("X02: %+v (%v)", m, err)
	}
	for _, name := range []string{"facts", "FACTS", "b"} {
		schema, err := s.TableSchema(t.Context(), name)
		if got := fmt.Sprint(schema); err != nil || got != "[map[client:VARCHAR datastream_name:VARCHAR datetime:TIMESTAMP day:VARCHAR extra:DOUBLE value:BIGINT]]" {
			t.Errorf("X03: %s: %s (%v)", name, got, err)
		}
		stats, err := s.TableStats(t.Context(), name)
		if err != nil || len(stats) != 1 || stats[0].SimpleName != "facts" || stats[0].SnapshotVersion != 7 || stats[0].Rows != 26 || stats[0].LastUpdatedMs != m.UpdatedUTC {
			t.Errorf("statistics of %s: %+v (%v)", name, stats, err)
		}
	}
	if _, err := s.TableSchema(t.Context(), "nope"); !errors.Is(err, supertable.NotFound) {
		t.Error(err)
	}
	if _, err := s.TableStats(t.Context(), "nope"); !errors.Is(err, supertable.NotFound) {
		t.Error(err)
	}
}

// TestStreamsExpire: records older than their stream's retention go in whole files.
func TestStreamsExpire(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 2, 12, 0, 0, 0, time.UTC)
	s := testdb.At(t, t.TempDir(), &supertable.Options{Now: func() time.Time { return now }}).Session("exp")
	for _, back := range []int{40, 20, 0} {
		l := logger(t, s, "metrics", nil)
		logAll(t, l, supertable.Record{"i": back, "execution_time": now.AddDate(0, 0, -back).UnixMilli()}, supertable.Record{"i": back + 1, "execution_time": now.AddDate(0, 0, -back-1).UnixMilli()})
		closeLogger(t, l)
	}
	if got, err := s.ExpireStreams(t.Context(), false); err != nil || len(got) != 0 {
		t.Errorf("without a retention: %+v (%v)", got, err)
	}
	if err := s.SetOption(t.Context(), "__metrics__", "stream_retention", "2592000"); err != nil {
		t.Fatal(err)
	}
	if got, err := s.ExpireStreams(t.Context(), true); err != nil || len(got) != 1 || got[0].Files != 1 || got[0].Rows != 2 || got[0].Snapshot != 0 {
		t.Errorf("dry: %+v (%v)", got, err)
	}
	if got, err := s.ExpireStreams(t.Context(), false); err != nil || len(got) != 1 || got[0].Snapshot == 0 {
		t.Errorf("expired: %+v (%v)", got, err)
	}
	if got := testdb.Query(t, s, "SELECT string_agg(i, ' ' ORDER BY i) FROM __metrics__", nil); got != "0 1 20 21" {
		t.Errorf("left: %s", got)
	}
	if got, err := s.ExpireStreams(t.Context(), false); err != nil || len(got) != 0 {
		t.Errorf("again: %+v (%v)", got, err)
	}
}
