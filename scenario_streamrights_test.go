package supertable_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/testdb"
)

// TestStreamRights: logging needs WRITE on the stream's table, reading META.
func TestStreamRights(t *testing.T) {
	t.Parallel()
	db := testdb.Open(t)
	s := db.Session("rights")
	st, err := db.SuperTable(t.Context(), "default", "rights")
	if err != nil {
		t.Fatal(err)
	}
	as := func(name string, roles ...string) *supertable.Session {
		var hashes []string
		for _, r := range roles {
			h, err := s.CreateRole(t.Context(), []byte(r))
			if err != nil {
				t.Fatal(err)
			}
			hashes = append(hashes, h)
		}
		if _, err := s.CreateUser(t.Context(), name, hashes, nil); err != nil {
			t.Fatal(err)
		}
		session, err := st.Session(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		return session
	}
	writer := as("w", `{"role":"writer","tables":["__metrics__"]}`)
	meta := as("m", `{"role":"meta","tables":["__metrics__","__plans__","__stats__"]}`)
	reader := as("r", `{"role":"reader","tables":["facts"]}`)
	partly := as("p", `{"role":"writer","tables":["__metrics__"],"columns":["a","execution_time"],"filters":{"a":1}}`)

	l := logger(t, writer, "metrics", nil)
	logAll(t, l, supertable.Record{"a": 1, "b": "x"}, supertable.Record{"a": 2, "b": "y"})
	closeLogger(t, l)
	testdb.Write(t, s, "facts", "id:int64", `[{"id":1}]`, nil)
	for name, user := range map[string]*supertable.Session{"meta": meta, "reader": reader, "partly": partly} {
		if _, err := user.Logger(t.Context(), "metrics", nil); !errors.Is(err, supertable.Denied) {
			t.Errorf("%s may log: %v", name, err)
		}
	}
	if _, err := writer.Logger(t.Context(), "other", nil); !errors.Is(err, supertable.Denied) {
		t.Errorf("the writer may log elsewhere: %v", err)
	}
	for name, user := range map[string]*supertable.Session{"writer": writer, "meta": meta} {
		rows, err := user.ReadStream(t.Context(), "metrics", supertable.StreamWindow{})
		if got := column(t, rows, err, "a"); got != "2 1" {
			t.Errorf("%s reads %q", name, got)
		}
	}
	if got := testdb.Query(t, meta, "SELECT table_name, status FROM __stats__", nil); got != "facts|ok" {
		t.Errorf("write records under META: %q", got)
	}
	if _, err := testdb.TryQuery(t.Context(), reader, "SELECT * FROM __stats__", nil); !errors.Is(err, supertable.NotFound) {
		t.Errorf("a reader of facts reads write records: %v", err)
	}
	if _, err := reader.ReadStream(t.Context(), "metrics", supertable.StreamWindow{}); !errors.Is(err, supertable.NotFound) {
		t.Errorf("a stream that one may not read exists: %v", err)
	}
	if _, err := reader.QueryPlans(t.Context(), supertable.StreamWindow{}); !errors.Is(err, supertable.Denied) {
		t.Errorf("plans without META: %v", err)
	}
	rows, err := partly.ReadStream(t.Context(), "metrics", supertable.StreamWindow{})
	if got := column(t, rows, err, "a"); got != "1" {
		t.Errorf("a part of the stream is %q", got)
	}
	if rows, err := partly.Query(t.Context(), "SELECT b FROM __metrics__", nil); err == nil {
		_ = rows.Close()
		t.Error("a hidden column is there")
	}
	for what, err := range map[string]error{
		"its counts": second(partly.StreamStats(t.Context(), "metrics")),
		"SHOW STATS": second(testdb.TryQuery(t.Context(), partly, "SHOW STATS __metrics__", nil)),
		"settle":     writer.SettleStreams(t.Context()),
		"expire":     second(writer.ExpireStreams(t.Context(), true)),
	} {
		if !errors.Is(err, supertable.Denied) {
			t.Errorf("%s: %v", what, err)
		}
	}
	m, err := reader.SuperMeta(t.Context())
	if err != nil || len(m.Tables) != 1 || m.Tables[0].Name != "facts" {
		t.Errorf("the reader's meta: %+v (%v)", m, err)
	}
	if m, err := meta.SuperMeta(t.Context()); err != nil || len(m.Tables) != 0 || m.Rows != 0 {
		t.Errorf("who sees no table: %+v (%v)", m, err)
	}
}

func second[T any](_ T, err error) error { return err }

// TestShowStatsHidesMasks: bounds are values, so a masked or hidden column has none.
func TestShowStatsHidesMasks(t *testing.T) {
	t.Parallel()
	db := testdb.Open(t)
	s := db.Session("masks")
	testdb.Write(t, s, "t", "id:int64,ssn:text,secret:text", `[{"id":1,"ssn":"123","secret":"x"}]`, nil)
	h, err := s.CreateRole(t.Context(), []byte(`{"role":"reader","tables":["t"],"columns":["id","ssn"],"masks":{"ssn":{"type":"null"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.CreateUser(t.Context(), "u", []string{h}, nil); err != nil {
		t.Fatal(err)
	}
	st, err := db.SuperTable(t.Context(), "default", "masks")
	if err != nil {
		t.Fatal(err)
	}
	u, err := st.Session(t.Context(), "u")
	if err != nil {
		t.Fatal(err)
	}
	got := testdb.Query(t, u, "SHOW STATS t", nil)
	if cells := strings.Split(got, "|"); strings.Contains(got, "\n") || len(cells) != 8 || cells[1] != "id" {
		t.Errorf("got %s", got)
	}
}

// TestRightsAreAskedAtEveryFlush: a logger whose user loses his role keeps
// nothing more, and says so.
func TestRightsAreAskedAtEveryFlush(t *testing.T) {
	t.Parallel()
	db := testdb.Open(t)
	s := db.Session("revoked")
	h, err := s.CreateRole(t.Context(), []byte(`{"role":"writer","tables":["__metrics__"]}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.CreateUser(t.Context(), "w", []string{h}, nil); err != nil {
		t.Fatal(err)
	}
	st, err := db.SuperTable(t.Context(), "default", "revoked")
	if err != nil {
		t.Fatal(err)
	}
	w, err := st.Session(t.Context(), "w")
	if err != nil {
		t.Fatal(err)
	}
	l := logger(t, w, "metrics", nil)
	logAll(t, l, supertable.Record{"i": 1})
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.DeleteRole(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	logAll(t, l, supertable.Record{"i": 2})
	if err := l.Flush(t.Context()); !errors.Is(err, supertable.Denied) {
		t.Errorf("flush without rights: %v", err)
	}
	if err := l.Close(); !errors.Is(err, supertable.Denied) || !strings.Contains(fmt.Sprint(err), "1 records were not written") {
		t.Errorf("close without rights: %v", err)
	}
	if got := testdb.Query(t, s, "SELECT i FROM __metrics__", nil); got != "1" {
		t.Errorf("the stream has %q", got)
	}
}
