package attack

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/testdb"
)

// changing is a stream that changes the policy once it is read to its end: the
// write that reads it is under way by then.
type changing struct {
	array.RecordReader
	change func()
	done   bool
}

func (c *changing) Next() bool {
	if c.RecordReader.Next() {
		return true
	}
	if !c.done {
		c.done = true
		c.change()
	}
	return false
}

func (c *changing) Record() arrow.RecordBatch { return c.RecordBatch() }

// TestChangeInFlight changes what a writer may do while he writes: the rights
// at the commit count.
func TestChangeInFlight(t *testing.T) {
	t.Parallel()
	roles := func(s *supertable.Session, user string, names ...string) {
		if _, err := s.ModifyUser(t.Context(), user, supertable.UserChange{Roles: &names}); err != nil {
			t.Error(err)
		}
	}
	columns := "id:int64,country:text,amount:int64,code:text,at:int64"
	row := `[{"id":1,"country":"US","amount":7,"code":"CODE1","at":9}]`
	changes := []struct {
		name   string
		change func(l *lake)
		rows   string
		o      *supertable.WriteOptions
		want   string
	}{
		{"no change", func(*lake) {}, row, &supertable.WriteOptions{Key: []string{"id"}}, ""},
		{"role taken", func(l *lake) { roles(l.root, "wrows") }, row, nil, "denied"},
		{"role taken from an upsert", func(l *lake) { roles(l.root, "wrows") }, row, &supertable.WriteOptions{Key: []string{"id"}}, "denied"},
		{"role taken from a delete", func(l *lake) { roles(l.root, "wrows") }, row, &supertable.WriteOptions{Key: []string{"id"}, DeleteOnly: true}, "denied"},
		{"reader now", func(l *lake) { roles(l.root, "wrows", "rows") }, row, nil, "denied"},
		{"user deleted", func(l *lake) {
			if _, err := l.root.DeleteUser(t.Context(), "wrows"); err != nil {
				t.Error(err)
			}
		}, row, nil, "denied"},
		{"role deleted", func(l *lake) {
			if _, err := l.root.DeleteRole(t.Context(), "wrows"); err != nil {
				t.Error(err)
			}
		}, row, nil, "denied"},
		{"column list now", func(l *lake) { roles(l.root, "wrows", "wcols") }, row, nil, "denied"},
		{"mask on the key now", func(l *lake) { roles(l.root, "wrows", "wmasks") }, row, &supertable.WriteOptions{Key: []string{"code"}}, "denied"},
		{"other filter now", func(l *lake) {
			if _, err := l.root.CreateRole(t.Context(), []byte(`{"name":"fr","role":"writer","tables":["ledger"],"filters":{"country":"FR"}}`)); err != nil {
				t.Error(err)
			}
			roles(l.root, "wrows", "fr")
		}, row, nil, "denied"},
		{"rows hidden now", func(l *lake) {
			if _, err := l.root.CreateRole(t.Context(), []byte(`{"name":"late","role":"writer","tables":["ledger"],"filters":{"at":{"operation":">","value":6}}}`)); err != nil {
				t.Error(err)
			}
			roles(l.root, "wrows", "late")
		}, row, &supertable.WriteOptions{Key: []string{"id"}}, "denied"},
		{"read-only now", func(l *lake) {
			if err := l.root.SetReadOnly(t.Context(), true); err != nil {
				t.Error(err)
			}
		}, row, nil, "denied"},
		{"row moved out of the filter", func(l *lake) {
			testdb.Write(t, l.root, "ledger", columns, `[{"id":1,"country":"DE","amount":999111,"code":"HIDCODE1","at":5}]`, &supertable.WriteOptions{Key: []string{"id"}})
		}, row, &supertable.WriteOptions{Key: []string{"id"}}, "denied"},
	}
	for _, c := range changes {
		t.Run(c.name, func(t *testing.T) {
			l := newLake(t)
			s := l.as("wrows")
			rr := &changing{RecordReader: testdb.Batch(t, columns, c.rows), change: func() { c.change(l) }}
			defer rr.Release()
			_, err := s.Write(t.Context(), "ledger", rr, c.o)
			if got := string(supertable.KindOf(err)); err != nil && got != c.want || err == nil && c.want != "" {
				t.Errorf("write: got %v, want %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "HID") {
				t.Errorf("the error tells hidden values: %v", err)
			}
			if got := testdb.Query(t, l.root, "SELECT count(*) FROM ledger WHERE amount = 7", nil); (got == "0") != (c.want != "") {
				t.Errorf("rows written: %s", got)
			}
		})
	}
}

// TestChangeBetweenCalls: what an open session may do is asked for with each
// call, and a result that is being read ends as it began.
func TestChangeBetweenCalls(t *testing.T) {
	t.Parallel()
	l := newLake(t)
	s := l.as("rows")
	ctx := t.Context()
	rows, err := s.Query(ctx, "SELECT id FROM customers", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.root.DeleteUser(ctx, "rows"); err != nil {
		t.Fatal(err)
	}
	n := int64(0)
	for rows.Next() {
		n += rows.Batch().NumRows()
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil || n != 3 {
		t.Errorf("a result that was being read: %d rows, %v", n, err)
	}
	calls := map[string]func() error{
		"Query":       func() error { _, err := testdb.TryQuery(ctx, s, "SELECT 1", nil); return err },
		"Tables":      func() error { _, err := s.Tables(ctx); return err },
		"Schema":      func() error { _, err := s.Schema(ctx, "customers"); return err },
		"History":     func() error { _, err := s.History(ctx, ""); return err },
		"Options":     func() error { _, err := s.Options(ctx, ""); return err },
		"SetOption":   func() error { return s.SetOption(ctx, "", "compact_files", "5") },
		"Check":       func() error { _, err := s.Check(ctx, false); return err },
		"Roles":       func() error { _, err := s.Roles(ctx); return err },
		"Users":       func() error { _, err := s.Users(ctx); return err },
		"User":        func() error { _, err := s.User(ctx, "rows"); return err },
		"Explain":     func() error { _, err := s.Explain(ctx, "rows", ""); return err },
		"Diff":        func() error { _, err := s.Diff(ctx, "customers", 1, 2, nil); return err },
		"Changes":     func() error { _, err := s.Changes(ctx, "customers", 0, nil); return err },
		"SuperMeta":   func() error { _, err := s.SuperMeta(ctx); return err },
		"TableStats":  func() error { _, err := s.TableStats(ctx, "customers"); return err },
		"TableSchema": func() error { _, err := s.TableSchema(ctx, "customers"); return err },
		"Rollback":    func() error { _, err := s.Rollback(ctx, "customers", 1, nil); return err },
		"Undrop":      func() error { _, err := s.Undrop(ctx, "ended"); return err },
		"CreateTag":   func() error { _, err := s.CreateTag(ctx, "x", nil); return err },
		"Tags":        func() error { _, err := s.Tags(ctx); return err },
		"Staged":      func() error { _, err := s.Staged(ctx, ""); return err },
		"Pipes":       func() error { _, err := s.Pipes(ctx); return err },
		"QueryPlans":  func() error { _, err := s.QueryPlans(ctx, supertable.StreamWindow{}); return err },
		"WriteStats":  func() error { _, err := s.WriteStats(ctx, supertable.StreamWindow{}); return err },
		"Audit":       func() error { return s.Audit(ctx, nil, func(supertable.AuditRecord) error { return nil }) },
		"CreateRole": func() error {
			_, err := s.CreateRole(ctx, []byte(`{"role":"reader"}`))
			return err
		},
		"CreateUser":  func() error { _, err := s.CreateUser(ctx, "x", nil, nil); return err },
		"DropTable":   func() error { _, err := s.DropTable(ctx, "customers"); return err },
		"Alter":       func() error { _, err := s.Alter(ctx, "customers", supertable.Alteration{Drop: "ssn"}); return err },
		"SetReadOnly": func() error { return s.SetReadOnly(ctx, true) },
		"DropSuper":   func() error { return s.DropSuperTable(ctx) },
		"DeleteAll": func() error {
			_, err := s.WriteFiles(ctx, "customers", nil, &supertable.WriteOptions{DeleteAll: true})
			return err
		},
		"WriteFrom": func() error {
			_, err := s.WriteFrom(ctx, "ledger", io.LimitReader(strings.NewReader("id\n1\n"), 5), &supertable.WriteOptions{Format: "csv"})
			return err
		},
	}
	for name, call := range calls {
		if err := call(); supertable.KindOf(err) != supertable.Denied {
			t.Errorf("%s of a deleted user: %v", name, err)
		}
	}
}
