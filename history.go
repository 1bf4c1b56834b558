package supertable

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/ingest"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/rbac"
)

// RollbackOptions of Session.Rollback. Nil and the zero value mean the defaults.
type RollbackOptions struct {
	// ExpectHead, when set, is the lake's newest snapshot that the caller knows
	// of; with any other head nothing happens and the error is Unavailable.
	ExpectHead *int64
	// DryRun only says what would happen.
	DryRun bool
	// Message is kept in the history. At most 64 KiB.
	Message string
}

// RollbackResult says what a rollback did.
type RollbackResult struct {
	Table    string `json:"table"`
	From     int64  `json:"from"`     // the head before
	To       int64  `json:"to"`       // the snapshot whose state came back
	Snapshot int64  `json:"snapshot"` // the snapshot that holds it now; From when there was nothing to do
	Inserted int64  `json:"inserted"` // rows that came back
	Deleted  int64  `json:"deleted"`  // rows that went
	DryRun   bool   `json:"dry_run,omitempty"`
}

// Rollback makes the state that table had at snapshot to its newest one, rows
// and columns, as one snapshot more: nothing is taken back, so a rollback can
// be rolled back. The name stays. When the table is as it was then, no
// snapshot is made. It needs CONTROL.
//
// Errors: NotFound for a table or snapshot that is not there, or a table that
// was not there at that snapshot; Unavailable when ExpectHead is not the head.
func (s *Session) Rollback(ctx context.Context, table string, to int64, o *RollbackOptions) (_ RollbackResult, err error) {
	defer s.audited(&ctx, "rollback", fmt.Sprintf("to %d", to), table)(&err)
	g, err := s.mayChange(ctx, rbac.Control, table)
	if err != nil {
		return RollbackResult{}, err
	}
	if o == nil {
		o = &RollbackOptions{}
	}
	r, err := s.st.writer.Rollback(ctx, g, table, ingest.RollbackOptions{To: to, ExpectHead: o.ExpectHead, DryRun: o.DryRun, Message: o.Message})
	if err != nil {
		return RollbackResult{}, s.named(err, table)
	}
	return RollbackResult{Table: r.Table, From: r.From, To: r.To, Snapshot: r.Snapshot, Inserted: r.Inserted, Deleted: r.Deleted, DryRun: o.DryRun}, nil
}

// UndropResult says where a dropped table came back.
type UndropResult struct {
	Table    string `json:"table"`
	Snapshot int64  `json:"snapshot"`
}

// Undrop brings a dropped table back as it was last, as a new snapshot: with
// its rows, columns, options, write ids and history. It needs CONTROL.
//
// Errors: AlreadyExists when a table or view has the name, NotFound when none of that
// name was dropped or its last snapshot has expired.
func (s *Session) Undrop(ctx context.Context, table string) (_ UndropResult, err error) {
	defer s.audited(&ctx, "undrop", "", table)(&err)
	g, err := s.mayChange(ctx, rbac.Control, table)
	if err != nil {
		return UndropResult{}, err
	}
	r, err := s.st.writer.Undrop(ctx, g, table)
	if err != nil {
		return UndropResult{}, s.named(err, table)
	}
	return UndropResult{Table: r.Table, Snapshot: r.Snapshot}, nil
}

// Tag names a snapshot, which then does not expire.
type Tag struct {
	Name     string    `json:"name"`
	Snapshot int64     `json:"snapshot"`
	Created  time.Time `json:"created"`
}

// CreateTag names snapshot at, or the newest one when at is nil. A name has 1
// to 128 letters, digits and _ - . and is unique without regard to case. It
// needs CONTROL on the SuperTable.
//
// Errors: InvalidArgument for the name, AlreadyExists, NotFound for the snapshot.
func (s *Session) CreateTag(ctx context.Context, name string, at *int64) (_ Tag, err error) {
	defer s.audited(&ctx, "tag_create", name, "")(&err)
	if err := s.need(ctx, rbac.Control, ""); err != nil {
		return Tag{}, err
	}
	t, err := s.st.catalog.CreateTag(ctx, name, at, s.principal.Name(), s.still(rbac.Control, ""))
	return Tag{Name: t.Name, Snapshot: t.Snapshot, Created: t.Created}, err
}

// Tags lists the tags by name. It needs CONTROL on the SuperTable.
func (s *Session) Tags(ctx context.Context) ([]Tag, error) {
	if err := s.need(ctx, rbac.Control, ""); err != nil {
		return nil, err
	}
	out := []Tag{}
	err := s.st.catalog.Read(ctx, func(v *catalog.View) error {
		list, err := v.Tags(ctx)
		for _, t := range list {
			out = append(out, Tag{Name: t.Name, Snapshot: t.Snapshot, Created: t.Created})
		}
		return err
	})
	return out, err
}

// DeleteTag removes a tag; deleted is false when there is none of that name.
// The snapshot may expire then. It needs CONTROL on the SuperTable.
func (s *Session) DeleteTag(ctx context.Context, name string) (deleted bool, err error) {
	defer s.audited(&ctx, "tag_delete", name, "")(&err)
	if err := s.need(ctx, rbac.Control, ""); err != nil {
		return false, err
	}
	return s.st.catalog.DeleteTag(ctx, name, s.still(rbac.Control, ""))
}

// lineage reads what a write kept as JSON; numbers keep all their digits.
func lineage(text string) (map[string]any, error) {
	if text == "" {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.UseNumber()
	var out map[string]any
	if err := d.Decode(&out); err != nil {
		return nil, errs.Wrap(errs.Corrupt, err, "the catalog has lineage that is no JSON")
	}
	return out, nil
}
