package catalog

import (
	"context"
	"time"

	"github.com/supertable-go/supertable/internal/errs"
)

// Tag names a snapshot, which then does not expire.
type Tag struct {
	Name      string
	Snapshot  int64
	Created   time.Time
	Principal string
}

// CheckTagName refuses names that no tag may have.
func CheckTagName(name string) error {
	ok := len(name) > 0 && len(name) <= 128
	for _, c := range []byte(name) {
		ok = ok && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.')
	}
	if !ok {
		return errs.New(errs.InvalidArgument, "a tag's name is 1 to 128 letters, digits and _ - ., not %q", errs.Cut(name, 140))
	}
	return nil
}

// CreateTag names snapshot at, or the head when at is nil. Tags are no part of
// a snapshot: the lake does not move.
func (c *Catalog) CreateTag(ctx context.Context, name string, at *int64, principal string, allow Allow) (Tag, error) {
	tag := Tag{Name: name, Principal: principal, Created: c.opts.Now().UTC().Truncate(time.Microsecond)}
	if err := CheckTagName(name); err != nil {
		return tag, err
	}
	err := c.writeTags(ctx, allow, func(v *View) error {
		tag.Snapshot = v.Head.ID
		if at != nil {
			s, err := v.Snapshot(ctx, *at)
			if err != nil {
				return err
			}
			tag.Snapshot = s.ID
		}
		old, err := v.tag(ctx, name)
		if err == nil {
			return errs.New(errs.AlreadyExists, "a tag named %s exists already, on snapshot %d", old.Name, old.Snapshot)
		}
		if errs.KindOf(err) != errs.NotFound {
			return err
		}
		_, err = v.q.ExecContext(ctx, `INSERT INTO supertable_tag (name, snapshot_id, created, principal) VALUES (?, ?, ?, ?)`, name, tag.Snapshot, FormatTime(tag.Created), principal)
		if err != nil {
			return sqlError(ctx, err, "write the tags")
		}
		return c.opts.appendEvent(ctx, v.q, Event{Action: "tag_create", Statement: name, Snapshot: &tag.Snapshot})
	})
	return tag, err
}

// DeleteTag removes a tag; deleted is false when there is none.
func (c *Catalog) DeleteTag(ctx context.Context, name string, allow Allow) (deleted bool, err error) {
	err = c.writeTags(ctx, allow, func(v *View) error {
		res, err := v.q.ExecContext(ctx, `DELETE FROM supertable_tag WHERE name = ? COLLATE NOCASE`, name)
		if err != nil {
			return sqlError(ctx, err, "write the tags")
		}
		n, err := res.RowsAffected()
		if deleted = n > 0; err != nil || !deleted {
			return sqlError(ctx, err, "write the tags")
		}
		return c.opts.appendEvent(ctx, v.q, Event{Action: "tag_delete", Statement: name})
	})
	return deleted, err
}

// writeTags runs change under the commit lock, so that no snapshot expires
// between the look at it and its tag.
func (c *Catalog) writeTags(ctx context.Context, allow Allow, change func(*View) error) error {
	if c.foreign {
		return errs.New(errs.Denied, "this lake was made by another DuckLake client and is read-only; run create to adopt it")
	}
	return c.write(ctx, func(q querier) error {
		v := &View{q: q, c: c}
		var err error
		if v.Head, err = v.loadHead(ctx); err != nil {
			return err
		}
		if err := v.changeableBy(ctx, allow); err != nil {
			return err
		}
		return change(v)
	})
}

const tagColumns = `SELECT name, snapshot_id, created, principal FROM supertable_tag `

func (v *View) tag(ctx context.Context, name string) (Tag, error) {
	list, err := v.tags(ctx, tagColumns+`WHERE name = ? COLLATE NOCASE`, name)
	if err == nil && len(list) == 0 {
		err = errs.New(errs.NotFound, "there is no tag named %s", name)
	}
	if err != nil {
		return Tag{}, err
	}
	return list[0], nil
}

// Tags lists the tags by name.
func (v *View) Tags(ctx context.Context) ([]Tag, error) {
	if v.c.foreign {
		return nil, nil
	}
	return v.tags(ctx, tagColumns+`ORDER BY name COLLATE NOCASE`)
}

func (v *View) tags(ctx context.Context, query string, args ...any) ([]Tag, error) {
	rows, err := v.q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, sqlError(ctx, err, "read the tags")
	}
	defer func() { _ = rows.Close() }()
	var out []Tag
	for rows.Next() {
		var t Tag
		var at string
		if err := rows.Scan(&t.Name, &t.Snapshot, &at, &t.Principal); err != nil {
			return nil, sqlError(ctx, err, "read the tags")
		}
		if t.Created, err = ParseTime(at); err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, sqlError(ctx, rows.Err(), "read the tags")
}
