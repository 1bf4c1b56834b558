package attack

import (
	"fmt"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/supertable-go/supertable"
	"github.com/supertable-go/supertable/internal/script"
)

// staging makes one call about staged files or pipes.
func (l *lake) staging(c *script.Case, s *supertable.Session, words []string) (out string, ok bool, err error) {
	ctx := l.t.Context()
	switch c.Cmd {
	case "put":
		_, err = s.StageFrom(ctx, words[1], words[2], strings.NewReader(c.Input), nil)
		return "put", true, err
	case "staged":
		list, err := s.Staged(ctx, words[1])
		tree, terr := s.StagedTree(ctx)
		var out []string
		for _, f := range list {
			_, named := tree[f.Area][f.File]
			out = append(out, fmt.Sprintf("%s %s %s rows %d bytes %d sum %t %t %q", f.Area, f.File, f.Status, f.Rows, f.Bytes, f.SHA256 != "", named, f.Reason))
		}
		if err == nil {
			err = terr
		}
		return strings.Join(out, "\n"), true, err
	case "show":
		p, err := s.ShowStaged(ctx, words[1], words[2], 10)
		if err != nil {
			return "", true, err
		}
		defer p.Preview.Release()
		return fmt.Sprintf("%d columns", len(p.Columns)), true, nil
	case "get":
		var b strings.Builder
		_, err := s.ReadStaged(ctx, words[1], words[2], &b)
		return b.String(), true, err
	case "rm":
		done, err := s.RemoveStaged(ctx, words[1], words[2])
		return fmt.Sprint(done), true, err
	case "loads":
		list, err := s.StagedHistory(ctx, words[1])
		var out []string
		for _, e := range list {
			out = append(out, fmt.Sprintf("%s %s %s into %s by %s +%d -%d %q", e.Area, e.File, e.Status, e.Table, e.Principal, e.Inserted, e.Deleted, e.Reason))
		}
		return strings.Join(out, "\n"), true, err
	case "load":
		o := &supertable.LoadOptions{}
		o.Key, _ = c.Arg("key")
		_, o.Again = c.Arg("again")
		columns, _ := c.Arg("columns")
		for _, col := range columns {
			name, typ, _ := strings.Cut(col, ":")
			o.Columns = append(o.Columns, supertable.Column{Name: name, Type: typ})
		}
		list, err := s.LoadStaged(ctx, words[1], c.Value("file", ""), words[2], o)
		return loaded(list), true, err
	case "pipe":
		p, err := supertable.ParsePipe([]byte(c.Input))
		if err == nil {
			err = s.CreatePipe(ctx, p)
		}
		return "made", true, err
	case "run":
		list, err := s.RunPipe(ctx, words[1], words[2])
		return loaded(list), true, err
	}
	return "", false, nil
}

// loaded says what became of files.
func loaded(list []supertable.LoadResult) string {
	var out []string
	for _, r := range list {
		out = append(out, fmt.Sprintf("%s %s +%d -%d snapshot %t %q", r.File, r.Status, r.Inserted, r.Deleted, r.Snapshot > 0, r.Reason))
	}
	return strings.Join(out, "\n")
}

// records makes one call about streams, or one that would change their tables.
func (l *lake) records(c *script.Case, s *supertable.Session, words []string) (out string, ok bool, err error) {
	ctx := l.t.Context()
	switch c.Cmd {
	case "rollback":
		var to int64
		if _, err := fmt.Sscan(words[2], &to); err != nil {
			l.t.Fatal(err)
		}
		_, err := s.Rollback(ctx, words[1], to, nil)
		return "done", true, err
	case "undrop":
		_, err := s.Undrop(ctx, words[1])
		return "done", true, err
	case "log":
		lg, err := s.Logger(ctx, words[1], nil)
		if err == nil {
			err = lg.Log(ctx, supertable.Record{"a": 1})
		}
		if err == nil {
			err = lg.Close()
		}
		return "logged", true, err
	case "drain":
		n, err := s.DrainDay(ctx, words[1], time.Unix(0, 0), 0, func(array.RecordReader) error { return nil })
		return fmt.Sprint(n), true, err
	}
	return "", false, nil
}
